/* SPDX-License-Identifier: BSD-3-Clause */
/* What serves a VMM's own work: runs to unmap, addresses back, and the host's refusals. */
#include "support/test_viommu.h"

#define PAGE(n) R((uint64_t)(n)*0x1000, (uint64_t)(n)*0x1000 + 0xfff)

static struct iovageom_viommu *attached(void)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_viommu_attach(viommu, 7, 1, 0, NULL), 0);
    return viommu;
}

/* Whether there is such a run, and it is `wanted`. */
static bool run_is(const struct iovageom_viommu *viommu, struct iovageom_range range, uint64_t from,
                   bool joined, struct iovageom_range wanted)
{
    struct iovageom_mapping run;

    return iovageom_viommu_run_next(viommu, 7, range, from, joined, &run) &&
           iovageom_range_equal(run.range, wanted);
}

static bool no_run(const struct iovageom_viommu *viommu, struct iovageom_range range, uint64_t from)
{
    struct iovageom_mapping run;

    return !iovageom_viommu_run_next(viommu, 7, range, from, false, &run) &&
           !iovageom_viommu_run_next(viommu, 7, range, from, true, &run);
}

/* Pages 1, 2, 3 in one row, 5 and 6 in another, and the last one of all. */
static void a_run_is_what_lies_side_by_side(void **state)
{
    static const uint64_t pages[] = {1, 2, 3, 5, 6, UINT64_MAX >> 12};
    const struct iovageom_range end = R(UINT64_MAX - 0xfff, UINT64_MAX);
    struct iovageom_viommu *viommu = attached();
    struct iovageom_mapping run = {.phys = 9};

    (void)state;
    assert_false(iovageom_viommu_run_next(viommu, 8, ALL, 0, false, &run));
    assert_true(no_run(viommu, ALL, 0));
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        assert_int_equal(
            iovageom_viommu_map(viommu, 7, PAGE(pages[i]), (i + 1) << 20, 1 + i % 2, NULL), 0);
    assert_true(iovageom_viommu_run_next(viommu, 7, ALL, 0, false, &run));
    assert_true(iovageom_range_equal(run.range, R(0x1000, 0x3fff)));
    assert_int_equal(run.phys, 1 << 20);
    assert_int_equal(run.flags, 1);
    assert_true(run_is(viommu, ALL, 0x4000, false, R(0x5000, 0x6fff)));
    assert_true(run_is(viommu, ALL, 0x7000, false, end));
    assert_true(run_is(viommu, ALL, UINT64_MAX, false, end));
    /* From its beginning. */
    assert_true(run_is(viommu, ALL, 0x3fff, false, R(0x1000, 0x3fff)));
    assert_true(run_is(viommu, ALL, 0x6000, false, R(0x5000, 0x6fff)));
    /* Only mappings that are inside as a whole. */
    assert_true(run_is(viommu, R(0x1800, 0x57ff), 0, false, R(0x2000, 0x3fff)));
    assert_true(run_is(viommu, R(0x1800, 0x57ff), 0x3000, false, R(0x2000, 0x3fff)));
    assert_true(run_is(viommu, R(0, 0x2fff), 0x1001, false, R(0x1000, 0x2fff)));
    assert_true(no_run(viommu, R(0x1800, 0x57ff), 0x4000));
    assert_true(no_run(viommu, R(0x4000, 0x5ffe), 0));
    assert_true(no_run(viommu, R(0x4000, 0x5ffe), 0x5000));
    assert_true(no_run(viommu, R(2, 1), 0));
    iovageom_viommu_free(viommu);
}

/* No call to a host can say 2^64 bytes, so nothing is joined across the middle of all addresses. */
static void no_run_is_everything(void **state)
{
    const uint64_t middle = UINT64_C(1) << 63;
    struct iovageom_viommu *viommu = attached();

    (void)state;
    assert_int_equal(iovageom_viommu_map(viommu, 7, R(0, middle - 1), 0, RW, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, R(middle, UINT64_MAX), middle, RW, NULL), 0);
    for (int joined = 0; joined < 2; joined++) {
        assert_true(run_is(viommu, ALL, 0, joined, R(0, middle - 1)));
        assert_true(run_is(viommu, ALL, UINT64_MAX, joined, R(middle, UINT64_MAX)));
    }
    assert_int_equal(iovageom_viommu_unmap(viommu, 7, ALL, NULL, NULL), 0);
    /* A mapping that goes across stands alone, with what would go on on both sides. */
    assert_int_equal(iovageom_viommu_map(viommu, 7, PAGE(0), 0, RW, NULL), 0);
    assert_int_equal(
        iovageom_viommu_map(viommu, 7, R(0x1000, UINT64_MAX - 0x1000), 0x1000, RW, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, R(UINT64_MAX - 0xfff, UINT64_MAX),
                                         UINT64_MAX - 0xfff, RW, NULL),
                     0);
    for (int joined = 0; joined < 2; joined++) {
        assert_true(run_is(viommu, ALL, 0, joined, PAGE(0)));
        assert_true(run_is(viommu, ALL, 0x1000, joined, R(0x1000, UINT64_MAX - 0x1000)));
        assert_true(run_is(viommu, ALL, UINT64_MAX, joined, R(UINT64_MAX - 0xfff, UINT64_MAX)));
    }
    iovageom_viommu_free(viommu);
}

static void what_goes_on_in_memory_is_joined(void **state)
{
    struct iovageom_viommu *viommu = attached();
    struct iovageom_mapping run = {.phys = 9};

    (void)state;
    for (uint64_t i = 1; i <= 6; i++) /* 1 to 3 and 4 to 6: there, addresses jump */
        assert_int_equal(iovageom_viommu_map(viommu, 7, PAGE(i), (i + i / 4 * 16) << 12, RW, NULL),
                         0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, PAGE(7), 23 << 12, 1, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, PAGE(8), UINT64_MAX - 0xfff, 1, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, PAGE(9), 0, 1, NULL), 0);
    assert_true(run_is(viommu, ALL, 0x3fff, false, R(0x1000, 0x9fff)));
    assert_true(run_is(viommu, ALL, 0x3fff, true, R(0x1000, 0x3fff)));
    assert_true(iovageom_viommu_run_next(viommu, 7, ALL, 0x5000, true, &run));
    assert_true(iovageom_range_equal(run.range, R(0x4000, 0x6fff)));
    assert_int_equal(run.phys, 20 << 12);
    assert_int_equal(run.flags, RW);
    for (uint64_t i = 7; i <= 9; i++) /* other flags; and 2^64-1 does not go on at 0 */
        assert_true(run_is(viommu, ALL, i << 12, true, PAGE(i)));
    assert_true(no_run(viommu, ALL, 0xa000));
    assert_true(run_is(viommu, R(0x1800, 0x57ff), 0, true, R(0x2000, 0x3fff)));
    assert_true(run_is(viommu, R(0x1800, 0x57ff), 0x3000, true, R(0x2000, 0x3fff)));
    assert_true(run_is(viommu, R(0x1800, 0x57ff), 0x4000, true, PAGE(4)));
    assert_true(no_run(viommu, R(0x1800, 0x57ff), 0x5000));
    iovageom_viommu_free(viommu);
}

/* At which address `phys` is reached, by one mapping; or the status. */
static int back(const struct iovageom_viommu *viommu, uint32_t endpoint, struct iovageom_range phys,
                uint64_t *out)
{
    struct iovageom_mapping found;
    const int status = iovageom_viommu_translate_back(viommu, endpoint, phys, true, NULL, &found);

    if (status == 0)
        *out = found.range.start + (phys.start - found.phys);
    return status;
}

static void addresses_are_found_back(void **state)
{
    struct iovageom_viommu *viommu = attached();
    struct iovageom_mapping found = {.phys = 9};
    uint64_t at = 0;

    (void)state;
    assert_int_equal(iovageom_viommu_map(viommu, 7, R(0x10000, 0x13fff), 0x80000, RW, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, R(0x20000, 0x20fff), 0, RW, NULL), 0);
    assert_int_equal(
        iovageom_viommu_map(viommu, 7, R(0x30000, 0x30fff), UINT64_MAX - 0xfff, RW, NULL), 0);
    assert_int_equal(back(viommu, 1, R(0x81000, 0x81004), &at), 0);
    assert_int_equal(at, 0x11000);
    assert_int_equal(back(viommu, 1, R(0, 0xfff), &at), 0);
    assert_int_equal(at, 0x20000);
    assert_int_equal(back(viommu, 1, R(UINT64_MAX, UINT64_MAX), &at), 0);
    assert_int_equal(at, 0x30fff);
    assert_int_equal(back(viommu, 1, R(0x83fff, 0x84000), &at), IOVAGEOM_ERR_FAULT);
    assert_int_equal(back(viommu, 1, R(0x7ffff, 0x80000), &at), IOVAGEOM_ERR_FAULT);
    assert_int_equal(back(viommu, 1, R(1, 0), &at), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(back(viommu, 2, R(0, 0), &at), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(
        iovageom_viommu_translate_back(viommu, 1, R(0x83fff, 0x84000), true, NULL, &found),
        IOVAGEOM_ERR_FAULT);
    assert_int_equal(found.phys, 9);
    /* What bypasses reaches the same addresses, once. */
    assert_int_equal(iovageom_viommu_detach(viommu, 7, 1, NULL), 0);
    assert_int_equal(iovageom_viommu_translate_back(viommu, 1, R(5, 6), false, NULL, &found), 0);
    assert_true(iovageom_range_equal(found.range, R(5, 6)) && found.phys == 5);
    assert_int_equal(found.flags, RW);
    assert_int_equal(iovageom_viommu_translate_back(viommu, 1, R(5, 6), false, &found, &found),
                     IOVAGEOM_ERR_FAULT);
    iovageom_viommu_free(viommu);
}

static void a_refusal_of_the_host_is_answered_and_explained(void **state)
{
    static const struct {
        int number, status;
        uint8_t virtio;
    } refusals[] = {{12, IOVAGEOM_ERR_NO_MEMORY, IOVAGEOM_VIRTIO_S_NOMEM},
                    {28, IOVAGEOM_ERR_NO_MEMORY, IOVAGEOM_VIRTIO_S_NOMEM},
                    {22, IOVAGEOM_ERR_HOST, IOVAGEOM_VIRTIO_S_DEVERR}};
    const struct iovageom_virtio_request map = {
        .type = IOVAGEOM_VIRTIO_T_MAP, .domain = 7, .virt = PAGE(1), .flags = RW};
    struct iovageom_viommu *viommu = attached();
    struct iovageom_viommu_transaction transaction;
    struct iovageom_mapping mapping;
    struct iovageom_report report;
    uint8_t bytes[64], tail[4];
    size_t size;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_guest_encode_request(&map, bytes, sizeof(bytes), &size), 0);
    for (size_t i = 0; i < 3; i++) {
        int veto;

        iovageom_viommu_request_begin(viommu, bytes, size, 4, &transaction, &report);
        assert_int_equal(transaction.status, 0);
        veto = iovageom_report_host_refused(&report, refusals[i].number, 7, IOVAGEOM_ID_NONE,
                                            map.virt);
        assert_int_equal(veto, refusals[i].status);
        assert_int_equal(iovageom_viommu_request_end(viommu, &transaction, veto, tail, 4, &report),
                         4);
        assert_int_equal(tail[0], refusals[i].virtio);
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_HOST);
        assert_int_equal(iovageom_report_at(&report, 0)->wanted, refusals[i].number);
        assert_true(iovageom_report_at(&report, 0)->domain == 7);
        assert_true(iovageom_report_at(&report, 0)->endpoint == IOVAGEOM_ID_NONE);
        assert_true(iovageom_range_equal(iovageom_report_at(&report, 0)->range, map.virt));
        assert_false(iovageom_viommu_mapping_next(viommu, 7, 0, &mapping));
    }
    assert_string_equal(iovageom_report_text(&report),
                        "the host refused, with errno 22, what was asked of it for "
                        "[0x1000,0x1fff]");
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/*
 * What is mapped changes between begin() and end(): each change makes the place void that begin()
 * has found. The VMM unmaps the same range, or one below it, or maps one below it.
 */
static void a_request_is_decided_anew_after_each_change(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++)
        for (int maps = 0; maps < 2; maps++) {
            const struct iovageom_virtio_request request = {.type = maps ? IOVAGEOM_VIRTIO_T_MAP
                                                                         : IOVAGEOM_VIRTIO_T_UNMAP,
                                                            .domain = 7,
                                                            .virt = maps ? PAGE(5) : PAGE(4),
                                                            .flags = maps ? RW : 0};
            struct iovageom_viommu *viommu = attached();
            struct iovageom_viommu_transaction transaction;
            struct iovageom_viommu_domain domain;
            struct iovageom_mapping mapping = {.range = PAGE(0)};
            uint8_t bytes[36], answer[4];
            size_t size, left = 0;

            for (uint64_t i = 2; i <= 8; i += 2)
                assert_int_equal(iovageom_viommu_map(viommu, 7, PAGE(i), i << 20, RW, NULL), 0);
            assert_int_equal(iovageom_guest_encode_request(&request, bytes, sizeof(bytes), &size),
                             0);
            iovageom_viommu_request_begin(viommu, bytes, size, 4, &transaction, NULL);
            assert_int_equal(transaction.status, 0);
            if (what < 2)
                assert_int_equal(
                    iovageom_viommu_unmap(viommu, 7, what == 0 ? PAGE(4) : PAGE(2), NULL, NULL), 0);
            else
                assert_int_equal(iovageom_viommu_map(viommu, 7, PAGE(1), 0, RW, NULL), 0);
            assert_int_equal(iovageom_viommu_request_end(viommu, &transaction, 0, answer, 4, NULL),
                             4);
            assert_int_equal(answer[0], IOVAGEOM_VIRTIO_S_OK);
            /* Pages 2, 4, 6 and 8, but for those that were unmapped, and what was mapped. */
            while (iovageom_viommu_mapping_next(viommu, 7, mapping.range.last + 1, &mapping)) {
                const uint64_t page = mapping.range.start >> 12;

                assert_true(page == 6 || page == 8 || (page == 2 && what != 1) ||
                            (page == 4 && what != 0 && maps) || (page == 5 && maps) ||
                            (page == 1 && what == 2));
                left++;
            }
            assert_int_equal(left, 2 + (what != 1) + (what != 0 && maps) + maps + (what == 2));
            assert_int_equal(iovageom_viommu_domain(viommu, 7, &domain), 0);
            assert_int_equal(domain.mappings, left);
            test_check(viommu);
            iovageom_viommu_free(viommu);
        }
}

/* begin() and end() with nothing in between do what one call does, and say it once. */
static void a_note_is_made_once(void **state)
{
    const struct iovageom_range ram = R(0xfee00000, 0xfeefffff);
    const struct iovageom_virtio_request detach = {
        .type = IOVAGEOM_VIRTIO_T_DETACH, .domain = 7, .endpoint = 2};
    struct iovageom_viommu *viommu = attached();
    struct iovageom_viommu_transaction transaction;
    struct iovageom_report report;
    uint8_t bytes[64], tail[4];
    size_t size;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_set_bypass(viommu, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_set_identity(viommu, &ram, 1, NULL), 0);
    assert_int_equal(
        test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "host", 48, PAGES_4K), NULL), 0);
    assert_int_equal(iovageom_viommu_attach(viommu, 7, 2, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_set_bypass(viommu, 1, NULL), 0);
    assert_int_equal(iovageom_guest_encode_request(&detach, bytes, sizeof(bytes), &size), 0);
    iovageom_viommu_request_begin(viommu, bytes, size, 4, &transaction, &report);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_viommu_request_end(viommu, &transaction, 0, tail, 4, &report), 4);
    assert_int_equal(tail[0], IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_report_count(&report), 1);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_decided_anew_after_each_change),
        cmocka_unit_test(a_run_is_what_lies_side_by_side),
        cmocka_unit_test(no_run_is_everything),
        cmocka_unit_test(what_goes_on_in_memory_is_joined),
        cmocka_unit_test(addresses_are_found_back),
        cmocka_unit_test(a_refusal_of_the_host_is_answered_and_explained),
        cmocka_unit_test(a_note_is_made_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

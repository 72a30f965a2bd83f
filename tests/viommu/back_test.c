/* SPDX-License-Identifier: BSD-3-Clause */
/* From addresses back to IOVAs: the order of what is found, with an index and without, and
 * memory. */
#include "support/test_viommu.h"

#include <iovageom/status.h>

#include "support/test_allocator.h"

enum { DOMAIN = 1, ENDPOINT = 1 };

static struct test_allocator memory;

static struct iovageom_viommu *books(bool indexed)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.flags = indexed ? IOVAGEOM_VIOMMU_INDEX_PHYS : 0;
    assert_int_equal(iovageom_viommu_new(&memory.allocator, &config, &viommu), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, ENDPOINT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    return viommu;
}

static int attach(struct iovageom_viommu *viommu)
{
    return iovageom_viommu_attach(viommu, DOMAIN, ENDPOINT, 0, NULL);
}

static int map(struct iovageom_viommu *viommu, uint64_t start, uint64_t last, uint64_t phys)
{
    return iovageom_viommu_map(viommu, DOMAIN, R(start, last), phys, RW, NULL);
}

/* The IOVAs at which the mappings that lead to `phys` begin. */
static size_t list(const struct iovageom_viommu *viommu, struct iovageom_range phys, uint64_t *out)
{
    struct iovageom_mapping mapping;
    size_t count = 0;

    while (iovageom_viommu_translate_back(viommu, ENDPOINT, phys, false,
                                          count > 0 ? &mapping : NULL, &mapping) == 0)
        out[count++] = mapping.range.start;
    return count;
}

/* 0x80000 by the highest IOVA whole, by two in the middle alike, by the lowest from within. */
static void fill(struct iovageom_viommu *viommu)
{
    assert_int_equal(attach(viommu), 0);
    assert_int_equal(map(viommu, 0x1000, 0x4fff, 0x82000), 0);
    assert_int_equal(map(viommu, 0x10000, 0x10fff, 0x83000), 0);
    assert_int_equal(map(viommu, 0x20000, 0x20fff, 0x83000), 0);
    assert_int_equal(map(viommu, 0x100000, 0x10ffff, 0x80000), 0);
}

static void check_order(const struct iovageom_viommu *viommu)
{
    struct iovageom_mapping mapping = {.phys = 0};
    uint64_t at[8] = {0};

    assert_int_equal(list(viommu, R(0x83000, 0x83fff), at), 4);
    assert_int_equal(at[0], 0x100000);
    assert_int_equal(at[1], 0x1000);
    assert_int_equal(at[2], 0x10000);
    assert_int_equal(at[3], 0x20000);
    assert_int_equal(list(viommu, R(0x8ffff, 0xfffff), at), 1);
    assert_int_equal(list(viommu, R(0, 0x82000), at), 2);
    assert_int_equal(list(viommu, R(0, 0x7ffff), at), 0);
    assert_int_equal(list(viommu, R(0x90000, 0xfffff), at), 0);
    assert_int_equal(
        iovageom_viommu_translate_back(viommu, 1, R(0x83010, 0x84020), true, NULL, &mapping), 0);
    assert_true(iovageom_range_equal(mapping.range, R(0x100000, 0x10ffff)));
    assert_int_equal(mapping.phys, 0x80000);
    assert_int_equal(mapping.flags, RW);
    assert_int_equal(
        iovageom_viommu_translate_back(viommu, 1, R(0x83010, 0x84020), true, &mapping, &mapping),
        0);
    assert_int_equal(mapping.range.start, 0x1000);
    assert_int_equal(
        iovageom_viommu_translate_back(viommu, 1, R(0x83010, 0x84020), true, &mapping, &mapping),
        IOVAGEOM_ERR_FAULT);
    assert_int_equal(mapping.range.start, 0x1000);
    assert_int_equal(
        iovageom_viommu_translate_back(viommu, 1, R(0x8ffff, 0x90000), true, NULL, &mapping),
        IOVAGEOM_ERR_FAULT);
}

static void several_come_by_address_then_by_iova(void **state)
{
    (void)state;
    for (int indexed = 0; indexed < 2; indexed++) {
        struct iovageom_viommu *viommu = books(indexed == 1);
        struct iovageom_mapping mapping = {R(0x100000, 0x10ffff), 0x80000, RW};
        uint64_t at[8] = {0};

        fill(viommu);
        check_order(viommu);
        /* Going on after one that went meanwhile. */
        assert_int_equal(iovageom_viommu_unmap(viommu, DOMAIN, mapping.range, NULL, NULL), 0);
        assert_int_equal(iovageom_viommu_translate_back(viommu, ENDPOINT, R(0x83000, 0x83000),
                                                        false, &mapping, &mapping),
                         0);
        assert_int_equal(mapping.range.start, 0x1000);
        assert_int_equal(iovageom_viommu_unmap(viommu, DOMAIN, R(0, 0x10fff), NULL, NULL), 0);
        assert_int_equal(list(viommu, ALL, at), 1);
        assert_int_equal(iovageom_viommu_unmap(viommu, DOMAIN, R(0x20000, 0x20fff), NULL, NULL), 0);
        assert_int_equal(list(viommu, ALL, at), 0);
        iovageom_viommu_free(viommu);
    }
}

static void the_ends_of_memory(void **state)
{
    (void)state;
    for (int indexed = 0; indexed < 2; indexed++) {
        struct iovageom_viommu *viommu = books(indexed == 1);
        struct iovageom_mapping found = {.phys = 9};
        uint64_t at[4] = {0};

        assert_int_equal(attach(viommu), 0);
        assert_int_equal(map(viommu, 0, UINT64_MAX, 0), 0);
        assert_int_equal(iovageom_viommu_translate_back(viommu, 1, ALL, true, NULL, &found), 0);
        assert_true(iovageom_range_equal(found.range, ALL) && found.phys == 0);
        assert_int_equal(iovageom_viommu_unmap(viommu, DOMAIN, ALL, NULL, NULL), 0);
        assert_int_equal(map(viommu, 0, 0xfff, UINT64_MAX - 0xfff), 0);
        assert_int_equal(map(viommu, UINT64_MAX - 0xfff, UINT64_MAX, 0), 0);
        assert_int_equal(list(viommu, ALL, at), 2);
        assert_int_equal(at[0], UINT64_MAX - 0xfff);
        assert_int_equal(list(viommu, R(UINT64_MAX, UINT64_MAX), at), 1);
        assert_int_equal(at[0], 0);
        iovageom_viommu_free(viommu);
    }
}

/* All keys that differ from one in a single bit, longer and longer: the deepest index there is. */
static void a_guest_that_digs_deep(void **state)
{
    struct iovageom_viommu *viommu = books(true);
    uint64_t at[128] = {0};
    size_t count = 0;

    (void)state;
    assert_int_equal(attach(viommu), 0);
    for (unsigned bit = 63; bit > 12; bit--, count++)
        assert_int_equal(map(viommu, UINT64_C(1) << bit, (UINT64_C(1) << bit) + 0xfff, 0), 0);
    assert_int_equal(list(viommu, R(0xfff, 0xfff), at), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(at[i], UINT64_C(1) << (13 + i));
    for (unsigned bit = 13; bit <= 63; bit += 2, count--)
        assert_int_equal(iovageom_viommu_unmap(viommu, DOMAIN,
                                               R(UINT64_C(1) << bit, (UINT64_C(1) << bit) + 0xfff),
                                               NULL, NULL),
                         0);
    assert_int_equal(list(viommu, R(0, 0), at), count);
    assert_int_equal(at[0], UINT64_C(1) << 14);
    iovageom_viommu_free(viommu);
}

/* The n-th allocation fails: what was there is found as before, and nothing is left behind. */
static void a_map_comes_with_its_index_or_not_at_all(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        struct iovageom_viommu *viommu = books(true);
        unsigned failed = 0;

        fill(viommu);
        for (uint64_t i = 0; i < 200; i++)
            for (unsigned n = 1;; n++) {
                const uint64_t start = 0x1000000 + i * 0x2000;
                uint64_t at[2] = {0};
                int status;

                test_allocator_fail_at(&memory, n, for_good == 1);
                status = map(viommu, start, start + 0xfff, 0x1000000 + (i * 77 % 256) * 0x1000);
                if (!test_allocator_stop_failing(&memory)) {
                    assert_int_equal(status, 0);
                    break;
                }
                failed++;
                assert_int_equal(status, IOVAGEOM_ERR_NO_MEMORY);
                assert_int_equal(list(viommu,
                                      R(0x1000000 + (i * 77 % 256) * 0x1000,
                                        0x1000000 + (i * 77 % 256) * 0x1000),
                                      at),
                                 0);
                check_order(viommu);
                test_check(viommu);
            }
        assert_true(failed >= 200);
        iovageom_viommu_free(viommu);
        assert_int_equal(test_allocator_live(&memory), 0);
    }
}

/*
 * A request waits for its host while another MAP finds no memory: for its index, after the ledger
 * had room made for it. The one that waits must not go by a place in what has been freed.
 */
static void a_map_that_fails_spares_the_request_that_waits(void **state)
{
    const struct iovageom_virtio_request kinds[] = {
        {.type = IOVAGEOM_VIRTIO_T_MAP,
         .domain = DOMAIN,
         .virt = R(0, 0xfff),
         .phys = 0x5000,
         .flags = RW},
        {.type = IOVAGEOM_VIRTIO_T_UNMAP, .domain = DOMAIN, .virt = R(0x10000, 0x10fff)},
    };

    (void)state;
    for (size_t kind = 0; kind < 2; kind++)
        for (uint64_t count = 1; count < 70; count++)
            for (unsigned n = 1;; n++) {
                struct iovageom_viommu_transaction waits;
                struct iovageom_viommu *viommu = books(true);
                struct iovageom_viommu_domain domain;
                uint8_t bytes[72], tail[4];
                bool hit;
                size_t size;
                int status;

                assert_int_equal(attach(viommu), 0);
                for (uint64_t i = 1; i <= count; i++)
                    assert_int_equal(map(viommu, i << 16, (i << 16) + 0xfff, i << 12), 0);
                assert_int_equal(iovageom_guest_encode_request(&kinds[kind], bytes, 72, &size), 0);
                iovageom_viommu_request_begin(viommu, bytes, size, 4, &waits, NULL);
                assert_int_equal(waits.status, 0);
                test_allocator_fail_at(&memory, n, false);
                status = map(viommu, 0x8000, 0x8fff, 0x9000);
                hit = test_allocator_stop_failing(&memory);
                assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : 0);
                assert_int_equal(iovageom_viommu_request_end(viommu, &waits, 0, tail, 4, NULL), 4);
                assert_int_equal(tail[0], IOVAGEOM_VIRTIO_S_OK);
                test_check(viommu);
                assert_int_equal(iovageom_viommu_domain(viommu, DOMAIN, &domain), 0);
                assert_int_equal(domain.mappings, count + !hit + (kind == 0) - (kind == 1));
                iovageom_viommu_free(viommu);
                assert_int_equal(test_allocator_live(&memory), 0);
                if (!hit)
                    break;
            }
}

static void what_goes_needs_no_memory_and_leaves_none(void **state)
{
    struct iovageom_viommu *viommu = books(true);
    size_t before;

    (void)state;
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    before = test_allocator_live(&memory);
    for (int way = 0; way < 3; way++) {
        fill(viommu);
        for (uint64_t i = 0; i < 500; i++)
            assert_int_equal(map(viommu, 0x1000000 + i * 0x1000, 0x1000fff + i * 0x1000, i << 12),
                             0);
        test_allocator_fail_at(&memory, 1, true);
        if (way == 0)
            assert_int_equal(iovageom_viommu_unmap(viommu, DOMAIN, ALL, NULL, NULL), 0);
        if (way <= 1)
            assert_int_equal(iovageom_viommu_detach(viommu, DOMAIN, ENDPOINT, NULL), 0);
        else
            iovageom_viommu_reset(viommu, false);
        assert_false(test_allocator_stop_failing(&memory));
        assert_int_equal(test_allocator_live(&memory), before);
    }
    iovageom_viommu_free(viommu);
}

/* The index is the destination's own choice. */
static void load_makes_it_anew(void **state)
{
    uint8_t bytes[2][4096];
    size_t length[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct iovageom_viommu *source = books(i == 1);

        fill(source);
        assert_int_equal(iovageom_viommu_save(source, bytes[i], sizeof(bytes[i]), &length[i]), 0);
        iovageom_viommu_free(source);
    }
    assert_int_equal(length[0], length[1]);
    assert_memory_equal(bytes[0], bytes[1], length[0]);
    for (unsigned n = 1;; n++) {
        struct iovageom_viommu *loaded = books(true);
        int status;

        test_allocator_fail_at(&memory, n, false);
        status = iovageom_viommu_load(loaded, bytes[0], length[0], 0, NULL);
        if (!test_allocator_stop_failing(&memory)) {
            assert_int_equal(status, 0);
            check_order(loaded);
            iovageom_viommu_free(loaded);
            break;
        }
        assert_int_equal(status, IOVAGEOM_ERR_NO_MEMORY);
        assert_int_equal(iovageom_viommu_load(loaded, bytes[1], length[1], 0, NULL), 0);
        check_order(loaded);
        iovageom_viommu_free(loaded);
        assert_int_equal(test_allocator_live(&memory), 0);
    }
}

static int setup(void **state)
{
    (void)state;
    test_allocator_init(&memory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(test_allocator_live(&memory), 0);
    return 0;
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(several_come_by_address_then_by_iova),
        test(the_ends_of_memory),
        test(a_guest_that_digs_deep),
        test(a_map_comes_with_its_index_or_not_at_all),
        test(a_map_that_fails_spares_the_request_that_waits),
        test(what_goes_needs_no_memory_and_leaves_none),
        test(load_makes_it_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

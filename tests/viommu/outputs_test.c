/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What calls do to what they are handed: a report is emptied first, whatever comes of the call, and
 * outputs are written on success, or when it is said so, and else left alone.
 */
#include "geometry/internal.h"
#include "support/test_viommu.h"

#include <iovageom/iovageom.h>

#include "support/test_photo.h"

#include "support/viommu_check.h"

#define OWN IOVAGEOM_VIOMMU_OWN

static struct iovageom_report report;

static int set_up(void **state)
{
    (void)state;
    iovageom_report_init(&report, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    iovageom_report_deinit(&report);
    return 0;
}

static void assert_fresh(int line)
{
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        const char *detail = iovageom_report_at(&report, i)->detail;

        if (detail != NULL && strcmp(detail, TEST_REPORT_SOIL) == 0)
            fail_msg("line %d: the report has a finding of an earlier call", line);
    }
}

/* The call answers `status`, and its report speaks of nothing else. */
#define SAYS(call, status)                                                                         \
    do {                                                                                           \
        test_report_soil(&report);                                                                 \
        assert_int_equal(call, status);                                                            \
        assert_fresh(__LINE__);                                                                    \
    } while (0)

/* The same, and it has nothing to say. */
#define SAYS_NOTHING(call, status)                                                                 \
    do {                                                                                           \
        SAYS(call, status);                                                                        \
        assert_int_equal(iovageom_report_count(&report), 0);                                       \
    } while (0)

static void reports_on_geometries_are_fresh(void **state)
{
    struct iovageom_geometry *good = test_host(NULL, "good", 39, PAGES_4K), *empty, *met = NULL;
    const struct iovageom_geometry *hosts[2] = {good, good};
    char name[IOVAGEOM_NAME_SIZE + 1];

    (void)state;
    memset(name, 'x', sizeof(name));
    name[IOVAGEOM_NAME_SIZE] = 0;
    assert_int_equal(iovageom_geometry_new(NULL, "empty", &empty), 0);
    assert_int_equal(iovageom_geometry_add_usable(empty, NULL, 0, IOVAGEOM_SOURCE_VFIO), 0);
    SAYS_NOTHING(iovageom_geometry_explain(good, R(0, 0xfff), &report), 0);
    SAYS(iovageom_geometry_explain(good, R(1, 0), &report), IOVAGEOM_ERR_INVERTED);
    SAYS(iovageom_geometry_explain(good, R(0xfee00000, 0xfee00fff), &report),
         IOVAGEOM_ERR_RESERVED);
    SAYS_NOTHING(iovageom_geometry_check(good, &report), 0);
    SAYS(iovageom_plan_envelope(NULL, hosts, 2, "pool", NULL, NULL, &report), 0);
    SAYS_NOTHING(iovageom_plan_envelope(NULL, hosts, 2, name, NULL, &met, &report),
                 IOVAGEOM_ERR_INVALID);
    hosts[1] = empty;
    SAYS(iovageom_plan_envelope(NULL, hosts, 2, "pool", NULL, &met, &report),
         IOVAGEOM_ERR_NOTHING_USABLE);
    assert_null(met);
    iovageom_geometry_free(good);
    iovageom_geometry_free(empty);
}

/* Each host of a pool is asked what it leaves open, the first and the last one too. */
static void doubts_about_each_host_are_noted(void **state)
{
    struct iovageom_geometry *sure = test_host(NULL, "sure", 39, PAGES_4K);
    struct iovageom_geometry *unsure = test_host(NULL, "unsure", 39, PAGES_4K);

    (void)state;
    assert_int_equal(iovageom_geometry_add_incomplete(unsure, IOVAGEOM_SOURCE_SYSFS), 0);
    for (size_t at = 0; at < 3; at++) {
        const struct iovageom_geometry *hosts[3] = {sure, sure, sure};
        size_t without, named = 0;

        SAYS(iovageom_plan_envelope(NULL, hosts, 3, "pool", NULL, NULL, &report), 0);
        without = iovageom_report_count(&report);
        hosts[at] = unsure;
        SAYS(iovageom_plan_envelope(NULL, hosts, 3, "pool", NULL, NULL, &report), 0);
        for (size_t i = 0; i < iovageom_report_count(&report); i++) {
            const struct iovageom_finding *finding = iovageom_report_at(&report, i);

            named += finding->kind == IOVAGEOM_FINDING_INCOMPLETE && !finding->fatal &&
                     strcmp(finding->owner.name, "unsure") == 0;
        }
        assert_int_equal(named, 1);
        assert_true(iovageom_report_count(&report) > without);
    }
    iovageom_geometry_free(sure);
    iovageom_geometry_free(unsure);
}

static void reports_of_plans_are_fresh(void **state)
{
    struct iovageom_geometry *good = test_host(NULL, "good", 39, PAGES_4K);
    struct iovageom_region list[3] = {{R(0x1000, 0x1fff), IOVAGEOM_RESV_RESERVED, 0},
                                      {R(0x3000, 0x3fff), IOVAGEOM_RESV_RESERVED, 0},
                                      {R(0x2000, 0x2fff), IOVAGEOM_RESV_RESERVED, 0}};
    struct iovageom_piece piece = {
        .range = R(0x100000, 0x1fffff), .kind = IOVAGEOM_PIECE_RAM, .alignment = 1, .limits = ALL};
    struct iovageom_probe_plan plan;
    struct iovageom_layout_plan layout;
    struct iovageom_region out[4];
    uint8_t bytes[512];

    (void)state;
    SAYS_NOTHING(iovageom_plan_probe(list, 2, SIZE_MAX, out, 4, &plan, &report), 0);
    SAYS(iovageom_plan_probe(list, 3, SIZE_MAX, out, 4, &plan, &report), IOVAGEOM_ERR_OVERLAP);
    SAYS(iovageom_plan_probe(list, 2, 0, out, 4, &plan, &report), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    SAYS(iovageom_plan_probe(list, 2, 24, out, 4, &plan, &report), 0);
    SAYS_NOTHING(iovageom_plan_probe_encode(NULL, good, 0x1000, ALL, bytes, 512, &plan, &report),
                 0);
    SAYS(iovageom_plan_probe_encode(NULL, good, 0x1001, ALL, bytes, 512, &plan, &report),
         IOVAGEOM_ERR_INVALID);
    SAYS(iovageom_plan_probe_encode(NULL, good, 0x1000, R(1, 0), bytes, 512, &plan, &report),
         IOVAGEOM_ERR_INVERTED);
    SAYS_NOTHING(iovageom_plan_layout(NULL, good, 0x1000, &piece, 1, NULL, 0, &layout, &report), 0);
    SAYS(iovageom_plan_layout(NULL, good, 3, &piece, 1, NULL, 0, &layout, &report),
         IOVAGEOM_ERR_INVALID);
    piece.range.start = 0x200000;
    SAYS(iovageom_plan_layout(NULL, good, 0x1000, &piece, 1, NULL, 0, &layout, &report),
         IOVAGEOM_ERR_INVERTED);
    iovageom_geometry_free(good);
}

static void reports_of_a_guest_are_fresh(void **state)
{
    const struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
    struct iovageom_virtio_config config = {0x1000, ALL, 0, UINT32_MAX, 24, 0};
    uint8_t bytes[24] = {1, 0, 20, 0, 1};
    struct iovageom_region out[4];
    size_t count;

    (void)state;
    bytes[16] = 0xff;
    bytes[17] = 0x0f;
    SAYS_NOTHING(iovageom_guestview_probe(&kernel, &config, bytes, 24, out, 4, &count, &report), 0);
    assert_int_equal(count, 1);
    assert_int_equal(out[0].type, IOVAGEOM_RESV_MSI);
    /* The reserved bytes beside the subtype say nothing. */
    for (size_t i = 5; i < 8; i++) {
        bytes[i] = 0xff;
        SAYS_NOTHING(iovageom_guestview_probe(&kernel, &config, bytes, 24, out, 4, &count, &report),
                     0);
        assert_int_equal(count, 1);
        assert_int_equal(out[0].type, IOVAGEOM_RESV_MSI);
        assert_int_equal(out[0].range.last, 0xfff);
    }
    config.page_size_mask = 0;
    SAYS(iovageom_guestview_probe(&kernel, &config, bytes, 24, out, 4, &count, &report),
         IOVAGEOM_ERR_INVALID);
}

static void reports_of_the_books_are_fresh(void **state)
{
    const struct iovageom_range identity = {0, 0xfff}, inverted = {1, 0};
    struct iovageom_geometry *host = test_host(NULL, "host", 39, PAGES_4K);
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[4];
    static uint8_t bytes[4096];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    iovageom_plug_options_init(&where);
    where.flags = 0x80;
    SAYS_NOTHING(iovageom_viommu_set_envelope(viommu, host, &report), 0);
    SAYS_NOTHING(iovageom_viommu_set_envelope(viommu, NULL, &report), 0);
    SAYS_NOTHING(iovageom_viommu_set_identity(viommu, &identity, 1, &report), 0);
    SAYS(iovageom_viommu_set_identity(viommu, &inverted, 1, &report), IOVAGEOM_ERR_INVERTED);
    SAYS_NOTHING(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_SLOT, &report), 0);
    SAYS(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_SLOT, &report),
         IOVAGEOM_ERR_EXISTS);
    SAYS(iovageom_viommu_declare(viommu, 2, OWN, IOVAGEOM_ENDPOINT_DEVICE, &report),
         IOVAGEOM_ERR_INVALID);
    SAYS_NOTHING(iovageom_viommu_plug_check(viommu, 1, NULL, host, &report), 0);
    SAYS(iovageom_viommu_plug_check(viommu, 1, &where, host, &report), IOVAGEOM_ERR_INVALID);
    SAYS(iovageom_viommu_plug(viommu, 1, &where, host, &report), IOVAGEOM_ERR_INVALID);
    SAYS(iovageom_viommu_plug_prepare(viommu, 1, &where, host, &report), IOVAGEOM_ERR_INVALID);
    SAYS_NOTHING(iovageom_viommu_plug_prepare(viommu, 1, NULL, host, &report), 0);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, 1), 0);
    SAYS_NOTHING(iovageom_viommu_plug(viommu, 1, NULL, host, &report), 0);
    SAYS_NOTHING(iovageom_viommu_update(viommu, 1, host, 0, &report), 0);
    SAYS(iovageom_viommu_update(viommu, 2, host, 0, &report), IOVAGEOM_ERR_NOT_FOUND);
    SAYS(iovageom_viommu_load(viommu, bytes, 3, 0, &report), IOVAGEOM_ERR_TRUNCATED);
    SAYS_NOTHING(iovageom_viommu_freeze(viommu, &report), 0);
    SAYS_NOTHING(iovageom_viommu_freeze(viommu, &report), 0);
    SAYS(iovageom_viommu_load(viommu, bytes, 3, 0, &report), IOVAGEOM_ERR_STATE);
    SAYS(iovageom_viommu_set_envelope(viommu, host, &report), IOVAGEOM_ERR_FROZEN);
    SAYS_NOTHING(iovageom_viommu_driver_features(viommu, UINT32_MAX, &report), 0);
    SAYS_NOTHING(iovageom_viommu_set_bypass(viommu, 1, &report), 0);
    SAYS(iovageom_viommu_set_bypass(viommu, 2, &report), IOVAGEOM_ERR_INVALID);
    SAYS_NOTHING(iovageom_viommu_told(viommu, 1, regions, 4, &count, &report), 0);
    SAYS(iovageom_viommu_told(viommu, 2, regions, 4, &count, &report), IOVAGEOM_ERR_NOT_FOUND);
    SAYS_NOTHING(
        iovageom_status_virtio(iovageom_viommu_probe(viommu, 1, bytes, 4096, &count, &report)), 0);
    SAYS(iovageom_status_virtio(iovageom_viommu_probe(viommu, 2, bytes, 4096, &count, &report)),
         IOVAGEOM_VIRTIO_S_NOENT);
    SAYS(iovageom_status_virtio(iovageom_viommu_probe(viommu, 1, bytes, 24, &count, &report)),
         IOVAGEOM_VIRTIO_S_INVAL);
    SAYS_NOTHING(iovageom_status_virtio(iovageom_viommu_attach_check(viommu, 1, 1, 0, &report)), 0);
    SAYS_NOTHING(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, &report)), 0);
    SAYS_NOTHING(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, &report)), 0);
    SAYS(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 2, 0, &report)),
         IOVAGEOM_VIRTIO_S_NOENT);
    SAYS_NOTHING(iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0, 0xfff), 0, 1, &report)),
                 0);
    SAYS(iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0, 0xfff), 0, 1, &report)),
         IOVAGEOM_VIRTIO_S_INVAL);
    SAYS_NOTHING(
        iovageom_status_virtio(iovageom_viommu_unmap_check(viommu, 1, R(0, 0xfff), &report)), 0);
    SAYS_NOTHING(
        iovageom_status_virtio(iovageom_viommu_unmap(viommu, 1, R(0, 0xfff), NULL, &report)), 0);
    SAYS(iovageom_status_virtio(iovageom_viommu_unmap(viommu, 2, R(0, 0xfff), NULL, &report)),
         IOVAGEOM_VIRTIO_S_NOENT);
    SAYS_NOTHING(iovageom_status_virtio(iovageom_viommu_detach_check(viommu, 1, 1, &report)), 0);
    SAYS_NOTHING(iovageom_status_virtio(iovageom_viommu_detach(viommu, 1, 1, &report)), 0);
    SAYS(iovageom_status_virtio(iovageom_viommu_detach(viommu, 1, 1, &report)),
         IOVAGEOM_VIRTIO_S_INVAL);
    SAYS_NOTHING(test_viommu_check(viommu, false, &report), 0);
    iovageom_geometry_free(host);
    iovageom_viommu_free(viommu);
}

/* ---- what is not known is not written ---- */

#define UNTOUCHED UINT64_C(0xeeeeeeeeeeeeeeee)

static void questions_without_an_answer_write_nothing(void **state)
{
    struct iovageom_geometry *empty, *none;
    struct iovageom_range range = {UNTOUCHED, UNTOUCHED};
    uint64_t number = UNTOUCHED;
    unsigned bits = 77;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "empty", &empty), 0);
    assert_int_equal(iovageom_geometry_known_range(empty, &range), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_gaw(empty, &bits), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_page_sizes(empty, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_alignment(empty, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_granule(empty, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_map_budget(empty, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_add_gaw(empty, 0, IOVAGEOM_SOURCE_USER),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_add_gaw(empty, 65, IOVAGEOM_SOURCE_USER),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_knows(empty), 0);
    assert_int_equal(iovageom_geometry_new(NULL, "none", &none), 0);
    assert_int_equal(iovageom_geometry_add_usable(none, NULL, 0, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(none, 0, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_gaw(none, &bits), IOVAGEOM_ERR_NOTHING_USABLE);
    assert_int_equal(iovageom_geometry_granule(none, &number), IOVAGEOM_ERR_NOTHING_USABLE);
    assert_int_equal(range.start & range.last, UNTOUCHED);
    assert_int_equal(number, UNTOUCHED);
    assert_int_equal(bits, 77);
    assert_int_equal(iovageom_geometry_page_sizes(none, &number), 0);
    assert_int_equal(number, 0);
    iovageom_geometry_free(empty);
    iovageom_geometry_free(none);
}

/* Every granule that is none is refused as such, whatever the registers say: large ones too. */
static void granules_that_are_none_are_refused(void **state)
{
    struct iovageom_host_limits limits = {.gaw = 77};

    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t granule = (uint64_t)1 << shift;
        const bool known = granule == 0x1000 || granule == 0x4000 || granule == 0x10000;

        for (uint32_t idr5 = 0; idr5 < 0x80; idr5 += 0x10) {
            const int status = iovageom_host_smmuv3(0xa, idr5 | 5, granule, 48,
                                                    IOVAGEOM_STAGE_DEFAULT, 0, &limits);

            if (!known) {
                assert_int_equal(status, IOVAGEOM_ERR_INVALID);
                assert_int_equal(limits.gaw, 77);
            } else {
                assert_true(status == 0 || status == IOVAGEOM_ERR_UNSUPPORTED);
                limits.gaw = 77;
            }
        }
    }
}

/* Every output size of stage 2, the reserved one included, as far as the tables go. */
static void every_output_size_is_read(void **state)
{
    static const uint32_t most_64k[] = {32, 36, 40, 42, 44, 48, 52, 48};
    struct iovageom_host_limits limits;

    (void)state;
    for (uint32_t oas = 0; oas < 8; oas++)
        for (uint32_t rules = IOVAGEOM_LINUX_ANY; rules <= IOVAGEOM_LINUX_7_3; rules++)
            for (unsigned shift = 12; shift <= 16; shift += 2) {
                const uint32_t most = shift == 16 || most_64k[oas] < 48 ? most_64k[oas] : 48;

                assert_int_equal(iovageom_host_smmuv3(0x9, 0x70 | oas, (uint64_t)1 << shift, 48,
                                                      IOVAGEOM_STAGE_SECOND, rules, &limits),
                                 0);
                assert_int_equal(limits.gaw, most);
                assert_int_equal((limits.page_sizes >> 42) & 1, shift == 16 && oas == 6);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_on_geometries_are_fresh),
        cmocka_unit_test(doubts_about_each_host_are_noted),
        cmocka_unit_test(reports_of_plans_are_fresh),
        cmocka_unit_test(reports_of_a_guest_are_fresh),
        cmocka_unit_test(reports_of_the_books_are_fresh),
        cmocka_unit_test(questions_without_an_answer_write_nothing),
        cmocka_unit_test(granules_that_are_none_are_refused),
        cmocka_unit_test(every_output_size_is_read),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

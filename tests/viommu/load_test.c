/* SPDX-License-Identifier: BSD-3-Clause */
/* What books are loaded beside, and that whatever can be saved can be loaded. */
#include "support/test_viommu.h"

static struct iovageom_viommu *books(const struct iovageom_viommu_config *config)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(NULL, config, &viommu), 0);
    return viommu;
}

/* ---- what was accepted, not what was offered (issue 11, item 11) ---- */

#define ALMOST_NOTHING (IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_INPUT_RANGE)

/* What books with an emulated endpoint save once a driver has accepted that. */
static size_t stream_of(uint32_t accepted, uint8_t *stream, size_t size)
{
    struct iovageom_viommu *viommu = books(NULL);
    size_t length;

    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_driver_features_check(viommu, accepted, NULL), 0);
    iovageom_viommu_driver_features(viommu, accepted);
    assert_int_equal(iovageom_viommu_save(viommu, stream, size, &length), 0);
    iovageom_viommu_free(viommu);
    return length;
}

/* A destination that a driver with PROBE could be told of, and one without can't. */
enum secret { A_DEVICE, A_REGION, AN_ENVELOPE, SECRETS };

static struct iovageom_viommu *destination(enum secret secret)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_geometry *geometry = test_host(NULL, "39", 39, PAGES_4K);

    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    if (secret == A_DEVICE)
        assert_int_equal(iovageom_viommu_plug(viommu, 2, NULL, geometry, NULL), 0);
    if (secret == A_REGION)
        assert_int_equal(iovageom_viommu_add_region(viommu, R(0x1000, 0x1fff),
                                                    IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_USER,
                                                    "user"),
                         0);
    if (secret == AN_ENVELOPE) {
        assert_int_equal(iovageom_viommu_set_envelope(viommu, geometry, NULL), 0);
        assert_int_equal(
            iovageom_viommu_declare(viommu, 2, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_SLOT, NULL),
            0);
    }
    iovageom_geometry_free(geometry);
    return viommu;
}

static void who_was_not_told_is_not_loaded_beside_it(void **state)
{
    struct iovageom_report report;
    uint8_t stream[512];

    (void)state;
    iovageom_report_init(&report, NULL);
    for (enum secret secret = A_DEVICE; secret < SECRETS; secret++)
        for (int told = 0; told < 2; told++) {
            const uint32_t accepted = ALMOST_NOTHING | (told ? IOVAGEOM_VIRTIO_F_PROBE : 0);
            const size_t length = stream_of(accepted, stream, sizeof(stream));
            struct iovageom_viommu *viommu = destination(secret);
            const int wanted = told ? 0 : IOVAGEOM_ERR_CONFLICT;

            assert_int_equal(iovageom_viommu_driver_features_check(viommu, accepted, &report),
                             wanted);
            assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, &report), wanted);
            assert_int_equal(iovageom_viommu_frozen(viommu), told);
            if (!told) {
                assert_int_equal(iovageom_report_count(&report), 1);
                assert_int_equal(iovageom_report_at(&report, 0)->kind,
                                 IOVAGEOM_FINDING_INPUT_RANGE);
            }
            test_check(viommu);
            iovageom_viommu_free(viommu);
        }
    iovageom_report_deinit(&report);
}

/* Nor does it come later, while the driver is there. */
static void who_was_not_told_gets_nobody_beside_it(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_geometry *geometry = test_host(NULL, "39", 39, PAGES_4K);
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_driver_features(viommu, ALMOST_NOTHING);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0x1000, 0x1fff), IOVAGEOM_RESV_RESERVED,
                                                IOVAGEOM_SOURCE_USER, "user"),
                     IOVAGEOM_ERR_UNSUPPORTED);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, geometry, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
    iovageom_viommu_reset(viommu, false);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, geometry, &report), 0);
    iovageom_viommu_driver_features(viommu, ALMOST_NOTHING);
    for (int frozen = 0; frozen < 2; frozen++) {
        assert_int_equal(iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                                                 IOVAGEOM_ENDPOINT_SLOT, &report),
                         IOVAGEOM_ERR_CONFLICT);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
        assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    }
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
    iovageom_report_deinit(&report);
}

/* ---- what can be saved can be loaded (issue 11, item 12) ---- */

/* Loads what `from` saves into `to`, which is like it; both are gone then. */
static void must_load(struct iovageom_viommu *from, struct iovageom_viommu *to)
{
    static uint8_t stream[4096];
    struct iovageom_report report;
    size_t length;
    int error;

    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_save(from, stream, sizeof(stream), &length), 0);
    error = iovageom_viommu_load(to, stream, length, 0, &report);
    if (error != 0)
        fail_msg("%d: %s", error, iovageom_report_text(&report));
    test_check(to);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(from);
    iovageom_viommu_free(to);
}

static struct iovageom_geometry *host_of(const char *name, struct iovageom_range first,
                                         struct iovageom_range second, uint64_t mask)
{
    const struct iovageom_range usable[] = {first, second};
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), 0);
    assert_int_equal(iovageom_geometry_add_usable(geometry, usable, 2, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, mask, IOVAGEOM_SOURCE_VFIO), 0);
    return geometry;
}

/* Books whose hosts share less than a granule, or one in the middle of scraps. */
static struct iovageom_viommu *hardly_anything_shared(bool some, bool strict)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST | (strict ? IOVAGEOM_VIOMMU_STRICT_INPUT : 0u);
    config.input_range = R(0, 0xfffff);
    viommu = books(&config);
    assert_int_equal(
        test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                  host_of("low", R(0, 0x17ff), R(0x4000, some ? 0x5fff : 0x47ff), 0x1000), NULL),
        0);
    assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN,
                               host_of("high", R(0x1000, 0x1fff), R(0x4200, 0xfffff), 0x1000),
                               NULL),
                     0);
    return viommu;
}

static void hosts_that_share_less_than_a_granule(void **state)
{
    struct iovageom_viommu *viommu;
    struct iovageom_virtio_config space;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    for (int strict = 0; strict < 2; strict++) {
        viommu = hardly_anything_shared(false, strict);
        assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_NOTHING_USABLE);
        assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
        assert_true(iovageom_range_equal(space.input_range, R(0, 0xfffff)));
        must_load(viommu, hardly_anything_shared(false, strict));

        /* From the first whole granule, not from the first address; what is given up is named. */
        viommu = hardly_anything_shared(true, strict);
        assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
        assert_int_equal(iovageom_report_count(&report), 2);
        assert_true(iovageom_range_equal(iovageom_report_at(&report, 0)->range, R(0x1000, 0x17ff)));
        assert_true(iovageom_range_equal(iovageom_report_at(&report, 1)->range, R(0x4200, 0x4fff)));
        assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
        assert_true(iovageom_range_equal(space.input_range, R(0x5000, 0x5fff)));
        must_load(viommu, hardly_anything_shared(true, strict));
    }
    iovageom_report_deinit(&report);
}

/* Without PROBE nobody could be told that they have nothing in common. */
static void hosts_that_share_nothing_need_probe(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
    config.input_range = R(0, 0xfffff);
    viommu = books(&config);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                               host_of("low", R(0, 0x17ff), R(0, 0x17ff), 0x1000), NULL),
                     0);
    assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN,
                               host_of("high", R(0x1000, 0xfffff), R(0x1000, 0xfffff), 0x1000),
                               &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, 2);
    /* The first one may be replaced by one that has. */
    iovageom_viommu_free(viommu);
    viommu = books(&config);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                               host_of("low", R(0, 0x1fff), R(0, 0x1fff), 0x1000), NULL),
                     0);
    {
        struct iovageom_geometry *high =
            host_of("high", R(0x2000, 0xfffff), R(0x2000, 0xfffff), 0x1000);

        assert_int_equal(iovageom_viommu_update(viommu, 1, high, 0, NULL), 0);
        iovageom_geometry_free(high);
    }
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

static struct iovageom_viommu *with_probe_size_for_nothing(void)
{
    struct iovageom_viommu_config config;

    iovageom_viommu_config_init(&config);
    config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
    config.probe_size = 1024;
    return books(&config);
}

/* On page tables that can't map an identity range, while bypass is on or off. */
static struct iovageom_viommu *with_a_hole_in_the_identity(bool boot_bypass)
{
    const struct iovageom_range identity = R(0, 0xffff);
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.boot_bypass = boot_bypass;
    viommu = books(&config);
    assert_int_equal(iovageom_viommu_set_bypass(viommu, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_set_identity(viommu, &identity, 1, NULL), 0);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "hole", 48, PAGES_4K, R(0x1000, 0x1fff)), NULL),
                     0);
    return viommu;
}

static void what_was_saved_is_loaded(void **state)
{
    struct iovageom_viommu *viommu = with_probe_size_for_nothing();
    struct iovageom_report report;
    uint8_t stream[1024];
    size_t length;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    must_load(viommu, with_probe_size_for_nothing());

    /* Bypass is switched on beside an attached device that can't; detached, it faults, here and
       there. */
    viommu = with_a_hole_in_the_identity(false);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    assert_int_equal(iovageom_viommu_set_bypass(viommu, 1, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_detach(viommu, 1, 1, NULL)), 0);
    assert_int_equal(iovageom_viommu_translate(viommu, 1, R(0, 0), RW, NULL, 0, NULL, NULL),
                     IOVAGEOM_ERR_NOT_FOUND);
    must_load(viommu, with_a_hole_in_the_identity(true));

    /* One that could is not loaded where it can't, whatever another stream said before. */
    viommu = with_a_hole_in_the_identity(false);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    assert_int_equal(
        test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "whole", 48, PAGES_4K), NULL), 0);
    assert_int_equal(iovageom_viommu_set_bypass(viommu, 1, NULL), 0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length), 0);
    iovageom_viommu_free(viommu);
    viommu = with_a_hole_in_the_identity(false);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_RESERVED);
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_not_told_is_not_loaded_beside_it),
        cmocka_unit_test(who_was_not_told_gets_nobody_beside_it),
        cmocka_unit_test(hosts_that_share_less_than_a_granule),
        cmocka_unit_test(hosts_that_share_nothing_need_probe),
        cmocka_unit_test(what_was_saved_is_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

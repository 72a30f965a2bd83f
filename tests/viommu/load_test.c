/* SPDX-License-Identifier: BSD-3-Clause */
/* What books are loaded beside, and that whatever can be saved can be loaded. */
#include "support/test_allocator.h"
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
    assert_int_equal(iovageom_viommu_driver_features(viommu, accepted, NULL), 0);
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

            assert_int_equal(iovageom_viommu_driver_features(viommu, accepted, &report), wanted);
            iovageom_viommu_reset(viommu, false);
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
    assert_int_equal(iovageom_viommu_driver_features(viommu, ALMOST_NOTHING, NULL), 0);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0x1000, 0x1fff), IOVAGEOM_RESV_RESERVED,
                                                IOVAGEOM_SOURCE_USER, "user"),
                     IOVAGEOM_ERR_UNSUPPORTED);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, geometry, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
    iovageom_viommu_reset(viommu, false);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, geometry, &report), 0);
    assert_int_equal(iovageom_viommu_driver_features(viommu, ALMOST_NOTHING, NULL), 0);
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
    /* Nor one that shares nothing with the envelope, where there is no slot yet. */
    iovageom_viommu_free(viommu);
    viommu = books(&config);
    {
        struct iovageom_geometry *low = host_of("low", R(0, 0x17ff), R(0, 0x17ff), 0x1000);

        assert_int_equal(iovageom_viommu_set_envelope(viommu, low, NULL), 0);
        iovageom_geometry_free(low);
    }
    assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN,
                               host_of("high", R(0x1000, 0xfffff), R(0x1000, 0xfffff), 0x1000),
                               NULL),
                     IOVAGEOM_ERR_CONFLICT);
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

/* A driver that declines PROBE is refused once, for what all of them come to. */
static void hosts_that_share_nothing_are_reported_once(void **state)
{
    (void)state;
    for (int enveloped = 0; enveloped < 2; enveloped++) {
        struct iovageom_geometry *low = host_of("low", R(0, 0x17ff), R(0, 0x17ff), 0x1000);
        struct iovageom_viommu_config config;
        struct iovageom_viommu *viommu;
        struct iovageom_report report;

        iovageom_viommu_config_init(&config);
        config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
        config.input_range = R(0, 0xfffff);
        viommu = books(&config);
        if (enveloped)
            assert_int_equal(iovageom_viommu_set_envelope(viommu, low, NULL), 0);
        assert_int_equal(
            iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_SLOT, NULL),
            0);
        if (!enveloped)
            assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, low, NULL), 0);
        assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN,
                                   host_of("high", R(0x1000, 0xfffff), R(0x1000, 0xfffff), 0x1000),
                                   NULL),
                         0);
        iovageom_report_init(&report, NULL);
        assert_int_equal(iovageom_viommu_driver_features(
                             viommu, config.features & ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE, &report),
                         IOVAGEOM_ERR_CONFLICT);
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
        iovageom_report_deinit(&report);
        iovageom_viommu_free(viommu);
        iovageom_geometry_free(low);
    }
}

static struct iovageom_viommu *with_probe_size_for_nothing(void)
{
    struct iovageom_viommu_config config;

    iovageom_viommu_config_init(&config);
    config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
    config.probe_size = 1024;
    return books(&config);
}

/* Pages of one byte, and one of them alone between what is reserved. */
static struct iovageom_viommu *with_small_pages(void)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.page_size_mask = UINT64_MAX;
    viommu = books(&config);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "first", 48, 0, R(0x1, 0xfff)), NULL),
                     0);
    return viommu;
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

    /* A promise that begins with a single address: with pages of one byte it may. */
    viommu = with_small_pages();
    assert_int_equal(iovageom_viommu_probe(viommu, 1, stream, sizeof(stream), &length, NULL), 0);
    must_load(viommu, with_small_pages());

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

/* ---- is a destination fit: a dry run of loading (Q27, F14) ---- */

static struct iovageom_viommu *with_host(const struct iovageom_allocator *allocator,
                                         const struct iovageom_geometry *geometry)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(allocator, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, 9, NULL, geometry, NULL), 0);
    return viommu;
}

/* What a source of 48 bits saves: endpoint 9 was probed, and domain 4 has four mappings. */
static size_t migrating_stream(bool probed, bool mapped, uint8_t *stream, size_t size)
{
    static const uint64_t mappings[] = {0x10000, 0x7ffff00000, 0x9000000000, 0x21000};
    struct iovageom_geometry *geometry = test_host(NULL, "source", 48, PAGES_4K);
    struct iovageom_viommu *viommu = with_host(NULL, geometry);
    struct iovageom_region regions[8];
    size_t length, count;

    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    if (probed)
        assert_int_equal(test_probe(viommu, 9, regions, 8, &count), IOVAGEOM_VIRTIO_S_OK);
    if (mapped)
        assert_int_equal(iovageom_viommu_attach(viommu, 4, 9, 0, NULL), 0);
    for (size_t i = 0; mapped && i < 4; i++)
        assert_int_equal(
            iovageom_viommu_map(viommu, 4, R(mappings[i], mappings[i] + 0xfff), 0, RW, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, stream, size, &length), 0);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
    return length;
}

/* The answer of a dry run and of loading are the same, and only the second changes something. */
static int fit(const struct iovageom_geometry *destination, const uint8_t *stream, size_t length,
               struct iovageom_report *report)
{
    struct iovageom_viommu *viommu = with_host(NULL, destination);
    const int status = iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_CHECK, report);
    const size_t count = iovageom_report_count(report);

    assert_false(iovageom_viommu_frozen(viommu));
    test_check(viommu);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, report), status);
    assert_int_equal(iovageom_report_count(report), count);
    iovageom_viommu_free(viommu);
    return status;
}

static void Q27_destination_against_promises(void **state)
{
    struct iovageom_geometry *source = test_host(NULL, "source", 48, PAGES_4K);
    struct iovageom_geometry *narrow = test_host(NULL, "narrow", 39, PAGES_4K);
    struct iovageom_geometry *coarse = test_host(NULL, "coarse", 48, 0x10000);
    struct iovageom_geometry *silent;
    struct iovageom_report report;
    uint8_t stream[2048];
    size_t length = migrating_stream(true, false, stream, sizeof(stream));

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(fit(source, stream, length, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 0);
    assert_int_equal(fit(narrow, stream, length, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_string_equal(iovageom_report_text(&report),
                        "narrow reserves [0x8000000000,0xffffffffffff] (reserved), but a PROBE of "
                        "endpoint 9 promised the guest [0xfef00000,0xffffffffffff]; plug it before "
                        "the guest probes, or reserve that range from the start");
    assert_int_equal(fit(coarse, stream, length, &report), IOVAGEOM_ERR_CONFLICT);
    assert_string_equal(iovageom_report_text(&report),
                        "coarse maps no pages smaller than 0x10000, but the granule is 0x1000; "
                        "choose a granule of at least 0x10000 before the guest starts");
    /* What the destination does not say is no constraint. */
    assert_int_equal(iovageom_geometry_new(NULL, "silent", &silent), 0);
    assert_int_equal(fit(silent, stream, length, &report), 0);
    /* Without a PROBE nothing was promised that a narrow host can't keep. */
    length = migrating_stream(false, false, stream, sizeof(stream));
    assert_int_equal(fit(narrow, stream, length, &report), 0);
    iovageom_geometry_free(source);
    iovageom_geometry_free(narrow);
    iovageom_geometry_free(coarse);
    iovageom_geometry_free(silent);
    iovageom_report_deinit(&report);
}

static void F14_destination_against_live_mappings(void **state)
{
    struct iovageom_geometry *narrow = test_host(NULL, "narrow", 39, 0x1000);
    struct iovageom_geometry *wide = test_host(NULL, "wide", 48, 0x1000);
    struct iovageom_report report;
    uint8_t stream[2048];
    const size_t length = migrating_stream(false, true, stream, sizeof(stream));

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(fit(narrow, stream, length, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_string_equal(iovageom_report_text(&report),
                        "narrow reserves [0x8000000000,0xffffffffffffffff] (reserved), where "
                        "domain 4 already maps [0x9000000000,0x9000000fff]");
    assert_int_equal(fit(wide, stream, length, &report), 0);
    assert_int_equal(iovageom_geometry_add_map_budget(wide, 3, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(fit(wide, stream, length, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_BUDGET);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 4);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 3);
    iovageom_geometry_free(narrow);
    iovageom_geometry_free(wide);
    iovageom_report_deinit(&report);
}

static void every_allocation_of_a_dry_run_may_fail(void **state)
{
    struct iovageom_geometry *narrow = test_host(NULL, "narrow", 39, PAGES_4K);
    uint8_t stream[2048];
    const size_t length = migrating_stream(true, true, stream, sizeof(stream));

    (void)state;
    for (unsigned n = 1, hit = 1; hit != 0; n++) {
        struct iovageom_viommu *viommu;
        struct test_allocator memory;
        int status;

        test_allocator_init(&memory);
        viommu = with_host(&memory.allocator, narrow);
        test_allocator_fail_at(&memory, n, n % 2 == 0);
        status = iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_CHECK, NULL);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_ERR_CONFLICT);
        assert_false(iovageom_viommu_frozen(viommu));
        iovageom_viommu_free(viommu);
        assert_int_equal(test_allocator_live(&memory), 0);
    }
    iovageom_geometry_free(narrow);
}

/* What was told at the source is told by another object here: a PROBE may get another answer. */
static void a_load_begins_a_generation(void **state)
{
    struct iovageom_viommu *source = books(NULL), *viommu = books(NULL);
    struct iovageom_viommu_promise old, now;
    struct iovageom_region told[16];
    uint8_t stream[512];
    size_t length, count;

    (void)state;
    assert_int_equal(iovageom_viommu_declare(source, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(test_probe(source, 1, told, 16, &count), 0);
    assert_int_equal(iovageom_viommu_promise(source, 1, &old, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(old.generation, old.now);
    assert_int_equal(iovageom_viommu_save(source, stream, sizeof(stream), &length), 0);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_CHECK, NULL), 0);
    assert_int_equal(iovageom_viommu_promise(viommu, 1, &now, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(now.now, old.now);
    assert_int_equal(now.generation, 0);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_promise(viommu, 1, &now, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(now.generation, old.generation);
    assert_int_equal(now.now, old.now + 1);
    iovageom_viommu_free(source);
    iovageom_viommu_free(viommu);
}

/* What a VMM had set before a load that is refused, or taken back, is as it was. */
static void a_refused_load_leaves_bypass(void **state)
{
    uint8_t stream[512];
    const size_t length = stream_of(ALMOST_NOTHING, stream, sizeof(stream));

    (void)state;
    for (uint32_t bypass = 0; bypass < 2; bypass++)
        for (uint32_t boot = 0; boot < 2; boot++)
            for (int good = 0; good < 2; good++) {
                struct iovageom_viommu_config config;
                struct iovageom_virtio_config space;
                struct iovageom_viommu *viommu;

                iovageom_viommu_config_init(&config);
                config.boot_bypass = boot;
                viommu = books(&config);
                if (good)
                    assert_int_equal(
                        iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
                assert_int_equal(iovageom_viommu_set_bypass(viommu, bypass, NULL), 0);
                assert_int_equal(
                    iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_CHECK, NULL),
                    good ? 0 : IOVAGEOM_ERR_CONFLICT);
                assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
                assert_int_equal(space.bypass, bypass);
                iovageom_viommu_free(viommu);
            }
}

/*
 * A driver may have mapped device memory, and attached an endpoint to a domain in bypass, before it
 * says that it accepts neither. What is there stays, and is loaded.
 */
static void what_was_accepted_once_is_loaded(void **state)
{
    const uint32_t both = IOVAGEOM_VIRTIO_F_MMIO | IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
    const uint32_t mmio = RW | IOVAGEOM_VIRTIO_MAP_F_MMIO;
    struct iovageom_viommu *source = books(NULL), *viommu = books(NULL);
    struct iovageom_viommu_config config;
    struct iovageom_mapping mapping;
    struct iovageom_viommu_domain domain;
    struct iovageom_report report;
    uint8_t stream[1024], again[1024];
    size_t length, other;

    (void)state;
    iovageom_viommu_config_init(&config);
    for (uint32_t endpoint = 1; endpoint < 3; endpoint++) {
        assert_int_equal(
            iovageom_viommu_declare(source, endpoint, endpoint, IOVAGEOM_ENDPOINT_EMULATED, NULL),
            0);
        assert_int_equal(
            iovageom_viommu_declare(viommu, endpoint, endpoint, IOVAGEOM_ENDPOINT_EMULATED, NULL),
            0);
    }
    assert_int_equal(iovageom_viommu_attach(source, 1, 1, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_map(source, 1, R(0, 0xfff), 0x1000, mmio, NULL), 0);
    assert_int_equal(iovageom_viommu_attach(source, 2, 2, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS, NULL),
                     0);
    assert_int_equal(iovageom_viommu_driver_features(source, config.features & ~both, NULL), 0);
    assert_int_equal(iovageom_viommu_save(source, stream, sizeof(stream), &length), 0);

    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_CHECK, &report), 0);
    if (iovageom_viommu_load(viommu, stream, length, 0, &report) != 0)
        fail_msg("%s", iovageom_report_text(&report));
    assert_true(iovageom_viommu_mapping_next(viommu, 1, 0, &mapping));
    assert_int_equal(mapping.flags, mmio);
    assert_int_equal(iovageom_viommu_domain(viommu, 2, &domain), 0);
    assert_int_equal(domain.bypass, 1);
    /* The driver here has accepted what it has accepted there. */
    assert_int_equal(iovageom_viommu_map(viommu, 1, R(0x1000, 0x1fff), 0, mmio, NULL),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_viommu_attach(viommu, 3, 1, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS, NULL),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_viommu_set_bypass(viommu, 0, NULL), IOVAGEOM_ERR_UNSUPPORTED);
    assert_int_equal(iovageom_viommu_save(viommu, again, sizeof(again), &other), 0);
    assert_int_equal(other, length);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(source);
    iovageom_viommu_free(viommu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_not_told_is_not_loaded_beside_it),
        cmocka_unit_test(who_was_not_told_gets_nobody_beside_it),
        cmocka_unit_test(hosts_that_share_less_than_a_granule),
        cmocka_unit_test(hosts_that_share_nothing_need_probe),
        cmocka_unit_test(hosts_that_share_nothing_are_reported_once),
        cmocka_unit_test(what_was_saved_is_loaded),
        cmocka_unit_test(Q27_destination_against_promises),
        cmocka_unit_test(F14_destination_against_live_mappings),
        cmocka_unit_test(a_load_begins_a_generation),
        cmocka_unit_test(a_refused_load_leaves_bypass),
        cmocka_unit_test(what_was_accepted_once_is_loaded),
        cmocka_unit_test(every_allocation_of_a_dry_run_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

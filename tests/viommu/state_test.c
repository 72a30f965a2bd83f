/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that come at the wrong time or with the wrong choice, by the status of each. */
#include "support/test_viommu.h"

#include "support/test_photo.h"

#define OWN IOVAGEOM_VIOMMU_OWN

static struct test_photo before, after;

static struct iovageom_viommu *books(const struct iovageom_viommu_config *config)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(NULL, config, &viommu), 0);
    return viommu;
}

static void assert_unchanged(const struct iovageom_viommu *viommu)
{
    test_photo_take(&after, viommu);
    assert_true(test_photo_same(&before, &after));
}

static int add_region(struct iovageom_viommu *viommu)
{
    return iovageom_viommu_add_region(viommu, R(0x100000, 0x1fffff), IOVAGEOM_RESV_RESERVED,
                                      IOVAGEOM_SOURCE_MACHINE, "late");
}

/* How a guest may come to have read the config space. */
static void freeze_by(struct iovageom_viommu *viommu, int way)
{
    uint8_t request[36] = {IOVAGEOM_VIRTIO_T_MAP}, tail[4], properties[4096];
    struct iovageom_viommu_transaction transaction;

    switch (way) {
    case 0:
        assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
        break;
    case 1:
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 9, 0, NULL)),
                         IOVAGEOM_VIRTIO_S_NOENT);
        break;
    case 2:
        assert_int_equal(
            iovageom_status_virtio(iovageom_viommu_probe(viommu, 9, properties, 4096, NULL, NULL)),
            IOVAGEOM_VIRTIO_S_NOENT);
        break;
    case 3:
        iovageom_viommu_request_begin(viommu, request, 36, 4, &transaction, NULL);
        assert_int_equal(iovageom_status_virtio(transaction.status), IOVAGEOM_VIRTIO_S_NOENT);
        break;
    default:
        assert_int_equal(iovageom_viommu_request(viommu, request, 36, tail, 4, NULL), 4);
        break;
    }
    assert_true(iovageom_viommu_frozen(viommu));
}

static void frozen_books_refuse_what_would_change_them(void **state)
{
    (void)state;
    for (int way = 0; way < 5; way++) {
        struct iovageom_geometry *envelope = test_host(NULL, "pool", 39, PAGES_4K);
        struct iovageom_viommu *viommu = books(NULL);
        struct iovageom_report report;
        uint8_t stream[512];
        size_t length;

        iovageom_report_init(&report, NULL);
        assert_false(iovageom_viommu_frozen(viommu));
        assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
        assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length),
                         IOVAGEOM_ERR_STATE);
        freeze_by(viommu, way);
        test_photo_take(&before, viommu);
        assert_int_equal(add_region(viommu), IOVAGEOM_ERR_FROZEN);
        test_report_soil(&report);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, envelope, &report),
                         IOVAGEOM_ERR_FROZEN);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, NULL, NULL), IOVAGEOM_ERR_FROZEN);
        assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length), 0);
        assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, NULL), IOVAGEOM_ERR_STATE);
        assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
        assert_unchanged(viommu);
        /* A reset, of the machine even, is no thaw. */
        iovageom_viommu_reset(viommu, true);
        assert_int_equal(add_region(viommu), IOVAGEOM_ERR_FROZEN);
        assert_int_equal(iovageom_viommu_thaw(viommu), 0);
        assert_int_equal(add_region(viommu), 0);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, envelope, NULL), 0);
        iovageom_geometry_free(envelope);
        iovageom_report_deinit(&report);
        iovageom_viommu_free(viommu);
    }
}

static void thaw_waits_for_the_guest_to_be_gone(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_region regions[4];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(test_probe(viommu, 1, regions, 4, &count), 0);
    assert_int_equal(iovageom_viommu_thaw(viommu), IOVAGEOM_ERR_STATE);
    assert_true(iovageom_viommu_frozen(viommu));
    iovageom_viommu_reset(viommu, false);
    assert_int_equal(iovageom_viommu_thaw(viommu), 0);
    assert_false(iovageom_viommu_frozen(viommu));
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    assert_int_equal(iovageom_viommu_thaw(viommu), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_detach(viommu, 1, 1, NULL)), 0);
    assert_int_equal(iovageom_viommu_thaw(viommu), 0);
    assert_int_equal(iovageom_viommu_thaw(viommu), 0);
    iovageom_viommu_free(viommu);
}

/* It waits, too, where the answer was that nothing can be mapped: two devices of a group leave
 * nothing. */
static void thaw_waits_whatever_was_answered(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_region regions[4];
    size_t count;

    (void)state;
    assert_int_equal(
        test_plug(viommu, 1, 5, test_host_with(NULL, "a", 39, 0, R(0, BIT39 / 2 - 1)), NULL), 0);
    assert_int_equal(
        test_plug(viommu, 2, 5, test_host_with(NULL, "b", 39, 0, R(BIT39 / 2, BIT39 - 1)), NULL),
        0);
    assert_int_equal(test_probe(viommu, 1, regions, 4, &count), 0);
    assert_int_equal(regions[0].range.start, 0);
    assert_int_equal(regions[count - 1].range.last, UINT64_MAX);
    assert_int_equal(iovageom_viommu_thaw(viommu), IOVAGEOM_ERR_STATE);
    iovageom_viommu_reset(viommu, false);
    assert_int_equal(iovageom_viommu_thaw(viommu), 0);
    iovageom_viommu_free(viommu);
}

/* Who is there already is named, a device or none. */
static void who_is_at_an_endpoint_is_named(void **state)
{
    struct iovageom_geometry *host = test_host(NULL, "newcomer", 39, PAGES_4K);
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(test_plug(viommu, 2, OWN, test_host(NULL, "first", 39, PAGES_4K), NULL), 0);
    for (uint32_t endpoint = 1; endpoint <= 2; endpoint++) {
        const struct iovageom_finding *finding;

        assert_int_equal(iovageom_viommu_plug(viommu, endpoint, NULL, host, &report),
                         IOVAGEOM_ERR_EXISTS);
        finding = iovageom_report_at(&report, 0);
        assert_int_equal(finding->kind, IOVAGEOM_FINDING_EXISTS);
        assert_int_equal(finding->endpoint, endpoint);
        assert_string_equal(finding->other.name, endpoint == 1 ? "an emulated endpoint" : "first");
    }
    iovageom_report_deinit(&report);
    iovageom_geometry_free(host);
    iovageom_viommu_free(viommu);
}

static void a_prepared_plug_waits_for_its_end(void **state)
{
    struct iovageom_geometry *host = test_host(NULL, "host", 39, PAGES_4K);
    struct iovageom_viommu *viommu = books(NULL);
    uint8_t stream[512];
    size_t length = 77;

    (void)state;
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_plug_commit(viommu, 1), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, 1), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, 1, NULL, host, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length),
                     IOVAGEOM_ERR_STATE);
    assert_int_equal(length, 77);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_viommu_update(viommu, 1, host, 0, NULL), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_viommu_undeclare(viommu, 1), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, host, NULL), IOVAGEOM_ERR_EXISTS);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_SLOT, NULL),
                     IOVAGEOM_ERR_EXISTS);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)),
                     IOVAGEOM_VIRTIO_S_NOENT);
    assert_int_equal(iovageom_viommu_plug_commit(viommu, 1), 0);
    assert_int_equal(iovageom_viommu_plug_commit(viommu, 1), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, 1), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_viommu_undeclare(viommu, 1), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_viommu_undeclare(viommu, 1), IOVAGEOM_ERR_NOT_FOUND);
    iovageom_geometry_free(host);
    iovageom_viommu_free(viommu);
}

static void the_bypass_field_takes_what_it_may(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_virtio_config space;

    (void)state;
    iovageom_viommu_config_init(&config);
    for (int offered = 0; offered < 3; offered++) {
        if (offered == 0)
            config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
        else
            config.features |= IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
        config.boot_bypass = offered != 0;
        viommu = books(&config);
        if (offered == 1)
            assert_int_equal(iovageom_viommu_driver_features(
                                 viommu, ~(uint32_t)IOVAGEOM_VIRTIO_F_BYPASS_CONFIG, NULL),
                             0);
        test_photo_take(&before, viommu);
        assert_int_equal(iovageom_viommu_set_bypass(viommu, 2, NULL), IOVAGEOM_ERR_INVALID);
        assert_int_equal(iovageom_viommu_set_bypass(viommu, 256, NULL), IOVAGEOM_ERR_INVALID);
        for (uint32_t bypass = 0; bypass < 2; bypass++) {
            assert_int_equal(iovageom_viommu_set_bypass(viommu, bypass, NULL),
                             offered == 2 ? 0 : IOVAGEOM_ERR_UNSUPPORTED);
            assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
            if (offered == 2)
                assert_int_equal(space.bypass, bypass);
            else
                assert_unchanged(viommu);
        }
        /* A device reset leaves it, a system reset takes it back to what it was at boot. */
        if (offered == 2) {
            assert_int_equal(iovageom_viommu_set_bypass(viommu, 0, NULL), 0);
            iovageom_viommu_reset(viommu, false);
            assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
            assert_int_equal(space.bypass, 0);
            iovageom_viommu_reset(viommu, true);
            assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
            assert_int_equal(space.bypass, 1);
        }
        iovageom_viommu_free(viommu);
    }
}

/* ---- what follows from the hosts ---- */

static struct iovageom_geometry *bare(const char *name)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, PAGES_4K, IOVAGEOM_SOURCE_VFIO), 0);
    return geometry;
}

/* INPUT_AS_HOST with hosts of 64 bits that reserve nothing, something inside, or an end. */
static void the_input_range_goes_as_far_as_the_hosts(void **state)
{
    static const struct {
        struct iovageom_range reserved;
        struct iovageom_range wanted;
    } rows[] = {
        {{1, 0}, {0, UINT64_MAX}}, /* none */
        {{0x10000, 0x1ffff}, {0, UINT64_MAX}},
        {{0, 0xfff}, {0x1000, UINT64_MAX}},
        {{UINT64_MAX - 0xfff, UINT64_MAX}, {0, UINT64_MAX - 0x1000}},
        {{0x1000, UINT64_MAX}, {0, 0xfff}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iovageom_viommu_config config;
        struct iovageom_virtio_config space;
        struct iovageom_geometry *host = bare("host");
        struct iovageom_viommu *viommu;

        iovageom_viommu_config_init(&config);
        config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
        viommu = books(&config);
        if (rows[i].reserved.start <= rows[i].reserved.last)
            assert_int_equal(iovageom_geometry_add_reserved(host, rows[i].reserved,
                                                            IOVAGEOM_RESV_DIRECT,
                                                            IOVAGEOM_SOURCE_SYSFS),
                             0);
        assert_int_equal(test_plug(viommu, 1, OWN, host, NULL), 0);
        for (int frozen = 0; frozen < 2; frozen++) {
            assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
            assert_int_equal(space.input_range.start, rows[i].wanted.start);
            assert_int_equal(space.input_range.last, rows[i].wanted.last);
            assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
        }
        iovageom_viommu_free(viommu);
    }
}

static size_t notes(const struct iovageom_report *report, uint32_t kind, uint64_t endpoint)
{
    size_t count = 0;

    for (size_t i = 0; i < iovageom_report_count(report); i++)
        count += iovageom_report_at(report, i)->kind == kind &&
                 !iovageom_report_at(report, i)->fatal &&
                 iovageom_report_at(report, i)->endpoint == endpoint;
    return count;
}

/* A host that says nothing but where its software window is: the guest maps its doorbells there. */
static void missing_doorbells_are_noted_when_plugged_and_frozen(void **state)
{
    for (int known = 0; known < 3; known++) {
        struct iovageom_geometry *host = bare("arm");
        struct iovageom_viommu *viommu = books(NULL);
        struct iovageom_report report;

        (void)state;
        iovageom_report_init(&report, NULL);
        if (known == 1)
            assert_int_equal(iovageom_viommu_add_region(viommu, R(0x8020000, 0x8020fff),
                                                        IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_MACHINE,
                                                        "its"),
                             0);
        if (known == 2)
            assert_int_equal(iovageom_geometry_add_reserved(host, R(0x9000000, 0x9000fff),
                                                            IOVAGEOM_RESV_MSI,
                                                            IOVAGEOM_SOURCE_SYSFS),
                             0);
        assert_int_equal(iovageom_geometry_add_reserved(host, R(0x8000000, 0x80fffff),
                                                        IOVAGEOM_RESV_SOFTWARE_MSI,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
        assert_int_equal(test_plug(viommu, 3, OWN, host, &report), 0);
        assert_int_equal(notes(&report, IOVAGEOM_FINDING_GUEST_QUIRK, 3), known == 0);
        test_report_soil(&report);
        assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
        assert_int_equal(iovageom_report_count(&report), known == 0);
        assert_int_equal(notes(&report, IOVAGEOM_FINDING_GUEST_QUIRK, 3), known == 0);
        /* Only the first time. */
        test_report_soil(&report);
        assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
        assert_int_equal(iovageom_report_count(&report), 0);
        iovageom_report_deinit(&report);
        iovageom_viommu_free(viommu);
    }
}

/* What an envelope brings must be told like a device's: by PROBE, or by the input range. */
static void an_envelope_that_can_not_be_told_is_refused(void **state)
{
    struct iovageom_geometry *narrow, *wide = bare("wide");
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_new(NULL, "pool", &narrow), 0);
    assert_int_equal(iovageom_geometry_add_gaw(narrow, 39, IOVAGEOM_SOURCE_USER), 0);
    for (int probe = 0; probe < 2; probe++) {
        struct iovageom_viommu_config config;
        struct iovageom_viommu *viommu;

        iovageom_viommu_config_init(&config);
        if (!probe)
            config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
        viommu = books(&config);
        test_photo_take(&before, viommu);
        test_report_soil(&report);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, narrow, &report),
                         probe ? 0 : IOVAGEOM_ERR_CONFLICT);
        if (!probe) {
            assert_int_equal(iovageom_report_count(&report), 1);
            assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
            assert_int_equal(iovageom_report_at(&report, 0)->status, IOVAGEOM_ERR_CONFLICT);
            assert_unchanged(viommu);
        }
        test_report_soil(&report);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, wide, &report), 0);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, NULL, &report), 0);
        assert_int_equal(iovageom_report_count(&report), 0);
        iovageom_viommu_free(viommu);
        /* As the input range, it can be told. */
        config.input_range = R(0, BIT39 - 1);
        viommu = books(&config);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, narrow, &report), 0);
        iovageom_viommu_free(viommu);
    }
    /* Nor one of larger pages than the granule that was chosen. */
    {
        struct iovageom_viommu_config config;
        struct iovageom_viommu *viommu;

        iovageom_viommu_config_init(&config);
        config.granule = 0x1000;
        viommu = books(&config);
        assert_int_equal(iovageom_geometry_add_page_sizes(narrow, 0x10000, IOVAGEOM_SOURCE_USER),
                         0);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, narrow, &report),
                         IOVAGEOM_ERR_CONFLICT);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_GRANULE);
        iovageom_viommu_free(viommu);
    }
    iovageom_geometry_free(narrow);
    iovageom_geometry_free(wide);
    iovageom_report_deinit(&report);
}

/* ---- lengths that differ between begin and end ---- */

static void end_writes_only_where_there_is_room(void **state)
{
    static const uint32_t types[] = {IOVAGEOM_VIRTIO_T_ATTACH, IOVAGEOM_VIRTIO_T_DETACH,
                                     IOVAGEOM_VIRTIO_T_MAP, IOVAGEOM_VIRTIO_T_UNMAP,
                                     IOVAGEOM_VIRTIO_T_PROBE};
    struct iovageom_viommu_config config;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.probe_size = 96;
    for (size_t i = 0; i < 5; i++)
        for (size_t less = 0; less <= 100; less++) {
            struct iovageom_virtio_request request = {.type = types[i], .domain = 1, .endpoint = 1};
            struct iovageom_viommu_transaction transaction;
            const size_t whole = types[i] == IOVAGEOM_VIRTIO_T_PROBE ? 100 : 4;
            struct iovageom_viommu *viommu;
            uint8_t bytes[72], writable[104];
            size_t size, given;

            if (less > whole)
                break;
            given = whole - less;
            viommu = books(&config);
            assert_int_equal(
                iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
            if (i > 0)
                assert_int_equal(
                    iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
            request.virt = R(0x1000, 0x1fff);
            request.flags = types[i] == IOVAGEOM_VIRTIO_T_MAP ? 1 : 0;
            assert_int_equal(iovageom_guest_encode_request(&request, bytes, 72, &size), 0);
            assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
            test_photo_take(&before, viommu);
            memset(writable, 0xee, sizeof(writable));
            iovageom_viommu_request_begin(viommu, bytes, size, whole, &transaction, NULL);
            assert_int_equal(iovageom_status_virtio(transaction.status), 0);
            assert_int_equal(
                iovageom_viommu_request_end(viommu, &transaction, 0, writable, given, NULL),
                less == 0 ? whole : 0);
            for (size_t at = less == 0 ? whole : 0; at < sizeof(writable); at++)
                assert_int_equal(writable[at], 0xee);
            if (less == 0)
                assert_int_equal(writable[whole - 4], 0);
            else
                assert_unchanged(viommu);
            test_check(viommu);
            iovageom_viommu_free(viommu);
        }
}

/* ---- fields that say nothing yet ---- */

static void every_bit_that_says_nothing_is_refused(void **state)
{
    const uint32_t features = IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_DOMAIN_RANGE |
                              IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_PROBE |
                              IOVAGEOM_VIRTIO_F_MMIO | IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
    const uint32_t choices = IOVAGEOM_VIOMMU_INPUT_AS_HOST | IOVAGEOM_VIOMMU_STRICT_INPUT |
                             IOVAGEOM_VIOMMU_REFUSE_DIRECT | IOVAGEOM_VIOMMU_INDEX_PHYS;
    const uint32_t to_update = IOVAGEOM_PLUG_ALLOW_STALE | IOVAGEOM_PLUG_REFUSE_DIRECT;
    const uint32_t to_plug = IOVAGEOM_PLUG_ALIAS | to_update;
    struct iovageom_geometry *host = test_host(NULL, "host", 39, PAGES_4K);
    struct iovageom_viommu_config config;
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu = NULL;

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++)
        for (size_t i = 0; i < sizeof(config.reserved) / sizeof(config.reserved[0]); i++) {
            iovageom_viommu_config_init(&config);
            config.reserved[i] = (uint64_t)1 << bit;
            assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), IOVAGEOM_ERR_INVALID);
        }
    for (unsigned bit = 0; bit < 32; bit++) {
        iovageom_viommu_config_init(&config);
        config.reserved32 = (uint32_t)1 << bit;
        assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), IOVAGEOM_ERR_INVALID);
        iovageom_viommu_config_init(&config);
        config.flags = (uint32_t)1 << bit;
        if ((config.flags & choices) == 0)
            assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), IOVAGEOM_ERR_INVALID);
        iovageom_viommu_config_init(&config);
        assert_int_equal(config.features, features);
        config.features |= (uint32_t)1 << bit;
        if (config.features != features)
            assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), IOVAGEOM_ERR_INVALID);
    }
    assert_null(viommu);
    viommu = books(NULL);
    for (unsigned bit = 0; bit < 32; bit++) {
        iovageom_plug_options_init(&where);
        where.flags = (uint32_t)1 << bit;
        if ((where.flags & to_plug) == 0) {
            assert_int_equal(iovageom_viommu_plug_check(viommu, 1, &where, host, NULL),
                             IOVAGEOM_ERR_INVALID);
            assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, host, NULL),
                             IOVAGEOM_ERR_INVALID);
        }
        iovageom_plug_options_init(&where);
        where.reserved = (uint32_t)1 << bit;
        assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, host, NULL), IOVAGEOM_ERR_INVALID);
    }
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, host, NULL), 0);
    for (unsigned bit = 0; bit < 32; bit++)
        assert_int_equal(iovageom_viommu_update(viommu, 1, host, (uint32_t)1 << bit, NULL),
                         ((uint32_t)1 << bit & to_update) != 0 ? 0 : IOVAGEOM_ERR_INVALID);
    for (int kind = -1; kind < 6; kind++)
        if (kind != IOVAGEOM_ENDPOINT_EMULATED && kind != IOVAGEOM_ENDPOINT_SLOT)
            assert_int_equal(
                iovageom_viommu_declare(viommu, 2, OWN, (enum iovageom_endpoint_kind)kind, NULL),
                IOVAGEOM_ERR_INVALID);
    iovageom_geometry_free(host);
    iovageom_viommu_free(viommu);
}

/* ---- a life after this one ---- */

enum { PORT = 1, PLACE = 2, DEVICE = 3 };

static struct iovageom_viommu *machine(const struct iovageom_geometry *envelope)
{
    struct iovageom_viommu *viommu = books(NULL);

    assert_int_equal(iovageom_viommu_set_envelope(viommu, envelope, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, PORT, 5, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, PLACE, 6, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(test_plug(viommu, DEVICE, 7, test_host(NULL, "host", 48, PAGES_4K), NULL), 0);
    return viommu;
}

static void live(struct iovageom_viommu *viommu, struct iovageom_region told[3][16], size_t *count)
{
    memset(told, 0, 3 * sizeof(told[0]));
    for (uint32_t i = 0; i < 3; i++) {
        struct iovageom_viommu_endpoint found;

        assert_int_equal(test_probe(viommu, PORT + i, told[i], 16, &count[i]), 0);
        assert_int_equal(iovageom_viommu_endpoint(viommu, PORT + i, &found), 0);
        if (found.kind == IOVAGEOM_ENDPOINT_SLOT)
            continue;
        assert_int_equal(iovageom_viommu_attach(viommu, i, PORT + i, 0, NULL), 0);
        assert_int_equal(iovageom_viommu_map(viommu, i, R(0x10000, 0x1ffff), 0, 1, NULL), 0);
    }
}

/* After an envelope has come or gone a PROBE may get another answer: the generation says so. */
static void an_envelope_begins_a_generation(void **state)
{
    struct iovageom_geometry *narrow = test_host(NULL, "narrow", 39, PAGES_4K);
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_viommu_promise old, now;

    (void)state;
    assert_int_equal(iovageom_viommu_declare(viommu, PLACE, 5, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    for (int comes = 0; comes < 3; comes++) {
        assert_int_equal(iovageom_viommu_promise(viommu, PLACE, &old, NULL, NULL, NULL, NULL), 0);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, comes == 1 ? narrow : NULL, NULL), 0);
        assert_int_equal(iovageom_viommu_promise(viommu, PLACE, &now, NULL, NULL, NULL, NULL), 0);
        assert_true(now.now > old.now);
    }
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(narrow);
}

/* Whatever was kept of what was worked out for the first guest: the next one is told anew. */
static void a_restarted_machine_is_told_as_a_new_one(void **state)
{
    struct iovageom_geometry *narrow = test_host(NULL, "narrow", 39, PAGES_4K);
    struct iovageom_geometry *holes =
        test_host_with(NULL, "holes", 48, 0x10000, R(0x20000000, 0x2fffffff));
    const struct iovageom_geometry *const pools[] = {NULL, narrow, holes};
    struct iovageom_region told[3][16], wanted[3][16];
    size_t count[3], wanted_count[3];

    (void)state;
    for (size_t first = 0; first < 3; first++)
        for (size_t second = 0; second < 3; second++)
            for (int region = 0; region < 2; region++) {
                struct iovageom_viommu *old = machine(pools[first]), *fresh;
                struct iovageom_virtio_config space, fresh_space;

                live(old, told, count);
                iovageom_viommu_reset(old, true);
                assert_int_equal(iovageom_viommu_thaw(old), 0);
                assert_int_equal(iovageom_viommu_set_envelope(old, pools[second], NULL), 0);
                fresh = machine(pools[second]);
                if (region) {
                    assert_int_equal(add_region(old), 0);
                    assert_int_equal(add_region(fresh), 0);
                }
                live(old, told, count);
                live(fresh, wanted, wanted_count);
                assert_memory_equal(count, wanted_count, sizeof(count));
                assert_memory_equal(told, wanted, sizeof(told));
                assert_int_equal(iovageom_viommu_config_space(old, &space), 0);
                assert_int_equal(iovageom_viommu_config_space(fresh, &fresh_space), 0);
                assert_int_equal(space.page_size_mask, fresh_space.page_size_mask);
                assert_int_equal(space.probe_size, fresh_space.probe_size);
                test_check(old);
                iovageom_viommu_free(old);
                iovageom_viommu_free(fresh);
            }
    iovageom_geometry_free(narrow);
    iovageom_geometry_free(holes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frozen_books_refuse_what_would_change_them),
        cmocka_unit_test(thaw_waits_for_the_guest_to_be_gone),
        cmocka_unit_test(thaw_waits_whatever_was_answered),
        cmocka_unit_test(who_is_at_an_endpoint_is_named),
        cmocka_unit_test(a_prepared_plug_waits_for_its_end),
        cmocka_unit_test(the_bypass_field_takes_what_it_may),
        cmocka_unit_test(the_input_range_goes_as_far_as_the_hosts),
        cmocka_unit_test(missing_doorbells_are_noted_when_plugged_and_frozen),
        cmocka_unit_test(an_envelope_that_can_not_be_told_is_refused),
        cmocka_unit_test(end_writes_only_where_there_is_room),
        cmocka_unit_test(every_bit_that_says_nothing_is_refused),
        cmocka_unit_test(an_envelope_begins_a_generation),
        cmocka_unit_test(a_restarted_machine_is_told_as_a_new_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

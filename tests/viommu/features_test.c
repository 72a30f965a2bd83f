/* SPDX-License-Identifier: BSD-3-Clause */
/* Features that are not offered, or declined: what the requests that need them are answered. */
#include "geometry/internal.h"
#include "support/test_viommu.h"

#include "support/test_photo.h"

enum { S_OK = 0, S_UNSUPP = 2, S_INVAL = 4, NOT_ANSWERED = 99, PROBE_SIZE = 512 };

static struct test_photo before, after;

/* The answer to a request as bytes. */
static int answer(struct iovageom_viommu *viommu, const struct iovageom_virtio_request *request)
{
    static uint8_t writable[PROBE_SIZE + 4];
    const size_t tail = request->type == IOVAGEOM_VIRTIO_T_PROBE ? PROBE_SIZE : 0;
    struct iovageom_report report;
    uint8_t bytes[72];
    size_t size, used;

    iovageom_report_init(&report, NULL);
    test_report_soil(&report);
    memset(writable, 0xee, sizeof(writable));
    assert_int_equal(iovageom_guest_encode_request(request, bytes, sizeof(bytes), &size), 0);
    used = iovageom_viommu_request(viommu, bytes, size, writable, tail + 4, &report);
    assert_true(used == tail + 4 || used == 0);
    if (used == 0)
        assert_int_equal(writable[tail], 0xee);
    if (used == 0 || writable[tail] != S_OK) {
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_int_equal(iovageom_report_at(&report, 0)->fatal, 1);
    } else {
        assert_int_equal(iovageom_report_count(&report), 0);
    }
    iovageom_report_deinit(&report);
    return used == 0 ? NOT_ANSWERED : writable[tail];
}

static const struct {
    struct iovageom_virtio_request request;
    uint32_t needs;
    int not_offered, declined; /* the answers then */
} rows[] = {
    {{.type = IOVAGEOM_VIRTIO_T_ATTACH, .domain = 2, .endpoint = 1}, 0, S_OK, S_OK},
    {{.type = IOVAGEOM_VIRTIO_T_MAP, .domain = 1, .virt = {0x1000, 0x1fff}, .flags = 1},
     IOVAGEOM_VIRTIO_F_MAP_UNMAP,
     S_UNSUPP,
     S_OK},
    {{.type = IOVAGEOM_VIRTIO_T_UNMAP, .domain = 1, .virt = {0x1000, 0x1fff}},
     IOVAGEOM_VIRTIO_F_MAP_UNMAP,
     S_UNSUPP,
     S_OK},
    {{.type = IOVAGEOM_VIRTIO_T_MAP, .domain = 1, .virt = {0x1000, 0x1fff}, .flags = 5},
     IOVAGEOM_VIRTIO_F_MMIO,
     S_INVAL,
     S_INVAL},
    {{.type = IOVAGEOM_VIRTIO_T_ATTACH, .domain = 2, .endpoint = 1, .flags = 1},
     IOVAGEOM_VIRTIO_F_BYPASS_CONFIG,
     S_INVAL,
     S_INVAL},
    {{.type = IOVAGEOM_VIRTIO_T_PROBE, .endpoint = 1}, IOVAGEOM_VIRTIO_F_PROBE, NOT_ANSWERED, S_OK},
    {{.type = IOVAGEOM_VIRTIO_T_DETACH, .domain = 1, .endpoint = 1}, 0, S_OK, S_OK},
};

static struct iovageom_viommu *books(uint32_t without)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.features &= ~without;
    config.boot_bypass = 0;
    config.probe_size = PROBE_SIZE;
    assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), 0);
    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_viommu_attach(viommu, 1, 1, 0, NULL), 0);
    return viommu;
}

static void each_request_needs_its_feature(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 7; bit++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            for (int declined = 0; declined < 2; declined++) {
                const uint32_t feature = (uint32_t)1 << bit;
                struct iovageom_viommu *viommu = books(declined ? 0 : feature);
                int wanted = S_OK;

                if (declined)
                    assert_int_equal(iovageom_viommu_driver_features(viommu, ~feature, NULL), 0);
                if (rows[i].needs == feature)
                    wanted = declined ? rows[i].declined : rows[i].not_offered;
                else if (rows[i].request.type == IOVAGEOM_VIRTIO_T_MAP && !declined &&
                         feature == IOVAGEOM_VIRTIO_F_MAP_UNMAP)
                    wanted = S_UNSUPP;
                test_photo_take(&before, viommu);
                if (answer(viommu, &rows[i].request) != wanted)
                    fail_msg("row %zu, bit %u, declined %d", i, bit, declined);
                if (wanted != S_OK) {
                    test_photo_take(&after, viommu);
                    assert_true(test_photo_same(&before, &after));
                }
                test_check(viommu);
                iovageom_viommu_free(viommu);
            }
}

/* The same by the calls, and what the config space then says. */
static void the_calls_know_what_is_offered(void **state)
{
    struct iovageom_viommu *viommu = books(IOVAGEOM_VIRTIO_F_PROBE);
    struct iovageom_virtio_config space;
    uint8_t bytes[PROBE_SIZE] = {0xee};
    size_t needed = SIZE_MAX;

    (void)state;
    assert_int_equal(iovageom_status_virtio(
                         iovageom_viommu_probe(viommu, 1, bytes, sizeof(bytes), &needed, NULL)),
                     IOVAGEOM_VIRTIO_S_UNSUPP);
    assert_int_equal(needed, SIZE_MAX);
    assert_int_equal(bytes[0], 0xee);
    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    assert_int_equal(space.probe_size, 0);
    iovageom_viommu_free(viommu);
    viommu = books(IOVAGEOM_VIRTIO_F_MMIO);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0, 0xfff), 0, 4, NULL)),
        IOVAGEOM_VIRTIO_S_INVAL);
    assert_int_equal(iovageom_viommu_map(viommu, 1, R(0, 0xfff), 0, 3, NULL), 0);
    iovageom_viommu_free(viommu);
    viommu = books(IOVAGEOM_VIRTIO_F_BYPASS_CONFIG);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach_check(viommu, 2, 1, 1, NULL)),
                     IOVAGEOM_VIRTIO_S_INVAL);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 2, 1, 1, NULL)),
                     IOVAGEOM_VIRTIO_S_INVAL);
    iovageom_viommu_free(viommu);
}

/* Who gives no probe_size gets one for all that is promised, with room for what comes later. */
static void freezing_chooses_a_probe_size_without_loss(void **state)
{
    struct iovageom_geometry *geometry = test_host(NULL, "host", 48, PAGES_4K);
    struct iovageom_virtio_config space;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[64];
    size_t count;

    (void)state;
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(iovageom_geometry_add_reserved(geometry, R(i << 20, (i << 20) + 0xfff),
                                                        IOVAGEOM_RESV_RESERVED,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, geometry, NULL), 0);
    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    assert_true(space.probe_size > 42 * IOVAGEOM_VIRTIO_RESV_MEM_SIZE);
    assert_int_equal(test_probe(viommu, 1, regions, 64, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(count, 42);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
}

/* A driver that declines PROBE knows of its machine's doorbells, in however many parts a host has
 * them. */
static void doorbells_in_two_parts_are_doorbells(void **state)
{
    const uint32_t no_probe = ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;

    (void)state;
    for (int apart = 0; apart < 2; apart++) {
        struct iovageom_viommu *viommu = books(0);
        struct iovageom_geometry *host;

        assert_int_equal(iovageom_geometry_new(NULL, "0000:3b:00.0", &host), 0);
        assert_int_equal(iovageom_geometry_add_reserved(host, R(0xfee00000, 0xfee7ffff),
                                                        IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                         0);
        assert_int_equal(iovageom_geometry_add_reserved(host, R(0xfee80000, 0xfeefffff),
                                                        IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_VFIO),
                         0);
        if (apart) /* a hole that isn't one of doorbells */
            assert_int_equal(iovageom_geometry_add_reserved(host, R(0xfef00000, 0xfef00fff),
                                                            IOVAGEOM_RESV_RESERVED,
                                                            IOVAGEOM_SOURCE_SYSFS),
                             0);
        assert_int_equal(iovageom_viommu_plug(viommu, 2, NULL, host, NULL), 0);
        assert_int_equal(iovageom_viommu_driver_features(viommu, no_probe, NULL),
                         apart ? IOVAGEOM_ERR_CONFLICT : 0);
        iovageom_viommu_free(viommu);
        iovageom_geometry_free(host);
    }
}

/* A finding on a domain that isn't there names it, and no endpoint. */
static void an_unknown_domain_is_named(void **state)
{
    struct iovageom_viommu *viommu = books(0);
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    for (int unmaps = 0; unmaps < 2; unmaps++) {
        if (unmaps)
            assert_int_not_equal(iovageom_viommu_unmap(viommu, 9, R(0x1000, 0x1fff), NULL, &report),
                                 0);
        else
            assert_int_not_equal(iovageom_viommu_map(viommu, 9, R(0x1000, 0x1fff), 0, 3, &report),
                                 0);
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_true(iovageom_report_at(&report, 0)->domain == 9);
        assert_true(iovageom_report_at(&report, 0)->endpoint == IOVAGEOM_ID_NONE);
    }
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* An UNMAP that ends below its start removes nothing, with a mapping at its end or none. */
static void an_unmap_that_ends_before_it_starts_is_refused(void **state)
{
    struct iovageom_viommu *viommu = books(0);
    struct iovageom_report report;
    size_t removed = 77;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_map(viommu, 1, R(0x1000, 0x1fff), 0, 3, NULL), 0);
    for (uint64_t start = 0x1000; start <= 0x3000; start += 0x1000) {
        assert_int_equal(iovageom_viommu_unmap(viommu, 1, R(start, start - 1), &removed, &report),
                         IOVAGEOM_ERR_INVALID);
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_true(iovageom_report_at(&report, 0)->domain == 1);
    }
    assert_int_equal(removed, 77);
    assert_int_equal(iovageom_viommu_unmap(viommu, 1, R(0x1000, 0x1fff), &removed, NULL), 0);
    assert_int_equal(removed, 1);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* Whole granules are told: of doorbells too, and nothing of theirs twice. */
static void doorbells_are_told_in_whole_granules(void **state)
{
    struct iovageom_viommu *viommu = books(0);
    struct iovageom_geometry *host;
    struct iovageom_region regions[4];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "host", &host), 0);
    assert_int_equal(iovageom_geometry_add_reserved(host, R(0x5123, 0x5123), IOVAGEOM_RESV_RESERVED,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_add_reserved(host, R(0x8000123, 0x8000222),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN, host, NULL), 0);
    assert_int_equal(test_probe(viommu, 2, regions, 4, &count), 0);
    assert_int_equal(count, 2);
    assert_true(iovageom_range_equal(regions[0].range, R(0x5000, 0x5fff)));
    assert_int_equal(regions[0].type, IOVAGEOM_RESV_RESERVED);
    assert_true(iovageom_range_equal(regions[1].range, R(0x8000000, 0x8000fff)));
    assert_int_equal(regions[1].type, IOVAGEOM_RESV_MSI);
    iovageom_viommu_free(viommu);
}

/* A refused ATTACH or DETACH names the endpoint, and the domain where that is at fault. */
static void a_refused_move_names_both(void **state)
{
    static const struct {
        uint32_t domain, endpoint, flags;
        bool detach;
        int status;
        uint64_t named; /* domain */
    } cases[] = {
        {20, 1, 0, false, IOVAGEOM_ERR_OUT_OF_APERTURE, 20},
        {3, 1, 2, false, IOVAGEOM_ERR_INVALID, 3},
        {7, 2, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS, false, IOVAGEOM_ERR_INVALID, 7},
        {3, 9, 0, false, IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ID_NONE},
        {3, 9, 0, true, IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ID_NONE},
        {8, 1, 0, true, IOVAGEOM_ERR_INVALID, 8},
        {7, 2, 0, true, IOVAGEOM_ERR_INVALID, 7},
        {8, 2, 0, false, IOVAGEOM_ERR_LIMIT, 8},
    };
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.domain_last = 10;
    config.max_domains = 1;
    assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), 0);
    for (uint32_t i = 1; i < 3; i++)
        assert_int_equal(iovageom_viommu_declare(viommu, i, i, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
    assert_int_equal(iovageom_viommu_attach(viommu, 7, 1, 0, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint32_t domain = cases[i].domain, endpoint = cases[i].endpoint;

        assert_int_equal(cases[i].detach ? iovageom_viommu_detach(viommu, domain, endpoint, &report)
                                         : iovageom_viommu_attach(viommu, domain, endpoint,
                                                                  cases[i].flags, &report),
                         cases[i].status);
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_int_equal(iovageom_report_at(&report, 0)->domain, cases[i].named);
        assert_int_equal(iovageom_report_at(&report, 0)->endpoint, endpoint);
    }
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

/* Of a host with few regions and of one with many, a finding names who reserves the range. */
static void who_reserves_is_named(void **state)
{
    (void)state;
    for (uint64_t regions = 1; regions <= 100; regions += 33) {
        struct iovageom_viommu *viommu = books(0);
        struct iovageom_geometry *host;
        struct iovageom_report report;

        assert_int_equal(iovageom_geometry_new(NULL, "0000:3b:00.0", &host), 0);
        for (uint64_t i = 0; i < regions; i++)
            assert_int_equal(iovageom_geometry_put_region(
                                 host, R(i << 20, (i << 20) + 0xfff), IOVAGEOM_RESV_RESERVED,
                                 &(struct iovageom_owner){.source = IOVAGEOM_SOURCE_SYSFS,
                                                          .name = {(char)('0' + i), 0}}),
                             0);
        iovageom_report_init(&report, NULL);
        assert_int_equal(iovageom_viommu_plug(viommu, 2, NULL, host, NULL), 0);
        assert_int_equal(
            iovageom_viommu_driver_features(viommu, ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE, &report),
            IOVAGEOM_ERR_CONFLICT);
        assert_true(iovageom_report_count(&report) >= regions);
        for (uint64_t i = 0; i < regions; i++)
            assert_true(iovageom_report_at(&report, i)->owner.name[0] == (char)('0' + i));
        iovageom_report_deinit(&report);
        iovageom_viommu_free(viommu);
        iovageom_geometry_free(host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_needs_its_feature),
        cmocka_unit_test(the_calls_know_what_is_offered),
        cmocka_unit_test(doorbells_in_two_parts_are_doorbells),
        cmocka_unit_test(doorbells_are_told_in_whole_granules),
        cmocka_unit_test(an_unknown_domain_is_named),
        cmocka_unit_test(an_unmap_that_ends_before_it_starts_is_refused),
        cmocka_unit_test(a_refused_move_names_both),
        cmocka_unit_test(who_reserves_is_named),
        cmocka_unit_test(freezing_chooses_a_probe_size_without_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/range.h"
#include "geometry/internal.h"
#include "support/test_viommu.h"

#include <iovageom/guest.h>

#include "support/test_allocator.h"

#include "support/viommu_check.h"

#define PORT  0x08u
#define SLOT  0x100u
#define OTHER 0x200u

static struct iovageom_viommu *books(const struct iovageom_allocator *allocator,
                                     const struct iovageom_viommu_config *config)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(allocator, config, &viommu), 0);
    return viommu;
}

static void configuration_is_checked(void **state)
{
    struct iovageom_viommu_config good, config;
    struct iovageom_viommu *viommu = NULL;

    (void)state;
    iovageom_viommu_config_init(&good);
#define REFUSED(change, status)                                                                    \
    config = good;                                                                                 \
    change;                                                                                        \
    assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), status);                         \
    assert_null(viommu)
    REFUSED(config.input_range.start = 1; config.input_range.last = 0, IOVAGEOM_ERR_INVERTED);
    REFUSED(config.domain_start = 5; config.domain_last = 4, IOVAGEOM_ERR_INVERTED);
    REFUSED(config.page_size_mask = 0, IOVAGEOM_ERR_INVALID);
    REFUSED(config.granule = 3, IOVAGEOM_ERR_INVALID);
    REFUSED(config.granule = 2048, IOVAGEOM_ERR_INVALID);
    REFUSED(config.probe_size = 95, IOVAGEOM_ERR_INVALID);
    REFUSED(config.features |= IOVAGEOM_VIRTIO_F_BYPASS, IOVAGEOM_ERR_INVALID);
    REFUSED(config.input_range = R(0x800, 0x27ff); config.granule = 0x2000, IOVAGEOM_ERR_INVALID);
    REFUSED(config.features |= 1u << 31, IOVAGEOM_ERR_INVALID);
    REFUSED(config.features = IOVAGEOM_VIRTIO_F_MAP_UNMAP;
            config.input_range = R(0, BIT39 - 1), IOVAGEOM_ERR_INVALID);
    REFUSED(config.flags = 16, IOVAGEOM_ERR_INVALID);
    REFUSED(config.boot_bypass = 2, IOVAGEOM_ERR_INVALID);
    REFUSED(config.reserved[7] = 1, IOVAGEOM_ERR_INVALID);
#undef REFUSED
    iovageom_viommu_free(NULL);
}

/* The RFC: a 39-bit host, told before the guest attaches anything, cold and hot. */
static void the_guest_is_told_before_it_attaches(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_region regions[8];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0xfee00000, 0xfeefffff),
                                                IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_MACHINE, "apic"),
                     0);
    assert_int_equal(
        test_plug(viommu, SLOT, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "cold", 39, PAGES_4K), NULL),
        0);
    for (uint32_t endpoint = SLOT; endpoint <= OTHER; endpoint += OTHER - SLOT) {
        if (endpoint == OTHER)
            assert_int_equal(test_plug(viommu, OTHER, IOVAGEOM_VIOMMU_OWN,
                                       test_host(NULL, "hot", 39, PAGES_4K), NULL),
                             0);
        assert_int_equal(test_probe(viommu, endpoint, regions, 8, &count), 0);
        assert_int_equal(count, 2);
        assert_int_equal(regions[0].range.start, 0xfee00000);
        assert_int_equal(regions[0].type, IOVAGEOM_RESV_MSI);
        assert_true(regions[1].range.start == BIT39 && regions[1].range.last == UINT64_MAX);
    }
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

/* Port and slot share a guest group: the port is told of the envelope before any device exists. */
static void the_smallest_buffer_holds_any_list(void **state)
{
    const struct iovageom_range low[] = {R(0, 0xfff), R(0xdf800000, 0xdfffffff),
                                         R(0xf0000000, UINT32_MAX)};
    struct iovageom_region regions[4];
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_geometry *host;
    size_t count = 0;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.probe_size = 96;
    viommu = books(NULL, &config);
    host = test_host_with(NULL, "low", 39, 0, R(0xdf800000, 0xdfffffff));
    assert_int_equal(iovageom_geometry_add_reserved(host, R(0, 0xfff), IOVAGEOM_RESV_DIRECT,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_add_reserved(host, R(0x2000, 0x2fff), IOVAGEOM_RESV_DIRECT,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, host, NULL), 0);
    assert_int_equal(test_probe(viommu, 1, regions, 4, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(count, 4);
    assert_int_equal(regions[2].type, IOVAGEOM_RESV_MSI);
    iovageom_viommu_free(viommu);

    /* What is below the doorbells must not become all of 32 bits: it takes two. */
    viommu = books(NULL, &config);
    assert_int_equal(iovageom_geometry_new(NULL, "all of 32 bits", &host), 0);
    assert_int_equal(iovageom_geometry_add_gaw(host, 39, IOVAGEOM_SOURCE_VFIO), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(iovageom_geometry_add_reserved(host, low[i], IOVAGEOM_RESV_RESERVED,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
    assert_int_equal(iovageom_geometry_add_reserved(host, R(0x2000000000, 0x20000fffff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, host, NULL), 0);
    assert_int_equal(test_probe(viommu, 1, regions, 4, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(count, 4);
    iovageom_viommu_free(viommu);
}

static void a_group_is_told_one_thing(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_geometry *envelope = test_host(NULL, "pool", 39, PAGES_4K);
    struct iovageom_region port[8], slot[8];
    struct iovageom_report report;
    size_t port_count, slot_count;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, envelope, NULL), 0);
    iovageom_geometry_free(envelope);
    assert_int_equal(iovageom_viommu_declare(viommu, PORT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, SLOT, 1, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(test_probe(viommu, PORT, port, 8, &port_count), 0);
    assert_int_equal(
        test_plug(viommu, SLOT, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "hot", 39, PAGES_4K), &report),
        0);
    assert_int_equal(test_probe(viommu, SLOT, slot, 8, &slot_count), 0);
    assert_int_equal(port_count, 2);
    assert_int_equal(slot_count, 2);
    assert_memory_equal(port, slot, 2 * sizeof(port[0]));
    assert_int_equal(iovageom_viommu_unplug(viommu, SLOT), 0);
    /* A device that takes more than the port was promised is refused, and leaves no trace (Q2). */
    assert_int_equal(test_plug(viommu, SLOT, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "narrow", 39, PAGES_4K, R(0x100000, 0x1fffff)),
                               &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_PROMISE);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, PORT);
    assert_int_equal(iovageom_report_at(&report, 0)->against.start, 0x100000);
    test_check(viommu);
    assert_int_equal(test_plug(viommu, SLOT, IOVAGEOM_VIOMMU_OWN,
                               test_host(NULL, "next", 48, PAGES_4K), &report),
                     0);
    test_check(viommu);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

static void a_live_mapping_stands_against_a_newcomer(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_viommu_promise promise;
    struct iovageom_plug_options where;
    struct iovageom_geometry *geometry;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_declare(viommu, PORT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 7, PORT, 0, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                         viommu, 7, R(0xdf900000, 0xdf900fff), 0x1000, RW, &report)),
                     0);
    assert_int_equal(
        test_plug(viommu, SLOT, 1,
                  test_host_with(NULL, "0000:3b:00.0", 48, PAGES_4K, R(0xdf800000, 0xdfffffff)),
                  &report),
        IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_MAPPING);
    assert_int_equal(iovageom_report_at(&report, 0)->domain, 7);
    assert_non_null(strstr(iovageom_report_text(&report), "0000:3b:00.0"));
    test_check(viommu);

    /* A VMM that must go on may do so, and is told what is no longer safe. */
    geometry = test_host_with(NULL, "0000:3b:00.0", 48, PAGES_4K, R(0xdf800000, 0xdfffffff));
    iovageom_plug_options_init(&where);
    where.guest_group = 1;
    where.flags = IOVAGEOM_PLUG_ALLOW_STALE;
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, geometry, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 7, SLOT, 0, &report)),
                     IOVAGEOM_VIRTIO_S_UNSUPP);
    assert_int_equal(iovageom_viommu_promise(viommu, PORT, &promise, NULL, NULL, NULL, NULL), 0);
    assert_false(promise.told);
    iovageom_geometry_free(geometry);
    test_check_stale(viommu, true);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

static void a_promise_outlives_whom_it_was_given_to(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_region regions[4];
    struct iovageom_report report;
    size_t count;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_declare(viommu, PORT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(test_plug(viommu, SLOT, 1, test_host(NULL, "gone", 39, 0), NULL), 0);
    assert_int_equal(test_probe(viommu, SLOT, regions, 4, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_viommu_unplug(viommu, SLOT), 0);
    assert_int_equal(test_plug(viommu, OTHER, 1,
                               test_host_with(NULL, "new", 39, 0, R(0xdf800000, 0xdfffffff)),
                               &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_PROMISE);
    /* It was not told to the newcomer. */
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, IOVAGEOM_ID_NONE);
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

static void one_container_has_one_budget(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_geometry *few = test_host(NULL, "few", 39, 0);
    struct iovageom_geometry *many = test_host(NULL, "many", 39, 0);
    struct iovageom_viommu_domain found;
    struct iovageom_plug_options where;

    (void)state;
    assert_int_equal(iovageom_geometry_add_map_budget(few, 1, IOVAGEOM_SOURCE_USER), 0);
    iovageom_plug_options_init(&where);
    where.address_space = 7;
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, many, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, SLOT, 0, NULL)), 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0, 0xfff), 0, RW, NULL)), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, OTHER, &where, few, NULL), 0);
    assert_int_equal(iovageom_viommu_domain(viommu, 1, &found), 0);
    assert_int_equal(found.budget, 1);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0x1000, 0x1fff), 0, RW, NULL)),
        IOVAGEOM_VIRTIO_S_NOMEM);
    test_check(viommu);
    /* Nor can a third one join a domain that has more. */
    assert_int_equal(iovageom_viommu_declare(viommu, PORT, IOVAGEOM_VIOMMU_OWN,
                                             IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 2, PORT, 0, NULL)), 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 2, R(0, 0xfff), 0, RW, NULL)), 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 2, R(0x1000, 0x1fff), 0, RW, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 2, SLOT, 0, NULL)),
                     IOVAGEOM_VIRTIO_S_UNSUPP);
    assert_int_equal(iovageom_viommu_unplug(viommu, OTHER), 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0x1000, 0x1fff), 0, RW, NULL)), 0);
    test_check(viommu);
    iovageom_geometry_free(few);
    iovageom_geometry_free(many);
    iovageom_viommu_free(viommu);
}

static void the_input_range_follows_the_hosts(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_virtio_config space;
    struct iovageom_viommu *viommu;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    viommu = books(NULL, &config);
    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    assert_true(iovageom_range_equal(space.input_range, ALL));
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "48", 48, 0), NULL),
                     0);
    assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "39", 39, 0, R(0, 0xffff)), NULL),
                     0);
    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    assert_true(iovageom_range_equal(space.input_range, R(0x10000, BIT39 - 1)));
    assert_int_equal(iovageom_viommu_unplug(viommu, 2), 0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    assert_true(iovageom_range_equal(space.input_range, R(0, ((uint64_t)1 << 48) - 1)));
    iovageom_viommu_free(viommu);

    config.flags = IOVAGEOM_VIOMMU_STRICT_INPUT;
    config.input_range = R(0, BIT39 - 1);
    viommu = books(NULL, &config);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "38", 38, 0), NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, 0), NULL),
                     0);
    iovageom_viommu_free(viommu);
}

/* Asks what an endpoint is told, as a list or as the bytes of a PROBE; the report is what
 * matters. */
static void tell(struct iovageom_viommu *viommu, uint32_t endpoint, bool probe,
                 struct iovageom_report *report)
{
    struct iovageom_region regions[8];
    uint8_t bytes[512];
    size_t count;

    if (probe)
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_probe(
                             viommu, endpoint, bytes, sizeof(bytes), &count, report)),
                         0);
    else
        assert_int_equal(iovageom_viommu_told(viommu, endpoint, regions, 8, &count, report), 0);
}

/* A granule above the host's pages takes more than the host does: told and PROBE name it. What the
 * envelope maps is nothing to a group without a slot. */
static void what_the_granule_takes_is_named(void **state)
{
    struct iovageom_geometry *envelope = test_host(NULL, "envelope", 64, 0x10000);
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[8];
    struct iovageom_report report;
    size_t count;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.granule = 0x10000;
    viommu = books(NULL, &config);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, envelope, NULL), 0);
    iovageom_geometry_free(envelope);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "4K", 39, PAGES_4K, R(0x20000000, 0x20000fff)),
                               NULL),
                     0);
    assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "64K", 39, 0x10000, R(0x20000000, 0x20000fff)),
                               NULL),
                     0);
    for (int probe = 0; probe < 2; probe++) {
        tell(viommu, 1, probe != 0, &report);
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_LOST);
        assert_true(
            iovageom_range_equal(iovageom_report_at(&report, 0)->range, R(0x20001000, 0x2000ffff)));
    }
    /* A host that maps nothing smaller loses nothing by it. */
    assert_int_equal(iovageom_viommu_told(viommu, 2, regions, 8, &count, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 0);
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

/* What a Linux guest may choose of an input range with odd ends, and what is said to be lost. */
static void the_input_range_is_whole_granules(void **state)
{
    const struct iovageom_guestview_kernel kernel = {0x10000, UINT32_MAX, 0, 0};
    struct iovageom_viommu_config config;
    struct iovageom_virtio_config space;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[8];
    struct iovageom_guestview_dma dma;
    struct iovageom_range chosen;
    struct iovageom_report report;
    size_t count;

    (void)state;
    iovageom_report_init(&report, NULL);
    for (int as_host = 0; as_host < 2; as_host++) {
        iovageom_viommu_config_init(&config);
        config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
        config.input_range = as_host ? ALL : R(0x1800, 0xfffff7ff);
        config.flags = as_host ? IOVAGEOM_VIOMMU_INPUT_AS_HOST : 0;
        config.granule = as_host ? 0x10000 : 0;
        viommu = books(NULL, &config);
        assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                                   as_host ? test_host_with(NULL, "odd", 39, PAGES_4K,
                                                            R(0x7fffff5000, BIT39 - 1))
                                           : test_host(NULL, "39", 39, PAGES_4K),
                                   NULL),
                         0);
        assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
        assert_int_equal(iovageom_report_count(&report), as_host ? 1 : 2);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_LOST);
        assert_true(
            iovageom_range_equal(iovageom_report_at(&report, 0)->range,
                                 as_host ? R(0x7fffff0000, 0x7fffff4fff) : R(0x1800, 0x1fff)));
        assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
        assert_true(iovageom_range_equal(space.input_range,
                                         as_host ? R(0, 0x7ffffeffff) : R(0x2000, 0xffffefff)));
        assert_int_equal(
            iovageom_guestview_probe(&kernel, &space, NULL, 0, regions, 8, &count, NULL), 0);
        assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &space, regions, count), 0);
        dma.low_first = false;
        assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, UINT64_MAX, &chosen), 0);
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
        assert_int_equal(
            iovageom_status_virtio(iovageom_viommu_map(viommu, 1, chosen, 0, RW, NULL)), 0);
        iovageom_guestview_dma_deinit(&dma);
        iovageom_viommu_free(viommu);
    }
    iovageom_report_deinit(&report);
}

/* Whoever freezes, what there is to say of it is said. */
static void the_first_request_says_what_freezing_does(void **state)
{
    static const uint8_t probe[72] = {5, 0, 0, 0, 1}, detach[20] = {2, 0, 0, 0, 1, 0, 0, 0, 1};
    uint8_t answer[600];
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;
    size_t needed, lost;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.input_range = R(0, 0xfffff7ff);
    for (int first = 0; first < 5; first++) {
        viommu = books(NULL, &config);
        assert_int_equal(
            test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, PAGES_4K), NULL),
            0);
        for (int second = 0; second < 2; second++) {
            if (first == 0)
                assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
            else if (first == 1)
                assert_int_equal(
                    iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, &report)), 0);
            else if (first == 2)
                assert_int_equal(iovageom_status_virtio(iovageom_viommu_probe(
                                     viommu, 1, answer, 512, &needed, &report)),
                                 0);
            else if (first == 3)
                assert_int_equal(
                    iovageom_viommu_request(viommu, probe, sizeof(probe), answer, 516, &report),
                    516);
            else
                assert_int_equal(
                    iovageom_viommu_request(viommu, detach, sizeof(detach), answer, 4, &report), 4);
            lost = 0;
            for (size_t i = 0; i < iovageom_report_count(&report); i++)
                lost += iovageom_report_at(&report, i)->kind == IOVAGEOM_FINDING_LOST;
            assert_int_equal(lost, second == 0);
            assert_int_equal(iovageom_report_count(&report), (second == 0) + (first == 4));
        }
        iovageom_viommu_free(viommu);
    }
    iovageom_report_deinit(&report);
}

/* A machine that starts anew may have what the last guest stood against. */
static void a_restarted_machine_can_be_configured_anew(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_region regions[8];
    struct iovageom_virtio_config space;
    struct iovageom_geometry *host;
    size_t count;

    (void)state;
    assert_int_equal(iovageom_viommu_thaw(viommu), 0);
    host = test_host_with(NULL, "64K", 48, 0x10000, R(0x20000000, 0x20000fff));
    assert_int_equal(iovageom_viommu_declare(viommu, SLOT, 7, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(test_plug(viommu, 1, 7,
                               test_host_with(NULL, "4K", 48, PAGES_4K, R(0x20000000, 0x20000fff)),
                               NULL),
                     0);
    assert_int_equal(test_probe(viommu, 1, regions, 8, &count), 0);
    assert_int_equal(regions[0].range.last, 0x20000fff);
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, NULL, host, NULL), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_viommu_thaw(viommu), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 2, 0, NULL)),
                     IOVAGEOM_VIRTIO_S_NOENT);
    iovageom_viommu_reset(viommu, true);
    assert_true(iovageom_viommu_frozen(viommu));
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, NULL, host, NULL), IOVAGEOM_ERR_CONFLICT);

    assert_int_equal(iovageom_viommu_thaw(viommu), 0);
    assert_false(iovageom_viommu_frozen(viommu));
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, NULL, host, NULL), 0);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0xfee00000, 0xfeefffff),
                                                IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_MACHINE, "apic"),
                     0);
    assert_int_equal(test_probe(viommu, SLOT, regions, 8, &count), 0);
    assert_int_equal(regions[0].range.last, 0x2000ffff);
    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    assert_int_equal(iovageom_pgsize_granule(space.page_size_mask), 0x10000);
    test_check(viommu);
    iovageom_geometry_free(host);
    iovageom_viommu_free(viommu);
}

/* I2: without F_INPUT_RANGE the guest takes all of 64 bits for granted. */
static void an_input_range_that_is_not_offered_is_told_by_probe(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_virtio_config space;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[8];
    struct iovageom_report report;
    size_t count;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.features = IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_PROBE;
    config.input_range = R(0x10000, 0xffffffff);
    viommu = books(NULL, &config);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, 0), NULL),
                     0);
    assert_int_equal(test_probe(viommu, 1, regions, 8, &count), 0);
    assert_int_equal(count, 3);
    assert_true(iovageom_range_equal(regions[0].range, R(0, 0xffff)));
    assert_true(iovageom_range_equal(regions[2].range, R(0x100000000, UINT64_MAX)));
    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    assert_true(iovageom_range_equal(space.input_range, ALL));
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(
                         iovageom_viommu_map(viommu, 1, R(0x100000000, 0x100000fff), 0, RW, NULL)),
                     IOVAGEOM_VIRTIO_S_INVAL);
    iovageom_viommu_free(viommu);

    /* An input range that follows the hosts would follow them in secret. */
    config.features = IOVAGEOM_VIRTIO_F_MAP_UNMAP;
    config.input_range = ALL;
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    viommu = books(NULL, &config);
    assert_int_equal(
        test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, 0), &report),
        IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

/* Of what the machine reserves, a guest without PROBE knows nothing but the MSI doorbells. */
static void a_region_that_no_guest_can_be_told_is_refused(void **state)
{
    const enum iovageom_source user = IOVAGEOM_SOURCE_USER;
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
    config.input_range = R(0, 0x7fffffffff);
    viommu = books(NULL, &config);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0x7ffffff000, 0x8000000fff),
                                                IOVAGEOM_RESV_RESERVED, user, "a"),
                     IOVAGEOM_ERR_UNSUPPORTED);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0x8000000, 0x80fffff),
                                                IOVAGEOM_RESV_SOFTWARE_MSI, user, "b"),
                     IOVAGEOM_ERR_UNSUPPORTED);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(2, 1), IOVAGEOM_RESV_RESERVED, user, "c"),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(
        iovageom_viommu_add_region(viommu, R(0xfee00000, 0xfeefffff), IOVAGEOM_RESV_MSI, user, "d"),
        0);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0x8000000000, UINT64_MAX),
                                                IOVAGEOM_RESV_RESERVED, user, "e"),
                     0);
    assert_int_equal(
        iovageom_viommu_add_region(viommu, R(0, 0xfff), IOVAGEOM_RESV_DIRECT_RELAXABLE, user, "f"),
        0);
    iovageom_viommu_free(viommu);
}

/* The machine's regions as a PROBE tells them. What may be given up when a device is assigned
 * reserves nothing, and is kept for messages only. */
static void a_region_reserves_what_its_type_says(void **state)
{
    (void)state;
    for (enum iovageom_resv_type type = IOVAGEOM_RESV_DIRECT_RELAXABLE; type <= IOVAGEOM_RESV_MSI;
         type++) {
        struct iovageom_viommu *viommu = books(NULL, NULL);
        const bool reserves = type != IOVAGEOM_RESV_DIRECT_RELAXABLE;
        struct iovageom_region told[4];
        size_t count = 9;

        assert_int_equal(iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
        assert_int_equal(iovageom_viommu_add_region(viommu, R(0x10000, 0x1ffff), type,
                                                    IOVAGEOM_SOURCE_USER, "a"),
                         0);
        assert_int_equal(test_probe(viommu, 1, told, 4, &count), 0);
        assert_int_equal(count, reserves);
        if (reserves) {
            assert_true(iovageom_range_equal(told[0].range, R(0x10000, 0x1ffff)));
            assert_int_equal(told[0].type, type == IOVAGEOM_RESV_MSI ? IOVAGEOM_RESV_MSI
                                                                     : IOVAGEOM_RESV_RESERVED);
        }
        test_check(viommu);
        iovageom_viommu_free(viommu);
    }
}

/* N74: only one region is MSI. Of the machine's, whenever they came, that is the lowest. */
static void the_lowest_doorbells_of_the_machine_are_told(void **state)
{
    (void)state;
    for (uint64_t first = 0; first < 3; first++) {
        struct iovageom_viommu *viommu = books(NULL, NULL);
        struct iovageom_region told[4];
        size_t count = 9;

        assert_int_equal(iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
        for (uint64_t i = 0; i < 3; i++) {
            const uint64_t start = 0x10000 * (1 + (first + i) % 3);

            assert_int_equal(iovageom_viommu_add_region(viommu, R(start, start + 0xfff),
                                                        IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_MACHINE,
                                                        "doorbells"),
                             0);
        }
        assert_int_equal(test_probe(viommu, 1, told, 4, &count), 0);
        assert_int_equal(count, 3);
        for (uint64_t i = 0; i < 3; i++) {
            assert_int_equal(told[i].range.start, 0x10000 * (1 + i));
            assert_int_equal(told[i].type, i == 0 ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED);
        }
        test_check(viommu);
        iovageom_viommu_free(viommu);
    }
}

/* I5: hosts with a software MSI window leave it to the machine to say where the doorbells are. */
static void doorbells_that_nobody_named_are_missed(void **state)
{
    const struct iovageom_range window = R(0x8000000, 0x80fffff),
                                doorbell = R(0x8080000, 0x808ffff);
    struct iovageom_geometry *arm;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;
    const struct iovageom_finding *finding;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_new(NULL, "arm", &arm), 0);
    assert_int_equal(iovageom_geometry_add_gaw(arm, 48, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(arm, 4096, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_reserved(arm, window, IOVAGEOM_RESV_SOFTWARE_MSI,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    for (int named = 0; named < 2; named++) {
        viommu = books(NULL, NULL);
        if (named)
            assert_int_equal(iovageom_viommu_add_region(viommu, doorbell, IOVAGEOM_RESV_MSI,
                                                        IOVAGEOM_SOURCE_MACHINE, "its"),
                             0);
        assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, arm, &report), 0);
        for (int freeze = 0; freeze < 2; freeze++) {
            if (freeze)
                assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
            assert_int_equal(iovageom_report_count(&report), !named);
            if (named)
                continue;
            finding = iovageom_report_at(&report, 0);
            assert_int_equal(finding->kind, IOVAGEOM_FINDING_GUEST_QUIRK);
            assert_int_equal(finding->fatal, 0);
            assert_int_equal(finding->endpoint, 1);
            assert_true(iovageom_range_equal(finding->range, window));
        }
        iovageom_viommu_free(viommu);
    }
    iovageom_geometry_free(arm);
    iovageom_report_deinit(&report);
}

/* What is offered tells nothing to a driver that declines it. */
static void what_the_driver_declines_tells_it_nothing(void **state)
{
    const uint32_t least = IOVAGEOM_VIRTIO_F_MAP_UNMAP;
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[8];
    struct iovageom_report report;
    size_t count;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.input_range = R(0, ((uint64_t)1 << 48) - 1);
    viommu = books(NULL, &config);
    assert_int_equal(iovageom_viommu_driver_features(viommu, least, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 0);
    /* Nobody comes under a driver that is not told. */
    for (unsigned width = 39; width <= 64; width += 25) {
        assert_int_equal(test_plug(viommu, 3, IOVAGEOM_VIOMMU_OWN,
                                   test_host(NULL, "host", width, PAGES_4K), &report),
                         IOVAGEOM_ERR_CONFLICT);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
    }
    iovageom_viommu_reset(viommu, false);
    assert_int_equal(
        test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, PAGES_4K), NULL), 0);
    assert_int_equal(
        test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "64", 64, PAGES_4K), NULL), 0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    /* Nor does such a driver come to devices that are there: what it declines stays accepted. */
    assert_int_equal(iovageom_viommu_driver_features(viommu, least, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, 1);
    assert_int_equal(test_probe(viommu, 1, regions, 8, &count), 0);

    /* With PROBE alone it is told the end of the input range too. */
    for (int reset = 0; reset < 2; reset++) {
        assert_int_equal(
            iovageom_viommu_driver_features(viommu, least | IOVAGEOM_VIRTIO_F_PROBE, &report), 0);
        assert_int_equal(iovageom_report_count(&report), 0);
        assert_int_equal(
            test_plug(viommu, 3, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "64", 64, PAGES_4K), NULL),
            0);
        assert_int_equal(test_probe(viommu, 3, regions, 8, &count), 0);
        assert_int_equal(count, 2);
        assert_true(iovageom_range_equal(regions[1].range, R((uint64_t)1 << 48, UINT64_MAX)));
        iovageom_viommu_reset(viommu, false);
        assert_int_equal(test_probe(viommu, 3, regions, 8, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(iovageom_viommu_unplug(viommu, 3), 0);
    }
    test_check(viommu);
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

static void what_can_not_be_told_must_be_usable(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_geometry *nothing;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
    viommu = books(NULL, &config);
    assert_int_equal(
        test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, 0), &report),
        IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
    /* The MSI window alone is no reason: the machine's guests know of it without being told. */
    assert_int_equal(
        test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "64", 64, 0), &report), 0);
    /* But what touches it is not excused with it. */
    assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "near", 64, 0, R(0xfed00000, 0xfedfffff)),
                               &report),
                     IOVAGEOM_ERR_CONFLICT);
    iovageom_viommu_free(viommu);

    /* An input range that follows the hosts shows their ends, and hides their holes. */
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    viommu = books(NULL, &config);
    assert_int_equal(
        test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, 0), &report), 0);
    assert_int_equal(
        test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN,
                  test_host_with(NULL, "hole", 39, PAGES_4K, R(0xdf800000, 0xdfffffff)), &report),
        IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INPUT_RANGE);
    assert_int_equal(iovageom_report_count(&report), 1);
    iovageom_viommu_free(viommu);

    viommu = books(NULL, NULL);
    assert_int_equal(iovageom_geometry_new(NULL, "nothing", &nothing), 0);
    assert_int_equal(iovageom_geometry_add_usable(nothing, NULL, 0, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, nothing, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_NOTHING_USABLE);
    /* Scraps that hold no whole granule are nothing to a guest. */
    assert_int_equal(iovageom_geometry_new(NULL, "scraps", &nothing), 0);
    assert_int_equal(iovageom_geometry_add_usable(
                         nothing,
                         (const struct iovageom_range[]){R(0x1800, 0x37fe), R(0xfff, 0x17fe)}, 2,
                         IOVAGEOM_SOURCE_VFIO),
                     0);
    assert_int_equal(iovageom_geometry_add_page_sizes(nothing, 0x2000, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, nothing, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_NOTHING_USABLE);
    /* A list that was cut short is taken, and said to be. */
    nothing = test_host(NULL, "short", 39, PAGES_4K);
    assert_int_equal(iovageom_geometry_add_incomplete(nothing, IOVAGEOM_SOURCE_SYSFS), 0);
    assert_int_equal(test_plug(viommu, 2, IOVAGEOM_VIOMMU_OWN, nothing, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_INCOMPLETE);
    /* Unknown is not empty: who said nothing is not held to anything (Q5). */
    assert_int_equal(iovageom_geometry_new(NULL, "silent", &nothing), 0);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, nothing, &report), 0);
    iovageom_viommu_free(viommu);

    /* What the machine reserves for all leaves nothing to a host that maps no more than that. */
    viommu = books(NULL, NULL);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0, BIT39 - 0x2001),
                                                IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_USER,
                                                "user"),
                     0);
    for (int room = 0; room < 2; room++)
        assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN,
                                   test_host_with(NULL, "39", 39, 0x2000,
                                                  R(BIT39 - (room ? 0x3000 : 0x1001),
                                                    BIT39 - (room ? 0x2001 : 0x1000))),
                                   &report),
                         room ? 0 : IOVAGEOM_ERR_CONFLICT);
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

/* Bypass may be switched on beside an attached device that can't bear it; not in silence. */
static void who_can_not_bypass_is_named(void **state)
{
    const struct iovageom_range identity = R(0, 0xffffffff);
    struct iovageom_viommu_config config;
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;
    struct iovageom_geometry *bad =
        test_host_with(NULL, "bad", 39, PAGES_4K, R(0xdf800000, 0xdfffffff));
    struct iovageom_geometry *good;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "good", &good), 0);
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.boot_bypass = 0;
    viommu = books(NULL, &config);
    assert_int_equal(iovageom_viommu_set_identity(viommu, &identity, 1, NULL), 0);
    iovageom_plug_options_init(&where);
    where.host_group = 3;
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, bad, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, SLOT, 0, NULL)), 0);
    assert_int_equal(iovageom_viommu_set_bypass(viommu, 1, &report), 0);
    /* A newcomer would bypass at once, on the same page tables. */
    assert_int_equal(iovageom_viommu_plug(viommu, OTHER, &where, good, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_RESERVED);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, OTHER);
    where.host_group = IOVAGEOM_VIOMMU_OWN;
    assert_int_equal(iovageom_viommu_plug(viommu, OTHER, &where, good, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 2, OTHER, 0, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_detach(viommu, 2, OTHER, &report)),
                     IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_report_count(&report), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_detach(viommu, 1, SLOT, &report)),
                     IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_report_at(&report, 0)->fatal, 0);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, SLOT);
    test_check(viommu);
    iovageom_geometry_free(bad);
    iovageom_geometry_free(good);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* Who names a host group alone comes to where that is. */
static void a_host_group_is_in_one_container(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_geometry *geometry = test_host(NULL, "h", 39, PAGES_4K);
    struct iovageom_viommu_endpoint found;
    struct iovageom_plug_options where;

    (void)state;
    iovageom_plug_options_init(&where);
    where.host_group = 7;
    where.address_space = 3;
    assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, geometry, NULL), 0);
    where.address_space = IOVAGEOM_VIOMMU_OWN;
    assert_int_equal(iovageom_viommu_plug(viommu, 2, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 2, &found), 0);
    assert_int_equal(found.address_space, 3);
    where.address_space = 4;
    assert_int_equal(iovageom_viommu_plug(viommu, 3, &where, geometry, NULL), IOVAGEOM_ERR_INVALID);
    /* And is in none once its last device has left. */
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, 2), 0);
    where.address_space = IOVAGEOM_VIOMMU_OWN;
    assert_int_equal(iovageom_viommu_plug(viommu, 3, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 3, &found), 0);
    assert_int_equal(found.address_space, IOVAGEOM_VIOMMU_OWN);
    test_check(viommu);
    iovageom_geometry_free(geometry);
    iovageom_viommu_free(viommu);
}

static void aliases_come_and_go_with_their_device(void **state)
{
    const uint32_t aliases[] = {0x300, 0x301};
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_geometry *geometry = test_host(NULL, "bridge", 39, PAGES_4K);
    struct iovageom_viommu_endpoint found;
    struct iovageom_plug_options where;

    (void)state;
    iovageom_plug_options_init(&where);
    where.aliases = aliases;
    where.alias_count = 2;
    where.address_space = 1;
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, geometry, NULL), 0);
    /* A second function behind the bridge shares one alias of the first. */
    where.alias_count = 1;
    assert_int_equal(iovageom_viommu_plug(viommu, OTHER, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 0x300, &found), 0);
    assert_int_equal(found.plugged, 2);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 0x301, 0, NULL)), 0);
    /* An alias is not unplugged by itself, nor does it get a geometry of its own. */
    assert_int_equal(iovageom_viommu_update(viommu, 0x300, geometry, 0, NULL),
                     IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_viommu_unplug(viommu, 0x300), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_viommu_unplug(viommu, SLOT), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 0x301, &found), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 0x300, &found), 0);
    assert_int_equal(found.plugged, 1);
    test_check(viommu);
    assert_int_equal(iovageom_viommu_unplug(viommu, OTHER), 0);
    assert_false(iovageom_viommu_endpoint_next(viommu, 0, &found));
    where.aliases = (const uint32_t[]){SLOT};
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, geometry, NULL),
                     IOVAGEOM_ERR_INVALID);
    /* They go with it even while a second device is on its way, which is then called off. */
    where.aliases = aliases;
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, geometry, NULL), 0);
    where.alias_count = 0;
    where.flags = IOVAGEOM_PLUG_ALIAS;
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, SLOT, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, SLOT), 0);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, SLOT), 0);
    assert_false(iovageom_viommu_endpoint_next(viommu, 0, &found));
    /* A commit takes no alias along that is prepared for another device. */
    where.alias_count = 1;
    where.flags = 0;
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, OTHER, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_update(viommu, OTHER, geometry, 0, NULL),
                     IOVAGEOM_ERR_NOT_FOUND);
    where.alias_count = 0;
    where.flags = IOVAGEOM_PLUG_ALIAS;
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 0x300, &found), 0);
    assert_int_equal(found.prepared, 1);
    assert_int_equal(found.plugged, 1);
    test_check(viommu);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, OTHER), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, SLOT), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, SLOT), 0);
    assert_false(iovageom_viommu_endpoint_next(viommu, 0, &found));
    test_check(viommu);
    iovageom_geometry_free(geometry);
    iovageom_viommu_free(viommu);
}

static void the_highest_numbers_are_numbers(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_viommu_endpoint endpoint;
    struct iovageom_viommu_domain domain;
    struct iovageom_mapping mapping;
    uint32_t member;

    (void)state;
    assert_int_equal(iovageom_viommu_declare(viommu, UINT32_MAX, IOVAGEOM_VIOMMU_GROUP_MAX,
                                             IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_GROUP_MAX + 1,
                                             IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_attach(viommu, UINT32_MAX, UINT32_MAX, 0, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                         viommu, UINT32_MAX, R(UINT64_MAX - 0xfff, UINT64_MAX), 0, RW, NULL)),
                     0);
    assert_true(iovageom_viommu_endpoint_next(viommu, 2, &endpoint));
    assert_int_equal(endpoint.endpoint, UINT32_MAX);
    assert_true(iovageom_viommu_domain_next(viommu, UINT32_MAX, &domain));
    assert_true(iovageom_viommu_domain_endpoint(viommu, UINT32_MAX, IOVAGEOM_ID_NONE, &member));
    assert_false(iovageom_viommu_domain_endpoint(viommu, UINT32_MAX, member, &member));
    assert_true(iovageom_viommu_mapping_next(viommu, UINT32_MAX, UINT64_MAX, &mapping));
    assert_int_equal(iovageom_viommu_unmap(viommu, UINT32_MAX, mapping.range, NULL, NULL), 0);
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

/* What is plugged and unplugged leaves the same bytes as before, and a list that doesn't fit
 * fails. */
static void unplug_widens_exactly_back(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_region before[8], after[8];
    size_t count, again;

    (void)state;
    assert_int_equal(test_plug(viommu, SLOT, 1, test_host(NULL, "a", 48, PAGES_4K), NULL), 0);
    assert_int_equal(iovageom_viommu_told(viommu, SLOT, before, 8, &count, NULL), 0);
    assert_int_equal(test_plug(viommu, OTHER, 1,
                               test_host_with(NULL, "b", 39, PAGES_4K, R(0x1000, 0x1fff)), NULL),
                     0);
    assert_int_equal(iovageom_viommu_told(viommu, SLOT, after, 2, &again, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(again, 3);
    assert_int_equal(iovageom_viommu_unplug(viommu, OTHER), 0);
    assert_int_equal(iovageom_viommu_told(viommu, SLOT, after, 8, &again, NULL), 0);
    assert_int_equal(again, count);
    assert_memory_equal(before, after, count * sizeof(before[0]));
    iovageom_viommu_free(viommu);
}

/* Books with a bit of everything, on either side of a migration. */
static struct iovageom_viommu *busy_books(const struct iovageom_allocator *allocator, bool guest)
{
    struct iovageom_viommu *viommu = books(allocator, NULL);
    struct iovageom_geometry *pool = test_host(allocator, "pool", 39, PAGES_4K);
    struct iovageom_region regions[8];
    size_t count;

    assert_int_equal(iovageom_viommu_set_envelope(viommu, pool, NULL), 0);
    iovageom_geometry_free(pool);
    assert_int_equal(iovageom_viommu_declare(viommu, PORT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, SLOT, 1, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(test_plug(viommu, OTHER, IOVAGEOM_VIOMMU_OWN,
                               test_host(allocator, "other", 39, PAGES_4K), NULL),
                     0);
    if (!guest)
        return viommu;
    assert_int_equal(test_probe(viommu, PORT, regions, 8, &count), 0);
    assert_int_equal(test_probe(viommu, OTHER, regions, 8, &count), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 3, OTHER, 0, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(
                         viommu, 4, PORT, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS, NULL)),
                     0);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                             viommu, 3, R(i * 0x2000, i * 0x2000 + 0xfff), i * 0x1000, RW, NULL)),
                         0);
    return viommu;
}

static void every_damage_to_a_stream_is_noticed(void **state)
{
    static uint8_t bytes[4096], second[4096];
    struct iovageom_viommu *from = busy_books(NULL, true), *to = busy_books(NULL, false);
    struct iovageom_viommu_domain domain;
    size_t length, again;

    (void)state;
    assert_int_equal(iovageom_viommu_save(to, bytes, sizeof(bytes), &length), IOVAGEOM_ERR_STATE);
    assert_int_equal(iovageom_viommu_driver_features(from, ~(uint32_t)IOVAGEOM_VIRTIO_F_MMIO, NULL),
                     0);
    assert_int_equal(iovageom_viommu_save(from, bytes, sizeof(bytes), &length), 0);
    assert_int_equal(iovageom_viommu_save(from, second, length - 1, &again),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(again, length);
    for (size_t cut = 0; cut < length; cut++)
        assert_true(iovageom_viommu_load(to, bytes, cut, 0, NULL) < 0);
    for (size_t i = 0; i < length; i++)
        for (int bit = 0; bit < 8; bit++) {
            /* The four bytes after the version are not used. */
            if (i >= 12 && i < 16)
                continue;
            bytes[i] ^= (uint8_t)(1 << bit);
            assert_true(iovageom_viommu_load(to, bytes, length, 0, NULL) < 0);
            assert_false(iovageom_viommu_frozen(to));
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    bytes[8] = 2;
    assert_int_equal(iovageom_viommu_load(to, bytes, length, 0, NULL), IOVAGEOM_ERR_VERSION);
    bytes[8] = 1;
    assert_int_equal(iovageom_viommu_load(to, bytes, length, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_load(to, bytes, length, 0, NULL), IOVAGEOM_ERR_STATE);
    test_check(to);
    assert_int_equal(iovageom_viommu_domain(to, 3, &domain), 0);
    assert_int_equal(domain.mappings, 20);
    assert_int_equal(iovageom_viommu_domain(to, 4, &domain), 0);
    assert_int_equal(domain.bypass, 1);
    /* What the driver accepted was taken along. */
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                         to, 3, R(0x100000, 0x100fff), 0, RW | IOVAGEOM_VIRTIO_MAP_F_MMIO, NULL)),
                     IOVAGEOM_VIRTIO_S_INVAL);
    iovageom_viommu_free(from);
    iovageom_viommu_free(to);
}

/* ---- memory ---- */

static struct test_allocator memory;
static struct iovageom_geometry *spare; /* to be plugged */

/* A stream of a frozen machine with endpoint 1, emulated, and pages of 4 KiB. */
static size_t plain_stream(uint8_t *bytes, size_t size)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    size_t length = 0;

    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, bytes, size, &length), 0);
    iovageom_viommu_free(viommu);
    return length;
}

/* Whoever makes a stream can make its checksum: a probe_size where no PROBE is offered. */
static void a_made_up_probe_size_is_refused(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    uint8_t bytes[256];
    size_t length;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
    viommu = books(NULL, &config);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, bytes, sizeof(bytes), &length), 0);
    iovageom_viommu_free(viommu);
    viommu = books(NULL, &config);
    assert_int_equal(bytes[24 + 33], 0);
    bytes[24 + 33] = 2;
    for (size_t i = 24; i < length; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    for (int i = 0; i < 8; i++)
        bytes[16 + i] = (uint8_t)(sum >> (8 * i));
    assert_int_equal(iovageom_viommu_load(viommu, bytes, length, 0, NULL), IOVAGEOM_ERR_MALFORMED);
    iovageom_viommu_free(viommu);
}

static void a_destination_must_honour_what_was_frozen(void **state)
{
    const struct iovageom_range identity = R(0, BIT39);
    uint8_t bytes[256];
    const size_t length = plain_stream(bytes, sizeof(bytes));
    struct iovageom_viommu_config config;
    struct iovageom_geometry *large;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    /* Smaller pages than the machine was configured with, */
    iovageom_viommu_config_init(&config);
    config.page_size_mask = ~UINT64_C(0xffff);
    viommu = books(NULL, &config);
    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_viommu_load(viommu, bytes, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_GRANULE);
    iovageom_viommu_free(viommu);
    /* than its envelope allows, */
    large = test_host(NULL, "large", 39, 0x10000);
    viommu = books(NULL, NULL);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, large, NULL), 0);
    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(iovageom_viommu_load(viommu, bytes, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_GRANULE);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, IOVAGEOM_ID_NONE);
    iovageom_viommu_free(viommu);
    /* or than a device maps, which is named. */
    viommu = books(NULL, NULL);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, large, NULL), 0);
    assert_int_equal(iovageom_viommu_load(viommu, bytes, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_GRANULE);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, 1);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(large);
    /* A bypass that the guest relies on, and the device can't do. */
    iovageom_viommu_config_init(&config);
    config.boot_bypass = 0;
    viommu = books(NULL, &config);
    assert_int_equal(iovageom_viommu_set_identity(viommu, &identity, 1, NULL), 0);
    assert_int_equal(test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, 0), NULL),
                     0);
    assert_int_equal(iovageom_viommu_load(viommu, bytes, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_RESERVED);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, 1);
    assert_false(iovageom_viommu_frozen(viommu));
    test_check(viommu);
    assert_int_equal(iovageom_viommu_set_identity(viommu, NULL, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_load(viommu, bytes, length, 0, &report), 0);
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

/* Ports 1 and 2 in guest groups; 3 alone. */
static struct iovageom_viommu *three(uint64_t first, uint64_t second, uint32_t last)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);

    assert_int_equal(iovageom_viommu_declare(viommu, 2, first, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, second, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    for (uint32_t id = 3; id <= last; id++)
        assert_int_equal(iovageom_viommu_declare(viommu, id, IOVAGEOM_VIOMMU_OWN,
                                                 IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
    return viommu;
}

/* A destination has the source's endpoints, in the same company; what their groups are called, and
   who else is there, is its own affair. */
static void a_destination_groups_endpoints_alike(void **state)
{
    const struct {
        uint64_t source[2], destination[2];
        uint32_t last;
        size_t findings;
        enum iovageom_finding_kind kind;
    } cases[] = {
        {{1, 1}, {7, 7}, 3, 0, 0},
        {{1, 1}, {1, 2}, 3, 1, IOVAGEOM_FINDING_OTHER},
        {{1, 2}, {1, 1}, 3, 1, IOVAGEOM_FINDING_OTHER},
        {{1, 2}, {2, 1}, 9, 0, 0},
        {{1, 2}, {1, 2}, 2, 1, IOVAGEOM_FINDING_NOT_FOUND},
    };
    struct iovageom_viommu *viommu;
    struct iovageom_report report;
    struct iovageom_region regions[4];
    uint8_t bytes[1024];
    size_t length, count;

    (void)state;
    iovageom_report_init(&report, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        viommu = three(cases[i].source[0], cases[i].source[1], 3);
        for (uint32_t id = 1; id <= 3; id++)
            assert_int_equal(test_probe(viommu, id, regions, 4, &count), 0);
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 3, 0, NULL)), 0);
        assert_int_equal(iovageom_viommu_save(viommu, bytes, sizeof(bytes), &length), 0);
        iovageom_viommu_free(viommu);
        viommu = three(cases[i].destination[0], cases[i].destination[1], cases[i].last);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(iovageom_viommu_load(viommu, bytes, length, 0, &report),
                             cases[i].findings == 0 ? (again ? IOVAGEOM_ERR_STATE : 0)
                                                    : IOVAGEOM_ERR_CONFLICT);
            assert_int_equal(iovageom_report_count(&report), cases[i].findings);
            if (cases[i].findings > 0)
                assert_int_equal(iovageom_report_at(&report, 0)->kind, cases[i].kind);
        }
        test_check(viommu);
        iovageom_viommu_free(viommu);
    }
    iovageom_report_deinit(&report);
}

/* Stale books are restored by making the stale step again. */
static void what_went_stale_does_so_again(void **state)
{
    const struct iovageom_range window = R(0xdf800000, 0xdfffffff);
    struct iovageom_geometry *wide = test_host(NULL, "wide", 39, PAGES_4K);
    struct iovageom_geometry *holey = test_host_with(NULL, "holey", 39, PAGES_4K, window);
    struct iovageom_viommu *viommu;
    struct iovageom_plug_options where;
    struct iovageom_report report;
    uint8_t bytes[1024];
    size_t length = 0;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_plug_options_init(&where);
    where.guest_group = 1;
    where.flags = IOVAGEOM_PLUG_ALLOW_STALE;
    for (int update = 0; update < 2; update++)
        for (int again = 0; again < 3; again++) {
            viommu = books(NULL, NULL);
            assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, wide, NULL), 0);
            if (again == 1)
                assert_int_equal(iovageom_viommu_plug(viommu, 2, &where, holey, NULL), 0);
            else if (update)
                assert_int_equal(iovageom_viommu_plug(viommu, 2, &where, wide, NULL), 0);
            else
                assert_int_equal(
                    iovageom_viommu_declare(viommu, 2, 1, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
            if (again == 0) {
                assert_int_equal(
                    iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
                if (update)
                    assert_int_equal(
                        iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 2, 0, NULL)), 0);
                assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                                     viommu, 1, R(0xdf900000, 0xdf900fff), 0, RW, NULL)),
                                 0);
            } else {
                assert_int_equal(iovageom_viommu_load(viommu, bytes, length, 0, &report),
                                 again == 1 ? IOVAGEOM_ERR_CONFLICT : 0);
            }
            if (again != 1) {
                assert_int_equal(update ? iovageom_viommu_update(viommu, 2, holey,
                                                                 IOVAGEOM_PLUG_ALLOW_STALE, &report)
                                        : iovageom_viommu_plug(viommu, 2, &where, holey, &report),
                                 0);
                assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_MAPPING);
                assert_int_equal(iovageom_report_at(&report, 0)->fatal, 0);
                assert_int_equal(iovageom_viommu_save(viommu, bytes, sizeof(bytes), &length), 0);
            }
            test_check_stale(viommu, again != 1);
            iovageom_viommu_free(viommu);
        }
    iovageom_geometry_free(wide);
    iovageom_geometry_free(holey);
    iovageom_report_deinit(&report);
}

static int new_books(struct iovageom_viommu *viommu)
{
    struct iovageom_viommu *other;
    int error;

    (void)viommu;
    error = iovageom_viommu_new(&memory.allocator, NULL, &other);

    if (error == 0)
        iovageom_viommu_free(other);
    return error;
}

static int hot_plug(struct iovageom_viommu *viommu)
{
    const uint32_t aliases[] = {0x400, 0x401};
    struct iovageom_plug_options where;

    iovageom_plug_options_init(&where);
    where.aliases = aliases;
    where.alias_count = 2;
    where.host_group = 7;
    where.address_space = 8;
    return iovageom_viommu_plug(viommu, SLOT, &where, spare, NULL);
}

static int new_slot(struct iovageom_viommu *viommu)
{
    return iovageom_viommu_declare(viommu, 0x500, 9, IOVAGEOM_ENDPOINT_SLOT, NULL);
}

static int new_geometry(struct iovageom_viommu *viommu)
{
    return iovageom_viommu_update(viommu, OTHER, spare, 0, NULL);
}

static int new_identity(struct iovageom_viommu *viommu)
{
    struct iovageom_range ranges[20];

    for (uint64_t i = 0; i < 20; i++)
        ranges[i] = R(i * 0x10000, i * 0x10000 + 0xfff);
    return iovageom_viommu_set_identity(viommu, ranges, 20, NULL);
}

static int by_status(uint8_t status)
{
    return status == IOVAGEOM_VIRTIO_S_OK      ? 0
           : status == IOVAGEOM_VIRTIO_S_NOMEM ? IOVAGEOM_ERR_NO_MEMORY
                                               : IOVAGEOM_ERR_INVALID;
}

static int new_probe(struct iovageom_viommu *viommu)
{
    uint8_t bytes[512];
    size_t needed;

    return by_status(iovageom_status_virtio(
        iovageom_viommu_probe(viommu, OTHER, bytes, sizeof(bytes), &needed, NULL)));
}

static int new_domain(struct iovageom_viommu *viommu)
{
    return by_status(iovageom_status_virtio(iovageom_viommu_attach(viommu, 77, OTHER, 0, NULL)));
}

static int new_mapping(struct iovageom_viommu *viommu)
{
    return by_status(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 3, R(0x100000, 0x100fff), 0, RW, NULL)));
}

static int promise_sets(struct iovageom_viommu *viommu)
{
    struct iovageom_viommu_promise promise;

    return iovageom_viommu_promise(viommu, OTHER, &promise, NULL, NULL, NULL, NULL);
}

static int check_books(struct iovageom_viommu *viommu)
{
    return test_viommu_check(viommu, false, NULL);
}

/* Whatever allocation fails: the call says so, and the books are as they were, to the byte. */
static void memory_may_run_out_anywhere(void **state)
{
    static int (*const calls[])(struct iovageom_viommu *) = {
        new_books, hot_plug,   new_slot,    new_geometry, new_identity,
        new_probe, new_domain, new_mapping, promise_sets, check_books,
    };
    static uint8_t before[4096], after[4096];

    (void)state;
    test_allocator_init(&memory);
    for (size_t call = 0; call < sizeof(calls) / sizeof(calls[0]); call++)
        for (int for_good = 0; for_good < 2; for_good++)
            for (size_t nth = 1;; nth++) {
                struct iovageom_viommu *viommu = busy_books(&memory.allocator, true);
                struct iovageom_viommu_endpoint found;
                size_t length, again;
                bool hit;
                int error;

                spare = test_host(&memory.allocator, "spare", 39, PAGES_4K);
                assert_int_equal(iovageom_viommu_save(viommu, before, sizeof(before), &length), 0);
                test_allocator_fail_at(&memory, nth, for_good != 0);
                error = calls[call](viommu);
                hit = test_allocator_stop_failing(&memory);
                test_check(viommu);
                if (error != 0) {
                    assert_true(hit);
                    assert_int_equal(error, IOVAGEOM_ERR_NO_MEMORY);
                    assert_int_equal(iovageom_viommu_save(viommu, after, sizeof(after), &again), 0);
                    assert_int_equal(length, again);
                    assert_memory_equal(before, after, length);
                    assert_int_equal(iovageom_viommu_endpoint(viommu, SLOT, &found), 0);
                    assert_null(found.geometry);
                    assert_int_equal(iovageom_viommu_endpoint(viommu, 0x400, &found),
                                     IOVAGEOM_ERR_NOT_FOUND);
                }
                iovageom_geometry_free(spare);
                iovageom_viommu_free(viommu);
                assert_int_equal(test_allocator_live(&memory), 0);
                if (!hit)
                    break;
            }
}

static void memory_may_run_out_while_loading(void **state)
{
    static uint8_t bytes[4096];
    struct iovageom_viommu *from = busy_books(NULL, true);
    size_t length;
    bool hit = true;

    (void)state;
    assert_int_equal(iovageom_viommu_save(from, bytes, sizeof(bytes), &length), 0);
    test_allocator_init(&memory);
    for (size_t nth = 1; hit; nth++) {
        struct iovageom_viommu *to = busy_books(&memory.allocator, false);
        struct iovageom_report report;
        int error;

        iovageom_report_init(&report, NULL);
        test_allocator_fail_at(&memory, nth, true);
        error = iovageom_viommu_load(to, bytes, length, 0, nth % 2 == 0 ? &report : NULL);
        hit = test_allocator_stop_failing(&memory);
        test_check(to);
        assert_int_equal(error, hit ? IOVAGEOM_ERR_NO_MEMORY : 0);
        assert_int_equal(iovageom_viommu_frozen(to), !hit);
        if (hit)
            assert_int_equal(iovageom_viommu_load(to, bytes, length, 0, NULL), 0);
        test_check(to);
        iovageom_report_deinit(&report);
        iovageom_viommu_free(to);
        assert_int_equal(test_allocator_live(&memory), 0);
    }
    iovageom_viommu_free(from);
}

/* Once begin() has agreed to a MAP, and the host has it, the books have it too. */
static void a_map_that_was_agreed_to_is_booked(void **state)
{
    struct iovageom_virtio_request map = {.type = IOVAGEOM_VIRTIO_T_MAP, .domain = 1, .flags = RW};
    struct iovageom_virtio_request attach = {
        .type = IOVAGEOM_VIRTIO_T_ATTACH, .domain = 2, .endpoint = SLOT};
    struct iovageom_viommu_transaction transaction;
    struct iovageom_mapping mapping;
    struct iovageom_report report;
    struct iovageom_viommu *viommu;
    uint8_t bytes[128], answer[4];
    size_t size;

    (void)state;
    test_allocator_init(&memory);
    viommu = books(&memory.allocator, NULL);
    iovageom_report_init(&report, NULL);
    assert_int_equal(
        test_plug(viommu, SLOT, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "h", 39, PAGES_4K), NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, SLOT, 0, NULL)), 0);
    for (uint64_t i = 0; i < 100; i++) {
        const int32_t veto = i % 3 == 0 ? IOVAGEOM_ERR_HOST : IOVAGEOM_OK;

        map.virt = R(i << 16, (i << 16) + 0xfff);
        assert_int_equal(iovageom_guest_encode_request(&map, bytes, sizeof(bytes), &size), 0);
        iovageom_viommu_request_begin(viommu, bytes, size, 4, &transaction, &report);
        assert_int_equal(iovageom_status_virtio(transaction.status), IOVAGEOM_VIRTIO_S_OK);
        /* Without room for an answer, which is a mistake of the VMM's, nothing stays. */
        assert_int_equal(iovageom_viommu_request_end(viommu, &transaction, veto, answer,
                                                     i == 1 ? 3 : 4, &report),
                         i == 1 ? 0 : 4);
        test_allocator_stop_failing(&memory);
        assert_true(i == 1 || answer[0] == iovageom_status_virtio(veto));
        assert_int_equal(iovageom_viommu_mapping_next(viommu, 1, i << 16, &mapping),
                         i != 1 && veto == IOVAGEOM_OK);
        test_check(viommu);
    }
    /* ATTACH may still lack memory, and says so. */
    assert_int_equal(iovageom_guest_encode_request(&attach, bytes, sizeof(bytes), &size), 0);
    iovageom_viommu_request_begin(viommu, bytes, size, 4, &transaction, &report);
    assert_int_equal(iovageom_status_virtio(transaction.status), IOVAGEOM_VIRTIO_S_OK);
    test_allocator_fail_at(&memory, 1, true);
    assert_int_equal(iovageom_viommu_request_end(viommu, &transaction, 0, answer, 4, &report), 4);
    test_allocator_stop_failing(&memory);
    assert_int_equal(iovageom_status_virtio(transaction.status), IOVAGEOM_VIRTIO_S_NOMEM);
    assert_int_equal(answer[0], IOVAGEOM_VIRTIO_S_NOMEM);
    assert_int_equal(iovageom_report_at(&report, 0)->status, IOVAGEOM_ERR_NO_MEMORY);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* A used length covers no byte that was not written, also when a PROBE is refused. */
static void a_refused_probe_is_zeroed(void **state)
{
    const struct iovageom_virtio_request probe = {.type = IOVAGEOM_VIRTIO_T_PROBE, .endpoint = 1};
    static uint8_t answer[516];
    struct iovageom_viommu *viommu = books(NULL, NULL);
    uint8_t bytes[128];
    size_t size;

    (void)state;
    memset(answer, 0xaa, sizeof(answer));
    assert_int_equal(iovageom_guest_encode_request(&probe, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(iovageom_viommu_request(viommu, bytes, size, answer, 516, NULL), 516);
    for (size_t i = 0; i < sizeof(answer); i++)
        assert_int_equal(answer[i], i == 512 ? IOVAGEOM_VIRTIO_S_NOENT : 0);
    iovageom_viommu_free(viommu);
}

/* One finding for each obstacle, and the right one. */
static void reports_name_all_culprits(void **state)
{
    const struct iovageom_range identity = R(0, 0xffffffff);
    struct iovageom_viommu *viommu = books(NULL, NULL), *empty = books(NULL, NULL);
    struct iovageom_report report;
    struct iovageom_region regions[8];
    static uint8_t bytes[4096];
    size_t length;

    (void)state;
    iovageom_report_init(&report, NULL);
    for (uint32_t endpoint = 1; endpoint <= 2; endpoint++) {
        assert_int_equal(test_plug(viommu, endpoint, 1, test_host(NULL, "h", 39, PAGES_4K), NULL),
                         0);
        assert_int_equal(test_probe(viommu, endpoint, regions, 8, &length), IOVAGEOM_VIRTIO_S_OK);
    }
    assert_int_equal(iovageom_viommu_set_identity(viommu, &identity, 1, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 2);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, 1);
    assert_int_equal(iovageom_report_at(&report, 1)->endpoint, 2);
    for (uint32_t endpoint = 1; endpoint <= 2; endpoint++)
        assert_int_equal(
            iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, endpoint, 0, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(
                         iovageom_viommu_map(viommu, 1, R(0x1000, 0x2fff), 0x800, RW, &report)),
                     IOVAGEOM_VIRTIO_S_RANGE);
    assert_string_equal(iovageom_report_text(&report),
                        "phys_start is not a multiple of the granule 0x1000; align it to that");
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0x1000, 0x2fff), 0, RW, &report)),
        0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_unmap(viommu, 1, R(0x1000, 0x1fff), NULL, &report)),
        IOVAGEOM_VIRTIO_S_RANGE);
    assert_non_null(strstr(iovageom_report_text(&report), "would split [0x1000,0x2fff]"));
    assert_int_equal(iovageom_viommu_save(viommu, bytes, sizeof(bytes), &length), 0);
    assert_int_equal(iovageom_viommu_load(empty, bytes, length, 0, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 2);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, 1);
    assert_int_equal(iovageom_report_at(&report, 1)->endpoint, 2);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
    iovageom_viommu_free(empty);
}

/* 4,096 devices that all reserve something else, in one guest group; they go in any order. */
static void a_large_group_comes_and_goes(void **state)
{
    enum { MANY = 4096 };
    struct iovageom_viommu *viommu = books(NULL, NULL);
    static struct iovageom_region regions[MANY + 8];
    size_t count;

    (void)state;
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(
            test_plug(viommu, i, 1,
                      test_host_with(NULL, "many", 48, PAGES_4K,
                                     R(0x100000000 + i * 0x4000, 0x100000fff + i * 0x4000)),
                      NULL),
            0);
    assert_int_equal(iovageom_viommu_told(viommu, 5, regions, MANY + 8, &count, NULL), 0);
    assert_int_equal(count, MANY + 2);
    for (uint32_t i = 0; i < MANY; i++)
        if (i * 2731 % MANY != 5)
            assert_int_equal(iovageom_viommu_unplug(viommu, i * 2731 % MANY), 0);
    assert_int_equal(iovageom_viommu_told(viommu, 5, regions, MANY + 8, &count, NULL), 0);
    assert_int_equal(count, 3);
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

static void needed_sizes_may_be_left_unasked(void **state)
{
    static uint8_t bytes[4096], again[4096];
    struct iovageom_viommu *viommu = busy_books(NULL, true);
    size_t length;

    (void)state;
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_probe(viommu, PORT, bytes, 4, NULL, NULL)),
        IOVAGEOM_VIRTIO_S_INVAL);
    assert_int_equal(iovageom_status_virtio(
                         iovageom_viommu_probe(viommu, PORT, bytes, sizeof(bytes), NULL, NULL)),
                     0);
    assert_int_equal(iovageom_status_virtio(
                         iovageom_viommu_probe(viommu, PORT, again, sizeof(again), &length, NULL)),
                     0);
    assert_memory_equal(bytes, again, length);
    assert_int_equal(iovageom_viommu_save(viommu, bytes, 4, NULL), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(iovageom_viommu_save(viommu, bytes, sizeof(bytes), NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, again, sizeof(again), &length), 0);
    assert_memory_equal(bytes, again, length);
    iovageom_viommu_free(viommu);
}

static void a_guest_group_that_has_nothing_in_common_is_named(void **state)
{
    struct iovageom_viommu *viommu = books(NULL, NULL);
    struct iovageom_region regions[8];
    struct iovageom_report report;
    size_t count;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(test_plug(viommu, 1, 1, test_host(NULL, "low", 32, 0), NULL), 0);
    assert_int_equal(iovageom_viommu_told(viommu, 1, regions, 8, &count, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 0);
    /* Each has addresses to offer; together there are none. */
    assert_int_equal(
        test_plug(viommu, 2, 1, test_host_with(NULL, "high", 39, 0, R(0, 0xffffffff)), NULL), 0);
    for (int probe = 0; probe < 2; probe++) {
        tell(viommu, 1, probe != 0, &report);
        assert_int_equal(iovageom_report_count(&report), 1);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_NOTHING_USABLE);
        assert_int_equal(iovageom_report_at(&report, 0)->fatal, 0);
        assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "the guest group");
    }
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_is_checked),
        cmocka_unit_test(the_guest_is_told_before_it_attaches),
        cmocka_unit_test(the_smallest_buffer_holds_any_list),
        cmocka_unit_test(a_group_is_told_one_thing),
        cmocka_unit_test(a_live_mapping_stands_against_a_newcomer),
        cmocka_unit_test(a_promise_outlives_whom_it_was_given_to),
        cmocka_unit_test(one_container_has_one_budget),
        cmocka_unit_test(the_input_range_follows_the_hosts),
        cmocka_unit_test(what_the_granule_takes_is_named),
        cmocka_unit_test(the_first_request_says_what_freezing_does),
        cmocka_unit_test(a_restarted_machine_can_be_configured_anew),
        cmocka_unit_test(the_input_range_is_whole_granules),
        cmocka_unit_test(a_region_that_no_guest_can_be_told_is_refused),
        cmocka_unit_test(a_region_reserves_what_its_type_says),
        cmocka_unit_test(the_lowest_doorbells_of_the_machine_are_told),
        cmocka_unit_test(doorbells_that_nobody_named_are_missed),
        cmocka_unit_test(an_input_range_that_is_not_offered_is_told_by_probe),
        cmocka_unit_test(what_the_driver_declines_tells_it_nothing),
        cmocka_unit_test(what_can_not_be_told_must_be_usable),
        cmocka_unit_test(who_can_not_bypass_is_named),
        cmocka_unit_test(a_host_group_is_in_one_container),
        cmocka_unit_test(aliases_come_and_go_with_their_device),
        cmocka_unit_test(the_highest_numbers_are_numbers),
        cmocka_unit_test(unplug_widens_exactly_back),
        cmocka_unit_test(a_destination_must_honour_what_was_frozen),
        cmocka_unit_test(a_made_up_probe_size_is_refused),
        cmocka_unit_test(every_damage_to_a_stream_is_noticed),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(a_destination_groups_endpoints_alike),
        cmocka_unit_test(what_went_stale_does_so_again),
        cmocka_unit_test(memory_may_run_out_while_loading),
        cmocka_unit_test(a_map_that_was_agreed_to_is_booked),
        cmocka_unit_test(a_refused_probe_is_zeroed),
        cmocka_unit_test(reports_name_all_culprits),
        cmocka_unit_test(needed_sizes_may_be_left_unasked),
        cmocka_unit_test(a_guest_group_that_has_nothing_in_common_is_named),
        cmocka_unit_test(a_large_group_comes_and_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

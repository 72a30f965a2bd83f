/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/test_viommu.h"

#include "support/test_allocator.h"

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
    REFUSED(config.probe_size = 23, IOVAGEOM_ERR_INVALID);
    REFUSED(config.features |= IOVAGEOM_VIRTIO_F_BYPASS, IOVAGEOM_ERR_INVALID);
    REFUSED(config.features |= 1u << 31, IOVAGEOM_ERR_INVALID);
    REFUSED(config.flags = 4, IOVAGEOM_ERR_INVALID);
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
    struct iovageom_viommu_where where;
    struct iovageom_geometry *geometry;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_declare(viommu, PORT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_attach(viommu, 7, PORT, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, R(0xdf900000, 0xdf900fff), 0x1000, RW, &report),
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
    iovageom_viommu_where_init(&where);
    where.guest_group = 1;
    where.flags = IOVAGEOM_PLUG_ALLOW_STALE;
    assert_int_equal(iovageom_viommu_plug(viommu, SLOT, &where, geometry, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_viommu_attach(viommu, 7, SLOT, 0, &report), IOVAGEOM_VIRTIO_S_UNSUPP);
    assert_int_equal(iovageom_viommu_promise(viommu, PORT, &promise, NULL, NULL, NULL, NULL), 0);
    assert_false(promise.told);
    iovageom_geometry_free(geometry);
    test_check(viommu);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_is_checked),
        cmocka_unit_test(the_guest_is_told_before_it_attaches),
        cmocka_unit_test(a_group_is_told_one_thing),
        cmocka_unit_test(a_live_mapping_stands_against_a_newcomer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

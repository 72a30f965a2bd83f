/* SPDX-License-Identifier: BSD-3-Clause */
/* The config space, features and bypass: N2 to N10, N20, I1 to I3. */
#include "dut.h"

static void n2_offers_map_unmap(void **state)
{
    (void)state;
    assert_true((dut_defaults().features & IOVAGEOM_VIRTIO_F_MAP_UNMAP) != 0);
}

static void n3_does_not_offer_legacy_bypass(void **state)
{
    (void)state;
    assert_true((dut_defaults().features & IOVAGEOM_VIRTIO_F_BYPASS) == 0);
}

static void n4_refuses_to_offer_both_bypasses(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();
    struct iovageom_viommu *other;

    (void)state;
    config.features |= IOVAGEOM_VIRTIO_F_BYPASS;
    assert_int_equal(iovageom_viommu_new(NULL, &config, &other), IOVAGEOM_ERR_INVALID);
}

static void n6_only_bypass_is_written_and_only_0_or_1(void **state)
{
    (void)state;
    assert_int_equal(iovageom_viommu_set_bypass(dut, 2, NULL), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_viommu_set_bypass(dut, 0xff, NULL), IOVAGEOM_ERR_INVALID);
    assert_int_equal(dut_config().bypass, 1);
    assert_int_equal(iovageom_viommu_set_bypass(dut, 0, NULL), 0);
    assert_int_equal(dut_config().bypass, 0);
    assert_int_equal(iovageom_viommu_driver_features(
                         dut, IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_PROBE, NULL),
                     0);
    assert_int_equal(iovageom_viommu_set_bypass(dut, 1, NULL), IOVAGEOM_ERR_UNSUPPORTED);
    assert_int_equal(dut_config().bypass, 0);
}

static void n8_page_size_mask_is_never_0(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();
    struct iovageom_geometry *none;
    struct iovageom_viommu *other;

    (void)state;
    assert_true(dut_config().page_size_mask != 0);
    config.page_size_mask = 0;
    assert_int_equal(iovageom_viommu_new(NULL, &config, &other), IOVAGEOM_ERR_INVALID);
    /* A host that maps no page at all would make it 0, and is refused. */
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &other), 0);
    none = test_host(NULL, "no pages", 39, 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(none, 0, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(test_plug(other, 1, IOVAGEOM_VIOMMU_OWN, none, NULL), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_viommu_freeze(other, NULL), 0);
    iovageom_viommu_free(other);
}

static void n9_bypass_survives_a_device_reset_and_is_restored_by_a_system_reset(void **state)
{
    (void)state;
    assert_int_equal(iovageom_viommu_set_bypass(dut, 0, NULL), 0);
    iovageom_viommu_reset(dut, false);
    assert_int_equal(dut_config().bypass, 0);
    iovageom_viommu_reset(dut, true);
    assert_int_equal(dut_config().bypass, 1);
}

static void n10_bypass_reads_0_or_1(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();
    struct iovageom_viommu *other;

    (void)state;
    assert_int_equal(dut_config().bypass, 1);
    config.boot_bypass = 2;
    assert_int_equal(iovageom_viommu_new(NULL, &config, &other), IOVAGEOM_ERR_INVALID);
    config.boot_bypass = 0;
    dut_again(&config);
    assert_int_equal(dut_config().bypass, 0);
}

static void n20_unattached_endpoints_reach_nothing_without_bypass(void **state)
{
    (void)state;
    assert_int_equal(reach(DEVICE, 0x1000, RW), 0x1000);
    assert_int_equal(iovageom_viommu_set_bypass(dut, 0, NULL), 0);
    assert_int_equal(reach(DEVICE, 0x1000, RW), -1);
    assert_int_equal(reach(NOBODY, 0x1000, RW), -1);
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(reach(DEVICE, 0x1000, RW), -1);
}

static void i1_the_lowest_bit_is_the_granule_and_the_others_are_hints(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();

    (void)state;
    assert_int_equal(dut_config().page_size_mask, PAGES_4K);
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    /* 12 KiB is no page size, but a multiple of the granule. */
    assert_int_equal(map(1, R(0x1000, 0x3fff), 0x1000, RW), S_OK);
    /* A granule of 64K is mappable on a host with 4K pages, and its larger pages stay (Q8). */
    config.granule = 0x10000;
    dut_again(&config);
    assert_int_equal(dut_config().page_size_mask, 0x40210000);
    /* Bit 0: single bytes map. */
    config.granule = 0;
    config.page_size_mask = 1;
    iovageom_viommu_free(dut);
    assert_int_equal(iovageom_viommu_new(NULL, &config, &dut), 0);
    assert_int_equal(iovageom_viommu_declare(dut, EMULATED, 0, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(3, 4), 5, RW), S_OK);
    assert_int_equal(reach(EMULATED, 4, RW), 6);
}

static void i2_the_input_range_is_enforced(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();

    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(UINT64_MAX - 0xfff, UINT64_MAX), 0, RW), S_OK);
    config.input_range = R(0x10000, 0xfffff);
    dut_again(&config);
    assert_true(iovageom_range_equal(dut_config().input_range, R(0x10000, 0xfffff)));
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0xf000, 0x10fff), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(0xf000, 0xffff), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(0xff000, 0x100fff), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(0x10000, 0x10fff), 0, RW), S_OK);
    assert_int_equal(map(1, R(0xff000, 0xfffff), 0, RW), S_OK);
}

static void i3_bypass_truth_table(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();

    (void)state;
    /* config.bypass counts while unattached, whether the driver accepted the feature or not. */
    assert_int_equal(iovageom_viommu_driver_features(
                         dut, IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_PROBE, NULL),
                     0);
    assert_int_equal(reach(EMULATED, 0x5000, RW), 0x5000);
    assert_int_equal(iovageom_viommu_driver_features(dut, UINT32_MAX, NULL), 0);
    /* Attached: by the domain, whatever config.bypass says. */
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(reach(EMULATED, 0x5000, RW), -1);
    assert_int_equal(iovageom_viommu_set_bypass(dut, 0, NULL), 0);
    assert_int_equal(attach(2, EMULATED, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS), S_OK);
    assert_int_equal(reach(EMULATED, 0x5000, RW), 0x5000);
    assert_int_equal(detach(2, EMULATED), S_OK);
    assert_int_equal(reach(EMULATED, 0x5000, RW), -1);
    /* Without either feature: never. With the legacy one: if the driver accepted it. */
    config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
    dut_again(&config);
    assert_int_equal(reach(EMULATED, 0x5000, RW), -1);
    config.features |= IOVAGEOM_VIRTIO_F_BYPASS;
    dut_again(&config);
    assert_int_equal(reach(EMULATED, 0x5000, RW), 0x5000);
    assert_int_equal(iovageom_viommu_driver_features(
                         dut, IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_PROBE, NULL),
                     0);
    assert_int_equal(reach(EMULATED, 0x5000, RW), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        vector(n2_offers_map_unmap),
        vector(n3_does_not_offer_legacy_bypass),
        vector(n4_refuses_to_offer_both_bypasses),
        vector(n6_only_bypass_is_written_and_only_0_or_1),
        vector(n8_page_size_mask_is_never_0),
        vector(n9_bypass_survives_a_device_reset_and_is_restored_by_a_system_reset),
        vector(n10_bypass_reads_0_or_1),
        vector(n20_unattached_endpoints_reach_nothing_without_bypass),
        vector(i1_the_lowest_bit_is_the_granule_and_the_others_are_hints),
        vector(i2_the_input_range_is_enforced),
        vector(i3_bypass_truth_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

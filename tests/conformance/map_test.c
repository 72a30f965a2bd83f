/* SPDX-License-Identifier: BSD-3-Clause */
/* MAP and UNMAP: N15, N37, N40 to N46, N51 to N55, N76, I7, I8. */
#include "dut.h"

#define TOP_PAGE R(UINT64_MAX - 0xfff, UINT64_MAX)

static void n15_a_map_outside_the_input_range_is_range(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();

    (void)state;
    config.input_range = R(0, BIT39 - 1);
    dut_again(&config);
    assert_int_equal(attach(1, DEVICE48, 0), S_OK);
    assert_int_equal(map(1, R(BIT39 - 0x1000, BIT39 - 1), 0, RW), S_OK);
    assert_int_equal(map(1, R(BIT39, BIT39 + 0xfff), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(BIT39 - 0x2000, BIT39 + 0xfff), 0, RW), S_RANGE);
    assert_int_equal(map(1, TOP_PAGE, 0, RW), S_RANGE);
}

static void n37_virt_end_must_be_above_virt_start(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0x2000, 0x1fff), 0, RW), S_INVAL);
    assert_int_equal(map(1, R(0x2000, 0x2000), 0, RW), S_INVAL);
    assert_int_equal(map(1, R(UINT64_MAX, 0), 0, RW), S_INVAL);
    assert_int_equal(map(1, R(UINT64_MAX, UINT64_MAX), 0, RW), S_INVAL);
    assert_int_equal(mappings(1), 0);
}

static void n40_mmio_needs_its_feature(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0, RW | IOVAGEOM_VIRTIO_MAP_F_MMIO), S_OK);
    assert_int_equal(iovageom_viommu_driver_features(dut, ~(uint32_t)IOVAGEOM_VIRTIO_F_MMIO, NULL),
                     0);
    assert_int_equal(map(1, R(0x1000, 0x1fff), 0, RW | IOVAGEOM_VIRTIO_MAP_F_MMIO), S_INVAL);
}

static void n41_what_is_not_aligned_is_range(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();

    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(1, 0xfff), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(0, 0x1000), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(0, 0xffe), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(0, 0xfff), 1, RW), S_RANGE);
    assert_int_equal(map(1, R(0x800, 0x17ff), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(UINT64_MAX - 0xfff, UINT64_MAX - 1), 0, RW), S_RANGE);
    assert_int_equal(map(1, TOP_PAGE, 0, RW), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0, RW), S_OK);
    config.granule = 0x10000;
    dut_again(&config);
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(0x1000, 0x10fff), 0, RW), S_RANGE);
    assert_int_equal(map(1, R(0, 0xffff), 0x1000, RW), S_RANGE);
    assert_int_equal(map(1, R(0, 0xffff), 0x10000, RW), S_OK);
}

static void n42_what_is_mapped_already_is_inval(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0x2000, 0x3fff), 0, RW), S_OK);
    assert_int_equal(map(1, R(0x2000, 0x3fff), 0, RW), S_INVAL);
    assert_int_equal(map(1, R(0x3000, 0x4fff), 0, RW), S_INVAL);
    assert_int_equal(map(1, R(0x1000, 0x2fff), 0, RW), S_INVAL);
    assert_int_equal(map(1, R(0x1000, 0x4fff), 0, RW), S_INVAL);
    assert_int_equal(map(1, ALL, 0, RW), S_INVAL);
    assert_int_equal(map(1, R(0x4000, 0x4fff), 0, RW), S_OK);
    assert_int_equal(map(1, R(0x1000, 0x1fff), 0, RW), S_OK);
    assert_int_equal(mappings(1), 3);
}

static void n43_an_unknown_flag_is_inval(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    for (uint32_t bit = 3; bit < 32; bit++)
        assert_int_equal(map(1, R(0, 0xfff), 0, RW | 1u << bit), S_INVAL);
    assert_int_equal(mappings(1), 0);
}

static void n44_map_of_an_unknown_domain_is_noent(void **state)
{
    (void)state;
    assert_int_equal(map(1, R(0, 0xfff), 0, RW), S_NOENT);
}

static void n45_map_of_a_bypass_domain_is_inval(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0, RW), S_INVAL);
}

static void n46_writes_need_their_flag(void **state)
{
    const uint32_t read = IOVAGEOM_VIRTIO_MAP_F_READ, write = IOVAGEOM_VIRTIO_MAP_F_WRITE;

    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0x5000, read), S_OK);
    assert_int_equal(map(1, R(0x1000, 0x1fff), 0x6000, write), S_OK);
    assert_int_equal(map(1, R(0x2000, 0x2fff), 0x7000, 0), S_OK);
    assert_int_equal(reach(EMULATED, 0, read), 0x5000);
    assert_int_equal(reach(EMULATED, 0, write), -1);
    assert_int_equal(reach(EMULATED, 0x1000, write), 0x6000);
    assert_int_equal(reach(EMULATED, 0x2000, write), -1);
}

static void n51_unmap_with_reserved_bytes_is_inval(void **state)
{
    uint8_t bytes[28] = {4};

    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0, RW), S_OK);
    wire(bytes + 4, 1, 4);
    wire(bytes + 16, 0xfff, 8);
    bytes[27] = 1;
    assert_int_equal(dut_status(bytes, sizeof(bytes)), S_INVAL);
    assert_int_equal(mappings(1), 1);
}

static void n52_unmap_of_an_unknown_domain_is_noent(void **state)
{
    (void)state;
    assert_int_equal(unmap(1, R(0, 0xfff)), S_NOENT);
}

static void n53_unmap_of_a_bypass_domain_is_inval(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS), S_OK);
    assert_int_equal(unmap(1, R(0, 0xfff)), S_INVAL);
}

static void n54_a_range_that_would_split_is_range_and_removes_nothing(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0, RW), S_OK);
    assert_int_equal(map(1, R(0x1000, 0x2fff), 0, RW), S_OK);
    /* The first mapping is covered whole, and stays (Q11). */
    assert_int_equal(unmap(1, R(0, 0x1fff)), S_RANGE);
    assert_int_equal(unmap(1, R(0x2000, 0x2fff)), S_RANGE);
    assert_int_equal(unmap(1, R(0x1001, UINT64_MAX)), S_RANGE);
    assert_int_equal(unmap(1, R(0, 0)), S_RANGE);
    assert_int_equal(mappings(1), 2);
}

static void n55_all_affected_mappings_go(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(unmap(1, ALL), S_OK);
    assert_int_equal(map(1, R(0x1000, 0x1fff), 0, RW), S_OK);
    assert_int_equal(map(1, R(0x4000, 0x4fff), 0, RW), S_OK);
    assert_int_equal(map(1, TOP_PAGE, 0, RW), S_OK);
    assert_int_equal(unmap(1, R(0, 0x2345)), S_OK);
    assert_int_equal(mappings(1), 2);
    assert_int_equal(unmap(1, ALL), S_OK);
    assert_int_equal(mappings(1), 0);
}

static void n76_a_map_over_reserved_memory_is_inval(void **state)
{
    (void)state;
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(map(1, R(HOLE.start, HOLE.start + 0xfff), 0, RW), S_INVAL);
    assert_int_equal(map(1, R(HOLE.last - 0xfff, HOLE.last), 0, RW), S_INVAL);
    assert_int_equal(map(1, R(HOLE.start - 0x1000, HOLE.last + 0x1000), 0, RW), S_INVAL);
    assert_int_equal(map(1, MSI, 0, RW), S_INVAL);
    assert_int_equal(map(1, R(BIT39, BIT39 + 0xfff), 0, RW), S_INVAL);
    assert_int_equal(map(1, TOP_PAGE, 0, RW), S_INVAL);
    assert_int_equal(map(1, R(HOLE.start - 0x1000, HOLE.start - 1), 0, RW), S_OK);
    assert_int_equal(map(1, R(HOLE.last + 1, HOLE.last + 0x1000), 0, RW), S_OK);
    assert_int_equal(map(1, R(BIT39 - 0x1000, BIT39 - 1), 0, RW), S_OK);
}

static void i7_a_physical_range_that_wraps_is_range(void **state)
{
    (void)state;
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0, 0x1fff), UINT64_MAX - 0xfff, RW), S_RANGE);
    assert_int_equal(map(1, R(0, 0xfff), UINT64_MAX - 0xfff, RW), S_OK);
}

/* The specification's examples: (mappings) then UNMAP, status, mappings left. Bytes for pages. */
static void i8_the_unmap_examples(void **state)
{
    static const struct {
        struct iovageom_range maps[2];
        int map_count;
        struct iovageom_range unmap;
        uint8_t status;
        uint64_t left;
    } examples[] = {
        {{{0, 0}}, 0, {0, 4}, S_OK, 0},
        {{{0, 9}}, 1, {0, 9}, S_OK, 0},
        {{{0, 4}, {5, 9}}, 2, {0, 9}, S_OK, 0},
        {{{0, 9}}, 1, {0, 4}, S_RANGE, 1},
        {{{0, 4}, {5, 9}}, 2, {0, 4}, S_OK, 1},
        {{{0, 4}}, 1, {0, 9}, S_OK, 0},
        {{{0, 4}, {10, 14}}, 2, {0, 14}, S_OK, 0},
    };
    struct iovageom_viommu_config config = dut_defaults();

    (void)state;
    config.page_size_mask = 1;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        iovageom_viommu_free(dut);
        assert_int_equal(iovageom_viommu_new(NULL, &config, &dut), 0);
        assert_int_equal(
            iovageom_viommu_declare(dut, EMULATED, 0, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
        assert_int_equal(attach(1, EMULATED, 0), S_OK);
        for (int k = 0; k < examples[i].map_count; k++)
            assert_int_equal(map(1, examples[i].maps[k], 0, RW), S_OK);
        assert_int_equal(unmap(1, examples[i].unmap), examples[i].status);
        assert_int_equal(mappings(1), examples[i].left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        vector(n15_a_map_outside_the_input_range_is_range),
        vector(n37_virt_end_must_be_above_virt_start),
        vector(n40_mmio_needs_its_feature),
        vector(n41_what_is_not_aligned_is_range),
        vector(n42_what_is_mapped_already_is_inval),
        vector(n43_an_unknown_flag_is_inval),
        vector(n44_map_of_an_unknown_domain_is_noent),
        vector(n45_map_of_a_bypass_domain_is_inval),
        vector(n46_writes_need_their_flag),
        vector(n51_unmap_with_reserved_bytes_is_inval),
        vector(n52_unmap_of_an_unknown_domain_is_noent),
        vector(n53_unmap_of_a_bypass_domain_is_inval),
        vector(n54_a_range_that_would_split_is_range_and_removes_nothing),
        vector(n55_all_affected_mappings_go),
        vector(n76_a_map_over_reserved_memory_is_inval),
        vector(i7_a_physical_range_that_wraps_is_range),
        vector(i8_the_unmap_examples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

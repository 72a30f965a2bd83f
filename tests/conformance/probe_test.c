/* SPDX-License-Identifier: BSD-3-Clause */
/* PROBE and RESV_MEM: N62 to N69, N73 to N75, N77, I4, I5, I9. */
#include "dut.h"

static uint8_t properties[1 << 16];

static uint64_t word(const uint8_t *at, int width)
{
    uint64_t value = 0;

    for (int i = 0; i < width; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* How many properties there are; each must be a well-formed RESV_MEM. */
static size_t count_properties(size_t size)
{
    size_t at = 0;

    while (at + 24 <= size && word(properties + at, 2) != 0) {
        assert_int_equal(word(properties + at, 2), 1);
        assert_int_equal(word(properties + at + 2, 2), 20);
        assert_true(word(properties + at + 8, 8) <= word(properties + at + 16, 8));
        at += 24;
    }
    for (size_t i = at; i < size; i++)
        assert_int_equal(properties[i], 0);
    return at / 24;
}

static void n62_probe_ignores_reserved_bytes(void **state)
{
    const size_t size = dut_config().probe_size;
    uint8_t bytes[72] = {5};

    (void)state;
    wire(bytes + 4, DEVICE, 4);
    memset(bytes + 8, 0xff, 64);
    assert_int_equal(dut_send(bytes, sizeof(bytes), properties, size + 4), size + 4);
    assert_int_equal(properties[size], S_OK);
}

static void n63_probe_of_an_unknown_endpoint_is_noent(void **state)
{
    (void)state;
    assert_int_equal(probe(NOBODY, properties), S_NOENT);
    assert_int_equal(properties[0], 0);
    /* An unknown endpoint stays unknown when the buffer is short as well. */
    properties[0] = 5;
    memset(properties + 1, 0, 71);
    wire(properties + 4, NOBODY, 4);
    assert_int_equal(dut_send(properties, 72, properties + 100, 8), 8);
    assert_int_equal(properties[104], S_NOENT);
}

static void n64_probe_that_is_not_offered_is_left_unwritten(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();
    uint8_t bytes[72] = {5};

    (void)state;
    config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
    iovageom_viommu_free(dut);
    assert_int_equal(iovageom_viommu_new(NULL, &config, &dut), 0);
    assert_int_equal(iovageom_viommu_declare(dut, EMULATED, 0, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    assert_int_equal(dut_config().probe_size, 0);
    wire(bytes + 4, EMULATED, 4);
    memset(properties, 0xee, 600);
    assert_int_equal(dut_send(bytes, sizeof(bytes), properties, 600), 0);
    assert_int_equal(properties[0], 0xee);
    assert_int_equal(properties[596], 0xee);
    /* Then what can't be told must be usable: a host with a hole is refused. */
    assert_int_equal(test_plug(dut, DEVICE, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "hole", 64, PAGES_4K, HOLE), NULL),
                     IOVAGEOM_ERR_CONFLICT);
}

static void n65_reserved_bits_are_0(void **state)
{
    (void)state;
    assert_int_equal(probe(DEVICE, properties), S_OK);
    for (size_t i = 0; i < count_properties(dut_config().probe_size); i++)
        assert_int_equal(word(properties + 24 * i, 2) >> 12, 0);
}

static void n66_length_does_not_count_the_head(void **state)
{
    (void)state;
    assert_int_equal(probe(DEVICE, properties), S_OK);
    assert_int_equal(word(properties + 2, 2), 20);
}

static void n67_properties_follow_each_other(void **state)
{
    (void)state;
    assert_int_equal(probe(DEVICE, properties), S_OK);
    assert_int_equal(count_properties(dut_config().probe_size), 3);
    assert_int_equal(word(properties + 8, 8), HOLE.start);
    assert_int_equal(word(properties + 16, 8), HOLE.last);
    assert_int_equal(word(properties + 24 + 8, 8), MSI.start);
    assert_int_equal(word(properties + 48 + 8, 8), BIT39);
    assert_int_equal(word(properties + 48 + 16, 8), UINT64_MAX);
}

static void n68_a_buffer_that_is_too_short_is_inval_and_gets_no_property(void **state)
{
    const size_t size = dut_config().probe_size;
    uint8_t bytes[72] = {5};

    (void)state;
    wire(bytes + 4, DEVICE, 4);
    for (size_t given = 0; given < size; given += given < 8 ? 1 : 97) {
        memset(properties, 0xee, size + 4);
        /* The status is where the tail of that buffer is, not at its start (Q14). */
        assert_int_equal(dut_send(bytes, sizeof(bytes), properties, given + 4), given + 4);
        assert_int_equal(properties[given], S_INVAL);
        /* No property, but zeros: a used length says that so much was written. */
        for (size_t i = 0; i < given; i++)
            assert_int_equal(properties[i], 0);
    }
}

/* Any number of windows is told in the room that there is (Q1). */
static void n68_more_windows_than_room_are_still_told(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();
    struct iovageom_geometry *geometry = test_host(NULL, "windows", 39, PAGES_4K);
    struct iovageom_report report;
    uint64_t usable = 0;

    (void)state;
    config.probe_size = 512;
    dut_again(&config);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(iovageom_geometry_add_reserved(
                             geometry, R(0x10000000 + i * 0x100000, 0x10000fff + i * 0x100000),
                             IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS),
                         0);
    iovageom_report_init(&report, NULL);
    assert_int_equal(test_plug(dut, NOBODY, IOVAGEOM_VIOMMU_OWN, geometry, &report), 0);
    assert_true(iovageom_report_count(&report) > 0);
    iovageom_report_deinit(&report);
    assert_int_equal(probe(NOBODY, properties), S_OK);
    assert_int_equal(count_properties(512), 21);
    for (uint64_t i = 0; i < 40; i++) {
        bool told = false;

        for (size_t k = 0; k < 21; k++)
            told |= word(properties + 24 * k + 8, 8) <= 0x10000000 + i * 0x100000 &&
                    word(properties + 24 * k + 16, 8) >= 0x10000fff + i * 0x100000;
        assert_true(told);
        usable += told;
    }
    assert_int_equal(usable, 40);
}

static void n69_the_rest_is_zero(void **state)
{
    (void)state;
    assert_int_equal(probe(EMULATED, properties), S_OK);
    assert_int_equal(count_properties(dut_config().probe_size), 0);
    assert_int_equal(probe(DEVICE48, properties), S_OK);
    assert_int_equal(count_properties(dut_config().probe_size), 2);
}

static void n73_resv_mem_reserved_bytes_are_0(void **state)
{
    (void)state;
    assert_int_equal(probe(DEVICE, properties), S_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(word(properties + 24 * i + 5, 3), 0);
}

static void n74_at_most_one_msi(void **state)
{
    struct iovageom_viommu *other;
    struct iovageom_geometry *geometry =
        test_host_with(NULL, "two windows", 39, PAGES_4K, R(0x8000000, 0x80fffff));
    struct iovageom_region regions[8];
    size_t count, msi = 0;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &other), 0);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0x1000000, 0x10fffff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    /* The machine's doorbell outranks the hosts': Q21, an ARM guest on its own ITS. */
    assert_int_equal(iovageom_viommu_add_region(other, R(0x8090000, 0x809ffff), IOVAGEOM_RESV_MSI,
                                                IOVAGEOM_SOURCE_MACHINE, "its"),
                     0);
    assert_int_equal(test_plug(other, 1, IOVAGEOM_VIOMMU_OWN, geometry, NULL), 0);
    assert_int_equal(test_probe(other, 1, regions, 8, &count), S_OK);
    for (size_t i = 0; i < count; i++)
        if (regions[i].type == IOVAGEOM_RESV_MSI) {
            assert_true(iovageom_range_equal(regions[i].range, R(0x8090000, 0x809ffff)));
            msi++;
        }
    assert_int_equal(msi, 1);
    assert_int_equal(count, 6);
    iovageom_viommu_free(other);
}

static void n75_no_two_regions_overlap(void **state)
{
    struct iovageom_viommu *other;
    struct iovageom_region regions[16];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &other), 0);
    assert_int_equal(
        test_plug(other, 1, 7, test_host_with(NULL, "a", 39, PAGES_4K, R(0x1000, 0x5fff)), NULL),
        0);
    assert_int_equal(
        test_plug(other, 2, 7, test_host_with(NULL, "b", 48, PAGES_4K, R(0x3000, 0x8fff)), NULL),
        0);
    assert_int_equal(
        test_plug(other, 3, 7, test_host_with(NULL, "c", 39, PAGES_4K, R(0x9000, 0x9fff)), NULL),
        0);
    assert_int_equal(test_probe(other, 1, regions, 16, &count), S_OK);
    assert_int_equal(count, 3);
    assert_true(iovageom_range_equal(regions[0].range, R(0x1000, 0x9fff)));
    iovageom_viommu_free(other);
}

/* A range that is told as reserved is never mapped, so accesses to it end in a fault. */
static void n77_accesses_to_reserved_memory_reach_nobody(void **state)
{
    (void)state;
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(map(1, R(HOLE.start, HOLE.start + 0xfff), 0, RW), S_INVAL);
    assert_int_equal(reach(DEVICE, HOLE.start, RW), -1);
}

/* What a fault report says is for the VMM to write; why, and of whom, is answered here. */
static void n79_the_reason_of_a_fault_can_be_reported(void **state)
{
    const uint32_t read = IOVAGEOM_VIRTIO_MAP_F_READ, write = IOVAGEOM_VIRTIO_MAP_F_WRITE;
    struct iovageom_segment out, untouched;

    (void)state;
    memset(&out, 0x5a, sizeof(out));
    untouched = out;
    /* Nobody bypasses here without being told to. */
    assert_int_equal(iovageom_viommu_set_bypass(dut, 0, NULL), 0);
    assert_int_equal(
        iovageom_viommu_translate(dut, 0xdead, R(0x1000, 0x1000), read, &out, 1, NULL, NULL),
        IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(
        iovageom_viommu_translate(dut, DEVICE, R(0x1000, 0x1000), read, &out, 1, NULL, NULL),
        IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(
        iovageom_viommu_translate(dut, DEVICE, R(0x1000, 0x1000), read, &out, 1, NULL, NULL),
        IOVAGEOM_ERR_FAULT);
    assert_int_equal(map(1, R(0x1000, 0x1fff), 0, read), S_OK);
    assert_int_equal(
        iovageom_viommu_translate(dut, DEVICE, R(0x1000, 0x1000), write, &out, 1, NULL, NULL),
        IOVAGEOM_ERR_FAULT);
    assert_int_equal(
        iovageom_viommu_translate(dut, DEVICE, R(0x2000, 0x2000), read, &out, 1, NULL, NULL),
        IOVAGEOM_ERR_FAULT);
    /* No answer is left half written to be reported as an address. */
    assert_memory_equal(&out, &untouched, sizeof(out));
    assert_int_equal(
        iovageom_viommu_translate(dut, DEVICE, R(0x1fff, 0x1fff), read, &out, 1, NULL, NULL), 0);
    assert_int_equal(out.phys, 0xfff);
}

static void i4_a_zero_type_ends_the_list(void **state)
{
    const size_t size = dut_config().probe_size;

    (void)state;
    assert_int_equal(probe(DEVICE, properties), S_OK);
    assert_true(size >= 3 * 24 + 4);
    assert_int_equal(word(properties + 3 * 24, 4), 0);
}

static void i5_the_machines_doorbell_is_told_to_everybody(void **state)
{
    struct iovageom_viommu *other;
    struct iovageom_region regions[4];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &other), 0);
    assert_int_equal(
        iovageom_viommu_add_region(other, MSI, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_MACHINE, "apic"),
        0);
    assert_int_equal(iovageom_viommu_declare(other, 1, 0, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(test_probe(other, 1, regions, 4, &count), S_OK);
    assert_int_equal(count, 1);
    assert_int_equal(regions[0].type, IOVAGEOM_RESV_MSI);
    iovageom_viommu_free(other);
}

static void i9_properties_are_multiples_of_8(void **state)
{
    (void)state;
    assert_int_equal(probe(DEVICE, properties), S_OK);
    assert_int_equal((word(properties + 2, 2) + 4) % 8, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        vector(n62_probe_ignores_reserved_bytes),
        vector(n63_probe_of_an_unknown_endpoint_is_noent),
        vector(n64_probe_that_is_not_offered_is_left_unwritten),
        vector(n65_reserved_bits_are_0),
        vector(n66_length_does_not_count_the_head),
        vector(n67_properties_follow_each_other),
        vector(n68_a_buffer_that_is_too_short_is_inval_and_gets_no_property),
        vector(n68_more_windows_than_room_are_still_told),
        vector(n69_the_rest_is_zero),
        vector(n73_resv_mem_reserved_bytes_are_0),
        vector(n74_at_most_one_msi),
        vector(n75_no_two_regions_overlap),
        vector(n77_accesses_to_reserved_memory_reach_nobody),
        vector(n79_the_reason_of_a_fault_can_be_reported),
        vector(i4_a_zero_type_ends_the_list),
        vector(i5_the_machines_doorbell_is_told_to_everybody),
        vector(i9_properties_are_multiples_of_8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

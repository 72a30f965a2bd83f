/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers as such, ATTACH and DETACH: N16 to N19, N24 to N34, I6. */
#include "dut.h"

static void n16_domain_numbers_outside_the_range_are_refused(void **state)
{
    struct iovageom_viommu_config config = dut_defaults();

    (void)state;
    assert_int_equal(attach(UINT32_MAX, DEVICE, 0), S_OK);
    config.domain_start = 5;
    config.domain_last = 6;
    dut_again(&config);
    assert_int_equal(dut_config().domain_start, 5);
    assert_int_equal(attach(4, DEVICE, 0), S_RANGE);
    assert_int_equal(attach(7, DEVICE, 0), S_RANGE);
    assert_int_equal(attach(5, DEVICE, 0), S_OK);
    assert_int_equal(attach(6, DEVICE48, 0), S_OK);
}

static void n17_success_is_ok(void **state)
{
    (void)state;
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0, RW), S_OK);
    assert_int_equal(unmap(1, R(0, 0xfff)), S_OK);
    assert_int_equal(detach(1, DEVICE), S_OK);
}

static void n18_an_unknown_type_is_left_unwritten(void **state)
{
    uint8_t bytes[80] = {0};
    uint8_t tail[600];

    (void)state;
    for (int type = 0; type < 256; type++) {
        if (type >= 1 && type <= 5)
            continue;
        bytes[0] = (uint8_t)type;
        memset(tail, 0xee, sizeof(tail));
        assert_int_equal(dut_send(bytes, sizeof(bytes), tail, sizeof(tail)), 0);
        for (size_t i = 0; i < sizeof(tail); i++)
            assert_int_equal(tail[i], 0xee);
    }
}

static void n19_head_reserved_is_ignored(void **state)
{
    uint8_t bytes[20];

    (void)state;
    write_attach(bytes, 1, DEVICE, 0);
    bytes[1] = bytes[2] = bytes[3] = 0xff;
    /* dut_status() sees to the reserved bytes of the tail. */
    assert_int_equal(dut_status(bytes, sizeof(bytes)), S_OK);
    assert_int_equal(attach(1, NOBODY, 0), S_NOENT);
}

static void n24_attach_with_reserved_bytes_is_inval(void **state)
{
    uint8_t bytes[20];

    (void)state;
    for (size_t i = 16; i < 20; i++) {
        write_attach(bytes, 1, DEVICE, 0);
        bytes[i] = 1;
        assert_int_equal(dut_status(bytes, sizeof(bytes)), S_INVAL);
        assert_int_equal(mappings(1), UINT64_MAX);
    }
}

static void n25_attach_with_an_unknown_flag_is_inval(void **state)
{
    (void)state;
    for (uint32_t bit = 1; bit < 32; bit++)
        assert_int_equal(attach(1, DEVICE, 1u << bit), S_INVAL);
    assert_int_equal(iovageom_viommu_driver_features(
                         dut, IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_PROBE, NULL),
                     0);
    assert_int_equal(attach(1, DEVICE, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS), S_INVAL);
}

static void n26_attach_of_an_unknown_endpoint_is_noent(void **state)
{
    (void)state;
    assert_int_equal(attach(1, NOBODY, 0), S_NOENT);
    assert_int_equal(attach(1, UINT32_MAX, 0), S_NOENT);
    assert_int_equal(mappings(1), UINT64_MAX);
    assert_int_equal(iovageom_viommu_declare(dut, NOBODY, 1, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(attach(1, NOBODY, 0), S_NOENT);
}

/* What can't share a domain: a host that can't map what is mapped there already. */
static void n27_endpoints_that_cannot_share_the_domain_are_unsupp(void **state)
{
    (void)state;
    assert_int_equal(attach(1, DEVICE48, 0), S_OK);
    assert_int_equal(map(1, R(BIT39, BIT39 + 0xfff), 0, RW), S_OK);
    assert_int_equal(attach(1, DEVICE, 0), S_UNSUPP);
    assert_int_equal(unmap(1, R(BIT39, BIT39 + 0xfff)), S_OK);
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
}

static void n28_bypass_flag_must_go_with_the_domain(void **state)
{
    (void)state;
    assert_int_equal(attach(1, DEVICE, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS), S_OK);
    assert_int_equal(attach(2, DEVICE48, 0), S_OK);
    assert_int_equal(attach(1, DEVICE48, 0), S_INVAL);
    assert_int_equal(attach(2, DEVICE, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS), S_INVAL);
    /* Refused before anything was detached (Q12). */
    assert_int_equal(reach(DEVICE, 0x1000, RW), 0x1000);
    assert_int_equal(mappings(2), 0);
}

static void n29_attached_elsewhere_is_moved(void **state)
{
    (void)state;
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0x7000, RW), S_OK);
    assert_int_equal(attach(2, DEVICE, 0), S_OK);
    assert_int_equal(mappings(1), UINT64_MAX);
    assert_int_equal(reach(DEVICE, 0, RW), -1);
    assert_int_equal(attach(2, DEVICE, 0), S_OK);
    assert_int_equal(mappings(2), 0);
}

static void n30_compatible_endpoints_attach_and_the_meet_holds(void **state)
{
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(attach(1, DEVICE48, 0), S_OK);
    assert_int_equal(map(1, R(0xdf900000, 0xdf900fff), 0, RW), S_OK);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(dut, 1, DEVICE, 0, &report)),
                     S_UNSUPP);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_MAPPING);
    assert_true(
        iovageom_range_equal(iovageom_report_at(&report, 0)->range, R(0xdf900000, 0xdf900fff)));
    assert_true(iovageom_range_equal(iovageom_report_at(&report, 0)->against, HOLE));
    assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "0000:3b:00.0");
    iovageom_report_deinit(&report);
    assert_int_equal(unmap(1, ALL), S_OK);
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(map(1, R(0xdf900000, 0xdf900fff), 0, RW), S_INVAL);
    assert_int_equal(detach(1, DEVICE), S_OK);
    assert_int_equal(map(1, R(0xdf900000, 0xdf900fff), 0, RW), S_OK);
}

static void n31_what_is_not_rejected_is_attached(void **state)
{
    (void)state;
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0x7000, RW), S_OK);
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(reach(DEVICE, 0x123, RW), 0x7123);
    assert_int_equal(reach(EMULATED, 0x123, RW), 0x7123);
}

static void n32_detach_ignores_reserved_bytes(void **state)
{
    uint8_t bytes[20] = {2};

    (void)state;
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    wire(bytes + 4, 1, 4);
    wire(bytes + 8, DEVICE, 4);
    memset(bytes + 12, 0xff, 8);
    assert_int_equal(dut_status(bytes, sizeof(bytes)), S_OK);
}

static void n33_detach_of_an_unknown_endpoint_is_noent(void **state)
{
    (void)state;
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(detach(1, NOBODY), S_NOENT);
    assert_int_equal(detach(1, DEVICE48), S_INVAL);
    assert_int_equal(detach(2, DEVICE), S_INVAL);
    assert_int_equal(mappings(1), 0);
}

static void n34_no_access_to_the_old_domain_after_detach(void **state)
{
    (void)state;
    assert_int_equal(iovageom_viommu_set_bypass(dut, 0, NULL), 0);
    assert_int_equal(attach(1, DEVICE, 0), S_OK);
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(map(1, R(0, 0xfff), 0x7000, RW), S_OK);
    assert_int_equal(detach(1, DEVICE), S_OK);
    assert_int_equal(reach(DEVICE, 0, RW), -1);
    assert_int_equal(reach(EMULATED, 0, RW), 0x7000);
    /* The last endpoint takes the mappings along: the number can be used again. */
    assert_int_equal(detach(1, EMULATED), S_OK);
    assert_int_equal(attach(1, EMULATED, 0), S_OK);
    assert_int_equal(reach(EMULATED, 0, RW), -1);
}

static void i6_a_buffer_without_room_for_a_tail_is_left_unwritten(void **state)
{
    uint8_t bytes[72];
    uint8_t tail[4] = {0xee, 0xee, 0xee, 0xee};

    (void)state;
    for (uint8_t type = 1; type <= 5; type++)
        for (size_t size = 0; size < 4; size++) {
            memset(bytes, 0, sizeof(bytes));
            bytes[0] = type;
            assert_int_equal(dut_send(bytes, sizeof(bytes), tail, size), 0);
            assert_int_equal(tail[0], 0xee);
        }
    /* Too short to be read, but with room to say so. */
    for (uint8_t type = 1; type <= 4; type++)
        for (size_t size = 4; size < 20; size++) {
            bytes[0] = type;
            assert_int_equal(dut_status(bytes, size), S_INVAL);
        }
    assert_int_equal(dut_send(bytes, 3, tail, sizeof(tail)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        vector(n16_domain_numbers_outside_the_range_are_refused),
        vector(n17_success_is_ok),
        vector(n18_an_unknown_type_is_left_unwritten),
        vector(n19_head_reserved_is_ignored),
        vector(n24_attach_with_reserved_bytes_is_inval),
        vector(n25_attach_with_an_unknown_flag_is_inval),
        vector(n26_attach_of_an_unknown_endpoint_is_noent),
        vector(n27_endpoints_that_cannot_share_the_domain_are_unsupp),
        vector(n28_bypass_flag_must_go_with_the_domain),
        vector(n29_attached_elsewhere_is_moved),
        vector(n30_compatible_endpoints_attach_and_the_meet_holds),
        vector(n31_what_is_not_rejected_is_attached),
        vector(n32_detach_ignores_reserved_bytes),
        vector(n33_detach_of_an_unknown_endpoint_is_noent),
        vector(n34_no_access_to_the_old_domain_after_detach),
        vector(i6_a_buffer_without_room_for_a_tail_is_left_unwritten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a driver by the specification reads and writes. virtio_test.c has the round trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/guest.h>
#include <iovageom/status.h>

#include "support/test_config.h"
#include "support/test_regions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void n58_n61_unknown_properties_are_skipped(void **state)
{
    uint8_t bytes[12 + sizeof(test_intel_bytes)] = {0x02, 0x00, 0x08, 0x00, 0xff, 0xff,
                                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct iovageom_region back[2];
    size_t count = 0;

    (void)state;
    memcpy(bytes + 12, test_intel_bytes, sizeof(test_intel_bytes));
    assert_int_equal(iovageom_guest_decode_probe(bytes, sizeof(bytes), back, 2, &count), 0);
    assert_regions(back, count, test_intel, 2);
}

static void n59_length_is_not_deduced_from_the_type(void **state)
{
    uint8_t bytes[8 + sizeof(test_intel_bytes)] = {0};
    struct iovageom_region back[2];
    size_t count = 0;

    /* The first RESV_MEM is 8 bytes longer than we know of. */
    (void)state;
    memcpy(bytes, test_intel_bytes, 24);
    bytes[2] = 28;
    memset(bytes + 24, 0xee, 8);
    memcpy(bytes + 32, test_intel_bytes + 24, 24);
    assert_int_equal(iovageom_guest_decode_probe(bytes, sizeof(bytes), back, 2, &count), 0);
    assert_regions(back, count, test_intel, 2);
}

static void n60_reserved_bits_hide_a_property(void **state)
{
    struct iovageom_guest_property property;
    uint8_t bytes[sizeof(test_intel_bytes)];
    struct iovageom_region back[2];
    size_t count = 0, offset = 0;

    (void)state;
    memcpy(bytes, test_intel_bytes, sizeof(bytes));
    bytes[1] = 0x80;
    assert_int_equal(iovageom_guest_decode_probe(bytes, sizeof(bytes), back, 2, &count), 0);
    assert_regions(back, count, test_intel + 1, 1);
    assert_int_equal(iovageom_guest_property_next(bytes, sizeof(bytes), &offset, &property), 0);
    assert_int_equal(property.type, IOVAGEOM_VIRTIO_PROPERTY_RESV_MEM);
    assert_int_equal(property.reserved, 8);
    assert_int_equal(property.offset, 4);
    assert_int_equal(property.length, 20);
    assert_int_equal(offset, 24);
}

static void n71_n72_resv_mem_reserved_bytes_and_subtypes(void **state)
{
    uint8_t payload[20];
    struct iovageom_region got;
    uint32_t subtype = 0;

    (void)state;
    memcpy(payload, test_intel_bytes + 4, 20);
    memset(payload + 1, 0xff, 3);
    assert_int_equal(iovageom_guest_decode_resv_mem(payload, 20, &got, &subtype), 0);
    assert_regions(&got, 1, test_intel, 1);
    assert_int_equal(subtype, 1);
    for (unsigned unknown = 2; unknown < 256; unknown++) {
        payload[0] = (uint8_t)unknown;
        assert_int_equal(iovageom_guest_decode_resv_mem(payload, 20, &got, &subtype), 0);
        assert_int_equal(got.type, IOVAGEOM_RESV_RESERVED);
        assert_int_equal(subtype, unknown);
    }
    assert_int_equal(iovageom_guest_decode_resv_mem(payload, 20, &got, NULL), 0);
}

static void i4_malformed_property_lists(void **state)
{
    static const struct {
        uint8_t bytes[30];
        size_t size;
        int status;
    } cases[] = {
        {{0}, 0, 0},
        {{0}, 1, 0},
        {{0, 0, 0}, 3, 0},
        {{1, 0, 0}, 3, IOVAGEOM_ERR_TRUNCATED},
        {{0, 0, 0xff, 0xff}, 4, 0},    /* type 0 ends it, whatever its length */
        {{0, 0x10, 0xff, 0xff}, 4, 0}, /* and whatever its reserved bits */
        {{1, 0, 20, 0}, 4, IOVAGEOM_ERR_TRUNCATED},
        {{1, 0, 20, 0}, 23, IOVAGEOM_ERR_TRUNCATED},
        {{1, 0, 20, 0}, 24, 0}, /* [0,0] */
        {{1, 0, 12, 0}, 24, IOVAGEOM_ERR_MALFORMED},
        {{1, 0, 19, 0}, 24, IOVAGEOM_ERR_MALFORMED},
        {{1, 0, 0, 0}, 4, IOVAGEOM_ERR_MALFORMED},
        {{1, 0x10, 0, 0}, 4, 0}, /* ignored, so not looked into (N60) */
        {{2, 0, 0, 0, 3, 0, 0, 0}, 8, 0},
        {{1, 0, 0xff, 0xff}, 24, IOVAGEOM_ERR_TRUNCATED},
        {{1, 0, 0xfc, 0xff}, 24, IOVAGEOM_ERR_TRUNCATED},
        {{2, 0, 0xff, 0xff}, 24, IOVAGEOM_ERR_TRUNCATED},
        {{1, 0, 20, 0, 0, 0, 0, 0, 1}, 24, IOVAGEOM_ERR_INVERTED},
        {{1, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9},
         25,
         IOVAGEOM_ERR_TRUNCATED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct iovageom_region out[2] = {{{7, 7}, 7, 7}};
        size_t count = 77;
        /* Exact size on the heap, so that the sanitizer sees a read beyond. */
        uint8_t *bytes = malloc(cases[i].size + (cases[i].size == 0));

        assert_non_null(bytes);
        memcpy(bytes, cases[i].bytes, cases[i].size);
        assert_int_equal(iovageom_guest_decode_probe(bytes, cases[i].size, out, COUNT(out), &count),
                         cases[i].status);
        if (cases[i].status < 0) {
            assert_int_equal(count, 77);
            assert_int_equal(out[0].type, 7);
        }
        free(bytes);
    }
}

static void decode_says_how_many(void **state)
{
    struct iovageom_region out[1] = {{{7, 7}, 7, 7}};
    size_t count = 0;

    (void)state;
    assert_int_equal(iovageom_guest_decode_probe(test_intel_bytes, 48, out, 1, &count),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 2);
    assert_int_equal(out[0].type, 7);
    assert_int_equal(iovageom_guest_decode_probe(test_intel_bytes, 48, NULL, 0, &count),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
}

/* The config space of a device with everything, by the layout of the specification. */
static const uint8_t config_bytes[40] = {
    0x00, 0x10, 0x20, 0x40, 0, 0, 0, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
    0x7f, 0,    0,    0,    1, 0, 0, 0, 0xfe, 0xff, 0, 0, 0, 2, 0, 0, 1,    0,    0,    0,
};

static void config_is_read(void **state)
{
    struct iovageom_virtio_config config = {0};

    (void)state;
    assert_int_equal(test_decode_config(config_bytes, 40, &config), 0);
    assert_int_equal(config.page_size_mask, 0x40201000);
    assert_int_equal(config.input_range.start, 0x1000);
    assert_int_equal(config.input_range.last, 0x7fffffffff);
    assert_int_equal(config.domain_start, 1);
    assert_int_equal(config.domain_last, 0xfffe);
    assert_int_equal(config.probe_size, 512);
    assert_int_equal(config.bypass, 1);
}

static void n7_only_bit_0_of_bypass_counts(void **state)
{
    struct iovageom_virtio_config back = {0};
    uint8_t bytes[40];

    (void)state;
    memcpy(bytes, config_bytes, sizeof(bytes));
    bytes[36] = 0xfe;
    assert_int_equal(test_decode_config(bytes, sizeof(bytes), &back), 0);
    assert_int_equal(back.bypass, 0);
    bytes[36] = 0xff;
    assert_int_equal(test_decode_config(bytes, 37, &back), 0);
    assert_int_equal(back.bypass, 1);
    /* Without the field it is 0. */
    assert_int_equal(test_decode_config(bytes, 36, &back), 0);
    assert_int_equal(back.bypass, 0);
    assert_int_equal(test_decode_config(bytes, 35, &back), IOVAGEOM_ERR_TRUNCATED);
}

static void config_that_is_no_good(void **state)
{
    struct iovageom_virtio_config back = {.page_size_mask = 7};
    uint8_t bytes[40] = {0};

    (void)state;
    assert_int_equal(test_decode_config(bytes, 40, &back), IOVAGEOM_ERR_MALFORMED);
    bytes[1] = 0x10;
    bytes[8] = 1;
    assert_int_equal(test_decode_config(bytes, 40, &back), IOVAGEOM_ERR_INVERTED);
    bytes[8] = 0;
    bytes[24] = 1; /* the first domain, and the last one is 0 */
    assert_int_equal(test_decode_config(bytes, 40, &back), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(back.page_size_mask, 7);
}

static void map_layout(void **state)
{
    static const struct iovageom_virtio_request map = {
        .type = IOVAGEOM_VIRTIO_T_MAP,
        .domain = 9,
        .flags = 0x80000003,
        .virt = {0x1122334455667788, 0x99aabbccddeeff00},
        .phys = 0x123456789abcdef0};
    static const uint8_t expected[36] = {
        3,    0,    0,    0,    9,    0,    0,    0,    0x88, 0x77, 0x66, 0x55,
        0x44, 0x33, 0x22, 0x11, 0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99,
        0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 3,    0,    0,    0x80,
    };
    uint8_t bytes[36];
    size_t needed;

    (void)state;
    assert_int_equal(iovageom_guest_encode_request(&map, bytes, sizeof(bytes), &needed), 0);
    assert_memory_equal(bytes, expected, sizeof(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(n58_n61_unknown_properties_are_skipped),
        cmocka_unit_test(n59_length_is_not_deduced_from_the_type),
        cmocka_unit_test(n60_reserved_bits_hide_a_property),
        cmocka_unit_test(n71_n72_resv_mem_reserved_bytes_and_subtypes),
        cmocka_unit_test(i4_malformed_property_lists),
        cmocka_unit_test(decode_says_how_many),
        cmocka_unit_test(config_is_read),
        cmocka_unit_test(n7_only_bit_0_of_bypass_counts),
        cmocka_unit_test(config_that_is_no_good),
        cmocka_unit_test(map_layout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

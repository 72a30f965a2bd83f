/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_REGIONS_H
#define IOVAGEOM_TEST_REGIONS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <iovageom/region.h>

/* The 39-bit Intel host: MSI window, and what lies above the width. */
static const struct iovageom_region test_intel[] = {
    {{0xfee00000, 0xfeefffff}, IOVAGEOM_RESV_MSI, 0},
    {{0x8000000000, UINT64_MAX}, IOVAGEOM_RESV_RESERVED, 0},
};

/* Its bytes, written by hand from the layout of the specification. */
static const uint8_t test_intel_bytes[] = {
    0x01, 0x00, 0x14, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe0, 0xfe, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0xef, 0xfe, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

/** The same ranges and types, in the same order. Owners do not count. */
static inline void assert_regions(const struct iovageom_region *actual, size_t actual_count,
                                  const struct iovageom_region *expected, size_t count)
{
    assert_int_equal(actual_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(actual[i].range.start, expected[i].range.start);
        assert_int_equal(actual[i].range.last, expected[i].range.last);
        assert_int_equal(actual[i].type, expected[i].type);
    }
}

#endif

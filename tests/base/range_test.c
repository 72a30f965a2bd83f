/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <iovageom/range.h>
#include <iovageom/status.h>

#include "base/range.h"

#define MAX UINT64_MAX

static const struct iovageom_range everything = {0, MAX};
static const struct iovageom_range untouched = {0x1234, 0x5678};

static struct iovageom_range range(uint64_t start, uint64_t last)
{
    return (struct iovageom_range){start, last};
}

#define assert_range(actual, expected_start, expected_last)                                        \
    do {                                                                                           \
        assert_int_equal((actual).start, (expected_start));                                        \
        assert_int_equal((actual).last, (expected_last));                                          \
    } while (0)

static void valid_and_has(void **state)
{
    (void)state;
    assert_true(iovageom_range_valid(everything));
    assert_true(iovageom_range_valid(range(MAX, MAX)));
    assert_false(iovageom_range_valid(range(1, 0)));
    assert_true(iovageom_range_has(everything, 0));
    assert_true(iovageom_range_has(everything, MAX));
    assert_false(iovageom_range_has(range(1, 2), 0));
    assert_false(iovageom_range_has(range(1, 2), 3));
    assert_true(iovageom_range_equal(range(1, 2), range(1, 2)));
    assert_false(iovageom_range_equal(range(1, 2), range(1, 3)));
    assert_false(iovageom_range_equal(range(0, 2), range(1, 2)));
    assert_true(iovageom_range_contains(everything, range(MAX, MAX)));
    assert_true(iovageom_range_contains(range(1, 2), range(1, 2)));
    assert_false(iovageom_range_contains(range(1, 2), range(1, 3)));
    assert_false(iovageom_range_contains(range(1, 2), range(0, 2)));
}

static void neighbours(void **state)
{
    (void)state;
    assert_true(iovageom_range_precedes_directly(range(0, 4), range(5, 9)));
    assert_false(iovageom_range_precedes_directly(range(5, 9), range(0, 4)));
    assert_false(iovageom_range_precedes_directly(range(0, 4), range(6, 9)));
    assert_false(iovageom_range_precedes_directly(range(0, 5), range(5, 9)));
    assert_true(iovageom_range_precedes_directly(range(0, MAX - 1), range(MAX, MAX)));
    /* 2^64-1 is not followed by 0. */
    assert_false(iovageom_range_precedes_directly(range(5, MAX), range(0, 4)));
    assert_false(iovageom_range_touches(range(5, MAX), range(0, 3)));
    assert_true(iovageom_range_touches(range(5, 9), range(0, 4)));
    assert_true(iovageom_range_touches(range(0, 4), range(5, 9)));
    assert_true(iovageom_range_touches(range(0, 5), range(5, 9)));
    assert_false(iovageom_range_touches(range(0, 3), range(5, 9)));
    assert_true(iovageom_range_overlaps(range(0, 5), range(5, 9)));
    assert_false(iovageom_range_overlaps(range(0, 4), range(5, 9)));
    assert_true(iovageom_range_overlaps(everything, range(MAX, MAX)));
}

static void intersect_and_hull(void **state)
{
    struct iovageom_range out = untouched;

    (void)state;
    assert_false(iovageom_range_intersect(range(0, 4), range(5, 9), &out));
    assert_true(iovageom_range_equal(out, untouched));
    assert_true(iovageom_range_intersect(range(0, 5), range(5, MAX), &out));
    assert_range(out, 5, 5);
    assert_true(iovageom_range_intersect(everything, range(3, MAX), &out));
    assert_range(out, 3, MAX);
    out = iovageom_range_hull(range(MAX, MAX), range(0, 0));
    assert_range(out, 0, MAX);
    out = iovageom_range_hull(range(2, 9), range(4, 5));
    assert_range(out, 2, 9);
}

static void subtract(void **state)
{
    struct iovageom_range out[2] = {untouched, untouched};

    (void)state;
    assert_int_equal(iovageom_range_subtract(range(2, 8), everything, out), 0);
    assert_true(iovageom_range_equal(out[0], untouched));
    assert_int_equal(iovageom_range_subtract(range(2, 8), range(9, MAX), out), 1);
    assert_range(out[0], 2, 8);
    assert_int_equal(iovageom_range_subtract(everything, range(0, 0), out), 1);
    assert_range(out[0], 1, MAX);
    assert_int_equal(iovageom_range_subtract(everything, range(MAX, MAX), out), 1);
    assert_range(out[0], 0, MAX - 1);
    assert_true(iovageom_range_equal(out[1], untouched));
    assert_int_equal(iovageom_range_subtract(everything, range(5, 6), out), 2);
    assert_range(out[0], 0, 4);
    assert_range(out[1], 7, MAX);
}

static void around(void **state)
{
    struct iovageom_range out = untouched;

    (void)state;
    assert_false(iovageom_range_below(range(0, 3), &out));
    assert_false(iovageom_range_above(range(3, MAX), &out));
    assert_false(iovageom_range_between(range(0, 4), range(5, 9), &out));
    assert_false(iovageom_range_between(range(0, 5), range(5, 9), &out));
    assert_false(iovageom_range_between(range(5, MAX), range(0, 3), &out));
    assert_true(iovageom_range_equal(out, untouched));
    assert_true(iovageom_range_below(range(MAX, MAX), &out));
    assert_range(out, 0, MAX - 1);
    assert_true(iovageom_range_above(range(0, 0), &out));
    assert_range(out, 1, MAX);
    assert_true(iovageom_range_between(range(0, 0), range(MAX, MAX), &out));
    assert_range(out, 1, MAX - 1);
    assert_true(iovageom_range_between(range(0, 3), range(5, 9), &out));
    assert_range(out, 4, 4);
}

static void size_and_length(void **state)
{
    struct iovageom_size size = iovageom_range_size(everything);
    struct iovageom_range out = untouched;

    (void)state;
    assert_int_equal(size.hi, 1);
    assert_int_equal(size.lo, 0);
    size = iovageom_range_size(range(1, MAX));
    assert_int_equal(size.hi, 0);
    assert_int_equal(size.lo, MAX);
    size = iovageom_range_size(range(MAX, MAX));
    assert_int_equal(size.lo, 1);

    assert_int_equal(iovageom_range_from_length(5, 0, &out), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_range_from_length(2, MAX, &out), IOVAGEOM_ERR_OVERFLOW);
    assert_int_equal(iovageom_range_from_length(MAX, 2, &out), IOVAGEOM_ERR_OVERFLOW);
    assert_true(iovageom_range_equal(out, untouched));
    assert_int_equal(iovageom_range_from_length(1, MAX, &out), IOVAGEOM_OK);
    assert_range(out, 1, MAX);
    assert_int_equal(iovageom_range_from_length(MAX, 1, &out), IOVAGEOM_OK);
    assert_range(out, MAX, MAX);
}

static void align(void **state)
{
    struct iovageom_range out = untouched;

    (void)state;
    assert_false(iovageom_range_align_inward(range(1, 0x1ffe), 0x1000, &out));
    assert_false(iovageom_range_align_inward(range(0, 0xffe), 0x1000, &out));
    assert_false(iovageom_range_align_inward(range(MAX - 5, MAX), 0x1000, &out));
    assert_false(iovageom_range_align_inward(everything, 0, &out));
    assert_false(iovageom_range_align_inward(everything, 0x1800, &out));
    assert_false(iovageom_range_align_inward(range(1, MAX - 1), UINT64_C(1) << 63, &out));
    assert_true(iovageom_range_equal(out, untouched));
    assert_true(iovageom_range_align_inward(everything, UINT64_C(1) << 63, &out));
    assert_range(out, 0, MAX);
    assert_true(iovageom_range_align_inward(range(1, MAX), UINT64_C(1) << 63, &out));
    assert_range(out, UINT64_C(1) << 63, MAX);
    assert_true(iovageom_range_align_inward(range(1, 0x2fff), 0x1000, &out));
    assert_range(out, 0x1000, 0x2fff);
    assert_true(iovageom_range_align_inward(range(0x1000, 0x2ffe), 0x1000, &out));
    assert_range(out, 0x1000, 0x1fff);
    assert_true(iovageom_range_align_inward(range(3, 3), 1, &out));
    assert_range(out, 3, 3);

    out = iovageom_range_align_outward(range(1, 0x1000), 0x1000);
    assert_range(out, 0, 0x1fff);
    out = iovageom_range_align_outward(range(MAX, MAX), 0x1000);
    assert_range(out, MAX - 0xfff, MAX);
    out = iovageom_range_align_outward(range(3, 5), 0x1800);
    assert_range(out, 3, 5);
    out = iovageom_range_align_outward(range(3, 5), 0);
    assert_range(out, 3, 5);

    assert_true(iovageom_range_is_aligned(everything, UINT64_C(1) << 63));
    assert_true(iovageom_range_is_aligned(range(0x1000, 0x1fff), 0x1000));
    assert_false(iovageom_range_is_aligned(range(0x1000, 0x1ffe), 0x1000));
    assert_false(iovageom_range_is_aligned(range(0x1001, 0x1fff), 0x1000));
    assert_false(iovageom_range_is_aligned(range(0x1000, 0x1fff), 0));
}

static void gaw(void **state)
{
    struct iovageom_range out = untouched;

    (void)state;
    assert_int_equal(iovageom_range_from_gaw(0, &out), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_range_from_gaw(65, &out), IOVAGEOM_ERR_INVALID);
    assert_true(iovageom_range_equal(out, untouched));
    for (unsigned bits = 1; bits <= 64; bits++) {
        assert_int_equal(iovageom_range_from_gaw(bits, &out), IOVAGEOM_OK);
        assert_int_equal(out.start, 0);
        assert_int_equal(out.last >> (bits - 1), 1);
        assert_int_equal(iovageom_range_gaw(out), bits);
        if (bits < 64)
            assert_int_equal(iovageom_range_gaw(range(0, out.last + 1)), bits + 1);
    }
    assert_int_equal(iovageom_range_gaw(range(0, 0)), 1);
}

static void sizes(void **state)
{
    const struct iovageom_size zero = {0, 0};
    const struct iovageom_size all = {1, 0};
    const struct iovageom_size most = {0, MAX};
    struct iovageom_size size = iovageom_size_add(most, (struct iovageom_size){0, 1});

    (void)state;
    assert_int_equal(iovageom_size_compare(size, all), 0);
    size = iovageom_size_subtract(all, most);
    assert_int_equal(iovageom_size_compare(size, (struct iovageom_size){0, 1}), 0);
    size = iovageom_size_subtract(most, all);
    assert_int_equal(iovageom_size_compare(size, zero), 0);
    assert_int_equal(iovageom_size_compare(most, all), -1);
    assert_int_equal(iovageom_size_compare(all, most), 1);
    assert_int_equal(iovageom_size_compare(zero, most), -1);
    assert_int_equal(iovageom_size_compare(most, zero), 1);
    assert_int_equal(iovageom_size_saturate(all), MAX);
    assert_int_equal(iovageom_size_saturate((struct iovageom_size){0, 7}), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_and_has),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(intersect_and_hull),
        cmocka_unit_test(subtract),
        cmocka_unit_test(around),
        cmocka_unit_test(size_and_length),
        cmocka_unit_test(align),
        cmocka_unit_test(gaw),
        cmocka_unit_test(sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

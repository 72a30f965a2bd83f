/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/plan_cover.h>
#include <iovageom/status.h>

#define MAX          UINT64_MAX
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define R(start, last)                                                                             \
    (struct iovageom_range)                                                                        \
    {                                                                                              \
        (start), (last)                                                                            \
    }

static void assert_ranges(const struct iovageom_range *ranges, size_t count,
                          const struct iovageom_range *expected, size_t expected_count)
{
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++)
        assert_true(iovageom_range_equal(ranges[i], expected[i]));
}

static void the_smallest_gaps_are_closed(void **state)
{
    static const struct iovageom_range list[] = {
        {0x1000, 0x1fff}, {0x4000, 0x4fff}, {0x6000, 0x6fff}, {0x10000, 0x10fff}};
    static const struct iovageom_range three[] = {
        {0x1000, 0x1fff}, {0x4000, 0x6fff}, {0x10000, 0x10fff}};
    static const struct iovageom_range two[] = {{0x1000, 0x6fff}, {0x10000, 0x10fff}};
    static const struct iovageom_range one[] = {{0x1000, 0x10fff}};
    struct iovageom_range out[COUNT(list)];
    struct iovageom_size excess;
    size_t count;

    (void)state;
    assert_int_equal(iovageom_plan_cover(list, 4, 1, SIZE_MAX, out, 4, &count, &excess), 0);
    assert_ranges(out, count, list, 4);
    assert_true(excess.hi == 0 && excess.lo == 0);
    assert_int_equal(iovageom_plan_cover(list, 4, 1, 3, out, 4, &count, &excess), 0);
    assert_ranges(out, count, three, 3);
    assert_true(excess.hi == 0 && excess.lo == 0x1000);
    assert_int_equal(iovageom_plan_cover(list, 4, 1, 2, out, 4, &count, &excess), 0);
    assert_ranges(out, count, two, 2);
    assert_true(excess.hi == 0 && excess.lo == 0x3000);
    assert_int_equal(iovageom_plan_cover(list, 4, 1, 1, out, 4, &count, NULL), 0);
    assert_ranges(out, count, one, 1);
    /* In place; and of nothing. */
    memcpy(out, list, sizeof(list));
    assert_int_equal(iovageom_plan_cover(out, 4, 1, 2, out, 4, &count, NULL), 0);
    assert_ranges(out, count, two, 2);
    assert_int_equal(iovageom_plan_cover(NULL, 0, 1, 2, NULL, 0, &count, &excess), 0);
    assert_true(count == 0 && excess.hi == 0 && excess.lo == 0);
}

/* More may be mapped below, so the higher of two equal gaps goes. */
static void of_equal_gaps_the_higher_is_closed(void **state)
{
    static const struct iovageom_range list[] = {{0, 9}, {20, 29}, {40, 49}, {60, 69}};
    static const struct iovageom_range expected[] = {{0, 9}, {20, 29}, {40, 69}};
    struct iovageom_range out[COUNT(list)];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_plan_cover(list, 4, 1, 3, out, 3, &count, NULL), 0);
    assert_ranges(out, count, expected, 3);
}

static void ranges_are_widened_to_granules(void **state)
{
    static const struct iovageom_range list[] = {{0x1800, 0x27ff},
                                                 {0x2900, 0x2aff}, /* in the granule before */
                                                 {0x3000, 0x3000}, /* touches it then */
                                                 {0x5fff, 0x6000},
                                                 {MAX - 1, MAX}};
    static const struct iovageom_range expected[] = {
        {0x1000, 0x3fff}, {0x5000, 0x6fff}, {MAX - 0xfff, MAX}};
    struct iovageom_range out[COUNT(list)];
    struct iovageom_size excess;
    size_t count;

    (void)state;
    assert_int_equal(iovageom_plan_cover(list, 5, 0x1000, 8, out, 5, &count, &excess), 0);
    assert_ranges(out, count, expected, 3);
    assert_true(excess.hi == 0 && excess.lo == 0x6000 - (0x1000 + 0x200 + 1 + 2 + 2));
}

static void all_addresses_are_a_list_too(void **state)
{
    static const struct iovageom_range all = {0, MAX}, ends[] = {{0, 0}, {MAX, MAX}};
    struct iovageom_range out[2];
    struct iovageom_size excess;
    size_t count;

    (void)state;
    assert_int_equal(iovageom_plan_cover(&all, 1, 0x1000, 1, out, 1, &count, &excess), 0);
    assert_ranges(out, count, &all, 1);
    assert_true(excess.hi == 0 && excess.lo == 0);
    assert_int_equal(iovageom_plan_cover(ends, 2, 1, 1, out, 1, &count, &excess), 0);
    assert_ranges(out, count, &all, 1);
    assert_true(excess.hi == 0 && excess.lo == MAX - 1);
}

static void bad_arguments_change_nothing(void **state)
{
    static const struct iovageom_range good[] = {{0, 9}, {20, 29}}, inverted[] = {{0, 9}, {29, 20}},
                                       overlapping[] = {{0, 9}, {9, 29}},
                                       falling[] = {{20, 29}, {0, 9}};
    struct iovageom_range out[3] = {R(7, 7), R(7, 7), R(7, 7)};
    struct iovageom_size excess = {7, 7};
    bool changed = true;
    size_t count = 7;

    (void)state;
    assert_int_equal(iovageom_plan_cover(inverted, 2, 1, 2, out, 2, &count, &excess),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_plan_cover(overlapping, 2, 1, 2, out, 2, &count, &excess),
                     IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(iovageom_plan_cover(falling, 2, 1, 2, out, 2, &count, &excess),
                     IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(iovageom_plan_cover(good, 2, 0, 2, out, 2, &count, &excess),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_plan_cover(good, 2, 3, 2, out, 2, &count, &excess),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_plan_cover(good, 2, 1, 0, out, 2, &count, &excess),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(
        iovageom_plan_cover_change(good, 2, R(9, 8), true, 1, 2, out, 3, &count, &changed),
        IOVAGEOM_ERR_INVERTED);
    assert_int_equal(
        iovageom_plan_cover_change(good, 2, R(8, 9), true, 1, 0, out, 3, &count, &changed),
        IOVAGEOM_ERR_INVALID);
    assert_int_equal(
        iovageom_plan_cover_change(good, 2, R(9, 8), false, 1, 2, out, 3, &count, &changed),
        IOVAGEOM_ERR_INVERTED);
    assert_int_equal(
        iovageom_plan_cover_change(good, 2, R(8, 9), false, 6, 2, out, 3, &count, &changed),
        IOVAGEOM_ERR_INVALID);
    assert_int_equal(count, 7);
    assert_int_equal(iovageom_plan_cover(good, 2, 1, 2, out, 1, &count, &excess),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 2);
    assert_int_equal(
        iovageom_plan_cover_change(good, 2, R(40, 49), true, 1, 2, out, 2, &count, &changed),
        IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 3);
    assert_true(changed && excess.hi == 7 && excess.lo == 7);
    for (size_t i = 0; i < 3; i++)
        assert_true(iovageom_range_equal(out[i], R(7, 7)));
}

static void requests_change_a_cover(void **state)
{
    static const struct iovageom_range cover[] = {{0x1000, 0x4fff}, {0x8000, 0x8fff}};
    static const struct iovageom_range far[] = {{0x1000, 0x8fff}, {0x100000, 0x100fff}};
    static const struct iovageom_range cut[] = {{0x2000, 0x4fff}, {0x8000, 0x8fff}};
    static const struct iovageom_range parts[] = {
        {0x1000, 0x1fff}, {0x3000, 0x4fff}, {0x8000, 0x8fff}};
    static const struct iovageom_range wide[] = {{0x1000, 0x1fff}, {0x9000, 0x9fff}};
    struct iovageom_range out[4];
    size_t count;
    bool changed;

    (void)state;
    assert_int_equal(iovageom_plan_cover_change(cover, 2, R(0x2345, 0x2345), true, 0x1000, 2, out,
                                                3, &count, &changed),
                     0);
    assert_ranges(out, count, cover, 2);
    assert_false(changed);
    assert_int_equal(iovageom_plan_cover_change(cover, 2, R(0x100000, 0x100000), true, 0x1000, 2,
                                                out, 3, &count, &changed),
                     0);
    assert_ranges(out, count, far, 2);
    assert_true(changed);
    assert_int_equal(iovageom_plan_cover_change(cover, 2, R(0x1000, 0x1fff), false, 0x1000, 2, out,
                                                3, &count, &changed),
                     0);
    assert_ranges(out, count, cut, 2);
    assert_true(changed);
    /* In the middle: only where one range more is allowed, or another gap is smaller. */
    assert_int_equal(iovageom_plan_cover_change(cover, 2, R(0x2000, 0x2fff), false, 0x1000, 2, out,
                                                3, &count, &changed),
                     0);
    assert_ranges(out, count, cover, 2);
    assert_false(changed);
    assert_int_equal(iovageom_plan_cover_change(cover, 2, R(0x2000, 0x2fff), false, 0x1000, 3, out,
                                                4, &count, &changed),
                     0);
    assert_ranges(out, count, parts, 3);
    assert_true(changed);
    assert_int_equal(iovageom_plan_cover_change((struct iovageom_range[]){R(0x1000, 0x9fff)}, 1,
                                                R(0x2000, 0x8fff), false, 0x1000, 2, out, 3, &count,
                                                &changed),
                     0);
    assert_ranges(out, count, wide, 2);
    /* No whole granule is free. */
    assert_int_equal(iovageom_plan_cover_change(cover, 2, R(0x1001, 0x2ffe), false, 0x1000, 2, out,
                                                3, &count, &changed),
                     0);
    assert_false(changed);
    /* From nothing, to nothing. */
    assert_int_equal(
        iovageom_plan_cover_change(NULL, 0, R(5, 5), true, 1, 1, out, 2, &count, &changed), 0);
    assert_ranges(out, count, &R(5, 5), 1);
    assert_true(changed);
    assert_int_equal(
        iovageom_plan_cover_change(&R(5, 5), 1, R(0, MAX), false, 1, 1, out, 2, &count, &changed),
        0);
    assert_true(changed && count == 0);
    assert_int_equal(
        iovageom_plan_cover_change(NULL, 0, R(0, MAX), false, 1, 1, NULL, 0, &count, &changed), 0);
    assert_true(!changed && count == 0);
}

static void bits_become_addresses(void **state)
{
    static const struct iovageom_mapping mappings[] = {
        {{0x1000, 0x2fff}, 0x80000, 3},      /* pages 1 and 2 */
        {{0x3000, 0x3fff}, 0x82000, 3},      /* goes on, there too */
        {{0x4800, 0x4bff}, 0xc0800, 3},      /* a part of page 4 */
        {{0x40000, 0x80fff}, 0x10000000, 3}, /* from the second word on, beyond the bitmap */
    };
    static const struct iovageom_range expected[] = {
        {0x81000, 0x82fff}, {0xc0800, 0xc0bff}, {0x10000000, 0x10000fff}, {0x1003f000, 0x1003ffff}};
    /* Pages 2, 3, 4; 5, where nothing is mapped; 64 and 127. */
    uint64_t words[2] = {0x3c, (uint64_t)1 << 63 | 1};
    struct iovageom_dirty_bitmap bitmap = {words, 0, 0x1000, 128};
    struct iovageom_range out[4] = {R(7, 7), R(7, 7), R(7, 7), R(7, 7)};
    size_t count = 7;

    (void)state;
    assert_int_equal(iovageom_plan_cover_dirty(mappings, 4, &bitmap, out, 3, &count),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_true(count == 4 && out[0].start == 7);
    assert_int_equal(iovageom_plan_cover_dirty(mappings, 4, &bitmap, out, 4, &count), 0);
    /* Nothing is written without room, whatever its size is said to be; and it ends. */
    count = 0;
    assert_int_equal(iovageom_plan_cover_dirty(mappings, 4, &bitmap, NULL, 4, &count), 0);
    assert_int_equal(count, 4);
    assert_ranges(out, count, expected, 4);
    /* A bitmap that starts elsewhere, and ends before its last word does. */
    words[0] = (uint64_t)1 << 40 | 2;
    bitmap = (struct iovageom_dirty_bitmap){words, 0x2000, 0x1000, 40};
    assert_int_equal(iovageom_plan_cover_dirty(mappings, 4, &bitmap, out, 4, &count), 0);
    assert_ranges(out, count, &R(0x82000, 0x82fff), 1);
    words[0] = 1;
    bitmap = (struct iovageom_dirty_bitmap){words, 0x1000, 0x1000, 0}; /* no page at all */
    assert_int_equal(iovageom_plan_cover_dirty(mappings, 4, &bitmap, NULL, 0, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(iovageom_plan_cover_dirty(NULL, 0, &bitmap, NULL, 0, &count), 0);
}

/* What is written to first has none before it to be joined with, be it at address 1. */
static void pages_of_a_byte(void **state)
{
    static const struct iovageom_mapping mappings[] = {{{MAX - 1, MAX}, 1, 3}};
    static const struct iovageom_mapping bad[] = {{{1, 2}, 0, 3}, {{9, 8}, 0, 3}};
    const uint64_t words[1] = {3};
    const struct iovageom_dirty_bitmap bitmap = {words, MAX - 1, 1, 2};
    struct iovageom_range out[1];
    size_t count = 7;

    (void)state;
    assert_int_equal(iovageom_plan_cover_dirty(mappings, 1, &bitmap, out, 1, &count), 0);
    assert_ranges(out, count, &R(1, 2), 1);
    count = 7;
    assert_int_equal(iovageom_plan_cover_dirty(bad, 2, &bitmap, out, 1, &count),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(count, 7);
}

static void bitmaps_reach_the_highest_address(void **state)
{
    static const struct iovageom_mapping top = {{MAX - 0xfff, MAX}, 0, 3};
    const uint64_t word = (uint64_t)1 << 63;
    struct iovageom_dirty_bitmap bitmap = {&word, MAX - 64 * 0x1000 + 1, 0x1000, 64};
    struct iovageom_range out[1];
    size_t count = 7;

    (void)state;
    assert_int_equal(iovageom_plan_cover_dirty(&top, 1, &bitmap, out, 1, &count), 0);
    assert_ranges(out, count, &R(0, 0xfff), 1);
    count = 7;
    bitmap.pages = 65; /* ends above it */
    assert_int_equal(iovageom_plan_cover_dirty(&top, 1, &bitmap, out, 1, &count),
                     IOVAGEOM_ERR_INVALID);
    bitmap.pages = 64;
    bitmap.start++;
    assert_int_equal(iovageom_plan_cover_dirty(&top, 1, &bitmap, out, 1, &count),
                     IOVAGEOM_ERR_INVALID);
    bitmap.start--;
    bitmap.page = 0;
    assert_int_equal(iovageom_plan_cover_dirty(&top, 1, &bitmap, out, 1, &count),
                     IOVAGEOM_ERR_INVALID);
    bitmap.page = 0x1000;
    assert_int_equal(iovageom_plan_cover_dirty(&(struct iovageom_mapping){{9, 8}, 0, 3}, 1, &bitmap,
                                               out, 1, &count),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(count, 7);
}

/* MAP admits no such mapping, but a caller may have others. None leads to an inverted range. */
static void addresses_of_a_mapping_do_not_wrap(void **state)
{
    struct iovageom_mapping mapping = {{0, 0xfff}, MAX - 0xfff, 3};
    const uint64_t word = 1;
    const struct iovageom_dirty_bitmap bitmap = {&word, 0, 0x1000, 1};
    struct iovageom_range out[1] = {{5, 6}};
    size_t count = 7;

    (void)state;
    assert_int_equal(iovageom_plan_cover_dirty(&mapping, 1, &bitmap, out, 1, &count), 0);
    assert_ranges(out, count, &R(MAX - 0xfff, MAX), 1);
    count = 7;
    out[0] = R(5, 6);
    mapping.phys++;
    assert_int_equal(iovageom_plan_cover_dirty(&mapping, 1, &bitmap, out, 1, &count),
                     IOVAGEOM_ERR_OVERFLOW);
    assert_ranges(out, 1, &R(5, 6), 1);
    assert_int_equal(count, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_gaps_are_closed),
        cmocka_unit_test(of_equal_gaps_the_higher_is_closed),
        cmocka_unit_test(ranges_are_widened_to_granules),
        cmocka_unit_test(all_addresses_are_a_list_too),
        cmocka_unit_test(bad_arguments_change_nothing),
        cmocka_unit_test(requests_change_a_cover),
        cmocka_unit_test(bits_become_addresses),
        cmocka_unit_test(pages_of_a_byte),
        cmocka_unit_test(bitmaps_reach_the_highest_address),
        cmocka_unit_test(addresses_of_a_mapping_do_not_wrap),
    };

    return cmocka_run_group_tests_name("plan_cover", tests, NULL, NULL);
}

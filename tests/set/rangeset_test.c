/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "set/rangeset_internal.h"
#include "support/test_allocator.h"

#define MAX UINT64_MAX

static struct iovageom_rangeset set;
static struct test_allocator memory;

static int fresh(void **state)
{
    (void)state;
    test_allocator_init(&memory);
    return iovageom_rangeset_init(&set, &memory.allocator);
}

static int done(void **state)
{
    (void)state;
    iovageom_rangeset_deinit(&set);
    return test_allocator_live(&memory) == 0 ? 0 : -1;
}

static struct iovageom_range range(uint64_t start, uint64_t last)
{
    return (struct iovageom_range){start, last};
}

static int insert(uint64_t start, uint64_t last)
{
    return iovageom_rangeset_insert(&set, range(start, last));
}

/* The whole contents, as pairs of start and last. */
#define assert_set(...)                                                                            \
    do {                                                                                           \
        const uint64_t expected[] = {__VA_ARGS__};                                                 \
        struct iovageom_range got[16];                                                             \
        size_t got_count = 0;                                                                      \
                                                                                                   \
        assert_int_equal(iovageom_rangeset_to_array(&set, got, 16, &got_count), 0);                \
        assert_int_equal(2 * got_count, sizeof(expected) / sizeof(expected[0]));                   \
        assert_memory_equal(got, expected, sizeof(expected));                                      \
    } while (0)

static void touching_ranges_are_one(void **state)
{
    (void)state;
    assert_int_equal(insert(10, 19), 0);
    assert_int_equal(insert(21, 29), 0);
    assert_set(10, 19, 21, 29);
    assert_int_equal(insert(20, 20), 0);
    assert_set(10, 29);
    assert_int_equal(insert(0, 9), 0);
    assert_int_equal(insert(30, MAX), 0);
    assert_set(0, MAX);
    assert_int_equal(iovageom_rangeset_size(&set).hi, 1);
    assert_int_equal(insert(5, 6), 0);
    assert_int_equal(insert(0, MAX), 0);
    assert_set(0, MAX);
    assert_int_equal(iovageom_rangeset_remove(&set, range(0, 0)), 0);
    assert_int_equal(iovageom_rangeset_remove(&set, range(MAX, MAX)), 0);
    assert_int_equal(iovageom_rangeset_remove(&set, range(7, 8)), 0);
    assert_set(1, 6, 9, MAX - 1);
    assert_int_equal(iovageom_rangeset_remove(&set, range(0, MAX)), 0);
    assert_int_equal(iovageom_rangeset_count(&set), 0);
}

static void empty_has_nothing(void **state)
{
    struct iovageom_range got = {1, 2};
    struct iovageom_rangeset_cursor cursor;
    size_t count = 9;

    (void)state;
    assert_false(iovageom_rangeset_contains(&set, range(0, 0)));
    assert_false(iovageom_rangeset_overlaps(&set, range(0, MAX)));
    assert_false(iovageom_rangeset_contains(&set, range(MAX, MAX)));
    assert_false(iovageom_rangeset_first_overlap(&set, range(MAX, MAX), &got));
    assert_false(iovageom_rangeset_hull(&set, &got));
    iovageom_rangeset_seek(&set, 0, &cursor);
    assert_false(iovageom_rangeset_next(&cursor, &got));
    assert_int_equal(got.start, 1);
    assert_int_equal(got.last, 2);
    assert_int_equal(iovageom_rangeset_to_array(&set, NULL, 0, &count), 0);
    assert_int_equal(count, 0);
    assert_true(iovageom_rangeset_gap_below(&set, 5, &got));
    assert_true(iovageom_range_equal(got, range(0, MAX)));
    assert_int_equal(iovageom_rangeset_remove(&set, range(0, MAX)), 0);
    assert_int_equal(iovageom_rangeset_from_array(&set, NULL, 0), 0);
}

static void refuses(void **state)
{
    struct iovageom_range out = {3, 4};
    struct iovageom_range inverted[2] = {{1, 2}, {6, 5}};
    struct iovageom_allocator none = {NULL, NULL, NULL};
    struct iovageom_rangeset other;
    size_t count = 0;

    (void)state;
    assert_int_equal(iovageom_rangeset_init(&other, &none), IOVAGEOM_ERR_INVALID);
    assert_int_equal(insert(2, 1), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_rangeset_remove(&set, range(2, 1)), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(insert(0, 9), 0);
    assert_int_equal(insert(20, 29), 0);
    assert_false(iovageom_rangeset_overlaps(&set, range(25, 22)));
    assert_false(iovageom_rangeset_contains(&set, range(25, 22)));
    assert_false(iovageom_rangeset_first_overlap(&set, range(25, 22), &out));
    assert_int_equal(iovageom_rangeset_to_array(&set, &out, 1, &count),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 2);
    assert_int_equal(iovageom_rangeset_from_array(&set, inverted, 2), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_rangeset_hole(&set, range(0, MAX), 0, 1, false, &out),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_rangeset_hole(&set, range(0, MAX), 1, 3, false, &out),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_rangeset_hole(&set, range(0, MAX), 1, 0, true, &out),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_rangeset_hole(&set, range(2, 1), 1, 1, false, &out),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_rangeset_complement(&set, &set, range(2, 1)), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_rangeset_clip(&set, &set, range(2, 1)), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_rangeset_align_inward(&set, &set, 0), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_rangeset_align_outward(&set, &set, 6), IOVAGEOM_ERR_INVALID);
    assert_set(0, 9, 20, 29);
    assert_int_equal(out.start, 3);
    iovageom_rangeset_deinit(NULL);
}

static void eight_ranges_need_no_memory(void **state)
{
    struct iovageom_rangeset moved;

    (void)state;
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(insert(10 * i, 10 * i + 5), 0);
    assert_int_equal(memory.allocations, 0);
    memcpy(&moved, &set, sizeof(set));
    memset(&set, 0xee, sizeof(set));
    memcpy(&set, &moved, sizeof(set));
    assert_true(iovageom_rangeset_contains(&set, range(75, 75)));
    assert_int_equal(insert(80, 85), 0);
    assert_true(test_allocator_live(&memory) > 0);
    memcpy(&moved, &set, sizeof(set));
    assert_true(iovageom_rangeset_contains(&moved, range(75, 75)));
    assert_int_equal(iovageom_rangeset_remove(&moved, range(0, 5)), 0);
    assert_int_equal(test_allocator_live(&memory), 0);
    memcpy(&set, &moved, sizeof(set));
    assert_int_equal(iovageom_rangeset_count(&set), 8);
}

static void swaps(void **state)
{
    struct iovageom_rangeset other;

    (void)state;
    assert_int_equal(iovageom_rangeset_init(&other, NULL), 0);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(iovageom_rangeset_insert(&other, range(4 * i, 4 * i + 1)), 0);
    assert_int_equal(insert(7, 8), 0);
    iovageom_rangeset_swap(&set, &other);
    assert_int_equal(iovageom_rangeset_count(&set), 100);
    assert_int_equal(iovageom_rangeset_count(&other), 1);
    assert_true(iovageom_rangeset_contains(&other, range(7, 7)));
    iovageom_rangeset_swap(&set, &other);
    assert_set(7, 8);
    iovageom_rangeset_deinit(&other);
}

/* A cursor stays with its set: after an exchange it goes on in what that has then. Both have
 * changed as often, and have nodes. */
static void a_cursor_notices_an_exchange(void **state)
{
    struct iovageom_rangeset other;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range got;

    (void)state;
    assert_int_equal(iovageom_rangeset_init(&other, NULL), 0);
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(insert(0x100 * i, 0x100 * i), 0);
        assert_int_equal(iovageom_rangeset_insert(&other, range(0x100 * i + 1, 0x100 * i + 1)), 0);
    }
    iovageom_rangeset_seek(&set, 0, &cursor);
    assert_true(iovageom_rangeset_next(&cursor, &got));
    assert_int_equal(got.start, 0);
    iovageom_rangeset_swap(&set, &other);
    for (uint64_t i = 0; i < 20; i++) {
        assert_true(iovageom_rangeset_next(&cursor, &got));
        assert_int_equal(got.start, 0x100 * i + 1);
    }
    assert_false(iovageom_rangeset_next(&cursor, &got));
    iovageom_rangeset_deinit(&other);
}

/* And that it was filled anew, with few ranges, which need no nodes. */
static void a_cursor_notices_another_filling(void **state)
{
    const struct iovageom_range few[] = {range(0x100, 0x100), range(0x200, 0x200)};
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range got;

    (void)state;
    for (int filled = 0; filled < 2; filled++) {
        iovageom_rangeset_clear(&set);
        for (uint64_t i = 1; filled && i <= 3; i++)
            assert_int_equal(insert(i * 0x10, i * 0x10), 0);
        iovageom_rangeset_seek(&set, 0, &cursor);
        assert_int_equal(iovageom_rangeset_next(&cursor, &got), filled);
        assert_int_equal(iovageom_rangeset_from_array(&set, few, 2), 0);
        for (size_t i = 0; i < 2; i++) {
            assert_true(iovageom_rangeset_next(&cursor, &got));
            assert_int_equal(got.start, few[i].start);
        }
        assert_false(iovageom_rangeset_next(&cursor, &got));
    }
}

static void holes(void **state)
{
    struct iovageom_range got;

    (void)state;
    assert_int_equal(insert(0x1000, 0x1fff), 0);
    assert_int_equal(insert(0x2800, 0xfedfffff), 0);
    assert_int_equal(insert(0xfee00000, 0x7fffffffff), 0);
    assert_int_equal(iovageom_rangeset_hole(&set, range(0, MAX), 0x1000, 0x1000, false, &got), 0);
    assert_int_equal(got.start, 0);
    assert_int_equal(iovageom_rangeset_hole(&set, range(1, MAX), 0x1000, 0x1000, false, &got), 0);
    assert_int_equal(got.start, 0x8000000000);
    assert_int_equal(iovageom_rangeset_hole(&set, range(1, MAX), 0x800, 0x800, false, &got), 0);
    assert_int_equal(got.start, 0x800);
    assert_int_equal(iovageom_rangeset_hole(&set, range(0, 0x7fffffffff), 0x800, 1, true, &got), 0);
    assert_true(iovageom_range_equal(got, range(0x2000, 0x27ff)));
    assert_int_equal(iovageom_rangeset_hole(&set, range(0, MAX), 1, 1ull << 63, true, &got), 0);
    assert_int_equal(got.start, 1ull << 63);
    assert_int_equal(iovageom_rangeset_hole(&set, range(0, MAX), MAX, 1, true, &got),
                     IOVAGEOM_ERR_NOT_FOUND);
    assert_true(iovageom_rangeset_gap_below(&set, 0x2001, &got));
    assert_true(iovageom_range_equal(got, range(0x2000, 0x27ff)));
    assert_true(iovageom_rangeset_gap_below(&set, 0x1800, &got));
    assert_true(iovageom_range_equal(got, range(0, 0xfff)));
    assert_true(iovageom_rangeset_gap_below(&set, MAX, &got));
    assert_true(iovageom_range_equal(got, range(0x8000000000, MAX)));
    assert_int_equal(insert(0, MAX), 0);
    assert_false(iovageom_rangeset_gap_below(&set, 5, &got));
    assert_int_equal(iovageom_rangeset_hole(&set, range(0, MAX), 1, 1, false, &got),
                     IOVAGEOM_ERR_NOT_FOUND);
}

/* The usable ranges of a host with a 39-bit IOMMU, and what it reserves. */
static void inverts(void **state)
{
    struct iovageom_rangeset reserved;

    (void)state;
    assert_int_equal(iovageom_rangeset_init(&reserved, NULL), 0);
    assert_int_equal(insert(0, 0xfedfffff), 0);
    assert_int_equal(insert(0xfef00000, 0x7fffffffff), 0);
    assert_int_equal(iovageom_rangeset_complement(&reserved, &set, range(0, MAX)), 0);
    assert_int_equal(iovageom_rangeset_complement(&set, &reserved, range(0, MAX)), 0);
    assert_set(0, 0xfedfffff, 0xfef00000, 0x7fffffffff);
    assert_int_equal(iovageom_rangeset_assign(&set, &reserved), 0);
    assert_set(0xfee00000, 0xfeefffff, 0x8000000000, MAX);
    iovageom_rangeset_deinit(&reserved);
}

/* To a set of many: all of them or, for lack of memory, none. A dozen fills a leaf and those beside
 * it, so that some are there already when memory lacks. One joins what is there. */
static void few_are_added_all_or_none(void **state)
{
    enum { MANY = 1000, FEW = 13 };
    struct iovageom_range many[MANY], now[MANY];
    struct iovageom_rangeset few;
    unsigned refused = 0;
    size_t count;
    bool hit = true;

    (void)state;
    for (uint64_t i = 0; i < MANY; i++)
        many[i] = range(i * 16, i * 16 + 3);
    assert_int_equal(iovageom_rangeset_init(&few, NULL), 0);
    for (uint64_t i = 500; i < 500 + FEW; i++)
        assert_int_equal(
            iovageom_rangeset_insert(&few, range(i * 16 + (i == 507 ? 4 : 8), i * 16 + 9)), 0);
    for (unsigned n = 1; hit; n++) {
        assert_int_equal(iovageom_rangeset_from_array(&set, many, MANY), 0);
        test_allocator_fail_at(&memory, n, n % 2 == 0);
        int status = n % 3 == 0 ? iovageom_rangeset_union(&set, &few, &set)
                                : iovageom_rangeset_union(&set, &set, &few);
        hit = test_allocator_stop_failing(&memory);
        if (!hit) {
            assert_int_equal(status, 0);
            break;
        }
        refused++;
        assert_int_equal(status, IOVAGEOM_ERR_NO_MEMORY);
        assert_int_equal(iovageom_rangeset_to_array(&set, now, MANY, &count), 0);
        assert_int_equal(count, MANY);
        assert_memory_equal(now, many, sizeof(many));
    }
    assert_true(refused >= 2); /* a list of what is new, and a leaf */
    assert_int_equal(iovageom_rangeset_count(&set), MANY + FEW - 1);
    assert_true(iovageom_rangeset_contains(&set, range(507 * 16, 507 * 16 + 9)));
    assert_true(iovageom_rangeset_contains(&set, range(512 * 16 + 8, 512 * 16 + 9)));
    iovageom_rangeset_deinit(&few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(touching_ranges_are_one, fresh, done),
        cmocka_unit_test_setup_teardown(empty_has_nothing, fresh, done),
        cmocka_unit_test_setup_teardown(refuses, fresh, done),
        cmocka_unit_test_setup_teardown(eight_ranges_need_no_memory, fresh, done),
        cmocka_unit_test_setup_teardown(swaps, fresh, done),
        cmocka_unit_test_setup_teardown(a_cursor_notices_an_exchange, fresh, done),
        cmocka_unit_test_setup_teardown(a_cursor_notices_another_filling, fresh, done),
        cmocka_unit_test_setup_teardown(holes, fresh, done),
        cmocka_unit_test_setup_teardown(inverts, fresh, done),
        cmocka_unit_test_setup_teardown(few_are_added_all_or_none, fresh, done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

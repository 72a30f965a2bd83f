/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle is an array with one flag for each address of a small universe, which lies at the
 * bottom, at the top or somewhere in the middle of the 64-bit space.
 */
#include <string.h>

#include <iovageom/ranges.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "set/rangeset_internal.h"
#include "support/itree_check.h"
#include "support/property.h"
#include "support/test_sets.h"
#include "support/test_allocator.h"

enum { UNIVERSE_MAX = 1 << 18 };

struct world {
    struct test_random random;
    struct test_allocator memory;
    struct iovageom_rangeset set;
    uint64_t base;
    unsigned universe;
    bool flags[UNIVERSE_MAX];
};

static struct world world;

static uint64_t place(unsigned offset)
{
    return world.base + offset;
}

static bool tree_valid(const struct iovageom_rangeset *set)
{
    const char *wrong = itree_check((const struct iovageom_itree *)set);

    ck_assert_msg(!wrong, "%s", wrong);
    return true;
}

static void start(uint64_t stream, unsigned universe, unsigned where)
{
    world.random = test_random_start(stream);
    world.universe = universe;
    world.base = where == 0 ? 0 : where == 1 ? UINT64_MAX - (universe - 1) : 0x123456789000;
    memset(world.flags, 0, sizeof(world.flags));
    test_allocator_init(&world.memory);
    ck_assert_int_eq(iovageom_rangeset_init(&world.set, &world.memory.allocator), 0);
}

static void stop(void)
{
    iovageom_rangeset_deinit(&world.set);
    ck_assert_uint_eq(test_allocator_live(&world.memory), 0);
}

/* The run of equal flags around `at`, cut at the ends of the universe. */
static struct iovageom_range run_at(unsigned at)
{
    unsigned low = at;
    unsigned high = at;

    while (low > 0 && world.flags[low - 1] == world.flags[at])
        low--;
    while (high + 1 < world.universe && world.flags[high + 1] == world.flags[at])
        high++;
    return (struct iovageom_range){place(low), place(high)};
}

/* The same with gaps going on beyond the universe. */
static struct iovageom_range gap_at(unsigned at)
{
    struct iovageom_range gap = run_at(at);

    if (gap.start == world.base)
        gap.start = 0;
    if (gap.last == place(world.universe - 1))
        gap.last = UINT64_MAX;
    return gap;
}

static void check_whole(const struct iovageom_rangeset *set)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range got;
    size_t count = 0;
    uint64_t size = 0;

    ck_assert(tree_valid(set));
    iovageom_rangeset_seek(set, 0, &cursor);
    for (unsigned i = 0; i < world.universe; i++) {
        struct iovageom_range run;

        if (!world.flags[i])
            continue;
        run = run_at(i);
        ck_assert(iovageom_rangeset_next(&cursor, &got));
        ck_assert(iovageom_range_equal(got, run));
        count++;
        size += run.last - run.start + 1;
        i += (unsigned)(run.last - run.start);
    }
    ck_assert(!iovageom_rangeset_next(&cursor, &got));
    ck_assert_uint_eq(iovageom_rangeset_count(set), count);
    ck_assert_uint_eq(iovageom_rangeset_size(set).lo, size);
    ck_assert_uint_eq(iovageom_rangeset_size(set).hi, 0);
}

static void check_gaps(unsigned at)
{
    struct iovageom_range got;
    struct iovageom_range want;
    unsigned i = at;
    bool outside_below = world.base > 0;
    bool outside_above = place(world.universe - 1) < UINT64_MAX;

    while (i < world.universe && world.flags[i])
        i++;
    if (i < world.universe || outside_above) {
        ck_assert(iovageom_rangeset_gap_above(&world.set, place(at), &got));
        want = i < world.universe
                   ? gap_at(i)
                   : (struct iovageom_range){place(world.universe - 1) + 1, UINT64_MAX};
        ck_assert(iovageom_range_equal(got, want));
    } else {
        ck_assert(!iovageom_rangeset_gap_above(&world.set, place(at), &got));
    }
    for (i = at; i > 0 && world.flags[i];)
        i--;
    if (!world.flags[i] || outside_below) {
        ck_assert(iovageom_rangeset_gap_below(&world.set, place(at), &got));
        want = !world.flags[i] ? gap_at(i) : (struct iovageom_range){0, world.base - 1};
        ck_assert(iovageom_range_equal(got, want));
    } else {
        ck_assert(!iovageom_rangeset_gap_below(&world.set, place(at), &got));
    }
}

/* All within the universe, so that the oracle can look at each start there is. */
static void check_hole(unsigned low, unsigned high, unsigned size, uint64_t alignment)
{
    struct iovageom_range limits = {place(low), place(high)};
    struct iovageom_range got;
    unsigned free = 0;
    bool found = false;
    uint64_t first = 0;
    uint64_t last = 0;
    int status;

    for (unsigned i = low; i <= high; i++) {
        free = world.flags[i] ? 0 : free + 1;
        if (free >= size && (place(i) - (size - 1)) % alignment == 0) {
            last = place(i) - (size - 1);
            if (!found)
                first = last;
            found = true;
        }
    }
    status = iovageom_rangeset_hole(&world.set, limits, size, alignment, false, &got);
    ck_assert_int_eq(status, found ? IOVAGEOM_OK : IOVAGEOM_ERR_NOT_FOUND);
    if (found) {
        ck_assert_uint_eq(got.start, first);
        ck_assert_uint_eq(got.last, first + (size - 1));
    }
    status = iovageom_rangeset_hole(&world.set, limits, size, alignment, true, &got);
    ck_assert_int_eq(status, found ? IOVAGEOM_OK : IOVAGEOM_ERR_NOT_FOUND);
    if (found) {
        ck_assert_uint_eq(got.start, last);
        ck_assert_uint_eq(got.last, last + (size - 1));
    }
}

static void check_point(unsigned at)
{
    struct iovageom_range got;
    uint64_t address = place(at);
    const struct iovageom_range point = {address, address};

    ck_assert_int_eq(iovageom_rangeset_contains(&world.set, point), world.flags[at]);
    ck_assert_int_eq(iovageom_rangeset_first_overlap(&world.set, point, &got), world.flags[at]);
    if (world.flags[at])
        ck_assert(iovageom_range_equal(got, run_at(at)));
}

static void check_span(unsigned low, unsigned high)
{
    struct iovageom_range range = {place(low), place(high)};
    struct iovageom_range got;
    unsigned set = 0;
    unsigned first = 0;

    for (unsigned i = high + 1; i-- > low;) {
        set += world.flags[i];
        if (world.flags[i])
            first = i;
    }
    ck_assert_int_eq(iovageom_rangeset_overlaps(&world.set, range), set > 0);
    ck_assert_int_eq(iovageom_rangeset_contains(&world.set, range), set == high - low + 1);
    ck_assert_int_eq(iovageom_rangeset_first_overlap(&world.set, range, &got), set > 0);
    if (set > 0)
        ck_assert(iovageom_range_equal(got, run_at(first)));
}

static void random_bounds(unsigned length, unsigned *low, unsigned *high)
{
    unsigned room = (unsigned)test_random_below(&world.random, length) + 1;

    *low = (unsigned)test_random_below(&world.random, world.universe);
    *high = *low + room - 1 < world.universe ? *low + room - 1 : world.universe - 1;
}

static void change(unsigned low, unsigned high, bool insert)
{
    struct iovageom_range range = {place(low), place(high)};

    ck_assert_int_eq(insert ? iovageom_rangeset_insert(&world.set, range)
                            : iovageom_rangeset_remove(&world.set, range),
                     IOVAGEOM_OK);
    memset(world.flags + low, insert, high - low + 1);
}

static void churn(unsigned steps, unsigned length, unsigned whole_every)
{
    for (unsigned step = 0; step < steps; step++) {
        unsigned low;
        unsigned high;

        random_bounds(test_random_one_in(&world.random, 500) ? world.universe : length, &low,
                      &high);
        change(low, high, test_random_one_in(&world.random, 2));
        if (world.universe <= 200 || step % 16 == 0)
            ck_assert(tree_valid(&world.set));
        check_point((unsigned)test_random_below(&world.random, world.universe));
        random_bounds(length, &low, &high);
        check_span(low, high);
        check_gaps(low);
        if (step % whole_every == 0) {
            check_whole(&world.set);
            random_bounds(world.universe, &low, &high);
            check_hole(low, high, (unsigned)test_random_below(&world.random, 3 * length) + 1,
                       1ull << test_random_below(&world.random, 6));
        }
    }
}

START_TEST(small_sets)
{
    for (unsigned where = 0; where < 3; where++) {
        start(10 + where, 64, where);
        churn(20000, 9, 1);
        stop();
    }
}
END_TEST

START_TEST(large_sets)
{
    for (unsigned where = 0; where < 3; where++) {
        start(20 + where, UNIVERSE_MAX, where);
        churn(8000, 6, 500);
        stop();
    }
}
END_TEST

/* Deep trees, and long enough to meet what is rare: only cheap checks after each step. */
START_TEST(millions_of_steps)
{
    const unsigned steps = 500000;

    for (unsigned where = 0; where < 3; where++) {
        start(50 + where, UNIVERSE_MAX, where);
        for (unsigned step = 0; step < steps; step++) {
            /* Grows, stays, shrinks to nothing. */
            unsigned phase = step / (steps / 4);
            unsigned insert = phase == 0 ? 9 : phase == 3 ? 2 : 5;
            unsigned low;
            unsigned high;

            random_bounds(test_random_one_in(&world.random, phase == 3 ? 100 : 50000) ? 4000 : 3,
                          &low, &high);
            change(low, high, test_random_below(&world.random, 10) < insert);
            check_point((unsigned)test_random_below(&world.random, world.universe));
            if (step % 64 == 0) {
                high = low + 4000 < world.universe ? low + 4000 : world.universe - 1;
                check_gaps(low);
                check_hole(low, high, 1 + step / 64 % 40, 1);
            }
            if (step % 100000 == 0)
                check_whole(&world.set);
            if (step % 5000 == 0)
                check_hole(low, world.universe - 1, 1u << step % 13,
                           1ull << test_random_below(&world.random, 6));
        }
        check_whole(&world.set);
        stop();
    }
}
END_TEST

/* Ascending, descending, and from both ends inward: each is the worst case of some tree. */
START_TEST(adversarial_orders)
{
    for (unsigned order = 0; order < 6; order++) {
        unsigned slots = UNIVERSE_MAX / 2;

        start(30 + order, UNIVERSE_MAX, order % 3);
        for (unsigned pass = 0; pass < 2; pass++) {
            for (unsigned i = 0; i < slots; i++) {
                unsigned zigzag = i % 2 ? slots - 1 - i / 2 : i / 2;
                unsigned slot = order / 2 == 0 ? i : order / 2 == 1 ? slots - 1 - i : zigzag;

                if (pass == 1 && order % 2)
                    slot = slots - 1 - slot;
                change(2 * slot, 2 * slot, pass == 0);
                if (i % 16384 == 0)
                    ck_assert(tree_valid(&world.set));
            }
            check_whole(&world.set);
        }
        ck_assert_uint_eq(test_allocator_live(&world.memory), 0);
        stop();
    }
}
END_TEST

START_TEST(bulk_then_churn)
{
    static struct iovageom_range ranges[UNIVERSE_MAX / 2];

    for (unsigned count = 0; count < UNIVERSE_MAX / 2; count = count * 2 + 1) {
        start(40 + count, UNIVERSE_MAX, count % 3);
        for (unsigned i = 0; i < count; i++) {
            ranges[i] = (struct iovageom_range){place(2 * i), place(2 * i)};
            world.flags[2 * i] = true;
        }
        ck_assert_int_eq(iovageom_rangeset_from_array(&world.set, ranges, count), 0);
        check_whole(&world.set);
        churn(300, 4, 100);
        for (unsigned i = count; i > 1; i--) {
            unsigned other = (unsigned)test_random_below(&world.random, i);
            struct iovageom_range kept = ranges[i - 1];

            ranges[i - 1] = ranges[other];
            ranges[other] = kept;
        }
        ck_assert_int_eq(iovageom_rangeset_from_array(&world.set, ranges, count), 0);
        for (unsigned i = 0; i < world.universe; i++)
            world.flags[i] = i < 2 * count && i % 2 == 0;
        check_whole(&world.set);
        stop();
    }
}
END_TEST

/* A set from the flags, a cut of which is made into ranges that overlap and come in any order. */
static void fill(struct iovageom_rangeset *set, bool *flags, unsigned pieces, unsigned length)
{
    memset(flags, 0, world.universe);
    ck_assert_int_eq(iovageom_rangeset_init(set, &world.memory.allocator), 0);
    for (unsigned i = 0; i < pieces; i++) {
        unsigned low;
        unsigned high;

        random_bounds(length, &low, &high);
        memset(flags + low, 1, high - low + 1);
        ck_assert_int_eq(
            iovageom_rangeset_insert(set, (struct iovageom_range){place(low), place(high)}), 0);
    }
}

START_TEST(algebra)
{
    static bool a[UNIVERSE_MAX];
    static bool b[UNIVERSE_MAX];

    for (unsigned round = 0; round < 200; round++) {
        struct iovageom_rangeset x;
        struct iovageom_rangeset y;
        struct iovageom_rangeset result;
        unsigned universe = round % 3 ? 200 : 4000;
        unsigned length = round % 2 ? 5 : 40;
        unsigned low;
        unsigned high;
        bool subset = true;

        start(100 + round, universe, round / 4 % 3);
        fill(&x, a, (unsigned)test_random_below(&world.random, universe / 4), length);
        fill(&y, b, (unsigned)test_random_below(&world.random, universe / 4), 45 - length);
        fill(&result, world.flags, 3, 3);

        for (unsigned i = 0; i < universe; i++)
            world.flags[i] = a[i] || b[i];
        ck_assert_int_eq(iovageom_rangeset_union(&result, &x, &y), 0);
        check_whole(&result);
        ck_assert(test_subset(&x, &result));
        ck_assert(test_subset(&y, &result));
        for (unsigned i = 0; i < universe; i++)
            world.flags[i] = a[i] && b[i];
        ck_assert_int_eq(iovageom_rangeset_intersection(&result, &x, &y), 0);
        check_whole(&result);
        ck_assert(test_subset(&result, &x));
        for (unsigned i = 0; i < universe; i++)
            world.flags[i] = a[i] && !b[i];
        ck_assert_int_eq(iovageom_rangeset_difference(&result, &x, &y), 0);
        check_whole(&result);
        for (unsigned i = 0; i < universe; i++)
            subset = subset && (!a[i] || b[i]);
        ck_assert_int_eq(test_subset(&x, &y), subset);
        ck_assert_int_eq(iovageom_rangeset_equal(&x, &y), memcmp(a, b, universe) == 0);

        random_bounds(universe, &low, &high);
        for (unsigned i = 0; i < universe; i++)
            world.flags[i] = i >= low && i <= high && !a[i];
        ck_assert_int_eq(iovageom_rangeset_complement(
                             &result, &x, (struct iovageom_range){place(low), place(high)}),
                         0);
        check_whole(&result);
        for (unsigned i = 0; i < universe; i++)
            world.flags[i] = i >= low && i <= high && a[i];
        ck_assert_int_eq(
            iovageom_rangeset_clip(&result, &x, (struct iovageom_range){place(low), place(high)}),
            0);
        check_whole(&result);
        ck_assert_int_eq(iovageom_rangeset_assign(&result, &x), 0);
        ck_assert(iovageom_rangeset_equal(&result, &x));

        /* The result may be an input. */
        memcpy(world.flags, a, sizeof(a));
        for (unsigned i = 0; i < universe; i++)
            world.flags[i] = a[i] && !b[i];
        ck_assert_int_eq(iovageom_rangeset_difference(&x, &x, &y), 0);
        check_whole(&x);

        iovageom_rangeset_deinit(&x);
        iovageom_rangeset_deinit(&y);
        iovageom_rangeset_deinit(&result);
        stop();
    }
}
END_TEST

START_TEST(alignment)
{
    static bool a[UNIVERSE_MAX];

    for (unsigned round = 0; round < 300; round++) {
        struct iovageom_rangeset x;
        struct iovageom_rangeset result;
        unsigned granule;

        /* The universe starts and ends at a granule wherever it lies. */
        start(1000 + round, 2048, round % 3);
        granule = 1u << test_random_below(&world.random, 6);
        fill(&x, a, 150, 40);
        ck_assert_int_eq(iovageom_rangeset_init(&result, &world.memory.allocator), 0);
        for (unsigned inward = 0; inward < 2; inward++) {
            for (unsigned i = 0; i < world.universe; i += granule) {
                unsigned has = 0;

                for (unsigned j = i; j < i + granule; j++)
                    has += a[j];
                memset(world.flags + i, inward ? has == granule : has > 0, granule);
            }
            ck_assert_int_eq(inward ? iovageom_rangeset_align_inward(&result, &x, granule)
                                    : iovageom_rangeset_align_outward(&result, &x, granule),
                             0);
            check_whole(&result);
        }
        iovageom_rangeset_deinit(&x);
        iovageom_rangeset_deinit(&result);
        stop();
    }
}
END_TEST

/* Fails each allocation in turn: what fails changes nothing, what needs no memory never fails. */
START_TEST(failing_allocations)
{
    for (unsigned round = 0; round < 100; round++) {
        struct iovageom_rangeset before;
        bool for_good = round % 2;

        start(2000 + round, round % 4 ? 1000 : UNIVERSE_MAX, 0);
        ck_assert_int_eq(iovageom_rangeset_init(&before, NULL), 0);
        for (unsigned step = 0; step < 1000; step++) {
            unsigned low;
            unsigned high;
            struct iovageom_range range;
            bool insert = !test_random_one_in(&world.random, 3);
            int status;

            random_bounds(4, &low, &high);
            range = (struct iovageom_range){place(low), place(high)};
            test_allocator_fail_at(&world.memory, 1, for_good);
            if (test_random_one_in(&world.random, 20))
                ck_assert_int_eq(iovageom_rangeset_assign(&before, &world.set), 0);
            else
                iovageom_rangeset_clear(&before);
            status = insert ? iovageom_rangeset_insert(&world.set, range)
                            : iovageom_rangeset_remove(&world.set, range);
            ck_assert_int_eq(status, test_allocator_stop_failing(&world.memory)
                                         ? IOVAGEOM_ERR_NO_MEMORY
                                         : IOVAGEOM_OK);
            if (status && iovageom_rangeset_count(&before) > 0)
                ck_assert(iovageom_rangeset_equal(&before, &world.set));
            if (status)
                continue;
            memset(world.flags + low, insert, high - low + 1);
        }
        check_whole(&world.set);
        iovageom_rangeset_deinit(&before);
        stop();
    }
}
END_TEST

START_TEST(failing_bulk)
{
    for (unsigned round = 0; round < 60; round++) {
        struct iovageom_rangeset x;
        struct iovageom_rangeset y;
        static bool a[UNIVERSE_MAX];
        static struct iovageom_range ranges[UNIVERSE_MAX / 2];
        size_t count;

        start(3000 + round, round % 2 ? 500 : 20000, 0);
        fill(&x, a, world.universe / 6, 4);
        fill(&y, a, world.universe / 6, 4);
        fill(&world.set, world.flags, 20, 4);
        ck_assert_int_eq(iovageom_rangeset_to_array(&x, ranges, UNIVERSE_MAX / 2, &count), 0);
        for (unsigned n = 1;; n++) {
            int status;

            test_allocator_fail_at(&world.memory, n, round % 4 < 2);
            switch (round % 5) {
            case 0:
                status = iovageom_rangeset_union(&world.set, &x, &y);
                break;
            case 1:
                status = iovageom_rangeset_assign(&world.set, &x);
                break;
            case 2:
                status = iovageom_rangeset_complement(&world.set, &x,
                                                      (struct iovageom_range){0, UINT64_MAX});
                break;
            case 3:
                status = iovageom_rangeset_from_array(&world.set, ranges, count);
                break;
            default:
                status = iovageom_rangeset_align_outward(&world.set, &x, 2);
                break;
            }
            if (!test_allocator_stop_failing(&world.memory)) {
                ck_assert_int_eq(status, 0);
                break;
            }
            ck_assert_int_eq(status, IOVAGEOM_ERR_NO_MEMORY);
            check_whole(&world.set);
        }
        iovageom_rangeset_deinit(&x);
        iovageom_rangeset_deinit(&y);
        stop();
    }
}
END_TEST

/* A cursor that walks while its set changes goes on from its place, wherever that is by then. */
START_TEST(cursors_survive)
{
    for (unsigned round = 0; round < 60; round++) {
        struct iovageom_rangeset_cursor cursor;
        uint64_t stand = 0; /* offset of the place */

        start(4000 + round, round % 2 ? 100 : 5000, 2);
        churn(round % 2 ? 20 : 2000, 4, 1000);
        iovageom_rangeset_seek(&world.set, place(0), &cursor);
        for (unsigned step = 0; step < 500; step++) {
            struct iovageom_range got;
            unsigned low;
            unsigned high;
            unsigned i;

            if (test_random_one_in(&world.random, 2)) {
                random_bounds(4, &low, &high);
                change(low, high, test_random_one_in(&world.random, 2));
            }
            for (i = (unsigned)stand; i < world.universe && !world.flags[i];)
                i++;
            ck_assert_int_eq(iovageom_rangeset_next(&cursor, &got), i < world.universe);
            if (i == world.universe) {
                stand = test_random_below(&world.random, world.universe);
                iovageom_rangeset_seek(&world.set, world.base + stand, &cursor);
                continue;
            }
            ck_assert(iovageom_range_equal(got, run_at(i)));
            stand = got.last - world.base + 1;
        }
        stop();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rangeset");

    property_add(suite, small_sets);
    property_add(suite, large_sets);
    property_add(suite, millions_of_steps);
    property_add(suite, adversarial_orders);
    property_add(suite, bulk_then_churn);
    property_add(suite, algebra);
    property_add(suite, alignment);
    property_add(suite, failing_allocations);
    property_add(suite, failing_bulk);
    property_add(suite, cursors_survive);
    return property_run(suite);
}

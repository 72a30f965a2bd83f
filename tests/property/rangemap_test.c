/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle is an array with the value and the name of the entry of each address of a small
 * universe. Entries that were put in or cut get new names, so that the map that keeps entries apart
 * can be told from the one that lets them coalesce.
 */
#include <string.h>

#include <iovageom/rangemap.h>
#include <iovageom/status.h>

#include "support/itree_check.h"
#include "support/property.h"
#include "support/test_allocator.h"

enum { UNIVERSE_MAX = 1 << 13, VALUES = 3 };

static struct {
    struct test_random random;
    struct test_allocator memory;
    struct iovageom_rangemap map;
    enum iovageom_rangemap_mode mode;
    uint64_t base;
    unsigned universe;
    unsigned names;
    unsigned value[UNIVERSE_MAX]; /* 0 for none */
    unsigned name[UNIVERSE_MAX];
} world;

static void start(uint64_t stream, unsigned universe, unsigned where,
                  enum iovageom_rangemap_mode mode)
{
    world.random = test_random_start(stream);
    world.universe = universe;
    world.mode = mode;
    world.names = 1;
    world.base = where == 0 ? 0 : where == 1 ? UINT64_MAX - (universe - 1) : 0x8000000000;
    memset(world.value, 0, sizeof(world.value));
    memset(world.name, 0, sizeof(world.name));
    test_allocator_init(&world.memory);
    ck_assert_int_eq(iovageom_rangemap_init(&world.map, mode, &world.memory.allocator), 0);
}

static void stop(void)
{
    iovageom_rangemap_deinit(&world.map);
    ck_assert_uint_eq(test_allocator_live(&world.memory), 0);
}

static bool joined(unsigned low)
{
    if (world.value[low] == 0 || world.value[low] != world.value[low + 1])
        return false;
    return world.mode == IOVAGEOM_RANGEMAP_COALESCE || world.name[low] == world.name[low + 1];
}

static struct iovageom_rangemap_entry whole_entry(unsigned at)
{
    unsigned low = at;
    unsigned high = at;

    while (low > 0 && joined(low - 1))
        low--;
    while (high + 1 < world.universe && joined(high))
        high++;
    return (struct iovageom_rangemap_entry){{world.base + low, world.base + high}, world.value[at]};
}

static bool same(struct iovageom_rangemap_entry a, struct iovageom_rangemap_entry b)
{
    return iovageom_range_equal(a.range, b.range) && a.value == b.value;
}

static void check_whole(void)
{
    /* The tree comes behind the mode. */
    const char *wrong =
        itree_check((const struct iovageom_itree *)(const void *)&world.map.opaque[1]);
    static struct iovageom_rangemap_entry all[UNIVERSE_MAX], array[UNIVERSE_MAX];
    struct iovageom_rangemap_cursor cursor;
    struct iovageom_rangemap_entry got;
    size_t count = 0;
    size_t needed;

    ck_assert_msg(!wrong, "%s", wrong);
    iovageom_rangemap_seek(&world.map, 0, &cursor);
    for (unsigned i = 0; i < world.universe; i++) {
        if (world.value[i] == 0)
            continue;
        all[count] = whole_entry(i);
        ck_assert(iovageom_rangemap_next(&cursor, &got));
        ck_assert(same(got, all[count]));
        i = (unsigned)(got.range.last - world.base);
        count++;
    }
    ck_assert(!iovageom_rangemap_next(&cursor, &got));
    ck_assert_uint_eq(iovageom_rangemap_count(&world.map), count);
    for (size_t i = count; i-- > 0;) {
        ck_assert(iovageom_rangemap_previous(&cursor, &got));
        ck_assert(same(got, all[i]));
    }
    if (count > 0)
        ck_assert_int_eq(iovageom_rangemap_to_array(&world.map, array, count - 1, &needed),
                         IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    ck_assert_int_eq(iovageom_rangemap_to_array(&world.map, array, UNIVERSE_MAX, &needed), 0);
    ck_assert_uint_eq(needed, count);
    for (size_t i = 0; i < count; i++)
        ck_assert(same(array[i], all[i]));
    if (test_random_one_in(&world.random, 8)) {
        struct iovageom_rangemap other;

        ck_assert_int_eq(iovageom_rangemap_init(&other, world.mode, NULL), 0);
        for (size_t i = count; i > 1; i--) {
            size_t j = (size_t)test_random_below(&world.random, i);

            got = all[i - 1];
            all[i - 1] = all[j];
            all[j] = got;
        }
        ck_assert_int_eq(iovageom_rangemap_from_array(&other, all, count), 0);
        ck_assert(iovageom_rangemap_equal(&world.map, &other));
        iovageom_rangemap_deinit(&other);
    }
}

/* As many at once as come, among them addresses that nothing can be at. */
static void check_batch(void)
{
    uint64_t addresses[40];
    uint64_t got[40];
    bool found[40];
    size_t count = (size_t)test_random_below(&world.random, 41);

    for (size_t i = 0; i < count; i++) {
        addresses[i] = test_random_one_in(&world.random, 4)
                           ? test_random_address(&world.random)
                           : world.base + test_random_below(&world.random, world.universe);
        got[i] = 4711;
    }
    iovageom_rangemap_lookup_batch(&world.map, addresses, count, found, got);
    for (size_t i = 0; i < count; i++) {
        uint64_t offset = addresses[i] - world.base;
        unsigned want =
            addresses[i] >= world.base && offset < world.universe ? world.value[offset] : 0;

        ck_assert_int_eq(found[i], want != 0);
        ck_assert_uint_eq(got[i], want != 0 ? want : 4711);
    }
}

static void bounds(unsigned length, unsigned *low, unsigned *high)
{
    *low = (unsigned)test_random_below(&world.random, world.universe);
    *high = *low + (unsigned)test_random_below(&world.random, length);
    if (*high >= world.universe)
        *high = world.universe - 1;
}

/* What is left of an entry on both sides of a cut is two entries. */
static void set_all(unsigned low, unsigned high, unsigned value)
{
    unsigned old = world.name[high];
    unsigned name;

    if (world.value[high]) {
        name = ++world.names;
        for (unsigned i = high + 1; i < world.universe && world.value[i] && world.name[i] == old;
             i++)
            world.name[i] = name;
    }
    name = ++world.names;
    for (unsigned i = low; i <= high; i++) {
        world.value[i] = value;
        world.name[i] = name;
    }
}

static void step(unsigned length)
{
    struct iovageom_rangemap_entry got = {{1, 2}, 3};
    struct iovageom_range range;
    unsigned low;
    unsigned high;
    unsigned value = 1 + (unsigned)test_random_below(&world.random, VALUES);
    unsigned used = 0;
    unsigned first = 0;

    bounds(length, &low, &high);
    range = (struct iovageom_range){world.base + low, world.base + high};
    for (unsigned i = high + 1; i-- > low;) {
        used += world.value[i] != 0;
        if (world.value[i])
            first = i;
    }
    ck_assert_int_eq(iovageom_rangemap_overlaps(&world.map, range), used > 0);
    ck_assert_int_eq(iovageom_rangemap_first_overlap(&world.map, range, &got), used > 0);
    if (used)
        ck_assert(same(got, whole_entry(first)));
    ck_assert_int_eq(iovageom_rangemap_lookup(&world.map, range.start, &got),
                     world.value[low] != 0);
    if (world.value[low])
        ck_assert(same(got, whole_entry(low)));
    check_batch();

    switch (test_random_below(&world.random, 5)) {
    case 0:
        ck_assert_int_eq(iovageom_rangemap_assign(&world.map, range, value), 0);
        set_all(low, high, value);
        break;
    case 1:
    case 2:
        ck_assert_int_eq(iovageom_rangemap_insert(&world.map, range, value),
                         used ? IOVAGEOM_ERR_OVERLAP : IOVAGEOM_OK);
        if (!used)
            set_all(low, high, value);
        break;
    case 3:
        ck_assert_int_eq(iovageom_rangemap_remove(&world.map, range), 0);
        set_all(low, high, 0);
        break;
    default:
        if (test_random_one_in(&world.random, 2)) {
            unsigned entries = 0;

            for (unsigned i = low; i <= high; i++) {
                if (!world.value[i])
                    continue;
                got = whole_entry(i);
                entries++;
                i = (unsigned)(got.range.last - world.base);
                memset(&world.value[got.range.start - world.base], 0,
                       (size_t)(got.range.last - got.range.start + 1) * sizeof(unsigned));
            }
            ck_assert_uint_eq(iovageom_rangemap_erase_overlapping(&world.map, range), entries);
        } else {
            ck_assert_int_eq(iovageom_rangemap_erase(&world.map, range.start, &got),
                             world.value[low] ? IOVAGEOM_OK : IOVAGEOM_ERR_NOT_FOUND);
            if (world.value[low]) {
                ck_assert(same(got, whole_entry(low)));
                memset(&world.value[got.range.start - world.base], 0,
                       (size_t)(got.range.last - got.range.start + 1) * sizeof(unsigned));
            }
        }
        break;
    }
}

START_TEST(small_maps)
{
    for (unsigned round = 0; round < 6; round++) {
        start(10 + round, 64, round % 3, (enum iovageom_rangemap_mode)(round / 3));
        for (unsigned i = 0; i < 10000; i++) {
            step(7);
            check_whole();
        }
        stop();
    }
}
END_TEST

START_TEST(large_maps)
{
    for (unsigned round = 0; round < 6; round++) {
        start(20 + round, UNIVERSE_MAX, round % 3, (enum iovageom_rangemap_mode)(round / 3));
        for (unsigned i = 0; i < 20000; i++) {
            step(test_random_one_in(&world.random, 300) ? 3000 : 3);
            if (i % 400 == 0)
                check_whole();
        }
        check_whole();
        stop();
    }
}
END_TEST

START_TEST(failing_allocations)
{
    for (unsigned round = 0; round < 20; round++) {
        struct iovageom_rangemap before;

        start(40 + round, 2000, 0, (enum iovageom_rangemap_mode)(round % 2));
        ck_assert_int_eq(iovageom_rangemap_init(&before, world.mode, NULL), 0);
        for (unsigned i = 0; i < 1500; i++) {
            unsigned low;
            unsigned high;
            struct iovageom_range range;
            unsigned value = 1 + (unsigned)test_random_below(&world.random, VALUES);
            bool assign = !test_random_one_in(&world.random, 4);
            int status;

            bounds(4, &low, &high);
            range = (struct iovageom_range){low, high};
            ck_assert_int_eq(iovageom_rangemap_copy(&before, &world.map), 0);
            for (unsigned n = 1;; n++) {
                test_allocator_fail_at(&world.memory, n, round / 2 % 2);
                status = assign ? iovageom_rangemap_assign(&world.map, range, value)
                                : iovageom_rangemap_remove(&world.map, range);
                if (!test_allocator_stop_failing(&world.memory))
                    break;
                ck_assert_int_eq(status, IOVAGEOM_ERR_NO_MEMORY);
                ck_assert(iovageom_rangemap_equal(&before, &world.map));
            }
            ck_assert_int_eq(status, IOVAGEOM_OK);
            set_all(low, high, assign ? value : 0);
        }
        check_whole();
        iovageom_rangemap_deinit(&before);
        stop();
    }
}
END_TEST

START_TEST(refuses_bad_arrays)
{
    struct iovageom_rangemap_entry entries[3] = {{{5, 9}, 1}, {{10, 12}, 1}, {{1, 2}, 3}};
    struct iovageom_rangemap_entry got;

    for (unsigned mode = 0; mode < 2; mode++) {
        start(60, 64, 0, (enum iovageom_rangemap_mode)mode);
        ck_assert_int_eq(iovageom_rangemap_insert(&world.map, (struct iovageom_range){7, 7}, 7), 0);
        ck_assert_int_eq(iovageom_rangemap_from_sorted(&world.map, entries, 3),
                         IOVAGEOM_ERR_INVALID);
        entries[2].range.last = 5;
        ck_assert_int_eq(iovageom_rangemap_from_array(&world.map, entries, 3),
                         IOVAGEOM_ERR_OVERLAP);
        entries[2].range.last = 0;
        ck_assert_int_eq(iovageom_rangemap_from_array(&world.map, entries, 3),
                         IOVAGEOM_ERR_INVERTED);
        entries[2].range.last = 2;
        ck_assert_uint_eq(iovageom_rangemap_count(&world.map), 1);
        ck_assert(iovageom_rangemap_lookup(&world.map, 7, &got));
        ck_assert_int_eq(iovageom_rangemap_from_array(&world.map, entries, 3), 0);
        ck_assert_uint_eq(iovageom_rangemap_count(&world.map), 2 + mode);
        stop();
    }
    ck_assert_int_eq(iovageom_rangemap_init(&world.map, (enum iovageom_rangemap_mode)2, NULL),
                     IOVAGEOM_ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rangemap");

    property_add(suite, small_maps);
    property_add(suite, large_maps);
    property_add(suite, failing_allocations);
    property_add(suite, refuses_bad_arrays);
    return property_run(suite);
}

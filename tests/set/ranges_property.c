/* SPDX-License-Identifier: BSD-3-Clause */
/* The oracle is an array with one flag for each address of a small universe. */
#include <string.h>

#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "support/property.h"

enum { UNIVERSE_MAX = 1 << 13 };

static struct {
    struct test_random random;
    uint64_t base;
    unsigned universe;
    bool a[UNIVERSE_MAX];
    bool b[UNIVERSE_MAX];
    bool want[UNIVERSE_MAX];
} world;

static size_t runs(const bool *flags, struct iovageom_range *out)
{
    size_t count = 0;

    for (unsigned i = 0; i < world.universe; i++) {
        if (!flags[i])
            continue;
        if (i == 0 || !flags[i - 1])
            out[count++].start = world.base + i;
        out[count - 1].last = world.base + i;
    }
    return count;
}

/* Some ranges, in any order and overlapping; the flags say which addresses they have. */
static size_t scatter(bool *flags, struct iovageom_range *out, unsigned pieces, unsigned length)
{
    memset(flags, 0, world.universe);
    for (unsigned i = 0; i < pieces; i++) {
        unsigned low = (unsigned)test_random_below(&world.random, world.universe);
        unsigned high = low + (unsigned)test_random_below(&world.random, length);

        high = high < world.universe ? high : world.universe - 1;
        memset(flags + low, 1, high - low + 1);
        out[i] = (struct iovageom_range){world.base + low, world.base + high};
    }
    return pieces;
}

static struct iovageom_range a[UNIVERSE_MAX];
static struct iovageom_range b[UNIVERSE_MAX];
static struct iovageom_range want[UNIVERSE_MAX];
static struct iovageom_range got[UNIVERSE_MAX + 1];
static size_t a_count;
static size_t b_count;

static void choose(unsigned round)
{
    unsigned length = 1 + (unsigned)test_random_below(&world.random, 30);

    world.universe = round % 3 ? 100 : UNIVERSE_MAX;
    world.base = round % 4 == 0   ? 0
                 : round % 4 == 1 ? UINT64_MAX - (world.universe - 1)
                                  : 0x1000000;
    a_count =
        scatter(world.a, a, (unsigned)test_random_below(&world.random, world.universe / 3), length);
    b_count = scatter(world.b, b, (unsigned)test_random_below(&world.random, world.universe / 3),
                      31 - length);
}

static bool is_normal(const struct iovageom_range *ranges, size_t count)
{
    bool normal = true;

    for (size_t i = 0; i < count; i++)
        normal = normal && ranges[i].start <= ranges[i].last &&
                 (i == 0 || (ranges[i - 1].last < ranges[i].start &&
                             ranges[i].start - ranges[i - 1].last > 1));
    return normal;
}

static void check(const struct iovageom_range *out, size_t count, size_t expected)
{
    ck_assert_uint_eq(count, expected);
    ck_assert(is_normal(out, count));
    for (size_t i = 0; i < count; i++)
        ck_assert(iovageom_range_equal(out[i], want[i]));
}

typedef int operation(const struct iovageom_range *, size_t, const struct iovageom_range *, size_t,
                      struct iovageom_range *, size_t, size_t *);

/* With room for all, with just enough, and with too little. */
static void try(operation *operate)
{
    size_t expected = runs(world.want, want);
    size_t count = 12345;

    ck_assert_int_eq(operate(a, a_count, b, b_count, got, a_count + b_count, &count), 0);
    check(got, count, expected);
    memset(got, 0x55, sizeof(got));
    ck_assert_int_eq(operate(a, a_count, b, b_count, got, expected, &count), 0);
    check(got, count, expected);
    ck_assert_uint_eq(got[expected].start, 0x5555555555555555);
    if (expected == 0)
        return;
    memset(got, 0x55, sizeof(got));
    count = 0;
    ck_assert_int_eq(operate(a, a_count, b, b_count, got, expected - 1, &count),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(count, expected);
    ck_assert_uint_eq(got[0].start, 0x5555555555555555);
    ck_assert_int_eq(operate(a, a_count, b, b_count, NULL, 0, &count),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
}

START_TEST(normal_form)
{
    for (unsigned round = 0; round < 3000; round++) {
        size_t expected;
        size_t inverted = a_count;

        choose(round);
        memcpy(world.want, world.a, sizeof(world.want));
        expected = runs(world.want, want);
        if (a_count > 0 && round % 16 == 0) {
            struct iovageom_range kept;

            inverted = (size_t)test_random_below(&world.random, a_count);
            kept = a[inverted];
            a[inverted] = (struct iovageom_range){9, 8};
            memcpy(b, a, a_count * sizeof(a[0]));
            b_count = a_count;
            ck_assert_int_eq(iovageom_ranges_normalize(a, &a_count), IOVAGEOM_ERR_INVERTED);
            ck_assert_uint_eq(a_count, b_count);
            ck_assert_int_eq(memcmp(a, b, a_count * sizeof(a[0])), 0);
            a[inverted] = kept;
        }
        ck_assert_int_eq(iovageom_ranges_normalize(a, &a_count), 0);
        check(a, a_count, expected);
    }
}
END_TEST

START_TEST(algebra)
{
    for (unsigned round = 0; round < 3000; round++) {
        struct iovageom_range window;
        unsigned low;
        unsigned high;
        size_t expected;
        size_t count;

        choose(round);
        ck_assert_int_eq(iovageom_ranges_normalize(a, &a_count), 0);
        ck_assert_int_eq(iovageom_ranges_normalize(b, &b_count), 0);
        for (unsigned i = 0; i < world.universe; i++)
            world.want[i] = world.a[i] || world.b[i];
        try(iovageom_ranges_union);
        for (unsigned i = 0; i < world.universe; i++)
            world.want[i] = world.a[i] && world.b[i];
        try(iovageom_ranges_intersection);
        for (unsigned i = 0; i < world.universe; i++)
            world.want[i] = world.a[i] && !world.b[i];
        try(iovageom_ranges_difference);

        low = (unsigned)test_random_below(&world.random, world.universe);
        high = low + (unsigned)test_random_below(&world.random, world.universe - low);
        if (round % 5 == 0) {
            low = 0;
            high = world.universe - 1;
        }
        window = (struct iovageom_range){world.base + low, world.base + high};
        for (unsigned i = 0; i < world.universe; i++)
            world.want[i] = i >= low && i <= high && !world.a[i];
        expected = runs(world.want, want);
        ck_assert_int_eq(iovageom_ranges_complement(a, a_count, window, got, a_count + 1, &count),
                         0);
        check(got, count, expected);
        ck_assert_int_eq(iovageom_ranges_complement(a, a_count, window, got, expected, &count), 0);
        check(got, count, expected);
        if (expected > 0)
            ck_assert_int_eq(
                iovageom_ranges_complement(a, a_count, window, got, expected - 1, &count),
                IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    }
}
END_TEST

START_TEST(edges)
{
    static const struct iovageom_range all = {0, UINT64_MAX};
    struct iovageom_range out[2];
    size_t count = 7;

    ck_assert_int_eq(iovageom_ranges_union(NULL, 0, NULL, 0, NULL, 0, &count), 0);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(iovageom_ranges_complement(NULL, 0, all, out, 1, &count), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert(iovageom_range_equal(out[0], all));
    ck_assert_int_eq(iovageom_ranges_complement(&all, 1, all, out, 2, &count), 0);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(iovageom_ranges_union(&all, 1, &all, 1, out, 2, &count), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(iovageom_ranges_difference(&all, 1, &all, 1, out, 2, &count), 0);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(iovageom_ranges_difference(&all, 1, NULL, 0, out, 2, &count), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(
        iovageom_ranges_complement(NULL, 0, (struct iovageom_range){2, 1}, out, 2, &count),
        IOVAGEOM_ERR_INVERTED);
    count = 0;
    ck_assert_int_eq(iovageom_ranges_normalize(NULL, &count), 0);
}
END_TEST

/* Orders and bit patterns that a sort by digits might trip over. */
START_TEST(sorting)
{
    static struct iovageom_range many[5000];

    for (unsigned round = 0; round < 60; round++) {
        uint64_t mask = round % 4 == 0   ? UINT64_MAX
                        : round % 4 == 1 ? 0xff
                        : round % 4 == 2 ? 0xff000000000000ff
                                         : 0x3f;
        uint64_t sum = 0;
        size_t count = 1 + (size_t)test_random_below(&world.random, 5000);
        size_t left = count;

        world.random = test_random_start(500 + round);
        for (size_t i = 0; i < count; i++) {
            many[i].start =
                round % 5 == 4 ? (count - i) * 3 : test_random_u64(&world.random) & mask;
            many[i].last = many[i].start;
        }
        ck_assert_int_eq(iovageom_ranges_normalize(many, &left), 0);
        ck_assert(is_normal(many, left));
        for (size_t i = 0; i < left; i++)
            sum += many[i].last - many[i].start + 1;
        ck_assert_uint_le(sum, count);
        if (mask == 0x3f && count > 2000)
            ck_assert_uint_eq(sum, round % 5 == 4 ? count : 64);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ranges");

    world.random = test_random_start(1);
    property_add(suite, normal_form);
    property_add(suite, algebra);
    property_add(suite, edges);
    property_add(suite, sorting);
    return property_run(suite);
}

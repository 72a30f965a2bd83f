/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle counts addresses one by one in a universe of 12, where every pair of ranges is tried.
 * The universe is laid three times: at 0, in the middle, and so that its end is 2^64-1.
 */
#include "base/range.h"
#include "support/property.h"

#include <iovageom/range.h>
#include <iovageom/status.h>

#define UNIVERSE 12u
#define ROUNDS   200000

typedef unsigned bits_t;

static const uint64_t bases[] = {0, UINT64_C(0xfffffffc), UINT64_MAX - (UNIVERSE - 1)};

static bits_t bits_of(uint64_t base, struct iovageom_range range)
{
    bits_t bits = 0;

    for (unsigned i = 0; i < UNIVERSE; i++) {
        uint64_t address = base + i;

        if (!(address < range.start) && !(address > range.last))
            bits |= 1u << i;
    }
    return bits;
}

static bool one_run(bits_t bits)
{
    while (bits != 0 && (bits & 1) == 0)
        bits >>= 1;
    return bits != 0 && ((bits + 1) & bits) == 0;
}

static void check_pair(uint64_t base, struct iovageom_range a, struct iovageom_range b)
{
    bits_t x = bits_of(base, a), y = bits_of(base, b), rest = 0;
    struct iovageom_range out = {7, 3}, parts[2];
    bool found = iovageom_range_intersect(a, b, &out);
    unsigned count;

    property_check(found == ((x & y) != 0));
    property_check(found ? bits_of(base, out) == (x & y) : out.start == 7 && out.last == 3);
    property_check(iovageom_range_overlaps(a, b) == found);
    property_check(iovageom_range_contains(a, b) == ((y & ~x) == 0));
    property_check(iovageom_range_equal(a, b) == (x == y));
    property_check(iovageom_range_touches(a, b) == one_run(x | y));
    property_check(iovageom_range_precedes_directly(a, b) ==
                   (one_run(x | y) && (x & y) == 0 && x < y));
    out = iovageom_range_hull(a, b);
    property_check(out.start == (a.start < b.start ? a.start : b.start));
    property_check(out.last == (a.last < b.last ? b.last : a.last));

    count = iovageom_range_subtract(a, b, parts);
    for (unsigned i = 0; i < count; i++) {
        property_check(iovageom_range_valid(parts[i]));
        property_check((rest & bits_of(base, parts[i])) == 0 && rest < bits_of(base, parts[i]));
        rest |= bits_of(base, parts[i]);
    }
    property_check(rest == (x & ~y));

    if (a.last < b.start) {
        bits_t hull = bits_of(base, iovageom_range_hull(a, b)) & ~x & ~y;

        property_check(iovageom_range_between(a, b, &out) == (hull != 0));
        property_check(hull == 0 || bits_of(base, out) == hull);
    }
}

static void check_one(uint64_t base, struct iovageom_range a)
{
    const bits_t all = (1u << UNIVERSE) - 1;
    struct iovageom_range out;
    bits_t x = bits_of(base, a);
    unsigned count = 0;

    for (unsigned i = 0; i < UNIVERSE; i++) {
        count += (x >> i) & 1;
        property_check(iovageom_range_has(a, base + i) == (((x >> i) & 1) != 0));
    }
    property_check(iovageom_range_size(a).hi == 0 && iovageom_range_size(a).lo == count);
    if (iovageom_range_below(a, &out))
        property_check(bits_of(base, out) == (all & ~x & (x - 1)));
    else
        property_check(base == 0 && (x & 1) != 0);
    if (iovageom_range_above(a, &out))
        property_check(bits_of(base, out) == (all & ~(x | (x - 1))));
    else
        property_check(base + (UNIVERSE - 1) == UINT64_MAX && (x >> (UNIVERSE - 1)) != 0);
}

/* Whole granules, found by looking at each: those inside `a`, and those that `a` touches. */
static void check_aligned(uint64_t base, struct iovageom_range a, unsigned granule)
{
    bits_t inside = 0, touched = 0, x = bits_of(base, a);
    struct iovageom_range out;

    for (unsigned i = 0; i < UNIVERSE; i += granule) {
        bits_t one = ((1u << granule) - 1) << i;

        inside |= (x & one) == one ? one : 0;
        touched |= (x & one) != 0 ? one : 0;
    }
    property_check(iovageom_range_align_inward(a, granule, &out) == (inside != 0));
    property_check(inside == 0 || bits_of(base, out) == inside);
    property_check(bits_of(base, iovageom_range_align_outward(a, granule)) == touched);
    property_check(iovageom_range_is_aligned(a, granule) == (touched == x && inside == x));
}

START_TEST(every_pair_in_a_small_universe)
{
    for (unsigned at = 0; at < 3; at++) {
        uint64_t base = bases[at];

        for (unsigned i = 0; i < UNIVERSE * UNIVERSE * UNIVERSE * UNIVERSE; i++) {
            unsigned s1 = i % UNIVERSE, l1 = i / UNIVERSE % UNIVERSE;
            unsigned s2 = i / (UNIVERSE * UNIVERSE) % UNIVERSE;
            unsigned l2 = i / (UNIVERSE * UNIVERSE * UNIVERSE);

            if (s1 <= l1 && s2 <= l2)
                check_pair(base, (struct iovageom_range){base + s1, base + l1},
                           (struct iovageom_range){base + s2, base + l2});
        }
        for (unsigned s = 0; s < UNIVERSE; s++) {
            for (unsigned l = s; l < UNIVERSE; l++) {
                struct iovageom_range a = {base + s, base + l};

                check_one(base, a);
                for (unsigned granule = 1; granule <= 4; granule *= 2)
                    check_aligned(base, a, granule);
            }
        }
    }
}
END_TEST

START_TEST(laws_of_random_ranges)
{
    struct test_random random = test_random_start(1);

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct iovageom_range a = test_random_range(&random), b = test_random_range(&random);
        struct iovageom_range meet, out[2], again;
        struct iovageom_size sum;
        unsigned count = iovageom_range_subtract(a, b, out);

        /* |a| = |a - b| + |a and b| */
        sum = (struct iovageom_size){0, 0};
        for (unsigned k = 0; k < count; k++) {
            property_check(!iovageom_range_overlaps(out[k], b) &&
                           iovageom_range_contains(a, out[k]));
            sum = iovageom_size_add(sum, iovageom_range_size(out[k]));
        }
        if (iovageom_range_intersect(a, b, &meet)) {
            property_check(iovageom_range_contains(a, meet) && iovageom_range_contains(b, meet));
            sum = iovageom_size_add(sum, iovageom_range_size(meet));
        }
        property_check(iovageom_size_compare(sum, iovageom_range_size(a)) == 0);
        property_check(iovageom_size_compare(iovageom_size_subtract(sum, iovageom_range_size(a)),
                                             (struct iovageom_size){0, 0}) == 0);

        if (a.start != 0 || a.last != UINT64_MAX) {
            const uint64_t length = iovageom_size_saturate(iovageom_range_size(a));

            property_check(iovageom_range_from_length(a.start, length, &again) == IOVAGEOM_OK);
            property_check(iovageom_range_equal(a, again));
        }
        property_check(iovageom_range_from_gaw(iovageom_range_gaw(a), &again) == IOVAGEOM_OK);
        property_check(a.last <= again.last && (a.last > again.last / 2 || again.last == 1));
    }
}
END_TEST

START_TEST(alignment_of_random_ranges)
{
    struct test_random random = test_random_start(2);

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t granule = UINT64_C(1) << test_random_below(&random, 64);
        struct iovageom_range a = test_random_range(&random), in;
        struct iovageom_range around = iovageom_range_align_outward(a, granule);

        property_check(iovageom_range_contains(around, a));
        property_check(around.start % granule == 0 && around.last % granule == granule - 1);
        property_check(a.start - around.start < granule && around.last - a.last < granule);
        if (iovageom_range_align_inward(a, granule, &in)) {
            property_check(iovageom_range_valid(in) && iovageom_range_contains(a, in));
            property_check(in.start % granule == 0 && in.last % granule == granule - 1);
            property_check(in.start - a.start < granule && a.last - in.last < granule);
        } else {
            /* With no whole granule inside, the outward one is two granules at most. */
            property_check((around.last - around.start) / granule <= 1);
            property_check(!iovageom_range_equal(around, a));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("range");

    property_add(suite, every_pair_in_a_small_universe);
    property_add(suite, laws_of_random_ranges);
    property_add(suite, alignment_of_random_ranges);
    return property_run(suite);
}

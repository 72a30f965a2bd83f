/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The algebra on arrays against a bitmap: a set of addresses is an array of bits, and an operation
 * on sets one on bits. The bitmap stands at the bottom, in the middle and at the very top of the
 * address space, so that 0 and 2^64-1 are met.
 */
#include <string.h>

#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "support/property.h"

enum { UNIVERSE = 1024, ROOM = UNIVERSE + 2 };

typedef bool bitmap[UNIVERSE];

/* Random runs of 0 and 1, with a taste for short ones; sometimes empty or full. */
static void draw(struct test_random *random, bitmap bits)
{
    uint64_t longest = 1 + test_random_below(random, 40);
    bool value = test_random_one_in(random, 2);
    size_t at = 0;

    while (at < UNIVERSE) {
        uint64_t length =
            test_random_one_in(random, 60) ? UNIVERSE : 1 + test_random_below(random, longest);
        for (; length > 0 && at < UNIVERSE; length--)
            bits[at++] = value;
        value = !value;
    }
}

static size_t to_ranges(const bitmap bits, uint64_t base, struct iovageom_range *out)
{
    size_t count = 0;

    for (size_t i = 0; i < UNIVERSE; i++) {
        if (!bits[i])
            continue;
        if (i == 0 || !bits[i - 1])
            out[count++].start = base + i;
        out[count - 1].last = base + i;
    }
    return count;
}

typedef int operation(const struct iovageom_range *, size_t, const struct iovageom_range *, size_t,
                      struct iovageom_range *, size_t, size_t *);

/* With room for all that is always enough, with exactly what is needed, and with one too few. */
static void check_operation(operation *run, const struct iovageom_range *a, size_t a_count,
                            const struct iovageom_range *b, size_t b_count,
                            const struct iovageom_range *expected, size_t expected_count)
{
    const size_t rooms[] = {a_count + b_count, expected_count, expected_count - 1};

    for (size_t i = 0; i < 3; i++) {
        struct iovageom_range *out;
        size_t count = SIZE_MAX;

        if (i == 2 && expected_count == 0)
            continue;
        out = malloc((rooms[i] + 1) * sizeof(*out));
        memset(out, 0x5a, (rooms[i] + 1) * sizeof(*out));
        int status = run(a, a_count, b, b_count, out, rooms[i], &count);
        property_check(count == expected_count);
        property_check(out[rooms[i]].start == 0x5a5a5a5a5a5a5a5a);
        if (i == 2) {
            property_check(status == IOVAGEOM_ERR_BUFFER_TOO_SMALL);
            property_check(out[0].start == 0x5a5a5a5a5a5a5a5a);
        } else {
            property_check(status == IOVAGEOM_OK);
            property_check(memcmp(out, expected, count * sizeof(*out)) == 0);
        }
        free(out);
    }
}

static const uint64_t bases[] = {0, 0xfee00000, UINT64_MAX - UNIVERSE + 1};

START_TEST(operations_are_those_on_bits)
{
    static operation *const operations[] = {iovageom_ranges_union, iovageom_ranges_intersection,
                                            iovageom_ranges_difference,
                                            iovageom_ranges_symmetric_difference};
    struct test_random random = test_random_start(1);

    for (unsigned round = 0; round < 3000; round++) {
        struct iovageom_range a[ROOM], b[ROOM], expected[ROOM];
        uint64_t base = bases[round % 3];
        bitmap a_bits, b_bits, bits;

        draw(&random, a_bits);
        draw(&random, b_bits);
        size_t a_count = to_ranges(a_bits, base, a);
        size_t b_count = to_ranges(b_bits, base, b);
        property_check(iovageom_ranges_normal(a, a_count));
        for (unsigned which = 0; which < 4; which++) {
            for (size_t i = 0; i < UNIVERSE; i++)
                bits[i] = which == 0   ? a_bits[i] || b_bits[i]
                          : which == 1 ? a_bits[i] && b_bits[i]
                          : which == 2 ? a_bits[i] && !b_bits[i]
                                       : a_bits[i] != b_bits[i];
            check_operation(operations[which], a, a_count, b, b_count, expected,
                            to_ranges(bits, base, expected));
        }
    }
}
END_TEST

START_TEST(complement_is_that_of_bits_in_the_window)
{
    struct test_random random = test_random_start(2);

    for (unsigned round = 0; round < 6000; round++) {
        struct iovageom_range a[ROOM], expected[ROOM], out[ROOM];
        uint64_t base = bases[round % 3];
        struct iovageom_range window = test_random_small_range(&random, UNIVERSE);
        bitmap a_bits, bits;
        size_t count, needed;

        draw(&random, a_bits);
        if (test_random_one_in(&random, 3))
            window = (struct iovageom_range){0, UNIVERSE - 1};
        for (size_t i = 0; i < UNIVERSE; i++)
            bits[i] = !a_bits[i] && window.start <= i && i <= window.last;
        window.start += base;
        window.last += base;
        size_t a_count = to_ranges(a_bits, base, a);
        size_t expected_count = to_ranges(bits, base, expected);
        property_check(iovageom_ranges_complement(a, a_count, window, out, a_count + 1, &count) ==
                       IOVAGEOM_OK);
        property_check(count == expected_count);
        property_check(memcmp(out, expected, count * sizeof(*out)) == 0);
        property_check(iovageom_ranges_complement(a, a_count, window, NULL, 0, &needed) ==
                       (count > 0 ? IOVAGEOM_ERR_BUFFER_TOO_SMALL : IOVAGEOM_OK));
        property_check(needed == count);
    }
}
END_TEST

/* Orders that quicksorts are known to dislike, and plain random ones. */
static uint64_t key(unsigned order, size_t i, size_t count, struct test_random *random)
{
    switch (order) {
    case 0:
        return test_random_u64(random);
    case 1:
        return count - i;
    case 2:
        return i < count / 2 ? i : count - i;
    case 3:
        return 7;
    case 4:
        return i % 3 == 0 ? UINT64_MAX : i % 5;
    case 5:
        return i ^ 0x155;
    default:
        return test_random_below(random, 5);
    }
}

START_TEST(normalize_sorts_any_order)
{
    struct test_random random = test_random_start(3);

    for (unsigned round = 0; round < 700; round++) {
        size_t count = (size_t)test_random_below(&random, 700);
        struct iovageom_range *ranges = malloc((count + 1) * sizeof(*ranges));
        struct iovageom_range *before = malloc((count + 1) * sizeof(*ranges));
        size_t kept = count;

        for (size_t i = 0; i < count; i++) {
            uint64_t start = key(round % 7, i, count, &random);
            uint64_t more = test_random_below(&random, 3);
            ranges[i].start = start;
            ranges[i].last = start > UINT64_MAX - more ? UINT64_MAX : start + more;
        }
        memcpy(before, ranges, count * sizeof(*ranges));
        property_check(iovageom_ranges_normalize(ranges, &kept) == IOVAGEOM_OK);
        property_check(iovageom_ranges_normal(ranges, kept));
        for (size_t i = 0; i < count; i++) {
            bool found = false;
            for (size_t j = 0; j < kept && !found; j++)
                found = iovageom_range_contains(ranges[j], before[i]);
            property_check(found);
        }
        /* Nothing more than was there: each start and each last is one of those given. */
        for (size_t j = 0; j < kept; j++) {
            bool start = false, last = false;
            for (size_t i = 0; i < count; i++) {
                start |= before[i].start == ranges[j].start;
                last |= before[i].last == ranges[j].last;
            }
            property_check(start && last);
        }
        free(ranges);
        free(before);
    }
}
END_TEST

/* Any other input may give any result, but must not reach beyond the arrays. */
START_TEST(garbage_stays_within_the_arrays)
{
    static operation *const operations[] = {iovageom_ranges_union, iovageom_ranges_intersection,
                                            iovageom_ranges_difference,
                                            iovageom_ranges_symmetric_difference};
    struct test_random random = test_random_start(4);

    for (unsigned round = 0; round < 20000; round++) {
        size_t a_count = (size_t)test_random_below(&random, 12);
        size_t b_count = (size_t)test_random_below(&random, 12);
        size_t room = a_count + b_count, count;
        struct iovageom_range *a = malloc((a_count + 1) * sizeof(*a));
        struct iovageom_range *b = malloc((b_count + 1) * sizeof(*b));
        struct iovageom_range *out = malloc((room + 1) * sizeof(*out));
        struct iovageom_range window = test_random_range(&random);

        for (size_t i = 0; i < a_count; i++)
            a[i] =
                (struct iovageom_range){test_random_address(&random), test_random_address(&random)};
        for (size_t i = 0; i < b_count; i++)
            b[i] =
                (struct iovageom_range){test_random_address(&random), test_random_address(&random)};
        out[room].start = 0x5a5a;
        for (unsigned which = 0; which < 4; which++) {
            (void)operations[which](a, a_count, b, b_count, out, room, &count);
            property_check(out[room].start == 0x5a5a);
        }
        if (a_count + 1 <= room)
            (void)iovageom_ranges_complement(a, a_count, window, out, a_count + 1, &count);
        property_check(out[room].start == 0x5a5a);
        free(a);
        free(b);
        free(out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ranges");

    property_add(suite, operations_are_those_on_bits);
    property_add(suite, complement_is_that_of_bits_in_the_window);
    property_add(suite, normalize_sorts_any_order);
    property_add(suite, garbage_stays_within_the_arrays);
    return property_run(suite);
}

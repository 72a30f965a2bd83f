/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/ranges.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/range.h"
#include "sweep.h"

/* 64 buckets for 6 bits of a start. Up to SHORT ranges are sorted by a network instead. */
enum { DIGIT_BITS = 6, DIGITS = 1 << DIGIT_BITS, SHORT = 64 };

/* Puts two in order; no branch depends on which that is. */
static inline void order(struct iovageom_range *low, struct iovageom_range *high)
{
    uint64_t swap = 0 - (uint64_t)(high->start < low->start);
    uint64_t start = (low->start ^ high->start) & swap;
    uint64_t last = (low->last ^ high->last) & swap;

    low->start ^= start;
    high->start ^= start;
    low->last ^= last;
    high->last ^= last;
}

/* Batcher's merge exchange (Knuth, Algorithm 5.2.2M). Which items it compares depends on the count
 * alone, so no branch is mispredicted; that outweighs the comparisons that it makes in addition. */
static void sort_short(struct iovageom_range *ranges, size_t count)
{
    size_t half = 1;

    while (2 * half < count)
        half *= 2;
    for (size_t p = half; p > 0; p /= 2) {
        size_t apart = p;
        size_t first = 0;

        for (size_t q = half;; q /= 2) {
            for (size_t block = first; block + apart < count; block += 2 * p) {
                const size_t end = block + p < count - apart ? block + p : count - apart;

                for (size_t i = block; i < end; i++)
                    order(&ranges[i], &ranges[i + apart]);
            }
            if (q == p)
                break;
            apart = q - p;
            first = p;
        }
    }
}

/*
 * Sorts in place by start, in O(n) for any input and without memory; `last` is not compared.
 *
 * A radix sort from the highest bits down. It takes the highest 6 bits in which any two starts
 * differ, counts the ranges of each bucket, moves each range to its bucket, and sorts each bucket
 * by the bits below. So the recursion is at most 11 deep, as 64 bits have 11 times 6, with 1 KiB of
 * stack each.
 *
 * Moving is by cycles: the first range of a bucket that is not in its place is held; it is
 * exchanged with the next unsorted one of its own bucket, and so on, until the held one belongs
 * where the cycle began. next[d] is the first place of bucket d that is not final, end[d] the one
 * behind the bucket.
 */
static void sort_by_start(struct iovageom_range *ranges, size_t count)
{
    size_t next[DIGITS] = {0};
    size_t end[DIGITS];
    size_t sum = 0;
    uint64_t differ = 0;
    unsigned shift = 0;

    if (count <= SHORT) {
        sort_short(ranges, count);
        return;
    }
    for (size_t i = 1; i < count; i++)
        differ |= ranges[i].start ^ ranges[0].start;
    while (differ >> shift >= DIGITS)
        shift++;
    for (size_t i = 0; i < count; i++)
        next[ranges[i].start >> shift & (DIGITS - 1)]++;
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        end[digit] = sum + next[digit];
        next[digit] = sum;
        sum = end[digit];
    }
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        while (next[digit] < end[digit]) {
            struct iovageom_range held = ranges[next[digit]];
            unsigned its;

            while ((its = (unsigned)(held.start >> shift & (DIGITS - 1))) != digit) {
                struct iovageom_range other = ranges[next[its]];

                ranges[next[its]++] = held;
                held = other;
            }
            ranges[next[digit]++] = held;
        }
    }
    for (unsigned digit = 0; digit < DIGITS && shift > 0; digit++) {
        size_t first = digit > 0 ? end[digit - 1] : 0;

        if (end[digit] - first > 1)
            sort_by_start(ranges + first, end[digit] - first);
    }
}

/* Sorted by start, each range extends the last kept one, if it touches that, or is kept too. */
int iovageom_ranges_normalize(struct iovageom_range *ranges, size_t *count)
{
    bool ascending = true, apart = true;
    size_t kept = 0;

    for (size_t i = 0; i < *count; i++) {
        if (!iovageom_range_valid(ranges[i]))
            return IOVAGEOM_ERR_INVERTED;
        ascending &= i == 0 || ranges[i - 1].start <= ranges[i].start;
        apart &= i == 0 || iovageom_range_around(ranges[i - 1]).last < ranges[i].start;
    }
    if (apart)
        return IOVAGEOM_OK;
    if (!ascending)
        sort_by_start(ranges, *count);
    for (size_t i = 0; i < *count; i++) {
        if (kept > 0 && ranges[i].start <= iovageom_range_around(ranges[kept - 1]).last) {
            if (ranges[i].last > ranges[kept - 1].last)
                ranges[kept - 1].last = ranges[i].last;
        } else {
            ranges[kept++] = ranges[i];
        }
    }
    *count = kept;
    return IOVAGEOM_OK;
}

/* Sweeps once and writes the result to `out`, which has room; or counts, if that is NULL. */
static size_t run(enum iovageom_sweep_kind kind, const struct iovageom_range *a, size_t a_count,
                  const struct iovageom_range *b, size_t b_count, struct iovageom_range *out,
                  size_t capacity)
{
    struct iovageom_range some[32];
    struct iovageom_sweep sweep;
    size_t count = 0;
    size_t more;

    iovageom_sweep_init(&sweep, kind);
    iovageom_sweep_array(&sweep.inputs[0], a, a_count);
    iovageom_sweep_array(&sweep.inputs[1], b, b_count);
    if (out)
        return iovageom_sweep_next(&sweep, out, capacity);
    while ((more = iovageom_sweep_next(&sweep, some, sizeof(some) / sizeof(some[0]))) > 0)
        count += more;
    return count;
}

static int combine_arrays(enum iovageom_sweep_kind kind, const struct iovageom_range *a,
                          size_t a_count, const struct iovageom_range *b, size_t b_count,
                          struct iovageom_range *out, size_t capacity, size_t *count)
{
    size_t needed;

    /* Counting costs a sweep of its own. It is skipped where there is surely room: each range of
     * the result begins at the start of an input's range or just above its last, and none of these
     * is the reason for two. */
    if (capacity < a_count + b_count) {
        needed = run(kind, a, a_count, b, b_count, NULL, 0);
        if (needed > capacity) {
            *count = needed;
            return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
        }
    }
    *count = capacity > 0 ? run(kind, a, a_count, b, b_count, out, capacity) : 0;
    return IOVAGEOM_OK;
}

int iovageom_ranges_union(const struct iovageom_range *a, size_t a_count,
                          const struct iovageom_range *b, size_t b_count,
                          struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine_arrays(IOVAGEOM_SWEEP_UNION, a, a_count, b, b_count, out, capacity, count);
}

int iovageom_ranges_intersection(const struct iovageom_range *a, size_t a_count,
                                 const struct iovageom_range *b, size_t b_count,
                                 struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine_arrays(IOVAGEOM_SWEEP_INTERSECTION, a, a_count, b, b_count, out, capacity,
                          count);
}

int iovageom_ranges_difference(const struct iovageom_range *a, size_t a_count,
                               const struct iovageom_range *b, size_t b_count,
                               struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine_arrays(IOVAGEOM_SWEEP_DIFFERENCE, a, a_count, b, b_count, out, capacity, count);
}

int iovageom_ranges_complement(const struct iovageom_range *a, size_t a_count,
                               struct iovageom_range window, struct iovageom_range *out,
                               size_t capacity, size_t *count)
{
    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    return combine_arrays(IOVAGEOM_SWEEP_DIFFERENCE, &window, 1, a, a_count, out, capacity, count);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/ranges.h>

#include <string.h>

#include <iovageom/status.h>

#include "ranges_internal.h"

bool iovageom_ranges_normal(const struct iovageom_range *ranges, size_t count)
{
    if (count > 0 && !iovageom_range_valid(ranges[0]))
        return false;
    for (size_t i = 1; i < count; i++)
        if (ranges[i].start <= ranges[i - 1].last || ranges[i].start - ranges[i - 1].last == 1 ||
            ranges[i].start > ranges[i].last)
            return false;
    return true;
}

enum { DIGIT_BITS = 6, DIGITS = 1 << DIGIT_BITS, SHORT = 64 };

static void sort_short(struct iovageom_range *ranges, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct iovageom_range moved = ranges[i];
        size_t at = i;

        for (; at > 0 && ranges[at - 1].start > moved.start; at--)
            ranges[at] = ranges[at - 1];
        ranges[at] = moved;
    }
}

/*
 * By the highest bits in which starts differ, in place, and then each bucket by the next ones. No
 * input makes it slow, or takes more than 11 levels of it.
 */
void iovageom_ranges_sort(struct iovageom_range *ranges, size_t count)
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
            iovageom_ranges_sort(ranges + first, end[digit] - first);
    }
}

int iovageom_ranges_normalize(struct iovageom_range *ranges, size_t *count)
{
    bool ascending = true;
    size_t kept = 0;

    for (size_t i = 0; i < *count; i++) {
        if (!iovageom_range_valid(ranges[i]))
            return IOVAGEOM_ERR_INVERTED;
        ascending = ascending && (i == 0 || ranges[i - 1].start <= ranges[i].start);
    }
    if (!ascending)
        iovageom_ranges_sort(ranges, *count);
    for (size_t i = 0; i < *count; i++) {
        if (kept > 0 && iovageom_range_touches(ranges[kept - 1], ranges[i])) {
            if (ranges[i].last > ranges[kept - 1].last)
                ranges[kept - 1].last = ranges[i].last;
        } else {
            ranges[kept++] = ranges[i];
        }
    }
    *count = kept;
    return IOVAGEOM_OK;
}

/* How many ranges the merge will write in all. */
static size_t count_result(struct iovageom_merge merge, iovageom_merge_step *step)
{
    struct iovageom_range some[64];
    size_t count = 0;
    bool done;

    merge.out_end = some + sizeof(some) / sizeof(some[0]);
    do {
        merge.out = some;
        done = step(&merge);
        count += (size_t)(merge.out - some);
    } while (!done);
    return count;
}

static int combine(const struct iovageom_merge *merge, iovageom_merge_step *step, size_t enough,
                   struct iovageom_range *out, size_t capacity, size_t *count)
{
    struct iovageom_merge all = *merge;

    if (capacity < enough) {
        size_t needed = count_result(*merge, step);

        if (needed > capacity) {
            *count = needed;
            return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
        }
    }
    all.out = out;
    all.out_end = capacity > 0 ? out + capacity : out;
    (void)step(&all);
    *count = (size_t)(all.out - out);
    return IOVAGEOM_OK;
}

static struct iovageom_merge merge_of(const struct iovageom_range *a, size_t a_count,
                                      const struct iovageom_range *b, size_t b_count)
{
    struct iovageom_merge merge = {0};

    merge.a = a;
    merge.a_end = a_count > 0 ? a + a_count : a; /* a may be NULL */
    merge.b = b;
    merge.b_end = b_count > 0 ? b + b_count : b;
    return merge;
}

/* How many of the ranges end below the address. */
static size_t rank(const struct iovageom_range *ranges, size_t count, uint64_t address)
{
    size_t low = 0;

    while (count > 0) {
        size_t half = count / 2;

        if (ranges[low + half].last < address) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

/*
 * A merge cut in two in the middle of its longer input, at the start of a range there. The upper
 * half writes so far up that the lower one can't reach it. The shorter input's range across the cut
 * goes to the lower half, or with `both` to either.
 */
static void halve(const struct iovageom_merge *merge, bool both, struct iovageom_range *out,
                  struct iovageom_merge pair[2])
{
    size_t a_count = (size_t)(merge->a_end - merge->a);
    size_t b_count = (size_t)(merge->b_end - merge->b);
    const struct iovageom_range *a = a_count >= b_count ? merge->a : merge->b;
    const struct iovageom_range *b = a_count >= b_count ? merge->b : merge->a;
    size_t length = a_count >= b_count ? b_count : a_count;
    size_t i = (a_count + b_count - length) / 2;
    size_t j = rank(b, length, a[i].start);
    size_t across = j < length && b[j].start < a[i].start;

    pair[0] = merge_of(a, i, b, j + across);
    pair[1] = merge_of(a + i, a_count + b_count - length - i, b + j, length - j);
    if (!both)
        pair[1].b += across;
    pair[0].out = out;
    pair[0].out_end = pair[1].out = out + i + j + across;
    pair[1].out_end = out + a_count + b_count;
}

enum { WORTH_HALVING = 64 };

static size_t unite_halves(const struct iovageom_merge *merge, struct iovageom_range *out)
{
    struct iovageom_merge pair[2];
    struct iovageom_range *low;
    struct iovageom_range *high;

    halve(merge, false, out, pair);
    high = pair[1].out;
    for (unsigned half = 0; half < 2; half++) {
        struct iovageom_merge *m = &pair[half];

        m->open = true;
        m->pending = m->b == m->b_end || m->a->start <= m->b->start ? *m->a++ : *m->b++;
    }
    iovageom_merge_union_pair(pair);
    (void)iovageom_merge_union(&pair[0]);
    (void)iovageom_merge_union(&pair[1]);
    /* What the lower half ends with may reach into the upper one. */
    low = pair[0].out - 1;
    for (; high < pair[1].out && iovageom_range_touches(*low, *high); high++)
        *low = iovageom_range_hull(*low, *high);
    memmove(low + 1, high, (size_t)(pair[1].out - high) * sizeof(*high));
    return (size_t)(low + 1 - out) + (size_t)(pair[1].out - high);
}

static size_t intersect_halves(const struct iovageom_merge *merge, struct iovageom_range *out)
{
    struct iovageom_merge pair[2];
    const struct iovageom_range *high;
    size_t count;

    halve(merge, true, out, pair);
    high = pair[1].out;
    iovageom_merge_intersection_pair(pair);
    (void)iovageom_merge_intersection(&pair[0]);
    (void)iovageom_merge_intersection(&pair[1]);
    count = (size_t)(pair[1].out - high);
    memmove(pair[0].out, high, count * sizeof(*high));
    return (size_t)(pair[0].out - out) + count;
}

int iovageom_ranges_union(const struct iovageom_range *a, size_t a_count,
                          const struct iovageom_range *b, size_t b_count,
                          struct iovageom_range *out, size_t capacity, size_t *count)
{
    struct iovageom_merge merge = merge_of(a, a_count, b, b_count);

    if (a_count + b_count >= WORTH_HALVING && capacity >= a_count + b_count) {
        *count = unite_halves(&merge, out);
        return IOVAGEOM_OK;
    }
    return combine(&merge, iovageom_merge_union, a_count + b_count, out, capacity, count);
}

int iovageom_ranges_intersection(const struct iovageom_range *a, size_t a_count,
                                 const struct iovageom_range *b, size_t b_count,
                                 struct iovageom_range *out, size_t capacity, size_t *count)
{
    struct iovageom_merge merge = merge_of(a, a_count, b, b_count);

    if (a_count + b_count >= WORTH_HALVING && capacity >= a_count + b_count) {
        *count = intersect_halves(&merge, out);
        return IOVAGEOM_OK;
    }
    return combine(&merge, iovageom_merge_intersection, a_count + b_count, out, capacity, count);
}

int iovageom_ranges_difference(const struct iovageom_range *a, size_t a_count,
                               const struct iovageom_range *b, size_t b_count,
                               struct iovageom_range *out, size_t capacity, size_t *count)
{
    struct iovageom_merge merge = merge_of(a, a_count, b, b_count);

    return combine(&merge, iovageom_merge_difference, a_count + b_count, out, capacity, count);
}

int iovageom_ranges_symmetric_difference(const struct iovageom_range *a, size_t a_count,
                                         const struct iovageom_range *b, size_t b_count,
                                         struct iovageom_range *out, size_t capacity, size_t *count)
{
    struct iovageom_merge merge = merge_of(a, a_count, b, b_count);

    return combine(&merge, iovageom_merge_symmetric_difference, a_count + b_count, out, capacity,
                   count);
}

int iovageom_ranges_complement(const struct iovageom_range *a, size_t a_count,
                               struct iovageom_range window, struct iovageom_range *out,
                               size_t capacity, size_t *count)
{
    size_t below = rank(a, a_count, window.start);
    struct iovageom_merge merge = merge_of(a_count > 0 ? a + below : a, a_count - below, NULL, 0);

    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    merge.pending = window;
    return combine(&merge, iovageom_merge_complement, a_count + 1, out, capacity, count);
}

bool iovageom_ranges_subset(const struct iovageom_range *inner, size_t inner_count,
                            const struct iovageom_range *outer, size_t outer_count)
{
    size_t j = 0;

    for (size_t i = 0; i < inner_count; i++) {
        while (j < outer_count && outer[j].last < inner[i].start)
            j++;
        if (j == outer_count || !iovageom_range_contains(outer[j], inner[i]))
            return false;
    }
    return true;
}

struct iovageom_size iovageom_ranges_size(const struct iovageom_range *ranges, size_t count)
{
    struct iovageom_size size = {0, 0};

    for (size_t i = 0; i < count; i++)
        size = iovageom_size_add(size, iovageom_range_size(ranges[i]));
    return size;
}

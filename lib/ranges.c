/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/ranges.h>

#include <string.h>

#include <iovageom/status.h>

#include "hints.h"
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

/* Batcher's network (Knuth, Algorithm 5.2.2M): more comparisons than others, but all foreseeable. */
static void sort_short(struct iovageom_range *ranges, size_t count)
{
    size_t half = 1;

    while (2 * half < count)
        half *= 2;
    for (size_t p = half; p > 0; p /= 2) {
        size_t apart = p;
        size_t first = 0;

        for (size_t q = half;; q /= 2) {
            for (size_t block = first; block + apart < count; block += 2 * p)
                for (size_t i = block; i < block + p && i + apart < count; i++)
                    order(&ranges[i], &ranges[i + apart]);
            if (q == p)
                break;
            apart = q - p;
            first = p;
        }
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

enum { SMALL = 16 };

/* An input of a merge: an array, and how far it has been given to the merge. */
struct feed {
    const struct iovageom_range *ranges;
    size_t count;
    unsigned part;
    uint64_t words[2 * SMALL + 2];
};

/* The next pairs: that below all ranges, those that lie in the array, that above. */
static void feed_on(struct feed *feed, struct iovageom_merge_side *side)
{
    const uint64_t *words = (const uint64_t *)feed->ranges;
    size_t count = feed->count;

    while (side->at == side->end && feed->part < 3) {
        side->at = side->end = feed->words;
        switch (feed->part++) {
        case 0:
            feed->words[0] = side->below;
            feed->words[1] = count > 0 ? words[0] : side->above;
            side->end += side->head ? 2 : 0;
            break;
        case 1:
            if (count > side->gaps) {
                side->at = words + side->gaps;
                side->end = side->at + 2 * (count - side->gaps);
            }
            break;
        default:
            if (!side->tail || count == 0)
                break;
            feed->words[0] = words[2 * count - 1];
            feed->words[1] = side->above;
            side->end += 2;
        }
    }
    side->more = feed->part < 3;
}

/* All pairs at once, if they are few. */
static void begin(struct feed *feed, struct iovageom_merge_side *side,
                  const struct iovageom_range *ranges, size_t count)
{
    uint64_t *end = feed->words;

    feed->ranges = ranges;
    feed->count = count;
    feed->part = 0;
    side->more = true;
    if (count > SMALL || count == 0)
        return;
    feed->part = 3;
    side->more = false;
    if (side->head)
        *end++ = side->below;
    for (size_t i = 0; i < count; i++) {
        *end++ = ranges[i].start;
        *end++ = ranges[i].last;
    }
    if (side->tail)
        *end++ = side->above;
    side->at = feed->words + (side->gaps && !side->head);
    side->end = end - (end - side->at) % 2;
}

static const struct iovageom_range *hull(const struct iovageom_range *ranges, size_t count,
                                         struct iovageom_range *out)
{
    if (count == 0)
        return NULL;
    *out = (struct iovageom_range){ranges[0].start, ranges[count - 1].last};
    return out;
}

/* Writes the result, of which all fits; or, without `out`, only counts it. */
static size_t run(enum iovageom_merge_kind kind, const struct iovageom_range *a, size_t a_count,
                  const struct iovageom_range *b, size_t b_count, struct iovageom_range *out,
                  size_t capacity)
{
    struct iovageom_range some[2 * IOVAGEOM_MERGE_BLOCK];
    struct iovageom_range hulls[2];
    struct iovageom_merge merge;
    struct feed feeds[2];
    const bool unite = kind == IOVAGEOM_MERGE_UNION;
    uint64_t *words = (uint64_t *)(out ? out : some);
    size_t count = 0;
    bool done;

    iovageom_merge_init(&merge, kind, hull(a, a_count, &hulls[0]), hull(b, b_count, &hulls[1]));
    begin(&feeds[0], &merge.sides[0], a, a_count);
    begin(&feeds[1], &merge.sides[1], b, b_count);
    if (unite)
        words[0] = merge.hull.start;
    merge.out = words + unite;
    merge.out_end = words + 2 * (out ? capacity : sizeof(some) / sizeof(some[0]));
    do {
        feed_on(&feeds[0], &merge.sides[0]);
        feed_on(&feeds[1], &merge.sides[1]);
        done = iovageom_merge_run(&merge) || (out && merge.out_end - merge.out < 2);
        if (!out) {
            count += (size_t)(merge.out - words) / 2;
            merge.out = words + unite;
        }
    } while (!done);
    if (out)
        count = (size_t)(merge.out - words) / 2;
    if (unite && out)
        words[2 * count + 1] = merge.hull.last;
    return count + unite;
}

IOVAGEOM_COLD static int combine(enum iovageom_merge_kind kind, const struct iovageom_range *a,
                                 size_t a_count, const struct iovageom_range *b, size_t b_count,
                                 struct iovageom_range *out, size_t capacity, size_t *count)
{
    size_t needed = a_count + b_count; /* is always enough */

    if (capacity < needed) {
        needed = run(kind, a, a_count, b, b_count, NULL, 0);
        if (needed > capacity) {
            *count = needed;
            return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
        }
    }
    *count = needed > 0 ? run(kind, a, a_count, b, b_count, out, capacity) : 0;
    return IOVAGEOM_OK;
}

int iovageom_ranges_union(const struct iovageom_range *a, size_t a_count,
                          const struct iovageom_range *b, size_t b_count,
                          struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine(IOVAGEOM_MERGE_UNION, a, a_count, b, b_count, out, capacity, count);
}

int iovageom_ranges_intersection(const struct iovageom_range *a, size_t a_count,
                                 const struct iovageom_range *b, size_t b_count,
                                 struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine(IOVAGEOM_MERGE_INTERSECTION, a, a_count, b, b_count, out, capacity, count);
}

int iovageom_ranges_difference(const struct iovageom_range *a, size_t a_count,
                               const struct iovageom_range *b, size_t b_count,
                               struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine(IOVAGEOM_MERGE_DIFFERENCE, a, a_count, b, b_count, out, capacity, count);
}

/* The words of an array, where 2^64 is not one. */
static size_t words_of(const struct iovageom_range *ranges, size_t count)
{
    return 2 * count - (count > 0 && ranges[count - 1].last == IOVAGEOM_ADDRESS_MAX);
}

/*
 * Where the symmetric difference starts and ends is where one of the two does, and the other
 * doesn't. Writes what fits; counts all.
 */
IOVAGEOM_COLD static size_t differ(const struct iovageom_range *a, size_t a_count,
                                   const struct iovageom_range *b, size_t b_count,
                                   struct iovageom_range *out, size_t capacity)
{
    size_t i = 0;
    size_t j = 0;
    size_t ends = 0;
    size_t a_words = words_of(a, a_count);
    size_t b_words = words_of(b, b_count);

    while (i < a_words || j < b_words) {
        uint64_t x = i == a_words ? 0 : i % 2 ? a[i / 2].last + 1 : a[i / 2].start;
        uint64_t y = j == b_words ? 0 : j % 2 ? b[j / 2].last + 1 : b[j / 2].start;
        bool of_a = j == b_words || (i < a_words && x <= y);
        bool of_b = i == a_words || (j < b_words && y <= x);
        struct iovageom_range *to = ends / 2 < capacity ? &out[ends / 2] : NULL;

        if (of_a != of_b && to && ends % 2 == 0)
            *to = (struct iovageom_range){of_a ? x : y, IOVAGEOM_ADDRESS_MAX};
        else if (of_a != of_b && to)
            to->last = (of_a ? x : y) - 1;
        ends += of_a != of_b;
        i += of_a;
        j += of_b;
    }
    return (ends + 1) / 2;
}

int iovageom_ranges_symmetric_difference(const struct iovageom_range *a, size_t a_count,
                                         const struct iovageom_range *b, size_t b_count,
                                         struct iovageom_range *out, size_t capacity, size_t *count)
{
    *count = capacity < a_count + b_count ? differ(a, a_count, b, b_count, NULL, 0) : 0;
    if (*count > capacity)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    *count = differ(a, a_count, b, b_count, out, capacity);
    return IOVAGEOM_OK;
}

/* The gaps between the ranges, inside of the window. Writes what fits; counts all. */
static size_t gaps_in(const struct iovageom_range *a, size_t a_count, struct iovageom_range window,
                      struct iovageom_range *out, size_t capacity)
{
    uint64_t start = window.start;
    size_t gaps = 0;

    for (size_t i = 0; i < a_count && a[i].start <= window.last; i++) {
        if (a[i].last < start)
            continue;
        if (a[i].start > start && gaps++ < capacity)
            out[gaps - 1] = (struct iovageom_range){start, a[i].start - 1};
        if (a[i].last >= window.last)
            return gaps;
        start = a[i].last + 1;
    }
    if (gaps < capacity)
        out[gaps] = (struct iovageom_range){start, window.last};
    return gaps + 1;
}

int iovageom_ranges_complement(const struct iovageom_range *a, size_t a_count,
                               struct iovageom_range window, struct iovageom_range *out,
                               size_t capacity, size_t *count)
{
    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    *count = capacity > a_count ? 0 : gaps_in(a, a_count, window, NULL, 0);
    if (*count > capacity)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    *count = gaps_in(a, a_count, window, out, capacity);
    return IOVAGEOM_OK;
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

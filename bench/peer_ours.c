/* SPDX-License-Identifier: BSD-3-Clause */
/* libiovageom by its public headers: a rangeset, and plain arrays by ranges.h. */
#include <stdlib.h>

#include <iovageom/ranges.h>
#include <iovageom/rangeset.h>

#include "bench.h"

#define BATCH 16

static void *create(void)
{
    struct iovageom_rangeset *set = malloc(sizeof(*set));

    if (!set || iovageom_rangeset_init(set, NULL) != 0)
        abort();
    return set;
}

static void destroy(void *set)
{
    iovageom_rangeset_deinit(set);
    free(set);
}

static uint64_t insert(void *set, const struct iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += iovageom_rangeset_insert(set, ranges[i]) == 0;
    return sum;
}

static uint64_t churn(void *set, const struct iovageom_range *ranges, size_t count, size_t lag)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += iovageom_rangeset_remove(set, ranges[i]) == 0;
        if (i >= lag)
            sum += iovageom_rangeset_insert(set, ranges[i - lag]) == 0;
    }
    for (size_t i = count - lag; i < count; i++)
        sum += iovageom_rangeset_insert(set, ranges[i]) == 0;
    return sum;
}

static uint64_t lookup(void *set, const uint64_t *addresses, size_t count)
{
    struct iovageom_range found = {0, 0};
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        const struct iovageom_range address = {addresses[i], addresses[i]};
        bool hit = iovageom_rangeset_first_overlap(set, address, &found);

        sum += bench_term(hit, found.start, found.last);
    }
    return sum;
}

static uint64_t overlap(void *set, const struct iovageom_range *queries, size_t count)
{
    struct iovageom_range found = {0, 0};
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        bool hit = iovageom_rangeset_first_overlap(set, queries[i], &found);

        sum += bench_term(hit, found.start, found.last);
    }
    return sum;
}

static uint64_t iterate(void *set)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    uint64_t sum = 0;

    iovageom_rangeset_seek(set, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        sum += range.start ^ range.last;
    return sum;
}

static uint64_t find_hole(void *set, const struct bench_hole *queries, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct iovageom_range limits = {queries[i].min, queries[i].max};
        struct iovageom_range hole;

        if (iovageom_rangeset_hole(set, limits, queries[i].size, BENCH_PAGE, false, &hole) == 0)
            sum += hole.start;
        else
            sum += BENCH_NO_HOLE;
    }
    return sum;
}

static void *build_sorted(const struct iovageom_range *ranges, size_t count)
{
    void *set = create();

    if (iovageom_rangeset_from_array(set, ranges, count) != 0)
        abort();
    return set;
}

static void *build_unsorted(const struct iovageom_range *ranges, size_t count)
{
    void *set = create();

    if (iovageom_rangeset_from_array(set, ranges, count) != 0)
        abort();
    return set;
}

static size_t array(enum bench_algebra op, const struct iovageom_range *a, size_t a_count,
                    const struct iovageom_range *b, size_t b_count, struct iovageom_range *out)
{
    struct iovageom_range window = {0, bench_algebra_last};
    size_t count = 0;
    int status;

    if (op == BENCH_UNION)
        status = iovageom_ranges_union(a, a_count, b, b_count, out, a_count + b_count, &count);
    else if (op == BENCH_INTERSECTION)
        status =
            iovageom_ranges_intersection(a, a_count, b, b_count, out, a_count + b_count, &count);
    else
        status = iovageom_ranges_complement(a, a_count, window, out, a_count + 1, &count);
    if (status != 0)
        abort();
    return count;
}

static void *tree(enum bench_algebra op, void *a, void *b)
{
    struct iovageom_range window = {0, bench_algebra_last};
    void *result = create();
    int status;

    if (op == BENCH_UNION)
        status = iovageom_rangeset_union(result, a, b);
    else if (op == BENCH_INTERSECTION)
        status = iovageom_rangeset_intersection(result, a, b);
    else
        status = iovageom_rangeset_complement(result, a, window);
    if (status != 0)
        abort();
    return result;
}

static size_t dump(void *set, struct iovageom_range *out, size_t capacity)
{
    size_t count = 0;

    if (iovageom_rangeset_to_array(set, out, capacity, &count) != 0)
        abort();
    return count;
}

static const struct bench_peer ours = {
    .name = "ours",
    .what = "libiovageom rangeset",
    .create = create,
    .destroy = destroy,
    .insert = insert,
    .churn = churn,
    .lookup = lookup,
    .overlap = overlap,
    .iterate = iterate,
    .find_hole = find_hole,
    .build_sorted = build_sorted,
    .build_unsorted = build_unsorted,
    .array = array,
    .tree = tree,
    .dump = dump,
};
BENCH_PEER(ours)

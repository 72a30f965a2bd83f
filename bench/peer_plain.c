/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers that need no library: memcpy of the inputs, a plain merge, a scan of a sorted array. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static size_t memcpy_array(enum bench_algebra op, const struct iovageom_range *a, size_t a_count,
                           const struct iovageom_range *b, size_t b_count,
                           struct iovageom_range *out)
{
    memcpy(out, a, a_count * sizeof(*a));
    if (op == BENCH_COMPLEMENT)
        return a_count;
    memcpy(out + a_count, b, b_count * sizeof(*b));
    return a_count + b_count;
}

static const struct bench_peer plain_memcpy = {
    .name = "memcpy",
    .what = "memcpy of the inputs: what moving the bytes alone takes",
    .array = memcpy_array,
    .unchecked = true,
};
BENCH_PEER(plain_memcpy)

static size_t merge_union(const struct iovageom_range *a, size_t a_count,
                          const struct iovageom_range *b, size_t b_count,
                          struct iovageom_range *out)
{
    size_t count = 0;
    size_t i = 0;
    size_t j = 0;

    while (i < a_count || j < b_count) {
        struct iovageom_range next;

        if (j == b_count || (i < a_count && a[i].start <= b[j].start))
            next = a[i++];
        else
            next = b[j++];
        if (count && (next.start <= out[count - 1].last || next.start - out[count - 1].last == 1)) {
            if (next.last > out[count - 1].last)
                out[count - 1].last = next.last;
        } else {
            out[count++] = next;
        }
    }
    return count;
}

static size_t merge_intersection(const struct iovageom_range *a, size_t a_count,
                                 const struct iovageom_range *b, size_t b_count,
                                 struct iovageom_range *out)
{
    size_t count = 0;
    size_t i = 0;
    size_t j = 0;

    while (i < a_count && j < b_count) {
        uint64_t start = a[i].start > b[j].start ? a[i].start : b[j].start;
        uint64_t last = a[i].last < b[j].last ? a[i].last : b[j].last;

        if (start <= last) {
            out[count].start = start;
            out[count++].last = last;
        }
        if (a[i].last < b[j].last)
            i++;
        else
            j++;
    }
    return count;
}

static size_t merge_complement(const struct iovageom_range *a, size_t a_count,
                               struct iovageom_range *out)
{
    uint64_t from = 0;
    size_t count = 0;

    for (size_t i = 0; i < a_count; i++) {
        if (a[i].start > from) {
            out[count].start = from;
            out[count++].last = a[i].start - 1;
        }
        from = a[i].last + 1;
    }
    if (from <= bench_algebra_last) {
        out[count].start = from;
        out[count++].last = bench_algebra_last;
    }
    return count;
}

static size_t merge_array(enum bench_algebra op, const struct iovageom_range *a, size_t a_count,
                          const struct iovageom_range *b, size_t b_count,
                          struct iovageom_range *out)
{
    switch (op) {
    case BENCH_UNION:
        return merge_union(a, a_count, b, b_count, out);
    case BENCH_INTERSECTION:
        return merge_intersection(a, a_count, b, b_count, out);
    default:
        return merge_complement(a, a_count, out);
    }
}

static const struct bench_peer plain_merge = {
    .name = "merge",
    .what = "a textbook two-pointer merge of sorted arrays",
    .array = merge_array,
};
BENCH_PEER(plain_merge)

struct array {
    size_t count;
    struct iovageom_range ranges[];
};

static void *array_prepare(const struct iovageom_range *ranges, size_t count)
{
    struct array *array = malloc(sizeof(*array) + count * sizeof(*ranges));

    if (!array)
        abort();
    array->count = count;
    memcpy(array->ranges, ranges, count * sizeof(*ranges));
    return array;
}

static uint64_t array_find_hole(void *set, const struct bench_hole *queries, size_t count)
{
    const struct array *array = set;
    uint64_t sum = 0;

    for (size_t k = 0; k < count; k++) {
        size_t low = 0;
        size_t high = array->count;
        uint64_t from = queries[k].min;

        while (low < high) {
            size_t middle = low + (high - low) / 2;

            if (array->ranges[middle].last < from)
                low = middle + 1;
            else
                high = middle;
        }
        for (; low < array->count; low++) {
            if (array->ranges[low].start > from &&
                array->ranges[low].start - from >= queries[k].size)
                break;
            from = array->ranges[low].last + 1;
        }
        sum += queries[k].max - from + 1 >= queries[k].size ? from : BENCH_NO_HOLE;
    }
    return sum;
}

static const struct bench_peer plain_array = {
    .name = "array",
    .what = "a sorted array, searched by bisection and scanned from there",
    .prepare = array_prepare,
    .destroy = free,
    .find_hole = array_find_hole,
};
BENCH_PEER(plain_array)

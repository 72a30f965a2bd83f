/* SPDX-License-Identifier: BSD-3-Clause */
/* CRoaring: algebra on bitmaps of page numbers in run containers. */
#include <stdlib.h>

#include <roaring/roaring.h>

#include "bench.h"

static void destroy(void *set)
{
    roaring_bitmap_free(set);
}

static void *prepare(const struct iovageom_range *ranges, size_t count)
{
    roaring_bitmap_t *bitmap = roaring_bitmap_create();

    if (!bitmap)
        abort();
    for (size_t i = 0; i < count; i++)
        roaring_bitmap_add_range_closed(bitmap, (uint32_t)(ranges[i].start / BENCH_PAGE),
                                        (uint32_t)(ranges[i].last / BENCH_PAGE));
    roaring_bitmap_run_optimize(bitmap);
    roaring_bitmap_shrink_to_fit(bitmap);
    return bitmap;
}

static void *tree(enum bench_algebra op, void *a, void *b)
{
    if (op == BENCH_UNION)
        return roaring_bitmap_or(a, b);
    if (op == BENCH_INTERSECTION)
        return roaring_bitmap_and(a, b);
    return roaring_bitmap_flip(a, 0, bench_algebra_last / BENCH_PAGE + 1);
}

static uint64_t digest(void *set, const uint64_t *probes, size_t count)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < count; k++)
        sum = sum * 31 + roaring_bitmap_rank(set, (uint32_t)(probes[k] / BENCH_PAGE));
    return sum;
}

static const struct bench_peer roaring = {
    .name = "croaring",
    .what = "CRoaring bitmaps of page numbers, in run containers",
    .destroy = destroy,
    .prepare = prepare,
    .tree = tree,
    .digest = digest,
};
BENCH_PEER(roaring)

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/pgsize.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "itree.h"
#include "ranges_internal.h"

enum { BUFFER = 128 };

/* The next run of a set's ranges; false at the end. */
static bool refill(struct iovageom_itree_cursor *cursor, const struct iovageom_range **at,
                   const struct iovageom_range **end)
{
    struct iovageom_itree_entry first = {NULL, NULL};
    size_t run = iovageom_itree_span(cursor, &first);

    if (run == 0)
        return false;
    *at = first.range;
    *end = first.range + run;
    return true;
}

/* Merges the two sets, of which one may be missing, or a merge that has its b already. */
static int combine(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                   const struct iovageom_rangeset *b, struct iovageom_merge *merge, uint64_t from,
                   iovageom_merge_step *step)
{
    struct iovageom_range buffer[BUFFER];
    struct iovageom_itree_builder builder;
    struct iovageom_itree_cursor of_a;
    struct iovageom_itree_cursor of_b;
    bool done;

    iovageom_itree_build(&builder, (struct iovageom_itree *)result, 0);
    iovageom_itree_cursor_init(&of_a, (const struct iovageom_itree *)a, from, false);
    iovageom_itree_cursor_init(&of_b, (const struct iovageom_itree *)b, 0, false);
    merge->more_a = true;
    merge->more_b = b != NULL;
    do {
        if (merge->more_a && merge->a == merge->a_end)
            merge->more_a = refill(&of_a, &merge->a, &merge->a_end);
        if (merge->more_b && merge->b == merge->b_end)
            merge->more_b = refill(&of_b, &merge->b, &merge->b_end);
        merge->out = buffer;
        merge->out_end = buffer + BUFFER;
        done = step(merge);
        iovageom_itree_append(&builder, buffer, NULL, (size_t)(merge->out - buffer));
    } while (!done);
    return iovageom_itree_finish(&builder);
}

int iovageom_rangeset_union(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                            const struct iovageom_rangeset *b)
{
    struct iovageom_merge merge = {0};

    return combine(result, a, b, &merge, 0, iovageom_merge_union);
}

int iovageom_rangeset_intersection(struct iovageom_rangeset *result,
                                   const struct iovageom_rangeset *a,
                                   const struct iovageom_rangeset *b)
{
    struct iovageom_merge merge = {0};

    return combine(result, a, b, &merge, 0, iovageom_merge_intersection);
}

int iovageom_rangeset_difference(struct iovageom_rangeset *result,
                                 const struct iovageom_rangeset *a,
                                 const struct iovageom_rangeset *b)
{
    struct iovageom_merge merge = {0};

    return combine(result, a, b, &merge, 0, iovageom_merge_difference);
}

int iovageom_rangeset_symmetric_difference(struct iovageom_rangeset *result,
                                           const struct iovageom_rangeset *a,
                                           const struct iovageom_rangeset *b)
{
    struct iovageom_merge merge = {0};

    return combine(result, a, b, &merge, 0, iovageom_merge_symmetric_difference);
}

int iovageom_rangeset_complement(struct iovageom_rangeset *result,
                                 const struct iovageom_rangeset *a, struct iovageom_range window)
{
    struct iovageom_merge merge = {0};

    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    merge.pending = window;
    return combine(result, a, NULL, &merge, window.start, iovageom_merge_complement);
}

int iovageom_rangeset_clip(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                           struct iovageom_range window)
{
    struct iovageom_merge merge = {0};

    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    merge.b = &window;
    merge.b_end = &window + 1;
    return combine(result, a, NULL, &merge, window.start, iovageom_merge_intersection);
}

static int align(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                 uint64_t granule, bool inward)
{
    struct iovageom_itree_builder builder;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    struct iovageom_range pending = {0, 0};
    bool any = false;

    if (!iovageom_pgsize_is_power(granule))
        return IOVAGEOM_ERR_INVALID;
    iovageom_itree_build(&builder, (struct iovageom_itree *)result, 0);
    iovageom_rangeset_seek(a, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range)) {
        if (inward && !iovageom_range_align_inward(range, granule, &range))
            continue;
        if (!inward)
            range = iovageom_range_align_outward(range, granule);
        if (any && iovageom_range_touches(pending, range)) {
            pending = iovageom_range_hull(pending, range);
            continue;
        }
        if (any)
            iovageom_itree_append(&builder, &pending, NULL, 1);
        pending = range;
        any = true;
    }
    if (any)
        iovageom_itree_append(&builder, &pending, NULL, 1);
    return iovageom_itree_finish(&builder);
}

int iovageom_rangeset_align_inward(struct iovageom_rangeset *result,
                                   const struct iovageom_rangeset *a, uint64_t granule)
{
    return align(result, a, granule, true);
}

int iovageom_rangeset_align_outward(struct iovageom_rangeset *result,
                                    const struct iovageom_rangeset *a, uint64_t granule)
{
    return align(result, a, granule, false);
}

bool iovageom_rangeset_subset(const struct iovageom_rangeset *inner,
                              const struct iovageom_rangeset *outer)
{
    struct iovageom_rangeset_cursor in;
    struct iovageom_rangeset_cursor out;
    struct iovageom_range range;
    struct iovageom_range around = {0, 0};
    bool any = false;

    iovageom_rangeset_seek(inner, 0, &in);
    iovageom_rangeset_seek(outer, 0, &out);
    while (iovageom_rangeset_next(&in, &range)) {
        while (!any || around.last < range.start) {
            any = iovageom_rangeset_next(&out, &around);
            if (!any)
                return false;
        }
        if (!iovageom_range_contains(around, range))
            return false;
    }
    return true;
}

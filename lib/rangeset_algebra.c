/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/pgsize.h>
#include <iovageom/ranges.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "itree.h"

typedef int operation(const struct iovageom_range *a, size_t a_count,
                      const struct iovageom_range *b, size_t b_count, struct iovageom_range *out,
                      size_t capacity, size_t *count);

static int combine(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                   const struct iovageom_rangeset *b, operation *operate)
{
    const struct iovageom_allocator *allocator = &((struct iovageom_itree *)result)->allocator;
    size_t a_count = iovageom_rangeset_count(a);
    size_t b_count = iovageom_rangeset_count(b);
    size_t room = 2 * (a_count + b_count);
    size_t count;
    struct iovageom_range *ranges;
    int status;

    if (room == 0) {
        iovageom_rangeset_clear(result);
        return IOVAGEOM_OK;
    }
    ranges = allocator->allocate(allocator->context, room * sizeof(*ranges));
    if (!ranges)
        return IOVAGEOM_ERR_NO_MEMORY;
    iovageom_rangeset_to_array(a, ranges, a_count, &count);
    iovageom_rangeset_to_array(b, ranges + a_count, b_count, &count);
    operate(ranges, a_count, ranges + a_count, b_count, ranges + room / 2, room / 2, &count);
    status = iovageom_rangeset_from_sorted(result, ranges + room / 2, count);
    allocator->release(allocator->context, ranges, room * sizeof(*ranges));
    return status;
}

int iovageom_rangeset_union(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                            const struct iovageom_rangeset *b)
{
    return combine(result, a, b, iovageom_ranges_union);
}

int iovageom_rangeset_intersection(struct iovageom_rangeset *result,
                                   const struct iovageom_rangeset *a,
                                   const struct iovageom_rangeset *b)
{
    return combine(result, a, b, iovageom_ranges_intersection);
}

int iovageom_rangeset_difference(struct iovageom_rangeset *result,
                                 const struct iovageom_rangeset *a,
                                 const struct iovageom_rangeset *b)
{
    return combine(result, a, b, iovageom_ranges_difference);
}

int iovageom_rangeset_symmetric_difference(struct iovageom_rangeset *result,
                                           const struct iovageom_rangeset *a,
                                           const struct iovageom_rangeset *b)
{
    return combine(result, a, b, iovageom_ranges_symmetric_difference);
}

static int with_window(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                       struct iovageom_range window, bool complement)
{
    struct iovageom_rangeset other;
    int status;

    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    iovageom_rangeset_init(&other, &((struct iovageom_itree *)result)->allocator);
    iovageom_rangeset_insert(&other, window);
    status = complement ? iovageom_rangeset_difference(result, &other, a)
                        : iovageom_rangeset_intersection(result, &other, a);
    iovageom_rangeset_deinit(&other);
    return status;
}

int iovageom_rangeset_complement(struct iovageom_rangeset *result,
                                 const struct iovageom_rangeset *a, struct iovageom_range window)
{
    return with_window(result, a, window, true);
}

int iovageom_rangeset_clip(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                           struct iovageom_range window)
{
    return with_window(result, a, window, false);
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
    iovageom_itree_build(&builder, (struct iovageom_itree *)result);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole sets, and their algebra. Results are built in new nodes, which take the place of the old
 * ones at the end: so a result may be an input, and a failure changes nothing. */
#include <iovageom/rangeset.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/range.h"
#include "itree_internal.h"
#include "rangeset_internal.h"
#include "sweep.h"

/* Exchanged trees get a number of changes that no cursor has seen on either of them. */
void iovageom_rangeset_swap(struct iovageom_rangeset *a, struct iovageom_rangeset *b)
{
    const uint64_t changes = tree_in(a)->changes + tree_in(b)->changes + 1;
    const struct iovageom_itree held = *tree_in(a);

    *tree_of(a) = *tree_in(b);
    *tree_of(b) = held;
    tree_of(a)->changes = tree_of(b)->changes = changes;
}

int iovageom_rangeset_to_array(const struct iovageom_rangeset *set, struct iovageom_range *out,
                               size_t capacity, size_t *count)
{
    struct iovageom_itree_cursor cursor;
    const struct iovageom_range *first;
    size_t run;

    *count = tree_in(set)->count;
    if (capacity < *count)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    if (!tree_in(set)->root.node && *count > 0) {
        memcpy(out, tree_in(set)->inline_ranges, *count * sizeof(*out));
        return IOVAGEOM_OK;
    }
    iovageom_itree_cursor_init(&cursor, tree_in(set), 0);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0) {
        memcpy(out, first, run * sizeof(*out));
        out += run;
    }
    return IOVAGEOM_OK;
}

struct iovageom_size iovageom_rangeset_size(const struct iovageom_rangeset *set)
{
    struct iovageom_size size = {0, 0};
    struct iovageom_itree_cursor cursor;
    const struct iovageom_range *first;
    size_t run;

    iovageom_itree_cursor_init(&cursor, tree_in(set), 0);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0)
        for (size_t i = 0; i < run; i++)
            size = iovageom_size_add(size, iovageom_range_size(first[i]));
    return size;
}

bool iovageom_rangeset_hull(const struct iovageom_rangeset *set, struct iovageom_range *out)
{
    const struct iovageom_itree_entry entry = iovageom_itree_find(tree_in(set), 0);

    if (!entry.range)
        return false;
    *out = (struct iovageom_range){entry.range->start, tree_in(set)->highest};
    return true;
}

bool iovageom_rangeset_equal(const struct iovageom_rangeset *a, const struct iovageom_rangeset *b)
{
    struct iovageom_rangeset_cursor of_a, of_b;
    struct iovageom_range one, other;
    bool equal = tree_in(a)->count == tree_in(b)->count;

    iovageom_rangeset_seek(a, 0, &of_a);
    iovageom_rangeset_seek(b, 0, &of_b);
    while (equal && iovageom_rangeset_next(&of_a, &one) && iovageom_rangeset_next(&of_b, &other))
        equal = iovageom_range_equal(one, other);
    return equal;
}

/* ---- algebra ---- */

/* Makes `result` the union, intersection or difference of a and b, or of `window` and b if it is
 * not NULL; `a` may be NULL then. */
static int combine_sets(struct iovageom_rangeset *result, enum iovageom_sweep_kind kind,
                        const struct iovageom_rangeset *a, const struct iovageom_range *window,
                        const struct iovageom_rangeset *b)
{
    struct iovageom_itree_builder builder;
    struct iovageom_sweep sweep;
    struct iovageom_range some[4 * LEAF_SLOTS];
    size_t count;

    iovageom_sweep_init(&sweep, kind);
    if (window)
        iovageom_sweep_array(&sweep.inputs[0], window, 1);
    else
        iovageom_sweep_tree(&sweep.inputs[0], tree_in(a), 0);
    iovageom_sweep_tree(&sweep.inputs[1], tree_in(b), window ? window->start : 0);
    iovageom_itree_build(&builder, tree_of(result));
    while ((count = iovageom_sweep_next(&sweep, some, sizeof(some) / sizeof(some[0]))) > 0)
        iovageom_itree_append(&builder, some, count);
    return iovageom_itree_finish(&builder);
}

/* Inserts the ranges of `from` one by one; with `apart`, only those that touch none of it. On an
 * error, those that came before stay. */
static int insert_each(struct iovageom_rangeset *set, const struct iovageom_rangeset *from,
                       const struct iovageom_rangeset *apart)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    int status = IOVAGEOM_OK;

    iovageom_rangeset_seek(from, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range))
        if (!apart || !iovageom_rangeset_overlaps(apart, iovageom_range_around(range)))
            status = iovageom_rangeset_insert(set, range);
    return status;
}

/*
 * Adds few ranges to a set of many, one by one in O(log n) each. A sweep would go through all of
 * the many, and a caller who unites a thousand short sets would do that a thousand times.
 *
 * All or nothing: only ranges that join no other ("fresh") need memory. They are inserted first;
 * when one fails, all of them are removed again, which needs no memory. The others then can't fail.
 */
static int unite_few(struct iovageom_rangeset *set, const struct iovageom_rangeset *few)
{
    struct iovageom_rangeset fresh;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    int status;

    (void)iovageom_rangeset_init(&fresh, iovageom_rangeset_allocator(set));
    status = insert_each(&fresh, few, set);
    if (status == IOVAGEOM_OK)
        status = insert_each(set, &fresh, NULL);
    iovageom_rangeset_seek(&fresh, 0, &cursor);
    while (status != IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range))
        (void)iovageom_rangeset_remove(set, range);
    iovageom_rangeset_deinit(&fresh);
    return status == IOVAGEOM_OK ? insert_each(set, few, NULL) : status;
}

int iovageom_rangeset_union(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                            const struct iovageom_rangeset *b)
{
    enum { MANY = 64 }; /* with 64 times as many ranges, single insertions cost less than a sweep */
    const struct iovageom_rangeset *other = result == a ? b : a;

    if ((result == a || result == b) &&
        iovageom_rangeset_count(other) < iovageom_rangeset_count(result) / MANY)
        return unite_few(result, other);
    return combine_sets(result, IOVAGEOM_SWEEP_UNION, a, NULL, b);
}

int iovageom_rangeset_intersection(struct iovageom_rangeset *result,
                                   const struct iovageom_rangeset *a,
                                   const struct iovageom_rangeset *b)
{
    return combine_sets(result, IOVAGEOM_SWEEP_INTERSECTION, a, NULL, b);
}

int iovageom_rangeset_difference(struct iovageom_rangeset *result,
                                 const struct iovageom_rangeset *a,
                                 const struct iovageom_rangeset *b)
{
    return combine_sets(result, IOVAGEOM_SWEEP_DIFFERENCE, a, NULL, b);
}

int iovageom_rangeset_complement(struct iovageom_rangeset *result,
                                 const struct iovageom_rangeset *a, struct iovageom_range window)
{
    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    return combine_sets(result, IOVAGEOM_SWEEP_DIFFERENCE, NULL, &window, a);
}

int iovageom_rangeset_clip(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                           struct iovageom_range window)
{
    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    return combine_sets(result, IOVAGEOM_SWEEP_INTERSECTION, NULL, &window, a);
}

static int align_all(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                     uint64_t granule, bool inward)
{
    struct iovageom_rangeset aligned;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    int status = iovageom_rangeset_init(&aligned, iovageom_rangeset_allocator(result));

    if (!iovageom_pgsize_is_power(granule))
        return IOVAGEOM_ERR_INVALID;
    iovageom_rangeset_seek(a, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range))
        if (!inward)
            status =
                iovageom_rangeset_insert(&aligned, iovageom_range_align_outward(range, granule));
        else if (iovageom_range_align_inward(range, granule, &range))
            status = iovageom_rangeset_insert(&aligned, range);
    if (status == IOVAGEOM_OK)
        iovageom_rangeset_swap(result, &aligned);
    iovageom_rangeset_deinit(&aligned);
    return status;
}

int iovageom_rangeset_align_inward(struct iovageom_rangeset *result,
                                   const struct iovageom_rangeset *a, uint64_t granule)
{
    return align_all(result, a, granule, true);
}

int iovageom_rangeset_align_outward(struct iovageom_rangeset *result,
                                    const struct iovageom_rangeset *a, uint64_t granule)
{
    return align_all(result, a, granule, false);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/rangeset.h>

#include <string.h>

#include <iovageom/pgsize.h>
#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "../base/range.h"
#include "../base/array.h"
#include "itree_internal.h"
#include "rangeset_internal.h"
#include "sweep.h"

/*
 * A set of addresses, as an interval tree without values. Its ranges never touch: an insertion
 * joins them. So each set has exactly one tree of ranges, and equal sets compare equal. The public
 * object is storage for the tree.
 */
_Static_assert(sizeof(struct iovageom_itree) <= sizeof(struct iovageom_rangeset), "storage");
_Static_assert(sizeof(struct iovageom_itree_cursor) <= sizeof(struct iovageom_rangeset_cursor),
               "storage");

static struct iovageom_itree *tree_of(struct iovageom_rangeset *set)
{
    return (struct iovageom_itree *)set;
}

static const struct iovageom_itree *tree_in(const struct iovageom_rangeset *set)
{
    return (const struct iovageom_itree *)set;
}

/* The entry as a result: *out, and whether there is one. */
static bool give_range(struct iovageom_itree_entry entry, struct iovageom_range *out)
{
    if (!entry.range)
        return false;
    *out = *entry.range;
    return true;
}

int iovageom_rangeset_init(struct iovageom_rangeset *set,
                           const struct iovageom_allocator *allocator)
{
    return iovageom_itree_init(tree_of(set), 0, allocator);
}

void iovageom_rangeset_deinit(struct iovageom_rangeset *set)
{
    if (set)
        iovageom_itree_clear(tree_of(set));
}

void iovageom_rangeset_clear(struct iovageom_rangeset *set)
{
    iovageom_itree_clear(tree_of(set));
}

void iovageom_rangeset_swap(struct iovageom_rangeset *a, struct iovageom_rangeset *b)
{
    iovageom_itree_swap(tree_of(a), tree_of(b));
}

int iovageom_rangeset_assign(struct iovageom_rangeset *set, const struct iovageom_rangeset *from)
{
    return iovageom_itree_copy(tree_of(set), tree_in(from));
}

static bool same_allocator(const struct iovageom_allocator *a, const struct iovageom_allocator *b)
{
    return a->allocate == b->allocate && a->release == b->release && a->context == b->context;
}

int iovageom_rangesets_give(struct iovageom_rangeset *const *sets, struct iovageom_rangeset *from,
                            size_t count)
{
    int status = IOVAGEOM_OK;

    /* Results whose set has another allocator are copied with that one first, which may fail. The
     * exchange that follows can't. */
    for (size_t i = 0; status == IOVAGEOM_OK && i < count; i++) {
        struct iovageom_rangeset copy;

        if (!sets[i] || same_allocator(&tree_of(sets[i])->allocator, &tree_of(&from[i])->allocator))
            continue;
        (void)iovageom_rangeset_init(&copy, &tree_of(sets[i])->allocator);
        status = iovageom_rangeset_assign(&copy, &from[i]);
        iovageom_rangeset_swap(&copy, &from[i]);
        iovageom_rangeset_deinit(&copy);
    }
    for (size_t i = 0; status == IOVAGEOM_OK && i < count; i++)
        if (sets[i])
            iovageom_rangeset_swap(sets[i], &from[i]);
    return status;
}

enum { FEW = 64 }; /* so many ranges are sorted on the stack (1 KiB), more in allocated memory */

/* From an array in normal form. */
static int fill(struct iovageom_rangeset *set, const struct iovageom_range *ranges, size_t count)
{
    struct iovageom_itree_builder builder;

    if (count <= IOVAGEOM_ITREE_INLINE) {
        iovageom_itree_fill(tree_of(set), ranges, count);
        return IOVAGEOM_OK;
    }
    iovageom_itree_build(&builder, tree_of(set), count);
    iovageom_itree_append(&builder, ranges, NULL, count);
    return iovageom_itree_finish(&builder);
}

int iovageom_rangeset_from_array(struct iovageom_rangeset *set, const struct iovageom_range *ranges,
                                 size_t count)
{
    const struct iovageom_allocator allocator = tree_of(set)->allocator;
    struct iovageom_range few[FEW];
    struct iovageom_range *sorted = few;
    size_t kept = count;
    int status;

    if (iovageom_ranges_normal(ranges, count))
        return fill(set, ranges, count);
    if (count > FEW)
        sorted = iovageom_array_new(&allocator, count, sizeof(*sorted));
    if (!sorted)
        return IOVAGEOM_ERR_NO_MEMORY;
    memcpy(sorted, ranges, count * sizeof(*sorted));
    status = iovageom_ranges_normalize(sorted, &kept);
    if (status == IOVAGEOM_OK)
        status = fill(set, sorted, kept);
    if (sorted != few)
        iovageom_array_free(&allocator, sorted, count, sizeof(*sorted));
    return status;
}

int iovageom_rangeset_to_array(const struct iovageom_rangeset *set, struct iovageom_range *out,
                               size_t capacity, size_t *count)
{
    struct iovageom_itree_cursor cursor;
    struct iovageom_itree_entry first;
    size_t run;

    *count = tree_in(set)->count;
    if (capacity < *count)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    iovageom_itree_cursor_init(&cursor, tree_in(set), 0);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0) {
        memcpy(out, first.range, run * sizeof(*out));
        out += run;
    }
    return IOVAGEOM_OK;
}

/*
 * Extends the entry, which touches `range`, over it and over all entries that it touches then.
 * First the new end: that of the range, or of the entry that holds the range's end or directly
 * follows it. Then the entries between the old and the new end are erased, and this one is resized.
 * No step needs memory, so an insertion that joins ranges can't fail.
 */
static void absorb(struct iovageom_itree *tree, struct iovageom_range entry,
                   struct iovageom_range range)
{
    struct iovageom_range merged = iovageom_range_hull(entry, range);
    struct iovageom_range beyond;
    struct iovageom_itree_path path;
    struct iovageom_itree_entry next;

    if (merged.last > entry.last) {
        next = iovageom_itree_find(tree, merged.last);
        if (!next.range || next.range->start > merged.last) {
            if (next.range && iovageom_range_precedes_directly(merged, *next.range))
                merged.last = next.range->last;
        } else {
            merged.last = next.range->last;
        }
        if (iovageom_range_above(entry, &beyond)) {
            beyond.last = merged.last;
            iovageom_itree_erase(tree, beyond);
        }
    }
    iovageom_itree_seek(tree, entry.start, &path);
    iovageom_itree_resize(tree, &path, merged);
}

int iovageom_rangeset_insert(struct iovageom_rangeset *set, struct iovageom_range range)
{
    struct iovageom_itree *tree = tree_of(set);
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry;

    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    /* From the address before the range on, so that an entry which ends there, and touches it, is
     * found. */
    entry = iovageom_itree_seek(tree, range.start - (range.start > 0), &path);
    if (!entry.range ||
        (entry.range->start > range.last && !iovageom_range_precedes_directly(range, *entry.range)))
        return iovageom_itree_insert(tree, &path, range, NULL);
    if (!iovageom_range_contains(*entry.range, range))
        absorb(tree, *entry.range, range);
    return IOVAGEOM_OK;
}

int iovageom_rangeset_remove(struct iovageom_rangeset *set, struct iovageom_range range)
{
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    return iovageom_itree_carve(tree_of(set), range);
}

size_t iovageom_rangeset_count(const struct iovageom_rangeset *set)
{
    return tree_in(set)->count;
}

struct iovageom_size iovageom_rangeset_size(const struct iovageom_rangeset *set)
{
    return iovageom_itree_size(tree_in(set));
}

bool iovageom_rangeset_hull(const struct iovageom_rangeset *set, struct iovageom_range *out)
{
    return iovageom_itree_hull(tree_in(set), out);
}

/* No two ranges of a set touch, so what the set contains is in one of its ranges. */
bool iovageom_rangeset_contains(const struct iovageom_rangeset *set, struct iovageom_range range)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(tree_in(set), range.last);

    return iovageom_range_valid(range) && entry.range && entry.range->start <= range.start;
}

bool iovageom_rangeset_overlaps(const struct iovageom_rangeset *set, struct iovageom_range range)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(tree_in(set), range.start);

    return iovageom_range_valid(range) && entry.range && entry.range->start <= range.last;
}

bool iovageom_rangeset_lookup(const struct iovageom_rangeset *set, uint64_t address,
                              struct iovageom_range *out)
{
    return overlap_into(find(tree_in(set), address), (struct iovageom_range){address, address},
                        out);
}

bool iovageom_rangeset_first_overlap(const struct iovageom_rangeset *set,
                                     struct iovageom_range range, struct iovageom_range *out)
{
    return overlap_into(find(tree_in(set), range.start), range, out);
}

bool iovageom_rangeset_above(const struct iovageom_rangeset *set, uint64_t address,
                             struct iovageom_range *out)
{
    return give_range(iovageom_itree_find_above(tree_in(set), address), out);
}

bool iovageom_rangeset_equal(const struct iovageom_rangeset *a, const struct iovageom_rangeset *b)
{
    return iovageom_itree_equal(tree_in(a), tree_in(b));
}

bool iovageom_rangeset_gap_above(const struct iovageom_rangeset *set, uint64_t address,
                                 struct iovageom_range *out)
{
    return iovageom_itree_gap_above(tree_in(set), address, 1, out);
}

bool iovageom_rangeset_gap_below(const struct iovageom_rangeset *set, uint64_t address,
                                 struct iovageom_range *out)
{
    return iovageom_itree_gap_below(tree_in(set), address, 1, out);
}

int iovageom_rangeset_first_hole(const struct iovageom_rangeset *set, struct iovageom_range limits,
                                 uint64_t size, uint64_t alignment, struct iovageom_range *out)
{
    return iovageom_itree_hole(tree_in(set), false, limits, size, alignment, out);
}

int iovageom_rangeset_last_hole(const struct iovageom_rangeset *set, struct iovageom_range limits,
                                uint64_t size, uint64_t alignment, struct iovageom_range *out)
{
    return iovageom_itree_hole(tree_in(set), true, limits, size, alignment, out);
}

static struct iovageom_itree_cursor *tree_cursor(struct iovageom_rangeset_cursor *cursor)
{
    return (struct iovageom_itree_cursor *)cursor;
}

void iovageom_rangeset_seek(const struct iovageom_rangeset *set, uint64_t address,
                            struct iovageom_rangeset_cursor *cursor)
{
    iovageom_itree_cursor_init(tree_cursor(cursor), tree_in(set), address);
}

size_t iovageom_rangeset_span(struct iovageom_rangeset_cursor *cursor,
                              const struct iovageom_range **ranges)
{
    struct iovageom_itree_entry first = {NULL, NULL};
    const size_t run = iovageom_itree_span((struct iovageom_itree_cursor *)cursor, &first);

    *ranges = first.range;
    return run;
}

bool iovageom_rangeset_next(struct iovageom_rangeset_cursor *cursor, struct iovageom_range *out)
{
    const struct iovageom_range *here = next_here(tree_cursor(cursor));

    if (!here)
        return give_range(iovageom_itree_next(tree_cursor(cursor)), out);
    *out = *here;
    return true;
}

/* ---- algebra ---- */

/*
 * Makes `result` the union, intersection or difference of a and b, or of `window` and b if it is
 * not NULL; `a` may be NULL then. The result may be one of the inputs: it is built in new nodes,
 * which take the place of the old ones at the end. So a failure leaves everything as it was.
 */
static int combine_sets(struct iovageom_rangeset *result, enum iovageom_sweep_kind kind,
                        const struct iovageom_rangeset *a, const struct iovageom_range *window,
                        const struct iovageom_rangeset *b)
{
    struct iovageom_itree_builder builder;
    struct iovageom_sweep sweep;
    struct iovageom_range some[4 * LEAF_SLOTS];
    const size_t room = sizeof(some) / sizeof(some[0]);
    size_t count;

    iovageom_sweep_init(&sweep, kind);
    if (window)
        iovageom_sweep_array(&sweep.inputs[0], window, 1);
    else
        iovageom_sweep_tree(&sweep.inputs[0], tree_in(a), 0);
    iovageom_sweep_tree(&sweep.inputs[1], tree_in(b), window ? window->start : 0);
    count = iovageom_sweep_next(&sweep, some, room);
    /* If this was the whole result, its number of ranges is known, and leaves get equally full. */
    iovageom_itree_build(&builder, tree_of(result), count < room ? count : 0);
    for (; count > 0; count = iovageom_sweep_next(&sweep, some, room))
        iovageom_itree_append(&builder, some, NULL, count);
    return iovageom_itree_finish(&builder);
}

/* Whether any range of the set overlaps this one or touches it: then inserting it joins them. */
static bool joins_any(const struct iovageom_rangeset *set, struct iovageom_range range)
{
    struct iovageom_range around = range;
    struct iovageom_range beside;

    if (iovageom_range_below(range, &beside))
        around.start = beside.last;
    if (iovageom_range_above(range, &beside))
        around.last = beside.start;
    return iovageom_rangeset_overlaps(set, around);
}

/*
 * Adds few ranges to a set of many, one by one in O(log n) each. A sweep would go through all of
 * the many, and a caller who unites a thousand short sets would do that a thousand times.
 *
 * All or nothing: only ranges that join no other ("fresh") need memory. They are inserted first;
 * when one fails, those before it are removed again, which needs no memory. The others then can't
 * fail.
 */
static int unite_few(struct iovageom_rangeset *set, const struct iovageom_rangeset *few)
{
    struct iovageom_rangeset fresh;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    size_t done = 0;
    int status = iovageom_rangeset_init(&fresh, &((struct iovageom_itree *)set)->allocator);

    iovageom_rangeset_seek(few, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range))
        if (!joins_any(set, range))
            status = iovageom_rangeset_insert(&fresh, range);
    iovageom_rangeset_seek(&fresh, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range)) {
        status = iovageom_rangeset_insert(set, range);
        done += status == IOVAGEOM_OK;
    }
    if (status != IOVAGEOM_OK) {
        iovageom_rangeset_seek(&fresh, 0, &cursor);
        for (; done > 0 && iovageom_rangeset_next(&cursor, &range); done--)
            (void)iovageom_rangeset_remove(set, range);
    }
    iovageom_rangeset_deinit(&fresh);
    iovageom_rangeset_seek(few, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range))
        status = iovageom_rangeset_insert(set, range);
    return status;
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

/* Ranges that don't touch may do so after aligning them outward, if two have their ends in one
 * granule. So each is kept in `pending` until the next one is known not to touch it. */
static int align_all(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
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
    return align_all(result, a, granule, true);
}

int iovageom_rangeset_align_outward(struct iovageom_rangeset *result,
                                    const struct iovageom_rangeset *a, uint64_t granule)
{
    return align_all(result, a, granule, false);
}

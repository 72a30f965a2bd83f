/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/rangeset.h>

#include <string.h>

#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "../base/range.h"
#include "../base/array.h"
#include "itree_internal.h"
#include "rangeset_internal.h"

/*
 * A set of addresses, as an interval tree without values. Its ranges never touch: an insertion
 * joins them. So each set has exactly one tree of ranges, and equal sets compare equal. The public
 * object is storage for the tree.
 */
_Static_assert(sizeof(struct iovageom_itree) <= sizeof(struct iovageom_rangeset), "storage");
_Static_assert(sizeof(struct iovageom_itree_cursor) <= sizeof(struct iovageom_rangeset_cursor),
               "storage");

int iovageom_rangeset_init(struct iovageom_rangeset *set,
                           const struct iovageom_allocator *allocator)
{
    return iovageom_itree_init(tree_of(set), 0, allocator);
}

void iovageom_rangeset_deinit(struct iovageom_rangeset *set)
{
    if (set && tree_of(set)->root.node)
        iovageom_itree_release(tree_of(set));
}

void iovageom_rangeset_clear(struct iovageom_rangeset *set)
{
    iovageom_itree_clear(tree_of(set));
}

/* From an array in normal form. The slots of an empty set are unused already. */
int iovageom_rangeset_fill(struct iovageom_rangeset *set, const struct iovageom_range *ranges,
                           size_t count)
{
    struct iovageom_itree *tree = tree_of(set);
    struct iovageom_itree_builder builder;

    if (count <= IOVAGEOM_ITREE_INLINE) {
        if (tree->count > 0)
            iovageom_itree_clear(tree);
        tree->changes++;
        tree->count = count;
        tree->root.count = (uint32_t)count;
        tree->highest = count > 0 ? ranges[count - 1].last : 0;
        for (size_t i = 0; i < count; i++) /* few: gcc's own way for any number takes longer */
            tree->inline_ranges[i] = ranges[i];
        return IOVAGEOM_OK;
    }
    iovageom_itree_build(&builder, tree);
    iovageom_itree_append(&builder, ranges, count);
    return iovageom_itree_finish(&builder);
}

int iovageom_rangeset_assign(struct iovageom_rangeset *set, const struct iovageom_rangeset *from)
{
    struct iovageom_itree_builder builder;
    struct iovageom_itree_cursor cursor;
    const struct iovageom_range *first;
    size_t run;

    if (set == from)
        return IOVAGEOM_OK;
    if (!tree_in(from)->root.node)
        return iovageom_rangeset_fill(set, tree_in(from)->inline_ranges, tree_in(from)->count);
    iovageom_itree_build(&builder, tree_of(set));
    iovageom_itree_cursor_init(&cursor, tree_in(from), 0);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0)
        iovageom_itree_append(&builder, first, run);
    return iovageom_itree_finish(&builder);
}

enum { FEW = 64 }; /* so many ranges are sorted on the stack (1 KiB), more in allocated memory */

/* Normal form (ranges.h). Each step first makes sure that starts ascend, so that the difference
 * can't wrap; a difference of 1 means that two ranges touch. */
static bool is_normal(const struct iovageom_range *ranges, size_t count)
{
    if (count > 0 && !iovageom_range_valid(ranges[0]))
        return false;
    for (size_t i = 1; i < count; i++)
        if (ranges[i].start <= ranges[i - 1].last || ranges[i].start - ranges[i - 1].last == 1 ||
            ranges[i].start > ranges[i].last)
            return false;
    return true;
}

int iovageom_rangeset_from_array(struct iovageom_rangeset *set, const struct iovageom_range *ranges,
                                 size_t count)
{
    const struct iovageom_allocator allocator = tree_of(set)->allocator;
    struct iovageom_range few[FEW];
    struct iovageom_range *sorted = few;
    size_t kept = count;
    int status;

    if (is_normal(ranges, count))
        return iovageom_rangeset_fill(set, ranges, count);
    if (count > FEW)
        sorted = iovageom_array_new(&allocator, count, sizeof(*sorted));
    if (!sorted)
        return IOVAGEOM_ERR_NO_MEMORY;
    memcpy(sorted, ranges, count * sizeof(*sorted));
    status = iovageom_ranges_normalize(sorted, &kept);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_fill(set, sorted, kept);
    if (sorted != few)
        iovageom_array_free(&allocator, sorted, count, sizeof(*sorted));
    return status;
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
    struct iovageom_range merged = iovageom_range_hull(entry, range), beyond;
    const struct iovageom_itree_entry next = iovageom_itree_find(tree, merged.last);
    struct iovageom_itree_path path;

    if (next.range && iovageom_range_touches(merged, *next.range))
        merged.last = next.range->last;
    if (iovageom_range_above(entry, &beyond))
        iovageom_itree_erase(tree, (struct iovageom_range){beyond.start, merged.last});
    iovageom_itree_seek(tree, entry.start, &path);
    iovageom_itree_resize(tree, &path, merged);
}

int iovageom_rangeset_insert(struct iovageom_rangeset *set, struct iovageom_range range)
{
    const struct iovageom_range around = iovageom_range_around(range);
    struct iovageom_itree *tree = tree_of(set);
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry;

    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    entry = iovageom_itree_seek(tree, around.start, &path);
    if (!entry.range || entry.range->start > around.last)
        return iovageom_itree_insert(tree, &path, range, NULL);
    if (!iovageom_range_contains(*entry.range, range))
        absorb(tree, *entry.range, range);
    return IOVAGEOM_OK;
}

/*
 * At most one entry begins below `range`, and is cut; at most one ends above it, and is cut; those
 * between go whole. None of that can fail, unless it is one entry that does both, and becomes two:
 * its lower part comes in front of it first. An entry that begins in `range` and ends where it ends
 * is the only one to go, without a second search.
 */
int iovageom_rangeset_remove(struct iovageom_rangeset *set, struct iovageom_range range)
{
    struct iovageom_itree *tree = tree_of(set);
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry;
    struct iovageom_range rest[2];

    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    entry = iovageom_itree_seek(tree, range.start, &path);
    if (!entry.range || entry.range->start > range.last)
        return IOVAGEOM_OK;
    if (entry.range->start < range.start) {
        if (iovageom_range_subtract(*entry.range, range, rest) == 1)
            iovageom_itree_resize(tree, &path, rest[0]);
        else if (iovageom_itree_insert(tree, &path, rest[0], NULL) != IOVAGEOM_OK)
            return IOVAGEOM_ERR_NO_MEMORY;
    } else if (entry.range->last == range.last) {
        iovageom_itree_cut(tree, &path, 1);
        return IOVAGEOM_OK;
    }
    entry = iovageom_itree_seek(tree, range.last, &path);
    if (entry.range && entry.range->start <= range.last && entry.range->last > range.last)
        iovageom_itree_resize(tree, &path,
                              rest[iovageom_range_subtract(*entry.range, range, rest) - 1]);
    iovageom_itree_erase(tree, range);
    return IOVAGEOM_OK;
}

size_t iovageom_rangeset_count(const struct iovageom_rangeset *set)
{
    return tree_in(set)->count;
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

/* `keep` is all ones or 0, in place of a branch that random queries mispredict each second time. */
bool iovageom_rangeset_first_overlap(const struct iovageom_rangeset *set,
                                     struct iovageom_range range, struct iovageom_range *out)
{
    const struct iovageom_itree_entry entry = find(tree_in(set), range.start);
    bool hit;
    uint64_t keep;

    if (!entry.range)
        return false;
    hit = (entry.range->start <= range.last) & (range.start <= range.last);
    keep = (uint64_t)hit - 1;
    out->start = (out->start & keep) | (entry.range->start & ~keep);
    out->last = (out->last & keep) | (entry.range->last & ~keep);
    return hit;
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

static NOINLINE bool next_elsewhere(struct iovageom_rangeset_cursor *cursor,
                                    struct iovageom_range *out)
{
    return iovageom_itree_more(tree_cursor(cursor)) && iovageom_rangeset_next(cursor, out);
}

ONE_LINE bool iovageom_rangeset_next(struct iovageom_rangeset_cursor *cursor,
                                     struct iovageom_range *out)
{
    const struct iovageom_range *range = next_here(tree_cursor(cursor));

    if (!range)
        return next_elsewhere(cursor, out);
    *out = *range;
    return true;
}

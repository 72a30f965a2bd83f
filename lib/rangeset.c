/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/rangeset.h>

#include <string.h>

#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "hints.h"
#include "itree_internal.h"
#include "rangeset_internal.h"

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

/* The entry as a result: whether there is one. */
static bool give(struct iovageom_itree_entry entry, struct iovageom_range *out)
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

IOVAGEOM_COLD void iovageom_rangeset_swap(struct iovageom_rangeset *a, struct iovageom_rangeset *b)
{
    iovageom_itree_swap(tree_of(a), tree_of(b));
}

IOVAGEOM_COLD int iovageom_rangeset_copy(struct iovageom_rangeset *set,
                                         const struct iovageom_rangeset *from)
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

    /* Memory first, each in that of the set that is to have it; then nothing can fail. */
    for (size_t i = 0; status == IOVAGEOM_OK && i < count; i++) {
        struct iovageom_rangeset copy;

        if (!sets[i] || same_allocator(&tree_of(sets[i])->allocator, &tree_of(&from[i])->allocator))
            continue;
        (void)iovageom_rangeset_init(&copy, &tree_of(sets[i])->allocator);
        status = iovageom_rangeset_copy(&copy, &from[i]);
        iovageom_rangeset_swap(&copy, &from[i]);
        iovageom_rangeset_deinit(&copy);
    }
    for (size_t i = 0; status == IOVAGEOM_OK && i < count; i++)
        if (sets[i])
            iovageom_rangeset_swap(sets[i], &from[i]);
    return status;
}

enum { FEW = 64 }; /* ranges, for which memory of our own is to be had on the stack */

/* Of ranges whose starts ascend, appends the union. */
static void append_union(struct iovageom_itree_builder *builder,
                         const struct iovageom_range *ranges, size_t count)
{
    struct iovageom_range pending = ranges[0];

    for (size_t i = 1; i < count; i++) {
        if (iovageom_range_touches(pending, ranges[i])) {
            pending.last = ranges[i].last > pending.last ? ranges[i].last : pending.last;
            continue;
        }
        iovageom_itree_append(builder, &pending, NULL, 1);
        pending = ranges[i];
    }
    iovageom_itree_append(builder, &pending, NULL, 1);
}

int iovageom_rangeset_from_sorted(struct iovageom_rangeset *set,
                                  const struct iovageom_range *ranges, size_t count)
{
    struct iovageom_itree_builder builder;
    int status;

    iovageom_itree_build(&builder, tree_of(set), count);
    builder.strict = true;
    iovageom_itree_append(&builder, ranges, NULL, count);
    status = iovageom_itree_finish(&builder);
    if (status != IOVAGEOM_ERR_INVALID)
        return status;
    for (size_t i = 0; i < count; i++) {
        if (!iovageom_range_valid(ranges[i]))
            return IOVAGEOM_ERR_INVERTED;
        if (i > 0 && ranges[i - 1].start > ranges[i].start)
            return IOVAGEOM_ERR_INVALID;
    }
    iovageom_itree_build(&builder, tree_of(set), count);
    append_union(&builder, ranges, count);
    return iovageom_itree_finish(&builder);
}

IOVAGEOM_COLD int iovageom_rangeset_from_array(struct iovageom_rangeset *set,
                                               const struct iovageom_range *ranges, size_t count)
{
    const struct iovageom_allocator allocator = tree_of(set)->allocator;
    struct iovageom_range few[FEW];
    struct iovageom_range *sorted = few;
    size_t kept = count;
    int status;

    if (count == 0)
        return iovageom_rangeset_from_sorted(set, ranges, 0);
    if (count > SIZE_MAX / sizeof(*sorted))
        return IOVAGEOM_ERR_NO_MEMORY;
    if (count > FEW)
        sorted = allocator.allocate(allocator.context, count * sizeof(*sorted));
    if (!sorted)
        return IOVAGEOM_ERR_NO_MEMORY;
    memcpy(sorted, ranges, count * sizeof(*sorted));
    status = iovageom_ranges_normalize(sorted, &kept);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_from_sorted(set, sorted, kept);
    if (sorted != few)
        allocator.release(allocator.context, sorted, count * sizeof(*sorted));
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
    iovageom_itree_cursor_init(&cursor, tree_in(set), 0, false);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0) {
        memcpy(out, first.range, run * sizeof(*out));
        out += run;
    }
    return IOVAGEOM_OK;
}

/* Lets the entry, which touches `range`, grow over it and over all that it then touches. */
IOVAGEOM_COLD static void absorb(struct iovageom_itree *tree, struct iovageom_range entry,
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
    /* What ends just below the range touches it, and is found too. */
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

IOVAGEOM_COLD struct iovageom_size iovageom_rangeset_size(const struct iovageom_rangeset *set)
{
    return iovageom_itree_size(tree_in(set));
}

size_t iovageom_rangeset_memory(const struct iovageom_rangeset *set)
{
    return tree_in(set)->memory;
}

IOVAGEOM_COLD bool iovageom_rangeset_hull(const struct iovageom_rangeset *set,
                                          struct iovageom_range *out)
{
    return iovageom_itree_hull(tree_in(set), out);
}

IOVAGEOM_COLD bool iovageom_rangeset_min(const struct iovageom_rangeset *set, uint64_t *address)
{
    struct iovageom_range hull;

    if (!iovageom_itree_hull(tree_in(set), &hull))
        return false;
    *address = hull.start;
    return true;
}

IOVAGEOM_COLD bool iovageom_rangeset_max(const struct iovageom_rangeset *set, uint64_t *address)
{
    struct iovageom_range hull;

    if (!iovageom_itree_hull(tree_in(set), &hull))
        return false;
    *address = hull.last;
    return true;
}

bool iovageom_rangeset_has(const struct iovageom_rangeset *set, uint64_t address)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(tree_in(set), address);

    return entry.range && entry.range->start <= address;
}

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

void iovageom_rangeset_lookup_batch(const struct iovageom_rangeset *set, const uint64_t *addresses,
                                    size_t count, bool *found, struct iovageom_range *ranges)
{
    iovageom_itree_lookup_batch(tree_in(set), addresses, count, found, ranges, NULL);
}

bool iovageom_rangeset_first_overlap(const struct iovageom_rangeset *set,
                                     struct iovageom_range range, struct iovageom_range *out)
{
    return overlap_into(find(tree_in(set), range.start), range, out);
}

bool iovageom_rangeset_below(const struct iovageom_rangeset *set, uint64_t address,
                             struct iovageom_range *out)
{
    return give(iovageom_itree_find_below(tree_in(set), address), out);
}

bool iovageom_rangeset_above(const struct iovageom_rangeset *set, uint64_t address,
                             struct iovageom_range *out)
{
    return give(iovageom_itree_find_above(tree_in(set), address), out);
}

IOVAGEOM_COLD bool iovageom_rangeset_equal(const struct iovageom_rangeset *a,
                                           const struct iovageom_rangeset *b)
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

IOVAGEOM_COLD bool iovageom_rangeset_nearest_gap(const struct iovageom_rangeset *set,
                                                 uint64_t address, struct iovageom_range *out)
{
    struct iovageom_range below;
    bool found = iovageom_rangeset_gap_below(set, address, &below);

    if (found && below.last >= address) {
        *out = below;
        return true;
    }
    if (!iovageom_rangeset_gap_above(set, address, out)) {
        if (found)
            *out = below;
        return found;
    }
    if (found && address - below.last <= out->start - address)
        *out = below;
    return true;
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

static struct iovageom_itree_cursor *place_of(struct iovageom_rangeset_cursor *cursor)
{
    return (struct iovageom_itree_cursor *)cursor;
}

void iovageom_rangeset_seek(const struct iovageom_rangeset *set, uint64_t address,
                            struct iovageom_rangeset_cursor *cursor)
{
    iovageom_itree_cursor_init(place_of(cursor), tree_in(set), address, false);
}

void iovageom_rangeset_seek_end(const struct iovageom_rangeset *set,
                                struct iovageom_rangeset_cursor *cursor)
{
    iovageom_itree_cursor_init(place_of(cursor), tree_in(set), 0, true);
}

bool iovageom_rangeset_next(struct iovageom_rangeset_cursor *cursor, struct iovageom_range *out)
{
    return give(iovageom_itree_next(place_of(cursor)), out);
}

bool iovageom_rangeset_previous(struct iovageom_rangeset_cursor *cursor, struct iovageom_range *out)
{
    return give(iovageom_itree_previous(place_of(cursor)), out);
}

size_t iovageom_rangeset_next_span(struct iovageom_rangeset_cursor *cursor,
                                   const struct iovageom_range **span)
{
    struct iovageom_itree_entry first;
    size_t run = iovageom_itree_span(place_of(cursor), &first);

    if (run > 0)
        *span = first.range;
    return run;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/rangemap.h>

#include <iovageom/status.h>

#include "hints.h"
#include "itree_internal.h"
#include "ranges_internal.h"

/* The tree has to be at the end, because its inline values follow it. */
struct IOVAGEOM_ITREE_ALIAS map {
    uint64_t mode;
    struct iovageom_itree tree;
};

_Static_assert(sizeof(struct map) + IOVAGEOM_ITREE_INLINE * sizeof(uint64_t) <=
                   sizeof(struct iovageom_rangemap),
               "storage");
_Static_assert(sizeof(struct iovageom_itree_cursor) <= sizeof(struct iovageom_rangemap_cursor),
               "storage");

static struct iovageom_itree *tree_of(struct iovageom_rangemap *map)
{
    return &((struct map *)map)->tree;
}

static const struct iovageom_itree *tree_in(const struct iovageom_rangemap *map)
{
    return &((const struct map *)map)->tree;
}

static bool coalesces(const struct iovageom_rangemap *map)
{
    return ((const struct map *)map)->mode == IOVAGEOM_RANGEMAP_COALESCE;
}

static bool give(struct iovageom_itree_entry entry, struct iovageom_rangemap_entry *out)
{
    if (!entry.range)
        return false;
    *out = (struct iovageom_rangemap_entry){*entry.range, *entry.values};
    return true;
}

IOVAGEOM_COLD int iovageom_rangemap_init(struct iovageom_rangemap *map,
                                         enum iovageom_rangemap_mode mode,
                                         const struct iovageom_allocator *allocator)
{
    if (mode != IOVAGEOM_RANGEMAP_COALESCE && mode != IOVAGEOM_RANGEMAP_KEEP_APART)
        return IOVAGEOM_ERR_INVALID;
    if (iovageom_itree_init(tree_of(map), 1, allocator))
        return IOVAGEOM_ERR_INVALID;
    ((struct map *)map)->mode = mode;
    return IOVAGEOM_OK;
}

void iovageom_rangemap_deinit(struct iovageom_rangemap *map)
{
    if (map)
        iovageom_itree_clear(tree_of(map));
}

void iovageom_rangemap_clear(struct iovageom_rangemap *map)
{
    iovageom_itree_clear(tree_of(map));
}

IOVAGEOM_COLD void iovageom_rangemap_swap(struct iovageom_rangemap *a, struct iovageom_rangemap *b)
{
    uint64_t mode = ((struct map *)a)->mode;

    ((struct map *)a)->mode = ((struct map *)b)->mode;
    ((struct map *)b)->mode = mode;
    iovageom_itree_swap(tree_of(a), tree_of(b));
}

IOVAGEOM_COLD int iovageom_rangemap_copy(struct iovageom_rangemap *map,
                                         const struct iovageom_rangemap *from)
{
    if (iovageom_itree_copy(tree_of(map), tree_in(from)))
        return IOVAGEOM_ERR_NO_MEMORY;
    ((struct map *)map)->mode = ((const struct map *)from)->mode;
    return IOVAGEOM_OK;
}

/* Entry i of the array, or the one whose number is the last of order[i]. */
static const struct iovageom_rangemap_entry *pick(const struct iovageom_rangemap_entry *entries,
                                                  const struct iovageom_range *order, size_t i)
{
    return &entries[order ? (size_t)order[i].last : i];
}

IOVAGEOM_COLD static int build(struct iovageom_rangemap *map,
                               const struct iovageom_rangemap_entry *entries,
                               const struct iovageom_range *order, size_t count)
{
    struct iovageom_itree_builder builder;
    struct iovageom_rangemap_entry pending = {{0, 0}, 0};

    for (size_t i = 0; i < count; i++) {
        struct iovageom_range range = pick(entries, order, i)->range;

        if (!iovageom_range_valid(range))
            return IOVAGEOM_ERR_INVERTED;
        if (i > 0 && pick(entries, order, i - 1)->range.start > range.start)
            return IOVAGEOM_ERR_INVALID;
        if (i > 0 && pick(entries, order, i - 1)->range.last >= range.start)
            return IOVAGEOM_ERR_OVERLAP;
    }
    iovageom_itree_build(&builder, tree_of(map), count);
    for (size_t i = 0; i < count; i++) {
        const struct iovageom_rangemap_entry *entry = pick(entries, order, i);

        if (i > 0 && coalesces(map) && pending.value == entry->value &&
            iovageom_range_precedes_directly(pending.range, entry->range)) {
            pending.range.last = entry->range.last;
            continue;
        }
        if (i > 0)
            iovageom_itree_append(&builder, &pending.range, &pending.value, 1);
        pending = *entry;
    }
    if (count > 0)
        iovageom_itree_append(&builder, &pending.range, &pending.value, 1);
    return iovageom_itree_finish(&builder);
}

int iovageom_rangemap_from_sorted(struct iovageom_rangemap *map,
                                  const struct iovageom_rangemap_entry *entries, size_t count)
{
    return build(map, entries, NULL, count);
}

IOVAGEOM_COLD int iovageom_rangemap_from_array(struct iovageom_rangemap *map,
                                               const struct iovageom_rangemap_entry *entries,
                                               size_t count)
{
    const struct iovageom_allocator allocator = tree_of(map)->allocator;
    struct iovageom_range *order;
    int status;

    if (count == 0)
        return build(map, entries, NULL, count);
    if (count > SIZE_MAX / sizeof(*order))
        return IOVAGEOM_ERR_NO_MEMORY;
    order = allocator.allocate(allocator.context, count * sizeof(*order));
    if (!order)
        return IOVAGEOM_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        order[i] = (struct iovageom_range){entries[i].range.start, i};
    iovageom_ranges_sort(order, count);
    status = build(map, entries, order, count);
    allocator.release(allocator.context, order, count * sizeof(*order));
    return status;
}

int iovageom_rangemap_to_array(const struct iovageom_rangemap *map,
                               struct iovageom_rangemap_entry *out, size_t capacity, size_t *count)
{
    struct iovageom_itree_cursor cursor;
    struct iovageom_itree_entry first;
    size_t run;

    *count = tree_in(map)->count;
    if (capacity < *count)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    iovageom_itree_cursor_init(&cursor, tree_in(map), 0, false);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0)
        for (size_t i = 0; i < run; i++)
            *out++ = (struct iovageom_rangemap_entry){first.range[i], first.values[i]};
    return IOVAGEOM_OK;
}

/* The range together with the neighbours, touching or overlapping, that have the value already. */
IOVAGEOM_COLD static struct iovageom_range with_equals(const struct iovageom_itree *tree,
                                                       struct iovageom_range range, uint64_t value)
{
    struct iovageom_range merged = range;
    struct iovageom_range side;
    struct iovageom_itree_entry entry;

    if (!iovageom_range_below(range, &side))
        side.last = range.start;
    entry = iovageom_itree_find(tree, side.last);
    if (entry.range && *entry.values == value && entry.range->start <= side.last)
        merged.start = entry.range->start < range.start ? entry.range->start : range.start;
    if (!iovageom_range_above(range, &side))
        side.start = range.last;
    entry = iovageom_itree_find(tree, side.start);
    if (entry.range && *entry.values == value && entry.range->start <= side.start)
        merged.last = entry.range->last;
    return merged;
}

int iovageom_rangemap_assign(struct iovageom_rangemap *map, struct iovageom_range range,
                             uint64_t value)
{
    struct iovageom_itree *tree = tree_of(map);
    struct iovageom_itree_path path;

    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    if (coalesces(map))
        range = with_equals(tree, range, value);
    if (iovageom_itree_reserve(tree, 2))
        return IOVAGEOM_ERR_NO_MEMORY;
    (void)iovageom_itree_carve(tree, range);
    iovageom_itree_seek(tree, range.start, &path);
    (void)iovageom_itree_insert(tree, &path, range, &value);
    iovageom_itree_shrink(tree);
    return IOVAGEOM_OK;
}

int iovageom_rangemap_insert(struct iovageom_rangemap *map, struct iovageom_range range,
                             uint64_t value)
{
    struct iovageom_itree *tree = tree_of(map);
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry;

    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    entry = iovageom_itree_seek(tree, range.start, &path);
    if (entry.range && entry.range->start <= range.last)
        return IOVAGEOM_ERR_OVERLAP;
    if (coalesces(map) && !iovageom_range_equal(with_equals(tree, range, value), range))
        return iovageom_rangemap_assign(map, range, value);
    return iovageom_itree_insert(tree, &path, range, &value);
}

int iovageom_rangemap_remove(struct iovageom_rangemap *map, struct iovageom_range range)
{
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    return iovageom_itree_carve(tree_of(map), range);
}

int iovageom_rangemap_erase(struct iovageom_rangemap *map, uint64_t address,
                            struct iovageom_rangemap_entry *erased)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(tree_of(map), address);

    if (!entry.range || entry.range->start > address)
        return IOVAGEOM_ERR_NOT_FOUND;
    if (erased)
        give(entry, erased);
    iovageom_itree_erase(tree_of(map), (struct iovageom_range){address, address});
    return IOVAGEOM_OK;
}

size_t iovageom_rangemap_erase_overlapping(struct iovageom_rangemap *map,
                                           struct iovageom_range range)
{
    return iovageom_range_valid(range) ? iovageom_itree_erase(tree_of(map), range) : 0;
}

size_t iovageom_rangemap_count(const struct iovageom_rangemap *map)
{
    return tree_in(map)->count;
}

struct iovageom_size iovageom_rangemap_size(const struct iovageom_rangemap *map)
{
    return iovageom_itree_size(tree_in(map));
}

size_t iovageom_rangemap_memory(const struct iovageom_rangemap *map)
{
    return tree_in(map)->memory;
}

IOVAGEOM_COLD bool iovageom_rangemap_hull(const struct iovageom_rangemap *map,
                                          struct iovageom_range *out)
{
    return iovageom_itree_hull(tree_in(map), out);
}

bool iovageom_rangemap_overlaps(const struct iovageom_rangemap *map, struct iovageom_range range)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(tree_in(map), range.start);

    return iovageom_range_valid(range) && entry.range && entry.range->start <= range.last;
}

bool iovageom_rangemap_lookup(const struct iovageom_rangemap *map, uint64_t address,
                              struct iovageom_rangemap_entry *out)
{
    struct iovageom_itree_entry entry = find(tree_in(map), address);

    if (!overlap_into(entry, (struct iovageom_range){address, address}, &out->range))
        return false;
    out->value = *entry.values;
    return true;
}

void iovageom_rangemap_lookup_batch(const struct iovageom_rangemap *map, const uint64_t *addresses,
                                    size_t count, bool *found, uint64_t *values)
{
    iovageom_itree_lookup_batch(tree_in(map), addresses, count, found, NULL, values);
}

bool iovageom_rangemap_first_overlap(const struct iovageom_rangemap *map,
                                     struct iovageom_range range,
                                     struct iovageom_rangemap_entry *out)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(tree_in(map), range.start);

    return iovageom_range_valid(range) && entry.range && entry.range->start <= range.last &&
           give(entry, out);
}

bool iovageom_rangemap_below(const struct iovageom_rangemap *map, uint64_t address,
                             struct iovageom_rangemap_entry *out)
{
    return give(iovageom_itree_find_below(tree_in(map), address), out);
}

bool iovageom_rangemap_above(const struct iovageom_rangemap *map, uint64_t address,
                             struct iovageom_rangemap_entry *out)
{
    return give(iovageom_itree_find_above(tree_in(map), address), out);
}

IOVAGEOM_COLD bool iovageom_rangemap_equal(const struct iovageom_rangemap *a,
                                           const struct iovageom_rangemap *b)
{
    return iovageom_itree_equal(tree_in(a), tree_in(b));
}

bool iovageom_rangemap_gap_above(const struct iovageom_rangemap *map, uint64_t address,
                                 struct iovageom_range *out)
{
    return iovageom_itree_gap_above(tree_in(map), address, 1, out);
}

bool iovageom_rangemap_gap_below(const struct iovageom_rangemap *map, uint64_t address,
                                 struct iovageom_range *out)
{
    return iovageom_itree_gap_below(tree_in(map), address, 1, out);
}

int iovageom_rangemap_first_hole(const struct iovageom_rangemap *map, struct iovageom_range limits,
                                 uint64_t size, uint64_t alignment, struct iovageom_range *out)
{
    return iovageom_itree_hole(tree_in(map), false, limits, size, alignment, out);
}

int iovageom_rangemap_last_hole(const struct iovageom_rangemap *map, struct iovageom_range limits,
                                uint64_t size, uint64_t alignment, struct iovageom_range *out)
{
    return iovageom_itree_hole(tree_in(map), true, limits, size, alignment, out);
}

static struct iovageom_itree_cursor *place_of(struct iovageom_rangemap_cursor *cursor)
{
    return (struct iovageom_itree_cursor *)cursor;
}

void iovageom_rangemap_seek(const struct iovageom_rangemap *map, uint64_t address,
                            struct iovageom_rangemap_cursor *cursor)
{
    iovageom_itree_cursor_init(place_of(cursor), tree_in(map), address, false);
}

void iovageom_rangemap_seek_end(const struct iovageom_rangemap *map,
                                struct iovageom_rangemap_cursor *cursor)
{
    iovageom_itree_cursor_init(place_of(cursor), tree_in(map), 0, true);
}

bool iovageom_rangemap_next(struct iovageom_rangemap_cursor *cursor,
                            struct iovageom_rangemap_entry *out)
{
    return give(iovageom_itree_next(place_of(cursor)), out);
}

bool iovageom_rangemap_previous(struct iovageom_rangemap_cursor *cursor,
                                struct iovageom_rangemap_entry *out)
{
    return give(iovageom_itree_previous(place_of(cursor)), out);
}

size_t iovageom_rangemap_next_span(struct iovageom_rangemap_cursor *cursor,
                                   const struct iovageom_range **ranges, const uint64_t **values)
{
    struct iovageom_itree_entry first;
    size_t run = iovageom_itree_span(place_of(cursor), &first);

    if (run > 0) {
        *ranges = first.range;
        *values = first.values;
    }
    return run;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "mappings.h"

#include <iovageom/status.h>

#include "../base/array.h"

/* The entry as a result: *out, and whether there is one. */
static bool give_mapping(struct iovageom_itree_entry entry, struct iovageom_mapping *out)
{
    if (!entry.range)
        return false;
    *out = (struct iovageom_mapping){*entry.range, entry.values[IOVAGEOM_MAPPING_PHYS],
                                     (uint32_t)entry.values[IOVAGEOM_MAPPING_FLAGS]};
    return true;
}

/* The lowest entry that overlaps the range. An inverted range overlaps nothing. */
static struct iovageom_itree_entry overlapping(const struct iovageom_mappings *mappings,
                                               struct iovageom_range range)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(&mappings->tree, range.start);

    if (entry.range && (!iovageom_range_valid(range) || entry.range->start > range.last))
        entry.range = NULL;
    return entry;
}

int iovageom_mappings_init(struct iovageom_mappings *mappings,
                           const struct iovageom_allocator *allocator)
{
    return iovageom_itree_init(&mappings->tree, IOVAGEOM_MAPPING_WIDTH, allocator);
}

void iovageom_mappings_deinit(struct iovageom_mappings *mappings)
{
    if (mappings)
        iovageom_itree_clear(&mappings->tree);
}

bool iovageom_mappings_seek_place(const struct iovageom_mappings *mappings,
                                  struct iovageom_range range,
                                  struct iovageom_mappings_place *place,
                                  struct iovageom_mapping *hit)
{
    const struct iovageom_itree_entry entry =
        iovageom_itree_seek(&mappings->tree, range.start, &place->path);

    return entry.range && entry.range->start <= range.last && give_mapping(entry, hit);
}

int iovageom_mappings_insert(struct iovageom_mappings *mappings,
                             struct iovageom_mappings_place *place,
                             const struct iovageom_mapping *mapping)
{
    const uint64_t values[IOVAGEOM_MAPPING_WIDTH] = {mapping->phys, mapping->flags};

    return iovageom_itree_insert(&mappings->tree, &place->path, mapping->range, values);
}

size_t iovageom_mappings_remove(struct iovageom_mappings *mappings, struct iovageom_range range)
{
    return iovageom_itree_erase(&mappings->tree, range);
}

bool iovageom_mappings_first_split(const struct iovageom_mappings *mappings,
                                   struct iovageom_range range, struct iovageom_mapping *out)
{
    struct iovageom_itree_entry entry = overlapping(mappings, range);

    if (!entry.range)
        return false;
    if (iovageom_range_contains(range, *entry.range)) {
        /* A guest mostly unmaps exactly what it has mapped; this saves the second search. */
        if (entry.range->last == range.last)
            return false;
        /* A range can split a mapping only at its two ends. The lower end splits none, as its
         * mapping is inside; so the mapping at the upper end decides. */
        entry = overlapping(mappings, (struct iovageom_range){range.last, range.last});
        if (!entry.range || iovageom_range_contains(range, *entry.range))
            return false;
    }
    return give_mapping(entry, out);
}

size_t iovageom_mappings_count(const struct iovageom_mappings *mappings)
{
    return mappings->tree.count;
}

bool iovageom_mappings_lookup(const struct iovageom_mappings *mappings, uint64_t address,
                              struct iovageom_mapping *out)
{
    return give_mapping(iovageom_mappings_at(mappings, address), out);
}

bool iovageom_mappings_first_overlap(const struct iovageom_mappings *mappings,
                                     struct iovageom_range range, struct iovageom_mapping *out)
{
    return give_mapping(overlapping(mappings, range), out);
}

size_t iovageom_mappings_touching(const struct iovageom_mappings *mappings,
                                  const struct iovageom_rangeset *set, struct iovageom_mapping *out,
                                  size_t capacity)
{
    struct iovageom_rangeset_cursor place;
    struct iovageom_range range;
    struct iovageom_range rest = IOVAGEOM_EVERYTHING;
    struct iovageom_itree_entry entry;
    size_t count = 0;

    /*
     * Both sides skip what lies below the position of the other one, by a search. So the cost is
     * O(log n) for each mapping that is found and each range of the smaller side. `rest` is what is
     * still to be searched: above a mapping that was found, so that each is given once, however
     * many ranges of the set touch it.
     */
    for (;;) {
        iovageom_rangeset_seek(set, rest.start, &place);
        if (!iovageom_rangeset_next(&place, &range))
            return count;
        range.start = range.start < rest.start ? rest.start : range.start;
        entry = iovageom_itree_find(&mappings->tree, range.start);
        if (!entry.range)
            return count;
        if (entry.range->start > range.last) {
            rest.start = entry.range->start;
            continue;
        }
        if (count < capacity)
            give_mapping(entry, &out[count]);
        count++;
        if (!iovageom_range_above(*entry.range, &rest))
            return count;
    }
}

void iovageom_mappings_seek(const struct iovageom_mappings *mappings, uint64_t address,
                            struct iovageom_mappings_cursor *cursor)
{
    iovageom_itree_cursor_init(&cursor->cursor, &mappings->tree, address);
}

bool iovageom_mappings_next(struct iovageom_mappings_cursor *cursor, struct iovageom_mapping *out)
{
    return give_mapping(iovageom_itree_next(&cursor->cursor), out);
}

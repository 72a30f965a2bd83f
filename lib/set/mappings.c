/* SPDX-License-Identifier: BSD-3-Clause */
#include "mappings.h"

#include <iovageom/status.h>

#include "../base/array.h"
#include "itree_internal.h"
#include "rangeset_internal.h"

/* The entry as a result: *out, and whether there is one. */
static bool give_mapping(const struct iovageom_itree *tree, struct iovageom_itree_entry entry,
                         struct iovageom_mapping *out)
{
    if (!entry.range)
        return false;
    *out = iovageom_mapping_of(tree, entry.range, entry.values);
    return true;
}

IOVAGEOM_COLD int iovageom_mappings_init(struct iovageom_mappings *mappings, uint64_t granule,
                                         const struct iovageom_allocator *allocator)
{
    return iovageom_itree_init(&mappings->tree,
                               granule >= IOVAGEOM_MAPPING_PACKED ? 1 : IOVAGEOM_MAPPING_WIDTH,
                               allocator);
}

void iovageom_mappings_deinit(struct iovageom_mappings *mappings)
{
    if (mappings)
        iovageom_itree_clear(&mappings->tree);
}

/* A range can split a mapping only at its two ends. The mappings behind that at the lower end in
 * the same leaf are at hand; only a range beyond them needs a search for its upper end. */
bool iovageom_mappings_seek_split(const struct iovageom_mappings *mappings,
                                  struct iovageom_range range,
                                  struct iovageom_mappings_place *place,
                                  struct iovageom_mapping *hit)
{
    const struct iovageom_itree *tree = &mappings->tree;
    struct iovageom_itree_entry entry = iovageom_itree_seek(tree, range.start, &place->path);
    uint32_t room, run = 0;

    place->run = 0;
    place->beyond = false;
    if (!entry.range || entry.range->start > range.last)
        return false;
    if (entry.range->start < range.start)
        return give_mapping(tree, entry, hit);
    room = count_at(tree, &place->path, 0) - place->path.slot[0];
    while (run < room && entry.range[run].last < range.last)
        run++;
    place->beyond = run == room;
    if (place->beyond)
        entry = iovageom_itree_find(tree, range.last);
    else
        entry = entry_at(entry.range, entry.values, tree->width, run);
    place->run = run + (run < room && entry.range->last == range.last);
    return entry.range && entry.range->start <= range.last && entry.range->last != range.last &&
           give_mapping(tree, entry, hit);
}

bool iovageom_mappings_first_overlap(const struct iovageom_mappings *mappings,
                                     struct iovageom_range range, struct iovageom_mapping *out)
{
    const struct iovageom_itree_entry entry = iovageom_itree_find(&mappings->tree, range.start);

    return iovageom_range_valid(range) && entry.range && entry.range->start <= range.last &&
           give_mapping(&mappings->tree, entry, out);
}

IOVAGEOM_COLD bool iovageom_mappings_touching(const struct iovageom_mappings *mappings,
                                              const struct iovageom_rangeset *set,
                                              struct iovageom_mapping *out)
{
    struct iovageom_itree_entry entry, other;
    uint64_t from = 0;

    /* Both sides skip what lies below the position of the other one, by a search. So the cost is
     * O(log n) for each range of the smaller side. */
    while ((other = iovageom_itree_find(tree_in(set), from)).range) {
        entry = iovageom_itree_find(&mappings->tree, other.range->start);
        if (!entry.range || entry.range->start <= other.range->last)
            return give_mapping(&mappings->tree, entry, out);
        from = entry.range->start;
    }
    return false;
}

bool iovageom_mappings_next(struct iovageom_itree_cursor *cursor, struct iovageom_mapping *out)
{
    return give_mapping(cursor->tree, iovageom_itree_next(cursor), out);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_MAPPINGS_H
#define IOVAGEOM_LIB_MAPPINGS_H

#include <iovageom/allocator.h>
#include <iovageom/mapping.h>
#include <iovageom/rangeset.h>

#include "itree_search.h"

/*
 * The ledger of a domain's live mappings: which IOVAs the guest has mapped, to where, with what
 * flags, under the rules of the virtio specification 1.4 for MAP and UNMAP requests.
 *
 * The ledger knows nothing of apertures, granules, reserved regions or a budget of mappings:
 * lib/viommu checks those before it calls. Any byte may be the start or the last of a mapping.
 *
 * Up to 8 mappings live inside the object and allocate nothing. n is the number of mappings, k the
 * number that a call meets. The object may be moved with memcpy while it has no cursor, but not
 * duplicated so. A call that fails leaves the ledger as it was.
 */

/*
 * The range of an entry is the IOVA range of a mapping. Its value is one word, if addresses are
 * multiples of IOVAGEOM_MAPPING_PACKED: the address that it leads to, with the flags in the bits
 * that are 0 there. Else it is two words, address and flags. Neighbouring mappings are never
 * joined, because the guest unmaps whole mappings.
 */
enum { IOVAGEOM_MAPPING_PACKED = 8, IOVAGEOM_MAPPING_WIDTH = 2 };

struct iovageom_mappings {
    struct iovageom_itree tree;
    /* of `tree`: must follow it directly */
    uint64_t inline_values[IOVAGEOM_ITREE_INLINE * IOVAGEOM_MAPPING_WIDTH];
};

/* An entry as a mapping. */
static inline struct iovageom_mapping iovageom_mapping_of(const struct iovageom_itree *tree,
                                                          const struct iovageom_range *range,
                                                          const uint64_t *values)
{
    const uint64_t low = IOVAGEOM_MAPPING_PACKED - 1;

    if (tree->width == 1)
        return (struct iovageom_mapping){*range, *values & ~low, (uint32_t)(*values & low)};
    return (struct iovageom_mapping){*range, values[0], (uint32_t)values[1]};
}

/* Makes an empty ledger. `granule` is a power of two of which each address that will be mapped to
 * is a multiple, and flags are below IOVAGEOM_MAPPING_PACKED; or 0: any address, any flags.
 * Allocates nothing. IOVAGEOM_ERR_INVALID: no allocator. */
int iovageom_mappings_init(struct iovageom_mappings *mappings, uint64_t granule,
                           const struct iovageom_allocator *allocator);

/* Frees all memory; to be used again, the object must be initialised. NULL is accepted. */
void iovageom_mappings_deinit(struct iovageom_mappings *mappings);

/* ---- asking ---- */

/* The number of mappings. O(1). */
static inline size_t iovageom_mappings_count(const struct iovageom_mappings *mappings)
{
    return mappings->tree.count;
}

/* For each access of a device: the entry that `address` lies in. None when there is none, or values
 * are not packed: then first_overlap() knows. O(log n). */
static inline struct iovageom_itree_entry iovageom_mappings_near(
    const struct iovageom_mappings *mappings, uint64_t address)
{
    if (mappings->tree.width != 1)
        return (struct iovageom_itree_entry){NULL, NULL};
    return holding(&mappings->tree, 1, address);
}

/* The lowest mapping that overlaps `range`. False when there is none. O(log n). */
bool iovageom_mappings_first_overlap(const struct iovageom_mappings *mappings,
                                     struct iovageom_range range, struct iovageom_mapping *out);

/* The lowest mapping that overlaps a range of the set. False when there is none. O(log n) for each
 * range of the set, or for each mapping, whichever are fewer. */
bool iovageom_mappings_touching(const struct iovageom_mappings *mappings,
                                const struct iovageom_rangeset *set, struct iovageom_mapping *out);

/* Reads the next mapping at a cursor of the tree, and passes it. False when there is none. */
bool iovageom_mappings_next(struct iovageom_itree_cursor *cursor, struct iovageom_mapping *out);

/* ---- changes, in two steps ---- */

/*
 * lib/viommu decides on a request while the state is const; the VMM then works on the host, and
 * only after that the ledger is changed. The place that the first step found is used by the second,
 * so nothing is searched twice. Invalid after any change of the ledger.
 */
struct IOVAGEOM_ITREE_ALIAS iovageom_mappings_place {
    struct iovageom_itree_path path;
    uint32_t run; /* UNMAP: mappings that go in the leaf of the place */
    bool beyond;  /* UNMAP: others may go, in the leaves that follow */
};

/* MAP. Whether no mapping overlaps the range, which must be valid. Then *place is where a mapping
 * of the range goes. O(log n). */
static ALWAYS_INLINE bool iovageom_mappings_seek_place(const struct iovageom_mappings *mappings,
                                                       struct iovageom_range range,
                                                       struct iovageom_mappings_place *place)
{
    const struct iovageom_itree_entry entry = seek(&mappings->tree, range.start, &place->path);

    return !entry.range || entry.range->start > range.last;
}

/* UNMAP. Whether the range is that of a mapping, as it mostly is, and nothing of what seek_split()
 * asks is to be asked. Then *place is where the mapping is. O(log n). */
static ALWAYS_INLINE bool iovageom_mappings_seek_one(const struct iovageom_mappings *mappings,
                                                     struct iovageom_range range,
                                                     struct iovageom_mappings_place *place)
{
    struct iovageom_itree_entry entry;

    if (mappings->tree.count == 0 || range.start > mappings->tree.highest)
        return false;
    entry = seek_below(&mappings->tree, mappings->tree.width, range.start, &place->path);
    place->run = 1;
    place->beyond = false;
    return entry.range->start == range.start && entry.range->last == range.last;
}

/* UNMAP. Whether the range, which must be valid, covers a part of a mapping but not the whole. If
 * so, *hit is the lowest one; if not, *place is where the mappings are that it covers. O(log n). */
bool iovageom_mappings_seek_split(const struct iovageom_mappings *mappings,
                                  struct iovageom_range range,
                                  struct iovageom_mappings_place *place,
                                  struct iovageom_mapping *hit);

/* Inserts at a place that seek_place() gave for the same range. Invalidates `place`.
 * IOVAGEOM_ERR_NO_MEMORY: the ledger is as it was. O(log n). */
static inline int iovageom_mappings_insert(struct iovageom_mappings *mappings,
                                           struct iovageom_mappings_place *place,
                                           const struct iovageom_mapping *mapping)
{
    const bool packed = mappings->tree.width == 1;
    const uint64_t values[IOVAGEOM_MAPPING_WIDTH] = {
        packed ? mapping->phys | mapping->flags : mapping->phys, mapping->flags};

    return iovageom_itree_insert(&mappings->tree, &place->path, mapping->range, values);
}

/* Removes all mappings in the range, and returns how many. The place is what seek_split() gave for
 * the same range; it is invalid afterwards. */
static inline size_t iovageom_mappings_remove(struct iovageom_mappings *mappings,
                                              struct iovageom_mappings_place *place,
                                              struct iovageom_range range)
{
    if (place->beyond)
        return iovageom_itree_erase(&mappings->tree, range);
    if (place->run > 0)
        iovageom_itree_cut(&mappings->tree, &place->path, place->run);
    return place->run;
}

#endif

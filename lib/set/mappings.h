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
 * The range of an entry is the IOVA range of a mapping. Its two words are the address that it leads
 * to and its flags; there are no spare bits for flags in the address, which need not be aligned.
 * Neighbouring mappings are never joined, because the guest unmaps whole mappings.
 */
enum { IOVAGEOM_MAPPING_PHYS, IOVAGEOM_MAPPING_FLAGS, IOVAGEOM_MAPPING_WIDTH };

struct iovageom_mappings {
    struct iovageom_itree tree;
    /* of `tree`: must follow it directly */
    uint64_t inline_values[IOVAGEOM_ITREE_INLINE * IOVAGEOM_MAPPING_WIDTH];
};

/* Makes an empty ledger. Allocates nothing. IOVAGEOM_ERR_INVALID: no allocator. */
int iovageom_mappings_init(struct iovageom_mappings *mappings,
                           const struct iovageom_allocator *allocator);

/* Frees all memory. Before it is used again, the object must be initialised again. NULL is
 * accepted. */
void iovageom_mappings_deinit(struct iovageom_mappings *mappings);

/* ---- asking ---- */

/* The number of mappings. O(1). */
size_t iovageom_mappings_count(const struct iovageom_mappings *mappings);

/* The mapping that `address` lies in, as an entry of the tree: for each access of a device, so the
 * search is inlined. O(log n). */
static inline struct iovageom_itree_entry iovageom_mappings_at(
    const struct iovageom_mappings *mappings, uint64_t address)
{
    return holding(&mappings->tree, IOVAGEOM_MAPPING_WIDTH, address);
}

/* The same as a mapping. False, and *out untouched, when there is none. O(log n). */
bool iovageom_mappings_lookup(const struct iovageom_mappings *mappings, uint64_t address,
                              struct iovageom_mapping *out);

/* The lowest mapping that overlaps `range`. False when there is none. O(log n). */
bool iovageom_mappings_first_overlap(const struct iovageom_mappings *mappings,
                                     struct iovageom_range range, struct iovageom_mapping *out);

/*
 * The lowest mapping of which `range` covers a part but not the whole. False when there is none, so
 * that what it covers can be removed. O(log n).
 */
bool iovageom_mappings_first_split(const struct iovageom_mappings *mappings,
                                   struct iovageom_range range, struct iovageom_mapping *out);

/*
 * The hot-plug question: which mappings overlap a set of addresses that are to become unusable?
 * O(log n) for each range of the set, or for each mapping, whichever are fewer, plus k.
 *
 * @param out the lowest of them, as many as `capacity`. May be NULL when `capacity` is 0.
 * @return how many there are in all.
 */
size_t iovageom_mappings_touching(const struct iovageom_mappings *mappings,
                                  const struct iovageom_rangeset *set, struct iovageom_mapping *out,
                                  size_t capacity);

/* ---- cursors: they keep their place when the ledger changes, as in rangeset.h ---- */

/* A place in a ledger. Not to be shared by threads. */
struct iovageom_mappings_cursor {
    struct iovageom_itree_cursor cursor;
};

/* Stands just below `address`: the next mapping is the lowest whose last >= address. */
void iovageom_mappings_seek(const struct iovageom_mappings *mappings, uint64_t address,
                            struct iovageom_mappings_cursor *cursor);

/* Reads the next mapping, and then stands just above it. False when there is none. */
bool iovageom_mappings_next(struct iovageom_mappings_cursor *cursor, struct iovageom_mapping *out);

/* ---- changes, in two steps ---- */

/*
 * lib/viommu decides on a MAP request while the state is const; the VMM then maps on the host, and
 * only after that the mapping is kept. The place that the first step found is used by the second,
 * so nothing is searched twice.
 */

/* Where a mapping will go. Invalid after any change of the ledger. */
struct iovageom_mappings_place {
    struct iovageom_itree_path path;
};

/* Whether a mapping overlaps the range, which must be valid. If so, *hit is the lowest one; if not,
 * *place is where a mapping of the range goes. O(log n). */
bool iovageom_mappings_seek_place(const struct iovageom_mappings *mappings,
                                  struct iovageom_range range,
                                  struct iovageom_mappings_place *place,
                                  struct iovageom_mapping *hit);

/* Inserts at a place that seek_place() gave for the same range. Invalidates `place`.
 * IOVAGEOM_ERR_NO_MEMORY: the ledger is as it was. O(log n). */
int iovageom_mappings_insert(struct iovageom_mappings *mappings,
                             struct iovageom_mappings_place *place,
                             const struct iovageom_mapping *mapping);

/* Removes all mappings in the range, and returns how many. The caller has checked that the range
 * splits none: one that it does split would be removed whole. */
size_t iovageom_mappings_remove(struct iovageom_mappings *mappings, struct iovageom_range range);

#endif

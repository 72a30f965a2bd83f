/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_MAPPINGS_H
#define IOVAGEOM_LIB_MAPPINGS_H

#include <iovageom/allocator.h>
#include <iovageom/mapping.h>
#include <iovageom/rangeset.h>

#include "itree.h"

/*
 * The ledger of a domain's live mappings: which IOVAs the guest has mapped, to where, with what
 * flags, under the rules of the virtio specification 1.4 for MAP and UNMAP requests.
 *
 * The ledger knows nothing of apertures, granules or reserved regions: who asks it has checked
 * those. It is byte granular.
 *
 * Up to 8 mappings live inside the object and allocate nothing. n is the number of mappings, k the
 * number that a call meets. The object may be moved with memcpy while no cursor stands on it, but
 * not duplicated so. A call that fails leaves the ledger as it was.
 */

/* A ledger. Opaque: no member is to be read or written. */
struct iovageom_mappings {
    uint64_t opaque[60];
};

/* Makes an empty ledger. Allocates nothing. IOVAGEOM_ERR_INVALID: no allocator. */
int iovageom_mappings_init(struct iovageom_mappings *mappings,
                           const struct iovageom_allocator *allocator);

/* Gives all memory back. The object may then only be made anew. NULL is accepted. */
void iovageom_mappings_deinit(struct iovageom_mappings *mappings);

/* ---- asking ---- */

/* The number of mappings. O(1). */
size_t iovageom_mappings_count(const struct iovageom_mappings *mappings);

/* The mapping that `address` lies in. False, and *out untouched, when there is none. O(log n). */
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

/* A place in a ledger. Opaque: no member is to be read or written. Not to be shared by threads. */
struct iovageom_mappings_cursor {
    uint64_t opaque[8];
};

/* Stands just below `address`: the next mapping is the lowest whose last >= address. */
void iovageom_mappings_seek(const struct iovageom_mappings *mappings, uint64_t address,
                            struct iovageom_mappings_cursor *cursor);

/* Reads the next mapping, and then stands just above it. False when there is none. */
bool iovageom_mappings_next(struct iovageom_mappings_cursor *cursor, struct iovageom_mapping *out);

/* ---- asking and doing apart, so that what was asked is not searched for again ---- */

/* Where a mapping goes. Holds until the ledger changes. */
struct iovageom_mappings_place {
    struct iovageom_itree_path path;
};

/* Whether a mapping overlaps the range, which is valid: the lowest in *hit. Else *place is where one
   goes. O(log n). */
bool iovageom_mappings_seek_place(const struct iovageom_mappings *mappings,
                                  struct iovageom_range range,
                                  struct iovageom_mappings_place *place,
                                  struct iovageom_mapping *hit);

/* IOVAGEOM_ERR_NO_MEMORY. The budget isn't looked at. */
int iovageom_mappings_insert(struct iovageom_mappings *mappings,
                             struct iovageom_mappings_place *place,
                             const struct iovageom_mapping *mapping);

/* Removes all mappings in the range, which splits none; says how many. */
size_t iovageom_mappings_remove(struct iovageom_mappings *mappings, struct iovageom_range range);

#endif

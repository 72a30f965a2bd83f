/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_RESV_INTERNAL_H
#define IOVAGEOM_LIB_RESV_INTERNAL_H

#include <iovageom/resv.h>

#include "../base/hints.h"

/* The number that stands for no statement. */
#define IOVAGEOM_RESV_NONE SIZE_MAX

/* The highest address that nobody forbids. False, and *address untouched, when there is none. */
IOVAGEOM_COLD bool iovageom_resv_top(const struct iovageom_resv *resv, uint64_t *address);

/* The type of statement number `index`, 0 for IOVAGEOM_RESV_NONE. */
uint32_t iovageom_resv_type_at(const struct iovageom_resv *resv, size_t index);

/* A piece of the resolved view. */
struct iovageom_resv_piece {
    struct iovageom_range range;
    uint64_t value; /* number of a statement */
};

/* The resolved view: ascending entries whose value is the number of a statement. Not to be moved. */
struct iovageom_resv_view {
    struct iovageom_resv_piece *entries;
    size_t count;
    const struct iovageom_allocator *allocator;
    struct iovageom_resv_piece *memory; /* NULL when `few` suffices, as for the usual host */
    size_t size;                        /* of `memory`, in bytes */
    struct iovageom_resv_piece few[48];
};

/* Makes the view; O(n log statements) for n ranges. IOVAGEOM_ERR_INVALID, IOVAGEOM_ERR_NO_MEMORY. */
IOVAGEOM_COLD int iovageom_resv_view(const struct iovageom_resv *resv, uint64_t granule,
                                     struct iovageom_resv_view *view);
/* Gives back what a view that was made holds. */
IOVAGEOM_COLD void iovageom_resv_view_close(struct iovageom_resv_view *view);

/*
 * Questions about one address after another, of a collection that stays as it is meanwhile. They cost
 * O(log n) each: with many statements from a view that is made at the start. Without memory for that
 * they get the same answers in O(statements x log), because what stands on them may not fail. Not to
 * be moved.
 */
enum { IOVAGEOM_RESV_WALK_FEW = 8 }; /* statements that are asked one by one */
struct iovageom_resv_walk {
    const struct iovageom_resv *resv;
    bool viewed;
    struct iovageom_resv_view view;
};

/* Starts; O(n log statements) for n ranges. */
IOVAGEOM_COLD void iovageom_resv_walk_open(struct iovageom_resv_walk *walk,
                                           const struct iovageom_resv *resv);
IOVAGEOM_COLD void iovageom_resv_walk_close(struct iovageom_resv_walk *walk);

/*
 * Which statement shows at `address`: its number, or IOVAGEOM_RESV_NONE. *last becomes the highest
 * address up to which the answer is surely the same.
 */
IOVAGEOM_COLD size_t iovageom_resv_walk_at(const struct iovageom_resv_walk *walk, uint64_t address,
                                           uint64_t *last);

/* The number of the last statement that speaks of an address of `range`, or IOVAGEOM_RESV_NONE: of
 * those of the weightiest type. */
IOVAGEOM_COLD size_t iovageom_resv_walk_heaviest(const struct iovageom_resv_walk *walk,
                                                 struct iovageom_range range);

/* Whether some owner forbids some address of `range`. */
IOVAGEOM_COLD bool iovageom_resv_walk_forbids(const struct iovageom_resv_walk *walk,
                                              struct iovageom_range range);

/*
 * Adds a statement without looking for its place; *ranges is taken, and becomes empty. Nothing but
 * this may be asked of the collection before iovageom_resv_settle() has sorted it, which joins what
 * one owner said with one type. When that fails (IOVAGEOM_ERR_NO_MEMORY) the collection may only be
 * freed.
 */
IOVAGEOM_COLD int iovageom_resv_append(struct iovageom_resv *resv, struct iovageom_rangeset *ranges,
                                       enum iovageom_resv_type type,
                                       const struct iovageom_owner *owner);
IOVAGEOM_COLD int iovageom_resv_settle(struct iovageom_resv *resv);

/* What an owner said with a type, or NULL. O(log statements). */
IOVAGEOM_COLD const struct iovageom_rangeset *iovageom_resv_said(
    const struct iovageom_resv *resv, enum iovageom_resv_type type,
    const struct iovageom_owner *owner);

/* Forget what the owners of that name said, whatever their source. */
IOVAGEOM_COLD void iovageom_resv_remove_name(struct iovageom_resv *resv, const char *name);

/* The allocator that the collection was made with. */
const struct iovageom_allocator *iovageom_resv_allocator(const struct iovageom_resv *resv);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_RESV_H
#define IOVAGEOM_LIB_RESV_H

#include <iovageom/allocator.h>
#include <iovageom/rangeset.h>
#include <iovageom/region.h>

#include "../base/hints.h"

/*
 * What a geometry has reserved: every statement of every owner, overlapping or not, so that nothing
 * is lost when one of them is read again. A statement is what one owner says with one type. The
 * resolved view is computed from them.
 */

/* -1, 0 or 1: a total order, by source, then by the bytes of the name. */
IOVAGEOM_COLD int iovageom_owner_compare(const struct iovageom_owner *a,
                                         const struct iovageom_owner *b);

/* A collection of statements. Opaque; made by iovageom_resv_new(). */
struct iovageom_resv;

/*
 * Make an empty collection.
 *
 * @param allocator NULL for the default; copied.
 * @return IOVAGEOM_ERR_NO_MEMORY, or IOVAGEOM_ERR_INVALID when there is no default allocator.
 */
int iovageom_resv_new(const struct iovageom_allocator *allocator, struct iovageom_resv **out);

/* Free it. NULL is allowed. */
void iovageom_resv_free(struct iovageom_resv *resv);

/* A deep copy, with the same allocator. */
int iovageom_resv_copy(const struct iovageom_resv *resv, struct iovageom_resv **out);

/*
 * `owner` says that `range` is reserved as `type`. What the same owner said before with the same
 * type is joined with it; other statements stay as they are, overlapping or not.
 *
 * O(log owners + log regions of the owner).
 * @return IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_INVALID (type), IOVAGEOM_ERR_NO_MEMORY.
 */
int iovageom_resv_add(struct iovageom_resv *resv, struct iovageom_range range,
                      enum iovageom_resv_type type, const struct iovageom_owner *owner);

/* The same for every range of a set; all or nothing. Linear. */
int iovageom_resv_add_set(struct iovageom_resv *resv, const struct iovageom_rangeset *ranges,
                          enum iovageom_resv_type type, const struct iovageom_owner *owner);

/* How many statements there are: distinct pairs of owner and type. */
size_t iovageom_resv_statement_count(const struct iovageom_resv *resv);

/*
 * Statement number `index` (0 to count-1; ordered by type, then owner). The pointers are valid
 * until the collection changes.
 *
 * @return IOVAGEOM_ERR_NOT_FOUND when `index` is too high.
 */
int iovageom_resv_statement(const struct iovageom_resv *resv, size_t index,
                            enum iovageom_resv_type *type, const struct iovageom_owner **owner,
                            const struct iovageom_rangeset **ranges);

/* The owner of statement number `index`, or NULL. Valid until the collection changes. */
const struct iovageom_owner *iovageom_resv_owner(const struct iovageom_resv *resv, size_t index);

/*
 * The resolved view: disjoint regions, ascending; neighbours of equal type and owner are joined.
 *
 * @param granule power of two in bytes: each region is widened outward to it before types are
 *        resolved (what a granule touches in part, it reserves whole). 1 for none.
 * @param out room for `capacity` regions; may be NULL when capacity is 0.
 * @param count receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @return IOVAGEOM_ERR_BUFFER_TOO_SMALL (nothing else written), IOVAGEOM_ERR_INVALID,
 *         IOVAGEOM_ERR_NO_MEMORY (scratch memory). O(n log n).
 */
int iovageom_resv_resolve(const struct iovageom_resv *resv, uint64_t granule,
                          struct iovageom_region *out, size_t capacity, size_t *count);

/*
 * All addresses that some owner forbids, as a set: the union of every type but DIRECT_RELAXABLE.
 *
 * @param out an initialised set; replaced on success.
 */
int iovageom_resv_forbidden(const struct iovageom_resv *resv, struct iovageom_rangeset *out);

/* Whether some owner forbids some address of `range`. O(statements x log). */
bool iovageom_resv_forbids(const struct iovageom_resv *resv, struct iovageom_range range);

/* All statements of both, each once. A new collection with the allocator of `a`. Linear. */
int iovageom_resv_union(const struct iovageom_resv *a, const struct iovageom_resv *b,
                        struct iovageom_resv **out);

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

/* The allocator that the collection was made with. */
const struct iovageom_allocator *iovageom_resv_allocator(const struct iovageom_resv *resv);

#endif

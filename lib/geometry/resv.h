/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_RESV_H
#define IOVAGEOM_LIB_RESV_H

#include <iovageom/allocator.h>
#include <iovageom/rangeset.h>
#include <iovageom/region.h>

/*
 * What a geometry has reserved. A *statement* is the set of ranges that one owner (a source and a
 * name) reserves with one type. Statements of different owners or types may overlap, and all are
 * kept as they were given: a refusal can then name every owner, and the union of two collections is
 * exact. The *resolved view* is computed from them: disjoint pieces, each with the one statement
 * that takes precedence there.
 *
 * Statements are sorted by type, then owner, both in ascending precedence. So an index is also a
 * rank: where several statements cover one address, the one with the highest index takes precedence
 * ("shows"). resv.c and resv_walk.c rely on that everywhere.
 */

/* -1, 0 or 1: a total order, by source, then by the bytes of the name. */
int iovageom_owner_compare(const struct iovageom_owner *a, const struct iovageom_owner *b);

/*
 * What kind of source speaks. Those of a host are numbered from registers to sysfs: first what its
 * hardware says of itself, then what its kernel says. What the machine's model and the user state is
 * about the guest's machine, and says nothing about a host.
 */
static inline bool iovageom_source_is_registers(uint32_t source)
{
    return source >= IOVAGEOM_SOURCE_VTD_REGISTERS && source <= IOVAGEOM_SOURCE_RISCV_REGISTERS;
}

static inline bool iovageom_source_is_kernel(uint32_t source)
{
    return source >= IOVAGEOM_SOURCE_VFIO && source <= IOVAGEOM_SOURCE_SYSFS;
}

static inline bool iovageom_source_is_host(uint32_t source)
{
    return iovageom_source_is_registers(source) || iovageom_source_is_kernel(source);
}

static inline bool iovageom_source_is_guest(uint32_t source)
{
    return source == IOVAGEOM_SOURCE_MACHINE || source == IOVAGEOM_SOURCE_USER;
}

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
 * Adds `range` to the statement of `owner` with `type`; makes that statement if there is none.
 * Other statements stay as they are, overlapping or not.
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

/* The index that stands for no statement. */
#define IOVAGEOM_RESV_NONE SIZE_MAX

/* The highest address that nobody forbids. False, and *address untouched, when there is none. */
bool iovageom_resv_top(const struct iovageom_resv *resv, uint64_t *address);

/* The type of statement number `index`, 0 for IOVAGEOM_RESV_NONE. */
uint32_t iovageom_resv_type_at(const struct iovageom_resv *resv, size_t index);

/* A piece of the resolved view. */
struct iovageom_resv_piece {
    struct iovageom_range range;
    uint64_t value; /* index of the statement that takes precedence in all of `range` */
};

/*
 * The resolved view. Entries are disjoint and ascend; addresses between them are in no statement.
 * Neighbours with the same value are joined.
 *
 * The second half of `few`, or of `memory`, is scratch space for building the view. 48 is two
 * halves of 24 pieces, enough for 12 ranges: the usual host has fewer, and needs no allocation.
 * Must not be copied or moved, because `entries` may point to `few`; valid while the collection
 * exists and does not change.
 */
struct iovageom_resv_view {
    struct iovageom_resv_piece *entries;
    size_t count;
    const struct iovageom_allocator *allocator;
    struct iovageom_resv_piece *memory; /* NULL when `few` suffices */
    size_t size;                        /* of `memory`, in bytes */
    struct iovageom_resv_piece few[48];
};

/*
 * Makes the view; `granule` as with iovageom_resv_resolve(). O(n log statements) for n ranges.
 * IOVAGEOM_ERR_INVALID, IOVAGEOM_ERR_NO_MEMORY; after an error there is nothing to close.
 */
int iovageom_resv_view(const struct iovageom_resv *resv, uint64_t granule,
                       struct iovageom_resv_view *view);
/* Frees the memory of a view that was made. */
void iovageom_resv_view_close(struct iovageom_resv_view *view);

/*
 * Answers many questions about single addresses of one collection, which must not change meanwhile.
 * With more than IOVAGEOM_RESV_WALK_FEW statements a view is made at the start, and a question is a
 * bisection in it, O(log n). With no more, or without memory for a view, the statements are
 * searched, O(statements x log). The answers are the same: callers such as
 * iovageom_geometry_equal() can't return an error, so opening a walk must not fail.
 * Must not be moved, because a view must not.
 */
enum { IOVAGEOM_RESV_WALK_FEW = 8 }; /* up to so many statements are searched one by one */
struct iovageom_resv_walk {
    const struct iovageom_resv *resv;
    bool viewed;
    struct iovageom_resv_view view;
};

/* Starts; O(n log statements) for n ranges. */
void iovageom_resv_walk_open(struct iovageom_resv_walk *walk, const struct iovageom_resv *resv);
void iovageom_resv_walk_close(struct iovageom_resv_walk *walk);

/*
 * The index of the statement that takes precedence at `address`, or IOVAGEOM_RESV_NONE. *last
 * becomes an address up to which the answer is the same. What follows above *last may have the same
 * type all the same, from another statement.
 */
size_t iovageom_resv_walk_at(const struct iovageom_resv_walk *walk, uint64_t address,
                             uint64_t *last);

/*
 * The highest index of a statement with an address in `range`, so the one of the highest type, then
 * the highest owner; IOVAGEOM_RESV_NONE when no statement has one.
 */
size_t iovageom_resv_walk_heaviest(const struct iovageom_resv_walk *walk,
                                   struct iovageom_range range);

/* Whether some owner forbids some address of `range`. */
bool iovageom_resv_walk_forbids(const struct iovageom_resv_walk *walk, struct iovageom_range range);

/*
 * For the loader, which reads many statements in any order: appends one without looking for its
 * place. It takes the contents of *ranges, which becomes empty. After it the collection is not
 * sorted, and only iovageom_resv_append(), _settle() and _free() may be called.
 *
 * iovageom_resv_settle() sorts, and joins statements of equal type and owner. When that fails
 * (IOVAGEOM_ERR_NO_MEMORY) the collection may only be freed.
 */
int iovageom_resv_append(struct iovageom_resv *resv, struct iovageom_rangeset *ranges,
                         enum iovageom_resv_type type, const struct iovageom_owner *owner);
int iovageom_resv_settle(struct iovageom_resv *resv);

/* The ranges of the statement of `owner` with `type`, or NULL. O(log statements). */
const struct iovageom_rangeset *iovageom_resv_said(const struct iovageom_resv *resv,
                                                   enum iovageom_resv_type type,
                                                   const struct iovageom_owner *owner);

/* The allocator that the collection was made with. */
const struct iovageom_allocator *iovageom_resv_allocator(const struct iovageom_resv *resv);

#endif

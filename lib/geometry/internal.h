/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_GEOMETRY_INTERNAL_H
#define IOVAGEOM_LIB_GEOMETRY_INTERNAL_H

#include <iovageom/geometry.h>

/* ---- owners ---- */

/* -1, 0 or 1: a total order, by source, then by the bytes of the name. */
int iovageom_owner_compare(const struct iovageom_owner *a, const struct iovageom_owner *b);

/*
 * What kind of source speaks. Those of a host are numbered from registers to sysfs: first what its
 * hardware says of itself, then what its kernel says. What the machine's model and the user state
 * is about the guest's machine, and says nothing about a host.
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

/* ---- the table of facts ---- */

/* Plus an enum iovageom_resv_type: the kind of a fact that reserves regions of that type. */
#define IOVAGEOM_FACT_REGIONS 0x200u

/*
 * One fact. Either it says what a source made known, an enum iovageom_fact; or it holds all ranges
 * that one owner reserves with one type. An aperture or a list of usable ranges also forbids
 * addresses: their complement is such a fact, of type RESERVED, with the same owner. So the
 * question "is this address usable" reads regions alone, and the others say only what is known and
 * by whom.
 */
struct iovageom_geometry_fact {
    uint32_t kind; /* an enum iovageom_fact, or IOVAGEOM_FACT_REGIONS + a type */
    struct iovageom_owner owner;
    uint64_t value; /* mask, alignment, number of mappings, or start of the aperture; else 0 */
    uint64_t last;  /* of the aperture; else 0 */
    struct iovageom_rangeset *ranges; /* of regions, never empty; with other kinds not set */
};

/*
 * Invariant: facts ascend by kind, then owner, then value, then last, and no two are equal in all
 * of them. So the facts of one kind and owner are neighbours, a search is a bisection, and the meet
 * of two geometries is the union of two sorted tables.
 *
 * Regions come last, by type, then owner, both in ascending precedence. So an index is also a rank:
 * where several cover one address, the one with the highest index takes precedence ("shows").
 *
 * Only iovageom_geometry_open() may be told to break the order; who does that must call
 * iovageom_geometry_settle() before anything else reads the facts. All memory comes from the
 * geometry's copy of the allocator.
 */
struct iovageom_geometry {
    struct iovageom_allocator allocator;
    struct iovageom_owner self; /* its name; the source is filled in for each fact */
    struct iovageom_geometry_fact *facts;
    size_t count;    /* of facts */
    size_t capacity; /* of facts */
    /* In the same allocation: bytes of a caller in front, see iovageom_geometry_copy_behind();
     * facts, until they become more, as of a usual host they don't; and the first sets. */
    size_t before, room, taken; /* bytes; sets that there are, and that were given to facts */
    struct iovageom_geometry_fact few[6];
    struct iovageom_rangeset sets[];
};

/* Whether it is of regions. */
static inline bool iovageom_fact_has_ranges(const struct iovageom_geometry_fact *fact)
{
    return fact->kind > IOVAGEOM_FACT_REGIONS;
}

/* The type of regions; of another fact, and of NULL, 0. */
static inline uint32_t iovageom_fact_type(const struct iovageom_geometry_fact *fact)
{
    return fact != NULL && iovageom_fact_has_ranges(fact) ? fact->kind - IOVAGEOM_FACT_REGIONS : 0;
}

/* Whether a fact has regions that a guest may not map. NULL may be given. */
static inline bool iovageom_fact_forbids(const struct iovageom_geometry_fact *fact)
{
    return fact != NULL && fact->kind > IOVAGEOM_FACT_REGIONS + IOVAGEOM_RESV_DIRECT_RELAXABLE;
}

/* Makes room for `capacity` facts in all, so that adding them can't fail later. */
int iovageom_geometry_reserve(struct iovageom_geometry *geometry, size_t capacity);

/* What is compared of facts. */
struct iovageom_fact_key {
    uint32_t kind;
    const struct iovageom_owner *owner;
    uint64_t value, last;
};

/*
 * The row of the fact with that key, whose owner must not be in a row of the table, as rows move;
 * made if there is none. NULL without memory for that, so never where room was reserved. O(facts).
 *
 * New regions have an empty set. The caller adds to row->ranges, by a call that leaves it as it was
 * on an error, and closes the row with that call's status, which is returned. A row whose set is
 * empty is removed then.
 *
 * For who adds many facts, `in_order` is false: a new row behind all others, in constant time.
 */
struct iovageom_geometry_fact *iovageom_geometry_open(struct iovageom_geometry *geometry,
                                                      const struct iovageom_fact_key *key,
                                                      bool in_order);
int iovageom_geometry_close(struct iovageom_geometry *geometry, struct iovageom_geometry_fact *row,
                            int status);

/* Adds a region of `owner`. IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_INVALID (type). */
int iovageom_geometry_put_region(struct iovageom_geometry *geometry, struct iovageom_range range,
                                 enum iovageom_resv_type type, const struct iovageom_owner *owner);

/* iovageom_geometry_add_usable() of ranges at any address, which need not be aligned. */
int iovageom_geometry_add_usable_bytes(struct iovageom_geometry *geometry, const void *ranges,
                                       size_t count, enum iovageom_source source);

/* Sorts facts that were not added in order, and joins equal ones; O(n log n). When that fails
 * (IOVAGEOM_ERR_NO_MEMORY) the geometry may only be freed. */
int iovageom_geometry_settle(struct iovageom_geometry *geometry);

/* If `status` is IOVAGEOM_OK, gives the facts of `from`, a copy without room for sets, to a
 * geometry in place of its own. Frees `from` in any case. Returns `status`, or
 * IOVAGEOM_ERR_NO_MEMORY, and the geometry is as it was. */
int iovageom_geometry_take(struct iovageom_geometry *geometry, struct iovageom_geometry *from,
                           int status);

/* A copy, behind `before` bytes for the caller, which must keep it aligned, and with `room` for
 * sets in the same allocation: where that is enough, and facts and ranges are few, it is the only
 * one. iovageom_geometry_free() gives back all of it. */
int iovageom_geometry_copy_behind(const struct iovageom_allocator *allocator,
                                  const struct iovageom_geometry *from, size_t before, size_t room,
                                  struct iovageom_geometry **out);

/* The first fact of one kind and owner, or NULL; how many, if `count` is given. O(log n + k). */
const struct iovageom_geometry_fact *iovageom_geometry_facts_of(
    const struct iovageom_geometry *geometry, uint32_t kind, const struct iovageom_owner *owner,
    size_t *count);

/*
 * The first fact of a kind, with IOVAGEOM_FACT_REGIONS of any type, from index *index on, or NULL;
 * *index becomes the index after it.
 */
const struct iovageom_geometry_fact *iovageom_geometry_next_fact(
    const struct iovageom_geometry *geometry, uint32_t kind, size_t *index);

static inline const struct iovageom_geometry_fact *iovageom_geometry_next_regions(
    const struct iovageom_geometry *geometry, size_t *index)
{
    return iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_REGIONS, index);
}

/* ---- the resolved view ---- */

/*
 * What shows where: regions that are disjoint and ascend; `owner` is the index of the fact that
 * takes precedence there. Addresses between them are in no region. Neighbours of one fact are
 * joined.
 *
 * The second half of `few`, or of `memory`, is scratch space for building it. 48 is two halves of
 * 24 regions, enough for 12 ranges: the usual host has fewer, and needs no allocation. Must not be
 * moved, because `regions` may point to `few`; valid until the geometry changes.
 */
struct iovageom_resolved {
    struct iovageom_region *regions;
    size_t count;
    const struct iovageom_allocator *allocator;
    struct iovageom_region *memory; /* NULL when `few` suffices */
    size_t size;                    /* of `memory`, in regions */
    struct iovageom_region few[48];
};

/*
 * `granule` is a power of two in bytes: regions are widened outward to it before types are resolved
 * (what a granule touches in part, it reserves whole); 1 for none. With `joined` the view is that
 * of iovageom_geometry_reserved(), else that of iovageom_geometry_regions(). There is room for one
 * region more. O(n log facts) for n ranges. IOVAGEOM_ERR_INVALID, IOVAGEOM_ERR_NO_MEMORY: nothing
 * to close.
 */
int iovageom_resolve(const struct iovageom_allocator *allocator,
                     const struct iovageom_geometry *geometry, uint64_t granule, bool joined,
                     struct iovageom_resolved *view);
void iovageom_resolved_close(struct iovageom_resolved *view);

/*
 * Walks over the resolved view, for questions that may not fail. With more than IOVAGEOM_WALK_FEW
 * facts the view is made at the start, and a step is a bisection in it. With no more, or without
 * memory for a view, each step searches the facts, O(facts x log), and the answers are the same.
 * Must not be moved. The geometry must not change meanwhile.
 */
enum { IOVAGEOM_WALK_FEW = 8 };
struct iovageom_walk {
    const struct iovageom_geometry *geometry;
    bool viewed;
    struct iovageom_resolved view;
};

void iovageom_walk_open(struct iovageom_walk *walk, const struct iovageom_geometry *geometry);
void iovageom_walk_close(struct iovageom_walk *walk);

/*
 * One step. *piece becomes the lowest part of *rest in which one fact takes precedence, *fact that
 * fact, or NULL where there is none. *rest becomes what is above, or an invalid range when nothing
 * is. False, at the end: *rest is not valid.
 */
bool iovageom_walk_next(const struct iovageom_walk *walk, struct iovageom_range *rest,
                        struct iovageom_range *piece, const struct iovageom_geometry_fact **fact);

/* ---- questions ---- */

/* The highest address that nobody forbids. False, and *address untouched, when there is none. */
bool iovageom_geometry_top(const struct iovageom_geometry *geometry, uint64_t *address);

/* An upper bound of the number of regions that iovageom_geometry_reserved() gives, and the index of
 * the first fact that has some. O(facts). */
size_t iovageom_geometry_most_regions(const struct iovageom_geometry *geometry, size_t *first);

/*
 * The two kinds of mapping budget, in mappings. *total: the smallest limit on all mappings. *left:
 * the smallest number of mappings that were still free when the host was asked (VFIO's dma_avail).
 * UINT64_MAX where no source stated one.
 */
void iovageom_geometry_budgets(const struct iovageom_geometry *geometry, uint64_t *total,
                               uint64_t *left);

/*
 * iovageom_geometry_equal(), but without the budgets that were left: VFIO's dma_avail changes with
 * every mapping, so two readings of one unchanged host would differ by it.
 */
bool iovageom_geometry_alike(const struct iovageom_geometry *a, const struct iovageom_geometry *b);

/* iovageom_geometry_explain() of a valid range; makes no notes, and does not clear the report. */
int iovageom_geometry_refuse(const struct iovageom_geometry *geometry, struct iovageom_range range,
                             struct iovageom_report *report);

/*
 * Adds a finding for each owner of a direct region, because Linux gives a device with one to nobody
 * (iovageom_geometry_assignable()). The findings have `status`: they are fatal when it is an error,
 * notes when it is IOVAGEOM_OK. Returns whether there was any.
 */
bool iovageom_geometry_direct(const struct iovageom_geometry *geometry, uint64_t endpoint,
                              int status, struct iovageom_report *report);

/*
 * Adds notes on what no source stated: width, reserved regions, page sizes; on what may be
 * incomplete; and for each region that a host calls MSI but that may be a software MSI window.
 * `endpoint` only goes into the findings; it may be IOVAGEOM_ID_NONE.
 */
void iovageom_geometry_doubts(const struct iovageom_geometry *geometry, uint64_t endpoint,
                              struct iovageom_report *report);

/* Notes that the guest loses `range`, though the host maps it; or each range of a set. */
void iovageom_report_lost(struct iovageom_report *report, struct iovageom_range range);
void iovageom_report_all_lost(struct iovageom_report *report, const struct iovageom_rangeset *lost);

/* `source` was asked for reserved regions, and has none beyond those added: makes that known. */
int iovageom_geometry_add_reserved_known(struct iovageom_geometry *geometry,
                                         enum iovageom_source source);

/*
 * What `source` said may have been cut off (a sysfs file that fills its page). Of registers: it is
 * the least of what they may mean, so that a kernel which maps more does not contradict it
 * (iovageom_geometry_check()).
 */
int iovageom_geometry_add_incomplete(struct iovageom_geometry *geometry,
                                     enum iovageom_source source);

#endif

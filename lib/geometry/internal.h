/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_GEOMETRY_INTERNAL_H
#define IOVAGEOM_LIB_GEOMETRY_INTERNAL_H

#include <iovageom/geometry.h>

#include "resv.h"

/*
 * One fact that a source stated. An aperture or a list of usable ranges also forbids addresses:
 * their complement is kept in `resv`, as RESERVED, under the same owner. So the question "is this
 * address usable" reads `resv` alone, and the facts say only what is known and by whom.
 */
struct iovageom_geometry_fact {
    uint32_t kind; /* an enum iovageom_fact */
    struct iovageom_owner owner;
    uint64_t value; /* mask, alignment, number of mappings, or start of the aperture; else 0 */
    uint64_t last;  /* of the aperture; else 0 */
};

/*
 * Invariant: facts ascend by kind, then owner, then value, then last, and no two are equal. So the
 * facts of one kind and owner are neighbours, a search is a bisection, and the meet of two
 * geometries is the union of two sorted sets. Only the loader and the envelope append out of order;
 * they call iovageom_geometry_settle() before anything else reads the facts.
 *
 * The geometry owns `resv` and `facts`; both come from its own copy of the allocator.
 */
struct iovageom_geometry {
    struct iovageom_allocator allocator;
    char name[IOVAGEOM_NAME_SIZE];
    struct iovageom_resv *resv;
    struct iovageom_geometry_fact *facts;
    size_t count;    /* of facts */
    size_t capacity; /* of facts, allocated */
};

/* A copy that lives in another allocator. */
int iovageom_geometry_copy_to(const struct iovageom_allocator *allocator,
                              const struct iovageom_geometry *geometry,
                              struct iovageom_geometry **out);

/* Makes room for `capacity` facts in all, so that adding them can't fail later. */
int iovageom_geometry_reserve(struct iovageom_geometry *geometry, size_t capacity);

/*
 * Adds all facts of another geometry, which must not be the same object. The caller has reserved
 * room for the sum of both counts; then it can't fail. O(n log n).
 */
void iovageom_geometry_put_all(struct iovageom_geometry *geometry,
                               const struct iovageom_geometry *other);

/* Sorts facts that were appended out of order, and drops equal ones. O(n log n). */
void iovageom_geometry_settle(struct iovageom_geometry *geometry);

/* The first of the facts of one kind and owner, or NULL. O(log n). */
const struct iovageom_geometry_fact *iovageom_geometry_first_of(
    const struct iovageom_geometry *geometry, enum iovageom_fact kind,
    const struct iovageom_owner *owner);

/* The facts of one kind and owner: the first, and how many. O(log n + those). */
const struct iovageom_geometry_fact *iovageom_geometry_facts_of(
    const struct iovageom_geometry *geometry, enum iovageom_fact kind,
    const struct iovageom_owner *owner, size_t *count);

/* The first fact of a kind from index *index on, or NULL; *index becomes the index after it. */
const struct iovageom_geometry_fact *iovageom_geometry_next_fact(
    const struct iovageom_geometry *geometry, enum iovageom_fact kind, size_t *index);

/*
 * Finds the lowest part of *rest that one statement forbids. finding->range receives that part;
 * finding->owner, ->type and ->against receive the statement's owner and type and its whole region.
 * `walk` must be open on the geometry's regions. *rest becomes what is above that part, or an
 * invalid range when nothing is: call it again with the same *rest for the next part. False when
 * nobody forbids any address of *rest.
 */
bool iovageom_geometry_next_obstacle(const struct iovageom_resv_walk *walk,
                                     struct iovageom_range *rest, struct iovageom_finding *finding);

/*
 * An upper bound of the number of regions that iovageom_geometry_reserved() gives, for any granule:
 * so a caller can allocate once and need not ask for the size first. O(statements).
 */
size_t iovageom_geometry_most_regions(const struct iovageom_geometry *geometry);

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

/*
 * Adds a finding for each owner of a direct region, because Linux gives a device with one to nobody
 * (iovageom_geometry_assignable()). The findings have `status`: they are fatal when it is an error,
 * notes when it is IOVAGEOM_OK. Returns whether there was any.
 */
bool iovageom_geometry_direct(const struct iovageom_geometry *geometry, uint64_t endpoint,
                              int status, struct iovageom_report *report);

/* Adds a note for each region that a host calls MSI but that may be a software MSI window. */
void iovageom_geometry_msi_windows(const struct iovageom_geometry *geometry, uint64_t endpoint,
                                   struct iovageom_report *report);

/*
 * Adds notes on what no source stated: width, reserved regions, page sizes; on what may be
 * incomplete; and those of iovageom_geometry_msi_windows(). `endpoint` only goes into the findings;
 * it may be IOVAGEOM_ID_NONE.
 */
void iovageom_geometry_doubts(const struct iovageom_geometry *geometry, uint64_t endpoint,
                              struct iovageom_report *report);

/* `source` was asked for reserved regions, and has none beyond those added: makes that known. */
int iovageom_geometry_add_reserved_known(struct iovageom_geometry *geometry,
                                         enum iovageom_source source);

#endif

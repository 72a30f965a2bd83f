/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_GEOMETRY_INTERNAL_H
#define IOVAGEOM_LIB_GEOMETRY_INTERNAL_H

#include <iovageom/geometry.h>

#include "resv.h"

/*
 * One fact. What it forbids, if it is an aperture or a list of usable ranges, stands among the
 * reserved regions as well, under the same owner.
 */
struct iovageom_geometry_fact {
    uint32_t kind; /* an enum iovageom_fact */
    struct iovageom_owner owner;
    uint64_t value; /* mask, alignment, number of mappings, or start of the aperture; else 0 */
    uint64_t last;  /* of the aperture; else 0 */
};

/*
 * Facts are a set: they ascend by kind, owner and value, and none is there twice. So the meet is a
 * union.
 */
struct iovageom_geometry {
    struct iovageom_allocator allocator;
    char name[IOVAGEOM_NAME_SIZE];
    struct iovageom_resv *resv;
    struct iovageom_geometry_fact *facts;
    size_t count;
    size_t capacity;
};

/* A copy that lives in another allocator. */
IOVAGEOM_COLD int iovageom_geometry_copy_to(const struct iovageom_allocator *allocator,
                                            const struct iovageom_geometry *geometry,
                                            struct iovageom_geometry **out);

/* Makes room for that many facts. */
IOVAGEOM_COLD int iovageom_geometry_reserve(struct iovageom_geometry *geometry, size_t capacity);

/* Adds all facts of another geometry. There must be room for as many; then it can't fail. O(n). */
IOVAGEOM_COLD void iovageom_geometry_put_all(struct iovageom_geometry *geometry,
                                             const struct iovageom_geometry *other);

/* Makes a set of facts that were written one after the other. O(n log n). */
IOVAGEOM_COLD void iovageom_geometry_settle(struct iovageom_geometry *geometry);

/* The facts of one kind and owner: the first, and how many. O(log n + those). */
IOVAGEOM_COLD const struct iovageom_geometry_fact *iovageom_geometry_facts_of(
    const struct iovageom_geometry *geometry, enum iovageom_fact kind,
    const struct iovageom_owner *owner, size_t *count);

/* The first fact of a kind from number *index on, or NULL; *index becomes the number after it. */
IOVAGEOM_COLD const struct iovageom_geometry_fact *iovageom_geometry_next_fact(
    const struct iovageom_geometry *geometry, enum iovageom_fact kind, size_t *index);

/*
 * The first addresses of *rest that somebody forbids, as finding->range; with who, which region and
 * type in owner, against and type. `walk` goes over the geometry's regions. *rest becomes what is above them, or an invalid range when that
 * is nothing. False when nobody forbids any.
 */
IOVAGEOM_COLD bool iovageom_geometry_next_obstacle(const struct iovageom_resv_walk *walk,
                                                   struct iovageom_range *rest,
                                                   struct iovageom_finding *finding);

/* No fewer than the regions that iovageom_geometry_reserved() gives. O(statements). */
IOVAGEOM_COLD size_t iovageom_geometry_most_regions(const struct iovageom_geometry *geometry);

/*
 * The mapping budgets apart: the least that is a total, and the least that was left when the host
 * was asked. UINT64_MAX where nobody said.
 */
IOVAGEOM_COLD void iovageom_geometry_budgets(const struct iovageom_geometry *geometry,
                                             uint64_t *total, uint64_t *left);

/* Whether both are equal but for what is left of a budget, which differs from one hour to the next. */
IOVAGEOM_COLD bool iovageom_geometry_alike(const struct iovageom_geometry *a,
                                           const struct iovageom_geometry *b);

/*
 * Adds a finding for each owner whose devices can't be assigned, as firmware demands direct regions:
 * fatal when `status` is an error. Whether there is one.
 */
IOVAGEOM_COLD bool iovageom_geometry_direct(const struct iovageom_geometry *geometry,
                                            uint64_t endpoint, int status,
                                            struct iovageom_report *report);

/* Adds a note for each msi window that may be one of the host's software. */
IOVAGEOM_COLD void iovageom_geometry_msi_windows(const struct iovageom_geometry *geometry,
                                                 uint64_t endpoint, struct iovageom_report *report);

/* Adds notes on what the geometry, for `endpoint` or IOVAGEOM_ID_NONE, does not know. */
IOVAGEOM_COLD void iovageom_geometry_doubts(const struct iovageom_geometry *geometry,
                                            uint64_t endpoint, struct iovageom_report *report);

#endif

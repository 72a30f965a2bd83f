/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_RESV_INTERNAL_H
#define IOVAGEOM_LIB_RESV_INTERNAL_H

#include <iovageom/rangemap.h>
#include <iovageom/resv.h>

#include "hints.h"

/* What iovageom_resv_at() answers for an address that no statement speaks of. */
#define IOVAGEOM_RESV_NONE SIZE_MAX

/*
 * Which statement shows at `address`: its number, or IOVAGEOM_RESV_NONE. *last becomes the highest
 * address up to which the answer is surely the same. Walking a collection so needs no memory, which
 * iovageom_resv_resolve() does; it costs O(statements x log) for each piece.
 */
IOVAGEOM_COLD size_t iovageom_resv_at(const struct iovageom_resv *resv, uint64_t address,
                                      uint64_t *last);

/* The highest address that nobody forbids. False, and *address untouched, when there is none. */
IOVAGEOM_COLD bool iovageom_resv_top(const struct iovageom_resv *resv, uint64_t *address);

/* The type of statement number `index`, 0 for IOVAGEOM_RESV_NONE. */
uint32_t iovageom_resv_type_at(const struct iovageom_resv *resv, size_t index);

/* The resolved view: ascending entries whose value is the number of a statement. Not to be moved. */
struct iovageom_resv_view {
    struct iovageom_rangemap_entry *entries;
    size_t count;
    const struct iovageom_allocator *allocator;
    struct iovageom_rangemap_entry *memory; /* NULL when `few` suffices, as for the usual host */
    size_t size;                            /* of `memory`, in bytes */
    struct iovageom_rangemap_entry few[48];
};

/* Makes the view; O(n log statements) for n ranges. IOVAGEOM_ERR_INVALID, IOVAGEOM_ERR_NO_MEMORY. */
IOVAGEOM_COLD int iovageom_resv_view(const struct iovageom_resv *resv, uint64_t granule,
                                     struct iovageom_resv_view *view);
/* Gives back what a view that was made holds. */
IOVAGEOM_COLD void iovageom_resv_view_close(struct iovageom_resv_view *view);

/* Forget what the owners of that name said, whatever their source. */
IOVAGEOM_COLD void iovageom_resv_remove_name(struct iovageom_resv *resv, const char *name);

/* The allocator that the collection was made with. */
const struct iovageom_allocator *iovageom_resv_allocator(const struct iovageom_resv *resv);

#endif

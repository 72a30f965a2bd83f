/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_PLAN_ENVELOPE_H
#define IOVAGEOM_PLAN_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/range.h>
#include <iovageom/report.h>

/**
 * @file
 * What a whole pool can do: the meet of the hosts that a guest may be migrated to, or of the
 * devices that may be hot-plugged into it. A guest that gets it from the start fits wherever
 * it goes (E1, E5).
 */

#ifdef __cplusplus
extern "C" {
#endif

/** Index of a host where none is to be named. */
#define IOVAGEOM_HOST_NONE SIZE_MAX

/** The figures of an envelope. */
struct iovageom_envelope {
    /** From the lowest to the highest address that all map: virtio-iommu's input_range. */
    struct iovageom_range input_range;
    uint64_t granule;        /**< in bytes; 0 when no host says */
    uint64_t page_size_mask; /**< to promise; 0 when no host says */
    uint64_t map_budget;     /**< mappings; 2^64-1 when no host says */
    uint32_t gaw;            /**< width of the highest address that all map, in bits: aw-bits */
    uint32_t knows;          /**< the facts that every host knows: bits of enum iovageom_fact */
    /** First host whose highest usable address is the lowest; IOVAGEOM_HOST_NONE when all of them
        reach 2^64-1. */
    size_t gaw_host;
    size_t granule_host;    /**< first host with that granule; IOVAGEOM_HOST_NONE when none says */
    size_t map_budget_host; /**< first host with that budget; IOVAGEOM_HOST_NONE when none says */
};

/**
 * The meet of a pool.
 *
 * The result has the same usable addresses, types, page sizes, alignment, budget and known facts as
 * the meet of all of them (iovageom_geometry_narrow()), but owned by the envelope (source ENVELOPE,
 * `name`). iovageom_geometry_explain() of each host tells which of them stand behind a region.
 *
 * Its usable addresses at the granule are the list for IOMMU_IOAS_ALLOW_IOVAS by which iommufd
 * refuses devices outside of the envelope. (To the kernel an empty list allows everything, not
 * nothing; and it refuses ranges of one byte.)
 *
 * A number of mappings that VFIO says are left becomes a limit on all: a guest that comes to that
 * host brings all its mappings. (So the host on which the guest runs must be asked before the guest
 * maps anything, or the limit is too low.)
 *
 * @param hosts `count` pointers; none may be NULL. Of an empty pool the meet knows nothing.
 * @param name of the result; shorter than IOVAGEOM_NAME_SIZE.
 * @param figures receives the figures; may be NULL.
 * @param out receives the meet, to be freed with iovageom_geometry_free(); may be NULL.
 * @param report notes on the hosts whose device can't be assigned (DIRECT; to leave them out, ask
 *        iovageom_geometry_assignable() before) and on those that do not say all (UNKNOWN,
 *        INCOMPLETE, MSI_WINDOW); fatal when nothing is usable.
 * @return IOVAGEOM_ERR_NOTHING_USABLE when no granule is usable on all hosts;
 *         IOVAGEOM_ERR_INVALID (name, no allocator); IOVAGEOM_ERR_NO_MEMORY. O(n log n) for n
 *         ranges in all.
 */
IOVAGEOM_API int iovageom_plan_envelope(const struct iovageom_allocator *allocator,
                                        const struct iovageom_geometry *const *hosts, size_t count,
                                        const char *name, struct iovageom_envelope *figures,
                                        struct iovageom_geometry **out,
                                        struct iovageom_report *report);

#ifdef __cplusplus
}
#endif
#endif

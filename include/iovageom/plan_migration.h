/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_PLAN_MIGRATION_H
#define IOVAGEOM_PLAN_MIGRATION_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/mappings.h>
#include <iovageom/range.h>
#include <iovageom/rangeset.h>
#include <iovageom/report.h>

/**
 * @file
 * Whether a guest may go on elsewhere: does the destination keep what the guest was promised, and
 * can it map what is mapped (Q27, F14)? Ask before the guest is stopped.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** What a guest was told, for one endpoint. */
struct iovageom_promise {
    struct iovageom_range input_range;      /**< of the config space */
    uint64_t page_size_mask;                /**< of the config space; 0 when nothing was said */
    const struct iovageom_rangeset *usable; /**< what PROBE left; NULL for all of input_range */
    uint64_t endpoint;                      /**< for messages; may be IOVAGEOM_ID_NONE */
};

/** What is mapped, in one domain. */
struct iovageom_live_domain {
    const struct iovageom_mappings *mappings;
    uint64_t domain; /**< for messages */
};

/**
 * Whether `destination` honours a promise and every live mapping.
 *
 * What the destination does not say is taken as no constraint, with a note.
 *
 * @param allocator for scratch memory; NULL for the default.
 * @param promise may be NULL: then mappings alone are checked.
 * @param domains those that the endpoint is attached to; `count` of them, may be 0.
 * @param report one finding for each obstacle: GRANULE; PROMISE for each part that can't be kept,
 *        with who forbids it; MAPPING and ALIGNMENT for each mapping; BUDGET. Notes: DIRECT when the
 *        destination's device can't be assigned at all (to refuse that, ask
 *        iovageom_geometry_assignable()), and what is unknown.
 * @return IOVAGEOM_OK when all is kept; IOVAGEOM_ERR_CONFLICT; IOVAGEOM_ERR_INVERTED (input range),
 *         IOVAGEOM_ERR_NO_MEMORY. O(k + m) for k reserved regions and m mappings, times log.
 */
IOVAGEOM_API int iovageom_plan_migration(const struct iovageom_allocator *allocator,
                                         const struct iovageom_geometry *destination,
                                         const struct iovageom_promise *promise,
                                         const struct iovageom_live_domain *domains, size_t count,
                                         struct iovageom_report *report);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_PLAN_PROBE_H
#define IOVAGEOM_PLAN_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/range.h>
#include <iovageom/report.h>
#include <iovageom/region.h>

/**
 * @file
 * How to fit the reserved regions into the probe_size that the guest has read: exactly if they fit;
 * else by closing the gaps that cost the least usable space, and saying which. All or nothing
 * would be worse: a guest that gets an error for its PROBE can't use the device at all.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** What a plan comes to. */
struct iovageom_probe_plan {
    size_t count;              /**< regions in the planned list */
    size_t bytes;              /**< of their properties */
    size_t lossless_bytes;     /**< that a list without loss takes */
    size_t minimum_bytes;      /**< that the shortest list takes */
    struct iovageom_size lost; /**< usable bytes that are given up, the sum of all closed gaps */
};

/**
 * Fit a wire list into `probe_size` bytes.
 *
 * Neighbours that touch are merged first, which costs nothing. Then, while there are too many,
 * gaps between two RESERVED neighbours are closed; no list of that length that covers the same
 * regions, and keeps the MSI region as it is, loses less. Among gaps of equal size the higher goes
 * first, because low addresses are of use to more devices.
 *
 * The MSI region is never merged or widened: a guest that gets no MSI region makes
 * up a window of its own, in which its VFIO maps them (I5). So the shortest list has three regions,
 * or fewer where MSI, or RESERVED on one side of it, is missing.
 *
 * Nothing is ever planned as [0, 2^64-1] or [0, 2^32-1] in one piece, because 64-bit or 32-bit guests
 * refuse that: gaps whose closing would make it stay open, or the one above is closed as well,
 * whichever loses less; and [0, 2^32-1] that comes in one piece is sent in two halves, the first of
 * which keeps the type. The shortest list is one longer for that where MSI lies above 4 GiB.
 *
 * @param list a wire list (virtio.h).
 * @param probe_size of the config space, in bytes; SIZE_MAX for no limit.
 * @param out room for `capacity` regions; may be `list` itself; `count` suffice, and count + 1 for a
 *        list with [0, 2^32-1] in one piece. NULL for the figures alone.
 * @param plan receives the figures, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL, when `count`,
 *        `bytes` and `lost` are those of the shortest list.
 * @param report one finding PROBE_SIZE and one LOST for each closed gap, as notes; fatal when it
 *        can't be done.
 * @return what iovageom_virtio_wire_check() says; IOVAGEOM_ERR_BUFFER_TOO_SMALL when probe_size is
 *         below minimum_bytes, or `capacity` below the planned count. O(64 n), allocates nothing.
 */
IOVAGEOM_API int iovageom_plan_probe(const struct iovageom_region *list, size_t count,
                                     size_t probe_size, struct iovageom_region *out,
                                     size_t capacity, struct iovageom_probe_plan *plan,
                                     struct iovageom_report *report);

/**
 * The PROBE answer for `geometry`: reserved regions at `granule`, as a wire list for `window`,
 * planned for `size` bytes, encoded, the rest zero-filled.
 *
 * @param allocator for scratch memory; NULL for the default.
 * @param granule, window as for iovageom_virtio_encode_geometry().
 * @param buffer the properties[] of the request, `size` bytes (the device's probe_size).
 * @param plan may be NULL.
 * @param report as above; and one LOST for each usable range that is no whole granule, so that the
 *        report names every address that the host accepts and the guest is not offered.
 * @return as iovageom_virtio_encode_geometry() and iovageom_plan_probe(); nothing is written on
 *         error.
 */
IOVAGEOM_API int iovageom_plan_probe_encode(const struct iovageom_allocator *allocator,
                                            const struct iovageom_geometry *geometry,
                                            uint64_t granule, struct iovageom_range window,
                                            void *buffer, size_t size,
                                            struct iovageom_probe_plan *plan,
                                            struct iovageom_report *report);

#ifdef __cplusplus
}
#endif
#endif

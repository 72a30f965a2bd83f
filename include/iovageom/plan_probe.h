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
 * How to fit the reserved regions into the probe_size that the guest has read: as they are if there
 * is room. Else the gaps that have the least usable addresses are closed, which means that they are
 * told as reserved too, and the report says which. To refuse would be worse: a guest that gets an
 * error for its PROBE can't use the device at all.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** The figures of a plan. */
struct iovageom_probe_plan {
    size_t count;              /**< regions in the planned list */
    size_t bytes;              /**< bytes of their properties */
    size_t lossless_bytes;     /**< bytes of a list without loss */
    size_t minimum_bytes;      /**< bytes of the shortest list */
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
 * The MSI region is never merged or widened: a guest that gets no MSI region makes up a window of
 * its own, in which its VFIO maps doorbells (I5). So the shortest list has three regions, or fewer
 * where MSI, or RESERVED on one side of it, is missing.
 *
 * Nothing is ever planned as [0, 2^64-1] or [0, 2^32-1] in one piece, because 64-bit or 32-bit
 * guests refuse that. A gap whose closing would make such a piece stays open, or the gap above it
 * is closed as well, whichever loses less. A list that has [0, 2^32-1] in one piece gets it in two
 * halves, the first of which keeps the type. So the shortest list has one region more where MSI
 * lies above 4 GiB.
 *
 * @param list a wire list (virtio.h).
 * @param probe_size of the config space, in bytes; SIZE_MAX for no limit.
 * @param out room for `capacity` regions; may be `list` itself; `count` suffice, and count + 1 for
 *        a list with [0, 2^32-1] in one piece. NULL for the figures alone.
 * @param plan receives the figures, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL. When
 *        probe_size is too small, `count`, `bytes` and `lost` are those of the shortest list.
 * @param report when addresses are lost, one note PROBE_SIZE, and one note LOST for each closed
 *        gap; when probe_size is too small, a fatal PROBE_SIZE alone.
 * @return for a list that is no wire list IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_OVERLAP (not disjoint
 *         and ascending), IOVAGEOM_ERR_INVALID (a type that the wire lacks), IOVAGEOM_ERR_EXISTS (a
 *         second MSI) or IOVAGEOM_ERR_OVERFLOW ([0, 2^64-1] in one piece);
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL when probe_size is below minimum_bytes, or `capacity` below
 *         the planned count. O(n): a few times 64 passes over the list; allocates nothing.
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
 * @param granule as with iovageom_virtio_encode_geometry().
 * @param window as with iovageom_virtio_encode_geometry().
 * @param buffer the properties[] of the request, `size` bytes (the device's probe_size).
 * @param plan receives the figures; may be NULL.
 * @param report as above; and one LOST for each usable range that is no whole granule, so that the
 *        report names every address that the host accepts and the guest is not offered.
 * @return as iovageom_virtio_encode_geometry() and iovageom_plan_probe(). On an error nothing but
 *         the report is written. O(n log n).
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

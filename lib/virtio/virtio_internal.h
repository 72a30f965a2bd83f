/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIRTIO_INTERNAL_H
#define IOVAGEOM_LIB_VIRTIO_INTERNAL_H

#include <iovageom/virtio.h>

#include "../geometry/internal.h"

/* The wire list of a geometry, as iovageom_virtio_encode_geometry() encodes it: reserved regions at
 * `granule`, in bytes, within `window`. Has room for one region more. To be closed. */
int iovageom_wire_from_geometry(const struct iovageom_allocator *allocator,
                                const struct iovageom_geometry *geometry, uint64_t granule,
                                struct iovageom_range window, struct iovageom_resolved *wire);

/*
 * Whether an array of regions is a wire list. IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_OVERLAP (not
 * disjoint and ascending), IOVAGEOM_ERR_INVALID (a type that the wire lacks), IOVAGEOM_ERR_EXISTS
 * (a second MSI), IOVAGEOM_ERR_OVERFLOW ([0, 2^64-1] in one piece). Linear.
 */
int iovageom_wire_check(const struct iovageom_region *list, size_t count);

/* Bytes that the properties of a wire list of `count` regions take; saturates. */
size_t iovageom_wire_bytes(size_t count);

/*
 * One RESV_MEM property for each region of a wire list, in its order, each with length 20 (N66,
 * N67), all reserved bits 0 (N65, N73). The rest of the buffer is zero-filled (N69). `buffer`,
 * `size` and `needed` are those of iovageom_virtio_encode_geometry().
 * IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 */
int iovageom_wire_encode(const struct iovageom_region *list, size_t count, void *buffer,
                         size_t size, size_t *needed);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIRTIO_INTERNAL_H
#define IOVAGEOM_LIB_VIRTIO_INTERNAL_H

#include <iovageom/virtio.h>

/*
 * A list of regions: in `few`, which is enough for the usual host, or on the heap. It must not be
 * moved, as `list` may point into it. iovageom_wire_free() releases it.
 */
struct iovageom_region_buffer {
    const struct iovageom_allocator *allocator;
    struct iovageom_region *list;
    size_t count;
    size_t capacity;
    struct iovageom_region few[16];
};

/*
 * The wire list of a geometry, as iovageom_virtio_encode_geometry() encodes it: reserved regions at
 * `granule`, in bytes, within `window`. There is room for one region more than the geometry has,
 * because a region that reserves everything is sent in two halves.
 *
 * @param wire to be freed by the caller on success only.
 */
int iovageom_wire_from_geometry(const struct iovageom_allocator *allocator,
                                const struct iovageom_geometry *geometry, uint64_t granule,
                                struct iovageom_range window, struct iovageom_region_buffer *wire);

void iovageom_wire_free(struct iovageom_region_buffer *wire);

/* ---- requests, for lib/viommu ---- */

/*
 * Read a request. Total over any bytes and any lengths.
 *
 * @param readable the device-readable part; `readable_size` bytes, of which those beyond the
 *        request's own are ignored.
 * @param writable_size bytes of the device-writable part. The tail of a PROBE comes after
 *        probe_size bytes of properties; when less was given (N68), it is its last 4 bytes.
 * @param probe_size that of the config space, 0 when PROBE is not offered: then a PROBE has no tail
 *        (N64).
 * @param out is written whatever is returned.
 * @return IOVAGEOM_OK; IOVAGEOM_ERR_UNSUPPORTED for an unknown type, which has no tail (N18);
 *         IOVAGEOM_ERR_TRUNCATED when the readable part is too small for its type (answer INVAL if
 *         has_tail; of the other fields only type and the sizes are set) or the writable part too
 *         small for a tail (I6). O(1).
 */
int iovageom_virtio_decode_request(const void *readable, size_t readable_size, size_t writable_size,
                                   uint32_t probe_size, struct iovageom_virtio_request *out);

/* The tail of an answer: the status, an enum iovageom_virtio_status, and zeros (N19). */
void iovageom_virtio_encode_tail(uint32_t status, uint8_t out[IOVAGEOM_VIRTIO_TAIL_SIZE]);

#endif

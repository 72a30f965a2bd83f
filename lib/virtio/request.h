/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIRTIO_REQUEST_H
#define IOVAGEOM_LIB_VIRTIO_REQUEST_H

#include <string.h>

#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "../base/bytes.h"
#include "../base/hints.h"

/* Requests of a guest as bytes. Where its MAP and UNMAP pass, the decoder is inlined: there the
 * type is known already, and what is left are a few loads and stores. */

enum { REQUEST_HEAD_SIZE = 4, REQUEST_MAP_SIZE = 36, REQUEST_UNMAP_SIZE = 28 };

/* Bytes that the device reads of a request, head included; 0 for an unknown type. */
static ALWAYS_INLINE size_t request_size(uint32_t type)
{
    /* By type: none, ATTACH, DETACH, MAP, UNMAP, PROBE. */
    static const uint8_t sizes[] = {
        0, 20, 20, REQUEST_MAP_SIZE, REQUEST_UNMAP_SIZE, IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX};

    return type < sizeof(sizes) ? sizes[type] : 0;
}

/*
 * Where the tail goes, in bytes from the start of the writable part. Without room for one the
 * request is returned unwritten (I6), as is a PROBE where none was offered (N64). The tail of a
 * PROBE stands behind probe_size bytes of properties, or, if the driver gave fewer, at the end of
 * what it gave: there a driver looks for the status that refuses it (N68).
 */
static ALWAYS_INLINE void place_tail(struct iovageom_virtio_request *request, uint32_t type,
                                     size_t writable_size, uint32_t probe_size)
{
    const bool is_probe = type == IOVAGEOM_VIRTIO_T_PROBE;

    if (writable_size < IOVAGEOM_VIRTIO_TAIL_SIZE || (is_probe && probe_size == 0))
        return;
    request->has_tail = true;
    if (is_probe)
        request->properties_size = writable_size - IOVAGEOM_VIRTIO_TAIL_SIZE < probe_size
                                       ? writable_size - IOVAGEOM_VIRTIO_TAIL_SIZE
                                       : probe_size;
    request->tail_offset = request->properties_size;
    request->used_length = request->tail_offset + IOVAGEOM_VIRTIO_TAIL_SIZE;
}

/* The fields; `at` has the bytes of that type. The last ones are reserved, except in a MAP. */
static ALWAYS_INLINE void decode_body(const uint8_t *at, uint32_t type,
                                      struct iovageom_virtio_request *request)
{
    uint64_t reserved = 0;

    request->domain = iovageom_load_le32(at + 4);
    switch (type) {
    case IOVAGEOM_VIRTIO_T_ATTACH:
        request->endpoint = iovageom_load_le32(at + 8);
        request->flags = iovageom_load_le32(at + 12);
        reserved = iovageom_load_le32(at + 16);
        break;
    case IOVAGEOM_VIRTIO_T_DETACH:
        request->endpoint = iovageom_load_le32(at + 8);
        reserved = iovageom_load_le64(at + 12);
        break;
    case IOVAGEOM_VIRTIO_T_MAP:
        request->phys = iovageom_load_le64(at + 24);
        request->flags = iovageom_load_le32(at + 32);
        break;
    case IOVAGEOM_VIRTIO_T_UNMAP:
        reserved = iovageom_load_le32(at + 24);
        break;
    default: /* PROBE, whose first field is the endpoint */
        request->endpoint = request->domain;
        request->domain = 0;
        for (size_t i = 8; i < IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX; i += 8)
            reserved |= iovageom_load_le64(at + i);
        break;
    }
    if (type == IOVAGEOM_VIRTIO_T_MAP || type == IOVAGEOM_VIRTIO_T_UNMAP) {
        request->virt.start = iovageom_load_le64(at + 8);
        request->virt.last = iovageom_load_le64(at + 16);
    }
    request->body_reserved = reserved != 0;
}

/* For a request that has a head with that type. The order of the checks decides what the guest is
 * answered: an unknown type gets no tail (N18), a request that is too short can have one. */
static ALWAYS_INLINE int decode_request(const uint8_t *at, uint32_t type, size_t readable_size,
                                        size_t writable_size, uint32_t probe_size,
                                        struct iovageom_virtio_request *out)
{
    memset(out, 0, sizeof(*out));
    out->type = type;
    if (request_size(type) == 0)
        return IOVAGEOM_ERR_UNSUPPORTED;
    place_tail(out, type, writable_size, probe_size);
    if (readable_size < request_size(type))
        return IOVAGEOM_ERR_TRUNCATED;
    out->head_reserved = iovageom_load_le32(at) >> 8 != 0;
    decode_body(at, type, out);
    return writable_size < IOVAGEOM_VIRTIO_TAIL_SIZE ? IOVAGEOM_ERR_TRUNCATED : IOVAGEOM_OK;
}

/*
 * Reads a request. Total over any bytes and any lengths; `out` is written whatever is returned.
 * `probe_size` is that of the config space, 0 when PROBE is not offered. IOVAGEOM_ERR_UNSUPPORTED
 * for an unknown type; IOVAGEOM_ERR_TRUNCATED when the readable part is too small for its type
 * (type and sizes are set then), or the writable part too small for a tail (I6).
 */
static inline int iovageom_virtio_decode_request(const void *readable, size_t readable_size,
                                                 size_t writable_size, uint32_t probe_size,
                                                 struct iovageom_virtio_request *out)
{
    const uint8_t *at = readable;

    if (readable_size >= REQUEST_HEAD_SIZE)
        return decode_request(at, at[0], readable_size, writable_size, probe_size, out);
    memset(out, 0, sizeof(*out));
    return IOVAGEOM_ERR_TRUNCATED;
}

/* The tail of an answer: the status, an enum iovageom_virtio_status, and zeros (N19). */
static inline void iovageom_virtio_encode_tail(uint32_t status, uint8_t *out)
{
    iovageom_store_le32(out, (uint8_t)status);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "../base/bytes.h"
#include "virtio_internal.h"

/* Requests of a guest as bytes. This is a file of its own because each request runs through it: it
 * is compiled for speed, the rest of the wire for size (lib/CMakeLists.txt). */

enum { REQUEST_HEAD_SIZE = 4 };

/* Bytes that the device reads of a request, head included; 0 for an unknown type. */
static size_t request_size(uint32_t type)
{
    /* By type: none, ATTACH, DETACH, MAP, UNMAP, PROBE. */
    static const uint8_t sizes[] = {0, 20, 20, 36, 28, IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX};

    return type < sizeof(sizes) ? sizes[type] : 0;
}

/*
 * Where the tail goes, in bytes from the start of the writable part. Without room for one the
 * request is returned unwritten (I6), as is a PROBE where none was offered (N64). The tail of a
 * PROBE stands behind probe_size bytes of properties, or, if the driver gave fewer, at the end of
 * what it gave: there a driver looks for the status that refuses it (N68).
 */
static void place_tail(struct iovageom_virtio_request *request, size_t writable_size,
                       uint32_t probe_size)
{
    bool is_probe = request->type == IOVAGEOM_VIRTIO_T_PROBE;

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

/* The fields; `at` has as many bytes as the type asks for. The last ones are reserved, except in a
 * MAP. */
static void decode_body(const uint8_t *at, struct iovageom_virtio_request *request)
{
    uint64_t reserved = 0;

    request->domain = iovageom_load_le32(at + 4);
    switch (request->type) {
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
    if (request->type == IOVAGEOM_VIRTIO_T_MAP || request->type == IOVAGEOM_VIRTIO_T_UNMAP) {
        request->virt.start = iovageom_load_le64(at + 8);
        request->virt.last = iovageom_load_le64(at + 16);
    }
    request->body_reserved = reserved != 0;
}

/*
 * The order of the checks decides what the guest is answered. An unknown type gets no tail (N18). A
 * request that is too short to be decoded can still have a tail, for the status that says so.
 */
int iovageom_virtio_decode_request(const void *readable, size_t readable_size, size_t writable_size,
                                   uint32_t probe_size, struct iovageom_virtio_request *out)
{
    const uint8_t *at = readable;

    memset(out, 0, sizeof(*out));
    if (readable_size < REQUEST_HEAD_SIZE)
        return IOVAGEOM_ERR_TRUNCATED;
    out->type = at[0];
    if (request_size(out->type) == 0)
        return IOVAGEOM_ERR_UNSUPPORTED;
    place_tail(out, writable_size, probe_size);
    if (readable_size < request_size(out->type))
        return IOVAGEOM_ERR_TRUNCATED;
    out->head_reserved = iovageom_load_le32(at) >> 8 != 0;
    decode_body(at, out);
    return writable_size < IOVAGEOM_VIRTIO_TAIL_SIZE ? IOVAGEOM_ERR_TRUNCATED : IOVAGEOM_OK;
}

void iovageom_virtio_encode_tail(uint32_t status, uint8_t out[IOVAGEOM_VIRTIO_TAIL_SIZE])
{
    memset(out, 0, IOVAGEOM_VIRTIO_TAIL_SIZE);
    out[0] = (uint8_t)status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <iovageom/guest.h>
#include <iovageom/status.h>

#include "../base/bytes.h"

/*
 * The driver's side of the wire: decodes what lib/virtio encodes, and the reverse. It repeats the
 * offsets and sizes and does not share them with lib/virtio, on purpose: the tests compare both
 * sides, and a wrong offset in a shared constant would be wrong on both and go unnoticed.
 */

/* ---- PROBE properties ---- */

/* A property's type has 12 bits (I4). The payload of RESV_MEM: subtype, 3 reserved, start, last. */
enum { KIND_MASK = 0xfff, KIND_BITS = 12, PAYLOAD_BYTES = 20 };

/* A property's length comes from its head, not its type (N59): unknown ones can be passed over. */
int iovageom_guest_property_next(const void *bytes, size_t size, size_t *offset,
                                 struct iovageom_guest_property *property)
{
    const uint8_t *at = bytes;
    size_t left = *offset < size ? size - *offset : 0, length;
    uint32_t head;

    /* Too few bytes for a head: padding when they are 0, which is type NONE; else cut off. */
    if (left < IOVAGEOM_VIRTIO_PROPERTY_HEAD_SIZE) {
        for (size_t i = 0; i < left; i++)
            if (at[*offset + i] != 0)
                return IOVAGEOM_ERR_TRUNCATED;
        return IOVAGEOM_ERR_NOT_FOUND;
    }
    at += *offset;
    head = iovageom_load_le16(at);
    length = iovageom_load_le16(at + 2);
    if ((head & KIND_MASK) == IOVAGEOM_VIRTIO_PROPERTY_NONE)
        return IOVAGEOM_ERR_NOT_FOUND;
    if (length > left - IOVAGEOM_VIRTIO_PROPERTY_HEAD_SIZE)
        return IOVAGEOM_ERR_TRUNCATED;
    property->type = head & KIND_MASK;
    property->reserved = head >> KIND_BITS;
    property->offset = *offset + IOVAGEOM_VIRTIO_PROPERTY_HEAD_SIZE;
    property->length = length;
    *offset = property->offset + length;
    return IOVAGEOM_OK;
}

int iovageom_guest_decode_resv_mem(const void *payload, size_t length,
                                   struct iovageom_region *region, uint32_t *subtype)
{
    const uint8_t *bytes = payload;
    struct iovageom_range range;

    if (length < PAYLOAD_BYTES)
        return IOVAGEOM_ERR_MALFORMED;
    range.start = iovageom_load_le64(bytes + 4);
    range.last = iovageom_load_le64(bytes + 12);
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    *region = (struct iovageom_region){
        range, bytes[0] == IOVAGEOM_VIRTIO_RESV_MSI ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED,
        0};
    if (subtype != NULL)
        *subtype = bytes[0];
    return IOVAGEOM_OK;
}

/* Two passes: *out is written only when all of it can be decoded and fits. */
int iovageom_guest_decode_probe(const void *bytes, size_t size, struct iovageom_region *out,
                                size_t capacity, size_t *count)
{
    struct iovageom_guest_property property;
    struct iovageom_region region;
    size_t found = 0;

    for (size_t room = 0;; room = found) {
        size_t offset = 0;
        int status;

        found = 0;
        while ((status = iovageom_guest_property_next(bytes, size, &offset, &property)) == 0) {
            /* A driver ignores properties with reserved bits, and unknown ones (N58, N60, N61). */
            if (property.reserved != 0 || property.type != IOVAGEOM_VIRTIO_PROPERTY_RESV_MEM)
                continue;
            status = iovageom_guest_decode_resv_mem((const uint8_t *)bytes + property.offset,
                                                    property.length, &region, NULL);
            if (status < 0)
                return status;
            if (found < room)
                out[found] = region;
            found++;
        }
        if (status != IOVAGEOM_ERR_NOT_FOUND)
            return status;
        *count = found;
        if (found > capacity)
            return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
        if (found == room)
            return IOVAGEOM_OK;
    }
}

/* ---- requests ---- */

int iovageom_guest_encode_request(const struct iovageom_virtio_request *request, void *buffer,
                                  size_t size, size_t *needed)
{
    /* In bytes, without the tail. By type: none, ATTACH, DETACH, MAP, UNMAP, PROBE. */
    static const uint8_t lengths[] = {0, 20, 20, 36, 28, IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX};
    uint8_t *at = buffer;
    uint32_t type = request->type;
    size_t length = type < sizeof(lengths) ? lengths[type] : 0;

    if (length == 0)
        return IOVAGEOM_ERR_UNSUPPORTED;
    if (needed != NULL)
        *needed = length;
    if (size < length)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    memset(at, 0, length); /* reserved bytes are 0 (N13, N21, N47, N57) */
    at[0] = (uint8_t)type;
    iovageom_store_le32(at + 4,
                        type == IOVAGEOM_VIRTIO_T_PROBE ? request->endpoint : request->domain);
    if (type == IOVAGEOM_VIRTIO_T_ATTACH || type == IOVAGEOM_VIRTIO_T_DETACH)
        iovageom_store_le32(at + 8, request->endpoint);
    if (type == IOVAGEOM_VIRTIO_T_ATTACH)
        iovageom_store_le32(at + 12, request->flags);
    if (type == IOVAGEOM_VIRTIO_T_MAP || type == IOVAGEOM_VIRTIO_T_UNMAP) {
        iovageom_store_le64(at + 8, request->virt.start);
        iovageom_store_le64(at + 16, request->virt.last);
    }
    if (type == IOVAGEOM_VIRTIO_T_MAP) {
        iovageom_store_le64(at + 24, request->phys);
        iovageom_store_le32(at + 32, request->flags);
    }
    return IOVAGEOM_OK;
}

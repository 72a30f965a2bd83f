/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_HOST_INTERNAL_H
#define IOVAGEOM_LIB_HOST_INTERNAL_H

#include <string.h>

#include <iovageom/range.h>
#include <iovageom/status.h>

#include "../base/array.h"
#include "../geometry/internal.h"

/*
 * Numbers in a structure that the kernel of this machine has filled: in the machine's byte order,
 * unlike the wire formats of base/bytes.h. They are copied with memcpy(), because the caller's
 * buffer need not be aligned. The caller has checked that the bytes are there. Offsets are in
 * bytes.
 */
static inline uint16_t iovageom_host_load16(const void *bytes, size_t offset)
{
    uint16_t value;

    memcpy(&value, (const uint8_t *)bytes + offset, sizeof(value));
    return value;
}

static inline uint32_t iovageom_host_load32(const void *bytes, size_t offset)
{
    uint32_t value;

    memcpy(&value, (const uint8_t *)bytes + offset, sizeof(value));
    return value;
}

static inline uint64_t iovageom_host_load64(const void *bytes, size_t offset)
{
    uint64_t value;

    memcpy(&value, (const uint8_t *)bytes + offset, sizeof(value));
    return value;
}

/* Bytes of a range in VFIO's and in iommufd's lists: start and last. */
#define IOVAGEOM_HOST_RANGE_SIZE 16

/*
 * Adds a list of `count` usable ranges as one fact of the geometry. `bytes` is the kernel's list,
 * and the caller has checked that all of it is there. On an error the geometry is as it was.
 */
static inline int iovageom_host_add_usable(struct iovageom_geometry *geometry, const void *bytes,
                                           size_t count, enum iovageom_source source)
{
    const struct iovageom_allocator *allocator = &geometry->allocator;
    struct iovageom_range few[8]; /* the usual host has 2 to 8 */
    struct iovageom_range *ranges = few;
    int status;

    if (count > sizeof(few) / sizeof(few[0]))
        ranges = iovageom_array_new(allocator, count, sizeof(*ranges));
    if (ranges == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        ranges[i].start = iovageom_host_load64(bytes, i * IOVAGEOM_HOST_RANGE_SIZE);
        ranges[i].last = iovageom_host_load64(bytes, i * IOVAGEOM_HOST_RANGE_SIZE + 8);
    }
    status = iovageom_geometry_add_usable(geometry, ranges, count, source);
    if (ranges != few)
        iovageom_array_free(allocator, ranges, count, sizeof(*ranges));
    return status;
}

#endif

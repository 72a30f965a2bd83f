/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_HOST_INTERNAL_H
#define IOVAGEOM_LIB_HOST_INTERNAL_H

#include <string.h>

#include <iovageom/range.h>
#include <iovageom/status.h>

#include "../geometry/internal.h"

/* A number of `size` bytes, up to 8, in either order. */
static inline uint64_t iovageom_host_load(const void *bytes, size_t size, bool big_endian)
{
    const uint8_t *byte = (const uint8_t *)bytes;
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | byte[big_endian ? i : size - 1 - i];
    return value;
}

/*
 * A kernel writes in the byte order of its machine, and an answer may have been captured on another
 * one. Each structure begins with its own size in 32 bits: a small number, which is larger in the
 * wrong order, unless it is a multiple of 2^16; those are ours if they fit in `length`.
 */
static inline bool iovageom_host_is_big_endian(const void *bytes, size_t length)
{
    const uint16_t one = 1;
    uint8_t first;
    uint64_t native;
    uint64_t foreign;

    memcpy(&first, &one, sizeof(first));
    native = iovageom_host_load(bytes, 4, first == 0);
    foreign = iovageom_host_load(bytes, 4, first != 0);
    return native <= length || native <= foreign ? first == 0 : first != 0;
}

/* Bytes of a range in VFIO's and in iommufd's lists: start and last. */
#define IOVAGEOM_HOST_RANGE_SIZE 16

static inline struct iovageom_range iovageom_host_load_range(const void *ranges, size_t index,
                                                             bool big_endian)
{
    const uint8_t *range = (const uint8_t *)ranges + index * IOVAGEOM_HOST_RANGE_SIZE;

    return (struct iovageom_range){iovageom_host_load(range, 8, big_endian),
                                   iovageom_host_load(range + 8, 8, big_endian)};
}

/* Adds a list of `count` usable ranges, all of which are there. */
static inline int iovageom_host_add_usable(struct iovageom_geometry *geometry, const void *bytes,
                                           size_t count, bool big_endian,
                                           enum iovageom_source source)
{
    const struct iovageom_allocator *allocator = &geometry->allocator;
    size_t size = count * sizeof(struct iovageom_range);
    struct iovageom_range few[8]; /* the usual host has 2 to 8 */
    struct iovageom_range *ranges = few;
    int status;

    if (size > sizeof(few))
        ranges = allocator->allocate(allocator->context, size);
    if (ranges == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        ranges[i] = iovageom_host_load_range(bytes, i, big_endian);
    status = iovageom_geometry_add_usable(geometry, ranges, count, source);
    if (ranges != few)
        allocator->release(allocator->context, ranges, size);
    return status;
}

#endif

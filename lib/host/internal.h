/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_HOST_INTERNAL_H
#define IOVAGEOM_LIB_HOST_INTERNAL_H

#include <string.h>

#include <iovageom/range.h>
#include <iovageom/status.h>

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

/* Bytes of a range in VFIO's and in iommufd's lists: start and last, as a range has them. */
#define IOVAGEOM_HOST_RANGE_SIZE 16
_Static_assert(sizeof(struct iovageom_range) == IOVAGEOM_HOST_RANGE_SIZE,
               "they are read as ranges");

#endif

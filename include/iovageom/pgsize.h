/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_PGSIZE_H
#define IOVAGEOM_PGSIZE_H

#include <stdbool.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/range.h>

/**
 * @file
 * Page-size masks. Bit n set means that pages of 2^n bytes map (VFIO's iova_pgsizes, virtio-iommu's
 * page_size_mask). The lowest bit is the granule: whatever is a multiple of it maps, by several
 * pages where need be. The higher bits are hints (I1).
 *
 * A mask of 0 maps nothing. It is a value, not a way to say "unknown"; the same holds for an
 * alignment, which is a power of two, and not a mask.
 *
 * Everything here is pure and O(1).
 */

#ifdef __cplusplus
extern "C" {
#endif

/** Whether `value` is a power of two; 0 is none. */
IOVAGEOM_API inline bool iovageom_pgsize_is_power(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/** The smallest page in bytes; 0 for the mask 0. */
IOVAGEOM_API inline uint64_t iovageom_pgsize_granule(uint64_t mask)
{
    return mask & (~mask + 1);
}

#ifdef __cplusplus
}
#endif
#endif

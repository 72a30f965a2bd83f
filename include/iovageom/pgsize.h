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

/** Whether memory in multiples of `granule` bytes (a power of two) can be mapped with `mask`. */
IOVAGEOM_API bool iovageom_pgsize_accepts(uint64_t mask, uint64_t granule);

/**
 * All page sizes from `alignment` up: what may be mapped on a host that says nothing but an
 * alignment (iommufd's out_iova_alignment). 0 when `alignment` is no power of two.
 */
IOVAGEOM_API uint64_t iovageom_pgsize_from_alignment(uint64_t alignment);

/**
 * What is left of `mask` for someone who maps in multiples of `granule`: bits below it go, the bit
 * of `granule` itself comes in when `mask` has smaller pages (64K maps as sixteen 4K pages), larger
 * pages stay as hints. 0 when `granule` is no power of two, or below the smallest page.
 */
IOVAGEOM_API uint64_t iovageom_pgsize_raise(uint64_t mask, uint64_t granule);

/**
 * The mask that both honour: the larger of the two granules, plus the larger pages that both have.
 * Not the bitwise AND: 64K|2M and 4K|2M meet in 64K|2M. 0 when either is 0. Commutative,
 * associative, idempotent; the neutral element is the mask with all bits set.
 */
IOVAGEOM_API uint64_t iovageom_pgsize_meet(uint64_t a, uint64_t b);

#ifdef __cplusplus
}
#endif
#endif

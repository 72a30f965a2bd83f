/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_RANGE_H
#define IOVAGEOM_LIB_RANGE_H

#include <iovageom/range.h>

#include "array.h"

/*
 * Arithmetic of ranges and page sizes that the library itself needs, beside what the public headers
 * have. Inline, so that the guest library, which is linked apart, has it too.
 */

/* Whether `value` is a power of two; 0 is none. */
static inline bool iovageom_pgsize_is_power(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Whether `address` lies in `range`. */
static inline bool iovageom_range_has(struct iovageom_range range, uint64_t address)
{
    return range.start <= address && address <= range.last;
}

/* Whether the first has more addresses. */
static inline bool iovageom_range_longer(struct iovageom_range a, struct iovageom_range b)
{
    return a.last - a.start > b.last - b.start;
}

/*
 * Whether `low` ends at the address just below the start of `high`. False when low.last is 2^64-1.
 */
static inline bool iovageom_range_precedes_directly(struct iovageom_range low,
                                                    struct iovageom_range high)
{
    return low.last < high.start && high.start - low.last == 1;
}

/* The range and the addresses beside it, if there are any: what overlaps this touches it. */
static inline struct iovageom_range iovageom_range_around(struct iovageom_range range)
{
    return (struct iovageom_range){range.start - (range.start > 0),
                                   range.last + (range.last < IOVAGEOM_ADDRESS_MAX)};
}

/* Whether the union of the two is one range: they overlap, or one directly precedes the other. */
static inline bool iovageom_range_touches(struct iovageom_range a, struct iovageom_range b)
{
    return iovageom_range_overlaps(iovageom_range_around(a), b);
}

/* The addresses that both have. Returns false, and leaves *out untouched, when there are none. */
static inline bool iovageom_range_intersect(struct iovageom_range a, struct iovageom_range b,
                                            struct iovageom_range *out)
{
    if (!iovageom_range_overlaps(a, b))
        return false;
    *out =
        (struct iovageom_range){iovageom_higher(a.start, b.start), iovageom_lower(a.last, b.last)};
    return true;
}

/* The smallest range that contains both. */
static inline struct iovageom_range iovageom_range_hull(struct iovageom_range a,
                                                        struct iovageom_range b)
{
    return (struct iovageom_range){iovageom_lower(a.start, b.start),
                                   iovageom_higher(a.last, b.last)};
}

/* The addresses of `from` that `what` does not have: 0 to 2 ranges, ascending. Returns how many. */
static inline unsigned iovageom_range_subtract(struct iovageom_range from,
                                               struct iovageom_range what,
                                               struct iovageom_range out[2])
{
    unsigned count = 0;

    if (!iovageom_range_overlaps(from, what)) {
        out[0] = from;
        return 1;
    }
    /* Neither end can wrap: `what.start - 1` needs a start above another address, so above 0, and
     * `what.last + 1` a last below another one. */
    if (what.start > from.start)
        out[count++] = (struct iovageom_range){from.start, what.start - 1};
    if (what.last < from.last)
        out[count++] = (struct iovageom_range){what.last + 1, from.last};
    return count;
}

/* The addresses below `range`: [0, start - 1]. False, and *out untouched, when start is 0. */
static inline bool iovageom_range_below(struct iovageom_range range, struct iovageom_range *out)
{
    if (range.start == 0)
        return false;
    *out = (struct iovageom_range){0, range.start - 1};
    return true;
}

/* The addresses between two ranges. False, and *out untouched, when there are none: the ranges
 * overlap or touch, or `low` is not below `high`. */
static inline bool iovageom_range_between(struct iovageom_range low, struct iovageom_range high,
                                          struct iovageom_range *out)
{
    if (low.last >= high.start || iovageom_range_precedes_directly(low, high))
        return false;
    *out = (struct iovageom_range){low.last + 1, high.start - 1};
    return true;
}

/* The whole granules within `range`: what a *usable* range is worth. False, and *out untouched,
 * when there are none, or the granule is no power of two. */
static inline bool iovageom_range_align_inward(struct iovageom_range range, uint64_t granule,
                                               struct iovageom_range *out)
{
    const uint64_t offset = granule - 1;
    const uint64_t start = (range.start + offset) & ~offset;
    const uint64_t last = ((range.last + 1) & ~offset) - 1;

    /* No granule follows the highest one: there the start has wrapped, and is lower. None precedes
     * the lowest: there the last has, and is higher. */
    if (!iovageom_pgsize_is_power(granule) || start < range.start || last > range.last ||
        start > last)
        return false;
    *out = (struct iovageom_range){start, last};
    return true;
}

/* The granules that have an address of `range`: what a *reserved* range costs. Never none, as the
 * highest granule ends at 2^64-1. Where the granule is no power of two, `range` as it is. */
static inline struct iovageom_range iovageom_range_align_outward(struct iovageom_range range,
                                                                 uint64_t granule)
{
    if (!iovageom_pgsize_is_power(granule))
        return range;
    /* Cannot wrap: only low bits are cleared in the start and set in the last. */
    return (struct iovageom_range){range.start & ~(granule - 1), range.last | (granule - 1)};
}

/* Whether start and end (last + 1) are multiples of `granule`, a power of two. */
static inline bool iovageom_range_is_aligned(struct iovageom_range range, uint64_t granule)
{
    return iovageom_pgsize_is_power(granule) && (range.start & (granule - 1)) == 0 &&
           (~range.last & (granule - 1)) == 0;
}

/* The smallest guest address width, 1 to 64 bits, whose aperture contains `range`. */
static inline unsigned iovageom_range_gaw(struct iovageom_range range)
{
    unsigned bits = 1;

    /* Never a shift by 64, which C does not define for a number of 64 bits. */
    while (bits < 64 && range.last >> bits != 0)
        bits++;
    return bits;
}

/* a - b; 0 where b is larger. */
static inline struct iovageom_size iovageom_size_subtract(struct iovageom_size a,
                                                          struct iovageom_size b)
{
    if (iovageom_size_compare(a, b) <= 0)
        return (struct iovageom_size){0, 0};
    return (struct iovageom_size){a.hi - b.hi - (a.lo < b.lo), a.lo - b.lo};
}

/*
 * Page-size masks: bit n set means that pages of 2^n bytes map. Whatever is a multiple of the
 * lowest bit maps, by several pages where need be; the others are hints (I1).
 */

/* The smallest page of a mask in bytes; 0 for the mask 0. */
static inline uint64_t iovageom_pgsize_granule(uint64_t mask)
{
    return mask & (~mask + 1);
}

/* Whether memory in multiples of `granule` bytes (a power of two) can be mapped with `mask`. */
static inline bool iovageom_pgsize_accepts(uint64_t mask, uint64_t granule)
{
    /* A larger granule than the smallest page is accepted: the host makes one mapping of it with
     * several small pages. So only the lowest bit of the mask matters. */
    return mask != 0 && iovageom_pgsize_is_power(granule) &&
           granule >= iovageom_pgsize_granule(mask);
}

/*
 * What is left of `mask` for someone who maps in multiples of `granule`: bits below it go, the bit
 * of `granule` itself comes in when `mask` has smaller pages (64K maps as sixteen 4K pages), larger
 * pages stay as hints. 0 when `granule` is no power of two, or below the smallest page.
 */
static inline uint64_t iovageom_pgsize_raise(uint64_t mask, uint64_t granule)
{
    if (!iovageom_pgsize_accepts(mask, granule))
        return 0;
    return (mask & ~(granule - 1)) | granule;
}

/*
 * The mask that both honour: the larger of the two granules, plus the larger pages that both have.
 * Not the bitwise AND: 64K|2M and 4K|2M meet in 64K|2M, as both can map a multiple of 64K, the
 * second one as sixteen pages of 4K; but the AND of 64K and 4K is 0, which means that nothing maps.
 * 0 when either is 0. Commutative, associative, idempotent; the neutral element is UINT64_MAX.
 */
static inline uint64_t iovageom_pgsize_meet(uint64_t a, uint64_t b)
{
    uint64_t granule = iovageom_higher(iovageom_pgsize_granule(a), iovageom_pgsize_granule(b));

    if (a == 0 || b == 0)
        return 0;
    return (a & b & ~(granule - 1)) | granule;
}

#endif

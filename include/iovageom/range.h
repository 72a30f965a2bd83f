/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_RANGE_H
#define IOVAGEOM_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include <iovageom/api.h>

/**
 * @file
 * Closed ranges of 64-bit addresses, and the arithmetic on them, so that a caller never computes
 * `last + 1` or `start - 1`.
 *
 * Everything here is pure and O(1), and never overflows, at 0 and at 2^64-1 too. Calls that return
 * no status need valid ranges. Functions marked inline are exported as well, for callers that are
 * not C.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** The highest address, 2^64-1. */
#define IOVAGEOM_ADDRESS_MAX UINT64_MAX

/**
 * The addresses from `start` to `last`, both included, in bytes. Valid when start <= last; the
 * empty range has no representation, so functions that may yield nothing say so in their result.
 */
struct iovageom_range {
    uint64_t start;
    uint64_t last;
};

/** A number of bytes up to 2^128-1: a range may hold 2^64 of them. */
struct iovageom_size {
    uint64_t hi;
    uint64_t lo;
};

/** Whether start <= last. */
IOVAGEOM_API inline bool iovageom_range_valid(struct iovageom_range range)
{
    return range.start <= range.last;
}

/** Whether both are the same range. */
IOVAGEOM_API inline bool iovageom_range_equal(struct iovageom_range a, struct iovageom_range b)
{
    return a.start == b.start && a.last == b.last;
}

/** Whether every address of `inner` lies in `outer`. */
IOVAGEOM_API inline bool iovageom_range_contains(struct iovageom_range outer,
                                                 struct iovageom_range inner)
{
    return outer.start <= inner.start && inner.last <= outer.last;
}

/** Whether the two share an address. */
IOVAGEOM_API inline bool iovageom_range_overlaps(struct iovageom_range a, struct iovageom_range b)
{
    return a.start <= b.last && b.start <= a.last;
}

/**
 * The addresses above `range`: [last + 1, 2^64-1]. False, and *out untouched, when last is 2^64-1.
 */
IOVAGEOM_API bool iovageom_range_above(struct iovageom_range range, struct iovageom_range *out);

/** The number of addresses, 1 to 2^64. */
IOVAGEOM_API struct iovageom_size iovageom_range_size(struct iovageom_range range);

/**
 * From a start and a length in bytes, for interfaces that speak so.
 *
 * @return IOVAGEOM_ERR_INVALID when `length` is 0, IOVAGEOM_ERR_OVERFLOW when the range would end
 *         above 2^64-1.
 */
IOVAGEOM_API int iovageom_range_from_length(uint64_t start, uint64_t length,
                                            struct iovageom_range *out);

/**
 * The aperture of a guest address width: [0, 2^bits - 1].
 *
 * @param bits 1 to 64.
 * @return IOVAGEOM_ERR_INVALID for other bits.
 */
IOVAGEOM_API int iovageom_range_from_gaw(unsigned bits, struct iovageom_range *out);

/** Sum of two sizes. Cannot overflow as long as both come from disjoint 64-bit ranges. */
IOVAGEOM_API struct iovageom_size iovageom_size_add(struct iovageom_size a, struct iovageom_size b);

/** -1, 0 or 1 as a is less than, equal to or greater than b. */
IOVAGEOM_API int iovageom_size_compare(struct iovageom_size a, struct iovageom_size b);

/** As bytes in 64 bits; 2^64-1 when it does not fit. */
IOVAGEOM_API uint64_t iovageom_size_saturate(struct iovageom_size size);

#ifdef __cplusplus
}
#endif
#endif

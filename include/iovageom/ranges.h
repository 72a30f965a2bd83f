/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_RANGES_H
#define IOVAGEOM_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/range.h>

/**
 * @file
 * Set algebra on plain arrays of ranges, for callers who keep them as arrays. Nothing here
 * allocates.
 *
 * An array is in *normal form* when its ranges are valid, ascend, and no two overlap or touch: each
 * set of addresses has exactly one. Inputs must be in normal form and outputs are; any other input
 * gives an unspecified result, but no access outside the arrays. iovageom_ranges_normalize() makes
 * the normal form.
 *
 * Results go to `out`, which has room for `capacity` ranges and must not overlap an input. *count
 * becomes their number. When they do not fit, nothing is written to `out`, *count becomes the
 * number needed, and the status is IOVAGEOM_ERR_BUFFER_TOO_SMALL; so `out` may be NULL when
 * `capacity` is 0. Each call says how much is always enough: with that much there is one pass, with
 * less there are two. An array of no ranges may be NULL. All are linear.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Sorts and coalesces an array in place. Ranges may come in any order, overlap and repeat.
 * O(n log n), O(n) when the starts ascend already.
 *
 * @param count in: the number of ranges; out: how many are left, at the front of the array.
 * @return IOVAGEOM_ERR_INVERTED when one has start > last; the array is then as it was.
 */
IOVAGEOM_API int iovageom_ranges_normalize(struct iovageom_range *ranges, size_t *count);

/** Addresses that a or b has. a_count + b_count is always enough. */
IOVAGEOM_API int iovageom_ranges_union(const struct iovageom_range *a, size_t a_count,
                                       const struct iovageom_range *b, size_t b_count,
                                       struct iovageom_range *out, size_t capacity, size_t *count);

/** Addresses that both have. a_count + b_count is always enough. */
IOVAGEOM_API int iovageom_ranges_intersection(const struct iovageom_range *a, size_t a_count,
                                              const struct iovageom_range *b, size_t b_count,
                                              struct iovageom_range *out, size_t capacity,
                                              size_t *count);

/** Addresses that a has and b has not. a_count + b_count is always enough. */
IOVAGEOM_API int iovageom_ranges_difference(const struct iovageom_range *a, size_t a_count,
                                            const struct iovageom_range *b, size_t b_count,
                                            struct iovageom_range *out, size_t capacity,
                                            size_t *count);

/**
 * Addresses of `window` that a has not: turns usable ranges into reserved ones, and back. a_count +
 * 1 is always enough.
 *
 * @return also IOVAGEOM_ERR_INVERTED for the window.
 */
IOVAGEOM_API int iovageom_ranges_complement(const struct iovageom_range *a, size_t a_count,
                                            struct iovageom_range window,
                                            struct iovageom_range *out, size_t capacity,
                                            size_t *count);

#ifdef __cplusplus
}
#endif
#endif

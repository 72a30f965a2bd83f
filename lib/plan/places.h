/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_PLAN_PLACES_H
#define IOVAGEOM_LIB_PLAN_PLACES_H

#include <iovageom/plan_layout.h>
#include <iovageom/rangeset.h>

/* Where a piece of a layout goes: within limits, and not into a set of blocked addresses. */

/* The limits and the alignment of a piece that moves whole. */
struct iovageom_range iovageom_place_limits(const struct iovageom_piece *piece);
uint64_t iovageom_place_alignment(const struct iovageom_piece *piece, uint64_t granule);

/* The nearest free place of the size of `from`; with `up`, one above if there is any. */
bool iovageom_place_near(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                         struct iovageom_range from, uint64_t alignment, bool up,
                         struct iovageom_range *to);

/* The most granules without a break, the lowest of several such places. False: not one is free. */
bool iovageom_place_largest(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                            uint64_t granule, struct iovageom_range *best);

/* Whether `wanted` bytes are free, in whole granules. The blocked addresses are whole ones, too. */
bool iovageom_place_room(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                         uint64_t granule, struct iovageom_size wanted);

#endif

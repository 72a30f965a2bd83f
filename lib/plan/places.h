/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_PLAN_PLACES_H
#define IOVAGEOM_LIB_PLAN_PLACES_H

#include <iovageom/plan_layout.h>
#include <iovageom/rangeset.h>

/* Where a piece of a layout goes: within limits, and outside of a set of blocked addresses, which
 * are whole granules. */

/* The limits and the alignment of a piece that moves whole. */
struct iovageom_range iovageom_place_limits(const struct iovageom_piece *piece);
uint64_t iovageom_place_alignment(const struct iovageom_piece *piece, uint64_t granule);

/* The free place of the size of `from` that is nearest to it; with `up`, the nearest one above, if
 * there is any. False when there is none. */
bool iovageom_place_near(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                         struct iovageom_range from, uint64_t alignment, bool up,
                         struct iovageom_range *to);

/* The largest free place, the lowest of several. False when no granule is free. */
bool iovageom_place_largest(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                            uint64_t granule, struct iovageom_range *best);

/* Whether `wanted` bytes are free, in one place or in several. */
bool iovageom_place_room(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                         uint64_t granule, struct iovageom_size wanted);

#endif

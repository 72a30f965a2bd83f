/* SPDX-License-Identifier: BSD-3-Clause */
#include "places.h"

#include <iovageom/status.h>

#include "../base/range.h"
#include "../set/rangeset_internal.h"

/* A BAR below 4 GiB without limits of its own may be a 32-bit BAR, so it stays below. */
struct iovageom_range iovageom_place_limits(const struct iovageom_piece *piece)
{
    const struct iovageom_range low = {0, UINT32_MAX};

    if (piece->kind == IOVAGEOM_PIECE_BAR &&
        iovageom_range_equal(piece->limits, IOVAGEOM_EVERYTHING) &&
        iovageom_range_contains(low, piece->range))
        return low;
    return piece->limits;
}

/* PCI decodes a BAR at multiples of its size, which is a power of two. */
uint64_t iovageom_place_alignment(const struct iovageom_piece *piece, uint64_t granule)
{
    const uint64_t size = iovageom_size_saturate(iovageom_range_size(piece->range));
    uint64_t alignment = piece->alignment;

    if (alignment == 0 && piece->kind == IOVAGEOM_PIECE_BAR)
        for (alignment = 1; alignment < size && alignment <= UINT64_MAX >> 1;)
            alignment <<= 1;
    return iovageom_higher(alignment, granule);
}

bool iovageom_place_near(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                         struct iovageom_range from, uint64_t alignment, bool up,
                         struct iovageom_range *to)
{
    struct iovageom_range above = {from.start, IOVAGEOM_ADDRESS_MAX}, below = {0, from.last};
    const uint64_t size = iovageom_range_size(from).lo;
    bool found_above, found_below;

    if (size == 0)
        return false; /* all of 2^64 bytes: there is no other place */
    found_above =
        iovageom_range_intersect(limits, above, &above) &&
        iovageom_rangeset_hole(blocked, above, size, alignment, false, &above) == IOVAGEOM_OK;
    found_below =
        iovageom_range_intersect(limits, below, &below) &&
        iovageom_rangeset_hole(blocked, below, size, alignment, true, &below) == IOVAGEOM_OK;
    if (found_above && (up || !found_below || above.start - from.start <= from.start - below.start))
        *to = above;
    else if (found_below)
        *to = below;
    return found_above || found_below;
}

/* By bisection of its size. A list of holes, sorted by size, would change with each part placed. */
bool iovageom_place_largest(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                            uint64_t granule, struct iovageom_range *best)
{
    uint64_t low = 0, high = IOVAGEOM_ADDRESS_MAX / granule;

    while (low < high) {
        uint64_t middle = high - (high - low) / 2;

        if (iovageom_rangeset_hole(blocked, limits, middle * granule, granule, false, best) ==
            IOVAGEOM_OK)
            low = middle;
        else
            high = middle - 1;
    }
    return low > 0;
}

/* From above, because the highest gap is usually the largest. */
bool iovageom_place_room(const struct iovageom_rangeset *blocked, struct iovageom_range limits,
                         uint64_t granule, struct iovageom_size wanted)
{
    struct iovageom_range rest, gap;

    if (!iovageom_range_align_inward(limits, granule, &rest))
        return false;
    while (iovageom_rangeset_gap_below(blocked, rest.last, &gap) &&
           iovageom_range_intersect(gap, rest, &gap)) {
        if (iovageom_size_compare(wanted, iovageom_range_size(gap)) <= 0)
            return true;
        wanted = iovageom_size_subtract(wanted, iovageom_range_size(gap));
        if (!iovageom_range_below(gap, &gap) || !iovageom_range_intersect(gap, rest, &rest))
            return false;
    }
    return false;
}

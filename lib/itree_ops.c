/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tree does in terms of its own steps, whatever it looks like inside. */
#include "itree.h"

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

int iovageom_itree_carve(struct iovageom_itree *tree, struct iovageom_range range)
{
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry = iovageom_itree_seek(tree, range.start, &path);
    struct iovageom_range left;
    struct iovageom_range rest[2];
    unsigned pieces;

    if (!entry.range || entry.range->start > range.last)
        return IOVAGEOM_OK;
    if (entry.range->start < range.start) {
        pieces = iovageom_range_subtract(*entry.range, range, rest);
        left = rest[0];
        if (pieces == 2) {
            uint64_t values[2];

            if (iovageom_itree_reserve(tree, 1))
                return IOVAGEOM_ERR_NO_MEMORY;
            entry = iovageom_itree_seek(tree, range.start, &path);
            for (unsigned i = 0; i < tree->width; i++)
                values[i] = entry.values[i];
            iovageom_itree_resize(tree, &path, left);
            iovageom_itree_seek(tree, rest[1].start, &path);
            return iovageom_itree_insert(tree, &path, rest[1], values);
        }
        iovageom_itree_resize(tree, &path, left);
    }
    entry = iovageom_itree_seek(tree, range.last, &path);
    if (entry.range && entry.range->start <= range.last && entry.range->last > range.last) {
        iovageom_range_subtract(*entry.range, range, rest);
        iovageom_itree_resize(tree, &path, rest[0]);
    }
    iovageom_itree_erase(tree, range);
    return IOVAGEOM_OK;
}

/* Where `size` bytes fit into the gap under the limits, if they do. */
static bool fit(struct iovageom_range gap, bool highest, uint64_t size, uint64_t alignment,
                struct iovageom_range *out)
{
    uint64_t span = size - 1;
    uint64_t room;

    if (gap.last - gap.start < span)
        return false;
    room = gap.last - gap.start - span;
    if (highest) {
        uint64_t start = (gap.start + room) & ~(alignment - 1);

        if (start < gap.start)
            return false;
        *out = (struct iovageom_range){start, start + span};
    } else {
        uint64_t skip = (0 - gap.start) & (alignment - 1);

        if (skip > room)
            return false;
        *out = (struct iovageom_range){gap.start + skip, gap.start + skip + span};
    }
    return true;
}

int iovageom_itree_hole(const struct iovageom_itree *tree, bool highest,
                        struct iovageom_range limits, uint64_t size, uint64_t alignment,
                        struct iovageom_range *out)
{
    uint64_t address = highest ? limits.last : limits.start;
    struct iovageom_range gap;
    struct iovageom_range room;

    if (size == 0 || !iovageom_pgsize_is_power(alignment))
        return IOVAGEOM_ERR_INVALID;
    if (!iovageom_range_valid(limits))
        return IOVAGEOM_ERR_INVERTED;
    while (highest ? iovageom_itree_gap_below(tree, address, size, &gap)
                   : iovageom_itree_gap_above(tree, address, size, &gap)) {
        if (!iovageom_range_intersect(gap, limits, &room))
            break;
        if (fit(room, highest, size, alignment, out))
            return IOVAGEOM_OK;
        if (highest ? gap.start <= limits.start : gap.last >= limits.last)
            break;
        address = highest ? gap.start - 1 : gap.last + 1;
    }
    return IOVAGEOM_ERR_NOT_FOUND;
}

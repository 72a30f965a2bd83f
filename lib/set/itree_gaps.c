/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding gaps, and holes in them. A gap is what is free between two ranges, or below the lowest or
 * above the highest; a hole is a piece of a gap, of a given size and alignment and within limits.
 *
 * The search goes down towards the address while the longest gap below each child is long enough.
 * If the leaf has none in the direction of the search, it goes up to the nearest subtree with a gap
 * that is long enough, and down into it: so it is O(log n), whatever is mapped. The gap above all
 * ranges belongs to no node, and is handled by top_gap().
 *
 * Throughout: `size` is the length wanted, in addresses, at least 1. `forward` is towards higher
 * addresses. The gap with index i is the one in front of range i of a leaf.
 */
#include "../base/range.h"
#include "../base/array.h"
#include "itree_internal.h"
#include "rangeset_internal.h"

#include <iovageom/status.h>

/* The gap above all ranges, if it is long enough. In an empty tree that is all addresses. Lengths
 * are compared less 1, because 2^64 addresses don't fit in 64 bits. */
static bool top_gap(const struct iovageom_itree *tree, uint64_t size, struct iovageom_range *gap)
{
    struct iovageom_range top = IOVAGEOM_EVERYTHING;

    if (tree->highest == IOVAGEOM_ADDRESS_MAX) /* of an empty tree it is 0 */
        return false;
    if (tree->count > 0)
        top.start = tree->highest + 1;
    if (top.last - top.start < size - 1)
        return false;
    *gap = top;
    return true;
}

/* The first gap of the path's leaf, from that at path->slot[0] on, that is long enough. */
static bool leaf_hit(const struct iovageom_itree *tree, struct iovageom_itree_path *path,
                     uint32_t step, uint64_t size, struct iovageom_range *gap)
{
    const struct iovageom_range *ranges = path->node[0];
    const uint32_t count = count_at(tree, path, 0);

    for (uint32_t i = path->slot[0]; i < count; i += step) {
        const uint64_t base = base_of(tree, path, i);

        if (ranges[i].start - base >= size) {
            *gap = (struct iovageom_range){base, ranges[i].start - 1};
            return true;
        }
    }
    return false;
}

/*
 * The nearest gap in that direction that is long enough. It begins at the entry that find(address)
 * gives, which must exist. Forward, if that entry holds the address, the gap in front of it is
 * below the address, and the next one is the first to try.
 *
 * Goes down `towards` the address, and when it has left the way to that, along the edge of a
 * subtree whose summary says that there is a gap. Backward, `slot` goes from 0 to UINT32_MAX, which
 * is no child either: one comparison with the count ends both directions.
 */
static bool search_gap(const struct iovageom_itree *tree, bool forward, uint64_t address,
                       uint64_t size, struct iovageom_range *gap)
{
    const uint32_t step = forward ? 1u : UINT32_MAX;
    struct iovageom_itree_path path;
    uint32_t level = tree->height;
    bool down = true, towards = true;

    path.node[level] = tree->root.node ? tree->root.node : (void *)(uintptr_t)tree->inline_ranges;
    for (;;) {
        const struct iovageom_itree_inner *inner = path.node[level];
        const struct iovageom_range *ranges = path.node[level];
        const uint32_t count = count_at(tree, &path, level);
        uint32_t slot = forward ? 0 : count - 1;

        if (!down)
            slot = path.slot[level] + step;
        else if (towards && level > 0)
            slot = (uint32_t)rank_inner(inner->last, address, count);
        else if (towards)
            slot = (uint32_t)(tree->root.node ? rank_leaf(ranges, address)
                                              : rank_inline(ranges, address));
        if (level > 0) {
            for (; slot < count && inner->child[slot].gap < size; towards = false)
                slot += step;
            if (slot < count) {
                take_child(&path, level--, slot);
                down = true;
                continue;
            }
        } else {
            path.slot[0] = (uint16_t)(slot + (towards && forward && ranges[slot].start <= address));
            if (leaf_hit(tree, &path, step, size, gap))
                return true;
        }
        if (++level > tree->height)
            return false;
        down = towards = false;
    }
}

/* The top gap comes last when searching upwards, and first when searching downwards. */
bool iovageom_itree_gap(const struct iovageom_itree *tree, bool above, uint64_t address,
                        uint64_t size, struct iovageom_range *gap)
{
    const bool inside = tree->count > 0 && address <= tree->highest;

    if (above)
        return (inside && search_gap(tree, true, address, size, gap)) || top_gap(tree, size, gap);
    return (!inside && top_gap(tree, size, gap)) ||
           search_gap(tree, false, iovageom_lower(address, tree->highest), size, gap);
}

/* The lowest, or highest, aligned piece of `size` bytes in the gap, if there is one. Aligned
 * upwards, its start may wrap, and is then below the gap's. */
static bool fit(struct iovageom_range gap, bool highest, uint64_t size, uint64_t alignment,
                struct iovageom_range *out)
{
    const uint64_t span = size - 1, most = gap.last - span;
    const uint64_t start =
        highest ? most & ~(alignment - 1) : gap.start + ((0 - gap.start) & (alignment - 1));

    if (gap.last - gap.start < span || start < gap.start || start > most)
        return false;
    *out = (struct iovageom_range){start, start + span};
    return true;
}

int iovageom_rangeset_hole(const struct iovageom_rangeset *set, struct iovageom_range limits,
                           uint64_t size, uint64_t alignment, bool highest,
                           struct iovageom_range *out)
{
    const struct iovageom_itree *tree = tree_in(set);
    uint64_t address = highest ? limits.last : limits.start;
    struct iovageom_range gap;
    struct iovageom_range room;

    if (size == 0 || !iovageom_pgsize_is_power(alignment))
        return IOVAGEOM_ERR_INVALID;
    if (!iovageom_range_valid(limits))
        return IOVAGEOM_ERR_INVERTED;
    /* A gap may be long enough, and yet have no aligned start: then the next one is tried. Each
     * such gap costs O(log n). Apart from gaps that the limits cut, there are none when the ranges
     * and `size` are multiples of the alignment, as they are when it is the granule. */
    while (iovageom_itree_gap(tree, !highest, address, size, &gap)) {
        if (!iovageom_range_intersect(gap, limits, &room))
            break;
        if (fit(room, highest, size, alignment, out))
            return IOVAGEOM_OK;
        /* Also keeps the next address from wrapping. */
        if (highest ? gap.start <= limits.start : gap.last >= limits.last)
            break;
        address = highest ? gap.start - 1 : gap.last + 1;
    }
    return IOVAGEOM_ERR_NOT_FOUND;
}

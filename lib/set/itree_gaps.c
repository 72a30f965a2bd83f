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

    if (tree->count > 0) {
        if (tree->highest == IOVAGEOM_ADDRESS_MAX)
            return false;
        top.start = tree->highest + 1;
    }
    if (top.last - top.start < size - 1)
        return false;
    *gap = top;
    return true;
}

/* The first gap of the leaf that is long enough, from the gap at `index` on. `base` is where the
 * leaf's first gap begins. */
static bool leaf_hit(const struct iovageom_range *ranges, uint32_t count, uint32_t index,
                     uint64_t base, bool forward, uint64_t size, struct iovageom_range *gap)
{
    uint32_t i = index;

    if (i >= count)
        return false;
    /* start - last is one more than is free, so `<= size` is too short. */
    if (!forward)
        while (i > 0 && ranges[i].start - ranges[i - 1].last <= size)
            i--;
    else if (i > 0 || ranges[0].start - base < size)
        for (i += i == 0; i < count && ranges[i].start - ranges[i - 1].last <= size;)
            i++;
    if (i > 0)
        base = ranges[i - 1].last + 1;
    if (i == count || ranges[i].start - base < size)
        return false;
    *gap = (struct iovageom_range){base, ranges[i].start - 1};
    return true;
}

/*
 * Leads the path on from the child that it takes at `level`, to the nearest leaf in that direction
 * that has a gap which is long enough. Backward, `slot` goes from 0 to UINT32_MAX, which is no
 * child either: one comparison with `count` ends both directions. In the subtree no such test is
 * needed, as its summary says that there is a gap.
 */
static bool next_leaf(const struct iovageom_itree *tree, struct iovageom_itree_path *path,
                      uint32_t level, bool forward, uint64_t size)
{
    const uint32_t step = forward ? 1u : UINT32_MAX;

    for (; level <= tree->height; level++) {
        const struct iovageom_itree_inner *inner = inner_of(path, level);
        uint32_t count = count_at(tree, path, level);
        uint32_t slot = path->slot[level];

        do
            slot += step;
        while (slot < count && inner->gap[slot] < size);
        if (slot >= count)
            continue;
        for (;;) {
            path->slot[level] = (uint16_t)slot;
            path->node[level - 1] = inner->child[slot];
            if (--level == 0)
                return true;
            inner = path->node[level];
            slot = forward ? 0 : count_at(tree, path, level) - 1;
            while (inner->gap[slot] < size)
                slot += step;
        }
    }
    return false;
}

/* Leads the path towards the address. Stops at the first level whose child there has no gap that is
 * long enough, and returns that level; 0 when it has come to the leaf. */
static uint32_t descend(const struct iovageom_itree *tree, struct iovageom_itree_path *path,
                        uint64_t address, uint64_t size)
{
    void *node = tree->root;
    uint32_t few = tree->root_count;

    for (uint32_t level = tree->height;; level--, few = INNER_SLOTS) {
        struct iovageom_itree_inner *inner = node;
        size_t slot;

        path->node[level] = node;
        if (level == 0)
            return 0;
        slot = rank_inner(inner->last, address, few);
        path->slot[level] = (uint16_t)slot;
        if (inner->gap[slot] < size)
            return level;
        node = inner->child[slot];
    }
}

/* The nearest gap in that direction that is long enough. It begins at the entry that find(address)
 * gives, which must exist. Forward, if that entry holds the address, the gap in front of it is
 * below the address, and the next one is the first to try. */
static bool search_gap(const struct iovageom_itree *tree, bool forward, uint64_t address,
                       uint64_t size, struct iovageom_range *gap)
{
    const struct iovageom_range *ranges;
    uint32_t count = (uint32_t)tree->count;
    struct iovageom_itree_path path;
    uint32_t level = 0;
    uint32_t index;

    if (tree->root)
        level = descend(tree, &path, address, size);
    if (level == 0) {
        ranges = tree->root ? path.node[0] : tree->inline_ranges;
        index = (uint32_t)(tree->root ? rank_leaf(ranges, address) : rank_inline(ranges, address));
        index += forward && ranges[index].start <= address;
        if (tree->height == 0)
            return leaf_hit(ranges, count, index, 0, forward, size, gap);
        if (leaf_hit(ranges, count_at(tree, &path, 0), index, base_of(tree, &path, 1, path.slot[1]),
                     forward, size, gap))
            return true;
        level = 1;
    }
    if (!next_leaf(tree, &path, level, forward, size))
        return false;
    count = count_at(tree, &path, 0);
    return leaf_hit(path.node[0], count, forward ? 0 : count - 1,
                    base_of(tree, &path, 1, path.slot[1]), forward, size, gap);
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

/* The lowest, or highest, aligned piece of `size` bytes in the gap, if there is one. `room` is by
 * how much the start may move up from the gap's start. Nothing wraps: the start is compared with
 * that before the last is computed. */
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

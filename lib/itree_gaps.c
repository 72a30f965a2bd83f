/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding gaps, and holes in them. */
#include "itree_internal.h"

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

/* The gap above all ranges. */
static bool top_gap(const struct iovageom_itree *tree, uint64_t size, struct iovageom_range *gap)
{
    struct iovageom_range top = {0, IOVAGEOM_ADDRESS_MAX};

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

/* From the path's place on, the first gap of the leaf in that direction. */
static bool leaf_hit(const struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                     bool forward, uint64_t size, struct iovageom_range *gap)
{
    const struct iovageom_range *ranges = ranges_at(tree, path);
    uint32_t count = count_at(tree, path, 0);
    uint32_t i = path->slot[0];
    uint64_t base;

    if (i >= count || (tree->height > 0 && inner_of(path, 1)->gap[path->slot[1]] < size))
        return false;
    base = tree->height > 0 ? base_of(tree, path, 1, path->slot[1]) : 0;
    if (i == 0 && ranges[0].start - base >= size) {
        *gap = (struct iovageom_range){base, ranges[0].start - 1};
        return true;
    }
    /* From the last below to the start is one more than there is free. */
    if (forward)
        for (i += i == 0; i < count && ranges[i].start - ranges[i - 1].last <= size;)
            i++;
    else
        while (i > 0 && ranges[i].start - ranges[i - 1].last <= size)
            i--;
    if (i == count || (i == 0 && (path->slot[0] == 0 || ranges[0].start - base < size)))
        return false;
    *gap = (struct iovageom_range){i > 0 ? ranges[i - 1].last + 1 : base, ranges[i].start - 1};
    return true;
}

/* Leads the path to the nearest leaf in that direction that has such a gap. */
static bool next_leaf(const struct iovageom_itree *tree, struct iovageom_itree_path *path,
                      bool forward, uint64_t size)
{
    for (uint32_t level = 1; level <= tree->height; level++) {
        const struct iovageom_itree_inner *inner = inner_of(path, level);
        uint32_t count = count_at(tree, path, level);
        uint32_t slot = path->slot[level];

        do
            slot += forward ? 1u : UINT32_MAX;
        while (slot < count && inner->gap[slot] < size);
        if (slot >= count)
            continue;
        for (;;) {
            path->slot[level] = (uint16_t)slot;
            path->node[level - 1] = inner->child[slot];
            if (--level == 0)
                break;
            inner = path->node[level];
            count = count_at(tree, path, level);
            for (slot = forward ? 0 : count - 1; inner->gap[slot] < size;)
                slot += forward ? 1u : UINT32_MAX;
        }
        path->slot[0] = (uint16_t)(forward ? 0 : count_at(tree, path, 0) - 1);
        return true;
    }
    return false;
}

bool iovageom_itree_gap_above(const struct iovageom_itree *tree, uint64_t address, uint64_t size,
                              struct iovageom_range *gap)
{
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry = iovageom_itree_seek(tree, address, &path);

    if (entry.range) {
        if (entry.range->start <= address)
            path.slot[0]++;
        do
            if (leaf_hit(tree, &path, true, size, gap))
                return true;
        while (next_leaf(tree, &path, true, size));
    }
    return top_gap(tree, size, gap);
}

bool iovageom_itree_gap_below(const struct iovageom_itree *tree, uint64_t address, uint64_t size,
                              struct iovageom_range *gap)
{
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry = iovageom_itree_seek(tree, address, &path);

    if (!entry.range) {
        if (top_gap(tree, size, gap))
            return true;
        path.slot[0]--;
    }
    do
        if (leaf_hit(tree, &path, false, size, gap))
            return true;
    while (next_leaf(tree, &path, false, size));
    return false;
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

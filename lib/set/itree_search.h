/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_ITREE_SEARCH_H
#define IOVAGEOM_ITREE_SEARCH_H

#include "../base/hints.h"
#include "itree.h"

/*
 * The nodes. None has a header: what is known of a node is kept in its parent, so that a leaf is
 * exactly 8 cache lines of ranges. Both kinds begin with 64 words of keys, in ascending order:
 * ranges in a leaf, last addresses of the children in an inner node. Behind them stands for each
 * key what belongs to it: its values, or its child. Keys of unused slots are all ones: so a search
 * for the first last >= x needs no count and takes the same steps in every node.
 *
 * For each child its parent keeps the last address of its highest range, the number of its entries,
 * and the length of the longest gap in front of any range of the child. A gap belongs to the range
 * above it. So the gap in front of the child's first range counts, though it begins in an earlier
 * node, and the gap behind its last range doesn't. The gap above all ranges belongs to no node.
 *
 * What always holds between two public calls; tests/support/itree_check.h checks it node by node:
 *
 *  - Up to 8 entries are in the object, and `root.node` is NULL; more are in nodes.
 *  - Entries ascend and don't overlap, across all leaves.
 *  - All leaves are at level 0, the root at level `height`. An inner node has 2 to 64 children,
 *    none of them empty. How full a node must be is no invariant: removal merges nodes that have
 *    become small where a neighbour can take them, which keeps the height logarithmic.
 *  - What is kept of each node is exact; of the root, the tree keeps it.
 *  - Slots that are not used have a start and a last of 2^64-1.
 *  - `highest` of an empty tree is 0.
 *
 * So the longest gap below any node is known without going there: a hole of a given size is found
 * in one way down, and an allocator of addresses takes O(log n) whatever is mapped. In a tree with
 * values nobody looks for holes, and each `gap` is 0.
 */
enum { LEAF_SLOTS = 32, INNER_SLOTS = 64, KEY_BYTES = 512, CACHE_LINE = 64 };

struct iovageom_itree_leaf {
    struct iovageom_range ranges[LEAF_SLOTS];
    /* followed by LEAF_SLOTS * width words of values */
};

struct iovageom_itree_inner {
    uint64_t last[INNER_SLOTS];
    struct iovageom_itree_child child[INNER_SLOTS];
};

/*
 * The searches: how many lasts are below x. At least one must not be, so callers compare x with the
 * tree's `highest` first. Because lasts ascend, it suffices to compare the last ones of groups,
 * then of smaller groups within the right one; the highest group needs no comparison, as it is what
 * is left. The compiler makes a compare and an add-with-carry of each term, and no branch: whether
 * a last is below a random x can't be predicted.
 *
 * BELOW3 uses the x of the function that it stands in.
 */
#define BELOW3(a, b, c) ((size_t)((a) < x) + ((b) < x) + ((c) < x))

static inline size_t rank_leaf(const struct iovageom_range *ranges, uint64_t x)
{
    const struct iovageom_range *r = ranges;

    r += 8 * BELOW3(r[7].last, r[15].last, r[23].last);
    r += 4 * (size_t)(r[3].last < x);
    r += BELOW3(r[0].last, r[1].last, r[2].last);
    return (size_t)(r - ranges);
}

static inline size_t rank_inline(const struct iovageom_range *r, uint64_t x)
{
    return BELOW3(r[0].last, r[1].last, r[2].last) + (r[3].last < x) +
           BELOW3(r[4].last, r[5].last, r[6].last);
}

/* Of the children of an inner node. A low `count` saves steps; INNER_SLOTS is always right. */
static inline size_t rank_inner(const uint64_t *last, uint64_t x, uint32_t count)
{
    const uint64_t *at = last;

    if (count > 16)
        at += 16 * BELOW3(at[15], at[31], at[47]);
    if (count > 4)
        at += 4 * BELOW3(at[3], at[7], at[11]);
    at += BELOW3(at[0], at[1], at[2]);
    return (size_t)(at - last);
}

/* The values follow the ranges of a leaf, or the tree object, as `width` words for each slot. The
 * casts take const away: callers with a const tree only read. */
static inline uint64_t *leaf_values(const void *leaf)
{
    return (uint64_t *)(uintptr_t)((const struct iovageom_itree_leaf *)leaf + 1);
}

static inline uint64_t *inline_values(const struct iovageom_itree *tree)
{
    return (uint64_t *)(uintptr_t)(tree + 1);
}

static inline struct iovageom_itree_entry entry_at(const struct iovageom_range *ranges,
                                                   const uint64_t *values, uint32_t width,
                                                   size_t index)
{
    return (struct iovageom_itree_entry){ranges + index, values + index * width};
}

/* A tree of more than two levels is larger than the caches near the processor. There the first
 * `bytes` of a leaf are asked for at once: else a search waits for one line after the other. */
static ALWAYS_INLINE void expect_leaf(const struct iovageom_itree *tree, const void *leaf,
                                      size_t bytes)
{
    for (size_t line = 0; tree->height > 1 && line < bytes; line += CACHE_LINE)
        PREFETCH((const unsigned char *)leaf + line);
}

/*
 * The lowest entry whose last >= address, which is not above the highest of the tree; `path` is the
 * way to it. `width` is that of the tree: a caller that knows it by itself saves a multiplication.
 *
 * The root is the same node in every search, so the branches on its count are predicted. Counts of
 * other nodes differ from one search to the next; there a fixed number of steps is cheaper.
 */
static ALWAYS_INLINE struct iovageom_itree_entry seek_below(const struct iovageom_itree *tree,
                                                            uint32_t width, uint64_t address,
                                                            struct iovageom_itree_path *path)
{
    const void *node = tree->root.node;
    size_t slot;

    if (!node) {
        slot = rank_inline(tree->inline_ranges, address);
        path->node[0] = (void *)(uintptr_t)tree->inline_ranges;
        path->slot[0] = (uint16_t)slot;
        return entry_at(tree->inline_ranges, inline_values(tree), width, slot);
    }
    for (uint32_t level = tree->height, few = tree->root.count; level > 0; level--) {
        const struct iovageom_itree_inner *inner = node;

        slot = rank_inner(inner->last, address, few);
        few = INNER_SLOTS;
        path->node[level] = (void *)(uintptr_t)node;
        path->slot[level] = (uint16_t)slot;
        node = inner->child[slot].node;
    }
    expect_leaf(tree, node, sizeof(struct iovageom_itree_leaf) + 5 * CACHE_LINE);
    slot = rank_leaf(node, address);
    path->node[0] = (void *)(uintptr_t)node;
    path->slot[0] = (uint16_t)slot;
    return entry_at(node, leaf_values(node), width, slot);
}

/* The same without the way. The root's step by itself spares the others a choice. */
static ALWAYS_INLINE struct iovageom_itree_entry find_below(const struct iovageom_itree *tree,
                                                            uint32_t width, uint64_t address)
{
    const struct iovageom_itree_inner *inner = tree->root.node;
    const void *node = inner;

    if (!node)
        return entry_at(tree->inline_ranges, inline_values(tree), width,
                        rank_inline(tree->inline_ranges, address));
    if (tree->height > 0) {
        node = inner->child[rank_inner(inner->last, address, tree->root.count)].node;
        for (uint32_t level = tree->height; level > 1; level--) {
            inner = node;
            node = inner->child[rank_inner(inner->last, address, INNER_SLOTS)].node;
        }
        expect_leaf(tree, node, sizeof(struct iovageom_itree_leaf) + 2 * CACHE_LINE);
    }
    return entry_at(node, leaf_values(node), width, rank_leaf(node, address));
}

/* iovageom_itree_find() and the question for the entry that holds an address, to be inlined where a
 * guest's request or a device's access passes: there, a call costs as much as the search. */
static ALWAYS_INLINE struct iovageom_itree_entry find(const struct iovageom_itree *tree,
                                                      uint64_t address)
{
    if (tree->count == 0 || address > tree->highest)
        return (struct iovageom_itree_entry){NULL, NULL};
    return find_below(tree, tree->width, address);
}

/* The entry that holds the address. No count is asked: the highest address of an empty tree is 0,
 * and then the search leads to an unused slot, which starts at 2^64-1. */
static ALWAYS_INLINE struct iovageom_itree_entry holding(const struct iovageom_itree *tree,
                                                         uint32_t width, uint64_t address)
{
    struct iovageom_itree_entry entry = {NULL, NULL};

    if (address <= tree->highest)
        entry = find_below(tree, width, address);
    if (entry.range && entry.range->start > address)
        entry.range = NULL;
    return entry;
}

/* Leads the path behind the highest entry of a tree with nodes. */
void iovageom_itree_seek_end(const struct iovageom_itree *tree, struct iovageom_itree_path *path);

/* iovageom_itree_seek(), for a guest's MAP. */
static ALWAYS_INLINE struct iovageom_itree_entry seek(const struct iovageom_itree *tree,
                                                      uint64_t address,
                                                      struct iovageom_itree_path *path)
{
    if (tree->count > 0 && address <= tree->highest)
        return seek_below(tree, tree->width, address, path);
    path->node[0] = (void *)(uintptr_t)tree->inline_ranges;
    path->slot[0] = (uint16_t)tree->count;
    if (tree->root.node)
        iovageom_itree_seek_end(tree, path);
    return (struct iovageom_itree_entry){NULL, NULL};
}

/* The next range, if it is in the leaf in which the cursor stands, as it mostly is; else NULL. */
static ALWAYS_INLINE const struct iovageom_range *next_here(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_range *range = cursor->at;

    if (cursor->changes != cursor->tree->changes || range == cursor->end)
        return NULL;
    cursor->at = range + 1;
    cursor->address = range->last;
    cursor->passed = true;
    return range;
}

#endif

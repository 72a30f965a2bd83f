/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_ITREE_INTERNAL_H
#define IOVAGEOM_ITREE_INTERNAL_H

#include <string.h>

#include "../base/hints.h"
#include "itree.h"

/*
 * The nodes. None has a header: the number of entries in a node is kept in its parent, so that a
 * leaf is exactly 8 cache lines of ranges. Unused slots have a last of 2^64-1, so that a search for
 * the first last >= x needs no count and takes the same steps in every node.
 *
 * For each child an inner node keeps two summaries: the last address of the child's highest range,
 * and the length of the longest gap in front of any range of the child. A gap belongs to the range
 * above it. So the gap in front of the child's first range counts, though it begins in an earlier
 * node, and the gap behind its last range doesn't. The gap above all ranges belongs to no node.
 *
 * What always holds between two public calls; tests/support/itree_check.h checks it node by node:
 *
 *  - Up to 8 entries are in the object, and `root` is NULL; more are in nodes.
 *  - Entries ascend and don't overlap, across all leaves.
 *  - All leaves are at level 0, the root at level `height`. An inner node has 2 to 60 children,
 *    none of them empty. How full a node must be is no invariant: removal merges nodes that have
 *    become small where a neighbour can take them, which keeps the height logarithmic.
 *  - `last`, `gap` and `count` of each child are exact; so are `highest` and `count` of the tree.
 *  - Slots that are not used have a last of 2^64-1.
 *
 * So the longest gap below any node is known without going there: a hole of a given size is found
 * in one way down, and an allocator of addresses takes O(log n) whatever is mapped.
 */
enum {
    LEAF_SLOTS = 32,
    INNER_SLOTS = 60,  /* children */
    SEARCH_SLOTS = 64, /* lasts: rank_inner() reads past INNER_SLOTS, in fixed steps */
    CACHE_LINE = 64
};

struct iovageom_itree_leaf {
    struct iovageom_range ranges[LEAF_SLOTS];
    /* followed by LEAF_SLOTS * width words of values */
};

struct iovageom_itree_inner {
    uint64_t last[SEARCH_SLOTS];
    uint64_t gap[INNER_SLOTS];
    void *child[INNER_SLOTS];
    uint8_t count[INNER_SLOTS]; /* entries in use in each child */
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

/* The same with 8 groups of 4: more comparisons, but one dependent load less. That is faster in a
 * higher tree, whose leaves are mostly not in the cache. */
static inline size_t rank_far_leaf(const struct iovageom_range *ranges, uint64_t x)
{
    const struct iovageom_range *r = ranges;

    r += 4 * (BELOW3(r[3].last, r[7].last, r[11].last) +
              BELOW3(r[15].last, r[19].last, r[23].last) + (r[27].last < x));
    r += BELOW3(r[0].last, r[1].last, r[2].last);
    return (size_t)(r - ranges);
}

static inline size_t rank_inline(const struct iovageom_range *ranges, uint64_t x)
{
    const struct iovageom_range *r = ranges + 4 * (size_t)(ranges[3].last < x);

    return (size_t)(r - ranges) + BELOW3(r[0].last, r[1].last, r[2].last);
}

/* Of the children of an inner node. A `count` of few children saves steps; INNER_SLOTS is always
 * right. */
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

/* iovageom_itree_find(), for the callers here to inline. */
static ALWAYS_INLINE struct iovageom_itree_entry find(const struct iovageom_itree *tree,
                                                      uint64_t address)
{
    const void *node = tree->root;

    if (tree->count == 0 || address > tree->highest)
        return (struct iovageom_itree_entry){NULL, NULL};
    if (!node)
        return entry_at(tree->inline_ranges, inline_values(tree), tree->width,
                        rank_inline(tree->inline_ranges, address));
    /*
     * The root is the same node in every search, so the branches on its count are predicted. Counts
     * of other nodes differ from one search to the next; there a fixed number of steps is cheaper.
     */
    for (uint32_t level = tree->height, few = tree->root_count; level > 0; level--) {
        const struct iovageom_itree_inner *inner = node;

        node = inner->child[rank_inner(inner->last, address, few)];
        few = INNER_SLOTS;
    }
    return entry_at(node, leaf_values(node), tree->width,
                    tree->height > 1 ? rank_far_leaf(node, address) : rank_leaf(node, address));
}

/*
 * Whether the entry that find(range.start) gave overlaps the range, which may be inverted and then
 * overlaps nothing. If so, *out becomes the entry's range, else it stays. `keep` is all ones or 0,
 * in the place of a branch that would be mispredicted half of the time for random queries.
 */
static ALWAYS_INLINE bool overlap_into(struct iovageom_itree_entry entry,
                                       struct iovageom_range range, struct iovageom_range *out)
{
    bool hit;
    uint64_t keep;

    if (!entry.range)
        return false;
    hit = (entry.range->start <= range.last) & (range.start <= range.last);
    keep = (uint64_t)hit - 1;
    out->start = (out->start & keep) | (entry.range->start & ~keep);
    out->last = (out->last & keep) | (entry.range->last & ~keep);
    return hit;
}

static inline struct iovageom_itree_inner *inner_of(const struct iovageom_itree_path *path,
                                                    uint32_t level)
{
    return path->node[level];
}

/* How many entries, or children, the node of the path at that level has. */
static inline uint32_t count_at(const struct iovageom_itree *tree,
                                const struct iovageom_itree_path *path, uint32_t level)
{
    if (level < tree->height)
        return inner_of(path, level + 1)->count[path->slot[level + 1]];
    return tree->root ? tree->root_count : (uint32_t)tree->count;
}

static inline struct iovageom_range *ranges_at(const struct iovageom_itree *tree,
                                               const struct iovageom_itree_path *path)
{
    return tree->root ? path->node[0] : ((struct iovageom_itree *)(uintptr_t)tree)->inline_ranges;
}

/*
 * Where the gap in front of that child begins: one above the last range below it. That range is in
 * the child before, or where there is none, in one before an ancestor; 0 when no range is below.
 * Can't wrap, as there are addresses above that range.
 */
static inline uint64_t base_of(const struct iovageom_itree *tree,
                               const struct iovageom_itree_path *path, uint32_t level,
                               uint32_t slot)
{
    for (;; slot = path->slot[level]) {
        if (slot > 0)
            return inner_of(path, level)->last[slot - 1] + 1;
        if (++level > tree->height)
            return 0;
    }
}

/*
 * The longest gap in front of any of the ranges, 0 for none; the first gap begins at `base`. Two
 * maxima are kept, of every second gap, so that the processor can work on both at a time.
 */
static inline uint64_t leaf_gap(const struct iovageom_range *ranges, uint32_t count, uint64_t base)
{
    const struct iovageom_range *at = ranges;
    const struct iovageom_range *pairs;
    uint64_t most = 1; /* start - last is one more than is free; subtracted below */
    uint64_t other = 1;

    if (count == 0)
        return 0;
    pairs = ranges + (count - 1) / 2 * 2;
    for (; at != pairs; at += 2) {
        uint64_t one = at[1].start - at[0].last;
        uint64_t two = at[2].start - at[1].last;

        most = one > most ? one : most;
        other = two > other ? two : other;
    }
    if (!(count & 1) && at[1].start - at[0].last > most)
        most = at[1].start - at[0].last;
    most = (other > most ? other : most) - 1;
    return ranges[0].start - base > most ? ranges[0].start - base : most;
}

/* The longest of the gaps that an inner node keeps for its `count` children. */
static inline uint64_t inner_gap(const struct iovageom_itree_inner *inner, uint32_t count)
{
    uint64_t most = count & 1 ? inner->gap[count - 1] : 0;
    uint64_t other = 0;

    for (uint32_t i = 0; i + 1 < count; i += 2) {
        most = inner->gap[i] > most ? inner->gap[i] : most;
        other = inner->gap[i + 1] > other ? inner->gap[i + 1] : other;
    }
    return other > most ? other : most;
}

/* Leads the path on to the next leaf, or back to the one before; false when there is none. */
bool iovageom_itree_step(const struct iovageom_itree *tree, struct iovageom_itree_path *path,
                         bool forward);

/*
 * Releases all nodes and the stock. `count` stays: the caller has the entries inline, or clears it.
 */
void iovageom_itree_release(struct iovageom_itree *tree);
/* Releases a node, with `count` entries in use, and all below it. */
void iovageom_itree_free_below(struct iovageom_itree *tree, void *node, uint32_t level,
                               uint32_t count);
/* One node more, not initialised; NULL for lack of memory. */
void *iovageom_itree_new_node(struct iovageom_itree *tree, uint32_t level);
void iovageom_itree_free_node(struct iovageom_itree *tree, void *node, uint32_t level);
/*
 * A change that splits nodes allocates the new ones before it begins, so that it can't fail
 * halfway. stock() sees to it that so many are there, or releases all and gives
 * IOVAGEOM_ERR_NO_MEMORY; take() hands one out as an empty node, and never fails; drop_stock()
 * releases those that are left.
 */
int iovageom_itree_stock(struct iovageom_itree *tree, uint32_t leaves, uint32_t inners);
void *iovageom_itree_take(struct iovageom_itree *tree, uint32_t level);
void iovageom_itree_drop_stock(struct iovageom_itree *tree);

/*
 * Moves the highest k entries of child `slot` of the path's node at that level to the next child,
 * or for k < 0 the lowest of that to child `slot`.
 */
void iovageom_itree_shift(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                          uint32_t level, uint32_t slot, int32_t k);
/*
 * Make room for one entry in the path's node at that level, which is full. lend() moves entries to
 * a neighbour; it returns false if none has room. split() takes new nodes from the stock: one at
 * that level, one at each full level above, and one inner node if the root is full. Afterwards the
 * path leads to the same place, in the node with the entry that follows the place.
 */
bool iovageom_itree_lend(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                         uint32_t level);
void iovageom_itree_split(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                          uint32_t level);
/* After entries have gone from the path's leaf: merges what has become small. Invalidates
 * `path`. */
void iovageom_itree_settle(struct iovageom_itree *tree, struct iovageom_itree_path *path);

#endif

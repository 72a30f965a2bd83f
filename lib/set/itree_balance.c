/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moving entries between neighbouring nodes, of leaves and inner nodes alike.
 *
 * Everything here is done by shift(), which moves entries between two neighbours,
 * and keeps the summaries of both in their parent exact. A full leaf first lends entries to a
 * neighbour that has room, so that leaves stay fuller than they would if each split at once; only
 * if none has, it splits in two.
 */
#include "../base/hints.h"
#include "itree_internal.h"

#include <iovageom/status.h>

/* Copies n entries from one place to another, perhaps in the same node. */
static void move_entries(const struct iovageom_itree *tree, uint32_t level, void *to, uint32_t at,
                         void *from, uint32_t first, uint32_t n)
{
    if (level == 0) {
        struct iovageom_itree_leaf *a = to;
        struct iovageom_itree_leaf *b = from;

        memmove(&a->ranges[at], &b->ranges[first], n * sizeof(a->ranges[0]));
        if (tree->width)
            memmove(leaf_values(a) + at * tree->width, leaf_values(b) + first * tree->width,
                    n * tree->width * sizeof(uint64_t));
    } else {
        struct iovageom_itree_inner *a = to;
        struct iovageom_itree_inner *b = from;

        memmove(&a->last[at], &b->last[first], n * sizeof(a->last[0]));
        memmove(&a->gap[at], &b->gap[first], n * sizeof(a->gap[0]));
        memmove(&a->child[at], &b->child[first], n * sizeof(a->child[0]));
        memmove(&a->count[at], &b->count[first], n * sizeof(a->count[0]));
    }
}

/* Marks n slots as unused: a last of 2^64-1. */
static void vacate(uint32_t level, void *node, uint32_t first, uint32_t n)
{
    if (level == 0)
        memset(&((struct iovageom_itree_leaf *)node)->ranges[first], 0xff,
               n * sizeof(struct iovageom_range));
    else
        memset(&((struct iovageom_itree_inner *)node)->last[first], 0xff, n * sizeof(uint64_t));
}

/* Drops n entries from `slot` on. `count`: entries in use before. */
static void close_slots(const struct iovageom_itree *tree, uint32_t level, void *node,
                        uint32_t slot, uint32_t n, uint32_t count)
{
    move_entries(tree, level, node, slot, node, slot + n, count - slot - n);
    vacate(level, node, count - n, n);
}

/* The last address of the highest of `count` entries. */
static uint64_t last_of(uint32_t level, const void *node, uint32_t count)
{
    return level == 0 ? ((const struct iovageom_itree_leaf *)node)->ranges[count - 1].last
                      : ((const struct iovageom_itree_inner *)node)->last[count - 1];
}

/* The longest gap in front of n entries, from `first` on, of child `slot` of the path's node at
 * `level`; 0 in a tree that keeps none. */
IOVAGEOM_COLD static uint64_t longest(const struct iovageom_itree *tree,
                                      const struct iovageom_itree_path *path, uint32_t level,
                                      uint32_t slot, uint32_t first, uint32_t n)
{
    const struct iovageom_itree_inner *parent = inner_of(path, level);
    const struct iovageom_range *ranges = parent->child[slot];

    if (!keeps_gaps(tree))
        return 0;
    if (level > 1)
        return longest_of(((const struct iovageom_itree_inner *)parent->child[slot])->gap + first,
                          n);
    return leaf_gap(ranges + first, n,
                    first > 0 ? ranges[first - 1].last + 1 : base_of(tree, path, level, slot));
}

/*
 * Moves the highest k entries of child `slot` of the path's node at that level to the next child,
 * or for k < 0 the lowest of that to child `slot`.
 *
 * A gap belongs to the entry above it, and moves with it. So the receiver's longest gap is the
 * longer of its own and the longest that moves. The giver's entries are all compared again only if
 * its longest gap may be among those that have moved. If the higher child was empty, its last is
 * the old last of the lower one, whose highest entries it has got.
 */
IOVAGEOM_COLD static void shift(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                                uint32_t level, uint32_t slot, int32_t k)
{
    struct iovageom_itree_inner *parent = inner_of(path, level);
    void *low = parent->child[slot];
    void *high = parent->child[slot + 1];
    uint32_t low_count = parent->count[slot];
    uint32_t high_count = parent->count[slot + 1];
    uint32_t n = (uint32_t)(k < 0 ? -k : k);
    uint32_t from = k > 0 ? slot : slot + 1;
    uint32_t to = k > 0 ? slot + 1 : slot;
    uint64_t old_last = parent->last[slot];
    uint64_t moved = longest(tree, path, level, from, k > 0 ? low_count - n : 0, n);

    if (k > 0) {
        move_entries(tree, level - 1, high, n, high, 0, high_count);
        move_entries(tree, level - 1, high, 0, low, low_count - n, n);
        vacate(level - 1, low, low_count - n, n);
    } else {
        move_entries(tree, level - 1, low, low_count, high, 0, n);
        close_slots(tree, level - 1, high, 0, n, high_count);
    }
    parent->count[from] = (uint8_t)(parent->count[from] - n);
    parent->count[to] = (uint8_t)(parent->count[to] + n);
    parent->gap[to] = moved > parent->gap[to] ? moved : parent->gap[to];
    if (parent->count[slot] > 0)
        parent->last[slot] = last_of(level - 1, low, parent->count[slot]);
    if (high_count == 0)
        parent->last[slot + 1] = old_last;
    if (moved == parent->gap[from])
        parent->gap[from] = longest(tree, path, level, from, 0, parent->count[from]);
}

/* Puts `root` above the old one, which is its only child until the split that follows. */
IOVAGEOM_COLD static void grow_root(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                    struct iovageom_itree_inner *root)
{
    root->child[0] = tree->root;
    root->count[0] = (uint8_t)tree->root_count;
    tree->root = root;
    tree->root_count = 1;
    tree->height++;
    path->node[tree->height] = root;
    path->slot[tree->height] = 0;
    root->gap[0] = longest(tree, path, tree->height, 0, 0, root->count[0]);
    root->last[0] = last_of(tree->height - 1, root->child[0], root->count[0]);
}

/* Puts an empty node into the path's node at that level, as child `slot`, which is not the first.
 * Until entries come to it, its last is that of the child before, so that lasts still ascend. */
IOVAGEOM_COLD static void add_child(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                    uint32_t level, uint32_t slot, void *child)
{
    struct iovageom_itree_inner *inner = inner_of(path, level);
    uint32_t count = count_at(tree, path, level);

    if (slot < count)
        move_entries(tree, level, inner, slot + 1, inner, slot, count - slot);
    inner->child[slot] = child;
    inner->count[slot] = 0;
    inner->gap[slot] = 0;
    inner->last[slot] = inner->last[slot - 1];
    set_count_at(tree, path, level, count + 1);
}

/* Frees child `slot`, which must be empty, and closes its slot. */
IOVAGEOM_COLD static void drop_child(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                     uint32_t level, uint32_t slot)
{
    struct iovageom_itree_inner *inner = inner_of(path, level);
    uint32_t count = count_at(tree, path, level);

    iovageom_itree_free_node(tree, inner->child[slot], level - 1);
    close_slots(tree, level, inner, slot, 1, count);
    set_count_at(tree, path, level, count - 1);
}

/* Moves k entries from child `slot` to the next one, or for k < 0 back, and leads the path to the
 * same place again, which may be behind all entries of the lower child: then it is in front of
 * those of the higher one. */
static void rearrange(struct iovageom_itree *tree, struct iovageom_itree_path *path, uint32_t level,
                      uint32_t slot, int32_t k)
{
    const struct iovageom_itree_inner *parent = inner_of(path, level);
    uint32_t place = path->slot[level - 1];

    if (path->slot[level] > slot)
        place += parent->count[slot];
    if (k != 0)
        shift(tree, path, level, slot, k);
    if (place >= parent->count[slot])
        place -= parent->count[slot++];
    path->slot[level] = (uint16_t)slot;
    path->node[level - 1] = parent->child[slot];
    path->slot[level - 1] = (uint16_t)place;
}

/* False when no neighbour of the path's leaf has room for two: after both are equally full, each
 * must have a free slot, for the entry that is to come. */
static bool lend(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    const struct iovageom_itree_inner *parent;
    uint32_t slot, low, high;

    if (tree->height == 0)
        return false;
    parent = inner_of(path, 1);
    slot = path->slot[1];
    low = slot > 0 ? parent->count[slot - 1] : LEAF_SLOTS;
    high = slot + 1 < count_at(tree, path, 1) ? parent->count[slot + 1] : LEAF_SLOTS;
    if ((low < high ? low : high) + 2 > LEAF_SLOTS)
        return false;
    slot -= low < high;
    rearrange(tree, path, 1, slot, ((int32_t)parent->count[slot] - parent->count[slot + 1]) / 2);
    return true;
}

/* The object is full: moves its entries to a first leaf. */
static int outgrow(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    struct iovageom_itree_leaf *leaf = iovageom_itree_new_node(tree, 0, true);

    if (!leaf)
        return IOVAGEOM_ERR_NO_MEMORY;
    memcpy(leaf->ranges, tree->inline_ranges, tree->count * sizeof(leaf->ranges[0]));
    memcpy(leaf_values(leaf), inline_values(tree), tree->count * tree->width * sizeof(uint64_t));
    tree->root = leaf;
    tree->root_count = (uint32_t)tree->count;
    path->node[0] = leaf;
    return IOVAGEOM_OK;
}

/* Gives nodes of the path up to level `top` a new neighbour, from there down, so that each has a
 * parent with room for it. `ascending`: only the highest entry, if any, moves to it; else half. */
IOVAGEOM_COLD static void split_up_to(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                      uint32_t top, void *const fresh[], bool ascending)
{
    if (top == tree->height)
        grow_root(tree, path, fresh[top + 1]);
    for (uint32_t level = top + 1; level > 0; level--) {
        const uint32_t slot = path->slot[level];
        const int32_t half = (level == 1 ? LEAF_SLOTS : INNER_SLOTS) / 2;

        add_child(tree, path, level, slot + 1, fresh[level - 1]);
        rearrange(tree, path, level, slot, !ascending ? half : level > 1);
    }
}

/*
 * A split needs a leaf, an inner node for each full one above, and a new root if all are full. All of
 * them are allocated before the first entry moves. `appends`: the caller marks unused slots.
 */
static int split_leaf(struct iovageom_itree *tree, struct iovageom_itree_path *path, bool ascending,
                      bool appends)
{
    void *fresh[IOVAGEOM_ITREE_LEVELS + 1];
    uint32_t top = 0;
    uint32_t nodes, have;

    while (top < tree->height && count_at(tree, path, top + 1) == INNER_SLOTS)
        top++;
    nodes = top + 1 + (top == tree->height);
    for (have = 0; have < nodes; have++) {
        fresh[have] = iovageom_itree_new_node(tree, have, have > 0 || !appends);
        if (!fresh[have])
            break;
    }
    if (have == nodes) {
        split_up_to(tree, path, top, fresh, ascending);
        return IOVAGEOM_OK;
    }
    while (have-- > 0)
        iovageom_itree_free_node(tree, fresh[have], have);
    return IOVAGEOM_ERR_NO_MEMORY;
}

/* Entries that come in ascending order leave full leaves behind them, not half empty ones: there is
 * no place behind the entries of a leaf but in the highest one, whose new entry gets its own. */
int iovageom_itree_make_room(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    if (!tree->root)
        return outgrow(tree, path);
    return lend(tree, path) ? IOVAGEOM_OK
                            : split_leaf(tree, path, path->slot[0] == LEAF_SLOTS, false);
}

int iovageom_itree_add_leaf(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    return tree->root ? split_leaf(tree, path, true, true) : outgrow(tree, path);
}

/*
 * Merges a small node with the smaller one of its neighbours. Small is a third of the slots or
 * less. They must fit into three quarters of a node, so that the next few insertions don't split it
 * again. If they don't fit, and the node has less than an eighth of its slots in use, it gets half
 * of the difference from the neighbour, so that the next removals don't come here again. An empty
 * node always goes. True when the parent has lost a child, and may have become small itself.
 */
IOVAGEOM_COLD static bool merge_children(struct iovageom_itree *tree,
                                         struct iovageom_itree_path *path, uint32_t level)
{
    struct iovageom_itree_inner *parent = inner_of(path, level + 1);
    uint32_t slots = level == 0 ? LEAF_SLOTS : INNER_SLOTS;
    uint32_t slot = path->slot[level + 1];
    uint32_t count = parent->count[slot];
    uint32_t low = slot > 0 ? parent->count[slot - 1] : UINT32_MAX;
    uint32_t high =
        slot + 1 < count_at(tree, path, level + 1) ? parent->count[slot + 1] : UINT32_MAX;
    uint32_t other = low < high ? low : high;

    if (count > slots / 3 || other == UINT32_MAX)
        return false;
    if (count == 0) {
        drop_child(tree, path, level + 1, slot);
        return true;
    }
    slot -= low < high;
    if (count + other <= slots * 3 / 4) {
        shift(tree, path, level + 1, slot, -(int32_t)parent->count[slot + 1]);
        drop_child(tree, path, level + 1, slot + 1);
        return true;
    }
    if (count < slots / 8)
        shift(tree, path, level + 1, slot,
              ((int32_t)parent->count[slot] - parent->count[slot + 1]) / 2);
    return false;
}

/* Removes roots with only one child, so that the height shrinks with the number of entries. When
 * they are few enough, the entries move back into the object. A leaf that lost all of them at once
 * had no last address to give to the tree. */
IOVAGEOM_COLD static void collapse(struct iovageom_itree *tree)
{
    while (tree->height > 0 && tree->root_count == 1) {
        struct iovageom_itree_inner *root = tree->root;

        tree->root = root->child[0];
        tree->root_count = root->count[0];
        iovageom_itree_free_node(tree, root, tree->height--);
    }
    if (tree->root && tree->count <= IOVAGEOM_ITREE_INLINE) {
        const struct iovageom_itree_leaf *leaf = tree->root;

        memcpy(tree->inline_ranges, leaf->ranges, sizeof(tree->inline_ranges));
        memcpy(inline_values(tree), leaf_values(leaf),
               IOVAGEOM_ITREE_INLINE * tree->width * sizeof(uint64_t));
        iovageom_itree_release(tree);
    }
    if (tree->count == 0)
        tree->highest = 0;
}

void iovageom_itree_settle(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    for (uint32_t level = 0; level < tree->height && merge_children(tree, path, level);)
        level++;
    collapse(tree);
}

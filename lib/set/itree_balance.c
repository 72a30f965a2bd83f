/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moving entries between neighbouring nodes, of leaves and inner nodes alike.
 *
 * Everything here is done by share(), which moves entries between two neighbours, and keeps what
 * their parent knows of both exact. A full leaf first lends entries to a neighbour that has room,
 * so that leaves stay fuller than they would if each split at once; only if none has, it splits in
 * two.
 */
#include "../base/hints.h"
#include "itree_internal.h"

#include <iovageom/status.h>

_Static_assert(sizeof(struct iovageom_itree_leaf) == KEY_BYTES &&
                   offsetof(struct iovageom_itree_inner, child) == KEY_BYTES,
               "keys come first");

/* Copies n entries, keys and what belongs to them, perhaps in the same node. */
static void move_entries(const struct iovageom_itree *tree, uint32_t level, void *to, uint32_t at,
                         const void *from, uint32_t first, uint32_t n)
{
    const size_t key = KEY_BYTES / slots_of(level);
    const size_t rest = rest_of(tree, level);
    unsigned char *target = to;
    const unsigned char *source = from;

    memmove(target + at * key, source + first * key, n * key);
    if (rest > 0)
        memmove(target + KEY_BYTES + at * rest, source + KEY_BYTES + first * rest, n * rest);
}

/* Marks n slots as unused. Not inlined where size counts: gcc's short way to do that takes long. */
static NOINLINE void vacate(uint32_t level, void *node, uint32_t first, uint32_t n)
{
    const size_t key = KEY_BYTES / slots_of(level);

    memset((unsigned char *)node + first * key, 0xff, n * key);
}

/* One node more, with all slots unused; NULL for lack of memory. */
static NOINLINE void *new_node(const struct iovageom_itree *tree, uint32_t level)
{
    void *node = iovageom_array_new(&tree->allocator, 1, node_bytes(tree, level));

    if (node)
        vacate(level, node, 0, slots_of(level));
    return node;
}

/* The last address of the highest of `count` entries: the last word of its key. */
static uint64_t last_of(uint32_t level, const void *node, uint32_t count)
{
    return ((const uint64_t *)node)[(level == 0 ? 2 * count : count) - 1];
}

NOINLINE uint64_t iovageom_itree_base(const struct iovageom_itree *tree,
                                      const struct iovageom_itree_path *path, uint32_t level)
{
    uint32_t slot = 0;

    while (slot == 0) {
        if (++level > tree->height)
            return 0;
        slot = path->slot[level];
    }
    return inner_of(path, level)->last[slot - 1] + 1;
}

/* Two ranges at a time, so that neither waits for the other. What is compared is from one range's
 * last address to the next one's start, so one more than is free. */
NOINLINE uint64_t iovageom_itree_leaf_gap(const struct iovageom_range *ranges, size_t count,
                                          uint64_t base)
{
    uint64_t most = 1, other = 1;
    size_t i = 2;

    if (count == 0)
        return 0;
    for (; i < count; i += 2) {
        most = iovageom_higher(most, ranges[i - 1].start - ranges[i - 2].last);
        other = iovageom_higher(other, ranges[i].start - ranges[i - 1].last);
    }
    if (i == count)
        most = iovageom_higher(most, ranges[i - 1].start - ranges[i - 2].last);
    return iovageom_higher(ranges[0].start - base, iovageom_higher(most, other) - 1);
}

/* The longest gap in front of n entries, from `first` on, of the path's node at that level; 0 where
 * none is kept: in a tree with values, and of a root that is no leaf. */
static NOINLINE uint64_t longest(const struct iovageom_itree *tree,
                                 const struct iovageom_itree_path *path, uint32_t level,
                                 uint32_t first, uint32_t n)
{
    const struct iovageom_range *ranges = path->node[level];
    const struct iovageom_itree_child *child;
    uint64_t gap = 0;

    if (tree->width > 0 || n == 0 || (level > 0 && level == tree->height))
        return 0;
    if (level == 0)
        return iovageom_itree_leaf_gap(ranges + first, n, base_of(tree, path, first));
    child = &inner_of(path, level)->child[first];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++)
        gap = iovageom_higher(gap, child[i].gap);
    return gap;
}

/* Brings up to date what is kept of the path's node at that level; false when nothing above is
 * another for that. An empty leaf, which is to go, gets the last address of what is below it. */
static NOINLINE bool renew_node(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                                uint32_t level)
{
    const uint64_t longest_above = child_at(tree, path, level + 1)->gap;
    struct iovageom_itree_child *child = child_at(tree, path, level);
    const uint64_t gap = longest(tree, path, level, 0, child->count);
    uint64_t *kept = last_at(tree, path, level);
    uint64_t last;
    bool above;

    if (child->count > 0)
        last = last_of(level, path->node[level], child->count);
    else
        last = iovageom_higher(iovageom_itree_base(tree, path, level), 1) - 1;
    above = *kept != last ||
            (child->gap != gap && (child->gap == longest_above || gap > longest_above));
    *kept = last;
    child->gap = gap;
    return above;
}

void iovageom_itree_renew(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                          uint32_t level)
{
    while (level <= tree->height && renew_node(tree, path, level))
        level++;
}

void iovageom_itree_divided(struct iovageom_itree *tree, const struct iovageom_itree_path *path)
{
    struct iovageom_itree_child *leaf = child_at(tree, path, 0);
    const uint64_t old = leaf->gap;

    leaf->gap =
        iovageom_itree_leaf_gap(path->node[0], leaf->count, iovageom_itree_base(tree, path, 0));
    if (child_at(tree, path, 1)->gap == old)
        iovageom_itree_renew(tree, path, 1);
}

/*
 * Shares the entries of child `slot` of the path's node at that level, and of the next child, so
 * that the first has `want` of them, at least 1. Leads the path to the same place again, which may
 * be behind all entries of the first child: then it is in front of those of the next one.
 *
 * A gap belongs to the entry above it, and moves with it. So the receiver's longest gap is the
 * longer of its own and the longest that moves; the giver's entries are all compared again only if
 * its longest gap may be among those that have moved.
 */
IOVAGEOM_COLD static void share(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                uint32_t level, uint32_t slot, uint32_t want)
{
    struct iovageom_itree_child *low = &inner_of(path, level)->child[slot], *high = low + 1;
    const uint32_t had = low->count, below = level - 1;
    const uint32_t n = want > had ? want - had : had - want, first = want > had ? 0 : want;
    struct iovageom_itree_child *from = want > had ? high : low, *to = want > had ? low : high;
    uint32_t place = path->slot[below] + (path->slot[level] > slot ? had : 0);
    uint64_t moved;

    if (n > 0) {
        take_child(path, level, slot + (from == high));
        moved = longest(tree, path, below, first, n);
        if (from == low)
            move_entries(tree, below, high->node, n, high->node, 0, high->count);
        move_entries(tree, below, to->node, from == low ? 0 : had, from->node, first, n);
        if (from == high)
            move_entries(tree, below, high->node, 0, high->node, n, high->count - n);
        from->count -= n;
        to->count += n;
        vacate(below, from->node, from->count, n);
        inner_of(path, level)->last[slot] = last_of(below, low->node, want);
        to->gap = iovageom_higher(to->gap, moved);
        if (from->gap == moved)
            from->gap = longest(tree, path, below, 0, from->count);
    }
    take_child(path, level, slot + (place >= want));
    path->slot[below] = (uint16_t)(place >= want ? place - want : place);
}

/* Frees child `slot` of the path's node at that level, which must be empty, and closes its slot. */
IOVAGEOM_COLD static void drop_child(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                     uint32_t level, uint32_t slot)
{
    struct iovageom_itree_inner *inner = inner_of(path, level);
    const uint32_t left = --child_at(tree, path, level)->count;

    free_node(tree, inner->child[slot].node, level - 1);
    move_entries(tree, level, inner, slot, inner, slot + 1, left - slot);
    vacate(level, inner, left, 1);
}

/* The neighbour with fewer entries of the path's node at that level, which is not the root: *fewer
 * is how many. Returns the lower slot of the two. */
static uint32_t neighbour(const struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                          uint32_t level, uint32_t *fewer)
{
    const struct iovageom_itree_child *child = child_at(tree, path, level);
    const uint32_t slot = path->slot[level + 1];
    const uint32_t low = slot > 0 ? child[-1].count : UINT32_MAX;
    const uint32_t high = slot + 1 < count_at(tree, path, level + 1) ? child[1].count : UINT32_MAX;

    *fewer = low < high ? low : high;
    return slot - (low < high);
}

/* The object is full: moves its entries to a first leaf. */
IOVAGEOM_COLD static int outgrow(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    void *leaf = new_node(tree, 0);

    if (!leaf)
        return IOVAGEOM_ERR_NO_MEMORY;
    memcpy(leaf, tree->inline_ranges, sizeof(tree->inline_ranges));
    memcpy(leaf_values(leaf), inline_values(tree),
           IOVAGEOM_ITREE_INLINE * tree->width * sizeof(uint64_t));
    tree->root.node = path->node[0] = leaf;
    renew_node(tree, path, 0);
    return IOVAGEOM_OK;
}

/* A new root above the old one, which is its only child until the split that follows. */
IOVAGEOM_COLD static int grow_root(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    const uint32_t level = tree->height;
    struct iovageom_itree_inner *root = new_node(tree, level + 1);

    if (!root)
        return IOVAGEOM_ERR_NO_MEMORY;
    root->child[0] = tree->root;
    tree->root.node = path->node[level + 1] = root;
    tree->root.count = 1;
    tree->height++;
    path->slot[level + 1] = 0;
    renew_node(tree, path, level);
    return IOVAGEOM_OK;
}

/*
 * Gives the path's node at that level a new neighbour, and half of its entries to that; behind the
 * highest entry only one, or none of a leaf. The parent may be full: then it is split first, and so
 * on upwards. Each level has its new node before it goes up, so the first change comes when all
 * memory is there.
 */
IOVAGEOM_COLD static int split_node(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                    uint32_t level, bool behind)
{
    void *fresh = new_node(tree, level);
    int status = fresh != NULL ? IOVAGEOM_OK : IOVAGEOM_ERR_NO_MEMORY;
    struct iovageom_itree_inner *parent;
    uint32_t slot, count;

    if (status == IOVAGEOM_OK && level == tree->height)
        status = grow_root(tree, path);
    else if (status == IOVAGEOM_OK && count_at(tree, path, level + 1) == INNER_SLOTS)
        status = split_node(tree, path, level + 1, behind);
    if (status != IOVAGEOM_OK) {
        free_node(tree, fresh, level);
        return status;
    }
    parent = inner_of(path, level + 1);
    slot = path->slot[level + 1];
    count = child_at(tree, path, level + 1)->count++;
    move_entries(tree, level + 1, parent, slot + 2, parent, slot + 1, count - slot - 1);
    parent->child[slot + 1] = (struct iovageom_itree_child){0, fresh, 0};
    parent->last[slot + 1] = parent->last[slot];
    count = parent->child[slot].count;
    share(tree, path, level + 1, slot, behind ? count - (level > 0) : count / 2);
    return IOVAGEOM_OK;
}

/* Entries that come in ascending order leave full leaves behind them, not half empty ones: there is
 * no place behind the entries of a leaf but in the highest one, whose new entry gets its own. */
int iovageom_itree_make_room(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    const bool behind = path->slot[0] == count_at(tree, path, 0);
    uint32_t slot, fewer;

    if (!tree->root.node)
        return outgrow(tree, path);
    if (!behind && tree->height > 0) {
        /* Equally full, each must have a free slot for the entry that is to come. */
        slot = neighbour(tree, path, 0, &fewer);
        if (fewer <= LEAF_SLOTS - 2) {
            share(tree, path, 1, slot, (LEAF_SLOTS + fewer) / 2);
            return IOVAGEOM_OK;
        }
    }
    return split_node(tree, path, 0, behind);
}

/*
 * Merges a small node with the smaller one of its neighbours. Small is a third of the slots or
 * less. They must fit into three quarters of a node, so that the next few insertions don't split it
 * again. If they don't fit, and the node has less than an eighth of its slots in use, it gets half
 * of the difference from the neighbour, so that the next removals don't come here again. An empty
 * node always goes. True when the parent has lost a child, and may have become small itself.
 */
IOVAGEOM_COLD static bool merge_node(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                     uint32_t level)
{
    const uint32_t slots = slots_of(level), count = count_at(tree, path, level);
    uint32_t slot, fewer;

    if (level == tree->height || count > slots / 3)
        return false;
    slot = neighbour(tree, path, level, &fewer);
    if (count == 0) {
        drop_child(tree, path, level + 1, path->slot[level + 1]);
        return true;
    }
    if (count + fewer <= slots * 3 / 4) {
        share(tree, path, level + 1, slot, count + fewer);
        drop_child(tree, path, level + 1, slot + 1);
        return true;
    }
    if (count < slots / 8)
        share(tree, path, level + 1, slot, (count + fewer) / 2);
    return false;
}

/* Removes roots with only one child, so that the height shrinks with the number of entries. When
 * they are few enough, the entries move back into the object. */
IOVAGEOM_COLD static void collapse(struct iovageom_itree *tree)
{
    while (tree->height > 0 && tree->root.count == 1) {
        struct iovageom_itree_inner *root = tree->root.node;

        tree->root = root->child[0];
        free_node(tree, root, tree->height--);
    }
    if (tree->root.node && tree->count <= IOVAGEOM_ITREE_INLINE) {
        memcpy(tree->inline_ranges, tree->root.node, sizeof(tree->inline_ranges));
        memcpy(inline_values(tree), leaf_values(tree->root.node),
               IOVAGEOM_ITREE_INLINE * tree->width * sizeof(uint64_t));
        iovageom_itree_release(tree);
    }
}

void iovageom_itree_settle(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    for (uint32_t level = 0; merge_node(tree, path, level);)
        level++;
    collapse(tree);
}

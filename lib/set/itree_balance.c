/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moving entries between neighbouring nodes, of leaves and inner nodes alike.
 *
 * Everything here is done by iovageom_itree_shift(), which moves entries between two neighbours,
 * and keeps the summaries of both in their parent exact. A full node first lends entries to a
 * neighbour that has room. Only if none has, it splits, together with both neighbours: three full
 * nodes become four that are three quarters full, so that nodes stay fuller than with the usual
 * split into halves. Nothing here allocates: the nodes that a split takes are in stock before.
 */
#include "../base/hints.h"
#include "itree_internal.h"

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

/* Opens a gap of one slot; the caller fills it. `count`: entries in use before. */
static void open_slot(const struct iovageom_itree *tree, uint32_t level, void *node, uint32_t slot,
                      uint32_t count)
{
    move_entries(tree, level, node, slot + 1, node, slot, count - slot);
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
 * `level`. */
static uint64_t longest(const struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                        uint32_t level, uint32_t slot, uint32_t first, uint32_t n)
{
    const struct iovageom_itree_inner *parent = inner_of(path, level);
    const struct iovageom_itree_leaf *leaf = parent->child[slot];
    uint64_t most = 0;

    if (level > 1) {
        const struct iovageom_itree_inner *inner = parent->child[slot];

        for (uint32_t i = first; i < first + n; i++)
            most = inner->gap[i] > most ? inner->gap[i] : most;
        return most;
    }
    if (first > 0)
        return leaf_gap(&leaf->ranges[first], n, leaf->ranges[first - 1].last + 1);
    while (slot > 0 && parent->count[slot - 1] == 0)
        slot--; /* a child that is empty just now has no last to begin behind */
    return leaf_gap(leaf->ranges, n, base_of(tree, path, level, slot));
}

/* Computes a child's summaries in its parent from scratch. The child must have entries. */
static void sum_up(const struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                   uint32_t level, uint32_t slot)
{
    struct iovageom_itree_inner *parent = inner_of(path, level);
    uint32_t count = parent->count[slot];

    parent->gap[slot] = longest(tree, path, level, slot, 0, count);
    parent->last[slot] = last_of(level - 1, parent->child[slot], count);
}

/*
 * A gap belongs to the entry above it, and moves with it. So the receiver's longest gap is the
 * longer of its own and the longest that moves. The giver's entries are all compared again only if
 * its longest gap may be among those that have moved. If the higher child was empty, its last is
 * the old last of the lower one, whose highest entries it has got.
 */
void iovageom_itree_shift(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
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

/* Puts a new root above the old one, which is its only child until the split that follows. An inner
 * node must be in stock. */
IOVAGEOM_COLD static void grow_root(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    struct iovageom_itree_inner *root = iovageom_itree_take(tree, tree->height + 1);

    root->child[0] = tree->root;
    root->count[0] = (uint8_t)tree->root_count;
    tree->root = root;
    tree->root_count = 1;
    tree->height++;
    path->node[tree->height] = root;
    path->slot[tree->height] = 0;
    sum_up(tree, path, tree->height, 0);
}

static void set_count(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                      uint32_t level, uint32_t count)
{
    if (level < tree->height)
        inner_of(path, level + 1)->count[path->slot[level + 1]] = (uint8_t)count;
    else
        tree->root_count = count;
}

/*
 * Puts an empty node from the stock into the path's node at that level, as child `slot`. Until
 * entries come to it, its last is that of the child before, so that lasts still ascend.
 */
IOVAGEOM_COLD static void add_child(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                    uint32_t level, uint32_t slot)
{
    struct iovageom_itree_inner *inner = inner_of(path, level);
    uint32_t count = count_at(tree, path, level);

    open_slot(tree, level, inner, slot, count);
    inner->child[slot] = iovageom_itree_take(tree, level - 1);
    inner->count[slot] = 0;
    inner->gap[slot] = 0;
    inner->last[slot] = slot > 0 ? inner->last[slot - 1] : 0;
    set_count(tree, path, level, count + 1);
}

/* Frees child `slot`, which must be empty, and closes its slot. */
IOVAGEOM_COLD static void drop_child(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                                     uint32_t level, uint32_t slot)
{
    struct iovageom_itree_inner *inner = inner_of(path, level);
    uint32_t count = count_at(tree, path, level);

    iovageom_itree_free_node(tree, inner->child[slot], level - 1);
    close_slots(tree, level, inner, slot, 1, count);
    set_count(tree, path, level, count - 1);
}

/*
 * Entries have moved between n children from `first` on. Leads the path to the same place again,
 * which is `place` entries behind the start of the first child. A place behind the entries of all n
 * is in the last child.
 */
static void relocate(struct iovageom_itree_path *path, uint32_t level, uint32_t first, uint32_t n,
                     uint32_t place)
{
    const struct iovageom_itree_inner *parent = inner_of(path, level);
    uint32_t slot = first;

    while (slot + 1 < first + n && place >= parent->count[slot])
        place -= parent->count[slot++];
    path->slot[level] = (uint16_t)slot;
    path->node[level - 1] = parent->child[slot];
    path->slot[level - 1] = (uint16_t)place;
}

/*
 * Spreads the entries of n neighbouring children evenly, from the highest child down: each gets
 * from the child below what it lacks, or gives it what it has too much. If the child below has
 * fewer entries than that, or too little room, as many move as can, and another round follows. `n`
 * is 4 at most, so there are few rounds. The path keeps its place.
 */
static void spread(struct iovageom_itree *tree, struct iovageom_itree_path *path, uint32_t level,
                   uint32_t first, uint32_t n)
{
    const struct iovageom_itree_inner *parent = inner_of(path, level);
    const int32_t slots = level == 1 ? LEAF_SLOTS : INNER_SLOTS;
    uint32_t place = path->slot[level - 1];
    uint32_t total = 0;
    bool moved = true;

    for (uint32_t i = 0; i < n; i++) {
        place += first + i < path->slot[level] ? parent->count[first + i] : 0u;
        total += parent->count[first + i];
    }
    while (moved) {
        moved = false;
        for (uint32_t i = n - 1; i > 0; i--) {
            int32_t below = parent->count[first + i - 1];
            int32_t k = (int32_t)(total / n + (i < total % n)) - parent->count[first + i];

            k = k > below ? below : k < below - slots ? below - slots : k;
            if (k != 0)
                iovageom_itree_shift(tree, path, level, first + i - 1, k);
            moved |= k != 0;
        }
    }
    relocate(path, level, first, n, place);
}

bool iovageom_itree_lend(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                         uint32_t level)
{
    struct iovageom_itree_inner *parent;
    uint32_t slots = level == 0 ? LEAF_SLOTS : INNER_SLOTS;
    uint32_t slot;
    uint32_t low;
    uint32_t high;

    if (level == tree->height)
        return false;
    parent = inner_of(path, level + 1);
    slot = path->slot[level + 1];
    low = slot > 0 ? parent->count[slot - 1] : slots;
    high = slot + 1 < count_at(tree, path, level + 1) ? parent->count[slot + 1] : slots;
    /* Two free slots in the neighbour: after an even spread both nodes have one, and so the entry
     * that is to come has a slot in whichever of them its place is. */
    if ((low < high ? low : high) + 2 > slots)
        return false;
    spread(tree, path, level + 1, low < high ? slot - 1 : slot, 2);
    return true;
}

void iovageom_itree_split(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                          uint32_t level)
{
    uint32_t slot;
    uint32_t siblings;
    uint32_t first;
    uint32_t n;

    if (level == tree->height)
        grow_root(tree, path);
    else if (count_at(tree, path, level + 1) == INNER_SLOTS &&
             !iovageom_itree_lend(tree, path, level + 1))
        iovageom_itree_split(tree, path, level + 1);
    /* When the parent was split or has lent, this node may have another neighbour now, which has
     * room. The new leaf then stays in the stock, and the caller drops it. */
    if (iovageom_itree_lend(tree, path, level))
        return;
    slot = path->slot[level + 1];
    siblings = count_at(tree, path, level + 1);
    if (level == 0 && slot + 1 == siblings && path->slot[0] == LEAF_SLOTS) {
        /* The new entry will be the highest of all. It gets a leaf of its own, so that entries
         * which come in ascending order leave full leaves behind them, not half empty ones. */
        add_child(tree, path, 1, slot + 1);
        relocate(path, 1, slot + 1, 1, 0);
        return;
    }
    first = slot > 0 ? slot - 1 : 0;
    n = (slot + 1 < siblings ? slot + 2 : slot + 1) - first;
    add_child(tree, path, level + 1, first + n);
    spread(tree, path, level + 1, first, n + 1);
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
    if (low < high)
        slot--;
    if (count == 0 || count + other <= slots * 3 / 4) {
        iovageom_itree_shift(tree, path, level + 1, slot, -(int32_t)parent->count[slot + 1]);
        drop_child(tree, path, level + 1, slot + 1);
        return true;
    }
    if (count < slots / 8)
        iovageom_itree_shift(tree, path, level + 1, slot,
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
        if (tree->count == 0)
            tree->highest = 0;
    }
}

void iovageom_itree_settle(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    for (uint32_t level = 0; level < tree->height && merge_children(tree, path, level);)
        level++;
    collapse(tree);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a tree of entries that come in ascending order, from the leaves up.
 *
 * In each level one node is "open", which means that it is being filled. A full node becomes a
 * child of the open node above it, which is allocated then if there is none; the next entry opens a
 * new node in its place. So each entry is written once. Only the last node of a level may have few
 * entries, and even_out() mends that.
 *
 * While no leaf is open, used[0] counts the inline entries.
 */
#include "itree_internal.h"

#include <iovageom/status.h>

/* Of 32 and 60 slots. Not quite full, so that the first insertions into a node find room, and do
 * not have to move entries to its neighbours. */
enum { LEAF_FILL = 30, INNER_FILL = 56 };

void iovageom_itree_fill(struct iovageom_itree *tree, const struct iovageom_range *ranges,
                         size_t count)
{
    iovageom_itree_clear(tree);
    tree->count = count;
    if (count > 0) {
        memcpy(tree->inline_ranges, ranges, count * sizeof(*ranges));
        tree->highest = ranges[count - 1].last;
    }
}

void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree,
                          size_t expected)
{
    size_t leaves = expected > 0 ? (expected - 1) / LEAF_FILL + 1 : 1;

    builder->target = tree;
    builder->tree.allocator = tree->allocator;
    builder->tree.width = tree->width;
    builder->tree.root = NULL;
    builder->tree.count = 0;
    builder->tree.highest = 0;
    builder->tree.memory = 0;
    builder->tree.height = 0; /* the highest level with an open node, if there is any */
    builder->open[0] = NULL;
    builder->used[0] = 0;
    builder->base = 0;
    /* With a known number of entries all leaves get about equally many. */
    builder->fill =
        expected > IOVAGEOM_ITREE_INLINE ? (uint32_t)((expected - 1) / leaves + 1) : LEAF_FILL;
    builder->failed = false;
}

/* Releases what was built. The target is untouched; finish() reports the failure. */
static void give_up(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = &builder->tree;

    for (uint32_t level = 0; level <= tree->height; level++)
        if (builder->open[level])
            iovageom_itree_free_below(tree, builder->open[level], level, builder->used[level]);
    builder->failed = true;
}

/*
 * Marks the unused slots of an open node, and returns its longest gap. `base` moves on behind the
 * last range of a leaf. It wraps to 0 behind 2^64-1; no range can follow there, so nothing uses it
 * but hand_up(), which subtracts 1 again.
 */
static uint64_t close_node(struct iovageom_itree_builder *builder, uint32_t level)
{
    uint32_t count = builder->used[level];

    if (level > 0) {
        struct iovageom_itree_inner *inner = builder->open[level];

        for (uint32_t i = count; i < SEARCH_SLOTS; i++)
            inner->last[i] = UINT64_MAX;
        return inner_gap(inner, count);
    }
    struct iovageom_range *ranges = builder->open[0];
    uint64_t gap = leaf_gap(ranges, count, builder->base);

    for (uint32_t i = count; i < LEAF_SLOTS; i++)
        ranges[i] = (struct iovageom_range){UINT64_MAX, UINT64_MAX};
    builder->base = ranges[count - 1].last + 1;
    return gap;
}

/* Makes the open node of that level a child of the one above, which must have room. */
static bool hand_up(struct iovageom_itree_builder *builder, uint32_t level)
{
    struct iovageom_itree *tree = &builder->tree;
    struct iovageom_itree_inner *parent;
    uint32_t slot;

    if (level == tree->height) {
        builder->open[level + 1] = NULL;
        builder->used[level + 1] = 0;
        tree->height++;
    }
    if (!builder->open[level + 1])
        builder->open[level + 1] = iovageom_itree_new_node(tree, level + 1);
    parent = builder->open[level + 1];
    if (!parent)
        return false;
    slot = builder->used[level + 1]++;
    parent->gap[slot] = close_node(builder, level);
    parent->count[slot] = (uint8_t)builder->used[level];
    parent->child[slot] = builder->open[level];
    parent->last[slot] =
        level > 0
            ? ((struct iovageom_itree_inner *)parent->child[slot])->last[builder->used[level] - 1]
            : builder->base - 1;
    builder->open[level] = NULL;
    builder->used[level] = 0;
    return true;
}

/*
 * Opens a leaf; the first one takes the inline entries over, and used[0] with them. Else the full
 * leaf is handed up. So are the full nodes above it first, from the highest level down, because
 * each needs room in its parent.
 */
static bool open_leaf(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = &builder->tree;
    uint32_t full = 0;

    if (tree->count > 0 && !builder->open[0]) {
        builder->open[0] = iovageom_itree_new_node(tree, 0);
        if (!builder->open[0])
            return false;
        memcpy(builder->open[0], tree->inline_ranges, sizeof(tree->inline_ranges));
        memcpy(leaf_values(builder->open[0]), builder->inline_values,
               IOVAGEOM_ITREE_INLINE * tree->width * sizeof(uint64_t));
        return true;
    }
    while (full < tree->height && builder->used[full + 1] == INNER_FILL)
        full++;
    for (uint32_t level = full + 1; level-- > 0;)
        if (!hand_up(builder, level))
            return false;
    builder->open[0] = iovageom_itree_new_node(tree, 0);
    return builder->open[0] != NULL;
}

void iovageom_itree_append(struct iovageom_itree_builder *builder,
                           const struct iovageom_range *ranges, const uint64_t *values,
                           size_t count)
{
    struct iovageom_itree *tree = &builder->tree;
    uint32_t width = tree->width;

    while (count > 0 && !builder->failed) {
        size_t room = builder->open[0] ? builder->fill : IOVAGEOM_ITREE_INLINE;
        uint32_t used = builder->used[0];
        size_t n = room - used < count ? room - used : count;

        if (n == 0) {
            if (!open_leaf(builder))
                give_up(builder);
            continue;
        }
        memcpy(builder->open[0] ? (struct iovageom_range *)builder->open[0] + used
                                : tree->inline_ranges + used,
               ranges, n * sizeof(*ranges));
        if (width) {
            uint64_t *to =
                builder->open[0] ? leaf_values(builder->open[0]) : builder->inline_values;

            memcpy(to + used * width, values, n * width * sizeof(*values));
            values += n * width;
        }
        builder->used[0] = (uint32_t)(used + n);
        tree->count += n;
        tree->highest = ranges[n - 1].last;
        ranges += n;
        count -= n;
    }
}

/*
 * The last node of a level may have few entries: evens it out with its neighbour. From the root
 * down, because a neighbour must have the same parent: a last leaf that is an only child gets one
 * when its parent has taken more children.
 */
static void even_out(struct iovageom_itree *tree)
{
    struct iovageom_itree_path path;

    path.node[tree->height] = tree->root;
    for (uint32_t level = tree->height; level > 0; level--) {
        struct iovageom_itree_inner *inner = inner_of(&path, level);
        uint32_t slot = count_at(tree, &path, level) - 1;
        uint32_t slots = level == 1 ? LEAF_FILL : INNER_FILL;

        path.slot[level] = (uint16_t)slot;
        if (slot > 0 && inner->count[slot] < slots / 2)
            iovageom_itree_shift(tree, &path, level, slot - 1,
                                 (inner->count[slot - 1] - inner->count[slot]) / 2);
        path.node[level - 1] = inner->child[slot];
    }
}

/* Hands the open nodes up, from the leaf, until only the root is left. Each gets at most one more
 * child than INNER_FILL by that, for which there are slots. */
static bool close_all(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = &builder->tree;

    for (uint32_t level = 0; level < tree->height; level++)
        if (!hand_up(builder, level))
            return false;
    (void)close_node(builder, tree->height);
    tree->root = builder->open[tree->height];
    tree->root_count = builder->used[tree->height];
    return true;
}

int iovageom_itree_finish(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = &builder->tree;
    struct iovageom_itree *target = builder->target;

    if (!builder->failed && builder->open[0] && !close_all(builder))
        give_up(builder);
    if (builder->failed)
        return IOVAGEOM_ERR_NO_MEMORY;
    iovageom_itree_clear(target);
    target->count = tree->count;
    target->highest = tree->highest;
    if (tree->root) {
        target->root = tree->root;
        target->root_count = tree->root_count;
        target->height = tree->height;
        target->memory = tree->memory;
        even_out(target);
        return IOVAGEOM_OK;
    }
    memcpy(target->inline_ranges, tree->inline_ranges, tree->count * sizeof(struct iovageom_range));
    memcpy(inline_values(target), builder->inline_values,
           tree->count * tree->width * sizeof(uint64_t));
    return IOVAGEOM_OK;
}

int iovageom_itree_copy(struct iovageom_itree *tree, const struct iovageom_itree *from)
{
    struct iovageom_itree_builder builder;
    struct iovageom_itree_cursor cursor;
    struct iovageom_itree_entry first;
    size_t run;

    if (tree == from)
        return IOVAGEOM_OK;
    iovageom_itree_build(&builder, tree, from->count);
    iovageom_itree_cursor_init(&cursor, from, 0);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0)
        iovageom_itree_append(&builder, first.range, first.values, run);
    return iovageom_itree_finish(&builder);
}

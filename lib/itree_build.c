/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a tree of entries that come in ascending order, from the leaves up. */
#include "itree_internal.h"

#include <iovageom/status.h>

/* Not quite full, so that the first insertions into each leaf don't move its neighbours. */
enum { LEAF_FILL = 30, INNER_FILL = 56 };

void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree,
                          size_t expected)
{
    builder->target = tree;
    builder->path.slot[0] = 0;
    builder->expected = expected;
    builder->failed = false;
    (void)iovageom_itree_init(&builder->tree, tree->width, &tree->allocator);
}

/* All that the expected entries need, in one chunk. */
static int provide(struct iovageom_itree_builder *builder)
{
    size_t leaves = builder->expected / LEAF_FILL + 1;
    size_t inners = 0;

    for (size_t nodes = leaves; nodes > 1; inners += nodes)
        nodes = nodes / INNER_FILL + 1;
    return iovageom_itree_add_chunk(&builder->tree, leaves, inners);
}

/* The node of the path at that level is done: what its parent is to know of it. */
static void close_node(struct iovageom_itree_builder *builder, uint32_t level)
{
    struct iovageom_itree *tree = &builder->tree;
    struct iovageom_itree_path *path = &builder->path;
    uint32_t count = path->slot[level] + (uint32_t)(level > 0);

    if (level == tree->height) {
        tree->root_count = count;
        return;
    }
    inner_of(path, level + 1)->count[path->slot[level + 1]] = (uint8_t)count;
    iovageom_itree_sum_up(tree, path, level + 1, path->slot[level + 1]);
}

/* On to an empty leaf, under new inner nodes if those above the last one are full. */
static int open_leaf(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = &builder->tree;
    struct iovageom_itree_path *path = &builder->path;
    uint32_t level = 1;

    if (!tree->root && builder->expected > 0 && provide(builder))
        return IOVAGEOM_ERR_NO_MEMORY;
    while (level <= tree->height && path->slot[level] + 1 == INNER_FILL)
        level++;
    if (iovageom_itree_stock(tree, 1, tree->root ? level - (level <= tree->height) : 0))
        return IOVAGEOM_ERR_NO_MEMORY;
    if (!tree->root) {
        tree->root = path->node[0] = iovageom_itree_take_leaf(tree);
        memcpy(tree->root, tree->inline_ranges, sizeof(tree->inline_ranges));
        memcpy(leaf_values(tree->root), builder->inline_values,
               IOVAGEOM_ITREE_INLINE * tree->width * sizeof(uint64_t));
        return IOVAGEOM_OK;
    }
    for (uint32_t done = 0; done < level; done++)
        close_node(builder, done);
    if (level > tree->height)
        iovageom_itree_grow_root(tree, path);
    path->slot[level]++;
    for (; level > 0; level--) {
        void *node = level == 1 ? iovageom_itree_take_leaf(tree) : iovageom_itree_take_inner(tree);

        inner_of(path, level)->child[path->slot[level]] = node;
        path->node[level - 1] = node;
        path->slot[level - 1] = 0;
    }
    return IOVAGEOM_OK;
}

void iovageom_itree_append(struct iovageom_itree_builder *builder,
                           const struct iovageom_range *ranges, const uint64_t *values,
                           size_t count)
{
    struct iovageom_itree *tree = &builder->tree;
    uint32_t width = tree->width;

    while (count > 0 && !builder->failed) {
        size_t room = tree->root ? LEAF_FILL : IOVAGEOM_ITREE_INLINE;
        uint32_t used = builder->path.slot[0];
        size_t n = room - used < count ? room - used : count;

        if (n == 0) {
            builder->failed = open_leaf(builder) != IOVAGEOM_OK;
            continue;
        }
        memcpy(ranges_at(tree, &builder->path) + used, ranges, n * sizeof(*ranges));
        if (width) {
            uint64_t *to = tree->root ? leaf_values(builder->path.node[0]) : inline_values(tree);

            memcpy(to + used * width, values, n * width * sizeof(*values));
            values += n * width;
        }
        builder->path.slot[0] = (uint16_t)(used + n);
        tree->count += n;
        tree->highest = ranges[n - 1].last;
        ranges += n;
        count -= n;
    }
}

/* The rightmost nodes may have come out small: gives them half of what their neighbour has more. */
static void even_out(struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    for (uint32_t level = tree->height; level > 0; level--) {
        struct iovageom_itree_inner *inner = inner_of(path, level);
        uint32_t slot = count_at(tree, path, level) - 1;
        uint32_t slots = level == 1 ? LEAF_FILL : INNER_FILL;

        path->slot[level] = (uint16_t)slot;
        if (slot > 0 && inner->count[slot] < slots / 2)
            iovageom_itree_shift(tree, path, level, slot - 1,
                                 (inner->count[slot - 1] - inner->count[slot]) / 2);
        path->node[level - 1] = inner->child[slot];
    }
}

int iovageom_itree_finish(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = &builder->tree;

    if (builder->failed) {
        iovageom_itree_clear(tree);
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    if (tree->root) {
        for (uint32_t level = 0; level <= tree->height; level++)
            close_node(builder, level);
        even_out(tree, &builder->path);
    }
    if (tree->root) {
        iovageom_itree_swap(builder->target, tree);
        iovageom_itree_clear(tree);
        return IOVAGEOM_OK;
    }
    iovageom_itree_clear(builder->target);
    memcpy(builder->target->inline_ranges, tree->inline_ranges, sizeof(tree->inline_ranges));
    memcpy(inline_values(builder->target), builder->inline_values,
           tree->count * tree->width * sizeof(uint64_t));
    builder->target->count = tree->count;
    builder->target->highest = tree->highest;
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
    iovageom_itree_cursor_init(&cursor, from, 0, false);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0)
        iovageom_itree_append(&builder, first.range, first.values, run);
    return iovageom_itree_finish(&builder);
}

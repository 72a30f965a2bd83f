/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a tree of entries that come in ascending order, from the leaves up. */
#include "itree_internal.h"

#include <iovageom/status.h>

/* Not quite full, so that the first insertions into each leaf don't move its neighbours. */
enum { LEAF_FILL = 30, INNER_FILL = 56 };

void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree,
                          size_t expected)
{
    size_t leaves = expected > 0 ? (expected - 1) / LEAF_FILL + 1 : 1;

    builder->target = tree;
    builder->tree.root = NULL;
    builder->tree.count = 0;
    builder->tree.width = tree->width;
    builder->path.slot[0] = 0;
    builder->before = UINT64_MAX;
    builder->expected = expected;
    builder->fill = expected > 0 ? (uint32_t)((expected - 1) / leaves + 1) : LEAF_FILL;
    builder->failed = false;
    builder->strict = false;
    builder->normal = true;
}

/* Out of the object into a leaf, with a chunk for all that the expected entries need. */
static bool outgrow(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = &builder->tree;
    size_t leaves = (builder->expected - (builder->expected > 0)) / LEAF_FILL + 1;
    size_t inners = 0;

    tree->allocator = builder->target->allocator;
    tree->held = false;
    iovageom_itree_forget(tree);
    for (size_t nodes = leaves; nodes > 1; inners += nodes)
        nodes = (nodes - 1) / INNER_FILL + 1;
    if (builder->expected > 0 && iovageom_itree_add_chunk(tree, leaves, inners, 0))
        return false;
    tree->root = builder->path.node[0] = iovageom_itree_new_node(tree, 0);
    if (!tree->root)
        return false;
    memcpy(tree->root, tree->inline_ranges, sizeof(tree->inline_ranges));
    memcpy(leaf_values(tree->root), builder->inline_values,
           IOVAGEOM_ITREE_INLINE * tree->width * sizeof(uint64_t));
    return true;
}

/*
 * The longest gap in front of any of the ranges, of which there is one. Sees also whether they are
 * valid, ascending and apart, which costs little here and a pass of its own elsewhere.
 */
static uint64_t read_ranges(struct iovageom_itree_builder *builder,
                            const struct iovageom_range *ranges, uint32_t count)
{
    const struct iovageom_range *end = ranges + count;
    uint64_t before = builder->before;
    uint64_t most = 0;
    uint64_t descend = 0;
    uint64_t touch = 0;
    uint64_t inverted = 0;

    if (before == UINT64_MAX) { /* nothing is below the first range, and touches it */
        most = ranges->start + (ranges->start != UINT64_MAX);
        inverted = ranges->last < ranges->start;
        before = ranges++->last;
    }
    for (; ranges < end; ranges++) {
        uint64_t apart = ranges->start - before;

        descend += ranges->start < before;
        touch += apart < 2;
        inverted += ranges->last < ranges->start;
        most = apart > most ? apart : most;
        before = ranges->last;
    }
    builder->before = before;
    builder->normal = builder->normal && descend + touch + inverted == 0;
    return most - 1;
}

/* Likewise of the children of an inner node. */
static uint64_t read_children(struct iovageom_itree_builder *builder,
                              struct iovageom_itree_inner *inner, uint32_t count)
{
    for (uint32_t i = count; i < SEARCH_SLOTS; i++)
        inner->last[i] = UINT64_MAX;
    builder->before = inner->last[count - 1];
    return inner_gap(inner, count);
}

/* The path's node at that level is done: clears what it doesn't use, and tells its parent of it. */
static void close_node(struct iovageom_itree_builder *builder, uint32_t level)
{
    struct iovageom_itree *tree = &builder->tree;
    struct iovageom_itree_path *path = &builder->path;
    struct iovageom_range *ranges = path->node[level];
    uint32_t count = path->slot[level] + (uint32_t)(level > 0);
    uint64_t gap;

    tree->root_count = count; /* the root is closed last */
    if (level > 0) {
        gap = read_children(builder, path->node[level], count);
    } else {
        for (uint32_t i = count; i < LEAF_SLOTS; i++)
            ranges[i] = (struct iovageom_range){UINT64_MAX, UINT64_MAX};
        gap = builder->strict ? read_ranges(builder, ranges, count)
                              : leaf_gap(ranges, count, builder->before + 1);
        builder->before = ranges[count - 1].last;
    }
    if (level < tree->height) {
        struct iovageom_itree_inner *parent = path->node[level + 1];
        uint32_t slot = path->slot[level + 1];

        parent->count[slot] = (uint8_t)count;
        parent->gap[slot] = gap;
        parent->last[slot] = builder->before;
    }
}

/* On to a new leaf, under new inner nodes if those above the last one are full. */
static bool open_leaf(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = &builder->tree;
    struct iovageom_itree_path *path = &builder->path;
    uint32_t level = 0;

    if (!tree->root)
        return outgrow(builder);
    do {
        if (level == tree->height) {
            struct iovageom_itree_inner *root = iovageom_itree_new_node(tree, level + 1);

            if (!root)
                return false;
            root->child[0] = tree->root;
            tree->root = path->node[++tree->height] = root;
            path->slot[level + 1] = 0;
        }
        close_node(builder, level++);
    } while (path->slot[level] + 1 == INNER_FILL);
    path->slot[level]++;
    for (; level > 0; level--) {
        void *node = iovageom_itree_new_node(tree, level - 1);

        if (!node)
            return false;
        inner_of(path, level)->child[path->slot[level]] = node;
        path->node[level - 1] = node;
        path->slot[level - 1] = 0;
    }
    return true;
}

void iovageom_itree_append(struct iovageom_itree_builder *builder,
                           const struct iovageom_range *ranges, const uint64_t *values,
                           size_t count)
{
    struct iovageom_itree *tree = &builder->tree;
    uint32_t width = tree->width;

    if (count == 0)
        return;
    tree->count += count;
    tree->highest = ranges[count - 1].last;
    while (count > 0 && !builder->failed) {
        size_t room = tree->root ? builder->fill : IOVAGEOM_ITREE_INLINE;
        uint32_t used = builder->path.slot[0];
        size_t n = room - used < count ? room - used : count;

        if (n == 0) {
            builder->failed = !open_leaf(builder);
            continue;
        }
        memcpy(ranges_at(tree, &builder->path) + used, ranges, n * sizeof(*ranges));
        if (width) {
            uint64_t *to = tree->root ? leaf_values(builder->path.node[0]) : inline_values(tree);

            memcpy(to + used * width, values, n * width * sizeof(*values));
            values += n * width;
        }
        builder->path.slot[0] = (uint16_t)(used + n);
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
    struct iovageom_itree *target = builder->target;

    if (tree->root && !builder->failed)
        for (uint32_t level = 0; level <= tree->height; level++)
            close_node(builder, level);
    else if (tree->count > 0 && builder->strict && !builder->failed)
        (void)read_ranges(builder, tree->inline_ranges, (uint32_t)tree->count);
    if (builder->failed || (builder->strict && !builder->normal)) {
        if (tree->root)
            iovageom_itree_clear(tree);
        return builder->failed ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_ERR_INVALID;
    }
    iovageom_itree_clear(target);
    if (tree->root) {
        even_out(tree, &builder->path);
        tree->changes = target->changes;
        *target = *tree;
        return IOVAGEOM_OK;
    }
    target->count = tree->count;
    target->highest = tree->highest;
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
    iovageom_itree_cursor_init(&cursor, from, 0, false);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0)
        iovageom_itree_append(&builder, first.range, first.values, run);
    return iovageom_itree_finish(&builder);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a tree of entries that come in ascending order: each is written once, behind the others. */
#include "itree_internal.h"

#include <iovageom/status.h>

/* Of 32 slots. Not quite full, so that the first insertions into a leaf find room, and do not have to
 * move entries to its neighbours. */
enum { LEAF_FILL = 30 };

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

/* With a known number of entries all leaves get about equally many. */
void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree,
                          size_t expected)
{
    size_t leaves = expected > 0 ? (expected - 1) / LEAF_FILL + 1 : 1;

    (void)iovageom_itree_init(&builder->tree, tree->width, &tree->allocator);
    builder->target = tree;
    builder->path.slot[0] = 0;
    builder->fill =
        expected > IOVAGEOM_ITREE_INLINE ? (uint32_t)((expected - 1) / leaves + 1) : LEAF_FILL;
    builder->failed = false;
}

void iovageom_itree_append(struct iovageom_itree_builder *builder,
                           const struct iovageom_range *ranges, const uint64_t *values,
                           size_t count)
{
    struct iovageom_itree *tree = &builder->tree;

    while (count > 0 && !builder->failed) {
        const uint32_t most = tree->root ? builder->fill : IOVAGEOM_ITREE_INLINE;
        const uint32_t used = builder->path.slot[0];
        const size_t n = most - used < count ? most - used : count;

        if (n == 0) {
            builder->failed = iovageom_itree_add_leaf(tree, &builder->path) != IOVAGEOM_OK;
            continue;
        }
        iovageom_itree_extend(tree, &builder->path, ranges, values, (uint32_t)n);
        ranges += n;
        if (values)
            values += n * tree->width;
        count -= n;
    }
}

int iovageom_itree_finish(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *target = builder->target;
    uint64_t changes;

    if (builder->failed) {
        iovageom_itree_clear(&builder->tree);
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    iovageom_itree_release(target);
    changes = target->changes;
    memcpy(target, &builder->tree,
           sizeof(*target) + IOVAGEOM_ITREE_INLINE * target->width * sizeof(uint64_t));
    target->changes = changes;
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

/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a tree of ranges that come in ascending order: each is written once, behind the others. */
#include "itree_internal.h"

#include <iovageom/status.h>

/* Of 32 slots. Not quite full, so that the first insertions into a leaf find room, and do not have to
 * move entries to its neighbours. */
enum { LEAF_FILL = 30 };

/* With a known number of entries all leaves get about equally many. */
void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree,
                          size_t expected)
{
    size_t leaves = expected > 0 ? (expected - 1) / LEAF_FILL + 1 : 1;

    (void)iovageom_itree_init(&builder->tree, 0, &tree->allocator);
    builder->target = tree;
    builder->path.slot[0] = 0;
    builder->fill =
        expected > IOVAGEOM_ITREE_INLINE ? (uint32_t)((expected - 1) / leaves + 1) : LEAF_FILL;
    builder->failed = false;
}

void iovageom_itree_append(struct iovageom_itree_builder *builder,
                           const struct iovageom_range *ranges, size_t count)
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
        iovageom_itree_extend(tree, &builder->path, ranges, (uint32_t)n);
        ranges += n;
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
    *target = builder->tree;
    target->changes = changes;
    return IOVAGEOM_OK;
}

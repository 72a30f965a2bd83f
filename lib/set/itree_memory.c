/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and emptying trees, and the nodes of them: one allocation each. */
#include "../base/array.h"
#include "itree_internal.h"

#include <iovageom/status.h>

static size_t node_bytes(const struct iovageom_itree *tree, uint32_t level)
{
    if (level > 0)
        return sizeof(struct iovageom_itree_inner);
    return sizeof(struct iovageom_itree_leaf) + LEAF_SLOTS * tree->width * sizeof(uint64_t);
}

/* Gives up ownership of all nodes; iovageom_itree_release() frees them before. The number of
 * changes is raised, not reset, so that cursors notice. */
static void forget(struct iovageom_itree *tree)
{
    tree->root = NULL;
    tree->height = 0;
    tree->root_count = 0;
    tree->memory = 0;
    tree->changes++;
}

/* Unused slots have a last of 2^64-1, in the object as in nodes: 0xff in each byte. */
static void make_empty(struct iovageom_itree *tree)
{
    forget(tree);
    tree->count = 0;
    tree->highest = 0;
    memset(tree->inline_ranges, 0xff, sizeof(tree->inline_ranges));
}

int iovageom_itree_init(struct iovageom_itree *tree, uint32_t width,
                        const struct iovageom_allocator *allocator)
{
    allocator = iovageom_allocator_chosen(allocator);
    if (!allocator)
        return IOVAGEOM_ERR_INVALID;
    tree->allocator = *allocator;
    tree->width = width;
    tree->changes = 0;
    make_empty(tree);
    return IOVAGEOM_OK;
}

void *iovageom_itree_new_node(struct iovageom_itree *tree, uint32_t level, bool empty)
{
    void *node = tree->allocator.allocate(tree->allocator.context, node_bytes(tree, level));

    if (!node)
        return NULL;
    tree->memory += node_bytes(tree, level);
    /* Gaps, children and counts of unused slots are not read. */
    if (empty)
        memset(node, 0xff,
               level == 0 ? sizeof(struct iovageom_itree_leaf)
                          : sizeof(((struct iovageom_itree_inner *)NULL)->last));
    return node;
}

void iovageom_itree_free_node(struct iovageom_itree *tree, void *node, uint32_t level)
{
    tree->memory -= node_bytes(tree, level);
    tree->allocator.release(tree->allocator.context, node, node_bytes(tree, level));
}

/* Depth first, children before their parent, and without recursion: `way` and `left`, the children
 * that are still to be released, are its stack, one place for each level. */
void iovageom_itree_release(struct iovageom_itree *tree)
{
    void *way[IOVAGEOM_ITREE_LEVELS];
    uint32_t left[IOVAGEOM_ITREE_LEVELS];
    uint32_t at = tree->height;

    way[at] = tree->root;
    left[at] = at > 0 ? tree->root_count : 0;
    while (tree->root && at <= tree->height) {
        const struct iovageom_itree_inner *inner = way[at];

        if (left[at] == 0) {
            iovageom_itree_free_node(tree, way[at], at);
            at++;
            continue;
        }
        left[at]--;
        way[at - 1] = inner->child[left[at]];
        left[at - 1] = at > 1 ? inner->count[left[at]] : 0;
        at--;
    }
    forget(tree);
}

void iovageom_itree_clear(struct iovageom_itree *tree)
{
    iovageom_itree_release(tree);
    make_empty(tree);
}

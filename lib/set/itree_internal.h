/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_ITREE_INTERNAL_H
#define IOVAGEOM_ITREE_INTERNAL_H

#include <string.h>

#include "../base/array.h"
#include "itree_search.h"

static inline struct iovageom_itree_inner *inner_of(const struct iovageom_itree_path *path,
                                                    uint32_t level)
{
    return path->node[level];
}

/* What is known of the path's node at that level. The cast takes const away. */
static inline struct iovageom_itree_child *child_at(const struct iovageom_itree *tree,
                                                    const struct iovageom_itree_path *path,
                                                    uint32_t level)
{
    if (level < tree->height)
        return &inner_of(path, level + 1)->child[path->slot[level + 1]];
    return (struct iovageom_itree_child *)(uintptr_t)&tree->root;
}

/* How many entries, or children, the node of the path at that level has. */
static inline uint32_t count_at(const struct iovageom_itree *tree,
                                const struct iovageom_itree_path *path, uint32_t level)
{
    return child_at(tree, path, level)->count;
}

static inline uint32_t slots_of(uint32_t level)
{
    return level == 0 ? LEAF_SLOTS : INNER_SLOTS;
}

/* Bytes behind the keys of a node of that level, for each slot. */
static inline size_t rest_of(const struct iovageom_itree *tree, uint32_t level)
{
    return level == 0 ? tree->width * sizeof(uint64_t) : sizeof(struct iovageom_itree_child);
}

static inline size_t node_bytes(const struct iovageom_itree *tree, uint32_t level)
{
    return KEY_BYTES + slots_of(level) * rest_of(tree, level);
}

/* NULL is accepted. */
static inline void free_node(const struct iovageom_itree *tree, void *node, uint32_t level)
{
    iovageom_array_free(&tree->allocator, node, 1, node_bytes(tree, level));
}

/* Leads the path from its node at `level` to that child. */
static inline void take_child(struct iovageom_itree_path *path, uint32_t level, uint32_t slot)
{
    path->slot[level] = (uint16_t)slot;
    path->node[level - 1] = inner_of(path, level)->child[slot].node;
}

/* Where the gap in front of the path's node at that level begins: one above the last range below
 * it, which is in an entry before an ancestor; 0 when no range is below. Can't wrap, as there are
 * addresses above that range. */
uint64_t iovageom_itree_base(const struct iovageom_itree *tree,
                             const struct iovageom_itree_path *path, uint32_t level);

/* The same for entry `slot` of the path's leaf. */
static inline uint64_t base_of(const struct iovageom_itree *tree,
                               const struct iovageom_itree_path *path, uint32_t slot)
{
    if (slot == 0)
        return iovageom_itree_base(tree, path, 0);
    return ((const struct iovageom_range *)path->node[0])[slot - 1].last + 1;
}

/* The longest gap in front of any of the ranges, 0 for none; the first gap begins at `base`. */
uint64_t iovageom_itree_leaf_gap(const struct iovageom_range *ranges, size_t count, uint64_t base);

/* Leads the path on to the first entry of the next leaf; false when there is none. */
bool iovageom_itree_step(const struct iovageom_itree *tree, struct iovageom_itree_path *path);

/* Releases all nodes. `count` stays: the caller has the entries inline, or clears it. */
void iovageom_itree_release(struct iovageom_itree *tree);
/* The last address that is kept of the path's node at that level. */
static inline uint64_t *last_at(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                                uint32_t level)
{
    return level < tree->height ? &inner_of(path, level + 1)->last[path->slot[level + 1]]
                                : &tree->highest;
}

/* Brings up to date what is kept of the path's node at that level, 0 after any change of entries of
 * the leaf, and of the nodes above it. */
void iovageom_itree_renew(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                          uint32_t level);
/* The same after the longest gap of the leaf has become shorter, and nothing else. */
void iovageom_itree_divided(struct iovageom_itree *tree, const struct iovageom_itree_path *path);
/* Makes room for one entry in the path's leaf, or in the object, which is full. Afterwards the path
 * leads to the same place, in the leaf with the entry that follows the place. Behind the highest
 * entry that is a new leaf, unless it has taken over the entries of the object.
 * IOVAGEOM_ERR_NO_MEMORY: the tree is as it was. */
int iovageom_itree_make_room(struct iovageom_itree *tree, struct iovageom_itree_path *path);
/* After entries have left the path's leaf: merges what has become small. Ends the path. */
void iovageom_itree_settle(struct iovageom_itree *tree, struct iovageom_itree_path *path);

#endif

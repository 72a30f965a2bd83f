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

/* How many entries, or children, the node of the path at that level has. */
static inline uint32_t count_at(const struct iovageom_itree *tree,
                                const struct iovageom_itree_path *path, uint32_t level)
{
    if (level < tree->height)
        return inner_of(path, level + 1)->count[path->slot[level + 1]];
    return tree->root ? tree->root_count : (uint32_t)tree->count;
}

static inline void set_count_at(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                                uint32_t level, uint32_t count)
{
    if (level < tree->height)
        inner_of(path, level + 1)->count[path->slot[level + 1]] = (uint8_t)count;
    else
        tree->root_count = count;
}

static inline struct iovageom_range *ranges_at(const struct iovageom_itree *tree,
                                               const struct iovageom_itree_path *path)
{
    return tree->root ? path->node[0] : ((struct iovageom_itree *)(uintptr_t)tree)->inline_ranges;
}

/* Whether nodes keep the longest gaps of their children: only where somebody asks for gaps, in sets.
 * A tree with values has mappings or objects, and its nodes keep 0 for each child. */
static inline bool keeps_gaps(const struct iovageom_itree *tree)
{
    return tree->width == 0 && tree->height > 0;
}

/* Where the gap in front of that child begins: one above the last range below it. That range is in
 * the child before, or where there is none, in one before an ancestor; 0 when no range is below.
 * Can't wrap, as there are addresses above that range. */
static inline uint64_t base_of(const struct iovageom_itree *tree,
                               const struct iovageom_itree_path *path, uint32_t level,
                               uint32_t slot)
{
    for (;; slot = path->slot[level]) {
        if (slot > 0)
            return inner_of(path, level)->last[slot - 1] + 1;
        if (++level > tree->height)
            return 0;
    }
}

/* The longest gap in front of any of the ranges, 0 for none; the first gap begins at `base`. */
static inline uint64_t leaf_gap(const struct iovageom_range *ranges, uint32_t count, uint64_t base)
{
    uint64_t most = count > 0 ? ranges[0].start - base : 0;

    for (uint32_t i = 1; i < count; i++)
        most = iovageom_higher(most, ranges[i].start - ranges[i - 1].last - 1);
    return most;
}

/* The longest of `count` gaps that an inner node keeps, 0 for none. */
static inline uint64_t longest_of(const uint64_t *gaps, uint32_t count)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < count; i++)
        most = iovageom_higher(most, gaps[i]);
    return most;
}

/* Leads the path on to the next leaf, or back to the one before; false when there is none. */
bool iovageom_itree_step(const struct iovageom_itree *tree, struct iovageom_itree_path *path,
                         bool forward);

/* Releases all nodes. `count` stays: the caller has the entries inline, or clears it. */
void iovageom_itree_release(struct iovageom_itree *tree);
/* One node more; NULL for lack of memory. `empty`: with all slots unused, else not initialised. */
void *iovageom_itree_new_node(struct iovageom_itree *tree, uint32_t level, bool empty);
void iovageom_itree_free_node(struct iovageom_itree *tree, void *node, uint32_t level);

/* Makes room for one entry in the path's leaf, or in the object, which is full. Afterwards the path
 * leads to the same place, in the leaf with the entry that follows the place.
 * IOVAGEOM_ERR_NO_MEMORY: the tree is as it was. */
int iovageom_itree_make_room(struct iovageom_itree *tree, struct iovageom_itree_path *path);
/* Appending: a path that leads behind the highest entry gets a leaf with room there, empty unless it
 * has taken over the entries of the object. Until entries come, the slots of a new leaf are not
 * marked as unused. */
int iovageom_itree_add_leaf(struct iovageom_itree *tree, struct iovageom_itree_path *path);
/* After entries have gone from the path's leaf: merges what has become small. Invalidates
 * `path`. */
void iovageom_itree_settle(struct iovageom_itree *tree, struct iovageom_itree_path *path);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inserting, resizing and removing entries, and appending them.
 *
 * A change starts from a path that a search has left. It changes one leaf, and then what is kept of
 * that leaf in its parent and further up (see itree_search.h), as far as it is another. The last
 * address changes only with the highest entry of the leaf, and the longest gap seldom: so a change
 * mostly costs little more than its search.
 */
#include "../base/range.h"
#include "itree_internal.h"

#include <iovageom/status.h>

/* Into the object. How many of its entries are to be moved is random for random requests, and a
 * loop over so many would end where no processor expects it: a third of the time of a request. So
 * each slot, used or not, gets its neighbour's entry or its own. `width` is 0 or 1. */
static ALWAYS_INLINE int insert_few(const uint32_t width, struct iovageom_itree *tree, size_t index,
                                    struct iovageom_range range, const uint64_t *values)
{
    struct iovageom_range *ranges = tree->inline_ranges;
    uint64_t *to = inline_values(tree);

#pragma GCC unroll 8
    for (size_t i = IOVAGEOM_ITREE_INLINE - 1; i > 0; i--) {
        ranges[i] = ranges[i - (i > index)];
        if (width > 0)
            to[i] = to[i - (i > index)];
    }
    ranges[index].start = range.start;
    ranges[index].last = range.last;
    if (width > 0)
        to[index] = *values;
    tree->highest = ranges[tree->count].last;
    tree->count++;
    tree->root.count++;
    tree->changes++;
    return IOVAGEOM_OK;
}

static NOINLINE int insert_range(struct iovageom_itree *tree, size_t index,
                                 struct iovageom_range range)
{
    return insert_few(0, tree, index, range, NULL);
}

static inline uint32_t slots_in(const struct iovageom_itree *tree)
{
    return tree->root.node ? LEAF_SLOTS : (uint32_t)IOVAGEOM_ITREE_INLINE;
}

static inline uint64_t *values_in(const struct iovageom_itree *tree,
                                  const struct iovageom_itree_path *path)
{
    return tree->root.node ? leaf_values(path->node[0]) : inline_values(tree);
}

/* Moves n entries of a leaf, or of the object, from one place to another. memmove() chooses its way
 * by the size, which is random, too: so 16 or 32 are moved, used or not, if there are as many. */
static ALWAYS_INLINE void move_tail(const struct iovageom_itree *tree,
                                    struct iovageom_range *ranges, uint64_t *values, uint32_t to,
                                    uint32_t from, uint32_t n)
{
    const uint32_t width = tree->width;
    const size_t moved =
        (size_t)iovageom_lower((n + 16) & ~15u, slots_in(tree) - (to > from ? to : from));

    memmove(&ranges[to], &ranges[from], moved * sizeof(*ranges));
    if (width > 0)
        memmove(&values[to * width], &values[from * width], moved * width * sizeof(*values));
}

/* The path's leaf has a new last address or gap, and has lost none that is as high or as long. */
static NOINLINE void extend(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                            uint64_t last, uint64_t gap)
{
    for (uint32_t level = 0; level <= tree->height; level++) {
        struct iovageom_itree_child *child = child_at(tree, path, level);
        uint64_t *highest = last_at(tree, path, level);

        if (*highest >= last && child->gap >= gap)
            return;
        *highest = iovageom_higher(*highest, last);
        child->gap = iovageom_higher(child->gap, gap);
    }
}

/* Into a leaf, or of any width. */
static NOINLINE int insert_any(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                               struct iovageom_range range, const uint64_t *values)
{
    const uint32_t width = tree->width;
    struct iovageom_itree_child *leaf = child_at(tree, path, 0);
    struct iovageom_range *ranges;
    uint64_t *to;
    uint32_t index, count;

    if (leaf->count == slots_in(tree)) {
        if (iovageom_itree_make_room(tree, path) != IOVAGEOM_OK)
            return IOVAGEOM_ERR_NO_MEMORY;
        leaf = child_at(tree, path, 0);
    }
    index = path->slot[0];
    count = leaf->count++;
    ranges = path->node[0];
    to = values_in(tree, path);
    move_tail(tree, ranges, to, index + 1, index, count - index);
    ranges[index].start = range.start;
    ranges[index].last = range.last;
    if (width > 0)
        to[index * width] = values[0];
    if (width > 1)
        to[index * width + 1] = values[1];
    tree->count++;
    tree->changes++;
    /* Behind all others only in the highest leaf: else the place would be in the next one.
     * Elsewhere the range divides a gap, which may have been the longest of the leaf. */
    if (index == count)
        extend(tree, path, range.last, width == 0 ? range.start - base_of(tree, path, index) : 0);
    else if (width == 0 && ranges[index + 1].start - base_of(tree, path, index) == leaf->gap)
        iovageom_itree_divided(tree, path);
    return IOVAGEOM_OK;
}

int iovageom_itree_insert(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                          struct iovageom_range range, const uint64_t *values)
{
    if (tree->root.node || tree->count == IOVAGEOM_ITREE_INLINE || tree->width > 1)
        return insert_any(tree, path, range, values);
    if (tree->width == 0)
        return insert_range(tree, path->slot[0], range);
    return insert_few(1, tree, path->slot[0], range, values);
}

/* The gap in front of the lowest entry that ends at that address or above has changed. */
IOVAGEOM_COLD static void renew_above(struct iovageom_itree *tree, uint64_t address)
{
    struct iovageom_itree_path path;

    if (iovageom_itree_seek(tree, address, &path).range && tree->root.node)
        iovageom_itree_renew(tree, &path, 0);
}

IOVAGEOM_COLD void iovageom_itree_resize(struct iovageom_itree *tree,
                                         struct iovageom_itree_path *path,
                                         struct iovageom_range range)
{
    ((struct iovageom_range *)path->node[0])[path->slot[0]] = range;
    tree->changes++;
    iovageom_itree_renew(tree, path, 0);
    if (range.last < tree->highest)
        renew_above(tree, range.last + 1);
}

/* From the object, as insert_few(). */
static ALWAYS_INLINE void cut_one(const uint32_t width, struct iovageom_itree *tree, size_t index)
{
    struct iovageom_range *ranges = tree->inline_ranges;
    uint64_t *values = inline_values(tree);

#pragma GCC unroll 8
    for (size_t i = 0; i < IOVAGEOM_ITREE_INLINE - 1; i++) {
        ranges[i] = ranges[i + (i >= index)];
        if (width > 0)
            values[i] = values[i + (i >= index)];
    }
    memset(&ranges[IOVAGEOM_ITREE_INLINE - 1], 0xff, sizeof(*ranges));
    tree->count--;
    tree->root.count--;
    tree->highest = tree->count > 0 ? ranges[tree->count - 1].last : 0;
    tree->changes++;
}

static NOINLINE void cut_range(struct iovageom_itree *tree, size_t index)
{
    cut_one(0, tree, index);
}

/* From a leaf, of any width, or several. The gaps around what is removed become one that is longer
 * than each of them, so the longest can only grow, and not all need be compared. The limit for a
 * small leaf is that of merge_node(), where an empty one goes. */
static NOINLINE void cut_any(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                             uint32_t n)
{
    struct iovageom_itree_child *leaf = child_at(tree, path, 0);
    struct iovageom_range *ranges = path->node[0];
    const uint32_t index = path->slot[0];
    const uint32_t left = leaf->count - n;
    const uint64_t base = base_of(tree, path, index);
    const bool end = index == left && tree->width == 0;

    move_tail(tree, ranges, values_in(tree, path), index, index + n, left - index);
    for (uint32_t i = left; i < left + n; i++)
        ranges[i] = (struct iovageom_range){UINT64_MAX, UINT64_MAX};
    tree->count -= n;
    tree->changes++;
    leaf->count = left;
    if (index == left)
        iovageom_itree_renew(tree, path, 0);
    else if (tree->width == 0 && ranges[index].start - base > leaf->gap)
        extend(tree, path, 0, ranges[index].start - base);
    /* The gap above is in another leaf: renewed before entries move, but last if all are gone. */
    if (end && left > 0)
        renew_above(tree, base);
    if (left <= LEAF_SLOTS / 3)
        iovageom_itree_settle(tree, path);
    if (end && left == 0)
        renew_above(tree, base);
}

void iovageom_itree_cut(struct iovageom_itree *tree, struct iovageom_itree_path *path, uint32_t n)
{
    if (tree->root.node || n != 1 || tree->width > 1)
        cut_any(tree, path, n);
    else if (tree->width == 0)
        cut_range(tree, path->slot[0]);
    else
        cut_one(1, tree, path->slot[0]);
}

/* Leaf by leaf: entries of one leaf go in one step. */
IOVAGEOM_COLD size_t iovageom_itree_erase(struct iovageom_itree *tree, struct iovageom_range range)
{
    size_t before = tree->count;
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry = iovageom_itree_seek(tree, range.start, &path);

    while (entry.range && entry.range->start <= range.last) {
        uint32_t room = count_at(tree, &path, 0) - path.slot[0];
        uint32_t n = 1;

        while (n < room && entry.range[n].start <= range.last)
            n++;
        iovageom_itree_cut(tree, &path, n);
        if (n < room)
            break;
        entry = iovageom_itree_seek(tree, range.start, &path);
    }
    return before - tree->count;
}

/* ---- making a tree of ranges that come in ascending order: each is written once ---- */

/* Of 32 slots. Not quite full, so that the first insertions into a leaf find room, and do not have
 * to move entries to its neighbours. */
enum { LEAF_FILL = 30 };

void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree)
{
    (void)iovageom_itree_init(&builder->tree, 0, &tree->allocator);
    builder->target = tree;
    builder->path.node[0] = builder->tree.inline_ranges;
    builder->path.slot[0] = 0;
    builder->failed = false;
}

void iovageom_itree_append(struct iovageom_itree_builder *builder,
                           const struct iovageom_range *ranges, size_t count)
{
    struct iovageom_itree *tree = &builder->tree;
    struct iovageom_itree_path *path = &builder->path;

    while (count > 0 && !builder->failed) {
        const uint32_t used = path->slot[0];
        const size_t n = (size_t)iovageom_lower(
            (tree->root.node ? LEAF_FILL : (uint32_t)IOVAGEOM_ITREE_INLINE) - used, count);

        if (n == 0) {
            builder->failed = iovageom_itree_make_room(tree, path) != IOVAGEOM_OK;
            continue;
        }
        memcpy((struct iovageom_range *)path->node[0] + used, ranges, n * sizeof(*ranges));
        extend(tree, path, ranges[n - 1].last,
               iovageom_itree_leaf_gap(ranges, tree->root.node ? n : 0, base_of(tree, path, used)));
        path->slot[0] = (uint16_t)(used + n);
        child_at(tree, path, 0)->count = path->slot[0];
        tree->count += n;
        ranges += n;
        count -= n;
    }
}

int iovageom_itree_finish(struct iovageom_itree_builder *builder)
{
    if (builder->failed) {
        iovageom_itree_clear(&builder->tree);
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    iovageom_itree_release(builder->target);
    builder->tree.changes = builder->target->changes;
    *builder->target = builder->tree;
    return IOVAGEOM_OK;
}

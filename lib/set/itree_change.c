/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inserting, resizing and removing entries, and appending them.
 *
 * A change starts from a path that a search has left. It changes one leaf, and then the summaries
 * of that leaf in its parent and further up (see itree_internal.h). The last address changes only
 * with the highest entry of the leaf. The longest gap is passed on only as far as it is, or was,
 * the longest of the node above. Both mostly end at the parent, so a change costs little more than
 * its search.
 */
#include "../base/range.h"
#include "itree_internal.h"

#include <iovageom/status.h>

/*
 * The longest gap of the path's leaf is now `gap`: updates the summaries above it. A level is the
 * last to change when its node's own longest gap stays. If the gap has shrunk, and was the longest
 * of the node, all of the node's gaps must be compared again; if it has grown, one comparison is
 * enough.
 */
static void set_gap(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                    uint64_t gap)
{
    for (uint32_t level = 1; level <= tree->height; level++) {
        struct iovageom_itree_inner *inner = inner_of(path, level);
        uint64_t old = inner->gap[path->slot[level]];

        if (old == gap)
            return;
        inner->gap[path->slot[level]] = gap;
        if (level == tree->height)
            return;
        if (gap < old) {
            if (inner_of(path, level + 1)->gap[path->slot[level + 1]] != old)
                return;
            gap = longest_of(inner->gap, count_at(tree, path, level));
        } else if (gap <= inner_of(path, level + 1)->gap[path->slot[level + 1]]) {
            return;
        }
    }
}

/* The path's leaf has a new gap of that length, and has lost no longer one. */
static void raise_gap(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                      uint64_t gap)
{
    if (keeps_gaps(tree) && gap > inner_of(path, 1)->gap[path->slot[1]])
        set_gap(tree, path, gap);
}

/* Finds the longest gap of the path's leaf again, after any change. */
static void count_gaps(struct iovageom_itree *tree, const struct iovageom_itree_path *path)
{
    if (keeps_gaps(tree))
        set_gap(tree, path,
                leaf_gap(ranges_at(tree, path), count_at(tree, path, 0),
                         base_of(tree, path, 1, path->slot[1])));
}

/* The last address of the path's leaf is now `last`. So is that of each node above, as long as the
 * path takes the highest child; if it does everywhere, it is the highest address of the tree. */
static void set_last(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                     uint64_t last)
{
    for (uint32_t level = 1; level <= tree->height; level++) {
        inner_of(path, level)->last[path->slot[level]] = last;
        if (path->slot[level] + 1u < count_at(tree, path, level))
            return;
    }
    tree->highest = last;
}

/* Where the gap in front of that index of the path's leaf begins; compare base_of(). */
static inline uint64_t base_at(const struct iovageom_itree *tree,
                               const struct iovageom_itree_path *path, uint32_t index)
{
    if (index > 0)
        return ranges_at(tree, path)[index - 1].last + 1;
    return tree->height > 0 ? base_of(tree, path, 1, path->slot[1]) : 0;
}

/* Into the object. How many of its entries are to be moved is random for random requests, and a loop over
 * so many would end where no processor expects it: that took a third of the time of a request. So each
 * slot, used or not, is written, with its neighbour's entry or its own. `width` is 0 or 1. */
static ALWAYS_INLINE int insert_one(const uint32_t width, struct iovageom_itree *tree, size_t index,
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
    tree->changes++;
    return IOVAGEOM_OK;
}

static NOINLINE int insert_range(struct iovageom_itree *tree, size_t index,
                                 struct iovageom_range range)
{
    return insert_one(0, tree, index, range, NULL);
}

/* How many slots to move where n entries are in use, and slots are there up to a place. memmove() chooses
 * its way by the size, which is as random: so 16 or 32 are moved, used or not, if there are as many. */
static inline uint32_t slots_to_move(const struct iovageom_itree *tree, uint32_t n, uint32_t place)
{
    const uint32_t slots = tree->root ? LEAF_SLOTS : (uint32_t)IOVAGEOM_ITREE_INLINE;

    return (uint32_t)iovageom_lower((n + 16) & ~15u, slots - place);
}

/* Into a leaf, or of any width. */
static NOINLINE int insert_any(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                               struct iovageom_range range, const uint64_t *values)
{
    const uint32_t width = tree->width;
    struct iovageom_range *ranges;
    uint64_t *to;
    uint32_t index, count, moved;

    if (count_at(tree, path, 0) == (tree->root ? LEAF_SLOTS : (uint32_t)IOVAGEOM_ITREE_INLINE) &&
        iovageom_itree_make_room(tree, path) != IOVAGEOM_OK)
        return IOVAGEOM_ERR_NO_MEMORY;
    count = count_at(tree, path, 0);
    index = path->slot[0];
    ranges = ranges_at(tree, path);
    to = (tree->root ? leaf_values(ranges) : inline_values(tree)) + index * width;
    moved = slots_to_move(tree, count - index, index + 1);
    memmove(&ranges[index + 1], &ranges[index], moved * sizeof(range));
    if (width > 0)
        memmove(to + width, to, moved * width * sizeof(*to));
    ranges[index].start = range.start;
    ranges[index].last = range.last;
    for (uint32_t w = 0; w < width; w++)
        to[w] = values[w];
    tree->count++;
    tree->changes++;
    set_count_at(tree, path, 0, count + 1);
    if (index == count)
        set_last(tree, path, range.last);
    /* The index is behind all entries only in the highest leaf: else the place would be in the next
     * one. So such an entry comes in the top gap, which no node counts. Elsewhere the range divides a
     * gap, which may have been the longest of the leaf. */
    if (keeps_gaps(tree)) {
        const uint64_t base = base_at(tree, path, index);

        if (index == count)
            raise_gap(tree, path, range.start - base);
        else if (ranges[index + 1].start - base == inner_of(path, 1)->gap[path->slot[1]])
            count_gaps(tree, path);
    }
    return IOVAGEOM_OK;
}

int iovageom_itree_insert(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                          struct iovageom_range range, const uint64_t *values)
{
    if (tree->root || tree->count == IOVAGEOM_ITREE_INLINE || tree->width > 1)
        return insert_any(tree, path, range, values);
    if (tree->width == 0)
        return insert_range(tree, path->slot[0], range);
    return insert_one(1, tree, path->slot[0], range, values);
}

/* The path's leaf has a new last address: so the gap in front of the next leaf changes, too. */
IOVAGEOM_COLD static void move_end(struct iovageom_itree *tree,
                                   const struct iovageom_itree_path *path, uint64_t last)
{
    struct iovageom_itree_path next;

    set_last(tree, path, last);
    if (!keeps_gaps(tree))
        return;
    count_gaps(tree, path);
    next = *path;
    if (iovageom_itree_step(tree, &next, true))
        count_gaps(tree, &next);
}

IOVAGEOM_COLD void iovageom_itree_resize(struct iovageom_itree *tree,
                                         struct iovageom_itree_path *path,
                                         struct iovageom_range range)
{
    ranges_at(tree, path)[path->slot[0]] = range;
    tree->changes++;
    if (path->slot[0] + 1u < count_at(tree, path, 0))
        count_gaps(tree, path);
    else
        move_end(tree, path, range.last);
}

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
    tree->highest = tree->count > 0 ? ranges[tree->count - 1].last : 0;
    tree->changes++;
}

static NOINLINE void cut_range(struct iovageom_itree *tree, size_t index)
{
    cut_one(0, tree, index);
}

/* From a leaf, of any width, or several. The gaps around what is removed become one that is longer than
 * each of them, so the longest can only grow, and not all need be compared. The limit for a small leaf
 * is that of merge_children(), where an empty one goes: with nothing left below, `base` is 0. */
static NOINLINE void cut_any(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                             uint32_t n)
{
    const uint32_t width = tree->width;
    struct iovageom_range *ranges = ranges_at(tree, path);
    uint64_t *values = tree->root ? leaf_values(ranges) : inline_values(tree);
    const uint32_t index = path->slot[0];
    const uint32_t left = count_at(tree, path, 0) - n;
    const uint32_t moved = slots_to_move(tree, left - index, index + n);
    const uint64_t base = base_at(tree, path, index);

    memmove(&ranges[index], &ranges[index + n], moved * sizeof(*ranges));
    if (width > 0)
        memmove(&values[index * width], &values[(index + n) * width],
                moved * width * sizeof(*values));
    for (uint32_t i = left; i < left + n; i++)
        ranges[i] = (struct iovageom_range){UINT64_MAX, UINT64_MAX};
    tree->count -= n;
    tree->changes++;
    set_count_at(tree, path, 0, left);
    if (index < left)
        raise_gap(tree, path, ranges[index].start - base);
    else
        move_end(tree, path, base - 1);
    if (left <= LEAF_SLOTS / 3)
        iovageom_itree_settle(tree, path);
}

void iovageom_itree_cut(struct iovageom_itree *tree, struct iovageom_itree_path *path, uint32_t n)
{
    if (tree->root || n != 1 || tree->width > 1)
        cut_any(tree, path, n);
    else if (tree->width == 0)
        cut_range(tree, path->slot[0]);
    else
        cut_one(1, tree, path->slot[0]);
}

/* Leaf by leaf: entries of one leaf go in one step. */
size_t iovageom_itree_erase(struct iovageom_itree *tree, struct iovageom_range range)
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

/* Of 32 slots. Not quite full, so that the first insertions into a leaf find room, and do not have to
 * move entries to its neighbours. */
enum { LEAF_FILL = 30 };

/* Appending: n entries more come into the leaf of a path that leads behind the highest entry, or into
 * the object, which has room for them. */
static void extend(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                   const struct iovageom_range *ranges, uint32_t n)
{
    struct iovageom_range *to = ranges_at(tree, path);
    const uint32_t at = path->slot[0];
    const uint64_t gap = tree->height > 0 ? leaf_gap(ranges, n, base_at(tree, path, at)) : 0;

    memcpy(&to[at], ranges, n * sizeof(*ranges));
    if (tree->root && at == 0)
        memset(&to[n], 0xff, (LEAF_SLOTS - n) * sizeof(*to));
    set_count_at(tree, path, 0, at + n);
    tree->count += n;
    path->slot[0] = (uint16_t)(at + n);
    set_last(tree, path, ranges[n - 1].last);
    raise_gap(tree, path, gap);
}

void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree)
{
    (void)iovageom_itree_init(&builder->tree, 0, &tree->allocator);
    builder->target = tree;
    builder->path.slot[0] = 0;
    builder->failed = false;
}

void iovageom_itree_append(struct iovageom_itree_builder *builder,
                           const struct iovageom_range *ranges, size_t count)
{
    struct iovageom_itree *tree = &builder->tree;

    while (count > 0 && !builder->failed) {
        const uint32_t most = tree->root ? LEAF_FILL : IOVAGEOM_ITREE_INLINE;
        const uint32_t used = builder->path.slot[0];
        const size_t n = most - used < count ? most - used : count;

        if (n == 0) {
            builder->failed = iovageom_itree_add_leaf(tree, &builder->path) != IOVAGEOM_OK;
            continue;
        }
        extend(tree, &builder->path, ranges, (uint32_t)n);
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

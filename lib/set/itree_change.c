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

/* put_in() inserts one entry among `count`, take_out() removes n of them, in one leaf or in the
 * object. Counts, summaries and `highest` are left to the caller. Of the few entries of the object,
 * `few`, each is moved by itself, as a call of memmove() takes longer than that. */
static ALWAYS_INLINE void move_one(uint32_t width, struct iovageom_range *ranges, uint64_t *values,
                                   uint32_t to, uint32_t from)
{
    ranges[to] = ranges[from];
    if (width == 1)
        values[to] = values[from];
    else
        for (uint32_t w = 0; w < width; w++)
            values[to * width + w] = values[from * width + w];
}

static ALWAYS_INLINE void put_in(const struct iovageom_itree *tree, struct iovageom_range *ranges,
                                 uint64_t *values, uint32_t index, uint32_t count,
                                 struct iovageom_range range, const uint64_t *value, bool few)
{
    const uint32_t width = tree->width;

    if (few) {
        for (uint32_t i = count; i > index; i--)
            move_one(width, ranges, values, i, i - 1);
    } else {
        memmove(&ranges[index + 1], &ranges[index], (count - index) * sizeof(range));
        if (width > 0)
            memmove(&values[(index + 1) * width], &values[index * width],
                    (count - index) * width * sizeof(*value));
    }
    ranges[index] = range;
    if (width > 0)
        values[index * width] = value[0];
    if (width > 1)
        values[index * width + 1] = value[1];
}

static ALWAYS_INLINE void take_out(const struct iovageom_itree *tree, struct iovageom_range *ranges,
                                   uint64_t *values, uint32_t index, uint32_t n, uint32_t count,
                                   bool few)
{
    const uint32_t width = tree->width;
    const uint32_t left = count - n;

    if (few) {
        for (uint32_t i = index; i < left; i++)
            move_one(width, ranges, values, i, i + n);
    } else {
        memmove(&ranges[index], &ranges[index + n], (left - index) * sizeof(ranges[0]));
        if (width > 0)
            memmove(&values[index * width], &values[(index + n) * width],
                    (left - index) * width * sizeof(*values));
    }
    for (uint32_t i = left; i < count; i++)
        ranges[i] = (struct iovageom_range){UINT64_MAX, UINT64_MAX};
}

/* `by` is negative as 0 - n: unsigned sums wrap, so the result is right. */
static inline void change_count(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                                uint32_t by)
{
    tree->count += (size_t)(int32_t)by;
    tree->changes++;
    if (tree->height > 0)
        inner_of(path, 1)->count[path->slot[1]] += (uint8_t)by;
    else
        tree->root_count += by;
}

int iovageom_itree_insert(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                          struct iovageom_range range, const uint64_t *values)
{
    struct iovageom_range *ranges;
    uint32_t index = path->slot[0];
    uint32_t count = count_at(tree, path, 0);

    if (!tree->root && count < IOVAGEOM_ITREE_INLINE) {
        put_in(tree, tree->inline_ranges, inline_values(tree), index, count, range, values, true);
        tree->highest = index == count ? range.last : tree->highest;
        tree->count++;
        tree->changes++;
        return IOVAGEOM_OK;
    }
    if (!tree->root || count == LEAF_SLOTS) {
        if (iovageom_itree_make_room(tree, path))
            return IOVAGEOM_ERR_NO_MEMORY;
        count = count_at(tree, path, 0);
        index = path->slot[0];
    }
    ranges = ranges_at(tree, path);
    put_in(tree, ranges, leaf_values(ranges), index, count, range, values, false);
    change_count(tree, path, 1);
    if (index == count)
        set_last(tree, path, range.last);
    /* The index is behind all entries of the leaf only in the highest leaf: else the place would be
     * in the next one. So the gap in which such an entry comes is the top one, which no node
     * counts. Elsewhere the range divides a gap, which may have been the longest of the leaf. */
    if (keeps_gaps(tree)) {
        const uint64_t base = base_at(tree, path, index);

        if (index == count)
            raise_gap(tree, path, range.start - base);
        else if (ranges[index + 1].start - base == inner_of(path, 1)->gap[path->slot[1]])
            count_gaps(tree, path);
    }
    return IOVAGEOM_OK;
}

void iovageom_itree_resize(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                           struct iovageom_range range)
{
    ranges_at(tree, path)[path->slot[0]] = range;
    tree->changes++;
    count_gaps(tree, path);
    if (path->slot[0] + 1u < count_at(tree, path, 0))
        return;
    /* The highest entry of the leaf: the gap in front of the next leaf's first entry has changed,
     * too. */
    set_last(tree, path, range.last);
    if (keeps_gaps(tree) && iovageom_itree_step(tree, path, true))
        count_gaps(tree, path);
}

/*
 * The last entries of the path's leaf are gone, from the place on. So the leaf has a new last
 * address, base - 1, and the gap in front of the next leaf's first entry now begins at `base`. With
 * a base of 0 nothing is left below: the tree, or its first leaf, is empty and goes in
 * iovageom_itree_settle().
 */
static void cut_end(struct iovageom_itree *tree, struct iovageom_itree_path *path, uint64_t base)
{
    struct iovageom_itree_path next;

    if (path->slot[0] > 0 || base > 0)
        set_last(tree, path, base - 1);
    if (!keeps_gaps(tree))
        return;
    count_gaps(tree, path);
    next = *path;
    if (iovageom_itree_step(tree, &next, true))
        raise_gap(tree, &next, ranges_at(tree, &next)->start - base);
}

/*
 * The gaps around what is removed become one gap that is longer than each of them, so the longest
 * gap can only grow, and not all gaps need be compared. The limit below which a leaf counts as small
 * is that of merge_children().
 */
void iovageom_itree_cut(struct iovageom_itree *tree, struct iovageom_itree_path *path, uint32_t n)
{
    struct iovageom_range *ranges = ranges_at(tree, path);
    uint32_t index = path->slot[0];
    uint32_t count = count_at(tree, path, 0);
    uint64_t base;

    if (!tree->root) {
        take_out(tree, ranges, inline_values(tree), index, n, count, true);
        if (index + n == count)
            tree->highest = index > 0 ? ranges[index - 1].last : 0;
        tree->count -= n;
        tree->changes++;
        return;
    }
    base = base_at(tree, path, index);
    take_out(tree, ranges, leaf_values(ranges), index, n, count, false);
    change_count(tree, path, 0 - n);
    if (index + n < count)
        raise_gap(tree, path, ranges[index].start - base);
    else
        cut_end(tree, path, base);
    if (count - n <= LEAF_SLOTS / 3)
        iovageom_itree_settle(tree, path);
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
    change_count(tree, path, n);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding, and walking along. */
#include "itree.h"

#include "hints.h"
#include "itree_internal.h"

struct iovageom_itree_entry iovageom_itree_find(const struct iovageom_itree *tree, uint64_t address)
{
    return find(tree, address);
}

/* Fills the path below that level by the first children, or the last ones. */
static void lead_down(const struct iovageom_itree *tree, struct iovageom_itree_path *path,
                      uint32_t level, bool first)
{
    for (;; level--) {
        uint32_t count = count_at(tree, path, level);

        path->slot[level] = (uint16_t)(first ? 0 : count - (level > 0));
        if (level == 0)
            return;
        path->node[level - 1] = inner_of(path, level)->child[path->slot[level]];
    }
}

static void seek_end(const struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    path->node[tree->height] = tree->root;
    lead_down(tree, path, tree->height, false);
}

bool iovageom_itree_step(const struct iovageom_itree *tree, struct iovageom_itree_path *path,
                         bool forward)
{
    for (uint32_t level = 1; level <= tree->height; level++) {
        uint32_t slot = path->slot[level];

        if (forward ? slot + 1 < count_at(tree, path, level) : slot > 0) {
            path->slot[level] = (uint16_t)(forward ? slot + 1 : slot - 1);
            path->node[level - 1] = inner_of(path, level)->child[path->slot[level]];
            lead_down(tree, path, level - 1, forward);
            return true;
        }
    }
    return false;
}

static struct iovageom_itree_entry entry_of(const struct iovageom_itree *tree,
                                            const struct iovageom_itree_path *path)
{
    const uint64_t *values = tree->root ? leaf_values(path->node[0]) : inline_values(tree);

    return entry_at(ranges_at(tree, path), values, tree->width, path->slot[0]);
}

struct iovageom_itree_entry iovageom_itree_seek(const struct iovageom_itree *tree, uint64_t address,
                                                struct iovageom_itree_path *path)
{
    const void *node = tree->root;
    bool none = tree->count == 0 || address > tree->highest;

    if (!node) {
        size_t index = none ? tree->count : rank_inline(tree->inline_ranges, address);

        path->slot[0] = (uint16_t)index;
        if (none)
            return (struct iovageom_itree_entry){NULL, NULL};
        return entry_at(tree->inline_ranges, inline_values(tree), tree->width, index);
    }
    if (none) {
        seek_end(tree, path);
        return (struct iovageom_itree_entry){NULL, NULL};
    }
    for (uint32_t level = tree->height, few = tree->root_count; level > 0; level--) {
        struct iovageom_itree_inner *inner = (struct iovageom_itree_inner *)(uintptr_t)node;
        size_t slot = rank_inner(inner->last, address, few);

        few = INNER_SLOTS;
        path->node[level] = inner;
        path->slot[level] = (uint16_t)slot;
        node = inner->child[slot];
    }
    path->node[0] = (void *)(uintptr_t)node;
    path->slot[0] =
        (uint16_t)(tree->height > 1 ? rank_far_leaf(node, address) : rank_leaf(node, address));
    return entry_at(node, leaf_values(node), tree->width, path->slot[0]);
}

/* The entry in front of the place. */
static struct iovageom_itree_entry entry_before(const struct iovageom_itree *tree,
                                                struct iovageom_itree_path *path)
{
    if (path->slot[0] == 0 && (tree->height == 0 || !iovageom_itree_step(tree, path, false)))
        return (struct iovageom_itree_entry){NULL, NULL};
    path->slot[0]--;
    return entry_of(tree, path);
}

struct iovageom_itree_entry iovageom_itree_find_below(const struct iovageom_itree *tree,
                                                      uint64_t address)
{
    struct iovageom_itree_path path;

    iovageom_itree_seek(tree, address, &path);
    return entry_before(tree, &path);
}

struct iovageom_itree_entry iovageom_itree_find_above(const struct iovageom_itree *tree,
                                                      uint64_t address)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(tree, address);

    if (!entry.range || entry.range->start > address)
        return entry;
    if (entry.range->last == tree->highest)
        return (struct iovageom_itree_entry){NULL, NULL};
    return iovageom_itree_find(tree, entry.range->last + 1);
}

IOVAGEOM_COLD bool iovageom_itree_hull(const struct iovageom_itree *tree,
                                       struct iovageom_range *out)
{
    struct iovageom_itree_entry entry = find(tree, 0);

    if (!entry.range)
        return false;
    *out = (struct iovageom_range){entry.range->start, tree->highest};
    return true;
}

IOVAGEOM_COLD struct iovageom_size iovageom_itree_size(const struct iovageom_itree *tree)
{
    struct iovageom_size size = {0, 0};
    struct iovageom_itree_cursor cursor;
    struct iovageom_itree_entry first;
    size_t run;

    iovageom_itree_cursor_init(&cursor, tree, 0, false);
    while ((run = iovageom_itree_span(&cursor, &first)) > 0)
        for (size_t i = 0; i < run; i++)
            size = iovageom_size_add(size, iovageom_range_size(first.range[i]));
    return size;
}

IOVAGEOM_COLD bool iovageom_itree_equal(const struct iovageom_itree *a,
                                        const struct iovageom_itree *b)
{
    struct iovageom_itree_cursor x;
    struct iovageom_itree_cursor y;

    if (a->count != b->count)
        return false;
    iovageom_itree_cursor_init(&x, a, 0, false);
    iovageom_itree_cursor_init(&y, b, 0, false);
    for (size_t i = 0; i < a->count; i++) {
        struct iovageom_itree_entry one = iovageom_itree_next(&x);
        struct iovageom_itree_entry other = iovageom_itree_next(&y);

        if (!iovageom_range_equal(*one.range, *other.range) ||
            memcmp(one.values, other.values, a->width * sizeof(uint64_t)) != 0)
            return false;
    }
    return true;
}

enum { BATCH = 16 };

static void prefetch_leaf(const void *leaf)
{
    for (uint32_t line = 0; line < sizeof(struct iovageom_itree_leaf); line += CACHE_LINE)
        PREFETCH((const unsigned char *)leaf + line);
}

/*
 * All addresses take each step together, and have what the next step reads fetched meanwhile: so the
 * cache misses of a step overlap, and no line is fetched that isn't read. Leaves `nodes` at leaves.
 */
static void descend_batch(const struct iovageom_itree *tree, const uint64_t *addresses,
                          uint32_t count, const void **nodes)
{
    uint32_t group[BATCH];

    for (uint32_t i = 0; i < count; i++)
        nodes[i] = tree->root;
    for (uint32_t level = tree->height; level > 0; level--) {
        for (uint32_t i = 0; i < count; i++) {
            const struct iovageom_itree_inner *inner = nodes[i];
            const uint64_t *at = inner->last;
            uint64_t x = addresses[i] < tree->highest ? addresses[i] : tree->highest;

            group[i] = 16 * (uint32_t)BELOW3(at[15], at[31], at[47]);
            PREFETCH(&at[group[i]]);
            PREFETCH(&at[group[i] + 8]);
            PREFETCH(&inner->child[group[i]]);
            PREFETCH(&inner->child[group[i] + 8]);
        }
        for (uint32_t i = 0; i < count; i++) {
            const struct iovageom_itree_inner *inner = nodes[i];
            uint64_t x = addresses[i] < tree->highest ? addresses[i] : tree->highest;
            const unsigned char *next;

            next = inner->child[group[i] + rank_inner(&inner->last[group[i]], x, 16)];
            nodes[i] = next;
            if (level == 1) {
                PREFETCH(next + 3 * CACHE_LINE);
            } else {
                PREFETCH(next + CACHE_LINE);
                PREFETCH(next + 3 * CACHE_LINE);
                PREFETCH(next + 5 * CACHE_LINE);
            }
        }
    }
}

/* From leaves whose middle is on its way, to the four ranges among which the entry is. */
static void narrow_batch(const uint64_t *addresses, uint32_t count, const void **places)
{
    for (uint32_t half = LEAF_SLOTS / 2; half >= 4; half /= 2) {
        for (uint32_t i = 0; i < count; i++) {
            const struct iovageom_range *ranges = places[i];

            ranges += half * (size_t)(ranges[half - 1].last < addresses[i]);
            places[i] = ranges;
            PREFETCH(&ranges[half / 2 - 1]);
        }
    }
}

/* The answer for one of the addresses; a branch on whether it hits would be mispredicted. */
static ALWAYS_INLINE bool take_hit(struct iovageom_itree_entry entry, uint64_t address, size_t i,
                                   struct iovageom_range *ranges, uint64_t *values)
{
    struct iovageom_range point = {address, address};
    bool hit = ranges ? overlap_into(entry, point, &ranges[i]) : entry.range->start <= address;

    if (values && hit)
        values[i] = *entry.values;
    return hit;
}

/* In a tree that fits into the cache, where nothing is gained by waiting together. */
static void lookup_near(const struct iovageom_itree *tree, const uint64_t *addresses, size_t count,
                        bool *found, struct iovageom_range *ranges, uint64_t *values)
{
    const void *node = tree->root;
    const struct iovageom_itree_inner *inner = tree->height > 0 ? node : NULL;
    const uint64_t highest = tree->highest;
    const uint32_t few = tree->root_count;
    const uint32_t width = tree->width;
    const uint64_t *own_values = inline_values(tree);

    for (size_t i = 0; i < count; i++) {
        uint64_t x = addresses[i];
        size_t index;

        found[i] = false;
        if (x > highest)
            continue;
        if (!node) {
            index = rank_inline(tree->inline_ranges, x);
            found[i] = take_hit(entry_at(tree->inline_ranges, own_values, width, index), x, i,
                                ranges, values);
            continue;
        }
        if (inner)
            node = inner->child[rank_inner(inner->last, x, few)];
        index = rank_leaf(node, x);
        found[i] = take_hit(entry_at(node, leaf_values(node), width, index), x, i, ranges, values);
    }
}

void iovageom_itree_lookup_batch(const struct iovageom_itree *tree, const uint64_t *addresses,
                                 size_t count, bool *found, struct iovageom_range *ranges,
                                 uint64_t *values)
{
    if (tree->count == 0) {
        memset(found, 0, count * sizeof(*found));
        return;
    }
    if (tree->height < 2) {
        lookup_near(tree, addresses, count, found, ranges, values);
        return;
    }
    for (size_t first = 0; first < count; first += BATCH) {
        uint32_t n = (uint32_t)(count - first < BATCH ? count - first : BATCH);
        const void *leaves[BATCH];
        const void *places[BATCH];

        descend_batch(tree, addresses + first, n, leaves);
        memcpy(places, leaves, sizeof(places));
        narrow_batch(addresses + first, n, places);
        for (uint32_t i = 0; i < n; i++) {
            const struct iovageom_range *r = places[i];
            uint64_t x = addresses[first + i];

            found[first + i] = false;
            if (x > tree->highest)
                continue;
            r += BELOW3(r[0].last, r[1].last, r[2].last);
            found[first + i] =
                take_hit(entry_at(leaves[i], leaf_values(leaves[i]), tree->width,
                                  (size_t)(r - (const struct iovageom_range *)leaves[i])),
                         x, first + i, ranges, values);
        }
    }
}

void iovageom_itree_cursor_init(struct iovageom_itree_cursor *cursor,
                                const struct iovageom_itree *tree, uint64_t address, bool end)
{
    cursor->tree = tree;
    cursor->address = address;
    cursor->ranges = NULL;
    cursor->end = end;
}

/* Looks the place up in a tree with inner nodes. */
static void look_up_far(struct iovageom_itree_cursor *cursor, bool forward)
{
    const struct iovageom_itree *tree = cursor->tree;
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry = {NULL, NULL};

    if (cursor->end)
        seek_end(tree, &path);
    else
        entry = iovageom_itree_seek(tree, cursor->address, &path);
    if (!forward && entry.range && entry.range->start < cursor->address)
        path.slot[0]++;
    if (!forward && path.slot[0] == 0)
        iovageom_itree_step(tree, &path, false);
    cursor->ranges = path.node[0];
    cursor->count = (uint16_t)count_at(tree, &path, 0);
    cursor->index = path.slot[0];
    cursor->parent = path.node[1];
    cursor->slot = path.slot[1];
    cursor->siblings = (uint16_t)count_at(tree, &path, 1);
}

/* Looks the place up: in front of the first entry that ends above it, or that starts above it. */
static void look_up(struct iovageom_itree_cursor *cursor, bool forward)
{
    const struct iovageom_itree *tree = cursor->tree;
    const struct iovageom_range *ranges = tree->root ? tree->root : tree->inline_ranges;
    uint64_t address = cursor->address;
    size_t index = tree->count;

    cursor->changes = tree->changes;
    if (tree->height > 0) {
        look_up_far(cursor, forward);
        return;
    }
    if (!cursor->end && index > 0 && address <= tree->highest)
        index = tree->root ? rank_leaf(ranges, address) : rank_inline(ranges, address);
    if (!forward && index < tree->count && ranges[index].start < address && !cursor->end)
        index++;
    cursor->ranges = ranges;
    cursor->count = (uint16_t)tree->count;
    cursor->index = (uint16_t)index;
    cursor->parent = NULL;
}

/* On to the next leaf, or back to the one before: mostly under the same parent. */
static void turn(struct iovageom_itree_cursor *cursor, bool forward)
{
    const struct iovageom_itree_inner *parent = cursor->parent;

    if (!parent)
        return;
    if (forward ? cursor->slot + 1 >= cursor->siblings : cursor->slot == 0) {
        look_up(cursor, forward);
        return;
    }
    cursor->slot = (uint16_t)(forward ? cursor->slot + 1 : cursor->slot - 1);
    cursor->ranges = parent->child[cursor->slot];
    cursor->count = parent->count[cursor->slot];
    cursor->index = forward ? 0 : cursor->count;
    if (forward && cursor->slot + 2 < cursor->siblings)
        prefetch_leaf(parent->child[cursor->slot + 2]);
}

/* Entries from the place to the end of the leaf, after turning to the next one if need be. */
static size_t ahead(struct iovageom_itree_cursor *cursor)
{
    if (!cursor->ranges || cursor->changes != cursor->tree->changes)
        look_up(cursor, true);
    if (cursor->index == cursor->count && !cursor->end)
        turn(cursor, true);
    return (size_t)(cursor->count - cursor->index);
}

static struct iovageom_itree_entry here(const struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_itree *tree = cursor->tree;
    const uint64_t *values = tree->root ? leaf_values(cursor->ranges) : inline_values(tree);

    return entry_at(cursor->ranges, values, tree->width, cursor->index);
}

static void stand_above(struct iovageom_itree_cursor *cursor, uint64_t last)
{
    cursor->end = last == IOVAGEOM_ADDRESS_MAX;
    cursor->address = last + !cursor->end;
}

struct iovageom_itree_entry iovageom_itree_next(struct iovageom_itree_cursor *cursor)
{
    struct iovageom_itree_entry entry = {NULL, NULL};

    if (ahead(cursor) > 0) {
        entry = here(cursor);
        cursor->index++;
        stand_above(cursor, entry.range->last);
    }
    return entry;
}

size_t iovageom_itree_span(struct iovageom_itree_cursor *cursor, struct iovageom_itree_entry *first)
{
    size_t run = ahead(cursor);

    if (run > 0) {
        *first = here(cursor);
        cursor->index = cursor->count;
        stand_above(cursor, first->range[run - 1].last);
    }
    return run;
}

struct iovageom_itree_entry iovageom_itree_previous(struct iovageom_itree_cursor *cursor)
{
    struct iovageom_itree_entry entry = {NULL, NULL};

    if (!cursor->ranges || cursor->changes != cursor->tree->changes)
        look_up(cursor, false);
    if (cursor->index == 0)
        turn(cursor, false);
    if (cursor->index > 0) {
        cursor->index--;
        entry = here(cursor);
        cursor->end = false;
        cursor->address = entry.range->start;
    }
    return entry;
}

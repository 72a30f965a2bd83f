/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes, one allocation each; searches, paths and cursors. */
#include "../base/array.h"
#include "../base/hints.h"
#include "itree_internal.h"

#include <iovageom/status.h>

/* ---- nodes ---- */

/* Unused slots have a last of 2^64-1, in the object as in nodes: 0xff in each byte. */
static void make_empty(struct iovageom_itree *tree)
{
    tree->root = (struct iovageom_itree_child){0, NULL, 0};
    tree->height = 0;
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

IOVAGEOM_COLD static void free_below(struct iovageom_itree *tree, struct iovageom_itree_child from,
                                     uint32_t level)
{
    const struct iovageom_itree_inner *inner = from.node;

    for (uint32_t i = from.count; level > 0 && i > 0;)
        free_below(tree, inner->child[--i], level - 1);
    free_node(tree, from.node, level);
}

/* The number of changes is raised, not reset, so that cursors notice. */
void iovageom_itree_release(struct iovageom_itree *tree)
{
    if (tree->root.node)
        free_below(tree, tree->root, tree->height);
    tree->root.node = NULL;
    tree->height = 0;
    tree->changes++;
}

void iovageom_itree_clear(struct iovageom_itree *tree)
{
    iovageom_itree_release(tree);
    make_empty(tree);
}

/* ---- searches and paths ---- */

struct iovageom_itree_entry iovageom_itree_find(const struct iovageom_itree *tree, uint64_t address)
{
    struct iovageom_itree_path path;

    return iovageom_itree_seek(tree, address, &path);
}

void iovageom_itree_seek_end(const struct iovageom_itree *tree, struct iovageom_itree_path *path)
{
    (void)iovageom_itree_seek(tree, tree->highest, path);
    path->slot[0]++;
}

IOVAGEOM_COLD NOIPA bool iovageom_itree_step(const struct iovageom_itree *tree,
                                             struct iovageom_itree_path *path)
{
    uint32_t level = 1;

    while (level <= tree->height && path->slot[level] + 1u >= count_at(tree, path, level))
        level++;
    if (level > tree->height)
        return false;
    for (take_child(path, level, path->slot[level] + 1u); --level > 0;)
        take_child(path, level, 0);
    path->slot[0] = 0;
    return true;
}

NOIPA struct iovageom_itree_entry iovageom_itree_seek(const struct iovageom_itree *tree,
                                                      uint64_t address,
                                                      struct iovageom_itree_path *path)
{
    return seek(tree, address, path);
}

static void prefetch_leaf(const void *leaf)
{
    for (uint32_t line = 0; line < sizeof(struct iovageom_itree_leaf); line += CACHE_LINE)
        PREFETCH((const unsigned char *)leaf + line);
}

IOVAGEOM_COLD void iovageom_itree_fetch_root(const struct iovageom_itree *tree)
{
    const struct iovageom_itree_inner *root = tree->root.node;

    for (uint32_t k = 0; tree->height > 0 && k < tree->root.count; k += 8) {
        PREFETCH(&root->last[k]);
        PREFETCH(&root->child[k]);
    }
}

/* A bisection, as it reads the fewest lines of a leaf. Each step is taken in all trees before the
 * next one, and asks for what that will read. In the object it has the last 3 of 5 steps. */
uint32_t iovageom_itree_meet(const struct iovageom_itree *const trees[], size_t count,
                             struct iovageom_range range)
{
    const struct iovageom_range *at[IOVAGEOM_ITREE_FEW], *r;
    const uint64_t x = range.start;
    uint32_t met = 0, of[IOVAGEOM_ITREE_FEW];
    size_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        const void *node = trees[i]->root.node;

        if (trees[i]->count == 0 || x > trees[i]->highest)
            continue;
        for (uint32_t level = trees[i]->height; level > 0; level--)
            node = ((const struct iovageom_itree_inner *)node)
                       ->child[rank_inner(node, x, INNER_SLOTS)]
                       .node;
        r = node ? node : trees[i]->inline_ranges;
        PREFETCH(&r[15].last);
        of[n] = i;
        at[n++] = r;
    }
    for (size_t half = LEAF_SLOTS / 2; half > 0; half /= 2)
        for (size_t i = 0; i < n; i++) {
            if (half <= 4 || trees[of[i]]->root.node)
                at[i] += at[i][half - 1].last < x ? half : 0;
            PREFETCH(&at[i][(half - 1) / 2].last);
        }
    for (size_t i = 0; i < n; i++)
        met |= (uint32_t)(at[i]->start <= range.last) << of[i];
    return met;
}

/* ---- cursors ---- */

/* Leads the cursor into a leaf, or into the object. */
static void enter(struct iovageom_itree_cursor *cursor, const struct iovageom_range *ranges,
                  size_t index, size_t count)
{
    cursor->ranges = ranges;
    cursor->at = ranges + index;
    cursor->end = ranges + count;
}

/* Finds from the root what a cursor remembers of its place: see struct iovageom_itree_cursor.
 * Behind 2^64-1 there is no address to look for: it is then behind the entry that ends there. */
static NOINLINE void look_up(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_itree *tree = cursor->tree;
    const bool end = cursor->passed && cursor->address == IOVAGEOM_ADDRESS_MAX;
    struct iovageom_itree_path path;

    if (iovageom_itree_seek(tree, cursor->address + (cursor->passed && !end), &path).range && end)
        path.slot[0]++;
    cursor->changes = tree->changes;
    cursor->parent = NULL;
    enter(cursor, path.node[0], path.slot[0], count_at(tree, &path, 0));
    if (tree->height > 0) {
        cursor->parent = path.node[1];
        cursor->slot = path.slot[1];
        cursor->siblings = (uint16_t)count_at(tree, &path, 1);
    }
}

void iovageom_itree_cursor_init(struct iovageom_itree_cursor *cursor,
                                const struct iovageom_itree *tree, uint64_t address)
{
    cursor->tree = tree;
    cursor->address = address;
    cursor->passed = false;
    look_up(cursor);
}

/* On to the next leaf, which mostly has the same parent; else it is found from the root. The leaf
 * after the next one is fetched while the caller works on this one. */
bool iovageom_itree_more(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_itree_inner *parent;

    if (cursor->changes != cursor->tree->changes)
        look_up(cursor);
    parent = cursor->parent;
    if (cursor->at < cursor->end || !parent)
        return cursor->at < cursor->end;
    if (++cursor->slot >= cursor->siblings) {
        look_up(cursor);
        return cursor->at < cursor->end;
    }
    enter(cursor, parent->child[cursor->slot].node, 0, parent->child[cursor->slot].count);
    if (cursor->slot + 2 < cursor->siblings)
        prefetch_leaf(parent->child[cursor->slot + 2].node);
    return true;
}

struct iovageom_itree_entry iovageom_itree_next(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_itree *tree = cursor->tree;
    const struct iovageom_range *range;

    while (!(range = next_here(cursor)))
        if (!iovageom_itree_more(cursor))
            return (struct iovageom_itree_entry){NULL, NULL};
    return entry_at(cursor->ranges,
                    tree->root.node ? leaf_values(cursor->ranges) : inline_values(tree),
                    tree->width, (size_t)(range - cursor->ranges));
}

size_t iovageom_itree_span(struct iovageom_itree_cursor *cursor,
                           const struct iovageom_range **first)
{
    const size_t run = iovageom_itree_more(cursor) ? (size_t)(cursor->end - cursor->at) : 0;

    *first = cursor->at;
    if (run > 0) {
        cursor->at = cursor->end - 1;
        (void)next_here(cursor);
    }
    return run;
}

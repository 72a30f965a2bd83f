/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes, one allocation each; searches, paths and cursors. */
#include "../base/array.h"
#include "../base/hints.h"
#include "itree_internal.h"

#include <iovageom/status.h>

/* ---- nodes ---- */

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
    /* Gaps, children and counts of unused slots are not read. */
    if (empty)
        memset(node, 0xff,
               level == 0 ? sizeof(struct iovageom_itree_leaf)
                          : sizeof(((struct iovageom_itree_inner *)NULL)->last));
    return node;
}

void iovageom_itree_free_node(struct iovageom_itree *tree, void *node, uint32_t level)
{
    tree->allocator.release(tree->allocator.context, node, node_bytes(tree, level));
}

/* Depth first, children before their parent, and without recursion, which took an eighth longer to build
 * and release a set of 64: `way` and `left`, the children that are still to be released, are its
 * stack, one place for each level. */
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

/* ---- searches and paths ---- */

struct iovageom_itree_entry iovageom_itree_find(const struct iovageom_itree *tree, uint64_t address)
{
    return find(tree, address);
}

/* Fills the path below that level with the first children, or with the last ones; in a leaf, the
 * place is then at its first entry, or behind its last. */
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

void iovageom_itree_seek_end(const struct iovageom_itree *tree, struct iovageom_itree_path *path)
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

struct iovageom_itree_entry iovageom_itree_seek(const struct iovageom_itree *tree, uint64_t address,
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
    const struct iovageom_itree_inner *root = tree->root;

    for (uint32_t k = 0; tree->height > 0 && k < tree->root_count; k += 8) {
        PREFETCH(&root->last[k]);
        PREFETCH(&root->child[k]);
    }
}

/* A bisection, as it reads the fewest lines of a leaf. Each step is taken in all trees before the next
 * one, and asks for what that will read. In the object it has the last 3 of 5 steps. */
uint32_t iovageom_itree_meet(const struct iovageom_itree *const trees[], size_t count,
                             struct iovageom_range range)
{
    const struct iovageom_range *at[IOVAGEOM_ITREE_FEW], *r;
    const uint64_t x = range.start;
    uint32_t met = 0, of[IOVAGEOM_ITREE_FEW];
    size_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        const void *node = trees[i]->root;

        if (trees[i]->count == 0 || x > trees[i]->highest)
            continue;
        for (uint32_t level = trees[i]->height; level > 0; level--)
            node = ((const struct iovageom_itree_inner *)node)
                       ->child[rank_inner(node, x, INNER_SLOTS)];
        r = node ? node : trees[i]->inline_ranges;
        PREFETCH(&r[15].last);
        of[n] = i;
        at[n++] = r;
    }
    for (size_t half = LEAF_SLOTS / 2; half > 0; half /= 2)
        for (size_t i = 0; i < n; i++) {
            if (half <= 4 || trees[of[i]]->root)
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

/* Finds from the root what a cursor remembers of its place: see struct iovageom_itree_cursor. `end`: there
 * is no address to look for behind 2^64-1. */
static NOINLINE void look_up_node(struct iovageom_itree_cursor *cursor, uint64_t address, bool end)
{
    const struct iovageom_itree *tree = cursor->tree;
    struct iovageom_itree_path path;

    if (end)
        iovageom_itree_seek_end(tree, &path);
    else
        (void)iovageom_itree_seek(tree, address, &path);
    enter(cursor, path.node[0], path.slot[0], count_at(tree, &path, 0));
    if (tree->height > 0) {
        cursor->parent = path.node[1];
        cursor->slot = path.slot[1];
        cursor->siblings = (uint16_t)count_at(tree, &path, 1);
    }
}

/* A set of a few ranges, as most are, has no nodes. */
static void look_up(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_itree *tree = cursor->tree;
    const bool end = cursor->passed && cursor->address == IOVAGEOM_ADDRESS_MAX;
    const uint64_t address = cursor->address + (cursor->passed && !end);

    cursor->changes = tree->changes;
    cursor->parent = NULL;
    if (tree->root)
        look_up_node(cursor, address, end);
    else if (end || address > tree->highest)
        enter(cursor, tree->inline_ranges, tree->count, tree->count);
    else
        enter(cursor, tree->inline_ranges, rank_inline(tree->inline_ranges, address), tree->count);
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
 * after the next one is fetched early: while the caller works on one leaf, it arrives in the cache. */
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
    enter(cursor, parent->child[cursor->slot], 0, parent->count[cursor->slot]);
    if (cursor->slot + 2 < cursor->siblings)
        prefetch_leaf(parent->child[cursor->slot + 2]);
    return true;
}

struct iovageom_itree_entry iovageom_itree_next(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_itree *tree = cursor->tree;
    const struct iovageom_range *range;

    while (!(range = next_here(cursor)))
        if (!iovageom_itree_more(cursor))
            return (struct iovageom_itree_entry){NULL, NULL};
    return entry_at(cursor->ranges, tree->root ? leaf_values(cursor->ranges) : inline_values(tree),
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

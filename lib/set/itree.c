/* SPDX-License-Identifier: BSD-3-Clause */
/* Searches, paths and cursors. */
#include "itree.h"

#include "../base/hints.h"
#include "itree_internal.h"

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

void iovageom_itree_cursor_init(struct iovageom_itree_cursor *cursor,
                                const struct iovageom_itree *tree, uint64_t address)
{
    cursor->tree = tree;
    cursor->address = address;
    cursor->ranges = NULL;
    cursor->end = false;
}

/*
 * Finds from the root what a cursor remembers of its place: see struct iovageom_itree_cursor. A
 * tree without inner nodes leaves level 1 of the path alone, so that is set to "no parent" first.
 */
static void look_up(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_itree *tree = cursor->tree;
    struct iovageom_itree_path path;

    path.node[1] = NULL;
    path.slot[1] = 0;
    if (cursor->end)
        iovageom_itree_seek_end(tree, &path);
    else
        (void)iovageom_itree_seek(tree, cursor->address, &path);
    cursor->changes = tree->changes;
    cursor->ranges = tree->root ? path.node[0] : tree->inline_ranges;
    cursor->index = path.slot[0];
    cursor->count = (uint16_t)count_at(tree, &path, 0);
    cursor->parent = path.node[1];
    cursor->slot = path.slot[1];
    cursor->siblings = cursor->parent ? (uint16_t)count_at(tree, &path, 1) : 0;
}

static void prefetch_leaf(const void *leaf)
{
    for (uint32_t line = 0; line < sizeof(struct iovageom_itree_leaf); line += CACHE_LINE)
        PREFETCH((const unsigned char *)leaf + line);
}

/*
 * On to the next leaf, which mostly has the same parent; else it is found from the root. The leaf
 * after the next one is fetched early: while the caller works on one leaf, it arrives in the cache.
 */
static void next_leaf_of(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_itree_inner *parent = cursor->parent;

    if (!parent)
        return;
    if (cursor->slot + 1 >= cursor->siblings) {
        look_up(cursor);
        return;
    }
    cursor->slot++;
    cursor->ranges = parent->child[cursor->slot];
    cursor->count = parent->count[cursor->slot];
    cursor->index = 0;
    if (cursor->slot + 2 < cursor->siblings)
        prefetch_leaf(parent->child[cursor->slot + 2]);
}

/* The number of entries from the place to the end of its leaf. At that end the cursor moves on to
 * the next leaf first, so 0 means that no entry is left. */
static size_t ahead(struct iovageom_itree_cursor *cursor)
{
    if (!cursor->ranges || cursor->changes != cursor->tree->changes)
        look_up(cursor);
    if (cursor->index == cursor->count && !cursor->end)
        next_leaf_of(cursor);
    return (size_t)(cursor->count - cursor->index);
}

static struct iovageom_itree_entry entry_of(const struct iovageom_itree_cursor *cursor,
                                            const struct iovageom_range *range)
{
    const struct iovageom_itree *tree = cursor->tree;
    const uint64_t *values = tree->root ? leaf_values(cursor->ranges) : inline_values(tree);

    if (!range)
        return (struct iovageom_itree_entry){NULL, NULL};
    return entry_at(cursor->ranges, values, tree->width, (size_t)(range - cursor->ranges));
}

struct iovageom_itree_entry iovageom_itree_next(struct iovageom_itree_cursor *cursor)
{
    const struct iovageom_range *range = next_here(cursor);

    if (!range && ahead(cursor) > 0)
        range = pass(cursor, 1);
    return entry_of(cursor, range);
}

size_t iovageom_itree_span(struct iovageom_itree_cursor *cursor, struct iovageom_itree_entry *first)
{
    size_t run = ahead(cursor);

    if (run > 0)
        *first = entry_of(cursor, pass(cursor, run));
    return run;
}

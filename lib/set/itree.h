/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_ITREE_H
#define IOVAGEOM_ITREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/range.h>

/*
 * The interval tree: disjoint closed ranges in ascending order, each with 0, 1 or 2 words of value.
 * It never joins neighbouring ranges by itself: the modules above decide that.
 *
 * Up to 8 ranges are stored in the object itself ("inline"), and need no memory. More are in a
 * B+tree: all ranges are in the leaves, and every leaf is at the same depth. A node is one
 * allocation. An *entry* is a range with its values; a *word* is a uint64_t.
 *
 * Not checked: a range that is put in must be valid, and must overlap no range of the tree.
 */

/* INLINE: ranges in the object. LEVELS: of nodes, the leaves included. It is a bound that memory
 * can't reach: 19 levels of inner nodes with only 8 children on average would have 2^57 leaves. */
enum { IOVAGEOM_ITREE_INLINE = 8, IOVAGEOM_ITREE_LEVELS = 20 };

/* Callers declare the public objects, which are arrays of uint64_t. We read and write them as the
 * structures below, which C's rules on aliasing allow only with this attribute. */
#if defined(__GNUC__)
#define IOVAGEOM_ITREE_ALIAS __attribute__((may_alias))
#else
#define IOVAGEOM_ITREE_ALIAS
#endif

/* What is known of a node, beside its last address: a node does not know its own count. */
struct IOVAGEOM_ITREE_ALIAS iovageom_itree_child {
    uint64_t gap;   /* addresses of the longest gap in front of an entry: see itree_search.h */
    void *node;     /* a leaf or an inner node */
    uint32_t count; /* its entries or children */
};

struct IOVAGEOM_ITREE_ALIAS iovageom_itree {
    /* `node` is NULL while the ranges are in the object; `gap` is kept of a leaf only. */
    struct iovageom_itree_child root;
    size_t count;     /* entries */
    uint64_t highest; /* the last address of the highest range; 0 when there is none */
    uint32_t height;  /* levels of inner nodes above the leaves */
    uint32_t width;   /* words of value for each range */
    uint64_t changes; /* goes up with each change, so that cursors notice it */
    struct iovageom_allocator allocator;
    struct iovageom_range
        inline_ranges[IOVAGEOM_ITREE_INLINE]; /* no cache line has a part of one */
    /* followed by IOVAGEOM_ITREE_INLINE * width words of inline values */
};

/* One entry: pointers into the tree, which hold until it changes. `range` is NULL for none. */
struct iovageom_itree_entry {
    const struct iovageom_range *range;
    const uint64_t *values; /* `width` words */
};

/*
 * A place in a tree, with the way to it from the root. At level 0, `node` is the leaf, or the
 * ranges in the object, and `slot` the index in it, which may be one behind its last entry. At each
 * level above, `node` is an inner node and `slot` the child that leads to the place. Invalid after
 * any change of the tree.
 */
struct IOVAGEOM_ITREE_ALIAS iovageom_itree_path {
    void *node[IOVAGEOM_ITREE_LEVELS];
    uint16_t slot[IOVAGEOM_ITREE_LEVELS];
};

/* `width` words of value for each entry, at most 2; the storage behind the object must have room
 * for the inline ones. IOVAGEOM_ERR_INVALID: no allocator that can be used. */
int iovageom_itree_init(struct iovageom_itree *tree, uint32_t width,
                        const struct iovageom_allocator *allocator);
/* Empties the tree and gives its memory back. */
void iovageom_itree_clear(struct iovageom_itree *tree);

/*
 * The lowest entry whose last >= address: it holds the address or is the next above it. O(log n).
 */
struct iovageom_itree_entry iovageom_itree_find(const struct iovageom_itree *tree,
                                                uint64_t address);
/* Asks memory for the root, and does not wait for it. */
void iovageom_itree_fetch_root(const struct iovageom_itree *tree);
/* Of a few trees, a bit for each with an entry that overlaps the range. They wait together. */
enum { IOVAGEOM_ITREE_FEW = 16 };
uint32_t iovageom_itree_meet(const struct iovageom_itree *const trees[], size_t count,
                             struct iovageom_range range);
/* Like find, and keeps the way in `path`. Without such an entry, to behind the highest one. */
struct iovageom_itree_entry iovageom_itree_seek(const struct iovageom_itree *tree, uint64_t address,
                                                struct iovageom_itree_path *path);
/*
 * Puts an entry in front of the place, which must be where seek(range.start) leads. Copies `width`
 * words of `values`. Invalidates `path`. IOVAGEOM_ERR_NO_MEMORY: the tree is as it was. O(log n).
 */
int iovageom_itree_insert(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                          struct iovageom_range range, const uint64_t *values);
/* Gives the entry at the place another range, which must lie between the same neighbours. Needs no
 * memory. Invalidates `path`. */
void iovageom_itree_resize(struct iovageom_itree *tree, struct iovageom_itree_path *path,
                           struct iovageom_range range);
/* Removes n entries of the path's leaf, from the place on. Needs no memory. Invalidates `path`. */
void iovageom_itree_cut(struct iovageom_itree *tree, struct iovageom_itree_path *path, uint32_t n);
/* Removes all entries that overlap `range`, whole; returns how many. Needs no memory. */
size_t iovageom_itree_erase(struct iovageom_itree *tree, struct iovageom_range range);

/* For trees without values, which alone keep gaps. Above: the lowest gap of at least `size`
 * addresses whose last >= address; else the highest whose start <= address. size >= 1. */
bool iovageom_itree_gap(const struct iovageom_itree *tree, bool above, uint64_t address,
                        uint64_t size, struct iovageom_range *gap);
/*
 * For walking upwards. The next entry is the lowest whose last >= `address`, or with `passed` the
 * lowest whose last > `address`.
 *
 * Tree, address and passed are the state. The other fields remember where that is in the tree, and
 * are looked up again when `changes` differs. So a caller may change the tree while it walks; only
 * the tree object must not move.
 */
struct IOVAGEOM_ITREE_ALIAS iovageom_itree_cursor {
    const struct iovageom_itree *tree;
    uint64_t changes; /* of the tree when the place was last looked up */
    uint64_t address;
    const struct iovageom_range *at;     /* the next one in the leaf that it stands in */
    const struct iovageom_range *end;    /* behind the last one there */
    const struct iovageom_range *ranges; /* the first one there */
    const void *parent;                  /* the node above the leaf, if there is one */
    uint16_t slot;                       /* which of the parent's children the leaf is */
    uint16_t siblings;                   /* how many children the parent has */
    bool passed;
};

void iovageom_itree_cursor_init(struct iovageom_itree_cursor *cursor,
                                const struct iovageom_itree *tree, uint64_t address);
struct iovageom_itree_entry iovageom_itree_next(struct iovageom_itree_cursor *cursor);
/* Whether there is a next entry. Then the cursor stands in the leaf of that. */
bool iovageom_itree_more(struct iovageom_itree_cursor *cursor);
/* The next entries up to the end of their leaf, whose ranges are adjacent in memory: *first is that
 * of the first one. Returns their number, 0 at the end. */
size_t iovageom_itree_span(struct iovageom_itree_cursor *cursor,
                           const struct iovageom_range **first);

/* Makes a tree without values of entries that come in ascending order: build, append as often as
 * needed, finish. The target is not touched before finish, so it may be what the entries are read
 * from. finish() must be called, also after a failure: it is what reports it. */
struct iovageom_itree_builder {
    struct iovageom_itree *target;
    struct iovageom_itree tree;      /* what is built */
    struct iovageom_itree_path path; /* behind its highest entry */
    bool failed;
};

void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree);
void iovageom_itree_append(struct iovageom_itree_builder *builder,
                           const struct iovageom_range *ranges, size_t count);
/* Makes what was appended the contents of the tree. IOVAGEOM_ERR_NO_MEMORY: it is as it was. */
int iovageom_itree_finish(struct iovageom_itree_builder *builder);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Where nodes come from: chunks that grow with the tree, and go back when it is small again. */
#include "hints.h"
#include "itree_internal.h"

#include <iovageom/status.h>

struct iovageom_itree_chunk {
    struct iovageom_itree_chunk *next;
    size_t size;
};

struct iovageom_itree_spare {
    struct iovageom_itree_spare *next;
};

/* The first chunk holds what a set of a few dozen ranges needs; the largest wastes next to none. */
enum { CHUNK_MIN = 2048, CHUNK_NEXT = 4096, CHUNK_MAX = 126 * 1024, CHUNK_SHARE = 16 };

static size_t leaf_bytes(const struct iovageom_itree *tree)
{
    return sizeof(struct iovageom_itree_leaf) + LEAF_SLOTS * tree->width * sizeof(uint64_t);
}

static size_t inner_bytes(void)
{
    return (sizeof(struct iovageom_itree_inner) + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

void iovageom_itree_forget(struct iovageom_itree *tree)
{
    tree->root = NULL;
    tree->height = 0;
    tree->root_count = 0;
    tree->spare_leaves = 0;
    tree->spare_inners = 0;
    tree->leaves = NULL;
    tree->inners = NULL;
    tree->chunks = NULL;
    tree->fresh = NULL;
    tree->fresh_end = NULL;
    tree->memory = 0;
    tree->changes++;
}

static void reset(struct iovageom_itree *tree)
{
    iovageom_itree_forget(tree);
    tree->count = 0;
    tree->highest = 0;
    tree->held = false;
    memset(tree->inline_ranges, 0xff, sizeof(tree->inline_ranges));
}

int iovageom_itree_init(struct iovageom_itree *tree, uint32_t width,
                        const struct iovageom_allocator *allocator)
{
    if (!allocator)
        allocator = iovageom_allocator_default();
    if (!allocator || !allocator->allocate || !allocator->release)
        return IOVAGEOM_ERR_INVALID;
    tree->allocator = *allocator;
    tree->width = width;
    tree->changes = 0;
    reset(tree);
    return IOVAGEOM_OK;
}

/* Gives the nodes back: the tree is then one that has its entries inline. */
void iovageom_itree_release(struct iovageom_itree *tree)
{
    struct iovageom_itree_chunk *chunk = tree->chunks;

    while (chunk) {
        struct iovageom_itree_chunk *next = chunk->next;

        tree->allocator.release(tree->allocator.context, chunk, chunk->size);
        chunk = next;
    }
    iovageom_itree_forget(tree);
}

void iovageom_itree_clear(struct iovageom_itree *tree)
{
    iovageom_itree_release(tree);
    reset(tree);
}

IOVAGEOM_COLD void iovageom_itree_swap(struct iovageom_itree *a, struct iovageom_itree *b)
{
    uint64_t changes = a->changes + b->changes + 1; /* a number that cursors on neither know */
    size_t bytes = sizeof(*a) + IOVAGEOM_ITREE_INLINE * a->width * sizeof(uint64_t);
    unsigned char *one = (unsigned char *)a;
    unsigned char *other = (unsigned char *)b;

    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t x;
        uint64_t y;

        memcpy(&x, one + at, sizeof(x));
        memcpy(&y, other + at, sizeof(y));
        memcpy(one + at, &y, sizeof(y));
        memcpy(other + at, &x, sizeof(x));
    }
    a->changes = b->changes = changes;
}

static void add_spare(struct iovageom_itree_spare **list, uint32_t *count, void *node)
{
    struct iovageom_itree_spare *spare = node;

    spare->next = *list;
    *list = spare;
    ++*count;
}

IOVAGEOM_COLD int iovageom_itree_add_chunk(struct iovageom_itree *tree, size_t leaves,
                                           size_t inners, size_t least)
{
    const size_t nodes_max = SIZE_MAX / 4 / (leaf_bytes(tree) + inner_bytes());
    size_t size = sizeof(struct iovageom_itree_chunk) + CACHE_LINE;
    struct iovageom_itree_chunk *chunk;
    uintptr_t start;

    if (leaves > nodes_max || inners > nodes_max)
        return IOVAGEOM_ERR_NO_MEMORY;
    size += leaves * leaf_bytes(tree) + inners * inner_bytes();
    size = size < least ? least : size;
    chunk = tree->allocator.allocate(tree->allocator.context, size);
    if (!chunk)
        return IOVAGEOM_ERR_NO_MEMORY;
    /* What is left of the chunk before becomes leaves. */
    while ((size_t)(tree->fresh_end - tree->fresh) >= leaf_bytes(tree)) {
        add_spare(&tree->leaves, &tree->spare_leaves, tree->fresh);
        tree->fresh += leaf_bytes(tree);
    }
    chunk->next = tree->chunks;
    chunk->size = size;
    tree->chunks = chunk;
    tree->memory += size;
    start = ((uintptr_t)(chunk + 1) + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1);
    tree->fresh = (unsigned char *)chunk + (start - (uintptr_t)chunk);
    tree->fresh_end = (unsigned char *)chunk + size;
    return IOVAGEOM_OK;
}

int iovageom_itree_stock(struct iovageom_itree *tree, uint32_t leaves, uint32_t inners)
{
    while (tree->spare_leaves < leaves || tree->spare_inners < inners) {
        bool inner = tree->spare_inners < inners;
        size_t size = inner ? inner_bytes() : leaf_bytes(tree);

        if ((size_t)(tree->fresh_end - tree->fresh) < size) {
            size_t share = tree->memory / CHUNK_SHARE;
            size_t least = tree->chunks ? CHUNK_NEXT : CHUNK_MIN;

            if (iovageom_itree_add_chunk(tree, !inner, inner,
                                         share < least       ? least
                                         : share > CHUNK_MAX ? CHUNK_MAX
                                                             : share))
                return IOVAGEOM_ERR_NO_MEMORY;
            continue;
        }
        add_spare(inner ? &tree->inners : &tree->leaves,
                  inner ? &tree->spare_inners : &tree->spare_leaves, tree->fresh);
        tree->fresh += size;
    }
    return IOVAGEOM_OK;
}

static void *take(struct iovageom_itree *tree, uint32_t level)
{
    struct iovageom_itree_spare **list = level == 0 ? &tree->leaves : &tree->inners;
    struct iovageom_itree_spare *node = *list;

    *list = node->next;
    --*(level == 0 ? &tree->spare_leaves : &tree->spare_inners);
    return node;
}

void *iovageom_itree_take(struct iovageom_itree *tree, uint32_t level)
{
    return memset(take(tree, level), 0xff,
                  level == 0 ? sizeof(struct iovageom_itree_leaf)
                             : sizeof(((struct iovageom_itree_inner *)NULL)->last));
}

void *iovageom_itree_new_node(struct iovageom_itree *tree, uint32_t level)
{
    size_t size = level == 0 ? leaf_bytes(tree) : inner_bytes();
    void *node = tree->fresh;

    if ((size_t)(tree->fresh_end - tree->fresh) < size || (level == 0 && tree->leaves))
        return iovageom_itree_stock(tree, level == 0, level > 0) ? NULL : take(tree, level);
    tree->fresh += size;
    return node;
}

void iovageom_itree_put_back(struct iovageom_itree *tree, void *node, uint32_t level)
{
    if (level == 0)
        add_spare(&tree->leaves, &tree->spare_leaves, node);
    else
        add_spare(&tree->inners, &tree->spare_inners, node);
}

IOVAGEOM_COLD int iovageom_itree_reserve(struct iovageom_itree *tree, uint32_t inserts)
{
    uint32_t leaves = 0;
    uint32_t inners = 0;

    if (!tree->root) {
        leaves = tree->count + inserts > IOVAGEOM_ITREE_INLINE;
    } else if (tree->height == 0) {
        leaves = tree->root_count + inserts > LEAF_SLOTS ? inserts : 0;
        inners = leaves > 0;
    } else {
        leaves = inserts;
        inners = inserts * (tree->height - 1);
        if (tree->root_count + inserts > INNER_SLOTS)
            inners += inserts + 1;
    }
    tree->held = true;
    if (iovageom_itree_stock(tree, leaves, inners) == IOVAGEOM_OK)
        return IOVAGEOM_OK;
    iovageom_itree_shrink(tree);
    return IOVAGEOM_ERR_NO_MEMORY;
}

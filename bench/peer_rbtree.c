/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Linux kernel's red-black interval tree, as vfio and iommufd use it. Compiled against sources
 * that bench/run takes out of the linux-source package; none of them is in this repository.
 */
#include <stdlib.h>

#include <linux/rbtree_augmented.h>

#include <linux/interval_tree_generic.h>

#include "bench.h"

struct node {
    struct rb_node rb;
    uint64_t start;
    uint64_t last;
    uint64_t subtree_last;
};

#define START(node) ((node)->start)
#define LAST(node)  ((node)->last)

INTERVAL_TREE_DEFINE(struct node, rb, uint64_t, subtree_last, START, LAST,
                     static inline __attribute__((unused)), interval)

static void *create(void)
{
    struct rb_root_cached *root = calloc(1, sizeof(*root));

    if (!root)
        abort();
    return root;
}

static void destroy(void *set)
{
    struct rb_root_cached *root = set;
    struct node *node;
    struct node *next;

    rbtree_postorder_for_each_entry_safe(node, next, &root->rb_root, rb) free(node);
    free(root);
}

static uint64_t insert_free(struct rb_root_cached *root, const struct iovageom_range *range)
{
    struct node *node;

    if (interval_iter_first(root, range->start, range->last))
        return 0;
    node = malloc(sizeof(*node));
    if (!node)
        abort();
    node->start = range->start;
    node->last = range->last;
    interval_insert(node, root);
    return 1;
}

static uint64_t insert(void *set, const struct iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += insert_free(set, &ranges[i]);
    return sum;
}

static uint64_t erase(struct rb_root_cached *root, const struct iovageom_range *range)
{
    struct node *node = interval_iter_first(root, range->start, range->last);

    if (!node)
        return 0;
    interval_remove(node, root);
    free(node);
    return 1;
}

static uint64_t churn(void *set, const struct iovageom_range *ranges, size_t count, size_t lag)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += erase(set, &ranges[i]);
        if (i >= lag)
            sum += insert_free(set, &ranges[i - lag]);
    }
    for (size_t i = count - lag; i < count; i++)
        sum += insert_free(set, &ranges[i]);
    return sum;
}

/* The ranges are disjoint, so a plain descent finds one: cheaper than by the augmented walk. */
static uint64_t lookup(void *set, const uint64_t *addresses, size_t count)
{
    struct rb_root_cached *root = set;
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct rb_node *at = root->rb_root.rb_node;

        while (at) {
            const struct node *node = rb_entry(at, struct node, rb);

            if (addresses[i] < node->start) {
                at = at->rb_left;
            } else if (addresses[i] > node->last) {
                at = at->rb_right;
            } else {
                sum += bench_term(true, node->start, node->last);
                break;
            }
        }
    }
    return sum;
}

static uint64_t overlap(void *set, const struct iovageom_range *queries, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        const struct node *node = interval_iter_first(set, queries[i].start, queries[i].last);

        if (node)
            sum += bench_term(true, node->start, node->last);
    }
    return sum;
}

static uint64_t iterate(void *set)
{
    struct rb_root_cached *root = set;
    uint64_t sum = 0;

    for (struct rb_node *at = rb_first_cached(root); at; at = rb_next(at)) {
        const struct node *node = rb_entry(at, struct node, rb);

        sum += node->start ^ node->last;
    }
    return sum;
}

static void *build(const struct iovageom_range *ranges, size_t count)
{
    void *set = create();

    insert(set, ranges, count);
    return set;
}

static const struct bench_peer rbtree = {
    .name = "rbtree",
    .what = "Linux red-black interval tree, as vfio and iommufd use it",
    .create = create,
    .destroy = destroy,
    .insert = insert,
    .churn = churn,
    .lookup = lookup,
    .overlap = overlap,
    .iterate = iterate,
    .build_sorted = build,
    .build_unsorted = build,
};
BENCH_PEER(rbtree)

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What QEMU's virtio-iommu stands on: a GTree keyed by intervals with "overlaps" as equality, one
 * allocation for the key and one for the mapping; and sorted GLists of ranges for what is reserved.
 * Written from the description of that behaviour.
 */
#include <glib.h>

#include "bench.h"
#include "glib_list.h"

struct interval {
    uint64_t low;
    uint64_t high;
};

struct mapping {
    uint64_t phys;
    uint32_t flags;
};

static gint interval_compare(gconstpointer a, gconstpointer b, gpointer context)
{
    const struct interval *x = a;
    const struct interval *y = b;

    (void)context;
    if (x->high < y->low)
        return -1;
    if (y->high < x->low)
        return 1;
    return 0;
}

static void *gtree_create(void)
{
    return g_tree_new_full(interval_compare, NULL, g_free, g_free);
}

static void gtree_destroy(void *set)
{
    g_tree_destroy(set);
}

static uint64_t gtree_map(GTree *tree, const struct iovageom_range *range)
{
    struct interval *interval = g_malloc0(sizeof(*interval));
    struct mapping *mapping;

    interval->low = range->start;
    interval->high = range->last;
    if (g_tree_lookup(tree, interval)) {
        g_free(interval);
        return 0;
    }
    mapping = g_malloc0(sizeof(*mapping));
    mapping->phys = range->start;
    mapping->flags = 3;
    g_tree_insert(tree, interval, mapping);
    return 1;
}

static uint64_t gtree_insert(void *set, const struct iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += gtree_map(set, &ranges[i]);
    return sum;
}

static uint64_t gtree_unmap(GTree *tree, const struct iovageom_range *range)
{
    struct interval interval = {range->start, range->last};
    gpointer key;
    gpointer value;
    uint64_t sum = 0;

    while (g_tree_lookup_extended(tree, &interval, &key, &value)) {
        const struct interval *found = key;

        if (found->low < interval.low || found->high > interval.high)
            break;
        sum++;
        g_tree_remove(tree, key);
    }
    return sum;
}

static uint64_t gtree_churn(void *set, const struct iovageom_range *ranges, size_t count,
                            size_t lag)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += gtree_unmap(set, &ranges[i]);
        if (i >= lag)
            sum += gtree_map(set, &ranges[i - lag]);
    }
    for (size_t i = count - lag; i < count; i++)
        sum += gtree_map(set, &ranges[i]);
    return sum;
}

static uint64_t gtree_lookup(void *set, const uint64_t *addresses, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct interval interval = {addresses[i], addresses[i]};
        gpointer key;
        gpointer value;

        if (g_tree_lookup_extended(set, &interval, &key, &value))
            sum += bench_term(true, ((struct interval *)key)->low, ((struct interval *)key)->high);
    }
    return sum;
}

/* Any overlap is what the tree can tell; each query of the workload overlaps one range at most. */
static uint64_t gtree_overlap(void *set, const struct iovageom_range *queries, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct interval interval = {queries[i].start, queries[i].last};
        gpointer key;
        gpointer value;

        if (g_tree_lookup_extended(set, &interval, &key, &value))
            sum += bench_term(true, ((struct interval *)key)->low, ((struct interval *)key)->high);
    }
    return sum;
}

static gboolean gtree_visit(gpointer key, gpointer value, gpointer context)
{
    const struct interval *interval = key;

    (void)value;
    *(uint64_t *)context += interval->low ^ interval->high;
    return FALSE;
}

static uint64_t gtree_iterate(void *set)
{
    uint64_t sum = 0;

    g_tree_foreach(set, gtree_visit, &sum);
    return sum;
}

static void *gtree_build(const struct iovageom_range *ranges, size_t count)
{
    GTree *tree = gtree_create();

    gtree_insert(tree, ranges, count);
    return tree;
}

static const struct bench_peer gtree = {
    .name = "gtree",
    .what = "glib GTree, as QEMU's virtio-iommu keeps mappings",
    .create = gtree_create,
    .destroy = gtree_destroy,
    .insert = gtree_insert,
    .churn = gtree_churn,
    .lookup = gtree_lookup,
    .overlap = gtree_overlap,
    .iterate = gtree_iterate,
    .build_sorted = gtree_build,
    .build_unsorted = gtree_build,
};
BENCH_PEER(gtree)

/* The list head moves, so the object is a pointer to it. */
struct list {
    GList *head;
};

static int list_compare(const struct iovageom_range *a, const struct iovageom_range *b)
{
    if (a->last < b->start && b->start - a->last > 1)
        return -1;
    if (b->last < a->start && a->start - b->last > 1)
        return 1;
    return 0;
}

GList *bench_list_insert(GList *list, uint64_t start, uint64_t last)
{
    struct iovageom_range *range = g_malloc0(sizeof(*range));
    struct iovageom_range *found;
    GList *at = list;

    range->start = start;
    range->last = last;
    while (at && list_compare(at->data, range) < 0)
        at = at->next;
    if (!at || list_compare(at->data, range) > 0)
        return g_list_insert_before(list, at, range);
    found = at->data;
    found->start = MIN(found->start, start);
    found->last = MAX(found->last, last);
    g_free(range);
    while (at->next && list_compare(found, at->next->data) == 0) {
        struct iovageom_range *next = at->next->data;

        found->last = MAX(found->last, next->last);
        g_free(next);
        list = g_list_delete_link(list, at->next);
    }
    return list;
}

static void *glist_create(void)
{
    return g_malloc0(sizeof(struct list));
}

static void glist_destroy(void *set)
{
    g_list_free_full(((struct list *)set)->head, g_free);
    g_free(set);
}

static uint64_t glist_insert(void *set, const struct iovageom_range *ranges, size_t count)
{
    struct list *list = set;

    for (size_t i = 0; i < count; i++)
        list->head = bench_list_insert(list->head, ranges[i].start, ranges[i].last);
    return count;
}

static uint64_t glist_overlap(void *set, const struct iovageom_range *queries, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        for (const GList *at = ((struct list *)set)->head; at; at = at->next) {
            const struct iovageom_range *range = at->data;

            if (range->last >= queries[i].start) {
                sum += bench_term(range->start <= queries[i].last, range->start, range->last);
                break;
            }
        }
    }
    return sum;
}

static uint64_t glist_lookup(void *set, const uint64_t *addresses, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct iovageom_range query = {addresses[i], addresses[i]};

        sum += glist_overlap(set, &query, 1);
    }
    return sum;
}

static uint64_t glist_iterate(void *set)
{
    uint64_t sum = 0;

    for (const GList *at = ((struct list *)set)->head; at; at = at->next)
        sum +=
            ((struct iovageom_range *)at->data)->start ^ ((struct iovageom_range *)at->data)->last;
    return sum;
}

static void *glist_build(const struct iovageom_range *ranges, size_t count)
{
    struct list *list = glist_create();

    glist_insert(list, ranges, count);
    return list;
}

static void *glist_prepare(const struct iovageom_range *ranges, size_t count)
{
    struct list *list = glist_create();

    for (size_t i = count; i-- > 0;)
        list->head = g_list_prepend(list->head, g_memdup2(&ranges[i], sizeof(ranges[i])));
    return list;
}

static GList *list_append(GList *list, uint64_t start, uint64_t last)
{
    struct iovageom_range range = {start, last};

    return g_list_append(list, g_memdup2(&range, sizeof(range)));
}

GList *bench_list_inverse(const GList *list, uint64_t limit)
{
    GList *out = NULL;
    uint64_t from = 0;

    for (; list; list = list->next) {
        const struct iovageom_range *range = list->data;

        if (range->start > from)
            out = list_append(out, from, range->start - 1);
        if (range->last >= limit)
            return out;
        from = range->last + 1;
    }
    return list_append(out, from, limit);
}

static gpointer list_copy_range(gconstpointer range, gpointer context)
{
    (void)context;
    return g_memdup2(range, sizeof(struct iovageom_range));
}

static void *glist_tree(enum bench_algebra op, void *a, void *b)
{
    struct list *out;

    out = glist_create();
    if (op == BENCH_COMPLEMENT) {
        out->head = bench_list_inverse(((struct list *)a)->head, bench_algebra_last);
        return out;
    }
    out->head = g_list_copy_deep(((struct list *)a)->head, list_copy_range, NULL);
    for (const GList *at = ((struct list *)b)->head; at; at = at->next) {
        const struct iovageom_range *range = at->data;

        out->head = bench_list_insert(out->head, range->start, range->last);
    }
    return out;
}

static size_t glist_dump(void *set, struct iovageom_range *out, size_t capacity)
{
    size_t count = 0;

    for (const GList *at = ((struct list *)set)->head; at && count < capacity; at = at->next)
        out[count++] = *(struct iovageom_range *)at->data;
    return count;
}

static const struct bench_peer glist = {
    .name = "glist",
    .what = "glib GList, as QEMU keeps reserved regions and host ranges",
    .max_n = 64000,
    .max_n_bulk = 1000,
    .create = glist_create,
    .destroy = glist_destroy,
    .insert = glist_insert,
    .lookup = glist_lookup,
    .overlap = glist_overlap,
    .iterate = glist_iterate,
    .build_sorted = glist_build,
    .build_unsorted = glist_build,
    .prepare = glist_prepare,
    .tree = glist_tree,
    .cannot = 1U << BENCH_INTERSECTION,
    .dump = glist_dump,
};
BENCH_PEER(glist)

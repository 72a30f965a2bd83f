/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same jobs the way QEMU does them: host ranges to a sorted GList, its inverse, insertion of
 * each into the list of reserved regions, and a walk of that for the properties. Written from the
 * description of that behaviour.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "glib_list.h"

enum type { RESERVED = 0, MSI = 1 };

struct region {
    struct iovageom_range range;
    uint32_t type;
};

static struct region *region_new(uint64_t start, uint64_t last, uint32_t type)
{
    struct region *region = g_new0(struct region, 1);

    region->range.start = start;
    region->range.last = last;
    region->type = type;
    return region;
}

/* The newest wins; what is left of older ones stays. */
static GList *region_insert(GList *list, struct region *new)
{
    GList *at = list;

    while (at && ((struct region *)at->data)->range.last < new->range.start)
        at = at->next;
    while (at && ((struct region *)at->data)->range.start <= new->range.last) {
        struct region *old = at->data;
        GList *next = at->next;

        if (old->range.start < new->range.start)
            list = g_list_insert_before(
                list, at, region_new(old->range.start, new->range.start - 1, old->type));
        if (old->range.last > new->range.last) {
            old->range.start = new->range.last + 1;
            break;
        }
        g_free(old);
        list = g_list_delete_link(list, at);
        at = next;
    }
    return g_list_insert_before(list, at, new);
}

static uint64_t load_le(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static void store_le(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

struct probe {
    uint8_t *info;
    size_t info_length;
    uint8_t *properties;
    size_t size;
    size_t times;
};

static GList *host_ranges(const uint8_t *info)
{
    GList *ranges = NULL;
    size_t at = load_le(info + 16, 4);

    while (at && load_le(info + at, 2) != 1)
        at = load_le(info + at + 4, 4);
    for (size_t i = 0, count = at ? load_le(info + at + 8, 4) : 0; i < count; i++)
        ranges = bench_list_insert(ranges, load_le(info + at + 16 + 16 * i, 8),
                                   load_le(info + at + 24 + 16 * i, 8));
    return ranges;
}

static size_t fill(const GList *regions, uint8_t *properties)
{
    size_t size = 0;

    for (; regions; regions = regions->next, size += 24) {
        const struct region *region = regions->data;

        memset(properties + size, 0, 24);
        store_le(properties + size, 1, 2);
        store_le(properties + size + 2, 20, 2);
        properties[size + 4] = (uint8_t)region->type;
        store_le(properties + size + 8, region->range.start, 8);
        store_le(properties + size + 16, region->range.last, 8);
    }
    return size;
}

static uint64_t probe_run(void *state)
{
    struct probe *probe = state;
    uint64_t sum = 0;
    size_t size = 0;

    for (size_t i = 0; i < probe->times; i++) {
        GList *ranges = host_ranges(probe->info);
        GList *inverse = bench_list_inverse(ranges, UINT64_MAX);
        GList *regions = NULL;

        for (const GList *at = inverse; at; at = at->next) {
            const struct iovageom_range *range = at->data;

            regions = region_insert(regions, region_new(range->start, range->last, RESERVED));
        }
        regions = region_insert(regions, region_new(BENCH_MSI_START, BENCH_MSI_LAST, MSI));
        size = fill(regions, probe->properties);
        g_list_free_full(ranges, g_free);
        g_list_free_full(inverse, g_free);
        g_list_free_full(regions, g_free);
    }
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + probe->properties[i];
    return sum;
}

static void *probe_prepare(size_t n)
{
    struct probe *probe = g_new0(struct probe, 1);

    probe->info = bench_vfio_info(n, &probe->info_length);
    probe->size = 24 * (n + 2);
    probe->properties = g_malloc0(probe->size);
    probe->times = n < 100 ? 1000 : 1;
    return probe;
}

static void probe_finish(void *state)
{
    struct probe *probe = state;

    free(probe->info);
    g_free(probe->properties);
    g_free(probe);
}

/* A meet is nothing that QEMU has; it would be this, out of the functions that it has. */
struct pool {
    GList **hosts;
    size_t count;
};

static void *pool_prepare(size_t n, bool distinct)
{
    struct pool *pool = g_new0(struct pool, 1);

    pool->hosts = g_new0(GList *, n);
    pool->count = n;
    for (size_t i = 0; i < n; i++) {
        struct iovageom_range ranges[BENCH_HOST_RANGES];

        bench_host(i, distinct, ranges);
        for (size_t k = 0; k < BENCH_HOST_RANGES; k++)
            pool->hosts[i] = bench_list_insert(pool->hosts[i], ranges[k].start, ranges[k].last);
    }
    return pool;
}

static void *meet_prepare(size_t n)
{
    return pool_prepare(n, false);
}

static void *meet_distinct_prepare(size_t n)
{
    return pool_prepare(n, true);
}

static void pool_finish(void *state)
{
    struct pool *pool = state;

    for (size_t i = 0; i < pool->count; i++)
        g_list_free_full(pool->hosts[i], g_free);
    g_free(pool->hosts);
    g_free(pool);
}

static uint64_t meet_run(void *state)
{
    struct pool *pool = state;
    GList *reserved = NULL;
    GList *usable;
    uint64_t sum = 0;

    for (size_t i = 0; i < pool->count; i++) {
        GList *inverse = bench_list_inverse(pool->hosts[i], UINT64_MAX);

        for (const GList *at = inverse; at; at = at->next) {
            const struct iovageom_range *range = at->data;

            reserved = bench_list_insert(reserved, range->start, range->last);
        }
        g_list_free_full(inverse, g_free);
    }
    usable = bench_list_inverse(reserved, UINT64_MAX);
    for (const GList *at = usable; at; at = at->next) {
        const struct iovageom_range *range = at->data;

        sum += range->start ^ range->last;
    }
    g_list_free_full(usable, g_free);
    g_list_free_full(reserved, g_free);
    return sum;
}

static size_t probe_operations(size_t n)
{
    return n < 100 ? 1000 : 1;
}

static size_t each(size_t n)
{
    return n;
}

/*
 * A hot-plug that looks for live mappings in what the newcomer reserves, by going through all of
 * them: in GTrees, one for each domain, and in one flat array, which is the best that a scan can
 * do.
 */
#define MAPPINGS_EACH 1000

struct scan {
    GTree **domains;
    struct iovageom_range *flat;
    size_t count;
    struct iovageom_range windows[BENCH_NEWCOMER_WINDOWS];
};

static gint range_compare(gconstpointer a, gconstpointer b, gpointer context)
{
    const struct iovageom_range *x = a;
    const struct iovageom_range *y = b;

    (void)context;
    return x->last < y->start ? -1 : y->last < x->start ? 1 : 0;
}

static void *scan_prepare(size_t n)
{
    struct scan *scan = g_new0(struct scan, 1);

    bench_newcomer(scan->windows);
    scan->count = n;
    scan->domains = g_new0(GTree *, n / MAPPINGS_EACH);
    scan->flat = g_new0(struct iovageom_range, n);
    for (size_t i = 0; i < n; i++) {
        GTree **tree = &scan->domains[i / MAPPINGS_EACH];

        scan->flat[i] = bench_books_mapping(i % MAPPINGS_EACH);
        if (!*tree)
            *tree = g_tree_new_full(range_compare, NULL, g_free, g_free);
        g_tree_insert(*tree, g_memdup2(&scan->flat[i], sizeof(scan->flat[i])), g_malloc0(16));
    }
    return scan;
}

static void scan_finish(void *state)
{
    struct scan *scan = state;

    for (size_t d = 0; d < scan->count / MAPPINGS_EACH; d++)
        g_tree_destroy(scan->domains[d]);
    g_free(scan->domains);
    g_free(scan->flat);
    g_free(scan);
}

static bool conflicts(const struct scan *scan, const struct iovageom_range *range)
{
    bool conflict = false;

    for (size_t i = 0; i < BENCH_NEWCOMER_WINDOWS; i++)
        conflict |= range->start <= scan->windows[i].last && scan->windows[i].start <= range->last;
    return conflict;
}

static gboolean scan_visit(gpointer key, gpointer value, gpointer context)
{
    (void)value;
    return conflicts(context, key);
}

static uint64_t scan_gtree_run(void *state)
{
    struct scan *scan = state;

    for (size_t d = 0; d < scan->count / MAPPINGS_EACH; d++)
        g_tree_foreach(scan->domains[d], scan_visit, scan);
    return 0;
}

static uint64_t scan_array_run(void *state)
{
    struct scan *scan = state;
    uint64_t sum = 0;

    for (size_t i = 0; i < scan->count; i++)
        sum += conflicts(scan, &scan->flat[i]);
    return sum;
}

/*
 * What a plug takes in QEMU: the host's ranges, inverted, into the device's own list. It knows
 * nothing of guest groups, so it does much less.
 */
struct plugs {
    GList *ranges;
    size_t count;
};

static void *plugs_prepare(size_t n)
{
    struct iovageom_range windows[BENCH_NEWCOMER_WINDOWS];
    struct plugs *plugs = g_new0(struct plugs, 1);
    GList *reserved = bench_list_insert(NULL, BENCH_MSI_START, BENCH_MSI_LAST);

    bench_newcomer(windows);
    for (size_t i = 0; i < BENCH_NEWCOMER_WINDOWS; i++)
        reserved = bench_list_insert(reserved, windows[i].start, windows[i].last);
    plugs->ranges = bench_list_inverse(reserved, BENCH_BOOKS_LAST);
    plugs->count = n;
    g_list_free_full(reserved, g_free);
    return plugs;
}

static uint64_t plugs_run(void *state)
{
    struct plugs *plugs = state;
    GList **devices = g_new0(GList *, plugs->count);

    for (size_t d = 0; d < plugs->count; d++) {
        GList *inverse = bench_list_inverse(plugs->ranges, UINT64_MAX);

        for (const GList *at = inverse; at; at = at->next) {
            const struct iovageom_range *range = at->data;

            devices[d] = region_insert(devices[d], region_new(range->start, range->last, RESERVED));
        }
        devices[d] = region_insert(devices[d], region_new(BENCH_MSI_START, BENCH_MSI_LAST, MSI));
        g_list_free_full(inverse, g_free);
    }
    for (size_t d = 0; d < plugs->count; d++)
        g_list_free_full(devices[d], g_free);
    g_free(devices);
    return 2 * plugs->count;
}

static void plugs_finish(void *state)
{
    struct plugs *plugs = state;

    g_list_free_full(plugs->ranges, g_free);
    g_free(plugs);
}

static const size_t admission_sizes[] = {64000, 1000000, 0};
static const size_t group_sizes[] = {64, 4096, 0};
static const size_t probe_sizes[] = {2, 10000, 0};
static const size_t meet_sizes[] = {100000, 0};
static const size_t meet_distinct_sizes[] = {1000, 0};

static const struct bench_task tasks[] = {
    {"probe_bytes", "glist", probe_sizes, probe_prepare, probe_run, probe_finish, probe_operations},
    {"meet", "glist", meet_sizes, meet_prepare, meet_run, pool_finish, each},
    {"meet_distinct", "glist", meet_distinct_sizes, meet_distinct_prepare, meet_run, pool_finish,
     each},
    {"admission", "gtree", admission_sizes, scan_prepare, scan_gtree_run, scan_finish, NULL},
    {"admission", "array", admission_sizes, scan_prepare, scan_array_run, scan_finish, NULL},
    {"admission_shared", "gtree", admission_sizes, scan_prepare, scan_gtree_run, scan_finish, NULL},
    {"admission_shared", "array", admission_sizes, scan_prepare, scan_array_run, scan_finish, NULL},
    {"plug_unplug", "glist", group_sizes, plugs_prepare, plugs_run, plugs_finish, each},
};

__attribute__((constructor)) static void tasks_register(void)
{
    bench_register_tasks(tasks, sizeof(tasks) / sizeof(tasks[0]));
}

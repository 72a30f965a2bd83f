/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Linux kernel's maple tree with gap tracking, as it keeps the areas of a process. Compiled
 * against sources that bench/run takes out of the linux-source package.
 */
#include "maple_shim.h"

#include <linux/maple_tree.h>

#include "bench.h"

/* Indexed by page, which is how the kernel uses it, so that a hole is page-aligned. */
static unsigned long first_page(const struct iovageom_range *range)
{
    return range->start / BENCH_PAGE;
}

static unsigned long last_page(const struct iovageom_range *range)
{
    return range->last / BENCH_PAGE;
}

static uint64_t term(unsigned long first, unsigned long last)
{
    return bench_term(true, first * BENCH_PAGE, (last + 1) * BENCH_PAGE - 1);
}

static void *create(void)
{
    static bool ready;
    struct maple_tree *tree = malloc(sizeof(*tree));

    if (!ready)
        maple_tree_init();
    ready = true;
    if (!tree)
        abort();
    mt_init_flags(tree, MT_FLAGS_ALLOC_RANGE);
    return tree;
}

static void destroy(void *set)
{
    __mt_destroy(set);
    free(set);
}

static uint64_t insert_free(void *set, const struct iovageom_range *range)
{
    MA_STATE(state, set, first_page(range), last_page(range));

    /* Any pointer will do; one entry for each range keeps neighbours apart. */
    mas_lock(&state);
    if (mas_find(&state, last_page(range)))
        return 0;
    mas_set_range(&state, first_page(range), last_page(range));
    if (mas_store_gfp(&state, xa_mk_value(first_page(range)), GFP_KERNEL) != 0)
        abort();
    mas_unlock(&state);
    return 1;
}

static uint64_t insert(void *set, const struct iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += insert_free(set, &ranges[i]);
    return sum;
}

static uint64_t erase(void *set, const struct iovageom_range *range)
{
    MA_STATE(state, set, first_page(range), first_page(range));

    return mas_erase(&state) != NULL;
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

static uint64_t lookup(void *set, const uint64_t *addresses, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        MA_STATE(state, set, addresses[i] / BENCH_PAGE, addresses[i] / BENCH_PAGE);

        if (mas_walk(&state))
            sum += term(state.index, state.last);
    }
    return sum;
}

static uint64_t overlap(void *set, const struct iovageom_range *queries, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        MA_STATE(state, set, first_page(&queries[i]), first_page(&queries[i]));

        if (mas_find(&state, last_page(&queries[i])))
            sum += term(state.index, state.last);
    }
    return sum;
}

static uint64_t iterate(void *set)
{
    MA_STATE(state, set, 0, 0);
    uint64_t sum = 0;
    void *entry;

    mas_for_each(&state, entry, ULONG_MAX) sum += term(state.index, state.last);
    return sum;
}

static uint64_t find_hole(void *set, const struct bench_hole *queries, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        MA_STATE(state, set, 0, 0);

        if (mas_empty_area(&state, queries[i].min / BENCH_PAGE, queries[i].max / BENCH_PAGE,
                           queries[i].size / BENCH_PAGE) == 0)
            sum += state.index * BENCH_PAGE;
        else
            sum += BENCH_NO_HOLE;
    }
    return sum;
}

static void *build(const struct iovageom_range *ranges, size_t count)
{
    void *set = create();

    insert(set, ranges, count);
    return set;
}

static const struct bench_peer maple = {
    .name = "maple",
    .what = "Linux maple tree with gap tracking",
    .create = create,
    .destroy = destroy,
    .insert = insert,
    .churn = churn,
    .lookup = lookup,
    .overlap = overlap,
    .iterate = iterate,
    .find_hole = find_hole,
    .build_sorted = build,
    .build_unsorted = build,
};
BENCH_PEER(maple)

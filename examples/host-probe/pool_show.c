/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "jsonout.h"
#include "say.h"

#define COSTS_SHOWN 20

/* A range that some map and others do not. */
struct cost {
    struct iovageom_range range;
    size_t hosts; /* that do not map it */
    uint64_t who; /* a sum over them, to tell sets of hosts apart */
};

/* Where a kind begins, or ends, not to map. */
struct edge {
    uint64_t address;
    size_t kind;
    bool begins;
};

static int compare_edges(const void *a, const void *b)
{
    const struct edge *one = a;
    const struct edge *two = b;

    return (one->address > two->address) - (one->address < two->address);
}

static struct edge *find_edges(const struct pool *pool, size_t *count)
{
    struct edge *edges;
    size_t room = 0;

    for (size_t i = 0; i < pool->kind_count; i++)
        room += 2 * pool->kinds[i].summary.count + 2;
    edges = keep((room + 1) * sizeof(*edges));
    *count = 0;
    for (size_t i = 0; i < pool->kind_count; i++) {
        const struct summary *summary = &pool->kinds[i].summary;

        if (summary->count == 0 || summary->usable[0].start != 0)
            edges[(*count)++] = (struct edge){0, i, true};
        for (size_t k = 0; k < summary->count; k++) {
            if (summary->usable[k].start != 0)
                edges[(*count)++] = (struct edge){summary->usable[k].start, i, false};
            if (summary->usable[k].last != UINT64_MAX)
                edges[(*count)++] = (struct edge){summary->usable[k].last + 1, i, true};
        }
    }
    qsort(edges, *count, sizeof(*edges), compare_edges);
    return edges;
}

static int larger_first(const void *a, const void *b)
{
    const struct cost *one = a;
    const struct cost *two = b;
    int order =
        iovageom_size_compare(iovageom_range_size(two->range), iovageom_range_size(one->range));

    return order != 0
               ? order
               : (one->range.start > two->range.start) - (one->range.start < two->range.start);
}

/* What some hosts map and others do not: one sweep over where each begins and ends. */
static struct cost *find_costs(const struct pool *pool, size_t *count)
{
    size_t edge_count;
    const struct edge *edges = find_edges(pool, &edge_count);
    struct cost *costs = keep((edge_count + 1) * sizeof(*costs));
    size_t against = 0;
    uint64_t who = 0;

    *count = 0;
    for (size_t i = 0; i < edge_count;) {
        uint64_t start = edges[i].address;
        uint64_t last;

        for (; i < edge_count && edges[i].address == start; i++) {
            const struct kind *kind = &pool->kinds[edges[i].kind];
            uint64_t sign = kind->summary.fingerprint | 1;

            against = edges[i].begins ? against + kind->hosts : against - kind->hosts;
            who = edges[i].begins ? who + sign : who - sign;
        }
        last = i < edge_count ? edges[i].address - 1 : UINT64_MAX;
        if (against == 0 || against == pool->hosts)
            continue;
        if (*count != 0 && costs[*count - 1].who == who &&
            costs[*count - 1].range.last + 1 == start)
            costs[*count - 1].range.last = last;
        else
            costs[(*count)++] = (struct cost){{start, last}, against, who};
    }
    qsort(costs, *count, sizeof(*costs), larger_first);
    return costs;
}

/* ---- as text ---- */

static const char *names_of(const struct pool *pool, const struct kind *kind)
{
    const char *words = "";

    for (size_t i = 0; i < kind->name_count; i++)
        words = text("%s%s%s", words, i != 0 ? ", " : "", pool->sources[kind->names[i]].name);
    return kind->hosts > kind->name_count ? text("%s, ...", words) : words;
}

static bool maps(const struct summary *summary, struct iovageom_range range)
{
    size_t low = 0;
    size_t high = summary->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (summary->usable[middle].last < range.start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < summary->count && iovageom_range_contains(summary->usable[low], range);
}

/* Who does not map a range, as one kind. */
static struct kind forbidders(const struct pool *pool, struct iovageom_range range)
{
    struct kind all = {.hosts = 0};

    for (size_t i = 0; i < pool->kind_count; i++) {
        const struct kind *kind = &pool->kinds[i];

        if (maps(&kind->summary, range))
            continue;
        for (size_t k = 0; k < kind->name_count; k++)
            pool_count(&all, kind->names[k]);
        all.hosts += kind->hosts - kind->name_count;
    }
    return all;
}

static void say_kind(const struct pool *pool, const struct kind *kind, const char *words)
{
    if (kind->hosts != 0)
        say(pool->width, 2, "%s %s: %s", count_text(kind->hosts, "host"), words,
            names_of(pool, kind));
}

static void say_figures(const struct pool *pool)
{
    const struct iovageom_envelope *figures = &pool->figures;

    say(pool->width, 2, "%u bits%s%s", figures->gaw,
        figures->granule != 0
            ? text(", pages of %s and up", size_text((struct iovageom_size){0, figures->granule}))
            : ", pages not known",
        figures->map_budget != UINT64_MAX
            ? text(", at most %s", count_text(figures->map_budget, "mapping"))
            : "");
    for (size_t i = 0; i < pool->usable_count && i < COSTS_SHOWN; i++)
        printf("  usable %s %s\n", range_text(pool->usable[i]), range_size_text(pool->usable[i]));
    if (pool->usable_count > COSTS_SHOWN)
        printf("  and %zu ranges more\n", pool->usable_count - COSTS_SHOWN);
    if (pool->kind_count < 2)
        return;
    say(pool->width, 2, "the width is that of %s", names_of(pool, &pool->kinds[figures->gaw_host]));
    if (figures->granule != 0)
        say(pool->width, 2, "the pages are those of %s",
            names_of(pool, &pool->kinds[figures->granule_host]));
    if (figures->map_budget != UINT64_MAX)
        say(pool->width, 2, "the mappings are those of %s",
            names_of(pool, &pool->kinds[figures->map_budget_host]));
}

static void say_costs(const struct pool *pool)
{
    size_t count;
    const struct cost *costs = find_costs(pool, &count);
    size_t shown = pool->context->verbose || count < COSTS_SHOWN ? count : COSTS_SHOWN;

    if (count == 0)
        return;
    printf("\nWhat some of them map, and these do not\n");
    for (size_t i = 0; i < shown; i++) {
        struct kind who = forbidders(pool, costs[i].range);

        say(pool->width, 2, "%s %s: %s of %s (%s)", range_text(costs[i].range),
            range_size_text(costs[i].range), grouped(costs[i].hosts),
            count_text(pool->hosts, "host"), names_of(pool, &who));
    }
    if (shown < count)
        printf("  and %zu ranges more (--verbose)\n", count - shown);
}

void pool_say(const struct pool *pool)
{
    say(pool->width, 0, "%s, %s", count_text(pool->hosts, "host"),
        count_text(pool->kind_count, "kind"));
    say_kind(pool, &pool->none,
             "not counted, for no group can be assigned, or is known well enough");
    say_kind(pool, &pool->faulty, "read in part only");
    say_kind(pool, &pool->unsure, "with groups that are not counted, as not all is known of them");
    if (pool->hosts == 0)
        return;
    printf("\nA guest may go to each of them that keeps to\n");
    if (pool->usable_count == 0)
        printf("  nothing: no address is usable on all of them\n");
    else
        say_figures(pool);
    say_costs(pool);
}

/* ---- as JSON ---- */

static json_t *kind_json(const struct pool *pool, const struct kind *kind)
{
    json_t *object = out_object();
    json_t *names = out_array();

    for (size_t i = 0; i < kind->name_count; i++)
        out_add(names, out_string(pool->sources[kind->names[i]].name));
    out_set(object, "hosts", out_number(kind->hosts));
    out_set(object, "first", names);
    return object;
}

static json_t *envelope_json(const struct pool *pool)
{
    const struct iovageom_envelope *figures = &pool->figures;
    json_t *object = out_object();
    json_t *usable = out_array();

    for (size_t i = 0; i < pool->usable_count; i++)
        out_add(usable, out_range(pool->usable[i]));
    out_set(object, "bits", pool->usable_count != 0 ? out_number(figures->gaw) : NULL);
    out_set(object, "granule", figures->granule != 0 ? out_number(figures->granule) : NULL);
    out_set(object, "page_size_mask",
            figures->page_size_mask != 0 ? out_hex(figures->page_size_mask) : NULL);
    out_set(object, "mappings",
            figures->map_budget != UINT64_MAX ? out_number(figures->map_budget) : NULL);
    out_set(object, "usable", usable);
    return object;
}

void pool_json(const struct pool *pool)
{
    json_t *root = out_begin();
    json_t *faults = out_array();
    json_t *array = out_array();
    size_t count;
    const struct cost *costs = find_costs(pool, &count);

    out_set(root, "hosts", out_number(pool->hosts));
    out_set(root, "kinds", out_number(pool->kind_count));
    out_set(root, "not_assignable", kind_json(pool, &pool->none));
    out_set(root, "partly_read", kind_json(pool, &pool->faulty));
    out_set(root, "partly_known", kind_json(pool, &pool->unsure));
    out_set(root, "envelope", pool->hosts != 0 ? envelope_json(pool) : NULL);
    for (size_t i = 0; i < count; i++) {
        struct kind who = forbidders(pool, costs[i].range);
        json_t *object = out_range(costs[i].range);

        out_set(object, "not_mapped_by", kind_json(pool, &who));
        out_add(array, object);
    }
    out_set(root, "costs", array);
    for (size_t i = 0; i < pool->trouble_count; i++)
        out_add(faults, out_string(pool->troubles[i].words));
    out_set(root, "faults", faults);
    out_print(root);
}

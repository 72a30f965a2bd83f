/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_envelope.h>

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

#include "geometry_internal.h"

enum { KINDS = 7 }; /* of enum iovageom_fact */

/* Reads all that the pool reserves as `type`: into `out`, or with NULL only counts the ranges. */
static size_t gather(const struct iovageom_geometry *const *hosts, size_t count,
                     enum iovageom_resv_type type, struct iovageom_range *out)
{
    size_t total = 0;

    for (size_t host = 0; host < count; host++) {
        const struct iovageom_resv *resv = hosts[host]->resv;
        enum iovageom_resv_type of;
        const struct iovageom_owner *owner;
        const struct iovageom_rangeset *ranges;

        for (size_t i = 0; iovageom_resv_statement(resv, i, &of, &owner, &ranges) == IOVAGEOM_OK;
             i++) {
            size_t found = iovageom_rangeset_count(ranges);

            if (of != type)
                continue;
            if (out != NULL)
                (void)iovageom_rangeset_to_array(ranges, out + total, found, &found);
            total += found;
        }
    }
    return total;
}

/* Sorting all ranges at once beats a meet of one host after the other. */
static int meet_type(struct iovageom_geometry *met, const struct iovageom_geometry *const *hosts,
                     size_t count, enum iovageom_resv_type type, const struct iovageom_owner *owner)
{
    struct iovageom_rangeset set;
    size_t total = gather(hosts, count, type, NULL);
    struct iovageom_range *ranges = NULL;
    int status = iovageom_rangeset_init(&set, &met->allocator);

    if (total == 0)
        return status;
    if (total <= SIZE_MAX / sizeof(*ranges))
        ranges = met->allocator.allocate(met->allocator.context, total * sizeof(*ranges));
    if (ranges == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    (void)gather(hosts, count, type, ranges);
    status = iovageom_rangeset_from_array(&set, ranges, total);
    met->allocator.release(met->allocator.context, ranges, total * sizeof(*ranges));
    if (status == IOVAGEOM_OK)
        status = iovageom_resv_add_set(met->resv, &set, type, owner);
    iovageom_rangeset_deinit(&set);
    return status;
}

static void join(struct iovageom_geometry_fact *all, const struct iovageom_geometry_fact *one)
{
    switch (all->kind) {
    case IOVAGEOM_FACT_APERTURE:
        all->value = one->value > all->value ? one->value : all->value;
        all->last = one->last < all->last ? one->last : all->last;
        break;
    case IOVAGEOM_FACT_PAGE_SIZES:
        all->value = iovageom_pgsize_meet(all->value, one->value);
        break;
    case IOVAGEOM_FACT_ALIGNMENT:
        all->value = one->value > all->value ? one->value : all->value;
        break;
    case IOVAGEOM_FACT_MAP_BUDGET:
        all->value = one->value < all->value ? one->value : all->value;
        break;
    default:
        break;
    }
}

/* One fact of each kind that any host knows, joined over all of them. */
static int meet_facts(struct iovageom_geometry *met, const struct iovageom_geometry *const *hosts,
                      size_t count, const struct iovageom_owner *owner)
{
    struct iovageom_geometry_fact all[KINDS] = {{.kind = 0}};
    int status = iovageom_geometry_reserve(met, KINDS);

    for (size_t host = 0; status == IOVAGEOM_OK && host < count; host++)
        for (size_t i = 0; i < hosts[host]->count; i++) {
            const struct iovageom_geometry_fact *fact = &hosts[host]->facts[i];
            unsigned kind = 0;

            while (kind + 1 < KINDS && fact->kind >> kind != 1)
                kind++;
            if (all[kind].kind == 0)
                all[kind] = *fact;
            else
                join(&all[kind], fact);
            all[kind].owner = *owner;
        }
    for (unsigned kind = 0; status == IOVAGEOM_OK && kind < KINDS; kind++)
        if (all[kind].kind != 0)
            iovageom_geometry_put(met, &all[kind]);
    return status;
}

/* The figures; `usable` is what all map, in whole granules. */
static struct iovageom_envelope figures_of(const struct iovageom_geometry *met,
                                           const struct iovageom_geometry *const *hosts,
                                           size_t count, struct iovageom_range usable)
{
    struct iovageom_envelope figures = {.input_range = usable,
                                        .map_budget = UINT64_MAX,
                                        .gaw = iovageom_range_gaw(usable),
                                        .knows = count == 0 ? 0 : UINT32_MAX,
                                        .gaw_host = IOVAGEOM_HOST_NONE,
                                        .granule_host = IOVAGEOM_HOST_NONE,
                                        .map_budget_host = IOVAGEOM_HOST_NONE};
    uint64_t lowest = IOVAGEOM_ADDRESS_MAX;

    (void)iovageom_geometry_granule(met, &figures.granule);
    (void)iovageom_geometry_promise_mask(met, 0, &figures.page_size_mask);
    (void)iovageom_geometry_map_budget(met, &figures.map_budget);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = 0;

        figures.knows &= iovageom_geometry_knows(hosts[i]);
        if (iovageom_resv_top(hosts[i]->resv, &number) && number < lowest) {
            figures.gaw_host = i;
            lowest = number;
        }
        if (figures.granule_host == IOVAGEOM_HOST_NONE &&
            iovageom_geometry_granule(hosts[i], &number) == IOVAGEOM_OK &&
            number == figures.granule)
            figures.granule_host = i;
        if (figures.map_budget_host == IOVAGEOM_HOST_NONE &&
            iovageom_geometry_map_budget(hosts[i], &number) == IOVAGEOM_OK &&
            number == figures.map_budget)
            figures.map_budget_host = i;
    }
    return figures;
}

static int meet_all(struct iovageom_geometry *met, const struct iovageom_geometry *const *hosts,
                    size_t count, struct iovageom_range *hull)
{
    struct iovageom_rangeset usable;
    struct iovageom_owner owner;
    uint64_t granule = 1;
    int status = iovageom_owner_init(&owner, IOVAGEOM_SOURCE_ENVELOPE, met->name);

    for (int type = IOVAGEOM_RESV_DIRECT_RELAXABLE;
         status == IOVAGEOM_OK && type <= IOVAGEOM_RESV_MSI; type++)
        status = meet_type(met, hosts, count, (enum iovageom_resv_type)type, &owner);
    if (status == IOVAGEOM_OK)
        status = meet_facts(met, hosts, count, &owner);
    if (status == IOVAGEOM_OK &&
        iovageom_geometry_granule(met, &granule) == IOVAGEOM_ERR_NOTHING_USABLE)
        status = IOVAGEOM_ERR_NOTHING_USABLE;
    (void)iovageom_rangeset_init(&usable, &met->allocator);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_usable(met, granule, &usable);
    if (status == IOVAGEOM_OK && !iovageom_rangeset_hull(&usable, hull))
        status = IOVAGEOM_ERR_NOTHING_USABLE;
    iovageom_rangeset_deinit(&usable);
    return status;
}

int iovageom_plan_envelope(const struct iovageom_allocator *allocator,
                           const struct iovageom_geometry *const *hosts, size_t count,
                           const char *name, struct iovageom_envelope *figures,
                           struct iovageom_geometry **out, struct iovageom_report *report)
{
    struct iovageom_geometry *met;
    struct iovageom_range hull;
    int status = iovageom_geometry_new(allocator, name, &met);

    iovageom_report_clear(report);
    if (status < 0)
        return status;
    status = meet_all(met, hosts, count, &hull);
    if (status == IOVAGEOM_ERR_NOTHING_USABLE) {
        struct iovageom_finding finding =
            iovageom_finding_blank(IOVAGEOM_FINDING_NOTHING_USABLE, status);

        (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_ENVELOPE, name);
        iovageom_report_add(report, &finding);
    }
    for (size_t i = 0; report != NULL && i < count; i++)
        iovageom_geometry_doubts(hosts[i], report);
    if (status == IOVAGEOM_OK && figures != NULL)
        *figures = figures_of(met, hosts, count, hull);
    if (status == IOVAGEOM_OK && out != NULL)
        *out = met;
    else
        iovageom_geometry_free(met);
    return status;
}

size_t iovageom_plan_envelope_who(const struct iovageom_geometry *const *hosts, size_t count,
                                  struct iovageom_range range, size_t *out, size_t capacity)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        if (!iovageom_resv_forbids(hosts[i]->resv, range))
            continue;
        if (found < capacity)
            out[found] = i;
        found++;
    }
    return found;
}

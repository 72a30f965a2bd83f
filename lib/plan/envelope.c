/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_envelope.h>

#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "../geometry/internal.h"

/*
 * An envelope is the meet of a pool of hosts, with all facts owned by the envelope itself. It is
 * not made by repeated iovageom_geometry_narrow(), which would copy the regions of all hosts so far
 * once for each host: O(n^2) for a large pool.
 */

/*
 * Adds regions of a host as the envelope's, to row number *row - 1, which is made if *row is 0.
 * Most hosts of a pool have the same: a test whether a range is there already is cheaper than to
 * add it again.
 */
static int add_regions(struct iovageom_geometry *met, const struct iovageom_fact_key *key,
                       size_t *row, const struct iovageom_rangeset *ranges)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_rangeset *set;
    struct iovageom_range range;
    int status = IOVAGEOM_OK;

    if (*row == 0 && iovageom_geometry_open(met, key, false) == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    if (*row == 0)
        *row = met->count;
    set = met->facts[*row - 1].ranges;
    iovageom_rangeset_seek(ranges, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range))
        if (!iovageom_rangeset_contains(set, range))
            status = iovageom_rangeset_insert(set, range);
    return status;
}

/* Copies the facts of all hosts to `met`, under `owner`; equal ones become one. Regions of a type
 * have one row; others are appended, but for what the host before has stated in the same place:
 * mostly that is all. They are sorted at the end. One pass, as a pool has no place in a cache. */
static int add_hosts(struct iovageom_geometry *met, const struct iovageom_owner *owner,
                     const struct iovageom_geometry *const *hosts, size_t count)
{
    size_t rows[IOVAGEOM_RESV_MSI + 1] = {0};
    int status = IOVAGEOM_OK;

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; status == IOVAGEOM_OK && j < hosts[i]->count; j++) {
            const struct iovageom_geometry_fact *fact = &hosts[i]->facts[j], *before = NULL;
            const struct iovageom_fact_key key = {fact->kind, owner, fact->value, fact->last};

            if (i > 0 && j < hosts[i - 1]->count)
                before = &hosts[i - 1]->facts[j];
            if (iovageom_fact_has_ranges(fact))
                status = add_regions(met, &key, &rows[iovageom_fact_type(fact)], fact->ranges);
            else if ((before == NULL || before->kind != key.kind || before->value != key.value ||
                      before->last != key.last) &&
                     iovageom_geometry_open(met, &key, false) == NULL)
                status = IOVAGEOM_ERR_NO_MEMORY;
        }
    return status < 0 ? status : iovageom_geometry_settle(met);
}

/*
 * The figures, and for each the first host that determines it. `usable` is the hull of the usable
 * addresses in whole granules. Unlike `met`, which knows a fact when one host does, `knows` has the
 * facts that every host states.
 */
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
        if (iovageom_geometry_top(hosts[i], &number) && number < lowest) {
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

/* Fills `met`. *hull receives the range from the first to the last address usable on all hosts. */
static int meet_all(struct iovageom_geometry *met, const struct iovageom_geometry *const *hosts,
                    size_t count, struct iovageom_range *hull)
{
    struct iovageom_owner owner;
    struct iovageom_rangeset usable;
    uint64_t granule = 1;
    int status;

    (void)iovageom_owner_init(&owner, IOVAGEOM_SOURCE_ENVELOPE, met->self.name);
    status = add_hosts(met, &owner, hosts, count);
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
        (void)iovageom_geometry_direct(hosts[i], IOVAGEOM_ID_NONE, IOVAGEOM_OK, report);
    for (size_t i = 0; report != NULL && i < count; i++)
        iovageom_geometry_doubts(hosts[i], IOVAGEOM_ID_NONE, report);
    if (status == IOVAGEOM_OK && figures != NULL)
        *figures = figures_of(met, hosts, count, hull);
    if (status == IOVAGEOM_OK && out != NULL)
        *out = met;
    else
        iovageom_geometry_free(met);
    return status;
}

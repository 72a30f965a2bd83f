/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <iovageom/plan_migration.h>

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

#include "../geometry/internal.h"

/* Reports who forbids parts of `range`, as `blank` with the obstacle filled in. */
static void blame(const struct iovageom_resv_walk *walk, struct iovageom_range range,
                  const struct iovageom_finding *blank, struct iovageom_report *report)
{
    struct iovageom_finding finding = *blank;

    while (iovageom_geometry_next_obstacle(walk, &range, &finding)) {
        finding.range = blank->range;
        iovageom_report_add(report, &finding);
    }
}

/* The addresses that were promised and can't be kept, each with who stands against it. */
static int check_addresses(const struct iovageom_allocator *allocator,
                           const struct iovageom_resv_walk *walk, uint64_t granule,
                           const struct iovageom_promise *promise, struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_PROMISE, IOVAGEOM_ERR_CONFLICT);
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_rangeset promised;
    int result = IOVAGEOM_OK;
    int status = iovageom_rangeset_init(&promised, allocator);

    if (status == IOVAGEOM_OK && promise->usable == NULL)
        status = iovageom_rangeset_insert(&promised, promise->input_range);
    else if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_clip(&promised, promise->usable, promise->input_range);
    /* A guest maps whole granules: of what is left beside them it can use nothing. */
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_align_inward(&promised, &promised, granule);
    if (status == IOVAGEOM_OK) {
        finding.endpoint = promise->endpoint;
        iovageom_rangeset_seek(&promised, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &finding.range)) {
            if (!iovageom_resv_walk_forbids(walk, finding.range))
                continue;
            blame(walk, finding.range, &finding, report);
            result = IOVAGEOM_ERR_CONFLICT;
        }
    }
    iovageom_rangeset_deinit(&promised);
    return status < 0 ? status : result;
}

static int check_granule(const struct iovageom_geometry *destination, uint64_t promised,
                         struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_GRANULE, IOVAGEOM_ERR_CONFLICT);
    int status = iovageom_geometry_granule(destination, &finding.offered);

    finding.wanted = promised;
    if (status == IOVAGEOM_ERR_NOTHING_USABLE)
        finding = iovageom_finding_blank(IOVAGEOM_FINDING_NOTHING_USABLE, IOVAGEOM_ERR_CONFLICT);
    else if (status < 0 || promised == 0 || finding.offered <= promised)
        return IOVAGEOM_OK;
    (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, destination->name);
    iovageom_report_add(report, &finding);
    return IOVAGEOM_ERR_CONFLICT;
}

static int check_domain(const struct iovageom_resv_walk *walk, uint64_t granule,
                        const struct iovageom_live_domain *domain, struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_MAPPING, IOVAGEOM_ERR_CONFLICT);
    struct iovageom_finding crooked =
        iovageom_finding_blank(IOVAGEOM_FINDING_ALIGNMENT, IOVAGEOM_ERR_CONFLICT);
    struct iovageom_mappings_cursor cursor;
    struct iovageom_mapping mapping;
    int result = IOVAGEOM_OK;

    finding.domain = crooked.domain = domain->domain;
    crooked.wanted = granule;
    iovageom_mappings_seek(domain->mappings, 0, &cursor);
    while (iovageom_mappings_next(&cursor, &mapping)) {
        finding.range = crooked.range = mapping.range;
        if (iovageom_resv_walk_forbids(walk, mapping.range)) {
            blame(walk, mapping.range, &finding, report);
            result = IOVAGEOM_ERR_CONFLICT;
        }
        if (!iovageom_range_is_aligned(mapping.range, granule)) {
            iovageom_report_add(report, &crooked);
            result = IOVAGEOM_ERR_CONFLICT;
        }
    }
    return result;
}

static int check_budget(const struct iovageom_geometry *destination,
                        const struct iovageom_live_domain *domains, size_t count,
                        struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_BUDGET, IOVAGEOM_ERR_CONFLICT);

    for (size_t i = 0; i < count; i++)
        finding.wanted += iovageom_mappings_count(domains[i].mappings);
    if (iovageom_geometry_map_budget(destination, &finding.offered) < 0 ||
        finding.wanted <= finding.offered)
        return IOVAGEOM_OK;
    (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, destination->name);
    iovageom_report_add(report, &finding);
    return IOVAGEOM_ERR_CONFLICT;
}

int iovageom_plan_migration(const struct iovageom_allocator *allocator,
                            const struct iovageom_geometry *destination,
                            const struct iovageom_promise *promise,
                            const struct iovageom_live_domain *domains, size_t count,
                            struct iovageom_report *report)
{
    uint64_t granule = 1;
    uint64_t promised = promise != NULL ? iovageom_pgsize_granule(promise->page_size_mask) : 0;
    struct iovageom_resv_walk walk;
    int status = IOVAGEOM_OK;
    int result;

    iovageom_report_clear(report);
    if (promise != NULL && !iovageom_range_valid(promise->input_range))
        return IOVAGEOM_ERR_INVERTED;
    iovageom_resv_walk_open(&walk, destination->resv);
    result = check_granule(destination, promised, report);
    if (promise != NULL)
        status = check_addresses(allocator, &walk, promised != 0 ? promised : 1, promise, report);
    if (status == IOVAGEOM_ERR_CONFLICT)
        result = status;
    (void)iovageom_geometry_granule(destination, &granule);
    for (size_t i = 0; i < count; i++)
        if (check_domain(&walk, granule, &domains[i], report) < 0)
            result = IOVAGEOM_ERR_CONFLICT;
    iovageom_resv_walk_close(&walk);
    if (status < 0 && status != IOVAGEOM_ERR_CONFLICT)
        return status;
    if (check_budget(destination, domains, count, report) < 0)
        result = IOVAGEOM_ERR_CONFLICT;
    (void)iovageom_geometry_direct(destination, IOVAGEOM_ID_NONE, IOVAGEOM_OK, report);
    iovageom_geometry_doubts(destination, IOVAGEOM_ID_NONE, report);
    return result;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The oracle looks at 64 addresses one by one. */
#include "support/property.h"

#include <iovageom/plan_migration.h>
#include <iovageom/status.h>

#define CELLS    64u
#define ROUNDS   20000

#define DO(call) property_check((call) == IOVAGEOM_OK)

static void random_cells(struct test_random *random, bool cells[CELLS],
                         struct iovageom_rangeset *set, struct iovageom_geometry *geometry)
{
    for (uint64_t i = test_random_below(random, 4); i > 0; i--) {
        struct iovageom_range range = test_random_small_range(random, CELLS);

        if (range.last - range.start > 9)
            range.last = range.start + test_random_below(random, 9);
        for (uint64_t at = range.start; at <= range.last; at++)
            cells[at] = true;
        if (set != NULL)
            DO(iovageom_rangeset_insert(set, range));
        if (geometry != NULL)
            DO(iovageom_geometry_add_reserved(geometry, range, IOVAGEOM_RESV_DIRECT,
                                              IOVAGEOM_SOURCE_SYSFS));
    }
}

/* Whether a guest that maps whole granules could choose an address that is refused. */
static bool promise_broken(const bool usable[CELLS], struct iovageom_range input,
                           const bool refused[CELLS], uint64_t granule)
{
    for (uint64_t block = 0; block < CELLS; block += granule) {
        bool whole = true;
        bool hit = false;

        for (uint64_t at = block; at < block + granule; at++) {
            whole = whole && usable[at] && iovageom_range_has(input, at);
            hit = hit || refused[at];
        }
        if (whole && hit)
            return true;
    }
    return false;
}

START_TEST(Q27_migration_keeps_promises_and_mappings)
{
    struct test_random random = test_random_start(1);
    unsigned kept = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        bool usable[CELLS] = {false};
        bool refused[CELLS] = {false};
        struct iovageom_rangeset set;
        struct iovageom_mappings mappings;
        struct iovageom_geometry *destination;
        struct iovageom_promise promise = {test_random_small_range(&random, CELLS), 0, &set, 1};
        struct iovageom_live_domain domain = {&mappings, 1};
        uint64_t granule = UINT64_C(1) << test_random_below(&random, 3);
        uint64_t promised = UINT64_C(1) << test_random_below(&random, 3);
        uint64_t budget = test_random_below(&random, 6);
        struct iovageom_report report;
        bool conflict;

        DO(iovageom_rangeset_init(&set, NULL));
        DO(iovageom_mappings_init(&mappings, IOVAGEOM_MAPPINGS_NO_BUDGET, NULL));
        DO(iovageom_geometry_new(NULL, "destination", &destination));
        DO(iovageom_geometry_add_page_sizes(destination, granule, IOVAGEOM_SOURCE_VFIO));
        random_cells(&random, usable, &set, NULL);
        random_cells(&random, refused, NULL, destination);
        promise.page_size_mask = promised | 0x100;
        conflict =
            granule > promised || promise_broken(usable, promise.input_range, refused, promised);
        for (unsigned i = 0; i < 4; i++) {
            struct iovageom_mapping mapping = {test_random_small_range(&random, CELLS), 0, 0};

            mapping.range = iovageom_range_align_outward(mapping.range, promised);
            if (test_random_one_in(&random, 3) || mapping.range.last - mapping.range.start > 7 ||
                iovageom_mappings_map(&mappings, &mapping) != IOVAGEOM_OK)
                continue;
            for (uint64_t at = mapping.range.start; at <= mapping.range.last; at++)
                conflict = conflict || refused[at];
            conflict = conflict || mapping.range.start % granule != 0 ||
                       (mapping.range.last + 1) % granule != 0;
        }
        if (test_random_one_in(&random, 2)) {
            DO(iovageom_geometry_add_map_budget(destination, budget, IOVAGEOM_SOURCE_VFIO));
            conflict = conflict || iovageom_mappings_count(&mappings) > budget;
        }
        iovageom_report_init(&report, NULL);
        int status = iovageom_plan_migration(NULL, destination, &promise, &domain, 1, &report);
        property_check(status == (conflict ? IOVAGEOM_ERR_CONFLICT : IOVAGEOM_OK));
        property_check(!conflict || iovageom_report_at(&report, 0)->fatal == 1);
        kept += !conflict;
        for (size_t i = 0; i < iovageom_report_count(&report); i++) {
            const struct iovageom_finding *finding = iovageom_report_at(&report, i);

            property_check(conflict || finding->fatal == 0);
            if (finding->kind == IOVAGEOM_FINDING_PROMISE ||
                finding->kind == IOVAGEOM_FINDING_MAPPING)
                property_check(iovageom_range_overlaps(finding->range, finding->against) &&
                               refused[finding->against.start]);
        }
        iovageom_report_deinit(&report);
        iovageom_rangeset_deinit(&set);
        iovageom_mappings_deinit(&mappings);
        iovageom_geometry_free(destination);
    }
    property_check(kept > ROUNDS / 20 && kept < ROUNDS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan_migration");

    property_add(suite, Q27_migration_keeps_promises_and_mappings);
    return property_run(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/plan_migration.h>
#include <iovageom/status.h>

#include "support/test_allocator.h"

#define R(start, last) ((struct iovageom_range){(start), (last)})

static struct iovageom_geometry *host(const char *name, uint64_t top, uint64_t mask)
{
    const struct iovageom_range usable[] = {{0, 0xfedfffff}, {0xfef00000, top}};
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), 0);
    assert_int_equal(iovageom_geometry_add_usable(geometry, usable, 2, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, mask, IOVAGEOM_SOURCE_VFIO), 0);
    return geometry;
}

static void map(struct iovageom_mappings *mappings, uint64_t start, uint64_t last)
{
    const struct iovageom_mapping mapping = {R(start, last), 0, 0};

    assert_int_equal(iovageom_mappings_map(mappings, &mapping), 0);
}

/* Q27, F14: promises of a 48-bit source, asked of several destinations. */
static void Q27_destination_against_promises(void **state)
{
    struct iovageom_geometry *source = host("source", 0xffffffffffff, 0x40201000);
    struct iovageom_geometry *narrow = host("narrow", 0x7fffffffff, 0x40201000);
    struct iovageom_geometry *coarse = host("coarse", 0xffffffffffff, 0x10000);
    struct iovageom_geometry *silent;
    struct iovageom_rangeset usable;
    struct iovageom_promise promise = {R(0, 0xffffffffffff), 0x40201000, &usable, 9};
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_rangeset_init(&usable, NULL), 0);
    assert_int_equal(iovageom_geometry_usable(source, 0x1000, &usable), 0);
    assert_int_equal(iovageom_plan_migration(NULL, source, &promise, NULL, 0, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 0);
    assert_int_equal(iovageom_plan_migration(NULL, narrow, &promise, NULL, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_string_equal(iovageom_report_text(&report),
                        "narrow reserves [0x8000000000,0xffffffffffffffff] (reserved), but a PROBE "
                        "of endpoint 9 promised the guest [0xfef00000,0xffffffffffff]; plug it "
                        "before the guest probes, or reserve that range from the start");
    /* An input range that leaves the missing part out makes it good. */
    promise.input_range.last = 0x7fffffffff;
    assert_int_equal(iovageom_plan_migration(NULL, narrow, &promise, NULL, 0, &report), 0);
    /* Without a list all of the input range was promised, the MSI window too. */
    promise.usable = NULL;
    promise.endpoint = IOVAGEOM_ID_NONE;
    assert_int_equal(iovageom_plan_migration(NULL, narrow, &promise, NULL, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_string_equal(iovageom_report_text(&report),
                        "narrow reserves [0xfee00000,0xfeefffff] (reserved), but the guest was "
                        "promised [0x0,0x7fffffffff]; keep it where that can be mapped");
    promise.usable = &usable;
    assert_int_equal(iovageom_plan_migration(NULL, coarse, &promise, NULL, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_string_equal(iovageom_report_text(&report),
                        "coarse maps no pages smaller than 0x10000, but the granule is 0x1000; "
                        "choose a granule of at least 0x10000 before the guest starts");
    promise.page_size_mask = 0x10000;
    assert_int_equal(iovageom_plan_migration(NULL, coarse, &promise, NULL, 0, &report), 0);

    assert_int_equal(iovageom_geometry_new(NULL, "silent", &silent), 0);
    assert_int_equal(iovageom_plan_migration(NULL, silent, &promise, NULL, 0, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 3);
    assert_int_equal(iovageom_report_at(&report, 0)->fatal, 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(silent, 0, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(iovageom_plan_migration(NULL, silent, NULL, NULL, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    promise.input_range = R(1, 0);
    assert_int_equal(iovageom_plan_migration(NULL, silent, &promise, NULL, 0, &report),
                     IOVAGEOM_ERR_INVERTED);
    iovageom_rangeset_deinit(&usable);
    iovageom_geometry_free(source);
    iovageom_geometry_free(narrow);
    iovageom_geometry_free(coarse);
    iovageom_geometry_free(silent);
    iovageom_report_deinit(&report);
}

static void F14_destination_against_live_mappings(void **state)
{
    struct iovageom_geometry *narrow = host("narrow", 0x7fffffffff, 0x10000);
    struct iovageom_mappings first;
    struct iovageom_mappings second;
    struct iovageom_live_domain domains[2] = {{&first, 3}, {&second, 4}};
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_mappings_init(&first, IOVAGEOM_MAPPINGS_NO_BUDGET, NULL), 0);
    assert_int_equal(iovageom_mappings_init(&second, IOVAGEOM_MAPPINGS_NO_BUDGET, NULL), 0);
    map(&first, 0x10000, 0x1ffff);
    map(&second, 0x7ffff00000, 0x7fffffffff);
    assert_int_equal(iovageom_plan_migration(NULL, narrow, NULL, domains, 2, &report), 0);
    map(&second, 0x9000000000, 0x900000ffff);
    map(&second, 0x21000, 0x21fff);
    assert_int_equal(iovageom_plan_migration(NULL, narrow, NULL, domains, 2, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 2);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_ALIGNMENT);
    assert_int_equal(iovageom_report_at(&report, 0)->domain, 4);
    assert_int_equal(iovageom_report_at(&report, 1)->kind, IOVAGEOM_FINDING_MAPPING);
    char text[512];
    (void)iovageom_finding_text(iovageom_report_at(&report, 1), text, sizeof(text));
    assert_string_equal(text, "narrow reserves [0x8000000000,0xffffffffffffffff] (reserved), where "
                              "domain 4 already maps [0x9000000000,0x900000ffff]");

    assert_int_equal(iovageom_geometry_add_map_budget(narrow, 3, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_plan_migration(NULL, narrow, NULL, domains, 2, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 2)->kind, IOVAGEOM_FINDING_BUDGET);
    assert_int_equal(iovageom_report_at(&report, 2)->wanted, 4);
    assert_int_equal(iovageom_report_at(&report, 2)->offered, 3);
    /* A broken promise does not hide what else is broken. */
    struct iovageom_promise promise = {R(0, UINT64_MAX), 0, NULL, IOVAGEOM_ID_NONE};
    assert_int_equal(iovageom_plan_migration(NULL, narrow, &promise, domains, 2, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 5);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_PROMISE);
    assert_int_equal(iovageom_report_at(&report, 1)->kind, IOVAGEOM_FINDING_PROMISE);
    assert_int_equal(iovageom_report_at(&report, 4)->kind, IOVAGEOM_FINDING_BUDGET);
    iovageom_mappings_deinit(&first);
    iovageom_mappings_deinit(&second);
    iovageom_geometry_free(narrow);
    iovageom_report_deinit(&report);
}

static void every_allocation_may_fail(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 0x7fffffffff, 0x1000);
    struct iovageom_rangeset usable;
    struct iovageom_promise promise = {R(0, 0x7fffffffff), 0x1000, &usable, 9};

    (void)state;
    assert_int_equal(iovageom_rangeset_init(&usable, NULL), 0);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(iovageom_rangeset_insert(&usable, R(i << 16, (i << 16) + 0x1fff)), 0);
    for (unsigned n = 1, hit = 1; hit != 0; n++) {
        struct test_allocator memory;

        test_allocator_init(&memory);
        test_allocator_fail_at(&memory, n, n % 2 == 0);
        int status = iovageom_plan_migration(&memory.allocator, geometry, &promise, NULL, 0, NULL);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
        assert_int_equal(test_allocator_live(&memory), 0);
    }
    iovageom_rangeset_deinit(&usable);
    iovageom_geometry_free(geometry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(Q27_destination_against_promises),
        cmocka_unit_test(F14_destination_against_live_mappings),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

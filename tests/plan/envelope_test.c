/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/plan_envelope.h>
#include <iovageom/status.h>

#include "support/test_allocator.h"

#include "geometry/internal.h"

#define R(start, last) ((struct iovageom_range){(start), (last)})
#define POOL(hosts)    ((const struct iovageom_geometry *const *)(hosts))

static struct iovageom_geometry *host(const char *name, uint64_t top, uint64_t mask,
                                      uint64_t budget)
{
    const struct iovageom_range usable[] = {{0, 0xfedfffff}, {0xfef00000, top}};
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), 0);
    assert_int_equal(iovageom_geometry_add_usable(geometry, usable, 2, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, mask, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, budget, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0xfee00000, 0xfeefffff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    return geometry;
}

/* E1, E5, F8: what to tell a guest whose devices are yet to come. */
static void E5_envelope_of_three_hosts(void **state)
{
    struct iovageom_geometry *hosts[] = {host("h0", 0xffffffffffff, 0x40201000, 65535),
                                         host("h1", 0x7fffffffff, 0x40201000, 65535),
                                         host("h2", 0xffffffffffff, 0x20010000, 1000)};
    const struct iovageom_region wanted[] = {
        {R(0xdf800000, 0xdfffffff), IOVAGEOM_RESV_DIRECT, 0},
        {R(0xfee00000, 0xfeefffff), IOVAGEOM_RESV_MSI, 0},
        {R(0x8000000000, UINT64_MAX), IOVAGEOM_RESV_RESERVED, 0}};
    struct iovageom_envelope figures;
    struct iovageom_geometry *envelope;
    struct iovageom_region regions[8];
    struct iovageom_report report;
    size_t count;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_add_reserved(hosts[2], R(0xdf800000, 0xdfffffff),
                                                    IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(
        iovageom_plan_envelope(NULL, POOL(hosts), 3, "pool", &figures, &envelope, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_DIRECT);
    assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "h2");
    assert_int_equal(figures.input_range.start, 0);
    assert_int_equal(figures.input_range.last, 0x7fffffffff);
    assert_int_equal(figures.gaw, 39);
    assert_int_equal(figures.gaw_host, 1);
    assert_int_equal(figures.granule, 0x10000);
    assert_int_equal(figures.granule_host, 2);
    assert_int_equal(figures.page_size_mask, 0x10000);
    assert_int_equal(figures.map_budget, 1000);
    assert_int_equal(figures.map_budget_host, 2);
    assert_int_equal(figures.knows, iovageom_geometry_knows(hosts[0]));
    assert_string_equal(iovageom_geometry_name(envelope), "pool");
    assert_int_equal(iovageom_geometry_reserved(envelope, 0x10000, regions, 8, &count), 0);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(regions[i].range.start, wanted[i].range.start);
        assert_int_equal(regions[i].range.last, wanted[i].range.last);
        assert_int_equal(regions[i].type, wanted[i].type);
        assert_int_equal(iovageom_geometry_owner(envelope, regions[i].owner)->source,
                         IOVAGEOM_SOURCE_ENVELOPE);
    }
    iovageom_geometry_free(envelope);
    for (unsigned i = 0; i < 3; i++)
        iovageom_geometry_free(hosts[i]);
    iovageom_report_deinit(&report);
}

/* F8: the list that locks an envelope in: no range is one address, none overlaps, all are free. */
static void F8_allow_list_of_an_envelope(void **state)
{
    struct iovageom_geometry *hosts[] = {host("h0", 0x7fffffffff, 0x1000, 9),
                                         host("h1", 0xffffffffff, 0x1000, 9)};
    struct iovageom_geometry *envelope;
    struct iovageom_rangeset usable;
    struct iovageom_range list[4];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_plan_envelope(NULL, POOL(hosts), 2, "", NULL, &envelope, NULL), 0);
    assert_int_equal(iovageom_rangeset_init(&usable, NULL), 0);
    assert_int_equal(iovageom_geometry_usable(envelope, 0x1000, &usable), 0);
    assert_int_equal(iovageom_rangeset_to_array(&usable, list, 4, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].last, 0xfedfffff);
    assert_int_equal(list[1].start, 0xfef00000);
    assert_int_equal(list[1].last, 0x7fffffffff);
    iovageom_rangeset_deinit(&usable);
    iovageom_geometry_free(envelope);
    for (unsigned i = 0; i < 2; i++)
        iovageom_geometry_free(hosts[i]);
}

static void unknown_and_nothing(void **state)
{
    struct iovageom_geometry *hosts[3] = {host("h0", 0x7fffffffff, 0x1000, 9)};
    struct iovageom_envelope figures;
    struct iovageom_envelope same;
    struct iovageom_geometry *envelope = NULL;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_plan_envelope(NULL, NULL, 0, "none", &figures, &envelope, &report),
                     0);
    assert_int_equal(iovageom_geometry_knows(envelope), 0);
    assert_int_equal(figures.knows, 0);
    assert_int_equal(figures.gaw, 64);
    assert_int_equal(figures.granule, 0);
    assert_true(figures.map_budget == UINT64_MAX && figures.gaw_host == IOVAGEOM_HOST_NONE);
    iovageom_geometry_free(envelope);

    assert_int_equal(iovageom_geometry_new(NULL, "silent", &hosts[1]), 0);
    assert_int_equal(iovageom_plan_envelope(NULL, POOL(hosts), 2, "pool", &figures, NULL, &report),
                     0);
    assert_int_equal(figures.knows, 0);
    assert_int_equal(figures.granule, 0x1000);
    assert_int_equal(iovageom_report_count(&report), 3);
    assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "silent");

    assert_int_equal(iovageom_geometry_new(NULL, "high", &hosts[2]), 0);
    assert_int_equal(
        iovageom_geometry_add_aperture(hosts[2], R(0x8000000000, UINT64_MAX), IOVAGEOM_SOURCE_USER),
        0);
    same = figures;
    envelope = NULL;
    assert_int_equal(
        iovageom_plan_envelope(NULL, POOL(hosts), 3, "pool", &figures, &envelope, &report),
        IOVAGEOM_ERR_NOTHING_USABLE);
    assert_null(envelope);
    assert_memory_equal(&figures, &same, sizeof(same));
    assert_non_null(strstr(iovageom_report_text(&report),
                           "pool leaves no address usable; it cannot be assigned"));
    /* A page-size mask of 0 leaves nothing either. */
    assert_int_equal(iovageom_geometry_add_page_sizes(hosts[1], 0, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(
        iovageom_plan_envelope(NULL, POOL(hosts), 2, "pool", &figures, &envelope, NULL),
        IOVAGEOM_ERR_NOTHING_USABLE);
    for (unsigned i = 0; i < 3; i++)
        iovageom_geometry_free(hosts[i]);
    iovageom_report_deinit(&report);
}

static void every_allocation_may_fail(void **state)
{
    struct iovageom_geometry *hosts[] = {host("h0", 0xffffffffffff, 0x40201000, 65535),
                                         host("h1", 0x7fffffffff, 0x40201000, 65535)};

    (void)state;
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(iovageom_geometry_add_reserved(hosts[i % 2], R(i << 20, (i << 20) + 0xfff),
                                                        IOVAGEOM_RESV_DIRECT,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
    for (unsigned n = 1, hit = 1; hit != 0; n++) {
        struct test_allocator memory;
        struct iovageom_geometry *envelope = NULL;

        test_allocator_init(&memory);
        test_allocator_fail_at(&memory, n, n % 2 == 0);
        int status = iovageom_plan_envelope(&memory.allocator, POOL(hosts), 2, "pool", NULL,
                                            &envelope, NULL);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
        assert_int_equal(envelope == NULL, hit);
        iovageom_geometry_free(envelope);
        assert_int_equal(test_allocator_live(&memory), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        iovageom_geometry_free(hosts[i]);
}

/* On the host that it comes to, the guest makes all its mappings anew: what is left there is
 * all. */
static void what_is_left_of_a_host_is_a_limit_on_all(void **state)
{
    struct iovageom_geometry *hosts[] = {host("h0", 0xffffffffffff, 0x1000, 65535),
                                         host("h1", 0xffffffffffff, 0x1000, 900)};
    struct iovageom_geometry *envelope;
    uint64_t total, left;

    (void)state;
    assert_int_equal(iovageom_plan_envelope(NULL, POOL(hosts), 2, "pool", NULL, &envelope, NULL),
                     0);
    iovageom_geometry_budgets(hosts[1], &total, &left);
    assert_true(total == UINT64_MAX && left == 900);
    iovageom_geometry_budgets(envelope, &total, &left);
    assert_true(total == 900 && left == UINT64_MAX);
    iovageom_geometry_free(envelope);
    iovageom_geometry_free(hosts[0]);
    iovageom_geometry_free(hosts[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(E5_envelope_of_three_hosts),
        cmocka_unit_test(what_is_left_of_a_host_is_a_limit_on_all),
        cmocka_unit_test(F8_allow_list_of_an_envelope),
        cmocka_unit_test(unknown_and_nothing),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

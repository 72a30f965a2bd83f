/* SPDX-License-Identifier: BSD-3-Clause */

/* Linux calls its software's MSI window "msi", as it calls hardware doorbells: who tells them
 * apart. */
#include "support/test_allocator.h"
#include "support/test_viommu.h"

#include <iovageom/host_sysfs.h>
#include <iovageom/plan_envelope.h>
#include <iovageom/plan_layout.h>

#include "geometry/internal.h"

#define WINDOW R(0xa0000000, 0xa00fffff)

static struct iovageom_geometry *read_text(const struct iovageom_allocator *allocator,
                                           const char *text)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(allocator, "soc", &geometry), 0);
    assert_int_equal(iovageom_host_sysfs_reserved_regions(text, strlen(text), IOVAGEOM_SYSFS_STRICT,
                                                          NULL, geometry),
                     0);
    return geometry;
}

static const struct iovageom_finding *doubt(const struct iovageom_report *report)
{
    for (size_t i = 0; i < iovageom_report_count(report); i++)
        if (iovageom_report_at(report, i)->kind == IOVAGEOM_FINDING_MSI_WINDOW)
            return iovageom_report_at(report, i);
    return NULL;
}

static void check_type(const struct iovageom_geometry *geometry, struct iovageom_range range,
                       enum iovageom_resv_type type)
{
    struct iovageom_region regions[16];
    size_t count;

    assert_int_equal(iovageom_geometry_regions(geometry, regions, 16, &count), 0);
    for (size_t i = 0; i < count; i++)
        if (iovageom_range_equal(regions[i].range, range)) {
            assert_int_equal(regions[i].type, type);
            return;
        }
    fail_msg("no such region");
}

static void a_window_elsewhere_is_doubted(void **state)
{
    static const struct {
        const char *text;
        bool doubted;
    } cases[] = {
        {"0xa0000000 0xa00fffff msi\n", true},
        {"0xfef00000 0xfeffffff msi\n", true},
        {"0x8000000 0x80fffff msi\n", false},
        {"0xfee00000 0xfeefffff msi\n", false},
        {"0xfee00000 0xfeefffff msi\n0xa0000000 0xa00fffff msi\n", true},
        /* 128K of a GIC's ITS, and one page of Apple's. */
        {"0x8080000 0x809ffff msi\n", false},
        {"0xfffff000 0xffffffff msi\n", false},
        {"0xa0000000 0xa01fffff msi\n", false},
        {"0xa0000000 0xa00fffff reserved\n", false},
        {"0xa0000000 0xa00fffff direct-relaxable\n", false},
        {"", false},
    };
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_geometry *geometry = read_text(NULL, cases[i].text);

        (void)iovageom_geometry_explain(geometry, R(0, 0xfff), &report);
        assert_int_equal(doubt(&report) != NULL, cases[i].doubted);
        iovageom_geometry_free(geometry);
    }
    iovageom_report_deinit(&report);
}

/* Everybody who notes what is unknown notes it; with its place and name. */
static void all_who_doubt_say_it(void **state)
{
    const struct iovageom_piece ram = {R(0, 0xffff), IOVAGEOM_PIECE_RAM, 0, 0, ALL};
    struct iovageom_geometry *soc = read_text(NULL, "0xa0000000 0xa00fffff msi\n");
    const struct iovageom_geometry *const hosts[] = {soc};
    struct iovageom_layout_plan plan;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;
    char text[512];

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_plan_layout(NULL, soc, 0, &ram, 1, NULL, 0, &plan, &report), 0);
    assert_non_null(doubt(&report));
    assert_int_equal(iovageom_plan_envelope(NULL, hosts, 1, "pool", NULL, NULL, &report), 0);
    assert_non_null(doubt(&report));
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, 4, NULL, soc, &report), 0);
    assert_non_null(doubt(&report));
    assert_int_equal(doubt(&report)->endpoint, 4);
    assert_int_equal(doubt(&report)->fatal, 0);
    assert_true(iovageom_range_equal(doubt(&report)->range, WINDOW));
    (void)iovageom_finding_text(doubt(&report), text, sizeof(text));
    assert_string_equal(text, "[0xa0000000,0xa00fffff] of soc is taken for hardware doorbells, as "
                              "sysfs calls it msi, but it may be a window of the host's software; "
                              "if it is, say so");
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(soc);
    iovageom_report_deinit(&report);
}

static void the_caller_says_where_it_is(void **state)
{
    struct iovageom_geometry *soc =
        read_text(NULL, "0xa0000000 0xa00fffff msi\n0xfee00000 0xfeefffff msi\n");
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    check_type(soc, WINDOW, IOVAGEOM_RESV_MSI);
    assert_int_equal(iovageom_geometry_add_software_msi(soc, WINDOW, IOVAGEOM_SOURCE_USER), 0);
    check_type(soc, WINDOW, IOVAGEOM_RESV_SOFTWARE_MSI);
    check_type(soc, R(0xfee00000, 0xfeefffff), IOVAGEOM_RESV_MSI);
    (void)iovageom_geometry_explain(soc, R(0, 0xfff), &report);
    assert_null(doubt(&report));
    /* Of one that the host does not list, it is reserved all the same. */
    assert_int_equal(
        iovageom_geometry_add_software_msi(soc, R(0xb0000000, 0xb00fffff), IOVAGEOM_SOURCE_SYSFS),
        0);
    check_type(soc, R(0xb0000000, 0xb00fffff), IOVAGEOM_RESV_SOFTWARE_MSI);
    /* Of a larger one, only what was said. */
    iovageom_geometry_free(soc);
    soc = read_text(NULL, "0xa0000000 0xa01fffff msi\n");
    assert_int_equal(
        iovageom_geometry_add_software_msi(soc, R(0xa0080000, 0xa017ffff), IOVAGEOM_SOURCE_SYSFS),
        0);
    check_type(soc, R(0xa0000000, 0xa007ffff), IOVAGEOM_RESV_MSI);
    check_type(soc, R(0xa0080000, 0xa017ffff), IOVAGEOM_RESV_SOFTWARE_MSI);
    check_type(soc, R(0xa0180000, 0xa01fffff), IOVAGEOM_RESV_MSI);
    /* The guest's own doorbells, which the machine put there, stay what they are. */
    assert_int_equal(
        iovageom_geometry_add_reserved(soc, WINDOW, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_MACHINE), 0);
    assert_int_equal(iovageom_geometry_add_software_msi(soc, WINDOW, IOVAGEOM_SOURCE_SYSFS), 0);
    check_type(soc, WINDOW, IOVAGEOM_RESV_MSI);
    assert_int_equal(iovageom_geometry_add_software_msi(soc, R(2, 1), IOVAGEOM_SOURCE_SYSFS),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_geometry_add_software_msi(soc, WINDOW, (enum iovageom_source)99),
                     IOVAGEOM_ERR_INVALID);
    iovageom_geometry_free(soc);
    iovageom_report_deinit(&report);
}

static void failed_allocations_leave_it_as_it_was(void **state)
{
    const char *text = "0xa0000000 0xa01fffff msi\n0x1000 0x1fff reserved\n";
    int status = IOVAGEOM_ERR_NO_MEMORY;

    (void)state;
    for (unsigned n = 2; status == IOVAGEOM_ERR_NO_MEMORY || n % 2 != 0; n++) {
        struct test_allocator memory;
        struct iovageom_geometry *before, *soc;

        test_allocator_init(&memory);
        soc = read_text(&memory.allocator, text);
        assert_int_equal(iovageom_geometry_copy(soc, &before), 0);
        test_allocator_fail_at(&memory, n / 2, n % 2 != 0);
        status = iovageom_geometry_add_software_msi(soc, WINDOW, IOVAGEOM_SOURCE_SYSFS);
        (void)test_allocator_stop_failing(&memory);
        assert_int_equal(iovageom_geometry_equal(soc, before), status != IOVAGEOM_OK);
        iovageom_geometry_free(soc);
        iovageom_geometry_free(before);
        assert_int_equal(test_allocator_live(&memory), 0);
    }
    assert_int_equal(status, IOVAGEOM_OK);
}

/* VFIO in a guest has its own window, wherever the host has one: what counts is what is there. */
static void the_guests_window_is_not_the_hosts(void **state)
{
    static const struct {
        struct iovageom_range software, reserved;
        struct iovageom_range missed; /* {0, 0} for none */
    } cases[] = {
        {{0x8000000, 0x80fffff}, {0, 0xfff}, {0x8000000, 0x80fffff}},
        {{0xa0000000, 0xa00fffff}, {0, 0xfff}, {0, 0}},
        {{0xa0000000, 0xa00fffff}, {0x8080000, 0x8ffffff}, {0x8080000, 0x80fffff}},
    };
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_geometry *soc = read_text(NULL, "");
        const struct iovageom_finding *missed = NULL;
        struct iovageom_viommu *viommu;

        assert_int_equal(
            iovageom_geometry_add_software_msi(soc, cases[i].software, IOVAGEOM_SOURCE_SYSFS), 0);
        assert_int_equal(iovageom_geometry_add_reserved(
                             soc, cases[i].reserved, IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS),
                         0);
        assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
        assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, soc, &report), 0);
        for (size_t k = 0; k < iovageom_report_count(&report); k++)
            if (iovageom_report_at(&report, k)->kind == IOVAGEOM_FINDING_GUEST_QUIRK)
                missed = iovageom_report_at(&report, k);
        assert_int_equal(missed != NULL, cases[i].missed.last != 0);
        if (missed != NULL) {
            assert_true(iovageom_range_equal(missed->range, cases[i].missed));
            assert_non_null(strstr(missed->detail, "VFIO in a guest"));
        }
        iovageom_viommu_free(viommu);
        iovageom_geometry_free(soc);
    }
    iovageom_report_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_elsewhere_is_doubted),
        cmocka_unit_test(all_who_doubt_say_it),
        cmocka_unit_test(the_caller_says_where_it_is),
        cmocka_unit_test(failed_allocations_leave_it_as_it_was),
        cmocka_unit_test(the_guests_window_is_not_the_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

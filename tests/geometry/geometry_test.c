/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/geometry.h>
#include <iovageom/status.h>

#include "support/test_accepts.h"
#include "support/test_allocator.h"

#include "geometry/internal.h"
#include "support/test_facts.h"

#define R(start, last) ((struct iovageom_range){(start), (last)})
#define ALL            R(0, UINT64_MAX)
#define K4             UINT64_C(0x1000)
#define K64            UINT64_C(0x10000)
#define M2             UINT64_C(0x200000)
#define G1             UINT64_C(0x40000000)

static struct iovageom_geometry *new_geometry(const char *name)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), IOVAGEOM_OK);
    return geometry;
}

/* The Intel host with a 39-bit IOMMU: VFIO's list, its page sizes, and what sysfs says. */
static struct iovageom_geometry *intel39(const struct iovageom_allocator *allocator,
                                         const char *name)
{
    const struct iovageom_range usable[] = {{0xfef00000, 0x7fffffffff}, {0, 0xfedfffff}};
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(allocator, name, &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_add_usable(geometry, usable, 2, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, K4 | M2 | G1, IOVAGEOM_SOURCE_VFIO),
                     0);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0xfee00000, 0xfeefffff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 65535, IOVAGEOM_SOURCE_VFIO), 0);
    return geometry;
}

static void check_regions(const struct iovageom_geometry *geometry, uint64_t granule,
                          const struct iovageom_region *wanted, size_t count)
{
    struct iovageom_region regions[16];
    struct iovageom_rangeset usable;
    size_t found = 99;

    assert_int_equal(iovageom_geometry_reserved(geometry, granule, regions, 16, &found), 0);
    assert_int_equal(found, count);
    assert_int_equal(iovageom_rangeset_init(&usable, NULL), 0);
    assert_int_equal(iovageom_geometry_usable(geometry, granule, &usable), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(regions[i].range.start, wanted[i].range.start);
        assert_int_equal(regions[i].range.last, wanted[i].range.last);
        assert_int_equal(regions[i].type, wanted[i].type);
        assert_false(iovageom_rangeset_overlaps(&usable, regions[i].range));
        assert_int_equal(iovageom_rangeset_insert(&usable, regions[i].range), 0);
    }
    assert_true(iovageom_rangeset_contains(&usable, ALL));
    iovageom_rangeset_deinit(&usable);
}

static void intel_39_bits(void **state)
{
    struct iovageom_geometry *geometry = intel39(NULL, "0000:00:03.0");
    const struct iovageom_region wanted[] = {{R(0xfee00000, 0xfeefffff), IOVAGEOM_RESV_MSI, 0},
                                             {R(0x8000000000, UINT64_MAX), 2, 0}};
    struct iovageom_rangeset usable;
    struct iovageom_range ranges[2];
    size_t count;
    unsigned bits;

    (void)state;
    check_regions(geometry, K4, wanted, 2);
    /* Registers that say the same don't cut the region in two. */
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 39, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 48, IOVAGEOM_SOURCE_DEVICE), 0);
    check_regions(geometry, K4, wanted, 2);
    assert_int_equal(iovageom_rangeset_init(&usable, NULL), 0);
    assert_int_equal(iovageom_geometry_usable(geometry, 1, &usable), 0);
    assert_int_equal(iovageom_rangeset_to_array(&usable, ranges, 2, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(ranges[0].last, 0xfedfffff);
    assert_int_equal(ranges[1].start, 0xfef00000);
    assert_int_equal(ranges[1].last, 0x7fffffffff);
    assert_int_equal(iovageom_geometry_gaw(geometry, &bits), 0);
    assert_int_equal(bits, 39);
    assert_true(test_accepts(geometry, R(0, 0xfedfffff)));
    assert_false(test_accepts(geometry, R(0, 0xfee00fff)));
    assert_false(test_accepts(geometry, R(0, 0x7ff)));
    assert_false(test_accepts(geometry, R(0x7ffffff000, 0x8000000fff)));
    assert_false(test_accepts(geometry, R(0x1000, 0)));
    iovageom_rangeset_deinit(&usable);
    iovageom_geometry_free(geometry);
}

/* Q5: "can't tell" and "nothing usable" are different values everywhere. */
static void Q5_unknown_is_not_empty(void **state)
{
    struct iovageom_geometry *geometry = new_geometry("x");
    struct iovageom_region region;
    uint64_t number = 7;
    unsigned bits = 7;
    size_t count;

    (void)state;
    assert_int_equal(iovageom_geometry_knows(geometry), 0);
    assert_int_equal(iovageom_geometry_gaw(geometry, &bits), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_page_sizes(geometry, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_alignment(geometry, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_granule(geometry, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_promise_mask(geometry, 0, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_map_budget(geometry, &number), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(number + bits, 14);
    assert_true(test_accepts(geometry, ALL));
    check_regions(geometry, 1, NULL, 0);

    assert_int_equal(iovageom_geometry_add_usable(geometry, NULL, 0, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_knows(geometry), IOVAGEOM_FACT_USABLE);
    assert_int_equal(iovageom_geometry_gaw(geometry, &bits), IOVAGEOM_ERR_NOTHING_USABLE);
    assert_false(test_accepts(geometry, R(0, 0)));
    check_regions(geometry, K4, (struct iovageom_region[]){{ALL, 2, 0}}, 1);
    assert_int_equal(iovageom_geometry_reserved(geometry, 1, &region, 0, &count),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 1);
    iovageom_geometry_free(geometry);
    iovageom_geometry_free(NULL);
}

/* Q4: a list that has everything is a fact, and leaves nothing reserved. */
static void Q4_everything_usable_is_known(void **state)
{
    struct iovageom_geometry *geometry = new_geometry("x");
    unsigned bits;

    (void)state;
    assert_int_equal(iovageom_geometry_add_usable(geometry, &ALL, 1, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(iovageom_geometry_knows(geometry), IOVAGEOM_FACT_USABLE);
    check_regions(geometry, K4, NULL, 0);
    assert_int_equal(iovageom_geometry_gaw(geometry, &bits), 0);
    assert_int_equal(bits, 64);
    iovageom_geometry_free(geometry);
}

static void Q17_inverted_ranges_are_refused(void **state)
{
    struct iovageom_geometry *geometry = intel39(NULL, "x");
    struct iovageom_geometry *same;
    const struct iovageom_range bad[] = {{0, 9}, {0x2000, 0x1000}};
    char name[IOVAGEOM_NAME_SIZE + 1];

    (void)state;
    assert_int_equal(iovageom_geometry_copy(geometry, &same), 0);
    assert_int_equal(iovageom_geometry_add_usable(geometry, bad, 2, IOVAGEOM_SOURCE_VFIO),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_geometry_add_aperture(geometry, bad[1], IOVAGEOM_SOURCE_VFIO),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(
        iovageom_geometry_add_reserved(geometry, bad[1], IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_VFIO),
        IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, bad[0], (enum iovageom_resv_type)9,
                                                    IOVAGEOM_SOURCE_USER),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 0, IOVAGEOM_SOURCE_USER),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 65, IOVAGEOM_SOURCE_USER),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_add_alignment(geometry, 0, IOVAGEOM_SOURCE_USER),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_add_alignment(geometry, K4 | M2, IOVAGEOM_SOURCE_USER),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 39, (enum iovageom_source)77),
                     IOVAGEOM_ERR_INVALID);
    assert_true(iovageom_geometry_equal(geometry, same));
    memset(name, 'x', sizeof(name));
    name[IOVAGEOM_NAME_SIZE] = '\0';
    assert_int_equal(iovageom_geometry_new(NULL, name, &same), IOVAGEOM_ERR_INVALID);
    iovageom_geometry_free(same);
    iovageom_geometry_free(geometry);
}

static void apertures_intersect(void **state)
{
    struct iovageom_geometry *geometry = new_geometry("x");
    struct iovageom_geometry *same = new_geometry("y");
    unsigned bits;

    (void)state;
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 48, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    assert_int_equal(
        iovageom_geometry_add_aperture(geometry, R(0x1000, UINT64_MAX), IOVAGEOM_SOURCE_USER), 0);
    assert_true(test_accepts(geometry, R(0x1000, 0xffffffffffff)));
    assert_false(test_accepts(geometry, R(0, 0x1000)));
    assert_false(test_accepts(geometry, R(0x1000, 0x1000000000000)));
    assert_int_equal(iovageom_geometry_gaw(geometry, &bits), 0);
    assert_int_equal(bits, 48);
    /* However many say so. */
    assert_int_equal(
        iovageom_geometry_add_aperture(same, R(0x1000, 0xffffffffffff), IOVAGEOM_SOURCE_USER), 0);
    assert_true(iovageom_geometry_equal(geometry, same));
    assert_int_equal(
        iovageom_geometry_add_aperture(geometry, R(UINT64_MAX, UINT64_MAX), IOVAGEOM_SOURCE_USER),
        0);
    assert_int_equal(iovageom_geometry_gaw(geometry, &bits), IOVAGEOM_ERR_NOTHING_USABLE);
    assert_false(iovageom_geometry_equal(geometry, same));
    assert_int_equal(iovageom_geometry_add_aperture(same, R(0, 0), IOVAGEOM_SOURCE_USER), 0);
    assert_true(iovageom_geometry_equal(geometry, same));
    iovageom_geometry_free(same);
    iovageom_geometry_free(geometry);
}

/* Q7: an alignment is not a mask; 64K granules on a host that only said "4K aligned". */
static void Q7_an_alignment_is_not_a_mask(void **state)
{
    struct iovageom_geometry *geometry = new_geometry("x");
    uint64_t mask;
    uint64_t granule;

    (void)state;
    assert_int_equal(iovageom_geometry_add_alignment(geometry, K4, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(iovageom_geometry_page_sizes(geometry, &mask), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_alignment(geometry, &mask), 0);
    assert_int_equal(mask, K4);
    assert_int_equal(iovageom_geometry_granule(geometry, &granule), 0);
    assert_int_equal(granule, K4);
    assert_int_equal(iovageom_geometry_promise_mask(geometry, 0, &mask), 0);
    assert_int_equal(mask, ~(K4 - 1));
    assert_int_equal(iovageom_geometry_promise_mask(geometry, K64, &mask), 0);
    assert_int_equal(mask, ~(K64 - 1));
    assert_int_equal(iovageom_geometry_promise_mask(geometry, 0x800, &mask),
                     IOVAGEOM_ERR_ALIGNMENT);
    assert_int_equal(iovageom_geometry_promise_mask(geometry, 0x1800, &mask), IOVAGEOM_ERR_INVALID);
    iovageom_geometry_free(geometry);
}

/* Q8: the meet of granules is not the AND of masks; a 64K guest on a 4K host works. */
static void Q8_a_64K_granule_on_a_4K_host(void **state)
{
    struct iovageom_geometry *geometry = intel39(NULL, "x");
    uint64_t mask;
    uint64_t granule;

    (void)state;
    assert_int_equal(iovageom_geometry_promise_mask(geometry, K64, &mask), 0);
    assert_int_equal(mask, K64 | M2 | G1);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, K64 | (UINT64_C(1) << 29),
                                                      IOVAGEOM_SOURCE_MACHINE),
                     0);
    assert_int_equal(iovageom_geometry_granule(geometry, &granule), 0);
    assert_int_equal(granule, K64);
    assert_true(test_accepts(geometry, R(0, 0xffff)));
    assert_false(test_accepts(geometry, R(0, 0xfff)));
    assert_int_equal(iovageom_geometry_promise_mask(geometry, K4, &mask), IOVAGEOM_ERR_ALIGNMENT);
    /* A mask of 0 is a fact too. */
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, 0, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(iovageom_geometry_page_sizes(geometry, &mask), 0);
    assert_int_equal(mask, 0);
    assert_int_equal(iovageom_geometry_granule(geometry, &granule), IOVAGEOM_ERR_NOTHING_USABLE);
    assert_int_equal(iovageom_geometry_promise_mask(geometry, K4, &mask),
                     IOVAGEOM_ERR_NOTHING_USABLE);
    assert_false(test_accepts(geometry, R(0, G1 - 1)));
    iovageom_geometry_free(geometry);
}

/* A hole below the granule vanishes, the MSI window does not grow beyond its own granules. */
static void a_hole_smaller_than_the_granule_disappears(void **state)
{
    struct iovageom_geometry *geometry = new_geometry("x");

    (void)state;
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0, 0x8fff), IOVAGEOM_RESV_DIRECT,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0x1a000, 0x24fff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0x40000, 0x4ffff),
                                                    IOVAGEOM_RESV_DIRECT_RELAXABLE,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    check_regions(geometry, K4,
                  (struct iovageom_region[]){{R(0, 0x8fff), IOVAGEOM_RESV_DIRECT, 0},
                                             {R(0x1a000, 0x24fff), IOVAGEOM_RESV_MSI, 0}},
                  2);
    check_regions(geometry, K64,
                  (struct iovageom_region[]){{R(0, 0xffff), IOVAGEOM_RESV_DIRECT, 0},
                                             {R(0x10000, 0x2ffff), IOVAGEOM_RESV_MSI, 0}},
                  2);
    check_regions(geometry, UINT64_C(1) << 63,
                  (struct iovageom_region[]){{R(0, UINT64_MAX / 2), IOVAGEOM_RESV_MSI, 0}}, 1);
    assert_true(test_accepts(geometry, R(0x40000, 0x4ffff)));
    iovageom_geometry_free(geometry);
}

static void meet_and_remove(void **state)
{
    struct iovageom_geometry *a = intel39(NULL, "a");
    struct iovageom_geometry *b = new_geometry("b");
    struct iovageom_geometry *met;
    struct iovageom_rangeset added;
    struct iovageom_rangeset removed;
    uint64_t number;

    (void)state;
    assert_int_equal(iovageom_geometry_add_reserved(b, R(0xdf800000, 0xdfffffff),
                                                    IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_add_page_sizes(b, K64, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_map_budget(b, 100, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(test_meet(a, b, "pool", &met), 0);
    assert_string_equal(iovageom_geometry_name(met), "pool");
    check_regions(met, K64,
                  (struct iovageom_region[]){{R(0xdf800000, 0xdfffffff), IOVAGEOM_RESV_DIRECT, 0},
                                             {R(0xfee00000, 0xfeefffff), IOVAGEOM_RESV_MSI, 0},
                                             {R(0x8000000000, UINT64_MAX), 2, 0}},
                  3);
    assert_int_equal(iovageom_geometry_page_sizes(met, &number), 0);
    assert_int_equal(number, K64);
    assert_int_equal(iovageom_geometry_map_budget(met, &number), 0);
    assert_int_equal(number, 100);
    assert_true(test_within(met, a));
    assert_true(test_within(met, b));
    assert_false(test_within(a, met));
    assert_false(test_within(b, met));

    assert_int_equal(iovageom_rangeset_init(&added, NULL), 0);
    assert_int_equal(iovageom_rangeset_init(&removed, NULL), 0);
    assert_int_equal(test_difference(a, met, &added, &removed), 0);
    assert_int_equal(iovageom_rangeset_count(&added), 0);
    assert_int_equal(iovageom_rangeset_count(&removed), 1);
    assert_true(iovageom_rangeset_contains(&removed, R(0xdf800000, 0xdfffffff)));
    assert_int_equal(test_difference(met, a, &added, &removed), 0);
    assert_int_equal(iovageom_rangeset_count(&removed), 0);
    assert_true(iovageom_rangeset_contains(&added, R(0xdf800000, 0xdfffffff)));

    iovageom_rangeset_deinit(&added);
    iovageom_rangeset_deinit(&removed);
    iovageom_geometry_free(a);
    iovageom_geometry_free(b);
    iovageom_geometry_free(met);
}

/* What is only direct-relaxable is usable: so it counts as such in the order, too. */
static void relaxable_regions_are_usable(void **state)
{
    struct iovageom_geometry *a = intel39(NULL, "a");
    struct iovageom_geometry *b = intel39(NULL, "b");

    (void)state;
    assert_int_equal(iovageom_geometry_add_reserved(a, R(0x100000, 0x1fffff),
                                                    IOVAGEOM_RESV_DIRECT_RELAXABLE,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_true(test_accepts(a, R(0x100000, 0x1fffff)));
    assert_true(test_within(a, b));
    assert_true(test_within(b, a));
    assert_false(iovageom_geometry_equal(a, b));
    assert_int_equal(iovageom_geometry_add_reserved(b, R(0x100000, 0x1fffff), IOVAGEOM_RESV_DIRECT,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_false(test_within(a, b));
    assert_true(test_within(b, a));
    iovageom_geometry_free(a);
    iovageom_geometry_free(b);
}

static void F13_explain(void **state)
{
    struct iovageom_geometry *geometry = intel39(NULL, "0000:3b:00.0");
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 39, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    assert_int_equal(iovageom_geometry_explain(geometry, R(0, 0xfff), &report), IOVAGEOM_OK);
    assert_int_equal(iovageom_report_count(&report), 0);
    assert_int_equal(iovageom_geometry_explain(geometry, R(1, 0), &report), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_geometry_explain(geometry, R(0, 0x7fe), NULL),
                     IOVAGEOM_ERR_ALIGNMENT);
    assert_int_equal(iovageom_geometry_explain(geometry, R(0xfedff000, 0xfee00fff), &report),
                     IOVAGEOM_ERR_RESERVED);
    assert_int_equal(iovageom_report_count(&report), 2);
    assert_string_equal(iovageom_report_text(&report),
                        "[0xfee00000,0xfee00fff] cannot be mapped: 0000:3b:00.0 reserves "
                        "[0xfee00000,0xfeefffff] (msi), says sysfs; use other addresses "
                        "(and 1 more)");
    /* E7, E9: a BAR beyond the width. The user gets the width and not "Invalid argument". */
    assert_int_equal(
        iovageom_geometry_explain(geometry, R(0x382000000000, 0x3820000fffff), &report),
        IOVAGEOM_ERR_OUT_OF_APERTURE);
    assert_string_equal(iovageom_report_text(&report),
                        "[0x382000000000,0x3820000fffff] is out of reach: 0000:3b:00.0 translates "
                        "only [0x0,0x7fffffffff], says VT-d registers; use addresses within it "
                        "(and 1 more)");
    assert_int_equal(iovageom_report_at(&report, 1)->owner.source, IOVAGEOM_SOURCE_VFIO);
    iovageom_geometry_free(geometry);

    geometry = new_geometry("dev");
    assert_int_equal(iovageom_geometry_explain(geometry, ALL, &report), IOVAGEOM_OK);
    assert_int_equal(iovageom_report_count(&report), 3);
    assert_string_equal(iovageom_report_text(&report),
                        "dev did not say how wide its addresses are; this can't be checked "
                        "(and 2 more)");
    assert_int_equal(iovageom_geometry_add_incomplete(geometry, IOVAGEOM_SOURCE_SYSFS), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, 0, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_explain(geometry, ALL, &report),
                     IOVAGEOM_ERR_NOTHING_USABLE);
    assert_int_equal(iovageom_report_at(&report, 3)->kind, IOVAGEOM_FINDING_INCOMPLETE);
    iovageom_geometry_free(geometry);
    iovageom_report_deinit(&report);
}

static int check(const struct iovageom_geometry *geometry, size_t *findings, const char **text)
{
    static struct iovageom_report report;
    int status;

    iovageom_report_init(&report, NULL);
    status = iovageom_geometry_check(geometry, &report);
    *findings = iovageom_report_count(&report);
    *text = iovageom_report_text(&report);
    return status;
}

/* Q24, F11: sources are checked against each other, and a disagreement is said. */
static void F11_disagreement_of_sources(void **state)
{
    struct iovageom_geometry *geometry = intel39(NULL, "dev");
    const char *text;
    size_t count;

    (void)state;
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 39, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 32, IOVAGEOM_SOURCE_DEVICE), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
    assert_int_equal(count, 0);

    /* The list goes beyond the width. */
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 38, IOVAGEOM_SOURCE_AMD_REGISTERS), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_ERR_DISAGREEMENT);
    assert_int_equal(count, 1);
    assert_string_equal(text, "VFIO and AMD-Vi registers contradict each other about "
                              "[0x4000000000,0x7fffffffff] of dev; keep clear of it");
    iovageom_geometry_free(geometry);

    /* The list falls short of the width, and nobody says why; then somebody does. */
    geometry = intel39(NULL, "dev");
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 40, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_ERR_DISAGREEMENT);
    assert_string_equal(text, "VFIO and VT-d registers contradict each other about "
                              "[0x8000000000,0xffffffffff] of dev; keep clear of it");
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0x8000000000, 0x8fffffffff),
                                                    IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_ERR_DISAGREEMENT);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0x9000000000, UINT64_MAX),
                                                    IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);

    /* A region that sysfs tells of and the list has. Another device's does not matter. */
    struct iovageom_geometry *other = new_geometry("other");
    assert_int_equal(iovageom_geometry_add_reserved(other, R(0, 0xfff), IOVAGEOM_RESV_MSI,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_narrow(geometry, other), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0, 0xfff), IOVAGEOM_RESV_MSI,
                                                    IOVAGEOM_SOURCE_MACHINE),
                     0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0, 0xfff), IOVAGEOM_RESV_MSI,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_ERR_DISAGREEMENT);
    assert_int_equal(count, 1);
    assert_string_equal(text, "sysfs and VFIO contradict each other about [0x0,0xfff] of dev; "
                              "keep clear of it");
    iovageom_geometry_free(other);
    iovageom_geometry_free(geometry);

    /* Pages that the hardware does not have, and an alignment below the smallest. */
    geometry = intel39(NULL, "dev");
    assert_int_equal(
        iovageom_geometry_add_page_sizes(geometry, K4 | M2, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    assert_int_equal(iovageom_geometry_add_alignment(geometry, K4, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 38, IOVAGEOM_SOURCE_RISCV_REGISTERS), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_ERR_DISAGREEMENT);
    iovageom_geometry_free(geometry);
    geometry = intel39(NULL, "dev");
    assert_int_equal(
        iovageom_geometry_add_page_sizes(geometry, K64, IOVAGEOM_SOURCE_SMMUV3_REGISTERS), 0);
    assert_int_equal(iovageom_geometry_add_alignment(geometry, K4, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_ERR_DISAGREEMENT);
    assert_int_equal(count, 2);
    assert_string_equal(text, "bytes in the smallest page of dev: 4096 by iommufd, but 65536 by "
                              "SMMUv3 registers; find out which one errs (and 1 more)");
    iovageom_geometry_free(geometry);

    /* Hardware and a kernel that map no page at all agree. */
    assert_int_equal(iovageom_geometry_new(NULL, "dev", &geometry), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, 0, IOVAGEOM_SOURCE_VTD_REGISTERS),
                     0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, 0, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
    iovageom_geometry_free(geometry);

    /* Nor does a width contradict a kernel by which no address is usable. */
    for (unsigned gaw = 1; gaw <= 64; gaw++) {
        assert_int_equal(iovageom_geometry_new(NULL, "dev", &geometry), 0);
        assert_int_equal(iovageom_geometry_add_usable(geometry, NULL, 0, IOVAGEOM_SOURCE_VFIO), 0);
        assert_int_equal(iovageom_geometry_add_gaw(geometry, gaw, IOVAGEOM_SOURCE_VTD_REGISTERS),
                         0);
        assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
        iovageom_geometry_free(geometry);
    }

    /* Two kernels' masks may differ: neither is the hardware's. */
    geometry = intel39(NULL, "dev");
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, K64, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
    iovageom_geometry_free(geometry);
}

/* What the user or the machine's model narrows is no statement on the host: it contradicts
 * nobody. */
static void F11_wishes_contradict_nobody(void **state)
{
    static const enum iovageom_source sources[] = {IOVAGEOM_SOURCE_OTHER, IOVAGEOM_SOURCE_ENVELOPE,
                                                   IOVAGEOM_SOURCE_MACHINE, IOVAGEOM_SOURCE_USER};
    const struct iovageom_range low = R(0, 0xffffffff);
    struct iovageom_geometry *geometry;
    const char *text;
    size_t count;

    (void)state;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        geometry = intel39(NULL, "dev");
        assert_int_equal(iovageom_geometry_add_gaw(geometry, 39, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
        assert_int_equal(
            iovageom_geometry_add_page_sizes(geometry, K4 | M2, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
        assert_int_equal(iovageom_geometry_add_alignment(geometry, K4, IOVAGEOM_SOURCE_IOMMUFD), 0);
        assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0xfee00000, 0xfeefffff),
                                                        IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                         0);
        assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
        assert_int_equal(iovageom_geometry_add_usable(geometry, &low, 1, sources[i]), 0);
        assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
        assert_int_equal(iovageom_geometry_add_page_sizes(geometry, M2, sources[i]), 0);
        assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
        assert_int_equal(iovageom_geometry_add_alignment(geometry, 512, sources[i]), 0);
        assert_int_equal(check(geometry, &count, &text), IOVAGEOM_OK);
        assert_int_equal(count, 0);
        iovageom_geometry_free(geometry);
    }
}

static void put_le(uint8_t *bytes, uint64_t number, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
}

/* Length and checksum, as the form has them. */
static void seal(uint8_t *bytes, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    put_le(bytes + 16, length, 8);
    for (size_t i = 0; i < length; i++)
        if (i < 24 || i >= 32)
            hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    put_le(bytes + 24, hash, 8);
}

/* F14: bytes of today are read tomorrow, and those of tomorrow today as far as can be. */
static void F14_saved_form_is_stable(void **state)
{
    struct iovageom_geometry *geometry = intel39(NULL, "0000:00:03.0");
    struct iovageom_geometry *loaded;
    static const uint8_t start[] = {'I', 'O', 'V', 'A', 'G', 'E', 'O', 'M',
                                    1,   0,   0,   0,   32,  0,   0,   0};
    uint8_t bytes[1024] = {0};
    uint8_t longer[1024] = {0};
    uint64_t checksum = 0;
    size_t length;

    (void)state;
    assert_int_equal(iovageom_geometry_save(geometry, bytes, 339, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(iovageom_geometry_save(geometry, bytes, sizeof(bytes), NULL), 0);
    assert_int_equal(iovageom_geometry_save(geometry, bytes, sizeof(bytes), &length), 0);
    assert_int_equal(length, 340);
    assert_memory_equal(bytes, start, sizeof(start));
    for (unsigned i = 0; i < 8; i++)
        checksum |= (uint64_t)bytes[24 + i] << 8 * i;
    assert_int_equal(checksum, UINT64_C(0x1b736f3d3157c675));

    /* A record of an unknown kind is skipped, unless it says that it must not be. */
    put_le(bytes + length, 0x300, 4);
    put_le(bytes + length + 8, 3, 4);
    put_le(bytes + length + 12, 1, 4);
    memcpy(bytes + length + 16, "abc", 3);
    seal(bytes, length + 27);
    assert_int_equal(iovageom_geometry_load(NULL, bytes, length + 27, &loaded), 0);
    assert_true(iovageom_geometry_equal(geometry, loaded));
    iovageom_geometry_free(loaded);
    bytes[length + 3] = 0x80;
    seal(bytes, length + 27);
    assert_int_equal(iovageom_geometry_load(NULL, bytes, length + 27, &loaded),
                     IOVAGEOM_ERR_VERSION);
    /* A fact of an unknown kind is skipped, a region of an unknown type is reserved. */
    put_le(bytes + length, 0x100 + 0x80, 4);
    put_le(bytes + length + 12, 2, 4);
    seal(bytes, length + 35);
    assert_int_equal(iovageom_geometry_load(NULL, bytes, length + 35, &loaded), 0);
    assert_true(iovageom_geometry_equal(geometry, loaded));
    iovageom_geometry_free(loaded);
    put_le(bytes + length, 0x200 + 77, 4);
    put_le(bytes + length + 27, 0xfff, 8);
    seal(bytes, length + 35);
    assert_int_equal(iovageom_geometry_load(NULL, bytes, length + 35, &loaded), 0);
    assert_false(test_accepts(loaded, R(0, 0xfff)));
    assert_true(test_accepts(loaded, R(0x1000, 0x1fff)));
    iovageom_geometry_free(loaded);

    /* A longer header, and another version. */
    memcpy(longer, bytes, 32);
    memcpy(longer + 40, bytes + 32, length - 32);
    longer[12] = 40;
    seal(longer, length + 8);
    assert_int_equal(iovageom_geometry_load(NULL, longer, length + 8, &loaded), 0);
    assert_true(iovageom_geometry_equal(geometry, loaded));
    iovageom_geometry_free(loaded);
    longer[8] = 2;
    seal(longer, length + 8);
    assert_int_equal(iovageom_geometry_load(NULL, longer, length + 8, &loaded),
                     IOVAGEOM_ERR_VERSION);
    longer[8] = 1;
    longer[12] = 31;
    seal(longer, length + 8);
    assert_int_equal(iovageom_geometry_load(NULL, longer, length + 8, &loaded),
                     IOVAGEOM_ERR_MALFORMED);
    assert_int_equal(iovageom_geometry_save(geometry, longer, length - 1, &length),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    iovageom_geometry_free(geometry);
}

/* Everything that may fail for lack of memory: it succeeds or changes nothing. */
static int operate(unsigned which, struct iovageom_geometry *geometry,
                   const struct iovageom_geometry *other, struct iovageom_rangeset *set)
{
    struct iovageom_range ranges[20];
    const struct test_allocator *memory;
    struct iovageom_geometry *made = NULL;
    struct iovageom_region regions[64];
    uint8_t bytes[4096];
    size_t count = 0;
    unsigned bits;
    int status;

    for (uint64_t i = 0; i < 20; i++)
        ranges[i] = R(i << 20, (i << 20) + 0xffff);
    switch (which) {
    case 0:
        return iovageom_geometry_add_usable(geometry, ranges, 20, IOVAGEOM_SOURCE_USER);
    case 1:
        return iovageom_geometry_add_aperture(geometry, R(5, 9), IOVAGEOM_SOURCE_USER);
    case 2:
        return iovageom_geometry_add_reserved(geometry, R(5, 9), IOVAGEOM_RESV_MSI,
                                              IOVAGEOM_SOURCE_USER);
    case 3:
        return iovageom_geometry_narrow(geometry, other);
    case 4:
        return iovageom_geometry_usable(other, 1, set);
    case 5:
        status = iovageom_geometry_reserved(other, 1, regions, 64, &count);
        assert_int_equal(count, status == IOVAGEOM_OK ? 21 : 0);
        return status;
    case 6:
        return iovageom_geometry_gaw(other, &bits);
    case 7:
        status = iovageom_geometry_copy(other, &made);
        break;
    case 8:
        status = test_meet(other, geometry, "met", &made);
        break;
    default:
        assert_int_equal(iovageom_geometry_save(other, bytes, sizeof(bytes), &count), 0);
        memory = (const struct test_allocator *)(uintptr_t)set[2].opaque[0];
        status = iovageom_geometry_load(&memory->allocator, bytes, count, &made);
        break;
    }
    assert_int_equal(status == IOVAGEOM_OK, made != NULL);
    iovageom_geometry_free(made);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 10; which++) {
        for (unsigned n = 1, hit = 1; hit != 0; n++) {
            struct test_allocator memory;
            struct iovageom_rangeset sets[3];

            test_allocator_init(&memory);
            struct iovageom_geometry *geometry = intel39(&memory.allocator, "dev");
            struct iovageom_geometry *same = intel39(&memory.allocator, "dev");
            struct iovageom_geometry *other = intel39(&memory.allocator, "other");
            for (uint64_t i = 0; i < 19; i++)
                assert_int_equal(
                    iovageom_geometry_add_reserved(other, R(i << 24, (i << 24) + 0xfff),
                                                   IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS),
                    0);
            for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(iovageom_rangeset_init(&sets[i], &memory.allocator), 0);
                assert_int_equal(iovageom_rangeset_insert(&sets[i], R(i, i)), 0);
            }
            sets[2].opaque[0] = (uint64_t)(uintptr_t)&memory;

            test_allocator_fail_at(&memory, n, n % 2 == 0);
            int status = operate(which, geometry, other, sets);
            hit = test_allocator_stop_failing(&memory);
            assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
            if (hit) {
                assert_true(iovageom_geometry_equal(geometry, same));
                for (unsigned i = 0; i < 2; i++)
                    assert_true(
                        iovageom_rangeset_count(&sets[i]) == 1 &&
                        iovageom_rangeset_contains(&sets[i], (struct iovageom_range){i, i}));
            }
            for (unsigned i = 0; i < 2; i++)
                iovageom_rangeset_deinit(&sets[i]);
            iovageom_geometry_free(geometry);
            iovageom_geometry_free(same);
            iovageom_geometry_free(other);
            assert_int_equal(test_allocator_live(&memory), 0);
        }
    }
}

/* A fact and the regions that it makes come together, also where the table has to grow for the
 * second. */
static void both_or_neither(void **state)
{
    (void)state;
    for (uint64_t facts = 0; facts < 16; facts++)
        for (unsigned n = 1, hit = 1; hit != 0; n++) {
            struct iovageom_geometry *geometries[2];
            struct test_allocator memory;

            test_allocator_init(&memory);
            for (size_t i = 0; i < 2; i++) {
                assert_int_equal(iovageom_geometry_new(&memory.allocator, "dev", &geometries[i]),
                                 0);
                for (uint64_t fact = 0; fact < facts; fact++)
                    assert_int_equal(
                        iovageom_geometry_add_map_budget(geometries[i], fact, IOVAGEOM_SOURCE_VFIO),
                        0);
            }
            test_allocator_fail_at(&memory, n, n % 2 == 0);
            int status =
                iovageom_geometry_add_aperture(geometries[0], R(5, 9), IOVAGEOM_SOURCE_USER);
            hit = test_allocator_stop_failing(&memory);
            assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
            assert_true(iovageom_geometry_equal(geometries[0], geometries[1]) == (hit != 0));
            for (size_t i = 0; i < 2; i++)
                iovageom_geometry_free(geometries[i]);
            assert_int_equal(test_allocator_live(&memory), 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intel_39_bits),
        cmocka_unit_test(Q5_unknown_is_not_empty),
        cmocka_unit_test(Q4_everything_usable_is_known),
        cmocka_unit_test(Q17_inverted_ranges_are_refused),
        cmocka_unit_test(apertures_intersect),
        cmocka_unit_test(Q7_an_alignment_is_not_a_mask),
        cmocka_unit_test(Q8_a_64K_granule_on_a_4K_host),
        cmocka_unit_test(a_hole_smaller_than_the_granule_disappears),
        cmocka_unit_test(meet_and_remove),
        cmocka_unit_test(relaxable_regions_are_usable),
        cmocka_unit_test(F13_explain),
        cmocka_unit_test(F11_disagreement_of_sources),
        cmocka_unit_test(F11_wishes_contradict_nobody),
        cmocka_unit_test(F14_saved_form_is_stable),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(both_or_neither),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

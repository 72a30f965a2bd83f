/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/plan_layout.h>
#include <iovageom/status.h>

#include "geometry/internal.h"
#include "support/test_allocator.h"

#define R(start, last) ((struct iovageom_range){(start), (last)})
#define ALL            R(0, UINT64_MAX)
#define GIB            (UINT64_C(1) << 30)
#define TIB            (UINT64_C(1) << 40)
#define RAM_FLAGS      (IOVAGEOM_PIECE_MOVABLE | IOVAGEOM_PIECE_SPLITTABLE)

static struct iovageom_geometry *host(const char *name, unsigned gaw)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), 0);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, gaw, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    assert_int_equal(iovageom_geometry_add_reserved_known(geometry, IOVAGEOM_SOURCE_SYSFS), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, 0x40201000, IOVAGEOM_SOURCE_VFIO),
                     0);
    return geometry;
}

static void reserve(struct iovageom_geometry *geometry, struct iovageom_range range,
                    enum iovageom_resv_type type)
{
    assert_int_equal(iovageom_geometry_add_reserved(geometry, range, type, IOVAGEOM_SOURCE_SYSFS),
                     0);
}

static void check_placement(const struct iovageom_placement *placement, size_t piece,
                            struct iovageom_range from, struct iovageom_range to)
{
    assert_int_equal(placement->piece, piece);
    assert_int_equal(placement->from.start, from.start);
    assert_int_equal(placement->from.last, from.last);
    assert_int_equal(placement->to.start, to.start);
    assert_int_equal(placement->to.last, to.last);
}

/* Q23, E4: 1.2 TiB of RAM on an AMD host. The host's hole decides, not the guest's CPU. */
static void E4_the_AMD_hole_below_1_TiB(void **state)
{
    struct iovageom_geometry *amd = host("0000:c1:00.0", 48);
    struct iovageom_piece pieces[] = {
        {R(0, 0x7fffffff), IOVAGEOM_PIECE_RAM, 0, 0, ALL},
        {R(4 * GIB, TIB + 200 * GIB - 1), IOVAGEOM_PIECE_RAM, RAM_FLAGS, 0, ALL}};
    struct iovageom_placement out[4];
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    reserve(amd, R(0xfd00000000, 0xffffffffff), IOVAGEOM_RESV_RESERVED);
    reserve(amd, R(0xfee00000, 0xfeefffff), IOVAGEOM_RESV_MSI);
    pieces[1].range.start = 8 * GIB;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_plan_layout(NULL, amd, 0, pieces, 2, out, 4, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.misfits, 1);
    assert_int_equal(plan.stuck, 0);
    assert_int_equal(plan.placements, 1);
    check_placement(&out[0], 1, R(0xfd00000000, 0xffffffffff),
                    R(TIB + 200 * GIB, TIB + 212 * GIB - 1));
    assert_int_equal(plan.moved.lo, 12 * GIB);
    assert_int_equal(plan.mappings, 4);
    assert_string_equal(iovageom_report_text(&report),
                        "[0xfd00000000,0xffffffffff] cannot be mapped: 0000:c1:00.0 reserves "
                        "[0xfd00000000,0xffffffffff] (reserved), says sysfs; use other addresses");

    /* In one piece it goes to the nearest place: right above the hole. */
    pieces[1].flags = IOVAGEOM_PIECE_MOVABLE;
    assert_int_equal(iovageom_plan_layout(NULL, amd, 0, pieces, 2, out, 4, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.placements, 1);
    assert_int_equal(out[0].to.start, TIB);
    assert_int_equal(plan.moved.lo, TIB + 192 * GIB);

    /* The same guest on an Intel host needs no change. */
    iovageom_geometry_free(amd);
    amd = host("intel", 48);
    reserve(amd, R(0xfee00000, 0xfeefffff), IOVAGEOM_RESV_MSI);
    assert_int_equal(iovageom_plan_layout(NULL, amd, 0, pieces, 2, NULL, 0, &plan, &report),
                     IOVAGEOM_OK);
    assert_int_equal(plan.placements, 0);
    assert_int_equal(plan.mappings, 2);
    assert_int_equal(iovageom_report_count(&report), 0);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(amd);
}

/* The highest page is a place like others; for all addresses there is none but themselves. */
static void the_ends_of_the_address_space(void **state)
{
    struct iovageom_geometry *wide = host("wide", 64);
    struct iovageom_piece piece = {R(0x1000, 0x1fff), IOVAGEOM_PIECE_BAR, IOVAGEOM_PIECE_MOVABLE, 0,
                                   R(UINT64_MAX - 0xfff, UINT64_MAX)};
    struct iovageom_placement out[1];
    struct iovageom_layout_plan plan;

    (void)state;
    reserve(wide, R(0x1000, 0x1fff), IOVAGEOM_RESV_RESERVED);
    assert_int_equal(iovageom_plan_layout(NULL, wide, 0, &piece, 1, out, 1, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_true(plan.placements == 1 && plan.outcome == IOVAGEOM_LAYOUT_SOLVED);
    check_placement(&out[0], 0, R(0x1000, 0x1fff), R(UINT64_MAX - 0xfff, UINT64_MAX));

    piece.limits = piece.range = ALL;
    assert_int_equal(iovageom_plan_layout(NULL, wide, 0, &piece, 1, out, 1, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_true(plan.placements == 0 && plan.outcome == IOVAGEOM_LAYOUT_STUCK);

    /* 2^63 bytes are the largest BAR, and it lies at a multiple of that. */
    piece.range = R(UINT64_C(1) << 61, (UINT64_C(5) << 61) - 1);
    reserve(wide, R(UINT64_C(1) << 61, (UINT64_C(1) << 61) + 0xfff), IOVAGEOM_RESV_RESERVED);
    assert_int_equal(iovageom_plan_layout(NULL, wide, 0, &piece, 1, out, 1, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.placements, 1);
    check_placement(&out[0], 0, piece.range, R(UINT64_C(1) << 63, UINT64_MAX));
    iovageom_geometry_free(wide);
}

/* E15: RAM from 0 runs into the software MSI window of an ARM host. */
static void E15_the_ARM_MSI_window_in_RAM(void **state)
{
    struct iovageom_geometry *arm = host("arm", 48);
    struct iovageom_piece pieces[] = {
        {R(0, 4 * GIB - 1), IOVAGEOM_PIECE_RAM, RAM_FLAGS, 0, ALL},
        {R(8 * GIB, 8 * GIB + 0xffff), IOVAGEOM_PIECE_MSI, 0, 0, ALL}};
    struct iovageom_placement out[4];
    struct iovageom_layout_plan plan;

    (void)state;
    reserve(arm, R(0x8000000, 0x80fffff), IOVAGEOM_RESV_SOFTWARE_MSI);
    assert_int_equal(iovageom_plan_layout(NULL, arm, 0, pieces, 2, out, 4, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.placements, 1);
    check_placement(&out[0], 0, R(0x8000000, 0x80fffff), R(4 * GIB, 4 * GIB + 0xfffff));
    assert_int_equal(plan.mappings, 4);

    /* The guest's own doorbells may lie there: writes to them are no DMA. */
    pieces[0].range = R(GIB, 4 * GIB - 1);
    pieces[1].range = R(0x8020000, 0x802ffff);
    assert_int_equal(iovageom_plan_layout(NULL, arm, 0, pieces, 2, out, 4, &plan, NULL),
                     IOVAGEOM_OK);
    assert_int_equal(plan.mappings, 1);
    reserve(arm, R(0x8020000, 0x802ffff), IOVAGEOM_RESV_MSI);
    assert_int_equal(iovageom_plan_layout(NULL, arm, 0, pieces, 2, out, 4, &plan, NULL),
                     IOVAGEOM_OK);
    pieces[1].kind = IOVAGEOM_PIECE_BAR;
    assert_int_equal(iovageom_plan_layout(NULL, arm, 0, pieces, 2, out, 4, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    pieces[1].kind = IOVAGEOM_PIECE_MSI;
    pieces[1].range.last = 0x8ffffff;
    reserve(arm, R(0x8100000, 0x8100fff), IOVAGEOM_RESV_DIRECT);
    assert_int_equal(iovageom_plan_layout(NULL, arm, 0, pieces, 2, out, 4, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.stuck, 1);
    iovageom_geometry_free(arm);
}

/* E3, E7, E8, E9: a 16 GiB BAR high above a 39-bit IOMMU goes just below its limit. */
static void E8_a_high_BAR_on_a_39_bit_host(void **state)
{
    struct iovageom_geometry *intel = host("0000:01:00.0", 39);
    struct iovageom_piece pieces[] = {
        {R(0x382000000000, 0x382000000000 + 16 * GIB - 1), IOVAGEOM_PIECE_BAR,
         IOVAGEOM_PIECE_MOVABLE, 16 * GIB, ALL},
        {R(0x7c00000000, 0x7c00000fff), IOVAGEOM_PIECE_BAR, 0, 0, ALL}};
    struct iovageom_placement out;
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_plan_layout(NULL, intel, 0, pieces, 1, &out, 1, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_string_equal(iovageom_report_text(&report),
                        "[0x382000000000,0x3823ffffffff] is out of reach: 0000:01:00.0 translates "
                        "only [0x0,0x7fffffffff], says VT-d registers; use addresses within it");
    check_placement(&out, 0, pieces[0].range, R(0x7c00000000, 0x7fffffffff));
    /* Not onto another piece. */
    assert_int_equal(iovageom_plan_layout(NULL, intel, 0, pieces, 2, &out, 1, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(out.to.start, 0x7800000000);
    /* Not beyond its limits, and not at all when it is fixed. */
    pieces[0].limits = R(0x8000000000, UINT64_MAX);
    assert_int_equal(iovageom_plan_layout(NULL, intel, 0, pieces, 2, &out, 1, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.stuck, 1);
    assert_int_equal(plan.placements, 0);
    pieces[0].limits = ALL;
    pieces[0].flags = 0;
    assert_int_equal(iovageom_plan_layout(NULL, intel, 0, pieces, 2, &out, 1, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.stuck, 1);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(intel);
}

/* E14: what a bypass pins, and whether 65535 mappings will do. */
static void E14_pinned_bytes_and_the_mapping_budget(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 48);
    struct iovageom_piece pieces[] = {
        {R(0, 2 * GIB - 1), IOVAGEOM_PIECE_RAM, 0, 0, ALL},
        {R(4 * GIB, 6 * GIB - 1), IOVAGEOM_PIECE_RAM, 0, 0, ALL},
        {R(3 * GIB, 3 * GIB + 0xfffff), IOVAGEOM_PIECE_BAR, 0, 0, ALL}};
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, NULL, 0, &plan, &report),
                     IOVAGEOM_OK);
    assert_true(plan.budget == UINT64_MAX);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 65535, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, NULL, 0, &plan, &report),
                     IOVAGEOM_OK);
    assert_int_equal(plan.pinned.lo, 4 * GIB);
    assert_int_equal(plan.mappings, 3);
    assert_int_equal(plan.page_mappings, 1048576);
    assert_int_equal(plan.budget, 65535);
    /* What a guest could make is a figure, and nothing to say beside "fits". */
    assert_int_equal(iovageom_report_count(&report), 0);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_FITS);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 3, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, NULL, 0, &plan, &report),
                     IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 2, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_LIMIT);
    assert_int_equal(iovageom_report_at(&report, 0)->fatal, 1);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 3);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_OVER_BUDGET);
    assert_string_equal(iovageom_report_text(&report),
                        "3 mappings are needed, but dev allows 2; use larger pages, or raise its "
                        "limit");
    iovageom_geometry_free(geometry);

    /* Exactly as many as there are granules: nothing to say. */
    geometry = host("dev", 48);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 1048576, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, NULL, 0, &plan, &report),
                     IOVAGEOM_OK);
    assert_int_equal(iovageom_report_count(&report), 0);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

static void a_part_may_need_several_holes(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 32);
    struct iovageom_piece pieces[] = {
        {R(0x10000, 0x1ffff), IOVAGEOM_PIECE_RAM, RAM_FLAGS, 0, R(0, 0x2bfff)},
        {R(0x21000, 0x21fff), IOVAGEOM_PIECE_BAR, 0, 0, ALL}};
    struct iovageom_placement out[3];
    struct iovageom_layout_plan plan;

    (void)state;
    reserve(geometry, R(0, 0xbfff), IOVAGEOM_RESV_RESERVED);
    reserve(geometry, R(0x10000, 0x1efff), IOVAGEOM_RESV_DIRECT);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 3, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.stuck, 0);
    assert_int_equal(plan.placements, 3);
    check_placement(&out[0], 0, R(0x10000, 0x19fff), R(0x22000, 0x2bfff));
    check_placement(&out[1], 0, R(0x1a000, 0x1dfff), R(0xc000, 0xffff));
    check_placement(&out[2], 0, R(0x1e000, 0x1efff), R(0x20000, 0x20fff));
    assert_int_equal(plan.mappings, 5);
    /* A page less, and it can't be done: then nothing is proposed. */
    pieces[0].limits.last = 0x29fff;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 3, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.stuck, 1);
    assert_int_equal(plan.placements, 0);
    iovageom_geometry_free(geometry);
}

static void a_host_that_names_no_page_size(void **state)
{
    struct iovageom_piece piece = {R(0x1000, 0x1fff), IOVAGEOM_PIECE_RAM, 0, 0, ALL};
    struct iovageom_geometry *geometry;
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_new(NULL, "silent", &geometry), 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, &report),
                     0);
    /* What it doesn't say is noted: of width, reserved regions and page sizes. */
    assert_int_equal(iovageom_report_count(&report), 3);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_UNKNOWN);
    iovageom_report_deinit(&report);
    assert_int_equal(plan.page_mappings, 1);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0x10000, &piece, 1, NULL, 0, &plan, NULL),
                     0);
    assert_int_equal(plan.pinned.lo, 0x10000);
    piece.range = ALL;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 1, &piece, 1, NULL, 0, &plan, NULL), 0);
    assert_true(plan.page_mappings == UINT64_MAX);
    iovageom_geometry_free(geometry);
}

static void placements_beyond_the_capacity_are_counted(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 48);
    struct iovageom_piece pieces[3];
    struct iovageom_placement out[3];
    struct iovageom_placement same;
    struct iovageom_layout_plan plan;

    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        pieces[i] = (struct iovageom_piece){R(i << 20, (i << 20) + 0xfff), IOVAGEOM_PIECE_MSI,
                                            IOVAGEOM_PIECE_MOVABLE, 0, ALL};
        reserve(geometry, pieces[i].range, IOVAGEOM_RESV_DIRECT);
    }
    memset(out, 0x44, sizeof(out));
    same = out[1];
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, out, 1, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.placements, 3);
    check_placement(&out[0], 0, R(0, 0xfff), R(0x1000, 0x1fff));
    assert_memory_equal(&out[1], &same, sizeof(same));
    iovageom_geometry_free(geometry);
}

static void edges_and_bad_input(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 64);
    struct iovageom_piece piece = {ALL, IOVAGEOM_PIECE_RAM, RAM_FLAGS, 0, ALL};
    struct iovageom_piece two[2] = {{R(0, 0xfff), IOVAGEOM_PIECE_RAM, 0, 0, ALL},
                                    {R(0x800, 0x1fff), IOVAGEOM_PIECE_BAR, 0, 0, ALL}};
    struct iovageom_layout_plan plan;
    struct iovageom_layout_plan same;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, NULL, 0, NULL, 0, &plan, &report), 0);
    assert_int_equal(plan.mappings, 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, &report),
                     0);
    assert_int_equal(plan.pinned.hi, 1);
    assert_int_equal(plan.page_mappings, UINT64_C(1) << 52);
    reserve(geometry, R(UINT64_MAX, UINT64_MAX), IOVAGEOM_RESV_MSI);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.stuck, 1);
    same = plan;
    piece.flags = IOVAGEOM_PIECE_MOVABLE;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.stuck, 1);

    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, two, 2, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_OVERLAP);
    assert_string_equal(iovageom_report_text(&report), "[0x800,0x1fff] overlaps [0x0,0xfff]");
    two[1].range = R(0x2800, 0x2fff);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, two, 2, NULL, 0, &plan, &report), 0);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_ALIGNMENT);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 0x1000);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 0);
    assert_int_equal(iovageom_report_at(&report, 0)->against.last, 0);
    same = plan;
    two[1].range = R(1, 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, two, 2, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_INVERTED);
    piece.kind = 0;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_INVALID);
    piece = (struct iovageom_piece){ALL, IOVAGEOM_PIECE_BAR, 4, 0, ALL};
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_INVALID);
    piece = (struct iovageom_piece){ALL, IOVAGEOM_PIECE_BAR, 0, 3, ALL};
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 1024, two, 1, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 12288, two, 1, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, 0, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, two, 1, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_NOTHING_USABLE);
    assert_memory_equal(&plan, &same, sizeof(plan));
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

/* ---- pieces in each other's way ---- */

/* A coherent GPU's memory has to appear where the host has it, and RAM lies over it. */
static void RAM_makes_room_for_a_BAR_that_is_fixed(void **state)
{
    struct iovageom_geometry *geometry = host("gpu", 48);
    struct iovageom_piece pieces[] = {
        {R(GIB, 481 * GIB - 1), IOVAGEOM_PIECE_RAM, RAM_FLAGS, 0, ALL},
        {R(256 * GIB, 384 * GIB - 1), IOVAGEOM_PIECE_BAR, 0, 0, ALL}};
    struct iovageom_placement out[8];
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 8, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_SOLVED);
    assert_int_equal(plan.stuck, 0);
    assert_int_equal(plan.placements, 1);
    check_placement(&out[0], 0, pieces[1].range, R(481 * GIB, 609 * GIB - 1));
    assert_int_equal(plan.mappings, 4);
    assert_string_equal(iovageom_report_text(&report),
                        "[0x40000000,0x783fffffff] overlaps [0x4000000000,0x5fffffffff]");
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 0);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 1);

    /* In whatever order they come, and when RAM moves whole. */
    struct iovageom_piece turned[] = {pieces[1], pieces[0]};
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, turned, 2, out, 8, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    check_placement(&out[0], 1, pieces[1].range, R(481 * GIB, 609 * GIB - 1));
    pieces[0].flags = IOVAGEOM_PIECE_MOVABLE;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 8, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    check_placement(&out[0], 0, pieces[0].range, R(384 * GIB, 864 * GIB - 1));
    /* With nowhere to go, it is stuck, and the report says which piece. */
    pieces[0].limits = R(0, 500 * GIB);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 8, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_STUCK);
    assert_int_equal(plan.stuck, 1);
    assert_int_equal(iovageom_report_count(&report), 2);
    assert_int_equal(iovageom_report_at(&report, 1)->kind, IOVAGEOM_FINDING_NO_PLACE);
    assert_int_equal(iovageom_report_at(&report, 1)->wanted, 0);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

/* Of two that move, RAM makes room for a BAR, and the smaller BAR for the larger. */
static void who_makes_room(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 48);
    struct iovageom_piece pieces[] = {
        {R(0, 4 * GIB - 1), IOVAGEOM_PIECE_RAM, RAM_FLAGS, 0, ALL},
        {R(0xe0000000, 0xe00fffff), IOVAGEOM_PIECE_BAR, IOVAGEOM_PIECE_MOVABLE, 0, ALL},
        {R(0xe0000000, 0xefffffff), IOVAGEOM_PIECE_BAR, IOVAGEOM_PIECE_MOVABLE, 0, ALL}};
    struct iovageom_placement out[4];
    struct iovageom_layout_plan plan;

    (void)state;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, out, 4, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    /* The small one has 32 bits, for all that is known, and RAM is there: it is RAM's turn
     * after. */
    assert_int_equal(plan.stuck, 1);
    assert_int_equal(plan.placements, 1);
    check_placement(&out[0], 0, R(0xe0000000, 0xefffffff), R(4 * GIB, 4 * GIB + 0xfffffff));
    pieces[0].range.last = 0xefffffff;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, out, 4, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_SOLVED);
    assert_int_equal(plan.placements, 2);
    check_placement(&out[0], 1, pieces[1].range, R(0xf0000000, 0xf00fffff));
    check_placement(&out[1], 0, R(0xe0000000, 0xefffffff), R(0xf0100000, 0x1000fffff));
    iovageom_geometry_free(geometry);
}

/* Where a piece was that has moved is free, even where another one is that moves now. */
static void a_piece_goes_where_another_one_has_left(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 32);
    struct iovageom_piece pieces[] = {
        {R(0x10000, 0x1ffff), IOVAGEOM_PIECE_RAM, IOVAGEOM_PIECE_MOVABLE, 0, ALL},
        {R(0x18000, 0x1bfff), IOVAGEOM_PIECE_RAM, IOVAGEOM_PIECE_MOVABLE, 0, R(0x15000, 0x1bfff)},
        {R(0x17000, 0x17fff), IOVAGEOM_PIECE_RAM, RAM_FLAGS, 0, ALL}};
    struct iovageom_placement out[2];
    struct iovageom_layout_plan plan;

    (void)state;
    reserve(geometry, R(0x10000, 0x10fff), IOVAGEOM_RESV_RESERVED);
    reserve(geometry, R(0x1b000, 0x1bfff), IOVAGEOM_RESV_RESERVED);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 2, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_SOLVED);
    assert_int_equal(plan.placements, 2);
    check_placement(&out[0], 0, pieces[0].range, R(0x1c000, 0x2bfff));
    check_placement(&out[1], 1, pieces[1].range, R(0x17000, 0x1afff));
    /* But not where a third one is, which had a part of the first one's place, too. */
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 3, out, 2, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.stuck, 1);
    assert_int_equal(plan.placements, 1);
    iovageom_geometry_free(geometry);
}

/* They may be where the host has its own, but not where another piece is. */
static void doorbells_make_room_for_each_other(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 48);
    struct iovageom_piece pieces[] = {
        {R(0xfee01000, 0xfee02fff), IOVAGEOM_PIECE_MSI, IOVAGEOM_PIECE_MOVABLE, 0, ALL},
        {R(0xfee00000, 0xfee01fff), IOVAGEOM_PIECE_MSI, 0, 0, ALL}};
    struct iovageom_placement out[1];
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    reserve(geometry, R(0xfee00000, 0xfeefffff), IOVAGEOM_RESV_MSI);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 1, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_SOLVED);
    assert_int_equal(plan.misfits, 1);
    assert_int_equal(plan.placements, 1);
    assert_int_equal(plan.mappings, 1);
    check_placement(&out[0], 0, pieces[0].range, R(0xfedfe000, 0xfedfffff));
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_OVERLAP);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 0);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 1);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

static void BARs_that_share_a_page_are_separated(void **state)
{
    struct iovageom_geometry *geometry;
    struct iovageom_piece pieces[] = {
        {R(0x80000000, 0x80000fff), IOVAGEOM_PIECE_BAR, IOVAGEOM_PIECE_MOVABLE, 0, ALL},
        {R(0x80001000, 0x80001fff), IOVAGEOM_PIECE_BAR, IOVAGEOM_PIECE_MOVABLE, 0, ALL}};
    struct iovageom_placement out[2];
    struct iovageom_layout_plan plan;
    struct iovageom_report report;
    const struct iovageom_finding *finding;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_new(NULL, "arm64", &geometry), 0);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 48, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, 0x20010000, IOVAGEOM_SOURCE_VFIO),
                     0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 2, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_SOLVED);
    assert_int_equal(plan.placements, 1);
    check_placement(&out[0], 1, pieces[1].range, R(0x80010000, 0x80010fff));
    assert_int_equal(plan.moved.lo, 0x1000);
    finding = iovageom_report_at(&report, 0); /* before two notes on alignment */
    assert_int_equal(finding->kind, IOVAGEOM_FINDING_OVERLAP);
    assert_int_equal(finding->fatal, 1);
    assert_int_equal(finding->wanted, 1);
    assert_int_equal(finding->offered, 0);
    /* The one that is fixed stays, whichever it is. */
    pieces[1].flags = 0;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 2, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    check_placement(&out[0], 0, pieces[0].range, R(0x80010000, 0x80010fff));
    /* Both: a note, and no error, as they do not overlap. */
    pieces[0].flags = 0;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 2, out, 2, &plan, &report),
                     IOVAGEOM_OK);
    finding = iovageom_report_at(&report, 0);
    assert_int_equal(finding->kind, IOVAGEOM_FINDING_OVERLAP);
    assert_int_equal(finding->fatal, 0);
    assert_int_equal(finding->against.last, 0x80000fff);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

static void fixed_pieces_that_overlap_are_named_as_given(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 48);
    struct iovageom_piece pieces[] = {
        {R(0x2000, 0x2fff), IOVAGEOM_PIECE_RAM, 0, 0, ALL},
        {R(0x3000, 0x4fff), IOVAGEOM_PIECE_RAM, IOVAGEOM_PIECE_MOVABLE, 0, ALL},
        {R(0x3000, 0x37ff), IOVAGEOM_PIECE_RAM, 0, 0, ALL},
        {R(0x1000, 0x1fff), IOVAGEOM_PIECE_RAM, 0, 0, ALL},
        {R(0x3400, 0x8fff), IOVAGEOM_PIECE_BAR, 0, 0, ALL}};
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 5, NULL, 0, &plan, &report),
                     IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_string_equal(iovageom_report_text(&report), "[0x3400,0x8fff] overlaps [0x3000,0x37ff]");
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 4);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 2);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

/* ---- BARs ---- */

static void BARs_keep_their_natural_alignment(void **state)
{
    struct iovageom_geometry *geometry = host("h42", 42);
    struct iovageom_piece pieces[] = {
        {R(0x7ff3c000000, 0x7ff3dffffff), IOVAGEOM_PIECE_BAR, IOVAGEOM_PIECE_MOVABLE, 0, ALL},
        {R(0x7e000000000, 0x7efffffffff), IOVAGEOM_PIECE_BAR, RAM_FLAGS, 0, ALL},
        {R(0x7f000000000, 0x7f0002fffff), IOVAGEOM_PIECE_BAR, IOVAGEOM_PIECE_MOVABLE, 0, ALL},
        {R(0x6f000000000, 0x6f0002fffff), IOVAGEOM_PIECE_BAR, IOVAGEOM_PIECE_MOVABLE, 1, ALL}};
    struct iovageom_placement out[4];
    struct iovageom_layout_plan plan;

    (void)state;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, pieces, 4, out, 4, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_SOLVED);
    /* The largest first; 3 MiB as if they were 4; 1 is no alignment but the granule's. */
    check_placement(&out[0], 1, pieces[1].range, R(0x3f000000000, 0x3ffffffffff));
    check_placement(&out[1], 0, pieces[0].range, R(0x3effe000000, 0x3efffffffff));
    check_placement(&out[2], 2, pieces[2].range, R(0x3effdc00000, 0x3effdefffff));
    check_placement(&out[3], 3, pieces[3].range, R(0x3effdf00000 - 0x600000, 0x3effdbfffff));
    iovageom_geometry_free(geometry);
}

static void BARs_below_4_GiB_stay_below(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 48);
    struct iovageom_piece piece = {R(0xfe000000, 0xfeffffff), IOVAGEOM_PIECE_BAR,
                                   IOVAGEOM_PIECE_MOVABLE, 0, ALL};
    struct iovageom_placement out;
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    reserve(geometry, R(0xfee00000, 0x1ffffffff), IOVAGEOM_RESV_MSI);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, &out, 1, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    check_placement(&out, 0, piece.range, R(0xfd000000, 0xfdffffff));
    reserve(geometry, R(0, 0xfdffffff), IOVAGEOM_RESV_RESERVED);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, &out, 1, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_STUCK);
    assert_int_equal(iovageom_report_at(&report, 1)->against.last, UINT32_MAX);
    /* One of 64 bits, which says so. */
    piece.limits.last = (UINT64_C(1) << 46) - 1;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, &out, 1, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    check_placement(&out, 0, piece.range, R(0x200000000, 0x200ffffff));
    /* Above 4 GiB all of 64 bits are meant. */
    piece = (struct iovageom_piece){R(0x100000000, 0x100ffffff), IOVAGEOM_PIECE_BAR,
                                    IOVAGEOM_PIECE_MOVABLE, 0, ALL};
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, &out, 1, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(out.to.start, 0x200000000);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

/* ---- figures and words ---- */

static void mappings_in_chunks(void **state)
{
    const struct iovageom_piece pieces[] = {
        {R(0, 2 * GIB - 1), IOVAGEOM_PIECE_RAM, 0, 0, ALL},
        {R(3 * GIB, 3 * GIB + 0xfff), IOVAGEOM_PIECE_BAR, 0, 0, ALL},
        {R(4 * GIB, 18 * GIB - 1), IOVAGEOM_PIECE_RAM, 0, 0, ALL}};
    struct iovageom_piece piece = {ALL, IOVAGEOM_PIECE_RAM, 0, 0, ALL};
    uint64_t mappings = 77;

    (void)state;
    assert_int_equal(iovageom_plan_layout_chunks(pieces, 3, 4096, &mappings), 0);
    assert_int_equal(mappings, 4194304);
    assert_int_equal(iovageom_plan_layout_chunks(pieces, 3, 2 << 20, &mappings), 0);
    assert_int_equal(mappings, 8192);
    assert_int_equal(iovageom_plan_layout_chunks(pieces, 0, 1, &mappings), 0);
    assert_int_equal(mappings, 0);
    assert_int_equal(iovageom_plan_layout_chunks(&piece, 1, 2, &mappings), 0);
    assert_true(mappings == UINT64_C(1) << 63);
    assert_int_equal(iovageom_plan_layout_chunks(&piece, 1, 1, &mappings), 0);
    assert_true(mappings == UINT64_MAX);
    piece.range = R(0xfff, 0x1000);
    assert_int_equal(iovageom_plan_layout_chunks(&piece, 1, 4096, &mappings), 0);
    assert_int_equal(mappings, 2);
    assert_int_equal(iovageom_plan_layout_chunks(pieces, 3, 3, &mappings), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_plan_layout_chunks(pieces, 3, 0, &mappings), IOVAGEOM_ERR_INVALID);
    piece.range = R(1, 0);
    assert_int_equal(iovageom_plan_layout_chunks(&piece, 1, 1, &mappings), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(mappings, 2);
}

static void a_solved_plan_says_so(void **state)
{
    struct iovageom_geometry *geometry = host("dev", 32);
    struct iovageom_piece piece = {R(0, 0xfff), IOVAGEOM_PIECE_RAM, RAM_FLAGS, 0, ALL};
    struct iovageom_layout_plan plan;

    (void)state;
    reserve(geometry, R(0, 0xfff), IOVAGEOM_RESV_RESERVED);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_string_equal(iovageom_layout_outcome_string(plan.outcome),
                        "the layout fits once the proposed moves are made");
    /* Solved but for the budget is not solved. */
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 0, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, NULL),
                     IOVAGEOM_ERR_LIMIT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_OVER_BUDGET);
    piece.flags = 0;
    assert_int_equal(iovageom_plan_layout(NULL, geometry, 0, &piece, 1, NULL, 0, &plan, NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.outcome, IOVAGEOM_LAYOUT_STUCK);
    assert_string_equal(iovageom_layout_outcome_string(IOVAGEOM_LAYOUT_FITS),
                        "the layout fits as it is");
    assert_string_equal(iovageom_layout_outcome_string(IOVAGEOM_LAYOUT_STUCK),
                        "no place was found for some pieces of the layout");
    assert_string_equal(iovageom_layout_outcome_string(IOVAGEOM_LAYOUT_OVER_BUDGET),
                        "the layout needs more mappings than the host allows");
    assert_string_equal(iovageom_layout_outcome_string(0), "unknown outcome");
    iovageom_geometry_free(geometry);
}

/* Of pieces with one hole each, and of one with many, which is settled in between. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned n = 1, hit = 1; hit != 0; n++) {
        struct test_allocator memory;
        struct iovageom_geometry *geometry = host("dev", 48);
        struct iovageom_piece pieces[41];
        struct iovageom_placement out[60];
        struct iovageom_layout_plan plan;
        struct iovageom_layout_plan same;

        memset(&plan, 0x33, sizeof(plan));
        same = plan;
        for (uint64_t i = 0; i < 40; i++) {
            pieces[i] = (struct iovageom_piece){R(i << 20, (i << 20) + 0xffff), IOVAGEOM_PIECE_RAM,
                                                i % 2 ? RAM_FLAGS : IOVAGEOM_PIECE_MOVABLE, 0, ALL};
            reserve(geometry, R((i << 20) + 0x1000, (i << 20) + 0x1fff), IOVAGEOM_RESV_DIRECT);
        }
        pieces[40] = pieces[39];
        pieces[39] = (struct iovageom_piece){R(0x40000000, 0x4004ffff), IOVAGEOM_PIECE_RAM,
                                             RAM_FLAGS, 0, ALL};
        for (uint64_t i = 0; i < 20; i++)
            reserve(geometry, R(0x40001000 + (i << 14), 0x40001fff + (i << 14)),
                    IOVAGEOM_RESV_DIRECT);
        test_allocator_init(&memory);
        test_allocator_fail_at(&memory, n, n % 2 == 0);
        int status =
            iovageom_plan_layout(&memory.allocator, geometry, 0, pieces, 41, out, 60, &plan, NULL);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_ERR_CONFLICT);
        if (hit)
            assert_memory_equal(&plan, &same, sizeof(plan));
        else
            assert_int_equal(plan.placements, 60);
        assert_int_equal(test_allocator_live(&memory), 0);
        iovageom_geometry_free(geometry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(E4_the_AMD_hole_below_1_TiB),
        cmocka_unit_test(the_ends_of_the_address_space),
        cmocka_unit_test(E15_the_ARM_MSI_window_in_RAM),
        cmocka_unit_test(E8_a_high_BAR_on_a_39_bit_host),
        cmocka_unit_test(E14_pinned_bytes_and_the_mapping_budget),
        cmocka_unit_test(a_part_may_need_several_holes),
        cmocka_unit_test(a_host_that_names_no_page_size),
        cmocka_unit_test(placements_beyond_the_capacity_are_counted),
        cmocka_unit_test(edges_and_bad_input),
        cmocka_unit_test(RAM_makes_room_for_a_BAR_that_is_fixed),
        cmocka_unit_test(who_makes_room),
        cmocka_unit_test(a_piece_goes_where_another_one_has_left),
        cmocka_unit_test(doorbells_make_room_for_each_other),
        cmocka_unit_test(BARs_that_share_a_page_are_separated),
        cmocka_unit_test(fixed_pieces_that_overlap_are_named_as_given),
        cmocka_unit_test(BARs_keep_their_natural_alignment),
        cmocka_unit_test(BARs_below_4_GiB_stay_below),
        cmocka_unit_test(mappings_in_chunks),
        cmocka_unit_test(a_solved_plan_says_so),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

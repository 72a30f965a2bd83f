/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/guest.h>
#include <iovageom/plan_probe.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "support/test_allocator.h"
#include "virtio/virtio_internal.h"

#define MAX          UINT64_MAX
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define R(start, last)                                                                             \
    {                                                                                              \
        {(start), (last)}, IOVAGEOM_RESV_RESERVED, 0                                               \
    }
#define M(start, last)                                                                             \
    {                                                                                              \
        {(start), (last)}, IOVAGEOM_RESV_MSI, 0                                                    \
    }

static const struct iovageom_range everything = {0, MAX};
static struct iovageom_report report;

static int setup(void **state)
{
    (void)state;
    iovageom_report_init(&report, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    iovageom_report_deinit(&report);
    return 0;
}

static void check(const struct iovageom_region *list, size_t count, size_t room,
                  const struct iovageom_region *expected, size_t expected_count, uint64_t lost)
{
    struct iovageom_region out[16];
    struct iovageom_probe_plan plan;
    uint64_t named = 0;

    assert_int_equal(iovageom_plan_probe(list, count, room * 24, out, COUNT(out), &plan, &report),
                     0);
    assert_int_equal(plan.count, expected_count);
    assert_int_equal(plan.bytes, 24 * expected_count);
    assert_int_equal(plan.lost.hi, 0);
    assert_int_equal(plan.lost.lo, lost);
    for (size_t i = 0; i < expected_count; i++) {
        assert_int_equal(out[i].range.start, expected[i].range.start);
        assert_int_equal(out[i].range.last, expected[i].range.last);
        assert_int_equal(out[i].type, expected[i].type);
    }
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&report, i);

        assert_int_equal(finding->fatal, 0);
        if (finding->kind == IOVAGEOM_FINDING_LOST)
            named += iovageom_size_saturate(iovageom_range_size(finding->range));
        else
            assert_int_equal(finding->kind, IOVAGEOM_FINDING_PROBE_SIZE);
    }
    assert_int_equal(named, lost);
}

static void q20_touching_regions_are_merged_without_loss(void **state)
{
    const struct iovageom_region list[] = {R(0, 9), R(10, 19), M(20, 29), R(30, 39), R(40, 49)};
    const struct iovageom_region merged[] = {R(0, 19), M(20, 29), R(30, 49)};

    (void)state;
    check(list, COUNT(list), 21, merged, COUNT(merged), 0);
    assert_int_equal(iovageom_report_count(&report), 0);
    check(list, COUNT(list), 3, merged, COUNT(merged), 0);
    check(NULL, 0, 0, NULL, 0, 0);
    /* What touches an MSI region is not taken for a gap. */
    check(merged, COUNT(merged), 3, merged, COUNT(merged), 0);
}

/* Q1: 40 windows, room for 21. */
static void q1_forty_windows_in_512_bytes(void **state)
{
    struct iovageom_region list[40], out[40];
    struct iovageom_probe_plan plan;
    uint64_t at = 0x100000000;

    (void)state;
    list[0] = (struct iovageom_region)M(0xfee00000, 0xfeefffff);
    for (unsigned i = 1; i < 40; i++) {
        list[i] = (struct iovageom_region)R(at, at + 0xfff);
        at += UINT64_C(0x1000) + UINT64_C(0x1000) * i; /* each gap is larger than the one below */
    }
    assert_int_equal(iovageom_plan_probe(list, 40, 512, out, 40, &plan, &report), 0);
    assert_int_equal(plan.count, 21);
    assert_int_equal(plan.bytes, 504);
    assert_int_equal(plan.lossless_bytes, 960);
    assert_int_equal(plan.minimum_bytes, 48);
    /* The 19 smallest gaps, of 1 to 19 granules. */
    assert_int_equal(plan.lost.lo, 0x1000 * 19 * 20 / 2);
    assert_int_equal(iovageom_report_count(&report), 1 + 19);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_PROBE_SIZE);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 960);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 512);
    assert_int_equal(out[0].type, IOVAGEOM_RESV_MSI);
    assert_int_equal(iovageom_wire_check(out, plan.count), 0);
}

static void msi_is_never_merged_away(void **state)
{
    const struct iovageom_region list[] = {R(0, 1), R(100, 101), M(103, 104), R(106, 107),
                                           R(200, 201)};
    const struct iovageom_region shortest[] = {R(0, 101), M(103, 104), R(106, 201)};
    struct iovageom_region out[5] = {{{7, 7}, 7, 7}};
    struct iovageom_probe_plan plan;

    (void)state;
    check(list, COUNT(list), 3, shortest, COUNT(shortest), 98 + 92);
    assert_int_equal(iovageom_plan_probe(list, 5, 71, out, 5, &plan, &report),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(plan.minimum_bytes, 72);
    assert_int_equal(plan.lossless_bytes, 120);
    assert_int_equal(plan.count, 3);
    assert_int_equal(plan.lost.lo, 98 + 92);
    assert_int_equal(out[0].type, 7);
    assert_int_equal(iovageom_report_count(&report), 1);
    assert_int_equal(iovageom_report_at(&report, 0)->fatal, 1);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 72);
}

static void of_equal_gaps_the_higher_goes_first(void **state)
{
    const struct iovageom_region list[] = {R(0, 9), R(20, 29), R(40, 49), R(60, 69)};
    const struct iovageom_region three[] = {R(0, 9), R(20, 29), R(40, 69)};
    const struct iovageom_region two[] = {R(0, 9), R(20, 69)};

    (void)state;
    check(list, COUNT(list), 3, three, COUNT(three), 10);
    check(list, COUNT(list), 2, two, COUNT(two), 20);
}

static void never_everything_in_one_piece(void **state)
{
    const struct iovageom_region halves[] = {R(0, MAX >> 1), R((MAX >> 1) + 1, MAX)};
    const struct iovageom_region low[] = {R(0, 0x7fffffff), R(0x80000000, UINT32_MAX)};
    const struct iovageom_region list[] = {R(0, 9), R(20, 29), R(35, MAX)};
    const struct iovageom_region two[] = {R(0, 9), R(20, MAX)};
    struct iovageom_probe_plan plan;

    (void)state;
    check(halves, 2, 2, halves, 2, 0);
    check(low, 2, 2, low, 2, 0);
    check(list, 3, 2, two, 2, 5);
    assert_int_equal(iovageom_plan_probe(list, 3, 24, NULL, 0, &plan, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(plan.minimum_bytes, 48);
    assert_int_equal(iovageom_plan_probe(halves, 2, 24, NULL, 0, &plan, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
}

static void arguments(void **state)
{
    struct iovageom_region list[] = {R(0, 9), R(20, 29), R(25, 30)};
    struct iovageom_region out[2] = {{{7, 7}, 7, 7}};
    struct iovageom_probe_plan plan = {77, 0, 0, 0, {0, 0}};

    (void)state;
    assert_int_equal(iovageom_plan_probe(list, 3, 512, out, 2, &plan, &report),
                     IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(plan.count, 77);
    assert_int_equal(iovageom_plan_probe(list, 2, SIZE_MAX, NULL, 0, &plan, &report), 0);
    assert_int_equal(plan.count, 2);
    assert_int_equal(iovageom_plan_probe(list, 2, 512, out, 1, &plan, &report),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(out[0].type, 7);
    assert_int_equal(plan.count, 2);
    /* In place. */
    assert_int_equal(iovageom_plan_probe(list, 2, 24, list, 1, &plan, NULL), 0);
    assert_int_equal(list[0].range.start, 0);
    assert_int_equal(list[0].range.last, 29);
}

/* The largest loss there is needs no more than 64 bits but one: two regions, one address each. */
static void extreme_gaps(void **state)
{
    const struct iovageom_region list[] = {R(1, 1), R(MAX, MAX)};
    const struct iovageom_region one[] = {R(1, MAX)};

    (void)state;
    check(list, 2, 1, one, 1, MAX - 2);
}

/* ---- against brute force: every set of gaps, every type, every room, all small universes ---- */

static unsigned bits(unsigned value)
{
    unsigned count = 0;

    for (; value != 0; value &= value - 1)
        count++;
    return count;
}

/*
 * The least that must be given up so that `room` properties cover `reserved`, where one of them is
 * exactly `msi` (0: none): tries every superset. Universe of 8 addresses; UINT32_MAX if none fits.
 */
static unsigned brute_force(unsigned reserved, unsigned msi, unsigned room)
{
    unsigned best = UINT32_MAX;

    for (unsigned covered = 0; covered < 256; covered++) {
        unsigned others = covered & ~msi, pieces;

        if ((covered & (reserved | msi)) != (reserved | msi))
            continue;
        /* Pieces of the rest, which the MSI window splits: starts where the address below isn't. */
        pieces = bits(others & ~(others << 1)) + (msi != 0);
        if (pieces <= room && bits(covered & ~(reserved | msi)) < best)
            best = bits(covered & ~(reserved | msi));
    }
    return best;
}

static size_t list_of(unsigned reserved, unsigned msi, struct iovageom_region *list)
{
    size_t count = 0;

    for (unsigned at = 0; at < 8; at++) {
        uint32_t type = msi >> at & 1        ? IOVAGEOM_RESV_MSI
                        : reserved >> at & 1 ? IOVAGEOM_RESV_RESERVED
                                             : 0;

        if (type == 0)
            continue;
        /* Touching ones are sometimes given apart, sometimes as one. */
        if (count > 0 && list[count - 1].type == type && list[count - 1].range.last == at - 1 &&
            (type == IOVAGEOM_RESV_MSI || at % 3 != 0))
            list[count - 1].range.last = at;
        else
            list[count++] = (struct iovageom_region){{at, at}, type, 0};
    }
    return count;
}

static void against_brute_force(unsigned reserved, unsigned msi)
{
    struct iovageom_region list[8], out[8];
    size_t count = list_of(reserved, msi, list);

    for (unsigned room = 0; room <= 8; room++) {
        unsigned least = brute_force(reserved, msi, room), covered = 0;
        struct iovageom_probe_plan plan;
        int status = iovageom_plan_probe(list, count, room * 24 + 23, out, 8, &plan, NULL);

        if (least == UINT32_MAX) {
            assert_int_equal(status, IOVAGEOM_ERR_BUFFER_TOO_SMALL);
            continue;
        }
        assert_int_equal(status, 0);
        assert_int_equal(plan.lost.lo, least);
        assert_true(plan.count <= room);
        assert_int_equal(iovageom_wire_check(out, plan.count), 0);
        for (size_t i = 0; i < plan.count; i++)
            for (uint64_t at = out[i].range.start; at <= out[i].range.last; at++) {
                covered |= 1u << at;
                assert_int_equal(msi >> at & 1, out[i].type == IOVAGEOM_RESV_MSI);
            }
        assert_int_equal(covered & (reserved | msi), reserved | msi);
        assert_int_equal(bits(covered & ~(reserved | msi)), least);
    }
}

static void no_list_loses_less(void **state)
{
    (void)state;
    for (unsigned reserved = 0; reserved < 256; reserved++) {
        against_brute_force(reserved, 0);
        for (unsigned first = 0; first < 8; first++)
            for (unsigned last = first; last < 8; last++) {
                unsigned msi = (2u << last) - (1u << first);

                against_brute_force(reserved & ~msi, msi);
            }
    }
}

/* ---- nor all of 32 bits: the same in cells of 1 GiB, of which four are below 4 GiB ---- */

/* Closes gaps in every way that makes no [0, 2^32-1], which comes in halves; UINT32_MAX: none
 * fits. */
static unsigned least_cells(const struct iovageom_region *list, size_t count, unsigned room)
{
    unsigned best = UINT32_MAX;

    for (unsigned closed = 0; closed < 1u << (count - 1); closed++) {
        unsigned lost = 0, pieces = 1;
        uint64_t start = list[0].range.start;
        bool allowed = true;

        for (size_t i = 0; i < count; i++) {
            const bool join = closed >> i & 1;

            if (i + 1 < count && join) {
                allowed = allowed && list[i].type == IOVAGEOM_RESV_RESERVED &&
                          list[i + 1].type == IOVAGEOM_RESV_RESERVED;
                lost += (unsigned)((list[i + 1].range.start - list[i].range.last - 1) >> 30);
                continue;
            }
            allowed = allowed && (start != 0 || list[i].range.last != UINT32_MAX);
            if (i + 1 < count) {
                pieces++;
                start = list[i + 1].range.start;
            }
        }
        if (allowed && pieces <= room && lost < best)
            best = lost;
    }
    return best;
}

static void check_in_cells(unsigned reserved, unsigned msi, unsigned apart)
{
    const struct iovageom_range low = {0, UINT32_MAX};
    struct iovageom_region list[8], halves[9], out[10];
    size_t count = 0, half_count = 0;

    for (uint64_t at = 0; at < 8; at++) {
        uint32_t type = at + 1 == msi        ? IOVAGEOM_RESV_MSI
                        : reserved >> at & 1 ? IOVAGEOM_RESV_RESERVED
                                             : 0;

        if (type == 0)
            continue;
        if (count > 0 && list[count - 1].type == type &&
            list[count - 1].range.last + 1 == at << 30 && !(apart >> at & 1))
            list[count - 1].range.last += UINT64_C(1) << 30;
        else
            list[count++] =
                (struct iovageom_region){{at << 30, (at << 30) + (1u << 30) - 1}, type, 0};
    }
    for (size_t i = 0; i < count; i++) {
        halves[half_count++] = list[i];
        if (!iovageom_range_equal(list[i].range, low))
            continue;
        halves[half_count - 1].range.last = 0x7fffffff;
        halves[half_count++] =
            (struct iovageom_region){{0x80000000, UINT32_MAX}, IOVAGEOM_RESV_RESERVED, 0};
    }
    for (unsigned room = 0; count > 0 && room <= 9; room++) {
        const unsigned least = least_cells(halves, half_count, room);
        struct iovageom_probe_plan plan;
        int status = iovageom_plan_probe(list, count, room * 24, out, count + 1, &plan, NULL);

        assert_int_equal(status, least == UINT32_MAX ? IOVAGEOM_ERR_BUFFER_TOO_SMALL : 0);
        assert_int_equal(plan.minimum_bytes <= room * 24, status == 0);
        if (status < 0)
            continue;
        assert_int_equal(plan.lost.lo >> 30, least);
        assert_int_equal(plan.lossless_bytes <= room * 24, least == 0);
        assert_true(plan.count <= room);
        assert_int_equal(iovageom_wire_check(out, plan.count), 0);
        for (size_t i = 0; i < plan.count; i++)
            assert_false(iovageom_range_equal(out[i].range, low));
        for (size_t i = 0, k = 0; i < count; i++) {
            for (; k < plan.count && out[k].range.last < list[i].range.last; k++)
                ;
            assert_true(k < plan.count && out[k].type == list[i].type);
        }
        /* In place it is the same. */
        if (room == 9 || plan.count > 1) {
            struct iovageom_region own[10];

            memcpy(own, list, sizeof(list));
            assert_int_equal(
                iovageom_plan_probe(own, count, room * 24, own, count + 1, &plan, NULL), 0);
            assert_memory_equal(own, out, plan.count * sizeof(*own));
        }
    }
}

static void never_all_of_32_bits_in_one_piece(void **state)
{
    const struct iovageom_region joined[] = {R(0, 0x7fffffff), R(0x80000000, UINT32_MAX),
                                             R(0x10000000000, MAX)};
    const struct iovageom_region gaps[] = {R(0, 9), R(20, UINT32_MAX), R(0x100000010, 0x10000001f),
                                           M(0x200000000, 0x2000fffff)};
    const struct iovageom_region above[] = {R(0, 9), R(20, 0x10000001f),
                                            M(0x200000000, 0x2000fffff)};
    const struct iovageom_region whole[] = {R(0, UINT32_MAX), M(0x200000000, 0x2000fffff)};
    const struct iovageom_region three[] = {R(0, 0x7fffffff), R(0x80000000, UINT32_MAX),
                                            M(0x200000000, 0x2000fffff)};
    struct iovageom_region out[3];
    struct iovageom_probe_plan plan;

    (void)state;
    check(joined, 3, 9, joined, 3, 0);
    /* The cheapest gap would make it: here the one above is closed instead, for 16 bytes. */
    check(gaps, 4, 3, above, 3, 16);
    check(whole, 2, 9, three, 3, 0);
    assert_int_equal(iovageom_plan_probe(whole, 2, 48, out, 3, &plan, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(plan.minimum_bytes, 72);
    assert_int_equal(iovageom_plan_probe(whole, 2, 72, out, 2, &plan, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    for (unsigned reserved = 1; reserved < 256; reserved++)
        for (unsigned msi = 0; msi <= 8; msi++)
            for (unsigned apart = 0; apart < 256; apart += 0x55)
                check_in_cells(reserved, msi, apart);
}

/* ---- from a geometry ---- */

static struct iovageom_geometry *make(const char *name, const struct iovageom_region *reserved,
                                      size_t count)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(iovageom_geometry_add_reserved(geometry, reserved[i].range,
                                                        (enum iovageom_resv_type)reserved[i].type,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
    return geometry;
}

static void encode_reports_gaps_and_granules(void **state)
{
    const struct iovageom_region reserved[] = {R(0x10000, 0x107ff), R(0x20000, 0x20fff),
                                               R(0x100000, 0x100fff), M(0xfee00000, 0xfeefffff)};
    struct iovageom_geometry *geometry = make("host", reserved, COUNT(reserved));
    struct iovageom_probe_plan plan;
    struct iovageom_region back[4];
    uint8_t bytes[80];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_plan_probe_encode(NULL, geometry, 4096, everything, bytes,
                                                sizeof(bytes), &plan, &report),
                     0);
    assert_int_equal(plan.count, 3);
    assert_int_equal(plan.lost.lo, 0xf000);
    assert_int_equal(bytes[72] | bytes[79], 0);
    assert_int_equal(iovageom_guest_decode_probe(bytes, sizeof(bytes), back, 4, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(back[0].range.start, 0x10000);
    assert_int_equal(back[0].range.last, 0x20fff);
    assert_int_equal(iovageom_report_count(&report), 3);
    assert_int_equal(iovageom_report_at(&report, 1)->range.start, 0x11000);
    assert_int_equal(iovageom_report_at(&report, 1)->range.last, 0x1ffff);
    /* What the host would map byte by byte, as far as it says. */
    assert_int_equal(iovageom_report_at(&report, 2)->range.start, 0x10800);
    assert_int_equal(iovageom_report_at(&report, 2)->range.last, 0x10fff);
    /* A host that maps 4K pages loses nothing by a granule of 4K. */
    assert_int_equal(iovageom_geometry_add_alignment(geometry, 4096, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(
        iovageom_plan_probe_encode(NULL, geometry, 4096, everything, bytes, 72, NULL, &report), 0);
    assert_int_equal(iovageom_report_count(&report), 2);
    memset(bytes, 0x77, sizeof(bytes));
    assert_int_equal(
        iovageom_plan_probe_encode(NULL, geometry, 4096, everything, bytes, 47, &plan, &report),
        IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(bytes[0], 0x77);
    assert_int_equal(iovageom_report_at(&report, 0)->fatal, 1);
    iovageom_geometry_free(geometry);
}

static void encode_survives_want_of_memory(void **state)
{
    const struct iovageom_region reserved[] = {R(0x800, 0x1000), M(0xfee00000, 0xfeefffff)};
    struct iovageom_geometry *geometry = make("host", reserved, COUNT(reserved));
    struct test_allocator memory;
    uint8_t bytes[48];

    (void)state;
    test_allocator_init(&memory);
    for (size_t n = 1;; n++) {
        int status;
        bool hit;

        memset(bytes, 0x77, sizeof(bytes));
        test_allocator_fail_at(&memory, n, true);
        status = iovageom_plan_probe_encode(&memory.allocator, geometry, 4096, everything, bytes,
                                            sizeof(bytes), NULL, &report);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(test_allocator_live(&memory), 0);
        if (!hit) {
            assert_int_equal(status, 0);
            break;
        }
        assert_int_equal(status, IOVAGEOM_ERR_NO_MEMORY);
        assert_int_equal(bytes[0], 0x77);
    }
    iovageom_geometry_free(geometry);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(q20_touching_regions_are_merged_without_loss),
        TEST(q1_forty_windows_in_512_bytes),
        TEST(msi_is_never_merged_away),
        TEST(of_equal_gaps_the_higher_goes_first),
        TEST(never_everything_in_one_piece),
        TEST(arguments),
        TEST(extreme_gaps),
        TEST(no_list_loses_less),
        TEST(never_all_of_32_bits_in_one_piece),
        TEST(encode_reports_gaps_and_granules),
        TEST(encode_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/host_registers.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_vfio.h>
#include <iovageom/status.h>

#include "geometry/internal.h"
#include "support/test_allocator.h"
#include "support/test_fixture.h"

#define BIT(n)  ((uint64_t)1 << (n))
#define K4      BIT(12)
#define K16     BIT(14)
#define K64     BIT(16)
#define M2      BIT(21)
#define M32     BIT(25)
#define M512    BIT(29)
#define G1      BIT(30)
#define G512    BIT(39)

#define FIRST   IOVAGEOM_STAGE_FIRST
#define SECOND  IOVAGEOM_STAGE_SECOND
#define DEFAULT IOVAGEOM_STAGE_DEFAULT

#define ANY     IOVAGEOM_LINUX_ANY
#define V6_1    IOVAGEOM_LINUX_6_1
#define V6_12   IOVAGEOM_LINUX_6_12
#define V7_3    IOVAGEOM_LINUX_7_3

static const struct iovageom_host_limits untouched = {77, 78, 79, 80};

static void assert_untouched(const struct iovageom_host_limits *limits)
{
    assert_int_equal(limits->source, untouched.source);
    assert_int_equal(limits->gaw, untouched.gaw);
    assert_int_equal(limits->page_sizes, untouched.page_sizes);
    assert_int_equal(limits->depends, untouched.depends);
}

/* A width of 0 stands for UNSUPPORTED. */
static void assert_limits(int status, const struct iovageom_host_limits *limits, uint32_t source,
                          uint32_t gaw, uint64_t page_sizes)
{
    if (gaw == 0) {
        assert_int_equal(status, IOVAGEOM_ERR_UNSUPPORTED);
        assert_untouched(limits);
    } else {
        assert_int_equal(status, IOVAGEOM_OK);
        assert_int_equal(limits->source, source);
        assert_int_equal(limits->gaw, gaw);
        assert_int_equal(limits->page_sizes, page_sizes);
    }
}

/* CAP from its fields; SLLPS, FL1GP and FL5LP as bits. */
static uint64_t vtd_cap(unsigned mgaw, unsigned sagaw, unsigned sllps, unsigned fl1gp,
                        unsigned fl5lp)
{
    return (uint64_t)(mgaw - 1) << 16 | (uint64_t)sagaw << 8 | (uint64_t)sllps << 34 |
           (uint64_t)fl1gp << 56 | (uint64_t)fl5lp << 60;
}

#define SMTS BIT(43)
#define SLTS BIT(46)
#define FLTS BIT(47)

static void vtd(void **state)
{
    const uint64_t both = SMTS | SLTS | FLTS;
    const struct {
        uint64_t cap;
        uint64_t ecap;
        bool scalable;
        enum iovageom_host_stage stage;
        uint32_t gaw;
        uint64_t page_sizes;
    } cases[] = {
        /* legacy mode: second stage, SAGAW and MGAW */
        {vtd_cap(39, 2, 3, 0, 0), 0, false, DEFAULT, 39, K4 | M2 | G1},
        {vtd_cap(48, 6, 3, 0, 0), 0, false, DEFAULT, 48, K4 | M2 | G1},
        {vtd_cap(57, 14, 1, 0, 0), 0, false, SECOND, 57, K4 | M2},
        {vtd_cap(48, 2, 0, 0, 0), 0, false, DEFAULT, 39, K4}, /* E23 */
        {vtd_cap(42, 4, 2, 0, 0), 0, false, DEFAULT, 42, K4 | M2 | G1},
        {vtd_cap(64, 31, 3, 0, 0), 0, false, DEFAULT, 57, K4 | M2 | G1},
        {vtd_cap(36, 1, 0, 0, 0), 0, false, DEFAULT, 30, K4},
        {vtd_cap(48, 0, 3, 0, 0), 0, false, DEFAULT, 0, 0},
        {vtd_cap(48, 16, 3, 0, 0), 0, false, DEFAULT, 0, 0},
        {0, 0, false, DEFAULT, 0, 0},
        {vtd_cap(48, 4, 3, 1, 0), both, false, DEFAULT, 48, K4 | M2 | G1},
        {vtd_cap(48, 4, 3, 1, 0), both, false, FIRST, 0, 0},
        /* scalable mode: the first stage sign-extends; what is assigned gets the second */
        {vtd_cap(48, 4, 0, 0, 0), both, true, FIRST, 47, K4 | M2},
        {vtd_cap(48, 4, 0, 0, 0), both, true, DEFAULT, 48, K4},
        {vtd_cap(48, 4, 0, 1, 0), both, true, FIRST, 47, K4 | M2 | G1},
        {vtd_cap(48, 4, 1, 1, 0), both, true, SECOND, 48, K4 | M2},
        {vtd_cap(57, 12, 3, 1, 1), both, true, FIRST, 56, K4 | M2 | G1},
        {vtd_cap(57, 12, 3, 1, 0), both, true, FIRST, 47, K4 | M2 | G1},
        {vtd_cap(57, 12, 3, 1, 0), both, true, SECOND, 48, K4 | M2 | G1},
        {vtd_cap(39, 2, 3, 1, 0), both, true, DEFAULT, 0, 0}, /* no width in common */
        {vtd_cap(57, 0, 3, 1, 1), SMTS | FLTS, true, DEFAULT, 56, K4 | M2 | G1},
        {vtd_cap(57, 0, 3, 1, 1), SMTS | FLTS, true, SECOND, 0, 0},
        {vtd_cap(48, 4, 3, 1, 0), SMTS | SLTS, true, DEFAULT, 48, K4 | M2 | G1},
        {vtd_cap(48, 4, 3, 1, 0), SMTS | SLTS, true, FIRST, 0, 0},
        {vtd_cap(48, 4, 3, 1, 0), SMTS, true, DEFAULT, 0, 0},
        /* scalable mode asked for, but not there */
        {vtd_cap(48, 4, 3, 1, 0), FLTS, true, DEFAULT, 48, K4 | M2 | G1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (uint32_t rules = V6_1; rules <= V6_12; rules++) {
            struct iovageom_host_limits limits = untouched;
            int status = iovageom_host_vtd(cases[i].cap, cases[i].ecap, cases[i].scalable,
                                           cases[i].stage, rules, &limits);

            assert_limits(status, &limits, IOVAGEOM_SOURCE_VTD_REGISTERS, cases[i].gaw,
                          cases[i].page_sizes);
        }
    }
}

/* With generic page tables, the stages don't limit each other any more. 0: not usable. */
static void vtd_by_generation(void **state)
{
    const uint64_t both = SMTS | SLTS | FLTS, all = K4 | M2 | G1;
    const struct {
        uint64_t cap;
        uint64_t ecap;
        bool scalable;
        enum iovageom_host_stage stage;
        uint32_t old;
        uint32_t generic;
        uint32_t any;
        uint64_t sizes; /* by 7.3 and by any */
        bool depends;
    } cases[] = {
        {vtd_cap(57, 4, 3, 1, 1), both, true, FIRST, 47, 56, 47, all, true},
        {vtd_cap(57, 4, 3, 1, 1), both, true, SECOND, 48, 48, 48, all, false},
        {vtd_cap(57, 12, 3, 1, 0), both, true, SECOND, 48, 57, 48, all, true},
        {vtd_cap(57, 12, 3, 1, 0), both, true, FIRST, 47, 47, 47, all, false},
        {vtd_cap(39, 2, 3, 1, 0), both, true, FIRST, 0, 38, 38, all, true},
        {vtd_cap(39, 2, 3, 1, 0), both, true, SECOND, 0, 39, 39, all, true},
        {vtd_cap(39, 4, 3, 1, 0), both, true, FIRST, 38, 38, 38, all, false},
        {vtd_cap(39, 6, 3, 0, 0), both, true, FIRST, 38, 38, 38, K4 | M2, false},
        /* which stage is taken differs, too */
        {vtd_cap(48, 4, 3, 1, 0), both, true, DEFAULT, 48, 47, 47, all, true},
        {vtd_cap(57, 12, 3, 1, 1), both, true, DEFAULT, 57, 56, 56, all, true},
        {vtd_cap(57, 4, 3, 1, 1), both, true, DEFAULT, 48, 56, 48, all, true},
        {vtd_cap(48, 4, 3, 1, 0), SMTS | FLTS, true, DEFAULT, 47, 47, 47, all, false},
        {vtd_cap(57, 0, 3, 1, 1), SMTS | FLTS, true, DEFAULT, 56, 56, 56, all, false},
        /* QEMU 10.2 with x-flts: 6.12 and 7.3 let VFIO map 47 bits */
        {0x81d2008c222f0606, 0x880000f00f4a, true, DEFAULT, 47, 47, 47, all, false},
        /* 5-level tables on fewer bits, in the first stage: 4 levels do */
        {vtd_cap(48, 12, 3, 1, 1), both, true, FIRST, 47, 47, 47, all, false},
        {vtd_cap(52, 12, 3, 1, 1), both, true, FIRST, 51, 51, 51, all, false},
        {vtd_cap(52, 12, 3, 1, 0), both, true, FIRST, 47, 47, 47, all, false},
        /* legacy mode: tables may be deeper than the width needs */
        {vtd_cap(39, 4, 3, 0, 0), 0, false, DEFAULT, 39, 39, 39, all, false},
        {vtd_cap(48, 8, 3, 0, 0), 0, false, DEFAULT, 48, 48, 48, all, false},
        {vtd_cap(40, 2, 3, 0, 0), 0, false, DEFAULT, 39, 39, 39, all, false},
        {vtd_cap(57, 14, 3, 0, 0), 0, false, DEFAULT, 57, 57, 57, all, false},
        {vtd_cap(64, 31, 3, 0, 0), 0, false, DEFAULT, 57, 57, 57, all, false},
        /* 30-bit tables, and MGAW that needs no more, are not used any more */
        {vtd_cap(36, 1, 0, 0, 0), 0, false, DEFAULT, 30, 0, 30, K4, true},
        {vtd_cap(30, 2, 0, 0, 0), 0, false, DEFAULT, 30, 0, 30, K4, true},
        {vtd_cap(31, 2, 3, 0, 0), 0, false, DEFAULT, 31, 31, 31, K4 | M2, true},
        {vtd_cap(42, 4, 2, 0, 0), 0, false, DEFAULT, 42, 42, 42, K4 | G1, true},
        {vtd_cap(48, 16, 3, 0, 0), 0, false, DEFAULT, 0, 0, 0, 0, false},
        {0, 0, false, DEFAULT, 0, 0, 0, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint32_t gaw[] = {cases[i].any, cases[i].old, cases[i].old, cases[i].generic};

        for (uint32_t rules = ANY; rules <= V7_3; rules++) {
            struct iovageom_host_limits limits = untouched;
            int status = iovageom_host_vtd(cases[i].cap, cases[i].ecap, cases[i].scalable,
                                           cases[i].stage, rules, &limits);

            assert_int_equal(status, gaw[rules] == 0 ? IOVAGEOM_ERR_UNSUPPORTED : IOVAGEOM_OK);
            if (status != IOVAGEOM_OK)
                continue;
            assert_int_equal(limits.gaw, gaw[rules]);
            assert_int_equal(limits.depends, rules == ANY && cases[i].depends);
            if (rules == ANY || rules == V7_3)
                assert_int_equal(limits.page_sizes, cases[i].sizes);
        }
    }
}

/* Rules that are none are refused, and nothing is written. */
static void rules_that_are_none(void **state)
{
    struct iovageom_host_limits limits = untouched;

    (void)state;
    for (unsigned n = 0; n < 2; n++) {
        uint32_t rules = n == 0 ? V7_3 + 1 : UINT32_MAX;

        assert_int_equal(
            iovageom_host_vtd(vtd_cap(48, 4, 3, 1, 0), 0, false, DEFAULT, rules, &limits),
            IOVAGEOM_ERR_INVALID);
        assert_int_equal(iovageom_host_smmuv3(0xf, 5 | 7 << 4, K4, 48, DEFAULT, rules, &limits),
                         IOVAGEOM_ERR_INVALID);
        assert_int_equal(iovageom_host_amd(0x29d3, DEFAULT, 0, rules, &limits),
                         IOVAGEOM_ERR_INVALID);
        assert_int_equal(iovageom_host_amd(0, DEFAULT, 0, rules, &limits), IOVAGEOM_ERR_INVALID);
    }
    assert_untouched(&limits);
}

static void smmuv3(void **state)
{
    const uint32_t s1 = 2, s2 = 1, aarch64 = 2 << 2, aarch32 = 1 << 2;
    const uint32_t all = 7 << 4;
    const struct {
        uint32_t idr0;
        uint32_t idr5;
        uint64_t granule;
        unsigned va_bits;
        enum iovageom_host_stage stage;
        uint32_t gaw;
        uint64_t page_sizes;
    } cases[] = {
        {s1 | aarch64, 5 | 1 << 4, 0, 48, DEFAULT, 48, K4 | M2 | G1},
        {s1 | aarch64, 4 | all, K4, 48, DEFAULT, 48, K4 | M2 | G1},
        {s1 | aarch64, 4 | all, K16, 48, DEFAULT, 48, K16 | M32},
        {s1 | aarch64, 4 | all, K64, 48, DEFAULT, 48, K64 | M512},
        {s1 | aarch64, 6 | 1 << 6 | 1 << 10, K64, 52, DEFAULT, 52, K64 | M512 | BIT(42)},
        {s1 | aarch64, 6 | 1 << 6 | 1 << 10, K64, 48, DEFAULT, 48, K64 | M512 | BIT(42)},
        {s1 | aarch64, 5 | 1 << 6 | 1 << 10, K64, 52, DEFAULT, 52, K64 | M512},
        {s1 | aarch64, 5 | 1 << 4, K4, 39, DEFAULT, 39, K4 | M2 | G1},
        {s1 | aarch64, 5 | 1 << 4, K4, 52, DEFAULT, 48, K4 | M2 | G1},
        /* 52 bits take a granule of 64K, in both stages */
        {s1 | aarch64, 6 | all | 1 << 10, K4, 52, DEFAULT, 48, K4 | M2 | G1},
        {s1 | aarch64, 6 | all | 1 << 10, K16, 52, DEFAULT, 48, K16 | M32},
        {s2 | aarch64, 6 | all, K4, 0, DEFAULT, 48, K4 | M2 | G1},
        {s2 | aarch64, 6 | all, K16, 0, DEFAULT, 48, K16 | M32},
        {s2 | aarch64, 6 | all, K64, 0, DEFAULT, 52, K64 | M512 | BIT(42)},
        {s1 | s2 | aarch64, 2 | 1 << 4, K4, 0, SECOND, 40, K4 | M2 | G1},
        {s1 | s2 | aarch64, 2 | 1 << 4, K4, 39, SECOND, 40, K4 | M2 | G1},
        {s2 | aarch64, 0 | 1 << 4, K4, 0, DEFAULT, 32, K4 | M2 | G1},
        {s2 | aarch64, 1 | 1 << 4, K4, 0, DEFAULT, 36, K4 | M2 | G1},
        {s2 | aarch64, 3 | 1 << 4, K4, 0, DEFAULT, 42, K4 | M2 | G1},
        {s2 | aarch64, 4 | 1 << 4, K4, 0, DEFAULT, 44, K4 | M2 | G1},
        {s2 | aarch64, 7 | 1 << 4, K4, 0, DEFAULT, 48, K4 | M2 | G1},
        {s2 | aarch64, 5 | all, K4, 0, FIRST, 0, 0},
        {s1 | aarch64, 5 | all, K4, 48, SECOND, 0, 0},
        {s1 | aarch32, 5 | all, K4, 48, DEFAULT, 0, 0},
        {s1 | aarch64, 5 | 1 << 6, K4, 48, DEFAULT, 0, 0},
        {s1 | aarch64, 5, 0, 48, DEFAULT, 0, 0},
        {0, 0, 0, 0, DEFAULT, 0, 0},
    };
    struct iovageom_host_limits limits = untouched;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (uint32_t rules = ANY; rules <= V7_3; rules++) {
            limits = untouched;
            assert_limits(iovageom_host_smmuv3(cases[i].idr0, cases[i].idr5, cases[i].granule,
                                               cases[i].va_bits, cases[i].stage, rules, &limits),
                          &limits, IOVAGEOM_SOURCE_SMMUV3_REGISTERS, cases[i].gaw,
                          cases[i].page_sizes);
            if (cases[i].gaw != 0)
                assert_int_equal(limits.depends, 0);
        }
    }
    limits = untouched;
    assert_int_equal(iovageom_host_smmuv3(0xf, 5 | all, 0x2000, 0, DEFAULT, ANY, &limits),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_host_smmuv3(0xf, 5 | all, 0, 65, DEFAULT, ANY, &limits),
                     IOVAGEOM_ERR_INVALID);
    assert_untouched(&limits);
}

/* What the kernel's pages and addresses are, registers don't say: then what holds for all. */
static void smmuv3_by_generation(void **state)
{
    const uint32_t s1 = 2, s2 = 1, aarch64 = 2 << 2, both = 3 << 2;
    const uint32_t k4 = 1 << 4, k16 = 1 << 5, k64 = 1 << 6;
    const struct {
        uint32_t idr0;
        uint32_t idr5;
        uint64_t granule;
        unsigned va_bits;
        uint32_t gaw[4]; /* by rules */
        uint64_t page_sizes;
        uint32_t depends[4];
    } cases[] = {
        /* no kernel of 4K pages has fewer than 39 bits */
        {s1 | aarch64, 5 | k4, K4, 0, {39, 39, 39, 39}, K4 | M2 | G1, {1, 1, 1, 1}},
        {s1 | aarch64, 5 | k16, K16, 0, {36, 36, 36, 36}, K16 | M32, {1, 1, 1, 1}},
        {s1 | aarch64, 5 | k64, 0, 0, {42, 42, 42, 42}, K64 | M512, {1, 1, 1, 1}},
        {s1 | aarch64, 5 | k4 | k64, 0, 0, {39, 39, 39, 39}, K64 | M512, {1, 1, 1, 1}},
        {s1 | aarch64, 5 | k4 | k64, 0, 48, {48, 48, 48, 48}, K64 | M512, {1, 1, 1, 1}},
        {s1 | aarch64, 5 | k4 | k16, 0, 48, {48, 48, 48, 48}, K16 | M32, {1, 1, 1, 1}},
        {s2 | aarch64, 6 | k4 | k64, 0, 0, {48, 48, 48, 48}, K64 | M512 | BIT(42), {1, 1, 1, 1}},
        /* with AArch32 tables, older kernels count 40 bits in stage 2 */
        {s2 | both, 0 | k4, K4, 0, {32, 40, 40, 32}, K4 | M2 | G1, {1, 0, 0, 0}},
        {s2 | both, 1 | k4, K4, 0, {36, 40, 40, 36}, K4 | M2 | G1, {1, 0, 0, 0}},
        {s2 | both, 3 | k4, K4, 0, {42, 42, 42, 42}, K4 | M2 | G1, {0, 0, 0, 0}},
        {s1 | both, 1 | k4, K4, 48, {48, 48, 48, 48}, K4 | M2 | G1, {0, 0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (uint32_t rules = ANY; rules <= V7_3; rules++) {
            struct iovageom_host_limits limits = untouched;

            assert_limits(iovageom_host_smmuv3(cases[i].idr0, cases[i].idr5, cases[i].granule,
                                               cases[i].va_bits, DEFAULT, rules, &limits),
                          &limits, IOVAGEOM_SOURCE_SMMUV3_REGISTERS, cases[i].gaw[rules],
                          cases[i].page_sizes);
            assert_int_equal(limits.depends, cases[i].depends[rules]);
        }
    }
}

static void amd(void **state)
{
    const uint64_t v1 = 0xfff7ffffff000, v1_of_48 = v1 & (BIT(47) - 1);
    const uint64_t v2 = K4 | M2 | G1;
    const uint64_t gtsup = BIT(4), giosup = BIT(48), gats_5 = BIT(12), hats_none = 3 << 10;
    const struct {
        uint64_t efr;
        enum iovageom_host_stage stage;
        unsigned cpu_levels;
        uint32_t gaw[4]; /* by rules */
        uint64_t page_sizes[4];
        uint32_t depends;
    } cases[] = {
        /* QEMU's: HATS 2, GATS 2. In its machine 7.3 has 48 bits, for its IVRS has no EFR. */
        {0x29d3, DEFAULT, 0, {48, 64, 64, 48}, {v1_of_48, v1, v1, v1_of_48}, 1},
        {0x29d3, SECOND, 0, {48, 64, 64, 48}, {v1_of_48, v1, v1, v1_of_48}, 1},
        {0x29d3, FIRST, 0, {47, 48, 47, 47}, {v2, v2, v2, v2}, 1}, /* not 6 levels */
        {0x29d3, FIRST, 5, {47, 48, 47, 47}, {v2, v2, v2, v2}, 1},
        {0x246577efa2254afa, DEFAULT, 5, {48, 64, 64, 48}, {v1_of_48, v1, v1, v1_of_48}, 1},
        {0x246577efa2254afa, FIRST, 4, {47, 48, 47, 47}, {v2, v2, v2, v2}, 1},
        {1, DEFAULT, 0, {48, 48, 48, 48}, {v1_of_48, v1, v1, v1_of_48}, 1},
        {1 << 10, DEFAULT, 0, {48, 57, 57, 48}, {v1_of_48, v1, v1, v1_of_48}, 1},
        {hats_none, DEFAULT, 0, {0, 0, 0, 0}, {0, 0, 0, 0}, 0},
        {hats_none | gtsup, DEFAULT, 4, {0, 0, 0, 0}, {0, 0, 0, 0}, 0},
        {hats_none | gtsup | giosup, DEFAULT, 4, {47, 0, 0, 47}, {v2, 0, 0, v2}, 1},
        {hats_none | gtsup | giosup, SECOND, 4, {0, 0, 0, 0}, {0, 0, 0, 0}, 0},
        {gtsup | gats_5, FIRST, 5, {48, 48, 56, 56}, {v2, v2, v2, v2}, 1},
        {gtsup | gats_5, FIRST, 4, {47, 48, 47, 47}, {v2, v2, v2, v2}, 1},
        {gtsup | gats_5, FIRST, 0, {47, 48, 47, 47}, {v2, v2, v2, v2}, 1},
        {gats_5, FIRST, 5, {0, 0, 0, 0}, {0, 0, 0, 0}, 0},
    };
    struct iovageom_host_limits limits = untouched;

    (void)state;
    assert_int_equal(iovageom_host_amd(0, DEFAULT, 0, ANY, &limits), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_host_amd(0, DEFAULT, 0, V7_3, &limits), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_host_amd(0x29d3, DEFAULT, 3, ANY, &limits), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_host_amd(0x29d3, DEFAULT, 6, ANY, &limits), IOVAGEOM_ERR_INVALID);
    assert_untouched(&limits);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (uint32_t rules = ANY; rules <= V7_3; rules++) {
            limits = untouched;
            assert_limits(iovageom_host_amd(cases[i].efr, cases[i].stage, cases[i].cpu_levels,
                                            rules, &limits),
                          &limits, IOVAGEOM_SOURCE_AMD_REGISTERS, cases[i].gaw[rules],
                          cases[i].page_sizes[rules]);
            if (cases[i].gaw[rules] != 0 && rules == ANY)
                assert_int_equal(limits.depends, cases[i].depends);
        }
    }
    /* A kernel is known, but not what the firmware copied of the register; or not the CPU. */
    assert_int_equal(iovageom_host_amd(0x29d3, DEFAULT, 0, V7_3, &limits), 0);
    assert_int_equal(limits.depends, 1);
    assert_int_equal(iovageom_host_amd(0x29d3, DEFAULT, 0, V6_12, &limits), 0);
    assert_int_equal(limits.depends, 0);
    assert_int_equal(iovageom_host_amd(1, DEFAULT, 0, V7_3, &limits), 0);
    assert_int_equal(limits.depends, 0);
    assert_int_equal(iovageom_host_amd(gtsup | gats_5, FIRST, 0, V7_3, &limits), 0);
    assert_int_equal(limits.depends, 1);
    assert_int_equal(iovageom_host_amd(gtsup | gats_5, FIRST, 4, V7_3, &limits), 0);
    assert_int_equal(limits.depends, 0);
}

/*
 * The widths and page sizes that Linux's own tests of its generic page tables set up: AMD v1 of 64
 * bits, x86 of 4 and 5 levels, VT-d second stage of 3 to 5.
 */
static void widths_of_generic_page_tables(void **state)
{
    const uint64_t x86 = K4 | M2 | G1;
    struct iovageom_host_limits limits;

    (void)state;
    for (unsigned levels = 3; levels <= 5; levels++) {
        unsigned bits = 12 + 9 * levels;

        assert_int_equal(iovageom_host_vtd(vtd_cap(bits, 1U << (levels - 2), 3, 1, 1), 0, false,
                                           SECOND, V7_3, &limits),
                         0);
        assert_int_equal(limits.gaw, bits);
        assert_int_equal(limits.page_sizes, x86);
        if (levels == 3)
            continue;
        assert_int_equal(iovageom_host_vtd(vtd_cap(bits, 0, 0, 1, levels == 5), SMTS | FLTS, true,
                                           FIRST, V7_3, &limits),
                         0);
        assert_int_equal(limits.gaw, bits - 1);
        assert_int_equal(limits.page_sizes, x86);
        assert_int_equal(
            iovageom_host_amd(BIT(4) | (levels == 5 ? BIT(12) : 0), FIRST, 5, V7_3, &limits), 0);
        assert_int_equal(limits.gaw, bits - 1);
        assert_int_equal(limits.page_sizes, x86);
    }
    assert_int_equal(iovageom_host_amd(2 << 10, SECOND, 0, V7_3, &limits), 0);
    assert_int_equal(limits.gaw, 48);
    assert_int_equal(limits.page_sizes, (BIT(47) - K4) & ~G512);
}

/* Registers and VFIO of one captured host, in one geometry. */
static struct iovageom_geometry *captured(const char *folder, const char *unit,
                                          const char *register_name)
{
    struct iovageom_geometry *geometry;
    struct iovageom_host_limits limits;
    char path[128] = "sysfs/class_iommu/";
    uint64_t value;
    size_t length;
    char *text;
    void *bytes;

    strcat(path, unit);
    strcat(path, register_name);
    text = test_fixture_read(folder, path, &length);
    if (strcmp(register_name, "/cap") == 0) {
        assert_int_equal(iovageom_host_sysfs_register(text, length, &value), 0);
        assert_int_equal(iovageom_host_vtd(value, 0xf00f4a, true, DEFAULT, V6_12, &limits), 0);
    } else {
        assert_int_equal(iovageom_host_sysfs_amd_features(text, length, &value, NULL), 0);
        assert_int_equal(iovageom_host_amd(value, DEFAULT, 0, V6_12, &limits), 0);
    }
    free(text);
    assert_int_equal(iovageom_geometry_new(NULL, folder, &geometry), 0);
    assert_int_equal(iovageom_host_limits_add(&limits, geometry), 0);
    bytes = test_fixture_read_answer(folder, "vfio_iommu_get_info.bin", &length);
    assert_int_equal(iovageom_host_vfio_info(bytes, length, NULL, geometry), 0);
    free(bytes);
    return geometry;
}

/* The registers of every captured host say the same as its kernel. */
static void registers_agree_with_vfio(void **state)
{
    static const struct {
        const char *folder;
        const char *unit;
        const char *register_name;
        unsigned gaw;
        uint64_t page_sizes;
    } hosts[] = {
        {"intel-39bit", "dmar0", "/cap", 39, K4 | M2 | G1},
        {"intel-48bit", "dmar0", "/cap", 48, K4 | M2 | G1},
        {"amd", "ivhd0", "/features", 64, 0xfff7ffffff000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct iovageom_geometry *geometry =
            captured(hosts[i].folder, hosts[i].unit, hosts[i].register_name);
        uint64_t page_sizes;
        unsigned gaw;

        assert_int_equal(iovageom_geometry_gaw(geometry, &gaw), IOVAGEOM_OK);
        assert_int_equal(gaw, hosts[i].gaw);
        assert_int_equal(iovageom_geometry_page_sizes(geometry, &page_sizes), IOVAGEOM_OK);
        assert_int_equal(page_sizes, hosts[i].page_sizes);
        assert_int_equal(iovageom_geometry_check(geometry, NULL), IOVAGEOM_OK);
        iovageom_geometry_free(geometry);
    }
}

/* Q24: a width that the usable ranges contradict is a diagnosis, not a silent choice. */
static void disagreement_shows(void **state)
{
    struct iovageom_geometry *geometry = captured("intel-39bit", "dmar0", "/cap");
    struct iovageom_host_limits wrong = {IOVAGEOM_SOURCE_VTD_REGISTERS, 36, K4, 0};

    (void)state;
    assert_int_equal(iovageom_host_limits_add(&wrong, geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_check(geometry, NULL), IOVAGEOM_ERR_DISAGREEMENT);
    iovageom_geometry_free(geometry);
}

/* VFIO and iommufd speak for one kernel: that both end short of a width is no excuse for either. */
static void two_lists_are_no_excuse(void **state)
{
    struct iovageom_host_limits wide = {IOVAGEOM_SOURCE_VTD_REGISTERS, 48, K4 | M2 | G1, 0};
    const struct iovageom_range usable[] = {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}};
    struct iovageom_geometry *wider;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "g", &wider), IOVAGEOM_OK);
    assert_int_equal(iovageom_host_limits_add(&wide, wider), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_add_usable(wider, usable, 2, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_check(wider, NULL), IOVAGEOM_ERR_DISAGREEMENT);
    assert_int_equal(iovageom_geometry_add_usable(wider, usable, 2, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(iovageom_geometry_check(wider, NULL), IOVAGEOM_ERR_DISAGREEMENT);
    iovageom_geometry_free(wider);
}

/*
 * A healthy host of 56 bits in the first stage: the safe answer is 47, which no kernel that maps
 * more contradicts; but one that maps less does, and so does an exact answer.
 */
static void the_least_contradicts_nobody_who_maps_more(void **state)
{
    const struct {
        uint32_t rules;
        unsigned kernel_bits;
        uint64_t alignment;
        bool contradicts;
    } cases[] = {
        {ANY, 56, K4, false},  {ANY, 47, K4, false},   {ANY, 39, K4, true},
        {V6_12, 56, K4, true}, {V6_12, 47, K4, false}, {V7_3, 56, K4, false},
        {V7_3, 47, K4, true},  {ANY, 56, 2048, false}, {V7_3, 56, 2048, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_range usable = {0, BIT(cases[i].kernel_bits) - 1}, known;
        struct iovageom_host_limits limits;
        struct iovageom_geometry *geometry;
        struct iovageom_report report;

        iovageom_report_init(&report, NULL);
        assert_int_equal(iovageom_geometry_new(NULL, "0000:3b:00.0", &geometry), 0);
        assert_int_equal(iovageom_host_vtd(vtd_cap(57, 4, 3, 1, 1), SMTS | SLTS | FLTS, true, FIRST,
                                           cases[i].rules, &limits),
                         0);
        assert_int_equal(iovageom_host_limits_add(&limits, geometry), 0);
        assert_int_equal(iovageom_geometry_add_usable(geometry, &usable, 1, IOVAGEOM_SOURCE_VFIO),
                         0);
        assert_int_equal(
            iovageom_geometry_add_alignment(geometry, cases[i].alignment, IOVAGEOM_SOURCE_IOMMUFD),
            0);
        assert_int_equal(iovageom_geometry_check(geometry, &report),
                         cases[i].contradicts ? IOVAGEOM_ERR_DISAGREEMENT : IOVAGEOM_OK);
        /* What kernels differ in leaves nothing unread. */
        assert_int_equal(iovageom_geometry_known_range(geometry, &known), 0);
        assert_int_equal(known.last, UINT64_MAX);
        /* It says so. */
        assert_int_equal(
            iovageom_geometry_explain(geometry, (struct iovageom_range){0, 0xfff}, &report),
            IOVAGEOM_OK);
        assert_int_equal(iovageom_report_count(&report), cases[i].rules == ANY ? 1 : 0);
        if (cases[i].rules == ANY)
            assert_string_equal(iovageom_report_text(&report),
                                "what VT-d registers say of 0000:3b:00.0 depends on the kernel; "
                                "only what holds for all is taken");
        iovageom_report_deinit(&report);
        iovageom_geometry_free(geometry);
    }
}

/* The least of what registers mean is a width, as far as what is reserved is known. */
static void the_least_is_a_width(void **state)
{
    struct iovageom_range known = {7, 7};
    struct iovageom_host_limits limits;
    struct iovageom_geometry *geometry;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "0000:3b:00.0", &geometry), 0);
    assert_int_equal(
        iovageom_host_vtd(vtd_cap(57, 4, 3, 1, 1), SMTS | SLTS | FLTS, true, FIRST, ANY, &limits),
        0);
    assert_int_equal(limits.depends, 1);
    assert_int_equal(iovageom_host_limits_add(&limits, geometry), 0);
    assert_int_equal(iovageom_geometry_known_range(geometry, &known), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_add_reserved_known(geometry, IOVAGEOM_SOURCE_SYSFS), 0);
    assert_int_equal(iovageom_geometry_known_range(geometry, &known), 0);
    assert_int_equal(known.last, UINT64_MAX);
    assert_int_equal(iovageom_geometry_add_incomplete(geometry, IOVAGEOM_SOURCE_SYSFS), 0);
    assert_int_equal(iovageom_geometry_known_range(geometry, &known), IOVAGEOM_ERR_UNKNOWN);
    iovageom_geometry_free(geometry);
}

static void limits_go_in_whole_or_not_at_all(void **state)
{
    const struct iovageom_host_limits wrong = {IOVAGEOM_SOURCE_VTD_REGISTERS, 65, K4, 1};
    const struct iovageom_host_limits right = {IOVAGEOM_SOURCE_VTD_REGISTERS, 39, K4, 1};
    struct iovageom_geometry *geometry;

    (void)state;
    for (size_t nth = 1;; nth++) {
        struct test_allocator memory;
        bool hit;
        int status;

        test_allocator_init(&memory);
        assert_int_equal(iovageom_geometry_new(&memory.allocator, "g", &geometry), 0);
        assert_int_equal(iovageom_host_limits_add(&wrong, geometry), IOVAGEOM_ERR_INVALID);
        assert_int_equal(iovageom_geometry_knows(geometry), 0);
        test_allocator_fail_at(&memory, nth, false);
        status = iovageom_host_limits_add(&right, geometry);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
        assert_int_equal(
            iovageom_geometry_knows(geometry),
            hit ? 0 : IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_PAGE_SIZES | IOVAGEOM_FACT_INCOMPLETE);
        iovageom_geometry_free(geometry);
        assert_int_equal(test_allocator_live(&memory), 0);
        if (!hit)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vtd),
        cmocka_unit_test(vtd_by_generation),
        cmocka_unit_test(rules_that_are_none),
        cmocka_unit_test(smmuv3),
        cmocka_unit_test(smmuv3_by_generation),
        cmocka_unit_test(widths_of_generic_page_tables),
        cmocka_unit_test(the_least_contradicts_nobody_who_maps_more),
        cmocka_unit_test(amd),
        cmocka_unit_test(registers_agree_with_vfio),
        cmocka_unit_test(disagreement_shows),
        cmocka_unit_test(two_lists_are_no_excuse),
        cmocka_unit_test(the_least_is_a_width),
        cmocka_unit_test(limits_go_in_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

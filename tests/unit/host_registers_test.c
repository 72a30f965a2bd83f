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

static const struct iovageom_host_limits untouched = {77, 78, 79};

static void assert_limits(int status, const struct iovageom_host_limits *limits, uint32_t source,
                          uint32_t gaw, uint64_t page_sizes)
{
    if (gaw == 0) {
        assert_int_equal(status, IOVAGEOM_ERR_UNSUPPORTED);
        assert_memory_equal(limits, &untouched, sizeof(untouched));
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
        {vtd_cap(42, 4, 2, 0, 0), 0, false, DEFAULT, 42, K4 | G1},
        {vtd_cap(64, 31, 3, 0, 0), 0, false, DEFAULT, 57, K4 | M2 | G1},
        {vtd_cap(36, 1, 0, 0, 0), 0, false, DEFAULT, 30, K4},
        {vtd_cap(48, 0, 3, 0, 0), 0, false, DEFAULT, 0, 0},
        {vtd_cap(48, 16, 3, 0, 0), 0, false, DEFAULT, 0, 0},
        {0, 0, false, DEFAULT, 0, 0},
        {vtd_cap(48, 4, 3, 1, 0), both, false, DEFAULT, 48, K4 | M2 | G1},
        {vtd_cap(48, 4, 3, 1, 0), both, false, FIRST, 0, 0},
        /* scalable mode: the first stage sign-extends */
        {vtd_cap(48, 4, 0, 0, 0), both, true, DEFAULT, 47, K4 | M2},
        {vtd_cap(48, 4, 0, 1, 0), both, true, FIRST, 47, K4 | M2 | G1},
        {vtd_cap(48, 4, 1, 1, 0), both, true, SECOND, 48, K4 | M2},
        {vtd_cap(57, 12, 3, 1, 1), both, true, DEFAULT, 56, K4 | M2 | G1},
        {vtd_cap(57, 12, 3, 1, 0), both, true, DEFAULT, 47, K4 | M2 | G1},
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
        struct iovageom_host_limits limits = untouched;
        int status = iovageom_host_vtd(cases[i].cap, cases[i].ecap, cases[i].scalable,
                                       cases[i].stage, &limits);

        assert_limits(status, &limits, IOVAGEOM_SOURCE_VTD_REGISTERS, cases[i].gaw,
                      cases[i].page_sizes);
    }
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
        {s1 | aarch64, 5 | 1 << 4, 0, 0, DEFAULT, 48, K4 | M2 | G1},
        {s1 | aarch64, 4 | all, K4, 0, DEFAULT, 48, K4 | M2 | G1},
        {s1 | aarch64, 4 | all, K16, 0, DEFAULT, 48, K16 | M32},
        {s1 | aarch64, 4 | all, K64, 0, DEFAULT, 48, K64 | M512},
        {s1 | aarch64, 4 | all, 0, 0, DEFAULT, 48, K4 | M2 | G1 | K16 | M32 | K64 | M512},
        {s1 | aarch64, 6 | 1 << 6 | 1 << 10, K64, 0, DEFAULT, 52, K64 | M512 | BIT(42)},
        {s1 | aarch64, 6 | 1 << 6 | 1 << 10, K64, 48, DEFAULT, 48, K64 | M512 | BIT(42)},
        {s1 | aarch64, 5 | 1 << 4, K4, 39, DEFAULT, 39, K4 | M2 | G1},
        {s1 | aarch64, 5 | 1 << 4, K4, 52, DEFAULT, 48, K4 | M2 | G1},
        {s1 | s2 | aarch64, 2 | 1 << 4, K4, 0, SECOND, 40, K4 | M2 | G1},
        {s1 | s2 | aarch64, 2 | 1 << 4, K4, 39, SECOND, 40, K4 | M2 | G1},
        {s2 | aarch64, 0 | 1 << 4, K4, 0, DEFAULT, 32, K4 | M2 | G1},
        {s2 | aarch64, 1 | 1 << 4, K4, 0, DEFAULT, 36, K4 | M2 | G1},
        {s2 | aarch64, 3 | 1 << 4, K4, 0, DEFAULT, 42, K4 | M2 | G1},
        {s2 | aarch64, 4 | 1 << 4, K4, 0, DEFAULT, 44, K4 | M2 | G1},
        {s2 | aarch64, 6 | 1 << 4, K4, 0, DEFAULT, 52, K4 | M2 | G1},
        {s2 | aarch64, 7 | 1 << 4, K4, 0, DEFAULT, 48, K4 | M2 | G1},
        {s2 | aarch64, 5 | all, K4, 0, FIRST, 0, 0},
        {s1 | aarch64, 5 | all, K4, 0, SECOND, 0, 0},
        {s1 | aarch32, 5 | all, K4, 0, DEFAULT, 0, 0},
        {s1 | aarch64, 5 | 1 << 6, K4, 0, DEFAULT, 0, 0},
        {s1 | aarch64, 5, 0, 0, DEFAULT, 0, 0},
        {0, 0, 0, 0, DEFAULT, 0, 0},
    };
    struct iovageom_host_limits limits = untouched;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        limits = untouched;
        assert_limits(iovageom_host_smmuv3(cases[i].idr0, cases[i].idr5, cases[i].granule,
                                           cases[i].va_bits, cases[i].stage, &limits),
                      &limits, IOVAGEOM_SOURCE_SMMUV3_REGISTERS, cases[i].gaw, cases[i].page_sizes);
    }
    limits = untouched;
    assert_int_equal(iovageom_host_smmuv3(0xf, 5 | all, 0x2000, 0, DEFAULT, &limits),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_host_smmuv3(0xf, 5 | all, 0, 65, DEFAULT, &limits),
                     IOVAGEOM_ERR_INVALID);
    assert_memory_equal(&limits, &untouched, sizeof(limits));
    assert_int_equal(iovageom_host_smmuv3_stream_bits(0xffffffd0), 16);
}

static void amd(void **state)
{
    const uint64_t v1 = 0xfff7ffffff000;
    const uint64_t v2 = K4 | M2 | G1;
    const struct {
        uint64_t efr;
        enum iovageom_host_stage stage;
        uint32_t gaw;
        uint64_t page_sizes;
    } cases[] = {
        {0x29d3, DEFAULT, 64, v1}, /* QEMU's: HATS 2, GATS 2 */
        {0x29d3, SECOND, 64, v1},
        {0x29d3, FIRST, 47, v2}, /* 6 levels, of which Linux uses 4 */
        {0x246577efa2254afa, DEFAULT, 64, v1},
        {0x246577efa2254afa, FIRST, 47, v2},
        {1, DEFAULT, 48, v1},
        {1 << 10, DEFAULT, 57, v1},
        {3 << 10, DEFAULT, 0, 0},
        {1 << 4 | 1 << 12, FIRST, 56, v2},
        {1 << 12, FIRST, 0, 0},
    };
    struct iovageom_host_limits limits = untouched;

    (void)state;
    assert_int_equal(iovageom_host_amd(0, DEFAULT, &limits), IOVAGEOM_ERR_UNKNOWN);
    assert_memory_equal(&limits, &untouched, sizeof(limits));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        limits = untouched;
        assert_limits(iovageom_host_amd(cases[i].efr, cases[i].stage, &limits), &limits,
                      IOVAGEOM_SOURCE_AMD_REGISTERS, cases[i].gaw, cases[i].page_sizes);
    }
}

static void riscv(void **state)
{
    const uint64_t sv39 = K4 | M2 | G1;
    const uint64_t sv48 = sv39 | G512;
    const uint64_t sv57 = sv48 | BIT(48);
    const struct {
        uint64_t capabilities;
        enum iovageom_host_stage stage;
        uint32_t gaw;
        uint64_t page_sizes;
    } cases[] = {
        {BIT(9) | BIT(10) | BIT(11), DEFAULT, 56, sv57},
        {BIT(9) | BIT(10), DEFAULT, 47, sv48},
        {BIT(9), FIRST, 38, sv39},
        {BIT(8), DEFAULT, 32, K4 | BIT(22)},
        {BIT(9) | BIT(17) | BIT(18) | BIT(19), SECOND, 59, sv57},
        {BIT(17) | BIT(18), DEFAULT, 50, sv48},
        {BIT(17), DEFAULT, 41, sv39},
        {BIT(16), SECOND, 34, K4 | BIT(22)},
        {BIT(9), SECOND, 0, 0},
        {BIT(17), FIRST, 0, 0},
        {0x10, DEFAULT, 0, 0},
        {~(BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(16) | BIT(17) | BIT(18) | BIT(19)), DEFAULT, 0,
         0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_host_limits limits = untouched;

        assert_limits(iovageom_host_riscv(cases[i].capabilities, cases[i].stage, &limits), &limits,
                      IOVAGEOM_SOURCE_RISCV_REGISTERS, cases[i].gaw, cases[i].page_sizes);
    }
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
        assert_int_equal(iovageom_host_vtd(value, 0xf00f4a, true, DEFAULT, &limits), 0);
    } else {
        assert_int_equal(iovageom_host_sysfs_amd_features(text, length, &value, NULL), 0);
        assert_int_equal(iovageom_host_amd(value, DEFAULT, &limits), 0);
    }
    free(text);
    assert_int_equal(iovageom_geometry_new(NULL, folder, &geometry), 0);
    assert_int_equal(iovageom_host_limits_add(&limits, geometry), 0);
    bytes = test_fixture_read(folder, "vfio_iommu_get_info.bin", &length);
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
    struct iovageom_host_limits wrong = {IOVAGEOM_SOURCE_VTD_REGISTERS, 36, K4};

    (void)state;
    assert_int_equal(iovageom_host_limits_add(&wrong, geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_check(geometry, NULL), IOVAGEOM_ERR_DISAGREEMENT);
    iovageom_geometry_free(geometry);
}

/* VFIO and iommufd speak for one kernel: that both end short of a width is no excuse for either. */
static void two_lists_are_no_excuse(void **state)
{
    struct iovageom_host_limits wide = {IOVAGEOM_SOURCE_VTD_REGISTERS, 48, K4 | M2 | G1};
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

static void device_masks(void **state)
{
    static const struct {
        uint64_t mask;
        unsigned bits; /* 0: no DMA mask */
    } cases[] = {
        {1, 1}, {0xffffffff, 32}, {BIT(58) - 1, 58}, {UINT64_MAX, 64}, {0, 0},
        {2, 0}, {0xfffffffe, 0},  {BIT(39), 0},      {0xf0f, 0},       {UINT64_MAX - BIT(20), 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_geometry *geometry;
        unsigned gaw = 77;

        assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), 0);
        assert_int_equal(iovageom_host_dma_mask(cases[i].mask, geometry),
                         cases[i].bits == 0 ? IOVAGEOM_ERR_INVALID : IOVAGEOM_OK);
        if (cases[i].bits == 0) {
            assert_int_equal(iovageom_geometry_knows(geometry), 0);
        } else {
            assert_int_equal(iovageom_geometry_gaw(geometry, &gaw), IOVAGEOM_OK);
            assert_int_equal(gaw, cases[i].bits);
        }
        iovageom_geometry_free(geometry);
    }
}

static void limits_go_in_whole_or_not_at_all(void **state)
{
    const struct iovageom_host_limits wrong = {IOVAGEOM_SOURCE_VTD_REGISTERS, 65, K4};
    const struct iovageom_host_limits right = {IOVAGEOM_SOURCE_VTD_REGISTERS, 39, K4};
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
        assert_int_equal(iovageom_geometry_knows(geometry),
                         hit ? 0 : IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_PAGE_SIZES);
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
        cmocka_unit_test(smmuv3),
        cmocka_unit_test(amd),
        cmocka_unit_test(riscv),
        cmocka_unit_test(registers_agree_with_vfio),
        cmocka_unit_test(disagreement_shows),
        cmocka_unit_test(two_lists_are_no_excuse),
        cmocka_unit_test(device_masks),
        cmocka_unit_test(limits_go_in_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/host_iommufd.h>
#include <iovageom/host_registers.h>
#include <iovageom/status.h>

#include "set/rangeset_internal.h"
#include "support/test_accepts.h"
#include "support/test_allocator.h"
#include "support/test_fixture.h"
#include "support/test_native.h"

static const char *const folders[] = {TEST_FIXTURE_FOLDERS};
#define FOLDER_COUNT (sizeof(folders) / sizeof(folders[0]))

static bool has_iommufd(const char *folder)
{
    return strcmp(folder, "arm64-smmuv3") != 0;
}

static void put_header(uint8_t *header, uint32_t count, uint64_t alignment)
{
    memset(header, 0, IOVAGEOM_IOMMUFD_RANGES_SIZE);
    test_store32(header, IOVAGEOM_IOMMUFD_RANGES_SIZE);
    test_store32(header + 4, 7);
    test_store32(header + 8, count);
    test_store64(header + 24, alignment);
}

static void put_range(uint8_t *ranges, size_t index, uint64_t start, uint64_t last)
{
    test_store64(ranges + 16 * index, start);
    test_store64(ranges + 16 * index + 8, last);
}

/* VFIO and iommufd agree in every capture about what is usable. */
static void every_captured_answer_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        struct iovageom_geometry *geometry;
        struct iovageom_rangeset usable;
        struct iovageom_range range;
        uint64_t alignment;
        size_t header_length;
        size_t length;
        void *header;
        void *ranges;

        if (!has_iommufd(folders[i]))
            continue;
        header = test_fixture_read_answer(folders[i], "ioas_iova_ranges.attached.hdr.bin",
                                          &header_length);
        ranges =
            test_fixture_read_answer(folders[i], "ioas_iova_ranges.attached.ranges.bin", &length);
        assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), IOVAGEOM_OK);
        assert_int_equal(
            iovageom_host_iommufd_ranges(header, header_length, ranges, length, NULL, geometry),
            IOVAGEOM_OK);
        assert_int_equal(iovageom_geometry_alignment(geometry, &alignment), IOVAGEOM_OK);
        assert_int_equal(alignment, 0x1000);
        assert_int_equal(iovageom_rangeset_init(&usable, NULL), IOVAGEOM_OK);
        assert_int_equal(iovageom_geometry_usable(geometry, 1, &usable), IOVAGEOM_OK);
        if (strcmp(folders[i], "guest-raw-inverted") != 0) /* whose ranges overlap */
            assert_int_equal(iovageom_rangeset_count(&usable), length / 16);
        assert_true(iovageom_rangeset_hull(&usable, &range));
        assert_int_equal(range.start, 0);
        iovageom_rangeset_deinit(&usable);
        iovageom_geometry_free(geometry);
        free(header);
        free(ranges);
    }
}

static void before_attach_is_no_answer(void **state)
{
    struct iovageom_geometry *geometry;
    size_t header_length;
    size_t length;
    void *header =
        test_fixture_read_answer("intel-39bit", "ioas_iova_ranges.empty.hdr.bin", &header_length);
    void *ranges =
        test_fixture_read_answer("intel-39bit", "ioas_iova_ranges.empty.ranges.bin", &length);

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), IOVAGEOM_OK);
    assert_int_equal(
        iovageom_host_iommufd_ranges(header, header_length, ranges, length, NULL, geometry),
        IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_knows(geometry), 0);
    iovageom_geometry_free(geometry);
    free(header);
    free(ranges);
}

/* Q7: an alignment says nothing of page sizes. */
static void alignment_is_not_a_mask(void **state)
{
    struct iovageom_geometry *geometry;
    uint64_t value;
    size_t header_length;
    size_t length;
    void *header = test_fixture_read_answer("intel-39bit", "ioas_iova_ranges.attached.hdr.bin",
                                            &header_length);
    void *ranges =
        test_fixture_read_answer("intel-39bit", "ioas_iova_ranges.attached.ranges.bin", &length);

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), IOVAGEOM_OK);
    assert_int_equal(
        iovageom_host_iommufd_ranges(header, header_length, ranges, length, NULL, geometry),
        IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_knows(geometry),
                     IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_ALIGNMENT);
    assert_int_equal(iovageom_geometry_page_sizes(geometry, &value), IOVAGEOM_ERR_UNKNOWN);
    assert_int_equal(iovageom_geometry_alignment(geometry, &value), IOVAGEOM_OK);
    assert_int_equal(value, 0x1000);
    assert_true(test_accepts(geometry, (struct iovageom_range){0xfef00000, 0x7fffffffff}));
    assert_false(test_accepts(geometry, (struct iovageom_range){0xfee00000, 0xfee00fff}));
    iovageom_geometry_free(geometry);
    free(header);
    free(ranges);
}

static void headers_that_cannot_be(void **state)
{
    uint8_t header[IOVAGEOM_IOMMUFD_RANGES_SIZE];
    struct iovageom_geometry *geometry;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), IOVAGEOM_OK);
    put_header(header, 2, 0x1000);
    for (size_t length = 0; length < sizeof(header); length++)
        assert_int_equal(iovageom_host_iommufd_ranges(header, length, NULL, 0, NULL, geometry),
                         IOVAGEOM_ERR_TRUNCATED);
    test_store32(header, 31);
    assert_int_equal(iovageom_host_iommufd_ranges(header, 32, NULL, 0, NULL, geometry),
                     IOVAGEOM_ERR_MALFORMED);
    test_store32(header, 40);
    assert_int_equal(iovageom_host_iommufd_ranges(header, 32, NULL, 0, NULL, geometry),
                     IOVAGEOM_ERR_TRUNCATED);
    put_header(header, 2, 0);
    assert_int_equal(iovageom_host_iommufd_ranges(header, 32, NULL, 0, NULL, geometry),
                     IOVAGEOM_ERR_MALFORMED);
    put_header(header, 2, 0x1001);
    assert_int_equal(iovageom_host_iommufd_ranges(header, 32, NULL, 0, NULL, geometry),
                     IOVAGEOM_ERR_MALFORMED);
    assert_int_equal(iovageom_geometry_knows(geometry), 0);
    iovageom_geometry_free(geometry);
}

static void lists_that_cannot_be(void **state)
{
    uint8_t header[IOVAGEOM_IOMMUFD_RANGES_SIZE];
    uint8_t ranges[32];
    struct iovageom_geometry *geometry;
    size_t needed = 0;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), IOVAGEOM_OK);
    put_header(header, 3, 0x1000);
    put_range(ranges, 0, 0, 0xfff);
    put_range(ranges, 1, 0x3000, 0x2fff);
    assert_int_equal(iovageom_host_iommufd_ranges(header, 32, ranges, 32, &needed, geometry),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(needed, 48);
    put_header(header, 0xffffffff, 0x1000);
    /* 2^32 ranges of 16 bytes: more than 32 bits of size_t can say. */
    assert_int_equal(iovageom_host_iommufd_ranges(header, 32, ranges, 32, NULL, geometry),
                     SIZE_MAX == UINT32_MAX ? IOVAGEOM_ERR_LIMIT : IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    put_header(header, 2, 0x1000);
    assert_int_equal(iovageom_host_iommufd_ranges(header, 32, ranges, 32, &needed, geometry),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_geometry_knows(geometry), 0);
    assert_true(test_accepts(geometry, (struct iovageom_range){1, 1}));

    /* Everything is reserved. That is an answer. */
    put_header(header, 0, 0x1000);
    assert_int_equal(iovageom_host_iommufd_ranges(header, 32, NULL, 0, &needed, geometry),
                     IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_knows(geometry),
                     IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_ALIGNMENT);
    assert_false(test_accepts(geometry, (struct iovageom_range){0, 0xfff}));
    iovageom_geometry_free(geometry);
}

static void memory_may_run_out(void **state)
{
    size_t header_length;
    size_t length;
    void *header = test_fixture_read_answer("guest-21-regions", "ioas_iova_ranges.attached.hdr.bin",
                                            &header_length);
    void *ranges = test_fixture_read_answer("guest-21-regions",
                                            "ioas_iova_ranges.attached.ranges.bin", &length);

    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        for (size_t nth = 1;; nth++) {
            struct iovageom_geometry *geometry;
            struct test_allocator memory;
            int status;
            bool hit;

            test_allocator_init(&memory);
            assert_int_equal(iovageom_geometry_new(&memory.allocator, "g", &geometry), 0);
            test_allocator_fail_at(&memory, nth, for_good != 0);
            status =
                iovageom_host_iommufd_ranges(header, header_length, ranges, length, NULL, geometry);
            hit = test_allocator_stop_failing(&memory);
            assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
            assert_int_equal(iovageom_geometry_knows(geometry) != 0, !hit);
            iovageom_geometry_free(geometry);
            assert_int_equal(test_allocator_live(&memory), 0);
            if (!hit)
                break;
        }
    }
    free(header);
    free(ranges);
}

/* Plays the kernel: fails with EMSGSIZE and the count, or fills the array. */
static bool play_kernel(uint8_t *header, uint32_t count)
{
    const uint64_t alignment = 0x1000;
    bool too_small = test_load_native(header + 8, 4) < count;

    assert_int_equal(test_load_native(header, 4), 32);
    memcpy(header + 8, &count, sizeof(count));
    memcpy(header + 24, &alignment, sizeof(alignment));
    return too_small;
}

/* Asks as iovageom/host_iommufd.h has it, and says how often; the list grows by `growth` with each
 * call. */
static int ask(uint32_t count, uint32_t growth, int *tries, size_t *needed)
{
    struct iovageom_geometry *geometry;
    int status = IOVAGEOM_ERR_BUFFER_TOO_SMALL;

    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), 0);
    *needed = 32 * 16;
    for (*tries = 0; *tries < 8 && status == IOVAGEOM_ERR_BUFFER_TOO_SMALL; (*tries)++) {
        const uint32_t room = (uint32_t)(*needed / 16);
        uint8_t header[IOVAGEOM_IOMMUFD_RANGES_SIZE] = {0};
        struct iovageom_range *ranges = calloc(room, sizeof(*ranges));
        bool too_small;

        assert_non_null(ranges);
        memcpy(header, &(uint32_t){sizeof(header)}, sizeof(uint32_t));
        memcpy(header + 8, &room, sizeof(room));
        too_small = play_kernel(header, count);
        count += growth;
        status = iovageom_host_iommufd_ranges(header, sizeof(header), ranges,
                                              too_small ? 0 : *needed, needed, geometry);
        free(ranges);
    }
    iovageom_geometry_free(geometry);
    return status;
}

/* Q19: the list may grow between the two calls. */
static void asking_again(void **state)
{
    struct iovageom_geometry *geometry;
    struct iovageom_rangeset usable;
    uint8_t header[IOVAGEOM_IOMMUFD_RANGES_SIZE] = {0};
    size_t needed;
    int tries;

    (void)state;
    assert_int_equal(ask(3, 0, &tries, &needed), IOVAGEOM_OK);
    assert_int_equal(tries, 1);
    assert_int_equal(ask(0, 0, &tries, &needed), IOVAGEOM_OK);
    assert_int_equal(ask(1000, 0, &tries, &needed), IOVAGEOM_OK);
    assert_int_equal(tries, 2);
    assert_int_equal(needed, 16000);
    assert_int_equal(ask(1000, 1, &tries, &needed), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(tries, 8);
    assert_int_equal(needed, 16 * 1007);

    /* Too small, yet no more than there was room for: nothing of such an array is usable. */
    memcpy(header, &(uint32_t){sizeof(header)}, sizeof(uint32_t));
    assert_true(!play_kernel(header, 0));
    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), 0);
    assert_int_equal(iovageom_rangeset_init(&usable, NULL), 0);
    assert_int_equal(iovageom_host_iommufd_ranges(header, sizeof(header), NULL, 0, NULL, geometry),
                     0);
    assert_int_equal(iovageom_geometry_usable(geometry, 1, &usable), 0);
    assert_int_equal(iovageom_rangeset_count(&usable), 0);
    iovageom_rangeset_deinit(&usable);
    iovageom_geometry_free(geometry);
}

static void hw_info_of_captured_hosts(void **state)
{
    struct iovageom_hw_info info;
    size_t header_length;
    size_t length;
    void *header = test_fixture_read_answer("intel-39bit", "hw_info.hdr.bin", &header_length);
    void *bytes = test_fixture_read_answer("intel-39bit", "hw_info.data.bin", &length);

    (void)state;
    assert_int_equal(iovageom_host_iommufd_hw_info(header, header_length, bytes, length, &info), 0);
    assert_int_equal(info.type, IOVAGEOM_HW_INFO_VTD);
    assert_int_equal(info.knows, IOVAGEOM_HW_INFO_CAPABILITIES | IOVAGEOM_HW_INFO_VTD_CAP |
                                     IOVAGEOM_HW_INFO_VTD_ECAP);
    assert_int_equal(info.vtd_cap, 0xd2008c22260206);
    assert_int_equal(info.vtd_ecap, 0xf00f4a);
    assert_int_equal(info.full_length, 24);
    free(header);
    free(bytes);

    header = test_fixture_read_answer("amd", "hw_info.hdr.bin", &header_length);
    assert_int_equal(iovageom_host_iommufd_hw_info(header, header_length, NULL, 0, &info), 0);
    assert_int_equal(info.type, IOVAGEOM_HW_INFO_NONE);
    assert_int_equal(info.knows, IOVAGEOM_HW_INFO_CAPABILITIES);
    assert_int_equal(info.vtd_cap, 0);
    free(header);
}

static void put_hw_info(uint8_t *header, uint32_t size, uint32_t type, uint32_t data_length)
{
    memset(header, 0, 48);
    test_store32(header, size);
    test_store32(header + 12, data_length);
    test_store32(header + 24, type);
    test_store64(header + 32, 5);
}

/* What is there whole is taken; the kernel's zeros behind shorter data are no registers. */
static void hw_info_longer_and_shorter(void **state)
{
    const uint32_t vtd = IOVAGEOM_HW_INFO_VTD_CAP;
    const uint32_t both = IOVAGEOM_HW_INFO_VTD_CAP | IOVAGEOM_HW_INFO_VTD_ECAP;
    const struct {
        uint32_t type;
        uint32_t full_length; /* what the kernel has */
        size_t length;        /* what was asked for */
        uint32_t knows;
    } cases[] = {
        {1, 24, 24, both}, {1, 24, 64, both}, {1, 64, 24, both}, {1, 24, 23, vtd},
        {1, 16, 64, vtd},  {1, 24, 15, 0},    {1, 0, 64, 0},     {2, 40, 40, 8},
        {2, 40, 64, 8},    {2, 64, 32, 8},    {2, 40, 31, 0},    {2, 31, 64, 0},
        {3, 64, 64, 0},    {99, 64, 64, 0},   {0, 0, 0, 0},      {0xffffffff, 64, 64, 0},
        {4, 16, 16, 48},   {4, 16, 64, 48},   {4, 64, 16, 48},   {4, 16, 15, 16},
        {4, 8, 64, 16},    {4, 16, 7, 0},     {4, 7, 64, 0},     {5, 64, 64, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_hw_info info;
        uint8_t header[48];
        uint8_t *data = malloc(cases[i].length + 1);

        assert_non_null(data);
        memset(data, 0x5a, cases[i].length + 1);
        put_hw_info(header, 32, cases[i].type, cases[i].full_length);
        assert_int_equal(
            iovageom_host_iommufd_hw_info(header, 32, data + 1, cases[i].length, &info), 0);
        assert_int_equal(info.knows, cases[i].knows);
        assert_int_equal(info.type, cases[i].type);
        assert_int_equal(info.full_length, cases[i].full_length);
        if ((info.knows & IOVAGEOM_HW_INFO_SMMUV3_IDR) != 0)
            assert_int_equal(info.smmuv3_idr[5], 0x5a5a5a5a);
        else
            assert_int_equal(info.smmuv3_idr[5], 0);
        free(data);
    }
}

/* AMD: EFR and EFR2 without anything before them, and from there to widths. */
static void hw_info_of_amd(void **state)
{
    struct iovageom_host_limits limits;
    struct iovageom_hw_info info;
    uint8_t header[48], data[16];

    (void)state;
    put_hw_info(header, 40, IOVAGEOM_HW_INFO_AMD, 16);
    test_store64(data, 0x246577efa2254afa);
    test_store64(data + 8, 0x1122334455667788);
    assert_int_equal(iovageom_host_iommufd_hw_info(header, 40, data, 16, &info), 0);
    assert_int_equal(info.knows, IOVAGEOM_HW_INFO_CAPABILITIES | IOVAGEOM_HW_INFO_AMD_EFR |
                                     IOVAGEOM_HW_INFO_AMD_EFR2);
    assert_int_equal(info.amd_efr, 0x246577efa2254afa);
    assert_int_equal(info.amd_efr2, 0x1122334455667788);
    assert_int_equal(info.vtd_cap, 0);
    assert_int_equal(
        iovageom_host_amd(info.amd_efr, IOVAGEOM_STAGE_DEFAULT, 0, IOVAGEOM_LINUX_6_12, &limits),
        0);
    assert_int_equal(limits.gaw, 64);
    assert_int_equal(
        iovageom_host_amd(info.amd_efr, IOVAGEOM_STAGE_DEFAULT, 0, IOVAGEOM_LINUX_ANY, &limits), 0);
    assert_int_equal(limits.gaw, 48);
}

/* A width of 0 is no width: the kernel has no PASIDs, or is too old to say. */
static void hw_info_of_pasids(void **state)
{
    const struct {
        uint32_t size;
        uint8_t bits;
        uint32_t expected;
        uint32_t knows;
    } cases[] = {
        {40, 0, 0, 1},          {40, 20, 20, 1 | 64}, {40, 1, 1, 1 | 64},
        {40, 255, 255, 1 | 64}, {48, 16, 16, 1 | 64}, {32, 20, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_hw_info info;
        uint8_t header[48];

        put_hw_info(header, cases[i].size, 0, 0);
        header[28] = cases[i].bits;
        memset(header + 29, 0xff, 3); /* reserved */
        assert_int_equal(iovageom_host_iommufd_hw_info(header, 48, NULL, 0, &info), 0);
        assert_int_equal(info.knows, cases[i].knows);
        assert_int_equal(info.pasid_bits, cases[i].expected);
    }
}

static void hw_info_headers(void **state)
{
    struct iovageom_hw_info info = {.type = 77};
    uint8_t header[48];

    (void)state;
    put_hw_info(header, 31, 0, 0);
    assert_int_equal(iovageom_host_iommufd_hw_info(header, 48, NULL, 0, &info),
                     IOVAGEOM_ERR_MALFORMED);
    put_hw_info(header, 40, 0, 0);
    assert_int_equal(iovageom_host_iommufd_hw_info(header, 39, NULL, 0, &info),
                     IOVAGEOM_ERR_TRUNCATED);
    assert_int_equal(iovageom_host_iommufd_hw_info(header, 31, NULL, 0, &info),
                     IOVAGEOM_ERR_TRUNCATED);
    assert_int_equal(info.type, 77);
    assert_int_equal(iovageom_host_iommufd_hw_info(header, 48, NULL, 0, &info), IOVAGEOM_OK);
    assert_int_equal(info.capabilities, 5);
    put_hw_info(header, 48, 0, 0);
    assert_int_equal(iovageom_host_iommufd_hw_info(header, 48, NULL, 0, &info), IOVAGEOM_OK);
    assert_int_equal(info.capabilities, 5);
    put_hw_info(header, 32, 0, 0);
    assert_int_equal(iovageom_host_iommufd_hw_info(header, 48, NULL, 0, &info), IOVAGEOM_OK);
    assert_int_equal(info.knows, 0);
    assert_int_equal(info.capabilities, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_captured_answer_is_understood),
        cmocka_unit_test(before_attach_is_no_answer),
        cmocka_unit_test(alignment_is_not_a_mask),
        cmocka_unit_test(headers_that_cannot_be),
        cmocka_unit_test(lists_that_cannot_be),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(asking_again),
        cmocka_unit_test(hw_info_of_captured_hosts),
        cmocka_unit_test(hw_info_longer_and_shorter),
        cmocka_unit_test(hw_info_of_amd),
        cmocka_unit_test(hw_info_of_pasids),
        cmocka_unit_test(hw_info_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/host_sysfs.h>
#include <iovageom/status.h>

#include "support/test_accepts.h"
#include "support/test_allocator.h"
#include "support/test_fixture.h"

#include "geometry/internal.h"

static const char *const folders[] = {TEST_FIXTURE_FOLDERS};
#define FOLDER_COUNT (sizeof(folders) / sizeof(folders[0]))

static struct iovageom_geometry *new_geometry(void)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), IOVAGEOM_OK);
    return geometry;
}

/* Reads a text, from a block of its size, into a new geometry that the caller frees. */
static int read_text(const char *text, size_t length, enum iovageom_sysfs_mode mode, size_t *line,
                     struct iovageom_geometry **geometry)
{
    char *exact = malloc(length + 1);
    int status;

    assert_non_null(exact);
    memcpy(exact + 1, text, length);
    *geometry = new_geometry();
    status = iovageom_host_sysfs_reserved_regions(exact + 1, length, mode, line, *geometry);
    free(exact);
    return status;
}

struct region {
    uint64_t start;
    uint64_t last;
    enum iovageom_resv_type type;
};

static void assert_regions(const struct iovageom_geometry *geometry, const struct region *expected,
                           size_t count)
{
    struct iovageom_region regions[16];
    size_t found;

    assert_int_equal(iovageom_geometry_regions(geometry, regions, 16, &found), 0);
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(regions[i].range.start, expected[i].start);
        assert_int_equal(regions[i].range.last, expected[i].last);
        assert_int_equal(regions[i].type, expected[i].type);
    }
}

static void all_types(void **state)
{
    static const char text[] = "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
                               "0x0000000008000000 0x00000000080fffff msi\n"
                               "0x00000000df800000 0x00000000dfffffff direct\n"
                               "0x00000000fee00000 0x00000000feefffff msi\n"
                               "0x000000fd00000000 0xffffffffffffffff reserved\n";
    static const struct region expected[] = {
        {0, 0xffffff, IOVAGEOM_RESV_DIRECT_RELAXABLE},
        {0x8000000, 0x80fffff, IOVAGEOM_RESV_SOFTWARE_MSI},
        {0xdf800000, 0xdfffffff, IOVAGEOM_RESV_DIRECT},
        {0xfee00000, 0xfeefffff, IOVAGEOM_RESV_MSI},
        {0xfd00000000, UINT64_MAX, IOVAGEOM_RESV_RESERVED},
    };
    struct iovageom_geometry *geometry;
    size_t line = 99;

    (void)state;
    assert_int_equal(read_text(text, sizeof(text) - 1, IOVAGEOM_SYSFS_STRICT, &line, &geometry),
                     IOVAGEOM_OK);
    assert_int_equal(line, 0);
    assert_regions(geometry, expected, 5);
    assert_int_equal(iovageom_geometry_knows(geometry), IOVAGEOM_FACT_RESERVED);
    iovageom_geometry_free(geometry);
}

/* Linux prints "msi" of its software window; only that very window is it. */
static void software_msi_is_one_window(void **state)
{
    static const struct {
        const char *text;
        enum iovageom_resv_type type;
    } cases[] = {
        {"0x8000000 0x80fffff msi\n", IOVAGEOM_RESV_SOFTWARE_MSI},
        {"0x0000000008000000 0x00000000080fffff reserved\n", IOVAGEOM_RESV_RESERVED},
        {"0x0000000008000000 0x00000000080ffffe msi\n", IOVAGEOM_RESV_MSI},
        {"0x0000000008000001 0x00000000080fffff msi\n", IOVAGEOM_RESV_MSI},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_geometry *geometry;
        struct iovageom_region region;
        size_t count;

        assert_int_equal(
            read_text(cases[i].text, strlen(cases[i].text), IOVAGEOM_SYSFS_STRICT, NULL, &geometry),
            IOVAGEOM_OK);
        assert_int_equal(iovageom_geometry_regions(geometry, &region, 1, &count), IOVAGEOM_OK);
        assert_int_equal(count, 1);
        assert_int_equal(region.type, cases[i].type);
        iovageom_geometry_free(geometry);
    }
}

static void every_captured_file_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        struct iovageom_geometry *geometry;
        bool inverted = strcmp(folders[i], "guest-raw-inverted") == 0;
        size_t length;
        size_t line = 0;
        char *text =
            test_fixture_read(folders[i], "sysfs/iommu_groups/1/reserved_regions", &length);

        assert_int_equal(read_text(text, length, IOVAGEOM_SYSFS_STRICT, &line, &geometry),
                         inverted ? IOVAGEOM_ERR_INVERTED : IOVAGEOM_OK);
        assert_int_equal(line, inverted ? 1 : 0);
        assert_int_equal(iovageom_geometry_knows(geometry), inverted ? 0 : IOVAGEOM_FACT_RESERVED);
        iovageom_geometry_free(geometry);
        free(text);
    }
}

static void each_bad_line_has_its_status(void **state)
{
    static const struct {
        const char *line;
        int status;
    } cases[] = {
        {"0x2000 0x1ffe reserved", IOVAGEOM_ERR_INVERTED},
        {"0x2 0x0 msi", IOVAGEOM_ERR_INVERTED},
        {"0x2000 0x1fff banana!", IOVAGEOM_ERR_SYNTAX},
        {"0x0 0xfff banana", IOVAGEOM_ERR_UNSUPPORTED},
        {"0x0 0xfff directly", IOVAGEOM_ERR_UNSUPPORTED},
        {"0x0 0xfff direct-", IOVAGEOM_ERR_UNSUPPORTED},
        {"0x0 0xfff ms", IOVAGEOM_ERR_UNSUPPORTED},
        {"0x0 0xfff software-msi", IOVAGEOM_ERR_UNSUPPORTED},
        {"0x10000000000000000 0xfff msi", IOVAGEOM_ERR_OVERFLOW},
        {"0x0 0x10000000000000000 msi", IOVAGEOM_ERR_OVERFLOW},
        {"0x0 0x100000000000000000000000000000000 msi", IOVAGEOM_ERR_OVERFLOW},
        {"0x0 0xfff MSI", IOVAGEOM_ERR_SYNTAX},
        {"0x0 0xfff m3i", IOVAGEOM_ERR_SYNTAX},
        {"0x0 0xfff", IOVAGEOM_ERR_SYNTAX},
        {"0x0 0xfff ", IOVAGEOM_ERR_SYNTAX},
        {"0x0", IOVAGEOM_ERR_SYNTAX},
        {"0x 0xfff msi", IOVAGEOM_ERR_SYNTAX},
        {"0x0 fff msi", IOVAGEOM_ERR_SYNTAX},
        {"0 0xfff msi", IOVAGEOM_ERR_SYNTAX},
        {"0x00xfff msi", IOVAGEOM_ERR_SYNTAX},
        {"0x0 0xfffmsi", IOVAGEOM_ERR_SYNTAX},
        {"0x0g 0xfff msi", IOVAGEOM_ERR_SYNTAX},
        {"-0x1 0xfff msi", IOVAGEOM_ERR_SYNTAX},
        {"0x0 0xfff msi extra", IOVAGEOM_ERR_SYNTAX},
        {"0x0 0xfff msi\r", IOVAGEOM_ERR_SYNTAX},
        {"garbage", IOVAGEOM_ERR_SYNTAX},
        {"\xff\xfe", IOVAGEOM_ERR_SYNTAX},
        {"0x1000 0x1fff reserved", IOVAGEOM_ERR_EXISTS},
        {"  0x01000\t0x1FFF  reserved  ", IOVAGEOM_ERR_EXISTS},
        {"0x1800 0x27ff reserved", IOVAGEOM_ERR_OVERLAP},
        {"0x0 0xffffffffffffffff reserved", IOVAGEOM_ERR_OVERLAP},
        {"0x0 0x1000 reserved", IOVAGEOM_ERR_OVERLAP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_geometry *geometry;
        char text[256];
        size_t line = 99;
        int length = snprintf(text, sizeof(text),
                              "0x1000 0x1fff reserved\n\n%s\n0x3000 0x3fff msi\n", cases[i].line);

        assert_int_equal(read_text(text, (size_t)length, IOVAGEOM_SYSFS_STRICT, &line, &geometry),
                         cases[i].status);
        assert_int_equal(line, 3);
        assert_int_equal(iovageom_geometry_knows(geometry), 0);
        iovageom_geometry_free(geometry);
        assert_int_equal(read_text(text, (size_t)length, IOVAGEOM_SYSFS_STRICT, NULL, &geometry),
                         cases[i].status);
        iovageom_geometry_free(geometry);
    }
}

static void a_zero_byte_is_no_text(void **state)
{
    static const char text[] = "0x1000 0x1fff msi\0\n0x3000 0x3fff\0 msi\n";
    struct iovageom_geometry *geometry;
    size_t line = 0;

    (void)state;
    assert_int_equal(read_text(text, sizeof(text) - 1, IOVAGEOM_SYSFS_STRICT, &line, &geometry),
                     IOVAGEOM_ERR_SYNTAX);
    assert_int_equal(line, 1);
    iovageom_geometry_free(geometry);
}

/* Linux merges regions of one type only: "different types may overlap" (B3). */
static void types_may_overlap(void **state)
{
    static const char text[] = "0x0000 0x2fff direct-relaxable\n0x1000 0x3fff reserved\n"
                               "0x1000 0x1fff msi\n";
    static const struct region expected[] = {
        {0, 0xfff, IOVAGEOM_RESV_DIRECT_RELAXABLE},
        {0x1000, 0x1fff, IOVAGEOM_RESV_MSI},
        {0x2000, 0x3fff, IOVAGEOM_RESV_RESERVED},
    };
    struct iovageom_geometry *geometry;

    (void)state;
    assert_int_equal(read_text(text, sizeof(text) - 1, IOVAGEOM_SYSFS_STRICT, NULL, &geometry),
                     IOVAGEOM_OK);
    assert_regions(geometry, expected, 3);
    iovageom_geometry_free(geometry);
}

/* Linux does not merge regions that reach the top: a guest whose PROBE told it twice shows both. */
static void regions_at_the_top_may_repeat(void **state)
{
    static const char text[] = "0x00000000fee00000 0x00000000feefffff msi\n"
                               "0x0000008000000000 0xffffffffffffffff reserved\n"
                               "0x0000008000000000 0xffffffffffffffff reserved\n"
                               "0x0000010000000000 0x000001ffffffffff reserved\n";
    static const struct region expected[] = {
        {0xfee00000, 0xfeefffff, IOVAGEOM_RESV_MSI},
        {0x8000000000, UINT64_MAX, IOVAGEOM_RESV_RESERVED},
    };
    struct iovageom_geometry *geometry;

    (void)state;
    assert_int_equal(read_text(text, sizeof(text) - 1, IOVAGEOM_SYSFS_STRICT, NULL, &geometry),
                     IOVAGEOM_OK);
    assert_regions(geometry, expected, 2);
    assert_int_equal(iovageom_geometry_knows(geometry), IOVAGEOM_FACT_RESERVED);
    iovageom_geometry_free(geometry);
}

static void lenient_goes_on(void **state)
{
    static const char text[] = "0x2000 0x1ff0 reserved\n"
                               "0x1000 0x1fff reserved\n"
                               "0x1000 0x1fff reserved\n"
                               "0x1800 0x27ff reserved\n"
                               "garbage\n"
                               "0x5000 0x5fff banana\n"
                               "0x3000 0x3fff msi\n";
    static const struct region expected[] = {
        {0x1000, 0x27ff, IOVAGEOM_RESV_RESERVED},
        {0x3000, 0x3fff, IOVAGEOM_RESV_MSI},
        {0x5000, 0x5fff, IOVAGEOM_RESV_RESERVED},
    };
    struct iovageom_geometry *geometry;
    size_t line = 99;

    (void)state;
    assert_int_equal(read_text(text, sizeof(text) - 1, IOVAGEOM_SYSFS_LENIENT, &line, &geometry),
                     IOVAGEOM_OK);
    assert_int_equal(line, 0);
    assert_regions(geometry, expected, 3);
    assert_int_equal(iovageom_geometry_knows(geometry),
                     IOVAGEOM_FACT_RESERVED | IOVAGEOM_FACT_INCOMPLETE);
    iovageom_geometry_free(geometry);

    /* what is joined or taken for reserved loses nothing */
    assert_int_equal(read_text(text + 23, 92, IOVAGEOM_SYSFS_LENIENT, &line, &geometry),
                     IOVAGEOM_OK);
    iovageom_geometry_free(geometry);
}

/* An RMRR of length 0, which Linux keeps: it reserves nothing, and is no fault of the others. */
static void a_region_of_length_0_reserves_nothing(void **state)
{
    static const char text[] = "0x00000000000ec000 0x00000000000effff direct-relaxable\n"
                               "0x00000000bf7dc000 0x00000000bf7dbfff direct\n"
                               "0x0000000000000001 0x0000000000000000 banana\n"
                               "0xffffffffffffffff 0xfffffffffffffffe msi\n"
                               "0x00000000fee00000 0x00000000feefffff msi\n"
                               "0x2000 0x1fff reserved";
    static const struct region expected[] = {
        {0xec000, 0xeffff, IOVAGEOM_RESV_DIRECT_RELAXABLE},
        {0xfee00000, 0xfeefffff, IOVAGEOM_RESV_MSI},
    };
    struct iovageom_geometry *geometry;
    size_t line = 99;

    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        assert_int_equal(read_text(text, sizeof(text) - 1 - 22, (enum iovageom_sysfs_mode)mode,
                                   &line, &geometry),
                         IOVAGEOM_OK);
        assert_int_equal(line, 0);
        assert_regions(geometry, expected, 2);
        assert_int_equal(iovageom_geometry_knows(geometry), IOVAGEOM_FACT_RESERVED);
        iovageom_geometry_free(geometry);
    }
    /* alone in its file, it says that there are none */
    assert_int_equal(read_text("0x2000 0x1fff msi\n", 18, IOVAGEOM_SYSFS_STRICT, &line, &geometry),
                     0);
    assert_int_equal(iovageom_geometry_knows(geometry), IOVAGEOM_FACT_RESERVED);
    iovageom_geometry_free(geometry);
}

/* Leniency does not widen: a text of which no line was understood says nothing. */
static void lenient_reading_of_nothing_is_unknown(void **state)
{
    static const struct {
        const char *text;
        int status;
        size_t line;
    } cases[] = {
        {"1/reserved_regions:0x00000000fee00000 0x00000000feefffff msi\n", IOVAGEOM_ERR_UNKNOWN, 1},
        {"\n\ngarbage\nmore\n", IOVAGEOM_ERR_UNKNOWN, 3},
        {"0x2000 0x1000 reserved\n", IOVAGEOM_ERR_UNKNOWN, 1},
        {"garbage", IOVAGEOM_ERR_UNKNOWN, 1},
        {"0x2000 0x1fff msi\ngarbage\n", IOVAGEOM_ERR_UNKNOWN, 2},
        {"garbage\n0x1000 0x1fff msi\n", IOVAGEOM_OK, 0},
        {"garbage\n0x1000 0x1fff banana\n", IOVAGEOM_OK, 0},
        {"0x2000 0x1fff msi\n", IOVAGEOM_OK, 0},
        {"\n", IOVAGEOM_OK, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_geometry *geometry;
        size_t line = 99;

        assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), IOVAGEOM_SYSFS_LENIENT,
                                   &line, &geometry),
                         cases[i].status);
        assert_int_equal(line, cases[i].line);
        if (cases[i].status != IOVAGEOM_OK)
            assert_int_equal(iovageom_geometry_knows(geometry), 0);
        iovageom_geometry_free(geometry);
        assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), IOVAGEOM_SYSFS_LENIENT,
                                   NULL, &geometry),
                         cases[i].status);
        iovageom_geometry_free(geometry);
    }
}

static void an_empty_file_says_there_are_none(void **state)
{
    struct iovageom_geometry *geometry;

    (void)state;
    assert_int_equal(read_text("", 0, IOVAGEOM_SYSFS_STRICT, NULL, &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_knows(geometry), IOVAGEOM_FACT_RESERVED);
    assert_true(test_accepts(geometry, (struct iovageom_range){0, UINT64_MAX}));
    iovageom_geometry_free(geometry);
    assert_int_equal(read_text("\n \n", 3, IOVAGEOM_SYSFS_STRICT, NULL, &geometry), IOVAGEOM_OK);
    iovageom_geometry_free(geometry);
}

/* As Linux writes a file of more regions than fit a page: 4095 bytes, the rest is dropped. */
static size_t fill_page(char *page, size_t size)
{
    size_t length = 0;

    for (unsigned i = 0; length < size; i++)
        length += (size_t)snprintf(page + length, 64, "0x%016x 0x%016x reserved\n", i * 0x2000,
                                   i * 0x2000 + 0xfff);
    return size;
}

static void a_cut_file_may_be_incomplete(void **state)
{
    char page[4096 + 64];
    struct iovageom_geometry *geometry;
    size_t line = 99;
    size_t length = fill_page(page, 4095);

    (void)state;
    assert_int_equal(read_text(page, length, IOVAGEOM_SYSFS_STRICT, &line, &geometry), IOVAGEOM_OK);
    assert_int_equal(line, 0);
    assert_int_equal(iovageom_geometry_knows(geometry),
                     IOVAGEOM_FACT_RESERVED | IOVAGEOM_FACT_INCOMPLETE);
    /* 87 whole lines of 47 bytes; the 88th is cut */
    assert_false(test_accepts(geometry, (struct iovageom_range){86 * 0x2000, 86 * 0x2000}));
    assert_true(test_accepts(geometry, (struct iovageom_range){87 * 0x2000, 87 * 0x2000}));
    iovageom_geometry_free(geometry);

    /* cut at the end of a line, so that nothing but the size tells */
    page[4093] = page[4094] = '\n';
    memset(page + 87 * 47, '\n', 4095 - 87 * 47);
    for (length = 4094; length <= 4095; length++) {
        assert_int_equal(read_text(page, length, IOVAGEOM_SYSFS_STRICT, &line, &geometry), 0);
        assert_int_equal((iovageom_geometry_knows(geometry) & IOVAGEOM_FACT_INCOMPLETE) != 0,
                         length == 4095);
        iovageom_geometry_free(geometry);
    }

    /* a cut in a garbage line before the last one is garbage still */
    page[10] = '!';
    assert_int_equal(read_text(page, 4095, IOVAGEOM_SYSFS_STRICT, &line, &geometry),
                     IOVAGEOM_ERR_SYNTAX);
    assert_int_equal(line, 1);
    iovageom_geometry_free(geometry);
}

static void a_line_without_its_end(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        /* may be a "direct-relaxable" that was cut: taken as it stands, which forbids more */
        {"0x1000 0x1fff direct", IOVAGEOM_OK},
        {"0x1000 0x1fff direct-relax", IOVAGEOM_ERR_TRUNCATED},
        {"0x1000 0x1fff ", IOVAGEOM_ERR_TRUNCATED},
        {"0x1000 0x1ff", IOVAGEOM_ERR_TRUNCATED},
        {"0", IOVAGEOM_ERR_TRUNCATED},
        {"0x1000 0xffe msi", IOVAGEOM_ERR_INVERTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_geometry *geometry;
        size_t line = 99;

        assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), IOVAGEOM_SYSFS_STRICT,
                                   &line, &geometry),
                         cases[i].status);
        assert_int_equal(line, cases[i].status == IOVAGEOM_OK ? 0 : 1);
        assert_int_equal(
            iovageom_geometry_knows(geometry),
            cases[i].status == IOVAGEOM_OK ? IOVAGEOM_FACT_RESERVED | IOVAGEOM_FACT_INCOMPLETE : 0);
        iovageom_geometry_free(geometry);
    }
}

static void the_bad_line_is_told_by_its_number(void **state)
{
    static const struct {
        const char *text;
        int status;
        size_t line;
    } expected[] = {
        {"0x5 0x3 msi\n\ngarbage\n0x7 0x8 msi\n0x9", IOVAGEOM_ERR_INVERTED, 1},
        {"\n\ngarbage\n0x7 0x8 msi\n0x9", IOVAGEOM_ERR_SYNTAX, 3},
        {"\n\n\n0x7 0x8 msi\n0x9", IOVAGEOM_ERR_TRUNCATED, 5},
        {"\n\n\n0x7 0x8 msi\n", IOVAGEOM_OK, 0},
    };
    static const struct region good[] = {{7, 8, IOVAGEOM_RESV_MSI}};

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct iovageom_geometry *geometry;
        size_t line = 99;

        assert_int_equal(read_text(expected[i].text, strlen(expected[i].text),
                                   IOVAGEOM_SYSFS_STRICT, &line, &geometry),
                         expected[i].status);
        assert_int_equal(line, expected[i].line);
        assert_regions(geometry, good, expected[i].status == IOVAGEOM_OK);
        iovageom_geometry_free(geometry);
    }
}

static void memory_may_run_out(void **state)
{
    size_t length;
    char *text =
        test_fixture_read("guest-21-regions", "sysfs/iommu_groups/1/reserved_regions", &length);

    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        for (size_t nth = 1;; nth++) {
            struct iovageom_geometry *geometry;
            struct test_allocator memory;
            size_t line = 99;
            int status;
            bool hit;

            test_allocator_init(&memory);
            assert_int_equal(iovageom_geometry_new(&memory.allocator, "g", &geometry), 0);
            test_allocator_fail_at(&memory, nth, for_good != 0);
            status = iovageom_host_sysfs_reserved_regions(text, length, IOVAGEOM_SYSFS_STRICT,
                                                          &line, geometry);
            hit = test_allocator_stop_failing(&memory);
            assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
            assert_int_equal(line, hit ? 99 : 0);
            assert_int_equal(iovageom_geometry_knows(geometry) != 0, !hit);
            iovageom_geometry_free(geometry);
            assert_int_equal(test_allocator_live(&memory), 0);
            if (!hit)
                break;
        }
    }
    free(text);
}

static void registers_in_text(void **state)
{
    static const struct {
        const char *text;
        int status;
        uint64_t value;
    } cases[] = {
        {"d2008c22260206\n", IOVAGEOM_OK, 0xd2008c22260206},
        {"0xF00f4a", IOVAGEOM_OK, 0xf00f4a},
        {"0\n", IOVAGEOM_OK, 0},
        {"ffffffffffffffff\n", IOVAGEOM_OK, UINT64_MAX},
        {"0ffffffffffffffff\n", IOVAGEOM_OK, UINT64_MAX},
        {"10000000000000000\n", IOVAGEOM_ERR_OVERFLOW, 7},
        {"", IOVAGEOM_ERR_SYNTAX, 7},
        {"0x", IOVAGEOM_ERR_SYNTAX, 7},
        {"\n", IOVAGEOM_ERR_SYNTAX, 7},
        {"12:34\n", IOVAGEOM_ERR_SYNTAX, 7},
        {"12 34\n", IOVAGEOM_ERR_SYNTAX, 7},
        {"xyz\n", IOVAGEOM_ERR_SYNTAX, 7},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 7;

        assert_int_equal(iovageom_host_sysfs_register(cases[i].text, strlen(cases[i].text), &value),
                         cases[i].status);
        assert_int_equal(value, cases[i].value);
    }
}

/* Linux 5.17 to 6.6 wrote EFR2 first, later ones EFR. */
static void amd_features_in_text(void **state)
{
    static const struct {
        const char *text;
        int status;
        uint64_t efr;
        uint64_t efr2;
    } cases[] = {
        {"29d3:0\n", IOVAGEOM_OK, 0x29d3, 0},
        {"0:29d3\n", IOVAGEOM_OK, 0x29d3, 0},
        {"29d3\n", IOVAGEOM_OK, 0x29d3, 0},
        {"246577efa2254afa:1d\n", IOVAGEOM_OK, 0x246577efa2254afa, 0x1d},
        {"1d:246577efa2254afa\n", IOVAGEOM_OK, 0x246577efa2254afa, 0x1d},
        {"0:0\n", IOVAGEOM_OK, 0, 0},
        {"10:0\n", IOVAGEOM_OK, 0x10, 0},
        {"0:10\n", IOVAGEOM_OK, 0x10, 0},
        {"40:40\n", IOVAGEOM_ERR_UNKNOWN, 7, 8},
        {"10:20\n", IOVAGEOM_ERR_UNKNOWN, 7, 8},
        {":29d3\n", IOVAGEOM_ERR_SYNTAX, 7, 8},
        {"29d3:\n", IOVAGEOM_ERR_SYNTAX, 7, 8},
        {"29d3:0:0\n", IOVAGEOM_ERR_SYNTAX, 7, 8},
        {"", IOVAGEOM_ERR_SYNTAX, 7, 8},
        {"10000000000000000:0", IOVAGEOM_ERR_OVERFLOW, 7, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t efr = 7;
        uint64_t efr2 = 8;
        size_t length = strlen(cases[i].text);

        assert_int_equal(iovageom_host_sysfs_amd_features(cases[i].text, length, &efr, &efr2),
                         cases[i].status);
        assert_int_equal(efr, cases[i].efr);
        assert_int_equal(efr2, cases[i].efr2);
        assert_int_equal(iovageom_host_sysfs_amd_features(cases[i].text, length, &efr, NULL),
                         cases[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types),
        cmocka_unit_test(software_msi_is_one_window),
        cmocka_unit_test(every_captured_file_is_read),
        cmocka_unit_test(each_bad_line_has_its_status),
        cmocka_unit_test(a_zero_byte_is_no_text),
        cmocka_unit_test(types_may_overlap),
        cmocka_unit_test(regions_at_the_top_may_repeat),
        cmocka_unit_test(lenient_goes_on),
        cmocka_unit_test(a_region_of_length_0_reserves_nothing),
        cmocka_unit_test(lenient_reading_of_nothing_is_unknown),
        cmocka_unit_test(an_empty_file_says_there_are_none),
        cmocka_unit_test(a_cut_file_may_be_incomplete),
        cmocka_unit_test(a_line_without_its_end),
        cmocka_unit_test(the_bad_line_is_told_by_its_number),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(registers_in_text),
        cmocka_unit_test(amd_features_in_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Saved geometries that are wrong behind a checksum made anew: the status of each damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/geometry.h>
#include <iovageom/status.h>

#include "support/test_accepts.h"
#include "support/test_allocator.h"
#include "support/test_stream.h"

#define R(start, last) ((struct iovageom_range){(start), (last)})

/* The form. */
enum { MAGIC = 0, VERSION = 8, HEADER = 12, TOTAL = 16, SUM = 24, RECORDS = 32, ROOM = 4096 };
enum { TAG = 0, SOURCE = 4, NAME = 8, COUNT = 12, BODY = 16 };
enum { FACT = 0x100, REGIONS = 0x200 };

struct stream {
    size_t length;
    uint8_t bytes[ROOM];
};

static void seal(struct stream *s)
{
    test_put(s->bytes + TOTAL, s->length, 8);
    const uint64_t head = test_fnv(TEST_FNV, s->bytes, 0, SUM);
    test_put(s->bytes + SUM, test_fnv(head, s->bytes, RECORDS, s->length), 8);
}

static size_t record_size(const struct stream *s, size_t at)
{
    return BODY + (size_t)test_get(s->bytes + at + NAME, 4) +
           8 * (size_t)test_get(s->bytes + at + COUNT, 4);
}

static size_t record_at(const struct stream *s, uint32_t tag)
{
    size_t at = RECORDS;

    while (at < s->length && test_get(s->bytes + at, 4) != tag)
        at += record_size(s, at);
    assert_true(at < s->length);
    return at;
}

static struct iovageom_geometry *sample(void)
{
    const struct iovageom_range usable[] = {{0, 0xffffffff}, {0x200000000, 0x7fffffffff}};
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, "host", &geometry), 0);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 39, IOVAGEOM_SOURCE_SYSFS), 0);
    assert_int_equal(iovageom_geometry_add_usable(geometry, usable, 2, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(geometry, 0x1000, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_alignment(geometry, 0x2000, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 9, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0x10000, 0x1ffff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    return geometry;
}

static void make_stream(struct stream *s)
{
    struct iovageom_geometry *geometry = sample();

    assert_int_equal(iovageom_geometry_save(geometry, s->bytes, ROOM, &s->length), 0);
    iovageom_geometry_free(geometry);
}

static void loads_as(struct stream *s, int status, const char *what)
{
    struct test_allocator memory;
    struct iovageom_geometry *loaded = NULL;
    int got;

    test_allocator_init(&memory);
    seal(s);
    got = iovageom_geometry_load(&memory.allocator, s->bytes, s->length, &loaded);
    if (got != status)
        fail_msg("%s: %d instead of %d", what, got, status);
    assert_int_equal(loaded != NULL, status == 0);
    iovageom_geometry_free(loaded);
    assert_int_equal(test_allocator_live(&memory), 0);
    make_stream(s);
}

static void the_header_is_looked_at(void **state)
{
    static struct stream s;
    struct iovageom_geometry *loaded = NULL;

    (void)state;
    make_stream(&s);
    loads_as(&s, 0, "as it was");
    for (size_t cut = 0; cut < s.length; cut++)
        assert_int_equal(iovageom_geometry_load(NULL, s.bytes, cut, &loaded),
                         IOVAGEOM_ERR_TRUNCATED);
    assert_int_equal(iovageom_geometry_load(NULL, s.bytes, s.length + 1, &loaded),
                     IOVAGEOM_ERR_MALFORMED);
    assert_null(loaded);
    s.bytes[MAGIC + 7] ^= 1;
    loads_as(&s, IOVAGEOM_ERR_MALFORMED, "another magic");
    test_put(s.bytes + VERSION, 0, 4);
    loads_as(&s, IOVAGEOM_ERR_VERSION, "version 0");
    test_put(s.bytes + VERSION, 2, 4);
    loads_as(&s, IOVAGEOM_ERR_VERSION, "version 2");
    test_put(s.bytes + HEADER, 31, 4);
    loads_as(&s, IOVAGEOM_ERR_MALFORMED, "a header that is too short");
    test_put(s.bytes + HEADER, s.length + 1, 4);
    loads_as(&s, IOVAGEOM_ERR_MALFORMED, "a header that is too long");
    test_put(s.bytes + HEADER, s.length, 4);
    loads_as(&s, 0, "nothing but a header");
    /* One to 15 bytes are no record; 16 are one without a name and numbers. */
    for (size_t more = 1; more <= 16; more++) {
        memset(s.bytes + s.length, 0x55, more);
        if (more == 16)
            memset(s.bytes + s.length + 8, 0, 8);
        s.length += more;
        loads_as(&s, more < 16 ? IOVAGEOM_ERR_TRUNCATED : 0, "bytes behind the records");
    }
    for (size_t less = 1; less < 16; less++) {
        s.length -= less;
        loads_as(&s, IOVAGEOM_ERR_TRUNCATED, "the last record is cut");
    }
}

static void every_field_of_a_record_is_looked_at(void **state)
{
    static const int bad = IOVAGEOM_ERR_MALFORMED, cut = IOVAGEOM_ERR_TRUNCATED;
    static const struct {
        const char *what;
        uint32_t tag;
        size_t at, width; /* numbers come after four bytes of a name */
        uint64_t value;
        int status;
    } rows[] = {
        {"a record of a later version", FACT | IOVAGEOM_FACT_ALIGNMENT, TAG, 4, 0x300, 0},
        {"one that must be understood", FACT | IOVAGEOM_FACT_ALIGNMENT, TAG, 4, 0x80000300,
         IOVAGEOM_ERR_VERSION},
        {"a fact of a later version", FACT | IOVAGEOM_FACT_ALIGNMENT, TAG, 4, FACT | 128, 0},
        {"a fact that is two", FACT | IOVAGEOM_FACT_ALIGNMENT, TAG, 4, FACT | 3, 0},
        {"a region of a later version", REGIONS | IOVAGEOM_RESV_MSI, TAG, 4, REGIONS | 99, 0},
        {"a source of a later version", FACT | IOVAGEOM_FACT_ALIGNMENT, SOURCE, 4, 99, 0},
        {"a name that ends beyond", FACT | IOVAGEOM_FACT_MAP_BUDGET, NAME, 4, UINT32_MAX, cut},
        {"numbers that end beyond", FACT | IOVAGEOM_FACT_MAP_BUDGET, COUNT, 4, UINT32_MAX, cut},
        {"a NUL in a name", FACT | IOVAGEOM_FACT_ALIGNMENT, BODY + 1, 1, 0, bad},
        {"an alignment of 3", FACT | IOVAGEOM_FACT_ALIGNMENT, BODY + 4, 8, 3, bad},
        {"an alignment of 0", FACT | IOVAGEOM_FACT_ALIGNMENT, BODY + 4, 8, 0, bad},
        {"an inverted aperture", FACT | IOVAGEOM_FACT_APERTURE, BODY + 4, 8, UINT64_MAX, bad},
        {"an inverted region", REGIONS | IOVAGEOM_RESV_MSI, BODY + 4, 8, 0x20000, bad},
        {"a region of one address", REGIONS | IOVAGEOM_RESV_MSI, BODY + 4, 8, 0x1ffff, 0},
    };
    static struct stream s;

    (void)state;
    make_stream(&s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        test_put(s.bytes + record_at(&s, rows[i].tag) + rows[i].at, rows[i].value, rows[i].width);
        loads_as(&s, rows[i].status, rows[i].what);
    }
}

/* Records of their own: a tag, a name and numbers. */
static void append(struct stream *s, uint32_t tag, size_t name, size_t count, uint64_t number)
{
    uint8_t *at = s->bytes + s->length;

    test_put(at + TAG, tag, 4);
    test_put(at + SOURCE, IOVAGEOM_SOURCE_USER, 4);
    test_put(at + NAME, name, 4);
    test_put(at + COUNT, count, 4);
    memset(at + BODY, 'x', name);
    for (size_t i = 0; i < count; i++)
        test_put(at + BODY + name + 8 * i, number, 8);
    s->length += BODY + name + 8 * count;
}

static void records_have_the_numbers_that_they_need(void **state)
{
    static struct stream s;

    (void)state;
    make_stream(&s);
    for (size_t count = 0; count < 5; count++) {
        append(&s, FACT | IOVAGEOM_FACT_MAP_BUDGET, 1, count, 7);
        loads_as(&s, count < 2 ? IOVAGEOM_ERR_MALFORMED : 0, "numbers of a fact");
        append(&s, REGIONS | IOVAGEOM_RESV_MSI, 1, count, 7);
        loads_as(&s, count % 2 != 0 ? IOVAGEOM_ERR_MALFORMED : 0, "numbers of regions");
        append(&s, 0x300, 1, count, 7);
        loads_as(&s, 0, "numbers of something");
        append(&s, FACT | 128, 1, count, 7);
        append(&s, FACT | 3, 1, count, 7);
        append(&s, FACT, 1, count, 7);
        loads_as(&s, 0, "numbers of a fact of a later version");
    }
    append(&s, 0x300, IOVAGEOM_NAME_SIZE - 1, 0, 0);
    loads_as(&s, 0, "the longest name");
    append(&s, 0x300, IOVAGEOM_NAME_SIZE, 0, 0);
    loads_as(&s, IOVAGEOM_ERR_MALFORMED, "a name that is too long");
}

/* What a later version says is not lost: a region of a type that isn't known is reserved. And the
 * last kind of fact that is known is none of a later version. */
static void what_is_not_known_is_taken_as_the_least(void **state)
{
    static struct stream s;
    struct iovageom_region regions[8];
    struct iovageom_geometry *loaded;
    uint64_t number = 0;
    size_t count;

    (void)state;
    make_stream(&s);
    append(&s, REGIONS | 99, 3, 2, 0x30000);
    append(&s, FACT | IOVAGEOM_FACT_MAP_BUDGET, 3, 3, 7);
    append(&s, FACT | IOVAGEOM_FACT_INCOMPLETE, 3, 2, 7);
    seal(&s);
    assert_int_equal(iovageom_geometry_load(NULL, s.bytes, s.length, &loaded), 0);
    assert_string_equal(iovageom_geometry_name(loaded), "host");
    assert_false(test_accepts(loaded, R(0x30000, 0x31fff)));
    assert_true(test_accepts(loaded, R(0x32000, 0x33fff)));
    assert_int_equal(iovageom_geometry_map_budget(loaded, &number), 0);
    assert_int_equal(number, 7);
    assert_true((iovageom_geometry_knows(loaded) & IOVAGEOM_FACT_INCOMPLETE) != 0);
    assert_int_equal(iovageom_geometry_regions(loaded, regions, 8, &count), 0);
    while (count > 0 && regions[count - 1].range.start != 0x30000)
        count--;
    assert_true(count > 0);
    assert_int_equal(regions[count - 1].type, IOVAGEOM_RESV_RESERVED);
    iovageom_geometry_free(loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_is_looked_at),
        cmocka_unit_test(every_field_of_a_record_is_looked_at),
        cmocka_unit_test(records_have_the_numbers_that_they_need),
        cmocka_unit_test(what_is_not_known_is_taken_as_the_least),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support/test_accepts.h"
#include "support/test_facts.h"
#include <iovageom/status.h>

#include "support/test_allocator.h"

#define R(start, last) ((struct iovageom_range){(start), (last)})

static struct iovageom_owner owner_of(enum iovageom_source source, const char *name)
{
    struct iovageom_owner owner;

    assert_int_equal(iovageom_owner_init(&owner, source, name), IOVAGEOM_OK);
    return owner;
}

static void check_resolved(const struct iovageom_geometry *geometry,
                           const struct iovageom_region *wanted, size_t count)
{
    struct iovageom_region regions[32];
    size_t found = 99;

    assert_int_equal(iovageom_geometry_regions(geometry, regions, 32, &found), IOVAGEOM_OK);
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(regions[i].range.start, wanted[i].range.start);
        assert_int_equal(regions[i].range.last, wanted[i].range.last);
        assert_int_equal(regions[i].type, wanted[i].type);
    }
}

static void owners(void **state)
{
    struct iovageom_owner a;
    struct iovageom_owner b;
    char name[IOVAGEOM_NAME_SIZE + 8];

    (void)state;
    memset(&a, 0x77, sizeof(a));
    b = a;
    memset(name, 'x', sizeof(name));
    name[IOVAGEOM_NAME_SIZE + 7] = '\0';
    assert_int_equal(iovageom_owner_init(&a, IOVAGEOM_SOURCE_VFIO, name), IOVAGEOM_ERR_INVALID);
    name[IOVAGEOM_NAME_SIZE] = '\0';
    assert_int_equal(iovageom_owner_init(&a, IOVAGEOM_SOURCE_VFIO, name), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_owner_init(&a, (enum iovageom_source)12, "x"), IOVAGEOM_ERR_INVALID);
    assert_memory_equal(&a, &b, sizeof(a));
    name[IOVAGEOM_NAME_SIZE - 1] = '\0';
    assert_int_equal(iovageom_owner_init(&a, IOVAGEOM_SOURCE_VFIO, name), IOVAGEOM_OK);
    assert_string_equal(a.name, name);
    a = owner_of(IOVAGEOM_SOURCE_VFIO, "b");
    b = owner_of(IOVAGEOM_SOURCE_SYSFS, "a");
    assert_int_equal(iovageom_owner_compare(&a, &b), -1);
    assert_int_equal(iovageom_owner_compare(&b, &a), 1);
    b = owner_of(IOVAGEOM_SOURCE_VFIO, "a");
    assert_int_equal(iovageom_owner_compare(&a, &b), 1);
    assert_int_equal(iovageom_owner_compare(&a, &a), 0);
}

static void words(void **state)
{
    (void)state;
    assert_string_equal(iovageom_resv_type_string(IOVAGEOM_RESV_MSI), "msi");
    assert_string_equal(iovageom_resv_type_string(IOVAGEOM_RESV_DIRECT_RELAXABLE),
                        "direct-relaxable");
    assert_string_equal(iovageom_resv_type_string((enum iovageom_resv_type)0), "unknown type");
    assert_string_equal(iovageom_resv_type_string((enum iovageom_resv_type)6), "unknown type");
    assert_string_equal(iovageom_source_string(IOVAGEOM_SOURCE_USER), "a user option");
    assert_string_equal(iovageom_source_string((enum iovageom_source)12), "an unknown source");
}

static void bad_regions_change_nothing(void **state)
{
    struct iovageom_owner owner = owner_of(IOVAGEOM_SOURCE_SYSFS, "dev");
    struct iovageom_geometry *geometry;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "", &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(2, 1), IOVAGEOM_RESV_MSI, &owner),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(
        iovageom_geometry_put_region(geometry, R(1, 2), (enum iovageom_resv_type)0, &owner),
        IOVAGEOM_ERR_INVALID);
    assert_int_equal(
        iovageom_geometry_put_region(geometry, R(1, 2), (enum iovageom_resv_type)6, &owner),
        IOVAGEOM_ERR_INVALID);
    assert_int_equal(test_regions_count(geometry), 0);
    assert_null(iovageom_geometry_owner(geometry, 0));
    check_resolved(geometry, NULL, 0);
    iovageom_geometry_free(geometry);
    iovageom_geometry_free(NULL);
}

/* The host's list leaves a hole where sysfs says msi; a machine property lies over both. */
static void precedence_of_types_and_sources(void **state)
{
    struct iovageom_owner vfio = owner_of(IOVAGEOM_SOURCE_VFIO, "dev");
    struct iovageom_owner sysfs = owner_of(IOVAGEOM_SOURCE_SYSFS, "dev");
    struct iovageom_owner user = owner_of(IOVAGEOM_SOURCE_USER, "");
    struct iovageom_geometry *geometry;
    struct iovageom_region region[8];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "", &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(0xfee00000, 0xfeefffff),
                                                  IOVAGEOM_RESV_RESERVED, &vfio),
                     0);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(0xfee00000, 0xfeefffff),
                                                  IOVAGEOM_RESV_MSI, &sysfs),
                     0);
    check_resolved(geometry, (struct iovageom_region[]){{R(0xfee00000, 0xfeefffff), 5, 0}}, 1);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(0xfee80000, 0xfef7ffff),
                                                  IOVAGEOM_RESV_DIRECT, &user),
                     0);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(0, UINT64_MAX),
                                                  IOVAGEOM_RESV_DIRECT_RELAXABLE, &user),
                     0);
    check_resolved(geometry,
                   (struct iovageom_region[]){{R(0, 0xfedfffff), 1, 0},
                                              {R(0xfee00000, 0xfeefffff), 5, 0},
                                              {R(0xfef00000, 0xfef7ffff), 4, 0},
                                              {R(0xfef80000, UINT64_MAX), 1, 0}},
                   4);
    /* Of two that say the same, the source of the higher number shows. */
    assert_int_equal(
        iovageom_geometry_put_region(geometry, R(0xfee40000, 0xfee4ffff), IOVAGEOM_RESV_MSI, &user),
        0);
    assert_int_equal(iovageom_geometry_regions(geometry, region, 8, &count), 0);
    assert_int_equal(count, 6);
    assert_int_equal(iovageom_geometry_owner(geometry, region[1].owner)->source,
                     IOVAGEOM_SOURCE_SYSFS);
    assert_int_equal(iovageom_geometry_owner(geometry, region[2].owner)->source,
                     IOVAGEOM_SOURCE_USER);
    assert_int_equal(iovageom_geometry_owner(geometry, region[3].owner)->source,
                     IOVAGEOM_SOURCE_SYSFS);
    iovageom_geometry_free(geometry);
}

static void reserved_says_how_much_room_it_needs(void **state)
{
    struct iovageom_owner owner = owner_of(IOVAGEOM_SOURCE_SYSFS, "dev");
    struct iovageom_region region = {R(7, 7), 7, 7};
    struct iovageom_geometry *geometry;
    size_t count = 99;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "", &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(0, 9), IOVAGEOM_RESV_MSI, &owner), 0);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(20, 29), IOVAGEOM_RESV_MSI, &owner),
                     0);
    assert_int_equal(iovageom_geometry_reserved(geometry, 1, &region, 1, &count),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 2);
    assert_int_equal(region.range.start, 7);
    count = 99;
    assert_int_equal(iovageom_geometry_reserved(geometry, 3, &region, 1, &count),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_geometry_reserved(geometry, 0, &region, 1, &count),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(count, 99);
    assert_int_equal(iovageom_geometry_reserved(geometry, 32, &region, 1, &count), IOVAGEOM_OK);
    assert_int_equal(region.range.last, 31);
    iovageom_geometry_free(geometry);
}

/* Q20, Q21: what one owner says in pieces that touch is one region. */
static void Q20_adjacent_regions_are_one_region(void **state)
{
    struct iovageom_owner owner = owner_of(IOVAGEOM_SOURCE_SYSFS, "dev");
    struct iovageom_geometry *geometry;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "", &geometry), IOVAGEOM_OK);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(iovageom_geometry_put_region(geometry, R(i * 4096, i * 4096 + 4095),
                                                      IOVAGEOM_RESV_RESERVED, &owner),
                         0);
    check_resolved(geometry, (struct iovageom_region[]){{R(0, 3 * 4096 - 1), 2, 0}}, 1);
    assert_int_equal(test_regions_count(geometry), 1);
    iovageom_geometry_free(geometry);
}

/* Regions of one type that touch are one, of the owner of the longest: of 1, 3 and 2 pages, in any
 * order. */
static void the_owner_of_the_longest_part_is_named(void **state)
{
    static const unsigned orders[][3] = {{1, 3, 2}, {1, 2, 3}, {2, 1, 3},
                                         {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct iovageom_geometry *all;
        struct iovageom_region regions[4];
        uint64_t at = 0x10000;
        size_t count;

        assert_int_equal(iovageom_geometry_new(NULL, "all", &all), 0);
        for (size_t k = 0; k < 3; k++) {
            const char name[] = {(char)('0' + orders[i][k]), '\0'};
            const uint64_t last = at + (orders[i][k] << 12) - 1;
            struct iovageom_geometry *one;

            assert_int_equal(iovageom_geometry_new(NULL, name, &one), 0);
            assert_int_equal(iovageom_geometry_add_reserved(
                                 one, R(at, last), IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS),
                             0);
            assert_int_equal(iovageom_geometry_narrow(all, one), 0);
            iovageom_geometry_free(one);
            at = last + 1;
        }
        assert_int_equal(iovageom_geometry_reserved(all, 0x1000, regions, 4, &count), 0);
        assert_int_equal(count, 1);
        assert_string_equal(iovageom_geometry_owner(all, regions[0].owner)->name, "3");
        iovageom_geometry_free(all);
    }
}

static void forbidden_is_the_union_of_what_forbids(void **state)
{
    struct iovageom_owner a = owner_of(IOVAGEOM_SOURCE_SYSFS, "a");
    struct iovageom_owner b = owner_of(IOVAGEOM_SOURCE_SYSFS, "b");
    struct iovageom_geometry *geometry;
    struct iovageom_rangeset set;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "", &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_rangeset_init(&set, NULL), 0);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(0, 99), IOVAGEOM_RESV_RESERVED, &a),
                     0);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(50, 149), IOVAGEOM_RESV_RESERVED, &b),
                     0);
    assert_int_equal(iovageom_geometry_put_region(geometry, R(60, 69), IOVAGEOM_RESV_MSI, &b), 0);
    assert_int_equal(
        iovageom_geometry_put_region(geometry, R(500, 599), IOVAGEOM_RESV_DIRECT_RELAXABLE, &b), 0);
    assert_false(test_accepts(geometry, R(140, 1000)));
    assert_true(test_accepts(geometry, R(150, UINT64_MAX)));
    assert_int_equal(test_forbidden(geometry, &set), 0);
    assert_int_equal(iovageom_rangeset_count(&set), 1);
    assert_true(iovageom_rangeset_contains(&set, R(0, 149)));
    iovageom_rangeset_deinit(&set);
    iovageom_geometry_free(geometry);
}

static struct iovageom_geometry *sample(const struct iovageom_allocator *allocator)
{
    struct iovageom_owner a = owner_of(IOVAGEOM_SOURCE_SYSFS, "a");
    struct iovageom_owner b = owner_of(IOVAGEOM_SOURCE_VFIO, "b");
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(allocator, "", &geometry), IOVAGEOM_OK);
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(
            iovageom_geometry_put_region(geometry, R(i * 100, i * 100 + 9), IOVAGEOM_RESV_MSI, &a),
            0);
        assert_int_equal(iovageom_geometry_put_region(geometry, R(i * 100 + 5, i * 100 + 20),
                                                      IOVAGEOM_RESV_RESERVED, &b),
                         0);
    }
    return geometry;
}

static void equal_compares_regions(void **state)
{
    struct iovageom_owner owner = owner_of(IOVAGEOM_SOURCE_SYSFS, "a");
    struct iovageom_owner other = owner_of(IOVAGEOM_SOURCE_SYSFS, "b");
    struct iovageom_geometry *a = sample(NULL);
    struct iovageom_geometry *b = sample(NULL);

    (void)state;
    assert_true(test_regions_equal(a, b));
    /* Another range, another owner, another type, another number of owners. */
    assert_int_equal(iovageom_geometry_put_region(a, R(5000, 5009), IOVAGEOM_RESV_MSI, &owner), 0);
    assert_false(test_regions_equal(a, b));
    assert_int_equal(iovageom_geometry_put_region(b, R(5000, 5009), IOVAGEOM_RESV_MSI, &other), 0);
    assert_false(test_regions_equal(a, b));
    iovageom_geometry_free(b);
    b = sample(NULL);
    assert_int_equal(iovageom_geometry_put_region(b, R(5000, 5009), IOVAGEOM_RESV_MSI, &owner), 0);
    assert_true(test_regions_equal(a, b));
    assert_int_equal(iovageom_geometry_put_region(a, R(0, 9), IOVAGEOM_RESV_DIRECT, &owner), 0);
    assert_int_equal(iovageom_geometry_put_region(b, R(0, 9), IOVAGEOM_RESV_RESERVED, &owner), 0);
    assert_false(test_regions_equal(a, b));
    iovageom_geometry_free(a);
    iovageom_geometry_free(b);
}

/* So many that they are in nodes, and then one below them, and one above. */
static void many_regions_are_seen_in_order(void **state)
{
    enum { MANY = 200 };
    static struct iovageom_region regions[MANY + 2];
    struct iovageom_geometry *geometry;
    size_t count;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "host", &geometry), 0);
    for (uint64_t i = 0; i < MANY + 2; i++) {
        const uint64_t page = i < MANY ? i + 1 : i == MANY ? 0 : MANY + 1;

        assert_int_equal(iovageom_geometry_add_reserved(geometry, R(page << 20, page << 20),
                                                        IOVAGEOM_RESV_RESERVED,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
    }
    assert_int_equal(iovageom_geometry_regions(geometry, regions, MANY + 2, &count), 0);
    assert_int_equal(count, MANY + 2);
    for (uint64_t i = 0; i < MANY + 2; i++)
        assert_true(iovageom_range_equal(regions[i].range, R(i << 20, i << 20)));
    iovageom_geometry_free(geometry);
}

/* The same is usable of both, but one of them says so as its aperture. With two apertures the meet
 * of them counts, and with two that have no address in common that they have none. */
static void equal_compares_apertures(void **state)
{
    static const struct {
        struct iovageom_range one, other;
    } rows[] = {
        {{0, 0xffff}, {0, 0xffff}},      {{0, 0xfffff}, {0, 0xffff}},
        {{0, 0xfffff}, {0, 0xfffff}},    {{0, 0xfff}, {0x2000, 0xffff}},
        {{0, 0x1fff}, {0x3000, 0xffff}},
    };
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    static const unsigned like[ROWS] = {0, 0, 2, 3, 3};
    struct iovageom_geometry *all[ROWS];

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(iovageom_geometry_new(NULL, "host", &all[i]), 0);
        assert_int_equal(iovageom_geometry_add_aperture(all[i], rows[i].one, IOVAGEOM_SOURCE_VFIO),
                         0);
        assert_int_equal(
            iovageom_geometry_add_aperture(all[i], rows[i].other, IOVAGEOM_SOURCE_IOMMUFD), 0);
        assert_int_equal(iovageom_geometry_add_reserved(all[i], R(i < 3 ? 0x10000 : 0, UINT64_MAX),
                                                        IOVAGEOM_RESV_RESERVED,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
    }
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < ROWS; k++)
            assert_int_equal(iovageom_geometry_equal(all[i], all[k]), like[i] == like[k]);
    for (size_t i = 0; i < ROWS; i++)
        iovageom_geometry_free(all[i]);
}

static void allocators_are_checked(void **state)
{
    struct test_allocator memory;
    struct iovageom_allocator broken;
    struct iovageom_geometry *geometry = NULL;

    (void)state;
    test_allocator_init(&memory);
    broken = memory.allocator;
    broken.allocate = NULL;
    assert_int_equal(iovageom_geometry_new(&broken, "", &geometry), IOVAGEOM_ERR_INVALID);
    broken = memory.allocator;
    broken.release = NULL;
    assert_int_equal(iovageom_geometry_new(&broken, "", &geometry), IOVAGEOM_ERR_INVALID);
    assert_null(geometry);
}

/* A call that is refused may have made room for a fact already: that belongs to the copy, too,
 * whose facts had room in the object. */
static void a_copy_that_refused_a_fact_is_freed_whole(void **state)
{
    const struct iovageom_range range = R(1, 2);
    struct iovageom_geometry *geometry, *copy;
    struct test_allocator memory;

    (void)state;
    test_allocator_init(&memory);
    assert_int_equal(iovageom_geometry_new(&memory.allocator, "", &geometry), 0);
    for (uint64_t i = 1; i <= 6; i++)
        assert_int_equal(iovageom_geometry_add_map_budget(geometry, i, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_copy(geometry, &copy), 0);
    iovageom_geometry_free(geometry);
    assert_int_equal(iovageom_geometry_add_reserved(copy, range, (enum iovageom_resv_type)99,
                                                    IOVAGEOM_SOURCE_VFIO),
                     IOVAGEOM_ERR_INVALID);
    iovageom_geometry_free(copy);
    assert_int_equal(test_allocator_live(&memory), 0);
}

static int put_set(struct iovageom_geometry *geometry, const struct iovageom_fact_key *key,
                   const struct iovageom_rangeset *set)
{
    struct iovageom_geometry_fact *row = iovageom_geometry_open(geometry, key, true);

    return row == NULL ? IOVAGEOM_ERR_NO_MEMORY
                       : iovageom_geometry_close(
                             geometry, row, iovageom_rangeset_union(row->ranges, row->ranges, set));
}

/* The operations that may fail for lack of memory; each is to succeed or to change nothing. */
static int operate(unsigned which, struct iovageom_geometry *geometry,
                   struct iovageom_rangeset *set)
{
    struct iovageom_owner owner = owner_of(IOVAGEOM_SOURCE_USER, "c");
    struct iovageom_owner a = owner_of(IOVAGEOM_SOURCE_SYSFS, "a");
    struct iovageom_fact_key key;
    struct iovageom_region regions[64];
    struct iovageom_geometry *other;
    size_t count = 0;
    int status;

    switch (which) {
    case 0:
        return iovageom_geometry_put_region(geometry, R(3, 5), IOVAGEOM_RESV_DIRECT, &owner);
    case 1:
        return iovageom_geometry_put_region(geometry, R(30, 35), IOVAGEOM_RESV_MSI, &a);
    case 2:
        key = (struct iovageom_fact_key){.kind = IOVAGEOM_FACT_REGIONS + IOVAGEOM_RESV_DIRECT,
                                         .owner = &owner};
        return put_set(geometry, &key, set);
    case 3:
        key = (struct iovageom_fact_key){.kind = IOVAGEOM_FACT_REGIONS + IOVAGEOM_RESV_MSI,
                                         .owner = &a};
        return put_set(geometry, &key, set);
    case 4:
        status = iovageom_geometry_regions(geometry, regions, 64, &count);
        assert_int_equal(count, status == IOVAGEOM_OK ? 40 : 0);
        return status;
    case 5:
        return iovageom_geometry_usable(geometry, 1, set);
    case 6:
        status = iovageom_geometry_copy(geometry, &other);
        break;
    default:
        status = test_meet(geometry, geometry, "", &other);
        break;
    }
    if (status == IOVAGEOM_OK) {
        assert_true(test_regions_equal(geometry, other));
        iovageom_geometry_free(other);
    }
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 8; which++) {
        for (unsigned n = 1, hit = 1; hit != 0; n++) {
            struct test_allocator memory;
            struct iovageom_rangeset set;
            struct iovageom_rangeset before;

            test_allocator_init(&memory);
            struct iovageom_geometry *geometry = sample(&memory.allocator);
            struct iovageom_geometry *same = sample(&memory.allocator);
            assert_int_equal(iovageom_rangeset_init(&set, &memory.allocator), 0);
            assert_int_equal(iovageom_rangeset_init(&before, &memory.allocator), 0);
            for (uint64_t i = 0; i < 20; i++)
                assert_int_equal(iovageom_rangeset_insert(&set, R(i * 50 + 7, i * 50 + 11)), 0);
            assert_int_equal(iovageom_rangeset_assign(&before, &set), 0);

            test_allocator_fail_at(&memory, n, n % 2 == 0);
            int status = operate(which, geometry, &set);
            hit = test_allocator_stop_failing(&memory);
            assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
            if (hit) {
                assert_true(test_regions_equal(geometry, same));
                assert_true(iovageom_rangeset_equal(&set, &before));
            }
            iovageom_rangeset_deinit(&set);
            iovageom_rangeset_deinit(&before);
            iovageom_geometry_free(geometry);
            iovageom_geometry_free(same);
            assert_int_equal(test_allocator_live(&memory), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners),
        cmocka_unit_test(words),
        cmocka_unit_test(bad_regions_change_nothing),
        cmocka_unit_test(precedence_of_types_and_sources),
        cmocka_unit_test(reserved_says_how_much_room_it_needs),
        cmocka_unit_test(Q20_adjacent_regions_are_one_region),
        cmocka_unit_test(the_owner_of_the_longest_part_is_named),
        cmocka_unit_test(forbidden_is_the_union_of_what_forbids),
        cmocka_unit_test(equal_compares_regions),
        cmocka_unit_test(many_regions_are_seen_in_order),
        cmocka_unit_test(equal_compares_apertures),
        cmocka_unit_test(allocators_are_checked),
        cmocka_unit_test(a_copy_that_refused_a_fact_is_freed_whole),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

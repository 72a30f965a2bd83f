/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <iovageom/status.h>

#include "support/test_allocator.h"
#include "support/test_mappings.h"

#define MAX UINT64_MAX

static struct iovageom_mappings ledger;

static struct iovageom_range range(uint64_t start, uint64_t last)
{
    return (struct iovageom_range){start, last};
}

static struct iovageom_size mapped(const struct iovageom_mappings *mappings)
{
    struct iovageom_itree_cursor cursor;
    struct iovageom_mapping found;
    struct iovageom_size size = {0, 0};

    iovageom_itree_cursor_init(&cursor, &mappings->tree, 0);
    while (iovageom_mappings_next(&cursor, &found))
        size = iovageom_size_add(size, iovageom_range_size(found.range));
    return size;
}

static int map(uint64_t start, uint64_t last)
{
    struct iovageom_mapping mapping = {range(start, last), start + 0x1000, (uint32_t)last};

    return test_mappings_map(&ledger, &mapping);
}

static int unmap(uint64_t start, uint64_t last, size_t *removed)
{
    return test_mappings_unmap(&ledger, range(start, last), removed);
}

static bool lookup(uint64_t address, struct iovageom_mapping *found)
{
    return iovageom_mappings_first_overlap(&ledger, range(address, address), found);
}

static bool first_split(struct iovageom_range what, struct iovageom_mapping *found)
{
    struct iovageom_mappings_place place;

    return iovageom_mappings_seek_split(&ledger, what, &place, found);
}

static int fresh(void **state)
{
    (void)state;
    return iovageom_mappings_init(&ledger, 0, NULL);
}

static int done(void **state)
{
    (void)state;
    iovageom_mappings_deinit(&ledger);
    return 0;
}

/* The examples of the specification's section on UNMAP requests, by their numbers (I8). */
static void specification_examples(void **state)
{
    static const struct {
        struct iovageom_range map[2];
        unsigned maps;
        struct iovageom_range unmap;
        int status;
        size_t removed;
    } examples[] = {
        {{{0, 0}, {0, 0}}, 0, {0, 4}, IOVAGEOM_OK, 0},
        {{{0, 9}, {0, 0}}, 1, {0, 9}, IOVAGEOM_OK, 1},
        {{{0, 4}, {5, 9}}, 2, {0, 9}, IOVAGEOM_OK, 2},
        {{{0, 9}, {0, 0}}, 1, {0, 4}, IOVAGEOM_ERR_SPLIT, 0},
        {{{0, 4}, {5, 9}}, 2, {0, 4}, IOVAGEOM_OK, 1},
        {{{0, 4}, {0, 0}}, 1, {0, 9}, IOVAGEOM_OK, 1},
        {{{0, 4}, {10, 14}}, 2, {0, 14}, IOVAGEOM_OK, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        size_t removed = 77;

        assert_int_equal(unmap(0, MAX, NULL), 0);
        for (unsigned j = 0; j < examples[i].maps; j++)
            assert_int_equal(map(examples[i].map[j].start, examples[i].map[j].last), 0);
        assert_int_equal(test_mappings_unmap(&ledger, examples[i].unmap, &removed),
                         examples[i].status);
        assert_int_equal(removed, examples[i].status ? 77 : examples[i].removed);
        assert_int_equal(iovageom_mappings_count(&ledger), examples[i].maps - examples[i].removed);
    }
}

static void maps_only_what_is_free(void **state)
{
    struct iovageom_mapping found;

    (void)state;
    assert_int_equal(map(0x1000, 0x1fff), 0);
    assert_int_equal(map(0x1000, 0x1fff), IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(map(0, 0x1000), IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(map(0x1fff, MAX), IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(map(0, MAX), IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(map(0x2000, 0x2fff), 0);
    assert_int_equal(iovageom_mappings_count(&ledger), 2); /* adjacent, and yet two */
    assert_true(lookup(0x1fff, &found));
    assert_int_equal(found.range.start, 0x1000);
    assert_int_equal(found.phys, 0x2000);
    assert_int_equal(found.flags, 0x1fff);
    assert_false(lookup(0x3000, &found));
    assert_int_equal(mapped(&ledger).lo, 0x2000);
}

static void whole_space(void **state)
{
    struct iovageom_mapping found;
    size_t removed;

    (void)state;
    assert_int_equal(map(0, MAX), 0);
    assert_int_equal(mapped(&ledger).hi, 1);
    assert_int_equal(mapped(&ledger).lo, 0);
    assert_int_equal(unmap(0, MAX - 1, NULL), IOVAGEOM_ERR_SPLIT);
    assert_int_equal(unmap(1, MAX, NULL), IOVAGEOM_ERR_SPLIT);
    assert_int_equal(unmap(0, MAX, &removed), 0);
    assert_int_equal(removed, 1);
    assert_int_equal(mapped(&ledger).hi, 0);
    assert_int_equal(map(MAX, MAX), 0);
    assert_int_equal(map(0, 0), 0);
    assert_true(iovageom_mappings_first_overlap(&ledger, range(1, MAX), &found));
    assert_int_equal(found.range.start, MAX);
    assert_false(iovageom_mappings_first_overlap(&ledger, range(1, MAX - 1), &found));
    assert_int_equal(unmap(0, MAX, &removed), 0);
    assert_int_equal(removed, 2);
}

static void splits_nothing(void **state)
{
    struct iovageom_mapping found;

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(map(i * 0x1000, i * 0x1000 + 0xfff), 0);
    assert_int_equal(unmap(0x800, 0x4fff, NULL), IOVAGEOM_ERR_SPLIT);
    assert_int_equal(unmap(0x1000, 0x47ff, NULL), IOVAGEOM_ERR_SPLIT);
    assert_int_equal(iovageom_mappings_count(&ledger), 100);
    assert_true(first_split(range(0x1000, 0x47ff), &found));
    assert_int_equal(found.range.start, 0x4000);
    assert_true(first_split(range(0x10800, 0x47800), &found));
    assert_int_equal(found.range.start, 0x10000);
    assert_true(first_split(range(0x800, 0x801), &found));
    assert_int_equal(found.range.start, 0);
    assert_false(first_split(range(0x1000, 0x4fff), &found));
    assert_false(first_split(range(0x1000000, MAX), &found));
}

/* What a device to be plugged would make unusable, and who is in the way. */
static void touching_a_set(void **state)
{
    const uint64_t expected[] = {0x10000, 0x20000, 0x40000, 0x300000, 0x310000};
    struct iovageom_rangeset set;
    struct iovageom_mapping found = {{7, 7}, 7, 7};

    (void)state;
    assert_int_equal(iovageom_rangeset_init(&set, NULL), 0);
    assert_false(iovageom_mappings_touching(&ledger, &set, &found));
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(map(i * 0x10000, i * 0x10000 + 0xfff), 0);
    assert_false(iovageom_mappings_touching(&ledger, &set, &found));
    assert_int_equal(iovageom_rangeset_insert(&set, range(0x1000, 0xffff)), 0);
    assert_false(iovageom_mappings_touching(&ledger, &set, &found));
    assert_int_equal(found.range.start, 7);
    assert_int_equal(iovageom_rangeset_insert(&set, range(0x10fff, 0x20000)), 0);
    assert_int_equal(iovageom_rangeset_insert(&set, range(0x40000, 0x40001)), 0);
    assert_int_equal(iovageom_rangeset_insert(&set, range(0x40010, 0x40011)), 0);
    assert_int_equal(iovageom_rangeset_insert(&set, range(0x300800, MAX)), 0);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(iovageom_mappings_touching(&ledger, &set, &found));
        assert_int_equal(found.range.start, expected[i]);
        assert_int_equal(unmap(found.range.start, found.range.last, NULL), 0);
    }
    assert_false(iovageom_mappings_touching(&ledger, &set, &found));
    assert_int_equal(iovageom_rangeset_insert(&set, range(0, 0)), 0);
    assert_true(iovageom_mappings_touching(&ledger, &set, &found));
    assert_int_equal(found.range.start, 0);
    iovageom_rangeset_deinit(&set);
}

static void all_are_read_in_order(void **state)
{
    struct iovageom_itree_cursor cursor;
    struct iovageom_mapping found;
    uint64_t next = 0;

    (void)state;
    for (uint64_t i = 0; i < 70; i++)
        assert_int_equal(map(i * 16, i * 16 + 15), 0);
    iovageom_itree_cursor_init(&cursor, &ledger.tree, 0);
    while (iovageom_mappings_next(&cursor, &found)) {
        assert_int_equal(found.range.start, next);
        assert_int_equal(found.phys, next + 0x1000);
        next += 16;
    }
    assert_int_equal(next, 70 * 16);
}

static void allocation_may_fail(void **state)
{
    struct test_allocator memory;
    struct iovageom_mappings few;

    (void)state;
    test_allocator_init(&memory);
    assert_int_equal(iovageom_mappings_init(&few, 0, &memory.allocator), 0);
    for (uint64_t i = 0; i < 300;) {
        struct iovageom_mapping mapping = {range(i * 8, i * 8 + 3), i, 0};
        bool hit;
        int status;

        test_allocator_fail_at(&memory, 1, i % 2 == 0);
        status = test_mappings_map(&few, &mapping);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
        assert_int_equal(iovageom_mappings_count(&few), hit ? i : i + 1);
        assert_int_equal(mapped(&few).lo, 4 * (hit ? i : i + 1));
        if (hit)
            assert_int_equal(test_mappings_map(&few, &mapping), 0);
        i++;
    }
    test_allocator_fail_at(&memory, 1, true);
    assert_int_equal(test_mappings_unmap(&few, range(0, MAX), NULL), 0);
    assert_false(test_allocator_stop_failing(&memory));
    assert_int_equal(test_allocator_live(&memory), 0);
    iovageom_mappings_deinit(&few);
    iovageom_mappings_deinit(NULL);
}

/* One tree alone, and all of them together, must have the same answer: trees of every size, from
 * none to two levels of inner nodes, and ranges at both ends of mappings and of the space. */
static void many_are_asked_at_once(void **state)
{
    static const size_t sizes[IOVAGEOM_ITREE_FEW] = {0,  1,  2,  7,  8,   9,   16,   31,
                                                     32, 33, 64, 65, 100, 500, 2000, 4000};
    struct iovageom_mappings ledgers[IOVAGEOM_ITREE_FEW];
    const struct iovageom_itree *trees[IOVAGEOM_ITREE_FEW];

    (void)state;
    for (size_t i = 0; i < IOVAGEOM_ITREE_FEW; i++) {
        assert_int_equal(iovageom_mappings_init(&ledgers[i], 0, NULL), 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            /* The last one of each second ledger ends the space. */
            const uint64_t start = i % 2 && k + 1 == sizes[i] ? MAX - 15 : (i + 1) * 100 * (k + 1);
            const struct iovageom_mapping mapping = {range(start, start + 15), 0, 3};

            assert_int_equal(test_mappings_map(&ledgers[i], &mapping), 0);
        }
        trees[i] = &ledgers[i].tree;
    }
    for (uint64_t n = 0; n < 20000; n++) {
        const uint64_t start = n < 20 ? MAX - n : n == 20 ? 0 : n * 7919 % (n % 2 ? 7000 : 6500000);
        const struct iovageom_range asked =
            range(start, start > MAX - n % 40 || n == 20 ? MAX : start + n % 40);
        const uint32_t met = iovageom_itree_meet(trees, IOVAGEOM_ITREE_FEW, asked);
        struct iovageom_mapping found;

        for (size_t i = 0; i < IOVAGEOM_ITREE_FEW; i++)
            assert_int_equal(met >> i & 1,
                             iovageom_mappings_first_overlap(&ledgers[i], asked, &found));
    }
    for (size_t i = 0; i < IOVAGEOM_ITREE_FEW; i++)
        iovageom_mappings_deinit(&ledgers[i]);
}

/* What an access of a device asks first: pages 1, 3, 5 and so on are mapped, in the object, in a
 * leaf, or at all levels. Of a ledger that is not packed it learns nothing. */
static void near_knows_what_an_address_lies_in(void **state)
{
    static const uint64_t counts[] = {0, 1, 8, 9, 40, 3000};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        for (int packed = 0; packed < 2; packed++) {
            struct iovageom_mappings pages;

            assert_int_equal(iovageom_mappings_init(&pages, packed ? 0x1000 : 0, NULL), 0);
            for (uint64_t n = 0; n < counts[i]; n++) {
                const uint64_t start = (2 * n + 1) << 12;
                const struct iovageom_mapping page = {range(start, start + 0xfff), n << 12, 3};

                assert_int_equal(test_mappings_map(&pages, &page), 0);
            }
            for (uint64_t n = 0; n <= 2 * counts[i] + 2; n++)
                for (int end = 0; end < 2; end++) {
                    const struct iovageom_itree_entry entry =
                        iovageom_mappings_near(&pages, (n << 12) + (end ? 0xfff : 0));

                    if (!packed || n % 2 == 0 || n > 2 * counts[i]) {
                        assert_null(entry.range);
                    } else {
                        assert_non_null(entry.range);
                        assert_int_equal(entry.range->start, n << 12);
                        assert_int_equal(*entry.values, (n / 2 << 12) + 3);
                    }
                }
            assert_null(iovageom_mappings_near(&pages, MAX).range);
            iovageom_mappings_deinit(&pages);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(specification_examples, fresh, done),
        cmocka_unit_test_setup_teardown(maps_only_what_is_free, fresh, done),
        cmocka_unit_test_setup_teardown(whole_space, fresh, done),
        cmocka_unit_test_setup_teardown(splits_nothing, fresh, done),
        cmocka_unit_test_setup_teardown(touching_a_set, fresh, done),
        cmocka_unit_test_setup_teardown(all_are_read_in_order, fresh, done),
        cmocka_unit_test(allocation_may_fail),
        cmocka_unit_test(many_are_asked_at_once),
        cmocka_unit_test(near_knows_what_an_address_lies_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

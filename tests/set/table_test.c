/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <iovageom/status.h>

#include "set/table.h"
#include "support/itree_check.h"
#include "support/test_allocator.h"
#include "support/test_random.h"

enum { KEYS = 600 };

static char objects[KEYS];

/* Numbers of PCI devices, small ones, and high ones: more than there are shortcuts. */
static uint64_t key_of(size_t i)
{
    return i < 200 ? i : i < 400 ? (uint64_t)i << 8 : UINT64_MAX - ((uint64_t)i << 40);
}

static size_t index_of(const void *object)
{
    return (size_t)((const char *)object - objects);
}

/* Against an array that says what is in. */
static void as_an_array(void **state)
{
    struct test_random random = test_random_start(17);
    bool in[KEYS] = {false};
    struct iovageom_shortcuts shortcuts;
    struct iovageom_table table;
    size_t count = 0;

    (void)state;
    assert_int_equal(iovageom_table_init(&table, NULL), 0);
    iovageom_table_shorten(&table, &shortcuts);
    for (size_t step = 0; step < 20000; step++) {
        size_t i = test_random_below(&random, KEYS);
        size_t other = test_random_below(&random, KEYS);
        const struct iovageom_shortcut *near;
        const void *next;
        uint64_t above = UINT64_MAX;

        if (in[i] && test_random_one_in(&random, 2)) {
            iovageom_table_drop(&table, key_of(i));
            count--;
            in[i] = false;
        } else {
            assert_int_equal(iovageom_table_put(&table, key_of(i), &objects[i]),
                             in[i] ? IOVAGEOM_ERR_OVERLAP : 0);
            /* What was put in last has its shortcut. */
            near = iovageom_shortcut_to(&shortcuts, key_of(i));
            assert_true(in[i] || (near != NULL && near->object == &objects[i]));
            count += !in[i];
            in[i] = true;
        }
        assert_ptr_equal(iovageom_table_at(&table, key_of(other)),
                         in[other] ? &objects[other] : NULL);
        near = iovageom_shortcut_to(&shortcuts, key_of(other));
        assert_true(near == NULL || (in[other] && near->object == &objects[other]));
        assert_int_equal(iovageom_table_count(&table), count);
        for (size_t k = 0; step % 64 == 0 && k < KEYS; k++)
            if (in[k] && key_of(k) >= key_of(other) && key_of(k) < above)
                above = key_of(k);
        next = iovageom_table_from(&table, key_of(other));
        if (step % 64 == 0 && (next || above != UINT64_MAX)) {
            assert_non_null(next);
            assert_true(key_of(index_of(next)) == above);
        }
    }
    iovageom_table_deinit(&table);
}

/* A number that could not be put in is not found either; nor is 0 in a table that is empty. */
/* In nodes of three levels, which the numbers above don't fill. They come and go scattered, as the
 * factor has none in common with how many there are. */
static void nodes_of_three_levels(void **state)
{
    enum { MANY = 5000, FACTOR = 1777 };
    struct iovageom_table table;

    (void)state;
    assert_int_equal(iovageom_table_init(&table, NULL), 0);
    for (size_t i = 0; i < 2 * (size_t)MANY; i++) {
        const uint64_t key = i * FACTOR % MANY;

        if (i < MANY)
            assert_int_equal(iovageom_table_put(&table, key << 20, objects), 0);
        else
            iovageom_table_drop(&table, key << 20);
        if (i % 128 == 0)
            assert_null(itree_check(&table.tree));
        if (i == MANY)
            assert_int_equal(table.tree.height, 2);
    }
    assert_int_equal(iovageom_table_count(&table), 0);
    assert_null(itree_check(&table.tree));
}

static void without_memory(void **state)
{
    struct test_allocator memory;
    struct iovageom_shortcuts shortcuts;
    struct iovageom_table table;
    size_t in = 0;

    (void)state;
    test_allocator_init(&memory);
    assert_int_equal(iovageom_table_init(&table, &memory.allocator), 0);
    iovageom_table_shorten(&table, &shortcuts);
    assert_null(iovageom_table_at(&table, 0));
    assert_null(iovageom_shortcut_to(&shortcuts, 0));
    test_allocator_fail_at(&memory, 1, true);
    while (in < KEYS && iovageom_table_put(&table, key_of(in), &objects[in]) == 0)
        in++;
    assert_int_equal(in, IOVAGEOM_ITREE_INLINE);
    assert_null(iovageom_table_at(&table, key_of(in)));
    assert_null(iovageom_shortcut_to(&shortcuts, key_of(in)));
    assert_ptr_equal(iovageom_table_at(&table, key_of(0)), &objects[0]);
    iovageom_table_drop(&table, key_of(in));
    assert_null(iovageom_table_at(&table, key_of(in)));
    assert_true(test_allocator_stop_failing(&memory));
    iovageom_table_deinit(&table);
    assert_int_equal(test_allocator_live(&memory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_an_array),
        cmocka_unit_test(nodes_of_three_levels),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of every size up to several leaves and levels, listed in all ways: the same ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

enum { MOST = 3000 };

static struct iovageom_range range_of(size_t index)
{
    return (struct iovageom_range){(uint64_t)index * 0x3000, (uint64_t)index * 0x3000 + index};
}

static void assert_listed(const struct iovageom_rangeset *set, size_t size)
{
    static struct iovageom_range out[MOST + 2];
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    size_t count = SIZE_MAX, seen = 0;

    /* The array is given with what is wrong in every place. */
    memset(out, 0xee, sizeof(out));
    if (size > 0) {
        assert_int_equal(iovageom_rangeset_to_array(set, out, size - 1, &count),
                         IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        assert_int_equal(count, size);
        memset(out, 0xee, sizeof(out));
    }
    assert_int_equal(iovageom_rangeset_to_array(set, out, size, &count), 0);
    assert_int_equal(count, size);
    assert_int_equal(iovageom_rangeset_count(set), size);
    for (size_t i = 0; i < size; i++)
        assert_true(iovageom_range_equal(out[i], range_of(i)));
    assert_int_equal(out[size].start, 0xeeeeeeeeeeeeeeeeu);
    iovageom_rangeset_seek(set, 0, &cursor);
    for (; iovageom_rangeset_next(&cursor, &range); seen++)
        assert_true(iovageom_range_equal(range, range_of(seen)));
    assert_int_equal(seen, size);
}

static void every_size_is_listed(void **state)
{
    static struct iovageom_range ranges[MOST];
    struct iovageom_rangeset grown, built;

    (void)state;
    (void)iovageom_rangeset_init(&grown, NULL);
    for (size_t i = 0; i < MOST; i++)
        ranges[i] = range_of(i);
    for (size_t size = 0; size <= MOST; size++) {
        if (size > 0)
            assert_int_equal(iovageom_rangeset_insert(&grown, ranges[size - 1]), 0);
        if (size > 300 && size % 97 != 0)
            continue;
        assert_listed(&grown, size);
        (void)iovageom_rangeset_init(&built, NULL);
        assert_int_equal(iovageom_rangeset_from_array(&built, ranges, size), 0);
        assert_listed(&built, size);
        assert_true(iovageom_rangeset_equal(&grown, &built));
        iovageom_rangeset_deinit(&built);
    }
    for (size_t size = MOST; size > 0; size--) {
        assert_int_equal(iovageom_rangeset_remove(&grown, ranges[size - 1]), 0);
        if (size < 300 || size % 97 == 0)
            assert_listed(&grown, size - 1);
    }
    iovageom_rangeset_deinit(&grown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/range.h"

#define K4  UINT64_C(0x1000)
#define K64 UINT64_C(0x10000)
#define M2  UINT64_C(0x200000)
#define G1  UINT64_C(0x40000000)
#define TOP (UINT64_C(1) << 63)
#define ALL UINT64_MAX

static void power_and_granule(void **state)
{
    (void)state;
    assert_false(iovageom_pgsize_is_power(0));
    assert_true(iovageom_pgsize_is_power(1));
    assert_true(iovageom_pgsize_is_power(TOP));
    assert_false(iovageom_pgsize_is_power(3));
    assert_false(iovageom_pgsize_is_power(ALL));
    assert_int_equal(iovageom_pgsize_granule(0), 0);
    assert_int_equal(iovageom_pgsize_granule(ALL), 1);
    assert_int_equal(iovageom_pgsize_granule(TOP), TOP);
    assert_int_equal(iovageom_pgsize_granule(M2 | K4 | G1), K4);
}

static void accepts(void **state)
{
    (void)state;
    assert_true(iovageom_pgsize_accepts(K4 | M2, K64));
    assert_true(iovageom_pgsize_accepts(K64, K64));
    assert_false(iovageom_pgsize_accepts(K64, K4));
    assert_false(iovageom_pgsize_accepts(0, K4));
    assert_false(iovageom_pgsize_accepts(K4, 0));
    assert_false(iovageom_pgsize_accepts(K4, K4 | K64));
    assert_true(iovageom_pgsize_accepts(1, TOP));
}

static void raise(void **state)
{
    (void)state;
    /* 64K maps as sixteen 4K pages; the 2M page stays a hint. */
    assert_int_equal(iovageom_pgsize_raise(K4 | M2, K64), K64 | M2);
    assert_int_equal(iovageom_pgsize_raise(K4 | M2, K4), K4 | M2);
    assert_int_equal(iovageom_pgsize_raise(K4 | M2, G1), G1);
    assert_int_equal(iovageom_pgsize_raise(K64, K4), 0);
    assert_int_equal(iovageom_pgsize_raise(K4, K4 | K64), 0);
    assert_int_equal(iovageom_pgsize_raise(0, K4), 0);
    assert_int_equal(iovageom_pgsize_raise(ALL, TOP), TOP);
}

static void meet(void **state)
{
    (void)state;
    assert_int_equal(iovageom_pgsize_meet(K64 | M2, K4 | M2), K64 | M2);
    /* The bitwise AND of these is 0, yet both map 64K. */
    assert_int_equal(iovageom_pgsize_meet(K64, K4 | M2), K64);
    assert_int_equal(iovageom_pgsize_meet(K4 | M2 | G1, K4 | G1), K4 | G1);
    assert_int_equal(iovageom_pgsize_meet(ALL, K4 | M2), K4 | M2);
    assert_int_equal(iovageom_pgsize_meet(0, ALL), 0);
    assert_int_equal(iovageom_pgsize_meet(ALL, 0), 0);
    assert_int_equal(iovageom_pgsize_meet(TOP, 1), TOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_and_granule),
        cmocka_unit_test(accepts),
        cmocka_unit_test(raise),
        cmocka_unit_test(meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

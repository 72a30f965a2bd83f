/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of cmocka as our unit tests use, in a header, for targets that have no package of it: a
 * 32-bit build, or a foreign processor under qemu. Semantics are cmocka's: an assertion that fails
 * ends its test.
 */
#ifndef IOVAGEOM_SHIM_CMOCKA_H
#define IOVAGEOM_SHIM_CMOCKA_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
    void *initial_state;
};

#define cmocka_unit_test(test)                                                                     \
    {                                                                                              \
#test, test, NULL, NULL, NULL                                                              \
    }
#define cmocka_unit_test_setup_teardown(test, setup, teardown)                                     \
    {                                                                                              \
#test, test, setup, teardown, NULL                                                         \
    }
#define cmocka_unit_test_prestate(test, state)                                                     \
    {                                                                                              \
#test, test, NULL, NULL, state                                                             \
    }

static jmp_buf shim_out;

static void shim_fail(const char *file, int line, const char *what)
{
    printf("%s:%d: %s\n", file, line, what);
    longjmp(shim_out, 1);
}

static inline void shim_compare(bool fine, uintmax_t a, uintmax_t b, const char *what,
                                const char *file, int line)
{
    if (fine)
        return;
    printf("0x%" PRIxMAX " and 0x%" PRIxMAX ":\n", a, b);
    shim_fail(file, line, what);
}

#define shim_true(condition, what)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            shim_fail(__FILE__, __LINE__, what);                                                   \
    } while (0)
#define shim_numbers(a, op, b)                                                                     \
    do {                                                                                           \
        uintmax_t shim_a = (uintmax_t)(a), shim_b = (uintmax_t)(b);                                \
        shim_compare(shim_a op shim_b, shim_a, shim_b, #a " " #op " " #b, __FILE__, __LINE__);     \
    } while (0)

#define assert_true(c)         shim_true(c, #c)
#define assert_false(c)        shim_true(!(c), "not " #c)
#define assert_null(p)         shim_true((p) == NULL, #p " is NULL")
#define assert_non_null(p)     shim_true((p) != NULL, #p " is not NULL")
#define assert_ptr_equal(a, b) shim_true((const void *)(a) == (const void *)(b), #a " is " #b)
#define assert_ptr_not_equal(a, b)                                                                 \
    shim_true((const void *)(a) != (const void *)(b), #a " is not " #b)
#define assert_int_equal(a, b)     shim_numbers(a, ==, b)
#define assert_int_not_equal(a, b) shim_numbers(a, !=, b)
#define assert_uint_equal(a, b)    shim_numbers(a, ==, b)
#define assert_in_range(v, low, high)                                                              \
    do {                                                                                           \
        shim_numbers(v, >=, low);                                                                  \
        shim_numbers(v, <=, high);                                                                 \
    } while (0)
#define assert_string_equal(a, b)                                                                  \
    do {                                                                                           \
        const char *shim_s = (a), *shim_t = (b);                                                   \
        if (strcmp(shim_s, shim_t) != 0)                                                           \
            printf("\"%s\" and \"%s\"\n", shim_s, shim_t);                                         \
        shim_true(strcmp(shim_s, shim_t) == 0, #a " equals " #b);                                  \
    } while (0)
#define assert_string_not_equal(a, b)    shim_true(strcmp((a), (b)) != 0, #a " differs from " #b)
#define assert_memory_equal(a, b, n)     shim_true(memcmp((a), (b), (n)) == 0, #a " equals " #b)
#define assert_memory_not_equal(a, b, n) shim_true(memcmp((a), (b), (n)) != 0, #a " and " #b)
#define fail()                           shim_true(false, "fail()")
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        printf(__VA_ARGS__);                                                                       \
        shim_true(false, "");                                                                      \
    } while (0)
#define print_message printf
#define skip()        longjmp(shim_out, 2)

/* What all tests of a group share is set up before the first, and taken down after the last. */
static inline int shim_group(int (*function)(void **state), const char *what)
{
    void *state = NULL;

    if (function == NULL)
        return 0;
    if (setjmp(shim_out) == 0 && function(&state) == 0)
        return 0;
    printf("FAILED: %s of the group\n", what);
    return 1;
}

static inline int shim_run(const struct CMUnitTest *tests, size_t count,
                           int (*group_setup)(void **state), int (*group_teardown)(void **state))
{
    volatile int failed = count == 0;

    if (shim_group(group_setup, "setup") != 0)
        return 1;
    for (volatile size_t i = 0; i < count; i++) {
        void *state = tests[i].initial_state;
        int how = setjmp(shim_out);

        if (how == 0) {
            if (tests[i].setup != NULL && tests[i].setup(&state) != 0)
                shim_fail(tests[i].name, 0, "setup");
            tests[i].test(&state);
            if (tests[i].teardown != NULL && tests[i].teardown(&state) != 0)
                shim_fail(tests[i].name, 0, "teardown");
        } else if (how == 1) {
            printf("FAILED: %s\n", tests[i].name);
            failed++;
        }
    }
    return failed + shim_group(group_teardown, "teardown");
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    shim_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    ((void)(name), cmocka_run_group_tests(tests, setup, teardown))

#endif

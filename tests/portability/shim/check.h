/* SPDX-License-Identifier: BSD-3-Clause */
/* As much of Check as our property tests use, in a header; see cmocka.h beside it. */
#ifndef IOVAGEOM_SHIM_CHECK_H
#define IOVAGEOM_SHIM_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIM_CASES 64

typedef struct {
    const char *name;
    void (*test)(int);
} TCase;
typedef struct {
    TCase *cases[SHIM_CASES];
    size_t count;
} Suite;
typedef Suite SRunner;

#define START_TEST(name)                                                                           \
    static void name(int _i)                                                                       \
    {                                                                                              \
        (void)_i;
#define END_TEST }

/* The first failure is as good as all of them here: it ends the program. */
#define ck_abort_msg(...)                                                                          \
    do {                                                                                           \
        printf("%s:%d: ", __FILE__, __LINE__);                                                     \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        exit(EXIT_FAILURE);                                                                        \
    } while (0)
#define ck_assert_msg(condition, ...)                                                              \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)
#define ck_assert(condition)      ck_assert_msg(condition, "%s", #condition)
#define ck_assert_int_eq(a, b)    ck_assert((intmax_t)(a) == (intmax_t)(b))
#define ck_assert_int_ne(a, b)    ck_assert((intmax_t)(a) != (intmax_t)(b))
#define ck_assert_int_lt(a, b)    ck_assert((intmax_t)(a) < (intmax_t)(b))
#define ck_assert_int_le(a, b)    ck_assert((intmax_t)(a) <= (intmax_t)(b))
#define ck_assert_int_gt(a, b)    ck_assert((intmax_t)(a) > (intmax_t)(b))
#define ck_assert_int_ge(a, b)    ck_assert((intmax_t)(a) >= (intmax_t)(b))
#define ck_assert_uint_eq(a, b)   ck_assert((uintmax_t)(a) == (uintmax_t)(b))
#define ck_assert_uint_ne(a, b)   ck_assert((uintmax_t)(a) != (uintmax_t)(b))
#define ck_assert_uint_lt(a, b)   ck_assert((uintmax_t)(a) < (uintmax_t)(b))
#define ck_assert_uint_le(a, b)   ck_assert((uintmax_t)(a) <= (uintmax_t)(b))
#define ck_assert_uint_gt(a, b)   ck_assert((uintmax_t)(a) > (uintmax_t)(b))
#define ck_assert_uint_ge(a, b)   ck_assert((uintmax_t)(a) >= (uintmax_t)(b))
#define ck_assert_ptr_nonnull(p)  ck_assert((p) != NULL)
#define ck_assert_ptr_null(p)     ck_assert((p) == NULL)
#define ck_assert_ptr_eq(a, b)    ck_assert((const void *)(a) == (const void *)(b))
#define ck_assert_str_eq(a, b)    ck_assert(strcmp((a), (b)) == 0)
#define ck_assert_mem_eq(a, b, n) ck_assert(memcmp((a), (b), (n)) == 0)

enum { CK_NOFORK, CK_NORMAL, CK_ENV, CK_VERBOSE };

static inline Suite *suite_create(const char *name)
{
    (void)name;
    return calloc(1, sizeof(Suite));
}

static inline TCase *tcase_create(const char *name)
{
    TCase *made = calloc(1, sizeof(*made));

    made->name = name;
    return made;
}

#define tcase_set_timeout(tcase, seconds) ((void)(tcase), (void)(seconds))

static inline void tcase_add_test(TCase *tcase, void (*test)(int))
{
    tcase->test = test;
}

static inline void suite_add_tcase(Suite *suite, TCase *tcase)
{
    if (suite->count == SHIM_CASES)
        exit(EXIT_FAILURE);
    suite->cases[suite->count++] = tcase;
}

static inline SRunner *srunner_create(Suite *suite)
{
    return suite;
}

static inline void srunner_set_fork_status(SRunner *runner, int status)
{
    (void)runner;
    (void)status;
}

static inline void srunner_run_all(SRunner *runner, int mode)
{
    (void)mode;
    for (size_t i = 0; i < runner->count; i++) {
        runner->cases[i]->test(0);
        free(runner->cases[i]);
    }
}

static inline int srunner_ntests_failed(SRunner *runner)
{
    (void)runner;
    return 0;
}

static inline int srunner_ntests_run(SRunner *runner)
{
    return (int)runner->count;
}

static inline void srunner_free(SRunner *runner)
{
    free(runner);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_PROPERTY_H
#define IOVAGEOM_TEST_PROPERTY_H

#include <check.h>
#include <stdlib.h>

#include "support/test_random.h"

/**
 * What main() of a property test returns: runs `suite` in this process, so that sanitizers see the
 * whole of it and Check's timeouts, which depend on how busy the machine is, do not apply.
 */
static inline int property_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed, ran;

    (void)test_random_seed();
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#ifndef IOVAGEOM_SHIM_CHECK_H
/* Check's own writes to a file each time it is passed, which an inner loop can't afford. */
#undef ck_assert_msg
#define ck_assert_msg(condition, ...)                                                              \
    ((condition) ? (void)0                                                                         \
                 : _ck_assert_failed(__FILE__, __LINE__, "Assertion '" #condition "' failed",      \
                                     __VA_ARGS__))
#endif

/** The same as ck_assert(). */
#define property_check(condition) ck_assert(condition)

/** Adds a test case with the name of the one test function it holds. */
#define property_add(suite, test)                                                                  \
    do {                                                                                           \
        TCase *property_case = tcase_create(#test);                                                \
        tcase_add_test(property_case, test);                                                       \
        suite_add_tcase((suite), property_case);                                                   \
    } while (0)

#endif

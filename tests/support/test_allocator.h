/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_ALLOCATOR_H
#define IOVAGEOM_TEST_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

#include <iovageom/allocator.h>

/**
 * An allocator that counts, checks, and fails when told to.
 *
 * It stops the program, with a message, when memory comes back that is not its own, comes back
 * twice, comes back with another size than it was asked for, or was written past its end. Fresh
 * memory is filled with 0xa5, memory that came back with 0x5a.
 *
 *     struct test_allocator memory;
 *
 *     test_allocator_init(&memory);
 *     for (unsigned n = 1;; n++) {
 *         ... make the object with &memory.allocator ...
 *         test_allocator_fail_at(&memory, n, for_good);
 *         status = the_operation_under_test(object);
 *         bool hit = test_allocator_stop_failing(&memory);
 *         if (!hit) { ... status is success, leave the loop ... }
 *         ... status is IOVAGEOM_ERR_NO_MEMORY, the object is as it was ...
 *         ... free the object ...
 *         assert(test_allocator_live(&memory) == 0);
 *     }
 */
struct test_allocator {
    struct iovageom_allocator allocator;
    size_t allocations; /**< since init, failed ones too */
    size_t live;        /**< blocks given and not taken back */
    size_t live_bytes;
    size_t countdown; /**< allocations until one fails; 0 when none is to fail */
    bool for_good;
    bool hit;
};

/** Ready to allocate, with nothing to fail. */
void test_allocator_init(struct test_allocator *memory);

/**
 * Fail the `nth` allocation from now on (1 is the next): that one only, or with `for_good` that one
 * and each one after it.
 */
void test_allocator_fail_at(struct test_allocator *memory, size_t nth, bool for_good);

/** Fail no more. Returns whether an allocation did fail since test_allocator_fail_at(). */
bool test_allocator_stop_failing(struct test_allocator *memory);

/** How many blocks are out: 0, or there is a leak. */
size_t test_allocator_live(const struct test_allocator *memory);

#endif

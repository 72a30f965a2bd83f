/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdalign.h>
#include <string.h>

#include "base/array.h"
#include "support/test_allocator.h"

static void default_is_malloc(void **state)
{
    const struct iovageom_allocator *allocator = iovageom_allocator_default();
    unsigned char *memory;

    (void)state;
    assert_non_null(allocator);
    assert_ptr_equal(allocator, iovageom_allocator_default());
    memory = allocator->allocate(allocator->context, 100);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % alignof(max_align_t), 0);
    memset(memory, 1, 100);
    allocator->release(allocator->context, memory, 100);
}

/* The other tests believe the failing allocator: so it is tested as well. */
static void failing_allocator_fails_when_told(void **state)
{
    struct test_allocator memory;
    void *blocks[3];

    (void)state;
    test_allocator_init(&memory);
    test_allocator_fail_at(&memory, 2, false);
    for (int i = 0; i < 3; i++) {
        blocks[i] = memory.allocator.allocate(memory.allocator.context, 10);
        assert_int_equal(blocks[i] == NULL, i == 1);
    }
    assert_true(test_allocator_stop_failing(&memory));
    assert_int_equal(test_allocator_live(&memory), 2);
    assert_int_equal(memory.live_bytes, 20);
    memory.allocator.release(memory.allocator.context, blocks[0], 10);
    memory.allocator.release(memory.allocator.context, blocks[2], 10);
    assert_int_equal(test_allocator_live(&memory), 0);

    test_allocator_fail_at(&memory, 1, true);
    for (int i = 0; i < 3; i++)
        assert_null(memory.allocator.allocate(memory.allocator.context, 10));
    assert_true(test_allocator_stop_failing(&memory));

    test_allocator_fail_at(&memory, 2, true);
    blocks[0] = memory.allocator.allocate(memory.allocator.context, 10);
    assert_non_null(blocks[0]);
    assert_false(test_allocator_stop_failing(&memory));
    memory.allocator.release(memory.allocator.context, blocks[0], 10);
    assert_int_equal(memory.allocations, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_is_malloc),
        cmocka_unit_test(failing_allocator_fails_when_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

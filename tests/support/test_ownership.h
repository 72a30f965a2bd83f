/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_OWNERSHIP_H
#define IOVAGEOM_TEST_OWNERSHIP_H

#include "support/test_allocator.h"

/**
 * What is handed out lives in the memory of whom it is handed to, and what is kept in that of who
 * keeps it. Two allocators tell them apart:
 *
 *     struct test_ownership memory;
 *
 *     test_ownership_init(&memory); ... make the object with &memory.object.allocator, what it
 *     hands out with &memory.caller's ... test_ownership_mark(&memory); ... the call ...
 *     assert_true(test_ownership_object_same(&memory)); ... free the object: assert
 *     test_allocator_live(&memory.object) == 0 ... ... what was handed out is whole; give it back:
 *     the same of &memory.caller ...
 *
 * An allocator that is given what is not its own stops the program.
 */
struct test_ownership {
    struct test_allocator object, caller;
    size_t object_bytes, caller_bytes;
};

static inline void test_ownership_init(struct test_ownership *memory)
{
    test_allocator_init(&memory->object);
    test_allocator_init(&memory->caller);
    memory->object_bytes = memory->caller_bytes = 0;
}

static inline void test_ownership_mark(struct test_ownership *memory)
{
    memory->object_bytes = memory->object.live_bytes;
    memory->caller_bytes = memory->caller.live_bytes;
}

/** Whether the object holds as much as when it was marked. */
static inline bool test_ownership_object_same(const struct test_ownership *memory)
{
    return memory->object.live_bytes == memory->object_bytes;
}

/** Whether the caller does. */
static inline bool test_ownership_caller_same(const struct test_ownership *memory)
{
    return memory->caller.live_bytes == memory->caller_bytes;
}

#endif

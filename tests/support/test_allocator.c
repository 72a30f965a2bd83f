/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/test_allocator.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIVE UINT64_C(0x616c6c6f63617465)
#define GONE  UINT64_C(0x72656c6561736564)
#define FENCE 16

struct block {
    alignas(max_align_t) uint64_t state;
    size_t size;
    struct test_allocator *owner;
};

static const unsigned char fence[FENCE] = "fence-fence-fenc";

static void stop(const char *why)
{
    fprintf(stderr, "test_allocator: %s\n", why);
    abort();
}

static void *allocate(void *context, size_t size)
{
    struct test_allocator *memory = context;
    struct block *block;

    if (size == 0)
        stop("0 bytes were asked for");
    memory->allocations++;
    if (memory->countdown != 0 && --memory->countdown == 0) {
        memory->hit = true;
        memory->countdown = memory->for_good ? 1 : 0;
        return NULL;
    }
    if (size > SIZE_MAX - sizeof(*block) - FENCE)
        return NULL;
    block = malloc(sizeof(*block) + size + FENCE);
    if (block == NULL)
        return NULL;
    *block = (struct block){.state = ALIVE, .size = size, .owner = memory};
    memset(block + 1, 0xa5, size);
    memcpy((unsigned char *)(block + 1) + size, fence, FENCE);
    memory->live++;
    memory->live_bytes += size;
    return block + 1;
}

static void release(void *context, void *address, size_t size)
{
    struct test_allocator *memory = context;
    struct block *block;

    if (address == NULL)
        stop("NULL was released");
    block = (struct block *)address - 1;
    if (block->state == GONE)
        stop("memory was released twice");
    if (block->state != ALIVE || block->owner != memory)
        stop("memory was released that is not ours");
    if (block->size != size)
        stop("memory was released with another size than it was asked for");
    if (memcmp((unsigned char *)address + size, fence, FENCE) != 0)
        stop("memory was written past its end");
    memset(address, 0x5a, size);
    block->state = GONE;
    memory->live--;
    memory->live_bytes -= size;
    free(block);
}

void test_allocator_init(struct test_allocator *memory)
{
    *memory = (struct test_allocator){.allocator = {allocate, release, memory}};
}

void test_allocator_fail_at(struct test_allocator *memory, size_t nth, bool for_good)
{
    memory->countdown = nth;
    memory->for_good = for_good;
    memory->hit = false;
}

bool test_allocator_stop_failing(struct test_allocator *memory)
{
    memory->countdown = 0;
    return memory->hit;
}

size_t test_allocator_live(const struct test_allocator *memory)
{
    return memory->live;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "array.h"

#ifdef IOVAGEOM_NO_DEFAULT_ALLOCATOR

const struct iovageom_allocator *iovageom_allocator_default(void)
{
    return NULL;
}

#else

#include <stdlib.h>

static void *default_allocate(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void default_release(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

static const struct iovageom_allocator default_allocator = {default_allocate, default_release,
                                                            NULL};

const struct iovageom_allocator *iovageom_allocator_default(void)
{
    return &default_allocator;
}

#endif

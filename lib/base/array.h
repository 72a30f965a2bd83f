/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_ARRAY_H
#define IOVAGEOM_LIB_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/range.h>

/* What every floor needs of numbers and memory. */

#define IOVAGEOM_EVERYTHING ((struct iovageom_range){0, IOVAGEOM_ADDRESS_MAX})

static inline uint64_t iovageom_lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t iovageom_higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/*
 * The allocator to use where the caller gave one, or NULL for the default: NULL when there is no
 * default, or a function is missing.
 */
static inline const struct iovageom_allocator *iovageom_allocator_chosen(
    const struct iovageom_allocator *given)
{
    const struct iovageom_allocator *chosen = given != NULL ? given : iovageom_allocator_default();

    return chosen != NULL && chosen->allocate != NULL && chosen->release != NULL ? chosen : NULL;
}

/* Memory for `count` items of `size` bytes; NULL also when that many bytes can't be. */
static inline void *iovageom_array_new(const struct iovageom_allocator *allocator, size_t count,
                                       size_t size)
{
    return count <= SIZE_MAX / size ? allocator->allocate(allocator->context, count * size) : NULL;
}

/* `items` may be NULL. */
static inline void iovageom_array_free(const struct iovageom_allocator *allocator, void *items,
                                       size_t count, size_t size)
{
    if (items != NULL)
        allocator->release(allocator->context, items, count * size);
}

#endif

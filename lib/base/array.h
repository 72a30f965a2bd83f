/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_ARRAY_H
#define IOVAGEOM_LIB_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/range.h>

/* Small helpers for all floors: the whole address range, minimum and maximum, arrays. */

#define IOVAGEOM_EVERYTHING ((struct iovageom_range){0, IOVAGEOM_ADDRESS_MAX})

static inline uint64_t iovageom_lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t iovageom_higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* malloc() and free(). NULL in a build without them: see allocator.h. */
const struct iovageom_allocator *iovageom_allocator_default(void);

/*
 * The allocator to use: the caller's, or the default one for NULL. The result is NULL when none can
 * be used, because the build has no default or one of the two functions is missing.
 */
static inline const struct iovageom_allocator *iovageom_allocator_chosen(
    const struct iovageom_allocator *given)
{
    const struct iovageom_allocator *chosen = given != NULL ? given : iovageom_allocator_default();

    return chosen != NULL && chosen->allocate != NULL && chosen->release != NULL ? chosen : NULL;
}

/*
 * Memory for `count` items of `size` bytes each, size > 0. NULL for lack of memory, and when the
 * product does not fit in a size_t: counts come from a kernel or a guest, and are not believed.
 */
static inline void *iovageom_array_new(const struct iovageom_allocator *allocator, size_t count,
                                       size_t size)
{
    return count <= SIZE_MAX / size ? allocator->allocate(allocator->context, count * size) : NULL;
}

/* Frees what iovageom_array_new() gave for the same count and size. `items` may be NULL. The
 * allocator gets the size again, so that it need not store it. */
static inline void iovageom_array_free(const struct iovageom_allocator *allocator, void *items,
                                       size_t count, size_t size)
{
    if (items != NULL)
        allocator->release(allocator->context, items, count * size);
}

#endif

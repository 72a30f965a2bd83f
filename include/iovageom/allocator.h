/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_ALLOCATOR_H
#define IOVAGEOM_ALLOCATOR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Where memory comes from. Where a call takes an allocator, NULL stands for malloc() and free(). In
 * a library that was compiled with IOVAGEOM_NO_DEFAULT_ALLOCATOR (freestanding use) it stands for
 * none: calls that need one then answer IOVAGEOM_ERR_INVALID.
 *
 * The structure is read and copied when an object is made; the caller keeps ownership of `context`,
 * which must outlive every object made with it. Both functions must be set.
 *
 * An object made with an allocator calls it only from inside calls on that object, on the caller's
 * thread. Objects that share an allocator and run on several threads need an allocator that may be
 * called so; and so does one object on which several threads call what needs scratch memory
 * (api.h).
 */
struct iovageom_allocator {
    /** Returns `size` bytes (never 0) aligned for any type, or NULL. */
    void *(*allocate)(void *context, size_t size);
    /** Takes back what allocate() gave; `size` is the size that was asked for. Never NULL. */
    void (*release)(void *context, void *memory, size_t size);
    void *context;
};

#ifdef __cplusplus
}
#endif
#endif

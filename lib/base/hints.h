/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_HINTS_H
#define IOVAGEOM_LIB_HINTS_H

#include <iovageom/api.h>

/*
 * Hints to the compiler, which change nothing but speed and size. COLD stands before a function that
 * is seldom called, as one that explains a refusal: it is compiled for size, and what leads to its
 * call is kept out of the way of the rest.
 */
#if defined(__GNUC__)
#define IOVAGEOM_COLD     __attribute__((cold, noinline))
#define ALWAYS_INLINE     inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch((const void *)(address))
#else
#define IOVAGEOM_COLD
#define ALWAYS_INLINE     inline
#define PREFETCH(address) ((void)(address))
#endif

#endif

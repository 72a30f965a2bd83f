/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_HINTS_H
#define IOVAGEOM_LIB_HINTS_H

#include <iovageom/api.h>

/*
 * Hints to the compiler. They change speed and size only, never a result.
 *
 * IOVAGEOM_COLD is for a function that is called seldom, for example to explain a refusal. It is
 * compiled for size, and a branch that leads to its call counts as unlikely. It implies noinline,
 * so that the code does not come back into a hot caller.
 *
 * NOINLINE keeps what is needed seldom from taking registers of a hot caller.
 *
 * ALWAYS_INLINE is for searches that several hot functions share. ONE_LINE begins a short function with
 * a cache line: in two it may take half as long again. PREFETCH does no harm at any address.
 */
#if defined(__GNUC__)
#define IOVAGEOM_COLD     __attribute__((cold, noinline))
#define NOINLINE          __attribute__((noinline))
#define ALWAYS_INLINE     inline __attribute__((always_inline))
#define ONE_LINE          __attribute__((aligned(64)))
#define PREFETCH(address) __builtin_prefetch((const void *)(address))
#else
#define IOVAGEOM_COLD
#define NOINLINE
#define ALWAYS_INLINE inline
#define ONE_LINE
#define PREFETCH(address) ((void)(address))
#endif

#endif

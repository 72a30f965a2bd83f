/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_HINTS_H
#define IOVAGEOM_LIB_HINTS_H

#include <iovageom/api.h>

/*
 * Hints to the compiler. They change speed and size only, never a result; but for NOIPA, which
 * guards one.
 *
 * IOVAGEOM_COLD is for a function that is called seldom, for example to explain a refusal. It is
 * compiled for size, and a branch that leads to its call counts as unlikely. It implies noinline,
 * so that the code does not come back into a hot caller.
 *
 * NOINLINE keeps what is needed seldom from taking registers of a hot caller.
 *
 * ALWAYS_INLINE is for searches that several hot functions share. ONE_LINE begins a short function
 * with a cache line: in two it may take half as long again. PREFETCH does no harm at any address.
 *
 * NOIPA is for a function that leads a path through a tree: its callers assume nothing but its
 * declaration. Where gcc 12 has made numbers of the addresses of a loop, it takes the stores for
 * some to NULL, and lets a caller in the same file believe that nothing is stored (-fipa-modref).
 */
#if defined(__GNUC__) && !defined(__clang__)
#define NOIPA __attribute__((noipa))
#else
#define NOIPA
#endif
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

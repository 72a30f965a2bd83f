/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VERIFY_H
#define IOVAGEOM_VERIFY_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Harnesses for CBMC, run by tests/verify/run: each function verify_* is proven for every value
 * that the functions any_* may return, and for every execution of the code that it calls. The
 * comment line "unwind N" before one says how often its loops are unrolled at most; that this is
 * enough is proven as well.
 */
bool any_bool(void);
uint8_t any_u8(void);
uint32_t any_u32(void);
uint64_t any_u64(void);
size_t any_size(void);

#define assume(condition) __CPROVER_assume(condition)

/* 2^0 to 2^63. */
static inline uint64_t any_power(void)
{
    uint32_t bit = any_u32();

    assume(bit < 64);
    return UINT64_C(1) << bit;
}

#endif

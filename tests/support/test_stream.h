/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_STREAM_H
#define IOVAGEOM_TEST_STREAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Saved bytes, as docs/formats.md describes them: read, changed and summed up by code that the
 * library has no part in.
 */

static inline uint64_t test_get(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static inline void test_put(uint8_t *at, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/** FNV-1a over bytes [from, end), going on with `sum`; TEST_FNV at the beginning. */
#define TEST_FNV UINT64_C(0xcbf29ce484222325)

static inline uint64_t test_fnv(uint64_t sum, const uint8_t *bytes, size_t from, size_t end)
{
    for (size_t i = from; i < end; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

#endif

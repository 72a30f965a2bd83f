/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_NATIVE_H
#define IOVAGEOM_TEST_NATIVE_H

#include <stddef.h>
#include <stdint.h>

/* What a kernel writes is in the byte order of this machine. */

static inline int test_is_big_endian(void)
{
    const uint16_t one = 1;

    return *(const uint8_t *)&one == 0;
}

static inline void test_store_native(void *bytes, uint64_t value, size_t size)
{
    uint8_t *byte = (uint8_t *)bytes;

    for (size_t i = 0; i < size; i++, value /= 256)
        byte[test_is_big_endian() ? size - 1 - i : i] = (uint8_t)(value % 256);
}

static inline uint64_t test_load_native(const void *bytes, size_t size)
{
    const uint8_t *byte = (const uint8_t *)bytes;
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value * 256 + byte[test_is_big_endian() ? i : size - 1 - i];
    return value;
}

static inline void test_store16(void *bytes, uint16_t value)
{
    test_store_native(bytes, value, 2);
}

static inline void test_store32(void *bytes, uint32_t value)
{
    test_store_native(bytes, value, 4);
}

static inline void test_store64(void *bytes, uint64_t value)
{
    test_store_native(bytes, value, 8);
}

#endif

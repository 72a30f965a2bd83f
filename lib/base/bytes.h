/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_BYTES_H
#define IOVAGEOM_LIB_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "hints.h"

/*
 * Little-endian numbers in wire bytes, one byte at a time: the bytes may stand at any address, and
 * the machine may have any byte order. The caller has checked that they are there.
 */

static ALWAYS_INLINE uint16_t iovageom_load_le16(const void *bytes)
{
    const uint8_t *byte = (const uint8_t *)bytes;

    return (uint16_t)(byte[0] | byte[1] << 8);
}

static ALWAYS_INLINE uint32_t iovageom_load_le32(const void *bytes)
{
    const uint8_t *byte = (const uint8_t *)bytes;

    return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

static ALWAYS_INLINE uint64_t iovageom_load_le64(const void *bytes)
{
    const uint8_t *byte = (const uint8_t *)bytes;

    return iovageom_load_le32(byte) | (uint64_t)iovageom_load_le32(byte + 4) << 32;
}

static ALWAYS_INLINE void iovageom_store_le16(void *bytes, uint16_t value)
{
    uint8_t *byte = (uint8_t *)bytes;

    byte[0] = (uint8_t)value;
    byte[1] = (uint8_t)(value >> 8);
}

static ALWAYS_INLINE void iovageom_store_le32(void *bytes, uint32_t value)
{
    uint8_t *byte = (uint8_t *)bytes;

    iovageom_store_le16(byte, (uint16_t)value);
    iovageom_store_le16(byte + 2, (uint16_t)(value >> 16));
}

static ALWAYS_INLINE void iovageom_store_le64(void *bytes, uint64_t value)
{
    uint8_t *byte = (uint8_t *)bytes;

    iovageom_store_le32(byte, (uint32_t)value);
    iovageom_store_le32(byte + 4, (uint32_t)(value >> 32));
}

/*
 * FNV-1a, 64 bits. `hash` is that of the bytes before these, or IOVAGEOM_FNV_NONE. It finds damage.
 * It is no protection against somebody who can write the bytes.
 */
#define IOVAGEOM_FNV_NONE UINT64_C(0xcbf29ce484222325)

static inline uint64_t iovageom_fnv(uint64_t hash, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif

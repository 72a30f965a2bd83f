/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIOMMU_STREAM_H
#define IOVAGEOM_LIB_VIOMMU_STREAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * The stream, specified in docs/formats.md: a head of magic, version and checksum of what follows;
 * then the configuration, and a row of records, each a tag, a length and its body. A reader skips tags that
 * it doesn't know. They come in an order in which they can be taken over: members of guest groups,
 * promises, what guest groups were promised, domains with attached endpoints and mappings, and who
 * faults where it should bypass.
 */
#define VIOMMU_MAGIC   0x4d4d4f4956474956u /* "VIGVIOMM" */
#define VIOMMU_VERSION 1u

enum {
    HEAD_SIZE = 24,
    SPACE_SIZE = 64,
    RECORD_HEAD_SIZE = 12,
    MAPPING_SIZE = 28,
    REGION_SIZE = 20
};

enum viommu_record {
    RECORD_PROMISE = 1,
    RECORD_GROUP = 2,
    RECORD_DOMAIN = 3,
    RECORD_ATTACHED = 4,
    RECORD_MAPPINGS = 5,
    RECORD_MEMBERS = 6,
    RECORD_SHUT = 7
};

/* FNV-1a: finds what a stream suffers on its way; it is no protection against an enemy. */
static inline uint64_t viommu_checksum(const uint8_t *bytes, size_t length)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < length; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

#endif

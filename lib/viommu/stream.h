/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIOMMU_STREAM_H
#define IOVAGEOM_LIB_VIOMMU_STREAM_H

#include "../base/stream.h"

/*
 * The stream, specified in docs/formats.md. It has a head (magic, version, checksum of what
 * follows), the config space, and then records: each is a tag, a length and a body. A reader skips
 * tags that it doesn't know.
 *
 * The order of records is one in which load can take them over one by one: first the members of
 * guest groups, then promises of endpoints and of groups, then domains with their endpoints and
 * mappings, and last the endpoints that fault although `bypass` is on.
 */
/* Sizes in bytes. Fields are written without padding, so these are no sizeof of any struct. */
enum {
    HEAD_SIZE = 24,        /* iovageom_viommu_form */
    SPACE_SIZE = 64,       /* the config space, see save_space() */
    RECORD_HEAD_SIZE = 12, /* tag u32, length u64 */
    MAPPING_SIZE = 28,     /* start, last, phys u64; flags u32 */
    REGION_SIZE = 20       /* start, last u64; type u32 */
};

/* Tags, in no order: see above for the order of records. */
enum viommu_record {
    RECORD_PROMISE = 1,  /* the last PROBE of an endpoint */
    RECORD_GROUP = 2,    /* what a guest group was promised */
    RECORD_DOMAIN = 3,   /* begins a domain: the next two kinds speak of the last one begun */
    RECORD_ATTACHED = 4, /* an endpoint of it */
    RECORD_MAPPINGS = 5, /* all mappings of it */
    RECORD_MEMBERS = 6,  /* the endpoints of a guest group */
    RECORD_FAULTS = 7    /* an endpoint in no domain that faults although `bypass` is on */
};

static const struct iovageom_form iovageom_viommu_form = {
    .magic = {'V', 'I', 'G', 'V', 'I', 'O', 'M', 'M'},
    .version = 1,
    .head = HEAD_SIZE,
    .least = HEAD_SIZE + SPACE_SIZE};

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

#include "bytes.h"
#include "geometry_internal.h"
#include "text.h"

/*
 * The form, all numbers little-endian:
 *
 *    0  "IOVAGEOM"
 *    8  u32 version, u32 bytes of this header (a later writer may make it longer)
 *   16  u64 bytes in all
 *   24  u64 FNV-1a of all bytes but these eight
 *
 * and then sections: u32 tag, u32 0, u64 bytes that follow. A reader skips tags that it doesn't
 * know, unless their top bit says that it must not.
 *
 *   NAME     the name
 *   FACT     u32 kind, u32 source, u64 value, u64 last, name of the owner to the end
 *   REGIONS  u32 type, u32 source, u32 bytes of the name, u32 0, name of the owner, and u64 start,
 *            u64 last for each range
 */
enum { HEADER = 32, CHECKSUM = 24, SECTION = 16, FACT = 24, REGIONS = 16, RANGE = 16, VERSION = 1 };
enum { TAG_NAME = 1, TAG_FACT = 2, TAG_REGIONS = 3 };
#define TAG_CRITICAL UINT32_C(0x80000000)

static const char magic[8] = {'I', 'O', 'V', 'A', 'G', 'E', 'O', 'M'};

static uint64_t checksum(const uint8_t *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < length; i++)
        if (i < CHECKSUM || i >= HEADER)
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* ---- save ---- */

/* With `out` NULL it only counts. */
struct writer {
    uint8_t *out;
    size_t length;
};

static void put_bytes(struct writer *writer, const void *bytes, size_t length)
{
    if (writer->out != NULL)
        memcpy(writer->out + writer->length, bytes, length);
    writer->length += length;
}

static void put32(struct writer *writer, uint32_t number)
{
    uint8_t bytes[4];

    iovageom_store_le32(bytes, number);
    put_bytes(writer, bytes, sizeof(bytes));
}

static void put64(struct writer *writer, uint64_t number)
{
    uint8_t bytes[8];

    iovageom_store_le64(bytes, number);
    put_bytes(writer, bytes, sizeof(bytes));
}

static void put_section(struct writer *writer, uint32_t tag, size_t length)
{
    put32(writer, tag);
    put32(writer, 0);
    put64(writer, length);
}

static void put_fact(struct writer *writer, const struct iovageom_geometry_fact *fact)
{
    size_t length = iovageom_text_length(fact->owner.name, IOVAGEOM_NAME_SIZE);

    put_section(writer, TAG_FACT, FACT + length);
    put32(writer, fact->kind);
    put32(writer, fact->owner.source);
    put64(writer, fact->value);
    put64(writer, fact->last);
    put_bytes(writer, fact->owner.name, length);
}

static void put_regions(struct writer *writer, enum iovageom_resv_type type,
                        const struct iovageom_owner *owner, const struct iovageom_rangeset *ranges)
{
    size_t length = iovageom_text_length(owner->name, IOVAGEOM_NAME_SIZE);
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    put_section(writer, TAG_REGIONS, REGIONS + length + iovageom_rangeset_count(ranges) * RANGE);
    put32(writer, (uint32_t)type);
    put32(writer, owner->source);
    put32(writer, (uint32_t)length);
    put32(writer, 0);
    put_bytes(writer, owner->name, length);
    iovageom_rangeset_seek(ranges, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range)) {
        put64(writer, range.start);
        put64(writer, range.last);
    }
}

static size_t put_geometry(struct writer writer, const struct iovageom_geometry *geometry,
                           size_t total)
{
    size_t length = iovageom_text_length(geometry->name, IOVAGEOM_NAME_SIZE);
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;

    put_bytes(&writer, magic, sizeof(magic));
    put32(&writer, VERSION);
    put32(&writer, HEADER);
    put64(&writer, total);
    put64(&writer, 0);
    put_section(&writer, TAG_NAME, length);
    put_bytes(&writer, geometry->name, length);
    for (size_t i = 0; i < geometry->count; i++)
        put_fact(&writer, &geometry->facts[i]);
    for (size_t i = 0;
         iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges) == IOVAGEOM_OK; i++)
        put_regions(&writer, type, owner, ranges);
    return writer.length;
}

int iovageom_geometry_save(const struct iovageom_geometry *geometry, void *buffer, size_t size,
                           size_t *needed)
{
    size_t total = put_geometry((struct writer){NULL, 0}, geometry, 0);

    *needed = total;
    if (size < total)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    (void)put_geometry((struct writer){buffer, 0}, geometry, total);
    iovageom_store_le64((uint8_t *)buffer + CHECKSUM, checksum(buffer, total));
    return IOVAGEOM_OK;
}

/* ---- load ---- */

static int load_owner(struct iovageom_owner *owner, uint32_t source, const uint8_t *name,
                      size_t length)
{
    /* A source that is new to this version stays the number that it is. */
    if (length >= IOVAGEOM_NAME_SIZE)
        return IOVAGEOM_ERR_MALFORMED;
    memset(owner, 0, sizeof(*owner));
    owner->source = source;
    for (size_t i = 0; i < length; i++) {
        if (name[i] == 0)
            return IOVAGEOM_ERR_MALFORMED;
        owner->name[i] = (char)name[i];
    }
    return IOVAGEOM_OK;
}

static int load_name(struct iovageom_geometry *geometry, const uint8_t *bytes, size_t length)
{
    struct iovageom_owner owner;
    int status = load_owner(&owner, 0, bytes, length);

    if (status == IOVAGEOM_OK)
        memcpy(geometry->name, owner.name, sizeof(geometry->name));
    return status;
}

/* Nothing is believed that the add calls would have refused or done otherwise. */
static int load_fact(struct iovageom_geometry *geometry, const uint8_t *bytes, size_t length)
{
    const struct iovageom_range all = {0, IOVAGEOM_ADDRESS_MAX};
    struct iovageom_geometry_fact fact;
    int status = IOVAGEOM_OK;

    if (length < FACT)
        return IOVAGEOM_ERR_MALFORMED;
    fact.kind = iovageom_load_le32(bytes);
    fact.value = iovageom_load_le64(bytes + 8);
    fact.last = iovageom_load_le64(bytes + 16);
    status = load_owner(&fact.owner, iovageom_load_le32(bytes + 4), bytes + FACT, length - FACT);
    if (status < 0)
        return status;
    if (!iovageom_pgsize_is_power(fact.kind) || fact.kind > IOVAGEOM_FACT_INCOMPLETE)
        return IOVAGEOM_OK; /* of a later version */
    if (fact.kind == IOVAGEOM_FACT_ALIGNMENT && !iovageom_pgsize_is_power(fact.value))
        return IOVAGEOM_ERR_MALFORMED;
    if (fact.kind == IOVAGEOM_FACT_APERTURE) {
        struct iovageom_range outside[2];
        unsigned count =
            iovageom_range_subtract(all, (struct iovageom_range){fact.value, fact.last}, outside);

        if (fact.value > fact.last)
            return IOVAGEOM_ERR_MALFORMED;
        while (count > 0 && status == IOVAGEOM_OK)
            status = iovageom_resv_add(geometry->resv, outside[--count], IOVAGEOM_RESV_RESERVED,
                                       &fact.owner);
    }
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_reserve(geometry, geometry->count + 1);
    if (status == IOVAGEOM_OK)
        iovageom_geometry_put(geometry, &fact);
    return status;
}

static int load_regions(struct iovageom_geometry *geometry, const uint8_t *bytes, size_t length)
{
    struct iovageom_rangeset ranges;
    struct iovageom_owner owner;
    uint32_t type;
    size_t name;
    int status;

    if (length < REGIONS)
        return IOVAGEOM_ERR_MALFORMED;
    type = iovageom_load_le32(bytes);
    name = iovageom_load_le32(bytes + 8);
    if (name > length - REGIONS || (length - REGIONS - name) % RANGE != 0)
        return IOVAGEOM_ERR_MALFORMED;
    status = load_owner(&owner, iovageom_load_le32(bytes + 4), bytes + REGIONS, name);
    if (status < 0)
        return status;
    if (type < IOVAGEOM_RESV_DIRECT_RELAXABLE || type > IOVAGEOM_RESV_MSI)
        type = IOVAGEOM_RESV_RESERVED; /* of a later version: at least it is reserved (N72) */

    status = iovageom_rangeset_init(&ranges, &geometry->allocator);
    for (size_t at = REGIONS + name; status == IOVAGEOM_OK && at < length; at += RANGE) {
        struct iovageom_range range = {iovageom_load_le64(bytes + at),
                                       iovageom_load_le64(bytes + at + 8)};
        status = iovageom_rangeset_insert(&ranges, range);
    }
    if (status == IOVAGEOM_OK)
        status =
            iovageom_resv_add_set(geometry->resv, &ranges, (enum iovageom_resv_type)type, &owner);
    iovageom_rangeset_deinit(&ranges);
    return status == IOVAGEOM_ERR_INVERTED ? IOVAGEOM_ERR_MALFORMED : status;
}

static int load_sections(struct iovageom_geometry *geometry, const uint8_t *bytes, size_t length)
{
    int status = IOVAGEOM_OK;

    while (status == IOVAGEOM_OK && length > 0) {
        if (length < SECTION)
            return IOVAGEOM_ERR_TRUNCATED;
        uint32_t tag = iovageom_load_le32(bytes);
        uint64_t size = iovageom_load_le64(bytes + 8);
        bytes += SECTION;
        length -= SECTION;
        if (size > length)
            return IOVAGEOM_ERR_TRUNCATED;
        if (tag == TAG_NAME)
            status = load_name(geometry, bytes, (size_t)size);
        else if (tag == TAG_FACT)
            status = load_fact(geometry, bytes, (size_t)size);
        else if (tag == TAG_REGIONS)
            status = load_regions(geometry, bytes, (size_t)size);
        else if ((tag & TAG_CRITICAL) != 0)
            status = IOVAGEOM_ERR_VERSION;
        bytes += size;
        length -= (size_t)size;
    }
    return status;
}

int iovageom_geometry_load(const struct iovageom_allocator *allocator, const void *bytes,
                           size_t length, struct iovageom_geometry **out)
{
    const uint8_t *start = bytes;
    struct iovageom_geometry *geometry;
    uint32_t header;
    int status;

    if (length < HEADER)
        return IOVAGEOM_ERR_TRUNCATED;
    if (memcmp(start, magic, sizeof(magic)) != 0)
        return IOVAGEOM_ERR_MALFORMED;
    if (iovageom_load_le32(start + 8) != VERSION)
        return IOVAGEOM_ERR_VERSION;
    header = iovageom_load_le32(start + 12);
    if (iovageom_load_le64(start + 16) > length)
        return IOVAGEOM_ERR_TRUNCATED;
    if (iovageom_load_le64(start + 16) < length || header < HEADER || header > length ||
        iovageom_load_le64(start + CHECKSUM) != checksum(start, length))
        return IOVAGEOM_ERR_MALFORMED;
    status = iovageom_geometry_new(allocator, "", &geometry);
    if (status < 0)
        return status;
    status = load_sections(geometry, start + header, length - header);
    if (status < 0) {
        iovageom_geometry_free(geometry);
        return status;
    }
    *out = geometry;
    return IOVAGEOM_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

#include "../base/array.h"
#include "../base/bytes.h"
#include "../base/text.h"
#include "internal.h"

/*
 * The form, all numbers little-endian:
 *
 *    0  "IOVAGEOM"
 *    8  u32 version, u32 bytes of this header (a later writer may make it longer)
 *   16  u64 bytes in all
 *   24  u64 FNV-1a of all bytes but these eight
 *
 * and then records: u32 tag, u32 source, u32 bytes of a name, u32 count of numbers, the name, and
 * the numbers, u64 each. A reader skips tags that it doesn't know, unless their top bit says that
 * it must not.
 *
 *   NAME            the name of the geometry; no numbers
 *   FACT + kind     the owner's name; value, last
 *   REGIONS + type  the owner's name; start, last for each range
 */
enum { HEADER = 32, CHECKSUM = 24, RECORD = 16, VERSION = 1 };
enum { TAG_NAME = 1, TAG_FACT = 0x100, TAG_REGIONS = 0x200, TAG_SUB = 0xff };
#define TAG_CRITICAL UINT32_C(0x80000000)

static const char magic[8] = {'I', 'O', 'V', 'A', 'G', 'E', 'O', 'M'};

/* Of all bytes but those that hold it. */
static uint64_t checksum(const uint8_t *bytes, size_t length)
{
    const uint64_t head = iovageom_fnv(IOVAGEOM_FNV_NONE, bytes, CHECKSUM);

    return iovageom_fnv(head, bytes + HEADER, length - HEADER);
}

/* ---- save ---- */

/* Where the next byte goes. With `out` NULL only the length is counted: that is the size query. */
struct writer {
    uint8_t *out;
    size_t length;
};

static void write32(struct writer *writer, uint32_t number)
{
    if (writer->out != NULL)
        iovageom_store_le32(writer->out + writer->length, number);
    writer->length += 4;
}

static void write64(struct writer *writer, uint64_t number)
{
    write32(writer, (uint32_t)number);
    write32(writer, (uint32_t)(number >> 32));
}

/* Writes the head of a record and its name; the caller writes `numbers` numbers behind it. */
static void put_record(struct writer *writer, uint32_t tag, uint32_t source, const char *name,
                       size_t numbers)
{
    size_t length = iovageom_text_length(name, IOVAGEOM_NAME_SIZE);

    write32(writer, tag);
    write32(writer, source);
    write32(writer, (uint32_t)length);
    write32(writer, (uint32_t)numbers);
    if (writer->out != NULL)
        memcpy(writer->out + writer->length, name, length);
    writer->length += length;
}

/*
 * Writes all records behind the room for the header, and returns the length in all. Facts and
 * statements are written in their order, so that equal content gives equal bytes.
 */
static size_t put_geometry(struct writer writer, const struct iovageom_geometry *geometry)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;

    writer.length += HEADER;
    put_record(&writer, TAG_NAME, 0, geometry->name, 0);
    for (size_t i = 0; i < geometry->count; i++) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];

        put_record(&writer, TAG_FACT + fact->kind, fact->owner.source, fact->owner.name, 2);
        write64(&writer, fact->value);
        write64(&writer, fact->last);
    }
    for (size_t i = 0;
         iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges) == IOVAGEOM_OK; i++) {
        struct iovageom_rangeset_cursor cursor;
        struct iovageom_range range;

        put_record(&writer, TAG_REGIONS + (uint32_t)type, owner->source, owner->name,
                   2 * iovageom_rangeset_count(ranges));
        iovageom_rangeset_seek(ranges, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &range)) {
            write64(&writer, range.start);
            write64(&writer, range.last);
        }
    }
    return writer.length;
}

int iovageom_geometry_save(const struct iovageom_geometry *geometry, void *buffer, size_t size,
                           size_t *needed)
{
    size_t total = put_geometry((struct writer){NULL, 0}, geometry);
    uint8_t *bytes = buffer;

    if (needed != NULL)
        *needed = total;
    if (size < total)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    (void)put_geometry((struct writer){bytes, 0}, geometry);
    memcpy(bytes, magic, sizeof(magic));
    iovageom_store_le32(bytes + 8, VERSION);
    iovageom_store_le32(bytes + 12, HEADER);
    iovageom_store_le64(bytes + 16, total);
    iovageom_store_le64(bytes + CHECKSUM, checksum(bytes, total));
    return IOVAGEOM_OK;
}

/* ---- load ---- */

/* A record that was read. `numbers` points into the stream; each is 8 bytes, not aligned. */
struct record {
    uint32_t tag;
    struct iovageom_owner owner;
    const uint8_t *numbers;
    size_t count; /* of numbers */
};

/*
 * Takes one record off the front of the bytes, which are hostile. Lengths are compared with what is
 * left by subtraction and division, so that no sum or product can overflow. A name with a 0 in it
 * is refused: owners are compared by all their bytes, and behind the 0 these must be 0.
 */
static int next_record(const uint8_t **bytes, size_t *length, struct record *record)
{
    size_t name;

    if (*length < RECORD)
        return IOVAGEOM_ERR_TRUNCATED;
    memset(record, 0, sizeof(*record));
    record->tag = iovageom_load_le32(*bytes);
    record->owner.source = iovageom_load_le32(*bytes + 4); /* a later version's is kept as it is */
    name = iovageom_load_le32(*bytes + 8);
    record->count = iovageom_load_le32(*bytes + 12);
    *bytes += RECORD;
    *length -= RECORD;
    if (name > *length || record->count > (*length - name) / 8)
        return IOVAGEOM_ERR_TRUNCATED;
    if (name >= IOVAGEOM_NAME_SIZE)
        return IOVAGEOM_ERR_MALFORMED;
    memcpy(record->owner.name, *bytes, name);
    if (iovageom_text_length(record->owner.name, name) != name)
        return IOVAGEOM_ERR_MALFORMED;
    record->numbers = *bytes + name;
    *bytes += name + record->count * 8;
    *length -= name + record->count * 8;
    return IOVAGEOM_OK;
}

static struct iovageom_range range_at(const struct record *record, size_t index)
{
    return (struct iovageom_range){iovageom_load_le64(record->numbers + index * 8),
                                   iovageom_load_le64(record->numbers + index * 8 + 8)};
}

/*
 * Adds the complement of an aperture as reserved. The writer stored it as regions, too; but a
 * hostile stream may have an aperture without them, which would forbid nothing. settle() joins the
 * two.
 */
static int load_aperture(struct iovageom_geometry *geometry, struct iovageom_range aperture,
                         const struct iovageom_owner *owner)
{
    struct iovageom_rangeset outside;
    int status = iovageom_rangeset_init(&outside, &geometry->allocator);

    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_insert(&outside, aperture);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_complement(&outside, &outside, IOVAGEOM_EVERYTHING);
    if (status == IOVAGEOM_OK)
        status = iovageom_resv_append(geometry->resv, &outside, IOVAGEOM_RESV_RESERVED, owner);
    iovageom_rangeset_deinit(&outside);
    return status == IOVAGEOM_ERR_INVERTED ? IOVAGEOM_ERR_MALFORMED : status;
}

/*
 * Whether facts of this kind have a value. Of others the stream's number is ignored, and 0 kept as
 * the add calls do, because facts are compared by it.
 */
static bool has_value(uint32_t kind)
{
    return kind != IOVAGEOM_FACT_USABLE && kind != IOVAGEOM_FACT_RESERVED &&
           kind != IOVAGEOM_FACT_INCOMPLETE;
}

/*
 * Adds one fact, with the checks of the add calls: a loaded geometry must be one that they could
 * have built. The fact is appended; load_records() sorts at the end.
 */
static int load_fact(struct iovageom_geometry *geometry, const struct record *record)
{
    struct iovageom_geometry_fact fact = {.kind = record->tag & TAG_SUB, .owner = record->owner};
    struct iovageom_range range;
    int status = IOVAGEOM_OK;

    if (record->count < 2)
        return IOVAGEOM_ERR_MALFORMED;
    if (!iovageom_pgsize_is_power(fact.kind) || fact.kind > IOVAGEOM_FACT_INCOMPLETE)
        return IOVAGEOM_OK; /* a kind of a later version: skipped */
    range = range_at(record, 0);
    if (has_value(fact.kind))
        fact.value = range.start;
    if (fact.kind == IOVAGEOM_FACT_APERTURE)
        fact.last = range.last;
    if (fact.kind == IOVAGEOM_FACT_ALIGNMENT && !iovageom_pgsize_is_power(fact.value))
        return IOVAGEOM_ERR_MALFORMED;
    if (fact.kind == IOVAGEOM_FACT_APERTURE)
        status = load_aperture(geometry, range, &fact.owner);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_reserve(geometry, geometry->count + 1);
    if (status == IOVAGEOM_OK)
        geometry->facts[geometry->count++] = fact;
    return status;
}

static int load_regions(struct iovageom_geometry *geometry, const struct record *record)
{
    uint32_t type = record->tag & TAG_SUB;
    struct iovageom_rangeset ranges;
    int status = iovageom_rangeset_init(&ranges, &geometry->allocator);

    if (record->count % 2 != 0)
        status = IOVAGEOM_ERR_MALFORMED;
    if (type < IOVAGEOM_RESV_DIRECT_RELAXABLE || type > IOVAGEOM_RESV_MSI)
        type = IOVAGEOM_RESV_RESERVED; /* a type of a later version: safe, as a guest does (N72) */
    for (size_t i = 0; status == IOVAGEOM_OK && i < record->count; i += 2)
        status = iovageom_rangeset_insert(&ranges, range_at(record, i));
    if (status == IOVAGEOM_OK)
        status = iovageom_resv_append(geometry->resv, &ranges, (enum iovageom_resv_type)type,
                                      &record->owner);
    iovageom_rangeset_deinit(&ranges);
    return status == IOVAGEOM_ERR_INVERTED ? IOVAGEOM_ERR_MALFORMED : status;
}

/*
 * Reads all records. A stream may have them in any order; inserting each in its place would take
 * quadratic time on hostile input, so they are appended and sorted once at the end.
 */
static int load_records(struct iovageom_geometry *geometry, const uint8_t *bytes, size_t length)
{
    struct record record;
    int status = IOVAGEOM_OK;

    while (status == IOVAGEOM_OK && length > 0) {
        status = next_record(&bytes, &length, &record);
        if (status < 0)
            break;
        if (record.tag == TAG_NAME)
            memcpy(geometry->name, record.owner.name, sizeof(geometry->name));
        else if ((record.tag & ~(uint32_t)TAG_SUB) == TAG_FACT)
            status = load_fact(geometry, &record);
        else if ((record.tag & ~(uint32_t)TAG_SUB) == TAG_REGIONS)
            status = load_regions(geometry, &record);
        else if ((record.tag & TAG_CRITICAL) != 0)
            status = IOVAGEOM_ERR_VERSION;
    }
    iovageom_geometry_settle(geometry);
    return status == IOVAGEOM_OK ? iovageom_resv_settle(geometry->resv) : status;
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
    status = load_records(geometry, start + header, length - header);
    if (status < 0) {
        iovageom_geometry_free(geometry);
        return status;
    }
    *out = geometry;
    return IOVAGEOM_OK;
}

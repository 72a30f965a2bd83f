/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/range.h"
#include "../base/array.h"
#include "../base/stream.h"
#include "../base/text.h"
#include "internal.h"

/*
 * The form of docs/formats.md: a head and records. A record has a tag, an owner, and numbers: value
 * and last of a fact, or start and last of each range. A reader skips tags that it doesn't know,
 * unless their top bit says that it must not.
 */
enum { HEADER = 32 };
enum { TAG_NAME = 1, TAG_FACT = 0x100, TAG_REGIONS = IOVAGEOM_FACT_REGIONS, TAG_SUB = 0xff };
#define TAG_CRITICAL UINT32_C(0x80000000)

static const struct iovageom_form geometry_form = {
    .magic = {'I', 'O', 'V', 'A', 'G', 'E', 'O', 'M'},
    .version = 1,
    .head = HEADER,
    .sized = true,
    .least = HEADER};

/* ---- save ---- */

/* Writes the head of a record and its name; the caller writes `numbers` numbers behind it. */
static void put_record(struct iovageom_writer *writer, uint32_t tag, uint32_t source,
                       const char *name, size_t numbers)
{
    const size_t length = iovageom_text_length(name, IOVAGEOM_NAME_SIZE);

    iovageom_write(writer, tag, 4);
    iovageom_write(writer, source, 4);
    iovageom_write(writer, length, 4);
    iovageom_write(writer, numbers, 4);
    iovageom_write_bytes(writer, name, length);
}

/* Facts are written in their order, so that equal content gives equal bytes. */
static void put_geometry(struct iovageom_writer *writer, const struct iovageom_geometry *geometry)
{
    put_record(writer, TAG_NAME, 0, geometry->self.name, 0);
    for (size_t i = 0; i < geometry->count; i++) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];
        const uint32_t tag = iovageom_fact_has_ranges(fact) ? fact->kind : TAG_FACT + fact->kind;
        const size_t count =
            iovageom_fact_has_ranges(fact) ? iovageom_rangeset_count(fact->ranges) : 1;
        struct iovageom_rangeset_cursor cursor;
        struct iovageom_range range = {fact->value, fact->last};

        put_record(writer, tag, fact->owner.source, fact->owner.name, 2 * count);
        if (!iovageom_fact_has_ranges(fact)) {
            iovageom_write_range(writer, range);
            continue;
        }
        iovageom_rangeset_seek(fact->ranges, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &range))
            iovageom_write_range(writer, range);
    }
}

/* The size first: a buffer that is too small stays as it is. */
int iovageom_geometry_save(const struct iovageom_geometry *geometry, void *buffer, size_t size,
                           size_t *needed)
{
    struct iovageom_writer writer = {NULL, 0, HEADER};

    put_geometry(&writer, geometry);
    if (writer.used <= size) {
        writer = (struct iovageom_writer){buffer, size, HEADER};
        put_geometry(&writer, geometry);
    }
    return iovageom_write_end(&writer, &geometry_form, needed);
}

/* ---- load ---- */

/* A record that was read. `numbers` are 8 bytes each. */
struct record {
    uint32_t tag;
    struct iovageom_owner owner;
    struct iovageom_reader numbers;
};

/*
 * Takes one record off the front of the bytes, which are hostile. A name with a 0 in it is refused:
 * owners are compared by all their bytes, and behind the 0 these must be 0.
 */
static int next_record(struct iovageom_reader *reader, struct record *record)
{
    struct iovageom_reader name;
    uint32_t length;
    uint32_t count;

    memset(record, 0, sizeof(*record));
    record->tag = iovageom_read32(reader);
    record->owner.source = iovageom_read32(reader); /* a later version's is kept as it is */
    length = iovageom_read32(reader);
    count = iovageom_read32(reader);
    name = iovageom_read_part(reader, length);
    record->numbers = iovageom_read_part(reader, (uint64_t)count * 8);
    if (reader->status < 0)
        return reader->status;
    if (length >= IOVAGEOM_NAME_SIZE)
        return IOVAGEOM_ERR_MALFORMED;
    memcpy(record->owner.name, name.at, length);
    return iovageom_text_length(record->owner.name, length) == length ? IOVAGEOM_OK
                                                                      : IOVAGEOM_ERR_MALFORMED;
}

/*
 * Appends the ranges of a record as reserved; if it is an `aperture`, the complement of its one
 * range. The writer stored that as regions, too; but a hostile stream may have an aperture without
 * them, which would forbid nothing. settle() joins the two.
 */
static int load_ranges(struct iovageom_geometry *geometry, const struct record *record,
                       uint32_t type, bool aperture)
{
    const struct iovageom_fact_key key = {IOVAGEOM_FACT_REGIONS + type, &record->owner, 0, 0};
    struct iovageom_reader ranges = record->numbers;
    struct iovageom_geometry_fact *row;
    int status = IOVAGEOM_OK;

    if (aperture)
        ranges.left = 16;
    if (ranges.left % 16 != 0)
        return IOVAGEOM_ERR_MALFORMED;
    row = iovageom_geometry_open(geometry, &key, false);
    if (row == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    while (status == IOVAGEOM_OK && ranges.left > 0)
        status = iovageom_rangeset_insert(row->ranges, iovageom_read_range(&ranges));
    if (status == IOVAGEOM_OK && aperture)
        status = iovageom_rangeset_complement(row->ranges, row->ranges, IOVAGEOM_EVERYTHING);
    status = iovageom_geometry_close(geometry, row, status);
    return status == IOVAGEOM_ERR_INVERTED ? IOVAGEOM_ERR_MALFORMED : status;
}

/* Appends one fact, with the checks of the add calls: what is loaded they could have built. */
static int load_fact(struct iovageom_geometry *geometry, const struct record *record, uint32_t kind)
{
    /* The numbers of these are not read, but kept as 0, because facts are compared by them. */
    const uint32_t valueless =
        IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_RESERVED | IOVAGEOM_FACT_INCOMPLETE;
    struct iovageom_reader numbers = record->numbers;
    const struct iovageom_range range = iovageom_read_range(&numbers);
    const bool aperture = kind == IOVAGEOM_FACT_APERTURE;
    const struct iovageom_fact_key key = {
        kind, &record->owner, (kind & valueless) == 0 ? range.start : 0, aperture ? range.last : 0};

    if (!iovageom_pgsize_is_power(kind) || kind > IOVAGEOM_FACT_INCOMPLETE)
        return IOVAGEOM_OK; /* a kind of a later version: skipped, whatever numbers it has */
    if (numbers.status < 0)
        return IOVAGEOM_ERR_MALFORMED; /* fewer than two numbers; more are skipped */
    if (kind == IOVAGEOM_FACT_ALIGNMENT && !iovageom_pgsize_is_power(key.value))
        return IOVAGEOM_ERR_MALFORMED;
    if (iovageom_geometry_open(geometry, &key, false) == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    return aperture ? load_ranges(geometry, record, IOVAGEOM_RESV_RESERVED, true) : IOVAGEOM_OK;
}

static int take_record(struct iovageom_geometry *geometry, const struct record *record)
{
    const uint32_t sub = record->tag & TAG_SUB;

    if (record->tag - sub == TAG_FACT)
        return load_fact(geometry, record, sub);
    /* A type of a later version is taken for RESERVED: safe, as a guest does (N72). */
    if (record->tag - sub == TAG_REGIONS)
        return load_ranges(geometry, record,
                           sub < IOVAGEOM_RESV_DIRECT_RELAXABLE || sub > IOVAGEOM_RESV_MSI
                               ? IOVAGEOM_RESV_RESERVED
                               : sub,
                           false);
    if (record->tag == TAG_NAME)
        memcpy(geometry->self.name, record->owner.name, sizeof(geometry->self.name));
    return (record->tag & TAG_CRITICAL) == 0 ? IOVAGEOM_OK : IOVAGEOM_ERR_VERSION;
}

/* A stream may have its records in any order. Inserting each in its place would take quadratic time
 * on hostile input, so they are appended, and sorted once at the end. */
int iovageom_geometry_load(const struct iovageom_allocator *allocator, const void *bytes,
                           size_t length, struct iovageom_geometry **out)
{
    struct iovageom_geometry *geometry;
    struct iovageom_reader reader;
    struct record record;
    int status = iovageom_read_begin(&reader, bytes, length, &geometry_form);

    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_new(allocator, "", &geometry);
    if (status < 0)
        return status;
    while (status == IOVAGEOM_OK && reader.left > 0) {
        status = next_record(&reader, &record);
        if (status == IOVAGEOM_OK)
            status = take_record(geometry, &record);
    }
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_settle(geometry);
    if (status == IOVAGEOM_OK)
        *out = geometry;
    else
        iovageom_geometry_free(geometry);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"

#include <string.h>

#include <iovageom/status.h>

#include "bytes.h"

/* Where the numbers of a head stand. The checksum is in its last 8 bytes. */
enum { AT_VERSION = 8, AT_HEAD = 12, AT_TOTAL = 16, CHECKSUM_SIZE = 8 };

/* Of all bytes behind the head as this version has it, and of the head where the form says so. */
static uint64_t checksum(const struct iovageom_form *form, const uint8_t *bytes, size_t length)
{
    uint64_t hash = IOVAGEOM_FNV_NONE;

    if (form->sized)
        hash = iovageom_fnv(hash, bytes, form->head - CHECKSUM_SIZE);
    return iovageom_fnv(hash, bytes + form->head, length - form->head);
}

/* ---- writing ---- */

/* `used` may exceed `size` by far: so no sum of the two is made. */
void iovageom_write_bytes(struct iovageom_writer *writer, const void *bytes, size_t count)
{
    if (writer->used < writer->size && count <= writer->size - writer->used)
        memcpy(writer->bytes + writer->used, bytes, count);
    writer->used += count;
}

void iovageom_write(struct iovageom_writer *writer, uint64_t number, size_t width)
{
    uint8_t bytes[8];

    iovageom_store_le64(bytes, number);
    iovageom_write_bytes(writer, bytes, width);
}

void iovageom_write_range(struct iovageom_writer *writer, struct iovageom_range range)
{
    iovageom_write(writer, range.start, 8);
    iovageom_write(writer, range.last, 8);
}

int iovageom_write_end(struct iovageom_writer *writer, const struct iovageom_form *form,
                       size_t *needed)
{
    uint8_t *head = writer->bytes;

    if (needed != NULL)
        *needed = writer->used;
    if (writer->used > writer->size)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    memset(head, 0, form->head);
    memcpy(head, form->magic, sizeof(form->magic));
    iovageom_store_le32(head + AT_VERSION, form->version);
    if (form->sized) {
        iovageom_store_le32(head + AT_HEAD, form->head);
        iovageom_store_le64(head + AT_TOTAL, writer->used);
    }
    iovageom_store_le64(head + form->head - CHECKSUM_SIZE, checksum(form, head, writer->used));
    return IOVAGEOM_OK;
}

/* ---- reading ---- */

int iovageom_read_begin(struct iovageom_reader *reader, const void *bytes, size_t length,
                        const struct iovageom_form *form)
{
    const uint8_t *head = bytes;
    size_t size = form->head;

    if (length < size)
        return IOVAGEOM_ERR_TRUNCATED;
    if (memcmp(head, form->magic, sizeof(form->magic)) != 0)
        return IOVAGEOM_ERR_MALFORMED;
    if (iovageom_load_le32(head + AT_VERSION) != form->version)
        return IOVAGEOM_ERR_VERSION;
    if (length < form->least || (form->sized && iovageom_load_le64(head + AT_TOTAL) > length))
        return IOVAGEOM_ERR_TRUNCATED;
    if (form->sized) {
        size = iovageom_load_le32(head + AT_HEAD);
        if (iovageom_load_le64(head + AT_TOTAL) < length || size < form->head || size > length)
            return IOVAGEOM_ERR_MALFORMED;
    }
    if (iovageom_load_le64(head + form->head - CHECKSUM_SIZE) != checksum(form, head, length))
        return IOVAGEOM_ERR_MALFORMED;
    *reader = (struct iovageom_reader){head + size, length - size, IOVAGEOM_OK};
    return IOVAGEOM_OK;
}

struct iovageom_reader iovageom_read_part(struct iovageom_reader *reader, uint64_t length)
{
    struct iovageom_reader part = {reader->at, 0, IOVAGEOM_ERR_TRUNCATED};

    if (reader->status == IOVAGEOM_OK && length <= reader->left) {
        part.left = (size_t)length;
        part.status = IOVAGEOM_OK;
        reader->at += part.left;
        reader->left -= part.left;
    } else {
        reader->left = 0;
        reader->status = IOVAGEOM_ERR_TRUNCATED;
    }
    return part;
}

/* The next `width` bytes, 4 or 8. */
static uint64_t read_number(struct iovageom_reader *reader, size_t width)
{
    const struct iovageom_reader part = iovageom_read_part(reader, width);

    if (part.status < 0)
        return 0;
    return width == 4 ? iovageom_load_le32(part.at) : iovageom_load_le64(part.at);
}

uint32_t iovageom_read32(struct iovageom_reader *reader)
{
    return (uint32_t)read_number(reader, 4);
}

uint64_t iovageom_read64(struct iovageom_reader *reader)
{
    return read_number(reader, 8);
}

struct iovageom_range iovageom_read_range(struct iovageom_reader *reader)
{
    const uint64_t start = iovageom_read64(reader);

    return (struct iovageom_range){start, iovageom_read64(reader)};
}

int iovageom_read_end(const struct iovageom_reader *reader)
{
    return reader->status == IOVAGEOM_OK && reader->left == 0 ? IOVAGEOM_OK
                                                              : IOVAGEOM_ERR_MALFORMED;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "bytes.h"

#include <ctype.h>
#include <string.h>

/* Text that is read, and the bytes that come of it. */
struct text_reader {
    const char *at;
    const char *end;
    uint8_t *bytes;
    size_t count;
};

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t digits_at(const char *at, const char *end)
{
    size_t count = 0;

    while (at + count < end && digit_of(at[count]) >= 0)
        count++;
    return count;
}

/* The last line of hexdump -C: the offset of the end, and nothing more. */
static bool is_end_of_dump(const struct text_reader *reader, const char *line_end)
{
    size_t digits = digits_at(reader->at, line_end);
    size_t offset = 0;

    if (digits < 7 || digits > 8 || reader->at + digits != line_end)
        return false;
    for (size_t i = 0; i < digits; i++)
        offset = offset << 4 | (size_t)digit_of(reader->at[i]);
    return offset == reader->count && offset != 0;
}

/* An offset at the front of a line of a dump: "00000010  01 00" or "00000010: 0100". */
static void pass_offset(struct text_reader *reader, const char *line_end)
{
    size_t digits = digits_at(reader->at, line_end);
    const char *next = reader->at + digits;

    if (digits < 4 || next == line_end)
        return;
    if (*next == ':' || (digits >= 7 && line_end - next > 2 && next[0] == ' ' && next[1] == ' '))
        reader->at = next + 1;
}

static bool take_digits(struct text_reader *reader, size_t digits)
{
    if (digits % 2 != 0 && digits != 1)
        return false;
    if (digits == 1) {
        reader->bytes[reader->count++] = (uint8_t)digit_of(*reader->at++);
        return true;
    }
    for (size_t i = 0; i < digits; i += 2) {
        reader->bytes[reader->count++] =
            (uint8_t)(digit_of(reader->at[0]) << 4 | digit_of(reader->at[1]));
        reader->at += 2;
    }
    return true;
}

static bool take_line(struct text_reader *reader, const char *line_end)
{
    bool dump;

    while (reader->at < line_end && isspace((unsigned char)*reader->at))
        reader->at++;
    if (is_end_of_dump(reader, line_end))
        return true;
    dump = reader->at < line_end;
    if (dump) {
        const char *before = reader->at;

        pass_offset(reader, line_end);
        dump = reader->at != before;
    }
    while (reader->at < line_end) {
        size_t digits;

        /* The column of characters: behind a bar, or two blanks after the pairs of xxd. */
        if (*reader->at == '|')
            break;
        if (dump && line_end - reader->at > 2 && reader->at[0] == ' ' && reader->at[1] == ' ' &&
            digits_at(reader->at + 2, line_end) == 0 && reader->at[2] != ' ')
            break;
        if (isspace((unsigned char)*reader->at) || strchr(",{};", *reader->at) != NULL) {
            reader->at++;
            continue;
        }
        if (line_end - reader->at > 2 && reader->at[0] == '0' && (reader->at[1] | 0x20) == 'x')
            reader->at += 2;
        digits = digits_at(reader->at, line_end);
        if (digits == 0 || !take_digits(reader, digits))
            return false;
    }
    return true;
}

bool bytes_from_text(struct blob *blob)
{
    struct text_reader reader = {(const char *)blob->bytes,
                                 (const char *)blob->bytes + blob->length, NULL, 0};

    reader.bytes = keep(blob->length + 1);
    if (memchr(blob->bytes, '\0', blob->length) != NULL)
        return false;
    while (reader.at < reader.end) {
        const char *newline = memchr(reader.at, '\n', (size_t)(reader.end - reader.at));
        const char *line_end = newline != NULL ? newline : reader.end;

        /* The words of a C declaration end in its brace. */
        if (memchr(reader.at, '{', (size_t)(line_end - reader.at)) != NULL)
            reader.at = (const char *)memchr(reader.at, '{', (size_t)(line_end - reader.at)) + 1;
        if (!take_line(&reader, line_end))
            return false;
        reader.at = newline != NULL ? newline + 1 : reader.end;
    }
    if (reader.count == 0)
        return false;
    blob->bytes = reader.bytes;
    blob->length = reader.count;
    return true;
}

/* Whether it has a byte that no text has. The bytes of a PROBE answer have many. */
static bool is_raw(const struct blob *blob)
{
    for (size_t i = 0; i < blob->length; i++) {
        if (isprint(blob->bytes[i]) == 0 && isspace(blob->bytes[i]) == 0)
            return true;
    }
    return blob->length == 0;
}

bool bytes_of(struct blob *blob)
{
    return is_raw(blob) || bytes_from_text(blob);
}

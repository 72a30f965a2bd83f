/* SPDX-License-Identifier: BSD-3-Clause */
#include "bytes.h"

#include <ctype.h>
#include <string.h>

#include "amounts.h"

#define MOST_REPEATED ((size_t)1 << 20) /* as much as a file may have */

/* Text that is read, and the bytes that come of it. */
struct text_reader {
    const char *at;
    const char *end;
    uint8_t *bytes;
    size_t count;
    bool based;  /* the next one is known */
    size_t base; /* offset of the first byte, where a dump is of a part */
    bool again;  /* "*": what follows is the line before, up to the next offset */
};

/* The number that `digits` are: od writes 7 of them, for an octal one. */
static size_t offset_of(const char *at, size_t digits)
{
    size_t offset = 0;

    for (size_t i = 0; i < digits; i++)
        offset = offset << (digits == 7 ? 3 : 4) | (size_t)hex_digit(at[i]);
    return offset;
}

/* The sixteen bytes before again and again, until there are `count`. */
static bool repeat_bytes(struct text_reader *reader, size_t count)
{
    reader->again = false;
    if (reader->count < 16 || count <= reader->count || count > MOST_REPEATED)
        return false;
    for (; reader->count < count; reader->count++)
        reader->bytes[reader->count] = reader->bytes[reader->count - 16];
    return true;
}

/*
 * An offset at the front of a line of a dump: "00000010  01 00" of hexdump -C, "00000010: 0100" of
 * xxd, "000010 01 00" of od -A x; and of its last line, which has nothing more. `dump` tells
 * whether there is one. False where it is not that of the next byte, as bytes would be missing or
 * be what is none; and for words (od -x), whose bytes stand in another order.
 */
static bool pass_offset(struct text_reader *reader, const char *line_end, bool *dump)
{
    size_t digits = hex_run(reader->at, line_end), offset;
    const char *next = reader->at + digits, *first = next;
    bool here, marked;

    *dump = false;
    if (digits < 4 || digits > 8)
        return !reader->again;
    while (first < line_end && *first == ' ')
        first++;
    offset = offset_of(reader->at, digits) - reader->base;
    here = digits >= 6 && (reader->again || offset == reader->count);
    marked = next < line_end && (*next == ':' || (digits >= 7 && first - next > 1));
    if (!marked && !(here && (next == line_end ? reader->count != 0 : digits < 8 && first > next)))
        return !reader->again;
    if (!marked && first < line_end && hex_run(first, line_end) != 2)
        return false;
    if (!reader->based)
        reader->base += offset - reader->count;
    offset -= reader->based ? 0 : offset - reader->count;
    reader->based = true;
    *dump = true;
    reader->at = next + (marked && *next == ':');
    return reader->again ? repeat_bytes(reader, offset) : offset == reader->count;
}

static bool take_digits(struct text_reader *reader, size_t digits)
{
    if (digits % 2 != 0 && digits != 1)
        return false;
    if (digits == 1) {
        reader->bytes[reader->count++] = (uint8_t)hex_digit(*reader->at++);
        return true;
    }
    for (size_t i = 0; i < digits; i += 2) {
        reader->bytes[reader->count++] =
            (uint8_t)(hex_digit(reader->at[0]) << 4 | hex_digit(reader->at[1]));
        reader->at += 2;
    }
    return true;
}

/* Whether the column of characters begins here: behind a bar, or two blanks behind the bytes. */
static bool at_characters(const struct text_reader *reader, const char *line_end, size_t bytes)
{
    const char *at = reader->at;

    if (*at == '|')
        return true;
    return bytes != 0 && line_end - at > 2 && at[0] == ' ' && at[1] == ' ' &&
           (bytes >= 16 || at[2] == ' ' || hex_run(at + 2, line_end) == 0);
}

static bool take_line(struct text_reader *reader, const char *line_end)
{
    size_t before;
    bool dump;

    while (reader->at < line_end && isspace((unsigned char)*reader->at))
        reader->at++;
    while (line_end > reader->at && isspace((unsigned char)line_end[-1]))
        line_end--;
    if (line_end - reader->at == 1 && *reader->at == '*' && reader->based) {
        reader->again = true;
        return true;
    }
    if (reader->at == line_end)
        return true;
    if (!pass_offset(reader, line_end, &dump))
        return false;
    before = reader->count;
    while (reader->at < line_end) {
        size_t digits;

        if (dump && at_characters(reader, line_end, reader->count - before))
            break;
        if (isspace((unsigned char)*reader->at) || strchr(",{};", *reader->at) != NULL) {
            reader->at++;
            continue;
        }
        if (line_end - reader->at > 2 && reader->at[0] == '0' && (reader->at[1] | 0x20) == 'x')
            reader->at += 2;
        digits = hex_run(reader->at, line_end);
        if (digits == 0 || !take_digits(reader, digits))
            return false;
    }
    return true;
}

/* The words of a C declaration end in "= {". In a dump's column of characters there may be a brace,
 * too. */
static void pass_declaration(struct text_reader *reader, const char *line_end)
{
    const char *brace = memchr(reader->at, '{', (size_t)(line_end - reader->at));
    const char *before = brace;

    while (brace != NULL && before > reader->at && isspace((unsigned char)before[-1]))
        before--;
    if (brace != NULL && (before == reader->at || before[-1] == '='))
        reader->at = brace + 1;
}

bool bytes_from_text(struct blob *blob)
{
    struct text_reader reader = {.at = (const char *)blob->bytes,
                                 .end = (const char *)blob->bytes + blob->length};

    if (memchr(blob->bytes, '\0', blob->length) != NULL)
        return false;
    reader.bytes = keep(blob->length + 1 +
                        (memchr(blob->bytes, '*', blob->length) != NULL ? MOST_REPEATED : 0));
    while (reader.at < reader.end) {
        const char *newline = memchr(reader.at, '\n', (size_t)(reader.end - reader.at));
        const char *line_end = newline != NULL ? newline : reader.end;

        if (reader.count == 0)
            pass_declaration(&reader, line_end);
        if (!take_line(&reader, line_end))
            return false;
        reader.at = newline != NULL ? newline + 1 : reader.end;
    }
    if (reader.count == 0 || reader.again)
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

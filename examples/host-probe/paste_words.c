/* SPDX-License-Identifier: BSD-3-Clause */

/* The words of a pasted line. */

#include "paste.h"

#include <ctype.h>
#include <string.h>

/* Behind the first `word` of the line from `from` on; NULL when it is not there. */
const char *line_after(const struct reader *reader, const char *from, const char *word)
{
    size_t length = strlen(word);
    const char *found = memmem(from, (size_t)(reader->end - from), word, length);

    return found != NULL ? found + length : NULL;
}

/* A number in hexadecimal, with 0x or without. */
const char *line_hex(const struct reader *reader, const char *at, uint64_t *value)
{
    unsigned digits = 0;

    if (reader->end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
        at += 2;
    *value = 0;
    for (; at < reader->end && isxdigit((unsigned char)*at) != 0; at++, digits++) {
        unsigned char c = (unsigned char)tolower((unsigned char)*at);

        *value = *value << 4 | (uint64_t)(isdigit(c) != 0 ? c - '0' : c - 'a' + 10);
    }
    return digits > 0 && digits <= 16 ? at : NULL;
}

const char *line_blanks(const struct reader *reader, const char *at)
{
    while (at < reader->end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* Whether hexadecimal digits, as many as `form` has x, and its other characters stand there. */
bool line_has_form(const struct reader *reader, const char *at, const char *form)
{
    for (; *form != '\0'; form++, at++) {
        if (at >= reader->end || (*form == 'x' ? isxdigit((unsigned char)*at) == 0 : *at != *form))
            return false;
    }
    return at >= reader->end || isxdigit((unsigned char)*at) == 0;
}

const char *line_address(const struct reader *reader, const char *at,
                         char address[ADDRESS_LENGTH + 1])
{
    size_t length = pci_address(at, reader->end, address);

    return length != 0 ? at + length : NULL;
}

const char *line_device(const struct reader *reader, const char *at, char name[64])
{
    const char *end = line_address(reader, at, name);
    size_t length = 0;

    if (end != NULL)
        return end;
    while (at < reader->end && length < 63 &&
           (isalnum((unsigned char)*at) != 0 || (*at != '\0' && strchr("._-+:@,", *at) != NULL)))
        name[length++] = *at++;
    /* The heading of a folder ends in a colon. */
    if (length != 0 && name[length - 1] == ':')
        length--;
    name[length] = '\0';
    return length != 0 ? at : NULL;
}

/* The first address in a part of the line, where no other character of one stands before it. */
const char *line_find_address(const struct reader *reader, const char *from,
                              char address[ADDRESS_LENGTH + 1])
{
    for (const char *at = from; at < reader->end; at++) {
        const char *end;

        if (at > from && (isalnum((unsigned char)at[-1]) != 0 || at[-1] == ':'))
            continue;
        end = line_address(reader, at, address);
        if (end != NULL)
            return end;
    }
    return NULL;
}

/* A word of the characters that names have, at most 63 of them; NULL when there is none. */
const char *line_name(const struct reader *reader, const char *at, char name[64])
{
    size_t length = 0;

    while (at < reader->end && length < 63 &&
           (isalnum((unsigned char)*at) != 0 || (*at != '\0' && strchr("._-+", *at) != NULL)))
        name[length++] = *at++;
    name[length] = '\0';
    return length != 0 ? at : NULL;
}

const char *line_rest(const struct reader *reader, const char *at)
{
    const char *end = reader->end;

    while (end > at && isspace((unsigned char)end[-1]) != 0)
        end--;
    return text("%.*s", (int)(end - at), at);
}

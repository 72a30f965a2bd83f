/* SPDX-License-Identifier: BSD-3-Clause */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of UTF-8 that begin a character. */
static unsigned columns_of(const char *words, size_t length)
{
    unsigned columns = 0;

    for (size_t i = 0; i < length; i++)
        columns += ((unsigned char)words[i] & 0xc0) != 0x80;
    return columns;
}

static void put_word(const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++)
        putchar((unsigned char)word[i] < 0x20 || word[i] == 0x7f ? '?' : word[i]);
}

void say(unsigned width, unsigned indent, const char *format, ...)
{
    va_list arguments;
    char *words = NULL;
    const char *at;
    unsigned column = indent;
    bool first = true;

    va_start(arguments, format);
    if (vasprintf(&words, format, arguments) < 0)
        die(EXIT_BAD_INPUT, "out of memory");
    va_end(arguments);
    printf("%*s", (int)indent, "");
    for (at = words; *at != '\0';) {
        size_t length = strcspn(at, " ");
        unsigned columns = columns_of(at, length);

        if (!first && width != 0 && column + 1 + columns > width) {
            printf("\n%*s", (int)indent + 2, "");
            column = indent + 2;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        put_word(at, length);
        column += columns;
        first = false;
        at += length;
        at += *at == ' ';
    }
    putchar('\n');
    free(words);
}

const char *range_size_text(struct iovageom_range range)
{
    return size_text(iovageom_range_size(range));
}

const char *count_text(uint64_t count, const char *noun)
{
    return text("%s %s%s", grouped(count), noun, count == 1 ? "" : "s");
}

const char *grouped(uint64_t number)
{
    char *plain = text("%llu", (unsigned long long)number);
    size_t length = strlen(plain);
    char *made = keep(length + length / 3 + 1);
    size_t at = 0;

    for (size_t i = 0; i < length; i++) {
        if (i != 0 && (length - i) % 3 == 0)
            made[at++] = ',';
        made[at++] = plain[i];
    }
    return made;
}

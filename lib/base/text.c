/* SPDX-License-Identifier: BSD-3-Clause */
#include "text.h"

void iovageom_text_init(struct iovageom_text *text, char *out, size_t size)
{
    text->out = out;
    text->size = size;
    text->length = 0;
    if (size > 0)
        out[0] = '\0';
}

/* `length + 1 < size` leaves room for the NUL. `length` goes on counting when the buffer is full:
 * the caller learns from it how much room the text needs. */
static void put_char(struct iovageom_text *text, char c)
{
    if (text->length + 1 < text->size) {
        text->out[text->length] = c;
        text->out[text->length + 1] = '\0';
    }
    text->length++;
}

void iovageom_text_string(struct iovageom_text *text, const char *string, size_t limit)
{
    for (size_t i = 0; i < limit && string[i] != '\0'; i++)
        put_char(text, string[i]);
}

static void put_number(struct iovageom_text *text, uint64_t number, unsigned base)
{
    char digits[20]; /* 2^64-1 has 20 decimal digits */
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    while (count > 0)
        put_char(text, digits[--count]);
}

void iovageom_text_decimal(struct iovageom_text *text, uint64_t number)
{
    put_number(text, number, 10);
}

void iovageom_text_hex(struct iovageom_text *text, uint64_t number)
{
    iovageom_text_string(text, "0x", SIZE_MAX);
    put_number(text, number, 16);
}

void iovageom_text_range(struct iovageom_text *text, struct iovageom_range range)
{
    put_char(text, '[');
    iovageom_text_hex(text, range.start);
    put_char(text, ',');
    iovageom_text_hex(text, range.last);
    put_char(text, ']');
}

size_t iovageom_text_length(const char *string, size_t limit)
{
    size_t length = 0;

    while (length < limit && string[length] != '\0')
        length++;
    return length;
}

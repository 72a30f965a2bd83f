/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_TEXT_H
#define IOVAGEOM_LIB_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/range.h>

/*
 * Writes sentences into a buffer, without stdio. Never writes past it: what does not fit is only
 * counted, so that a caller learns the length that would have been needed. With size > 0 the buffer
 * is NUL-terminated after every call.
 */
struct iovageom_text {
    char *out;
    size_t size;
    size_t length; /* of the whole text, as if there had been room */
};

void iovageom_text_init(struct iovageom_text *text, char *out, size_t size);
/* At most `limit` bytes of `string`; SIZE_MAX for all. */
void iovageom_text_string(struct iovageom_text *text, const char *string, size_t limit);
void iovageom_text_decimal(struct iovageom_text *text, uint64_t number);
/* With 0x, without leading zeros. */
void iovageom_text_hex(struct iovageom_text *text, uint64_t number);
/* [0xstart,0xlast] */
void iovageom_text_range(struct iovageom_text *text, struct iovageom_range range);

/* The length of a string, at most `limit`, so that one without a NUL may be given. Not strlen(): of
 * the C library only memcpy, memmove, memset and memcmp are used. */
size_t iovageom_text_length(const char *string, size_t limit);

#endif

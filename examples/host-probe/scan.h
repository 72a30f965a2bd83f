/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_SCAN_H
#define HOST_PROBE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words and numbers in a line, which may be any bytes. Nothing here allocates. */

/** What is left of a line. */
struct scan {
    const char *at;
    const char *end;
};

size_t scan_left(const struct scan *scan);

/** Whether `words` come next, in letters of any case; they are passed over. */
bool scan_take(struct scan *scan, const char *words);

/** What stands behind the first `words` of a line; nothing where there are none. */
bool scan_find(const struct scan *line, const char *words, struct scan *behind);

bool scan_has(const struct scan *line, const char *words);

/** Passes over all of these bytes. */
void scan_pass(struct scan *scan, const char *bytes);

/** A digit's value, of 16 at most, or -1. */
int scan_hex_value(char byte);

/** Whether a byte may be part of a name or a number. */
bool scan_is_word(char byte);

/** A number as printf("%#x"), "%p" and "%d" write it, behind blanks. */
bool scan_number(struct scan *scan, uint64_t *value);

/** One that is hexadecimal with and without 0x, behind blanks and brackets: so the kernel writes
 * some. */
bool scan_hex(struct scan *scan, uint64_t *value);

#endif

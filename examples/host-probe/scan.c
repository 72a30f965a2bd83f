/* SPDX-License-Identifier: BSD-3-Clause */
#include "scan.h"

#include <string.h>

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

int scan_hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = lower(byte);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

bool scan_is_word(char byte)
{
    return scan_hex_value(byte) >= 0 || (lower(byte) >= 'a' && lower(byte) <= 'z') || byte == '_';
}

size_t scan_left(const struct scan *scan)
{
    return (size_t)(scan->end - scan->at);
}

bool scan_take(struct scan *scan, const char *words)
{
    size_t length = strlen(words);

    if (scan_left(scan) < length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (lower(scan->at[i]) != lower(words[i]))
            return false;
    }
    scan->at += length;
    return true;
}

bool scan_find(const struct scan *line, const char *words, struct scan *behind)
{
    const size_t length = strlen(words);
    const char first = lower(*words);

    for (*behind = *line; scan_left(behind) >= length && length != 0; behind->at++) {
        if (lower(*behind->at) == first && scan_take(behind, words))
            return true;
    }
    behind->at = behind->end;
    return false;
}

bool scan_has(const struct scan *line, const char *words)
{
    struct scan behind;

    return scan_find(line, words, &behind);
}

void scan_pass(struct scan *scan, const char *bytes)
{
    while (scan_left(scan) > 0 && *scan->at != '\0' && strchr(bytes, *scan->at) != NULL)
        scan->at++;
}

static bool digits(struct scan *scan, unsigned base, uint64_t *value)
{
    const char *first = scan->at;

    *value = 0;
    for (; scan_left(scan) > 0; scan->at++) {
        int digit = scan_hex_value(*scan->at);

        if (digit < 0 || (unsigned)digit >= base)
            break;
        if (*value > (UINT64_MAX - (unsigned)digit) / base)
            return false;
        *value = *value * base + (unsigned)digit;
    }
    return scan->at != first;
}

bool scan_number(struct scan *scan, uint64_t *value)
{
    scan_pass(scan, " \t");
    if (scan_take(scan, "(nil)")) {
        *value = 0;
        return true;
    }
    return scan_take(scan, "0x") ? digits(scan, 16, value) : digits(scan, 10, value);
}

bool scan_hex(struct scan *scan, uint64_t *value)
{
    scan_pass(scan, " \t(");
    (void)scan_take(scan, "0x");
    return digits(scan, 16, value);
}

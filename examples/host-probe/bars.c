/* SPDX-License-Identifier: BSD-3-Clause */
#include "bars.h"

#include <stdio.h>
#include <string.h>

#include "amounts.h"
#include "basics.h"

#define GIB (1ULL << 30)

void bars_put(struct bars *bars, unsigned number, uint64_t size, bool low)
{
    size_t i = 0;

    if (number >= BARS_OF_DEVICE || !is_power(size) || (low && size > 2 * GIB))
        return;
    while (i < bars->count && bars->list[i].number != number)
        i++;
    bars->list[i].size = size;
    bars->list[i].low = low;
    bars->list[i].number = number;
    if (i == bars->count)
        bars->count++;
}

/*
 * Lines "START LAST FLAGS", the six BARs first; one that is not there is all zeros. Of the flags,
 * 0x200 is memory and 0x100000 is 64 bits (Linux, ioport.h, as the file has shown them ever since).
 */
void bars_of_resource(struct bars *bars, const char *words)
{
    unsigned long long start, last, flags;
    int length;

    for (unsigned i = 0; i < BARS_OF_DEVICE; i++, words += length) {
        if (sscanf(words, " %llx %llx %llx%n", &start, &last, &flags, &length) != 3)
            return;
        if ((flags & 0x200) != 0 && last > start)
            bars_put(bars, i, last - start + 1, (flags & 0x100000) == 0);
    }
}

bool bars_of_lspci(struct bars *bars, const char *line, size_t length)
{
    char copy[256];
    const char *at, *size, *region;
    unsigned number = (unsigned)bars->count;
    uint64_t value;

    if (length >= sizeof(copy))
        return false;
    memcpy(copy, line, length);
    copy[length] = '\0';
    at = strstr(copy, "Memory at ");
    size = at != NULL ? strstr(at, "[size=") : NULL;
    if (size == NULL)
        return false;
    size += strlen("[size=");
    if (!amount_take(&size, &value) || *size != ']')
        return false;
    /* With -v alone they have no numbers. */
    region = strstr(copy, "Region ");
    if (region != NULL && region[7] >= '0' && region[7] <= '5')
        number = (unsigned)(region[7] - '0');
    bars_put(bars, number, value, strstr(at, "64-bit") == NULL);
    return true;
}

const char *bars_words(const struct bars *bars)
{
    struct buffer words = {NULL, 0, 0};

    for (size_t i = 0; i < bars->count; i++)
        buffer_add(&words, "%s0x%llx/%s", i != 0 ? "," : "", (unsigned long long)bars->list[i].size,
                   bars->list[i].low ? "32" : "64");
    return buffer_text(&words);
}

bool bars_of_words(struct bars *bars, const char *words)
{
    bars->count = 0;
    for (unsigned i = 0; i < BARS_OF_DEVICE; i++) {
        unsigned long long size;
        unsigned bits;
        int length = -1;

        if (sscanf(words, "0x%16llx/%2u%n", &size, &bits, &length) != 2 || length < 0 ||
            (bits != 32 && bits != 64))
            break;
        bars_put(bars, i, size, bits == 32);
        words += length;
        if (bars->count != i + 1)
            break;
        if (*words == '\0')
            return true;
        if (*words++ != ',')
            break;
    }
    bars->count = 0;
    return false;
}

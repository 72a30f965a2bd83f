/* SPDX-License-Identifier: BSD-3-Clause */
#include "bars.h"

#include <stdio.h>
#include <string.h>

#include <iovageom/pgsize.h>

#include "amounts.h"

#define GIB (1ULL << 30)

static void add_bar(struct bars *bars, uint64_t size, bool low)
{
    if (bars->count == BARS_OF_DEVICE || !iovageom_pgsize_is_power(size) || (low && size > 2 * GIB))
        return;
    bars->list[bars->count].size = size;
    bars->list[bars->count++].low = low;
}

/*
 * Lines "START LAST FLAGS", the six BARs first; one that is not there is all zeros. Of the flags,
 * 0x200 is memory and 0x100000 is 64 bits (Linux, ioport.h, as the file has shown them ever since).
 */
void bars_of_resource(struct bars *bars, const char *words)
{
    unsigned long long start, last, flags;
    int length;

    for (int i = 0; i < BARS_OF_DEVICE; i++, words += length) {
        if (sscanf(words, " %llx %llx %llx%n", &start, &last, &flags, &length) != 3)
            return;
        if ((flags & 0x200) != 0 && last > start)
            add_bar(bars, last - start + 1, (flags & 0x100000) == 0);
    }
}

bool bars_of_lspci(struct bars *bars, const char *line, size_t length)
{
    char copy[256];
    const char *at, *size;
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
    add_bar(bars, value, strstr(at, "64-bit") == NULL);
    return true;
}

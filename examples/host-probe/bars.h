/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_BARS_H
#define HOST_PROBE_BARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The BARs of a PCI device, as far as a guest's layout goes: their sizes. */

#define BARS_OF_DEVICE 6

struct bars {
    struct {
        uint64_t size;   /**< a power of two */
        bool low;        /**< of 32 bits */
        unsigned number; /**< of the BAR; each is there once */
    } list[BARS_OF_DEVICE];
    size_t count;
};

/** Adds a BAR, or replaces the one of that number. What no BAR can be is left out. */
void bars_put(struct bars *bars, unsigned number, uint64_t size, bool low);

/** From the text of the file "resource" of a device in sysfs. */
void bars_of_resource(struct bars *bars, const char *words);

/**
 * Takes a line of `lspci -v` in: "Region 0: Memory at f6000000 (32-bit, non-prefetchable)
 * [size=16M]". False where it is no such line.
 */
bool bars_of_lspci(struct bars *bars, const char *line, size_t length);

/** As a snapshot has them: "0x1000000/32,0x400000000/64"; "" for none. */
const char *bars_words(const struct bars *bars);

/** Reads those words. False where they are not of that form; then there are none. */
bool bars_of_words(struct bars *bars, const char *words);

#endif

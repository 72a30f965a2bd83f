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
        uint64_t size; /**< a power of two */
        bool low;      /**< of 32 bits */
    } list[BARS_OF_DEVICE];
    size_t count;
};

/** From the text of the file "resource" of a device in sysfs. */
void bars_of_resource(struct bars *bars, const char *words);

/**
 * Takes a line of `lspci -v` in: "Region 0: Memory at f6000000 (32-bit, non-prefetchable) [size=16M]".
 * False where it is no such line.
 */
bool bars_of_lspci(struct bars *bars, const char *line, size_t length);

#endif

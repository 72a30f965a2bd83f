/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold_file.h"

#include "sort.h"

#include <stdint.h>
#include <string.h>

enum { CHUNK = 64 };

static void exchange(uint8_t *a, uint8_t *b, size_t size)
{
    uint8_t held[CHUNK];

    for (size_t done = 0; done < size; done += CHUNK) {
        size_t part = size - done < CHUNK ? size - done : CHUNK;

        memcpy(held, a + done, part);
        memcpy(a + done, b + done, part);
        memcpy(b + done, held, part);
    }
}

/* Heap sort: no input makes it slow, as quick sort's worst case would, and it needs no memory, as
 * merging does. What is sorted already, as most lists of a kernel are, is found out by one look.
 *
 * Lets item number `at` sink below larger ones, in a heap of `count` with the largest on top. */
static void sink(uint8_t *items, size_t at, size_t count, size_t size,
                 int (*compare)(const void *a, const void *b))
{
    for (size_t child; at < count / 2; at = child) {
        child = 2 * at + 1;
        if (child + 1 < count && compare(items + child * size, items + (child + 1) * size) < 0)
            child++;
        if (compare(items + at * size, items + child * size) >= 0)
            return;
        exchange(items + at * size, items + child * size, size);
    }
}

void iovageom_sort(void *items, size_t count, size_t size,
                   int (*compare)(const void *a, const void *b))
{
    uint8_t *bytes = items;
    size_t sorted = 1;

    while (sorted < count && compare(bytes + (sorted - 1) * size, bytes + sorted * size) <= 0)
        sorted++;
    if (sorted >= count)
        return;
    for (size_t at = count / 2; at-- > 0;)
        sink(bytes, at, count, size, compare);
    for (size_t end = count - 1; end > 0; end--) {
        exchange(bytes, bytes + end * size, size);
        sink(bytes, 0, end, size, compare);
    }
}

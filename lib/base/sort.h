/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_SORT_H
#define IOVAGEOM_LIB_SORT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Heap sort, because lists come from a kernel or a guest that may be hostile: no input makes it
 * slow, as the worst case of quick sort does, it needs no memory, as merging does, and does not
 * recurse. In a header, because the guest library needs it too, and only uses what the core
 * exports.
 */

enum { IOVAGEOM_SORT_CHUNK = 64 }; /* bytes on the stack for an exchange: items may have any size */

static inline void iovageom_sort_exchange(uint8_t *a, uint8_t *b, size_t size)
{
    uint8_t held[IOVAGEOM_SORT_CHUNK];

    for (size_t done = 0; done < size; done += IOVAGEOM_SORT_CHUNK) {
        size_t part = size - done < IOVAGEOM_SORT_CHUNK ? size - done : IOVAGEOM_SORT_CHUNK;

        memcpy(held, a + done, part);
        memcpy(a + done, b + done, part);
        memcpy(b + done, held, part);
    }
}

/*
 * Restores the heap after item `at` was replaced: moves it down below its larger children. In a
 * heap of `count` items, item n has the children 2n + 1 and 2n + 2 and is not less than either.
 */
static inline void iovageom_sort_sink(uint8_t *items, size_t at, size_t count, size_t size,
                                      int (*compare)(const void *a, const void *b))
{
    for (size_t child; at < count / 2; at = child) {
        child = 2 * at + 1;
        if (child + 1 < count && compare(items + child * size, items + (child + 1) * size) < 0)
            child++;
        if (compare(items + at * size, items + child * size) >= 0)
            return;
        iovageom_sort_exchange(items + at * size, items + child * size, size);
    }
}

/*
 * Sorts `count` items of `size` bytes in place, ascending by `compare`, which gives a number below,
 * at or above 0. Not stable: equal items may change places. O(n log n) for any input. Most lists of
 * a kernel are sorted already: one pass finds that out and ends there.
 */
static inline void iovageom_sort(void *items, size_t count, size_t size,
                                 int (*compare)(const void *a, const void *b))
{
    uint8_t *bytes = (uint8_t *)items;
    size_t sorted = 1;

    while (sorted < count && compare(bytes + (sorted - 1) * size, bytes + sorted * size) <= 0)
        sorted++;
    if (sorted >= count)
        return;
    for (size_t at = count / 2; at-- > 0;)
        iovageom_sort_sink(bytes, at, count, size, compare);
    for (size_t end = count - 1; end > 0; end--) {
        iovageom_sort_exchange(bytes, bytes + end * size, size);
        iovageom_sort_sink(bytes, 0, end, size, compare);
    }
}

#endif

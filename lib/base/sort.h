/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_SORT_H
#define IOVAGEOM_LIB_SORT_H

#include <stddef.h>

/*
 * Sorts `count` items of `size` bytes in place, ascending by `compare`, which gives a number below,
 * at or above 0. Not stable: equal items may change places. O(n log n) for any input, O(n) for a
 * sorted one. Allocates nothing and does not recurse.
 */
void iovageom_sort(void *items, size_t count, size_t size,
                   int (*compare)(const void *a, const void *b));

#endif

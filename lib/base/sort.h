/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_SORT_H
#define IOVAGEOM_LIB_SORT_H

#include <stddef.h>

#include "hints.h"

/*
 * Sorts items in place, ascending by `compare`; equal ones may change places. What is sorted already
 * costs one look. O(n log n) for any input; allocates nothing and calls itself nowhere.
 */
IOVAGEOM_COLD void iovageom_sort(void *items, size_t count, size_t size,
                                 int (*compare)(const void *a, const void *b));

#endif

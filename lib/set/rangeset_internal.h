/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_RANGESET_INTERNAL_H
#define IOVAGEOM_LIB_RANGESET_INTERNAL_H

#include <iovageom/rangeset.h>

#include "../base/hints.h"

/*
 * Hands results out: each of `sets` that is not NULL becomes what its `from` is, and keeps its
 * allocator. All of them or, when there is no memory, none. What is in `from` afterwards is to be
 * given back.
 */
IOVAGEOM_COLD int iovageom_rangesets_give(struct iovageom_rangeset *const *sets,
                                          struct iovageom_rangeset *from, size_t count);

#endif

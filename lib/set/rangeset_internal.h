/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_RANGESET_INTERNAL_H
#define IOVAGEOM_LIB_RANGESET_INTERNAL_H

#include <iovageom/rangeset.h>

#include "../base/hints.h"

/*
 * Moves `count` results into the caller's sets: sets[i] becomes what from[i] is, and keeps its own
 * allocator; where sets[i] is NULL, the result is not wanted. All or, with IOVAGEOM_ERR_NO_MEMORY,
 * none. In both cases the caller must call deinit for each of `from`, whose contents are then
 * unspecified.
 */
IOVAGEOM_COLD int iovageom_rangesets_give(struct iovageom_rangeset *const *sets,
                                          struct iovageom_rangeset *from, size_t count);

#endif

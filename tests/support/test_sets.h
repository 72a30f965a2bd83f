/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_SETS_H
#define IOVAGEOM_TEST_SETS_H

#include <iovageom/rangeset.h>

/* Whether every address of `inner` is in `outer`: each of its ranges, one after the other. */
static inline bool test_subset(const struct iovageom_rangeset *inner,
                               const struct iovageom_rangeset *outer)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    iovageom_rangeset_seek(inner, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range)) {
        if (!iovageom_rangeset_contains(outer, range))
            return false;
    }
    return true;
}

#endif

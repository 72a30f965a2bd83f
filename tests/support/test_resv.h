/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_RESV_H
#define IOVAGEOM_TEST_RESV_H

#include "geometry/internal.h"

/** Whether both hold the same statements of the same owners. */
static inline bool test_resv_equal(const struct iovageom_resv *a, const struct iovageom_resv *b)
{
    enum iovageom_resv_type type, other_type;
    const struct iovageom_owner *owner, *other_owner;
    const struct iovageom_rangeset *ranges, *other_ranges;

    if (iovageom_resv_statement_count(a) != iovageom_resv_statement_count(b))
        return false;
    for (size_t i = 0; iovageom_resv_statement(a, i, &type, &owner, &ranges) == 0; i++)
        if (iovageom_resv_statement(b, i, &other_type, &other_owner, &other_ranges) < 0 ||
            type != other_type || iovageom_owner_compare(owner, other_owner) != 0 ||
            !iovageom_rangeset_equal(ranges, other_ranges))
            return false;
    return true;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_ACCEPTS_H
#define IOVAGEOM_TEST_ACCEPTS_H

#include <stdlib.h>

#include <iovageom/geometry.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>

static inline bool test_accepts(const struct iovageom_geometry *geometry,
                                struct iovageom_range range)
{
    return iovageom_geometry_explain(geometry, range, NULL) == IOVAGEOM_OK;
}

/** Usable addresses in whole granules. */
static inline void test_usable(const struct iovageom_geometry *geometry, uint64_t granule,
                               struct iovageom_rangeset *out)
{
    if (iovageom_rangeset_init(out, NULL) != IOVAGEOM_OK ||
        iovageom_geometry_usable(geometry, granule, out) != IOVAGEOM_OK)
        abort();
}

/** Whether whatever `inner` accepts, `outer` accepts too: usable addresses, granule and budget. */
static inline bool test_within(const struct iovageom_geometry *inner,
                               const struct iovageom_geometry *outer)
{
    uint64_t inner_granule = 1, outer_granule = 1;
    uint64_t inner_budget = UINT64_MAX, outer_budget = UINT64_MAX;
    struct iovageom_rangeset usable, there;
    bool fits;

    if (iovageom_geometry_granule(inner, &inner_granule) == IOVAGEOM_ERR_NOTHING_USABLE)
        return true;
    fits = iovageom_geometry_granule(outer, &outer_granule) != IOVAGEOM_ERR_NOTHING_USABLE &&
           outer_granule <= inner_granule;
    (void)iovageom_geometry_map_budget(inner, &inner_budget);
    (void)iovageom_geometry_map_budget(outer, &outer_budget);
    test_usable(inner, inner_granule, &usable);
    test_usable(outer, inner_granule, &there);
    if (fits && inner_budget <= outer_budget &&
        iovageom_rangeset_difference(&usable, &usable, &there) != IOVAGEOM_OK)
        abort();
    fits = iovageom_rangeset_count(&usable) == 0;
    iovageom_rangeset_deinit(&usable);
    iovageom_rangeset_deinit(&there);
    return fits;
}

#endif

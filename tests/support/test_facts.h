/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_FACTS_H
#define IOVAGEOM_TEST_FACTS_H

#include "geometry/internal.h"

/** How many facts are regions: distinct pairs of owner and type. */
static inline size_t test_regions_count(const struct iovageom_geometry *geometry)
{
    size_t count = 0;

    for (size_t i = 0; iovageom_geometry_next_regions(geometry, &i) != NULL;)
        count++;
    return count;
}

/** All addresses that some owner forbids. */
static inline int test_forbidden(const struct iovageom_geometry *geometry,
                                 struct iovageom_rangeset *out)
{
    const int status = iovageom_geometry_usable(geometry, 1, out);

    return status != 0
               ? status
               : iovageom_rangeset_complement(out, out, (struct iovageom_range){0, UINT64_MAX});
}

/** The usable addresses that `after` has and `before` lacks, and the reverse. */
static inline int test_difference(const struct iovageom_geometry *before,
                                  const struct iovageom_geometry *after,
                                  struct iovageom_rangeset *added,
                                  struct iovageom_rangeset *removed)
{
    struct iovageom_rangeset old;
    int status = iovageom_rangeset_init(&old, NULL);

    if (status == 0)
        status = iovageom_geometry_usable(before, 1, &old);
    if (status == 0)
        status = iovageom_geometry_usable(after, 1, added);
    if (status == 0)
        status = iovageom_rangeset_difference(removed, &old, added);
    if (status == 0)
        status = iovageom_rangeset_difference(added, added, &old);
    iovageom_rangeset_deinit(&old);
    return status;
}

/** The meet of two, in memory of the allocator of `a`. */
static inline int test_meet(const struct iovageom_geometry *a, const struct iovageom_geometry *b,
                            const char *name, struct iovageom_geometry **out)
{
    struct iovageom_geometry *met;
    int status = iovageom_geometry_new(&a->allocator, name, &met);

    *out = NULL;
    if (status < 0)
        return status;
    status = iovageom_geometry_narrow(met, a);
    if (status == 0)
        status = iovageom_geometry_narrow(met, b);
    if (status == 0)
        *out = met;
    else
        iovageom_geometry_free(met);
    return status;
}

/** Whether some owner forbids some address of `range`. */
static inline bool test_forbids(const struct iovageom_geometry *geometry,
                                struct iovageom_range range)
{
    const struct iovageom_geometry_fact *fact;

    for (size_t i = 0; (fact = iovageom_geometry_next_regions(geometry, &i)) != NULL;)
        if (iovageom_fact_forbids(fact) && iovageom_rangeset_overlaps(fact->ranges, range))
            return true;
    return false;
}

/** Whether both hold the same regions of the same owners. */
static inline bool test_regions_equal(const struct iovageom_geometry *a,
                                      const struct iovageom_geometry *b)
{
    const struct iovageom_geometry_fact *of_a, *of_b;
    size_t j = 0;

    if (test_regions_count(a) != test_regions_count(b))
        return false;
    for (size_t i = 0; (of_a = iovageom_geometry_next_regions(a, &i)) != NULL;) {
        of_b = iovageom_geometry_next_regions(b, &j);
        if (of_a->kind != of_b->kind || iovageom_owner_compare(&of_a->owner, &of_b->owner) != 0 ||
            !iovageom_rangeset_equal(of_a->ranges, of_b->ranges))
            return false;
    }
    return true;
}

#endif

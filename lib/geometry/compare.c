/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include "../base/range.h"
#include "internal.h"

/* Walks both from 0 upward, to the end of the shorter piece each time. Owners do not count. */
static bool equal_regions(const struct iovageom_geometry *a, const struct iovageom_geometry *b)
{
    const struct iovageom_geometry_fact *fact_a = NULL, *fact_b = NULL;
    struct iovageom_range rest_a = IOVAGEOM_EVERYTHING, rest_b, of_a, of_b;
    struct iovageom_walk walk_a, walk_b;
    bool equal = true;

    iovageom_walk_open(&walk_a, a);
    iovageom_walk_open(&walk_b, b);
    for (rest_b = rest_a; equal && iovageom_walk_next(&walk_a, &rest_a, &of_a, &fact_a) &&
                          iovageom_walk_next(&walk_b, &rest_b, &of_b, &fact_b);
         rest_a = rest_b) {
        equal = iovageom_fact_type(fact_a) == iovageom_fact_type(fact_b);
        if (of_a.last < of_b.last)
            rest_b = rest_a;
    }
    iovageom_walk_close(&walk_a);
    iovageom_walk_close(&walk_b);
    return equal;
}

/*
 * All that a geometry has besides its regions. What is unknown stays 0, or is everything. Compared
 * by memcmp, so all bytes are set to 0 first, and all members are 64 bits wide, which leaves no
 * padding.
 */
struct numbers {
    uint64_t knows;
    struct iovageom_range aperture; /* of all; inverted when they have no address in common */
    uint64_t page_sizes;
    uint64_t alignment;
    uint64_t map_budget;
};

static struct iovageom_range apertures_of(const struct iovageom_geometry *geometry)
{
    struct iovageom_range all = IOVAGEOM_EVERYTHING;
    const struct iovageom_geometry_fact *fact;

    for (size_t i = 0;
         (fact = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_APERTURE, &i)) != NULL;)
        if (!iovageom_range_intersect(all, (struct iovageom_range){fact->value, fact->last}, &all))
            return (struct iovageom_range){1, 0};
    return all;
}

/* `lasting`: as iovageom_geometry_alike() has it, without the budgets that were left. */
static struct numbers numbers_of(const struct iovageom_geometry *geometry, bool lasting)
{
    struct numbers numbers;
    uint64_t left;

    memset(&numbers, 0, sizeof(numbers));
    numbers.knows = iovageom_geometry_knows(geometry);
    numbers.aperture = apertures_of(geometry);
    (void)iovageom_geometry_page_sizes(geometry, &numbers.page_sizes);
    (void)iovageom_geometry_alignment(geometry, &numbers.alignment);
    (void)iovageom_geometry_map_budget(geometry, &numbers.map_budget);
    if (lasting)
        iovageom_geometry_budgets(geometry, &numbers.map_budget, &left);
    if (lasting && numbers.map_budget == UINT64_MAX)
        numbers.knows &= ~(uint64_t)IOVAGEOM_FACT_MAP_BUDGET;
    return numbers;
}

static bool same(const struct iovageom_geometry *a, const struct iovageom_geometry *b, bool lasting)
{
    const struct numbers of_a = numbers_of(a, lasting);
    const struct numbers of_b = numbers_of(b, lasting);

    return memcmp(&of_a, &of_b, sizeof(of_a)) == 0 && equal_regions(a, b);
}

bool iovageom_geometry_equal(const struct iovageom_geometry *a, const struct iovageom_geometry *b)
{
    return same(a, b, false);
}

bool iovageom_geometry_alike(const struct iovageom_geometry *a, const struct iovageom_geometry *b)
{
    return same(a, b, true);
}

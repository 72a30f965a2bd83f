/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/range.h"
#include "../base/array.h"
#include "../base/bytes.h"
#include "internal.h"
#include "../set/rangeset_internal.h"

/*
 * One step of a walk, whose piece is as long as possible: pieces of several owners that follow one
 * another and have one type are taken together, since owners do not count in a comparison. With
 * `typed` false it only counts whether they forbid. *kind receives the type, or 1 for that.
 */
static bool next_kind(const struct iovageom_walk *walk, bool typed, struct iovageom_range *rest,
                      struct iovageom_range *piece, uint32_t *kind)
{
    const struct iovageom_geometry_fact *fact;
    struct iovageom_range ahead, more;

    if (!iovageom_walk_next(walk, rest, piece, &fact))
        return false;
    *kind = typed ? iovageom_fact_type(fact) : iovageom_fact_forbids(fact);
    for (ahead = *rest; iovageom_walk_next(walk, &ahead, &more, &fact) &&
                        *kind == (typed ? iovageom_fact_type(fact) : iovageom_fact_forbids(fact));
         *rest = ahead)
        piece->last = more.last;
    return true;
}

/* Walks both from 0 upward, piece by piece; each piece must be equally long and of equal type. */
static bool equal_regions(const struct iovageom_geometry *a, const struct iovageom_geometry *b)
{
    struct iovageom_range rest_a = IOVAGEOM_EVERYTHING, rest_b = IOVAGEOM_EVERYTHING;
    struct iovageom_range of_a, of_b;
    struct iovageom_walk walk_a, walk_b;
    uint32_t kind_a, kind_b;
    bool equal = true;

    iovageom_walk_open(&walk_a, a);
    iovageom_walk_open(&walk_b, b);
    while (equal && next_kind(&walk_a, true, &rest_a, &of_a, &kind_a) &&
           next_kind(&walk_b, true, &rest_b, &of_b, &kind_b))
        equal = kind_a == kind_b && of_a.last == of_b.last;
    iovageom_walk_close(&walk_a);
    iovageom_walk_close(&walk_b);
    return equal;
}

/*
 * All that a geometry has besides its regions. What is unknown stays 0. Compared by memcmp, so all
 * bytes are set to 0 first, and all members are 64 bits wide, which leaves no padding.
 */
struct numbers {
    uint64_t knows;
    uint64_t aperture_status; /* 1: apertures are known, but have no address in common */
    struct iovageom_range aperture;
    uint64_t page_sizes;
    uint64_t alignment;
    uint64_t map_budget;
};

/* `lasting`: as iovageom_geometry_alike() has it, without the budgets that were left. */
static struct numbers numbers_of(const struct iovageom_geometry *geometry, bool lasting)
{
    struct numbers numbers;
    uint64_t left;
    int status;

    memset(&numbers, 0, sizeof(numbers));
    numbers.knows = iovageom_geometry_knows(geometry);
    status = iovageom_geometry_aperture(geometry, &numbers.aperture, NULL);
    numbers.aperture_status = status == IOVAGEOM_ERR_NOTHING_USABLE;
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

/*
 * Whether `outer` accepts each whole granule that is usable in `inner`. `fits` is false when
 * `outer` refuses all mappings of `inner` for their granule or number; then `inner` must have no
 * whole granule that is usable.
 */
static bool regions_within(const struct iovageom_geometry *inner, uint64_t granule,
                           const struct iovageom_geometry *outer, bool fits)
{
    struct iovageom_range rest = IOVAGEOM_EVERYTHING, piece, whole;
    struct iovageom_walk inside, outside;
    bool within = true;
    uint32_t forbidden;

    iovageom_walk_open(&inside, inner);
    iovageom_walk_open(&outside, outer);
    while (within && next_kind(&inside, false, &rest, &piece, &forbidden))
        within = forbidden || !iovageom_range_align_inward(piece, granule, &whole) ||
                 (fits && !iovageom_walk_forbids(&outside, whole));
    iovageom_walk_close(&inside);
    iovageom_walk_close(&outside);
    return within;
}

bool iovageom_geometry_within(const struct iovageom_geometry *inner,
                              const struct iovageom_geometry *outer)
{
    uint64_t inner_granule = 1;
    uint64_t outer_granule = 1;
    uint64_t inner_budget = UINT64_MAX;
    uint64_t outer_budget = UINT64_MAX;

    if (iovageom_geometry_granule(inner, &inner_granule) == IOVAGEOM_ERR_NOTHING_USABLE)
        return true;
    if (iovageom_geometry_granule(outer, &outer_granule) == IOVAGEOM_ERR_NOTHING_USABLE)
        outer_granule = UINT64_MAX; /* above every granule: nothing fits */
    (void)iovageom_geometry_map_budget(inner, &inner_budget);
    (void)iovageom_geometry_map_budget(outer, &outer_budget);
    return regions_within(inner, inner_granule, outer,
                          outer_granule <= inner_granule && inner_budget <= outer_budget);
}

int iovageom_geometry_difference(const struct iovageom_geometry *before,
                                 const struct iovageom_geometry *after,
                                 struct iovageom_rangeset *added, struct iovageom_rangeset *removed)
{
    struct iovageom_rangeset old, now, more;
    int status;

    (void)iovageom_rangeset_init(&old, &before->allocator);
    (void)iovageom_rangeset_init(&now, &before->allocator);
    (void)iovageom_rangeset_init(&more, iovageom_rangeset_allocator(added));
    status = iovageom_geometry_usable(before, 1, &old);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_usable(after, 1, &now);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_difference(&more, &now, &old);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_difference(removed, &old, &now);
    /* Both are replaced, or none: nothing can fail any more. */
    if (status == IOVAGEOM_OK)
        iovageom_rangeset_swap(added, &more);
    iovageom_rangeset_deinit(&old);
    iovageom_rangeset_deinit(&now);
    iovageom_rangeset_deinit(&more);
    return status;
}

/* ---- fingerprint ---- */

static uint64_t mix(uint64_t hash, uint64_t number)
{
    uint8_t bytes[8];

    iovageom_store_le64(bytes, number);
    return iovageom_fnv(hash, bytes, sizeof(bytes));
}

/*
 * The value is the same on every machine and in every version with one major number: so numbers are
 * hashed one by one, in the order of struct numbers, which must not change. Then come the regions,
 * as iovageom_geometry_equal() compares them: joined by type whoever their owners are.
 */
int iovageom_geometry_fingerprint(const struct iovageom_geometry *geometry, uint64_t *fingerprint)
{
    const struct numbers numbers = numbers_of(geometry, false);
    uint64_t words[sizeof(numbers) / sizeof(uint64_t)];
    uint64_t hash = IOVAGEOM_FNV_NONE, last = 0;
    struct iovageom_range rest = IOVAGEOM_EVERYTHING, piece;
    struct iovageom_walk walk;
    uint32_t type;

    memcpy(words, &numbers, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        hash = mix(hash, words[i]);
    iovageom_walk_open(&walk, geometry);
    while (next_kind(&walk, true, &rest, &piece, &type))
        if (type != 0) {
            hash = mix(hash, last);
            hash = mix(hash, type);
            hash = mix(hash, piece.start);
            last = piece.last;
        }
    iovageom_walk_close(&walk);
    *fingerprint = mix(hash, last);
    return IOVAGEOM_OK;
}

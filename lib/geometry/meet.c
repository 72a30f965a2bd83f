/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "internal.h"
#include "../set/rangeset_internal.h"
#include "../base/text.h"

int iovageom_geometry_narrow(struct iovageom_geometry *geometry,
                             const struct iovageom_geometry *other)
{
    struct iovageom_resv *resv;
    int status = iovageom_geometry_reserve(geometry, geometry->count + other->count);

    if (status == IOVAGEOM_OK)
        status = iovageom_resv_union(geometry->resv, other->resv, &resv);
    if (status < 0)
        return status;
    iovageom_resv_free(geometry->resv);
    geometry->resv = resv;
    if (geometry != other)
        iovageom_geometry_put_all(geometry, other);
    return IOVAGEOM_OK;
}

int iovageom_geometry_copy(const struct iovageom_geometry *geometry, struct iovageom_geometry **out)
{
    return iovageom_geometry_copy_to(&geometry->allocator, geometry, out);
}

int iovageom_geometry_copy_to(const struct iovageom_allocator *allocator,
                              const struct iovageom_geometry *geometry,
                              struct iovageom_geometry **out)
{
    struct iovageom_geometry *copy;
    int status = iovageom_geometry_new(allocator, geometry->name, &copy);

    if (status < 0)
        return status;
    status = iovageom_geometry_narrow(copy, geometry);
    if (status < 0) {
        iovageom_geometry_free(copy);
        return status;
    }
    *out = copy;
    return IOVAGEOM_OK;
}

int iovageom_geometry_meet(const struct iovageom_geometry *a, const struct iovageom_geometry *b,
                           const char *name, struct iovageom_geometry **out)
{
    struct iovageom_geometry *met;
    int status = iovageom_geometry_new(&a->allocator, name, &met);

    if (status < 0)
        return status;
    status = iovageom_geometry_narrow(met, a);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_narrow(met, b);
    if (status < 0) {
        iovageom_geometry_free(met);
        return status;
    }
    *out = met;
    return IOVAGEOM_OK;
}

/* What shows at an address: a type, or without `typed` only whether something forbids (1 or 0). */
static uint32_t kind_at(const struct iovageom_resv_walk *walk, bool typed, uint64_t address,
                        uint64_t *last)
{
    uint32_t type = iovageom_resv_type_at(walk->resv, iovageom_resv_walk_at(walk, address, last));

    return typed ? type : type > IOVAGEOM_RESV_DIRECT_RELAXABLE;
}

/* The longest piece from `address` on that is of one kind. */
static uint32_t piece(const struct iovageom_resv_walk *walk, bool typed, uint64_t address,
                      uint64_t *last)
{
    uint32_t kind = kind_at(walk, typed, address, last);
    struct iovageom_range above;
    uint64_t end;

    while (iovageom_range_above((struct iovageom_range){address, *last}, &above) &&
           kind_at(walk, typed, above.start, &end) == kind)
        *last = end;
    return kind;
}

static bool equal_regions(const struct iovageom_geometry *a, const struct iovageom_geometry *b)
{
    struct iovageom_range rest = {0, IOVAGEOM_ADDRESS_MAX};
    struct iovageom_resv_walk of_a, of_b;
    bool equal;
    uint64_t last;

    iovageom_resv_walk_open(&of_a, a->resv);
    iovageom_resv_walk_open(&of_b, b->resv);
    do {
        equal =
            piece(&of_a, true, rest.start, &rest.last) == piece(&of_b, true, rest.start, &last) &&
            rest.last == last;
    } while (equal && iovageom_range_above(rest, &rest));
    iovageom_resv_walk_close(&of_a);
    iovageom_resv_walk_close(&of_b);
    return equal;
}

/* All that a geometry says besides its regions. What is unknown stays 0. */
struct numbers {
    uint64_t knows;
    uint64_t aperture_status;
    struct iovageom_range aperture;
    uint64_t page_sizes;
    uint64_t alignment;
    uint64_t map_budget;
};

static struct numbers numbers_of(const struct iovageom_geometry *geometry)
{
    struct numbers numbers;
    int status;

    memset(&numbers, 0, sizeof(numbers));
    numbers.knows = iovageom_geometry_knows(geometry);
    status = iovageom_geometry_aperture(geometry, &numbers.aperture, NULL);
    numbers.aperture_status = status == IOVAGEOM_ERR_NOTHING_USABLE;
    (void)iovageom_geometry_page_sizes(geometry, &numbers.page_sizes);
    (void)iovageom_geometry_alignment(geometry, &numbers.alignment);
    (void)iovageom_geometry_map_budget(geometry, &numbers.map_budget);
    return numbers;
}

bool iovageom_geometry_equal(const struct iovageom_geometry *a, const struct iovageom_geometry *b)
{
    struct numbers of_a = numbers_of(a);
    struct numbers of_b = numbers_of(b);

    return memcmp(&of_a, &of_b, sizeof(of_a)) == 0 && equal_regions(a, b);
}

/* What is left of a budget is taken out; a total stays. */
static struct numbers lasting_numbers_of(const struct iovageom_geometry *geometry)
{
    struct numbers numbers = numbers_of(geometry);
    uint64_t left;

    iovageom_geometry_budgets(geometry, &numbers.map_budget, &left);
    if (numbers.map_budget == UINT64_MAX)
        numbers.knows &= ~(uint64_t)IOVAGEOM_FACT_MAP_BUDGET;
    return numbers;
}

bool iovageom_geometry_alike(const struct iovageom_geometry *a, const struct iovageom_geometry *b)
{
    struct numbers of_a = lasting_numbers_of(a);
    struct numbers of_b = lasting_numbers_of(b);

    return memcmp(&of_a, &of_b, sizeof(of_a)) == 0 && equal_regions(a, b);
}

/* Whether `outer` takes all whole granules that `inner` leaves: none when `fits` is false. */
static bool regions_within(const struct iovageom_geometry *inner, uint64_t granule,
                           const struct iovageom_geometry *outer, bool fits)
{
    struct iovageom_range rest = {0, IOVAGEOM_ADDRESS_MAX};
    struct iovageom_resv_walk inside, outside;
    struct iovageom_range whole;
    bool within;

    iovageom_resv_walk_open(&inside, inner->resv);
    iovageom_resv_walk_open(&outside, outer->resv);
    do {
        within = piece(&inside, false, rest.start, &rest.last) != 0 ||
                 !iovageom_range_align_inward(rest, granule, &whole) ||
                 (fits && !iovageom_resv_walk_forbids(&outside, whole));
    } while (within && iovageom_range_above(rest, &rest));
    iovageom_resv_walk_close(&inside);
    iovageom_resv_walk_close(&outside);
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
        outer_granule = UINT64_MAX;
    (void)iovageom_geometry_map_budget(inner, &inner_budget);
    (void)iovageom_geometry_map_budget(outer, &outer_budget);
    return regions_within(inner, inner_granule, outer,
                          outer_granule <= inner_granule && inner_budget <= outer_budget);
}

int iovageom_geometry_difference(const struct iovageom_geometry *before,
                                 const struct iovageom_geometry *after,
                                 struct iovageom_rangeset *added, struct iovageom_rangeset *removed)
{
    struct iovageom_rangeset *const out[2] = {added, removed};
    struct iovageom_rangeset sets[4];
    int status = IOVAGEOM_OK;

    for (unsigned i = 0; i < 4; i++) /* allocates nothing; the allocator has been found good */
        (void)iovageom_rangeset_init(&sets[i], &before->allocator);
    status = iovageom_geometry_usable(before, 1, &sets[0]);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_usable(after, 1, &sets[1]);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_difference(&sets[2], &sets[1], &sets[0]);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_difference(&sets[3], &sets[0], &sets[1]);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangesets_give(out, &sets[2], 2);
    for (unsigned i = 0; i < 4; i++)
        iovageom_rangeset_deinit(&sets[i]);
    return status;
}

/* ---- fingerprint ---- */

/* FNV-1a over the bytes of a number, lowest first. */
static uint64_t mix(uint64_t hash, uint64_t number)
{
    for (unsigned shift = 0; shift < 64; shift += 8)
        hash = (hash ^ (number >> shift & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

/* The view's entries joined by type, as iovageom_geometry_equal() sees them. */
static uint64_t mix_regions(uint64_t hash, const struct iovageom_resv *resv,
                            const struct iovageom_resv_view *view)
{
    struct iovageom_range region = {0, 0};
    uint32_t before = 0;

    for (size_t i = 0; i < view->count; i++) {
        struct iovageom_resv_piece entry = view->entries[i];
        uint32_t type = iovageom_resv_type_at(resv, (size_t)entry.value);

        if (type != before || !iovageom_range_precedes_directly(region, entry.range)) {
            hash = mix(hash, region.last);
            hash = mix(hash, type);
            hash = mix(hash, entry.range.start);
        }
        region = entry.range;
        before = type;
    }
    return mix(hash, region.last);
}

int iovageom_geometry_fingerprint(const struct iovageom_geometry *geometry, uint64_t *fingerprint)
{
    struct numbers numbers = numbers_of(geometry);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    struct iovageom_resv_view view;
    int status = iovageom_resv_view(geometry->resv, 1, &view);

    if (status < 0)
        return status;
    hash = mix(hash, numbers.knows);
    hash = mix(hash, numbers.aperture_status);
    hash = mix(hash, numbers.aperture.start);
    hash = mix(hash, numbers.aperture.last);
    hash = mix(hash, numbers.page_sizes);
    hash = mix(hash, numbers.alignment);
    hash = mix(hash, numbers.map_budget);
    *fingerprint = mix_regions(hash, geometry->resv, &view);
    iovageom_resv_view_close(&view);
    return IOVAGEOM_OK;
}

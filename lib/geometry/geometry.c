/* SPDX-License-Identifier: BSD-3-Clause */
/* What sources state, one by one. */
#include <iovageom/geometry.h>

#include <iovageom/pgsize.h>
#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "../base/array.h"
#include "internal.h"

/* Lists up to this length are complemented on the stack: a usual host's are shorter. */
enum { FEW_RANGES = 8 };

/*
 * Adds a fact of the geometry's own name, and the addresses that it reserves (NULL for none) as
 * `type`; both or neither. What can fail comes first: the room, then the regions.
 */
static int add(struct iovageom_geometry *geometry, struct iovageom_geometry_fact fact,
               enum iovageom_source source, struct iovageom_rangeset *reserved,
               enum iovageom_resv_type type)
{
    struct iovageom_geometry_fact regions = {.kind = IOVAGEOM_FACT_REGIONS + (uint32_t)type};
    int status;

    if ((unsigned)source > IOVAGEOM_SOURCE_USER)
        return IOVAGEOM_ERR_INVALID;
    fact.owner = geometry->self;
    fact.owner.source = (uint32_t)source;
    status = iovageom_geometry_reserve(geometry, geometry->count + 1 + (reserved != NULL));
    if (status == IOVAGEOM_OK && reserved != NULL) {
        regions.owner = fact.owner;
        status = iovageom_geometry_put(geometry, &regions, reserved);
    }
    if (status == IOVAGEOM_OK)
        (void)iovageom_geometry_put(geometry, &fact, NULL);
    return status;
}

/* A set of one range, for `type`: both are checked. */
static int one_region(struct iovageom_rangeset *one, const struct iovageom_allocator *allocator,
                      struct iovageom_range range, enum iovageom_resv_type type)
{
    (void)iovageom_rangeset_init(one, allocator);
    if (type < IOVAGEOM_RESV_DIRECT_RELAXABLE || type > IOVAGEOM_RESV_MSI)
        return IOVAGEOM_ERR_INVALID;
    return iovageom_rangeset_insert(one, range);
}

int iovageom_geometry_put_region(struct iovageom_geometry *geometry, struct iovageom_range range,
                                 enum iovageom_resv_type type, const struct iovageom_owner *owner)
{
    const struct iovageom_geometry_fact key = {.kind = IOVAGEOM_FACT_REGIONS + (uint32_t)type,
                                               .owner = *owner};
    struct iovageom_rangeset one;
    int status = one_region(&one, &geometry->allocator, range, type);

    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_put(geometry, &key, &one);
    iovageom_rangeset_deinit(&one);
    return status;
}

/*
 * The complement of `ranges` in [0, 2^64-1]. The usual list is short and sorted; it is complemented
 * in an array, where n ranges leave n + 1 gaps at most, and not by way of a second set.
 */
static int complement(struct iovageom_rangeset *set, const struct iovageom_range *ranges,
                      size_t count)
{
    struct iovageom_range few[FEW_RANGES + 1];
    int status;

    if (count <= FEW_RANGES && iovageom_ranges_normal(ranges, count)) {
        (void)iovageom_ranges_complement(ranges, count, IOVAGEOM_EVERYTHING, few, FEW_RANGES + 1,
                                         &count);
        return iovageom_rangeset_from_array(set, few, count);
    }
    status = iovageom_rangeset_from_array(set, ranges, count);
    return status < 0 ? status : iovageom_rangeset_complement(set, set, IOVAGEOM_EVERYTHING);
}

/* Adds a fact by which only the addresses in `ranges` are usable; an empty list leaves none. */
static int add_complement(struct iovageom_geometry *geometry, struct iovageom_geometry_fact fact,
                          const struct iovageom_range *ranges, size_t count,
                          enum iovageom_source source)
{
    struct iovageom_rangeset set;
    int status = iovageom_rangeset_init(&set, &geometry->allocator);

    if (status == IOVAGEOM_OK)
        status = complement(&set, ranges, count);
    if (status == IOVAGEOM_OK)
        status = add(geometry, fact, source, &set, IOVAGEOM_RESV_RESERVED);
    iovageom_rangeset_deinit(&set);
    return status;
}

int iovageom_geometry_add_aperture(struct iovageom_geometry *geometry,
                                   struct iovageom_range aperture, enum iovageom_source source)
{
    struct iovageom_geometry_fact fact = {
        .kind = IOVAGEOM_FACT_APERTURE, .value = aperture.start, .last = aperture.last};

    return add_complement(geometry, fact, &aperture, 1, source);
}

int iovageom_geometry_add_gaw(struct iovageom_geometry *geometry, unsigned bits,
                              enum iovageom_source source)
{
    struct iovageom_range aperture;
    int status = iovageom_range_from_gaw(bits, &aperture);

    if (status < 0)
        return status;
    return iovageom_geometry_add_aperture(geometry, aperture, source);
}

int iovageom_geometry_add_usable(struct iovageom_geometry *geometry,
                                 const struct iovageom_range *ranges, size_t count,
                                 enum iovageom_source source)
{
    struct iovageom_geometry_fact fact = {.kind = IOVAGEOM_FACT_USABLE};

    return add_complement(geometry, fact, ranges, count, source);
}

int iovageom_geometry_add_reserved(struct iovageom_geometry *geometry, struct iovageom_range range,
                                   enum iovageom_resv_type type, enum iovageom_source source)
{
    struct iovageom_geometry_fact fact = {.kind = IOVAGEOM_FACT_RESERVED};
    struct iovageom_rangeset one;
    int status = one_region(&one, &geometry->allocator, range, type);

    if (status == IOVAGEOM_OK)
        status = add(geometry, fact, source, &one, type);
    iovageom_rangeset_deinit(&one);
    return status;
}

/* Adds a fact that is a number and reserves nothing. */
static int add_number(struct iovageom_geometry *geometry, enum iovageom_fact kind, uint64_t value,
                      enum iovageom_source source)
{
    struct iovageom_geometry_fact fact = {.kind = (uint32_t)kind, .value = value};

    return add(geometry, fact, source, NULL, IOVAGEOM_RESV_RESERVED);
}

int iovageom_geometry_add_reserved_known(struct iovageom_geometry *geometry,
                                         enum iovageom_source source)
{
    return add_number(geometry, IOVAGEOM_FACT_RESERVED, 0, source);
}

int iovageom_geometry_add_page_sizes(struct iovageom_geometry *geometry, uint64_t mask,
                                     enum iovageom_source source)
{
    return add_number(geometry, IOVAGEOM_FACT_PAGE_SIZES, mask, source);
}

int iovageom_geometry_add_alignment(struct iovageom_geometry *geometry, uint64_t alignment,
                                    enum iovageom_source source)
{
    if (!iovageom_pgsize_is_power(alignment))
        return IOVAGEOM_ERR_INVALID;
    return add_number(geometry, IOVAGEOM_FACT_ALIGNMENT, alignment, source);
}

int iovageom_geometry_add_map_budget(struct iovageom_geometry *geometry, uint64_t mappings,
                                     enum iovageom_source source)
{
    return add_number(geometry, IOVAGEOM_FACT_MAP_BUDGET, mappings, source);
}

int iovageom_geometry_add_incomplete(struct iovageom_geometry *geometry,
                                     enum iovageom_source source)
{
    return add_number(geometry, IOVAGEOM_FACT_INCOMPLETE, 0, source);
}

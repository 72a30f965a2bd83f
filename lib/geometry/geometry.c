/* SPDX-License-Identifier: BSD-3-Clause */
/* What sources state, one by one. */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "../base/range.h"
#include "../set/rangeset_internal.h"
#include "internal.h"

/* Lists up to this length are complemented on the stack: a usual host's are shorter. */
enum { FEW_RANGES = 8 };

/* Adds ranges in normal form, or one that may be invalid, to the regions of that owner and type. */
static int put_ranges(struct iovageom_geometry *geometry, enum iovageom_resv_type type,
                      const struct iovageom_owner *owner, const struct iovageom_range *ranges,
                      size_t count)
{
    const struct iovageom_fact_key key = {IOVAGEOM_FACT_REGIONS + (uint32_t)type, owner, 0, 0};
    struct iovageom_geometry_fact *row;
    struct iovageom_rangeset more;
    int status;

    if (type < IOVAGEOM_RESV_DIRECT_RELAXABLE || type > IOVAGEOM_RESV_MSI)
        return IOVAGEOM_ERR_INVALID;
    if (!iovageom_range_valid(ranges[0]))
        return IOVAGEOM_ERR_INVERTED;
    row = iovageom_geometry_open(geometry, &key, true);
    if (row == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    if (tree_in(row->ranges)->count == 0) {
        status = iovageom_rangeset_fill(row->ranges, ranges, count);
    } else {
        (void)iovageom_rangeset_init(&more, &geometry->allocator);
        status = iovageom_rangeset_fill(&more, ranges, count);
        if (status == IOVAGEOM_OK)
            status = iovageom_rangeset_union(row->ranges, row->ranges, &more);
        iovageom_rangeset_deinit(&more);
    }
    return iovageom_geometry_close(geometry, row, status);
}

int iovageom_geometry_put_region(struct iovageom_geometry *geometry, struct iovageom_range range,
                                 enum iovageom_resv_type type, const struct iovageom_owner *owner)
{
    return put_ranges(geometry, type, owner, &range, 1);
}

/*
 * Adds a fact of the geometry's own name (its owner is filled in here), and `count` ranges that it
 * reserves as `type`: both or neither. What can fail comes first: the room, then the regions.
 */
static int add(struct iovageom_geometry *geometry, enum iovageom_source source,
               struct iovageom_fact_key *fact, enum iovageom_resv_type type,
               const struct iovageom_range *ranges, size_t count)
{
    int status = IOVAGEOM_OK;

    if ((unsigned)source > IOVAGEOM_SOURCE_USER)
        return IOVAGEOM_ERR_INVALID;
    geometry->self.source = (uint32_t)source;
    fact->owner = &geometry->self;
    if (count > 0)
        status = iovageom_geometry_reserve(geometry, geometry->count + 2);
    if (status == IOVAGEOM_OK && count > 0)
        status = put_ranges(geometry, type, fact->owner, ranges, count);
    if (status == IOVAGEOM_OK && iovageom_geometry_open(geometry, fact, true) == NULL)
        status = IOVAGEOM_ERR_NO_MEMORY;
    return status;
}

/* Puts what ranges in normal form leave out in their place: one more, at most. Returns how many. */
static size_t invert(struct iovageom_range *ranges, size_t count)
{
    struct iovageom_range rest = IOVAGEOM_EVERYTHING;
    bool any = true;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        const uint64_t start = rest.start;

        any = iovageom_range_above(ranges[i], &rest);
        if (iovageom_range_below(ranges[i], &ranges[kept]))
            ranges[kept++].start = start;
    }
    ranges[kept].start = rest.start;
    ranges[kept].last = IOVAGEOM_ADDRESS_MAX;
    return kept + any;
}

/*
 * Adds a fact by which only the addresses in `ranges` are usable; an empty list leaves none. The
 * usual list is short: its normal form, and what that leaves out, are made on the stack.
 */
static int add_complement(struct iovageom_geometry *geometry, enum iovageom_source source,
                          struct iovageom_fact_key *fact, const void *ranges, size_t count)
{
    struct iovageom_range few[FEW_RANGES + 1];
    struct iovageom_range *normal = few;
    size_t kept = count;
    int status;

    if (count > FEW_RANGES) /* of ranges that exist: 1 more does not wrap */
        normal = iovageom_array_new(&geometry->allocator, count + 1, sizeof(*normal));
    if (normal == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        memcpy(&normal[i], (const uint8_t *)ranges + i * sizeof(*normal), sizeof(*normal));
    status = iovageom_ranges_normalize(normal, &kept);
    if (status == IOVAGEOM_OK)
        status = add(geometry, source, fact, IOVAGEOM_RESV_RESERVED, normal, invert(normal, kept));
    if (normal != few)
        iovageom_array_free(&geometry->allocator, normal, count + 1, sizeof(*normal));
    return status;
}

int iovageom_geometry_add_aperture(struct iovageom_geometry *geometry,
                                   struct iovageom_range aperture, enum iovageom_source source)
{
    struct iovageom_fact_key fact = {IOVAGEOM_FACT_APERTURE, NULL, aperture.start, aperture.last};

    return add_complement(geometry, source, &fact, &aperture, 1);
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

int iovageom_geometry_add_usable_bytes(struct iovageom_geometry *geometry, const void *ranges,
                                       size_t count, enum iovageom_source source)
{
    struct iovageom_fact_key fact = {IOVAGEOM_FACT_USABLE, NULL, 0, 0};

    return add_complement(geometry, source, &fact, ranges, count);
}

int iovageom_geometry_add_usable(struct iovageom_geometry *geometry,
                                 const struct iovageom_range *ranges, size_t count,
                                 enum iovageom_source source)
{
    return iovageom_geometry_add_usable_bytes(geometry, ranges, count, source);
}

int iovageom_geometry_add_reserved(struct iovageom_geometry *geometry, struct iovageom_range range,
                                   enum iovageom_resv_type type, enum iovageom_source source)
{
    struct iovageom_fact_key fact = {IOVAGEOM_FACT_RESERVED, NULL, 0, 0};

    return add(geometry, source, &fact, type, &range, 1);
}

/* Adds a fact that is a number and reserves nothing. */
static int add_number(struct iovageom_geometry *geometry, enum iovageom_fact kind, uint64_t value,
                      enum iovageom_source source)
{
    struct iovageom_fact_key fact = {kind, NULL, value, 0};

    return add(geometry, source, &fact, IOVAGEOM_RESV_RESERVED, NULL, 0);
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

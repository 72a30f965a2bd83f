/* SPDX-License-Identifier: BSD-3-Clause */
/* What the facts of a geometry come to. */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "../base/array.h"
#include "internal.h"

uint32_t iovageom_geometry_knows(const struct iovageom_geometry *geometry)
{
    uint32_t known = 0;

    for (size_t i = 0; i < geometry->count && !iovageom_fact_has_ranges(&geometry->facts[i]); i++)
        known |= geometry->facts[i].kind;
    return known;
}

int iovageom_geometry_gaw(const struct iovageom_geometry *geometry, unsigned *bits)
{
    uint64_t top;

    if ((iovageom_geometry_knows(geometry) & (IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_USABLE)) == 0)
        return IOVAGEOM_ERR_UNKNOWN;
    /* From the highest usable address, not from an aperture: regions may take the top (Q24). */
    if (!iovageom_geometry_top(geometry, &top))
        return IOVAGEOM_ERR_NOTHING_USABLE;
    *bits = iovageom_range_gaw((struct iovageom_range){top, top});
    return IOVAGEOM_OK;
}

/*
 * Joins the values of all facts of one kind by `join`, which must not depend on their order.
 * IOVAGEOM_ERR_UNKNOWN, and *out untouched, when there is none.
 */
static int fold(const struct iovageom_geometry *geometry, enum iovageom_fact kind,
                uint64_t (*join)(uint64_t, uint64_t), uint64_t *out)
{
    size_t index = 0;
    const struct iovageom_geometry_fact *fact = iovageom_geometry_next_fact(geometry, kind, &index);

    if (fact == NULL)
        return IOVAGEOM_ERR_UNKNOWN;
    for (*out = fact->value; (fact = iovageom_geometry_next_fact(geometry, kind, &index));)
        *out = join(*out, fact->value);
    return IOVAGEOM_OK;
}

int iovageom_geometry_page_sizes(const struct iovageom_geometry *geometry, uint64_t *mask)
{
    return fold(geometry, IOVAGEOM_FACT_PAGE_SIZES, iovageom_pgsize_meet, mask);
}

int iovageom_geometry_alignment(const struct iovageom_geometry *geometry, uint64_t *alignment)
{
    return fold(geometry, IOVAGEOM_FACT_ALIGNMENT, iovageom_higher, alignment);
}

int iovageom_geometry_map_budget(const struct iovageom_geometry *geometry, uint64_t *mappings)
{
    return fold(geometry, IOVAGEOM_FACT_MAP_BUDGET, iovageom_lower, mappings);
}

/*
 * A limit and a remaining number must not be mixed: the limit includes mappings that exist already,
 * the remaining number does not.
 */
void iovageom_geometry_budgets(const struct iovageom_geometry *geometry, uint64_t *total,
                               uint64_t *left)
{
    const struct iovageom_geometry_fact *fact;
    size_t index = 0;

    *total = *left = UINT64_MAX;
    while ((fact = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_MAP_BUDGET, &index)))
        /* Only VFIO reports a remaining number (dma_avail); every other source gives a limit. */
        if (fact->owner.source == IOVAGEOM_SOURCE_VFIO)
            *left = iovageom_lower(*left, fact->value);
        else
            *total = iovageom_lower(*total, fact->value);
}

/*
 * An alignment stands for a mask of all sizes from it up, and is then met with the mask. A meet of
 * 0 means that nothing maps. After it is raised to the guest's granule, 0 means that this granule
 * is smaller than the host's.
 */
int iovageom_geometry_promise_mask(const struct iovageom_geometry *geometry, uint64_t granule,
                                   uint64_t *mask)
{
    /* The neutral values: all page sizes, any alignment. One that is unknown stays neutral. */
    uint64_t met = UINT64_MAX;
    uint64_t alignment = 1;
    int of_mask = iovageom_geometry_page_sizes(geometry, &met);
    int of_alignment = iovageom_geometry_alignment(geometry, &alignment);

    if (of_mask < 0 && of_alignment < 0)
        return IOVAGEOM_ERR_UNKNOWN;
    if (granule != 0 && !iovageom_pgsize_is_power(granule))
        return IOVAGEOM_ERR_INVALID;
    met = iovageom_pgsize_meet(met, ~(alignment - 1));
    if (met == 0)
        return IOVAGEOM_ERR_NOTHING_USABLE;
    if (granule != 0)
        met = iovageom_pgsize_raise(met, granule);
    if (met == 0)
        return IOVAGEOM_ERR_ALIGNMENT;
    *mask = met;
    return IOVAGEOM_OK;
}

int iovageom_geometry_granule(const struct iovageom_geometry *geometry, uint64_t *granule)
{
    uint64_t mask;
    int status = iovageom_geometry_promise_mask(geometry, 0, &mask);

    if (status == IOVAGEOM_OK)
        *granule = iovageom_pgsize_granule(mask);
    return status;
}

/* A set of its own is built first, of what is forbidden, so that *out changes on success only. */
int iovageom_geometry_usable(const struct iovageom_geometry *geometry, uint64_t granule,
                             struct iovageom_rangeset *out)
{
    const struct iovageom_geometry_fact *fact;
    struct iovageom_rangeset set;
    int status = iovageom_rangeset_init(&set, &geometry->allocator);

    for (size_t i = 0;
         status == IOVAGEOM_OK && (fact = iovageom_geometry_next_regions(geometry, &i)) != NULL;)
        if (iovageom_fact_forbids(fact))
            status = iovageom_rangeset_union(&set, &set, fact->ranges);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_complement(&set, &set, IOVAGEOM_EVERYTHING);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_align_inward(out, &set, granule);
    iovageom_rangeset_deinit(&set);
    return status;
}

/* iovageom_geometry_reserved() if `joined`, else iovageom_geometry_regions(). */
static int give_regions(const struct iovageom_geometry *geometry, uint64_t granule, bool joined,
                        struct iovageom_region *out, size_t capacity, size_t *needed)
{
    struct iovageom_resolved view;
    int status = iovageom_resolve(&geometry->allocator, geometry, granule, joined, &view);

    if (status < 0)
        return status;
    if (view.count > capacity)
        status = IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    else if (view.count > 0)
        memcpy(out, view.regions, view.count * sizeof(*out));
    if (needed != NULL)
        *needed = view.count;
    iovageom_resolved_close(&view);
    return status;
}

int iovageom_geometry_reserved(const struct iovageom_geometry *geometry, uint64_t granule,
                               struct iovageom_region *out, size_t capacity, size_t *needed)
{
    return give_regions(geometry, granule, true, out, capacity, needed);
}

int iovageom_geometry_regions(const struct iovageom_geometry *geometry, struct iovageom_region *out,
                              size_t capacity, size_t *needed)
{
    return give_regions(geometry, 1, false, out, capacity, needed);
}

const struct iovageom_owner *iovageom_geometry_owner(const struct iovageom_geometry *geometry,
                                                     size_t index)
{
    return index < geometry->count && iovageom_fact_has_ranges(&geometry->facts[index])
               ? &geometry->facts[index].owner
               : NULL;
}

/* ---- up to where it is known ---- */

/*
 * Up to which address the host's statements about one name are complete; false when no address is
 * known. The source in `name` does not matter. A list of usable ranges tells all. Otherwise all
 * reserved regions must be known, and the width as well. An aperture gives it; without one,
 * addresses are usable between the regions, and no more is known than up to the last one, whatever
 * its type.
 *
 * INCOMPLETE counts of kernels only: their list with it may lack regions, while registers with it
 * were read in full, and only their meaning depends on the kernel.
 */
static bool known_of(const struct iovageom_geometry *geometry, const struct iovageom_owner *name,
                     uint64_t *last)
{
    struct iovageom_range hull;
    uint32_t said = 0; /* kinds of facts; IOVAGEOM_FACT_REGIONS for any regions */

    *last = 0;
    for (size_t i = 0; i < geometry->count; i++) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];

        if (!iovageom_source_is_host(fact->owner.source) ||
            memcmp(fact->owner.name, name->name, sizeof(name->name)) != 0)
            continue;
        if (fact->kind != IOVAGEOM_FACT_INCOMPLETE || iovageom_source_is_kernel(fact->owner.source))
            said |= iovageom_fact_has_ranges(fact) ? IOVAGEOM_FACT_REGIONS : fact->kind;
        if (iovageom_fact_has_ranges(fact) && iovageom_rangeset_hull(fact->ranges, &hull))
            *last = iovageom_higher(*last, hull.last);
    }
    if ((said & (IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_APERTURE)) != 0)
        *last = IOVAGEOM_ADDRESS_MAX;
    if ((said & IOVAGEOM_FACT_USABLE) != 0)
        return true;
    return (said & (IOVAGEOM_FACT_RESERVED | IOVAGEOM_FACT_INCOMPLETE)) == IOVAGEOM_FACT_RESERVED &&
           (said & (IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_REGIONS)) != 0;
}

/*
 * The least of all names with a fact about addresses: all of them know what is below it. Names of
 * the VMM, the machine or the user do not count. When nobody gave usable ranges or reserved
 * regions, nothing is known.
 */
int iovageom_geometry_known_range(const struct iovageom_geometry *geometry,
                                  struct iovageom_range *known)
{
    const uint32_t tell = IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_RESERVED;
    const uint32_t ask = tell | IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_INCOMPLETE;
    struct iovageom_range least = IOVAGEOM_EVERYTHING;
    uint32_t told = 0;

    for (size_t i = 0; i < geometry->count && !iovageom_fact_has_ranges(&geometry->facts[i]); i++) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];
        uint64_t last;

        if (!iovageom_source_is_guest(fact->owner.source))
            told |= fact->kind & tell;
        if ((fact->kind & ask) == 0 || !iovageom_source_is_host(fact->owner.source))
            continue;
        if (!known_of(geometry, &fact->owner, &last))
            return IOVAGEOM_ERR_UNKNOWN;
        least.last = iovageom_lower(least.last, last);
    }
    if (told == 0)
        return IOVAGEOM_ERR_UNKNOWN;
    *known = least;
    return IOVAGEOM_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/array.h"
#include "internal.h"

static bool same_name(const struct iovageom_owner *a, const struct iovageom_owner *b)
{
    return memcmp(a->name, b->name, sizeof(a->name)) == 0;
}

/*
 * The kinds of facts that host sources state about `name`; the source in `name` itself does not
 * matter. INCOMPLETE counts from VFIO upward only: a kernel's list with it may lack regions, while
 * registers with it were read in full, and only their meaning depends on the kernel.
 */
static uint32_t host_says(const struct iovageom_geometry *geometry,
                          const struct iovageom_owner *name)
{
    uint32_t said = 0;

    for (size_t i = 0; i < geometry->count && geometry->facts[i].ranges == NULL; i++) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];

        if (same_name(&fact->owner, name) &&
            (fact->kind == IOVAGEOM_FACT_INCOMPLETE ? iovageom_source_is_kernel(fact->owner.source)
                                                    : iovageom_source_is_host(fact->owner.source)))
            said |= fact->kind;
    }
    return said;
}

/*
 * The highest address that a host source reserves for `name`, with any type. A list of
 * reserved regions tells that the addresses between them are usable, but not how wide addresses
 * are, so no more is known than up to the last region. False without a region: nothing is known.
 */
static bool last_reserved(const struct iovageom_geometry *geometry,
                          const struct iovageom_owner *name, uint64_t *last)
{
    const struct iovageom_geometry_fact *fact;
    struct iovageom_range hull;
    bool any = false;

    for (size_t i = 0; (fact = iovageom_geometry_next_regions(geometry, &i)) != NULL;)
        if (iovageom_source_is_host(fact->owner.source) && same_name(&fact->owner, name) &&
            iovageom_rangeset_hull(fact->ranges, &hull)) {
            *last = any ? iovageom_higher(*last, hull.last) : hull.last;
            any = true;
        }
    return any;
}

/*
 * Up to which address the statements about one name are complete; false when no address is known. A
 * list of usable ranges tells all. Otherwise all reserved regions must be known, and the width,
 * which an aperture gives, as well.
 */
static bool known_of(const struct iovageom_geometry *geometry, const struct iovageom_owner *name,
                     uint64_t *last)
{
    const uint32_t said = host_says(geometry, name);

    *last = IOVAGEOM_ADDRESS_MAX;
    if ((said & IOVAGEOM_FACT_USABLE) != 0)
        return true;
    if ((said & IOVAGEOM_FACT_INCOMPLETE) != 0 || (said & IOVAGEOM_FACT_RESERVED) == 0)
        return false;
    return (said & IOVAGEOM_FACT_APERTURE) != 0 || last_reserved(geometry, name, last);
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

    for (size_t i = 0; i < geometry->count && geometry->facts[i].ranges == NULL; i++) {
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

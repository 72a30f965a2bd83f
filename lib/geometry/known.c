/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "internal.h"

/*
 * For iovageom_geometry_known_range(): up to which address the host's statements are complete.
 * Below it an address that no fact forbids is usable; above it nobody knows.
 */
struct horizon {
    bool nothing;  /* no address is known */
    uint64_t last; /* unless `nothing`: [0, last] is known */
};

static bool same_name(const struct iovageom_owner *a, const struct iovageom_owner *b)
{
    return memcmp(a->name, b->name, sizeof(a->name)) == 0;
}

/*
 * Whether some host source states a fact of that kind about `name`; the source in `name` itself
 * does not matter. INCOMPLETE counts from VFIO upward only: a kernel's list with it may lack
 * regions, while registers with it were read in full, and only their meaning depends on the kernel.
 */
static bool host_says(const struct iovageom_geometry *geometry, uint32_t kind,
                      const struct iovageom_owner *name)
{
    struct iovageom_owner owner = *name;

    owner.source =
        kind == IOVAGEOM_FACT_INCOMPLETE ? IOVAGEOM_SOURCE_VFIO : IOVAGEOM_SOURCE_VTD_REGISTERS;
    for (; owner.source <= IOVAGEOM_SOURCE_SYSFS; owner.source++)
        if (iovageom_geometry_first_of(geometry, (enum iovageom_fact)kind, &owner) != NULL)
            return true;
    return false;
}

/*
 * The highest address that a host source reserves for `name`, with any type. A list of reserved
 * regions tells that the addresses between them are usable, but not how wide addresses are, so no
 * more is known than up to the last region. Without a region nothing is known.
 */
static struct horizon last_reserved(const struct iovageom_geometry *geometry,
                                    const struct iovageom_owner *name)
{
    const struct iovageom_rangeset *ranges;
    const struct iovageom_owner *owner;
    struct horizon horizon = {true, 0};
    enum iovageom_resv_type type;

    for (size_t i = 0;
         iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges) == IOVAGEOM_OK; i++) {
        struct iovageom_range hull;

        if (!iovageom_source_is_host(owner->source) || !same_name(owner, name) ||
            !iovageom_rangeset_hull(ranges, &hull))
            continue;
        if (horizon.nothing || hull.last > horizon.last)
            horizon = (struct horizon){false, hull.last};
    }
    return horizon;
}

/*
 * How far the statements about one name are complete. A list of usable ranges tells all. Otherwise
 * all reserved regions must be known, and the width, which an aperture gives, as well.
 */
static struct horizon horizon_of(const struct iovageom_geometry *geometry,
                                 const struct iovageom_owner *name)
{
    const struct horizon all = {false, IOVAGEOM_ADDRESS_MAX};
    const struct horizon nothing = {true, 0};

    if (host_says(geometry, IOVAGEOM_FACT_USABLE, name))
        return all;
    if (host_says(geometry, IOVAGEOM_FACT_INCOMPLETE, name) ||
        !host_says(geometry, IOVAGEOM_FACT_RESERVED, name))
        return nothing;
    return host_says(geometry, IOVAGEOM_FACT_APERTURE, name) ? all : last_reserved(geometry, name);
}

/*
 * The lowest horizon of all names with a fact about addresses: all of them know what is below it.
 * Names of the VMM, the machine or the user do not count. When nobody gave usable ranges or
 * reserved regions, nothing is known.
 */
static struct horizon horizon(const struct iovageom_geometry *geometry)
{
    static const uint32_t about_addresses = IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_RESERVED |
                                            IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_INCOMPLETE;
    struct horizon least = {false, IOVAGEOM_ADDRESS_MAX};
    uint32_t known = 0;

    for (size_t i = 0; i < geometry->count; i++)
        if (!iovageom_source_is_guest(geometry->facts[i].owner.source))
            known |= geometry->facts[i].kind;
    least.nothing = (known & (IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_RESERVED)) == 0;
    for (size_t i = 0; i < geometry->count && !least.nothing; i++) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];
        struct horizon own;

        if ((fact->kind & about_addresses) == 0 || !iovageom_source_is_host(fact->owner.source))
            continue;
        own = horizon_of(geometry, &fact->owner);
        if (own.nothing || own.last < least.last)
            least = own;
    }
    return least;
}

int iovageom_geometry_known_range(const struct iovageom_geometry *geometry,
                                  struct iovageom_range *known)
{
    const struct horizon end = horizon(geometry);

    if (end.nothing)
        return IOVAGEOM_ERR_UNKNOWN;
    *known = (struct iovageom_range){0, end.last};
    return IOVAGEOM_OK;
}

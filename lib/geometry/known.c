/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "internal.h"

/* How far what is usable is vouched for: up to `last`, or not at all. */
struct horizon {
    bool nothing;
    uint64_t last;
};

static bool same_name(const struct iovageom_owner *a, const struct iovageom_owner *b)
{
    return memcmp(a->name, b->name, sizeof(a->name)) == 0;
}

static bool of_a_host(const struct iovageom_owner *owner)
{
    return owner->source >= IOVAGEOM_SOURCE_VTD_REGISTERS && owner->source <= IOVAGEOM_SOURCE_SYSFS;
}

/* The first fact of a kind that an owner of one name and source may have. */
static size_t first_of(const struct iovageom_geometry *geometry, uint32_t kind,
                       const struct iovageom_owner *owner)
{
    size_t low = 0;
    size_t high = geometry->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct iovageom_geometry_fact *fact = &geometry->facts[middle];

        if (fact->kind < kind ||
            (fact->kind == kind && iovageom_owner_compare(&fact->owner, owner) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * Whether some source of a host says a fact of that kind of `name`. Registers that are "incomplete"
 * are the least of what they may mean: that leaves nothing unread.
 */
static bool host_says(const struct iovageom_geometry *geometry, uint32_t kind,
                      const struct iovageom_owner *name)
{
    struct iovageom_owner owner = *name;

    owner.source =
        kind == IOVAGEOM_FACT_INCOMPLETE ? IOVAGEOM_SOURCE_VFIO : IOVAGEOM_SOURCE_VTD_REGISTERS;
    for (; owner.source <= IOVAGEOM_SOURCE_SYSFS; owner.source++) {
        size_t index = first_of(geometry, kind, &owner);

        if (index < geometry->count && geometry->facts[index].kind == kind &&
            iovageom_owner_compare(&geometry->facts[index].owner, &owner) == 0)
            return true;
    }
    return false;
}

/* The last address that `name` reserves, in any type; nothing when it reserves none. */
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

        if (!of_a_host(owner) || !same_name(owner, name) || !iovageom_rangeset_hull(ranges, &hull))
            continue;
        if (horizon.nothing || hull.last > horizon.last)
            horizon = (struct horizon){false, hull.last};
    }
    return horizon;
}

/* What the name of one fact vouches for. */
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

static struct horizon horizon(const struct iovageom_geometry *geometry)
{
    static const uint32_t about_addresses = IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_RESERVED |
                                            IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_INCOMPLETE;
    struct horizon least = {false, IOVAGEOM_ADDRESS_MAX};

    if ((iovageom_geometry_knows(geometry) & (IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_RESERVED)) == 0)
        least.nothing = true;
    for (size_t i = 0; i < geometry->count && !least.nothing; i++) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];
        struct horizon own;

        if ((fact->kind & about_addresses) == 0 || !of_a_host(&fact->owner))
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

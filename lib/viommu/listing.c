/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "internal.h"

/* ---- endpoints ---- */

/* A key as the VMM knows it: its number, or OWN for a key that was made here (IOVAGEOM_KEY_OWN). */
static uint64_t own_or(uint64_t key)
{
    return key <= IOVAGEOM_VIOMMU_GROUP_MAX ? key : IOVAGEOM_VIOMMU_OWN;
}

/*
 * Whether there is an endpoint. Geometry and address space are those of the first device that was
 * plugged at the endpoint, or if there is none, of the first one that has it as an alias.
 * `out->geometry` points into the object: see viommu_plug.h for how long it is valid.
 */
static bool describe(const struct iovageom_viommu *viommu, const struct iovageom_endpoint *endpoint,
                     struct iovageom_viommu_endpoint *out)
{
    const struct iovageom_plug *shown = NULL;

    if (endpoint == NULL)
        return false;
    memset(out, 0, sizeof(*out));
    out->endpoint = endpoint->id;
    out->kind = endpoint->kind;
    out->prepared = iovageom_plug_pending(endpoint);
    out->expected = endpoint->expected;
    out->guest_group = own_or(endpoint->group->key);
    out->host_group = out->address_space = IOVAGEOM_VIOMMU_OWN;
    out->domain = endpoint->domain != NULL ? endpoint->domain->id : IOVAGEOM_ID_NONE;
    out->generation = endpoint->generation;
    out->bypass = iovageom_endpoint_visible(endpoint) && iovageom_bypasses(viommu, endpoint);
    for (const struct iovageom_contact *contact = endpoint->first; contact != NULL;
         contact = contact->next) {
        const struct iovageom_plug *plug = contact->plug;

        out->plugged += !plug->prepared;
        if (out->host_group == IOVAGEOM_VIOMMU_OWN && plug->host_group != NULL)
            out->host_group = plug->host_group->number;
        if (shown == NULL || (contact == plug->contacts && shown->contacts[0].endpoint != endpoint))
            shown = plug;
    }
    if (shown != NULL) {
        out->address_space = own_or(shown->address_space->key);
        out->geometry = shown->device->geometry;
    }
    return true;
}

int iovageom_viommu_endpoint(const struct iovageom_viommu *viommu, uint32_t endpoint,
                             struct iovageom_viommu_endpoint *out)
{
    return describe(viommu, iovageom_endpoint_at(viommu, endpoint), out) ? IOVAGEOM_OK
                                                                         : IOVAGEOM_ERR_NOT_FOUND;
}

bool iovageom_viommu_endpoint_next(const struct iovageom_viommu *viommu, uint32_t from,
                                   struct iovageom_viommu_endpoint *out)
{
    return describe(viommu, iovageom_table_from(&viommu->endpoints, from), out);
}

/* ---- domains ----
 *
 * Listings go by number or by address, and each call finds its place anew: so a VMM may change the
 * object between two of them.
 */

static bool describe_domain(const struct iovageom_domain *domain,
                            struct iovageom_viommu_domain *out)
{
    if (domain != NULL)
        *out = (struct iovageom_viommu_domain){
            .domain = domain->id,
            .bypass = domain->bypass,
            .endpoints = domain->members.count,
            .mappings = iovageom_mappings_count(&domain->mappings),
            .budget = iovageom_domain_budget(domain),
        };
    return domain != NULL;
}

int iovageom_viommu_domain(const struct iovageom_viommu *viommu, uint32_t domain,
                           struct iovageom_viommu_domain *out)
{
    return describe_domain(iovageom_domain_at(viommu, domain), out) ? IOVAGEOM_OK
                                                                    : IOVAGEOM_ERR_NOT_FOUND;
}

bool iovageom_viommu_domain_next(const struct iovageom_viommu *viommu, uint32_t from,
                                 struct iovageom_viommu_domain *out)
{
    return describe_domain(iovageom_table_from(&viommu->domains, from), out);
}

bool iovageom_viommu_domain_endpoint(const struct iovageom_viommu *viommu, uint32_t domain,
                                     uint64_t endpoint, uint32_t *out)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    const struct iovageom_endpoint *before = iovageom_endpoint_at(viommu, endpoint);
    const struct iovageom_endpoint *member = NULL;

    /* No search among the members: the endpoint has the next one of its domain at hand. */
    if (target != NULL && endpoint == IOVAGEOM_ID_NONE)
        member = target->members.first;
    else if (target != NULL && before != NULL && before->domain == target)
        member = before->next[IOVAGEOM_LIST_DOMAIN];
    if (member != NULL)
        *out = member->id;
    return member != NULL;
}

int iovageom_viommu_domain_usable(const struct iovageom_viommu *viommu, uint32_t domain,
                                  struct iovageom_rangeset *out)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    struct iovageom_rangeset set;
    int error;

    if (target == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    (void)iovageom_rangeset_init(&set, &viommu->allocator);
    error = iovageom_domain_reserved(viommu, target, &set);
    error |= iovageom_rangeset_complement(&set, &set, viommu->shown.input_range);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_inward(out, &set, iovageom_shown_granule(viommu));
    iovageom_rangeset_deinit(&set);
    return error;
}

/*
 * Whether one call to a host can have `run` and `next`. Nothing is one across the middle of all
 * addresses: so no call has 2^64 bytes, and what belongs together never depends on where it is
 * looked for. With `joined` they are one in physical addresses, too; where these wrap, they
 * descend.
 */
static bool one_call(const struct iovageom_mapping *run, const struct iovageom_mapping *next,
                     bool joined)
{
    return iovageom_range_precedes_directly(run->range, next->range) &&
           (run->range.start ^ next->range.last) >> 63 == 0 &&
           (!joined || (run->flags == next->flags && run->phys < next->phys &&
                        next->phys - run->phys == next->range.start - run->range.start));
}

bool iovageom_viommu_run_next(const struct iovageom_viommu *viommu, uint32_t domain,
                              struct iovageom_range range, uint64_t from, bool joined,
                              struct iovageom_mapping *out)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    struct iovageom_itree_cursor cursor;
    struct iovageom_mapping run, other;

    if (target == NULL || !iovageom_range_valid(range))
        return false;
    iovageom_itree_cursor_init(&cursor, &target->mappings.tree,
                               from < range.start ? range.start : from);
    do {
        if (!iovageom_mappings_next(&cursor, &run) || run.range.last > range.last)
            return false;
    } while (run.range.start < range.start);
    while (iovageom_mappings_next(&cursor, &other) && other.range.last <= range.last &&
           one_call(&run, &other, joined))
        run.range.last = other.range.last;
    /* Down to where it begins. */
    while (run.range.start > range.start &&
           iovageom_mappings_first_overlap(
               &target->mappings, (struct iovageom_range){run.range.start - 1, run.range.start - 1},
               &other) &&
           other.range.start >= range.start && one_call(&other, &run, joined)) {
        other.range.last = run.range.last;
        run = other;
    }
    *out = run;
    return true;
}

bool iovageom_viommu_mapping_next(const struct iovageom_viommu *viommu, uint32_t domain,
                                  uint64_t from, struct iovageom_mapping *out)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    const struct iovageom_range rest = {from, IOVAGEOM_ADDRESS_MAX};

    return target != NULL && iovageom_mappings_first_overlap(&target->mappings, rest, out);
}

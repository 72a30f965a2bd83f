/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/hints.h"
#include "../set/rangeset_internal.h"
#include "internal.h"

/*
 * What is reserved, and how many mappings there may be: computed from leads, groups and links.
 *
 * A call on valid sets fails for lack of memory alone, and leaves them as they were. So here and
 * where lists are made, statuses are gathered with |= and looked at once, before anything is made
 * of the sets.
 */

/* ---- guest groups ---- */

/* Add what the device reserves, or with `msi` only doorbells. NULL reserves nothing. */
int iovageom_view_add(struct iovageom_rangeset *view, const struct iovageom_device *device,
                      bool msi)
{
    const size_t first = device != NULL && msi ? device->all_count : 0;
    const size_t count = device == NULL ? 0 : msi ? device->msi_count : device->all_count;
    int error = IOVAGEOM_OK;

    for (size_t i = 0; i < count; i++)
        error |= iovageom_rangeset_insert(view, device->ranges[first + i]);
    return error;
}

/* Add what is reserved for a group beside the machine's regions: by the envelope, if it has a slot,
 * by the leads of its address spaces, and by those from `lead` on. NULL: a group to come. */
int iovageom_view_add_group(struct iovageom_rangeset *view, const struct iovageom_viommu *viommu,
                            const struct iovageom_group *group, const struct iovageom_plug *lead,
                            bool msi)
{
    struct iovageom_leads leads = {group != NULL ? group->node.up : NULL, lead};
    const bool slot = group != NULL && group->slots > 0;
    int error = iovageom_view_add(view, slot ? viommu->envelope : NULL, msi);

    while ((lead = iovageom_lead_next(&leads)) != NULL)
        error |= iovageom_view_add(view, lead->device, msi);
    return error;
}

/* All that is reserved for a group: `out` is initialised, and replaced. */
int iovageom_group_view(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                        struct iovageom_rangeset *out)
{
    const int error = iovageom_rangeset_assign(out, &viommu->platform_all);

    return error | iovageom_view_add_group(out, viommu, group, NULL, false);
}

/* ---- address spaces ---- */

/* How many mappings it holds now; NULL none. Each domain with an endpoint in it counts in full. */
uint64_t iovageom_address_space_live(const struct iovageom_address_space *address_space)
{
    const struct iovageom_link *link = address_space != NULL ? address_space->mapped.down : NULL;
    uint64_t live = 0;

    for (; link != NULL; link = link->down_next) {
        const struct iovageom_domain *domain = link->lower->self;

        live += iovageom_mappings_count(&domain->mappings);
    }
    return live;
}

/*
 * Of the next few groups of an address space, a bit for each: whether its newest domain has a
 * mapping where the device reserves something. There may be a thousand domains, and none in a
 * cache. So each step of the search is asked for in all of them before one of them takes it. The
 * links to the groups behind them can only come one by one: one with each range.
 */
uint32_t iovageom_groups_meet(const struct iovageom_link *link,
                              const struct iovageom_device *device)
{
    static const struct iovageom_itree none;
    const struct iovageom_itree *trees[IOVAGEOM_ITREE_FEW];
    uint32_t met = 0;
    size_t count = 0;

    for (; link != NULL && count < IOVAGEOM_ITREE_FEW; link = link->down_next) {
        const struct iovageom_group *group = link->lower->self;
        const struct iovageom_link *down = group->node.down;
        const struct iovageom_domain *domain = down != NULL ? down->lower->self : NULL;

        trees[count] = domain != NULL ? &domain->mappings.tree : &none;
        PREFETCH(&trees[count++]->root.count);
    }
    PREFETCH(link);
    for (size_t i = 0; i < count; i++)
        iovageom_itree_fetch_root(trees[i]);
    for (size_t k = 0; k < device->all_count; k++) {
        met |= iovageom_itree_meet(trees, count, device->ranges[k]);
        link = link != NULL ? link->down_next : NULL;
        PREFETCH(link);
    }
    return met;
}

/* ---- domains ---- */

/* How many mappings the domain may hold: in each of its address spaces, the budget less what other
 * domains have there; of these, the smallest. All ones for no limit. */
uint64_t iovageom_domain_budget(const struct iovageom_domain *domain)
{
    const uint64_t own = iovageom_mappings_count(&domain->mappings);
    uint64_t budget = UINT64_MAX;

    for (const struct iovageom_link *link = domain->mapped.up; link != NULL; link = link->up_next) {
        const struct iovageom_address_space *address_space = link->upper->self;
        uint64_t others;

        if (address_space->budget == UINT64_MAX)
            continue;
        others = iovageom_address_space_live(address_space) - own;
        budget = iovageom_lower(
            budget, others < address_space->budget ? address_space->budget - others : 0);
    }
    return budget;
}

/* All that is reserved for the groups of the domain: `out` is initialised, and replaced. */
int iovageom_domain_reserved(const struct iovageom_viommu *viommu,
                             const struct iovageom_domain *domain, struct iovageom_rangeset *out)
{
    int error = iovageom_rangeset_assign(out, &viommu->platform_all);

    for (const struct iovageom_link *link = domain->node.up; link != NULL; link = link->up_next)
        error |= iovageom_view_add_group(out, viommu, link->upper->self, NULL, false);
    return error;
}

/* Bring what a MAP needs to know up to date, so that it takes one search in a set. */
int iovageom_domain_refresh(const struct iovageom_viommu *viommu, struct iovageom_domain *domain)
{
    const int error = iovageom_domain_reserved(viommu, domain, &domain->reserved);

    domain->budget = UINT64_MAX;
    domain->shares = false;
    for (const struct iovageom_link *link = domain->mapped.up; link != NULL; link = link->up_next) {
        const struct iovageom_address_space *address_space = link->upper->self;

        domain->budget = iovageom_lower(domain->budget, address_space->budget);
        domain->shares |= address_space->budget != UINT64_MAX && iovageom_is_shared(address_space);
    }
    domain->clean = error == IOVAGEOM_OK;
    return error;
}

/* ---- bypass ---- */

/* Whether endpoints that are in no domain go through untranslated (N3, N5, N20). */
bool iovageom_bypass_unattached(const struct iovageom_viommu *viommu)
{
    if ((viommu->config.features & IOVAGEOM_VIRTIO_F_BYPASS_CONFIG) != 0)
        return viommu->bypass != 0;
    return (viommu->accepted & IOVAGEOM_VIRTIO_F_BYPASS) != 0;
}

/* Whether the device can map all identity ranges. If not, the report gets one finding for each
 * range that it reserves there. Without a report the first one is enough. */
bool iovageom_identity_fits(const struct iovageom_rangeset *identity,
                            const struct iovageom_device *device, uint64_t endpoint,
                            uint64_t domain, struct iovageom_report *report)
{
    struct iovageom_finding finding;
    struct iovageom_range range;
    const size_t count = iovageom_rangeset_count(identity) > 0 ? device->all_count : 0;
    bool fits = true;

    for (size_t i = 0; i < count && (fits || report != NULL); i++) {
        if (!iovageom_rangeset_first_overlap(identity, device->ranges[i], &range))
            continue;
        fits = false;
        finding = iovageom_finding_of(IOVAGEOM_FINDING_RESERVED, IOVAGEOM_ERR_CONFLICT, domain,
                                      endpoint, range, device->ranges[i]);
        iovageom_name_device(&finding, device, range, device->ranges[i]);
        iovageom_report_add(report, &finding);
    }
    return fits;
}

/* Whether an endpoint of that address space (or NULL) could bypass: all devices there can map the
 * identity ranges. Only leads are walked, so devices that reserve the same are named once. */
bool iovageom_bypass_fits(const struct iovageom_address_space *address_space, uint64_t endpoint,
                          const struct iovageom_rangeset *identity, struct iovageom_report *report)
{
    const struct iovageom_plug *lead = address_space != NULL ? address_space->leads : NULL;
    bool fits = true;

    for (; lead != NULL; lead = lead->lead_next)
        fits &= iovageom_identity_fits(identity, lead->device, endpoint, IOVAGEOM_ID_NONE, report);
    return fits;
}

/* Whether what a visible endpoint accesses goes through untranslated now. */
bool iovageom_bypasses(const struct iovageom_viommu *viommu,
                       const struct iovageom_endpoint *endpoint)
{
    if (endpoint->domain != NULL)
        return endpoint->domain->bypass;
    return iovageom_bypass_unattached(viommu) &&
           iovageom_bypass_fits(endpoint->address_space, endpoint->id, &viommu->identity, NULL);
}

/*
 * Whether all endpoints could that are to: those in a domain that bypasses, and with `unattached`
 * those in none, but for one that faulted where a stream that is loaded comes from. The report
 * names every one.
 */
bool iovageom_bypass_fits_all(const struct iovageom_viommu *viommu, bool unattached,
                              const struct iovageom_rangeset *identity,
                              struct iovageom_report *report)
{
    const struct iovageom_endpoint *endpoint = NULL;
    bool fits = true;

    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (endpoint->domain != NULL ? endpoint->domain->bypass
                                     : unattached && !(viommu->loading && endpoint->faulted))
            fits &= iovageom_bypass_fits(endpoint->address_space, endpoint->id, identity, report);
    return fits;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

/* ---- guest groups ---- */

int iovageom_view_add(struct iovageom_view *view, const struct iovageom_device *device)
{
    int error = IOVAGEOM_OK;

    for (size_t i = 0; error == IOVAGEOM_OK && i < device->all_count; i++)
        error = iovageom_rangeset_insert(&view->all, device->ranges[i]);
    for (size_t i = 0; error == IOVAGEOM_OK && i < device->msi_count; i++)
        error = iovageom_rangeset_insert(&view->msi, device->ranges[device->all_count + i]);
    return error;
}

static bool view_has(const struct iovageom_view *view, const struct iovageom_device *device)
{
    for (size_t i = 0; i < device->all_count; i++)
        if (!iovageom_rangeset_contains(&view->all, device->ranges[i]))
            return false;
    for (size_t i = 0; i < device->msi_count; i++)
        if (!iovageom_rangeset_contains(&view->msi, device->ranges[device->all_count + i]))
            return false;
    return true;
}

/* The view from nothing: the machine's regions, the envelope, and all that its devices reserve. */
static int view_build(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                      struct iovageom_view *out)
{
    int error = iovageom_rangeset_assign(&out->all, &viommu->platform_view.all);

    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_assign(&out->msi, &viommu->platform_view.msi);
    if (error == IOVAGEOM_OK && group->slots > 0 && viommu->envelope != NULL)
        error = iovageom_view_add(out, viommu->envelope);
    for (const struct iovageom_link *link = group->node.up; link != NULL; link = link->up_next) {
        const struct iovageom_address_space *address_space = link->upper->self;

        for (const struct iovageom_plug *lead = address_space->leads;
             error == IOVAGEOM_OK && lead != NULL; lead = lead->lead_next)
            error = iovageom_view_add(out, lead->device);
    }
    return error;
}

/* The view of now: a copy of the cached one, if that is clean. */
int iovageom_group_view(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                        struct iovageom_view *out)
{
    int error;

    if (!group->view_clean)
        return view_build(viommu, group, out);
    error = iovageom_rangeset_assign(&out->all, &group->view.all);
    return error != IOVAGEOM_OK ? error : iovageom_rangeset_assign(&out->msi, &group->view.msi);
}

/*
 * A device reserves more for the group. That needs memory for the cached view; without it the view is
 * made anew when it is next needed. A device that reserves nothing new may have the smaller budget.
 */
void iovageom_group_add(struct iovageom_group *group, const struct iovageom_device *device)
{
    const bool known = group->view_clean && view_has(&group->view, device);

    if (!group->view_clean || (known && device->budget == UINT64_MAX))
        return;
    iovageom_group_stale(group);
    group->view_clean = known || iovageom_view_add(&group->view, device) == IOVAGEOM_OK;
    group->wire_clean &= known;
}

/* Bring the cached view up to date. */
int iovageom_group_refresh(const struct iovageom_viommu *viommu, struct iovageom_group *group)
{
    struct iovageom_view view;
    int error;

    if (group->view_clean)
        return IOVAGEOM_OK;
    error = iovageom_view_init(&view, viommu);
    if (error == IOVAGEOM_OK)
        error = view_build(viommu, group, &view);
    if (error == IOVAGEOM_OK) {
        iovageom_rangeset_swap(&group->view.all, &view.all);
        iovageom_rangeset_swap(&group->view.msi, &view.msi);
        group->view_clean = true;
        group->wire_clean = false;
    }
    iovageom_view_deinit(&view);
    return error;
}

/* ---- address spaces ---- */

/* How many mappings it can hold: the least that a device in it allows. */
uint64_t iovageom_address_space_budget(const struct iovageom_address_space *address_space)
{
    const struct iovageom_plug *lead = address_space != NULL ? address_space->leads : NULL;
    uint64_t budget = UINT64_MAX;

    for (; lead != NULL; lead = lead->lead_next)
        if (lead->device->budget < budget)
            budget = lead->device->budget;
    return budget;
}

/* How many it holds: of every domain with an endpoint in it. */
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

/* ---- domains ---- */

/* The most mappings that the hosts behind a domain leave to it, beside those of other domains. */
uint64_t iovageom_domain_budget(const struct iovageom_domain *domain, bool *shared)
{
    const uint64_t own = iovageom_mappings_count(&domain->mappings);
    uint64_t budget = UINT64_MAX;

    *shared = false;
    for (const struct iovageom_link *link = domain->mapped.up; link != NULL; link = link->up_next) {
        const struct iovageom_address_space *address_space = link->upper->self;
        uint64_t room = iovageom_address_space_budget(address_space);
        uint64_t others = 0;

        if (room == UINT64_MAX)
            continue;
        if (address_space->mapped.down_count > 1) {
            others = iovageom_address_space_live(address_space) - own;
            *shared = true;
        }
        room = others < room ? room - others : 0;
        if (room < budget)
            budget = room;
    }
    return budget;
}

/* All that is reserved for a group with an endpoint in the domain. */
int iovageom_domain_reserved(const struct iovageom_viommu *viommu,
                             const struct iovageom_domain *domain, struct iovageom_rangeset *out)
{
    struct iovageom_view view;
    int error = iovageom_view_init(&view, viommu);

    for (const struct iovageom_link *link = domain->node.up; error == IOVAGEOM_OK && link != NULL;
         link = link->up_next) {
        const struct iovageom_group *group = link->upper->self;

        if (!group->view_clean)
            error = view_build(viommu, group, &view);
        if (error == IOVAGEOM_OK)
            error =
                iovageom_rangeset_union(out, out, group->view_clean ? &group->view.all : &view.all);
    }
    iovageom_view_deinit(&view);
    return error;
}

/* Bring what is cached in a domain up to date with its endpoints. */
int iovageom_domain_refresh(const struct iovageom_viommu *viommu, struct iovageom_domain *domain)
{
    struct iovageom_rangeset reserved;
    int error;

    if (domain->clean)
        return IOVAGEOM_OK;
    error = iovageom_rangeset_init(&reserved, &viommu->allocator);
    for (struct iovageom_link *link = domain->node.up; error == IOVAGEOM_OK && link != NULL;
         link = link->up_next)
        error = iovageom_group_refresh(viommu, link->upper->self);
    if (error == IOVAGEOM_OK)
        error = iovageom_domain_reserved(viommu, domain, &reserved);
    if (error == IOVAGEOM_OK) {
        iovageom_rangeset_swap(&domain->reserved, &reserved);
        domain->budget = iovageom_domain_budget(domain, &domain->shared);
        domain->clean = true;
    }
    iovageom_rangeset_deinit(&reserved);
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

/* One objection for each range of the device that bypass would map one to one. */
bool iovageom_identity_fits(const struct iovageom_rangeset *identity,
                            const struct iovageom_device *device, uint64_t endpoint,
                            uint64_t domain, struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_RESERVED, IOVAGEOM_ERR_CONFLICT);
    bool fits = true;

    finding.endpoint = endpoint;
    finding.domain = domain;
    for (size_t i = 0; i < device->all_count; i++) {
        if (!iovageom_rangeset_first_overlap(identity, device->ranges[i], &finding.range))
            continue;
        fits = false;
        if (report == NULL)
            break;
        finding.against = device->ranges[i];
        finding.type = 0;
        iovageom_name_device(&finding, device, device->ranges[i]);
        iovageom_report_add(report, &finding);
    }
    return fits;
}

/*
 * Whether an endpoint could bypass: all devices of its address space map the identity ranges. For
 * those that are set this is known; devices that reserve the same are named once.
 */
bool iovageom_bypass_fits(const struct iovageom_viommu *viommu,
                          const struct iovageom_endpoint *endpoint,
                          const struct iovageom_rangeset *identity, struct iovageom_report *report)
{
    const struct iovageom_address_space *address_space = endpoint->address_space;
    const bool known = identity == &viommu->identity;
    bool fits = true;

    if (address_space == NULL || (known && address_space->unfit == 0))
        return true;
    if (known && report == NULL)
        return false;
    for (const struct iovageom_plug *lead = address_space->leads; lead != NULL;
         lead = lead->lead_next)
        fits &=
            iovageom_identity_fits(identity, lead->device, endpoint->id, IOVAGEOM_ID_NONE, report);
    return fits;
}

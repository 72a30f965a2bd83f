/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

/*
 * ATTACH and DETACH: decided on const state, then done. What is asked of an endpoint here is what
 * admission.c asks of a device that is plugged into a group with a domain: the two must agree.
 */

/* ---- ATTACH ---- */

/*
 * N30: no mapping of the domain may lie where something is reserved for the endpoint's group. The
 * VMM will map all of them on the endpoint's host. The cached view is used if it is clean.
 */
static int mappings_suit(const struct iovageom_viommu *viommu,
                         const struct iovageom_endpoint *endpoint,
                         const struct iovageom_domain *domain, struct iovageom_report *report)
{
    const struct iovageom_group *group = endpoint->group;
    const struct iovageom_rangeset *all = &group->view;
    struct iovageom_finding finding;
    struct iovageom_mapping mapping;
    struct iovageom_rangeset view;
    int status = iovageom_rangeset_init(&view, &viommu->allocator);

    if (!group->view_clean) {
        status = iovageom_group_view(viommu, group, false, &view);
        all = &view;
    }
    if (status == IOVAGEOM_OK && iovageom_mappings_touching(&domain->mappings, all, &mapping)) {
        finding = iovageom_finding_of(IOVAGEOM_FINDING_MAPPING, IOVAGEOM_ERR_CONFLICT, domain->id,
                                      endpoint->id, mapping.range, IOVAGEOM_NOWHERE);
        status = iovageom_refuse_reserved(report, &finding, all, viommu, group, domain);
    }
    iovageom_rangeset_deinit(&view);
    return status;
}

/*
 * Whether the host of the endpoint has room for the mappings of the domain. Nothing is added if its
 * address space serves the domain already. If the endpoint is the last one there of the domain that
 * it leaves (count 1), the mappings of that one are removed from the host, and make room.
 */
static int budget_suits(const struct iovageom_endpoint *endpoint,
                        const struct iovageom_domain *domain, struct iovageom_report *report)
{
    const struct iovageom_address_space *address_space = endpoint->address_space;
    const struct iovageom_domain *left = endpoint->domain;
    const uint64_t budget = address_space != NULL ? address_space->budget : UINT64_MAX;
    const uint64_t more = iovageom_mappings_count(&domain->mappings);
    uint64_t live;

    if (budget == UINT64_MAX || more == 0 ||
        iovageom_link_find(&address_space->mapped, &domain->mapped) != NULL)
        return IOVAGEOM_OK;
    live = iovageom_address_space_live(address_space) + more;
    if (left != NULL && iovageom_link_find(&address_space->mapped, &left->mapped)->count == 1)
        live -= iovageom_mappings_count(&left->mappings);
    return live <= budget
               ? IOVAGEOM_OK
               : iovageom_refuse_number(report, IOVAGEOM_FINDING_BUDGET, IOVAGEOM_ERR_CONFLICT,
                                        domain->id, endpoint->id, live, budget);
}

/*
 * What is asked first: flags, endpoint, domain range (N24-N26). A check may come before freeze; the
 * domain range is then the configured one.
 */
static int attach_front(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                        uint32_t flags, struct iovageom_report *report,
                        struct iovageom_endpoint **out)
{
    const uint32_t known = (viommu->accepted & IOVAGEOM_VIRTIO_F_BYPASS_CONFIG) != 0
                               ? IOVAGEOM_VIRTIO_ATTACH_F_BYPASS
                               : 0;
    const uint32_t first =
        viommu->frozen ? viommu->shown.domain_start : viommu->config.domain_start;
    const uint32_t last = viommu->frozen ? viommu->shown.domain_last : viommu->config.domain_last;

    *out = iovageom_endpoint_at(viommu, endpoint);
    if ((flags & ~known) != 0)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID,
                                      "an unknown flag of ATTACH is set (N25)", domain, endpoint);
    if (*out == NULL || !iovageom_endpoint_visible(*out))
        return iovageom_refuse_unknown(report, IOVAGEOM_ID_NONE, endpoint);
    if ((viommu->config.features & IOVAGEOM_VIRTIO_F_DOMAIN_RANGE) != 0 &&
        (domain < first || domain > last))
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_OUT_OF_APERTURE,
                                      "the domain number is outside the domain range", domain,
                                      endpoint);
    return IOVAGEOM_OK;
}

/*
 * The one place where an ATTACH is decided. To attach an endpoint to the domain where it is already
 * is OK, and does nothing. One that is attached elsewhere is moved (N29), and is judged as if it
 * had left.
 */
int iovageom_attach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report,
                           struct iovageom_attach *out)
{
    struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    size_t domains = iovageom_table_count(&viommu->domains);
    int status = attach_front(viommu, domain, endpoint, flags, report, &out->endpoint);

    if (status != IOVAGEOM_OK)
        return status;
    out->id = domain;
    out->domain = target;
    out->bypass = (flags & IOVAGEOM_VIRTIO_ATTACH_F_BYPASS) != 0;
    if (target != NULL && target->bypass != out->bypass)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID,
                                      "the bypass flag does not go with the domain (N28)", domain,
                                      endpoint);
    if (target != NULL && out->endpoint->domain == target)
        return IOVAGEOM_OK;
    if (out->bypass &&
        !iovageom_bypass_fits(out->endpoint->address_space, endpoint, &viommu->identity, report))
        return IOVAGEOM_ERR_CONFLICT;
    if (target != NULL)
        status = mappings_suit(viommu, out->endpoint, target, report);
    if (target != NULL && status == IOVAGEOM_OK)
        status = budget_suits(out->endpoint, target, report);
    if (status != IOVAGEOM_OK)
        return status;
    /* If it is the last endpoint of its old domain, that one is freed, and does not count. */
    domains -= out->endpoint->domain != NULL && out->endpoint->domain->members.count == 1;
    if (target == NULL && domains >= viommu->config.max_domains)
        return iovageom_refuse_number(report, IOVAGEOM_FINDING_LIMIT, IOVAGEOM_ERR_LIMIT, domain,
                                      endpoint, (uint64_t)domains + 1, viommu->config.max_domains);
    return IOVAGEOM_OK;
}

/*
 * To be called once iovageom_attach_decide() has agreed. IOVAGEOM_ERR_NO_MEMORY: nothing has
 * changed.
 */
int iovageom_attach_do(struct iovageom_viommu *viommu, const struct iovageom_attach *attach)
{
    struct iovageom_domain *target = attach->domain;
    int error;

    if (target != NULL && attach->endpoint->domain == target)
        return IOVAGEOM_OK;
    if (target == NULL)
        target = iovageom_domain_make(viommu, attach->id, attach->bypass);
    if (target == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    error =
        iovageom_endpoint_move(viommu, attach->endpoint, attach->endpoint->address_space, target);
    viommu->changes += error == IOVAGEOM_OK;
    return error;
}

int iovageom_viommu_attach_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                 uint32_t endpoint, uint32_t flags, struct iovageom_report *report)
{
    struct iovageom_attach attach;

    iovageom_report_clear(report);
    return iovageom_attach_decide(viommu, domain, endpoint, flags, report, &attach);
}

int iovageom_viommu_attach(struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report)
{
    struct iovageom_attach attach;
    int status = iovageom_viommu_freeze(viommu, report);

    if (status == IOVAGEOM_OK)
        status = iovageom_attach_decide(viommu, domain, endpoint, flags, report, &attach);
    return status != IOVAGEOM_OK ? status : iovageom_attach_do(viommu, &attach);
}

/* ---- DETACH ---- */

int iovageom_detach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           struct iovageom_report *report, struct iovageom_endpoint **out)
{
    struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);

    *out = found;
    if (found == NULL || !iovageom_endpoint_visible(found))
        return iovageom_refuse_unknown(report, IOVAGEOM_ID_NONE, endpoint);
    if (found->domain == NULL || found->domain->id != domain)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID,
                                      "the endpoint is not attached to that domain", domain,
                                      endpoint);
    /* No reason to refuse: the endpoint will fault, not bypass, so the VMM should know. */
    if (report != NULL && iovageom_bypass_unattached(viommu) &&
        !iovageom_bypass_fits(found->address_space, endpoint, &viommu->identity, NULL))
        (void)iovageom_refuse_saying(report, IOVAGEOM_OK,
                                     "unattached endpoints bypass, but this one faults: a device "
                                     "on its host page tables can't map an identity range",
                                     IOVAGEOM_ID_NONE, endpoint);
    return IOVAGEOM_OK;
}

int iovageom_viommu_detach_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                 uint32_t endpoint, struct iovageom_report *report)
{
    struct iovageom_endpoint *found;

    iovageom_report_clear(report);
    return iovageom_detach_decide(viommu, domain, endpoint, report, &found);
}

int iovageom_viommu_detach(struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           struct iovageom_report *report)
{
    struct iovageom_endpoint *found;
    int status;

    iovageom_report_clear(report);
    status = iovageom_detach_decide(viommu, domain, endpoint, report, &found);
    if (status == IOVAGEOM_OK) {
        iovageom_domain_leave(viommu, found);
        viommu->changes++;
    }
    return status;
}

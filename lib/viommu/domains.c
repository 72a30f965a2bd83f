/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/range.h"
#include "internal.h"

/*
 * ATTACH and DETACH: decided on const state, then done. What is asked of an endpoint here is what
 * admission.c asks of a device that is plugged into a group with a domain: the two must agree.
 */

/* ---- ATTACH ---- */

/*
 * N30: no mapping of the domain may lie where something is reserved for the endpoint's group. The
 * VMM will map all of them on the endpoint's host.
 */
static int mappings_suit(const struct iovageom_viommu *viommu,
                         const struct iovageom_endpoint *endpoint,
                         const struct iovageom_domain *domain, struct iovageom_report *report)
{
    const struct iovageom_group *group = endpoint->group;
    struct iovageom_finding finding;
    struct iovageom_mapping mapping;
    struct iovageom_rangeset view;
    int status = iovageom_rangeset_init(&view, &viommu->allocator);

    if (iovageom_mappings_count(&domain->mappings) > 0)
        status = iovageom_group_view(viommu, group, &view);
    if (status == IOVAGEOM_OK && iovageom_mappings_touching(&domain->mappings, &view, &mapping)) {
        finding = iovageom_finding_of(IOVAGEOM_FINDING_MAPPING, IOVAGEOM_ERR_CONFLICT, domain->id,
                                      endpoint->id, mapping.range, IOVAGEOM_NOWHERE);
        status = iovageom_refuse_reserved(report, &finding, &view, viommu, group, domain);
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
    const uint64_t more = iovageom_mappings_count(&domain->mappings);
    uint64_t live;

    if (address_space == NULL || address_space->budget == UINT64_MAX || more == 0 ||
        iovageom_link_find(&address_space->mapped, &domain->mapped) != NULL)
        return IOVAGEOM_OK;
    live = iovageom_address_space_live(address_space) + more;
    if (left != NULL && iovageom_link_find(&address_space->mapped, &left->mapped)->count == 1)
        live -= iovageom_mappings_count(&left->mappings);
    return live <= address_space->budget
               ? IOVAGEOM_OK
               : iovageom_refuse_number(report, IOVAGEOM_FINDING_BUDGET, IOVAGEOM_ERR_CONFLICT,
                                        domain->id, endpoint->id, live, address_space->budget);
}

/*
 * What comes with an endpoint that enters the domain: its host must be able to bypass or have the
 * mappings, and there may not be too many domains. One that is attached elsewhere is moved (N29),
 * and judged as if it had left: so if it is the last one there, that domain doesn't count.
 */
static int enter_decide(const struct iovageom_viommu *viommu, const struct iovageom_move *move,
                        struct iovageom_report *report)
{
    const struct iovageom_endpoint *endpoint = move->endpoint;
    const struct iovageom_domain *left = endpoint->domain;
    const size_t domains =
        iovageom_table_count(&viommu->domains) - (left != NULL && left->members.count == 1);
    int status;

    if (move->bypass &&
        !iovageom_bypass_fits(endpoint->address_space, endpoint->id, &viommu->identity, report))
        return IOVAGEOM_ERR_CONFLICT;
    if (move->make)
        return domains < viommu->config.max_domains
                   ? IOVAGEOM_OK
                   : iovageom_refuse_number(report, IOVAGEOM_FINDING_LIMIT, IOVAGEOM_ERR_LIMIT,
                                            move->id, endpoint->id, (uint64_t)domains + 1,
                                            viommu->config.max_domains);
    status = mappings_suit(viommu, endpoint, move->domain, report);
    return status != IOVAGEOM_OK ? status : budget_suits(endpoint, move->domain, report);
}

/*
 * The one place where an ATTACH is decided: flags, endpoint and domain range come first (N24-N26).
 * A check may come before freeze; the domain range is then the configured one. To attach an
 * endpoint to the domain where it is already is OK, and does nothing.
 */
int iovageom_attach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report,
                           struct iovageom_move *out)
{
    const struct iovageom_viommu_config *config = &viommu->config;
    const bool frozen = viommu->frozen, bypass = (flags & IOVAGEOM_VIRTIO_ATTACH_F_BYPASS) != 0;
    struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);
    struct iovageom_domain *target = iovageom_domain_at(viommu, domain);

    if ((flags & ~(uint32_t)IOVAGEOM_VIRTIO_ATTACH_F_BYPASS) != 0 ||
        (bypass && (viommu->accepted & IOVAGEOM_VIRTIO_F_BYPASS_CONFIG) == 0))
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID,
                                      "an unknown flag of ATTACH is set (N25)", domain, endpoint);
    if (found == NULL || !iovageom_endpoint_visible(found))
        return iovageom_refuse_unknown(report, IOVAGEOM_ID_NONE, endpoint);
    if ((config->features & IOVAGEOM_VIRTIO_F_DOMAIN_RANGE) != 0 &&
        (domain < (frozen ? viommu->shown.domain_start : config->domain_start) ||
         domain > (frozen ? viommu->shown.domain_last : config->domain_last)))
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_OUT_OF_APERTURE,
                                      "the domain number is outside the domain range", domain,
                                      endpoint);
    if (target != NULL && target->bypass != bypass)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID,
                                      "the bypass flag does not go with the domain (N28)", domain,
                                      endpoint);
    *out = (struct iovageom_move){found, target, domain, bypass, target == NULL};
    return target != NULL && found->domain == target ? IOVAGEOM_OK
                                                     : enter_decide(viommu, out, report);
}

int iovageom_viommu_attach_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                 uint32_t endpoint, uint32_t flags, struct iovageom_report *report)
{
    struct iovageom_move move;

    iovageom_report_clear(report);
    return iovageom_attach_decide(viommu, domain, endpoint, flags, report, &move);
}

int iovageom_viommu_attach(struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report)
{
    struct iovageom_move move;
    int status = iovageom_viommu_freeze(viommu, report);

    if (status == IOVAGEOM_OK)
        status = iovageom_attach_decide(viommu, domain, endpoint, flags, report, &move);
    return status != IOVAGEOM_OK ? status : iovageom_move_do(viommu, &move);
}

/* ---- DETACH ---- */

int iovageom_detach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           struct iovageom_report *report, struct iovageom_move *out)
{
    struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);

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
    *out = (struct iovageom_move){found, NULL, domain, false, false};
    return IOVAGEOM_OK;
}

int iovageom_viommu_detach_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                 uint32_t endpoint, struct iovageom_report *report)
{
    struct iovageom_move move;

    iovageom_report_clear(report);
    return iovageom_detach_decide(viommu, domain, endpoint, report, &move);
}

int iovageom_viommu_detach(struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           struct iovageom_report *report)
{
    struct iovageom_move move;
    int status;

    iovageom_report_clear(report);
    status = iovageom_detach_decide(viommu, domain, endpoint, report, &move);
    return status != IOVAGEOM_OK ? status : iovageom_move_do(viommu, &move);
}

/* ---- both ---- */

/* A domain without endpoints: the caller moves one there at once. NULL for lack of memory. */
static struct iovageom_domain *domain_make(struct iovageom_viommu *viommu, uint32_t id, bool bypass)
{
    struct iovageom_domain *domain =
        iovageom_object_make(viommu, &viommu->domains, id, sizeof(*domain));

    if (domain == NULL)
        return NULL;
    domain->node.self = domain->mapped.self = domain;
    domain->id = id;
    domain->bypass = bypass;
    (void)iovageom_rangeset_init(&domain->reserved, &viommu->allocator);
    (void)iovageom_mappings_init(&domain->mappings,
                                 iovageom_pgsize_granule(viommu->shown.page_size_mask),
                                 &viommu->allocator);
    domain->indexed = (viommu->config.flags & IOVAGEOM_VIOMMU_INDEX_PHYS) != 0;
    return domain;
}

/* After it was agreed to. IOVAGEOM_ERR_NO_MEMORY, not for a DETACH: nothing has changed. */
int iovageom_move_do(struct iovageom_viommu *viommu, const struct iovageom_move *move)
{
    struct iovageom_domain *target = move->domain;
    int error;

    if (!move->make && move->endpoint->domain == target)
        return IOVAGEOM_OK;
    if (move->make)
        target = domain_make(viommu, move->id, move->bypass);
    if (move->make && target == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    error = iovageom_endpoint_move(viommu, move->endpoint, move->endpoint->address_space, target);
    viommu->changes += error == IOVAGEOM_OK;
    return error;
}

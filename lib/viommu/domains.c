/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <iovageom/pgsize.h>

#include "internal.h"

struct iovageom_domain *iovageom_domain_at(const struct iovageom_viommu *viommu, uint32_t domain)
{
    return iovageom_table_at(&viommu->domains, domain);
}

static const struct iovageom_group *tie_group(const struct iovageom_link *tie)
{
    return (const struct iovageom_group *)(const void *)tie->upper;
}

/* ---- what a domain can map ---- */

static struct iovageom_domain *load_domain(const struct iovageom_link *load)
{
    char *host = (char *)load->lower;

    return (struct iovageom_domain *)(void *)(host - offsetof(struct iovageom_domain, host));
}

static const struct iovageom_unit *load_unit(const struct iovageom_link *load)
{
    const char *host = (const char *)load->upper;

    return (const struct iovageom_unit *)(const void *)(host -
                                                        offsetof(struct iovageom_unit, host));
}

/* The mappings that host page tables can hold: the least that a device on them allows. */
uint64_t iovageom_unit_budget(const struct iovageom_unit *unit)
{
    const struct iovageom_shape *shape = unit != NULL ? unit->shapes : NULL;
    uint64_t budget = UINT64_MAX;

    for (; shape != NULL; shape = shape->next)
        if (shape->device->budget < budget)
            budget = shape->device->budget;
    return budget;
}

/* The mappings that they hold: of every domain with an endpoint on them. */
uint64_t iovageom_unit_live(const struct iovageom_unit *unit)
{
    const struct iovageom_link *load = unit != NULL ? unit->host.down : NULL;
    uint64_t live = 0;

    for (; load != NULL; load = load->down_next)
        live += iovageom_mappings_count(&load_domain(load)->mappings);
    return live;
}

/* What the hosts behind a domain leave to it, in all. */
uint64_t iovageom_domain_budget(const struct iovageom_domain *domain, bool *crowded)
{
    const uint64_t own = iovageom_mappings_count(&domain->mappings);
    uint64_t budget = UINT64_MAX;

    *crowded = false;
    for (const struct iovageom_link *load = domain->host.up; load != NULL; load = load->up_next) {
        const struct iovageom_unit *unit = load_unit(load);
        uint64_t room = iovageom_unit_budget(unit);
        uint64_t others;

        if (room == UINT64_MAX)
            continue;
        others = unit->host.down_count > 1 ? iovageom_unit_live(unit) - own : 0;
        *crowded |= unit->host.down_count > 1;
        room = others < room ? room - others : 0;
        if (room < budget)
            budget = room;
    }
    return budget;
}

/* Who draws on a budget beside others is no longer who it was. */
static void unit_shared_anew(const struct iovageom_unit *unit)
{
    for (const struct iovageom_link *load = unit->host.down; load != NULL; load = load->down_next)
        load_domain(load)->clean = false;
}

/* All that is reserved for a group with an endpoint in the domain. */
int iovageom_domain_reserved(const struct iovageom_viommu *viommu,
                             const struct iovageom_domain *domain, struct iovageom_rangeset *out)
{
    struct iovageom_view view;
    int error = iovageom_view_init(&view, viommu);

    for (const struct iovageom_link *tie = domain->node.up; error == IOVAGEOM_OK && tie != NULL;
         tie = tie->up_next) {
        const struct iovageom_group *group = tie_group(tie);

        if (!group->view_clean)
            error = iovageom_group_view(viommu, group, &view);
        if (error == IOVAGEOM_OK)
            error =
                iovageom_rangeset_union(out, out, group->view_clean ? &group->view.all : &view.all);
    }
    iovageom_view_deinit(&view);
    return error;
}

/* Bring the domain up to date with its groups. */
int iovageom_domain_refresh(struct iovageom_viommu *viommu, struct iovageom_domain *domain)
{
    struct iovageom_rangeset reserved;
    int error;

    if (domain->clean)
        return IOVAGEOM_OK;
    error = iovageom_rangeset_init(&reserved, &viommu->allocator);
    for (struct iovageom_link *tie = domain->node.up; error == IOVAGEOM_OK && tie != NULL;
         tie = tie->up_next)
        error = iovageom_group_refresh(viommu, (struct iovageom_group *)(void *)tie->upper);
    if (error == IOVAGEOM_OK)
        error = iovageom_domain_reserved(viommu, domain, &reserved);
    if (error == IOVAGEOM_OK) {
        iovageom_rangeset_swap(&domain->reserved, &reserved);
        iovageom_mappings_set_budget(&domain->mappings,
                                     iovageom_domain_budget(domain, &domain->crowded));
        domain->clean = true;
    }
    iovageom_rangeset_deinit(&reserved);
    return error;
}

/* ---- ATTACH and DETACH ---- */

static void domain_free(struct iovageom_viommu *viommu, struct iovageom_domain *domain)
{
    viommu->mapping_count -= iovageom_mappings_count(&domain->mappings);
    iovageom_table_drop(&viommu->domains, domain->node.index);
    iovageom_mappings_deinit(&domain->mappings);
    iovageom_rangeset_deinit(&domain->reserved);
    iovageom_books_release(viommu, domain, sizeof(*domain));
}

/* Out of its domain, if it is in one; the last endpoint takes domain and mappings along (N34). */
void iovageom_endpoint_detach(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_domain *domain = endpoint->domain;

    if (domain == NULL)
        return;
    iovageom_roll_remove(&domain->members, IOVAGEOM_ROLL_DOMAIN, endpoint);
    iovageom_link_put(viommu, &viommu->ties, &endpoint->group->node, &domain->node);
    if (endpoint->unit != NULL) {
        iovageom_link_put(viommu, &viommu->loads, &endpoint->unit->host, &domain->host);
        unit_shared_anew(endpoint->unit);
    }
    endpoint->domain = NULL;
    domain->clean = false;
    if (domain->members.count == 0)
        domain_free(viommu, domain);
}

static IOVAGEOM_COLD int refuse_mapped(const struct iovageom_viommu *viommu,
                                       const struct iovageom_endpoint *endpoint,
                                       const struct iovageom_domain *domain,
                                       const struct iovageom_rangeset *reserved,
                                       struct iovageom_range mapped, struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_MAPPING, IOVAGEOM_ERR_CONFLICT);

    (void)iovageom_rangeset_first_overlap(reserved, mapped, &finding.against);
    finding.range = mapped;
    finding.domain = domain->node.index;
    finding.endpoint = endpoint->id;
    iovageom_name_group(&finding, viommu, endpoint->group, mapped);
    return iovageom_refuse(report, &finding);
}

/* N30: nothing that is mapped already may stand where the endpoint's group reserves. */
static int mappings_suit(const struct iovageom_viommu *viommu,
                         const struct iovageom_endpoint *endpoint,
                         const struct iovageom_domain *domain, struct iovageom_report *report)
{
    const struct iovageom_group *group = endpoint->group;
    const struct iovageom_rangeset *all = &group->view.all;
    struct iovageom_mapping mapping;
    struct iovageom_view view;
    int status = IOVAGEOM_OK;
    int error = iovageom_view_init(&view, viommu);

    if (error == IOVAGEOM_OK && !group->view_clean) {
        error = iovageom_group_view(viommu, group, &view);
        all = &view.all;
    }
    if (error != IOVAGEOM_OK)
        status = error;
    else if (iovageom_mappings_touching(&domain->mappings, all, &mapping, 1) > 0)
        status = refuse_mapped(viommu, endpoint, domain, all, mapping.range, report);
    iovageom_view_deinit(&view);
    return status;
}

/* Whether what is mapped in the domain can be mapped for the endpoint too, in place of what was. */
static int budget_suits(const struct iovageom_viommu *viommu,
                        const struct iovageom_endpoint *endpoint,
                        const struct iovageom_domain *domain, struct iovageom_report *report)
{
    const struct iovageom_unit *unit = endpoint->unit;
    const struct iovageom_domain *left = endpoint->domain;
    const uint64_t budget = iovageom_unit_budget(unit);
    const uint64_t more = iovageom_mappings_count(&domain->mappings);
    uint64_t live;

    if (budget == UINT64_MAX || more == 0 ||
        iovageom_link_count(&viommu->loads, &unit->host, &domain->host) > 0)
        return IOVAGEOM_OK;
    live = iovageom_unit_live(unit) + more;
    if (left != NULL && iovageom_link_count(&viommu->loads, &unit->host, &left->host) == 1)
        live -= iovageom_mappings_count(&left->mappings);
    return live <= budget
               ? IOVAGEOM_OK
               : iovageom_refuse_number(report, IOVAGEOM_FINDING_BUDGET, IOVAGEOM_ERR_CONFLICT,
                                        domain->node.index, endpoint->id, live, budget);
}

int iovageom_attach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report)
{
    const bool bypass = (flags & IOVAGEOM_VIRTIO_ATTACH_F_BYPASS) != 0;
    const uint32_t known = (viommu->accepted & IOVAGEOM_VIRTIO_F_BYPASS_CONFIG) != 0
                               ? IOVAGEOM_VIRTIO_ATTACH_F_BYPASS
                               : 0;
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    const uint32_t first =
        viommu->frozen ? viommu->space.domain_start : viommu->config.domain_start;
    const uint32_t last = viommu->frozen ? viommu->space.domain_last : viommu->config.domain_last;
    size_t domains = iovageom_table_count(&viommu->domains);
    int status = IOVAGEOM_OK;

    if ((flags & ~known) != 0)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID,
                                      "an unknown flag of ATTACH is set (N25)", domain, endpoint);
    if (found == NULL || !iovageom_endpoint_visible(found))
        return iovageom_refuse_unknown(report, IOVAGEOM_ID_NONE, endpoint);
    if ((viommu->config.features & IOVAGEOM_VIRTIO_F_DOMAIN_RANGE) != 0 &&
        (domain < first || domain > last))
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_OUT_OF_APERTURE,
                                      "the domain number is outside the domain range", domain,
                                      endpoint);
    if (target != NULL && target->bypass != bypass)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID,
                                      "the bypass flag does not go with the domain (N28)", domain,
                                      endpoint);
    if (target != NULL && found->domain == target)
        return IOVAGEOM_OK;
    if (bypass && !iovageom_bypass_fits(viommu, found, &viommu->identity, report))
        return IOVAGEOM_ERR_CONFLICT;
    if (target != NULL)
        status = mappings_suit(viommu, found, target, report);
    if (target != NULL && status == IOVAGEOM_OK)
        status = budget_suits(viommu, found, target, report);
    if (status != IOVAGEOM_OK)
        return status;
    /* Its old domain makes room, when it goes with it. */
    domains -= found->domain != NULL && found->domain->members.count == 1;
    if (target == NULL && domains >= viommu->config.max_domains)
        return iovageom_refuse_number(report, IOVAGEOM_FINDING_LIMIT, IOVAGEOM_ERR_LIMIT, domain,
                                      endpoint, (uint64_t)domains + 1, viommu->config.max_domains);
    return IOVAGEOM_OK;
}

static int domain_make(struct iovageom_viommu *viommu, uint32_t id, bool bypass,
                       struct iovageom_domain **out)
{
    struct iovageom_domain *domain = iovageom_books_allocate(viommu, sizeof(*domain));
    int error;

    if (domain == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    memset(domain, 0, sizeof(*domain));
    domain->node.index = domain->host.index = id;
    domain->bypass = bypass;
    error = iovageom_table_put(&viommu->domains, id, domain);
    if (error != IOVAGEOM_OK) {
        iovageom_books_release(viommu, domain, sizeof(*domain));
        return error;
    }
    (void)iovageom_rangeset_init(&domain->reserved, &viommu->allocator);
    (void)iovageom_mappings_init(&domain->mappings, IOVAGEOM_MAPPINGS_NO_BUDGET,
                                 &viommu->allocator);
    *out = domain;
    return IOVAGEOM_OK;
}

int iovageom_attach_do(struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                       uint32_t flags)
{
    struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    const bool made = target == NULL;
    bool fresh;
    int error = IOVAGEOM_OK;

    if (target != NULL && found->domain == target)
        return IOVAGEOM_OK;
    if (made)
        error =
            domain_make(viommu, domain, (flags & IOVAGEOM_VIRTIO_ATTACH_F_BYPASS) != 0, &target);
    if (error != IOVAGEOM_OK)
        return error;
    error = iovageom_link_get(viommu, &viommu->ties, &found->group->node, &target->node, &fresh);
    if (error == IOVAGEOM_OK && found->unit != NULL) {
        error =
            iovageom_link_get(viommu, &viommu->loads, &found->unit->host, &target->host, &fresh);
        if (error != IOVAGEOM_OK)
            iovageom_link_put(viommu, &viommu->ties, &found->group->node, &target->node);
    }
    if (error != IOVAGEOM_OK) {
        if (made)
            domain_free(viommu, target);
        return error;
    }
    iovageom_endpoint_detach(viommu, found);
    iovageom_roll_add(&target->members, IOVAGEOM_ROLL_DOMAIN, found);
    found->domain = target;
    target->clean = false;
    if (found->unit != NULL)
        unit_shared_anew(found->unit);
    return IOVAGEOM_OK;
}

int iovageom_viommu_attach_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                 uint32_t endpoint, uint32_t flags, struct iovageom_report *report)
{
    iovageom_report_clear(report);
    return iovageom_attach_decide(viommu, domain, endpoint, flags, report);
}

int iovageom_viommu_attach(struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report)
{
    int status = iovageom_viommu_freeze(viommu, report);

    if (status == IOVAGEOM_OK)
        status = iovageom_attach_decide(viommu, domain, endpoint, flags, report);
    return status != IOVAGEOM_OK ? status : iovageom_attach_do(viommu, domain, endpoint, flags);
}

int iovageom_viommu_detach_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                 uint32_t endpoint, struct iovageom_report *report)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);

    iovageom_report_clear(report);
    if (found == NULL || !iovageom_endpoint_visible(found))
        return iovageom_refuse_unknown(report, IOVAGEOM_ID_NONE, endpoint);
    if (found->domain == NULL || found->domain->node.index != domain)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID,
                                      "the endpoint is not attached to that domain", domain,
                                      endpoint);
    if (report != NULL && iovageom_bypass_unattached(viommu) &&
        !iovageom_bypass_fits(viommu, found, &viommu->identity, NULL)) {
        struct iovageom_finding note = iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, IOVAGEOM_OK);

        note.endpoint = endpoint;
        note.detail = "unattached endpoints bypass, but this one faults: a device on its host page "
                      "tables can't map an identity range";
        iovageom_report_add(report, &note);
    }
    return IOVAGEOM_OK;
}

int iovageom_viommu_detach(struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           struct iovageom_report *report)
{
    int status = iovageom_viommu_detach_check(viommu, domain, endpoint, report);

    if (status == IOVAGEOM_OK)
        iovageom_endpoint_detach(viommu, iovageom_table_at(&viommu->endpoints, endpoint));
    return status;
}

/* ---- asking ---- */

static void describe(const struct iovageom_domain *domain, struct iovageom_viommu_domain *out)
{
    bool crowded;

    memset(out, 0, sizeof(*out));
    out->domain = domain->node.index;
    out->bypass = domain->bypass;
    out->endpoints = domain->members.count;
    out->mappings = iovageom_mappings_count(&domain->mappings);
    out->budget = iovageom_domain_budget(domain, &crowded);
}

IOVAGEOM_COLD int iovageom_viommu_domain(const struct iovageom_viommu *viommu, uint32_t domain,
                                         struct iovageom_viommu_domain *out)
{
    const struct iovageom_domain *found = iovageom_domain_at(viommu, domain);

    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    describe(found, out);
    return IOVAGEOM_OK;
}

IOVAGEOM_COLD bool iovageom_viommu_domain_next(const struct iovageom_viommu *viommu, uint32_t from,
                                               struct iovageom_viommu_domain *out)
{
    const struct iovageom_domain *found = iovageom_table_from(&viommu->domains, from);

    if (found != NULL)
        describe(found, out);
    return found != NULL;
}

IOVAGEOM_COLD bool iovageom_viommu_domain_endpoint(const struct iovageom_viommu *viommu,
                                                   uint32_t domain, uint64_t endpoint,
                                                   uint32_t *out)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    const struct iovageom_endpoint *member = NULL;

    if (target == NULL)
        return false;
    if (endpoint == IOVAGEOM_ID_NONE) {
        member = target->members.first;
    } else {
        const struct iovageom_endpoint *before = iovageom_table_at(&viommu->endpoints, endpoint);

        if (before != NULL && before->domain == target)
            member = before->next[IOVAGEOM_ROLL_DOMAIN];
    }
    if (member != NULL)
        *out = member->id;
    return member != NULL;
}

IOVAGEOM_COLD int iovageom_viommu_domain_usable(const struct iovageom_viommu *viommu,
                                                uint32_t domain, struct iovageom_rangeset *out)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    struct iovageom_rangeset set;
    int error;

    if (target == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    error = iovageom_rangeset_init(&set, &viommu->allocator);
    if (error == IOVAGEOM_OK)
        error = iovageom_domain_reserved(viommu, target, &set);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_complement(&set, &set, viommu->space.input_range);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_inward(out, &set, iovageom_books_granule(viommu));
    iovageom_rangeset_deinit(&set);
    return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/range.h"
#include "internal.h"

/*
 * Findings are made here, so that each kind has its fields filled in alike. They are data: a report
 * may be NULL, then a finding is made for its status alone. No name of an owner is too long here.
 */

/* ---- who reserves something ---- */

/*
 * The owner in `geometry` who reserves an address of `range`; of several, the one with the highest
 * type. `walk` is open on the geometry, or NULL. Returns whether there is one: it is named unless
 * the finding names a higher type already.
 */
static bool name_regions(struct iovageom_finding *finding, const struct iovageom_geometry *geometry,
                         const struct iovageom_walk *walk, struct iovageom_range range)
{
    const struct iovageom_geometry_fact *fact, *found = NULL;
    struct iovageom_range piece;

    for (size_t i = geometry->count; walk == NULL && found == NULL && i-- > 0;)
        if (iovageom_fact_forbids(&geometry->facts[i]) &&
            iovageom_rangeset_overlaps(geometry->facts[i].ranges, range))
            found = &geometry->facts[i];
    while (walk != NULL && iovageom_walk_next(walk, &range, &piece, &fact))
        if (iovageom_fact_forbids(fact) && (found == NULL || fact > found))
            found = fact;
    if (found != NULL && iovageom_fact_type(found) >= finding->type) {
        finding->type = iovageom_fact_type(found);
        finding->owner = found->owner;
    }
    return found != NULL;
}

/* Name who reserves addresses of `range` for the device; the device itself if nobody does. They are
 * in `reserved`, of which the rest may be what others reserve, and is passed over. */
void iovageom_name_device(struct iovageom_finding *finding, const struct iovageom_device *device,
                          struct iovageom_range range, struct iovageom_range reserved)
{
    (void)iovageom_range_intersect(range, reserved, &range);
    if (!name_regions(finding, device->geometry, device->walk, range))
        (void)iovageom_owner_init(&finding->owner, IOVAGEOM_SOURCE_OTHER,
                                  iovageom_geometry_name(device->geometry));
}

/*
 * Name who states what the device offers by the number of the finding: its largest granule, or its
 * smallest budget. Of what is left, which grew by what was mapped (iovageom_device_make()), it is
 * the least. The device itself where it is no statement of one source.
 */
void iovageom_name_number(struct iovageom_finding *finding, const struct iovageom_device *device)
{
    const struct iovageom_geometry *geometry = device->geometry;
    const bool budget = finding->kind == IOVAGEOM_FINDING_BUDGET;
    uint64_t least = UINT64_MAX;

    (void)iovageom_owner_init(&finding->owner, IOVAGEOM_SOURCE_OTHER,
                              iovageom_geometry_name(geometry));
    for (size_t i = 0; i < geometry->count; i++) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];
        const bool left = budget && fact->owner.source == IOVAGEOM_SOURCE_VFIO;
        const uint64_t number = budget ? fact->value : iovageom_pgsize_granule(fact->value);

        if (budget ? fact->kind != IOVAGEOM_FACT_MAP_BUDGET
                   : finding->kind != IOVAGEOM_FINDING_GRANULE ||
                         (fact->kind != IOVAGEOM_FACT_PAGE_SIZES &&
                          fact->kind != IOVAGEOM_FACT_ALIGNMENT))
            continue;
        if (left ? number < least : number == finding->offered) {
            finding->owner = fact->owner;
            least = left ? number : 0;
        }
    }
}

/*
 * Name who reserves `range` for a group: the first device that does, as a VMM can act on that.
 * Without a device: of the machine and the envelope the one with the higher type; if equal, the
 * machine.
 */
void iovageom_name_group(struct iovageom_finding *finding, const struct iovageom_viommu *viommu,
                         const struct iovageom_group *group, struct iovageom_range range)
{
    struct iovageom_leads leads = {group->node.up, NULL};
    const struct iovageom_plug *lead;

    while ((lead = iovageom_lead_next(&leads)) != NULL)
        if (name_regions(finding, lead->device->geometry, lead->device->walk, range))
            return;
    if (group->slots > 0 && viommu->envelope != NULL)
        (void)name_regions(finding, viommu->envelope->geometry, NULL, range);
    (void)name_regions(finding, viommu->platform, NULL, range);
}

/* ---- refusals ----
 *
 * Each puts one finding into the report, and returns the status of it: `return refuse(...)`.
 */

/* A finding, of which the caller fills in the rest. */
struct iovageom_finding iovageom_finding_of(enum iovageom_finding_kind kind, int status,
                                            uint64_t domain, uint64_t endpoint,
                                            struct iovageom_range range,
                                            struct iovageom_range against)
{
    struct iovageom_finding finding = iovageom_finding_blank(kind, status);

    finding.domain = domain;
    finding.endpoint = endpoint;
    finding.range = range;
    finding.against = against;
    return finding;
}

int iovageom_refuse(struct iovageom_report *report, const struct iovageom_finding *finding)
{
    iovageom_report_add(report, finding);
    return finding->status;
}

/*
 * `reserved` has addresses of the range of the finding: against these, and who reserves them is
 * named for the group, or if that is NULL, for the first group of the domain that can name
 * somebody.
 */
int iovageom_refuse_reserved(struct iovageom_report *report, struct iovageom_finding *finding,
                             const struct iovageom_rangeset *reserved,
                             const struct iovageom_viommu *viommu,
                             const struct iovageom_group *group,
                             const struct iovageom_domain *domain)
{
    const struct iovageom_link *link = domain->node.up; /* not NULL: a domain has endpoints */
    struct iovageom_range hit;
    unsigned most = IOVAGEOM_ASKED_FOR_A_NAME;

    if (report == NULL)
        return finding->status;
    (void)iovageom_rangeset_first_overlap(reserved, finding->range, &finding->against);
    (void)iovageom_range_intersect(finding->range, finding->against, &hit);
    do
        iovageom_name_group(finding, viommu, group != NULL ? group : link->upper->self, hit);
    while (group == NULL && finding->type == 0 && --most > 0 && (link = link->up_next) != NULL);
    return iovageom_refuse(report, finding);
}

int iovageom_refuse_saying(struct iovageom_report *report, int error, const char *detail,
                           uint64_t domain, uint64_t endpoint)
{
    struct iovageom_finding finding = iovageom_finding_of(
        IOVAGEOM_FINDING_OTHER, error, domain, endpoint, IOVAGEOM_NOWHERE, IOVAGEOM_NOWHERE);

    finding.detail = detail;
    return iovageom_refuse(report, &finding);
}

int iovageom_refuse_number(struct iovageom_report *report, enum iovageom_finding_kind kind,
                           int error, uint64_t domain, uint64_t endpoint, uint64_t wanted,
                           uint64_t offered)
{
    struct iovageom_finding finding =
        iovageom_finding_of(kind, error, domain, endpoint, IOVAGEOM_NOWHERE, IOVAGEOM_NOWHERE);

    finding.wanted = wanted;
    finding.offered = offered;
    if (kind == IOVAGEOM_FINDING_BUDGET)
        (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, "the host");
    else if (kind == IOVAGEOM_FINDING_GRANULE)
        (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_MACHINE, "the destination");
    return iovageom_refuse(report, &finding);
}

int iovageom_refuse_unknown(struct iovageom_report *report, uint64_t domain, uint64_t endpoint)
{
    return iovageom_refuse_number(report, IOVAGEOM_FINDING_NOT_FOUND, IOVAGEOM_ERR_NOT_FOUND,
                                  domain, endpoint, 0, 0);
}

/* ---- notes ---- */

/* Adds findings that were made in a report of their own, and ends that one. */
void iovageom_report_take(struct iovageom_report *report, struct iovageom_report *notes)
{
    for (size_t i = 0; i < iovageom_report_count(notes); i++)
        iovageom_report_add(report, iovageom_report_at(notes, i));
    iovageom_report_deinit(notes);
}

/* Each device leaves something to the guest, and all together nothing: no one owner is named. */
void iovageom_note_nothing(struct iovageom_report *report, const char *who)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_NOTHING_USABLE, IOVAGEOM_OK);

    (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_MACHINE, who);
    iovageom_report_add(report, &finding);
}

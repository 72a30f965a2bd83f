/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/range.h"
#include "../virtio/virtio_internal.h"
#include "internal.h"

/*
 * May a device, an envelope, a slot or a driver come? These functions change nothing but the report
 * and the answer in struct iovageom_admission. Each objection is a finding, and the search goes on
 * after the first one, so that the report names every obstacle. a->status is that of the first
 * objection. A lack of memory is returned, or put there by ask_common().
 */

/* ---- objections ---- */

/* For questions that put their findings into the report themselves: only the status is missing. */
static void conflict(struct iovageom_admission *a)
{
    if (a->status == IOVAGEOM_OK)
        a->status = IOVAGEOM_ERR_CONFLICT;
}

/* Report an objection. It refuses unless allow_stale lets it pass: then it is a note. Only
 * promises, mappings and budgets can pass, since the VMM can live with those; a guest that was
 * never told of a hole could not. */
void iovageom_object(struct iovageom_admission *a, struct iovageom_finding *finding)
{
    const bool lenient =
        (a->flags & IOVAGEOM_PLUG_ALLOW_STALE) != 0 &&
        (finding->kind == IOVAGEOM_FINDING_PROMISE || finding->kind == IOVAGEOM_FINDING_MAPPING ||
         finding->kind == IOVAGEOM_FINDING_BUDGET);

    /* While loading, a device without a usable address is safe: PROBE reserves everything. */
    if (lenient || (a->viommu->loading && finding->kind == IOVAGEOM_FINDING_NOTHING_USABLE))
        finding->status = IOVAGEOM_OK;
    finding->fatal = finding->status != IOVAGEOM_OK;
    if (a->status == IOVAGEOM_OK)
        a->status = finding->status;
    /* In a PROMISE, `endpoint` is the one with the promise, and stays NONE if that one is gone. */
    if (finding->endpoint == IOVAGEOM_ID_NONE && finding->kind != IOVAGEOM_FINDING_PROMISE)
        finding->endpoint = a->endpoint;
    iovageom_report_add(a->report, finding);
}

/*
 * The device reserves `against`. `range` is what it conflicts with: addresses that were promised,
 * or a mapping. `endpoint` and `domain` say whose it is; IOVAGEOM_ID_NONE for neither.
 */
static void object(struct iovageom_admission *a, enum iovageom_finding_kind kind, uint64_t domain,
                   uint64_t endpoint, struct iovageom_range range, struct iovageom_range against)
{
    struct iovageom_finding finding =
        iovageom_finding_of(kind, IOVAGEOM_ERR_CONFLICT, domain, endpoint, range, against);

    iovageom_name_device(&finding, a->device, range, against);
    iovageom_object(a, &finding);
}

/* The same for a number: `wanted` by the guest or the machine, `offered` by the device. */
static void object_number(struct iovageom_admission *a, enum iovageom_finding_kind kind,
                          uint64_t domain, uint64_t wanted, uint64_t offered)
{
    struct iovageom_finding finding = iovageom_finding_of(
        kind, IOVAGEOM_ERR_CONFLICT, domain, IOVAGEOM_ID_NONE, IOVAGEOM_NOWHERE, IOVAGEOM_NOWHERE);

    finding.wanted = wanted;
    finding.offered = offered;
    iovageom_name_number(&finding, a->device);
    iovageom_object(a, &finding);
}

/* Report regions of type DIRECT. A refusal must come first in the report, before other objections,
 * and a note last: so each asker calls this twice. */
static void ask_direct(struct iovageom_admission *a, bool refusing)
{
    const bool refused = (a->flags & IOVAGEOM_PLUG_REFUSE_DIRECT) != 0 ||
                         (a->viommu->config.flags & IOVAGEOM_VIOMMU_REFUSE_DIRECT) != 0;

    if (refused == refusing &&
        iovageom_geometry_direct(a->device->geometry, a->endpoint,
                                 refusing ? IOVAGEOM_ERR_CONFLICT : IOVAGEOM_OK, a->report) &&
        refusing)
        conflict(a);
}

/* ---- what the guest can be told ---- */

/* The granule that the guest will map by, as far as it is known; else 0. */
static uint64_t guest_granule(const struct iovageom_viommu *viommu)
{
    return viommu->frozen ? iovageom_pgsize_granule(viommu->shown.page_size_mask)
                          : viommu->config.granule;
}

static void ask_granule(struct iovageom_admission *a)
{
    const uint64_t mask = a->device->mask;
    const uint64_t wanted = guest_granule(a->viommu);

    if (mask == 0)
        object_number(a, IOVAGEOM_FINDING_NOTHING_USABLE, IOVAGEOM_ID_NONE, 0, 0);
    else if (wanted != 0 && !iovageom_pgsize_accepts(mask, wanted))
        object_number(a, IOVAGEOM_FINDING_GRANULE, IOVAGEOM_ID_NONE, wanted,
                      iovageom_pgsize_granule(mask));
}

/* `owner`, or if that is NULL the device, reserves `range` of the guest's input range. Said against
 * it is the first piece that this leaves. An input range without it could tell of an `edge`, to a
 * driver that reads one; of all else only PROBE tells. */
static void object_input(struct iovageom_admission *a, struct iovageom_range guest,
                         struct iovageom_range range, bool edge, const struct iovageom_owner *owner)
{
    struct iovageom_finding finding =
        iovageom_finding_of(IOVAGEOM_FINDING_INPUT_RANGE, IOVAGEOM_ERR_CONFLICT, IOVAGEOM_ID_NONE,
                            IOVAGEOM_ID_NONE, guest, IOVAGEOM_NOWHERE);
    struct iovageom_range left[2] = {{0, 0}, {0, 0}};

    (void)iovageom_range_subtract(guest, range, left);
    finding.against = left[0];
    if (owner == NULL)
        iovageom_name_device(&finding, a->device, guest, range);
    else
        finding.owner = *owner;
    finding.type = 0;
    if ((a->viommu->accepted & IOVAGEOM_VIRTIO_F_PROBE) == 0 &&
        !(edge && (a->viommu->accepted & IOVAGEOM_VIRTIO_F_INPUT_RANGE) != 0))
        finding.detail = "offer and accept PROBE (VIRTIO_IOMMU_F_PROBE)";
    iovageom_object(a, &finding);
}

/* Before freeze, with INPUT_AS_HOST and without PROBE. The input range will be cut to what all
 * devices can map, which tells the guest of their ends. That works unless they have no granule in
 * common: each device may be fine alone and all together not, so they are asked together, once. */
static void ask_common(struct iovageom_admission *a)
{
    const struct iovageom_range input = a->viommu->config.input_range;
    const uint64_t mask = iovageom_pgsize_meet(iovageom_shown_mask(a->viommu), a->device->mask);
    struct iovageom_range common = input, hit = input;
    bool whole = true;
    int error = iovageom_shown_input(a->viommu, iovageom_pgsize_granule(mask), a->device,
                                     a->endpoint, NULL, &common, &whole);

    for (size_t i = a->device->all_count; i > 0; i--)
        if (iovageom_range_overlaps(a->device->ranges[i - 1], input))
            hit = a->device->ranges[i - 1];
    if (error != IOVAGEOM_OK)
        a->status = error;
    else if (!whole)
        object_input(a, input, hit, false, NULL);
}

/*
 * Whether the device and the machine's regions leave a whole granule of `input` to the guest. Walks
 * the gaps between the ranges of the device, which ascend; `input` shrinks to what is above each
 * range.
 */
static bool leaves_some(const struct iovageom_device *device,
                        const struct iovageom_rangeset *platform, struct iovageom_range input,
                        uint64_t granule)
{
    struct iovageom_range gap;

    for (size_t i = 0; i < device->all_count; i++) {
        if (iovageom_range_below(device->ranges[i], &gap) &&
            iovageom_range_intersect(gap, input, &gap) &&
            iovageom_rangeset_hole(platform, gap, granule, granule, false, &gap) == IOVAGEOM_OK)
            return true;
        if (!iovageom_range_above(device->ranges[i], &gap) ||
            !iovageom_range_intersect(gap, input, &input))
            return false;
    }
    return iovageom_rangeset_hole(platform, input, granule, granule, false, &gap) == IOVAGEOM_OK;
}

/* Something must be usable, in the largest granule that is known: guest's, configured or device's.
 * False when nothing is: that refuses, except while loading. */
static bool ask_some(struct iovageom_admission *a, struct iovageom_range input)
{
    uint64_t granule = guest_granule(a->viommu);

    if (granule == 0)
        granule = iovageom_pgsize_granule(a->viommu->config.page_size_mask);
    granule = iovageom_higher(granule, iovageom_pgsize_granule(a->device->mask));
    if (leaves_some(a->device, &a->viommu->platform_all, input, granule))
        return true;
    object_number(a, IOVAGEOM_FINDING_NOTHING_USABLE, IOVAGEOM_ID_NONE, 0, 0);
    return a->viommu->loading;
}

/* Whether a reserved range is nothing but MSI doorbells. A guest knows of its machine's doorbells
 * without PROBE, so such a range is no obstacle for a driver that declined it. */
static bool only_doorbells(const struct iovageom_device *device, struct iovageom_range range)
{
    size_t i = device->all_count, end = i + device->msi_count;

    while (i < end && !iovageom_range_contains(device->ranges[i], range))
        i++;
    return i < end;
}

/*
 * The input range. What the guest can't be told of must be usable, and at least one granule must
 * be. The locals:
 *
 *   told   PROBE tells the guest of every reserved range, so ranges alone are no obstacle
 *   open   the input range is yet to be cut to what hosts map (INPUT_AS_HOST, not frozen): it will
 *          tell of a reserved range at either end (`edge`), but not of one in between
 *   strict the VMM wants no reserved range at either end (STRICT_INPUT), even if PROBE tells it
 *
 * With `common` all devices are asked together, too: one answer holds for all of them.
 */
static void ask_input(struct iovageom_admission *a, bool common)
{
    const struct iovageom_viommu *viommu = a->viommu;
    const struct iovageom_device *device = a->device;
    const bool open = !viommu->frozen && (viommu->accepted & IOVAGEOM_VIRTIO_F_INPUT_RANGE) != 0 &&
                      (viommu->config.flags & IOVAGEOM_VIOMMU_INPUT_AS_HOST) != 0;
    const struct iovageom_range input =
        viommu->frozen ? viommu->shown.input_range : viommu->config.input_range;
    const struct iovageom_range guest = iovageom_guest_input(viommu);
    const bool strict =
        !a->viommu->loading && (viommu->config.flags & IOVAGEOM_VIOMMU_STRICT_INPUT) != 0;
    const bool told = (viommu->accepted & IOVAGEOM_VIRTIO_F_PROBE) != 0;

    if (!ask_some(a, input))
        return;
    if (!told && !iovageom_range_equal(guest, input)) {
        struct iovageom_finding finding =
            iovageom_finding_of(IOVAGEOM_FINDING_INPUT_RANGE, IOVAGEOM_ERR_CONFLICT,
                                IOVAGEOM_ID_NONE, IOVAGEOM_ID_NONE, guest, input);

        (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_MACHINE, "input_range");
        finding.detail = "accept INPUT_RANGE (VIRTIO_IOMMU_F_INPUT_RANGE)";
        iovageom_object(a, &finding);
    }
    for (size_t i = 0; (strict || !told) && i < device->all_count; i++) {
        const struct iovageom_range range = device->ranges[i];
        const bool edge =
            iovageom_range_has(range, guest.start) || iovageom_range_has(range, guest.last);

        if (iovageom_range_overlaps(range, guest) && !(open && edge) &&
            ((strict && edge) || (!told && !only_doorbells(device, range)))) {
            object_input(a, guest, range, edge, NULL);
            common = false;
        }
    }
    if (open && !told && common)
        ask_common(a);
}

/* Regions of the machine that a driver without PROBE can't be told of, other than its doorbells. */
static void ask_platform(struct iovageom_admission *a)
{
    const struct iovageom_range guest = iovageom_guest_input(a->viommu);
    struct iovageom_range hit;
    const struct iovageom_geometry_fact *fact;

    if ((a->viommu->accepted & IOVAGEOM_VIRTIO_F_PROBE) != 0)
        return;
    for (size_t i = 0; (fact = iovageom_geometry_next_regions(a->viommu->platform, &i)) != NULL;)
        if (iovageom_fact_type(fact) != IOVAGEOM_RESV_MSI && iovageom_fact_forbids(fact) &&
            iovageom_rangeset_first_overlap(fact->ranges, guest, &hit))
            object_input(a, guest, hit, false, &fact->owner);
}

/* Can the driver be told of everything that is there: machine, envelope, devices? And do they go
 * with the granule? While loading it comes from the stream. */
int iovageom_ask_all(const struct iovageom_viommu *viommu, struct iovageom_report *report)
{
    struct iovageom_admission a = {.viommu = viommu,
                                   .report = report,
                                   .device = viommu->envelope,
                                   .endpoint = IOVAGEOM_ID_NONE};
    const struct iovageom_plug *plug = NULL;
    bool first = true;

    ask_platform(&a);
    if (a.device != NULL)
        ask_granule(&a);
    /* It is told where there is a slot, and stands for nothing elsewhere. */
    if (a.device != NULL && viommu->slots > 0) {
        ask_input(&a, true);
        first = false;
    }
    while ((plug = iovageom_plug_after(viommu, plug)) != NULL) {
        a.device = plug->device;
        a.endpoint = plug->contacts[0].endpoint->id;
        ask_granule(&a);
        ask_input(&a, first);
        first = false;
    }
    return a.status;
}

int iovageom_ask_envelope(const struct iovageom_viommu *viommu,
                          const struct iovageom_device *envelope, struct iovageom_report *report)
{
    struct iovageom_admission a = {
        .viommu = viommu, .report = report, .device = envelope, .endpoint = IOVAGEOM_ID_NONE};

    ask_direct(&a, true);
    ask_granule(&a);
    ask_input(&a, true);
    ask_direct(&a, false);
    return a.status;
}

/* ---- what it takes from others: guest groups and their domains ---- */

/* Bypass, live mappings and budget of one domain, if the device comes to serve it. `clear`: no
 * mapping is where the device reserves something. */
static void ask_domain(struct iovageom_admission *a, const struct iovageom_domain *domain,
                       bool clear)
{
    const struct iovageom_device *device = a->device;
    struct iovageom_mapping mapping;
    uint64_t joining;
    bool here;

    if (domain->bypass &&
        !iovageom_identity_fits(&a->viommu->identity, device, a->endpoint, domain->id, a->report))
        conflict(a);
    for (size_t i = 0; !clear && i < device->all_count; i++)
        if (iovageom_mappings_first_overlap(&domain->mappings, device->ranges[i], &mapping))
            object(a, IOVAGEOM_FINDING_MAPPING, domain->id, IOVAGEOM_ID_NONE, mapping.range,
                   device->ranges[i]);
    if (device->budget == UINT64_MAX)
        return;
    /* A domain that is not in this address space yet (`joining`) will be mapped there as a whole.
       If it is empty and not there, the device takes part in nothing, and no budget is exceeded. */
    here = a->address_space != NULL &&
           iovageom_link_find(&a->address_space->mapped, &domain->mapped) != NULL;
    joining = here ? 0 : iovageom_mappings_count(&domain->mappings);
    if ((here || joining > 0) && a->live + joining > device->budget)
        object_number(a, IOVAGEOM_FINDING_BUDGET, domain->id, a->live + joining, device->budget);
}

/* What the device would take from a guest group, and from the domains where that group is: of the
 * one that the link `clear` leads to, no mapping. */
static void ask_group(struct iovageom_admission *a, const struct iovageom_group *group,
                      const struct iovageom_link *clear)
{
    const struct iovageom_device *device = a->device;
    struct iovageom_range hit;
    struct iovageom_range both;
    const size_t count = iovageom_rangeset_count(&group->promised) > 0 ? device->all_count : 0;

    for (size_t i = 0; i < count; i++)
        if (iovageom_rangeset_first_overlap(&group->promised, device->ranges[i], &hit) &&
            iovageom_range_intersect(hit, device->ranges[i], &both))
            object(a, IOVAGEOM_FINDING_PROMISE, IOVAGEOM_ID_NONE, iovageom_promised_to(group, both),
                   hit, device->ranges[i]);
    for (const struct iovageom_link *link = group->node.down; link != NULL; link = link->down_next)
        ask_domain(a, link->lower->self, link == clear);
}

/*
 * Note what is lost where the list of a guest group (NULL: one that does not exist yet), with the
 * device, is joined until it fits the probe_size that the guest has read, as any can be
 * (IOVAGEOM_VIOMMU_LEAST_PROBE). `lead`: the first of the address space that the group comes into,
 * or NULL.
 */
static int ask_probe(struct iovageom_admission *a, const struct iovageom_group *group,
                     const struct iovageom_plug *lead)
{
    const struct iovageom_viommu *viommu = a->viommu;
    const size_t limit = viommu->shown.probe_size;
    struct iovageom_leads leads = {group != NULL ? group->node.up : NULL, lead};
    const struct iovageom_wire_question question = {viommu, group, &viommu->shown, lead, a->device};
    struct iovageom_wire_list *wire;
    size_t most = 4 + iovageom_rangeset_count(&viommu->platform_all) + a->device->all_count;
    int error;

    /* A device without page sizes is refused already, and has no addresses to lose. */
    if (!viommu->frozen || limit == 0 || a->report == NULL || a->device->mask == 0)
        return IOVAGEOM_OK;
    /* Most of the time there is room for as many regions as there can be, and no list is made: one
       for each range. The outside of the input range makes two more, and the MSI region, which may
       cut another one in two, two as well. [0, 2^64-1], which is said in two, is alone. */
    if (group != NULL && group->slots > 0 && viommu->envelope != NULL)
        most += viommu->envelope->all_count;
    while (iovageom_wire_bytes(most) <= limit && (lead = iovageom_lead_next(&leads)) != NULL)
        most += lead->device->all_count;
    if (iovageom_wire_bytes(most) <= limit)
        return IOVAGEOM_OK;
    error = iovageom_group_wire(&question, a->report, &wire);
    if (error == IOVAGEOM_OK)
        iovageom_wire_put(viommu, wire);
    return error;
}

/* May a slot be declared in the group (NULL: a new one)? It brings the envelope into the group,
 * which takes addresses from it like a device. In a group with a slot it is there already. */
int iovageom_ask_slot(const struct iovageom_viommu *viommu, uint32_t endpoint,
                      const struct iovageom_group *group, struct iovageom_report *report)
{
    struct iovageom_admission a = {
        .viommu = viommu, .report = report, .device = viommu->envelope, .endpoint = endpoint};
    int error = IOVAGEOM_OK;

    if (a.device == NULL)
        return IOVAGEOM_OK;
    if ((viommu->accepted & IOVAGEOM_VIRTIO_F_PROBE) == 0)
        ask_input(&a, true);
    if (a.status != IOVAGEOM_ERR_NO_MEMORY && group != NULL && group->slots == 0) {
        ask_group(&a, group, NULL);
        error = ask_probe(&a, group, NULL);
    }
    return error != IOVAGEOM_OK ? error : a.status;
}

/*
 * The geometry of the question becomes `*device`: one reference, the caller's. In front of it is
 * room for a plug, whose size does not wrap, as place_find() has had a table of all aliases in
 * memory. The mappings that are live go into its budget now, for a budget of VFIO is what the host
 * has left at this moment.
 */
int iovageom_ask_begin(struct iovageom_admission *a, const struct iovageom_geometry *geometry,
                       struct iovageom_device **device)
{
    const size_t contacts = a->options != NULL ? a->options->alias_count + 1 : 0;
    const size_t before = sizeof(struct iovageom_plug) + contacts * sizeof(struct iovageom_contact);
    int error;

    /* All domains are counted for that, so only if it or a device that is there has a budget. */
    if ((iovageom_geometry_knows(geometry) & IOVAGEOM_FACT_MAP_BUDGET) != 0 ||
        (a->address_space != NULL && a->address_space->budget != UINT64_MAX))
        a->live = iovageom_address_space_live(a->address_space);
    error = iovageom_device_make(a->viommu, geometry, before, a->live, device);
    a->device = error == IOVAGEOM_OK ? *device : NULL;
    return error;
}

/* The device alone: what it is, and whether the guest can be told of it. */
void iovageom_ask_device(struct iovageom_admission *a)
{
    ask_direct(a, true);
    ask_granule(a);
    ask_input(a, true);
    if (iovageom_bypass_unattached(a->viommu) &&
        !iovageom_identity_fits(&a->viommu->identity, a->device, a->endpoint, IOVAGEOM_ID_NONE,
                                a->report))
        conflict(a);
}

/*
 * What a guest group (NULL: one that does not exist yet) loses when an endpoint of it comes into
 * the address space: all that is reserved there. A group that has an endpoint there already loses
 * only what the device adds: iovageom_ask_neighbours() asks for that.
 */
int iovageom_ask_joining(struct iovageom_admission *a, const struct iovageom_group *group)
{
    const struct iovageom_address_space *address_space = a->address_space;
    const struct iovageom_plug *lead = address_space != NULL ? address_space->leads : NULL;
    const struct iovageom_plug *known = iovageom_lead_like(address_space, a->device);
    const struct iovageom_device *device = a->device;
    int error;

    if (group == NULL)
        return ask_probe(a, NULL, lead);
    if (address_space != NULL && iovageom_link_find(&address_space->node, &group->node) != NULL)
        return IOVAGEOM_OK;
    ask_group(a, group, NULL);
    error = ask_probe(a, group, lead);
    for (; lead != NULL; lead = lead->lead_next)
        if (lead != known) {
            a->device = lead->device;
            ask_group(a, group, NULL);
        }
    a->device = device;
    return error;
}

/* What the guest groups lose that are in the address space already. Then notes on the device. */
int iovageom_ask_neighbours(struct iovageom_admission *a)
{
    const struct iovageom_link *link =
        a->address_space != NULL ? a->address_space->node.down : NULL;
    int error = IOVAGEOM_OK;
    uint32_t met = 0;

    /* Where a device reserves the same already, they lose nothing. */
    if (iovageom_lead_like(a->address_space, a->device) != NULL)
        link = NULL;
    for (size_t i = 0; error == IOVAGEOM_OK && link != NULL; link = link->down_next, i++) {
        const struct iovageom_group *group = link->lower->self;

        if (i % IOVAGEOM_ITREE_FEW == 0)
            met = iovageom_groups_meet(link, a->device);
        ask_group(a, group, (met >> i % IOVAGEOM_ITREE_FEW & 1) == 0 ? group->node.down : NULL);
        error = ask_probe(a, group, NULL);
    }
    ask_direct(a, false);
    /* A device of which something is unknown is admitted with a note: unknown is not empty (Q5). */
    iovageom_geometry_doubts(a->device->geometry, a->endpoint, a->report);
    (void)iovageom_doorbells_unknown(a->viommu, a->device, a->endpoint, a->report);
    return error != IOVAGEOM_OK ? error : a->status;
}

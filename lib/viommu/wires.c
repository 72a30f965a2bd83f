/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_probe.h>

#include "../base/range.h"
#include "../set/rangeset_internal.h"
#include "internal.h"

/* The list of reserved regions that a PROBE answers for a guest group: all its endpoints get the
 * same one, because Linux listens only to the first endpoint of a group. */

/* What is reserved, as the question puts it; or with `msi` what may be told as MSI. With regions of
 * the machine that are those alone: there are the doorbells that this guest will use. A host's MSI
 * window is then RESERVED like any other. */
static int question_view(const struct iovageom_wire_question *question, bool msi,
                         struct iovageom_rangeset *out)
{
    const struct iovageom_viommu *viommu = question->viommu;
    const struct iovageom_rangeset *machine = msi ? &viommu->platform_msi : &viommu->platform_all;
    int error = iovageom_rangeset_assign(out, machine);

    if (msi && iovageom_rangeset_count(machine) > 0)
        return error;
    error |= iovageom_view_add(out, question->extra, msi);
    return error | iovageom_view_add_group(out, viommu, question->group, question->lead, msi);
}

/*
 * Fill in the list, which has room for one region more than there are: in ascending order, with
 * `msi`, which lies in none of the ranges, or is NULL. Then join it until it fits.
 */
static int wire_fill(const struct iovageom_wire_question *question,
                     const struct iovageom_rangeset *reserved, const struct iovageom_range *msi,
                     struct iovageom_report *report, struct iovageom_wire_list *wire)
{
    const size_t limit = question->shown->probe_size != 0 ? question->shown->probe_size : SIZE_MAX;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_report notes;
    struct iovageom_probe_plan plan;
    struct iovageom_range range;
    size_t count = 0;
    bool more;
    int error;

    iovageom_rangeset_seek(reserved, 0, &cursor);
    do {
        more = iovageom_rangeset_next(&cursor, &range);
        if (msi != NULL && (!more || msi->start < range.start)) {
            wire->regions[count++] = (struct iovageom_region){*msi, IOVAGEOM_RESV_MSI, 0};
            msi = NULL;
        }
        if (more)
            wire->regions[count++] = (struct iovageom_region){range, IOVAGEOM_RESV_RESERVED, 0};
    } while (more);
    error = iovageom_virtio_wire_list(wire->regions, count, NULL, IOVAGEOM_EVERYTHING,
                                      wire->regions, wire->count, &wire->count);
    if (error != IOVAGEOM_OK)
        return error;
    /* The planner clears the report that it is given; the caller's has findings already. */
    if (report != NULL)
        iovageom_report_init(&notes, &question->viommu->allocator);
    error = iovageom_plan_probe(wire->regions, wire->count, limit, wire->regions, wire->count + 1,
                                &plan, report != NULL ? &notes : NULL);
    if (report != NULL)
        iovageom_report_take(report, &notes);
    if (error == IOVAGEOM_OK)
        wire->count = plan.count;
    return error;
}

/* The page sizes that all hosts of the group map; all ones when none says. Every plug is asked: a
 * lead stands for what is reserved, not for page sizes. */
static uint64_t hosts_mask(const struct iovageom_wire_question *question)
{
    struct iovageom_leads leads = {question->group != NULL ? question->group->node.up : NULL,
                                   question->lead};
    uint64_t mask = question->extra != NULL ? question->extra->mask : UINT64_MAX;

    if (question->group != NULL && question->group->slots > 0 && question->viommu->envelope != NULL)
        mask = iovageom_pgsize_meet(mask, question->viommu->envelope->mask);
    for (const struct iovageom_plug *lead; (lead = iovageom_lead_next(&leads)) != NULL;)
        for (const struct iovageom_plug *plug = lead; plug != NULL; plug = plug->next)
            mask = iovageom_pgsize_meet(mask, plug->device->mask);
    return mask;
}

/* Note what the guest loses because its granule is larger than that of its hosts: addresses that
 * they map in pages of their own, but that are no whole granule of the guest. `set` has what is
 * reserved, and is used up, as `whole` is. */
static int note_scraps(const struct iovageom_wire_question *question, struct iovageom_rangeset *set,
                       struct iovageom_rangeset *whole, struct iovageom_report *report)
{
    const struct iovageom_virtio_config *shown = question->shown;
    int error = iovageom_rangeset_complement(set, set, shown->input_range);

    error |=
        iovageom_rangeset_align_inward(whole, set, iovageom_pgsize_granule(shown->page_size_mask));
    error |=
        iovageom_rangeset_align_inward(set, set, iovageom_pgsize_granule(hosts_mask(question)));
    error |= iovageom_rangeset_difference(set, set, whole);
    if (error == IOVAGEOM_OK && iovageom_rangeset_count(whole) == 0)
        iovageom_note_nothing(report, "the guest group");
    if (error == IOVAGEOM_OK)
        iovageom_report_all_lost(report, set);
    return error;
}

/* `*out` has one reference, the caller's. With a report, it notes what is lost. */
int iovageom_group_wire(const struct iovageom_wire_question *question,
                        struct iovageom_report *report, struct iovageom_wire_list **out)
{
    const uint64_t granule = iovageom_pgsize_granule(question->shown->page_size_mask);
    struct iovageom_wire_list *wire = NULL;
    struct iovageom_rangeset view, set;
    struct iovageom_range msi;
    bool has_msi;
    int error;

    (void)iovageom_rangeset_init(&view, &question->viommu->allocator);
    (void)iovageom_rangeset_init(&set, &question->viommu->allocator);
    /* Only one MSI region can be told (N74): of several the lowest is told as such. */
    error = question_view(question, true, &set);
    error |= iovageom_rangeset_align_outward(&set, &set, granule);
    has_msi = iovageom_rangeset_first_overlap(&set, IOVAGEOM_EVERYTHING, &msi);
    error |= question_view(question, false, &view);
    error |= iovageom_rangeset_align_outward(&set, &view, granule);
    /* A driver that declined to read the input range is told what lies outside (I2). */
    if ((question->viommu->accepted & IOVAGEOM_VIRTIO_F_INPUT_RANGE) == 0) {
        error |= iovageom_rangeset_complement(&set, &set, question->shown->input_range);
        error |= iovageom_rangeset_complement(&set, &set, IOVAGEOM_EVERYTHING);
    }
    if (has_msi)
        error |= iovageom_rangeset_remove(&set, msi);
    /* Room for the MSI region, and for one more, to say [0, 2^64-1] in two. */
    if (error == IOVAGEOM_OK)
        error = iovageom_wire_new(question->viommu, iovageom_rangeset_count(&set) + 2, &wire);
    if (error == IOVAGEOM_OK)
        error = wire_fill(question, &set, has_msi ? &msi : NULL, report, wire);
    if (error == IOVAGEOM_OK && report != NULL)
        error = note_scraps(question, &view, &set, report);
    iovageom_rangeset_deinit(&view);
    iovageom_rangeset_deinit(&set);
    if (error == IOVAGEOM_OK)
        *out = wire;
    else
        iovageom_wire_put(question->viommu, wire);
    return error;
}

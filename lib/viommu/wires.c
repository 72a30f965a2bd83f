/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_probe.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "internal.h"

/* The list of reserved regions that a PROBE answers for a guest group: all its endpoints get the
 * same one, because Linux listens only to the first endpoint of a group. */

/* Both in one ascending list; `msi` lies in none of the ranges, or is NULL. Returns how many. */
static size_t regions_write(struct iovageom_region *out, const struct iovageom_rangeset *reserved,
                            const struct iovageom_range *msi)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    size_t count = 0;

    iovageom_rangeset_seek(reserved, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range)) {
        if (msi != NULL && msi->start < range.start) {
            out[count++] = (struct iovageom_region){*msi, IOVAGEOM_RESV_MSI, 0};
            msi = NULL;
        }
        out[count++] = (struct iovageom_region){range, IOVAGEOM_RESV_RESERVED, 0};
    }
    if (msi != NULL)
        out[count++] = (struct iovageom_region){*msi, IOVAGEOM_RESV_MSI, 0};
    return count;
}

static int add_outside(struct iovageom_rangeset *set, struct iovageom_range range)
{
    struct iovageom_range rest[2];
    const unsigned parts = iovageom_range_subtract(IOVAGEOM_EVERYTHING, range, rest);
    int error = IOVAGEOM_OK;

    for (unsigned i = 0; error == IOVAGEOM_OK && i < parts; i++)
        error = iovageom_rangeset_insert(set, rest[i]);
    return error;
}

/* What is reserved, as the question puts it; or with `msi` what may be told as MSI. With regions of
 * the machine that are those alone: there are the doorbells that this guest will use. A host's MSI
 * window is then RESERVED like any other. */
static int question_view(const struct iovageom_wire_question *question, bool msi,
                         struct iovageom_rangeset *out)
{
    const struct iovageom_viommu *viommu = question->viommu;
    const bool machine = msi && iovageom_rangeset_count(&viommu->platform_msi) > 0;
    struct iovageom_leads leads = {NULL, question->joined != NULL ? question->joined->leads : NULL};
    const struct iovageom_plug *lead;
    int error = iovageom_group_view(viommu, machine ? NULL : question->group, msi, out);

    if (error != IOVAGEOM_OK || machine)
        return error;
    error = iovageom_view_add(out, question->extra, msi);
    while (error == IOVAGEOM_OK && (lead = iovageom_lead_next(&leads)) != NULL)
        error = iovageom_view_add(out, lead->device, msi);
    /* A driver that declined to read the input range is told what lies outside (I2). */
    if (error == IOVAGEOM_OK && !msi && (viommu->accepted & IOVAGEOM_VIRTIO_F_INPUT_RANGE) == 0)
        error = add_outside(out, question->shown->input_range);
    return error;
}

/* The view as typed regions of whole granules. Only one MSI region can be told (N74): of several the
 * lowest is told as such. */
static int view_regions(const struct iovageom_wire_question *question,
                        const struct iovageom_rangeset *view, struct iovageom_wire_list **out)
{
    const uint64_t granule = iovageom_pgsize_granule(question->shown->page_size_mask);
    struct iovageom_wire_list *wire = NULL;
    struct iovageom_rangeset set;
    struct iovageom_range msi;
    bool has_msi;
    int error;

    (void)iovageom_rangeset_init(&set, &question->viommu->allocator);
    error = question_view(question, true, &set);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_outward(&set, &set, granule);
    has_msi = iovageom_rangeset_first_overlap(&set, IOVAGEOM_EVERYTHING, &msi);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_outward(&set, view, granule);
    if (error == IOVAGEOM_OK && has_msi)
        error = iovageom_rangeset_remove(&set, msi);
    /* Room for the MSI region, and for one more, to say [0, 2^64-1] in two. */
    if (error == IOVAGEOM_OK)
        error = iovageom_wire_new(question->viommu, iovageom_rangeset_count(&set) + 2, &wire);
    if (error == IOVAGEOM_OK) {
        *out = wire;
        error = iovageom_virtio_wire_list(
            wire->regions, regions_write(wire->regions, &set, has_msi ? &msi : NULL), NULL,
            IOVAGEOM_EVERYTHING, wire->regions, wire->count, &wire->count);
    }
    iovageom_rangeset_deinit(&set);
    return error;
}

/* The page sizes that all hosts of the group map; all ones when none says. Every plug is asked: a
 * lead stands for what is reserved, not for page sizes. */
static uint64_t hosts_mask(const struct iovageom_wire_question *question)
{
    struct iovageom_leads leads = {question->group != NULL ? question->group->node.up : NULL,
                                   question->joined != NULL ? question->joined->leads : NULL};
    uint64_t mask = question->extra != NULL ? question->extra->mask : UINT64_MAX;

    if (question->group != NULL && question->group->slots > 0 && question->viommu->envelope != NULL)
        mask = iovageom_pgsize_meet(mask, question->viommu->envelope->mask);
    for (const struct iovageom_plug *lead; (lead = iovageom_lead_next(&leads)) != NULL;)
        for (const struct iovageom_plug *plug = lead; plug != NULL; plug = plug->next)
            mask = iovageom_pgsize_meet(mask, plug->device->mask);
    return mask;
}

/* Note what the guest loses because its granule is larger than that of its hosts: addresses that
 * they map in pages of their own, but that are no whole granule of the guest. */
static int note_scraps(const struct iovageom_wire_question *question,
                       const struct iovageom_rangeset *reserved, struct iovageom_report *report)
{
    const struct iovageom_virtio_config *shown = question->shown;
    struct iovageom_rangeset scraps, whole;
    int error;

    (void)iovageom_rangeset_init(&scraps, &question->viommu->allocator);
    (void)iovageom_rangeset_init(&whole, &question->viommu->allocator);
    error = iovageom_rangeset_complement(&scraps, reserved, shown->input_range);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_inward(&whole, &scraps,
                                               iovageom_pgsize_granule(shown->page_size_mask));
    if (error == IOVAGEOM_OK && iovageom_rangeset_count(&whole) == 0)
        iovageom_note_nothing(report, "the guest group");
    /* Most of the time nothing is left over, and no page sizes are looked for. */
    if (error == IOVAGEOM_OK && !iovageom_rangeset_equal(&scraps, &whole))
        error = iovageom_rangeset_align_inward(&scraps, &scraps,
                                               iovageom_pgsize_granule(hosts_mask(question)));
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_difference(&scraps, &scraps, &whole);
    if (error == IOVAGEOM_OK)
        iovageom_note_all_lost(report, &scraps);
    iovageom_rangeset_deinit(&scraps);
    iovageom_rangeset_deinit(&whole);
    return error;
}

/* Join the list until it fits. There is room for one region more, which it has if it needs it. */
static int wire_fit(const struct iovageom_wire_question *question, struct iovageom_wire_list *wire,
                    struct iovageom_report *report)
{
    const size_t limit = question->shown->probe_size != 0 ? question->shown->probe_size : SIZE_MAX;
    struct iovageom_report notes;
    struct iovageom_probe_plan plan;
    int error;

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

/* `*out` has one reference, the caller's. With a report, it notes what is lost. */
int iovageom_group_wire(const struct iovageom_wire_question *question,
                        struct iovageom_report *report, struct iovageom_wire_list **out)
{
    struct iovageom_wire_list *wire = NULL;
    struct iovageom_rangeset view;
    int error;

    (void)iovageom_rangeset_init(&view, &question->viommu->allocator);
    error = question_view(question, false, &view);
    if (error == IOVAGEOM_OK)
        error = view_regions(question, &view, &wire);
    if (error == IOVAGEOM_OK)
        error = wire_fit(question, wire, report);
    if (error == IOVAGEOM_OK && report != NULL)
        error = note_scraps(question, &view, report);
    iovageom_rangeset_deinit(&view);
    if (error == IOVAGEOM_OK)
        *out = wire;
    else
        iovageom_wire_put(question->viommu, wire);
    return error;
}

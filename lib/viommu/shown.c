/* SPDX-License-Identifier: BSD-3-Clause */
#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "../virtio/virtio_internal.h"
#include "internal.h"

/*
 * The config space that the guest reads: as it was frozen, or as freezing now would make it.
 */

/* probe_size can't grow once the guest has read it, and devices that are plugged later bring
 * regions. So there is room for 8 more than the largest group has. QEMU offers 512 bytes. */
#define LEAST_PROBE_SIZE    512u
#define SPARE_PROBE_REGIONS 8u

/* The page sizes that all devices, the envelope and the configuration have. */
uint64_t iovageom_shown_mask(const struct iovageom_viommu *viommu)
{
    uint64_t mask = viommu->config.page_size_mask;
    const struct iovageom_plug *plug = NULL;

    if (viommu->envelope != NULL)
        mask = iovageom_pgsize_meet(mask, viommu->envelope->mask);
    while ((plug = iovageom_plug_after(viommu, plug)) != NULL)
        mask = iovageom_pgsize_meet(mask, plug->device->mask);
    if (viommu->config.granule != 0)
        mask = iovageom_pgsize_raise(mask, viommu->config.granule);
    return mask;
}

uint64_t iovageom_shown_granule(const struct iovageom_viommu *viommu)
{
    return iovageom_pgsize_granule(viommu->frozen ? viommu->shown.page_size_mask
                                                  : iovageom_shown_mask(viommu));
}

/* What devices and the envelope reserve, with `device` in the place of those that were plugged at
 * the endpoint, or for IOVAGEOM_ID_NONE of the envelope. */
static int reserved_to_any(const struct iovageom_viommu *viommu,
                           const struct iovageom_device *device, uint64_t endpoint,
                           struct iovageom_rangeset *out)
{
    const struct iovageom_plug *plug = NULL;
    int error = iovageom_view_add(out, device, false);

    if (endpoint != IOVAGEOM_ID_NONE)
        error |= iovageom_view_add(out, viommu->envelope, false);
    while ((plug = iovageom_plug_after(viommu, plug)) != NULL)
        if (plug->contacts[0].endpoint->id != endpoint)
            error |= iovageom_view_add(out, plug->device, false);
    return error;
}

/*
 * INPUT_AS_HOST: shrink `*input` in two steps. First to the span from the first to the last granule
 * that all devices can map; if there is none, `*whole` is false and `*input` as it was. Then to the
 * span of those that iovageom_viommu_add_region() leaves too; if there is none, the first span
 * holds.
 *
 * With a report, it notes what all can map, but lies outside of that span: it is lost to the guest.
 * `device` and `endpoint`: see reserved_to_any().
 */
int iovageom_shown_input(const struct iovageom_viommu *viommu, uint64_t granule,
                         const struct iovageom_device *device, uint64_t endpoint,
                         struct iovageom_report *report, struct iovageom_range *input, bool *whole)
{
    struct iovageom_rangeset granules, usable;
    int error;

    (void)iovageom_rangeset_init(&granules, &viommu->allocator);
    (void)iovageom_rangeset_init(&usable, &viommu->allocator);
    error = reserved_to_any(viommu, device, endpoint, &usable);
    error |= iovageom_rangeset_complement(&usable, &usable, *input);
    error |= iovageom_rangeset_align_inward(&granules, &usable, granule);
    *whole = iovageom_rangeset_hull(&granules, input);
    error |= iovageom_rangeset_difference(&usable, &usable, &viommu->platform_all);
    error |= iovageom_rangeset_align_inward(&granules, &usable, granule);
    (void)iovageom_rangeset_hull(&granules, input);
    error |= iovageom_rangeset_remove(&usable, *input);
    if (error == IOVAGEOM_OK && *whole)
        iovageom_report_all_lost(report, &usable);
    iovageom_rangeset_deinit(&granules);
    iovageom_rangeset_deinit(&usable);
    return error;
}

/* Linux uses a granule as a whole even if only a part of it is in the input range. So shrink that
 * to whole granules. There is at least one: config_check() and admission.c see to that. */
static void input_to_granules(struct iovageom_virtio_config *shown, struct iovageom_report *report)
{
    struct iovageom_range whole, left[2];
    unsigned parts;

    if (!iovageom_range_align_inward(shown->input_range,
                                     iovageom_pgsize_granule(shown->page_size_mask), &whole))
        return;
    parts = iovageom_range_subtract(shown->input_range, whole, left);
    shown->input_range = whole;
    for (unsigned i = 0; i < parts; i++)
        iovageom_report_lost(report, left[i]);
}

/* The config said 0: room for the longest list of any group, unjoined, and for spare regions. */
static int choose_probe_size(const struct iovageom_viommu *viommu,
                             struct iovageom_virtio_config *shown)
{
    size_t most = SPARE_PROBE_REGIONS;

    for (struct iovageom_group *group = NULL;
         (group = iovageom_group_after(viommu, group)) != NULL;) {
        const struct iovageom_wire_question question = {viommu, group, shown, NULL, NULL};
        struct iovageom_wire_list *wire;
        int error = iovageom_group_wire(&question, NULL, &wire);

        if (error != IOVAGEOM_OK)
            return error;
        if (wire->count + SPARE_PROBE_REGIONS > most)
            most = wire->count + SPARE_PROBE_REGIONS;
        iovageom_wire_put(viommu, wire);
    }
    most = iovageom_wire_bytes(most);
    if (most > UINT32_MAX)
        return IOVAGEOM_ERR_OVERFLOW;
    shown->probe_size = most > LEAST_PROBE_SIZE ? (uint32_t)most : LEAST_PROBE_SIZE;
    return IOVAGEOM_OK;
}

/* The config space of now. `bypass` is the one field that changes after it was frozen (N5). */
int iovageom_shown(const struct iovageom_viommu *viommu, struct iovageom_virtio_config *out,
                   struct iovageom_report *report)
{
    const struct iovageom_viommu_config *config = &viommu->config;
    struct iovageom_virtio_config shown = {0};
    bool whole = true;
    int error = IOVAGEOM_OK;

    if (viommu->frozen) {
        *out = viommu->shown;
        out->bypass = viommu->bypass;
        return IOVAGEOM_OK;
    }
    shown.page_size_mask = iovageom_shown_mask(viommu);
    shown.input_range = config->input_range;
    shown.domain_start = config->domain_start;
    shown.domain_last = config->domain_last;
    shown.bypass = viommu->bypass;
    /* A driver without F_INPUT_RANGE does not read it, and maps anywhere: a narrower range would
       tell it nothing, and would refuse its MAPs. */
    if ((config->flags & IOVAGEOM_VIOMMU_INPUT_AS_HOST) != 0 &&
        (viommu->accepted & IOVAGEOM_VIRTIO_F_INPUT_RANGE) != 0)
        error = iovageom_shown_input(viommu, iovageom_pgsize_granule(shown.page_size_mask),
                                     viommu->envelope, IOVAGEOM_ID_NONE, report, &shown.input_range,
                                     &whole);
    if (error == IOVAGEOM_OK && !whole)
        iovageom_note_nothing(report, "all devices together");
    if (error == IOVAGEOM_OK)
        input_to_granules(&shown, report);
    shown.probe_size = config->probe_size;
    if ((config->features & IOVAGEOM_VIRTIO_F_PROBE) == 0)
        shown.probe_size = 0;
    else if (error == IOVAGEOM_OK && shown.probe_size == 0)
        error = choose_probe_size(viommu, &shown);
    if (error == IOVAGEOM_OK)
        *out = shown;
    return error;
}

/* Where the driver maps: in the input range if it reads that, else anywhere (I2). */
struct iovageom_range iovageom_guest_input(const struct iovageom_viommu *viommu)
{
    if ((viommu->accepted & IOVAGEOM_VIRTIO_F_INPUT_RANGE) == 0)
        return IOVAGEOM_EVERYTHING;
    return viommu->frozen ? viommu->shown.input_range : viommu->config.input_range;
}

/*
 * A Linux guest whose PROBE has no MSI region assumes a window for doorbells (I5): `window` below,
 * MSI_IOVA_BASE of its virtio-iommu driver. VFIO in that guest then maps doorbells there; the
 * guest's own drivers do not, as they get an address from the allocator for all DMA. On a host as
 * on Arm, software places doorbells too. If that host reserves the window, those MAPs are refused,
 * and only the machine knows where its doorbells are: so this is a note on the machine.
 *
 * Returns true if it has noted that.
 */
bool iovageom_doorbells_unknown(const struct iovageom_viommu *viommu,
                                const struct iovageom_device *device, uint64_t endpoint,
                                struct iovageom_report *report)
{
    static const struct iovageom_range window = {0x8000000, 0x80fffff};
    const struct iovageom_geometry_fact *fact;
    struct iovageom_finding finding;
    bool software = false, refused = false;

    if (device->msi_count > 0 || iovageom_rangeset_count(&viommu->platform_msi) > 0)
        return false;
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_GUEST_QUIRK, IOVAGEOM_OK);
    for (size_t i = 0; (fact = iovageom_geometry_next_regions(device->geometry, &i)) != NULL;) {
        software |= iovageom_fact_type(fact) == IOVAGEOM_RESV_SOFTWARE_MSI;
        if (iovageom_fact_forbids(fact) &&
            iovageom_rangeset_first_overlap(fact->ranges, window, &finding.range)) {
            (void)iovageom_range_intersect(finding.range, window, &finding.range);
            refused = true;
        }
    }
    if (!software || !refused)
        return false;
    finding.endpoint = endpoint;
    finding.detail = "VFIO in a guest maps MSI doorbells there (its own drivers don't), unless it "
                     "is told of the machine's: add those as an MSI region";
    iovageom_report_add(report, &finding);
    return true;
}

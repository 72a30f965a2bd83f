/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <iovageom/pgsize.h>

#include "../geometry/internal.h"
#include "internal.h"

/* A guest's probe buffer costs it little, and can't grow once it was read: QEMU's size or more. */
#define LEAST_PROBE_SIZE    512u
#define SPARE_PROBE_REGIONS 8u

/* The page sizes that all devices, the envelope and the configuration have. */
uint64_t iovageom_books_mask(const struct iovageom_viommu *viommu)
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

static int space_add(struct iovageom_rangeset *reserved, const struct iovageom_device *device)
{
    int error = IOVAGEOM_OK;

    for (size_t i = 0; error == IOVAGEOM_OK && device != NULL && i < device->all_count; i++)
        error = iovageom_rangeset_insert(reserved, device->ranges[i]);
    return error;
}

/*
 * What lies in `range` and is usable for all devices and the envelope; also for what is asked for, if
 * anything is, and without what that would replace.
 */
static int space_usable(const struct iovageom_viommu *viommu, struct iovageom_range range,
                        const struct iovageom_admission *a, struct iovageom_rangeset *out)
{
    const struct iovageom_endpoint *renewed = a != NULL ? a->renewed : NULL;
    const struct iovageom_plug *plug = NULL;
    int error = a != NULL ? space_add(out, a->device) : IOVAGEOM_OK;

    if (error == IOVAGEOM_OK && (a == NULL || !a->renews_envelope))
        error = space_add(out, viommu->envelope);
    while (error == IOVAGEOM_OK && (plug = iovageom_plug_after(viommu, plug)) != NULL)
        if (plug->contacts[0].endpoint != renewed)
            error = space_add(out, plug->device);
    return error != IOVAGEOM_OK ? error : iovageom_rangeset_complement(out, out, range);
}

/*
 * INPUT_AS_HOST: the part of the input range from the first to the last granule that is usable; of
 * these, without what is reserved for all, if that leaves any. `*whole` is false, and `*input` as it
 * was, when there is none.
 */
int iovageom_books_input(const struct iovageom_viommu *viommu, uint64_t granule,
                         const struct iovageom_admission *a, struct iovageom_range *input,
                         bool *whole)
{
    struct iovageom_rangeset set;
    int error = iovageom_rangeset_init(&set, &viommu->allocator);

    *whole = false;
    if (error == IOVAGEOM_OK)
        error = space_usable(viommu, *input, a, &set);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_inward(&set, &set, granule);
    if (error == IOVAGEOM_OK)
        *whole = iovageom_rangeset_hull(&set, input);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_difference(&set, &set, &viommu->platform_view.all);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_inward(&set, &set, granule);
    if (error == IOVAGEOM_OK)
        (void)iovageom_rangeset_hull(&set, input);
    iovageom_rangeset_deinit(&set);
    return error;
}

/* What all devices can map of `from`, but for what is offered. */
static int note_lost(const struct iovageom_viommu *viommu, struct iovageom_range from,
                     struct iovageom_range offered, struct iovageom_report *report)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_LOST, IOVAGEOM_OK);
    struct iovageom_rangeset set;
    struct iovageom_rangeset_cursor cursor;
    int error = iovageom_rangeset_init(&set, &viommu->allocator);

    if (error == IOVAGEOM_OK)
        error = space_usable(viommu, from, NULL, &set);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_difference(&set, &set, &viommu->platform_view.all);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_remove(&set, offered);
    iovageom_rangeset_seek(&set, 0, &cursor);
    while (error == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &finding.range))
        iovageom_report_add(report, &finding);
    iovageom_rangeset_deinit(&set);
    return error;
}

static int space_input(const struct iovageom_viommu *viommu, struct iovageom_virtio_config *space,
                       struct iovageom_report *report)
{
    const struct iovageom_range all = space->input_range;
    bool whole;
    int error = iovageom_books_input(viommu, iovageom_pgsize_granule(space->page_size_mask), NULL,
                                     &space->input_range, &whole);

    if (error == IOVAGEOM_OK && !whole)
        iovageom_note_nothing(report, "all devices together");
    else if (error == IOVAGEOM_OK && report != NULL)
        error = note_lost(viommu, all, space->input_range, report);
    return error;
}

/* Of a granule that lies inside in part, a guest makes use: so only whole ones are inside. */
static void space_align(struct iovageom_virtio_config *space, struct iovageom_report *report)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_LOST, IOVAGEOM_OK);
    struct iovageom_range whole, left[2];
    unsigned parts = 0;

    /* There is one: whoever leaves none was refused. */
    if (iovageom_range_align_inward(space->input_range,
                                    iovageom_pgsize_granule(space->page_size_mask), &whole)) {
        parts = iovageom_range_subtract(space->input_range, whole, left);
        space->input_range = whole;
    }
    for (unsigned i = 0; i < parts; i++) {
        finding.range = left[i];
        iovageom_report_add(report, &finding);
    }
}

static int space_probe_size(const struct iovageom_viommu *viommu,
                            struct iovageom_virtio_config *space)
{
    size_t most = SPARE_PROBE_REGIONS;

    for (struct iovageom_group *group = NULL;
         (group = iovageom_group_after(viommu, group)) != NULL;) {
        struct iovageom_wire *wire;
        int error = iovageom_group_wire(viommu, group, space, SIZE_MAX, NULL, NULL, &wire);

        if (error != IOVAGEOM_OK)
            return error;
        if (wire->count + SPARE_PROBE_REGIONS > most)
            most = wire->count + SPARE_PROBE_REGIONS;
        iovageom_wire_put(viommu, wire);
    }
    most = iovageom_virtio_probe_bytes(most);
    if (most > UINT32_MAX)
        return IOVAGEOM_ERR_OVERFLOW;
    space->probe_size = most > LEAST_PROBE_SIZE ? (uint32_t)most : LEAST_PROBE_SIZE;
    return IOVAGEOM_OK;
}

int iovageom_books_space(const struct iovageom_viommu *viommu, struct iovageom_virtio_config *out,
                         struct iovageom_report *report)
{
    const struct iovageom_viommu_config *config = &viommu->config;
    struct iovageom_virtio_config space = {0};
    int error = IOVAGEOM_OK;

    if (viommu->frozen) {
        *out = viommu->space;
        out->bypass = viommu->bypass;
        return IOVAGEOM_OK;
    }
    space.page_size_mask = iovageom_books_mask(viommu);
    space.input_range = config->input_range;
    space.domain_start = config->domain_start;
    space.domain_last = config->domain_last;
    space.bypass = viommu->bypass;
    /* For a driver that declined to read it, a narrower one would say nothing, and refuse. */
    if ((config->flags & IOVAGEOM_VIOMMU_INPUT_AS_HOST) != 0 &&
        (viommu->accepted & IOVAGEOM_VIRTIO_F_INPUT_RANGE) != 0)
        error = space_input(viommu, &space, report);
    if (error == IOVAGEOM_OK)
        space_align(&space, report);
    space.probe_size = config->probe_size;
    if ((config->features & IOVAGEOM_VIRTIO_F_PROBE) == 0)
        space.probe_size = 0;
    else if (error == IOVAGEOM_OK && space.probe_size == 0)
        error = space_probe_size(viommu, &space);
    if (error == IOVAGEOM_OK)
        *out = space;
    return error;
}

/* The granule: as frozen, as configured, or as the devices have it now. */
uint64_t iovageom_books_granule(const struct iovageom_viommu *viommu)
{
    return iovageom_pgsize_granule(viommu->frozen ? viommu->space.page_size_mask
                                                  : iovageom_books_mask(viommu));
}

int iovageom_viommu_config_space(const struct iovageom_viommu *viommu,
                                 struct iovageom_virtio_config *out)
{
    return iovageom_books_space(viommu, out, NULL);
}

/* Whoever can't be assigned, once each. */
static void note_direct(const struct iovageom_viommu *viommu, struct iovageom_report *report)
{
    const struct iovageom_plug *plug = NULL;

    if (viommu->envelope != NULL)
        (void)iovageom_geometry_direct(viommu->envelope->geometry, IOVAGEOM_ID_NONE, IOVAGEOM_OK,
                                       report);
    while ((plug = iovageom_plug_after(viommu, plug)) != NULL)
        (void)iovageom_geometry_direct(plug->device->geometry, plug->contacts[0].endpoint->id,
                                       IOVAGEOM_OK, report);
}

int iovageom_viommu_freeze(struct iovageom_viommu *viommu, struct iovageom_report *report)
{
    const struct iovageom_plug *plug = NULL;
    struct iovageom_virtio_config space;
    int error;

    iovageom_report_clear(report);
    if (viommu->frozen)
        return IOVAGEOM_OK;
    error = iovageom_books_space(viommu, &space, report);
    if (error != IOVAGEOM_OK)
        return error;
    note_direct(viommu, report);
    /* One device is enough to say so: it is the machine that lacks something. */
    while ((plug = iovageom_plug_after(viommu, plug)) != NULL)
        if (iovageom_doorbells_unknown(viommu, plug->device, plug->contacts[0].endpoint->id,
                                       report))
            break;
    viommu->space = space;
    viommu->frozen = true;
    return IOVAGEOM_OK;
}

int iovageom_viommu_thaw(struct iovageom_viommu *viommu)
{
    struct iovageom_group *group = NULL;

    while ((group = iovageom_group_after(viommu, group)) != NULL)
        if (group->told > 0 || iovageom_rangeset_count(&group->promised) > 0)
            return IOVAGEOM_ERR_STATE;
    if (iovageom_table_count(&viommu->domains) > 0)
        return IOVAGEOM_ERR_STATE;
    viommu->frozen = false;
    /* What is told goes by the config space. */
    while ((group = iovageom_group_after(viommu, group)) != NULL)
        group->wire_clean = false;
    return IOVAGEOM_OK;
}

bool iovageom_viommu_frozen(const struct iovageom_viommu *viommu)
{
    return viommu->frozen;
}

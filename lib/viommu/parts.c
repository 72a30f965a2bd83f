/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <iovageom/ranges.h>

#include "../base/range.h"
#include "internal.h"

/* What the objects of the model are built from: memory, devices' geometries, lists of regions. */

/* ---- the geometry of a device ---- */

/*
 * Takes the ranges of the facts that forbid addresses, ascending and with neighbours joined, and
 * those of type MSI apart. No view of what takes precedence is needed: nothing does over MSI, the
 * highest type, so these come first; and an address is forbidden if any fact forbids it.
 */
static void take_ranges(struct iovageom_device *device)
{
    const struct iovageom_geometry *geometry = device->geometry;
    struct iovageom_range *const all = device->ranges;
    size_t taken = 0, count;

    for (size_t i = geometry->count; i-- > 0 && iovageom_fact_forbids(&geometry->facts[i]);) {
        (void)iovageom_rangeset_to_array(geometry->facts[i].ranges, all + taken, SIZE_MAX, &count);
        taken += count;
        if (iovageom_fact_type(&geometry->facts[i]) == IOVAGEOM_RESV_MSI)
            device->msi_count = taken;
    }
    memcpy(all + taken, all, device->msi_count * sizeof(*all));
    (void)iovageom_ranges_normalize(all + taken, &device->msi_count);
    device->all_count = taken;
    (void)iovageom_ranges_normalize(all, &device->all_count);
    memmove(all + device->all_count, all + taken, device->msi_count * sizeof(*all));
}

void iovageom_device_put(const struct iovageom_viommu *viommu, struct iovageom_device *device)
{
    if (device == NULL || --device->references > 0)
        return;
    if (device->walk != NULL)
        iovageom_walk_close(device->walk);
    iovageom_array_free(&viommu->allocator, device->walk, 1, sizeof(*device->walk));
    iovageom_geometry_free(device->geometry); /* the device is in front of it */
}

/*
 * `*out` has one reference, the caller's: give it up with iovageom_device_put(). There are `before`
 * bytes in front of it, for a plug. Ranges are taken at granule 1, as the guest's granule is known
 * only when the config space is frozen. The geometry is copied, because the caller's may be gone
 * before we are.
 *
 * A budget from VFIO says how many mappings are *left*. To make a total of it, add the mappings
 * that are on the host page tables now: `live`. A huge number that is left must not wrap into a
 * tiny budget.
 */
int iovageom_device_make(const struct iovageom_viommu *viommu,
                         const struct iovageom_geometry *geometry, size_t before, uint64_t live,
                         struct iovageom_device **out)
{
    /* Each range counts twice, as all may be MSI. If this wraps, no memory can hold the copy. */
    size_t first;
    const size_t most = iovageom_geometry_most_regions(geometry, &first);
    const size_t size = sizeof(**out) + most * sizeof((*out)->ranges[0]);
    struct iovageom_geometry *copy;
    struct iovageom_device *device;
    uint64_t left;
    int error = iovageom_geometry_copy_behind(&viommu->allocator, geometry, before + size,
                                              geometry->count - first, &copy);

    if (error != IOVAGEOM_OK)
        return error;
    device = (struct iovageom_device *)(void *)((uint8_t *)copy - size);
    memset(device, 0, sizeof(*device));
    device->references = 1;
    device->geometry = copy;
    take_ranges(device);
    /* Otherwise it is what is found, or 0 when nothing is usable. */
    if (iovageom_geometry_promise_mask(copy, 0, &device->mask) == IOVAGEOM_ERR_UNKNOWN)
        device->mask = UINT64_MAX;
    iovageom_geometry_budgets(copy, &device->budget, &left);
    if (left < UINT64_MAX - live)
        device->budget = iovageom_lower(device->budget, left + live);
    /* A finding names the owner of a range. With few facts it is found by trying each. With many,
       each of k findings would try them all, so an index is kept. */
    if (copy->count > IOVAGEOM_WALK_FEW) {
        device->walk = iovageom_array_new(&viommu->allocator, 1, sizeof(*device->walk));
        if (device->walk == NULL) {
            iovageom_device_put(viommu, device);
            return IOVAGEOM_ERR_NO_MEMORY;
        }
        iovageom_walk_open(device->walk, copy);
    }
    *out = device;
    return IOVAGEOM_OK;
}

/*
 * Whether both reserve the same and have the same budget, so that either can be the lead for both.
 * Page sizes are not compared: who asks for those looks at every plug, not at leads.
 */
bool iovageom_device_same(const struct iovageom_device *a, const struct iovageom_device *b)
{
    return a->all_count == b->all_count && a->msi_count == b->msi_count && a->budget == b->budget &&
           memcmp(a->ranges, b->ranges,
                  (a->all_count + a->msi_count) * sizeof(struct iovageom_range)) == 0;
}

/* ---- lists of regions ---- */

/* A list with one reference and room for `count` regions, which the caller fills in. */
int iovageom_wire_new(const struct iovageom_viommu *viommu, size_t count,
                      struct iovageom_wire_list **out)
{
    struct iovageom_wire_list *wire;
    size_t size;

    if (count > (SIZE_MAX - sizeof(*wire)) / sizeof(struct iovageom_region))
        return IOVAGEOM_ERR_NO_MEMORY;
    size = sizeof(*wire) + count * sizeof(struct iovageom_region);
    wire = iovageom_array_new(&viommu->allocator, 1, size);
    if (wire == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    wire->references = 1;
    wire->size = size;
    wire->count = count;
    (void)iovageom_rangeset_init(&wire->usable, &viommu->allocator);
    *out = wire;
    return IOVAGEOM_OK;
}

void iovageom_wire_put(const struct iovageom_viommu *viommu, struct iovageom_wire_list *wire)
{
    if (wire == NULL || --wire->references > 0)
        return;
    iovageom_rangeset_deinit(&wire->usable);
    iovageom_array_free(&viommu->allocator, wire, 1, wire->size);
}

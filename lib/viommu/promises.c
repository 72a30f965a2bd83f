/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../base/range.h"
#include "internal.h"
#include "../set/rangeset_internal.h"
#include "../virtio/virtio_internal.h"

/* PROBE. In names, `told` is an answer that was given to an endpoint: its promise, which can't be
 * taken back. `told_now` is the answer that it would get now, and binds nobody. */

/* ---- lists of regions ---- */

/* Fills in wire->usable. */
static int wire_usable(struct iovageom_wire_list *wire, const struct iovageom_virtio_config *shown)
{
    struct iovageom_rangeset *out = &wire->usable;
    int error = IOVAGEOM_OK;

    iovageom_rangeset_clear(out);
    for (size_t i = 0; i < wire->count; i++)
        error |= iovageom_rangeset_insert(out, wire->regions[i].range);
    error |= iovageom_rangeset_complement(out, out, shown->input_range);
    return error |
           iovageom_rangeset_align_inward(out, out, iovageom_pgsize_granule(shown->page_size_mask));
}

/* ---- what an endpoint is told ---- */

static bool wire_same(const struct iovageom_wire_list *a, const struct iovageom_wire_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; a != b && i < a->count; i++)
        if (!iovageom_range_equal(a->regions[i].range, b->regions[i].range) ||
            a->regions[i].type != b->regions[i].type)
            return false;
    return true;
}

/* The list that a PROBE would answer now, made anew; `*shown` becomes the config space of now. */
static int told_now(const struct iovageom_viommu *viommu, const struct iovageom_endpoint *endpoint,
                    struct iovageom_virtio_config *shown, struct iovageom_report *report,
                    struct iovageom_wire_list **out)
{
    const int error = iovageom_shown(viommu, shown, NULL);
    const struct iovageom_wire_question question = {viommu, endpoint->group, shown, NULL, NULL};

    return error != IOVAGEOM_OK ? error : iovageom_group_wire(&question, report, out);
}

int iovageom_viommu_told(const struct iovageom_viommu *viommu, uint32_t endpoint,
                         struct iovageom_region *out, size_t capacity, size_t *needed,
                         struct iovageom_report *report)
{
    const struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);
    struct iovageom_virtio_config shown;
    struct iovageom_wire_list *wire;
    int error;

    iovageom_report_clear(report);
    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    error = told_now(viommu, found, &shown, report, &wire);
    if (error != IOVAGEOM_OK)
        return error;
    if (wire->count <= capacity && wire->count > 0)
        memcpy(out, wire->regions, wire->count * sizeof(*out));
    if (needed != NULL)
        *needed = wire->count;
    error = wire->count <= capacity ? IOVAGEOM_OK : IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    iovageom_wire_put(viommu, wire);
    return error;
}

/* ---- PROBE ---- */

/*
 * Record that `wire` was the answer to a PROBE of `endpoint`. On success one reference of the
 * caller becomes the endpoint's; on failure the caller keeps it, and nothing has changed. All
 * members of a group usually get the same list: then they share one object, and nothing is
 * computed.
 */
int iovageom_promise_keep(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_wire_list *wire, uint64_t generation)
{
    struct iovageom_group *group = endpoint->group;
    int error;

    if (group->wire != NULL && wire_same(group->wire, wire)) {
        iovageom_wire_put(viommu, wire);
        wire = group->wire;
    } else {
        error = wire_usable(wire, &viommu->shown);
        if (error == IOVAGEOM_OK)
            error = iovageom_rangeset_union(&group->promised, &group->promised, &wire->usable);
        if (error != IOVAGEOM_OK)
            return error;
        iovageom_wire_put(viommu, group->wire);
        group->wire = wire;
    }
    wire->references++;
    iovageom_promise_set(viommu, endpoint, wire, generation);
    return IOVAGEOM_OK;
}

/*
 * A slot may be probed while it is empty: it is answered from its group. A DEVICE must be visible.
 */
int iovageom_probe_decide(const struct iovageom_viommu *viommu, uint32_t endpoint, size_t size,
                          struct iovageom_report *report)
{
    const struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);

    if ((viommu->config.features & IOVAGEOM_VIRTIO_F_PROBE) == 0)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_UNSUPPORTED, "PROBE is not offered",
                                      IOVAGEOM_ID_NONE, IOVAGEOM_ID_NONE);
    if (found == NULL ||
        (found->kind == IOVAGEOM_ENDPOINT_DEVICE && !iovageom_endpoint_visible(found)))
        return iovageom_refuse_unknown(report, IOVAGEOM_ID_NONE, endpoint);
    if (size < viommu->shown.probe_size)
        return iovageom_refuse_number(report, IOVAGEOM_FINDING_PROBE_SIZE,
                                      IOVAGEOM_ERR_BUFFER_TOO_SMALL, IOVAGEOM_ID_NONE, endpoint,
                                      viommu->shown.probe_size, size);
    return IOVAGEOM_OK;
}

/*
 * To be called once iovageom_probe_decide() has agreed. The promise is recorded before the bytes
 * are written: the guest must not read an answer that nobody remembers.
 */
int iovageom_probe_do(struct iovageom_viommu *viommu, uint32_t endpoint, void *properties,
                      size_t size, size_t *needed, struct iovageom_report *report)
{
    struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);
    struct iovageom_group *group = found->group;
    const struct iovageom_wire_question question = {viommu, group, &viommu->shown, NULL, NULL};
    struct iovageom_wire_list *wire;
    int error = iovageom_group_wire(&question, report, &wire);

    if (error != IOVAGEOM_OK)
        return error;
    error = iovageom_promise_keep(viommu, found, wire, viommu->generation);
    if (error != IOVAGEOM_OK) {
        iovageom_wire_put(viommu, wire);
        return error;
    }
    viommu->changes++;
    return iovageom_wire_encode(group->wire->regions, group->wire->count, properties, size, needed);
}

/* The oldest member of the group whose promise leaves an address of `range`; IOVAGEOM_ID_NONE when
 * the promise was made to a member that is gone. */
uint64_t iovageom_promised_to(const struct iovageom_group *group, struct iovageom_range range)
{
    const struct iovageom_endpoint *member = group->promised_to.first, *oldest = NULL;

    for (unsigned n = 0; member != NULL && n < IOVAGEOM_ASKED_FOR_A_NAME; n++) {
        if ((oldest == NULL || member->age < oldest->age) &&
            iovageom_rangeset_overlaps(&member->promise->usable, range))
            oldest = member;
        member = member->next[IOVAGEOM_LIST_PROMISED];
    }
    return oldest != NULL ? oldest->id : IOVAGEOM_ID_NONE;
}

/* ---- comparing a promise with now ---- */

/* Indices of the sets of iovageom_viommu_promise(), in the order of its parameters. */
enum { TOLD, NOW, ADDED, REMOVED, SETS };

int iovageom_viommu_promise(const struct iovageom_viommu *viommu, uint32_t endpoint,
                            struct iovageom_viommu_promise *promise, struct iovageom_rangeset *told,
                            struct iovageom_rangeset *now, struct iovageom_rangeset *added,
                            struct iovageom_rangeset *removed)
{
    const struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);
    struct iovageom_rangeset *const out[SETS] = {told, now, added, removed};
    struct iovageom_rangeset sets[SETS], view;
    struct iovageom_virtio_config shown;
    struct iovageom_wire_list *wire;
    int error;

    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    error = told_now(viommu, found, &shown, NULL, &wire);
    if (error != IOVAGEOM_OK)
        return error;
    for (size_t i = 0; i < SETS; i++) /* each by the allocator of the set that it is to replace */
        (void)iovageom_rangeset_init(&sets[i], out[i] != NULL ? iovageom_rangeset_allocator(out[i])
                                                              : &viommu->allocator);
    (void)iovageom_rangeset_init(&view, &viommu->allocator);
    error = wire_usable(wire, &shown);
    error |= iovageom_rangeset_assign(&sets[NOW], &wire->usable);
    if (found->promise != NULL)
        error |= iovageom_rangeset_assign(&sets[TOLD], &found->promise->usable);
    error |= iovageom_rangeset_difference(&sets[ADDED], &sets[NOW], &sets[TOLD]);
    /* REMOVED is not TOLD less NOW. A gap between regions that a PROBE would close now, to fit into
       probe_size, still maps: only what is reserved breaks a promise. */
    error |= iovageom_group_view(viommu, found->group, &view);
    error |= iovageom_rangeset_align_outward(&view, &view,
                                             iovageom_pgsize_granule(shown.page_size_mask));
    error |= iovageom_rangeset_intersection(&sets[REMOVED], &sets[TOLD], &view);
    if (error == IOVAGEOM_OK)
        *promise = (struct iovageom_viommu_promise){
            .generation = found->generation,
            .now = viommu->generation,
            .told = found->promise != NULL,
            .current = found->promise != NULL && wire_same(found->promise, wire),
            .safe = iovageom_rangeset_count(&sets[REMOVED]) == 0,
        };
    for (size_t i = 0; error == IOVAGEOM_OK && i < SETS; i++)
        if (out[i] != NULL)
            iovageom_rangeset_swap(out[i], &sets[i]);
    iovageom_wire_put(viommu, wire);
    iovageom_rangeset_deinit(&view);
    for (size_t i = 0; i < SETS; i++)
        iovageom_rangeset_deinit(&sets[i]);
    return error;
}

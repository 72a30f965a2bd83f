/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <iovageom/pgsize.h>

#include "../set/rangeset_internal.h"
#include "internal.h"

/* ---- wire lists ---- */

int iovageom_wire_new(const struct iovageom_viommu *viommu, size_t count,
                      struct iovageom_wire **out)
{
    struct iovageom_wire *wire;
    size_t size;

    if (count > (SIZE_MAX - sizeof(*wire)) / sizeof(struct iovageom_region))
        return IOVAGEOM_ERR_NO_MEMORY;
    size = sizeof(*wire) + count * sizeof(struct iovageom_region);
    wire = iovageom_books_allocate(viommu, size);
    if (wire == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    wire->references = 1;
    wire->size = size;
    wire->count = count;
    *out = wire;
    return IOVAGEOM_OK;
}

void iovageom_wire_put(const struct iovageom_viommu *viommu, struct iovageom_wire *wire)
{
    if (wire != NULL && --wire->references == 0)
        iovageom_books_release(viommu, wire, wire->size);
}

/* Whether the list leaves an address of `range` to the guest. Regions ascend. */
bool iovageom_wire_leaves(const struct iovageom_wire *wire, struct iovageom_range range)
{
    size_t low = 0;
    size_t high = wire->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (wire->regions[middle].range.last < range.start)
            low = middle + 1;
        else
            high = middle;
    }
    /* Each that goes on where the one before ended takes a part off its front. */
    for (; low < wire->count && iovageom_range_has(wire->regions[low].range, range.start); low++) {
        struct iovageom_range above;

        if (wire->regions[low].range.last >= range.last ||
            !iovageom_range_above(wire->regions[low].range, &above))
            return false;
        range.start = above.start;
    }
    return true;
}

/* ---- who was told an address ---- */

void iovageom_promisees_init(struct iovageom_promisees *promisees,
                             const struct iovageom_viommu *viommu,
                             const struct iovageom_group *group)
{
    promisees->viommu = viommu;
    promisees->group = group;
    promisees->looked = false;
    promisees->known = false;
    (void)iovageom_table_init(&promisees->who, &viommu->allocator);
}

void iovageom_promisees_deinit(struct iovageom_promisees *promisees)
{
    iovageom_table_deinit(&promisees->who);
}

/* What of `range` nobody has yet is `value`'s. Each piece that is found so is gone for good. */
static int claim(struct iovageom_table *who, struct iovageom_rangeset *taken,
                 struct iovageom_range range, uint64_t value)
{
    struct iovageom_range rest = range;
    struct iovageom_range piece;
    int error = IOVAGEOM_OK;

    while (error == IOVAGEOM_OK && rest.start <= range.last &&
           iovageom_rangeset_gap_above(taken, rest.start, &piece) &&
           iovageom_range_intersect(piece, range, &piece)) {
        error = iovageom_table_put_range(who, piece, value);
        if (!iovageom_range_above(piece, &rest))
            break;
    }
    return error == IOVAGEOM_OK ? iovageom_rangeset_insert(taken, range) : error;
}

/* All that a list leaves. */
static int claim_left(struct iovageom_table *who, struct iovageom_rangeset *taken,
                      const struct iovageom_wire *wire, uint64_t value)
{
    struct iovageom_range rest = IOVAGEOM_EVERYTHING;
    struct iovageom_range left;
    int error = IOVAGEOM_OK;

    for (size_t i = 0; error == IOVAGEOM_OK && i < wire->count; i++) {
        if (iovageom_range_below(wire->regions[i].range, &left) &&
            iovageom_range_intersect(left, rest, &left))
            error = claim(who, taken, left, value);
        if (!iovageom_range_above(wire->regions[i].range, &rest))
            return error;
    }
    return error == IOVAGEOM_OK ? claim(who, taken, rest, value) : error;
}

/* Values are the place in the group, and the number of the endpoint. */
static void look(struct iovageom_promisees *promisees)
{
    const struct iovageom_endpoint *member = promisees->group->members.first;
    const struct iovageom_wire *before = NULL;
    struct iovageom_rangeset taken;
    uint64_t place = 0;
    int error = iovageom_rangeset_init(&taken, &promisees->viommu->allocator);

    for (; error == IOVAGEOM_OK && member != NULL; member = member->next[IOVAGEOM_ROLL_GROUP]) {
        if (member->told != NULL && member->told != before)
            error = claim_left(&promisees->who, &taken, member->told, place << 32 | member->id);
        before = member->told != NULL ? member->told : before;
        place++;
    }
    iovageom_rangeset_deinit(&taken);
    promisees->looked = true;
    promisees->known = error == IOVAGEOM_OK;
}

/* Whom the promise of an address in `range` was given to; nobody who is still there. */
uint64_t iovageom_promised_to(struct iovageom_promisees *promisees, struct iovageom_range range)
{
    const struct iovageom_endpoint *member = promisees->group->members.first;
    struct iovageom_range told;
    uint64_t first = UINT64_MAX, value;

    if (!promisees->looked)
        look(promisees);
    for (; !promisees->known && member != NULL; member = member->next[IOVAGEOM_ROLL_GROUP])
        if (member->told != NULL && iovageom_wire_leaves(member->told, range))
            return member->id;
    while (promisees->known && iovageom_table_overlap(&promisees->who, range, &told, &value)) {
        first = value < first ? value : first;
        if (told.last >= range.last || !iovageom_range_above(told, &told))
            break;
        range.start = told.start;
    }
    return first == UINT64_MAX ? IOVAGEOM_ID_NONE : (uint32_t)first;
}

/* What a guest that was told this list may map: whole granules of the input range. */
int iovageom_wire_usable(const struct iovageom_viommu *viommu, const struct iovageom_wire *wire,
                         struct iovageom_rangeset *out)
{
    struct iovageom_virtio_config space;
    struct iovageom_rangeset set;
    int error = iovageom_books_space(viommu, &space, NULL);

    if (error != IOVAGEOM_OK)
        return error;
    error = iovageom_rangeset_init(&set, &viommu->allocator);
    for (size_t i = 0; error == IOVAGEOM_OK && i < wire->count; i++)
        error = iovageom_rangeset_insert(&set, wire->regions[i].range);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_complement(&set, &set, space.input_range);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_inward(out, &set,
                                               iovageom_pgsize_granule(space.page_size_mask));
    iovageom_rangeset_deinit(&set);
    return error;
}

/* ---- what a group is told ---- */

/* Both sets in one ascending list: they have no address in common. Returns how many. */
static size_t regions_merge(struct iovageom_region *out, const struct iovageom_rangeset *reserved,
                            const struct iovageom_rangeset *msi)
{
    struct iovageom_rangeset_cursor cursors[2];
    struct iovageom_range next[2];
    size_t count = 0;
    bool more[2];

    iovageom_rangeset_seek(reserved, 0, &cursors[0]);
    iovageom_rangeset_seek(msi, 0, &cursors[1]);
    for (unsigned i = 0; i < 2; i++)
        more[i] = iovageom_rangeset_next(&cursors[i], &next[i]);
    while (more[0] || more[1]) {
        const unsigned which = !more[0] || (more[1] && next[1].start < next[0].start);

        out[count++] = (struct iovageom_region){
            next[which], which == 0 ? IOVAGEOM_RESV_RESERVED : IOVAGEOM_RESV_MSI, 0};
        more[which] = iovageom_rangeset_next(&cursors[which], &next[which]);
    }
    return count;
}

/* Typed regions at the granule: MSI where the machine says so, else where hosts do. */
static int view_regions(const struct iovageom_viommu *viommu, const struct iovageom_view *view,
                        uint64_t granule, struct iovageom_wire **out)
{
    const struct iovageom_rangeset *msi = iovageom_rangeset_count(&viommu->platform_view.msi) > 0
                                              ? &viommu->platform_view.msi
                                              : &view->msi;
    struct iovageom_view aligned;
    struct iovageom_wire *wire = NULL;
    int error = iovageom_view_init(&aligned, viommu);

    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_outward(&aligned.all, &view->all, granule);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_outward(&aligned.msi, msi, granule);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_difference(&aligned.all, &aligned.all, &aligned.msi);
    if (error == IOVAGEOM_OK) {
        /* A wire list may need one region more, to say [0, 2^64-1] in two. */
        error = iovageom_wire_new(viommu,
                                  iovageom_rangeset_count(&aligned.all) +
                                      iovageom_rangeset_count(&aligned.msi) + 1,
                                  &wire);
        if (error == IOVAGEOM_OK) {
            size_t count = regions_merge(wire->regions, &aligned.all, &aligned.msi);

            error = iovageom_virtio_wire_list(wire->regions, count, NULL, IOVAGEOM_EVERYTHING,
                                              wire->regions, wire->count, &wire->count);
        }
    }
    iovageom_view_deinit(&aligned);
    if (error != IOVAGEOM_OK) {
        iovageom_wire_put(viommu, wire);
        return error;
    }
    *out = wire;
    return IOVAGEOM_OK;
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

/* What the hosts of a group map, in the pages that they all have: all ones when none says. */
static uint64_t group_mask(const struct iovageom_viommu *viommu, const struct iovageom_group *group)
{
    uint64_t mask =
        group->slots > 0 && viommu->envelope != NULL ? viommu->envelope->mask : UINT64_MAX;

    for (const struct iovageom_link *side = group->node.up; side != NULL; side = side->up_next) {
        const struct iovageom_unit *unit = (const struct iovageom_unit *)(const void *)side->upper;

        for (const struct iovageom_plug *plug = unit->first; plug != NULL; plug = plug->next)
            mask = iovageom_pgsize_meet(mask, plug->device->mask);
    }
    return mask;
}

/* What the hosts map in granules of their own is lost where it is no whole granule of the guest's. */
static int name_scraps(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                       const struct iovageom_virtio_config *space,
                       const struct iovageom_rangeset *reserved, struct iovageom_report *report)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_LOST, IOVAGEOM_OK);
    struct iovageom_rangeset scraps, whole;
    struct iovageom_rangeset_cursor cursor;
    int error = iovageom_rangeset_init(&scraps, &viommu->allocator);

    (void)iovageom_rangeset_init(&whole, &viommu->allocator);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_complement(&scraps, reserved, space->input_range);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_align_inward(&whole, &scraps,
                                               iovageom_pgsize_granule(space->page_size_mask));
    if (error == IOVAGEOM_OK && iovageom_rangeset_count(&whole) == 0)
        iovageom_note_nothing(report, "the guest group");
    /* Most of the time nothing is left, and nobody has to be asked. */
    if (error == IOVAGEOM_OK && !iovageom_rangeset_equal(&scraps, &whole))
        error = iovageom_rangeset_align_inward(&scraps, &scraps,
                                               iovageom_pgsize_granule(group_mask(viommu, group)));
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_difference(&scraps, &scraps, &whole);
    iovageom_rangeset_seek(&scraps, 0, &cursor);
    while (error == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &finding.range))
        iovageom_report_add(report, &finding);
    iovageom_rangeset_deinit(&scraps);
    iovageom_rangeset_deinit(&whole);
    return error;
}

/*
 * The wire list of a group for a config space, fitted into `limit` bytes, with the device `extra`
 * (or none) in it as well.
 */
int iovageom_group_wire(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                        const struct iovageom_virtio_config *space, size_t limit,
                        const struct iovageom_device *extra, struct iovageom_report *report,
                        struct iovageom_wire **out)
{
    struct iovageom_probe_plan plan;
    struct iovageom_report notes;
    struct iovageom_wire *wire = NULL;
    struct iovageom_view view;
    int error = iovageom_view_init(&view, viommu);

    if (report != NULL)
        iovageom_report_init(&notes, &viommu->allocator);
    if (error == IOVAGEOM_OK)
        error = iovageom_group_view(viommu, group, &view);
    if (error == IOVAGEOM_OK && extra != NULL)
        error = iovageom_view_add(&view, extra);
    /* A driver that declined to read the input range is told what lies outside (I2). */
    if (error == IOVAGEOM_OK && (viommu->accepted & IOVAGEOM_VIRTIO_F_INPUT_RANGE) == 0)
        error = add_outside(&view.all, space->input_range);
    if (error == IOVAGEOM_OK)
        error = view_regions(viommu, &view, iovageom_pgsize_granule(space->page_size_mask), &wire);
    /* There is room for one region more, which the list has where it does not use that already. */
    if (error == IOVAGEOM_OK)
        error = iovageom_plan_probe(wire->regions, wire->count, limit, wire->regions,
                                    wire->count + 1, &plan, report != NULL ? &notes : NULL);
    if (report != NULL) {
        iovageom_report_take(report, &notes);
        if (error == IOVAGEOM_OK)
            error = name_scraps(viommu, group, space, &view.all, report);
    }
    iovageom_view_deinit(&view);
    if (error != IOVAGEOM_OK) {
        iovageom_wire_put(viommu, wire);
        return error;
    }
    wire->count = plan.count;
    *out = wire;
    return IOVAGEOM_OK;
}

static bool wire_same(const struct iovageom_wire *a, const struct iovageom_wire *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!iovageom_range_equal(a->regions[i].range, b->regions[i].range) ||
            a->regions[i].type != b->regions[i].type)
            return false;
    return true;
}

/*
 * The list that a PROBE is answered now. One that says the same as before stays the same object, so
 * that endpoints that were told the same share it.
 */
static int wire_refresh(struct iovageom_viommu *viommu, struct iovageom_group *group,
                        struct iovageom_report *report)
{
    struct iovageom_wire *wire;
    int error = iovageom_group_refresh(viommu, group);

    if (error != IOVAGEOM_OK || (group->wire_clean && report == NULL))
        return error;
    error = iovageom_group_wire(viommu, group, &viommu->space, viommu->space.probe_size, NULL,
                                report, &wire);
    if (error != IOVAGEOM_OK)
        return error;
    if (group->wire != NULL && wire_same(group->wire, wire)) {
        iovageom_wire_put(viommu, wire);
    } else {
        iovageom_wire_put(viommu, group->wire);
        group->wire = wire;
    }
    group->wire_clean = true;
    return IOVAGEOM_OK;
}

/* Note that `endpoint` was told `wire`, whose reference is taken over on success. */
int iovageom_promise_keep(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_wire *wire)
{
    struct iovageom_group *group = endpoint->group;
    struct iovageom_rangeset usable;
    int error = IOVAGEOM_OK;

    if (group->promised_wire != wire) {
        error = iovageom_rangeset_init(&usable, &viommu->allocator);
        if (error == IOVAGEOM_OK)
            error = iovageom_wire_usable(viommu, wire, &usable);
        if (error == IOVAGEOM_OK)
            error = iovageom_rangeset_union(&group->promised, &group->promised, &usable);
        iovageom_rangeset_deinit(&usable);
    }
    if (error != IOVAGEOM_OK)
        return error;
    if (endpoint->told == NULL)
        group->told++;
    iovageom_wire_put(viommu, endpoint->told);
    endpoint->told = wire;
    endpoint->generation = viommu->generation;
    if (group->promised_wire != wire) {
        iovageom_wire_put(viommu, group->promised_wire);
        group->promised_wire = wire;
        wire->references++;
    }
    return IOVAGEOM_OK;
}

/* What a PROBE is answered, before anything is written. */
int iovageom_probe_decide(const struct iovageom_viommu *viommu, uint32_t endpoint, size_t size,
                          struct iovageom_report *report)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);

    if ((viommu->config.features & IOVAGEOM_VIRTIO_F_PROBE) == 0)
        return iovageom_refuse_saying(report, IOVAGEOM_ERR_UNSUPPORTED, "PROBE is not offered",
                                      IOVAGEOM_ID_NONE, IOVAGEOM_ID_NONE);
    if (found == NULL ||
        (found->kind == IOVAGEOM_ENDPOINT_DEVICE && !iovageom_endpoint_visible(found)))
        return iovageom_refuse_unknown(report, IOVAGEOM_ID_NONE, endpoint);
    if (size < viommu->space.probe_size)
        return iovageom_refuse_number(report, IOVAGEOM_FINDING_PROBE_SIZE,
                                      IOVAGEOM_ERR_BUFFER_TOO_SMALL, IOVAGEOM_ID_NONE, endpoint,
                                      viommu->space.probe_size, size);
    return IOVAGEOM_OK;
}

int iovageom_viommu_probe(struct iovageom_viommu *viommu, uint32_t endpoint, void *properties,
                          size_t size, size_t *needed, struct iovageom_report *report)
{
    int error = iovageom_viommu_freeze(viommu, report);

    return error != IOVAGEOM_OK
               ? error
               : iovageom_probe_do(viommu, endpoint, properties, size, needed, report);
}

/* The same of frozen books; what the report says already stays. */
int iovageom_probe_do(struct iovageom_viommu *viommu, uint32_t endpoint, void *properties,
                      size_t size, size_t *needed, struct iovageom_report *report)
{
    struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_wire *wire;
    int status = iovageom_probe_decide(viommu, endpoint, size, report);
    int error;

    if (status == IOVAGEOM_OK) {
        error = wire_refresh(viommu, found->group, report);
        if (error == IOVAGEOM_OK) {
            wire = found->group->wire;
            wire->references++;
            error = iovageom_promise_keep(viommu, found, wire);
            if (error != IOVAGEOM_OK)
                iovageom_wire_put(viommu, wire);
            else
                error = iovageom_virtio_encode_probe(wire->regions, wire->count, properties, size,
                                                     needed);
        }
        status = error;
    } else if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL) {
        if (needed != NULL)
            *needed = viommu->space.probe_size;
    }
    return status;
}

IOVAGEOM_COLD int iovageom_viommu_told(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                       struct iovageom_region *out, size_t capacity, size_t *needed,
                                       struct iovageom_report *report)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_virtio_config space;
    struct iovageom_wire *wire;
    int error;

    iovageom_report_clear(report);
    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    error = iovageom_books_space(viommu, &space, NULL);
    if (error == IOVAGEOM_OK)
        error = iovageom_group_wire(viommu, found->group, &space,
                                    space.probe_size != 0 ? space.probe_size : SIZE_MAX, NULL,
                                    report, &wire);
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

/* ---- what it was told ---- */

enum { TOLD, NOW, ADDED, REMOVED, SETS };

static int promise_compare(const struct iovageom_viommu *viommu,
                           const struct iovageom_endpoint *endpoint, struct iovageom_rangeset *sets,
                           bool *current)
{
    struct iovageom_virtio_config space;
    struct iovageom_wire *wire;
    struct iovageom_view view;
    int error = iovageom_books_space(viommu, &space, NULL);

    if (error == IOVAGEOM_OK)
        error = iovageom_group_wire(viommu, endpoint->group, &space,
                                    space.probe_size != 0 ? space.probe_size : SIZE_MAX, NULL, NULL,
                                    &wire);
    if (error != IOVAGEOM_OK)
        return error;
    *current = endpoint->told != NULL && wire_same(endpoint->told, wire);
    error = iovageom_wire_usable(viommu, wire, &sets[NOW]);
    iovageom_wire_put(viommu, wire);
    if (error == IOVAGEOM_OK && endpoint->told != NULL)
        error = iovageom_wire_usable(viommu, endpoint->told, &sets[TOLD]);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_difference(&sets[ADDED], &sets[NOW], &sets[TOLD]);
    if (error != IOVAGEOM_OK || endpoint->told == NULL)
        return error;
    /* A gap that is closed now to fit the buffer still maps: only what is reserved is lost. */
    error = iovageom_view_init(&view, viommu);
    if (error == IOVAGEOM_OK)
        error = iovageom_group_view(viommu, endpoint->group, &view);
    if (error == IOVAGEOM_OK)
        error =
            iovageom_rangeset_align_outward(&view.all, &view.all, iovageom_books_granule(viommu));
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_intersection(&sets[REMOVED], &sets[TOLD], &view.all);
    iovageom_view_deinit(&view);
    return error;
}

IOVAGEOM_COLD int iovageom_viommu_promise(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                          struct iovageom_viommu_promise *promise,
                                          struct iovageom_rangeset *told,
                                          struct iovageom_rangeset *now,
                                          struct iovageom_rangeset *added,
                                          struct iovageom_rangeset *removed)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_rangeset *const out[SETS] = {told, now, added, removed};
    struct iovageom_rangeset sets[SETS];
    bool current = false, safe;
    int error;

    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    for (size_t i = 0; i < SETS; i++)
        (void)iovageom_rangeset_init(&sets[i], &viommu->allocator);
    error = promise_compare(viommu, found, sets, &current);
    safe = iovageom_rangeset_count(&sets[REMOVED]) == 0;
    if (error == IOVAGEOM_OK)
        error = iovageom_rangesets_give(out, sets, SETS);
    if (error == IOVAGEOM_OK)
        *promise = (struct iovageom_viommu_promise){
            .generation = found->generation,
            .now = viommu->generation,
            .told = found->told != NULL,
            .current = current,
            .safe = safe,
        };
    for (size_t i = 0; i < SETS; i++)
        iovageom_rangeset_deinit(&sets[i]);
    return error;
}

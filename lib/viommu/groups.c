/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <iovageom/pgsize.h>

#include "../geometry/internal.h"
#include "internal.h"

void *iovageom_books_allocate(const struct iovageom_viommu *viommu, size_t size)
{
    return viommu->allocator.allocate(viommu->allocator.context, size);
}

void iovageom_books_release(const struct iovageom_viommu *viommu, void *memory, size_t size)
{
    if (memory != NULL)
        viommu->allocator.release(viommu->allocator.context, memory, size);
}

/* ---- tables: a number, taken for the range that holds it alone, to a pointer ---- */

/* ---- devices ---- */

static size_t take_ranges(struct iovageom_range *out, const struct iovageom_region *regions,
                          size_t count, bool msi_only)
{
    size_t taken = 0;

    for (size_t i = 0; i < count; i++)
        if (!msi_only || regions[i].type == IOVAGEOM_RESV_MSI)
            out[taken++] = regions[i].range;
    (void)iovageom_ranges_normalize(out, &taken);
    return taken;
}

/* Findings name owners: of many, each is found without asking all. */
static int device_walk(const struct iovageom_viommu *viommu, struct iovageom_device *device)
{
    const struct iovageom_resv *resv = device->geometry->resv;

    if (iovageom_resv_statement_count(resv) <= IOVAGEOM_RESV_WALK_FEW)
        return IOVAGEOM_OK;
    device->walk = iovageom_books_allocate(viommu, sizeof(*device->walk));
    if (device->walk == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    iovageom_resv_walk_open(device->walk, resv);
    return IOVAGEOM_OK;
}

/* `live` mappings are on its host page tables now: what is left comes on top of them. */
static int device_facts(const struct iovageom_viommu *viommu, struct iovageom_device *device,
                        const struct iovageom_geometry *geometry, uint64_t live)
{
    uint64_t left;
    int error = iovageom_geometry_promise_mask(geometry, 0, &device->mask);

    if (error == IOVAGEOM_ERR_UNKNOWN)
        device->mask = UINT64_MAX;
    else if (error == IOVAGEOM_ERR_NOTHING_USABLE)
        device->mask = 0;
    else if (error != IOVAGEOM_OK)
        return error;
    iovageom_geometry_budgets(geometry, &device->budget, &left);
    if (left < UINT64_MAX - live && left + live < device->budget)
        device->budget = left + live;
    /* The caller's memory may be gone before the books are. */
    return iovageom_geometry_copy_to(&viommu->allocator, geometry, &device->geometry);
}

int iovageom_device_make(const struct iovageom_viommu *viommu,
                         const struct iovageom_geometry *geometry, uint64_t live,
                         struct iovageom_device **out)
{
    struct iovageom_region *regions = NULL;
    struct iovageom_device *device;
    size_t count = 0;
    size_t size;
    int error = iovageom_geometry_reserved(geometry, 1, NULL, 0, &count);

    if (error != IOVAGEOM_OK && error != IOVAGEOM_ERR_BUFFER_TOO_SMALL)
        return error;
    size = sizeof(*device) + 2 * count * sizeof(struct iovageom_range);
    device = iovageom_books_allocate(viommu, size);
    if (device == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    memset(device, 0, sizeof(*device));
    device->references = 1;
    device->size = size;
    error = device_facts(viommu, device, geometry, live);
    if (error == IOVAGEOM_OK)
        error = device_walk(viommu, device);
    if (error == IOVAGEOM_OK && count > 0) {
        regions = iovageom_books_allocate(viommu, count * sizeof(*regions));
        error = regions == NULL ? IOVAGEOM_ERR_NO_MEMORY
                                : iovageom_geometry_reserved(geometry, 1, regions, count, &count);
    }
    if (error == IOVAGEOM_OK && count > 0) {
        device->all_count = take_ranges(device->ranges, regions, count, false);
        device->msi_count = take_ranges(device->ranges + device->all_count, regions, count, true);
    }
    if (regions != NULL)
        iovageom_books_release(viommu, regions, count * sizeof(*regions));
    if (error != IOVAGEOM_OK) {
        iovageom_device_put(viommu, device);
        return error;
    }
    *out = device;
    return IOVAGEOM_OK;
}

void iovageom_device_put(const struct iovageom_viommu *viommu, struct iovageom_device *device)
{
    if (device == NULL || --device->references > 0)
        return;
    if (device->walk != NULL)
        iovageom_resv_walk_close(device->walk);
    iovageom_books_release(viommu, device->walk, sizeof(*device->walk));
    iovageom_geometry_free(device->geometry);
    iovageom_books_release(viommu, device, device->size);
}

/* Whether the device can't map some address of `range`. Its ranges ascend. */
bool iovageom_device_reserves(const struct iovageom_device *device, struct iovageom_range range)
{
    size_t low = 0;
    size_t high = device->all_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (device->ranges[middle].last < range.start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < device->all_count && iovageom_range_overlaps(device->ranges[low], range);
}

/* Whether both ask the same of a guest: then one more, or one less, of them changes nothing. */
bool iovageom_device_same(const struct iovageom_device *a, const struct iovageom_device *b)
{
    return a->all_count == b->all_count && a->msi_count == b->msi_count && a->budget == b->budget &&
           memcmp(a->ranges, b->ranges,
                  (a->all_count + a->msi_count) * sizeof(struct iovageom_range)) == 0;
}

struct iovageom_shape *iovageom_shape_of(const struct iovageom_unit *unit,
                                         const struct iovageom_device *device)
{
    struct iovageom_shape *shape = unit->shapes;

    while (shape != NULL && !iovageom_device_same(shape->device, device))
        shape = shape->next;
    return shape;
}

/* ---- rolls and links ---- */

void iovageom_roll_add(struct iovageom_roll *roll, int which, struct iovageom_endpoint *endpoint)
{
    endpoint->previous[which] = roll->last;
    endpoint->next[which] = NULL;
    if (roll->last != NULL)
        roll->last->next[which] = endpoint;
    else
        roll->first = endpoint;
    roll->last = endpoint;
    roll->count++;
}

void iovageom_roll_remove(struct iovageom_roll *roll, int which, struct iovageom_endpoint *endpoint)
{
    struct iovageom_endpoint *next = endpoint->next[which];
    struct iovageom_endpoint *previous = endpoint->previous[which];

    if (next != NULL)
        next->previous[which] = previous;
    else
        roll->last = previous;
    if (previous != NULL)
        previous->next[which] = next;
    else
        roll->first = next;
    endpoint->next[which] = NULL;
    endpoint->previous[which] = NULL;
    roll->count--;
}

static uint64_t link_key(const struct iovageom_node *upper, const struct iovageom_node *lower)
{
    return (uint64_t)upper->index << 32 | lower->index;
}

/* How many endpoints a link stands for; 0 when there is none. */
size_t iovageom_link_count(const struct iovageom_table *table, const struct iovageom_node *upper,
                           const struct iovageom_node *lower)
{
    const struct iovageom_link *link = iovageom_table_at(table, link_key(upper, lower));

    return link != NULL ? link->count : 0;
}

/* One more endpoint for a link, which is made if need be. */
int iovageom_link_get(struct iovageom_viommu *viommu, struct iovageom_table *table,
                      struct iovageom_node *upper, struct iovageom_node *lower, bool *fresh)
{
    struct iovageom_link *link = iovageom_table_at(table, link_key(upper, lower));
    int error;

    *fresh = link == NULL;
    if (link != NULL) {
        link->count++;
        return IOVAGEOM_OK;
    }
    link = iovageom_books_allocate(viommu, sizeof(*link));
    if (link == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    error = iovageom_table_put(table, link_key(upper, lower), link);
    if (error != IOVAGEOM_OK) {
        iovageom_books_release(viommu, link, sizeof(*link));
        return error;
    }
    *link = (struct iovageom_link){
        .upper = upper, .lower = lower, .count = 1, .down_next = upper->down, .up_next = lower->up};
    if (upper->down != NULL)
        upper->down->down_previous = link;
    if (lower->up != NULL)
        lower->up->up_previous = link;
    upper->down = link;
    upper->down_count++;
    lower->up = link;
    return IOVAGEOM_OK;
}

void iovageom_link_put(struct iovageom_viommu *viommu, struct iovageom_table *table,
                       struct iovageom_node *upper, struct iovageom_node *lower)
{
    struct iovageom_link *link = iovageom_table_at(table, link_key(upper, lower));

    if (--link->count > 0)
        return;
    if (link->down_next != NULL)
        link->down_next->down_previous = link->down_previous;
    if (link->down_previous != NULL)
        link->down_previous->down_next = link->down_next;
    else
        upper->down = link->down_next;
    upper->down_count--;
    if (link->up_next != NULL)
        link->up_next->up_previous = link->up_previous;
    if (link->up_previous != NULL)
        link->up_previous->up_next = link->up_next;
    else
        lower->up = link->up_next;
    iovageom_table_drop(table, link_key(upper, lower));
    iovageom_books_release(viommu, link, sizeof(*link));
}

/* ---- endpoints and their guest groups ---- */

/* The next endpoint by number; the first one after NULL. */
struct iovageom_endpoint *iovageom_endpoint_after(const struct iovageom_viommu *viommu,
                                                  const struct iovageom_endpoint *endpoint)
{
    return iovageom_table_from(&viommu->endpoints,
                               endpoint == NULL ? 0 : (uint64_t)endpoint->id + 1);
}

/* The next guest group by key; the first one after NULL. */
struct iovageom_group *iovageom_group_after(const struct iovageom_viommu *viommu,
                                            const struct iovageom_group *group)
{
    return iovageom_table_from(&viommu->groups, group == NULL ? 0 : group->key + 1);
}

bool iovageom_endpoint_visible(const struct iovageom_endpoint *endpoint)
{
    return endpoint->kind == IOVAGEOM_ENDPOINT_EMULATED || endpoint->devices > 0 ||
           endpoint->expected;
}

/*
 * The key of the next guest group that is some endpoint's own. None comes twice: an alias may be
 * left in the group of a device that is gone, and whoever is plugged there next is a stranger to it.
 */
uint64_t iovageom_next_own_group(const struct iovageom_viommu *viommu)
{
    return IOVAGEOM_KEY_OWN | viommu->next_index;
}

/* A slot without a device, whose device is to come. */
void iovageom_endpoint_expect(struct iovageom_endpoint *endpoint)
{
    if (iovageom_endpoint_visible(endpoint))
        return;
    endpoint->expected = true;
    endpoint->group->visible++;
}

/* Its device is there, or is no longer expected. Whether the endpoint is there for the guest still. */
bool iovageom_endpoint_unexpect(struct iovageom_endpoint *endpoint)
{
    if (endpoint->expected) {
        endpoint->expected = false;
        endpoint->group->visible -= !iovageom_endpoint_visible(endpoint);
    }
    return iovageom_endpoint_visible(endpoint);
}

static int group_make(struct iovageom_viommu *viommu, uint64_t key, struct iovageom_group **out)
{
    struct iovageom_group *group = iovageom_table_at(&viommu->groups, key);
    int error;

    if (group == NULL) {
        if (viommu->next_index == UINT32_MAX)
            return IOVAGEOM_ERR_LIMIT;
        group = iovageom_books_allocate(viommu, sizeof(*group));
        if (group == NULL)
            return IOVAGEOM_ERR_NO_MEMORY;
        memset(group, 0, sizeof(*group));
        group->key = key;
        group->node.index = viommu->next_index;
        error = iovageom_table_put(&viommu->groups, key, group);
        if (error != IOVAGEOM_OK) {
            iovageom_books_release(viommu, group, sizeof(*group));
            return error;
        }
        viommu->next_index++;
        /* The allocator was found to be sound when the books were made. */
        (void)iovageom_view_init(&group->view, viommu);
        (void)iovageom_rangeset_init(&group->promised, &viommu->allocator);
    }
    *out = group;
    return IOVAGEOM_OK;
}

/* A group that was made while loading gets the number by which the VMM knows it. */
int iovageom_group_number(struct iovageom_viommu *viommu, struct iovageom_group *group,
                          uint64_t number)
{
    int error = iovageom_table_put(&viommu->groups, number, group);

    if (error != IOVAGEOM_OK)
        return error;
    iovageom_table_drop(&viommu->groups, group->key);
    group->key = number;
    group->unnumbered = false;
    return IOVAGEOM_OK;
}

static void group_drop_if_empty(struct iovageom_viommu *viommu, struct iovageom_group *group)
{
    if (group->members.count > 0)
        return;
    iovageom_table_drop(&viommu->groups, group->key);
    iovageom_wire_put(viommu, group->wire);
    iovageom_group_forgive(viommu, group);
    iovageom_view_deinit(&group->view);
    iovageom_books_release(viommu, group, sizeof(*group));
}

int iovageom_endpoint_make(struct iovageom_viommu *viommu, uint32_t id, uint64_t group_key,
                           enum iovageom_endpoint_kind kind, struct iovageom_endpoint **out)
{
    struct iovageom_endpoint *endpoint;
    struct iovageom_group *group;
    int error = group_make(viommu, group_key, &group);

    if (error != IOVAGEOM_OK)
        return error;
    endpoint = iovageom_books_allocate(viommu, sizeof(*endpoint));
    error = endpoint == NULL ? IOVAGEOM_ERR_NO_MEMORY
                             : iovageom_table_put(&viommu->endpoints, id, endpoint);
    if (error != IOVAGEOM_OK) {
        iovageom_books_release(viommu, endpoint, sizeof(*endpoint));
        group_drop_if_empty(viommu, group);
        return error;
    }
    memset(endpoint, 0, sizeof(*endpoint));
    endpoint->id = id;
    endpoint->kind = (uint32_t)kind;
    endpoint->group = group;
    iovageom_roll_add(&group->members, IOVAGEOM_ROLL_GROUP, endpoint);
    group->visible += kind == IOVAGEOM_ENDPOINT_EMULATED;
    if (kind == IOVAGEOM_ENDPOINT_SLOT && group->slots++ == 0 && viommu->envelope != NULL)
        iovageom_group_add(group, viommu->envelope);
    *out = endpoint;
    return IOVAGEOM_OK;
}

/* An endpoint that nobody declared here, in a group of its own or that of its neighbours. */
int iovageom_endpoint_make_expected(struct iovageom_viommu *viommu, uint32_t id,
                                    const struct iovageom_group *group,
                                    struct iovageom_endpoint **out)
{
    const uint64_t key = group != NULL ? group->key : iovageom_next_own_group(viommu);
    int error = iovageom_endpoint_make(viommu, id, key, IOVAGEOM_ENDPOINT_DEVICE, out);

    if (error == IOVAGEOM_OK) {
        iovageom_endpoint_expect(*out);
        (*out)->group->unnumbered |= group == NULL;
    }
    return error;
}

/* Nobody relies on what the group was promised any more. */
void iovageom_group_forgive(struct iovageom_viommu *viommu, struct iovageom_group *group)
{
    iovageom_rangeset_clear(&group->promised);
    iovageom_wire_put(viommu, group->promised_wire);
    group->promised_wire = NULL;
    group->loaded = false;
}

/*
 * Take the promise away. What the group was promised stays as long as the guest may hold on to it:
 * while any endpoint of it is there, or was told.
 */
void iovageom_endpoint_forget(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_group *group = endpoint->group;

    if (endpoint->told != NULL) {
        iovageom_wire_put(viommu, endpoint->told);
        endpoint->told = NULL;
        endpoint->generation = 0;
        group->told--;
    }
    if (group->visible == 0 && group->told == 0)
        iovageom_group_forgive(viommu, group);
}

/* Strike an endpoint that has no device out of the books. */
void iovageom_endpoint_drop(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_group *group = endpoint->group;

    iovageom_endpoint_detach(viommu, endpoint);
    group->visible -= iovageom_endpoint_visible(endpoint);
    iovageom_endpoint_forget(viommu, endpoint);
    if (endpoint->kind == IOVAGEOM_ENDPOINT_SLOT && --group->slots == 0 && viommu->envelope != NULL)
        iovageom_group_stale(group);
    iovageom_roll_remove(&group->members, IOVAGEOM_ROLL_GROUP, endpoint);
    iovageom_table_drop(&viommu->endpoints, endpoint->id);
    iovageom_books_release(viommu, endpoint, sizeof(*endpoint));
    group_drop_if_empty(viommu, group);
}

/* ---- what a group is told ---- */

int iovageom_view_init(struct iovageom_view *view, const struct iovageom_viommu *viommu)
{
    int error = iovageom_rangeset_init(&view->all, &viommu->allocator);

    return error != IOVAGEOM_OK ? error : iovageom_rangeset_init(&view->msi, &viommu->allocator);
}

void iovageom_view_deinit(struct iovageom_view *view)
{
    iovageom_rangeset_deinit(&view->all);
    iovageom_rangeset_deinit(&view->msi);
}

int iovageom_view_add(struct iovageom_view *view, const struct iovageom_device *device)
{
    int error = IOVAGEOM_OK;

    for (size_t i = 0; error == IOVAGEOM_OK && i < device->all_count; i++)
        error = iovageom_rangeset_insert(&view->all, device->ranges[i]);
    for (size_t i = 0; error == IOVAGEOM_OK && i < device->msi_count; i++)
        error = iovageom_rangeset_insert(&view->msi, device->ranges[device->all_count + i]);
    return error;
}

static bool view_has(const struct iovageom_view *view, const struct iovageom_device *device)
{
    for (size_t i = 0; i < device->all_count; i++)
        if (!iovageom_rangeset_contains(&view->all, device->ranges[i]))
            return false;
    for (size_t i = 0; i < device->msi_count; i++)
        if (!iovageom_rangeset_contains(&view->msi, device->ranges[device->all_count + i]))
            return false;
    return true;
}

/* The view of a group from nothing: platform, envelope, and what the devices of its units reserve. */
int iovageom_view_build(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                        struct iovageom_view *out)
{
    int error = iovageom_rangeset_assign(&out->all, &viommu->platform_view.all);

    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_assign(&out->msi, &viommu->platform_view.msi);
    if (error == IOVAGEOM_OK && group->slots > 0 && viommu->envelope != NULL)
        error = iovageom_view_add(out, viommu->envelope);
    for (const struct iovageom_link *side = group->node.up; side != NULL; side = side->up_next) {
        const struct iovageom_unit *unit = (const struct iovageom_unit *)(const void *)side->upper;

        for (const struct iovageom_shape *shape = unit->shapes;
             error == IOVAGEOM_OK && shape != NULL; shape = shape->next)
            error = iovageom_view_add(out, shape->device);
    }
    return error;
}

/* The view of a group, copied if it is at hand. */
int iovageom_group_view(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                        struct iovageom_view *out)
{
    int error;

    if (!group->view_clean)
        return iovageom_view_build(viommu, group, out);
    error = iovageom_rangeset_assign(&out->all, &group->view.all);
    return error != IOVAGEOM_OK ? error : iovageom_rangeset_assign(&out->msi, &group->view.msi);
}

/* The wire list no longer holds, nor what domains have made of the view. */
static void group_touched(struct iovageom_group *group)
{
    for (struct iovageom_link *tie = group->node.down; tie != NULL; tie = tie->down_next)
        ((struct iovageom_domain *)(void *)tie->lower)->clean = false;
}

/* What was built may be too much now. */
void iovageom_group_stale(struct iovageom_group *group)
{
    if (group->view_clean)
        group_touched(group);
    group->view_clean = false;
}

/* A device reserves more. If that can't be noted now, it will be when the view is built anew. */
void iovageom_group_add(struct iovageom_group *group, const struct iovageom_device *device)
{
    const bool known = group->view_clean && view_has(&group->view, device);

    /* One that reserves nothing new may still have the smaller mapping budget. */
    if (group->view_clean && (!known || device->budget != UINT64_MAX))
        group_touched(group);
    if (!group->view_clean || known)
        return;
    group->view_clean = iovageom_view_add(&group->view, device) == IOVAGEOM_OK;
    group->wire_clean = false;
}

/* Make the view that of now. */
int iovageom_group_refresh(struct iovageom_viommu *viommu, struct iovageom_group *group)
{
    int error = IOVAGEOM_OK;

    if (!group->view_clean) {
        struct iovageom_view view;

        error = iovageom_view_init(&view, viommu);
        if (error == IOVAGEOM_OK)
            error = iovageom_view_build(viommu, group, &view);
        if (error == IOVAGEOM_OK) {
            iovageom_rangeset_swap(&group->view.all, &view.all);
            iovageom_rangeset_swap(&group->view.msi, &view.msi);
            group->view_clean = true;
            group->wire_clean = false;
        }
        iovageom_view_deinit(&view);
    }
    return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <string.h>

#include "internal.h"

/* ---- units ---- */

static int unit_make(struct iovageom_viommu *viommu, uint64_t key, struct iovageom_unit **out)
{
    struct iovageom_unit *unit = iovageom_table_at(&viommu->units, key);
    int error;

    if (unit == NULL) {
        if (viommu->next_index == UINT32_MAX)
            return IOVAGEOM_ERR_LIMIT;
        unit = iovageom_books_allocate(viommu, sizeof(*unit));
        if (unit == NULL)
            return IOVAGEOM_ERR_NO_MEMORY;
        memset(unit, 0, sizeof(*unit));
        unit->key = key;
        unit->node.index = unit->host.index = viommu->next_index;
        error = iovageom_table_put(&viommu->units, key, unit);
        if (error != IOVAGEOM_OK) {
            iovageom_books_release(viommu, unit, sizeof(*unit));
            return error;
        }
        viommu->next_index++;
    }
    *out = unit;
    return IOVAGEOM_OK;
}

static void unit_drop_if_empty(struct iovageom_viommu *viommu, struct iovageom_unit *unit)
{
    if (unit->first != NULL)
        return;
    iovageom_table_drop(&viommu->units, unit->key);
    iovageom_books_release(viommu, unit, sizeof(*unit));
}

static void unit_touched(struct iovageom_unit *unit)
{
    for (struct iovageom_link *side = unit->node.down; side != NULL; side = side->down_next)
        iovageom_group_stale((struct iovageom_group *)(void *)side->lower);
}

/* One more device of some shape. */
static int shape_get(struct iovageom_viommu *viommu, struct iovageom_unit *unit,
                     const struct iovageom_device *device, bool *fresh)
{
    struct iovageom_shape *shape = iovageom_shape_of(unit, device);

    *fresh = shape == NULL;
    if (shape == NULL) {
        shape = iovageom_books_allocate(viommu, sizeof(*shape));
        if (shape == NULL)
            return IOVAGEOM_ERR_NO_MEMORY;
        *shape = (struct iovageom_shape){unit->shapes, device, 0,
                                         !iovageom_identity_fits(&viommu->identity, device,
                                                                 IOVAGEOM_ID_NONE, IOVAGEOM_ID_NONE,
                                                                 NULL)};
        unit->shapes = shape;
        unit->unfit += shape->unfit;
    }
    shape->count++;
    return IOVAGEOM_OK;
}

/* One less: the unit's devices are without it already, and it is about to go. */
static void shape_put(struct iovageom_viommu *viommu, struct iovageom_unit *unit,
                      const struct iovageom_device *device)
{
    struct iovageom_shape *shape = iovageom_shape_of(unit, device);
    struct iovageom_shape **at = &unit->shapes;
    const struct iovageom_plug *plug = unit->first;

    if (--shape->count > 0) {
        /* Whoever else is like it speaks for them now. */
        if (shape->device != device)
            return;
        while (plug != NULL && !iovageom_device_same(plug->device, device))
            plug = plug->next;
        if (plug != NULL)
            shape->device = plug->device;
        return;
    }
    while (*at != shape)
        at = &(*at)->next;
    *at = shape->next;
    unit->unfit -= shape->unfit;
    iovageom_books_release(viommu, shape, sizeof(*shape));
    unit_touched(unit);
}

/* Notes which devices can't map the identity ranges. */
void iovageom_units_judge(struct iovageom_viommu *viommu)
{
    struct iovageom_unit *unit = iovageom_table_from(&viommu->units, 0);

    for (; unit != NULL; unit = iovageom_table_from(&viommu->units, unit->key + 1)) {
        unit->unfit = 0;
        for (struct iovageom_shape *shape = unit->shapes; shape != NULL; shape = shape->next) {
            shape->unfit = !iovageom_identity_fits(&viommu->identity, shape->device,
                                                   IOVAGEOM_ID_NONE, IOVAGEOM_ID_NONE, NULL);
            unit->unfit += shape->unfit;
        }
        if (unit->key == UINT64_MAX)
            break;
    }
}

/* ---- host groups ---- */

static int host_group_get(struct iovageom_viommu *viommu, uint64_t number,
                          struct iovageom_unit *unit)
{
    struct iovageom_host_group *host;
    int error;

    if (number == IOVAGEOM_VIOMMU_OWN)
        return IOVAGEOM_OK;
    host = iovageom_table_at(&viommu->host_groups, number);
    if (host == NULL) {
        host = iovageom_books_allocate(viommu, sizeof(*host));
        error = host == NULL ? IOVAGEOM_ERR_NO_MEMORY
                             : iovageom_table_put(&viommu->host_groups, number, host);
        if (error != IOVAGEOM_OK) {
            iovageom_books_release(viommu, host, sizeof(*host));
            return error;
        }
        *host = (struct iovageom_host_group){unit, 0};
    }
    host->count++;
    return IOVAGEOM_OK;
}

static void host_group_put(struct iovageom_viommu *viommu, uint64_t number)
{
    struct iovageom_host_group *host;

    if (number == IOVAGEOM_VIOMMU_OWN)
        return;
    host = iovageom_table_at(&viommu->host_groups, number);
    if (--host->count == 0) {
        iovageom_table_drop(&viommu->host_groups, number);
        iovageom_books_release(viommu, host, sizeof(*host));
    }
}

static int claim_make(struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    struct iovageom_claim *claim;
    int error;

    if (plug->host_group == IOVAGEOM_VIOMMU_OWN)
        return IOVAGEOM_OK;
    claim = iovageom_books_allocate(viommu, sizeof(*claim));
    if (claim == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    error = host_group_get(viommu, plug->host_group, plug->unit);
    if (error != IOVAGEOM_OK) {
        iovageom_books_release(viommu, claim, sizeof(*claim));
        return error;
    }
    *claim = (struct iovageom_claim){NULL, plug->host_group};
    plug->claims = claim;
    return IOVAGEOM_OK;
}

static void claims_drop(struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    while (plug->claims != NULL) {
        struct iovageom_claim *claim = plug->claims;

        plug->claims = claim->next;
        host_group_put(viommu, claim->host_group);
        iovageom_books_release(viommu, claim, sizeof(*claim));
    }
}

/*
 * Which of several devices at one endpoint is unplugged can't be told: so their host groups are
 * known until the last one has left. One that is taken for gone too early would be in two containers.
 */
static void claims_pass_on(struct iovageom_plug *plug, const struct iovageom_endpoint *endpoint)
{
    struct iovageom_plug *heir = iovageom_plug_at(endpoint, false);
    struct iovageom_claim **end = &plug->claims;

    if (plug->prepared || heir == NULL)
        return;
    while (*end != NULL)
        end = &(*end)->next;
    *end = heir->claims;
    heir->claims = plug->claims;
    plug->claims = NULL;
}

/* ---- plugs ---- */

/* Whether the device was plugged at this very endpoint, and does not have it as an alias. */
bool iovageom_contact_own(const struct iovageom_contact *contact)
{
    return contact == contact->plug->contacts;
}

/* The next plug, by the endpoint where it was plugged, then by age; the first one after NULL. */
struct iovageom_plug *iovageom_plug_after(const struct iovageom_viommu *viommu,
                                          const struct iovageom_plug *plug)
{
    const struct iovageom_endpoint *endpoint = plug != NULL ? plug->contacts[0].endpoint : NULL;
    const struct iovageom_contact *contact = plug != NULL ? plug->contacts[0].next : NULL;

    for (;;) {
        for (; contact != NULL; contact = contact->next)
            if (iovageom_contact_own(contact))
                return contact->plug;
        endpoint = iovageom_endpoint_after(viommu, endpoint);
        if (endpoint == NULL)
            return NULL;
        contact = endpoint->first;
    }
}

/* The last of the devices that were plugged at this very endpoint and are prepared, or are not. */
struct iovageom_plug *iovageom_plug_at(const struct iovageom_endpoint *endpoint, bool prepared)
{
    const struct iovageom_contact *contact = endpoint->last;

    while (contact != NULL &&
           (!iovageom_contact_own(contact) || contact->plug->prepared != prepared))
        contact = contact->previous;
    return contact != NULL ? contact->plug : NULL;
}

/* Whether a device that answers to it is prepared. There is one at most, and it came last. */
bool iovageom_plug_pending(const struct iovageom_endpoint *endpoint)
{
    return endpoint->last != NULL && endpoint->last->plug->prepared;
}

/* The device, on its unit, prepared; it answers to nobody yet. */
int iovageom_plug_make(struct iovageom_viommu *viommu, uint64_t unit_key, uint64_t host_group,
                       size_t capacity, struct iovageom_device *device, struct iovageom_plug **out)
{
    struct iovageom_plug *plug;
    size_t size;
    bool fresh;
    int error;

    if (capacity > (SIZE_MAX - sizeof(*plug)) / sizeof(plug->contacts[0]))
        return IOVAGEOM_ERR_NO_MEMORY;
    size = sizeof(*plug) + capacity * sizeof(plug->contacts[0]);
    plug = iovageom_books_allocate(viommu, size);
    if (plug == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    memset(plug, 0, size);
    plug->host_group = host_group;
    plug->prepared = true;
    plug->capacity = capacity;
    error = unit_make(viommu, unit_key, &plug->unit);
    if (error == IOVAGEOM_OK) {
        error = shape_get(viommu, plug->unit, device, &fresh);
        if (error == IOVAGEOM_OK) {
            error = claim_make(viommu, plug);
            if (error != IOVAGEOM_OK)
                shape_put(viommu, plug->unit, device);
        }
        if (error != IOVAGEOM_OK)
            unit_drop_if_empty(viommu, plug->unit);
    }
    if (error != IOVAGEOM_OK) {
        iovageom_books_release(viommu, plug, size);
        return error;
    }
    plug->device = device;
    device->references++;
    plug->previous = plug->unit->last;
    *(plug->unit->last != NULL ? &plug->unit->last->next : &plug->unit->first) = plug;
    plug->unit->last = plug;
    for (struct iovageom_link *side = plug->unit->node.down; fresh && side != NULL;
         side = side->down_next)
        iovageom_group_add((struct iovageom_group *)(void *)side->lower, device);
    *out = plug;
    return IOVAGEOM_OK;
}

/* It answers to one endpoint more. There is room for as many as were announced. */
int iovageom_plug_join(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                       struct iovageom_endpoint *endpoint)
{
    struct iovageom_contact *contact = &plug->contacts[plug->count];
    const struct iovageom_shape *shape = plug->unit->shapes;
    bool fresh;
    int error = iovageom_link_get(viommu, &viommu->sides, &plug->unit->node, &endpoint->group->node,
                                  &fresh);

    if (error != IOVAGEOM_OK)
        return error;
    *contact = (struct iovageom_contact){plug, endpoint, NULL, endpoint->last};
    *(endpoint->last != NULL ? &endpoint->last->next : &endpoint->first) = contact;
    endpoint->last = contact;
    endpoint->unit = plug->unit;
    plug->count++;
    for (; fresh && shape != NULL; shape = shape->next)
        iovageom_group_add(endpoint->group, shape->device);
    return IOVAGEOM_OK;
}

/* From here on it is there for the guest. */
void iovageom_plug_commit(struct iovageom_plug *plug)
{
    for (size_t i = 0; i < plug->count; i++) {
        struct iovageom_endpoint *endpoint = plug->contacts[i].endpoint;

        endpoint->group->visible += !iovageom_endpoint_visible(endpoint);
        endpoint->devices++;
        (void)iovageom_endpoint_unexpect(endpoint);
    }
    plug->prepared = false;
}

/* An endpoint loses one of its devices, and is gone with the last one if nobody declared it. */
static void contact_leave(struct iovageom_viommu *viommu, struct iovageom_contact *contact)
{
    struct iovageom_endpoint *endpoint = contact->endpoint;
    struct iovageom_group *group = endpoint->group;
    struct iovageom_unit *unit = contact->plug->unit;

    *(contact->next != NULL ? &contact->next->previous : &endpoint->last) = contact->previous;
    *(contact->previous != NULL ? &contact->previous->next : &endpoint->first) = contact->next;
    if (!contact->plug->prepared && --endpoint->devices == 0 && !endpoint->expected) {
        group->visible -= !iovageom_endpoint_visible(endpoint);
        iovageom_endpoint_detach(viommu, endpoint);
        iovageom_endpoint_forget(viommu, endpoint);
    }
    iovageom_link_put(viommu, &viommu->sides, &unit->node, &group->node);
    if (iovageom_link_count(&viommu->sides, &unit->node, &group->node) == 0)
        iovageom_group_stale(group);
    if (endpoint->first != NULL)
        return;
    endpoint->unit = NULL;
    if (endpoint->kind == IOVAGEOM_ENDPOINT_DEVICE && !endpoint->expected)
        iovageom_endpoint_drop(viommu, endpoint);
}

/* The last contact of a plug is that where it was plugged. */
static void own_leave(struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    struct iovageom_endpoint *endpoint = plug->contacts[0].endpoint;
    const bool stays =
        endpoint->first != endpoint->last || endpoint->kind == IOVAGEOM_ENDPOINT_SLOT;

    plug->count = 0;
    contact_leave(viommu, &plug->contacts[0]);
    if (stays)
        claims_pass_on(plug, endpoint);
}

/* Take a device out, prepared or not, and with it what nobody else reserves. Needs no memory. */
void iovageom_plug_remove(struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    struct iovageom_unit *unit = plug->unit;

    while (plug->count > 1)
        contact_leave(viommu, &plug->contacts[--plug->count]);
    if (plug->count > 0)
        own_leave(viommu, plug);
    *(plug->next != NULL ? &plug->next->previous : &unit->last) = plug->previous;
    *(plug->previous != NULL ? &plug->previous->next : &unit->first) = plug->next;
    claims_drop(viommu, plug);
    shape_put(viommu, unit, plug->device);
    unit_drop_if_empty(viommu, unit);
    iovageom_device_put(viommu, plug->device);
    iovageom_books_release(viommu, plug,
                           sizeof(*plug) + plug->capacity * sizeof(plug->contacts[0]));
}

/* The device says something else from now on. Fails before anything has changed. */
int iovageom_plug_renew(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                        struct iovageom_device *device)
{
    struct iovageom_device *old = plug->device;
    bool fresh;
    int error = shape_get(viommu, plug->unit, device, &fresh);

    if (error != IOVAGEOM_OK)
        return error;
    plug->device = device;
    device->references++;
    shape_put(viommu, plug->unit, old);
    iovageom_device_put(viommu, old);
    unit_touched(plug->unit);
    return IOVAGEOM_OK;
}

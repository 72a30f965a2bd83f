/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "internal.h"

/* ---- declarations ---- */

int iovageom_viommu_declare(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t guest_group,
                            enum iovageom_endpoint_kind kind, struct iovageom_report *report)
{
    const uint64_t key =
        guest_group == IOVAGEOM_VIOMMU_OWN ? iovageom_next_own_group(viommu) : guest_group;
    int error = IOVAGEOM_OK;

    iovageom_report_clear(report);
    if ((kind != IOVAGEOM_ENDPOINT_EMULATED && kind != IOVAGEOM_ENDPOINT_SLOT) ||
        (guest_group > IOVAGEOM_VIOMMU_GROUP_MAX && guest_group != IOVAGEOM_VIOMMU_OWN))
        return IOVAGEOM_ERR_INVALID;
    if (iovageom_endpoint_at(viommu, endpoint) != NULL)
        return IOVAGEOM_ERR_EXISTS;
    if (kind == IOVAGEOM_ENDPOINT_SLOT)
        error =
            iovageom_ask_slot(viommu, endpoint, iovageom_table_at(&viommu->groups, key), report);
    if (error == IOVAGEOM_OK && iovageom_endpoint_make(viommu, endpoint, key, kind) == NULL)
        error = IOVAGEOM_ERR_NO_MEMORY;
    return error != IOVAGEOM_OK ? error : iovageom_changed(viommu);
}

int iovageom_viommu_undeclare(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);

    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    if (found->first != NULL)
        return IOVAGEOM_ERR_STATE;
    iovageom_endpoint_drop(viommu, found);
    return iovageom_changed(viommu);
}

/* ---- address spaces, and their leads: see struct iovageom_plug ---- */

/* Its leads are others: so is what its groups are told, and its budget. */
static void leads_changed(struct iovageom_address_space *address_space)
{
    address_space->budget = UINT64_MAX;
    for (const struct iovageom_plug *lead = address_space->leads; lead != NULL;
         lead = lead->lead_next)
        address_space->budget = iovageom_lower(address_space->budget, lead->device->budget);
    for (struct iovageom_link *link = address_space->node.down; link != NULL;
         link = link->down_next)
        iovageom_group_stale(link->lower->self);
}

/* Put the plug behind the lead that reserves the same, or make it a lead. */
static void list_enter(struct iovageom_plug *plug)
{
    struct iovageom_address_space *address_space = plug->address_space;
    struct iovageom_plug *lead = iovageom_lead_like(address_space, plug->device);

    plug->previous = lead;
    plug->next = lead != NULL ? lead->next : NULL;
    if (plug->next != NULL)
        plug->next->previous = plug;
    if (lead != NULL) {
        lead->next = plug;
        return;
    }
    plug->lead_next = address_space->leads;
    address_space->leads = plug;
    leads_changed(address_space);
}

/*
 * The plug leaves, or its device is about to be replaced. If it is a lead, the next plug that
 * reserves the same takes its place, and nothing changes for the groups.
 */
static void list_leave(struct iovageom_plug *plug)
{
    struct iovageom_address_space *address_space = plug->address_space;
    struct iovageom_plug **at = &address_space->leads;

    if (plug->next != NULL)
        plug->next->previous = plug->previous;
    if (plug->previous != NULL) {
        plug->previous->next = plug->next;
        return;
    }
    while (*at != plug)
        at = &(*at)->lead_next;
    *at = plug->lead_next;
    if (plug->next != NULL) {
        plug->next->lead_next = *at;
        *at = plug->next;
        return;
    }
    leads_changed(address_space);
}

/* ---- plugs ----
 *
 * All devices of a host group must be in one address space. The VMM unplugs by endpoint: if several
 * devices are plugged at one, it is not known which of them left, nor whose host group went with
 * it. So a plug that leaves others behind is kept as a *departed* one, for the sake of its host
 * group, until the last of them has left. To keep a host group too long only means that a plug into
 * another address space is refused; to drop it too early would let one host group be in two.
 */

/* Free a plug that is at no endpoint; its host group is forgotten with the last plug of it. */
static void plug_free(struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    struct iovageom_host_group *host = plug->host_group;

    if (host != NULL && --host->plugs == 0)
        iovageom_object_free(viommu, &viommu->host_groups, host->number, host, sizeof(*host));
    viommu->prepared -= plug->prepared;
    iovageom_device_put(viommu, plug->device);
    iovageom_device_put(viommu, plug->home);
}

/* That of address spaces, which a device's own one is not in: its endpoints lead to it. */
static struct iovageom_table *table_for(struct iovageom_viommu *viommu, uint64_t key)
{
    return key < IOVAGEOM_KEY_OWN ? &viommu->address_spaces : NULL;
}

static struct iovageom_address_space *address_space_make(struct iovageom_viommu *viommu,
                                                         uint64_t key)
{
    struct iovageom_address_space *made =
        iovageom_object_make(viommu, table_for(viommu, key), key, sizeof(*made));

    if (made != NULL) {
        made->key = key;
        made->node.self = made->mapped.self = made;
        made->node.own = &made->own;
    }
    return made;
}

/* The plug is one of a host group from now on, which is made if there is none. False: no memory. */
static bool host_group_enter(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                             uint64_t number)
{
    struct iovageom_host_group *host = iovageom_table_at(&viommu->host_groups, number);

    if (host == NULL)
        host = iovageom_object_make(viommu, &viommu->host_groups, number, sizeof(*host));
    if (host == NULL)
        return false;
    host->number = number;
    host->address_space = plug->address_space;
    host->plugs++;
    plug->host_group = host;
    return true;
}

/*
 * A prepared plug in that address space, or for NULL in a new one with that key, at no endpoint
 * yet: the caller adds as many with iovageom_plug_join() as there is room for in front of `device`,
 * and the plug takes references to that. To undo it, or what joins have done since, call
 * iovageom_plug_remove(). NULL for lack of memory.
 */
struct iovageom_plug *iovageom_plug_make(struct iovageom_viommu *viommu,
                                         struct iovageom_address_space *address_space, uint64_t key,
                                         uint64_t host_group, struct iovageom_device *device)
{
    struct iovageom_plug *plug = (void *)((uint8_t *)device->geometry - device->geometry->before);

    if (address_space == NULL)
        address_space = address_space_make(viommu, key);
    if (address_space == NULL)
        return NULL;
    memset(plug, 0, (size_t)((uint8_t *)device - (uint8_t *)plug));
    plug->prepared = true;
    viommu->prepared++;
    plug->device = plug->home = device;
    device->references += 2;
    plug->address_space = address_space;
    list_enter(plug);
    if (host_group != IOVAGEOM_VIOMMU_OWN && !host_group_enter(viommu, plug, host_group)) {
        iovageom_plug_remove(viommu, plug);
        return NULL;
    }
    return plug;
}

/*
 * Add one endpoint to the plug; for NULL, one with that number is made in that group. The first one
 * is where it is plugged, the others are aliases. Nothing has changed when there is no memory.
 */
int iovageom_plug_join(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                       struct iovageom_endpoint *endpoint, uint32_t id, uint64_t group_key)
{
    struct iovageom_address_space *address_space = plug->address_space;
    struct iovageom_contact *contact = &plug->contacts[plug->count];
    const bool made = endpoint == NULL;

    if (made)
        endpoint = iovageom_endpoint_make(viommu, id, group_key, IOVAGEOM_ENDPOINT_DEVICE);
    if (endpoint == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    if (endpoint->first == NULL &&
        iovageom_endpoint_move(viommu, endpoint, address_space, endpoint->domain) != IOVAGEOM_OK) {
        if (made)
            iovageom_endpoint_drop(viommu, endpoint);
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    *contact = (struct iovageom_contact){plug, endpoint, NULL, endpoint->last};
    *(endpoint->last != NULL ? &endpoint->last->next : &endpoint->first) = contact;
    endpoint->last = contact;
    plug->count++;
    return IOVAGEOM_OK;
}

/*
 * An endpoint loses one of its devices. When no committed device is left, and none is expected, the
 * endpoint is detached and its promise ends, though a prepared device may still be there. When none
 * at all is left, an endpoint that is neither declared nor expected is freed. Returns whether a
 * committed device was plugged at this endpoint and stays; with the last of them the departed ones
 * are forgotten.
 */
static bool contact_leave(struct iovageom_viommu *viommu, struct iovageom_contact *contact)
{
    struct iovageom_endpoint *endpoint = contact->endpoint;
    const struct iovageom_contact *other;
    struct iovageom_plug *departed;

    *(contact->next != NULL ? &contact->next->previous : &endpoint->last) = contact->previous;
    *(contact->previous != NULL ? &contact->previous->next : &endpoint->first) = contact->next;
    other = endpoint->first;
    while (other != NULL && (other->plug->prepared || other != other->plug->contacts))
        other = other->next;
    while (other == NULL && (departed = endpoint->departed) != NULL) {
        endpoint->departed = departed->next;
        plug_free(viommu, departed);
    }
    if (!contact->plug->prepared && !iovageom_endpoint_visible(endpoint)) {
        iovageom_domain_leave(viommu, endpoint);
        iovageom_promise_set(viommu, endpoint, NULL, 0);
        iovageom_group_settle(viommu, endpoint->group);
    }
    if (endpoint->first == NULL) {
        (void)iovageom_endpoint_move(viommu, endpoint, NULL, endpoint->domain);
        if (endpoint->kind == IOVAGEOM_ENDPOINT_DEVICE && !endpoint->expected)
            iovageom_endpoint_drop(viommu, endpoint);
    }
    return other != NULL;
}

/* Take a plug out, prepared or committed. Needs no memory. Aliases leave before the endpoint where
 * it was plugged, which may be freed. */
void iovageom_plug_remove(struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    struct iovageom_address_space *address_space = plug->address_space;
    struct iovageom_endpoint *endpoint = plug->contacts[0].endpoint;
    const struct iovageom_plug *kept;
    bool departs = false;

    while (plug->count > 0)
        departs = contact_leave(viommu, &plug->contacts[--plug->count]);
    list_leave(plug);
    if (address_space->leads == NULL)
        iovageom_object_free(viommu, table_for(viommu, address_space->key), address_space->key,
                             address_space, sizeof(*address_space));
    departs &= !plug->prepared && plug->host_group != NULL;
    for (kept = departs ? endpoint->departed : NULL; kept != NULL; kept = kept->next)
        departs &= kept->host_group != plug->host_group; /* one is enough */
    if (!departs) {
        plug_free(viommu, plug);
        return;
    }
    iovageom_device_put(viommu, plug->device);
    plug->device = NULL;
    plug->next = endpoint->departed;
    endpoint->departed = plug;
}

/* The last prepared, or committed, of the devices that were plugged at this endpoint itself. */
static struct iovageom_plug *plug_at(const struct iovageom_viommu *viommu, uint32_t id,
                                     bool prepared)
{
    const struct iovageom_endpoint *endpoint = iovageom_endpoint_at(viommu, id);
    const struct iovageom_contact *contact = endpoint != NULL ? endpoint->last : NULL;

    while (contact != NULL &&
           (contact != contact->plug->contacts || contact->plug->prepared != prepared))
        contact = contact->previous;
    return contact != NULL ? contact->plug : NULL;
}

int iovageom_viommu_plug_commit(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_plug *plug = plug_at(viommu, endpoint, true);

    if (plug == NULL)
        return IOVAGEOM_ERR_STATE;
    for (size_t i = 0; i < plug->count; i++)
        plug->contacts[i].endpoint->expected = false;
    plug->prepared = false;
    viommu->prepared--;
    viommu->changes++;
    return IOVAGEOM_OK;
}

/* Unplug or abort; `otherwise` is the status when no such plug is there. */
static int plug_take_out(struct iovageom_viommu *viommu, uint32_t endpoint, bool prepared,
                         int otherwise)
{
    struct iovageom_plug *plug = plug_at(viommu, endpoint, prepared);

    if (plug == NULL)
        return otherwise;
    iovageom_plug_remove(viommu, plug);
    return iovageom_changed(viommu);
}

int iovageom_viommu_plug_abort(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    return plug_take_out(viommu, endpoint, true, IOVAGEOM_ERR_STATE);
}

int iovageom_viommu_unplug(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    return plug_take_out(viommu, endpoint, false, IOVAGEOM_ERR_NOT_FOUND);
}

int iovageom_viommu_update(struct iovageom_viommu *viommu, uint32_t endpoint,
                           const struct iovageom_geometry *geometry, uint32_t flags,
                           struct iovageom_report *report)
{
    const struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);
    struct iovageom_admission a = {
        .viommu = viommu, .report = report, .endpoint = endpoint, .flags = flags};
    struct iovageom_device *device;
    int error;

    iovageom_report_clear(report);
    if ((flags & ~(uint32_t)(IOVAGEOM_PLUG_ALLOW_STALE | IOVAGEOM_PLUG_REFUSE_DIRECT)) != 0)
        return IOVAGEOM_ERR_INVALID;
    if (plug_at(viommu, endpoint, false) == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    a.address_space = found->address_space;
    error = iovageom_ask_begin(&a, geometry, &device);
    if (error != IOVAGEOM_OK)
        return error;
    iovageom_ask_device(&a);
    error = iovageom_ask_neighbours(&a);
    /* The VMM names an endpoint, so devices that were plugged at this one itself can't be told
       apart: all of them get the new geometry. Devices that have it as an alias keep theirs. Needs
       no memory, so it can't fail after it was agreed to. */
    for (struct iovageom_contact *contact = error == IOVAGEOM_OK ? found->first : NULL;
         contact != NULL; contact = contact->next)
        if (contact == contact->plug->contacts) {
            list_leave(contact->plug);
            iovageom_device_put(viommu, contact->plug->device);
            contact->plug->device = device;
            device->references++;
            list_enter(contact->plug);
        }
    iovageom_device_put(viommu, device);
    return error != IOVAGEOM_OK ? error : iovageom_changed(viommu);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../geometry/internal.h"
#include "internal.h"

/* ---- declarations ---- */

int iovageom_viommu_declare(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t guest_group,
                            enum iovageom_endpoint_kind kind, struct iovageom_report *report)
{
    const uint64_t key =
        guest_group == IOVAGEOM_VIOMMU_OWN ? iovageom_next_own_group(viommu) : guest_group;
    struct iovageom_admission a = {.viommu = viommu,
                                   .device = viommu->envelope,
                                   .report = report,
                                   .endpoint = endpoint,
                                   .features = viommu->accepted};
    struct iovageom_endpoint *made;
    int error = IOVAGEOM_OK;

    iovageom_report_clear(report);
    if ((kind != IOVAGEOM_ENDPOINT_EMULATED && kind != IOVAGEOM_ENDPOINT_SLOT) ||
        (guest_group > IOVAGEOM_VIOMMU_GROUP_MAX && guest_group != IOVAGEOM_VIOMMU_OWN))
        return IOVAGEOM_ERR_INVALID;
    if (iovageom_endpoint_at(viommu, endpoint) != NULL)
        return IOVAGEOM_ERR_EXISTS;
    if (kind == IOVAGEOM_ENDPOINT_SLOT && viommu->envelope != NULL)
        error = iovageom_ask_slot(&a, iovageom_table_at(&viommu->groups, key));
    if (error == IOVAGEOM_OK)
        error = iovageom_endpoint_make(viommu, endpoint, key, kind, &made);
    if (error == IOVAGEOM_OK) {
        viommu->generation++;
        viommu->changes++;
    }
    return error;
}

int iovageom_viommu_undeclare(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);

    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    if (found->first != NULL)
        return IOVAGEOM_ERR_STATE;
    iovageom_endpoint_drop(viommu, found);
    viommu->generation++;
    viommu->changes++;
    return IOVAGEOM_OK;
}

/* ---- address spaces, and their leads ----
 *
 * See struct iovageom_plug: of all plugs of an address space for which iovageom_device_same()
 * holds, exactly one is on the list of leads.
 */

/*
 * The address space with that key, made if there is none. It takes two indices: it has two nodes.
 */

static int address_space_make(struct iovageom_viommu *viommu, uint64_t key,
                              struct iovageom_address_space **out)
{
    struct iovageom_address_space *made = iovageom_table_at(&viommu->address_spaces, key);
    int error;

    if (made == NULL) {
        if (viommu->next_index >= UINT32_MAX - 1)
            return IOVAGEOM_ERR_LIMIT;
        made = iovageom_books_allocate(viommu, sizeof(*made));
        if (made == NULL)
            return IOVAGEOM_ERR_NO_MEMORY;
        memset(made, 0, sizeof(*made));
        made->key = key;
        made->node.self = made->mapped.self = made;
        error = iovageom_table_put(&viommu->address_spaces, key, made);
        if (error != IOVAGEOM_OK) {
            iovageom_books_release(viommu, made, sizeof(*made));
            return error;
        }
        made->node.index = viommu->next_index++;
        made->mapped.index = viommu->next_index++;
    }
    *out = made;
    return IOVAGEOM_OK;
}

static void address_space_drop_if_empty(struct iovageom_viommu *viommu,
                                        struct iovageom_address_space *address_space)
{
    if (address_space->first != NULL)
        return;
    iovageom_table_drop(&viommu->address_spaces, address_space->key);
    iovageom_books_release(viommu, address_space, sizeof(*address_space));
}

static void groups_stale(struct iovageom_address_space *address_space)
{
    for (struct iovageom_link *link = address_space->node.down; link != NULL;
         link = link->down_next)
        iovageom_group_stale(link->lower->self);
}

/*
 * Make the plug a lead if no lead reserves the same. Then the address space reserves more than
 * before, and the caller must tell its groups; false means that nothing has changed for them.
 */
static bool lead_if_new(const struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    struct iovageom_address_space *address_space = plug->address_space;

    if (iovageom_lead_like(address_space, plug->device) != NULL)
        return false;
    plug->leads = true;
    plug->unfit = !iovageom_identity_fits(&viommu->identity, plug->device, IOVAGEOM_ID_NONE,
                                          IOVAGEOM_ID_NONE, NULL);
    plug->lead_next = address_space->leads;
    address_space->leads = plug;
    address_space->unfit += plug->unfit;
    return true;
}

/*
 * The plug leaves, or its device is about to be replaced. If it is a lead, another plug that
 * reserves the same becomes the lead, and nothing changes for the groups. Without one, less is
 * reserved, so their views are out of date. Needs no memory.
 */
static void lead_no_more(const struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    struct iovageom_address_space *address_space = plug->address_space;
    struct iovageom_plug **at = &address_space->leads;
    struct iovageom_plug *heir = address_space->first;

    if (!plug->leads)
        return;
    while (*at != plug)
        at = &(*at)->lead_next;
    *at = plug->lead_next;
    plug->leads = false;
    address_space->unfit -= plug->unfit;
    while (heir != NULL && (heir == plug || !iovageom_device_same(heir->device, plug->device)))
        heir = heir->next;
    if (heir == NULL || !lead_if_new(viommu, heir))
        groups_stale(address_space);
}

/* The identity ranges have changed: find out anew which leads can't map them. */
void iovageom_judge_identity(struct iovageom_viommu *viommu)
{
    struct iovageom_address_space *address_space = iovageom_table_from(&viommu->address_spaces, 0);

    while (address_space != NULL) {
        address_space->unfit = 0;
        for (struct iovageom_plug *lead = address_space->leads; lead != NULL;
             lead = lead->lead_next) {
            lead->unfit = !iovageom_identity_fits(&viommu->identity, lead->device, IOVAGEOM_ID_NONE,
                                                  IOVAGEOM_ID_NONE, NULL);
            address_space->unfit += lead->unfit;
        }
        address_space = iovageom_table_from(&viommu->address_spaces, address_space->key + 1);
    }
}

/* ---- host groups ----
 *
 * All devices of a host group must be in one address space, so it is remembered where a host group
 * is as long as a device of it is plugged. The VMM unplugs by endpoint. If several devices are
 * plugged at one endpoint, it is not known which of them left, nor whose host group went with it.
 * So the endpoint holds one claim for each plug there that named a host group, and drops them all
 * together, when the last of its own plugs has left. To keep a host group too long only means that
 * a plug into another address space is refused; to drop it too early would let one host group be in
 * two.
 */

/*
 * Add a claim to an endpoint. The claim is had first, so that nothing has changed without memory.
 */

static int claim(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                 const struct iovageom_plug *plug)
{
    struct iovageom_host_group *host;
    struct iovageom_claim *made;
    int error = IOVAGEOM_OK;

    made = iovageom_books_allocate(viommu, sizeof(*made));
    if (made == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    host = iovageom_table_at(&viommu->host_groups, plug->host_group);
    if (host == NULL) {
        host = iovageom_books_allocate(viommu, sizeof(*host));
        error = host == NULL ? IOVAGEOM_ERR_NO_MEMORY
                             : iovageom_table_put(&viommu->host_groups, plug->host_group, host);
        if (error != IOVAGEOM_OK) {
            iovageom_books_release(viommu, host, sizeof(*host));
            iovageom_books_release(viommu, made, sizeof(*made));
            return error;
        }
        *host = (struct iovageom_host_group){plug->address_space, plug->host_group, 0};
    }
    host->claims++;
    *made = (struct iovageom_claim){endpoint->claims, host};
    endpoint->claims = made;
    return IOVAGEOM_OK;
}

/* Take the claim at `*at` off its list; the host group is forgotten with its last claim. */
static void claim_drop(struct iovageom_viommu *viommu, struct iovageom_claim **at)
{
    struct iovageom_claim *dropped = *at;
    struct iovageom_host_group *host = dropped->host_group;

    *at = dropped->next;
    if (--host->claims == 0) {
        iovageom_table_drop(&viommu->host_groups, host->number);
        iovageom_books_release(viommu, host, sizeof(*host));
    }
    iovageom_books_release(viommu, dropped, sizeof(*dropped));
}

/*
 * The plug has left the list of its own endpoint: drop the claims that end with it. New claims go
 * to the front, and a prepared plug came last, so its claim is the first one. An aborted plug drops
 * that claim alone. When the last committed plug leaves, all claims go except that of a prepared
 * one.
 */
static void claims_after(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                         const struct iovageom_plug *plug)
{
    const struct iovageom_plug *pending = iovageom_plug_at(endpoint, true);
    struct iovageom_claim **at = &endpoint->claims;

    if (plug->prepared) {
        if (plug->host_group != IOVAGEOM_VIOMMU_OWN)
            claim_drop(viommu, at);
        return;
    }
    if (iovageom_plug_at(endpoint, false) != NULL)
        return;
    if (pending != NULL && pending->host_group != IOVAGEOM_VIOMMU_OWN)
        at = &endpoint->claims->next;
    while (*at != NULL)
        claim_drop(viommu, at);
}

/* ---- plugs ---- */

/*
 * A prepared plug in the address space with that key, at no endpoint yet: the caller adds up to
 * `capacity` of them with iovageom_plug_join(). Takes a reference of its own to `device`. To undo
 * it, or what joins have done since, call iovageom_plug_remove().
 */
int iovageom_plug_make(struct iovageom_viommu *viommu, uint64_t key, uint64_t host_group,
                       size_t capacity, struct iovageom_device *device, struct iovageom_plug **out)
{
    struct iovageom_plug *plug;
    size_t size;
    int error;

    if (capacity > (SIZE_MAX - sizeof(*plug)) / sizeof(plug->contacts[0]))
        return IOVAGEOM_ERR_NO_MEMORY;
    size = sizeof(*plug) + capacity * sizeof(plug->contacts[0]);
    plug = iovageom_books_allocate(viommu, size);
    if (plug == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    memset(plug, 0, size);
    error = address_space_make(viommu, key, &plug->address_space);
    if (error != IOVAGEOM_OK) {
        iovageom_books_release(viommu, plug, size);
        return error;
    }
    plug->host_group = host_group;
    plug->prepared = true;
    plug->capacity = capacity;
    plug->device = device;
    device->references++;
    plug->previous = plug->address_space->last;
    *(plug->previous != NULL ? &plug->previous->next : &plug->address_space->first) = plug;
    plug->address_space->last = plug;
    if (lead_if_new(viommu, plug))
        for (struct iovageom_link *link = plug->address_space->node.down; link != NULL;
             link = link->down_next)
            iovageom_group_add(link->lower->self, device);
    *out = plug;
    return IOVAGEOM_OK;
}

/*
 * Add one endpoint to the plug. The first one is where it is plugged, and gets the claim; the
 * others are aliases. Nothing has changed when there is no memory.
 *
 * `fresh`: the group had no endpoint in the address space before, so every lead counts for it now.
 * Otherwise the group has them all already, and the plug's own device since iovageom_plug_make().
 */
int iovageom_plug_join(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                       struct iovageom_endpoint *endpoint)
{
    struct iovageom_address_space *address_space = plug->address_space;
    struct iovageom_contact *contact = &plug->contacts[plug->count];
    const bool fresh =
        iovageom_link_count(viommu, &address_space->node, &endpoint->group->node) == 0;
    const bool claims = plug->count == 0 && plug->host_group != IOVAGEOM_VIOMMU_OWN;
    int error = iovageom_link_get(viommu, &address_space->node, &endpoint->group->node);

    if (error != IOVAGEOM_OK)
        return error;
    if (claims)
        error = claim(viommu, endpoint, plug);
    if (error == IOVAGEOM_OK) {
        error = iovageom_endpoint_enter(viommu, endpoint, address_space);
        if (error != IOVAGEOM_OK && claims)
            claim_drop(viommu, &endpoint->claims);
    }
    if (error != IOVAGEOM_OK) {
        iovageom_link_put(viommu, &address_space->node, &endpoint->group->node);
        return error;
    }
    *contact = (struct iovageom_contact){plug, endpoint, NULL, endpoint->last};
    *(endpoint->last != NULL ? &endpoint->last->next : &endpoint->first) = contact;
    endpoint->last = contact;
    plug->count++;
    for (const struct iovageom_plug *lead = address_space->leads; fresh && lead != NULL;
         lead = lead->lead_next)
        iovageom_group_add(endpoint->group, lead->device);
    return IOVAGEOM_OK;
}

/* Make the device visible to the guest, at all its endpoints. Can't fail. */
static void plug_commit(struct iovageom_plug *plug)
{
    for (size_t i = 0; i < plug->count; i++) {
        struct iovageom_endpoint *endpoint = plug->contacts[i].endpoint;

        endpoint->group->visible += !iovageom_endpoint_visible(endpoint);
        endpoint->devices++;
        iovageom_endpoint_unexpect(endpoint);
    }
    plug->prepared = false;
}

/*
 * An endpoint loses one of its devices. When no committed device is left, and none is expected, the
 * endpoint is detached and its promise ends, though a prepared device may still be there. When none
 * at all is left, an endpoint that is neither declared nor expected is freed. The order matters:
 * detaching needs endpoint->address_space, which iovageom_endpoint_exit() clears.
 */
static void contact_leave(struct iovageom_viommu *viommu, struct iovageom_contact *contact)
{
    struct iovageom_endpoint *endpoint = contact->endpoint;
    struct iovageom_group *group = endpoint->group;
    struct iovageom_plug *plug = contact->plug;

    *(contact->next != NULL ? &contact->next->previous : &endpoint->last) = contact->previous;
    *(contact->previous != NULL ? &contact->previous->next : &endpoint->first) = contact->next;
    if (contact == plug->contacts)
        claims_after(viommu, endpoint, plug);
    if (!plug->prepared && --endpoint->devices == 0 && !endpoint->expected) {
        group->visible -= !iovageom_endpoint_visible(endpoint);
        iovageom_domain_leave(viommu, endpoint);
        iovageom_endpoint_forget(viommu, endpoint);
    }
    iovageom_link_put(viommu, &plug->address_space->node, &group->node);
    if (iovageom_link_count(viommu, &plug->address_space->node, &group->node) == 0)
        iovageom_group_stale(group);
    if (endpoint->first != NULL)
        return;
    iovageom_endpoint_exit(viommu, endpoint);
    if (endpoint->kind == IOVAGEOM_ENDPOINT_DEVICE && !endpoint->expected)
        iovageom_endpoint_drop(viommu, endpoint);
}

/*
 * Take a plug out, prepared or committed, and free it. Endpoints leave from the last to the first:
 * the aliases before the endpoint where it was plugged. Needs no memory.
 */
void iovageom_plug_remove(struct iovageom_viommu *viommu, struct iovageom_plug *plug)
{
    struct iovageom_address_space *address_space = plug->address_space;

    while (plug->count > 0)
        contact_leave(viommu, &plug->contacts[--plug->count]);
    lead_no_more(viommu, plug);
    *(plug->next != NULL ? &plug->next->previous : &address_space->last) = plug->previous;
    *(plug->previous != NULL ? &plug->previous->next : &address_space->first) = plug->next;
    address_space_drop_if_empty(viommu, address_space);
    iovageom_device_put(viommu, plug->device);
    iovageom_books_release(viommu, plug,
                           sizeof(*plug) + plug->capacity * sizeof(plug->contacts[0]));
}

/*
 * Replace the geometry of a plug. Needs no memory: the views of the groups are not changed, but
 * marked as out of date. So an update can't fail after it was agreed to.
 */
static void plug_renew(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                       struct iovageom_device *device)
{
    lead_no_more(viommu, plug);
    iovageom_device_put(viommu, plug->device);
    plug->device = device;
    device->references++;
    (void)lead_if_new(viommu, plug);
    groups_stale(plug->address_space);
}

int iovageom_viommu_plug_commit(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_plug *plug = iovageom_plug_at(iovageom_endpoint_at(viommu, endpoint), true);

    if (plug == NULL)
        return IOVAGEOM_ERR_STATE;
    plug_commit(plug);
    viommu->changes++;
    return IOVAGEOM_OK;
}

/* Unplug or abort; `otherwise` is the status when no such plug is there. */
static int plug_take_out(struct iovageom_viommu *viommu, uint32_t endpoint, bool prepared,
                         int otherwise)
{
    struct iovageom_plug *plug = iovageom_plug_at(iovageom_endpoint_at(viommu, endpoint), prepared);

    if (plug == NULL)
        return otherwise;
    iovageom_plug_remove(viommu, plug);
    viommu->generation++;
    viommu->changes++;
    return IOVAGEOM_OK;
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
        .viommu = viommu,
        .report = report,
        .renewed = found,
        .endpoint = endpoint,
        .features = viommu->accepted,
        .allow_stale = (flags & IOVAGEOM_PLUG_ALLOW_STALE) != 0,
        .refuse_direct = iovageom_refuses_direct(viommu, flags),
    };
    struct iovageom_device *device;
    int error;

    iovageom_report_clear(report);
    if ((flags & ~(uint32_t)(IOVAGEOM_PLUG_ALLOW_STALE | IOVAGEOM_PLUG_REFUSE_DIRECT)) != 0)
        return IOVAGEOM_ERR_INVALID;
    if (iovageom_plug_at(found, false) == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    error = iovageom_device_make(viommu, geometry,
                                 iovageom_address_space_live(found->address_space), &device);
    if (error != IOVAGEOM_OK)
        return error;
    a.device = device;
    a.address_space = found->address_space;
    iovageom_ask_device(&a);
    error = iovageom_ask_neighbours(&a);
    /* The VMM names an endpoint, so devices that were plugged at this one itself can't be told
       apart: all of them get the new geometry. Devices that have it as an alias keep theirs. */
    for (struct iovageom_contact *contact = error == IOVAGEOM_OK ? found->first : NULL;
         contact != NULL; contact = contact->next)
        if (contact == contact->plug->contacts)
            plug_renew(viommu, contact->plug, device);
    if (error == IOVAGEOM_OK) {
        viommu->generation++;
        viommu->changes++;
        viommu->stale |= a.went_stale;
    }
    iovageom_device_put(viommu, device);
    return error;
}

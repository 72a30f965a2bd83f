/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "internal.h"

/* ---- members ----
 *
 * Double lists whose links stand in the endpoints, so that joining and leaving need no memory.
 */

void iovageom_members_add(struct iovageom_members *members, enum iovageom_list list,
                          struct iovageom_endpoint *endpoint)
{
    endpoint->previous[list] = members->last;
    endpoint->next[list] = NULL;
    *(members->last != NULL ? &members->last->next[list] : &members->first) = endpoint;
    members->last = endpoint;
    members->count++;
}

static void members_remove(struct iovageom_members *members, enum iovageom_list list,
                           struct iovageom_endpoint *endpoint)
{
    struct iovageom_endpoint *next = endpoint->next[list];
    struct iovageom_endpoint *previous = endpoint->previous[list];

    *(next != NULL ? &next->previous[list] : &members->last) = previous;
    *(previous != NULL ? &previous->next[list] : &members->first) = next;
    endpoint->next[list] = NULL;
    endpoint->previous[list] = NULL;
    members->count--;
}

/* ---- links ----
 *
 * The upper end of a link is a node of an address space, or that of a group. Each of these has an
 * index that no other one ever had (next_index), and all its lower ends are of one kind: groups, or
 * domains. So a key names one link, although a domain has its number for an index, which may equal
 * the index of a group.
 */

static uint64_t link_key(const struct iovageom_node *upper, const struct iovageom_node *lower)
{
    return (uint64_t)upper->index << 32 | lower->index;
}

/* How many endpoints the link stands for; 0 when there is none. */
size_t iovageom_link_count(const struct iovageom_viommu *viommu, const struct iovageom_node *upper,
                           const struct iovageom_node *lower)
{
    const struct iovageom_link *link = iovageom_table_at(&viommu->links, link_key(upper, lower));

    return link != NULL ? link->count : 0;
}

/* Add one to the count of a link; make the link if there is none. IOVAGEOM_ERR_NO_MEMORY. */
int iovageom_link_get(struct iovageom_viommu *viommu, struct iovageom_node *upper,
                      struct iovageom_node *lower)
{
    struct iovageom_link *link = iovageom_table_at(&viommu->links, link_key(upper, lower));
    int error;

    if (link != NULL) {
        link->count++;
        return IOVAGEOM_OK;
    }
    link = iovageom_books_allocate(viommu, sizeof(*link));
    if (link == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    error = iovageom_table_put(&viommu->links, link_key(upper, lower), link);
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

/* Take one from the count of a link, which exists; free the link at 0. Needs no memory. */
void iovageom_link_put(struct iovageom_viommu *viommu, struct iovageom_node *upper,
                       struct iovageom_node *lower)
{
    struct iovageom_link *link = iovageom_table_at(&viommu->links, link_key(upper, lower));

    if (--link->count > 0)
        return;
    if (link->down_next != NULL)
        link->down_next->down_previous = link->down_previous;
    *(link->down_previous != NULL ? &link->down_previous->down_next : &upper->down) =
        link->down_next;
    upper->down_count--;
    if (link->up_next != NULL)
        link->up_next->up_previous = link->up_previous;
    *(link->up_previous != NULL ? &link->up_previous->up_next : &lower->up) = link->up_next;
    iovageom_table_drop(&viommu->links, link_key(upper, lower));
    iovageom_books_release(viommu, link, sizeof(*link));
}

/* ---- looking up, by number: NULL when there is none ---- */

struct iovageom_endpoint *iovageom_endpoint_at(const struct iovageom_viommu *viommu, uint64_t id)
{
    return iovageom_table_at(&viommu->endpoints, id);
}

struct iovageom_domain *iovageom_domain_at(const struct iovageom_viommu *viommu, uint32_t id)
{
    return iovageom_table_at(&viommu->domains, id);
}

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

/* Whether the device was plugged at this endpoint itself, and does not only have it as an alias. */
static bool contact_own(const struct iovageom_contact *contact)
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
            if (contact_own(contact))
                return contact->plug;
        endpoint = iovageom_endpoint_after(viommu, endpoint);
        if (endpoint == NULL)
            return NULL;
        contact = endpoint->first;
    }
}

/*
 * Of the devices that were plugged at this endpoint itself, not as an alias: the one that came last
 * among the prepared ones, or among the committed ones. `endpoint` may be NULL.
 */
struct iovageom_plug *iovageom_plug_at(const struct iovageom_endpoint *endpoint, bool prepared)
{
    const struct iovageom_contact *contact = endpoint != NULL ? endpoint->last : NULL;

    while (contact != NULL && (!contact_own(contact) || contact->plug->prepared != prepared))
        contact = contact->previous;
    return contact != NULL ? contact->plug : NULL;
}

/* The lead of an address space that reserves the same; NULL when none does. */
struct iovageom_plug *iovageom_lead_like(const struct iovageom_address_space *address_space,
                                         const struct iovageom_device *device)
{
    struct iovageom_plug *lead = address_space->leads;

    while (lead != NULL && !iovageom_device_same(lead->device, device))
        lead = lead->lead_next;
    return lead;
}

/*
 * Whether a device at the endpoint is prepared. There is one at most, and it came last, since
 * ask_place() in plug.c refuses any other device until that one is committed or taken back.
 */
bool iovageom_plug_pending(const struct iovageom_endpoint *endpoint)
{
    return endpoint->last != NULL && endpoint->last->plug->prepared;
}

/* Whether the guest can probe it as a device, and attach it. */
bool iovageom_endpoint_visible(const struct iovageom_endpoint *endpoint)
{
    return endpoint->kind == IOVAGEOM_ENDPOINT_EMULATED || endpoint->devices > 0 ||
           endpoint->expected;
}

/* ---- guest groups ---- */

/*
 * A key for the guest group of one endpoint alone. It is made from an index, which is never used
 * twice, and not from the endpoint's number. For when a device leaves, an alias may stay in its
 * group; the next device at that number must get a new group, not share one with that alias.
 */
uint64_t iovageom_next_own_group(const struct iovageom_viommu *viommu)
{
    return IOVAGEOM_KEY_OWN | viommu->next_index;
}

/*
 * The group with that key, made if there is none. A new one has no members yet: if the caller can't
 * add one, it must call group_drop_if_empty().
 */
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
        group->node.self = group;
        group->node.index = viommu->next_index;
        error = iovageom_table_put(&viommu->groups, key, group);
        if (error != IOVAGEOM_OK) {
            iovageom_books_release(viommu, group, sizeof(*group));
            return error;
        }
        viommu->next_index++;
        /* The allocator was found to be sound by iovageom_viommu_new(). */
        (void)iovageom_view_init(&group->view, viommu);
        (void)iovageom_rangeset_init(&group->promised, &viommu->allocator);
    }
    *out = group;
    return IOVAGEOM_OK;
}

/*
 * A group that was made while loading gets the number by which the VMM knows it. The new entry is
 * made before the old one is dropped, so that nothing has changed when there is no memory.
 */
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

/* Drop the promise of a group: the guest can rely on it no longer. */
void iovageom_group_forgive(struct iovageom_viommu *viommu, struct iovageom_group *group)
{
    iovageom_rangeset_clear(&group->promised);
    iovageom_wire_put(viommu, group->promised_wire);
    group->promised_wire = NULL;
    group->loaded = false;
}

/*
 * The cached view of the group is out of date, so its domains are too. A view that was unclean
 * before has unclean domains already: then there is nothing to walk.
 */
void iovageom_group_stale(struct iovageom_group *group)
{
    for (struct iovageom_link *link = group->node.down; group->view_clean && link != NULL;
         link = link->down_next)
        ((struct iovageom_domain *)link->lower->self)->clean = false;
    group->view_clean = false;
}

/* ---- endpoints ---- */

/*
 * A new endpoint, without a device, in the group with that key. The first slot of a group brings
 * the envelope into the group's view. IOVAGEOM_ERR_NO_MEMORY, IOVAGEOM_ERR_LIMIT (no index is
 * left).
 */
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
    endpoint->age = viommu->births++;
    iovageom_members_add(&group->members, IOVAGEOM_LIST_GROUP, endpoint);
    group->visible += kind == IOVAGEOM_ENDPOINT_EMULATED;
    if (kind == IOVAGEOM_ENDPOINT_SLOT && group->slots++ == 0 && viommu->envelope != NULL)
        iovageom_group_stale(group);
    *out = endpoint;
    return IOVAGEOM_OK;
}

/*
 * Take the endpoint's promise away. That of its group stays as long as the guest may rely on it:
 * while any member of the group is visible or has a promise. A guest may have made the group's
 * domain from the answer that this endpoint got, and go on using it for the other members.
 */
void iovageom_endpoint_forget(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_group *group = endpoint->group;

    if (endpoint->told != NULL) {
        iovageom_wire_put(viommu, endpoint->told);
        endpoint->told = NULL;
        endpoint->generation = 0;
        members_remove(&group->told, IOVAGEOM_LIST_TOLD, endpoint);
    }
    if (group->visible == 0 && group->told.count == 0)
        iovageom_group_forgive(viommu, group);
}

/* Detach and free an endpoint that has no device; its group goes with its last endpoint. */
void iovageom_endpoint_drop(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_group *group = endpoint->group;

    iovageom_domain_leave(viommu, endpoint);
    group->visible -= iovageom_endpoint_visible(endpoint);
    iovageom_endpoint_forget(viommu, endpoint);
    if (endpoint->kind == IOVAGEOM_ENDPOINT_SLOT && --group->slots == 0 && viommu->envelope != NULL)
        iovageom_group_stale(group);
    members_remove(&group->members, IOVAGEOM_LIST_GROUP, endpoint);
    iovageom_table_drop(&viommu->endpoints, endpoint->id);
    iovageom_books_release(viommu, endpoint, sizeof(*endpoint));
    group_drop_if_empty(viommu, group);
}

/* Make the endpoint visible to the guest, though its device is yet to come (load.c). */
void iovageom_endpoint_expect(struct iovageom_endpoint *endpoint)
{
    if (iovageom_endpoint_visible(endpoint))
        return;
    endpoint->expected = true;
    endpoint->group->visible++;
}

/* Its device has come, or is expected no longer. It stays visible if it has another reason. */
void iovageom_endpoint_unexpect(struct iovageom_endpoint *endpoint)
{
    if (!endpoint->expected)
        return;
    endpoint->expected = false;
    endpoint->group->visible -= !iovageom_endpoint_visible(endpoint);
}

/* ---- domains ---- */

/* A domain without endpoints. The caller joins one at once, or frees the domain again. */
int iovageom_domain_make(struct iovageom_viommu *viommu, uint32_t id, bool bypass,
                         struct iovageom_domain **out)
{
    struct iovageom_domain *domain = iovageom_books_allocate(viommu, sizeof(*domain));
    int error;

    if (domain == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    memset(domain, 0, sizeof(*domain));
    domain->node.self = domain->mapped.self = domain;
    domain->node.index = domain->mapped.index = id;
    domain->bypass = bypass;
    error = iovageom_table_put(&viommu->domains, id, domain);
    if (error != IOVAGEOM_OK) {
        iovageom_books_release(viommu, domain, sizeof(*domain));
        return error;
    }
    (void)iovageom_rangeset_init(&domain->reserved, &viommu->allocator);
    (void)iovageom_mappings_init(&domain->mappings, &viommu->allocator);
    *out = domain;
    return IOVAGEOM_OK;
}

void iovageom_domain_free(struct iovageom_viommu *viommu, struct iovageom_domain *domain)
{
    viommu->mapping_count -= iovageom_mappings_count(&domain->mappings);
    iovageom_table_drop(&viommu->domains, domain->node.index);
    iovageom_mappings_deinit(&domain->mappings);
    iovageom_rangeset_deinit(&domain->reserved);
    iovageom_books_release(viommu, domain, sizeof(*domain));
}

/*
 * The set of domains that draw on the budget of an address space has changed: all of them compute
 * `budget` and `shared` anew. NULL (an emulated endpoint) has no budget.
 */
static void budget_shared_anew(const struct iovageom_address_space *address_space)
{
    const struct iovageom_link *link = address_space != NULL ? address_space->mapped.down : NULL;

    for (; link != NULL; link = link->down_next)
        ((struct iovageom_domain *)link->lower->self)->clean = false;
}

/*
 * Attach the endpoint to `domain`, and detach it from the one where it is. Both links of the new
 * domain are had before the old domain is left: so nothing has changed when there is no memory.
 */
int iovageom_domain_join(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                         struct iovageom_domain *domain)
{
    struct iovageom_address_space *address_space = endpoint->address_space;
    int error = iovageom_link_get(viommu, &endpoint->group->node, &domain->node);

    if (error == IOVAGEOM_OK && address_space != NULL) {
        error = iovageom_link_get(viommu, &address_space->mapped, &domain->mapped);
        if (error != IOVAGEOM_OK)
            iovageom_link_put(viommu, &endpoint->group->node, &domain->node);
    }
    if (error != IOVAGEOM_OK)
        return error;
    iovageom_domain_leave(viommu, endpoint);
    iovageom_members_add(&domain->members, IOVAGEOM_LIST_DOMAIN, endpoint);
    endpoint->domain = domain;
    domain->clean = false;
    budget_shared_anew(address_space);
    return IOVAGEOM_OK;
}

/* Out of its domain, if it is in one; the last endpoint takes domain and mappings along (N34). */
void iovageom_domain_leave(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_domain *domain = endpoint->domain;

    if (domain == NULL)
        return;
    members_remove(&domain->members, IOVAGEOM_LIST_DOMAIN, endpoint);
    iovageom_link_put(viommu, &endpoint->group->node, &domain->node);
    if (endpoint->address_space != NULL) {
        iovageom_link_put(viommu, &endpoint->address_space->mapped, &domain->mapped);
        budget_shared_anew(endpoint->address_space);
    }
    endpoint->domain = NULL;
    domain->clean = false;
    if (domain->members.count == 0)
        iovageom_domain_free(viommu, domain);
}

/*
 * The endpoint is in an address space from now on. It may be attached already: an emulated endpoint
 * or an expected one has no address space, and the device of the expected one comes now. Then its
 * domain gets a link to that address space.
 */
int iovageom_endpoint_enter(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                            struct iovageom_address_space *address_space)
{
    struct iovageom_domain *domain = endpoint->address_space == NULL ? endpoint->domain : NULL;

    if (domain != NULL) {
        int error = iovageom_link_get(viommu, &address_space->mapped, &domain->mapped);

        if (error != IOVAGEOM_OK)
            return error;
        domain->clean = false;
        budget_shared_anew(address_space);
    }
    endpoint->address_space = address_space;
    return IOVAGEOM_OK;
}

/* Its last device is gone. If it stays attached (as `expected`), its domain keeps no such link. */
void iovageom_endpoint_exit(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    if (endpoint->domain != NULL) {
        iovageom_link_put(viommu, &endpoint->address_space->mapped, &endpoint->domain->mapped);
        endpoint->domain->clean = false;
        budget_shared_anew(endpoint->address_space);
    }
    endpoint->address_space = NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../base/range.h"
#include "internal.h"

/* ---- members ----
 *
 * Double lists whose links stand in the endpoints, so that joining and leaving need no memory.
 */

static void members_add(struct iovageom_members *members, enum iovageom_list list,
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

/* ---- links ---- */

struct link_ends {
    struct iovageom_node *upper;
    struct iovageom_node *lower;
};

/* Walks the lists of both ends in step, so the shorter one bounds the work. */
struct iovageom_link *iovageom_link_find(const struct iovageom_node *upper,
                                         const struct iovageom_node *lower)
{
    struct iovageom_link *down = upper->down;
    struct iovageom_link *up = lower->up;

    for (; down != NULL && up != NULL; down = down->down_next, up = up->up_next) {
        if (down->lower == lower)
            return down;
        if (up->upper == upper)
            return up;
    }
    return NULL;
}

/* Add one to the count of a link; make the link if there is none. False: no memory. */
static bool link_get(struct iovageom_viommu *viommu, const struct link_ends *ends)
{
    struct iovageom_node *upper = ends->upper, *lower = ends->lower;
    struct iovageom_link *link = iovageom_link_find(upper, lower);

    if (link == NULL) {
        link = upper->own != NULL && upper->own->count == 0
                   ? upper->own
                   : iovageom_array_new(&viommu->allocator, 1, sizeof(*link));
        if (link == NULL)
            return false;
        *link = (struct iovageom_link){0,         upper,        lower,     upper->down,
                                       lower->up, &upper->down, &lower->up};
        if (upper->down != NULL)
            upper->down->down_at = &link->down_next;
        if (lower->up != NULL)
            lower->up->up_at = &link->up_next;
        upper->down = lower->up = link;
    }
    link->count++;
    return true;
}

/* Take one from the count of a link, which exists; free the link at 0. */
static void link_put(struct iovageom_viommu *viommu, const struct link_ends *ends)
{
    struct iovageom_link *link = iovageom_link_find(ends->upper, ends->lower);

    if (--link->count > 0)
        return;
    *link->down_at = link->down_next;
    *link->up_at = link->up_next;
    if (link->down_next != NULL)
        link->down_next->down_at = link->down_at;
    if (link->up_next != NULL)
        link->up_next->up_at = link->up_at;
    if (link != ends->upper->own)
        iovageom_array_free(&viommu->allocator, link, 1, sizeof(*link));
}

/* ---- looking up, by number: NULL when there is none ---- */

struct iovageom_endpoint *iovageom_endpoint_at(const struct iovageom_viommu *viommu, uint64_t id)
{
    const struct iovageom_shortcut *near = iovageom_shortcut_to(&viommu->near_endpoints, id);

    return near != NULL ? near->object : iovageom_table_at(&viommu->endpoints, id);
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

/* The next plug, by the endpoint where it was plugged, then by age; after NULL the first one. */
struct iovageom_plug *iovageom_plug_after(const struct iovageom_viommu *viommu,
                                          const struct iovageom_plug *plug)
{
    const struct iovageom_endpoint *endpoint = plug != NULL ? plug->contacts[0].endpoint : NULL;
    const struct iovageom_contact *contact = plug != NULL ? plug->contacts[0].next : NULL;

    for (;;) {
        for (; contact != NULL; contact = contact->next)
            if (contact == contact->plug->contacts)
                return contact->plug;
        endpoint = iovageom_endpoint_after(viommu, endpoint);
        if (endpoint == NULL)
            return NULL;
        contact = endpoint->first;
    }
}

/* The lead of an address space (or NULL) that reserves the same; NULL when none does. */
struct iovageom_plug *iovageom_lead_like(const struct iovageom_address_space *address_space,
                                         const struct iovageom_device *device)
{
    struct iovageom_plug *lead = address_space != NULL ? address_space->leads : NULL;

    while (lead != NULL && !iovageom_device_same(lead->device, device))
        lead = lead->lead_next;
    return lead;
}

/* The next lead of a walk, or NULL. */
const struct iovageom_plug *iovageom_lead_next(struct iovageom_leads *leads)
{
    const struct iovageom_plug *lead = leads->lead;

    for (; lead == NULL && leads->link != NULL; leads->link = leads->link->up_next)
        lead = ((const struct iovageom_address_space *)leads->link->upper->self)->leads;
    leads->lead = lead != NULL ? lead->lead_next : NULL;
    return lead;
}

/* Whether a device at the endpoint is prepared. There is one at most, and it came last, since
 * ask_place() in plug.c refuses any other device until that one is committed or taken back. */
bool iovageom_plug_pending(const struct iovageom_endpoint *endpoint)
{
    return endpoint->last != NULL && endpoint->last->plug->prepared;
}

/* ---- changes ---- */

/* A change after which a PROBE may get another answer. The generation stays below the last one,
 * which load refuses: a hostile stream may have brought it near there. */
int iovageom_changed(struct iovageom_viommu *viommu)
{
    viommu->generation += viommu->generation < UINT64_MAX - 1;
    viommu->changes++;
    return IOVAGEOM_OK;
}

/* ---- making and freeing ---- */

/* A new object, all zeros, at a free number of a table (or NULL). NULL for lack of memory. */
void *iovageom_object_make(struct iovageom_viommu *viommu, struct iovageom_table *table,
                           uint64_t number, size_t size)
{
    void *made = iovageom_array_new(&viommu->allocator, 1, size);

    if (made == NULL)
        return NULL;
    if (table != NULL && iovageom_table_put(table, number, made) != IOVAGEOM_OK) {
        iovageom_array_free(&viommu->allocator, made, 1, size);
        return NULL;
    }
    return memset(made, 0, size);
}

void iovageom_object_free(struct iovageom_viommu *viommu, struct iovageom_table *table,
                          uint64_t number, void *object, size_t size)
{
    if (table != NULL)
        iovageom_table_drop(table, number);
    iovageom_array_free(&viommu->allocator, object, 1, size);
}

/* ---- guest groups ---- */

/* Whether the guest can probe it as a device, and attach it: with a device that is committed. */
bool iovageom_endpoint_visible(const struct iovageom_endpoint *endpoint)
{
    return endpoint->kind == IOVAGEOM_ENDPOINT_EMULATED || endpoint->expected ||
           (endpoint->first != NULL && !endpoint->first->plug->prepared);
}

/* Whether it was promised anything, be it by the stream of a load. */
bool iovageom_group_promised(const struct iovageom_group *group)
{
    return group->wire != NULL || iovageom_rangeset_count(&group->promised) > 0;
}

/* A key for the guest group of one endpoint alone. Not of its number: when a device leaves, an
 * alias may stay in its group, and the next device at that number must get a new one. */
uint64_t iovageom_next_own_group(const struct iovageom_viommu *viommu)
{
    return IOVAGEOM_KEY_OWN | viommu->endpoints_made;
}

/* Drop the promise of a group: the guest can rely on it no longer. */
void iovageom_group_forgive(struct iovageom_viommu *viommu, struct iovageom_group *group)
{
    iovageom_rangeset_clear(&group->promised);
    iovageom_wire_put(viommu, group->wire);
    group->wire = NULL;
}

/* Whether it was promised anything on which nobody can rely: no member is visible or was told. */
bool iovageom_group_forlorn(const struct iovageom_group *group)
{
    const struct iovageom_endpoint *member = group->members.first;

    if (!iovageom_group_promised(group) || group->promised_to.count > 0)
        return false;
    while (member != NULL && !iovageom_endpoint_visible(member))
        member = member->next[IOVAGEOM_LIST_GROUP];
    return member == NULL;
}

/*
 * An endpoint of the group has left, or the guest can see or rely on it no longer. The promise of
 * the group stays as long as any member is visible or has a promise: a guest may have made the
 * group's domain from the answer that another endpoint got, and go on using it for these.
 */
void iovageom_group_settle(struct iovageom_viommu *viommu, struct iovageom_group *group)
{
    if (group->members.first == NULL || iovageom_group_forlorn(group))
        iovageom_group_forgive(viommu, group);
    if (group->members.first == NULL)
        iovageom_object_free(viommu, &viommu->groups, group->key, group, sizeof(*group));
}

/* Something else is reserved for the group, so what its domains remember is out of date, and made
 * anew when somebody asks. */
void iovageom_group_stale(struct iovageom_group *group)
{
    for (struct iovageom_link *link = group->node.down; link != NULL; link = link->down_next)
        ((struct iovageom_domain *)link->lower->self)->clean = false;
}

/* ---- endpoints ---- */

/*
 * `wire` is what the guest is promised for this endpoint: takes over the caller's reference. NULL
 * and 0: it is promised nothing; then call iovageom_group_settle().
 */
void iovageom_promise_set(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_wire_list *wire, uint64_t generation)
{
    struct iovageom_members *promised_to = &endpoint->group->promised_to;

    if (wire != NULL && endpoint->promise == NULL)
        members_add(promised_to, IOVAGEOM_LIST_PROMISED, endpoint);
    if (wire == NULL && endpoint->promise != NULL)
        members_remove(promised_to, IOVAGEOM_LIST_PROMISED, endpoint);
    iovageom_wire_put(viommu, endpoint->promise);
    endpoint->promise = wire;
    endpoint->generation = generation;
}

/* The first slot of a group brings the envelope, and the last one takes it away. */
static void count_slot(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                       size_t more)
{
    if (endpoint->kind != IOVAGEOM_ENDPOINT_SLOT)
        return;
    viommu->slots += more;
    endpoint->group->slots += more;
    iovageom_group_stale(endpoint->group);
}

/*
 * A new endpoint, without a device, in the group with that key, which is made if there is none.
 * NULL for lack of memory.
 */
struct iovageom_endpoint *iovageom_endpoint_make(struct iovageom_viommu *viommu, uint32_t id,
                                                 uint64_t group_key,
                                                 enum iovageom_endpoint_kind kind)
{
    struct iovageom_group *group = iovageom_table_at(&viommu->groups, group_key);
    struct iovageom_endpoint *endpoint;

    if (group == NULL) {
        group = iovageom_object_make(viommu, &viommu->groups, group_key, sizeof(*group));
        if (group == NULL)
            return NULL;
        group->key = group_key;
        group->node.self = group;
        group->node.own = &group->own;
        (void)iovageom_rangeset_init(&group->promised, &viommu->allocator);
    }
    endpoint = iovageom_object_make(viommu, &viommu->endpoints, id, sizeof(*endpoint));
    if (endpoint == NULL) {
        iovageom_group_settle(viommu, group);
        return NULL;
    }
    endpoint->age = viommu->endpoints_made++;
    endpoint->id = id;
    endpoint->kind = (uint32_t)kind;
    endpoint->group = group;
    members_add(&group->members, IOVAGEOM_LIST_GROUP, endpoint);
    count_slot(viommu, endpoint, 1);
    return endpoint;
}

/* Detach and free an endpoint that has no device. */
void iovageom_endpoint_drop(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_group *group = endpoint->group;

    iovageom_domain_leave(viommu, endpoint);
    iovageom_promise_set(viommu, endpoint, NULL, 0);
    count_slot(viommu, endpoint, (size_t)-1);
    members_remove(&group->members, IOVAGEOM_LIST_GROUP, endpoint);
    iovageom_object_free(viommu, &viommu->endpoints, endpoint->id, endpoint, sizeof(*endpoint));
    iovageom_group_settle(viommu, group);
}

/* ---- where endpoints are ---- */

/* The last endpoint that leaves takes the domain and its mappings along (N34). */
static void domain_drop_if_empty(struct iovageom_viommu *viommu, struct iovageom_domain *domain)
{
    if (domain->members.count > 0)
        return;
    viommu->mapping_count -= iovageom_mappings_count(&domain->mappings);
    if (domain->indexed)
        iovageom_back_remove(domain, IOVAGEOM_EVERYTHING);
    iovageom_mappings_deinit(&domain->mappings);
    iovageom_rangeset_deinit(&domain->reserved);
    iovageom_object_free(viommu, &viommu->domains, domain->id, domain, sizeof(*domain));
}

/*
 * The pairs of nodes that an endpoint of `group` links while it is in these two; either may be
 * NULL. Returns how many.
 */
static size_t ends_of(struct iovageom_group *group, struct iovageom_address_space *address_space,
                      struct iovageom_domain *domain, struct link_ends ends[3])
{
    size_t count = 0;

    if (address_space != NULL)
        ends[count++] = (struct link_ends){&address_space->node, &group->node};
    if (domain != NULL)
        ends[count++] = (struct link_ends){&group->node, &domain->node};
    if (address_space != NULL && domain != NULL)
        ends[count++] = (struct link_ends){&address_space->mapped, &domain->mapped};
    return count;
}

/* Whether several domains are in the address space (or NULL), and so share its budget. */
bool iovageom_is_shared(const struct iovageom_address_space *address_space)
{
    return address_space != NULL && address_space->mapped.down != NULL &&
           address_space->mapped.down->down_next != NULL;
}

/* The second domain comes into an address space or leaves it: what the first one remembers of its
 * budget is out of date. */
static void sharing_changes(struct iovageom_address_space *address_space, bool before)
{
    struct iovageom_link *link = address_space != NULL ? address_space->mapped.down : NULL;

    for (; link != NULL && iovageom_is_shared(address_space) != before; link = link->down_next)
        ((struct iovageom_domain *)link->lower->self)->clean = false;
}

/*
 * Move an endpoint: it is in this address space and this domain from now on. Either may be NULL, or
 * as before. To leave needs no memory, as no new link is made. IOVAGEOM_ERR_NO_MEMORY: nothing has
 * changed, and a domain that was made for this move is gone.
 */
int iovageom_endpoint_move(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                           struct iovageom_address_space *address_space,
                           struct iovageom_domain *domain)
{
    struct iovageom_address_space *old_space = endpoint->address_space;
    struct iovageom_domain *old = endpoint->domain;
    const bool shared = iovageom_is_shared(address_space),
               was_shared = iovageom_is_shared(old_space);
    struct link_ends now[3], before[3];
    const size_t count = ends_of(endpoint->group, address_space, domain, now);
    size_t left = ends_of(endpoint->group, old_space, old, before);

    for (size_t i = 0; i < count; i++)
        if (!link_get(viommu, &now[i])) {
            while (i > 0)
                link_put(viommu, &now[--i]);
            if (domain != NULL)
                domain_drop_if_empty(viommu, domain);
            return IOVAGEOM_ERR_NO_MEMORY;
        }
    while (left > 0)
        link_put(viommu, &before[--left]);
    sharing_changes(address_space, shared);
    sharing_changes(old_space, was_shared);
    endpoint->address_space = address_space;
    endpoint->domain = domain;
    if (old_space != address_space)
        iovageom_group_stale(endpoint->group);
    if (domain != NULL)
        domain->clean = false;
    /* Who stays keeps its place among the members. */
    if (old == domain)
        return IOVAGEOM_OK;
    if (old != NULL) {
        old->clean = false;
        members_remove(&old->members, IOVAGEOM_LIST_DOMAIN, endpoint);
    }
    if (domain != NULL)
        members_add(&domain->members, IOVAGEOM_LIST_DOMAIN, endpoint);
    if (old != NULL)
        domain_drop_if_empty(viommu, old);
    return IOVAGEOM_OK;
}

/* Out of its domain, if it is in one. Can't fail. */
void iovageom_domain_leave(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    if (endpoint->domain != NULL)
        (void)iovageom_endpoint_move(viommu, endpoint, endpoint->address_space, NULL);
}

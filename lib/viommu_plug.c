/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold_file.h"

#include <string.h>

#include "geometry_internal.h"
#include "viommu_internal.h"

/* Keys of units and groups: a number that the VMM gave, or one made from what stands for itself. */
#define KEY_HOST_GROUP ((uint64_t)1 << 62)
#define KEY_OWN        ((uint64_t)1 << 63)

/* ---- declarations ---- */

/* What a slot's envelope takes from its group, and from a guest that can't be told of it. */
static int slot_ask(const struct iovageom_viommu *viommu, uint32_t endpoint,
                    const struct iovageom_group *group, struct iovageom_report *report)
{
    struct iovageom_admission a = {.viommu = viommu,
                                   .device = viommu->envelope,
                                   .report = report,
                                   .endpoint = endpoint,
                                   .features = viommu->accepted};
    int error = iovageom_slot_suits(&a);

    if (error != IOVAGEOM_ERR_NO_MEMORY && group != NULL && group->slots == 0) {
        iovageom_ask_group(&a, a.device, group);
        error = iovageom_ask_probe(&a, group);
    }
    return error == IOVAGEOM_ERR_NO_MEMORY ? error : a.status;
}

int iovageom_viommu_declare(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t guest_group,
                            enum iovageom_endpoint_kind kind, struct iovageom_report *report)
{
    const uint64_t key = guest_group == IOVAGEOM_VIOMMU_OWN ? KEY_OWN | endpoint : guest_group;
    const struct iovageom_group *group = iovageom_table_at(&viommu->groups, key);
    struct iovageom_endpoint *made;
    int error;

    iovageom_report_clear(report);
    if ((kind != IOVAGEOM_ENDPOINT_EMULATED && kind != IOVAGEOM_ENDPOINT_SLOT) ||
        (guest_group > IOVAGEOM_VIOMMU_GROUP_MAX && guest_group != IOVAGEOM_VIOMMU_OWN))
        return IOVAGEOM_ERR_INVALID;
    if (iovageom_table_at(&viommu->endpoints, endpoint) != NULL)
        return IOVAGEOM_ERR_EXISTS;
    if (kind == IOVAGEOM_ENDPOINT_SLOT && viommu->envelope != NULL) {
        error = slot_ask(viommu, endpoint, group, report);
        if (error != IOVAGEOM_OK)
            return error;
    }
    error = iovageom_endpoint_make(viommu, endpoint, key, kind, &made);
    viommu->generation += error == IOVAGEOM_OK;
    return error;
}

int iovageom_viommu_undeclare(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);

    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    if (found->device != NULL)
        return IOVAGEOM_ERR_STATE;
    iovageom_endpoint_drop(viommu, found);
    viommu->generation++;
    return IOVAGEOM_OK;
}

/* ---- plugging ---- */

void iovageom_viommu_where_init(struct iovageom_viommu_where *where)
{
    memset(where, 0, sizeof(*where));
    where->host_group = IOVAGEOM_VIOMMU_OWN;
    where->container = IOVAGEOM_VIOMMU_OWN;
    where->guest_group = IOVAGEOM_VIOMMU_OWN;
}

static bool number_valid(uint64_t number)
{
    return number <= IOVAGEOM_VIOMMU_GROUP_MAX || number == IOVAGEOM_VIOMMU_OWN;
}

/* The endpoints of a plug: the one itself, then its aliases. */
static uint32_t plug_id(uint32_t endpoint, const struct iovageom_viommu_where *where, size_t i)
{
    return i == 0 ? endpoint : where->aliases[i - 1];
}

/* Who names a host group alone joins it in the container where it is. */
static uint64_t unit_key(const struct iovageom_viommu *viommu,
                         const struct iovageom_viommu_where *where, uint32_t endpoint)
{
    const struct iovageom_host_group *host = NULL;

    if (where->host_group != IOVAGEOM_VIOMMU_OWN)
        host = iovageom_table_at(&viommu->host_groups, where->host_group);
    if (where->container != IOVAGEOM_VIOMMU_OWN)
        return where->container;
    if (host != NULL)
        return host->unit->key;
    if (where->host_group != IOVAGEOM_VIOMMU_OWN)
        return KEY_HOST_GROUP | where->host_group;
    return KEY_OWN | endpoint;
}

/* Aliases are one device to the guest, so they share its guest group unless declared elsewhere. */
static uint64_t group_key(const struct iovageom_viommu *viommu,
                          const struct iovageom_viommu_where *where, uint32_t endpoint, size_t i)
{
    const struct iovageom_endpoint *known =
        iovageom_table_at(&viommu->endpoints, plug_id(endpoint, where, i));

    if (known != NULL)
        return known->group->key;
    if (where->guest_group != IOVAGEOM_VIOMMU_OWN)
        return where->guest_group;
    return i == 0 ? KEY_OWN | endpoint : group_key(viommu, where, endpoint, 0);
}

/* Whether `id` can take this device: free, or aliased by a device that reserves the same. */
static void ask_place(struct iovageom_admission *a, const struct iovageom_viommu_where *where,
                      const struct iovageom_geometry *geometry, size_t i)
{
    const uint32_t endpoint = (uint32_t)a->endpoint;
    const uint32_t id = plug_id(endpoint, where, i);
    const struct iovageom_endpoint *known = iovageom_table_at(&a->viommu->endpoints, id);
    const bool alias = i > 0 || (where->flags & IOVAGEOM_PLUG_ALIAS) != 0;
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_EXISTS, IOVAGEOM_ERR_EXISTS);

    if (known == NULL || (known->kind != IOVAGEOM_ENDPOINT_EMULATED && known->device == NULL))
        return;
    finding.endpoint = id;
    finding.owner = iovageom_owner_named(IOVAGEOM_SOURCE_OTHER, iovageom_geometry_name(geometry));
    finding.other = iovageom_owner_named(IOVAGEOM_SOURCE_MACHINE, "an emulated endpoint");
    if (known->device != NULL)
        finding.other = iovageom_owner_named(IOVAGEOM_SOURCE_OTHER,
                                             iovageom_geometry_name(known->device->geometry));
    if (known->device != NULL && alias && !known->prepared && (i > 0 || where->alias_count == 0)) {
        if (known->unit->key == unit_key(a->viommu, where, endpoint) &&
            iovageom_geometry_alike(known->device->geometry, geometry))
            return;
        finding.kind = IOVAGEOM_FINDING_OTHER;
        finding.status = IOVAGEOM_ERR_CONFLICT;
        finding.detail = "devices at one endpoint must share host page tables and geometry";
    }
    iovageom_object(a, &finding);
}

static int where_check(const struct iovageom_viommu *viommu,
                       const struct iovageom_viommu_where *where, uint32_t endpoint,
                       struct iovageom_report *report)
{
    const struct iovageom_endpoint *known = iovageom_table_at(&viommu->endpoints, endpoint);
    const struct iovageom_host_group *host = NULL;
    const char *wrong = NULL;

    if (!number_valid(where->host_group) || !number_valid(where->container) ||
        !number_valid(where->guest_group) || where->reserved != 0 ||
        (where->flags & ~(uint32_t)(IOVAGEOM_PLUG_ALIAS | IOVAGEOM_PLUG_ALLOW_STALE)) != 0 ||
        where->alias_count > UINT32_MAX)
        return IOVAGEOM_ERR_INVALID;
    for (size_t i = 0; i < where->alias_count; i++)
        for (size_t j = 0; j <= i; j++)
            if (plug_id(endpoint, where, j) == where->aliases[i])
                return IOVAGEOM_ERR_INVALID;
    if (known != NULL && where->guest_group != IOVAGEOM_VIOMMU_OWN &&
        known->group->key != where->guest_group)
        wrong = "the endpoint was declared in another guest group";
    if (where->host_group != IOVAGEOM_VIOMMU_OWN)
        host = iovageom_table_at(&viommu->host_groups, where->host_group);
    if (host != NULL && host->unit->key != unit_key(viommu, where, endpoint))
        wrong = "the devices of a host group are in one container";
    if (wrong == NULL)
        return IOVAGEOM_OK;
    (void)iovageom_refuse_saying(report, IOVAGEOM_ERR_INVALID, wrong, IOVAGEOM_ID_NONE,
                                 IOVAGEOM_ID_NONE);
    return IOVAGEOM_ERR_INVALID;
}

static int plug_ask(struct iovageom_admission *a, const struct iovageom_viommu_where *where,
                    const struct iovageom_geometry *geometry)
{
    const struct iovageom_viommu *viommu = a->viommu;
    const uint32_t endpoint = (uint32_t)a->endpoint;
    struct iovageom_unit *unit =
        iovageom_table_at(&viommu->units, unit_key(viommu, where, endpoint));
    const struct iovageom_endpoint newcomer = {.id = endpoint, .unit = unit};
    const struct iovageom_group *before = NULL;
    int error = IOVAGEOM_OK;

    for (size_t i = 0; i <= where->alias_count; i++)
        ask_place(a, where, geometry, i);
    /* It bypasses at once, on page tables where another device may stand against that. */
    if (a->status == IOVAGEOM_OK && iovageom_bypass_unattached(viommu) &&
        !iovageom_bypass_fits(viommu, &newcomer, &viommu->identity, a->report))
        a->status = IOVAGEOM_ERR_CONFLICT;
    for (size_t i = 0; error != IOVAGEOM_ERR_NO_MEMORY && i <= where->alias_count; i++) {
        const struct iovageom_group *group =
            iovageom_table_at(&viommu->groups, group_key(viommu, where, endpoint, i));

        if (i == 0 || (group != NULL && group != before))
            error = iovageom_ask_everyone(a, unit, group);
        before = group;
    }
    return error == IOVAGEOM_ERR_NO_MEMORY ? error : a->status;
}

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
    if (unit->members.count > 0)
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
        *shape = (struct iovageom_shape){unit->shapes, device, 0};
        unit->shapes = shape;
    }
    shape->count++;
    return IOVAGEOM_OK;
}

/* One less: `endpoint` is off the unit's roll already, and its device is about to go. */
static void shape_put(struct iovageom_viommu *viommu, struct iovageom_unit *unit,
                      const struct iovageom_device *device)
{
    struct iovageom_shape *shape = iovageom_shape_of(unit, device);
    struct iovageom_shape **at = &unit->shapes;
    const struct iovageom_endpoint *member = unit->members.first;

    if (--shape->count > 0) {
        /* Whoever else is like it speaks for them now. */
        for (; shape->device == device && member != NULL; member = member->next[IOVAGEOM_ROLL_UNIT])
            if (iovageom_device_same(member->device, device))
                shape->device = member->device;
        return;
    }
    while (*at != shape)
        at = &(*at)->next;
    *at = shape->next;
    iovageom_books_release(viommu, shape, sizeof(*shape));
    unit_touched(unit);
}

static int unit_join(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                     uint64_t key)
{
    struct iovageom_unit *unit;
    bool fresh_link = false, fresh_shape = false;
    int error = unit_make(viommu, key, &unit);

    if (error != IOVAGEOM_OK)
        return error;
    error =
        iovageom_link_get(viommu, &viommu->sides, &unit->node, &endpoint->group->node, &fresh_link);
    if (error == IOVAGEOM_OK) {
        error = shape_get(viommu, unit, endpoint->device, &fresh_shape);
        if (error != IOVAGEOM_OK)
            iovageom_link_put(viommu, &viommu->sides, &unit->node, &endpoint->group->node);
    }
    if (error != IOVAGEOM_OK) {
        unit_drop_if_empty(viommu, unit);
        return error;
    }
    iovageom_roll_add(&unit->members, IOVAGEOM_ROLL_UNIT, endpoint);
    endpoint->unit = unit;
    for (struct iovageom_shape *shape = unit->shapes; fresh_link && shape != NULL;
         shape = shape->next)
        iovageom_group_add(endpoint->group, shape->device);
    for (struct iovageom_link *side = unit->node.down; fresh_shape && side != NULL;
         side = side->down_next)
        iovageom_group_add((struct iovageom_group *)(void *)side->lower, endpoint->device);
    return IOVAGEOM_OK;
}

static void unit_leave(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_unit *unit = endpoint->unit;
    struct iovageom_group *group = endpoint->group;

    iovageom_roll_remove(&unit->members, IOVAGEOM_ROLL_UNIT, endpoint);
    endpoint->unit = NULL;
    shape_put(viommu, unit, endpoint->device);
    iovageom_link_put(viommu, &viommu->sides, &unit->node, &group->node);
    if (iovageom_link_count(&viommu->sides, &unit->node, &group->node) == 0)
        iovageom_group_stale(group);
    unit_drop_if_empty(viommu, unit);
}

/* Take the last device of an endpoint out, prepared or not. Its declaration stays. */
void iovageom_device_remove(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    iovageom_seats_leave(viommu, endpoint, NULL);
    unit_leave(viommu, endpoint);
    endpoint->alias_host_group = IOVAGEOM_VIOMMU_OWN;
    endpoint->container = IOVAGEOM_VIOMMU_OWN;
    iovageom_device_put(viommu, endpoint->device);
    endpoint->device = NULL;
    iovageom_books_release(viommu, endpoint->aliases,
                           endpoint->alias_count * sizeof(*endpoint->aliases));
    endpoint->aliases = NULL;
    endpoint->alias_count = 0;
    endpoint->devices = 0;
    endpoint->prepared = IOVAGEOM_NOT_PREPARED;
}

static int place_device(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                        uint64_t key, struct iovageom_device *device)
{
    int error;

    endpoint->device = device;
    error = unit_join(viommu, endpoint, key);
    if (error != IOVAGEOM_OK) {
        endpoint->device = NULL;
        return error;
    }
    endpoint->container = key <= IOVAGEOM_VIOMMU_GROUP_MAX ? key : IOVAGEOM_VIOMMU_OWN;
    device->references++;
    return IOVAGEOM_OK;
}

static int plug_one(struct iovageom_viommu *viommu, uint32_t endpoint,
                    const struct iovageom_viommu_where *where, size_t i,
                    struct iovageom_device *device)
{
    const uint32_t id = plug_id(endpoint, where, i);
    struct iovageom_endpoint *place = iovageom_table_at(&viommu->endpoints, id);
    const bool made = place == NULL;
    bool placed = false;
    int error = IOVAGEOM_OK;

    if (made)
        error = iovageom_endpoint_make(viommu, id, group_key(viommu, where, endpoint, i),
                                       IOVAGEOM_ENDPOINT_DEVICE, &place);
    if (error == IOVAGEOM_OK && place->device == NULL) {
        error = place_device(viommu, place, unit_key(viommu, where, endpoint), device);
        placed = error == IOVAGEOM_OK;
    }
    /* The device belongs to its host group once, however many endpoints it has. */
    if (error == IOVAGEOM_OK && i == 0)
        error = iovageom_seat_take(viommu, place, where->host_group);
    if (error == IOVAGEOM_OK) {
        place->prepared = i == 0 ? IOVAGEOM_PREPARED : IOVAGEOM_PREPARED_ALIAS;
        if (i > 0)
            place->alias_host_group = where->host_group;
        return IOVAGEOM_OK;
    }
    if (placed)
        iovageom_device_remove(viommu, place);
    if (made && place != NULL)
        iovageom_endpoint_drop(viommu, place);
    return error;
}

static void abort_one(struct iovageom_viommu *viommu, uint32_t id)
{
    struct iovageom_endpoint *place = iovageom_table_at(&viommu->endpoints, id);

    place->prepared = IOVAGEOM_NOT_PREPARED;
    if (place->seat_prepared != NULL)
        iovageom_seat_leave(viommu, place);
    if (place->devices > 0)
        return;
    iovageom_device_remove(viommu, place);
    if (place->kind == IOVAGEOM_ENDPOINT_DEVICE)
        iovageom_endpoint_drop(viommu, place);
}

static int plug_all(struct iovageom_viommu *viommu, uint32_t endpoint,
                    const struct iovageom_viommu_where *where, struct iovageom_device *device)
{
    const size_t bytes = where->alias_count * sizeof(uint32_t);
    struct iovageom_endpoint *place;
    uint32_t *aliases = NULL;
    size_t done = 0;
    int error = IOVAGEOM_OK;

    if (bytes > 0) {
        aliases = iovageom_books_allocate(viommu, bytes);
        if (aliases == NULL)
            return IOVAGEOM_ERR_NO_MEMORY;
        memcpy(aliases, where->aliases, bytes);
    }
    while (error == IOVAGEOM_OK && done <= where->alias_count) {
        error = plug_one(viommu, endpoint, where, done, device);
        done += error == IOVAGEOM_OK;
    }
    if (error != IOVAGEOM_OK) {
        while (done > 0)
            abort_one(viommu, plug_id(endpoint, where, --done));
        iovageom_books_release(viommu, aliases, bytes);
        return error;
    }
    place = iovageom_table_at(&viommu->endpoints, endpoint);
    if (bytes > 0) {
        place->aliases = aliases;
        place->alias_count = where->alias_count;
    }
    return IOVAGEOM_OK;
}

/* Ask, and with `books` given do. */
static int plug_try(const struct iovageom_viommu *viommu, struct iovageom_viommu *books,
                    uint32_t endpoint, const struct iovageom_viommu_where *where,
                    const struct iovageom_geometry *geometry, struct iovageom_report *report)
{
    struct iovageom_admission a = {
        .viommu = viommu, .report = report, .endpoint = endpoint, .features = viommu->accepted};
    const struct iovageom_unit *unit;
    struct iovageom_viommu_where defaults;
    struct iovageom_device *device;
    int error;

    iovageom_report_clear(report);
    iovageom_viommu_where_init(&defaults);
    if (where == NULL)
        where = &defaults;
    error = where_check(viommu, where, endpoint, report);
    if (error != IOVAGEOM_OK)
        return error;
    unit = iovageom_table_at(&viommu->units, unit_key(viommu, where, endpoint));
    error = iovageom_device_make(viommu, geometry, iovageom_unit_live(unit), &device);
    if (error != IOVAGEOM_OK)
        return error;
    a.device = device;
    a.allow_stale = (where->flags & IOVAGEOM_PLUG_ALLOW_STALE) != 0;
    error = plug_ask(&a, where, geometry);
    if (error == IOVAGEOM_OK && books != NULL) {
        error = plug_all(books, endpoint, where, device);
        if (error == IOVAGEOM_OK) {
            books->generation++;
            books->stale |= a.went_stale;
        }
    }
    iovageom_device_put(viommu, device);
    return error;
}

int iovageom_viommu_plug_check(const struct iovageom_viommu *viommu, uint32_t endpoint,
                               const struct iovageom_viommu_where *where,
                               const struct iovageom_geometry *geometry,
                               struct iovageom_report *report)
{
    return plug_try(viommu, NULL, endpoint, where, geometry, report);
}

int iovageom_viommu_plug_prepare(struct iovageom_viommu *viommu, uint32_t endpoint,
                                 const struct iovageom_viommu_where *where,
                                 const struct iovageom_geometry *geometry,
                                 struct iovageom_report *report)
{
    return plug_try(viommu, viommu, endpoint, where, geometry, report);
}

int iovageom_viommu_plug_commit(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    /* A second device brings no aliases of its own: those listed here are the first one's, and what
       is prepared there may be another plug's. */
    const size_t aliases = found == NULL || found->devices > 0 ? 0 : found->alias_count;

    if (found == NULL || found->prepared != IOVAGEOM_PREPARED)
        return IOVAGEOM_ERR_STATE;
    for (size_t i = 0; i <= aliases; i++) {
        struct iovageom_endpoint *place =
            i == 0 ? found : iovageom_table_at(&viommu->endpoints, found->aliases[i - 1]);

        place->group->visible += !iovageom_endpoint_visible(place);
        place->devices++;
        place->as_alias += i > 0;
        place->prepared = IOVAGEOM_NOT_PREPARED;
        place->seat_prepared = NULL;
    }
    return IOVAGEOM_OK;
}

/* Take the list of aliases away from an endpoint: whoever does so, owns it. */
static uint32_t *aliases_take(struct iovageom_endpoint *endpoint, size_t *count)
{
    uint32_t *aliases = endpoint->aliases;

    *count = endpoint->alias_count;
    endpoint->aliases = NULL;
    endpoint->alias_count = 0;
    return aliases;
}

int iovageom_viommu_plug_abort(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    uint32_t *aliases = NULL;
    size_t count = 0;

    if (found == NULL || found->prepared != IOVAGEOM_PREPARED)
        return IOVAGEOM_ERR_STATE;
    if (found->devices == 0)
        aliases = aliases_take(found, &count);
    abort_one(viommu, endpoint);
    for (size_t i = 0; i < count; i++)
        abort_one(viommu, aliases[i]);
    iovageom_books_release(viommu, aliases, count * sizeof(*aliases));
    viommu->generation++;
    return IOVAGEOM_OK;
}

int iovageom_viommu_plug(struct iovageom_viommu *viommu, uint32_t endpoint,
                         const struct iovageom_viommu_where *where,
                         const struct iovageom_geometry *geometry, struct iovageom_report *report)
{
    int error = iovageom_viommu_plug_prepare(viommu, endpoint, where, geometry, report);

    return error != IOVAGEOM_OK ? error : iovageom_viommu_plug_commit(viommu, endpoint);
}

static void unplug_one(struct iovageom_viommu *viommu, struct iovageom_endpoint *place)
{
    if (--place->devices > 0)
        return;
    place->group->visible -= !iovageom_endpoint_visible(place);
    iovageom_endpoint_detach(viommu, place);
    iovageom_endpoint_forget(viommu, place);
    if (place->prepared != IOVAGEOM_NOT_PREPARED)
        return;
    iovageom_device_remove(viommu, place);
    if (place->kind == IOVAGEOM_ENDPOINT_DEVICE)
        iovageom_endpoint_drop(viommu, place);
}

int iovageom_viommu_unplug(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    uint32_t *aliases = NULL;
    size_t count = 0;

    if (found == NULL || found->devices == found->as_alias)
        return IOVAGEOM_ERR_NOT_FOUND;
    /*
     * The last device that was plugged at this very endpoint takes its aliases along, even with
     * another one prepared: that brings none of its own, and may yet be aborted.
     */
    if (found->devices == found->as_alias + 1) {
        aliases = aliases_take(found, &count);
        iovageom_seats_leave(viommu, found, found->seat_prepared);
    }
    unplug_one(viommu, found);
    for (size_t i = 0; i < count; i++) {
        struct iovageom_endpoint *place = iovageom_table_at(&viommu->endpoints, aliases[i]);

        place->as_alias--;
        unplug_one(viommu, place);
    }
    iovageom_books_release(viommu, aliases, count * sizeof(*aliases));
    viommu->generation++;
    return IOVAGEOM_OK;
}

static int replace_device(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_device *device)
{
    struct iovageom_device *old = endpoint->device;
    struct iovageom_unit *unit = endpoint->unit;
    bool fresh;
    int error = shape_get(viommu, unit, device, &fresh);

    if (error != IOVAGEOM_OK)
        return error;
    endpoint->device = device;
    device->references++;
    shape_put(viommu, unit, old);
    iovageom_device_put(viommu, old);
    unit_touched(unit);
    return IOVAGEOM_OK;
}

int iovageom_viommu_update(struct iovageom_viommu *viommu, uint32_t endpoint,
                           const struct iovageom_geometry *geometry, uint32_t flags,
                           struct iovageom_report *report)
{
    struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_admission a = {
        .viommu = viommu, .report = report, .endpoint = endpoint, .features = viommu->accepted};
    struct iovageom_device *device;
    int error;

    iovageom_report_clear(report);
    if ((flags & ~(uint32_t)IOVAGEOM_PLUG_ALLOW_STALE) != 0)
        return IOVAGEOM_ERR_INVALID;
    if (found == NULL || found->devices == found->as_alias)
        return IOVAGEOM_ERR_NOT_FOUND;
    error = iovageom_device_make(viommu, geometry, iovageom_unit_live(found->unit), &device);
    if (error != IOVAGEOM_OK)
        return error;
    a.device = device;
    a.replaced = found->device;
    a.allow_stale = (flags & IOVAGEOM_PLUG_ALLOW_STALE) != 0;
    error = iovageom_ask_everyone(&a, found->unit, found->group);
    /* The first takes the memory that the new shape needs; its aliases then find it there. */
    if (error == IOVAGEOM_OK)
        error = replace_device(viommu, found, device);
    if (error == IOVAGEOM_OK) {
        for (size_t i = 0; i < found->alias_count; i++)
            (void)replace_device(viommu, iovageom_table_at(&viommu->endpoints, found->aliases[i]),
                                 device);
        viommu->generation++;
        viommu->stale |= a.went_stale;
    }
    iovageom_device_put(viommu, device);
    return error;
}

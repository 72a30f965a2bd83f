/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <string.h>

#include "../geometry/internal.h"
#include "internal.h"

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
    const uint64_t key =
        guest_group == IOVAGEOM_VIOMMU_OWN ? iovageom_next_own_group(viommu) : guest_group;
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
    if (found->first != NULL)
        return IOVAGEOM_ERR_STATE;
    iovageom_endpoint_drop(viommu, found);
    viommu->generation++;
    return IOVAGEOM_OK;
}

/* ---- plugging ---- */

void iovageom_plug_options_init(struct iovageom_plug_options *where)
{
    memset(where, 0, sizeof(*where));
    where->host_group = IOVAGEOM_VIOMMU_OWN;
    where->address_space = IOVAGEOM_VIOMMU_OWN;
    where->guest_group = IOVAGEOM_VIOMMU_OWN;
}

static bool number_valid(uint64_t number)
{
    return number <= IOVAGEOM_VIOMMU_GROUP_MAX || number == IOVAGEOM_VIOMMU_OWN;
}

/* The endpoints of a plug: the one itself, then its aliases. */
static uint32_t plug_id(uint32_t endpoint, const struct iovageom_plug_options *where, size_t i)
{
    return i == 0 ? endpoint : where->aliases[i - 1];
}

/* Who names a host group alone joins it in the container where it is. */
static uint64_t unit_key(const struct iovageom_viommu *viommu,
                         const struct iovageom_plug_options *where, uint32_t endpoint)
{
    const struct iovageom_host_group *host = NULL;

    if (where->host_group != IOVAGEOM_VIOMMU_OWN)
        host = iovageom_table_at(&viommu->host_groups, where->host_group);
    if (where->address_space != IOVAGEOM_VIOMMU_OWN)
        return where->address_space;
    if (host != NULL)
        return host->unit->key;
    if (where->host_group != IOVAGEOM_VIOMMU_OWN)
        return IOVAGEOM_KEY_HOST_GROUP | where->host_group;
    return IOVAGEOM_KEY_OWN | endpoint;
}

/* Aliases are one device to the guest, so they share its guest group unless declared elsewhere. */
static uint64_t group_key(const struct iovageom_viommu *viommu,
                          const struct iovageom_plug_options *where, uint32_t endpoint, size_t i)
{
    const struct iovageom_endpoint *known =
        iovageom_table_at(&viommu->endpoints, plug_id(endpoint, where, i));

    if (known != NULL)
        return known->group->key;
    if (where->guest_group != IOVAGEOM_VIOMMU_OWN)
        return where->guest_group;
    return i == 0 ? iovageom_next_own_group(viommu) : group_key(viommu, where, endpoint, 0);
}

/* Whether all devices of an endpoint say what `geometry` does. */
static bool place_agrees(const struct iovageom_endpoint *endpoint,
                         const struct iovageom_geometry *geometry)
{
    for (const struct iovageom_contact *contact = endpoint->first; contact != NULL;
         contact = contact->next)
        if (!iovageom_geometry_alike(contact->plug->device->geometry, geometry))
            return false;
    return true;
}

/* Whether `id` can take this device: free, or that of devices that reserve the same. */
static void ask_place(struct iovageom_admission *a, const struct iovageom_plug_options *where,
                      const struct iovageom_geometry *geometry, size_t i)
{
    const uint32_t endpoint = (uint32_t)a->endpoint;
    const uint32_t id = plug_id(endpoint, where, i);
    const struct iovageom_endpoint *known = iovageom_table_at(&a->viommu->endpoints, id);
    const bool alias = i > 0 || (where->flags & IOVAGEOM_PLUG_ALIAS) != 0;
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_EXISTS, IOVAGEOM_ERR_EXISTS);

    if (known == NULL || (known->kind != IOVAGEOM_ENDPOINT_EMULATED && known->first == NULL))
        return;
    finding.endpoint = id;
    finding.other = iovageom_owner_named(IOVAGEOM_SOURCE_MACHINE, "an emulated endpoint");
    if (known->first != NULL)
        finding.other = iovageom_owner_named(
            IOVAGEOM_SOURCE_OTHER, iovageom_geometry_name(known->first->plug->device->geometry));
    if (known->first != NULL && alias && !iovageom_plug_pending(known)) {
        if (known->unit->key == unit_key(a->viommu, where, endpoint) &&
            place_agrees(known, geometry))
            return;
        finding = iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, IOVAGEOM_ERR_CONFLICT);
        finding.endpoint = id;
        finding.detail = "devices at one endpoint must share host page tables and geometry";
    }
    iovageom_object(a, &finding);
}

/* IOVAGEOM_ERR_INVALID when one of them is named twice. */
static int aliases_distinct(const struct iovageom_viommu *viommu, uint32_t endpoint,
                            const struct iovageom_plug_options *where)
{
    struct iovageom_table named;
    int error = iovageom_table_init(&named, &viommu->allocator);

    for (size_t i = 0; error == IOVAGEOM_OK && i <= where->alias_count; i++) {
        const uint32_t id = plug_id(endpoint, where, i);

        error = iovageom_table_put_range(&named, (struct iovageom_range){id, id}, 0);
    }
    iovageom_table_deinit(&named);
    return error == IOVAGEOM_ERR_OVERLAP ? IOVAGEOM_ERR_INVALID : error;
}

static int where_check(const struct iovageom_viommu *viommu,
                       const struct iovageom_plug_options *where, uint32_t endpoint,
                       struct iovageom_report *report)
{
    const struct iovageom_endpoint *known = iovageom_table_at(&viommu->endpoints, endpoint);
    const struct iovageom_host_group *host = NULL;
    const char *wrong = NULL;

    if (!number_valid(where->host_group) || !number_valid(where->address_space) ||
        !number_valid(where->guest_group) || where->reserved != 0 ||
        (where->flags & ~(uint32_t)(IOVAGEOM_PLUG_ALIAS | IOVAGEOM_PLUG_ALLOW_STALE |
                                    IOVAGEOM_PLUG_REFUSE_DIRECT)) != 0 ||
        where->alias_count > UINT32_MAX)
        return IOVAGEOM_ERR_INVALID;
    if (where->alias_count > 0) {
        int error = aliases_distinct(viommu, endpoint, where);

        if (error != IOVAGEOM_OK)
            return error;
    }
    if (known != NULL && where->guest_group != IOVAGEOM_VIOMMU_OWN &&
        known->group->key != where->guest_group &&
        !(known->group->unnumbered &&
          iovageom_table_at(&viommu->groups, where->guest_group) == NULL))
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

static int plug_ask(struct iovageom_admission *a, const struct iovageom_plug_options *where,
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

static int plug_one(struct iovageom_viommu *viommu, uint32_t endpoint,
                    const struct iovageom_plug_options *where, size_t i, struct iovageom_plug *plug)
{
    const uint32_t id = plug_id(endpoint, where, i);
    struct iovageom_endpoint *place = iovageom_table_at(&viommu->endpoints, id);
    const bool made = place == NULL;
    int error = IOVAGEOM_OK;

    if (made)
        error = iovageom_endpoint_make(viommu, id, group_key(viommu, where, endpoint, i),
                                       IOVAGEOM_ENDPOINT_DEVICE, &place);
    if (error != IOVAGEOM_OK)
        return error;
    error = iovageom_plug_join(viommu, plug, place);
    if (error != IOVAGEOM_OK && made)
        iovageom_endpoint_drop(viommu, place);
    return error;
}

static int plug_all(struct iovageom_viommu *viommu, uint32_t endpoint,
                    const struct iovageom_plug_options *where, struct iovageom_device *device)
{
    struct iovageom_plug *plug;
    const struct iovageom_endpoint *known = iovageom_table_at(&viommu->endpoints, endpoint);
    int error = IOVAGEOM_OK;

    if (known != NULL && known->group->unnumbered && where->guest_group != IOVAGEOM_VIOMMU_OWN)
        error = iovageom_group_number(viommu, known->group, where->guest_group);
    if (error == IOVAGEOM_OK)
        error = iovageom_plug_make(viommu, unit_key(viommu, where, endpoint), where->host_group,
                                   where->alias_count + 1, device, &plug);

    if (error != IOVAGEOM_OK)
        return error;
    for (size_t i = 0; error == IOVAGEOM_OK && i <= where->alias_count; i++)
        error = plug_one(viommu, endpoint, where, i, plug);
    if (error != IOVAGEOM_OK)
        iovageom_plug_remove(viommu, plug);
    return error;
}

/* Ask, and with `books` given do. */
static int plug_try(const struct iovageom_viommu *viommu, struct iovageom_viommu *books,
                    uint32_t endpoint, const struct iovageom_plug_options *where,
                    const struct iovageom_geometry *geometry, struct iovageom_report *report)
{
    struct iovageom_admission a = {
        .viommu = viommu, .report = report, .endpoint = endpoint, .features = viommu->accepted};
    const struct iovageom_unit *unit;
    struct iovageom_plug_options defaults;
    struct iovageom_device *device;
    int error;

    iovageom_report_clear(report);
    iovageom_plug_options_init(&defaults);
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
    a.refuse_direct = iovageom_refuses_direct(viommu, where->flags);
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
                               const struct iovageom_plug_options *where,
                               const struct iovageom_geometry *geometry,
                               struct iovageom_report *report)
{
    return plug_try(viommu, NULL, endpoint, where, geometry, report);
}

int iovageom_viommu_plug_prepare(struct iovageom_viommu *viommu, uint32_t endpoint,
                                 const struct iovageom_plug_options *where,
                                 const struct iovageom_geometry *geometry,
                                 struct iovageom_report *report)
{
    return plug_try(viommu, viommu, endpoint, where, geometry, report);
}

int iovageom_viommu_plug_commit(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_plug *plug = found != NULL ? iovageom_plug_at(found, true) : NULL;

    if (plug == NULL)
        return IOVAGEOM_ERR_STATE;
    iovageom_plug_commit(plug);
    return IOVAGEOM_OK;
}

int iovageom_viommu_plug_abort(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_plug *plug = found != NULL ? iovageom_plug_at(found, true) : NULL;

    if (plug == NULL)
        return IOVAGEOM_ERR_STATE;
    iovageom_plug_remove(viommu, plug);
    viommu->generation++;
    return IOVAGEOM_OK;
}

int iovageom_viommu_plug(struct iovageom_viommu *viommu, uint32_t endpoint,
                         const struct iovageom_plug_options *where,
                         const struct iovageom_geometry *geometry, struct iovageom_report *report)
{
    int error = iovageom_viommu_plug_prepare(viommu, endpoint, where, geometry, report);

    return error != IOVAGEOM_OK ? error : iovageom_viommu_plug_commit(viommu, endpoint);
}

int iovageom_viommu_unplug(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_plug *plug = found != NULL ? iovageom_plug_at(found, false) : NULL;

    if (plug == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    iovageom_plug_remove(viommu, plug);
    viommu->generation++;
    return IOVAGEOM_OK;
}

/*
 * All that were plugged at this very endpoint can't be told apart, so they have one geometry; those
 * that have it as an alias keep theirs. The first takes the memory for the new shape, the others
 * find it there.
 */
static int renew_all(struct iovageom_viommu *viommu, const struct iovageom_endpoint *endpoint,
                     struct iovageom_device *device)
{
    int error = IOVAGEOM_OK;

    for (struct iovageom_contact *contact = endpoint->first;
         error == IOVAGEOM_OK && contact != NULL; contact = contact->next)
        if (iovageom_contact_own(contact))
            error = iovageom_plug_renew(viommu, contact->plug, device);
    return error;
}

int iovageom_viommu_update(struct iovageom_viommu *viommu, uint32_t endpoint,
                           const struct iovageom_geometry *geometry, uint32_t flags,
                           struct iovageom_report *report)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);
    struct iovageom_admission a = {
        .viommu = viommu, .report = report, .endpoint = endpoint, .features = viommu->accepted};
    struct iovageom_device *device;
    int error;

    iovageom_report_clear(report);
    if ((flags & ~(uint32_t)(IOVAGEOM_PLUG_ALLOW_STALE | IOVAGEOM_PLUG_REFUSE_DIRECT)) != 0)
        return IOVAGEOM_ERR_INVALID;
    if (found == NULL || iovageom_plug_at(found, false) == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    error = iovageom_device_make(viommu, geometry, iovageom_unit_live(found->unit), &device);
    if (error != IOVAGEOM_OK)
        return error;
    a.device = device;
    a.renewed = found;
    a.allow_stale = (flags & IOVAGEOM_PLUG_ALLOW_STALE) != 0;
    a.refuse_direct = iovageom_refuses_direct(viommu, flags);
    error = iovageom_ask_everyone(&a, found->unit, found->group);
    if (error == IOVAGEOM_OK)
        error = renew_all(viommu, found, device);
    if (error == IOVAGEOM_OK) {
        viommu->generation++;
        viommu->stale |= a.went_stale;
    }
    iovageom_device_put(viommu, device);
    return error;
}

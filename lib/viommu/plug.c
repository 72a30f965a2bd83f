/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "internal.h"

void iovageom_plug_options_init(struct iovageom_plug_options *options)
{
    memset(options, 0, sizeof(*options));
    options->host_group = IOVAGEOM_VIOMMU_OWN;
    options->address_space = IOVAGEOM_VIOMMU_OWN;
    options->guest_group = IOVAGEOM_VIOMMU_OWN;
}

/* Endpoint number i of a plug: 0 is the one where it is plugged, the others are its aliases. */
static uint32_t id_of(const struct iovageom_admission *a, size_t i)
{
    return i == 0 ? (uint32_t)a->endpoint : a->options->aliases[i - 1];
}

/* The same endpoint, or NULL where there is none yet. */
static struct iovageom_endpoint *endpoint_of(const struct iovageom_admission *a, size_t i)
{
    return i == 0 ? a->known : iovageom_endpoint_at(a->viommu, id_of(a, i));
}

/* The key of the guest group of endpoint number i. Aliases are one device to the guest, so a new
 * one comes into the group of the endpoint where the device is plugged. */
static uint64_t group_key(const struct iovageom_admission *a, size_t i)
{
    const struct iovageom_endpoint *known = endpoint_of(a, i);

    if (known != NULL)
        return known->group->key;
    if (i > 0)
        return group_key(a, 0);
    return a->options->guest_group != IOVAGEOM_VIOMMU_OWN ? a->options->guest_group
                                                          : iovageom_next_own_group(a->viommu);
}

/* ---- may it be plugged there ---- */

static bool number_valid(uint64_t number)
{
    return number <= IOVAGEOM_VIOMMU_GROUP_MAX || number == IOVAGEOM_VIOMMU_OWN;
}

/* The domain that comes into the address space with endpoint number i: one that was loaded before
 * its device came is attached already. NULL for none, or one that is there. */
static const struct iovageom_domain *domain_of(const struct iovageom_admission *a, size_t i)
{
    const struct iovageom_endpoint *known = endpoint_of(a, i);
    const struct iovageom_domain *domain = known != NULL ? known->domain : NULL;

    return domain != NULL &&
                   (a->address_space == NULL ||
                    iovageom_link_find(&a->address_space->mapped, &domain->mapped) == NULL)
               ? domain
               : NULL;
}

/* Whether there is room in the address space, with the device, for so many mappings in all. */
static void ask_together(struct iovageom_admission *a, uint64_t coming)
{
    const struct iovageom_plug *lead = a->address_space != NULL ? a->address_space->leads : NULL;
    const struct iovageom_device *least = a->device;
    struct iovageom_finding finding =
        iovageom_finding_of(IOVAGEOM_FINDING_BUDGET, IOVAGEOM_ERR_CONFLICT, IOVAGEOM_ID_NONE,
                            IOVAGEOM_ID_NONE, IOVAGEOM_NOWHERE, IOVAGEOM_NOWHERE);

    for (; lead != NULL; lead = lead->lead_next)
        if (lead->device->budget < least->budget)
            least = lead->device;
    finding.wanted = a->live + coming;
    finding.offered = least->budget;
    iovageom_name_number(&finding, least);
    if (finding.wanted > finding.offered)
        iovageom_object(a, &finding);
}

/* What of the endpoints of a device is asked once, however many of them have it in common. */
enum once { ONCE_ENDPOINTS, ONCE_GROUPS, ONCE_DOMAINS };

/* Refuses an endpoint that is named twice, by IOVAGEOM_ERR_INVALID; or asks each guest group that
 * gets an endpoint; or whether there is room for all domains that come, if there are several:
 * ask_joining() asks for each alone. A table keeps that at O(n log n). */
static int each_once(struct iovageom_admission *a, enum once what)
{
    struct iovageom_table seen;
    uint64_t coming = 0;
    int error = iovageom_table_init(&seen, &a->viommu->allocator);

    for (size_t i = 0; error == IOVAGEOM_OK && i <= a->options->alias_count; i++) {
        const struct iovageom_domain *domain = what == ONCE_DOMAINS ? domain_of(a, i) : NULL;
        const uint64_t key = domain != NULL        ? domain->id
                             : what == ONCE_GROUPS ? group_key(a, i)
                                                   : id_of(a, i);

        if (what == ONCE_DOMAINS && domain == NULL)
            continue;
        error = iovageom_table_put(&seen, key, &seen);
        if (error == IOVAGEOM_OK && what == ONCE_GROUPS)
            error = iovageom_ask_joining(a, iovageom_table_at(&a->viommu->groups, key));
        else if (error == IOVAGEOM_OK && what == ONCE_DOMAINS)
            coming += iovageom_mappings_count(&domain->mappings);
        else if (error == IOVAGEOM_ERR_OVERLAP)
            error = what == ONCE_ENDPOINTS ? IOVAGEOM_ERR_INVALID : IOVAGEOM_OK;
    }
    if (error == IOVAGEOM_OK && what == ONCE_DOMAINS && iovageom_table_count(&seen) > 1)
        ask_together(a, coming);
    iovageom_table_deinit(&seen);
    return error;
}

/* Check the options, and find the address space. The VMM may name it; else it is where the host
 * group is; else one that the host group, or the endpoint, has for itself. A host group can't be in
 * two, and an endpoint stays in its guest group; but a group that load made without a number takes
 * the first that is named, if it is free. */
static int place_find(struct iovageom_admission *a)
{
    const uint32_t flags =
        IOVAGEOM_PLUG_ALIAS | IOVAGEOM_PLUG_ALLOW_STALE | IOVAGEOM_PLUG_REFUSE_DIRECT;
    const struct iovageom_plug_options *options = a->options;
    const struct iovageom_host_group *host = NULL;
    const char *wrong = NULL;
    int error;

    if (!number_valid(options->host_group) || !number_valid(options->address_space) ||
        !number_valid(options->guest_group) || options->reserved != 0 ||
        (options->flags & ~flags) != 0 || options->alias_count > UINT32_MAX)
        return IOVAGEOM_ERR_INVALID;
    error = options->alias_count > 0 ? each_once(a, ONCE_ENDPOINTS) : IOVAGEOM_OK;
    if (error != IOVAGEOM_OK)
        return error;
    if (options->host_group != IOVAGEOM_VIOMMU_OWN)
        host = iovageom_table_at(&a->viommu->host_groups, options->host_group);
    if (options->address_space != IOVAGEOM_VIOMMU_OWN)
        a->key = options->address_space;
    else if (host != NULL)
        a->key = host->address_space->key;
    else if (options->host_group != IOVAGEOM_VIOMMU_OWN)
        a->key = IOVAGEOM_KEY_HOST_GROUP | options->host_group;
    else
        a->key = IOVAGEOM_KEY_OWN | a->endpoint;
    if (a->key < IOVAGEOM_KEY_OWN)
        a->address_space = iovageom_table_at(&a->viommu->address_spaces, a->key);
    else if (a->known != NULL && a->known->address_space != NULL &&
             a->known->address_space->key == a->key)
        a->address_space = a->known->address_space;
    if (a->known != NULL && options->guest_group != IOVAGEOM_VIOMMU_OWN &&
        options->guest_group != a->known->group->key &&
        (!a->known->group->unnumbered ||
         iovageom_table_at(&a->viommu->groups, options->guest_group) != NULL))
        wrong = "the endpoint was declared in another guest group";
    if (host != NULL && host->address_space->key != a->key)
        wrong = "the devices of a host group are in one container";
    return wrong == NULL ? IOVAGEOM_OK
                         : iovageom_refuse_saying(a->report, IOVAGEOM_ERR_INVALID, wrong,
                                                  IOVAGEOM_ID_NONE, IOVAGEOM_ID_NONE);
}

/* Whether the device fits the others at an endpoint: DMA from there can be of any of them. */
static bool place_agrees(const struct iovageom_admission *a,
                         const struct iovageom_endpoint *endpoint)
{
    const struct iovageom_contact *contact = endpoint->first;

    if (endpoint->address_space->key != a->key)
        return false;
    while (contact != NULL &&
           iovageom_geometry_alike(contact->plug->device->geometry, a->device->geometry))
        contact = contact->next;
    return contact == NULL;
}

/* Whether endpoint number i can take the device. It can if it is free, or if this is an alias and
 * the devices there agree with it. An endpoint with a prepared device takes no other one: commit,
 * abort and iovageom_plug_pending() rely on one at most. */
static void ask_place(struct iovageom_admission *a, size_t i)
{
    const struct iovageom_endpoint *known = endpoint_of(a, i);
    const struct iovageom_contact *there = known != NULL ? known->first : NULL;
    const bool alias = i > 0 || (a->flags & IOVAGEOM_PLUG_ALIAS) != 0;
    const bool taken = there == NULL || !alias || iovageom_plug_pending(known);
    struct iovageom_finding finding;

    if (there == NULL && (known == NULL || known->kind != IOVAGEOM_ENDPOINT_EMULATED))
        return;
    if (!taken && place_agrees(a, known))
        return;
    finding =
        iovageom_finding_of(taken ? IOVAGEOM_FINDING_EXISTS : IOVAGEOM_FINDING_OTHER,
                            taken ? IOVAGEOM_ERR_EXISTS : IOVAGEOM_ERR_CONFLICT, IOVAGEOM_ID_NONE,
                            id_of(a, i), IOVAGEOM_NOWHERE, IOVAGEOM_NOWHERE);
    if (!taken)
        finding.detail = "devices at one endpoint must share host page tables and geometry";
    else if (there == NULL)
        (void)iovageom_owner_init(&finding.other, IOVAGEOM_SOURCE_MACHINE, "an emulated endpoint");
    else
        (void)iovageom_owner_init(&finding.other, IOVAGEOM_SOURCE_OTHER,
                                  iovageom_geometry_name(there->plug->device->geometry));
    iovageom_object(a, &finding);
}

/* All questions of a plug, in the order in which the report has the findings. ask_device() judges
 * the device alone; ask_joining() each guest group that gets an endpoint of it; ask_neighbours()
 * the groups that share its address space already. */
static int plug_ask(struct iovageom_admission *a)
{
    const struct iovageom_viommu *viommu = a->viommu;
    int error;

    for (size_t i = 0; i <= a->options->alias_count; i++)
        ask_place(a, i);
    /* Unattached endpoints bypass, so it would at once. Another device of its address space may be
       unable to map the identity ranges; the device itself is judged by iovageom_ask_device(). */
    if (a->status == IOVAGEOM_OK && iovageom_bypass_unattached(viommu) &&
        !iovageom_bypass_fits(a->address_space, a->endpoint, &viommu->identity, a->report))
        a->status = IOVAGEOM_ERR_CONFLICT;
    iovageom_ask_device(a);
    error = a->options->alias_count > 0
                ? each_once(a, ONCE_GROUPS)
                : iovageom_ask_joining(a, iovageom_table_at(&viommu->groups, group_key(a, 0)));
    if (error == IOVAGEOM_OK && a->options->alias_count > 0)
        error = each_once(a, ONCE_DOMAINS);
    return error != IOVAGEOM_OK ? error : iovageom_ask_neighbours(a);
}

/* ---- plugging ---- */

/* A group that was made while loading gets the number by which the VMM knows it. */
static int group_number(struct iovageom_viommu *viommu, struct iovageom_group *group,
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

/* Make the plug with all its endpoints, or nothing. */
static int plug_all(struct iovageom_viommu *viommu, const struct iovageom_admission *a,
                    struct iovageom_device *device)
{
    const struct iovageom_plug_options *options = a->options;
    const uint64_t key = group_key(a, 0);
    struct iovageom_plug *plug =
        iovageom_plug_make(viommu, a->address_space, a->key, options->host_group, device);
    int error = IOVAGEOM_OK;

    if (plug == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    for (size_t i = 0; error == IOVAGEOM_OK && i <= options->alias_count; i++)
        error = iovageom_plug_join(viommu, plug, endpoint_of(a, i), id_of(a, i), key);
    if (error == IOVAGEOM_OK && a->known != NULL && a->known->group->unnumbered &&
        options->guest_group != IOVAGEOM_VIOMMU_OWN)
        error = group_number(viommu, a->known->group, options->guest_group);
    if (error != IOVAGEOM_OK) {
        iovageom_plug_remove(viommu, plug);
        return error;
    }
    return iovageom_changed(viommu);
}

/* Ask, and if `changed` is given, plug. It is NULL or the same object as `viommu`, not const: so a
 * dry run and a plug run the same code. */
static int plug_try(const struct iovageom_viommu *viommu, struct iovageom_viommu *changed,
                    uint32_t endpoint, const struct iovageom_plug_options *options,
                    const struct iovageom_geometry *geometry, struct iovageom_report *report)
{
    struct iovageom_admission a = {.viommu = viommu,
                                   .report = report,
                                   .known = iovageom_endpoint_at(viommu, endpoint),
                                   .endpoint = endpoint};
    struct iovageom_plug_options defaults;
    struct iovageom_device *device;
    int error;

    iovageom_report_clear(report);
    iovageom_plug_options_init(&defaults);
    a.options = options != NULL ? options : &defaults;
    a.flags = a.options->flags;
    error = place_find(&a);
    if (error == IOVAGEOM_OK)
        error = iovageom_ask_begin(&a, geometry, &device);
    if (error != IOVAGEOM_OK)
        return error;
    error = plug_ask(&a);
    if (error == IOVAGEOM_OK && changed != NULL)
        error = plug_all(changed, &a, device);
    iovageom_device_put(viommu, device);
    return error;
}

int iovageom_viommu_plug_check(const struct iovageom_viommu *viommu, uint32_t endpoint,
                               const struct iovageom_plug_options *options,
                               const struct iovageom_geometry *geometry,
                               struct iovageom_report *report)
{
    return plug_try(viommu, NULL, endpoint, options, geometry, report);
}

int iovageom_viommu_plug_prepare(struct iovageom_viommu *viommu, uint32_t endpoint,
                                 const struct iovageom_plug_options *options,
                                 const struct iovageom_geometry *geometry,
                                 struct iovageom_report *report)
{
    return plug_try(viommu, viommu, endpoint, options, geometry, report);
}

int iovageom_viommu_plug(struct iovageom_viommu *viommu, uint32_t endpoint,
                         const struct iovageom_plug_options *options,
                         const struct iovageom_geometry *geometry, struct iovageom_report *report)
{
    int error = iovageom_viommu_plug_prepare(viommu, endpoint, options, geometry, report);

    return error != IOVAGEOM_OK ? error : iovageom_viommu_plug_commit(viommu, endpoint);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <string.h>

#include <iovageom/pgsize.h>

#include "../geometry/internal.h"
#include "internal.h"

#define OFFERABLE                                                                                  \
    (IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_DOMAIN_RANGE |                              \
     IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_BYPASS | IOVAGEOM_VIRTIO_F_PROBE |            \
     IOVAGEOM_VIRTIO_F_MMIO | IOVAGEOM_VIRTIO_F_BYPASS_CONFIG)

/*
 * Against a guest that maps all it can: what cloud-hypervisor allows in a domain, and of domains, far
 * above what Linux lets one VFIO container have by default (65,535); and a few such domains in all.
 */
#define DEFAULT_DOMAIN_MAPPINGS ((uint64_t)1 << 20)
#define DEFAULT_MAPPINGS        ((uint64_t)1 << 22)
#define DEFAULT_DOMAINS         ((uint32_t)1 << 16)

/* ---- findings ---- */

struct iovageom_owner iovageom_owner_named(enum iovageom_source source, const char *name)
{
    struct iovageom_owner owner;

    memset(&owner, 0, sizeof(owner));
    (void)iovageom_owner_init(&owner, source, name);
    return owner;
}

/* What `notes` says is added to a report (or to none), and `notes` is gone. */
void iovageom_report_take(struct iovageom_report *report, struct iovageom_report *notes)
{
    for (size_t i = 0; i < iovageom_report_count(notes); i++)
        iovageom_report_add(report, iovageom_report_at(notes, i));
    iovageom_report_deinit(notes);
}

/* Who of a collection reserves something of `range`, the weightiest type first. */
void iovageom_name_resv(struct iovageom_finding *finding, const struct iovageom_resv *resv,
                        struct iovageom_range range)
{
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    enum iovageom_resv_type type;

    for (size_t i = 0; iovageom_resv_statement(resv, i, &type, &owner, &ranges) == IOVAGEOM_OK; i++)
        if (iovageom_resv_type_forbids(type) && (uint32_t)type >= finding->type &&
            iovageom_rangeset_overlaps(ranges, range)) {
            finding->type = (uint32_t)type;
            finding->owner = *owner;
        }
}

void iovageom_name_owner(struct iovageom_finding *finding, const struct iovageom_device *device,
                         struct iovageom_range range)
{
    finding->owner =
        iovageom_owner_named(IOVAGEOM_SOURCE_OTHER, iovageom_geometry_name(device->geometry));
    if (device->walk == NULL) {
        iovageom_name_resv(finding, device->geometry->resv, range);
        return;
    }
    const size_t index = iovageom_resv_walk_heaviest(device->walk, range);
    const uint32_t type = iovageom_resv_type_at(device->walk->resv, index);
    if (iovageom_resv_type_forbids((enum iovageom_resv_type)type) && type >= finding->type &&
        index != IOVAGEOM_RESV_NONE) {
        finding->type = type;
        finding->owner = *iovageom_resv_owner(device->walk->resv, index);
    }
}

/* Who reserves something of `range` for a group: a device on its units, the platform, the envelope.
 */
void iovageom_name_group(struct iovageom_finding *finding, const struct iovageom_viommu *viommu,
                         const struct iovageom_group *group, struct iovageom_range range)
{
    if (group->slots > 0 && viommu->envelope != NULL)
        iovageom_name_resv(finding, viommu->envelope->geometry->resv, range);
    iovageom_name_resv(finding, viommu->platform, range);
    for (const struct iovageom_link *side = group->node.up; side != NULL; side = side->up_next) {
        const struct iovageom_unit *unit = (const struct iovageom_unit *)(const void *)side->upper;
        const struct iovageom_shape *shape = unit->shapes;

        for (; shape != NULL; shape = shape->next)
            if (iovageom_device_reserves(shape->device, range)) {
                iovageom_name_owner(finding, shape->device, range);
                return;
            }
    }
}

/* Each may leave something to the guest, all of them leave nothing: a note, as nobody is to blame.
 */
void iovageom_note_nothing(struct iovageom_report *report, const char *who)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_NOTHING_USABLE, IOVAGEOM_OK);

    finding.owner = iovageom_owner_named(IOVAGEOM_SOURCE_MACHINE, who);
    iovageom_report_add(report, &finding);
}

/* Refuse a request: one finding, whose error says the status. */
int iovageom_refuse(struct iovageom_report *report, const struct iovageom_finding *finding)
{
    iovageom_report_add(report, finding);
    return finding->status;
}

int iovageom_refuse_saying(struct iovageom_report *report, int error, const char *detail,
                           uint64_t domain, uint64_t endpoint)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, error);

    finding.detail = detail;
    finding.domain = domain;
    finding.endpoint = endpoint;
    return iovageom_refuse(report, &finding);
}

int iovageom_refuse_number(struct iovageom_report *report, enum iovageom_finding_kind kind,
                           int error, uint64_t domain, uint64_t endpoint, uint64_t wanted,
                           uint64_t offered)
{
    struct iovageom_finding finding = iovageom_finding_blank(kind, error);

    finding.domain = domain;
    finding.endpoint = endpoint;
    finding.wanted = wanted;
    finding.offered = offered;
    if (kind == IOVAGEOM_FINDING_BUDGET)
        finding.owner = iovageom_owner_named(IOVAGEOM_SOURCE_OTHER, "the host");
    return iovageom_refuse(report, &finding);
}

int iovageom_refuse_unknown(struct iovageom_report *report, uint64_t domain, uint64_t endpoint)
{
    return iovageom_refuse_number(report, IOVAGEOM_FINDING_NOT_FOUND, IOVAGEOM_ERR_NOT_FOUND,
                                  domain, endpoint, 0, 0);
}

/* ---- configuration ---- */

void iovageom_viommu_config_init(struct iovageom_viommu_config *config)
{
    memset(config, 0, sizeof(*config));
    config->input_range = IOVAGEOM_EVERYTHING;
    config->page_size_mask = iovageom_pgsize_from_alignment(4096);
    config->max_mappings = DEFAULT_MAPPINGS;
    config->max_domain_mappings = DEFAULT_DOMAIN_MAPPINGS;
    config->max_domains = DEFAULT_DOMAINS;
    config->domain_last = UINT32_MAX;
    config->features = OFFERABLE & ~(uint32_t)IOVAGEOM_VIRTIO_F_BYPASS;
    config->boot_bypass = 1;
}

static int config_check(const struct iovageom_viommu_config *config)
{
    const uint32_t both = IOVAGEOM_VIRTIO_F_BYPASS | IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
    const uint32_t flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST | IOVAGEOM_VIOMMU_STRICT_INPUT |
                           IOVAGEOM_VIOMMU_REFUSE_DIRECT;
    uint64_t reserved = config->reserved32;
    struct iovageom_range whole;

    for (size_t i = 0; i < sizeof(config->reserved) / sizeof(config->reserved[0]); i++)
        reserved |= config->reserved[i];
    if (!iovageom_range_valid(config->input_range) || config->domain_start > config->domain_last)
        return IOVAGEOM_ERR_INVERTED;
    if (reserved != 0 || config->page_size_mask == 0 || config->boot_bypass > 1 ||
        (config->flags & ~flags) != 0 || (config->features & ~(uint32_t)OFFERABLE) != 0 ||
        (config->features & both) == both)
        return IOVAGEOM_ERR_INVALID;
    if (config->granule != 0 && iovageom_pgsize_raise(config->page_size_mask, config->granule) == 0)
        return IOVAGEOM_ERR_INVALID;
    if (!iovageom_range_align_inward(config->input_range,
                                     config->granule != 0
                                         ? config->granule
                                         : iovageom_pgsize_granule(config->page_size_mask),
                                     &whole))
        return IOVAGEOM_ERR_INVALID;
    if (config->probe_size != 0 && config->probe_size < IOVAGEOM_VIOMMU_LEAST_PROBE)
        return IOVAGEOM_ERR_INVALID;
    if ((config->features & (IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_PROBE)) == 0 &&
        !iovageom_range_equal(config->input_range, IOVAGEOM_EVERYTHING))
        return IOVAGEOM_ERR_INVALID;
    return IOVAGEOM_OK;
}

/* Without F_INPUT_RANGE the guest's is all of 64 bits (I2): a PROBE tells it the rest, reserved. */
static int input_as_regions(struct iovageom_viommu *viommu)
{
    struct iovageom_range rest[2];
    const unsigned parts =
        iovageom_range_subtract(IOVAGEOM_EVERYTHING, viommu->config.input_range, rest);
    int error = IOVAGEOM_OK;

    viommu->config.input_range = IOVAGEOM_EVERYTHING;
    viommu->config.flags &= ~(uint32_t)IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    for (unsigned i = 0; error == IOVAGEOM_OK && i < parts; i++)
        error = iovageom_viommu_add_region(viommu, rest[i], IOVAGEOM_RESV_RESERVED,
                                           IOVAGEOM_SOURCE_MACHINE, "input_range");
    return error;
}

static int tables_init(struct iovageom_viommu *viommu)
{
    struct iovageom_table *const tables[] = {
        &viommu->endpoints, &viommu->groups, &viommu->units, &viommu->host_groups,
        &viommu->domains,   &viommu->sides,  &viommu->ties,  &viommu->loads,
    };
    int error = iovageom_rangeset_init(&viommu->identity, &viommu->allocator);

    for (size_t i = 0; error == IOVAGEOM_OK && i < sizeof(tables) / sizeof(tables[0]); i++)
        error = iovageom_table_init(tables[i], &viommu->allocator);
    if (error == IOVAGEOM_OK)
        error = iovageom_view_init(&viommu->platform_view, viommu);
    if (error == IOVAGEOM_OK)
        error = iovageom_resv_new(&viommu->allocator, &viommu->platform);
    return error;
}

int iovageom_viommu_new(const struct iovageom_allocator *allocator,
                        const struct iovageom_viommu_config *config, struct iovageom_viommu **out)
{
    struct iovageom_viommu_config defaults;
    struct iovageom_viommu *viommu;
    int error;

    if (allocator == NULL)
        allocator = iovageom_allocator_default();
    if (allocator == NULL || allocator->allocate == NULL || allocator->release == NULL)
        return IOVAGEOM_ERR_INVALID;
    iovageom_viommu_config_init(&defaults);
    if (config == NULL)
        config = &defaults;
    error = config_check(config);
    if (error != IOVAGEOM_OK)
        return error;
    viommu = allocator->allocate(allocator->context, sizeof(*viommu));
    if (viommu == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    memset(viommu, 0, sizeof(*viommu));
    viommu->allocator = *allocator;
    viommu->config = *config;
    viommu->accepted = config->features;
    viommu->bypass = config->boot_bypass;
    viommu->generation = 1;
    /* Nothing but the collection of regions allocates so early, and it is the last. */
    error = tables_init(viommu);
    if (error == IOVAGEOM_OK && (config->features & IOVAGEOM_VIRTIO_F_INPUT_RANGE) == 0)
        error = input_as_regions(viommu);
    if (error != IOVAGEOM_OK) {
        iovageom_viommu_free(viommu);
        return error;
    }
    *out = viommu;
    return IOVAGEOM_OK;
}

void iovageom_viommu_free(struct iovageom_viommu *viommu)
{
    struct iovageom_endpoint *endpoint;

    if (viommu == NULL)
        return;
    iovageom_viommu_reset(viommu, true);
    while ((endpoint = iovageom_table_from(&viommu->endpoints, 0)) != NULL) {
        if (endpoint->first != NULL)
            iovageom_plug_remove(viommu, endpoint->first->plug);
        else
            iovageom_endpoint_drop(viommu, endpoint);
    }
    iovageom_device_put(viommu, viommu->envelope);
    iovageom_resv_free(viommu->platform);
    iovageom_view_deinit(&viommu->platform_view);
    iovageom_rangeset_deinit(&viommu->identity);
    iovageom_table_deinit(&viommu->endpoints);
    iovageom_table_deinit(&viommu->groups);
    iovageom_table_deinit(&viommu->units);
    iovageom_table_deinit(&viommu->host_groups);
    iovageom_table_deinit(&viommu->domains);
    iovageom_table_deinit(&viommu->sides);
    iovageom_table_deinit(&viommu->ties);
    iovageom_table_deinit(&viommu->loads);
    iovageom_books_release(viommu, viommu, sizeof(*viommu));
}

static int platform_msi(const struct iovageom_resv *resv, struct iovageom_rangeset *out)
{
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    enum iovageom_resv_type type;
    int error = IOVAGEOM_OK;

    for (size_t i = 0; error == IOVAGEOM_OK &&
                       iovageom_resv_statement(resv, i, &type, &owner, &ranges) == IOVAGEOM_OK;
         i++)
        if (type == IOVAGEOM_RESV_MSI)
            error = iovageom_rangeset_union(out, out, ranges);
    return error;
}

int iovageom_viommu_add_region(struct iovageom_viommu *viommu, struct iovageom_range range,
                               enum iovageom_resv_type type, enum iovageom_source source,
                               const char *name)
{
    struct iovageom_resv *resv = NULL;
    struct iovageom_owner owner;
    struct iovageom_view view;
    int error;

    if (viommu->frozen)
        return IOVAGEOM_ERR_FROZEN;
    error = iovageom_owner_init(&owner, source, name);
    if (error != IOVAGEOM_OK)
        return error;
    error = iovageom_view_init(&view, viommu);
    if (error == IOVAGEOM_OK)
        error = iovageom_resv_copy(viommu->platform, &resv);
    if (error == IOVAGEOM_OK)
        error = iovageom_resv_add(resv, range, type, &owner);
    /* Guests know of MSI doorbells; of all else only PROBE could tell them. */
    if (error == IOVAGEOM_OK && (viommu->accepted & IOVAGEOM_VIRTIO_F_PROBE) == 0 &&
        type != IOVAGEOM_RESV_MSI && iovageom_resv_type_forbids(type) &&
        iovageom_range_overlaps(range, iovageom_guest_input(viommu, viommu->accepted)))
        error = IOVAGEOM_ERR_UNSUPPORTED;
    if (error == IOVAGEOM_OK)
        error = iovageom_resv_forbidden(resv, &view.all);
    if (error == IOVAGEOM_OK)
        error = platform_msi(resv, &view.msi);
    if (error == IOVAGEOM_OK) {
        struct iovageom_resv *old = viommu->platform;

        viommu->platform = resv;
        resv = old;
        iovageom_rangeset_swap(&viommu->platform_view.all, &view.all);
        iovageom_rangeset_swap(&viommu->platform_view.msi, &view.msi);
        for (struct iovageom_group *group = NULL;
             (group = iovageom_group_after(viommu, group)) != NULL;)
            iovageom_group_stale(group);
        viommu->generation++;
    }
    iovageom_resv_free(resv);
    iovageom_view_deinit(&view);
    return error;
}

int iovageom_viommu_set_envelope(struct iovageom_viommu *viommu,
                                 const struct iovageom_geometry *envelope,
                                 struct iovageom_report *report)
{
    struct iovageom_device *device = NULL;
    int error = IOVAGEOM_OK;

    iovageom_report_clear(report);
    if (viommu->frozen)
        return IOVAGEOM_ERR_FROZEN;
    if (envelope != NULL)
        error = iovageom_device_make(viommu, envelope, 0, &device);
    if (error == IOVAGEOM_OK && device != NULL) {
        error = iovageom_envelope_suits(viommu, device, report);
        if (error != IOVAGEOM_OK)
            iovageom_device_put(viommu, device);
    }
    if (error != IOVAGEOM_OK)
        return error;
    iovageom_device_put(viommu, viommu->envelope);
    viommu->envelope = device;
    for (struct iovageom_group *group = NULL;
         (group = iovageom_group_after(viommu, group)) != NULL;)
        if (group->slots > 0)
            iovageom_group_stale(group);
    viommu->generation++;
    return IOVAGEOM_OK;
}

int iovageom_viommu_set_identity(struct iovageom_viommu *viommu,
                                 const struct iovageom_range *ranges, size_t count,
                                 struct iovageom_report *report)
{
    struct iovageom_endpoint *endpoint = NULL;
    struct iovageom_rangeset identity;
    int error;

    iovageom_report_clear(report);
    error = iovageom_rangeset_init(&identity, &viommu->allocator);
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_from_array(&identity, ranges, count);
    while ((error == IOVAGEOM_OK || error == IOVAGEOM_ERR_CONFLICT) &&
           (endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL) {
        bool bypass = endpoint->domain != NULL ? endpoint->domain->bypass
                                               : iovageom_bypass_unattached(viommu);

        if (bypass && !iovageom_bypass_fits(viommu, endpoint, &identity, report))
            error = IOVAGEOM_ERR_CONFLICT;
    }
    if (error == IOVAGEOM_OK) {
        iovageom_rangeset_swap(&viommu->identity, &identity);
        iovageom_units_judge(viommu);
    }
    iovageom_rangeset_deinit(&identity);
    return error;
}

/* ---- what changes with the guest ---- */

void iovageom_viommu_driver_features(struct iovageom_viommu *viommu, uint32_t features)
{
    viommu->accepted = viommu->config.features & features;
    for (struct iovageom_group *group = NULL;
         (group = iovageom_group_after(viommu, group)) != NULL;)
        group->wire_clean = false;
}

int iovageom_viommu_set_bypass(struct iovageom_viommu *viommu, uint32_t bypass,
                               struct iovageom_report *report)
{
    const struct iovageom_endpoint *endpoint = NULL;

    iovageom_report_clear(report);
    if (bypass > 1)
        return IOVAGEOM_ERR_INVALID;
    if ((viommu->accepted & IOVAGEOM_VIRTIO_F_BYPASS_CONFIG) == 0)
        return IOVAGEOM_ERR_UNSUPPORTED;
    while (bypass == 1 && (endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (endpoint->domain == NULL &&
            !iovageom_bypass_fits(viommu, endpoint, &viommu->identity, report))
            return IOVAGEOM_ERR_CONFLICT;
    viommu->bypass = bypass;
    return IOVAGEOM_OK;
}

/* What a guest before relied on, and never came, is no longer waited for. */
static void forget_expected(struct iovageom_viommu *viommu)
{
    struct iovageom_endpoint *endpoint = iovageom_table_from(&viommu->endpoints, 0);

    while (endpoint != NULL) {
        const uint64_t next = (uint64_t)endpoint->id + 1;

        (void)iovageom_endpoint_unexpect(endpoint);
        if (endpoint->kind == IOVAGEOM_ENDPOINT_DEVICE && endpoint->first == NULL)
            iovageom_endpoint_drop(viommu, endpoint);
        endpoint = iovageom_table_from(&viommu->endpoints, next);
    }
}

void iovageom_viommu_reset(struct iovageom_viommu *viommu, bool system)
{
    struct iovageom_domain *domain;
    struct iovageom_endpoint *endpoint;

    while ((domain = iovageom_table_from(&viommu->domains, 0)) != NULL)
        iovageom_endpoint_detach(viommu, domain->members.first);
    for (uint64_t from = 0; (endpoint = iovageom_table_from(&viommu->endpoints, from)) != NULL;
         from = (uint64_t)endpoint->id + 1)
        iovageom_endpoint_forget(viommu, endpoint);
    forget_expected(viommu);
    for (struct iovageom_group *group = NULL;
         (group = iovageom_group_after(viommu, group)) != NULL;) {
        iovageom_group_forgive(viommu, group);
        group->wire_clean = false;
    }
    viommu->accepted = viommu->config.features;
    viommu->stale = false;
    if (system)
        viommu->bypass = viommu->config.boot_bypass;
}

/* ---- listings ---- */

static uint64_t own_or(uint64_t key)
{
    return key <= IOVAGEOM_VIOMMU_GROUP_MAX ? key : IOVAGEOM_VIOMMU_OWN;
}

/* Who speaks for an endpoint: the first device that was plugged there, else that has it as alias. */
static const struct iovageom_plug *speaker(const struct iovageom_endpoint *endpoint)
{
    const struct iovageom_contact *contact = endpoint->first;

    while (contact != NULL && !iovageom_contact_own(contact))
        contact = contact->next;
    if (contact == NULL)
        contact = endpoint->first;
    return contact != NULL ? contact->plug : NULL;
}

static void describe(const struct iovageom_viommu *viommu, const struct iovageom_endpoint *endpoint,
                     struct iovageom_viommu_endpoint *out)
{
    const struct iovageom_plug *plug = speaker(endpoint);

    memset(out, 0, sizeof(*out));
    out->endpoint = endpoint->id;
    out->kind = endpoint->kind;
    out->plugged = (uint32_t)endpoint->devices;
    out->prepared = iovageom_plug_pending(endpoint);
    out->expected = endpoint->expected;
    out->guest_group = own_or(endpoint->group->key);
    out->host_group = IOVAGEOM_VIOMMU_OWN;
    for (const struct iovageom_contact *contact = endpoint->first;
         contact != NULL && out->host_group == IOVAGEOM_VIOMMU_OWN; contact = contact->next)
        out->host_group = contact->plug->host_group;
    out->address_space = plug != NULL ? own_or(plug->unit->key) : IOVAGEOM_VIOMMU_OWN;
    out->domain = endpoint->domain != NULL ? endpoint->domain->node.index : IOVAGEOM_ID_NONE;
    out->generation = endpoint->generation;
    if (!iovageom_endpoint_visible(endpoint))
        out->bypass = 0;
    else if (endpoint->domain != NULL)
        out->bypass = endpoint->domain->bypass;
    else
        out->bypass = iovageom_bypass_unattached(viommu) &&
                      iovageom_bypass_fits(viommu, endpoint, &viommu->identity, NULL);
    out->geometry = plug != NULL ? plug->device->geometry : NULL;
}

int iovageom_viommu_endpoint(const struct iovageom_viommu *viommu, uint32_t endpoint,
                             struct iovageom_viommu_endpoint *out)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);

    if (found == NULL)
        return IOVAGEOM_ERR_NOT_FOUND;
    describe(viommu, found, out);
    return IOVAGEOM_OK;
}

bool iovageom_viommu_endpoint_next(const struct iovageom_viommu *viommu, uint32_t from,
                                   struct iovageom_viommu_endpoint *out)
{
    const struct iovageom_endpoint *found = iovageom_table_from(&viommu->endpoints, from);

    if (found != NULL)
        describe(viommu, found, out);
    return found != NULL;
}

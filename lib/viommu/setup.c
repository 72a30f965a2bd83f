/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "internal.h"

#define OFFERABLE                                                                                  \
    (IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_DOMAIN_RANGE |                              \
     IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_BYPASS | IOVAGEOM_VIRTIO_F_PROBE |            \
     IOVAGEOM_VIRTIO_F_MMIO | IOVAGEOM_VIRTIO_F_BYPASS_CONFIG)

/*
 * Limits against a guest that uses up the VMM's memory. For mappings of one domain and for domains
 * they are those of cloud-hypervisor, far above what Linux lets one VFIO container have by default
 * (65,535). All domains together may have as many mappings as four full domains: about 200 MiB.
 */
#define DEFAULT_DOMAIN_MAPPINGS ((uint64_t)1 << 20)
#define DEFAULT_MAPPINGS        ((uint64_t)1 << 22)
#define DEFAULT_DOMAINS         ((uint32_t)1 << 16)

/* ---- configuration ---- */

void iovageom_viommu_config_init(struct iovageom_viommu_config *config)
{
    memset(config, 0, sizeof(*config));
    config->input_range = IOVAGEOM_EVERYTHING;
    config->page_size_mask = ~(uint64_t)0xfff;
    config->max_mappings = DEFAULT_MAPPINGS;
    config->max_domain_mappings = DEFAULT_DOMAIN_MAPPINGS;
    config->max_domains = DEFAULT_DOMAINS;
    config->domain_last = UINT32_MAX;
    config->features = OFFERABLE & ~(uint32_t)IOVAGEOM_VIRTIO_F_BYPASS;
    config->boot_bypass = 1;
}

/* Refuses what iovageom_viommu_new() lists. Later code relies on it: see input_to_granules(). */
static int config_check(const struct iovageom_viommu_config *config)
{
    const uint32_t both = IOVAGEOM_VIRTIO_F_BYPASS | IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
    const uint32_t flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST | IOVAGEOM_VIOMMU_STRICT_INPUT |
                           IOVAGEOM_VIOMMU_REFUSE_DIRECT | IOVAGEOM_VIOMMU_INDEX_PHYS;
    const uint32_t told = IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_PROBE;
    const uint64_t granule =
        config->granule != 0 ? config->granule : iovageom_pgsize_granule(config->page_size_mask);
    uint64_t reserved = config->reserved32;
    struct iovageom_range whole;

    for (size_t i = 0; i < sizeof(config->reserved) / sizeof(config->reserved[0]); i++)
        reserved |= config->reserved[i];
    if (!iovageom_range_valid(config->input_range) || config->domain_start > config->domain_last)
        return IOVAGEOM_ERR_INVERTED;
    if (reserved != 0 || config->boot_bypass > 1 || (config->flags & ~flags) != 0 ||
        (config->features & ~(uint32_t)OFFERABLE) != 0 || (config->features & both) == both ||
        !iovageom_pgsize_accepts(config->page_size_mask, granule) ||
        !iovageom_range_align_inward(config->input_range, granule, &whole) ||
        (config->probe_size != 0 && config->probe_size < IOVAGEOM_VIOMMU_LEAST_PROBE) ||
        ((config->features & told) == 0 &&
         !iovageom_range_equal(config->input_range, IOVAGEOM_EVERYTHING)))
        return IOVAGEOM_ERR_INVALID;
    return IOVAGEOM_OK;
}

/*
 * Without F_INPUT_RANGE a guest may map all of 64 bits (I2). So the input range becomes that, and
 * what the configuration leaves out becomes reserved regions of the machine, which a PROBE tells.
 */
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

/* A change for all guest groups: what is reserved, or how a PROBE tells it, is computed anew.
 * Before freeze there is nothing to do, as only requests and load keep a view. */
static void change_groups(struct iovageom_viommu *viommu)
{
    struct iovageom_group *group = NULL;

    while ((group = iovageom_group_after(viommu, group)) != NULL)
        iovageom_group_stale(group);
    viommu->changes++;
}

/*
 * Only the last step allocates, and can fail: so on failure every table is ready for
 * iovageom_viommu_free(). The others only want a sound allocator.
 */
static int tables_init(struct iovageom_viommu *viommu)
{
    const struct iovageom_allocator *allocator = &viommu->allocator;

    (void)iovageom_table_init(&viommu->endpoints, allocator);
    (void)iovageom_table_init(&viommu->groups, allocator);
    (void)iovageom_table_init(&viommu->address_spaces, allocator);
    (void)iovageom_table_init(&viommu->host_groups, allocator);
    (void)iovageom_table_init(&viommu->domains, allocator);
    iovageom_table_shorten(&viommu->endpoints, &viommu->near_endpoints);
    iovageom_table_shorten(&viommu->domains, &viommu->near_domains);
    (void)iovageom_rangeset_init(&viommu->identity, allocator);
    (void)iovageom_rangeset_init(&viommu->platform_all, allocator);
    (void)iovageom_rangeset_init(&viommu->platform_msi, allocator);
    return iovageom_geometry_new(allocator, "", &viommu->platform);
}

int iovageom_viommu_new(const struct iovageom_allocator *allocator,
                        const struct iovageom_viommu_config *config, struct iovageom_viommu **out)
{
    struct iovageom_viommu_config chosen;
    struct iovageom_viommu *viommu;
    int error;

    allocator = iovageom_allocator_chosen(allocator);
    if (allocator == NULL)
        return IOVAGEOM_ERR_INVALID;
    iovageom_viommu_config_init(&chosen);
    if (config != NULL)
        chosen = *config;
    error = config_check(&chosen);
    if (error != IOVAGEOM_OK)
        return error;
    viommu = iovageom_array_new(allocator, 1, sizeof(*viommu));
    if (viommu == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    memset(viommu, 0, sizeof(*viommu));
    viommu->allocator = *allocator;
    viommu->config = chosen;
    viommu->accepted = chosen.features;
    viommu->bypass = chosen.boot_bypass;
    viommu->generation = 1;
    error = tables_init(viommu);
    if (error == IOVAGEOM_OK && (chosen.features & IOVAGEOM_VIRTIO_F_INPUT_RANGE) == 0)
        error = input_as_regions(viommu);
    if (error == IOVAGEOM_OK)
        *out = viommu;
    else
        iovageom_viommu_free(viommu);
    return error;
}

void iovageom_viommu_free(struct iovageom_viommu *viommu)
{
    struct iovageom_endpoint *endpoint;

    if (viommu == NULL)
        return;
    /* Links, groups, domains, address spaces and host groups have no list to be freed from: each
       goes with the last object that needs it, so all are gone when the endpoints are. Then the
       tables are empty, and an empty one has no memory. */
    while ((endpoint = iovageom_endpoint_after(viommu, NULL)) != NULL) {
        if (endpoint->first != NULL)
            iovageom_plug_remove(viommu, endpoint->first->plug);
        else
            iovageom_endpoint_drop(viommu, endpoint);
    }
    iovageom_device_put(viommu, viommu->envelope);
    iovageom_geometry_free(viommu->platform);
    iovageom_rangeset_deinit(&viommu->platform_all);
    iovageom_rangeset_deinit(&viommu->platform_msi);
    iovageom_rangeset_deinit(&viommu->identity);
    iovageom_array_free(&viommu->allocator, viommu, 1, sizeof(*viommu));
}

int iovageom_viommu_add_region(struct iovageom_viommu *viommu, struct iovageom_range range,
                               enum iovageom_resv_type type, enum iovageom_source source,
                               const char *name)
{
    struct iovageom_rangeset all, msi;
    struct iovageom_owner owner;
    int error = iovageom_owner_init(&owner, source, name);

    if (viommu->frozen)
        return IOVAGEOM_ERR_FROZEN;
    if (error != IOVAGEOM_OK)
        return error;
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    /* Guests know of MSI doorbells; of all else only PROBE could tell them. */
    if ((viommu->accepted & IOVAGEOM_VIRTIO_F_PROBE) == 0 &&
        type > IOVAGEOM_RESV_DIRECT_RELAXABLE && type < IOVAGEOM_RESV_MSI &&
        iovageom_range_overlaps(range, iovageom_guest_input(viommu)))
        return IOVAGEOM_ERR_UNSUPPORTED;
    (void)iovageom_rangeset_init(&all, &viommu->allocator);
    (void)iovageom_rangeset_init(&msi, &viommu->allocator);
    error = iovageom_rangeset_assign(&all, &viommu->platform_all);
    error |= iovageom_rangeset_assign(&msi, &viommu->platform_msi);
    if (type != IOVAGEOM_RESV_DIRECT_RELAXABLE)
        error |= iovageom_rangeset_insert(&all, range);
    if (type == IOVAGEOM_RESV_MSI)
        error |= iovageom_rangeset_insert(&msi, range);
    if (error == IOVAGEOM_OK)
        error = iovageom_geometry_put_region(viommu->platform, range, type, &owner);
    if (error == IOVAGEOM_OK) {
        iovageom_rangeset_swap(&viommu->platform_all, &all);
        iovageom_rangeset_swap(&viommu->platform_msi, &msi);
        (void)iovageom_changed(viommu);
    }
    iovageom_rangeset_deinit(&all);
    iovageom_rangeset_deinit(&msi);
    return error;
}

int iovageom_viommu_set_envelope(struct iovageom_viommu *viommu,
                                 const struct iovageom_geometry *envelope,
                                 struct iovageom_report *report)
{
    struct iovageom_device *old = viommu->envelope, *device = NULL;
    int error = IOVAGEOM_OK;

    iovageom_report_clear(report);
    if (viommu->frozen)
        return IOVAGEOM_ERR_FROZEN;
    if (envelope != NULL)
        error = iovageom_device_make(viommu, envelope, 0, 0, &device);
    if (device != NULL)
        error = iovageom_ask_envelope(viommu, device, report);
    if (error == IOVAGEOM_OK) {
        viommu->envelope = device;
        (void)iovageom_changed(viommu);
    }
    iovageom_device_put(viommu, error == IOVAGEOM_OK ? old : device);
    return error;
}

int iovageom_viommu_set_identity(struct iovageom_viommu *viommu,
                                 const struct iovageom_range *ranges, size_t count,
                                 struct iovageom_report *report)
{
    struct iovageom_rangeset identity;
    int error;

    iovageom_report_clear(report);
    (void)iovageom_rangeset_init(&identity, &viommu->allocator);
    error = iovageom_rangeset_from_array(&identity, ranges, count);
    if (error == IOVAGEOM_OK &&
        !iovageom_bypass_fits_all(viommu, iovageom_bypass_unattached(viommu), &identity, report))
        error = IOVAGEOM_ERR_CONFLICT;
    if (error == IOVAGEOM_OK) {
        iovageom_rangeset_swap(&viommu->identity, &identity);
        viommu->changes++;
    }
    iovageom_rangeset_deinit(&identity);
    return error;
}

/* ---- freezing ---- */

int iovageom_viommu_config_space(const struct iovageom_viommu *viommu,
                                 struct iovageom_virtio_config *out)
{
    return iovageom_shown(viommu, out, NULL);
}

int iovageom_viommu_freeze(struct iovageom_viommu *viommu, struct iovageom_report *report)
{
    const struct iovageom_plug *plug = NULL;
    bool noted = false;
    int error;

    iovageom_report_clear(report);
    if (viommu->frozen)
        return IOVAGEOM_OK;
    error = iovageom_shown(viommu, &viommu->shown, report);
    if (error != IOVAGEOM_OK)
        return error;
    /* Linux assigns none that has a region of type DIRECT. */
    if (viommu->envelope != NULL)
        (void)iovageom_geometry_direct(viommu->envelope->geometry, IOVAGEOM_ID_NONE, IOVAGEOM_OK,
                                       report);
    while ((plug = iovageom_plug_after(viommu, plug)) != NULL) {
        const uint32_t endpoint = plug->contacts[0].endpoint->id;

        (void)iovageom_geometry_direct(plug->device->geometry, endpoint, IOVAGEOM_OK, report);
        /* One device is enough to say so: it is the machine that lacks something. */
        noted = noted || iovageom_doorbells_unknown(viommu, plug->device, endpoint, report);
    }
    viommu->frozen = true;
    viommu->changes++;
    return IOVAGEOM_OK;
}

int iovageom_viommu_thaw(struct iovageom_viommu *viommu)
{
    struct iovageom_group *group = NULL;

    while ((group = iovageom_group_after(viommu, group)) != NULL)
        if (iovageom_group_promised(group))
            return IOVAGEOM_ERR_STATE;
    if (iovageom_table_count(&viommu->domains) > 0)
        return IOVAGEOM_ERR_STATE;
    viommu->frozen = false;
    /* The lists were aligned to the granule of the old config space. */
    change_groups(viommu);
    return IOVAGEOM_OK;
}

bool iovageom_viommu_frozen(const struct iovageom_viommu *viommu)
{
    return viommu->frozen;
}

/* ---- what changes with the guest ---- */

int iovageom_viommu_driver_features(struct iovageom_viommu *viommu, uint32_t features,
                                    struct iovageom_report *report)
{
    const uint32_t before = viommu->accepted;
    int status;

    iovageom_report_clear(report);
    viommu->accepted = viommu->config.features & features;
    status = iovageom_ask_all(viommu, report);
    if (status == IOVAGEOM_OK)
        change_groups(viommu);
    else
        viommu->accepted = before;
    return status;
}

int iovageom_viommu_set_bypass(struct iovageom_viommu *viommu, uint32_t bypass,
                               struct iovageom_report *report)
{
    iovageom_report_clear(report);
    if (bypass > 1)
        return IOVAGEOM_ERR_INVALID;
    if ((viommu->accepted & IOVAGEOM_VIRTIO_F_BYPASS_CONFIG) == 0)
        return IOVAGEOM_ERR_UNSUPPORTED;
    if (bypass == 1 && !iovageom_bypass_fits_all(viommu, true, &viommu->identity, report))
        return IOVAGEOM_ERR_CONFLICT;
    viommu->bypass = bypass;
    viommu->changes++;
    return IOVAGEOM_OK;
}

/*
 * Frees and clears only, so it can't fail. The last endpoint that leaves a domain frees it. Devices
 * that were expected since a load, and never came, are expected no longer: the guest that relied on
 * them is gone.
 */
void iovageom_viommu_reset(struct iovageom_viommu *viommu, bool system)
{
    struct iovageom_endpoint *endpoint, *next = iovageom_endpoint_after(viommu, NULL);

    while ((endpoint = next) != NULL) {
        next = iovageom_endpoint_after(viommu, endpoint);
        endpoint->expected = false;
        iovageom_domain_leave(viommu, endpoint);
        iovageom_promise_set(viommu, endpoint, NULL, 0);
        iovageom_group_forgive(viommu, endpoint->group);
        if (endpoint->kind == IOVAGEOM_ENDPOINT_DEVICE && endpoint->first == NULL)
            iovageom_endpoint_drop(viommu, endpoint);
    }
    change_groups(viommu);
    viommu->accepted = viommu->config.features;
    if (system)
        viommu->bypass = viommu->config.boot_bypass;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "iovageom_ch.h"

#include <errno.h>
#include <stdlib.h>

#include <iovageom/iovageom.h>

enum {
    FEATURES = IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_MAP_UNMAP |
               IOVAGEOM_VIRTIO_F_PROBE | IOVAGEOM_VIRTIO_F_BYPASS_CONFIG,
    /* cloud-hypervisor's MAX_MAPPINGS_PER_DOMAIN and MAX_DOMAINS: what a guest can make it keep. */
    MAX_DOMAIN_MAPPINGS = 1 << 20,
    MAX_DOMAINS = 1 << 16
};

struct iovageom_ch {
    struct iovageom_viommu *viommu;
    struct iovageom_viommu_transaction transaction;
    struct iovageom_report report;
};

int iovageom_ch_new(uint64_t msi_start, uint64_t msi_last, uint32_t address_width_bits,
                    struct iovageom_ch **out)
{
    const struct iovageom_range msi = {msi_start, msi_last};
    struct iovageom_viommu_config config;
    struct iovageom_ch *iommu;
    int rc;

    iovageom_viommu_config_init(&config);
    config.features = FEATURES;
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    config.max_domain_mappings = MAX_DOMAIN_MAPPINGS;
    config.max_domains = MAX_DOMAINS;
    rc = iovageom_range_from_gaw(address_width_bits, &config.input_range);
    if (rc < 0) {
        return rc;
    }
    iommu = calloc(1, sizeof(*iommu));
    if (!iommu) {
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    iovageom_report_init(&iommu->report, NULL);
    rc = iovageom_viommu_new(NULL, &config, &iommu->viommu);
    if (rc == 0) {
        rc = iovageom_viommu_add_region(iommu->viommu, msi, IOVAGEOM_RESV_MSI,
                                        IOVAGEOM_SOURCE_MACHINE, "msi_iova_space");
    }
    if (rc < 0) {
        iovageom_ch_free(iommu);
        return rc;
    }
    *out = iommu;
    return 0;
}

void iovageom_ch_free(struct iovageom_ch *iommu)
{
    if (iommu) {
        iovageom_viommu_free(iommu->viommu);
        iovageom_report_deinit(&iommu->report);
        free(iommu);
    }
}

static int read_host(const struct iovageom_ch_host *host, struct iovageom_geometry **out)
{
    struct iovageom_geometry *geometry;
    size_t needed;
    int rc = iovageom_geometry_new(NULL, host->name, &geometry);

    if (rc < 0) {
        return rc;
    }
    if (host->vfio_info) {
        rc = iovageom_host_vfio_info(host->vfio_info, host->vfio_info_size, &needed, geometry);
    }
    if (rc == 0 && host->address_width != 0) {
        rc = iovageom_geometry_add_gaw(geometry, host->address_width, IOVAGEOM_SOURCE_OTHER);
    }
    if (rc < 0) {
        iovageom_geometry_free(geometry);
        return rc;
    }
    *out = geometry;
    return 0;
}

int iovageom_ch_add(struct iovageom_ch *iommu, uint32_t device_id,
                    const struct iovageom_ch_host *host)
{
    struct iovageom_geometry *geometry;
    int rc;

    iovageom_report_clear(&iommu->report);
    rc = read_host(host, &geometry);
    if (rc < 0) {
        return rc;
    }
    rc = iovageom_viommu_plug(iommu->viommu, device_id, NULL, geometry, &iommu->report);
    iovageom_geometry_free(geometry);
    return rc;
}

int iovageom_ch_remove(struct iovageom_ch *iommu, uint32_t device_id)
{
    iovageom_report_clear(&iommu->report);
    return iovageom_viommu_unplug(iommu->viommu, device_id);
}

int iovageom_ch_add_emulated(struct iovageom_ch *iommu, uint32_t device_id)
{
    return iovageom_viommu_declare(iommu->viommu, device_id, IOVAGEOM_VIOMMU_OWN,
                                   IOVAGEOM_ENDPOINT_EMULATED, &iommu->report);
}

int iovageom_ch_declare(struct iovageom_ch *iommu, uint32_t device_id)
{
    return iovageom_viommu_declare(iommu->viommu, device_id, IOVAGEOM_VIOMMU_OWN,
                                   IOVAGEOM_ENDPOINT_SLOT, &iommu->report);
}

int iovageom_ch_set_floor(struct iovageom_ch *iommu, const struct iovageom_ch_host *host)
{
    struct iovageom_geometry *envelope;
    int rc;

    iovageom_report_clear(&iommu->report);
    rc = read_host(host, &envelope);
    if (rc == 0) {
        rc = iovageom_viommu_set_envelope(iommu->viommu, envelope, &iommu->report);
        iovageom_geometry_free(envelope);
    }
    return rc;
}

int iovageom_ch_config(const struct iovageom_ch *iommu, uint8_t out[40])
{
    struct iovageom_virtio_config space;
    int rc = iovageom_viommu_config_space(iommu->viommu, &space);

    return rc < 0 ? rc : iovageom_virtio_encode_config(&space, out);
}

uint64_t iovageom_ch_features(void)
{
    return FEATURES;
}

int iovageom_ch_driver_features(struct iovageom_ch *iommu, uint64_t accepted)
{
    uint32_t features = (uint32_t)(accepted & FEATURES);
    int rc = iovageom_viommu_driver_features_check(iommu->viommu, features, &iommu->report);

    if (rc == 0) {
        iovageom_viommu_driver_features(iommu->viommu, features);
    }
    return rc;
}

int iovageom_ch_set_bypass(struct iovageom_ch *iommu, uint8_t value)
{
    /* The specification has the device ignore bits 1 to 7 (N10). */
    return iovageom_viommu_set_bypass(iommu->viommu, value & 1, &iommu->report);
}

static void describe(const struct iovageom_ch *iommu, struct iovageom_ch_step *step)
{
    const struct iovageom_virtio_request *request = &iommu->transaction.request;

    step->domain = request->domain;
    step->endpoint = request->endpoint;
    step->start = request->virt.start;
    step->last = request->virt.last;
    step->gpa = request->phys;
    step->bypass = request->type == IOVAGEOM_VIRTIO_T_ATTACH &&
                   (request->flags & IOVAGEOM_VIRTIO_ATTACH_F_BYPASS) != 0;
    switch (request->type) {
    case IOVAGEOM_VIRTIO_T_MAP:
        step->work = IOVAGEOM_CH_MAP;
        break;
    case IOVAGEOM_VIRTIO_T_UNMAP:
        step->work = IOVAGEOM_CH_UNMAP;
        break;
    case IOVAGEOM_VIRTIO_T_ATTACH:
        step->attached = iovageom_ch_domain_of(iommu, request->endpoint, &step->from_domain);
        if (!step->attached || step->from_domain != request->domain) {
            step->work = IOVAGEOM_CH_ATTACH;
        }
        break;
    case IOVAGEOM_VIRTIO_T_DETACH:
        step->work = IOVAGEOM_CH_DETACH;
        break;
    default:
        break;
    }
}

void iovageom_ch_parse(struct iovageom_ch *iommu, const uint8_t *readable, size_t readable_size,
                       size_t writable_size, struct iovageom_ch_step *step)
{
    const struct iovageom_ch_step none = {0};

    *step = none;
    iovageom_viommu_request_begin(iommu->viommu, readable, readable_size, writable_size,
                                  &iommu->transaction, &iommu->report);
    if (iommu->transaction.answered && iommu->transaction.status == IOVAGEOM_OK) {
        describe(iommu, step);
    }
}

size_t iovageom_ch_finish(struct iovageom_ch *iommu, bool worked, uint8_t *writable,
                          size_t writable_size)
{
    const struct iovageom_virtio_request *request = &iommu->transaction.request;
    int veto = 0;

    if (!worked) {
        veto = iovageom_report_host_refused(&iommu->report, EIO, request->domain, IOVAGEOM_ID_NONE,
                                            request->virt);
    }
    return iovageom_viommu_request_end(iommu->viommu, &iommu->transaction, veto, writable,
                                       writable_size, &iommu->report);
}

bool iovageom_ch_next_mapping(const struct iovageom_ch *iommu, uint32_t domain, uint64_t from,
                              uint64_t last, struct iovageom_ch_mapping *out)
{
    struct iovageom_mapping mapping;

    if (!iovageom_viommu_mapping_next(iommu->viommu, domain, from, &mapping) ||
        mapping.range.start > last) {
        return false;
    }
    out->start = mapping.range.start;
    out->last = mapping.range.last;
    out->gpa = mapping.phys;
    return true;
}

bool iovageom_ch_next_endpoint(const struct iovageom_ch *iommu, uint32_t domain, uint64_t previous,
                               uint32_t *out)
{
    return iovageom_viommu_domain_endpoint(iommu->viommu, domain, previous, out);
}

bool iovageom_ch_domain_of(const struct iovageom_ch *iommu, uint32_t device_id, uint32_t *domain)
{
    struct iovageom_viommu_endpoint endpoint;

    if (iovageom_viommu_endpoint(iommu->viommu, device_id, &endpoint) < 0 ||
        endpoint.domain == IOVAGEOM_ID_NONE) {
        return false;
    }
    *domain = (uint32_t)endpoint.domain;
    return true;
}

bool iovageom_ch_translate(const struct iovageom_ch *iommu, uint32_t device_id, uint64_t address,
                           uint64_t size, bool write, uint64_t *gpa)
{
    uint32_t access = write ? IOVAGEOM_VIRTIO_MAP_F_WRITE : IOVAGEOM_VIRTIO_MAP_F_READ;
    struct iovageom_segment parts[16]; /* more than one where permissions differ */
    struct iovageom_range range = {address, address + (size - 1)};
    size_t count;

    if (size == 0 || size - 1 > UINT64_MAX - address) {
        return false;
    }
    if (iovageom_viommu_translate(iommu->viommu, device_id, range, access, parts, 16, &count,
                                  NULL) < 0 ||
        size - 1 > UINT64_MAX - parts[0].phys) {
        return false;
    }
    for (size_t i = 1; i < count; i++) {
        if (parts[i].phys - parts[0].phys != parts[i].range.start - address) {
            return false; /* mapped, but not to what follows in guest memory */
        }
    }
    *gpa = parts[0].phys;
    return true;
}

int iovageom_ch_save(const struct iovageom_ch *iommu, uint8_t *out, size_t size, size_t *needed)
{
    return iovageom_viommu_save(iommu->viommu, out, size, needed);
}

int iovageom_ch_load(struct iovageom_ch *iommu, const uint8_t *bytes, size_t size)
{
    return iovageom_viommu_load(iommu->viommu, bytes, size, 0, &iommu->report);
}

const char *iovageom_ch_why(const struct iovageom_ch *iommu)
{
    return iovageom_report_text(&iommu->report);
}

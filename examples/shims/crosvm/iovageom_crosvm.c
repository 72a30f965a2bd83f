/* SPDX-License-Identifier: BSD-3-Clause */
#include "iovageom_crosvm.h"

#include <stdlib.h>

#include <iovageom/iovageom.h>

struct iovageom_crosvm {
    struct iovageom_viommu *viommu;
    struct iovageom_report report;
};

int iovageom_crosvm_new(uint64_t page_size, uint64_t msi_start, uint64_t msi_last,
                        struct iovageom_crosvm **out)
{
    struct iovageom_crosvm *books = calloc(1, sizeof(*books));
    struct iovageom_viommu_config config;
    const struct iovageom_range msi = {msi_start, msi_last};
    int rc;

    if (!books) {
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    iovageom_report_init(&books->report, NULL);
    iovageom_viommu_config_init(&config);
    config.page_size_mask = iovageom_pgsize_from_alignment(page_size);
    config.features =
        IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_PROBE;
    config.boot_bypass = 0;
    /* PROBE says what a guest must not use; a narrower input range tells those that don't probe. */
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    rc = iovageom_viommu_new(NULL, &config, &books->viommu);
    if (rc == 0 && iovageom_range_valid(msi)) {
        rc = iovageom_viommu_add_region(books->viommu, msi, IOVAGEOM_RESV_MSI,
                                        IOVAGEOM_SOURCE_MACHINE, "msi");
    }
    if (rc < 0) {
        iovageom_crosvm_free(books);
        return rc;
    }
    *out = books;
    return 0;
}

void iovageom_crosvm_free(struct iovageom_crosvm *books)
{
    if (books) {
        iovageom_viommu_free(books->viommu);
        iovageom_report_deinit(&books->report);
        free(books);
    }
}

static int read_host(const struct iovageom_crosvm_host *host, struct iovageom_geometry **out)
{
    struct iovageom_geometry *geometry;
    struct iovageom_range *ranges = NULL;
    int rc = iovageom_geometry_new(NULL, host->name, &geometry);

    if (rc < 0) {
        return rc;
    }
    if (host->ranges) {
        ranges = calloc(host->range_count ? host->range_count : 1, sizeof(*ranges));
        rc = ranges ? 0 : IOVAGEOM_ERR_NO_MEMORY;
        for (size_t i = 0; rc == 0 && i < host->range_count; i++) {
            ranges[i].start = host->ranges[2 * i];
            ranges[i].last = host->ranges[2 * i + 1];
        }
        if (rc == 0) {
            rc = iovageom_geometry_add_usable(geometry, ranges, host->range_count,
                                              IOVAGEOM_SOURCE_VFIO);
        }
        free(ranges);
    }
    if (rc == 0 && host->page_mask_known) {
        rc = iovageom_geometry_add_page_sizes(geometry, host->page_mask, IOVAGEOM_SOURCE_VFIO);
    }
    if (rc < 0) {
        iovageom_geometry_free(geometry);
        return rc;
    }
    *out = geometry;
    return 0;
}

int iovageom_crosvm_add_endpoint(struct iovageom_crosvm *books, uint32_t endpoint,
                                 const struct iovageom_crosvm_host *host)
{
    struct iovageom_viommu_where where;
    struct iovageom_geometry *geometry;
    int rc;

    iovageom_report_clear(&books->report);
    rc = read_host(host, &geometry);
    if (rc < 0) {
        return rc;
    }
    iovageom_viommu_where_init(&where);
    where.container = host->container;
    rc = iovageom_viommu_plug(books->viommu, endpoint, &where, geometry, &books->report);
    iovageom_geometry_free(geometry);
    return rc;
}

int iovageom_crosvm_remove_endpoint(struct iovageom_crosvm *books, uint32_t endpoint)
{
    iovageom_report_clear(&books->report);
    return iovageom_viommu_unplug(books->viommu, endpoint);
}

static void undeclare(struct iovageom_crosvm *books, uint64_t first, uint64_t end)
{
    while (end-- > first) {
        iovageom_viommu_undeclare(books->viommu, (uint32_t)end);
    }
}

int iovageom_crosvm_declare(struct iovageom_crosvm *books, uint32_t first, uint32_t last,
                            const struct iovageom_crosvm_host *floor)
{
    struct iovageom_geometry *envelope;
    uint64_t endpoint = first;
    int rc = first <= last ? 0 : IOVAGEOM_ERR_INVERTED;

    iovageom_report_clear(&books->report);
    while (rc == 0 && endpoint <= last) {
        rc = iovageom_viommu_declare(books->viommu, (uint32_t)endpoint, IOVAGEOM_VIOMMU_OWN,
                                     IOVAGEOM_ENDPOINT_SLOT, &books->report);
        endpoint += rc == 0;
    }
    if (rc == 0 && floor) {
        rc = read_host(floor, &envelope);
        if (rc == 0) {
            rc = iovageom_viommu_set_envelope(books->viommu, envelope, &books->report);
            iovageom_geometry_free(envelope);
        }
    }
    if (rc < 0) {
        undeclare(books, first, endpoint);
    }
    return rc;
}

int iovageom_crosvm_config(const struct iovageom_crosvm *books, struct iovageom_crosvm_config *out)
{
    struct iovageom_virtio_config space;
    int rc = iovageom_viommu_config_space(books->viommu, &space);

    if (rc < 0) {
        return rc;
    }
    out->page_size_mask = space.page_size_mask;
    out->input_start = space.input_range.start;
    out->input_last = space.input_range.last;
    out->features =
        IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_PROBE;
    out->probe_size = space.probe_size;
    out->reserved = 0;
    return 0;
}

int iovageom_crosvm_activate(struct iovageom_crosvm *books)
{
    iovageom_report_clear(&books->report);
    return iovageom_viommu_freeze(books->viommu, &books->report);
}

uint8_t iovageom_crosvm_attach(struct iovageom_crosvm *books, uint32_t domain, uint32_t endpoint,
                               const uint8_t reserved[8])
{
    uint32_t flags = 0;

    iovageom_report_clear(&books->report);
    /* The first four bytes are what the specification now calls flags. */
    for (unsigned i = 0; i < 4; i++) {
        flags |= (uint32_t)reserved[i] << (8 * i);
        if (reserved[4 + i] != 0) {
            return IOVAGEOM_VIRTIO_S_INVAL;
        }
    }
    return iovageom_viommu_attach(books->viommu, domain, endpoint, flags, &books->report);
}

uint8_t iovageom_crosvm_detach(struct iovageom_crosvm *books, uint32_t domain, uint32_t endpoint)
{
    return iovageom_viommu_detach(books->viommu, domain, endpoint, &books->report);
}

static void fill(struct iovageom_crosvm_mapping *todo, const struct iovageom_mapping *mapping)
{
    todo->iova = mapping->range.start;
    todo->last = mapping->range.last;
    todo->gpa = mapping->phys;
    todo->read = (mapping->flags & IOVAGEOM_VIRTIO_MAP_F_READ) != 0;
    todo->write = (mapping->flags & IOVAGEOM_VIRTIO_MAP_F_WRITE) != 0;
}

uint8_t iovageom_crosvm_map(struct iovageom_crosvm *books, uint32_t domain, uint64_t virt_start,
                            uint64_t virt_end, uint64_t phys_start, uint32_t flags,
                            struct iovageom_crosvm_mapping *todo)
{
    const struct iovageom_mapping mapping = {{virt_start, virt_end}, phys_start, flags};
    uint8_t status = iovageom_viommu_map(books->viommu, domain, mapping.range, phys_start, flags,
                                         &books->report);

    if (status == IOVAGEOM_VIRTIO_S_OK) {
        fill(todo, &mapping);
    }
    return status;
}

void iovageom_crosvm_map_undo(struct iovageom_crosvm *books, uint32_t domain, uint64_t virt_start,
                              uint64_t virt_end)
{
    const struct iovageom_range range = {virt_start, virt_end};

    iovageom_viommu_map_undo(books->viommu, domain, range);
}

uint8_t iovageom_crosvm_unmap_check(struct iovageom_crosvm *books, uint32_t domain,
                                    uint64_t virt_start, uint64_t virt_end)
{
    const struct iovageom_range range = {virt_start, virt_end};

    return iovageom_viommu_unmap_check(books->viommu, domain, range, &books->report);
}

bool iovageom_crosvm_unmap_next(const struct iovageom_crosvm *books, uint32_t domain, uint64_t from,
                                uint64_t virt_end, struct iovageom_crosvm_mapping *todo)
{
    struct iovageom_mapping mapping;

    if (!iovageom_viommu_mapping_next(books->viommu, domain, from, &mapping) ||
        mapping.range.start > virt_end) {
        return false;
    }
    fill(todo, &mapping);
    return true;
}

uint8_t iovageom_crosvm_unmap(struct iovageom_crosvm *books, uint32_t domain, uint64_t virt_start,
                              uint64_t virt_end)
{
    const struct iovageom_range range = {virt_start, virt_end};

    return iovageom_viommu_unmap(books->viommu, domain, range, NULL, &books->report);
}

uint8_t iovageom_crosvm_probe(struct iovageom_crosvm *books, uint32_t endpoint, uint8_t *properties,
                              size_t size)
{
    size_t needed;

    return iovageom_viommu_probe(books->viommu, endpoint, properties, size, &needed,
                                 &books->report);
}

const char *iovageom_crosvm_why(const struct iovageom_crosvm *books)
{
    return iovageom_report_text(&books->report);
}

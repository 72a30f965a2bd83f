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

/*
 * Type and id in one number, without loss: no two containers share one, and none is that of an
 * endpoint without. The library's numbers end at 2^62-1.
 */
static int container_of(const struct iovageom_crosvm_host *host, uint64_t *container)
{
    if (!host->container_known) {
        *container = IOVAGEOM_VIOMMU_OWN;
        return 0;
    }
    if (host->container_type >= IOVAGEOM_CROSVM_TYPES) {
        return IOVAGEOM_ERR_INVALID;
    }
    *container = (uint64_t)host->container_type << 32 | host->container_id;
    return 0;
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
    struct iovageom_plug_options where;
    struct iovageom_geometry *geometry;
    int rc;

    iovageom_report_clear(&books->report);
    iovageom_plug_options_init(&where);
    rc = container_of(host, &where.address_space);
    if (rc == 0) {
        rc = read_host(host, &geometry);
    }
    if (rc < 0) {
        return rc;
    }
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

/* Says why the shim itself refuses, and gives `status` back. */
static uint8_t refuse(struct iovageom_crosvm *books, uint8_t status, uint32_t endpoint,
                      uint32_t domain, const char *detail)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, IOVAGEOM_ERR_CONFLICT);

    finding.endpoint = endpoint;
    finding.domain = domain;
    finding.detail = detail;
    iovageom_report_clear(&books->report);
    iovageom_report_add(&books->report, &finding);
    return status;
}

/* Whether another endpoint on the page tables of `endpoint` is in `domain`, or (not `in`) in any
   other one. Goes through all of them, as crosvm does. */
static bool container_is(const struct iovageom_crosvm *books, uint32_t endpoint, uint32_t domain,
                         bool in)
{
    struct iovageom_viommu_endpoint self;
    struct iovageom_viommu_endpoint other;
    uint64_t from = 0;

    if (iovageom_viommu_endpoint(books->viommu, endpoint, &self) < 0 ||
        self.address_space == IOVAGEOM_VIOMMU_OWN) {
        return false;
    }
    while (from <= UINT32_MAX &&
           iovageom_viommu_endpoint_next(books->viommu, (uint32_t)from, &other)) {
        if (other.endpoint != endpoint && other.address_space == self.address_space &&
            other.domain != IOVAGEOM_ID_NONE && (other.domain == domain) == in) {
            return true;
        }
        from = (uint64_t)other.endpoint + 1;
    }
    return false;
}

uint8_t iovageom_crosvm_attach(struct iovageom_crosvm *books, uint32_t domain, uint32_t endpoint,
                               const uint8_t reserved[8])
{
    uint32_t flags = 0;
    uint8_t status;

    /* The first four bytes are what the specification now calls flags. */
    for (unsigned i = 0; i < 4; i++) {
        flags |= (uint32_t)reserved[i] << (8 * i);
        if (reserved[4 + i] != 0) {
            return refuse(books, IOVAGEOM_VIRTIO_S_INVAL, endpoint, domain,
                          "a reserved byte of the ATTACH request is not 0 (N24)");
        }
    }
    status = iovageom_status_virtio(
        iovageom_viommu_attach_check(books->viommu, domain, endpoint, flags, &books->report));
    if (status != IOVAGEOM_VIRTIO_S_OK) {
        return status;
    }
    if (container_is(books, endpoint, domain, false)) {
        return refuse(books, IOVAGEOM_VIRTIO_S_UNSUPP, endpoint, domain,
                      "another endpoint on the same host page tables is in another domain (N27)");
    }
    return iovageom_status_virtio(
        iovageom_viommu_attach(books->viommu, domain, endpoint, flags, &books->report));
}

uint8_t iovageom_crosvm_detach(struct iovageom_crosvm *books, uint32_t domain, uint32_t endpoint)
{
    uint8_t status = iovageom_status_virtio(
        iovageom_viommu_detach_check(books->viommu, domain, endpoint, &books->report));

    if (status != IOVAGEOM_VIRTIO_S_OK) {
        return status;
    }
    if (container_is(books, endpoint, domain, true)) {
        return refuse(books, IOVAGEOM_VIRTIO_S_UNSUPP, endpoint, domain,
                      "another endpoint on the same host page tables stays in the domain (N34)");
    }
    return iovageom_status_virtio(
        iovageom_viommu_detach(books->viommu, domain, endpoint, &books->report));
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
    uint8_t status = iovageom_status_virtio(iovageom_viommu_map(
        books->viommu, domain, mapping.range, phys_start, flags, &books->report));

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

    return iovageom_status_virtio(
        iovageom_viommu_unmap_check(books->viommu, domain, range, &books->report));
}

bool iovageom_crosvm_unmap_next(const struct iovageom_crosvm *books, uint32_t domain, uint64_t from,
                                uint64_t virt_end, struct iovageom_crosvm_mapping *todo)
{
    const struct iovageom_range range = {from, virt_end};
    struct iovageom_range run;

    if (!iovageom_viommu_run_next(books->viommu, domain, range, from, &run)) {
        return false;
    }
    todo->iova = run.start;
    todo->last = run.last;
    return true;
}

uint8_t iovageom_crosvm_unmap(struct iovageom_crosvm *books, uint32_t domain, uint64_t virt_start,
                              uint64_t virt_end)
{
    const struct iovageom_range range = {virt_start, virt_end};

    return iovageom_status_virtio(
        iovageom_viommu_unmap(books->viommu, domain, range, NULL, &books->report));
}

uint8_t iovageom_crosvm_probe(struct iovageom_crosvm *books, uint32_t endpoint, uint8_t *properties,
                              size_t size)
{
    size_t needed;

    return iovageom_status_virtio(
        iovageom_viommu_probe(books->viommu, endpoint, properties, size, &needed, &books->report));
}

const char *iovageom_crosvm_why(const struct iovageom_crosvm *books)
{
    return iovageom_report_text(&books->report);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Can this destination take the guest over? Only if its host keeps what the guest was promised, and
 * maps what is mapped. The source saves what the guest relies on; a destination, set up with the
 * device that it has, tries those bytes in a dry run, before the guest is stopped.
 */
#include <stdio.h>
#include <stdlib.h>

#include <iovageom/viommu.h>

enum { ENDPOINT = 0x100, DOMAIN = 1 };

/* A program of its own may end here; a VMM would hand the status up. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", iovageom_status_string(status));
        exit(1);
    }
}

/* A virtual IOMMU with a device, as a VMM sets it up on a host of that many bits. */
static struct iovageom_viommu *set_up(const char *device, unsigned bits)
{
    struct iovageom_geometry *geometry;
    struct iovageom_viommu *viommu;

    must(iovageom_geometry_new(NULL, device, &geometry));
    must(iovageom_geometry_add_gaw(geometry, bits, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_viommu_new(NULL, NULL, &viommu));
    must(iovageom_viommu_plug(viommu, ENDPOINT, NULL, geometry, NULL)); /* copies it */
    iovageom_geometry_free(geometry);
    return viommu;
}

static void try_destination(const char *device, unsigned bits, const void *bytes, size_t size)
{
    struct iovageom_viommu *destination = set_up(device, bits);
    struct iovageom_report report;

    iovageom_report_init(&report, NULL);
    int rc = iovageom_viommu_load(destination, bytes, size, IOVAGEOM_LOAD_CHECK, &report);
    if (rc != IOVAGEOM_ERR_CONFLICT) /* not fit: that is an answer, too */
        must(rc);
    printf("a destination of %u bits: %s\n", bits,
           rc < 0 ? iovageom_report_text(&report) : "fit for this guest");
    iovageom_report_deinit(&report);
    iovageom_viommu_free(destination);
}

int main(void)
{
    const struct iovageom_range page = {0xfffffffff000, 0xffffffffffff};
    struct iovageom_viommu *source = set_up("0000:3b:00.0", 48);
    uint8_t properties[512];
    size_t size = 0;
    void *bytes;

    /* The guest on the source probes, attaches, and maps the highest page that it may. */
    must(iovageom_viommu_probe(source, ENDPOINT, properties, sizeof(properties), NULL, NULL));
    must(iovageom_viommu_attach(source, DOMAIN, ENDPOINT, 0, NULL));
    must(iovageom_viommu_map(source, DOMAIN, page, 0, IOVAGEOM_VIRTIO_MAP_F_WRITE, NULL));

    /* Without a buffer, save says how large one has to be. */
    int rc = iovageom_viommu_save(source, NULL, 0, &size);
    if (rc != IOVAGEOM_ERR_BUFFER_TOO_SMALL || (bytes = malloc(size)) == NULL)
        return 1;
    must(iovageom_viommu_save(source, bytes, size, NULL));
    iovageom_viommu_free(source);

    try_destination("0000:17:00.0", 57, bytes, size);
    try_destination("0000:00:02.0", 39, bytes, size);
    free(bytes);
    return 0;
}

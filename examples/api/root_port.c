/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A root port without ACS and the devices below it are one guest group, and Linux sets up the
 * group's DMA addresses from the PROBE of the first of them: the port. So the port is told from
 * boot on what they reserve, the device that is there and the one that may be plugged later.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <iovageom/viommu.h>

/* Endpoints as the guest calls them: here bus, device and function in a number. */
enum { PORT = 0x10, NIC = 0x100, SLOT = 0x108, GROUP = 1 };

/* A program of its own may end here; a VMM would hand the status up. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", iovageom_status_string(status));
        exit(1);
    }
}

/* The guest's PROBE. The request's bytes can be given as they are, too: see viommu_serve.h. */
static void probe(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_region told[512 / IOVAGEOM_VIRTIO_RESV_MEM_SIZE];
    uint8_t properties[512];
    size_t size, count;

    must(iovageom_viommu_probe(viommu, endpoint, properties, sizeof(properties), &size, NULL));
    must(
        iovageom_viommu_told(viommu, endpoint, told, sizeof(told) / sizeof(told[0]), &count, NULL));
    printf("endpoint 0x%" PRIx32 " is told in %zu bytes:\n", endpoint, size);
    for (size_t i = 0; i < count; i++)
        printf("  %s [0x%" PRIx64 ",0x%" PRIx64 "]\n",
               told[i].type == IOVAGEOM_RESV_MSI ? "MSI" : "RESERVED", told[i].range.start,
               told[i].range.last);
}

int main(void)
{
    const struct iovageom_range msi = {0xfee00000, 0xfeefffff}, hole = {0xa0000000, 0xa00fffff};
    struct iovageom_geometry *nic, *pool;
    struct iovageom_viommu *viommu;
    struct iovageom_plug_options options;

    /* What this device's host said, and what any that comes later can do at least. */
    must(iovageom_geometry_new(NULL, "0000:3b:00.0", &nic));
    must(iovageom_geometry_add_gaw(nic, 48, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_geometry_add_reserved(nic, hole, IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS));
    must(iovageom_geometry_new(NULL, "pool", &pool));
    must(iovageom_geometry_add_gaw(pool, 39, IOVAGEOM_SOURCE_ENVELOPE));
    must(iovageom_geometry_add_reserved(pool, msi, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_ENVELOPE));

    must(iovageom_viommu_new(NULL, NULL, &viommu));
    must(iovageom_viommu_set_envelope(viommu, pool, NULL));
    must(iovageom_viommu_declare(viommu, PORT, GROUP, IOVAGEOM_ENDPOINT_EMULATED, NULL));
    must(iovageom_viommu_declare(viommu, SLOT, GROUP, IOVAGEOM_ENDPOINT_SLOT, NULL));
    iovageom_plug_options_init(&options);
    options.guest_group = GROUP;
    must(iovageom_viommu_plug(viommu, NIC, &options, nic, NULL));
    probe(viommu, PORT);

    /* A device like those of the pool fits the slot: nothing that was told has to be taken back. */
    must(iovageom_viommu_plug(viommu, SLOT, NULL, pool, NULL));
    probe(viommu, SLOT);

    iovageom_viommu_free(viommu);
    iovageom_geometry_free(pool);
    iovageom_geometry_free(nic);
    return 0;
}

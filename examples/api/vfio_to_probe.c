/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From what Linux says of a device (VFIO_IOMMU_GET_INFO, and reserved_regions in sysfs) to the
 * properties with which a virtio-iommu answers the guest's PROBE.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/geometry.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_vfio.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

/* What Linux 6.12 answered on an Intel host of 39 bits. The ioctl is the caller's: see host_vfio.h
   for how to ask. */
/* clang-format off */
static const uint8_t vfio_answer[] = {
    0x78, 0, 0, 0, 3, 0, 0, 0, 0, 0x10, 0x20, 0x40, 0, 0, 0, 0, /* argsz, flags, page sizes */
    0x18, 0, 0, 0, 0, 0, 0, 0,                                  /* the first capability's place */
    2, 0, 1, 0, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,          /* dirty page tracking */
    0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0,
    3, 0, 1, 0, 0x48, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0,    /* 65535 mappings are left */
    1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,             /* two usable ranges: */
    0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xdf, 0xfe, 0, 0, 0, 0,
    0, 0, 0xf0, 0xfe, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0};
/* clang-format on */
static const char reserved_regions[] = "0x00000000fee00000 0x00000000feefffff msi\n";

/* A program of its own may end here; a VMM would hand the status up. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", iovageom_status_string(status));
        exit(1);
    }
}

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

int main(void)
{
    const struct iovageom_range everything = {0, IOVAGEOM_ADDRESS_MAX};
    struct iovageom_geometry *host;
    uint8_t properties[512]; /* as many as probe_size in the config space says */
    size_t size;

    must(iovageom_geometry_new(NULL, "0000:00:02.0", &host));
    must(iovageom_host_vfio_info(vfio_answer, sizeof(vfio_answer), NULL, host));
    must(iovageom_host_sysfs_reserved_regions(reserved_regions, strlen(reserved_regions),
                                              IOVAGEOM_SYSFS_STRICT, NULL, host));
    must(iovageom_virtio_encode_geometry(NULL, host, 4096, everything, properties,
                                         sizeof(properties), &size));
    iovageom_geometry_free(host);

    for (size_t at = 0; at < size; at += IOVAGEOM_VIRTIO_RESV_MEM_SIZE) {
        const uint8_t *property = properties + at; /* type, length, subtype, 3 reserved, range */

        for (size_t i = 0; i < IOVAGEOM_VIRTIO_RESV_MEM_SIZE; i++)
            printf("%02x%s", property[i], i % 8 == 7 ? "\n" : " ");
        printf("  %s [0x%" PRIx64 ",0x%" PRIx64 "]\n",
               property[4] == IOVAGEOM_VIRTIO_RESV_MSI ? "MSI" : "RESERVED", load64(property + 8),
               load64(property + 16));
    }
    return 0;
}

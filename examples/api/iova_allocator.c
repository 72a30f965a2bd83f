/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An allocator of I/O virtual addresses for a user-space driver: aligned, the highest free
 * addresses first, of what the host maps and the device reaches.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <iovageom/geometry.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>

/* A program of its own may end here; a driver would hand the status up. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", iovageom_status_string(status));
        exit(1);
    }
}

/* One set does it: what the host does not map is taken, like what was given away. */
static int iova_alloc(struct iovageom_rangeset *taken, struct iovageom_range limits, uint64_t size,
                      struct iovageom_range *out)
{
    int rc = iovageom_rangeset_hole(taken, limits, size, size, true, out); /* aligned to its size */

    return rc < 0 ? rc : iovageom_rangeset_insert(taken, *out);
}

static int iova_free(struct iovageom_rangeset *taken, struct iovageom_range range)
{
    return iovageom_rangeset_remove(taken, range);
}

int main(void)
{
    const struct iovageom_range everything = {0, IOVAGEOM_ADDRESS_MAX};
    const struct iovageom_range low = {0x1000, 0xffffffff}; /* 32 bits, and 0 stays free */
    const struct iovageom_range msi = {0xfee00000, 0xfeefffff};
    const uint64_t mib = (uint64_t)1 << 20, sizes[] = {4096, 16 * mib, 4096, 2 * mib};
    struct iovageom_geometry *host;
    struct iovageom_rangeset taken;
    struct iovageom_range range = everything;
    unsigned count = 0;
    int rc;

    must(iovageom_geometry_new(NULL, "0000:01:00.0", &host));
    must(iovageom_geometry_add_gaw(host, 39, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_geometry_add_reserved(host, msi, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS));
    must(iovageom_rangeset_init(&taken, NULL));
    must(iovageom_geometry_usable(host, 4096, &taken));
    must(iovageom_rangeset_complement(&taken, &taken, everything));
    iovageom_geometry_free(host);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        must(iova_alloc(&taken, low, sizes[i], &range));
        printf("%8" PRIu64 " bytes: [0x%" PRIx64 ",0x%" PRIx64 "]\n", sizes[i], range.start,
               range.last);
    }
    while ((rc = iova_alloc(&taken, low, 256 * mib, &range)) == IOVAGEOM_OK)
        count++;
    if (rc != IOVAGEOM_ERR_NOT_FOUND)
        must(rc);
    printf("%u times 256 MiB, then none is left below 4 GiB\n", count);
    must(iova_free(&taken, range)); /* the last one that there was */
    must(iova_alloc(&taken, low, 256 * mib, &range));
    printf("freed and given away again: [0x%" PRIx64 ",0x%" PRIx64 "]\n", range.start, range.last);

    iovageom_rangeset_deinit(&taken);
    return 0;
}

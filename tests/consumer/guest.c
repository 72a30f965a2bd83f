/* SPDX-License-Identifier: BSD-3-Clause */
/* What each consumer of iovageom-guest builds: the core encodes, and the guest reads it. */
#include <iovageom/geometry.h>
#include <iovageom/guest.h>

int main(void)
{
    const struct iovageom_range doorbells = {0xfee00000, 0xfeefffff}, all = {0, UINT64_MAX};
    struct iovageom_geometry *geometry;
    struct iovageom_region heard;
    uint8_t bytes[64];
    size_t size, count;

    if (iovageom_geometry_new(NULL, "host", &geometry) < 0)
        return 1;
    if (iovageom_geometry_add_reserved(geometry, doorbells, IOVAGEOM_RESV_MSI,
                                       IOVAGEOM_SOURCE_SYSFS) < 0 ||
        iovageom_virtio_encode_geometry(NULL, geometry, 1, all, bytes, sizeof(bytes), &size) < 0 ||
        iovageom_guest_decode_probe(bytes, sizeof(bytes), &heard, 1, &count) < 0)
        return 1;
    iovageom_geometry_free(geometry);
    return count != 1 || !iovageom_range_equal(heard.range, doorbells);
}

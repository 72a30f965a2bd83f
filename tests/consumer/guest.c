/* SPDX-License-Identifier: BSD-3-Clause */
/* What each consumer of iovageom-guest builds: the core encodes, and the guest reads it. */
#include <iovageom/guest.h>

int main(void)
{
    const struct iovageom_region told = {{0xfee00000, 0xfeefffff}, IOVAGEOM_RESV_MSI, 0};
    uint8_t bytes[64];
    struct iovageom_region heard;
    size_t size, count;

    if (iovageom_virtio_encode_probe(&told, 1, bytes, sizeof(bytes), &size) < 0 ||
        iovageom_guest_decode_probe(bytes, sizeof(bytes), &heard, 1, &count) < 0)
        return 1;
    return count != 1 || !iovageom_range_equal(heard.range, told.range);
}

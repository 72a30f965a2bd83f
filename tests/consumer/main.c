/* SPDX-License-Identifier: BSD-3-Clause */
/* What each consumer builds: one call into each kind of symbol that the library exports. */
#include <stdio.h>

#include <iovageom/iovageom.h>

int main(void)
{
    /* Through pointers, so that an inline function must be there as a symbol too. */
    bool (*overlaps)(struct iovageom_range, struct iovageom_range) = iovageom_range_overlaps;
    const struct iovageom_range low = {0, 0xfedfffff}, high = {0xfee00000, 0xfeefffff};
    struct iovageom_range aperture;

    if (iovageom_range_from_gaw(39, &aperture) != IOVAGEOM_OK || overlaps(low, high) ||
        !iovageom_range_contains(aperture, high))
        return 1;
    printf("libiovageom %s: %s\n", iovageom_version(), iovageom_status_string(IOVAGEOM_OK));
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON that iovageom-probe reads again: a host of a pool, and a promise. What is taken for a
 * geometry is one that can be asked, and says no more than the document does.
 */
#include "fuzz_program.h"

#include <iovageom/status.h>

#include "../../examples/host-probe/jsonin.h"

const char *program_name = "json_fuzz";

static void check_geometry(const struct iovageom_geometry *geometry)
{
    struct iovageom_rangeset usable;
    uint64_t granule = 0;

    fuzz_check(iovageom_rangeset_init(&usable, &lasting) == 0);
    fuzz_check(iovageom_geometry_usable(geometry, 1, &usable) == 0);
    if (iovageom_geometry_granule(geometry, &granule) == 0)
        fuzz_check(granule != 0 && (granule & (granule - 1)) == 0);
}

static void read_both(const char *words, size_t length)
{
    struct iovageom_geometry *promise;
    struct json_host host;

    if (json_read_host(words, length, &host) == NULL) {
        fuzz_check(host.assignable <= host.groups);
        fuzz_check((host.geometry != NULL) == (host.assignable != 0));
        if (host.geometry != NULL)
            check_geometry(host.geometry);
    }
    if (json_read_promise(words, length, &promise) == NULL)
        check_geometry(promise);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (setjmp(ended) == 0)
        read_both((const char *)data, size);
    free_kept();
    return 0;
}

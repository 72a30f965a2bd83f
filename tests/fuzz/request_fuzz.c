/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request from guest bytes: 8 bytes of sizes, then what the device reads. Whatever it holds, it
 * is described; and what is described whole is written again as it was, but for reserved bytes.
 */
#include "virtio/request.h"
#include "fuzz.h"

#include <iovageom/guest.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    size_t writable = fuzz_number(&input, 4), length, needed = 0;
    uint32_t probe_size = (uint32_t)fuzz_number(&input, 4);
    uint8_t *bytes = fuzz_bytes(&input, SIZE_MAX, &length), again[72];
    struct iovageom_virtio_request request;
    int status = iovageom_virtio_decode_request(bytes, length, writable, probe_size, &request);

    if (request.has_tail) {
        fuzz_check(request.type >= 1 && request.type <= 5);
        fuzz_check(request.tail_offset <= writable - 4);
        fuzz_check(request.used_length == request.tail_offset + 4);
        fuzz_check(request.tail_offset == request.properties_size);
        fuzz_check(request.properties_size <= probe_size);
        fuzz_check(request.type == IOVAGEOM_VIRTIO_T_PROBE || request.tail_offset == 0);
    } else {
        fuzz_check(request.used_length == 0 && request.tail_offset == 0);
        fuzz_check(status < 0 || request.type == IOVAGEOM_VIRTIO_T_PROBE);
    }
    if (status == 0) {
        fuzz_check(iovageom_guest_encode_request(&request, again, sizeof(again), &needed) == 0);
        fuzz_check(needed <= length);
        if (!request.head_reserved && !request.body_reserved)
            fuzz_check(memcmp(bytes, again, needed) == 0);
        else
            fuzz_check(memcmp(bytes, again, needed) != 0);
    }
    free(bytes);
    return 0;
}

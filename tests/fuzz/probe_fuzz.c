/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PROBE properties: 40 bytes of config space, then an answer. Read by the book and as Linux reads
 * it; what can be read can be told again, and says the same.
 */
#include "support/test_config.h"
#include "support/test_wire.h"
#include "fuzz.h"

#include <iovageom/guest.h>
#include <iovageom/plan_cover.h>
#include <iovageom/plan_probe.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#define MOST 512

static void tell_again(const struct iovageom_region *list, size_t count)
{
    const struct iovageom_range everything = {0, UINT64_MAX};
    struct iovageom_region wire[MOST + 1], back[MOST + 1], planned[MOST + 1];
    uint8_t bytes[(MOST + 1) * 24];
    struct iovageom_probe_plan plan;
    size_t told, needed, again;

    if (iovageom_virtio_wire_list(list, count, NULL, everything, wire, MOST + 1, &told) < 0)
        return; /* not in order, or it overlaps */
    fuzz_check(iovageom_wire_check(wire, told) == 0);
    fuzz_check(test_encode_probe(wire, told, bytes, sizeof(bytes), &needed) == 0);
    fuzz_check(needed == told * IOVAGEOM_VIRTIO_RESV_MEM_SIZE);
    fuzz_check(iovageom_guest_decode_probe(bytes, sizeof(bytes), back, MOST + 1, &again) == 0);
    fuzz_check(again == told);
    for (size_t i = 0; i < told; i++) {
        fuzz_check(iovageom_range_equal(wire[i].range, back[i].range));
        fuzz_check(wire[i].type == back[i].type);
    }
    for (size_t room = 0; room <= told + 1; room++) {
        int status = iovageom_plan_probe(wire, told, room * 24, planned, MOST + 1, &plan, NULL);

        /* One more where MSI lies above all of 32 bits, which are told in halves. */
        fuzz_check(status == 0 || room < 3 || plan.minimum_bytes == 4 * 24);
        if (status == 0)
            fuzz_check(plan.count <= room && iovageom_wire_check(planned, plan.count) == 0);
    }
}

/* What a list takes at most so many ranges to cover, covers it. */
static void cover_it(const struct iovageom_region *list, size_t count)
{
    struct iovageom_range ranges[MOST], cover[MOST];
    struct iovageom_size excess, least = {UINT64_MAX, UINT64_MAX};
    size_t found;
    int status;

    for (size_t i = 0; i < count; i++)
        ranges[i] = list[i].range;
    for (size_t most = 1; most <= count && most <= 8; most++) {
        status = iovageom_plan_cover(ranges, count, 1, most, cover, MOST, &found, &excess);
        if (status < 0)
            return; /* not in order, inverted, or it overlaps */
        fuzz_check(found <= most && iovageom_size_compare(excess, least) <= 0);
        least = excess;
        for (size_t i = 0, k = 0; i < count; i++) {
            while (k < found && cover[k].last < ranges[i].start)
                k++;
            fuzz_check(k < found && iovageom_range_contains(cover[k], ranges[i]));
        }
    }
}

static void let_linux_read(struct iovageom_virtio_config *config, const uint8_t *bytes, size_t size)
{
    struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
    struct iovageom_region device[MOST + 1], group[2 * (MOST + 1)];
    struct iovageom_range ranges[4 * MOST], got;
    struct iovageom_guestview_dma dma;
    size_t count, members = 0, range_count;
    int status;

    kernel.physical_32bit = config->bypass;
    config->probe_size = (uint32_t)size;
    if (iovageom_guestview_probe(&kernel, config, bytes, size, device, MOST + 1, &count, NULL) < 0)
        return;
    for (int twice = 0; twice < 2; twice++)
        fuzz_check(iovageom_guestview_group(group, 2 * (MOST + 1), &members, device, count) == 0);
    for (size_t i = 0; i + 1 < members; i++)
        fuzz_check(group[i].range.start <= group[i + 1].range.start);
    (void)iovageom_guestview_vfio(config->input_range, group, members, ranges, 4 * MOST,
                                  &range_count);
    if (iovageom_guestview_dma_init(&dma, NULL, config, device, count) < 0)
        return;
    for (uint64_t length = 1; length != 0; length <<= 9) {
        status = iovageom_guestview_dma_alloc(&dma, length, UINT64_MAX, &got);
        fuzz_check(status == 0 || status == IOVAGEOM_ERR_NOT_FOUND);
        if (status < 0)
            continue;
        fuzz_check(got.start != 0 && got.last - got.start >= length - 1);
        for (size_t i = 0; i < count; i++)
            fuzz_check(device[i].type == IOVAGEOM_RESV_SOFTWARE_MSI ||
                       !iovageom_range_valid(device[i].range) ||
                       !iovageom_range_overlaps(device[i].range, got));
    }
    iovageom_guestview_dma_deinit(&dma);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct iovageom_region list[MOST];
    struct iovageom_virtio_config config;
    struct iovageom_guest_property property;
    uint8_t *head, *bytes, again[40];
    size_t head_size, length, count, offset = 0, properties = 0;

    head = fuzz_bytes(&input, 40, &head_size);
    bytes = fuzz_bytes(&input, MOST * 24, &length);
    while (iovageom_guest_property_next(bytes, length, &offset, &property) == 0) {
        fuzz_check(property.offset + property.length == offset && offset <= length);
        properties++;
    }
    fuzz_check(properties <= length / 4);
    if (iovageom_guest_decode_probe(bytes, length, list, MOST, &count) == 0) {
        fuzz_check(count <= properties);
        tell_again(list, count);
        cover_it(list, count);
    }
    if (test_decode_config(head, head_size, &config) == 0) {
        fuzz_check(iovageom_virtio_encode_config(&config, again) == 0);
        fuzz_check(memcmp(head, again, 36) == 0);
        let_linux_read(&config, bytes, length);
    }
    free(head);
    free(bytes);
    return 0;
}

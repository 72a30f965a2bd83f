/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "player.h"

enum { REGIONS_MAX = 4096 };

/* Requests go the way of a real guest's: bytes in, bytes out. Returns the status, or -1. */
static int send_request(struct player *p, const struct iovageom_virtio_request *request,
                        uint8_t *properties, size_t properties_size)
{
    const size_t writable_size = properties_size + IOVAGEOM_VIRTIO_TAIL_SIZE;
    uint8_t *writable = calloc(1, writable_size);
    uint8_t bytes[128];
    size_t size, used;
    int status = -1;

    if (writable == NULL ||
        iovageom_guest_encode_request(request, bytes, sizeof(bytes), &size) != IOVAGEOM_OK)
        abort();
    used = iovageom_viommu_request(books(p), bytes, size, writable, writable_size, &p->report);
    if (used == 0) {
        say(p, "unanswered");
    } else {
        status = writable[used - IOVAGEOM_VIRTIO_TAIL_SIZE];
        say_virtio(p, (uint8_t)status);
        if (properties != NULL)
            memcpy(properties, writable, properties_size);
    }
    free(writable);
    return status;
}

void do_bypass(struct player *p)
{
    say_status(p, iovageom_viommu_set_bypass(books(p), need_switch(p), &p->report));
}

/* The property bytes that a PROBE is answered, allocated; NULL when it isn't OK. */
static uint8_t *probe(struct player *p, uint32_t endpoint, struct iovageom_virtio_config *space)
{
    struct iovageom_virtio_request request = {.type = IOVAGEOM_VIRTIO_T_PROBE,
                                              .endpoint = endpoint};
    uint8_t *properties;

    if (iovageom_viommu_freeze(books(p), NULL) != IOVAGEOM_OK ||
        iovageom_viommu_config_space(books(p), space) != IOVAGEOM_OK)
        abort();
    properties = malloc((size_t)space->probe_size + 1);
    if (properties == NULL)
        abort();
    if (send_request(p, &request, properties, space->probe_size) == IOVAGEOM_VIRTIO_S_OK)
        return properties;
    free(properties);
    return NULL;
}

void do_probe(struct player *p)
{
    const uint32_t endpoint = need_number32(p, "an endpoint");
    struct iovageom_region *regions;
    struct iovageom_virtio_config space;
    uint8_t *bytes = probe(p, endpoint, &space);
    size_t count = 0, room;

    if (bytes == NULL)
        return;
    room = space.probe_size / IOVAGEOM_VIRTIO_RESV_MEM_SIZE + 1;
    regions = calloc(room, sizeof(*regions));
    if (regions == NULL ||
        iovageom_guest_decode_probe(bytes, space.probe_size, regions, room, &count) != 0)
        abort();
    say(p, "OK, %zu bytes of %u", count * IOVAGEOM_VIRTIO_RESV_MEM_SIZE,
        (unsigned)space.probe_size);
    for (size_t i = 0; i < count; i++)
        add_range(p, iovageom_resv_type_string((enum iovageom_resv_type)regions[i].type),
                  regions[i].range);
    free(regions);
    free(bytes);
}

void do_attach(struct player *p)
{
    struct iovageom_virtio_request request = {.type = IOVAGEOM_VIRTIO_T_ATTACH};

    request.domain = need_number32(p, "a domain");
    request.endpoint = need_number32(p, "an endpoint");
    if (accept_word(p, "bypass"))
        request.flags = IOVAGEOM_VIRTIO_ATTACH_F_BYPASS;
    else if (accept_word(p, "flags"))
        request.flags = need_number32(p, "flags");
    send_request(p, &request, NULL, 0);
}

void do_detach(struct player *p)
{
    struct iovageom_virtio_request request = {.type = IOVAGEOM_VIRTIO_T_DETACH};

    request.domain = need_number32(p, "a domain");
    request.endpoint = need_number32(p, "an endpoint");
    send_request(p, &request, NULL, 0);
}

/* `map DOMAIN RANGE [to PHYS] [r|w|rw|flags N] [veto]`; veto: the host's own map fails. */
void do_map(struct player *p)
{
    struct iovageom_virtio_request request = {.type = IOVAGEOM_VIRTIO_T_MAP,
                                              .flags = IOVAGEOM_VIRTIO_MAP_F_READ |
                                                       IOVAGEOM_VIRTIO_MAP_F_WRITE};

    request.domain = need_number32(p, "a domain");
    request.virt = need_range(p, "a range");
    if (accept_word(p, "to"))
        request.phys = need_number(p, "a physical address");
    if (accept_word(p, "r"))
        request.flags = IOVAGEOM_VIRTIO_MAP_F_READ;
    else if (accept_word(p, "w"))
        request.flags = IOVAGEOM_VIRTIO_MAP_F_WRITE;
    else if (accept_word(p, "flags"))
        request.flags = need_number32(p, "flags");
    else
        (void)accept_word(p, "rw");
    if (accept_word(p, "veto")) {
        const uint8_t status = iovageom_status_virtio(iovageom_viommu_map(
            books(p), request.domain, request.virt, request.phys, request.flags, &p->report));

        if (status == IOVAGEOM_VIRTIO_S_OK)
            (void)iovageom_viommu_unmap(books(p), request.domain, request.virt, NULL, NULL);
        say(p, status == IOVAGEOM_VIRTIO_S_OK ? "undone" : "refused");
        return;
    }
    send_request(p, &request, NULL, 0);
}

void do_unmap(struct player *p)
{
    struct iovageom_virtio_request request = {.type = IOVAGEOM_VIRTIO_T_UNMAP};

    request.domain = need_number32(p, "a domain");
    request.virt = need_range(p, "a range");
    send_request(p, &request, NULL, 0);
}

static bool bypasses(struct player *p, uint32_t endpoint)
{
    struct iovageom_viommu_endpoint found;

    return iovageom_viommu_endpoint(books(p), endpoint, &found) == IOVAGEOM_OK && found.bypass != 0;
}

/* `access ENDPOINT ADDRESS [r|w|rw]`: what a DMA of the device meets. */
void do_access(struct player *p)
{
    const uint32_t endpoint = need_number32(p, "an endpoint");
    const uint64_t address = need_number(p, "an address");
    uint32_t flags = IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE;
    struct iovageom_segment to;
    int error;

    if (accept_word(p, "r"))
        flags = IOVAGEOM_VIRTIO_MAP_F_READ;
    else if (accept_word(p, "w"))
        flags = IOVAGEOM_VIRTIO_MAP_F_WRITE;
    else
        (void)accept_word(p, "rw");
    error = iovageom_viommu_translate(books(p), endpoint, (struct iovageom_range){address, address},
                                      flags, &to, 1, NULL, NULL);
    if (error != IOVAGEOM_OK) {
        say(p, "%s", error == IOVAGEOM_ERR_FAULT ? "fault mapping" : "fault domain");
        return;
    }
    say(p, bypasses(p, endpoint) ? "bypass" : "reaches");
    add_address(p, "at", to.phys);
}

/* `raw HEX... [writable N]`: the bytes as they are. */
void do_raw(struct player *p)
{
    uint8_t bytes[1024];
    uint8_t writable[4096];
    size_t size = 0, writable_size = IOVAGEOM_VIRTIO_TAIL_SIZE, used;

    while (more(p) && !accept_word(p, "writable")) {
        const char *text = need_word(p, "bytes");

        for (; text[0] != '\0'; text += 2) {
            char pair[3] = {text[0], text[1], '\0'};

            if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
                size == sizeof(bytes))
                fail_at(p, last_column(p), "bytes are pairs of hexadecimal digits");
            bytes[size++] = (uint8_t)strtoul(pair, NULL, 16);
        }
    }
    if (strcmp(p->words[p->at - 1].text, "writable") == 0)
        writable_size = (size_t)need_number(p, "a size");
    if (writable_size > sizeof(writable))
        fail_at(p, last_column(p), "there is room for %zu bytes", sizeof(writable));
    memset(writable, 0xee, sizeof(writable));
    used = iovageom_viommu_request(books(p), bytes, size, writable, writable_size, &p->report);
    if (used == 0)
        say(p, "unanswered");
    else
        say_virtio(p, writable[used - IOVAGEOM_VIRTIO_TAIL_SIZE]);
    add_number(p, "used length", used);
}

/* ---- what a Linux guest makes of it ---- */

static struct allocator *allocator_of(const struct player *p, uint32_t first)
{
    struct allocator *allocator = p->machine->allocators;

    while (allocator != NULL && allocator->first != first)
        allocator = allocator->next;
    return allocator;
}

static void set_up_dma(struct player *p, uint32_t first, const struct iovageom_virtio_config *space,
                       const struct iovageom_region *regions, size_t count, bool forcedac)
{
    struct allocator *allocator = calloc(1, sizeof(*allocator));

    if (allocator == NULL)
        abort();
    if (iovageom_guestview_dma_init(&allocator->dma, NULL, space, regions, count) != IOVAGEOM_OK) {
        free(allocator);
        return;
    }
    if (forcedac)
        allocator->dma.low_first = false;
    allocator->first = first;
    allocator->next = p->machine->allocators;
    p->machine->allocators = allocator;
}

/*
 * `linux ENDPOINT... [forcedac]`: a Linux guest finds these endpoints, in one group. It probes
 * each, and sets its allocator up from the first one alone, if it has none for it yet.
 */
void do_linux(struct player *p)
{
    const struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
    struct iovageom_region group[REGIONS_MAX], device[REGIONS_MAX], first[REGIONS_MAX];
    struct iovageom_range ranges[REGIONS_MAX + 1];
    struct iovageom_virtio_config space;
    size_t group_count = 0, first_count = 0, count, range_count = 0;
    uint32_t first_endpoint = 0;
    const int begin = p->at;
    bool forcedac;

    do {
        const uint32_t endpoint = need_number32(p, "an endpoint");
        const bool is_first = p->at == begin + 1;
        uint8_t *bytes = probe(p, endpoint, &space);
        int error;

        if (bytes == NULL)
            return;
        error = iovageom_guestview_probe(&kernel, &space, bytes, space.probe_size, device,
                                         REGIONS_MAX, &count, &p->report);
        free(bytes);
        if (error == IOVAGEOM_OK)
            error = iovageom_guestview_group(group, REGIONS_MAX, &group_count, device, count);
        if (error == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
            fail_at(p, 1, "a guest with more than %d regions is not played here", REGIONS_MAX);
        if (error != IOVAGEOM_OK) {
            say(p, "the guest gives up: %s", iovageom_status_string(error));
            return;
        }
        if (is_first) {
            first_endpoint = endpoint;
            first_count = count;
            memcpy(first, device, count * sizeof(*device));
        }
    } while (next_is_number(p));
    forcedac = accept_word(p, "forcedac");
    say(p, "OK");
    for (size_t i = 0; i < group_count; i++)
        add_range(p, iovageom_resv_type_string((enum iovageom_resv_type)group[i].type),
                  group[i].range);
    if (iovageom_guestview_vfio(space.input_range, group, group_count, ranges, REGIONS_MAX + 1,
                                &range_count) == IOVAGEOM_OK)
        for (size_t i = 0; i < range_count; i++)
            add_range(p, "VFIO range", ranges[i]);
    if (allocator_of(p, first_endpoint) == NULL)
        set_up_dma(p, first_endpoint, &space, first, first_count, forcedac);
}

/*
 * `dma ENDPOINT SIZE [times N]`: the guest's allocator hands out addresses for the group that
 * `linux ENDPOINT ...` set up, and they are mapped in the domain of that endpoint, as they come.
 */
void do_dma(struct player *p)
{
    const uint32_t endpoint = need_number32(p, "an endpoint");
    const uint64_t size = need_number(p, "a size");
    const uint64_t times = accept_word(p, "times") ? need_number(p, "a count") : 1;
    struct allocator *allocator = allocator_of(p, endpoint);
    struct iovageom_viommu_endpoint found;
    uint64_t done = 0;

    if (allocator == NULL)
        fail_at(p, 1, "no `linux` command has set up an allocator for that endpoint");
    if (iovageom_viommu_endpoint(books(p), endpoint, &found) != IOVAGEOM_OK ||
        found.domain == IOVAGEOM_ID_NONE) {
        say(p, "unattached");
        return;
    }
    for (; done < times; done++) {
        struct iovageom_virtio_request request = {.type = IOVAGEOM_VIRTIO_T_MAP,
                                                  .domain = (uint32_t)found.domain,
                                                  .flags = IOVAGEOM_VIRTIO_MAP_F_READ |
                                                           IOVAGEOM_VIRTIO_MAP_F_WRITE};

        if (iovageom_guestview_dma_alloc(&allocator->dma, size, UINT64_MAX, &request.virt) != 0) {
            say(p, "no room");
            break;
        }
        if (done < 3 || done == times - 1)
            add_range(p, "guest maps", request.virt);
        if (send_request(p, &request, NULL, 0) != IOVAGEOM_VIRTIO_S_OK)
            break;
    }
    add_number(p, "mapped", done);
}

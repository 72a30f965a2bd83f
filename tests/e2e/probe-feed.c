/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PROBE bytes for the guest-side case: random geometries, encoded by the library, and what
 * guestview says that a Linux guest makes of them.
 *
 *   probe-feed SEED COUNT AW_BITS FOLDER [WRONG]
 *   probe-feed host BITS FOLDER ENDPOINT WRONG...
 *
 * Writes FOLDER/ENDPOINT for the devices 00:02.0 and up (endpoint 0x10, 0x18, ...), and prints,
 * for each endpoint in hexadecimal:
 *
 *   ENDPOINT dead                 the guest refuses the device
 *   ENDPOINT resv START LAST TYPE a line of its sysfs
 *   ENDPOINT usable START LAST    a range that its VFIO reports
 *
 * "host" writes what a guest of a VT-d with that width is told, for the endpoint alone.
 *
 * With WRONG, one byte of each file differs from what was foretold: the test of the test.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/guest.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

enum { PROBE_SIZE = 512, MOST = 64 };

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (state * 0x2545f4914f6cdd1d >> 1) % below : state;
}

static void give_up(const char *what, int rc)
{
    fprintf(stderr, "probe-feed: %s: %s\n", what, iovageom_status_string(rc));
    exit(2);
}

/* What a host of some kind reserves. */
static struct iovageom_geometry *geometry(unsigned kind, unsigned bits)
{
    struct iovageom_geometry *out;
    struct iovageom_range msi = {0xfee00000, 0xfeefffff};
    unsigned windows = kind == 2 ? 20 : (unsigned)draw(6);
    int rc = iovageom_geometry_new(NULL, "random", &out);

    if (rc == IOVAGEOM_OK && kind != 1)
        rc = iovageom_geometry_add_reserved(out, msi, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS);
    if (rc == IOVAGEOM_OK && kind != 2 && draw(2))
        rc = iovageom_geometry_add_gaw(out, draw(2) ? 39 : 32 + (unsigned)draw(32),
                                       IOVAGEOM_SOURCE_VTD_REGISTERS);
    for (unsigned i = 0; rc == IOVAGEOM_OK && i < windows; i++) {
        uint64_t page = kind == 2 ? 0x100000 + i * 0x1000 + draw(0x800)
                                  : draw((uint64_t)1 << ((bits < 52 ? bits : 52) - 12));
        struct iovageom_range window = {page << 12, 0};

        window.last = window.start + (((draw(4) ? draw(0x800) : draw(0x80000)) + 1) << 12) - 1;
        if (kind == 2)
            window.last = window.start + 0xfff;
        /* A window may touch or overlap its neighbours; the top of 64 bits is met on purpose. */
        if (i == 0 && draw(8) == 0 && kind != 2)
            window.last = UINT64_MAX;
        rc = iovageom_geometry_add_reserved(out, window,
                                            draw(3) ? IOVAGEOM_RESV_RESERVED : IOVAGEOM_RESV_DIRECT,
                                            IOVAGEOM_SOURCE_SYSFS);
    }
    if (rc != IOVAGEOM_OK)
        give_up("geometry", rc);
    return out;
}

/* Something after the regions that the guest doesn't know, where there is room. */
static void add_stranger(uint8_t *bytes, size_t used, unsigned kind)
{
    static const uint8_t unknown[] = {2, 0, 4, 0, 1, 2, 3, 4};

    if (kind == 4 && used + sizeof(unknown) <= PROBE_SIZE)
        memcpy(bytes + used, unknown, sizeof(unknown));
    if (kind == 5 && used >= 24 && bytes[used - 20] == IOVAGEOM_VIRTIO_RESV_RESERVED)
        bytes[used - 20] = 7;
}

static void encode(unsigned kind, unsigned bits, uint8_t bytes[PROBE_SIZE])
{
    const struct iovageom_range window = {0, UINT64_MAX};
    struct iovageom_geometry *host = geometry(kind, bits);
    size_t needed;
    int rc =
        iovageom_virtio_encode_geometry(NULL, host, 0x1000, window, bytes, PROBE_SIZE, &needed);

    if (rc != IOVAGEOM_OK)
        give_up("encode", rc);
    add_stranger(bytes, needed, kind);
    iovageom_geometry_free(host);
}

static void foretell(unsigned endpoint, unsigned bits, const uint8_t bytes[PROBE_SIZE])
{
    struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
    struct iovageom_virtio_config config = {
        .page_size_mask = ~(uint64_t)0xfff, .domain_last = UINT32_MAX, .probe_size = PROBE_SIZE};
    struct iovageom_region device[MOST], group[MOST];
    struct iovageom_range usable[MOST];
    size_t n_device, n_group = 0, n_usable;

    iovageom_range_from_gaw(bits, &config.input_range);
    if (iovageom_guestview_probe(&kernel, &config, bytes, PROBE_SIZE, device, MOST, &n_device,
                                 NULL) < 0) {
        printf("%x dead\n", endpoint);
        return;
    }
    if (iovageom_guestview_group(group, MOST, &n_group, device, n_device) < 0)
        give_up("group", IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    for (size_t i = 0; i < n_group; i++)
        printf("%x resv 0x%016" PRIx64 " 0x%016" PRIx64 " %s\n", endpoint, group[i].range.start,
               group[i].range.last, group[i].type == IOVAGEOM_RESV_RESERVED ? "reserved" : "msi");
    if (iovageom_guestview_vfio(config.input_range, group, n_group, usable, MOST, &n_usable) < 0) {
        printf("%x none\n", endpoint);
        return;
    }
    for (size_t i = 0; i < n_usable; i++)
        printf("%x usable 0x%016" PRIx64 " 0x%016" PRIx64 "\n", endpoint, usable[i].start,
               usable[i].last);
}

static void write_bytes(const char *folder, unsigned endpoint, const uint8_t bytes[PROBE_SIZE])
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%x", folder, endpoint);
    file = fopen(path, "wb");
    if (!file || fwrite(bytes, PROBE_SIZE, 1, file) != 1 || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

/* What the end of the nested case expects, but for a byte of the second region's start. */
static int feed_host(unsigned bits, const char *folder, unsigned endpoint, bool wrong)
{
    const struct iovageom_range msi = {0xfee00000, 0xfeefffff}, window = {0, UINT64_MAX};
    struct iovageom_geometry *host;
    uint8_t bytes[PROBE_SIZE] = {0};
    size_t needed;
    int rc = iovageom_geometry_new(NULL, "host", &host);

    if (rc == IOVAGEOM_OK)
        rc = iovageom_geometry_add_reserved(host, msi, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS);
    if (rc == IOVAGEOM_OK)
        rc = iovageom_geometry_add_gaw(host, bits, IOVAGEOM_SOURCE_VTD_REGISTERS);
    if (rc == IOVAGEOM_OK)
        rc =
            iovageom_virtio_encode_geometry(NULL, host, 0x1000, window, bytes, PROBE_SIZE, &needed);
    if (rc != IOVAGEOM_OK)
        give_up("host", rc);
    iovageom_geometry_free(host);
    if (wrong)
        bytes[24 + 8 + 2] ^= 0x10;
    write_bytes(folder, endpoint, bytes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    if (!strcmp(argv[1], "host"))
        return feed_host((unsigned)atoi(argv[2]), argv[3], (unsigned)strtoul(argv[4], NULL, 16),
                         argc > 5);
    state = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15 + 1;
    unsigned count = (unsigned)atoi(argv[2]), bits = (unsigned)atoi(argv[3]);

    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[PROBE_SIZE] = {0};
        unsigned endpoint = (i + 2) << 3;

        encode(i % 7, bits, bytes);
        foretell(endpoint, bits, bytes);
        if (argc > 5)
            bytes[9] ^= 0x10;
        write_bytes(argv[4], endpoint, bytes);
    }
    return 0;
}

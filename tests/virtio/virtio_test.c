/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/guest.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "virtio/request.h"
#include "support/test_allocator.h"
#include "support/test_config.h"
#include "support/test_regions.h"
#include "support/test_wire.h"

#include <iovageom/geometry.h>

#define MAX          UINT64_MAX
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct iovageom_range everything = {0, MAX};
static const struct iovageom_range four_gib = {0, UINT32_MAX};

static struct iovageom_region region(uint64_t start, uint64_t last, uint32_t type)
{
    return (struct iovageom_region){{start, last}, type, 0};
}

/* Calls wire_list() with no owners, in a buffer and in place, and compares. */
static void check_wire(const struct iovageom_region *in, size_t in_count,
                       struct iovageom_range window, const struct iovageom_region *expected,
                       size_t count)
{
    struct iovageom_region out[16], in_place[16];
    size_t written = 77;

    assert_int_equal(
        iovageom_virtio_wire_list(in, in_count, NULL, window, out, COUNT(out), &written), 0);
    assert_regions(out, written, expected, count);
    assert_int_equal(iovageom_wire_check(out, written), 0);

    for (size_t i = 0; i < in_count; i++)
        in_place[i] = in[i];
    assert_int_equal(iovageom_virtio_wire_list(in_place, in_count, NULL, window, in_place,
                                               COUNT(in_place), &written),
                     0);
    assert_regions(in_place, written, expected, count);

    /* With no more room than there has to be, and with less: then nothing is written. */
    memset(out, 0x55, sizeof(out));
    written = 77;
    assert_int_equal(iovageom_virtio_wire_list(in, in_count, NULL, window, out, count, &written),
                     0);
    assert_regions(out, written, expected, count);
    assert_int_equal(out[count].type, 0x55555555);
    for (size_t room = 0; room < count; room++) {
        memset(out, 0x55, sizeof(out));
        written = 77;
        assert_int_equal(iovageom_virtio_wire_list(in, in_count, NULL, window, out, room, &written),
                         IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        assert_int_equal(written, count);
        assert_int_equal(out[0].type, 0x55555555);
    }
}

static void intel_host_is_48_bytes(void **state)
{
    uint8_t bytes[sizeof(test_intel_bytes)];
    struct iovageom_region back[2];
    size_t needed = 0, count = 0;

    (void)state;
    assert_int_equal(test_encode_probe(test_intel, 2, bytes, sizeof(bytes), &needed), 0);
    assert_int_equal(needed, 48);
    assert_memory_equal(bytes, test_intel_bytes, sizeof(test_intel_bytes));
    assert_int_equal(iovageom_guest_decode_probe(bytes, sizeof(bytes), back, 2, &count), 0);
    assert_regions(back, count, test_intel, 2);
}

static void n65_n66_n67_n73_layout_of_each_property(void **state)
{
    struct iovageom_region list[8];
    uint8_t bytes[8 * 24];
    size_t needed;

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        list[i] = region(i * 0x10000, i * 0x10000 + 0xfff,
                         i == 3 ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(test_encode_probe(list, 8, bytes, sizeof(bytes), &needed), 0);
    for (unsigned i = 0; i < 8; i++) {
        const uint8_t head[8] = {1, 0, 20, 0, i == 3, 0, 0, 0};

        assert_memory_equal(bytes + 24 * i, head, 8);
    }
}

static void n68_too_small_writes_nothing(void **state)
{
    uint8_t bytes[47];
    size_t needed = 0;

    (void)state;
    memset(bytes, 0x55, sizeof(bytes));
    assert_int_equal(test_encode_probe(test_intel, 2, bytes, sizeof(bytes), &needed),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(needed, 48);
    for (size_t i = 0; i < sizeof(bytes); i++)
        assert_int_equal(bytes[i], 0x55);
    assert_int_equal(test_encode_probe(test_intel, 2, NULL, 0, &needed),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(test_encode_probe(NULL, 0, NULL, 0, &needed), 0);
    assert_int_equal(needed, 0);
    assert_int_equal(iovageom_wire_bytes(SIZE_MAX / 2), SIZE_MAX);
    assert_int_equal(iovageom_wire_bytes(21), 504);
}

static void n69_the_rest_is_zero(void **state)
{
    uint8_t bytes[512];
    size_t needed;

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(test_encode_probe(test_intel, 2, bytes, sizeof(bytes), &needed), 0);
    assert_memory_equal(bytes, test_intel_bytes, 48);
    for (size_t i = 48; i < sizeof(bytes); i++)
        assert_int_equal(bytes[i], 0);
}

static void n74_one_msi_window_the_others_reserved(void **state)
{
    const struct iovageom_region in[] = {
        {{0x1000, 0x1fff}, IOVAGEOM_RESV_MSI, 0},
        {{0x2000, 0x2fff}, IOVAGEOM_RESV_MSI, 1},
        {{0x8000, 0x8fff}, IOVAGEOM_RESV_MSI, 2},
        {{0x9000, 0x9fff}, IOVAGEOM_RESV_DIRECT, 3},
    };
    const struct iovageom_region expected[] = {
        {{0x1000, 0x2fff}, IOVAGEOM_RESV_MSI, 0},
        {{0x8000, 0x9fff}, IOVAGEOM_RESV_RESERVED, 0},
    };

    (void)state;
    check_wire(in, COUNT(in), everything, expected, COUNT(expected));
}

static void n74_the_highest_source_wins(void **state)
{
    struct iovageom_geometry *host;
    struct iovageom_region in[8], out[8];
    size_t count;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "0000:3b:00.0", &host), 0);
    assert_int_equal(iovageom_geometry_add_reserved(host,
                                                    (struct iovageom_range){0xfee00000, 0xfeefffff},
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    /* The machine's window has two parts, and only the second is of the higher source. */
    assert_int_equal(
        iovageom_geometry_add_reserved(host, (struct iovageom_range){0x108080000, 0x10808ffff},
                                       IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
        0);
    assert_int_equal(
        iovageom_geometry_add_reserved(host, (struct iovageom_range){0x108090000, 0x10809ffff},
                                       IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_MACHINE),
        0);
    assert_int_equal(iovageom_geometry_regions(host, in, COUNT(in), &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(
        iovageom_virtio_wire_list(in, count, host, everything, out, COUNT(out), &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(out[0].type, IOVAGEOM_RESV_RESERVED);
    assert_int_equal(out[0].range.start, 0xfee00000);
    assert_int_equal(out[1].type, IOVAGEOM_RESV_MSI);
    assert_int_equal(out[1].range.start, 0x108080000);
    assert_int_equal(out[1].range.last, 0x10809ffff);
    iovageom_geometry_free(host);
}

static void n75_overlap_and_disorder_are_refused(void **state)
{
    const struct iovageom_region overlap[] = {{{0, 0x1000}, IOVAGEOM_RESV_RESERVED, 0},
                                              {{0x1000, 0x1fff}, IOVAGEOM_RESV_MSI, 0}};
    const struct iovageom_region order[] = {{{0x1000, 0x1fff}, IOVAGEOM_RESV_RESERVED, 0},
                                            {{0, 0xfff}, IOVAGEOM_RESV_MSI, 0}};
    const struct iovageom_region inverted = {{2, 1}, IOVAGEOM_RESV_RESERVED, 0};
    const struct iovageom_region no_type = {{1, 2}, 0, 0}, high_type = {{1, 2}, 6, 0};
    const struct iovageom_region two_msi[] = {{{0, 1}, IOVAGEOM_RESV_MSI, 0},
                                              {{2, 3}, IOVAGEOM_RESV_MSI, 0}};
    const struct iovageom_region whole = {{0, MAX}, IOVAGEOM_RESV_RESERVED, 0};
    const struct iovageom_region direct = {{0, 1}, IOVAGEOM_RESV_DIRECT, 0};
    struct iovageom_region out[4] = {{{7, 7}, 7, 7}};
    uint8_t bytes[96] = {0xaa};
    size_t count = 77;

    (void)state;
#define WIRE(list, n)   iovageom_virtio_wire_list(list, n, NULL, everything, out, 4, &count)
#define ENCODE(list, n) test_encode_probe(list, n, bytes, sizeof(bytes), &count)
    assert_int_equal(WIRE(overlap, 2), IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(WIRE(order, 2), IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(WIRE(&inverted, 1), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(WIRE(&no_type, 1), IOVAGEOM_ERR_INVALID);
    assert_int_equal(WIRE(&high_type, 1), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_virtio_wire_list(test_intel, 2, NULL, (struct iovageom_range){1, 0},
                                               out, 4, &count),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(ENCODE(overlap, 2), IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(ENCODE(order, 2), IOVAGEOM_ERR_OVERLAP);
    assert_int_equal(ENCODE(&inverted, 1), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(ENCODE(&no_type, 1), IOVAGEOM_ERR_INVALID);
    assert_int_equal(ENCODE(&direct, 1), IOVAGEOM_ERR_INVALID);
    assert_int_equal(ENCODE(two_msi, 2), IOVAGEOM_ERR_EXISTS);
    assert_int_equal(ENCODE(&whole, 1), IOVAGEOM_ERR_OVERFLOW);
    assert_int_equal(count, 77);
    assert_int_equal(bytes[0], 0xaa);
    assert_int_equal(out[0].type, 7);
}

static void types_on_the_wire(void **state)
{
    const struct iovageom_region in[] = {
        {{0x0000, 0x0fff}, IOVAGEOM_RESV_DIRECT, 0},
        {{0x1000, 0x1fff}, IOVAGEOM_RESV_SOFTWARE_MSI, 0},
        {{0x2000, 0x2fff}, IOVAGEOM_RESV_DIRECT_RELAXABLE, 0},
        {{0x3000, 0x3fff}, IOVAGEOM_RESV_RESERVED, 0},
        {{0x4000, 0x4fff}, IOVAGEOM_RESV_MSI, 0},
        {{0x5000, 0x5fff}, IOVAGEOM_RESV_RESERVED, 0},
    };
    const struct iovageom_region expected[] = {
        {{0x0000, 0x1fff}, IOVAGEOM_RESV_RESERVED, 0},
        {{0x3000, 0x3fff}, IOVAGEOM_RESV_RESERVED, 0},
        {{0x4000, 0x4fff}, IOVAGEOM_RESV_MSI, 0},
        {{0x5000, 0x5fff}, IOVAGEOM_RESV_RESERVED, 0},
    };

    (void)state;
    check_wire(in, COUNT(in), everything, expected, COUNT(expected));
    check_wire(NULL, 0, everything, NULL, 0);
    check_wire(in + 2, 1, everything, NULL, 0);
}

static void everything_reserved_is_told_in_halves(void **state)
{
    const uint32_t types[] = {IOVAGEOM_RESV_RESERVED, IOVAGEOM_RESV_MSI};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct iovageom_region whole = {{0, MAX}, types[i], 0};
        const struct iovageom_region halves[] = {
            {{0, MAX >> 1}, types[i], 0}, {{(MAX >> 1) + 1, MAX}, IOVAGEOM_RESV_RESERVED, 0}};
        const struct iovageom_region low_halves[] = {
            {{0, 0x7fffffff}, types[i], 0}, {{0x80000000, UINT32_MAX}, IOVAGEOM_RESV_RESERVED, 0}};
        const struct iovageom_region low = {{0, UINT32_MAX}, types[i], 0};

        check_wire(&whole, 1, everything, halves, 2);
        check_wire(&whole, 1, four_gib, low_halves, 2);
        check_wire(&low, 1, everything, &low, 1);
    }
    /* Two that touch are one, and are told in halves like one. */
    check_wire((const struct iovageom_region[]){{{0, 5}, IOVAGEOM_RESV_RESERVED, 0},
                                                {{6, MAX}, IOVAGEOM_RESV_DIRECT, 0}},
               2, everything,
               (const struct iovageom_region[]){{{0, MAX >> 1}, IOVAGEOM_RESV_RESERVED, 0},
                                                {{(MAX >> 1) + 1, MAX}, IOVAGEOM_RESV_RESERVED, 0}},
               2);
}

static void a_32_bit_guest_is_told_nothing_above(void **state)
{
    const struct iovageom_region in[] = {
        {{0xfee00000, 0xfeefffff}, IOVAGEOM_RESV_MSI, 0},
        {{0xfffff000, 0x1ffffffff}, IOVAGEOM_RESV_RESERVED, 0},
        {{0x8000000000, MAX}, IOVAGEOM_RESV_RESERVED, 0},
    };
    const struct iovageom_region expected[] = {
        {{0xfee00000, 0xfeefffff}, IOVAGEOM_RESV_MSI, 0},
        {{0xfffff000, 0xffffffff}, IOVAGEOM_RESV_RESERVED, 0},
    };

    (void)state;
    check_wire(in, COUNT(in), four_gib, expected, COUNT(expected));
    /* An MSI window outside what the guest can name doesn't stand in the way of one inside. */
    check_wire((const struct iovageom_region[]){{{0x1000, 0x1fff}, IOVAGEOM_RESV_MSI, 0},
                                                {{0x100000000, MAX}, IOVAGEOM_RESV_MSI, 0}},
               2, (struct iovageom_range){0x100000000, MAX},
               (const struct iovageom_region[]){{{0x100000000, MAX}, IOVAGEOM_RESV_MSI, 0}}, 1);
}

static void encode_geometry_of_the_intel_host(void **state)
{
    const struct iovageom_range usable[] = {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}};
    struct iovageom_geometry *geometry;
    struct test_allocator memory;
    uint8_t bytes[512];
    size_t needed = 0;
    bool hit;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "0000:00:01.0", &geometry), 0);
    assert_int_equal(
        iovageom_virtio_encode_geometry(NULL, geometry, 4096, everything, bytes, 512, &needed), 0);
    assert_int_equal(needed, 0);
    assert_int_equal(iovageom_geometry_add_usable(geometry, usable, 2, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_reserved(geometry,
                                                    (struct iovageom_range){0xfee00000, 0xfeefffff},
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    test_allocator_init(&memory);
    for (size_t n = 1;; n++) {
        int status;

        memset(bytes, 0x77, sizeof(bytes));
        test_allocator_fail_at(&memory, n, false);
        status = iovageom_virtio_encode_geometry(&memory.allocator, geometry, 4096, everything,
                                                 bytes, sizeof(bytes), &needed);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(test_allocator_live(&memory), 0);
        if (!hit) {
            assert_int_equal(status, 0);
            break;
        }
        assert_int_equal(status, IOVAGEOM_ERR_NO_MEMORY);
        assert_int_equal(bytes[0], 0x77);
    }
    assert_int_equal(needed, 48);
    assert_memory_equal(bytes, test_intel_bytes, 48);
    assert_int_equal(bytes[48] | bytes[511], 0);
    /* With the input range told and honoured, the MSI window is all there is to say. */
    assert_int_equal(iovageom_virtio_encode_geometry(NULL, geometry, 4096,
                                                     (struct iovageom_range){0, 0x7fffffffff},
                                                     bytes, sizeof(bytes), &needed),
                     0);
    assert_int_equal(needed, 24);
    assert_int_equal(
        iovageom_virtio_encode_geometry(NULL, geometry, 4096, everything, NULL, 0, &needed),
        IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(needed, 48);
    assert_int_equal(iovageom_virtio_encode_geometry(NULL, geometry, 3, everything, bytes,
                                                     sizeof(bytes), &needed),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_virtio_encode_geometry(NULL, geometry, 4096,
                                                     (struct iovageom_range){0x2000, 0x1fff}, bytes,
                                                     sizeof(bytes), &needed),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(needed, 48);
    /* An allocator that can't free what it gives is none. */
    memory.allocator.release = NULL;
    assert_int_equal(iovageom_virtio_encode_geometry(&memory.allocator, geometry, 4096, everything,
                                                     bytes, sizeof(bytes), &needed),
                     IOVAGEOM_ERR_INVALID);
    iovageom_geometry_free(geometry);
}

/* Scratch memory for many regions comes from the allocator that is given, and not from the
 * geometry's. */
static void encode_geometry_in_memory_of_the_caller(void **state)
{
    struct test_allocator of_geometry, of_caller;
    struct iovageom_geometry *geometry;
    uint8_t bytes[40 * 24];
    size_t needed = 0;

    (void)state;
    test_allocator_init(&of_geometry);
    test_allocator_init(&of_caller);
    assert_int_equal(iovageom_geometry_new(&of_geometry.allocator, "host", &geometry), 0);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(iovageom_geometry_add_reserved(
                             geometry, (struct iovageom_range){i << 20, (i << 20) + 0xfff},
                             IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS),
                         0);
    test_allocator_fail_at(&of_geometry, 1, true);
    assert_int_equal(iovageom_virtio_encode_geometry(&of_caller.allocator, geometry, 4096,
                                                     everything, bytes, sizeof(bytes), &needed),
                     0);
    assert_int_equal(needed, sizeof(bytes));
    test_allocator_fail_at(&of_caller, 1, true);
    assert_int_equal(iovageom_virtio_encode_geometry(&of_caller.allocator, geometry, 4096,
                                                     everything, bytes, sizeof(bytes), &needed),
                     IOVAGEOM_ERR_NO_MEMORY);
    assert_true(test_allocator_stop_failing(&of_caller));
    assert_false(test_allocator_stop_failing(&of_geometry));
    assert_int_equal(test_allocator_live(&of_caller), 0);
    iovageom_geometry_free(geometry);
    assert_int_equal(test_allocator_live(&of_geometry), 0);
}

static const struct iovageom_virtio_config good_config = {
    0x40201000, {0x1000, 0x7fffffffff}, 1, 0xfffe, 512, 1};

static void config_layout(void **state)
{
    static const uint8_t expected[40] = {
        0x00, 0x10, 0x20, 0x40, 0, 0, 0, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
        0x7f, 0,    0,    0,    1, 0, 0, 0, 0xfe, 0xff, 0, 0, 0, 2, 0, 0, 1,    0,    0,    0,
    };
    struct iovageom_virtio_config back;
    uint8_t bytes[40];

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(iovageom_virtio_encode_config(&good_config, bytes), 0);
    assert_memory_equal(bytes, expected, sizeof(expected));
    memset(&back, 0, sizeof(back));
    assert_int_equal(test_decode_config(bytes, sizeof(bytes), &back), 0);
    assert_int_equal(back.page_size_mask, good_config.page_size_mask);
    assert_int_equal(back.input_range.start, good_config.input_range.start);
    assert_int_equal(back.input_range.last, good_config.input_range.last);
    assert_int_equal(back.domain_start, 1);
    assert_int_equal(back.domain_last, 0xfffe);
    assert_int_equal(back.probe_size, 512);
    assert_int_equal(back.bypass, 1);
}

static void n8_n10_config_refusals(void **state)
{
    struct iovageom_virtio_config config = good_config;
    uint8_t bytes[40] = {0x77};

    (void)state;
    config.page_size_mask = 0;
    assert_int_equal(iovageom_virtio_encode_config(&config, bytes), IOVAGEOM_ERR_INVALID);
    config = good_config;
    config.bypass = 2;
    assert_int_equal(iovageom_virtio_encode_config(&config, bytes), IOVAGEOM_ERR_INVALID);
    config = good_config;
    config.input_range = (struct iovageom_range){1, 0};
    assert_int_equal(iovageom_virtio_encode_config(&config, bytes), IOVAGEOM_ERR_INVERTED);
    config = good_config;
    config.domain_start = 0xffff;
    assert_int_equal(iovageom_virtio_encode_config(&config, bytes), IOVAGEOM_ERR_INVERTED);
    assert_int_equal(bytes[0], 0x77);
}

/* A request of `size` bytes in memory of just that size. */
static int decode(const uint8_t *bytes, size_t size, size_t writable, uint32_t probe_size,
                  struct iovageom_virtio_request *out)
{
    uint8_t *copy = malloc(size + (size == 0));
    int status;

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    memset(out, 0xee, sizeof(*out));
    status = iovageom_virtio_decode_request(copy, size, writable, probe_size, out);
    free(copy);
    return status;
}

static const struct iovageom_virtio_request samples[] = {
    {.type = IOVAGEOM_VIRTIO_T_ATTACH, .domain = 0x11223344, .endpoint = 0x55667788, .flags = 1},
    {.type = IOVAGEOM_VIRTIO_T_DETACH, .domain = 0x11223344, .endpoint = 0x55667788},
    {.type = IOVAGEOM_VIRTIO_T_MAP,
     .domain = 9,
     .flags = 0x80000003,
     .virt = {0x1122334455667788, 0x99aabbccddeeff00},
     .phys = 0x123456789abcdef0},
    {.type = IOVAGEOM_VIRTIO_T_UNMAP, .domain = 9, .virt = {MAX, 0}},
    {.type = IOVAGEOM_VIRTIO_T_PROBE, .endpoint = 0x55667788},
};

static const size_t sample_sizes[] = {20, 20, 36, 28, 72};

static void requests_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        struct iovageom_virtio_request back;
        uint8_t bytes[80];
        size_t needed = 0, properties = samples[i].type == IOVAGEOM_VIRTIO_T_PROBE ? 512 : 0;

        memset(bytes, 0x77, sizeof(bytes));
        assert_int_equal(
            iovageom_guest_encode_request(&samples[i], bytes, sample_sizes[i] - 1, &needed),
            IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        assert_int_equal(needed, sample_sizes[i]);
        assert_int_equal(bytes[0], 0x77);
        assert_int_equal(iovageom_guest_encode_request(&samples[i], bytes, sizeof(bytes), &needed),
                         0);
        assert_int_equal(bytes[needed], 0x77);
        assert_int_equal(decode(bytes, needed, properties + 4, 512, &back), 0);
        assert_int_equal(back.type, samples[i].type);
        assert_int_equal(back.domain, samples[i].domain);
        assert_int_equal(back.endpoint, samples[i].endpoint);
        assert_int_equal(back.flags, samples[i].flags);
        assert_int_equal(back.virt.start, samples[i].virt.start);
        assert_int_equal(back.virt.last, samples[i].virt.last);
        assert_int_equal(back.phys, samples[i].phys);
        assert_false(back.head_reserved || back.body_reserved);
        assert_true(back.has_tail);
        assert_int_equal(back.properties_size, properties);
        assert_int_equal(back.tail_offset, properties);
        assert_int_equal(back.used_length, properties + 4);
    }
}

static void n18_unknown_types_get_no_answer(void **state)
{
    struct iovageom_virtio_request back;
    uint8_t bytes[80] = {0};
    size_t needed = 77;

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        if (type >= 1 && type <= 5)
            continue;
        bytes[0] = (uint8_t)type;
        assert_int_equal(decode(bytes, sizeof(bytes), 600, 512, &back), IOVAGEOM_ERR_UNSUPPORTED);
        assert_int_equal(back.type, type);
        assert_false(back.has_tail);
        assert_int_equal(back.used_length, 0);
    }
    back.type = 6;
    assert_int_equal(iovageom_guest_encode_request(&back, bytes, sizeof(bytes), &needed),
                     IOVAGEOM_ERR_UNSUPPORTED);
    back.type = 0x101;
    assert_int_equal(iovageom_guest_encode_request(&back, bytes, sizeof(bytes), &needed),
                     IOVAGEOM_ERR_UNSUPPORTED);
    assert_int_equal(needed, 77);
}

static void n19_n24_n32_n51_n62_reserved_bytes_are_flagged(void **state)
{
    static const size_t first_reserved[] = {16, 12, 36, 24, 8};

    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        struct iovageom_virtio_request back;
        uint8_t bytes[80] = {0};
        size_t needed;

        assert_int_equal(iovageom_guest_encode_request(&samples[i], bytes, sizeof(bytes), &needed),
                         0);
        for (size_t at = 1; at < needed; at++) {
            uint8_t before = bytes[at];

            if (at >= 4 && at < first_reserved[i])
                continue;
            bytes[at] = 0x80;
            assert_int_equal(decode(bytes, needed, 600, 512, &back), 0);
            assert_int_equal(back.head_reserved, at < 4);
            assert_int_equal(back.body_reserved, at >= 4);
            bytes[at] = before;
        }
        /* What follows the request is not part of it. */
        memset(bytes + needed, 0xff, sizeof(bytes) - needed);
        assert_int_equal(decode(bytes, sizeof(bytes), 600, 512, &back), 0);
        assert_false(back.head_reserved || back.body_reserved);
    }
}

static void i6_every_short_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        bool probe = samples[i].type == IOVAGEOM_VIRTIO_T_PROBE;
        struct iovageom_virtio_request back;
        uint8_t bytes[80];
        size_t needed;

        assert_int_equal(iovageom_guest_encode_request(&samples[i], bytes, sizeof(bytes), &needed),
                         0);
        for (size_t size = 0; size < needed; size++) {
            assert_int_equal(decode(bytes, size, 600, 512, &back), IOVAGEOM_ERR_TRUNCATED);
            assert_int_equal(back.has_tail, size >= 4);
            assert_int_equal(back.used_length, size < 4 ? 0 : probe ? 516 : 4);
            assert_int_equal(back.endpoint | back.domain | back.flags, 0);
        }
        for (size_t writable = 0; writable < 4; writable++) {
            assert_int_equal(decode(bytes, needed, writable, 512, &back), IOVAGEOM_ERR_TRUNCATED);
            assert_false(back.has_tail);
            assert_int_equal(back.used_length, 0);
        }
    }
}

static void n56_n64_n68_where_the_tail_of_a_probe_goes(void **state)
{
    struct iovageom_virtio_request back;
    uint8_t bytes[72];
    size_t needed;

    (void)state;
    assert_int_equal(iovageom_guest_encode_request(&samples[4], bytes, sizeof(bytes), &needed), 0);
    for (size_t writable = 4; writable < 600; writable++) {
        size_t properties = writable - 4 < 512 ? writable - 4 : 512;

        assert_int_equal(decode(bytes, needed, writable, 512, &back), 0);
        assert_true(back.has_tail);
        assert_int_equal(back.properties_size, properties);
        assert_int_equal(back.tail_offset, properties);
        assert_int_equal(back.used_length, properties + 4);
    }
    /* N64: not offered, so no byte is written. */
    assert_int_equal(decode(bytes, needed, 600, 0, &back), 0);
    assert_false(back.has_tail);
    assert_int_equal(back.used_length, 0);
    assert_int_equal(back.endpoint, 0x55667788);
    /* A size that the sum of which with the tail would overflow 32 bits. */
    assert_int_equal(decode(bytes, needed, 600, UINT32_MAX, &back), 0);
    assert_int_equal(back.tail_offset, 596);
}

static void n19_the_tail(void **state)
{
    static const uint8_t expected[4] = {IOVAGEOM_VIRTIO_S_RANGE, 0, 0, 0};
    uint8_t tail[4];

    (void)state;
    memset(tail, 0xff, sizeof(tail));
    iovageom_virtio_encode_tail(IOVAGEOM_VIRTIO_S_RANGE, tail);
    assert_memory_equal(tail, expected, 4);
}

static void needed_sizes_may_be_left_unasked(void **state)
{
    const struct iovageom_region region = {{0, 0xfff}, IOVAGEOM_RESV_RESERVED, 0};
    uint8_t bytes[80];

    (void)state;
    assert_int_equal(test_encode_probe(&region, 1, bytes, 4, NULL), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(test_encode_probe(&region, 1, bytes, sizeof(bytes), NULL), 0);
    assert_int_equal(bytes[0], IOVAGEOM_VIRTIO_PROPERTY_RESV_MEM);
    assert_int_equal(iovageom_guest_encode_request(&samples[0], bytes, 4, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(iovageom_guest_encode_request(&samples[0], bytes, sizeof(bytes), NULL), 0);
    assert_int_equal(bytes[0], samples[0].type);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intel_host_is_48_bytes),
        cmocka_unit_test(n65_n66_n67_n73_layout_of_each_property),
        cmocka_unit_test(n68_too_small_writes_nothing),
        cmocka_unit_test(n69_the_rest_is_zero),
        cmocka_unit_test(n74_one_msi_window_the_others_reserved),
        cmocka_unit_test(n74_the_highest_source_wins),
        cmocka_unit_test(n75_overlap_and_disorder_are_refused),
        cmocka_unit_test(types_on_the_wire),
        cmocka_unit_test(everything_reserved_is_told_in_halves),
        cmocka_unit_test(a_32_bit_guest_is_told_nothing_above),
        cmocka_unit_test(encode_geometry_of_the_intel_host),
        cmocka_unit_test(encode_geometry_in_memory_of_the_caller),
        cmocka_unit_test(config_layout),
        cmocka_unit_test(n8_n10_config_refusals),
        cmocka_unit_test(needed_sizes_may_be_left_unasked),
        cmocka_unit_test(requests_round_trip),
        cmocka_unit_test(n18_unknown_types_get_no_answer),
        cmocka_unit_test(n19_n24_n32_n51_n62_reserved_bytes_are_flagged),
        cmocka_unit_test(i6_every_short_length),
        cmocka_unit_test(n56_n64_n68_where_the_tail_of_a_probe_goes),
        cmocka_unit_test(n19_the_tail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

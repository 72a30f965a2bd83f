/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONFORMANCE_DUT_H
#define CONFORMANCE_DUT_H

#include "support/test_config.h"
#include "support/test_viommu.h"

#include <stdlib.h>

/*
 * The device under test, as a driver sees it: a config space, and buffers in and out. Everything
 * that a test sends goes through dut_send(); to hold another VMM's device to the same vectors, give
 * it a dut_send() and a dut_config() of its own, and the endpoints that dut_start() plugs.
 */

/** Endpoints of every device under test. */
enum {
    DEVICE = 0x10,   /**< 39-bit host, [0xdf800000, 0xdfffffff] reserved, MSI, 4K pages */
    EMULATED = 0x11, /**< no host behind it */
    DEVICE48 = 0x12, /**< 48-bit host, MSI, 4K pages */
    NOBODY = 0x99    /**< no such endpoint */
};
#define HOLE R(0xdf800000, 0xdfffffff)
#define MSI  R(0xfee00000, 0xfeefffff)
#define PAGE ((uint64_t)4096)

static struct iovageom_viommu *dut;

static inline void dut_start(const struct iovageom_viommu_config *config)
{
    assert_int_equal(iovageom_viommu_new(NULL, config, &dut), 0);
    assert_int_equal(iovageom_viommu_declare(dut, EMULATED, IOVAGEOM_VIOMMU_OWN,
                                             IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    assert_int_equal(test_plug(dut, DEVICE, IOVAGEOM_VIOMMU_OWN,
                               test_host_with(NULL, "0000:3b:00.0", 39, PAGES_4K, HOLE), NULL),
                     0);
    assert_int_equal(test_plug(dut, DEVICE48, IOVAGEOM_VIOMMU_OWN,
                               test_host(NULL, "0000:3c:00.0", 48, PAGES_4K), NULL),
                     0);
    assert_int_equal(iovageom_viommu_freeze(dut, NULL), 0);
}

static inline struct iovageom_viommu_config dut_defaults(void)
{
    struct iovageom_viommu_config config;

    iovageom_viommu_config_init(&config);
    return config;
}

static inline void dut_stop(void)
{
    test_check(dut);
    iovageom_viommu_free(dut);
    dut = NULL;
}

static inline struct iovageom_virtio_config dut_config(void)
{
    uint8_t bytes[IOVAGEOM_VIRTIO_CONFIG_SIZE];
    struct iovageom_virtio_config config;

    assert_int_equal(iovageom_viommu_config_space(dut, &config), 0);
    assert_int_equal(iovageom_virtio_encode_config(&config, bytes), 0);
    assert_int_equal(test_decode_config(bytes, sizeof(bytes), &config), 0);
    return config;
}

/** The used length. */
static inline size_t dut_send(const void *readable, size_t readable_size, void *writable,
                              size_t writable_size)
{
    return iovageom_viommu_request(dut, readable, readable_size, writable, writable_size, NULL);
}

/* ---- requests, field by field as in the specification ---- */

static inline void wire(uint8_t *at, uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/** Sends, and returns the status; the tail must be where it belongs, its reserved bytes 0 (N19). */
static inline uint8_t dut_status(const uint8_t *readable, size_t size)
{
    uint8_t tail[4] = {0xee, 0xee, 0xee, 0xee};

    assert_int_equal(dut_send(readable, size, tail, sizeof(tail)), sizeof(tail));
    assert_true(tail[1] == 0 && tail[2] == 0 && tail[3] == 0);
    return tail[0];
}

static inline void write_attach(uint8_t bytes[20], uint32_t domain, uint32_t endpoint,
                                uint32_t flags)
{
    memset(bytes, 0, 20);
    bytes[0] = 1;
    wire(bytes + 4, domain, 4);
    wire(bytes + 8, endpoint, 4);
    wire(bytes + 12, flags, 4);
}

static inline uint8_t attach(uint32_t domain, uint32_t endpoint, uint32_t flags)
{
    uint8_t bytes[20];

    write_attach(bytes, domain, endpoint, flags);
    return dut_status(bytes, sizeof(bytes));
}

static inline uint8_t detach(uint32_t domain, uint32_t endpoint)
{
    uint8_t bytes[20] = {2};

    wire(bytes + 4, domain, 4);
    wire(bytes + 8, endpoint, 4);
    return dut_status(bytes, sizeof(bytes));
}

static inline uint8_t map(uint32_t domain, struct iovageom_range virt, uint64_t phys,
                          uint32_t flags)
{
    uint8_t bytes[36] = {3};

    wire(bytes + 4, domain, 4);
    wire(bytes + 8, virt.start, 8);
    wire(bytes + 16, virt.last, 8);
    wire(bytes + 24, phys, 8);
    wire(bytes + 32, flags, 4);
    return dut_status(bytes, sizeof(bytes));
}

static inline uint8_t unmap(uint32_t domain, struct iovageom_range virt)
{
    uint8_t bytes[28] = {4};

    wire(bytes + 4, domain, 4);
    wire(bytes + 8, virt.start, 8);
    wire(bytes + 16, virt.last, 8);
    return dut_status(bytes, sizeof(bytes));
}

/** PROBE into `properties`, probe_size bytes, which are 0xee before. */
static inline uint8_t probe(uint32_t endpoint, uint8_t *properties)
{
    const size_t size = dut_config().probe_size;
    uint8_t *writable = malloc(size + 4);
    uint8_t bytes[72] = {5};
    uint8_t status;

    assert_non_null(writable);
    wire(bytes + 4, endpoint, 4);
    memset(writable, 0xee, size + 4);
    assert_int_equal(dut_send(bytes, sizeof(bytes), writable, size + 4), size + 4);
    status = writable[size];
    assert_true(writable[size + 1] == 0 && writable[size + 2] == 0 && writable[size + 3] == 0);
    memcpy(properties, writable, size);
    free(writable);
    return status;
}

/** Where an access goes, or -1. */
static inline int64_t reach(uint32_t endpoint, uint64_t address, uint32_t flags)
{
    struct iovageom_segment to;

    if (iovageom_viommu_translate(dut, endpoint, (struct iovageom_range){address, address}, flags,
                                  &to, 1, NULL, NULL) != IOVAGEOM_OK)
        return -1;
    return (int64_t)to.phys;
}

static inline uint64_t mappings(uint32_t domain)
{
    struct iovageom_viommu_domain found;

    return iovageom_viommu_domain(dut, domain, &found) == 0 ? found.mappings : UINT64_MAX;
}

#define S_OK     IOVAGEOM_VIRTIO_S_OK
#define S_UNSUPP IOVAGEOM_VIRTIO_S_UNSUPP
#define S_INVAL  IOVAGEOM_VIRTIO_S_INVAL
#define S_RANGE  IOVAGEOM_VIRTIO_S_RANGE
#define S_NOENT  IOVAGEOM_VIRTIO_S_NOENT
#define S_NOMEM  IOVAGEOM_VIRTIO_S_NOMEM

static inline int dut_setup(void **state)
{
    (void)state;
    dut_start(NULL);
    return 0;
}

static inline int dut_teardown(void **state)
{
    (void)state;
    if (dut != NULL)
        dut_stop();
    return 0;
}

/** A test that starts with a device by default configuration. */
#define vector(function) cmocka_unit_test_setup_teardown(function, dut_setup, dut_teardown)

/** Start anew, with another configuration. */
static inline void dut_again(const struct iovageom_viommu_config *config)
{
    dut_stop();
    dut_start(config);
}

#endif

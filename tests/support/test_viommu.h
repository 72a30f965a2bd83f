/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_VIOMMU_H
#define IOVAGEOM_TEST_VIOMMU_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <iovageom/guest.h>
#include <iovageom/viommu.h>

#include "support/viommu_check.h"

/** What the books' tests have in common. Ranges are written R(start, last). */
#define R(start, last) ((struct iovageom_range){(start), (last)})
#define ALL            R(0, UINT64_MAX)
#define BIT39          ((uint64_t)1 << 39)
#define PAGES_4K       0x40201000u /* 4K, 2M, 1G, as an Intel host says */
#define RW             (IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE)

/** A host of `gaw` bits with the MSI window of x86 and pages of `mask` (0: unknown). */
static inline struct iovageom_geometry *test_host(const struct iovageom_allocator *allocator,
                                                  const char *name, unsigned gaw, uint64_t mask)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(allocator, name, &geometry), 0);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, gaw, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0xfee00000, 0xfeefffff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    if (mask != 0)
        assert_int_equal(iovageom_geometry_add_page_sizes(geometry, mask, IOVAGEOM_SOURCE_VFIO), 0);
    return geometry;
}

/** The same with one window more. */
static inline struct iovageom_geometry *test_host_with(const struct iovageom_allocator *allocator,
                                                       const char *name, unsigned gaw,
                                                       uint64_t mask, struct iovageom_range window)
{
    struct iovageom_geometry *geometry = test_host(allocator, name, gaw, mask);

    assert_int_equal(iovageom_geometry_add_reserved(geometry, window, IOVAGEOM_RESV_RESERVED,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    return geometry;
}

/** Plug it with all defaults but the guest group, and let go of it. */
static inline int test_plug(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t guest_group,
                            struct iovageom_geometry *geometry, struct iovageom_report *report)
{
    struct iovageom_plug_options where;
    int error;

    iovageom_plug_options_init(&where);
    where.guest_group = guest_group;
    error = iovageom_viommu_plug(viommu, endpoint, &where, geometry, report);
    iovageom_geometry_free(geometry);
    return error;
}

/** PROBE as a guest does it; returns the status. */
static inline uint8_t test_probe(struct iovageom_viommu *viommu, uint32_t endpoint,
                                 struct iovageom_region *regions, size_t capacity, size_t *count)
{
    static uint8_t bytes[65536];
    struct iovageom_virtio_config space;
    size_t needed = 0;
    uint8_t status;

    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    assert_true(space.probe_size <= sizeof(bytes));
    status = iovageom_status_virtio(
        iovageom_viommu_probe(viommu, endpoint, bytes, space.probe_size, &needed, NULL));
    if (status == IOVAGEOM_VIRTIO_S_OK)
        assert_int_equal(
            iovageom_guest_decode_probe(bytes, space.probe_size, regions, capacity, count), 0);
    return status;
}

static inline void test_check_stale(const struct iovageom_viommu *viommu, bool stale)
{
    struct iovageom_report report;

    iovageom_report_init(&report, NULL);
    if (test_viommu_check(viommu, stale, &report) != 0)
        fail_msg("%s", iovageom_report_text(&report));
    iovageom_report_deinit(&report);
}

static inline void test_check(const struct iovageom_viommu *viommu)
{
    test_check_stale(viommu, false);
}

#endif

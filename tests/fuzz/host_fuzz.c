/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a host says. The first byte chooses the decoder, the rest is what it reads. A geometry that
 * an answer was refused for is as it was; one that took it in can still be asked anything.
 */
#include "fuzz.h"

#include <iovageom/geometry.h>
#include <iovageom/host_iommufd.h>
#include <iovageom/host_registers.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_vfio.h>
#include <iovageom/plan_probe.h>
#include <iovageom/status.h>

static int vfio(struct fuzz_input *input, struct iovageom_geometry *geometry)
{
    size_t length, needed;
    uint8_t *bytes = fuzz_bytes(input, SIZE_MAX, &length);
    int status = iovageom_host_vfio_info(bytes, length, &needed, geometry);

    free(bytes);
    return status;
}

static int iommufd(struct fuzz_input *input, struct iovageom_geometry *geometry)
{
    size_t header_length, length, needed;
    uint8_t *header = fuzz_bytes(input, 32 + fuzz_number(input, 1) % 16, &header_length);
    uint8_t *ranges = fuzz_bytes(input, SIZE_MAX, &length);
    int status =
        iovageom_host_iommufd_ranges(header, header_length, ranges, length, &needed, geometry);

    free(header);
    free(ranges);
    return status;
}

static int hw_info(struct fuzz_input *input, struct iovageom_geometry *geometry)
{
    struct iovageom_hw_info info;
    struct iovageom_host_limits limits;
    size_t header_length, length;
    uint8_t *header = fuzz_bytes(input, 40, &header_length);
    uint8_t *bytes = fuzz_bytes(input, SIZE_MAX, &length);

    (void)geometry;
    if (iovageom_host_iommufd_hw_info(header, header_length, bytes, length, &info) == 0)
        for (unsigned i = 0; i < 24; i++) {
            enum iovageom_host_stage stage = (enum iovageom_host_stage)(i / 2 % 3);
            uint32_t rules = i / 6;

            (void)iovageom_host_vtd(info.vtd_cap, info.vtd_ecap, i & 1, stage, rules, &limits);
            (void)iovageom_host_smmuv3(info.smmuv3_idr[0], info.smmuv3_idr[5], i & 1 ? 4096 : 0, 48,
                                       stage, rules, &limits);
            (void)iovageom_host_amd(info.amd_efr, stage, i & 1 ? 5 : 0, rules, &limits);
        }
    free(header);
    free(bytes);
    return IOVAGEOM_ERR_UNKNOWN;
}

static int sysfs(struct fuzz_input *input, struct iovageom_geometry *geometry, unsigned mode)
{
    size_t length, line = 0;
    uint64_t one, two;
    char *text = (char *)fuzz_bytes(input, SIZE_MAX, &length);
    int status = iovageom_host_sysfs_reserved_regions(text, length, (enum iovageom_sysfs_mode)mode,
                                                      &line, geometry);

    (void)iovageom_host_sysfs_register(text, length, &one);
    (void)iovageom_host_sysfs_amd_features(text, length, &one, &two);
    free(text);
    return status;
}

/* From the answer all the way to a guest's bytes. */
static void ask_anything(const struct iovageom_geometry *geometry)
{
    const struct iovageom_range everything = {0, UINT64_MAX};
    struct iovageom_report report;
    struct iovageom_probe_plan plan;
    uint8_t bytes[512];
    uint64_t granule = 4096;
    int status;

    iovageom_report_init(&report, NULL);
    (void)iovageom_geometry_granule(geometry, &granule);
    status = iovageom_plan_probe_encode(NULL, geometry, granule, everything, bytes, sizeof(bytes),
                                        &plan, &report);
    fuzz_check(status == 0);
    (void)iovageom_geometry_check(geometry, &report);
    (void)iovageom_report_text(&report);
    (void)iovageom_geometry_explain(geometry, everything, &report);
    (void)iovageom_report_text(&report);
    iovageom_report_deinit(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct iovageom_geometry *geometry, *before;
    int status;

    if (iovageom_geometry_new(NULL, "host", &geometry) < 0 ||
        iovageom_geometry_copy(geometry, &before) < 0)
        abort();
    switch (fuzz_number(&input, 1) % 5) {
    case 0:
        status = vfio(&input, geometry);
        break;
    case 1:
        status = iommufd(&input, geometry);
        break;
    case 2:
        status = hw_info(&input, geometry);
        break;
    default:
        status = sysfs(&input, geometry, data[0] % 5 - 3);
        break;
    }
    if (status < 0)
        fuzz_check(iovageom_geometry_equal(geometry, before));
    ask_anything(geometry);
    iovageom_geometry_free(geometry);
    iovageom_geometry_free(before);
    return 0;
}

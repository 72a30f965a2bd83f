/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/host_iommufd.h>

#include <stdbool.h>

#include <iovageom/status.h>

#include "../base/range.h"
#include "internal.h"

/*
 * Structures of include/uapi/linux/iommufd.h, by offsets in bytes (*_MINIMUM and *_END are sizes).
 * The header itself is not included: so the library builds on any system, and knows fields that the
 * header of the build machine may not have yet.
 */

/* All of them begin with their own size. */
#define OWN_SIZE 0

/* struct iommu_ioas_iova_ranges: num_iovas, out_iova_alignment */
#define RANGES_COUNT     8
#define RANGES_ALIGNMENT 24

/*
 * struct iommu_hw_info. It has 32 bytes in Linux 6.6; out_capabilities came in 6.7, at the end, and
 * out_max_pasid_log2 later, in a byte that was 0 before.
 */
#define HW_INFO_MINIMUM          32
#define HW_INFO_DATA_LENGTH      12
#define HW_INFO_TYPE             24
#define HW_INFO_PASID_BITS       28
#define HW_INFO_CAPABILITIES     32
#define HW_INFO_CAPABILITIES_END 40

/* Then the registers: struct iommu_hw_info_vtd, _arm_smmuv3 (of which IDR0 to IDR5 are read) and
 * _amd. */
#define VTD_CAP          8
#define VTD_ECAP         16
#define SMMUV3_IDR       8
#define AMD_EFR          0
#define AMD_EFR2         8
#define SMMUV3_IDR_COUNT 6 /* registers, not an offset */

/*
 * Checks the size at the start of a structure, which newer kernels may raise. `length` is what the
 * caller has. MALFORMED: the kernel says less than any kernel has. TRUNCATED: the caller has less
 * than the kernel says.
 */
static int check_size(const void *header, size_t length, uint32_t minimum)
{
    uint32_t size;

    if (length < minimum)
        return IOVAGEOM_ERR_TRUNCATED;
    size = iovageom_host_load32(header, OWN_SIZE);
    if (size < minimum)
        return IOVAGEOM_ERR_MALFORMED;
    return size > length ? IOVAGEOM_ERR_TRUNCATED : IOVAGEOM_OK;
}

/*
 * How many ranges there are, whether or not they fitted into the caller's list, and the alignment
 * of each mapping. An alignment of 1 means that no device is attached to the IOAS: every device
 * raises it to a page at least. The ranges then say nothing of any host, and the caller reports
 * IOVAGEOM_ERR_UNKNOWN.
 */
static int read_ranges_header(const void *header, size_t length, uint32_t *count,
                              uint64_t *alignment)
{
    int status = check_size(header, length, IOVAGEOM_IOMMUFD_RANGES_SIZE);

    if (status != IOVAGEOM_OK)
        return status;
    *count = iovageom_host_load32(header, RANGES_COUNT);
    *alignment = iovageom_host_load64(header, RANGES_ALIGNMENT);
    return iovageom_pgsize_is_power(*alignment) ? IOVAGEOM_OK : IOVAGEOM_ERR_MALFORMED;
}

int iovageom_host_iommufd_ranges(const void *header, size_t header_length, const void *ranges,
                                 size_t ranges_length, size_t *needed,
                                 struct iovageom_geometry *geometry)
{
    uint32_t count = 0;
    uint64_t alignment = 1;
    uint64_t size;
    int status = read_ranges_header(header, header_length, &count, &alignment);

    if (status != IOVAGEOM_OK)
        return status;
    if (alignment == 1)
        return IOVAGEOM_ERR_UNKNOWN;
    size = (uint64_t)count * IOVAGEOM_IOMMUFD_RANGE_SIZE;
    if ((size_t)size != size)
        return IOVAGEOM_ERR_LIMIT;
    if (size > ranges_length) {
        if (needed != NULL)
            *needed = (size_t)size;
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    }
    /* All or nothing: room for three facts is reserved first. Adding the list may still fail, so it
     * comes next; the alignment can't fail then. */
    status = iovageom_geometry_reserve(geometry, geometry->count + 3);
    if (status == IOVAGEOM_OK)
        status =
            iovageom_geometry_add_usable_bytes(geometry, ranges, count, IOVAGEOM_SOURCE_IOMMUFD);
    if (status == IOVAGEOM_OK)
        (void)iovageom_geometry_add_alignment(geometry, alignment, IOVAGEOM_SOURCE_IOMMUFD);
    return status;
}

/* The registers of one answer. */
struct hw_data {
    const void *bytes;
    size_t length;
    struct iovageom_hw_info *info;
};

/* Reads a register of 64 bits. A kernel that gives fewer bytes does not say what it holds. */
static void read_register(const struct hw_data *data, size_t offset, uint32_t fact, uint64_t *out)
{
    if (data->length < offset + sizeof(*out))
        return;
    data->info->knows |= fact;
    *out = iovageom_host_load64(data->bytes, offset);
}

static void read_registers(const struct hw_data *data)
{
    struct iovageom_hw_info *info = data->info;

    if (info->type == IOVAGEOM_HW_INFO_VTD) {
        read_register(data, VTD_CAP, IOVAGEOM_HW_INFO_VTD_CAP, &info->vtd_cap);
        read_register(data, VTD_ECAP, IOVAGEOM_HW_INFO_VTD_ECAP, &info->vtd_ecap);
    } else if (info->type == IOVAGEOM_HW_INFO_AMD) {
        read_register(data, AMD_EFR, IOVAGEOM_HW_INFO_AMD_EFR, &info->amd_efr);
        read_register(data, AMD_EFR2, IOVAGEOM_HW_INFO_AMD_EFR2, &info->amd_efr2);
    } else if (info->type == IOVAGEOM_HW_INFO_SMMUV3 &&
               data->length >= SMMUV3_IDR + sizeof(info->smmuv3_idr)) {
        info->knows |= IOVAGEOM_HW_INFO_SMMUV3_IDR;
        for (size_t i = 0; i < SMMUV3_IDR_COUNT; i++)
            info->smmuv3_idr[i] = iovageom_host_load32(data->bytes, SMMUV3_IDR + 4 * i);
    }
}

int iovageom_host_iommufd_hw_info(const void *header, size_t header_length, const void *data,
                                  size_t data_length, struct iovageom_hw_info *out)
{
    struct iovageom_hw_info info = {0};
    int status = check_size(header, header_length, HW_INFO_MINIMUM);

    if (status != IOVAGEOM_OK)
        return status;
    info.full_length = iovageom_host_load32(header, HW_INFO_DATA_LENGTH);
    info.type = iovageom_host_load32(header, HW_INFO_TYPE);
    if (iovageom_host_load32(header, OWN_SIZE) >= HW_INFO_CAPABILITIES_END) {
        info.knows |= IOVAGEOM_HW_INFO_CAPABILITIES;
        info.capabilities = iovageom_host_load64(header, HW_INFO_CAPABILITIES);
        info.pasid_bits = ((const uint8_t *)header)[HW_INFO_PASID_BITS];
        if (info.pasid_bits != 0)
            info.knows |= IOVAGEOM_HW_INFO_PASID;
    }
    /* The kernel fills the rest of a longer buffer with zeros. They must not be taken for
     * registers. */
    if (data_length > info.full_length)
        data_length = (size_t)info.full_length;
    read_registers(&(struct hw_data){data, data_length, &info});
    *out = info;
    return IOVAGEOM_OK;
}

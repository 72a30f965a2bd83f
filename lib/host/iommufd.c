/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <iovageom/host_iommufd.h>

#include <string.h>

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

#include "internal.h"

#define FIRST_QUERY_RANGES 32

/* struct iommu_hw_info: 32 bytes in Linux 6.6, out_capabilities came in 6.7, and out_max_pasid_log2
   in a byte that was 0 till then. */
#define HW_INFO_MINIMUM          32
#define HW_INFO_PASID_BITS       28
#define HW_INFO_CAPABILITIES_END 40
#define VTD_CAP_END              16
#define VTD_ECAP_END             24
#define SMMUV3_IDR_COUNT         6
#define SMMUV3_IDR               8
#define SMMUV3_IDR_END           (SMMUV3_IDR + 4 * SMMUV3_IDR_COUNT)
#define AMD_EFR_END              8
#define AMD_EFR2_END             16

/* Bytes of a list of `count` ranges; false when they don't fit in the address space. */
static bool list_size_of(uint64_t count, size_t *size)
{
    uint64_t bytes = count * IOVAGEOM_IOMMUFD_RANGE_SIZE;

    *size = (size_t)bytes;
    return count <= UINT32_MAX && *size == bytes;
}

/* Number `index` of the 32-bit words that a structure consists of, or of its 64-bit words. */
static uint32_t word(const void *bytes, size_t index)
{
    return (uint32_t)iovageom_host_load((const uint8_t *)bytes + 4 * index, 4,
                                        iovageom_host_is_big_endian(bytes, 0));
}

static uint64_t long_word(const void *bytes, size_t index)
{
    return iovageom_host_load((const uint8_t *)bytes + 8 * index, 8,
                              iovageom_host_is_big_endian(bytes, 0));
}

/* The same for the kernel of this machine to read. */
static void put_word(void *bytes, size_t index, uint32_t value)
{
    memcpy((uint8_t *)bytes + 4 * index, &value, sizeof(value));
}

static void put_long_word(void *bytes, size_t index, uint64_t value)
{
    memcpy((uint8_t *)bytes + 8 * index, &value, sizeof(value));
}

/* Both headers start with their own size, which newer kernels may raise. */
static int check_size(const void *header, size_t length, uint32_t minimum)
{
    uint32_t size;

    if (length < minimum)
        return IOVAGEOM_ERR_TRUNCATED;
    size = word(header, 0);
    if (size < minimum)
        return IOVAGEOM_ERR_MALFORMED;
    return size > length ? IOVAGEOM_ERR_TRUNCATED : IOVAGEOM_OK;
}

int iovageom_host_iommufd_decode(const void *header, size_t length,
                                 struct iovageom_iommufd_ranges *out)
{
    int status = check_size(header, length, IOVAGEOM_IOMMUFD_RANGES_SIZE);

    if (status != IOVAGEOM_OK)
        return status;

    uint64_t alignment = long_word(header, 3);

    if (!iovageom_pgsize_is_power(alignment))
        return IOVAGEOM_ERR_MALFORMED;
    out->ioas_id = word(header, 1);
    out->range_count = word(header, 2);
    out->alignment = alignment;
    out->attached = alignment > 1;
    out->big_endian = iovageom_host_is_big_endian(header, 0);
    return IOVAGEOM_OK;
}

int iovageom_host_iommufd_range(const struct iovageom_iommufd_ranges *answer, const void *ranges,
                                size_t length, uint32_t index, struct iovageom_range *out)
{
    if (index >= answer->range_count || index >= length / IOVAGEOM_IOMMUFD_RANGE_SIZE)
        return IOVAGEOM_ERR_NOT_FOUND;
    *out = iovageom_host_load_range(ranges, index, answer->big_endian);
    return IOVAGEOM_OK;
}

int iovageom_host_iommufd_ranges(const void *header, size_t header_length, const void *ranges,
                                 size_t ranges_length, size_t *needed,
                                 struct iovageom_geometry *geometry)
{
    struct iovageom_iommufd_ranges answer;
    size_t size;
    int status = iovageom_host_iommufd_decode(header, header_length, &answer);

    if (status != IOVAGEOM_OK)
        return status;
    if (!answer.attached)
        return IOVAGEOM_ERR_UNKNOWN;
    if (!list_size_of(answer.range_count, &size))
        return IOVAGEOM_ERR_LIMIT;
    if (size > ranges_length) {
        if (needed != NULL)
            *needed = size;
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    }
    /* The list may fail; once there is room for it, the alignment can't. */
    status = iovageom_geometry_reserve(geometry, geometry->count + 2);
    if (status == IOVAGEOM_OK)
        status = iovageom_host_add_usable(geometry, ranges, answer.range_count, answer.big_endian,
                                          IOVAGEOM_SOURCE_IOMMUFD);
    if (status == IOVAGEOM_OK)
        (void)iovageom_geometry_add_alignment(geometry, answer.alignment, IOVAGEOM_SOURCE_IOMMUFD);
    return status;
}

void iovageom_host_iommufd_query_init(struct iovageom_iommufd_query *query, uint32_t ioas_id)
{
    query->size = (size_t)FIRST_QUERY_RANGES * IOVAGEOM_IOMMUFD_RANGE_SIZE;
    query->ioas_id = ioas_id;
    query->attempts = 0;
}

void iovageom_host_iommufd_query_request(const struct iovageom_iommufd_query *query, uint64_t array,
                                         void *header)
{
    memset(header, 0, IOVAGEOM_IOMMUFD_RANGES_SIZE);
    put_word(header, 0, IOVAGEOM_IOMMUFD_RANGES_SIZE);
    put_word(header, 1, query->ioas_id);
    put_word(header, 2, (uint32_t)(query->size / IOVAGEOM_IOMMUFD_RANGE_SIZE));
    put_long_word(header, 2, array);
}

int iovageom_host_iommufd_query_answer(struct iovageom_iommufd_query *query, const void *header,
                                       bool too_small)
{
    size_t size;

    if (!list_size_of(word(header, 2), &size))
        return IOVAGEOM_ERR_LIMIT;
    if (size <= query->size)
        return too_small ? IOVAGEOM_ERR_MALFORMED : IOVAGEOM_OK;
    query->attempts++;
    if (query->attempts >= IOVAGEOM_IOMMUFD_QUERY_ATTEMPTS)
        return IOVAGEOM_ERR_LIMIT;
    query->size = size;
    return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
}

/* What IOMMU_IOAS_ALLOW_IOVAS would refuse, or take for something else. */
static int check_allowed(const struct iovageom_range *ranges, size_t count)
{
    if (count == 0)
        return IOVAGEOM_ERR_NOTHING_USABLE;
    for (size_t i = 0; i < count; i++) {
        if (!iovageom_range_valid(ranges[i]))
            return IOVAGEOM_ERR_INVERTED;
        if (ranges[i].start == ranges[i].last)
            return IOVAGEOM_ERR_INVALID;
        if (i > 0 && ranges[i].start <= ranges[i - 1].last)
            return IOVAGEOM_ERR_OVERLAP;
    }
    return IOVAGEOM_OK;
}

int iovageom_host_iommufd_allow(uint32_t ioas_id, const struct iovageom_range *ranges, size_t count,
                                uint64_t array, void *header, void *list, size_t list_size,
                                size_t *needed)
{
    size_t size;
    int status = check_allowed(ranges, count);

    if (status != IOVAGEOM_OK)
        return status;
    if (!list_size_of(count, &size))
        return IOVAGEOM_ERR_LIMIT;
    if (needed != NULL)
        *needed = size;
    if (list_size < size)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    memset(header, 0, IOVAGEOM_IOMMUFD_ALLOW_SIZE);
    put_word(header, 0, IOVAGEOM_IOMMUFD_ALLOW_SIZE);
    put_word(header, 1, ioas_id);
    put_word(header, 2, (uint32_t)count);
    put_long_word(header, 2, array);
    for (size_t i = 0; i < count; i++) {
        put_long_word(list, 2 * i, ranges[i].start);
        put_long_word(list, 2 * i + 1, ranges[i].last);
    }
    return IOVAGEOM_OK;
}

/* Registers, in the byte order of the header. Flags and a reserved word come first. */
static void read_vtd(const uint8_t *registers, size_t length, bool big_endian,
                     struct iovageom_hw_info *info)
{
    if (length >= VTD_CAP_END) {
        info->knows |= IOVAGEOM_HW_INFO_VTD_CAP;
        info->vtd_cap = iovageom_host_load(registers + 8, 8, big_endian);
    }
    if (length >= VTD_ECAP_END) {
        info->knows |= IOVAGEOM_HW_INFO_VTD_ECAP;
        info->vtd_ecap = iovageom_host_load(registers + 16, 8, big_endian);
    }
}

static void read_smmuv3(const uint8_t *registers, size_t length, bool big_endian,
                        struct iovageom_hw_info *info)
{
    if (length < SMMUV3_IDR_END)
        return;
    info->knows |= IOVAGEOM_HW_INFO_SMMUV3_IDR;
    for (unsigned i = 0; i < SMMUV3_IDR_COUNT; i++)
        info->smmuv3_idr[i] =
            (uint32_t)iovageom_host_load(registers + SMMUV3_IDR + 4 * i, 4, big_endian);
}

/* No flags here: EFR is the first of them. */
static void read_amd(const uint8_t *registers, size_t length, bool big_endian,
                     struct iovageom_hw_info *info)
{
    if (length >= AMD_EFR_END) {
        info->knows |= IOVAGEOM_HW_INFO_AMD_EFR;
        info->amd_efr = iovageom_host_load(registers, 8, big_endian);
    }
    if (length >= AMD_EFR2_END) {
        info->knows |= IOVAGEOM_HW_INFO_AMD_EFR2;
        info->amd_efr2 = iovageom_host_load(registers + 8, 8, big_endian);
    }
}

int iovageom_host_iommufd_hw_info(const void *header, size_t header_length, const void *data,
                                  size_t data_length, struct iovageom_hw_info *out)
{
    struct iovageom_hw_info info = {0};
    int status = check_size(header, header_length, HW_INFO_MINIMUM);
    bool big_endian;

    if (status != IOVAGEOM_OK)
        return status;
    big_endian = iovageom_host_is_big_endian(header, 0);
    info.full_length = word(header, 3);
    info.type = word(header, 6);
    if (word(header, 0) >= HW_INFO_CAPABILITIES_END) {
        info.knows |= IOVAGEOM_HW_INFO_CAPABILITIES;
        info.capabilities = long_word(header, 4);
        info.pasid_bits = ((const uint8_t *)header)[HW_INFO_PASID_BITS];
        if (info.pasid_bits != 0)
            info.knows |= IOVAGEOM_HW_INFO_PASID;
    }
    /* The kernel fills a longer buffer with zeros, which are no registers. */
    if (data_length > info.full_length)
        data_length = (size_t)info.full_length;
    if (info.type == IOVAGEOM_HW_INFO_VTD)
        read_vtd((const uint8_t *)data, data_length, big_endian, &info);
    else if (info.type == IOVAGEOM_HW_INFO_SMMUV3)
        read_smmuv3((const uint8_t *)data, data_length, big_endian, &info);
    else if (info.type == IOVAGEOM_HW_INFO_AMD)
        read_amd((const uint8_t *)data, data_length, big_endian, &info);
    *out = info;
    return IOVAGEOM_OK;
}

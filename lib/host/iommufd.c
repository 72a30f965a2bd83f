/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/host_iommufd.h>

#include <stdbool.h>
#include <string.h>

#include <iovageom/status.h>

#include "../base/range.h"
#include "../geometry/internal.h"

/*
 * Structures of include/uapi/linux/iommufd.h. The header itself is not included: so the library
 * builds on any system, and knows fields that the header of the build machine may not have yet.
 * Numbers are in the byte order of this machine, and the caller's buffer need not be aligned: so
 * structures are copied. None has padding between its members; all begin with their own size.
 */

/* struct iommu_ioas_iova_ranges */
struct ranges_header {
    uint32_t size, ioas_id;
    uint32_t count; /* of ranges, whether or not they fitted into the caller's list */
    uint32_t reserved;
    uint64_t list;
    uint64_t alignment; /* of each mapping */
};
_Static_assert(sizeof(struct ranges_header) == IOVAGEOM_IOMMUFD_RANGES_SIZE, "as the kernel's");
_Static_assert(sizeof(struct iovageom_range) == IOVAGEOM_IOMMUFD_RANGE_SIZE, "read as ranges");

/*
 * struct iommu_hw_info. It has 32 bytes in Linux 6.6; the capabilities came in 6.7, at the end, and
 * pasid_bits later, in a byte that was 0 before.
 */
struct hw_info_header {
    uint32_t size, flags, device;
    uint32_t data_length;
    uint64_t data;
    uint32_t type;
    uint8_t pasid_bits, reserved[3];
    uint64_t capabilities;
};
enum { HW_INFO_MINIMUM = 32 };

/* Then the registers: struct iommu_hw_info_vtd, _arm_smmuv3 (of which IDR0 to IDR5 are read) and
 * _amd. A kernel that gives fewer bytes does not say what a register holds. */
static const struct hw_register {
    uint8_t type, fact;
    uint8_t offset, size; /* in the data, in bytes */
    uint8_t member;       /* offset in what is handed out */
} hw_registers[] = {
    {IOVAGEOM_HW_INFO_VTD, IOVAGEOM_HW_INFO_VTD_CAP, 8, 8,
     offsetof(struct iovageom_hw_info, vtd_cap)},
    {IOVAGEOM_HW_INFO_VTD, IOVAGEOM_HW_INFO_VTD_ECAP, 16, 8,
     offsetof(struct iovageom_hw_info, vtd_ecap)},
    {IOVAGEOM_HW_INFO_SMMUV3, IOVAGEOM_HW_INFO_SMMUV3_IDR, 8, 24,
     offsetof(struct iovageom_hw_info, smmuv3_idr)},
    {IOVAGEOM_HW_INFO_AMD, IOVAGEOM_HW_INFO_AMD_EFR, 0, 8,
     offsetof(struct iovageom_hw_info, amd_efr)},
    {IOVAGEOM_HW_INFO_AMD, IOVAGEOM_HW_INFO_AMD_EFR2, 8, 8,
     offsetof(struct iovageom_hw_info, amd_efr2)},
};

/*
 * Copies a structure, or as much of it as the kernel has. Newer kernels may have more than `known`.
 * `length` is what the caller has. MALFORMED: the kernel says less than any kernel has. TRUNCATED:
 * the caller has less than the kernel says.
 */
static int read_header(const void *bytes, size_t length, size_t minimum, void *header, size_t known)
{
    uint32_t size;

    if (length < minimum)
        return IOVAGEOM_ERR_TRUNCATED;
    memcpy(&size, bytes, sizeof(size));
    if (size < minimum)
        return IOVAGEOM_ERR_MALFORMED;
    if (size > length)
        return IOVAGEOM_ERR_TRUNCATED;
    memcpy(header, bytes, size < known ? size : known);
    return IOVAGEOM_OK;
}

int iovageom_host_iommufd_ranges(const void *header, size_t header_length, const void *ranges,
                                 size_t ranges_length, size_t *needed,
                                 struct iovageom_geometry *geometry)
{
    struct ranges_header head;
    uint64_t size;
    int status = read_header(header, header_length, sizeof(head), &head, sizeof(head));

    if (status != IOVAGEOM_OK)
        return status;
    if (!iovageom_pgsize_is_power(head.alignment))
        return IOVAGEOM_ERR_MALFORMED;
    /* No device is attached to the IOAS: every device raises the alignment to a page at least. The
     * ranges then say nothing of any host. */
    if (head.alignment == 1)
        return IOVAGEOM_ERR_UNKNOWN;
    size = (uint64_t)head.count * IOVAGEOM_IOMMUFD_RANGE_SIZE;
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
        status = iovageom_geometry_add_usable_bytes(geometry, ranges, head.count,
                                                    IOVAGEOM_SOURCE_IOMMUFD);
    if (status == IOVAGEOM_OK)
        (void)iovageom_geometry_add_alignment(geometry, head.alignment, IOVAGEOM_SOURCE_IOMMUFD);
    return status;
}

int iovageom_host_iommufd_hw_info(const void *header, size_t header_length, const void *data,
                                  size_t data_length, struct iovageom_hw_info *out)
{
    struct hw_info_header head;
    struct iovageom_hw_info info = {0};
    int status = read_header(header, header_length, HW_INFO_MINIMUM, &head, sizeof(head));

    if (status != IOVAGEOM_OK)
        return status;
    info.full_length = head.data_length;
    info.type = head.type;
    if (head.size >= sizeof(head)) {
        info.knows |= IOVAGEOM_HW_INFO_CAPABILITIES;
        info.capabilities = head.capabilities;
        info.pasid_bits = head.pasid_bits;
        if (info.pasid_bits != 0)
            info.knows |= IOVAGEOM_HW_INFO_PASID;
    }
    /* The kernel fills the rest of a longer buffer with zeros, which are no registers. */
    if (data_length > head.data_length)
        data_length = head.data_length;
    for (size_t i = 0; i < sizeof(hw_registers) / sizeof(hw_registers[0]); i++) {
        const struct hw_register *of = &hw_registers[i];

        if (info.type != of->type || data_length < (size_t)of->offset + of->size)
            continue;
        info.knows |= of->fact;
        memcpy((uint8_t *)&info + of->member, (const uint8_t *)data + of->offset, of->size);
    }
    *out = info;
    return IOVAGEOM_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_HOST_IOMMUFD_H
#define IOVAGEOM_HOST_IOMMUFD_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/range.h>

/**
 * @file
 * What iommufd answers, and is asked (linux/iommufd.h): IOMMU_IOAS_IOVA_RANGES and
 * IOMMU_GET_HW_INFO.
 *
 * iommufd gives the holes between what is reserved, and one alignment. The alignment is not a
 * page-size mask: it says which multiples map, and nothing of larger pages (Q7). An I/O address
 * space (IOAS) answers for the devices that are attached to it *now*: ask after every attach. An
 * answer from before the attach must not be used.
 *
 * Bytes are hostile, and of any alignment in memory. Numbers are in the byte order of this machine,
 * as its kernel reads and writes them. Nothing here allocates but iovageom_host_iommufd_ranges().
 */

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of struct iommu_ioas_iova_ranges. */
#define IOVAGEOM_IOMMUFD_RANGES_SIZE 32
/** Bytes of one struct iommu_iova_range. */
#define IOVAGEOM_IOMMUFD_RANGE_SIZE 16

/**
 * Put an answer into a geometry: usable ranges and alignment. All or nothing.
 *
 * When the array is too small, the ioctl fails with EMSGSIZE and says the number of ranges, which
 * may grow again before the next call. So a VMM asks again, but not for ever:
 *
 *     size_t needed = 32 * IOVAGEOM_IOMMUFD_RANGE_SIZE; // enough for the usual host
 *     int rc = IOVAGEOM_ERR_BUFFER_TOO_SMALL;
 *
 *     for (int tries = 0; tries < 8 && rc == IOVAGEOM_ERR_BUFFER_TOO_SMALL; tries++) {
 *         ranges = realloc(ranges, needed);
 *         header = (struct iommu_ioas_iova_ranges){
 *             .size = sizeof(header),
 *             .ioas_id = ioas_id,
 *             .num_iovas = needed / IOVAGEOM_IOMMUFD_RANGE_SIZE,
 *             .allowed_iovas = (uintptr_t)ranges,
 *         };
 *         failed = ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &header) < 0;
 *         if (failed && errno != EMSGSIZE)
 *             return -errno;
 *         rc = iovageom_host_iommufd_ranges(&header, sizeof(header), ranges, failed ? 0 : needed,
 *                                           &needed, geometry);
 *     }
 *
 * @param header what the ioctl left in struct iommu_ioas_iova_ranges.
 * @param ranges the array that its allowed_iovas pointed to, `ranges_length` bytes: 0 after
 *        EMSGSIZE, since such an array is not whole. May be NULL when `ranges_length` is 0.
 * @param needed receives the bytes that the array needs, exactly when
 *        IOVAGEOM_ERR_BUFFER_TOO_SMALL is returned. May be NULL.
 * @return IOVAGEOM_ERR_TRUNCATED: the header has fewer bytes than its own `size` says, or than 32;
 *         IOVAGEOM_ERR_MALFORMED: `size` below 32, or an alignment that is no power of two;
 *         IOVAGEOM_ERR_UNKNOWN: nothing is attached. Linux then answers [0, 2^64-1] with alignment
 *         1, which constrains nothing: a caller may go on without it. (With
 *         IOMMU_OPTION_HUGE_PAGES off it says the alignment of a page, attached or not, and this
 *         call can't tell: so ask after the attach only.)
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL; IOVAGEOM_ERR_LIMIT: the list needs more bytes than a
 *         size_t can say; IOVAGEOM_ERR_INVERTED; IOVAGEOM_ERR_NO_MEMORY. O(n log n) for n ranges.
 */
IOVAGEOM_API int iovageom_host_iommufd_ranges(const void *header, size_t header_length,
                                              const void *ranges, size_t ranges_length,
                                              size_t *needed, struct iovageom_geometry *geometry);

/** Types of IOMMU_GET_HW_INFO (enum iommu_hw_info_type). Others may come. */
enum iovageom_hw_info_type {
    IOVAGEOM_HW_INFO_NONE = 0,
    IOVAGEOM_HW_INFO_VTD = 1,
    IOVAGEOM_HW_INFO_SMMUV3 = 2,
    IOVAGEOM_HW_INFO_TEGRA241_CMDQV = 3,
    IOVAGEOM_HW_INFO_AMD = 4
};

/** Bits of `capabilities` (enum iommufd_hw_capabilities). Others may come. */
enum iovageom_hw_capability {
    IOVAGEOM_HW_CAP_DIRTY_TRACKING = 1,
    IOVAGEOM_HW_CAP_PASID_EXEC = 2, /**< counts only with IOVAGEOM_HW_INFO_PASID */
    IOVAGEOM_HW_CAP_PASID_PRIV = 4, /**< the same */
    /** ATS can't be used. When the bit is clear, ATS may be there, or the kernel doesn't say. */
    IOVAGEOM_HW_CAP_ATS_NOT_SUPPORTED = 8
};

/** What an IOMMU_GET_HW_INFO answer says. One bit each. */
enum iovageom_hw_info_fact {
    IOVAGEOM_HW_INFO_CAPABILITIES = 1, /**< the header is long enough to have them */
    IOVAGEOM_HW_INFO_VTD_CAP = 2,
    IOVAGEOM_HW_INFO_VTD_ECAP = 4,
    IOVAGEOM_HW_INFO_SMMUV3_IDR = 8, /**< all of idr[0] to idr[5] */
    IOVAGEOM_HW_INFO_AMD_EFR = 16,
    IOVAGEOM_HW_INFO_AMD_EFR2 = 32,
    /** PASIDs are there, and on. When the bit is clear, they are not, or the kernel doesn't say. */
    IOVAGEOM_HW_INFO_PASID = 64
};

/** An IOMMU_GET_HW_INFO answer. Fields whose bit in `knows` is clear are 0 and mean nothing. */
struct iovageom_hw_info {
    uint32_t knows;         /**< bits of enum iovageom_hw_info_fact */
    uint32_t type;          /**< an enum iovageom_hw_info_type, or one that is not known */
    uint64_t full_length;   /**< bytes that the kernel has for this type, whatever was asked for */
    uint64_t capabilities;  /**< bits of enum iovageom_hw_capability */
    uint64_t vtd_cap;       /**< VTD: for iovageom_host_vtd() */
    uint64_t vtd_ecap;      /**< VTD */
    uint32_t smmuv3_idr[6]; /**< SMMUV3: for iovageom_host_smmuv3() */
    uint64_t amd_efr;       /**< AMD: for iovageom_host_amd() */
    uint64_t amd_efr2;      /**< AMD */
    uint32_t pasid_bits;    /**< width of a PASID, 1 to 255: not checked; PCI has up to 20 */
};

/**
 * Decode an IOMMU_GET_HW_INFO answer, as Linux 7.3 has it. The data may be longer or shorter than
 * what is known here: each register that is there as a whole is taken. Of the data of a type that
 * is not known nothing is.
 *
 * @param header struct iommu_hw_info after the ioctl: 32 bytes (Linux 6.6, without capabilities and
 *        PASIDs) or more.
 * @param data what its data_uptr pointed to. NULL when `data_length` is 0.
 * @return IOVAGEOM_ERR_TRUNCATED: the header has fewer bytes than its own `size` says, or than 32;
 *         IOVAGEOM_ERR_MALFORMED: `size` below 32. O(1).
 */
IOVAGEOM_API int iovageom_host_iommufd_hw_info(const void *header, size_t header_length,
                                               const void *data, size_t data_length,
                                               struct iovageom_hw_info *out);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_HOST_VFIO_H
#define IOVAGEOM_HOST_VFIO_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/geometry.h>

/**
 * @file
 * What VFIO type1 says: the answer to VFIO_IOMMU_GET_INFO (struct vfio_iommu_type1_info and its
 * capability chain, linux/vfio.h).
 *
 * The bytes are taken as hostile: capabilities may come in any order, 4- or 8-aligned, cut off, in
 * a circle, on top of each other, or claim more ranges than there is room for. Capabilities and
 * versions that are not known are skipped. Numbers are in the byte order of this machine, as its
 * kernel writes them.
 *
 * The kernel leaves its list out when it has no room for it, and the list may grow between two
 * calls. So a VMM asks again, but not for ever:
 *
 *     size_t needed = 512; // enough for the usual host
 *     int rc = IOVAGEOM_ERR_BUFFER_TOO_SMALL;
 *
 *     for (int tries = 0; tries < 8 && rc == IOVAGEOM_ERR_BUFFER_TOO_SMALL; tries++) {
 *         free(info);
 *         info = calloc(1, needed);
 *         info->argsz = needed;
 *         if (ioctl(container, VFIO_IOMMU_GET_INFO, info) < 0)
 *             return -errno;
 *         rc = iovageom_host_vfio_info(info, needed, &needed, geometry);
 *     }
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Put an answer into a geometry: usable ranges, page sizes and mapping budget, each if it is there.
 * All or nothing. O(n log n) for n bytes.
 *
 * Page sizes are taken as type1 applies them: VFIO pins whole host pages, and replaces sizes below
 * the host's page by that (B1). A mask may have bits below 4 KiB all the same, the smallest page of
 * any host. Then it does not say what the host's page is, and all bits below 64 KiB, the largest
 * page of any host, are replaced by the bit of 64 KiB: every host maps multiples of that.
 *
 * Ranges that touch or overlap are joined. Linux maps nothing across the border of two of them, but
 * lists such ones only around a reserved region of no length, or one that ends before it starts.
 *
 * A list of 0 ranges is no constraint: type1 keeps one for a container with mediated devices only,
 * and lets everything be mapped. The number of mappings that can still be made becomes a budget,
 * unless it is 2^32-1: iommufd says that where it stands in for VFIO, since it counts none.
 *
 * @param bytes the buffer that the ioctl filled; any alignment.
 * @param length its size in bytes.
 * @param needed receives the size to ask with, exactly when IOVAGEOM_ERR_BUFFER_TOO_SMALL is
 *        returned. May be NULL.
 * @return IOVAGEOM_ERR_TRUNCATED: fewer than 16 bytes, or something ends past `length`;
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL: there are capabilities and the kernel had no room for
 *         them, ask again with `needed` bytes;
 *         IOVAGEOM_ERR_CYCLE: the chain comes back to itself;
 *         IOVAGEOM_ERR_MALFORMED: argsz below 16, or without room for the capabilities that the
 *         flags promise; a capability inside the header, not 4-aligned, ending past argsz,
 *         overlapping a known one, or a known one that is there twice;
 *         IOVAGEOM_ERR_INVERTED: a range ends before it starts; IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_host_vfio_info(const void *bytes, size_t length, size_t *needed,
                                         struct iovageom_geometry *geometry);

#ifdef __cplusplus
}
#endif
#endif

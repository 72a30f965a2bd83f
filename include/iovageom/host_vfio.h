/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_HOST_VFIO_H
#define IOVAGEOM_HOST_VFIO_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/range.h>

/**
 * @file
 * What VFIO type1 says: the answer to VFIO_IOMMU_GET_INFO (struct vfio_iommu_type1_info and its
 * capability chain, linux/vfio.h).
 *
 * The bytes are taken as hostile: capabilities may come in any order, 4- or 8-aligned, cut off, in
 * a circle, on top of each other, or claim more ranges than there is room for. Capabilities and
 * versions that are not known are skipped. An answer may be of either byte order, as it may have
 * been captured on another machine; a question is for the kernel of this one. Nothing here allocates
 * but iovageom_host_vfio_info().
 *
 * In three steps, of which most callers need the first and the last:
 *
 *     iovageom_host_vfio_query_init(&query);
 *     do {
 *         buffer = realloc(buffer, query.size);
 *         iovageom_host_vfio_query_request(&query, buffer);
 *         if (ioctl(container, VFIO_IOMMU_GET_INFO, buffer) < 0)
 *             return -errno;
 *         rc = iovageom_host_vfio_query_answer(&query, buffer);
 *     } while (rc == IOVAGEOM_ERR_BUFFER_TOO_SMALL);
 *     if (rc == IOVAGEOM_OK)
 *         rc = iovageom_host_vfio_info(buffer, query.size, &needed, geometry);
 */

#ifdef __cplusplus
extern "C" {
#endif

/** What an answer says, for struct iovageom_vfio_info. One bit each. */
enum iovageom_vfio_fact {
    IOVAGEOM_VFIO_PAGE_SIZES = 1,  /**< the page-size mask */
    IOVAGEOM_VFIO_IOVA_RANGES = 2, /**< capability 1: the usable ranges */
    IOVAGEOM_VFIO_MIGRATION = 4,   /**< capability 2: dirty page tracking */
    IOVAGEOM_VFIO_DMA_AVAIL = 8    /**< capability 3: how many more mappings there may be */
};

/** An answer, decoded. Fields whose bit in `knows` is clear are 0 and mean nothing. */
struct iovageom_vfio_info {
    uint32_t knows; /**< bits of enum iovageom_vfio_fact */
    /**
     * IOVA_RANGES: how many ranges iovageom_host_vfio_range() gives. Type1 keeps an empty list for
     * a container with mediated devices only, and then lets everything be mapped: 0 ranges are no
     * constraint. (Linux leaves the capability out in that case, which says the same.)
     */
    uint32_t range_count;
    uint64_t ranges_offset; /**< IOVA_RANGES: where in the answer they stand, in bytes */
    /**
     * PAGE_SIZES: the mask as type1 applies it: bits below 4 KiB, the smallest page of any host,
     * are replaced by that of 4 KiB, because VFIO pins whole host pages.
     */
    uint64_t page_sizes;
    uint64_t dirty_page_sizes; /**< MIGRATION: page sizes of the dirty bitmap, as a mask */
    uint64_t dirty_bitmap_max; /**< MIGRATION: the largest dirty bitmap, in bytes */
    /**
     * DMA_AVAIL: mappings that can still be made. 2^32-1 when they are not counted, as iommufd says
     * when it stands in for VFIO; a geometry then gets no mapping budget.
     */
    uint32_t dma_avail;
    uint32_t skipped; /**< how many capabilities were not known, or in their version */
};

/**
 * Decode an answer without touching a geometry. O(length).
 *
 * @param bytes the buffer that the ioctl filled; any alignment.
 * @param length its size in bytes.
 * @param needed receives the size to ask with, exactly when IOVAGEOM_ERR_BUFFER_TOO_SMALL is
 *        returned. May be NULL.
 * @return IOVAGEOM_ERR_TRUNCATED: fewer than 16 bytes, or something ends past `length`;
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL: there are capabilities and the kernel had no room for
 *         them, ask again with `needed` bytes;
 *         IOVAGEOM_ERR_CYCLE: the chain comes back to itself;
 *         IOVAGEOM_ERR_MALFORMED: argsz below 16; a capability inside the header, not 4-aligned,
 *         ending past argsz, standing on another one, or there twice.
 */
IOVAGEOM_API int iovageom_host_vfio_decode(const void *bytes, size_t length, size_t *needed,
                                           struct iovageom_vfio_info *out);

/**
 * Usable range number `index`, as the kernel wrote it: it may be inverted, or overlap another.
 *
 * @param info what iovageom_host_vfio_decode() made of the same bytes.
 * @return IOVAGEOM_ERR_NOT_FOUND beyond the last one.
 */
IOVAGEOM_API int iovageom_host_vfio_range(const void *bytes, size_t length,
                                          const struct iovageom_vfio_info *info, uint32_t index,
                                          struct iovageom_range *out);

/**
 * Put an answer into a geometry: usable ranges, page sizes and mapping budget, each if it is there.
 * All or nothing.
 *
 * @param needed as in iovageom_host_vfio_decode().
 * @return what iovageom_host_vfio_decode() returns; IOVAGEOM_ERR_INVERTED when a range is;
 *         IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_host_vfio_info(const void *bytes, size_t length, size_t *needed,
                                         struct iovageom_geometry *geometry);

/**
 * The two-call protocol of VFIO_IOMMU_GET_INFO, without its calls. The list may grow between two
 * calls, so it is asked again, but not for ever.
 */
struct iovageom_vfio_query {
    size_t size;       /**< bytes to ask with; read it, don't write it */
    uint32_t attempts; /**< how often it was asked */
};

/** How often a query is asked before it is given up. */
#define IOVAGEOM_VFIO_QUERY_ATTEMPTS 8

/** Start. The first size has room for the usual host, so that one call is enough. */
IOVAGEOM_API void iovageom_host_vfio_query_init(struct iovageom_vfio_query *query);

/** Fill `query->size` bytes at `buffer` with the question: zeros, but for argsz. */
IOVAGEOM_API void iovageom_host_vfio_query_request(const struct iovageom_vfio_query *query,
                                                   void *buffer);

/**
 * Look at the answer to it.
 *
 * @param buffer `query->size` bytes, after an ioctl that succeeded.
 * @return IOVAGEOM_OK: it is whole, and iovageom_host_vfio_decode() may be called;
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL: ask again with the new `query->size`;
 *         IOVAGEOM_ERR_LIMIT: it was asked too often;
 *         else what iovageom_host_vfio_decode() returns.
 */
IOVAGEOM_API int iovageom_host_vfio_query_answer(struct iovageom_vfio_query *query,
                                                 const void *buffer);

#ifdef __cplusplus
}
#endif
#endif

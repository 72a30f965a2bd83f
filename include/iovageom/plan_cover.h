/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_PLAN_COVER_H
#define IOVAGEOM_PLAN_COVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/mapping.h>
#include <iovageom/range.h>

/**
 * @file
 * Where a list of ranges may only be so long: it is covered by fewer ranges, which have as few
 * other addresses as can be. Dirty tracking by a device takes such a list
 * (VFIO_DEVICE_FEATURE_DMA_LOGGING_START, linux/vfio.h), and a vfio-user server so many regions.
 *
 * Dirty tracking while a guest maps and unmaps goes like this:
 *
 *     start    cover the domain's mappings, start logging with the cover
 *     MAP      iovageom_plan_cover_map(); if that changes the cover, fetch what was logged, and
 *              start anew with the new one; all before the request is answered
 *     UNMAP    fetch the bitmap of what is unmapped, and turn it into addresses by
 *              iovageom_plan_cover_dirty(), before the mappings go: afterwards nobody can tell
 *              where they led
 *     a round  fetch the bitmap of each range of the cover, turn it into addresses
 *
 * Nothing here allocates.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * At most `most` ranges that have all addresses of a list, with the least excess.
 *
 * Ranges that touch, once they are widened to granules, are one. While there are too many, the
 * smallest gaps are closed; of gaps of one size the higher, because more may be mapped below.
 *
 * @param ranges ascending and disjoint.
 * @param granule power of two in bytes; each range is widened outward to it. 1 for none. VFIO wants
 *        ranges at multiples of the page that is asked for.
 * @param most at least 1; SIZE_MAX for the fewest ranges without closing a gap. Linux takes as many
 *        for DMA logging as one of its pages has room for (256 with pages of 4 KiB), and answers
 *        E2BIG to more.
 * @param out room for `capacity` ranges; may be `ranges` itself. `count` or `most` always suffice.
 * @param needed receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @param excess receives the bytes that the cover has and the list has not. May be NULL.
 * @return IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_OVERLAP (not disjoint and ascending),
 *         IOVAGEOM_ERR_INVALID (granule, most), IOVAGEOM_ERR_BUFFER_TOO_SMALL. O(64 n).
 */
IOVAGEOM_API int iovageom_plan_cover(const struct iovageom_range *ranges, size_t count,
                                     uint64_t granule, size_t most, struct iovageom_range *out,
                                     size_t capacity, size_t *needed, struct iovageom_size *excess);

/**
 * What a MAP changes of a cover: it has the addresses of the mapping then, too, and all that it had.
 *
 * No cover of the old one and the mapping has less excess. One of the mappings themselves may, since
 * a gap that was closed once stays closed: iovageom_plan_cover() starts afresh.
 *
 * @param cover as iovageom_plan_cover() made it with the same granule and `most`.
 * @param out room for `capacity` ranges: most + 1 always suffice. Must not overlap `cover`.
 * @param needed receives how many there are; on IOVAGEOM_ERR_BUFFER_TOO_SMALL a capacity that
 *        suffices.
 * @param changed receives whether `out` is not what `cover` is. A vfio-user client then unmaps the
 *        regions that only `cover` has, and maps those that only `out` has.
 * @return as iovageom_plan_cover(). O(64 count).
 */
IOVAGEOM_API int iovageom_plan_cover_map(const struct iovageom_range *cover, size_t count,
                                         struct iovageom_range mapped, uint64_t granule,
                                         size_t most, struct iovageom_range *out, size_t capacity,
                                         size_t *needed, bool *changed);

/**
 * What an UNMAP changes of a cover: it no longer has whole granules of the hole at its ends, or in
 * its middle if `most` allows a range more, or a smaller gap can be closed for it.
 *
 * @param hole addresses of which none is mapped now: what was unmapped, or more.
 * @return as iovageom_plan_cover_map().
 */
IOVAGEOM_API int iovageom_plan_cover_unmap(const struct iovageom_range *cover, size_t count,
                                           struct iovageom_range hole, uint64_t granule,
                                           size_t most, struct iovageom_range *out, size_t capacity,
                                           size_t *needed, bool *changed);

/**
 * Which pages were written to: bit n % 64 of word n / 64 stands for the page at start + n x page.
 * That is what VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT and IOMMU_HWPT_GET_DIRTY_BITMAP fill in.
 */
struct iovageom_dirty_bitmap {
    const uint64_t *words; /**< (pages + 63) / 64 of them */
    uint64_t start;        /**< an IOVA, a multiple of `page` */
    uint64_t page;         /**< bytes of a page, a power of two */
    uint64_t pages;        /**< how many pages it is about */
};

/**
 * The addresses that a bitmap of IOVAs means, by the mappings as they were when its bits were set.
 *
 * A page of which mappings have a part counts with that part. A bit where nothing is mapped means
 * nothing: trackers may set more bits than there was DMA.
 *
 * @param mappings of a domain, as iovageom_viommu_mapping_next() lists them; those that the bitmap
 *        does not reach are passed over.
 * @param out room for `capacity` ranges of physical addresses, in the order of the mappings; what
 *        goes on where the one before ends is joined with it. May be NULL when capacity is 0.
 * @param needed receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @return IOVAGEOM_ERR_INVALID (the bitmap's page, start or end), IOVAGEOM_ERR_INVERTED,
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL. O(count + words + ranges).
 */
IOVAGEOM_API int iovageom_plan_cover_dirty(const struct iovageom_mapping *mappings, size_t count,
                                           const struct iovageom_dirty_bitmap *bitmap,
                                           struct iovageom_range *out, size_t capacity,
                                           size_t *needed);

#ifdef __cplusplus
}
#endif
#endif

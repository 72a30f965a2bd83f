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
 * For interfaces that take only a limited number of ranges: a list is covered by fewer ranges,
 * which have as few additional addresses as possible (the *excess*). Dirty tracking by a device has
 * such a limit (VFIO_DEVICE_FEATURE_DMA_LOGGING_START, linux/vfio.h), and a vfio-user server for
 * its regions.
 *
 * Dirty tracking while a guest maps and unmaps goes like this:
 *
 *     start    cover the domain's mappings, start logging with the cover
 *     MAP      iovageom_plan_cover_change(); if that changes the cover, fetch what was logged, and
 *              start logging anew with the new cover; all before the host maps anything
 *     UNMAP,   unmap on the host; then fetch the bitmap of what was unmapped, and turn it into
 *     DETACH   addresses by iovageom_plan_cover_dirty(); and only then let the mappings go:
 *              afterwards nobody can tell where they led
 *     a round  fetch the bitmap of each range of the cover, turn it into addresses; not between a
 *              host's map and the mapping's entry in the books
 *
 * A device whose logging starts anew has to be stopped from logging first, and what it writes
 * meanwhile is not logged: so hold it still, or count all that it can write to as written to.
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
 * smallest gap is closed: the ranges on both sides and the gap become one range. Of gaps of one
 * size the higher is closed first, because low addresses are more often mapped later.
 *
 * @param ranges ascending and disjoint.
 * @param granule power of two in bytes; each range is widened outward to it. 1 for none. VFIO wants
 *        ranges at multiples of the page that is asked for.
 * @param most at least 1; SIZE_MAX for the fewest ranges without closing a gap. Linux takes as many
 *        for DMA logging as one of its pages has room for (256 with pages of 4 KiB), and answers
 *        E2BIG to more.
 * @param out room for `capacity` ranges; may be `ranges` itself. `count` or `most` always suffice.
 * @param needed receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL. Not
 *        NULL.
 * @param excess receives the bytes that the cover has and the list has not. May be NULL.
 * @return IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_OVERLAP (not disjoint and ascending),
 *         IOVAGEOM_ERR_INVALID (granule, most), IOVAGEOM_ERR_BUFFER_TOO_SMALL. O(n): up to 64
 *         passes over the list.
 */
IOVAGEOM_API int iovageom_plan_cover(const struct iovageom_range *ranges, size_t count,
                                     uint64_t granule, size_t most, struct iovageom_range *out,
                                     size_t capacity, size_t *needed, struct iovageom_size *excess);

/**
 * What a MAP or an UNMAP changes of a cover.
 *
 * `mapped`: `range` was mapped. The new cover has all addresses of the old one and of the range,
 * and of all such covers the least excess. A cover of the mappings themselves may have less, since
 * here a gap that was closed once stays closed: call iovageom_plan_cover() for that.
 *
 * Else none of `range` is mapped now: it is what was unmapped, or more. Its whole granules leave
 * the cover. A hole inside one range makes two of it. If these are too many, the smallest gap is
 * closed again, which may be the hole.
 *
 * @param cover as iovageom_plan_cover() made it with the same granule and `most`.
 * @param out room for `capacity` ranges: most + 1 always suffice. Must not overlap `cover`.
 * @param needed receives how many there are; on IOVAGEOM_ERR_BUFFER_TOO_SMALL a capacity that
 *        suffices. Not NULL.
 * @param changed receives whether `out` differs from `cover`. A vfio-user client then unmaps the
 *        regions that only `cover` has, and maps those that only `out` has.
 * @return IOVAGEOM_ERR_INVERTED (`range`), IOVAGEOM_ERR_INVALID (granule, most),
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL. O(count), as iovageom_plan_cover().
 */
IOVAGEOM_API int iovageom_plan_cover_change(const struct iovageom_range *cover, size_t count,
                                            struct iovageom_range range, bool mapped,
                                            uint64_t granule, size_t most,
                                            struct iovageom_range *out, size_t capacity,
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
 * Where mappings have only a part of a page, only that part counts. A bit where nothing is mapped
 * is ignored: trackers may set more bits than there was DMA.
 *
 * @param mappings of a domain, as iovageom_viommu_mapping_next() lists them; those outside of the
 *        bitmap are passed over.
 * @param out room for `capacity` ranges of guest-physical addresses, in the order of the mappings;
 *        a range that begins where the one before ends is joined with it. May be NULL when capacity
 *        is 0.
 * @param needed receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL. Not
 *        NULL.
 * @return IOVAGEOM_ERR_INVALID (the bitmap's page or start, or it ends above 2^64-1),
 *         IOVAGEOM_ERR_INVERTED (a mapping), IOVAGEOM_ERR_OVERFLOW (a mapping whose addresses would
 *         end above 2^64-1), IOVAGEOM_ERR_BUFFER_TOO_SMALL. O(count + words + ranges).
 */
IOVAGEOM_API int iovageom_plan_cover_dirty(const struct iovageom_mapping *mappings, size_t count,
                                           const struct iovageom_dirty_bitmap *bitmap,
                                           struct iovageom_range *out, size_t capacity,
                                           size_t *needed);

#ifdef __cplusplus
}
#endif
#endif

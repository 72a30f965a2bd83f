/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_GUEST_H
#define IOVAGEOM_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/kernel.h>
#include <iovageom/range.h>
#include <iovageom/rangeset.h>
#include <iovageom/region.h>
#include <iovageom/report.h>
#include <iovageom/virtio.h>

/**
 * @file
 * The guest's side of a virtio-iommu: a second library, iovageom-guest, for tests, tools and
 * warnings. No VMM needs it to run. It needs libiovageom, and not the other way round; iovageom.h
 * does not include this header.
 *
 * There are two readers of the same bytes:
 *
 * - iovageom_guest_*: a driver that follows the specification exactly. It decodes what virtio.h
 *   encodes, and encodes the requests, which virtio.h decodes.
 * - iovageom_guestview_*: Linux, mistakes included: what the drivers of 6.1, 6.12 and 7.3 do. They
 *   read PROBE bytes alike; where they differ otherwise, it is said below. It answers "which
 *   addresses will this guest use", and warns of what goes wrong there.
 *
 * Linux takes four steps. Its driver reads a PROBE answer (iovageom_guestview_probe), the IOMMU
 * core sorts the regions of all devices of the guest group into the list that sysfs shows
 * (iovageom_guestview_group), VFIO in the guest cuts them out of the input range
 * (iovageom_guestview_vfio), and the DMA allocator for in-kernel drivers hands out the rest
 * (iovageom_guestview_dma_*), set up from the *first* device of the group alone.
 *
 * Regions have the types RESERVED, MSI, and SOFTWARE_MSI for the window that the driver makes up
 * when it was told of no MSI region; the guest's sysfs prints "msi" for both MSI and SOFTWARE_MSI.
 * As in Linux, a region may be inverted, and regions of different types may overlap. `owner` is 0.
 *
 * Only VFIO and iommufd in the guest map MSI doorbells in the window of type SOFTWARE_MSI, for the
 * devices that they assign. For in-kernel drivers Linux takes a page from the DMA allocator, like
 * any other, unless the doorbell lies in a region of type MSI. So the window of type SOFTWARE_MSI
 * is not reserved for them (iommu_dma_get_msi_page and iova_reserve_iommu_regions; the same in 6.12
 * and 7.3).
 *
 * Numbers like N60 are those of docs/numbers.md: statements of the virtio specification 1.4.
 */

/** Marks the functions of the library iovageom-guest, as IOVAGEOM_API does those of libiovageom. */
#define IOVAGEOM_GUEST_API IOVAGEOM_API

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a driver by the specification ---- */

/** One property of a PROBE answer, as found. */
struct iovageom_guest_property {
    uint32_t type;     /**< 12 bits, an enum iovageom_virtio_property_type or unknown */
    uint32_t reserved; /**< the other 4 bits: when not 0, a guest must ignore the property (N60) */
    size_t offset;     /**< of the payload, from the start of the properties, in bytes */
    size_t length; /**< of the payload, without the head (N59: not to be guessed from the type) */
};

/**
 * The property at *offset, which is moved to the next one. Total over any bytes.
 *
 * Start with *offset 0 and call until it answers something else than 0: it takes at most size / 4
 * calls, and one more.
 *
 * @return IOVAGEOM_ERR_NOT_FOUND at the end: a property of type 0, or fewer than 4 bytes, all 0
 *         (I4); IOVAGEOM_ERR_TRUNCATED when a head or a payload runs over the end.
 */
IOVAGEOM_GUEST_API int iovageom_guest_property_next(const void *bytes, size_t size, size_t *offset,
                                                    struct iovageom_guest_property *property);

/**
 * A RESV_MEM payload, without its head.
 *
 * @param region receives range and type: MSI, or RESERVED for every other subtype (N72). Reserved
 *        bytes are ignored (N71), and so is whatever follows byte 20.
 * @param subtype receives the subtype as on the wire; may be NULL.
 * @return IOVAGEOM_ERR_MALFORMED when `length` is less than 20, IOVAGEOM_ERR_INVERTED.
 */
IOVAGEOM_GUEST_API int iovageom_guest_decode_resv_mem(const void *payload, size_t length,
                                                      struct iovageom_region *region,
                                                      uint32_t *subtype);

/**
 * What a guest that follows the specification to the letter reads from a PROBE answer: its RESV_MEM
 * regions, in the order of the wire. Unknown properties, and those with reserved bits, are skipped
 * (N58, N60, N61). Any malformed property makes the whole answer malformed.
 *
 * Overlaps and a second MSI, which only the device is asked to avoid, are not refused:
 * iovageom_plan_probe() refuses them. What Linux makes of the bytes: iovageom_guestview_probe().
 *
 * @param out room for `capacity` regions; may be NULL when capacity is 0. `owner` is set to 0.
 * @param count receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @return IOVAGEOM_ERR_TRUNCATED, IOVAGEOM_ERR_MALFORMED, IOVAGEOM_ERR_INVERTED,
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL. Linear.
 */
IOVAGEOM_GUEST_API int iovageom_guest_decode_probe(const void *bytes, size_t size,
                                                   struct iovageom_region *out, size_t capacity,
                                                   size_t *count);

/**
 * The device-readable bytes of a request, reserved ones 0: what a driver writes.
 *
 * @param buffer IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX bytes are enough for any.
 * @param needed receives the size in bytes, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @return IOVAGEOM_ERR_UNSUPPORTED for an unknown type, IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 */
IOVAGEOM_GUEST_API int iovageom_guest_encode_request(const struct iovageom_virtio_request *request,
                                                     void *buffer, size_t size, size_t *needed);

/* ---- Linux ---- */

/** The guest kernel, as far as it matters. */
struct iovageom_guestview_kernel {
    uint64_t page_size; /**< of the kernel, bytes: 4096, 16384 or 65536 */
    uint32_t features;  /**< IOVAGEOM_VIRTIO_F_*: offered by the device, so negotiated */
    /** 1 when phys_addr_t has 32 bits: it refuses regions above 4 GiB. With PAE it would refuse
        those of 4 GiB and more, wherever they are; such a kernel is not foretold. */
    uint32_t physical_32bit;
    /**
     * An enum iovageom_linux_rules. They differ in one thing: with F_BYPASS_CONFIG, 7.3 keeps the
     * first domain number of the config space for bypass, so a range of one number leaves none.
     */
    uint32_t rules;
};

/**
 * A kernel of 4K pages and 64 bits, by the rules of any version; all features but the legacy
 * F_BYPASS, which Linux refuses.
 */
IOVAGEOM_GUEST_API struct iovageom_guestview_kernel iovageom_guestview_kernel_default(void);

/**
 * The regions of one device after the driver has read a PROBE answer: ascending by start, the
 * software MSI window (0x8000000-0x80fffff) last if it was added.
 *
 * It does what the driver does, also where that is not what the specification says: the driver
 * reads a property's start and end before it looks at its length; it masks the type with 0xfff, and
 * so doesn't ignore properties with reserved bits (N60); it accepts inverted regions; it refuses
 * [0, 2^64-1]; and it keeps the error of the last RESV_MEM property only. Bytes beyond `size` are
 * read as zeros.
 *
 * @param config the config space; `probe_size` bytes of properties are read.
 * @param bytes the properties of the answer. May be NULL when size is 0.
 * @param out room for `capacity` regions; may be NULL when capacity is 0.
 * @param count receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @param report findings of kind GUEST_QUIRK, fatal where the guest can't use the device.
 * @return IOVAGEOM_OK; IOVAGEOM_ERR_BUFFER_TOO_SMALL; IOVAGEOM_ERR_INVALID for rules that are none;
 *         and where the guest itself fails: IOVAGEOM_ERR_INVALID for a page_size_mask of 0 or no
 *         F_MAP_UNMAP; IOVAGEOM_ERR_ALIGNMENT for a granule above its page size; IOVAGEOM_ERR_LIMIT
 *         when there is no domain number that it can use (it uses those below 2^31);
 *         IOVAGEOM_ERR_MALFORMED when the last RESV_MEM property is too short;
 *         IOVAGEOM_ERR_OVERFLOW when that is [0, 2^64-1] or too high for 32 bits;
 *         IOVAGEOM_ERR_CYCLE when it would read for ever (length 0xfffc). O(n log n), and linear
 *         for ascending starts (the guest takes O(n^2)).
 */
IOVAGEOM_GUEST_API int iovageom_guestview_probe(const struct iovageom_guestview_kernel *kernel,
                                                const struct iovageom_virtio_config *config,
                                                const void *bytes, size_t size,
                                                struct iovageom_region *out, size_t capacity,
                                                size_t *count, struct iovageom_report *report);

/**
 * Adds the regions of a device to the list of its group, which is what the guest's
 * /sys/kernel/iommu_groups/N/reserved_regions shows: by start, then type; overlapping and adjacent
 * regions of one type merged, but not with one that ends at 2^64-1, for the kernel's comparison
 * wraps there.
 *
 * @param list the list so far, with room for `capacity` regions.
 * @param count in and out. Linear for ascending starts, else O(*count) for each region.
 * @return IOVAGEOM_ERR_BUFFER_TOO_SMALL when `capacity` is below *count + device_count, and so
 *         might not suffice: the list is as it was.
 */
IOVAGEOM_GUEST_API int iovageom_guestview_group(struct iovageom_region *list, size_t capacity,
                                                size_t *count, const struct iovageom_region *device,
                                                size_t device_count);

/**
 * The IOVA ranges that the guest's own VFIO reports for a group: the input range without the
 * regions, cut as the guest cuts them. Around an inverted region that leaves ranges that overlap.
 *
 * Linear for regions that ascend, as those of a group do, unless some are inverted.
 *
 * @param regions the group's list.
 * @param out room for `capacity` ranges. region_count + 1 always suffice, unless one is inverted.
 * @param count receives how many there are, on success only.
 * @return IOVAGEOM_ERR_INVERTED (input range); IOVAGEOM_ERR_NOTHING_USABLE when none is left: the
 *         guest refuses to attach; IOVAGEOM_ERR_BUFFER_TOO_SMALL. *out may have been written to on
 *         the last two.
 */
IOVAGEOM_GUEST_API int iovageom_guestview_vfio(struct iovageom_range input_range,
                                               const struct iovageom_region *regions,
                                               size_t region_count, struct iovageom_range *out,
                                               size_t capacity, size_t *count);

/**
 * The guest's DMA allocator for one group. Make with _init, release with _deinit. What it may
 * choose are the addresses within `limits` that are not in `taken`. What the guest keeps free for
 * other reasons, as the windows of PCI bridges, may be added to that.
 */
struct iovageom_guestview_dma {
    struct iovageom_rangeset taken; /**< reserved or allocated; whole granules */
    struct iovageom_range limits;   /**< from the first address that may be given to the last */
    uint64_t granule;               /**< bytes */
    /** Addresses below 4 GiB are tried first, as for PCI without iommu.forcedac. Set by _init; the
        caller may clear it; _alloc clears it when there are none left, unless low_always is set. */
    bool low_first;
    /** 6.1 tries addresses below 4 GiB for each allocation, 6.12 and 7.3 until the first that finds
        none there. Clear after _init; the caller may set it, for 6.1. */
    bool low_always;
};

/**
 * Sets it up as Linux does. Granules are the smallest page of the config space. The limits are the
 * input range, widened to granules, without the granule at 0, so that no address is 0. The regions
 * are taken, each widened to granules, except the software MSI window and inverted ones.
 *
 * @param allocator NULL for the default.
 * @param regions of the first device of the group that was set up. Those of the others don't count:
 *        that is the kernel's defect.
 * @return IOVAGEOM_ERR_INVALID for a page_size_mask of 0 or no allocator, IOVAGEOM_ERR_INVERTED for
 *         the input range, IOVAGEOM_ERR_NOTHING_USABLE when the input range has but the first
 *         granule, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_GUEST_API int iovageom_guestview_dma_init(struct iovageom_guestview_dma *dma,
                                                   const struct iovageom_allocator *allocator,
                                                   const struct iovageom_virtio_config *config,
                                                   const struct iovageom_region *regions,
                                                   size_t count);

/** Release it. NULL is allowed. */
IOVAGEOM_GUEST_API void iovageom_guestview_dma_deinit(struct iovageom_guestview_dma *dma);

/**
 * The range that an allocation gets. Its size is rounded up to granules, and if these are fewer
 * than 32, to a power of two of them; it is aligned to the next power of two; it lies below 4 GiB
 * if low_first is set and there is room, else as high as possible.
 *
 * @param size in bytes, at least 1.
 * @param mask the highest address of the device's DMA mask.
 * @param out receives the range that is taken.
 * @return IOVAGEOM_ERR_NOT_FOUND when there is no room (low_first may be cleared: there is none
 *         below 4 GiB either), IOVAGEOM_ERR_INVALID for a size of 0, IOVAGEOM_ERR_NO_MEMORY. As
 *         iovageom_rangeset_hole(), twice at most.
 */
IOVAGEOM_GUEST_API int iovageom_guestview_dma_alloc(struct iovageom_guestview_dma *dma,
                                                    uint64_t size, uint64_t mask,
                                                    struct iovageom_range *out);

#ifdef __cplusplus
}
#endif
#endif

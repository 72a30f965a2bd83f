/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIOMMU_SETUP_H
#define IOVAGEOM_VIOMMU_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/range.h>
#include <iovageom/report.h>
#include <iovageom/region.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

/**
 * @file
 * Setting up a virtual IOMMU: configuration, what is reserved for every endpoint, what devices to
 * come can map, freezing, and what the guest changes of the whole: features, bypass, reset.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** The state of a virtual IOMMU: see viommu.h. Opaque. */
struct iovageom_viommu;

/** Host group, address space or guest group of a device that has none but its own. */
#define IOVAGEOM_VIOMMU_OWN UINT64_MAX

/** The highest number that a host group, address space or guest group may have. */
#define IOVAGEOM_VIOMMU_GROUP_MAX (UINT64_MAX >> 2)

/** Choices of a VMM, as bits of iovageom_viommu_config.flags. */
enum iovageom_viommu_flag {
    /** Until freeze, the input range shrinks to what all devices and the envelope can map: from the
        first to the last whole granule, without what is reserved for all, if that leaves any. */
    IOVAGEOM_VIOMMU_INPUT_AS_HOST = 1,
    /** Refuse a device whose usable addresses don't reach both ends of the input range. */
    IOVAGEOM_VIOMMU_STRICT_INPUT = 2,
    /** Refuse a device that Linux 6.6 and later gives to nobody, since it has a region of type
        DIRECT, and an envelope that has one. Else it is a note (FINDING_DIRECT). */
    IOVAGEOM_VIOMMU_REFUSE_DIRECT = 4,
    /** Keep an index of each domain's mappings by the addresses that they lead to, so that
        iovageom_viommu_translate_back() searches no longer through all of them. Each MAP then needs
        memory (48 bytes), and MAP and UNMAP a second search. It is no part of what
        iovageom_viommu_save() writes: load makes it anew. */
    IOVAGEOM_VIOMMU_INDEX_PHYS = 8
};

/**
 * How a virtual IOMMU is to look. Fill it with iovageom_viommu_config_init(), then change fields.
 */
struct iovageom_viommu_config {
    /**
     * Addresses that the guest may map; default [0, 2^64-1]. From aw-bits: _from_gaw(). Without
     * F_INPUT_RANGE the guest takes all of 64 bits for granted (I2): then what is left out here is
     * a reserved region as by iovageom_viommu_add_region(), and INPUT_AS_HOST does nothing.
     * Freeze takes the whole granules of it, since guests use those that lie inside in part.
     */
    struct iovageom_range input_range;
    /** Page sizes before any device narrows them; default all from 4 KiB up. */
    uint64_t page_size_mask;
    /** Granule in bytes, or 0 (the default) for "as the host". */
    uint64_t granule;
    /**
     * Most mappings in all domains together, and in one; default 2^22 and 2^20. They keep a guest
     * from using up the VMM's memory, at about 50 bytes for a mapping. Nothing else limits the
     * mappings of an emulated endpoint, and those of a device only if its host has a budget (Linux:
     * dma_entry_limit of vfio_iommu_type1, 65,535 in a container by default). UINT64_MAX: no limit.
     */
    uint64_t max_mappings;
    uint64_t max_domain_mappings;
    /** Most domains that may exist at once; default 2^16. UINT32_MAX: no limit. */
    uint32_t max_domains;
    /** Domain numbers that the guest may use; default 0 to 2^32-1. */
    uint32_t domain_start;
    uint32_t domain_last;
    /** Bytes of PROBE properties, or 0 (the default) to choose at freeze: at least 512. */
    uint32_t probe_size;
    /** IOVAGEOM_VIRTIO_F_*; default INPUT_RANGE, DOMAIN_RANGE, MAP_UNMAP, PROBE, MMIO,
        BYPASS_CONFIG. */
    uint32_t features;
    /** IOVAGEOM_VIOMMU_*; default 0. */
    uint32_t flags;
    /** Config field `bypass` after a system reset, 0 or 1; default 1: firmware can boot. */
    uint32_t boot_bypass;
    uint32_t reserved32;  /**< 0 */
    uint64_t reserved[8]; /**< 0 */
};

/** The documented defaults. */
IOVAGEOM_API void iovageom_viommu_config_init(struct iovageom_viommu_config *config);

/**
 * Make a virtual IOMMU with nothing in it.
 *
 * @param allocator NULL for the default; copied.
 * @param config NULL for the defaults; copied.
 * @return IOVAGEOM_ERR_INVERTED (input or domain range); IOVAGEOM_ERR_INVALID: a granule that is no
 *         power of two, a page-size mask that is 0 (N8) or has no page as small as the granule, a
 *         probe_size of less than 96 that isn't 0 (four regions, which any list can be joined
 *         into), F_BYPASS together with F_BYPASS_CONFIG (N4), an input range without a
 *         whole granule, or one that neither F_INPUT_RANGE nor F_PROBE can tell, unknown bits,
 *         reserved fields;
 *         IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_new(const struct iovageom_allocator *allocator,
                                     const struct iovageom_viommu_config *config,
                                     struct iovageom_viommu **out);

/** Free it with all that it holds. NULL is allowed. */
IOVAGEOM_API void iovageom_viommu_free(struct iovageom_viommu *viommu);

/**
 * Reserve a window for every endpoint: the machine's MSI doorbells, a user's reserved-regions.
 *
 * On Arm, add the doorbells of the machine's interrupt controller as MSI. Where a Linux guest is
 * told of none, its driver makes up a window at [0x8000000,0x80fffff] (I5), which hosts there
 * reserve: VFIO and iommufd in that guest map the doorbells there, so that a device which it hands
 * on gets no interrupts. Its own drivers do without: for them Linux takes the page from the
 * allocator of all other DMA (iommu_dma_get_msi_page; the same in 6.12 and 7.3), which keeps to
 * what it was told. A region of type MSI outranks the hosts' MSI windows, which are then told as
 * RESERVED (N74: only one is MSI).
 *
 * @param name of the region, for messages; shorter than IOVAGEOM_NAME_SIZE.
 * @return IOVAGEOM_ERR_FROZEN after freeze, IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_INVALID,
 *         IOVAGEOM_ERR_UNSUPPORTED: it lies in the input range, and no guest can be told of it, as
 *         PROBE isn't offered (guests know of MSI doorbells); IOVAGEOM_ERR_NO_MEMORY. O(n).
 */
IOVAGEOM_API int iovageom_viommu_add_region(struct iovageom_viommu *viommu,
                                            struct iovageom_range range,
                                            enum iovageom_resv_type type,
                                            enum iovageom_source source, const char *name);

/**
 * Declare the envelope: what every device that will be plugged into a slot can map at least. A
 * guest can't be told of more reserved ranges after its PROBE, so it is told of these from the
 * start: what the envelope does not map is reserved for each guest group that has a slot. Its page
 * sizes count when the config space is frozen.
 *
 * @param envelope copied; NULL takes it away.
 * @param report notes that a device of it can't be assigned, unless that is refused
 *        (FINDING_DIRECT).
 * @return IOVAGEOM_ERR_FROZEN after freeze, IOVAGEOM_ERR_NO_MEMORY, IOVAGEOM_ERR_CONFLICT when the
 *         granule or the input range do not go with it, or REFUSE_DIRECT is set and it has a region
 *         of type DIRECT (with a report). O(n).
 */
IOVAGEOM_API int iovageom_viommu_set_envelope(struct iovageom_viommu *viommu,
                                              const struct iovageom_geometry *envelope,
                                              struct iovageom_report *report);

/**
 * Say which guest-physical ranges a bypass translates one to one (RAM, and what devices reach), so
 * that bypass can be refused where the host can't map them. Without it bypass isn't checked.
 *
 * @param ranges in any order; copied. count 0 takes them away.
 * @return IOVAGEOM_ERR_CONFLICT when an endpoint that bypasses now could no longer (with a report:
 *         one IOVAGEOM_FINDING_RESERVED for each), IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_NO_MEMORY.
 *         O(n k log count).
 */
IOVAGEOM_API int iovageom_viommu_set_identity(struct iovageom_viommu *viommu,
                                              const struct iovageom_range *ranges, size_t count,
                                              struct iovageom_report *report);

/**
 * The guest may read the config space from here on: granule, page sizes, input range and probe_size
 * are fixed. Devices plugged later must go with them. The first request of a guest does it too, and
 * its report then has the notes of both: any request as bytes, and of those as calls an ATTACH or a
 * PROBE. (The others are refused while there is no domain.)
 *
 * @param report notes what is cut off the input range to make it whole granules (FINDING_LOST), and
 *        when INPUT_AS_HOST leaves nothing of it (FINDING_NOTHING_USABLE): then it stays as it was;
 *        a device whose guest knows of no MSI doorbells (FINDING_GUEST_QUIRK), as plug does; and
 *        each device, and the envelope, that can't be assigned (FINDING_DIRECT).
 * @return IOVAGEOM_OK, also when frozen already; IOVAGEOM_ERR_NO_MEMORY; IOVAGEOM_ERR_OVERFLOW when
 *         probe_size is to be chosen, and a list takes more than 2^32-1 bytes. O(n k).
 */
IOVAGEOM_API int iovageom_viommu_freeze(struct iovageom_viommu *viommu,
                                        struct iovageom_report *report);

/**
 * The guest is gone, and the next one will read the config space anew: undo freeze. For a VMM that
 * restarts its machine: after iovageom_viommu_reset() with `system`, and before the firmware runs.
 * Devices that only a frozen granule or input range kept out may then be plugged, regions and an
 * envelope be set; then freeze again, and give the guest the config space that follows from it.
 * Devices that came into a narrower input range are not judged again: where PROBE can't tell of
 * them, iovageom_viommu_driver_features() does.
 *
 * @return IOVAGEOM_ERR_STATE while there is a promise or a domain; nothing has changed then.
 *         O(guest groups).
 */
IOVAGEOM_API int iovageom_viommu_thaw(struct iovageom_viommu *viommu);

/** Whether the config space is frozen. */
IOVAGEOM_API bool iovageom_viommu_frozen(const struct iovageom_viommu *viommu);

/**
 * The config space: as it was frozen, or as freezing now would make it.
 *
 * `bypass` is the present value of the field. Encode it with iovageom_virtio_encode_config().
 *
 * @return as iovageom_viommu_freeze(). O(1) when frozen, else O(n k).
 */
IOVAGEOM_API int iovageom_viommu_config_space(const struct iovageom_viommu *viommu,
                                              struct iovageom_virtio_config *out);

/**
 * The feature bits that the driver accepted (FEATURES_OK). Until this call, what is offered counts
 * as accepted. Bits that are not offered are ignored. MAP_F_MMIO is an unknown flag without F_MMIO
 * (N40, N43), ATTACH_F_BYPASS without F_BYPASS_CONFIG (N25).
 *
 * It is refused when this driver could not be told what a plugged device can't map, what
 * iovageom_viommu_add_region() reserves, or the envelope while there is a slot: one that declines
 * PROBE would choose its addresses blindly, and be refused at MAP. Then refuse FEATURES_OK. For a
 * driver that declines INPUT_RANGE, PROBE reserves what lies outside of the range.
 *
 * From here on plug, update, declare, add_region and set_envelope refuse what this driver can't be
 * told of. Valid until a reset.
 *
 * @return IOVAGEOM_ERR_CONFLICT with the findings that plug would have had (FINDING_INPUT_RANGE);
 *         IOVAGEOM_ERR_NO_MEMORY, only before freeze with INPUT_AS_HOST. O(n k).
 */
IOVAGEOM_API int iovageom_viommu_driver_features(struct iovageom_viommu *viommu, uint32_t features,
                                                 struct iovageom_report *report);

/**
 * The guest writes the config field `bypass` (N5, N6, N10).
 *
 * @return IOVAGEOM_ERR_INVALID for a value that is neither 0 nor 1, IOVAGEOM_ERR_UNSUPPORTED when
 *         BYPASS_CONFIG is not offered or not accepted, IOVAGEOM_ERR_CONFLICT when an unattached
 *         endpoint can't map the identity ranges (with a report). The field is then unchanged. O(n
 *         k).
 */
IOVAGEOM_API int iovageom_viommu_set_bypass(struct iovageom_viommu *viommu, uint32_t bypass,
                                            struct iovageom_report *report);

/**
 * The device is reset by its driver, or (with `system`) the whole machine is: all domains, mappings
 * and promises are gone, devices and slots stay. What is offered counts as accepted again. `bypass`
 * survives a device reset, and goes back to boot_bypass with the system (N9). The config space
 * stays frozen, for the VMM may go on showing the copy that it made when it was frozen: see
 * iovageom_viommu_thaw(). Never fails.
 */
IOVAGEOM_API void iovageom_viommu_reset(struct iovageom_viommu *viommu, bool system);

#ifdef __cplusplus
}
#endif
#endif

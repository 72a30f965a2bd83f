/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIOMMU_H
#define IOVAGEOM_VIOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/mappings.h>
#include <iovageom/range.h>
#include <iovageom/rangeset.h>
#include <iovageom/report.h>
#include <iovageom/resv.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

/**
 * @file
 * The books of a virtual IOMMU: what was configured, plugged, promised and mapped; whether a device
 * may be plugged; and what a guest's request is answered.
 *
 * The life of the books:
 *
 *   configure   iovageom_viommu_new(), _add_region(), _set_envelope(), _set_identity()
 *   declare     iovageom_viommu_declare(): emulated endpoints, and slots of devices to come
 *   plug        iovageom_viommu_plug(): devices with their geometry; cold or hot, it's the same
 *   freeze      iovageom_viommu_freeze(): from here on the guest may have read the config space
 *   answer      iovageom_viommu_request() for the bytes of a request queue, or the oracle's calls
 *
 * *Guest groups.* Endpoints that the guest cannot isolate from each other (a root port without ACS
 * and what is below it) are told one and the same: the union of what their hosts reserve, and of
 * the envelope while the group has a slot. That includes the emulated ones, since Linux listens
 * only to the first endpoint of a group.
 *
 * *Host groups and containers.* A host group is in one container, and who is plugged into it goes
 * there: as long as a device of it is plugged, or one that shares an endpoint with such a device,
 * as it can't be told which of these is unplugged. Devices that share host page tables share their
 * geometry: whatever
 * one of them reserves is reserved for all. They share a mapping budget too, as Linux counts by
 * container: what is mapped in a domain counts in each container where an endpoint of it is, and
 * endpoints of one container in several domains draw on the same budget. What VFIO says is what is
 * left (iovageom_geometry_add_map_budget()): plug and update take it for that beside the mappings
 * that the books know of in the container at that moment. So ask the host just before.
 *
 * *Promises.* What a PROBE was answered can't be taken back. A device that can't keep what members
 * of its guest group were promised, or that reserves where a domain which it would have to join
 * has live mappings, is refused when it is plugged, before anything has changed.
 *
 * Every call that changes the books does all of it or nothing. Calls on const books change nothing
 * and may run at the same time as each other. Words: n endpoints, m mappings of the domain at
 * hand, k ranges that a geometry reserves.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** The books. Opaque. */
struct iovageom_viommu;

/** Host group, container or guest group of a device that has none but its own. */
#define IOVAGEOM_VIOMMU_OWN UINT64_MAX

/** The highest number that a host group, container or guest group may have. */
#define IOVAGEOM_VIOMMU_GROUP_MAX (UINT64_MAX >> 2)

/* ---- configuration ---- */

/** Choices of a VMM, as bits of iovageom_viommu_config.flags. */
enum iovageom_viommu_flag {
    /** Until freeze, the input range shrinks to what all devices and the envelope can map: from the
        first to the last whole granule, without what is reserved for all, if that leaves any. */
    IOVAGEOM_VIOMMU_INPUT_AS_HOST = 1,
    /** Refuse a device whose usable addresses don't reach both ends of the input range. */
    IOVAGEOM_VIOMMU_STRICT_INPUT = 2,
    /** Refuse a device that Linux 6.6 and later gives to nobody, since it has a region of type
        DIRECT, and an envelope that has one. Else it is a note (FINDING_DIRECT). */
    IOVAGEOM_VIOMMU_REFUSE_DIRECT = 4
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
     * Most mappings in all domains together, and in one; default 2^22 and 2^20. They are what keeps a
     * guest from using up the VMM's memory, at about 50 bytes for a mapping: nothing else limits an
     * emulated endpoint, and a device only if its host has a budget (Linux: dma_entry_limit of
     * vfio_iommu_type1, 65,535 in a container by default). UINT64_MAX: no limit.
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
 * Make books with nothing in them.
 *
 * @param allocator NULL for the default; copied.
 * @param config NULL for the defaults; copied.
 * @return IOVAGEOM_ERR_INVERTED (input or domain range); IOVAGEOM_ERR_INVALID: a granule that is no
 *         power of two, a page-size mask that is 0 (N8) or has no page as small as the granule, a
 *         probe_size of less than 72 that isn't 0 (three regions, which any list can be joined
 *         into), F_BYPASS together with F_BYPASS_CONFIG (N4), an input range without a
 *         whole granule, or one that neither F_INPUT_RANGE nor F_PROBE can tell, unknown bits,
 *         reserved fields;
 *         IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_new(const struct iovageom_allocator *allocator,
                                     const struct iovageom_viommu_config *config,
                                     struct iovageom_viommu **out);

/** Free them with all they hold. NULL is allowed. */
IOVAGEOM_API void iovageom_viommu_free(struct iovageom_viommu *viommu);

/**
 * Reserve a window for every endpoint: the machine's MSI doorbells, a user's reserved-regions.
 *
 * On Arm, add the doorbells of the machine's interrupt controller as MSI. Where a Linux guest is told
 * of none, its driver makes up a window at [0x8000000,0x80fffff] (I5), which hosts there reserve:
 * VFIO and iommufd in that guest map the doorbells there, so that a device which it hands on gets no
 * interrupts. Its own drivers do without: for them Linux takes the page from the allocator of all
 * other DMA (iommu_dma_get_msi_page; the same in 6.12 and 7.3), which keeps to what it was told. A
 * region of type MSI outranks the hosts' MSI windows, which are then told as RESERVED (N74: only one
 * is MSI).
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
 * Declare the floor for devices not yet seen: what the devices that will be plugged into slots can
 * map at least. What it does not map is reserved for each guest group that has a slot, from the
 * start; its page sizes count when the config space is frozen.
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
 * are fixed. Devices plugged later must go with them. The first request of a guest does it too,
 * and its report then has the notes of both.
 *
 * @param report notes what is cut off the input range to make it whole granules (FINDING_LOST), and
 *        when INPUT_AS_HOST leaves nothing of it (FINDING_NOTHING_USABLE): then it stays as it was;
 *        a device whose guest knows of no MSI doorbells (FINDING_GUEST_QUIRK), as plug does; and
 *        each device, and the envelope, that can't be assigned (FINDING_DIRECT).
 * @return IOVAGEOM_OK, also when frozen already; IOVAGEOM_ERR_NO_MEMORY. O(n k).
 */
IOVAGEOM_API int iovageom_viommu_freeze(struct iovageom_viommu *viommu,
                                        struct iovageom_report *report);

/**
 * The guest is gone, and the next one will read the config space anew: undo freeze. For a VMM that
 * restarts its machine: after iovageom_viommu_reset() with `system`, and before the firmware runs.
 * Devices that only a frozen granule or input range kept out may then be plugged, regions and an
 * envelope be set; then freeze again, and give the guest the config space that follows from it.
 *
 * @return IOVAGEOM_ERR_STATE while there is a promise or a domain; nothing has changed then.
 *         O(guest groups).
 */
IOVAGEOM_API int iovageom_viommu_thaw(struct iovageom_viommu *viommu);

/** Whether the books are frozen. */
IOVAGEOM_API bool iovageom_viommu_frozen(const struct iovageom_viommu *viommu);

/**
 * The config space: as it was frozen, or as freezing now would make it.
 *
 * `bypass` is the present value of the field. Encode it with iovageom_virtio_encode_config().
 *
 * @return IOVAGEOM_ERR_NO_MEMORY. O(1) when frozen, else O(n k).
 */
IOVAGEOM_API int iovageom_viommu_config_space(const struct iovageom_viommu *viommu,
                                              struct iovageom_virtio_config *out);

/**
 * The feature bits that the driver accepted (FEATURES_OK). Until told, what is offered counts as
 * accepted. Bits that are not offered are ignored. MAP_F_MMIO is an unknown flag without F_MMIO
 * (N40, N43), ATTACH_F_BYPASS without F_BYPASS_CONFIG (N25).
 *
 * From here on plug, update, declare, add_region and set_envelope judge by what can be told to this
 * driver. It isn't asked of the devices that
 * are there: ask iovageom_viommu_driver_features_check() before, and refuse FEATURES_OK. A driver
 * that declines INPUT_RANGE is told by PROBE what lies outside. O(guest groups).
 */
IOVAGEOM_API void iovageom_viommu_driver_features(struct iovageom_viommu *viommu,
                                                  uint32_t features);

/**
 * Whether a driver that accepts `features` could be told what each plugged device can't map, what
 * iovageom_viommu_add_region() reserves, and the envelope while there is a slot. One that declines
 * PROBE would choose its addresses blindly, and be refused at MAP.
 *
 * @return IOVAGEOM_ERR_CONFLICT with the findings that plug would have had (FINDING_INPUT_RANGE);
 *         IOVAGEOM_ERR_NO_MEMORY, only before freeze with INPUT_AS_HOST. O(n k).
 */
IOVAGEOM_API int iovageom_viommu_driver_features_check(const struct iovageom_viommu *viommu,
                                                       uint32_t features,
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
 * and promises are gone, devices and slots stay. `bypass` survives a device reset, and goes back to
 * boot_bypass with the system (N9). The books stay frozen, for the VMM may go on showing the config
 * space that it copied when they were: see iovageom_viommu_thaw(). Never fails.
 */
IOVAGEOM_API void iovageom_viommu_reset(struct iovageom_viommu *viommu, bool system);

/* ---- endpoints ---- */

/** What an endpoint is. */
enum iovageom_endpoint_kind {
    /** Made by the VMM: no host stands behind it. The guest may probe and attach it. */
    IOVAGEOM_ENDPOINT_EMULATED = 1,
    /** A place where a device may be plugged. Until then a PROBE is answered from the group. */
    IOVAGEOM_ENDPOINT_SLOT = 2,
    /** A device that was plugged without a slot: gone when it is unplugged. */
    IOVAGEOM_ENDPOINT_DEVICE = 3
};

/**
 * Declare an endpoint before its device exists, or one that has none.
 *
 * A slot brings the envelope into its guest group. That is refused like a device would be, when
 * members were promised more than the envelope gives, or the driver declined PROBE and can't be told
 * of it.
 *
 * @param guest_group its number, or IOVAGEOM_VIOMMU_OWN.
 * @param kind EMULATED or SLOT.
 * @return IOVAGEOM_ERR_EXISTS, IOVAGEOM_ERR_INVALID, IOVAGEOM_ERR_CONFLICT (with a report),
 *         IOVAGEOM_ERR_NO_MEMORY. O(log n) for an emulated endpoint, as plug for a slot.
 */
IOVAGEOM_API int iovageom_viommu_declare(struct iovageom_viommu *viommu, uint32_t endpoint,
                                         uint64_t guest_group, enum iovageom_endpoint_kind kind,
                                         struct iovageom_report *report);

/**
 * Take a declaration back; an attached endpoint is detached. Needs no memory.
 *
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_STATE when a device is plugged there.
 */
IOVAGEOM_API int iovageom_viommu_undeclare(struct iovageom_viommu *viommu, uint32_t endpoint);

/** How to plug, as bits of iovageom_viommu_where.flags. */
enum iovageom_plug_flag {
    /** Another device answers to this endpoint already (a PCIe-to-PCI bridge): fine when the
        geometries of all of them agree. Without the flag a second device is refused. */
    IOVAGEOM_PLUG_ALIAS = 1,
    /** Plug even where a promise or a live mapping stands against it, for VMMs that must go on:
        the findings become notes, and iovageom_viommu_promise() shows who is no longer safe. */
    IOVAGEOM_PLUG_ALLOW_STALE = 2,
    /** For this device, as IOVAGEOM_VIOMMU_REFUSE_DIRECT for all. */
    IOVAGEOM_PLUG_REFUSE_DIRECT = 4
};

/** Where a device is plugged. Fill it with iovageom_viommu_where_init(), then change fields. */
struct iovageom_viommu_where {
    uint64_t host_group;  /**< host isolation group; default IOVAGEOM_VIOMMU_OWN */
    uint64_t container;   /**< host page tables; default OWN: those where its host group is */
    uint64_t guest_group; /**< default OWN: as declared, or else its own */
    /** Other endpoints that the device's DMA may show; may be NULL. Those that are not there yet
        come into its guest group. */
    const uint32_t *aliases;
    size_t alias_count;
    uint32_t flags;    /**< IOVAGEOM_PLUG_* */
    uint32_t reserved; /**< 0 */
};

/** All own, no aliases, no flags. */
IOVAGEOM_API void iovageom_viommu_where_init(struct iovageom_viommu_where *where);

/**
 * Plug a device, or say why not: iovageom_viommu_plug_prepare() and _commit() in one.
 *
 * Refused, with one finding for each obstacle, when
 * - the granule is frozen, or configured, below what the device maps (FINDING_GRANULE);
 * - an endpoint that will share its guest group or container was promised what it can't map
 *   (FINDING_PROMISE: endpoint, range that was promised, the part that the device takes);
 * - a live mapping of a domain that it will have to join, or whose host page tables it shares,
 *   stands where it reserves (FINDING_MAPPING: the lowest one in each range that is reserved);
 * - it can't be told: PROBE isn't offered, or was declined, and the input range holds what it can't
 *   map (other than MSI doorbells alone, which guests know of; with INPUT_AS_HOST before freeze: a
 *   hole between usable addresses, or no whole granule in common with the others), or STRICT_INPUT is set (FINDING_INPUT_RANGE);
 * - no whole granule of the input range is usable, with what iovageom_viommu_add_region() reserved
 *   (FINDING_NOTHING_USABLE);
 * - it would bypass at once, and its host page tables can't map an identity range
 *   (FINDING_RESERVED);
 * - more is mapped in its container, or would be with the domain that it has to join, than it allows
 *   (FINDING_BUDGET);
 * - the endpoint, or an alias, is taken (FINDING_EXISTS), or the devices that share it differ in
 *   host page tables or geometry (FINDING_OTHER); what is left of a budget may differ, then the first
 *   one's counts until an update;
 * - it has a region of type DIRECT (FINDING_DIRECT), if REFUSE_DIRECT is set, here or for all;
 *   ALLOW_STALE doesn't change that.
 * Plugged or not, the report notes such a region when it isn't refused, what the geometry leaves
 * open (FINDING_UNKNOWN, FINDING_INCOMPLETE, FINDING_MSI_WINDOW), and that the guest knows of no MSI
 * doorbells, when the host leaves a window for them to software as on Arm, reserves
 * [0x8000000,0x80fffff], and the machine has added none (FINDING_GUEST_QUIRK): VFIO in that guest
 * then maps them there in vain (iovageom_viommu_add_region()).
 *
 * @param where NULL for the defaults; copied.
 * @param geometry of the device: what its container says once it is attached to it. Copied. Its
 *        name is what messages call the device.
 * @return IOVAGEOM_ERR_CONFLICT, IOVAGEOM_ERR_EXISTS, IOVAGEOM_ERR_INVALID, IOVAGEOM_ERR_NO_MEMORY;
 *         nothing has changed then. O(k log m) for each domain, and O(k log k) for each guest
 *         group, that it takes something from; others cost nothing. A device that asks the same as
 *         another one on its host page tables takes nothing from anybody there.
 */
IOVAGEOM_API int iovageom_viommu_plug(struct iovageom_viommu *viommu, uint32_t endpoint,
                                      const struct iovageom_viommu_where *where,
                                      const struct iovageom_geometry *geometry,
                                      struct iovageom_report *report);

/** Whether plug would succeed, memory aside: a dry run. Same findings, same status. */
IOVAGEOM_API int iovageom_viommu_plug_check(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                            const struct iovageom_viommu_where *where,
                                            const struct iovageom_geometry *geometry,
                                            struct iovageom_report *report);

/**
 * Plug in two steps, for a VMM that has work of its own in between. After prepare the device counts
 * for everything that others are told and may map, but its endpoint is not there yet for the guest.
 * Commit and abort never fail for a prepared endpoint; others answer IOVAGEOM_ERR_STATE.
 */
IOVAGEOM_API int iovageom_viommu_plug_prepare(struct iovageom_viommu *viommu, uint32_t endpoint,
                                              const struct iovageom_viommu_where *where,
                                              const struct iovageom_geometry *geometry,
                                              struct iovageom_report *report);
IOVAGEOM_API int iovageom_viommu_plug_commit(struct iovageom_viommu *viommu, uint32_t endpoint);
IOVAGEOM_API int iovageom_viommu_plug_abort(struct iovageom_viommu *viommu, uint32_t endpoint);

/**
 * The host says something new of a plugged device: its container's geometry changed when another
 * device was attached or detached (Q6). Refused as plug is, unless `flags` has ALLOW_STALE. Its
 * aliases follow, and so do all devices that were plugged at this very endpoint. Devices that only
 * have this endpoint as an alias keep the geometry that they have.
 *
 * @param flags IOVAGEOM_PLUG_ALLOW_STALE, _REFUSE_DIRECT.
 * @return as plug; IOVAGEOM_ERR_NOT_FOUND when no device is plugged there, but prepared or aliased.
 */
IOVAGEOM_API int iovageom_viommu_update(struct iovageom_viommu *viommu, uint32_t endpoint,
                                        const struct iovageom_geometry *geometry, uint32_t flags,
                                        struct iovageom_report *report);

/**
 * Unplug the device: of several that were plugged at this very endpoint, the last one. Its aliases
 * go with it, but for those that other devices answer to as well. Who is left without a device is
 * detached from its domain, and what others may map widens to exactly what it was without this
 * device, whatever was plugged, updated and unplugged in between. A slot is empty again. What
 * members of its guest group were promised stays promised, and an alias that other devices answer
 * to stays in its guest group, as it does in the guest. Needs no memory.
 *
 * @return IOVAGEOM_ERR_NOT_FOUND when no device is plugged there, but prepared or aliased.
 */
IOVAGEOM_API int iovageom_viommu_unplug(struct iovageom_viommu *viommu, uint32_t endpoint);

/** One endpoint, for listings and for a VMM's own decisions. */
struct iovageom_viommu_endpoint {
    uint32_t endpoint;
    uint32_t kind;        /**< an enum iovageom_endpoint_kind */
    uint32_t plugged;     /**< devices behind it: 0, 1, or more when aliased; 0 while prepared */
    uint32_t prepared;    /**< 1 between plug_prepare and commit or abort */
    uint64_t guest_group; /**< IOVAGEOM_VIOMMU_OWN when its own */
    /** Of the first device there that named one; IOVAGEOM_VIOMMU_OWN when none did. */
    uint64_t host_group;
    uint64_t container;
    uint64_t domain;     /**< IOVAGEOM_ID_NONE when unattached */
    uint64_t generation; /**< of its promise; 0 when it was not told anything */
    uint32_t bypass;     /**< 1 when its accesses now go through untranslated */
    uint32_t reserved;
    /** Of that same device; NULL when there is none. Valid until the endpoint changes. */
    const struct iovageom_geometry *geometry;
};

/** Look one up. IOVAGEOM_ERR_NOT_FOUND. O(log n). */
IOVAGEOM_API int iovageom_viommu_endpoint(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                          struct iovageom_viommu_endpoint *out);

/** The endpoint with the lowest number from `from` up. False when there is none. O(log n). */
IOVAGEOM_API bool iovageom_viommu_endpoint_next(const struct iovageom_viommu *viommu, uint32_t from,
                                                struct iovageom_viommu_endpoint *out);

/* ---- promises ---- */

/**
 * What the endpoint would be told by a PROBE now: the wire list (virtio.h) of its guest group,
 * fitted to probe_size.
 *
 * @param out room for `capacity` regions; may be NULL when capacity is 0.
 * @param count receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @param report notes what was given up to fit, or because the hosts' pages are smaller than the
 *        granule (FINDING_LOST).
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_BUFFER_TOO_SMALL, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_told(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                      struct iovageom_region *out, size_t capacity, size_t *count,
                                      struct iovageom_report *report);

/**
 * Answer a PROBE: the property bytes, zero-filled to `size` (N69). What they say is now promised.
 *
 * @param properties room for `size` bytes, the frozen probe_size.
 * @param needed bytes of properties, written on success and when they don't fit.
 * @return an enum iovageom_virtio_status: OK; NOENT for an unknown endpoint (N63); INVAL when
 *         `size` is smaller than probe_size (N68), nothing being written then; UNSUPP when PROBE is
 *         not offered (N64: don't answer); NOMEM.
 */
IOVAGEOM_API uint8_t iovageom_viommu_probe(struct iovageom_viommu *viommu, uint32_t endpoint,
                                           void *properties, size_t size, size_t *needed,
                                           struct iovageom_report *report);

/** How an endpoint's promise stands. */
struct iovageom_viommu_promise {
    uint64_t generation; /**< of the books when it was told: they count each change of geometry; 0
                              when it was not told */
    uint64_t now;        /**< generation of the books now */
    bool told;           /**< whether it was told at all */
    bool current;        /**< it was told, and a PROBE now would say the same */
    bool safe;           /**< every address that was promised is still usable: also when none was */
};

/**
 * What a guest was told of an endpoint, what is true now, and the difference.
 *
 * All in usable addresses of the input range, aligned to the granule. Each set is an initialised
 * one, replaced on success, or NULL; it keeps its allocator, and may outlive the books.
 *
 * @param told what was promised: nothing when it was not told.
 * @param now what a PROBE now would promise, whether or not there was one.
 * @param added usable now, but not told: lost to the guest until it probes again.
 * @param removed told, but not usable now: not safe.
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_promise(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                         struct iovageom_viommu_promise *promise,
                                         struct iovageom_rangeset *told,
                                         struct iovageom_rangeset *now,
                                         struct iovageom_rangeset *added,
                                         struct iovageom_rangeset *removed);

/* ---- the oracle ----
 *
 * Each call answers with the virtio status that the virtio specification 1.4 asks for, an enum
 * iovageom_virtio_status, and says why in the report. OK means done: the books have changed. A
 * `_check` call answers the same, memory aside, and changes nothing.
 *
 * When the VMM's own work fails after the oracle has agreed:
 *   ATTACH  check, replay the domain's mappings on the host, then attach
 *   MAP     map, then the host's map; when that fails, _map_undo()
 *   UNMAP   check, go through _mapping_next() to unmap on the host, then unmap
 */

/**
 * ATTACH (N24-N31).
 *
 * @param flags IOVAGEOM_VIRTIO_ATTACH_F_*; unknown bits are INVAL (N25).
 * @return OK; NOENT: unknown endpoint, or no device in the slot (N26); RANGE: domain number outside
 *         the domain range; INVAL: bypass flag and domain don't go together (N28); UNSUPP: a live
 *         mapping stands in what the endpoint's host reserves, or a bypass that it can't map (N27,
 *         N30: FINDING_MAPPING, FINDING_RESERVED), or the domain has more mappings than its host
 *         allows beside what stays mapped there (FINDING_BUDGET); NOMEM: no memory, or max_domains reached. An
 *         endpoint that is attached elsewhere is moved (N29), and stays there when it is refused.
 *         Endpoints on one set of host page tables may be in several domains here, if only while a
 *         guest moves them one by one; a VMM whose host can't do that refuses for itself (N27).
 *         O(k log m) and, when it moves from a domain as the last, O(mappings of that).
 */
IOVAGEOM_API uint8_t iovageom_viommu_attach(struct iovageom_viommu *viommu, uint32_t domain,
                                            uint32_t endpoint, uint32_t flags,
                                            struct iovageom_report *report);
IOVAGEOM_API uint8_t iovageom_viommu_attach_check(const struct iovageom_viommu *viommu,
                                                  uint32_t domain, uint32_t endpoint,
                                                  uint32_t flags, struct iovageom_report *report);

/**
 * DETACH (N32-N34). The last endpoint takes the domain and its mappings along.
 *
 * @return OK, with a note (OTHER) when the endpoint should bypass now, but faults, since its host
 *         can't map an identity range; NOENT: unknown endpoint (N33); INVAL: not attached to that
 *         domain, which may not exist.
 */
IOVAGEOM_API uint8_t iovageom_viommu_detach(struct iovageom_viommu *viommu, uint32_t domain,
                                            uint32_t endpoint, struct iovageom_report *report);
IOVAGEOM_API uint8_t iovageom_viommu_detach_check(const struct iovageom_viommu *viommu,
                                                  uint32_t domain, uint32_t endpoint,
                                                  struct iovageom_report *report);

/**
 * MAP (N37-N46, N76, I2, I7).
 *
 * @param range virt_start and virt_end as the guest wrote them.
 * @param phys phys_start. @param flags IOVAGEOM_VIRTIO_MAP_F_*.
 * @return OK; INVAL: unknown flag (N43), an inverted range (N37), bypass domain (N45), a mapping is
 *         there already (N42), or the range touches what is reserved (N76); NOENT: unknown domain
 *         (N44); RANGE: not aligned to the granule (N41), outside the input range (I2), or the
 *         physical range wraps (I7); NOMEM: no memory, a limit of the configuration or the host's
 *         mapping budget is reached (FINDING_LIMIT, FINDING_BUDGET). They are looked for in this
 *         order: flags, domain, bypass, inverted, alignment, input range, physical, reserved,
 *         mapped, limits. O(log k + log m); while a container with a budget is in several domains, of
 *         which this is one, its domains are counted besides.
 */
IOVAGEOM_API uint8_t iovageom_viommu_map(struct iovageom_viommu *viommu, uint32_t domain,
                                         struct iovageom_range range, uint64_t phys, uint32_t flags,
                                         struct iovageom_report *report);
IOVAGEOM_API uint8_t iovageom_viommu_map_check(const struct iovageom_viommu *viommu,
                                               uint32_t domain, struct iovageom_range range,
                                               uint64_t phys, uint32_t flags,
                                               struct iovageom_report *report);

/**
 * Take back a mapping that map() has just made and the host refused. Needs no memory.
 *
 * @return IOVAGEOM_ERR_NOT_FOUND when there is no mapping of exactly that range.
 */
IOVAGEOM_API int iovageom_viommu_map_undo(struct iovageom_viommu *viommu, uint32_t domain,
                                          struct iovageom_range range);

/**
 * UNMAP (N51-N55, I8).
 *
 * @param removed receives how many mappings went (may be NULL).
 * @return OK, also when nothing was mapped; NOENT: unknown domain (N52); INVAL: bypass domain (N53)
 *         or an inverted range; RANGE: a mapping would be split (N54), none is removed then. O(log
 *         m + mappings in the range).
 */
IOVAGEOM_API uint8_t iovageom_viommu_unmap(struct iovageom_viommu *viommu, uint32_t domain,
                                           struct iovageom_range range, size_t *removed,
                                           struct iovageom_report *report);
IOVAGEOM_API uint8_t iovageom_viommu_unmap_check(const struct iovageom_viommu *viommu,
                                                 uint32_t domain, struct iovageom_range range,
                                                 struct iovageom_report *report);

/** Why an access was not translated: the reasons of the fault queue. */
enum iovageom_fault {
    IOVAGEOM_FAULT_NONE = -1,
    IOVAGEOM_FAULT_UNKNOWN = 0,
    IOVAGEOM_FAULT_DOMAIN = 1, /**< unknown endpoint, or unattached and not in bypass (N20) */
    IOVAGEOM_FAULT_MAPPING = 2 /**< nothing mapped there (N34), or not with that access (N46) */
};

/** What an access is translated to. */
struct iovageom_translation {
    struct iovageom_mapping mapping; /**< that it lies in; with bypass [0, 2^64-1] to 0 */
    uint64_t phys;                   /**< where the address itself goes */
    bool bypass;
};

/**
 * Translate an access of an endpoint (I3, N20, N34, N46, N77), for emulated devices and tests.
 *
 * @param flags IOVAGEOM_VIRTIO_MAP_F_READ and/or F_WRITE: what the access needs. Reads need F_READ
 *        (N39), writes F_WRITE (N46).
 * @param out written when the answer is IOVAGEOM_FAULT_NONE. May be NULL.
 * @return an enum iovageom_fault. O(log n + log m).
 */
IOVAGEOM_API int iovageom_viommu_translate(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                           uint64_t address, uint32_t flags,
                                           struct iovageom_translation *out);

/** One domain. */
struct iovageom_viommu_domain {
    uint32_t domain;
    uint32_t bypass;    /**< 1: identity (ATTACH_F_BYPASS) */
    uint64_t endpoints; /**< attached, at least 1 */
    uint64_t mappings;
    /** The most mappings that it may have as things are: the least that its hosts allow, less what
        other domains have mapped there. UINT64_MAX when no host said. */
    uint64_t budget;
};

/** Look one up. IOVAGEOM_ERR_NOT_FOUND. */
IOVAGEOM_API int iovageom_viommu_domain(const struct iovageom_viommu *viommu, uint32_t domain,
                                        struct iovageom_viommu_domain *out);

/** The domain with the lowest number from `from` up. False when there is none. */
IOVAGEOM_API bool iovageom_viommu_domain_next(const struct iovageom_viommu *viommu, uint32_t from,
                                              struct iovageom_viommu_domain *out);

/**
 * The endpoint of a domain that was attached after `endpoint`, or the first one for
 * IOVAGEOM_ID_NONE. False when there is none, or `endpoint` isn't in that domain. O(log n).
 */
IOVAGEOM_API bool iovageom_viommu_domain_endpoint(const struct iovageom_viommu *viommu,
                                                  uint32_t domain, uint64_t endpoint,
                                                  uint32_t *out);

/** The lowest mapping of a domain that ends at `from` or above. False when there is none. */
IOVAGEOM_API bool iovageom_viommu_mapping_next(const struct iovageom_viommu *viommu,
                                               uint32_t domain, uint64_t from,
                                               struct iovageom_mapping *out);

/**
 * The addresses that a guest may map in a domain: the meet of its endpoints, within the input range
 * and aligned to the granule.
 *
 * @param out an initialised set; replaced on success.
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_domain_usable(const struct iovageom_viommu *viommu,
                                               uint32_t domain, struct iovageom_rangeset *out);

/* ---- requests as bytes ---- */

/** A request between begin and end. By value; opaque but for what is said here. */
struct iovageom_viommu_transaction {
    struct iovageom_virtio_request request; /**< as decoded */
    uint8_t status; /**< the enum iovageom_virtio_status that it will be answered, if it is */
    bool answered;  /**< false: leave the buffer unwritten, used length 0 (I6, N18, N64) */
};

/**
 * Read a request and decide on it, changing nothing but that the first one freezes, and that a MAP
 * is booked, so that end() needs no memory for it. Total: any bytes, any lengths.
 *
 * When `transaction->status` is OK, the VMM does its own work on the host and then calls
 * iovageom_viommu_request_end(), always: a veto takes a MAP out of the books again. The books may
 * change in between, as by an unplug, a reset or another request: end() then decides anew.
 */
IOVAGEOM_API void iovageom_viommu_request_begin(struct iovageom_viommu *viommu,
                                                const void *readable, size_t readable_size,
                                                size_t writable_size,
                                                struct iovageom_viommu_transaction *transaction,
                                                struct iovageom_report *report);

/**
 * Do what was decided, and write the answer: properties of a PROBE and the tail, reserved bytes 0.
 * Properties of a PROBE that is refused are 0.
 *
 * MAP, UNMAP and DETACH can't fail here. An ATTACH, which may need memory, can: it is answered
 * NOMEM, with a finding (OTHER), nothing has changed, and the VMM takes its own work back.
 *
 * When the books have changed since begin, any request may be refused here, as the oracle would
 * refuse it now; a MAP that is no longer in the books is answered NOENT when its domain is gone, and
 * INVAL otherwise (FINDING_OTHER). The VMM takes its own work back then, too.
 *
 * @param veto IOVAGEOM_VIRTIO_S_OK, or the status to answer because the VMM's own work has failed:
 *        then nothing is done. It only matters where the decision was OK.
 * @param transaction its `status` is what was answered.
 * @param writable `writable_size` bytes, as given to begin.
 * @return the used length of the buffer; 0 when it was left unwritten.
 */
IOVAGEOM_API size_t iovageom_viommu_request_end(struct iovageom_viommu *viommu,
                                                struct iovageom_viommu_transaction *transaction,
                                                uint8_t veto, void *writable, size_t writable_size,
                                                struct iovageom_report *report);

/** Both in one, for a VMM that has no work in between. */
IOVAGEOM_API size_t iovageom_viommu_request(struct iovageom_viommu *viommu, const void *readable,
                                            size_t readable_size, void *writable,
                                            size_t writable_size, struct iovageom_report *report);

/* ---- keeping ---- */

/**
 * Write what a guest relies on: frozen configuration, endpoints and their groups, promises, domains
 * and mappings. Versioned, little-endian, checked. Hosts' geometries are not in it: the destination
 * has its own.
 *
 * @param needed receives the size in bytes, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @param buffer may be NULL when size is 0.
 * Whatever can be saved can be loaded into books that are like these: configured alike, with the
 * same devices, regions, envelope and identity ranges, and not frozen. But for those which hold
 * what only ALLOW_STALE, or a feature that was accepted in spite of
 * iovageom_viommu_driver_features_check(), let pass.
 *
 * @return IOVAGEOM_ERR_STATE when not frozen or a plug is prepared. O(n + all mappings).
 */
IOVAGEOM_API int iovageom_viommu_save(const struct iovageom_viommu *viommu, void *buffer,
                                      size_t size, size_t *needed);

/**
 * Take over what iovageom_viommu_save() wrote, into books that were configured and have their
 * devices plugged like the source, but are not frozen and have seen no guest. The bytes are taken
 * as hostile.
 *
 * Refused, with a finding for each obstacle, when the destination can't honour it: its granule or
 * input range (GRANULE, INPUT_RANGE), a promise (PROMISE), a live mapping (MAPPING), a limit
 * (LIMIT), a host's budget (BUDGET; tell what was left when nothing was mapped), a missing endpoint (NOT_FOUND) or one in another guest group (OTHER: endpoints that were
 * in one group are so again, and apart from the others of the source), features that the guest was
 * offered (OTHER), a bypass of identity ranges that a device can't map (RESERVED) unless it could
 * not at the source either. What a driver that declined PROBE can't be told is asked as in
 * iovageom_viommu_driver_features_check(), for the features that the source's driver has accepted
 * (INPUT_RANGE). The frozen values become those of the source. A device of which nothing is usable
 * in them is noted (NOTHING_USABLE); STRICT_INPUT is a question of plugging, and isn't asked.
 *
 * Books that went on with ALLOW_STALE hold a promise or mapping that a device of theirs can't
 * honour. So would any that are like them: they are refused too, even on the same host. Make the
 * stale step again after load: declare a slot where such a device was plugged, or plug it with the
 * geometry it had before an update, and call plug or update with ALLOW_STALE once it is loaded.
 *
 * @return IOVAGEOM_ERR_CONFLICT, IOVAGEOM_ERR_TRUNCATED, IOVAGEOM_ERR_MALFORMED,
 *         IOVAGEOM_ERR_VERSION, IOVAGEOM_ERR_STATE, IOVAGEOM_ERR_NO_MEMORY; nothing has changed.
 */
IOVAGEOM_API int iovageom_viommu_load(struct iovageom_viommu *viommu, const void *bytes,
                                      size_t length, struct iovageom_report *report);

/**
 * Check everything that must always hold of the books. For tests and for the suspicious: O(all).
 *
 * @return IOVAGEOM_OK; IOVAGEOM_ERR_DISAGREEMENT with a finding that says what is wrong;
 *         IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_check(const struct iovageom_viommu *viommu,
                                       struct iovageom_report *report);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIOMMU_PLUG_H
#define IOVAGEOM_VIOMMU_PLUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/viommu_setup.h>

/**
 * @file
 * Endpoints and devices: declaring, plugging, updating, unplugging. And the promise of an endpoint:
 * what a PROBE has answered, and what it would answer now.
 */

#ifdef __cplusplus
extern "C" {
#endif

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
 * A slot brings the envelope into its guest group. It is refused, as a device would be, when
 * members were promised more than the envelope maps, or when the driver declined PROBE and so can't
 * be told what the envelope reserves.
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

/** How to plug, as bits of iovageom_plug_options.flags. */
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

/** Where a device is plugged. Fill it with iovageom_plug_options_init(), then change fields. */
struct iovageom_plug_options {
    uint64_t host_group;    /**< host isolation group; default IOVAGEOM_VIOMMU_OWN */
    uint64_t address_space; /**< host page tables; default OWN: those where its host group is */
    uint64_t guest_group;   /**< default OWN: as declared, or else its own */
    /** Other endpoints that the device's DMA may show; may be NULL. Those that are not there yet
        come into its guest group. */
    const uint32_t *aliases;
    size_t alias_count;
    uint32_t flags;    /**< IOVAGEOM_PLUG_* */
    uint32_t reserved; /**< 0 */
};

/** All own, no aliases, no flags. */
IOVAGEOM_API void iovageom_plug_options_init(struct iovageom_plug_options *options);

/**
 * Plug a device, or say why not: iovageom_viommu_plug_prepare() and _commit() in one.
 *
 * Refused, with one finding for each obstacle, when
 * - the granule is frozen, or configured, below what the device maps (FINDING_GRANULE);
 * - an endpoint that will share its guest group or address space was promised what it can't map
 *   (FINDING_PROMISE: endpoint, range that was promised, the part that the device takes);
 * - a live mapping of a domain that it will have to join, or whose address space it shares,
 *   stands where it reserves (FINDING_MAPPING: the lowest one in each range that is reserved);
 * - the guest can't be told of what it reserves (FINDING_INPUT_RANGE): PROBE isn't offered, or was
 *   declined, and the device can't map all of the input range. MSI doorbells alone do not count, as
 *   guests know of them. With INPUT_AS_HOST before freeze the input range will shrink: then only a
 *   hole between usable addresses counts, or that no whole granule is in common with the others;
 * - STRICT_INPUT is set, and it can't map an end of the input range (FINDING_INPUT_RANGE);
 * - no whole granule of the input range is usable, with what iovageom_viommu_add_region() reserved,
 *   or it maps no pages at all (FINDING_NOTHING_USABLE);
 * - endpoints in no domain bypass, and its address space can't map an identity range with it
 *   (FINDING_RESERVED);
 * - more is mapped in its address space, or would be with the domain that it has to join, than its
 *   budget allows (FINDING_BUDGET);
 * - the endpoint, or an alias, is taken (FINDING_EXISTS), or the devices that share it differ in
 *   address space or geometry (FINDING_OTHER); what is left of a budget may differ, then the least
 *   counts;
 * - it has a region of type DIRECT (FINDING_DIRECT), if REFUSE_DIRECT is set, here or for all;
 *   ALLOW_STALE doesn't change that.
 * Plugged or not, the report notes such a region when it isn't refused, what the geometry leaves
 * open (FINDING_UNKNOWN, FINDING_INCOMPLETE, FINDING_MSI_WINDOW), and that the guest knows of no
 * MSI doorbells, when the host leaves a window for them to software as on Arm, reserves
 * [0x8000000,0x80fffff], and the machine has added none (FINDING_GUEST_QUIRK): VFIO in that guest
 * then maps them there in vain (iovageom_viommu_add_region()).
 *
 * @param options NULL for the defaults; copied.
 * @param geometry of the device: what its container or IOAS says once it is attached to it. Copied.
 *        Its name is what messages call the device.
 * @return IOVAGEOM_ERR_CONFLICT, IOVAGEOM_ERR_EXISTS, IOVAGEOM_ERR_INVALID, IOVAGEOM_ERR_NO_MEMORY;
 *         nothing has changed then. O(k log m) for each domain, and O(k log k) for each guest
 *         group, that may lose addresses to it; others cost nothing. If another device of its
 *         address space reserves the same and has the same budget, nobody there loses anything. The
 *         device is compared with those of its address space that reserve something else than each
 *         other, and with all that share an endpoint with it.
 */
IOVAGEOM_API int iovageom_viommu_plug(struct iovageom_viommu *viommu, uint32_t endpoint,
                                      const struct iovageom_plug_options *options,
                                      const struct iovageom_geometry *geometry,
                                      struct iovageom_report *report);

/**
 * Whether plug would succeed: a dry run, with the same findings and the same status. It needs
 * memory while it runs; that it returns IOVAGEOM_OK does not say that plug will have enough.
 */
IOVAGEOM_API int iovageom_viommu_plug_check(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                            const struct iovageom_plug_options *options,
                                            const struct iovageom_geometry *geometry,
                                            struct iovageom_report *report);

/**
 * Plug in two steps, for a VMM that has work of its own in between. After prepare, what the device
 * reserves is reserved for others: in a PROBE, a MAP and another plug. But the guest can't probe or
 * attach its endpoint yet. Commit and abort never fail for a prepared endpoint; for any other they
 * return IOVAGEOM_ERR_STATE.
 */
IOVAGEOM_API int iovageom_viommu_plug_prepare(struct iovageom_viommu *viommu, uint32_t endpoint,
                                              const struct iovageom_plug_options *options,
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
 * Unplug the device: of several that were plugged at this endpoint itself, the last one. Its
 * aliases go with it, except those that other devices answer to as well: these stay in their guest
 * group, as they do in the guest. An endpoint that is left without a device is detached from its
 * domain. A slot is empty again.
 *
 * What others may map widens to exactly what it would be if this device had never been plugged,
 * whatever was plugged, updated and unplugged in between. What members of its guest group were
 * promised stays promised. Needs no memory.
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
    uint64_t address_space;
    uint64_t domain;     /**< IOVAGEOM_ID_NONE when unattached */
    uint64_t generation; /**< of its promise; 0 when it has none: no PROBE was answered */
    uint32_t bypass;     /**< 1 when its accesses now go through untranslated */
    uint32_t expected;   /**< 1 when it was loaded before its device came (LOAD_EXPECT_DEVICES) */
    /** Of that same device; NULL when there is none. Valid until the endpoint changes. */
    const struct iovageom_geometry *geometry;
};

/** Look one up. IOVAGEOM_ERR_NOT_FOUND. O(log n); in no domain, whether it bypasses is found as by
    iovageom_viommu_translate(). */
IOVAGEOM_API int iovageom_viommu_endpoint(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                          struct iovageom_viommu_endpoint *out);

/** The endpoint with the lowest number from `from` up. False when there is none. The
    same cost. Go on from the number above it, if there is one. */
IOVAGEOM_API bool iovageom_viommu_endpoint_next(const struct iovageom_viommu *viommu, uint32_t from,
                                                struct iovageom_viommu_endpoint *out);

/**
 * The regions that a PROBE of the endpoint would answer now: the wire list (virtio.h) of its guest
 * group, fitted to probe_size. It makes no promise.
 *
 * @param out room for `capacity` regions; may be NULL when capacity is 0.
 * @param needed receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL. May
 *        be NULL.
 * @param report notes what was given up to fit, or because the hosts' pages are smaller than the
 *        granule (FINDING_LOST).
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_BUFFER_TOO_SMALL, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_told(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                      struct iovageom_region *out, size_t capacity, size_t *needed,
                                      struct iovageom_report *report);

/** An endpoint's promise, compared with now. */
struct iovageom_viommu_promise {
    /** The object counts changes of geometry: the count at the last PROBE, or 0 without one. */
    uint64_t generation;
    uint64_t now; /**< the count now */
    bool told;    /**< whether there is a promise: a PROBE of the endpoint was answered */
    bool current; /**< there is one, and a PROBE now would get the same answer */
    bool safe;    /**< every address that was promised is still usable: also when none was */
};

/**
 * What a guest was promised for an endpoint, what a PROBE would promise now, and the difference.
 *
 * All in usable addresses of the input range, aligned to the granule. Each set is an initialised
 * one, replaced on success, or NULL; it keeps its allocator, and may outlive the object.
 *
 * @param told what was promised: nothing when no PROBE was answered.
 * @param now what a PROBE now would promise, whether or not there was one.
 * @param added usable now, but not promised: lost to the guest until it probes again.
 * @param removed promised, but reserved now: a MAP there will be refused. Empty means safe.
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_promise(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                         struct iovageom_viommu_promise *promise,
                                         struct iovageom_rangeset *told,
                                         struct iovageom_rangeset *now,
                                         struct iovageom_rangeset *added,
                                         struct iovageom_rangeset *removed);

#ifdef __cplusplus
}
#endif
#endif

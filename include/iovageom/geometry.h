/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_GEOMETRY_H
#define IOVAGEOM_GEOMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/range.h>
#include <iovageom/rangeset.h>
#include <iovageom/report.h>
#include <iovageom/region.h>

/**
 * @file
 * A geometry: what a host, group, device or envelope lets a guest map.
 *
 * It is a set of *facts*, each with its owner: an aperture, a list of usable ranges, reserved
 * regions, a page-size mask, an alignment, a mapping budget. Every fact that is added narrows. What
 * nobody said is unknown, which is not the same as empty: a geometry without facts constrains
 * nothing, and is the neutral element of the meet; a geometry to which an empty list of usable
 * ranges was added accepts nothing.
 *
 * It is built with the add calls below, or by the decoders (host_*.h), and then handed around as a
 * value. Because facts keep their owners, the meet of several geometries can be taken apart again
 * exactly.
 *
 * The usable addresses are those of [0, 2^64-1] that no fact forbids. Page sizes forbid none: by a
 * mask of 0 nothing maps all the same, which iovageom_geometry_granule(), _promise_mask() and
 * _explain() tell, and a virtual IOMMU refuses.
 */

#ifdef __cplusplus
extern "C" {
#endif

struct iovageom_geometry;

/**
 * What is known, for iovageom_geometry_knows(). One bit each.
 */
enum iovageom_fact {
    IOVAGEOM_FACT_APERTURE = 1,    /**< somebody gave an aperture or a width */
    IOVAGEOM_FACT_USABLE = 2,      /**< somebody gave the list of usable ranges */
    IOVAGEOM_FACT_RESERVED = 4,    /**< somebody gave reserved regions, perhaps none */
    IOVAGEOM_FACT_PAGE_SIZES = 8,  /**< somebody gave a page-size mask */
    IOVAGEOM_FACT_ALIGNMENT = 16,  /**< somebody gave an alignment */
    IOVAGEOM_FACT_MAP_BUDGET = 32, /**< somebody gave a number of mappings */
    /** somebody's list may have been cut off; or what registers say depends on the kernel */
    IOVAGEOM_FACT_INCOMPLETE = 64
};

/* ---- making ---- */

/**
 * Make a geometry that knows nothing.
 *
 * @param allocator NULL for the default; copied.
 * @param name whose geometry it is, for messages ("0000:3b:00.0"); what is added is owned by this
 *        name. Shorter than IOVAGEOM_NAME_SIZE. Copied.
 * @return IOVAGEOM_ERR_INVALID (name too long, no allocator), IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_geometry_new(const struct iovageom_allocator *allocator, const char *name,
                                       struct iovageom_geometry **out);

/** Free it. NULL is allowed. */
IOVAGEOM_API void iovageom_geometry_free(struct iovageom_geometry *geometry);

/**
 * A deep copy, with the same allocator and name. A few allocations for the usual host.
 *
 * @return IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_geometry_copy(const struct iovageom_geometry *geometry,
                                        struct iovageom_geometry **out);

/** The name that it was made with. Valid as long as the geometry. */
IOVAGEOM_API const char *iovageom_geometry_name(const struct iovageom_geometry *geometry);

/* ---- adding facts ----
 *
 * Each call that adds returns IOVAGEOM_ERR_INVALID for a source that is none and
 * IOVAGEOM_ERR_NO_MEMORY, besides what is said there. The geometry is then as it was.
 */

/**
 * `source` says that only addresses in `aperture` are translated. Several apertures intersect.
 *
 * @return also IOVAGEOM_ERR_INVERTED.
 */
IOVAGEOM_API int iovageom_geometry_add_aperture(struct iovageom_geometry *geometry,
                                                struct iovageom_range aperture,
                                                enum iovageom_source source);

/** The same for the aperture of a guest address width of `bits`, 1 to 64: else ERR_INVALID. */
IOVAGEOM_API int iovageom_geometry_add_gaw(struct iovageom_geometry *geometry, unsigned bits,
                                           enum iovageom_source source);

/**
 * `source` lists the ranges that it maps; all else is reserved. The list may be in any order and
 * overlap. An empty list (count 0) means that nothing is usable.
 *
 * O(count log count).
 *
 * @return also IOVAGEOM_ERR_INVERTED, when any range is.
 */
IOVAGEOM_API int iovageom_geometry_add_usable(struct iovageom_geometry *geometry,
                                              const struct iovageom_range *ranges, size_t count,
                                              enum iovageom_source source);

/**
 * `source` reserves `range` as `type`.
 *
 * @return also IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_INVALID for a type that is none.
 */
IOVAGEOM_API int iovageom_geometry_add_reserved(struct iovageom_geometry *geometry,
                                                struct iovageom_range range,
                                                enum iovageom_resv_type type,
                                                enum iovageom_source source);

/**
 * `source` maps pages of 2^n bytes for each bit n of `mask` (VFIO's iova_pgsizes, virtio-iommu's
 * page_size_mask). The lowest bit is the granule: whatever is a multiple of it maps, by several
 * pages where need be; the higher bits are hints (I1). A mask of 0 is a fact: nothing maps.
 */
IOVAGEOM_API int iovageom_geometry_add_page_sizes(struct iovageom_geometry *geometry, uint64_t mask,
                                                  enum iovageom_source source);

/**
 * `source` maps multiples of `alignment` bytes, and says nothing of page sizes (iommufd).
 *
 * @return also IOVAGEOM_ERR_INVALID, when `alignment` is no power of two.
 */
IOVAGEOM_API int iovageom_geometry_add_alignment(struct iovageom_geometry *geometry,
                                                 uint64_t alignment, enum iovageom_source source);

/**
 * `source` allows `mappings` live mappings.
 *
 * From IOVAGEOM_SOURCE_VFIO the number is VFIO's dma_avail: how many more can be made in the
 * container, at the moment when the host was asked (Linux since 5.10: dma_entry_limit, 65,535 by
 * default, less what is mapped). From any other source it is a total. The meet keeps both kinds.
 * A virtual IOMMU (viommu.h) adds to what was left the mappings that it knows of in that container.
 * All other calls treat both kinds alike: as what an empty container can take.
 */
IOVAGEOM_API int iovageom_geometry_add_map_budget(struct iovageom_geometry *geometry,
                                                  uint64_t mappings, enum iovageom_source source);

/**
 * The host's software places MSI doorbells in `window`, says `source`: all of it becomes reserved
 * as SOFTWARE_MSI, and what the host calls MSI there no longer is. Call it after the decoders.
 *
 * Linux prints "msi" for a window of its software, too, and nothing tells it apart but where it is:
 * the drivers of Arm SMMUs and of virtio-iommu have it at [0x8000000,0x80fffff] (6.12 and 7.3), for
 * which host_sysfs.h needs no help. Other kernels, of some systems on chip, have it elsewhere; an
 * option for iommufd by which user space chooses (IOMMU_OPTION_SW_MSI_START) was proposed, and is
 * not in 7.3. A window of 1 MiB that is neither there nor where x86 has its doorbells is noted
 * (IOVAGEOM_FINDING_MSI_WINDOW) by all that notes what is unknown.
 *
 * What the machine or the user (IOVAGEOM_SOURCE_MACHINE, _USER) calls MSI stays so: it is the
 * guest's. Linear.
 *
 * @return also IOVAGEOM_ERR_INVERTED.
 */
IOVAGEOM_API int iovageom_geometry_add_software_msi(struct iovageom_geometry *geometry,
                                                    struct iovageom_range window,
                                                    enum iovageom_source source);

/* ---- asking ---- */

/**
 * Bits of enum iovageom_fact for what is known. O(facts), as all calls down to map_budget but
 * iovageom_geometry_gaw().
 */
IOVAGEOM_API uint32_t iovageom_geometry_knows(const struct iovageom_geometry *geometry);

/**
 * The guest address width in bits: that of the highest usable address. What aw-bits can say.
 * O(n log n) for n ranges; for scratch memory, as iovageom_geometry_equal().
 *
 * @return IOVAGEOM_ERR_UNKNOWN when neither an aperture nor usable ranges are known,
 *         IOVAGEOM_ERR_NOTHING_USABLE.
 */
IOVAGEOM_API int iovageom_geometry_gaw(const struct iovageom_geometry *geometry, unsigned *bits);

/** The meet of all page-size masks. IOVAGEOM_ERR_UNKNOWN when none was given. */
IOVAGEOM_API int iovageom_geometry_page_sizes(const struct iovageom_geometry *geometry,
                                              uint64_t *mask);

/** The largest alignment that was given. IOVAGEOM_ERR_UNKNOWN when none was. */
IOVAGEOM_API int iovageom_geometry_alignment(const struct iovageom_geometry *geometry,
                                             uint64_t *alignment);

/**
 * The granule in bytes: the larger of the mask's and the alignment.
 *
 * @return IOVAGEOM_ERR_UNKNOWN when neither is known, IOVAGEOM_ERR_NOTHING_USABLE for a mask of 0.
 */
IOVAGEOM_API int iovageom_geometry_granule(const struct iovageom_geometry *geometry,
                                           uint64_t *granule);

/**
 * The page-size mask to promise to a guest that maps in multiples of `granule`: the known page
 * sizes raised to it, or, where only an alignment is known, every size from it up.
 *
 * @param granule power of two in bytes, or 0 for the geometry's own.
 * @return IOVAGEOM_ERR_UNKNOWN when neither mask nor alignment is known; IOVAGEOM_ERR_ALIGNMENT
 *         when `granule` is smaller than the geometry's; IOVAGEOM_ERR_NOTHING_USABLE for a mask of
 *         0; IOVAGEOM_ERR_INVALID when `granule` is no power of two.
 */
IOVAGEOM_API int iovageom_geometry_promise_mask(const struct iovageom_geometry *geometry,
                                                uint64_t granule, uint64_t *mask);

/**
 * The smallest mapping budget that was given, be it a total or what was left: so many mappings can
 * be added. IOVAGEOM_ERR_UNKNOWN when none was.
 */
IOVAGEOM_API int iovageom_geometry_map_budget(const struct iovageom_geometry *geometry,
                                              uint64_t *mappings);

/**
 * The usable addresses, each range aligned inward to `granule`.
 *
 * @param granule power of two in bytes; 1 for none.
 * @param out an initialised set; replaced on success. Empty when nothing is usable.
 * @return IOVAGEOM_ERR_INVALID (granule), IOVAGEOM_ERR_NO_MEMORY. O(n log n) for n ranges.
 */
IOVAGEOM_API int iovageom_geometry_usable(const struct iovageom_geometry *geometry,
                                          uint64_t granule, struct iovageom_rangeset *out);

/**
 * Up to which address the host's statements are complete. iovageom_geometry_usable() gives every
 * address that no fact forbids. That does not make it usable: if the width is not known, addresses
 * end somewhere, and if the reserved regions are not known, they are somewhere. So show, and
 * promise to a guest, only what is usable *and* in *known; of what is above it nobody said
 * anything. Needs no memory.
 *
 * A *name* is that of a device, as an owner of facts. A name whose sources are of a host (enum
 * iovageom_source up to SYSFS) has complete statements for
 *
 * - all addresses, when it listed its usable ranges, or gave both an aperture and all of its
 *   reserved regions;
 * - those up to the last one that it reserves, in any type, when it gave all of its reserved
 *   regions and nothing that tells the width: "usable up to where somebody said";
 * - none, when its reserved regions are not known or may be incomplete.
 *
 * *known is [0, the least of these]. A name that only gave page sizes or a budget takes nothing
 * away, nor does one that is not of a host: what the VMM, the machine or the user says is not
 * doubted. Where nobody but the machine or the user gave usable ranges or reserved regions, no
 * address is known.
 *
 * O(facts^2).
 *
 * @return IOVAGEOM_ERR_UNKNOWN when no address is known.
 */
IOVAGEOM_API int iovageom_geometry_known_range(const struct iovageom_geometry *geometry,
                                               struct iovageom_range *known);

/**
 * The complement of iovageom_geometry_usable() as typed regions: disjoint, ascending, covering
 * every address of [0, 2^64-1] that is not usable at that granule, and no other. Regions of type
 * DIRECT_RELAXABLE are usable and so do not appear. Neighbours of one type are one region, whoever
 * said so; what a granule touches in part has the type of highest precedence in it.
 *
 * @param out room for `capacity` regions; may be NULL when that is 0. `region.owner` is a number
 *        for iovageom_geometry_owner(): the owner of the largest piece of it.
 * @param needed receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL; may
 *        be NULL.
 * @return IOVAGEOM_ERR_BUFFER_TOO_SMALL (nothing else is written), IOVAGEOM_ERR_INVALID (granule),
 *         IOVAGEOM_ERR_NO_MEMORY (scratch memory). O(n log n).
 */
IOVAGEOM_API int iovageom_geometry_reserved(const struct iovageom_geometry *geometry,
                                            uint64_t granule, struct iovageom_region *out,
                                            size_t capacity, size_t *needed);

/**
 * The resolved view: for every address that somebody speaks of, who shows there: the highest type,
 * then the highest source, then the highest name. Disjoint and ascending; neighbours of one owner
 * and type are one region. Unlike iovageom_geometry_reserved() it has DIRECT_RELAXABLE regions too,
 * knows no granule, and keeps owners apart.
 *
 * @param out room for `capacity` regions; may be NULL when that is 0.
 * @param needed as with iovageom_geometry_reserved().
 * @return IOVAGEOM_ERR_BUFFER_TOO_SMALL (nothing else is written), IOVAGEOM_ERR_NO_MEMORY (scratch
 *         memory). O(n log n).
 */
IOVAGEOM_API int iovageom_geometry_regions(const struct iovageom_geometry *geometry,
                                           struct iovageom_region *out, size_t capacity,
                                           size_t *needed);

/**
 * The owner of a region, by `region.owner`; NULL for a number that is none. Valid until the
 * geometry changes.
 */
IOVAGEOM_API const struct iovageom_owner *iovageom_geometry_owner(
    const struct iovageom_geometry *geometry, size_t index);

/**
 * Whether the host assigns its devices to a guest at all. Since 6.6 Linux assigns no device that
 * has a region of type DIRECT. For VFIO and iommufd first block all DMA of a device, and the
 * firmware's DMA must go on ("Firmware has requested this device have a 1:1 IOMMU mapping";
 * iommu.c, `require_direct`; the same in 6.12 and 7.3). Before, Intel's driver refused it at
 * attach, and others did not. As kernels differ, other calls only note it
 * (IOVAGEOM_FINDING_DIRECT); a VMM that wants to refuse asks this, or sets
 * IOVAGEOM_VIOMMU_REFUSE_DIRECT. Regions of type DIRECT_RELAXABLE do not count: Linux gives them
 * up.
 *
 * Regions that the machine or the user made (IOVAGEOM_SOURCE_MACHINE, _USER) do not count: they are
 * the guest's, and no host's firmware knows of them. Those of an envelope do: they come from a
 * device of its pool.
 *
 * @return IOVAGEOM_OK; IOVAGEOM_ERR_CONFLICT with one finding for each owner (device and source),
 *         that has the lowest region and says how many there are. O(facts).
 */
IOVAGEOM_API int iovageom_geometry_assignable(const struct iovageom_geometry *geometry,
                                              struct iovageom_report *report);

/**
 * Whether the host accepts a mapping of `range`, and why not: one finding for each aperture and
 * each region of each owner that stands against it, with the part of `range` that it forbids; notes
 * for what is unknown, and on devices that can't be assigned (FINDING_DIRECT).
 *
 * @return IOVAGEOM_OK when it is accepted; else the first that holds of IOVAGEOM_ERR_INVERTED,
 *         IOVAGEOM_ERR_OUT_OF_APERTURE, IOVAGEOM_ERR_RESERVED, IOVAGEOM_ERR_ALIGNMENT, and
 *         IOVAGEOM_ERR_NOTHING_USABLE (a page-size mask of 0). Allocates nothing but for the
 *         report.
 */
IOVAGEOM_API int iovageom_geometry_explain(const struct iovageom_geometry *geometry,
                                           struct iovageom_range range,
                                           struct iovageom_report *report);

/**
 * Whether a host's registers and kernel contradict each other about one name: a register width that
 * the usable ranges exceed, or fall short of without a reserved region that says why; a region that
 * the usable list includes; a kernel that maps or aligns to less than the hardware's smallest page.
 * What the VMM, the machine or the user narrows contradicts nobody.
 *
 * Of several page-size masks of one source the one with the largest granule is compared, with the
 * smallest granule or alignment of each other source. O(n log n).
 *
 * @return IOVAGEOM_OK, or IOVAGEOM_ERR_DISAGREEMENT with a finding for each; IOVAGEOM_ERR_NO_MEMORY
 *         (scratch memory).
 */
IOVAGEOM_API int iovageom_geometry_check(const struct iovageom_geometry *geometry,
                                         struct iovageom_report *report);

/* ---- combining ---- */

/**
 * The meet: `geometry` becomes the greatest geometry that both honour, and keeps its name.
 * Commutative, associative, idempotent, monotone; a geometry without facts is neutral, so that a
 * new one becomes the meet of all by which it is narrowed.
 *
 * @return IOVAGEOM_ERR_NO_MEMORY. O(n log n) for n facts and ranges of both.
 */
IOVAGEOM_API int iovageom_geometry_narrow(struct iovageom_geometry *geometry,
                                          const struct iovageom_geometry *other);

/**
 * Whether both say the same to a guest and to a VMM: the same regions and types, aperture, page
 * sizes, alignment, budget, and the same things unknown. Names and owners do not count.
 * O(n log n) for n ranges of both. It can't fail: more than 8 lists of regions need scratch memory,
 * and where there is none, the answer takes O(n facts log n).
 */
IOVAGEOM_API bool iovageom_geometry_equal(const struct iovageom_geometry *a,
                                          const struct iovageom_geometry *b);

/* ---- keeping ---- */

/**
 * Write it, owners included, in a form that fits a migration stream: versioned, little-endian,
 * checked, and with lengths that let an older reader skip what it doesn't know.
 *
 * @param buffer may be NULL when size is 0.
 * @param needed receives the size in bytes, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @return IOVAGEOM_ERR_BUFFER_TOO_SMALL. Linear, allocates nothing.
 */
IOVAGEOM_API int iovageom_geometry_save(const struct iovageom_geometry *geometry, void *buffer,
                                        size_t size, size_t *needed);

/**
 * Read what iovageom_geometry_save() wrote. The bytes are taken as hostile.
 *
 * @return IOVAGEOM_ERR_TRUNCATED, IOVAGEOM_ERR_MALFORMED, IOVAGEOM_ERR_VERSION (docs/formats.md
 *         says when); IOVAGEOM_ERR_INVALID (no allocator), IOVAGEOM_ERR_NO_MEMORY. O(n log n).
 */
IOVAGEOM_API int iovageom_geometry_load(const struct iovageom_allocator *allocator,
                                        const void *bytes, size_t length,
                                        struct iovageom_geometry **out);

#ifdef __cplusplus
}
#endif
#endif

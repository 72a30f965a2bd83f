/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_RESV_H
#define IOVAGEOM_RESV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/range.h>
#include <iovageom/rangeset.h>

/**
 * @file
 * Reserved regions: what can't be mapped, of which type, and who says so.
 *
 * A collection (struct iovageom_resv) keeps every statement of every owner, overlapping or not, so
 * that taking one owner away leaves exactly what the others said. The *resolved* view is computed
 * from it: disjoint regions in ascending order, where the type of highest precedence wins.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Types of reserved region, in ascending precedence: where two overlap, the higher number shows in
 * the resolved view. MSI comes first because a guest that is not told of its MSI window makes up
 * one of its own, in which its VFIO maps doorbells (I5); a direct region says more than the hole that the host's usable ranges leave
 * at the same place; anything that forbids outranks DIRECT_RELAXABLE, which doesn't.
 *
 * The words are those of Linux (Documentation/ABI/testing/sysfs-kernel-iommu_groups).
 */
enum iovageom_resv_type {
    /** Identity-mapped by the host only until the device is assigned: usable by a guest. */
    IOVAGEOM_RESV_DIRECT_RELAXABLE = 1,
    /** Not to be mapped; no more is known. */
    IOVAGEOM_RESV_RESERVED = 2,
    /** Window in which the host's software places MSI doorbells. Linux has it at
        [0x8000000,0x80fffff]; of one elsewhere the caller has to say so. */
    IOVAGEOM_RESV_SOFTWARE_MSI = 3,
    /** Identity-mapped by the host for firmware (VT-d RMRR, AMD unity map): not usable, and since 6.6
        Linux gives the device to nobody (iovageom_geometry_assignable()). */
    IOVAGEOM_RESV_DIRECT = 4,
    /** Hardware MSI doorbells: writes there are interrupts, never DMA. */
    IOVAGEOM_RESV_MSI = 5
};

/** Whether a guest may not map addresses of that type: true for all but DIRECT_RELAXABLE. */
IOVAGEOM_API bool iovageom_resv_type_forbids(enum iovageom_resv_type type);

/** The word for a type as sysfs prints it ("software-msi" for SOFTWARE_MSI). Static storage. */
IOVAGEOM_API const char *iovageom_resv_type_string(enum iovageom_resv_type type);

/**
 * Where a statement about a geometry comes from. The numbers are stable; among statements of the
 * same type about the same address, the higher number shows: what the user or the machine model
 * says outranks what the host says.
 */
enum iovageom_source {
    IOVAGEOM_SOURCE_OTHER = 0,            /**< the VMM's own business */
    IOVAGEOM_SOURCE_VTD_REGISTERS = 1,    /**< VT-d CAP and ECAP */
    IOVAGEOM_SOURCE_AMD_REGISTERS = 2,    /**< AMD-Vi extended feature register */
    IOVAGEOM_SOURCE_SMMUV3_REGISTERS = 3, /**< SMMUv3 IDR0, IDR1, IDR5 */
    IOVAGEOM_SOURCE_RISCV_REGISTERS = 4,  /**< RISC-V IOMMU capabilities */
    IOVAGEOM_SOURCE_VFIO = 5,             /**< VFIO_IOMMU_GET_INFO */
    IOVAGEOM_SOURCE_IOMMUFD = 6,          /**< IOMMU_IOAS_IOVA_RANGES */
    IOVAGEOM_SOURCE_SYSFS = 7,            /**< iommu_groups/N/reserved_regions */
    IOVAGEOM_SOURCE_DEVICE = 8,           /**< the device's own DMA mask */
    IOVAGEOM_SOURCE_ENVELOPE = 9,         /**< declared for devices that are yet to come */
    IOVAGEOM_SOURCE_MACHINE = 10,         /**< the virtual machine's model */
    IOVAGEOM_SOURCE_USER = 11             /**< an option that the user gave */
};

/** A word or two for a source, for messages ("VFIO", "VT-d registers"). Static storage. */
IOVAGEOM_API const char *iovageom_source_string(enum iovageom_source source);

/** Bytes of an owner's name, the terminating 0 included. */
#define IOVAGEOM_NAME_SIZE 60

/**
 * Who says something: a source, and the device, group or option that it speaks of, for example
 * { IOVAGEOM_SOURCE_SYSFS, "0000:3b:00.0" }. A plain value, equal when both parts are; bytes after
 * the terminating 0 are 0.
 */
struct iovageom_owner {
    uint32_t source; /**< an enum iovageom_source */
    char name[IOVAGEOM_NAME_SIZE];
};

/**
 * Fill in an owner.
 *
 * @param name NUL-terminated, shorter than IOVAGEOM_NAME_SIZE; may be empty. It is copied.
 * @return IOVAGEOM_ERR_INVALID for a source that is none or a name that is too long.
 */
IOVAGEOM_API int iovageom_owner_init(struct iovageom_owner *owner, enum iovageom_source source,
                                     const char *name);

/** -1, 0 or 1: a total order, by source, then by the bytes of the name. */
IOVAGEOM_API int iovageom_owner_compare(const struct iovageom_owner *a,
                                        const struct iovageom_owner *b);

/** One region of the resolved view. */
struct iovageom_region {
    struct iovageom_range range;
    uint32_t type;  /**< an enum iovageom_resv_type */
    uint32_t owner; /**< index for iovageom_resv_owner() of the collection it came from */
};

/** A collection of statements. Opaque; made by iovageom_resv_new(). */
struct iovageom_resv;

/**
 * Make an empty collection.
 *
 * @param allocator NULL for the default; copied.
 * @return IOVAGEOM_ERR_NO_MEMORY, or IOVAGEOM_ERR_INVALID when there is no default allocator.
 */
IOVAGEOM_API int iovageom_resv_new(const struct iovageom_allocator *allocator,
                                   struct iovageom_resv **out);

/** Free it. NULL is allowed. */
IOVAGEOM_API void iovageom_resv_free(struct iovageom_resv *resv);

/** A deep copy, with the same allocator. */
IOVAGEOM_API int iovageom_resv_copy(const struct iovageom_resv *resv, struct iovageom_resv **out);

/**
 * `owner` says that `range` is reserved as `type`. What the same owner said before with the same
 * type is joined with it; other statements stay as they are, overlapping or not.
 *
 * O(log owners + log regions of the owner).
 * @return IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_INVALID (type), IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_resv_add(struct iovageom_resv *resv, struct iovageom_range range,
                                   enum iovageom_resv_type type,
                                   const struct iovageom_owner *owner);

/** The same for every range of a set; all or nothing. Linear. */
IOVAGEOM_API int iovageom_resv_add_set(struct iovageom_resv *resv,
                                       const struct iovageom_rangeset *ranges,
                                       enum iovageom_resv_type type,
                                       const struct iovageom_owner *owner);

/** Forget all that `owner` said. Never fails; nothing happens when it said nothing. */
IOVAGEOM_API void iovageom_resv_remove_owner(struct iovageom_resv *resv,
                                             const struct iovageom_owner *owner);

/** How many statements there are: distinct pairs of owner and type. */
IOVAGEOM_API size_t iovageom_resv_statement_count(const struct iovageom_resv *resv);

/**
 * Statement number `index` (0 to count-1; ordered by type, then owner). The pointers are valid
 * until the collection changes.
 *
 * @return IOVAGEOM_ERR_NOT_FOUND when `index` is too high.
 */
IOVAGEOM_API int iovageom_resv_statement(const struct iovageom_resv *resv, size_t index,
                                         enum iovageom_resv_type *type,
                                         const struct iovageom_owner **owner,
                                         const struct iovageom_rangeset **ranges);

/** The owner of statement number `index`, or NULL. Valid until the collection changes. */
IOVAGEOM_API const struct iovageom_owner *iovageom_resv_owner(const struct iovageom_resv *resv,
                                                              size_t index);

/**
 * The resolved view: disjoint regions, ascending; neighbours of equal type and owner are joined.
 *
 * @param granule power of two in bytes: each region is widened outward to it before types are
 *        resolved (what a granule touches in part, it reserves whole). 1 for none.
 * @param out room for `capacity` regions; may be NULL when capacity is 0.
 * @param count receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @return IOVAGEOM_ERR_BUFFER_TOO_SMALL (nothing else written), IOVAGEOM_ERR_INVALID,
 *         IOVAGEOM_ERR_NO_MEMORY (scratch memory). O(n log n).
 */
IOVAGEOM_API int iovageom_resv_resolve(const struct iovageom_resv *resv, uint64_t granule,
                                       struct iovageom_region *out, size_t capacity, size_t *count);

/**
 * All addresses that some owner forbids, as a set: the union of every type but DIRECT_RELAXABLE.
 *
 * @param out an initialised set; replaced on success.
 */
IOVAGEOM_API int iovageom_resv_forbidden(const struct iovageom_resv *resv,
                                         struct iovageom_rangeset *out);

/** Whether some owner forbids some address of `range`. O(statements x log). */
IOVAGEOM_API bool iovageom_resv_forbids(const struct iovageom_resv *resv,
                                        struct iovageom_range range);

/** All statements of both, each once. A new collection with the allocator of `a`. Linear. */
IOVAGEOM_API int iovageom_resv_union(const struct iovageom_resv *a, const struct iovageom_resv *b,
                                     struct iovageom_resv **out);

/** Whether both hold the same statements of the same owners. */
IOVAGEOM_API bool iovageom_resv_equal(const struct iovageom_resv *a, const struct iovageom_resv *b);

#ifdef __cplusplus
}
#endif
#endif

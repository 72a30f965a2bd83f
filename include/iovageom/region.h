/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_REGION_H
#define IOVAGEOM_REGION_H

#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/range.h>

/**
 * @file
 * Reserved regions: what can't be mapped, of which type, and who says so.
 *
 * Several may speak of one address. What the guest is told is the *resolved* view: disjoint regions
 * in ascending order, where the type of highest precedence shows. A geometry (geometry.h) keeps
 * what each source said.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Types of reserved region, in ascending precedence: where two overlap, the higher number shows in
 * the resolved view. MSI comes first because a guest that is not told of its MSI window makes up
 * one of its own, in which its VFIO maps doorbells (I5); a direct region says more than the hole
 * that the host's usable ranges leave at the same place. A guest may map addresses of
 * DIRECT_RELAXABLE, which all others outrank, and of no other type.
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
    /** Identity-mapped by the host for firmware (VT-d RMRR, AMD unity map): not usable, and since
        6.6 Linux gives the device to nobody (iovageom_geometry_assignable()). */
    IOVAGEOM_RESV_DIRECT = 4,
    /** Hardware MSI doorbells: writes there are interrupts, never DMA. */
    IOVAGEOM_RESV_MSI = 5
};

/**
 * The word for a type, as sysfs prints it; "software-msi" for SOFTWARE_MSI, which sysfs calls
 * "msi". "unknown type" for a number that is none. Static storage, never NULL.
 */
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

/**
 * A word or two for a source, for messages ("VFIO", "VT-d registers"); "an unknown source" for a
 * number that is none. Static storage, never NULL.
 */
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

/** One region of the resolved view. */
struct iovageom_region {
    struct iovageom_range range;
    uint32_t type;  /**< an enum iovageom_resv_type */
    uint32_t owner; /**< a number for iovageom_geometry_owner() */
};

#ifdef __cplusplus
}
#endif
#endif

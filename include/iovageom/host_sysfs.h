/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_HOST_SYSFS_H
#define IOVAGEOM_HOST_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/range.h>
#include <iovageom/region.h>

/**
 * @file
 * What Linux says in sysfs: the text of /sys/kernel/iommu_groups/N/reserved_regions
 * (Documentation/ABI/testing/sysfs-kernel-iommu_groups) and of the registers below
 * /sys/class/iommu. The caller reads the files; the text needs no terminating 0, and none may be in
 * it.
 *
 * A region is a line of two hexadecimal addresses, both included in it, and a word:
 *
 *     0x00000000fee00000 0x00000000feefffff msi
 *
 * The words are those of enum iovageom_resv_type, but that Linux says "msi" of its software MSI
 * window too. As released, up to 7.3, it has that at [0x8000000,0x80fffff] (MSI_IOVA_BASE and
 * MSI_IOVA_LENGTH of its Arm SMMU and virtio-iommu drivers), where no hardware has doorbells. So
 * exactly that range with the word "msi" is IOVAGEOM_RESV_SOFTWARE_MSI. A kernel that has it
 * elsewhere is not recognised: say so with iovageom_geometry_add_software_msi(), after reading.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * How iovageom_host_sysfs_reserved_regions() takes lines that Linux should not write.
 */
enum iovageom_sysfs_mode {
    /**
     * Any such line is an error. (Lines that overlap or repeat a region of their type that ends at
     * 2^64-1 are taken: Linux, which merges all others, prints those as they came.)
     */
    IOVAGEOM_SYSFS_STRICT = 0,
    /**
     * Regions that repeat or overlap another of their type are joined with it, an unknown word is
     * taken for "reserved", other bad lines are passed over and the geometry is marked incomplete:
     * iovageom_geometry_known_range() then gives only what another source listed as usable. For a
     * machine that is the guest of another: its virtio-iommu driver prints what the other sent,
     * inverted regions included.
     */
    IOVAGEOM_SYSFS_LENIENT = 1
};

/**
 * Put the regions of a text into a geometry, which then knows its reserved regions even if there
 * are none. All or nothing. O(n log n).
 *
 * A text of 4095 bytes or more, or one that doesn't end in a newline, may have been cut off: Linux
 * writes at most one page, less one byte, and drops the rest without a word, which is about 80
 * regions with pages of 4 KiB. The geometry is then marked incomplete, and a last line that was cut
 * off is passed over, unless what is left of it is a region: `direct` may be left of
 * direct-relaxable, and forbids more. An empty text is complete: it says that there are no regions.
 *
 * Empty lines are passed over. So are regions of length 0, in either mode. They end one below their
 * start ("0x2000 0x1fff reserved") and reserve nothing: Linux prints them for firmware whose RMRR
 * has no length. One of type direct keeps Linux 6.6 and later from assigning the device all the
 * same, as it looks at the type alone. A geometry can't keep a region without an address, so
 * iovageom_geometry_assignable() doesn't know of it; the tool iovageom-probe does.
 *
 * @param line receives the number of the bad line, from 1, on IOVAGEOM_ERR_INVERTED, UNSUPPORTED,
 *        OVERFLOW, TRUNCATED, SYNTAX, EXISTS, OVERLAP and UNKNOWN; 0 on success. May be NULL.
 * @return IOVAGEOM_ERR_INVERTED: the region ends before it starts, by more than a length of 0;
 *         IOVAGEOM_ERR_UNSUPPORTED: two addresses and a word that is not known;
 *         IOVAGEOM_ERR_OVERFLOW: an address of more than 64 bits; IOVAGEOM_ERR_TRUNCATED: no
 *         region, and the text ends in that line without a newline; IOVAGEOM_ERR_SYNTAX: any other
 *         line that is no region; IOVAGEOM_ERR_EXISTS: the line repeats an earlier one;
 *         IOVAGEOM_ERR_OVERLAP: it overlaps earlier ones of its type in another way, or repeats one
 *         that was joined with a neighbour which it touches; IOVAGEOM_ERR_UNKNOWN: there are lines,
 *         but all of them were passed over, so that the text says nothing (*line is set to the
 *         first of them); IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_host_sysfs_reserved_regions(const char *text, size_t length,
                                                      enum iovageom_sysfs_mode mode, size_t *line,
                                                      struct iovageom_geometry *geometry);

/**
 * One register in hexadecimal, as in class/iommu/dmar0/intel-iommu/cap and ecap, and
 * class/iommu/ivhd0/amd-iommu/cap: digits with or without 0x; blanks and newlines may follow.
 *
 * @return IOVAGEOM_ERR_SYNTAX, IOVAGEOM_ERR_OVERFLOW (more than 64 bits). O(length).
 */
IOVAGEOM_API int iovageom_host_sysfs_register(const char *text, size_t length, uint64_t *value);

/**
 * class/iommu/ivhd0/amd-iommu/features: the extended feature register EFR and, since Linux 5.17,
 * EFR2, with a colon between them. Linux before 6.7 writes EFR2 first, later ones EFR. They are
 * told apart by IASup (EFR bit 6), which every AMD-Vi that Linux drives has set, and EFR2 never
 * has. Where that does not decide it, and one of the two is 0, the other is EFR.
 *
 * @param efr2 receives 0 when it is not there; may be NULL.
 * @return IOVAGEOM_ERR_SYNTAX, IOVAGEOM_ERR_OVERFLOW; IOVAGEOM_ERR_UNKNOWN when it can't be told
 *         which is which. O(length).
 */
IOVAGEOM_API int iovageom_host_sysfs_amd_features(const char *text, size_t length, uint64_t *efr,
                                                  uint64_t *efr2);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_HOST_REGISTERS_H
#define IOVAGEOM_HOST_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/kernel.h>

/**
 * @file
 * What an IOMMU's registers say of width and page sizes. (A device's own width goes into a geometry by
 * iovageom_geometry_add_gaw().)
 *
 * Registers say what the hardware can do; a driver may use less of it (a smaller table format, a
 * kernel with fewer address bits), and they know nothing of reserved regions. So use them beside
 * what VFIO or iommufd says, or before a device can be asked. Put both into one geometry, and
 * iovageom_geometry_check() tells where they contradict each other.
 *
 * Where software has a choice, the rules are those by which Linux chooses, and they differ between
 * kernels: say whose (enum iovageom_linux_rules). Without, the answer is what holds by the rules of
 * every kernel that was read: 6.1, 6.12 and 7.3, with Debian's changes.
 *
 * Everything here is pure and O(1).
 */

#ifdef __cplusplus
extern "C" {
#endif

/** What a set of registers allows. */
struct iovageom_host_limits {
    uint32_t source;     /**< an enum iovageom_source */
    uint32_t gaw;        /**< usable guest address width in bits, 1 to 64 */
    uint64_t page_sizes; /**< as a mask */
    /**
     * 1 when it depends on what was not said: the kernel, its pages, the width of its addresses.
     * What the others say then holds for all, and the kernel at hand may map more. 0 when not.
     */
    uint32_t depends;
};

/** Which of its two sets of tables an IOMMU is going to use for a device. */
enum iovageom_host_stage {
    /** What Linux uses for a device that VFIO or iommufd holds, if nobody asks for more. */
    IOVAGEOM_STAGE_DEFAULT = 0,
    IOVAGEOM_STAGE_FIRST = 1, /**< VT-d first stage, SMMUv3 stage 1, AMD v2, RISC-V first stage */
    IOVAGEOM_STAGE_SECOND = 2 /**< VT-d second stage, SMMUv3 stage 2, AMD v1, RISC-V second stage */
};

/**
 * VT-d CAP and ECAP.
 *
 * Widths, never more than MGAW (which alone is not enough: SAGAW may lack the level that it needs,
 * E23), and one bit less in the first stage, which sign-extends:
 *
 * | rules | second stage | first stage |
 * |---|---|---|
 * | 6.1, 6.12 | the widest of 30, 39, 48, 57 bits that SAGAW has, and the first stage too if both are there in scalable mode | 57 with FL5LP, else 48, and in SAGAW too if both are there |
 * | 7.3 | the widest of 39, 48, 57 bits that MGAW needs and SAGAW has, or has deeper | 57 with FL5LP and MGAW above 48, else 48 |
 *
 * All kernels that were read leave an IOMMU alone whose two stages have no width in common ("Cannot
 * get a valid agaw"); by the rules of 7.3, it has the widths of its tables here all the same.
 *
 * Page sizes: 4K, and by SLLPS 2M and 1G in the second stage (6.1 and 6.12: 2M also where SLLPS has
 * 1G alone); 4K, 2M, and by FL1GP 1G in the first. 7.3 leaves out those that take half the width.
 *
 * @param scalable whether the kernel runs the IOMMU in scalable mode (intel_iommu=sm_on). Without,
 *        or when ECAP has no SMTS, there are second-stage tables only.
 * @param stage DEFAULT, if both are there: 6.1 and 6.12 take the second stage, 7.3 the first (it
 *        is the first since 6.13).
 * @param rules an enum iovageom_linux_rules.
 * @return IOVAGEOM_ERR_UNSUPPORTED when that stage is not there, or no width is left (as with a
 *         register that reads as 0); IOVAGEOM_ERR_INVALID for rules that are none.
 */
IOVAGEOM_API int iovageom_host_vtd(uint64_t cap, uint64_t ecap, bool scalable,
                                   enum iovageom_host_stage stage, uint32_t rules,
                                   struct iovageom_host_limits *out);

/**
 * SMMUv3 IDR0 and IDR5.
 *
 * Stage 1 translates 48 bits, or 52 where IDR5.VAX says so, but never more than the kernel's own
 * virtual addresses have; stage 2 translates the output size OAS (32 to 52; reserved values count
 * as 48), by 6.1 and 6.12 at least 40 where AArch32 tables are there too. Neither has more than 48
 * bits unless the granule is 64K. Page sizes follow from the granule: 4K with 2M and 1G, 16K with
 * 32M, 64K with 512M, and 4T where OAS is 52 bits.
 *
 * @param granule of the tables in bytes: 4K, 16K or 64K; 0 when it is not known: then what holds
 *        for all that IDR5 has, with the page sizes of the coarsest. Linux takes that of its own
 *        pages if it is there.
 * @param kernel_va_bits the width of the kernel's virtual addresses, 36 to 52; 0 when not known:
 *        then what every kernel has, 39 bits with a granule of 4K, 36 with 16K, 42 with 64K.
 * @param stage DEFAULT: stage 1 if it is there, else stage 2.
 * @param rules an enum iovageom_linux_rules.
 * @return IOVAGEOM_ERR_UNSUPPORTED when the stage, the granule or AArch64 tables (IDR0.TTF) are not
 *         there; IOVAGEOM_ERR_INVALID.
 */
IOVAGEOM_API int iovageom_host_smmuv3(uint32_t idr0, uint32_t idr5, uint64_t granule,
                                      unsigned kernel_va_bits, enum iovageom_host_stage stage,
                                      uint32_t rules, struct iovageom_host_limits *out);

/**
 * AMD-Vi extended feature register. (The register that sysfs calls `cap` has no width in it: E13.)
 *
 * v1 tables (SECOND): 4, 5 or 6 levels by HATS, 48, 57 or 64 bits, and every page size from 4K to
 * 2^51 bytes but 512G; 7.3 leaves out those that take half the width. 6.1 and 6.12 don't look at
 * HATS, and let VFIO map 64 bits, which an IOMMU of fewer levels can't translate: a contradiction
 * that iovageom_geometry_check() finds is real there. 7.3 looks at the firmware's copy of EFR (in
 * IVRS), which need not be there: then it takes 4 levels, whatever the register says. So by 7.3 it
 * is 48 bits, with `depends` where the register has more. 7.3 also honours the limit that the
 * firmware gives in IVRS (VASize), which no register has.
 *
 * v2 tables (FIRST; there if GTSup): 4K, 2M and 1G; 6.1: 48 bits. 6.12 and 7.3: 47 bits, or 56 where
 * GATS, in the firmware's copy, and the CPU have 5 levels. (With amd_iommu=pgtbl_v2, 6.1 and 6.12
 * give VFIO v1 tables, of the width of v2.)
 *
 * @param stage DEFAULT: v1; by 7.3 v2 when HATS is reserved and v2 can be used.
 * @param cpu_levels levels of the CPU's own page tables, 5 (LA57) or 4; 0 when not known.
 * @param rules an enum iovageom_linux_rules.
 * @return IOVAGEOM_ERR_UNKNOWN when `efr` is 0: hardware or firmware that doesn't say;
 *         IOVAGEOM_ERR_UNSUPPORTED for v2 tables that are not there, or a reserved HATS;
 *         IOVAGEOM_ERR_INVALID.
 */
IOVAGEOM_API int iovageom_host_amd(uint64_t efr, enum iovageom_host_stage stage,
                                   unsigned cpu_levels, uint32_t rules,
                                   struct iovageom_host_limits *out);

/**
 * RISC-V IOMMU `capabilities`.
 *
 * There is no field for a width (E22): it follows from the widest table format that is there, and
 * software may choose a narrower one. So this is an upper bound. First stage: Sv57, Sv48, Sv39
 * without the bit that sign-extends (56, 47, 38 bits), or Sv32; second stage: Sv57x4, Sv48x4,
 * Sv39x4, Sv32x4 (59, 50, 41, 34 bits). Page sizes are 4K and those of the levels above, 2M, 1G,
 * 512G, 256T; in the first stage 7.3 has 64K, too, and what ANY gives has neither that nor 256T.
 *
 * Linux has a driver since 6.13 (so 6.1 and 6.12 have none), and that uses the first stage of Sv57,
 * Sv48 or Sv39. By ANY, the other formats are what the hardware can do.
 *
 * @param stage DEFAULT: the first stage if it is there, else the second.
 * @param rules an enum iovageom_linux_rules.
 * @return IOVAGEOM_ERR_UNSUPPORTED when the stage has no table format, or none that Linux uses;
 *         IOVAGEOM_ERR_INVALID.
 */
IOVAGEOM_API int iovageom_host_riscv(uint64_t capabilities, enum iovageom_host_stage stage,
                                     uint32_t rules, struct iovageom_host_limits *out);

/**
 * Put width and page sizes into a geometry, as said by `limits->source`. All or nothing. When they
 * depend on what was not said, that is noted (INCOMPLETE), and a kernel that maps more does not
 * contradict them.
 */
IOVAGEOM_API int iovageom_host_limits_add(const struct iovageom_host_limits *limits,
                                          struct iovageom_geometry *geometry);

#ifdef __cplusplus
}
#endif
#endif

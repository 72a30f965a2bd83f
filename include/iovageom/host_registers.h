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
 * What an IOMMU's registers say of width and page sizes. (The width of a device's own addresses
 * goes into a geometry by iovageom_geometry_add_gaw(), as IOVAGEOM_SOURCE_DEVICE.)
 *
 * Registers say what the hardware can do; a driver may use less of it (a smaller table format, a
 * kernel with fewer address bits), and they know nothing of reserved regions. So use them beside
 * what VFIO or iommufd says, or before a device can be asked. Put both into one geometry, and
 * iovageom_geometry_check() tells where they contradict each other.
 *
 * Where software has a choice, the rules are those by which Linux chooses. They differ between
 * kernels: say which one is meant (enum iovageom_linux_rules). For IOVAGEOM_LINUX_ANY the answer is
 * what holds in each kernel that was read: 6.1, 6.12 and 7.3, with Debian's changes.
 *
 * RISC-V's IOMMU has no field for a width (E22), and Linux shows its registers to nobody.
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
     * 1 when the answer depends on something that the caller did not say: the kernel, its pages,
     * the width of its addresses. `gaw` and `page_sizes` are then what holds in all cases, and the
     * kernel at hand may map more. 0 when not.
     */
    uint32_t depends;
};

/** Which of its two stages of translation an IOMMU uses for a device. */
enum iovageom_host_stage {
    /** What Linux uses for a device of VFIO or iommufd, unless it is asked for the other one. */
    IOVAGEOM_STAGE_DEFAULT = 0,
    IOVAGEOM_STAGE_FIRST = 1, /**< VT-d first stage, SMMUv3 stage 1, AMD v2 */
    IOVAGEOM_STAGE_SECOND = 2 /**< VT-d second stage, SMMUv3 stage 2, AMD v1 */
};

/**
 * VT-d CAP and ECAP.
 *
 * Widths, never more than MGAW (which alone is not enough: SAGAW may lack the level that it needs,
 * E23), and one bit less in the first stage, which sign-extends:
 *
 * - second stage, 6.1 and 6.12: the widest of 30, 39, 48, 57 bits that SAGAW has, and the first
 *   stage too if both are there in scalable mode;
 * - second stage, 7.3: the widest of 39, 48, 57 bits that MGAW needs and SAGAW has, or has deeper;
 * - first stage, 6.1 and 6.12: 57 with FL5LP, else 48, and in SAGAW too if both are there;
 * - first stage, 7.3: 57 with FL5LP and MGAW above 48, else 48.
 *
 * No kernel that was read drives an IOMMU whose two stages have no width in common ("Cannot get a
 * valid agaw"). By the rules of 7.3 such an IOMMU is given the widths of its tables here all the
 * same.
 *
 * Page sizes: 4K, and by SLLPS 2M and 1G in the second stage (6.1 and 6.12: 2M also where SLLPS has
 * 1G alone); 4K, 2M, and by FL1GP 1G in the first. 7.3 leaves out those that are as large as half
 * of the addresses, or larger.
 *
 * @param scalable whether the kernel runs the IOMMU in scalable mode (intel_iommu=sm_on). Without,
 *        or when ECAP has no SMTS, there are second-stage tables only.
 * @param stage DEFAULT, if both are there: the second by 6.1 and 6.12, the first by 7.3 (Linux has
 *        chosen the first since 6.13).
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
 * @param kernel_va_bits the width of the kernel's virtual addresses: 36 to 52 in Linux, no more
 *        than 64; 0 when not known: then what every kernel has, 39 bits with a granule of 4K, 36
 *        with 16K, 42 with 64K.
 * @param stage DEFAULT: stage 1 if it is there, else stage 2.
 * @param rules an enum iovageom_linux_rules.
 * @return IOVAGEOM_ERR_UNSUPPORTED when the stage, the granule or AArch64 tables (IDR0.TTF) are not
 *         there; IOVAGEOM_ERR_INVALID for another granule, more than 64 bits, rules that are none.
 */
IOVAGEOM_API int iovageom_host_smmuv3(uint32_t idr0, uint32_t idr5, uint64_t granule,
                                      unsigned kernel_va_bits, enum iovageom_host_stage stage,
                                      uint32_t rules, struct iovageom_host_limits *out);

/**
 * AMD-Vi extended feature register. (The register that sysfs calls `cap` has no width in it: E13.)
 *
 * v1 tables (SECOND): 4, 5 or 6 levels by HATS, 48, 57 or 64 bits, and every page size from 4K to
 * 2^51 bytes but 512G; 7.3 leaves out those that are as large as half of the addresses, or larger.
 * 6.1 and 6.12 don't look at HATS, and let VFIO map 64 bits, which an IOMMU of fewer levels can't
 * translate: where iovageom_geometry_check() finds this contradiction, the host really has it. 7.3
 * looks at the firmware's copy of EFR (in IVRS), which need not be there: then it takes 4 levels,
 * whatever the register says. So by 7.3 it is 48 bits, with `depends` where the register has more.
 * 7.3 also honours the limit that the firmware gives in IVRS (VASize), which no register has: who
 * knows of one below 48 bits adds it, by iovageom_geometry_add_gaw().
 *
 * v2 tables (FIRST; there if GTSup): 4K, 2M and 1G. 48 bits by 6.1; by 6.12 and 7.3 47 bits, or 56
 * where both GATS (in the firmware's copy) and the CPU have 5 levels. (With amd_iommu=pgtbl_v2, 6.1
 * and 6.12 give VFIO v1 tables of the width of v2.)
 *
 * @param stage DEFAULT: v1; by 7.3 v2 when HATS is reserved and v2 can be used.
 * @param cpu_levels levels of the CPU's own page tables, 5 (LA57) or 4; 0 when not known.
 * @param rules an enum iovageom_linux_rules.
 * @return IOVAGEOM_ERR_UNKNOWN when `efr` is 0: hardware or firmware that doesn't say;
 *         IOVAGEOM_ERR_UNSUPPORTED for v2 tables that are not there, or a reserved HATS;
 *         IOVAGEOM_ERR_INVALID for other levels, or rules that are none.
 */
IOVAGEOM_API int iovageom_host_amd(uint64_t efr, enum iovageom_host_stage stage,
                                   unsigned cpu_levels, uint32_t rules,
                                   struct iovageom_host_limits *out);

/**
 * Put width and page sizes into a geometry, as said by `limits->source`. All or nothing. With
 * `limits->depends` the fact INCOMPLETE goes with them: a kernel that maps more does not contradict
 * them then.
 *
 * @return IOVAGEOM_ERR_INVALID (a width that is not 1 to 64, or the source),
 *         IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_host_limits_add(const struct iovageom_host_limits *limits,
                                          struct iovageom_geometry *geometry);

#ifdef __cplusplus
}
#endif
#endif

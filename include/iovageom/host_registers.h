/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_HOST_REGISTERS_H
#define IOVAGEOM_HOST_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/geometry.h>

/**
 * @file
 * What an IOMMU's registers say of width and page sizes, and a device of its own width.
 *
 * Registers say what the hardware can do; a driver may use less of it (a smaller table format, a
 * kernel with fewer address bits), and they know nothing of reserved regions. So use them beside
 * what VFIO or iommufd says, or before a device can be asked. Put both into one geometry, and
 * iovageom_geometry_check() tells where they contradict each other. Where software has a choice,
 * the rules are those by which Linux chooses.
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
};

/** Which of its two sets of tables an IOMMU is going to use for a device. */
enum iovageom_host_stage {
    /** What Linux uses for a paging domain if nobody asks for more. */
    IOVAGEOM_STAGE_DEFAULT = 0,
    IOVAGEOM_STAGE_FIRST = 1, /**< VT-d first stage, SMMUv3 stage 1, AMD v2, RISC-V first stage */
    IOVAGEOM_STAGE_SECOND = 2 /**< VT-d second stage, SMMUv3 stage 2, AMD v1, RISC-V second stage */
};

/**
 * VT-d CAP and ECAP.
 *
 * The tables' width is the largest that the stages in use have in common (second stage: SAGAW, 30,
 * 39, 48 or 57 bits; first stage: 48, or 57 with FL5LP), but no more than MGAW. MGAW alone is not
 * enough: SAGAW may lack the level that it needs (E23). First-stage tables sign-extend, so one bit
 * less is usable. Page sizes: 4K, and by SLLPS 2M and 1G in the second stage; 4K, 2M, and by FL1GP
 * 1G in the first.
 *
 * @param scalable whether the kernel runs the IOMMU in scalable mode (intel_iommu=sm_on). Without,
 *        or when ECAP has no SMTS, there are second-stage tables only.
 * @param stage DEFAULT: the first stage if it is there in scalable mode, else the second.
 * @return IOVAGEOM_ERR_UNSUPPORTED when that stage is not there, or no width is left (as with a
 *         register that reads as 0).
 */
IOVAGEOM_API int iovageom_host_vtd(uint64_t cap, uint64_t ecap, bool scalable,
                                   enum iovageom_host_stage stage,
                                   struct iovageom_host_limits *out);

/**
 * SMMUv3 IDR0 and IDR5.
 *
 * Stage 1 translates 48 bits, or 52 where IDR5.VAX says so, but never more than the kernel's own
 * virtual addresses have; stage 2 translates the output size OAS (32 to 52; reserved values count
 * as 48). Page sizes follow from the granules: 4K with 2M and 1G, 16K with 32M, 64K with 512M, and
 * 4T where OAS is 52 bits.
 *
 * @param granule of the tables in bytes: 4K, 16K or 64K; 0 when it is not known: then the sizes of
 *        all granules. Linux takes that of its own pages if it is there.
 * @param kernel_va_bits the width of the kernel's virtual addresses, 39 to 52; 0 when not known.
 * @param stage DEFAULT: stage 1 if it is there, else stage 2.
 * @return IOVAGEOM_ERR_UNSUPPORTED when the stage, the granule or AArch64 tables (IDR0.TTF) are not
 *         there; IOVAGEOM_ERR_INVALID.
 */
IOVAGEOM_API int iovageom_host_smmuv3(uint32_t idr0, uint32_t idr5, uint64_t granule,
                                      unsigned kernel_va_bits, enum iovageom_host_stage stage,
                                      struct iovageom_host_limits *out);

/** Bits of a stream id, from SMMUv3 IDR1.SIDSIZE: 0 to 63, of which 0 to 32 make sense. */
IOVAGEOM_API unsigned iovageom_host_smmuv3_stream_bits(uint32_t idr1);

/**
 * AMD-Vi extended feature register. (The register that sysfs calls `cap` has no width in it: E13.)
 *
 * v1 tables (SECOND, the default): 4, 5 or 6 levels by HATS, 48, 57 or 64 bits, and every page size
 * from 4K to 2^51 bytes but 512G, as Linux has it. v2 tables (FIRST; there if GTSup): 4 levels, or
 * 5 by GATS, of which the upper half is sign-extended: 47 or 56 bits; 4K, 2M and 1G.
 *
 * @return IOVAGEOM_ERR_UNKNOWN when `efr` is 0: hardware or firmware that doesn't say;
 *         IOVAGEOM_ERR_UNSUPPORTED for v2 tables that are not there, or a reserved HATS.
 */
IOVAGEOM_API int iovageom_host_amd(uint64_t efr, enum iovageom_host_stage stage,
                                   struct iovageom_host_limits *out);

/**
 * RISC-V IOMMU `capabilities`.
 *
 * There is no field for a width (E22): it follows from the widest table format that is there, and
 * software may choose a narrower one. So this is an upper bound. First stage: Sv57, Sv48, Sv39
 * without the bit that sign-extends (56, 47, 38 bits), or Sv32; second stage: Sv57x4, Sv48x4,
 * Sv39x4, Sv32x4 (59, 50, 41, 34 bits).
 *
 * @param stage DEFAULT: the first stage if it is there, else the second.
 * @return IOVAGEOM_ERR_UNSUPPORTED when the stage has no table format.
 */
IOVAGEOM_API int iovageom_host_riscv(uint64_t capabilities, enum iovageom_host_stage stage,
                                     struct iovageom_host_limits *out);

/** Put width and page sizes into a geometry, as said by `limits->source`. All or nothing. */
IOVAGEOM_API int iovageom_host_limits_add(const struct iovageom_host_limits *limits,
                                          struct iovageom_geometry *geometry);

/**
 * The width that a device itself can address (E21), from a DMA mask of the form 2^n - 1, as an
 * aperture. `mask` is what a driver gives to dma_set_mask().
 *
 * @return IOVAGEOM_ERR_INVALID for any other mask, 0 included; IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_host_dma_mask(uint64_t mask, struct iovageom_geometry *geometry);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_PLAN_LAYOUT_H
#define IOVAGEOM_PLAN_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/range.h>
#include <iovageom/report.h>

/**
 * @file
 * Whether a guest's physical layout can be mapped one to one: what a passed-through device needs
 * without a virtual IOMMU, in a bypass domain, or while firmware boots in bypass.
 *
 * Host data decides, not the CPU's vendor and no constants: the AMD hole below 1 TiB, the ARM MSI
 * window at 128 MiB and BARs beyond the IOMMU's width are all the same question (Q22, Q23, E2-E4,
 * E7-E9, E15).
 */

#ifdef __cplusplus
extern "C" {
#endif

/** What a piece of the layout is. */
enum iovageom_piece_kind {
    IOVAGEOM_PIECE_RAM = 1, /**< pinned by a bypass */
    IOVAGEOM_PIECE_BAR = 2, /**< registers of a device, mapped for peer-to-peer DMA */
    /** The guest's MSI doorbells: in order also where the host reserves MSI or SOFTWARE_MSI, as
        writes there are no DMA. */
    IOVAGEOM_PIECE_MSI = 3
};

/** What may be done with a piece, as bits. */
enum iovageom_piece_flag {
    IOVAGEOM_PIECE_MOVABLE = 1, /**< it may be put elsewhere within its limits */
    /** Parts of it may stay while others move: RAM, of which the guest gets a map. */
    IOVAGEOM_PIECE_SPLITTABLE = 2
};

/** A piece of a guest's physical layout. */
struct iovageom_piece {
    struct iovageom_range range;
    uint32_t kind;      /**< an enum iovageom_piece_kind */
    uint32_t flags;     /**< IOVAGEOM_PIECE_*; SPLITTABLE counts only with MOVABLE */
    uint64_t alignment; /**< of its start when it moves: a power of two in bytes, or 0 for none */
    struct iovageom_range limits; /**< where it may go ([0, 2^32-1] for a 32-bit BAR) */
};

/** Part of a piece, or the whole, that is to move. */
struct iovageom_placement {
    size_t piece; /**< its index */
    struct iovageom_range from;
    struct iovageom_range to; /**< of the same size */
};

/** What a plan comes to. */
struct iovageom_layout_plan {
    size_t misfits;              /**< pieces that can't be mapped where they are */
    size_t stuck;                /**< those of them for which no place was found */
    size_t placements;           /**< how many moves are proposed */
    struct iovageom_size moved;  /**< bytes that move */
    struct iovageom_size pinned; /**< bytes of RAM, all of which a bypass pins */
    uint64_t mappings;           /**< for the layout once moved: one for each range that is left */
    /** Mappings that a guest could make of its RAM, granule by granule (E14); 2^64-1 for more. */
    uint64_t page_mappings;
    uint64_t budget; /**< mappings that the host allows; 2^64-1 when it does not say */
};

/**
 * Check a layout and propose the smallest change that makes it fit.
 *
 * A splittable piece loses only the granules that the host can't map: no change moves less. They go
 * just above it if that is free, else to one place if there is one, else to the largest holes. A
 * piece that can't be split moves whole, to the free place nearest to where it is. Pieces are
 * placed in the order in which they are given, and never onto another piece.
 *
 * @param allocator for scratch memory; NULL for the default.
 * @param granule power of two in bytes, or 0 for the geometry's own (4096 when it does not say).
 *        A piece that is no multiple of it gets a finding ALIGNMENT and is taken widened.
 * @param pieces in any order; `count` of them; they must not overlap at the granule.
 * @param out room for `capacity` placements; may be NULL when that is 0.
 * @param plan written, like `out`, whenever the return is one of those marked *. When the
 *        placements are more than `capacity`, the first are written; plan->placements counts all.
 * @param report for each part that can't be mapped one finding with who forbids it.
 * @return IOVAGEOM_OK * the layout maps as it is; IOVAGEOM_ERR_CONFLICT * it does not, plan->stuck
 *         says whether the proposal helps; IOVAGEOM_ERR_LIMIT * it needs more mappings than the
 *         host allows; IOVAGEOM_ERR_OVERLAP of pieces, IOVAGEOM_ERR_INVERTED,
 *         IOVAGEOM_ERR_INVALID, IOVAGEOM_ERR_NOTHING_USABLE (page-size mask 0),
 *         IOVAGEOM_ERR_NO_MEMORY. O((pieces + k) log k) for k reserved regions.
 */
IOVAGEOM_API int iovageom_plan_layout(const struct iovageom_allocator *allocator,
                                      const struct iovageom_geometry *geometry, uint64_t granule,
                                      const struct iovageom_piece *pieces, size_t count,
                                      struct iovageom_placement *out, size_t capacity,
                                      struct iovageom_layout_plan *plan,
                                      struct iovageom_report *report);

#ifdef __cplusplus
}
#endif
#endif

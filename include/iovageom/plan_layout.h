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
    IOVAGEOM_PIECE_RAM = 1, /**< all of it is pinned while a device bypasses */
    IOVAGEOM_PIECE_BAR = 2, /**< registers of a device, mapped for peer-to-peer DMA */
    /** The guest's MSI doorbells: they may also lie where the host reserves MSI or SOFTWARE_MSI, as
        writes there are no DMA. None is moved there. */
    IOVAGEOM_PIECE_MSI = 3
};

/** What may be done with a piece, as bits. */
enum iovageom_piece_flag {
    IOVAGEOM_PIECE_MOVABLE = 1, /**< it may be put elsewhere within its limits */
    /** Parts of it may stay while others move. Counts only with MOVABLE, and only for RAM: of RAM
        the guest gets a map, while a BAR is decoded in one piece. */
    IOVAGEOM_PIECE_SPLITTABLE = 2
};

/** A piece of a guest's physical layout. */
struct iovageom_piece {
    struct iovageom_range range;
    uint32_t kind;  /**< an enum iovageom_piece_kind */
    uint32_t flags; /**< IOVAGEOM_PIECE_*; 0 for a piece that is fixed where it is */
    /**
     * Alignment of its start when it moves whole: a power of two in bytes; 1 for none. 0 stands for
     * none too, except for a BAR: there it stands for its size, rounded up to a power of two,
     * because PCI decodes BARs at multiples of their size. A BAR that need not move may be less
     * aligned.
     */
    uint64_t alignment;
    /**
     * Where it may go. With [0, 2^64-1], no limit is given: then a BAR that lies wholly below 4 GiB
     * stays below, as it may be a 32-bit one. For a 64-bit BAR there give what the guest's bridges
     * decode, like [0, 2^46-1].
     */
    struct iovageom_range limits;
};

/** Part of a piece, or the whole, that is to move. */
struct iovageom_placement {
    size_t piece;               /**< its index */
    struct iovageom_range from; /**< within the piece as it was given */
    struct iovageom_range to;   /**< of the same size; it starts at a granule */
};

/** What came of a plan. 0 is no outcome. */
enum iovageom_layout_outcome {
    IOVAGEOM_LAYOUT_FITS = 1,       /**< it maps as it is */
    IOVAGEOM_LAYOUT_SOLVED = 2,     /**< it maps once the proposed moves are made */
    IOVAGEOM_LAYOUT_STUCK = 3,      /**< for `stuck` pieces no place was found */
    IOVAGEOM_LAYOUT_OVER_BUDGET = 4 /**< every piece has a place, but there are too many mappings */
};

/** A plan. */
struct iovageom_layout_plan {
    size_t misfits;    /**< pieces that the host refuses there, or whose place another one keeps */
    size_t stuck;      /**< those of them for which no place was found: see NO_PLACE findings */
    size_t placements; /**< how many moves are proposed */
    struct iovageom_size moved;  /**< bytes that move */
    struct iovageom_size pinned; /**< bytes of RAM, all of which a bypass pins */
    /** Mappings that are needed once the moves are made: one for each piece, or for each part of a
        piece that was split. Pieces that are stuck, and doorbells among the host's, need none. */
    uint64_t mappings;
    /** Mappings that a guest may make of its RAM if it maps granule by granule (E14), as behind a
        virtual IOMMU or when it converts its pages one by one; 2^64-1 for more. Compare them with
        `budget` if the guest can do that. iovageom_plan_layout_chunks() counts larger steps. */
    uint64_t page_mappings;
    uint64_t budget;  /**< mappings that the host allows; 2^64-1 when it does not say */
    uint32_t outcome; /**< an enum iovageom_layout_outcome */
};

/**
 * Check a layout and propose the smallest change that makes it fit.
 *
 * Pieces get their places in this order: those that are fixed; then those that move whole, the
 * larger first; then RAM that can be split; equals in the order in which they are given. A movable
 * piece that shares a granule with one before it in that order moves away: like two BARs in one 64K
 * page, which the host can map for one of them only. Nothing is put where another piece is, even if
 * that one moves later.
 *
 * Splittable RAM loses only the granules that it can't keep: no change moves less. These go to the
 * nearest place above it that holds them in one range, else to the nearest below, else to the
 * largest holes. A piece that can't be split moves whole, to the free place nearest to where it is
 * that its limits and its alignment allow.
 *
 * Of two fixed pieces neither can make room. When they overlap, that is an error. When they only
 * share a granule, it is a note: VFIO maps no part of a page, so peers can't reach such BARs.
 *
 * A region of type DIRECT is a hole like others here. But moving things out of its way is of no
 * use: since 6.6 Linux gives such a device to nobody. That is noted (FINDING_DIRECT); to refuse the
 * device, ask iovageom_geometry_assignable() first.
 *
 * @param allocator for scratch memory; NULL for the default.
 * @param granule power of two in bytes, not below the geometry's own; 0 for that (4096 when it does
 *        not say). A piece that is no multiple of it gets a note ALIGNMENT, and all granules that
 *        it has a part of are its own.
 * @param pieces in any order; `count` of them.
 * @param out room for `capacity` placements; may be NULL when that is 0. When there are more, the
 *        first are written. On an error that leaves no plan it may have been written to.
 * @param plan written on IOVAGEOM_OK, IOVAGEOM_ERR_CONFLICT and IOVAGEOM_ERR_LIMIT.
 *        plan->placements counts all placements, also those for which `out` has no room.
 * @param report for each part that can't be mapped one finding with who forbids it; OVERLAP for a
 *        piece whose place another one keeps, and NO_PLACE for one that is stuck; BUDGET when more
 *        mappings are needed than allowed; notes on devices that can't be assigned (DIRECT) and on
 *        what the geometry does not say (UNKNOWN, INCOMPLETE, MSI_WINDOW). Pieces are named by
 *        index, and by their ranges as given.
 * @return IOVAGEOM_OK: the layout maps as it is;
 *         IOVAGEOM_ERR_CONFLICT: as it is, it does not; plan->outcome says whether the plan solves
 *         it; IOVAGEOM_ERR_LIMIT: all pieces have a place, as they are or as proposed, but that
 *         takes more mappings than the host allows; IOVAGEOM_ERR_OVERLAP: two fixed pieces overlap,
 *         which one finding names; IOVAGEOM_ERR_INVERTED (a piece or its limits);
 *         IOVAGEOM_ERR_INVALID (granule; kind, flags or alignment of a piece; no allocator);
 *         IOVAGEOM_ERR_NOTHING_USABLE (page-size mask 0); IOVAGEOM_ERR_NO_MEMORY. O((pieces + k)
 *         log (pieces + k)) for k reserved regions, and O(pieces + k) more for each move to one of
 *         several holes, for each piece of RAM that is stuck, for each piece that is moved past
 *         holes in which its alignment leaves no room, and for each piece that shares a granule
 *         with one that is fixed or reported; with a report, O(facts) for each piece that the host
 *         refuses.
 */
IOVAGEOM_API int iovageom_plan_layout(const struct iovageom_allocator *allocator,
                                      const struct iovageom_geometry *geometry, uint64_t granule,
                                      const struct iovageom_piece *pieces, size_t count,
                                      struct iovageom_placement *out, size_t capacity,
                                      struct iovageom_layout_plan *plan,
                                      struct iovageom_report *report);

/**
 * How many mappings the RAM of a layout makes when it is mapped in steps of `chunk` bytes, each at
 * a multiple of that: by a guest behind a virtual IOMMU, or by a program in user space.
 *
 * @param chunk a power of two in bytes.
 * @param mappings receives the number; 2^64-1 for more.
 * @return IOVAGEOM_ERR_INVALID (chunk); IOVAGEOM_ERR_INVERTED for a piece that ends before it
 *         starts. O(count).
 */
IOVAGEOM_API int iovageom_plan_layout_chunks(const struct iovageom_piece *pieces, size_t count,
                                             uint64_t chunk, uint64_t *mappings);

/**
 * One English sentence for an outcome, without a full stop. Static storage, never NULL: a number
 * that is no enum iovageom_layout_outcome gives "unknown outcome". O(1).
 */
IOVAGEOM_API const char *iovageom_layout_outcome_string(uint32_t outcome);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_MAPPINGS_H
#define IOVAGEOM_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/range.h>
#include <iovageom/rangeset.h>

/**
 * @file
 * The ledger of a domain's live mappings: which IOVAs the guest has mapped, to where, with what
 * flags, under the rules of the virtio specification 1.4 for MAP and UNMAP requests.
 *
 * The ledger knows nothing of apertures, granules or reserved regions: who asks it has checked
 * those. It is byte granular.
 *
 * Up to 8 mappings live inside the object and allocate nothing. n is the number of mappings, k the
 * number that a call meets. The object may be moved with memcpy while no cursor stands on it, but
 * not duplicated so. A call that fails leaves the ledger as it was.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** A mapping budget that never runs out: the host did not say that there is one. */
#define IOVAGEOM_MAPPINGS_NO_BUDGET UINT64_MAX

/** A ledger. Opaque: no member is to be read or written. */
struct iovageom_mappings {
    uint64_t opaque[60];
};

/** One live mapping: the IOVAs of `range` go to physical addresses from `phys` on. */
struct iovageom_mapping {
    struct iovageom_range range;
    uint64_t phys;  /**< where range.start goes, in bytes; not looked at by the ledger */
    uint32_t flags; /**< IOVAGEOM_VIRTIO_MAP_F_*, or what the caller likes; not looked at */
};

/**
 * Makes an empty ledger. Allocates nothing.
 *
 * @param budget    how many mappings there may be at once (VFIO's dma_avail and the like), or
 *                  IOVAGEOM_MAPPINGS_NO_BUDGET.
 * @param allocator NULL for iovageom_allocator_default().
 * @return IOVAGEOM_ERR_INVALID when there is no allocator, or one of its functions is NULL.
 */
IOVAGEOM_API int iovageom_mappings_init(struct iovageom_mappings *mappings, uint64_t budget,
                                        const struct iovageom_allocator *allocator);

/** Gives all memory back. The object may then only be made anew. NULL is accepted. */
IOVAGEOM_API void iovageom_mappings_deinit(struct iovageom_mappings *mappings);

/** Drops all mappings and gives their memory back; the budget stays. Never fails. */
IOVAGEOM_API void iovageom_mappings_clear(struct iovageom_mappings *mappings);

/**
 * Makes `mappings` hold what `from` holds, budget included; both may be the same. O(n).
 *
 * @return IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_mappings_copy(struct iovageom_mappings *mappings,
                                        const struct iovageom_mappings *from);

/**
 * Maps, if nothing of the range is mapped (N42). O(log n).
 *
 * @return IOVAGEOM_ERR_OVERLAP when any address of the range is mapped already,
 *         IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_LIMIT when the budget is used up,
 *         IOVAGEOM_ERR_NO_MEMORY. They are looked for in this order: first inverted, then overlap.
 */
IOVAGEOM_API int iovageom_mappings_map(struct iovageom_mappings *mappings,
                                       const struct iovageom_mapping *mapping);

/**
 * Removes every mapping that the range covers whole (N55), unless it covers part of one: then none
 * is removed (N54). A range that touches no mapping is a success (I8, example 1). Never needs
 * memory. O(log n + k).
 *
 * @param removed becomes the number of mappings removed. May be NULL.
 * @return IOVAGEOM_ERR_SPLIT when the range covers part of a mapping, IOVAGEOM_ERR_INVERTED.
 */
IOVAGEOM_API int iovageom_mappings_unmap(struct iovageom_mappings *mappings,
                                         struct iovageom_range range, size_t *removed);

/** @name Asking
 * @{ */

/** The number of mappings. O(1). */
IOVAGEOM_API size_t iovageom_mappings_count(const struct iovageom_mappings *mappings);

/** The number of mapped addresses, in bytes. O(n). */
IOVAGEOM_API struct iovageom_size iovageom_mappings_size(const struct iovageom_mappings *mappings);

/** Bytes that the ledger holds from its allocator; 0 up to 8 mappings. O(1). */
IOVAGEOM_API size_t iovageom_mappings_memory(const struct iovageom_mappings *mappings);

/** The budget, or IOVAGEOM_MAPPINGS_NO_BUDGET. O(1). */
IOVAGEOM_API uint64_t iovageom_mappings_budget(const struct iovageom_mappings *mappings);

/**
 * Sets the budget. It may be below the number of mappings that are live: those stay, and no more
 * can be made until enough of them are gone. O(1).
 */
IOVAGEOM_API void iovageom_mappings_set_budget(struct iovageom_mappings *mappings, uint64_t budget);

/** The mapping that `address` lies in. False, and *out untouched, when there is none. O(log n). */
IOVAGEOM_API bool iovageom_mappings_lookup(const struct iovageom_mappings *mappings,
                                           uint64_t address, struct iovageom_mapping *out);

/** The lowest mapping that overlaps `range`. False when there is none. O(log n). */
IOVAGEOM_API bool iovageom_mappings_first_overlap(const struct iovageom_mappings *mappings,
                                                  struct iovageom_range range,
                                                  struct iovageom_mapping *out);

/**
 * The lowest mapping of which `range` covers a part but not the whole. False when there is none, so
 * that iovageom_mappings_unmap() will succeed. O(log n).
 */
IOVAGEOM_API bool iovageom_mappings_first_split(const struct iovageom_mappings *mappings,
                                                struct iovageom_range range,
                                                struct iovageom_mapping *out);

/**
 * The hot-plug question: which mappings overlap a set of addresses that are to become unusable?
 * O(log n) for each range of the set, or for each mapping, whichever are fewer, plus k.
 *
 * @param out the lowest of them, as many as `capacity`. May be NULL when `capacity` is 0.
 * @return how many there are in all.
 */
IOVAGEOM_API size_t iovageom_mappings_touching(const struct iovageom_mappings *mappings,
                                               const struct iovageom_rangeset *set,
                                               struct iovageom_mapping *out, size_t capacity);

/** Whether both hold the same mappings (budgets aside). O(n). */
IOVAGEOM_API bool iovageom_mappings_equal(const struct iovageom_mappings *a,
                                          const struct iovageom_mappings *b);

/** @}
 * @name Cursors
 * A cursor keeps its place when the ledger changes, as in rangeset.h.
 * @{ */

/** A place in a ledger. Opaque: no member is to be read or written. Not to be shared by threads. */
struct iovageom_mappings_cursor {
    uint64_t opaque[8];
};

/** Stands just below `address`: the next mapping is the lowest whose last >= address. */
IOVAGEOM_API void iovageom_mappings_seek(const struct iovageom_mappings *mappings, uint64_t address,
                                         struct iovageom_mappings_cursor *cursor);

/** Reads the next mapping, and then stands just above it. False when there is none. */
IOVAGEOM_API bool iovageom_mappings_next(struct iovageom_mappings_cursor *cursor,
                                         struct iovageom_mapping *out);

/** @} */

#ifdef __cplusplus
}
#endif
#endif

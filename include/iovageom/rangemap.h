/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_RANGEMAP_H
#define IOVAGEOM_RANGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/range.h>

/**
 * @file
 * Disjoint ranges of 64-bit addresses, each with a 64-bit value.
 *
 * Neighbours that touch become one entry when their values are equal, unless the map was made to
 * keep its entries apart (the ledger of mappings needs that: two adjacent mappings stay two).
 *
 * Up to 8 entries live inside the object and allocate nothing. n is the number of entries, k the
 * number of entries that a call meets. The object is a value of fixed size that may be moved with
 * memcpy while no cursor stands on it, but not duplicated so: use iovageom_rangemap_copy().
 *
 * Every call that can fail leaves its map as it was when it fails. Ranges with start > last are
 * answered with IOVAGEOM_ERR_INVERTED, and by queries with false.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** Whether neighbours become one. */
enum iovageom_rangemap_mode {
    IOVAGEOM_RANGEMAP_COALESCE = 0,  /**< neighbours that touch and have equal values are one */
    IOVAGEOM_RANGEMAP_KEEP_APART = 1 /**< entries stay as they were put in */
};

/** A map of addresses. Opaque: no member is to be read or written. */
struct iovageom_rangemap {
    uint64_t opaque[48];
};

/** One entry of a map. */
struct iovageom_rangemap_entry {
    struct iovageom_range range;
    uint64_t value;
};

/**
 * Makes an empty map. Allocates nothing.
 *
 * @param allocator NULL for iovageom_allocator_default().
 * @return IOVAGEOM_ERR_INVALID for a mode that is none, or when there is no allocator, or one of
 *         its functions is NULL.
 */
IOVAGEOM_API int iovageom_rangemap_init(struct iovageom_rangemap *map,
                                        enum iovageom_rangemap_mode mode,
                                        const struct iovageom_allocator *allocator);

/** Gives all memory back. The object may then only be made anew. NULL is accepted. */
IOVAGEOM_API void iovageom_rangemap_deinit(struct iovageom_rangemap *map);

/** Makes the map empty and gives all its memory back. Never fails. */
IOVAGEOM_API void iovageom_rangemap_clear(struct iovageom_rangemap *map);

/** Exchanges contents, modes and allocators of two maps. O(1), never fails. */
IOVAGEOM_API void iovageom_rangemap_swap(struct iovageom_rangemap *a, struct iovageom_rangemap *b);

/**
 * Makes `map` equal to `from`, mode included; both may be the same. Keeps the allocator of `map`.
 * O(n).
 *
 * @return IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_rangemap_copy(struct iovageom_rangemap *map,
                                        const struct iovageom_rangemap *from);

/** @name Building and reading out
 * @{ */

/**
 * Replaces the contents by entries that ascend and do not overlap. O(count).
 *
 * @return IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_INVALID when they do not ascend,
 *         IOVAGEOM_ERR_OVERLAP, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_rangemap_from_sorted(struct iovageom_rangemap *map,
                                               const struct iovageom_rangemap_entry *entries,
                                               size_t count);

/**
 * Replaces the contents by entries in any order that do not overlap. O(count log count); sorts in
 * memory from the map's allocator. Errors as iovageom_rangemap_from_sorted().
 */
IOVAGEOM_API int iovageom_rangemap_from_array(struct iovageom_rangemap *map,
                                              const struct iovageom_rangemap_entry *entries,
                                              size_t count);

/**
 * Writes the entries, ascending.
 *
 * @param count becomes the number written; with IOVAGEOM_ERR_BUFFER_TOO_SMALL the number needed.
 * @return IOVAGEOM_ERR_BUFFER_TOO_SMALL when `capacity` is below iovageom_rangemap_count().
 */
IOVAGEOM_API int iovageom_rangemap_to_array(const struct iovageom_rangemap *map,
                                            struct iovageom_rangemap_entry *out, size_t capacity,
                                            size_t *count);

/** @}
 * @name Changing
 * @{ */

/**
 * Gives all addresses of `range` the value, whatever they had: entries that overlap it are cut, and
 * keep their value outside it. O(log n + k).
 *
 * @return IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_rangemap_assign(struct iovageom_rangemap *map,
                                          struct iovageom_range range, uint64_t value);

/**
 * Adds an entry where nothing is. O(log n).
 *
 * @return IOVAGEOM_ERR_OVERLAP when any address of `range` has a value already,
 *         IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_rangemap_insert(struct iovageom_rangemap *map,
                                          struct iovageom_range range, uint64_t value);

/**
 * Takes the values of the addresses of `range` away: entries that overlap it are cut, and keep
 * their value outside it. Addresses that have none are no error. O(log n + k).
 *
 * @return IOVAGEOM_ERR_INVERTED; IOVAGEOM_ERR_NO_MEMORY, only when `range` lies strictly inside one
 *         entry, so that two are left of it.
 */
IOVAGEOM_API int iovageom_rangemap_remove(struct iovageom_rangemap *map,
                                          struct iovageom_range range);

/**
 * Takes the whole entry away that `address` lies in. Never needs memory. O(log n).
 *
 * @param erased becomes what it was. May be NULL.
 * @return IOVAGEOM_ERR_NOT_FOUND.
 */
IOVAGEOM_API int iovageom_rangemap_erase(struct iovageom_rangemap *map, uint64_t address,
                                         struct iovageom_rangemap_entry *erased);

/**
 * Takes all entries away, whole, that overlap `range`. Never fails or needs memory. O(log n + k).
 *
 * @return how many they were; 0 for start > last too.
 */
IOVAGEOM_API size_t iovageom_rangemap_erase_overlapping(struct iovageom_rangemap *map,
                                                        struct iovageom_range range);

/** @}
 * @name Asking
 * @{ */

/** The number of entries. O(1). */
IOVAGEOM_API size_t iovageom_rangemap_count(const struct iovageom_rangemap *map);

/** The number of addresses that have a value, in bytes. O(n). */
IOVAGEOM_API struct iovageom_size iovageom_rangemap_size(const struct iovageom_rangemap *map);

/** Bytes that the map holds from its allocator; 0 up to 8 entries. O(1). */
IOVAGEOM_API size_t iovageom_rangemap_memory(const struct iovageom_rangemap *map);

/** The lowest and the highest address that have a value, as one range. False when empty. */
IOVAGEOM_API bool iovageom_rangemap_hull(const struct iovageom_rangemap *map,
                                         struct iovageom_range *out);

/** Whether any address of `range` has a value. O(log n). */
IOVAGEOM_API bool iovageom_rangemap_overlaps(const struct iovageom_rangemap *map,
                                             struct iovageom_range range);

/** The entry that `address` lies in. False, and *out untouched, when there is none. O(log n). */
IOVAGEOM_API bool iovageom_rangemap_lookup(const struct iovageom_rangemap *map, uint64_t address,
                                           struct iovageom_rangemap_entry *out);

/**
 * Looks up many addresses at once, which hides most of the memory latency of a large map.
 *
 * @param found   one for each address: whether it has a value.
 * @param values  one for each address; those of addresses that are not found are untouched.
 */
IOVAGEOM_API void iovageom_rangemap_lookup_batch(const struct iovageom_rangemap *map,
                                                 const uint64_t *addresses, size_t count,
                                                 bool *found, uint64_t *values);

/** The lowest entry that overlaps `range`. False when there is none. O(log n). */
IOVAGEOM_API bool iovageom_rangemap_first_overlap(const struct iovageom_rangemap *map,
                                                  struct iovageom_range range,
                                                  struct iovageom_rangemap_entry *out);

/** The highest entry that lies wholly below `address`. False when there is none. O(log n). */
IOVAGEOM_API bool iovageom_rangemap_below(const struct iovageom_rangemap *map, uint64_t address,
                                          struct iovageom_rangemap_entry *out);

/** The lowest entry that lies wholly above `address`. False when there is none. O(log n). */
IOVAGEOM_API bool iovageom_rangemap_above(const struct iovageom_rangemap *map, uint64_t address,
                                          struct iovageom_rangemap_entry *out);

/** Whether both have the same entries, cut in the same places. O(n). */
IOVAGEOM_API bool iovageom_rangemap_equal(const struct iovageom_rangemap *a,
                                          const struct iovageom_rangemap *b);

/** @}
 * @name Holes
 * A gap is a range of addresses without value, as long as it can be.
 * @{ */

/** The gap that has `address`, or else the lowest above it. False when there is none. O(log n). */
IOVAGEOM_API bool iovageom_rangemap_gap_above(const struct iovageom_rangemap *map, uint64_t address,
                                              struct iovageom_range *out);

/** The gap that has `address`, or else the highest below it. False when there is none. O(log n). */
IOVAGEOM_API bool iovageom_rangemap_gap_below(const struct iovageom_rangemap *map, uint64_t address,
                                              struct iovageom_range *out);

/**
 * The lowest free range of `size` bytes within `limits` that starts at a multiple of `alignment`.
 *
 * O(log n) when every gap of `size` bytes can hold it; each gap that is long enough, but can't for
 * its alignment or the limits, is passed over in O(log n).
 *
 * @param size      in bytes, at least 1.
 * @param alignment in bytes, a power of two; 1 for none.
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_INVERTED for the limits, IOVAGEOM_ERR_INVALID.
 */
IOVAGEOM_API int iovageom_rangemap_first_hole(const struct iovageom_rangemap *map,
                                              struct iovageom_range limits, uint64_t size,
                                              uint64_t alignment, struct iovageom_range *out);

/** The highest such range; else like iovageom_rangemap_first_hole(). */
IOVAGEOM_API int iovageom_rangemap_last_hole(const struct iovageom_rangemap *map,
                                             struct iovageom_range limits, uint64_t size,
                                             uint64_t alignment, struct iovageom_range *out);

/** @}
 * @name Cursors
 * A cursor stands at a place between addresses, and reads the entries above and below it. It
 * survives every change of its map: it keeps its place, and goes on from there with the entries
 * that are there then (in O(log n) once after a change, else O(1)). An entry that has grown over
 * that place is read again, whole. The map must not be moved, swapped, or given back meanwhile.
 * A cursor needs no giving back.
 * @{ */

/** A place in a map. Opaque: no member is to be read or written. Not to be shared by threads. */
struct iovageom_rangemap_cursor {
    uint64_t opaque[8];
};

/** Stands just below `address`: the next entry is the lowest whose last >= address. */
IOVAGEOM_API void iovageom_rangemap_seek(const struct iovageom_rangemap *map, uint64_t address,
                                         struct iovageom_rangemap_cursor *cursor);

/** Stands above all addresses: the previous entry is the highest. */
IOVAGEOM_API void iovageom_rangemap_seek_end(const struct iovageom_rangemap *map,
                                             struct iovageom_rangemap_cursor *cursor);

/** Reads the next entry, and then stands just above it. False when there is none. */
IOVAGEOM_API bool iovageom_rangemap_next(struct iovageom_rangemap_cursor *cursor,
                                         struct iovageom_rangemap_entry *out);

/** Reads the previous entry, and then stands just below it. False when there is none. */
IOVAGEOM_API bool iovageom_rangemap_previous(struct iovageom_rangemap_cursor *cursor,
                                             struct iovageom_rangemap_entry *out);

/**
 * The next entries that lie side by side in memory: the fastest way to read a whole map. The cursor
 * then stands above the last of them.
 *
 * @param ranges, values become pointers into the map, which hold until the map changes or moves.
 * @return how many entries; 0 at the end, and the pointers are then untouched.
 */
IOVAGEOM_API size_t iovageom_rangemap_next_span(struct iovageom_rangemap_cursor *cursor,
                                                const struct iovageom_range **ranges,
                                                const uint64_t **values);

/** @} */

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_RANGESET_H
#define IOVAGEOM_RANGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/range.h>

/**
 * @file
 * A set of 64-bit addresses, kept as disjoint ranges that never touch: two that would are one.
 *
 * Up to 8 ranges live inside the object and allocate nothing; beyond that they live in a B+tree.
 * n is the number of ranges, k the number of ranges that a call meets.
 *
 * The object is a value of fixed size. It may be moved with memcpy (the old place is then dead)
 * while no cursor stands on it. It must not be duplicated so: use iovageom_rangeset_assign().
 *
 * Every call that can fail leaves its set as it was when it fails. Ranges with start > last are
 * answered with IOVAGEOM_ERR_INVERTED, and by queries with false.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** A set of addresses. Opaque: no member is to be read or written. */
struct iovageom_rangeset {
    uint64_t opaque[28];
};

/**
 * Makes an empty set. Allocates nothing.
 *
 * @param allocator NULL for the default (allocator.h).
 * @return IOVAGEOM_ERR_INVALID when there is no allocator, or one of its functions is NULL.
 */
IOVAGEOM_API int iovageom_rangeset_init(struct iovageom_rangeset *set,
                                        const struct iovageom_allocator *allocator);

/** Gives all memory back. The object may then only be made anew. NULL is accepted. */
IOVAGEOM_API void iovageom_rangeset_deinit(struct iovageom_rangeset *set);

/** Makes the set empty and gives all its memory back. Never fails. */
IOVAGEOM_API void iovageom_rangeset_clear(struct iovageom_rangeset *set);

/**
 * Makes `set` equal to `from`; both may be the same. Keeps the allocator of `set`. O(n).
 *
 * @return IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_rangeset_assign(struct iovageom_rangeset *set,
                                          const struct iovageom_rangeset *from);

/** @name Building and reading out
 * @{ */

/**
 * Replaces the contents by the union of ranges in any order. O(count) for ranges in normal form
 * (ranges.h), else O(count log count) and as much scratch memory from the set's allocator.
 *
 * @return IOVAGEOM_ERR_INVERTED, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_rangeset_from_array(struct iovageom_rangeset *set,
                                              const struct iovageom_range *ranges, size_t count);

/**
 * Writes the ranges, ascending.
 *
 * @param count becomes the number written; with IOVAGEOM_ERR_BUFFER_TOO_SMALL the number needed.
 * @return IOVAGEOM_ERR_BUFFER_TOO_SMALL when `capacity` is below iovageom_rangeset_count().
 */
IOVAGEOM_API int iovageom_rangeset_to_array(const struct iovageom_rangeset *set,
                                            struct iovageom_range *out, size_t capacity,
                                            size_t *count);

/** @}
 * @name Changing
 * @{ */

/**
 * Adds the addresses of `range`; those that are there already stay. O(log n + k).
 *
 * @return IOVAGEOM_ERR_INVERTED; IOVAGEOM_ERR_NO_MEMORY, only when `range` touches none that is
 *         there.
 */
IOVAGEOM_API int iovageom_rangeset_insert(struct iovageom_rangeset *set,
                                          struct iovageom_range range);

/**
 * Takes the addresses of `range` away; those that are not there are no error. O(log n + k).
 *
 * @return IOVAGEOM_ERR_INVERTED; IOVAGEOM_ERR_NO_MEMORY, only when `range` lies strictly inside one
 *         range, so that two are left of it.
 */
IOVAGEOM_API int iovageom_rangeset_remove(struct iovageom_rangeset *set,
                                          struct iovageom_range range);

/** @}
 * @name Asking
 * @{ */

/** The number of ranges. O(1). */
IOVAGEOM_API size_t iovageom_rangeset_count(const struct iovageom_rangeset *set);

/** Whether every address of `range` is in the set. O(log n). */
IOVAGEOM_API bool iovageom_rangeset_contains(const struct iovageom_rangeset *set,
                                             struct iovageom_range range);

/** Whether any address of `range` is in the set. O(log n). */
IOVAGEOM_API bool iovageom_rangeset_overlaps(const struct iovageom_rangeset *set,
                                             struct iovageom_range range);

/** The lowest range that overlaps `range`, whole. False, and *out untouched, when there is none: so
    [a, a] asks for the range that the address a lies in. O(log n). */
IOVAGEOM_API bool iovageom_rangeset_first_overlap(const struct iovageom_rangeset *set,
                                                  struct iovageom_range range,
                                                  struct iovageom_range *out);

/** Whether both hold the same addresses. O(n). */
IOVAGEOM_API bool iovageom_rangeset_equal(const struct iovageom_rangeset *a,
                                          const struct iovageom_rangeset *b);

/** @}
 * @name Holes
 * A gap is a range of addresses that are not in the set, as long as it can be.
 * @{ */

/**
 * The lowest, or with `highest` the highest, free range of `size` bytes within `limits` that starts
 * at a multiple of `alignment`.
 *
 * O(log n) when every gap of `size` bytes can hold it; each gap that is long enough, but can't for
 * its alignment or the limits, is passed over in O(log n).
 *
 * @param size      in bytes, at least 1.
 * @param alignment in bytes, a power of two; 1 for none.
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_INVERTED for the limits, IOVAGEOM_ERR_INVALID.
 */
IOVAGEOM_API int iovageom_rangeset_hole(const struct iovageom_rangeset *set,
                                        struct iovageom_range limits, uint64_t size,
                                        uint64_t alignment, bool highest,
                                        struct iovageom_range *out);

/** @}
 * @name Algebra
 * Each replaces the contents of `result`, which is a set that was made before, and may be one of
 * the inputs. The inputs do not change. Linear. Fails with IOVAGEOM_ERR_NO_MEMORY, and then
 * `result` is as it was.
 * @{ */

/**
 * Addresses that a or b has. When `result` is one of them and the other is much shorter, that is
 * added range by range: O(log n) for each, and no more.
 */
IOVAGEOM_API int iovageom_rangeset_union(struct iovageom_rangeset *result,
                                         const struct iovageom_rangeset *a,
                                         const struct iovageom_rangeset *b);

/** Addresses that both have. */
IOVAGEOM_API int iovageom_rangeset_intersection(struct iovageom_rangeset *result,
                                                const struct iovageom_rangeset *a,
                                                const struct iovageom_rangeset *b);

/** Addresses that a has and b has not. */
IOVAGEOM_API int iovageom_rangeset_difference(struct iovageom_rangeset *result,
                                              const struct iovageom_rangeset *a,
                                              const struct iovageom_rangeset *b);

/** Addresses of `window` that a has not. IOVAGEOM_ERR_INVERTED for the window. */
IOVAGEOM_API int iovageom_rangeset_complement(struct iovageom_rangeset *result,
                                              const struct iovageom_rangeset *a,
                                              struct iovageom_range window);

/** Addresses of `window` that a has. IOVAGEOM_ERR_INVERTED for the window. */
IOVAGEOM_API int iovageom_rangeset_clip(struct iovageom_rangeset *result,
                                        const struct iovageom_rangeset *a,
                                        struct iovageom_range window);

/** @}
 * @name Cursors
 * A cursor is a place between two addresses, and reads the ranges above it in ascending order. It
 * stays valid when its set changes: it goes on from its place with the ranges that are there then
 * (in O(log n) once after a change, else O(1)). A range that has grown over that place is read
 * again, whole. The set must not be moved, swapped, or deinitialised meanwhile. A cursor holds no
 * memory.
 * @{ */

/** A place in a set. Opaque: no member is to be read or written. Not to be shared by threads. */
struct iovageom_rangeset_cursor {
    uint64_t opaque[8];
};

/** Stands just below `address`: the next range is the lowest whose last >= address. */
IOVAGEOM_API void iovageom_rangeset_seek(const struct iovageom_rangeset *set, uint64_t address,
                                         struct iovageom_rangeset_cursor *cursor);

/** Reads the next range, and then stands just above it. False when there is none. */
IOVAGEOM_API bool iovageom_rangeset_next(struct iovageom_rangeset_cursor *cursor,
                                         struct iovageom_range *out);

/** @} */

#ifdef __cplusplus
}
#endif
#endif

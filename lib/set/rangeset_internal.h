/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_RANGESET_INTERNAL_H
#define IOVAGEOM_LIB_RANGESET_INTERNAL_H

#include <iovageom/rangeset.h>

#include "itree_search.h"

/* What other floors need of a set, beside the public header. A gap is a range of addresses that are
 * not in the set, as long as it can be. */

/* The tree of a set. */
static inline struct iovageom_itree *tree_of(struct iovageom_rangeset *set)
{
    return (struct iovageom_itree *)set;
}

static inline const struct iovageom_itree *tree_in(const struct iovageom_rangeset *set)
{
    return (const struct iovageom_itree *)set;
}

/* Whether the set has addresses of `range`, which must be valid. For each MAP of a guest, so it is
 * inlined. O(log n). */
static inline bool iovageom_rangeset_meets(const struct iovageom_rangeset *set,
                                           struct iovageom_range range)
{
    const struct iovageom_itree *tree = tree_in(set);
    const struct iovageom_itree_entry entry =
        tree->root.node ? iovageom_itree_find(tree, range.start) : find(tree, range.start);

    return entry.range && entry.range->start <= range.last;
}

/* The gap that has `address`, or else the lowest above it. False when there is none. O(log n). */
static inline bool iovageom_rangeset_gap_above(const struct iovageom_rangeset *set,
                                               uint64_t address, struct iovageom_range *out)
{
    return iovageom_itree_gap(tree_in(set), true, address, 1, out);
}

/* The gap that has `address`, or else the highest below it. False when there is none. O(log n). */
static inline bool iovageom_rangeset_gap_below(const struct iovageom_rangeset *set,
                                               uint64_t address, struct iovageom_range *out)
{
    return iovageom_itree_gap(tree_in(set), false, address, 1, out);
}

/* The allocator of a set. One that is to take the place of another, by swap, is made with it. */
static inline const struct iovageom_allocator *iovageom_rangeset_allocator(
    const struct iovageom_rangeset *set)
{
    return &tree_in(set)->allocator;
}

/* iovageom_rangeset_from_array() of ranges that are in normal form. */
int iovageom_rangeset_fill(struct iovageom_rangeset *set, const struct iovageom_range *ranges,
                           size_t count);

/* The lowest and the highest address as one range. False when the set is empty. */
bool iovageom_rangeset_hull(const struct iovageom_rangeset *set, struct iovageom_range *out);

/* The number of addresses, in bytes. O(n). */
struct iovageom_size iovageom_rangeset_size(const struct iovageom_rangeset *set);

/* Exchanges the contents, and the allocators, of two sets. O(1), never fails. */
void iovageom_rangeset_swap(struct iovageom_rangeset *a, struct iovageom_rangeset *b);

/*
 * Inward: the whole granules that a has, which is what a set of *usable* addresses is worth.
 * Outward: the granules of which it has any address, which is what *reserved* ones cost.
 *
 * @param granule in bytes, a power of two; else IOVAGEOM_ERR_INVALID.
 */
int iovageom_rangeset_align_inward(struct iovageom_rangeset *result,
                                   const struct iovageom_rangeset *a, uint64_t granule);
int iovageom_rangeset_align_outward(struct iovageom_rangeset *result,
                                    const struct iovageom_rangeset *a, uint64_t granule);

#endif

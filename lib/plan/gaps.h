/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_PLAN_GAPS_H
#define IOVAGEOM_LIB_PLAN_GAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/range.h"

/*
 * How an ascending list is made shorter, for cover.c, which has the code, and for probe.c. Closing
 * the gap between two neighbours makes one entry of them, which has the addresses of the gap as
 * well. Gaps do not depend on each other; so a list that must be k entries shorter grows least by
 * closing the k smallest gaps.
 *
 * Nothing is allocated and nothing is sorted: the size up to which gaps are closed is found by
 * bisection, 64 passes over the list.
 */

#define IOVAGEOM_NO_GAP SIZE_MAX

/* Bytes of the gap between two ranges: 0 when they touch or overlap. */
static inline uint64_t iovageom_gap_bytes(struct iovageom_range low, struct iovageom_range high)
{
    struct iovageom_range gap;

    return iovageom_range_between(low, high, &gap) ? iovageom_range_size(gap).lo : 0;
}

/* What a list begins with whose gaps are to be closed. */
struct iovageom_gaps {
    size_t count; /* of gaps: number i lies between entries i and i + 1 */
    /* Whether gap i can be closed; *size receives its bytes, 0 when the neighbours touch. */
    bool (*at)(const struct iovageom_gaps *gaps, size_t i, uint64_t *size);
};

/*
 * Which gaps are closed: all smaller than `size`, and those of exactly that size but the lowest
 * `spare` of them. Low addresses are of use to more devices, so of equal gaps the higher are
 * closed.
 */
struct iovageom_gap_choice {
    uint64_t size; /* in bytes */
    size_t spare;
    size_t but; /* a gap that is not chosen by its size, or IOVAGEOM_NO_GAP */
    bool close; /* whether that one is closed */
};

/* The number of gaps of at most `most` bytes that can be closed, gap `but` not counted. */
size_t iovageom_gaps_narrow(const struct iovageom_gaps *gaps, uint64_t most, size_t but);

/* Chooses the `wanted` smallest gaps other than gap `but`, which stays open. There are enough. */
struct iovageom_gap_choice iovageom_gaps_smallest(const struct iovageom_gaps *gaps, size_t wanted,
                                                  size_t but);

/*
 * Whether gap i, of `size` bytes, is closed. It counts `spare` down, so it must be asked once for
 * each gap that can be closed, in ascending order, on a copy of the choice.
 */
bool iovageom_gap_taken(struct iovageom_gap_choice *choice, size_t i, uint64_t size);

#endif

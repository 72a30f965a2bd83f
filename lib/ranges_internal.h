/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_RANGES_INTERNAL_H
#define IOVAGEOM_RANGES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/range.h>

/*
 * Set algebra is one operation: what two inputs have in common, where each of them, and the result,
 * is taken either as its ranges or as the gaps between them. What the gaps of both have in common
 * are the gaps of the union; what the ranges of one and the gaps of the other have in common is the
 * difference.
 *
 * Either way it is a row of pairs of words. The words of ranges are start, last, start, last; those
 * of gaps are the same, beginning with the second, so that a pair is the last address below the gap
 * and the first above it.
 */
enum iovageom_merge_kind {
    IOVAGEOM_MERGE_INTERSECTION, /* ranges and ranges make ranges */
    IOVAGEOM_MERGE_UNION,        /* gaps and gaps make gaps */
    IOVAGEOM_MERGE_DIFFERENCE    /* ranges and gaps make ranges */
};

/* An input. */
struct iovageom_merge_side {
    const uint64_t *at; /* the pairs that are at hand */
    const uint64_t *end;
    bool more; /* others follow them */
    bool gaps;
    bool head; /* of gaps: also the one below all ranges, or the only one when there are none */
    bool tail; /* and the one above */
    uint64_t below; /* the words in front of and behind all others, with them */
    uint64_t above;
};

struct iovageom_merge {
    enum iovageom_merge_kind kind;
    struct iovageom_merge_side sides[2];
    struct iovageom_range hull; /* of the union */
    size_t low;    /* pairs of a side that has more, or room for so many, are too few to go on */
    uint64_t *out; /* where the next pair goes */
    uint64_t *out_end;
};

/* A merge at full speed needs more than so many pairs of both sides, and room for them. */
enum { IOVAGEOM_MERGE_BLOCK = 128 };

/* Makes a merge of sets that reach from the lowest to the highest address; NULL for an empty one. */
void iovageom_merge_init(struct iovageom_merge *merge, enum iovageom_merge_kind kind,
                         const struct iovageom_range *a, const struct iovageom_range *b);
/* Goes on until a side is to get more or there is no room; true when all is done. */
bool iovageom_merge_run(struct iovageom_merge *merge);

/* In place, by start; what each has as last is not looked at. O(n). */
void iovageom_ranges_sort(struct iovageom_range *ranges, size_t count);

#endif

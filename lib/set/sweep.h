/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_SWEEP_H
#define IOVAGEOM_LIB_SWEEP_H

#include "itree.h"

/*
 * A sweep goes through two sorted sequences of disjoint ranges at a time, with one position in
 * each, and gives the ranges of their union, intersection or difference. All algebra of ranges is
 * done by it. It serves arrays and sets: both hand their ranges over in runs, which are adjacent in
 * memory; an array is one run, a set has one for each leaf.
 *
 * A complement is the difference of a window and a set, a clip the intersection with a window.
 */
enum iovageom_sweep_kind {
    IOVAGEOM_SWEEP_UNION,
    IOVAGEOM_SWEEP_INTERSECTION,
    IOVAGEOM_SWEEP_DIFFERENCE /* what the first input has and the second has not */
};

/* An input: ranges that ascend and don't touch. Array and tree must outlive the sweep. */
struct iovageom_sweep_input {
    const struct iovageom_range *at; /* the next range of this run; `end` when none is left */
    const struct iovageom_range *end;
    struct iovageom_itree_cursor cursor; /* gives the next run; without a tree there is none */
};

struct iovageom_sweep {
    enum iovageom_sweep_kind kind;
    struct iovageom_sweep_input inputs[2];
    struct iovageom_range pending; /* UNION: a result that later ranges may still extend */
    uint64_t free;                 /* DIFFERENCE: first address above the second's ranges so far */
    bool any;                      /* UNION: there is a `pending`. DIFFERENCE: the second has
                                      reached 2^64-1, so that no address is free */
};

void iovageom_sweep_init(struct iovageom_sweep *sweep, enum iovageom_sweep_kind kind);
void iovageom_sweep_array(struct iovageom_sweep_input *input, const struct iovageom_range *ranges,
                          size_t count);
/* The ranges of a tree that end at `address` or above. The tree must not change meanwhile. */
void iovageom_sweep_tree(struct iovageom_sweep_input *input, const struct iovageom_itree *tree,
                         uint64_t address);
/* Writes the next ranges of the result, at most `capacity`, which ascend and don't touch. Returns
 * their number, 0 at the end. */
size_t iovageom_sweep_next(struct iovageom_sweep *sweep, struct iovageom_range *out,
                           size_t capacity);

#endif

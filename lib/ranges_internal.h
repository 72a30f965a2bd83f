/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_RANGES_INTERNAL_H
#define IOVAGEOM_RANGES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <iovageom/range.h>

/*
 * Set algebra in pieces: the inputs may come in several runs, and the result may go to several
 * buffers, so that arrays and trees are merged by the same code.
 *
 * A merge goes on until it needs more input (a == a_end, and there is `more_a`), or more room
 * (out == out_end), or is done, which is when it returns true. The rest is its memory between
 * calls; all of it starts as 0, but for what complement() needs.
 */
struct iovageom_merge {
    const struct iovageom_range *a;
    const struct iovageom_range *a_end;
    const struct iovageom_range *b;
    const struct iovageom_range *b_end;
    bool more_a;
    bool more_b;
    struct iovageom_range *out;
    struct iovageom_range *out_end;
    bool open;                     /* there is a range that may still grow: */
    struct iovageom_range pending; /* complement(): from its start to the window's last is left */
    uint64_t at;                   /* all below has been dealt with */
    bool done;
};

typedef bool iovageom_merge_step(struct iovageom_merge *merge);

iovageom_merge_step iovageom_merge_union;
iovageom_merge_step iovageom_merge_intersection;
iovageom_merge_step iovageom_merge_difference;
iovageom_merge_step iovageom_merge_symmetric_difference;
/* Of a only. `pending` starts as the window. */
iovageom_merge_step iovageom_merge_complement;

/*
 * Two merges at the same time, each with room for all it may write and an open range (a union) to
 * start with, until one of them has used up an input.
 */
void iovageom_merge_union_pair(struct iovageom_merge pair[2]);
void iovageom_merge_intersection_pair(struct iovageom_merge pair[2]);

/* In place, by start; what each has as last is not looked at. O(n). */
void iovageom_ranges_sort(struct iovageom_range *ranges, size_t count);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The merge. On random input which side comes next can't be predicted, so the inner loops have no
 * branch that depends on it: a pair is always written, and the pointers move by 0 or 1 pairs. Each
 * such step waits for the one before, so two merges that don't depend on each other go side by side.
 */
#include "hints.h"
#include "ranges_internal.h"

#include <string.h>

enum { BLOCK = IOVAGEOM_MERGE_BLOCK };

/* What differs between the kinds: constants wherever speed matters. */
struct kind {
    uint64_t flip; /* 1: the words of b are those around its gaps, so the gap begins 1 further */
    bool apart;    /* all words are those around gaps: of nothing, when they are neighbours */
};

/* What the next pair of either side have in common; the one that ends first is done then. */
static ALWAYS_INLINE void step(const uint64_t **a, const uint64_t **b, uint64_t **out,
                               struct kind kind)
{
    uint64_t a_last = (*a)[1];
    uint64_t b_last = (*b)[1] - kind.flip;
    uint64_t a_start = (*a)[0];
    uint64_t b_start = (*b)[0] + kind.flip;
    uint64_t start = a_start > b_start ? a_start : b_start;
    uint64_t last = a_last < b_last ? a_last : b_last;
    size_t of_a = (0 - (size_t)(a_last < b_last)) & 2;
    size_t found = kind.apart ? start + 1 < last : start <= last;

    (*out)[0] = start;
    (*out)[1] = last;
    *out += (0 - found) & 2;
    *a += of_a;
    *b += 2 - of_a;
}

/* How many of the next so many steps, a power of two, take a pair of a. */
static ALWAYS_INLINE size_t share(const uint64_t *a, const uint64_t *b, size_t steps,
                                  struct kind kind)
{
    size_t low = 0;

    for (size_t half = steps / 2; half > 0; half /= 2) {
        size_t i = low + half - 1;

        low += half & (0 - (size_t)(a[2 * i + 1] < b[2 * (steps - 1 - i) + 1] - kind.flip));
    }
    return low + (a[2 * low + 1] < b[2 * (steps - 1 - low) + 1] - kind.flip);
}

/* Two chains of steps at a time, of which the upper one writes aside until it is known where to. */
static ALWAYS_INLINE void run_blocks(struct iovageom_merge *merge, struct kind kind)
{
    enum { STEPS = BLOCK / 2 };
    const uint64_t *a = merge->sides[0].at;
    const uint64_t *b = merge->sides[1].at;
    uint64_t *out = merge->out;
    uint64_t aside[2 * STEPS + 2];

    while (merge->sides[0].end - a > 2 * BLOCK && merge->sides[1].end - b > 2 * BLOCK &&
           merge->out_end - out > 2 * BLOCK) {
        size_t of_a = share(a, b, STEPS, kind);
        const uint64_t *upper_a = a + 2 * of_a;
        const uint64_t *upper_b = b + 2 * (STEPS - of_a);
        uint64_t *upper = aside;

        /* Neither side is read evenly, which hides from the processor that all of it will be. */
        for (size_t i = 6 * STEPS; i < 8 * STEPS; i += 8) {
            PREFETCH((uintptr_t)a + i * sizeof(*a));
            PREFETCH((uintptr_t)b + i * sizeof(*b));
        }
        for (unsigned i = 0; i < STEPS; i++) {
            step(&a, &b, &out, kind);
            step(&upper_a, &upper_b, &upper, kind);
        }
        memcpy(out, aside, (size_t)(upper - aside) * sizeof(*aside));
        out += upper - aside;
        a = upper_a;
        b = upper_b;
    }
    merge->sides[0].at = a;
    merge->sides[1].at = b;
    merge->out = out;
}

/* Steps until a side has no pair left, or there is no room. */
static ALWAYS_INLINE void run_steps(struct iovageom_merge *merge, struct kind kind)
{
    const uint64_t *a = merge->sides[0].at;
    const uint64_t *b = merge->sides[1].at;
    const uint64_t *a_end = merge->sides[0].end;
    const uint64_t *b_end = merge->sides[1].end;
    uint64_t *out = merge->out;

    while (a < a_end && b < b_end && merge->out_end - out >= 2)
        step(&a, &b, &out, kind);
    merge->sides[0].at = a;
    merge->sides[1].at = b;
    merge->out = out;
}

static ALWAYS_INLINE void run(struct iovageom_merge *merge, bool block, struct kind kind)
{
    if (block)
        run_blocks(merge, kind);
    else
        run_steps(merge, kind);
}

/* Copies what the next pair of one side covers of the other; false when that isn't worthwhile. */
static bool copy_covered(struct iovageom_merge *merge, struct iovageom_merge_side *inner,
                         const struct iovageom_merge_side *outer, uint64_t inner_flip,
                         uint64_t outer_flip)
{
    enum { LEAST = 16 };
    ptrdiff_t words = inner->end - inner->at;

    if (words > 2 * BLOCK)
        words = 2 * BLOCK;
    if (words > merge->out_end - merge->out)
        words = (merge->out_end - merge->out) & ~(ptrdiff_t)1;
    if (words < 2 * LEAST || inner->at[0] + inner_flip < outer->at[0] + outer_flip ||
        inner->at[words - 1] - inner_flip >= outer->at[1] - outer_flip)
        return false;
    for (ptrdiff_t i = 0; i < words; i += 2) {
        merge->out[i] = inner->at[i] + inner_flip;
        merge->out[i + 1] = inner->at[i + 1] - inner_flip;
    }
    inner->at += words;
    merge->out += words;
    return true;
}

bool iovageom_merge_run(struct iovageom_merge *merge)
{
    struct iovageom_merge_side *a = &merge->sides[0];
    struct iovageom_merge_side *b = &merge->sides[1];
    const uint64_t flip = merge->kind == IOVAGEOM_MERGE_DIFFERENCE;

    for (;;) {
        size_t a_pairs = (size_t)(a->end - a->at) / 2;
        size_t b_pairs = (size_t)(b->end - b->at) / 2;
        size_t room = (size_t)(merge->out_end - merge->out) / 2;
        bool block;

        if ((a_pairs == 0 && !a->more) || (b_pairs == 0 && !b->more))
            return true;
        if ((a_pairs <= merge->low && a->more) || (b_pairs <= merge->low && b->more) ||
            room <= merge->low)
            return false;
        if (copy_covered(merge, b, a, flip, 0) || copy_covered(merge, a, b, 0, flip))
            continue;
        block = a_pairs > BLOCK && b_pairs > BLOCK && room > BLOCK;
        if (merge->kind == IOVAGEOM_MERGE_INTERSECTION)
            run(merge, block, (struct kind){0, false});
        else if (merge->kind == IOVAGEOM_MERGE_UNION)
            run(merge, block, (struct kind){0, true});
        else
            run(merge, block, (struct kind){1, false});
    }
}

/* A gap at the end of a side matters where the other one reaches beyond it. */
static void set_up(struct iovageom_merge_side *side, const struct iovageom_range *own,
                   const struct iovageom_range *other, bool gaps, bool flip)
{
    side->at = side->end = NULL;
    side->more = false;
    side->gaps = gaps;
    side->head = gaps && other && (!own || other->start < own->start);
    side->tail = gaps && other && (!own || other->last > own->last);
    /* Addresses -1 and 2^64, which a flip makes good; without one, the ends are never the result's. */
    side->below = flip ? UINT64_MAX : 0;
    side->above = flip ? 0 : UINT64_MAX;
}

void iovageom_merge_init(struct iovageom_merge *merge, enum iovageom_merge_kind kind,
                         const struct iovageom_range *a, const struct iovageom_range *b)
{
    const struct iovageom_range none = {0, 0};

    merge->kind = kind;
    merge->low = 0;
    merge->hull = !a ? none : *a;
    if (b)
        merge->hull = !a ? *b : iovageom_range_hull(*a, *b);
    set_up(&merge->sides[0], a, b, kind == IOVAGEOM_MERGE_UNION, false);
    set_up(&merge->sides[1], b, a, kind != IOVAGEOM_MERGE_INTERSECTION,
           kind == IOVAGEOM_MERGE_DIFFERENCE);
}

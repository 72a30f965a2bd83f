/* SPDX-License-Identifier: BSD-3-Clause */
#include "sweep.h"

#include "../base/hints.h"
#include "../base/range.h"

/*
 * Which input comes next is random for random input, and no processor can predict it. So where a
 * step can do without a branch on that, a candidate is written in each step, and `out` moves on
 * only if it is a result; else the next step writes over it. Positions move on by 0 or 1 in the
 * same way. So a step needs one free place in `out`, whether or not it has a result.
 */

void iovageom_sweep_init(struct iovageom_sweep *sweep, enum iovageom_sweep_kind kind)
{
    sweep->kind = kind;
    sweep->pending = (struct iovageom_range){0, 0};
    sweep->free = 0;
    sweep->any = false;
}

void iovageom_sweep_array(struct iovageom_sweep_input *input, const struct iovageom_range *ranges,
                          size_t count)
{
    input->at = ranges != NULL ? ranges : (const void *)input; /* NULL + 0 is undefined */
    input->end = input->at + count;
    input->cursor.tree = NULL;
}

void iovageom_sweep_tree(struct iovageom_sweep_input *input, const struct iovageom_itree *tree,
                         uint64_t address)
{
    input->at = input->end = (const void *)input;
    iovageom_itree_cursor_init(&input->cursor, tree, address);
}

/* Whether the input has a range left; gets the next run when this one is used up. */
static ALWAYS_INLINE bool has_range(struct iovageom_sweep_input *input)
{
    size_t run;

    if (input->at < input->end)
        return true;
    if (!input->cursor.tree)
        return false;
    run = iovageom_itree_span(&input->cursor, &input->at);
    input->end = input->at + run;
    return run > 0;
}

/* INTERSECTION: what the next ranges of both have in common, nothing if its start is above its
 * last. The range that ends first can have nothing more in common with the other input. */
static size_t next_of_intersection(struct iovageom_sweep *sweep, struct iovageom_range *out,
                                   const struct iovageom_range *out_end)
{
    struct iovageom_sweep_input *a = &sweep->inputs[0];
    struct iovageom_sweep_input *b = &sweep->inputs[1];
    struct iovageom_range *to = out;

    while (to < out_end && has_range(a) && has_range(b)) {
        const uint64_t start = iovageom_higher(a->at->start, b->at->start);
        const bool of_a = a->at->last < b->at->last;
        const uint64_t last = of_a ? a->at->last : b->at->last;

        *to = (struct iovageom_range){start, last};
        to += start <= last;
        a->at += of_a;
        b->at += !of_a;
    }
    return (size_t)(to - out);
}

/*
 * DIFFERENCE: what the next range of the first has in common with the gap in front of the next
 * range of the second, [free, b->start - 1]; without one, with all from `free` up. Whichever of the
 * two ends first is done. `b->start - 1` wraps if b starts at 0, which would make an empty gap look
 * like all addresses; therefore the second condition.
 */
static size_t next_of_difference(struct iovageom_sweep *sweep, struct iovageom_range *out,
                                 const struct iovageom_range *out_end)
{
    struct iovageom_sweep_input *a = &sweep->inputs[0];
    struct iovageom_sweep_input *b = &sweep->inputs[1];
    struct iovageom_range *to = out;
    uint64_t free = sweep->free;

    while (to < out_end && !sweep->any && has_range(a)) {
        const bool has_b = has_range(b);
        const uint64_t start = iovageom_higher(a->at->start, free);

        if (!has_b || a->at->last < b->at->start) { /* it ends in the gap */
            *to = (struct iovageom_range){start, a->at->last};
            to += start <= a->at->last;
            a->at++;
        } else {
            *to = (struct iovageom_range){start, b->at->start - 1};
            to += b->at->start > start;
            sweep->any = b->at->last == IOVAGEOM_ADDRESS_MAX;
            free = b->at->last + !sweep->any;
            b->at++;
        }
    }
    sweep->free = free;
    return (size_t)(to - out);
}

/* UNION: the next range, that with the lower start, extends the pending one if they touch; else
 * that is a result, and the next one pending. */
static size_t next_of_union(struct iovageom_sweep *sweep, struct iovageom_range *out,
                            const struct iovageom_range *out_end)
{
    struct iovageom_sweep_input *a = &sweep->inputs[0];
    struct iovageom_sweep_input *b = &sweep->inputs[1];
    struct iovageom_range pending = sweep->pending;
    struct iovageom_range *to = out;

    while (to < out_end) {
        const bool has_a = has_range(a);
        const bool of_a = !has_range(b) || (has_a && a->at->start < b->at->start);
        const struct iovageom_range *next = of_a ? a->at : b->at;
        bool apart;

        if (of_a && !has_a) {
            *to = pending;
            to += sweep->any;
            sweep->any = false;
            break;
        }
        if (!sweep->any)
            pending = *next;
        sweep->any = true;
        apart = next->start > iovageom_range_around(pending).last;
        *to = pending;
        to += apart;
        pending.start = apart ? next->start : pending.start;
        pending.last = iovageom_higher(next->last, pending.last);
        a->at += of_a;
        b->at += !of_a;
    }
    sweep->pending = pending;
    return (size_t)(to - out);
}

size_t iovageom_sweep_next(struct iovageom_sweep *sweep, struct iovageom_range *out,
                           size_t capacity)
{
    const struct iovageom_range *out_end = out + capacity;

    if (sweep->kind == IOVAGEOM_SWEEP_UNION)
        return next_of_union(sweep, out, out_end);
    if (sweep->kind == IOVAGEOM_SWEEP_INTERSECTION)
        return next_of_intersection(sweep, out, out_end);
    return next_of_difference(sweep, out, out_end);
}

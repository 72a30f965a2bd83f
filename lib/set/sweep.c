/* SPDX-License-Identifier: BSD-3-Clause */
#include "sweep.h"

#include "../base/hints.h"
#include "../base/range.h"

/*
 * Which input comes next is random for random input, and no processor can predict it. So where a
 * step can do without a branch on that, a candidate is written in each step, and `out` moves on
 * only if it is a result; else the next step writes over it. Positions move on by 0 or 1 in the
 * same way. So a step needs one free place in `out`, whether or not it has a result.
 *
 * While both inputs have ranges at hand, positions are in p and q: in the inputs, each step would
 * store and load them.
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
        const struct iovageom_range *p = a->at, *const p_end = a->end;
        const struct iovageom_range *q = b->at, *const q_end = b->end;

        do {
            const uint64_t start = iovageom_higher(p->start, q->start);
            const bool of_a = p->last < q->last;
            const uint64_t last = of_a ? p->last : q->last;

            *to = (struct iovageom_range){start, last};
            to += start <= last;
            p += of_a;
            q += !of_a;
        } while (to < out_end && p < p_end && q < q_end);
        a->at = p;
        b->at = q;
    }
    return (size_t)(to - out);
}

/*
 * DIFFERENCE: what the next range of the first has in common with the gap in front of the next
 * range of the second, [free, q->start - 1]; without one, with all from `free` up. Whichever of the
 * two ends first is done. `q->start - 1` wraps if q starts at 0, which would make an empty gap look
 * like all addresses; therefore the second condition. `free` wraps behind 2^64-1, where the second
 * input has its end.
 */
static size_t next_of_difference(struct iovageom_sweep *sweep, struct iovageom_range *out,
                                 const struct iovageom_range *out_end)
{
    struct iovageom_sweep_input *a = &sweep->inputs[0];
    struct iovageom_sweep_input *b = &sweep->inputs[1];
    struct iovageom_range *to = out;
    uint64_t free = sweep->free;

    while (to < out_end && !sweep->any && has_range(a)) {
        const struct iovageom_range range = *a->at;
        const size_t run = has_range(b) ? (size_t)(b->end - b->at) : 0;
        const size_t room = (size_t)(out_end - to);
        const struct iovageom_range *q = b->at, *const stop = q + (run < room ? run : room);

        for (; q < stop && q->start <= range.last; q++) {
            const uint64_t start = iovageom_higher(range.start, free);

            if (q->start > start)
                *to++ = (struct iovageom_range){start, q->start - 1};
            free = q->last + 1;
        }
        sweep->any = q != b->at && free == 0;
        b->at = q;
        if (to < out_end && !sweep->any && (!has_range(b) || b->at->start > range.last)) {
            *to = (struct iovageom_range){iovageom_higher(range.start, free), range.last};
            to += to->start <= to->last;
            a->at++;
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
        const bool has_a = has_range(a), has_b = has_range(b);
        const struct iovageom_range *p = a->at, *const p_end = a->end;
        const struct iovageom_range *q = b->at, *const q_end = b->end;

        if (!has_a && !has_b) {
            *to = pending;
            to += sweep->any;
            sweep->any = false;
            break;
        }
        if (!sweep->any)
            pending = !has_b || (has_a && p->start < q->start) ? *p : *q;
        sweep->any = true;
        do {
            const bool of_a = !has_b || (has_a && p->start < q->start);
            const struct iovageom_range next = of_a ? *p : *q;
            const bool apart = next.start > iovageom_range_around(pending).last;

            *to = pending;
            to += apart;
            pending.start = apart ? next.start : pending.start;
            pending.last = iovageom_higher(next.last, pending.last);
            p += of_a;
            q += !of_a;
        } while (to < out_end && p < p_end && q < q_end);
        a->at = p;
        b->at = q;
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

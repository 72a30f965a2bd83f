/* SPDX-License-Identifier: BSD-3-Clause */
#include "sweep.h"

#include "../base/array.h"
#include "../base/hints.h"

/*
 * The inner loops have no branch that depends on which input comes next, since no processor can
 * predict that for random input. Instead a candidate is written in each step, and `out` moves on
 * only if it is a result; else the next step writes over it. Positions move on by 0 or 1 in the
 * same way. So a step needs one free place in `out`, whether or not it has a result.
 */

void iovageom_sweep_init(struct iovageom_sweep *sweep, enum iovageom_sweep_kind kind)
{
    sweep->kind = kind;
    sweep->free = 0;
    sweep->any = false;
}

void iovageom_sweep_array(struct iovageom_sweep_input *input, const struct iovageom_range *ranges,
                          size_t count)
{
    input->at = ranges;
    input->end = count > 0 ? ranges + count : ranges;
    input->cursor.tree = NULL;
}

void iovageom_sweep_tree(struct iovageom_sweep_input *input, const struct iovageom_itree *tree,
                         uint64_t address)
{
    input->at = input->end = NULL;
    iovageom_itree_cursor_init(&input->cursor, tree, address);
}

/* Whether the input has a range left; gets the next run when this one is used up. */
static ALWAYS_INLINE bool has_range(struct iovageom_sweep_input *input)
{
    struct iovageom_itree_entry first;
    size_t run;

    if (input->at < input->end)
        return true;
    if (!input->cursor.tree)
        return false;
    run = iovageom_itree_span(&input->cursor, &first);
    if (run == 0)
        return false;
    input->at = first.range;
    input->end = first.range + run;
    return true;
}

/* INTERSECTION: what the next ranges of both have in common, nothing if its start is above its
 * last. The range that ends first can have nothing more in common with the other input. */
static struct iovageom_range *sweep_common(struct iovageom_sweep *sweep, struct iovageom_range *out,
                                           const struct iovageom_range *out_end)
{
    const struct iovageom_range *a = sweep->inputs[0].at, *a_end = sweep->inputs[0].end;
    const struct iovageom_range *b = sweep->inputs[1].at, *b_end = sweep->inputs[1].end;

    while (a < a_end && b < b_end && out < out_end) {
        uint64_t start = iovageom_higher(a->start, b->start);
        bool of_a = a->last < b->last;
        uint64_t last = of_a ? a->last : b->last;

        *out = (struct iovageom_range){start, last};
        out += start <= last;
        a += of_a;
        b += !of_a;
    }
    sweep->inputs[0].at = a;
    sweep->inputs[1].at = b;
    return out;
}

/*
 * DIFFERENCE: what the next range of the first has in common with the gap in front of the next
 * range of the second, [free, b->start - 1]. Whichever of the two ends first is done. `b->start -
 * 1` wraps if b starts at 0, which would make an empty gap look like all addresses; therefore the
 * second condition.
 */
static struct iovageom_range *sweep_gaps(struct iovageom_sweep *sweep, struct iovageom_range *out,
                                         const struct iovageom_range *out_end)
{
    const struct iovageom_range *a = sweep->inputs[0].at, *a_end = sweep->inputs[0].end;
    const struct iovageom_range *b = sweep->inputs[1].at, *b_end = sweep->inputs[1].end;
    uint64_t free = sweep->free;

    while (a < a_end && b < b_end && out < out_end) {
        uint64_t start = iovageom_higher(a->start, free);
        bool of_a = a->last < b->start; /* it ends in the gap */
        uint64_t last = of_a ? a->last : b->start - 1;

        *out = (struct iovageom_range){start, last};
        out += (start <= last) & (of_a | (b->start > start));
        if (!of_a) {
            sweep->any = b->last == IOVAGEOM_ADDRESS_MAX;
            free = b->last + !sweep->any;
            b++;
        } else {
            a++;
        }
    }
    sweep->free = free;
    sweep->inputs[0].at = a;
    sweep->inputs[1].at = b;
    return out;
}

/* DIFFERENCE: the rest of the first input, when the second has no more ranges. */
static struct iovageom_range *sweep_rest(struct iovageom_sweep *sweep, struct iovageom_range *out,
                                         const struct iovageom_range *out_end)
{
    struct iovageom_sweep_input *a = &sweep->inputs[0];

    for (; !sweep->any && a->at < a->end && out < out_end; a->at++) {
        *out = *a->at;
        out->start = iovageom_higher(out->start, sweep->free);
        out += out->start <= out->last;
    }
    if (sweep->any)
        a->at = a->end;
    return out;
}

/* UNION: extends the pending range by the next one if they touch, and else makes the pending one a
 * result and the next one pending. Ranges come in ascending order of start. */
static inline struct iovageom_range *unite(struct iovageom_range *pending,
                                           const struct iovageom_range *next,
                                           struct iovageom_range *out)
{
    bool apart = next->start > pending->last && next->start - pending->last > 1;

    *out = *pending;
    pending->start = apart ? next->start : pending->start;
    pending->last = iovageom_higher(next->last, pending->last);
    return out + apart;
}

/* UNION, while both runs have ranges: the one with the lower start is next. */
static struct iovageom_range *unite_both(struct iovageom_sweep *sweep, struct iovageom_range *out,
                                         const struct iovageom_range *out_end)
{
    const struct iovageom_range *a = sweep->inputs[0].at, *a_end = sweep->inputs[0].end;
    const struct iovageom_range *b = sweep->inputs[1].at, *b_end = sweep->inputs[1].end;
    struct iovageom_range pending = sweep->pending;

    while (a < a_end && b < b_end && out < out_end) {
        bool of_a = a->start < b->start;

        out = unite(&pending, of_a ? a : b, out);
        a += of_a;
        b += !of_a;
    }
    sweep->pending = pending;
    sweep->inputs[0].at = a;
    sweep->inputs[1].at = b;
    return out;
}

static size_t next_of_union(struct iovageom_sweep *sweep, struct iovageom_range *out,
                            const struct iovageom_range *out_end)
{
    struct iovageom_sweep_input *a = &sweep->inputs[0];
    struct iovageom_sweep_input *b = &sweep->inputs[1];
    struct iovageom_range *to = out;

    while (to < out_end) {
        bool has_a = has_range(a);
        bool has_b = has_range(b);
        struct iovageom_sweep_input *low = !has_b || (has_a && a->at->start < b->at->start) ? a : b;

        if (!has_a && !has_b) {
            *to = sweep->pending;
            to += sweep->any;
            sweep->any = false;
            break;
        }
        if (!sweep->any)
            sweep->pending = *low->at;
        sweep->any = true;
        if (has_a && has_b)
            to = unite_both(sweep, to, out_end);
        else
            while (low->at < low->end && to < out_end)
                to = unite(&sweep->pending, low->at++, to);
    }
    return (size_t)(to - out);
}

size_t iovageom_sweep_next(struct iovageom_sweep *sweep, struct iovageom_range *out,
                           size_t capacity)
{
    const struct iovageom_range *out_end = out + capacity;
    struct iovageom_range *to = out;

    if (sweep->kind == IOVAGEOM_SWEEP_UNION)
        return next_of_union(sweep, out, out_end);
    while (to < out_end && has_range(&sweep->inputs[0])) {
        bool second = has_range(&sweep->inputs[1]);

        if (sweep->kind == IOVAGEOM_SWEEP_INTERSECTION && !second)
            break;
        if (sweep->kind == IOVAGEOM_SWEEP_INTERSECTION)
            to = sweep_common(sweep, to, out_end);
        else if (second)
            to = sweep_gaps(sweep, to, out_end);
        else
            to = sweep_rest(sweep, to, out_end);
    }
    return (size_t)(to - out);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The merges. On random input which side comes next can't be predicted, so the inner loops have no
 * branch that depends on it: both results are worked out, and the pointers move by 0 or 1.
 */
#include "ranges_internal.h"

/* One of two numbers, without a branch: compilers make one of `?:` when there is a load behind it. */
static inline uint64_t choose(bool first, uint64_t a, uint64_t b)
{
    return b ^ ((a ^ b) & (0 - (uint64_t)first));
}

/* Takes the range that starts first; the pending range grows by it, or is written out. */
static inline void unite_next(struct iovageom_merge *m)
{
    struct iovageom_range a = *m->a;
    struct iovageom_range b = *m->b;
    bool from_a = a.start <= b.start;
    uint64_t start = choose(from_a, a.start, b.start);
    uint64_t last = choose(from_a, a.last, b.last);
    uint64_t reach = m->pending.last + (m->pending.last != IOVAGEOM_ADDRESS_MAX);
    bool apart = start > reach;

    m->a += from_a;
    m->b += !from_a;
    *m->out = m->pending;
    m->out += apart;
    m->pending.start = choose(apart, start, m->pending.start);
    m->pending.last = last > m->pending.last ? last : m->pending.last;
}

static inline void unite_rest(struct iovageom_merge *m, const struct iovageom_range **at,
                              const struct iovageom_range *end)
{
    for (; *at < end && m->out < m->out_end; ++*at) {
        bool apart = (*at)->start > m->pending.last && (*at)->start - m->pending.last > 1;

        *m->out = m->pending;
        m->out += apart;
        m->pending.start = apart ? (*at)->start : m->pending.start;
        m->pending.last = (*at)->last > m->pending.last ? (*at)->last : m->pending.last;
    }
}

static inline void intersect_next(struct iovageom_merge *m)
{
    struct iovageom_range a = *m->a;
    struct iovageom_range b = *m->b;
    uint64_t start = a.start > b.start ? a.start : b.start;
    uint64_t last = a.last < b.last ? a.last : b.last;

    *m->out = (struct iovageom_range){start, last};
    m->out += start <= last;
    m->a += a.last <= b.last;
    m->b += b.last <= a.last;
}

static inline bool starved(const struct iovageom_merge *merge)
{
    return (merge->a == merge->a_end && merge->more_a) ||
           (merge->b == merge->b_end && merge->more_b);
}

bool iovageom_merge_union(struct iovageom_merge *merge)
{
    struct iovageom_merge m = *merge;

    if (starved(&m))
        return false;
    if (!m.open) {
        if (m.a == m.a_end && m.b == m.b_end)
            return true;
        m.pending = m.b == m.b_end || (m.a < m.a_end && m.a->start <= m.b->start) ? *m.a++ : *m.b++;
        m.open = true;
    }
    while (m.a < m.a_end && m.b < m.b_end && m.out < m.out_end)
        unite_next(&m);
    if (!starved(&m)) {
        if (m.b == m.b_end)
            unite_rest(&m, &m.a, m.a_end);
        else if (m.a == m.a_end)
            unite_rest(&m, &m.b, m.b_end);
        if (!starved(&m) && m.a == m.a_end && m.b == m.b_end && m.out < m.out_end) {
            *m.out++ = m.pending;
            m.done = true;
        }
    }
    *merge = m;
    return m.done;
}

bool iovageom_merge_intersection(struct iovageom_merge *merge)
{
    struct iovageom_merge m = *merge;

    while (m.a < m.a_end && m.b < m.b_end && m.out < m.out_end)
        intersect_next(&m);
    *merge = m;
    return (m.a == m.a_end && !m.more_a) || (m.b == m.b_end && !m.more_b);
}

/*
 * The general way: the line of addresses is cut at every start and after every last; each piece is
 * in a (bit 0 of its number), in b (bit 1), in both or in neither, and `keep` says for each of the
 * four whether the result has it.
 */
static inline bool sweep(struct iovageom_merge *merge, unsigned keep)
{
    while (!merge->done) {
        const struct iovageom_range *a = merge->a < merge->a_end ? merge->a : NULL;
        const struct iovageom_range *b = merge->b < merge->b_end ? merge->b : NULL;
        unsigned in_a = a && a->start <= merge->at;
        unsigned in_b = b && b->start <= merge->at;
        bool kept = (keep >> (in_a | in_b << 1) & 1) != 0;
        uint64_t end_a = !a ? IOVAGEOM_ADDRESS_MAX : in_a ? a->last : a->start - 1;
        uint64_t end_b = !b ? IOVAGEOM_ADDRESS_MAX : in_b ? b->last : b->start - 1;
        uint64_t last = end_a < end_b ? end_a : end_b; /* of the piece that starts at `at` */

        if (starved(merge) || merge->out == merge->out_end)
            return false;
        if (kept && !merge->open)
            merge->pending.start = merge->at;
        else if (!kept && merge->open)
            *merge->out++ = (struct iovageom_range){merge->pending.start, merge->at - 1};
        merge->open = kept;
        if (in_a && a->last == last)
            merge->a++;
        if (in_b && b->last == last)
            merge->b++;
        merge->done = last == IOVAGEOM_ADDRESS_MAX;
        merge->at = last + !merge->done;
    }
    if (merge->open && merge->out == merge->out_end)
        return false;
    if (merge->open)
        *merge->out++ = (struct iovageom_range){merge->pending.start, IOVAGEOM_ADDRESS_MAX};
    merge->open = false;
    return true;
}

bool iovageom_merge_difference(struct iovageom_merge *merge)
{
    return sweep(merge, 0x2);
}

bool iovageom_merge_symmetric_difference(struct iovageom_merge *merge)
{
    return sweep(merge, 0x6);
}

bool iovageom_merge_complement(struct iovageom_merge *merge)
{
    struct iovageom_merge m = *merge;
    uint64_t start = m.pending.start;
    uint64_t last = m.pending.last;

    /* What begins at or below the window, and so leaves nothing in front of it. */
    while (m.a < m.a_end && m.a->start <= start && !m.done) {
        m.done = m.a->last >= last;
        start = m.a->last >= start && !m.done ? m.a->last + 1 : start;
        m.a++;
    }
    for (; m.a < m.a_end && m.a->last < last && m.out < m.out_end && !m.done; m.a++) {
        *m.out++ = (struct iovageom_range){start, m.a->start - 1};
        start = m.a->last + 1;
    }
    if (!m.done && m.out < m.out_end && (m.a < m.a_end || !m.more_a)) {
        if (m.a == m.a_end || m.a->start > last)
            *m.out++ = (struct iovageom_range){start, last};
        else
            *m.out++ = (struct iovageom_range){start, m.a->start - 1};
        m.done = true;
    }
    m.pending.start = start;
    *merge = m;
    return m.done;
}

/* Each step waits for the one before; two merges side by side wait together. */
void iovageom_merge_union_pair(struct iovageom_merge pair[2])
{
    struct iovageom_merge x = pair[0];
    struct iovageom_merge y = pair[1];

    while (x.a < x.a_end && x.b < x.b_end && y.a < y.a_end && y.b < y.b_end) {
        unite_next(&x);
        unite_next(&y);
    }
    pair[0] = x;
    pair[1] = y;
}

void iovageom_merge_intersection_pair(struct iovageom_merge pair[2])
{
    struct iovageom_merge x = pair[0];
    struct iovageom_merge y = pair[1];

    while (x.a < x.a_end && x.b < x.b_end && y.a < y.a_end && y.b < y.b_end) {
        intersect_next(&x);
        intersect_next(&y);
    }
    pair[0] = x;
    pair[1] = y;
}

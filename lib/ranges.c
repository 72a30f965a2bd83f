/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/ranges.h>

#include <string.h>

#include <iovageom/status.h>

/* Where results go: into the array while there is room, else they are only counted. */
struct sink {
    struct iovageom_range *out;
    size_t capacity;
    size_t count;
};

static void emit(struct sink *sink, uint64_t start, uint64_t last)
{
    if (sink->count < sink->capacity)
        sink->out[sink->count] = (struct iovageom_range){start, last};
    sink->count++;
}

bool iovageom_ranges_normal(const struct iovageom_range *ranges, size_t count)
{
    bool normal = true;

    for (size_t i = 0; i < count; i++)
        normal &= ranges[i].start <= ranges[i].last;
    for (size_t i = 1; i < count; i++)
        normal &= ranges[i - 1].last < ranges[i].start &&
                  !iovageom_range_precedes_directly(ranges[i - 1], ranges[i]);
    return normal;
}

/* Heap sort by start: in place, and no input makes it slow. */
static void sift(struct iovageom_range *ranges, size_t root, size_t count)
{
    struct iovageom_range moved = ranges[root];
    size_t child;

    while ((child = 2 * root + 1) < count) {
        if (child + 1 < count && ranges[child].start < ranges[child + 1].start)
            child++;
        if (moved.start >= ranges[child].start)
            break;
        ranges[root] = ranges[child];
        root = child;
    }
    ranges[root] = moved;
}

static void heap_sort(struct iovageom_range *ranges, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(ranges, i, count);
    for (size_t i = count; i-- > 1;) {
        struct iovageom_range top = ranges[0];

        ranges[0] = ranges[i];
        ranges[i] = top;
        sift(ranges, 0, i);
    }
}

static void insertion_sort(struct iovageom_range *ranges, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct iovageom_range moved = ranges[i];
        size_t j = i;

        for (; j > 0 && ranges[j - 1].start > moved.start; j--)
            ranges[j] = ranges[j - 1];
        ranges[j] = moved;
    }
}

static uint64_t median(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t low = a < b ? a : b;
    uint64_t high = a < b ? b : a;

    return c < low ? low : c > high ? high : c;
}

/*
 * Brings the ranges that start below `pivot` (or at it, with `equal`) to the front; returns how
 * many. Every element is moved, needed or not: a branch on random data costs more than a store.
 */
static size_t partition(struct iovageom_range *ranges, size_t count, uint64_t pivot, bool equal)
{
    size_t below = 0;

    for (size_t i = 0; i < count; i++) {
        struct iovageom_range here = ranges[i];

        ranges[i] = ranges[below];
        ranges[below] = here;
        below += (here.start < pivot) | (equal & (here.start == pivot));
    }
    return below;
}

/* Quicksort, which hands what it splits badly too often to the heap sort: O(n log n) always. */
static void sort(struct iovageom_range *ranges, size_t count, unsigned patience)
{
    while (count > 16) {
        uint64_t pivot = median(ranges[0].start, ranges[count / 2].start, ranges[count - 1].start);
        size_t below = partition(ranges, count, pivot, false);

        if (patience-- == 0) {
            heap_sort(ranges, count);
            return;
        }
        if (below == 0) { /* the pivot is the least: what equals it is in its place */
            below = partition(ranges, count, pivot, true);
            ranges += below;
            count -= below;
        } else if (below < count - below) {
            sort(ranges, below, patience);
            ranges += below;
            count -= below;
        } else {
            sort(ranges + below, count - below, patience);
            count = below;
        }
    }
    insertion_sort(ranges, count);
}

int iovageom_ranges_normalize(struct iovageom_range *ranges, size_t *count)
{
    bool ascending = true;
    size_t kept = 0;

    for (size_t i = 0; i < *count; i++) {
        if (!iovageom_range_valid(ranges[i]))
            return IOVAGEOM_ERR_INVERTED;
        ascending = ascending && (i == 0 || ranges[i - 1].start <= ranges[i].start);
    }
    if (!ascending)
        sort(ranges, *count, 96); /* splits of 3:1 take 77 for 2^32 ranges */
    for (size_t i = 0; i < *count; i++) {
        if (kept > 0 && iovageom_range_touches(ranges[kept - 1], ranges[i]))
            ranges[kept - 1] = iovageom_range_hull(ranges[kept - 1], ranges[i]);
        else
            ranges[kept++] = ranges[i];
    }
    *count = kept;
    return IOVAGEOM_OK;
}

/*
 * All four operations in one sweep: the line of addresses is cut at every start and after every
 * last; each piece between cuts is in a, in b, in both or in neither, and `keep` says for each of
 * the four (bit 1 for a, bit 2 for b) whether the result has it.
 */
static void sweep(const struct iovageom_range *a, size_t a_count, const struct iovageom_range *b,
                  size_t b_count, unsigned keep, struct sink *sink)
{
    size_t i = 0;
    size_t j = 0;
    uint64_t at = 0;
    uint64_t start = 0;
    bool open = false;

    for (;;) {
        bool in_a = i < a_count && a[i].start <= at;
        bool in_b = j < b_count && b[j].start <= at;
        bool kept = keep >> (in_a | (unsigned)in_b << 1) & 1;
        uint64_t last = IOVAGEOM_ADDRESS_MAX; /* of the piece that starts at `at` */

        if (i < a_count) {
            uint64_t end = in_a ? a[i].last : a[i].start - 1;
            last = end < last ? end : last;
        }
        if (j < b_count) {
            uint64_t end = in_b ? b[j].last : b[j].start - 1;
            last = end < last ? end : last;
        }
        if (kept && !open)
            start = at;
        else if (!kept && open)
            emit(sink, start, at - 1);
        open = kept;
        i += i < a_count && a[i].last <= last;
        j += j < b_count && b[j].last <= last;
        if (last == IOVAGEOM_ADDRESS_MAX)
            break;
        at = last + 1;
    }
    if (open)
        emit(sink, start, IOVAGEOM_ADDRESS_MAX);
}

static int combine(const struct iovageom_range *a, size_t a_count, const struct iovageom_range *b,
                   size_t b_count, unsigned keep, struct iovageom_range *out, size_t capacity,
                   size_t *count)
{
    struct sink sink = {out, capacity, 0};

    if (capacity < a_count + b_count) {
        sink.capacity = 0;
        sweep(a, a_count, b, b_count, keep, &sink);
        if (sink.count > capacity) {
            *count = sink.count;
            return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
        }
        sink = (struct sink){out, capacity, 0};
    }
    sweep(a, a_count, b, b_count, keep, &sink);
    *count = sink.count;
    return IOVAGEOM_OK;
}

/*
 * Union and intersection have loops of their own. A merge is one chain of dependent loads and
 * compares, and the processor mostly waits for it; so the inputs are cut at an address, and two such
 * chains run side by side. Neither branches on the data.
 */
struct chain {
    const struct iovageom_range *a, *a_end;
    const struct iovageom_range *b, *b_end;
    struct iovageom_range *out;
    struct iovageom_range open; /* union: what the next range may still join */
};

/* Compilers make a branch of `?:` where they see fit; of a mask they don't. */
static inline uint64_t choose(bool first, uint64_t a, uint64_t b)
{
    return b ^ ((a ^ b) & (0 - (uint64_t)first));
}

static inline void join(struct chain *chain, uint64_t start, uint64_t last)
{
    struct iovageom_range open = chain->open;
    bool apart = (start > open.last) & (start - open.last != 1);

    *chain->out = open;
    chain->out += apart;
    chain->open.start = choose(apart, start, open.start);
    chain->open.last = last > open.last ? last : open.last;
}

static inline void union_step(struct chain *chain)
{
    struct iovageom_range a = *chain->a;
    struct iovageom_range b = *chain->b;
    bool from_a = a.start <= b.start;

    join(chain, choose(from_a, a.start, b.start), choose(from_a, a.last, b.last));
    chain->a += from_a;
    chain->b += !from_a;
}

static inline void intersection_step(struct chain *chain)
{
    uint64_t start = chain->a->start > chain->b->start ? chain->a->start : chain->b->start;
    bool a_ends = chain->a->last <= chain->b->last;
    bool b_ends = chain->b->last <= chain->a->last;
    uint64_t last = a_ends ? chain->a->last : chain->b->last;

    *chain->out = (struct iovageom_range){start, last};
    chain->out += start <= last;
    chain->a += a_ends;
    chain->b += b_ends;
}

/* How many steps need no look at the ends: each takes at most one range of each input. */
static size_t safe_steps(const struct chain *chain)
{
    size_t a = (size_t)(chain->a_end - chain->a);
    size_t b = (size_t)(chain->b_end - chain->b);

    return a < b ? a : b;
}

static inline void run(struct chain *first, struct chain *second, void (*step)(struct chain *))
{
    struct chain x = *first;
    struct chain y = *second;
    size_t steps;

    while ((steps = safe_steps(&x) < safe_steps(&y) ? safe_steps(&x) : safe_steps(&y)) > 0)
        for (; steps > 0; steps--) {
            step(&x);
            step(&y);
        }
    while ((steps = safe_steps(&x)) > 0)
        for (; steps > 0; steps--)
            step(&x);
    while ((steps = safe_steps(&y)) > 0)
        for (; steps > 0; steps--)
            step(&y);
    *first = x;
    *second = y;
}

/* One of the inputs is used up: what is left of the other joins the union. */
static void finish_union(struct chain *chain)
{
    for (; chain->a < chain->a_end; chain->a++)
        join(chain, chain->a->start, chain->a->last);
    for (; chain->b < chain->b_end; chain->b++)
        join(chain, chain->b->start, chain->b->last);
    *chain->out++ = chain->open;
}

/* How many ranges of `b` come before `start`. */
static size_t rank(const struct iovageom_range *b, size_t count, uint64_t start)
{
    size_t low = 0;

    while (count > 0) {
        size_t half = count / 2;

        if (b[low + half].start < start) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

int iovageom_ranges_union(const struct iovageom_range *a, size_t a_count,
                          const struct iovageom_range *b, size_t b_count,
                          struct iovageom_range *out, size_t capacity, size_t *count)
{
    size_t i = a_count / 2;
    size_t j;

    if (i == 0 || b_count == 0 || capacity < a_count + b_count)
        return combine(a, a_count, b, b_count, 0xe, out, capacity, count);
    j = rank(b, b_count, a[i].start);
    /* Each chain starts with its lowest range open. */
    bool b_first = j > 0 && b->start < a->start;
    struct chain low = {a + !b_first, a + i, b + b_first, b + j, out, b_first ? *b : *a};
    struct chain high = {a + i + 1, a + a_count, b + j, b + b_count, out + i + j, a[i]};
    run(&low, &high, union_step);
    finish_union(&low);
    finish_union(&high);
    /* What is below the cut may reach over it. */
    struct iovageom_range *from = out + i + j;
    while (from < high.out && iovageom_range_touches(low.out[-1], *from)) {
        low.out[-1] = iovageom_range_hull(low.out[-1], *from);
        from++;
    }
    memmove(low.out, from, (size_t)(high.out - from) * sizeof(*out));
    *count = (size_t)(low.out - out) + (size_t)(high.out - from);
    return IOVAGEOM_OK;
}

int iovageom_ranges_intersection(const struct iovageom_range *a, size_t a_count,
                                 const struct iovageom_range *b, size_t b_count,
                                 struct iovageom_range *out, size_t capacity, size_t *count)
{
    size_t i = a_count / 2;
    size_t j;

    if (i == 0 || b_count == 0 || capacity < a_count + b_count)
        return combine(a, a_count, b, b_count, 0x8, out, capacity, count);
    /* A range of b that lies on both sides of the cut goes into both chains. */
    j = rank(b, b_count, a[i].start);
    size_t k = j > 0 && b[j - 1].last >= a[i].start ? j - 1 : j;
    struct chain low = {a, a + i, b, b + j, out, {0, 0}};
    struct chain high = {a + i, a + a_count, b + k, b + b_count, out + i + j, {0, 0}};
    run(&low, &high, intersection_step);
    memmove(low.out, out + i + j, (size_t)(high.out - (out + i + j)) * sizeof(*out));
    *count = (size_t)(low.out - out) + (size_t)(high.out - (out + i + j));
    return IOVAGEOM_OK;
}

int iovageom_ranges_difference(const struct iovageom_range *a, size_t a_count,
                               const struct iovageom_range *b, size_t b_count,
                               struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine(a, a_count, b, b_count, 0x2, out, capacity, count);
}

int iovageom_ranges_symmetric_difference(const struct iovageom_range *a, size_t a_count,
                                         const struct iovageom_range *b, size_t b_count,
                                         struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine(a, a_count, b, b_count, 0x6, out, capacity, count);
}

int iovageom_ranges_complement(const struct iovageom_range *a, size_t a_count,
                               struct iovageom_range window, struct iovageom_range *out,
                               size_t capacity, size_t *count)
{
    struct iovageom_range gap;
    size_t gaps = 0;

    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    if (capacity < a_count + 1 || a_count == 0)
        return combine(a, a_count, &window, 1, 0x4, out, capacity, count);
    /* Only what overlaps the window can cut it. */
    while (a_count > 0 && a[a_count - 1].start > window.last)
        a_count--;
    while (a_count > 0 && a->last < window.start) {
        a++;
        a_count--;
    }
    if (a_count == 0) {
        out[0] = window;
        *count = 1;
        return IOVAGEOM_OK;
    }
    if (iovageom_range_below(a[0], &gap) && iovageom_range_intersect(gap, window, &gap))
        out[gaps++] = gap;
    out += gaps;
    for (size_t i = 1; i < a_count; i++)
        (void)iovageom_range_between(a[i - 1], a[i], &out[i - 1]);
    if (iovageom_range_above(a[a_count - 1], &gap) && iovageom_range_intersect(gap, window, &gap)) {
        out[a_count - 1] = gap;
        gaps++;
    }
    *count = a_count - 1 + gaps;
    return IOVAGEOM_OK;
}

bool iovageom_ranges_subset(const struct iovageom_range *inner, size_t inner_count,
                            const struct iovageom_range *outer, size_t outer_count)
{
    size_t j = 0;

    for (size_t i = 0; i < inner_count; i++) {
        while (j < outer_count && outer[j].last < inner[i].start)
            j++;
        if (j == outer_count || !iovageom_range_contains(outer[j], inner[i]))
            return false;
    }
    return true;
}

struct iovageom_size iovageom_ranges_size(const struct iovageom_range *ranges, size_t count)
{
    struct iovageom_size size = {0, 0};

    for (size_t i = 0; i < count; i++)
        size = iovageom_size_add(size, iovageom_range_size(ranges[i]));
    return size;
}

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

static void sort(struct iovageom_range *ranges, size_t count)
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
        sort(ranges, *count);
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

int iovageom_ranges_union(const struct iovageom_range *a, size_t a_count,
                          const struct iovageom_range *b, size_t b_count,
                          struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine(a, a_count, b, b_count, 0xe, out, capacity, count);
}

int iovageom_ranges_intersection(const struct iovageom_range *a, size_t a_count,
                                 const struct iovageom_range *b, size_t b_count,
                                 struct iovageom_range *out, size_t capacity, size_t *count)
{
    return combine(a, a_count, b, b_count, 0x8, out, capacity, count);
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
    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    return combine(a, a_count, &window, 1, 0x4, out, capacity, count);
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

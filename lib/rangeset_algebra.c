/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/pgsize.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "hints.h"
#include "itree_internal.h"
#include "ranges_internal.h"

/* Large enough that most of it goes into full blocks, and small enough for the nearest cache. */
enum { WINDOW = 6 * IOVAGEOM_MERGE_BLOCK };

/* An input of a merge: what of a set, or of one range, is at hand. */
struct feed {
    struct iovageom_itree_cursor cursor;
    size_t left;   /* ranges of the set that may come */
    uint64_t *end; /* of the words */
    uint64_t words[WINDOW];
};

/* Puts the words that are left to the front, and as many leaves behind them as fit. */
static void feed_on(struct feed *feed, struct iovageom_merge_side *side)
{
    struct iovageom_itree_entry first = {NULL, NULL};
    uint64_t *end;
    size_t run = 0;

    if (!side->more || side->end - side->at > 2 * IOVAGEOM_MERGE_BLOCK)
        return;
    end = feed->words + (feed->end - side->at);
    memmove(feed->words, side->at, (size_t)(feed->end - side->at) * sizeof(*end));
    side->at = feed->words;
    while (end + 2 * LEAF_SLOTS + 1 <= feed->words + WINDOW &&
           (run = iovageom_itree_span(&feed->cursor, &first)) > 0) {
        memcpy(end, first.range, run * sizeof(*first.range));
        end += 2 * run;
        feed->left -= run;
    }
    side->more = run > 0 && feed->left > 0;
    if (!side->more && side->tail)
        *end++ = side->above;
    feed->end = end;
    side->end = end - (end - side->at) % 2;
}

/* From the set's lowest range on that reaches up to the address. */
static void begin(struct feed *feed, struct iovageom_merge_side *side,
                  const struct iovageom_itree *tree, uint64_t address)
{
    iovageom_itree_cursor_init(&feed->cursor, tree, address, false);
    feed->left = tree->count;
    feed->end = feed->words;
    side->at = side->end = feed->words;
    side->more = true;
    if (side->head)
        *feed->end++ = side->below;
    feed_on(feed, side);
    /* Gaps begin with a last. */
    if (side->gaps && !side->head && feed->end > side->at)
        side->end = feed->end - (feed->end - ++side->at) % 2;
}

/* What the ranges from there on reach over; NULL when there are none. */
static const struct iovageom_range *hull(const struct iovageom_itree *tree, uint64_t address,
                                         struct iovageom_range *out)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(tree, address);

    if (!entry.range)
        return NULL;
    *out = (struct iovageom_range){entry.range->start, tree->highest};
    return out;
}

/* Merges two sets, or a window and a set. */
static int combine(struct iovageom_rangeset *result, enum iovageom_merge_kind kind,
                   const struct iovageom_rangeset *a, const struct iovageom_range *window,
                   const struct iovageom_rangeset *b)
{
    enum { ROOM = 2 * IOVAGEOM_MERGE_BLOCK + 1 };
    const bool unite = kind == IOVAGEOM_MERGE_UNION;
    const uint64_t from = window ? window->start : 0;
    struct iovageom_itree_builder builder;
    struct iovageom_merge merge;
    struct feed feeds[2];
    struct iovageom_range hulls[2] = {{0, 0}, {0, 0}};
    const struct iovageom_range *of_a =
        window ? window : hull((const struct iovageom_itree *)a, 0, &hulls[0]);
    const struct iovageom_range *of_b = hull((const struct iovageom_itree *)b, from, &hulls[1]);
    struct iovageom_range buffer[ROOM];
    bool done;
    bool first = true;

    if (unite && !of_a && !of_b) {
        iovageom_rangeset_clear(result);
        return IOVAGEOM_OK;
    }
    iovageom_merge_init(&merge, kind, of_a, of_b);
    merge.low = IOVAGEOM_MERGE_BLOCK;
    merge.out = &buffer[0].start + unite;
    merge.out_end = &buffer[0].start + 2 * ROOM;
    buffer[0].start = merge.hull.start;
    if (window) {
        merge.sides[0].at = &window->start;
        merge.sides[0].end = &window->start + 2;
    } else {
        begin(&feeds[0], &merge.sides[0], (const struct iovageom_itree *)a, 0);
    }
    begin(&feeds[1], &merge.sides[1], (const struct iovageom_itree *)b, from);
    do {
        size_t count;

        done = iovageom_merge_run(&merge);
        /* Of a union the range that may still grow stays. */
        count = (size_t)(merge.out - &buffer[0].start) / 2;
        if (unite && done)
            buffer[count++].last = merge.hull.last;
        if (first) /* a short result is all there, so that its number is known */
            iovageom_itree_build(&builder, (struct iovageom_itree *)result, done ? count : 0);
        first = false;
        iovageom_itree_append(&builder, buffer, NULL, count);
        buffer[0].start = buffer[count < ROOM ? count : 0].start;
        merge.out = &buffer[0].start + unite;
        feed_on(&feeds[0], &merge.sides[0]);
        feed_on(&feeds[1], &merge.sides[1]);
    } while (!done);
    return iovageom_itree_finish(&builder);
}

/* Whether any range of the set would be joined with this one. */
static bool joins_any(const struct iovageom_rangeset *set, struct iovageom_range range)
{
    struct iovageom_range around = range;
    struct iovageom_range beside;

    if (iovageom_range_below(range, &beside))
        around.start = beside.last;
    if (iovageom_range_above(range, &beside))
        around.last = beside.start;
    return iovageom_rangeset_overlaps(set, around);
}

/*
 * Adds few ranges to a set of many, one by one: a thousand short sets don't cost a thousand merges.
 * Those that need memory go first, so that they can be taken out again when one gets none.
 */
IOVAGEOM_COLD static int unite_few(struct iovageom_rangeset *set,
                                   const struct iovageom_rangeset *few)
{
    struct iovageom_rangeset fresh;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    size_t done = 0;
    int status = iovageom_rangeset_init(&fresh, &((struct iovageom_itree *)set)->allocator);

    iovageom_rangeset_seek(few, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range))
        if (!joins_any(set, range))
            status = iovageom_rangeset_insert(&fresh, range);
    iovageom_rangeset_seek(&fresh, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range)) {
        status = iovageom_rangeset_insert(set, range);
        done += status == IOVAGEOM_OK;
    }
    if (status != IOVAGEOM_OK) {
        iovageom_rangeset_seek(&fresh, 0, &cursor);
        for (; done > 0 && iovageom_rangeset_next(&cursor, &range); done--)
            (void)iovageom_rangeset_remove(set, range);
    }
    iovageom_rangeset_deinit(&fresh);
    iovageom_rangeset_seek(few, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &range))
        status = iovageom_rangeset_insert(set, range);
    return status;
}

int iovageom_rangeset_union(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                            const struct iovageom_rangeset *b)
{
    enum { MANY = 64 }; /* times as many: then a merge of all costs more */
    const struct iovageom_rangeset *other = result == a ? b : a;

    if ((result == a || result == b) &&
        iovageom_rangeset_count(other) < iovageom_rangeset_count(result) / MANY)
        return unite_few(result, other);
    return combine(result, IOVAGEOM_MERGE_UNION, a, NULL, b);
}

int iovageom_rangeset_intersection(struct iovageom_rangeset *result,
                                   const struct iovageom_rangeset *a,
                                   const struct iovageom_rangeset *b)
{
    return combine(result, IOVAGEOM_MERGE_INTERSECTION, a, NULL, b);
}

int iovageom_rangeset_difference(struct iovageom_rangeset *result,
                                 const struct iovageom_rangeset *a,
                                 const struct iovageom_rangeset *b)
{
    return combine(result, IOVAGEOM_MERGE_DIFFERENCE, a, NULL, b);
}

IOVAGEOM_COLD int iovageom_rangeset_symmetric_difference(struct iovageom_rangeset *result,
                                                         const struct iovageom_rangeset *a,
                                                         const struct iovageom_rangeset *b)
{
    const struct iovageom_allocator *allocator = &((struct iovageom_itree *)result)->allocator;
    struct iovageom_rangeset only_a;
    struct iovageom_rangeset only_b;
    int status;

    (void)iovageom_rangeset_init(&only_a, allocator);
    (void)iovageom_rangeset_init(&only_b, allocator);
    status = iovageom_rangeset_difference(&only_a, a, b);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_difference(&only_b, b, a);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_union(result, &only_a, &only_b);
    iovageom_rangeset_deinit(&only_a);
    iovageom_rangeset_deinit(&only_b);
    return status;
}

int iovageom_rangeset_complement(struct iovageom_rangeset *result,
                                 const struct iovageom_rangeset *a, struct iovageom_range window)
{
    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    return combine(result, IOVAGEOM_MERGE_DIFFERENCE, NULL, &window, a);
}

int iovageom_rangeset_clip(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                           struct iovageom_range window)
{
    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    return combine(result, IOVAGEOM_MERGE_INTERSECTION, NULL, &window, a);
}

IOVAGEOM_COLD static int align(struct iovageom_rangeset *result, const struct iovageom_rangeset *a,
                               uint64_t granule, bool inward)
{
    struct iovageom_itree_builder builder;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    struct iovageom_range pending = {0, 0};
    bool any = false;

    if (!iovageom_pgsize_is_power(granule))
        return IOVAGEOM_ERR_INVALID;
    iovageom_itree_build(&builder, (struct iovageom_itree *)result, 0);
    iovageom_rangeset_seek(a, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range)) {
        if (inward && !iovageom_range_align_inward(range, granule, &range))
            continue;
        if (!inward)
            range = iovageom_range_align_outward(range, granule);
        if (any && iovageom_range_touches(pending, range)) {
            pending = iovageom_range_hull(pending, range);
            continue;
        }
        if (any)
            iovageom_itree_append(&builder, &pending, NULL, 1);
        pending = range;
        any = true;
    }
    if (any)
        iovageom_itree_append(&builder, &pending, NULL, 1);
    return iovageom_itree_finish(&builder);
}

int iovageom_rangeset_align_inward(struct iovageom_rangeset *result,
                                   const struct iovageom_rangeset *a, uint64_t granule)
{
    return align(result, a, granule, true);
}

int iovageom_rangeset_align_outward(struct iovageom_rangeset *result,
                                    const struct iovageom_rangeset *a, uint64_t granule)
{
    return align(result, a, granule, false);
}

bool iovageom_rangeset_subset(const struct iovageom_rangeset *inner,
                              const struct iovageom_rangeset *outer)
{
    struct iovageom_rangeset_cursor in;
    struct iovageom_rangeset_cursor out;
    struct iovageom_range range;
    struct iovageom_range around = {0, 0};
    bool any = false;

    iovageom_rangeset_seek(inner, 0, &in);
    iovageom_rangeset_seek(outer, 0, &out);
    while (iovageom_rangeset_next(&in, &range)) {
        while (!any || around.last < range.start) {
            any = iovageom_rangeset_next(&out, &around);
            if (!any)
                return false;
        }
        if (!iovageom_range_contains(around, range))
            return false;
    }
    return true;
}

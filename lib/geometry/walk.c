/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of several regions takes precedence where: the resolved view. */
#include <iovageom/status.h>

#include "../base/array.h"
#include "../base/range.h"
#include "../set/rangeset_internal.h"
#include "internal.h"

/* ---- the view ---- */

/* Appends a region of the type and owner of `like` to `count` others, and returns the new count.
 * With the last one, if that is of its fact and they touch or overlap, it is joined: widened to a
 * granule, ranges of one fact can overlap. Those of others must not: overlay() cuts them. */
static size_t append_region(struct iovageom_region *out, size_t count,
                            const struct iovageom_region *like, struct iovageom_range range)
{
    if (count > 0 && out[count - 1].owner == like->owner &&
        iovageom_range_touches(out[count - 1].range, range)) {
        out[count - 1].range = iovageom_range_hull(out[count - 1].range, range);
        return count;
    }
    out[count] = (struct iovageom_region){range, like->type, like->owner};
    return count + 1;
}

/*
 * Merges two resolved views, both ascending and disjoint: where they overlap, `high` takes
 * precedence, and `low` is cut in place. Each step passes a region of one of them, so it is linear.
 */
static size_t overlay(struct iovageom_region *low, size_t low_count,
                      const struct iovageom_region *high, size_t high_count,
                      struct iovageom_region *out)
{
    struct iovageom_range parts[2];
    size_t count = 0;
    size_t i = 0;

    for (size_t j = 0; j < high_count; j++) {
        const struct iovageom_range over = high[j].range;

        for (; i < low_count && low[i].range.start <= over.last; i++) {
            const unsigned left = iovageom_range_subtract(low[i].range, over, parts);

            if (left > 0 && parts[0].start < over.start)
                count = append_region(out, count, &low[i], parts[0]);
            if (left > 0 && parts[left - 1].start > over.last) {
                low[i].range = parts[left - 1]; /* the next of `high` may cut it, too */
                break;
            }
        }
        count = append_region(out, count, &high[j], over);
    }
    for (; i < low_count; i++)
        count = append_region(out, count, &low[i], low[i].range);
    return count;
}

/*
 * Resolves the regions of facts `first` to `end` - 1 into `out` and returns how many there are: a
 * merge sort, whose merge is overlay(). Ranges are widened to the granule first, so that precedence
 * is decided for whole granules.
 *
 * Each entry starts where one of their n ranges starts, or just above where one ends. So there are
 * 2 n entries at most, and `out` and `scratch` have room for 2 n each. The two swap roles at each
 * level: both halves are resolved into `scratch`, one behind the other, while `out` holds nothing
 * yet and serves as their scratch. The recursion is log2(facts) deep.
 */
static size_t resolve(const struct iovageom_geometry *geometry, uint64_t granule, size_t first,
                      size_t end, struct iovageom_region *out, struct iovageom_region *scratch)
{
    size_t middle = first + (end - first) / 2;
    size_t count = 0;

    if (end - first == 1) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[first];
        const struct iovageom_region like = {
            {0, 0}, fact->kind - IOVAGEOM_FACT_REGIONS, (uint32_t)first};
        const struct iovageom_itree *tree = tree_in(fact->ranges);
        const struct iovageom_range *range = tree->inline_ranges;
        struct iovageom_itree_cursor cursor;
        size_t run = tree->root.node == NULL ? tree->count : 0;

        if (tree->root.node != NULL)
            iovageom_itree_cursor_init(&cursor, tree, 0);
        while (run > 0 ||
               (tree->root.node != NULL && (run = iovageom_itree_span(&cursor, &range)) > 0)) {
            count =
                append_region(out, count, &like, iovageom_range_align_outward(*range++, granule));
            run--;
        }
        return count;
    }
    size_t low = resolve(geometry, granule, first, middle, scratch, out);
    size_t high = resolve(geometry, granule, middle, end, scratch + low, out);
    return overlay(scratch, low, scratch + low, high, out);
}

/*
 * Joins neighbours of one type in a view, and leaves out what forbids nothing. The owner of a
 * joined region is that of its largest part.
 *
 * Usable ranges that are smaller than a granule need no code here: the view was made with regions
 * widened outward to the granule, so the neighbours of such a range already cover it.
 */
static void join_types(struct iovageom_resolved *view)
{
    struct iovageom_range largest = IOVAGEOM_EVERYTHING;
    size_t kept = 0;

    for (size_t i = 0; i < view->count; i++) {
        const struct iovageom_region region = view->regions[i];
        struct iovageom_region *last = kept > 0 ? &view->regions[kept - 1] : NULL;

        if (region.type == IOVAGEOM_RESV_DIRECT_RELAXABLE)
            continue;
        if (last == NULL || last->type != region.type ||
            !iovageom_range_precedes_directly(last->range, region.range)) {
            view->regions[kept++] = region;
            largest = region.range;
            continue;
        }
        last->range.last = region.range.last;
        if (iovageom_range_longer(region.range, largest)) {
            last->owner = region.owner;
            largest = region.range;
        }
    }
    view->count = kept;
}

int iovageom_resolve(const struct iovageom_allocator *allocator,
                     const struct iovageom_geometry *geometry, uint64_t granule, bool joined,
                     struct iovageom_resolved *view)
{
    size_t half = sizeof(view->few) / sizeof(view->few[0]) / 2; /* the other half is scratch */
    size_t first;
    const size_t most = iovageom_geometry_most_regions(geometry, &first);

    if (!iovageom_pgsize_is_power(granule))
        return IOVAGEOM_ERR_INVALID;
    view->regions = view->few;
    view->count = 0;
    view->allocator = allocator;
    view->memory = NULL;
    if (most > half) {
        half = most;
        view->size = 2 * half;
        view->memory = iovageom_array_new(view->allocator, view->size, sizeof(*view->memory));
        if (view->memory == NULL)
            return IOVAGEOM_ERR_NO_MEMORY;
        view->regions = view->memory;
    }
    if (first < geometry->count)
        view->count =
            resolve(geometry, granule, first, geometry->count, view->regions, view->regions + half);
    if (joined)
        join_types(view);
    return IOVAGEOM_OK;
}

void iovageom_resolved_close(struct iovageom_resolved *view)
{
    iovageom_array_free(view->allocator, view->memory, view->size, sizeof(*view->memory));
}

/* ---- a walk ---- */

void iovageom_walk_open(struct iovageom_walk *walk, const struct iovageom_geometry *geometry)
{
    size_t first;

    (void)iovageom_geometry_most_regions(geometry, &first);
    walk->geometry = geometry;
    /* A failed allocation is no error: `viewed` stays false, and the facts are searched. */
    walk->viewed =
        geometry->count - first > IOVAGEOM_WALK_FEW &&
        iovageom_resolve(&geometry->allocator, geometry, 1, false, &walk->view) == IOVAGEOM_OK;
}

void iovageom_walk_close(struct iovageom_walk *walk)
{
    if (walk->viewed)
        iovageom_resolved_close(&walk->view);
}

/* `range` is the first of some, which ascend, that ends at piece->start or above. Returns whether
 * it has that address, and lowers piece->last to where that, or the gap in front of it, ends. */
static bool begins_in(struct iovageom_range range, struct iovageom_range *piece)
{
    const bool inside = range.start <= piece->start;

    if (inside || iovageom_range_below(range, &range))
        piece->last = iovageom_lower(piece->last, range.last);
    return inside;
}

/* The fact that takes precedence at piece->start, by the view. */
static const struct iovageom_geometry_fact *look_up_region(const struct iovageom_walk *walk,
                                                           struct iovageom_range *piece)
{
    const struct iovageom_region *low = walk->view.regions, *middle;
    const struct iovageom_region *const end = low + walk->view.count;

    for (size_t left = walk->view.count; left > 0; left /= 2) {
        middle = low + left / 2;
        if (middle->range.last < piece->start) {
            low = middle + 1;
            left--;
        }
    }
    return low < end && begins_in(low->range, piece) ? &walk->geometry->facts[low->owner] : NULL;
}

/* The same by a search of the facts, from the highest precedence down. The first that has the
 * address is the answer, and lower ones are not asked: they can't change it. */
static const struct iovageom_geometry_fact *search(const struct iovageom_geometry *geometry,
                                                   struct iovageom_range *piece)
{
    for (size_t i = geometry->count; i-- > 0 && iovageom_fact_has_ranges(&geometry->facts[i]);) {
        const struct iovageom_range *range =
            iovageom_itree_find(tree_in(geometry->facts[i].ranges), piece->start).range;

        if (range != NULL && begins_in(*range, piece))
            return &geometry->facts[i];
    }
    return NULL;
}

bool iovageom_walk_next(const struct iovageom_walk *walk, struct iovageom_range *rest,
                        struct iovageom_range *piece, const struct iovageom_geometry_fact **fact)
{
    struct iovageom_range above;

    if (!iovageom_range_valid(*rest))
        return false;
    *piece = *rest;
    *fact = walk->viewed ? look_up_region(walk, piece) : search(walk->geometry, piece);
    if (piece->last < rest->last && iovageom_range_above(*piece, &above))
        rest->start = above.start;
    else
        *rest = (struct iovageom_range){1, 0}; /* invalid: nothing is left */
    return true;
}

bool iovageom_geometry_top(const struct iovageom_geometry *geometry, uint64_t *address)
{
    struct iovageom_range rest = IOVAGEOM_EVERYTHING, piece;
    const struct iovageom_geometry_fact *fact;
    struct iovageom_walk walk;
    bool any = false;

    iovageom_walk_open(&walk, geometry);
    while (iovageom_walk_next(&walk, &rest, &piece, &fact))
        if (!iovageom_fact_forbids(fact)) {
            *address = piece.last;
            any = true;
        }
    iovageom_walk_close(&walk);
    return any;
}

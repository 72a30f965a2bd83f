/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_cover.h>

#include <string.h>

#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "../base/range.h"
#include "gaps.h"

/* ---- the smallest gaps of a list ---- */

size_t iovageom_gaps_narrow(const struct iovageom_gaps *gaps, uint64_t most, size_t but)
{
    uint64_t size;
    size_t found = 0;

    for (size_t i = 0; i < gaps->count; i++)
        found += i != but && gaps->at(gaps, i, &size) && size <= most;
    return found;
}

/*
 * The bisection finds a size for which just `wanted` gaps are as small, or else the smallest for
 * which more are: those of exactly that size which are not wanted stay open (`spare`).
 */
struct iovageom_gap_choice iovageom_gaps_smallest(const struct iovageom_gaps *gaps, size_t wanted,
                                                  size_t but)
{
    /* Most lists fit: then only neighbours that touch are joined, which one pass finds out. */
    size_t found = iovageom_gaps_narrow(gaps, 0, but);
    uint64_t low = 0, high = found >= wanted ? 0 : UINT64_MAX;

    while (low < high && found != wanted) {
        const uint64_t middle = low + (high - low) / 2;

        found = iovageom_gaps_narrow(gaps, middle, but);
        if (found >= wanted)
            high = middle;
        else
            low = middle + 1;
    }
    return (struct iovageom_gap_choice){high, iovageom_gaps_narrow(gaps, high, but) - wanted, but,
                                        false};
}

bool iovageom_gap_taken(struct iovageom_gap_choice *choice, size_t i, uint64_t size)
{
    if (i == choice->but)
        return choice->close;
    if (size > choice->size)
        return false;
    if (size < choice->size || choice->spare == 0)
        return true;
    choice->spare--;
    return false;
}

/* ---- a cover ---- */

struct range_list {
    struct iovageom_gaps gaps;
    const struct iovageom_range *ranges;
    uint64_t granule;
};

/* Range i, widened to granules. */
static struct iovageom_range granules_of(const struct range_list *list, size_t i)
{
    return iovageom_range_align_outward(list->ranges[i], list->granule);
}

static bool range_gap(const struct iovageom_gaps *gaps, size_t i, uint64_t *size)
{
    const struct range_list *list = (const struct range_list *)gaps;

    *size = iovageom_gap_bytes(granules_of(list, i), granules_of(list, i + 1));
    return true;
}

/* Whether the list ascends, and its size in bytes. */
static int check_list(const struct iovageom_range *ranges, size_t count, struct iovageom_size *size)
{
    *size = (struct iovageom_size){0, 0};
    for (size_t i = 0; i < count; i++) {
        if (!iovageom_range_valid(ranges[i]))
            return IOVAGEOM_ERR_INVERTED;
        if (i > 0 && ranges[i].start <= ranges[i - 1].last)
            return IOVAGEOM_ERR_OVERLAP;
        *size = iovageom_size_add(*size, iovageom_range_size(ranges[i]));
    }
    return IOVAGEOM_OK;
}

/* Writes the cover, and returns its size in bytes. `out` may be the list: no range is overwritten
 * before it is read. */
static struct iovageom_size write_cover(const struct range_list *list, size_t count,
                                        struct iovageom_gap_choice choice,
                                        struct iovageom_range *out)
{
    struct iovageom_size size = {0, 0};
    size_t written = 0;

    for (size_t i = 0; i < count; i++) {
        const struct iovageom_range next = granules_of(list, i);

        if (i > 0 && iovageom_gap_taken(&choice, i - 1, iovageom_gap_bytes(out[written - 1], next)))
            out[written - 1].last = next.last;
        else
            out[written++] = next;
    }
    for (size_t i = 0; i < written; i++)
        size = iovageom_size_add(size, iovageom_range_size(out[i]));
    return size;
}

int iovageom_plan_cover(const struct iovageom_range *ranges, size_t count, uint64_t granule,
                        size_t most, struct iovageom_range *out, size_t capacity, size_t *needed,
                        struct iovageom_size *excess)
{
    const struct range_list list = {{count > 0 ? count - 1 : 0, range_gap}, ranges, granule};
    struct iovageom_size own, covered;
    size_t touching, wanted;
    int status = check_list(ranges, count, &own);

    if (status < 0)
        return status;
    if (most == 0 || !iovageom_pgsize_is_power(granule))
        return IOVAGEOM_ERR_INVALID;
    /* Gaps of no bytes are closed in any case; more only if the list is still too long. */
    touching = iovageom_gaps_narrow(&list.gaps, 0, IOVAGEOM_NO_GAP);
    wanted = count - touching > most ? count - most : touching;
    *needed = count - wanted;
    if (capacity < *needed)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    covered =
        write_cover(&list, count, iovageom_gaps_smallest(&list.gaps, wanted, IOVAGEOM_NO_GAP), out);
    if (excess != NULL)
        *excess = iovageom_size_subtract(covered, own);
    return IOVAGEOM_OK;
}

/* ---- what a request changes of it ---- */

/* `cover` with the granules of `range`, or without the whole ones, covered anew. */
int iovageom_plan_cover_change(const struct iovageom_range *cover, size_t count,
                               struct iovageom_range range, bool mapped, uint64_t granule,
                               size_t most, struct iovageom_range *out, size_t capacity,
                               size_t *needed, bool *changed)
{
    /* Of a range that is unmapped, the whole granules leave; there may be none. */
    struct iovageom_range part = iovageom_range_align_outward(range, granule);
    const size_t parts = mapped || iovageom_range_align_inward(range, granule, &part);
    int status;

    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    if (most == 0 || !iovageom_pgsize_is_power(granule))
        return IOVAGEOM_ERR_INVALID;
    status = (mapped ? iovageom_ranges_union : iovageom_ranges_difference)(
        cover, count, &part, parts, out, capacity, needed);
    if (status == IOVAGEOM_OK)
        status = iovageom_plan_cover(out, *needed, granule, most, out, capacity, needed, NULL);
    if (status == IOVAGEOM_OK)
        *changed =
            *needed != count || (count > 0 && memcmp(out, cover, count * sizeof(*cover)) != 0);
    return status;
}

/* ---- what was written to ---- */

/* The next bit that is set, from `from` up; `end` when there is none below `end`. Words without
 * any, which most are, are passed over whole. */
static uint64_t next_dirty(const uint64_t *bitmap, uint64_t from, uint64_t end)
{
    while (from < end && (bitmap[from / 64] >> from % 64 & 1) == 0)
        from = bitmap[from / 64] >> from % 64 == 0 ? (from | 63) + 1 : from + 1;
    return from < end ? from : end;
}

/* A list that is written, or only counted (`out` NULL). What touches the last range joins it. */
struct dirty_list {
    struct iovageom_range *out;
    size_t count;
    struct iovageom_range last;
};

static void put_dirty(struct dirty_list *list, struct iovageom_range range)
{
    if (list->count > 0 && iovageom_range_precedes_directly(list->last, range)) {
        list->last.last = range.last;
    } else {
        list->last = range;
        list->count++;
    }
    if (list->out != NULL)
        list->out[list->count - 1] = list->last;
}

/* Puts where the pages lead that lie in `part` of a mapping and are dirty. */
static void put_mapping(struct dirty_list *list, const struct iovageom_mapping *mapping,
                        struct iovageom_range part, const struct iovageom_dirty_bitmap *bitmap)
{
    const uint64_t end = (part.last - bitmap->start) / bitmap->page + 1;

    for (uint64_t bit = (part.start - bitmap->start) / bitmap->page;
         (bit = next_dirty(bitmap->words, bit, end)) < end; bit++) {
        const uint64_t at = bitmap->start + bit * bitmap->page;
        struct iovageom_range page = {at, at + (bitmap->page - 1)};

        (void)iovageom_range_intersect(page, part, &page);
        page.start = mapping->phys + (page.start - mapping->range.start);
        page.last = mapping->phys + (page.last - mapping->range.start);
        put_dirty(list, page);
    }
}

int iovageom_plan_cover_dirty(const struct iovageom_mapping *mappings, size_t count,
                              const struct iovageom_dirty_bitmap *bitmap,
                              struct iovageom_range *out, size_t capacity, size_t *needed)
{
    const uint64_t page = bitmap->page;
    struct iovageom_range window = {bitmap->start, bitmap->start}, part;
    struct dirty_list list;

    if (!iovageom_pgsize_is_power(page) || bitmap->start % page != 0 ||
        (bitmap->pages > 0 && bitmap->pages - 1 > (IOVAGEOM_ADDRESS_MAX - bitmap->start) / page))
        return IOVAGEOM_ERR_INVALID;
    for (size_t i = 0; i < count; i++) {
        const struct iovageom_range range = mappings[i].range;

        if (!iovageom_range_valid(range))
            return IOVAGEOM_ERR_INVERTED;
        if (mappings[i].phys > IOVAGEOM_ADDRESS_MAX - (range.last - range.start))
            return IOVAGEOM_ERR_OVERFLOW;
    }
    if (bitmap->pages == 0)
        count = 0;
    else
        window.last = bitmap->start + (bitmap->pages - 1) * page + (page - 1);
    /* In two passes, so that nothing is written when it does not fit. */
    for (bool writing = false;; writing = true) {
        list = (struct dirty_list){writing ? out : NULL, 0, {0, 0}};
        for (size_t i = 0; i < count; i++)
            if (iovageom_range_intersect(mappings[i].range, window, &part))
                put_mapping(&list, &mappings[i], part, bitmap);
        *needed = list.count;
        if (list.count > capacity)
            return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
        if (writing || list.count == 0)
            return IOVAGEOM_OK;
    }
}

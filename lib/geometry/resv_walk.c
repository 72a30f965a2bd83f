/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/region.h>

#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "resv.h"

void iovageom_resv_walk_open(struct iovageom_resv_walk *walk, const struct iovageom_resv *resv)
{
    walk->resv = resv;
    /* A failed allocation is no error: `viewed` stays false, and the statements are searched. */
    walk->viewed = iovageom_resv_statement_count(resv) > IOVAGEOM_RESV_WALK_FEW &&
                   iovageom_resv_view(resv, 1, &walk->view) == IOVAGEOM_OK;
}

void iovageom_resv_walk_close(struct iovageom_resv_walk *walk)
{
    if (walk->viewed)
        iovageom_resv_view_close(&walk->view);
}

/* The index of the first entry that ends at `address` or above: it has the address, or is above. */
static size_t entry_from(const struct iovageom_resv_view *view, uint64_t address)
{
    size_t low = 0;
    size_t high = view->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view->entries[middle].range.last < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * iovageom_resv_walk_at() without a view. Statements are asked from the highest precedence down.
 * The first that has the address is the answer, and lower ones are not asked: they can't change it.
 * The answer ends where that range ends, or where a range of a higher statement starts.
 */
static size_t search(const struct iovageom_resv *resv, uint64_t address, uint64_t *last)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    uint64_t end = IOVAGEOM_ADDRESS_MAX;
    size_t i;

    for (i = iovageom_resv_statement_count(resv); i-- > 0;) {
        struct iovageom_range range;

        (void)iovageom_resv_statement(resv, i, &type, &owner, &ranges);
        bool here = iovageom_rangeset_lookup(ranges, address, &range);
        bool bounded = here || (iovageom_rangeset_above(ranges, address, &range) &&
                                iovageom_range_below(range, &range));

        if (bounded && range.last < end)
            end = range.last;
        if (here)
            break;
    }
    *last = end;
    return i; /* SIZE_MAX, so IOVAGEOM_RESV_NONE, when no statement has the address */
}

/* iovageom_resv_walk_heaviest() without a view. */
static size_t search_heaviest(const struct iovageom_resv *resv, struct iovageom_range range)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    size_t i = iovageom_resv_statement_count(resv);

    while (i-- > 0 && iovageom_resv_statement(resv, i, &type, &owner, &ranges) == IOVAGEOM_OK)
        if (iovageom_rangeset_overlaps(ranges, range))
            break;
    return i; /* SIZE_MAX, so IOVAGEOM_RESV_NONE, when no statement overlaps */
}

size_t iovageom_resv_walk_at(const struct iovageom_resv_walk *walk, uint64_t address,
                             uint64_t *last)
{
    const struct iovageom_resv_piece *entry;
    struct iovageom_range below;
    size_t index;

    if (!walk->viewed)
        return search(walk->resv, address, last);
    index = entry_from(&walk->view, address);
    *last = IOVAGEOM_ADDRESS_MAX;
    if (index == walk->view.count)
        return IOVAGEOM_RESV_NONE;
    entry = &walk->view.entries[index];
    if (entry->range.start <= address) {
        *last = entry->range.last;
        return (size_t)entry->value;
    }
    if (iovageom_range_below(entry->range, &below))
        *last = below.last;
    return IOVAGEOM_RESV_NONE;
}

/* Whether statement `index`, which takes precedence at some address, forbids that address. */
static bool forbids(const struct iovageom_resv *resv, uint64_t index)
{
    return iovageom_resv_type_forbids(
        (enum iovageom_resv_type)iovageom_resv_type_at(resv, (size_t)index));
}

/*
 * Here, too, hidden statements may be left out: they are hidden by a higher type, and all types but
 * the lowest forbid.
 */
bool iovageom_resv_walk_forbids(const struct iovageom_resv_walk *walk, struct iovageom_range range)
{
    const struct iovageom_resv_view *view = &walk->view;

    if (!walk->viewed)
        return iovageom_resv_forbids(walk->resv, range);
    for (size_t i = entry_from(view, range.start);
         i < view->count && view->entries[i].range.start <= range.last; i++)
        if (forbids(walk->resv, view->entries[i].value))
            return true;
    return false;
}

/*
 * The view has only statements that take precedence somewhere. That is enough: the highest of all
 * statements in `range` takes precedence wherever it is.
 */
size_t iovageom_resv_walk_heaviest(const struct iovageom_resv_walk *walk,
                                   struct iovageom_range range)
{
    const struct iovageom_resv_view *view = &walk->view;
    size_t heaviest = IOVAGEOM_RESV_NONE;

    if (!walk->viewed)
        return search_heaviest(walk->resv, range);
    for (size_t i = entry_from(view, range.start);
         i < view->count && view->entries[i].range.start <= range.last; i++)
        if (heaviest == IOVAGEOM_RESV_NONE || view->entries[i].value > heaviest)
            heaviest = (size_t)view->entries[i].value;
    return heaviest;
}

/*
 * iovageom_resv_top() without a view. While some statement forbids `top`, `top` moves below that
 * range, and all statements are asked again: one that was asked before may forbid the lower
 * address. Each round passes a whole range, so there are no more rounds than ranges.
 */
static bool search_top(const struct iovageom_resv *resv, uint64_t *address)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    uint64_t top = IOVAGEOM_ADDRESS_MAX;

    for (size_t i = 0; iovageom_resv_statement(resv, i++, &type, &owner, &ranges) == IOVAGEOM_OK;) {
        struct iovageom_range range;

        if (!iovageom_resv_type_forbids(type) || !iovageom_rangeset_lookup(ranges, top, &range))
            continue;
        if (!iovageom_range_below(range, &range))
            return false;
        top = range.last;
        i = 0;
    }
    *address = top;
    return true;
}

bool iovageom_resv_top(const struct iovageom_resv *resv, uint64_t *address)
{
    struct iovageom_resv_walk walk;
    uint64_t top = IOVAGEOM_ADDRESS_MAX;
    bool any = true;

    iovageom_resv_walk_open(&walk, resv);
    if (!walk.viewed)
        return search_top(resv, address);
    /* From the highest entry down, as long as they follow each other without a gap and forbid. */
    for (size_t i = walk.view.count; any && i-- > 0;) {
        struct iovageom_range range = walk.view.entries[i].range;

        if (range.last < top || !forbids(resv, walk.view.entries[i].value))
            break;
        any = iovageom_range_below(range, &range);
        top = range.last;
    }
    iovageom_resv_walk_close(&walk);
    if (any)
        *address = top;
    return any;
}

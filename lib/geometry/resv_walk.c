/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <iovageom/region.h>

#include <iovageom/status.h>

#include "resv.h"

void iovageom_resv_walk_open(struct iovageom_resv_walk *walk, const struct iovageom_resv *resv)
{
    walk->resv = resv;
    walk->viewed = iovageom_resv_statement_count(resv) > IOVAGEOM_RESV_WALK_FEW &&
                   iovageom_resv_view(resv, 1, &walk->view) == IOVAGEOM_OK;
}

void iovageom_resv_walk_close(struct iovageom_resv_walk *walk)
{
    if (walk->viewed)
        iovageom_resv_view_close(&walk->view);
}

/* The number of the first entry of the view that ends at `address` or above. */
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

/* The same without a view. Statements below the one that shows don't matter: the search ends with it. */
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
    return i; /* wraps to IOVAGEOM_RESV_NONE when the loop ran out */
}

static size_t search_heaviest(const struct iovageom_resv *resv, struct iovageom_range range)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    size_t i = iovageom_resv_statement_count(resv);

    while (i-- > 0 && iovageom_resv_statement(resv, i, &type, &owner, &ranges) == IOVAGEOM_OK)
        if (iovageom_rangeset_overlaps(ranges, range))
            break;
    return i; /* wraps to IOVAGEOM_RESV_NONE when the loop ran out */
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

/* Whether what shows at an address forbids it. */
static bool forbids(const struct iovageom_resv *resv, uint64_t index)
{
    return iovageom_resv_type_forbids(
        (enum iovageom_resv_type)iovageom_resv_type_at(resv, (size_t)index));
}

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

/* The highest forbidden range of one statement from `top` down; each turn finds a lower top. */
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
        i = 0; /* those before may have the lower address */
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

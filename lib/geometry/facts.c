/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of facts: what makes, fills, joins and copies geometries. */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/array.h"
#include "../base/sort.h"
#include "internal.h"

/* ---- making ---- */

int iovageom_geometry_new(const struct iovageom_allocator *allocator, const char *name,
                          struct iovageom_geometry **out)
{
    struct iovageom_geometry *geometry;
    struct iovageom_owner self;
    int status = iovageom_owner_init(&self, IOVAGEOM_SOURCE_OTHER, name);

    allocator = iovageom_allocator_chosen(allocator);
    if (status < 0 || allocator == NULL)
        return IOVAGEOM_ERR_INVALID;
    geometry = allocator->allocate(allocator->context, sizeof(*geometry));
    if (geometry == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    geometry->allocator = *allocator;
    geometry->self = self;
    geometry->facts = geometry->few;
    geometry->count = 0;
    geometry->capacity = sizeof(geometry->few) / sizeof(geometry->few[0]);
    *out = geometry;
    return IOVAGEOM_OK;
}

static void free_ranges(const struct iovageom_allocator *allocator,
                        struct iovageom_rangeset *ranges)
{
    iovageom_rangeset_deinit(ranges);
    iovageom_array_free(allocator, ranges, 1, sizeof(*ranges));
}

/* Frees the table, but not what its facts own. */
static void free_table(const struct iovageom_geometry *geometry)
{
    if (geometry->facts != geometry->few)
        iovageom_array_free(&geometry->allocator, geometry->facts, geometry->capacity,
                            sizeof(*geometry->facts));
}

static void free_facts(struct iovageom_geometry *geometry)
{
    for (size_t i = 0; i < geometry->count; i++)
        if (geometry->facts[i].ranges != NULL)
            free_ranges(&geometry->allocator, geometry->facts[i].ranges);
    free_table(geometry);
}

void iovageom_geometry_free(struct iovageom_geometry *geometry)
{
    if (geometry == NULL)
        return;
    free_facts(geometry);
    geometry->allocator.release(geometry->allocator.context, geometry, sizeof(*geometry));
}

const char *iovageom_geometry_name(const struct iovageom_geometry *geometry)
{
    return geometry->self.name;
}

/* ---- the table ---- */

static int compare_facts(const void *one, const void *other)
{
    const struct iovageom_geometry_fact *a = one, *b = other;
    int order;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    order = iovageom_owner_compare(&a->owner, &b->owner);
    if (order == 0)
        order = (a->value > b->value) - (a->value < b->value);
    if (order == 0)
        order = (a->last > b->last) - (a->last < b->last);
    return order;
}

int iovageom_geometry_reserve(struct iovageom_geometry *geometry, size_t capacity)
{
    struct iovageom_geometry_fact *facts;

    if (capacity <= geometry->capacity)
        return IOVAGEOM_OK;
    /* The 2 is for the doubling below. */
    if (capacity > SIZE_MAX / 2 / sizeof(*facts))
        return IOVAGEOM_ERR_NO_MEMORY;
    if (capacity < geometry->capacity * 2)
        capacity = geometry->capacity * 2;
    facts = iovageom_array_new(&geometry->allocator, capacity, sizeof(*facts));
    if (facts == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    if (geometry->count > 0)
        memcpy(facts, geometry->facts, geometry->count * sizeof(*facts));
    free_table(geometry);
    geometry->facts = facts;
    geometry->capacity = capacity;
    return IOVAGEOM_OK;
}

/* The index of a fact, or where it would have to be inserted. */
static size_t place_of(const struct iovageom_geometry *geometry,
                       const struct iovageom_geometry_fact *fact)
{
    size_t low = 0;
    size_t high = geometry->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_facts(&geometry->facts[middle], fact) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct iovageom_geometry_fact *iovageom_geometry_open(struct iovageom_geometry *geometry,
                                                      const struct iovageom_geometry_fact *fact,
                                                      bool in_order)
{
    const size_t index = in_order ? place_of(geometry, fact) : geometry->count;
    struct iovageom_geometry_fact *row;
    struct iovageom_rangeset *set = NULL;

    if (index < geometry->count && compare_facts(&geometry->facts[index], fact) == 0)
        return &geometry->facts[index];
    if (iovageom_geometry_reserve(geometry, geometry->count + 1) < 0)
        return NULL;
    if (fact->kind > IOVAGEOM_FACT_REGIONS) {
        set = iovageom_array_new(&geometry->allocator, 1, sizeof(*set));
        if (set == NULL)
            return NULL;
        /* Can't fail: allocates nothing, and the allocator was checked when it was copied. */
        (void)iovageom_rangeset_init(set, &geometry->allocator);
    }
    row = geometry->facts + index;
    memmove(row + 1, row, (geometry->count - index) * sizeof(*row));
    *row = *fact;
    row->ranges = set;
    geometry->count++;
    return row;
}

int iovageom_geometry_close(struct iovageom_geometry *geometry, struct iovageom_geometry_fact *row,
                            int status)
{
    if (row->ranges == NULL || iovageom_rangeset_count(row->ranges) > 0)
        return status;
    free_ranges(&geometry->allocator, row->ranges);
    geometry->count--;
    memmove(row, row + 1, (size_t)(geometry->facts + geometry->count - row) * sizeof(*row));
    return status;
}

int iovageom_geometry_settle(struct iovageom_geometry *geometry)
{
    struct iovageom_geometry_fact *facts = geometry->facts;
    int status = IOVAGEOM_OK;
    size_t kept = 0;

    iovageom_sort(facts, geometry->count, sizeof(*facts), compare_facts);
    for (size_t i = 0; i < geometry->count; i++) {
        struct iovageom_geometry_fact *last = kept > 0 ? &facts[kept - 1] : NULL;

        if (last == NULL || compare_facts(last, &facts[i]) != 0) {
            facts[kept++] = facts[i];
            continue;
        }
        if (status == IOVAGEOM_OK && last->ranges != NULL)
            status = iovageom_rangeset_union(last->ranges, last->ranges, facts[i].ranges);
        if (facts[i].ranges != NULL)
            free_ranges(&geometry->allocator, facts[i].ranges);
    }
    geometry->count = kept;
    return status;
}

const struct iovageom_geometry_fact *iovageom_geometry_facts_of(
    const struct iovageom_geometry *geometry, uint32_t kind, const struct iovageom_owner *owner,
    size_t *count)
{
    /* value and last are 0, the lowest: no fact of that kind and owner is before the key. */
    const struct iovageom_geometry_fact key = {.kind = kind, .owner = *owner};
    const size_t first = place_of(geometry, &key);
    size_t end = first;

    while (end < geometry->count && geometry->facts[end].kind == kind &&
           iovageom_owner_compare(&geometry->facts[end].owner, owner) == 0)
        end++;
    *count = end - first;
    return end > first ? &geometry->facts[first] : NULL;
}

const struct iovageom_geometry_fact *iovageom_geometry_next_fact(
    const struct iovageom_geometry *geometry, uint32_t kind, size_t *index)
{
    while (*index < geometry->count) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[(*index)++];

        if (fact->kind == kind || (kind == IOVAGEOM_FACT_REGIONS && fact->ranges != NULL))
            return fact;
        if (fact->kind > kind)
            break;
    }
    return NULL;
}

/* ---- the meet ---- */

int iovageom_geometry_append_copy(struct iovageom_geometry *geometry,
                                  const struct iovageom_geometry_fact *fact)
{
    struct iovageom_geometry_fact *row = iovageom_geometry_open(geometry, fact, false);

    if (row == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    if (fact->ranges == NULL)
        return IOVAGEOM_OK;
    return iovageom_geometry_close(geometry, row,
                                   iovageom_rangeset_assign(row->ranges, fact->ranges));
}

void iovageom_geometry_take(struct iovageom_geometry *geometry, struct iovageom_geometry *from)
{
    free_facts(geometry);
    geometry->facts = from->facts;
    geometry->count = from->count;
    geometry->capacity = from->capacity;
    if (from->facts == from->few) {
        memcpy(geometry->few, from->few, sizeof(from->few));
        geometry->facts = geometry->few;
    }
    from->facts = from->few;
    from->count = from->capacity = 0;
}

/*
 * Everything in a geometry narrows it, so the meet is the union of the facts. It is built apart, and
 * replaces the old table when nothing can fail any more.
 */
int iovageom_geometry_narrow(struct iovageom_geometry *geometry,
                             const struct iovageom_geometry *other)
{
    struct iovageom_geometry all = {.allocator = geometry->allocator};
    int status = iovageom_geometry_reserve(&all, geometry->count + other->count);

    for (size_t i = 0; status == IOVAGEOM_OK && i < geometry->count; i++)
        status = iovageom_geometry_append_copy(&all, &geometry->facts[i]);
    for (size_t i = 0; status == IOVAGEOM_OK && i < other->count; i++)
        status = iovageom_geometry_append_copy(&all, &other->facts[i]);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_settle(&all);
    if (status == IOVAGEOM_OK)
        iovageom_geometry_take(geometry, &all);
    free_facts(&all);
    return status;
}

int iovageom_geometry_copy_to(const struct iovageom_allocator *allocator,
                              const struct iovageom_geometry *geometry,
                              struct iovageom_geometry **out)
{
    struct iovageom_geometry *copy;
    int status = iovageom_geometry_new(allocator, geometry->self.name, &copy);

    if (status < 0)
        return status;
    /* The facts are in order already. */
    status = iovageom_geometry_reserve(copy, geometry->count);
    for (size_t i = 0; status == IOVAGEOM_OK && i < geometry->count; i++)
        status = iovageom_geometry_append_copy(copy, &geometry->facts[i]);
    if (status == IOVAGEOM_OK)
        *out = copy;
    else
        iovageom_geometry_free(copy);
    return status;
}

int iovageom_geometry_copy(const struct iovageom_geometry *geometry, struct iovageom_geometry **out)
{
    return iovageom_geometry_copy_to(&geometry->allocator, geometry, out);
}

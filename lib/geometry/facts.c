/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of facts: what makes, fills, joins and copies geometries. */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/array.h"
#include "../base/sort.h"
#include "../set/rangeset_internal.h"
#include "internal.h"

/* ---- making ---- */

/* With so many bytes before it, and room for so many sets behind it, which is a small number, or
 * that of sets which exist elsewhere: their size does not wrap. */
static int make(const struct iovageom_allocator *allocator, size_t before, size_t room,
                struct iovageom_geometry **out)
{
    const size_t size = sizeof(**out) + room * sizeof((*out)->sets[0]);
    uint8_t *memory = NULL;
    struct iovageom_geometry *geometry;

    if (before <= SIZE_MAX - size)
        memory = allocator->allocate(allocator->context, before + size);
    if (memory == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    geometry = (struct iovageom_geometry *)(void *)(memory + before);
    geometry->allocator = *allocator;
    geometry->facts = geometry->few;
    geometry->count = geometry->taken = 0;
    geometry->capacity = sizeof(geometry->few) / sizeof(geometry->few[0]);
    geometry->before = before;
    geometry->room = room;
    *out = geometry;
    return IOVAGEOM_OK;
}

int iovageom_geometry_new(const struct iovageom_allocator *allocator, const char *name,
                          struct iovageom_geometry **out)
{
    struct iovageom_geometry *geometry = NULL;
    int status = IOVAGEOM_ERR_INVALID;

    allocator = iovageom_allocator_chosen(allocator);
    if (allocator != NULL)
        status = make(allocator, 0, 1, &geometry);
    if (status == IOVAGEOM_OK)
        status = iovageom_owner_init(&geometry->self, IOVAGEOM_SOURCE_OTHER, name);
    if (status == IOVAGEOM_OK)
        *out = geometry;
    else
        iovageom_geometry_free(geometry);
    return status;
}

/* A set that is yet to be initialised, or NULL without memory for it. */
static struct iovageom_rangeset *new_ranges(struct iovageom_geometry *geometry)
{
    return geometry->taken < geometry->room
               ? &geometry->sets[geometry->taken++]
               : iovageom_array_new(&geometry->allocator, 1, sizeof(struct iovageom_rangeset));
}

static void free_ranges(const struct iovageom_geometry *geometry, struct iovageom_rangeset *ranges)
{
    iovageom_rangeset_deinit(ranges);
    if ((uintptr_t)ranges - (uintptr_t)geometry->sets >= geometry->room * sizeof(*ranges))
        iovageom_array_free(&geometry->allocator, ranges, 1, sizeof(*ranges));
}

static void free_facts(struct iovageom_geometry *geometry)
{
    for (size_t i = 0; i < geometry->count; i++)
        if (iovageom_fact_has_ranges(&geometry->facts[i]))
            free_ranges(geometry, geometry->facts[i].ranges);
}

/* Frees the table, but not what its facts own. */
static void free_table(const struct iovageom_geometry *geometry)
{
    if (geometry->facts != geometry->few)
        iovageom_array_free(&geometry->allocator, geometry->facts, geometry->capacity,
                            sizeof(*geometry->facts));
}

void iovageom_geometry_free(struct iovageom_geometry *geometry)
{
    if (geometry == NULL)
        return;
    free_facts(geometry);
    free_table(geometry);
    geometry->allocator.release(geometry->allocator.context, (uint8_t *)geometry - geometry->before,
                                geometry->before + sizeof(*geometry) +
                                    geometry->room * sizeof(geometry->sets[0]));
}

const char *iovageom_geometry_name(const struct iovageom_geometry *geometry)
{
    return geometry->self.name;
}

/* ---- the table ---- */

static int compare(const struct iovageom_geometry_fact *a, const struct iovageom_fact_key *b)
{
    int order;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    order = iovageom_owner_compare(&a->owner, b->owner);
    if (order == 0)
        order = (a->value > b->value) - (a->value < b->value);
    if (order == 0)
        order = (a->last > b->last) - (a->last < b->last);
    return order;
}

static int compare_facts(const void *one, const void *other)
{
    const struct iovageom_geometry_fact *b = other;
    const struct iovageom_fact_key key = {b->kind, &b->owner, b->value, b->last};

    return compare(one, &key);
}

int iovageom_geometry_reserve(struct iovageom_geometry *geometry, size_t capacity)
{
    struct iovageom_geometry_fact *facts;

    if (capacity <= geometry->capacity)
        return IOVAGEOM_OK;
    /* Does not wrap: as many facts are in memory, and one has more than two bytes. */
    if (capacity < geometry->capacity * 2)
        capacity = geometry->capacity * 2;
    facts = iovageom_array_new(&geometry->allocator, capacity, sizeof(*facts));
    if (facts == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    memcpy(facts, geometry->facts, geometry->count * sizeof(*facts));
    free_table(geometry);
    geometry->facts = facts;
    geometry->capacity = capacity;
    return IOVAGEOM_OK;
}

struct iovageom_geometry_fact *iovageom_geometry_open(struct iovageom_geometry *geometry,
                                                      const struct iovageom_fact_key *key,
                                                      bool in_order)
{
    struct iovageom_geometry_fact *row, *end;
    struct iovageom_rangeset *set = NULL;
    int order = 1;

    if (geometry->count == geometry->capacity &&
        iovageom_geometry_reserve(geometry, geometry->count + 1) < 0)
        return NULL;
    end = geometry->facts + geometry->count;
    row = in_order ? geometry->facts : end;
    while (row < end && row->kind < key->kind)
        row++;
    while (row < end && row->kind == key->kind && (order = compare(row, key)) < 0)
        row++;
    if (order == 0)
        return row;
    if (key->kind > IOVAGEOM_FACT_REGIONS) {
        set = new_ranges(geometry);
        if (set == NULL)
            return NULL;
        /* Can't fail: allocates nothing, and the allocator was checked when it was copied. */
        (void)iovageom_rangeset_init(set, &geometry->allocator);
    }
    if (row < end)
        memmove(row + 1, row, (size_t)(end - row) * sizeof(*row));
    row->kind = key->kind;
    row->owner = *key->owner;
    row->value = key->value;
    row->last = key->last;
    row->ranges = set;
    geometry->count++;
    return row;
}

int iovageom_geometry_close(struct iovageom_geometry *geometry, struct iovageom_geometry_fact *row,
                            int status)
{
    if (tree_in(row->ranges)->count == 0) {
        free_ranges(geometry, row->ranges);
        geometry->count--;
        memmove(row, row + 1, (size_t)(geometry->facts + geometry->count - row) * sizeof(*row));
    }
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
        } else if (iovageom_fact_has_ranges(last)) {
            if (status == IOVAGEOM_OK)
                status = iovageom_rangeset_union(last->ranges, last->ranges, facts[i].ranges);
            free_ranges(geometry, facts[i].ranges);
        }
    }
    geometry->count = kept;
    return status;
}

const struct iovageom_geometry_fact *iovageom_geometry_facts_of(
    const struct iovageom_geometry *geometry, uint32_t kind, const struct iovageom_owner *owner,
    size_t *count)
{
    /* value and last are 0, the lowest: no fact of that kind and owner is before the key. */
    const struct iovageom_fact_key key = {kind, owner, 0, 0};
    const struct iovageom_geometry_fact *first = geometry->facts, *end;

    for (size_t left = geometry->count; left > 0; left /= 2)
        if (compare(first + left / 2, &key) < 0) {
            first += left / 2 + 1;
            left--;
        }
    for (end = first; end < geometry->facts + geometry->count && end->kind == kind &&
                      iovageom_owner_compare(&end->owner, owner) == 0;)
        end++;
    if (count != NULL)
        *count = (size_t)(end - first);
    return end > first ? first : NULL;
}

const struct iovageom_geometry_fact *iovageom_geometry_next_fact(
    const struct iovageom_geometry *geometry, uint32_t kind, size_t *index)
{
    size_t i = *index;

    while (i < geometry->count && geometry->facts[i].kind < kind)
        i++;
    *index = i + 1;
    return i < geometry->count && (kind == IOVAGEOM_FACT_REGIONS || geometry->facts[i].kind == kind)
               ? &geometry->facts[i]
               : NULL;
}

/* In the resolved view a region starts where some range starts, or just above the end of a range
 * that took precedence below it. So n ranges make at most 2 n regions; a granule only joins. */
size_t iovageom_geometry_most_regions(const struct iovageom_geometry *geometry, size_t *first)
{
    const struct iovageom_geometry_fact *fact = geometry->facts + geometry->count;
    size_t most = 0;

    for (*first = geometry->count; *first > 0 && iovageom_fact_has_ranges(--fact); --*first)
        most += 2 * tree_in(fact->ranges)->count;
    return most;
}

/* ---- copies, and the meet ---- */

/* Appends copies of all facts. On an error only some of them. */
static int append_all(struct iovageom_geometry *geometry, const struct iovageom_geometry *from)
{
    int status = iovageom_geometry_reserve(geometry, geometry->count + from->count);
    struct iovageom_geometry_fact *row = geometry->facts + geometry->count;

    if (status == IOVAGEOM_OK)
        memcpy(row, from->facts, from->count * sizeof(*row));
    for (size_t i = 0; status == IOVAGEOM_OK && i < from->count; i++, row++) {
        if (iovageom_fact_has_ranges(row)) {
            row->ranges = new_ranges(geometry);
            if (row->ranges == NULL)
                return IOVAGEOM_ERR_NO_MEMORY;
            /* A set without nodes is all in the object. */
            *tree_of(row->ranges) = *tree_in(from->facts[i].ranges);
            tree_of(row->ranges)->allocator = geometry->allocator;
            if (tree_in(row->ranges)->root.node != NULL) {
                (void)iovageom_rangeset_init(row->ranges, &geometry->allocator);
                status = iovageom_rangeset_assign(row->ranges, from->facts[i].ranges);
            }
        }
        geometry->count++;
    }
    return status;
}

int iovageom_geometry_copy_behind(const struct iovageom_allocator *allocator,
                                  const struct iovageom_geometry *from, size_t before, size_t room,
                                  struct iovageom_geometry **out)
{
    struct iovageom_geometry *to;
    int status = make(allocator, before, room, &to);

    if (status < 0)
        return status;
    to->self = from->self;
    status = append_all(to, from);
    if (status == IOVAGEOM_OK)
        *out = to;
    else
        iovageom_geometry_free(to);
    return status;
}

int iovageom_geometry_copy(const struct iovageom_geometry *geometry, struct iovageom_geometry **out)
{
    return iovageom_geometry_copy_behind(&geometry->allocator, geometry, 0, 0, out);
}

int iovageom_geometry_take(struct iovageom_geometry *geometry, struct iovageom_geometry *from,
                           int status)
{
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_reserve(geometry, from->count);
    if (status == IOVAGEOM_OK) {
        free_facts(geometry);
        memcpy(geometry->facts, from->facts, from->count * sizeof(*from->facts));
        geometry->count = from->count;
        from->count = 0;
    }
    iovageom_geometry_free(from);
    return status;
}

/*
 * Everything in a geometry narrows it, so the meet is the union of the facts. It is built apart,
 * and replaces the old table when nothing can fail any more.
 */
int iovageom_geometry_narrow(struct iovageom_geometry *geometry,
                             const struct iovageom_geometry *other)
{
    struct iovageom_geometry *all;
    int status = iovageom_geometry_copy(geometry, &all);

    if (status < 0)
        return status;
    status = append_all(all, other);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_settle(all);
    return iovageom_geometry_take(geometry, all, status);
}

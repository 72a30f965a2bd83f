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

/* With so many bytes before it, and room for so many sets behind it, which exist elsewhere: so
 * their size does not wrap. */
static int make(const struct iovageom_allocator *allocator, size_t before, size_t sets,
                struct iovageom_geometry **out)
{
    const size_t size = sizeof(**out) + sets * sizeof(struct iovageom_rangeset);
    uint8_t *memory = NULL;
    struct iovageom_geometry *geometry;

    if (before <= SIZE_MAX - size)
        memory = allocator->allocate(allocator->context, before + size);
    if (memory == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    geometry = (struct iovageom_geometry *)(void *)(memory + before);
    geometry->allocator = *allocator;
    geometry->facts = geometry->few;
    geometry->count = 0;
    geometry->capacity = sizeof(geometry->few) / sizeof(geometry->few[0]);
    geometry->before = before;
    geometry->size = size;
    geometry->whole = true;
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
        status = make(allocator, 0, 0, &geometry);
    if (status == IOVAGEOM_OK)
        status = iovageom_owner_init(&geometry->self, IOVAGEOM_SOURCE_OTHER, name);
    if (status == IOVAGEOM_OK)
        *out = geometry;
    else
        iovageom_geometry_free(geometry);
    return status;
}

/* Frees a set, but for its own memory where that is the geometry's. */
static void free_ranges(const struct iovageom_geometry *geometry, struct iovageom_rangeset *ranges)
{
    iovageom_rangeset_deinit(ranges);
    if ((uintptr_t)ranges - (uintptr_t)geometry >= geometry->size)
        iovageom_array_free(&geometry->allocator, ranges, 1, sizeof(*ranges));
}

/* Frees the table, but not what its facts own. */
static void free_table(const struct iovageom_geometry *geometry)
{
    if (geometry->facts != geometry->few)
        iovageom_array_free(&geometry->allocator, geometry->facts, geometry->capacity,
                            sizeof(*geometry->facts));
}

void iovageom_geometry_drop(struct iovageom_geometry *geometry)
{
    const struct iovageom_geometry_fact *fact = geometry->facts;

    for (size_t left = geometry->count; left > 0; left--, fact++)
        if (fact->ranges != NULL)
            free_ranges(geometry, fact->ranges);
    free_table(geometry);
}

void iovageom_geometry_free(struct iovageom_geometry *geometry)
{
    if (geometry == NULL)
        return;
    if (!geometry->whole)
        iovageom_geometry_drop(geometry);
    geometry->allocator.release(geometry->allocator.context, (uint8_t *)geometry - geometry->before,
                                geometry->before + geometry->size);
}

const char *iovageom_geometry_name(const struct iovageom_geometry *geometry)
{
    return geometry->self.name;
}

/* ---- the table ---- */

static int compare(const struct iovageom_geometry_fact *a, const struct iovageom_fact_key *b)
{
    int order = (a->kind > b->kind) - (a->kind < b->kind);

    if (order == 0)
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
    geometry->whole = false;
    return IOVAGEOM_OK;
}

/* A fact, or where it would have to be inserted. */
static struct iovageom_geometry_fact *place_of(const struct iovageom_geometry *geometry,
                                               const struct iovageom_fact_key *key)
{
    struct iovageom_geometry_fact *low = geometry->facts;

    for (size_t left = geometry->count; left > 0; left /= 2) {
        const struct iovageom_geometry_fact *middle = low + left / 2;

        if (compare(middle, key) < 0) {
            low += left / 2 + 1;
            left--;
        }
    }
    return low;
}

struct iovageom_geometry_fact *iovageom_geometry_open(struct iovageom_geometry *geometry,
                                                      const struct iovageom_fact_key *key,
                                                      bool in_order)
{
    const size_t rest = sizeof(key->owner->name) - 32;
    struct iovageom_geometry_fact *row, *end;
    struct iovageom_rangeset *set = NULL;

    if (geometry->count == geometry->capacity &&
        iovageom_geometry_reserve(geometry, geometry->count + 1) < 0)
        return NULL;
    end = geometry->facts + geometry->count;
    row = in_order ? geometry->facts : end;
    geometry->whole = false;
    /* Facts are moved for a new one in any case. */
    while (row < end && row->kind < key->kind)
        row++;
    if (row < end && row->kind == key->kind) {
        row = place_of(geometry, key);
        if (row < end && compare(row, key) == 0)
            return row;
    }
    if (key->kind > IOVAGEOM_FACT_REGIONS) {
        set = iovageom_array_new(&geometry->allocator, 1, sizeof(*set));
        if (set == NULL)
            return NULL;
        /* Can't fail: allocates nothing, and the allocator was checked when it was copied. */
        (void)iovageom_rangeset_init(set, &geometry->allocator);
    }
    if (row < end)
        memmove(row + 1, row, (size_t)(end - row) * sizeof(*row));
    row->kind = key->kind;
    /* In parts: gcc's -Os would copy all of it word by word, and the source was stored just now. */
    row->owner.source = key->owner->source;
    memcpy(row->owner.name, key->owner->name, 32);
    memcpy(row->owner.name + rest, key->owner->name + rest, 32);
    row->value = key->value;
    row->last = key->last;
    row->ranges = set;
    geometry->count++;
    return row;
}

int iovageom_geometry_close(struct iovageom_geometry *geometry, struct iovageom_geometry_fact *row,
                            int status)
{
    if (row->ranges == NULL || tree_in(row->ranges)->count > 0)
        return status;
    free_ranges(geometry, row->ranges);
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
            free_ranges(geometry, facts[i].ranges);
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
    const struct iovageom_geometry_fact *first = place_of(geometry, &key), *end = first;

    while (end < geometry->facts + geometry->count && end->kind == kind &&
           iovageom_owner_compare(&end->owner, owner) == 0)
        end++;
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
 * that took precedence below it. So n ranges make 2 n regions at most; a granule only joins more. */
size_t iovageom_geometry_most_regions(const struct iovageom_geometry *geometry, size_t *first)
{
    const struct iovageom_geometry_fact *fact = geometry->facts + geometry->count;
    size_t most = 0;

    for (*first = geometry->count; *first > 0 && (--fact)->ranges != NULL; --*first)
        most += 2 * tree_in(fact->ranges)->count;
    return most;
}

/* ---- the meet ---- */

int iovageom_geometry_append_copy(struct iovageom_geometry *geometry,
                                  const struct iovageom_geometry_fact *fact)
{
    const struct iovageom_fact_key key = {fact->kind, &fact->owner, fact->value, fact->last};
    struct iovageom_geometry_fact *row = iovageom_geometry_open(geometry, &key, false);

    if (row == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    if (fact->ranges == NULL)
        return IOVAGEOM_OK;
    return iovageom_geometry_close(geometry, row,
                                   iovageom_rangeset_assign(row->ranges, fact->ranges));
}

void iovageom_geometry_take(struct iovageom_geometry *geometry, struct iovageom_geometry *from)
{
    iovageom_geometry_drop(geometry);
    geometry->whole = false;
    geometry->facts = from->facts;
    geometry->count = from->count;
    geometry->capacity = from->capacity;
    from->facts = NULL;
    from->count = 0;
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

    for (size_t i = 0; status == IOVAGEOM_OK && i < geometry->count + other->count; i++)
        status = iovageom_geometry_append_copy(
            &all, i < geometry->count ? &geometry->facts[i] : &other->facts[i - geometry->count]);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_settle(&all);
    if (status == IOVAGEOM_OK && all.count > 0)
        iovageom_geometry_take(geometry, &all);
    iovageom_geometry_drop(&all);
    return status;
}

int iovageom_geometry_copy_behind(const struct iovageom_allocator *allocator,
                                  const struct iovageom_geometry *from, size_t before,
                                  struct iovageom_geometry **out)
{
    struct iovageom_geometry *to;
    size_t first;
    int status;

    (void)iovageom_geometry_most_regions(from, &first);
    status = make(allocator, before, from->count - first, &to);
    if (status < 0)
        return status;
    to->self = from->self;
    status = iovageom_geometry_reserve(to, from->count);
    if (status == IOVAGEOM_OK) {
        memcpy(to->facts, from->facts, from->count * sizeof(*to->facts));
        to->count = first;
    }
    for (struct iovageom_rangeset *set = (struct iovageom_rangeset *)(to + 1);
         status == IOVAGEOM_OK && to->count < from->count; set++) {
        const struct iovageom_rangeset *ranges = from->facts[to->count].ranges;

        /* What is all in the object is copied with it. */
        *tree_of(set) = *tree_in(ranges);
        tree_of(set)->allocator = *allocator;
        if (tree_in(ranges)->root != NULL) {
            to->whole = false;
            (void)iovageom_rangeset_init(set, allocator);
            status = iovageom_rangeset_assign(set, ranges);
        }
        to->facts[to->count++].ranges = set;
    }
    if (status == IOVAGEOM_OK)
        *out = to;
    else
        iovageom_geometry_free(to);
    return status;
}

int iovageom_geometry_copy(const struct iovageom_geometry *geometry, struct iovageom_geometry **out)
{
    return iovageom_geometry_copy_behind(&geometry->allocator, geometry, 0, out);
}

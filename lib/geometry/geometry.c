/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/pgsize.h>
#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "../base/array.h"
#include "../base/sort.h"
#include "../base/text.h"
#include "internal.h"

/*
 * FEW_FACTS: the first allocation of facts. FEW_RANGES: lists up to this length are complemented on
 * the stack. A usual host states fewer of both, so it costs one allocation for all facts.
 */
enum { FEW_FACTS = 8, FEW_RANGES = 8 };

/* ---- making ---- */

int iovageom_geometry_new(const struct iovageom_allocator *allocator, const char *name,
                          struct iovageom_geometry **out)
{
    size_t length = iovageom_text_length(name, IOVAGEOM_NAME_SIZE);
    struct iovageom_geometry *geometry;
    struct iovageom_resv *resv;
    int status;

    if (length == IOVAGEOM_NAME_SIZE)
        return IOVAGEOM_ERR_INVALID;
    status = iovageom_resv_new(allocator, &resv);
    if (status < 0)
        return status;
    allocator = iovageom_resv_allocator(resv);
    geometry = allocator->allocate(allocator->context, sizeof(*geometry));
    if (geometry == NULL) {
        iovageom_resv_free(resv);
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    *geometry = (struct iovageom_geometry){.allocator = *allocator, .resv = resv};
    memcpy(geometry->name, name, length);
    *out = geometry;
    return IOVAGEOM_OK;
}

void iovageom_geometry_free(struct iovageom_geometry *geometry)
{
    if (geometry == NULL)
        return;
    struct iovageom_allocator allocator = geometry->allocator;
    iovageom_resv_free(geometry->resv);
    iovageom_array_free(&allocator, geometry->facts, geometry->capacity, sizeof(*geometry->facts));
    allocator.release(allocator.context, geometry, sizeof(*geometry));
}

const char *iovageom_geometry_name(const struct iovageom_geometry *geometry)
{
    return geometry->name;
}

/* ---- facts ---- */

static int compare_facts(const struct iovageom_geometry_fact *a,
                         const struct iovageom_geometry_fact *b)
{
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
    if (capacity < FEW_FACTS)
        capacity = FEW_FACTS;
    facts = iovageom_array_moved(&geometry->allocator, geometry->facts, geometry->count,
                                 geometry->capacity, capacity, sizeof(*facts));
    if (facts == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
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

/* Inserts a fact unless it is there. The caller has reserved the room, so this can't fail. */
static void put_fact(struct iovageom_geometry *geometry, const struct iovageom_geometry_fact *fact)
{
    size_t index = place_of(geometry, fact);
    struct iovageom_geometry_fact *place = geometry->facts + index;

    if (index < geometry->count && compare_facts(place, fact) == 0)
        return;
    memmove(place + 1, place, (geometry->count - index) * sizeof(*place));
    *place = *fact;
    geometry->count++;
}

static int compare_items(const void *a, const void *b)
{
    return compare_facts(a, b);
}

void iovageom_geometry_settle(struct iovageom_geometry *geometry)
{
    struct iovageom_geometry_fact *facts = geometry->facts;
    size_t kept = 0;

    iovageom_sort(facts, geometry->count, sizeof(*facts), compare_items);
    for (size_t i = 0; i < geometry->count; i++)
        if (kept == 0 || compare_facts(&facts[kept - 1], &facts[i]) != 0)
            facts[kept++] = facts[i];
    geometry->count = kept;
}

void iovageom_geometry_put_all(struct iovageom_geometry *geometry,
                               const struct iovageom_geometry *other)
{
    if (other->count > 0)
        memcpy(geometry->facts + geometry->count, other->facts,
               other->count * sizeof(*other->facts));
    geometry->count += other->count;
    iovageom_geometry_settle(geometry);
}

/* Whether fact number `index` is there, and of that kind and owner. */
static bool is_of(const struct iovageom_geometry *geometry, size_t index, enum iovageom_fact kind,
                  const struct iovageom_owner *owner)
{
    return index < geometry->count && geometry->facts[index].kind == (uint32_t)kind &&
           iovageom_owner_compare(&geometry->facts[index].owner, owner) == 0;
}

const struct iovageom_geometry_fact *iovageom_geometry_first_of(
    const struct iovageom_geometry *geometry, enum iovageom_fact kind,
    const struct iovageom_owner *owner)
{
    /* value and last are 0, the lowest: no fact of that kind and owner is before the key. */
    const struct iovageom_geometry_fact key = {.kind = (uint32_t)kind, .owner = *owner};
    size_t index = place_of(geometry, &key);

    return is_of(geometry, index, kind, owner) ? geometry->facts + index : NULL;
}

const struct iovageom_geometry_fact *iovageom_geometry_facts_of(
    const struct iovageom_geometry *geometry, enum iovageom_fact kind,
    const struct iovageom_owner *owner, size_t *count)
{
    const struct iovageom_geometry_fact *first = iovageom_geometry_first_of(geometry, kind, owner);

    *count = 0;
    while (first != NULL &&
           is_of(geometry, (size_t)(first - geometry->facts) + *count, kind, owner))
        ++*count;
    return first;
}

const struct iovageom_geometry_fact *iovageom_geometry_next_fact(
    const struct iovageom_geometry *geometry, enum iovageom_fact kind, size_t *index)
{
    while (*index < geometry->count) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[(*index)++];

        if (fact->kind == (uint32_t)kind)
            return fact;
    }
    return NULL;
}

/*
 * Adds a fact, and the addresses that it reserves (NULL for none) as `type`; both or neither. What
 * can fail comes first: the room for the fact, then the regions; put_fact() can't.
 */
static int add(struct iovageom_geometry *geometry, struct iovageom_geometry_fact fact,
               enum iovageom_source source, const struct iovageom_rangeset *reserved,
               enum iovageom_resv_type type)
{
    int status = iovageom_owner_init(&fact.owner, source, geometry->name);

    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_reserve(geometry, geometry->count + 1);
    if (status == IOVAGEOM_OK && reserved != NULL)
        status = iovageom_resv_add_set(geometry->resv, reserved, type, &fact.owner);
    if (status == IOVAGEOM_OK)
        put_fact(geometry, &fact);
    return status;
}

/*
 * The complement of `ranges` in [0, 2^64-1]. The usual list is short and sorted; it is complemented
 * in an array, where n ranges leave n + 1 gaps at most, and not by way of a second set.
 */
static int complement(struct iovageom_rangeset *set, const struct iovageom_range *ranges,
                      size_t count)
{
    struct iovageom_range few[FEW_RANGES + 1];
    int status;

    if (count <= FEW_RANGES && iovageom_ranges_normal(ranges, count)) {
        (void)iovageom_ranges_complement(ranges, count, IOVAGEOM_EVERYTHING, few, FEW_RANGES + 1,
                                         &count);
        return iovageom_rangeset_from_array(set, few, count);
    }
    status = iovageom_rangeset_from_array(set, ranges, count);
    return status < 0 ? status : iovageom_rangeset_complement(set, set, IOVAGEOM_EVERYTHING);
}

/* Adds a fact by which only the addresses in `ranges` are usable; an empty list leaves none. */
static int add_complement(struct iovageom_geometry *geometry, struct iovageom_geometry_fact fact,
                          const struct iovageom_range *ranges, size_t count,
                          enum iovageom_source source)
{
    struct iovageom_rangeset set;
    int status = iovageom_rangeset_init(&set, &geometry->allocator);

    if (status == IOVAGEOM_OK)
        status = complement(&set, ranges, count);
    if (status == IOVAGEOM_OK)
        status = add(geometry, fact, source, &set, IOVAGEOM_RESV_RESERVED);
    iovageom_rangeset_deinit(&set);
    return status;
}

int iovageom_geometry_add_aperture(struct iovageom_geometry *geometry,
                                   struct iovageom_range aperture, enum iovageom_source source)
{
    struct iovageom_geometry_fact fact = {
        .kind = IOVAGEOM_FACT_APERTURE, .value = aperture.start, .last = aperture.last};

    return add_complement(geometry, fact, &aperture, 1, source);
}

int iovageom_geometry_add_gaw(struct iovageom_geometry *geometry, unsigned bits,
                              enum iovageom_source source)
{
    struct iovageom_range aperture;
    int status = iovageom_range_from_gaw(bits, &aperture);

    if (status < 0)
        return status;
    return iovageom_geometry_add_aperture(geometry, aperture, source);
}

int iovageom_geometry_add_usable(struct iovageom_geometry *geometry,
                                 const struct iovageom_range *ranges, size_t count,
                                 enum iovageom_source source)
{
    struct iovageom_geometry_fact fact = {.kind = IOVAGEOM_FACT_USABLE};

    return add_complement(geometry, fact, ranges, count, source);
}

int iovageom_geometry_add_reserved(struct iovageom_geometry *geometry, struct iovageom_range range,
                                   enum iovageom_resv_type type, enum iovageom_source source)
{
    struct iovageom_geometry_fact fact = {.kind = IOVAGEOM_FACT_RESERVED};
    struct iovageom_rangeset one;
    int status = iovageom_rangeset_init(&one, &geometry->allocator);

    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_insert(&one, range);
    if (status == IOVAGEOM_OK)
        status = add(geometry, fact, source, &one, type);
    iovageom_rangeset_deinit(&one);
    return status;
}

/* Adds a fact that is a number and reserves nothing. */
static int add_number(struct iovageom_geometry *geometry, enum iovageom_fact kind, uint64_t value,
                      enum iovageom_source source)
{
    struct iovageom_geometry_fact fact = {.kind = (uint32_t)kind, .value = value};

    return add(geometry, fact, source, NULL, IOVAGEOM_RESV_RESERVED);
}

int iovageom_geometry_add_reserved_known(struct iovageom_geometry *geometry,
                                         enum iovageom_source source)
{
    return add_number(geometry, IOVAGEOM_FACT_RESERVED, 0, source);
}

int iovageom_geometry_add_page_sizes(struct iovageom_geometry *geometry, uint64_t mask,
                                     enum iovageom_source source)
{
    return add_number(geometry, IOVAGEOM_FACT_PAGE_SIZES, mask, source);
}

int iovageom_geometry_add_alignment(struct iovageom_geometry *geometry, uint64_t alignment,
                                    enum iovageom_source source)
{
    if (!iovageom_pgsize_is_power(alignment))
        return IOVAGEOM_ERR_INVALID;
    return add_number(geometry, IOVAGEOM_FACT_ALIGNMENT, alignment, source);
}

int iovageom_geometry_add_map_budget(struct iovageom_geometry *geometry, uint64_t mappings,
                                     enum iovageom_source source)
{
    return add_number(geometry, IOVAGEOM_FACT_MAP_BUDGET, mappings, source);
}

int iovageom_geometry_add_incomplete(struct iovageom_geometry *geometry,
                                     enum iovageom_source source)
{
    return add_number(geometry, IOVAGEOM_FACT_INCOMPLETE, 0, source);
}

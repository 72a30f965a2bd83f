/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/array.h"
#include "model.h"

/*
 * The index of a domain's mappings by the addresses that they lead to, for a VMM that asks for it.
 *
 * Mappings may lead to the same addresses, so no tree of disjoint ranges can hold these. This is a
 * priority search tree (McCreight): each node is a mapping. Its key has 128 bits, the address that
 * it leads to and then its IOVA, and no two are the same. At depth d, bit d of a key says which way
 * it goes, from the highest bit on: so what is below on the left comes before what is below on the
 * right, and no way is longer than a key, whatever a guest maps. And no mapping reaches higher in
 * addresses than the one above it: so where one doesn't reach high enough, nothing below it does.
 */
struct iovageom_back {
    struct iovageom_mapping mapping;
    struct iovageom_back *below[2];
};

/* The last address that the mapping leads to. */
static uint64_t reach_of(const struct iovageom_mapping *mapping)
{
    return mapping->phys + (mapping->range.last - mapping->range.start);
}

static bool reaches(const struct iovageom_back *node, uint64_t address)
{
    return node != NULL && reach_of(&node->mapping) >= address;
}

static bool comes_after(const struct iovageom_mapping *a, const struct iovageom_mapping *b)
{
    return a->phys != b->phys ? a->phys > b->phys : a->range.start > b->range.start;
}

static unsigned way_of(const struct iovageom_mapping *mapping, unsigned depth)
{
    return (depth < 64 ? mapping->phys : mapping->range.start) >> (63 - depth % 64) & 1;
}

int iovageom_back_add(struct iovageom_viommu *viommu, struct iovageom_domain *domain,
                      const struct iovageom_mapping *mapping)
{
    struct iovageom_back *made = iovageom_array_new(&viommu->allocator, 1, sizeof(*made));
    struct iovageom_back **link = &domain->back;
    struct iovageom_mapping carried = *mapping;

    if (made == NULL) {
        /* The ledger may have got a leaf and given it up again, and a request between begin and end
         * holds a place in it: that one has to decide anew. */
        viommu->changes++;
        (void)iovageom_itree_erase(&domain->mappings.tree, mapping->range);
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    /* Whichever reaches higher stays here, the other one goes on down. */
    for (unsigned depth = 0; *link != NULL; depth++) {
        const struct iovageom_mapping here = (*link)->mapping;

        if (reach_of(&here) < reach_of(&carried)) {
            (*link)->mapping = carried;
            carried = here;
        }
        link = &(*link)->below[way_of(&carried, depth)];
    }
    *made = (struct iovageom_back){carried, {NULL, NULL}};
    *link = made;
    return IOVAGEOM_OK;
}

/* The one below that reaches higher takes the place, and so on down; the last node is freed. */
static void back_drop(struct iovageom_domain *domain, const struct iovageom_mapping *mapping)
{
    struct iovageom_back **link = &domain->back;

    for (unsigned depth = 0; (*link)->mapping.range.start != mapping->range.start; depth++)
        link = &(*link)->below[way_of(mapping, depth)];
    while ((*link)->below[0] != NULL || (*link)->below[1] != NULL) {
        struct iovageom_back *node = *link, *low = node->below[0], *high = node->below[1];
        const bool way = low == NULL || reaches(high, reach_of(&low->mapping));

        node->mapping = node->below[way]->mapping;
        link = &node->below[way];
    }
    iovageom_array_free(&domain->mappings.tree.allocator, *link, 1, sizeof(**link));
    *link = NULL;
}

void iovageom_back_remove(struct iovageom_domain *domain, struct iovageom_range range)
{
    struct iovageom_itree_cursor cursor;
    struct iovageom_mapping mapping;

    iovageom_itree_cursor_init(&cursor, &domain->mappings.tree, range.start);
    while (iovageom_mappings_next(&cursor, &mapping) && mapping.range.start <= range.last)
        back_drop(domain, &mapping);
}

/*
 * The first after `after` that reaches `address`. Either it is on the way that `after` itself would
 * go, or it is the first one in `rest`, the nearest part on the right of that way.
 */
static const struct iovageom_mapping *back_next(const struct iovageom_back *node,
                                                const struct iovageom_mapping *after,
                                                uint64_t address)
{
    const struct iovageom_mapping *best = NULL;
    const struct iovageom_back *rest = after != NULL ? NULL : node;

    for (unsigned depth = 0; after != NULL && reaches(node, address); depth++) {
        const unsigned way = way_of(after, depth);

        if (comes_after(&node->mapping, after) &&
            (best == NULL || comes_after(best, &node->mapping)))
            best = &node->mapping;
        if (way == 0 && reaches(node->below[1], address))
            rest = node->below[1];
        node = node->below[way];
    }
    for (; reaches(rest, address); rest = rest->below[!reaches(rest->below[0], address)])
        if (best == NULL || comes_after(best, &rest->mapping))
            best = &rest->mapping;
    return best;
}

bool iovageom_back_find(const struct iovageom_domain *domain, struct iovageom_range phys,
                        bool whole, const struct iovageom_mapping *after,
                        struct iovageom_mapping *out)
{
    /* What is found begins at `from` or below, and reaches `reached`. */
    const uint64_t from = whole ? phys.start : phys.last;
    const uint64_t reached = whole ? phys.last : phys.start;
    const struct iovageom_mapping *best = NULL;
    struct iovageom_itree_cursor cursor;
    struct iovageom_mapping mapping, least;

    if (domain->indexed)
        best = back_next(domain->back, after, reached);
    iovageom_itree_cursor_init(&cursor, &domain->mappings.tree, 0);
    while (!domain->indexed && iovageom_mappings_next(&cursor, &mapping))
        if (reach_of(&mapping) >= reached && (after == NULL || comes_after(&mapping, after)) &&
            (best == NULL || comes_after(best, &mapping))) {
            least = mapping;
            best = &least;
        }
    if (best == NULL || best->phys > from)
        return false;
    *out = *best;
    return true;
}

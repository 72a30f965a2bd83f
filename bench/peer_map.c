/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What carries something for each range, to see what that costs beside a set: the ledger of
 * mappings (a physical address and flags, with the rules of MAP and UNMAP).
 */
#include <stdlib.h>

#include "../tests/support/test_mappings.h"

#include "bench.h"

static void *mappings_create(void)
{
    struct iovageom_mappings *mappings = malloc(sizeof(*mappings));

    if (!mappings || iovageom_mappings_init(mappings, BENCH_PAGE, NULL) != 0)
        abort();
    return mappings;
}

static void mappings_destroy(void *set)
{
    iovageom_mappings_deinit(set);
    free(set);
}

static uint64_t mappings_map(void *set, struct iovageom_range range)
{
    struct iovageom_mapping mapping = {range, range.start ^ 0x1000, 3};

    return test_mappings_map(set, &mapping) == 0;
}

static uint64_t mappings_insert(void *set, const struct iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += mappings_map(set, ranges[i]);
    return sum;
}

static uint64_t mappings_churn(void *set, const struct iovageom_range *ranges, size_t count,
                               size_t lag)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += test_mappings_unmap(set, ranges[i], NULL) == 0;
        if (i >= lag)
            sum += mappings_map(set, ranges[i - lag]);
    }
    for (size_t i = count - lag; i < count; i++)
        sum += mappings_map(set, ranges[i]);
    return sum;
}

static uint64_t mappings_lookup(void *set, const uint64_t *addresses, size_t count)
{
    struct iovageom_mapping found = {{0, 0}, 0, 0};
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        bool hit = iovageom_mappings_first_overlap(
            set, (struct iovageom_range){addresses[i], addresses[i]}, &found);

        sum += bench_term(hit, found.range.start, found.range.last);
    }
    return sum;
}

static uint64_t mappings_iterate(void *set)
{
    struct iovageom_itree_cursor cursor;
    struct iovageom_mapping mapping;
    uint64_t sum = 0;

    iovageom_itree_cursor_init(&cursor, &((struct iovageom_mappings *)set)->tree, 0);
    while (iovageom_mappings_next(&cursor, &mapping))
        sum += mapping.range.start ^ mapping.range.last;
    return sum;
}

static const struct bench_peer mappings = {
    .name = "mappings",
    .what = "libiovageom mappings: ours, as the ledger of a domain",
    .create = mappings_create,
    .destroy = mappings_destroy,
    .insert = mappings_insert,
    .churn = mappings_churn,
    .lookup = mappings_lookup,
    .iterate = mappings_iterate,
};
BENCH_PEER(mappings)

/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges, sets, maps and ledgers. */
#include "set/rangeset_internal.h"
#include "complexity.h"

#include "../support/test_mappings.h"

static struct iovageom_range *array(size_t n, bool in_order)
{
    struct iovageom_range *ranges = room(n, sizeof(*ranges));

    for (size_t i = 0; i < n; i++)
        ranges[i] = in_order ? ordered(i) : scattered(i, n);
    return ranges;
}

static void fill(struct iovageom_rangeset *set, size_t n)
{
    struct iovageom_range *ranges = array(n, true);

    must(iovageom_rangeset_init(set, NULL) == 0);
    must(iovageom_rangeset_from_array(set, ranges, n) == 0);
    free(ranges);
}

static void ranges_normalize(size_t n)
{
    struct iovageom_range *ranges = array(n, false);
    size_t count = n;

    start();
    must(iovageom_ranges_normalize(ranges, &count) == 0);
    stop();
    must(count == n);
    free(ranges);
}

/* Numbers that agree in all bits but one differ at another level of a sort by digits. */
static void ranges_normalize_bits(size_t n)
{
    struct iovageom_range *ranges = room(n, sizeof(*ranges));
    size_t count = n;

    for (size_t i = 0; i < n; i++)
        ranges[i] = R(UINT64_C(1) << (63 - i % 64) | i / 64 % 2, UINT64_MAX);
    start();
    must(iovageom_ranges_normalize(ranges, &count) == 0);
    stop();
    free(ranges);
}

static void ranges_algebra(size_t n)
{
    struct iovageom_range *a = array(n, true), *out = room(2 * n + 1, sizeof(*out));
    size_t count;

    start();
    must(iovageom_ranges_union(a, n, a, n / 2, out, 2 * n, &count) == 0);
    must(iovageom_ranges_intersection(a, n, a, n / 2, out, 2 * n, &count) == 0);
    must(iovageom_ranges_difference(a, n, a, n / 2, out, 2 * n, &count) == 0);
    must(iovageom_ranges_complement(a, n, ALL, out, 2 * n, &count) == 0);
    stop();
    free(a);
    free(out);
}

static void set_from_array(size_t n)
{
    struct iovageom_range *ranges = array(n, false);
    struct iovageom_rangeset set;

    must(iovageom_rangeset_init(&set, NULL) == 0);
    start();
    must(iovageom_rangeset_from_array(&set, ranges, n) == 0);
    stop();
    iovageom_rangeset_deinit(&set);
    free(ranges);
}

static void set_insert_remove(size_t n)
{
    struct iovageom_rangeset set;

    must(iovageom_rangeset_init(&set, NULL) == 0);
    start();
    for (size_t i = 0; i < n; i++)
        must(iovageom_rangeset_insert(&set, scattered(i, n)) == 0);
    for (size_t i = 0; i < n; i++)
        must(iovageom_rangeset_remove(&set, scattered(i, n)) == 0);
    stop();
    iovageom_rangeset_deinit(&set);
}

static void set_insert_down(size_t n)
{
    struct iovageom_rangeset set;

    must(iovageom_rangeset_init(&set, NULL) == 0);
    start();
    for (size_t i = n; i-- > 0;)
        must(iovageom_rangeset_insert(&set, ordered(i)) == 0);
    stop();
    iovageom_rangeset_deinit(&set);
}

static void set_ask(size_t n)
{
    struct iovageom_rangeset set;
    struct iovageom_range out;

    fill(&set, n);
    start();
    for (size_t i = 0; i < 64; i++) {
        const struct iovageom_range range = ordered(i * (n / 64));

        must(iovageom_rangeset_contains(&set, (struct iovageom_range){range.last, range.last}));
        must(iovageom_rangeset_contains(&set, range));
        must(iovageom_rangeset_overlaps(&set, range));
        must(iovageom_rangeset_first_overlap(&set, range, &out));
        must(iovageom_rangeset_gap_above(&set, range.start, &out));
        must(iovageom_rangeset_gap_below(&set, range.start, &out));
        must(iovageom_rangeset_hole(&set, ALL, 16 * PAGE, 1, false, &out) == 0);
        must(iovageom_rangeset_hole(&set, ALL, 16 * PAGE, 1, true, &out) == 0);
    }
    stop();
    iovageom_rangeset_deinit(&set);
}

/* Every gap is long enough, and none has the alignment. */
static void set_hole_askew(size_t n)
{
    struct iovageom_rangeset set;
    struct iovageom_range out, limits = {16 * PAGE, ordered(n - 1).last};

    fill(&set, n);
    start();
    must(iovageom_rangeset_hole(&set, limits, PAGE, 4 * n * PAGE, false, &out) < 0);
    must(iovageom_rangeset_hole(&set, limits, PAGE, 4 * n * PAGE, true, &out) < 0);
    stop();
    iovageom_rangeset_deinit(&set);
}

static void set_algebra(size_t n)
{
    struct iovageom_rangeset a, b, out;

    fill(&a, n);
    fill(&b, n / 2);
    must(iovageom_rangeset_init(&out, NULL) == 0);
    start();
    must(iovageom_rangeset_union(&out, &a, &b) == 0);
    must(iovageom_rangeset_intersection(&out, &a, &b) == 0);
    must(iovageom_rangeset_difference(&out, &a, &b) == 0);
    must(iovageom_rangeset_complement(&out, &a, ALL) == 0);
    must(iovageom_rangeset_clip(&out, &a, ALL) == 0);
    must(iovageom_rangeset_align_inward(&out, &a, PAGE) == 0);
    must(iovageom_rangeset_align_outward(&out, &a, 4 * PAGE) == 0);
    must(iovageom_rangeset_assign(&out, &a) == 0);
    must(iovageom_rangeset_equal(&out, &a));
    must(iovageom_rangeset_size(&a).lo == n * PAGE);
    stop();
    iovageom_rangeset_deinit(&a);
    iovageom_rangeset_deinit(&b);
    iovageom_rangeset_deinit(&out);
}

/* n unions, each with one range, of a set of n. */
static void set_union_few(size_t n)
{
    struct iovageom_rangeset set, one;

    fill(&set, n);
    must(iovageom_rangeset_init(&one, NULL) == 0);
    start();
    for (size_t i = 0; i < n; i++) {
        iovageom_rangeset_clear(&one);
        must(iovageom_rangeset_insert(&one, R((i + 2 * n) * 4 * PAGE, (i + 2 * n) * 4 * PAGE)) ==
             0);
        must(iovageom_rangeset_union(&set, &set, &one) == 0);
    }
    stop();
    iovageom_rangeset_deinit(&set);
    iovageom_rangeset_deinit(&one);
}

static void set_cursor(size_t n)
{
    struct iovageom_rangeset set;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    fill(&set, n);
    start();
    iovageom_rangeset_seek(&set, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        ;
    stop();
    iovageom_rangeset_deinit(&set);
}

static void ledger(struct iovageom_mappings *mappings, size_t n)
{
    must(iovageom_mappings_init(mappings, 8, NULL) == 0);
    for (size_t i = 0; i < n; i++) {
        const struct iovageom_mapping mapping = {scattered(i, n), 0, 3};

        must(test_mappings_map(mappings, &mapping) == 0);
    }
}

static void mappings_map_unmap(size_t n)
{
    struct iovageom_mappings mappings;

    start();
    ledger(&mappings, n);
    for (size_t i = 0; i < n; i++)
        must(test_mappings_unmap(&mappings, scattered(i, n), NULL) == 0);
    stop();
    iovageom_mappings_deinit(&mappings);
}

static void mappings_touching(size_t n)
{
    struct iovageom_mapping hit;
    struct iovageom_mappings mappings;
    struct iovageom_rangeset set;
    size_t found = 0;

    ledger(&mappings, n);
    fill(&set, n);
    start();
    for (; iovageom_mappings_touching(&mappings, &set, &hit); found++)
        must(test_mappings_unmap(&mappings, hit.range, NULL) == 0);
    must(found == n);
    stop();
    iovageom_mappings_deinit(&mappings);
    iovageom_rangeset_deinit(&set);
}

const struct measure measures_of_sets[] = {
    {"ranges_normalize", "sorts", GROWTH_LINEAR_LOG, 4096, ranges_normalize},
    {"ranges_normalize, one bit each", "sorts", GROWTH_LINEAR_LOG, 4096, ranges_normalize_bits},
    {"ranges: algebra", "O(n)", GROWTH_LINEAR, 4096, ranges_algebra},
    {"rangeset_from_array", "O(n log n)", GROWTH_LINEAR_LOG, 4096, set_from_array},
    {"rangeset_insert, _remove", "n times O(log n + k)", GROWTH_LINEAR_LOG, 4096,
     set_insert_remove},
    {"rangeset_insert, downwards", "n times O(log n + k)", GROWTH_LINEAR_LOG, 4096,
     set_insert_down},
    {"rangeset: questions", "O(log n)", GROWTH_LOG, 4096, set_ask},
    {"rangeset_hole, no gap aligned", "O(log n) each gap", GROWTH_LINEAR_LOG, 4096, set_hole_askew},
    {"rangeset: algebra", "O(n)", GROWTH_LINEAR, 4096, set_algebra},
    {"rangeset_union with one", "n times O(log n)", GROWTH_LINEAR_LOG, 4096, set_union_few},
    {"rangeset_next, _previous", "n times O(1)", GROWTH_LINEAR, 4096, set_cursor},
    {"mappings_map, _unmap", "n times O(log n + k)", GROWTH_LINEAR_LOG, 4096, mappings_map_unmap},
    {"mappings_touching", "O(n log n)", GROWTH_LINEAR_LOG, 4096, mappings_touching},
    {NULL, NULL, GROWTH_CONSTANT, 0, NULL},
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* Rust's BTreeMap, by the C ABI of btreemap.rs. */
#include "bench.h"

void *btreemap_create(void);
void btreemap_destroy(void *map);
uint64_t btreemap_insert(void *map, const struct iovageom_range *ranges, size_t count);
uint64_t btreemap_churn(void *map, const struct iovageom_range *ranges, size_t count, size_t lag);
uint64_t btreemap_lookup(void *map, const uint64_t *addresses, size_t count);
uint64_t btreemap_overlap(void *map, const struct iovageom_range *queries, size_t count);
uint64_t btreemap_iterate(void *map);
uint64_t btreemap_find_hole(void *map, const struct bench_hole *queries, size_t count);
void *btreemap_build(const struct iovageom_range *ranges, size_t count);

static const struct bench_peer btreemap = {
    .name = "btreemap",
    .what = "Rust BTreeMap, as crosvm and cloud-hypervisor keep mappings",
    .create = btreemap_create,
    .destroy = btreemap_destroy,
    .insert = btreemap_insert,
    .churn = btreemap_churn,
    .lookup = btreemap_lookup,
    .overlap = btreemap_overlap,
    .iterate = btreemap_iterate,
    .find_hole = btreemap_find_hole,
    .build_sorted = btreemap_build,
    .build_unsorted = btreemap_build,
};
BENCH_PEER(btreemap)

void *btreemap_books_create(uint32_t domain, const struct iovageom_range *reserved, size_t count);
void btreemap_books_destroy(void *books);
uint64_t btreemap_books_map(void *books, uint32_t domain, struct iovageom_range range);
uint64_t btreemap_books_unmap(void *books, uint32_t domain, struct iovageom_range range);

uint64_t btreemap_books_requests(void *books, struct bench_request *requests, size_t count);
uint64_t btreemap_books_translate(void *books, const uint64_t *addresses, size_t count);
uint64_t btreemap_books_translate_span(void *books, const struct iovageom_range *spans,
                                       size_t count);

static uint64_t books_unmap_all(void *books)
{
    const struct iovageom_range all = {0, BENCH_BOOKS_LAST};

    return btreemap_books_unmap(books, BENCH_BOOKS_DOMAIN, all);
}

static void *books_create(void)
{
    static const struct iovageom_range reserved[] = {{BENCH_MSI_START, BENCH_MSI_LAST},
                                                     {BENCH_BOOKS_LAST + 1, UINT64_MAX}};

    return btreemap_books_create(BENCH_BOOKS_DOMAIN, reserved, 2);
}

static uint64_t books_insert(void *books, const struct iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += btreemap_books_map(books, BENCH_BOOKS_DOMAIN, ranges[i]);
    return sum;
}

static uint64_t books_churn(void *books, const struct iovageom_range *ranges, size_t count,
                            size_t lag)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += btreemap_books_unmap(books, BENCH_BOOKS_DOMAIN, ranges[i]);
        if (i >= lag)
            sum += btreemap_books_map(books, BENCH_BOOKS_DOMAIN, ranges[i - lag]);
    }
    return sum + books_insert(books, &ranges[count - lag], lag);
}

static const struct bench_peer books = {
    .name = "btreemap",
    .what = "the same checks on BTreeMaps, as the Rust monitors keep their books",
    .create = books_create,
    .destroy = btreemap_books_destroy,
    .insert = books_insert,
    .churn = books_churn,
    .requests = btreemap_books_requests,
    .translate = btreemap_books_translate,
    .translate_span = btreemap_books_translate_span,
    .unmap_all = books_unmap_all,
};

__attribute__((constructor)) static void books_register(void)
{
    bench_register_books(&books);
}

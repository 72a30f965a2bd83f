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

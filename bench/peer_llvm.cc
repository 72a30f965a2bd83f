/* SPDX-License-Identifier: BSD-3-Clause */
/* llvm::IntervalMap: B+tree over closed ranges with an inline root. */
#include <algorithm>
#include <vector>

#include <llvm/ADT/IntervalMap.h>

#include "bench.h"

namespace
{
using Map = llvm::IntervalMap<uint64_t, char>;

/* One allocator for all maps, as LLVM's passes have it. Never destroyed: maps come and go. */
Map::Allocator &allocator()
{
    static Map::Allocator *const it = new Map::Allocator;

    return *it;
}

Map &as_map(void *set)
{
    return *static_cast<Map *>(set);
}

void *create()
{
    return new Map(allocator());
}

void destroy(void *set)
{
    delete static_cast<Map *>(set);
}

/*
 * All ranges have one value, so neighbours would coalesce, as in a set; only if it is free. The
 * iterator that asks is the one that inserts.
 */
bool insert_free(Map &map, const iovageom_range &range)
{
    auto at = map.find(range.start);

    if (at.valid() && at.start() <= range.last)
        return false;
    at.insert(range.start, range.last, 1);
    return true;
}

uint64_t insert(void *set, const iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += insert_free(as_map(set), ranges[i]);
    return sum;
}

bool erase(Map &map, const iovageom_range &range)
{
    auto at = map.find(range.start);

    if (!at.valid() || at.start() != range.start)
        return false;
    at.erase();
    return true;
}

uint64_t churn(void *set, const iovageom_range *ranges, size_t count, size_t lag)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += erase(as_map(set), ranges[i]);
        if (i >= lag)
            sum += insert_free(as_map(set), ranges[i - lag]);
    }
    for (size_t i = count - lag; i < count; i++)
        sum += insert_free(as_map(set), ranges[i]);
    return sum;
}

uint64_t overlap_one(const Map &map, uint64_t start, uint64_t last)
{
    auto at = map.find(start);

    return at.valid() ? bench_term(at.start() <= last, at.start(), at.stop()) : 0;
}

uint64_t lookup(void *set, const uint64_t *addresses, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += overlap_one(as_map(set), addresses[i], addresses[i]);
    return sum;
}

uint64_t overlap(void *set, const iovageom_range *queries, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += overlap_one(as_map(set), queries[i].start, queries[i].last);
    return sum;
}

uint64_t iterate(void *set)
{
    const Map &map = as_map(set);
    uint64_t sum = 0;

    for (auto at = map.begin(); at.valid(); ++at)
        sum += at.start() ^ at.stop();
    return sum;
}

void *build_sorted(const iovageom_range *ranges, size_t count)
{
    Map *map = new Map(allocator());
    auto at = map->end();

    /* The iterator stays behind what it inserted. */
    for (size_t i = 0; i < count; i++) {
        at.insert(ranges[i].start, ranges[i].last, 1);
        ++at;
    }
    return map;
}

void *build_unsorted(const iovageom_range *ranges, size_t count)
{
    std::vector<iovageom_range> sorted(ranges, ranges + count);

    std::sort(sorted.begin(), sorted.end(),
              [](const iovageom_range &a, const iovageom_range &b) { return a.start < b.start; });
    return build_sorted(sorted.data(), count);
}

bench_peer make()
{
    bench_peer peer{};

    peer.name = "llvm";
    peer.what = "llvm::IntervalMap";
    peer.create = create;
    peer.destroy = destroy;
    peer.insert = insert;
    peer.churn = churn;
    peer.lookup = lookup;
    peer.overlap = overlap;
    peer.iterate = iterate;
    peer.build_sorted = build_sorted;
    peer.build_unsorted = build_unsorted;
    return peer;
}

const bench_peer llvm_peer = make();

struct Register {
    Register()
    {
        bench_register(&llvm_peer);
    }
} registered;
} // namespace

/* SPDX-License-Identifier: BSD-3-Clause */
/* absl::btree_map from start to last: the best general ordered map in C++. */
#include <algorithm>
#include <utility>
#include <vector>

#include <absl/container/btree_map.h>

#include "bench.h"

namespace
{
using Map = absl::btree_map<uint64_t, uint64_t>;

void *create()
{
    return new Map;
}

void destroy(void *set)
{
    delete static_cast<Map *>(set);
}

/* Only if it is free, as a ledger has to. */
bool insert_free(Map &map, const iovageom_range &range)
{
    auto next = map.upper_bound(range.start);

    if (next != map.end() && next->first <= range.last)
        return false;
    if (next != map.begin() && std::prev(next)->second >= range.start)
        return false;
    map.emplace_hint(next, range.start, range.last);
    return true;
}

uint64_t insert(void *set, const iovageom_range *ranges, size_t count)
{
    Map &map = *static_cast<Map *>(set);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += insert_free(map, ranges[i]);
    return sum;
}

uint64_t churn(void *set, const iovageom_range *ranges, size_t count, size_t lag)
{
    Map &map = *static_cast<Map *>(set);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += map.erase(ranges[i].start);
        if (i >= lag)
            sum += insert_free(map, ranges[i - lag]);
    }
    for (size_t i = count - lag; i < count; i++)
        sum += insert_free(map, ranges[i]);
    return sum;
}

uint64_t lookup(void *set, const uint64_t *addresses, size_t count)
{
    const Map &map = *static_cast<Map *>(set);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        auto at = map.upper_bound(addresses[i]);

        if (at == map.begin())
            continue;
        --at;
        sum += bench_term(at->second >= addresses[i], at->first, at->second);
    }
    return sum;
}

uint64_t overlap(void *set, const iovageom_range *queries, size_t count)
{
    const Map &map = *static_cast<Map *>(set);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        auto at = map.upper_bound(queries[i].start);

        if (at != map.begin()) {
            auto before = std::prev(at);

            if (before->second >= queries[i].start)
                at = before;
        }
        if (at != map.end())
            sum += bench_term(at->first <= queries[i].last, at->first, at->second);
    }
    return sum;
}

uint64_t iterate(void *set)
{
    uint64_t sum = 0;

    for (const auto &entry : *static_cast<Map *>(set))
        sum += entry.first ^ entry.second;
    return sum;
}

uint64_t find_hole(void *set, const bench_hole *queries, size_t count)
{
    const Map &map = *static_cast<Map *>(set);
    uint64_t sum = 0;

    for (size_t k = 0; k < count; k++) {
        uint64_t from = queries[k].min;
        auto at = map.upper_bound(from);

        if (at != map.begin())
            from = std::max(from, std::prev(at)->second + 1);
        for (; at != map.end() && at->first - from < queries[k].size; ++at)
            from = at->second + 1;
        sum += queries[k].max - from + 1 >= queries[k].size ? from : BENCH_NO_HOLE;
    }
    return sum;
}

void *build_sorted(const iovageom_range *ranges, size_t count)
{
    Map *map = new Map;

    for (size_t i = 0; i < count; i++)
        map->emplace_hint(map->end(), ranges[i].start, ranges[i].last);
    return map;
}

void *build_unsorted(const iovageom_range *ranges, size_t count)
{
    std::vector<iovageom_range> sorted(ranges, ranges + count);

    std::sort(sorted.begin(), sorted.end(),
              [](const iovageom_range &a, const iovageom_range &b) { return a.start < b.start; });
    return build_sorted(sorted.data(), count);
}

const bench_peer make()
{
    bench_peer peer{};

    peer.name = "absl";
    peer.what = "absl::btree_map";
    peer.create = create;
    peer.destroy = destroy;
    peer.insert = insert;
    peer.churn = churn;
    peer.lookup = lookup;
    peer.overlap = overlap;
    peer.iterate = iterate;
    peer.find_hole = find_hole;
    peer.build_sorted = build_sorted;
    peer.build_unsorted = build_unsorted;
    return peer;
}

const bench_peer absl_peer = make();

struct Register {
    Register()
    {
        bench_register(&absl_peer);
    }
} registered;
} // namespace

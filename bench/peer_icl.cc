/* SPDX-License-Identifier: BSD-3-Clause */
/* boost::icl::interval_set: the interval algebra of C++. */
#include <algorithm>
#include <vector>

#include <boost/icl/closed_interval.hpp>
#include <boost/icl/interval_set.hpp>

#include "bench.h"

namespace icl = boost::icl;

namespace
{
using Interval = icl::closed_interval<uint64_t>;
using Set = icl::interval_set<uint64_t, std::less, Interval>;

Interval interval(const iovageom_range &range)
{
    return Interval(range.start, range.last);
}

Set &as_set(void *set)
{
    return *static_cast<Set *>(set);
}

void *create()
{
    return new Set;
}

void destroy(void *set)
{
    delete static_cast<Set *>(set);
}

/* A union with what is there, like our own insert. */
uint64_t insert(void *set, const iovageom_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        as_set(set).insert(interval(ranges[i]));
    return count;
}

uint64_t churn(void *set, const iovageom_range *ranges, size_t count, size_t lag)
{
    for (size_t i = 0; i < count; i++) {
        as_set(set).erase(interval(ranges[i]));
        if (i >= lag)
            as_set(set).insert(interval(ranges[i - lag]));
    }
    for (size_t i = count - lag; i < count; i++)
        as_set(set).insert(interval(ranges[i]));
    return 2 * count;
}

uint64_t lookup(void *set, const uint64_t *addresses, size_t count)
{
    const Set &ranges = as_set(set);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        auto at = ranges.find(addresses[i]);

        if (at != ranges.end())
            sum += bench_term(true, at->lower(), at->upper());
    }
    return sum;
}

uint64_t overlap(void *set, const iovageom_range *queries, size_t count)
{
    const Set &ranges = as_set(set);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        auto at = ranges.find(interval(queries[i]));

        if (at != ranges.end())
            sum += bench_term(true, at->lower(), at->upper());
    }
    return sum;
}

uint64_t iterate(void *set)
{
    uint64_t sum = 0;

    for (const Interval &range : as_set(set))
        sum += range.lower() ^ range.upper();
    return sum;
}

void *build_sorted(const iovageom_range *ranges, size_t count)
{
    Set *set = new Set;

    for (size_t i = 0; i < count; i++)
        set->insert(set->end(), interval(ranges[i]));
    return set;
}

void *build_unsorted(const iovageom_range *ranges, size_t count)
{
    std::vector<iovageom_range> sorted(ranges, ranges + count);

    std::sort(sorted.begin(), sorted.end(),
              [](const iovageom_range &a, const iovageom_range &b) { return a.start < b.start; });
    return build_sorted(sorted.data(), count);
}

void *tree(bench_algebra op, void *a, void *b)
{
    switch (op) {
    case BENCH_UNION:
        return new Set(as_set(a) + as_set(b));
    case BENCH_INTERSECTION:
        return new Set(as_set(a) & as_set(b));
    default:
        Set *whole = new Set(Interval(0, bench_algebra_last));

        *whole -= as_set(a);
        return whole;
    }
}

size_t dump(void *set, iovageom_range *out, size_t capacity)
{
    size_t count = 0;

    for (const Interval &range : as_set(set)) {
        if (count == capacity)
            break;
        out[count++] = {range.lower(), range.upper()};
    }
    return count;
}

bench_peer make()
{
    bench_peer peer{};

    peer.name = "icl";
    peer.what = "boost::icl::interval_set";
    peer.create = create;
    peer.destroy = destroy;
    peer.insert = insert;
    peer.churn = churn;
    peer.lookup = lookup;
    peer.overlap = overlap;
    peer.iterate = iterate;
    peer.build_sorted = build_sorted;
    peer.build_unsorted = build_unsorted;
    peer.tree = tree;
    peer.dump = dump;
    return peer;
}

const bench_peer icl_peer = make();

struct Register {
    Register()
    {
        bench_register(&icl_peer);
    }
} registered;
} // namespace

/* SPDX-License-Identifier: BSD-3-Clause */
#include "workload.h"

/* splitmix64: the workload has to be the same on every machine. */
uint64_t bench_random(struct bench_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

uint64_t bench_random_below(struct bench_random *random, uint64_t bound)
{
    return bench_random(random) % bound;
}

static uint64_t random_length(struct bench_random *random)
{
    return BENCH_PAGE * (1 + bench_random_below(random, 512));
}

void bench_ranges_spread(struct bench_random *random, struct iovageom_range *out, size_t count,
                         uint64_t last)
{
    /* Gap and length together use at most this many pages, so that all fit. */
    uint64_t share = (last / BENCH_PAGE) / count;
    uint64_t start = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t length = random_length(random);

        start += BENCH_PAGE * (1 + bench_random_below(random, share - 513));
        out[i].start = start;
        out[i].last = start + length - 1;
        start += length;
    }
}

void bench_ranges_packed(struct bench_random *random, struct iovageom_range *out, size_t count)
{
    uint64_t start = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t length = random_length(random);
        uint64_t most = bench_random_below(random, 256) == 0 ? 512 : 4;

        start += BENCH_PAGE * (1 + bench_random_below(random, most));
        out[i].start = start;
        out[i].last = start + length - 1;
        start += length;
    }
}

void bench_shuffle(struct bench_random *random, struct iovageom_range *ranges, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = bench_random_below(random, i);
        struct iovageom_range swap = ranges[i - 1];

        ranges[i - 1] = ranges[j];
        ranges[j] = swap;
    }
}

/* An address in the gap below ranges[i]; there always is one. */
static uint64_t gap_address(struct bench_random *random, const struct iovageom_range *ranges,
                            size_t i)
{
    uint64_t from = i == 0 ? 0 : ranges[i - 1].last + 1;

    return from + bench_random_below(random, ranges[i].start - from);
}

void bench_addresses(struct bench_random *random, const struct iovageom_range *ranges, size_t count,
                     uint64_t *out, size_t out_count)
{
    for (size_t k = 0; k < out_count; k++) {
        size_t i = bench_random_below(random, count);

        if (bench_random(random) & 1)
            out[k] = gap_address(random, ranges, i);
        else
            out[k] =
                ranges[i].start + bench_random_below(random, ranges[i].last - ranges[i].start + 1);
    }
}

void bench_overlaps(struct bench_random *random, const struct iovageom_range *ranges, size_t count,
                    struct iovageom_range *out, size_t out_count)
{
    for (size_t k = 0; k < out_count; k++) {
        size_t i = bench_random_below(random, count);
        uint64_t length = random_length(random);
        uint64_t next = i + 1 < count ? ranges[i + 1].start : UINT64_MAX;

        if (bench_random(random) & 1) {
            out[k].start = gap_address(random, ranges, i);
            next = ranges[i].start;
        } else {
            out[k].start =
                ranges[i].start + bench_random_below(random, ranges[i].last - ranges[i].start + 1);
        }
        out[k].last = out[k].start + length - 1;
        if (out[k].last >= next)
            out[k].last = next - 1;
    }
}

void bench_holes(struct bench_random *random, const struct iovageom_range *ranges, size_t count,
                 struct bench_hole *out, size_t out_count)
{
    for (size_t k = 0; k < out_count; k++) {
        uint64_t bits = bench_random_below(random, 10);

        out[k].min = bench_page_up(ranges[bench_random_below(random, count)].start);
        out[k].max = ((uint64_t)1 << 48) - 1;
        out[k].size =
            BENCH_PAGE * (((uint64_t)1 << bits) + bench_random_below(random, (uint64_t)1 << bits));
    }
}

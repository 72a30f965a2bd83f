/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "bench.h"

struct bench_random {
    uint64_t state;
};

uint64_t bench_random(struct bench_random *random);
uint64_t bench_random_below(struct bench_random *random, uint64_t bound);

/* Disjoint ranges of 4 KiB to 2 MiB with random gaps between them, spread over [0, last]. */
void bench_ranges_spread(struct bench_random *random, struct iovageom_range *out, size_t count,
                         uint64_t last);

/* The same lengths, packed: gaps of 1 to 4 pages, and one of up to 512 pages in about 256. */
void bench_ranges_packed(struct bench_random *random, struct iovageom_range *out, size_t count);

void bench_shuffle(struct bench_random *random, struct iovageom_range *ranges, size_t count);

/* Half of the addresses lie in a range, half in a gap. `ranges` is sorted. */
void bench_addresses(struct bench_random *random, const struct iovageom_range *ranges, size_t count,
                     uint64_t *out, size_t out_count);

/* Half of the queries overlap one range, half none. `ranges` is sorted and spread. */
void bench_overlaps(struct bench_random *random, const struct iovageom_range *ranges, size_t count,
                    struct iovageom_range *out, size_t out_count);

/* Sizes of 1 to 512 pages, small ones more often, at or above an address within the ranges. */
void bench_holes(struct bench_random *random, const struct iovageom_range *ranges, size_t count,
                 struct bench_hole *out, size_t out_count);

#endif

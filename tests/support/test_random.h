/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_RANDOM_H
#define IOVAGEOM_TEST_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include <iovageom/range.h>

/**
 * Random numbers that can be had again. The seed comes from the environment variable IOVAGEOM_SEED
 * (a number, or "random" for one from the clock), and is a fixed one where that is not set.
 */
struct test_random {
    uint64_t state;
};

/** The seed of this run, printed to stderr the first time it is asked for. */
uint64_t test_random_seed(void);

/** A generator from the seed of this run; distinct `stream` numbers give independent sequences. */
struct test_random test_random_start(uint64_t stream);

/** Any 64-bit number, uniformly. */
uint64_t test_random_u64(struct test_random *random);

/** 0 to bound - 1; `bound` is not 0. */
uint64_t test_random_below(struct test_random *random, uint64_t bound);

/** True once in `n` times. */
bool test_random_one_in(struct test_random *random, uint64_t n);

/**
 * An address with a taste for trouble: near 0, near 2^64-1, near a power of two, around the MSI
 * window, of a random magnitude, or anywhere.
 */
uint64_t test_random_address(struct test_random *random);

/** A valid range between two such addresses, sometimes a single address or everything. */
struct iovageom_range test_random_range(struct test_random *random);

/** A valid range within [0, universe - 1], for oracles that count on their fingers. */
struct iovageom_range test_random_small_range(struct test_random *random, uint64_t universe);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/test_random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_SEED UINT64_C(20260101)

uint64_t test_random_seed(void)
{
    static bool known;
    static uint64_t seed;
    const char *wish = getenv("IOVAGEOM_SEED");

    if (!known) {
        if (wish == NULL || *wish == '\0')
            seed = DEFAULT_SEED;
        else if (strcmp(wish, "random") == 0)
            seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)clock();
        else
            seed = strtoull(wish, NULL, 0);
        known = true;
        fprintf(stderr, "IOVAGEOM_SEED=%" PRIu64 "\n", seed);
    }
    return seed;
}

/* splitmix64: each state gives one well-mixed number, so any seed is as good as another. */
uint64_t test_random_u64(struct test_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct test_random test_random_start(uint64_t stream)
{
    struct test_random random = {test_random_seed()};

    random.state = test_random_u64(&random) ^ stream * UINT64_C(0xd1342543de82ef95);
    return random;
}

uint64_t test_random_below(struct test_random *random, uint64_t bound)
{
    return test_random_u64(random) % bound;
}

bool test_random_one_in(struct test_random *random, uint64_t n)
{
    return test_random_below(random, n) == 0;
}

uint64_t test_random_address(struct test_random *random)
{
    uint64_t jitter = test_random_below(random, 5);
    uint64_t any = test_random_u64(random);

    switch (test_random_below(random, 6)) {
    case 0:
        return jitter;
    case 1:
        return UINT64_MAX - jitter;
    case 2:
        return (UINT64_C(1) << (any % 64)) + jitter - 2;
    case 3:
        return UINT64_C(0xfee00000) + (any % 0x200000);
    case 4:
        return any >> (any % 64);
    default:
        return any;
    }
}

static struct iovageom_range ordered(uint64_t a, uint64_t b)
{
    return a < b ? (struct iovageom_range){a, b} : (struct iovageom_range){b, a};
}

struct iovageom_range test_random_range(struct test_random *random)
{
    uint64_t a = test_random_address(random);

    switch (test_random_below(random, 16)) {
    case 0:
        return ordered(a, a);
    case 1:
        return ordered(0, UINT64_MAX);
    default:
        return ordered(a, test_random_address(random));
    }
}

struct iovageom_range test_random_small_range(struct test_random *random, uint64_t universe)
{
    uint64_t a = test_random_below(random, universe);

    return ordered(a, test_random_below(random, universe));
}

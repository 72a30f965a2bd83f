/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle says what a mask means: which lengths can be cut into its pages. Masks of 8 bits are
 * tried exhaustively.
 */
#include "base/range.h"
#include "support/property.h"

#define MASKS 256u

/* Whether `length` bytes at 0 can be covered by pages of `mask`, taking the largest that fits. */
static bool maps(unsigned mask, unsigned length)
{
    for (int bit = 7; bit >= 0; bit--) {
        if (((mask >> bit) & 1) != 0)
            length %= 1u << bit;
    }
    return length == 0 && mask != 0;
}

START_TEST(meet_maps_what_both_map)
{
    for (unsigned a = 0; a < MASKS; a++) {
        for (unsigned b = 0; b < MASKS; b++) {
            unsigned meet = (unsigned)iovageom_pgsize_meet(a, b);

            property_check(meet < MASKS);
            for (unsigned length = 1; length <= MASKS; length++)
                property_check(maps(meet, length) == (maps(a, length) && maps(b, length)));
        }
        property_check(iovageom_pgsize_meet(a, a) == a);
        property_check(iovageom_pgsize_meet(a, UINT64_MAX) == a);
    }
}
END_TEST

START_TEST(meet_is_commutative_and_associative)
{
    struct test_random random = test_random_start(1);

    for (unsigned i = 0; i < 300000; i++) {
        /* ANDs of random numbers are sparse, like real masks. */
        uint64_t a = test_random_u64(&random) & test_random_u64(&random);
        uint64_t b = test_random_u64(&random) & test_random_u64(&random);
        uint64_t c = test_random_address(&random);

        property_check(iovageom_pgsize_meet(a, b) == iovageom_pgsize_meet(b, a));
        property_check(iovageom_pgsize_meet(iovageom_pgsize_meet(a, b), c) ==
                       iovageom_pgsize_meet(a, iovageom_pgsize_meet(b, c)));
    }
}
END_TEST

START_TEST(raise_maps_the_multiples_of_its_granule)
{
    for (unsigned mask = 0; mask < MASKS; mask++) {
        for (unsigned granule = 0; granule < MASKS; granule++) {
            bool power = granule == 1 || granule == 2 || granule == 4 || granule == 8 ||
                         granule == 16 || granule == 32 || granule == 64 || granule == 128;
            unsigned raised = (unsigned)iovageom_pgsize_raise(mask, granule);

            property_check(iovageom_pgsize_is_power(granule) == power);
            property_check((raised != 0) == (power && maps(mask, granule)));
            property_check((raised != 0) == iovageom_pgsize_accepts(mask, granule));
            for (unsigned length = 1; raised != 0 && length <= MASKS; length++)
                property_check(maps(raised, length) ==
                               (maps(mask, length) && length % granule == 0));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pgsize");

    property_add(suite, meet_maps_what_both_map);
    property_add(suite, meet_is_commutative_and_associative);
    property_add(suite, raise_maps_the_multiples_of_its_granule);
    return property_run(suite);
}

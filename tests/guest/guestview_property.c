/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest's VFIO has left, whatever the order of the regions: against flags for
 * addresses. */
#include <string.h>

#include <iovageom/guest.h>
#include <iovageom/status.h>

#include "support/property.h"

enum { CELLS = 200, MOST = 12 };

static void cut(const struct iovageom_region *regions, size_t count, struct iovageom_range input)
{
    struct iovageom_range out[MOST + 3], before[MOST + 3];
    bool left[CELLS + 1] = {false};
    size_t found = 12345, runs = 0, again = 12345;
    int status;

    for (uint64_t i = input.start; i <= input.last; i++)
        left[i] = true;
    for (size_t i = 0; i < count; i++)
        for (uint64_t j = regions[i].range.start; j <= regions[i].range.last; j++)
            left[j] = false;
    for (size_t i = 0; i < CELLS; i++)
        runs += left[i] && !left[i + 1];
    memset(out, 0xee, sizeof(out));
    memset(before, 0xee, sizeof(before));
    status = iovageom_guestview_vfio(input, regions, count, out, MOST + 2, &found);
    if (runs == 0) {
        ck_assert_int_eq(status, IOVAGEOM_ERR_NOTHING_USABLE);
        ck_assert_uint_eq(found, 12345);
        return;
    }
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(found, runs);
    for (size_t i = 0, at = 0; i < runs; i++) {
        while (!left[at])
            at++;
        ck_assert_uint_eq(out[i].start, at);
        while (left[at])
            at++;
        ck_assert_uint_eq(out[i].last, at - 1);
    }
    ck_assert(memcmp(out + MOST + 2, before + MOST + 2, sizeof(out[0])) == 0);
    /* Regions may only need room for what lies between them. */
    ck_assert_int_eq(iovageom_guestview_vfio(input, regions, count, out, count + 1, &again), 0);
    ck_assert_uint_eq(again, runs);
    again = 12345;
    ck_assert_int_eq(iovageom_guestview_vfio(input, regions, count, out, runs - 1, &again),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(again, 12345);
}

START_TEST(regions_in_any_order_leave_the_same)
{
    struct test_random random = test_random_start(11);

    for (unsigned round = 0; round < 20000; round++) {
        const uint64_t length = 1 + test_random_below(&random, round % 3 == 0 ? 60 : 8);
        const size_t count = (size_t)test_random_below(&random, MOST + 1);
        struct iovageom_region regions[MOST];
        struct iovageom_range input = {0, CELLS - 1};

        for (size_t i = 0; i < count; i++) {
            uint64_t start = test_random_below(&random, CELLS);
            uint64_t last = start + test_random_below(&random, length);

            regions[i].range = (struct iovageom_range){start, last < CELLS ? last : CELLS - 1};
            regions[i].type = IOVAGEOM_RESV_RESERVED;
            regions[i].owner = 0;
        }
        if (round % 2 == 0)
            input = test_random_small_range(&random, CELLS);
        cut(regions, count, input);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guestview");

    property_add(suite, regions_in_any_order_leave_the_same);
    return property_run(suite);
}

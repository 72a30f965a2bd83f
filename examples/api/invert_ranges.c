/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Turns the ranges that a host can map into those that are reserved, and back, on plain arrays: no
 * object to make, nothing allocated.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <iovageom/ranges.h>
#include <iovageom/status.h>

/* A program of its own may end here; a VMM would hand the status up. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", iovageom_status_string(status));
        exit(1);
    }
}

static void print(const char *what, const struct iovageom_range *ranges, size_t count)
{
    printf("%s:\n", what);
    for (size_t i = 0; i < count; i++)
        printf("  [0x%" PRIx64 ",0x%" PRIx64 "]\n", ranges[i].start, ranges[i].last);
}

int main(void)
{
    const struct iovageom_range everything = {0, IOVAGEOM_ADDRESS_MAX};
    /* What a host of 39 bits lists, in any order, and a window that a user wants reserved. */
    struct iovageom_range usable[] = {{0xfef00000, 0x7fffffffff}, {0, 0xfedfffff}};
    const struct iovageom_range option = {0x8000000, 0x80fffff};
    struct iovageom_range reserved[3]; /* n ranges leave at most n + 1 gaps */
    struct iovageom_range both[4];     /* a union has at most as many as its two inputs together */
    struct iovageom_range left[5];
    size_t usable_count = 2, reserved_count, both_count, left_count;

    /* Sorts, and joins what overlaps or touches. The other calls want their inputs so. */
    must(iovageom_ranges_normalize(usable, &usable_count));
    print("usable", usable, usable_count);

    must(
        iovageom_ranges_complement(usable, usable_count, everything, reserved, 3, &reserved_count));
    print("reserved", reserved, reserved_count);

    must(iovageom_ranges_union(reserved, reserved_count, &option, 1, both, 4, &both_count));
    print("reserved, with the option", both, both_count);

    must(iovageom_ranges_complement(both, both_count, everything, left, 5, &left_count));
    print("usable, with the option", left, left_count);
    return 0;
}

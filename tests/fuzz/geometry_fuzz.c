/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A saved geometry, from a migration stream. The total and the checksum of its header are made
 * right first, because no fuzzer guesses them. Some inputs build the geometry themselves, to be
 * damaged in a few places only. What loads saves again, to a form that loads equal.
 */
#include "geometry/internal.h"
#include "fuzz.h"

#include <iovageom/geometry.h>
#include <iovageom/status.h>

#include "base/bytes.h"
#include "support/test_accepts.h"
#include "support/test_facts.h"

static void make_right(uint8_t *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    if (length < 32)
        return;
    iovageom_store_le64(bytes + 16, length);
    for (size_t i = 0; i < length; i++)
        if (i < 24 || i >= 32)
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    iovageom_store_le64(bytes + 24, hash);
}

static void round_trip(const struct iovageom_geometry *geometry)
{
    struct iovageom_geometry *back, *meet;
    size_t needed = 0;
    uint8_t *bytes;

    (void)iovageom_geometry_save(geometry, NULL, 0, &needed);
    bytes = malloc(needed);
    fuzz_check(bytes != NULL);
    fuzz_check(iovageom_geometry_save(geometry, bytes, needed, &needed) == 0);
    fuzz_check(iovageom_geometry_load(NULL, bytes, needed, &back) == 0);
    fuzz_check(iovageom_geometry_equal(geometry, back));
    fuzz_check(test_meet(geometry, back, "meet", &meet) == 0);
    fuzz_check(iovageom_geometry_equal(geometry, meet));
    fuzz_check(test_within(geometry, meet));
    iovageom_geometry_free(meet);
    iovageom_geometry_free(back);
    free(bytes);
}

/* Some geometry, as the input will have it. */
static struct iovageom_geometry *build(struct fuzz_input *input)
{
    struct iovageom_geometry *geometry;
    char name[4] = "dev";

    fuzz_check(iovageom_geometry_new(NULL, name, &geometry) == 0);
    for (unsigned facts = (unsigned)fuzz_number(input, 1) % 8; facts > 0; facts--) {
        unsigned kind = (unsigned)fuzz_number(input, 1);
        enum iovageom_source source = (enum iovageom_source)(kind >> 4 & 7);
        struct iovageom_range range;

        range.start = fuzz_number(input, 8);
        range.last = fuzz_number(input, 8);
        switch (kind & 7) {
        case 0:
            (void)iovageom_geometry_add_aperture(geometry, range, source);
            break;
        case 1:
            (void)iovageom_geometry_add_usable(geometry, &range, kind >> 7, source);
            break;
        case 2:
            (void)iovageom_geometry_add_page_sizes(geometry, range.start, source);
            break;
        case 3:
            (void)iovageom_geometry_add_alignment(geometry, range.start, source);
            break;
        case 4:
            (void)iovageom_geometry_add_map_budget(geometry, range.start, source);
            break;
        case 5:
            (void)iovageom_geometry_add_incomplete(geometry, source);
            break;
        default:
            (void)iovageom_geometry_add_reserved(geometry, range,
                                                 (enum iovageom_resv_type)(kind >> 4), source);
            break;
        }
    }
    return geometry;
}

/* Saved, changed at up to three places, and loaded. */
static void damage(struct fuzz_input *input)
{
    struct iovageom_geometry *geometry = build(input), *back;
    size_t needed = 0;
    uint8_t *bytes;

    round_trip(geometry);
    (void)iovageom_geometry_save(geometry, NULL, 0, &needed);
    bytes = malloc(needed);
    fuzz_check(bytes != NULL);
    fuzz_check(iovageom_geometry_save(geometry, bytes, needed, &needed) == 0);
    for (unsigned changes = (unsigned)fuzz_number(input, 1) % 4; changes > 0; changes--) {
        size_t at = fuzz_number(input, 2) % needed;

        bytes[at] ^= (uint8_t)fuzz_number(input, 1);
    }
    make_right(bytes, needed);
    if (iovageom_geometry_load(NULL, bytes, needed, &back) == 0) {
        round_trip(back);
        iovageom_geometry_free(back);
    }
    iovageom_geometry_free(geometry);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct iovageom_geometry *geometry;
    size_t length;
    uint8_t *bytes;

    if (fuzz_number(&input, 1) % 2 != 0) {
        damage(&input);
        return 0;
    }
    bytes = fuzz_bytes(&input, SIZE_MAX, &length);
    if (iovageom_geometry_load(NULL, bytes, length, &geometry) == 0)
        iovageom_geometry_free(geometry);
    make_right(bytes, length);
    if (iovageom_geometry_load(NULL, bytes, length, &geometry) == 0) {
        round_trip(geometry);
        iovageom_geometry_free(geometry);
    }
    free(bytes);
    return 0;
}

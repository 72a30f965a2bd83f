/* SPDX-License-Identifier: BSD-3-Clause */
/* The oracle has 64 addresses, each of which is free, refused by the host, or a piece's. */
#include "support/property.h"

#include <iovageom/plan_layout.h>
#include <iovageom/status.h>

#define CELLS  64u
#define ROUNDS 20000
#define PIECES 4

struct world {
    bool refused[CELLS];
    struct iovageom_geometry *geometry;
    struct iovageom_piece pieces[PIECES];
    size_t count;
};

static struct world random_world(struct test_random *random, size_t pieces)
{
    struct world world = {.count = 0};
    bool taken[CELLS] = {false};

    property_check(iovageom_geometry_new(NULL, "host", &world.geometry) == 0);
    property_check(iovageom_geometry_add_gaw(world.geometry, 6, IOVAGEOM_SOURCE_VFIO) == 0);
    property_check(iovageom_geometry_add_alignment(world.geometry, 1, IOVAGEOM_SOURCE_VFIO) == 0);
    for (unsigned i = 0; i < 4; i++) {
        struct iovageom_range range = test_random_small_range(random, CELLS);

        if (range.last - range.start > 12)
            range.last = range.start + test_random_below(random, 12);
        property_check(iovageom_geometry_add_reserved(world.geometry, range, IOVAGEOM_RESV_DIRECT,
                                                      IOVAGEOM_SOURCE_SYSFS) == 0);
        for (uint64_t at = range.start; at <= range.last; at++)
            world.refused[at] = true;
    }
    for (unsigned tries = 0; tries < 20 && world.count < pieces; tries++) {
        struct iovageom_piece piece = {test_random_small_range(random, CELLS), IOVAGEOM_PIECE_RAM,
                                       (uint32_t)test_random_below(random, 4), 0,
                                       test_random_small_range(random, CELLS)};
        bool clear = piece.range.last - piece.range.start < 30;

        for (uint64_t at = piece.range.start; at <= piece.range.last; at++)
            clear = clear && !taken[at];
        if (!clear)
            continue;
        for (uint64_t at = piece.range.start; at <= piece.range.last; at++)
            taken[at] = true;
        piece.alignment = test_random_one_in(random, 3) ? 4 : 0;
        world.pieces[world.count++] = piece;
    }
    return world;
}

static bool misfits(const struct world *world, const struct iovageom_piece *piece)
{
    for (uint64_t at = piece->range.start; at <= piece->range.last; at++)
        if (world->refused[at])
            return true;
    return false;
}

static uint64_t length_of(struct iovageom_range range)
{
    return range.last - range.start + 1;
}

/* Whatever is proposed can be done: sizes are kept, and nothing lands on anything. */
START_TEST(E4_placements_fit_the_host_and_each_other)
{
    struct test_random random = test_random_start(1);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct world world = random_world(&random, PIECES);
        struct iovageom_placement out[CELLS];
        struct iovageom_layout_plan plan;
        unsigned owner[CELLS] = {0};
        uint64_t moved = 0;
        size_t wrong = 0;

        for (size_t i = 0; i < world.count; i++) {
            wrong += misfits(&world, &world.pieces[i]);
            for (uint64_t at = world.pieces[i].range.start; at <= world.pieces[i].range.last; at++)
                owner[at] = (unsigned)i + 1;
        }
        int status = iovageom_plan_layout(NULL, world.geometry, 0, world.pieces, world.count, out,
                                          CELLS, &plan, NULL);
        property_check(status == (wrong > 0 ? IOVAGEOM_ERR_CONFLICT : IOVAGEOM_OK));
        property_check(plan.misfits == wrong);
        /* A piece that moves whole leaves its place before it takes another. */
        for (size_t i = 0; i < plan.placements; i++) {
            const struct iovageom_piece *piece = &world.pieces[out[i].piece];

            property_check(misfits(&world, piece));
            property_check((piece->flags & IOVAGEOM_PIECE_MOVABLE) != 0);
            property_check(length_of(out[i].from) == length_of(out[i].to));
            property_check(iovageom_range_contains(piece->limits, out[i].to));
            property_check(iovageom_range_contains(piece->range, out[i].from));
            if ((piece->flags & IOVAGEOM_PIECE_SPLITTABLE) == 0) {
                property_check(iovageom_range_equal(piece->range, out[i].from));
                property_check(piece->alignment == 0 || out[i].to.start % piece->alignment == 0);
            }
            for (uint64_t at = out[i].from.start; at <= out[i].from.last; at++) {
                property_check((piece->flags & IOVAGEOM_PIECE_SPLITTABLE) == 0 ||
                               world.refused[at]);
                owner[at] = 0;
            }
            for (uint64_t at = out[i].to.start; at <= out[i].to.last; at++) {
                property_check(!world.refused[at] && owner[at] == 0);
                owner[at] = (unsigned)out[i].piece + 1;
            }
            moved += length_of(out[i].from);
        }
        property_check(plan.moved.hi == 0 && plan.moved.lo == moved);
        if (plan.stuck == 0) /* done as proposed, it maps */
            for (unsigned at = 0; at < CELLS; at++)
                property_check(owner[at] == 0 || !world.refused[at]);
        iovageom_geometry_free(world.geometry);
    }
}
END_TEST

/* One piece alone: stuck only when nothing helps, and no smaller change would. */
START_TEST(E4_no_smaller_change_fits)
{
    struct test_random random = test_random_start(2);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct world world = random_world(&random, 1);
        const struct iovageom_piece *piece = &world.pieces[0];
        uint64_t alignment = piece->alignment == 0 ? 1 : piece->alignment;
        struct iovageom_placement out[CELLS];
        struct iovageom_layout_plan plan;
        uint64_t best = UINT64_MAX;
        unsigned room = 0;
        unsigned lost = 0;

        (void)iovageom_plan_layout(NULL, world.geometry, 0, piece, 1, out, CELLS, &plan, NULL);
        for (uint64_t at = 0; at < CELLS; at++) {
            bool inside = iovageom_range_has(piece->range, at);

            lost += inside && world.refused[at];
            room += !inside && !world.refused[at] && iovageom_range_has(piece->limits, at);
        }
        for (uint64_t start = 0; start + length_of(piece->range) <= CELLS; start += alignment) {
            struct iovageom_range there = {start, start + length_of(piece->range) - 1};
            bool fits = iovageom_range_contains(piece->limits, there);

            for (uint64_t at = there.start; at <= there.last; at++)
                fits = fits && !world.refused[at];
            uint64_t way = start > piece->range.start ? start - piece->range.start
                                                      : piece->range.start - start;
            if (fits && way < best)
                best = way;
        }
        if (lost == 0) {
            property_check(plan.misfits == 0 && plan.placements == 0 && plan.mappings == 1);
        } else if (piece->flags == (IOVAGEOM_PIECE_MOVABLE | IOVAGEOM_PIECE_SPLITTABLE)) {
            property_check(plan.stuck == (room < lost));
            property_check(plan.moved.lo == (room < lost ? 0 : lost));
        } else if (piece->flags == IOVAGEOM_PIECE_MOVABLE) {
            property_check(plan.stuck == (best == UINT64_MAX));
            property_check(plan.placements == !plan.stuck);
            if (plan.placements == 1)
                property_check(best == (out[0].to.start > piece->range.start
                                            ? out[0].to.start - piece->range.start
                                            : piece->range.start - out[0].to.start));
        } else {
            property_check(plan.stuck == 1 && plan.placements == 0);
        }
        iovageom_geometry_free(world.geometry);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan_layout");

    property_add(suite, E4_placements_fit_the_host_and_each_other);
    property_add(suite, E4_no_smaller_change_fits);
    return property_run(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The oracle has 64 addresses, each of which is free, refused by the host, or a piece's. */
#include "base/range.h"
#include "support/property.h"

#include <string.h>

#include <iovageom/plan_layout.h>
#include <iovageom/status.h>

#define CELLS  64u
#define ROUNDS 20000
#define PIECES 5

struct world {
    bool refused[CELLS];
    bool doorbells[CELLS]; /* refused as these, and as nothing else */
    uint64_t granule;
    struct iovageom_geometry *geometry;
    struct iovageom_piece pieces[PIECES];
    size_t count;
};

static struct world random_world(struct test_random *random, size_t pieces, uint64_t granule)
{
    struct world world = {.granule = granule, .count = 0};

    property_check(iovageom_geometry_new(NULL, "host", &world.geometry) == 0);
    property_check(iovageom_geometry_add_gaw(world.geometry, 6, IOVAGEOM_SOURCE_VFIO) == 0);
    property_check(iovageom_geometry_add_alignment(world.geometry, 1, IOVAGEOM_SOURCE_VFIO) == 0);
    for (unsigned i = 0; i < 4; i++) {
        struct iovageom_range range = test_random_small_range(random, CELLS);
        const bool doorbells = test_random_one_in(random, 2);

        if (range.last - range.start > 12)
            range.last = range.start + test_random_below(random, 12);
        property_check(
            iovageom_geometry_add_reserved(world.geometry, range,
                                           doorbells ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED,
                                           IOVAGEOM_SOURCE_SYSFS) == 0);
        /* Where both are, it is doorbells that show. */
        for (uint64_t at = range.start; at <= range.last; at++) {
            world.refused[at] = true;
            world.doorbells[at] = world.doorbells[at] || doorbells;
        }
    }
    while (world.count < pieces) {
        struct iovageom_piece piece = {test_random_small_range(random, CELLS), IOVAGEOM_PIECE_RAM,
                                       (uint32_t)test_random_below(random, 4), 0,
                                       test_random_small_range(random, CELLS)};
        const uint64_t most = test_random_one_in(random, 4) ? 30 : 8;

        if (piece.range.last - piece.range.start >= most)
            piece.range.last = piece.range.start + test_random_below(random, most);
        piece.alignment = test_random_one_in(random, 3) ? 4 : 0;
        if (pieces > 1 && test_random_one_in(random, 2))
            piece.kind = test_random_one_in(random, 2) ? IOVAGEOM_PIECE_BAR : IOVAGEOM_PIECE_MSI;
        if (test_random_one_in(random, 2))
            piece.limits = (struct iovageom_range){0, UINT64_MAX};
        world.pieces[world.count++] = piece;
    }
    return world;
}

static uint64_t length_of(struct iovageom_range range)
{
    return range.last - range.start + 1;
}

static bool moves(const struct iovageom_piece *piece)
{
    return (piece->flags & IOVAGEOM_PIECE_MOVABLE) != 0;
}

static bool splits(const struct iovageom_piece *piece)
{
    return piece->flags == 3 && piece->kind == IOVAGEOM_PIECE_RAM;
}

/* Fixed, whole from the largest, split; else as given. */
static void order_of(const struct world *world, size_t order[PIECES])
{
    size_t count = 0;

    for (size_t i = 0; i < world->count; i++)
        if (!moves(&world->pieces[i]))
            order[count++] = i;
    for (uint64_t length = CELLS; length > 0; length--)
        for (size_t i = 0; i < world->count; i++)
            if (moves(&world->pieces[i]) && !splits(&world->pieces[i]) &&
                length_of(world->pieces[i].range) == length)
                order[count++] = i;
    for (size_t i = 0; i < world->count; i++)
        if (splits(&world->pieces[i]))
            order[count++] = i;
    property_check(count == world->count);
}

static bool fixed_overlap(const struct world *world, size_t a, size_t b)
{
    const struct iovageom_piece *one = &world->pieces[a], *two = &world->pieces[b];

    return a != b && !moves(one) && !moves(two) && one->range.start <= two->range.last &&
           two->range.start <= one->range.last;
}

/* Marks the granules that have any address of `range`. */
static void mark(const struct world *world, struct iovageom_range range, bool granules[CELLS])
{
    for (uint64_t at = range.start; at <= range.last; at++)
        granules[at / world->granule] = true;
}

static void refused_granules(const struct world *world, bool granules[CELLS])
{
    memset(granules, 0, CELLS);
    for (uint64_t at = 0; at < CELLS; at++)
        if (world->refused[at])
            granules[at / world->granule] = true;
}

static uint64_t alignment_of(const struct world *world, const struct iovageom_piece *piece)
{
    uint64_t alignment = piece->alignment > world->granule ? piece->alignment : world->granule;

    if (piece->alignment == 0 && piece->kind == IOVAGEOM_PIECE_BAR)
        while (alignment < length_of(piece->range))
            alignment *= 2;
    return alignment;
}

/* One move keeps the rules for its piece; takes `from` off `here`, which has the piece's
 * addresses. */
static void check_move(const struct world *world, const struct iovageom_placement *move,
                       bool here[CELLS])
{
    const struct iovageom_piece *piece = &world->pieces[move->piece];

    property_check(moves(piece));
    property_check(length_of(move->from) == length_of(move->to));
    property_check(iovageom_range_contains(piece->limits, move->to));
    property_check(iovageom_range_contains(piece->range, move->from));
    property_check(move->to.last < CELLS);
    if (splits(piece)) {
        property_check(move->to.start % world->granule == 0);
    } else {
        property_check(iovageom_range_equal(piece->range, move->from));
        property_check(move->to.start % alignment_of(world, piece) == 0);
    }
    for (uint64_t at = move->from.start; at <= move->from.last; at++) {
        property_check(here[at]);
        here[at] = false;
    }
}

/* Whether it is doorbells that may lie where they are, whatever the host refuses. */
static bool is_excused(const struct world *world, const struct iovageom_piece *piece)
{
    bool excused = piece->kind == IOVAGEOM_PIECE_MSI;

    for (uint64_t at = piece->range.start & ~(world->granule - 1);
         at <= (piece->range.last | (world->granule - 1)); at++)
        excused = excused && (!world->refused[at] || world->doorbells[at]);
    return excused;
}

/* How far from where it is the nearest place for a piece is that moves whole; UINT64_MAX for
 * none. */
static uint64_t nearest(const struct world *world, const struct iovageom_piece *piece,
                        const bool free[CELLS])
{
    const uint64_t step = alignment_of(world, piece), length = length_of(piece->range);
    uint64_t best = UINT64_MAX;

    for (uint64_t start = 0; start + length <= CELLS; start += step) {
        struct iovageom_range there = {start, start + length - 1};
        bool fits = iovageom_range_contains(piece->limits, there);
        uint64_t way =
            start > piece->range.start ? start - piece->range.start : piece->range.start - start;

        for (uint64_t at = there.start; at <= there.last; at++)
            fits = fits && free[at / world->granule];
        if (fits && way < best)
            best = way;
    }
    return best;
}

/* The addresses of whole granules within the limits of a piece that are free. */
static uint64_t room_for(const struct world *world, const struct iovageom_piece *piece,
                         const bool free[CELLS])
{
    uint64_t room = 0;

    for (uint64_t at = 0; at < CELLS; at += world->granule)
        if (piece->limits.start <= at && at + world->granule - 1 <= piece->limits.last &&
            free[at / world->granule])
            room += world->granule;
    return room;
}

/*
 * Whether there is a place for piece i of the order, and how far away the nearest is (0 for one
 * that is split): where nothing is refused or taken, and where no later piece stands.
 */
static bool has_place(const struct world *world, const size_t order[PIECES], size_t i,
                      const bool refused[CELLS], const bool taken[CELLS], uint64_t lost,
                      uint64_t *way)
{
    const struct iovageom_piece *piece = &world->pieces[order[i]];
    bool free[CELLS], standing[CELLS] = {false};

    *way = 0;
    if (!moves(piece))
        return false;
    for (size_t k = splits(piece) ? i : i + 1; k < world->count; k++)
        mark(world, world->pieces[order[k]].range, standing);
    for (uint64_t at = 0; at < CELLS; at++)
        free[at] = !refused[at] && !taken[at] && !standing[at];
    if (splits(piece))
        return room_for(world, piece, free) >= lost;
    *way = nearest(world, piece, free);
    return *way != UINT64_MAX;
}

/*
 * Goes through the pieces in the order of their rights. What a piece can't keep where it is, as the
 * host refuses it or a piece with a better right has it, is what moves, no more and no less; and it
 * does if there is a place.
 */
static void check_plan(const struct world *world, const struct iovageom_placement *out,
                       const struct iovageom_layout_plan *plan)
{
    bool refused[CELLS], taken[CELLS] = {false};
    size_t order[PIECES], misfits = 0, stuck = 0, used = 0;
    uint64_t moved = 0, mappings = 0, way;

    refused_granules(world, refused);
    order_of(world, order);
    for (size_t i = 0; i < world->count; i++) {
        const struct iovageom_piece *piece = &world->pieces[order[i]];
        const bool excused = is_excused(world, piece);
        bool here[CELLS] = {false}, mine[CELLS] = {false}, granules[CELLS] = {false};
        bool kept = false, needless = false;
        struct iovageom_range to;
        uint64_t lost = 0, lost_granules = 0, gone = 0, runs = 0;

        mark(world, piece->range, granules);
        for (uint64_t at = 0; at < CELLS; at++) {
            const bool stays =
                granules[at] && (!refused[at] || excused) && !(moves(piece) && taken[at]);

            lost_granules += granules[at] && !stays;
            needless = needless || (granules[at] && refused[at]);
            runs += stays && !kept;
            kept = stays;
        }
        for (uint64_t at = piece->range.start; at <= piece->range.last; at++) {
            here[at] = true;
            lost += (refused[at / world->granule] && !excused) ||
                    (moves(piece) && taken[at / world->granule]);
        }
        const bool placed = lost > 0 && has_place(world, order, i, refused, taken,
                                                  lost_granules * world->granule, &way);
        const size_t before = used;
        for (; used < plan->placements && out[used].piece == order[i]; used++) {
            check_move(world, &out[used], here);
            gone += length_of(out[used].from);
            /* Parts take as many granules as they had. */
            to = out[used].to;
            if (splits(piece))
                to.last = to.start + (out[used].from.last | (world->granule - 1)) -
                          (out[used].from.start & ~(world->granule - 1));
            mark(world, to, mine);
        }
        misfits += lost > 0;
        stuck += lost > 0 && gone == 0;
        property_check(placed == (gone > 0));
        if (placed && !splits(piece))
            property_check(way == (out[before].to.start > piece->range.start
                                       ? out[before].to.start - piece->range.start
                                       : piece->range.start - out[before].to.start));
        if (lost == 0)
            mappings += !needless;
        else if (placed)
            mappings += used - before + (splits(piece) ? runs : 0);
        property_check(gone == 0 || gone == (splits(piece) ? lost : length_of(piece->range)));
        property_check(gone == 0 || lost > 0);
        moved += gone;
        /* New places are free; and so are old ones, unless it is stuck. */
        for (uint64_t at = 0; at < CELLS; at++)
            property_check(!mine[at] || (!taken[at] && !refused[at]));
        for (uint64_t at = 0; at < CELLS; at++)
            if (here[at]) {
                property_check(
                    !moves(piece) || (lost > 0 && gone == 0) ||
                    (!taken[at / world->granule] && (!refused[at / world->granule] || excused)));
                mine[at / world->granule] = true;
            }
        for (uint64_t at = 0; at < CELLS; at++)
            taken[at] = taken[at] || mine[at];
    }
    property_check(used == plan->placements);
    property_check(plan->misfits == misfits && plan->stuck == stuck);
    property_check(plan->mappings == mappings);
    property_check(plan->moved.hi == 0 && plan->moved.lo == moved);
    property_check(plan->outcome == (stuck > 0     ? IOVAGEOM_LAYOUT_STUCK
                                     : misfits > 0 ? IOVAGEOM_LAYOUT_SOLVED
                                                   : IOVAGEOM_LAYOUT_FITS));
}

/* The findings name each piece that is stuck, and of each that makes room one that is in its
 * way. */
static void check_findings(const struct world *world, const struct iovageom_layout_plan *plan,
                           const struct iovageom_report *report)
{
    bool named[PIECES] = {false};
    size_t stuck = 0;

    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(report, i);

        if (finding->kind != IOVAGEOM_FINDING_NO_PLACE && finding->kind != IOVAGEOM_FINDING_OVERLAP)
            continue;
        property_check(finding->wanted < world->count);
        property_check(iovageom_range_equal(finding->range, world->pieces[finding->wanted].range));
        if (finding->kind == IOVAGEOM_FINDING_NO_PLACE) {
            stuck++;
            continue;
        }
        property_check(finding->offered < world->count && finding->offered != finding->wanted);
        property_check(!named[finding->wanted]); /* one in its way is enough */
        named[finding->wanted] = true;
        property_check(
            iovageom_range_equal(finding->against, world->pieces[finding->offered].range));
        property_check(finding->range.start / world->granule <=
                       finding->against.last / world->granule);
        property_check(finding->against.start / world->granule <=
                       finding->range.last / world->granule);
    }
    property_check(stuck == plan->stuck && iovageom_report_dropped(report) == 0);
}

/* Whatever is proposed can be done: sizes are kept, and nothing lands on anything. */
START_TEST(E4_placements_fit_the_host_and_each_other)
{
    struct test_random random = test_random_start(1);
    struct iovageom_report report;

    iovageom_report_init(&report, NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct world world =
            random_world(&random, PIECES, UINT64_C(1) << test_random_below(&random, 3));
        struct iovageom_placement out[CELLS];
        struct iovageom_layout_plan plan;
        bool overlap = false;
        int status = iovageom_plan_layout(NULL, world.geometry, world.granule, world.pieces,
                                          world.count, out, CELLS, &plan, &report);

        for (size_t i = 0; i < world.count; i++)
            for (size_t k = 0; k < i; k++)
                overlap = overlap || fixed_overlap(&world, i, k);
        property_check(overlap == (status == IOVAGEOM_ERR_OVERLAP));
        if (overlap) {
            const struct iovageom_finding *finding =
                iovageom_report_at(&report, iovageom_report_count(&report) - 1);

            property_check(finding->status == IOVAGEOM_ERR_OVERLAP);
            property_check(fixed_overlap(&world, finding->wanted, finding->offered));
        } else {
            property_check(status == (plan.misfits > 0 ? IOVAGEOM_ERR_CONFLICT : IOVAGEOM_OK));
            check_plan(&world, out, &plan);
            check_findings(&world, &plan, &report);
        }
        iovageom_geometry_free(world.geometry);
    }
    iovageom_report_deinit(&report);
}
END_TEST

/* One piece alone: stuck only when nothing helps, and no smaller change would. */
START_TEST(E4_no_smaller_change_fits)
{
    struct test_random random = test_random_start(2);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct world world = random_world(&random, 1, 1);
        const struct iovageom_piece *piece = &world.pieces[0];
        uint64_t alignment = piece->alignment == 0 ? 1 : piece->alignment;
        struct iovageom_placement out[CELLS];
        struct iovageom_layout_plan plan;
        uint64_t best = UINT64_MAX;
        unsigned room = 0;
        unsigned lost = 0;
        unsigned runs = 0; /* of what can stay */

        (void)iovageom_plan_layout(NULL, world.geometry, 0, piece, 1, out, CELLS, &plan, NULL);
        for (uint64_t at = 0; at < CELLS; at++) {
            bool inside = iovageom_range_has(piece->range, at);

            lost += inside && world.refused[at];
            runs +=
                inside && !world.refused[at] && (at == piece->range.start || world.refused[at - 1]);
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
            property_check(plan.mappings == (room < lost ? 0 : runs + plan.placements));
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

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_layout.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "../base/array.h"
#include "../base/sort.h"
#include "../geometry/internal.h"
#include "places.h"

/*
 * How a layout is planned. Pieces are put into an order of precedence; a *seat* is a piece's place
 * in it (compare_seats()). In that order they are *settled*, one by one: each stays where it is if
 * the host maps it and no earlier piece has it; else it moves. Three sets of addresses say what is
 * free; each contains the one before:
 *
 *   refused   what the host doesn't map
 *   taken     and where settled pieces are: a piece that overlaps this can't stay
 *   blocked   and where pieces are that are still to be settled: nothing is put there, so that
 *             moving one piece never makes another one move
 *
 * A piece that moves whole may be put where it was itself, but for the addresses that another
 * piece had as well (`shared`). All is O(n log n).
 */

struct seat {
    const struct iovageom_piece *piece;
    struct iovageom_range range; /* the piece's, widened to granules */
    bool left;                   /* it has moved whole: where it was is free */
};

/* The work in progress. All sets hold whole granules. */
struct work {
    const struct iovageom_allocator *allocator;
    const struct iovageom_geometry *geometry;
    uint64_t granule;
    const struct iovageom_piece *pieces;
    size_t count;
    struct seat *seats;
    struct iovageom_rangeset refused; /* what the host does not map */
    struct iovageom_rangeset taken;   /* and what settled pieces have */
    struct iovageom_rangeset blocked; /* and where those still stand that are not settled */
    struct iovageom_rangeset shared;  /* where more than one piece was given */
    struct iovageom_placement *out;
    size_t capacity;
    struct iovageom_layout_plan plan;
    struct iovageom_report *report;
};

/* What may be done with a piece. A BAR is decoded in one piece. */
enum freedom { MOVES_NOT, MOVES_WHOLE, MOVES_PARTS };

static enum freedom freedom_of(const struct iovageom_piece *piece)
{
    if ((piece->flags & IOVAGEOM_PIECE_MOVABLE) == 0)
        return MOVES_NOT;
    return piece->kind == IOVAGEOM_PIECE_RAM && (piece->flags & IOVAGEOM_PIECE_SPLITTABLE) != 0
               ? MOVES_PARTS
               : MOVES_WHOLE;
}

/* ---- the order ---- */

/*
 * A piece that comes first keeps its addresses. First come fixed pieces, then those that move
 * whole, the larger first, because it is harder to place and costs more to move; then those that
 * split.
 */
static int compare_seats(const void *one, const void *other)
{
    const struct iovageom_piece *a = ((const struct seat *)one)->piece;
    const struct iovageom_piece *b = ((const struct seat *)other)->piece;
    int order = (int)freedom_of(a) - (int)freedom_of(b);

    if (order == 0 && freedom_of(a) == MOVES_WHOLE)
        order = iovageom_size_compare(iovageom_range_size(b->range), iovageom_range_size(a->range));
    return order != 0 ? order : a < b ? -1 : a > b;
}

/* Adds to `to` the addresses of `range` that `from` has. */
static int add_common(struct iovageom_rangeset *to, const struct iovageom_rangeset *from,
                      struct iovageom_range range)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range common;
    int status = IOVAGEOM_OK;

    iovageom_rangeset_seek(from, range.start, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &common) &&
           iovageom_range_intersect(common, range, &common))
        status = iovageom_rangeset_insert(to, common);
    return status;
}

/* ---- findings ---- */

static void report_piece(struct work *work, enum iovageom_finding_kind kind, int status,
                         const struct iovageom_piece *piece, struct iovageom_range against,
                         uint64_t offered)
{
    struct iovageom_finding finding = iovageom_finding_blank(kind, status);

    finding.range = piece->range;
    finding.against = against;
    finding.wanted = (uint64_t)(piece - work->pieces);
    finding.offered = offered;
    iovageom_report_add(work->report, &finding);
}

/* That a piece stands where another one does. */
static void report_overlap(struct work *work, const struct iovageom_piece *piece,
                           const struct iovageom_piece *other, int status)
{
    report_piece(work, IOVAGEOM_FINDING_OVERLAP, status, piece, other->range,
                 (uint64_t)(other - work->pieces));
}

/* Reports the first earlier piece that has addresses of the piece in `seat`. */
static void report_neighbour(struct work *work, const struct seat *seat, int status)
{
    struct iovageom_range common;

    for (const struct seat *other = work->seats; work->report != NULL && other < seat; other++)
        if (!other->left && iovageom_range_intersect(seat->range, other->range, &common) &&
            !iovageom_rangeset_contains(&work->refused, common)) {
            report_overlap(work, seat->piece, other->piece, status);
            return;
        }
}

static void report_host(struct work *work, struct iovageom_range range)
{
    struct iovageom_report why;

    if (work->report == NULL)
        return;
    iovageom_report_init(&why, work->allocator);
    (void)iovageom_geometry_explain(work->geometry, range, &why);
    for (size_t i = 0; i < iovageom_report_count(&why); i++)
        if (iovageom_report_at(&why, i)->fatal != 0)
            iovageom_report_add(work->report, iovageom_report_at(&why, i));
    iovageom_report_deinit(&why);
}

/* ---- checking what is given ---- */

static int check_piece(const struct iovageom_piece *piece)
{
    if (!iovageom_range_valid(piece->range) || !iovageom_range_valid(piece->limits))
        return IOVAGEOM_ERR_INVERTED;
    if (piece->kind < IOVAGEOM_PIECE_RAM || piece->kind > IOVAGEOM_PIECE_MSI ||
        piece->flags > (IOVAGEOM_PIECE_MOVABLE | IOVAGEOM_PIECE_SPLITTABLE) ||
        (piece->alignment != 0 && !iovageom_pgsize_is_power(piece->alignment)))
        return IOVAGEOM_ERR_INVALID;
    return IOVAGEOM_OK;
}

static void note_alignment(struct work *work, struct iovageom_range range)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_ALIGNMENT, IOVAGEOM_OK);

    finding.range = range;
    finding.wanted = work->granule;
    if (!iovageom_range_is_aligned(range, work->granule))
        iovageom_report_add(work->report, &finding);
}

/* Of pieces that can't move, none may lie on another; those that share a page are only noted. */
static int take_fixed(struct work *work)
{
    int status = IOVAGEOM_OK;

    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++) {
        const struct seat *seat = &work->seats[i];

        if (freedom_of(seat->piece) != MOVES_NOT)
            break;
        if (iovageom_rangeset_overlaps(&work->taken, seat->range)) {
            for (const struct seat *other = work->seats; other < seat; other++)
                if (iovageom_range_overlaps(seat->piece->range, other->piece->range)) {
                    report_overlap(work, seat->piece, other->piece, IOVAGEOM_ERR_OVERLAP);
                    return IOVAGEOM_ERR_OVERLAP;
                }
            report_neighbour(work, seat, IOVAGEOM_OK);
        }
        status = iovageom_rangeset_insert(&work->taken, seat->range);
    }
    return status;
}

/* ---- placing ---- */

/* Doorbells need no mapping where the host has doorbells too. */
static bool among_doorbells(const struct work *work, struct iovageom_range range)
{
    const struct iovageom_geometry_fact *fact;
    struct iovageom_range piece;
    struct iovageom_walk walk;
    bool among = true;

    iovageom_walk_open(&walk, work->geometry);
    while (among && iovageom_walk_next(&walk, &range, &piece, &fact))
        among = !iovageom_fact_forbids(fact) || iovageom_fact_type(fact) == IOVAGEOM_RESV_MSI ||
                iovageom_fact_type(fact) == IOVAGEOM_RESV_SOFTWARE_MSI;
    iovageom_walk_close(&walk);
    return among;
}

/* Moves `from`, whole granules, to `to`. The placement for the caller is without the parts of the
 * first and the last granule that are not of the piece. */
static int place(struct work *work, const struct iovageom_piece *piece, struct iovageom_range from,
                 struct iovageom_range to)
{
    struct iovageom_layout_plan *plan = &work->plan;
    struct iovageom_placement placement = {(size_t)(piece - work->pieces), from, to};
    int status = iovageom_rangeset_insert(&work->blocked, to);

    (void)iovageom_range_intersect(from, piece->range, &placement.from);
    placement.to.last = to.start + (placement.from.last - placement.from.start);
    if (plan->placements < work->capacity)
        work->out[plan->placements] = placement;
    plan->placements++;
    plan->moved = iovageom_size_add(plan->moved, iovageom_range_size(placement.from));
    plan->mappings++;
    return status == IOVAGEOM_OK ? iovageom_rangeset_insert(&work->taken, to) : status;
}

/*
 * Moves a part of a piece: to one place if there is one, else to the largest holes first, so that
 * as few mappings as possible are needed. iovageom_place_room() has found enough of them. Each turn
 * but the last fills a hole, so there is one turn more than holes at most.
 */
static int scatter(struct work *work, const struct iovageom_piece *piece,
                   struct iovageom_range from)
{
    struct iovageom_range rest = from, hole, part;
    int status;

    do {
        part = rest;
        if (!iovageom_place_near(&work->blocked, piece->limits, rest, work->granule, true, &hole)) {
            if (!iovageom_place_largest(&work->blocked, piece->limits, work->granule, &hole))
                return IOVAGEOM_ERR_NOTHING_USABLE; /* iovageom_place_room() excludes this */
            /* One that is as long as `rest` would have been found before. */
            part.last = part.start + (hole.last - hole.start);
        }
        status = place(work, piece, part, hole);
    } while (status == IOVAGEOM_OK && iovageom_range_above(part, &rest) &&
             iovageom_range_intersect(rest, from, &rest));
    return status;
}

/* Moves what the host refuses of a piece, or others have, and only that. */
static int split(struct work *work, const struct seat *seat, const struct iovageom_rangeset *lost)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range from;
    int status = IOVAGEOM_OK;

    if (!iovageom_place_room(&work->blocked, seat->piece->limits, work->granule,
                             iovageom_rangeset_size(lost)))
        return IOVAGEOM_OK;
    /* What stays is mapped in one range more than what is lost, unless that is at an end. */
    work->plan.mappings += iovageom_rangeset_count(lost) + 1;
    iovageom_rangeset_seek(lost, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &from)) {
        work->plan.mappings -= from.start == seat->range.start;
        work->plan.mappings -= from.last == seat->range.last;
        status = scatter(work, seat->piece, from);
    }
    return status;
}

/* Moves a piece whole. Where it is is unblocked first, but for what others have there, as the new
 * place may overlap it. */
static int move(struct work *work, struct seat *seat)
{
    const struct iovageom_piece *piece = seat->piece;
    struct iovageom_range to;
    int status = iovageom_rangeset_remove(&work->blocked, seat->range);

    if (status == IOVAGEOM_OK)
        status = add_common(&work->blocked, &work->taken, seat->range);
    if (status == IOVAGEOM_OK)
        status = add_common(&work->blocked, &work->shared, seat->range);
    if (status < 0)
        return status;
    seat->left = iovageom_place_near(&work->blocked, iovageom_place_limits(piece), piece->range,
                                     iovageom_place_alignment(piece, work->granule), false, &to);
    if (!seat->left)
        return iovageom_rangeset_insert(&work->blocked, seat->range);
    return place(work, piece, piece->range, iovageom_range_align_outward(to, work->granule));
}

/*
 * Lets a piece stay, or move what can't stay of it: only that if it can be split, else all. A fixed
 * piece is compared with the host alone, because take_fixed() has compared it with the others;
 * doorbells may lie where the host has its own. `lost` is scratch space.
 */
static int settle(struct work *work, struct seat *seat, struct iovageom_rangeset *lost)
{
    const struct iovageom_piece *piece = seat->piece;
    const bool excused = piece->kind == IOVAGEOM_PIECE_MSI && among_doorbells(work, seat->range);
    const size_t placements = work->plan.placements;
    struct iovageom_size by_host;
    int status = iovageom_rangeset_clip(lost, &work->refused, seat->range);

    by_host = iovageom_rangeset_size(lost);
    if (status == IOVAGEOM_OK && freedom_of(piece) != MOVES_NOT)
        status = iovageom_rangeset_clip(lost, &work->taken, seat->range);
    const bool by_others = iovageom_size_compare(iovageom_rangeset_size(lost), by_host) != 0;
    const bool refused = by_host.hi != 0 || by_host.lo != 0;
    if (status == IOVAGEOM_OK && excused)
        status = iovageom_rangeset_difference(lost, lost, &work->refused);
    if (status < 0)
        return status;
    if (iovageom_rangeset_count(lost) == 0) {
        work->plan.mappings += !refused;
        return iovageom_rangeset_insert(&work->taken, seat->range);
    }
    work->plan.misfits++;
    if (refused && !excused)
        report_host(work, seat->range);
    if (by_others)
        report_neighbour(work, seat, IOVAGEOM_ERR_CONFLICT);
    if (freedom_of(piece) == MOVES_PARTS)
        status = split(work, seat, lost);
    else if (freedom_of(piece) == MOVES_WHOLE)
        status = move(work, seat);
    if (status == IOVAGEOM_OK && work->plan.placements == placements) {
        work->plan.stuck++;
        report_piece(work, IOVAGEOM_FINDING_NO_PLACE, IOVAGEOM_ERR_CONFLICT, piece,
                     freedom_of(piece) != MOVES_NOT ? iovageom_place_limits(piece) : piece->range,
                     0);
    }
    if (status == IOVAGEOM_OK && !seat->left)
        status = iovageom_rangeset_insert(&work->taken, seat->range);
    return status;
}

/* ---- the whole ---- */

int iovageom_plan_layout_chunks(const struct iovageom_piece *pieces, size_t count, uint64_t chunk,
                                uint64_t *mappings)
{
    uint64_t sum = 0;

    if (!iovageom_pgsize_is_power(chunk))
        return IOVAGEOM_ERR_INVALID;
    for (size_t i = 0; i < count; i++) {
        const struct iovageom_range range = pieces[i].range;
        const uint64_t further = range.last / chunk - range.start / chunk; /* chunks but one */

        if (!iovageom_range_valid(range))
            return IOVAGEOM_ERR_INVERTED;
        if (pieces[i].kind == IOVAGEOM_PIECE_RAM)
            sum = further >= UINT64_MAX - sum ? UINT64_MAX : sum + further + 1;
    }
    *mappings = sum;
    return IOVAGEOM_OK;
}

const char *iovageom_layout_outcome_string(uint32_t outcome)
{
    static const char *const outcomes[] = {"unknown outcome", "the layout fits as it is",
                                           "the layout fits once the proposed moves are made",
                                           "no place was found for some pieces of the layout",
                                           "the layout needs more mappings than the host allows"};

    return outcomes[outcome <= IOVAGEOM_LAYOUT_OVER_BUDGET ? outcome : 0];
}

/* The outcome, and the status to return for it. A layout that needs moves is a CONFLICT even when
 * the plan solves it: as it is, it can't be mapped. */
static int conclude(struct work *work)
{
    struct iovageom_layout_plan *plan = &work->plan;
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_BUDGET, IOVAGEOM_ERR_LIMIT);

    (void)iovageom_plan_layout_chunks(work->pieces, work->count, work->granule,
                                      &plan->page_mappings);
    plan->budget = UINT64_MAX;
    (void)iovageom_geometry_map_budget(work->geometry, &plan->budget);
    (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, work->geometry->self.name);
    finding.offered = plan->budget;
    finding.wanted = plan->mappings;
    if (plan->mappings > plan->budget)
        iovageom_report_add(work->report, &finding);
    (void)iovageom_geometry_direct(work->geometry, IOVAGEOM_ID_NONE, IOVAGEOM_OK, work->report);
    iovageom_geometry_doubts(work->geometry, IOVAGEOM_ID_NONE, work->report);
    plan->outcome = plan->stuck > 0                 ? IOVAGEOM_LAYOUT_STUCK
                    : plan->mappings > plan->budget ? IOVAGEOM_LAYOUT_OVER_BUDGET
                    : plan->misfits > 0             ? IOVAGEOM_LAYOUT_SOLVED
                                                    : IOVAGEOM_LAYOUT_FITS;
    if (plan->outcome == IOVAGEOM_LAYOUT_OVER_BUDGET)
        return IOVAGEOM_ERR_LIMIT;
    return plan->misfits > 0 ? IOVAGEOM_ERR_CONFLICT : IOVAGEOM_OK;
}

/* Goes through all steps. `lost` is scratch space. */
static int plan_pieces(struct work *work, struct iovageom_rangeset *lost)
{
    int status;

    for (size_t i = 0; i < work->count; i++) {
        const struct iovageom_piece *piece = &work->pieces[i];
        const struct iovageom_range range =
            iovageom_range_align_outward(piece->range, work->granule);

        status = check_piece(piece);
        if (status < 0)
            return status;
        work->seats[i] = (struct seat){piece, range, false};
        if (piece->kind == IOVAGEOM_PIECE_RAM)
            work->plan.pinned = iovageom_size_add(work->plan.pinned, iovageom_range_size(range));
    }
    iovageom_sort(work->seats, work->count, sizeof(*work->seats), compare_seats);
    status = take_fixed(work);
    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++)
        note_alignment(work, work->pieces[i].range);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_usable(work->geometry, work->granule, &work->refused);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_complement(&work->refused, &work->refused, IOVAGEOM_EVERYTHING);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_union(&work->taken, &work->taken, &work->refused);
    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++) {
        status = add_common(&work->shared, &work->blocked, work->seats[i].range);
        if (status == IOVAGEOM_OK)
            status = iovageom_rangeset_insert(&work->blocked, work->seats[i].range);
    }
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_union(&work->blocked, &work->blocked, &work->taken);
    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++)
        status = settle(work, &work->seats[i], lost);
    return status == IOVAGEOM_OK ? conclude(work) : status;
}

int iovageom_plan_layout(const struct iovageom_allocator *allocator,
                         const struct iovageom_geometry *geometry, uint64_t granule,
                         const struct iovageom_piece *pieces, size_t count,
                         struct iovageom_placement *out, size_t capacity,
                         struct iovageom_layout_plan *plan, struct iovageom_report *report)
{
    struct work work = {.allocator = iovageom_allocator_chosen(allocator),
                        .geometry = geometry,
                        .granule = granule,
                        .pieces = pieces,
                        .count = count,
                        .out = out,
                        .capacity = capacity,
                        .report = report};
    struct iovageom_rangeset lost, *const sets[] = {&work.refused, &work.taken, &work.blocked,
                                                    &work.shared, &lost};
    uint64_t own = granule != 0 ? granule : 4096;
    int status = iovageom_geometry_granule(geometry, &own);

    iovageom_report_clear(report);
    if (status == IOVAGEOM_ERR_NOTHING_USABLE)
        return status;
    if (granule == 0)
        work.granule = own;
    if (work.allocator == NULL || !iovageom_pgsize_is_power(work.granule) || work.granule < own)
        return IOVAGEOM_ERR_INVALID;
    work.seats = iovageom_array_new(work.allocator, count + 1, sizeof(*work.seats));
    if (work.seats == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    for (size_t i = 0; i < 5; i++)
        (void)iovageom_rangeset_init(sets[i], work.allocator);
    status = plan_pieces(&work, &lost);
    if (status == IOVAGEOM_OK || status == IOVAGEOM_ERR_CONFLICT || status == IOVAGEOM_ERR_LIMIT)
        *plan = work.plan;
    for (size_t i = 0; i < 5; i++)
        iovageom_rangeset_deinit(sets[i]);
    iovageom_array_free(work.allocator, work.seats, count + 1, sizeof(*work.seats));
    return status;
}

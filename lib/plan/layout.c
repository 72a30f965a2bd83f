/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_layout.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "../base/array.h"
#include "../base/hints.h"
#include "../base/sort.h"
#include "../geometry/internal.h"
#include "places.h"

/*
 * How a layout is planned. Pieces are put into an order of precedence; a *seat* is a piece's place
 * in it (compare_seats()). In that order they are *settled*, one by one: each stays where it is if
 * the host maps it and no earlier piece has it; else it moves. Three sets of addresses say what is
 * free; the third contains the others:
 *
 *   refused   what the host doesn't map
 *   taken     where settled pieces are; a piece that overlaps either can't stay
 *   blocked   and where pieces are that are still to be settled: nothing is put there, so that
 *             moving one piece never makes another one move
 *
 * A piece that moves whole may be put where it was itself, but for what a settled piece has there,
 * or one that is still to be settled: what is left is its `own`. All is O(n log n).
 */

/* What may be done with a piece. A BAR is decoded in one piece. */
enum freedom { MOVES_NOT, MOVES_WHOLE, MOVES_PARTS };

struct seat {
    const struct iovageom_piece *piece;
    struct iovageom_range range; /* the piece's, widened to granules */
    enum freedom freedom;
    bool excused; /* doorbells where the host has its own: they need no mapping */
    bool left;    /* it has moved whole: where it was is free */
    const struct iovageom_range *own; /* the `owned` parts of `range` that no later seat has */
    size_t owned;
};

/* The work in progress. All sets hold whole granules; calls on them fail for lack of memory alone,
 * so that statuses of several are gathered with |=. What is large comes last, and the two NOINLINE
 * below keep the steps out of the frame that it is in: both make the code smaller. */
struct work {
    const struct iovageom_allocator *allocator;
    const struct iovageom_geometry *geometry;
    uint64_t granule;
    const struct iovageom_piece *pieces;
    size_t count;
    struct seat *seats;
    struct iovageom_range *own; /* behind the seats: room for what is left of their `own` */
    struct iovageom_placement *out;
    size_t capacity;
    struct iovageom_report *report;
    struct iovageom_layout_plan plan;
    struct iovageom_rangeset refused; /* what the host does not map */
    struct iovageom_rangeset taken;   /* what settled pieces have */
    struct iovageom_rangeset blocked; /* both, and where those stand that are not settled */
    struct iovageom_rangeset lost;    /* scratch space: what a piece can't keep */
    struct iovageom_walk walk;        /* over the geometry */
};

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
    const struct seat *a = one, *b = other;
    int order = (int)a->freedom - (int)b->freedom;

    if (order == 0 && a->freedom == MOVES_WHOLE)
        order = iovageom_size_compare(iovageom_range_size(b->piece->range),
                                      iovageom_range_size(a->piece->range));
    return order != 0 ? order : a->piece < b->piece ? -1 : a->piece > b->piece;
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

/* About a piece, by its index, or for ALIGNMENT about the granule. */
static void report(struct work *work, enum iovageom_finding_kind kind, int status,
                   const struct iovageom_piece *piece, struct iovageom_range against,
                   uint64_t offered)
{
    struct iovageom_finding finding = iovageom_finding_blank(kind, status);

    finding.range = piece->range;
    finding.against = against;
    finding.wanted =
        kind == IOVAGEOM_FINDING_ALIGNMENT ? work->granule : (uint64_t)(piece - work->pieces);
    finding.offered = offered;
    iovageom_report_add(work->report, &finding);
}

/* That a piece stands where another one does. */
static void report_overlap(struct work *work, const struct seat *seat, const struct seat *other,
                           int status)
{
    report(work, IOVAGEOM_FINDING_OVERLAP, status, seat->piece, other->piece->range,
           (uint64_t)(other->piece - work->pieces));
}

/*
 * Reports the first earlier piece that has addresses of the piece in `seat`. Of pieces that can't
 * move, none may lie on another: that is an error, and all there is to say. Those that share a page
 * are noted.
 */
static int report_neighbour(struct work *work, const struct seat *seat)
{
    const bool fixed = seat->freedom == MOVES_NOT;
    struct iovageom_range common;

    for (const struct seat *other = work->seats; fixed && other < seat; other++)
        if (iovageom_range_overlaps(seat->piece->range, other->piece->range)) {
            iovageom_report_clear(work->report);
            report_overlap(work, seat, other, IOVAGEOM_ERR_OVERLAP);
            return IOVAGEOM_ERR_OVERLAP;
        }
    for (const struct seat *other = work->seats; other < seat; other++)
        if (!other->left && iovageom_range_intersect(seat->range, other->range, &common) &&
            (fixed || seat->excused || !iovageom_rangeset_contains(&work->refused, common))) {
            report_overlap(work, seat, other, fixed ? IOVAGEOM_OK : IOVAGEOM_ERR_CONFLICT);
            break;
        }
    return IOVAGEOM_OK;
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

/* ---- placing ---- */

/* Doorbells need no mapping where the host has doorbells too. */
static bool among_doorbells(const struct work *work, struct iovageom_range range)
{
    const struct iovageom_geometry_fact *fact;
    struct iovageom_range piece;
    bool among = true;

    while (among && iovageom_walk_next(&work->walk, &range, &piece, &fact))
        among = !iovageom_fact_forbids(fact) || iovageom_fact_type(fact) == IOVAGEOM_RESV_MSI ||
                iovageom_fact_type(fact) == IOVAGEOM_RESV_SOFTWARE_MSI;
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
    return status | iovageom_rangeset_insert(&work->taken, to);
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
static int split(struct work *work, const struct seat *seat)
{
    struct iovageom_rangeset *const lost = &work->lost;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range from;
    int status = iovageom_rangeset_clip(lost, &work->refused, seat->range);

    status |= add_common(lost, &work->taken, seat->range);
    if (status < 0 || !iovageom_place_room(&work->blocked, seat->piece->limits, work->granule,
                                           iovageom_rangeset_size(lost)))
        return status;
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
    int status = IOVAGEOM_OK;

    for (size_t i = 0; i < seat->owned; i++) {
        status |= iovageom_rangeset_remove(&work->blocked, seat->own[i]);
        status |= add_common(&work->blocked, &work->taken, seat->own[i]);
        status |= add_common(&work->blocked, &work->refused, seat->own[i]);
    }
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
 * piece is a misfit by the host alone, as no other makes it move; doorbells may lie where the host
 * has its own.
 */
static NOINLINE int settle(struct work *work, struct seat *seat)
{
    const struct iovageom_piece *piece = seat->piece;
    const bool movable = seat->freedom != MOVES_NOT;
    const bool shared = iovageom_rangeset_overlaps(&work->taken, seat->range);
    const bool refused = iovageom_rangeset_overlaps(&work->refused, seat->range);
    const size_t placements = work->plan.placements;
    int status = IOVAGEOM_OK;

    seat->excused =
        refused && piece->kind == IOVAGEOM_PIECE_MSI && among_doorbells(work, seat->range);
    if (refused && !seat->excused && work->report != NULL)
        (void)iovageom_geometry_refuse(work->geometry, seat->range, work->report);
    if (shared)
        status = report_neighbour(work, seat);
    if (status < 0)
        return status;
    if ((refused && !seat->excused) || (shared && movable)) {
        work->plan.misfits++;
        if (seat->freedom == MOVES_PARTS)
            status = split(work, seat);
        else if (movable)
            status = move(work, seat);
        if (status == IOVAGEOM_OK && work->plan.placements == placements) {
            work->plan.stuck++;
            report(work, IOVAGEOM_FINDING_NO_PLACE, IOVAGEOM_ERR_CONFLICT, piece,
                   movable ? iovageom_place_limits(piece) : piece->range, 0);
        }
    } else {
        work->plan.mappings += !refused;
    }
    return seat->left ? status : status | iovageom_rangeset_insert(&work->taken, seat->range);
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

/* Goes through all steps. */
static NOINLINE int plan_pieces(struct work *work)
{
    int status;

    for (size_t i = 0; i < work->count; i++) {
        const struct iovageom_piece *piece = &work->pieces[i];
        const struct iovageom_range range =
            iovageom_range_align_outward(piece->range, work->granule);

        status = check_piece(piece);
        if (status < 0)
            return status;
        work->seats[i] =
            (struct seat){.piece = piece, .range = range, .freedom = freedom_of(piece)};
        if (piece->kind == IOVAGEOM_PIECE_RAM)
            work->plan.pinned = iovageom_size_add(work->plan.pinned, iovageom_range_size(range));
    }
    iovageom_sort(work->seats, work->count, sizeof(*work->seats), compare_seats);
    status = iovageom_geometry_usable(work->geometry, work->granule, &work->refused);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_complement(&work->refused, &work->refused, IOVAGEOM_EVERYTHING);
    /* From the last one up: what is still free is its own. */
    for (size_t i = work->count; status == IOVAGEOM_OK && i-- > 0;) {
        struct seat *seat = &work->seats[i];

        status = iovageom_rangeset_complement(&work->lost, &work->blocked, seat->range);
        if (status < 0)
            return status;
        seat->own = work->own;
        (void)iovageom_rangeset_to_array(&work->lost, work->own, SIZE_MAX, &seat->owned);
        work->own += seat->owned;
        status = iovageom_rangeset_insert(&work->blocked, seat->range);
    }
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_union(&work->blocked, &work->blocked, &work->refused);
    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++)
        status = settle(work, &work->seats[i]);
    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++)
        if (!iovageom_range_is_aligned(work->pieces[i].range, work->granule))
            report(work, IOVAGEOM_FINDING_ALIGNMENT, IOVAGEOM_OK, &work->pieces[i],
                   (struct iovageom_range){0, 0}, 0);
    return status == IOVAGEOM_OK ? conclude(work) : status;
}

int iovageom_plan_layout(const struct iovageom_allocator *allocator,
                         const struct iovageom_geometry *geometry, uint64_t granule,
                         const struct iovageom_piece *pieces, size_t count,
                         struct iovageom_placement *out, size_t capacity,
                         struct iovageom_layout_plan *plan, struct iovageom_report *report)
{
    uint64_t own = granule != 0 ? granule : 4096;
    int status = iovageom_geometry_granule(geometry, &own);
    struct work work = {.allocator = iovageom_allocator_chosen(allocator),
                        .geometry = geometry,
                        .granule = granule != 0 ? granule : own,
                        .pieces = pieces,
                        .count = count,
                        .out = out,
                        .capacity = capacity,
                        .report = report};
    struct iovageom_rangeset *const sets[] = {&work.refused, &work.taken, &work.blocked,
                                              &work.lost};
    /* Of each range that is put into a set, one part is new, and one more for each that it joins:
     * so two for each piece are room enough for what all have of their own. */
    const size_t room = sizeof(*work.seats) + 2 * sizeof(*work.own);

    iovageom_report_clear(report);
    if (status == IOVAGEOM_ERR_NOTHING_USABLE)
        return status;
    if (work.allocator == NULL || !iovageom_pgsize_is_power(work.granule) || work.granule < own)
        return IOVAGEOM_ERR_INVALID;
    work.seats = iovageom_array_new(work.allocator, count + 1, room);
    if (work.seats == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    work.own = (struct iovageom_range *)(work.seats + count + 1);
    for (size_t i = 0; i < 4; i++)
        (void)iovageom_rangeset_init(sets[i], work.allocator);
    iovageom_walk_open(&work.walk, geometry);
    status = plan_pieces(&work);
    if (status == IOVAGEOM_OK || status == IOVAGEOM_ERR_CONFLICT || status == IOVAGEOM_ERR_LIMIT)
        *plan = work.plan;
    iovageom_walk_close(&work.walk);
    for (size_t i = 0; i < 4; i++)
        iovageom_rangeset_deinit(sets[i]);
    iovageom_array_free(work.allocator, work.seats, count + 1, room);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_layout.h>

#include <iovageom/pgsize.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "../base/array.h"
#include "../base/sort.h"
#include "../geometry/internal.h"

/*
 * How a layout is planned. Pieces are put into an order of precedence; a *seat* is a piece's place
 * in it (compare_seats()). In that order they are *settled*, one by one: each stays where it is if
 * the host maps it and no earlier piece has it, and moves else. Three sets of addresses say what is
 * free; each contains the one before:
 *
 *   refused   what the host doesn't map
 *   taken     and where settled pieces are: a piece that overlaps this can't stay
 *   blocked   and where pieces are that are still to be settled: nothing is put there, so that
 *             moving one piece never makes another one move
 *
 * A piece that moves whole may be put where it was itself. So its own place is unblocked first: its
 * parts, which are the addresses that no later piece covers, less what settled pieces have. Parts
 * are found once, for all pieces together, which keeps the whole plan at O(n log n).
 */

/* A piece in the order in which pieces are settled: see compare_seats(). */
struct seat {
    size_t piece;
    struct iovageom_size size; /* of a piece that moves whole; else 0 */
    uint8_t rank;              /* 0 fixed, 1 moves whole, 2 can be split */
    bool left;                 /* it has moved whole: where it was is free */
};

/* Addresses of the piece in seat `seat` that no later piece covers. */
struct part {
    struct iovageom_range range;
    size_t seat;
};

/* The work in progress. All sets hold whole granules. */
struct work {
    const struct iovageom_allocator *allocator;
    const struct iovageom_geometry *geometry;
    uint64_t granule;
    const struct iovageom_piece *pieces;
    size_t count;
    struct seat *seats;
    struct part *parts; /* a stack: those of the first seat lie on top */
    size_t part_count;
    struct iovageom_rangeset refused; /* what the host does not map */
    struct iovageom_rangeset taken;   /* and what settled pieces have */
    struct iovageom_rangeset blocked; /* and where those still stand that are not settled */
    struct iovageom_rangeset scratch;
    struct iovageom_placement *out;
    size_t capacity;
    struct iovageom_layout_plan plan;
    struct iovageom_report *report;
};

static struct iovageom_range widened(const struct work *work, const struct iovageom_piece *piece)
{
    return iovageom_range_align_outward(piece->range, work->granule);
}

static bool movable(const struct iovageom_piece *piece)
{
    return (piece->flags & IOVAGEOM_PIECE_MOVABLE) != 0;
}

/* A BAR is decoded in one piece. */
static bool splittable(const struct iovageom_piece *piece)
{
    return movable(piece) && piece->kind == IOVAGEOM_PIECE_RAM &&
           (piece->flags & IOVAGEOM_PIECE_SPLITTABLE) != 0;
}

/* A BAR below 4 GiB without limits of its own may be a 32-bit BAR, so it stays below. */
static struct iovageom_range limits_of(const struct iovageom_piece *piece)
{
    const struct iovageom_range low = {0, UINT32_MAX};

    if (piece->kind == IOVAGEOM_PIECE_BAR &&
        iovageom_range_equal(piece->limits, IOVAGEOM_EVERYTHING) &&
        iovageom_range_contains(low, piece->range))
        return low;
    return piece->limits;
}

/* PCI decodes a BAR at multiples of its size, which is a power of two. */
static uint64_t alignment_of(const struct work *work, const struct iovageom_piece *piece)
{
    const uint64_t size = iovageom_size_saturate(iovageom_range_size(piece->range));
    uint64_t alignment = piece->alignment;

    if (alignment == 0 && piece->kind == IOVAGEOM_PIECE_BAR)
        for (alignment = 1; alignment < size && alignment <= UINT64_MAX >> 1;)
            alignment <<= 1;
    return iovageom_higher(alignment, work->granule);
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
    const int smaller = iovageom_size_compare(b->size, a->size);

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (smaller != 0)
        return smaller;
    return a->piece < b->piece ? -1 : a->piece > b->piece;
}

static void sort_seats(struct work *work)
{
    for (size_t i = 0; i < work->count; i++) {
        const struct iovageom_piece *piece = &work->pieces[i];
        struct seat *seat = &work->seats[i];

        *seat = (struct seat){.piece = i, .rank = (uint8_t)(movable(piece) + splittable(piece))};
        if (seat->rank == 1)
            seat->size = iovageom_range_size(piece->range);
    }
    iovageom_sort(work->seats, work->count, sizeof(*work->seats), compare_seats);
}

/*
 * Adds all pieces to `blocked`, from the last seat to the first, and notes their parts. A piece
 * with p parts joins at least p - 1 ranges of `blocked` into one, so the set grows by 2 - p at
 * most; as it can't shrink below 0, there are no more than two parts for each piece on average.
 */
static int note_parts(struct work *work)
{
    int status = IOVAGEOM_OK;

    for (size_t i = work->count; status == IOVAGEOM_OK && i-- > 0;) {
        const struct iovageom_range range = widened(work, &work->pieces[work->seats[i].piece]);
        struct iovageom_range rest = range, gap;

        while (iovageom_rangeset_gap_above(&work->blocked, rest.start, &gap) &&
               iovageom_range_intersect(gap, rest, &gap)) {
            work->parts[work->part_count++] = (struct part){gap, i};
            if (!iovageom_range_above(gap, &gap) || !iovageom_range_intersect(gap, rest, &rest))
                break;
        }
        status = iovageom_rangeset_insert(&work->blocked, range);
    }
    return status;
}

/* ---- findings ---- */

/* That piece `index` stands where piece `against` does. */
static void add_overlap(struct work *work, size_t index, size_t against, int status)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_OVERLAP, IOVAGEOM_ERR_OVERLAP);

    finding.status = status;
    finding.fatal = status != IOVAGEOM_OK;
    finding.range = work->pieces[index].range;
    finding.against = work->pieces[against].range;
    finding.wanted = index;
    finding.offered = against;
    iovageom_report_add(work->report, &finding);
}

/* Reports the first earlier piece that has addresses of the piece in seat `seat`. */
static void report_neighbour(struct work *work, size_t seat, int status)
{
    const struct iovageom_range range = widened(work, &work->pieces[work->seats[seat].piece]);
    struct iovageom_range common;

    for (size_t i = 0; work->report != NULL && i < seat; i++) {
        const size_t other = work->seats[i].piece;

        if (!work->seats[i].left &&
            iovageom_range_intersect(range, widened(work, &work->pieces[other]), &common) &&
            !iovageom_rangeset_contains(&work->refused, common)) {
            add_overlap(work, work->seats[seat].piece, other, status);
            return;
        }
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

static void report_stuck(struct work *work, size_t index)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_NO_PLACE, IOVAGEOM_ERR_CONFLICT);

    finding.range = work->pieces[index].range;
    finding.against =
        movable(&work->pieces[index]) ? limits_of(&work->pieces[index]) : work->pieces[index].range;
    finding.wanted = index;
    iovageom_report_add(work->report, &finding);
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

static void look_at(struct work *work, const struct iovageom_piece *piece)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_ALIGNMENT, IOVAGEOM_OK);

    finding.range = piece->range;
    finding.wanted = work->granule;
    if (!iovageom_range_is_aligned(piece->range, work->granule))
        iovageom_report_add(work->report, &finding);
    if (piece->kind == IOVAGEOM_PIECE_RAM)
        work->plan.pinned =
            iovageom_size_add(work->plan.pinned, iovageom_range_size(widened(work, piece)));
}

/* Of pieces that can't move, none may lie on another; those that share a page are only noted. */
static int take_fixed(struct work *work)
{
    int status = IOVAGEOM_OK;

    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++) {
        const struct iovageom_piece *piece = &work->pieces[work->seats[i].piece];

        if (movable(piece))
            break;
        if (iovageom_rangeset_overlaps(&work->scratch, piece->range)) {
            size_t k = 0;

            while (!iovageom_range_overlaps(piece->range, work->pieces[work->seats[k].piece].range))
                k++;
            add_overlap(work, work->seats[i].piece, work->seats[k].piece, IOVAGEOM_ERR_OVERLAP);
            return IOVAGEOM_ERR_OVERLAP;
        }
        if (iovageom_rangeset_overlaps(&work->taken, widened(work, piece)))
            report_neighbour(work, i, IOVAGEOM_OK);
        status = iovageom_rangeset_insert(&work->scratch, piece->range);
        if (status == IOVAGEOM_OK)
            status = iovageom_rangeset_insert(&work->taken, widened(work, piece));
    }
    return status;
}

/* ---- placing ---- */

/* Doorbells need no mapping where the host has doorbells too. */
static bool among_doorbells(const struct work *work, struct iovageom_range range)
{
    struct iovageom_finding finding;
    struct iovageom_resv_walk walk;
    bool among = true;

    iovageom_resv_walk_open(&walk, work->geometry->resv);
    while (among && iovageom_geometry_next_obstacle(&walk, &range, &finding))
        among = finding.type == IOVAGEOM_RESV_MSI || finding.type == IOVAGEOM_RESV_SOFTWARE_MSI;
    iovageom_resv_walk_close(&walk);
    return among;
}

/* Moves `from`, whole granules, to `to`. The placement for the caller is without the parts of the
 * first and the last granule that are not of the piece. */
static int place(struct work *work, size_t index, struct iovageom_range from,
                 struct iovageom_range to)
{
    struct iovageom_layout_plan *plan = &work->plan;
    struct iovageom_placement placement = {index, from, to};
    int status = iovageom_rangeset_insert(&work->blocked, to);
    uint64_t size;

    if (iovageom_range_intersect(from, work->pieces[index].range, &placement.from) &&
        iovageom_range_length(placement.from, &size) == IOVAGEOM_OK)
        (void)iovageom_range_from_length(to.start, size, &placement.to);
    if (plan->placements < work->capacity)
        work->out[plan->placements] = placement;
    plan->placements++;
    plan->moved = iovageom_size_add(plan->moved, iovageom_range_size(placement.from));
    plan->mappings++;
    return status == IOVAGEOM_OK ? iovageom_rangeset_insert(&work->taken, to) : status;
}

/* The nearest free place of the size of `from`; with `up`, one above if there is any. */
static bool find_place(const struct work *work, struct iovageom_range limits,
                       struct iovageom_range from, uint64_t alignment, bool up,
                       struct iovageom_range *to)
{
    struct iovageom_range above;
    struct iovageom_range below;
    uint64_t size;
    bool found_above = false;
    bool found_below = false;

    if (iovageom_range_length(from, &size) < 0)
        return false;
    if (iovageom_range_intersect(limits, (struct iovageom_range){from.start, IOVAGEOM_ADDRESS_MAX},
                                 &above))
        found_above = iovageom_rangeset_first_hole(&work->blocked, above, size, alignment,
                                                   &above) == IOVAGEOM_OK;
    if (iovageom_range_intersect(limits, (struct iovageom_range){0, from.last}, &below))
        found_below = iovageom_rangeset_last_hole(&work->blocked, below, size, alignment, &below) ==
                      IOVAGEOM_OK;
    if (found_above && (up || !found_below || above.start - from.start <= from.start - below.start))
        *to = above;
    else if (found_below)
        *to = below;
    return found_above || found_below;
}

/*
 * The largest hole within the limits, the lowest of several: found by bisection of its size, which
 * needs no list of holes that each part changes.
 */
static bool largest_hole(const struct work *work, struct iovageom_range limits,
                         struct iovageom_range *best)
{
    uint64_t low = 0, high = IOVAGEOM_ADDRESS_MAX / work->granule;
    struct iovageom_range hole;

    while (low < high) {
        uint64_t middle = high - (high - low) / 2;

        if (iovageom_rangeset_first_hole(&work->blocked, limits, middle * work->granule,
                                         work->granule, &hole) == IOVAGEOM_OK) {
            *best = hole;
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low > 0;
}

/* Fills the largest holes first, so that as few mappings as possible come of it. has_room() has
 * found enough of them. */
static int scatter(struct work *work, size_t index, const struct iovageom_piece *piece,
                   struct iovageom_range from)
{
    bool more = true;

    while (more) {
        struct iovageom_range best;
        struct iovageom_range part = from;
        uint64_t most = 0;
        int status;

        if (!largest_hole(work, piece->limits, &best))
            return IOVAGEOM_ERR_NOTHING_USABLE; /* has_room() excludes this */
        (void)iovageom_range_length(best, &most);
        (void)iovageom_range_from_length(from.start, most, &part);
        part.last = iovageom_lower(part.last, from.last);
        (void)iovageom_range_length(part, &most);
        (void)iovageom_range_from_length(best.start, most, &best);
        status = place(work, index, part, best);
        if (status < 0)
            return status;
        more = part.last < from.last && iovageom_range_above(part, &part);
        from.start = part.start;
    }
    return IOVAGEOM_OK;
}

/* Whether that many bytes are free, in whole granules. The highest gap is usually the largest. */
static bool has_room(const struct work *work, struct iovageom_range limits,
                     struct iovageom_size wanted)
{
    const struct iovageom_size none = {0, 0};
    struct iovageom_range rest = limits, gap, part;

    while (iovageom_size_compare(wanted, none) > 0) {
        if (!iovageom_rangeset_gap_below(&work->blocked, rest.last, &gap) ||
            !iovageom_range_intersect(gap, limits, &part))
            return false;
        if (iovageom_range_intersect(part, rest, &part) &&
            iovageom_range_align_inward(part, work->granule, &part))
            wanted = iovageom_size_subtract(wanted, iovageom_range_size(part));
        if (!iovageom_range_below(gap, &rest))
            break;
    }
    return iovageom_size_compare(wanted, none) == 0;
}

/* Moves what the host refuses of a piece, or others have, and only that. */
static int split(struct work *work, size_t index, struct iovageom_rangeset *lost, bool *stuck)
{
    const struct iovageom_piece *piece = &work->pieces[index];
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range from;
    struct iovageom_range to;
    int status = IOVAGEOM_OK;

    *stuck = !has_room(work, piece->limits, iovageom_rangeset_size(lost));
    if (*stuck)
        return IOVAGEOM_OK;
    iovageom_rangeset_seek(lost, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &from)) {
        if (find_place(work, piece->limits, from, work->granule, true, &to))
            status = place(work, index, from, to);
        else
            status = scatter(work, index, piece, from);
    }
    /* What stays is mapped in as many ranges as the refused ones leave. */
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_complement(&work->scratch, lost, widened(work, piece));
    if (status == IOVAGEOM_OK)
        work->plan.mappings += iovageom_rangeset_count(&work->scratch);
    return status;
}

/*
 * Unblocks where the piece in a seat is, but for what others have there. Pieces are settled in the
 * order of their seats and parts were stacked from the last seat to the first, so those of this
 * seat are on top, once those of earlier seats, which did not leave, are dropped.
 */
static int leave(struct work *work, size_t seat)
{
    int status = IOVAGEOM_OK;

    while (work->part_count > 0 && work->parts[work->part_count - 1].seat < seat)
        work->part_count--;
    while (status == IOVAGEOM_OK && work->part_count > 0 &&
           work->parts[work->part_count - 1].seat == seat) {
        const struct iovageom_range part = work->parts[--work->part_count].range;
        struct iovageom_rangeset_cursor cursor;
        struct iovageom_range other;

        status = iovageom_rangeset_remove(&work->blocked, part);
        iovageom_rangeset_seek(&work->taken, part.start, &cursor);
        while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &other) &&
               iovageom_range_intersect(other, part, &other))
            status = iovageom_rangeset_insert(&work->blocked, other);
    }
    return status;
}

/* Moves a piece whole. The new place may overlap the old one, which leave() has unblocked. */
static int move(struct work *work, size_t seat, bool *stuck)
{
    const size_t index = work->seats[seat].piece;
    const struct iovageom_piece *piece = &work->pieces[index];
    struct iovageom_range to;
    int status = leave(work, seat);

    if (status < 0)
        return status;
    *stuck =
        !find_place(work, limits_of(piece), piece->range, alignment_of(work, piece), false, &to);
    if (*stuck)
        return iovageom_rangeset_insert(&work->blocked, widened(work, piece));
    work->seats[seat].left = true;
    return place(work, index, piece->range, iovageom_range_align_outward(to, work->granule));
}

/* Moves a piece of which `lost` can't stay: those parts if it can be split, else all of it. */
static int settle_misfit(struct work *work, size_t seat, struct iovageom_rangeset *lost,
                         bool by_host)
{
    const size_t index = work->seats[seat].piece;
    const struct iovageom_piece *piece = &work->pieces[index];
    const struct iovageom_range range = widened(work, piece);
    bool stuck = true;
    int status = iovageom_rangeset_clip(&work->scratch, &work->refused, range);

    if (status < 0)
        return status;
    work->plan.misfits++;
    if (by_host)
        report_host(work, range);
    if (movable(piece) && !iovageom_rangeset_equal(&work->scratch, lost))
        report_neighbour(work, seat, IOVAGEOM_ERR_CONFLICT);
    if (splittable(piece))
        status = split(work, index, lost, &stuck);
    else if (movable(piece))
        status = move(work, seat, &stuck);
    if (status == IOVAGEOM_OK && stuck) {
        work->plan.stuck++;
        report_stuck(work, index);
    }
    return status;
}

/*
 * Lets a piece stay, or move what can't stay of it. A fixed piece is compared with the host alone,
 * because take_fixed() has compared it with the others; doorbells may lie where the host has its
 * own.
 */
static int settle(struct work *work, size_t seat)
{
    const struct iovageom_piece *piece = &work->pieces[work->seats[seat].piece];
    const struct iovageom_range range = widened(work, piece);
    const bool excused = piece->kind == IOVAGEOM_PIECE_MSI && among_doorbells(work, range);
    const bool by_host = !excused && iovageom_rangeset_overlaps(&work->refused, range);
    const struct iovageom_rangeset *from = movable(piece) ? &work->taken : &work->refused;
    struct iovageom_rangeset lost;
    int status = IOVAGEOM_OK;

    (void)iovageom_rangeset_init(&lost, work->allocator);
    if (iovageom_rangeset_overlaps(from, range))
        status = iovageom_rangeset_clip(&lost, from, range);
    if (status == IOVAGEOM_OK && excused && iovageom_rangeset_count(&lost) > 0)
        status = iovageom_rangeset_difference(&lost, &lost, &work->refused);
    if (status == IOVAGEOM_OK && iovageom_rangeset_count(&lost) > 0)
        status = settle_misfit(work, seat, &lost, by_host);
    else if (status == IOVAGEOM_OK && !iovageom_rangeset_overlaps(&work->refused, range))
        work->plan.mappings++;
    if (status == IOVAGEOM_OK && !work->seats[seat].left)
        status = iovageom_rangeset_insert(&work->taken, range);
    iovageom_rangeset_deinit(&lost);
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
        struct iovageom_size size;
        uint64_t chunks;

        if (!iovageom_range_valid(pieces[i].range))
            return IOVAGEOM_ERR_INVERTED;
        if (pieces[i].kind != IOVAGEOM_PIECE_RAM)
            continue;
        size = iovageom_range_size(iovageom_range_align_outward(pieces[i].range, chunk));
        chunks = iovageom_size_saturate(size) / chunk;
        if (size.hi != 0 && chunk > 1)
            chunks++; /* 2^64 bytes, which saturate at one less */
        sum = chunks > UINT64_MAX - sum ? UINT64_MAX : sum + chunks;
    }
    *mappings = sum;
    return IOVAGEOM_OK;
}

const char *iovageom_layout_outcome_string(uint32_t outcome)
{
    switch (outcome) {
    case IOVAGEOM_LAYOUT_FITS:
        return "the layout fits as it is";
    case IOVAGEOM_LAYOUT_SOLVED:
        return "the layout fits once the proposed moves are made";
    case IOVAGEOM_LAYOUT_STUCK:
        return "no place was found for some pieces of the layout";
    case IOVAGEOM_LAYOUT_OVER_BUDGET:
        return "the layout needs more mappings than the host allows";
    default:
        return "unknown outcome";
    }
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
    (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, work->geometry->name);
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

static int check_layout(struct work *work)
{
    int status = IOVAGEOM_OK;

    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++)
        status = check_piece(&work->pieces[i]);
    if (status < 0)
        return status;
    sort_seats(work);
    status = take_fixed(work);
    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++)
        look_at(work, &work->pieces[i]);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_usable(work->geometry, work->granule, &work->refused);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_complement(&work->refused, &work->refused, IOVAGEOM_EVERYTHING);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_union(&work->taken, &work->taken, &work->refused);
    if (status == IOVAGEOM_OK)
        status = note_parts(work);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_union(&work->blocked, &work->blocked, &work->taken);
    for (size_t i = 0; status == IOVAGEOM_OK && i < work->count; i++)
        status = settle(work, i);
    return status == IOVAGEOM_OK ? conclude(work) : status;
}

/* Memory for the seats, and behind them for the parts. */
static int with_memory(struct work *work)
{
    const size_t one = sizeof(struct part) * 2 + sizeof(struct seat);
    void *memory;
    int status;

    if (work->count == 0)
        return check_layout(work);
    memory = iovageom_array_new(work->allocator, work->count, one);
    if (memory == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    work->parts = memory;
    work->seats = (struct seat *)(void *)(work->parts + 2 * work->count);
    status = check_layout(work);
    iovageom_array_free(work->allocator, memory, work->count, one);
    return status;
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
    uint64_t own = granule != 0 ? granule : 4096;
    int status = iovageom_geometry_granule(geometry, &own);

    iovageom_report_clear(report);
    if (status == IOVAGEOM_ERR_NOTHING_USABLE)
        return status;
    if (work.allocator == NULL)
        return IOVAGEOM_ERR_INVALID;
    if (granule == 0)
        work.granule = own;
    if (!iovageom_pgsize_is_power(work.granule) || work.granule < own)
        return IOVAGEOM_ERR_INVALID;
    (void)iovageom_rangeset_init(&work.refused, work.allocator);
    (void)iovageom_rangeset_init(&work.taken, work.allocator);
    (void)iovageom_rangeset_init(&work.blocked, work.allocator);
    (void)iovageom_rangeset_init(&work.scratch, work.allocator);
    status = with_memory(&work);
    if (status == IOVAGEOM_OK || status == IOVAGEOM_ERR_CONFLICT || status == IOVAGEOM_ERR_LIMIT)
        *plan = work.plan;
    iovageom_rangeset_deinit(&work.refused);
    iovageom_rangeset_deinit(&work.taken);
    iovageom_rangeset_deinit(&work.blocked);
    iovageom_rangeset_deinit(&work.scratch);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold_file.h"

#include <iovageom/plan_layout.h>

#include <iovageom/pgsize.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "geometry_internal.h"

/* The work in progress. */
struct work {
    const struct iovageom_geometry *geometry;
    uint64_t granule;
    struct iovageom_rangeset refused; /* what the host does not map, in whole granules */
    struct iovageom_rangeset blocked; /* and what pieces take besides */
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

static int check_piece(struct work *work, const struct iovageom_piece *piece)
{
    struct iovageom_range range = widened(work, piece);
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_OVERLAP, IOVAGEOM_ERR_OVERLAP);

    if (!iovageom_range_valid(piece->range) || !iovageom_range_valid(piece->limits))
        return IOVAGEOM_ERR_INVERTED;
    if (piece->kind < IOVAGEOM_PIECE_RAM || piece->kind > IOVAGEOM_PIECE_MSI ||
        piece->flags > (IOVAGEOM_PIECE_MOVABLE | IOVAGEOM_PIECE_SPLITTABLE) ||
        (piece->alignment != 0 && !iovageom_pgsize_is_power(piece->alignment)))
        return IOVAGEOM_ERR_INVALID;
    finding.range = piece->range;
    if (iovageom_rangeset_first_overlap(&work->blocked, range, &finding.against)) {
        iovageom_report_add(work->report, &finding);
        return IOVAGEOM_ERR_OVERLAP;
    }
    if (!iovageom_range_equal(range, piece->range)) {
        finding = iovageom_finding_blank(IOVAGEOM_FINDING_ALIGNMENT, IOVAGEOM_OK);
        finding.range = piece->range;
        finding.wanted = work->granule;
        iovageom_report_add(work->report, &finding);
    }
    if (piece->kind == IOVAGEOM_PIECE_RAM)
        work->plan.pinned = iovageom_size_add(work->plan.pinned, iovageom_range_size(range));
    return iovageom_rangeset_insert(&work->blocked, range);
}

/* Doorbells need no mapping where the host has doorbells too. */
static bool among_doorbells(const struct work *work, struct iovageom_range range)
{
    struct iovageom_finding finding;

    while (iovageom_geometry_next_obstacle(work->geometry, &range, &finding))
        if (finding.type != IOVAGEOM_RESV_MSI && finding.type != IOVAGEOM_RESV_SOFTWARE_MSI)
            return false;
    return true;
}

static void report_misfit(struct work *work, struct iovageom_range range)
{
    struct iovageom_report why;

    if (work->report == NULL)
        return;
    iovageom_report_init(&why, &work->geometry->allocator);
    (void)iovageom_geometry_explain(work->geometry, range, &why);
    for (size_t i = 0; i < iovageom_report_count(&why); i++)
        if (iovageom_report_at(&why, i)->fatal != 0)
            iovageom_report_add(work->report, iovageom_report_at(&why, i));
    iovageom_report_deinit(&why);
}

static int place(struct work *work, size_t piece, struct iovageom_range from,
                 struct iovageom_range to)
{
    struct iovageom_layout_plan *plan = &work->plan;

    if (plan->placements < work->capacity)
        work->out[plan->placements] = (struct iovageom_placement){piece, from, to};
    plan->placements++;
    plan->moved = iovageom_size_add(plan->moved, iovageom_range_size(from));
    plan->mappings++;
    return iovageom_rangeset_insert(&work->blocked, to);
}

/* The free place of that size nearest to `from`; with `up` above it, as long as there is one. */
static bool find_place(const struct work *work, const struct iovageom_piece *piece,
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
    if (iovageom_range_intersect(piece->limits,
                                 (struct iovageom_range){from.start, IOVAGEOM_ADDRESS_MAX}, &above))
        found_above = iovageom_rangeset_first_hole(&work->blocked, above, size, alignment,
                                                   &above) == IOVAGEOM_OK;
    if (iovageom_range_intersect(piece->limits, (struct iovageom_range){0, from.last}, &below))
        found_below = iovageom_rangeset_last_hole(&work->blocked, below, size, alignment, &below) ==
                      IOVAGEOM_OK;
    if (found_above && (up || !found_below || above.start - from.start <= from.start - below.start))
        *to = above;
    else if (found_below)
        *to = below;
    return found_above || found_below;
}

/* Fills the largest holes first. That there is room enough has been seen. */
static int scatter(struct work *work, size_t index, const struct iovageom_piece *piece,
                   struct iovageom_range from)
{
    bool more = true;

    while (more) {
        struct iovageom_range best = {1, 0};
        struct iovageom_range part = from;
        struct iovageom_rangeset_cursor cursor;
        struct iovageom_range hole;
        uint64_t most = 0;
        int status = iovageom_rangeset_complement(&work->scratch, &work->blocked, piece->limits);

        if (status < 0)
            return status;
        iovageom_rangeset_seek(&work->scratch, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &hole)) {
            if (iovageom_range_align_inward(hole, work->granule, &hole) &&
                iovageom_size_saturate(iovageom_range_size(hole)) > most) {
                most = iovageom_size_saturate(iovageom_range_size(hole));
                best = hole;
            }
        }
        (void)iovageom_range_from_length(from.start, most, &part);
        part.last = part.last < from.last ? part.last : from.last;
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

/* Moves what the host refuses of a piece, and only that. */
static int split(struct work *work, size_t index, const struct iovageom_piece *piece,
                 struct iovageom_rangeset *lost, bool *stuck)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range from;
    struct iovageom_range to;
    int status = iovageom_rangeset_complement(&work->scratch, &work->blocked, piece->limits);

    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_align_inward(&work->scratch, &work->scratch, work->granule);
    if (status < 0)
        return status;
    *stuck = iovageom_size_compare(iovageom_rangeset_size(&work->scratch),
                                   iovageom_rangeset_size(lost)) < 0;
    if (*stuck)
        return IOVAGEOM_OK;
    iovageom_rangeset_seek(lost, 0, &cursor);
    while (status == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &from)) {
        if (find_place(work, piece, from, work->granule, true, &to))
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

static int move(struct work *work, size_t index, const struct iovageom_piece *piece, bool *stuck)
{
    struct iovageom_range from = widened(work, piece);
    struct iovageom_range to;
    uint64_t alignment = piece->alignment > work->granule ? piece->alignment : work->granule;
    int status = iovageom_rangeset_remove(&work->blocked, from);

    /* It may be put where it overlaps itself, but not on what the host refuses. */
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_union(&work->blocked, &work->blocked, &work->refused);
    if (status < 0)
        return status;
    *stuck = !find_place(work, piece, from, alignment, false, &to);
    return *stuck ? iovageom_rangeset_insert(&work->blocked, from) : place(work, index, from, to);
}

static int fit_piece(struct work *work, size_t index, const struct iovageom_piece *piece)
{
    struct iovageom_range range = widened(work, piece);
    struct iovageom_rangeset lost;
    bool stuck = true;
    int status;

    if (!iovageom_rangeset_overlaps(&work->refused, range)) {
        work->plan.mappings++;
        return IOVAGEOM_OK;
    }
    if (piece->kind == IOVAGEOM_PIECE_MSI && among_doorbells(work, range))
        return IOVAGEOM_OK;
    work->plan.misfits++;
    report_misfit(work, range);
    (void)iovageom_rangeset_init(&lost, &work->geometry->allocator);
    status = iovageom_rangeset_clip(&lost, &work->refused, range);
    if (status == IOVAGEOM_OK && (piece->flags & IOVAGEOM_PIECE_MOVABLE) != 0)
        status = (piece->flags & IOVAGEOM_PIECE_SPLITTABLE) != 0
                     ? split(work, index, piece, &lost, &stuck)
                     : move(work, index, piece, &stuck);
    work->plan.stuck += stuck;
    iovageom_rangeset_deinit(&lost);
    return status;
}

/* One mapping for each range, or in the worst case one for each granule that a guest maps. */
static int check_budget(struct work *work)
{
    struct iovageom_layout_plan *plan = &work->plan;
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_BUDGET, IOVAGEOM_ERR_LIMIT);

    plan->page_mappings = iovageom_size_saturate(plan->pinned) / work->granule;
    if (plan->pinned.hi != 0 && work->granule > 1)
        plan->page_mappings++; /* 2^64 bytes, which saturate at one less */
    plan->budget = UINT64_MAX;
    (void)iovageom_geometry_map_budget(work->geometry, &plan->budget);
    (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, work->geometry->name);
    finding.offered = plan->budget;
    finding.wanted = plan->mappings;
    if (plan->mappings <= plan->budget) {
        finding.fatal = 0;
        finding.status = IOVAGEOM_OK;
        finding.wanted = plan->page_mappings;
    }
    if (finding.wanted > finding.offered)
        iovageom_report_add(work->report, &finding);
    return finding.fatal != 0 ? IOVAGEOM_ERR_LIMIT : IOVAGEOM_OK;
}

static int check_layout(struct work *work, const struct iovageom_piece *pieces, size_t count)
{
    const struct iovageom_range all = {0, IOVAGEOM_ADDRESS_MAX};
    int status = IOVAGEOM_OK;
    int budget;

    for (size_t i = 0; status == IOVAGEOM_OK && i < count; i++)
        status = check_piece(work, &pieces[i]);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_usable(work->geometry, work->granule, &work->refused);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_complement(&work->refused, &work->refused, all);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_union(&work->blocked, &work->blocked, &work->refused);
    for (size_t i = 0; status == IOVAGEOM_OK && i < count; i++)
        status = fit_piece(work, i, &pieces[i]);
    if (status < 0)
        return status;
    budget = check_budget(work);
    iovageom_geometry_doubts(work->geometry, IOVAGEOM_ID_NONE, work->report);
    return work->plan.misfits > 0 ? IOVAGEOM_ERR_CONFLICT : budget;
}

int iovageom_plan_layout(const struct iovageom_allocator *allocator,
                         const struct iovageom_geometry *geometry, uint64_t granule,
                         const struct iovageom_piece *pieces, size_t count,
                         struct iovageom_placement *out, size_t capacity,
                         struct iovageom_layout_plan *plan, struct iovageom_report *report)
{
    struct work work = {.geometry = geometry,
                        .granule = granule,
                        .out = out,
                        .capacity = capacity,
                        .report = report};
    uint64_t own = granule != 0 ? granule : 4096;
    int status = iovageom_geometry_granule(geometry, &own);

    iovageom_report_clear(report);
    if (status == IOVAGEOM_ERR_NOTHING_USABLE)
        return status;
    if (granule == 0)
        work.granule = own;
    if (!iovageom_pgsize_is_power(work.granule) || work.granule < own)
        return IOVAGEOM_ERR_INVALID;
    status = iovageom_rangeset_init(&work.refused, allocator);
    if (status < 0)
        return status;
    (void)iovageom_rangeset_init(&work.blocked, allocator);
    (void)iovageom_rangeset_init(&work.scratch, allocator);
    status = check_layout(&work, pieces, count);
    if (status == IOVAGEOM_OK || status == IOVAGEOM_ERR_CONFLICT || status == IOVAGEOM_ERR_LIMIT)
        *plan = work.plan;
    iovageom_rangeset_deinit(&work.refused);
    iovageom_rangeset_deinit(&work.blocked);
    iovageom_rangeset_deinit(&work.scratch);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "player.h"

/* What is said of the pieces that follow. */
struct layout {
    struct iovageom_piece next;
    struct iovageom_piece pieces[MAX_WORDS];
    size_t count;
    uint64_t granule, chunk; /* 0: not said */
};

/* A word before ranges; false for a range. */
static bool layout_word(struct player *p, struct layout *layout)
{
    struct iovageom_piece *next = &layout->next;
    const uint32_t kind = accept_word(p, "ram")   ? IOVAGEOM_PIECE_RAM
                          : accept_word(p, "bar") ? IOVAGEOM_PIECE_BAR
                          : accept_word(p, "msi") ? IOVAGEOM_PIECE_MSI
                                                  : 0;

    if (kind != 0) {
        *next = (struct iovageom_piece){{0, 0}, kind, IOVAGEOM_PIECE_MOVABLE, 0, {0, UINT64_MAX}};
        if (kind == IOVAGEOM_PIECE_RAM)
            next->flags |= IOVAGEOM_PIECE_SPLITTABLE;
    } else if (accept_word(p, "fixed")) {
        next->flags = 0;
    } else if (accept_word(p, "whole")) {
        next->flags &= ~(uint32_t)IOVAGEOM_PIECE_SPLITTABLE;
    } else if (accept_word(p, "below")) {
        const uint64_t end = need_number(p, "an address");

        if (end == 0)
            fail_at(p, last_column(p), "no address is below 0");
        next->limits.last = end - 1;
    } else if (accept_word(p, "align")) {
        next->alignment = need_power(p, "an alignment");
        /* Parts of what is split go by granules. */
        next->flags &= ~(uint32_t)IOVAGEOM_PIECE_SPLITTABLE;
    } else {
        return false;
    }
    if (!more(p))
        fail_at(p, p->words[p->count].column, "a range is missing after %s",
                p->words[p->count - 1].text);
    return true;
}

static void read_layout(struct player *p, struct layout *layout)
{
    memset(layout, 0, sizeof(*layout));
    layout->next = (struct iovageom_piece){{0, 0},
                                           IOVAGEOM_PIECE_RAM,
                                           IOVAGEOM_PIECE_MOVABLE | IOVAGEOM_PIECE_SPLITTABLE,
                                           0,
                                           {0, UINT64_MAX}};
    while (more(p)) {
        if (accept_word(p, "granule")) {
            layout->granule = need_power(p, "a granule");
        } else if (accept_word(p, "chunk")) {
            layout->chunk = need_power(p, "a chunk");
        } else if (!layout_word(p, layout)) {
            layout->pieces[layout->count] = layout->next;
            layout->pieces[layout->count++].range = need_range(p, "a piece of the layout");
        }
    }
}

/* What is needed, and apart from it what a guest could make. */
static void show_counts(struct player *p, const struct host *host, const struct layout *layout,
                        const struct iovageom_layout_plan *plan)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_BUDGET, IOVAGEOM_OK);

    add_number(p, "mappings", plan->mappings);
    add_number(p, "by page", plan->page_mappings);
    if (layout->chunk != 0 &&
        iovageom_plan_layout_chunks(layout->pieces, layout->count, layout->chunk,
                                    &finding.wanted) == IOVAGEOM_OK)
        add_number(p, "by chunk", finding.wanted);
    if (plan->budget == UINT64_MAX)
        return;
    add_number(p, "allowed", plan->budget);
    finding.offered = plan->budget;
    finding.detail = "in chunks of that size";
    (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_VFIO, host->name);
    if (finding.wanted > finding.offered)
        iovageom_report_add(&p->report, &finding);
}

/* `layout HOST ram RANGE... bar RANGE... msi RANGE...`: where it would have to move. */
void do_layout(struct player *p)
{
    const struct host *host = need_host(p);
    struct iovageom_placement placements[MAX_WORDS];
    struct iovageom_layout_plan plan;
    struct layout layout;
    const bool refuse = accept_word(p, "refuse-direct");
    int error;

    read_layout(p, &layout);
    if (refuse && iovageom_geometry_assignable(host->geometry, &p->report) != IOVAGEOM_OK) {
        say_status(p, IOVAGEOM_ERR_CONFLICT);
        return;
    }
    error = iovageom_plan_layout(NULL, host->geometry, layout.granule, layout.pieces, layout.count,
                                 placements, MAX_WORDS, &plan, &p->report);
    if (error != IOVAGEOM_OK && error != IOVAGEOM_ERR_CONFLICT && error != IOVAGEOM_ERR_LIMIT) {
        say_status(p, error);
        return;
    }
    if (plan.outcome == IOVAGEOM_LAYOUT_FITS)
        say(p, "fits");
    else if (plan.outcome == IOVAGEOM_LAYOUT_SOLVED)
        say(p, "misfits, solved by the moves below");
    else if (plan.outcome == IOVAGEOM_LAYOUT_STUCK)
        say(p, "misfits, no place for %zu of %zu pieces", plan.stuck, layout.count);
    else
        say_status(p, error);
    for (size_t i = 0; i < plan.placements && i < MAX_WORDS; i++) {
        add_range(p, "move", placements[i].from);
        add_range(p, "to", placements[i].to);
    }
    for (size_t i = 0; i < iovageom_report_count(&p->report); i++)
        if (iovageom_report_at(&p->report, i)->kind == IOVAGEOM_FINDING_NO_PLACE)
            add_range(p, "no place for", iovageom_report_at(&p->report, i)->range);
    add_number(p, "pinned MiB", iovageom_size_saturate(plan.pinned) >> 20);
    show_counts(p, host, &layout, &plan);
}

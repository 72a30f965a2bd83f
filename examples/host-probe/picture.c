/* SPDX-License-Identifier: BSD-3-Clause */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

#include <iovageom/status.h>

#include "say.h"

#define BOUNDARIES_MAX 4096
#define FOUR_GIB       (1ULL << 32)

static const struct iovageom_range everything = {0, UINT64_MAX};

const char *picture_class_name(enum picture_class class)
{
    static const char *const names[PICTURE_CLASSES] = {
        "usable",   "reserved",  "msi", "software-msi", "direct",       "direct-relaxable, usable",
        "too high", "not known", "RAM", "BAR",          "does not fit", "where it would go"};

    return names[class];
}

/* ---- lanes ---- */

static struct picture_lane *add_lane(struct picture *picture, const char *label)
{
    picture->lanes = keep_grown(picture->lanes, picture->lane_count, sizeof(*picture->lanes));
    picture->lanes[picture->lane_count] = (struct picture_lane){.label = label};
    return &picture->lanes[picture->lane_count++];
}

static void add_item(struct picture *picture, struct picture_lane *lane,
                     struct iovageom_range range, enum picture_class class, const char *words)
{
    lane->items = keep_grown(lane->items, lane->count, sizeof(*lane->items));
    lane->items[lane->count++] =
        (struct picture_item){range, class,
                              text("%s %s: %s", range_text(range), range_size_text(range),
                                   *words != '\0' ? words : picture_class_name(class))};
    picture->used[class] = true;
}

static enum picture_class class_of(uint32_t type, struct iovageom_range range,
                                   const struct verdict *verdict)
{
    switch (type) {
    case IOVAGEOM_RESV_MSI:
        return PICTURE_MSI;
    case IOVAGEOM_RESV_SOFTWARE_MSI:
        return PICTURE_SOFTWARE_MSI;
    case IOVAGEOM_RESV_DIRECT:
        return PICTURE_DIRECT;
    case IOVAGEOM_RESV_DIRECT_RELAXABLE:
        return PICTURE_RELAXABLE;
    default:
        return range.last == UINT64_MAX && verdict->knows_width &&
                       range.start > verdict->aperture.last
                   ? PICTURE_BEYOND
                   : PICTURE_RESERVED;
    }
}

/* What one source forbids, over what it lets pass. */
static void add_source(struct picture *picture, const struct verdict *verdict,
                       const struct iovageom_report *report, uint32_t source)
{
    const char *name = iovageom_source_string((enum iovageom_source)source);
    struct picture_lane *lane = add_lane(picture, name);

    add_item(picture, lane, everything, PICTURE_USABLE, text("not forbidden by %s", name));
    for (size_t i = 0; i < verdict->reserved_count; i++) {
        if (verdict->reserved[i].type == IOVAGEOM_RESV_DIRECT_RELAXABLE &&
            strcmp(verdict->reserved[i].source, name) == 0)
            add_item(picture, lane, verdict->reserved[i].range, PICTURE_RELAXABLE, "");
    }
    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(report, i);

        if (finding->fatal == 0 || finding->owner.source != source)
            continue;
        if (finding->kind == IOVAGEOM_FINDING_OUT_OF_APERTURE)
            add_item(picture, lane, finding->range, PICTURE_BEYOND,
                     text("beyond its width, says %s", name));
        else if (finding->kind == IOVAGEOM_FINDING_RESERVED)
            add_item(picture, lane, finding->range,
                     class_of(finding->type, finding->range, verdict),
                     text("%s, says %s",
                          iovageom_resv_type_string((enum iovageom_resv_type)finding->type), name));
    }
}

/* Every source that speaks of addresses, in the order of enum iovageom_source. */
static void add_sources(struct picture *picture, const struct verdict *verdict)
{
    struct iovageom_report report;
    bool speaks[32] = {false};

    iovageom_report_init(&report, &lasting);
    (void)iovageom_geometry_explain(verdict->geometry, everything, &report);
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&report, i);

        if (finding->fatal != 0 && finding->owner.source < 32 &&
            (finding->kind == IOVAGEOM_FINDING_OUT_OF_APERTURE ||
             finding->kind == IOVAGEOM_FINDING_RESERVED))
            speaks[finding->owner.source] = true;
    }
    for (uint32_t source = 0; source < 32; source++) {
        if (speaks[source])
            add_source(picture, verdict, &report, source);
    }
    /* Registers that a kernel's own word outranks. */
    for (size_t i = 0; i < verdict->statement_count; i++) {
        const struct statement *statement = &verdict->statements[i];
        struct picture_lane *lane;
        struct iovageom_range above;

        if (statement->counts || !statement->has_aperture)
            continue;
        lane = add_lane(picture, statement->source);
        add_item(picture, lane, statement->aperture, PICTURE_USABLE,
                 text("%u bits, says %s", statement->bits, statement->source));
        if (iovageom_range_above(statement->aperture, &above))
            add_item(picture, lane, above, PICTURE_BEYOND,
                     text("beyond %u bits, says %s", statement->bits, statement->source));
    }
}

static void add_result(struct picture *picture, const struct verdict *verdict)
{
    struct picture_lane *lane = add_lane(picture, "result");

    for (size_t i = 0; i < verdict->usable_count; i++)
        add_item(picture, lane, verdict->usable[i], PICTURE_USABLE, "");
    for (size_t i = 0; i < verdict->unknown_count; i++)
        add_item(picture, lane, verdict->unknown[i], PICTURE_UNKNOWN,
                 "nobody forbids it, and nobody said that it is mapped");
    for (size_t i = 0; i < verdict->reserved_count; i++) {
        const struct reserved *reserved = &verdict->reserved[i];

        add_item(picture, lane, reserved->range, class_of(reserved->type, reserved->range, verdict),
                 text("%s, says %s", iovageom_resv_type_string(reserved->type), reserved->source));
    }
}

static void add_told(struct picture *picture, const struct verdict *verdict,
                     const struct promise *promise)
{
    struct picture_lane *lane = add_lane(picture, "guest is told");
    struct iovageom_range above;

    add_item(picture, lane, promise->input_range, PICTURE_USABLE, "it may map this");
    if (iovageom_range_above(promise->input_range, &above))
        add_item(picture, lane, above, PICTURE_BEYOND, "beyond the input range");
    for (size_t i = 0; i < promise->decoded_count; i++)
        add_item(picture, lane, promise->decoded[i].range,
                 class_of(promise->decoded[i].type, promise->decoded[i].range, verdict),
                 promise->decoded[i].type == IOVAGEOM_RESV_MSI ? "RESV_MEM, MSI"
                                                               : "RESV_MEM, RESERVED");
}

/* A guest's RAM, or its BARs, over what the host makes of them. */
static void add_pieces(struct picture *picture, const struct plan *plan, uint32_t kind,
                       const char *label)
{
    enum picture_class class = kind == IOVAGEOM_PIECE_RAM ? PICTURE_RAM : PICTURE_BAR;
    struct picture_lane *lane = NULL;

    for (size_t i = 0; i < plan->guest.count; i++) {
        const struct iovageom_piece *piece = &plan->guest.pieces[i];

        if (piece->kind != kind)
            continue;
        if (lane == NULL)
            lane = add_lane(picture, label);
        add_item(picture, lane, piece->range, class, plan->guest.names[i]);
        if (plan->stuck[i])
            add_item(picture, lane, piece->range, PICTURE_MISFIT,
                     text("no place for %s", plan->guest.names[i]));
    }
    for (size_t i = 0; i < plan->layout.placements && lane != NULL; i++) {
        const struct iovageom_placement *move = &plan->moves[i];

        if (plan->guest.pieces[move->piece].kind != kind)
            continue;
        add_item(picture, lane, move->from, PICTURE_MISFIT,
                 text("%s does not fit here", plan->guest.names[move->piece]));
        add_item(picture, lane, move->to, PICTURE_MOVED,
                 text("%s could go here", plan->guest.names[move->piece]));
        picture->moves = keep_grown(picture->moves, picture->move_count, sizeof(*picture->moves));
        picture->moves[picture->move_count++] =
            (struct picture_move){picture->lane_count - 1, move->from, move->to};
    }
}

/* ---- the axis ---- */

static int compare_addresses(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a;
    uint64_t two = *(const uint64_t *)b;

    return (one > two) - (one < two);
}

/* The room that a stretch takes: more for twice its size, but not twice as much. */
static double weight(uint64_t start, uint64_t last)
{
    uint64_t pages = ((last - start) >> 12) + 1;
    unsigned bits = 0;

    while (pages >> bits > 1)
        bits++;
    return 4 + bits;
}

static uint64_t stretch_last(const struct picture *picture, size_t anchor)
{
    return anchor + 1 < picture->anchor_count ? picture->anchors[anchor + 1] - 1 : UINT64_MAX;
}

/* Takes out the address that parts the two smallest neighbours. */
static void drop_anchor(struct picture *picture)
{
    size_t best = 1;
    double least = 1e9;

    for (size_t i = 1; i < picture->anchor_count; i++) {
        double both = weight(picture->anchors[i - 1], picture->anchors[i] - 1) +
                      weight(picture->anchors[i], stretch_last(picture, i));

        if (both < least) {
            least = both;
            best = i;
        }
    }
    memmove(&picture->anchors[best], &picture->anchors[best + 1],
            (picture->anchor_count - best - 1) * sizeof(*picture->anchors));
    picture->anchor_count--;
}

static void add_anchor(struct picture *picture, uint64_t address)
{
    if (picture->anchor_count < BOUNDARIES_MAX)
        picture->anchors[picture->anchor_count++] = address;
}

static void find_anchors(struct picture *picture, size_t most)
{
    size_t kept = 0;

    picture->anchors = keep(BOUNDARIES_MAX * sizeof(*picture->anchors));
    add_anchor(picture, 0);
    add_anchor(picture, FOUR_GIB);
    for (size_t i = 0; i < picture->lane_count; i++) {
        for (size_t k = 0; k < picture->lanes[i].count; k++) {
            struct iovageom_range range = picture->lanes[i].items[k].range;
            struct iovageom_range above;

            add_anchor(picture, range.start);
            if (iovageom_range_above(range, &above))
                add_anchor(picture, above.start);
        }
    }
    qsort(picture->anchors, picture->anchor_count, sizeof(*picture->anchors), compare_addresses);
    for (size_t i = 0; i < picture->anchor_count; i++) {
        if (kept == 0 || picture->anchors[i] != picture->anchors[kept - 1])
            picture->anchors[kept++] = picture->anchors[i];
    }
    picture->anchor_count = kept;
    while (picture->anchor_count > most)
        drop_anchor(picture);
}

double picture_start(const struct picture *picture, uint64_t address)
{
    double before = 0;
    double total = 0;
    size_t at = 0;
    double part;

    while (at + 1 < picture->anchor_count && picture->anchors[at + 1] <= address)
        at++;
    part = (double)(address - picture->anchors[at]) /
           ((double)(stretch_last(picture, at) - picture->anchors[at]) + 1);
    for (size_t i = 0; i < picture->anchor_count; i++) {
        double own = weight(picture->anchors[i], stretch_last(picture, i));

        total += own;
        before += i < at ? own : i == at ? own * part : 0;
    }
    return picture->least * ((double)at + part) +
           (1 - picture->least * (double)picture->anchor_count) * before / total;
}

double picture_end(const struct picture *picture, uint64_t address)
{
    return address == UINT64_MAX ? 1 : picture_start(picture, address + 1);
}

struct picture picture_make(const struct verdict *verdict, const struct promise *promise,
                            const struct plan *plan, double least)
{
    struct picture picture = {.title = "", .least = least};
    const struct group *group = verdict->group;

    picture.title = text("group %s", group->name);
    for (size_t i = 0; i < group->device_count && i < 4; i++)
        picture.title =
            text("%s%s%s%s", picture.title, i == 0 ? " (" : " ", group->devices[i]->address,
                 i + 1 == group->device_count ? ")"
                 : i == 3                     ? " ...)"
                                              : "");
    picture.subtitle = verdict->no_iommu      ? "nothing translates for it"
                       : !verdict->judged     ? "its files could not be read"
                       : verdict->knows_width ? text("%u bits", verdict->bits)
                                              : "its width is not known";
    if (verdict->judged && !verdict->no_iommu)
        add_sources(&picture, verdict);
    add_result(&picture, verdict);
    if (promise != NULL && promise->refused == NULL)
        add_told(&picture, verdict, promise);
    if (plan != NULL) {
        add_pieces(&picture, plan, IOVAGEOM_PIECE_RAM, "RAM");
        add_pieces(&picture, plan, IOVAGEOM_PIECE_BAR, "BARs");
    }
    /* Half of the axis is for the stretches that are larger. */
    find_anchors(&picture, (size_t)(0.5 / least));
    return picture;
}

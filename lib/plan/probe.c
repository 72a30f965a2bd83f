/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <iovageom/plan_probe.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "../virtio/virtio_internal.h"

static void add_probe_size(struct iovageom_report *report, int status, uint64_t wanted,
                           uint64_t offered)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_PROBE_SIZE, status);

    finding.wanted = wanted;
    finding.offered = offered;
    if (report != NULL)
        iovageom_report_add(report, &finding);
}

static void add_lost(struct iovageom_report *report, struct iovageom_range range)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_LOST, IOVAGEOM_OK);

    finding.range = range;
    if (report != NULL)
        iovageom_report_add(report, &finding);
}

/*
 * How a list is fitted. Closing the gap between two RESERVED neighbours makes the list one shorter,
 * whatever becomes of the other gaps; so a list that must be k shorter loses least by closing the k
 * smallest gaps. There is one exception: no run of closed gaps may make [0, 2^32-1] or [0, 2^64-1] of
 * several regions, as guests refuse that. The first needs care, since it may come about in the middle
 * of a list (`prefix` in struct source); the second could only be the whole list, so at least one gap
 * stays open then. Nothing is allocated: sizes are compared by bisection, 64 passes over the list.
 */

/* ---- the list ---- */

#define NO_GAP SIZE_MAX

static const struct iovageom_range low_half = {0, UINT32_MAX >> 1};
static const struct iovageom_range low_32 = {0, UINT32_MAX};

/* The list as it is planned: [0, 2^32-1], which can only come first, counts as two halves. */
struct source {
    const struct iovageom_region *list;
    struct iovageom_region first;
    size_t count; /* the halves counted apart */
    bool halved;
    /* When the lowest `prefix` gaps are closed, and the next one stays open, [0, 2^32-1] comes of
     * it. 0 when no choice of gaps can do that. */
    size_t prefix;
};

static struct iovageom_region region_at(const struct source *source, size_t i)
{
    struct iovageom_region upper = {low_32, IOVAGEOM_RESV_RESERVED, 0};
    struct iovageom_range rest[2];

    if (i == 0)
        return source->first;
    if (!source->halved)
        return source->list[i];
    (void)iovageom_range_subtract(low_32, low_half, rest);
    upper.range = rest[0];
    return i == 1 ? upper : source->list[i - 1];
}

/* The gap between neighbours, if closing it makes the list shorter. *size may be 0. */
static bool gap_between(const struct iovageom_region *low, const struct iovageom_region *high,
                        struct iovageom_range *gap, uint64_t *size)
{
    if (low->type != IOVAGEOM_RESV_RESERVED || high->type != IOVAGEOM_RESV_RESERVED)
        return false;
    *size = 0;
    if (iovageom_range_between(low->range, high->range, gap))
        *size = iovageom_size_saturate(iovageom_range_size(*gap));
    return true;
}

static bool gap_above(const struct source *source, size_t i, uint64_t *size)
{
    struct iovageom_region low, high;
    struct iovageom_range gap;

    if (i + 1 >= source->count)
        return false;
    low = region_at(source, i);
    high = region_at(source, i + 1);
    return gap_between(&low, &high, &gap, size);
}

static struct source source_of(const struct iovageom_region *list, size_t count)
{
    struct source source = {list, {{0, 0}, 0, 0}, count, false, 0};
    uint64_t size;

    if (count == 0)
        return source;
    source.first = list[0];
    if (iovageom_range_equal(list[0].range, low_32)) {
        source.first.range = low_half;
        source.count++;
        source.halved = true;
    }
    if (source.first.range.start != 0)
        return source;
    for (size_t i = 0; gap_above(&source, i, &size); i++)
        if (region_at(&source, i + 1).range.last == UINT32_MAX)
            source.prefix = i + 1;
    return source;
}

/* ---- which gaps to close ---- */

/* Gaps go in this order: smaller than `size`; then those of that size, but the lowest `spare`. */
struct choice {
    uint64_t size;
    size_t spare;
    bool any;
    size_t keep;  /* a gap that stays open in any case, or NO_GAP */
    size_t close; /* one that is closed in any case, or NO_GAP */
};

/* Those up to `most`, but for one. */
static size_t count_narrow_gaps(const struct source *source, uint64_t most, size_t but)
{
    uint64_t size;
    size_t found = 0;

    for (size_t i = 0; i + 1 < source->count; i++)
        found += i != but && gap_above(source, i, &size) && size <= most;
    return found;
}

/*
 * The `wanted` gaps that cost the least, but for one. Which gaps are closed can be chosen one by
 * one, because each takes one region from the list whatever becomes of the others: so the cheapest
 * are the best. The size of the dearest is found by bisection, which needs no memory.
 */
static struct choice cheapest(const struct source *source, size_t wanted, size_t but)
{
    struct choice choice = {0, 0, wanted > 0, NO_GAP, NO_GAP};
    /* Most lists fit: then only neighbours that touch are joined, which one pass finds out. */
    uint64_t low = 0, high = count_narrow_gaps(source, 0, but) >= wanted ? 0 : UINT64_MAX;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (count_narrow_gaps(source, middle, but) >= wanted)
            high = middle;
        else
            low = middle + 1;
    }
    choice.size = low;
    if (wanted > 0)
        choice.spare = count_narrow_gaps(source, low, but) - wanted;
    return choice;
}

/* Whether gap i is closed. Of gaps of the size at which the choice ends, the lowest `spare` stay open:
 * so this must be asked of all gaps in ascending order, on a copy of the choice. */
static bool take(struct choice *choice, size_t i, uint64_t size)
{
    if (i == choice->keep || i == choice->close)
        return i == choice->close;
    if (!choice->any || size > choice->size)
        return false;
    if (size < choice->size || choice->spare == 0)
        return true;
    choice->spare--;
    return false;
}

/* Whether a choice makes [0, 2^32-1] of several regions. */
static bool makes_low_32(const struct source *source, struct choice choice)
{
    uint64_t size;

    for (size_t i = 0; i < source->prefix; i++)
        if (!gap_above(source, i, &size) || !take(&choice, i, size))
            return false;
    return source->prefix > 0 &&
           !(gap_above(source, source->prefix, &size) && take(&choice, source->prefix, size));
}

/* Writes the list with the chosen gaps closed, unless `out` is NULL. */
static void close_gaps(const struct source *source, struct choice choice,
                       struct iovageom_region *out, struct iovageom_probe_plan *plan,
                       struct iovageom_report *report)
{
    struct iovageom_region open = source->first, next;
    struct iovageom_range gap;
    uint64_t size;

    plan->count = 0;
    plan->lost = (struct iovageom_size){0, 0};
    for (size_t i = 0; i < source->count; i++) {
        /* `out` may be the list: read what is next before its place is written. */
        next = i + 1 < source->count ? region_at(source, i + 1) : open;
        if (i + 1 < source->count && gap_between(&open, &next, &gap, &size) &&
            take(&choice, i, size)) {
            if (size > 0) {
                plan->lost = iovageom_size_add(plan->lost, iovageom_range_size(gap));
                add_lost(report, gap);
            }
            open.range.last = next.range.last;
            open.owner = 0;
            continue;
        }
        if (out != NULL)
            out[plan->count] = open;
        plan->count++;
        open = next;
    }
    plan->bytes = iovageom_virtio_probe_bytes(plan->count);
}

/*
 * The same, but never those that make [0, 2^32-1]. Then the gap above must be closed as well, or one
 * of those below stay open, best the dearest: whichever of the two costs less.
 */
static struct choice choose(const struct source *source, size_t wanted)
{
    struct choice choice = cheapest(source, wanted, NO_GAP), other;
    struct iovageom_probe_plan with, without;
    uint64_t size, most = 0;
    size_t dearest = 0;
    bool can_close;

    if (!makes_low_32(source, choice))
        return choice;
    can_close = gap_above(source, source->prefix, &size);
    if (can_close) {
        choice = cheapest(source, wanted - 1, source->prefix);
        choice.close = source->prefix;
    }
    for (size_t i = 0; i < source->prefix; i++)
        if (gap_above(source, i, &size) && size > most) {
            most = size;
            dearest = i;
        }
    if (count_narrow_gaps(source, UINT64_MAX, dearest) < wanted)
        return choice;
    other = cheapest(source, wanted, dearest);
    other.keep = dearest;
    close_gaps(source, choice, NULL, &with, NULL);
    close_gaps(source, other, NULL, &without, NULL);
    return can_close && iovageom_size_compare(with.lost, without.lost) <= 0 ? choice : other;
}

/* How many gaps can be closed, and how many of them for nothing. */
static void count_closable(const struct source *source, size_t *most, size_t *touching)
{
    const size_t count = source->count;
    struct choice all = {UINT64_MAX, 0, true, NO_GAP, NO_GAP},
                  gratis = {0, 0, true, NO_GAP, NO_GAP};

    *most = count_narrow_gaps(source, UINT64_MAX, NO_GAP);
    *touching = count_narrow_gaps(source, 0, NO_GAP);
    /* With all gaps closed it would be all of 64 bits, or of a guest's 32, in one piece. */
    if (makes_low_32(source, all) ||
        (*most > 0 && *most == count - 1 && source->first.range.start == 0 &&
         region_at(source, count - 1).range.last == IOVAGEOM_ADDRESS_MAX))
        --*most;
    if (makes_low_32(source, gratis))
        --*touching;
    if (*touching > *most)
        *touching = *most;
}

int iovageom_plan_probe(const struct iovageom_region *list, size_t count, size_t probe_size,
                        struct iovageom_region *out, size_t capacity,
                        struct iovageom_probe_plan *plan, struct iovageom_report *report)
{
    size_t room = probe_size / IOVAGEOM_VIRTIO_RESV_MEM_SIZE, touching, most, wanted;
    int status = iovageom_virtio_wire_check(list, count);
    struct source source;

    if (report != NULL)
        iovageom_report_clear(report);
    if (status < 0)
        return status;
    source = source_of(list, count);
    count = source.count;
    count_closable(&source, &most, &touching);
    wanted = count - touching > room ? count - room : touching;
    plan->lossless_bytes = iovageom_virtio_probe_bytes(count - touching);
    plan->minimum_bytes = iovageom_virtio_probe_bytes(count - most);
    if (wanted > most) {
        close_gaps(&source, choose(&source, most), NULL, plan, NULL);
        add_probe_size(report, IOVAGEOM_ERR_BUFFER_TOO_SMALL, plan->minimum_bytes, probe_size);
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    }
    if (out != NULL && count - wanted > capacity)
        status = IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    if (wanted > touching)
        add_probe_size(report, IOVAGEOM_OK, plan->lossless_bytes, probe_size);
    close_gaps(&source, choose(&source, wanted), status == 0 ? out : NULL, plan, report);
    return status;
}

/* ---- from a geometry ---- */

/* Usable addresses that are no whole granule of the guest's are lost, too. Only where the host's own
 * granule is smaller can there be any. */
static int report_granule_loss(const struct iovageom_allocator *allocator,
                               const struct iovageom_geometry *geometry, uint64_t granule,
                               struct iovageom_range window, struct iovageom_report *report)
{
    struct iovageom_rangeset accepted, offered;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    uint64_t own = 1;
    int status;

    if (report == NULL || (iovageom_geometry_granule(geometry, &own) == 0 && own >= granule))
        return IOVAGEOM_OK;
    status = iovageom_rangeset_init(&accepted, allocator);
    if (status < 0)
        return status;
    (void)iovageom_rangeset_init(&offered, allocator);
    status = iovageom_geometry_usable(geometry, own, &accepted);
    if (status == 0)
        status = iovageom_geometry_usable(geometry, granule, &offered);
    if (status == 0)
        status = iovageom_rangeset_difference(&accepted, &accepted, &offered);
    if (status == 0) {
        iovageom_rangeset_seek(&accepted, window.start, &cursor);
        while (iovageom_rangeset_next(&cursor, &range) &&
               iovageom_range_intersect(range, window, &range))
            add_lost(report, range);
    }
    iovageom_rangeset_deinit(&accepted);
    iovageom_rangeset_deinit(&offered);
    return status;
}

int iovageom_plan_probe_encode(const struct iovageom_allocator *allocator,
                               const struct iovageom_geometry *geometry, uint64_t granule,
                               struct iovageom_range window, void *buffer, size_t size,
                               struct iovageom_probe_plan *plan, struct iovageom_report *report)
{
    struct iovageom_probe_plan figures;
    struct iovageom_region_buffer wire;
    size_t needed;
    int status = iovageom_wire_from_geometry(allocator, geometry, granule, window, &wire);

    if (report != NULL)
        iovageom_report_clear(report);
    if (status < 0)
        return status;
    status = iovageom_plan_probe(wire.list, wire.count, size, wire.list, wire.capacity, &figures,
                                 report);
    if (status == 0)
        status = report_granule_loss(allocator, geometry, granule, window, report);
    if (status == 0)
        status = iovageom_virtio_encode_probe(wire.list, figures.count, buffer, size, &needed);
    if (status == 0 && plan != NULL)
        *plan = figures;
    iovageom_wire_free(&wire);
    return status;
}

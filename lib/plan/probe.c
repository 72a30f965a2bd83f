/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_probe.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "../base/range.h"
#include "../geometry/internal.h"
#include "../virtio/virtio_internal.h"
#include "gaps.h"

/*
 * How a list is fitted into a probe buffer that is too small: gaps between RESERVED neighbours are
 * closed, which reserves them, too, the smallest first (gaps.h).
 *
 * There is one exception: closed gaps must not make one region [0, 2^32-1] or [0, 2^64-1] of
 * several, because guests refuse such a region. [0, 2^32-1] may be the beginning of a longer list,
 * so it is watched for (`prefix` in struct source). [0, 2^64-1] can only be the whole list; so it
 * is enough that not all gaps are closed (count_closable()).
 */

/* ---- findings ---- */

static void add_probe_size(struct iovageom_report *report, int status, uint64_t wanted,
                           uint64_t offered)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_PROBE_SIZE, status);

    finding.wanted = wanted;
    finding.offered = offered;
    iovageom_report_add(report, &finding);
}

/* ---- the list ---- */

static const struct iovageom_range low_half = {0, UINT32_MAX >> 1};
static const struct iovageom_range low_32 = {0, UINT32_MAX};

/*
 * The list as it is planned. A region [0, 2^32-1], which can only come first, is planned as two
 * halves. The caller's list is const, so region_at() computes the halves. Gap i is the one between
 * regions i and i + 1; it may be empty.
 */
struct source {
    const struct iovageom_region *list;
    struct iovageom_region first; /* region 0, or its lower half */
    size_t count;                 /* of regions; two for one that is halved */
    bool halved;
    /* Closing gaps 0 to `prefix` - 1, with gap `prefix` open, makes [0, 2^32-1]. 0 when no choice
     * of gaps can make it. */
    size_t prefix;
    struct iovageom_gaps gaps; /* of this list, which must not be moved */
};

/* Region i of the planned list. */
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

/*
 * Whether the gap between neighbours can be closed: both must be RESERVED, since an MSI region
 * keeps its bounds. *size receives its bytes; it is 0, and *gap untouched, when the two touch.
 */
static bool gap_between(const struct iovageom_region *low, const struct iovageom_region *high,
                        struct iovageom_range *gap, uint64_t *size)
{
    if (low->type != IOVAGEOM_RESV_RESERVED || high->type != IOVAGEOM_RESV_RESERVED)
        return false;
    *size = iovageom_gap_bytes(low->range, high->range, gap);
    return true;
}

/* The same for gap i of a struct source. False for the last region, above which there is none. */
static bool gap_above(const void *list, size_t i, uint64_t *size)
{
    const struct source *source = list;
    struct iovageom_region low, high;
    struct iovageom_range gap;

    if (i + 1 >= source->count)
        return false;
    low = region_at(source, i);
    high = region_at(source, i + 1);
    return gap_between(&low, &high, &gap, size);
}

static void source_init(struct source *source, const struct iovageom_region *list, size_t count)
{
    uint64_t size;

    *source = (struct source){.list = list, .count = count};
    if (count == 0)
        return;
    source->first = list[0];
    if (iovageom_range_equal(list[0].range, low_32)) {
        source->first.range = low_half;
        source->count++;
        source->halved = true;
    }
    source->gaps = (struct iovageom_gaps){source, source->count, gap_above};
    if (source->first.range.start != 0)
        return;
    /* As far as gaps can be closed without a break, they can make one region that starts at 0. */
    for (size_t i = 0; gap_above(source, i, &size); i++)
        if (region_at(source, i + 1).range.last == UINT32_MAX)
            source->prefix = i + 1;
}

/* ---- which gaps to close ---- */

/* Whether a choice makes [0, 2^32-1] of several regions. It is a copy: see iovageom_gap_taken(). */
static bool makes_low_32(const struct source *source, struct iovageom_gap_choice choice)
{
    uint64_t size;

    for (size_t i = 0; i < source->prefix; i++)
        if (!gap_above(source, i, &size) || !iovageom_gap_taken(&choice, i, size))
            return false;
    return source->prefix > 0 && !(gap_above(source, source->prefix, &size) &&
                                   iovageom_gap_taken(&choice, source->prefix, size));
}

/*
 * Writes the list with the chosen gaps closed, unless `out` is NULL, and fills in the figures of
 * *plan but for the two sizes. Adds a finding for each gap that loses addresses.
 */
static void close_gaps(const struct source *source, struct iovageom_gap_choice choice,
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
            iovageom_gap_taken(&choice, i, size)) {
            if (size > 0) {
                plan->lost = iovageom_size_add(plan->lost, iovageom_range_size(gap));
                iovageom_report_lost(report, gap);
            }
            open.range.last = next.range.last;
            continue;
        }
        if (out != NULL)
            out[plan->count] = open;
        plan->count++;
        open = next;
    }
    plan->bytes = iovageom_wire_bytes(plan->count);
}

/*
 * The `wanted` gaps that lose least without making [0, 2^32-1]. If the smallest ones would make it,
 * there are two ways out. Either gap `prefix`, just above 4 GiB, is closed as well, in place of the
 * largest of the others: the region is longer then. Or one of the gaps below stays open, and
 * another is closed instead; best the largest, which saves most. Both are tried, and the cheaper is
 * taken.
 */
static struct iovageom_gap_choice choose(const struct source *source, size_t wanted)
{
    struct iovageom_gap_choice choice =
                                   iovageom_gaps_smallest(&source->gaps, wanted, IOVAGEOM_NO_GAP),
                               other;
    struct iovageom_probe_plan with, without;
    uint64_t size, most = 0;
    size_t dearest = 0;
    bool can_close;

    if (!makes_low_32(source, choice))
        return choice;
    can_close = gap_above(source, source->prefix, &size);
    if (can_close) {
        choice = iovageom_gaps_smallest(&source->gaps, wanted - 1, source->prefix);
        choice.close = true;
    }
    for (size_t i = 0; i < source->prefix; i++)
        if (gap_above(source, i, &size) && size > most) {
            most = size;
            dearest = i;
        }
    if (iovageom_gaps_narrow(&source->gaps, UINT64_MAX, dearest) < wanted)
        return choice;
    other = iovageom_gaps_smallest(&source->gaps, wanted, dearest);
    close_gaps(source, choice, NULL, &with, NULL);
    close_gaps(source, other, NULL, &without, NULL);
    return can_close && iovageom_size_compare(with.lost, without.lost) <= 0 ? choice : other;
}

/*
 * *most: how many gaps can be closed in all. *touching: how many of them are empty, so that closing
 * them loses nothing. Each is one less where closing all would make a region that guests refuse.
 */
static void count_closable(const struct source *source, size_t *most, size_t *touching)
{
    const size_t count = source->count;
    const struct iovageom_gap_choice all = {UINT64_MAX, 0, IOVAGEOM_NO_GAP, false},
                                     gratis = {0, 0, IOVAGEOM_NO_GAP, false};

    *most = iovageom_gaps_narrow(&source->gaps, UINT64_MAX, IOVAGEOM_NO_GAP);
    *touching = iovageom_gaps_narrow(&source->gaps, 0, IOVAGEOM_NO_GAP);
    /* With all gaps closed the list would be [0, 2^64-1], or begin with [0, 2^32-1], whole. */
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
    int status = iovageom_wire_check(list, count);
    struct source source;

    iovageom_report_clear(report);
    if (status < 0)
        return status;
    source_init(&source, list, count);
    count = source.count;
    count_closable(&source, &most, &touching);
    /* Empty gaps are closed in any case; more only if the list is still too long. */
    wanted = count - touching > room ? count - room : touching;
    plan->lossless_bytes = iovageom_wire_bytes(count - touching);
    plan->minimum_bytes = iovageom_wire_bytes(count - most);
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

/*
 * Reports usable addresses that are lost because they do not fill a granule of the guest. There are
 * such addresses only where the host's own granule is smaller. Closed gaps are reported elsewhere.
 */
static int report_granule_loss(const struct iovageom_allocator *allocator,
                               const struct iovageom_geometry *geometry, uint64_t granule,
                               struct iovageom_range window, struct iovageom_report *report)
{
    struct iovageom_rangeset accepted;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range, whole, parts[2];
    uint64_t own = 1;
    int status;

    if (report == NULL || (iovageom_geometry_granule(geometry, &own) == 0 && own >= granule))
        return IOVAGEOM_OK;
    status = iovageom_rangeset_init(&accepted, allocator);
    if (status == 0)
        status = iovageom_geometry_usable(geometry, own, &accepted);
    if (status < 0)
        return status;
    iovageom_rangeset_seek(&accepted, window.start, &cursor);
    while (iovageom_rangeset_next(&cursor, &range)) {
        unsigned count = 1;

        parts[0] = range;
        if (iovageom_range_align_inward(range, granule, &whole))
            count = iovageom_range_subtract(range, whole, parts);
        for (unsigned i = 0; i < count; i++)
            if (iovageom_range_intersect(parts[i], window, &range))
                iovageom_report_lost(report, range);
    }
    iovageom_rangeset_deinit(&accepted);
    return IOVAGEOM_OK;
}

int iovageom_plan_probe_encode(const struct iovageom_allocator *allocator,
                               const struct iovageom_geometry *geometry, uint64_t granule,
                               struct iovageom_range window, void *buffer, size_t size,
                               struct iovageom_probe_plan *plan, struct iovageom_report *report)
{
    struct iovageom_probe_plan figures;
    struct iovageom_resolved wire;
    size_t needed;
    int status = iovageom_wire_from_geometry(allocator, geometry, granule, window, &wire);

    iovageom_report_clear(report);
    if (status < 0)
        return status;
    status = iovageom_plan_probe(wire.regions, wire.count, size, wire.regions, wire.count + 1,
                                 &figures, report);
    if (status == 0)
        status = report_granule_loss(allocator, geometry, granule, window, report);
    if (status == 0)
        status = iovageom_wire_encode(wire.regions, figures.count, buffer, size, &needed);
    if (status == 0 && plan != NULL)
        *plan = figures;
    iovageom_resolved_close(&wire);
    return status;
}

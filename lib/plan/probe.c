/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_probe.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "../base/range.h"
#include "../geometry/internal.h"
#include "../set/rangeset_internal.h"
#include "../virtio/virtio_internal.h"
#include "gaps.h"

/*
 * How a list is fitted into a probe buffer that is too small: gaps between RESERVED neighbours are
 * closed, which reserves them, too, the smallest first (gaps.h).
 *
 * There is one exception: closed gaps must not make one region [0, 2^32-1] or [0, 2^64-1] of
 * several, because guests refuse such a region (makes_refused()). [0, 2^32-1] may be the beginning
 * of a longer list. [0, 2^64-1] can only be the whole list; so it is enough that not all gaps are
 * closed.
 */

/* ---- the list ---- */

static const struct iovageom_range low_32 = {0, UINT32_MAX};
static const struct iovageom_range low_half = {0, 0x7fffffff}, high_half = {0x80000000, UINT32_MAX};

/*
 * The list as it is planned. A region [0, 2^32-1], which can only come first, is planned as two
 * halves. The caller's list is const, so region_at() computes the halves. Gap i is the one between
 * regions i and i + 1; it may be empty.
 */
struct source {
    struct iovageom_gaps gaps; /* so many as regions: the last one can't be closed */
    const struct iovageom_region *list;
    size_t count;  /* of regions; two for one that is halved */
    size_t halved; /* 1 or 0 */
};

/* Region i of the planned list; behind its end, one of type 0. */
static struct iovageom_region region_at(const struct source *source, size_t i)
{
    struct iovageom_region region = {{0, 0}, 0, 0};

    if (i < source->count)
        region = source->list[i < source->halved ? 0 : i - source->halved];
    if (source->halved == 1 && i == 0)
        region.range = low_half;
    if (source->halved == 1 && i == 1)
        region = (struct iovageom_region){high_half, IOVAGEOM_RESV_RESERVED, 0};
    return region;
}

/* Whether the gap between neighbours can be closed: both must be RESERVED, since an MSI region
 * keeps its bounds. *size receives its bytes. */
static bool can_close(const struct iovageom_region *low, const struct iovageom_region *high,
                      uint64_t *size)
{
    *size = iovageom_gap_bytes(low->range, high->range);
    return low->type == IOVAGEOM_RESV_RESERVED && high->type == IOVAGEOM_RESV_RESERVED;
}

/* The same for gap i of a struct source. */
static bool gap_above(const struct iovageom_gaps *gaps, size_t i, uint64_t *size)
{
    const struct iovageom_region low = region_at((const struct source *)gaps, i);
    const struct iovageom_region high = region_at((const struct source *)gaps, i + 1);

    return can_close(&low, &high, size);
}

/* ---- which gaps to close ---- */

/* If a choice makes a region that guests refuse: how many gaps it closes for that, which are the
 * first. Else 0. It is a copy: see iovageom_gap_taken(). */
static size_t makes_refused(const struct source *source, struct iovageom_gap_choice choice)
{
    struct iovageom_range made;
    uint64_t size;
    size_t i = 0;

    while (gap_above(&source->gaps, i, &size) && iovageom_gap_taken(&choice, i, size))
        i++;
    if (i == 0)
        return 0;
    made = iovageom_range_hull(region_at(source, 0).range, region_at(source, i).range);
    return iovageom_range_equal(made, low_32) || iovageom_range_equal(made, IOVAGEOM_EVERYTHING)
               ? i
               : 0;
}

/* How many gaps of at most `bytes` can be closed: one less where closing them all would make a
 * region that guests refuse. */
static size_t count_closable(const struct source *source, uint64_t bytes)
{
    const struct iovageom_gap_choice all = {bytes, 0, IOVAGEOM_NO_GAP, false};

    return iovageom_gaps_narrow(&source->gaps, bytes, IOVAGEOM_NO_GAP) -
           (makes_refused(source, all) > 0);
}

/*
 * Writes the list with the chosen gaps closed, unless `out` is NULL, and fills in the figures of
 * *plan but for the two sizes. Adds a finding for each gap that loses addresses.
 */
static void close_gaps(const struct source *source, struct iovageom_gap_choice choice,
                       struct iovageom_region *out, struct iovageom_probe_plan *plan,
                       struct iovageom_report *report)
{
    struct iovageom_region open = region_at(source, 0), next;
    struct iovageom_range gap;
    uint64_t size;

    plan->count = 0;
    plan->lost = (struct iovageom_size){0, 0};
    for (size_t i = 0; i < source->count; i++) {
        /* `out` may be the list: read what is next before its place is written. */
        next = region_at(source, i + 1);
        if (can_close(&open, &next, &size) && iovageom_gap_taken(&choice, i, size)) {
            if (iovageom_range_between(open.range, next.range, &gap)) {
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
 * there are two ways out. Either the gap just above 4 GiB is closed as well, in place of the
 * largest of the others: the region is longer then. Or one of the gaps below stays open, and
 * another is closed instead; best the largest, which saves most. Both are tried, and the cheaper is
 * taken.
 */
static struct iovageom_gap_choice choose(const struct source *source, size_t wanted)
{
    const struct iovageom_gaps *gaps = &source->gaps;
    struct iovageom_gap_choice choice = iovageom_gaps_smallest(gaps, wanted, IOVAGEOM_NO_GAP),
                               other;
    const size_t above = makes_refused(source, choice);
    struct iovageom_probe_plan with, without;
    uint64_t size, most = 0;
    size_t dearest = 0;
    bool longer;

    if (above == 0)
        return choice;
    longer = gap_above(gaps, above, &size);
    if (longer) {
        choice = iovageom_gaps_smallest(gaps, wanted - 1, above);
        choice.close = true;
    }
    for (size_t i = 0; i < above; i++)
        if (gap_above(gaps, i, &size) && size > most) {
            most = size;
            dearest = i;
        }
    /* There are so many others: `wanted` is not all gaps, see count_closable(). */
    other = iovageom_gaps_smallest(gaps, wanted, dearest);
    close_gaps(source, choice, NULL, &with, NULL);
    close_gaps(source, other, NULL, &without, NULL);
    return longer && iovageom_size_compare(with.lost, without.lost) <= 0 ? choice : other;
}

int iovageom_plan_probe(const struct iovageom_region *list, size_t count, size_t probe_size,
                        struct iovageom_region *out, size_t capacity,
                        struct iovageom_probe_plan *plan, struct iovageom_report *report)
{
    const size_t room = probe_size / IOVAGEOM_VIRTIO_RESV_MEM_SIZE;
    const bool halved = count > 0 && iovageom_range_equal(list[0].range, low_32);
    const struct source source = {{count + halved, gap_above}, list, count + halved, halved};
    struct iovageom_finding finding;
    size_t touching, most, wanted;
    int status = iovageom_wire_check(list, count);
    bool fits;

    iovageom_report_clear(report);
    if (status < 0)
        return status;
    count = source.count;
    most = count_closable(&source, UINT64_MAX);
    touching = count_closable(&source, 0);
    /* Empty gaps are closed in any case; more only if the list is still too long. */
    wanted = count - touching > room ? count - room : touching;
    fits = wanted <= most;
    plan->lossless_bytes = iovageom_wire_bytes(count - touching);
    plan->minimum_bytes = iovageom_wire_bytes(count - most);
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_PROBE_SIZE,
                                     fits ? IOVAGEOM_OK : IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    finding.wanted = fits ? plan->lossless_bytes : plan->minimum_bytes;
    finding.offered = probe_size;
    if (wanted > touching)
        iovageom_report_add(report, &finding);
    if (!fits || (out != NULL && count - wanted > capacity))
        status = IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    close_gaps(&source, choose(&source, fits ? wanted : most), status == 0 ? out : NULL, plan,
               fits ? report : NULL);
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
    struct iovageom_rangeset lost, whole;
    uint64_t own = 1;
    int status;

    if (report == NULL || (iovageom_geometry_granule(geometry, &own) == 0 && own >= granule))
        return IOVAGEOM_OK;
    (void)iovageom_rangeset_init(&lost, allocator);
    (void)iovageom_rangeset_init(&whole, allocator);
    /* All of these fail for lack of memory alone. */
    status = iovageom_geometry_usable(geometry, own, &lost);
    status |= iovageom_rangeset_align_inward(&whole, &lost, granule);
    status |= iovageom_rangeset_difference(&lost, &lost, &whole);
    status |= iovageom_rangeset_clip(&lost, &lost, window);
    if (status == IOVAGEOM_OK)
        iovageom_report_all_lost(report, &lost);
    iovageom_rangeset_deinit(&whole);
    iovageom_rangeset_deinit(&lost);
    return status;
}

int iovageom_plan_probe_encode(const struct iovageom_allocator *allocator,
                               const struct iovageom_geometry *geometry, uint64_t granule,
                               struct iovageom_range window, void *buffer, size_t size,
                               struct iovageom_probe_plan *plan, struct iovageom_report *report)
{
    struct iovageom_probe_plan figures;
    struct iovageom_resolved wire;
    int status = iovageom_wire_from_geometry(allocator, geometry, granule, window, &wire);

    iovageom_report_clear(report);
    if (status < 0)
        return status;
    status = iovageom_plan_probe(wire.regions, wire.count, size, wire.regions, wire.count + 1,
                                 &figures, report);
    if (status == 0)
        status = report_granule_loss(allocator, geometry, granule, window, report);
    if (status == 0)
        status = iovageom_wire_encode(wire.regions, figures.count, buffer, size, NULL);
    if (status == 0 && plan != NULL)
        *plan = figures;
    iovageom_resolved_close(&wire);
    return status;
}

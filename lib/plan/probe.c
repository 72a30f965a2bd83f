/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/plan_probe.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "../base/range.h"
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
 * How a list is fitted into a probe buffer that is too small. Closing the gap between two RESERVED
 * neighbours (reserving it, too) makes the list one region shorter, and loses the usable addresses
 * in the gap. Each gap can be closed without regard to the others. So a list that must be k regions
 * shorter loses least by closing the k smallest gaps.
 *
 * There is one exception: closed gaps must not make one region [0, 2^32-1] or [0, 2^64-1] of
 * several, because guests refuse such a region. [0, 2^32-1] may be the beginning of a longer list,
 * so it is watched for (`prefix` in struct source). [0, 2^64-1] can only be the whole list; so it
 * is enough that not all gaps are closed (count_closable()).
 *
 * Nothing is allocated: the size up to which gaps are closed is found by bisection, 64 passes over
 * the list.
 */

/* ---- the list ---- */

#define NO_GAP SIZE_MAX

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
    *size = 0;
    if (iovageom_range_between(low->range, high->range, gap))
        *size = iovageom_size_saturate(iovageom_range_size(*gap));
    return true;
}

/* The same for gap i. False for the last region, above which there is none. */
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
    /* As far as gaps can be closed without a break, they can make one region that starts at 0. */
    for (size_t i = 0; gap_above(&source, i, &size); i++)
        if (region_at(&source, i + 1).range.last == UINT32_MAX)
            source.prefix = i + 1;
    return source;
}

/* ---- which gaps to close ---- */

/*
 * Which gaps are closed: all smaller than `size`, and those of exactly that size but the lowest
 * `spare` of them. Low addresses are of use to more devices, so of equal gaps the higher are
 * closed.
 */
struct choice {
    uint64_t size; /* in bytes */
    size_t spare;
    bool any;     /* false: none but `close` */
    size_t keep;  /* a gap that stays open in any case, or NO_GAP */
    size_t close; /* one that is closed in any case, or NO_GAP */
};

/* The number of gaps of at most `most` bytes that can be closed, gap `but` not counted. */
static size_t count_narrow_gaps(const struct source *source, uint64_t most, size_t but)
{
    uint64_t size;
    size_t found = 0;

    for (size_t i = 0; i + 1 < source->count; i++)
        found += i != but && gap_above(source, i, &size) && size <= most;
    return found;
}

/*
 * The `wanted` smallest gaps, without gap `but` (NO_GAP for all). Bisection finds the smallest size
 * for which at least `wanted` gaps are as small; of that size there may be more than are wanted,
 * which `spare` keeps open. At least `wanted` gaps must be closable.
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

/*
 * Whether gap i, of `size` bytes, is closed. It counts `spare` down, so it must be asked once for
 * each gap that can be closed, in ascending order, on a copy of the choice.
 */
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

/* Whether a choice makes [0, 2^32-1] of several regions. `choice` is by value: see take(). */
static bool makes_low_32(const struct source *source, struct choice choice)
{
    uint64_t size;

    for (size_t i = 0; i < source->prefix; i++)
        if (!gap_above(source, i, &size) || !take(&choice, i, size))
            return false;
    return source->prefix > 0 &&
           !(gap_above(source, source->prefix, &size) && take(&choice, source->prefix, size));
}

/*
 * Writes the list with the chosen gaps closed, unless `out` is NULL, and fills in the figures of
 * *plan but for the two sizes. Adds a finding for each gap that loses addresses.
 */
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
 * The `wanted` gaps that lose least without making [0, 2^32-1]. If the smallest ones would make it,
 * there are two ways out. Either gap `prefix`, just above 4 GiB, is closed as well, in place of the
 * largest of the others: the region is longer then. Or one of the gaps below stays open, and
 * another is closed instead; best the largest, which saves most. Both are tried, and the cheaper is
 * taken.
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

/*
 * *most: how many gaps can be closed in all. *touching: how many of them are empty, so that closing
 * them loses nothing. Each is one less where closing all would make a region that guests refuse.
 */
static void count_closable(const struct source *source, size_t *most, size_t *touching)
{
    const size_t count = source->count;
    struct choice all = {UINT64_MAX, 0, true, NO_GAP, NO_GAP},
                  gratis = {0, 0, true, NO_GAP, NO_GAP};

    *most = count_narrow_gaps(source, UINT64_MAX, NO_GAP);
    *touching = count_narrow_gaps(source, 0, NO_GAP);
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
    int status = iovageom_virtio_wire_check(list, count);
    struct source source;

    if (report != NULL)
        iovageom_report_clear(report);
    if (status < 0)
        return status;
    source = source_of(list, count);
    count = source.count;
    count_closable(&source, &most, &touching);
    /* Empty gaps are closed in any case; more only if the list is still too long. */
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

/*
 * Reports usable addresses that are lost because they do not fill a granule of the guest. There are
 * such addresses only where the host's own granule is smaller. Closed gaps are reported elsewhere.
 */
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

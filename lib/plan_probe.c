/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold_file.h"

#include <iovageom/plan_probe.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "virtio_internal.h"

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

/* ---- which gaps to close ---- */

/* Gaps go in this order: smaller than `size`; then those of that size, but the lowest `spare`. */
struct choice {
    uint64_t size;
    size_t spare;
    bool any;
};

/* The gap above region number `i`, if closing it makes the list shorter. *size may be 0. */
static bool gap_above(const struct iovageom_region *list, size_t count, size_t i,
                      struct iovageom_range *gap, uint64_t *size)
{
    if (i + 1 >= count || list[i].type != IOVAGEOM_RESV_RESERVED ||
        list[i + 1].type != IOVAGEOM_RESV_RESERVED)
        return false;
    *size = 0;
    if (iovageom_range_between(list[i].range, list[i + 1].range, gap))
        *size = iovageom_size_saturate(iovageom_range_size(*gap));
    return true;
}

static size_t count_gaps(const struct iovageom_region *list, size_t count, uint64_t most)
{
    struct iovageom_range gap;
    uint64_t size;
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += gap_above(list, count, i, &gap, &size) && size <= most;
    return found;
}

/*
 * The `wanted` gaps that cost the least. Which gaps are closed can be chosen one by one, because
 * each takes one region from the list whatever becomes of the others: so the cheapest are the best.
 * The size of the dearest is found by bisection, which needs no memory.
 */
static struct choice choose(const struct iovageom_region *list, size_t count, size_t wanted)
{
    struct choice choice = {0, 0, wanted > 0};
    /* Most lists fit: then nothing but touching neighbours closes, and one look says so. */
    uint64_t low = 0, high = count_gaps(list, count, 0) >= wanted ? 0 : UINT64_MAX;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (count_gaps(list, count, middle) >= wanted)
            high = middle;
        else
            low = middle + 1;
    }
    choice.size = low;
    if (wanted > 0)
        choice.spare = count_gaps(list, count, low) - wanted;
    return choice;
}

static bool take(struct choice *choice, uint64_t size)
{
    if (!choice->any || size > choice->size)
        return false;
    if (size < choice->size || choice->spare == 0)
        return true;
    choice->spare--;
    return false;
}

/* Writes the list with the chosen gaps closed, unless `out` is NULL. */
static void close_gaps(const struct iovageom_region *list, size_t count, struct choice choice,
                       struct iovageom_region *out, struct iovageom_probe_plan *plan,
                       struct iovageom_report *report)
{
    struct iovageom_region open = {{0, 0}, 0, 0};
    struct iovageom_range gap;
    uint64_t size;

    plan->count = 0;
    plan->lost = (struct iovageom_size){0, 0};
    for (size_t i = 0; i < count; i++) {
        open = open.type != 0
                   ? (struct iovageom_region){{open.range.start, list[i].range.last}, open.type, 0}
                   : list[i];
        if (gap_above(list, count, i, &gap, &size) && take(&choice, size)) {
            if (size > 0) {
                plan->lost = iovageom_size_add(plan->lost, iovageom_range_size(gap));
                add_lost(report, gap);
            }
            continue;
        }
        if (out != NULL)
            out[plan->count] = open;
        plan->count++;
        open.type = 0;
    }
    plan->bytes = iovageom_virtio_probe_bytes(plan->count);
}

int iovageom_plan_probe(const struct iovageom_region *list, size_t count, size_t probe_size,
                        struct iovageom_region *out, size_t capacity,
                        struct iovageom_probe_plan *plan, struct iovageom_report *report)
{
    size_t room = probe_size / IOVAGEOM_VIRTIO_RESV_MEM_SIZE, touching, most, wanted;
    int status = iovageom_virtio_wire_check(list, count);

    if (report != NULL)
        iovageom_report_clear(report);
    if (status < 0)
        return status;
    most = count_gaps(list, count, UINT64_MAX);
    touching = count_gaps(list, count, 0);
    /* With all gaps closed it would be all of 64 bits, or of a guest's 32, in one piece. */
    if (most > 0 && most == count - 1 && list[0].range.start == 0 &&
        (list[count - 1].range.last == IOVAGEOM_ADDRESS_MAX ||
         list[count - 1].range.last == UINT32_MAX))
        most--;
    if (touching > most)
        touching = most;
    wanted = count - touching > room ? count - room : touching;
    plan->lossless_bytes = iovageom_virtio_probe_bytes(count - touching);
    plan->minimum_bytes = iovageom_virtio_probe_bytes(count - most);
    if (wanted > most) {
        close_gaps(list, count, choose(list, count, most), NULL, plan, NULL);
        add_probe_size(report, IOVAGEOM_ERR_BUFFER_TOO_SMALL, plan->minimum_bytes, probe_size);
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    }
    if (out != NULL && count - wanted > capacity)
        status = IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    if (wanted > touching)
        add_probe_size(report, IOVAGEOM_OK, plan->lossless_bytes, probe_size);
    close_gaps(list, count, choose(list, count, wanted), status == 0 ? out : NULL, plan, report);
    return status;
}

/* ---- from a geometry ---- */

/* Usable addresses that are no whole granule of the guest's are lost, too. */
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
    struct iovageom_wire wire;
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

/* ---- before anything is known ---- */

/*
 * The addresses at which a region of a union with others can start: where one of `list` starts, and
 * behind an MSI region, where another's RESERVED may go on. What looks the same on the wire as its
 * lower neighbour doesn't start.
 */
static int add_starts(struct iovageom_rangeset *starts, const struct iovageom_wire *wire,
                      struct iovageom_range window)
{
    struct iovageom_range range, next, before = {0, 0};
    bool is_msi, was_msi = false, any = false;
    int status = IOVAGEOM_OK;

    for (size_t i = 0; i < wire->count && status == 0; i++) {
        if (!iovageom_range_intersect(wire->list[i].range, window, &range))
            continue;
        is_msi = wire->list[i].type == IOVAGEOM_RESV_MSI;
        if (!any || was_msi != is_msi || !iovageom_range_precedes_directly(before, range))
            status =
                iovageom_rangeset_insert(starts, (struct iovageom_range){range.start, range.start});
        if (status == 0 && is_msi && iovageom_range_above(range, &next))
            status =
                iovageom_rangeset_insert(starts, (struct iovageom_range){next.start, next.start});
        /* What is all of the window is told in two halves. */
        if (status == 0 && iovageom_range_equal(range, window))
            status =
                iovageom_rangeset_insert(starts, (struct iovageom_range){window.last, window.last});
        before = range;
        was_msi = is_msi;
        any = true;
    }
    return status;
}

int iovageom_plan_probe_size(const struct iovageom_allocator *allocator,
                             const struct iovageom_geometry *const *geometries, size_t count,
                             uint64_t granule, struct iovageom_range window, uint32_t *probe_size)
{
    struct iovageom_rangeset starts;
    struct iovageom_wire wire;
    uint64_t number;
    int status;

    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    status = iovageom_rangeset_init(&starts, allocator);
    if (status < 0)
        return status;
    for (size_t i = 0; i < count && status == 0; i++) {
        status = iovageom_wire_reserved(allocator, geometries[i], granule, &wire);
        if (status == 0) {
            status = add_starts(&starts, &wire, window);
            iovageom_wire_free(&wire);
        }
    }
    number = iovageom_size_saturate(iovageom_rangeset_size(&starts));
    if (status == 0 && number > UINT32_MAX / IOVAGEOM_VIRTIO_RESV_MEM_SIZE)
        status = IOVAGEOM_ERR_OVERFLOW;
    if (status == 0)
        *probe_size = (uint32_t)number * IOVAGEOM_VIRTIO_RESV_MEM_SIZE;
    iovageom_rangeset_deinit(&starts);
    return status;
}

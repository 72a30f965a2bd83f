/* SPDX-License-Identifier: BSD-3-Clause */
#include "place.h"
#include "amounts.h"

#include <string.h>

#include <iovageom/status.h>

#define PAGE_4K 4096

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a < b ? b - a : a - b;
}

bool place_nearest(const struct iovageom_range *ranges, size_t count, uint64_t start, uint64_t size,
                   uint64_t alignment, struct iovageom_range *out)
{
    uint64_t mask = alignment - 1;
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        uint64_t low = (ranges[i].start + mask) & ~mask;
        uint64_t high, best;

        /* No multiple of the alignment is left in 64 bits, or in the range. */
        if (low < ranges[i].start || low > ranges[i].last || ranges[i].last - low < size - 1)
            continue;
        high = (ranges[i].last - (size - 1)) & ~mask;
        best = start & ~mask;
        if (best < low)
            best = low;
        if (best > high)
            best = high;
        if (best < high && distance(best + alignment, start) < distance(best, start))
            best += alignment;
        if (found && distance(out->start, start) <= distance(best, start))
            continue;
        *out = (struct iovageom_range){best, best + (size - 1)};
        found = true;
    }
    return found;
}

static const char *joined(const char *sources, const char *more)
{
    return text("%s, %s", sources, more);
}

bool place_unknown(const struct verdict *verdict, struct iovageom_range range, size_t *from,
                   struct iovageom_range *part)
{
    while (*from < verdict->unknown_count) {
        *part = verdict->unknown[(*from)++];
        if (!iovageom_range_overlaps(*part, range))
            continue;
        part->start = part->start > range.start ? part->start : range.start;
        part->last = part->last < range.last ? part->last : range.last;
        return true;
    }
    return false;
}

/* Whether "VFIO for group 12, sysfs for group 1" has a source among its own. */
static bool is_listed(const char *sources, const char *source)
{
    size_t length = strlen(source);

    while (strncmp(sources, source, length) != 0 ||
           (sources[length] != ',' && sources[length] != '\0')) {
        sources = strchr(sources, ' ');
        if (sources == NULL)
            return false;
        sources++;
    }
    return true;
}

/* What is said of the same part in the same way is one: `known` has their places. */
static void add_obstacle(struct placing *placing, const struct iovageom_finding *finding,
                         bool named, struct lookup *known)
{
    const char *source = iovageom_source_string((enum iovageom_source)finding->owner.source);
    const char *key = text("%u %s", finding->kind, range_text(finding->range));
    struct obstacle *obstacle;
    size_t number;

    if (named)
        source = text("%s for %s", source, finding->owner.name);
    if (lookup_find(known, key, &number)) {
        obstacle = &placing->obstacles[number];
        /* VFIO and iommufd know no types, nor what a region next to another one is. */
        if (obstacle->type < finding->type)
            obstacle->type = finding->type;
        if (iovageom_range_contains(obstacle->whole, finding->against))
            obstacle->whole = finding->against;
        if (!is_listed(obstacle->sources, source))
            obstacle->sources = joined(obstacle->sources, source);
        return;
    }
    lookup_add(known, key, placing->obstacle_count);
    placing->obstacles =
        keep_grown(placing->obstacles, placing->obstacle_count, sizeof(*placing->obstacles));
    placing->obstacles[placing->obstacle_count++] = (struct obstacle){
        finding->kind, finding->type, finding->range, finding->against, source, finding->wanted};
}

void place_obstacles(struct placing *placing, const struct iovageom_report *report, bool named)
{
    struct lookup known = {NULL, 0, 0};

    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(report, i);

        if (finding->fatal != 0 && (finding->kind == IOVAGEOM_FINDING_RESERVED ||
                                    finding->kind == IOVAGEOM_FINDING_OUT_OF_APERTURE ||
                                    finding->kind == IOVAGEOM_FINDING_ALIGNMENT ||
                                    finding->kind == IOVAGEOM_FINDING_NOTHING_USABLE))
            add_obstacle(placing, finding, named, &known);
    }
}

static bool in_unknown(const struct verdict *verdict, struct iovageom_range range)
{
    size_t from = 0;
    struct iovageom_range part;

    return place_unknown(verdict, range, &from, &part);
}

static bool nearest_of(struct placing *placing, const struct iovageom_range *ranges, size_t count,
                       uint64_t start, uint64_t size)
{
    /* A BAR has to begin at a multiple of its size, and where a BAR fits, RAM does. */
    return (is_power(size) && place_nearest(ranges, count, start, size, size, &placing->nearest)) ||
           place_nearest(ranges, count, start, size, placing->granule, &placing->nearest);
}

static void find_nearest(struct placing *placing, struct iovageom_range range)
{
    const struct verdict *verdict = placing->verdict;
    uint64_t size = range.last - range.start + 1;
    uint64_t rounded = (size + placing->granule - 1) & ~(placing->granule - 1);

    if (rounded < size || size == 0)
        return;
    placing->has_nearest =
        nearest_of(placing, verdict->usable, verdict->usable_count, range.start, rounded);
    if (placing->has_nearest)
        return;
    placing->guessed = placing->has_nearest =
        nearest_of(placing, verdict->unknown, verdict->unknown_count, range.start, rounded);
}

struct placing place_range(const struct verdict *verdict, struct iovageom_range range)
{
    struct placing placing = {.verdict = verdict, .mapped = MAPPED, .granule = PAGE_4K};
    struct iovageom_report report;

    if (verdict->no_iommu || !verdict->judged) {
        placing.mapped = verdict->no_iommu ? NOT_TRANSLATED : NOT_READ;
        return placing;
    }
    (void)iovageom_geometry_granule(verdict->geometry, &placing.granule);
    iovageom_report_init(&report, &lasting);
    if (iovageom_geometry_explain(verdict->geometry, range, &report) != IOVAGEOM_OK) {
        placing.mapped = FORBIDDEN;
        place_obstacles(&placing, &report, false);
    } else if (in_unknown(verdict, range)) {
        placing.mapped = NOT_KNOWN;
    }
    if (placing.mapped == FORBIDDEN)
        find_nearest(&placing, range);
    return placing;
}

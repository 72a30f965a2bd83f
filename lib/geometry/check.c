/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "../base/array.h"
#include "internal.h"

/* ---- explain ---- */

/* Adds a finding for each part of `range` that lies outside an aperture, for each aperture. */
static int explain_apertures(const struct iovageom_geometry *geometry, struct iovageom_range range,
                             struct iovageom_report *report)
{
    const struct iovageom_geometry_fact *fact;
    int status = IOVAGEOM_OK;
    size_t index = 0;

    while ((fact = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_APERTURE, &index))) {
        struct iovageom_finding finding =
            iovageom_finding_blank(IOVAGEOM_FINDING_OUT_OF_APERTURE, IOVAGEOM_ERR_OUT_OF_APERTURE);
        struct iovageom_range outside[2];

        finding.owner = fact->owner;
        finding.against = (struct iovageom_range){fact->value, fact->last};
        unsigned count = iovageom_range_subtract(range, finding.against, outside);
        for (unsigned i = 0; i < count; i++) {
            finding.range = outside[i];
            status = finding.status;
            iovageom_report_add(report, &finding);
        }
    }
    return status;
}

/*
 * The intersection of all apertures of an owner, perhaps inverted; [0, 2^64-1] without one. The
 * complement of an aperture is stored among the owner's regions too (struct
 * iovageom_geometry_fact), and explain_apertures() has reported it. A region lies outside one of
 * the apertures when it ends below the highest of their starts, or starts above the lowest of their
 * ends; so explain_regions() compares it with this one range to leave it out.
 */
static struct iovageom_range common_aperture(const struct iovageom_geometry *geometry,
                                             const struct iovageom_owner *owner)
{
    struct iovageom_range common = IOVAGEOM_EVERYTHING;
    size_t count;
    const struct iovageom_geometry_fact *fact =
        iovageom_geometry_facts_of(geometry, IOVAGEOM_FACT_APERTURE, owner, &count);

    for (; count > 0; count--, fact++) {
        common.start = fact->value > common.start ? fact->value : common.start;
        common.last = fact->last < common.last ? fact->last : common.last;
    }
    return common;
}

/* Adds a finding for each region of each owner that shares addresses with `range`. */
static int explain_regions(const struct iovageom_geometry *geometry, struct iovageom_range range,
                           struct iovageom_report *report)
{
    int status = IOVAGEOM_OK;

    /* From the highest precedence down, as findings come in the order of importance (report.h). */
    for (size_t i = geometry->count; i-- > 0 && iovageom_fact_forbids(&geometry->facts[i]);) {
        const struct iovageom_geometry_fact *fact = &geometry->facts[i];
        const struct iovageom_range common = common_aperture(geometry, &fact->owner);
        struct iovageom_finding finding =
            iovageom_finding_blank(IOVAGEOM_FINDING_RESERVED, IOVAGEOM_ERR_RESERVED);
        struct iovageom_rangeset_cursor cursor;

        finding.owner = fact->owner;
        finding.type = iovageom_fact_type(fact);
        iovageom_rangeset_seek(fact->ranges, range.start, &cursor);
        while (iovageom_rangeset_next(&cursor, &finding.against) &&
               iovageom_range_intersect(range, finding.against, &finding.range)) {
            /* Outside an aperture: reported already as OUT_OF_APERTURE. */
            if (finding.against.last < common.start || finding.against.start > common.last)
                continue;
            status = finding.status;
            iovageom_report_add(report, &finding);
        }
    }
    return status;
}

/* Adds a finding when `range` is no multiple of the granule, or when no page size maps at all. */
static int explain_granule(const struct iovageom_geometry *geometry, struct iovageom_range range,
                           struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_ALIGNMENT, IOVAGEOM_ERR_ALIGNMENT);
    int status = iovageom_geometry_granule(geometry, &finding.wanted);

    if (status == IOVAGEOM_ERR_UNKNOWN ||
        (status == IOVAGEOM_OK && iovageom_range_is_aligned(range, finding.wanted)))
        return IOVAGEOM_OK;
    if (status < 0) {
        finding = iovageom_finding_blank(IOVAGEOM_FINDING_NOTHING_USABLE, status);
        (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, geometry->self.name);
    } else {
        finding.range = range;
    }
    iovageom_report_add(report, &finding);
    return finding.status;
}

int iovageom_geometry_refuse(const struct iovageom_geometry *geometry, struct iovageom_range range,
                             struct iovageom_report *report)
{
    const int outside = explain_apertures(geometry, range, report);
    const int reserved = explain_regions(geometry, range, report);
    const int unaligned = explain_granule(geometry, range, report);

    return outside < 0 ? outside : reserved < 0 ? reserved : unaligned;
}

int iovageom_geometry_explain(const struct iovageom_geometry *geometry, struct iovageom_range range,
                              struct iovageom_report *report)
{
    int status;

    iovageom_report_clear(report);
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    status = iovageom_geometry_refuse(geometry, range, report);
    (void)iovageom_geometry_direct(geometry, IOVAGEOM_ID_NONE, IOVAGEOM_OK, report);
    iovageom_geometry_doubts(geometry, IOVAGEOM_ID_NONE, report);
    return status;
}

/* ---- check ---- */

/*
 * Sources about one name can contradict each other: what registers say about the hardware, and what
 * a kernel says about the same device. Only facts about one name are compared: those about
 * different devices may differ.
 */
struct check {
    const struct iovageom_geometry *geometry;
    struct iovageom_report *report;
    struct iovageom_rangeset others; /* see reserved_by_others() */
    int result;
};

/* `owner` and `other` contradict each other about a range; or, if `offered` is not 0, about the
 * bytes in the smallest page. */
static void disagree(struct check *check, const struct iovageom_owner *owner,
                     const struct iovageom_owner *other, struct iovageom_range range,
                     uint64_t wanted, uint64_t offered)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_DISAGREEMENT, IOVAGEOM_ERR_DISAGREEMENT);

    finding.owner = *owner;
    finding.other = *other;
    finding.range = range;
    finding.wanted = wanted;
    finding.offered = offered;
    finding.detail = offered != 0 ? "bytes in the smallest page" : NULL;
    iovageom_report_add(check->report, &finding);
    check->result = finding.status;
}

/*
 * Whether these registers were decoded without all that their meaning depends on, such as the
 * kernel (INCOMPLETE). The decoder then took the least that they may mean, so a kernel that maps
 * more is no contradiction.
 */
static bool is_least(const struct check *check, const struct iovageom_owner *owner)
{
    return iovageom_source_is_registers(owner->source) &&
           iovageom_geometry_facts_of(check->geometry, IOVAGEOM_FACT_INCOMPLETE, owner, NULL) !=
               NULL;
}

/*
 * Collects what owners without a list of usable ranges reserve. check_width() accepts a usable list
 * that ends below the hardware's width if a reserved region explains it. The complement of another
 * usable list must not count as such a region: VFIO and iommufd usually end at the same address,
 * and each would explain the other.
 */
static int reserved_by_others(struct check *check)
{
    const struct iovageom_geometry_fact *fact;
    int status = IOVAGEOM_OK;

    for (size_t i = 0; status == IOVAGEOM_OK &&
                       (fact = iovageom_geometry_next_regions(check->geometry, &i)) != NULL;)
        if (iovageom_fact_forbids(fact) &&
            iovageom_geometry_facts_of(check->geometry, IOVAGEOM_FACT_USABLE, &fact->owner, NULL) ==
                NULL)
            status = iovageom_rangeset_union(&check->others, &check->others, fact->ranges);
    return status;
}

/*
 * Compares the width in registers with a list of usable ranges, of which `reserved` is the
 * complement. Only the highest usable range matters. It may not reach above the width, unless the
 * registers are is_least(). And between its end and the width something must be reserved: all of
 * it, or the finding has what is left from the first address on that is not.
 */
static void check_width(struct check *check, const struct iovageom_owner *usable,
                        const struct iovageom_rangeset *reserved,
                        const struct iovageom_geometry_fact *width)
{
    const struct iovageom_range aperture = {width->value, width->last};
    struct iovageom_range top, gap, parts[2];
    unsigned beyond;

    if (!iovageom_rangeset_gap_below(reserved, IOVAGEOM_ADDRESS_MAX, &top))
        return; /* nothing is usable, which no width contradicts */
    beyond = iovageom_range_subtract(top, aperture, parts);
    if (beyond > 0 && top.last > aperture.last) {
        if (!is_least(check, &width->owner))
            disagree(check, usable, &width->owner, parts[beyond - 1], 0, 0);
    } else if (iovageom_range_above(top, &top) && iovageom_range_intersect(top, aperture, &top) &&
               iovageom_rangeset_gap_above(&check->others, top.start, &gap) &&
               gap.start <= top.last) {
        top.start = iovageom_higher(top.start, gap.start);
        disagree(check, usable, &width->owner, top, 0, 0);
    }
}

/*
 * Reports regions that another kernel source reserves for the same name, and that this list calls
 * usable, even if only in part. `reserved` is the complement of the list.
 */
static void check_regions(struct check *check, const struct iovageom_owner *usable,
                          const struct iovageom_rangeset *reserved)
{
    struct iovageom_owner other = *usable;
    const struct iovageom_geometry_fact *fact;
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range region;

    for (uint32_t type = IOVAGEOM_RESV_RESERVED; type <= IOVAGEOM_RESV_MSI; type++)
        for (other.source = IOVAGEOM_SOURCE_VFIO; iovageom_source_is_kernel(other.source);
             other.source++) {
            fact = iovageom_geometry_facts_of(check->geometry, IOVAGEOM_FACT_REGIONS + type, &other,
                                              NULL);
            if (fact == NULL || other.source == usable->source)
                continue;
            iovageom_rangeset_seek(fact->ranges, 0, &cursor);
            while (iovageom_rangeset_next(&cursor, &region))
                if (!iovageom_rangeset_contains(reserved, region))
                    disagree(check, &other, usable, region, 0, 0);
        }
}

/* Checks a kernel's list of usable ranges. An owner that reserves nothing lists all as usable. */
static void check_usable(struct check *check, const struct iovageom_owner *usable)
{
    const struct iovageom_geometry_fact *fact = iovageom_geometry_facts_of(
        check->geometry, IOVAGEOM_FACT_REGIONS + IOVAGEOM_RESV_RESERVED, usable, NULL);
    struct iovageom_owner registers = *usable;
    struct iovageom_rangeset none;
    const struct iovageom_rangeset *reserved = fact != NULL ? fact->ranges : &none;
    size_t count;

    (void)iovageom_rangeset_init(&none, &check->geometry->allocator);
    check_regions(check, usable, reserved);
    for (registers.source = IOVAGEOM_SOURCE_VTD_REGISTERS;
         iovageom_source_is_registers(registers.source); registers.source++) {
        fact =
            iovageom_geometry_facts_of(check->geometry, IOVAGEOM_FACT_APERTURE, &registers, &count);
        for (; count > 0; count--, fact++)
            check_width(check, usable, reserved, fact);
    }
}

/* The largest or the smallest granule of the facts of one kind and owner, and how many these are;
 * of none that which no other is larger, or smaller, than. */
static uint64_t granule_of(const struct check *check, uint32_t kind,
                           const struct iovageom_owner *owner, bool largest, size_t *count)
{
    const struct iovageom_geometry_fact *fact =
        iovageom_geometry_facts_of(check->geometry, kind, owner, count);
    uint64_t found = largest ? 0 : UINT64_MAX;

    for (size_t i = 0; i < *count; i++) {
        const uint64_t granule = iovageom_pgsize_granule(fact[i].value);

        found = largest ? iovageom_higher(found, granule) : iovageom_lower(found, granule);
    }
    return found;
}

/*
 * A kernel can't map smaller pages than its hardware, nor accept an alignment smaller than the
 * smallest page. So a host's masks are compared with the alignments of kernels, and masks in
 * registers with masks of kernels. A source may state several values: its largest bound is compared
 * with the smallest value of each other source, which costs one comparison and misses no
 * contradiction.
 */
static void check_page_sizes(struct check *check)
{
    static const uint32_t kinds[] = {IOVAGEOM_FACT_ALIGNMENT, IOVAGEOM_FACT_PAGE_SIZES};
    const struct iovageom_geometry_fact *mask;
    size_t count, others;

    for (size_t i = 0;
         (mask = iovageom_geometry_next_fact(check->geometry, IOVAGEOM_FACT_PAGE_SIZES, &i));
         i += count - 1) { /* past the other masks of this owner, which follow directly */
        const uint64_t granule =
            granule_of(check, IOVAGEOM_FACT_PAGE_SIZES, &mask->owner, true, &count);
        const bool registers = iovageom_source_is_registers(mask->owner.source);
        struct iovageom_owner other = mask->owner;

        if (!iovageom_source_is_host(mask->owner.source) || is_least(check, &mask->owner))
            continue;
        for (uint32_t k = 0; k <= registers; k++)
            for (other.source = IOVAGEOM_SOURCE_VFIO; iovageom_source_is_kernel(other.source);
                 other.source++) {
                const uint64_t fine = granule_of(check, kinds[k], &other, false, &others);

                if (fine < granule)
                    disagree(check, &other, &mask->owner, (struct iovageom_range){0, 0}, fine,
                             granule);
            }
    }
}

int iovageom_geometry_check(const struct iovageom_geometry *geometry,
                            struct iovageom_report *report)
{
    struct check check = {.geometry = geometry, .report = report, .result = IOVAGEOM_OK};
    const struct iovageom_geometry_fact *usable;
    int status = iovageom_rangeset_init(&check.others, &geometry->allocator);

    iovageom_report_clear(report);
    if (status == IOVAGEOM_OK)
        status = reserved_by_others(&check);
    if (status == IOVAGEOM_OK) {
        check_page_sizes(&check);
        for (size_t i = 0;
             (usable = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_USABLE, &i)) != NULL;)
            if (iovageom_source_is_kernel(usable->owner.source))
                check_usable(&check, &usable->owner);
    }
    iovageom_rangeset_deinit(&check.others);
    return status < 0 ? status : check.result;
}

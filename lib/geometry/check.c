/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/pgsize.h>
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

int iovageom_geometry_explain(const struct iovageom_geometry *geometry, struct iovageom_range range,
                              struct iovageom_report *report)
{
    int status[3];

    iovageom_report_clear(report);
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    status[0] = explain_apertures(geometry, range, report);
    status[1] = explain_regions(geometry, range, report);
    status[2] = explain_granule(geometry, range, report);
    (void)iovageom_geometry_direct(geometry, IOVAGEOM_ID_NONE, IOVAGEOM_OK, report);
    iovageom_geometry_doubts(geometry, IOVAGEOM_ID_NONE, report);
    for (unsigned i = 0; i < 3; i++)
        if (status[i] < 0)
            return status[i];
    return IOVAGEOM_OK;
}

/* ---- check ---- */

/*
 * Sources about one name can contradict each other: what registers say about the hardware, and what
 * a kernel says about the same device. Only statements about one name are compared, as as_source()
 * does it: statements about different devices may differ.
 */

/* The first fact of a kind and owner; NULL for none. */
static const struct iovageom_geometry_fact *first_of(const struct iovageom_geometry *geometry,
                                                     uint32_t kind,
                                                     const struct iovageom_owner *owner)
{
    size_t count;

    return iovageom_geometry_facts_of(geometry, kind, owner, &count);
}

static int disagree(struct iovageom_report *report, const struct iovageom_owner *owner,
                    const struct iovageom_owner *other, struct iovageom_range range)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_DISAGREEMENT, IOVAGEOM_ERR_DISAGREEMENT);

    finding.owner = *owner;
    finding.other = *other;
    finding.range = range;
    iovageom_report_add(report, &finding);
    return finding.status;
}

/*
 * Whether these registers were decoded without all that their meaning depends on, such as the
 * kernel (INCOMPLETE). The decoder then took the least that they may mean, so a kernel that maps
 * more is no contradiction.
 */
static bool is_least(const struct iovageom_geometry *geometry, const struct iovageom_owner *owner)
{
    return iovageom_source_is_registers(owner->source) &&
           first_of(geometry, IOVAGEOM_FACT_INCOMPLETE, owner) != NULL;
}

/* The same owner's name, with another source. */
static struct iovageom_owner as_source(const struct iovageom_owner *owner, uint32_t source)
{
    struct iovageom_owner other = *owner;

    other.source = source;
    return other;
}

/*
 * Collects what owners without a list of usable ranges reserve. check_width() accepts a usable list
 * that ends below the hardware's width if a reserved region explains it. The complement of another
 * usable list must not count as such a region: VFIO and iommufd usually end at the same address,
 * and each would explain the other.
 */
static int reserved_by_others(const struct iovageom_geometry *geometry,
                              struct iovageom_rangeset *others)
{
    const struct iovageom_geometry_fact *fact;
    int status = IOVAGEOM_OK;

    for (size_t i = 0;
         status == IOVAGEOM_OK && (fact = iovageom_geometry_next_regions(geometry, &i)) != NULL;)
        if (iovageom_fact_forbids(fact) &&
            first_of(geometry, IOVAGEOM_FACT_USABLE, &fact->owner) == NULL)
            status = iovageom_rangeset_union(others, others, fact->ranges);
    return status;
}

/* *left receives `range` from its first address on that `others` don't reserve; false for none. */
static bool left_by(const struct iovageom_rangeset *others, struct iovageom_range range,
                    struct iovageom_range *left)
{
    struct iovageom_range gap;

    if (!iovageom_rangeset_gap_above(others, range.start, &gap) || gap.start > range.last)
        return false;
    *left = range;
    left->start = gap.start > range.start ? gap.start : range.start;
    return true;
}

/*
 * Compares the width in registers with a list of usable ranges, of which `reserved` is the
 * complement. Only the highest usable range matters. It may not reach above the width, unless the
 * registers are is_least(). And between its end and the width something must be reserved.
 */
static int check_width(const struct iovageom_geometry *geometry,
                       const struct iovageom_rangeset *others,
                       const struct iovageom_geometry_fact *usable,
                       const struct iovageom_rangeset *reserved,
                       const struct iovageom_geometry_fact *width, struct iovageom_report *report)
{
    struct iovageom_range aperture = {width->value, width->last};
    struct iovageom_range top;
    struct iovageom_range parts[2];
    unsigned beyond;

    if (!iovageom_rangeset_gap_below(reserved, IOVAGEOM_ADDRESS_MAX, &top))
        return IOVAGEOM_OK; /* nothing is usable, which no width contradicts */
    beyond = iovageom_range_subtract(top, aperture, parts);
    if (beyond > 0 && top.last > aperture.last && is_least(geometry, &width->owner))
        return IOVAGEOM_OK;
    if (beyond > 0 && top.last > aperture.last)
        return disagree(report, &usable->owner, &width->owner, parts[beyond - 1]);
    if (iovageom_range_above(top, &parts[0]) &&
        iovageom_range_intersect(parts[0], aperture, &parts[0]) &&
        left_by(others, parts[0], &parts[0]))
        return disagree(report, &usable->owner, &width->owner, parts[0]);
    return IOVAGEOM_OK;
}

/*
 * Reports regions that another kernel source reserves for the same name, and that this list calls
 * usable, even if only in part. `reserved` is the complement of the list.
 */
static int check_regions(const struct iovageom_geometry *geometry,
                         const struct iovageom_geometry_fact *usable,
                         const struct iovageom_rangeset *reserved, struct iovageom_report *report)
{
    int result = IOVAGEOM_OK;

    for (uint32_t type = IOVAGEOM_RESV_RESERVED; type <= IOVAGEOM_RESV_MSI; type++)
        for (uint32_t source = IOVAGEOM_SOURCE_VFIO; source <= IOVAGEOM_SOURCE_SYSFS; source++) {
            const struct iovageom_owner owner = as_source(&usable->owner, source);
            const struct iovageom_geometry_fact *regions =
                first_of(geometry, IOVAGEOM_FACT_REGIONS + type, &owner);
            struct iovageom_rangeset_cursor cursor;
            struct iovageom_range region;

            if (regions == NULL || source == usable->owner.source)
                continue;
            iovageom_rangeset_seek(regions->ranges, 0, &cursor);
            while (iovageom_rangeset_next(&cursor, &region))
                if (!iovageom_rangeset_contains(reserved, region))
                    result = disagree(report, &owner, &usable->owner, region);
        }
    return result;
}

/* Checks one list of usable ranges. An owner that reserves nothing lists all as usable. */
static int check_usable(const struct iovageom_geometry *geometry,
                        const struct iovageom_geometry_fact *usable,
                        const struct iovageom_rangeset *others, struct iovageom_report *report)
{
    const struct iovageom_geometry_fact *regions =
        first_of(geometry, IOVAGEOM_FACT_REGIONS + IOVAGEOM_RESV_RESERVED, &usable->owner);
    struct iovageom_rangeset none;
    const struct iovageom_rangeset *reserved = &none;
    int result;

    (void)iovageom_rangeset_init(&none, &geometry->allocator);
    if (regions != NULL)
        reserved = regions->ranges;
    result = check_regions(geometry, usable, reserved, report);
    for (uint32_t source = IOVAGEOM_SOURCE_VTD_REGISTERS; iovageom_source_is_registers(source);
         source++) {
        const struct iovageom_owner owner = as_source(&usable->owner, source);
        size_t count;
        const struct iovageom_geometry_fact *width =
            iovageom_geometry_facts_of(geometry, IOVAGEOM_FACT_APERTURE, &owner, &count);

        for (; count > 0; count--, width++)
            if (check_width(geometry, others, usable, reserved, width, report) < 0)
                result = IOVAGEOM_ERR_DISAGREEMENT;
    }
    return result;
}

/*
 * Two statements about the smallest page or alignment. That in `coarse` is a lower bound for that
 * in `fine`, as check_page_sizes() explains; a smaller value in `fine` is reported.
 */
static int check_granules(const struct iovageom_geometry_fact *fine,
                          const struct iovageom_geometry_fact *coarse,
                          struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_DISAGREEMENT, IOVAGEOM_ERR_DISAGREEMENT);

    finding.owner = fine->owner;
    finding.other = coarse->owner;
    finding.wanted = iovageom_pgsize_granule(fine->value);
    finding.offered = iovageom_pgsize_granule(coarse->value);
    finding.detail = "bytes in the smallest page";
    if (finding.wanted >= finding.offered)
        return IOVAGEOM_OK;
    iovageom_report_add(report, &finding);
    return finding.status;
}

/*
 * Of the facts of one kind and owner, the one with the largest or the smallest granule; NULL for
 * none. *count receives how many there are.
 */
static const struct iovageom_geometry_fact *extreme(const struct iovageom_geometry *geometry,
                                                    uint32_t kind,
                                                    const struct iovageom_owner *owner,
                                                    bool largest, size_t *count)
{
    const struct iovageom_geometry_fact *fact =
        iovageom_geometry_facts_of(geometry, kind, owner, count);
    const struct iovageom_geometry_fact *best = *count > 0 ? fact : NULL;

    for (size_t i = 1; i < *count; i++) {
        const uint64_t granule = iovageom_pgsize_granule(fact[i].value);

        if (largest ? granule > iovageom_pgsize_granule(best->value)
                    : granule < iovageom_pgsize_granule(best->value))
            best = &fact[i];
    }
    return best;
}

/*
 * A kernel can't map smaller pages than its hardware, nor accept an alignment smaller than the
 * smallest page. So masks in registers are compared with masks of the kernel, and every mask with
 * every alignment. A source may state several values: its largest bound is compared with the
 * smallest value of each other source, which costs one comparison and misses no contradiction.
 */
static int check_page_sizes(const struct iovageom_geometry *geometry,
                            struct iovageom_report *report)
{
    const struct iovageom_geometry_fact *mask;
    int result = IOVAGEOM_OK;

    for (size_t i = 0;
         (mask = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_PAGE_SIZES, &i));) {
        const bool registers = iovageom_source_is_registers(mask->owner.source);
        const struct iovageom_geometry_fact *fine;
        size_t count, others;

        mask = extreme(geometry, IOVAGEOM_FACT_PAGE_SIZES, &mask->owner, true, &count);
        i += count - 1; /* past the other masks of this owner, which follow directly */
        if (is_least(geometry, &mask->owner))
            continue;
        for (uint32_t source = 0; source <= IOVAGEOM_SOURCE_USER; source++) {
            const struct iovageom_owner owner = as_source(&mask->owner, source);

            fine = extreme(geometry, IOVAGEOM_FACT_ALIGNMENT, &owner, false, &others);
            if (fine != NULL && check_granules(fine, mask, report) < 0)
                result = IOVAGEOM_ERR_DISAGREEMENT;
        }
        for (uint32_t source = IOVAGEOM_SOURCE_VFIO; registers && iovageom_source_is_kernel(source);
             source++) {
            const struct iovageom_owner owner = as_source(&mask->owner, source);

            fine = extreme(geometry, IOVAGEOM_FACT_PAGE_SIZES, &owner, false, &others);
            if (fine != NULL && check_granules(fine, mask, report) < 0)
                result = IOVAGEOM_ERR_DISAGREEMENT;
        }
    }
    return result;
}

int iovageom_geometry_check(const struct iovageom_geometry *geometry,
                            struct iovageom_report *report)
{
    const struct iovageom_geometry_fact *usable;
    struct iovageom_rangeset others;
    int result;
    int status = iovageom_rangeset_init(&others, &geometry->allocator);
    size_t index = 0;

    iovageom_report_clear(report);
    if (status == IOVAGEOM_OK)
        status = reserved_by_others(geometry, &others);
    result = status != IOVAGEOM_OK ? status : check_page_sizes(geometry, report);
    while (status == IOVAGEOM_OK &&
           (usable = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_USABLE, &index)) != NULL)
        if (usable->owner.source <= IOVAGEOM_SOURCE_USER &&
            check_usable(geometry, usable, &others, report) < 0)
            result = IOVAGEOM_ERR_DISAGREEMENT;
    iovageom_rangeset_deinit(&others);
    return result;
}

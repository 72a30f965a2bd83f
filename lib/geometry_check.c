/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold_file.h"

#include <iovageom/geometry.h>

#include <string.h>

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

#include "geometry_internal.h"

/* ---- explain ---- */

/* One finding for each part of `range` beyond an aperture. */
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

/* Whether a reserved region says no more than an aperture of the same owner does. */
static bool beyond_aperture(const struct iovageom_geometry *geometry, struct iovageom_range region,
                            const struct iovageom_owner *owner)
{
    const struct iovageom_geometry_fact *fact;
    size_t index = 0;

    while ((fact = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_APERTURE, &index)))
        if (iovageom_owner_compare(&fact->owner, owner) == 0 &&
            !iovageom_range_overlaps(region, (struct iovageom_range){fact->value, fact->last}))
            return true;
    return false;
}

static int explain_regions(const struct iovageom_geometry *geometry, struct iovageom_range range,
                           struct iovageom_report *report)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    int status = IOVAGEOM_OK;

    for (size_t i = iovageom_resv_statement_count(geometry->resv); i-- > 0;) {
        struct iovageom_finding finding =
            iovageom_finding_blank(IOVAGEOM_FINDING_RESERVED, IOVAGEOM_ERR_RESERVED);
        struct iovageom_rangeset_cursor cursor;

        (void)iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges);
        if (!iovageom_resv_type_forbids(type))
            continue;
        finding.owner = *owner;
        finding.type = (uint32_t)type;
        iovageom_rangeset_seek(ranges, range.start, &cursor);
        while (iovageom_rangeset_next(&cursor, &finding.against) &&
               iovageom_range_intersect(range, finding.against, &finding.range)) {
            if (beyond_aperture(geometry, finding.against, owner))
                continue;
            status = finding.status;
            iovageom_report_add(report, &finding);
        }
    }
    return status;
}

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
        (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, geometry->name);
    } else {
        finding.range = range;
    }
    iovageom_report_add(report, &finding);
    return finding.status;
}

void iovageom_geometry_doubts(const struct iovageom_geometry *geometry, uint64_t endpoint,
                              struct iovageom_report *report)
{
    static const struct {
        uint32_t facts;
        char what[28];
    } doubts[] = {
        {IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_USABLE, "how wide its addresses are"},
        {IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_RESERVED, "what is reserved"},
        {IOVAGEOM_FACT_PAGE_SIZES | IOVAGEOM_FACT_ALIGNMENT, "which pages it maps"},
    };
    const uint32_t known = iovageom_geometry_knows(geometry);
    const struct iovageom_geometry_fact *fact;
    size_t index = 0;

    for (size_t i = 0; i < sizeof(doubts) / sizeof(doubts[0]); i++)
        if ((known & doubts[i].facts) == 0) {
            struct iovageom_finding finding =
                iovageom_finding_blank(IOVAGEOM_FINDING_UNKNOWN, IOVAGEOM_OK);

            (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, geometry->name);
            finding.endpoint = endpoint;
            finding.detail = doubts[i].what;
            iovageom_report_add(report, &finding);
        }
    while ((fact = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_INCOMPLETE, &index))) {
        struct iovageom_finding finding =
            iovageom_finding_blank(IOVAGEOM_FINDING_INCOMPLETE, IOVAGEOM_OK);

        finding.owner = fact->owner;
        finding.endpoint = endpoint;
        iovageom_report_add(report, &finding);
    }
    iovageom_geometry_msi_windows(geometry, endpoint, report);
}

bool iovageom_geometry_next_obstacle(const struct iovageom_geometry *geometry,
                                     struct iovageom_range *rest, struct iovageom_finding *finding)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;

    while (iovageom_range_valid(*rest)) {
        struct iovageom_range piece = *rest;
        struct iovageom_range above;
        size_t index = iovageom_resv_at(geometry->resv, piece.start, &piece.last);

        if (piece.last < rest->last && iovageom_range_above(piece, &above)) {
            rest->start = above.start;
        } else {
            piece.last = rest->last;
            *rest = (struct iovageom_range){1, 0};
        }
        if (iovageom_resv_statement(geometry->resv, index, &type, &owner, &ranges) < 0 ||
            !iovageom_resv_type_forbids(type))
            continue;
        finding->range = piece;
        finding->owner = *owner;
        finding->type = (uint32_t)type;
        (void)iovageom_rangeset_lookup(ranges, piece.start, &finding->against);
        return true;
    }
    return false;
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

static bool is_registers(uint32_t source)
{
    return source >= IOVAGEOM_SOURCE_VTD_REGISTERS && source <= IOVAGEOM_SOURCE_RISCV_REGISTERS;
}

static bool is_kernel(uint32_t source)
{
    return source >= IOVAGEOM_SOURCE_VFIO && source <= IOVAGEOM_SOURCE_SYSFS;
}

/* What one host, group or device says of itself is compared, not what two of them say. */
static bool same_name(const struct iovageom_owner *a, const struct iovageom_owner *b)
{
    return memcmp(a->name, b->name, sizeof(a->name)) == 0;
}

/*
 * Whether what registers say depends on what was not said, and is the least of it: a kernel may map
 * more then.
 */
static bool is_least(const struct iovageom_geometry *geometry, const struct iovageom_owner *owner)
{
    const struct iovageom_geometry_fact *fact;
    size_t index = 0;

    while ((fact = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_INCOMPLETE, &index)))
        if (is_registers(owner->source) && iovageom_owner_compare(&fact->owner, owner) == 0)
            return true;
    return false;
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

/* Whether `owner` gave a list of usable ranges. */
static bool lists_usable(const struct iovageom_geometry *geometry,
                         const struct iovageom_owner *owner)
{
    const struct iovageom_geometry_fact *fact;
    size_t index = 0;

    while ((fact = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_USABLE, &index)) != NULL) {
        if (iovageom_owner_compare(&fact->owner, owner) == 0)
            return true;
    }
    return false;
}

/*
 * The first part of `range` that nobody reserves but those who list usable ranges: two lists that
 * end short of a width, as VFIO's and iommufd's do together, are no excuse for one another.
 */
static bool left_by_others(const struct iovageom_geometry *geometry, struct iovageom_range range,
                           struct iovageom_range *left)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *whose;
    const struct iovageom_rangeset *ranges;
    struct iovageom_range region;
    struct iovageom_range rest = range;

    for (size_t i = 0;
         iovageom_resv_statement(geometry->resv, i, &type, &whose, &ranges) == IOVAGEOM_OK;) {
        i++;
        if (!iovageom_resv_type_forbids(type) || lists_usable(geometry, whose) ||
            !iovageom_rangeset_lookup(ranges, rest.start, &region))
            continue;
        if (region.last >= rest.last || !iovageom_range_above(region, &region))
            return false;
        rest.start = region.start;
        i = 0;
    }
    *left = rest;
    return true;
}

/* A width from registers against the list of usable ranges whose complement is `reserved`. */
static int check_width(const struct iovageom_geometry *geometry,
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
        left_by_others(geometry, parts[0], &parts[0]))
        return disagree(report, &usable->owner, &width->owner, parts[0]);
    return IOVAGEOM_OK;
}

/* Regions that another source of the same name reserves, and this list of usable ranges has. */
static int check_regions(const struct iovageom_geometry *geometry,
                         const struct iovageom_geometry_fact *usable,
                         const struct iovageom_rangeset *reserved, struct iovageom_report *report)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    int result = IOVAGEOM_OK;

    for (size_t i = 0;
         iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges) == IOVAGEOM_OK; i++) {
        struct iovageom_rangeset_cursor cursor;
        struct iovageom_range region;

        if (!iovageom_resv_type_forbids(type) || !is_kernel(owner->source) ||
            owner->source == usable->owner.source || !same_name(owner, &usable->owner))
            continue;
        iovageom_rangeset_seek(ranges, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &region))
            if (!iovageom_rangeset_contains(reserved, region))
                result = disagree(report, owner, &usable->owner, region);
    }
    return result;
}

static int check_usable(const struct iovageom_geometry *geometry,
                        const struct iovageom_geometry_fact *usable, struct iovageom_report *report)
{
    struct iovageom_rangeset none;
    const struct iovageom_rangeset *reserved = &none;
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    const struct iovageom_geometry_fact *width;
    int result;
    size_t index = 0;

    (void)iovageom_rangeset_init(&none, &geometry->allocator);
    for (size_t i = 0;
         iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges) == IOVAGEOM_OK; i++)
        if (type == IOVAGEOM_RESV_RESERVED && iovageom_owner_compare(owner, &usable->owner) == 0)
            reserved = ranges;
    result = check_regions(geometry, usable, reserved, report);
    while ((width = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_APERTURE, &index)))
        if (is_registers(width->owner.source) && same_name(&width->owner, &usable->owner) &&
            check_width(geometry, usable, reserved, width, report) < 0)
            result = IOVAGEOM_ERR_DISAGREEMENT;
    return result;
}

/* Two sources whose smallest page differs the wrong way round: `coarse` knows the hardware. */
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
    if (!same_name(&fine->owner, &coarse->owner) || finding.wanted >= finding.offered)
        return IOVAGEOM_OK;
    iovageom_report_add(report, &finding);
    return finding.status;
}

/* The kernel can't map less than the hardware, nor align to less than it maps. */
static int check_page_sizes(const struct iovageom_geometry *geometry,
                            struct iovageom_report *report)
{
    const struct iovageom_geometry_fact *mask;
    const struct iovageom_geometry_fact *other;
    int result = IOVAGEOM_OK;

    for (size_t i = 0;
         (mask = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_PAGE_SIZES, &i));) {
        if (is_least(geometry, &mask->owner))
            continue;
        for (size_t j = 0;
             (other = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_ALIGNMENT, &j));)
            if (check_granules(other, mask, report) < 0)
                result = IOVAGEOM_ERR_DISAGREEMENT;
        if (!is_registers(mask->owner.source))
            continue;
        for (size_t j = 0;
             (other = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_PAGE_SIZES, &j));)
            if (is_kernel(other->owner.source) && check_granules(other, mask, report) < 0)
                result = IOVAGEOM_ERR_DISAGREEMENT;
    }
    return result;
}

int iovageom_geometry_check(const struct iovageom_geometry *geometry,
                            struct iovageom_report *report)
{
    const struct iovageom_geometry_fact *usable;
    int result;
    size_t index = 0;

    iovageom_report_clear(report);
    result = check_page_sizes(geometry, report);
    while ((usable = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_USABLE, &index)))
        if (check_usable(geometry, usable, report) < 0)
            result = IOVAGEOM_ERR_DISAGREEMENT;
    return result;
}

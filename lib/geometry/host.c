/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <iovageom/status.h>

#include "../base/array.h"
#include "internal.h"

/*
 * Types of reserved region have consequences beyond the addresses: since 6.6 Linux gives a device
 * with a direct region to nobody, and an MSI region may be a window of the host's software. Regions
 * of the user and the machine's model describe the guest's machine, and are passed over.
 */

/* ---- devices that can't be assigned ---- */

bool iovageom_geometry_direct(const struct iovageom_geometry *geometry, uint64_t endpoint,
                              int status, struct iovageom_report *report)
{
    const struct iovageom_geometry_fact *fact;
    bool found = false;

    for (size_t i = 0; (fact = iovageom_geometry_next_fact(
                            geometry, IOVAGEOM_FACT_REGIONS + IOVAGEOM_RESV_DIRECT, &i)) != NULL;) {
        struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_DIRECT, status);

        if (iovageom_source_is_guest(fact->owner.source))
            continue;
        /* The first region stands for all; `wanted` is their number, for "and 2 more". */
        (void)iovageom_rangeset_first_overlap(fact->ranges, IOVAGEOM_EVERYTHING, &finding.range);
        finding.wanted = iovageom_rangeset_count(fact->ranges);
        finding.owner = fact->owner;
        finding.endpoint = endpoint;
        iovageom_report_add(report, &finding);
        found = true;
    }
    return found;
}

int iovageom_geometry_assignable(const struct iovageom_geometry *geometry,
                                 struct iovageom_report *report)
{
    iovageom_report_clear(report);
    return iovageom_geometry_direct(geometry, IOVAGEOM_ID_NONE, IOVAGEOM_ERR_CONFLICT, report)
               ? IOVAGEOM_ERR_CONFLICT
               : IOVAGEOM_OK;
}

/* ---- what is not known ---- */

/*
 * Linux prints windows of its software as "msi", too; a guess by size and place is all there is. A
 * software window of Linux is 1 MiB long (MSI_IOVA_LENGTH). So is the hardware's window on x86, but
 * its address is fixed; hardware doorbells of other architectures have other lengths.
 */
static void note_msi_windows(const struct iovageom_geometry *geometry, uint64_t endpoint,
                             struct iovageom_report *report)
{
    static const struct iovageom_range x86 = {0xfee00000, 0xfeefffff};
    const struct iovageom_geometry_fact *fact;

    for (size_t i = 0; (fact = iovageom_geometry_next_fact(
                            geometry, IOVAGEOM_FACT_REGIONS + IOVAGEOM_RESV_MSI, &i)) != NULL;) {
        struct iovageom_finding finding =
            iovageom_finding_blank(IOVAGEOM_FINDING_MSI_WINDOW, IOVAGEOM_OK);
        struct iovageom_rangeset_cursor cursor;

        if (iovageom_source_is_guest(fact->owner.source))
            continue;
        finding.owner = fact->owner;
        finding.endpoint = endpoint;
        iovageom_rangeset_seek(fact->ranges, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &finding.range))
            if (iovageom_size_saturate(iovageom_range_size(finding.range)) == 0x100000 &&
                !iovageom_range_equal(finding.range, x86))
                iovageom_report_add(report, &finding);
    }
}

void iovageom_geometry_doubts(const struct iovageom_geometry *geometry, uint64_t endpoint,
                              struct iovageom_report *report)
{
    /* A note is made when none of these facts is known. */
    static const struct {
        uint32_t facts;
        char what[28];
    } doubts[] = {
        {IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_USABLE, "how wide its addresses are"},
        {IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_RESERVED, "what is reserved"},
        {IOVAGEOM_FACT_PAGE_SIZES | IOVAGEOM_FACT_ALIGNMENT, "which pages it maps"},
    };
    const struct iovageom_geometry_fact *fact;
    size_t index = 0;
    uint32_t known;

    if (report == NULL)
        return;
    known = iovageom_geometry_knows(geometry);
    for (size_t i = 0; i < sizeof(doubts) / sizeof(doubts[0]); i++)
        if ((known & doubts[i].facts) == 0) {
            struct iovageom_finding finding =
                iovageom_finding_blank(IOVAGEOM_FINDING_UNKNOWN, IOVAGEOM_OK);

            (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_OTHER, geometry->self.name);
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
    note_msi_windows(geometry, endpoint, report);
}

/* ---- windows of the host's software ---- */

/* All or nothing: a changed copy takes the place of the geometry at the end. What a host calls MSI
 * is left out of the window, where MSI would take precedence. */
int iovageom_geometry_add_software_msi(struct iovageom_geometry *geometry,
                                       struct iovageom_range window, enum iovageom_source source)
{
    struct iovageom_geometry *changed;
    struct iovageom_owner speaker;
    int status = iovageom_owner_init(&speaker, source, geometry->self.name);

    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_copy(geometry, &changed);
    if (status < 0)
        return status;
    status = iovageom_geometry_put_region(changed, window, IOVAGEOM_RESV_SOFTWARE_MSI, &speaker);
    for (size_t i = changed->count; status == IOVAGEOM_OK && i-- > 0;) {
        struct iovageom_geometry_fact *row = &changed->facts[i];

        if (iovageom_fact_type(row) == IOVAGEOM_RESV_MSI &&
            !iovageom_source_is_guest(row->owner.source))
            status = iovageom_geometry_close(changed, row,
                                             iovageom_rangeset_remove(row->ranges, window));
    }
    return iovageom_geometry_take(geometry, changed, status);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/geometry.h>

#include <iovageom/status.h>

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
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    bool found = false;

    for (size_t i = 0;
         iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges) == IOVAGEOM_OK; i++) {
        struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_DIRECT, status);
        struct iovageom_rangeset_cursor cursor;

        if (type != IOVAGEOM_RESV_DIRECT || iovageom_source_is_guest(owner->source))
            continue;
        /* The first region stands for all; `wanted` is their number, for "and 2 more". */
        iovageom_rangeset_seek(ranges, 0, &cursor);
        (void)iovageom_rangeset_next(&cursor, &finding.range);
        finding.wanted = iovageom_rangeset_count(ranges);
        finding.owner = *owner;
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

/* ---- windows of the host's software ---- */

/*
 * Linux prints software windows as "msi", too; a guess by size and place is all there is. A
 * software window of Linux is 1 MiB long (MSI_IOVA_LENGTH). So is the hardware's window on x86, but
 * its address is fixed; hardware doorbells of other architectures have other lengths.
 */
void iovageom_geometry_msi_windows(const struct iovageom_geometry *geometry, uint64_t endpoint,
                                   struct iovageom_report *report)
{
    static const struct iovageom_range x86 = {0xfee00000, 0xfeefffff};
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    uint64_t length;

    for (size_t i = 0;
         iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges) == IOVAGEOM_OK; i++) {
        struct iovageom_finding finding =
            iovageom_finding_blank(IOVAGEOM_FINDING_MSI_WINDOW, IOVAGEOM_OK);
        struct iovageom_rangeset_cursor cursor;

        if (type != IOVAGEOM_RESV_MSI || iovageom_source_is_guest(owner->source))
            continue;
        finding.owner = *owner;
        finding.endpoint = endpoint;
        iovageom_rangeset_seek(ranges, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &finding.range))
            if (iovageom_range_length(finding.range, &length) == IOVAGEOM_OK &&
                length == 0x100000 && !iovageom_range_equal(finding.range, x86))
                iovageom_report_add(report, &finding);
    }
}

/* Adds `ranges`, which `owner` calls MSI: within `window` as SOFTWARE_MSI, the rest as MSI. */
static int add_parts(struct iovageom_resv *resv, const struct iovageom_rangeset *ranges,
                     const struct iovageom_owner *owner, struct iovageom_range window)
{
    struct iovageom_rangeset part;
    int status = iovageom_rangeset_init(&part, iovageom_resv_allocator(resv));

    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_clip(&part, ranges, window);
    if (status == IOVAGEOM_OK)
        status = iovageom_resv_add_set(resv, &part, IOVAGEOM_RESV_SOFTWARE_MSI, owner);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_assign(&part, ranges);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_remove(&part, window);
    if (status == IOVAGEOM_OK)
        status = iovageom_resv_add_set(resv, &part, IOVAGEOM_RESV_MSI, owner);
    iovageom_rangeset_deinit(&part);
    return status;
}

/*
 * Statements can only be added, so a new collection is built with the types changed. It replaces
 * the old one when nothing can fail any more.
 */
int iovageom_geometry_add_software_msi(struct iovageom_geometry *geometry,
                                       struct iovageom_range window, enum iovageom_source source)
{
    enum iovageom_resv_type type;
    const struct iovageom_owner *owner;
    const struct iovageom_rangeset *ranges;
    struct iovageom_owner speaker;
    struct iovageom_resv *resv;
    int status = iovageom_owner_init(&speaker, source, geometry->name);

    if (status == IOVAGEOM_OK && !iovageom_range_valid(window))
        status = IOVAGEOM_ERR_INVERTED;
    if (status == IOVAGEOM_OK)
        status = iovageom_resv_new(&geometry->allocator, &resv);
    if (status < 0)
        return status;
    for (size_t i = 0; status == IOVAGEOM_OK &&
                       iovageom_resv_statement(geometry->resv, i, &type, &owner, &ranges) == 0;
         i++)
        status = type == IOVAGEOM_RESV_MSI && !iovageom_source_is_guest(owner->source)
                     ? add_parts(resv, ranges, owner, window)
                     : iovageom_resv_add_set(resv, ranges, type, owner);
    if (status == IOVAGEOM_OK)
        status = iovageom_resv_add(resv, window, IOVAGEOM_RESV_SOFTWARE_MSI, &speaker);
    if (status < 0) {
        iovageom_resv_free(resv);
        return status;
    }
    iovageom_resv_free(geometry->resv);
    geometry->resv = resv;
    return IOVAGEOM_OK;
}

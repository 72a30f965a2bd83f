/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold_file.h"

#include <iovageom/geometry.h>

#include <iovageom/status.h>

#include "geometry_internal.h"

/* What a host's reserved regions say beyond which addresses they take. */

/* What the user and the machine's model say is about the guest's machine, not about a host. */
static bool by_host(const struct iovageom_owner *owner)
{
    return owner->source != IOVAGEOM_SOURCE_MACHINE && owner->source != IOVAGEOM_SOURCE_USER;
}

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

        if (type != IOVAGEOM_RESV_DIRECT || !by_host(owner))
            continue;
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

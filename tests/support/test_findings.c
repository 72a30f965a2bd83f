/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/test_findings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANGE = 1,
    AGAINST = 2,
    TYPE = 4,
    WANTED = 8,
    OFFERED = 16,
    OWNER = 32,
    OTHER = 64,
    DETAIL = 128
};

/* What report.h says beside each kind; an endpoint and a domain may be in any. */
static const unsigned named[] = {
    [IOVAGEOM_FINDING_RESERVED] = RANGE | AGAINST | OWNER | TYPE,
    [IOVAGEOM_FINDING_OUT_OF_APERTURE] = RANGE | AGAINST | OWNER,
    [IOVAGEOM_FINDING_ALIGNMENT] = RANGE | WANTED | DETAIL,
    [IOVAGEOM_FINDING_GRANULE] = WANTED | OFFERED | OWNER,
    [IOVAGEOM_FINDING_MAPPING] = RANGE | AGAINST | OWNER | TYPE,
    [IOVAGEOM_FINDING_PROMISE] = RANGE | AGAINST | OWNER | TYPE,
    [IOVAGEOM_FINDING_INPUT_RANGE] = RANGE | AGAINST | OWNER | DETAIL,
    [IOVAGEOM_FINDING_BUDGET] = WANTED | OFFERED | OWNER,
    [IOVAGEOM_FINDING_LOST] = RANGE,
    [IOVAGEOM_FINDING_DISAGREEMENT] = RANGE | WANTED | OFFERED | OWNER | OTHER | DETAIL,
    [IOVAGEOM_FINDING_UNKNOWN] = OWNER | DETAIL,
    [IOVAGEOM_FINDING_INCOMPLETE] = OWNER,
    [IOVAGEOM_FINDING_NOTHING_USABLE] = OWNER,
    [IOVAGEOM_FINDING_EXISTS] = OTHER,
    [IOVAGEOM_FINDING_NOT_FOUND] = 0,
    [IOVAGEOM_FINDING_OVERLAP] = RANGE | AGAINST | WANTED | OFFERED,
    [IOVAGEOM_FINDING_PROBE_SIZE] = WANTED | OFFERED,
    [IOVAGEOM_FINDING_LIMIT] = WANTED | OFFERED,
    [IOVAGEOM_FINDING_GUEST_QUIRK] = RANGE | DETAIL,
    [IOVAGEOM_FINDING_OTHER] = DETAIL,
    [IOVAGEOM_FINDING_DIRECT] = RANGE | WANTED | OWNER,
    [IOVAGEOM_FINDING_NO_PLACE] = RANGE | AGAINST | WANTED,
    [IOVAGEOM_FINDING_MSI_WINDOW] = RANGE | OWNER,
    [IOVAGEOM_FINDING_HOST] = RANGE | WANTED,
};

static bool range_said(struct iovageom_range range)
{
    return range.start != 0 || range.last != 0;
}

static bool owner_said(const struct iovageom_owner *owner)
{
    return owner->source != IOVAGEOM_SOURCE_OTHER || owner->name[0] != '\0';
}

const char *test_finding_wrong(const struct iovageom_finding *finding)
{
    /* Kinds to come are for whoever adds them to name here. */
    if (finding->kind == 0 || finding->kind >= sizeof(named) / sizeof(named[0]))
        return "kind";
    const unsigned may = named[finding->kind];
    const bool ranges = range_said(finding->range), numbers = finding->wanted | finding->offered;

    if ((finding->fatal != 0) != (finding->status != 0) || finding->fatal > 1 ||
        finding->status > 0)
        return "fatal";
    if ((may & RANGE) == 0 && ranges)
        return "range";
    if ((may & AGAINST) == 0 && range_said(finding->against))
        return "against";
    if ((may & TYPE) == 0 && finding->type != 0)
        return "type";
    if ((may & WANTED) == 0 && finding->wanted != 0)
        return "wanted";
    if ((may & OFFERED) == 0 && finding->offered != 0)
        return "offered";
    if ((may & OWNER) == 0 && owner_said(&finding->owner))
        return "owner";
    if ((may & OTHER) == 0 && owner_said(&finding->other))
        return "other";
    if ((may & DETAIL) == 0 && finding->detail != NULL)
        return "detail";
    /* Either way of contradicting, and of not being aligned, has its own. */
    if (finding->kind == IOVAGEOM_FINDING_DISAGREEMENT && ranges && numbers)
        return "range beside numbers";
    return NULL;
}

#ifdef __GNUC__
/*
 * The linker puts this in the place of iovageom_report_add(), where it is told to (CMakeLists.txt):
 * then each finding that is made in a test is looked at. Elsewhere nobody calls it.
 */
void __wrap_iovageom_report_add(struct iovageom_report *report,
                                const struct iovageom_finding *finding);
void __real_iovageom_report_add(struct iovageom_report *report,
                                const struct iovageom_finding *finding) __attribute__((weak));

void __wrap_iovageom_report_add(struct iovageom_report *report,
                                const struct iovageom_finding *finding)
{
    const char *wrong = test_finding_wrong(finding);

    if (wrong != NULL) {
        char text[512];

        (void)iovageom_finding_text(finding, text, sizeof(text));
        fprintf(stderr, "a finding of kind %u does not name its field %s: %s\n",
                (unsigned)finding->kind, wrong, text);
        abort();
    }
    __real_iovageom_report_add(report, finding);
}
#endif

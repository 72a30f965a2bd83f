/* SPDX-License-Identifier: BSD-3-Clause */
#include "captured_host.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <iovageom/status.h>

#include "../host-probe/judge.h"

const char *program_name = "iovageom-scenario";

/* Where die() of the reader goes, and what it had to say. */
static jmp_buf ended;
static char said[1024];

static void remember(int code, const char *words)
{
    (void)code;
    (void)snprintf(said, sizeof(said), "%s", words);
    longjmp(ended, 1);
}

static bool narrow(const char *path, const char *name, struct iovageom_geometry *geometry)
{
    const struct mode strict = {.lenient = false};
    const struct group *group;
    struct verdict verdict;
    struct host host;
    int status;

    host_read_captured(&host, path);
    group = host_find(&host, name);
    if (group == NULL)
        die(EXIT_NOT_FOUND, "%s: no such group, and no device in a group: %s", path, name);
    verdict = judge(&host, group, &strict);
    if (!verdict.judged)
        die(EXIT_BAD_INPUT, "%s", verdict.faults.words[0]);
    if (verdict.no_iommu)
        die(EXIT_BAD_INPUT, "%s: no IOMMU translates for group %s", path, group->name);
    status = iovageom_geometry_narrow(geometry, verdict.geometry);
    if (status != IOVAGEOM_OK)
        die(EXIT_BAD_INPUT, "%s", iovageom_status_string(status));
    return true;
}

bool captured_host(const char *path, const char *group, struct iovageom_geometry *geometry,
                   char *wrong, size_t size)
{
    bool good = false;

    on_die = remember;
    if (setjmp(ended) == 0)
        good = narrow(path, group, geometry);
    else
        (void)snprintf(wrong, size, "%s", said);
    on_die = NULL;
    return good;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest of 1.5 TiB with a passed-through device and no virtual IOMMU: all of its RAM has to be
 * mapped one to one. Does it fit this host, and what does not fit where it is, where does it go?
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <iovageom/plan_layout.h>
#include <iovageom/status.h>

/* A program of its own may end here; a VMM would hand the status up. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", iovageom_status_string(status));
        exit(1);
    }
}

static void ask(const struct iovageom_geometry *host)
{
    const uint64_t gib = (uint64_t)1 << 30;
    const struct iovageom_range everything = {0, IOVAGEOM_ADDRESS_MAX};
    /* 2 GiB are fixed at 0; the others begin at 4 GiB, and may go elsewhere in parts. */
    struct iovageom_piece ram[2] = {
        {.kind = IOVAGEOM_PIECE_RAM},
        {.kind = IOVAGEOM_PIECE_RAM, .flags = IOVAGEOM_PIECE_MOVABLE | IOVAGEOM_PIECE_SPLITTABLE}};
    struct iovageom_placement moves[4];
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    must(iovageom_range_from_length(0, 2 * gib, &ram[0].range));
    must(iovageom_range_from_length(4 * gib, 1534 * gib, &ram[1].range));
    ram[0].limits = ram[1].limits = everything;

    iovageom_report_init(&report, NULL);
    int rc = iovageom_plan_layout(NULL, host, 4096, ram, 2, moves, 4, &plan, &report);
    if (rc != IOVAGEOM_ERR_CONFLICT) /* it says: not as it is; the plan is there all the same */
        must(rc);
    printf("%s: %s\n", iovageom_geometry_name(host), iovageom_layout_outcome_string(plan.outcome));
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&report, i);
        char text[512];

        if (finding->fatal) { /* others are notes, such as that the host did not give page sizes */
            iovageom_finding_text(finding, text, sizeof(text));
            printf("- %s\n", text);
        }
    }
    for (size_t i = 0; i < plan.placements && i < 4; i++)
        printf("move [0x%" PRIx64 ",0x%" PRIx64 "] to [0x%" PRIx64 ",0x%" PRIx64 "]\n",
               moves[i].from.start, moves[i].from.last, moves[i].to.start, moves[i].to.last);
    iovageom_report_deinit(&report);
}

int main(void)
{
    const struct iovageom_range hypertransport = {0xfd00000000, 0xffffffffff};
    struct iovageom_geometry *intel46, *intel39, *amd;

    must(iovageom_geometry_new(NULL, "Intel host of 46 bits", &intel46));
    must(iovageom_geometry_add_gaw(intel46, 46, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_geometry_new(NULL, "Intel host of 39 bits", &intel39));
    must(iovageom_geometry_add_gaw(intel39, 39, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_geometry_new(NULL, "AMD host", &amd));
    must(iovageom_geometry_add_gaw(amd, 48, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_geometry_add_reserved(amd, hypertransport, IOVAGEOM_RESV_RESERVED,
                                        IOVAGEOM_SOURCE_SYSFS));
    ask(intel46);
    ask(intel39);
    ask(amd);
    iovageom_geometry_free(amd);
    iovageom_geometry_free(intel39);
    iovageom_geometry_free(intel46);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_PLAN_H
#define HOST_PROBE_PLAN_H

#include "command.h"
#include "guest.h"
#include "place.h"

/* Whether a guest fits a host. */

struct plan {
    const struct context *context;
    struct host host;
    struct guest guest;
    const struct verdict **verdicts; /**< of the groups whose devices are assigned */
    size_t count;
    struct verdict together;
    unsigned spaces;    /**< guest address spaces: one for each group, or what the user says */
    bool usual_machine; /**< the guest's machine is the one that the host's advice is about */
    unsigned width;

    struct iovageom_layout_plan layout;
    struct iovageom_placement *moves;
    struct placing obstacles;
    bool *stuck; /**< of each piece */
    const char **notes;
    size_t note_count;
    uint64_t granule;
};

/** The groups that are named, or the likeliest one. */
void plan_choose(struct plan *plan, int count, char **names);

/** Lays the guest out, and finds what moves. The groups must have been judged. */
void plan_solve(struct plan *plan);

/**
 * Says what could not be read of the groups, and, where `all` were looked at, of no group; what the
 * program ends with for that.
 */
int plan_told(const struct plan *plan, bool all);

/** Bytes of RAM, `times` times. */
struct iovageom_size plan_ram_times(const struct plan *plan, uint64_t times);

/** Whether a piece is, or would go, where nobody said what is mapped. */
bool plan_fits_unknown(const struct plan *plan);

/** What it comes to without a virtual IOMMU. */
const char *plan_outcome_words(const struct plan *plan);

/** Steps in which a guest's RAM may be mapped; returns how many there are. */
size_t plan_chunk_sizes(const struct plan *plan, uint64_t out[3]);

/** How many mappings that makes. */
uint64_t plan_chunk_mappings(const struct plan *plan, uint64_t chunk);

/** Why a guest can't work with a group behind a virtual IOMMU; NULL when it can. */
const char *plan_behind_obstacle(const struct plan *plan, const struct verdict *verdict);

/** Prints it, as text and as JSON. */
void plan_say(const struct plan *plan);
void plan_json(const struct plan *plan);

#endif

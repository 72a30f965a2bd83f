/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_SHOW_H
#define HOST_PROBE_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "advice.h"
#include "judge.h"
#include "table.h"

/** The columns of the list of groups. */
extern const struct column show_columns[];
extern const size_t show_column_count;

/** Prints the notes on a list of groups, on `stream`. */
void show_notes(const struct verdict *verdicts, size_t count, FILE *stream);

/** The verdict on a group, with what to do, in lines of that width (0 for as long as they get). */
void show_verdict(const struct advice *advice, unsigned width, bool colors);

/** The verdicts on all groups, and what to say to a VMM that gets any of them. */
void show_host_verdict(const struct host *host, const struct advice *advices, size_t count,
                       unsigned width);

/** The list of groups. */
void show_groups(const struct verdict *verdicts, size_t count, const struct table_style *style);

/** What a guest of a group should be told. */
void show_promise(const struct verdict *verdict, const struct promise *promise,
                  const struct table_style *style);

/** The bytes of it alone: "hex", "c" or "raw". Nothing to promise ends the program. */
void show_promise_bytes(const struct verdict *verdict, const struct promise *promise,
                        const char *format);

/** Properties as a table: their number, subtype, range and size. */
void show_regions(const struct iovageom_region *regions, size_t count, bool colors);

/**
 * All of it as JSON. `promise` may be NULL; `faults` are those that belong to no group. False when
 * built without.
 */
bool show_json(const struct host *host, const struct verdict *verdicts, size_t count,
               const struct verdict *chosen, const struct promise *promise,
               const struct faults *faults);

#endif

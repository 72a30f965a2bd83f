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

/** "0-3, 7": the names of those groups that are marked; neighbours in the list are joined. */
const char *group_names(const struct verdict *verdicts, const bool *with, size_t count);

/** The verdict on a group, with what to do, in lines of that width (0 for as long as they get). */
void show_verdict(const struct advice *advice, unsigned width, bool colors);

/** The verdicts on all groups, and what to say to a VMM that gets any of them. */
void show_host_verdict(const struct host *host, const struct verdict *verdicts,
                       const struct advice *advices, size_t count, unsigned width);

/** How the list of groups is shown. */
struct list_style {
    struct table_style table;
    bool every_source; /**< a line for each, where several say the same, too */
    bool numeric;      /**< ids instead of names */
    bool bytes;        /**< sizes in bytes */
};

/** The rows of the list of groups. */
struct table groups_table(const struct host *host, const struct verdict *verdicts, size_t count,
                          const struct list_style *style);

/** The list of groups, and the notes on it. */
void show_groups(const struct host *host, const struct verdict *verdicts, size_t count,
                 const struct list_style *style);

/** What a guest of a group should be told. */
void show_promise(const struct verdict *verdict, const struct promise *promise, bool colors);

/** The bytes of it alone: "hex", "c" or "raw". Nothing to promise ends the program. */
void show_promise_bytes(const struct verdict *verdict, const struct promise *promise,
                        const char *format);

/** Properties as a table: their number, subtype, range and size. */
void show_regions(const struct iovageom_region *regions, size_t count, bool colors);

/** All of it as JSON. `promise` may be NULL; `faults` are those that belong to no group. */
void show_json(const struct host *host, const struct verdict *verdicts, size_t count,
               const struct verdict *chosen, const struct promise *promise,
               const struct faults *faults, bool numeric);

/** The columns that were asked for, as JSON: an object for each group, with its rows in it. */
void show_rows_json(const struct table *table, const struct table_style *style,
                    const struct faults *faults);

#endif

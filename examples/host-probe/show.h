/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_SHOW_H
#define HOST_PROBE_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "judge.h"
#include "table.h"

/** The columns of the list of groups. */
extern const struct column show_columns[];
extern const size_t show_column_count;

/** Whether a PCI class code is that of a bridge. */
bool class_is_bridge(unsigned class_code);

/** Prints the notes on a list of groups, on `stream`. */
void show_notes(const struct verdict *verdicts, size_t count, FILE *stream);

/** The list of groups. */
void show_groups(const struct verdict *verdicts, size_t count, const struct table_style *style);

/** What a guest of a group should be told. */
void show_promise(const struct verdict *verdict, const struct promise *promise,
                  const struct table_style *style);

/**
 * All of it as JSON. `promise` may be NULL; `faults` are those that belong to no group. False when
 * built without.
 */
bool show_json(const struct host *host, const struct verdict *verdicts, size_t count,
               const struct verdict *chosen, const struct promise *promise,
               const struct faults *faults);

#endif

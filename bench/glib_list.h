/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_GLIB_LIST_H
#define BENCH_GLIB_LIST_H

#include <glib.h>
#include <stdint.h>

/* Sorted GLists of ranges that neither overlap nor touch, as QEMU keeps them. */

/* Adds a range, one with what it overlaps or touches. */
GList *bench_list_insert(GList *list, uint64_t start, uint64_t last);

/* What lies in [0, limit] and not in the list. */
GList *bench_list_inverse(const GList *list, uint64_t limit);

#endif

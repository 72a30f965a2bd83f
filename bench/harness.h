/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "bench.h"

/* One competitor of a row. `object` is what it works on, where the row needs one. */
struct bench_runner {
    const char *name;
    const void *peer;
    void *object;
    bool unchecked;
    uint64_t sum;
    uint64_t elapsed;
    double *ns;
};

struct bench_row {
    const char *op;
    size_t n;
    size_t rounds;
    /* Operations in a round, by which its time is divided. */
    size_t chunk;
    size_t smallest_chunk;
    /*
     * A long round is cut in slices between which the peers take turns, so that a slow second of
     * the machine is shared by all. 0 is 1.
     */
    size_t slices;
    void *context;
    /* Makes the chunk of the next round; may be NULL. */
    void (*next)(void *context);
    /* Before and after a peer's round, not measured; may be NULL. end() may add to the checksum. */
    void (*begin)(void *context, struct bench_runner *runner);
    void (*end)(void *context, struct bench_runner *runner);
    /* Runs a slice and adds to runner->sum; returns nanoseconds. */
    uint64_t (*run)(void *context, struct bench_runner *runner, size_t slice);
};

void bench_row_run(struct bench_row *row, struct bench_runner *runners, size_t count);
void bench_row_split(struct bench_row *row, struct bench_runner *runners, size_t count,
                     const double *estimate_ns, size_t largest);

/* All operations on sets of n ranges. */
void bench_ops(size_t n);
void bench_algebra_rows(size_t n);
void bench_tasks(void);

const char *bench_ours(void);

bool bench_quick(void);
bool bench_wanted(const char *op, size_t n);
size_t bench_peers(const struct bench_peer *const **out);
size_t bench_books(const struct bench_peer *const **out);
uint64_t bench_clock(void);
uint64_t bench_elapsed(uint64_t since);
uint64_t bench_wall_clock(void);
uint64_t bench_wall_elapsed(uint64_t since);
void *bench_alloc(size_t size);
void bench_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif

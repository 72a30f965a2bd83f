/* SPDX-License-Identifier: BSD-3-Clause */
/* Readers beside a writer, by readers.rs: ours, and BTreeMaps behind one lock or two. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "harness.h"
#include "workload.h"

#define READS ((size_t)200000)

/* As in readers.rs. */
struct job {
    void *books;
    uint64_t (*translate)(void *books, const uint64_t *addresses, size_t count);
    uint64_t (*churn)(void *books, const struct iovageom_range *ranges, size_t count, size_t lag);
    const uint64_t *addresses;
    size_t address_count;
    const struct iovageom_range *ranges;
    size_t range_count;
    size_t reads;
    uint32_t locks;
};

uint64_t readers_run(const struct job *job, uint64_t *ns);

struct readers {
    struct job job;
    const struct bench_peer *peer;
    uint64_t *addresses;
    struct iovageom_range *ranges;
};

/* n mappings: of every second one an address is translated, the others come and go. */
static void *prepare(const char *name, uint32_t locks, size_t n)
{
    struct bench_random random = {.state = n};
    struct readers *readers = bench_alloc(sizeof(*readers));
    struct iovageom_range *all = bench_alloc(n * sizeof(*all));
    const struct bench_peer *const *list;
    size_t count = bench_books(&list), half = n / 2;

    memset(readers, 0, sizeof(*readers));
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i]->name, name) == 0)
            readers->peer = list[i];
    if (!readers->peer)
        bench_fail("%s: no such books were built", name);
    readers->addresses = bench_alloc(half * sizeof(*readers->addresses));
    readers->ranges = bench_alloc(half * sizeof(*readers->ranges));
    for (size_t i = 0; i < n; i++)
        all[i] = bench_books_mapping(i);
    bench_shuffle(&random, all, n);
    for (size_t i = 0; i < half; i++) {
        readers->addresses[i] = all[i].start;
        readers->ranges[i] = all[n - half + i];
    }
    readers->job = (struct job){
        .books = readers->peer->create(),
        .translate = readers->peer->translate,
        .churn = readers->peer->churn,
        .addresses = readers->addresses,
        .address_count = half,
        .ranges = readers->ranges,
        .range_count = half,
        .reads = READS,
        .locks = locks,
    };
    if (readers->peer->insert(readers->job.books, all, n) != n)
        bench_fail("%s: a mapping was refused", name);
    free(all);
    return readers;
}

static void *prepare_ours(size_t n)
{
    return prepare("ours", 1, n);
}

static void *prepare_btreemap(size_t n)
{
    return prepare("btreemap", 1, n);
}

static void *prepare_two_locks(size_t n)
{
    return prepare("btreemap", 2, n);
}

static uint64_t run(void *state)
{
    struct readers *readers = state;
    uint64_t ns = 0;
    const uint64_t sum = readers_run(&readers->job, &ns);

    bench_took(ns);
    return sum;
}

static void finish(void *state)
{
    struct readers *readers = state;

    readers->peer->destroy(readers->job.books);
    free(readers->addresses);
    free(readers->ranges);
    free(readers);
}

/* Of one reader. */
static size_t reads(size_t n)
{
    (void)n;
    return READS;
}

static const size_t sizes[] = {1000, 64000, 0};

static const struct bench_task tasks[] = {
    {"readers", "ours", sizes, prepare_ours, run, finish, reads},
    {"readers", "btreemap", sizes, prepare_btreemap, run, finish, reads},
    {"readers", "btreemap, two locks", sizes, prepare_two_locks, run, finish, reads},
};

__attribute__((constructor)) static void readers_register(void)
{
    bench_register_tasks(tasks, sizeof(tasks) / sizeof(tasks[0]));
}

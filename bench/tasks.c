/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole jobs: what they work on, and how they are measured against each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "harness.h"
#include "workload.h"

#define TASKS_MAX 64

static const struct bench_task *tasks[TASKS_MAX];
static size_t task_count;
static uint64_t took;

void bench_took(uint64_t ns)
{
    took = ns;
}

void bench_register_tasks(const struct bench_task *new_tasks, size_t count)
{
    for (size_t i = 0; i < count && task_count < TASKS_MAX; i++)
        tasks[task_count++] = &new_tasks[i];
}

static void store_le(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* struct vfio_iommu_type1_info and an IOVA_RANGE capability. */
static uint8_t *make_vfio_info(size_t n, size_t *length)
{
    struct bench_random random = {.state = n};
    uint8_t *info;

    *length = 24 + 16 + 16 * n;
    info = bench_alloc(*length);
    memset(info, 0, *length);
    store_le(info, *length, 4);
    store_le(info + 4, 3, 4);
    store_le(info + 8, 0x40201000, 8);
    store_le(info + 16, 24, 4);
    store_le(info + 24, 1, 2);
    store_le(info + 26, 1, 2);
    store_le(info + 32, n, 4);
    for (size_t i = 0, start = 0; i < n; i++) {
        uint64_t pages = 1 + bench_random_below(&random, 512);

        /* The doorbells stand in the first gap. */
        store_le(info + 40 + 16 * i, start, 8);
        if (i == 0)
            start = BENCH_MSI_START;
        else
            start += BENCH_PAGE * pages;
        store_le(info + 48 + 16 * i, start - 1, 8);
        start += i == 0 ? BENCH_MSI_LAST + 1 - BENCH_MSI_START : BENCH_PAGE * (pages % 7 + 1);
    }
    return info;
}

uint8_t *bench_vfio_info(size_t n, size_t *length)
{
    static const char path[] = BENCH_FIXTURES "/intel-39bit/vfio_iommu_get_info.bin";
    uint8_t *info;
    FILE *file;

    /* The typical host is a real one. */
    if (n != 2)
        return make_vfio_info(n, length);
    file = fopen(path, "rb");
    if (!file)
        bench_fail("%s: cannot be read", path);
    info = bench_alloc(4096);
    *length = fread(info, 1, 4096, file);
    fclose(file);
    return info;
}

void bench_host(size_t host, bool distinct, struct iovageom_range out[BENCH_HOST_RANGES])
{
    struct bench_random random = {.state = host};
    const uint64_t window = (uint64_t)1 << 20;
    const uint64_t share = (uint64_t)1 << 45;
    uint64_t from = 0;

    /* One window in each eighth but the last, so that they ascend. */
    for (size_t i = 0; i + 1 < BENCH_HOST_RANGES; i++) {
        uint64_t places = distinct ? share / window - 1 : 256 / (BENCH_HOST_RANGES - 1);
        uint64_t at = share * i + window * (1 + bench_random_below(&random, places - 1));

        out[i] = (struct iovageom_range){from, at - 1};
        from = at + window;
    }
    out[BENCH_HOST_RANGES - 1] = (struct iovageom_range){from, ((uint64_t)1 << 48) - 1};
}

/* Mappings fill the upper halves of 4 MiB places from 4 GiB on, windows lie in lower halves. */
struct iovageom_range bench_books_mapping(size_t index)
{
    uint64_t start = ((uint64_t)1 << 32) + ((uint64_t)index << 22) + ((uint64_t)1 << 21);
    uint64_t pages = 1 + (index * 2654435761U >> 7) % 512;

    return (struct iovageom_range){start, start + pages * BENCH_PAGE - 1};
}

void bench_newcomer(struct iovageom_range out[BENCH_NEWCOMER_WINDOWS])
{
    for (size_t i = 0; i < BENCH_NEWCOMER_WINDOWS; i++) {
        uint64_t start = ((uint64_t)1 << 32) + ((uint64_t)(i * 113 + 40) << 22);

        out[i] = (struct iovageom_range){start, start + ((uint64_t)1 << 20) - 1};
    }
}

static size_t operations(const struct bench_task *task, size_t n)
{
    return task->operations ? task->operations(n) : 1;
}

static uint64_t run_task(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_task *task = runner->peer;
    const struct bench_row *row = context;
    uint64_t since = bench_clock();

    (void)slice;
    took = 0;
    runner->sum += task->run(runner->object);
    since = bench_elapsed(since);
    /* A slow peer may do fewer of them. */
    return (took > 0 ? took : since) * row->chunk / operations(task, row->n);
}

static void task_row(const struct bench_task *first, size_t n)
{
    struct bench_runner runners[TASKS_MAX];
    struct bench_row row = {
        .op = first->op,
        .n = n,
        .rounds = 9,
        .chunk = operations(first, n),
        .run = run_task,
    };
    size_t members = 0;

    row.context = &row;
    if (!bench_wanted(first->op, n))
        return;
    for (size_t t = 0; t < task_count; t++) {
        if (strcmp(tasks[t]->op, first->op) != 0)
            continue;
        for (size_t s = 0; tasks[t]->sizes[s]; s++)
            if (tasks[t]->sizes[s] == n)
                runners[members++] = (struct bench_runner){
                    .name = tasks[t]->peer, .peer = tasks[t], .object = tasks[t]->prepare(n)};
    }
    bench_row_run(&row, runners, members);
    for (size_t p = 0; p < members; p++)
        ((const struct bench_task *)runners[p].peer)->finish(runners[p].object);
}

void bench_tasks(void)
{
    for (size_t t = 0; t < task_count; t++) {
        if (strcmp(tasks[t]->peer, bench_ours()) != 0)
            continue;
        for (size_t s = 0; tasks[t]->sizes[s]; s++)
            if (!bench_quick() || tasks[t]->sizes[s] <= 100000)
                task_row(tasks[t], tasks[t]->sizes[s]);
    }
}

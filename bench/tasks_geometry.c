/* SPDX-License-Identifier: BSD-3-Clause */
/* From what VFIO says to the bytes of a PROBE, and the meet of a pool of hosts, by libiovageom. */
#include <stdlib.h>

#include <iovageom/geometry.h>
#include <iovageom/host_vfio.h>
#include <iovageom/plan_envelope.h>
#include <iovageom/virtio.h>

#include "bench.h"

struct probe {
    uint8_t *info;
    size_t info_length;
    uint8_t *properties;
    size_t size;
    size_t times;
};

static void must(int status)
{
    if (status < 0)
        abort();
}

static void *probe_prepare(size_t n)
{
    struct probe *probe = calloc(1, sizeof(*probe));

    if (!probe)
        abort();
    probe->info = bench_vfio_info(n, &probe->info_length);
    probe->size = 24 * (n + 2);
    probe->properties = malloc(probe->size);
    probe->times = n < 100 ? 1000 : 1;
    return probe;
}

static void probe_finish(void *state)
{
    struct probe *probe = state;

    free(probe->info);
    free(probe->properties);
    free(probe);
}

static uint64_t probe_run(void *state)
{
    struct iovageom_range everything = {0, UINT64_MAX};
    struct iovageom_range msi = {BENCH_MSI_START, BENCH_MSI_LAST};
    struct probe *probe = state;
    size_t needed = 0;
    uint64_t sum = 0;

    for (size_t i = 0; i < probe->times; i++) {
        struct iovageom_geometry *geometry;

        must(iovageom_geometry_new(NULL, "0000:3b:00.0", &geometry));
        must(iovageom_host_vfio_info(probe->info, probe->info_length, &needed, geometry));
        must(iovageom_geometry_add_reserved(geometry, msi, IOVAGEOM_RESV_MSI,
                                            IOVAGEOM_SOURCE_MACHINE));
        must(iovageom_virtio_encode_geometry(NULL, geometry, BENCH_PAGE, everything,
                                             probe->properties, probe->size, &needed));
        iovageom_geometry_free(geometry);
    }
    for (size_t i = 0; i < needed; i++)
        sum = sum * 31 + probe->properties[i];
    return sum;
}

static size_t probe_operations(size_t n)
{
    return n < 100 ? 1000 : 1;
}

struct pool {
    struct iovageom_geometry **hosts;
    size_t count;
};

static void *pool_prepare(size_t n, bool distinct)
{
    struct pool *pool = malloc(sizeof(*pool));

    if (!pool || !(pool->hosts = malloc(n * sizeof(void *))))
        abort();
    pool->count = n;
    for (size_t i = 0; i < n; i++) {
        struct iovageom_range ranges[BENCH_HOST_RANGES];

        bench_host(i, distinct, ranges);
        must(iovageom_geometry_new(NULL, "host", &pool->hosts[i]));
        must(iovageom_geometry_add_usable(pool->hosts[i], ranges, BENCH_HOST_RANGES,
                                          IOVAGEOM_SOURCE_VFIO));
    }
    return pool;
}

static void *meet_prepare(size_t n)
{
    return pool_prepare(n, false);
}

static void *meet_distinct_prepare(size_t n)
{
    return pool_prepare(n, true);
}

static void pool_finish(void *state)
{
    struct pool *pool = state;

    for (size_t i = 0; i < pool->count; i++)
        iovageom_geometry_free(pool->hosts[i]);
    free(pool->hosts);
    free(pool);
}

static uint64_t meet_run(void *state)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    struct iovageom_geometry *meet;
    struct iovageom_rangeset usable;
    struct pool *pool = state;
    uint64_t sum = 0;

    must(iovageom_plan_envelope(NULL, (const struct iovageom_geometry *const *)pool->hosts,
                                pool->count, "pool", NULL, &meet, NULL));
    must(iovageom_rangeset_init(&usable, NULL));
    must(iovageom_geometry_usable(meet, 1, &usable));
    iovageom_rangeset_seek(&usable, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        sum += range.start ^ range.last;
    iovageom_rangeset_deinit(&usable);
    iovageom_geometry_free(meet);
    return sum;
}

static size_t meet_operations(size_t n)
{
    return n;
}

static const size_t probe_sizes[] = {2, 10000, 0};
static const size_t meet_sizes[] = {100000, 0};
static const size_t meet_distinct_sizes[] = {1000, 0};

static const struct bench_task tasks[] = {
    {"probe_bytes", "ours", probe_sizes, probe_prepare, probe_run, probe_finish, probe_operations},
    {"meet", "ours", meet_sizes, meet_prepare, meet_run, pool_finish, meet_operations},
    {"meet_distinct", "ours", meet_distinct_sizes, meet_distinct_prepare, meet_run, pool_finish,
     meet_operations},
};

__attribute__((constructor)) static void tasks_register(void)
{
    bench_register_tasks(tasks, sizeof(tasks) / sizeof(tasks[0]));
}

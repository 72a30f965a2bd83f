/* SPDX-License-Identifier: BSD-3-Clause */
/* MAP, UNMAP and hot-plug through the books of libiovageom. */
#include <stdlib.h>

#include <iovageom/geometry.h>
#include <iovageom/viommu.h>

#include "bench.h"

#define READ_WRITE (IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE)

static void must(int status)
{
    if (status < 0)
        abort();
}

/* A host with 48 bits, 4 KiB pages, an MSI window and the given others. */
static struct iovageom_geometry *host(const struct iovageom_range *windows, size_t count)
{
    struct iovageom_range msi = {BENCH_MSI_START, BENCH_MSI_LAST};
    struct iovageom_geometry *geometry;

    must(iovageom_geometry_new(NULL, "0000:3b:00.0", &geometry));
    must(iovageom_geometry_add_gaw(geometry, 48, IOVAGEOM_SOURCE_VTD_REGISTERS));
    must(iovageom_geometry_add_page_sizes(geometry, 0x40201000, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_geometry_add_reserved(geometry, msi, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS));
    for (size_t i = 0; i < count; i++)
        must(iovageom_geometry_add_reserved(geometry, windows[i], IOVAGEOM_RESV_RESERVED,
                                            IOVAGEOM_SOURCE_SYSFS));
    return geometry;
}

static struct iovageom_viommu *books_new(void)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.input_range.last = BENCH_BOOKS_LAST;
    must(iovageom_viommu_new(NULL, &config, &viommu));
    return viommu;
}

/* The ledger of one domain. */

static void *create(void)
{
    struct iovageom_viommu *viommu = books_new();
    struct iovageom_geometry *geometry = host(NULL, 0);

    must(iovageom_viommu_plug(viommu, BENCH_BOOKS_ENDPOINT, NULL, geometry, NULL));
    iovageom_geometry_free(geometry);
    must(iovageom_viommu_freeze(viommu, NULL));
    if (iovageom_status_virtio(iovageom_viommu_attach(viommu, BENCH_BOOKS_DOMAIN, 1, 0, NULL)) !=
        IOVAGEOM_VIRTIO_S_OK)
        abort();
    return viommu;
}

static void destroy(void *books)
{
    iovageom_viommu_free(books);
}

static uint64_t map(void *books, struct iovageom_range range)
{
    return iovageom_status_virtio(iovageom_viommu_map(books, BENCH_BOOKS_DOMAIN, range,
                                                      range.start ^ 0x1000, READ_WRITE, NULL)) ==
           IOVAGEOM_VIRTIO_S_OK;
}

static uint64_t unmap(void *books, struct iovageom_range range)
{
    size_t removed = 0;

    iovageom_viommu_unmap(books, BENCH_BOOKS_DOMAIN, range, &removed, NULL);
    return removed;
}

static uint64_t insert(void *books, const struct iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += map(books, ranges[i]);
    return sum;
}

static uint64_t churn(void *books, const struct iovageom_range *ranges, size_t count, size_t lag)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += unmap(books, ranges[i]);
        if (i >= lag)
            sum += map(books, ranges[i - lag]);
    }
    for (size_t i = count - lag; i < count; i++)
        sum += map(books, ranges[i]);
    return sum;
}

static uint64_t requests(void *books, struct bench_request *list, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct iovageom_viommu_transaction transaction;

        iovageom_viommu_request_begin(books, list[i].bytes, list[i].size, sizeof(list[i].tail),
                                      &transaction, NULL);
        iovageom_viommu_request_end(books, &transaction, 0, list[i].tail, sizeof(list[i].tail),
                                    NULL);
        sum += list[i].tail[0] == IOVAGEOM_VIRTIO_S_OK;
    }
    return sum;
}

static uint64_t translate(void *books, const uint64_t *addresses, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        const struct iovageom_range range = {addresses[i], addresses[i] + 63};
        struct iovageom_segment segment;

        if (iovageom_viommu_translate(books, BENCH_BOOKS_ENDPOINT, range,
                                      IOVAGEOM_VIRTIO_MAP_F_READ, &segment, 1, NULL, NULL) == 0)
            sum += segment.phys;
    }
    return sum;
}

static uint64_t translate_span(void *books, const struct iovageom_range *spans, size_t count)
{
    struct iovageom_segment segments[128];
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        size_t found = 0;

        must(iovageom_viommu_translate(books, BENCH_BOOKS_ENDPOINT, spans[i],
                                       IOVAGEOM_VIRTIO_MAP_F_READ, segments, 128, &found, NULL));
        for (size_t k = 0; k < found; k++)
            sum += segments[k].range.last - segments[k].range.start + 1;
        sum += segments[0].phys;
    }
    return sum;
}

static uint64_t unmap_all(void *books)
{
    const struct iovageom_range all = {0, BENCH_BOOKS_LAST};

    return unmap(books, all);
}

static const struct bench_peer books = {
    .name = "ours",
    .what = "libiovageom viommu",
    .create = create,
    .destroy = destroy,
    .insert = insert,
    .churn = churn,
    .requests = requests,
    .translate = translate,
    .translate_span = translate_span,
    .unmap_all = unmap_all,
};

/* Hot-plug against live mappings: one endpoint in each domain. */

#define MAPPINGS_EACH 1000

struct admission {
    struct iovageom_viommu *viommu;
    struct iovageom_geometry *newcomer;
    struct iovageom_plug_options where;
    size_t times;
};

static void *admission_prepare(size_t n, bool shared)
{
    struct admission *admission = calloc(1, sizeof(*admission));
    struct iovageom_geometry *geometry = host(NULL, 0);
    struct iovageom_range windows[BENCH_NEWCOMER_WINDOWS];
    struct iovageom_plug_options where;
    uint32_t domains = (uint32_t)(n / MAPPINGS_EACH);

    if (!admission)
        abort();
    admission->viommu = books_new();
    iovageom_plug_options_init(&where);
    for (uint32_t d = 1; d <= domains; d++) {
        where.address_space = shared ? 1 : d;
        must(iovageom_viommu_plug(admission->viommu, d, &where, geometry, NULL));
    }
    iovageom_geometry_free(geometry);
    must(iovageom_viommu_freeze(admission->viommu, NULL));
    for (uint32_t d = 1; d <= domains; d++) {
        if (iovageom_status_virtio(iovageom_viommu_attach(admission->viommu, d, d, 0, NULL)) !=
            IOVAGEOM_VIRTIO_S_OK)
            abort();
        for (size_t i = 0; i < MAPPINGS_EACH; i++)
            if (iovageom_status_virtio(iovageom_viommu_map(admission->viommu, d,
                                                           bench_books_mapping(i), 0, READ_WRITE,
                                                           NULL)) != IOVAGEOM_VIRTIO_S_OK)
                abort();
    }
    bench_newcomer(windows);
    admission->newcomer = host(windows, BENCH_NEWCOMER_WINDOWS);
    iovageom_plug_options_init(&admission->where);
    admission->where.address_space = shared ? 1 : domains / 2;
    admission->times = shared ? 1 : 100;
    return admission;
}

static void *admission_one_prepare(size_t n)
{
    return admission_prepare(n, false);
}

static void *admission_all_prepare(size_t n)
{
    return admission_prepare(n, true);
}

static void admission_finish(void *state)
{
    struct admission *admission = state;

    iovageom_viommu_free(admission->viommu);
    iovageom_geometry_free(admission->newcomer);
    free(admission);
}

/* The checksum counts conflicts: none. */
static uint64_t admission_run(void *state)
{
    struct admission *admission = state;
    uint64_t sum = 0;

    for (size_t i = 0; i < admission->times; i++)
        sum += iovageom_viommu_plug_check(admission->viommu, 70000, &admission->where,
                                          admission->newcomer, NULL) != 0;
    return sum;
}

/* Plug and unplug of a whole guest group. */

struct group {
    struct iovageom_viommu *viommu;
    struct iovageom_geometry *geometry;
    uint32_t count;
};

static void *group_prepare(size_t n)
{
    struct group *group = malloc(sizeof(*group));
    struct iovageom_range windows[BENCH_NEWCOMER_WINDOWS];

    if (!group)
        abort();
    bench_newcomer(windows);
    group->viommu = books_new();
    group->geometry = host(windows, BENCH_NEWCOMER_WINDOWS);
    group->count = (uint32_t)n;
    return group;
}

static uint64_t group_run(void *state)
{
    struct iovageom_plug_options where;
    struct group *group = state;
    uint64_t sum = 0;

    iovageom_plug_options_init(&where);
    where.guest_group = 1;
    for (uint32_t i = 0; i < group->count; i++)
        sum += iovageom_viommu_plug(group->viommu, i, &where, group->geometry, NULL) == 0;
    for (uint32_t i = 0; i < group->count; i++)
        sum += iovageom_viommu_unplug(group->viommu, i) == 0;
    return sum;
}

static void group_finish(void *state)
{
    struct group *group = state;

    iovageom_viommu_free(group->viommu);
    iovageom_geometry_free(group->geometry);
    free(group);
}

static size_t each(size_t n)
{
    return n;
}

static size_t hundred(size_t n)
{
    (void)n;
    return 100;
}

static const size_t admission_sizes[] = {64000, 1000000, 0};
static const size_t group_sizes[] = {64, 4096, 0};

static const struct bench_task tasks[] = {
    {"admission", "ours", admission_sizes, admission_one_prepare, admission_run, admission_finish,
     hundred},
    {"admission_shared", "ours", admission_sizes, admission_all_prepare, admission_run,
     admission_finish, NULL},
    {"plug_unplug", "ours", group_sizes, group_prepare, group_run, group_finish, each},
};

__attribute__((constructor)) static void books_register(void)
{
    bench_register_books(&books);
    bench_register_tasks(tasks, sizeof(tasks) / sizeof(tasks[0]));
}

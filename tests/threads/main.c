/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests/checks/threads runs under ThreadSanitizer: readers that translate and look around, and
 * a writer that maps and unmaps, plugs and unplugs. They share a lock as include/iovageom/viommu.h
 * asks: calls with the object const under its read side, all others under its write side.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <iovageom/geometry.h>
#include <iovageom/viommu.h>

enum { READERS = 3, ROUNDS = 400, SLOTS = 600, ENDPOINTS = 200, DOMAIN = 1 };

#define READ_WRITE (IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE)

static struct iovageom_viommu *viommu;
static struct iovageom_geometry *geometry;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

/* Nothing is shared by readers that would order them, as an atomic counter would. */
struct reader {
    unsigned first;
    unsigned translated;
};

static void must(int right, const char *what)
{
    if (!right) {
        fprintf(stderr, "wrong: %s\n", what);
        exit(2);
    }
}

static struct iovageom_range slot(unsigned i)
{
    return (struct iovageom_range){(uint64_t)(i + 1) << 16, ((uint64_t)(i + 1) << 16) + 0x1fff};
}

static uint64_t phys(unsigned i)
{
    return (uint64_t)(SLOTS - i) << 20;
}

/* Each mapping is one of slot(); what is found must be as the writer makes it. */
static bool look(unsigned i)
{
    const struct iovageom_range range = {slot(i).start + 8, slot(i).start + 15};
    struct iovageom_segment segments[2];
    struct iovageom_viommu_domain domain;
    struct iovageom_mapping mapping, run;
    struct iovageom_report report;
    uint64_t fault;
    size_t count;
    int status = iovageom_viommu_translate(viommu, i % ENDPOINTS, range, READ_WRITE, segments, 2,
                                           &count, &fault);

    if (status == 0) {
        must(count == 1 && segments[0].phys == phys(i) + 8, "a translation");
        must(iovageom_viommu_translate_back(viommu, i % ENDPOINTS,
                                            (struct iovageom_range){phys(i), phys(i)}, true, NULL,
                                            &mapping) == 0,
             "a reverse");
    }
    must(iovageom_viommu_domain(viommu, DOMAIN, &domain) == 0, "a domain");
    (void)iovageom_viommu_mapping_next(viommu, DOMAIN, slot(i).start, &mapping);
    (void)iovageom_viommu_run_next(viommu, DOMAIN, (struct iovageom_range){0, UINT64_MAX},
                                   slot(i).start, i % 2 == 0, &run);
    iovageom_report_init(&report, NULL);
    (void)iovageom_viommu_unmap_check(viommu, DOMAIN, slot(i), &report);
    (void)iovageom_viommu_attach_check(viommu, DOMAIN, i % ENDPOINTS, 0, &report);
    iovageom_report_deinit(&report);
    return status == 0;
}

static void *read_on(void *argument)
{
    struct reader *reader = argument;

    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_rwlock_rdlock(&lock);
        for (unsigned k = 0; k < 16; k++)
            reader->translated += look((reader->first + 16 * round + k) * 7 % SLOTS);
        pthread_rwlock_unlock(&lock);
    }
    return NULL;
}

static void plug(unsigned id)
{
    must(iovageom_viommu_plug(viommu, id, NULL, geometry, NULL) == 0, "a plug");
    must(iovageom_viommu_attach(viommu, DOMAIN, id, 0, NULL) == 0, "an attachment");
}

static void *write_on(void *none)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        const unsigned id = 1 + round % (ENDPOINTS - 1);

        pthread_rwlock_wrlock(&lock);
        for (unsigned k = 0; k < 8; k++) {
            const unsigned i = (8 * round + k) * 13 % SLOTS;
            size_t removed = 0;

            must(iovageom_viommu_unmap(viommu, DOMAIN, slot(i), &removed, NULL) == 0, "an UNMAP");
            if (removed == 0)
                must(iovageom_viommu_map(viommu, DOMAIN, slot(i), phys(i), READ_WRITE, NULL) == 0,
                     "a MAP");
        }
        must(iovageom_viommu_unplug(viommu, id) == 0, "an unplug");
        plug(id);
        pthread_rwlock_unlock(&lock);
    }
    return none;
}

static void prepare(void)
{
    struct iovageom_viommu_config config;

    iovageom_viommu_config_init(&config);
    config.input_range.last = ((uint64_t)1 << 48) - 1;
    config.flags = IOVAGEOM_VIOMMU_INDEX_PHYS;
    must(iovageom_geometry_new(NULL, "0000:3b:00.0", &geometry) == 0 &&
             iovageom_geometry_add_gaw(geometry, 48, IOVAGEOM_SOURCE_VTD_REGISTERS) == 0 &&
             iovageom_geometry_add_page_sizes(geometry, 0x1000, IOVAGEOM_SOURCE_VFIO) == 0,
         "a geometry");
    must(iovageom_viommu_new(NULL, &config, &viommu) == 0, "the object");
    for (unsigned i = 0; i < ENDPOINTS; i++)
        plug(i);
    for (unsigned i = 0; i < SLOTS; i += 2)
        must(iovageom_viommu_map(viommu, DOMAIN, slot(i), phys(i), READ_WRITE, NULL) == 0, "a MAP");
}

int main(void)
{
    pthread_t threads[READERS + 1];
    struct reader readers[READERS];
    unsigned translated = 0;

    prepare();
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.first = 200 * i};
        must(pthread_create(&threads[i], NULL, read_on, &readers[i]) == 0, "a thread");
    }
    must(pthread_create(&threads[READERS], NULL, write_on, NULL) == 0, "a thread");
    for (unsigned i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
    for (unsigned i = 0; i < READERS; i++)
        translated += readers[i].translated;
    printf("%u translations by %d readers\n", translated, READERS);
    must(translated > 1000, "hardly anything was translated");
    return 0;
}

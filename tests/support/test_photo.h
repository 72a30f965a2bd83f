/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_PHOTO_H
#define IOVAGEOM_TEST_PHOTO_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/viommu.h>

/*
 * All that can be asked of the books, as text: two photos are equal when nobody can tell the books
 * apart. And the same for reports. Uses the public interface only, and no test framework.
 */
enum { TEST_PHOTO_SIZE = 1 << 17 };

struct test_photo {
    size_t used;
    char text[TEST_PHOTO_SIZE];
};

static inline void test_photo_die(const char *what, int error)
{
    fprintf(stderr, "photo: %s: %d\n", what, error);
    abort();
}

__attribute__((format(printf, 2, 3))) static inline void test_photo_say(struct test_photo *photo,
                                                                        const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length =
        vsnprintf(photo->text + photo->used, sizeof(photo->text) - photo->used, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(photo->text) - photo->used)
        test_photo_die("too small", length);
    photo->used += (size_t)length;
}

static inline void test_photo_range(struct test_photo *photo, struct iovageom_range range)
{
    test_photo_say(photo, " [%" PRIx64 ",%" PRIx64 "]", range.start, range.last);
}

static inline void test_photo_set(struct test_photo *photo, const char *name,
                                  const struct iovageom_rangeset *set)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    test_photo_say(photo, "  %s", name);
    iovageom_rangeset_seek(set, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        test_photo_range(photo, range);
    test_photo_say(photo, "\n");
}

static inline void test_photo_promise(struct test_photo *photo,
                                      const struct iovageom_viommu *viommu, uint32_t endpoint)
{
    static const char *const names[] = {"told", "now", "added", "removed"};
    struct iovageom_rangeset sets[4];
    struct iovageom_viommu_promise promise;
    struct iovageom_region regions[512];
    size_t count = 0;
    int error;

    for (size_t i = 0; i < 4; i++)
        (void)iovageom_rangeset_init(&sets[i], NULL);
    error =
        iovageom_viommu_promise(viommu, endpoint, &promise, &sets[0], &sets[1], &sets[2], &sets[3]);
    if (error != IOVAGEOM_OK)
        test_photo_die("promise", error);
    test_photo_say(photo, "  promise %" PRIu64 " %" PRIu64 " %d %d %d\n", promise.generation,
                   promise.now, promise.told, promise.current, promise.safe);
    for (size_t i = 0; i < 4; i++) {
        test_photo_set(photo, names[i], &sets[i]);
        iovageom_rangeset_deinit(&sets[i]);
    }
    error = iovageom_viommu_told(viommu, endpoint, regions, 512, &count, NULL);
    if (error != IOVAGEOM_OK)
        test_photo_die("told", error);
    test_photo_say(photo, "  wire");
    for (size_t i = 0; i < count; i++) {
        test_photo_range(photo, regions[i].range);
        test_photo_say(photo, " %u", (unsigned)regions[i].type);
    }
    test_photo_say(photo, "\n");
}

/* Its name, and the checksum of what it would be saved as. */
static inline void test_photo_geometry(struct test_photo *photo,
                                       const struct iovageom_geometry *geometry)
{
    unsigned char bytes[8192];
    uint64_t sum = 0;
    size_t size;

    if (iovageom_geometry_save(geometry, bytes, sizeof(bytes), &size) != IOVAGEOM_OK)
        test_photo_die("geometry", 0);
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    test_photo_say(photo, " %s %" PRIx64, iovageom_geometry_name(geometry), sum);
}

static inline void test_photo_endpoints(struct test_photo *photo,
                                        const struct iovageom_viommu *viommu)
{
    struct iovageom_viommu_endpoint found;

    for (uint64_t from = 0;
         from <= UINT32_MAX && iovageom_viommu_endpoint_next(viommu, (uint32_t)from, &found);
         from = (uint64_t)found.endpoint + 1) {
        test_photo_say(photo,
                       "endpoint %" PRIu32 " kind %" PRIu32 " plugged %" PRIu32 " prepared %" PRIu32
                       " groups %" PRIx64 " %" PRIx64 " %" PRIx64 " domain %" PRIx64
                       " generation %" PRIu64 " bypass %" PRIu32 " expected %" PRIu32,
                       found.endpoint, found.kind, found.plugged, found.prepared, found.guest_group,
                       found.host_group, found.address_space, found.domain, found.generation,
                       found.bypass, found.expected);
        if (found.geometry != NULL)
            test_photo_geometry(photo, found.geometry);
        test_photo_say(photo, "\n");
        test_photo_promise(photo, viommu, found.endpoint);
    }
}

static inline void test_photo_domains(struct test_photo *photo,
                                      const struct iovageom_viommu *viommu)
{
    struct iovageom_viommu_domain found;
    struct iovageom_mapping mapping;
    struct iovageom_rangeset usable;
    uint64_t member;
    uint32_t endpoint;

    (void)iovageom_rangeset_init(&usable, NULL);
    for (uint64_t from = 0;
         from <= UINT32_MAX && iovageom_viommu_domain_next(viommu, (uint32_t)from, &found);
         from = (uint64_t)found.domain + 1) {
        bool more = true;

        test_photo_say(photo,
                       "domain %" PRIu32 " bypass %" PRIu32 " mappings %" PRIu64 " budget %" PRIx64
                       " members %" PRIu64 ":",
                       found.domain, found.bypass, found.mappings, found.budget, found.endpoints);
        for (member = IOVAGEOM_ID_NONE;
             iovageom_viommu_domain_endpoint(viommu, found.domain, member, &endpoint);
             member = endpoint)
            test_photo_say(photo, " %" PRIu32, endpoint);
        test_photo_say(photo, "\n");
        for (uint64_t at = 0;
             more && iovageom_viommu_mapping_next(viommu, found.domain, at, &mapping);
             at = mapping.range.last + 1) {
            test_photo_range(photo, mapping.range);
            test_photo_say(photo, " to %" PRIx64 " %" PRIx32 "\n", mapping.phys, mapping.flags);
            more = mapping.range.last != UINT64_MAX;
        }
        if (iovageom_viommu_domain_usable(viommu, found.domain, &usable) != IOVAGEOM_OK)
            test_photo_die("usable", 0);
        test_photo_set(photo, "usable", &usable);
    }
    iovageom_rangeset_deinit(&usable);
}

/** Everything: the books' allocator must not fail meanwhile. */
static inline void test_photo_take(struct test_photo *photo, const struct iovageom_viommu *viommu)
{
    static uint8_t stream[1 << 17];
    struct iovageom_virtio_config space;
    size_t needed = 0;
    uint64_t sum = 0;
    int error = iovageom_viommu_config_space(viommu, &space);

    photo->used = 0;
    if (error != IOVAGEOM_OK)
        test_photo_die("config space", error);
    test_photo_say(photo,
                   "frozen %d mask %" PRIx64 " probe_size %" PRIu32 " domains %" PRIx32 "-%" PRIx32
                   " bypass %" PRIu32,
                   iovageom_viommu_frozen(viommu), space.page_size_mask, space.probe_size,
                   space.domain_start, space.domain_last, space.bypass);
    test_photo_range(photo, space.input_range);
    test_photo_say(photo, "\n");
    test_photo_endpoints(photo, viommu);
    test_photo_domains(photo, viommu);
    error = iovageom_viommu_save(viommu, stream, sizeof(stream), &needed);
    if (error != IOVAGEOM_OK && error != IOVAGEOM_ERR_STATE)
        test_photo_die("save", error);
    for (size_t i = 0; error == IOVAGEOM_OK && i < needed; i++)
        sum = (sum ^ stream[i]) * UINT64_C(0x100000001b3);
    test_photo_say(photo, "stream %d %" PRIu64 "\n", error, sum);
}

static inline bool test_photo_same(const struct test_photo *a, const struct test_photo *b)
{
    size_t at = 0;

    if (a->used == b->used && memcmp(a->text, b->text, a->used) == 0)
        return true;
    while (at < a->used && at < b->used && a->text[at] == b->text[at])
        at++;
    while (at > 0 && a->text[at - 1] != '\n')
        at--;
    fprintf(stderr, "first difference:\n%.300s\n---\n%.300s\n", a->text + at, b->text + at);
    return false;
}

/** All that a finding says, be its kind concerned or not. */
static inline void test_photo_finding(struct test_photo *photo,
                                      const struct iovageom_finding *finding)
{
    test_photo_say(photo, "kind %" PRIu32 " status %" PRId32 " type %" PRIu32 " fatal %" PRIu32,
                   finding->kind, finding->status, finding->type, finding->fatal);
    test_photo_range(photo, finding->range);
    test_photo_range(photo, finding->against);
    test_photo_say(photo,
                   " wanted %" PRIx64 " offered %" PRIx64 " endpoint %" PRIx64 " domain %" PRIx64
                   " owner %" PRIu32 " %s other %" PRIu32 " %s: %s\n",
                   finding->wanted, finding->offered, finding->endpoint, finding->domain,
                   finding->owner.source, finding->owner.name, finding->other.source,
                   finding->other.name, finding->detail != NULL ? finding->detail : "-");
}

static inline void test_photo_report(struct test_photo *photo, const struct iovageom_report *report)
{
    photo->used = 0;
    test_photo_say(photo, "%zu findings, %zu dropped\n", iovageom_report_count(report),
                   iovageom_report_dropped(report));
    for (size_t i = 0; i < iovageom_report_count(report); i++)
        test_photo_finding(photo, iovageom_report_at(report, i));
}

/** What the finding of test_report_soil() says. */
#define TEST_REPORT_SOIL "what an earlier call has found"

/** A finding from an earlier call, which the next one has to clear away. */
static inline void test_report_soil(struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, IOVAGEOM_ERR_INVALID);

    finding.detail = TEST_REPORT_SOIL;
    iovageom_report_clear(report);
    iovageom_report_add(report, &finding);
}

#endif

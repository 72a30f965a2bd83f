/* SPDX-License-Identifier: BSD-3-Clause */
#include "books.h"

#include <string.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#define MOST_ENDPOINTS 4096
#define MOST_REFUSALS  10

/* The header and the configuration that the guest has read: docs/formats.md. */
enum { MAGIC_SIZE = 8, AT_MASK = 24, AT_FEATURES = 64, LEAST_SIZE = 88 };

static const char magic[MAGIC_SIZE + 1] = "VIGVIOMM";

bool books_look_like(const struct blob *blob)
{
    return blob->length >= MAGIC_SIZE && memcmp(blob->bytes, magic, MAGIC_SIZE) == 0;
}

static uint64_t little_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* An object that takes these books over: one that limits nothing, and offers what the source
 * did. */
static int make_viommu(const struct blob *blob, struct iovageom_viommu **viommu)
{
    struct iovageom_viommu_config config;

    iovageom_viommu_config_init(&config);
    config.page_size_mask = little_endian(blob->bytes + AT_MASK, 8);
    config.features = (uint32_t)little_endian(blob->bytes + AT_FEATURES, 4);
    config.max_mappings = config.max_domain_mappings = UINT64_MAX;
    config.max_domains = UINT32_MAX;
    return iovageom_viommu_new(&lasting, &config, viommu);
}

static bool relies(const struct iovageom_viommu_endpoint *endpoint)
{
    return endpoint->generation != 0 || endpoint->domain != IOVAGEOM_ID_NONE;
}

static const char *list_endpoints(struct books *books)
{
    struct iovageom_viommu_endpoint endpoint;
    uint32_t from = 0;

    books->endpoints = keep(MOST_ENDPOINTS * sizeof(*books->endpoints));
    while (iovageom_viommu_endpoint_next(books->viommu, from, &endpoint)) {
        if (relies(&endpoint)) {
            if (books->count == MOST_ENDPOINTS)
                return text("more than %d endpoints were told something", MOST_ENDPOINTS);
            books->endpoints[books->count++] = endpoint.endpoint;
        }
        if (endpoint.endpoint == UINT32_MAX)
            break;
        from = endpoint.endpoint + 1;
    }
    return books->count == 0 ? "no endpoint was told anything, and none is attached" : NULL;
}

const char *books_read(const struct blob *blob, struct books *books)
{
    struct iovageom_virtio_config space;
    struct iovageom_report report;
    int status = IOVAGEOM_ERR_TRUNCATED;

    *books = (struct books){.viommu = NULL};
    iovageom_report_init(&report, &lasting);
    if (blob->length >= LEAST_SIZE)
        status = make_viommu(blob, &books->viommu);
    if (status == IOVAGEOM_OK)
        status = iovageom_viommu_load(books->viommu, blob->bytes, blob->length,
                                      IOVAGEOM_LOAD_EXPECT_DEVICES, &report);
    if (status != IOVAGEOM_OK)
        return text("books of a virtual IOMMU that can't be read: %s",
                    iovageom_report_count(&report) != 0 ? iovageom_report_text(&report)
                                                        : iovageom_status_string(status));
    must(iovageom_viommu_config_space(books->viommu, &space));
    books->page_size_mask = space.page_size_mask;
    return list_endpoints(books);
}

bool books_choose(struct books *books, uint32_t endpoint)
{
    for (size_t i = 0; i < books->count; i++) {
        if (books->endpoints[i] != endpoint)
            continue;
        books->endpoints[0] = endpoint;
        books->count = 1;
        return true;
    }
    return false;
}

/* Ranges that are mapped, whether or not they were promised to this very endpoint. */
static void add_mappings(const struct books *books, uint32_t domain, struct iovageom_rangeset *set)
{
    struct iovageom_mapping mapping;
    uint64_t from = 0;

    while (iovageom_viommu_mapping_next(books->viommu, domain, from, &mapping)) {
        must(iovageom_rangeset_insert(set, mapping.range));
        if (mapping.range.last == UINT64_MAX)
            return;
        from = mapping.range.last + 1;
    }
}

struct iovageom_geometry *books_promise(const struct books *books, uint32_t number)
{
    struct iovageom_viommu_promise promise;
    struct iovageom_viommu_endpoint endpoint;
    struct iovageom_geometry *geometry;
    struct iovageom_rangeset set;
    struct iovageom_range *ranges;
    size_t count;

    must(iovageom_rangeset_init(&set, &lasting));
    must(iovageom_viommu_promise(books->viommu, number, &promise, &set, NULL, NULL, NULL));
    must(iovageom_viommu_endpoint(books->viommu, number, &endpoint));
    if (endpoint.domain != IOVAGEOM_ID_NONE)
        add_mappings(books, (uint32_t)endpoint.domain, &set);
    count = iovageom_rangeset_count(&set);
    ranges = keep((count + 1) * sizeof(*ranges));
    must(iovageom_rangeset_to_array(&set, ranges, count, &count));
    must(iovageom_geometry_new(&lasting, "promise", &geometry));
    must(iovageom_geometry_add_usable(geometry, ranges, count, IOVAGEOM_SOURCE_ENVELOPE));
    must(iovageom_geometry_add_page_sizes(geometry, books->page_size_mask,
                                          IOVAGEOM_SOURCE_ENVELOPE));
    return geometry;
}

void books_refusals(const struct books *books, uint32_t endpoint,
                    const struct iovageom_geometry *geometry, const char ***list, size_t *count)
{
    struct iovageom_report report;
    size_t said = 0, left = 0;

    iovageom_report_init(&report, &lasting);
    if (iovageom_viommu_plug_check(books->viommu, endpoint, NULL, geometry, &report) == IOVAGEOM_OK)
        return;
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&report, i);
        char sentence[512];

        if (finding->fatal == 0 || finding->kind == IOVAGEOM_FINDING_PROMISE ||
            finding->kind == IOVAGEOM_FINDING_GRANULE)
            continue;
        if (said++ >= MOST_REFUSALS) {
            left++;
            continue;
        }
        (void)iovageom_finding_text(finding, sentence, sizeof(sentence));
        add_words(list, count, text("%s", sentence));
    }
    if (left != 0)
        add_words(list, count, text("and %zu reasons more", left));
}

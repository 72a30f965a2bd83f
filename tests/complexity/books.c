/* SPDX-License-Identifier: BSD-3-Clause */
/* The books of a virtual IOMMU: what a VMM asks, what a guest asks, and what a stream says. */
#include "complexity.h"

#include "../support/test_stream.h"

enum { RW = IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE };

/* With a PROBE answer that has room for n regions, and no limits. */
static struct iovageom_viommu *books(size_t n)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.max_mappings = UINT64_MAX;
    config.max_domain_mappings = UINT64_MAX;
    config.max_domains = UINT32_MAX;
    config.probe_size = 24 * (uint32_t)(n + 8);
    must(iovageom_viommu_new(NULL, &config, &viommu) == 0);
    return viommu;
}

/* A host with `reserved` regions, every second of them MSI. */
static struct iovageom_geometry *host(size_t reserved)
{
    struct iovageom_geometry *geometry;

    must(iovageom_geometry_new(NULL, "device", &geometry) == 0);
    must(iovageom_geometry_add_page_sizes(geometry, PAGE, IOVAGEOM_SOURCE_VFIO) == 0);
    for (size_t i = 0; i < reserved; i++)
        must(iovageom_geometry_add_reserved(geometry, ordered(i),
                                            i % 2 == 0 ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED,
                                            IOVAGEOM_SOURCE_SYSFS) == 0);
    return geometry;
}

static void plug(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t guest_group,
                 uint64_t address_space, struct iovageom_geometry *geometry)
{
    struct iovageom_plug_options where;

    iovageom_plug_options_init(&where);
    where.guest_group = guest_group;
    where.address_space = address_space;
    must(iovageom_viommu_plug(viommu, endpoint, &where, geometry, NULL) == 0);
}

/* One device with n regions from its plug to its end. */
static void life(size_t n)
{
    struct iovageom_geometry *geometry = host(n);
    struct iovageom_viommu *viommu = books(n);
    struct iovageom_region *told = room(n + 2, sizeof(*told));
    struct iovageom_viommu_promise promise;
    struct iovageom_virtio_config space;
    struct iovageom_rangeset sets[4];
    struct iovageom_report report;
    uint8_t *bytes;
    size_t needed;

    iovageom_report_init(&report, NULL);
    for (size_t i = 0; i < 4; i++)
        must(iovageom_rangeset_init(&sets[i], NULL) == 0);
    must(iovageom_viommu_config_space(viommu, &space) == 0);
    bytes = room(space.probe_size, 1);
    start();
    plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_VIOMMU_OWN, geometry);
    must(iovageom_viommu_freeze(viommu, &report) == 0);
    must(iovageom_viommu_told(viommu, 1, told, n + 2, &needed, &report) == 0);
    must(iovageom_status_virtio(
             iovageom_viommu_probe(viommu, 1, bytes, space.probe_size, &needed, &report)) == 0);
    must(iovageom_viommu_promise(viommu, 1, &promise, &sets[0], &sets[1], &sets[2], &sets[3]) == 0);
    must(promise.safe && promise.current);
    must(iovageom_viommu_update(viommu, 1, geometry, 0, &report) == 0);
    must(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, &report)) == 0);
    must(iovageom_viommu_domain_usable(viommu, 1, &sets[0]) == 0);
    must(iovageom_viommu_unplug(viommu, 1) == 0);
    stop();
    for (size_t i = 0; i < 4; i++)
        iovageom_rangeset_deinit(&sets[i]);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
    free(told);
    free(bytes);
}

/* Freeze chooses probe_size from the lists of all groups. */
static void freeze(size_t n)
{
    struct iovageom_geometry *geometry = host(n);
    struct iovageom_viommu *viommu;

    must(iovageom_viommu_new(NULL, NULL, &viommu) == 0);
    plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_VIOMMU_OWN, geometry);
    start();
    must(iovageom_viommu_freeze(viommu, NULL) == 0);
    stop();
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
}

/* n members of a group; the first was told that nothing is reserved; then n regions are. */
static void update_refused(size_t n)
{
    struct iovageom_geometry *nothing = host(0), *much = many_owners(n);
    struct iovageom_viommu *viommu = books(n);
    struct iovageom_virtio_config space;
    struct iovageom_report report;
    uint8_t *bytes;
    size_t needed;

    iovageom_report_init(&report, NULL);
    must(iovageom_viommu_config_space(viommu, &space) == 0);
    bytes = room(space.probe_size, 1);
    for (size_t i = 0; i < n; i++)
        plug(viommu, (uint32_t)i, 7, 7, nothing);
    must(iovageom_status_virtio(iovageom_viommu_probe(viommu, (uint32_t)n - 1, bytes,
                                                      space.probe_size, &needed, NULL)) == 0);
    start();
    must(iovageom_viommu_update(viommu, 0, much, 0, &report) == IOVAGEOM_ERR_CONFLICT);
    stop();
    must(iovageom_report_count(&report) >= n);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(nothing);
    iovageom_geometry_free(much);
    free(bytes);
}

/* n endpoints on one set of host page tables, all of which bypass. */
static void endpoints(size_t n)
{
    struct iovageom_segment segment;
    struct iovageom_geometry *geometry = host(1);
    struct iovageom_viommu *viommu = books(n);
    struct iovageom_viommu_endpoint endpoint = {.endpoint = 0};
    struct iovageom_range *identity = room(n, sizeof(*identity));
    struct iovageom_report report;
    uint32_t from = 0;

    for (size_t i = 0; i < n; i++)
        identity[i] = ordered(i + 4 * n);
    iovageom_report_init(&report, NULL);
    start();
    for (size_t i = 0; i < n; i++)
        plug(viommu, (uint32_t)i, i / 4, 7, geometry);
    must(iovageom_viommu_set_identity(viommu, identity, n, &report) == 0);
    must(iovageom_viommu_freeze(viommu, &report) == 0);
    must(iovageom_viommu_set_bypass(viommu, 0, &report) == 0);
    must(iovageom_viommu_set_bypass(viommu, 1, &report) == 0);
    while (iovageom_viommu_endpoint_next(viommu, from, &endpoint))
        from = endpoint.endpoint + 1;
    for (size_t i = 0; i < n; i++)
        must(iovageom_viommu_translate(viommu, (uint32_t)i, (struct iovageom_range){0, 0}, RW,
                                       &segment, 1, NULL, NULL) == IOVAGEOM_OK);
    iovageom_viommu_reset(viommu, true);
    for (size_t i = 0; i < n; i++)
        must(iovageom_viommu_unplug(viommu, (uint32_t)i) == 0);
    stop();
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
    free(identity);
}

/* One device with n other names. */
static void aliases(size_t n)
{
    struct iovageom_geometry *geometry = host(1);
    struct iovageom_viommu *viommu = books(n);
    struct iovageom_plug_options where;
    uint32_t *list = room(n, sizeof(*list));

    iovageom_plug_options_init(&where);
    for (size_t i = 0; i < n; i++)
        list[i] = (uint32_t)i + 2;
    where.aliases = list;
    where.alias_count = n;
    start();
    must(iovageom_viommu_plug(viommu, 1, &where, geometry, NULL) == 0);
    must(iovageom_viommu_update(viommu, 1, geometry, 0, NULL) == 0);
    must(iovageom_viommu_unplug(viommu, 1) == 0);
    stop();
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
    free(list);
}

/* ---- a guest ---- */

static void put(uint8_t *at, uint64_t number, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        at[i] = (uint8_t)(number >> 8 * i);
}

static uint8_t request(struct iovageom_viommu *viommu, const uint8_t *bytes, size_t length)
{
    uint8_t tail[4];

    must(iovageom_viommu_request(viommu, bytes, length, tail, sizeof(tail), NULL) == sizeof(tail));
    return tail[0];
}

/* n domains, each for an endpoint, and n mappings; then all of it undone. */
static void requests(size_t n)
{
    struct iovageom_segment segment;
    struct iovageom_viommu *viommu = books(n);
    struct iovageom_viommu_domain domain = {.domain = 0};
    uint32_t from = 0;

    for (size_t i = 0; i < n; i++)
        must(iovageom_viommu_declare(viommu, (uint32_t)i, IOVAGEOM_VIOMMU_OWN,
                                     IOVAGEOM_ENDPOINT_EMULATED, NULL) == 0);
    start();
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[20] = {IOVAGEOM_VIRTIO_T_ATTACH};

        put(bytes + 4, i + 1, 4);
        put(bytes + 8, i, 4);
        must(request(viommu, bytes, sizeof(bytes)) == IOVAGEOM_VIRTIO_S_OK);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[36] = {IOVAGEOM_VIRTIO_T_MAP};

        put(bytes + 4, 1, 4);
        put(bytes + 8, scattered(i, n).start, 8);
        put(bytes + 16, scattered(i, n).last, 8);
        put(bytes + 32, RW, 4);
        must(request(viommu, bytes, sizeof(bytes)) == IOVAGEOM_VIRTIO_S_OK);
        must(request(viommu, bytes, sizeof(bytes)) == IOVAGEOM_VIRTIO_S_INVAL);
    }
    while (iovageom_viommu_domain_next(viommu, from, &domain))
        from = domain.domain + 1;
    for (size_t i = 0; i < n; i++)
        must(iovageom_viommu_translate(viommu, 0, scattered(i, n), RW, &segment, 1, NULL, NULL) ==
             IOVAGEOM_OK);
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[28] = {IOVAGEOM_VIRTIO_T_UNMAP};

        put(bytes + 4, 1, 4);
        put(bytes + 8, scattered(i, n).start, 8);
        put(bytes + 16, scattered(i, n).last, 8);
        must(request(viommu, bytes, sizeof(bytes)) == IOVAGEOM_VIRTIO_S_OK);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[20] = {IOVAGEOM_VIRTIO_T_DETACH};

        put(bytes + 4, i + 1, 4);
        put(bytes + 8, i, 4);
        must(request(viommu, bytes, sizeof(bytes)) == IOVAGEOM_VIRTIO_S_OK);
    }
    stop();
    iovageom_viommu_free(viommu);
}

/* n devices, each with a budget of its own, serve one domain of n mappings. One of them is in
 * another domain for a while. */
static void budgets(size_t n)
{
    struct iovageom_viommu *viommu = books(n);
    struct iovageom_geometry *geometry = host(0);

    must(iovageom_geometry_add_map_budget(geometry, n, IOVAGEOM_SOURCE_VFIO) == 0);
    for (size_t i = 0; i < n; i++) {
        plug(viommu, (uint32_t)i, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_VIOMMU_OWN, geometry);
        must(iovageom_viommu_attach(viommu, 1, (uint32_t)i, 0, NULL) == 0);
    }
    must(iovageom_viommu_attach(viommu, 2, 0, 0, NULL) == 0);
    must(iovageom_viommu_attach(viommu, 1, 0, 0, NULL) == 0);
    start();
    for (size_t i = 0; i < n; i++)
        must(iovageom_viommu_map(viommu, 1, scattered(i, n), 0, RW, NULL) == 0);
    must(iovageom_viommu_map(viommu, 1, scattered(n, 2 * n), 0, RW, NULL) == IOVAGEOM_ERR_LIMIT);
    stop();
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
}

/*
 * n mappings of a domain whose books keep an index by address, each found back and unmapped. They
 * lead to `kinds` places: with few, many lead to the same one.
 */
static void found_back(size_t n, size_t kinds)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_mapping mapping;

    iovageom_viommu_config_init(&config);
    config.flags = IOVAGEOM_VIOMMU_INDEX_PHYS;
    must(iovageom_viommu_new(NULL, &config, &viommu) == 0);
    must(iovageom_viommu_declare(viommu, 0, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED,
                                 NULL) == 0);
    must(iovageom_viommu_attach(viommu, 1, 0, 0, NULL) == 0);
    start();
    for (size_t i = 0; i < n; i++)
        must(iovageom_viommu_map(viommu, 1, scattered(i, n), ordered(i % kinds).start, RW, NULL) ==
             0);
    for (size_t i = 0; i < n; i++) {
        const struct iovageom_range there = ordered(i % kinds);

        must(iovageom_viommu_translate_back(viommu, 0, there, true, NULL, &mapping) == 0);
        must(iovageom_viommu_translate_back(viommu, 0, there, false, &mapping, &mapping) ==
             (kinds < n ? IOVAGEOM_OK : IOVAGEOM_ERR_FAULT));
    }
    for (size_t i = 0; i < n; i++)
        must(iovageom_viommu_unmap(viommu, 1, scattered(i, n), NULL, NULL) == 0);
    stop();
    iovageom_viommu_free(viommu);
}

static void back(size_t n)
{
    found_back(n, n);
}

static void back_to_few(size_t n)
{
    found_back(n, 2);
}

/* A request that is far too long. */
static void long_request(size_t n)
{
    struct iovageom_viommu *viommu = books(n);
    uint8_t *bytes = room(n, 1);

    must(iovageom_viommu_declare(viommu, 0, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED,
                                 NULL) == 0);
    bytes[0] = IOVAGEOM_VIRTIO_T_UNMAP;
    must(request(viommu, bytes, n) == IOVAGEOM_VIRTIO_S_NOENT);
    start();
    for (int i = 0; i < 16; i++)
        must(request(viommu, bytes, n) == IOVAGEOM_VIRTIO_S_NOENT);
    stop();
    iovageom_viommu_free(viommu);
    free(bytes);
}

/* All endpoints of a group with n regions go to one domain with n mappings, and refused. */
static void attach_refused(size_t n)
{
    struct iovageom_geometry *nothing = host(0), *much = host(n);
    struct iovageom_viommu *viommu = books(n);

    plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_VIOMMU_OWN, nothing);
    plug(viommu, 2, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_VIOMMU_OWN, much);
    must(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)) == 0);
    for (size_t i = 0; i < n; i++)
        must(iovageom_status_virtio(iovageom_viommu_map(viommu, 1, scattered(i, n), 0, RW, NULL)) ==
             0);
    start();
    must(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 2, 0, NULL)) ==
         IOVAGEOM_VIRTIO_S_UNSUPP);
    must(iovageom_status_virtio(iovageom_viommu_detach(viommu, 1, 1, NULL)) == 0);
    stop();
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(nothing);
    iovageom_geometry_free(much);
}

/* ---- migration ---- */

static uint8_t *saved(const struct iovageom_viommu *viommu, size_t *length)
{
    uint8_t *bytes;

    must(iovageom_viommu_save(viommu, NULL, 0, length) < 0);
    bytes = room(*length, 1);
    must(iovageom_viommu_save(viommu, bytes, *length, length) == 0);
    return bytes;
}

/* n mappings, and a promise of everything, onto a host that reserves `reserved` places. */
static void migrate(size_t n, size_t reserved, int expected)
{
    struct iovageom_geometry *nothing = host(0),
                             *there = reserved > 0 ? many_owners(reserved) : host(0);
    struct iovageom_viommu *source = books(n), *destination = books(n);
    struct iovageom_virtio_config space;
    struct iovageom_report report;
    uint8_t *bytes, *properties;
    size_t length;

    iovageom_report_init(&report, NULL);
    plug(source, 1, 7, IOVAGEOM_VIOMMU_OWN, nothing);
    must(iovageom_viommu_config_space(source, &space) == 0);
    properties = room(space.probe_size, 1);
    must(iovageom_status_virtio(
             iovageom_viommu_probe(source, 1, properties, space.probe_size, &length, NULL)) == 0);
    must(iovageom_status_virtio(iovageom_viommu_attach(source, 1, 1, 0, NULL)) == 0);
    for (size_t i = 0; i < n; i++)
        must(iovageom_status_virtio(iovageom_viommu_map(source, 1, scattered(i, n), 0, RW, NULL)) ==
             0);
    bytes = saved(source, &length);
    plug(destination, 1, 7, IOVAGEOM_VIOMMU_OWN, there);
    start();
    must(iovageom_viommu_load(destination, bytes, length, 0, &report) == expected);
    stop();
    iovageom_report_deinit(&report);
    iovageom_viommu_free(source);
    iovageom_viommu_free(destination);
    iovageom_geometry_free(nothing);
    iovageom_geometry_free(there);
    free(bytes);
    free(properties);
}

static void load_mappings(size_t n)
{
    migrate(n, 0, 0);
}

static void load_refused(size_t n)
{
    migrate(n, n, IOVAGEOM_ERR_CONFLICT);
}

/* A group of n endpoints, each with a promise; the first of them was told n regions. */
static void load_promises(size_t n)
{
    struct iovageom_viommu *source = books(n), *destination = books(n);
    struct iovageom_geometry *much = host(n);
    struct iovageom_virtio_config space;
    uint8_t *bytes, *properties;
    size_t length, needed;

    must(iovageom_viommu_config_space(source, &space) == 0);
    properties = room(space.probe_size, 1);
    for (size_t i = 1; i < n; i++) {
        must(iovageom_viommu_declare(source, (uint32_t)i, 7, IOVAGEOM_ENDPOINT_EMULATED, NULL) ==
             0);
        must(iovageom_viommu_declare(destination, (uint32_t)i, 7, IOVAGEOM_ENDPOINT_EMULATED,
                                     NULL) == 0);
    }
    plug(source, 0, 7, IOVAGEOM_VIOMMU_OWN, much);
    must(iovageom_status_virtio(
             iovageom_viommu_probe(source, 0, properties, space.probe_size, &needed, NULL)) == 0);
    must(iovageom_viommu_unplug(source, 0) == 0);
    must(iovageom_viommu_declare(source, 0, 7, IOVAGEOM_ENDPOINT_EMULATED, NULL) == 0);
    must(iovageom_viommu_declare(destination, 0, 7, IOVAGEOM_ENDPOINT_EMULATED, NULL) == 0);
    for (size_t i = 0; i < n; i++)
        must(iovageom_status_virtio(iovageom_viommu_probe(source, (uint32_t)i, properties,
                                                          space.probe_size, &needed, NULL)) == 0);
    bytes = saved(source, &length);
    start();
    must(iovageom_viommu_load(destination, bytes, length, 0, NULL) == 0);
    must(iovageom_viommu_save(destination, bytes, length, &length) == 0);
    stop();
    iovageom_viommu_free(source);
    iovageom_viommu_free(destination);
    iovageom_geometry_free(much);
    free(bytes);
    free(properties);
}

/* ---- streams that no books have written ---- */

enum { MEMBERS = 6, PROMISE = 1, GROUP = 2, DOMAIN = 3, ATTACHED = 4, MAPPINGS = 5 };

/* Bytes of a stream, to which what is said is appended. There is room for 256 for each of n. */
struct forged {
    uint8_t *bytes;
    size_t length;
};

static void say(struct forged *stream, uint64_t number, size_t width)
{
    test_put(stream->bytes + stream->length, number, width);
    stream->length += width;
}

static void record(struct forged *stream, uint32_t tag, size_t length, uint32_t first)
{
    say(stream, tag, 4);
    say(stream, length, 8);
    say(stream, first, 4);
}

static struct forged forge(size_t n)
{
    struct forged stream = {room(n + 1, 256), 0};
    struct iovageom_viommu *viommu = books(n);

    must(iovageom_viommu_freeze(viommu, NULL) == 0);
    must(iovageom_viommu_save(viommu, stream.bytes, 256, &stream.length) == 0);
    iovageom_viommu_free(viommu);
    return stream;
}

/* Its endpoints are expected; `there` is what a device at endpoint 0 reserves. */
static void load_forged(struct forged *stream, size_t n, struct iovageom_geometry *there,
                        int expected)
{
    struct iovageom_viommu *viommu = books(n);
    struct iovageom_report report;

    iovageom_report_init(&report, NULL);
    plug(viommu, 0, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_VIOMMU_OWN, there);
    test_put(stream->bytes + 16, test_fnv(TEST_FNV, stream->bytes, 24, stream->length), 8);
    start();
    must(iovageom_viommu_load(viommu, stream->bytes, stream->length, IOVAGEOM_LOAD_EXPECT_DEVICES,
                              &report) == expected);
    stop();
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(there);
    free(stream->bytes);
}

/* A group of n endpoints, none of which was told of any of the n places that it was promised. */
static void load_broken(size_t n)
{
    const struct iovageom_range low = R(0, ordered(n).last);
    struct iovageom_geometry *there = host(0);
    struct forged stream = forge(n);

    must(iovageom_geometry_add_reserved(there, low, IOVAGEOM_RESV_RESERVED,
                                        IOVAGEOM_SOURCE_SYSFS) == 0);
    record(&stream, MEMBERS, 4 * n, 0);
    for (uint32_t i = 1; i < n; i++)
        say(&stream, i, 4);
    for (uint32_t i = 0; i < n; i++) {
        record(&stream, PROMISE, 32, i);
        say(&stream, 1, 8);
        say(&stream, low.start, 8);
        say(&stream, low.last, 8);
        say(&stream, IOVAGEOM_RESV_RESERVED, 4);
    }
    record(&stream, GROUP, 4 + 16 * n, 0);
    for (size_t i = 0; i < n; i++) {
        say(&stream, ordered(i).start, 8);
        say(&stream, ordered(i).last, 8);
    }
    load_forged(&stream, n, there, IOVAGEOM_ERR_CONFLICT);
}

/* A domain of n endpoints, each in a group of its own, with n mappings where only the first
 * minds. */
static void load_domain(size_t n, size_t reserved, int expected)
{
    struct forged stream = forge(n);

    for (uint32_t i = 0; i < n; i++)
        record(&stream, MEMBERS, 4, i);
    record(&stream, DOMAIN, 8, 1);
    say(&stream, 0, 4);
    for (uint32_t i = 0; i < n; i++)
        record(&stream, ATTACHED, 4, i);
    say(&stream, MAPPINGS, 4);
    say(&stream, 28 * n, 8);
    for (size_t i = 0; i < n; i++) {
        say(&stream, ordered(i).start, 8);
        say(&stream, ordered(i).last, 8);
        say(&stream, 0, 8);
        say(&stream, 1, 4);
    }
    load_forged(&stream, n, host(reserved), expected);
}

static void load_groups(size_t n)
{
    load_domain(n, 0, 0);
}

static void load_groups_refused(size_t n)
{
    load_domain(n, n, IOVAGEOM_ERR_CONFLICT);
}

const struct measure measures_of_books[] = {
    {"viommu: plug to unplug, n regions", "O(k log k)", GROWTH_LINEAR_LOG, 2048, life},
    {"viommu_freeze, n regions", "O(n k)", GROWTH_LINEAR_LOG, 4096, freeze},
    {"viommu_update, n findings, n members", "O(k log m)", GROWTH_LINEAR_LOG, 1024, update_refused},
    {"viommu: n endpoints in one address_space", "n times O(log n)", GROWTH_LINEAR_LOG, 1024,
     endpoints},
    {"viommu_plug, n aliases", "n times O(log n)", GROWTH_LINEAR_LOG, 2048, aliases},
    {"viommu_request, n of each", "n times O(log n)", GROWTH_LINEAR_LOG, 1024, requests},
    {"viommu_map, n budgets in a domain", "n times O(log n)", GROWTH_LINEAR_LOG, 2048, budgets},
    {"viommu_translate_back, n mappings", "n times O(log n)", GROWTH_LINEAR_LOG, 4096, back},
    {"viommu_translate_back, to one place", "n times O(log n)", GROWTH_LINEAR_LOG, 4096,
     back_to_few},
    {"viommu_request, long", "O(1)", GROWTH_CONSTANT, 65536, long_request},
    {"viommu_attach, refused", "O(k log m)", GROWTH_LINEAR_LOG, 2048, attach_refused},
    {"viommu_load, n mappings", "O(n log n)", GROWTH_LINEAR_LOG, 2048, load_mappings},
    {"viommu_load, n mappings refused", "O(n log n)", GROWTH_LINEAR_LOG, 1024, load_refused},
    {"viommu_load, n promises", "O(n log n)", GROWTH_LINEAR_LOG, 1024, load_promises},
    {"viommu_load, n promises broken", "O(n log n)", GROWTH_LINEAR_LOG, 1024, load_broken},
    {"viommu_load, n groups in a domain", "O(n log n)", GROWTH_LINEAR_LOG, 1024, load_groups},
    {"viommu_load, n groups refused", "O(n log n)", GROWTH_LINEAR_LOG, 1024, load_groups_refused},
    {NULL, NULL, GROWTH_CONSTANT, 0, NULL},
};

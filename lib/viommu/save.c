/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/cold_file.h"

#include <string.h>

#include <iovageom/pgsize.h>

#include "../base/bytes.h"
#include "internal.h"

/*
 * The stream: a head of magic, version, length and checksum of what follows; then the frozen
 * configuration, and a row of records, each a tag, a length and its body. A reader skips tags that
 * it doesn't know. They come in an order in which they can be taken over: members of guest groups,
 * promises, what guest groups were promised, domains with attached endpoints and mappings, and who
 * faults where it should bypass.
 */
#define MAGIC          0x4d4d4f4956474956u /* "VIGVIOMM" */
#define STREAM_VERSION 1u

enum {
    HEAD_SIZE = 24,
    SPACE_SIZE = 64,
    RECORD_HEAD_SIZE = 12,
    MAPPING_SIZE = 28,
    REGION_SIZE = 20
};

enum record {
    RECORD_PROMISE = 1,
    RECORD_GROUP = 2,
    RECORD_DOMAIN = 3,
    RECORD_ATTACHED = 4,
    RECORD_MAPPINGS = 5,
    RECORD_MEMBERS = 6,
    RECORD_SHUT = 7
};

/* FNV-1a: finds what a stream suffers on its way; it is no protection against an enemy. */
static uint64_t checksum(const uint8_t *bytes, size_t length)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < length; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

/* ---- writing: counts when there is no room ---- */

struct writer {
    uint8_t *bytes;
    size_t size;
    size_t used;
};

static void put(struct writer *w, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++, w->used++)
        if (w->used < w->size)
            w->bytes[w->used] = (uint8_t)(value >> (8 * i));
}

static void put_range(struct writer *w, struct iovageom_range range)
{
    put(w, range.start, 8);
    put(w, range.last, 8);
}

static void put_record(struct writer *w, enum record tag, size_t length)
{
    put(w, (uint64_t)tag, 4);
    put(w, length, 8);
}

static void save_space(struct writer *w, const struct iovageom_viommu *viommu)
{
    const struct iovageom_virtio_config *space = &viommu->space;

    put(w, space->page_size_mask, 8);
    put_range(w, space->input_range);
    put(w, space->domain_start, 4);
    put(w, space->domain_last, 4);
    put(w, space->probe_size, 4);
    put(w, viommu->bypass, 4);
    put(w, viommu->config.features, 4);
    put(w, viommu->accepted, 4);
    put(w, viommu->generation, 8);
    put(w, 0, 8);
}

static void save_promise(struct writer *w, const struct iovageom_endpoint *endpoint)
{
    put_record(w, RECORD_PROMISE, 12 + endpoint->told->count * REGION_SIZE);
    put(w, endpoint->id, 4);
    put(w, endpoint->generation, 8);
    for (size_t i = 0; i < endpoint->told->count; i++) {
        put_range(w, endpoint->told->regions[i].range);
        put(w, endpoint->told->regions[i].type, 4);
    }
}

static void save_members(struct writer *w, const struct iovageom_group *group)
{
    const struct iovageom_endpoint *member = group->members.first;

    put_record(w, RECORD_MEMBERS, group->members.count * 4);
    for (; member != NULL; member = member->next[IOVAGEOM_ROLL_GROUP])
        put(w, member->id, 4);
}

/* Guest groups are found again by their first endpoint: their numbers are the VMM's business. */
static void save_group(struct writer *w, const struct iovageom_group *group)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    put_record(w, RECORD_GROUP, 4 + iovageom_rangeset_count(&group->promised) * 16);
    put(w, group->members.first->id, 4);
    iovageom_rangeset_seek(&group->promised, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        put_range(w, range);
}

static void save_domain(struct writer *w, const struct iovageom_domain *domain)
{
    const struct iovageom_endpoint *member = domain->members.first;
    struct iovageom_mappings_cursor cursor;
    struct iovageom_mapping mapping;

    put_record(w, RECORD_DOMAIN, 8);
    put(w, domain->node.index, 4);
    put(w, domain->bypass, 4);
    for (; member != NULL; member = member->next[IOVAGEOM_ROLL_DOMAIN]) {
        put_record(w, RECORD_ATTACHED, 4);
        put(w, member->id, 4);
    }
    put_record(w, RECORD_MAPPINGS, iovageom_mappings_count(&domain->mappings) * MAPPING_SIZE);
    iovageom_mappings_seek(&domain->mappings, 0, &cursor);
    while (iovageom_mappings_next(&cursor, &mapping)) {
        put_range(w, mapping.range);
        put(w, mapping.phys, 8);
        put(w, mapping.flags, 4);
    }
}

/* Whoever was detached while bypass was on, and can't map an identity range: it relies on nothing. */
static bool shut(const struct iovageom_viommu *viommu, const struct iovageom_endpoint *endpoint)
{
    return endpoint->domain == NULL && iovageom_bypass_unattached(viommu) &&
           !iovageom_bypass_fits(viommu, endpoint, &viommu->identity, NULL);
}

static void save_shut(struct writer *w, const struct iovageom_viommu *viommu)
{
    const struct iovageom_endpoint *endpoint = NULL;

    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (shut(viommu, endpoint)) {
            put_record(w, RECORD_SHUT, 4);
            put(w, endpoint->id, 4);
        }
}

static bool any_prepared(const struct iovageom_viommu *viommu)
{
    const struct iovageom_endpoint *endpoint = NULL;

    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (iovageom_plug_pending(endpoint))
            return true;
    return false;
}

int iovageom_viommu_save(const struct iovageom_viommu *viommu, void *buffer, size_t size,
                         size_t *needed)
{
    struct writer w = {buffer, size, HEAD_SIZE};
    const struct iovageom_endpoint *endpoint = NULL;
    const struct iovageom_domain *domain = iovageom_table_from(&viommu->domains, 0);
    size_t length;

    if (!viommu->frozen || any_prepared(viommu))
        return IOVAGEOM_ERR_STATE;
    save_space(&w, viommu);
    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (endpoint->group->members.first == endpoint)
            save_members(&w, endpoint->group);
    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL) {
        if (iovageom_plug_pending(endpoint))
            return IOVAGEOM_ERR_STATE;
        if (endpoint->told != NULL)
            save_promise(&w, endpoint);
        if (endpoint->group->members.first == endpoint &&
            iovageom_rangeset_count(&endpoint->group->promised) > 0)
            save_group(&w, endpoint->group);
    }
    for (; domain != NULL;
         domain = iovageom_table_from(&viommu->domains, (uint64_t)domain->node.index + 1))
        save_domain(&w, domain);
    save_shut(&w, viommu);
    length = w.used;
    if (needed != NULL)
        *needed = length;
    if (length > size)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    w.used = 0;
    put(&w, MAGIC, 8);
    put(&w, STREAM_VERSION, 4);
    put(&w, 0, 4);
    put(&w, checksum(w.bytes + HEAD_SIZE, length - HEAD_SIZE), 8);
    return IOVAGEOM_OK;
}

/* ---- reading ---- */

struct loader {
    struct iovageom_viommu *viommu;
    struct iovageom_report *report;
    uint32_t domain; /**< that the records speak of */
    bool bypass;
    bool open;   /**< whether there was one */
    bool expect; /**< devices may come later */
    bool refused;
};

static IOVAGEOM_COLD void load_object(struct loader *l, const struct iovageom_finding *finding)
{
    iovageom_report_add(l->report, finding);
    l->refused = true;
}

/* An endpoint that isn't here was missed where the stream named the members of its guest group. */
static int load_endpoint(const struct loader *l, const uint8_t *id, struct iovageom_endpoint **out)
{
    *out = iovageom_table_at(&l->viommu->endpoints, iovageom_load_le32(id));
    return *out != NULL || l->refused ? IOVAGEOM_OK : IOVAGEOM_ERR_MALFORMED;
}

/* The guest group where the members are, or where those are to be made that are yet to come. */
static struct iovageom_group *members_group(const struct loader *l, const uint8_t *body,
                                            size_t length)
{
    for (size_t at = 0; at + 4 <= length; at += 4) {
        const struct iovageom_endpoint *endpoint =
            iovageom_table_at(&l->viommu->endpoints, iovageom_load_le32(body + at));

        if (endpoint != NULL)
            return endpoint->group->loaded ? NULL : endpoint->group;
    }
    return NULL;
}

/* The members of a guest group: they are in one here too, and not in that of others. */
static int load_members(struct loader *l, const uint8_t *body, size_t length)
{
    struct iovageom_group *group = members_group(l, body, length);
    int error = IOVAGEOM_OK;

    for (size_t at = 0; at + 4 <= length; at += 4) {
        const uint32_t id = iovageom_load_le32(body + at);
        struct iovageom_endpoint *endpoint = iovageom_table_at(&l->viommu->endpoints, id);
        struct iovageom_finding finding = iovageom_finding_blank(
            endpoint == NULL ? IOVAGEOM_FINDING_NOT_FOUND : IOVAGEOM_FINDING_OTHER,
            IOVAGEOM_ERR_CONFLICT);

        if (endpoint == NULL && l->expect) {
            error = iovageom_endpoint_make_expected(l->viommu, id, group, &endpoint);
            if (error != IOVAGEOM_OK)
                return error;
            group = endpoint->group;
        }
        finding.endpoint = id;
        if (endpoint != NULL)
            finding.detail = "an endpoint is in another guest group than at the source";
        if (endpoint == NULL || endpoint->group != group)
            load_object(l, &finding);
        else
            group->loaded = true;
    }
    return length % 4 != 0 ? IOVAGEOM_ERR_MALFORMED : IOVAGEOM_OK;
}

static int load_promise(struct loader *l, const uint8_t *body, size_t length)
{
    const size_t count = length < 12 ? 0 : (length - 12) / REGION_SIZE;
    struct iovageom_endpoint *endpoint;
    struct iovageom_wire *wire;
    int error;

    if (length != 12 + count * REGION_SIZE || iovageom_load_le64(body + 4) == 0 ||
        iovageom_load_le64(body + 4) > l->viommu->generation)
        return IOVAGEOM_ERR_MALFORMED;
    error = load_endpoint(l, body, &endpoint);
    if (endpoint == NULL)
        return error;
    if (endpoint->told != NULL)
        return IOVAGEOM_ERR_MALFORMED;
    error = iovageom_wire_new(l->viommu, count, &wire);
    if (error != IOVAGEOM_OK)
        return error;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = body + 12 + i * REGION_SIZE;

        wire->regions[i] = (struct iovageom_region){
            {iovageom_load_le64(at), iovageom_load_le64(at + 8)}, iovageom_load_le32(at + 16), 0};
    }
    error = iovageom_virtio_wire_check(wire->regions, count) != IOVAGEOM_OK
                ? IOVAGEOM_ERR_MALFORMED
                : iovageom_promise_keep(l->viommu, endpoint, wire);
    if (error != IOVAGEOM_OK) {
        iovageom_wire_put(l->viommu, wire);
        return error;
    }
    endpoint->generation = iovageom_load_le64(body + 4);
    return IOVAGEOM_OK;
}

static int load_group(struct loader *l, const uint8_t *body, size_t length)
{
    struct iovageom_rangeset promised;
    struct iovageom_endpoint *endpoint;
    int error;

    if (length < 4 || (length - 4) % 16 != 0)
        return IOVAGEOM_ERR_MALFORMED;
    error = load_endpoint(l, body, &endpoint);
    if (endpoint == NULL)
        return error;
    error = iovageom_rangeset_init(&promised, &l->viommu->allocator);
    for (size_t at = 4; error == IOVAGEOM_OK && at < length; at += 16)
        error = iovageom_rangeset_insert(
            &promised, (struct iovageom_range){iovageom_load_le64(body + at),
                                               iovageom_load_le64(body + at + 8)});
    if (error == IOVAGEOM_OK)
        error = iovageom_rangeset_union(&endpoint->group->promised, &endpoint->group->promised,
                                        &promised);
    iovageom_rangeset_deinit(&promised);
    return error == IOVAGEOM_ERR_INVERTED ? IOVAGEOM_ERR_MALFORMED : error;
}

/* A live domain is answered as if the guest made it anew. */
static int load_status(struct loader *l, int status)
{
    if (status == IOVAGEOM_ERR_NO_MEMORY)
        return status;
    l->refused |= status != IOVAGEOM_OK;
    return IOVAGEOM_OK;
}

static int load_attached(struct loader *l, const uint8_t *body, size_t length)
{
    const uint32_t flags = l->bypass ? IOVAGEOM_VIRTIO_ATTACH_F_BYPASS : 0;
    struct iovageom_endpoint *endpoint;
    int status;
    int error;

    if (length != 4 || !l->open)
        return IOVAGEOM_ERR_MALFORMED;
    error = load_endpoint(l, body, &endpoint);
    if (endpoint == NULL)
        return error;
    if (endpoint->domain != NULL)
        return IOVAGEOM_ERR_MALFORMED;
    if (l->expect)
        iovageom_endpoint_expect(endpoint);
    status = iovageom_attach_decide(l->viommu, l->domain, endpoint->id, flags, l->report);
    if (status == IOVAGEOM_OK)
        status = iovageom_attach_do(l->viommu, l->domain, endpoint->id, flags);
    return load_status(l, status);
}

static int load_mapping(struct loader *l, const struct iovageom_domain *domain,
                        const struct iovageom_mapping *mapping)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_MAPPING, IOVAGEOM_ERR_CONFLICT);
    int status;

    if (iovageom_range_valid(mapping->range) &&
        iovageom_rangeset_first_overlap(&domain->reserved, mapping->range, &finding.against)) {
        finding.range = mapping->range;
        finding.domain = l->domain;
        for (const struct iovageom_link *tie = domain->node.up; tie != NULL && finding.type == 0;
             tie = tie->up_next)
            iovageom_name_group(&finding, l->viommu, (void *)tie->upper, mapping->range);
        load_object(l, &finding);
        return IOVAGEOM_OK;
    }
    status = iovageom_map_do(l->viommu, l->domain, mapping, l->report);
    return load_status(l, status);
}

static int load_mappings(struct loader *l, const uint8_t *body, size_t length)
{
    struct iovageom_domain *domain = iovageom_table_at(&l->viommu->domains, l->domain);
    int error;

    if (length % MAPPING_SIZE != 0 || !l->open)
        return IOVAGEOM_ERR_MALFORMED;
    /* Nobody of the domain could be attached: that was said. */
    if (domain == NULL)
        return l->refused ? IOVAGEOM_OK : IOVAGEOM_ERR_MALFORMED;
    error = iovageom_domain_refresh(l->viommu, domain);
    for (size_t at = 0; error == IOVAGEOM_OK && at < length; at += MAPPING_SIZE) {
        struct iovageom_mapping mapping = {
            {iovageom_load_le64(body + at), iovageom_load_le64(body + at + 8)},
            iovageom_load_le64(body + at + 16),
            iovageom_load_le32(body + at + 24)};

        error = load_mapping(l, domain, &mapping);
    }
    return error;
}

static int load_domain(struct loader *l, const uint8_t *body, size_t length)
{
    if (length != 8 || iovageom_load_le32(body + 4) > 1 ||
        iovageom_table_at(&l->viommu->domains, iovageom_load_le32(body)) != NULL)
        return IOVAGEOM_ERR_MALFORMED;
    l->domain = iovageom_load_le32(body);
    l->bypass = iovageom_load_le32(body + 4) == 1;
    l->open = true;
    return IOVAGEOM_OK;
}

static int load_shut(struct loader *l, const uint8_t *body, size_t length)
{
    struct iovageom_endpoint *endpoint;
    int error;

    if (length != 4)
        return IOVAGEOM_ERR_MALFORMED;
    error = load_endpoint(l, body, &endpoint);
    if (endpoint != NULL)
        endpoint->loaded_shut = true;
    return error;
}

/* Whether books may have frozen like that, and offered it with these features. */
static bool space_sane(const struct iovageom_virtio_config *space, uint32_t features)
{
    return space->page_size_mask != 0 && iovageom_range_valid(space->input_range) &&
           iovageom_range_is_aligned(space->input_range,
                                     iovageom_pgsize_granule(space->page_size_mask)) &&
           space->domain_start <= space->domain_last && space->bypass <= 1 &&
           ((features & IOVAGEOM_VIRTIO_F_INPUT_RANGE) != 0 ||
            iovageom_range_equal(space->input_range, IOVAGEOM_EVERYTHING)) &&
           ((features & IOVAGEOM_VIRTIO_F_PROBE) != 0
                ? space->probe_size >= IOVAGEOM_VIOMMU_LEAST_PROBE
                : space->probe_size == 0);
}

/* The kind of finding says which of these it speaks of; the owner is the destination. */
static void load_number(struct loader *l, enum iovageom_finding_kind kind, uint64_t wanted,
                        uint64_t offered)
{
    struct iovageom_finding finding = iovageom_finding_blank(kind, IOVAGEOM_ERR_CONFLICT);

    finding.wanted = wanted;
    finding.offered = offered;
    if (kind == IOVAGEOM_FINDING_GRANULE)
        finding.owner = iovageom_owner_named(IOVAGEOM_SOURCE_MACHINE, "the destination");
    load_object(l, &finding);
}

/* What was frozen at the source must be what the destination was configured for. */
static void load_config(struct loader *l, const struct iovageom_virtio_config *space,
                        uint32_t features)
{
    const struct iovageom_viommu_config *config = &l->viommu->config;
    const uint64_t granule = iovageom_pgsize_granule(space->page_size_mask);
    const bool fits = config->granule != 0
                          ? config->granule == granule
                          : iovageom_pgsize_accepts(config->page_size_mask, granule);
    struct iovageom_finding wide =
        iovageom_finding_blank(IOVAGEOM_FINDING_INPUT_RANGE, IOVAGEOM_ERR_CONFLICT);
    struct iovageom_finding other =
        iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, IOVAGEOM_ERR_CONFLICT);

    wide.range = space->input_range;
    wide.against = config->input_range;
    wide.owner = iovageom_owner_named(IOVAGEOM_SOURCE_MACHINE, "the destination");
    if (!iovageom_range_contains(config->input_range, space->input_range))
        load_object(l, &wide);
    if ((config->features & IOVAGEOM_VIRTIO_F_PROBE) != 0 && config->probe_size != 0 &&
        config->probe_size != space->probe_size)
        load_number(l, IOVAGEOM_FINDING_PROBE_SIZE, space->probe_size, config->probe_size);
    if (!fits)
        load_number(l, IOVAGEOM_FINDING_GRANULE, granule,
                    config->granule != 0 ? config->granule
                                         : iovageom_pgsize_granule(config->page_size_mask));
    other.detail = "the destination offers other features or domain numbers";
    if (features != config->features || space->domain_start < config->domain_start ||
        space->domain_last > config->domain_last)
        load_object(l, &other);
}

/* The frozen configuration: taken over, then every device, and the envelope, is asked whether it goes with it. */
static int load_space(struct loader *l, const uint8_t *body)
{
    struct iovageom_viommu *viommu = l->viommu;
    const struct iovageom_virtio_config space = {
        iovageom_load_le64(body),
        {iovageom_load_le64(body + 8), iovageom_load_le64(body + 16)},
        iovageom_load_le32(body + 24),
        iovageom_load_le32(body + 28),
        iovageom_load_le32(body + 32),
        iovageom_load_le32(body + 36)};
    const uint32_t features = iovageom_load_le32(body + 40);
    const uint64_t generation = iovageom_load_le64(body + 48);

    if (!space_sane(&space, features) || generation == 0 || generation == UINT64_MAX)
        return IOVAGEOM_ERR_MALFORMED;
    load_config(l, &space, features);
    viommu->space = space;
    viommu->frozen = true;
    viommu->bypass = space.bypass;
    viommu->accepted = viommu->config.features & iovageom_load_le32(body + 44);
    if (generation > viommu->generation)
        viommu->generation = generation;
    l->refused |= iovageom_load_suits(viommu, l->report) != IOVAGEOM_OK;
    return IOVAGEOM_OK;
}

static int load_records(struct loader *l, const uint8_t *bytes, size_t length)
{
    static int (*const readers[])(struct loader *, const uint8_t *, size_t) = {
        [RECORD_PROMISE] = load_promise,   [RECORD_GROUP] = load_group,
        [RECORD_DOMAIN] = load_domain,     [RECORD_ATTACHED] = load_attached,
        [RECORD_MAPPINGS] = load_mappings, [RECORD_MEMBERS] = load_members,
        [RECORD_SHUT] = load_shut,
    };
    size_t at = 0;
    int error = IOVAGEOM_OK;

    while (error == IOVAGEOM_OK && at < length) {
        const uint8_t *body = bytes + at + RECORD_HEAD_SIZE;
        uint64_t size;
        uint32_t tag;

        if (length - at < RECORD_HEAD_SIZE)
            return IOVAGEOM_ERR_TRUNCATED;
        size = iovageom_load_le64(bytes + at + 4);
        if (size > length - at - RECORD_HEAD_SIZE)
            return IOVAGEOM_ERR_TRUNCATED;
        tag = iovageom_load_le32(bytes + at);
        if (tag < sizeof(readers) / sizeof(readers[0]) && readers[tag] != NULL)
            error = readers[tag](l, body, (size_t)size);
        at += RECORD_HEAD_SIZE + (size_t)size;
    }
    return error;
}

/* Does every guest group still have what it was promised? */
static int load_compare(struct loader *l)
{
    struct iovageom_group *group = iovageom_table_from(&l->viommu->groups, 0);
    struct iovageom_rangeset broken;
    struct iovageom_rangeset_cursor cursor;
    int error = iovageom_rangeset_init(&broken, &l->viommu->allocator);

    for (; error == IOVAGEOM_OK && group != NULL;
         group = iovageom_table_from(&l->viommu->groups, group->key + 1)) {
        struct iovageom_promisees promisees;
        struct iovageom_range against;

        iovageom_promisees_init(&promisees, l->viommu, group);
        group->loaded = false;
        error = iovageom_group_refresh(l->viommu, group);
        if (error == IOVAGEOM_OK)
            error = iovageom_rangeset_intersection(&broken, &group->promised, &group->view.all);
        iovageom_rangeset_seek(&broken, 0, &cursor);
        while (error == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &against)) {
            struct iovageom_finding finding =
                iovageom_finding_blank(IOVAGEOM_FINDING_PROMISE, IOVAGEOM_ERR_CONFLICT);

            finding.against = against;
            (void)iovageom_rangeset_first_overlap(&group->promised, against, &finding.range);
            finding.endpoint = iovageom_promised_to(&promisees, against);
            iovageom_name_group(&finding, l->viommu, group, against);
            load_object(l, &finding);
        }
        iovageom_promisees_deinit(&promisees);
    }
    iovageom_rangeset_deinit(&broken);
    return error;
}

/* Whoever bypasses now must be able to: the same question as iovageom_viommu_set_bypass() asks. But
   for those who could not at the source either. */
static void load_bypass(struct loader *l)
{
    struct iovageom_viommu *viommu = l->viommu;
    const struct iovageom_endpoint *endpoint = NULL;

    while (iovageom_bypass_unattached(viommu) &&
           (endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        l->refused |= endpoint->domain == NULL && !endpoint->loaded_shut &&
                      !iovageom_bypass_fits(viommu, endpoint, &viommu->identity, l->report);
}

static void load_begin(struct iovageom_viommu *viommu)
{
    struct iovageom_endpoint *endpoint = NULL;

    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        endpoint->loaded_shut = false;
}

static int load_head(const uint8_t *bytes, size_t length)
{
    if (length < HEAD_SIZE)
        return IOVAGEOM_ERR_TRUNCATED;
    if (iovageom_load_le64(bytes) != MAGIC)
        return IOVAGEOM_ERR_MALFORMED;
    if (iovageom_load_le32(bytes + 8) != STREAM_VERSION)
        return IOVAGEOM_ERR_VERSION;
    if (length < HEAD_SIZE + SPACE_SIZE)
        return IOVAGEOM_ERR_TRUNCATED;
    if (iovageom_load_le64(bytes + 16) != checksum(bytes + HEAD_SIZE, length - HEAD_SIZE))
        return IOVAGEOM_ERR_MALFORMED;
    return IOVAGEOM_OK;
}

/* Whatever the stream has changed: books that have seen no guest hold nothing else for a reset. */
static void load_take_back(struct iovageom_viommu *viommu, uint32_t bypass, uint32_t accepted,
                           uint64_t generation)
{
    iovageom_viommu_reset(viommu, true);
    viommu->frozen = false;
    viommu->bypass = bypass;
    viommu->accepted = accepted;
    viommu->generation = generation;
}

static int load_try(struct iovageom_viommu *viommu, const void *bytes, size_t length,
                    uint32_t flags, bool keep, struct iovageom_report *report)
{
    const uint32_t bypass = viommu->bypass;
    const uint32_t accepted = viommu->accepted;
    const uint64_t generation = viommu->generation;
    const uint8_t *stream = bytes;
    struct loader l = {
        .viommu = viommu, .report = report, .expect = (flags & IOVAGEOM_LOAD_EXPECT_DEVICES) != 0};
    int error = load_head(stream, length);

    iovageom_report_clear(report);
    if (viommu->frozen)
        return IOVAGEOM_ERR_STATE;
    if ((flags & ~(uint32_t)IOVAGEOM_LOAD_EXPECT_DEVICES) != 0)
        return IOVAGEOM_ERR_INVALID;
    if (error != IOVAGEOM_OK)
        return error;
    load_begin(viommu);
    error = load_space(&l, stream + HEAD_SIZE);
    if (error == IOVAGEOM_OK)
        error = load_records(&l, stream + HEAD_SIZE + SPACE_SIZE, length - HEAD_SIZE - SPACE_SIZE);
    if (error == IOVAGEOM_OK)
        error = load_compare(&l);
    if (error == IOVAGEOM_OK)
        load_bypass(&l);
    if (error == IOVAGEOM_OK && l.refused)
        error = IOVAGEOM_ERR_CONFLICT;
    if (error == IOVAGEOM_OK && keep)
        viommu->generation++;
    else
        load_take_back(viommu, bypass, accepted, generation);
    return error;
}

int iovageom_viommu_load(struct iovageom_viommu *viommu, const void *bytes, size_t length,
                         uint32_t flags, struct iovageom_report *report)
{
    return load_try(viommu, bytes, length, flags, true, report);
}

int iovageom_viommu_load_check(struct iovageom_viommu *viommu, const void *bytes, size_t length,
                               uint32_t flags, struct iovageom_report *report)
{
    return load_try(viommu, bytes, length, flags, false, report);
}

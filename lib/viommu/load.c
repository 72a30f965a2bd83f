/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/range.h"
#include "../virtio/virtio_internal.h"
#include "internal.h"
#include "stream.h"

/*
 * A stream is taken over as if the guest did everything anew: ATTACH and MAP are decided as for a
 * guest, so that nothing gets in that a guest could not have made here.
 *
 * Two kinds of trouble are kept apart. Bytes that no save() can have written are MALFORMED, and end
 * the load. What this host can't honour is a finding that sets `refused`, and the load goes on, so
 * that the report names every obstacle. After the first refusal a record may speak of an endpoint
 * or a domain that could not be made: that is no longer MALFORMED.
 *
 * Either way the object is reset to what it was. It is not frozen and no device is expected, so it
 * has seen no guest, and a reset takes away only what load made.
 */

struct loader {
    struct iovageom_viommu *viommu;
    struct iovageom_report *report;
    uint32_t domain;     /**< number in the last RECORD_DOMAIN: later records are about it */
    bool bypass;         /**< the flag in the same record */
    bool open;           /**< there was a RECORD_DOMAIN, whose RECORD_MAPPINGS is yet to come */
    bool expect;         /**< IOVAGEOM_LOAD_EXPECT_DEVICES: endpoints that are missing are made */
    bool refused;        /**< something can't be honoured: the load will end with CONFLICT */
    uint32_t accepted;   /**< features of the source's driver, as far as they are offered here */
    uint64_t generation; /**< of the source */
    struct iovageom_endpoint *endpoint; /**< that the record at hand begins with */
};

/*
 * What was decided as for a guest, or is asked here: a refusal goes into `refused`, and the load
 * goes on. Lack of memory is no property of the host, and ends it.
 */
static int load_status(struct loader *l, int status)
{
    if (status == IOVAGEOM_ERR_NO_MEMORY)
        return status;
    l->refused |= status != IOVAGEOM_OK;
    return IOVAGEOM_OK;
}

/* The stream needs `wanted`, and this host or its configuration has `offered`. */
static void load_number(struct loader *l, enum iovageom_finding_kind kind, uint64_t endpoint,
                        uint64_t wanted, uint64_t offered)
{
    (void)load_status(l, iovageom_refuse_number(l->report, kind, IOVAGEOM_ERR_CONFLICT,
                                                IOVAGEOM_ID_NONE, endpoint, wanted, offered));
}

static void load_detail(struct loader *l, const char *detail, uint64_t endpoint)
{
    (void)load_status(l, iovageom_refuse_saying(l->report, IOVAGEOM_ERR_CONFLICT, detail,
                                                IOVAGEOM_ID_NONE, endpoint));
}

/*
 * The guest group here for a RECORD_MEMBERS: that of the first member that exists. NULL when none
 * exists, or when another record has taken that group: endpoints of two groups at the source can't
 * be in one here, for the guest was told two lists.
 */
static struct iovageom_group *members_group(const struct loader *l, struct iovageom_reader body)
{
    while (body.left >= 4) {
        const struct iovageom_endpoint *endpoint =
            iovageom_endpoint_at(l->viommu, iovageom_read32(&body));

        if (endpoint != NULL)
            return endpoint->group->loaded ? NULL : endpoint->group;
    }
    return NULL;
}

/*
 * RECORD_MEMBERS: all of them must be in one guest group here too, and no other record's in it. One
 * that is expected is made: in the group of the others, or in a new group without a number. One
 * whose device is only prepared is expected, too.
 */
static int load_members(struct loader *l, struct iovageom_reader *body)
{
    struct iovageom_viommu *viommu = l->viommu;
    struct iovageom_group *group = members_group(l, *body);

    while (body->left >= 4) {
        const uint32_t id = iovageom_read32(body);
        struct iovageom_endpoint *endpoint = iovageom_endpoint_at(viommu, id);

        if (endpoint == NULL && l->expect) {
            endpoint = iovageom_endpoint_make(
                viommu, id, group != NULL ? group->key : iovageom_next_own_group(viommu),
                IOVAGEOM_ENDPOINT_DEVICE);
            if (endpoint == NULL)
                return IOVAGEOM_ERR_NO_MEMORY;
            endpoint->group->unnumbered |= group == NULL;
            group = endpoint->group;
        }
        if (endpoint != NULL && l->expect && endpoint->kind == IOVAGEOM_ENDPOINT_DEVICE)
            endpoint->expected |= !iovageom_endpoint_visible(endpoint);
        if (endpoint == NULL)
            load_number(l, IOVAGEOM_FINDING_NOT_FOUND, id, 0, 0);
        else if (endpoint->group != group)
            load_detail(l, "an endpoint is in another guest group than at the source", id);
        else
            group->loaded = true;
    }
    return IOVAGEOM_OK;
}

/* RECORD_PROMISE: generation, regions. Recorded as if a PROBE had been answered so. */
static int load_promise(struct loader *l, struct iovageom_reader *body)
{
    const uint64_t generation = iovageom_read64(body);
    const size_t count = body->left / REGION_SIZE;
    struct iovageom_wire_list *wire;
    int error;

    if (generation == 0 || generation > l->generation || l->endpoint->promise != NULL)
        return IOVAGEOM_ERR_MALFORMED;
    error = iovageom_wire_new(l->viommu, count, &wire);
    if (error != IOVAGEOM_OK)
        return error;
    for (size_t i = 0; i < count; i++) {
        wire->regions[i].range = iovageom_read_range(body);
        wire->regions[i].type = iovageom_read32(body);
        wire->regions[i].owner = 0;
    }
    error = iovageom_wire_check(wire->regions, count) != IOVAGEOM_OK
                ? IOVAGEOM_ERR_MALFORMED
                : iovageom_promise_keep(l->viommu, l->endpoint, wire, generation);
    if (error != IOVAGEOM_OK)
        iovageom_wire_put(l->viommu, wire);
    return error;
}

/* RECORD_GROUP. More than the promises of its members: some were made to members that are gone. */
static int load_group(struct loader *l, struct iovageom_reader *body)
{
    int error = IOVAGEOM_OK;

    while (error == IOVAGEOM_OK && body->left >= 16)
        error = iovageom_rangeset_insert(&l->endpoint->group->promised, iovageom_read_range(body));
    return error == IOVAGEOM_ERR_INVERTED ? IOVAGEOM_ERR_MALFORMED : error;
}

/* RECORD_ATTACHED. With EXPECT_DEVICES an empty slot counts as one with a device. */
static int load_attached(struct loader *l, struct iovageom_reader *body)
{
    const uint32_t flags = l->bypass ? IOVAGEOM_VIRTIO_ATTACH_F_BYPASS : 0;
    struct iovageom_move move;
    int status;

    (void)body;
    if (!l->open || l->endpoint->domain != NULL)
        return IOVAGEOM_ERR_MALFORMED;
    if (l->expect)
        l->endpoint->expected |= !iovageom_endpoint_visible(l->endpoint);
    status = iovageom_attach_decide(l->viommu, l->domain, l->endpoint->id, flags, l->report, &move);
    if (status == IOVAGEOM_OK)
        status = iovageom_move_do(l->viommu, &move);
    return load_status(l, status);
}

static int load_mappings(struct loader *l, struct iovageom_reader *body)
{
    int error = IOVAGEOM_OK;
    const bool none = iovageom_domain_at(l->viommu, l->domain) == NULL;

    if (!l->open || (none && !l->refused))
        return IOVAGEOM_ERR_MALFORMED;
    /* All endpoints of it came before: else what is reserved in it would be found anew for each. */
    l->open = false;
    /* No endpoint of the domain could be attached; already reported. */
    if (none)
        (void)iovageom_read_part(body, body->left);
    while (error == IOVAGEOM_OK && body->left >= MAPPING_SIZE) {
        struct iovageom_change change;
        int status;

        change.mapping.range = iovageom_read_range(body);
        change.mapping.phys = iovageom_read64(body);
        change.mapping.flags = iovageom_read32(body);
        status = iovageom_map_decide(l->viommu, l->domain, l->report, &change);
        if (status == IOVAGEOM_OK)
            status = iovageom_map_do(l->viommu, &change);
        error = load_status(l, status);
    }
    return error;
}

/* RECORD_DOMAIN: only remembered. The first ATTACH makes the domain, as for a guest. */
static int load_domain(struct loader *l, struct iovageom_reader *body)
{
    const uint32_t number = iovageom_read32(body);
    const uint32_t bypass = iovageom_read32(body);

    if (bypass > 1 || iovageom_domain_at(l->viommu, number) != NULL)
        return IOVAGEOM_ERR_MALFORMED;
    l->domain = number;
    l->bypass = bypass == 1;
    l->open = true;
    return IOVAGEOM_OK;
}

/* RECORD_FAULTS: it could not bypass at the source either, so it need not here. */
static int load_faults(struct loader *l, struct iovageom_reader *body)
{
    (void)body;
    l->endpoint->faulted = true;
    return IOVAGEOM_OK;
}

/* Whether any save() can have written this config space: what freeze and new() guarantee. */
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

/*
 * The guest has read the config space of the source, so the destination must go on showing it: the
 * VMM's configuration here must allow that. Devices are asked later, by iovageom_ask_all().
 */
static void load_config(struct loader *l, const struct iovageom_virtio_config *space,
                        uint32_t features)
{
    const struct iovageom_viommu_config *config = &l->viommu->config;
    const uint64_t granule = iovageom_pgsize_granule(space->page_size_mask);
    const uint64_t own =
        config->granule != 0 ? config->granule : iovageom_pgsize_granule(config->page_size_mask);
    struct iovageom_finding wide =
        iovageom_finding_of(IOVAGEOM_FINDING_INPUT_RANGE, IOVAGEOM_ERR_CONFLICT, IOVAGEOM_ID_NONE,
                            IOVAGEOM_ID_NONE, space->input_range, config->input_range);

    (void)iovageom_owner_init(&wide.owner, IOVAGEOM_SOURCE_MACHINE, "the destination");
    if (!iovageom_range_contains(config->input_range, space->input_range))
        (void)load_status(l, iovageom_refuse(l->report, &wide));
    if ((config->features & IOVAGEOM_VIRTIO_F_PROBE) != 0 && config->probe_size != 0 &&
        config->probe_size != space->probe_size)
        load_number(l, IOVAGEOM_FINDING_PROBE_SIZE, IOVAGEOM_ID_NONE, space->probe_size,
                    config->probe_size);
    if (granule < own || (config->granule != 0 && granule != own))
        load_number(l, IOVAGEOM_FINDING_GRANULE, IOVAGEOM_ID_NONE, granule, own);
    if (features != config->features || space->domain_start < config->domain_start ||
        space->domain_last > config->domain_last)
        load_detail(l, "the destination offers other features or domain numbers", IOVAGEOM_ID_NONE);
}

/*
 * Take over the frozen config space, then ask every device and the envelope whether they fit it.
 * Reads what save_space() wrote. A generation here that is higher stays, as it may never fall:
 * endpoints here and in the stream compare theirs with it.
 */
static int load_space(struct loader *l, struct iovageom_reader body)
{
    struct iovageom_viommu *viommu = l->viommu;
    struct iovageom_virtio_config space;
    uint32_t features;
    int status;

    space.page_size_mask = iovageom_read64(&body);
    space.input_range = iovageom_read_range(&body);
    space.domain_start = iovageom_read32(&body);
    space.domain_last = iovageom_read32(&body);
    space.probe_size = iovageom_read32(&body);
    space.bypass = iovageom_read32(&body);
    features = iovageom_read32(&body);
    l->accepted = viommu->config.features & iovageom_read32(&body);
    l->generation = iovageom_read64(&body);
    if (!space_sane(&space, features) || l->generation == 0 || l->generation == UINT64_MAX)
        return IOVAGEOM_ERR_MALFORMED;
    load_config(l, &space, features);
    viommu->shown = space;
    viommu->frozen = true;
    viommu->bypass = space.bypass;
    viommu->accepted = l->accepted;
    if (l->generation > viommu->generation)
        viommu->generation = l->generation;
    status = load_status(l, iovageom_ask_all(viommu, l->report));
    /* What a driver has mapped stays when it accepts less: records are asked by what is offered. */
    viommu->accepted = viommu->config.features;
    return status;
}

/*
 * The endpoint whose number a record begins with. A missing one was reported by load_members(),
 * which comes first; then `refused` is set, and its records are passed over. One that was not
 * reported is in no RECORD_MEMBERS, and the stream is MALFORMED.
 */
static int load_record(struct loader *l, uint32_t tag, struct iovageom_reader *body)
{
    static const struct {
        int (*read)(struct loader *, struct iovageom_reader *);
        bool of_endpoint;
    } records[] = {
        [RECORD_PROMISE] = {load_promise, true},    [RECORD_GROUP] = {load_group, true},
        [RECORD_DOMAIN] = {load_domain, false},     [RECORD_ATTACHED] = {load_attached, true},
        [RECORD_MAPPINGS] = {load_mappings, false}, [RECORD_MEMBERS] = {load_members, false},
        [RECORD_FAULTS] = {load_faults, true},
    };

    int status;

    if (tag >= sizeof(records) / sizeof(records[0]) || records[tag].read == NULL)
        return IOVAGEOM_OK;
    if (records[tag].of_endpoint) {
        l->endpoint = iovageom_endpoint_at(l->viommu, iovageom_read32(body));
        if (body->status < 0 || (l->endpoint == NULL && !l->refused))
            return IOVAGEOM_ERR_MALFORMED;
        if (l->endpoint == NULL)
            return IOVAGEOM_OK;
    }
    status = records[tag].read(l, body);
    return status != IOVAGEOM_OK ? status : iovageom_read_end(body);
}

/* Whether each guest group can still map all that it was promised: one finding for each piece. */
static int load_compare(struct loader *l)
{
    struct iovageom_group *group = NULL;
    struct iovageom_rangeset broken;
    struct iovageom_rangeset_cursor cursor;
    int error = IOVAGEOM_OK;

    (void)iovageom_rangeset_init(&broken, &l->viommu->allocator);
    while (error == IOVAGEOM_OK && (group = iovageom_group_after(l->viommu, group)) != NULL) {
        struct iovageom_range against, promised;
        struct iovageom_endpoint *member;

        /* Nobody is here who relies on its promise. If devices are to come, that is one in a slot,
         * and not known in which; else nobody is left. */
        member = l->expect && iovageom_group_forlorn(group) ? group->members.first : NULL;
        for (; member != NULL; member = member->next[IOVAGEOM_LIST_GROUP])
            member->expected = true;
        iovageom_group_settle(l->viommu, group);
        error = iovageom_group_view(l->viommu, group, &broken);
        error |= iovageom_rangeset_intersection(&broken, &group->promised, &broken);
        iovageom_rangeset_seek(&broken, 0, &cursor);
        while (error == IOVAGEOM_OK && iovageom_rangeset_next(&cursor, &against)) {
            struct iovageom_finding finding;

            (void)iovageom_rangeset_first_overlap(&group->promised, against, &promised);
            finding = iovageom_finding_of(IOVAGEOM_FINDING_PROMISE, IOVAGEOM_ERR_CONFLICT,
                                          IOVAGEOM_ID_NONE, iovageom_promised_to(group, against),
                                          promised, against);
            iovageom_name_group(&finding, l->viommu, group, against);
            (void)load_status(l, iovageom_refuse(l->report, &finding));
        }
    }
    iovageom_rangeset_deinit(&broken);
    return error;
}

/* A dry run is a load that is taken back at the end: so both answer the same. */
int iovageom_viommu_load(struct iovageom_viommu *viommu, const void *bytes, size_t length,
                         uint32_t flags, struct iovageom_report *report)
{
    const uint32_t known = IOVAGEOM_LOAD_EXPECT_DEVICES | IOVAGEOM_LOAD_CHECK;
    const uint32_t bypass = viommu->bypass;
    const uint32_t accepted = viommu->accepted;
    const uint64_t generation = viommu->generation;
    struct loader l = {
        .viommu = viommu, .report = report, .expect = (flags & IOVAGEOM_LOAD_EXPECT_DEVICES) != 0};
    struct iovageom_endpoint *endpoint = NULL;
    struct iovageom_reader reader;
    int error = iovageom_read_begin(&reader, bytes, length, &iovageom_viommu_form);

    iovageom_report_clear(report);
    if (viommu->frozen)
        return IOVAGEOM_ERR_STATE;
    if ((flags & ~known) != 0)
        return IOVAGEOM_ERR_INVALID;
    if (error != IOVAGEOM_OK)
        return error;
    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL) {
        /* The reset below would take back what another load has made. */
        if (endpoint->expected)
            return IOVAGEOM_ERR_STATE;
        endpoint->faulted = endpoint->group->loaded = false;
    }
    viommu->loading = true;
    error = load_space(&l, iovageom_read_part(&reader, SPACE_SIZE));
    while (error == IOVAGEOM_OK && reader.left > 0) {
        const uint32_t tag = iovageom_read32(&reader);
        struct iovageom_reader body = iovageom_read_part(&reader, iovageom_read64(&reader));

        error = reader.status < 0 ? reader.status : load_record(&l, tag, &body);
    }
    viommu->accepted = l.accepted;
    if (error == IOVAGEOM_OK)
        error = load_compare(&l);
    /* As iovageom_viommu_set_bypass() asks. */
    if (error == IOVAGEOM_OK)
        l.refused |= !iovageom_bypass_fits_all(viommu, iovageom_bypass_unattached(viommu),
                                               &viommu->identity, report);
    viommu->loading = false;
    if (error == IOVAGEOM_OK && l.refused)
        error = IOVAGEOM_ERR_CONFLICT;
    if (error == IOVAGEOM_OK && (flags & IOVAGEOM_LOAD_CHECK) == 0)
        return iovageom_changed(viommu);
    /* The reset takes back promises, domains and expected endpoints, and needs no memory. */
    iovageom_viommu_reset(viommu, true);
    viommu->frozen = false;
    viommu->bypass = bypass;
    viommu->accepted = accepted;
    viommu->generation = generation;
    return error;
}

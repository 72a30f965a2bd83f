/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults of the books that were found on trial: each stands for its kind. */
#include "support/test_viommu.h"

#define CONTAINER 7u

static struct iovageom_viommu *books(const struct iovageom_viommu_config *config)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(NULL, config, &viommu), 0);
    return viommu;
}

/* ---- what is left of a budget (issue 11, item 10) ---- */

/* A host of which VFIO says that `left` mappings can still be made. */
static struct iovageom_geometry *host_left(const char *name, uint64_t left)
{
    struct iovageom_geometry *geometry = test_host(NULL, name, 48, PAGES_4K);

    assert_int_equal(iovageom_geometry_add_map_budget(geometry, left, IOVAGEOM_SOURCE_VFIO), 0);
    return geometry;
}

static int plug_left(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t container,
                     uint64_t left, uint32_t flags, struct iovageom_report *report)
{
    struct iovageom_geometry *geometry = host_left("0000:01:00.0", left);
    struct iovageom_plug_options where;
    int error;

    iovageom_plug_options_init(&where);
    where.address_space = container;
    where.flags = flags;
    error = iovageom_viommu_plug(viommu, endpoint, &where, geometry, report);
    iovageom_geometry_free(geometry);
    return error;
}

static int update_left(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t left)
{
    struct iovageom_geometry *geometry = host_left("0000:01:00.0", left);
    int error = iovageom_viommu_update(viommu, endpoint, geometry, 0, NULL);

    iovageom_geometry_free(geometry);
    return error;
}

static void map_pages(struct iovageom_viommu *viommu, uint32_t domain, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                             viommu, domain, R(i << 12, (i << 12) + 0xfff), 0, RW, NULL)),
                         0);
}

static uint8_t map_one(struct iovageom_viommu *viommu, uint32_t domain, uint64_t page)
{
    const struct iovageom_range range = R(page << 12, (page << 12) + 0xfff);

    return iovageom_status_virtio(iovageom_viommu_map(viommu, domain, range, 0, RW, NULL));
}

static uint64_t budget(const struct iovageom_viommu *viommu, uint32_t domain)
{
    struct iovageom_viommu_domain found;

    assert_int_equal(iovageom_viommu_domain(viommu, domain, &found), 0);
    return found.budget;
}

/* The report: 40,000 live mappings, so 25,535 are left. Nobody has taken anything away. */
static void what_is_left_comes_on_top_of_what_is_mapped(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(plug_left(viommu, 1, CONTAINER, 65535, 0, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    map_pages(viommu, 1, 0, 40000);
    if (plug_left(viommu, 2, CONTAINER, 25535, 0, &report) != 0)
        fail_msg("%s", iovageom_report_text(&report));
    assert_int_equal(update_left(viommu, 1, 25535), 0);
    assert_int_equal(budget(viommu, 1), 65535);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 2, 0, NULL)), 0);
    assert_int_equal(update_left(viommu, 2, 25535), 0);
    assert_int_equal(budget(viommu, 1), 65535);
    test_check(viommu);
    /* Another container has to hold them all. */
    assert_int_equal(plug_left(viommu, 3, CONTAINER + 1, 39999, 0, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 3, 0, &report)),
                     IOVAGEOM_VIRTIO_S_UNSUPP);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_BUDGET);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 40000);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 39999);
    assert_int_equal(update_left(viommu, 3, 40000), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 3, 0, NULL)), 0);
    assert_int_equal(budget(viommu, 1), 40000);
    assert_int_equal(map_one(viommu, 1, 50000), IOVAGEOM_VIRTIO_S_NOMEM);
    test_check(viommu);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* What else is mapped in the container, by the VMM itself, is in the next answer. */
static void an_update_says_what_is_left_now(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);

    (void)state;
    assert_int_equal(plug_left(viommu, 1, IOVAGEOM_VIOMMU_OWN, 10, 0, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    map_pages(viommu, 1, 0, 4);
    assert_int_equal(update_left(viommu, 1, 3), 0);
    assert_int_equal(budget(viommu, 1), 7);
    assert_int_equal(update_left(viommu, 1, 0), 0);
    assert_int_equal(budget(viommu, 1), 4);
    assert_int_equal(map_one(viommu, 1, 9), IOVAGEOM_VIRTIO_S_NOMEM);
    assert_int_equal(update_left(viommu, 1, UINT64_MAX - 1), 0);
    assert_int_equal(budget(viommu, 1), UINT64_MAX);
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

/* The kernel counts by container: domains whose endpoints share one share its budget. */
static void domains_in_one_container_share_its_budget(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(plug_left(viommu, 1, CONTAINER, 10, 0, NULL), 0);
    assert_int_equal(plug_left(viommu, 2, CONTAINER, 10, 0, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    map_pages(viommu, 1, 0, 3);
    assert_int_equal(budget(viommu, 1), 10);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 2, 2, 0, NULL)), 0);
    map_pages(viommu, 2, 0, 6);
    assert_int_equal(budget(viommu, 1), 4);
    assert_int_equal(budget(viommu, 2), 7);
    test_check(viommu);
    assert_int_equal(map_one(viommu, 1, 3), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(map_one(viommu, 1, 4), IOVAGEOM_VIRTIO_S_NOMEM);
    assert_int_equal(map_one(viommu, 2, 6), IOVAGEOM_VIRTIO_S_NOMEM);
    /* An emulated endpoint's mappings are on no host; they are once such an endpoint joins. */
    assert_int_equal(
        iovageom_viommu_declare(viommu, 9, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 3, 9, 0, NULL)), 0);
    map_pages(viommu, 3, 0, 7);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 3, 2, 0, &report)),
                     IOVAGEOM_VIRTIO_S_UNSUPP);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 11);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 10);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_unmap(viommu, 3, R(0, 0xfff), NULL, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 3, 2, 0, NULL)), 0);
    assert_int_equal(budget(viommu, 3), 6);
    test_check(viommu);
    /* Alone again. */
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_detach(viommu, 3, 2, NULL)), 0);
    assert_int_equal(budget(viommu, 1), 10);
    map_pages(viommu, 1, 4, 10);
    assert_int_equal(map_one(viommu, 1, 10), IOVAGEOM_VIRTIO_S_NOMEM);
    assert_int_equal(map_one(viommu, 3, 7), IOVAGEOM_VIRTIO_S_OK);
    test_check(viommu);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* Two devices at one endpoint, the second asked when something was mapped. */
static void what_is_left_does_not_tell_devices_apart(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);

    (void)state;
    assert_int_equal(plug_left(viommu, 1, CONTAINER, 10, 0, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    map_pages(viommu, 1, 0, 4);
    assert_int_equal(plug_left(viommu, 1, CONTAINER, 6, IOVAGEOM_PLUG_ALIAS, NULL), 0);
    assert_int_equal(budget(viommu, 1), 10);
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

/* A total is one however much is mapped; of both kinds the smaller counts. */
static void a_total_is_a_total(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_geometry *geometry = host_left("both", 6);
    struct iovageom_report report;
    uint64_t number;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(plug_left(viommu, 1, CONTAINER, 100, 0, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    map_pages(viommu, 1, 0, 4);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 8, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(iovageom_geometry_map_budget(geometry, &number), 0);
    assert_int_equal(number, 6);
    assert_int_equal(iovageom_viommu_update(viommu, 1, geometry, 0, &report), 0);
    assert_int_equal(budget(viommu, 1), 8);
    assert_int_equal(iovageom_geometry_add_map_budget(geometry, 3, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(iovageom_viommu_update(viommu, 1, geometry, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_BUDGET);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 4);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 3);
    /* Whoever lets that pass has no room left, and is told of both numbers. */
    assert_int_equal(
        iovageom_viommu_update(viommu, 1, geometry, IOVAGEOM_PLUG_ALLOW_STALE, &report), 0);
    assert_int_equal(budget(viommu, 1), 3);
    assert_int_equal(iovageom_viommu_map(viommu, 1, R(0x100000, 0x100fff), 0, RW, &report),
                     IOVAGEOM_ERR_LIMIT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_BUDGET);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 5);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 3);
    iovageom_geometry_free(geometry);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* ---- devices that share an endpoint (issue 11, item 15) ---- */

static int plug_at(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t host_group,
                   uint64_t container, uint32_t flags)
{
    struct iovageom_geometry *geometry = test_host(NULL, "behind a bridge", 48, PAGES_4K);
    struct iovageom_plug_options where;
    int error;

    iovageom_plug_options_init(&where);
    where.host_group = host_group;
    where.address_space = container;
    where.flags = flags;
    error = iovageom_viommu_plug(viommu, endpoint, &where, geometry, NULL);
    iovageom_geometry_free(geometry);
    test_check(viommu);
    return error;
}

static uint64_t container_of(const struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_viommu_endpoint found;

    assert_int_equal(iovageom_viommu_endpoint(viommu, endpoint, &found), 0);
    return found.address_space;
}

static void each_device_at_an_endpoint_keeps_its_host_group(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_viommu_endpoint found;

    (void)state;
    assert_int_equal(plug_at(viommu, 1, 5, CONTAINER, 0), 0);
    assert_int_equal(plug_at(viommu, 1, 6, CONTAINER, IOVAGEOM_PLUG_ALIAS), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 1, &found), 0);
    assert_int_equal(found.host_group, 5);
    /* Whoever is of group 6 goes where the second device is. */
    assert_int_equal(plug_at(viommu, 2, 6, IOVAGEOM_VIOMMU_OWN, 0), 0);
    assert_int_equal(container_of(viommu, 2), CONTAINER);
    assert_int_equal(plug_at(viommu, 3, 6, CONTAINER + 1, 0), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_viommu_unplug(viommu, 2), 0);
    /* Which of the two is unplugged can't be told: both groups stay where they were. */
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    for (uint64_t group = 5; group <= 6; group++) {
        assert_int_equal(plug_at(viommu, 3, group, CONTAINER + 1, 0), IOVAGEOM_ERR_INVALID);
        assert_int_equal(plug_at(viommu, 3, group, IOVAGEOM_VIOMMU_OWN, 0), 0);
        assert_int_equal(container_of(viommu, 3), CONTAINER);
        assert_int_equal(iovageom_viommu_unplug(viommu, 3), 0);
    }
    /* None is there any more. */
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    assert_int_equal(plug_at(viommu, 3, 5, CONTAINER + 1, 0), 0);
    assert_int_equal(plug_at(viommu, 4, 6, CONTAINER + 2, 0), 0);
    iovageom_viommu_free(viommu);
}

/* The same when the first one named none, and for one that is aborted, or outlives whose alias it
   shares an endpoint with. */
static void a_host_group_stays_as_long_as_its_device(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_geometry *geometry = test_host(NULL, "behind a bridge", 48, PAGES_4K);
    const uint32_t alias = 2;
    struct iovageom_plug_options where;

    (void)state;
    assert_int_equal(plug_at(viommu, 1, IOVAGEOM_VIOMMU_OWN, CONTAINER, 0), 0);
    assert_int_equal(plug_at(viommu, 1, 6, CONTAINER, IOVAGEOM_PLUG_ALIAS), 0);
    assert_int_equal(plug_at(viommu, 3, 6, CONTAINER + 1, 0), IOVAGEOM_ERR_INVALID);
    iovageom_plug_options_init(&where);
    where.host_group = 8;
    where.address_space = CONTAINER;
    where.flags = IOVAGEOM_PLUG_ALIAS;
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, 1, &where, geometry, NULL), 0);
    assert_int_equal(plug_at(viommu, 3, 8, CONTAINER + 1, 0), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, 1), 0);
    assert_int_equal(plug_at(viommu, 3, 8, CONTAINER + 1, 0), 0);
    /* One that is only prepared is not unplugged with the others. */
    where.host_group = 9;
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, 1, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    test_check(viommu);
    assert_int_equal(plug_at(viommu, 4, 6, CONTAINER + 2, 0), 0);
    assert_int_equal(plug_at(viommu, 5, 9, CONTAINER + 2, 0), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_viommu_plug_commit(viommu, 1), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    assert_int_equal(plug_at(viommu, 5, 9, CONTAINER + 2, 0), 0);
    /* A device of group 10 at an alias of one of group 11, which leaves first. */
    where.host_group = 11;
    where.aliases = &alias;
    where.alias_count = 1;
    where.flags = 0;
    assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, geometry, NULL), 0);
    assert_int_equal(plug_at(viommu, 2, 10, CONTAINER, IOVAGEOM_PLUG_ALIAS), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
    assert_int_equal(plug_at(viommu, 6, 10, CONTAINER + 3, 0), IOVAGEOM_ERR_INVALID);
    assert_int_equal(plug_at(viommu, 6, 11, CONTAINER + 3, 0), 0);
    iovageom_geometry_free(geometry);
    iovageom_viommu_free(viommu);
}

/* ---- what happens between begin and end (issue 11, item 16) ---- */

#define ENDPOINT 1u
#define DOMAIN   4u

static void unplug(struct iovageom_viommu *viommu)
{
    assert_int_equal(iovageom_viommu_unplug(viommu, ENDPOINT), 0);
}

static void detach(struct iovageom_viommu *viommu)
{
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_detach(viommu, DOMAIN, ENDPOINT, NULL)),
                     0);
}

static void reset(struct iovageom_viommu *viommu)
{
    iovageom_viommu_reset(viommu, false);
}

static void restart(struct iovageom_viommu *viommu)
{
    iovageom_viommu_reset(viommu, true);
    assert_int_equal(iovageom_viommu_thaw(viommu), 0);
}

/* The domain goes, and another one has its number. */
static void attach_anew(struct iovageom_viommu *viommu)
{
    detach(viommu);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_attach(viommu, DOMAIN, ENDPOINT, 0, NULL)), 0);
}

static void unmap(struct iovageom_viommu *viommu)
{
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_unmap(viommu, DOMAIN, ALL, NULL, NULL)),
                     0);
}

/* A request is begun, something happens, and it is ended: it is answered as things are then. */
static void interrupt(const struct iovageom_virtio_request *request, bool attached,
                      void (*happens)(struct iovageom_viommu *), int32_t veto, uint8_t wanted)
{
    static uint8_t answer[516];
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_viommu_transaction transaction;
    struct iovageom_report report;
    uint8_t bytes[128];
    size_t size, used;

    iovageom_report_init(&report, NULL);
    assert_int_equal(
        test_plug(viommu, ENDPOINT, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "h", 39, PAGES_4K), NULL),
        0);
    if (attached)
        assert_int_equal(
            iovageom_status_virtio(iovageom_viommu_attach(viommu, DOMAIN, ENDPOINT, 0, NULL)), 0);
    assert_int_equal(iovageom_guest_encode_request(request, bytes, sizeof(bytes), &size), 0);
    iovageom_viommu_request_begin(viommu, bytes, size, sizeof(answer), &transaction, &report);
    assert_int_equal(transaction.status, IOVAGEOM_OK);
    happens(viommu);
    used = iovageom_viommu_request_end(viommu, &transaction, veto, answer, sizeof(answer), &report);
    assert_int_equal(iovageom_status_virtio(transaction.status), wanted);
    assert_int_equal(answer[used - 4], wanted);
    if (wanted != IOVAGEOM_VIRTIO_S_OK && veto == 0)
        assert_true(iovageom_report_at(&report, iovageom_report_count(&report) - 1)->fatal);
    test_check(viommu);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

static void what_happens_between_begin_and_end_is_answered(void **state)
{
    const struct iovageom_virtio_request attach = {
        .type = IOVAGEOM_VIRTIO_T_ATTACH, .domain = DOMAIN, .endpoint = ENDPOINT};
    const struct iovageom_virtio_request detached = {
        .type = IOVAGEOM_VIRTIO_T_DETACH, .domain = DOMAIN, .endpoint = ENDPOINT};
    const struct iovageom_virtio_request map = {
        .type = IOVAGEOM_VIRTIO_T_MAP, .domain = DOMAIN, .virt = R(0, 0xfff), .flags = RW};
    const struct iovageom_virtio_request unmapped = {
        .type = IOVAGEOM_VIRTIO_T_UNMAP, .domain = DOMAIN, .virt = R(0, 0xfff)};
    const struct iovageom_virtio_request probe = {.type = IOVAGEOM_VIRTIO_T_PROBE,
                                                  .endpoint = ENDPOINT};
    enum {
        OK = IOVAGEOM_VIRTIO_S_OK,
        INVAL = IOVAGEOM_VIRTIO_S_INVAL,
        NOENT = IOVAGEOM_VIRTIO_S_NOENT
    };

    (void)state;
    for (int32_t veto = 0; veto >= IOVAGEOM_ERR_HOST; veto += IOVAGEOM_ERR_HOST) {
#define ENDS(request, attached, happens, wanted)                                                   \
    interrupt(&(request), attached, happens, veto,                                                 \
              veto != 0 ? iovageom_status_virtio(veto) : (wanted))
        ENDS(attach, false, unplug, NOENT);
        ENDS(attach, true, unplug, NOENT);
        ENDS(attach, true, detach, OK);
        ENDS(attach, true, reset, OK);
        ENDS(attach, false, restart, OK);
        ENDS(detached, true, unplug, NOENT);
        ENDS(detached, true, detach, INVAL);
        ENDS(detached, true, reset, INVAL);
        ENDS(detached, true, restart, INVAL);
        ENDS(detached, true, attach_anew, OK);
        ENDS(map, true, unplug, NOENT);
        ENDS(map, true, detach, NOENT);
        ENDS(map, true, reset, NOENT);
        ENDS(map, true, restart, NOENT);
        ENDS(map, true, attach_anew, OK);
        ENDS(map, true, unmap, OK);
        ENDS(unmapped, true, unplug, NOENT);
        ENDS(unmapped, true, detach, NOENT);
        ENDS(unmapped, true, restart, NOENT);
        ENDS(unmapped, true, attach_anew, OK);
        ENDS(unmapped, true, unmap, OK);
        ENDS(probe, true, unplug, NOENT);
        ENDS(probe, true, reset, OK);
        ENDS(probe, false, restart, OK);
#undef ENDS
    }
}

/* ---- limits against the guest (issue 11, item 17) ---- */

/* What a guest of emulated endpoints alone can take of the VMM's memory has an end. */
static void a_guest_can_not_map_without_end(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    const uint64_t most = (uint64_t)1 << 20;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    for (uint64_t i = 0; i < most; i++)
        if (iovageom_status_virtio(
                iovageom_viommu_map(viommu, 1, R(i << 13, (i << 13) + 0xfff), 0, RW, NULL)) != 0)
            fail_msg("mapping %u", (unsigned)i);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                         viommu, 1, R(most << 13, (most << 13) + 0xfff), 0, RW, &report)),
                     IOVAGEOM_VIRTIO_S_NOMEM);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_LIMIT);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, most);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

static void a_guest_can_not_make_domains_without_end(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    const uint32_t most = (uint32_t)1 << 16;

    (void)state;
    for (uint32_t i = 0; i <= most; i++) {
        assert_int_equal(iovageom_viommu_declare(viommu, i, IOVAGEOM_VIOMMU_OWN,
                                                 IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, i, i, 0, NULL)),
                         i < most ? IOVAGEOM_VIRTIO_S_OK : IOVAGEOM_VIRTIO_S_NOMEM);
    }
    iovageom_viommu_free(viommu);
}

static void limits_are_the_vmms(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    (void)state;
    iovageom_viommu_config_init(&config);
    assert_int_equal(config.max_mappings, (uint64_t)1 << 22);
    assert_int_equal(config.max_domain_mappings, (uint64_t)1 << 20);
    assert_int_equal(config.max_domains, (uint32_t)1 << 16);
    config.max_mappings = UINT64_MAX;
    config.max_domain_mappings = UINT64_MAX;
    config.max_domains = UINT32_MAX;
    viommu = books(&config);
    assert_int_equal(
        iovageom_viommu_declare(viommu, 1, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    map_pages(viommu, 1, 0, ((uint64_t)1 << 20) + 1);
    iovageom_viommu_free(viommu);
}

/* ---- what a PROBE is answered is made once, and is to be what it would be now ---- */

/* One host says that a window is reserved, another one of the guest group that it is for MSI. */
static void a_window_becomes_one_of_doorbells(void **state)
{
    const struct iovageom_range window = R(0x8000000, 0x80fffff);

    (void)state;
    for (int same = 0; same < 2; same++) {
        struct iovageom_viommu *viommu = books(NULL);
        struct iovageom_plug_options where;
        struct iovageom_region told[4];
        size_t count;

        iovageom_plug_options_init(&where);
        where.guest_group = 5;
        where.address_space = same ? CONTAINER : IOVAGEOM_VIOMMU_OWN;
        for (uint32_t endpoint = 1; endpoint <= 2; endpoint++) {
            struct iovageom_geometry *host;

            assert_int_equal(iovageom_geometry_new(NULL, "host", &host), 0);
            assert_int_equal(iovageom_geometry_add_reserved(host, window,
                                                            endpoint == 1 ? IOVAGEOM_RESV_RESERVED
                                                                          : IOVAGEOM_RESV_MSI,
                                                            IOVAGEOM_SOURCE_SYSFS),
                             0);
            assert_int_equal(iovageom_viommu_plug(viommu, endpoint, &where, host, NULL), 0);
            iovageom_geometry_free(host);
            assert_int_equal(test_probe(viommu, endpoint, told, 4, &count), IOVAGEOM_VIRTIO_S_OK);
            assert_int_equal(count, 1);
            assert_int_equal(told[0].type,
                             endpoint == 1 ? IOVAGEOM_RESV_RESERVED : IOVAGEOM_RESV_MSI);
            test_check(viommu);
        }
        assert_int_equal(iovageom_viommu_unplug(viommu, 2), 0);
        assert_int_equal(test_probe(viommu, 1, told, 4, &count), IOVAGEOM_VIRTIO_S_OK);
        assert_int_equal(told[0].type, IOVAGEOM_RESV_RESERVED);
        iovageom_viommu_free(viommu);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_comes_on_top_of_what_is_mapped),
        cmocka_unit_test(an_update_says_what_is_left_now),
        cmocka_unit_test(domains_in_one_container_share_its_budget),
        cmocka_unit_test(what_is_left_does_not_tell_devices_apart),
        cmocka_unit_test(a_total_is_a_total),
        cmocka_unit_test(each_device_at_an_endpoint_keeps_its_host_group),
        cmocka_unit_test(a_host_group_stays_as_long_as_its_device),
        cmocka_unit_test(what_happens_between_begin_and_end_is_answered),
        cmocka_unit_test(a_guest_can_not_map_without_end),
        cmocka_unit_test(a_guest_can_not_make_domains_without_end),
        cmocka_unit_test(limits_are_the_vmms),
        cmocka_unit_test(a_window_becomes_one_of_doorbells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

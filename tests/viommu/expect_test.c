/* SPDX-License-Identifier: BSD-3-Clause */
/* State that is loaded before its devices are there, and dry runs of a load. */
#include "support/test_viommu.h"

#include "support/test_allocator.h"

enum { SLOT = 1, DEVICE = 2, NEIGHBOUR = 3, DOMAIN = 7 };

/* A source: a slot with a device and two devices without, one of which is attached and probed. */
static size_t source(uint8_t *stream, size_t size)
{
    struct iovageom_region regions[16];
    struct iovageom_viommu *viommu;
    size_t count, length;

    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(
        iovageom_viommu_declare(viommu, SLOT, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_SLOT, NULL),
        0);
    assert_int_equal(test_plug(viommu, SLOT, IOVAGEOM_VIOMMU_OWN,
                               test_host(NULL, "in the slot", 48, PAGES_4K), NULL),
                     0);
    assert_int_equal(test_plug(viommu, DEVICE, 5, test_host(NULL, "device", 48, PAGES_4K), NULL),
                     0);
    assert_int_equal(
        test_plug(viommu, NEIGHBOUR, 5, test_host(NULL, "neighbour", 48, PAGES_4K), NULL), 0);
    assert_int_equal(test_probe(viommu, DEVICE, regions, 16, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_viommu_attach(viommu, DOMAIN, SLOT, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_attach(viommu, DOMAIN, DEVICE, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, DOMAIN, R(BIT39, BIT39 + 0xfff), 0, RW, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, stream, size, &length), 0);
    iovageom_viommu_free(viommu);
    return length;
}

static struct iovageom_viommu *destination(const struct iovageom_allocator *allocator)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(allocator, NULL, &viommu), 0);
    assert_int_equal(
        iovageom_viommu_declare(viommu, SLOT, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_SLOT, NULL),
        0);
    return viommu;
}

static struct iovageom_viommu_endpoint listed(const struct iovageom_viommu *viommu, uint32_t id)
{
    struct iovageom_viommu_endpoint found;

    assert_int_equal(iovageom_viommu_endpoint(viommu, id, &found), 0);
    return found;
}

static void devices_may_come_after_the_state(void **state)
{
    static uint8_t stream[4096];
    const size_t length = source(stream, sizeof(stream));
    struct iovageom_viommu *viommu = destination(NULL);
    struct iovageom_segment segment;
    struct iovageom_viommu_domain domain;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, 4, &report),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(
        iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, &report), 0);
    test_check(viommu);
    assert_int_equal(listed(viommu, SLOT).expected, 1);
    assert_int_equal(listed(viommu, DEVICE).expected, 1);
    assert_int_equal(listed(viommu, DEVICE).plugged, 0);
    assert_int_equal(listed(viommu, DEVICE).domain, DOMAIN);
    assert_true(listed(viommu, DEVICE).generation > 0);
    assert_int_equal(
        iovageom_viommu_translate(viommu, DEVICE, R(BIT39, BIT39), RW, &segment, 1, NULL, NULL), 0);
    /* Each is judged when it comes: by the mapping, and by what its group was promised. */
    assert_int_equal(test_plug(viommu, SLOT, IOVAGEOM_VIOMMU_OWN,
                               test_host(NULL, "narrow", 39, PAGES_4K), &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_MAPPING);
    assert_int_equal(
        test_plug(viommu, NEIGHBOUR, 5, test_host(NULL, "narrow", 39, PAGES_4K), &report),
        IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_PROMISE);
    test_check(viommu);
    assert_int_equal(test_plug(viommu, SLOT, IOVAGEOM_VIOMMU_OWN,
                               test_host(NULL, "in the slot", 48, PAGES_4K), &report),
                     0);
    /* The first that names the guest group gives it its number; another number is refused then. */
    assert_int_equal(
        test_plug(viommu, NEIGHBOUR, 5, test_host(NULL, "neighbour", 48, PAGES_4K), &report), 0);
    assert_int_equal(test_plug(viommu, DEVICE, 6, test_host(NULL, "device", 48, PAGES_4K), &report),
                     IOVAGEOM_ERR_INVALID);
    assert_int_equal(test_plug(viommu, DEVICE, 5, test_host(NULL, "device", 48, PAGES_4K), &report),
                     0);
    test_check(viommu);
    for (uint32_t id = SLOT; id <= NEIGHBOUR; id++) {
        assert_int_equal(listed(viommu, id).expected, 0);
        assert_int_equal(listed(viommu, id).plugged, 1);
    }
    assert_int_equal(listed(viommu, DEVICE).guest_group, 5);
    assert_int_equal(iovageom_viommu_unplug(viommu, DEVICE), 0);
    assert_int_equal(iovageom_viommu_domain(viommu, DOMAIN, &domain), 0);
    assert_int_equal(domain.endpoints, 1);
    assert_int_equal(iovageom_viommu_unplug(viommu, SLOT), 0);
    assert_int_equal(iovageom_viommu_domain(viommu, DOMAIN, &domain), IOVAGEOM_ERR_NOT_FOUND);
    test_check(viommu);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

static void what_never_comes_can_be_taken_back(void **state)
{
    static uint8_t stream[4096];
    const size_t length = source(stream, sizeof(stream));
    struct iovageom_viommu_endpoint found;
    struct iovageom_plug_options options;

    (void)state;
    for (int way = 0; way < 3; way++) {
        struct iovageom_viommu *viommu = destination(NULL);

        assert_int_equal(
            iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL), 0);
        /* A device that is prepared, and is not committed, leaves the endpoint as it was. */
        if (way > 0) {
            struct iovageom_geometry *host = test_host(NULL, "device", 48, PAGES_4K);

            assert_int_equal(iovageom_viommu_plug_prepare(viommu, DEVICE, NULL, host, NULL), 0);
            test_check(viommu);
            assert_int_equal(iovageom_viommu_plug_abort(viommu, DEVICE), 0);
            test_check(viommu);
            assert_int_equal(listed(viommu, DEVICE).domain, DOMAIN);
            assert_int_equal(listed(viommu, DEVICE).guest_group, IOVAGEOM_VIOMMU_OWN);
            /* Only the number that it has named stays with the group. */
            iovageom_plug_options_init(&options);
            options.guest_group = 5;
            assert_int_equal(iovageom_viommu_plug_prepare(viommu, DEVICE, &options, host, NULL), 0);
            assert_int_equal(iovageom_viommu_plug_abort(viommu, DEVICE), 0);
            iovageom_geometry_free(host);
            test_check(viommu);
            assert_int_equal(listed(viommu, DEVICE).domain, DOMAIN);
            assert_int_equal(listed(viommu, DEVICE).guest_group, 5);
        }
        if (way < 2)
            assert_int_equal(iovageom_viommu_undeclare(viommu, DEVICE), 0);
        else
            iovageom_viommu_reset(viommu, false);
        test_check(viommu);
        assert_int_equal(iovageom_viommu_endpoint(viommu, DEVICE, &found), IOVAGEOM_ERR_NOT_FOUND);
        assert_int_equal(listed(viommu, SLOT).expected, way < 2);
        iovageom_viommu_free(viommu);
    }
}

static void a_dry_run_says_what_load_would_and_changes_nothing(void **state)
{
    static uint8_t stream[4096];
    const size_t length = source(stream, sizeof(stream));
    struct iovageom_viommu *viommu = destination(NULL);
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_CHECK, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(iovageom_viommu_load(viommu, stream, length,
                                              IOVAGEOM_LOAD_EXPECT_DEVICES | IOVAGEOM_LOAD_CHECK,
                                              &report),
                         0);
        assert_false(iovageom_viommu_frozen(viommu));
        assert_int_equal(listed(viommu, SLOT).expected, 0);
        assert_false(
            iovageom_viommu_endpoint_next(viommu, SLOT + 1, &(struct iovageom_viommu_endpoint){0}));
        test_check(viommu);
    }
    assert_int_equal(
        iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, &report), 0);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_CHECK, &report),
                     IOVAGEOM_ERR_STATE);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* The n-th allocation fails, for every n: of the load, and of the plug that follows. */
static void lack_of_memory_changes_nothing(void **state)
{
    static uint8_t stream[4096];
    const size_t length = source(stream, sizeof(stream));
    struct test_allocator memory;
    bool hit = true;

    (void)state;
    test_allocator_init(&memory);
    for (size_t nth = 1; hit; nth++) {
        struct iovageom_viommu *viommu = destination(&memory.allocator);
        int error;

        test_allocator_fail_at(&memory, nth, false);
        error = iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(error, hit ? IOVAGEOM_ERR_NO_MEMORY : 0);
        test_check(viommu);
        assert_int_equal(iovageom_viommu_frozen(viommu), !hit);
        iovageom_viommu_free(viommu);
    }
    hit = true;
    for (size_t nth = 1; hit; nth++) {
        struct iovageom_viommu *viommu = destination(&memory.allocator);
        struct iovageom_geometry *host = test_host(NULL, "device", 48, PAGES_4K);
        struct iovageom_plug_options options;
        int error;

        iovageom_plug_options_init(&options);
        options.guest_group = 5;
        options.host_group = 9;
        assert_int_equal(
            iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL), 0);
        test_allocator_fail_at(&memory, nth, false);
        error = iovageom_viommu_plug(viommu, DEVICE, &options, host, NULL);
        hit = test_allocator_stop_failing(&memory);
        assert_true(error == 0 || (hit && error == IOVAGEOM_ERR_NO_MEMORY));
        test_check(viommu);
        assert_int_equal(listed(viommu, DEVICE).plugged, error == 0);
        assert_int_equal(listed(viommu, DEVICE).domain, DOMAIN);
        if (error != 0)
            assert_int_equal(listed(viommu, DEVICE).guest_group, IOVAGEOM_VIOMMU_OWN);
        iovageom_geometry_free(host);
        iovageom_viommu_free(viommu);
    }
    assert_int_equal(test_allocator_live(&memory), 0);
}

/* The first of a domain, then the second; with memory and without, they keep their order. */
static void a_device_that_comes_late_keeps_its_place_in_its_domain(void **state)
{
    static uint8_t stream[4096];
    const size_t length = source(stream, sizeof(stream));
    struct test_allocator memory;

    (void)state;
    test_allocator_init(&memory);
    for (uint32_t id = SLOT; id <= DEVICE; id++) {
        bool hit = true;

        for (size_t nth = 1; hit; nth++) {
            struct iovageom_viommu *viommu = destination(&memory.allocator);
            struct iovageom_geometry *host = test_host(NULL, "device", 48, PAGES_4K);
            struct iovageom_plug_options options;
            uint32_t first = 0, second = 0;
            int error;

            iovageom_plug_options_init(&options);
            options.host_group = 9;
            assert_int_equal(
                iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL),
                0);
            test_allocator_fail_at(&memory, nth, false);
            error = iovageom_viommu_plug(viommu, id, &options, host, NULL);
            hit = test_allocator_stop_failing(&memory);
            assert_true(error == 0 || (hit && error == IOVAGEOM_ERR_NO_MEMORY));
            assert_true(iovageom_viommu_domain_endpoint(viommu, DOMAIN, IOVAGEOM_ID_NONE, &first));
            assert_true(iovageom_viommu_domain_endpoint(viommu, DOMAIN, first, &second));
            assert_int_equal(first, SLOT);
            assert_int_equal(second, DEVICE);
            iovageom_geometry_free(host);
            iovageom_viommu_free(viommu);
        }
    }
    assert_int_equal(test_allocator_live(&memory), 0);
}

/*
 * A device was promised something, and has left; its neighbour in the slot was told nothing. A
 * destination that has no device in the slot, and expects none, has nobody to whom that was
 * promised.
 */
static void a_promise_without_anybody_left_ends(void **state)
{
    struct iovageom_geometry *wide = test_host(NULL, "wide", 48, PAGES_4K);
    struct iovageom_region regions[16];
    struct iovageom_viommu *viommu;
    uint8_t stream[4096];
    size_t count, length;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, SLOT, 5, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(test_plug(viommu, SLOT, 5, test_host(NULL, "in", 48, PAGES_4K), NULL), 0);
    assert_int_equal(test_plug(viommu, DEVICE, 5, wide, NULL), 0);
    assert_int_equal(test_probe(viommu, DEVICE, regions, 16, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_viommu_unplug(viommu, DEVICE), 0);
    assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length), 0);
    iovageom_viommu_free(viommu);

    for (int expect = 0; expect < 2; expect++) {
        assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
        assert_int_equal(iovageom_viommu_declare(viommu, SLOT, 5, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
        assert_int_equal(iovageom_viommu_load(viommu, stream, length,
                                              expect == 1 ? IOVAGEOM_LOAD_EXPECT_DEVICES : 0, NULL),
                         0);
        test_check(viommu);
        assert_int_equal(listed(viommu, SLOT).expected, expect);
        assert_int_equal(test_plug(viommu, SLOT, 5, test_host(NULL, "narrow", 39, PAGES_4K), NULL),
                         expect == 0 ? 0 : IOVAGEOM_ERR_CONFLICT);
        iovageom_viommu_free(viommu);
    }

    /* Others of the group come and go, and do not take the promise along; who relied on it does. */
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, SLOT, 5, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(
        iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL), 0);
    assert_int_equal(test_plug(viommu, DEVICE, 5, test_host(NULL, "wide", 48, PAGES_4K), NULL), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, DEVICE), 0);
    test_check(viommu);
    assert_int_equal(test_plug(viommu, SLOT, 5, test_host(NULL, "narrow", 39, PAGES_4K), NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(test_plug(viommu, SLOT, 5, test_host(NULL, "in", 48, PAGES_4K), NULL), 0);
    assert_int_equal(listed(viommu, SLOT).expected, 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, SLOT), 0);
    test_check(viommu);
    assert_int_equal(test_plug(viommu, SLOT, 5, test_host(NULL, "narrow", 39, PAGES_4K), NULL), 0);
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

/*
 * A device was prepared before the state came, and is taken back behind it: what the guest was
 * promised holds for the next one. A load that is refused leaves the plug as it was.
 */
static void a_promise_outlives_a_plug_that_is_taken_back(void **state)
{
    static uint8_t stream[4096];
    struct iovageom_geometry *host = test_host(NULL, "host", 48, PAGES_4K);
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[16];
    size_t count, length;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, DEVICE, NULL, host, NULL), 0);
    assert_int_equal(test_probe(viommu, DEVICE, regions, 16, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length), 0);
    iovageom_viommu_free(viommu);

    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, DEVICE, NULL, host, NULL), 0);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length,
                                          IOVAGEOM_LOAD_EXPECT_DEVICES | IOVAGEOM_LOAD_CHECK, NULL),
                     0);
    assert_int_equal(listed(viommu, DEVICE).expected, 0);
    assert_int_equal(listed(viommu, DEVICE).prepared, 1);
    assert_int_equal(
        iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL), 0);
    test_check(viommu);
    assert_int_equal(listed(viommu, DEVICE).expected, 1);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, DEVICE), 0);
    test_check(viommu);
    assert_int_equal(listed(viommu, DEVICE).expected, 1);
    assert_int_equal(test_plug(viommu, DEVICE, IOVAGEOM_VIOMMU_OWN,
                               test_host(NULL, "narrow", 39, PAGES_4K), NULL),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_viommu_plug(viommu, DEVICE, NULL, host, NULL), 0);
    assert_int_equal(listed(viommu, DEVICE).expected, 0);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(host);
}

/* A snapshot is loaded into a machine that has gone on since; before, one is that it must
 * refuse. */
static void a_machine_that_ran_goes_back(void **state)
{
    static uint8_t stream[4096];
    const size_t length = source(stream, sizeof(stream));
    struct iovageom_viommu *viommu = destination(NULL);
    struct iovageom_virtio_config own, shown;
    struct iovageom_viommu_domain domain;

    (void)state;
    assert_int_equal(iovageom_viommu_config_space(viommu, &own), 0);
    for (int time = 0; time < 2; time++) {
        iovageom_viommu_reset(viommu, true);
        assert_int_equal(iovageom_viommu_thaw(viommu), 0);
        stream[length - 1] ^= 1;
        assert_int_equal(
            iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL),
            IOVAGEOM_ERR_MALFORMED);
        stream[length - 1] ^= 1;
        assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
        assert_int_equal(iovageom_viommu_config_space(viommu, &shown), 0);
        assert_memory_equal(&shown, &own, sizeof(own));
        assert_int_equal(iovageom_viommu_thaw(viommu), 0);
        assert_int_equal(
            iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL), 0);
        test_check(viommu);
        assert_int_equal(iovageom_viommu_config_space(viommu, &shown), 0);
        assert_int_equal(shown.page_size_mask, PAGES_4K);
        assert_int_equal(iovageom_viommu_domain(viommu, DOMAIN, &domain), 0);
        assert_int_equal(domain.mappings, 1);
        assert_int_equal(iovageom_viommu_map(viommu, DOMAIN, R(0, 0xfff), 0, RW, NULL), 0);
        assert_int_equal(iovageom_viommu_attach(viommu, DOMAIN + 1, DEVICE, 0, NULL), 0);
    }
    iovageom_viommu_free(viommu);
}

/*
 * A device and its alias were attached to two domains when they were loaded. Their host needs room
 * for the mappings of both, and those of an endpoint that comes into one of them count once.
 */
static void domains_that_come_together_share_a_budget(void **state)
{
    static uint8_t stream[4096];
    const uint32_t aliases[] = {2, 3};
    struct iovageom_viommu *viommu;
    struct iovageom_plug_options where;
    struct iovageom_geometry *host, *before;
    struct iovageom_viommu_domain domain;
    struct iovageom_report report;
    size_t length;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    for (uint32_t endpoint = 1; endpoint < 4; endpoint++) {
        const uint32_t number = endpoint < 3 ? endpoint : 1;

        assert_int_equal(
            iovageom_viommu_declare(viommu, endpoint, 5, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
        assert_int_equal(iovageom_viommu_attach(viommu, number, endpoint, 0, NULL), 0);
        for (uint64_t i = 0; i < 5 && endpoint < 3; i++)
            assert_int_equal(
                iovageom_viommu_map(viommu, number, R(i << 12, (i << 12) + 0xfff), 0, RW, NULL), 0);
    }
    assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length), 0);
    iovageom_viommu_free(viommu);
    for (uint64_t budget = 8; budget < 11; budget++)
        for (int of_another = 0; of_another < 2; of_another++) {
            const int wanted = budget < 10 ? IOVAGEOM_ERR_CONFLICT : 0;

            iovageom_plug_options_init(&where);
            where.address_space = 9;
            assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
            host = test_host(NULL, "host", 48, PAGES_4K);
            before = test_host(NULL, "before", 48, PAGES_4K);
            assert_int_equal(iovageom_geometry_add_map_budget(of_another ? before : host, budget,
                                                              IOVAGEOM_SOURCE_VFIO),
                             0);
            assert_int_equal(iovageom_viommu_plug(viommu, 8, &where, before, NULL), 0);
            assert_int_equal(
                iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL),
                0);
            where.aliases = aliases;
            where.alias_count = 2;
            assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, host, &report), wanted);
            if (wanted != 0) {
                const struct iovageom_finding *finding = iovageom_report_at(&report, 0);

                assert_int_equal(finding->kind, IOVAGEOM_FINDING_BUDGET);
                assert_int_equal(finding->wanted, 10);
                assert_int_equal(finding->offered, budget);
                assert_int_equal(finding->owner.source, IOVAGEOM_SOURCE_VFIO);
                assert_string_equal(finding->owner.name, of_another ? "before" : "host");
                where.flags = IOVAGEOM_PLUG_ALLOW_STALE;
                assert_int_equal(iovageom_viommu_plug_check(viommu, 1, &where, host, NULL), 0);
            } else {
                assert_int_equal(iovageom_viommu_domain(viommu, 2, &domain), 0);
                assert_int_equal(domain.budget, 5);
            }
            test_check(viommu);
            iovageom_geometry_free(host);
            iovageom_geometry_free(before);
            iovageom_viommu_free(viommu);
        }
    iovageom_report_deinit(&report);
}

/* What a load has made is not taken back by another one that is refused, or a dry run. */
static void a_second_load_waits_for_a_reset(void **state)
{
    static uint8_t stream[4096];
    struct iovageom_viommu *viommu;
    size_t length;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(
        iovageom_viommu_declare(viommu, 9, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length), 0);
    iovageom_viommu_free(viommu);
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(
        iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL), 0);
    /* It has no promise and no domain, so this goes without a reset. */
    assert_int_equal(iovageom_viommu_thaw(viommu), 0);
    for (uint32_t flags = 0; flags < 4; flags++) {
        assert_int_equal(iovageom_viommu_load(viommu, stream, length, flags, NULL),
                         IOVAGEOM_ERR_STATE);
        assert_int_equal(listed(viommu, 9).expected, 1);
        assert_false(iovageom_viommu_frozen(viommu));
    }
    iovageom_viommu_reset(viommu, true);
    assert_int_equal(
        iovageom_viommu_load(viommu, stream, length, IOVAGEOM_LOAD_EXPECT_DEVICES, NULL), 0);
    assert_int_equal(listed(viommu, 9).expected, 1);
    iovageom_viommu_free(viommu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_may_come_after_the_state),
        cmocka_unit_test(what_never_comes_can_be_taken_back),
        cmocka_unit_test(a_dry_run_says_what_load_would_and_changes_nothing),
        cmocka_unit_test(lack_of_memory_changes_nothing),
        cmocka_unit_test(a_device_that_comes_late_keeps_its_place_in_its_domain),
        cmocka_unit_test(a_promise_without_anybody_left_ends),
        cmocka_unit_test(a_promise_outlives_a_plug_that_is_taken_back),
        cmocka_unit_test(a_machine_that_ran_goes_back),
        cmocka_unit_test(domains_that_come_together_share_a_budget),
        cmocka_unit_test(a_second_load_waits_for_a_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

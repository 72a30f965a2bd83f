/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that runs out when there is much of everything: tables and lists have outgrown what lies
 * inside the objects then, and take memory of their own. Each change of the books, with the n-th
 * allocation failing, for every n, once and for good: nobody can tell that it was tried.
 */
#include "support/test_viommu.h"

#include "support/test_allocator.h"
#include "support/test_photo.h"

#define OWN IOVAGEOM_VIOMMU_OWN

enum { SPARE = 1000, DOMAIN = 500 };

static struct test_allocator memory;
static struct iovageom_geometry *host, *other, *last; /* last: reserves what nobody does */

/*
 * Books with `count` of all there is: devices in containers, host groups and guest groups of their
 * own, each told, each attached to a domain with some mappings.
 */
static struct iovageom_viommu *crowd(uint32_t count)
{
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[16];
    size_t told;

    assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &viommu), 0);
    iovageom_plug_options_init(&where);
    for (uint32_t i = 0; i < count; i++) {
        where.host_group = where.address_space = where.guest_group = i;
        assert_int_equal(iovageom_viommu_plug(viommu, i, &where, i % 2 == 0 ? host : other, NULL),
                         0);
        assert_int_equal(test_probe(viommu, i, regions, 16, &told), 0);
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, i, i, 0, NULL)), 0);
        for (uint64_t j = 0; j < i; j++)
            assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                                 viommu, i, R(j << 12, (j << 12) + 0xfff), j << 13, 1, NULL)),
                             0);
    }
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    return viommu;
}

/* ---- the changes; each answers an enum iovageom_status ---- */

static int wire_status(uint8_t status)
{
    return status == IOVAGEOM_VIRTIO_S_NOMEM ? IOVAGEOM_ERR_NO_MEMORY : -(int)status;
}

static int plug_alone(struct iovageom_viommu *viommu)
{
    return iovageom_viommu_plug(viommu, SPARE, NULL, last, NULL);
}

static int plug_into_all_numbers(struct iovageom_viommu *viommu)
{
    const uint32_t aliases[] = {SPARE + 1, SPARE + 2, SPARE + 3, SPARE + 4, SPARE + 5,
                                SPARE + 6, SPARE + 7, SPARE + 8, SPARE + 9};
    struct iovageom_plug_options where;

    iovageom_plug_options_init(&where);
    where.host_group = where.address_space = where.guest_group = SPARE;
    where.aliases = aliases;
    where.alias_count = 9;
    return iovageom_viommu_plug(viommu, SPARE, &where, last, NULL);
}

static int plug_into_company(struct iovageom_viommu *viommu)
{
    struct iovageom_plug_options where;

    iovageom_plug_options_init(&where);
    where.host_group = 0;
    where.guest_group = 1;
    where.flags = IOVAGEOM_PLUG_ALLOW_STALE;
    return iovageom_viommu_plug(viommu, SPARE, &where, last, NULL);
}

static int declare_slot(struct iovageom_viommu *viommu)
{
    return iovageom_viommu_declare(viommu, SPARE, OWN, IOVAGEOM_ENDPOINT_SLOT, NULL);
}

static int declare_port(struct iovageom_viommu *viommu)
{
    return iovageom_viommu_declare(viommu, SPARE, SPARE, IOVAGEOM_ENDPOINT_EMULATED, NULL);
}

static int update(struct iovageom_viommu *viommu)
{
    return iovageom_viommu_update(viommu, 2, last, IOVAGEOM_PLUG_ALLOW_STALE, NULL);
}

static int set_identity(struct iovageom_viommu *viommu)
{
    struct iovageom_range ranges[20];

    for (uint64_t i = 0; i < 20; i++)
        ranges[i] = R(i << 20, (i << 20) + 0xffff);
    return iovageom_viommu_set_identity(viommu, ranges, 20, NULL);
}

static int attach_anew(struct iovageom_viommu *viommu)
{
    return wire_status(iovageom_status_virtio(iovageom_viommu_attach(viommu, DOMAIN, 0, 0, NULL)));
}

static int attach_to_another(struct iovageom_viommu *viommu)
{
    return wire_status(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 0, 0, NULL)));
}

static int attach_by_bytes(struct iovageom_viommu *viommu)
{
    const struct iovageom_virtio_request request = {
        .type = IOVAGEOM_VIRTIO_T_ATTACH, .domain = DOMAIN, .endpoint = 0};
    uint8_t bytes[72], tail[4] = {0xee};
    size_t size;

    assert_int_equal(iovageom_guest_encode_request(&request, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(iovageom_viommu_request(viommu, bytes, size, tail, 4, NULL), 4);
    return wire_status(tail[0]);
}

static int map_one(struct iovageom_viommu *viommu)
{
    return wire_status(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 0, R(0x100000, 0x100fff), 0, 1, NULL)));
}

static int map_many(struct iovageom_viommu *viommu)
{
    int error = 0;
    uint64_t done = 0;

    for (; done < 40 && error == 0; done++)
        error = wire_status(iovageom_status_virtio(iovageom_viommu_map(
            viommu, 0, R(0x100000 + (done << 13), 0x100fff + (done << 13)), 0, 1, NULL)));
    /* The one that failed was not made. */
    for (done -= error != 0; error != 0 && done > 0; done--)
        assert_int_equal(
            iovageom_viommu_unmap(viommu, 0,
                                  R(0x100000 + ((done - 1) << 13), 0x100fff + ((done - 1) << 13)),
                                  NULL, NULL),
            0);
    return error;
}

static int probe_anew(struct iovageom_viommu *viommu)
{
    static uint8_t bytes[65536];
    struct iovageom_virtio_config space;

    assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
    return wire_status(iovageom_status_virtio(
        iovageom_viommu_probe(viommu, 0, bytes, space.probe_size, &(size_t){0}, NULL)));
}

static const struct {
    const char *name;
    int (*change)(struct iovageom_viommu *);
    bool needs; /* memory, of any number */
    bool stale; /* it may break a promise */
} changes[] = {
    {"plug_alone", plug_alone, true, false},
    {"plug_into_all_numbers", plug_into_all_numbers, true, false},
    {"plug_into_company", plug_into_company, true, true},
    {"declare_slot", declare_slot, true, false},
    {"declare_port", declare_port, true, false},
    {"update", update, true, true},
    {"set_identity", set_identity, true, false},
    {"attach_anew", attach_anew, true, false},
    {"attach_to_another", attach_to_another, false, false},
    {"attach_by_bytes", attach_by_bytes, true, false},
    {"map_one", map_one, false, false},
    {"map_many", map_many, true, false},
    {"probe_anew", probe_anew, false, false},
};

static void try_all(struct iovageom_viommu *(*make)(uint32_t), uint32_t count, size_t index,
                    bool for_good)
{
    static struct test_photo before, after;

    for (size_t nth = 1;; nth++) {
        struct iovageom_viommu *viommu = make(count);
        bool hit;
        int error;

        test_photo_take(&before, viommu);
        test_allocator_fail_at(&memory, nth, for_good);
        error = changes[index].change(viommu);
        hit = test_allocator_stop_failing(&memory);
        if (error != 0) {
            assert_int_equal(error, IOVAGEOM_ERR_NO_MEMORY);
            assert_true(hit);
            test_photo_take(&after, viommu);
            if (!test_photo_same(&before, &after))
                fail_msg("%s with %u: allocation %zu fails and leaves a trace", changes[index].name,
                         (unsigned)count, nth);
            test_check(viommu);
            /* And with memory it goes on. */
            assert_int_equal(changes[index].change(viommu), 0);
        }
        test_check_stale(viommu, changes[index].stale);
        iovageom_viommu_free(viommu);
        assert_true(hit || nth > 1 || !changes[index].needs);
        if (!hit)
            break;
    }
}

static void a_change_that_fails_leaves_no_trace(void **state)
{
    static const uint32_t counts[] = {1, 8, 9, 17};
    const size_t live = test_allocator_live(&memory);

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
            if (counts[j] < 3 && (changes[i].change == update || counts[j] < 2))
                continue;
            for (int good = 0; good < 2; good++)
                try_all(crowd, counts[j], i, good != 0);
            assert_int_equal(test_allocator_live(&memory), live);
        }
}

/* Whatever number of them there is: one after the other, each with memory that fails at first. */
static void tables_grow_or_stay(void **state)
{
    static struct test_photo before, after;

    (void)state;
    for (size_t nth = 1; nth < 12; nth++) {
        struct iovageom_viommu *viommu;
        struct iovageom_plug_options where;

        assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &viommu), 0);
        iovageom_plug_options_init(&where);
        for (uint32_t i = 0; i < 70; i++) {
            int error;

            /* Photos of the sizes at which something may outgrow its place. */
            const bool look = (i & (i - 1)) == 0 || ((i + 1) & i) == 0 || i < 10;

            if (look)
                test_photo_take(&before, viommu);
            where.host_group = where.address_space = i % 3 == 0 ? OWN : i;
            test_allocator_fail_at(&memory, nth, nth % 2 == 0);
            error = iovageom_viommu_plug(viommu, i, &where, host, NULL);
            if (test_allocator_stop_failing(&memory) && error != 0) {
                assert_int_equal(error, IOVAGEOM_ERR_NO_MEMORY);
                if (look) {
                    test_photo_take(&after, viommu);
                    assert_true(test_photo_same(&before, &after));
                }
                error = iovageom_viommu_plug(viommu, i, &where, host, NULL);
            }
            assert_int_equal(error, 0);
        }
        test_check(viommu);
        iovageom_viommu_free(viommu);
    }
}

/*
 * A guest group whose view has to be worked out anew, as a member has left, joins a domain where a
 * mapping stands in its way: without memory to see that, it is not let in.
 */
static void what_can_not_be_looked_at_is_refused(void **state)
{
    bool hit = true;

    (void)state;
    for (size_t nth = 1; hit; nth++) {
        struct iovageom_viommu *viommu;
        struct iovageom_plug_options where;
        int asked, done;

        assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &viommu), 0);
        iovageom_plug_options_init(&where);
        where.guest_group = 1;
        assert_int_equal(iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
        assert_int_equal(iovageom_viommu_declare(viommu, 2, 2, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
        assert_int_equal(iovageom_viommu_plug(viommu, 3, &where, last, NULL), 0);
        assert_int_equal(iovageom_viommu_plug(viommu, 4, &where, other, NULL), 0);
        assert_int_equal(iovageom_viommu_attach(viommu, 1, 2, 0, NULL), 0);
        assert_int_equal(iovageom_viommu_map(viommu, 1, R(0xc1300000, 0xc1300fff), 0, 1, NULL), 0);
        assert_int_equal(iovageom_viommu_unplug(viommu, 4), 0);
        test_allocator_fail_at(&memory, nth, true);
        asked = iovageom_viommu_attach_check(viommu, 1, 1, 0, NULL);
        hit = test_allocator_stop_failing(&memory);
        test_allocator_fail_at(&memory, nth, false);
        done = iovageom_viommu_attach(viommu, 1, 1, 0, NULL);
        hit |= test_allocator_stop_failing(&memory);
        assert_true(iovageom_status_virtio(asked) == IOVAGEOM_VIRTIO_S_UNSUPP ||
                    (hit && iovageom_status_virtio(asked) == IOVAGEOM_VIRTIO_S_NOMEM));
        assert_true(iovageom_status_virtio(done) == IOVAGEOM_VIRTIO_S_UNSUPP ||
                    (hit && iovageom_status_virtio(done) == IOVAGEOM_VIRTIO_S_NOMEM));
        assert_true(nth > 1 || iovageom_status_virtio(asked) == IOVAGEOM_VIRTIO_S_NOMEM);
        test_check(viommu);
        iovageom_viommu_free(viommu);
    }
}

/* Of a device with facts by many owners an index is kept, which takes memory of its own, and with
 * many regions more of it. */
static void a_device_of_many_owners_comes_whole_or_not_at_all(void **state)
{
    struct iovageom_geometry *all, *one;
    struct iovageom_viommu *viommu;
    bool hit = true;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "all", &all), 0);
    for (uint64_t i = 0; i < 16; i++) {
        const char name[] = {(char)('a' + i), '\0'};

        assert_int_equal(iovageom_geometry_new(NULL, name, &one), 0);
        assert_int_equal(iovageom_geometry_add_reserved(one, R(i << 20, (i << 20) + 0xfff),
                                                        IOVAGEOM_RESV_RESERVED,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
        assert_int_equal(iovageom_geometry_narrow(all, one), 0);
        iovageom_geometry_free(one);
    }
    assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &viommu), 0);
    for (size_t nth = 1; hit; nth++) {
        const size_t live = test_allocator_live(&memory);
        int error;

        test_allocator_fail_at(&memory, nth, false);
        error = iovageom_viommu_plug(viommu, 1, NULL, all, NULL);
        hit = test_allocator_stop_failing(&memory);
        assert_true(hit || nth > 3);
        if (error != 0) {
            assert_int_equal(error, IOVAGEOM_ERR_NO_MEMORY);
            assert_int_equal(test_allocator_live(&memory), live);
        } else {
            test_check(viommu);
            assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
        }
    }
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(all);
}

/* The input range that hosts with many regions leave: the right one, or none without memory to find
 * it. Both ends of it are those that a region of the machine leaves. */
static void an_input_range_is_right_or_not_there(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    bool hit = true;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    assert_int_equal(iovageom_viommu_new(&memory.allocator, &config, &viommu), 0);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(0, 0xfffff), IOVAGEOM_RESV_RESERVED,
                                                IOVAGEOM_SOURCE_MACHINE, "low"),
                     0);
    assert_int_equal(iovageom_viommu_add_region(viommu, R(BIT39 - 0x100000, BIT39 - 1),
                                                IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_MACHINE,
                                                "high"),
                     0);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, last, NULL), 0);
    for (size_t nth = 1; hit; nth++) {
        struct iovageom_virtio_config space = {.page_size_mask = 77};
        int error;

        test_allocator_fail_at(&memory, nth, false);
        error = iovageom_viommu_config_space(viommu, &space);
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(error, hit ? IOVAGEOM_ERR_NO_MEMORY : 0);
        assert_true(hit || nth > 5);
        if (hit)
            assert_int_equal(space.page_size_mask, 77);
        else
            assert_true(iovageom_range_equal(space.input_range, R(0x100000, BIT39 - 0x100001)));
    }
    iovageom_viommu_free(viommu);
}

/* So many regions, and doorbells among them, that the lists of a PROBE take memory: without it the
 * guest is told nothing, and not of some of them. */
static void told_whole_or_not_at_all(const struct iovageom_geometry *geometry, size_t least)
{
    struct iovageom_region all[32], regions[32];
    size_t count = 0, told;
    bool hit = true;

    for (size_t nth = 0; hit; nth++) {
        struct iovageom_viommu *viommu;
        uint8_t status;

        assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &viommu), 0);
        assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, geometry, NULL), 0);
        assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
        if (nth == 0) {
            assert_int_equal(test_probe(viommu, 1, all, 32, &count), IOVAGEOM_VIRTIO_S_OK);
            assert_in_range(count, least, 32);
        } else {
            test_allocator_fail_at(&memory, nth, false);
            status = test_probe(viommu, 1, regions, 32, &told);
            hit = test_allocator_stop_failing(&memory);
            assert_int_equal(status, hit ? IOVAGEOM_VIRTIO_S_NOMEM : IOVAGEOM_VIRTIO_S_OK);
            assert_true(hit || nth > 3);
            if (hit)
                assert_int_equal(test_probe(viommu, 1, regions, 32, &told), IOVAGEOM_VIRTIO_S_OK);
            assert_int_equal(told, count);
            assert_memory_equal(regions, all, count * sizeof(*all));
        }
        iovageom_viommu_free(viommu);
    }
}

static void a_long_list_is_told_whole_or_not_at_all(void **state)
{
    struct iovageom_geometry *eight;

    (void)state;
    told_whole_or_not_at_all(last, 20);
    /* As many ranges as need no memory, of which one is cut in two by doorbells. */
    assert_int_equal(iovageom_geometry_new(NULL, "eight", &eight), 0);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(
            iovageom_geometry_add_reserved(eight, R((2 * i + 1) << 20, ((2 * i + 2) << 20) - 1),
                                           IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS),
            0);
    assert_int_equal(iovageom_geometry_add_reserved(eight, R(0x110000, 0x11ffff), IOVAGEOM_RESV_MSI,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    told_whole_or_not_at_all(eight, 10);
    iovageom_geometry_free(eight);
}

/* A machine with more regions than fit inside of an object: one more comes, or leaves no trace. */
static void a_region_more_comes_whole_or_not_at_all(void **state)
{
    static struct test_photo before, after;
    const struct iovageom_range window = R(0x8000000, 0x80fffff);
    const size_t live = test_allocator_live(&memory);
    bool hit = true;

    (void)state;
    for (size_t nth = 1; hit; nth++) {
        struct iovageom_viommu *viommu;
        int error;

        assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &viommu), 0);
        assert_int_equal(iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
        for (uint64_t i = 0; i < 40; i++)
            assert_int_equal(
                iovageom_viommu_add_region(viommu, R(i << 32, (i << 32) + 0xfff),
                                           i % 2 == 0 ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED,
                                           IOVAGEOM_SOURCE_MACHINE, "many"),
                0);
        test_photo_take(&before, viommu);
        test_allocator_fail_at(&memory, nth, nth % 2 == 0);
        error = iovageom_viommu_add_region(viommu, window, IOVAGEOM_RESV_MSI,
                                           IOVAGEOM_SOURCE_MACHINE, "one more");
        hit = test_allocator_stop_failing(&memory);
        assert_int_equal(error, hit ? IOVAGEOM_ERR_NO_MEMORY : 0);
        assert_true(hit || nth > 2);
        if (hit) {
            test_photo_take(&after, viommu);
            assert_true(test_photo_same(&before, &after));
            assert_int_equal(iovageom_viommu_add_region(viommu, window, IOVAGEOM_RESV_MSI,
                                                        IOVAGEOM_SOURCE_MACHINE, "one more"),
                             0);
        }
        test_check(viommu);
        iovageom_viommu_free(viommu);
        assert_int_equal(test_allocator_live(&memory), live);
    }
}

/* The first MAP of a domain looks at all that is reserved: without memory for that it says so. */
static void a_map_that_lacks_memory_says_so(void **state)
{
    const struct iovageom_virtio_request request = {
        .type = IOVAGEOM_VIRTIO_T_MAP, .domain = 1, .virt = R(0x1000, 0x1fff), .flags = 1};
    struct iovageom_viommu_transaction transaction;
    struct iovageom_report report;
    uint8_t bytes[72], tail[4];
    size_t size;
    bool hit = true;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_guest_encode_request(&request, bytes, sizeof(bytes), &size), 0);
    for (size_t nth = 1; hit; nth++) {
        struct iovageom_viommu *viommu;

        assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &viommu), 0);
        assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, last, NULL), 0);
        assert_int_equal(iovageom_viommu_attach(viommu, 1, 1, 0, NULL), 0);
        for (int again = 0; again < 2; again++) {
            const bool fails = again == 0;

            if (fails)
                test_allocator_fail_at(&memory, nth, true);
            iovageom_viommu_request_begin(viommu, bytes, size, 4, &transaction, &report);
            if (fails)
                hit = test_allocator_stop_failing(&memory);
            assert_int_equal(transaction.status, fails && hit ? IOVAGEOM_ERR_NO_MEMORY : 0);
            assert_int_equal(iovageom_report_count(&report), fails && hit);
            if (fails && hit)
                assert_true(iovageom_report_at(&report, 0)->fatal);
            assert_int_equal(iovageom_viommu_request_end(viommu, &transaction, 0, tail, 4, &report),
                             4);
            assert_int_equal(tail[0],
                             fails && hit ? IOVAGEOM_VIRTIO_S_NOMEM : IOVAGEOM_VIRTIO_S_OK);
            if (fails && !hit)
                break;
        }
        assert_true(hit || nth > 1);
        iovageom_viommu_free(viommu);
    }
    iovageom_report_deinit(&report);
}

/* ---- a destination ---- */

static struct iovageom_viommu *destination(uint32_t count)
{
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &viommu), 0);
    iovageom_plug_options_init(&where);
    for (uint32_t i = 0; i < count; i++) {
        where.host_group = where.address_space = where.guest_group = i;
        assert_int_equal(iovageom_viommu_plug(viommu, i, &where, i % 2 == 0 ? host : other, NULL),
                         0);
    }
    return viommu;
}

static void a_load_that_fails_leaves_no_trace(void **state)
{
    static uint8_t stream[1 << 16];
    static struct test_photo before, after;
    struct iovageom_viommu *source = crowd(12), *viommu = destination(12);
    size_t length, failed = 0;
    bool hit = true;

    (void)state;
    assert_int_equal(iovageom_viommu_save(source, stream, sizeof(stream), &length), 0);
    test_photo_take(&before, viommu);
    for (size_t nth = 1; hit; nth++) {
        int error;

        test_allocator_fail_at(&memory, nth, nth % 2 == 0);
        error = iovageom_viommu_load(viommu, stream, length, 0, NULL);
        hit = test_allocator_stop_failing(&memory);
        if (error == 0) {
            iovageom_viommu_free(viommu);
            viommu = destination(12);
            continue;
        }
        assert_int_equal(error, IOVAGEOM_ERR_NO_MEMORY);
        failed++;
        test_photo_take(&after, viommu);
        assert_true(test_photo_same(&before, &after));
    }
    assert_true(failed > 20);
    iovageom_viommu_free(source);
    iovageom_viommu_free(viommu);
}

/* The answer to a request that is wrong anyway is not "no memory" (the first one freezes). */
static void a_bad_first_request_is_answered_as_it_is(void **state)
{
    uint8_t bytes[36] = {77}, tail[4];
    struct iovageom_viommu_transaction transaction;
    struct iovageom_viommu_config config;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.flags = IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    for (int kind = 0; kind < 3; kind++) {
        bool hit = true;

        for (size_t nth = 1; hit; nth++) {
            struct iovageom_viommu *viommu;

            assert_int_equal(iovageom_viommu_new(&memory.allocator, &config, &viommu), 0);
            for (uint32_t i = 0; i < 12; i++)
                assert_int_equal(iovageom_viommu_plug(viommu, i, NULL, i < 6 ? host : last, NULL),
                                 0);
            bytes[0] = kind == 0 ? 77 : IOVAGEOM_VIRTIO_T_MAP;
            test_allocator_fail_at(&memory, nth, true);
            iovageom_viommu_request_begin(viommu, bytes, kind == 1 ? 20 : 36, 4, &transaction,
                                          NULL);
            hit = test_allocator_stop_failing(&memory);
            assert_int_equal(transaction.answered, kind != 0);
            if (kind == 1)
                assert_int_equal(iovageom_status_virtio(transaction.status),
                                 IOVAGEOM_VIRTIO_S_INVAL);
            else if (kind == 0)
                assert_int_equal(iovageom_status_virtio(transaction.status),
                                 IOVAGEOM_VIRTIO_S_UNSUPP);
            else
                assert_int_equal(iovageom_status_virtio(transaction.status),
                                 hit ? IOVAGEOM_VIRTIO_S_NOMEM : IOVAGEOM_VIRTIO_S_NOENT);
            assert_int_equal(iovageom_viommu_request_end(viommu, &transaction, 0, tail, 4, NULL),
                             kind != 0 ? 4 : 0);
            iovageom_viommu_free(viommu);
            assert_true(nth > 1 || hit);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    test_allocator_init(&memory);
    host = test_host(&memory.allocator, "host", 39, PAGES_4K);
    other = test_host_with(&memory.allocator, "other", 48, PAGES_4K, R(0xa0000000, 0xa00fffff));
    last = test_host_with(&memory.allocator, "last", 39, PAGES_4K, R(0xb0000000, 0xb00fffff));
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(
            iovageom_geometry_add_reserved(last, R(0xc0000000 + (i << 20), 0xc0000fff + (i << 20)),
                                           IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS),
            0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    iovageom_geometry_free(host);
    iovageom_geometry_free(other);
    iovageom_geometry_free(last);
    assert_int_equal(test_allocator_live(&memory), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_that_fails_leaves_no_trace),
        cmocka_unit_test(tables_grow_or_stay),
        cmocka_unit_test(what_can_not_be_looked_at_is_refused),
        cmocka_unit_test(a_device_of_many_owners_comes_whole_or_not_at_all),
        cmocka_unit_test(an_input_range_is_right_or_not_there),
        cmocka_unit_test(a_long_list_is_told_whole_or_not_at_all),
        cmocka_unit_test(a_region_more_comes_whole_or_not_at_all),
        cmocka_unit_test(a_map_that_lacks_memory_says_so),
        cmocka_unit_test(a_load_that_fails_leaves_no_trace),
        cmocka_unit_test(a_bad_first_request_is_answered_as_it_is),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

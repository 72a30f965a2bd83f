/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of the books, field by field: endpoints, domains, promises, and sizes asked for. */
#include "geometry/internal.h"
#include "support/test_viommu.h"

#define OWN IOVAGEOM_VIOMMU_OWN

static struct iovageom_viommu *books(const struct iovageom_viommu_config *config)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(NULL, config, &viommu), 0);
    return viommu;
}

static struct iovageom_viommu_endpoint endpoint_of(const struct iovageom_viommu *viommu,
                                                   uint32_t endpoint)
{
    struct iovageom_viommu_endpoint found;

    memset(&found, 0xee, sizeof(found));
    assert_int_equal(iovageom_viommu_endpoint(viommu, endpoint, &found), 0);
    assert_int_equal(found.endpoint, endpoint);
    assert_int_equal(found.expected, 0);
    return found;
}

static void assert_endpoint(const struct iovageom_viommu *viommu, uint32_t endpoint, uint32_t kind,
                            uint32_t plugged, uint32_t prepared, uint64_t guest_group,
                            uint64_t host_group, uint64_t address_space)
{
    const struct iovageom_viommu_endpoint found = endpoint_of(viommu, endpoint);

    assert_int_equal(found.kind, kind);
    assert_int_equal(found.plugged, plugged);
    assert_int_equal(found.prepared, prepared);
    assert_int_equal(found.guest_group, guest_group);
    assert_int_equal(found.host_group, host_group);
    assert_int_equal(found.address_space, address_space);
    assert_int_equal(found.domain, IOVAGEOM_ID_NONE);
    assert_int_equal(found.generation, 0);
    if (plugged == 0 && prepared == 0)
        assert_null(found.geometry);
    else
        assert_string_equal(iovageom_geometry_name(found.geometry), "device");
}

static int plug_at(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t guest_group,
                   uint64_t host_group, uint64_t address_space, bool prepare)
{
    struct iovageom_geometry *geometry = test_host(NULL, "device", 39, PAGES_4K);
    struct iovageom_plug_options where;
    int error;

    iovageom_plug_options_init(&where);
    where.guest_group = guest_group;
    where.host_group = host_group;
    where.address_space = address_space;
    error = prepare ? iovageom_viommu_plug_prepare(viommu, endpoint, &where, geometry, NULL)
                    : iovageom_viommu_plug(viommu, endpoint, &where, geometry, NULL);
    iovageom_geometry_free(geometry);
    return error;
}

static void an_endpoint_is_listed_as_what_it_is(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_viommu_endpoint found;

    (void)state;
    assert_int_equal(iovageom_viommu_declare(viommu, 1, 5, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, 2, 0, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, 3, OWN, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_endpoint(viommu, 1, IOVAGEOM_ENDPOINT_EMULATED, 0, 0, 5, OWN, OWN);
    assert_endpoint(viommu, 2, IOVAGEOM_ENDPOINT_SLOT, 0, 0, 0, OWN, OWN);
    assert_endpoint(viommu, 3, IOVAGEOM_ENDPOINT_SLOT, 0, 0, OWN, OWN, OWN);
    for (int i = 0; i < 2; i++) {
        /* A slot shows its device as long as that is plugged, and is as before then. */
        assert_int_equal(plug_at(viommu, 2, OWN, 3, 7, false), 0);
        assert_endpoint(viommu, 2, IOVAGEOM_ENDPOINT_SLOT, 1, 0, 0, 3, 7);
        assert_int_equal(iovageom_viommu_unplug(viommu, 2), 0);
        assert_endpoint(viommu, 2, IOVAGEOM_ENDPOINT_SLOT, 0, 0, 0, OWN, OWN);
        /* The same in two steps. */
        assert_int_equal(plug_at(viommu, 2, OWN, 0, 0, true), 0);
        assert_endpoint(viommu, 2, IOVAGEOM_ENDPOINT_SLOT, 0, 1, 0, 0, 0);
        if (i == 0) {
            assert_int_equal(iovageom_viommu_plug_abort(viommu, 2), 0);
        } else {
            assert_int_equal(iovageom_viommu_plug_commit(viommu, 2), 0);
            assert_endpoint(viommu, 2, IOVAGEOM_ENDPOINT_SLOT, 1, 0, 0, 0, 0);
            assert_int_equal(iovageom_viommu_unplug(viommu, 2), 0);
        }
        assert_endpoint(viommu, 2, IOVAGEOM_ENDPOINT_SLOT, 0, 0, 0, OWN, OWN);
    }
    /* A device without a slot: numbers only where it was given some. */
    assert_int_equal(plug_at(viommu, 4, OWN, OWN, OWN, false), 0);
    assert_endpoint(viommu, 4, IOVAGEOM_ENDPOINT_DEVICE, 1, 0, OWN, OWN, OWN);
    assert_int_equal(plug_at(viommu, 5, 9, OWN, 8, false), 0);
    assert_endpoint(viommu, 5, IOVAGEOM_ENDPOINT_DEVICE, 1, 0, 9, OWN, 8);
    assert_int_equal(plug_at(viommu, 6, IOVAGEOM_VIOMMU_GROUP_MAX, IOVAGEOM_VIOMMU_GROUP_MAX,
                             IOVAGEOM_VIOMMU_GROUP_MAX, false),
                     0);
    assert_endpoint(viommu, 6, IOVAGEOM_ENDPOINT_DEVICE, 1, 0, IOVAGEOM_VIOMMU_GROUP_MAX,
                    IOVAGEOM_VIOMMU_GROUP_MAX, IOVAGEOM_VIOMMU_GROUP_MAX);
    assert_int_equal(iovageom_viommu_unplug(viommu, 6), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 6, &found), IOVAGEOM_ERR_NOT_FOUND);
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

/* Each number is looked at by itself: the others are as good as can be. */
static void numbers_above_the_highest_are_refused(void **state)
{
    const uint64_t good[] = {0, 1, IOVAGEOM_VIOMMU_GROUP_MAX, OWN};
    const uint64_t bad[] = {IOVAGEOM_VIOMMU_GROUP_MAX + 1, OWN - 1, (uint64_t)1 << 63};
    struct iovageom_viommu *viommu = books(NULL);

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 3; j++) {
            const uint64_t g = good[i], b = bad[j];

            assert_int_equal(plug_at(viommu, 1, b, g, g, false), IOVAGEOM_ERR_INVALID);
            assert_int_equal(plug_at(viommu, 1, g, b, g, false), IOVAGEOM_ERR_INVALID);
            assert_int_equal(plug_at(viommu, 1, g, g, b, true), IOVAGEOM_ERR_INVALID);
            assert_int_equal(
                iovageom_viommu_declare(viommu, 1, b, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                IOVAGEOM_ERR_INVALID);
            assert_int_equal(iovageom_viommu_declare(viommu, 1, b, IOVAGEOM_ENDPOINT_SLOT, NULL),
                             IOVAGEOM_ERR_INVALID);
        }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(plug_at(viommu, 1, good[i], good[i], good[i], false), 0);
        assert_int_equal(iovageom_viommu_unplug(viommu, 1), 0);
        assert_int_equal(
            iovageom_viommu_declare(viommu, 1, good[i], IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
        assert_int_equal(iovageom_viommu_undeclare(viommu, 1), 0);
    }
    assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_DEVICE, NULL),
                     IOVAGEOM_ERR_INVALID);
    iovageom_viommu_free(viommu);
}

/* Who bypasses: the config field decides for the unattached, the domain for the others. */
static void bypass_is_listed_as_accesses_go(void **state)
{
    for (uint32_t boot = 0; boot < 2; boot++) {
        const struct iovageom_range low = {0xfee00000, 0xfee00fff};
        struct iovageom_viommu_config config;
        struct iovageom_viommu *viommu;

        (void)state;
        iovageom_viommu_config_init(&config);
        config.boot_bypass = boot;
        viommu = books(&config);
        assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
        assert_int_equal(iovageom_viommu_declare(viommu, 2, OWN, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
        assert_int_equal(plug_at(viommu, 3, OWN, OWN, OWN, false), 0);
        assert_int_equal(plug_at(viommu, 4, OWN, OWN, OWN, true), 0);
        for (uint32_t step = 0; step < 4; step++) {
            const uint32_t bypass = step % 2 == 0 ? boot : 1 - boot;

            if (step > 0)
                assert_int_equal(iovageom_viommu_set_bypass(viommu, bypass, NULL), 0);
            assert_int_equal(endpoint_of(viommu, 1).bypass, bypass);
            /* Nothing is in the slot, or not yet. */
            assert_int_equal(endpoint_of(viommu, 2).bypass, 0);
            assert_int_equal(endpoint_of(viommu, 4).bypass, 0);
            assert_int_equal(endpoint_of(viommu, 3).bypass, bypass);
            assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 3, 0, NULL)),
                             0);
            assert_int_equal(endpoint_of(viommu, 3).bypass, 0);
            assert_int_equal(endpoint_of(viommu, 3).domain, 1);
            assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(
                                 viommu, 0, 3, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS, NULL)),
                             0);
            assert_int_equal(endpoint_of(viommu, 3).bypass, 1);
            assert_int_equal(endpoint_of(viommu, 3).domain, 0);
            assert_int_equal(iovageom_status_virtio(iovageom_viommu_detach(viommu, 0, 3, NULL)), 0);
            assert_int_equal(endpoint_of(viommu, 3).domain, IOVAGEOM_ID_NONE);
        }
        /* A host that can't map what a bypass needs faults instead. */
        assert_int_equal(iovageom_viommu_set_bypass(viommu, 0, NULL), 0);
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 3, 0, NULL)), 0);
        assert_int_equal(iovageom_viommu_set_identity(viommu, &low, 1, NULL), 0);
        assert_int_equal(iovageom_viommu_plug_abort(viommu, 4), 0);
        assert_int_equal(iovageom_viommu_set_bypass(viommu, 1, NULL), 0);
        assert_int_equal(iovageom_status_virtio(iovageom_viommu_detach(viommu, 1, 3, NULL)), 0);
        assert_int_equal(endpoint_of(viommu, 1).bypass, 1);
        assert_int_equal(endpoint_of(viommu, 3).bypass, 0);
        iovageom_viommu_free(viommu);
    }
}

static void endpoints_are_listed_in_order(void **state)
{
    static const uint32_t ids[] = {0x80000000u, 3, UINT32_MAX, 0, 17};
    static const uint32_t sorted[] = {0, 3, 17, 0x80000000u, UINT32_MAX};
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_viommu_endpoint found;

    (void)state;
    assert_false(iovageom_viommu_endpoint_next(viommu, 0, &found));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(
            iovageom_viommu_declare(viommu, ids[i], i, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    for (size_t i = 0; i < 5; i++) {
        assert_true(iovageom_viommu_endpoint_next(viommu, sorted[i], &found));
        assert_int_equal(found.endpoint, sorted[i]);
        assert_true(iovageom_viommu_endpoint_next(viommu, i == 0 ? 0 : sorted[i - 1] + 1, &found));
        assert_int_equal(found.endpoint, sorted[i]);
        assert_int_equal(found.kind, IOVAGEOM_ENDPOINT_EMULATED);
    }
    assert_int_equal(iovageom_viommu_undeclare(viommu, UINT32_MAX), 0);
    memset(&found, 0xee, sizeof(found));
    assert_false(iovageom_viommu_endpoint_next(viommu, 0x80000001u, &found));
    assert_int_equal(found.endpoint, 0xeeeeeeeeu);
    assert_int_equal(iovageom_viommu_endpoint(viommu, 4, &found), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(found.endpoint, 0xeeeeeeeeu);
    iovageom_viommu_free(viommu);
}

/* ---- domains ---- */

static void assert_domain(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t bypass,
                          uint64_t endpoints, uint64_t mappings, uint64_t budget)
{
    struct iovageom_viommu_domain found;

    memset(&found, 0xee, sizeof(found));
    assert_int_equal(iovageom_viommu_domain(viommu, domain, &found), 0);
    assert_int_equal(found.domain, domain);
    assert_int_equal(found.bypass, bypass);
    assert_int_equal(found.endpoints, endpoints);
    assert_int_equal(found.mappings, mappings);
    assert_int_equal(found.budget, budget);
}

static void plug_with_budget(struct iovageom_viommu *viommu, uint32_t endpoint, uint64_t budget)
{
    struct iovageom_geometry *geometry = test_host(NULL, "counted", 39, PAGES_4K);

    assert_int_equal(iovageom_geometry_add_map_budget(geometry, budget, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(test_plug(viommu, endpoint, OWN, geometry, NULL), 0);
}

static void a_domain_is_listed_as_what_it_is(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_viommu_domain found;
    uint32_t member = 77;

    (void)state;
    assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    plug_with_budget(viommu, 2, 10);
    plug_with_budget(viommu, 3, 4);
    memset(&found, 0xee, sizeof(found));
    assert_int_equal(iovageom_viommu_domain(viommu, 0, &found), IOVAGEOM_ERR_NOT_FOUND);
    assert_false(iovageom_viommu_domain_next(viommu, 0, &found));
    assert_int_equal(found.domain, 0xeeeeeeeeu);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 5, 1, 0, NULL)), 0);
    assert_domain(viommu, 5, 0, 1, 0, UINT64_MAX);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 5, R(0, 0xfff), 0, 1, NULL)), 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 5, R(0x1000, 0x1fff), 0, 2, NULL)), 0);
    assert_domain(viommu, 5, 0, 1, 2, UINT64_MAX);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 5, 2, 0, NULL)), 0);
    assert_domain(viommu, 5, 0, 2, 2, 10);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 5, 3, 0, NULL)), 0);
    assert_domain(viommu, 5, 0, 3, 2, 4);
    /* Members in the order in which they came. */
    assert_true(iovageom_viommu_domain_endpoint(viommu, 5, IOVAGEOM_ID_NONE, &member));
    assert_int_equal(member, 1);
    assert_true(iovageom_viommu_domain_endpoint(viommu, 5, 1, &member));
    assert_int_equal(member, 2);
    assert_true(iovageom_viommu_domain_endpoint(viommu, 5, 2, &member));
    assert_int_equal(member, 3);
    assert_false(iovageom_viommu_domain_endpoint(viommu, 5, 3, &member));
    assert_false(iovageom_viommu_domain_endpoint(viommu, 6, IOVAGEOM_ID_NONE, &member));
    /* A bypass domain, of a number below, is listed first. */
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(
                         viommu, 0, 1, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS, NULL)),
                     0);
    assert_domain(viommu, 0, 1, 1, 0, UINT64_MAX);
    assert_domain(viommu, 5, 0, 2, 2, 4);
    assert_false(iovageom_viommu_domain_endpoint(viommu, 5, 1, &member));
    assert_int_equal(member, 3);
    assert_true(iovageom_viommu_domain_next(viommu, 0, &found));
    assert_int_equal(found.domain, 0);
    assert_int_equal(found.bypass, 1);
    assert_true(iovageom_viommu_domain_next(viommu, 1, &found));
    assert_int_equal(found.domain, 5);
    assert_int_equal(found.mappings, 2);
    assert_false(iovageom_viommu_domain_next(viommu, 6, &found));
    assert_int_equal(iovageom_viommu_unplug(viommu, 3), 0);
    assert_domain(viommu, 5, 0, 1, 2, 10);
    /* The last one takes it along. */
    assert_int_equal(iovageom_viommu_unplug(viommu, 2), 0);
    assert_int_equal(iovageom_viommu_domain(viommu, 5, &found), IOVAGEOM_ERR_NOT_FOUND);
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

static void mappings_are_listed_as_they_were_made(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_mapping mapping;

    (void)state;
    assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    assert_false(iovageom_viommu_mapping_next(viommu, 1, 0, &mapping));
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_map(
                         viommu, 1, R(UINT64_MAX - 0xfff, UINT64_MAX), 0x5000, 7, NULL)),
                     0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0x1000, 0x2fff), 0x9000, 1, NULL)),
        0);
    memset(&mapping, 0xee, sizeof(mapping));
    assert_true(iovageom_viommu_mapping_next(viommu, 1, 0, &mapping));
    assert_int_equal(mapping.range.start, 0x1000);
    assert_int_equal(mapping.range.last, 0x2fff);
    assert_int_equal(mapping.phys, 0x9000);
    assert_int_equal(mapping.flags, 1);
    assert_true(iovageom_viommu_mapping_next(viommu, 1, 0x2fff, &mapping));
    assert_int_equal(mapping.range.start, 0x1000);
    assert_true(iovageom_viommu_mapping_next(viommu, 1, 0x3000, &mapping));
    assert_int_equal(mapping.range.last, UINT64_MAX);
    assert_int_equal(mapping.phys, 0x5000);
    assert_int_equal(mapping.flags, 7);
    assert_true(iovageom_viommu_mapping_next(viommu, 1, UINT64_MAX, &mapping));
    assert_false(iovageom_viommu_mapping_next(viommu, 2, 0, &mapping));
    assert_domain(viommu, 1, 0, 1, 2, UINT64_MAX);
    assert_int_equal(iovageom_viommu_unmap(viommu, 1, R(0x1000, 0x2fff), NULL, NULL), 0);
    assert_domain(viommu, 1, 0, 1, 1, UINT64_MAX);
    iovageom_viommu_free(viommu);
}

/* ---- promises ---- */

static void probe(struct iovageom_viommu *viommu, uint32_t endpoint)
{
    struct iovageom_region regions[16];
    size_t count;

    assert_int_equal(test_probe(viommu, endpoint, regions, 16, &count), 0);
}

static struct iovageom_viommu_promise promise_of(const struct iovageom_viommu *viommu,
                                                 uint32_t endpoint)
{
    struct iovageom_viommu_promise promise;

    memset(&promise, 0xee, sizeof(promise));
    assert_int_equal(iovageom_viommu_promise(viommu, endpoint, &promise, NULL, NULL, NULL, NULL),
                     0);
    return promise;
}

static void a_promise_is_told_as_what_it_is(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_viommu_promise promise, first;
    struct iovageom_geometry *narrow =
        test_host_with(NULL, "narrow", 39, PAGES_4K, R(0x100000, 0x1fffff));
    struct iovageom_rangeset told, now, added, removed;

    (void)state;
    iovageom_rangeset_init(&told, NULL);
    iovageom_rangeset_init(&now, NULL);
    iovageom_rangeset_init(&added, NULL);
    iovageom_rangeset_init(&removed, NULL);
    memset(&promise, 0xee, sizeof(promise));
    assert_int_equal(iovageom_viommu_promise(viommu, 1, &promise, NULL, NULL, NULL, NULL),
                     IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(promise.now, 0xeeeeeeeeeeeeeeeeu);
    assert_int_equal(plug_at(viommu, 1, OWN, OWN, OWN, false), 0);
    assert_int_equal(plug_at(viommu, 2, OWN, OWN, OWN, false), 0);
    promise = promise_of(viommu, 1);
    assert_false(promise.told);
    assert_false(promise.current);
    assert_true(promise.safe);
    assert_int_equal(promise.generation, 0);
    probe(viommu, 1);
    first = promise_of(viommu, 1);
    assert_true(first.told);
    assert_true(first.current);
    assert_true(first.safe);
    assert_int_not_equal(first.generation, 0);
    assert_int_equal(first.generation, first.now);
    assert_int_equal(endpoint_of(viommu, 1).generation, first.generation);
    assert_false(promise_of(viommu, 2).told);
    assert_int_equal(endpoint_of(viommu, 2).generation, 0);
    /* The host takes some away: that is a new generation, and no longer what was told. */
    assert_int_equal(iovageom_viommu_update(viommu, 1, narrow, IOVAGEOM_PLUG_ALLOW_STALE, NULL), 0);
    assert_int_equal(iovageom_viommu_promise(viommu, 1, &promise, &told, &now, &added, &removed),
                     0);
    assert_true(promise.told);
    assert_false(promise.current);
    assert_false(promise.safe);
    assert_int_equal(promise.generation, first.generation);
    assert_true(promise.now > first.now);
    assert_int_equal(iovageom_rangeset_count(&told), 2);
    assert_int_equal(iovageom_rangeset_count(&now), 3);
    assert_int_equal(iovageom_rangeset_count(&added), 0);
    assert_int_equal(iovageom_rangeset_count(&removed), 1);
    assert_true(iovageom_rangeset_contains(&removed, R(0x100000, 0x1fffff)));
    /* Told anew, it holds again. */
    probe(viommu, 1);
    promise = promise_of(viommu, 1);
    assert_true(promise.current);
    assert_true(promise.safe);
    assert_int_equal(promise.generation, promise.now);
    assert_int_equal(endpoint_of(viommu, 1).generation, promise.now);
    /* What comes back is added, and what was told stays safe. */
    assert_int_equal(iovageom_viommu_update(viommu, 1, endpoint_of(viommu, 2).geometry, 0, NULL),
                     0);
    assert_int_equal(iovageom_viommu_promise(viommu, 1, &promise, &told, &now, &added, &removed),
                     0);
    assert_false(promise.current);
    assert_true(promise.safe);
    assert_int_equal(iovageom_rangeset_count(&added), 1);
    assert_true(iovageom_rangeset_contains(&added, R(0x100000, 0x1fffff)));
    assert_int_equal(iovageom_rangeset_count(&removed), 0);
    iovageom_viommu_reset(viommu, false);
    promise = promise_of(viommu, 1);
    assert_false(promise.told);
    assert_true(promise.safe);
    assert_int_equal(endpoint_of(viommu, 1).generation, 0);
    iovageom_geometry_free(narrow);
    iovageom_rangeset_deinit(&told);
    iovageom_rangeset_deinit(&now);
    iovageom_rangeset_deinit(&added);
    iovageom_rangeset_deinit(&removed);
    iovageom_viommu_free(viommu);
}

/* A broken promise is named by an endpoint that was told of an address in it. */
static void who_was_promised_is_named(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_geometry *first = test_host_with(NULL, "first", 64, 0, R(0x10000, 0x1ffff));
    struct iovageom_plug_options where;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_plug_options_init(&where);
    where.guest_group = 1;
    where.flags = IOVAGEOM_PLUG_ALLOW_STALE;
    assert_int_equal(iovageom_geometry_add_reserved(first, R(0x20000, 0x2ffff), IOVAGEOM_RESV_MSI,
                                                    IOVAGEOM_SOURCE_SYSFS),
                     0);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(iovageom_viommu_declare(viommu, i, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
    /* The second one is promised all, the first one all but two regions that touch. */
    probe(viommu, 2);
    assert_int_equal(iovageom_viommu_plug(viommu, 4, &where, first, NULL), 0);
    probe(viommu, 1);
    assert_int_equal(iovageom_viommu_unplug(viommu, 4), 0);
    where.flags = 0;
    iovageom_geometry_free(first);
    assert_int_equal(iovageom_geometry_new(NULL, "inside", &first), 0);
    assert_int_equal(iovageom_geometry_add_reserved(first, R(0x18000, 0x27fff),
                                                    IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_viommu_plug(viommu, 4, &where, first, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_PROMISE);
    assert_int_equal(iovageom_report_at(&report, 0)->against.start, 0x18000);
    assert_int_equal(iovageom_report_at(&report, 0)->endpoint, 2);
    iovageom_geometry_free(first);
    /* One address more on either side, and the first one was told of it, too. */
    for (uint64_t i = 0; i < 2; i++) {
        const struct iovageom_range edge = i == 0 ? R(0xf000, 0x10fff) : R(0x2f000, 0x30fff);

        assert_int_equal(iovageom_geometry_new(NULL, "edge", &first), 0);
        assert_int_equal(iovageom_geometry_add_reserved(first, edge, IOVAGEOM_RESV_DIRECT,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
        assert_int_equal(iovageom_viommu_plug(viommu, 4, &where, first, &report),
                         IOVAGEOM_ERR_CONFLICT);
        assert_int_equal(iovageom_report_at(&report, 0)->endpoint, 1);
        iovageom_geometry_free(first);
    }
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* What a geometry leaves open is noted of the endpoint that it is plugged at. */
static void doubts_name_their_endpoint(void **state)
{
    struct iovageom_geometry *bare;
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_report report;
    size_t unknown = 0, incomplete = 0;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_new(NULL, "bare", &bare), 0);
    assert_int_equal(iovageom_geometry_add_incomplete(bare, IOVAGEOM_SOURCE_SYSFS), 0);
    assert_int_equal(iovageom_geometry_add_incomplete(bare, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, 77, NULL, bare, &report), 0);
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&report, i);

        assert_int_equal(finding->endpoint, 77);
        assert_string_equal(finding->owner.name, "bare");
        assert_int_equal(finding->domain, IOVAGEOM_ID_NONE);
        assert_int_equal(finding->fatal, 0);
        assert_int_equal(finding->status, 0);
        unknown += finding->kind == IOVAGEOM_FINDING_UNKNOWN;
        incomplete += finding->kind == IOVAGEOM_FINDING_INCOMPLETE;
    }
    assert_true(unknown > 0);
    assert_int_equal(incomplete, 2);
    iovageom_geometry_free(bare);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* ---- sizes that are asked for ---- */

static void needed_is_written_when_it_is_said_to_be(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[4];
    uint8_t bytes[512];
    size_t needed = SIZE_MAX, removed = SIZE_MAX, length;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.probe_size = 512;
    viommu = books(&config);
    assert_int_equal(iovageom_viommu_save(viommu, bytes, sizeof(bytes), &needed),
                     IOVAGEOM_ERR_STATE);
    assert_int_equal(needed, SIZE_MAX);
    assert_int_equal(plug_at(viommu, 1, OWN, OWN, OWN, false), 0);
    memset(bytes, 0xee, sizeof(bytes));
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_probe(viommu, 2, bytes, 512, &needed, NULL)),
        IOVAGEOM_VIRTIO_S_NOENT);
    assert_int_equal(needed, SIZE_MAX);
    assert_int_equal(bytes[0], 0xee);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_probe(viommu, 1, bytes, 511, &needed, NULL)),
        IOVAGEOM_VIRTIO_S_INVAL);
    assert_int_not_equal(needed, SIZE_MAX);
    assert_true(needed <= 512);
    assert_int_equal(bytes[0], 0xee);
    assert_false(promise_of(viommu, 1).told);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_probe(viommu, 1, bytes, 512, &needed, NULL)), 0);
    assert_int_equal(needed, 48);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_probe(viommu, 1, bytes, 512, NULL, NULL)), 0);
    needed = SIZE_MAX;
    assert_int_equal(iovageom_viommu_told(viommu, 2, regions, 4, &needed, NULL),
                     IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(needed, SIZE_MAX);
    assert_int_equal(iovageom_viommu_told(viommu, 1, NULL, 0, &needed, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(needed, 2);
    memset(regions, 0xee, sizeof(regions));
    assert_int_equal(iovageom_viommu_told(viommu, 1, regions, 1, &needed, NULL),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(regions[0].type, 0xeeeeeeeeu);
    assert_int_equal(iovageom_viommu_told(viommu, 1, regions, 2, &needed, NULL), 0);
    assert_int_equal(needed, 2);
    assert_int_equal(regions[0].range.start, 0xfee00000);
    assert_int_equal(regions[1].range.last, UINT64_MAX);
    assert_int_equal(regions[2].type, 0xeeeeeeeeu);
    assert_int_equal(iovageom_viommu_save(viommu, NULL, 0, &length), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    memset(bytes, 0xee, sizeof(bytes));
    assert_int_equal(iovageom_viommu_save(viommu, bytes, length - 1, &needed),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(needed, length);
    for (size_t i = 0; i < sizeof(bytes); i++)
        assert_int_equal(bytes[i], 0xee);
    needed = 0;
    assert_true(length < sizeof(bytes));
    assert_int_equal(iovageom_viommu_save(viommu, bytes, length, &needed), 0);
    assert_int_equal(needed, length);
    assert_int_equal(bytes[length], 0xee);
    assert_int_equal(iovageom_viommu_save(viommu, bytes, length, NULL), 0);
    /* How many mappings went: told when they did, and only then. */
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)), 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0, 0x1fff), 0, 1, NULL)), 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 1, R(0x2000, 0x2fff), 0, 1, NULL)), 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_unmap(viommu, 2, R(0, 0xfff), &removed, NULL)),
        IOVAGEOM_VIRTIO_S_NOENT);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_unmap(viommu, 1, R(0, 0xfff), &removed, NULL)),
        IOVAGEOM_VIRTIO_S_RANGE);
    assert_int_equal(removed, SIZE_MAX);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_unmap(viommu, 1, R(0, 0x2fff), &removed, NULL)), 0);
    assert_int_equal(removed, 2);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_unmap(viommu, 1, R(0, 0x2fff), &removed, NULL)), 0);
    assert_int_equal(removed, 0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_unmap(viommu, 1, R(0, 0x2fff), NULL, NULL)), 0);
    iovageom_viommu_free(viommu);
}

/* What a driver that declines INPUT_RANGE reads in PROBE: what lies outside, in all ways to ask. */
static void declining_the_input_range_changes_what_is_told(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_region regions[8];
    size_t count = 0;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.input_range = R(0x1000000, BIT39 - 1);
    viommu = books(&config);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    for (int i = 0; i < 5; i++) {
        const bool declines = i % 2 == 1;

        /* A reset, too, forgets what was accepted. */
        if (i == 2)
            iovageom_viommu_reset(viommu, false);
        else
            assert_int_equal(
                iovageom_viommu_driver_features(
                    viommu, declines ? config.features & ~1u : config.features | 0x80000000u, NULL),
                0);
        assert_int_equal(test_probe(viommu, 1, regions, 8, &count), 0);
        assert_int_equal(count, declines ? 2 : 0);
        if (declines) {
            assert_int_equal(regions[0].range.last, 0xffffff);
            assert_int_equal(regions[1].range.start, BIT39);
        }
        assert_true(promise_of(viommu, 1).current);
        assert_int_equal(iovageom_viommu_told(viommu, 1, regions, 8, &count, NULL), 0);
        assert_int_equal(count, declines ? 2 : 0);
    }
    iovageom_viommu_free(viommu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_is_listed_as_what_it_is),
        cmocka_unit_test(numbers_above_the_highest_are_refused),
        cmocka_unit_test(bypass_is_listed_as_accesses_go),
        cmocka_unit_test(endpoints_are_listed_in_order),
        cmocka_unit_test(a_domain_is_listed_as_what_it_is),
        cmocka_unit_test(mappings_are_listed_as_they_were_made),
        cmocka_unit_test(a_promise_is_told_as_what_it_is),
        cmocka_unit_test(who_was_promised_is_named),
        cmocka_unit_test(doubts_name_their_endpoint),
        cmocka_unit_test(needed_is_written_when_it_is_said_to_be),
        cmocka_unit_test(declining_the_input_range_changes_what_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is handed out lives in the caller's allocator, and what is kept in that of who keeps it:
 * every function that fills a set, makes an object from others, takes one over, or reports.
 */
#include "set/rangeset_internal.h"
#include "support/test_accepts.h"
#include "support/test_viommu.h"

#include <iovageom/guest.h>
#include <iovageom/plan_envelope.h>
#include <iovageom/plan_probe.h>

#include "support/test_ownership.h"

#include "geometry/internal.h"
#include "support/test_facts.h"

enum { MANY = 40 }; /* more than any object keeps inside */

static struct test_ownership memory;

static int setup(void **state)
{
    (void)state;
    test_ownership_init(&memory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(test_allocator_live(&memory.object), 0);
    assert_int_equal(test_allocator_live(&memory.caller), 0);
    return 0;
}

/* A host with many windows, each `stride` pages from the next. */
static struct iovageom_geometry *host(struct test_allocator *allocator, const char *name,
                                      uint64_t stride)
{
    struct iovageom_geometry *geometry = test_host(&allocator->allocator, name, 39, PAGES_4K);

    for (uint64_t i = 1; i <= MANY; i++)
        assert_int_equal(
            iovageom_geometry_add_reserved(geometry, R(i * stride << 12, (i * stride << 12) + 4095),
                                           IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS),
            0);
    return geometry;
}

/* The call has handed out a set that is not small, in the caller's memory, and kept nothing. */
static void handed_out(const struct iovageom_rangeset *set)
{
    assert_true(iovageom_rangeset_count(set) > MANY / 2);
    assert_true(test_ownership_object_same(&memory));
    assert_false(test_ownership_caller_same(&memory));
}

/* ---- sets ---- */

static int unite(struct iovageom_rangeset *out, const struct iovageom_rangeset *a,
                 const struct iovageom_rangeset *b)
{
    return iovageom_rangeset_union(out, a, b);
}

static int copy(struct iovageom_rangeset *out, const struct iovageom_rangeset *a,
                const struct iovageom_rangeset *b)
{
    (void)b;
    return iovageom_rangeset_assign(out, a);
}

static int complement(struct iovageom_rangeset *out, const struct iovageom_rangeset *a,
                      const struct iovageom_rangeset *b)
{
    (void)b;
    return iovageom_rangeset_complement(out, a, ALL);
}

static int clip(struct iovageom_rangeset *out, const struct iovageom_rangeset *a,
                const struct iovageom_rangeset *b)
{
    (void)b;
    return iovageom_rangeset_clip(out, a, ALL);
}

static int inward(struct iovageom_rangeset *out, const struct iovageom_rangeset *a,
                  const struct iovageom_rangeset *b)
{
    (void)b;
    return iovageom_rangeset_align_inward(out, a, 4096);
}

static int outward(struct iovageom_rangeset *out, const struct iovageom_rangeset *a,
                   const struct iovageom_rangeset *b)
{
    (void)b;
    return iovageom_rangeset_align_outward(out, a, 4096);
}

static void results_of_set_algebra(void **state)
{
    static int (*const operations[])(struct iovageom_rangeset *, const struct iovageom_rangeset *,
                                     const struct iovageom_rangeset *) = {
        unite,
        copy,
        complement,
        clip,
        inward,
        outward,
        iovageom_rangeset_intersection,
        iovageom_rangeset_difference};

    (void)state;
    for (size_t n = 0; n < sizeof(operations) / sizeof(operations[0]); n++) {
        struct iovageom_rangeset a, b, out;

        iovageom_rangeset_init(&a, &memory.object.allocator);
        iovageom_rangeset_init(&b, &memory.object.allocator);
        iovageom_rangeset_init(&out, &memory.caller.allocator);
        for (uint64_t i = 0; i < 2 * MANY; i++) {
            assert_int_equal(iovageom_rangeset_insert(&a, R(i * 0x10000, i * 0x10000 + 0x7fff)), 0);
            assert_int_equal(
                iovageom_rangeset_insert(&b, R(i * 0x20000 + 0x4000, i * 0x20000 + 0x9fff)), 0);
        }
        test_ownership_mark(&memory);
        assert_int_equal(operations[n](&out, &a, &b), 0);
        handed_out(&out);
        iovageom_rangeset_deinit(&a);
        iovageom_rangeset_deinit(&b);
        assert_int_equal(test_allocator_live(&memory.object), 0);
        iovageom_rangeset_deinit(&out);
    }
}

/* ---- geometries ---- */

static void sets_from_a_geometry(void **state)
{
    struct iovageom_geometry *a = host(&memory.object, "a", 16);
    struct iovageom_rangeset usable;

    (void)state;
    iovageom_rangeset_init(&usable, &memory.caller.allocator);
    test_ownership_mark(&memory);
    assert_int_equal(iovageom_geometry_usable(a, 4096, &usable), 0);
    handed_out(&usable);
    /* And all of it, or none. */
    for (size_t n = 1;; n++) {
        int error;

        test_allocator_fail_at(&memory.caller, n, n % 2 == 0);
        error = iovageom_geometry_usable(a, 1 << 16, &usable);
        if (!test_allocator_stop_failing(&memory.caller)) {
            assert_int_equal(error, 0);
            break;
        }
        assert_int_equal(error, IOVAGEOM_ERR_NO_MEMORY);
        assert_true(
            iovageom_rangeset_contains(&usable, (struct iovageom_range){15 << 12, 15 << 12}));
    }
    iovageom_geometry_free(a);
    assert_int_equal(test_allocator_live(&memory.object), 0);
    iovageom_rangeset_deinit(&usable);
}

/* One that is made of others is in the allocator of the first, or in that which was given. */
static void geometries_from_geometries(void **state)
{
    struct iovageom_geometry *a = host(&memory.caller, "a", 16), *b = host(&memory.object, "b", 24);
    const struct iovageom_geometry *const pool[] = {b, b};
    struct iovageom_geometry *met, *again, *envelope, *loaded;
    static uint8_t bytes[1 << 16];
    size_t needed;

    (void)state;
    test_ownership_mark(&memory);
    assert_int_equal(test_meet(a, b, "met", &met), 0);
    assert_true(test_ownership_object_same(&memory));
    assert_int_equal(iovageom_geometry_copy(met, &again), 0);
    assert_int_equal(iovageom_geometry_narrow(a, b), 0);
    assert_int_equal(iovageom_plan_envelope(&memory.caller.allocator, pool, 2, "envelope", NULL,
                                            &envelope, NULL),
                     0);
    assert_int_equal(iovageom_geometry_save(b, bytes, sizeof(bytes), &needed), 0);
    assert_int_equal(iovageom_geometry_load(&memory.caller.allocator, bytes, needed, &loaded), 0);
    assert_true(test_ownership_object_same(&memory));
    iovageom_geometry_free(b);
    assert_int_equal(test_allocator_live(&memory.object), 0);
    assert_true(iovageom_geometry_equal(met, again));
    assert_true(iovageom_geometry_equal(met, a));
    assert_true(test_within(envelope, loaded));
    iovageom_geometry_free(a);
    iovageom_geometry_free(met);
    iovageom_geometry_free(again);
    iovageom_geometry_free(envelope);
    iovageom_geometry_free(loaded);
}

static void choices_of_a_guest(void **state)
{
    const struct iovageom_virtio_config space = {0xfffffffffffff000, {0, BIT39 - 1}, 0, 0, 0, 0};
    struct iovageom_guestview_dma dma;
    struct iovageom_region regions[MANY];
    struct iovageom_rangeset out;

    (void)state;
    for (uint64_t i = 0; i < MANY; i++)
        regions[i] = (struct iovageom_region){R((i + 1) << 20, ((i + 1) << 20) + 0xfff),
                                              IOVAGEOM_RESV_RESERVED, 0};
    iovageom_rangeset_init(&out, &memory.caller.allocator);
    assert_int_equal(
        iovageom_guestview_dma_init(&dma, &memory.object.allocator, &space, regions, MANY), 0);
    test_ownership_mark(&memory);
    assert_int_equal(iovageom_rangeset_complement(&out, &dma.taken, dma.limits), 0);
    handed_out(&out);
    iovageom_guestview_dma_deinit(&dma);
    assert_int_equal(test_allocator_live(&memory.object), 0);
    iovageom_rangeset_deinit(&out);
}

/* ---- the books ---- */

static struct iovageom_viommu *books(void)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.probe_size = 8192;
    assert_int_equal(iovageom_viommu_new(&memory.object.allocator, &config, &viommu), 0);
    return viommu;
}

static void sets_from_the_books(void **state)
{
    struct iovageom_geometry *geometry = host(&memory.object, "a", 16);
    struct iovageom_geometry *next = host(&memory.object, "b", 24);
    struct iovageom_viommu *viommu = books();
    struct iovageom_viommu_promise promise;
    struct iovageom_rangeset usable, sets[4];
    struct iovageom_region regions[128];
    size_t count;

    (void)state;
    iovageom_rangeset_init(&usable, &memory.caller.allocator);
    for (int i = 0; i < 4; i++)
        iovageom_rangeset_init(&sets[i], &memory.caller.allocator);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, geometry, NULL), 0);
    assert_int_equal(test_probe(viommu, 1, regions, 128, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_viommu_update(viommu, 1, next, IOVAGEOM_PLUG_ALLOW_STALE, NULL), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 1, 1, 0, NULL)),
                     IOVAGEOM_VIRTIO_S_OK);
    test_ownership_mark(&memory);
    for (size_t n = 1;; n++) {
        int error;

        promise.now = 77;
        test_allocator_fail_at(&memory.caller, n, n % 2 == 0);
        error =
            iovageom_viommu_promise(viommu, 1, &promise, &sets[0], &sets[1], &sets[2], &sets[3]);
        if (!test_allocator_stop_failing(&memory.caller)) {
            assert_int_equal(error, 0);
            break;
        }
        assert_int_equal(error, IOVAGEOM_ERR_NO_MEMORY);
        assert_int_equal(promise.now, 77);
        for (int i = 0; i < 4; i++)
            assert_int_equal(iovageom_rangeset_count(&sets[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        handed_out(&sets[i]);
    assert_int_equal(iovageom_viommu_domain_usable(viommu, 1, &usable), 0);
    handed_out(&usable);
    assert_int_equal(iovageom_viommu_domain_usable(viommu, 2, &usable), IOVAGEOM_ERR_NOT_FOUND);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
    iovageom_geometry_free(next);
    assert_int_equal(test_allocator_live(&memory.object), 0);
    assert_true(iovageom_rangeset_contains(&sets[3], (struct iovageom_range){24 << 12, 24 << 12}));
    iovageom_rangeset_deinit(&usable);
    for (int i = 0; i < 4; i++)
        iovageom_rangeset_deinit(&sets[i]);
}

/* The reverse: a VMM may make geometries in memory that it throws away. */
static void what_the_books_keep_is_theirs(void **state)
{
    const uint32_t alias = 7;
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu = books();
    struct iovageom_geometry *geometry = host(&memory.caller, "a", 16);
    struct iovageom_viommu_endpoint found;

    (void)state;
    iovageom_plug_options_init(&where);
    where.aliases = &alias;
    where.alias_count = 1;
    test_ownership_mark(&memory);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_plug_check(viommu, 1, NULL, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, 2, NULL, geometry, NULL), 0);
    assert_int_equal(iovageom_viommu_update(viommu, 1, geometry, 0, NULL), 0);
    assert_true(test_ownership_caller_same(&memory));
    iovageom_geometry_free(geometry);
    assert_int_equal(test_allocator_live(&memory.caller), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, alias, &found), 0);
    assert_string_equal(iovageom_geometry_name(found.geometry), "a");
    test_check(viommu);
    iovageom_viommu_free(viommu);
}

/* ---- reports ---- */

/* A report of many findings, which were made for objects that are gone. */
static void findings(void **state)
{
    struct iovageom_geometry *geometry = host(&memory.object, "a", 16);
    struct iovageom_geometry *wide = test_host(&memory.object.allocator, "b", 39, PAGES_4K);
    struct iovageom_viommu *viommu = books();
    struct iovageom_region regions[128];
    uint8_t bytes[240];
    struct iovageom_report reports[3];
    size_t count;

    (void)state;
    for (int i = 0; i < 3; i++)
        iovageom_report_init(&reports[i], &memory.caller.allocator);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, wide, NULL), 0);
    assert_int_equal(test_probe(viommu, 1, regions, 128, &count), IOVAGEOM_VIRTIO_S_OK);
    test_ownership_mark(&memory);
    assert_int_equal(iovageom_viommu_update(viommu, 1, geometry, 0, &reports[0]),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_geometry_explain(geometry, R(0, BIT39 - 1), &reports[1]),
                     IOVAGEOM_ERR_RESERVED);
    assert_int_equal(iovageom_plan_probe_encode(&memory.object.allocator, geometry, 4096, ALL,
                                                bytes, sizeof(bytes), NULL, &reports[2]),
                     0);
    assert_true(test_ownership_object_same(&memory));
    for (int i = 0; i < 3; i++)
        assert_true(iovageom_report_count(&reports[i]) > 6);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(geometry);
    iovageom_geometry_free(wide);
    assert_int_equal(test_allocator_live(&memory.object), 0);
    assert_string_equal(iovageom_report_at(&reports[0], 0)->owner.name, "a");
    for (int i = 0; i < 3; i++)
        iovageom_report_deinit(&reports[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_of_set_algebra, setup, teardown),
        cmocka_unit_test_setup_teardown(sets_from_a_geometry, setup, teardown),
        cmocka_unit_test_setup_teardown(geometries_from_geometries, setup, teardown),
        cmocka_unit_test_setup_teardown(choices_of_a_guest, setup, teardown),
        cmocka_unit_test_setup_teardown(sets_from_the_books, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_books_keep_is_theirs, setup, teardown),
        cmocka_unit_test_setup_teardown(findings, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

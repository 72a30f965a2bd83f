/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several devices that answer to one endpoint: each keeps its own geometry, whatever the order in
 * which they are plugged, updated and unplugged.
 */
#include "support/test_allocator.h"
#include "support/test_viommu.h"

#define ALIAS  0x300u
#define FIRST  0x301u
#define SECOND 0x302u
#define WINDOW R(0x40000000, 0x400fffff)
#define LATER  R(0x50000000, 0x500fffff)

static const uint32_t alias[] = {ALIAS};

/* Both behind one bridge, on one set of host page tables. */
static int plug(struct iovageom_viommu *viommu, uint32_t endpoint, size_t aliases, uint32_t flags,
                const struct iovageom_geometry *geometry)
{
    struct iovageom_plug_options where;

    iovageom_plug_options_init(&where);
    where.address_space = 1;
    where.aliases = alias;
    where.alias_count = aliases;
    where.flags = flags;
    return iovageom_viommu_plug(viommu, endpoint, &where, geometry, NULL);
}

static bool told_reserved(const struct iovageom_viommu *viommu, uint32_t endpoint,
                          struct iovageom_range range)
{
    struct iovageom_region regions[16];
    size_t count;

    assert_int_equal(iovageom_viommu_told(viommu, endpoint, regions, 16, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        if (iovageom_range_overlaps(regions[i].range, range))
            return true;
    return false;
}

static const struct iovageom_geometry *geometry_of(const struct iovageom_viommu *viommu,
                                                   uint32_t endpoint)
{
    struct iovageom_viommu_endpoint found;

    assert_int_equal(iovageom_viommu_endpoint(viommu, endpoint, &found), 0);
    return found.geometry;
}

/* ---- */

static struct iovageom_viommu *viommu;
static struct iovageom_geometry *plain, *window, *later;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    plain = test_host(NULL, "plain", 39, PAGES_4K);
    window = test_host_with(NULL, "window", 39, PAGES_4K, WINDOW);
    later = test_host_with(NULL, "later", 39, PAGES_4K, LATER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_check(viommu);
    iovageom_geometry_free(plain);
    iovageom_geometry_free(window);
    iovageom_geometry_free(later);
    iovageom_viommu_free(viommu);
    return 0;
}

static void an_alias_forgets_an_updated_device_that_left(void **state)
{
    (void)state;
    assert_int_equal(plug(viommu, FIRST, 1, 0, plain), 0);
    assert_int_equal(plug(viommu, SECOND, 1, 0, plain), 0);
    assert_int_equal(iovageom_viommu_update(viommu, FIRST, window, 0, NULL), 0);
    assert_true(told_reserved(viommu, ALIAS, WINDOW));
    test_check(viommu);
    assert_int_equal(iovageom_viommu_unplug(viommu, FIRST), 0);
    assert_false(told_reserved(viommu, ALIAS, WINDOW));
    assert_false(told_reserved(viommu, SECOND, WINDOW));
    assert_true(iovageom_geometry_equal(geometry_of(viommu, ALIAS), plain));
}

static void an_alias_keeps_an_updated_device_that_stays(void **state)
{
    (void)state;
    assert_int_equal(plug(viommu, FIRST, 1, 0, plain), 0);
    assert_int_equal(plug(viommu, SECOND, 1, 0, plain), 0);
    assert_int_equal(iovageom_viommu_update(viommu, SECOND, window, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, FIRST), 0);
    assert_true(told_reserved(viommu, ALIAS, WINDOW));
    assert_true(iovageom_geometry_equal(geometry_of(viommu, ALIAS), window));
    assert_int_equal(iovageom_viommu_unplug(viommu, SECOND), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, ALIAS, &(struct iovageom_viommu_endpoint){0}),
                     IOVAGEOM_ERR_NOT_FOUND);
}

static void two_updates_are_not_mixed_up(void **state)
{
    (void)state;
    assert_int_equal(plug(viommu, FIRST, 1, 0, plain), 0);
    assert_int_equal(plug(viommu, SECOND, 1, 0, plain), 0);
    assert_int_equal(iovageom_viommu_update(viommu, FIRST, window, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_update(viommu, SECOND, later, 0, NULL), 0);
    assert_true(told_reserved(viommu, ALIAS, WINDOW));
    assert_true(told_reserved(viommu, ALIAS, LATER));
    /* Back again, and the other one is gone. */
    assert_int_equal(iovageom_viommu_update(viommu, FIRST, plain, 0, NULL), 0);
    assert_false(told_reserved(viommu, ALIAS, WINDOW));
    assert_int_equal(iovageom_viommu_unplug(viommu, SECOND), 0);
    assert_false(told_reserved(viommu, ALIAS, LATER));
}

/* An endpoint can have a device of its own and be another one's alias. */
static void an_update_is_that_of_the_device_plugged_there(void **state)
{
    (void)state;
    assert_int_equal(plug(viommu, FIRST, 1, 0, plain), 0);
    assert_int_equal(plug(viommu, ALIAS, 0, IOVAGEOM_PLUG_ALIAS, plain), 0);
    assert_int_equal(iovageom_viommu_update(viommu, ALIAS, window, 0, NULL), 0);
    assert_true(iovageom_geometry_equal(geometry_of(viommu, ALIAS), window));
    assert_true(iovageom_geometry_equal(geometry_of(viommu, FIRST), plain));
    assert_int_equal(iovageom_viommu_unplug(viommu, ALIAS), 0);
    assert_false(told_reserved(viommu, FIRST, WINDOW));
    assert_true(iovageom_geometry_equal(geometry_of(viommu, ALIAS), plain));
    assert_int_equal(iovageom_viommu_unplug(viommu, ALIAS), IOVAGEOM_ERR_NOT_FOUND);
}

/* The devices of one endpoint can't be told apart: they are updated together, and leave one by one.
 */
static void devices_of_one_endpoint_are_updated_together(void **state)
{
    (void)state;
    assert_int_equal(plug(viommu, FIRST, 1, 0, plain), 0);
    assert_int_equal(plug(viommu, FIRST, 0, IOVAGEOM_PLUG_ALIAS, plain), 0);
    assert_int_equal(iovageom_viommu_update(viommu, FIRST, window, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, FIRST), 0);
    assert_true(told_reserved(viommu, ALIAS, WINDOW));
    assert_int_equal(iovageom_viommu_update(viommu, FIRST, plain, 0, NULL), 0);
    assert_false(told_reserved(viommu, ALIAS, WINDOW));
    assert_int_equal(iovageom_viommu_unplug(viommu, FIRST), 0);
    assert_false(iovageom_viommu_endpoint_next(viommu, 0, &(struct iovageom_viommu_endpoint){0}));
}

/* A second device at one endpoint may have aliases too, whoever came first. */
static void each_device_takes_its_own_aliases_along(void **state)
{
    struct iovageom_viommu_endpoint found;

    (void)state;
    assert_int_equal(plug(viommu, FIRST, 0, 0, plain), 0);
    assert_int_equal(plug(viommu, FIRST, 1, IOVAGEOM_PLUG_ALIAS, plain), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, FIRST, &found), 0);
    assert_int_equal(found.plugged, 2);
    assert_int_equal(iovageom_viommu_unplug(viommu, FIRST), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, ALIAS, &found), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_viommu_endpoint(viommu, FIRST, &found), 0);
    assert_int_equal(found.plugged, 1);
}

/* One that is called off leaves nothing behind, whatever became of the others in between. */
static void an_aborted_device_leaves_nothing(void **state)
{
    struct iovageom_plug_options where;

    (void)state;
    iovageom_plug_options_init(&where);
    where.address_space = 1;
    where.aliases = alias;
    where.alias_count = 1;
    assert_int_equal(plug(viommu, FIRST, 1, 0, plain), 0);
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, SECOND, &where, plain, NULL), 0);
    assert_int_equal(iovageom_viommu_update(viommu, FIRST, window, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, FIRST), 0);
    assert_false(told_reserved(viommu, ALIAS, WINDOW));
    test_check(viommu);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, SECOND), 0);
    assert_false(iovageom_viommu_endpoint_next(viommu, 0, &(struct iovageom_viommu_endpoint){0}));
}

/* Who comes must agree with each device that is there, not with the first alone. */
static void a_newcomer_agrees_with_all(void **state)
{
    (void)state;
    assert_int_equal(plug(viommu, FIRST, 1, 0, plain), 0);
    assert_int_equal(plug(viommu, SECOND, 1, 0, plain), 0);
    assert_int_equal(iovageom_viommu_update(viommu, SECOND, window, 0, NULL), 0);
    assert_int_equal(plug(viommu, 0x303, 1, 0, plain), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plug(viommu, 0x303, 1, 0, window), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_viommu_update(viommu, FIRST, window, 0, NULL), 0);
    assert_int_equal(plug(viommu, 0x303, 1, 0, window), 0);
}

/* A device at an endpoint where another one is keeps its host group, and that its container. */
static void a_second_device_has_a_host_group_too(void **state)
{
    struct iovageom_viommu_endpoint found;
    struct iovageom_plug_options where;

    (void)state;
    iovageom_plug_options_init(&where);
    where.address_space = 1;
    assert_int_equal(iovageom_viommu_plug(viommu, FIRST, &where, plain, NULL), 0);
    where.host_group = 7;
    where.flags = IOVAGEOM_PLUG_ALIAS;
    assert_int_equal(iovageom_viommu_plug(viommu, FIRST, &where, plain, NULL), 0);
    where.address_space = IOVAGEOM_VIOMMU_OWN;
    where.flags = 0;
    assert_int_equal(iovageom_viommu_plug(viommu, SECOND, &where, plain, NULL), 0);
    assert_int_equal(iovageom_viommu_endpoint(viommu, SECOND, &found), 0);
    assert_int_equal(found.address_space, 1);
}

/* Who comes to an endpoint and leaves it again and again, while another device stays, costs no
 * more. */
static void a_host_group_is_kept_once(void **state)
{
    struct test_allocator memory;
    struct iovageom_viommu *books;
    struct iovageom_plug_options where;
    size_t live = 0;

    (void)state;
    test_allocator_init(&memory);
    assert_int_equal(iovageom_viommu_new(&memory.allocator, NULL, &books), 0);
    iovageom_plug_options_init(&where);
    where.address_space = 1;
    where.host_group = 5;
    where.flags = IOVAGEOM_PLUG_ALIAS;
    assert_int_equal(iovageom_viommu_plug(books, FIRST, &where, plain, NULL), 0);
    for (int i = 0; i < 20; i++) {
        where.host_group = 6 + (uint64_t)i % 2;
        assert_int_equal(iovageom_viommu_plug(books, FIRST, &where, plain, NULL), 0);
        assert_int_equal(iovageom_viommu_unplug(books, FIRST), 0);
        if (i == 1)
            live = test_allocator_live(&memory);
    }
    assert_int_equal(test_allocator_live(&memory), live);
    /* All three are where they were, until the last device has left. */
    where.flags = 0;
    where.address_space = 2;
    for (where.host_group = 5; where.host_group <= 7; where.host_group++)
        assert_int_equal(iovageom_viommu_plug(books, SECOND, &where, plain, NULL),
                         IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_viommu_unplug(books, FIRST), 0);
    where.host_group = 7;
    assert_int_equal(iovageom_viommu_plug(books, SECOND, &where, plain, NULL), 0);
    test_check(books);
    iovageom_viommu_free(books);
    assert_int_equal(test_allocator_live(&memory), 0);
}

/* An alias that stays is not in the own group of whoever is plugged next where its device was. */
static void an_own_group_is_shared_with_no_stranger(void **state)
{
    struct iovageom_plug_options where;

    (void)state;
    assert_int_equal(plug(viommu, FIRST, 1, 0, window), 0);
    assert_int_equal(plug(viommu, SECOND, 1, 0, window), 0);
    assert_int_equal(iovageom_viommu_unplug(viommu, FIRST), 0);
    iovageom_plug_options_init(&where);
    where.address_space = 2;
    assert_int_equal(iovageom_viommu_plug(viommu, FIRST, &where, later, NULL), 0);
    assert_false(told_reserved(viommu, FIRST, WINDOW));
    assert_false(told_reserved(viommu, ALIAS, LATER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_alias_forgets_an_updated_device_that_left, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_alias_keeps_an_updated_device_that_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(two_updates_are_not_mixed_up, setup, teardown),
        cmocka_unit_test_setup_teardown(an_update_is_that_of_the_device_plugged_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(devices_of_one_endpoint_are_updated_together, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(each_device_takes_its_own_aliases_along, setup, teardown),
        cmocka_unit_test_setup_teardown(an_aborted_device_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newcomer_agrees_with_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_device_has_a_host_group_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_group_is_kept_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_own_group_is_shared_with_no_stranger, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

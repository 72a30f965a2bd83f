/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A region of type direct is more than a hole: since 6.6 Linux gives the device to nobody. It is
 * said wherever such a device is met, and refused on request.
 */
#include "support/test_viommu.h"
#include "support/test_facts.h"

#include <iovageom/plan_envelope.h>
#include <iovageom/plan_layout.h>

#define FIRST  R(0xa56c2000, 0xa56c2fff)
#define SECOND R(0xa56c4000, 0xa56c4fff)

static const char sentence[] =
    "0000:01:00.0 can't be assigned while firmware demands [0xa56c2000,0xa56c2fff] and 1 more one "
    "to one; update the firmware, or switch its pre-boot DMA protection off";

static void reserve(struct iovageom_geometry *geometry, struct iovageom_range range,
                    enum iovageom_resv_type type, enum iovageom_source source)
{
    assert_int_equal(iovageom_geometry_add_reserved(geometry, range, type, source), 0);
}

/* A laptop's GPU with what its firmware demands. */
static struct iovageom_geometry *laptop(const char *name)
{
    struct iovageom_geometry *geometry = test_host(NULL, name, 48, PAGES_4K);

    reserve(geometry, SECOND, IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS);
    reserve(geometry, FIRST, IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS);
    return geometry;
}

/* The only finding of that kind; NULL when there is none. */
static const struct iovageom_finding *said(const struct iovageom_report *report)
{
    const struct iovageom_finding *found = NULL;

    for (size_t i = 0; i < iovageom_report_count(report); i++)
        if (iovageom_report_at(report, i)->kind == IOVAGEOM_FINDING_DIRECT) {
            assert_null(found);
            found = iovageom_report_at(report, i);
        }
    return found;
}

static void check_said(const struct iovageom_report *report, bool fatal, uint64_t endpoint)
{
    const struct iovageom_finding *finding = said(report);
    char text[512];

    assert_non_null(finding);
    assert_int_equal(finding->fatal, fatal);
    assert_int_equal(finding->status, fatal ? IOVAGEOM_ERR_CONFLICT : IOVAGEOM_OK);
    assert_true(iovageom_range_equal(finding->range, FIRST));
    assert_int_equal(finding->wanted, 2);
    assert_int_equal(finding->endpoint, endpoint);
    assert_int_equal(finding->owner.source, IOVAGEOM_SOURCE_SYSFS);
    (void)iovageom_finding_text(finding, text, sizeof(text));
    assert_string_equal(text, sentence);
}

static void a_geometry_says_whether_it_can_be_assigned(void **state)
{
    struct iovageom_geometry *good = test_host(NULL, "good", 39, PAGES_4K);
    struct iovageom_geometry *bad = laptop("0000:01:00.0"), *met;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_assignable(bad, &report), IOVAGEOM_ERR_CONFLICT);
    check_said(&report, true, IOVAGEOM_ID_NONE);
    assert_string_equal(iovageom_report_text(&report), sentence);
    assert_int_equal(iovageom_geometry_assignable(bad, NULL), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_geometry_assignable(good, &report), IOVAGEOM_OK);
    assert_int_equal(iovageom_report_count(&report), 0);
    /* Other types are holes and no more, direct-relaxable not even that. */
    reserve(good, FIRST, IOVAGEOM_RESV_DIRECT_RELAXABLE, IOVAGEOM_SOURCE_SYSFS);
    reserve(good, SECOND, IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS);
    reserve(good, R(0x8000000, 0x80fffff), IOVAGEOM_RESV_SOFTWARE_MSI, IOVAGEOM_SOURCE_SYSFS);
    assert_int_equal(iovageom_geometry_assignable(good, &report), IOVAGEOM_OK);
    /* What the machine or the user reserves is the guest's, whatever its type. */
    reserve(good, FIRST, IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_MACHINE);
    reserve(good, FIRST, IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_USER);
    assert_int_equal(iovageom_geometry_assignable(good, &report), IOVAGEOM_OK);
    /* A meet has as many findings as devices. */
    assert_int_equal(test_meet(good, bad, "both", &met), 0);
    assert_int_equal(iovageom_geometry_assignable(met, &report), IOVAGEOM_ERR_CONFLICT);
    check_said(&report, true, IOVAGEOM_ID_NONE);
    reserve(met, FIRST, IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_DEVICE);
    assert_int_equal(iovageom_geometry_assignable(met, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 2);
    iovageom_geometry_free(good);
    iovageom_geometry_free(bad);
    iovageom_geometry_free(met);
    iovageom_report_deinit(&report);
}

static void one_region_is_named_alone(void **state)
{
    struct iovageom_geometry *geometry = test_host(NULL, "0000:01:00.0", 39, PAGES_4K);
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    reserve(geometry, FIRST, IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS);
    assert_int_equal(iovageom_geometry_assignable(geometry, &report), IOVAGEOM_ERR_CONFLICT);
    assert_string_equal(iovageom_report_text(&report),
                        "0000:01:00.0 can't be assigned while firmware demands "
                        "[0xa56c2000,0xa56c2fff] one to one; update the firmware, or switch its "
                        "pre-boot DMA protection off");
    iovageom_geometry_free(geometry);
    iovageom_report_deinit(&report);
}

/* Whoever plans around the hole hears that it is in vain. */
static void planners_say_it(void **state)
{
    const struct iovageom_piece ram = {R(0x100000, 0xbfffffff), IOVAGEOM_PIECE_RAM,
                                       IOVAGEOM_PIECE_MOVABLE | IOVAGEOM_PIECE_SPLITTABLE, 0, ALL};
    struct iovageom_piece low = ram;
    struct iovageom_geometry *bad = laptop("0000:01:00.0"),
                             *good = test_host(NULL, "good", 39, PAGES_4K), *pool;
    const struct iovageom_geometry *const hosts[] = {good, bad, good};
    struct iovageom_placement out[4];
    struct iovageom_layout_plan plan;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_geometry_explain(bad, R(0, 0xfff), &report), IOVAGEOM_OK);
    check_said(&report, false, IOVAGEOM_ID_NONE);
    assert_int_equal(iovageom_plan_layout(NULL, bad, 0, &ram, 1, out, 4, &plan, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(plan.placements, 2);
    check_said(&report, false, IOVAGEOM_ID_NONE);
    /* A layout that fits gets the device as little. */
    low.range.last = 0xfffff + 0x100000;
    assert_int_equal(iovageom_plan_layout(NULL, bad, 0, &low, 1, out, 4, &plan, &report),
                     IOVAGEOM_OK);
    check_said(&report, false, IOVAGEOM_ID_NONE);
    assert_int_equal(iovageom_plan_envelope(NULL, hosts, 3, "pool", NULL, &pool, &report), 0);
    check_said(&report, false, IOVAGEOM_ID_NONE);
    assert_string_equal(iovageom_report_text(&report), sentence);
    /* The pool has it from one of its devices. */
    assert_int_equal(iovageom_geometry_assignable(pool, &report), IOVAGEOM_ERR_CONFLICT);
    assert_string_equal(iovageom_report_text(&report),
                        "a device of pool can't be assigned while firmware demands "
                        "[0xa56c2000,0xa56c2fff] and 1 more one to one; update the firmware, or "
                        "switch its pre-boot DMA protection off");
    iovageom_geometry_free(pool);
    assert_int_equal(iovageom_plan_envelope(NULL, hosts, 1, "pool", NULL, NULL, &report), 0);
    assert_null(said(&report));
    iovageom_geometry_free(bad);
    iovageom_geometry_free(good);
    iovageom_report_deinit(&report);
}

/* By default it is a note: older kernels differ. */
static void plugging_says_it_once(void **state)
{
    const uint32_t alias = 9;
    struct iovageom_geometry *bad = laptop("0000:01:00.0"),
                             *good = test_host(NULL, "0000:01:00.0", 48, PAGES_4K);
    struct iovageom_viommu *viommu;
    struct iovageom_plug_options where;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_plug_options_init(&where);
    where.aliases = &alias;
    where.alias_count = 1;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, alias, 77, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    assert_int_equal(iovageom_viommu_plug_check(viommu, 1, &where, bad, &report), 0);
    check_said(&report, false, 1);
    assert_string_equal(iovageom_report_text(&report), sentence);
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, 1, &where, bad, &report), 0);
    check_said(&report, false, 1);
    assert_int_equal(iovageom_viommu_plug_abort(viommu, 1), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, bad, &report), 0);
    check_said(&report, false, 1);
    assert_int_equal(iovageom_viommu_update(viommu, 1, good, 0, &report), 0);
    assert_null(said(&report));
    assert_int_equal(iovageom_viommu_update(viommu, 1, bad, 0, &report), 0);
    check_said(&report, false, 1);
    assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
    check_said(&report, false, 1);
    test_check(viommu);
    iovageom_viommu_free(viommu);

    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_set_envelope(viommu, bad, &report), 0);
    check_said(&report, false, IOVAGEOM_ID_NONE);
    assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
    check_said(&report, false, IOVAGEOM_ID_NONE);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(bad);
    iovageom_geometry_free(good);
    iovageom_report_deinit(&report);
}

/* A prepared device counts as one that is there. */
static void freezing_says_it_of_prepared_devices(void **state)
{
    struct iovageom_geometry *bad = laptop("0000:01:00.0");
    struct iovageom_viommu *viommu;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_plug_prepare(viommu, 1, NULL, bad, NULL), 0);
    assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
    check_said(&report, false, 1);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(bad);
    iovageom_report_deinit(&report);
}

static void it_is_refused_on_request(void **state)
{
    struct iovageom_geometry *bad = laptop("0000:01:00.0"),
                             *good = test_host(NULL, "0000:01:00.0", 48, PAGES_4K);
    struct iovageom_viommu_config config;
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu;
    struct iovageom_viommu_endpoint found;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    iovageom_plug_options_init(&where);
    for (int all = 0; all < 2; all++) {
        const uint32_t flag = all ? 0 : IOVAGEOM_PLUG_REFUSE_DIRECT;

        config.flags = all ? IOVAGEOM_VIOMMU_REFUSE_DIRECT : 0;
        where.flags = flag | IOVAGEOM_PLUG_ALLOW_STALE;
        assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), 0);
        assert_int_equal(iovageom_viommu_plug_check(viommu, 1, &where, bad, &report),
                         IOVAGEOM_ERR_CONFLICT);
        check_said(&report, true, 1);
        assert_int_equal(iovageom_viommu_plug_prepare(viommu, 1, &where, bad, &report),
                         IOVAGEOM_ERR_CONFLICT);
        check_said(&report, true, 1);
        assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, bad, &report),
                         IOVAGEOM_ERR_CONFLICT);
        check_said(&report, true, 1);
        assert_string_equal(iovageom_report_text(&report), sentence);
        assert_int_equal(iovageom_viommu_endpoint(viommu, 1, &found), IOVAGEOM_ERR_NOT_FOUND);
        assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, good, &report), 0);
        assert_null(said(&report));
        assert_int_equal(
            iovageom_viommu_update(viommu, 1, bad, flag | IOVAGEOM_PLUG_ALLOW_STALE, &report),
            IOVAGEOM_ERR_CONFLICT);
        check_said(&report, true, 1);
        assert_int_equal(iovageom_viommu_endpoint(viommu, 1, &found), 0);
        assert_true(iovageom_geometry_equal(found.geometry, good));
        assert_int_equal(iovageom_viommu_set_envelope(viommu, bad, &report),
                         all ? IOVAGEOM_ERR_CONFLICT : 0);
        check_said(&report, all, IOVAGEOM_ID_NONE);
        assert_int_equal(iovageom_viommu_set_envelope(viommu, good, &report), 0);
        assert_int_equal(iovageom_viommu_freeze(viommu, &report), 0);
        assert_null(said(&report));
        test_check(viommu);
        iovageom_viommu_free(viommu);
    }
    iovageom_geometry_free(bad);
    iovageom_geometry_free(good);
    iovageom_report_deinit(&report);
}

/* A window of the machine's that is typed direct is no host's. */
static void a_direct_region_of_the_machine_refuses_nobody(void **state)
{
    struct iovageom_geometry *good = test_host(NULL, "good", 48, PAGES_4K);
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.flags = IOVAGEOM_VIOMMU_REFUSE_DIRECT;
    assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), 0);
    assert_int_equal(iovageom_viommu_add_region(viommu, FIRST, IOVAGEOM_RESV_DIRECT,
                                                IOVAGEOM_SOURCE_MACHINE, "rmrr"),
                     0);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, good, &report), 0);
    assert_null(said(&report));
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(good);
    iovageom_report_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_geometry_says_whether_it_can_be_assigned),
        cmocka_unit_test(one_region_is_named_alone),
        cmocka_unit_test(planners_say_it),
        cmocka_unit_test(plugging_says_it_once),
        cmocka_unit_test(freezing_says_it_of_prepared_devices),
        cmocka_unit_test(it_is_refused_on_request),
        cmocka_unit_test(a_direct_region_of_the_machine_refuses_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

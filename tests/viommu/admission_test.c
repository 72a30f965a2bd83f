/* SPDX-License-Identifier: BSD-3-Clause */
/* What a plug is told of the lists of PROBE that change with it, and of the groups that it
 * concerns. */
#include "support/test_viommu.h"

#define GROUP 7u

static size_t findings_of(const struct iovageom_report *report, enum iovageom_finding_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < iovageom_report_count(report); i++)
        count += iovageom_report_at(report, i)->kind == (uint32_t)kind;
    return count;
}

/* Only sources that say nothing else: the usable ranges are all but these. */
static struct iovageom_geometry *windows(const char *name, const struct iovageom_range *ranges,
                                         size_t count)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(iovageom_geometry_add_reserved(geometry, ranges[i], IOVAGEOM_RESV_RESERVED,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
    return geometry;
}

/*
 * A list may have five regions for one range of a device: the range, cut in two by doorbells, and
 * what lies on both sides of the input range, for a driver that didn't read that. Whoever has told
 * the guest of fewer is told what is lost.
 */
static void a_list_that_does_not_fit_is_noted(void **state)
{
    const struct iovageom_range window = {0x40000000, 0x4fffffff};
    const struct iovageom_range doorbells = {0x48000000, 0x48000fff};

    (void)state;
    for (uint32_t regions = 4; regions <= 6; regions++) {
        struct iovageom_geometry *geometry = windows("device", &window, 1);
        struct iovageom_viommu_config config;
        struct iovageom_viommu *viommu;
        struct iovageom_report report;

        assert_int_equal(iovageom_geometry_add_reserved(geometry, doorbells, IOVAGEOM_RESV_MSI,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
        iovageom_viommu_config_init(&config);
        config.input_range = R(0x10000000, 0x7fffffff);
        config.probe_size = regions * IOVAGEOM_VIRTIO_RESV_MEM_SIZE;
        assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), 0);
        assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
        assert_int_equal(
            iovageom_viommu_driver_features(
                viommu, config.features & ~(uint32_t)IOVAGEOM_VIRTIO_F_INPUT_RANGE, NULL),
            0);
        iovageom_report_init(&report, NULL);
        assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, geometry, &report), 0);
        assert_int_equal(findings_of(&report, IOVAGEOM_FINDING_LOST) > 0, regions < 5);
        test_check(viommu);
        iovageom_report_deinit(&report);
        iovageom_geometry_free(geometry);
        iovageom_viommu_free(viommu);
    }
}

/* A group that comes into an address space is told of all that is reserved there, if it is new or
 * not. */
static void what_others_reserve_there_counts_for_a_list(void **state)
{
    struct iovageom_range ranges[12];

    (void)state;
    for (uint64_t i = 0; i < 12; i++)
        ranges[i] = R((2 * i + 1) << 20, ((2 * i + 2) << 20) - 1);
    for (int known = 0; known < 2; known++) {
        struct iovageom_geometry *many = windows("many", ranges, 12);
        struct iovageom_geometry *few = windows("few", ranges, 1);
        struct iovageom_plug_options where;
        struct iovageom_viommu_config config;
        struct iovageom_viommu *viommu;
        struct iovageom_report report;

        iovageom_viommu_config_init(&config);
        config.probe_size = 8 * IOVAGEOM_VIRTIO_RESV_MEM_SIZE;
        assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), 0);
        if (known)
            assert_int_equal(
                iovageom_viommu_declare(viommu, 9, GROUP, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
        assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
        iovageom_report_init(&report, NULL);
        iovageom_plug_options_init(&where);
        where.address_space = 1;
        assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, many, NULL), 0);
        where.guest_group = GROUP;
        assert_int_equal(iovageom_viommu_plug(viommu, 2, &where, few, &report), 0);
        /* The list of the group that is there already, and that of the one that comes. */
        assert_int_equal(findings_of(&report, IOVAGEOM_FINDING_PROBE_SIZE), 2);
        test_check(viommu);
        iovageom_report_deinit(&report);
        iovageom_geometry_free(many);
        iovageom_geometry_free(few);
        iovageom_viommu_free(viommu);
    }
}

/* Each guest group that gets an endpoint is asked once, in whatever order its aliases are named. */
static void a_group_objects_once(void **state)
{
    const uint32_t aliases[] = {1, 2, 3, 4};
    const struct iovageom_range window = {0x40000000, 0x4fffffff};
    struct iovageom_geometry *geometry = windows("device", &window, 1);
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    iovageom_report_init(&report, NULL);
    for (uint32_t i = 1; i <= 4; i++) {
        struct iovageom_region regions[4];
        size_t count;

        assert_int_equal(
            iovageom_viommu_declare(viommu, i, GROUP + i % 2, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
        assert_int_equal(test_probe(viommu, i, regions, 4, &count), IOVAGEOM_VIRTIO_S_OK);
    }
    iovageom_plug_options_init(&where);
    where.aliases = aliases;
    where.alias_count = 4;
    assert_int_equal(iovageom_viommu_plug(viommu, 5, &where, geometry, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(findings_of(&report, IOVAGEOM_FINDING_PROMISE), 2);
    test_check(viommu);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
    iovageom_viommu_free(viommu);
}

/* Many groups are asked at a time, each with the newest of its domains first: all are named that
 * have a mapping in the way, and no other. */
static void each_domain_in_the_way_is_named(void **state)
{
    enum { ENDPOINTS = 80 };
    const struct iovageom_range window[] = {{0x40000000, 0x4fffffff}, {0x60000000, 0x6fffffff}};
    /* In a window are the second and the third. */
    const struct iovageom_range pages[] = {{0x3ffff000, 0x3fffffff},
                                           {0x4ffff000, 0x4fffffff},
                                           {0x60000000, 0x60000fff},
                                           {0x70000000, 0x70000fff}};
    struct iovageom_geometry *old = windows("old", NULL, 0);
    struct iovageom_geometry *geometry = windows("new", window, 2);
    struct iovageom_plug_options where;
    struct iovageom_viommu *viommu;
    struct iovageom_report report;
    size_t expected = 0;

    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    iovageom_report_init(&report, NULL);
    iovageom_plug_options_init(&where);
    where.address_space = 1;
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        where.guest_group = i % 5 == 0 ? IOVAGEOM_VIOMMU_OWN : i / 5;
        assert_int_equal(iovageom_viommu_plug(viommu, i, &where, old, NULL), 0);
    }
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        if (i % 11 == 4)
            continue; /* in no domain */
        assert_int_equal(iovageom_viommu_attach(viommu, i, i, 0, NULL), 0);
        for (size_t k = 0; k < 4; k++)
            if (i % (k + 5) <= 1) {
                assert_int_equal(
                    iovageom_viommu_map(viommu, i, pages[k], 0, IOVAGEOM_VIRTIO_MAP_F_READ, NULL),
                    0);
                expected += k == 1 || k == 2;
            }
    }
    assert_int_equal(iovageom_viommu_plug_check(viommu, ENDPOINTS, &where, geometry, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(findings_of(&report, IOVAGEOM_FINDING_MAPPING), expected);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
    iovageom_geometry_free(old);
    iovageom_viommu_free(viommu);
}

/* Whoever asks with a report is told of what is lost, also when the list is known already. */
static void each_probe_notes_what_is_lost(void **state)
{
    const struct iovageom_range ranges[] = {
        {0x1000, 0x1fff}, {0x3000, 0x3fff}, {0x5000, 0x5fff}, {0x7000, 0x7fff}, {0x9000, 0x9fff}};
    uint8_t bytes[4 * IOVAGEOM_VIRTIO_RESV_MEM_SIZE];

    (void)state;
    for (size_t count = 4; count <= 5; count++) {
        struct iovageom_geometry *geometry = windows("device", ranges, count);
        struct iovageom_viommu_config config;
        struct iovageom_viommu *viommu;
        struct iovageom_report report;

        iovageom_viommu_config_init(&config);
        config.probe_size = sizeof(bytes);
        assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), 0);
        assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, geometry, NULL), 0);
        iovageom_report_init(&report, NULL);
        for (int i = 0; i < 6; i++) {
            iovageom_report_clear(&report);
            assert_int_equal(iovageom_viommu_probe(viommu, 1, bytes, sizeof(bytes), NULL,
                                                   i % 3 == 0 ? NULL : &report),
                             0);
            assert_int_equal(findings_of(&report, IOVAGEOM_FINDING_LOST),
                             i % 3 != 0 && count == 5 ? 1 : 0);
        }
        iovageom_report_deinit(&report);
        iovageom_geometry_free(geometry);
        iovageom_viommu_free(viommu);
    }
}

/* A device that maps nothing is refused as one, with a report and without, whatever else it has. */
static void without_page_sizes_it_is_a_conflict(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_geometry *host = test_host(NULL, "nothing", 48, 0);
    struct iovageom_report report;

    (void)state;
    iovageom_report_init(&report, NULL);
    iovageom_viommu_config_init(&config);
    config.probe_size = 96;
    assert_int_equal(iovageom_viommu_new(NULL, &config, &viommu), 0);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(host, 0, IOVAGEOM_SOURCE_VFIO), 0);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(iovageom_geometry_add_reserved(host, R(i << 20, (i << 20) + 0xfff),
                                                        IOVAGEOM_RESV_RESERVED,
                                                        IOVAGEOM_SOURCE_SYSFS),
                         0);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, host, NULL), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, host, &report), IOVAGEOM_ERR_CONFLICT);
    /* No granule is of help, so none is advised. */
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_NOTHING_USABLE);
    assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "nothing");
    assert_null(strstr(iovageom_report_text(&report), "granule"));
    /* Nothing is said to be lost that was never usable. */
    for (size_t i = 0; i < iovageom_report_count(&report); i++)
        assert_int_not_equal(iovageom_report_at(&report, i)->kind, IOVAGEOM_FINDING_LOST);
    iovageom_geometry_free(host);
    iovageom_viommu_free(viommu);
    iovageom_report_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_that_does_not_fit_is_noted),
        cmocka_unit_test(what_others_reserve_there_counts_for_a_list),
        cmocka_unit_test(a_group_objects_once),
        cmocka_unit_test(each_domain_in_the_way_is_named),
        cmocka_unit_test(each_probe_notes_what_is_lost),
        cmocka_unit_test(without_page_sizes_it_is_a_conflict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

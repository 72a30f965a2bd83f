/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the findings of the books hold, field by field: those of a migration above all, which were
 * made one from the other. That no finding at all holds more than its kind names is seen by the
 * linker in each test (support/test_findings.h).
 */
#include "support/test_viommu.h"

#include "support/test_findings.h"

#include "geometry/internal.h"
#include "viommu/internal.h"

static uint8_t stream[1 << 14];
static struct iovageom_report report;

static int setup(void **state)
{
    (void)state;
    iovageom_report_init(&report, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    iovageom_report_deinit(&report);
    return 0;
}

static struct iovageom_viommu *books(const struct iovageom_viommu_config *config)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(NULL, config, &viommu), 0);
    return viommu;
}

/* Field by field, since padding is nobody's. */
static void same(const struct iovageom_finding *a, const struct iovageom_finding *b)
{
    assert_non_null(a);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->fatal, b->fatal);
    assert_int_equal(a->type, b->type);
    assert_true(iovageom_range_equal(a->range, b->range));
    assert_true(iovageom_range_equal(a->against, b->against));
    assert_int_equal(a->wanted, b->wanted);
    assert_int_equal(a->offered, b->offered);
    assert_int_equal(a->endpoint, b->endpoint);
    assert_int_equal(a->domain, b->domain);
    assert_int_equal(iovageom_owner_compare(&a->owner, &b->owner), 0);
    assert_int_equal(iovageom_owner_compare(&a->other, &b->other), 0);
    assert_int_equal(a->detail == NULL, b->detail == NULL);
}

static struct iovageom_finding finding(enum iovageom_finding_kind kind)
{
    return iovageom_finding_blank(kind, IOVAGEOM_ERR_CONFLICT);
}

static size_t save(struct iovageom_viommu *viommu)
{
    size_t length;

    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, stream, sizeof(stream), &length), 0);
    return length;
}

/* ---- */

/* Everything that a destination may be configured otherwise, at once: one finding for each. */
static void a_destination_of_another_configuration(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_finding wanted;
    size_t length;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.probe_size = 1024;
    config.granule = 4096;
    viommu = books(&config);
    length = save(viommu);
    iovageom_viommu_free(viommu);
    config.input_range = R(0, BIT39 - 1);
    config.probe_size = 512;
    config.granule = 0x10000;
    config.domain_last = 7;
    viommu = books(&config);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 4);

    wanted = finding(IOVAGEOM_FINDING_INPUT_RANGE);
    wanted.range = ALL;
    wanted.against = R(0, BIT39 - 1);
    (void)iovageom_owner_init(&wanted.owner, IOVAGEOM_SOURCE_MACHINE, "the destination");
    same(iovageom_report_at(&report, 0), &wanted);

    wanted = finding(IOVAGEOM_FINDING_PROBE_SIZE);
    wanted.wanted = 1024;
    wanted.offered = 512;
    same(iovageom_report_at(&report, 1), &wanted);

    wanted = finding(IOVAGEOM_FINDING_GRANULE);
    wanted.wanted = 4096;
    wanted.offered = 0x10000;
    (void)iovageom_owner_init(&wanted.owner, IOVAGEOM_SOURCE_MACHINE, "the destination");
    same(iovageom_report_at(&report, 2), &wanted);

    wanted = finding(IOVAGEOM_FINDING_OTHER);
    wanted.detail = "something";
    same(iovageom_report_at(&report, 3), &wanted);
    iovageom_viommu_free(viommu);
}

static void a_destination_without_an_endpoint(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_finding wanted = finding(IOVAGEOM_FINDING_NOT_FOUND);
    size_t length;

    (void)state;
    assert_int_equal(iovageom_viommu_declare(viommu, 5, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, 6, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    length = save(viommu);
    iovageom_viommu_free(viommu);
    viommu = books(NULL);
    assert_int_equal(iovageom_viommu_declare(viommu, 6, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 1);
    wanted.endpoint = 5;
    same(iovageom_report_at(&report, 0), &wanted);
    iovageom_viommu_free(viommu);
}

/* Two promises that the destination breaks, each with its own owner, type and endpoint. */
static void a_destination_that_breaks_two_promises(void **state)
{
    const struct iovageom_range windows[] = {R(0x40000000, 0x400fffff), R(0x50000000, 0x500fffff)};
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_region regions[16];
    struct iovageom_geometry *host;
    struct iovageom_finding wanted;
    size_t length, count;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(test_plug(viommu, i, i, test_host(NULL, "before", 39, PAGES_4K), NULL), 0);
        assert_int_equal(test_probe(viommu, i, regions, 16, &count), IOVAGEOM_VIRTIO_S_OK);
    }
    length = save(viommu);
    iovageom_viommu_free(viommu);
    viommu = books(NULL);
    for (uint32_t i = 0; i < 2; i++) {
        host = test_host(NULL, i == 0 ? "first" : "second", 39, PAGES_4K);
        assert_int_equal(
            iovageom_geometry_add_reserved(host, windows[i],
                                           i == 0 ? IOVAGEOM_RESV_DIRECT : IOVAGEOM_RESV_RESERVED,
                                           i == 0 ? IOVAGEOM_SOURCE_SYSFS : IOVAGEOM_SOURCE_VFIO),
            0);
        assert_int_equal(test_plug(viommu, i, i, host, NULL), 0);
    }
    assert_int_equal(iovageom_viommu_load(viommu, stream, length, 0, &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 2);
    for (uint32_t i = 0; i < 2; i++) {
        wanted = finding(IOVAGEOM_FINDING_PROMISE);
        wanted.against = windows[i];
        wanted.range = R(0xfef00000, BIT39 - 1);
        if (windows[i].start < 0xfee00000)
            wanted.range = R(0, 0xfedfffff);
        wanted.endpoint = i;
        wanted.type = i == 0 ? IOVAGEOM_RESV_DIRECT : IOVAGEOM_RESV_RESERVED;
        (void)iovageom_owner_init(&wanted.owner,
                                  i == 0 ? IOVAGEOM_SOURCE_SYSFS : IOVAGEOM_SOURCE_VFIO,
                                  i == 0 ? "first" : "second");
        same(iovageom_report_at(&report, i), &wanted);
    }
    iovageom_viommu_free(viommu);
}

/* `against` is what the host maps, as the sentence says, and not what it can't. */
static void an_input_range_that_is_too_wide(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_finding wanted = finding(IOVAGEOM_FINDING_INPUT_RANGE);

    (void)state;
    iovageom_viommu_config_init(&config);
    config.flags = IOVAGEOM_VIOMMU_STRICT_INPUT;
    viommu = books(&config);
    assert_int_equal(test_plug(viommu, 3, 1, test_host(NULL, "39", 39, PAGES_4K), &report),
                     IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_count(&report), 1);
    wanted.range = ALL;
    wanted.against = R(0, BIT39 - 1);
    wanted.endpoint = 3;
    (void)iovageom_owner_init(&wanted.owner, IOVAGEOM_SOURCE_VFIO, "39");
    same(iovageom_report_at(&report, 0), &wanted);
    iovageom_viommu_free(viommu);
}

/* What to do about it: a width ends lower, a driver reads a PROBE, and only the latter tells of a
 * hole. */
static void an_input_range_that_must_be_told(void **state)
{
    static const char probe[] = "offer and accept PROBE (VIRTIO_IOMMU_F_PROBE)";
    static const char accept[] = "accept INPUT_RANGE (VIRTIO_IOMMU_F_INPUT_RANGE)";
    static const char lower[] = "lower the address width", higher[] = "let it begin higher";
    const struct {
        uint32_t declines, flags;
        struct iovageom_range reserved;
        const char *remedies[2];
    } cases[] = {
        {IOVAGEOM_VIRTIO_F_PROBE, 0, R(0xdf800000, 0xdfffffff), {probe}},
        {IOVAGEOM_VIRTIO_F_PROBE, 0, R(0x4000000000, BIT39 - 1), {lower}},
        {IOVAGEOM_VIRTIO_F_PROBE, 0, R(0, 0xfffff), {higher}},
        {0, IOVAGEOM_VIOMMU_STRICT_INPUT, R(0x4000000000, BIT39 - 1), {lower}},
        {0, IOVAGEOM_VIOMMU_STRICT_INPUT, R(0, 0xfffff), {higher}},
        /* Such a driver doesn't hear of a width, either. */
        {IOVAGEOM_VIRTIO_F_PROBE | IOVAGEOM_VIRTIO_F_INPUT_RANGE,
         0,
         R(0x4000000000, UINT64_MAX),
         {accept, probe}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct iovageom_viommu_config config;
        struct iovageom_viommu *viommu;

        iovageom_viommu_config_init(&config);
        config.flags = cases[i].flags;
        config.input_range = R(0, BIT39 - 1);
        viommu = books(&config);
        assert_int_equal(
            iovageom_viommu_driver_features(viommu, config.features & ~cases[i].declines, &report),
            0);
        assert_int_equal(test_plug(viommu, 3, 1,
                                   test_host_with(NULL, "dev", 64, PAGES_4K, cases[i].reserved),
                                   &report),
                         IOVAGEOM_ERR_CONFLICT);
        for (size_t k = 0; k < 2; k++) {
            const struct iovageom_finding *finding = iovageom_report_at(&report, k);
            const char *remedy = cases[i].remedies[k];
            char sentence[512];

            if (remedy == NULL) {
                assert_int_equal(iovageom_report_count(&report), k);
                break;
            }
            assert_int_equal(finding->kind, IOVAGEOM_FINDING_INPUT_RANGE);
            (void)iovageom_finding_text(finding, sentence, sizeof(sentence));
            assert_string_equal(strrchr(sentence, ';') + 2, remedy);
        }
        iovageom_viommu_free(viommu);
    }
}

/* Whether it was told or not, the sets of a promise are what its fields say. */
static void an_endpoint_that_was_not_told(void **state)
{
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_viommu_promise promise;
    struct iovageom_rangeset told, now, added, removed;
    struct iovageom_region regions[8];
    size_t count;

    (void)state;
    iovageom_rangeset_init(&told, NULL);
    iovageom_rangeset_init(&now, NULL);
    iovageom_rangeset_init(&added, NULL);
    iovageom_rangeset_init(&removed, NULL);
    assert_int_equal(
        test_plug(viommu, 1, IOVAGEOM_VIOMMU_OWN, test_host(NULL, "39", 39, PAGES_4K), NULL), 0);
    for (int frozen = 0; frozen < 2; frozen++) {
        memset(&promise, 0xff, sizeof(promise));
        assert_int_equal(
            iovageom_viommu_promise(viommu, 1, &promise, &told, &now, &added, &removed), 0);
        assert_false(promise.told);
        assert_false(promise.current);
        assert_true(promise.safe);
        assert_int_equal(promise.generation, 0);
        assert_true(promise.now > 0);
        assert_int_equal(iovageom_rangeset_count(&told), 0);
        assert_int_equal(iovageom_rangeset_count(&removed), 0);
        assert_int_equal(iovageom_rangeset_count(&now), 2);
        assert_true(iovageom_rangeset_contains(&now, R(0xfef00000, BIT39 - 1)));
        assert_true(iovageom_rangeset_equal(&now, &added));
        assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    }
    assert_int_equal(test_probe(viommu, 1, regions, 8, &count), IOVAGEOM_VIRTIO_S_OK);
    assert_int_equal(iovageom_viommu_promise(viommu, 1, &promise, &told, &now, &added, &removed),
                     0);
    assert_true(promise.told && promise.current && promise.safe);
    assert_int_equal(promise.generation, promise.now);
    assert_true(iovageom_rangeset_equal(&now, &told));
    assert_int_equal(iovageom_rangeset_count(&added), 0);
    iovageom_rangeset_deinit(&told);
    iovageom_rangeset_deinit(&now);
    iovageom_rangeset_deinit(&added);
    iovageom_rangeset_deinit(&removed);
    iovageom_viommu_free(viommu);
}

/* A geometry may be the meet of several devices: the one is named that has what stands in the
 * way. */
static void one_of_several_devices_is_named(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_geometry *first = NULL, *second = NULL, *both = NULL;
    struct iovageom_viommu *viommu;

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "first", &first), 0);
    assert_int_equal(iovageom_geometry_new(NULL, "second", &second), 0);
    assert_int_equal(iovageom_geometry_new(NULL, "both", &both), 0);
    assert_int_equal(iovageom_geometry_add_alignment(first, 0x10000, IOVAGEOM_SOURCE_IOMMUFD), 0);
    assert_int_equal(iovageom_geometry_add_map_budget(first, 3, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(iovageom_geometry_add_map_budget(second, 5, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_add_reserved(first, R(0x100000, 0x1fffff),
                                                    IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_add_page_sizes(second, PAGES_4K, IOVAGEOM_SOURCE_VFIO), 0);
    /* The two windows touch, and are one for those who may not map them. */
    assert_int_equal(iovageom_geometry_add_reserved(second, R(0x200000, 0x2fffff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    assert_int_equal(iovageom_geometry_narrow(both, first), 0);
    assert_int_equal(iovageom_geometry_narrow(both, second), 0);

    viommu = books(NULL);
    assert_int_equal(iovageom_viommu_freeze(viommu, NULL), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, both, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_GRANULE);
    assert_int_equal(iovageom_report_at(&report, 0)->owner.source, IOVAGEOM_SOURCE_IOMMUFD);
    assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "first");
    iovageom_viommu_free(viommu);

    iovageom_viommu_config_init(&config);
    config.granule = 0x10000;
    viommu = books(&config);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_attach(viommu, 1, 1, 0, NULL), 0);
    for (uint64_t at = 0x160000; at < 0x200000; at += 0x20000)
        assert_int_equal(iovageom_viommu_map(viommu, 1, R(at, at + 0xffff), 0, RW, NULL), 0);
    assert_int_equal(test_plug(viommu, 2, 1, both, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_MAPPING);
    assert_int_equal(iovageom_report_at(&report, 0)->type, IOVAGEOM_RESV_RESERVED);
    assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "first");
    assert_int_equal(iovageom_report_at(&report, 1)->kind, IOVAGEOM_FINDING_BUDGET);
    assert_int_equal(iovageom_report_at(&report, 1)->owner.source, IOVAGEOM_SOURCE_USER);
    assert_string_equal(iovageom_report_at(&report, 1)->owner.name, "first");
    iovageom_viommu_free(viommu);

    /* The same range in the way of a bypass, where the other one reserves it. */
    viommu = books(&config);
    assert_int_equal(iovageom_viommu_set_identity(viommu, &R(0x180000, 0x18ffff), 1, NULL), 0);
    assert_int_equal(iovageom_geometry_copy(second, &both), 0);
    assert_int_equal(iovageom_geometry_narrow(both, first), 0);
    assert_int_equal(test_plug(viommu, 2, 1, both, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_RESERVED);
    assert_int_equal(iovageom_report_at(&report, 0)->type, IOVAGEOM_RESV_RESERVED);
    assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "first");
    iovageom_geometry_free(first);
    iovageom_geometry_free(second);
    iovageom_viommu_free(viommu);
}

/* That the check of all findings can fail. */
static void the_check_of_findings_can_fail(void **state)
{
    struct iovageom_finding good, bad;

    (void)state;
    for (uint32_t kind = 1; kind <= IOVAGEOM_FINDING_OTHER; kind++) {
        good = finding((enum iovageom_finding_kind)kind);
        good.endpoint = 1;
        good.domain = 2;
        assert_null(test_finding_wrong(&good));
        bad = good;
        bad.fatal = 0;
        assert_string_equal(test_finding_wrong(&bad), "fatal");
    }
#define WRONG(of_kind, field, value)                                                               \
    bad = finding(of_kind);                                                                        \
    bad.field = value;                                                                             \
    assert_string_equal(test_finding_wrong(&bad), #field)
    WRONG(IOVAGEOM_FINDING_GRANULE, range, R(0, 1));
    WRONG(IOVAGEOM_FINDING_LOST, against, R(1, 1));
    WRONG(IOVAGEOM_FINDING_OUT_OF_APERTURE, type, IOVAGEOM_RESV_MSI);
    WRONG(IOVAGEOM_FINDING_RESERVED, wanted, 1);
    WRONG(IOVAGEOM_FINDING_ALIGNMENT, offered, 1);
    bad = finding(IOVAGEOM_FINDING_LIMIT);
    bad.owner.source = IOVAGEOM_SOURCE_VFIO;
    assert_string_equal(test_finding_wrong(&bad), "owner");
    WRONG(IOVAGEOM_FINDING_NOT_FOUND, detail, "why");
    bad = finding(IOVAGEOM_FINDING_OTHER);
    bad.other.name[0] = (char)120;
    assert_string_equal(test_finding_wrong(&bad), "other");
#undef WRONG
}

/* A MAP that is refused by numbers alone: by its alignment, by the input range, by its physical
 * address. */
static void a_refused_map_says_by_what(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;
    struct iovageom_finding wanted;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.input_range = R(0, 0xffffff);
    viommu = books(&config);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_attach(viommu, 7, 1, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, R(0xfff000, 0x1000fff), 0x1000, RW, &report),
                     IOVAGEOM_ERR_OUT_OF_APERTURE);
    wanted = iovageom_finding_blank(IOVAGEOM_FINDING_OUT_OF_APERTURE, IOVAGEOM_ERR_OUT_OF_APERTURE);
    wanted.domain = 7;
    wanted.range = R(0xfff000, 0x1000fff);
    wanted.against = config.input_range;
    (void)iovageom_owner_init(&wanted.owner, IOVAGEOM_SOURCE_MACHINE, "input_range");
    same(iovageom_report_at(&report, 0), &wanted);
    for (int phys = 0; phys < 2; phys++) {
        const struct iovageom_range range = phys ? R(0x1000, 0x1fff) : R(0x1000, 0x17ff);

        assert_int_equal(iovageom_viommu_map(viommu, 7, range, phys ? 0x800 : 0, RW, &report),
                         IOVAGEOM_ERR_ALIGNMENT);
        wanted = iovageom_finding_blank(IOVAGEOM_FINDING_ALIGNMENT, IOVAGEOM_ERR_ALIGNMENT);
        wanted.domain = 7;
        wanted.range = range;
        wanted.wanted = 0x1000;
        wanted.detail = phys ? "phys_start" : NULL;
        same(iovageom_report_at(&report, 0), &wanted);
    }
    iovageom_viommu_free(viommu);
}

/* One more than are there is wanted, though a device was let in by which there are too many
 * already. */
static void a_budget_that_is_exceeded_says_by_how_much(void **state)
{
    struct iovageom_geometry *host = test_host(NULL, "small", 48, PAGES_4K);
    struct iovageom_viommu *viommu = books(NULL);
    struct iovageom_plug_options where;

    (void)state;
    iovageom_plug_options_init(&where);
    where.address_space = 9;
    assert_int_equal(iovageom_viommu_plug(viommu, 1, &where, host, NULL), 0);
    assert_int_equal(iovageom_viommu_attach(viommu, 7, 1, 0, NULL), 0);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(iovageom_viommu_map(viommu, 7, R(i << 12, (i << 12) + 0xfff), 0, RW, NULL),
                         0);
    assert_int_equal(iovageom_geometry_add_map_budget(host, 3, IOVAGEOM_SOURCE_USER), 0);
    where.flags = IOVAGEOM_PLUG_ALLOW_STALE;
    assert_int_equal(iovageom_viommu_plug(viommu, 2, &where, host, NULL), 0);
    assert_int_equal(iovageom_viommu_map(viommu, 7, R(0x10000, 0x10fff), 0, RW, &report),
                     IOVAGEOM_ERR_LIMIT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_BUDGET);
    assert_int_equal(iovageom_report_at(&report, 0)->wanted, 6);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 3);
    /* A limit of 4 is less than the 3 that VFIO has left beside the 5 that are there. */
    assert_int_equal(iovageom_viommu_unplug(viommu, 2), 0);
    iovageom_geometry_free(host);
    host = test_host(NULL, "left", 48, PAGES_4K);
    assert_int_equal(iovageom_geometry_add_map_budget(host, 4, IOVAGEOM_SOURCE_OTHER), 0);
    assert_int_equal(iovageom_geometry_add_map_budget(host, 3, IOVAGEOM_SOURCE_VFIO), 0);
    where.flags = 0;
    assert_int_equal(iovageom_viommu_plug(viommu, 2, &where, host, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_BUDGET);
    assert_int_equal(iovageom_report_at(&report, 0)->offered, 4);
    assert_int_equal(iovageom_report_at(&report, 0)->owner.source, IOVAGEOM_SOURCE_OTHER);
    iovageom_geometry_free(host);
    iovageom_viommu_free(viommu);
}

/* Of the groups of a domain as many are asked who reserves something, the newest first, and no
 * more. */
static void as_many_groups_are_asked_as_is_said(void **state)
{
    enum { ASKED = IOVAGEOM_ASKED_FOR_A_NAME };

    (void)state;
    for (uint32_t others = ASKED - 2; others <= ASKED; others++) {
        struct iovageom_viommu *viommu = books(NULL);

        assert_int_equal(test_plug(viommu, 500, IOVAGEOM_VIOMMU_OWN,
                                   test_host_with(NULL, "first", 48, 0, R(0x10000, 0x1ffff)), NULL),
                         0);
        assert_int_equal(iovageom_viommu_attach(viommu, 7, 500, 0, NULL), 0);
        for (uint32_t i = 0; i < others; i++) {
            assert_int_equal(
                iovageom_viommu_declare(viommu, i, i, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
            assert_int_equal(iovageom_viommu_attach(viommu, 7, i, 0, NULL), 0);
        }
        assert_int_equal(iovageom_viommu_map(viommu, 7, R(0x10000, 0x10fff), 0, RW, &report),
                         IOVAGEOM_ERR_RESERVED);
        assert_string_equal(iovageom_report_at(&report, 0)->owner.name,
                            others < ASKED ? "first" : "");
        assert_int_equal(iovageom_report_at(&report, 0)->type,
                         others < ASKED ? IOVAGEOM_RESV_RESERVED : 0);
        iovageom_viommu_free(viommu);
    }
}

/* A device that does not agree with the one that is at its alias already. */
static void who_disagrees_at_an_endpoint_is_told_why(void **state)
{
    struct iovageom_geometry *host = test_host(NULL, "second", 39, PAGES_4K);
    struct iovageom_viommu *viommu = books(NULL);
    const uint32_t alias = 1;
    struct iovageom_plug_options where;
    struct iovageom_finding wanted;

    (void)state;
    assert_int_equal(test_plug(viommu, 1, 5, test_host(NULL, "first", 39, PAGES_4K), NULL), 0);
    iovageom_plug_options_init(&where);
    where.guest_group = 5;
    where.aliases = &alias;
    where.alias_count = 1;
    /* In an address space of its own. */
    assert_int_equal(iovageom_viommu_plug(viommu, 2, &where, host, &report), IOVAGEOM_ERR_CONFLICT);
    wanted = finding(IOVAGEOM_FINDING_OTHER);
    wanted.endpoint = 1;
    wanted.detail = "";
    same(iovageom_report_at(&report, 0), &wanted);
    assert_string_equal(iovageom_report_at(&report, 0)->detail,
                        "devices at one endpoint must share host page tables and geometry");
    iovageom_geometry_free(host);
    iovageom_viommu_free(viommu);
}

/* A device that reserves nothing, and yet does not go: it is named itself. */
static void who_reserves_nothing_is_named_itself(void **state)
{
    struct iovageom_viommu_config config;
    struct iovageom_geometry *bare;
    struct iovageom_viommu *viommu;

    (void)state;
    iovageom_viommu_config_init(&config);
    config.granule = 0x1000;
    viommu = books(&config);
    assert_int_equal(iovageom_geometry_new(NULL, "bare", &bare), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(bare, 0x10000, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_viommu_plug(viommu, 1, NULL, bare, &report), IOVAGEOM_ERR_CONFLICT);
    assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_GRANULE);
    assert_string_equal(iovageom_report_at(&report, 0)->owner.name, "bare");
    iovageom_geometry_free(bare);
    iovageom_viommu_free(viommu);
}

/* Of those that were promised an address the oldest is named: of as many as are asked, and no
 * more. */
static void the_oldest_of_as_many_as_are_asked_is_named(void **state)
{
    enum { ASKED = IOVAGEOM_ASKED_FOR_A_NAME };

    (void)state;
    for (uint32_t members = ASKED - 1; members <= ASKED + 1; members++) {
        struct iovageom_viommu *viommu = books(NULL);
        struct iovageom_geometry *host =
            test_host_with(NULL, "late", 64, PAGES_4K, R(0x10000, 0x1ffff));
        struct iovageom_plug_options where;
        struct iovageom_region regions[4];
        size_t count;

        for (uint32_t i = 1; i <= members; i++)
            assert_int_equal(
                iovageom_viommu_declare(viommu, i, 5, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
        /* Asked are those that were promised first: here the youngest. */
        for (uint32_t i = members; i > 0; i--)
            assert_int_equal(test_probe(viommu, i, regions, 4, &count), 0);
        iovageom_plug_options_init(&where);
        where.guest_group = 5;
        assert_int_equal(iovageom_viommu_plug(viommu, 200, &where, host, &report),
                         IOVAGEOM_ERR_CONFLICT);
        assert_int_equal(iovageom_report_at(&report, 0)->kind, IOVAGEOM_FINDING_PROMISE);
        assert_int_equal(iovageom_report_at(&report, 0)->endpoint, members <= ASKED ? 1 : 2);
        iovageom_geometry_free(host);
        iovageom_viommu_free(viommu);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_destination_of_another_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(a_destination_without_an_endpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(a_destination_that_breaks_two_promises, setup, teardown),
        cmocka_unit_test_setup_teardown(an_input_range_that_is_too_wide, setup, teardown),
        cmocka_unit_test_setup_teardown(an_input_range_that_must_be_told, setup, teardown),
        cmocka_unit_test_setup_teardown(an_endpoint_that_was_not_told, setup, teardown),
        cmocka_unit_test_setup_teardown(one_of_several_devices_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_map_says_by_what, setup, teardown),
        cmocka_unit_test_setup_teardown(a_budget_that_is_exceeded_says_by_how_much, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(as_many_groups_are_asked_as_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(who_disagrees_at_an_endpoint_is_told_why, setup, teardown),
        cmocka_unit_test_setup_teardown(who_reserves_nothing_is_named_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_of_as_many_as_are_asked_is_named, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_check_of_findings_can_fail, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The theorem that everything serves: an address that a well-behaved guest may choose, given the
 * bytes that were encoded for it, is an address that the host accepts; and of the addresses that
 * the host accepts, the guest loses none but those that the report names.
 *
 * First exhaustively in a universe of 12 addresses, against bitmaps; then for random hosts told
 * through the decoders, against a model that knows the facts as lists and nothing else.
 */
#include "base/range.h"
#include "virtio/virtio_internal.h"
#include "support/test_accepts.h"
#include "support/property.h"
#include "support/test_sets.h"

#include <stdio.h>
#include <string.h>

#include <iovageom/geometry.h>
#include <iovageom/guest.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_vfio.h>
#include <iovageom/plan_probe.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "support/test_native.h"

#define MAX UINT64_MAX

static const struct iovageom_range everything = {0, MAX};

/* ---- exhaustively ---- */

#define UNIVERSE 12u
#define ALL      ((1u << UNIVERSE) - 1)

/* The oracle's own reader of the bytes: 24 for each region, a zero byte ends them. */
static uint64_t number_at(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (unsigned i = 8; i-- > 0;)
        number = number * 256 + bytes[i];
    return number;
}

/* What the bytes leave to a guest that reads them by the book. */
static unsigned left_by(const uint8_t *bytes, size_t size, unsigned *properties, unsigned *msi)
{
    unsigned reserved = 0;
    uint64_t above = UNIVERSE; /* from here on nothing is known to be reserved */

    *properties = 0;
    *msi = 0;
    for (size_t at = 0; at + 24 <= size && bytes[at] != 0; at += 24) {
        uint64_t start = number_at(bytes + at + 8), last = number_at(bytes + at + 16);

        property_check(bytes[at] == 1 && bytes[at + 1] == 0);
        property_check(bytes[at + 2] == 20 && bytes[at + 3] == 0);
        property_check(start <= last);
        for (unsigned address = 0; address < UNIVERSE; address++)
            if (start <= address && address <= last) {
                property_check((reserved >> address & 1) == 0);
                reserved |= 1u << address;
                if (bytes[at + 4] == 1)
                    *msi |= 1u << address;
            }
        if (start <= above && above <= last)
            above = last == MAX ? 0 : last + 1;
        (*properties)++;
    }
    property_check(above == 0); /* all that lies above the aperture is */
    return ALL & ~reserved;
}

/* The granules that lie wholly in a set. */
static unsigned whole(unsigned set, unsigned granule)
{
    unsigned result = 0, block = (1u << granule) - 1;

    for (unsigned at = 0; at < UNIVERSE; at += granule)
        if ((set >> at & block) == block)
            result |= block << at;
    return result;
}

static unsigned named_by(const struct iovageom_report *report)
{
    unsigned named = 0;

    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(report, i);

        if (finding->kind != IOVAGEOM_FINDING_LOST)
            continue;
        property_check(finding->range.last < UNIVERSE);
        for (uint64_t at = finding->range.start; at <= finding->range.last; at++) {
            property_check((named >> at & 1) == 0); /* each address once */
            named |= 1u << at;
        }
    }
    return named;
}

static struct iovageom_geometry *small_host(unsigned usable, unsigned msi)
{
    struct iovageom_geometry *geometry;
    struct iovageom_range ranges[UNIVERSE], window;
    size_t count = 0;

    property_check(iovageom_geometry_new(NULL, "host", &geometry) == 0);
    for (unsigned at = 0; at < UNIVERSE; at++)
        if (usable >> at & 1)
            ranges[count++] = (struct iovageom_range){at, at};
    property_check(iovageom_geometry_add_usable(geometry, ranges, count, IOVAGEOM_SOURCE_VFIO) ==
                   0);
    for (unsigned at = 0; at < UNIVERSE; at++)
        if (msi >> at & 1) {
            window = (struct iovageom_range){at, at};
            property_check(iovageom_geometry_add_reserved(geometry, window, IOVAGEOM_RESV_MSI,
                                                          IOVAGEOM_SOURCE_SYSFS) == 0);
        }
    return geometry;
}

static void check_small(const struct iovageom_geometry *geometry, unsigned usable, unsigned msi,
                        struct iovageom_report *report)
{
    for (unsigned granule = 1; granule <= 4; granule *= 2) {
        unsigned offered = whole(usable & ~msi, granule);

        for (size_t room = 1; room <= UNIVERSE; room = room < 4 ? room + 1 : UNIVERSE + 1) {
            struct iovageom_probe_plan plan;
            unsigned properties, told_msi, guest;
            uint8_t bytes[24 * UNIVERSE];
            size_t size = room < 4 ? room * 24 : sizeof(bytes);
            int status = iovageom_plan_probe_encode(NULL, geometry, granule, everything, bytes,
                                                    size, &plan, report);

            property_check(status == 0 || status == IOVAGEOM_ERR_BUFFER_TOO_SMALL);
            if (status < 0) {
                /* Three do for one MSI window: below it, it, above it. */
                property_check(room < 3);
                continue;
            }
            guest = left_by(bytes, size, &properties, &told_msi);
            property_check(properties == plan.count);
            property_check((guest & ~offered) == 0);
            property_check((usable & ~msi & ~guest) == named_by(report));
            /* The window is told as MSI, a granule that it has in part as well. */
            property_check((msi & ~told_msi) == 0);
            property_check((told_msi & whole(ALL & ~msi, granule)) == 0);
            if (plan.lossless_bytes <= size)
                property_check(guest == offered);
        }
    }
}

START_TEST(in_a_small_universe)
{
    static const unsigned windows[] = {0, 0x0020, 0x0070};
    struct iovageom_report report;

    iovageom_report_init(&report, NULL);
    for (unsigned usable = 0; usable <= ALL; usable++)
        for (unsigned w = 0; w < 3; w++) {
            struct iovageom_geometry *geometry = small_host(usable, windows[w]);

            check_small(geometry, usable, windows[w], &report);
            iovageom_geometry_free(geometry);
        }
    iovageom_report_deinit(&report);
}
END_TEST

/* ---- random hosts, through the decoders ---- */

#define LISTS    3
#define PER_LIST 8
#define RESERVED 40

/* What was said of a host, and no more. */
struct model {
    struct iovageom_range usable[LISTS][PER_LIST];
    unsigned usable_count[LISTS];
    unsigned lists;
    struct iovageom_range reserved[RESERVED]; /* that forbid */
    unsigned reserved_count;
    uint64_t highest; /* of the narrowest width */
};

static bool covered_by(const struct iovageom_range *list, unsigned count,
                       struct iovageom_range range)
{
    uint64_t at = range.start;

    for (;;) {
        unsigned i = 0;

        while (i < count && !(list[i].start <= at && at <= list[i].last))
            i++;
        if (i == count)
            return false;
        if (list[i].last >= range.last)
            return true;
        at = list[i].last + 1;
    }
}

static bool model_accepts(const struct model *model, struct iovageom_range range)
{
    if (range.last > model->highest)
        return false;
    for (unsigned i = 0; i < model->lists; i++)
        if (!covered_by(model->usable[i], model->usable_count[i], range))
            return false;
    for (unsigned i = 0; i < model->reserved_count; i++)
        if (model->reserved[i].start <= range.last && range.start <= model->reserved[i].last)
            return false;
    return true;
}

/* An answer to VFIO_IOMMU_GET_INFO: header, and the IOVA_RANGE capability. */
static void say_by_vfio(struct test_random *random, struct model *model, uint64_t page_sizes,
                        struct iovageom_geometry *geometry)
{
    unsigned list = model->lists, count = 1 + (unsigned)test_random_below(random, PER_LIST);
    uint8_t bytes[24 + 16 + 16 * PER_LIST] = {0};
    size_t size = 24 + 16 + 16 * (size_t)count, needed;

    if (list == LISTS)
        return;
    test_store_native(bytes, size, 4);
    test_store_native(bytes + 4, 3, 4);
    test_store_native(bytes + 8, page_sizes, 8);
    test_store_native(bytes + 16, 24, 4);
    test_store_native(bytes + 24, 1, 2);
    test_store_native(bytes + 26, 1, 2);
    test_store_native(bytes + 32, count, 4);
    for (unsigned i = 0; i < count; i++) {
        model->usable[list][i] =
            i == 0 ? (struct iovageom_range){test_random_below(random, 3) * 0x1000, MAX >> 3}
                   : test_random_range(random);
        test_store_native(bytes + 40 + 16 * i, model->usable[list][i].start, 8);
        test_store_native(bytes + 48 + 16 * i, model->usable[list][i].last, 8);
    }
    model->usable_count[list] = count;
    model->lists++;
    property_check(iovageom_host_vfio_info(bytes, size, &needed, geometry) == 0);
}

static void say_by_sysfs(struct test_random *random, struct model *model,
                         struct iovageom_geometry *geometry)
{
    static const char *const types[] = {"reserved", "direct", "direct-relaxable", "msi"};
    char text[PER_LIST * 64] = "";
    size_t length = 0;
    unsigned count = (unsigned)test_random_below(random, PER_LIST);

    for (unsigned i = 0; i < count && model->reserved_count < RESERVED; i++) {
        struct iovageom_range range = test_random_range(random);
        uint64_t type = test_random_below(random, 4);

        /* Most windows of a host are small. */
        if (!test_random_one_in(random, 8) && range.last - range.start > 0xfffff)
            range.last = range.start + test_random_below(random, 0x100000);
        if (i == 0 && test_random_one_in(random, 2)) {
            range = (struct iovageom_range){0xfee00000, 0xfeefffff};
            type = 3;
        }
        if (type != 2)
            model->reserved[model->reserved_count++] = range;
        length += (size_t)snprintf(text + length, sizeof(text) - length, "0x%016llx 0x%016llx %s\n",
                                   (unsigned long long)range.start, (unsigned long long)range.last,
                                   types[type]);
    }
    property_check(iovageom_host_sysfs_reserved_regions(text, length, IOVAGEOM_SYSFS_LENIENT, NULL,
                                                        geometry) == 0);
}

/* One device after the other, met as a guest group would be. */
static struct iovageom_geometry *random_host(struct test_random *random, struct model *model)
{
    static const uint64_t masks[] = {0x40201000, 0x1000, 0xfff7ffffff000, 0x40000, 0x1};
    struct iovageom_geometry *group;
    unsigned devices = 1 + (unsigned)test_random_below(random, 3);

    memset(model, 0, sizeof(*model));
    model->highest = MAX;
    property_check(iovageom_geometry_new(NULL, "group", &group) == 0);
    for (unsigned d = 0; d < devices; d++) {
        struct iovageom_geometry *device;
        char name[32];

        (void)snprintf(name, sizeof(name), "device %u", d);
        property_check(iovageom_geometry_new(NULL, name, &device) == 0);
        if (test_random_one_in(random, 2)) {
            unsigned bits = 32 + (unsigned)test_random_below(random, 33);

            property_check(iovageom_geometry_add_gaw(device, bits, IOVAGEOM_SOURCE_VTD_REGISTERS) ==
                           0);
            if (MAX >> (64 - bits) < model->highest)
                model->highest = MAX >> (64 - bits);
        }
        if (test_random_one_in(random, 2))
            say_by_vfio(random, model, masks[test_random_below(random, 5)], device);
        say_by_sysfs(random, model, device);
        if (test_random_one_in(random, 3))
            property_check(iovageom_geometry_add_alignment(
                               device, UINT64_C(1) << test_random_below(random, 17),
                               IOVAGEOM_SOURCE_IOMMUFD) == 0);
        property_check(iovageom_geometry_narrow(group, device) == 0);
        iovageom_geometry_free(device);
    }
    return group;
}

/* One host, one guest. */
struct scene {
    struct model model;
    struct iovageom_geometry *geometry;
    uint64_t granule;
    struct iovageom_range window;
    struct iovageom_virtio_config config;
    struct iovageom_rangeset lost;    /* what the report names */
    struct iovageom_rangeset choices; /* what the guest may choose */
    struct iovageom_report report;
};

static void read_report(struct scene *scene)
{
    iovageom_rangeset_clear(&scene->lost);
    property_check(iovageom_report_dropped(&scene->report) == 0);
    for (size_t i = 0; i < iovageom_report_count(&scene->report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&scene->report, i);

        property_check(finding->fatal == 0);
        if (finding->kind != IOVAGEOM_FINDING_LOST)
            continue;
        property_check(!iovageom_rangeset_overlaps(&scene->lost, finding->range));
        property_check(iovageom_rangeset_insert(&scene->lost, finding->range) == 0);
    }
}

/* A granule, seen by the model and by the guest. */
static void check_granule(const struct scene *scene, uint64_t address)
{
    struct iovageom_range block = {address & ~(scene->granule - 1), address | (scene->granule - 1)};
    bool chosen = iovageom_rangeset_contains(&scene->choices, block);
    bool accepted = model_accepts(&scene->model, block);

    property_check(chosen == iovageom_rangeset_overlaps(&scene->choices, block));
    property_check(!chosen || accepted);
    property_check(!chosen || test_accepts(scene->geometry, block));
    if (block.start == 0 || block.last > scene->window.last)
        property_check(!chosen); /* Linux never hands out the first granule */
    else if (accepted && !chosen)
        property_check(iovageom_rangeset_contains(&scene->lost, block));
    property_check(!(chosen && iovageom_rangeset_overlaps(&scene->lost, block)));
}

/* Safety and tightness as sets: nothing beyond the report and the first granule is missing. */
static void check_sets(const struct scene *scene)
{
    struct iovageom_rangeset usable, rest;
    uint64_t own = 1;

    (void)iovageom_geometry_granule(scene->geometry, &own);
    property_check(iovageom_rangeset_init(&usable, NULL) == 0);
    property_check(iovageom_rangeset_init(&rest, NULL) == 0);
    property_check(iovageom_geometry_usable(scene->geometry, scene->granule, &usable) == 0);
    property_check(test_subset(&scene->choices, &usable));
    property_check(iovageom_geometry_usable(scene->geometry, own, &usable) == 0);
    property_check(test_subset(&scene->lost, &usable));
    property_check(iovageom_rangeset_clip(&rest, &usable, scene->window) == 0);
    property_check(iovageom_rangeset_difference(&rest, &rest, &scene->choices) == 0);
    property_check(iovageom_rangeset_difference(&rest, &rest, &scene->lost) == 0);
    property_check(
        iovageom_rangeset_remove(&rest, (struct iovageom_range){0, scene->granule - 1}) == 0);
    property_check(iovageom_rangeset_count(&rest) == 0);
    iovageom_rangeset_deinit(&usable);
    iovageom_rangeset_deinit(&rest);
}

/* The guest's own VFIO offers its users nothing that the host refuses. */
static void check_vfio(const struct scene *scene, const struct iovageom_region *regions,
                       size_t count)
{
    struct iovageom_region group[512];
    struct iovageom_range ranges[512];
    size_t group_count = 0, range_count = 0;
    int status;

    property_check(iovageom_guestview_group(group, 512, &group_count, regions, count) == 0);
    status = iovageom_guestview_vfio(scene->config.input_range, group, group_count, ranges, 512,
                                     &range_count);
    property_check(status == 0 || status == IOVAGEOM_ERR_NOTHING_USABLE);
    for (size_t i = 0; i < range_count; i++)
        property_check(test_accepts(scene->geometry, ranges[i]));
}

static void check_allocations(struct test_random *random, const struct scene *scene,
                              struct iovageom_guestview_dma *dma)
{
    dma->low_first = test_random_one_in(random, 2);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t size = 1 + test_random_below(random, UINT64_C(1) << test_random_below(random, 40));
        struct iovageom_range got;
        int status = iovageom_guestview_dma_alloc(dma, size, MAX, &got);

        property_check(status == 0 || status == IOVAGEOM_ERR_NOT_FOUND);
        if (status < 0)
            continue;
        property_check(model_accepts(&scene->model, got));
        property_check(test_accepts(scene->geometry, got));
        property_check(got.start != 0 && got.last - got.start >= size - 1);
    }
}

static void check_guest(struct test_random *random, struct scene *scene, const uint8_t *bytes,
                        size_t size)
{
    struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
    struct iovageom_region regions[256], by_the_book[256];
    struct iovageom_guestview_dma dma;
    size_t count, told;

    kernel.page_size = scene->granule > 4096 ? scene->granule : 4096;
    kernel.physical_32bit = scene->window.last == UINT32_MAX;
    property_check(iovageom_guestview_probe(&kernel, &scene->config, bytes, size, regions, 256,
                                            &count, NULL) == 0);
    property_check(iovageom_guest_decode_probe(bytes, size, by_the_book, 256, &told) == 0);
    property_check(iovageom_wire_check(by_the_book, told) == 0);
    for (size_t i = 0; i < told; i++) {
        property_check(iovageom_range_equal(regions[i].range, by_the_book[i].range));
        property_check(regions[i].type == by_the_book[i].type);
    }

    if (iovageom_guestview_dma_init(&dma, NULL, &scene->config, regions, count) < 0)
        return; /* a window of one granule */
    property_check(iovageom_rangeset_complement(&scene->choices, &dma.taken, dma.limits) == 0);
    check_sets(scene);
    for (size_t i = 0; i < told; i++) {
        check_granule(scene, regions[i].range.start);
        check_granule(scene, regions[i].range.start - 1);
        check_granule(scene, regions[i].range.last);
        check_granule(scene, regions[i].range.last + 1);
    }
    for (unsigned i = 0; i < scene->model.reserved_count; i++) {
        check_granule(scene, scene->model.reserved[i].start - 1);
        check_granule(scene, scene->model.reserved[i].last + 1);
    }
    for (unsigned i = 0; i < 16; i++)
        check_granule(scene, test_random_address(random));
    check_vfio(scene, regions, count);
    check_allocations(random, scene, &dma);
    iovageom_guestview_dma_deinit(&dma);
}

static void random_scene(struct test_random *random, struct scene *scene)
{
    struct iovageom_probe_plan plan;
    uint8_t bytes[24 * 200];
    uint64_t own = 1;
    size_t size;
    int status;

    scene->geometry = random_host(random, &scene->model);
    (void)iovageom_geometry_granule(scene->geometry, &own);
    scene->granule = own << test_random_below(random, 5);
    scene->window = everything;
    if (test_random_one_in(random, 3))
        scene->window.last = MAX >> test_random_below(random, 33);
    if (scene->granule - 1 > scene->window.last >> 1)
        scene->window = everything;
    if (iovageom_geometry_promise_mask(scene->geometry, scene->granule,
                                       &scene->config.page_size_mask) < 0)
        scene->config.page_size_mask = ~(scene->granule - 1);
    scene->config.input_range = scene->window;

    size = test_random_one_in(random, 2) ? sizeof(bytes) : 24 * test_random_below(random, 8);
    scene->config.probe_size = (uint32_t)size;
    status = iovageom_plan_probe_encode(NULL, scene->geometry, scene->granule, scene->window, bytes,
                                        size, &plan, &scene->report);
    if (status == 0) {
        read_report(scene);
        check_guest(random, scene, bytes, size);
    } else {
        const struct iovageom_finding *finding = iovageom_report_at(&scene->report, 0);

        property_check(status == IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        property_check(finding->kind == IOVAGEOM_FINDING_PROBE_SIZE && finding->fatal);
        /* Four regions hold any list (plan_probe.h). */
        property_check(finding->wanted <= 96 && finding->wanted > size);
    }
    iovageom_geometry_free(scene->geometry);
}

START_TEST(for_random_hosts)
{
    struct test_random random = test_random_start(5);
    struct scene *scene = calloc(1, sizeof(*scene));

    ck_assert_ptr_nonnull(scene);
    iovageom_report_init(&scene->report, NULL);
    property_check(iovageom_rangeset_init(&scene->lost, NULL) == 0);
    property_check(iovageom_rangeset_init(&scene->choices, NULL) == 0);
    for (unsigned i = 0; i < 20000; i++)
        random_scene(&random, scene);
    iovageom_rangeset_deinit(&scene->lost);
    iovageom_rangeset_deinit(&scene->choices);
    iovageom_report_deinit(&scene->report);
    free(scene);
}
END_TEST

/* A guest group that is told the union promises nothing that one member can't keep. */
START_TEST(for_guest_groups)
{
    struct test_random random = test_random_start(6);

    for (unsigned round = 0; round < 1500; round++) {
        struct iovageom_geometry *members[4], *group;
        struct model models[4];

        for (unsigned i = 0; i < 4; i++)
            members[i] = random_host(&random, &models[i]);
        for (unsigned chosen = 1; chosen < 16; chosen++) {
            struct iovageom_region told[256];
            uint8_t bytes[24 * 256];
            size_t needed, count;

            property_check(iovageom_geometry_new(NULL, "guest group", &group) == 0);
            for (unsigned i = 0; i < 4; i++)
                if (chosen >> i & 1)
                    property_check(iovageom_geometry_narrow(group, members[i]) == 0);
            property_check(iovageom_virtio_encode_geometry(NULL, group, 4096, everything, bytes,
                                                           sizeof(bytes), &needed) == 0);
            property_check(iovageom_guest_decode_probe(bytes, sizeof(bytes), told, 256, &count) ==
                           0);
            for (size_t i = 0; i + 1 < count; i++) {
                struct iovageom_range gap;

                if (!iovageom_range_between(told[i].range, told[i + 1].range, &gap))
                    continue;
                for (unsigned m = 0; m < 4; m++)
                    property_check(!(chosen >> m & 1) || model_accepts(&models[m], gap));
            }
            iovageom_geometry_free(group);
        }
        for (unsigned i = 0; i < 4; i++)
            iovageom_geometry_free(members[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("theorem");

    property_add(suite, in_a_small_universe);
    property_add(suite, for_random_hosts);
    property_add(suite, for_guest_groups);
    return property_run(suite);
}

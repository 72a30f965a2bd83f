/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/guest.h>
#include <iovageom/status.h>

#include "base/bytes.h"
#include "support/test_allocator.h"
#include "support/test_fixture.h"
#include "support/test_regions.h"

#define MAX          UINT64_MAX
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SYSFS        "sysfs/iommu_groups/1/reserved_regions"

/* The config space of all guest fixtures: see "input address" and "page mask" in their dmesg. */
static const struct iovageom_virtio_config config = {
    0xfffffffffffff000, {0, 0x7fffffffff}, 0, UINT32_MAX, 512, 0};

static struct iovageom_report report;
static struct iovageom_guestview_kernel kernel;

static int setup(void **state)
{
    (void)state;
    iovageom_report_init(&report, NULL);
    kernel = iovageom_guestview_kernel_default();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    iovageom_report_deinit(&report);
    return 0;
}

/* Properties under construction. */
struct answer {
    uint8_t bytes[2048];
    size_t size;
};

static void add_raw(struct answer *answer, unsigned type, unsigned length, unsigned subtype,
                    uint64_t start, uint64_t last)
{
    uint8_t *at = answer->bytes + answer->size;

    iovageom_store_le16(at, (uint16_t)type);
    iovageom_store_le16(at + 2, (uint16_t)length);
    iovageom_store_le32(at + 4, subtype);
    iovageom_store_le64(at + 8, start);
    iovageom_store_le64(at + 16, last);
    answer->size += 24;
}

static void add_reserved(struct answer *answer, uint64_t start, uint64_t last)
{
    add_raw(answer, 1, 20, 0, start, last);
}

static void add_msi(struct answer *answer)
{
    add_raw(answer, 1, 20, 1, 0xfee00000, 0xfeefffff);
}

static int view(const struct answer *answer, struct iovageom_region *out, size_t capacity,
                size_t *count)
{
    /* On the heap, so that the sanitizer sees a read beyond. */
    uint8_t *copy = malloc(answer->size + (answer->size == 0));
    int status;

    assert_non_null(copy);
    memcpy(copy, answer->bytes, answer->size);
    status = iovageom_guestview_probe(&kernel, &config, copy, answer->size, out, capacity, count,
                                      &report);
    free(copy);
    return status;
}

static bool warned(const char *words)
{
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&report, i);

        assert_int_equal(finding->kind, IOVAGEOM_FINDING_GUEST_QUIRK);
        if (strstr(finding->detail, words) != NULL)
            return true;
    }
    return false;
}

/* The properties that the guest of a fixture was given. Where probe.bin isn't there, it was QEMU
 * that made them, from regions that the guest's sysfs shows one by one. */
static void fixture_answer(const char *folder, struct answer *answer)
{
    size_t length;
    char *text;

    memset(answer, 0, sizeof(*answer));
    if (strncmp(folder, "guest-raw", 9) == 0) {
        uint8_t *bytes = test_fixture_read(folder, "probe.bin", &length);

        assert_true(length <= sizeof(answer->bytes));
        memcpy(answer->bytes, bytes, length);
        answer->size = length;
        free(bytes);
        return;
    }
    if (strcmp(folder, "guest-nomsi") == 0)
        return;
    text = test_fixture_read(folder, SYSFS, &length);
    for (char *line = text; line < text + length; line = strchr(line, '\n') + 1) {
        char *rest;
        uint64_t start = strtoull(line, &rest, 16), last = strtoull(rest, &rest, 16);

        if (strncmp(rest, " msi", 4) == 0)
            add_msi(answer);
        else
            add_reserved(answer, start, last);
    }
    free(text);
}

/* The list as the guest's sysfs prints it. */
static void check_sysfs(const char *folder, const struct iovageom_region *list, size_t count)
{
    char printed[4096] = "";
    size_t length, used = 0;
    char *expected = test_fixture_read(folder, SYSFS, &length);

    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(printed + used, sizeof(printed) - used, "0x%016llx 0x%016llx %s\n",
                                 (unsigned long long)list[i].range.start,
                                 (unsigned long long)list[i].range.last,
                                 list[i].type == IOVAGEOM_RESV_RESERVED ? "reserved" : "msi");
    assert_int_equal(used, length);
    assert_memory_equal(printed, expected, length);
    free(expected);
}

static void check_vfio(const char *folder, const struct iovageom_region *list, size_t count)
{
    struct iovageom_range ranges[32];
    size_t length, found = 0;
    uint8_t *expected = test_fixture_read(folder, "ioas_iova_ranges.attached.ranges.bin", &length);

    assert_int_equal(
        iovageom_guestview_vfio(config.input_range, list, count, ranges, COUNT(ranges), &found), 0);
    assert_int_equal(found * 16, length);
    for (size_t i = 0; i < found; i++) {
        assert_int_equal(ranges[i].start, iovageom_load_le64(expected + 16 * i));
        assert_int_equal(ranges[i].last, iovageom_load_le64(expected + 16 * i + 8));
    }
    free(expected);
}

/* What real guests made of their bytes: sysfs, VFIO and iommufd of a Linux 6.12. */
static void b3_fixtures_of_real_guests(void **state)
{
    static const char *const folders[] = {
        "guest-resv",     "guest-20-regions",   "guest-21-regions", "guest-nomsi",
        "guest-raw-good", "guest-raw-inverted", "guest-raw-unknown"};

    (void)state;
    for (size_t i = 0; i < COUNT(folders); i++) {
        struct iovageom_region device[32], list[32];
        struct answer answer;
        size_t device_count = 0, count = 0;

        fixture_answer(folders[i], &answer);
        assert_int_equal(view(&answer, device, COUNT(device), &device_count), 0);
        assert_int_equal(iovageom_guestview_group(list, COUNT(list), &count, device, device_count),
                         0);
        check_sysfs(folders[i], list, count);
        check_vfio(folders[i], list, count);
    }
}

/* By start; those with the same start stay in the order of the wire. */
static void regions_are_sorted_and_stay_in_order(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 2000; seed++) {
        struct answer answer = {0};
        struct iovageom_region out[21];
        size_t count = 0;
        unsigned random = seed;

        add_msi(&answer);
        for (unsigned i = 1; i < 20; i++) {
            random = random * 1103515245 + 12345;
            add_reserved(&answer, (random >> 16) % 8, 0x1000 + i);
        }
        assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
        assert_int_equal(count, 20);
        assert_int_equal(out[19].type, IOVAGEOM_RESV_MSI);
        for (size_t i = 1; i < count; i++)
            assert_true(out[i - 1].range.start < out[i].range.start ||
                        (out[i - 1].range.start == out[i].range.start &&
                         out[i - 1].range.last < out[i].range.last));
        for (size_t i = 0; i < count; i++)
            assert_int_equal(out[i].owner, 0);
    }
}

static void b3_unknown_property_and_subtype_are_logged(void **state)
{
    struct iovageom_region device[4];
    struct answer answer;
    size_t count, told;

    (void)state;
    fixture_answer("guest-raw-unknown", &answer);
    assert_int_equal(view(&answer, device, COUNT(device), &count), 0);
    assert_true(warned("unknown property"));
    assert_true(warned("unknown RESV_MEM subtype"));
    assert_false(warned("no MSI region"));
    /* Each is told once, though the answer is read twice where there is room for it. */
    told = iovageom_report_count(&report);
    for (size_t i = 0; i < told; i++)
        assert_int_equal(iovageom_report_at(&report, i)->status, IOVAGEOM_OK);
    assert_int_equal(view(&answer, NULL, 0, &count), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(iovageom_report_count(&report), told);
}

/* Linux takes both, and the list has them; that the device sends two is against N74. */
static void b3_a_second_msi_region_is_taken(void **state)
{
    struct answer answer = {{0}, 0};
    struct iovageom_region out[2];
    size_t count = 0;

    (void)state;
    add_msi(&answer);
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(iovageom_report_count(&report), 0);
    add_raw(&answer, 1, 20, 1, 0x8000000, 0x80fffff);
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(out[0].type, IOVAGEOM_RESV_MSI);
    assert_int_equal(out[0].range.start, 0x8000000);
    assert_int_equal(out[1].type, IOVAGEOM_RESV_MSI);
    assert_true(warned("a second MSI region (N74)"));
    assert_int_equal(iovageom_report_at(&report, 0)->range.start, 0x8000000);
    assert_int_equal(iovageom_report_count(&report), 1);
}

static void b3_no_msi_region_adds_a_window(void **state)
{
    struct answer answer = {{0}, 0};
    struct iovageom_region out[2];
    size_t count = 0;

    (void)state;
    add_reserved(&answer, 0, 0xffffffff);
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(out[1].type, IOVAGEOM_RESV_SOFTWARE_MSI);
    assert_int_equal(out[1].range.start, 0x8000000);
    assert_int_equal(out[1].range.last, 0x80fffff);
    assert_true(warned("no MSI region: VFIO in the guest maps doorbells in this window"));
    assert_true(warned("lies in this region"));
    /* Not at its edges. */
    answer.size = 0;
    add_reserved(&answer, 0, 0x7ffffff);
    add_reserved(&answer, 0x8100000, 0xffffffff);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 3);
    assert_false(warned("lies in this region"));
    /* Without F_PROBE, no byte is read. */
    kernel.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_PROBE;
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(count, 1);
}

static void b3_refusals(void **state)
{
    struct answer answer = {{0}, 0};
    struct iovageom_region out[4] = {{{7, 7}, 7, 7}};
    size_t count = 77;

    (void)state;
    add_msi(&answer);
    add_raw(&answer, 1, 12, 0, 0, 0);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_MALFORMED);
    assert_int_equal(iovageom_report_at(&report, iovageom_report_count(&report) - 1)->fatal, 1);
    answer.size = 24;
    add_reserved(&answer, 0, MAX);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_OVERFLOW);
    /* The size is last - start + 1 modulo 2^64: 0 for this one, too. */
    answer.size = 24;
    add_reserved(&answer, 0x1000, 0xfff);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_OVERFLOW);
    /* It looks at the size before it looks at the length. */
    answer.size = 24;
    add_raw(&answer, 1, 0, 0, 0, MAX);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_OVERFLOW);
    /* An unknown property doesn't clear the error. */
    answer.size = 0;
    add_reserved(&answer, 0, MAX);
    add_raw(&answer, 9, 20, 0, 0, 0);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_OVERFLOW);
    assert_int_equal(count, 77);
    assert_int_equal(out[0].type, 7);
}

static void b3_the_error_of_a_middle_property_is_forgotten(void **state)
{
    struct answer answer = {{0}, 0};
    struct iovageom_region out[4];
    size_t count = 0;

    (void)state;
    add_reserved(&answer, 0, MAX);
    add_msi(&answer);
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(out[0].type, IOVAGEOM_RESV_MSI);
    assert_true(warned("forgets the error"));
    /* Of a short one the guest goes on where the property says, into the next 8 bytes. */
    answer.size = 0;
    add_raw(&answer, 1, 12, 0, 0x1000, 0x1fff);
    answer.size = 16;
    add_msi(&answer);
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(count, 1);
}

static void b3_reserved_bits_are_masked(void **state)
{
    struct answer answer = {{0}, 0};
    struct iovageom_region out[4];
    size_t count = 0;

    (void)state;
    add_raw(&answer, 0xf001, 20, 1, 0xfee00000, 0xfeefffff);
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(out[0].type, IOVAGEOM_RESV_MSI);
    assert_true(warned("N60"));
    /* A type that is 0 but for them ends the list. */
    answer.size = 0;
    add_raw(&answer, 0xf000, 20, 1, 0, 0);
    add_msi(&answer);
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(out[0].type, IOVAGEOM_RESV_SOFTWARE_MSI);
}

static void b3_lengths_that_wrap(void **state)
{
    struct answer answer = {{0}, 0};
    struct iovageom_region out[4];
    size_t count = 77;

    (void)state;
    add_raw(&answer, 2, 0xfffc, 0, 0, 0);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_CYCLE);
    answer.size = 0;
    add_raw(&answer, 1, 0xfffc, 0, 0x1000, 0x1fff);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_CYCLE);
    assert_int_equal(count, 77);
    for (unsigned length = 0xfffd; length <= 0xffff; length++) {
        answer.size = 0;
        memset(answer.bytes, 0, sizeof(answer.bytes));
        add_raw(&answer, 2, length, 0, 0, 0);
        (void)view(&answer, out, COUNT(out), &count);
        assert_true(warned("wraps"));
    }
    /* Longer than the buffer: one property, and its end is nowhere. */
    answer.size = 0;
    add_raw(&answer, 1, 0xfffb, 1, 0xfee00000, 0xfeefffff);
    assert_int_equal(view(&answer, out, COUNT(out), &count), 0);
    assert_int_equal(count, 1);
    assert_true(warned("runs over the end"));
}

static void b3_every_truncation_is_read_as_zeros(void **state)
{
    struct answer answer = {{0}, 0}, cut;
    struct iovageom_region out[8];
    size_t count;

    (void)state;
    add_raw(&answer, 1, 20, 1, 0xfee00000fee00000, 0xffffffffffffffff);
    add_reserved(&answer, 0x1111111111111111, 0x2222222222222222);
    for (size_t size = 0; size <= answer.size; size++) {
        cut = answer;
        cut.size = size;
        (void)view(&cut, out, COUNT(out), &count);
    }
    /* A property beyond probe_size isn't looked at, whatever the buffer has. */
    answer.size = 0;
    for (unsigned i = 0; i < 23; i++)
        add_reserved(&answer, 0x100000 * i, 0x100000 * i + 0xfff);
    assert_int_equal(view(&answer, out, COUNT(out), &count), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 22 + 1);
}

static void b3_32_bit_guests(void **state)
{
    static const struct {
        uint64_t start, last;
        int status;
    } cases[] = {
        {0x1000, 0xffffffff, 0},
        {0, 0xfffffffe, 0},
        {0, 0xffffffff, IOVAGEOM_ERR_OVERFLOW},
        {0x1000, 0x100000000, IOVAGEOM_ERR_OVERFLOW},
        {0x8000000000, MAX, IOVAGEOM_ERR_OVERFLOW},
        {0x2000, 0x1000, IOVAGEOM_ERR_OVERFLOW},
    };

    (void)state;
    kernel.physical_32bit = 1;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer answer = {{0}, 0};
        struct iovageom_region out[4];
        size_t count;

        add_msi(&answer);
        add_reserved(&answer, cases[i].start, cases[i].last);
        assert_int_equal(view(&answer, out, COUNT(out), &count), cases[i].status);
    }
}

static void b3_config_that_the_driver_refuses(void **state)
{
    struct iovageom_virtio_config other = config;
    struct iovageom_region out[4];
    size_t count = 77;

    (void)state;
#define VIEW() iovageom_guestview_probe(&kernel, &other, NULL, 0, out, COUNT(out), &count, &report)
    other.page_size_mask = 0;
    assert_int_equal(VIEW(), IOVAGEOM_ERR_INVALID);
    other.page_size_mask = 0x4000;
    assert_int_equal(VIEW(), IOVAGEOM_ERR_ALIGNMENT);
    assert_true(warned("granule"));
    kernel.page_size = 0x4000;
    assert_int_equal(VIEW(), 0);
    kernel.features = IOVAGEOM_VIRTIO_F_PROBE;
    assert_int_equal(VIEW(), IOVAGEOM_ERR_INVALID);
    kernel = iovageom_guestview_kernel_default();
    other = config;
    other.input_range.last = 0x7ffffffffe;
    assert_int_equal(VIEW(), 0);
    assert_true(warned("input range"));
    assert_int_equal(
        iovageom_guestview_probe(&kernel, &other, NULL, 0, out, COUNT(out), &count, NULL), 0);
}

static void check_group(const struct iovageom_region *device, size_t device_count,
                        const struct iovageom_region *expected, size_t expected_count)
{
    struct iovageom_region list[16];
    size_t count = 0;

    assert_int_equal(iovageom_guestview_group(list, COUNT(list), &count, device, device_count), 0);
    assert_regions(list, count, expected, expected_count);
}

#define R(start, last)                                                                             \
    {                                                                                              \
        {(start), (last)}, IOVAGEOM_RESV_RESERVED, 0                                               \
    }
#define M(start, last)                                                                             \
    {                                                                                              \
        {(start), (last)}, IOVAGEOM_RESV_MSI, 0                                                    \
    }
#define S(start, last)                                                                             \
    {                                                                                              \
        {(start), (last)}, IOVAGEOM_RESV_SOFTWARE_MSI, 0                                           \
    }

static void b3_merging(void **state)
{
    const struct iovageom_region any_order[] = {R(20, 29), R(0, 9), R(10, 19), R(31, 40)};
    const struct iovageom_region merged[] = {R(0, 29), R(31, 40)};
    const struct iovageom_region types[] = {S(0, 9), M(0, 9), R(0, 9), M(5, 12), R(13, 20)};
    const struct iovageom_region sorted[] = {R(0, 9), M(0, 12), S(0, 9), R(13, 20)};
    /* Two devices that both say where the width ends: seen twice in a real guest. */
    const struct iovageom_region top[] = {M(0xfee00000, 0xfeefffff), R(0x8000000000, MAX),
                                          M(0xfee00000, 0xfeefffff), R(0x8000000000, MAX)};
    const struct iovageom_region twice[] = {M(0xfee00000, 0xfeefffff), R(0x8000000000, MAX),
                                            R(0x8000000000, MAX)};
    /* One that starts below does swallow them, unless it ends there too. */
    const struct iovageom_region below[] = {R(8, MAX), R(9, 10), R(11, 20), R(4, 12)};
    const struct iovageom_region swallowed[] = {R(4, MAX), R(9, 20)};
    /* An inverted region ends low, so what lies inside its bounds is apart from it. */
    const struct iovageom_region inverted[] = {R(0x20, 0x10), R(0x30, 0x40), R(0x18, 0x28)};
    const struct iovageom_region odd[] = {R(0x18, 0x28), R(0x30, 0x40)};
    struct iovageom_region list[2] = {R(1, 1)};
    size_t count = 1;

    (void)state;
    check_group(any_order, COUNT(any_order), merged, COUNT(merged));
    check_group(types, COUNT(types), sorted, COUNT(sorted));
    check_group(top, COUNT(top), twice, COUNT(twice));
    check_group(below, COUNT(below), swallowed, COUNT(swallowed));
    check_group(inverted, 2, inverted, 2);
    check_group(inverted, 3, odd, COUNT(odd));
    assert_int_equal(iovageom_guestview_group(list, 2, &count, merged, 2),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 1);
}

static void vfio_edges(void **state)
{
    const struct iovageom_region all[] = {R(0, MAX >> 1), R((MAX >> 1) + 1, MAX)};
    const struct iovageom_region ends[] = {R(0, 0), R(MAX, MAX)};
    struct iovageom_range out[2] = {{7, 7}, {7, 7}};
    size_t count = 77;

    (void)state;
#define VFIO(list, n, capacity)                                                                    \
    iovageom_guestview_vfio((struct iovageom_range){0, MAX}, list, n, out, capacity, &count)
    assert_int_equal(VFIO(all, 2, 2), IOVAGEOM_ERR_NOTHING_USABLE);
    assert_int_equal(
        iovageom_guestview_vfio((struct iovageom_range){5, 4}, NULL, 0, out, 2, &count),
        IOVAGEOM_ERR_INVERTED);
    assert_int_equal(VFIO(ends, 2, 0), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 77);
    assert_int_equal(VFIO(ends, 2, 1), 0);
    assert_int_equal(count, 1);
    assert_int_equal(out[0].start, 1);
    assert_int_equal(out[0].last, MAX - 1);
    assert_int_equal(VFIO(NULL, 0, 1), 0);
    assert_int_equal(VFIO(((const struct iovageom_region[]){R(5, 6)}), 1, 1),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
}

/* The allocator of the kernel, seen in the trial: forcedac in a 39-bit guest without PROBE bytes
 * gives 0xfffffffffffff000; with them the top of the aperture. */
static void dma_first_addresses(void **state)
{
    struct iovageom_virtio_config wide = config;
    const struct iovageom_region intel[] = {M(0xfee00000, 0xfeefffff), R(0x8000000000, MAX)};
    struct iovageom_guestview_dma dma;
    struct iovageom_range got;

    (void)state;
    wide.input_range.last = MAX;
    memset(&dma, 1, sizeof(dma));
    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &wide, NULL, 0), 0);
    assert_false(dma.low_always);
    dma.low_first = false;
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), 0);
    assert_int_equal(got.start, 0xfffffffffffff000);
    assert_int_equal(got.last, MAX);
    iovageom_guestview_dma_deinit(&dma);

    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &wide, intel, 2), 0);
    assert_true(dma.low_first);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 1, MAX, &got), 0);
    assert_int_equal(got.start, 0xfffff000);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4097, MAX, &got), 0);
    assert_int_equal(got.start, 0xffffc000); /* two granules, aligned to two */
    assert_int_equal(got.last, 0xffffdfff);
    dma.low_first = false;
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), 0);
    assert_int_equal(got.start, 0x7ffffff000);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, 0xffffffffff, &got), 0);
    assert_int_equal(got.start, 0x7fffffe000);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, 0xfeefffff, &got), 0);
    assert_int_equal(got.start, 0xfedff000);
    iovageom_guestview_dma_deinit(&dma);
    iovageom_guestview_dma_deinit(NULL);
}

/* Scenario 3: the 32-bit space runs out, and Linux turns to the top of the aperture. */
static void dma_turns_to_the_top_when_the_low_space_runs_out(void **state)
{
    struct iovageom_guestview_dma dma;
    const struct iovageom_region low[] = {R(0x4000, 0xffffffff)};
    struct iovageom_range got;

    (void)state;
    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &config, low, 1), 0);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), 0);
    assert_int_equal(got.start, 0x3000);
    /* Two granules, aligned: not [0x1000,0x2fff]. */
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, UINT32_MAX, &got), 0);
    assert_int_equal(got.start, 0x2000);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 8192, UINT32_MAX, &got),
                     IOVAGEOM_ERR_NOT_FOUND);
    assert_true(dma.low_first);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 8192, MAX, &got), 0);
    assert_int_equal(got.start, 0x7fffffe000);
    assert_false(dma.low_first);
    /* Once it has turned, it stays there, although a granule is free below. */
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), 0);
    assert_int_equal(got.start, 0x7fffffd000);
    /* The first granule is never given: no address is 0. */
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, UINT32_MAX, &got), 0);
    assert_int_equal(got.start, 0x1000);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, UINT32_MAX, &got),
                     IOVAGEOM_ERR_NOT_FOUND);
    iovageom_guestview_dma_deinit(&dma);
}

/* Linux turns before it looks at the top: so also where there is no room at all. */
static void dma_turns_even_when_nothing_is_found(void **state)
{
    static const uint64_t sizes[] = {UINT64_C(1) << 39, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int always = 0; always < 2; always++) {
            struct iovageom_guestview_dma dma;
            struct iovageom_range got = {7, 7};

            assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &config, NULL, 0), 0);
            dma.low_always = always != 0;
            /* It looks below 4 GiB alone, which says nothing of the next one. */
            assert_int_equal(iovageom_guestview_dma_alloc(&dma, sizes[i], UINT32_MAX, &got),
                             IOVAGEOM_ERR_NOT_FOUND);
            assert_true(dma.low_first);
            assert_int_equal(iovageom_guestview_dma_alloc(&dma, sizes[i], MAX, &got),
                             IOVAGEOM_ERR_NOT_FOUND);
            assert_int_equal(got.start, 7);
            assert_int_equal(dma.low_first, dma.low_always);
            assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), 0);
            assert_int_equal(got.start, always != 0 ? 0xfffff000 : 0x7ffffff000);
            iovageom_guestview_dma_deinit(&dma);
        }
}

/* 6.1 looks below 4 GiB for every allocation anew. */
static void dma_of_6_1_comes_back_to_the_low_space(void **state)
{
    struct iovageom_guestview_dma dma;
    const struct iovageom_region low[] = {R(0x2000, 0xffffffff)};
    struct iovageom_range got;

    (void)state;
    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &config, low, 1), 0);
    assert_false(dma.low_always);
    dma.low_always = true;
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 8192, MAX, &got), 0);
    assert_int_equal(got.start, 0x7fffffe000);
    assert_true(dma.low_first);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), 0);
    assert_int_equal(got.start, 0x1000);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), 0);
    assert_int_equal(got.start, 0x7fffffd000);
    iovageom_guestview_dma_deinit(&dma);
}

/* Domain numbers: from the range, below 2^31, and by 7.3 not the first one. */
static void domain_numbers_by_version(void **state)
{
    const uint32_t bypass = IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
    const uint32_t range = IOVAGEOM_VIRTIO_F_DOMAIN_RANGE;
    const struct {
        uint32_t start;
        uint32_t last;
        uint32_t without; /* features that are not there */
        int old;
        int generic;
        size_t findings_of_any;
    } cases[] = {
        {0, UINT32_MAX, 0, 0, 0, 0},
        {5, 6, 0, 0, 0, 0},
        {5, 5, 0, 0, IOVAGEOM_ERR_LIMIT, 1},
        {0, 0, 0, 0, IOVAGEOM_ERR_LIMIT, 1},
        {5, 5, bypass, 0, 0, 0},
        {5, 5, range, 0, 0, 0},
        {INT32_MAX, UINT32_MAX, 0, 0, IOVAGEOM_ERR_LIMIT, 1},
        {INT32_MAX, UINT32_MAX, bypass, 0, 0, 0},
        {0x80000000, UINT32_MAX, 0, IOVAGEOM_ERR_LIMIT, IOVAGEOM_ERR_LIMIT, 1},
        {0x80000000, UINT32_MAX, bypass, IOVAGEOM_ERR_LIMIT, IOVAGEOM_ERR_LIMIT, 1},
        {7, 6, bypass, IOVAGEOM_ERR_LIMIT, IOVAGEOM_ERR_LIMIT, 1},
    };
    struct answer answer = {.size = 0};

    (void)state;
    add_msi(&answer);
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (uint32_t rules = IOVAGEOM_LINUX_ANY; rules <= IOVAGEOM_LINUX_7_3; rules++) {
            struct iovageom_virtio_config few = config;
            struct iovageom_region out[1];
            size_t count = 0;
            int status;

            kernel = iovageom_guestview_kernel_default();
            assert_int_equal(kernel.rules, IOVAGEOM_LINUX_ANY);
            kernel.features &= ~cases[i].without;
            kernel.rules = rules;
            few.domain_start = cases[i].start;
            few.domain_last = cases[i].last;
            status = iovageom_guestview_probe(&kernel, &few, answer.bytes, answer.size, out, 1,
                                              &count, &report);
            assert_int_equal(status, rules == IOVAGEOM_LINUX_7_3 ? cases[i].generic : cases[i].old);
            assert_int_equal(count, status == 0 ? 1 : 0);
            if (rules == IOVAGEOM_LINUX_ANY)
                assert_int_equal(iovageom_report_count(&report), cases[i].findings_of_any);
        }
    }
    kernel.rules = IOVAGEOM_LINUX_7_3 + 1;
    assert_int_equal(
        iovageom_guestview_probe(&kernel, &config, NULL, 0, NULL, 0, &(size_t){0}, NULL),
        IOVAGEOM_ERR_INVALID);
    kernel = iovageom_guestview_kernel_default();
}

static void dma_rounds_small_sizes_to_powers_of_two(void **state)
{
    struct iovageom_guestview_dma dma;
    struct iovageom_range got;
    size_t sizes[][3] = {/* granules asked, granules taken, alignment */
                         {1, 1, 1},    {3, 4, 4},    {5, 8, 8},      {17, 32, 32},
                         {31, 32, 32}, {33, 33, 64}, {100, 100, 128}};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &config, NULL, 0), 0);
        dma.low_first = false;
        assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096 * sizes[i][0], MAX, &got), 0);
        assert_int_equal(got.last - got.start, 4096 * sizes[i][1] - 1);
        assert_int_equal(got.start % (4096 * sizes[i][2]), 0);
        assert_true(got.start + 2 * 4096 * sizes[i][2] > 0x7fffffffff);
        iovageom_guestview_dma_deinit(&dma);
    }
}

static void dma_edges(void **state)
{
    struct iovageom_virtio_config odd = config;
    struct iovageom_guestview_dma dma;
    struct iovageom_rangeset choices;
    struct iovageom_range got = {7, 7};
    const struct iovageom_region inverted = R(0x2000000, 0x1000000);

    (void)state;
    assert_int_equal(iovageom_rangeset_init(&choices, NULL), 0);
    odd.page_size_mask = 0;
    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &odd, NULL, 0), IOVAGEOM_ERR_INVALID);
    odd = config;
    odd.input_range = (struct iovageom_range){2, 1};
    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &odd, NULL, 0), IOVAGEOM_ERR_INVERTED);
    odd.input_range = (struct iovageom_range){0, 0xffe};
    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &odd, NULL, 0),
                     IOVAGEOM_ERR_NOTHING_USABLE);
    /* Granules that lie inside in part count as inside; inverted regions don't count at all. */
    odd.input_range = (struct iovageom_range){0x1800, 0x37ff};
    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &odd, &inverted, 1), 0);
    assert_int_equal(iovageom_rangeset_complement(&choices, &dma.taken, dma.limits), 0);
    assert_int_equal(iovageom_rangeset_count(&choices), 1);
    assert_true(iovageom_rangeset_contains(&choices, (struct iovageom_range){0x1000, 0x3fff}));
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 0, MAX, &got), IOVAGEOM_ERR_INVALID);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, MAX, MAX, &got), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, 0, &got), IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(iovageom_rangeset_insert(&dma.taken, (struct iovageom_range){0x2000, 0x3fff}),
                     0);
    assert_int_equal(iovageom_rangeset_complement(&choices, &dma.taken, dma.limits), 0);
    assert_true(iovageom_rangeset_contains(&choices, (struct iovageom_range){0x1000, 0x1fff}));
    assert_false(iovageom_rangeset_overlaps(&choices, (struct iovageom_range){0x2000, 0x3fff}));
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), 0);
    assert_int_equal(got.start, 0x1000);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 4096, MAX, &got), IOVAGEOM_ERR_NOT_FOUND);
    iovageom_guestview_dma_deinit(&dma);

    odd.page_size_mask = UINT64_C(1) << 63;
    odd.input_range = (struct iovageom_range){0, MAX};
    assert_int_equal(iovageom_guestview_dma_init(&dma, NULL, &odd, NULL, 0), 0);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 1, MAX, &got), 0);
    assert_int_equal(got.start, UINT64_C(1) << 63);
    assert_int_equal(iovageom_guestview_dma_alloc(&dma, 1, MAX, &got), IOVAGEOM_ERR_NOT_FOUND);
    iovageom_guestview_dma_deinit(&dma);
    iovageom_rangeset_deinit(&choices);
}

static void dma_survives_want_of_memory(void **state)
{
    struct iovageom_region many[64];
    struct test_allocator memory;

    (void)state;
    for (unsigned i = 0; i < COUNT(many); i++)
        many[i] = (struct iovageom_region)R(0x100000 * (i + 1), 0x100000 * (i + 1) + 0xfff);
    test_allocator_init(&memory);
    for (size_t n = 1;; n++) {
        struct iovageom_guestview_dma dma;
        int status;

        test_allocator_fail_at(&memory, n, true);
        status = iovageom_guestview_dma_init(&dma, &memory.allocator, &config, many, COUNT(many));
        if (!test_allocator_stop_failing(&memory)) {
            assert_int_equal(status, 0);
            iovageom_guestview_dma_deinit(&dma);
            break;
        }
        assert_int_equal(status, IOVAGEOM_ERR_NO_MEMORY);
        assert_int_equal(test_allocator_live(&memory), 0);
    }
    assert_int_equal(test_allocator_live(&memory), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(b3_fixtures_of_real_guests),
        TEST(regions_are_sorted_and_stay_in_order),
        TEST(b3_unknown_property_and_subtype_are_logged),
        TEST(b3_a_second_msi_region_is_taken),
        TEST(b3_no_msi_region_adds_a_window),
        TEST(b3_refusals),
        TEST(b3_the_error_of_a_middle_property_is_forgotten),
        TEST(b3_reserved_bits_are_masked),
        TEST(b3_lengths_that_wrap),
        TEST(b3_every_truncation_is_read_as_zeros),
        TEST(b3_32_bit_guests),
        TEST(b3_config_that_the_driver_refuses),
        TEST(b3_merging),
        TEST(vfio_edges),
        TEST(dma_first_addresses),
        TEST(dma_turns_to_the_top_when_the_low_space_runs_out),
        TEST(dma_rounds_small_sizes_to_powers_of_two),
        TEST(dma_turns_even_when_nothing_is_found),
        TEST(dma_of_6_1_comes_back_to_the_low_space),
        TEST(domain_numbers_by_version),
        TEST(dma_edges),
        TEST(dma_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoders and encoders, given what is nearly right: on error no output is written, and `needed` is
 * on success and when the buffer is too small, and at no other time; what they then ask for is
 * enough. What they make of good input, the tests of each know.
 */
#include <string.h>

#include <iovageom/guest.h>
#include <iovageom/iovageom.h>

#include "support/property.h"
#include "support/test_native.h"
#include "support/test_wire.h"

enum { ROUNDS = 20000 };

static struct test_random random_numbers;
static unsigned good, bad; /* how often it was right, and how often it was not */

static uint64_t below(uint64_t bound)
{
    return test_random_below(&random_numbers, bound);
}

static bool one_in(uint64_t n)
{
    return test_random_one_in(&random_numbers, n);
}

static bool untouched(const void *object, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const uint8_t *)object)[i] != 0xee)
            return false;
    return true;
}

#define POISON(object) memset(&(object), 0xee, sizeof(object))
#define CLEAN(object)  ck_assert(untouched(&(object), sizeof(object)))

/* A few bytes become others; most often none. */
static void damage(uint8_t *bytes, size_t length)
{
    for (; one_in(2) && length > 0;)
        bytes[below(length)] = one_in(2) ? (uint8_t)below(256) : (uint8_t)below(4);
}

static void begin(uint64_t stream)
{
    random_numbers = test_random_start(stream);
    good = bad = 0;
}

static void count_as(int status)
{
    good += status == 0;
    bad += status != 0;
}

static void both_happened(void)
{
    ck_assert_uint_gt(good, ROUNDS / 20);
    ck_assert_uint_gt(bad, ROUNDS / 20);
}

/* ---- the host's answers ---- */

static size_t vfio_answer(uint8_t *bytes)
{
    const uint64_t count = below(4);
    const size_t size = 24 + 16 + (size_t)count * 16 + 12;

    memset(bytes, 0, 256);
    test_store_native(bytes, size, 4);
    test_store_native(bytes + 4, 3, 4);
    test_store_native(bytes + 8, 0x1000, 8);
    test_store_native(bytes + 16, 24, 4);
    test_store_native(bytes + 24, 1, 2);
    test_store_native(bytes + 26, 1, 2);
    test_store_native(bytes + 28, 24 + 16 + count * 16, 4);
    test_store_native(bytes + 32, count, 4);
    for (uint64_t i = 0; i < count; i++) {
        test_store_native(bytes + 40 + i * 16, i << 20, 8);
        test_store_native(bytes + 48 + i * 16, (i << 20) + 0xfffff, 8);
    }
    test_store_native(bytes + size - 12, 3, 2);
    test_store_native(bytes + size - 10, 1, 2);
    test_store_native(bytes + size - 4, 65535, 4);
    return size;
}

START_TEST(vfio)
{
    begin(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint8_t bytes[256];
        size_t length = vfio_answer(bytes), needed;
        struct iovageom_geometry *geometry;
        int status;

        damage(bytes, length);
        if (one_in(4))
            length = (size_t)below(length + 1);
        ck_assert_int_eq(iovageom_geometry_new(NULL, "host", &geometry), 0);
        POISON(needed);
        status = iovageom_host_vfio_info(bytes, length, &needed, geometry);
        count_as(status);
        if (status != 0)
            ck_assert_uint_eq(iovageom_geometry_knows(geometry), 0);
        ck_assert_int_eq(untouched(&needed, sizeof(needed)),
                         status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        iovageom_geometry_free(geometry);
    }
    both_happened();
}
END_TEST

START_TEST(iommufd)
{
    begin(2);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint64_t count = below(4);
        uint8_t header[32] = {0}, array[64], data[32] = {0}, info_header[40] = {0};
        struct iovageom_geometry *geometry;
        struct iovageom_hw_info info;
        size_t length = 32, room = (size_t)count * 16, needed;
        int status;

        test_store_native(header, 32, 4);
        test_store_native(header + 8, count, 4);
        test_store_native(header + 24, 0x1000, 8);
        for (uint64_t i = 0; i < 4; i++) {
            test_store_native(array + i * 16, i << 20, 8);
            test_store_native(array + i * 16 + 8, (i << 20) + 0xfffff, 8);
        }
        damage(header, 32);
        damage(array, room);
        if (one_in(8))
            length = (size_t)below(33);
        if (one_in(8))
            room = (size_t)below(room + 1);
        POISON(needed);
        ck_assert_int_eq(iovageom_geometry_new(NULL, "host", &geometry), 0);
        status = iovageom_host_iommufd_ranges(header, length, array, room, &needed, geometry);
        count_as(status);
        if (status != 0)
            ck_assert_uint_eq(iovageom_geometry_knows(geometry), 0);
        ck_assert_int_eq(untouched(&needed, sizeof(needed)),
                         status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
            ck_assert_uint_gt(needed, room);
        iovageom_geometry_free(geometry);

        test_store_native(info_header, 40, 4);
        test_store_native(info_header + 12, sizeof(data), 4);
        test_store_native(info_header + 24, 1 + below(4), 4);
        damage(info_header, 40);
        POISON(info);
        if (iovageom_host_iommufd_hw_info(info_header, one_in(8) ? (size_t)below(41) : 40, data,
                                          (size_t)below(33), &info) != 0)
            CLEAN(info);
    }
    both_happened();
}
END_TEST

START_TEST(sysfs)
{
    static const char alphabet[] = "0x123ef \n:gmsi-reserved";

    begin(3);
    for (unsigned round = 0; round < ROUNDS; round++) {
        char text[64] = "0x00000000fee00000 0x00000000feefffff msi\n0x0 0xfff direct\n";
        size_t length = strlen(text);
        struct iovageom_geometry *geometry;
        uint64_t efr, efr2;
        size_t line;
        int status;

        for (; one_in(2);)
            text[below(length)] = alphabet[below(sizeof(alphabet) - 1)];
        if (one_in(8))
            length = (size_t)below(length + 1);
        ck_assert_int_eq(iovageom_geometry_new(NULL, "host", &geometry), 0);
        POISON(line);
        status = iovageom_host_sysfs_reserved_regions(
            text, length, one_in(2) ? IOVAGEOM_SYSFS_STRICT : IOVAGEOM_SYSFS_LENIENT, &line,
            geometry);
        if (status != 0)
            ck_assert_uint_eq(iovageom_geometry_knows(geometry), 0);
        count_as(status);
        ck_assert_int_eq(line == 0, status == 0);
        iovageom_geometry_free(geometry);
        POISON(efr);
        POISON(efr2);
        if (iovageom_host_sysfs_register(text, (size_t)below(20), &efr) != 0)
            CLEAN(efr);
        POISON(efr);
        if (iovageom_host_sysfs_amd_features(text, (size_t)below(40), &efr, &efr2) != 0) {
            CLEAN(efr);
            CLEAN(efr2);
        }
    }
    both_happened();
}
END_TEST

START_TEST(registers)
{
    begin(4);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const enum iovageom_host_stage stage = (enum iovageom_host_stage)below(3);
        const uint32_t rules = (uint32_t)below(4);
        const uint64_t some = test_random_u64(&random_numbers) &
                              (one_in(2) ? UINT64_MAX : test_random_u64(&random_numbers));
        struct iovageom_host_limits limits;
        int status;

        POISON(limits);
        if (iovageom_host_vtd(some, test_random_u64(&random_numbers), one_in(2), stage, rules,
                              &limits) != 0)
            CLEAN(limits);
        POISON(limits);
        if (iovageom_host_smmuv3((uint32_t)some, (uint32_t)(some >> 32),
                                 one_in(2) ? 0 : UINT64_C(1) << below(64), (unsigned)below(70),
                                 stage, rules, &limits) != 0)
            CLEAN(limits);
        POISON(limits);
        status = iovageom_host_amd(one_in(9) ? 0 : some, stage, (unsigned)below(7), rules, &limits);
        count_as(status);
        if (status != 0)
            CLEAN(limits);
    }
    both_happened();
}
END_TEST

/* ---- the wire ---- */

static size_t some_list(struct iovageom_region *list, size_t most)
{
    const size_t count = (size_t)below(most + 1);
    uint64_t at = below(3) << 12;

    for (size_t i = 0; i < count; i++) {
        list[i].range = (struct iovageom_range){at, at + (below(4) << 12) + 0xfff};
        list[i].type = one_in(6) ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED;
        list[i].owner = 0;
        if (one_in(30))
            list[i].type = (uint32_t)below(8);
        if (one_in(60))
            list[i].range.last = 0;
        at = list[i].range.last + 1 + (below(3) << 12);
    }
    return count;
}

START_TEST(probe_answers)
{
    begin(5);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
        struct iovageom_virtio_config config = {0x1000, {0, UINT64_MAX}, 0, UINT32_MAX, 120, 0};
        struct iovageom_region list[6], out[8];
        const size_t count = some_list(list, 6), size = (size_t)below(170);
        const size_t capacity = (size_t)below(8);
        uint8_t bytes[170];
        size_t needed, found;
        int status;

        POISON(needed);
        POISON(bytes);
        status = test_encode_probe(list, count, bytes, size, &needed);
        if (status != 0)
            CLEAN(bytes);
        ck_assert_int_eq(untouched(&needed, sizeof(needed)),
                         status != 0 && status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        if (status == 0)
            ck_assert_uint_le(needed, size);
        if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
            ck_assert_uint_gt(needed, size);

        if (status != 0)
            memset(bytes, 0, sizeof(bytes));
        damage(bytes, size);
        POISON(out);
        POISON(found);
        status = iovageom_guest_decode_probe(bytes, size, out, capacity, &found);
        count_as(status);
        ck_assert_int_eq(untouched(&found, sizeof(found)),
                         status != 0 && status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        if (status == 0)
            ck_assert(untouched(out + found, sizeof(out) - found * sizeof(out[0])));
        if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
            ck_assert_uint_gt(found, capacity);

        POISON(found);
        config.probe_size = (uint32_t)size;
        status =
            iovageom_guestview_probe(&kernel, &config, bytes, size, out, capacity, &found, NULL);
        ck_assert_int_eq(untouched(&found, sizeof(found)),
                         status != 0 && status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
            ck_assert_uint_gt(found, capacity);
    }
    both_happened();
}
END_TEST

START_TEST(wire_lists_and_plans)
{
    begin(6);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct iovageom_region list[8], out[10];
        const size_t count = some_list(list, 8), capacity = (size_t)below(9);
        struct iovageom_range window = {0, one_in(4) ? UINT32_MAX : UINT64_MAX};
        struct iovageom_probe_plan plan;
        size_t found;
        int status;

        if (one_in(40))
            window.start = UINT64_MAX;
        POISON(out);
        POISON(found);
        status = iovageom_virtio_wire_list(list, count, NULL, window, out, capacity, &found);
        ck_assert_int_eq(untouched(&found, sizeof(found)),
                         status != 0 && status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        if (status == 0)
            ck_assert(untouched(out + found, sizeof(out) - found * sizeof(out[0])));
        if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
            ck_assert_uint_gt(found, capacity);

        POISON(out);
        POISON(plan);
        status =
            iovageom_plan_probe(list, count, (size_t)below(9) * 24, out, capacity, &plan, NULL);
        count_as(status);
        if (status == 0)
            ck_assert(untouched(out + plan.count, sizeof(out) - plan.count * sizeof(out[0])));
        else
            CLEAN(out);
        ck_assert_int_eq(untouched(&plan, sizeof(plan)),
                         status != 0 && status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    }
    both_happened();
}
END_TEST

START_TEST(config_space_and_requests)
{
    begin(7);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct iovageom_virtio_config config = {one_in(8) ? 0 : 0x1000,      {below(3), below(3)},
                                                (uint32_t)below(3),          (uint32_t)below(3),
                                                (uint32_t)below(UINT32_MAX), (uint32_t)below(3)};
        struct iovageom_virtio_request request = {.type = (uint32_t)below(8)};
        struct iovageom_guest_property property;
        struct iovageom_region region;
        uint8_t bytes[IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX + 8];
        size_t size = (size_t)below(48), needed, offset = 0;
        uint32_t subtype;
        int status;

        POISON(bytes);
        if (iovageom_virtio_encode_config(&config, bytes) != 0)
            CLEAN(bytes);
        else
            ck_assert(untouched(bytes + 40, sizeof(bytes) - 40));

        POISON(bytes);
        POISON(needed);
        size = (size_t)below(sizeof(bytes) + 1);
        status = iovageom_guest_encode_request(&request, bytes, size, &needed);
        count_as(status);
        if (status != 0)
            CLEAN(bytes);
        else
            ck_assert(untouched(bytes + needed, sizeof(bytes) - needed));
        ck_assert_int_eq(untouched(&needed, sizeof(needed)),
                         status != 0 && status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);

        memset(bytes, 0, sizeof(bytes));
        damage(bytes, 24);
        POISON(region);
        POISON(subtype);
        if (iovageom_guest_decode_resv_mem(bytes, (size_t)below(30), &region, &subtype) != 0) {
            CLEAN(region);
            CLEAN(subtype);
        }
        POISON(property);
        bytes[0] = (uint8_t)below(3);
        bytes[2] = (uint8_t)below(40);
        status = iovageom_guest_property_next(bytes, (size_t)below(40), &offset, &property);
        if (status != 0) {
            CLEAN(property);
            ck_assert_uint_eq(offset, 0);
        }
    }
    both_happened();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outputs");

    property_add(suite, vfio);
    property_add(suite, iommufd);
    property_add(suite, sysfs);
    property_add(suite, registers);
    property_add(suite, probe_answers);
    property_add(suite, wire_lists_and_plans);
    property_add(suite, config_space_and_requests);
    return property_run(suite);
}

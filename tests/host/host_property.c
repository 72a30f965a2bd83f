/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Hostile kernels: random and mutated answers to every decoder, in blocks of their very size, under
 * the sanitizers. Whatever comes, a decoder ends, writes nothing when it refuses, and means by what
 * it accepts what an oracle means that shares no code with it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/host_iommufd.h>
#include <iovageom/host_registers.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_vfio.h>
#include <iovageom/status.h>

#include "support/test_accepts.h"
#include "support/property.h"
#include "support/test_fixture.h"
#include "support/test_native.h"

#define ROUNDS 20000

static const char *const folders[] = {TEST_FIXTURE_FOLDERS};
#define FOLDER_COUNT (sizeof(folders) / sizeof(folders[0]))

static uint64_t number(const uint8_t *bytes, size_t size)
{
    return test_load_native(bytes, size);
}

/* A copy in a block of its size, changed in a few places, perhaps cut or longer. */
static uint8_t *mutate(struct test_random *random, const uint8_t *bytes, size_t *length)
{
    size_t new_length = *length;
    uint8_t *copy;

    if (test_random_one_in(random, 3))
        new_length = (size_t)test_random_below(random, *length + 32);
    copy = malloc(new_length + 1);
    property_check(copy != NULL);
    memset(copy, 0, new_length + 1);
    memcpy(copy, bytes, new_length < *length ? new_length : *length);
    for (uint64_t n = test_random_below(random, 4); n > 0 && new_length >= 4; n--) {
        size_t at = (size_t)test_random_below(random, new_length - 3);
        uint8_t small = (uint8_t)test_random_below(random, 2 * new_length);

        if (test_random_one_in(random, 2)) {
            copy[at] = (uint8_t)test_random_u64(random);
        } else { /* an offset, count or length that is nearly right */
            memset(copy + at / 4 * 4, 0, 4);
            copy[at / 4 * 4] = test_random_one_in(random, 4) ? small : (uint8_t)(small & 0xfc);
        }
    }
    *length = new_length;
    return copy;
}

/* ---- VFIO ---- */

/* A chain of random capabilities at random places, that may be well-formed. */
static uint8_t *random_chain(struct test_random *random, size_t *length)
{
    size_t count = (size_t)test_random_below(random, 6);
    size_t size = 24 + (size_t)test_random_below(random, 200);
    uint8_t *bytes = malloc(size);
    size_t link = 16;
    size_t at = 24;

    property_check(bytes != NULL);
    memset(bytes, 0, size);
    test_store_native(bytes, size, 4);
    test_store_native(bytes + 4, count > 0 ? 3 : 1, 4);
    test_store_native(bytes + 8, test_random_u64(random), 8);
    for (size_t i = 0; i < count && at + 8 <= size; i++) {
        uint64_t ranges = test_random_below(random, 4);
        uint64_t id = 1 + test_random_below(random, 4);

        test_store_native(bytes + link, at, 4);
        test_store_native(bytes + at, id, 2);
        test_store_native(bytes + at + 2, test_random_one_in(random, 8) ? 2 : 1, 2);
        if (at + 12 <= size)
            test_store_native(bytes + at + 8, id == 1 ? ranges : test_random_u64(random), 4);
        link = at + 4;
        at += id == 1 ? 16 + 16 * (size_t)ranges : id == 2 ? 32 : 12;
        if (test_random_one_in(random, 8))
            at -= 4;
    }
    *length = size;
    return bytes;
}

/*
 * What an answer must mean, found the slow way: the offsets visited are marked in a table, and
 * every byte of a known capability, so that circles and overlaps show.
 */
static int expected_status(const uint8_t *bytes, size_t length, uint32_t *knows, uint64_t *count,
                           const uint8_t **list)
{
    static uint8_t visited[65536];
    static uint8_t owned[65536];
    uint64_t argsz = length >= 16 ? number(bytes, 4) : 0;
    size_t end = argsz < length ? (size_t)argsz : length;
    bool seen[4] = {false};

    *knows = 0;
    *count = 0;
    if (length < 16)
        return IOVAGEOM_ERR_TRUNCATED;
    if (argsz < 16)
        return IOVAGEOM_ERR_MALFORMED;
    if ((number(bytes + 4, 4) & 1) != 0)
        *knows |= IOVAGEOM_FACT_PAGE_SIZES;
    if ((number(bytes + 4, 4) & 2) == 0)
        return IOVAGEOM_OK;

    uint64_t at = end >= 20 ? number(bytes + 16, 4) : 0;

    if (at == 0)
        return argsz > 24 ? IOVAGEOM_ERR_BUFFER_TOO_SMALL : IOVAGEOM_ERR_MALFORMED;
    memset(visited, 0, sizeof(visited));
    memset(owned, 0, sizeof(owned));
    /* First the shape of the chain, and then what its members say. */
    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t cap = at; cap != 0; cap = number(bytes + cap + 4, 4)) {
            if (pass == 0) {
                if (cap < 20 || cap % 4 != 0)
                    return IOVAGEOM_ERR_MALFORMED;
                if (cap + 8 > end)
                    return cap + 8 > argsz ? IOVAGEOM_ERR_MALFORMED : IOVAGEOM_ERR_TRUNCATED;
                if (visited[cap]++ != 0)
                    return IOVAGEOM_ERR_CYCLE;
                continue;
            }

            uint64_t id = number(bytes + cap, 2);
            uint64_t size = id == 2 ? 32 : id == 3 ? 12 : 16;

            if (id < 1 || id > 3 || number(bytes + cap + 2, 2) != 1)
                continue;
            if (seen[id])
                return IOVAGEOM_ERR_MALFORMED;
            seen[id] = true;
            if (cap + size > end)
                return cap + size > argsz ? IOVAGEOM_ERR_MALFORMED : IOVAGEOM_ERR_TRUNCATED;
            if (id == 1) {
                *count = number(bytes + cap + 8, 4);
                *list = bytes + cap + size;
                size += 16 * *count;
                if (cap + size > end)
                    return cap + size > argsz ? IOVAGEOM_ERR_MALFORMED : IOVAGEOM_ERR_TRUNCATED;
            }
            if (id == 1 && *count > 0)
                *knows |= IOVAGEOM_FACT_USABLE;
            if (id == 3 && number(bytes + cap + 8, 4) != UINT32_MAX)
                *knows |= IOVAGEOM_FACT_MAP_BUDGET;
            for (uint64_t i = cap; i < cap + size; i++)
                owned[i] = owned[i] == 0 ? (uint8_t)id : 9;
        }
    }
    /* A header on top of a known capability has not all its bytes, or not one of them. */
    for (uint64_t cap = at; cap != 0; cap = number(bytes + cap + 4, 4)) {
        uint64_t id = number(bytes + cap, 2);
        bool known = id >= 1 && id <= 3 && number(bytes + cap + 2, 2) == 1;

        for (uint64_t i = cap; i < cap + 8; i++) {
            if (owned[i] != (known ? id : 0))
                return IOVAGEOM_ERR_MALFORMED;
        }
    }
    return IOVAGEOM_OK;
}

static int check_vfio(const uint8_t *bytes, size_t length)
{
    struct iovageom_geometry *geometry;
    struct iovageom_rangeset usable, listed;
    size_t needed = 12345;
    uint32_t knows;
    uint64_t count;
    const uint8_t *list = NULL;
    int expected = expected_status(bytes, length, &knows, &count, &list), status;

    property_check(iovageom_rangeset_init(&usable, NULL) == 0);
    property_check(iovageom_rangeset_init(&listed, NULL) == 0);
    for (uint64_t i = 0; expected == IOVAGEOM_OK && i < count; i++)
        expected = iovageom_rangeset_insert(
            &listed,
            (struct iovageom_range){number(list + 16 * i, 8), number(list + 16 * i + 8, 8)});
    property_check(iovageom_geometry_new(NULL, "g", &geometry) == IOVAGEOM_OK);
    status = iovageom_host_vfio_info(bytes, length, &needed, geometry);
    property_check(status == expected);
    property_check((needed != 12345) == (expected == IOVAGEOM_ERR_BUFFER_TOO_SMALL));
    property_check(iovageom_geometry_knows(geometry) == (expected == IOVAGEOM_OK ? knows : 0));
    if (expected == IOVAGEOM_OK && count > 0) {
        property_check(iovageom_geometry_usable(geometry, 1, &usable) == 0);
        property_check(iovageom_rangeset_equal(&usable, &listed));
    }
    iovageom_geometry_free(geometry);
    iovageom_rangeset_deinit(&usable);
    iovageom_rangeset_deinit(&listed);
    return status;
}

START_TEST(vfio_answers)
{
    struct test_random random = test_random_start(1);
    uint8_t *captured[FOLDER_COUNT];
    size_t lengths[FOLDER_COUNT];
    unsigned accepted = 0;

    for (size_t i = 0; i < FOLDER_COUNT; i++)
        captured[i] = test_fixture_read_answer(folders[i], "vfio_iommu_get_info.bin", &lengths[i]);

    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t which = (size_t)test_random_below(&random, FOLDER_COUNT);
        size_t length;
        uint8_t *chain = random_chain(&random, &length);
        uint8_t *mutated;

        if (test_random_one_in(&random, 2)) {
            mutated = mutate(&random, chain, &length);
        } else {
            length = lengths[which];
            mutated = mutate(&random, captured[which], &length);
        }
        accepted += check_vfio(mutated, length) == IOVAGEOM_OK ? 1 : 0;
        free(mutated);
        free(chain);
    }
    for (size_t i = 0; i < FOLDER_COUNT; i++)
        free(captured[i]);
    property_check(accepted > ROUNDS / 20 && accepted < ROUNDS);
}
END_TEST

/* ---- iommufd ---- */

START_TEST(iommufd_answers)
{
    struct test_random random = test_random_start(2);
    size_t full[2];
    uint8_t *header =
        test_fixture_read_answer("amd", "ioas_iova_ranges.attached.hdr.bin", &full[0]);
    uint8_t *ranges =
        test_fixture_read_answer("amd", "ioas_iova_ranges.attached.ranges.bin", &full[1]);

    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t header_length = full[0];
        size_t length = full[1];
        uint8_t *some_header = mutate(&random, header, &header_length);
        uint8_t *some_ranges = mutate(&random, ranges, &length);
        struct iovageom_geometry *geometry;
        size_t needed = 1;
        int status;

        property_check(iovageom_geometry_new(NULL, "g", &geometry) == IOVAGEOM_OK);
        status = iovageom_host_iommufd_ranges(some_header, header_length, some_ranges, length,
                                              &needed, geometry);
        property_check((needed != 1) == (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL));
        property_check((iovageom_geometry_knows(geometry) != 0) == (status == IOVAGEOM_OK));
        for (size_t i = 0; status == IOVAGEOM_OK && i < number(some_header + 8, 4); i++)
            property_check(number(some_ranges + 16 * i, 8) <= number(some_ranges + 16 * i + 8, 8));
        iovageom_geometry_free(geometry);
        free(some_header);
        free(some_ranges);
    }
    free(header);
    free(ranges);
}
END_TEST

START_TEST(hardware_answers)
{
    struct test_random random = test_random_start(3);
    size_t full[2];
    uint8_t *header = test_fixture_read_answer("intel-48bit", "hw_info.hdr.bin", &full[0]);
    uint8_t *registers = test_fixture_read_answer("intel-48bit", "hw_info.data.bin", &full[1]);

    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t header_length = full[0];
        size_t length = full[1];
        uint8_t *some_header = mutate(&random, header, &header_length);
        uint8_t *some_registers = mutate(&random, registers, &length);
        struct iovageom_hw_info info;
        struct iovageom_host_limits limits;

        if (iovageom_host_iommufd_hw_info(some_header, header_length, some_registers, length,
                                          &info) == IOVAGEOM_OK) {
            bool vtd = number(some_header + 24, 4) == 1;
            uint64_t there = number(some_header + 12, 4);

            if (there > length)
                there = length;
            property_check(((info.knows & IOVAGEOM_HW_INFO_VTD_ECAP) != 0) == (vtd && there >= 24));
            if ((info.knows & IOVAGEOM_HW_INFO_VTD_CAP) != 0)
                property_check(info.vtd_cap == number(some_registers + 8, 8));
            if (iovageom_host_vtd(info.vtd_cap, info.vtd_ecap, true, IOVAGEOM_STAGE_DEFAULT,
                                  IOVAGEOM_LINUX_ANY, &limits) == IOVAGEOM_OK)
                property_check(limits.gaw >= 1 && limits.gaw <= 57);
        }
        free(some_header);
        free(some_registers);
    }
    free(header);
    free(registers);
}
END_TEST

/*
 * Any register value gives a width that fits an address and a mask with a granule, or is refused;
 * and what holds for all kernels holds for each one that drives the IOMMU.
 */
START_TEST(registers)
{
    struct test_random random = test_random_start(4);

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t a = test_random_u64(&random);
        uint64_t b = test_random_u64(&random);
        uint32_t idr0 = (uint32_t)a, idr5 = (uint32_t)b;
        uint64_t granule = round % 2 == 0 ? 0 : (uint64_t)4096 << 2 * (round / 2 % 3);
        enum iovageom_host_stage stage = (enum iovageom_host_stage)(round % 3);
        struct iovageom_host_limits limits[4][4];
        int status[4][4];

        memset(limits, 0, sizeof(limits));
        for (uint32_t rules = 0; rules < 4; rules++) {
            struct iovageom_host_limits *out = limits[rules];

            status[rules][0] = iovageom_host_vtd(a, b, false, stage, rules, &out[0]);
            status[rules][1] = iovageom_host_vtd(a, b, true, stage, rules, &out[1]);
            status[rules][2] =
                iovageom_host_smmuv3(idr0, idr5, granule, round % 5 * 13, stage, rules, &out[2]);
            status[rules][3] =
                iovageom_host_amd(a, stage, round % 3 == 0 ? 0 : 3 + round % 3, rules, &out[3]);
        }
        for (unsigned rules = 0; rules < 4; rules++) {
            for (unsigned i = 0; i < 4; i++) {
                const struct iovageom_host_limits *all = &limits[0][i], *one = &limits[rules][i];

                if (status[rules][i] != IOVAGEOM_OK)
                    continue;
                property_check(one->gaw >= 1 && one->gaw <= 64);
                property_check(one->page_sizes != 0 && one->page_sizes % 4096 == 0);
                property_check(status[0][i] == IOVAGEOM_OK && all->gaw <= one->gaw);
                property_check((all->page_sizes & ~one->page_sizes) == 0);
                property_check(all->depends ||
                               (all->gaw == one->gaw && all->page_sizes == one->page_sizes));
            }
        }
    }
}
END_TEST

/* ---- sysfs ---- */

/* A text of random regions and what it says, as bitmaps over a universe of 64 addresses. */
struct text {
    char bytes[8192];
    size_t length;
    uint64_t forbidden; /* by any type but direct-relaxable */
    bool bad;           /* a line that a strict reader refuses */
    bool unread;        /* a line that a lenient one passes over */
    bool read;          /* a line that says something */
};

static uint64_t bits_of(uint64_t start, uint64_t last)
{
    uint64_t bits = 0;

    for (uint64_t i = start; i <= last; i++)
        bits |= (uint64_t)1 << i;
    return bits;
}

static void random_text(struct test_random *random, struct text *text)
{
    static const char *const words[] = {"direct", "direct-relaxable", "reserved", "msi"};
    uint64_t seen[4] = {0, 0, 0, 0};

    *text = (struct text){.length = 0};
    for (uint64_t n = test_random_below(random, 8); n > 0; n--) {
        struct iovageom_range range = test_random_small_range(random, 64);
        size_t word = (size_t)test_random_below(random, 4);
        bool inverted = test_random_one_in(random, 30) && range.start != range.last;
        uint64_t bits = bits_of(range.start, range.last);
        int length =
            snprintf(text->bytes + text->length, 64, "0x%016llx 0x%016llx %s\n",
                     (unsigned long long)(inverted ? range.last : range.start),
                     (unsigned long long)(inverted ? range.start : range.last), words[word]);

        text->length += (size_t)length;
        /* One that ends just below its start has length 0, and says nothing. */
        if (inverted && range.last - range.start == 1)
            continue;
        text->bad = text->bad || inverted || (seen[word] & bits) != 0;
        text->unread = text->unread || inverted;
        text->read = text->read || !inverted;
        if (!inverted) {
            seen[word] |= bits;
            text->forbidden |= word == 1 ? 0 : bits;
        }
    }
}

START_TEST(sysfs_texts)
{
    struct test_random random = test_random_start(5);
    unsigned good = 0;

    for (unsigned round = 0; round < ROUNDS / 4; round++) {
        struct text text;
        struct iovageom_geometry *geometry[2];
        size_t line;

        random_text(&random, &text);
        for (int mode = 0; mode < 2; mode++) {
            bool refused = mode == 0 ? text.bad : text.unread && !text.read;
            int status;

            property_check(iovageom_geometry_new(NULL, "g", &geometry[mode]) == IOVAGEOM_OK);
            status = iovageom_host_sysfs_reserved_regions(
                text.bytes, text.length, (enum iovageom_sysfs_mode)mode, &line, geometry[mode]);
            property_check((status != IOVAGEOM_OK) == refused);
            property_check((line != 0) == refused);
            for (uint64_t i = 0; i < 64 && !refused; i++)
                property_check(test_accepts(geometry[mode], (struct iovageom_range){i, i}) ==
                               ((text.forbidden >> i & 1) == 0));
            good += mode == 0 && !refused ? 1 : 0;
        }
        iovageom_geometry_free(geometry[0]);
        iovageom_geometry_free(geometry[1]);
    }
    property_check(good > ROUNDS / 40 && good < ROUNDS / 4);
}
END_TEST

START_TEST(sysfs_garbage)
{
    struct test_random random = test_random_start(6);
    size_t full;
    uint8_t *text =
        test_fixture_read("intel-39bit", "sysfs/iommu_groups/3/reserved_regions", &full);

    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t length = full;
        uint8_t *mutated = mutate(&random, text, &length);
        struct iovageom_geometry *geometry;
        uint64_t value = 0;
        size_t line = 0;
        int status;

        property_check(iovageom_geometry_new(NULL, "g", &geometry) == IOVAGEOM_OK);
        status = iovageom_host_sysfs_reserved_regions((char *)mutated, length,
                                                      IOVAGEOM_SYSFS_STRICT, &line, geometry);
        property_check((iovageom_geometry_knows(geometry) != 0) == (status == IOVAGEOM_OK));
        property_check((line != 0) == (status != IOVAGEOM_OK));
        status = iovageom_host_sysfs_reserved_regions((char *)mutated, length,
                                                      IOVAGEOM_SYSFS_LENIENT, &line, geometry);
        property_check(status == IOVAGEOM_OK || status == IOVAGEOM_ERR_UNKNOWN);
        property_check((line != 0) == (status != IOVAGEOM_OK));
        (void)iovageom_host_sysfs_register((char *)mutated, length, &value);
        (void)iovageom_host_sysfs_amd_features((char *)mutated, length, &value, NULL);
        iovageom_geometry_free(geometry);
        free(mutated);
    }
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("host");

    property_add(suite, vfio_answers);
    property_add(suite, iommufd_answers);
    property_add(suite, hardware_answers);
    property_add(suite, registers);
    property_add(suite, sysfs_texts);
    property_add(suite, sysfs_garbage);
    return property_run(suite);
}

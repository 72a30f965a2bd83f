/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/host_vfio.h>
#include <iovageom/status.h>

#include "set/rangeset_internal.h"
#include "support/test_accepts.h"
#include "support/test_allocator.h"
#include "support/test_fixture.h"
#include "support/test_native.h"

/* An answer under construction. */
struct answer {
    uint8_t bytes[4096];
    size_t length;
};

static void put_cap(struct answer *answer, size_t at, uint16_t id, uint16_t version, uint32_t next)
{
    test_store16(answer->bytes + at, id);
    test_store16(answer->bytes + at + 2, version);
    test_store32(answer->bytes + at + 4, next);
}

/* A header with page sizes, and capabilities from `first` on when that is not 0. */
static struct answer start_answer(uint32_t length, uint32_t first)
{
    struct answer answer = {.length = length};

    test_store32(answer.bytes, length);
    test_store32(answer.bytes + 4, first != 0 ? 3 : 1);
    test_store64(answer.bytes + 8, 0x40201000);
    if (length >= 20)
        test_store32(answer.bytes + 16, first);
    return answer;
}

/* What a geometry gets of an answer. Facts that it doesn't get are 0. */
struct facts {
    uint32_t knows;
    uint64_t page_sizes;
    uint64_t map_budget;
    size_t range_count; /* of usable ranges */
    struct iovageom_range first;
    struct iovageom_range last;
};

static int facts_of(const void *bytes, size_t length, size_t *needed, struct facts *facts)
{
    struct iovageom_geometry *geometry;
    struct iovageom_rangeset usable;
    struct iovageom_range ranges[32];
    int status;

    memset(facts, 0, sizeof(*facts));
    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), IOVAGEOM_OK);
    status = iovageom_host_vfio_info(bytes, length, needed, geometry);
    facts->knows = iovageom_geometry_knows(geometry);
    (void)iovageom_geometry_page_sizes(geometry, &facts->page_sizes);
    (void)iovageom_geometry_map_budget(geometry, &facts->map_budget);
    if ((facts->knows & IOVAGEOM_FACT_USABLE) != 0) {
        assert_int_equal(iovageom_rangeset_init(&usable, NULL), IOVAGEOM_OK);
        assert_int_equal(iovageom_geometry_usable(geometry, 1, &usable), IOVAGEOM_OK);
        assert_int_equal(iovageom_rangeset_to_array(&usable, ranges, 32, &facts->range_count), 0);
        facts->first = ranges[0];
        facts->last = ranges[facts->range_count - 1];
        iovageom_rangeset_deinit(&usable);
    }
    iovageom_geometry_free(geometry);
    return status;
}

/* Decodes from a block of exactly the right size, so that a read past it shows. */
static int decode(const struct answer *answer, size_t length, size_t *needed, struct facts *facts)
{
    uint8_t *exact = malloc(length + 1);
    int status;

    assert_non_null(exact);
    memcpy(exact + 1, answer->bytes, length);
    status = facts_of(exact + 1, length, needed, facts);
    free(exact);
    return status;
}

static void assert_refused(const struct answer *answer, size_t length, int expected)
{
    struct facts facts;
    size_t needed = 0x1234;

    assert_int_equal(decode(answer, length, &needed, &facts), expected);
    assert_int_equal(facts.knows, 0);
    assert_int_equal(needed, 0x1234);
}

struct expected {
    const char *folder;
    uint64_t page_sizes;
    uint32_t count;
    struct iovageom_range first;
    struct iovageom_range last;
};

static const struct expected hosts[] = {
    {"intel-39bit", 0x40201000, 2, {0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}},
    {"intel-48bit", 0x40201000, 2, {0, 0xfedfffff}, {0xfef00000, 0xffffffffffff}},
    {"amd", 0xfff7ffffff000, 3, {0, 0xfedfffff}, {0x10000000000, UINT64_MAX}},
    {"arm64-smmuv3", 0x40201000, 2, {0, 0x7ffffff}, {0x8100000, 0xffffffffffff}},
    {"virtio-iommu", 0xfffffffffffff000, 2, {0, 0xfedfffff}, {0xfef00000, UINT64_MAX}},
    {"guest-resv", 0xfffffffffffff000, 3, {0, 0xffffff}, {0xfef00000, 0x6fffffffff}},
    {"guest-20-regions", 0xfffffffffffff000, 21, {0, 0xfedfffff}, {0x112001000, 0x7fffffffff}},
    {"guest-21-regions", 0xfffffffffffff000, 22, {0, 0xfedfffff}, {0x113001000, 0x7fffffffff}},
    {"guest-nomsi", 0xfffffffffffff000, 2, {0, 0x7ffffff}, {0x8100000, 0x7fffffffff}},
    {"guest-raw-good", 0xfffffffffffff000, 2, {0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}},
    {"guest-raw-unknown", 0xfffffffffffff000, 3, {0, 0xffffff}, {0xfef00000, 0x7fffffffff}},
    /* The kernel took a region that ends before it starts, and its list overlaps. */
    {"guest-raw-inverted", 0xfffffffffffff000, 3, {0, 0x1ffffff}, {0xfef00000, 0x7fffffffff}},
};

static void every_captured_answer_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        const uint32_t count = hosts[i].count;
        struct facts info;
        size_t length;
        size_t needed = 0;
        void *bytes = test_fixture_read_answer(hosts[i].folder, "vfio_iommu_get_info.bin", &length);

        assert_int_equal(facts_of(bytes, length, &needed, &info), IOVAGEOM_OK);
        assert_int_equal(info.knows, IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_PAGE_SIZES |
                                         IOVAGEOM_FACT_MAP_BUDGET);
        assert_int_equal(info.page_sizes, hosts[i].page_sizes);
        if (strcmp(hosts[i].folder, "guest-raw-inverted") != 0) { /* whose ranges overlap */
            assert_int_equal(info.range_count, count);
            assert_memory_equal(&info.first, &hosts[i].first, sizeof(info.first));
        }
        assert_memory_equal(&info.last, &hosts[i].last, sizeof(info.last));
        assert_int_equal(info.map_budget, 65535);
        free(bytes);

        bytes = test_fixture_read_answer(hosts[i].folder, "vfio_iommu_get_info.first.bin", &length);
        assert_int_equal(facts_of(bytes, length, &needed, &info), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        assert_int_equal(needed, 88 + 16 * count);
        free(bytes);
    }
}

static void header_alone(void **state)
{
    struct facts info;
    struct answer answer = start_answer(16, 0);

    (void)state;
    assert_int_equal(decode(&answer, 16, NULL, &info), IOVAGEOM_OK);
    assert_int_equal(info.knows, IOVAGEOM_FACT_PAGE_SIZES);
    assert_int_equal(info.page_sizes, 0x40201000);

    test_store32(answer.bytes + 4, 0);
    assert_int_equal(decode(&answer, 16, NULL, &info), IOVAGEOM_OK);
    assert_int_equal(info.knows, 0);
    assert_int_equal(info.page_sizes, 0);

    for (size_t length = 0; length < 16; length++)
        assert_refused(&answer, length, IOVAGEOM_ERR_TRUNCATED);
    test_store32(answer.bytes, 15);
    assert_refused(&answer, 16, IOVAGEOM_ERR_MALFORMED);
}

/* A host with pages of 64K maps no 4K, whatever else the mask has: the answer must not promise
 * it. */
static void bits_below_a_page_are_replaced(void **state)
{
    static const uint64_t masks[][2] = {
        {0xffffffffffffffff, 0xffffffffffff0000},
        {0x200, 0x10000},
        {0x200200, 0x210000},
        {0x201200, 0x210000},
        {0x40201000, 0x40201000},
        {0, 0},
        {0x10000, 0x10000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        struct facts info;
        struct answer answer = start_answer(24, 0);

        test_store64(answer.bytes + 8, masks[i][0]);
        assert_int_equal(decode(&answer, 24, NULL, &info), IOVAGEOM_OK);
        assert_int_equal(info.page_sizes, masks[i][1]);
        assert_int_equal(info.knows, IOVAGEOM_FACT_PAGE_SIZES);
    }
}

static void too_small_says_how_much(void **state)
{
    struct facts info;
    struct answer answer = start_answer(120, 0);
    size_t needed = 0;

    (void)state;
    test_store32(answer.bytes + 4, 3);
    /* whether or not the caller's buffer was larger than what it asked with */
    for (size_t length = 16; length <= 200; length += 4) {
        needed = 0;
        assert_int_equal(decode(&answer, length, &needed, &info), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
        assert_int_equal(needed, 120);
        assert_int_equal(decode(&answer, length, NULL, &info), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    }
    /* no larger buffer is asked for, so asking again would not end */
    test_store32(answer.bytes, 24);
    assert_refused(&answer, 24, IOVAGEOM_ERR_MALFORMED);
    test_store32(answer.bytes, 16);
    assert_refused(&answer, 24, IOVAGEOM_ERR_MALFORMED);
}

static void chain_in_any_order_and_alignment(void **state)
{
    struct facts info;
    /* DMA_AVAIL of 12 bytes, so what follows is 4-aligned; unknown ones and versions between */
    struct answer answer = start_answer(24 + 16 + 12 + 8 + 32 + 16 + 16, 92);

    (void)state;
    put_cap(&answer, 92, 77, 1, 24); /* unknown id, first in the chain */
    put_cap(&answer, 24, 2, 2, 40);  /* MIGRATION of an unknown version */
    put_cap(&answer, 40, 3, 1, 52);  /* DMA_AVAIL */
    test_store32(answer.bytes + 48, 99);
    put_cap(&answer, 52, 1, 1, 0); /* IOVA_RANGE, at 4 modulo 8 */
    test_store32(answer.bytes + 60, 1);
    test_store64(answer.bytes + 68, 5);
    test_store64(answer.bytes + 76, 9);
    assert_int_equal(decode(&answer, answer.length, NULL, &info), IOVAGEOM_OK);
    assert_int_equal(info.knows,
                     IOVAGEOM_FACT_PAGE_SIZES | IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_MAP_BUDGET);
    assert_int_equal(info.map_budget, 99);
    assert_int_equal(info.range_count, 1);
    assert_int_equal(info.first.start, 5);
    assert_int_equal(info.first.last, 9);
}

static void circles_are_found(void **state)
{
    struct answer answer = start_answer(64, 24);

    (void)state;
    put_cap(&answer, 24, 77, 1, 24);
    assert_refused(&answer, 64, IOVAGEOM_ERR_CYCLE);
    put_cap(&answer, 24, 77, 1, 32);
    put_cap(&answer, 32, 78, 1, 24);
    assert_refused(&answer, 64, IOVAGEOM_ERR_CYCLE);
    /* a known capability in the circle is not "there twice" */
    put_cap(&answer, 24, 3, 1, 48);
    put_cap(&answer, 48, 78, 1, 24);
    assert_refused(&answer, 64, IOVAGEOM_ERR_CYCLE);
    put_cap(&answer, 48, 78, 1, 0);
    struct facts info;
    assert_int_equal(decode(&answer, 64, NULL, &info), IOVAGEOM_OK);
}

static void capabilities_in_impossible_places(void **state)
{
    static const uint32_t places[] = {1, 4, 16, 19, 22, 25, 26, 27, 57, 61, 60, 64, 0xfffffffc};

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct answer answer = start_answer(64, places[i]);

        assert_refused(&answer, 64, IOVAGEOM_ERR_MALFORMED);
        answer = start_answer(64, 24);
        put_cap(&answer, 24, 77, 1, places[i]);
        assert_refused(&answer, 64, IOVAGEOM_ERR_MALFORMED);
    }
}

static void capabilities_on_top_of_each_other(void **state)
{
    struct answer answer = start_answer(128, 24);

    (void)state;
    put_cap(&answer, 24, 2, 1, 40); /* MIGRATION of 32 bytes, up to 56 */
    put_cap(&answer, 40, 77, 1, 0);
    assert_refused(&answer, 128, IOVAGEOM_ERR_MALFORMED);
    put_cap(&answer, 24, 2, 1, 52);
    put_cap(&answer, 52, 77, 1, 0);
    assert_refused(&answer, 128, IOVAGEOM_ERR_MALFORMED);

    /* the other one first in the chain, and just below */
    answer = start_answer(128, 40);
    put_cap(&answer, 40, 77, 1, 44);
    put_cap(&answer, 44, 3, 1, 0);
    assert_refused(&answer, 128, IOVAGEOM_ERR_MALFORMED);

    answer = start_answer(128, 24);
    put_cap(&answer, 24, 3, 1, 40);
    put_cap(&answer, 40, 3, 1, 0);
    assert_refused(&answer, 128, IOVAGEOM_ERR_MALFORMED);
}

static void lists_that_claim_too_much(void **state)
{
    static const uint32_t claims[] = {3, 4, 1000, 0x0fffffff, 0x10000000, 0xffffffff};
    struct answer answer = start_answer(24 + 16 + 32, 24);
    struct facts info;

    (void)state;
    put_cap(&answer, 24, 1, 1, 0);
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        test_store32(answer.bytes + 32, claims[i]);
        assert_refused(&answer, answer.length, IOVAGEOM_ERR_MALFORMED);
    }
    test_store32(answer.bytes + 32, 2);
    assert_int_equal(decode(&answer, answer.length, NULL, &info), IOVAGEOM_OK);
    /* cut off by the caller, not by the kernel */
    for (size_t length = 24; length < answer.length; length++)
        assert_refused(&answer, length, IOVAGEOM_ERR_TRUNCATED);
    /* more bytes than argsz are not looked at */
    test_store32(answer.bytes, 24 + 16 + 16);
    assert_refused(&answer, answer.length, IOVAGEOM_ERR_MALFORMED);
}

static void geometry_gets_all(void **state)
{
    struct iovageom_geometry *geometry;
    struct iovageom_rangeset usable;
    struct iovageom_range range;
    uint64_t value;
    size_t length;
    size_t needed = 0;
    void *bytes = test_fixture_read_answer("intel-39bit", "vfio_iommu_get_info.bin", &length);

    (void)state;
    assert_int_equal(iovageom_geometry_new(NULL, "0000:00:01.0", &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_host_vfio_info(bytes, length, &needed, geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_knows(geometry),
                     IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_PAGE_SIZES | IOVAGEOM_FACT_MAP_BUDGET);
    assert_int_equal(iovageom_geometry_page_sizes(geometry, &value), IOVAGEOM_OK);
    assert_int_equal(value, 0x40201000);
    assert_int_equal(iovageom_geometry_map_budget(geometry, &value), IOVAGEOM_OK);
    assert_int_equal(value, 65535);
    assert_int_equal(iovageom_rangeset_init(&usable, NULL), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_usable(geometry, 1, &usable), IOVAGEOM_OK);
    assert_int_equal(iovageom_rangeset_count(&usable), 2);
    assert_true(iovageom_rangeset_hull(&usable, &range));
    assert_int_equal(range.start, 0);
    assert_int_equal(range.last, 0x7fffffffff);
    assert_false(
        iovageom_rangeset_contains(&usable, (struct iovageom_range){0xfee00000, 0xfee00000}));
    iovageom_rangeset_deinit(&usable);
    iovageom_geometry_free(geometry);
    free(bytes);
}

/* iommufd stands in for VFIO: DMA_AVAIL first, and no count of mappings. */
static void iommufd_in_the_place_of_vfio(void **state)
{
    struct answer answer = start_answer(24 + 16 + 16 + 16, 24);
    struct facts info;

    (void)state;
    put_cap(&answer, 24, 3, 1, 40);
    test_store32(answer.bytes + 32, UINT32_MAX);
    put_cap(&answer, 40, 1, 1, 0);
    test_store32(answer.bytes + 48, 1);
    test_store64(answer.bytes + 64, 0xffffffff);
    assert_int_equal(decode(&answer, answer.length, NULL, &info), IOVAGEOM_OK);
    assert_int_equal(info.knows, IOVAGEOM_FACT_USABLE | IOVAGEOM_FACT_PAGE_SIZES);
}

/* Type1 lets everything be mapped when its list is empty: mediated devices only. */
static void an_empty_list_is_no_constraint(void **state)
{
    struct answer answer = start_answer(40, 24);
    struct iovageom_geometry *geometry;

    (void)state;
    put_cap(&answer, 24, 1, 1, 0);
    assert_int_equal(iovageom_geometry_new(NULL, "mdev", &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_host_vfio_info(answer.bytes, 40, NULL, geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_knows(geometry), IOVAGEOM_FACT_PAGE_SIZES);
    assert_true(test_accepts(geometry, (struct iovageom_range){0, UINT64_MAX}));
    iovageom_geometry_free(geometry);
}

static void geometry_stays_as_it_was(void **state)
{
    struct answer answer = start_answer(24 + 16 + 32, 24);
    struct iovageom_geometry *geometry;
    struct iovageom_geometry *before;

    (void)state;
    put_cap(&answer, 24, 1, 1, 0);
    test_store32(answer.bytes + 32, 2);
    test_store64(answer.bytes + 40, 0);
    test_store64(answer.bytes + 48, 0xfff);
    test_store64(answer.bytes + 56, 0x3000);
    test_store64(answer.bytes + 64, 0x2fff);
    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), IOVAGEOM_OK);
    assert_int_equal(iovageom_geometry_copy(geometry, &before), IOVAGEOM_OK);
    assert_int_equal(iovageom_host_vfio_info(answer.bytes, answer.length, NULL, geometry),
                     IOVAGEOM_ERR_INVERTED);
    assert_int_equal(iovageom_geometry_knows(geometry), 0);
    assert_true(iovageom_geometry_equal(geometry, before));
    iovageom_geometry_free(before);
    iovageom_geometry_free(geometry);
}

static void memory_may_run_out(void **state)
{
    size_t length;
    void *bytes = test_fixture_read_answer("guest-21-regions", "vfio_iommu_get_info.bin", &length);

    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        for (size_t nth = 1;; nth++) {
            struct iovageom_geometry *geometry;
            struct test_allocator memory;
            int status;
            bool hit;

            test_allocator_init(&memory);
            assert_int_equal(iovageom_geometry_new(&memory.allocator, "g", &geometry), 0);
            test_allocator_fail_at(&memory, nth, for_good != 0);
            status = iovageom_host_vfio_info(bytes, length, NULL, geometry);
            hit = test_allocator_stop_failing(&memory);
            assert_int_equal(status, hit ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_OK);
            assert_int_equal(iovageom_geometry_knows(geometry) != 0, !hit);
            iovageom_geometry_free(geometry);
            assert_int_equal(test_allocator_live(&memory), 0);
            if (!hit)
                break;
        }
    }
    free(bytes);
}

/* Plays the kernel of this machine, in its byte order: the list has `count` ranges. */
static void play_kernel(uint8_t *buffer, size_t count)
{
    uint32_t header[6];
    uint32_t wanted = (uint32_t)(24 + 16 + 16 * count);
    uint16_t cap[2] = {1, 1};
    uint32_t ranges = (uint32_t)count;

    memcpy(header, buffer, sizeof(header));
    header[1] = 3;
    if (header[0] < wanted) {
        header[0] = wanted;
    } else {
        header[4] = 24;
        memcpy(buffer + 24, cap, sizeof(cap));
        memcpy(buffer + 32, &ranges, sizeof(ranges));
    }
    memcpy(buffer, header, sizeof(header));
}

/* Asks as iovageom/host_vfio.h has it, and says how often; the list grows by `growth` with each
 * call. */
static int ask(size_t count, size_t growth, int *tries, size_t *needed)
{
    struct iovageom_geometry *geometry;
    int status = IOVAGEOM_ERR_BUFFER_TOO_SMALL;

    assert_int_equal(iovageom_geometry_new(NULL, "g", &geometry), 0);
    *needed = 512;
    for (*tries = 0; *tries < 8 && status == IOVAGEOM_ERR_BUFFER_TOO_SMALL; (*tries)++) {
        uint8_t *buffer = calloc(1, *needed);

        assert_non_null(buffer);
        memcpy(buffer, &(uint32_t){(uint32_t)*needed}, sizeof(uint32_t));
        play_kernel(buffer, count);
        count += growth;
        status = iovageom_host_vfio_info(buffer, *needed, needed, geometry);
        free(buffer);
    }
    iovageom_geometry_free(geometry);
    return status;
}

static void asking_again(void **state)
{
    size_t needed;
    int tries;

    (void)state;
    assert_int_equal(ask(2, 0, &tries, &needed), IOVAGEOM_OK);
    assert_int_equal(tries, 1);
    assert_int_equal(ask(1000, 0, &tries, &needed), IOVAGEOM_OK);
    assert_int_equal(tries, 2);
    assert_int_equal(needed, 40 + 16000);
    assert_int_equal(ask(1000, 1, &tries, &needed), IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(tries, 8);
    assert_int_equal(needed, 40 + 16 * 1007);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_captured_answer_is_understood),
        cmocka_unit_test(header_alone),
        cmocka_unit_test(bits_below_a_page_are_replaced),
        cmocka_unit_test(too_small_says_how_much),
        cmocka_unit_test(chain_in_any_order_and_alignment),
        cmocka_unit_test(circles_are_found),
        cmocka_unit_test(capabilities_in_impossible_places),
        cmocka_unit_test(capabilities_on_top_of_each_other),
        cmocka_unit_test(lists_that_claim_too_much),
        cmocka_unit_test(geometry_gets_all),
        cmocka_unit_test(iommufd_in_the_place_of_vfio),
        cmocka_unit_test(an_empty_list_is_no_constraint),
        cmocka_unit_test(geometry_stays_as_it_was),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(asking_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

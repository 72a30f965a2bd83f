/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index by address, against books that keep none and go through all mappings: with thousands of
 * mappings, of which many lead to the same places, lie in one another, or have addresses that
 * differ in a single bit.
 */
#include <stdlib.h>

#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "support/property.h"
#include "support/test_allocator.h"

enum { DOMAIN = 3, ENDPOINT = 9, PAGES = 6000, PAGE = 4096 };

static struct {
    struct test_random random;
    struct test_allocator memory;
    struct iovageom_viommu *plain, *indexed;
    unsigned found, several;
} t;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&t.random, bound);
}

static struct iovageom_viommu *books(uint32_t flags)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.flags = flags;
    ck_assert_int_eq(iovageom_viommu_new(&t.memory.allocator, &config, &viommu), 0);
    ck_assert_int_eq(iovageom_viommu_declare(viommu, ENDPOINT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                     0);
    ck_assert_int_eq(iovageom_viommu_attach(viommu, DOMAIN, ENDPOINT, 0, NULL), 0);
    return viommu;
}

/* An address to lead to: one of a few, near a power of two, or anywhere in much or little
 * memory. */
static uint64_t place(unsigned kind)
{
    switch (kind) {
    case 0:
        return below(4) * PAGE;
    case 1:
        return (UINT64_C(1) << (12 + below(52))) - below(2) * PAGE;
    case 2:
        return below(PAGES) * PAGE;
    default:
        return test_random_u64(&t.random) & -(uint64_t)PAGE;
    }
}

static void change(unsigned kind)
{
    const uint64_t first = below(PAGES), pages = below(8) ? 1 + below(4) : 1 + below(600);
    /* Once in a while far up, so that IOVAs differ in all bits. */
    const uint64_t start = below(4) ? first * PAGE : (first * PAGE) << below(40);
    const uint64_t span = pages * PAGE - 1, phys = place(kind);
    const struct iovageom_range range = {start, start + span};
    size_t removed[2] = {0, 0};
    int status[2];

    if (below(3) == 0) {
        status[0] = iovageom_viommu_unmap(t.plain, DOMAIN, range, &removed[0], NULL);
        status[1] = iovageom_viommu_unmap(t.indexed, DOMAIN, range, &removed[1], NULL);
        ck_assert_uint_eq(removed[0], removed[1]);
    } else {
        status[0] = iovageom_viommu_map(t.plain, DOMAIN, range, phys, 3, NULL);
        status[1] = iovageom_viommu_map(t.indexed, DOMAIN, range, phys, 3, NULL);
    }
    ck_assert_int_eq(status[0], status[1]);
}

static void ask(unsigned kind)
{
    const uint64_t start = place(kind) + below(PAGE), left = UINT64_MAX - start;
    const uint64_t span = below(2) ? 0 : below(8 * PAGE);
    const struct iovageom_range phys = {start, start + (span < left ? span : left)};
    const bool whole = below(2);
    struct iovageom_mapping one = {{0, 0}, 0, 0}, other = one;
    unsigned count = 0;
    int status;

    do {
        status = iovageom_viommu_translate_back(t.plain, ENDPOINT, phys, whole,
                                                count > 0 ? &one : NULL, &one);
        ck_assert_int_eq(iovageom_viommu_translate_back(t.indexed, ENDPOINT, phys, whole,
                                                        count > 0 ? &other : NULL, &other),
                         status);
        ck_assert_uint_eq(one.range.start, other.range.start);
        ck_assert_uint_eq(one.range.last, other.range.last);
        ck_assert_uint_eq(one.phys, other.phys);
    } while (status == 0 && ++count < 50);
    ck_assert(status == 0 || status == IOVAGEOM_ERR_FAULT);
    t.found += count > 0;
    t.several += count > 1;
}

START_TEST(an_index_answers_as_a_walk_does)
{
    for (uint64_t life = 0; life < 24; life++) {
        const unsigned kind = life % 4;

        t.random = test_random_start(7000 + life);
        test_allocator_init(&t.memory);
        t.plain = books(0);
        t.indexed = books(IOVAGEOM_VIOMMU_INDEX_PHYS);
        for (int i = 0; i < 2500; i++)
            change(kind);
        for (int i = 0; i < 800; i++) {
            change(kind);
            ask(below(8) ? kind : (unsigned)below(4));
        }
        iovageom_viommu_free(t.plain);
        if (life % 2 == 0) { /* else as many are freed at once */
            ck_assert_int_eq(iovageom_viommu_unmap(t.indexed, DOMAIN,
                                                   (struct iovageom_range){0, UINT64_MAX}, NULL,
                                                   NULL),
                             0);
            ck_assert_int_eq(iovageom_viommu_detach(t.indexed, DOMAIN, ENDPOINT, NULL), 0);
        }
        iovageom_viommu_free(t.indexed);
        ck_assert_uint_eq(test_allocator_live(&t.memory), 0);
    }
    ck_assert_uint_gt(t.found, 3000);
    ck_assert_uint_gt(t.several, 3000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viommu-back");

    property_add(suite, an_index_answers_as_a_walk_does);
    return property_run(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translation against a model that knows of each granule by itself where it leads: spans with their
 * segments and the first fault, and the reverse, with an index and without. With granules that
 * leave bits for flags in an address, and without.
 */
#include <string.h>

#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "support/property.h"

enum {
    GRANULES = 96,
    DOMAIN = 3,
    ENDPOINT = 9,
    ROOM = GRANULES,
    READ = IOVAGEOM_VIRTIO_MAP_F_READ,
    WRITE = IOVAGEOM_VIRTIO_MAP_F_WRITE
};

/* Where a granule leads. A mapping is a run of granules with the same `first`. */
struct place {
    bool mapped;
    uint32_t flags;
    uint64_t first; /* granule where its mapping begins */
    uint64_t phys;
};

static struct {
    struct test_random random;
    struct iovageom_viommu *books;
    uint64_t granule;
    struct place places[GRANULES];
    uint64_t several, faults, found, little, listed;
} t;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&t.random, bound);
}

static void begin(uint64_t granule, bool indexed, uint64_t stream)
{
    struct iovageom_viommu_config config;

    t.random = test_random_start(stream);
    t.granule = granule;
    memset(t.places, 0, sizeof(t.places));
    iovageom_viommu_config_init(&config);
    config.granule = granule;
    config.page_size_mask = ~(granule - 1);
    config.flags = indexed ? IOVAGEOM_VIOMMU_INDEX_PHYS : 0;
    ck_assert_int_eq(iovageom_viommu_new(NULL, &config, &t.books), 0);
    ck_assert_int_eq(
        iovageom_viommu_declare(t.books, ENDPOINT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    ck_assert_int_eq(iovageom_viommu_attach(t.books, DOMAIN, ENDPOINT, 0, NULL), 0);
}

static void map(void)
{
    const uint64_t first = below(GRANULES), count = 1 + below(6);
    const uint32_t flags = below(3) ? READ | WRITE : below(2) ? READ : WRITE;
    /* Often next to what the granule below leads to, so that segments join. */
    uint64_t phys = first > 0 && t.places[first - 1].mapped && below(4)
                        ? t.places[first - 1].phys + t.granule
                        : below(64) * t.granule;
    struct iovageom_range range = {first * t.granule, (first + count) * t.granule - 1};
    bool taken = false;
    int status;

    for (uint64_t i = first; i < first + count && i < GRANULES; i++)
        taken |= t.places[i].mapped;
    if (first + count > GRANULES || range.last <= range.start)
        return;
    status = iovageom_viommu_map(t.books, DOMAIN, range, phys, flags, NULL);
    ck_assert_int_eq(status, taken ? IOVAGEOM_ERR_OVERLAP : 0);
    for (uint64_t i = first; !taken && i < first + count; i++, phys += t.granule)
        t.places[i] = (struct place){true, flags, first, phys};
}

static void unmap(void)
{
    const uint64_t first = below(GRANULES), end = first + 1 + below(GRANULES - first);
    const struct iovageom_range range = {first * t.granule, end * t.granule - 1};
    bool split = t.places[first].mapped && t.places[first].first < first;

    split |= end < GRANULES && t.places[end].mapped && t.places[end].first < end;
    ck_assert_int_eq(iovageom_viommu_unmap(t.books, DOMAIN, range, NULL, NULL),
                     split ? IOVAGEOM_ERR_SPLIT : 0);
    for (uint64_t i = first; !split && i < end; i++)
        t.places[i].mapped = false;
}

/* The segments of a span, by the granule; the number, or -1 and the first fault. */
static int model(struct iovageom_range range, uint32_t flags, struct iovageom_segment *out,
                 uint64_t *fault)
{
    int count = 0;

    for (uint64_t at = range.start;;) {
        const uint64_t i = at / t.granule;
        const struct place *place = &t.places[i];
        uint64_t last = (i + 1) * t.granule - 1;

        if (i >= GRANULES || !place->mapped || (flags & ~place->flags) != 0) {
            *fault = at;
            return -1;
        }
        last = last < range.last ? last : range.last;
        if (count > 0 && out[count - 1].flags == place->flags &&
            out[count - 1].phys + (at - out[count - 1].range.start) == place->phys)
            out[count - 1].range.last = last;
        else
            out[count++] = (struct iovageom_segment){
                {at, last}, place->phys + at % t.granule, place->flags, 0};
        if (last == range.last)
            return count;
        at = last + 1;
    }
}

static void translate(void)
{
    const uint64_t size = (GRANULES + 1) * t.granule, start = below(size);
    const struct iovageom_range range = {start,
                                         start + below(below(2) ? 2 * t.granule : size - start)};
    const uint32_t flags = (uint32_t)below(4);
    const size_t capacity = below(2) ? ROOM : below(4);
    struct iovageom_segment wanted[ROOM + 1], given[ROOM], before[ROOM];
    uint64_t gap = 0, fault = 77;
    size_t needed = 77;
    int count = model(range, flags, wanted, &gap), status;

    memset(given, 0x5a, sizeof(given));
    memcpy(before, given, sizeof(given));
    status = iovageom_viommu_translate(t.books, ENDPOINT, range, flags, given, capacity, &needed,
                                       &fault);
    if (count < 0) {
        ck_assert_int_eq(status, IOVAGEOM_ERR_FAULT);
        ck_assert_uint_eq(fault, gap);
        t.faults++;
    } else {
        ck_assert_int_eq(status, (size_t)count > capacity ? IOVAGEOM_ERR_BUFFER_TOO_SMALL : 0);
        ck_assert_uint_eq(needed, (size_t)count);
        t.several += count > 1;
        t.little += (size_t)count > capacity;
    }
    if (status == 0)
        memcpy(before, wanted, (size_t)count * sizeof(wanted[0]));
    else
        ck_assert_uint_eq(needed, status == IOVAGEOM_ERR_FAULT ? 77 : (size_t)count);
    ck_assert(memcmp(given, before, sizeof(given)) == 0);
}

static int by_phys(const void *a, const void *b)
{
    const struct iovageom_mapping *x = a, *y = b;

    if (x->phys != y->phys)
        return x->phys < y->phys ? -1 : 1;
    return x->range.start < y->range.start ? -1 : x->range.start > y->range.start;
}

/* All mappings, by where they lead. */
static size_t all_by_phys(struct iovageom_mapping *list)
{
    size_t count = 0;

    for (uint64_t i = 0; i < GRANULES; i++) {
        const struct place *place = &t.places[i];
        const struct iovageom_range range = {i * t.granule, (i + 1) * t.granule - 1};

        if (place->mapped && place->first == i)
            list[count++] = (struct iovageom_mapping){range, place->phys, place->flags};
        else if (place->mapped)
            list[count - 1].range.last = range.last;
    }
    qsort(list, count, sizeof(*list), by_phys);
    return count;
}

/* The mappings that lead to some of a physical range, or to all of it, in order. */
static void translate_back(void)
{
    const uint64_t start = below(72 * t.granule);
    const struct iovageom_range phys = {start, start + below(2 * t.granule)};
    const bool whole = below(2);
    struct iovageom_mapping list[GRANULES], given = {{1, 0}, 0, 0};
    const size_t count = all_by_phys(list);
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        const uint64_t last = list[i].phys + (list[i].range.last - list[i].range.start);

        if (list[i].phys > (whole ? phys.start : phys.last) ||
            last < (whole ? phys.last : phys.start))
            continue;
        ck_assert_int_eq(iovageom_viommu_translate_back(t.books, ENDPOINT, phys, whole,
                                                        any ? &given : NULL, &given),
                         0);
        ck_assert(by_phys(&given, &list[i]) == 0);
        ck_assert_uint_eq(given.range.last, list[i].range.last);
        ck_assert_uint_eq(given.flags, list[i].flags);
        t.listed += any;
        any = true;
    }
    list[0] = given;
    ck_assert_int_eq(
        iovageom_viommu_translate_back(t.books, ENDPOINT, phys, whole, any ? &given : NULL, &given),
        IOVAGEOM_ERR_FAULT);
    ck_assert(by_phys(&given, &list[0]) == 0);
    t.found += any;
}

START_TEST(translation_is_that_of_each_granule)
{
    static const uint64_t granules[] = {1, 4, 8, 4096};

    for (uint64_t life = 0; life < 320; life++) {
        begin(granules[life % 4], life / 4 % 2, 900 + life);
        for (int i = 0; i < 1500; i++) {
            if (below(8) == 0)
                map();
            else if (below(40) == 0)
                unmap();
            else
                translate();
            translate_back();
        }
        iovageom_viommu_free(t.books);
    }
    ck_assert_uint_gt(t.several, 2000);
    ck_assert_uint_gt(t.faults, 10000);
    ck_assert_uint_gt(t.found, 10000);
    ck_assert_uint_gt(t.listed, 10000);
    ck_assert_uint_gt(t.little, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viommu-translate");

    property_add(suite, translation_is_that_of_each_granule);
    return property_run(suite);
}

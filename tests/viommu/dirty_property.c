/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest is migrated while it maps, unmaps and detaches, and its device writes between any two
 * steps of the VMM's. By the steps of plan_cover.h and the mappings of the books, no page that was
 * written to is lost, and where the device is held still for a change of the cover, none is sent in
 * vain.
 */
#include <string.h>

#include <iovageom/plan_cover.h>
#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "base/range.h"
#include "support/property.h"

#define DO(call) property_check((call) == IOVAGEOM_OK)

enum { IOVA_PAGES = 160, MEMORY_PAGES = 96, MOST = 3, PAGE = 0x1000, DOMAIN = 1, ENDPOINT = 2 };

static struct {
    struct test_random random;
    struct iovageom_viommu *books;
    bool attached;
    bool still;    /* the device waits while logging starts anew; else all is sent again */
    uint64_t unit; /* bytes that a bit stands for */
    struct iovageom_range cover[MOST + 1];
    size_t cover_count;
    bool logging;
    bool logged[IOVA_PAGES];
    uint64_t host[IOVA_PAGES];  /* where the host leads a page to, plus 1; 0: nowhere */
    bool written[MEMORY_PAGES]; /* what really happened */
    bool sent[MEMORY_PAGES];    /* what the VMM knows of it */
} t;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&t.random, bound);
}

static void device_writes(void)
{
    for (uint64_t times = below(4); times > 0; times--) {
        const uint64_t page = below(IOVA_PAGES);

        if (t.host[page] == 0)
            continue;
        t.written[t.host[page] - 1] = true;
        for (size_t i = 0; t.logging && i < t.cover_count; i++)
            t.logged[page] |= iovageom_range_has(t.cover[i], page * PAGE);
    }
}

static size_t mappings(struct iovageom_mapping list[IOVA_PAGES])
{
    uint64_t from = 0;
    size_t count = 0;

    while (iovageom_viommu_mapping_next(t.books, DOMAIN, from, &list[count]))
        from = list[count++].range.last + 1;
    return count;
}

static void send(const struct iovageom_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (uint64_t at = ranges[i].start / PAGE; at <= ranges[i].last / PAGE; at++)
            t.sent[at] = true;
}

/* Fetches the bits of a range, which clears them, and looks up what they mean. */
static void fetch(struct iovageom_range range)
{
    const uint64_t scale = t.unit / PAGE, first = range.start / t.unit;
    struct iovageom_mapping list[IOVA_PAGES];
    struct iovageom_range out[IOVA_PAGES];
    uint64_t words[(IOVA_PAGES + 63) / 64] = {0};
    const struct iovageom_dirty_bitmap bitmap = {words, first * t.unit, t.unit,
                                                 range.last / t.unit - first + 1};
    size_t count;

    for (uint64_t i = 0; i < bitmap.pages * scale; i++) {
        words[i / scale / 64] |= (uint64_t)t.logged[first * scale + i] << i / scale % 64;
        t.logged[first * scale + i] = false;
    }
    DO(iovageom_plan_cover_dirty(list, mappings(list), &bitmap, out, IOVA_PAGES, &count));
    send(out, count);
}

static void fetch_all(void)
{
    for (size_t i = 0; i < t.cover_count; i++)
        fetch(t.cover[i]);
}

static void watch(const struct iovageom_range *cover, size_t count)
{
    struct iovageom_mapping list[IOVA_PAGES];

    fetch_all();
    t.logging = false; /* it has to stop before it can start anew, and drops what it has */
    memset(t.logged, 0, sizeof(t.logged));
    if (!t.still) {
        const size_t all = mappings(list);

        device_writes();
        for (size_t i = 0; i < all; i++)
            send(&(struct iovageom_range){list[i].phys, list[i].phys + (list[i].range.last -
                                                                        list[i].range.start)},
                 1);
    }
    memcpy(t.cover, cover, count * sizeof(*cover));
    t.cover_count = count;
    t.logging = true;
}

static void map(void)
{
    const uint64_t page = below(IOVA_PAGES - 8), pages = 1 + below(8);
    const struct iovageom_range range = {page * PAGE, (page + pages) * PAGE - 1};
    const uint64_t phys = below(MEMORY_PAGES - pages + 1);
    struct iovageom_range cover[MOST + 1];
    size_t count;
    bool changed;

    if (iovageom_viommu_map(t.books, DOMAIN, range, phys * PAGE, 3, NULL) != 0)
        return;
    DO(iovageom_plan_cover_change(t.cover, t.cover_count, range, true, t.unit, MOST, cover,
                                  MOST + 1, &count, &changed));
    if (changed)
        watch(cover, count);
    device_writes();
    for (uint64_t i = 0; i < pages; i++)
        t.host[page + i] = phys + i + 1;
}

/* On the host, and then what was logged until then: after that the mappings may go. */
static void take(struct iovageom_range range)
{
    struct iovageom_mapping run;
    uint64_t from = range.start;

    while (iovageom_viommu_run_next(t.books, DOMAIN, range, from, false, &run)) {
        memset(&t.host[run.range.start / PAGE], 0,
               (run.range.last / PAGE - run.range.start / PAGE + 1) * sizeof(t.host[0]));
        device_writes();
        from = run.range.last + 1;
    }
    fetch(range);
    device_writes();
}

static void unmap(void)
{
    const uint64_t page = below(IOVA_PAGES), last = page + below(16);
    const struct iovageom_range range = {page * PAGE,
                                         (last < IOVA_PAGES ? last + 1 : IOVA_PAGES) * PAGE - 1};
    struct iovageom_range cover[MOST + 1];
    size_t count;
    bool changed;

    if (iovageom_viommu_unmap_check(t.books, DOMAIN, range, NULL) != 0)
        return;
    device_writes();
    take(range);
    DO(iovageom_viommu_unmap(t.books, DOMAIN, range, NULL, NULL));
    if (below(2))
        return; /* it may watch more than it needs */
    DO(iovageom_plan_cover_change(t.cover, t.cover_count, range, false, t.unit, MOST, cover,
                                  MOST + 1, &count, &changed));
    if (changed)
        watch(cover, count);
}

static void attach_or_detach(void)
{
    if (t.attached) {
        take((struct iovageom_range){0, IOVA_PAGES * PAGE - 1});
        DO(iovageom_viommu_detach(t.books, DOMAIN, ENDPOINT, NULL));
    } else {
        DO(iovageom_viommu_attach(t.books, DOMAIN, ENDPOINT, 0, NULL));
    }
    t.attached = !t.attached;
}

static void begin(unsigned round)
{
    const struct test_random random = t.random;

    memset(&t, 0, sizeof(t));
    t.random = random;
    t.still = round % 2 == 0;
    t.unit = (uint64_t)PAGE << below(3);
    t.logging = true;
    DO(iovageom_viommu_new(NULL, NULL, &t.books));
    DO(iovageom_viommu_declare(t.books, ENDPOINT, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL));
}

START_TEST(no_page_is_lost_whenever_the_device_writes)
{
    unsigned some = 0;

    t.random = test_random_start(3);
    for (unsigned round = 0; round < 1500; round++) {
        begin(round);
        for (unsigned step = 0; step < 120; step++) {
            const uint64_t what = below(32);

            if (what < 12)
                map();
            else if (what < 18)
                unmap();
            else if (what < 20)
                fetch_all();
            else if (what == 20 || !t.attached)
                attach_or_detach();
            device_writes();
        }
        fetch_all();
        for (unsigned i = 0; i < MEMORY_PAGES; i++) {
            property_check(t.sent[i] || !t.written[i]);
            property_check(t.unit > PAGE || !t.still || t.written[i] || !t.sent[i]);
            some += t.written[i];
        }
        iovageom_viommu_free(t.books);
    }
    property_check(some > 1500 * MEMORY_PAGES / 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viommu-dirty");

    property_add(suite, no_page_is_lost_whenever_the_device_writes);
    return property_run(suite);
}

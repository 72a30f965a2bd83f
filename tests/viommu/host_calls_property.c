/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls that a VMM makes on its hosts for a guest's requests, by the rules of viommu_serve.h,
 * on hosts that answer as Linux does: none ever gets a call that it can't do, and after each
 * request it maps what the books say. The address space has 64 granules, so that runs go from end
 * to end of it.
 */
#include <stdlib.h>
#include <string.h>

#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "support/property.h"

enum { GRANULES = 64, HALF = GRANULES / 2, HOSTS = 5, DOMAINS = 2, SHIFT = 58, NOWHERE = -1 };

/* How a host answers an unmapping, and whether mappings were joined when a domain came to it. */
enum kind { TYPE1, IOAS, EXACT };

struct host {
    enum kind kind;
    bool joined;
    bool there; /* the endpoint's device is plugged */
    /* Of each granule: which call has mapped it (0: none has), where to, and how. */
    unsigned made[GRANULES];
    uint64_t phys[GRANULES];
    uint32_t flags[GRANULES];
};

static struct {
    struct test_random random;
    struct iovageom_viommu *books;
    struct host hosts[HOSTS];
    unsigned calls, maps, unmaps;  /* on hosts */
    struct iovageom_range allowed; /* no host that keeps each mapping alone loses anything else */
    unsigned merged, split, refused, whole, moved;
} t;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&t.random, bound);
}

static struct iovageom_range range_of(uint64_t first, uint64_t last)
{
    return (struct iovageom_range){first << SHIFT, (last << SHIFT) + ((UINT64_C(1) << SHIFT) - 1)};
}

static int domain_of(uint32_t endpoint)
{
    struct iovageom_viommu_endpoint found;

    ck_assert_int_eq(iovageom_viommu_endpoint(t.books, endpoint, &found), 0);
    return found.domain == IOVAGEOM_ID_NONE ? NOWHERE : (int)found.domain;
}

/* ---- hosts: sizes have 64 bits, so 2^64 can't be said ---- */

static void host_map(struct host *host, struct iovageom_range range, uint64_t phys, uint32_t flags)
{
    ck_assert_uint_ne(range.last - range.start, UINT64_MAX);
    t.calls++;
    t.maps++;
    for (uint64_t i = range.start >> SHIFT; i <= range.last >> SHIFT; i++) {
        ck_assert_uint_eq(host->made[i], 0); /* EEXIST */
        host->made[i] = t.calls;
        host->phys[i] = phys + ((i << SHIFT) - range.start);
        host->flags[i] = flags;
    }
}

static void host_unmap(struct host *host, struct iovageom_range range)
{
    const uint64_t first = range.start >> SHIFT, last = range.last >> SHIFT;
    bool any = false;

    ck_assert_uint_ne(range.last - range.start, UINT64_MAX);
    ck_assert(host->joined || iovageom_range_contains(t.allowed, range));
    t.unmaps++;
    /* What would be split: EINVAL of type1, ENOENT of an IOAS. */
    ck_assert(first == 0 || host->made[first] == 0 || host->made[first - 1] != host->made[first]);
    ck_assert(last + 1 == GRANULES || host->made[last] == 0 ||
              host->made[last + 1] != host->made[last]);
    for (uint64_t i = first; i <= last; i++) {
        any |= host->made[i] != 0;
        ck_assert(host->kind != EXACT ||
                  (host->made[i] != 0 && host->made[i] == host->made[first]));
        if (i < last)
            t.merged += host->made[i] != host->made[i + 1];
    }
    ck_assert(host->kind == TYPE1 || any); /* ENOENT */
    memset(&host->made[first], 0, (last - first + 1) * sizeof(host->made[0]));
}

/* ---- the VMM ---- */

/* A mapping of everything takes two calls, both ways. */
static void put(struct host *host, const struct iovageom_mapping *mapping)
{
    const struct iovageom_range low = range_of(0, HALF - 1), high = range_of(HALF, GRANULES - 1);

    if (mapping->range.last - mapping->range.start < UINT64_MAX) {
        host_map(host, mapping->range, mapping->phys, mapping->flags);
        return;
    }
    host_map(host, low, mapping->phys, mapping->flags);
    host_map(host, high, mapping->phys + high.start, mapping->flags);
    t.whole++;
}

static void take(struct host *host, struct iovageom_range range)
{
    if (range.last - range.start < UINT64_MAX) {
        host_unmap(host, range);
        return;
    }
    host_unmap(host, range_of(0, HALF - 1));
    host_unmap(host, range_of(HALF, GRANULES - 1));
}

/* Go on above `range`; false at the end of the address space. */
static bool above(struct iovageom_range range, uint64_t *from)
{
    *from = range.last + 1;
    return *from != 0;
}

/* Map on the host what the domain has in `range`. */
static void replay(struct host *host, uint32_t domain, struct iovageom_range range)
{
    struct iovageom_mapping mapping;
    uint64_t from = range.start;

    do {
        const bool more =
            host->joined ? iovageom_viommu_run_next(t.books, domain, range, from, true, &mapping)
                         : iovageom_viommu_mapping_next(t.books, domain, from, &mapping) &&
                               mapping.range.last <= range.last;

        if (!more)
            return;
        put(host, &mapping);
    } while (above(mapping.range, &from));
}

static void unmap_alone(struct host *host, uint32_t domain, struct iovageom_range range)
{
    struct iovageom_mapping run;
    uint64_t from = range.start;
    bool more;

    do {
        more = host->kind == EXACT
                   ? iovageom_viommu_mapping_next(t.books, domain, from, &run) &&
                         run.range.last <= range.last
                   : iovageom_viommu_run_next(t.books, domain, range, from, false, &run);
        if (!more)
            return;
        take(host, run.range);
    } while (above(run.range, &from));
}

static void unmap_joined(struct host *host, uint32_t domain, struct iovageom_range range)
{
    const struct iovageom_range all = {0, UINT64_MAX};
    struct iovageom_mapping run;
    uint64_t from = range.start;

    do {
        if (!iovageom_viommu_run_next(t.books, domain, all, from, true, &run) ||
            run.range.start > range.last)
            return;
        take(host, run.range);
        if (run.range.start < range.start)
            replay(host, domain, (struct iovageom_range){run.range.start, range.start - 1});
        if (run.range.last > range.last)
            replay(host, domain, (struct iovageom_range){range.last + 1, run.range.last});
        t.split += !iovageom_range_contains(range, run.range);
    } while (above(run.range, &from));
}

static void unmap_on(struct host *host, uint32_t domain, struct iovageom_range range)
{
    if (host->joined)
        unmap_joined(host, domain, range);
    else
        unmap_alone(host, domain, range);
}

static void enter(struct host *host, int domain)
{
    if (host->there && domain != NOWHERE)
        replay(host, (uint32_t)domain, (struct iovageom_range){0, UINT64_MAX});
}

static void leave(struct host *host, int domain)
{
    if (host->there && domain != NOWHERE)
        unmap_on(host, (uint32_t)domain, (struct iovageom_range){0, UINT64_MAX});
}

/* ---- a guest ---- */

static void attach(void)
{
    const uint32_t endpoint = (uint32_t)below(HOSTS), domain = (uint32_t)below(DOMAINS);
    const int old = domain_of(endpoint);

    ck_assert_int_eq(iovageom_viommu_attach_check(t.books, domain, endpoint, 0, NULL), 0);
    if (old == (int)domain)
        return;
    leave(&t.hosts[endpoint], old);
    enter(&t.hosts[endpoint], (int)domain);
    t.moved += old != NOWHERE;
    ck_assert_int_eq(iovageom_viommu_attach(t.books, domain, endpoint, 0, NULL), 0);
}

static void detach(void)
{
    const uint32_t endpoint = (uint32_t)below(HOSTS);
    const int domain = domain_of(endpoint);

    if (domain == NOWHERE)
        return;
    leave(&t.hosts[endpoint], domain);
    ck_assert_int_eq(iovageom_viommu_detach(t.books, (uint32_t)domain, endpoint, NULL), 0);
}

/* Mostly to the same place plus a constant, so that neighbours often go on in physical
 * addresses. */
static void map(void)
{
    const uint32_t domain = (uint32_t)below(DOMAINS);
    const uint64_t first = below(30) ? below(GRANULES) : 0, most = GRANULES - first;
    const uint64_t count = below(30) ? 1 + below(most < 3 ? most : 3) : most;
    const uint64_t shift = below(12) ? 0 : below(GRANULES);
    const uint32_t flags = below(10) ? 3 : 1 + (uint32_t)below(3);
    struct iovageom_mapping mapping;

    /* Now and then an empty domain gets all addresses. */
    if (!iovageom_viommu_mapping_next(t.books, domain, 0, &mapping) && below(30) == 0)
        mapping = (struct iovageom_mapping){range_of(0, GRANULES - 1), 0, flags};
    else
        mapping = (struct iovageom_mapping){range_of(first, first + count - 1),
                                            (first + shift) % GRANULES << SHIFT, flags};
    if (iovageom_viommu_map(t.books, domain, mapping.range, mapping.phys, flags, NULL) != 0)
        return;
    for (uint32_t i = 0; i < HOSTS; i++)
        if (t.hosts[i].there && domain_of(i) == (int)domain)
            put(&t.hosts[i], &mapping);
}

static void unmap(void)
{
    const uint32_t domain = (uint32_t)below(DOMAINS);
    const uint64_t first = below(20) ? below(GRANULES) : 0, most = GRANULES - first;
    const struct iovageom_range range =
        range_of(first, first + (below(20) ? below(most < 12 ? most : 12) : most - 1));

    if (iovageom_viommu_unmap_check(t.books, domain, range, NULL) != 0) {
        t.refused++;
        return;
    }
    t.allowed = range;
    for (uint32_t i = 0; i < HOSTS; i++)
        if (t.hosts[i].there && domain_of(i) == (int)domain)
            unmap_on(&t.hosts[i], domain, range);
    t.allowed = (struct iovageom_range){0, UINT64_MAX};
    ck_assert_int_eq(iovageom_viommu_unmap(t.books, domain, range, NULL, NULL), 0);
}

/* A device comes to an endpoint that may be attached already, or goes with its page tables. */
static void plug(void)
{
    const uint32_t endpoint = (uint32_t)below(HOSTS);
    struct host *host = &t.hosts[endpoint];

    host->there = !host->there;
    if (host->there)
        enter(host, domain_of(endpoint));
    else
        memset(host->made, 0, sizeof(host->made));
}

/* Each host has what its domain has, and nothing else. */
static void check(void)
{
    for (uint32_t k = 0; k < HOSTS; k++) {
        const struct host *host = &t.hosts[k];
        const int domain = host->there ? domain_of(k) : NOWHERE;

        for (uint64_t i = 0; i < GRANULES; i++) {
            struct iovageom_mapping mapping;
            const bool mapped =
                domain != NOWHERE &&
                iovageom_viommu_mapping_next(t.books, (uint32_t)domain, i << SHIFT, &mapping) &&
                mapping.range.start <= i << SHIFT;

            ck_assert(mapped == (host->made[i] != 0));
            if (mapped) {
                ck_assert_uint_eq(host->phys[i],
                                  mapping.phys + ((i << SHIFT) - mapping.range.start));
                ck_assert_uint_eq(host->flags[i], mapping.flags);
            }
        }
    }
}

/* How many runs there are, by what joins two neighbours in each half of all addresses. */
static void check_count(uint32_t domain, bool joined)
{
    const struct iovageom_range all = {0, UINT64_MAX};
    struct iovageom_mapping mapping, same, before = {{1, 0}, 0, 0};
    unsigned runs = 0, given = 0;
    uint64_t from = 0;
    bool more = true;

    while (more && iovageom_viommu_mapping_next(t.books, domain, from, &mapping)) {
        runs += runs == 0 || mapping.range.start != before.range.last + 1 ||
                before.range.start >> 63 != mapping.range.last >> 63 ||
                (joined &&
                 (before.flags != mapping.flags || mapping.phys == 0 ||
                  before.phys + (before.range.last - before.range.start) != mapping.phys - 1));
        before = mapping;
        more = above(mapping.range, &from);
    }
    more = true;
    from = 0;
    while (more && iovageom_viommu_run_next(t.books, domain, all, from, joined, &mapping)) {
        /* From anywhere in it. */
        const uint64_t span = mapping.range.last - mapping.range.start;
        const uint64_t at = mapping.range.start + (test_random_u64(&t.random) & span);

        ck_assert(iovageom_viommu_run_next(t.books, domain, all, at, joined, &same));
        ck_assert(iovageom_range_equal(same.range, mapping.range) && same.phys == mapping.phys &&
                  same.flags == mapping.flags);
        given++;
        more = above(mapping.range, &from);
    }
    ck_assert_uint_eq(given, runs);
}

static void begin(uint64_t stream)
{
    static const struct host hosts[HOSTS] = {
        {.kind = TYPE1}, {.kind = TYPE1, .joined = true},
        {.kind = IOAS},  {.kind = IOAS, .joined = true},
        {.kind = EXACT},
    };
    struct iovageom_viommu_config config;

    t.random = test_random_start(stream);
    t.allowed = (struct iovageom_range){0, UINT64_MAX};
    memcpy(t.hosts, hosts, sizeof(hosts));
    iovageom_viommu_config_init(&config);
    config.granule = UINT64_C(1) << SHIFT;
    config.page_size_mask = ~(config.granule - 1);
    ck_assert_int_eq(iovageom_viommu_new(NULL, &config, &t.books), 0);
    for (uint32_t i = 0; i < HOSTS; i++)
        ck_assert_int_eq(iovageom_viommu_declare(t.books, i, i, IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
}

START_TEST(no_host_gets_a_call_that_it_can_not_do)
{
    for (uint64_t life = 0; life < 120; life++) {
        begin(4000 + life);
        for (int i = 0; i < 1000; i++) {
            const uint64_t what = below(20);

            if (what < 11)
                map();
            else if (what < 16)
                unmap();
            else if (what < 18)
                attach();
            else if (what == 18)
                plug();
            else if (below(2))
                detach();
            check();
            check_count((uint32_t)below(DOMAINS), below(2));
        }
        iovageom_viommu_free(t.books);
    }
    ck_assert_uint_gt(t.maps, 10000);
    ck_assert_uint_gt(t.unmaps, 10000);
    ck_assert_uint_gt(t.merged, 5000);
    ck_assert_uint_gt(t.split, 200);
    ck_assert_uint_gt(t.refused, 1000);
    ck_assert_uint_gt(t.whole, 50);
    ck_assert_uint_gt(t.moved, 500);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viommu-host-calls");

    property_add(suite, no_host_gets_a_call_that_it_can_not_do);
    return property_run(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device takes from others comes back when it leaves, exactly, whatever was plugged,
 * updated, aborted and unplugged in between: after each step the books answer like books made anew,
 * in which only the devices that are there now were plugged, in any order.
 */
#include <stdio.h>

#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "support/property.h"
#include "support/test_allocator.h"

#include "support/viommu_check.h"

#define RANGE(from, to) ((struct iovageom_range){(from), (to)})

enum { IDS = 16, SLOTS = 2, FIRST_ALIAS = 8, PORT = 14, BRIDGES = 3, PLUGS = 12, HOSTS = 7 };

/* What stands for a plug: all that it takes to plug it again. */
struct plug {
    uint32_t ids[4]; /* its own, then its aliases */
    size_t count;
    uint64_t bridge, host_group, host;
    bool prepared;
};

static struct {
    struct test_random random;
    struct test_allocator memory;
    struct iovageom_viommu *books;
    struct iovageom_viommu_config config;
    struct iovageom_geometry *hosts[HOSTS]; /* the first says nothing */
    struct iovageom_geometry *envelope;
    bool freezes, identity;
    struct plug plugs[PLUGS];
    size_t count;
    uint64_t compared, passed_over, mixed;
} t;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&t.random, bound);
}

static bool one_in(uint64_t n)
{
    return test_random_one_in(&t.random, n);
}

/* ---- making them ---- */

static struct iovageom_geometry *make_host(uint64_t number)
{
    struct iovageom_geometry *geometry;
    char name[] = "host A";

    name[5] = (char)('A' + number);
    ck_assert_int_eq(iovageom_geometry_new(NULL, name, &geometry), 0);
    if (number == 0)
        return geometry;
    ck_assert_int_eq(
        iovageom_geometry_add_gaw(geometry, 39 + (unsigned)below(3), IOVAGEOM_SOURCE_VFIO), 0);
    ck_assert_int_eq(iovageom_geometry_add_page_sizes(geometry, one_in(5) ? 0x10000 : 0x1000,
                                                      IOVAGEOM_SOURCE_VFIO),
                     0);
    for (uint64_t n = below(4); n > 0; n--) {
        const uint64_t start = below(32) << 20;

        ck_assert_int_eq(
            iovageom_geometry_add_reserved(geometry, RANGE(start, start + 0xfffff),
                                           one_in(3) ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_DIRECT,
                                           IOVAGEOM_SOURCE_SYSFS),
            0);
    }
    if (one_in(3))
        ck_assert_int_eq(
            iovageom_geometry_add_map_budget(geometry, 1 + below(4), IOVAGEOM_SOURCE_USER), 0);
    return geometry;
}

/* The slots of the first bridge, and the port above each, are there from the start. */
static struct iovageom_viommu *make_books(const struct iovageom_allocator *allocator)
{
    const struct iovageom_range ram = RANGE(0, 0x1fffff);
    struct iovageom_viommu *books;

    ck_assert_int_eq(iovageom_viommu_new(allocator, &t.config, &books), 0);
    ck_assert_int_eq(iovageom_viommu_set_envelope(books, t.envelope, NULL), 0);
    if (t.identity)
        ck_assert_int_eq(iovageom_viommu_set_identity(books, &ram, 1, NULL), 0);
    for (uint32_t id = 0; id < SLOTS; id++)
        ck_assert_int_eq(iovageom_viommu_declare(books, id, 1, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_int_eq(
            iovageom_viommu_declare(books, PORT + i, i + 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    if (t.freezes)
        ck_assert_int_eq(iovageom_viommu_freeze(books, NULL), 0);
    return books;
}

static void begin(uint64_t stream)
{
    const uint64_t compared = t.compared, passed_over = t.passed_over, mixed = t.mixed;

    memset(&t, 0, sizeof(t));
    t.compared = compared;
    t.passed_over = passed_over;
    t.mixed = mixed;
    t.random = test_random_start(stream);
    test_allocator_init(&t.memory);
    iovageom_viommu_config_init(&t.config);
    t.config.input_range = RANGE(0, ((uint64_t)1 << 40) - 1);
    t.config.boot_bypass = one_in(2);
    if (one_in(3))
        t.config.probe_size = 96 + 24 * (uint32_t)below(6);
    t.freezes = one_in(2);
    t.identity = one_in(3);
    for (uint64_t i = 0; i < HOSTS; i++)
        t.hosts[i] = make_host(i);
    do {
        iovageom_geometry_free(t.envelope);
        t.envelope = make_host(HOSTS);
        t.books = NULL;
        ck_assert_int_eq(iovageom_viommu_new(NULL, &t.config, &t.books), 0);
        if (iovageom_viommu_set_envelope(t.books, t.envelope, NULL) == 0) {
            iovageom_viommu_free(t.books);
            break;
        }
        iovageom_viommu_free(t.books);
    } while (true);
    t.books = make_books(&t.memory.allocator);
}

static void end(void)
{
    iovageom_viommu_free(t.books);
    for (int i = 0; i < HOSTS; i++)
        iovageom_geometry_free(t.hosts[i]);
    iovageom_geometry_free(t.envelope);
    ck_assert_uint_eq(test_allocator_live(&t.memory), 0);
}

/* The devices below a bridge are in one container, and in one guest group; the last bridge's are in
   none that has a number. */
static struct iovageom_plug_options where_of(const struct plug *plug)
{
    struct iovageom_plug_options where;

    iovageom_plug_options_init(&where);
    where.address_space = plug->bridge;
    where.host_group = plug->host_group;
    where.guest_group = plug->bridge + 1 < BRIDGES ? plug->bridge + 1 : IOVAGEOM_VIOMMU_OWN;
    where.aliases = plug->ids + 1;
    where.alias_count = plug->count - 1;
    return where;
}

static struct plug random_plug(void)
{
    struct plug plug = {.count = 1, .bridge = below(BRIDGES), .host_group = IOVAGEOM_VIOMMU_OWN};

    plug.ids[0] = (uint32_t)(plug.bridge == 0 ? below(5) : SLOTS + below(4));
    if (one_in(3)) /* a number of its own for each bridge */
        plug.host_group = 10 * plug.bridge + below(2);
    for (uint32_t i = 0; i < 2; i++)
        if (one_in(2))
            plug.ids[plug.count++] = FIRST_ALIAS + 2 * (uint32_t)plug.bridge + i;
    if (one_in(8) && plug.ids[0] != SLOTS + 3) /* the device itself is another one's alias */
        plug.ids[plug.count++] = SLOTS + 3;
    plug.host = below(HOSTS);
    return plug;
}

/* ---- books made anew ---- */

static bool is_at(const struct plug *plug, uint32_t id)
{
    for (size_t i = 0; i < plug->count; i++)
        if (plug->ids[i] == id)
            return true;
    return false;
}

/* Whether two of them answer to one endpoint. */
static bool meet(const struct plug *a, const struct plug *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (is_at(b, a->ids[i]))
            return true;
    return false;
}

/*
 * Devices that meet have to agree when they come. So they come as devices that say nothing, and
 * then say what they have to; one that is prepared can't, so that it comes with it.
 */
static bool replayable(void)
{
    for (size_t i = 0; i < t.count; i++)
        for (size_t j = 0; t.plugs[i].prepared && j < t.count; j++)
            if (meet(&t.plugs[i], &t.plugs[j]) &&
                !iovageom_geometry_equal(t.hosts[t.plugs[i].host], t.hosts[t.plugs[j].host]))
                return false;
    return true;
}

static struct iovageom_viommu *anew(bool same_order)
{
    struct iovageom_viommu *books = make_books(NULL);
    size_t order[PLUGS];

    for (size_t i = 0; i < t.count; i++) {
        const size_t to = same_order ? i : below(i + 1);

        order[i] = order[to];
        order[to] = i;
    }
    for (int prepared = 0; prepared < 2; prepared++) {
        for (size_t i = 0; i < t.count; i++) {
            const struct plug *plug = &t.plugs[order[i]];
            struct iovageom_plug_options where = where_of(plug);

            where.flags = IOVAGEOM_PLUG_ALIAS;
            if (prepared == 0 && !plug->prepared)
                ck_assert_int_eq(
                    iovageom_viommu_plug(books, plug->ids[0], &where, t.hosts[0], NULL), 0);
            else if (prepared == 1 && plug->prepared)
                ck_assert_int_eq(iovageom_viommu_plug_prepare(books, plug->ids[0], &where,
                                                              t.hosts[plug->host], NULL),
                                 0);
        }
        for (size_t i = 0; prepared == 0 && i < t.count; i++)
            if (!t.plugs[i].prepared)
                ck_assert_int_eq(iovageom_viommu_update(books, t.plugs[i].ids[0],
                                                        t.hosts[t.plugs[i].host], 0, NULL),
                                 0);
    }
    return books;
}

/* ---- comparing ---- */

static void same_endpoint(const struct iovageom_viommu *books, uint32_t id, bool same_order)
{
    struct iovageom_viommu_endpoint a, b;
    const bool there = iovageom_viommu_endpoint(books, id, &b) == 0;

    ck_assert_int_eq(iovageom_viommu_endpoint(t.books, id, &a) == 0, there);
    if (!there)
        return;
    ck_assert_uint_eq(a.kind, b.kind);
    ck_assert_uint_eq(a.plugged, b.plugged);
    ck_assert_uint_eq(a.prepared, b.prepared);
    ck_assert_uint_eq(a.guest_group, b.guest_group);
    ck_assert_uint_eq(a.address_space, b.address_space);
    ck_assert_uint_eq(a.bypass, b.bypass);
    ck_assert_int_eq(a.geometry == NULL, b.geometry == NULL);
    if (same_order) {
        ck_assert_uint_eq(a.host_group, b.host_group);
        ck_assert(a.geometry == NULL || iovageom_geometry_equal(a.geometry, b.geometry));
    }
}

static void same_told(const struct iovageom_viommu *books, uint32_t id)
{
    struct iovageom_region a[64], b[64];
    size_t count_a = 0, count_b = 0;
    const int status = iovageom_viommu_told(books, id, b, 64, &count_b, NULL);

    ck_assert_int_eq(iovageom_viommu_told(t.books, id, a, 64, &count_a, NULL), status);
    ck_assert_uint_eq(count_a, count_b);
    for (size_t i = 0; i < count_a; i++) {
        ck_assert(iovageom_range_equal(a[i].range, b[i].range));
        ck_assert_uint_eq(a[i].type, b[i].type);
    }
}

/* What a guest could map once it has attached these two. It detaches them again. */
static void same_domain(struct iovageom_viommu *books, uint32_t first, uint32_t second)
{
    struct iovageom_viommu *const both[] = {t.books, books};
    struct iovageom_viommu_domain domain[2];
    struct iovageom_rangeset usable[2];
    uint8_t status[2][2];

    for (int i = 0; i < 2; i++) {
        iovageom_rangeset_init(&usable[i], NULL);
        status[i][0] = iovageom_status_virtio(iovageom_viommu_attach(both[i], 1, first, 0, NULL));
        status[i][1] = iovageom_status_virtio(iovageom_viommu_attach(both[i], 1, second, 0, NULL));
        if (iovageom_viommu_domain(both[i], 1, &domain[i]) == 0)
            ck_assert_int_eq(iovageom_viommu_domain_usable(both[i], 1, &usable[i]), 0);
        else
            domain[i].budget = 0;
    }
    ck_assert_int_eq(memcmp(status[0], status[1], 2), 0);
    ck_assert(iovageom_rangeset_equal(&usable[0], &usable[1]));
    ck_assert_uint_eq(domain[0].budget, domain[1].budget);
    for (int i = 0; i < 2; i++) {
        (void)iovageom_viommu_detach(both[i], 1, first, NULL);
        (void)iovageom_viommu_detach(both[i], 1, second, NULL);
        iovageom_rangeset_deinit(&usable[i]);
    }
}

/* The kinds of finding, as bits. */
static uint32_t kinds_of(const struct iovageom_report *report)
{
    uint32_t kinds = 0;

    for (size_t i = 0; i < iovageom_report_count(report); i++)
        kinds |= (uint32_t)1 << iovageom_report_at(report, i)->kind;
    return kinds;
}

static void same_admission(const struct iovageom_viommu *books)
{
    const struct plug plug = random_plug();
    struct iovageom_plug_options where = where_of(&plug);
    struct iovageom_report a, b;
    int status;

    iovageom_report_init(&a, NULL);
    iovageom_report_init(&b, NULL);
    where.flags = one_in(2) ? IOVAGEOM_PLUG_ALIAS : 0;
    status = iovageom_viommu_plug_check(books, plug.ids[0], &where, t.hosts[plug.host], &b);
    ck_assert_int_eq(
        iovageom_viommu_plug_check(t.books, plug.ids[0], &where, t.hosts[plug.host], &a), status);
    ck_assert_uint_eq(kinds_of(&a), kinds_of(&b));
    iovageom_report_deinit(&a);
    iovageom_report_deinit(&b);
}

static void same_space(const struct iovageom_viommu *books)
{
    struct iovageom_virtio_config a, b;

    ck_assert_int_eq(iovageom_viommu_config_space(t.books, &a), 0);
    ck_assert_int_eq(iovageom_viommu_config_space(books, &b), 0);
    ck_assert_uint_eq(a.page_size_mask, b.page_size_mask);
    ck_assert(iovageom_range_equal(a.input_range, b.input_range));
    ck_assert_uint_eq(a.probe_size, b.probe_size);
}

static void compare(void)
{
    const bool same_order = one_in(2);
    struct iovageom_viommu *books;
    struct iovageom_report report;

    iovageom_report_init(&report, NULL);
    if (test_viommu_check(t.books, false, &report) != 0)
        ck_abort_msg("%s", iovageom_report_text(&report));
    iovageom_report_deinit(&report);
    if (!replayable()) {
        t.passed_over++;
        return;
    }
    books = anew(same_order);
    for (uint32_t id = 0; id < IDS; id++) {
        same_endpoint(books, id, same_order);
        same_told(books, id);
    }
    same_space(books);
    for (int i = 0; i < 6; i++)
        same_admission(books);
    for (int i = 0; t.freezes && i < 3; i++)
        same_domain(books, (uint32_t)below(IDS), (uint32_t)below(IDS));
    iovageom_viommu_free(books);
    for (size_t i = 0; i < t.count; i++)
        for (size_t j = 0; j < i; j++)
            t.mixed += meet(&t.plugs[i], &t.plugs[j]) && t.plugs[i].host != t.plugs[j].host;
    t.compared++;
}

/* ---- steps ---- */

static void step_plug(void)
{
    struct plug plug = random_plug();
    struct iovageom_plug_options where = where_of(&plug);
    const bool prepares = one_in(4);

    if (t.count == PLUGS)
        return;
    for (size_t i = 0; i < t.count; i++) /* by chance they would seldom agree */
        if (!one_in(4) && meet(&t.plugs[i], &plug))
            plug.host = t.plugs[i].host;
    where.flags = one_in(5) ? 0 : IOVAGEOM_PLUG_ALIAS;
    if (one_in(6))
        test_allocator_fail_at(&t.memory, 1 + below(12), one_in(2));
    if ((prepares ? iovageom_viommu_plug_prepare : iovageom_viommu_plug)(
            t.books, plug.ids[0], &where, t.hosts[plug.host], NULL) == 0) {
        plug.prepared = prepares;
        t.plugs[t.count++] = plug;
    }
    (void)test_allocator_stop_failing(&t.memory);
}

/* The last of those plugged at the endpoint that are prepared, or are not; t.count: none. */
static size_t find(uint32_t id, bool prepared)
{
    for (size_t i = t.count; i > 0; i--)
        if (t.plugs[i - 1].ids[0] == id && t.plugs[i - 1].prepared == prepared)
            return i - 1;
    return t.count;
}

static void forget(size_t which)
{
    t.count--;
    for (size_t i = which; i < t.count; i++)
        t.plugs[i] = t.plugs[i + 1];
}

static void step_finish(void)
{
    const uint32_t id = (uint32_t)below(FIRST_ALIAS);
    const size_t which = find(id, true);
    const bool commits = one_in(2);
    const int wanted = which < t.count ? 0 : IOVAGEOM_ERR_STATE;

    test_allocator_fail_at(&t.memory, 1, true);
    ck_assert_int_eq(
        (commits ? iovageom_viommu_plug_commit : iovageom_viommu_plug_abort)(t.books, id), wanted);
    ck_assert(!test_allocator_stop_failing(&t.memory));
    if (wanted == 0 && commits)
        t.plugs[which].prepared = false;
    else if (wanted == 0)
        forget(which);
}

static void step_unplug(void)
{
    const uint32_t id = (uint32_t)below(IDS);
    const size_t which = find(id, false);

    test_allocator_fail_at(&t.memory, 1, true);
    ck_assert_int_eq(iovageom_viommu_unplug(t.books, id),
                     which < t.count ? 0 : IOVAGEOM_ERR_NOT_FOUND);
    ck_assert(!test_allocator_stop_failing(&t.memory));
    if (which < t.count)
        forget(which);
}

static void step_update(void)
{
    const uint32_t id = (uint32_t)below(IDS);
    const uint64_t host = below(HOSTS);
    int error;

    if (one_in(6))
        test_allocator_fail_at(&t.memory, 1 + below(8), one_in(2));
    error = iovageom_viommu_update(t.books, id, t.hosts[host], 0, NULL);
    (void)test_allocator_stop_failing(&t.memory);
    ck_assert_int_eq(error == IOVAGEOM_ERR_NOT_FOUND, find(id, false) == t.count);
    for (size_t i = 0; error == 0 && i < t.count; i++)
        if (t.plugs[i].ids[0] == id)
            t.plugs[i].host = host;
}

START_TEST(the_books_are_those_of_who_is_there)
{
    memset(&t, 0, sizeof(t));
    for (uint64_t life = 0; life < 300; life++) {
        begin(9000 + life);
        for (int i = 0; i < 80; i++) {
            const uint64_t choice = below(20);

            if (choice < 8)
                step_plug();
            else if (choice < 11)
                step_update();
            else if (choice < 16)
                step_unplug();
            else
                step_finish();
            compare();
        }
        end();
    }
    fprintf(stderr, "%llu comparisons, %llu passed over, %llu pairs at odds\n",
            (unsigned long long)t.compared, (unsigned long long)t.passed_over,
            (unsigned long long)t.mixed);
    ck_assert_uint_gt(t.compared, 15000);
    ck_assert_uint_gt(t.mixed, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viommu_widening");

    property_add(suite, the_books_are_those_of_who_is_there);
    return property_run(suite);
}

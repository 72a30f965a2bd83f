/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * "Check says what do does", for every request that can be asked about first: the same status, the
 * same findings, and nothing changed by asking. In random lives of the books, by the public
 * interface alone. What the right answer is, viommu_test.c knows.
 */
#include <iovageom/guest.h>
#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "geometry/internal.h"
#include "support/property.h"
#include "support/test_allocator.h"
#include "support/test_photo.h"

#include "support/viommu_check.h"

enum { ENDPOINTS = 8, DOMAINS = 4, HOSTS = 6, PAGES = 64, PROBE_SIZE = 1024 };

#define TOP             ((uint64_t)PAGES * 4096 - 1)
#define RANGE(from, to) ((struct iovageom_range){(from), (to)})

static struct {
    struct test_random random;
    struct test_allocator memory;
    struct iovageom_viommu *books;
    struct iovageom_geometry *hosts[HOSTS];
    struct iovageom_report asked, done;
    struct test_photo before, after;
    uint64_t agreed, refused, without;
    bool stale; /* since the last reset: see test_viommu_check() */
} t;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&t.random, bound);
}

static bool one_in(uint64_t n)
{
    return test_random_one_in(&t.random, n);
}

/* ---- the life ---- */

static struct iovageom_geometry *make_host(const char *name)
{
    struct iovageom_geometry *geometry;

    ck_assert_int_eq(iovageom_geometry_new(NULL, name, &geometry), 0);
    ck_assert_int_eq(iovageom_geometry_add_aperture(geometry, RANGE(0, TOP), IOVAGEOM_SOURCE_VFIO),
                     0);
    for (uint64_t n = below(one_in(3) ? 20 : 3); n > 0; n--) {
        const uint64_t start = below(PAGES - 4) * 4096;

        ck_assert_int_eq(iovageom_geometry_add_reserved(
                             geometry, RANGE(start, start + below(n > 3 ? 1 : 4) * 4096 + 4095),
                             one_in(3)   ? IOVAGEOM_RESV_MSI
                             : one_in(3) ? IOVAGEOM_RESV_SOFTWARE_MSI
                                         : IOVAGEOM_RESV_DIRECT,
                             IOVAGEOM_SOURCE_SYSFS),
                         0);
    }
    if (!one_in(3))
        ck_assert_int_eq(iovageom_geometry_add_page_sizes(geometry, one_in(5) ? 0x4000 : 0x201000,
                                                          IOVAGEOM_SOURCE_VFIO),
                         0);
    if (one_in(3))
        ck_assert_int_eq(iovageom_geometry_add_map_budget(geometry, below(6), IOVAGEOM_SOURCE_USER),
                         0);
    if (one_in(6))
        ck_assert_int_eq(iovageom_geometry_add_incomplete(geometry, IOVAGEOM_SOURCE_SYSFS), 0);
    return geometry;
}

static void begin(uint64_t stream)
{
    static const char *const names[HOSTS] = {"A", "B", "C", "D", "E", "F"};
    struct iovageom_viommu_config config;
    const struct iovageom_range identity = {0, 0x2fff};

    memset(&t, 0, sizeof(t));
    t.random = test_random_start(stream);
    test_allocator_init(&t.memory);
    iovageom_report_init(&t.asked, NULL);
    iovageom_report_init(&t.done, NULL);
    iovageom_viommu_config_init(&config);
    config.input_range = RANGE(0, TOP);
    config.domain_last = DOMAINS - 1;
    config.max_domains = 3;
    config.max_mappings = 12;
    config.max_domain_mappings = 8;
    config.probe_size = PROBE_SIZE;
    config.boot_bypass = one_in(2);
    config.flags = one_in(6) ? IOVAGEOM_VIOMMU_REFUSE_DIRECT : 0;
    ck_assert_int_eq(iovageom_viommu_new(&t.memory.allocator, &config, &t.books), 0);
    for (int i = 0; i < HOSTS; i++)
        t.hosts[i] = make_host(names[i]);
    if (one_in(2))
        ck_assert_int_eq(iovageom_viommu_set_identity(t.books, &identity, 1, NULL), 0);
    if (one_in(2))
        ck_assert_int_eq(iovageom_viommu_add_region(t.books, RANGE(0x20000, 0x20fff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_MACHINE,
                                                    "doorbells"),
                         0);
    if (one_in(2))
        (void)iovageom_viommu_set_envelope(t.books, t.hosts[0], NULL);
    ck_assert_int_eq(iovageom_viommu_declare(t.books, 0, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    ck_assert_int_eq(iovageom_viommu_declare(t.books, 1, 1, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
}

static void end(void)
{
    iovageom_viommu_free(t.books);
    for (int i = 0; i < HOSTS; i++)
        iovageom_geometry_free(t.hosts[i]);
    iovageom_report_deinit(&t.asked);
    iovageom_report_deinit(&t.done);
    ck_assert_uint_eq(test_allocator_live(&t.memory), 0);
}

/* ---- asking, then doing ---- */

static bool looking; /* whether photos are taken this time: they take a while */

static void before_asking(void)
{
    looking = one_in(6);
    if (looking)
        test_photo_take(&t.before, t.books);
    test_report_soil(&t.asked);
    test_report_soil(&t.done);
}

static void unchanged(void)
{
    if (!looking)
        return;
    test_photo_take(&t.after, t.books);
    ck_assert(test_photo_same(&t.before, &t.after));
}

static void same_findings(void)
{
    static struct test_photo asked, done;

    test_photo_report(&asked, &t.asked);
    test_photo_report(&done, &t.done);
    ck_assert(test_photo_same(&asked, &done));
}

/* A report speaks of its own call alone. */
static void fresh(const struct iovageom_report *report)
{
    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const char *detail = iovageom_report_at(report, i)->detail;

        ck_assert(detail == NULL || strcmp(detail, TEST_REPORT_SOIL) != 0);
    }
}

/* What was asked was answered `asked`; what was then done, `done`. */
static void after_doing(int asked, int done)
{
    size_t fatal = 0;

    ck_assert_int_eq(asked, done);
    same_findings();
    fresh(&t.done);
    for (size_t i = 0; i < iovageom_report_count(&t.done); i++)
        fatal += iovageom_report_at(&t.done, i)->fatal;
    if (done != 0) {
        unchanged();
        t.refused++;
        ck_assert(fatal > 0 || done == IOVAGEOM_ERR_INVALID);
    } else {
        t.agreed++;
        t.stale |= test_viommu_went_stale(&t.done);
        ck_assert_uint_eq(fatal, 0);
    }
    ck_assert_int_eq(test_viommu_check(t.books, t.stale, NULL), 0);
}

/* ---- requests ---- */

static struct iovageom_virtio_request some_request(void)
{
    struct iovageom_virtio_request request = {0};
    uint64_t start = below(PAGES) * 4096, pages = 1 + below(one_in(3) ? 8 : 2);

    request.type = 1 + (uint32_t)below(4);
    request.domain = (uint32_t)below(DOMAINS + (one_in(10) ? 2 : 0));
    request.endpoint = (uint32_t)below(ENDPOINTS);
    if (request.type == IOVAGEOM_VIRTIO_T_ATTACH)
        request.flags = one_in(6) ? IOVAGEOM_VIRTIO_ATTACH_F_BYPASS : one_in(30) ? 2 : 0;
    if (request.type == IOVAGEOM_VIRTIO_T_MAP) {
        request.flags = 1 + (uint32_t)below(3) + (one_in(12) ? 4 : 0) + (one_in(30) ? 8 : 0);
        request.phys = one_in(20) ? UINT64_MAX - 0xfff : below(1000) * 4096;
    }
    if (request.type >= IOVAGEOM_VIRTIO_T_MAP) {
        request.endpoint = 0;
        request.virt = RANGE(start, start + pages * 4096 - 1);
        if (one_in(20))
            request.virt.last -= below(8192);
        if (one_in(20))
            request.virt.start += below(8192);
        if (request.type == IOVAGEOM_VIRTIO_T_UNMAP && one_in(8))
            request.virt = RANGE(0, one_in(2) ? TOP : UINT64_MAX);
    }
    return request;
}

/* A MAP has no check: it is done, and taken back. */
static uint8_t ask_map(const struct iovageom_virtio_request *r)
{
    const int status =
        iovageom_viommu_map(t.books, r->domain, r->virt, r->phys, r->flags, &t.asked);

    if (status == 0)
        ck_assert_int_eq(iovageom_viommu_unmap(t.books, r->domain, r->virt, NULL, NULL), 0);
    return iovageom_status_virtio(status);
}

static uint8_t ask(const struct iovageom_virtio_request *r)
{
    switch (r->type) {
    case IOVAGEOM_VIRTIO_T_ATTACH:
        return iovageom_status_virtio(
            iovageom_viommu_attach_check(t.books, r->domain, r->endpoint, r->flags, &t.asked));
    case IOVAGEOM_VIRTIO_T_DETACH:
        return iovageom_status_virtio(
            iovageom_viommu_detach_check(t.books, r->domain, r->endpoint, &t.asked));
    case IOVAGEOM_VIRTIO_T_MAP:
        return ask_map(r);
    default:
        return iovageom_status_virtio(
            iovageom_viommu_unmap_check(t.books, r->domain, r->virt, &t.asked));
    }
}

static uint64_t mappings_of(uint32_t domain)
{
    struct iovageom_viommu_domain found;

    return iovageom_viommu_domain(t.books, domain, &found) == 0 ? found.mappings : 0;
}

static uint8_t unmap(const struct iovageom_virtio_request *r)
{
    const uint64_t had = mappings_of(r->domain);
    size_t removed = SIZE_MAX;
    const uint8_t status = iovageom_status_virtio(
        iovageom_viommu_unmap(t.books, r->domain, r->virt, &removed, &t.done));

    if (status == 0)
        ck_assert_uint_eq(removed, had - mappings_of(r->domain));
    else
        ck_assert_uint_eq(removed, SIZE_MAX);
    return status;
}

static uint8_t call(const struct iovageom_virtio_request *r)
{
    switch (r->type) {
    case IOVAGEOM_VIRTIO_T_ATTACH:
        return iovageom_status_virtio(
            iovageom_viommu_attach(t.books, r->domain, r->endpoint, r->flags, &t.done));
    case IOVAGEOM_VIRTIO_T_DETACH:
        return iovageom_status_virtio(
            iovageom_viommu_detach(t.books, r->domain, r->endpoint, &t.done));
    case IOVAGEOM_VIRTIO_T_MAP:
        return iovageom_status_virtio(
            iovageom_viommu_map(t.books, r->domain, r->virt, r->phys, r->flags, &t.done));
    default:
        return unmap(r);
    }
}

/* The same by the bytes: begin decides and says why, end answers it. */
static uint8_t by_bytes(const struct iovageom_virtio_request *r)
{
    struct iovageom_viommu_transaction transaction;
    uint8_t bytes[IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX], tail[4] = {0xee, 0xee, 0xee, 0xee};
    struct iovageom_report ended;
    size_t size = 0;

    ck_assert_int_eq(iovageom_guest_encode_request(r, bytes, sizeof(bytes), &size), 0);
    iovageom_viommu_request_begin(t.books, bytes, size, sizeof(tail), &transaction, &t.done);
    ck_assert(transaction.answered);
    ck_assert_uint_eq(transaction.request.type, r->type);
    iovageom_report_init(&ended, NULL);
    ck_assert_uint_eq(
        iovageom_viommu_request_end(t.books, &transaction, 0, tail, sizeof(tail), &ended), 4);
    for (size_t i = 0; i < iovageom_report_count(&ended); i++)
        ck_assert_uint_eq(iovageom_report_at(&ended, i)->fatal, 0);
    iovageom_report_deinit(&ended);
    ck_assert_uint_eq(tail[0], iovageom_status_virtio(transaction.status));
    ck_assert_uint_eq(tail[1] | tail[2] | tail[3], 0);
    return tail[0];
}

static void begin_failing(void)
{
    test_allocator_fail_at(&t.memory, 1 + below(4), one_in(2));
}

static void step_request(void)
{
    const struct iovageom_virtio_request request = some_request();
    uint8_t asked, done, failed = IOVAGEOM_VIRTIO_S_NOMEM;

    before_asking();
    /* Without memory the answer is that, or the right one. */
    if (one_in(2)) {
        begin_failing();
        failed = ask(&request);
        t.without += test_allocator_stop_failing(&t.memory);
        test_report_soil(&t.asked);
    }
    asked = ask(&request);
    ck_assert(failed == IOVAGEOM_VIRTIO_S_NOMEM || failed == asked);
    unchanged();
    done = one_in(2) ? call(&request) : by_bytes(&request);
    after_doing(asked, done);
}

/* A veto leaves the books as they were, whatever was agreed to. */
static void step_veto(void)
{
    const struct iovageom_virtio_request request = some_request();
    struct iovageom_viommu_transaction transaction;
    uint8_t bytes[IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX], tail[4];
    size_t size = 0;
    uint8_t asked;

    before_asking();
    asked = ask(&request);
    ck_assert_int_eq(iovageom_guest_encode_request(&request, bytes, sizeof(bytes), &size), 0);
    iovageom_viommu_request_begin(t.books, bytes, size, sizeof(tail), &transaction, &t.done);
    ck_assert_uint_eq(iovageom_status_virtio(transaction.status), asked);
    same_findings();
    ck_assert_uint_eq(iovageom_viommu_request_end(t.books, &transaction, IOVAGEOM_ERR_HOST, tail,
                                                  sizeof(tail), NULL),
                      4);
    ck_assert_uint_eq(tail[0], asked == 0 ? IOVAGEOM_VIRTIO_S_DEVERR : asked);
    unchanged();
}

/* What `told` says is what a PROBE then says. */
static void step_probe(void)
{
    struct iovageom_region told[64], said[64];
    struct iovageom_viommu_endpoint found;
    const uint32_t endpoint = (uint32_t)below(ENDPOINTS);
    uint8_t bytes[PROBE_SIZE];
    size_t told_count = SIZE_MAX, said_count, needed = SIZE_MAX;
    int error;
    uint8_t status;

    /* What is only prepared isn't there yet for the guest. */
    if (iovageom_viommu_endpoint(t.books, endpoint, &found) == 0 && found.prepared)
        return;
    before_asking();
    error = iovageom_viommu_told(t.books, endpoint, told, 64, &told_count, &t.asked);
    unchanged();
    status = iovageom_status_virtio(
        iovageom_viommu_probe(t.books, endpoint, bytes, PROBE_SIZE, &needed, &t.done));
    ck_assert_int_eq(error, status == 0 ? 0 : IOVAGEOM_ERR_NOT_FOUND);
    if (error != 0) {
        ck_assert_uint_eq(told_count, SIZE_MAX);
        ck_assert_uint_eq(needed, SIZE_MAX);
        ck_assert_uint_eq(status, IOVAGEOM_VIRTIO_S_NOENT);
        unchanged();
        return;
    }
    same_findings();
    fresh(&t.done);
    ck_assert_int_eq(iovageom_guest_decode_probe(bytes, PROBE_SIZE, said, 64, &said_count), 0);
    ck_assert_uint_eq(told_count, said_count);
    ck_assert_uint_eq(needed, told_count * IOVAGEOM_VIRTIO_RESV_MEM_SIZE);
    for (size_t i = 0; i < told_count; i++) {
        ck_assert(iovageom_range_equal(told[i].range, said[i].range));
        ck_assert_uint_eq(told[i].type, said[i].type);
    }
}

/* ---- devices ---- */

static void step_plug(void)
{
    const uint32_t endpoint = 1 + (uint32_t)below(ENDPOINTS - 1);
    const struct iovageom_geometry *host = t.hosts[below(HOSTS)];
    uint32_t aliases[2] = {(uint32_t)below(ENDPOINTS), (uint32_t)below(ENDPOINTS)};
    struct iovageom_plug_options where;
    int asked, done, failed = IOVAGEOM_ERR_NO_MEMORY;

    iovageom_plug_options_init(&where);
    if (one_in(2))
        where.address_space = one_in(40) ? IOVAGEOM_VIOMMU_GROUP_MAX + 1 : below(3);
    if (one_in(3))
        where.host_group = one_in(40) ? IOVAGEOM_VIOMMU_GROUP_MAX + 1 : below(3);
    if (one_in(3))
        where.guest_group = one_in(40) ? IOVAGEOM_VIOMMU_GROUP_MAX + 1 : below(3);
    if (one_in(6)) {
        where.aliases = aliases;
        where.alias_count = below(3);
    }
    where.flags = (one_in(3) ? IOVAGEOM_PLUG_ALIAS : 0) |
                  (one_in(6) ? IOVAGEOM_PLUG_ALLOW_STALE : 0) |
                  (one_in(10) ? IOVAGEOM_PLUG_REFUSE_DIRECT : 0) | (one_in(40) ? 8 : 0);
    before_asking();
    if (one_in(2)) {
        begin_failing();
        failed = iovageom_viommu_plug_check(t.books, endpoint, &where, host, &t.asked);
        t.without += test_allocator_stop_failing(&t.memory);
        test_report_soil(&t.asked);
    }
    asked = iovageom_viommu_plug_check(t.books, endpoint, &where, host, &t.asked);
    ck_assert(failed == IOVAGEOM_ERR_NO_MEMORY || failed == asked);
    unchanged();
    if (one_in(3))
        done = iovageom_viommu_plug_prepare(t.books, endpoint, &where, host, &t.done);
    else
        done = iovageom_viommu_plug(t.books, endpoint, &where, host, &t.done);
    after_doing(asked, done);
}

/* The calls that have no question before them: what they refuse changes nothing. */
static void step_other(void)
{
    const uint32_t endpoint = (uint32_t)below(ENDPOINTS);
    const uint64_t choice = below(7);
    const struct iovageom_range identity = {below(4) * 4096, 0x7fff};
    int error = 0;

    before_asking();
    if (choice == 0)
        error = iovageom_viommu_unplug(t.books, endpoint);
    else if (choice == 1)
        error = iovageom_viommu_plug_commit(t.books, endpoint);
    else if (choice == 2)
        error = iovageom_viommu_plug_abort(t.books, endpoint);
    else if (choice == 3)
        error = iovageom_viommu_update(t.books, endpoint, t.hosts[below(HOSTS)], 0, &t.done);
    else if (choice == 4)
        error = iovageom_viommu_set_identity(t.books, &identity, 1, &t.done);
    else if (choice == 5)
        error = iovageom_viommu_set_bypass(t.books, (uint32_t)below(3), &t.done);
    else
        error = iovageom_viommu_declare(
            t.books, endpoint, below(3),
            one_in(2) ? IOVAGEOM_ENDPOINT_SLOT : IOVAGEOM_ENDPOINT_EMULATED, &t.done);
    if (error != 0)
        unchanged();
    if (choice >= 3)
        fresh(&t.done);
}

START_TEST(check_says_what_do_does)
{
    uint64_t agreed = 0, refused = 0, without = 0;

    for (uint64_t life = 0; life < 150; life++) {
        begin(5000 + life);
        for (int i = 0; i < 500; i++) {
            const uint64_t choice = below(100);

            /* Before the guest's first request plugs are judged by what will be frozen. */
            if (i == 20)
                ck_assert_int_eq(iovageom_viommu_freeze(t.books, NULL), 0);
            if (choice < (i < 20 ? 60u : 20u))
                step_plug();
            else if (choice < (i < 20 ? 99u : 30u))
                step_other();
            else if (i >= 20 && choice < 90)
                step_request();
            else if (i >= 20 && choice < 95)
                step_veto();
            else if (i >= 20 && choice < 99)
                step_probe();
            else if (one_in(4)) {
                iovageom_viommu_reset(t.books, one_in(2));
                t.stale = false;
            }
        }
        agreed += t.agreed;
        refused += t.refused;
        without += t.without;
        end();
    }
    ck_assert_uint_gt(agreed, 5000);
    ck_assert_uint_gt(refused, 5000);
    ck_assert_uint_gt(without, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viommu-check");

    property_add(suite, check_says_what_do_does);
    return property_run(suite);
}

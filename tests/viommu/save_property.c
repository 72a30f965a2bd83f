/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whatever can be saved can be loaded: random lives of books that are configured in strange ways,
 * with hosts whose ranges and pages fit badly. Every now and then they are saved, and loaded into
 * fresh ones that were configured alike and have the same devices; what these save is the same
 * again, but for the generation, which counts the load.
 */
#include <stdio.h>
#include <string.h>

#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "base/range.h"
#include "support/property.h"

#include "support/viommu_check.h"

#define RANGE(from, to) ((struct iovageom_range){(from), (to)})
#define OWN             IOVAGEOM_VIOMMU_OWN

enum { HOSTS = 6, REGIONS = 4, PLACES = 7, PLUGS = 24, DOMAINS = 5, PAGES = 48 };
enum { PROBE_ROOM = 65536, STREAM_ROOM = 1 << 18 };

/* What a VMM did that still holds, in the order in which it was done. */
struct step {
    bool plug; /* else a declaration */
    uint32_t endpoint;
    enum iovageom_endpoint_kind kind;
    uint64_t group;
    struct iovageom_plug_options where;
    uint32_t alias;
    unsigned host;
};

static struct {
    struct test_random random;
    struct iovageom_viommu *books;
    struct iovageom_viommu_config config;
    struct iovageom_geometry *hosts[HOSTS];
    struct {
        struct iovageom_range range;
        enum iovageom_resv_type type;
    } regions[REGIONS];
    size_t region_count, step_count;
    struct iovageom_range identity;
    bool has_identity, aliased, expecting;
    int envelope; /* a host, or -1 */
    struct step steps[PLUGS];
    struct iovageom_report report;
    uint64_t saved, compared, odd_inputs, declined, late;
} t;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&t.random, bound);
}

static bool one_in(uint64_t n)
{
    return test_random_one_in(&t.random, n);
}

/* ---- hosts and configurations that fit badly ---- */

static uint64_t random_address(void)
{
    return below(PAGES) * 0x1000 + (one_in(3) ? below(0x1000) : 0);
}

static struct iovageom_range random_range(uint64_t pages)
{
    const uint64_t start = random_address();

    return RANGE(start, start + below(pages) * 0x1000 + (one_in(3) ? below(0x1000) : 0xfff));
}

static uint64_t random_mask(void)
{
    static const uint64_t masks[] = {0x1000, 0x201000, 0x4000, 0x10000, 0x3000, 0x211000};

    return masks[below(sizeof(masks) / sizeof(masks[0]))];
}

static struct iovageom_geometry *random_host(unsigned number)
{
    struct iovageom_geometry *geometry;
    struct iovageom_range usable[3];
    char name[] = "host A";

    name[5] = (char)('A' + number);
    ck_assert_int_eq(iovageom_geometry_new(NULL, name, &geometry), 0);
    if (one_in(2))
        ck_assert_int_eq(iovageom_geometry_add_aperture(geometry,
                                                        RANGE(one_in(3) ? random_address() : 0,
                                                              PAGES * 0x1000 + random_address()),
                                                        IOVAGEOM_SOURCE_VFIO),
                         0);
    if (one_in(3)) {
        for (int i = 0; i < 3; i++)
            usable[i] = random_range(24);
        ck_assert_int_eq(
            iovageom_geometry_add_usable(geometry, usable, 1 + below(3), IOVAGEOM_SOURCE_VFIO), 0);
    }
    for (uint64_t n = below(3); n > 0; n--)
        ck_assert_int_eq(
            iovageom_geometry_add_reserved(geometry, random_range(6),
                                           one_in(3) ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_DIRECT,
                                           IOVAGEOM_SOURCE_SYSFS),
            0);
    if (!one_in(3))
        ck_assert_int_eq(
            iovageom_geometry_add_page_sizes(geometry, random_mask(), IOVAGEOM_SOURCE_VFIO), 0);
    if (one_in(4))
        ck_assert_int_eq(
            iovageom_geometry_add_map_budget(geometry, below(12), IOVAGEOM_SOURCE_USER), 0);
    return geometry;
}

static void random_config(void)
{
    struct iovageom_viommu_config *config = &t.config;

    iovageom_viommu_config_init(config);
    if (!one_in(3))
        config->input_range = RANGE(one_in(2) ? 0 : random_address(),
                                    one_in(2) ? UINT64_MAX : PAGES * 0x1000 + random_address());
    if (one_in(3))
        config->page_size_mask = random_mask();
    if (one_in(3))
        config->granule = 0x1000u << (2 * below(3));
    config->max_mappings = 4 + below(40);
    config->max_domain_mappings = 2 + below(20);
    config->max_domains = 1 + (uint32_t)below(DOMAINS);
    config->domain_start = (uint32_t)below(3);
    config->domain_last = DOMAINS - 1;
    config->probe_size = one_in(3) ? 96 + (uint32_t)below(200) : 0;
    for (int i = 0; i < 2; i++)
        if (one_in(3))
            config->features &= ~(1u << below(8));
    config->flags = (uint32_t)below(4);
    config->boot_bypass = (uint32_t)below(2);
}

/* ---- books that are like these ---- */

static int replay(struct iovageom_viommu *books, const struct step *step)
{
    struct iovageom_plug_options where = step->where;

    if (!step->plug)
        return iovageom_viommu_declare(books, step->endpoint, step->group, step->kind, &t.report);
    where.aliases = &step->alias;
    return iovageom_viommu_plug(books, step->endpoint, &where, t.hosts[step->host], &t.report);
}

/*
 * NULL when somebody who came late, when the input range was fixed, can't come early. Without
 * devices, these are to come when the stream is loaded.
 */
static struct iovageom_viommu *like_these(bool devices)
{
    struct iovageom_viommu *books;
    int error = 0;

    ck_assert_int_eq(iovageom_viommu_new(NULL, &t.config, &books), 0);
    for (size_t i = 0; error == 0 && i < t.region_count; i++)
        error = iovageom_viommu_add_region(books, t.regions[i].range, t.regions[i].type,
                                           IOVAGEOM_SOURCE_MACHINE, "region");
    if (error == 0 && t.envelope >= 0)
        error = iovageom_viommu_set_envelope(books, t.hosts[t.envelope], &t.report);
    ck_assert_int_eq(iovageom_viommu_set_bypass(books, 0, NULL) == 0,
                     (t.config.features & IOVAGEOM_VIRTIO_F_BYPASS_CONFIG) != 0);
    for (size_t i = 0; error == 0 && i < t.step_count; i++)
        if (devices || !t.steps[i].plug)
            error = replay(books, &t.steps[i]);
    if (error == 0 && t.has_identity)
        error = iovageom_viommu_set_identity(books, &t.identity, 1, &t.report);
    if (error == 0)
        return books;
    iovageom_viommu_free(books);
    return NULL;
}

/*
 * Where each could be at the source it can be here, in any order. But of a plug more is asked than
 * of what is plugged already. Could it bypass, and have the mappings of all domains of its guest
 * group? Does the frozen input range leave it something, and both ends with STRICT_INPUT? And it
 * may have come into a narrow input range, which was thawed since: without PROBE the guest isn't
 * told then.
 */
static bool may_be_refused(int error)
{
    const struct iovageom_finding *first = iovageom_report_at(&t.report, 0);
    uint32_t kind;

    for (size_t i = 1; first != NULL && !first->fatal; i++)
        first = iovageom_report_at(&t.report, i);
    kind = first != NULL ? first->kind : 0;
    return error == IOVAGEOM_ERR_CONFLICT &&
           (kind == IOVAGEOM_FINDING_RESERVED || kind == IOVAGEOM_FINDING_BUDGET ||
            kind == IOVAGEOM_FINDING_NOTHING_USABLE ||
            (kind == IOVAGEOM_FINDING_INPUT_RANGE &&
             ((t.config.flags & IOVAGEOM_VIOMMU_STRICT_INPUT) != 0 ||
              (t.config.features & IOVAGEOM_VIRTIO_F_PROBE) == 0)));
}

/* The devices of the stream come; false when one can't. */
static bool devices_come(struct iovageom_viommu *books)
{
    size_t order[PLUGS], count = 0;

    for (size_t i = 0; i < t.step_count; i++)
        if (t.steps[i].plug)
            order[count++] = i;
    while (count > 0) {
        /* Of those that share endpoints the first goes first: it is not said to share. */
        const size_t which = t.aliased ? 0 : below(count);
        const int error = replay(books, &t.steps[order[which]]);

        if (error != 0 && !may_be_refused(error))
            ck_abort_msg("%d: %s", error, iovageom_report_text(&t.report));
        if (error != 0)
            return false;
        memmove(&order[which], &order[which + 1], (--count - which) * sizeof(order[0]));
    }
    return true;
}

/* The generation counts each load: take it, and the checksum that it is in, for the same. */
static void without_generation(uint8_t *stream)
{
    memset(stream + 16, 0, 8);
    memset(stream + 24 + 48, 0, 8);
}

/* A guest that asks again is told the same. */
static void tell_alike(const struct iovageom_viommu *books)
{
    static struct iovageom_region here[1024], there[1024];
    struct iovageom_viommu_endpoint found;
    size_t count, others;

    for (uint32_t id = 0; iovageom_viommu_endpoint_next(t.books, id, &found); id++) {
        id = found.endpoint;
        ck_assert_int_eq(iovageom_viommu_told(t.books, id, here, 1024, &count, NULL), 0);
        ck_assert_int_eq(iovageom_viommu_told(books, id, there, 1024, &others, NULL), 0);
        ck_assert_uint_eq(count, others);
        ck_assert_int_eq(memcmp(here, there, count * sizeof(here[0])), 0);
    }
}

/* Whether a device is expected that has not come since these were loaded. The stream does not say
 * so: they are like those alone that expect devices, too. */
static bool one_is_missing(void)
{
    struct iovageom_viommu_endpoint found;

    for (uint32_t id = 0; iovageom_viommu_endpoint_next(t.books, id, &found);
         id = found.endpoint + 1)
        if (found.expected)
            return true;
    return false;
}

static void save_and_load(void)
{
    static uint8_t first[STREAM_ROOM], second[STREAM_ROOM];
    size_t length, again;
    const bool late = t.expecting && (one_in(2) || one_is_missing());
    struct iovageom_viommu_endpoint found;
    struct iovageom_viommu *like;
    int error;

    if (!iovageom_viommu_frozen(t.books))
        return;
    ck_assert_int_eq(iovageom_viommu_save(t.books, first, sizeof(first), &length), 0);
    /* Where they are now, not why: who was the reason may have left, and groups get numbers
     * late. */
    for (size_t i = 0; i < t.step_count; i++) {
        ck_assert_int_eq(iovageom_viommu_endpoint(t.books, t.steps[i].endpoint, &found), 0);
        t.steps[i].where.guest_group = t.steps[i].group = found.guest_group;
        t.steps[i].where.address_space = found.address_space;
    }
    like = like_these(!late);
    if (like == NULL)
        return;
    error = iovageom_viommu_load(like, first, length, late ? IOVAGEOM_LOAD_EXPECT_DEVICES : 0,
                                 &t.report);
    if (error != 0)
        ck_abort_msg("%d: %s", error, iovageom_report_text(&t.report));
    if (late && !devices_come(like)) {
        iovageom_viommu_free(like);
        return;
    }
    if (test_viommu_check(like, false, &t.report) != 0)
        ck_abort_msg("%s", iovageom_report_text(&t.report));
    tell_alike(like);
    ck_assert_int_eq(iovageom_viommu_save(like, second, sizeof(second), &again), 0);
    ck_assert_uint_eq(again, length);
    without_generation(first);
    without_generation(second);
    t.saved++;
    t.late += late;
    /* Which member of a group came first is told by the order of declarations, but for aliases, and
       where devices have come in another one. */
    if (!t.aliased && !t.expecting) {
        ck_assert_int_eq(memcmp(first, second, length), 0);
        t.compared++;
    }
    iovageom_viommu_free(t.books);
    t.books = like;
}

/* ---- what a VMM does ---- */

static void forget_step(size_t i)
{
    memmove(&t.steps[i], &t.steps[i + 1], (t.step_count - i - 1) * sizeof(t.steps[0]));
    t.step_count--;
}

static void do_declare(void)
{
    struct step step = {.endpoint = (uint32_t)below(PLACES),
                        .kind = one_in(2) ? IOVAGEOM_ENDPOINT_EMULATED : IOVAGEOM_ENDPOINT_SLOT,
                        .group = one_in(2) ? OWN : below(3)};

    if (t.step_count < PLUGS && replay(t.books, &step) == 0)
        t.steps[t.step_count++] = step;
}

static void do_plug(void)
{
    struct step step = {.plug = true,
                        .endpoint = (uint32_t)below(PLACES),
                        .alias = (uint32_t)below(PLACES),
                        .host = (unsigned)below(HOSTS)};
    struct iovageom_viommu_endpoint found;

    if (t.step_count == PLUGS)
        return;
    iovageom_plug_options_init(&step.where);
    step.where.address_space = one_in(2) ? OWN : below(3);
    step.where.guest_group = one_in(2) ? OWN : below(3);
    step.where.flags = one_in(3) ? IOVAGEOM_PLUG_ALIAS : 0;
    /* An alias stays in the group that it came into, be it that of a device which has left. */
    if (t.aliased && one_in(3) && step.where.guest_group != OWN &&
        iovageom_viommu_endpoint(t.books, step.alias, &found) != 0)
        step.where.alias_count = 1;
    if (!t.aliased)
        step.where.flags = 0;
    if (replay(t.books, &step) == 0)
        t.steps[t.step_count++] = step;
}

static void do_unplug(void)
{
    const uint32_t endpoint = (uint32_t)below(PLACES);
    size_t last = SIZE_MAX;

    if (iovageom_viommu_unplug(t.books, endpoint) != 0)
        return;
    for (size_t i = 0; i < t.step_count; i++)
        if (t.steps[i].plug && t.steps[i].endpoint == endpoint)
            last = i;
    ck_assert_uint_ne(last, SIZE_MAX);
    forget_step(last);
}

static void do_undeclare(void)
{
    const uint32_t endpoint = (uint32_t)below(PLACES);

    if (iovageom_viommu_undeclare(t.books, endpoint) != 0)
        return;
    for (size_t i = 0; i < t.step_count; i++)
        if (!t.steps[i].plug && t.steps[i].endpoint == endpoint) {
            forget_step(i);
            return;
        }
}

static void do_update(void)
{
    const uint32_t endpoint = (uint32_t)below(PLACES);
    const unsigned host = (unsigned)below(HOSTS);

    if (t.aliased || iovageom_viommu_update(t.books, endpoint, t.hosts[host], 0, NULL) != 0)
        return;
    for (size_t i = 0; i < t.step_count; i++)
        if (t.steps[i].plug && t.steps[i].endpoint == endpoint)
            t.steps[i].host = host;
}

static void do_configure(void)
{
    const struct iovageom_range range = random_range(6);
    const enum iovageom_resv_type type = one_in(2) ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED;
    const int host = one_in(4) ? -1 : (int)below(HOSTS);

    if (one_in(2)) {
        if (t.region_count < REGIONS &&
            iovageom_viommu_add_region(t.books, range, type, IOVAGEOM_SOURCE_MACHINE, "region") ==
                0) {
            t.regions[t.region_count].range = range;
            t.regions[t.region_count++].type = type;
        }
    } else if (iovageom_viommu_set_envelope(t.books, host < 0 ? NULL : t.hosts[host], NULL) == 0) {
        t.envelope = host;
    }
}

static void do_identity(void)
{
    const struct iovageom_range range = random_range(4);

    if (iovageom_viommu_set_identity(t.books, &range, 1, NULL) == 0) {
        t.identity = range;
        t.has_identity = true;
    }
}

/* A machine that starts anew, perhaps with a driver that accepts less. */
static void do_restart(void)
{
    const uint32_t features = t.config.features & ~(1u << below(8)) & ~(1u << below(8));

    iovageom_viommu_reset(t.books, one_in(2));
    if (one_in(2))
        ck_assert_int_eq(iovageom_viommu_thaw(t.books), 0);
    if (one_in(2) && iovageom_viommu_driver_features(t.books, features, NULL) == 0)
        t.declined += (t.config.features & ~features & IOVAGEOM_VIRTIO_F_PROBE) != 0;
}

/* ---- what a guest does ---- */

static void do_guest(void)
{
    static uint8_t answer[PROBE_ROOM];
    const uint32_t domain = (uint32_t)below(DOMAINS), endpoint = (uint32_t)below(PLACES);
    const uint64_t granule = 0x1000u << (one_in(2) ? 0 : 2 * below(3));
    const uint64_t start = below(PAGES) * 0x1000 & ~(granule - 1);
    const struct iovageom_range range = RANGE(start, start + (1 + below(3)) * granule - 1);

    switch (below(9)) {
    case 0:
        (void)iovageom_viommu_detach(t.books, domain, endpoint, NULL);
        break;
    case 1:
    case 2:
        (void)iovageom_viommu_attach(t.books, domain, endpoint, one_in(4), NULL);
        break;
    case 3:
        (void)iovageom_viommu_unmap(t.books, domain, range, NULL, NULL);
        break;
    case 4:
    case 5:
        (void)iovageom_viommu_probe(t.books, endpoint, answer, sizeof(answer), NULL, NULL);
        break;
    default:
        if (iovageom_viommu_frozen(t.books))
            (void)iovageom_viommu_map(t.books, domain, range, below(64) * granule,
                                      (uint32_t)below(8), NULL);
    }
}

static void freeze_and_look(void)
{
    struct iovageom_virtio_config space;

    ck_assert_int_eq(iovageom_viommu_freeze(t.books, &t.report), 0);
    ck_assert_int_eq(iovageom_viommu_config_space(t.books, &space), 0);
    /* Also when the hosts have less than a granule in common. */
    ck_assert(iovageom_range_is_aligned(space.input_range,
                                        space.page_size_mask & (~space.page_size_mask + 1)));
    for (size_t i = 0; i < iovageom_report_count(&t.report); i++)
        t.odd_inputs += iovageom_report_at(&t.report, i)->kind == IOVAGEOM_FINDING_NOTHING_USABLE;
}

static void step(void)
{
    const uint64_t choice = below(100);

    if (choice < 50)
        do_guest();
    else if (choice < 62)
        do_plug();
    else if (choice < 68)
        do_declare();
    else if (choice < 74)
        do_unplug();
    else if (choice < 76)
        do_undeclare();
    else if (choice < 82)
        do_update();
    else if (choice < 88)
        do_configure();
    else if (choice < 90)
        do_identity();
    else if (choice < 92)
        (void)iovageom_viommu_set_bypass(t.books, (uint32_t)below(2), NULL);
    else if (choice < 94)
        do_restart();
    else if (choice < 96)
        freeze_and_look();
    else
        save_and_load();
}

START_TEST(whatever_can_be_saved_can_be_loaded)
{
    uint64_t saved = 0, compared = 0, odd_inputs = 0, declined = 0, late = 0;

    for (uint64_t life = 0; life < 6000; life++) {
        memset(&t, 0, sizeof(t));
        t.random = test_random_start(50000 + life);
        t.envelope = -1;
        t.aliased = one_in(4);
        t.expecting = one_in(3);
        iovageom_report_init(&t.report, NULL);
        do
            random_config();
        while (iovageom_viommu_new(NULL, &t.config, &t.books) != 0);
        for (unsigned i = 0; i < HOSTS; i++)
            t.hosts[i] = random_host(i);
        for (int i = 0; i < 300; i++)
            step();
        save_and_load();
        iovageom_viommu_free(t.books);
        for (unsigned i = 0; i < HOSTS; i++)
            iovageom_geometry_free(t.hosts[i]);
        iovageom_report_deinit(&t.report);
        saved += t.saved;
        compared += t.compared;
        odd_inputs += t.odd_inputs;
        declined += t.declined;
        late += t.late;
    }
    fprintf(stderr,
            "%llu saved and loaded, %llu compared, %llu before the devices, %llu had nothing in "
            "common, %llu declined\n",
            (unsigned long long)saved, (unsigned long long)compared, (unsigned long long)late,
            (unsigned long long)odd_inputs, (unsigned long long)declined);
    ck_assert_uint_gt(compared, 10000);
    ck_assert_uint_gt(saved, compared);
    ck_assert_uint_gt(odd_inputs, 5);
    ck_assert_uint_gt(declined, 100);
    ck_assert_uint_gt(late, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viommu_save");

    property_add(suite, whatever_can_be_saved_can_be_loaded);
    return property_run(suite);
}

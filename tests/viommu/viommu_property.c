/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random lives of the books, beside the model of viommu_model.h: plugging in all its forms,
 * requests as bytes, well-formed and hostile, memory that runs out anywhere. After each step the
 * answer is the model's; every few steps all that can be asked is compared, and the books check
 * themselves.
 */
#include <stdio.h>
#include <stdlib.h>

#include <iovageom/guest.h>
#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "support/property.h"
#include "support/test_sets.h"
#include "support/test_allocator.h"
#include "viommu_model.h"

#include "support/viommu_check.h"

#define TOP             ((uint64_t)PAGES * 4096 - 1)
#define PROBE_SIZE      4096u
#define RANGE(from, to) ((struct iovageom_range){(from), (to)})

static struct {
    struct test_random random;
    struct test_allocator memory;
    struct iovageom_viommu *books;
    struct iovageom_viommu_config config;
    struct model model;
    struct model_host hosts[HOSTS];
    struct iovageom_geometry *geometries[HOSTS];
    struct iovageom_report report;
    bool failing; /* an allocation may fail in this step */
    uint64_t steps, refused, no_memory;
} t;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&t.random, bound);
}

static bool one_in(uint64_t n)
{
    return test_random_one_in(&t.random, n);
}

static uint64_t some_group(uint64_t bound)
{
    return one_in(2) ? OWN : below(bound);
}

/* ---- hosts ---- */

static uint64_t random_pages(void)
{
    uint64_t pages = 0;

    for (uint64_t i = below(4); i > 0; i--) {
        const int first = (int)below(PAGES);
        const int last = first + (int)below(one_in(4) ? 16 : 3);

        pages |= model_bits(first, last < PAGES ? last : PAGES - 1);
    }
    return pages;
}

static void add_pages(struct iovageom_geometry *geometry, uint64_t pages,
                      enum iovageom_resv_type type)
{
    for (uint64_t i = 0; i < PAGES; i++)
        if ((pages >> i & 1) != 0)
            ck_assert_int_eq(iovageom_geometry_add_reserved(geometry,
                                                            RANGE(i * 4096, i * 4096 + 4095), type,
                                                            IOVAGEOM_SOURCE_SYSFS),
                             0);
}

static struct iovageom_geometry *make_geometry(const struct model_host *host, const char *name)
{
    struct iovageom_geometry *geometry;

    ck_assert_int_eq(iovageom_geometry_new(&t.memory.allocator, name, &geometry), 0);
    ck_assert_int_eq(iovageom_geometry_add_aperture(geometry, RANGE(0, TOP), IOVAGEOM_SOURCE_VFIO),
                     0);
    add_pages(geometry, host->reserved & ~host->msi, IOVAGEOM_RESV_DIRECT);
    add_pages(geometry, host->msi, IOVAGEOM_RESV_MSI);
    if (host->granule != 0)
        ck_assert_int_eq(iovageom_geometry_add_page_sizes(geometry, host->granule | 0x200000,
                                                          IOVAGEOM_SOURCE_VFIO),
                         0);
    if (host->budget != OWN)
        ck_assert_int_eq(
            iovageom_geometry_add_map_budget(geometry, host->budget, IOVAGEOM_SOURCE_VFIO), 0);
    if (host->total != OWN)
        ck_assert_int_eq(
            iovageom_geometry_add_map_budget(geometry, host->total, IOVAGEOM_SOURCE_USER), 0);
    return geometry;
}

static void make_hosts(void)
{
    for (int i = 0; i < HOSTS; i++) {
        struct model_host *host = &t.hosts[i];
        char name[] = "host A";

        name[5] = (char)('A' + i);
        host->reserved = i == 0 ? 0 : i == 1 && one_in(2) ? UINT64_MAX : random_pages();
        if (i > 4)
            host->reserved |= t.hosts[3].reserved;
        host->msi = one_in(2) ? host->reserved & random_pages() : 0;
        host->granule = one_in(3) ? 0 : one_in(4) ? 16384 : 4096;
        host->budget = one_in(4) ? below(8) : OWN;
        host->total = one_in(8) ? below(8) : OWN;
        if (i > 0 && one_in(4))
            *host = t.hosts[below((uint64_t)i)];
        t.geometries[i] = make_geometry(host, name);
    }
}

/* ---- making the books, and their destination in a migration ---- */

static struct iovageom_viommu *make_books(void)
{
    struct iovageom_viommu *books;
    struct iovageom_geometry *envelope;

    ck_assert_int_eq(iovageom_viommu_new(&t.memory.allocator, &t.config, &books), 0);
    for (uint64_t i = 0; i < PAGES; i++)
        if ((t.model.platform >> i & 1) != 0)
            ck_assert_int_eq(iovageom_viommu_add_region(books, RANGE(i * 4096, i * 4096 + 4095),
                                                        (t.model.platform_msi >> i & 1) != 0
                                                            ? IOVAGEOM_RESV_MSI
                                                            : IOVAGEOM_RESV_RESERVED,
                                                        IOVAGEOM_SOURCE_MACHINE, "platform"),
                             0);
    if (t.model.has_envelope) {
        envelope = make_geometry(&t.model.envelope, "envelope");
        ck_assert_int_eq(iovageom_viommu_set_envelope(books, envelope, NULL), 0);
        iovageom_geometry_free(envelope);
    }
    return books;
}

static void set_identity(struct iovageom_viommu *books)
{
    struct iovageom_range ranges[PAGES];
    size_t count = 0;

    for (uint64_t i = 0; i < PAGES; i++)
        if ((t.model.identity >> i & 1) != 0)
            ranges[count++] = RANGE(i * 4096, i * 4096 + 4095);
    ck_assert_int_eq(iovageom_viommu_set_identity(books, ranges, count, NULL), 0);
}

static void begin(uint64_t stream)
{
    memset(&t, 0, sizeof(t));
    t.random = test_random_start(stream);
    test_allocator_init(&t.memory);
    iovageom_report_init(&t.report, &t.memory.allocator);
    iovageom_viommu_config_init(&t.config);
    t.config.input_range = RANGE(0, TOP);
    t.config.domain_last = DOMAINS - 1;
    t.config.max_domains = one_in(3) ? 2 : DOMAINS;
    t.config.max_mappings = 24;
    t.config.max_domain_mappings = one_in(3) ? 6 : 30;
    t.config.probe_size = PROBE_SIZE;
    t.config.flags = stream % 2 == 0 ? IOVAGEOM_VIOMMU_INDEX_PHYS : 0;
    t.config.boot_bypass = one_in(2);
    t.config.granule = one_in(3) ? 16384 : 0;
    t.model.granule = 4096;
    t.model.config_granule = t.config.granule;
    t.model.max_domains = (int)t.config.max_domains;
    t.model.max_mappings = t.config.max_mappings;
    t.model.max_domain_mappings = t.config.max_domain_mappings;
    t.model.bypass = t.config.boot_bypass != 0;
    t.model.platform = one_in(2) ? random_pages() & 0x0f00ff0ff00f0ff0 : 0;
    t.model.platform_msi = one_in(2) ? t.model.platform : 0;
    t.model.identity = one_in(3) ? model_bits(0, (int)below(8)) : 0;
    make_hosts();
    t.model.has_envelope = one_in(2);
    t.model.envelope = model_settled(&t.model, OWN, &t.hosts[3]);
    if (!model_device_fits(&t.model, &t.model.envelope))
        t.model.has_envelope = false;
    t.books = make_books();
    set_identity(t.books);
}

static void end(void)
{
    iovageom_viommu_free(t.books);
    for (int i = 0; i < HOSTS; i++)
        iovageom_geometry_free(t.geometries[i]);
    iovageom_report_deinit(&t.report);
    ck_assert_uint_eq(test_allocator_live(&t.memory), 0);
}

/* ---- memory that runs out ---- */

static void may_fail(void)
{
    t.failing = one_in(6);
    if (t.failing)
        test_allocator_fail_at(&t.memory, 1 + below(12), one_in(2));
}

/* Whether the step failed for lack of memory, so that the model has nothing to do. */
static bool did_fail(int error)
{
    const bool hit = test_allocator_stop_failing(&t.memory);

    if (error == IOVAGEOM_ERR_NO_MEMORY) {
        ck_assert(hit);
        t.no_memory++;
    }
    return error == IOVAGEOM_ERR_NO_MEMORY;
}

/* ---- comparing ---- */

static uint64_t pages_of(const struct iovageom_rangeset *set)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;
    uint64_t pages = 0;

    iovageom_rangeset_seek(set, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        pages |= model_touch(range.start, range.last);
    return pages;
}

static void compare_place(uint32_t id)
{
    const struct model_place *p = &t.model.places[id];
    const struct model_plug *device = model_listed(&t.model, id);
    struct iovageom_viommu_endpoint found;
    struct iovageom_viommu_promise promise;
    struct iovageom_rangeset told, now, added, removed;
    uint64_t reserved, phys;
    bool bypass;

    if (p->kind == KIND_NONE) {
        ck_assert_int_eq(iovageom_viommu_endpoint(t.books, id, &found), IOVAGEOM_ERR_NOT_FOUND);
        return;
    }
    ck_assert_int_eq(iovageom_viommu_endpoint(t.books, id, &found), 0);
    ck_assert_uint_eq(found.kind, (uint32_t)p->kind);
    ck_assert_uint_eq(found.plugged, (uint32_t)model_devices(&t.model, id, false));
    ck_assert_uint_eq(found.prepared, model_devices(&t.model, id, true) > 0);
    ck_assert_uint_eq(found.domain, p->domain < 0 ? OWN : (uint64_t)p->domain);
    ck_assert_int_eq(found.generation != 0, p->told);
    bypass = p->domain >= 0 ? t.model.domains[p->domain].bypass
                            : model_translate(&t.model, id, 0, 0, &phys) == -1;
    ck_assert_uint_eq(found.bypass, bypass);
    ck_assert_uint_eq(found.guest_group, p->group >> 63 ? OWN : p->group);
    ck_assert_int_eq(found.geometry != NULL, device != NULL);
    ck_assert_uint_eq(found.host_group, model_host_group(&t.model, id));
    ck_assert_uint_eq(found.address_space,
                      device == NULL || device->unit >> 62 ? OWN : device->unit);
    for (uint64_t i = 0; device != NULL && i < HOSTS; i++)
        ck_assert(!model_same_host(&t.hosts[i], &device->host) || device->host.budget != OWN ||
                  t.hosts[i].budget != OWN ||
                  iovageom_geometry_equal(found.geometry, t.geometries[i]));
    iovageom_rangeset_init(&told, NULL);
    iovageom_rangeset_init(&now, NULL);
    iovageom_rangeset_init(&added, NULL);
    iovageom_rangeset_init(&removed, NULL);
    ck_assert_int_eq(iovageom_viommu_promise(t.books, id, &promise, &told, &now, &added, &removed),
                     0);
    ck_assert_int_eq(promise.told, p->told);
    ck_assert_uint_eq(promise.generation, found.generation);
    ck_assert_uint_ge(promise.now, promise.generation);
    ck_assert(promise.told || !promise.current);
    ck_assert(promise.told || p->promise == 0);
    if (t.model.frozen) {
        reserved = model_widen(&t.model, model_group(&t.model, p->group, NULL));
        ck_assert_uint_eq(pages_of(&told), p->promise);
        ck_assert_uint_eq(pages_of(&now), ~reserved);
        ck_assert_uint_eq(pages_of(&added), ~reserved & ~p->promise);
        ck_assert_uint_eq(pages_of(&removed), p->promise & reserved);
        ck_assert_int_eq(promise.safe, (p->promise & reserved) == 0);
        ck_assert(promise.safe || t.model.stale);
    }
    iovageom_rangeset_deinit(&told);
    iovageom_rangeset_deinit(&now);
    iovageom_rangeset_deinit(&added);
    iovageom_rangeset_deinit(&removed);
}

static void compare_domain(uint32_t id)
{
    const struct model_domain *d = &t.model.domains[id];
    struct iovageom_viommu_domain found;
    struct iovageom_rangeset usable;
    struct iovageom_mapping mapping;
    uint64_t from = 0;
    int seen = 0;

    ck_assert_int_eq(iovageom_viommu_domain(t.books, id, &found),
                     d->exists ? 0 : IOVAGEOM_ERR_NOT_FOUND);
    if (!d->exists)
        return;
    ck_assert_uint_eq(found.bypass, d->bypass);
    ck_assert_uint_eq(found.mappings, (uint64_t)d->count);
    ck_assert_uint_eq(found.budget, model_budget(&t.model, (int)id));
    while (iovageom_viommu_mapping_next(t.books, id, from, &mapping)) {
        bool known = false;

        for (int i = 0; i < d->count; i++)
            known |= d->mappings[i].start == mapping.range.start &&
                     d->mappings[i].last == mapping.range.last &&
                     d->mappings[i].phys == mapping.phys && d->mappings[i].flags == mapping.flags;
        ck_assert(known);
        seen++;
        from = mapping.range.last + 1;
    }
    ck_assert_int_eq(seen, d->count);
    iovageom_rangeset_init(&usable, NULL);
    ck_assert_int_eq(iovageom_viommu_domain_usable(t.books, id, &usable), 0);
    ck_assert_uint_eq(pages_of(&usable),
                      ~model_widen(&t.model, model_domain_reserved(&t.model, (int)id)));
    iovageom_rangeset_deinit(&usable);
}

static void compare(void)
{
    if (test_viommu_check(t.books, t.model.stale, &t.report) != 0)
        ck_abort_msg("%s", iovageom_report_text(&t.report));
    ck_assert_int_eq(iovageom_viommu_frozen(t.books), t.model.frozen);
    for (uint32_t id = 0; id < PLACES; id++)
        compare_place(id);
    for (uint32_t id = 0; id < DOMAINS; id++)
        compare_domain(id);
    for (int i = 0; i < 8; i++) {
        struct iovageom_segment to = {0};
        const uint32_t id = (uint32_t)below(PLACES + 1), flags = (uint32_t)below(4);
        const uint64_t address = below(TOP + 1);
        const int status = iovageom_viommu_translate(
            t.books, id, ((struct iovageom_range){address, address}), flags, &to, 1, NULL, NULL);
        const int fault = status == IOVAGEOM_OK ? -1 : status == IOVAGEOM_ERR_FAULT ? 2 : 1;
        uint64_t phys;
        const int wanted = model_translate(&t.model, id, address, flags, &phys);

        ck_assert_int_eq(fault, wanted);
        ck_assert(wanted >= 0 || to.phys == phys);
    }
}

/* ---- steps of the VMM ---- */

static void refusal_says_why(int error)
{
    size_t fatal = 0;

    if (error == 0 || error == IOVAGEOM_ERR_INVALID || error == IOVAGEOM_ERR_NO_MEMORY)
        return;
    for (size_t i = 0; i < iovageom_report_count(&t.report); i++)
        fatal += iovageom_report_at(&t.report, i)->fatal;
    ck_assert_uint_gt(fatal + iovageom_report_dropped(&t.report), 0);
    t.refused++;
}

/* Make it a device that can answer to what another one answers to: same host page tables, same
   geometry. By chance alone that is too rare for plugs to meet at an endpoint. */
static void keep_company(struct model_where *w, uint64_t *host)
{
    const struct model_plug *p = model_device(&t.model, (uint32_t)below(PLACES));

    if (p == NULL || p->unit >> 63)
        return;
    w->address_space = p->unit >> 62 ? OWN : p->unit;
    w->host_group = p->host_group;
    if (p->unit >> 62 == 0 && one_in(3))
        w->host_group = some_group(3);
    w->guest_group = OWN;
    w->alias = true;
    for (uint64_t i = 0; i < HOSTS; i++)
        if (model_same_host(&t.hosts[i], &p->host))
            *host = i;
}

static void step_plug(void)
{
    const uint32_t id = (uint32_t)below(PLACES);
    uint64_t host = below(HOSTS);
    struct model_where w = {
        some_group(3), some_group(3), some_group(3), one_in(4), one_in(12), {0}, 0};
    struct iovageom_plug_options where;
    bool went_stale = false;
    int wanted, error;

    for (; one_in(5) && w.alias_count < 3; w.alias_count++)
        w.aliases[w.alias_count] = (uint32_t)below(PLACES);
    if (t.model.plug_count == PLUGS)
        return;
    if (one_in(2))
        keep_company(&w, &host);
    iovageom_plug_options_init(&where);
    where.host_group = w.host_group;
    where.address_space = w.address_space;
    where.guest_group = w.guest_group;
    where.aliases = w.aliases;
    where.alias_count = (size_t)w.alias_count;
    where.flags = (w.alias ? IOVAGEOM_PLUG_ALIAS : 0) | (w.stale ? IOVAGEOM_PLUG_ALLOW_STALE : 0);
    wanted = model_plug_ask(&t.model, id, &w, &t.hosts[host], &went_stale);
    ck_assert_int_eq(iovageom_viommu_plug_check(t.books, id, &where, t.geometries[host], &t.report),
                     wanted);
    refusal_says_why(wanted);
    may_fail();
    if (one_in(3))
        error = iovageom_viommu_plug_prepare(t.books, id, &where, t.geometries[host], &t.report);
    else
        error = iovageom_viommu_plug(t.books, id, &where, t.geometries[host], &t.report);
    if (did_fail(error))
        return;
    ck_assert_int_eq(error, wanted);
    if (wanted != 0)
        return;
    model_prepare(&t.model, id, &w, &t.hosts[host]);
    t.model.stale |= went_stale;
    {
        struct iovageom_viommu_endpoint found;

        ck_assert_int_eq(iovageom_viommu_endpoint(t.books, id, &found), 0);
        if (!found.prepared)
            (void)model_commit(&t.model, id);
    }
}

static void step_finish(void)
{
    const uint32_t id = (uint32_t)below(PLACES);

    if (one_in(2))
        ck_assert_int_eq(iovageom_viommu_plug_commit(t.books, id), model_commit(&t.model, id));
    else
        ck_assert_int_eq(iovageom_viommu_plug_abort(t.books, id), model_abort(&t.model, id));
}

/* Unplugging, undeclaring and resetting work without any memory at all. */
static void step_leave(void)
{
    const uint32_t id = (uint32_t)below(PLACES);
    const struct model_place *p = &t.model.places[id];
    int wanted;

    test_allocator_fail_at(&t.memory, 1, true);
    if (one_in(40)) {
        iovageom_viommu_reset(t.books, false);
        model_reset(&t.model);
        if (one_in(2)) {
            ck_assert_int_eq(iovageom_viommu_thaw(t.books), 0);
            t.model.frozen = false;
        }
    } else if (one_in(40)) {
        wanted = model_relied_on(&t.model) ? REFUSE_STATE : 0;
        ck_assert_int_eq(iovageom_viommu_thaw(t.books), wanted);
        t.model.frozen &= wanted != 0;
    } else if (one_in(2)) {
        ck_assert_int_eq(iovageom_viommu_unplug(t.books, id), model_unplug(&t.model, id));
    } else {
        wanted = p->kind == KIND_NONE                 ? REFUSE_NOT_FOUND
                 : model_device(&t.model, id) != NULL ? REFUSE_STATE
                                                      : 0;
        ck_assert_int_eq(iovageom_viommu_undeclare(t.books, id), wanted);
        if (wanted == 0)
            model_drop(&t.model, (int)id);
    }
    ck_assert(!test_allocator_stop_failing(&t.memory));
}

static void step_declare(void)
{
    const uint32_t id = (uint32_t)below(PLACES);
    const int kind = one_in(2) ? KIND_EMULATED : KIND_SLOT;
    const uint64_t group = some_group(3);
    const uint64_t key = group == OWN ? model_own(t.model.own_groups++) : group;
    bool first_slot = kind == KIND_SLOT && t.model.has_envelope, went_stale = false;
    int wanted = 0, error;

    for (int i = 0; i < PLACES; i++)
        first_slot &= t.model.places[i].kind != KIND_SLOT || t.model.places[i].group != key;
    if (t.model.places[id].kind != KIND_NONE)
        wanted = REFUSE_EXISTS;
    else if (first_slot &&
             !model_group_bears(&t.model, key, OWN, &t.model.envelope, false, &went_stale))
        wanted = REFUSE_CONFLICT;
    may_fail();
    error =
        iovageom_viommu_declare(t.books, id, group, (enum iovageom_endpoint_kind)kind, &t.report);
    if (did_fail(error))
        return;
    ck_assert_int_eq(error, wanted);
    if (wanted != 0)
        return;
    memset(&t.model.places[id], 0, sizeof(t.model.places[id]));
    t.model.places[id].kind = kind;
    t.model.places[id].group = key;
    t.model.places[id].domain = -1;
}

static void step_update(void)
{
    const uint32_t id = (uint32_t)below(PLACES);
    const int plug = model_own_plug(&t.model, id, false);
    const uint64_t host = below(HOSTS);
    const struct model_host settled =
        model_settled(&t.model, plug < 0 ? OWN : t.model.plugs[plug].unit, &t.hosts[host]);
    const bool stale = one_in(12);
    bool went_stale = false;
    int wanted = 0, error;

    if (plug < 0)
        wanted = REFUSE_NOT_FOUND;
    else if (!model_device_fits(&t.model, &t.hosts[host]) ||
             (t.model.bypass && (t.model.identity & t.hosts[host].reserved) != 0) ||
             !model_all_bear(&t.model, t.model.plugs[plug].unit, &t.model.places[id].group, 1,
                             &settled, stale, &went_stale))
        wanted = REFUSE_CONFLICT;
    may_fail();
    error = iovageom_viommu_update(t.books, id, t.geometries[host],
                                   stale ? IOVAGEOM_PLUG_ALLOW_STALE : 0, &t.report);
    if (did_fail(error))
        return;
    ck_assert_int_eq(error, wanted);
    if (wanted != 0)
        return;
    for (int i = 0; i < t.model.plug_count; i++)
        if (t.model.plugs[i].ids[0] == id)
            t.model.plugs[i].host = settled;
    t.model.stale |= went_stale;
}

/* ---- steps of the guest ---- */

static void store(uint8_t *at, uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t load(const uint8_t *at, int width)
{
    uint64_t value = 0;

    for (int i = 0; i < width; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static uint64_t random_address(void)
{
    if (one_in(20))
        return test_random_address(&t.random);
    return below(PAGES + 2) * 4096;
}

/* Mostly what a driver would write; returns the size of the device-readable part. */
static size_t write_request(uint8_t *bytes, size_t *writable)
{
    static const uint8_t sizes[] = {0, 20, 20, 36, 28, 72};
    const int type = one_in(40) ? (int)below(256) : 1 + (int)below(5);
    const uint32_t domain = (uint32_t)below(DOMAINS + (one_in(20) ? 1 : 0));
    const uint32_t endpoint = (uint32_t)below(PLACES + (one_in(20) ? 1 : 0));
    const uint64_t start = random_address();
    const uint64_t length = (1 + below(one_in(4) ? 12 : 3)) * t.model.granule;
    size_t size = type <= 5 ? sizes[type] : 36;

    memset(bytes, 0, 80);
    bytes[0] = (uint8_t)type;
    store(bytes + 4, type == 5 ? endpoint : domain, 4);
    store(bytes + 8, endpoint, type < 3 ? 4 : 0);
    if (type == 1)
        store(bytes + 12, one_in(3), 4);
    if (type == 3 || type == 4) {
        store(bytes + 8, start & ~(t.model.granule - 1), 8);
        store(bytes + 16, (start & ~(t.model.granule - 1)) + length - 1, 8);
    }
    if (type == 3) {
        store(bytes + 24, below(1 << 20) * t.model.granule, 8);
        store(bytes + 32, below(4) | (one_in(8) ? 4 : 0), 4);
    }
    *writable = type == 5 ? PROBE_SIZE + 4 : 4;
    for (; one_in(12); bytes[below(80)] = (uint8_t)below(256))
        continue;
    if (one_in(30))
        size = below(81);
    if (one_in(30))
        *writable = below(PROBE_SIZE + 40);
    return size;
}

static bool reserved_bytes(const uint8_t *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (bytes[i] != 0)
            return true;
    return false;
}

/* What PROBE said, as pages; MSI must be told at most once, and as the model has it. */
static void read_probe(const uint8_t *bytes, uint32_t id, uint64_t reserved)
{
    uint64_t pages = 0, msi_pages = 0, msi, windows = 0;
    size_t at = 0;

    (void)model_group(&t.model, t.model.places[id].group, &msi);
    for (; at + 24 <= PROBE_SIZE && bytes[at] == 1; at += 24) {
        const uint64_t start = load(bytes + at + 8, 8), last = load(bytes + at + 16, 8);

        ck_assert_uint_eq(load(bytes + at + 2, 2), 20);
        ck_assert(start <= last && (pages & model_touch(start, last)) == 0);
        ck_assert(start % t.model.granule == 0 && (last + 1) % t.model.granule == 0);
        pages |= model_touch(start, last);
        if (bytes[at + 4] == 1) {
            windows++;
            msi_pages |= model_touch(start, last);
        }
    }
    ck_assert(!reserved_bytes(bytes, at, PROBE_SIZE));
    ck_assert_uint_eq(pages, reserved);
    ck_assert_uint_eq(windows, (msi & t.model.platform_msi) != 0 || msi != 0);
    ck_assert_uint_eq(msi_pages & ~model_widen(&t.model, msi), 0);
}

/* The model's answer to the bytes; -1 when the buffer is to be left alone. */
static int model_request(const uint8_t *bytes, size_t size, size_t writable, uint64_t *reserved)
{
    static const uint8_t sizes[] = {0, 20, 20, 36, 28, 72};
    const uint32_t first = (uint32_t)load(bytes + 4, 4), second = (uint32_t)load(bytes + 8, 4);
    const struct model_mapping mapping = {load(bytes + 8, 8), load(bytes + 16, 8),
                                          load(bytes + 24, 8), (uint32_t)load(bytes + 32, 4)};

    model_freeze(&t.model);
    if (size < 4 || bytes[0] == 0 || bytes[0] > 5 || writable < 4)
        return -1;
    if (size < sizes[bytes[0]])
        return S_INVAL;
    switch (bytes[0]) {
    case 1:
        if (reserved_bytes(bytes, 16, 20))
            return S_INVAL;
        return model_attach(&t.model, first, second, (uint32_t)load(bytes + 12, 4));
    case 2:
        return model_detach_request(&t.model, first, second);
    case 3:
        return model_map(&t.model, first, &mapping);
    case 4:
        if (reserved_bytes(bytes, 24, 28))
            return S_INVAL;
        return model_unmap(&t.model, first, mapping.start, mapping.last);
    default:
        if (first >= PLACES || t.model.places[first].kind == KIND_NONE ||
            (t.model.places[first].kind == KIND_DEVICE &&
             model_devices(&t.model, first, false) == 0))
            return S_NOENT;
        if (writable < PROBE_SIZE + 4)
            return S_INVAL;
        return model_probe(&t.model, first, reserved);
    }
}

static void step_request(void)
{
    static uint8_t answer[PROBE_SIZE + 64];
    uint8_t bytes[80];
    size_t writable, size = write_request(bytes, &writable), used;
    const struct model before = t.model;
    struct iovageom_viommu_transaction transaction;
    uint64_t reserved = 0;
    int32_t veto = one_in(10) ? IOVAGEOM_ERR_UNKNOWN : 0;
    bool agreed;
    const size_t tail = bytes[0] == 5 && writable >= 4
                            ? (writable < PROBE_SIZE + 4 ? writable - 4 : PROBE_SIZE)
                            : 0;
    int wanted = model_request(bytes, size, writable, &reserved);

    memset(answer, 0xee, sizeof(answer));
    may_fail();
    iovageom_viommu_request_begin(t.books, bytes, size, writable, &transaction, &t.report);
    agreed = transaction.status == S_OK;
    used = iovageom_viommu_request_end(t.books, &transaction, veto, answer, writable, &t.report);
    /* What was agreed to is done, if there is memory. */
    ck_assert(!agreed || used == 0 || veto != 0 || answer[tail] == S_OK || answer[tail] == S_NOMEM);
    if (test_allocator_stop_failing(&t.memory) && used > 0 && answer[tail] == S_NOMEM) {
        t.no_memory++;
        t.model = before;
        if (iovageom_viommu_frozen(t.books))
            model_freeze(&t.model);
        return;
    }
    if (wanted == -1) {
        ck_assert_uint_eq(used, 0);
        ck_assert_uint_eq(answer[0], 0xee);
        return;
    }
    if (wanted == S_OK && veto != 0) {
        t.model = before;
        model_freeze(&t.model);
        wanted = iovageom_status_virtio(veto);
    }
    ck_assert_uint_eq(used, tail + 4);
    ck_assert_uint_eq(answer[tail], (uint8_t)wanted);
    ck_assert(!reserved_bytes(answer, tail + 1, tail + 4));
    if (wanted != S_OK)
        ck_assert_uint_gt(
            iovageom_report_count(&t.report) + (veto != 0) + iovageom_report_dropped(&t.report), 0);
    if (wanted == S_OK && bytes[0] == 5)
        read_probe(answer, (uint32_t)load(bytes + 4, 4), reserved);
    else
        ck_assert(!reserved_bytes(answer, 0, tail));
}

/* Anything may happen between begin and end. */
static void step_interrupted(void)
{
    static uint8_t answer[PROBE_SIZE + 64];
    uint8_t bytes[80];
    size_t writable, size = write_request(bytes, &writable), used;
    struct iovageom_viommu_transaction transaction;
    const int32_t veto = one_in(6) ? IOVAGEOM_ERR_UNKNOWN : 0;
    uint64_t reserved = 0;
    struct model before;
    int wanted;

    iovageom_viommu_request_begin(t.books, bytes, size, writable, &transaction, &t.report);
    model_freeze(&t.model);
    before = t.model;
    wanted = model_request(bytes, size, writable, &reserved);
    ck_assert_int_eq(transaction.status == S_OK, wanted == S_OK);
    t.model = before;
    for (uint64_t n = wanted == S_OK ? below(4) : 0; n > 0; n--)
        switch (below(6)) {
        case 0:
            step_request();
            break;
        case 1:
            step_plug();
            break;
        case 2:
            step_finish();
            break;
        case 3:
            step_update();
            break;
        default:
            step_leave();
            break;
        }
    used = iovageom_viommu_request_end(t.books, &transaction, veto, answer, writable, &t.report);
    if (wanted != S_OK)
        return;
    ck_assert_uint_eq(used, transaction.request.used_length);
    wanted =
        veto != 0 ? iovageom_status_virtio(veto) : model_request(bytes, size, writable, &reserved);
    ck_assert_uint_eq(iovageom_status_virtio(transaction.status), (uint8_t)wanted);
    ck_assert_uint_eq(answer[used - 4], (uint8_t)wanted);
    if (wanted == S_OK && bytes[0] == 5)
        read_probe(answer, (uint32_t)load(bytes + 4, 4), reserved);
    ck_assert_int_eq(test_viommu_check(t.books, t.model.stale, &t.report), 0);
}

/* The guest writes the field, whoever is attached and could not bypass. */
static void step_bypass(void)
{
    const struct model *m = &t.model;
    const bool on = one_in(2);
    int wanted = 0;

    for (uint32_t i = 0; i < PLACES; i++)
        for (int j = 0; j < m->plug_count; j++)
            if (on && m->places[i].domain < 0 && model_on_unit(m, i, m->plugs[j].unit) &&
                (m->identity & m->plugs[j].host.reserved) != 0)
                wanted = REFUSE_CONFLICT;
    ck_assert_int_eq(iovageom_viommu_set_bypass(t.books, on, &t.report), wanted);
    if (wanted == 0)
        t.model.bypass = on;
}

/* Whether a group that has no number has no second endpoint, either. */
static bool alone(uint32_t id)
{
    for (uint32_t i = 0; i < PLACES; i++)
        if (i != id && t.model.places[i].kind != KIND_NONE && t.model.places[id].group >> 63 &&
            t.model.places[i].group == t.model.places[id].group)
            return false;
    return true;
}

/* Move to another machine with the same devices, in the middle of everything. */
static void step_migrate(void)
{
    static uint8_t stream[1 << 16];
    struct iovageom_viommu *to;
    struct iovageom_plug_options where;
    size_t needed = 0;
    int error;

    /* Who still is in the own group of a device that it was an alias of, can't be told to be. */
    for (uint32_t i = 0; i < PLACES; i++)
        if (t.model.places[i].kind != KIND_NONE &&
            (model_devices(&t.model, i, true) > 0 || model_devices(&t.model, i, false) > 1 ||
             !alone(i)))
            return;
    for (int i = 0; i < t.model.plug_count; i++)
        if (t.model.plugs[i].count > 1)
            return;
    /* Who should bypass and can't, faults here; another machine does not take it on. */
    for (uint32_t id = 0; id < PLACES; id++)
        if (t.model.bypass && t.model.places[id].kind != KIND_NONE &&
            t.model.places[id].domain < 0 && model_visible(&t.model, id) &&
            model_translate(&t.model, id, 0, 0, &(uint64_t){0}) != -1)
            return;
    if (!t.model.frozen || t.model.stale)
        return;
    ck_assert_int_eq(iovageom_viommu_save(t.books, NULL, 0, &needed),
                     IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    ck_assert_uint_le(needed, sizeof(stream));
    ck_assert_int_eq(iovageom_viommu_save(t.books, stream, needed, &needed), 0);
    /* The stream says who bypasses now. */
    t.config.boot_bypass = 0;
    to = make_books();
    for (uint32_t id = 0; id < PLACES; id++) {
        const struct model_place *p = &t.model.places[id];
        const struct model_plug *device = model_device(&t.model, id);
        const uint64_t group = p->group >> 63 ? OWN : p->group;
        struct iovageom_geometry *geometry;

        if (p->kind == KIND_EMULATED || p->kind == KIND_SLOT)
            ck_assert_int_eq(
                iovageom_viommu_declare(to, id, group, (enum iovageom_endpoint_kind)p->kind, NULL),
                0);
        if (device == NULL)
            continue;
        iovageom_plug_options_init(&where);
        where.guest_group = group;
        where.host_group = device->host_group;
        t.model.plugs[device - t.model.plugs].claims =
            device->host_group != OWN ? (uint64_t)1 << device->host_group : 0;
        where.address_space = device->unit >> 62 ? OWN : device->unit;
        geometry = make_geometry(&device->host, "again");
        ck_assert_int_eq(iovageom_viommu_plug(to, id, &where, geometry, NULL), 0);
        iovageom_geometry_free(geometry);
    }
    set_identity(to);
    if (one_in(2)) {
        uint8_t keep = stream[needed / 2];
        size_t cut = below(needed);

        stream[needed / 2] ^= (uint8_t)(1 + below(255));
        ck_assert_int_ne(iovageom_viommu_load(to, stream, needed, 0, NULL), 0);
        stream[needed / 2] = keep;
        ck_assert_int_ne(iovageom_viommu_load(to, stream, cut, 0, NULL), 0);
    }
    may_fail();
    error = iovageom_viommu_load(to, stream, needed, 0, &t.report);
    if (did_fail(error))
        error = iovageom_viommu_load(to, stream, needed, 0, &t.report);
    if (error != 0)
        ck_abort_msg("%d: %s", error, iovageom_report_text(&t.report));
    iovageom_viommu_free(t.books);
    t.books = to;
}

static void step(void)
{
    const uint64_t choice = below(100);

    if (choice < 4)
        step_interrupted();
    else if (choice < 72)
        step_request();
    else if (choice < 82)
        step_plug();
    else if (choice < 87)
        step_leave();
    else if (choice < 92)
        step_declare();
    else if (choice < 95)
        step_finish();
    else if (choice < 98)
        step_update();
    else if (one_in(8))
        step_migrate();
    else if (one_in(4))
        step_bypass();
    t.steps++;
}

START_TEST(lives_of_the_books)
{
    uint64_t steps = 0, refused = 0, no_memory = 0;

    for (uint64_t life = 0; life < 400; life++) {
        begin(1000 + life);
        for (int i = 0; i < 2500; i++) {
            step();
            if (one_in(40))
                compare();
        }
        compare();
        steps += t.steps;
        refused += t.refused;
        no_memory += t.no_memory;
        end();
    }
    ck_assert_uint_gt(refused, 1000);
    ck_assert_uint_gt(no_memory, 1000);
    fprintf(stderr, "%llu steps, %llu plugs refused, %llu times out of memory\n",
            (unsigned long long)steps, (unsigned long long)refused, (unsigned long long)no_memory);
}
END_TEST

/* ---- the theorem, for a guest group ---- */

/* A host of 36 to 48 bits with some windows, an MSI one among them. */
static struct iovageom_geometry *theorem_host(const char *name)
{
    const unsigned bits = 36 + (unsigned)below(13);
    struct iovageom_geometry *geometry;

    ck_assert_int_eq(iovageom_geometry_new(NULL, name, &geometry), 0);
    ck_assert_int_eq(iovageom_geometry_add_gaw(geometry, bits, IOVAGEOM_SOURCE_VFIO), 0);
    ck_assert_int_eq(iovageom_geometry_add_page_sizes(geometry, one_in(4) ? 0x10000 : 0x1000,
                                                      IOVAGEOM_SOURCE_VFIO),
                     0);
    ck_assert_int_eq(iovageom_geometry_add_reserved(geometry, RANGE(0xfee00000, 0xfeefffff),
                                                    IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
                     0);
    for (uint64_t n = below(one_in(3) ? 30 : 3); n > 0; n--) {
        const uint64_t start = below((uint64_t)1 << (20 + below(bits - 20))) & ~(uint64_t)0xfff;

        ck_assert_int_eq(iovageom_geometry_add_reserved(
                             geometry, RANGE(start, start + (below(64) << 12) + 0xfff),
                             IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS),
                         0);
    }
    return geometry;
}

/* Every address that a Linux guest may choose after it was told of `endpoint`. */
static void guest_choices(struct iovageom_viommu *books, uint32_t endpoint,
                          struct iovageom_rangeset *out)
{
    const struct iovageom_guestview_kernel kernel = {65536, UINT32_MAX, 0, 0};
    static uint8_t bytes[4096];
    struct iovageom_region regions[256];
    struct iovageom_virtio_config space;
    struct iovageom_guestview_dma dma;
    size_t needed, count = 0;

    ck_assert_int_eq(iovageom_viommu_freeze(books, NULL), 0);
    ck_assert_int_eq(iovageom_viommu_config_space(books, &space), 0);
    ck_assert_uint_eq(iovageom_status_virtio(iovageom_viommu_probe(
                          books, endpoint, bytes, space.probe_size, &needed, NULL)),
                      S_OK);
    ck_assert_int_eq(iovageom_guestview_probe(&kernel, &space, bytes, space.probe_size, regions,
                                              256, &count, NULL),
                     0);
    ck_assert_int_eq(iovageom_guestview_dma_init(&dma, NULL, &space, regions, count), 0);
    ck_assert_int_eq(iovageom_rangeset_complement(out, &dma.taken, dma.limits), 0);
    iovageom_guestview_dma_deinit(&dma);
}

/* Tightness: what the hosts map and the guest can't choose is its first granule, or was named. */
static void nothing_is_lost_in_silence(struct iovageom_viommu *books, uint32_t endpoint,
                                       const struct iovageom_rangeset *usable,
                                       const struct iovageom_rangeset *choices, uint64_t granule)
{
    struct iovageom_region regions[256];
    struct iovageom_rangeset lost;
    size_t count;

    iovageom_rangeset_init(&lost, NULL);
    ck_assert_int_eq(iovageom_rangeset_difference(&lost, usable, choices), 0);
    ck_assert_int_eq(iovageom_rangeset_remove(&lost, RANGE(0, granule - 1)), 0);
    ck_assert_int_eq(iovageom_viommu_told(books, endpoint, regions, 256, &count, &t.report), 0);
    for (size_t i = 0; i < iovageom_report_count(&t.report); i++)
        if (iovageom_report_at(&t.report, i)->kind == IOVAGEOM_FINDING_LOST)
            ck_assert_int_eq(
                iovageom_rangeset_remove(&lost, iovageom_report_at(&t.report, i)->range), 0);
    ck_assert_uint_eq(iovageom_rangeset_count(&lost), 0);
    iovageom_rangeset_deinit(&lost);
}

/*
 * A port is told of its guest group, the guest makes up its mind, and then devices come and go
 * below it: whatever may be plugged maps every address that the guest may choose.
 */
static void theorem(void)
{
    struct iovageom_viommu_config config;
    struct iovageom_plug_options where;
    struct iovageom_viommu *books;
    struct iovageom_geometry *pool = theorem_host("pool"), *host = theorem_host("cold");
    struct iovageom_rangeset choices, usable, other;
    struct iovageom_virtio_config space;
    uint64_t granule, own, hosts;

    iovageom_rangeset_init(&choices, NULL);
    iovageom_rangeset_init(&usable, NULL);
    iovageom_rangeset_init(&other, NULL);
    iovageom_viommu_config_init(&config);
    config.probe_size = (uint32_t)(96 + 24 * below(30));
    config.granule = one_in(3) ? 0x10000 : 0;
    ck_assert_int_eq(iovageom_viommu_new(NULL, &config, &books), 0);
    ck_assert_int_eq(iovageom_viommu_set_envelope(books, pool, NULL), 0);
    ck_assert_int_eq(iovageom_viommu_declare(books, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    ck_assert_int_eq(iovageom_viommu_declare(books, 2, 1, IOVAGEOM_ENDPOINT_SLOT, NULL), 0);
    iovageom_plug_options_init(&where);
    where.guest_group = 1;
    ck_assert_int_eq(iovageom_viommu_plug(books, 3, &where, host, NULL), 0);
    guest_choices(books, 1, &choices);
    ck_assert_int_eq(iovageom_viommu_config_space(books, &space), 0);
    granule = space.page_size_mask & (~space.page_size_mask + 1);
    ck_assert_int_eq(iovageom_geometry_usable(host, granule, &other), 0);
    ck_assert(test_subset(&choices, &other));
    ck_assert_int_eq(iovageom_geometry_granule(pool, &own), 0);
    ck_assert_int_eq(iovageom_geometry_granule(host, &hosts), 0);
    own = own > hosts ? own : hosts;
    ck_assert_int_eq(iovageom_geometry_usable(pool, own, &usable), 0);
    ck_assert_int_eq(iovageom_geometry_usable(host, own, &other), 0);
    ck_assert_int_eq(iovageom_rangeset_intersection(&usable, &usable, &other), 0);
    nothing_is_lost_in_silence(books, 1, &usable, &choices, granule);
    for (int i = 0; i < 6; i++) {
        struct iovageom_geometry *next = one_in(2) ? theorem_host("next") : NULL;

        ck_assert_int_eq(iovageom_geometry_usable(next != NULL ? next : pool, granule, &other), 0);
        if (iovageom_viommu_plug(books, 2, NULL, next != NULL ? next : pool, &t.report) == 0) {
            ck_assert(test_subset(&choices, &other));
            t.steps++;
            ck_assert_int_eq(iovageom_viommu_unplug(books, 2), 0);
        } else {
            /* Refused: for the granule, or because it would not map what was promised. */
            ck_assert(next != NULL);
            t.refused++;
        }
        iovageom_geometry_free(next);
    }
    iovageom_rangeset_deinit(&choices);
    iovageom_rangeset_deinit(&usable);
    iovageom_rangeset_deinit(&other);
    iovageom_geometry_free(pool);
    iovageom_geometry_free(host);
    iovageom_viommu_free(books);
}

START_TEST(what_is_promised_is_kept_by_whoever_comes)
{
    memset(&t, 0, sizeof(t));
    t.random = test_random_start(7);
    iovageom_report_init(&t.report, NULL);
    for (int i = 0; i < 3000; i++)
        theorem();
    ck_assert_uint_gt(t.steps, 5000);
    ck_assert_uint_gt(t.refused, 3000);
    iovageom_report_deinit(&t.report);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viommu");

    property_add(suite, lives_of_the_books);
    property_add(suite, what_is_promised_is_kept_by_whoever_comes);
    return property_run(suite);
}

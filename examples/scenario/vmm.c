/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "captured_host.h"
#include "player.h"

static void must(struct player *p, int error)
{
    if (error != IOVAGEOM_OK)
        fail_at(p, last_column(p), "%s", iovageom_status_string(error));
}

/* ---- configuration ---- */

static const struct {
    const char *word;
    uint32_t feature;
} feature_words[] = {
    {"input-range", IOVAGEOM_VIRTIO_F_INPUT_RANGE},
    {"domain-range", IOVAGEOM_VIRTIO_F_DOMAIN_RANGE},
    {"map-unmap", IOVAGEOM_VIRTIO_F_MAP_UNMAP},
    {"bypass", IOVAGEOM_VIRTIO_F_BYPASS},
    {"probe", IOVAGEOM_VIRTIO_F_PROBE},
    {"mmio", IOVAGEOM_VIRTIO_F_MMIO},
    {"bypass-config", IOVAGEOM_VIRTIO_F_BYPASS_CONFIG},
};

static uint32_t need_features(struct player *p)
{
    uint32_t features = 0;

    while (more(p)) {
        const char *word = need_word(p, "a feature");
        size_t i = 0;

        while (i < 7 && strcmp(word, feature_words[i].word) != 0)
            i++;
        if (i == 7)
            fail_at(p, last_column(p), "no feature is called %s", word);
        features |= feature_words[i].feature;
    }
    return features;
}

void do_features(struct player *p)
{
    const uint32_t features = need_features(p);

    say_status(p, iovageom_viommu_driver_features(books(p), features, &p->report));
}

static void config_input(struct player *p, struct iovageom_viommu_config *config)
{
    if (accept_word(p, "host"))
        config->flags |= IOVAGEOM_VIOMMU_INPUT_AS_HOST;
    else
        config->input_range = need_range(p, "the input range");
    if (accept_word(p, "strict"))
        config->flags |= IOVAGEOM_VIOMMU_STRICT_INPUT;
}

void do_config(struct player *p)
{
    struct iovageom_viommu_config *config = &p->machine->config;
    const char *word = need_word(p, "what to configure");

    if (p->machine->viommu != NULL)
        fail_at(p, last_column(p), "config comes before all other commands of its machine");
    if (strcmp(word, "refuse-direct") == 0) {
        config->flags |= IOVAGEOM_VIOMMU_REFUSE_DIRECT;
        return;
    }
    if (strcmp(word, "input") == 0)
        config_input(p, config);
    else if (strcmp(word, "gaw") == 0)
        must(p, iovageom_range_from_gaw(need_number32(p, "a width"), &config->input_range));
    else if (strcmp(word, "granule") == 0)
        config->granule = accept_word(p, "host") ? 0 : need_number(p, "a granule");
    else if (strcmp(word, "pages") == 0)
        config->page_size_mask = need_page_mask(p);
    else if (strcmp(word, "probe-size") == 0)
        config->probe_size = accept_word(p, "choose") ? 0 : need_number32(p, "a probe size");
    else if (strcmp(word, "boot-bypass") == 0)
        config->boot_bypass = need_switch(p);
    else if (strcmp(word, "max-domains") == 0)
        config->max_domains = need_number32(p, "a number of domains");
    else if (strcmp(word, "max-mappings") == 0)
        config->max_mappings = need_number(p, "a number of mappings");
    else if (strcmp(word, "max-domain-mappings") == 0)
        config->max_domain_mappings = need_number(p, "a number of mappings");
    else if (strcmp(word, "features") == 0)
        config->features = need_features(p);
    else if (strcmp(word, "domains") == 0) {
        const struct iovageom_range domains = need_range(p, "domain numbers");

        if (domains.last > UINT32_MAX)
            fail_at(p, last_column(p), "domain numbers have 32 bits");
        config->domain_start = (uint32_t)domains.start;
        config->domain_last = (uint32_t)domains.last;
    } else {
        fail_at(p, last_column(p), "%s can't be configured", word);
    }
}

/* ---- hosts ---- */

static bool type_of(const char *word, enum iovageom_resv_type *type)
{
    for (int i = IOVAGEOM_RESV_DIRECT_RELAXABLE; i <= IOVAGEOM_RESV_MSI; i++)
        if (strcmp(word, iovageom_resv_type_string((enum iovageom_resv_type)i)) == 0) {
            *type = (enum iovageom_resv_type)i;
            return true;
        }
    return false;
}

static void host_usable(struct player *p, struct iovageom_geometry *geometry)
{
    struct iovageom_range ranges[MAX_WORDS];
    size_t count = 0;

    if (!accept_word(p, "nothing"))
        do
            ranges[count++] = need_range(p, "a usable range");
        while (next_is_range(p));
    must(p, iovageom_geometry_add_usable(geometry, ranges, count, IOVAGEOM_SOURCE_VFIO));
}

/* `from FILE GROUP`: a file is named as from the folder of the scenario. */
static void host_from(struct player *p, struct iovageom_geometry *geometry)
{
    const char *name = need_word(p, "a file");
    const char *group = need_word(p, "a group, or the address of a device");
    const char *slash = strrchr(p->file, '/');
    char path[4096], wrong[1024];
    const int length = *name != '/' && slash != NULL ? (int)(slash - p->file) + 1 : 0;

    if (snprintf(path, sizeof(path), "%.*s%s", length, p->file, name) >= (int)sizeof(path))
        fail_at(p, last_column(p), "the name of the file is too long");
    if (!captured_host(path, group, geometry, wrong, sizeof(wrong)))
        fail_at(p, last_column(p), "%s", wrong);
}

static void host_fact(struct player *p, struct iovageom_geometry *geometry)
{
    const char *word = need_word(p, "a fact");
    enum iovageom_resv_type type;

    if (strcmp(word, "gaw") == 0)
        must(p, iovageom_geometry_add_gaw(geometry, need_number32(p, "a width"),
                                          IOVAGEOM_SOURCE_VFIO));
    else if (strcmp(word, "from") == 0)
        host_from(p, geometry);
    else if (strcmp(word, "aperture") == 0)
        must(p, iovageom_geometry_add_aperture(geometry, need_range(p, "an aperture"),
                                               IOVAGEOM_SOURCE_VFIO));
    else if (strcmp(word, "usable") == 0)
        host_usable(p, geometry);
    else if (strcmp(word, "pages") == 0)
        must(p,
             iovageom_geometry_add_page_sizes(geometry, need_page_mask(p), IOVAGEOM_SOURCE_VFIO));
    else if (strcmp(word, "alignment") == 0)
        must(p, iovageom_geometry_add_alignment(geometry, need_number(p, "an alignment"),
                                                IOVAGEOM_SOURCE_IOMMUFD));
    else if (strcmp(word, "budget") == 0)
        must(p, iovageom_geometry_add_map_budget(geometry, need_number(p, "a number of mappings"),
                                                 IOVAGEOM_SOURCE_VFIO));
    else if (type_of(word, &type))
        do {
            const struct iovageom_range range = need_range(p, "a reserved range");

            must(p, iovageom_geometry_add_reserved(geometry, range, type, IOVAGEOM_SOURCE_SYSFS));
            if (type == IOVAGEOM_RESV_SOFTWARE_MSI)
                must(p, iovageom_geometry_add_software_msi(geometry, range, IOVAGEOM_SOURCE_SYSFS));
        } while (next_is_range(p));
    else
        fail_at(p, last_column(p), "no fact about a host is called %s", word);
}

static void remember_fact(struct host *host, const char *word)
{
    host->facts = realloc(host->facts, (size_t)(host->fact_count + 1) * sizeof(*host->facts));
    if (host->facts == NULL || (host->facts[host->fact_count] = strdup(word)) == NULL)
        abort();
    host->fact_count++;
}

void host_free(struct host *host)
{
    for (int i = 0; i < host->fact_count; i++)
        free(host->facts[i]);
    free(host->facts);
    iovageom_geometry_free(host->geometry);
    free(host);
}

static struct host *host_new(struct player *p, const char *name)
{
    struct host *host = calloc(1, sizeof(*host));

    if (host == NULL || iovageom_geometry_new(NULL, name, &host->geometry) != IOVAGEOM_OK)
        abort();
    snprintf(host->name, sizeof(host->name), "%s", name);
    host->next = p->hosts;
    p->hosts = host;
    return host;
}

/* The facts of another host, said anew by this one: whose they are shows in messages. */
static void host_like(struct player *p, struct host *host, const struct host *other)
{
    struct player replay = *p;
    const int count = other->fact_count; /* which grows below where it is the same host */

    if (count > MAX_WORDS)
        fail_at(p, last_column(p), "%s has too many facts", other->name);
    replay.at = 0;
    replay.count = count;
    for (int i = 0; i < count; i++) {
        replay.words[i] = (struct word){other->facts[i], last_column(p)};
        remember_fact(host, other->facts[i]);
    }
    replay.words[replay.count] = (struct word){NULL, last_column(p)};
    while (more(&replay))
        host_fact(&replay, host->geometry);
}

/* `host NAME [like OTHER] FACT...`; facts about a host that is known already are added. */
void do_host(struct player *p)
{
    char name[NAME_SIZE];
    struct host *host = p->hosts;

    need_name(p, "a host's name", name);
    while (host != NULL && strcmp(host->name, name) != 0)
        host = host->next;
    if (host == NULL)
        host = host_new(p, name);
    if (accept_word(p, "like"))
        host_like(p, host, need_host(p));
    while (more(p)) {
        const int first = p->at;

        host_fact(p, host->geometry);
        for (int i = first; i < p->at; i++)
            remember_fact(host, p->words[i].text);
    }
}

void do_region(struct player *p)
{
    const char *word = need_word(p, "a type");
    enum iovageom_resv_type type;
    struct iovageom_range range;

    if (!type_of(word, &type))
        fail_at(p, last_column(p), "no type of region is called %s", word);
    range = need_range(p, "a range");
    say_status(p, iovageom_viommu_add_region(books(p), range, type, IOVAGEOM_SOURCE_MACHINE,
                                             need_word(p, "the region's name")));
}

void do_envelope(struct player *p)
{
    const struct iovageom_geometry *geometry =
        accept_word(p, "none") ? NULL : need_host(p)->geometry;

    say_status(p, iovageom_viommu_set_envelope(books(p), geometry, &p->report));
}

void do_identity(struct player *p)
{
    struct iovageom_range ranges[MAX_WORDS];
    size_t count = 0;

    while (more(p) && !accept_word(p, "none"))
        ranges[count++] = need_range(p, "a range of guest memory");
    say_status(p, iovageom_viommu_set_identity(books(p), ranges, count, &p->report));
}

/* ---- endpoints ---- */

static uint64_t accept_group(struct player *p, const char *word)
{
    return accept_word(p, word) ? need_number(p, "a group's number") : IOVAGEOM_VIOMMU_OWN;
}

void do_declare(struct player *p)
{
    const uint32_t endpoint = need_number32(p, "an endpoint");
    enum iovageom_endpoint_kind kind = IOVAGEOM_ENDPOINT_EMULATED;

    if (accept_word(p, "slot"))
        kind = IOVAGEOM_ENDPOINT_SLOT;
    else if (!accept_word(p, "emulated"))
        fail_at(p, p->words[p->at].column, "emulated or slot is wanted here");
    say_status(
        p, iovageom_viommu_declare(books(p), endpoint, accept_group(p, "group"), kind, &p->report));
}

void do_undeclare(struct player *p)
{
    say_status(p, iovageom_viommu_undeclare(books(p), need_number32(p, "an endpoint")));
}

typedef int plug_call(struct iovageom_viommu *, uint32_t, const struct iovageom_plug_options *,
                      const struct iovageom_geometry *, struct iovageom_report *);

static int check_only(struct iovageom_viommu *viommu, uint32_t endpoint,
                      const struct iovageom_plug_options *where,
                      const struct iovageom_geometry *geometry, struct iovageom_report *report)
{
    return iovageom_viommu_plug_check(viommu, endpoint, where, geometry, report);
}

static void plug(struct player *p, plug_call *call)
{
    const uint32_t endpoint = need_number32(p, "an endpoint");
    const struct host *host = need_host(p);
    uint32_t aliases[MAX_WORDS];
    struct iovageom_plug_options where;

    iovageom_plug_options_init(&where);
    where.aliases = aliases;
    while (more(p)) {
        if (accept_word(p, "group"))
            where.guest_group = need_number(p, "a guest group");
        else if (accept_word(p, "host-group"))
            where.host_group = need_number(p, "a host group");
        else if (accept_word(p, "container"))
            where.address_space = need_number(p, "a container");
        else if (accept_word(p, "alias"))
            aliases[where.alias_count++] = need_number32(p, "an endpoint");
        else if (accept_word(p, "shared"))
            where.flags |= IOVAGEOM_PLUG_ALIAS;
        else if (accept_word(p, "stale"))
            where.flags |= IOVAGEOM_PLUG_ALLOW_STALE;
        else if (accept_word(p, "refuse-direct"))
            where.flags |= IOVAGEOM_PLUG_REFUSE_DIRECT;
        else
            fail_at(p, p->words[p->at].column,
                    "group, host-group, container, alias, shared, stale or refuse-direct is wanted "
                    "here");
    }
    say_status(p, call(books(p), endpoint, &where, host->geometry, &p->report));
}

void do_plug(struct player *p)
{
    plug(p, iovageom_viommu_plug);
}

void do_dry_plug(struct player *p)
{
    plug(p, check_only);
}

void do_prepare(struct player *p)
{
    plug(p, iovageom_viommu_plug_prepare);
}

void do_commit(struct player *p)
{
    say_status(p, iovageom_viommu_plug_commit(books(p), need_number32(p, "an endpoint")));
}

void do_abort(struct player *p)
{
    say_status(p, iovageom_viommu_plug_abort(books(p), need_number32(p, "an endpoint")));
}

void do_update(struct player *p)
{
    const uint32_t endpoint = need_number32(p, "an endpoint");
    const struct host *host = need_host(p);
    uint32_t flags = accept_word(p, "stale") ? IOVAGEOM_PLUG_ALLOW_STALE : 0;

    if (accept_word(p, "refuse-direct"))
        flags |= IOVAGEOM_PLUG_REFUSE_DIRECT;
    say_status(p, iovageom_viommu_update(books(p), endpoint, host->geometry, flags, &p->report));
}

void do_unplug(struct player *p)
{
    say_status(p, iovageom_viommu_unplug(books(p), need_number32(p, "an endpoint")));
}

/* ---- the machine ---- */

static void add_config(struct player *p)
{
    struct iovageom_virtio_config space;

    must(p, iovageom_viommu_config_space(books(p), &space));
    add_address(p, "page sizes", space.page_size_mask);
    add_range(p, "input range", space.input_range);
    add_number(p, "probe size", space.probe_size);
    add_number(p, "bypass", space.bypass);
}

void do_freeze(struct player *p)
{
    say_status(p, iovageom_viommu_freeze(books(p), &p->report));
    add_config(p);
}

void do_reset(struct player *p)
{
    const bool system = accept_word(p, "system");

    if (!system && !accept_word(p, "device"))
        fail_at(p, p->words[p->at].column, "system or device is wanted here");
    iovageom_viommu_reset(books(p), system);
}

void do_save(struct player *p)
{
    size_t needed = 0;
    int error = iovageom_viommu_save(books(p), NULL, 0, &needed);

    if (error == IOVAGEOM_ERR_BUFFER_TOO_SMALL) {
        free(p->stream);
        p->stream = malloc(needed);
        if (p->stream == NULL)
            abort();
        p->stream_size = needed;
        error = iovageom_viommu_save(books(p), p->stream, needed, &needed);
        add_number(p, "bytes", needed);
    }
    say_status(p, error);
}

void do_load(struct player *p)
{
    if (p->stream == NULL)
        fail_at(p, 1, "nothing was saved yet");
    say_status(p, iovageom_viommu_load(books(p), p->stream, p->stream_size, 0, &p->report));
}

/* ---- asking ---- */

struct promise {
    struct iovageom_viommu_promise facts;
    struct iovageom_rangeset told, now, added, removed;
};

static void promise_of(struct player *p, uint32_t endpoint, struct promise *out)
{
    iovageom_rangeset_init(&out->told, NULL);
    iovageom_rangeset_init(&out->now, NULL);
    iovageom_rangeset_init(&out->added, NULL);
    iovageom_rangeset_init(&out->removed, NULL);
    must(p, iovageom_viommu_promise(books(p), endpoint, &out->facts, &out->told, &out->now,
                                    &out->added, &out->removed));
}

static void promise_done(struct promise *promise)
{
    iovageom_rangeset_deinit(&promise->told);
    iovageom_rangeset_deinit(&promise->now);
    iovageom_rangeset_deinit(&promise->added);
    iovageom_rangeset_deinit(&promise->removed);
}

static void show_promise(struct player *p)
{
    struct promise promise;

    promise_of(p, need_number32(p, "an endpoint"), &promise);
    if (!promise.facts.told) {
        say(p, "told nothing yet");
    } else {
        say(p, "%s, %s", promise.facts.safe ? "safe" : "NOT SAFE",
            promise.facts.current ? "current" : "out of date");
        add_set(p, "promised", &promise.told);
        add_set(p, "added", &promise.added);
        add_set(p, "removed", &promise.removed);
    }
    promise_done(&promise);
}

static void show_told(struct player *p)
{
    const uint32_t endpoint = need_number32(p, "an endpoint");
    struct iovageom_region regions[4096];
    size_t count = 0;

    must(p, iovageom_viommu_told(books(p), endpoint, regions, 4096, &count, &p->report));
    say(p, "%zu regions", count);
    for (size_t i = 0; i < count; i++)
        add_range(p, iovageom_resv_type_string((enum iovageom_resv_type)regions[i].type),
                  regions[i].range);
}

static void show_endpoints(struct player *p)
{
    static const char *const kinds[] = {"?", "emulated", "slot", "device"};
    struct iovageom_viommu_endpoint found;
    uint32_t from = 0;

    while (iovageom_viommu_endpoint_next(books(p), from, &found)) {
        char domain[32] = "unattached";

        if (found.domain != IOVAGEOM_ID_NONE)
            snprintf(domain, sizeof(domain), "domain %u", (unsigned)found.domain);
        add_text(p, "endpoint", "0x%x %s, %s, %s", found.endpoint, kinds[found.kind],
                 found.geometry != NULL ? iovageom_geometry_name(found.geometry) : "no device",
                 domain);
        if (found.endpoint == UINT32_MAX)
            break;
        from = found.endpoint + 1;
    }
}

static void show_mappings(struct player *p)
{
    const uint32_t domain = need_number32(p, "a domain");
    struct iovageom_mapping mapping;
    uint64_t from = 0;

    while (iovageom_viommu_mapping_next(books(p), domain, from, &mapping)) {
        add_range(p, "mapping", mapping.range);
        if (mapping.range.last == UINT64_MAX)
            break;
        from = mapping.range.last + 1;
    }
}

static void show_usable(struct player *p)
{
    struct iovageom_rangeset usable;

    iovageom_rangeset_init(&usable, NULL);
    must(p, iovageom_viommu_domain_usable(books(p), need_number32(p, "a domain"), &usable));
    add_set(p, "usable", &usable);
    iovageom_rangeset_deinit(&usable);
}

void do_show(struct player *p)
{
    if (accept_word(p, "config"))
        add_config(p);
    else if (accept_word(p, "endpoints"))
        show_endpoints(p);
    else if (accept_word(p, "promise"))
        show_promise(p);
    else if (accept_word(p, "told"))
        show_told(p);
    else if (accept_word(p, "mappings"))
        show_mappings(p);
    else if (accept_word(p, "usable"))
        show_usable(p);
    else
        fail_at(p, p->words[p->at].column,
                "config, endpoints, promise, told, mappings or usable is wanted here");
}

static bool promise_holds(struct player *p, const char *word)
{
    struct promise promise;
    bool holds;

    promise_of(p, need_number32(p, "an endpoint"), &promise);
    if (strcmp(word, "safe") == 0)
        holds = promise.facts.safe;
    else if (strcmp(word, "unsafe") == 0)
        holds = !promise.facts.safe;
    else if (strcmp(word, "current") == 0)
        holds = promise.facts.current;
    else if (strcmp(word, "promised") == 0)
        holds = iovageom_rangeset_contains(&promise.told, need_range(p, "a range"));
    else
        holds = !iovageom_rangeset_overlaps(&promise.told, need_range(p, "a range"));
    promise_done(&promise);
    return holds;
}

/* `expect WHAT ...`: says yes or no, and counts as a failure where no => says otherwise. */
void do_expect(struct player *p)
{
    const char *word = need_word(p, "what to expect");
    struct iovageom_viommu_domain domain = {0};
    struct iovageom_virtio_config space;
    bool holds;

    if (strcmp(word, "mappings") == 0) {
        const uint32_t id = need_number32(p, "a domain");
        const uint64_t count = need_number(p, "a number of mappings");

        holds = iovageom_viommu_domain(books(p), id, &domain) == IOVAGEOM_OK &&
                domain.mappings == count;
    } else if (strcmp(word, "granule") == 0) {
        must(p, iovageom_viommu_config_space(books(p), &space));
        holds = (space.page_size_mask & -space.page_size_mask) == need_number(p, "a granule");
    } else if (strcmp(word, "safe") == 0 || strcmp(word, "unsafe") == 0 ||
               strcmp(word, "current") == 0 || strcmp(word, "promised") == 0 ||
               strcmp(word, "withheld") == 0) {
        holds = promise_holds(p, word);
    } else {
        fail_at(p, last_column(p), "nothing to expect is called %s", word);
    }
    say(p, "%s", holds ? "yes" : "no");
    if (!holds && p->expected_count == 0) {
        fprintf(stderr, "%s:%d:1: expected, but it is not so\n", p->file, p->line);
        p->failures++;
    }
}

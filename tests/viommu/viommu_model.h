/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIOMMU_MODEL_H
#define VIOMMU_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * A slow and obvious model of the books: 64 pages of 4 KiB, so that every set of addresses is a
 * word, and every question a loop over everything. It shares no code with the library, and speaks
 * in its own numbers (statuses are those of the wire).
 */
enum { PAGES = 64, PLACES = 9, DOMAINS = 5, MAPPINGS = 40, HOSTS = 10, KEYS = 64, PLUGS = 24 };
enum { S_OK = 0, S_UNSUPP = 2, S_INVAL = 4, S_RANGE = 5, S_NOENT = 6, S_NOMEM = 8 };
enum { KIND_NONE = 0, KIND_EMULATED = 1, KIND_SLOT = 2, KIND_DEVICE = 3 };
enum {
    REFUSE_INVALID = -1,
    REFUSE_CONFLICT = -18,
    REFUSE_EXISTS = -24,
    REFUSE_STATE = -22,
    REFUSE_NOT_FOUND = -6
};

#define OWN UINT64_MAX

struct model_host {
    uint64_t reserved; /* pages that it does not map */
    uint64_t msi;      /* those of them that are MSI */
    uint64_t granule;  /* 0: unknown */
    uint64_t budget;   /* OWN: unknown; what is left, and once plugged with what there is then */
    uint64_t total;    /* the same, in all */
};

/* A device as it was plugged, with all endpoints that it answers to. */
struct model_plug {
    int count;            /* of them; 0: no device */
    uint32_t ids[PLACES]; /* its own, then its aliases */
    bool prepared;
    struct model_host host;
    uint64_t unit, host_group;
    uint64_t claims; /* host groups that it stands for, as bits */
};

struct model_place {
    int kind;
    uint64_t group;
    int domain; /* -1: none */
    bool told;
    uint64_t promise; /* pages */
};

struct model_mapping {
    uint64_t start, last, phys;
    uint32_t flags;
};

struct model_domain {
    bool exists, bypass;
    int count;
    struct model_mapping mappings[MAPPINGS];
};

struct model {
    struct model_place places[PLACES];
    struct model_plug plugs[PLUGS]; /* in the order of plugging */
    int plug_count;
    uint32_t own_groups; /* how many there were, ever */
    struct model_domain domains[DOMAINS];
    struct {
        uint64_t key, pages;
    } promised[KEYS]; /* by guest group; pages 0 when free */
    uint64_t platform, platform_msi, identity, granule;
    bool has_envelope, frozen, bypass, stale;
    struct model_host envelope;
    uint64_t config_granule, max_mappings, max_domain_mappings;
    int max_domains;
};

struct model_where {
    uint64_t host_group, address_space, guest_group;
    bool alias, stale;
    uint32_t aliases[PLACES];
    int alias_count;
};

static inline bool model_answers(const struct model_plug *plug, uint32_t id)
{
    for (int i = 0; i < plug->count; i++)
        if (plug->ids[i] == id)
            return true;
    return false;
}

/* The first device that answers to an endpoint; NULL when none does. */
static inline const struct model_plug *model_device(const struct model *m, uint32_t id)
{
    for (int i = 0; i < m->plug_count; i++)
        if (model_answers(&m->plugs[i], id))
            return &m->plugs[i];
    return NULL;
}

/* The host group that is listed: that of the first device there that named one. */
static inline uint64_t model_host_group(const struct model *m, uint32_t id)
{
    for (int i = 0; i < m->plug_count; i++)
        if (model_answers(&m->plugs[i], id) && m->plugs[i].host_group != OWN)
            return m->plugs[i].host_group;
    return OWN;
}

/* The one that is listed: the first that was plugged at this very endpoint, or else any. */
static inline const struct model_plug *model_listed(const struct model *m, uint32_t id)
{
    for (int i = 0; i < m->plug_count; i++)
        if (m->plugs[i].ids[0] == id)
            return &m->plugs[i];
    return model_device(m, id);
}

static inline int model_devices(const struct model *m, uint32_t id, bool prepared)
{
    int count = 0;

    for (int i = 0; i < m->plug_count; i++)
        count += model_answers(&m->plugs[i], id) && m->plugs[i].prepared == prepared;
    return count;
}

/* The last that was plugged at this very endpoint and is prepared, or is not; -1: none. */
static inline int model_own_plug(const struct model *m, uint32_t id, bool prepared)
{
    int found = -1;

    for (int i = 0; i < m->plug_count; i++)
        if (m->plugs[i].ids[0] == id && m->plugs[i].prepared == prepared)
            found = i;
    return found;
}

static inline bool model_visible(const struct model *m, uint32_t id)
{
    return m->places[id].kind == KIND_EMULATED || model_devices(m, id, false) > 0;
}

static inline uint64_t model_bits(int first, int last)
{
    uint64_t bits = 0;

    for (int i = first; i <= last; i++)
        bits |= (uint64_t)1 << i;
    return bits;
}

/* The pages that a byte range touches; pages above the 64 are nobody's. */
static inline uint64_t model_touch(uint64_t start, uint64_t last)
{
    uint64_t bits = 0;

    for (uint64_t i = 0; i < PAGES; i++)
        if (start <= i * 4096 + 4095 && last >= i * 4096)
            bits |= (uint64_t)1 << i;
    return bits;
}

/* Widened to the granule: whatever it touches. */
static inline uint64_t model_widen(const struct model *m, uint64_t pages)
{
    const int step = (int)(m->granule / 4096);
    uint64_t out = 0;

    for (int i = 0; i < PAGES; i += step)
        if ((pages & model_bits(i, i + step - 1)) != 0)
            out |= model_bits(i, i + step - 1);
    return out;
}

static inline uint64_t *model_promised(struct model *m, uint64_t key)
{
    int empty = -1;

    for (int i = 0; i < KEYS; i++) {
        if (m->promised[i].pages != 0 && m->promised[i].key == key)
            return &m->promised[i].pages;
        if (m->promised[i].pages == 0)
            empty = i;
    }
    m->promised[empty].key = key;
    return &m->promised[empty].pages;
}

/* What is reserved for a guest group: pages, and the MSI ones among them. */
static inline uint64_t model_group(const struct model *m, uint64_t key, uint64_t *msi)
{
    uint64_t pages = m->platform, window = m->platform_msi;

    for (int i = 0; i < PLACES; i++) {
        const struct model_place *p = &m->places[i];

        if (p->kind == KIND_NONE || p->group != key)
            continue;
        if (p->kind == KIND_SLOT && m->has_envelope) {
            pages |= m->envelope.reserved;
            window |= m->envelope.msi;
        }
        for (int j = 0; j < m->plug_count; j++)
            if (model_device(m, (uint32_t)i) != NULL &&
                m->plugs[j].unit == model_device(m, (uint32_t)i)->unit) {
                pages |= m->plugs[j].host.reserved;
                window |= m->plugs[j].host.msi;
            }
    }
    if (msi != NULL)
        *msi = m->platform_msi != 0 ? m->platform_msi : window;
    return pages;
}

static inline bool model_group_exists(const struct model *m, uint64_t key)
{
    for (int i = 0; i < PLACES; i++)
        if (m->places[i].kind != KIND_NONE && m->places[i].group == key)
            return true;
    return false;
}

static inline uint64_t model_domain_reserved(const struct model *m, int domain)
{
    uint64_t pages = 0;

    for (int i = 0; i < PLACES; i++)
        if (m->places[i].kind != KIND_NONE && m->places[i].domain == domain)
            pages |= model_group(m, m->places[i].group, NULL);
    return pages;
}

static inline bool model_on_unit(const struct model *m, uint32_t id, uint64_t unit)
{
    const struct model_plug *device = model_device(m, id);

    return device != NULL && device->unit == unit;
}

/* What is mapped on host page tables: by every domain with an endpoint there. */
static inline bool model_mapped_in(const struct model *m, uint64_t unit, int domain)
{
    for (int i = 0; i < PLACES; i++)
        if (m->places[i].kind != KIND_NONE && m->places[i].domain == domain &&
            model_on_unit(m, (uint32_t)i, unit))
            return true;
    return false;
}

static inline uint64_t model_unit_live(const struct model *m, uint64_t unit)
{
    uint64_t live = 0;

    for (int d = 0; d < DOMAINS; d++)
        if (model_mapped_in(m, unit, d))
            live += (uint64_t)m->domains[d].count;
    return live;
}

/* What a host that is plugged there now allows in all. */
static inline struct model_host model_settled(const struct model *m, uint64_t unit,
                                              const struct model_host *host)
{
    struct model_host settled = *host;

    if (settled.budget != OWN)
        settled.budget += model_unit_live(m, unit);
    if (settled.total < settled.budget)
        settled.budget = settled.total;
    return settled;
}

/* Who shares host page tables shares what is left of their budget. */
static inline uint64_t model_unit_budget(const struct model *m, uint64_t unit)
{
    uint64_t budget = OWN;

    for (int i = 0; i < m->plug_count; i++)
        if (m->plugs[i].unit == unit && m->plugs[i].host.budget < budget)
            budget = m->plugs[i].host.budget;
    return budget;
}

static inline uint64_t model_budget(const struct model *m, int domain)
{
    uint64_t budget = OWN;

    for (int i = 0; i < PLACES; i++) {
        const struct model_plug *device = model_device(m, (uint32_t)i);

        if (device != NULL && m->places[i].domain == domain) {
            const uint64_t all = model_unit_budget(m, device->unit);
            const uint64_t others =
                model_unit_live(m, device->unit) - (uint64_t)m->domains[domain].count;
            const uint64_t room = all == OWN ? OWN : all > others ? all - others : 0;

            budget = room < budget ? room : budget;
        }
    }
    return budget;
}

static inline int model_live(const struct model *m)
{
    int count = 0;

    for (int d = 0; d < DOMAINS; d++)
        count += m->domains[d].count;
    return count;
}

static inline void model_freeze(struct model *m)
{
    uint64_t granule = 4096;

    if (m->frozen)
        return;
    for (int i = 0; i < m->plug_count; i++)
        if (m->plugs[i].host.granule > granule)
            granule = m->plugs[i].host.granule;
    if (m->has_envelope && m->envelope.granule > granule)
        granule = m->envelope.granule;
    if (m->config_granule != 0)
        granule = m->config_granule;
    m->granule = granule;
    m->frozen = true;
}

/* ---- leaving ---- */

static inline void model_forget(struct model *m, int i)
{
    const uint64_t key = m->places[i].group;
    bool kept = false;

    m->places[i].told = false;
    m->places[i].promise = 0;
    for (int j = 0; j < PLACES; j++)
        kept |= m->places[j].kind != KIND_NONE && m->places[j].group == key &&
                (m->places[j].told || model_visible(m, (uint32_t)j));
    if (!kept)
        *model_promised(m, key) = 0;
}

static inline void model_detach(struct model *m, int i)
{
    const int domain = m->places[i].domain;
    bool left = false;

    m->places[i].domain = -1;
    if (domain < 0)
        return;
    for (int j = 0; j < PLACES; j++)
        left |= m->places[j].kind != KIND_NONE && m->places[j].domain == domain;
    if (!left)
        memset(&m->domains[domain], 0, sizeof(m->domains[domain]));
}

static inline void model_drop(struct model *m, int i)
{
    const uint64_t key = m->places[i].group;

    model_detach(m, i);
    m->places[i].kind = KIND_NONE;
    model_forget(m, i);
    if (!model_group_exists(m, key))
        *model_promised(m, key) = 0;
}

static inline void model_reset(struct model *m)
{
    memset(m->domains, 0, sizeof(m->domains));
    memset(m->promised, 0, sizeof(m->promised));
    for (int i = 0; i < PLACES; i++) {
        m->places[i].domain = -1;
        m->places[i].told = false;
        m->places[i].promise = 0;
    }
    m->stale = false;
}

/* Whether a guest was told anything, or made a domain. */
static inline bool model_relied_on(const struct model *m)
{
    bool relied = false;

    for (int i = 0; i < PLACES; i++)
        relied |= m->places[i].kind != KIND_NONE && m->places[i].told;
    for (int i = 0; i < KEYS; i++)
        relied |= m->promised[i].pages != 0;
    for (int i = 0; i < DOMAINS; i++)
        relied |= m->domains[i].exists;
    return relied;
}

/* ---- admission ---- */

static inline uint64_t model_own(uint32_t id)
{
    return ((uint64_t)1 << 63) | id;
}

static inline uint64_t model_unit(const struct model *m, const struct model_where *w, uint32_t id)
{
    for (int i = 0; w->address_space == OWN && w->host_group != OWN && i < m->plug_count; i++)
        if ((m->plugs[i].claims >> w->host_group & 1) != 0)
            return m->plugs[i].unit;
    if (w->address_space != OWN)
        return w->address_space;
    return w->host_group != OWN ? ((uint64_t)1 << 62) | w->host_group : model_own(id);
}

static inline uint64_t model_group_of(const struct model *m, const struct model_where *w,
                                      uint32_t id, uint32_t which)
{
    if (m->places[which].kind != KIND_NONE)
        return m->places[which].group;
    if (w->guest_group != OWN)
        return w->guest_group;
    return which == id ? model_own(m->own_groups) : model_group_of(m, w, id, id);
}

/* But for what is left: that differs from one hour to the next. */
static inline bool model_same_host(const struct model_host *a, const struct model_host *b)
{
    return a->reserved == b->reserved && a->msi == b->msi && a->granule == b->granule &&
           a->total == b->total;
}

/* With what the machine reserves, it leaves a granule: of the device, or a larger one of the
 * books. */
static inline bool model_device_fits(const struct model *m, const struct model_host *host)
{
    const uint64_t wanted = m->frozen ? m->granule : m->config_granule;
    const uint64_t granule = host->granule > wanted ? host->granule : wanted;
    const int step = granule < 4096 ? 1 : (int)(granule / 4096);
    bool leaves = false;

    for (int i = 0; i < PAGES; i += step)
        leaves |= ((host->reserved | m->platform) & model_bits(i, i + step - 1)) == 0;
    return leaves && (host->granule == 0 || wanted == 0 || host->granule <= wanted);
}

/* Whether `host`, on `unit`, may count for a guest group from now on. */
static inline bool model_group_bears(struct model *m, uint64_t key, uint64_t unit,
                                     const struct model_host *host, bool stale, bool *went_stale)
{
    bool bears = true, soft = true;

    if (!model_group_exists(m, key))
        return true;
    soft &= (*model_promised(m, key) & host->reserved) == 0;
    for (int d = 0; d < DOMAINS; d++) {
        bool here = false;

        for (int i = 0; i < PLACES; i++)
            here |= m->places[i].kind != KIND_NONE && m->places[i].domain == d &&
                    m->places[i].group == key;
        if (!here)
            continue;
        bears &= !m->domains[d].bypass || (m->identity & host->reserved) == 0;
        {
            const bool mapped = model_mapped_in(m, unit, d);
            const uint64_t more = mapped ? 0 : (uint64_t)m->domains[d].count;

            soft &= (!mapped && more == 0) || model_unit_live(m, unit) + more <= host->budget;
        }
        for (int k = 0; k < m->domains[d].count; k++)
            soft &= (model_touch(m->domains[d].mappings[k].start, m->domains[d].mappings[k].last) &
                     host->reserved) == 0;
    }
    *went_stale |= !soft;
    return bears && (soft || stale);
}

/*
 * All guest groups and hosts that a device on `unit`, with endpoints in `keys`, brings together. A
 * device that asks the same as another one of its unit changes nothing for the groups there.
 */
static inline bool model_all_bear(struct model *m, uint64_t unit, const uint64_t *keys, int count,
                                  const struct model_host *host, bool stale, bool *went_stale)
{
    bool bears = true, known = false;

    for (int i = 0; i < m->plug_count; i++)
        known |= m->plugs[i].unit == unit && m->plugs[i].host.reserved == host->reserved &&
                 m->plugs[i].host.msi == host->msi && m->plugs[i].host.budget == host->budget;
    for (uint32_t i = 0; i < PLACES; i++)
        if (!known && model_on_unit(m, i, unit))
            bears &= model_group_bears(m, m->places[i].group, unit, host, stale, went_stale);
    for (int k = 0; k < count; k++) {
        bool joined = false;

        for (uint32_t j = 0; j < PLACES; j++)
            joined |= model_on_unit(m, j, unit) && m->places[j].group == keys[k];
        if (joined)
            continue;
        bears &= model_group_bears(m, keys[k], unit, host, stale, went_stale);
        for (int i = 0; i < m->plug_count; i++)
            if (m->plugs[i].unit == unit)
                bears &= model_group_bears(m, keys[k], unit, &m->plugs[i].host, stale, went_stale);
    }
    return bears;
}

static inline int model_plug_ask(struct model *m, uint32_t id, const struct model_where *w,
                                 const struct model_host *host, bool *went_stale)
{
    const uint64_t unit = model_unit(m, w, id);
    const struct model_host settled = model_settled(m, unit, host);
    uint64_t keys[PLACES + 1];
    bool fits;

    for (int i = 0; i < w->alias_count; i++) {
        if (w->aliases[i] == id)
            return REFUSE_INVALID;
        for (int j = 0; j < i; j++)
            if (w->aliases[i] == w->aliases[j])
                return REFUSE_INVALID;
    }
    if (m->places[id].kind != KIND_NONE && w->guest_group != OWN &&
        w->guest_group != m->places[id].group)
        return REFUSE_INVALID;
    for (int i = 0; i < m->plug_count; i++)
        if (w->host_group != OWN && (m->plugs[i].claims >> w->host_group & 1) != 0 &&
            m->plugs[i].unit != unit)
            return REFUSE_INVALID;
    for (int i = -1; i < w->alias_count; i++) {
        const uint32_t which = i < 0 ? id : w->aliases[i];
        const bool may_share = i >= 0 || w->alias;

        keys[i + 1] = model_group_of(m, w, id, which);
        if (m->places[which].kind == KIND_EMULATED ||
            (model_device(m, which) != NULL && (!may_share || model_devices(m, which, true) > 0)))
            return REFUSE_EXISTS;
        for (int j = 0; j < m->plug_count; j++)
            if (model_answers(&m->plugs[j], which) &&
                (m->plugs[j].unit != unit || !model_same_host(&m->plugs[j].host, host)))
                return REFUSE_CONFLICT;
    }
    fits = model_device_fits(m, host) && (!m->bypass || (m->identity & host->reserved) == 0);
    for (int i = 0; i < m->plug_count; i++)
        fits &= !m->bypass || m->plugs[i].unit != unit ||
                (m->identity & m->plugs[i].host.reserved) == 0;
    fits &= model_all_bear(m, unit, keys, w->alias_count + 1, &settled, w->stale, went_stale);
    return fits ? 0 : REFUSE_CONFLICT;
}

static inline void model_prepare(struct model *m, uint32_t id, const struct model_where *w,
                                 const struct model_host *host)
{
    struct model_plug plug = {.prepared = true, .host_group = w->host_group};

    plug.claims = w->host_group != OWN ? (uint64_t)1 << w->host_group : 0;
    plug.unit = model_unit(m, w, id);
    plug.host = model_settled(m, plug.unit, host);
    for (int i = -1; i < w->alias_count; i++) {
        const uint32_t which = i < 0 ? id : w->aliases[i];
        const uint64_t key = model_group_of(m, w, id, which);
        struct model_place *p = &m->places[which];

        if (p->kind == KIND_NONE) {
            memset(p, 0, sizeof(*p));
            p->kind = KIND_DEVICE;
            p->group = key;
            p->domain = -1;
        }
        plug.ids[plug.count++] = which;
    }
    m->plugs[m->plug_count++] = plug;
    m->own_groups++;
}

static inline int model_commit(struct model *m, uint32_t id)
{
    const int which = model_own_plug(m, id, true);

    if (which >= 0)
        m->plugs[which].prepared = false;
    return which >= 0 ? 0 : REFUSE_STATE;
}

static inline void model_take_out(struct model *m, int which)
{
    const struct model_plug was = m->plugs[which];

    m->plug_count--;
    for (int i = which; i < m->plug_count; i++)
        m->plugs[i] = m->plugs[i + 1];
    /* Which of several is gone can't be told: the last one of them stands for all. */
    if (!was.prepared && model_own_plug(m, was.ids[0], false) >= 0)
        m->plugs[model_own_plug(m, was.ids[0], false)].claims |= was.claims;
    for (int i = 0; i < was.count; i++) {
        const uint32_t id = was.ids[i];

        if (!was.prepared && model_devices(m, id, false) == 0) {
            model_detach(m, (int)id);
            model_forget(m, (int)id);
        }
        if (m->places[id].kind == KIND_DEVICE && model_device(m, id) == NULL)
            model_drop(m, (int)id);
    }
}

static inline int model_abort(struct model *m, uint32_t id)
{
    const int which = model_own_plug(m, id, true);

    if (which >= 0)
        model_take_out(m, which);
    return which >= 0 ? 0 : REFUSE_STATE;
}

static inline int model_unplug(struct model *m, uint32_t id)
{
    const int which = model_own_plug(m, id, false);

    if (which >= 0)
        model_take_out(m, which);
    return which >= 0 ? 0 : REFUSE_NOT_FOUND;
}

/* ---- the oracle ---- */

static inline int model_attach(struct model *m, uint32_t domain, uint32_t id, uint32_t flags)
{
    const bool bypass = (flags & 1) != 0;
    struct model_place *p = id < PLACES ? &m->places[id] : NULL;
    const struct model_plug *device = id < PLACES ? model_device(m, id) : NULL;
    struct model_domain *d;
    uint64_t reserved;
    int domains = 0, mates = 0;

    if ((flags & ~1u) != 0)
        return S_INVAL;
    if (p == NULL || p->kind == KIND_NONE || !model_visible(m, id))
        return S_NOENT;
    if (domain >= DOMAINS)
        return S_RANGE;
    d = &m->domains[domain];
    if (d->exists && d->bypass != bypass)
        return S_INVAL;
    if (d->exists && p->domain == (int)domain)
        return S_OK;
    for (int i = 0; bypass && device != NULL && i < m->plug_count; i++)
        if (m->plugs[i].unit == device->unit && (m->plugs[i].host.reserved & m->identity) != 0)
            return S_UNSUPP;
    reserved = model_group(m, p->group, NULL);
    for (int i = 0; i < d->count; i++)
        if ((model_touch(d->mappings[i].start, d->mappings[i].last) & reserved) != 0)
            return S_UNSUPP;
    if (device != NULL && d->count > 0 && !model_mapped_in(m, device->unit, (int)domain)) {
        uint64_t live = model_unit_live(m, device->unit) + (uint64_t)d->count;
        struct model_place was = *p;

        if (p->domain >= 0) {
            p->domain = -1;
            if (!model_mapped_in(m, device->unit, was.domain))
                live -= (uint64_t)m->domains[was.domain].count;
            p->domain = was.domain;
        }
        if (live > model_unit_budget(m, device->unit))
            return S_UNSUPP;
    }
    for (int i = 0; i < DOMAINS; i++)
        domains += m->domains[i].exists;
    for (int i = 0; i < PLACES; i++)
        mates +=
            p->domain >= 0 && m->places[i].kind != KIND_NONE && m->places[i].domain == p->domain;
    if (!d->exists && domains - (mates == 1) >= m->max_domains)
        return S_NOMEM;
    model_detach(m, (int)id);
    p->domain = (int)domain;
    d->exists = true;
    d->bypass = bypass;
    return S_OK;
}

static inline int model_detach_request(struct model *m, uint32_t domain, uint32_t id)
{
    if (id >= PLACES || m->places[id].kind == KIND_NONE || !model_visible(m, id))
        return S_NOENT;
    if (m->places[id].domain < 0 || (uint32_t)m->places[id].domain != domain)
        return S_INVAL;
    model_detach(m, (int)id);
    return S_OK;
}

static inline int model_map(struct model *m, uint32_t domain, const struct model_mapping *want)
{
    struct model_domain *d = domain < DOMAINS ? &m->domains[domain] : NULL;
    uint64_t pages;

    if ((want->flags & ~7u) != 0)
        return S_INVAL;
    if (d == NULL || !d->exists)
        return S_NOENT;
    if (d->bypass || want->last <= want->start)
        return S_INVAL;
    if (want->start % m->granule != 0 || want->last % m->granule != m->granule - 1 ||
        want->phys % m->granule != 0)
        return S_RANGE;
    if (want->last >= PAGES * 4096 || want->phys + (want->last - want->start) < want->phys)
        return S_RANGE;
    pages = model_touch(want->start, want->last);
    if ((pages & model_domain_reserved(m, (int)domain)) != 0)
        return S_INVAL;
    for (int i = 0; i < d->count; i++)
        if (want->start <= d->mappings[i].last && want->last >= d->mappings[i].start)
            return S_INVAL;
    if ((uint64_t)model_live(m) >= m->max_mappings ||
        (uint64_t)d->count >= m->max_domain_mappings ||
        (uint64_t)d->count >= model_budget(m, (int)domain))
        return S_NOMEM;
    d->mappings[d->count++] = *want;
    return S_OK;
}

static inline int model_unmap(struct model *m, uint32_t domain, uint64_t start, uint64_t last)
{
    struct model_domain *d = domain < DOMAINS ? &m->domains[domain] : NULL;
    int kept = 0;

    if (d == NULL || !d->exists)
        return S_NOENT;
    if (d->bypass || last < start)
        return S_INVAL;
    for (int i = 0; i < d->count; i++)
        if (start <= d->mappings[i].last && last >= d->mappings[i].start &&
            (start > d->mappings[i].start || last < d->mappings[i].last))
            return S_RANGE;
    for (int i = 0; i < d->count; i++)
        if (start > d->mappings[i].last || last < d->mappings[i].start)
            d->mappings[kept++] = d->mappings[i];
    d->count = kept;
    return S_OK;
}

static inline int model_probe(struct model *m, uint32_t id, uint64_t *reserved)
{
    struct model_place *p = id < PLACES ? &m->places[id] : NULL;

    if (p == NULL || p->kind == KIND_NONE ||
        (p->kind == KIND_DEVICE && model_devices(m, id, false) == 0))
        return S_NOENT;
    *reserved = model_widen(m, model_group(m, p->group, NULL));
    p->told = true;
    p->promise = ~*reserved;
    if (p->promise != 0)
        *model_promised(m, p->group) |= p->promise;
    return S_OK;
}

/* Where an access goes: -1 and *phys, or a fault reason: 1 (domain) or 2 (mapping). */
static inline int model_translate(const struct model *m, uint32_t id, uint64_t address,
                                  uint32_t flags, uint64_t *phys)
{
    const struct model_place *p = id < PLACES ? &m->places[id] : NULL;
    const struct model_plug *device = p != NULL ? model_device(m, id) : NULL;
    bool bypass;

    if (p == NULL || p->kind == KIND_NONE || !model_visible(m, id))
        return 1;
    bypass = p->domain >= 0 ? m->domains[p->domain].bypass : m->bypass;
    for (int i = 0; p->domain < 0 && device != NULL && i < m->plug_count; i++)
        if (m->plugs[i].unit == device->unit && (m->plugs[i].host.reserved & m->identity) != 0)
            bypass = false;
    *phys = address;
    if (bypass)
        return -1;
    if (p->domain < 0)
        return 1;
    for (int i = 0; i < m->domains[p->domain].count; i++) {
        const struct model_mapping *k = &m->domains[p->domain].mappings[i];

        *phys = k->phys + (address - k->start);
        if (k->start <= address && address <= k->last && (flags & ~k->flags) == 0)
            return -1;
    }
    return 2;
}

#endif

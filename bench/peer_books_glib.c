/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MAP and UNMAP with the checks that the specification asks of a device, on what QEMU keeps: a
 * GTree of domains, in each of them a GTree of mappings, and the endpoint's reserved regions in a
 * list.
 */
#include <glib.h>
#include <string.h>

#include "bench.h"

enum status { OK, INVAL, RANGE, NOENT };

struct domain {
    GTree *mappings;
    gboolean bypass;
};

struct books {
    GTree *domains;
    GTree *endpoints; /* to their domain */
    GList *reserved;
    uint64_t granule_mask;
    uint64_t input_last;
};

struct mapping {
    uint64_t phys;
    uint32_t flags;
};

static gint id_compare(gconstpointer a, gconstpointer b, gpointer context)
{
    (void)context;
    return GPOINTER_TO_UINT(a) < GPOINTER_TO_UINT(b) ? -1
                                                     : GPOINTER_TO_UINT(a) > GPOINTER_TO_UINT(b);
}

static gint interval_compare(gconstpointer a, gconstpointer b, gpointer context)
{
    const struct iovageom_range *x = a;
    const struct iovageom_range *y = b;

    (void)context;
    return x->last < y->start ? -1 : y->last < x->start ? 1 : 0;
}

static void domain_free(gpointer pointer)
{
    struct domain *domain = pointer;

    g_tree_destroy(domain->mappings);
    g_free(domain);
}

static void *create(void)
{
    struct books *books = g_new0(struct books, 1);
    struct domain *domain = g_new0(struct domain, 1);
    struct iovageom_range reserved[] = {{BENCH_MSI_START, BENCH_MSI_LAST},
                                        {BENCH_BOOKS_LAST + 1, UINT64_MAX}};

    books->domains = g_tree_new_full(id_compare, NULL, NULL, domain_free);
    domain->mappings = g_tree_new_full(interval_compare, NULL, g_free, g_free);
    g_tree_insert(books->domains, GUINT_TO_POINTER(BENCH_BOOKS_DOMAIN), domain);
    books->endpoints = g_tree_new_full(id_compare, NULL, NULL, NULL);
    g_tree_insert(books->endpoints, GUINT_TO_POINTER(BENCH_BOOKS_ENDPOINT), domain);
    books->granule_mask = BENCH_PAGE - 1;
    books->input_last = BENCH_BOOKS_LAST;
    for (size_t i = 0; i < G_N_ELEMENTS(reserved); i++)
        books->reserved =
            g_list_append(books->reserved, g_memdup2(&reserved[i], sizeof(reserved[i])));
    return books;
}

static void destroy(void *set)
{
    struct books *books = set;

    g_tree_destroy(books->endpoints);
    g_tree_destroy(books->domains);
    g_list_free_full(books->reserved, g_free);
    g_free(books);
}

static enum status map(struct books *books, uint32_t id, struct iovageom_range range, uint64_t phys,
                       uint32_t flags)
{
    struct iovageom_range *key;
    struct mapping *mapping;
    struct domain *domain;

    if (flags & ~7U)
        return INVAL;
    domain = g_tree_lookup(books->domains, GUINT_TO_POINTER(id));
    if (!domain)
        return NOENT;
    if (domain->bypass || range.start > range.last)
        return INVAL;
    if (((range.start | phys | (range.last + 1)) & books->granule_mask) ||
        range.last > books->input_last || phys > UINT64_MAX - (range.last - range.start))
        return RANGE;
    for (const GList *at = books->reserved; at; at = at->next) {
        const struct iovageom_range *reserved = at->data;

        if (range.start <= reserved->last && reserved->start <= range.last)
            return INVAL;
    }
    key = g_memdup2(&range, sizeof(range));
    if (g_tree_lookup(domain->mappings, key)) {
        g_free(key);
        return INVAL;
    }
    mapping = g_new0(struct mapping, 1);
    mapping->phys = phys;
    mapping->flags = flags;
    g_tree_insert(domain->mappings, key, mapping);
    return OK;
}

static enum status unmap(struct books *books, uint32_t id, struct iovageom_range range,
                         size_t *removed)
{
    struct domain *domain = g_tree_lookup(books->domains, GUINT_TO_POINTER(id));
    gpointer key;
    gpointer value;

    if (!domain)
        return NOENT;
    if (domain->bypass || range.start > range.last)
        return INVAL;
    while (g_tree_lookup_extended(domain->mappings, &range, &key, &value)) {
        const struct iovageom_range *found = key;

        if (found->start < range.start || found->last > range.last)
            return RANGE;
        g_tree_remove(domain->mappings, key);
        ++*removed;
    }
    return OK;
}

static uint64_t insert(void *set, const struct iovageom_range *ranges, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += map(set, BENCH_BOOKS_DOMAIN, ranges[i], ranges[i].start ^ 0x1000, 3) == OK;
    return sum;
}

static uint64_t churn(void *set, const struct iovageom_range *ranges, size_t count, size_t lag)
{
    size_t removed = 0;
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        unmap(set, BENCH_BOOKS_DOMAIN, ranges[i], &removed);
        if (i >= lag)
            sum += insert(set, &ranges[i - lag], 1);
    }
    return sum + insert(set, &ranges[count - lag], lag) + removed;
}

/* Copies the fields out of the request, answers, and copies the tail back. */
static uint64_t requests(void *set, struct bench_request *list, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *bytes = list[i].bytes;
        struct iovageom_range range;
        enum status status = INVAL;
        size_t removed = 0;
        uint32_t domain;
        uint32_t flags;
        uint64_t phys;

        memcpy(&domain, bytes + 4, sizeof(domain));
        memcpy(&range, bytes + 8, sizeof(range));
        domain = GUINT32_FROM_LE(domain);
        range.start = GUINT64_FROM_LE(range.start);
        range.last = GUINT64_FROM_LE(range.last);
        if (bytes[0] == 3 && list[i].size == 36) {
            memcpy(&phys, bytes + 24, sizeof(phys));
            memcpy(&flags, bytes + 32, sizeof(flags));
            status = map(set, domain, range, GUINT64_FROM_LE(phys), GUINT32_FROM_LE(flags));
        } else if (bytes[0] == 4 && list[i].size == 28) {
            status = unmap(set, domain, range, &removed);
        }
        memset(list[i].tail, 0, sizeof(list[i].tail));
        list[i].tail[0] = (uint8_t)status;
        sum += status == OK;
    }
    return sum;
}

/* As virtio_iommu_translate() goes: endpoint, reserved regions, mapping, permission. False: a
 * fault. */
static gboolean translate_one(struct books *books, uint64_t address, struct iovageom_range *found,
                              uint64_t *phys)
{
    struct domain *domain = g_tree_lookup(books->endpoints, GUINT_TO_POINTER(BENCH_BOOKS_ENDPOINT));
    const struct iovageom_range low = {address, address};
    gpointer key;
    gpointer value;

    if (!domain)
        return FALSE;
    for (const GList *at = books->reserved; at; at = at->next) {
        const struct iovageom_range *reserved = at->data;

        if (address >= reserved->start && address <= reserved->last)
            return FALSE;
    }
    if (!g_tree_lookup_extended(domain->mappings, &low, &key, &value) ||
        !(((struct mapping *)value)->flags & 1))
        return FALSE;
    *found = *(struct iovageom_range *)key;
    *phys = ((struct mapping *)value)->phys + (address - found->start);
    return TRUE;
}

static uint64_t translate(void *set, const uint64_t *addresses, size_t count)
{
    struct iovageom_range found;
    uint64_t sum = 0;
    uint64_t phys;

    for (size_t i = 0; i < count; i++)
        if (translate_one(set, addresses[i], &found, &phys) && found.last - addresses[i] >= 63)
            sum += phys;
    return sum;
}

/* A lookup for each mapping. */
static uint64_t translate_span(void *set, const struct iovageom_range *spans, size_t count)
{
    struct iovageom_range found;
    uint64_t sum = 0;
    uint64_t phys;

    for (size_t i = 0; i < count; i++)
        for (uint64_t at = spans[i].start; at <= spans[i].last; at = found.last + 1) {
            if (!translate_one(set, at, &found, &phys))
                return 0;
            found.last = found.last < spans[i].last ? found.last : spans[i].last;
            sum += found.last - at + 1 + (at == spans[i].start ? phys : 0);
        }
    return sum;
}

static uint64_t unmap_all(void *set)
{
    const struct iovageom_range all = {0, BENCH_BOOKS_LAST};
    size_t removed = 0;

    unmap(set, BENCH_BOOKS_DOMAIN, all, &removed);
    return removed;
}

static const struct bench_peer books_gtree = {
    .name = "gtree",
    .what = "the same checks on GTrees, as QEMU keeps its books",
    .create = create,
    .destroy = destroy,
    .insert = insert,
    .churn = churn,
    .requests = requests,
    .translate = translate,
    .translate_span = translate_span,
    .unmap_all = unmap_all,
};

__attribute__((constructor)) static void books_register(void)
{
    bench_register_books(&books_gtree);
}

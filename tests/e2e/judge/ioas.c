/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An I/O address space of iommufd, as the library sees it: the geometries of its owners, their
 * meet, and books (a virtual IOMMU) in which each owner is a device of one domain. When the granule
 * changes, the books are written anew with it, and all mappings must go over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/ranges.h>

#include "judge.h"

enum { DOMAIN_NUMBER = 1, FLAGS = IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE };

static const struct iovageom_range everything = {0, IOVAGEOM_ADDRESS_MAX};

void *must(void *memory)
{
    if (memory == NULL) {
        fputs("replay: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

void must_do(int status, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "replay: %s: %s\n", what, iovageom_status_string(status));
        exit(2);
    }
}

/* ---- books ---- */

static struct iovageom_viommu *new_books(uint64_t granule)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *books;

    iovageom_viommu_config_init(&config);
    config.page_size_mask = ~(granule - 1);
    config.granule = granule;
    must_do(iovageom_viommu_new(NULL, &config, &books), "books");
    must_do(
        iovageom_viommu_declare(books, 0, IOVAGEOM_VIOMMU_OWN, IOVAGEOM_ENDPOINT_EMULATED, NULL),
        "an endpoint for translations");
    must_do(iovageom_viommu_attach(books, DOMAIN_NUMBER, 0, 0, NULL), "a domain");
    return books;
}

/* Only what is mapped can stand against it. */
static int plug_owner(struct iovageom_viommu *books, const struct owner *owner)
{
    int status = iovageom_viommu_plug(books, owner->endpoint, NULL, owner->geometry, NULL);

    if (status < 0)
        return status;
    status = iovageom_viommu_attach(books, DOMAIN_NUMBER, owner->endpoint, 0, NULL);
    if (status < 0)
        must_do(iovageom_viommu_unplug(books, owner->endpoint), "unplug");
    return status;
}

/* The lowest mapping that ends at `from` or above, while there is one. */
static bool mapping_from(const struct ioas *ioas, uint64_t from, struct iovageom_mapping *out)
{
    return iovageom_viommu_mapping_next(ioas->books, DOMAIN_NUMBER, from, out);
}

/* Go through the mappings that meet a range: false after the last one. */
static bool next_in(const struct ioas *ioas, struct iovageom_range *rest,
                    struct iovageom_mapping *out)
{
    if (rest->start > rest->last || !mapping_from(ioas, rest->start, out) ||
        out->range.start > rest->last)
        return false;
    if (out->range.last >= rest->last)
        *rest = (struct iovageom_range){1, 0};
    else
        rest->start = out->range.last + 1;
    return true;
}

/* All owners and mappings in new books of that granule; NULL when one can't be there. */
static struct iovageom_viommu *rewritten(const struct ioas *ioas, uint64_t granule)
{
    struct iovageom_viommu *books = new_books(granule);
    struct iovageom_range rest = everything;
    struct iovageom_mapping mapping;
    int status = IOVAGEOM_OK;

    for (size_t i = 0; status == IOVAGEOM_OK && i < ioas->owner_count; i++)
        status = plug_owner(books, &ioas->owners[i]);
    while (status == IOVAGEOM_OK && next_in(ioas, &rest, &mapping))
        status = iovageom_viommu_map(books, DOMAIN_NUMBER, mapping.range, mapping.phys,
                                     mapping.flags, NULL);
    if (status == IOVAGEOM_OK)
        return books;
    iovageom_viommu_free(books);
    return NULL;
}

/* ---- owners ---- */

static void new_meet(struct ioas *ioas)
{
    iovageom_geometry_free(ioas->meet);
    must_do(iovageom_geometry_new(NULL, "ioas", &ioas->meet), "meet");
    for (size_t i = 0; i < ioas->owner_count; i++)
        must_do(iovageom_geometry_narrow(ioas->meet, ioas->owners[i].geometry), "meet");
}

static uint64_t granule_of(const struct iovageom_geometry *geometry)
{
    uint64_t granule = 1;

    (void)iovageom_geometry_granule(geometry, &granule);
    return granule;
}

struct ioas *ioas_new(uint32_t id)
{
    struct ioas *ioas = must(calloc(1, sizeof(*ioas)));

    ioas->id = id;
    ioas->granule = 1;
    ioas->books = new_books(1);
    new_meet(ioas);
    return ioas;
}

void ioas_free(struct ioas *ioas)
{
    for (size_t i = 0; i < ioas->owner_count; i++)
        iovageom_geometry_free(ioas->owners[i].geometry);
    iovageom_geometry_free(ioas->meet);
    iovageom_viommu_free(ioas->books);
    free(ioas);
}

static struct iovageom_rangeset usable_of(const struct iovageom_geometry *geometry,
                                          uint64_t granule)
{
    struct iovageom_rangeset set;

    must_do(iovageom_rangeset_init(&set, NULL), "set");
    must_do(iovageom_geometry_usable(geometry, granule, &set), "usable addresses");
    return set;
}

static bool has_all(const struct iovageom_geometry *geometry, const struct iovageom_range *ranges,
                    size_t count)
{
    struct iovageom_rangeset usable = usable_of(geometry, 1);
    bool all = true;

    for (size_t i = 0; i < count; i++)
        all = all && iovageom_rangeset_contains(&usable, ranges[i]);
    iovageom_rangeset_deinit(&usable);
    return all;
}

/* The owner is the last one in the list. Take it into the books, with its granule. */
static int admit_last(struct ioas *ioas)
{
    uint64_t granule = granule_of(ioas->meet);
    struct iovageom_viommu *books;

    if (!has_all(ioas->meet, ioas->allowed, ioas->allowed_count))
        return IOVAGEOM_ERR_CONFLICT;
    if (granule == ioas->granule)
        return plug_owner(ioas->books, &ioas->owners[ioas->owner_count - 1]);
    books = rewritten(ioas, granule);
    if (books == NULL)
        return IOVAGEOM_ERR_CONFLICT;
    iovageom_viommu_free(ioas->books);
    ioas->books = books;
    ioas->granule = granule;
    return IOVAGEOM_OK;
}

int ioas_add_owner(struct ioas *ioas, enum owner_kind kind, uint32_t id,
                   struct iovageom_geometry *geometry)
{
    int status;

    if (ioas->owner_count == OWNERS)
        must(NULL);
    ioas->owners[ioas->owner_count++] = (struct owner){kind, id, ++ioas->endpoints, geometry};
    new_meet(ioas);
    status = admit_last(ioas);
    if (status < 0) {
        ioas->owner_count--;
        iovageom_geometry_free(geometry);
        new_meet(ioas);
    }
    return status < 0 ? IOVAGEOM_ERR_CONFLICT : IOVAGEOM_OK;
}

bool ioas_has_owner(const struct ioas *ioas, enum owner_kind kind, uint32_t id)
{
    for (size_t i = 0; i < ioas->owner_count; i++)
        if (ioas->owners[i].kind == kind && ioas->owners[i].id == id)
            return true;
    return false;
}

void ioas_remove_owner(struct ioas *ioas, enum owner_kind kind, uint32_t id)
{
    size_t at = 0;

    while (at < ioas->owner_count && (ioas->owners[at].kind != kind || ioas->owners[at].id != id))
        at++;
    if (at == ioas->owner_count)
        return;
    must_do(iovageom_viommu_unplug(ioas->books, ioas->owners[at].endpoint), "unplug");
    iovageom_geometry_free(ioas->owners[at].geometry);
    memmove(&ioas->owners[at], &ioas->owners[at + 1],
            (--ioas->owner_count - at) * sizeof(ioas->owners[0]));
    new_meet(ioas);
    if (granule_of(ioas->meet) != ioas->granule) {
        struct iovageom_viommu *books = must(rewritten(ioas, granule_of(ioas->meet)));

        iovageom_viommu_free(ioas->books);
        ioas->books = books;
        ioas->granule = granule_of(ioas->meet);
    }
}

int ioas_allow(struct ioas *ioas, const struct iovageom_range *ranges, size_t count)
{
    if (count > ALLOWED)
        must(NULL);
    if (!has_all(ioas->meet, ranges, count))
        return IOVAGEOM_ERR_CONFLICT;
    if (count > 0)
        memcpy(ioas->allowed, ranges, count * sizeof(ranges[0]));
    ioas->allowed_count = count;
    return iovageom_ranges_normalize(ioas->allowed, &ioas->allowed_count);
}

bool ioas_same_ranges(const struct ioas *ioas, const struct iovageom_geometry *answered)
{
    struct iovageom_rangeset here = usable_of(ioas->meet, 1), there = usable_of(answered, 1);
    struct iovageom_rangeset whole = usable_of(answered, ioas->granule), books;
    bool same = iovageom_rangeset_equal(&here, &there);

    must_do(iovageom_rangeset_init(&books, NULL), "set");
    must_do(iovageom_viommu_domain_usable(ioas->books, DOMAIN_NUMBER, &books), "domain");
    same = same && iovageom_rangeset_equal(&whole, &books);
    iovageom_rangeset_deinit(&here);
    iovageom_rangeset_deinit(&there);
    iovageom_rangeset_deinit(&whole);
    iovageom_rangeset_deinit(&books);
    return same;
}

/* ---- mappings ---- */

int ioas_map(struct ioas *ioas, struct iovageom_range range, uint64_t phys)
{
    return iovageom_viommu_map(ioas->books, DOMAIN_NUMBER, range, phys, FLAGS, NULL);
}

int ioas_map_check(const struct ioas *ioas, struct iovageom_range range, uint64_t phys)
{
    int status = iovageom_viommu_map(ioas->books, DOMAIN_NUMBER, range, phys, FLAGS, NULL);

    if (status == IOVAGEOM_OK)
        must_do(iovageom_viommu_unmap(ioas->books, DOMAIN_NUMBER, range, NULL, NULL), "unmap");
    return status;
}

int ioas_unmap(struct ioas *ioas, struct iovageom_range range, uint64_t *bytes)
{
    struct iovageom_range rest = range;
    struct iovageom_mapping mapping;

    *bytes = 0;
    while (next_in(ioas, &rest, &mapping))
        *bytes += mapping.range.last - mapping.range.start + 1;
    return iovageom_viommu_unmap(ioas->books, DOMAIN_NUMBER, range, NULL, NULL);
}

void ioas_sweep(struct ioas *ioas, struct iovageom_range range)
{
    struct iovageom_range rest = range;
    struct iovageom_mapping mapping;

    while (next_in(ioas, &rest, &mapping) && iovageom_range_contains(range, mapping.range))
        must_do(iovageom_viommu_unmap(ioas->books, DOMAIN_NUMBER, mapping.range, NULL, NULL),
                "unmap");
}

/* Make `last` the end of a mapping. */
static void cut_after(struct ioas *ioas, uint64_t last)
{
    struct iovageom_mapping mapping;
    struct iovageom_range low, high;

    if (!mapping_from(ioas, last, &mapping) || mapping.range.start > last ||
        mapping.range.last == last)
        return;
    low = (struct iovageom_range){mapping.range.start, last};
    high = (struct iovageom_range){last + 1, mapping.range.last};
    must_do(iovageom_viommu_unmap(ioas->books, DOMAIN_NUMBER, mapping.range, NULL, NULL), "cut");
    must_do(ioas_map(ioas, low, mapping.phys), "cut");
    must_do(ioas_map(ioas, high, mapping.phys + (high.start - low.start)), "cut");
}

void ioas_cut(struct ioas *ioas, struct iovageom_range range)
{
    cut_after(ioas, range.last);
    if (range.start > 0)
        cut_after(ioas, range.start - 1);
}

int ioas_mapped(const struct ioas *ioas, struct iovageom_range range, uint64_t *phys)
{
    struct iovageom_range first = {range.start, range.start};
    struct iovageom_segment segment;
    int status = iovageom_viommu_translate(ioas->books, 0, first, 0, &segment, 1, NULL, NULL);

    if (status == IOVAGEOM_OK)
        *phys = segment.phys;
    status = iovageom_viommu_translate(ioas->books, 0, range, 0, NULL, 0, NULL, NULL);
    return status == IOVAGEOM_ERR_BUFFER_TOO_SMALL ? IOVAGEOM_OK : status;
}

int ioas_copy(struct ioas *to, uint64_t start, const struct ioas *from, struct iovageom_range range)
{
    struct iovageom_range rest = range, piece;
    struct iovageom_mapping mapping;
    int status = IOVAGEOM_OK;

    while (status == IOVAGEOM_OK && next_in(from, &rest, &mapping)) {
        uint64_t cut = mapping.range.start < range.start ? range.start - mapping.range.start : 0;

        piece.start = start + (mapping.range.start + cut - range.start);
        piece.last = start + ((mapping.range.last < range.last ? mapping.range.last : range.last) -
                              range.start);
        status = ioas_map(to, piece, mapping.phys + cut);
    }
    return status;
}

/* ---- where the kernel maps what may be anywhere ---- */

static uint64_t power_of_two_from(uint64_t length)
{
    uint64_t power = 1;

    while (power < length && power <= UINT64_MAX / 4)
        power *= 2;
    return power;
}

static uint64_t alignment_of(uint64_t length, uint64_t address)
{
    const uint64_t huge_page = 2 << 20;
    uint64_t alignment = power_of_two_from(length), lowest = address & -address;

    if (address != 0 && lowest < alignment)
        alignment = lowest;
    return alignment < huge_page ? alignment : huge_page;
}

/* What is reserved, and what is mapped. */
static struct iovageom_rangeset taken(const struct ioas *ioas)
{
    struct iovageom_rangeset set = usable_of(ioas->meet, 1);
    struct iovageom_range rest = everything;
    struct iovageom_mapping mapping;

    must_do(iovageom_rangeset_complement(&set, &set, everything), "reserved addresses");
    while (next_in(ioas, &rest, &mapping))
        must_do(iovageom_rangeset_insert(&set, mapping.range), "mapped addresses");
    return set;
}

int ioas_place(const struct ioas *ioas, uint64_t length, uint64_t address,
               struct iovageom_range *out, bool *exact)
{
    const struct iovageom_range limits = {0x1000, UINT64_MAX - 0x1000};
    uint64_t alignment = alignment_of(length, address);
    struct iovageom_rangeset set = taken(ioas);
    int status = IOVAGEOM_ERR_NOT_FOUND;
    size_t i = 0;

    *exact = (address & 0xfff) == 0;
    if (alignment < ioas->granule)
        alignment = ioas->granule;
    do {
        struct iovageom_range window = ioas->allowed_count > 0 ? ioas->allowed[i] : limits;

        if (window.start < limits.start)
            window.start = limits.start;
        if (window.last > limits.last)
            window.last = limits.last;
        if (iovageom_range_valid(window))
            status = iovageom_rangeset_hole(&set, window, length, alignment, false, out);
    } while (status == IOVAGEOM_ERR_NOT_FOUND && ++i < ioas->allowed_count);
    iovageom_rangeset_deinit(&set);
    return status == IOVAGEOM_ERR_NOT_FOUND ? IOVAGEOM_ERR_NOTHING_USABLE : status;
}

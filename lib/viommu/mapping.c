/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../base/range.h"
#include "../base/hints.h"
#include "../set/itree_internal.h"
#include "../set/rangeset_internal.h"
#include "internal.h"

/* MAP, UNMAP and translation. `decide` answers on const state, with a finding for the first thing
 * that is wrong; `do` changes the mappings, and relies on that answer. Refusals are out of the way
 * (COLD): a MAP that is accepted should touch little code. */

/* What any access may do. */
#define READ_WRITE ((uint32_t)(IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE))

/* Refuse `range` for its alignment, for the input range, or for the mapping `hit` (else NULL). */
static IOVAGEOM_COLD int refuse_range(const struct iovageom_viommu *viommu, int error,
                                      uint32_t domain, struct iovageom_range range,
                                      const struct iovageom_mapping *hit,
                                      struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_of(IOVAGEOM_FINDING_OVERLAP, error, domain, IOVAGEOM_ID_NONE, range,
                            hit != NULL ? hit->range : IOVAGEOM_NOWHERE);

    if (error == IOVAGEOM_ERR_ALIGNMENT) {
        finding.kind = IOVAGEOM_FINDING_ALIGNMENT;
        finding.wanted = iovageom_shown_granule(viommu);
        if (iovageom_range_is_aligned(range, finding.wanted))
            finding.detail = "phys_start";
    } else if (error == IOVAGEOM_ERR_OUT_OF_APERTURE) {
        finding.kind = IOVAGEOM_FINDING_OUT_OF_APERTURE;
        finding.against = viommu->shown.input_range;
        (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_MACHINE, "input_range");
    }
    return iovageom_refuse(report, &finding);
}

static IOVAGEOM_COLD int refuse_map(uint32_t domain, int error, const char *detail,
                                    struct iovageom_report *report)
{
    return iovageom_refuse_saying(report, error, detail, domain, IOVAGEOM_ID_NONE);
}

/* Addresses of `range` are reserved. In a guest's MAP that is the guest's mistake. In a stream it
 * is a live mapping that this host can't map. */
static IOVAGEOM_COLD int refuse_reserved(const struct iovageom_viommu *viommu,
                                         const struct iovageom_domain *domain,
                                         struct iovageom_range range,
                                         struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_of(viommu->loading ? IOVAGEOM_FINDING_MAPPING : IOVAGEOM_FINDING_RESERVED,
                            viommu->loading ? IOVAGEOM_ERR_CONFLICT : IOVAGEOM_ERR_RESERVED,
                            domain->id, IOVAGEOM_ID_NONE, range, IOVAGEOM_NOWHERE);

    return iovageom_refuse_reserved(report, &finding, &domain->reserved, viommu, NULL, domain);
}

static IOVAGEOM_COLD int refuse_limit(const struct iovageom_domain *domain,
                                      enum iovageom_finding_kind kind, uint64_t used, uint64_t most,
                                      struct iovageom_report *report)
{
    return iovageom_refuse_number(report, kind, IOVAGEOM_ERR_LIMIT, domain->id, IOVAGEOM_ID_NONE,
                                  used + 1, most);
}

/* ---- MAP ---- */

/* What is asked first, and needs no view: flags, domain, bypass, and the numbers alone (N37, N41,
 * I2, I7). In the order that viommu_serve.h documents, since a guest sees which status comes first.
 * The granule is the frozen one: a host may map smaller pages, but the guest was told this one. */
static int map_front(const struct iovageom_viommu *viommu, const struct iovageom_domain *target,
                     uint32_t domain, const struct iovageom_mapping *mapping,
                     struct iovageom_report *report)
{
    const uint64_t granule = iovageom_pgsize_granule(viommu->shown.page_size_mask);
    const struct iovageom_range range = mapping->range;
    const bool mmio = (viommu->accepted & IOVAGEOM_VIRTIO_F_MMIO) != 0;

    if ((mapping->flags & ~(READ_WRITE | (mmio ? IOVAGEOM_VIRTIO_MAP_F_MMIO : 0u))) != 0)
        return refuse_map(domain, IOVAGEOM_ERR_INVALID, "an unknown flag of MAP is set (N43)",
                          report);
    if (target == NULL)
        return iovageom_refuse_unknown(report, domain, IOVAGEOM_ID_NONE);
    if (target->bypass)
        return refuse_map(domain, IOVAGEOM_ERR_INVALID, "the domain is in bypass (N45)", report);
    if (range.last <= range.start)
        return refuse_map(domain, IOVAGEOM_ERR_INVALID, "virt_end is not above virt_start (N37)",
                          report);
    if (!iovageom_range_is_aligned(range, granule) || (mapping->phys & (granule - 1)) != 0)
        return refuse_range(viommu, IOVAGEOM_ERR_ALIGNMENT, domain, range, NULL, report);
    if (!iovageom_range_contains(viommu->shown.input_range, range))
        return refuse_range(viommu, IOVAGEOM_ERR_OUT_OF_APERTURE, domain, range, NULL, report);
    if (range.last - range.start > UINT64_MAX - mapping->phys)
        return refuse_map(domain, IOVAGEOM_ERR_OVERFLOW,
                          "the physical range ends above 2^64-1 (I7)", report);
    return IOVAGEOM_OK;
}

/* Whether the range is free: not reserved (N76), not mapped (N42), and one mapping more within the
 * limits of the object, of the domain and of its hosts. `*place` is where it goes in the tree; the
 * search that finds no overlap has found that too. */
static ALWAYS_INLINE int map_place(const struct iovageom_viommu *viommu,
                                   const struct iovageom_domain *domain,
                                   const struct iovageom_mapping *mapping, uint64_t budget,
                                   struct iovageom_report *report,
                                   struct iovageom_mappings_place *place)
{
    const struct iovageom_range range = {mapping->range.start, mapping->range.last};
    const uint64_t live = iovageom_mappings_count(&domain->mappings);
    struct iovageom_mapping hit;

    if (iovageom_rangeset_meets(&domain->reserved, range))
        return refuse_reserved(viommu, domain, range, report);
    if (!iovageom_mappings_seek_place(&domain->mappings, range, place)) {
        (void)iovageom_mappings_first_overlap(&domain->mappings, range, &hit);
        return refuse_range(viommu, IOVAGEOM_ERR_OVERLAP, domain->id, range, &hit, report);
    }
    if (viommu->mapping_count >= viommu->config.max_mappings)
        return refuse_limit(domain, IOVAGEOM_FINDING_LIMIT, viommu->mapping_count,
                            viommu->config.max_mappings, report);
    if (live >= viommu->config.max_domain_mappings)
        return refuse_limit(domain, IOVAGEOM_FINDING_LIMIT, live,
                            viommu->config.max_domain_mappings, report);
    if (live >= budget)
        return refuse_limit(domain, IOVAGEOM_FINDING_BUDGET, live, budget, report);
    return IOVAGEOM_OK;
}

/*
 * The one place where a MAP is decided. It changes nothing but the cached values of the domain,
 * which it brings up to date: with a clean domain it allocates nothing.
 */
int iovageom_map_decide(struct iovageom_viommu *viommu, uint32_t domain,
                        struct iovageom_report *report, struct iovageom_change *change)
{
    const struct iovageom_shortcut *near = iovageom_shortcut_to(&viommu->near_domains, domain);
    struct iovageom_domain *target =
        near != NULL ? near->object : iovageom_domain_at(viommu, domain);
    int status = map_front(viommu, target, domain, &change->mapping, report);

    change->domain = target;
    if (status == IOVAGEOM_OK && !target->clean)
        status = iovageom_domain_refresh(viommu, target);
    if (status != IOVAGEOM_OK)
        return status;
    return map_place(viommu, target, &change->mapping,
                     target->shares ? iovageom_domain_budget(target) : target->budget, report,
                     &change->place);
}

int iovageom_viommu_map(struct iovageom_viommu *viommu, uint32_t domain,
                        struct iovageom_range range, uint64_t phys, uint32_t flags,
                        struct iovageom_report *report)
{
    struct iovageom_change change;
    int status;

    change.mapping = (struct iovageom_mapping){range, phys, flags};
    if (report != NULL)
        iovageom_report_clear(report);
    status = iovageom_map_decide(viommu, domain, report, &change);
    return status != IOVAGEOM_OK ? status : iovageom_map_do(viommu, &change);
}

/* ---- UNMAP ---- */

/* A mapping that lies in `range` only in part would be split: refused before any mapping is removed
 * (N54). Neither alignment nor the input range is asked, for a range with holes is fine (N55). */
static NOINLINE int unmap_any(const struct iovageom_viommu *viommu, uint32_t domain,
                              struct iovageom_report *report, struct iovageom_change *change)
{
    const struct iovageom_range range = change->mapping.range;
    struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    struct iovageom_mapping split;

    change->domain = target;
    if (target == NULL)
        return iovageom_refuse_unknown(report, domain, IOVAGEOM_ID_NONE);
    if (target->bypass)
        return refuse_map(domain, IOVAGEOM_ERR_INVALID, "the domain is in bypass (N53)", report);
    if (!iovageom_range_valid(range))
        return refuse_map(domain, IOVAGEOM_ERR_INVALID, "virt_end is below virt_start", report);
    if (iovageom_mappings_seek_split(&target->mappings, range, &change->place, &split))
        return refuse_range(viommu, IOVAGEOM_ERR_SPLIT, domain, range, &split, report);
    return IOVAGEOM_OK;
}

/* A guest mostly unmaps exactly what it has mapped. Nothing else is to be asked then: the range of
 * a mapping is valid, and a domain in bypass has none. */
int iovageom_unmap_decide(const struct iovageom_viommu *viommu, uint32_t domain,
                          struct iovageom_report *report, struct iovageom_change *change)
{
    const struct iovageom_shortcut *near = iovageom_shortcut_to(&viommu->near_domains, domain);

    if (near != NULL) {
        change->domain = near->object;
        if (iovageom_mappings_seek_one(&change->domain->mappings, change->mapping.range,
                                       &change->place))
            return IOVAGEOM_OK;
    }
    return unmap_any(viommu, domain, report, change);
}

IOVAGEOM_COLD int iovageom_viommu_unmap_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                              struct iovageom_range range,
                                              struct iovageom_report *report)
{
    struct iovageom_change change = {.mapping.range = range};

    iovageom_report_clear(report);
    return iovageom_unmap_decide(viommu, domain, report, &change);
}

int iovageom_viommu_unmap(struct iovageom_viommu *viommu, uint32_t domain,
                          struct iovageom_range range, size_t *removed,
                          struct iovageom_report *report)
{
    struct iovageom_change change;
    size_t count;
    int status;

    change.mapping.range = range;
    if (report != NULL)
        iovageom_report_clear(report);
    status = iovageom_unmap_decide(viommu, domain, report, &change);
    if (status != IOVAGEOM_OK)
        return status;
    count = iovageom_unmap_do(viommu, &change);
    if (removed != NULL)
        *removed = count;
    return IOVAGEOM_OK;
}

/* ---- where an access goes ---- */

/* Which domain translates for the endpoint: `*out`, or NULL while it bypasses.
 * IOVAGEOM_ERR_NOT_FOUND when every access faults: an endpoint in no domain, where bypass is off or
 * its host can't do it. */
static int translates(const struct iovageom_viommu *viommu, uint32_t endpoint,
                      const struct iovageom_domain **out)
{
    const struct iovageom_endpoint *found = iovageom_endpoint_at(viommu, endpoint);

    if (found == NULL || !iovageom_endpoint_visible(found) ||
        (found->domain == NULL && !iovageom_bypasses(viommu, found)))
        return IOVAGEOM_ERR_NOT_FOUND;
    *out = found->domain != NULL && !found->domain->bypass ? found->domain : NULL;
    return IOVAGEOM_OK;
}

/*
 * The segments of `range`: how many, and of these as many as there is room for. `*gap` is the
 * lowest address for which no mapping has been seen yet: the walk ends when the next mapping begins
 * above it (a hole), or lacks the access that is needed. Then that address faults. Mappings ascend
 * and do not overlap, so `*gap` only grows.
 */
static int segments_of(const struct iovageom_domain *domain, struct iovageom_range range,
                       uint32_t flags, struct iovageom_segment *segments, size_t capacity,
                       size_t *count, uint64_t *gap)
{
    const struct iovageom_itree *tree = &domain->mappings.tree;
    struct iovageom_segment last = {range, 0, 0, 0};
    struct iovageom_itree_path path;
    uint64_t at = range.start;
    size_t n = 0;
    bool more = iovageom_itree_seek(tree, at, &path).range != NULL;

    for (; more; more = iovageom_itree_step(tree, &path)) {
        const struct iovageom_range *ranges = path.node[0];
        const uint64_t *values = tree->root.node ? leaf_values(ranges) : inline_values(tree);
        const uint32_t end = count_at(tree, &path, 0);

        for (size_t i = path.slot[0]; i < end; i++) {
            struct iovageom_mapping mapping =
                iovageom_mapping_of(tree, &ranges[i], &values[i * tree->width]);

            *gap = at;
            if (mapping.range.start > at || (flags & ~mapping.flags) != 0)
                return IOVAGEOM_ERR_FAULT;
            mapping.phys += at - mapping.range.start; /* not 0 for the first one only */
            /* The end of all physical addresses and address 0 are not neighbours. */
            if (n == 0 || mapping.flags != last.flags || mapping.phys < last.phys ||
                mapping.phys - last.phys != at - last.range.start) {
                n++;
                last = (struct iovageom_segment){{at, 0}, mapping.phys, mapping.flags, 0};
            }
            last.range.last = mapping.range.last < range.last ? mapping.range.last : range.last;
            if (n <= capacity)
                segments[n - 1] = last;
            *count = n;
            if (mapping.range.last >= range.last)
                return IOVAGEOM_OK;
            at = mapping.range.last + 1;
        }
    }
    *gap = at;
    return IOVAGEOM_ERR_FAULT;
}

/* An endpoint that has to be searched for, several segments, bypass or a fault; any access.
 * `segments` are untouched on an error: so few are found here first, and many twice. */
static NOINLINE int translate_any(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                  struct iovageom_range range, uint32_t flags,
                                  struct iovageom_segment *segments, size_t capacity,
                                  size_t *needed, uint64_t *fault)
{
    enum { SEVERAL = 8 };
    struct iovageom_segment few[SEVERAL];
    const struct iovageom_domain *domain;
    uint64_t gap = 0;
    size_t count = 1;
    int error = translates(viommu, endpoint, &domain);

    if (error != IOVAGEOM_OK)
        return error;
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    few[0] = (struct iovageom_segment){range, range.start, READ_WRITE, 0};
    for (bool first = true; domain != NULL; first = false) {
        error = segments_of(domain, range, flags, first ? few : segments,
                            first ? SEVERAL : capacity, &count, &gap);
        if (!first || error != IOVAGEOM_OK || count <= SEVERAL || count > capacity)
            break;
    }
    if (error == IOVAGEOM_ERR_FAULT && fault != NULL)
        *fault = gap;
    if (error != IOVAGEOM_OK)
        return error;
    if (needed != NULL)
        *needed = count;
    if (count > capacity)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    /* Word by word: see decide_change(). */
    for (size_t i = 0; i < count && count <= SEVERAL; i++)
        segments[i] = (struct iovageom_segment){
            {few[i].range.start, few[i].range.last}, few[i].phys, few[i].flags, 0};
    return IOVAGEOM_OK;
}

int iovageom_viommu_translate(const struct iovageom_viommu *viommu, uint32_t endpoint,
                              struct iovageom_range range, uint32_t flags,
                              struct iovageom_segment *segments, size_t capacity, size_t *needed,
                              uint64_t *fault)
{
    const struct iovageom_shortcut *near = iovageom_shortcut_to(&viommu->near_endpoints, endpoint);
    const struct iovageom_domain *domain = NULL;
    struct iovageom_itree_entry entry = {NULL, NULL};

    /* Most accesses lie in one mapping. An endpoint that is in a domain is visible; and a domain in
     * bypass has no mappings. */
    if (capacity > 0 && near != NULL)
        domain = ((const struct iovageom_endpoint *)near->object)->domain;
    if (domain != NULL)
        entry = iovageom_mappings_near(&domain->mappings, range.start);
    if (entry.range != NULL && range.last <= entry.range->last && range.start <= range.last) {
        const uint64_t value = *entry.values;
        const uint32_t allowed = value & (IOVAGEOM_MAPPING_PACKED - 1);

        if ((flags | allowed) == allowed) {
            segments->phys = value - allowed + (range.start - entry.range->start);
            segments->range = range;
            segments->flags = allowed;
            segments->reserved = 0;
            if (needed != NULL)
                *needed = 1;
            return IOVAGEOM_OK;
        }
    }
    return translate_any(viommu, endpoint, range, flags, segments, capacity, needed, fault);
}

int iovageom_viommu_translate_back(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                   struct iovageom_range phys, bool whole,
                                   const struct iovageom_mapping *after,
                                   struct iovageom_mapping *out)
{
    const struct iovageom_domain *domain;
    int error = translates(viommu, endpoint, &domain);

    if (error != IOVAGEOM_OK)
        return error;
    if (!iovageom_range_valid(phys))
        return IOVAGEOM_ERR_INVERTED;
    if (domain != NULL ? !iovageom_back_find(domain, phys, whole, after, out) : after != NULL)
        return IOVAGEOM_ERR_FAULT;
    if (domain == NULL)
        *out = (struct iovageom_mapping){phys, phys.start, READ_WRITE};
    return IOVAGEOM_OK;
}

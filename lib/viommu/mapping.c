/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/pgsize.h>

#include "internal.h"

/* Refuse `range`, by a rule of the books, or for the mapping `hit`. */
static IOVAGEOM_COLD int refuse(const struct iovageom_viommu *viommu, int error, uint32_t domain,
                                struct iovageom_range range, const struct iovageom_mapping *hit,
                                struct iovageom_report *report)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_OVERLAP, error);

    finding.domain = domain;
    finding.range = range;
    if (error == IOVAGEOM_ERR_ALIGNMENT) {
        finding.kind = IOVAGEOM_FINDING_ALIGNMENT;
        finding.wanted = iovageom_books_granule(viommu);
        if (iovageom_range_is_aligned(range, finding.wanted))
            finding.detail = "phys_start";
    } else if (error == IOVAGEOM_ERR_OUT_OF_APERTURE) {
        finding.kind = IOVAGEOM_FINDING_OUT_OF_APERTURE;
        finding.against = viommu->space.input_range;
        finding.owner = iovageom_owner_named(IOVAGEOM_SOURCE_MACHINE, "input_range");
    } else {
        finding.against = hit->range;
    }
    return iovageom_refuse(report, &finding);
}

static IOVAGEOM_COLD int refuse_saying(uint32_t domain, int error, const char *detail,
                                       struct iovageom_report *report)
{
    return iovageom_refuse_saying(report, error, detail, domain, IOVAGEOM_ID_NONE);
}

static IOVAGEOM_COLD int refuse_reserved(const struct iovageom_viommu *viommu,
                                         const struct iovageom_domain *domain,
                                         struct iovageom_range range, struct iovageom_range hit,
                                         struct iovageom_report *report)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_RESERVED, IOVAGEOM_ERR_RESERVED);

    finding.domain = domain->node.index;
    finding.range = range;
    finding.against = hit;
    (void)iovageom_range_intersect(range, hit, &hit);
    for (const struct iovageom_link *tie = domain->node.up; tie != NULL && finding.type == 0;
         tie = tie->up_next)
        iovageom_name_group(&finding, viommu,
                            (const struct iovageom_group *)(const void *)tie->upper, hit);
    return iovageom_refuse(report, &finding);
}

/* N37, N41, I2 and I7: what is wrong with the numbers alone. */
static int map_numbers(const struct iovageom_viommu *viommu, uint32_t domain,
                       const struct iovageom_mapping *mapping, struct iovageom_report *report)
{
    const uint64_t granule = iovageom_pgsize_granule(viommu->space.page_size_mask);
    const struct iovageom_range range = mapping->range;

    if (range.last <= range.start)
        return refuse_saying(domain, IOVAGEOM_ERR_INVALID, "virt_end is not above virt_start (N37)",
                             report);
    if (!iovageom_range_is_aligned(range, granule) || (mapping->phys & (granule - 1)) != 0)
        return refuse(viommu, IOVAGEOM_ERR_ALIGNMENT, domain, range, NULL, report);
    if (!iovageom_range_contains(viommu->space.input_range, range))
        return refuse(viommu, IOVAGEOM_ERR_OUT_OF_APERTURE, domain, range, NULL, report);
    if (range.last - range.start > UINT64_MAX - mapping->phys)
        return refuse_saying(domain, IOVAGEOM_ERR_OVERFLOW,
                             "the physical range ends above 2^64-1 (I7)", report);
    return IOVAGEOM_OK;
}

static int map_reserved(const struct iovageom_viommu *viommu, const struct iovageom_domain *domain,
                        const struct iovageom_mapping *mapping,
                        const struct iovageom_rangeset *reserved, struct iovageom_report *report)
{
    struct iovageom_range hit;

    if (!iovageom_rangeset_first_overlap(reserved, mapping->range, &hit))
        return IOVAGEOM_OK;
    return report == NULL ? IOVAGEOM_ERR_RESERVED
                          : refuse_reserved(viommu, domain, mapping->range, hit, report);
}

/* What is left once nothing stands in the way: that there are too many mappings, or none. */
static int map_limits(const struct iovageom_viommu *viommu, const struct iovageom_domain *domain,
                      uint64_t budget, struct iovageom_report *report)
{
    const uint64_t live = iovageom_mappings_count(&domain->mappings);
    const struct {
        uint64_t used, most;
        enum iovageom_finding_kind kind;
    } limits[] = {
        {viommu->mapping_count, viommu->config.max_mappings, IOVAGEOM_FINDING_LIMIT},
        {live, viommu->config.max_domain_mappings, IOVAGEOM_FINDING_LIMIT},
        {live, budget, IOVAGEOM_FINDING_BUDGET},
    };

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (limits[i].used >= limits[i].most)
            return iovageom_refuse_number(report, limits[i].kind, IOVAGEOM_ERR_LIMIT,
                                          domain->node.index, IOVAGEOM_ID_NONE, limits[i].used + 1,
                                          limits[i].most);
    return IOVAGEOM_OK;
}

/* N42; OK when nothing is mapped there. */
static int map_overlap(const struct iovageom_viommu *viommu, const struct iovageom_domain *domain,
                       const struct iovageom_mapping *mapping, struct iovageom_report *report)
{
    struct iovageom_mapping hit;

    if (!iovageom_mappings_first_overlap(&domain->mappings, mapping->range, &hit))
        return IOVAGEOM_OK;
    return refuse(viommu, IOVAGEOM_ERR_OVERLAP, domain->node.index, mapping->range, &hit, report);
}

static int map_place(const struct iovageom_viommu *viommu, const struct iovageom_domain *domain,
                     const struct iovageom_mapping *mapping,
                     const struct iovageom_rangeset *reserved, uint64_t budget,
                     struct iovageom_report *report)
{
    int status = map_reserved(viommu, domain, mapping, reserved, report);

    if (status == IOVAGEOM_OK)
        status = map_overlap(viommu, domain, mapping, report);
    return status != IOVAGEOM_OK ? status : map_limits(viommu, domain, budget, report);
}

/* All that comes before the question what stands in the way. */
static int map_front(const struct iovageom_viommu *viommu, const struct iovageom_domain *target,
                     uint32_t domain, const struct iovageom_mapping *mapping,
                     struct iovageom_report *report)
{
    uint32_t known = IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE;

    if ((viommu->accepted & IOVAGEOM_VIRTIO_F_MMIO) != 0)
        known |= IOVAGEOM_VIRTIO_MAP_F_MMIO;
    if ((mapping->flags & ~known) != 0)
        return refuse_saying(domain, IOVAGEOM_ERR_INVALID, "an unknown flag of MAP is set (N43)",
                             report);
    if (target == NULL)
        return iovageom_refuse_unknown(report, domain, IOVAGEOM_ID_NONE);
    if (target->bypass)
        return refuse_saying(domain, IOVAGEOM_ERR_INVALID, "the domain is in bypass (N45)", report);
    return map_numbers(viommu, domain, mapping, report);
}

int iovageom_map_decide(const struct iovageom_viommu *viommu, uint32_t domain,
                        const struct iovageom_mapping *mapping, struct iovageom_report *report)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    struct iovageom_rangeset reserved;
    int status = map_front(viommu, target, domain, mapping, report);
    bool crowded;
    int error;

    if (status != IOVAGEOM_OK)
        return status;
    if (target->clean)
        return map_place(viommu, target, mapping, &target->reserved,
                         target->crowded ? iovageom_domain_budget(target, &crowded)
                                         : iovageom_mappings_budget(&target->mappings),
                         report);
    error = iovageom_rangeset_init(&reserved, &viommu->allocator);
    if (error == IOVAGEOM_OK)
        error = iovageom_domain_reserved(viommu, target, &reserved);
    status = error != IOVAGEOM_OK ? error
                                  : map_place(viommu, target, mapping, &reserved,
                                              iovageom_domain_budget(target, &crowded), report);
    iovageom_rangeset_deinit(&reserved);
    return status;
}

/* Decide and do at once: the ledger finds what is mapped there while it looks for the place. */
int iovageom_map_do(struct iovageom_viommu *viommu, uint32_t domain,
                    const struct iovageom_mapping *mapping, struct iovageom_report *report)
{
    struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    int status = map_front(viommu, target, domain, mapping, report);
    int error;

    if (status != IOVAGEOM_OK)
        return status;
    error = target->clean ? IOVAGEOM_OK : iovageom_domain_refresh(viommu, target);
    if (error != IOVAGEOM_OK)
        return error;
    status = map_reserved(viommu, target, mapping, &target->reserved, report);
    if (status != IOVAGEOM_OK)
        return status;
    if (target->crowded)
        iovageom_mappings_set_budget(&target->mappings,
                                     iovageom_domain_budget(target, &target->crowded));
    if (viommu->mapping_count < viommu->config.max_mappings &&
        iovageom_mappings_count(&target->mappings) < viommu->config.max_domain_mappings) {
        error = iovageom_mappings_map(&target->mappings, mapping);
        viommu->mapping_count += error == IOVAGEOM_OK;
        if (error == IOVAGEOM_OK || error == IOVAGEOM_ERR_NO_MEMORY)
            return error;
    }
    status = map_overlap(viommu, target, mapping, report);
    return status != IOVAGEOM_OK
               ? status
               : map_limits(viommu, target, iovageom_mappings_budget(&target->mappings), report);
}

IOVAGEOM_COLD int iovageom_viommu_map_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                            struct iovageom_range range, uint64_t phys,
                                            uint32_t flags, struct iovageom_report *report)
{
    const struct iovageom_mapping mapping = {range, phys, flags};

    iovageom_report_clear(report);
    return iovageom_map_decide(viommu, domain, &mapping, report);
}

int iovageom_viommu_map(struct iovageom_viommu *viommu, uint32_t domain,
                        struct iovageom_range range, uint64_t phys, uint32_t flags,
                        struct iovageom_report *report)
{
    const struct iovageom_mapping mapping = {range, phys, flags};

    iovageom_report_clear(report);
    return iovageom_map_do(viommu, domain, &mapping, report);
}

IOVAGEOM_COLD int iovageom_viommu_map_undo(struct iovageom_viommu *viommu, uint32_t domain,
                                           struct iovageom_range range)
{
    struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    struct iovageom_mapping mapping;

    if (target == NULL || !iovageom_mappings_first_overlap(&target->mappings, range, &mapping) ||
        !iovageom_range_equal(mapping.range, range))
        return IOVAGEOM_ERR_NOT_FOUND;
    viommu->mapping_count--;
    return iovageom_mappings_unmap(&target->mappings, range, NULL);
}

static int unmap_front(const struct iovageom_domain *target, uint32_t domain,
                       struct iovageom_range range, struct iovageom_report *report)
{
    iovageom_report_clear(report);
    if (target == NULL)
        return iovageom_refuse_unknown(report, domain, IOVAGEOM_ID_NONE);
    if (target->bypass)
        return refuse_saying(domain, IOVAGEOM_ERR_INVALID, "the domain is in bypass (N53)", report);
    if (!iovageom_range_valid(range))
        return refuse_saying(domain, IOVAGEOM_ERR_INVALID, "virt_end is below virt_start", report);
    return IOVAGEOM_OK;
}

/* N54; OK when no mapping would be split. */
static int unmap_split(const struct iovageom_viommu *viommu, const struct iovageom_domain *domain,
                       struct iovageom_range range, struct iovageom_report *report)
{
    struct iovageom_mapping split;

    if (!iovageom_mappings_first_split(&domain->mappings, range, &split))
        return IOVAGEOM_OK;
    return refuse(viommu, IOVAGEOM_ERR_SPLIT, domain->node.index, range, &split, report);
}

int iovageom_viommu_unmap_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                struct iovageom_range range, struct iovageom_report *report)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    int status = unmap_front(target, domain, range, report);

    return status != IOVAGEOM_OK ? status : unmap_split(viommu, target, range, report);
}

int iovageom_viommu_unmap(struct iovageom_viommu *viommu, uint32_t domain,
                          struct iovageom_range range, size_t *removed,
                          struct iovageom_report *report)
{
    struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    int status = unmap_front(target, domain, range, report);
    size_t count = 0;

    if (status != IOVAGEOM_OK)
        return status;
    if (iovageom_mappings_unmap(&target->mappings, range, &count) != IOVAGEOM_OK)
        return unmap_split(viommu, target, range, report);
    viommu->mapping_count -= count;
    if (removed != NULL)
        *removed = count;
    return IOVAGEOM_OK;
}

/* ---- asking ---- */

/* The endpoint, and the domain that translates for it; NULL while it bypasses. */
static int translates(const struct iovageom_viommu *viommu, uint32_t endpoint,
                      const struct iovageom_domain **out)
{
    const struct iovageom_endpoint *found = iovageom_table_at(&viommu->endpoints, endpoint);

    if (found == NULL || !iovageom_endpoint_visible(found))
        return IOVAGEOM_ERR_NOT_FOUND;
    if (found->domain == NULL && !(iovageom_bypass_unattached(viommu) &&
                                   iovageom_bypass_fits(viommu, found, &viommu->identity, NULL)))
        return IOVAGEOM_ERR_NOT_FOUND;
    *out = found->domain != NULL && !found->domain->bypass ? found->domain : NULL;
    return IOVAGEOM_OK;
}

static void segment_put(struct iovageom_segment *segments, size_t capacity, size_t count,
                        struct iovageom_range range, uint64_t phys, uint32_t flags)
{
    if (count < capacity)
        segments[count] = (struct iovageom_segment){range, phys, flags, 0};
}

/* Whether `next` goes on where `segment` ends, in both address spaces: neither wraps. */
static bool segment_joins(const struct iovageom_segment *segment,
                          const struct iovageom_segment *next)
{
    const uint64_t span = next->range.start - segment->range.start;

    return segment->flags == next->flags && span <= UINT64_MAX - segment->phys &&
           segment->phys + span == next->phys;
}

/* Whether all of `range` is mapped for that access: the segments of it, or the first gap. */
static int segments_of(const struct iovageom_domain *domain, struct iovageom_range range,
                       uint32_t flags, struct iovageom_segment *segments, size_t capacity,
                       size_t *count, uint64_t *gap)
{
    struct iovageom_segment last = {range, 0, 0, 0};
    struct iovageom_mappings_cursor cursor;
    struct iovageom_mapping mapping;

    *count = 0;
    *gap = range.start;
    iovageom_mappings_seek(&domain->mappings, range.start, &cursor);
    while (iovageom_mappings_next(&cursor, &mapping) && mapping.range.start <= *gap &&
           (flags & ~mapping.flags) == 0) {
        struct iovageom_range part, rest;

        (void)iovageom_range_intersect(mapping.range, range, &part);
        const struct iovageom_segment next = {
            part, mapping.phys + (part.start - mapping.range.start), mapping.flags, 0};

        if (*count > 0 && segment_joins(&last, &next)) {
            last.range.last = part.last;
        } else {
            ++*count;
            last = next;
        }
        segment_put(segments, capacity, *count - 1, last.range, last.phys, last.flags);
        if (part.last == range.last || !iovageom_range_above(part, &rest))
            return IOVAGEOM_OK;
        *gap = rest.start;
    }
    return IOVAGEOM_ERR_FAULT;
}

int iovageom_viommu_translate(const struct iovageom_viommu *viommu, uint32_t endpoint,
                              struct iovageom_range range, uint32_t flags,
                              struct iovageom_segment *segments, size_t capacity, size_t *needed,
                              uint64_t *fault)
{
    const struct iovageom_domain *domain;
    uint64_t gap = 0;
    size_t count = 1;
    int error = translates(viommu, endpoint, &domain);

    if (error != IOVAGEOM_OK)
        return error;
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    /* Counted first: what is handed out is untouched when it is not all of it. */
    if (domain != NULL)
        error = segments_of(domain, range, flags, NULL, 0, &count, &gap);
    if (error == IOVAGEOM_ERR_FAULT && fault != NULL)
        *fault = gap;
    if (error != IOVAGEOM_OK)
        return error;
    if (needed != NULL)
        *needed = count;
    if (count > capacity)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    if (domain != NULL)
        return segments_of(domain, range, flags, segments, capacity, &count, &gap);
    segment_put(segments, capacity, 0, range, range.start,
                IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE);
    return IOVAGEOM_OK;
}

int iovageom_viommu_translate_back(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                   struct iovageom_range phys, struct iovageom_range *out)
{
    const struct iovageom_domain *domain;
    struct iovageom_mappings_cursor cursor;
    struct iovageom_mapping mapping;
    int error = translates(viommu, endpoint, &domain);

    if (error != IOVAGEOM_OK)
        return error;
    if (!iovageom_range_valid(phys))
        return IOVAGEOM_ERR_INVERTED;
    if (domain == NULL) {
        *out = phys;
        return IOVAGEOM_OK;
    }
    iovageom_mappings_seek(&domain->mappings, 0, &cursor);
    while (iovageom_mappings_next(&cursor, &mapping)) {
        const uint64_t span = mapping.range.last - mapping.range.start;

        if (phys.start >= mapping.phys && phys.last - mapping.phys <= span) {
            out->start = mapping.range.start + (phys.start - mapping.phys);
            out->last = mapping.range.start + (phys.last - mapping.phys);
            return IOVAGEOM_OK;
        }
    }
    return IOVAGEOM_ERR_FAULT;
}

bool iovageom_viommu_run_next(const struct iovageom_viommu *viommu, uint32_t domain,
                              struct iovageom_range range, uint64_t from,
                              struct iovageom_range *out)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    struct iovageom_mappings_cursor cursor;
    struct iovageom_mapping mapping;
    struct iovageom_range run = {0, 0};
    bool found = false;

    if (target == NULL || !iovageom_range_valid(range))
        return false;
    if (from < range.start)
        from = range.start;
    iovageom_mappings_seek(&target->mappings, from, &cursor);
    while (iovageom_mappings_next(&cursor, &mapping) && mapping.range.last <= range.last) {
        if (mapping.range.start < from)
            continue;
        if (found && !iovageom_range_precedes_directly(run, mapping.range))
            break;
        if (!found)
            run = mapping.range;
        run.last = mapping.range.last;
        found = true;
    }
    if (found)
        *out = run;
    return found;
}

bool iovageom_viommu_mapping_next(const struct iovageom_viommu *viommu, uint32_t domain,
                                  uint64_t from, struct iovageom_mapping *out)
{
    const struct iovageom_domain *target = iovageom_domain_at(viommu, domain);
    const struct iovageom_range rest = {from, IOVAGEOM_ADDRESS_MAX};

    return target != NULL && iovageom_mappings_first_overlap(&target->mappings, rest, out);
}

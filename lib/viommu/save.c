/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"
#include "stream.h"

/*
 * Writes the stream of docs/formats.md. What belongs to the VMM (geometries, host groups, numbers
 * of guest groups) is not in it: the destination has its own.
 */

static void save_head(struct iovageom_writer *w, enum viommu_record tag, size_t length)
{
    iovageom_write(w, tag, 4);
    iovageom_write(w, length, 8);
}

/* SPACE_SIZE bytes. The last 8 are not used, and written as 0. */
static void save_space(struct iovageom_writer *w, const struct iovageom_viommu *viommu)
{
    const struct iovageom_virtio_config *space = &viommu->shown;

    iovageom_write(w, space->page_size_mask, 8);
    iovageom_write_range(w, space->input_range);
    iovageom_write(w, space->domain_start, 4);
    iovageom_write(w, space->domain_last, 4);
    iovageom_write(w, space->probe_size, 4);
    iovageom_write(w, viommu->bypass, 4);
    iovageom_write(w, viommu->config.features, 4);
    iovageom_write(w, viommu->accepted, 4);
    iovageom_write(w, viommu->generation, 8);
    iovageom_write(w, 0, 8);
}

static void save_promise(struct iovageom_writer *w, const struct iovageom_endpoint *endpoint)
{
    save_head(w, RECORD_PROMISE, 12 + endpoint->promise->count * REGION_SIZE);
    iovageom_write(w, endpoint->id, 4);
    iovageom_write(w, endpoint->generation, 8);
    for (size_t i = 0; i < endpoint->promise->count; i++) {
        iovageom_write_range(w, endpoint->promise->regions[i].range);
        iovageom_write(w, endpoint->promise->regions[i].type, 4);
    }
}

static void save_members(struct iovageom_writer *w, const struct iovageom_group *group)
{
    const struct iovageom_endpoint *member = group->members.first;

    save_head(w, RECORD_MEMBERS, group->members.count * 4);
    for (; member != NULL; member = member->next[IOVAGEOM_LIST_GROUP])
        iovageom_write(w, member->id, 4);
}

/*
 * A guest group is named by its first endpoint: its number is the VMM's, and may be another there.
 */
static void save_group(struct iovageom_writer *w, const struct iovageom_group *group)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    save_head(w, RECORD_GROUP, 4 + iovageom_rangeset_count(&group->promised) * 16);
    iovageom_write(w, group->members.first->id, 4);
    iovageom_rangeset_seek(&group->promised, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        iovageom_write_range(w, range);
}

static void save_domain(struct iovageom_writer *w, const struct iovageom_domain *domain)
{
    const struct iovageom_endpoint *member = domain->members.first;
    struct iovageom_itree_cursor cursor;
    struct iovageom_mapping mapping;

    save_head(w, RECORD_DOMAIN, 8);
    iovageom_write(w, domain->id, 4);
    iovageom_write(w, domain->bypass, 4);
    for (; member != NULL; member = member->next[IOVAGEOM_LIST_DOMAIN]) {
        save_head(w, RECORD_ATTACHED, 4);
        iovageom_write(w, member->id, 4);
    }
    save_head(w, RECORD_MAPPINGS, iovageom_mappings_count(&domain->mappings) * MAPPING_SIZE);
    iovageom_itree_cursor_init(&cursor, &domain->mappings.tree, 0);
    while (iovageom_mappings_next(&cursor, &mapping)) {
        iovageom_write_range(w, mapping.range);
        iovageom_write(w, mapping.phys, 8);
        iovageom_write(w, mapping.flags, 4);
    }
}

/*
 * Whether an endpoint faults though `bypass` is on: it was detached, and its host can't map an
 * identity range. Then it may fault at the destination too. Without its record, load would refuse
 * the stream.
 */
static bool faults(const struct iovageom_viommu *viommu, const struct iovageom_endpoint *endpoint)
{
    return endpoint->domain == NULL && iovageom_bypass_unattached(viommu) &&
           !iovageom_bypasses(viommu, endpoint);
}

static void save_all(struct iovageom_writer *w, const struct iovageom_viommu *viommu)
{
    const struct iovageom_domain *domain = iovageom_table_from(&viommu->domains, 0);
    const struct iovageom_endpoint *endpoint = NULL;

    save_space(w, viommu);
    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (endpoint->group->members.first == endpoint)
            save_members(w, endpoint->group);
    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL) {
        if (endpoint->promise != NULL)
            save_promise(w, endpoint);
        if (endpoint->group->members.first == endpoint &&
            iovageom_rangeset_count(&endpoint->group->promised) > 0)
            save_group(w, endpoint->group);
    }
    for (; domain != NULL; domain = iovageom_table_from(&viommu->domains, (uint64_t)domain->id + 1))
        save_domain(w, domain);
    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (faults(viommu, endpoint)) {
            save_head(w, RECORD_FAULTS, 4);
            iovageom_write(w, endpoint->id, 4);
        }
}

int iovageom_viommu_save(const struct iovageom_viommu *viommu, void *buffer, size_t size,
                         size_t *needed)
{
    struct iovageom_writer w = {NULL, 0, HEAD_SIZE};

    if (!viommu->frozen || viommu->prepared > 0)
        return IOVAGEOM_ERR_STATE;
    /* Counted first: a buffer that is too small is left as it was. */
    save_all(&w, viommu);
    if (w.used <= size) {
        w = (struct iovageom_writer){buffer, size, HEAD_SIZE};
        save_all(&w, viommu);
    }
    return iovageom_write_end(&w, &iovageom_viommu_form, needed);
}

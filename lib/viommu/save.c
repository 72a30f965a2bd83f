/* SPDX-License-Identifier: BSD-3-Clause */
#include "../base/bytes.h"
#include "internal.h"
#include "stream.h"

/*
 * Writes the stream of docs/formats.md. What belongs to the VMM (geometries, host groups, numbers
 * of guest groups) is not in it: the destination has its own.
 */

/* ---- writing ---- */

/** Bytes that do not fit are counted, not written: so one pass gives the size, or the stream. */
struct saver {
    uint8_t *bytes;
    size_t size;
    size_t used; /**< may exceed `size` */
};

static void save_number(struct saver *w, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++, w->used++)
        if (w->used < w->size)
            w->bytes[w->used] = (uint8_t)(value >> (8 * i));
}

static void save_range(struct saver *w, struct iovageom_range range)
{
    save_number(w, range.start, 8);
    save_number(w, range.last, 8);
}

static void save_head(struct saver *w, enum viommu_record tag, size_t length)
{
    save_number(w, (uint64_t)tag, 4);
    save_number(w, length, 8);
}

/* SPACE_SIZE bytes. The last 8 are not used, and written as 0. */
static void save_space(struct saver *w, const struct iovageom_viommu *viommu)
{
    const struct iovageom_virtio_config *space = &viommu->shown;

    save_number(w, space->page_size_mask, 8);
    save_range(w, space->input_range);
    save_number(w, space->domain_start, 4);
    save_number(w, space->domain_last, 4);
    save_number(w, space->probe_size, 4);
    save_number(w, viommu->bypass, 4);
    save_number(w, viommu->config.features, 4);
    save_number(w, viommu->accepted, 4);
    save_number(w, viommu->generation, 8);
    save_number(w, 0, 8);
}

static void save_promise(struct saver *w, const struct iovageom_endpoint *endpoint)
{
    save_head(w, RECORD_PROMISE, 12 + endpoint->told->count * REGION_SIZE);
    save_number(w, endpoint->id, 4);
    save_number(w, endpoint->generation, 8);
    for (size_t i = 0; i < endpoint->told->count; i++) {
        save_range(w, endpoint->told->regions[i].range);
        save_number(w, endpoint->told->regions[i].type, 4);
    }
}

static void save_members(struct saver *w, const struct iovageom_group *group)
{
    const struct iovageom_endpoint *member = group->members.first;

    save_head(w, RECORD_MEMBERS, group->members.count * 4);
    for (; member != NULL; member = member->next[IOVAGEOM_LIST_GROUP])
        save_number(w, member->id, 4);
}

/*
 * A guest group is named by its first endpoint: its number is the VMM's, and may be another there.
 */
static void save_group(struct saver *w, const struct iovageom_group *group)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    save_head(w, RECORD_GROUP, 4 + iovageom_rangeset_count(&group->promised) * 16);
    save_number(w, group->members.first->id, 4);
    iovageom_rangeset_seek(&group->promised, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        save_range(w, range);
}

static void save_domain(struct saver *w, const struct iovageom_domain *domain)
{
    const struct iovageom_endpoint *member = domain->members.first;
    struct iovageom_mappings_cursor cursor;
    struct iovageom_mapping mapping;

    save_head(w, RECORD_DOMAIN, 8);
    save_number(w, domain->node.index, 4);
    save_number(w, domain->bypass, 4);
    for (; member != NULL; member = member->next[IOVAGEOM_LIST_DOMAIN]) {
        save_head(w, RECORD_ATTACHED, 4);
        save_number(w, member->id, 4);
    }
    save_head(w, RECORD_MAPPINGS, iovageom_mappings_count(&domain->mappings) * MAPPING_SIZE);
    iovageom_mappings_seek(&domain->mappings, 0, &cursor);
    while (iovageom_mappings_next(&cursor, &mapping)) {
        save_range(w, mapping.range);
        save_number(w, mapping.phys, 8);
        save_number(w, mapping.flags, 4);
    }
}

/*
 * Whether an endpoint faults though `bypass` is on: it was detached, and its host can't map an
 * identity range. Then it may fault at the destination too. Without its record, load would refuse
 * the stream.
 */
static bool is_shut(const struct iovageom_viommu *viommu, const struct iovageom_endpoint *endpoint)
{
    return endpoint->domain == NULL && iovageom_bypass_unattached(viommu) &&
           !iovageom_bypass_fits(viommu, endpoint, &viommu->identity, NULL);
}

static void save_shut(struct saver *w, const struct iovageom_viommu *viommu)
{
    const struct iovageom_endpoint *endpoint = NULL;

    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (is_shut(viommu, endpoint)) {
            save_head(w, RECORD_SHUT, 4);
            save_number(w, endpoint->id, 4);
        }
}

static bool any_prepared(const struct iovageom_viommu *viommu)
{
    const struct iovageom_endpoint *endpoint = NULL;

    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (iovageom_plug_pending(endpoint))
            return true;
    return false;
}

int iovageom_viommu_save(const struct iovageom_viommu *viommu, void *buffer, size_t size,
                         size_t *needed)
{
    struct saver w = {buffer, size, HEAD_SIZE};
    const struct iovageom_endpoint *endpoint = NULL;
    const struct iovageom_domain *domain = iovageom_table_from(&viommu->domains, 0);
    size_t length;

    if (!viommu->frozen || any_prepared(viommu))
        return IOVAGEOM_ERR_STATE;
    save_space(&w, viommu);
    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL)
        if (endpoint->group->members.first == endpoint)
            save_members(&w, endpoint->group);
    while ((endpoint = iovageom_endpoint_after(viommu, endpoint)) != NULL) {
        if (endpoint->told != NULL)
            save_promise(&w, endpoint);
        if (endpoint->group->members.first == endpoint &&
            iovageom_rangeset_count(&endpoint->group->promised) > 0)
            save_group(&w, endpoint->group);
    }
    for (; domain != NULL;
         domain = iovageom_table_from(&viommu->domains, (uint64_t)domain->node.index + 1))
        save_domain(&w, domain);
    save_shut(&w, viommu);
    /* The head comes last, for the checksum needs all that follows it. */
    length = w.used;
    if (needed != NULL)
        *needed = length;
    if (length > size)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    w.used = 0;
    save_number(&w, VIOMMU_MAGIC, 8);
    save_number(&w, VIOMMU_VERSION, 4);
    save_number(&w, 0, 4);
    save_number(&w, iovageom_fnv(IOVAGEOM_FNV_NONE, w.bytes + HEAD_SIZE, length - HEAD_SIZE), 8);
    return IOVAGEOM_OK;
}

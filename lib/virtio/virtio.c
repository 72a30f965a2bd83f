/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "../base/range.h"
#include "../base/bytes.h"
#include "../geometry/internal.h"
#include "virtio_internal.h"

/* ---- wire lists: see virtio.h ---- */

/* Every range is valid, and begins above the end of the one before it. */
static int check_order(const struct iovageom_region *regions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!iovageom_range_valid(regions[i].range))
            return IOVAGEOM_ERR_INVERTED;
        if (i > 0 && regions[i].range.start <= regions[i - 1].range.last)
            return IOVAGEOM_ERR_OVERLAP;
    }
    return IOVAGEOM_OK;
}

/* *out receives the part of a region that goes into the list; false when no part does. */
static ALWAYS_INLINE bool listed(const struct iovageom_region *region, struct iovageom_range window,
                                 struct iovageom_range *out)
{
    return region->type != IOVAGEOM_RESV_DIRECT_RELAXABLE &&
           iovageom_range_intersect(region->range, window, out);
}

/*
 * Chooses the one window that is sent as MSI (N74). The rank of a region is its owner's source, or
 * that of all is one if the caller gave no owners. Regions that touch form one window (`block`),
 * whose rank is the highest of its parts. The window of the highest rank is chosen, and of equal
 * ones the lowest, because x86 guests have theirs below 4 GiB. The others are sent as RESERVED, so
 * no address becomes usable. If there is none, the range is invalid, and contains no other.
 */
static struct iovageom_range choose_msi(const struct iovageom_region *regions, size_t count,
                                        const struct iovageom_geometry *owners,
                                        struct iovageom_range window)
{
    struct iovageom_range block = IOVAGEOM_EVERYTHING, part, chosen = {IOVAGEOM_ADDRESS_MAX, 0};
    const struct iovageom_owner *owner = NULL;
    uint64_t rank, best = 0; /* 1 more than the rank; 0: of none */

    for (size_t i = 0; i < count; i++) {
        if (regions[i].type != IOVAGEOM_RESV_MSI || !listed(&regions[i], window, &part))
            continue;
        if (owners != NULL)
            owner = iovageom_geometry_owner(owners, regions[i].owner);
        rank = UINT64_C(1) + (owner != NULL ? owner->source : 0);
        if (!iovageom_range_precedes_directly(block, part))
            block = part;
        block.last = part.last;
        /* The last test: the chosen window itself has grown by a part. */
        if (rank > best || chosen.start == block.start)
            chosen = block;
        best = iovageom_higher(best, rank);
    }
    return chosen;
}

/*
 * Writes the list of regions that are in order and of valid types, or only counts it (`out` NULL).
 * Regions that touch and have the same type on the wire are joined, and take one property.
 *
 * A region that reserves everything is sent in two halves. Linux computes its length as last -
 * start + 1, which is 0 for [0, 2^64-1], and refuses the device. A guest with 32-bit addresses, for
 * which the window ends at 2^32-1, does the same with [0, 2^32-1].
 */
static size_t write_list(const struct iovageom_region *regions, size_t count,
                         const struct iovageom_geometry *owners, struct iovageom_range window,
                         struct iovageom_region *out)
{
    struct iovageom_region last = {IOVAGEOM_EVERYTHING, 0, 0}; /* at the end of the list */
    const struct iovageom_range msi = choose_msi(regions, count, owners, window);
    struct iovageom_range range;
    size_t written = 0;

    for (size_t i = 0; i < count; i++) {
        if (!listed(&regions[i], window, &range))
            continue;
        const uint32_t type =
            iovageom_range_contains(msi, range) ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED;

        if (last.type == type && iovageom_range_precedes_directly(last.range, range))
            range.start = last.range.start;
        else
            written++;
        last = (struct iovageom_region){range, type, 0};
        if (out != NULL)
            out[written - 1] = last;
    }
    range = last.range;
    if (written == 0 || range.start != 0 || range.last != window.last ||
        (range.last != UINT32_MAX && range.last != IOVAGEOM_ADDRESS_MAX))
        return written;
    if (out != NULL) {
        out[0].range.last = range.last >> 1;
        range.start = range.last - (range.last >> 1); /* just above the first half */
        out[1] = (struct iovageom_region){range, IOVAGEOM_RESV_RESERVED, 0};
    }
    return 2;
}

/*
 * Nothing is written when it does not fit. `out` may be `regions`: the list never grows faster than
 * it is read, so no region is overwritten before it is read. Only the second half of everything, at
 * the end, adds one.
 */
int iovageom_virtio_wire_list(const struct iovageom_region *regions, size_t count,
                              const struct iovageom_geometry *owners, struct iovageom_range window,
                              struct iovageom_region *out, size_t capacity, size_t *out_count)
{
    int status = check_order(regions, count);

    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    if (status < 0)
        return status;
    for (size_t i = 0; i < count; i++)
        if (regions[i].type < IOVAGEOM_RESV_DIRECT_RELAXABLE || regions[i].type > IOVAGEOM_RESV_MSI)
            return IOVAGEOM_ERR_INVALID;

    /* One region more is the most. With room for it the list need not be counted first. */
    *out_count = write_list(regions, count, owners, window, count < capacity ? out : NULL);
    if (*out_count > capacity)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    if (count >= capacity)
        (void)write_list(regions, count, owners, window, out);
    return IOVAGEOM_OK;
}

int iovageom_wire_check(const struct iovageom_region *list, size_t count)
{
    bool has_msi = false;
    int status = check_order(list, count);

    if (status < 0)
        return status;
    for (size_t i = 0; i < count; i++) {
        if (list[i].type != IOVAGEOM_RESV_RESERVED && list[i].type != IOVAGEOM_RESV_MSI)
            return IOVAGEOM_ERR_INVALID;
        if (list[i].type == IOVAGEOM_RESV_MSI && has_msi)
            return IOVAGEOM_ERR_EXISTS;
        has_msi |= list[i].type == IOVAGEOM_RESV_MSI;
        if (iovageom_range_equal(list[i].range, IOVAGEOM_EVERYTHING))
            return IOVAGEOM_ERR_OVERFLOW;
    }
    return IOVAGEOM_OK;
}

/* In the place of the view, which is in order, and has room for one region more. */
int iovageom_wire_from_geometry(const struct iovageom_allocator *allocator,
                                const struct iovageom_geometry *geometry, uint64_t granule,
                                struct iovageom_range window, struct iovageom_resolved *wire)
{
    int status;

    allocator = iovageom_allocator_chosen(allocator);
    if (allocator == NULL)
        return IOVAGEOM_ERR_INVALID;
    if (!iovageom_range_valid(window))
        return IOVAGEOM_ERR_INVERTED;
    status = iovageom_resolve(allocator, geometry, granule, true, wire);
    if (status == IOVAGEOM_OK)
        wire->count = write_list(wire->regions, wire->count, geometry, window, wire->regions);
    return status;
}

/* ---- PROBE properties ---- */

/* A property's length does not count its head (N66). */
enum { RESV_MEM_LENGTH = IOVAGEOM_VIRTIO_RESV_MEM_SIZE - IOVAGEOM_VIRTIO_PROPERTY_HEAD_SIZE };

size_t iovageom_wire_bytes(size_t count)
{
    return count <= SIZE_MAX / IOVAGEOM_VIRTIO_RESV_MEM_SIZE ? count * IOVAGEOM_VIRTIO_RESV_MEM_SIZE
                                                             : SIZE_MAX;
}

int iovageom_wire_encode(const struct iovageom_region *list, size_t count, void *buffer,
                         size_t size, size_t *needed)
{
    uint8_t *bytes = buffer;

    if (needed != NULL)
        *needed = iovageom_wire_bytes(count);
    if (count > size / IOVAGEOM_VIRTIO_RESV_MEM_SIZE)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < count; i++, bytes += IOVAGEOM_VIRTIO_RESV_MEM_SIZE) {
        iovageom_store_le16(bytes, IOVAGEOM_VIRTIO_PROPERTY_RESV_MEM);
        iovageom_store_le16(bytes + 2, RESV_MEM_LENGTH);
        /* The subtype, and three reserved bytes. */
        iovageom_store_le32(bytes + 4, list[i].type == IOVAGEOM_RESV_MSI
                                           ? IOVAGEOM_VIRTIO_RESV_MSI
                                           : IOVAGEOM_VIRTIO_RESV_RESERVED);
        iovageom_store_le64(bytes + 8, list[i].range.start);
        iovageom_store_le64(bytes + 16, list[i].range.last);
    }
    size -= count * IOVAGEOM_VIRTIO_RESV_MEM_SIZE;
    if (size > 0)
        memset(bytes, 0, size);
    return IOVAGEOM_OK;
}

int iovageom_virtio_encode_geometry(const struct iovageom_allocator *allocator,
                                    const struct iovageom_geometry *geometry, uint64_t granule,
                                    struct iovageom_range window, void *buffer, size_t size,
                                    size_t *needed)
{
    struct iovageom_resolved wire;
    int status = iovageom_wire_from_geometry(allocator, geometry, granule, window, &wire);

    if (status < 0)
        return status;
    status = iovageom_wire_encode(wire.regions, wire.count, buffer, size, needed);
    iovageom_resolved_close(&wire);
    return status;
}

/* ---- config space ---- */

/* Offsets in bytes of the fields of struct virtio_iommu_config. The "end" of a range is part of it:
 * it is our `last`. */
enum {
    CONFIG_PAGE_SIZE_MASK = 0,
    CONFIG_INPUT_START = 8,
    CONFIG_INPUT_END = 16,
    CONFIG_DOMAIN_START = 24,
    CONFIG_DOMAIN_END = 28,
    CONFIG_PROBE_SIZE = 32,
    CONFIG_BYPASS = 36
};

int iovageom_virtio_encode_config(const struct iovageom_virtio_config *config,
                                  uint8_t out[IOVAGEOM_VIRTIO_CONFIG_SIZE])
{
    if (config->page_size_mask == 0 || config->bypass > 1)
        return IOVAGEOM_ERR_INVALID;
    if (!iovageom_range_valid(config->input_range) || config->domain_start > config->domain_last)
        return IOVAGEOM_ERR_INVERTED;
    memset(out, 0, IOVAGEOM_VIRTIO_CONFIG_SIZE);
    iovageom_store_le64(out + CONFIG_PAGE_SIZE_MASK, config->page_size_mask);
    iovageom_store_le64(out + CONFIG_INPUT_START, config->input_range.start);
    iovageom_store_le64(out + CONFIG_INPUT_END, config->input_range.last);
    iovageom_store_le32(out + CONFIG_DOMAIN_START, config->domain_start);
    iovageom_store_le32(out + CONFIG_DOMAIN_END, config->domain_last);
    iovageom_store_le32(out + CONFIG_PROBE_SIZE, config->probe_size);
    out[CONFIG_BYPASS] = (uint8_t)config->bypass;
    return IOVAGEOM_OK;
}

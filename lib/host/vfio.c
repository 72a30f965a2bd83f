/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/host_vfio.h>

#include <stdbool.h>
#include <string.h>

#include <iovageom/status.h>

#include "internal.h"

/*
 * VFIO_IOMMU_GET_INFO of type1, from include/uapi/linux/vfio.h. The answer is a fixed structure,
 * and behind it a chain of capabilities: each has the offset of the next one, from the start of the
 * answer, and the last one has 0. Nothing in it is believed: offsets may lie outside, point into
 * another capability, or lead back.
 */

/* struct vfio_iommu_type1_info, offsets and sizes in bytes. Kernels accept 16 bytes; the capability
 * chain came later. */
#define INFO_MINIMUM    16
#define INFO_CAP_OFFSET 16
#define INFO_CAPS_END   20 /* sizeof on i386, before there was padding */
#define INFO_SIZE       24
#define FLAG_PGSIZES    1
#define FLAG_CAPS       2

/* struct vfio_info_cap_header */
#define CAP_HEADER_SIZE 8
#define CAP_ALIGNMENT   4 /* 8 since capabilities are padded; DMA_AVAIL has 12 bytes (B1) */

/* The known capabilities: ids 1 to 3, all of version 1, and the size of each without its list. */
#define CAP_IOVA_RANGE     1
#define CAP_MIGRATION      2
#define CAP_DMA_AVAIL      3
#define CAP_KNOWN_COUNT    3
#define CAP_KNOWN_VERSION  1
#define IOVA_RANGE_HEADER  16
#define MIGRATION_CAP_SIZE 32
#define DMA_AVAIL_CAP_SIZE 12

/* Of the architectures on which Linux has VFIO. */
#define SMALLEST_HOST_PAGE ((uint64_t)4096)
#define LARGEST_HOST_PAGE  ((uint64_t)65536)

/* What iommufd's emulation of VFIO gives as the number of mappings: it does not count them (B2). */
#define NO_LIMIT UINT32_MAX

/* An answer. `size` bytes may be read; `argsz` is the size that the kernel says it has, and may be
 * more. */
struct vfio_answer {
    const uint8_t *bytes;
    size_t size;
    uint64_t argsz;
};

/* Where the known capabilities are, by id - 1, each [start, end). An `end` of 0: not there. */
struct vfio_extents {
    uint64_t start[CAP_KNOWN_COUNT];
    uint64_t end[CAP_KNOWN_COUNT];
    bool back; /* some header is not behind the capability before it */
};

/* What an answer says. What it does not say is 0 or false, or is not to be read. */
struct vfio_info {
    bool has_page_sizes;
    bool has_dma_avail;
    uint64_t page_sizes;    /* as type1 applies them */
    uint32_t dma_avail;     /* mappings that can still be made */
    uint32_t range_count;   /* usable ranges, all of which are in the answer */
    uint64_t ranges_offset; /* of the first of them, in bytes */
};

/* The error for a structure that ends at `end`, past what may be read: if it ends past what the
 * kernel has as well, the answer is wrong; else the caller passed too few bytes. */
static int past_the_end(const struct vfio_answer *answer, uint64_t end)
{
    return end > answer->argsz ? IOVAGEOM_ERR_MALFORMED : IOVAGEOM_ERR_TRUNCATED;
}

/* Whether a capability may be at `offset`: behind the fixed part, aligned, its header in the
 * answer. */
static int check_header_at(const struct vfio_answer *answer, uint64_t offset)
{
    if (offset < INFO_CAPS_END || offset % CAP_ALIGNMENT != 0)
        return IOVAGEOM_ERR_MALFORMED;
    if (offset + CAP_HEADER_SIZE > answer->size)
        return past_the_end(answer, offset + CAP_HEADER_SIZE);
    return IOVAGEOM_OK;
}

/* Reads the known capability `id` at `offset`, and notes its extent, the list of ranges included. A
 * second one of its kind is an error: the two could contradict each other. `range_count` has 32
 * bits, so the sum of 64 bits can't wrap. */
static int read_known(const struct vfio_answer *answer, uint64_t offset, uint16_t id,
                      struct vfio_extents *extents, struct vfio_info *info)
{
    static const uint8_t fixed_size[] = {IOVA_RANGE_HEADER, MIGRATION_CAP_SIZE, DMA_AVAIL_CAP_SIZE};
    uint64_t end = offset + fixed_size[id - 1];

    if (extents->end[id - 1] != 0)
        return IOVAGEOM_ERR_MALFORMED;
    if (end > answer->size)
        return past_the_end(answer, end);
    if (id == CAP_IOVA_RANGE) {
        info->range_count = iovageom_host_load32(answer->bytes, offset + 8);
        info->ranges_offset = end;
        end += (uint64_t)info->range_count * IOVAGEOM_HOST_RANGE_SIZE;
        if (end > answer->size)
            return past_the_end(answer, end);
    } else if (id == CAP_DMA_AVAIL) {
        info->dma_avail = iovageom_host_load32(answer->bytes, offset + 8);
        info->has_dma_avail = true;
    }
    extents->start[id - 1] = offset;
    extents->end[id - 1] = end;
    return IOVAGEOM_OK;
}

/* Whether a header at `offset` shares bytes with a known capability that begins elsewhere. Then the
 * same bytes would have two meanings. */
static bool stands_on_another(const struct vfio_extents *extents, uint64_t offset)
{
    for (unsigned i = 0; i < CAP_KNOWN_COUNT; i++) {
        if (offset < extents->end[i] && extents->start[i] < offset + CAP_HEADER_SIZE &&
            offset != extents->start[i])
            return true;
    }
    return false;
}

/*
 * Follows the chain once. With `read` it reads the known capabilities; without, it checks that no
 * header overlaps one of `extents`. A chain without a cycle has each offset at most once, and
 * offsets are multiples of the alignment: a chain of more steps than there are multiples has a
 * cycle.
 */
static int walk(const struct vfio_answer *answer, uint32_t first, bool read,
                struct vfio_extents *extents, struct vfio_info *info)
{
    size_t steps = answer->size / CAP_ALIGNMENT;
    uint64_t behind = 0;

    for (uint32_t offset = first; offset != 0;) {
        int status = check_header_at(answer, offset);

        if (status != IOVAGEOM_OK)
            return status;
        if (steps-- == 0)
            return IOVAGEOM_ERR_CYCLE;

        uint16_t id = iovageom_host_load16(answer->bytes, offset);
        bool known = id >= 1 && id <= CAP_KNOWN_COUNT &&
                     iovageom_host_load16(answer->bytes, (size_t)offset + 2) == CAP_KNOWN_VERSION;

        if (!read && stands_on_another(extents, offset))
            return IOVAGEOM_ERR_MALFORMED;
        if (read && known)
            status = read_known(answer, offset, id, extents, info);
        if (status != IOVAGEOM_OK)
            return status;
        if (offset < behind)
            extents->back = true;
        behind = read && known ? extents->end[id - 1] : (uint64_t)offset + CAP_HEADER_SIZE;
        offset = iovageom_host_load32(answer->bytes, offset + 4);
    }
    return IOVAGEOM_OK;
}

/*
 * The first walk reads. If each header is behind the capability before it, as kernels have it,
 * nothing overlaps. Else a second walk compares each header with the extents, which are complete only
 * now. If the first fails, a walk that reads nothing finds out whether the chain has a cycle: a known
 * capability in it comes a second time, and would be reported as a duplicate. (No extents are known
 * then, so nothing overlaps.) Linear in the size of the answer.
 */
static int read_chain(const struct vfio_answer *answer, uint32_t first, struct vfio_info *info)
{
    struct vfio_extents extents;
    int status, chain;

    extents.end[0] = extents.end[1] = extents.end[2] = 0;
    extents.back = false;
    status = walk(answer, first, true, &extents, info);
    if (status == IOVAGEOM_OK)
        return extents.back ? walk(answer, first, false, &extents, info) : IOVAGEOM_OK;
    memset(&extents, 0, sizeof(extents));
    chain = walk(answer, first, false, &extents, info);
    return chain != IOVAGEOM_OK ? chain : status;
}

/*
 * Type1 pins whole host pages. If an IOMMU has page sizes below that of the host, type1 replaces
 * them by the host's page size (B1), so its answer has no size that no host page has. If there is
 * one all the same, the rule was not applied to the answer, but MAP still applies it. The host's
 * page size is not in the answer. So the largest one is taken: it is a multiple of all others.
 */
static uint64_t page_sizes_as_applied(uint64_t mask)
{
    if ((mask & (SMALLEST_HOST_PAGE - 1)) == 0)
        return mask;
    return (mask & ~(LARGEST_HOST_PAGE - 1)) | LARGEST_HOST_PAGE;
}

/* The offset of the first capability. When the buffer was too small for the chain, the kernel
 * returns success, leaves the offset 0 and writes the size that it wants to argsz (B1). If that is
 * no more than the fixed part, asking again would never end, so it is an error. */
static int find_chain(const struct vfio_answer *answer, size_t *needed, uint32_t *offset)
{
    *offset = 0;
    if (answer->argsz >= INFO_CAPS_END && answer->size >= INFO_CAPS_END)
        *offset = iovageom_host_load32(answer->bytes, INFO_CAP_OFFSET);
    if (*offset != 0)
        return IOVAGEOM_OK;
    if (answer->argsz <= INFO_SIZE)
        return IOVAGEOM_ERR_MALFORMED;
    if (needed != NULL)
        *needed = (size_t)answer->argsz;
    return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
}

/* Decodes an answer without touching a geometry. *needed is written with
 * IOVAGEOM_ERR_BUFFER_TOO_SMALL only; *info holds on success only. No more is read than both `length`
 * and argsz allow. */
static int decode(const void *bytes, size_t length, size_t *needed, struct vfio_info *info)
{
    struct vfio_answer answer = {(const uint8_t *)bytes, length, 0};

    if (length < INFO_MINIMUM)
        return IOVAGEOM_ERR_TRUNCATED;
    answer.argsz = iovageom_host_load32(bytes, 0);
    if (answer.argsz < INFO_MINIMUM)
        return IOVAGEOM_ERR_MALFORMED;
    if (answer.size > answer.argsz)
        answer.size = (size_t)answer.argsz;

    uint32_t flags = iovageom_host_load32(bytes, 4);

    info->has_page_sizes = (flags & FLAG_PGSIZES) != 0;
    info->page_sizes = page_sizes_as_applied(iovageom_host_load64(bytes, 8));
    info->has_dma_avail = false;
    info->range_count = 0;
    if ((flags & FLAG_CAPS) != 0) {
        uint32_t first = 0;
        int status = find_chain(&answer, needed, &first);

        return status == IOVAGEOM_OK ? read_chain(&answer, first, info) : status;
    }
    return IOVAGEOM_OK;
}

int iovageom_host_vfio_info(const void *bytes, size_t length, size_t *needed,
                            struct iovageom_geometry *geometry)
{
    struct vfio_info info;
    int status = decode(bytes, length, needed, &info);

    /* All or nothing: room for four facts is reserved first. Adding the list may still fail, so it
     * comes next; the two others can't fail then. */
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_reserve(geometry, geometry->count + 4);
    /* An empty list is not "nothing is usable": type1 has it for a container that has only
     * mediated devices, and maps everything there. So the usable ranges stay unknown. */
    if (status == IOVAGEOM_OK && info.range_count != 0)
        status = iovageom_geometry_add_usable_bytes(geometry,
                                                    (const uint8_t *)bytes + info.ranges_offset,
                                                    info.range_count, IOVAGEOM_SOURCE_VFIO);
    if (status != IOVAGEOM_OK)
        return status;
    if (info.has_page_sizes)
        (void)iovageom_geometry_add_page_sizes(geometry, info.page_sizes, IOVAGEOM_SOURCE_VFIO);
    if (info.has_dma_avail && info.dma_avail != NO_LIMIT)
        (void)iovageom_geometry_add_map_budget(geometry, info.dma_avail, IOVAGEOM_SOURCE_VFIO);
    return IOVAGEOM_OK;
}

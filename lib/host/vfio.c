/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/host_vfio.h>

#include <stdbool.h>
#include <string.h>

#include <iovageom/status.h>

#include "../geometry/internal.h"

/*
 * VFIO_IOMMU_GET_INFO of type1, from include/uapi/linux/vfio.h. The answer is a fixed structure,
 * and behind it a chain of capabilities: each has the offset of the next one, from the start of the
 * answer, and the last one has 0. Nothing in it is believed: offsets may lie outside, point into
 * another capability, or lead back.
 *
 * Numbers are in the byte order of this machine, and the buffer need not be aligned: so structures
 * are copied. None has padding between its members.
 */

/* struct vfio_iommu_type1_info. Kernels accept 16 bytes; the capability chain came later. */
struct vfio_head {
    uint32_t argsz; /* bytes that the kernel says the answer has: maybe more than there are */
    uint32_t flags;
    uint64_t page_sizes;
    uint32_t first; /* offset of the first capability */
    uint32_t padding;
};
enum {
    HEAD_MINIMUM = 16,
    HEAD_WITH_FIRST = 20, /* sizeof on i386, before there was padding */
    FLAG_PGSIZES = 1,
    FLAG_CAPS = 2
};

/* struct vfio_info_cap_header */
struct vfio_cap_header {
    uint16_t id;
    uint16_t version;
    uint32_t next;
};
enum { CAP_ALIGNMENT = 4 }; /* 8 since capabilities are padded; DMA_AVAIL has 12 bytes (B1) */

/* The known capabilities: all are of version 1, and have a number behind the header. */
enum { CAP_IOVA_RANGE = 1, CAP_MIGRATION, CAP_DMA_AVAIL, CAP_END };
static const uint8_t cap_size[CAP_END] = {0, 16, 32, 12}; /* by id, without a list */

/* Of the architectures on which Linux has VFIO. */
#define SMALLEST_HOST_PAGE ((uint64_t)4096)
#define LARGEST_HOST_PAGE  ((uint64_t)65536)

/* What iommufd's emulation of VFIO gives as the number of mappings: it does not count them (B2). */
#define NO_LIMIT UINT32_MAX

/* An answer, and what was read of it. */
struct vfio_answer {
    const uint8_t *bytes;
    size_t size; /* bytes that may be read: those that the caller has, at most argsz */
    struct vfio_head head;
    /* Of the known capabilities, by id: the bytes that they have, their lists included, and the
     * number: of usable ranges, or of mappings that can still be made. [0, 0]: it is not there. */
    struct iovageom_range extent[CAP_END];
    uint32_t number[CAP_END];
    bool back; /* some header is not behind the capability before it */
};

/* The error for a structure that ends at `end`, past what may be read: if it ends past what the
 * kernel has as well, the answer is wrong; else the caller passed too few bytes. */
static int past_the_end(const struct vfio_answer *answer, uint64_t end)
{
    return end > answer->head.argsz ? IOVAGEOM_ERR_MALFORMED : IOVAGEOM_ERR_TRUNCATED;
}

/* Reads a known capability. A second one of its kind is an error: the two could contradict each
 * other. The number has 32 bits, so the sum of 64 bits can't wrap. */
static int read_known(struct vfio_answer *answer, uint64_t offset, uint16_t id)
{
    uint64_t end = offset + cap_size[id];

    if (answer->extent[id].start != 0)
        return IOVAGEOM_ERR_MALFORMED;
    if (end <= answer->size) {
        memcpy(&answer->number[id], answer->bytes + offset + sizeof(struct vfio_cap_header),
               sizeof(answer->number[id]));
        if (id == CAP_IOVA_RANGE)
            end += (uint64_t)answer->number[id] * sizeof(struct iovageom_range);
    }
    if (end > answer->size)
        return past_the_end(answer, end);
    answer->extent[id] = (struct iovageom_range){offset, end - 1};
    return IOVAGEOM_OK;
}

/* Whether a header at `offset` shares bytes with a known capability that begins elsewhere. Then the
 * same bytes would have two meanings. */
static bool stands_on_another(const struct vfio_answer *answer, uint64_t offset)
{
    const struct iovageom_range header = {offset, offset + sizeof(struct vfio_cap_header) - 1};
    bool stands = false;

    for (unsigned id = 1; id < CAP_END; id++)
        stands |= iovageom_range_overlaps(answer->extent[id], header) &&
                  answer->extent[id].start != offset;
    return stands;
}

/*
 * Follows the chain. First it reads the known capabilities. If each header is behind the capability
 * before it, as kernels have it, nothing overlaps. Else a second walk, without `read`, compares
 * each header with their extents, which are complete only then. A chain without a cycle has each
 * offset at most once, and offsets are multiples of the alignment: a chain of more steps than there
 * are multiples has a cycle. What is wrong with the chain is said rather than what is wrong with a
 * known capability: one in a cycle comes a second time.
 */
static int walk(struct vfio_answer *answer, bool read)
{
    size_t steps = answer->size / CAP_ALIGNMENT;
    uint64_t last = 0; /* of the capability before */
    struct vfio_cap_header header;
    int status = IOVAGEOM_OK;

    for (uint32_t offset = answer->head.first; offset != 0; offset = header.next) {
        if (offset < HEAD_WITH_FIRST || offset % CAP_ALIGNMENT != 0)
            return IOVAGEOM_ERR_MALFORMED;
        if ((uint64_t)offset + sizeof(header) > answer->size)
            return past_the_end(answer, (uint64_t)offset + sizeof(header));
        if (steps-- == 0)
            return IOVAGEOM_ERR_CYCLE;
        memcpy(&header, answer->bytes + offset, sizeof(header));
        if (!read && stands_on_another(answer, offset))
            return IOVAGEOM_ERR_MALFORMED;
        answer->back |= offset <= last;
        last = offset + sizeof(header) - 1;
        if (read && status == IOVAGEOM_OK && header.id >= CAP_IOVA_RANGE && header.id < CAP_END &&
            header.version == 1) {
            status = read_known(answer, offset, header.id);
            last = answer->extent[header.id].last;
        }
    }
    return status;
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

/*
 * Reads an answer; linear in its size. When the buffer was too small for the chain, the kernel
 * returns success, leaves the offset of the first capability 0 and writes the size that it wants to
 * argsz (B1). If that is no more than the fixed part, asking again would never end, so it is an
 * error.
 */
static int read_info(struct vfio_answer *answer, size_t *needed)
{
    struct vfio_head *head = &answer->head;
    int status;

    if (answer->size < HEAD_MINIMUM)
        return IOVAGEOM_ERR_TRUNCATED;
    memcpy(head, answer->bytes, HEAD_MINIMUM);
    if (head->argsz < HEAD_MINIMUM)
        return IOVAGEOM_ERR_MALFORMED;
    if (answer->size > head->argsz)
        answer->size = head->argsz;
    if ((head->flags & FLAG_CAPS) == 0)
        return IOVAGEOM_OK;
    if (answer->size >= HEAD_WITH_FIRST)
        memcpy(head, answer->bytes, HEAD_WITH_FIRST);
    if (head->first == 0 && head->argsz <= sizeof(*head))
        return IOVAGEOM_ERR_MALFORMED;
    if (head->first == 0 && needed != NULL)
        *needed = head->argsz;
    if (head->first == 0)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    status = walk(answer, true);
    return status == IOVAGEOM_OK && answer->back ? walk(answer, false) : status;
}

int iovageom_host_vfio_info(const void *bytes, size_t length, size_t *needed,
                            struct iovageom_geometry *geometry)
{
    struct vfio_answer answer = {.bytes = bytes, .size = length, .number[CAP_DMA_AVAIL] = NO_LIMIT};
    const uint32_t *number = answer.number;
    int status = read_info(&answer, needed);

    /* All or nothing: room for four facts is reserved first. Adding the list may still fail, so it
     * comes next; the two others can't fail then. */
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_reserve(geometry, geometry->count + 4);
    /* An empty list is not "nothing is usable": type1 has it for a container that has only
     * mediated devices, and maps everything there. So the usable ranges stay unknown. */
    if (status == IOVAGEOM_OK && number[CAP_IOVA_RANGE] != 0)
        status = iovageom_geometry_add_usable_bytes(
            geometry, answer.bytes + answer.extent[CAP_IOVA_RANGE].start + cap_size[CAP_IOVA_RANGE],
            number[CAP_IOVA_RANGE], IOVAGEOM_SOURCE_VFIO);
    if (status != IOVAGEOM_OK)
        return status;
    if ((answer.head.flags & FLAG_PGSIZES) != 0)
        (void)iovageom_geometry_add_page_sizes(
            geometry, page_sizes_as_applied(answer.head.page_sizes), IOVAGEOM_SOURCE_VFIO);
    if (number[CAP_DMA_AVAIL] != NO_LIMIT)
        (void)iovageom_geometry_add_map_budget(geometry, number[CAP_DMA_AVAIL],
                                               IOVAGEOM_SOURCE_VFIO);
    return IOVAGEOM_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO's calls: of a container with type 1, and of iommufd where it stands in for one. The geometry
 * is that of the host's IOMMU, as its registers and sysfs would say; what the kernel answers to
 * VFIO_IOMMU_GET_INFO must be the same.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <linux/vfio.h>

#include <iovageom/host_vfio.h>

#include "judge.h"

/* The number of an IOAS that only stands in for a container. */
enum { CONTAINER = 0x7fffffff };

struct iovageom_geometry *host_geometry(void)
{
    const struct iovageom_range doorbells = {0xfee00000, 0xfeefffff};
    struct iovageom_geometry *out;

    must_do(iovageom_geometry_new(NULL, "host", &out), "geometry");
    must_do(iovageom_geometry_add_gaw(out, host_bits, IOVAGEOM_SOURCE_VTD_REGISTERS), "width");
    must_do(iovageom_geometry_add_page_sizes(out, 0x40201000, IOVAGEOM_SOURCE_VTD_REGISTERS),
            "page sizes");
    must_do(
        iovageom_geometry_add_reserved(out, doorbells, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS),
        "doorbells");
    return out;
}

static struct ioas *container_of(struct context *context)
{
    return ioas_of(context, context->compatible);
}

/* A device comes, by a group or as itself: only now is the host's IOMMU known. */
static void attach_host(struct ioas *ioas, const struct call *call)
{
    if (!ioas_has_owner(ioas, BY_HOST, 0))
        judge_owner(call, ioas, BY_HOST, 0, host_geometry());
}

static void set_iommu(struct context *context, const struct call *call)
{
    const uint64_t type = quad(call->before, call->before_size, 0);
    struct ioas *ioas = container_of(context);

    if (ioas == NULL || call->error != 0) {
        leave_out(call, RULE_DEVICE);
        return;
    }
    if (context->dialect == TYPE1) {
        attach_host(ioas, call);
        return;
    }
    /* iommufd cuts mappings only when all pages are small. */
    ioas->cuts = type == VFIO_TYPE1_IOMMU;
    if (ioas->cuts && !ioas_has_owner(ioas, BY_OPTION, 0))
        judge_owner(call, ioas, BY_OPTION, 0, alignment_geometry("small pages", 4096));
}

/* The kernel's answer, decoded, has the addresses of the container; or says how much it needs. */
static void get_info(struct context *context, const struct call *call)
{
    const struct ioas *ioas = container_of(context);
    const uint32_t room = word(call->before, call->before_size, 0);
    const uint32_t wanted = word(call->after, call->after_size, 0);
    struct iovageom_geometry *answered;
    size_t needed = 0;
    int status;

    if (ioas == NULL || call->error != 0) {
        leave_out(call, room < 16 ? RULE_WORDS : RULE_DEVICE);
        return;
    }
    must_do(iovageom_geometry_new(NULL, "answer", &answered), "geometry");
    status = iovageom_host_vfio_info(call->after, call->after_size, &needed, answered);
    if (wanted > room) {
        if (status != IOVAGEOM_ERR_BUFFER_TOO_SMALL || needed != wanted)
            differ(call, "the room needed", wanted, needed);
        judge(call, context->dialect, IOVAGEOM_OK);
    } else if (judge(call, context->dialect, status) && !ioas_same_ranges(ioas, answered)) {
        differ(call, "the ranges", 0, 0);
    }
    iovageom_geometry_free(answered);
}

static uint64_t field(const struct call *call, size_t at)
{
    return quad(call->before, call->before_size, at);
}

static void map_dma(struct context *context, const struct call *call)
{
    const uint32_t size = (uint32_t)field(call, 0);
    const uint32_t flags = word(call->before, call->before_size, 4);
    struct ioas *ioas = container_of(context);
    struct iovageom_range range;
    int status;

    if (ioas == NULL || size < sizeof(struct vfio_iommu_type1_dma_map) || flags > 3 || flags == 0) {
        leave_out(call, ioas == NULL ? RULE_DEVICE : RULE_WORDS);
        return;
    }
    status = iovageom_range_from_length(
        field(call, offsetof(struct vfio_iommu_type1_dma_map, iova)),
        field(call, offsetof(struct vfio_iommu_type1_dma_map, size)), &range);
    if (status != IOVAGEOM_OK)
        judge(call, context->dialect, status);
    else
        judge_map(call, context->dialect, ioas, range,
                  field(call, offsetof(struct vfio_iommu_type1_dma_map, vaddr)));
}

/* As far as VFIO looks before it looks for ranges. */
static bool wrong_unmap(const struct call *call, bool all)
{
    const uint32_t flags = word(call->before, call->before_size, 4);

    return (uint32_t)field(call, 0) < sizeof(struct vfio_iommu_type1_dma_unmap) ||
           (flags & ~(uint32_t)VFIO_DMA_UNMAP_FLAG_ALL) != 0 ||
           (all && (field(call, 8) != 0 || field(call, 16) != 0));
}

static void unmap_dma(struct context *context, const struct call *call)
{
    struct iovageom_range range = {0, IOVAGEOM_ADDRESS_MAX};
    struct ioas *ioas = container_of(context);
    const bool all = (word(call->before, call->before_size, 4) & VFIO_DMA_UNMAP_FLAG_ALL) != 0;
    uint64_t bytes = 0;
    int status = IOVAGEOM_OK;

    if (ioas == NULL || wrong_unmap(call, all)) {
        leave_out(call, ioas == NULL ? RULE_DEVICE : RULE_WORDS);
        return;
    }
    if (!all)
        status = iovageom_range_from_length(
            field(call, offsetof(struct vfio_iommu_type1_dma_unmap, iova)),
            field(call, offsetof(struct vfio_iommu_type1_dma_unmap, size)), &range);
    if (status == IOVAGEOM_OK && ioas->cuts && !all)
        ioas_cut(ioas, range);
    if (status == IOVAGEOM_OK)
        status = ioas_unmap(ioas, range, &bytes);
    if (status == IOVAGEOM_ERR_SPLIT && context->dialect == IOMMUFD)
        ioas_sweep(ioas, range);
    if (judge(call, context->dialect, status) && call->error == 0 &&
        quad(call->after, call->after_size, 16) != bytes)
        differ(call, "bytes unmapped", quad(call->after, call->after_size, 16), bytes);
}

/* iommufd by devices of VFIO's own: the IOAS has a number. */
static void attach_device(struct context *context, const struct call *call)
{
    struct ioas *ioas = ioas_of(context, word(call->before, call->before_size, 8));

    if (ioas == NULL || call->error != 0)
        leave_out(call, RULE_DEVICE);
    else
        attach_host(ioas, call);
}

/* IOMMU_VFIO_IOAS: which IOAS stands in for a container. */
static void name_container(struct context *context, const struct call *call)
{
    enum { GET, SET, CLEAR };

    if (call->error != 0)
        return;
    switch (word(call->before, call->before_size, 8) & 0xffff) {
    case SET:
        context->compatible = word(call->before, call->before_size, 4);
        break;
    case CLEAR:
        context->compatible = 0;
        break;
    default:
        break;
    }
}

void vfio_call(struct context *context, const struct call *call)
{
    switch (call->request) {
    case 0x3b88:
        name_container(context, call);
        break;
    case VFIO_GROUP_SET_CONTAINER:
        if (call->error == 0 && container_of(context) == NULL)
            context->compatible = ioas_made(context, CONTAINER)->id;
        break;
    case VFIO_GROUP_GET_DEVICE_FD:
        if (call->error == 0 && context->dialect == IOMMUFD && container_of(context) != NULL)
            attach_host(container_of(context), call);
        break;
    case VFIO_SET_IOMMU:
        set_iommu(context, call);
        break;
    case VFIO_IOMMU_GET_INFO:
        get_info(context, call);
        break;
    case VFIO_IOMMU_MAP_DMA:
        map_dma(context, call);
        break;
    case VFIO_IOMMU_UNMAP_DMA:
        unmap_dma(context, call);
        break;
    case 0x3b77: /* VFIO_DEVICE_ATTACH_IOMMUFD_PT, which bookworm's headers have not */
        attach_device(context, call);
        break;
    default:
        break;
    }
}

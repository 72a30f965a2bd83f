/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/guest.h>

#include <iovageom/status.h>

#include "../base/range.h"

/*
 * The DMA allocator of a Linux guest, as drivers/iommu/dma-iommu.c and iova.c have it: addresses
 * are given from the top of a window down, in granules, aligned to the next power of two of their
 * size.
 */

/* Linux rounds allocations of fewer granules than this up to a power of two, because it keeps freed
 * ranges in caches by size. */
enum { CACHED_GRANULES = 32 };

int iovageom_guestview_dma_init(struct iovageom_guestview_dma *dma,
                                const struct iovageom_allocator *allocator,
                                const struct iovageom_virtio_config *config,
                                const struct iovageom_region *regions, size_t count)
{
    struct iovageom_range usable[2];
    uint64_t granule = iovageom_pgsize_granule(config->page_size_mask);
    int status;

    if (granule == 0)
        return IOVAGEOM_ERR_INVALID;
    if (!iovageom_range_valid(config->input_range))
        return IOVAGEOM_ERR_INVERTED;
    /* Linux uses granules that the input range has in part, but never the one at address 0. */
    if (iovageom_range_subtract(iovageom_range_align_outward(config->input_range, granule),
                                (struct iovageom_range){0, granule - 1}, usable) == 0)
        return IOVAGEOM_ERR_NOTHING_USABLE;
    status = iovageom_rangeset_init(&dma->taken, allocator);
    if (status < 0)
        return status;
    dma->limits = usable[0];
    dma->granule = granule;
    dma->low_first = true;
    dma->low_always = false;
    for (size_t i = 0; i < count && status == 0; i++)
        if (regions[i].type != IOVAGEOM_RESV_SOFTWARE_MSI && iovageom_range_valid(regions[i].range))
            status = iovageom_rangeset_insert(
                &dma->taken, iovageom_range_align_outward(regions[i].range, granule));
    if (status < 0)
        iovageom_rangeset_deinit(&dma->taken);
    return status;
}

void iovageom_guestview_dma_deinit(struct iovageom_guestview_dma *dma)
{
    if (dma != NULL)
        iovageom_rangeset_deinit(&dma->taken);
}

int iovageom_guestview_dma_alloc(struct iovageom_guestview_dma *dma, uint64_t size, uint64_t mask,
                                 struct iovageom_range *out)
{
    /* At most half of all granules, so that the next power of two still has a name. */
    const uint64_t most = (IOVAGEOM_ADDRESS_MAX / dma->granule >> 1) + 1;
    /* For PCI, Linux tries addresses below 4 GiB first: some devices are broken above. */
    const bool low = dma->low_first && mask > UINT32_MAX && dma->limits.last > UINT32_MAX;
    uint64_t granules, aligned = 1;
    struct iovageom_range window, found = {0, 0};
    int status = IOVAGEOM_ERR_NOT_FOUND;
    bool fits;

    if (size == 0)
        return IOVAGEOM_ERR_INVALID;
    granules = (size - 1) / dma->granule + 1;
    fits = granules <= most;
    while (fits && aligned < granules)
        aligned <<= 1;
    if (granules < CACHED_GRANULES)
        granules = aligned;
    for (unsigned turn = low ? 0 : 1; turn < 2 && status == IOVAGEOM_ERR_NOT_FOUND; turn++) {
        /* Up to the mask, in whole granules. */
        window.start = 0;
        window.last = (turn == 0 ? UINT32_MAX : mask) | (dma->granule - 1);
        if (fits && iovageom_range_intersect(dma->limits, window, &window))
            status = iovageom_rangeset_hole(&dma->taken, window, granules * dma->granule,
                                            aligned * dma->granule, true, &found);
    }
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_insert(&dma->taken, found);
    /* Once an allocation found nothing below 4 GiB, newer kernels no longer try there. */
    if (low && (status == IOVAGEOM_OK ? found.last > UINT32_MAX : status == IOVAGEOM_ERR_NOT_FOUND))
        dma->low_first = dma->low_always;
    if (status < 0)
        return status;
    *out = found;
    return IOVAGEOM_OK;
}

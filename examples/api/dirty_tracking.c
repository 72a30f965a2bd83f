/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which memory of a guest does a device write to, while the guest is migrated? The device logs
 * IOVAs, in a few ranges that it is given; the guest may map more, and unmap. What a VMM asks VFIO
 * (VFIO_DEVICE_FEATURE_DMA_LOGGING_*) is made up here: a device that writes to second pages.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/plan_cover.h>
#include <iovageom/viommu.h>

enum { ENDPOINT = 0x100, DOMAIN = 1, PAGE = 4096, MOST = 2, WRITE = IOVAGEOM_VIRTIO_MAP_F_WRITE };

/* A program of its own may end here; a VMM would hand the status up. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", iovageom_status_string(status));
        exit(1);
    }
}

static void show(const char *what, const struct iovageom_range *ranges, size_t count)
{
    printf("%s", what);
    for (size_t i = 0; i < count; i++)
        printf(" [0x%" PRIx64 ",0x%" PRIx64 "]", ranges[i].start, ranges[i].last);
    printf("\n");
}

/* Before mappings go, what was logged of them is fetched: later nobody knows where they led. */
static void fetch(struct iovageom_viommu *viommu, struct iovageom_range range)
{
    const uint64_t logged = 2; /* the second page */
    const struct iovageom_dirty_bitmap bitmap = {&logged, range.start, PAGE, 64};
    struct iovageom_mapping mapping;
    struct iovageom_range memory[64];
    size_t count = 0;

    if (iovageom_viommu_mapping_next(viommu, DOMAIN, range.start, &mapping))
        must(iovageom_plan_cover_dirty(&mapping, 1, &bitmap, memory, 64, &count));
    show("was written to:", memory, count);
}

int main(void)
{
    const struct iovageom_range mapped[] = {
        {0x10000, 0x1ffff}, {0x30000, 0x3ffff}, {0xfff00000, 0xfff0ffff}};
    const struct iovageom_range later[] = {{0x20000, 0x2ffff}, {0x80000, 0x8ffff}};
    struct iovageom_range cover[MOST + 1], next[MOST + 1] = {{0, 0}};
    struct iovageom_viommu *viommu;
    size_t count;
    bool changed;

    must(iovageom_viommu_new(NULL, NULL, &viommu));
    must(iovageom_viommu_declare(viommu, ENDPOINT, 0, IOVAGEOM_ENDPOINT_EMULATED, NULL));
    must(iovageom_viommu_attach(viommu, DOMAIN, ENDPOINT, 0, NULL));
    for (size_t i = 0; i < 3; i++)
        must(iovageom_viommu_map(viommu, DOMAIN, mapped[i], 0x40000000 + mapped[i].start, WRITE,
                                 NULL));

    must(iovageom_plan_cover(mapped, 3, PAGE, MOST, cover, MOST + 1, &count, NULL));
    show("to be logged:", cover, count);

    for (size_t i = 0; i < 2; i++) {
        must(iovageom_viommu_map(viommu, DOMAIN, later[i], 0x50000000, WRITE, NULL));
        must(iovageom_plan_cover_change(cover, count, later[i], true, PAGE, MOST, next, MOST + 1,
                                        &count, &changed));
        show(changed ? "logging starts anew, in" : "is logged already:", next, count);
        memcpy(cover, next, sizeof(cover));
    }
    fetch(viommu, mapped[1]);
    must(iovageom_viommu_unmap(viommu, DOMAIN, mapped[1], NULL, NULL));
    iovageom_viommu_free(viommu);
    return 0;
}

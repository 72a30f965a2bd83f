/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ask a kernel what it really accepts: VFIO type1 and iommufd on a device that is bound
 * to vfio-pci already. Runs inside the test guests, linked statically.
 *
 *   vfio-try ranges BDF            print page sizes and usable ranges
 *   vfio-try map BDF IOVA...       map one page at each address
 *   vfio-try accept BDF RANGE...   ranges as START-LAST in hexadecimal: the first and the
 *                                  last page of each must map, the pages around must not;
 *                                  by type1 and, where the kernel has it, by iommufd
 *   vfio-try dma BDF IOVA...       let QEMU's edu device move bytes through a mapping at
 *                                  each address
 *   vfio-try hold BDF IOVA SECONDS the same over and over for some seconds
 *
 * Every line of an answer starts with "E2E" and the word for what was asked. IOVAs in
 * all of this are host page granular: the granule is what the kernel says.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

struct span {
    uint64_t start;
    uint64_t last;
};

/* One way to the device: type1's container or iommufd's IOAS. */
struct way {
    const char *name;
    int container;
    int group;
    int device;
    uint32_t ioas;
    uint64_t page;
    unsigned n_ranges;
    struct span ranges[512];
};

static const char *bdf;

static void fail(const char *what)
{
    printf("E2E error %s %s: %s\n", bdf, what, strerror(errno));
    exit(1);
}

static uint64_t read_link_number(const char *path)
{
    char target[256];
    ssize_t n = readlink(path, target, sizeof(target) - 1);

    if (n < 0)
        fail(path);
    target[n] = 0;
    return strtoull(strrchr(target, '/') + 1, NULL, 10);
}

static uint64_t smallest_page(uint64_t mask)
{
    return mask & -mask;
}

static void read_type1_info(struct way *way)
{
    struct vfio_iommu_type1_info probe = {.argsz = sizeof(probe)}, *info;
    uint32_t at;

    if (ioctl(way->container, VFIO_IOMMU_GET_INFO, &probe) < 0)
        fail("VFIO_IOMMU_GET_INFO");
    info = calloc(1, probe.argsz);
    info->argsz = probe.argsz;
    if (ioctl(way->container, VFIO_IOMMU_GET_INFO, info) < 0)
        fail("VFIO_IOMMU_GET_INFO");
    way->page = smallest_page(info->iova_pgsizes);
    printf("E2E pgsizes %s 0x%" PRIx64 "\n", bdf, (uint64_t)info->iova_pgsizes);
    for (at = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0; at;) {
        struct vfio_info_cap_header *cap = (void *)((char *)info + at);

        if (cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
            struct vfio_iommu_type1_info_cap_iova_range *list = (void *)cap;

            for (uint32_t i = 0; i < list->nr_iovas && way->n_ranges < 512; i++)
                way->ranges[way->n_ranges++] =
                    (struct span){list->iova_ranges[i].start, list->iova_ranges[i].end};
        }
        at = cap->next;
    }
    free(info);
}

static void open_type1(struct way *way)
{
    struct vfio_group_status status = {.argsz = sizeof(status)};
    char path[256];

    way->name = "type1";
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
    snprintf(path, sizeof(path), "/dev/vfio/%" PRIu64, read_link_number(path));
    way->container = open("/dev/vfio/vfio", O_RDWR);
    way->group = open(path, O_RDWR);
    if (way->container < 0 || way->group < 0)
        fail(path);
    if (ioctl(way->group, VFIO_GROUP_GET_STATUS, &status) < 0 ||
        !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        fail("group not viable");
    if (ioctl(way->group, VFIO_GROUP_SET_CONTAINER, &way->container) < 0)
        fail("VFIO_GROUP_SET_CONTAINER");
    if (ioctl(way->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
        fail("VFIO_SET_IOMMU");
    way->device = ioctl(way->group, VFIO_GROUP_GET_DEVICE_FD, bdf);
    if (way->device < 0)
        fail("VFIO_GROUP_GET_DEVICE_FD");
    read_type1_info(way);
}

/* false: this kernel has no iommufd */
static bool open_iommufd(struct way *way)
{
    struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
    struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
    struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
    struct iommu_iova_range list[512];
    struct iommu_ioas_iova_ranges ranges = {.size = sizeof(ranges), .num_iovas = 512};
    char path[512];
    DIR *dir;

    way->name = "iommufd";
    way->container = open("/dev/iommu", O_RDWR);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
    dir = opendir(path);
    if (way->container < 0 || !dir)
        return false;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (!strncmp(entry->d_name, "vfio", 4))
            snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
    closedir(dir);
    way->device = open(path, O_RDWR);
    if (way->device < 0)
        return false;
    bind.iommufd = way->container;
    if (ioctl(way->device, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0)
        fail("VFIO_DEVICE_BIND_IOMMUFD");
    if (ioctl(way->container, IOMMU_IOAS_ALLOC, &ioas) < 0)
        fail("IOMMU_IOAS_ALLOC");
    way->ioas = ioas.out_ioas_id;
    attach.pt_id = ioas.out_ioas_id;
    if (ioctl(way->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) < 0)
        fail("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
    ranges.ioas_id = way->ioas;
    ranges.allowed_iovas = (uintptr_t)list;
    if (ioctl(way->container, IOMMU_IOAS_IOVA_RANGES, &ranges) < 0)
        fail("IOMMU_IOAS_IOVA_RANGES");
    way->page = ranges.out_iova_alignment;
    for (uint32_t i = 0; i < ranges.num_iovas; i++)
        way->ranges[way->n_ranges++] = (struct span){list[i].start, list[i].last};
    return true;
}

static void close_way(struct way *way)
{
    close(way->device);
    if (way->group)
        close(way->group);
    close(way->container);
}

static void *backing(struct way *way)
{
    static char *memory;
    size_t size = 2 * way->page;

    if (!memory) {
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            fail("mmap");
        memset(memory, 0x5a, size);
    }
    return (void *)(((uintptr_t)memory + way->page - 1) & -way->page);
}

static int map_page(struct way *way, uint64_t iova)
{
    if (way->group) {
        struct vfio_iommu_type1_dma_map map = {
            .argsz = sizeof(map),
            .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
            .vaddr = (uintptr_t)backing(way),
            .iova = iova,
            .size = way->page,
        };
        return ioctl(way->container, VFIO_IOMMU_MAP_DMA, &map) < 0 ? errno : 0;
    }
    struct iommu_ioas_map map = {
        .size = sizeof(map),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
        .ioas_id = way->ioas,
        .user_va = (uintptr_t)backing(way),
        .length = way->page,
        .iova = iova,
    };
    return ioctl(way->container, IOMMU_IOAS_MAP, &map) < 0 ? errno : 0;
}

static void unmap_page(struct way *way, uint64_t iova)
{
    if (way->group) {
        struct vfio_iommu_type1_dma_unmap unmap = {
            .argsz = sizeof(unmap), .iova = iova, .size = way->page};
        if (ioctl(way->container, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0)
            fail("VFIO_IOMMU_UNMAP_DMA");
        return;
    }
    struct iommu_ioas_unmap unmap = {
        .size = sizeof(unmap), .ioas_id = way->ioas, .iova = iova, .length = way->page};
    if (ioctl(way->container, IOMMU_IOAS_UNMAP, &unmap) < 0)
        fail("IOMMU_IOAS_UNMAP");
}

static int try_page(struct way *way, uint64_t iova)
{
    int error = map_page(way, iova);

    if (!error)
        unmap_page(way, iova);
    return error;
}

static void print_ranges(const struct way *way)
{
    for (unsigned i = 0; i < way->n_ranges; i++)
        printf("E2E usable %s %s 0x%016" PRIx64 " 0x%016" PRIx64 "\n", bdf, way->name,
               way->ranges[i].start, way->ranges[i].last);
}

/* ---- accept: is a claim about the usable ranges what the kernel lives by? ---- */

static unsigned disagreements;

static void expect(struct way *way, uint64_t iova, bool accepted)
{
    int error = try_page(way, iova);

    if (!error != accepted) {
        printf("E2E disagree %s %s page 0x%" PRIx64 " is %s, claimed %s\n", bdf, way->name, iova,
               error ? strerror(error) : "accepted", accepted ? "usable" : "reserved");
        disagreements++;
    }
}

static bool claimed(const struct span *spans, int n, uint64_t iova, uint64_t page)
{
    for (int i = 0; i < n; i++)
        if (iova >= spans[i].start && iova + (page - 1) <= spans[i].last)
            return true;
    return false;
}

static void accept_way(struct way *way, const struct span *spans, int n)
{
    uint64_t page = way->page;

    for (int i = 0; i < n; i++) {
        /* Type1 cannot map the very last page of 64 bits: its end would be 2^64. */
        uint64_t first = (spans[i].start + page - 1) & -page;
        uint64_t last = (spans[i].last - (page - 1)) & -page;
        bool top = spans[i].last == UINT64_MAX;

        expect(way, first, true);
        expect(way, top ? last - page : last, true);
        if (first >= page && !claimed(spans, n, first - page, page))
            expect(way, first - page, false);
        if (!top && !claimed(spans, n, last + page, page))
            expect(way, last + page, false);
    }
    printf("E2E accept %s %s %d ranges, page 0x%" PRIx64 ", %u disagreements\n", bdf, way->name, n,
           page, disagreements);
}

static int accept_claim(int n, char **text)
{
    struct span spans[512];
    struct way type1 = {0}, fd = {0};

    for (int i = 0; i < n; i++) {
        char *rest;

        spans[i].start = strtoull(text[i], &rest, 16);
        spans[i].last = strtoull(rest + 1, NULL, 16);
    }
    open_type1(&type1);
    print_ranges(&type1);
    accept_way(&type1, spans, n);
    close_way(&type1);
    if (open_iommufd(&fd)) {
        print_ranges(&fd);
        accept_way(&fd, spans, n);
        close_way(&fd);
    } else {
        printf("E2E accept %s iommufd not there\n", bdf);
    }
    return disagreements != 0;
}

/* ---- dma: the edu device copies through the mapping ---- */

enum {
    EDU_SOURCE = 0x80,
    EDU_DESTINATION = 0x88,
    EDU_COUNT = 0x90,
    EDU_COMMAND = 0x98,
    EDU_BUFFER = 0x40000,
    EDU_START = 1,
    EDU_TO_RAM = 2,
};

struct edu {
    int device;
    uint64_t bar;
};

static void edu_write(struct edu *edu, uint64_t at, uint64_t value)
{
    if (pwrite(edu->device, &value, 8, (off_t)(edu->bar + at)) != 8)
        fail("edu write");
}

static uint64_t edu_read(struct edu *edu, uint64_t at)
{
    uint64_t value = 0;

    if (pread(edu->device, &value, 8, (off_t)(edu->bar + at)) != 8)
        fail("edu read");
    return value;
}

static struct edu edu_open(struct way *way)
{
    struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
    struct vfio_region_info config = {.argsz = sizeof(config),
                                      .index = VFIO_PCI_CONFIG_REGION_INDEX};
    uint16_t command = 0x6; /* memory, bus master */

    if (ioctl(way->device, VFIO_DEVICE_GET_REGION_INFO, &bar) < 0 ||
        ioctl(way->device, VFIO_DEVICE_GET_REGION_INFO, &config) < 0)
        fail("VFIO_DEVICE_GET_REGION_INFO");
    if (pwrite(way->device, &command, 2, (off_t)(config.offset + 4)) != 2)
        fail("bus master");
    return (struct edu){way->device, bar.offset};
}

static bool edu_move(struct edu *edu, uint64_t from, uint64_t to, uint64_t count, uint64_t how)
{
    edu_write(edu, EDU_SOURCE, from);
    edu_write(edu, EDU_DESTINATION, to);
    edu_write(edu, EDU_COUNT, count);
    edu_write(edu, EDU_COMMAND, how | EDU_START);
    for (int i = 0; i < 500; i++) {
        if (!(edu_read(edu, EDU_COMMAND) & EDU_START))
            return true;
        usleep(10000);
    }
    return false;
}

/* Half a page goes to the device, and comes back to the other half. */
static const char *dma_round_trip(struct way *way, struct edu *edu, uint64_t iova)
{
    const size_t half = 2048;
    unsigned char *page = backing(way);
    const char *verdict = "ok";
    int error = map_page(way, iova);

    if (error)
        return strerror(error);
    for (size_t i = 0; i < half; i++) {
        page[i] = (unsigned char)(iova >> 12) ^ (unsigned char)(i * 7 + (i >> 8));
        page[half + i] = 0;
    }
    if (!edu_move(edu, iova, EDU_BUFFER, half, 0) ||
        !edu_move(edu, EDU_BUFFER, iova + half, half, EDU_TO_RAM))
        verdict = "device-hangs";
    else if (memcmp(page, page + half, half) != 0)
        verdict = "bytes-lost";
    unmap_page(way, iova);
    return verdict;
}

static int dma_claim(int n, char **text)
{
    struct way way = {0};
    struct edu edu;
    int bad = 0;

    open_type1(&way);
    edu = edu_open(&way);
    for (int i = 0; i < n; i++) {
        uint64_t iova = strtoull(text[i], NULL, 16);
        const char *verdict = dma_round_trip(&way, &edu, iova);

        printf("E2E dma %s 0x%" PRIx64 " %s\n", bdf, iova, verdict);
        bad |= strcmp(verdict, "ok") != 0;
    }
    return bad;
}

static int dma_hold(uint64_t iova, double seconds)
{
    struct way way = {0};
    struct edu edu;
    time_t end;
    unsigned turns = 0;

    open_type1(&way);
    edu = edu_open(&way);
    printf("E2E holding %s\n", bdf);
    fflush(stdout);
    for (end = time(NULL) + (time_t)seconds; time(NULL) < end; turns++) {
        const char *verdict = dma_round_trip(&way, &edu, iova);

        if (strcmp(verdict, "ok") != 0) {
            printf("E2E hold %s %s after %u turns\n", bdf, verdict, turns);
            return 1;
        }
    }
    printf("E2E hold %s ok %u turns\n", bdf, turns);
    return 0;
}

int main(int argc, char **argv)
{
    struct way way = {0};

    if (argc < 3)
        return 2;
    bdf = argv[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(argv[1], "accept"))
        return accept_claim(argc - 3, argv + 3);
    if (!strcmp(argv[1], "dma"))
        return dma_claim(argc - 3, argv + 3);
    if (!strcmp(argv[1], "hold") && argc == 5)
        return dma_hold(strtoull(argv[3], NULL, 16), atof(argv[4]));
    open_type1(&way);
    if (!strcmp(argv[1], "ranges"))
        print_ranges(&way);
    else if (!strcmp(argv[1], "map"))
        for (int i = 3; i < argc; i++) {
            uint64_t iova = strtoull(argv[i], NULL, 16);
            int error = try_page(&way, iova);

            printf("E2E map %s 0x%" PRIx64 " %s\n", bdf, iova, error ? strerror(error) : "ok");
        }
    else
        return 2;
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Asking a live kernel: VFIO_IOMMU_GET_INFO by the legacy interface, IOMMU_IOAS_IOVA_RANGES and
 * IOMMU_GET_HW_INFO by iommufd. A group is asked only if one of its devices has a VFIO driver
 * already: nothing is bound or unbound. What can't be opened is passed over, with a reason.
 *
 * Numbers and layouts are those of linux/vfio.h and linux/iommufd.h, and stand here because the
 * headers of a distribution are often older than its users' kernels.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iovageom/host_iommufd.h>

#include "host.h"

#define VFIO_NUMBER(n)      _IO(';', 100 + (n))
#define VFIO_SET_TYPE       VFIO_NUMBER(2)
#define VFIO_GROUP_STATUS   VFIO_NUMBER(3)
#define VFIO_GROUP_SET      VFIO_NUMBER(4)
#define VFIO_GET_INFO       VFIO_NUMBER(12)
#define VFIO_BIND_IOMMUFD   VFIO_NUMBER(18)
#define VFIO_ATTACH         VFIO_NUMBER(19)

#define VFIO_TYPE1          1
#define VFIO_TYPE1V2        3
#define VFIO_GROUP_VIABLE   1u

#define IOMMUFD_NUMBER(n)   _IO(';', 0x80 + (n))
#define IOMMUFD_IOAS_ALLOC  IOMMUFD_NUMBER(1)
#define IOMMUFD_IOVA_RANGES IOMMUFD_NUMBER(4)
#define IOMMUFD_HW_INFO     IOMMUFD_NUMBER(10)

#define HW_INFO_SIZE        40

/* How often a list is asked for that has grown since it was asked for the last time; and the most
 * ranges that are taken for a list. */
#define TRIES       8
#define MOST_RANGES (1u << 20)

struct group_status {
    uint32_t argsz;
    uint32_t flags;
};

struct bind_iommufd {
    uint32_t argsz;
    uint32_t flags;
    int32_t iommufd;
    uint32_t out_devid;
};

struct attach_iommufd {
    uint32_t argsz;
    uint32_t flags;
    uint32_t pt_id;
};

struct ioas_alloc {
    uint32_t size;
    uint32_t flags;
    uint32_t out_ioas_id;
};

struct iova_ranges {
    uint32_t size;
    uint32_t ioas_id;
    uint32_t num_iovas;
    uint32_t reserved;
    uint64_t allowed_iovas;
    uint64_t out_iova_alignment;
};

static struct blob answer(const void *bytes, size_t length, const char *path)
{
    struct blob blob = {true, keep(length + 1), length, path, NULL};

    if (length != 0)
        memcpy(blob.bytes, bytes, length);
    return blob;
}

/* What whoever runs this can do about it. */
static const char *hint(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return "run it as root, or let this user open the file";
    case EBUSY:
        return "a virtual machine has it: ask when that has ended";
    case ENOENT:
        return "load the module vfio-pci";
    default:
        return "dmesg may say more";
    }
}

static bool failed(struct group *group, const char *what)
{
    int error = errno;

    warn("group %s: %s: %s: not asked", group->name, what, strerror(error));
    if (group->not_asked == NULL)
        group->not_asked = text("%s: %s: %s", what, strerror(error), hint(error));
    return false;
}

/* ---- VFIO type1 ---- */

static void ask_info(struct group *group, int container)
{
    uint32_t small[6] = {sizeof(small), 0, 0, 0, 0, 0};
    const char *path = text("VFIO_IOMMU_GET_INFO of group %s", group->name);
    uint32_t size = 0;
    uint32_t *buffer = small;

    if (ioctl(container, VFIO_GET_INFO, small) == 0)
        group->answers.vfio_first = answer(small, sizeof(small), path);
    /* The answer begins with the bytes that it takes, which may be more than there were. */
    for (int tries = 0; tries < TRIES && buffer[0] > size; tries++) {
        size = buffer[0] < sizeof(small) ? (uint32_t)sizeof(small) : buffer[0];
        buffer = keep(size);
        buffer[0] = size;
        if (ioctl(container, VFIO_GET_INFO, buffer) != 0) {
            (void)failed(group, "VFIO_IOMMU_GET_INFO");
            return;
        }
    }
    group->answers.vfio = answer(buffer, size, path);
}

static bool ask_container(struct group *group, int container, int fd)
{
    struct group_status status = {sizeof(status), 0};

    if (ioctl(fd, VFIO_GROUP_STATUS, &status) != 0)
        return failed(group, "VFIO_GROUP_GET_STATUS");
    if ((status.flags & VFIO_GROUP_VIABLE) == 0) {
        /* The note on what hinders it, if sysfs shows that, comes with the group. */
        warn("group %s: not viable, as VFIO says: not asked", group->name);
        return false;
    }
    if (ioctl(fd, VFIO_GROUP_SET, &container) != 0)
        return failed(group, "VFIO_GROUP_SET_CONTAINER");
    if (ioctl(container, VFIO_SET_TYPE, VFIO_TYPE1V2) != 0 &&
        ioctl(container, VFIO_SET_TYPE, VFIO_TYPE1) != 0)
        return failed(group, "VFIO_SET_IOMMU");
    ask_info(group, container);
    return true;
}

static void ask_vfio(struct group *group)
{
    const char *path = text("/dev/vfio/%s", group->name);
    int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    int fd;

    if (container < 0) {
        (void)failed(group, "/dev/vfio/vfio");
        return;
    }
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        (void)ask_container(group, container, fd);
        (void)close(fd);
    } else {
        (void)failed(group, path);
    }
    (void)close(container);
}

/* ---- iommufd ---- */

static bool ask_ranges(struct group *group, int iommufd, uint32_t ioas, struct blob *header,
                       struct blob *ranges)
{
    const char *path = text("IOMMU_IOAS_IOVA_RANGES of group %s", group->name);
    struct iova_ranges head = {.num_iovas = 32}; /* more than the usual host has */
    void *array = NULL;
    uint32_t room = 0;
    bool whole = false;

    for (int tries = 0; tries < TRIES && !whole; tries++) {
        room = head.num_iovas;
        array = keep(room * (size_t)IOVAGEOM_IOMMUFD_RANGE_SIZE);
        head = (struct iova_ranges){.size = sizeof(head),
                                    .ioas_id = ioas,
                                    .num_iovas = room,
                                    .allowed_iovas = (uintptr_t)array};
        whole = ioctl(iommufd, IOMMUFD_IOVA_RANGES, &head) == 0;
        if (!whole && errno != EMSGSIZE)
            return failed(group, "IOMMU_IOAS_IOVA_RANGES");
        if (head.num_iovas > (whole ? room : MOST_RANGES))
            break;
    }
    if (!whole || head.num_iovas > room) {
        warn("%s: it has %" PRIu32 " ranges, for which it was given no room", path, head.num_iovas);
        return false;
    }
    head.allowed_iovas = 0; /* the pointer is nobody's business */
    *header = answer(&head, sizeof(head), path);
    *ranges = answer(array, head.num_iovas * (size_t)IOVAGEOM_IOMMUFD_RANGE_SIZE, path);
    return true;
}

static void ask_hardware(struct group *group, int iommufd, uint32_t device)
{
    const char *path = text("IOMMU_GET_HW_INFO of group %s", group->name);
    uint64_t registers[32] = {0};
    uint32_t header[HW_INFO_SIZE / sizeof(uint32_t)] = {HW_INFO_SIZE, 0, device, sizeof(registers)};
    uint64_t pointer = (uintptr_t)registers;

    memcpy(&header[4], &pointer, sizeof(pointer));
    if (ioctl(iommufd, IOMMUFD_HW_INFO, header) != 0) {
        (void)failed(group, "IOMMU_GET_HW_INFO");
        return;
    }
    memset(&header[4], 0, sizeof(pointer));
    group->answers.hw_header = answer(header, sizeof(header), path);
    group->answers.hw_data =
        answer(registers, header[3] < sizeof(registers) ? header[3] : sizeof(registers), path);
}

static bool ask_device(struct group *group, int iommufd, int fd)
{
    struct bind_iommufd bind = {sizeof(bind), 0, iommufd, 0};
    struct ioas_alloc ioas = {sizeof(ioas), 0, 0};
    struct attach_iommufd attach = {sizeof(attach), 0, 0};
    struct answers *answers = &group->answers;

    if (ioctl(fd, VFIO_BIND_IOMMUFD, &bind) != 0)
        return failed(group, "VFIO_DEVICE_BIND_IOMMUFD");
    ask_hardware(group, iommufd, bind.out_devid);
    if (ioctl(iommufd, IOMMUFD_IOAS_ALLOC, &ioas) != 0)
        return failed(group, "IOMMU_IOAS_ALLOC");
    if (!ask_ranges(group, iommufd, ioas.out_ioas_id, &answers->empty_header,
                    &answers->empty_ranges))
        return false;
    attach.pt_id = ioas.out_ioas_id;
    if (ioctl(fd, VFIO_ATTACH, &attach) != 0)
        return failed(group, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
    return ask_ranges(group, iommufd, ioas.out_ioas_id, &answers->attached_header,
                      &answers->attached_ranges);
}

/* Kernels before 6.6 have no such files, so that is no reason for words. */
static void ask_iommufd(struct group *group, const struct device *device)
{
    char **names = list_directory(
        text("/sys/kernel/iommu_groups/%s/devices/%s/vfio-dev", group->name, device->address),
        &group->faults);
    int iommufd;
    int fd;

    if (names == NULL || names[0] == NULL || access("/dev/iommu", F_OK) != 0)
        return;
    iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
    if (iommufd < 0) {
        (void)failed(group, "/dev/iommu");
        return;
    }
    fd = open(text("/dev/vfio/devices/%s", names[0]), O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        (void)ask_device(group, iommufd, fd);
        (void)close(fd);
    } else if (errno != ENOENT) {
        (void)failed(group, text("/dev/vfio/devices/%s", names[0]));
    }
    (void)close(iommufd);
}

void host_ask(struct host *host)
{
    for (size_t i = 0; i < host->group_count; i++) {
        struct group *group = &host->groups[i];

        for (size_t k = 0; k < group->device_count; k++) {
            const struct device *device = group->devices[k];

            if (group_has_no_iommu(group) || !driver_is_vfio(device->driver))
                continue;
            ask_vfio(group);
            ask_iommufd(group, device);
            break;
        }
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "causes.h"

#include <string.h>

#define HYPERTRANSPORT_START 0xfd00000000
#define HYPERTRANSPORT_LAST  0xffffffffff

/* What a list of usable ranges leaves at its end is the width, not a region. */
static bool is_width(const struct obstacle *obstacle, const struct verdict *verdict)
{
    if (obstacle->kind == IOVAGEOM_FINDING_OUT_OF_APERTURE)
        return true;
    return obstacle->kind == IOVAGEOM_FINDING_RESERVED &&
           obstacle->type == IOVAGEOM_RESV_RESERVED && obstacle->whole.last == UINT64_MAX &&
           verdict->knows_width && obstacle->whole.start > verdict->aperture.last;
}

enum obstacle_class obstacle_class(const struct obstacle *obstacle, const struct verdict *verdict)
{
    if (is_width(obstacle, verdict))
        return BEYOND_WIDTH;
    if (obstacle->kind == IOVAGEOM_FINDING_ALIGNMENT)
        return NOT_ALIGNED;
    if (obstacle->kind != IOVAGEOM_FINDING_RESERVED)
        return NOTHING_MAPS;
    switch (obstacle->type) {
    case IOVAGEOM_RESV_MSI:
        return IN_MSI;
    case IOVAGEOM_RESV_SOFTWARE_MSI:
        return IN_SOFTWARE_MSI;
    case IOVAGEOM_RESV_DIRECT:
        return IN_DIRECT;
    default:
        return obstacle->whole.start == HYPERTRANSPORT_START &&
                       obstacle->whole.last == HYPERTRANSPORT_LAST
                   ? IN_HYPERTRANSPORT
                   : IN_RESERVED;
    }
}

/* "[0xfee00000,0xfee00fff] (of [0xfee00000,0xfeefffff])" */
static const char *where(const struct obstacle *obstacle)
{
    const char *part = range_text(obstacle->part);

    if (iovageom_range_equal(obstacle->part, obstacle->whole))
        return part;
    return text("%s (of %s)", part, range_text(obstacle->whole));
}

const char *obstacle_text(const struct obstacle *obstacle, const struct verdict *verdict)
{
    const char *who = obstacle->sources;

    switch (obstacle_class(obstacle, verdict)) {
    case BEYOND_WIDTH:
        return text("%s is beyond the %u bits that its IOMMU translates, says %s",
                    range_text(obstacle->part), verdict->bits, who);
    case IN_MSI:
        return text("%s is reserved (msi: writes there are interrupts), says %s", where(obstacle),
                    who);
    case IN_SOFTWARE_MSI:
        return text("%s is reserved (software-msi: Linux puts the doorbells of interrupts there), "
                    "says %s",
                    where(obstacle), who);
    case IN_DIRECT:
        return text("%s is reserved (direct: firmware uses it itself), says %s", where(obstacle),
                    who);
    case IN_HYPERTRANSPORT:
        return text("%s is reserved (AMD's processors keep it for HyperTransport), says %s",
                    where(obstacle), who);
    case NOT_ALIGNED:
        return text("%s does not begin and end at multiples of %s, its smallest page",
                    range_text(obstacle->part),
                    size_text((struct iovageom_size){0, obstacle->granule}));
    case NOTHING_MAPS:
        return "it maps pages of no size";
    default:
        return text("%s is reserved, says %s", where(obstacle), who);
    }
}

const char *obstacle_since(enum obstacle_class class)
{
    switch (class) {
    case BEYOND_WIDTH:
        return "VFIO answers EINVAL since Linux 5.4, and iommufd always did; before, the IOMMU's "
               "driver refused it, Intel's with EFAULT";
    case IN_DIRECT:
        return "Linux 6.6 and later gives a device with a direct region to nobody (EINVAL); "
               "before, Intel's driver did so (EPERM)";
    case NOT_ALIGNED:
        return "every Linux answers EINVAL";
    case NOTHING_MAPS:
        return NULL;
    default:
        return "VFIO answers EINVAL since Linux 5.4, and iommufd always did; before, it was "
               "mapped, and what a device wrote there did not arrive";
    }
}

const char direct_remedy[] =
    "look in the firmware's setup for pre-boot DMA protection, or for the emulation that the "
    "management controller or a USB keyboard needs; switch it off, or update the firmware";

size_t obstacle_remedies(const struct obstacle *obstacle, const struct verdict *verdict,
                         const char *out[4])
{
    unsigned bits = verdict->bits;
    size_t count = 0;

    switch (obstacle_class(obstacle, verdict)) {
    case BEYOND_WIDTH:
        out[count++] =
            text("if a BAR of the guest is there, let its firmware place BARs lower: QEMU -cpu "
                 "host,host-phys-bits-limit=%u; libvirt <maxphysaddr mode='passthrough' "
                 "limit='%u'/> (since 9.3.0); cloud-hypervisor --cpus max_phys_bits=%u. QEMU goes "
                 "on without "
                 "that mapping: only DMA of other devices to the BAR is lost",
                 bits, bits, bits);
        out[count++] = "if RAM is there, the guest has more than fits: the command show says "
                       "how much does";
        out[count++] = text("behind a virtual IOMMU, the guest has to be told: QEMU "
                            "-device intel-iommu,aw-bits=%u or virtio-iommu-pci,aw-bits=%u",
                            bits, bits);
        break;
    case IN_HYPERTRANSPORT:
        out[count++] = "QEMU 7.1 and later puts RAM that would lie there above 1T, if the guest's "
                       "CPU is AMD's and has at least 41 bits of physical addresses";
        out[count++] = "else give the guest less than 1011G of RAM, or a memory layout without it";
        break;
    case IN_DIRECT:
        out[count++] = direct_remedy;
        break;
    case IN_SOFTWARE_MSI:
        out[count++] = "keep RAM and BARs of the guest away from there: QEMU's virt machine has "
                       "its RAM from 1G on";
        break;
    case NOT_ALIGNED:
        out[count++] = obstacle->granule > 4096
                           ? "map larger pages: a guest with as large pages, or QEMU "
                             "-device virtio-iommu-pci,granule=host"
                           : "the VMM has to map whole pages: this is a fault of its own";
        break;
    case IN_MSI:
    case IN_RESERVED:
        out[count++] = "keep RAM and BARs of the guest away from there; behind a virtual IOMMU, "
                       "the guest has to be told of it";
        break;
    default:
        break;
    }
    return count;
}

static const char *const causes_einval[] = {
    "the memory's address in the VMM, or the size, is no multiple of the host's page",
    "VFIO_SET_IOMMU was not called yet: a container without a device maps nothing",
    "the device shares its container with another one that maps less: name that one, too",
    "neither reading nor writing was asked for, or the size is 0",
    "the device was attached while something was mapped where it reserves addresses",
    NULL};
static const char *const causes_efault[] = {
    "the memory can't be pinned: it is a BAR (iommufd takes BARs since Linux 6.19, by a dma-buf), "
    "or is loaded on demand (userfaultfd, as after a snapshot or post-copy), or its file was cut",
    "the memory's address in the VMM is not mapped there, or only for reading",
    "Linux before 5.4, Intel: the address is beyond the IOMMU's width", NULL};
static const char *const causes_eexist[] = {
    "something is mapped there already: the same memory twice, or two devices of one container, "
    "of which each brought the guest's RAM along",
    NULL};
static const char *const causes_enomem[] = {
    "the memory that the VMM may lock is used up (see dmesg for RLIMIT_MEMLOCK): all RAM of the "
    "guest is pinned, by VFIO once for each container, by iommufd once. Raise it: ulimit -l, "
    "LimitMEMLOCK= of systemd, <memtune><hard_limit> of libvirt",
    "the host, or the VMM's cgroup, is out of memory", NULL};
static const char *const causes_enospc[] = {
    "the mappings that a container may have are used up: raise dma_entry_limit of "
    "vfio_iommu_type1 (65535), or map larger pieces",
    NULL};
static const char *const causes_eperm[] = {
    "interrupts are not remapped, and allow_unsafe_interrupts is not set",
    "firmware has a direct region for the device (Intel, Linux before 6.6)", NULL};
static const char *const causes_eaddrinuse[] = {
    "iommufd: something is mapped where the device that is to be attached reserves addresses",
    NULL};
static const char *const causes_eopnotsupp[] = {
    "the memory is of a kind that can't be pinned for long (a file of a DAX file system)", NULL};
static const char *const causes_eoverflow[] = {"the range would end above 2^64-1", NULL};
static const char *const causes_ebusy[] = {
    "the device, or another one of its group, is in the hands of another program or driver", NULL};
static const char *const causes_any[] = {
    "EINVAL: no multiple of the page, or VFIO_SET_IOMMU was not called yet",
    "EFAULT: the memory can't be pinned",
    "EEXIST: something is mapped there already",
    "ENOMEM: the memory that the VMM may lock is used up (RLIMIT_MEMLOCK)",
    "ENOSPC: the mappings that a container may have are used up (dma_entry_limit)",
    NULL};

static const char *const causes_unmap[] = {
    "EINVAL, VFIO: the range cuts a mapping in two, of which only the whole can be undone; or it "
    "is no "
    "multiple of the page",
    "ENOENT, iommufd: nothing is mapped there, or the range cuts a mapping in two",
    "EBUSY: a driver in the host (of a mediated device) still has the memory", NULL};

const char *const *other_causes(int error, bool unmap)
{
    static const struct {
        int error;
        const char *const *causes;
    } known[] = {
        {0, causes_any},        {1, causes_eperm},       {12, causes_enomem},
        {13, causes_eperm},     {14, causes_efault},     {16, causes_ebusy},
        {17, causes_eexist},    {22, causes_einval},     {28, causes_enospc},
        {75, causes_eoverflow}, {95, causes_eopnotsupp}, {98, causes_eaddrinuse},
    };

    if (unmap)
        return causes_unmap;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].error == error)
            return known[i].causes;
    }
    return NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What VMMs, libvirt and the kernel say when a device, its group or a guest is refused before
 * anything is mapped. Which errno goes with it is read like that of any line.
 */

#include <string.h>

#include "vmmline.h"

static const char vmm[] = "the VMM";
static const char qemu[] = "QEMU";

/* A line that has the words, and the other ones, too. The first that fits counts. */
static const struct {
    const char *words;
    const char *also; /* NULL for nothing */
    const char *speaker;
    enum vmm_setup setup;
    int error; /* that goes with it without being said; 0 for none */
} forms[] = {
    /* From the most particular on: QEMU puts one before the other. */
    {"> host aw-bits", "aw-bits", qemu, SETUP_AW_BITS, 0},
    {"phys-bits too low", NULL, qemu, SETUP_PHYS_BITS, 0},
    {"larger than system page size", "granule", "Linux (virtio-iommu)", SETUP_GRANULE, 0},
    {"virtio-iommu", "incompatible with", qemu, SETUP_MASK, 0},
    {"received unaligned region", NULL, qemu, SETUP_UNALIGNED, 0},
    {"peer-to-peer transactions on BARs are not supported", NULL, qemu, SETUP_PEER, 0},
    {"DMA PTE for vPFN", "already set", "Linux (Intel)", SETUP_TWICE, 0},
    {"exceeding limits of current DMA mask", NULL, "DPDK", SETUP_DMA_MASK, 0},
    {"used in multiple address spaces", "group", qemu, SETUP_SPACES, 0},
    {"which is not owned", "reset", qemu, SETUP_RESET, 0},
    {"group is not viable", NULL, vmm, SETUP_VIABLE, 0},
    {"is not viable", "group ", qemu, SETUP_VIABLE, 0},
    {"bound to their vfio bus driver", NULL, qemu, SETUP_VIABLE, 0},
    {"group is inviable", NULL, vmm, SETUP_VIABLE, 0},
    {"GroupViable", NULL, vmm, SETUP_VIABLE, 0},
    {"devices not bound to vfio", "group", vmm, SETUP_VIABLE, 0},
    {"no iommu_group found", NULL, qemu, SETUP_NO_GROUP, 0},
    {"IOMMU not present", NULL, "Proxmox VE", SETUP_NO_GROUP, 0},
    {"support passthrough of host PCI devices", NULL, "libvirt", SETUP_NO_GROUP, 0},
    {"support VFIO PCI passthrough", NULL, "libvirt", SETUP_NO_GROUP, 0},
    {"vfio-pci failed with error -22", NULL, "Linux (VFIO)", SETUP_NO_GROUP, 0},
    {"failed with error -22", "vfio-pci: probe of", "Linux (VFIO)", SETUP_NO_GROUP, 0},
    {"VfioNoIommuGroup", NULL, vmm, SETUP_NO_GROUP, 0},
    {"is in use by driver", "PCI device", "libvirt", SETUP_TAKEN, 0},
    {"already in use by VMID", "PCI device", "Proxmox VE", SETUP_TAKEN, 0},
    {"set iommu for container", NULL, qemu, SETUP_IOMMU, 0},
    {"set container's IOMMU driver type", NULL, vmm, SETUP_IOMMU, 0},
    {"ContainerSetIOMMU", NULL, vmm, SETUP_IOMMU, 0},
    {"VFIO_SET_IOMMU", NULL, vmm, SETUP_IOMMU, 0},
    {"set IOMMU type", "EAL:", vmm, SETUP_IOMMU, 0},
    {"select IOMMU type", "EAL:", vmm, SETUP_IOMMU, 0},
    {"No available IOMMU models", NULL, qemu, SETUP_IOMMU, 19},
    {"No interrupt remapping support", "allow_unsafe_interrupts", "Linux (VFIO)", SETUP_IOMMU, 1},
    {"set group container", NULL, qemu, SETUP_JOIN, 0},
    {"vfio group into vfio container", NULL, vmm, SETUP_JOIN, 0},
    {"GroupSetContainer", NULL, vmm, SETUP_JOIN, 0},
    {"VFIO_GROUP_SET_CONTAINER", NULL, vmm, SETUP_JOIN, 0},
    {"add VFIO group to container", NULL, vmm, SETUP_JOIN, 0},
    {"error getting device from group", NULL, qemu, SETUP_DEVICE, 0},
    {"are bound to vfio-<bus>", "group", qemu, SETUP_DEVICE, 0},
    {"get vfio device fd", NULL, vmm, SETUP_DEVICE, 0},
    {"GroupGetDeviceFD", NULL, vmm, SETUP_DEVICE, 0},
    {"VFIO_GROUP_GET_DEVICE_FD", NULL, vmm, SETUP_DEVICE, 0},
    {"error bind device fd", "iommufd", qemu, SETUP_BIND, 0},
    {"VFIO_DEVICE_BIND_IOMMUFD", NULL, vmm, SETUP_BIND, 0},
    {"error attach", "to id=", qemu, SETUP_ATTACH, 0},
    {"VFIO_DEVICE_ATTACH_IOMMUFD_PT", NULL, vmm, SETUP_ATTACH, 0},
    {"drivers/vfio-pci/bind", NULL, vmm, SETUP_DRIVER, 0},
    {"/vfio-dev", "open directory", qemu, SETUP_CDEV, 0},
    {"/dev/vfio/devices/", "open", vmm, SETUP_CDEV, 0},
    {"/dev/iommu", "open", vmm, SETUP_IOMMUFD, 0},
    {"/dev/vfio/vfio", "open", vmm, SETUP_CONTAINER, 0},
    {"OpenContainer", NULL, vmm, SETUP_CONTAINER, 0},
    {"/dev/vfio/", "open", vmm, SETUP_OPEN, 0},
    {"/dev/vfio/", "does not exist", vmm, SETUP_OPEN, 0},
    {"open VFIO group", NULL, vmm, SETUP_OPEN, 0},
    {"OpenGroup", NULL, vmm, SETUP_OPEN, 0},
};

/* The name of a group at the start of what is left: "12", "noiommu-0". */
static bool take_group(const struct scan *rest, char group[GROUP_NAME_SIZE])
{
    struct scan at = *rest;
    size_t length = 0;
    const char *first;

    scan_pass(&at, " \t#'\":");
    first = at.at;
    (void)scan_take(&at, "noiommu-");
    while (scan_left(&at) > 0 && *at.at >= '0' && *at.at <= '9')
        at.at++;
    length = (size_t)(at.at - first);
    if (length == 0 || length >= GROUP_NAME_SIZE || at.at[-1] == '-' ||
        (scan_left(&at) > 0 && scan_is_word(*at.at)))
        return false;
    memcpy(group, first, length);
    group[length] = '\0';
    return true;
}

static void find_group(const struct scan *line, char group[GROUP_NAME_SIZE])
{
    /* The last is how Rust writes OpenGroup(Os { ... }, "12"). */
    static const char *const before[] = {"/dev/vfio/", "group", "group ID", "}, "};

    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        struct scan rest = *line;

        while (scan_find(&rest, before[i], &rest)) {
            if (take_group(&rest, group))
                return;
        }
    }
}

/* The numbers behind two words, if they are there. */
static void take_numbers(const struct scan *line, const char *first, const char *second,
                         struct vmm_line *out)
{
    struct scan at;

    if (!scan_find(line, first, &at) || !scan_number(&at, &out->asked))
        out->asked = 0;
    if (!scan_find(line, second, &at) || !scan_number(&at, &out->given))
        out->given = 0;
}

static void read_numbers(const struct scan *line, struct vmm_line *out)
{
    struct scan at;

    switch (out->setup) {
    case SETUP_AW_BITS:
        take_numbers(line, "aw-bits", "> host aw-bits", out);
        break;
    case SETUP_PHYS_BITS:
        /* "Address space limit 0x7fffffffff < 0x807fffffff phys-bits too low (39)" */
        take_numbers(line, " < ", "too low (", out);
        break;
    case SETUP_TWICE:
        if (scan_find(line, "vPFN", &at) && scan_hex(&at, &out->asked))
            out->asked = out->asked < 1ULL << 52 ? out->asked << 12 : 0;
        break;
    case SETUP_GRANULE:
        take_numbers(line, "granule", "system page size", out);
        break;
    case SETUP_MASK:
        /* "page mask 0xfffffffffffff000 is incompatible with mask 0x20010000" */
        if (!scan_find(line, "incompatible", &at))
            break;
        take_numbers(line, "mask", "mask", out);
        if (!scan_find(&at, "mask", &at) || !scan_number(&at, &out->given))
            out->given = 0;
        break;
    default:
        break;
    }
}

bool vmm_line_setup(const struct scan *line, struct vmm_line *out)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!scan_has(line, forms[i].words) ||
            (forms[i].also != NULL && !scan_has(line, forms[i].also)))
            continue;
        out->kind = VMM_LINE_SETUP;
        out->setup = forms[i].setup;
        out->speaker = scan_has(line, "EAL:") ? "DPDK"
                       : forms[i].speaker == vmm && scan_has(line, "qemu-system")
                           ? qemu
                           : forms[i].speaker;
        out->error = forms[i].error;
        find_group(line, out->group);
        read_numbers(line, out);
        return true;
    }
    return false;
}

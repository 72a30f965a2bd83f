/* SPDX-License-Identifier: BSD-3-Clause */

/* A machine's sysfs: groups, their devices, and the IOMMUs' registers. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "host.h"

/* A number as sysfs prints it ("0x8086"); false when the file is not there. */
static bool read_number(const char *path, unsigned *number, struct faults *faults)
{
    const char *line = read_line(path, faults);
    char *end;

    if (line == NULL)
        return false;
    *number = (unsigned)strtoul(line, &end, 16);
    if (end == line || *end != '\0') {
        fault(faults, "%s: not a number", path);
        return false;
    }
    return true;
}

/*
 * What a device is called by those who use it: its label, or the first interface it has. That it
 * can't be read changes nothing that is said of the group.
 */
static const char *provided_name(const char *directory)
{
    static const char *const classes[] = {"net", "nvme", "drm", "infiniband"};
    struct faults ignored = {NULL, 0, 0};
    const char *label = read_line(text("%s/label", directory), &ignored);

    for (size_t i = 0; label == NULL && i < sizeof(classes) / sizeof(classes[0]); i++) {
        char **names = list_directory(text("%s/%s", directory, classes[i]), &ignored);

        if (names != NULL && names[0] != NULL)
            label = names[0];
    }
    return label != NULL ? printable(label) : NULL;
}

/* The name of a driver is the end of a link, and a link of a captured machine may be any. */
static const char *read_link(const char *path, struct faults *faults)
{
    const char *name = link_name(path);

    return name != NULL && well_named(path, name, faults) ? name : NULL;
}

static void read_device(struct device *device, const char *directory, struct faults *faults)
{
    const char *unit = read_link(text("%s/iommu", directory), faults);
    /* Without it all is said but what plan would assume by itself. */
    struct faults ignored = {.words = NULL};
    struct blob resource;

    device->pci = read_number(text("%s/vendor", directory), &device->vendor, faults) &&
                  read_number(text("%s/device", directory), &device->device, faults) &&
                  read_number(text("%s/class", directory), &device->class_code, faults);
    /* A copy of sysfs may have the groups alone, with links to devices that are not in it. */
    device->driver = device->pci || list_directory(directory, &ignored) != NULL
                         ? read_link(text("%s/driver", directory), faults)
                         : NULL;
    device->name = provided_name(directory);
    device->unit = unit != NULL && *unit != '\0' ? unit : NULL;
    resource = read_file(text("%s/resource", directory), &ignored);
    device->bars.count = 0;
    if (resource.there)
        bars_of_resource(&device->bars, (const char *)resource.bytes);
}

static void read_live_groups(struct host *host, const char *sys)
{
    char *root = text("%s/kernel/iommu_groups", sys);
    char **names = list_directory(root, &host->faults);

    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        char *directory = text("%s/%s", root, names[i]);
        struct group *group;
        char **addresses;

        if (!well_named(root, names[i], &host->faults))
            continue;
        group = host_add_group(host, root, names[i]);
        if (group == NULL)
            break;
        addresses = list_directory(text("%s/devices", directory), &group->faults);
        group->type = read_name(text("%s/type", directory), &group->faults);
        group->title = read_name(text("%s/name", directory), &group->faults);
        group->reserved_regions = read_file(text("%s/reserved_regions", directory), &group->faults);
        for (size_t k = 0; addresses != NULL && addresses[k] != NULL; k++) {
            struct device *device;

            if (!well_named(directory, addresses[k], &group->faults))
                continue;
            device = host_device(host, addresses[k]);
            read_device(device, text("%s/devices/%s", directory, addresses[k]), &group->faults);
            group_add(group, device);
        }
    }
}

/* Registers stand below class/iommu/dmar0/intel-iommu, or class/iommu/ivhd0/amd-iommu. */
static void read_live_unit(struct unit *unit, const char *directory)
{
    static const char *const folders[] = {"intel-iommu", "amd-iommu"};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char **files = list_directory(text("%s/%s", directory, folders[i]), &unit->faults);

        for (size_t k = 0; files != NULL && files[k] != NULL; k++) {
            struct blob blob;

            if (unit->attribute_count == MOST_ATTRIBUTES)
                break;
            blob = read_file(text("%s/%s/%s", directory, folders[i], files[k]), &unit->faults);

            unit->attributes =
                keep_grown(unit->attributes, unit->attribute_count, sizeof(*unit->attributes));
            unit->attributes[unit->attribute_count++] = (struct attribute){files[k], blob};
        }
    }
    unit->devices = list_directory(text("%s/devices", directory), &unit->faults);
}

void host_read_sys(struct host *host, const char *sys)
{
    char **names;

    read_live_groups(host, sys);
    names = list_directory(text("%s/bus/pci/devices", sys), &host->faults);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        struct device *device;

        if (!well_named(sys, names[i], &host->faults))
            continue;
        device = host_device(host, names[i]);
        if (device->group == NULL)
            read_device(device, text("%s/bus/pci/devices/%s", sys, names[i]), &host->faults);
    }
    names = list_directory(text("%s/class/iommu", sys), &host->faults);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        struct unit *unit;

        if (!well_named(sys, names[i], &host->faults))
            continue;
        unit = host_add_unit(host, text("%s/class/iommu", sys), names[i]);
        if (unit == NULL)
            break;
        read_live_unit(unit, text("%s/class/iommu/%s", sys, names[i]));
    }
}

void host_read_live(struct host *host, const char *sysroot)
{
    struct utsname kernel;

    *host = (struct host){.path = "", .live = *sysroot == '\0'};
    host_read_sys(host, text("%s/sys", sysroot));
    if (host->live && uname(&kernel) == 0)
        /* As uname -a has it, but for the name of the machine, which is nobody's business. */
        host->kernel = text("%s (none) %s %s %s", kernel.sysname, kernel.release, kernel.version,
                            kernel.machine);
}

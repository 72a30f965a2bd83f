/* SPDX-License-Identifier: BSD-3-Clause */

/* A machine's sysfs: groups, their devices, and the IOMMUs' registers. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "host.h"

/* A number as sysfs prints it ("0x8086"); false when the file is not there. */
static bool read_number(const char *path, unsigned *number)
{
    const char *line = read_line(path);
    char *end;

    if (line == NULL)
        return false;
    *number = (unsigned)strtoul(line, &end, 16);
    if (end == line || *end != '\0')
        die(EXIT_BAD_INPUT, "%s: not a number", path);
    return true;
}

/* What a device is called by those who use it: its label, or the first interface it has. */
static const char *provided_name(const char *directory)
{
    static const char *const classes[] = {"net", "nvme", "drm", "infiniband"};
    const char *label = read_line(text("%s/label", directory));

    for (size_t i = 0; label == NULL && i < sizeof(classes) / sizeof(classes[0]); i++) {
        char **names = list_directory(text("%s/%s", directory, classes[i]));

        if (names != NULL && names[0] != NULL)
            label = names[0];
    }
    return label;
}

static void read_device(struct device *device, const char *directory)
{
    const char *driver = link_name(text("%s/driver", directory));

    device->pci = read_number(text("%s/vendor", directory), &device->vendor) &&
                  read_number(text("%s/device", directory), &device->device) &&
                  read_number(text("%s/class", directory), &device->class_code);
    device->driver = driver != NULL ? driver : "";
    device->name = provided_name(directory);
    device->unit = link_name(text("%s/iommu", directory));
}

static void read_live_groups(struct host *host, const char *sys)
{
    char *root = text("%s/kernel/iommu_groups", sys);
    char **names = list_directory(root);

    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        char *directory = text("%s/%s", root, names[i]);
        char **addresses = list_directory(text("%s/devices", directory));
        struct group *group;

        host->groups = keep_grown(host->groups, host->group_count, sizeof(*host->groups));
        group = &host->groups[host->group_count++];
        group->name = names[i];
        group->type = read_line(text("%s/type", directory));
        group->reserved_regions = read_file(text("%s/reserved_regions", directory));
        for (size_t k = 0; addresses != NULL && addresses[k] != NULL; k++) {
            struct device *device = host_device(host, addresses[k]);

            read_device(device, text("%s/devices/%s", directory, addresses[k]));
            group_add(group, device);
        }
    }
}

/* Registers stand below class/iommu/dmar0/intel-iommu, or class/iommu/ivhd0/amd-iommu. */
static void read_live_unit(struct unit *unit, const char *directory)
{
    static const char *const folders[] = {"intel-iommu", "amd-iommu"};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char **files = list_directory(text("%s/%s", directory, folders[i]));

        for (size_t k = 0; files != NULL && files[k] != NULL; k++) {
            struct blob blob = read_file(text("%s/%s/%s", directory, folders[i], files[k]));

            unit->attributes =
                keep_grown(unit->attributes, unit->attribute_count, sizeof(*unit->attributes));
            unit->attributes[unit->attribute_count++] = (struct attribute){files[k], blob};
        }
    }
    unit->devices = list_directory(text("%s/devices", directory));
}

void host_read_live(struct host *host, const char *sysroot)
{
    char *sys = text("%s/sys", sysroot);
    char **names;
    struct utsname kernel;

    *host = (struct host){.path = "", .live = *sysroot == '\0'};
    read_live_groups(host, sys);
    names = list_directory(text("%s/bus/pci/devices", sys));
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        struct device *device = host_device(host, names[i]);

        if (device->group == NULL)
            read_device(device, text("%s/bus/pci/devices/%s", sys, names[i]));
    }
    names = list_directory(text("%s/class/iommu", sys));
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        host->units = keep_grown(host->units, host->unit_count, sizeof(*host->units));
        host->units[host->unit_count] = (struct unit){.name = names[i]};
        read_live_unit(&host->units[host->unit_count++], text("%s/class/iommu/%s", sys, names[i]));
    }
    if (host->live && uname(&kernel) == 0)
        host->kernel = text("%s %s %s %s %s", kernel.sysname, kernel.nodename, kernel.release,
                            kernel.version, kernel.machine);
}

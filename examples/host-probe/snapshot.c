/* SPDX-License-Identifier: BSD-3-Clause */

/* A captured host as files: read and written. The form is described in docs/snapshot.md. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

struct device *host_device(struct host *host, const char *address)
{
    struct device *device;

    for (size_t i = 0; i < host->device_count; i++) {
        if (strcmp(host->devices[i]->address, address) == 0)
            return host->devices[i];
    }
    device = keep(sizeof(*device));
    device->address = text("%s", address);
    host->devices = keep_grown(host->devices, host->device_count, sizeof(*host->devices));
    host->devices[host->device_count++] = device;
    return device;
}

struct group *host_group(const struct host *host, const char *name)
{
    for (size_t i = 0; i < host->group_count; i++) {
        if (strcmp(host->groups[i].name, name) == 0)
            return &host->groups[i];
    }
    return NULL;
}

void group_add(struct group *group, struct device *device)
{
    group->devices = keep_grown(group->devices, group->device_count, sizeof(*group->devices));
    group->devices[group->device_count++] = device;
    device->group = group->name;
}

struct blob unit_attribute(const struct unit *unit, const char *name)
{
    for (size_t i = 0; i < unit->attribute_count; i++) {
        if (strcmp(unit->attributes[i].name, name) == 0)
            return unit->attributes[i].blob;
    }
    return (struct blob){.there = false};
}

/* The files of struct answers, in its order. */
static const char *const answer_files[] = {
    "vfio_iommu_get_info.first.bin",
    "vfio_iommu_get_info.bin",
    "ioas_iova_ranges.empty.hdr.bin",
    "ioas_iova_ranges.empty.ranges.bin",
    "ioas_iova_ranges.attached.hdr.bin",
    "ioas_iova_ranges.attached.ranges.bin",
    "hw_info.hdr.bin",
    "hw_info.data.bin",
};

#define ANSWER_COUNT (sizeof(answer_files) / sizeof(answer_files[0]))

static struct blob *answer_blob(struct answers *answers, size_t index)
{
    struct blob *blobs[ANSWER_COUNT] = {
        &answers->vfio_first,      &answers->vfio,
        &answers->empty_header,    &answers->empty_ranges,
        &answers->attached_header, &answers->attached_ranges,
        &answers->hw_header,       &answers->hw_data,
    };

    return blobs[index];
}

static struct answers read_answers(const char *path)
{
    struct answers answers = {{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}};

    for (size_t i = 0; i < ANSWER_COUNT; i++)
        *answer_blob(&answers, i) = read_file(text("%s/%s", path, answer_files[i]));
    return answers;
}

static bool any_answer(struct answers answers)
{
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        if (answer_blob(&answers, i)->there)
            return true;
    }
    return false;
}

/* A name as the kernel gives them, so that nothing else reaches a terminal. */
static const char *checked(const char *path, const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        if (isalnum((unsigned char)*at) == 0 && strchr(":._-+@,", *at) == NULL)
            die(EXIT_BAD_INPUT, "%s: a name with a character that no name has", path);
    }
    return name;
}

/* "0000:00:01.0 0x1234 0x11e8 0x00ff00 group=1 driver=vfio-pci" */
static void read_pci_line(struct host *host, const char *path, size_t number, const char *line)
{
    char address[64];
    char group[32] = "";
    char driver[64] = "";
    unsigned ids[3];
    int end = -1;
    struct device *device;

    /* An empty word after = is no word for scanf, so each end is tried. */
    if (sscanf(line, "%63s %x %x %x group=%n", address, &ids[0], &ids[1], &ids[2], &end) != 4 ||
        end < 0)
        die(EXIT_BAD_INPUT, "%s:%zu: not a line of a PCI device", path, number);
    line += end;
    if (*line != ' ' && *line != '\0' && sscanf(line, "%31s%n", group, &end) == 1)
        line += end;
    if (strncmp(line, " driver=", 8) != 0)
        die(EXIT_BAD_INPUT, "%s:%zu: not a line of a PCI device", path, number);
    (void)sscanf(line + 8, "%63s", driver);
    device = host_device(host, checked(path, address));
    device->pci = true;
    device->vendor = ids[0];
    device->device = ids[1];
    device->class_code = ids[2];
    device->driver = text("%s", checked(path, driver));
    if (*group != '\0' && (device->group == NULL || strcmp(device->group, group) != 0))
        die(EXIT_BAD_INPUT, "%s:%zu: group %s does not list this device", path, number, group);
}

static void read_groups(struct host *host, const char *path)
{
    char *root = text("%s/sysfs/iommu_groups", path);
    char **names = list_directory(root);

    if (names == NULL)
        die(EXIT_BAD_INPUT, "%s: no such directory, so that is no snapshot", root);
    for (size_t i = 0; names[i] != NULL; i++) {
        char *directory = text("%s/%s", root, names[i]);
        struct blob devices = read_file(text("%s/devices", directory));
        char **addresses = lines_of(&devices);
        struct group *group;

        if (!devices.there)
            die(EXIT_BAD_INPUT, "%s: no such file", devices.path);
        host->groups = keep_grown(host->groups, host->group_count, sizeof(*host->groups));
        group = &host->groups[host->group_count++];
        group->name = checked(root, names[i]);
        group->type = read_line(text("%s/type", directory));
        if (group->type != NULL)
            (void)checked(text("%s/type", directory), group->type);
        group->reserved_regions = read_file(text("%s/reserved_regions", directory));
        for (size_t k = 0; addresses[k] != NULL; k++) {
            struct device *device = host_device(host, checked(devices.path, addresses[k]));

            if (device->group != NULL)
                die(EXIT_BAD_INPUT, "%s: %s is in group %s already", devices.path, device->address,
                    device->group);
            group_add(group, device);
        }
        group->answers = read_answers(text("%s/groups/%s", path, names[i]));
    }
}

static void read_units(struct host *host, const char *path)
{
    char *root = text("%s/sysfs/class_iommu", path);
    char **names = list_directory(root);

    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        char *directory = text("%s/%s", root, names[i]);
        char **files = list_directory(directory);
        struct unit *unit;

        host->units = keep_grown(host->units, host->unit_count, sizeof(*host->units));
        unit = &host->units[host->unit_count++];
        unit->name = checked(root, names[i]);
        for (size_t k = 0; files != NULL && files[k] != NULL; k++) {
            struct blob blob = read_file(text("%s/%s", directory, files[k]));

            if (strcmp(files[k], "devices") == 0) {
                unit->devices = lines_of(&blob);
                continue;
            }
            unit->attributes =
                keep_grown(unit->attributes, unit->attribute_count, sizeof(*unit->attributes));
            unit->attributes[unit->attribute_count++] = (struct attribute){files[k], blob};
        }
        for (size_t k = 0; unit->devices != NULL && unit->devices[k] != NULL; k++)
            host_device(host, checked(directory, unit->devices[k]))->unit = unit->name;
    }
}

/* Answers at the top belong to the group whose device VFIO had. */
static struct group *answering_group(const struct host *host)
{
    for (size_t i = 0; i < host->device_count; i++) {
        const struct device *device = host->devices[i];

        if (device->group != NULL && device->driver != NULL &&
            strncmp(device->driver, "vfio", 4) == 0)
            return host_group(host, device->group);
    }
    return host->group_count == 1 ? &host->groups[0] : NULL;
}

void host_read_snapshot(struct host *host, const char *path)
{
    struct blob pci;
    char **lines;
    struct answers answers;

    *host = (struct host){.path = text("%s", path)};
    read_groups(host, path);
    read_units(host, path);
    pci = read_file(text("%s/pci", path));
    lines = lines_of(&pci);
    for (size_t i = 0; lines[i] != NULL; i++)
        read_pci_line(host, pci.path, i + 1, lines[i]);
    host->kernel = read_line(text("%s/uname", path));
    answers = read_answers(path);
    if (any_answer(answers)) {
        struct group *group = answering_group(host);

        if (group == NULL)
            die(EXIT_BAD_INPUT, "%s: no device has a VFIO driver whose answers these could be",
                pci.there ? pci.path : path);
        if (any_answer(group->answers))
            die(EXIT_BAD_INPUT, "%s: the answers of group %s are there twice", path, group->name);
        group->answers = answers;
    }
}

static void save_blob(const struct blob *blob, const char *path)
{
    if (blob->there)
        write_file(path, blob->bytes, blob->length);
}

static void save_text(const char *path, const char *content)
{
    write_file(path, content, strlen(content));
}

static void save_group(const struct group *group, const char *path, bool at_the_top)
{
    char *directory = text("%s/sysfs/iommu_groups/%s", path, group->name);
    struct answers answers = group->answers;
    const char *devices = "";

    for (size_t i = 0; i < group->device_count; i++)
        devices = text("%s%s\n", devices, group->devices[i]->address);
    save_text(text("%s/devices", directory), devices);
    if (group->type != NULL)
        save_text(text("%s/type", directory), text("%s\n", group->type));
    save_blob(&group->reserved_regions, text("%s/reserved_regions", directory));
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        const char *place = at_the_top ? path : text("%s/groups/%s", path, group->name);

        save_blob(answer_blob(&answers, i), text("%s/%s", place, answer_files[i]));
    }
}

static void save_unit(const struct unit *unit, const char *path)
{
    char *directory = text("%s/sysfs/class_iommu/%s", path, unit->name);
    const char *devices = "";

    for (size_t i = 0; i < unit->attribute_count; i++)
        save_blob(&unit->attributes[i].blob, text("%s/%s", directory, unit->attributes[i].name));
    for (size_t i = 0; unit->devices != NULL && unit->devices[i] != NULL; i++)
        devices = text("%s%s\n", devices, unit->devices[i]);
    if (unit->devices != NULL)
        save_text(text("%s/devices", directory), devices);
}

static int compare_addresses(const void *a, const void *b)
{
    return strcmp((*(struct device *const *)a)->address, (*(struct device *const *)b)->address);
}

/* All PCI devices, in the order of their addresses. */
static void save_pci(const struct host *host, const char *path)
{
    struct device **devices = keep((host->device_count + 1) * sizeof(struct device *));
    const char *pci = "";

    if (host->device_count != 0)
        memcpy(devices, host->devices, host->device_count * sizeof(*devices));
    qsort(devices, host->device_count, sizeof(*devices), compare_addresses);
    for (size_t i = 0; i < host->device_count; i++) {
        const struct device *device = devices[i];

        if (device->pci)
            pci = text("%s%s 0x%04x 0x%04x 0x%06x group=%s driver=%s\n", pci, device->address,
                       device->vendor, device->device, device->class_code,
                       device->group != NULL ? device->group : "",
                       device->driver != NULL ? device->driver : "");
    }
    save_text(text("%s/pci", path), pci);
}

void host_save(const struct host *host, const char *path)
{
    struct group *top = answering_group(host);
    size_t answering = 0;

    if (list_directory(text("%s/sysfs", path)) != NULL)
        die(EXIT_BAD_INPUT, "%s/sysfs: there is a snapshot already", path);
    for (size_t i = 0; i < host->group_count; i++)
        answering += any_answer(host->groups[i].answers) ? 1 : 0;
    if (answering != 1 || !any_answer(top != NULL ? top->answers : host->groups[0].answers))
        top = NULL;
    for (size_t i = 0; i < host->group_count; i++)
        save_group(&host->groups[i], path, &host->groups[i] == top);
    for (size_t i = 0; i < host->unit_count; i++)
        save_unit(&host->units[i], path);
    save_pci(host, path);
    if (host->kernel != NULL)
        save_text(text("%s/uname", path), text("%s\n", host->kernel));
}

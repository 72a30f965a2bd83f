/* SPDX-License-Identifier: BSD-3-Clause */

/* A captured host as files: read and written. The form is described in docs/snapshot.md. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amounts.h"
#include "host.h"

#define MOST_GROUPS    16384
#define MOST_DEVICES   65536
#define MOST_UNITS     128

#define MOST_NOTES     20

#define UNKNOWN_DRIVER "?"

/* Before the notes of a group that Linux gives to nobody. */
#define DIRECT "direct"

struct device *host_device(struct host *host, const char *address)
{
    struct device *device;
    size_t number;

    if (lookup_find(&host->device_lookup, address, &number))
        return host->devices[number];
    if (host->device_count == MOST_DEVICES) {
        if (host->spare == NULL)
            fault(&host->faults, "%s: more than %d devices: the rest is left out", host->path,
                  MOST_DEVICES);
        if (host->spare == NULL)
            host->spare = keep(sizeof(*host->spare));
        *host->spare = (struct device){.address = "left out", .group = "left out"};
        return host->spare;
    }
    device = keep(sizeof(*device));
    device->address = text("%s", address);
    host->devices = keep_grown(host->devices, host->device_count, sizeof(*host->devices));
    lookup_add(&host->device_lookup, device->address, host->device_count);
    host->devices[host->device_count++] = device;
    return device;
}

struct group *host_group(const struct host *host, const char *name)
{
    size_t number;

    return lookup_find(&host->group_lookup, name, &number) ? &host->groups[number] : NULL;
}

struct group *host_find(const struct host *host, const char *name)
{
    struct group *group = host_group(host, name);
    char address[PCI_ADDRESS_SIZE];
    size_t length = strlen(name);

    if (length != 0 && pci_address(name, name + length, address) == length)
        name = address;
    for (size_t i = 0; i < host->device_count && group == NULL; i++) {
        const struct device *device = host->devices[i];

        if (device->group != NULL && strcasecmp(device->address, name) == 0)
            group = host_group(host, device->group);
    }
    return group;
}

struct group *host_add_group(struct host *host, const char *path, const char *name)
{
    struct group *group;

    if (host->group_count == MOST_GROUPS) {
        if (!host->groups_left)
            fault(&host->faults, "%s: more than %d groups: the rest is left out", path,
                  MOST_GROUPS);
        host->groups_left = true;
        return NULL;
    }
    host->groups = keep_grown(host->groups, host->group_count, sizeof(*host->groups));
    group = &host->groups[host->group_count];
    *group = (struct group){.name = text("%s", name), .assumed = strcmp(name, ANY_GROUP) == 0};
    lookup_add(&host->group_lookup, group->name, host->group_count++);
    return group;
}

struct unit *host_add_unit(struct host *host, const char *path, const char *name)
{
    struct unit *unit;

    if (host->unit_count == MOST_UNITS) {
        if (!host->units_left)
            fault(&host->faults, "%s: more than %d IOMMUs: the rest is left out", path, MOST_UNITS);
        host->units_left = true;
        return NULL;
    }
    host->units = keep_grown(host->units, host->unit_count, sizeof(*host->units));
    unit = &host->units[host->unit_count++];
    *unit = (struct unit){.name = text("%s", name), .meaning = keep(sizeof(*unit->meaning))};
    return unit;
}

void group_note(struct group *group, const char *words)
{
    if (group->said_count < MOST_NOTES)
        add_words(&group->said, &group->said_count, words);
    else
        group->unsaid++;
}

const char *group_unsaid(const struct group *group)
{
    return text("and %zu notes more, which are left out", group->unsaid);
}

void group_add(struct group *group, struct device *device)
{
    group->devices = keep_grown(group->devices, group->device_count, sizeof(*group->devices));
    group->devices[group->device_count++] = device;
    device->group = group->name;
}

bool driver_is_vfio(const char *driver)
{
    /* Every vendor's driver has the word in its name: mlx5_vfio_pci, nvgrace-gpu-vfio-pci. */
    return driver != NULL && strstr(driver, "vfio") != NULL;
}

bool group_has_no_iommu(const struct group *group)
{
    return group->title != NULL && strcmp(group->title, "vfio-noiommu") == 0;
}

bool device_hinders(const struct device *device)
{
    const char *driver = device->driver;
    unsigned kind = device->class_code >> 8;
    /* PCI and CardBus bridges: those whose configuration header is not that of a device. */
    bool bridge = device->pci && (kind == 0x0604 || kind == 0x0607 || kind == 0x0609);

    return driver != NULL && *driver != '\0' && !bridge && !driver_is_vfio(driver) &&
           strcmp(driver, "pci-stub") != 0 && strcmp(driver, "pcieport") != 0;
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

static struct answers read_answers(const char *path, struct faults *faults)
{
    struct answers answers = {{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}};

    for (size_t i = 0; i < ANSWER_COUNT; i++)
        *answer_blob(&answers, i) = read_file(text("%s/%s", path, answer_files[i]), faults);
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

bool well_named(const char *path, const char *name, struct faults *faults)
{
    for (const char *at = name; *at != '\0'; at++) {
        if (isalnum((unsigned char)*at) == 0 && strchr(":._-+@,", *at) == NULL) {
            fault(faults, "%s: a name with a character that no name has: %s", path,
                  quoted(name, strlen(name)));
            return false;
        }
    }
    return true;
}

const char *read_name(const char *path, struct faults *faults)
{
    const char *name = read_line(path, faults);

    return name != NULL && well_named(path, name, faults) ? name : NULL;
}

/* "0000:00:01.0 0x1234 0x11e8 0x00ff00 group=1 driver=vfio-pci bars=0x1000000/32" */
static void read_pci_line(struct host *host, const char *path, size_t number, const char *line)
{
    const char *whole = line;
    char address[64];
    char group[32] = "";
    char driver[64] = "";
    unsigned ids[3];
    int end = -1;
    struct device *device;
    struct bars bars = {.count = 0};

    /* An empty word after = is no word for scanf, so each end is tried. */
    if (sscanf(line, "%63s %x %x %x group=%n", address, &ids[0], &ids[1], &ids[2], &end) != 4)
        end = -1;
    if (end >= 0) {
        line += end;
        if (*line != ' ' && *line != '\0' && sscanf(line, "%31s%n", group, &end) == 1)
            line += end;
    }
    if (end < 0 || strncmp(line, " driver=", 8) != 0) {
        fault(
            &host->faults,
            "%s:%zu: not a line of a PCI device: %s; one is \"0000:00:01.0 0x8086 0x1533 0x020000 "
            "group=1 driver=vfio-pci\"",
            path, number, quoted(whole, strlen(whole)));
        return;
    }
    line += 8;
    if (*line != ' ' && sscanf(line, "%63s%n", driver, &end) == 1)
        line += end;
    if (strncmp(line, " bars=", 6) == 0 && !bars_of_words(&bars, line + 6)) {
        fault(&host->faults,
              "%s:%zu: not sizes of BARs: %s; they are \"0x1000000/32,0x4000000/64\"", path, number,
              quoted(line + 6, strlen(line + 6)));
        return;
    }
    if (!well_named(path, address, &host->faults) ||
        (strcmp(driver, UNKNOWN_DRIVER) != 0 && !well_named(path, driver, &host->faults)))
        return;
    device = host_device(host, address);
    device->pci = true;
    device->vendor = ids[0];
    device->device = ids[1];
    device->class_code = ids[2];
    device->driver = strcmp(driver, UNKNOWN_DRIVER) != 0 ? text("%s", driver) : NULL;
    device->bars = bars;
    if (*group != '\0' && (device->group == NULL || strcmp(device->group, group) != 0)) {
        struct group *named = host_group(host, group);

        /* One fault is enough: its list of devices may be what could not be read. */
        if (named == NULL || named->faults.count == 0)
            fault(named != NULL ? &named->faults : &host->faults,
                  "%s:%zu: group %s does not list this device", path, number,
                  quoted(group, strlen(group)));
    }
}

/* Lines of a device that is not PCI, and its driver: "arm-smmu-test.0.auto vfio-platform". */
static void read_drivers(struct host *host, struct group *group, const char *path)
{
    struct blob blob = read_file(path, &group->faults);
    char **lines = lines_of(&blob);

    for (size_t i = 0; lines[i] != NULL; i++) {
        char *driver = strchr(lines[i], ' ');

        if (driver != NULL)
            *driver++ = '\0';
        if (!well_named(path, lines[i], &group->faults) ||
            (driver != NULL && !well_named(path, driver, &group->faults)))
            continue;
        host_device(host, lines[i])->driver = driver != NULL ? driver : "";
    }
}

/* What a text said, from which the snapshot was made. */
static void read_notes(struct group *group, const char *path)
{
    struct blob blob = read_file(path, &group->faults);
    char **lines = lines_of(&blob);

    group->direct = lines[0] != NULL && strcmp(lines[0], DIRECT) == 0;
    for (size_t i = group->direct ? 1 : 0; lines[i] != NULL; i++) {
        /* The last may be how many more there were. */
        if (group->said_count <= MOST_NOTES)
            add_words(&group->said, &group->said_count, printable(lines[i]));
        else
            group->unsaid++;
    }
}

static void read_group(struct host *host, struct group *group, const char *path)
{
    char *directory = text("%s/sysfs/iommu_groups/%s", path, group->name);
    struct blob devices = read_file(text("%s/devices", directory), &group->faults);
    char **addresses = lines_of(&devices);

    if (!devices.there && group->faults.count == 0)
        fault(&group->faults, "%s: no such file", devices.path);
    group->type = read_name(text("%s/type", directory), &group->faults);
    group->title = read_name(text("%s/name", directory), &group->faults);
    group->reserved_regions = read_file(text("%s/reserved_regions", directory), &group->faults);
    for (size_t k = 0; addresses[k] != NULL; k++) {
        struct device *device;

        if (!well_named(devices.path, addresses[k], &group->faults))
            continue;
        device = host_device(host, addresses[k]);
        if (device->group != NULL)
            fault(&group->faults, "%s: %s is in group %s already", devices.path, device->address,
                  device->group);
        else
            group_add(group, device);
    }
    read_drivers(host, group, text("%s/drivers", directory));
    read_notes(group, text("%s/groups/%s/notes", path, group->name));
    group->answers = read_answers(text("%s/groups/%s", path, group->name), &group->faults);
}

static void read_groups(struct host *host, const char *path)
{
    char *root = text("%s/sysfs/iommu_groups", path);
    char **names = list_directory(root, &host->faults);

    if (names == NULL && host->faults.count != 0)
        die(EXIT_BAD_INPUT, "%s", host->faults.words[0]);
    if (names == NULL)
        die(EXIT_BAD_INPUT, "%s: no such directory, so that is no snapshot", root);
    for (size_t i = 0; names[i] != NULL; i++) {
        struct group *group;

        if (!well_named(root, names[i], &host->faults))
            continue;
        group = host_add_group(host, root, names[i]);
        if (group == NULL)
            break;
        read_group(host, group, path);
    }
}

static void read_units(struct host *host, const char *path)
{
    char *root = text("%s/sysfs/class_iommu", path);
    char **names = list_directory(root, &host->faults);

    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        char *directory = text("%s/%s", root, names[i]);
        char **files;
        struct unit *unit;

        if (!well_named(root, names[i], &host->faults))
            continue;
        unit = host_add_unit(host, root, names[i]);
        if (unit == NULL)
            break;
        files = list_directory(directory, &unit->faults);
        if (files == NULL && unit->faults.count == 0)
            fault(&unit->faults, "%s: no directory", directory);
        for (size_t k = 0; files != NULL && files[k] != NULL; k++) {
            struct blob blob = read_file(text("%s/%s", directory, files[k]), &unit->faults);

            if (strcmp(files[k], "devices") == 0) {
                unit->devices = blob.there ? lines_of(&blob) : NULL;
                continue;
            }
            if (unit->attribute_count == MOST_ATTRIBUTES)
                break;
            unit->attributes =
                keep_grown(unit->attributes, unit->attribute_count, sizeof(*unit->attributes));
            unit->attributes[unit->attribute_count++] = (struct attribute){files[k], blob};
        }
        for (size_t k = 0; unit->devices != NULL && unit->devices[k] != NULL; k++) {
            if (well_named(directory, unit->devices[k], &unit->faults))
                host_device(host, unit->devices[k])->unit = unit->name;
        }
    }
}

/* Answers at the top belong to the group whose device VFIO had. */
static struct group *answering_group(const struct host *host)
{
    for (size_t i = 0; i < host->device_count; i++) {
        const struct device *device = host->devices[i];

        if (device->group != NULL && driver_is_vfio(device->driver))
            return host_group(host, device->group);
    }
    return host->group_count == 1 ? &host->groups[0] : NULL;
}

/* The answers at the top go to their group. */
static void place_answers(struct host *host, const char *pci)
{
    struct faults faults = {NULL, 0, 0};
    struct answers answers = read_answers(host->path, &faults);
    struct group *group;

    if (!any_answer(answers) && faults.count == 0)
        return;
    group = answering_group(host);
    if (group == NULL) {
        faults_join(&host->faults, &faults);
        fault(&host->faults, "%s: no device has a VFIO driver whose answers these could be", pci);
        return;
    }
    if (any_answer(group->answers)) {
        fault(&group->faults, "%s: the answers of group %s are there twice", host->path,
              group->name);
        return;
    }
    faults_join(&group->faults, &faults);
    group->answers = answers;
}

void host_read_snapshot(struct host *host, const char *path)
{
    struct blob pci;
    char **lines;

    *host = (struct host){.path = text("%s", path)};
    read_groups(host, path);
    read_units(host, path);
    pci = read_file(text("%s/pci", path), &host->faults);
    lines = lines_of(&pci);
    for (size_t i = 0; lines[i] != NULL; i++)
        read_pci_line(host, pci.path, i + 1, lines[i]);
    host->kernel = read_line(text("%s/uname", path), &host->faults);
    place_answers(host, pci.there ? pci.path : path);
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

static void save_notes(const struct group *group, const char *path)
{
    struct buffer notes = {NULL, 0, 0};

    if (group->direct)
        buffer_add(&notes, "%s\n", DIRECT);
    for (size_t i = 0; i < group->said_count; i++)
        buffer_add(&notes, "%s\n", group->said[i]);
    if (group->unsaid != 0)
        buffer_add(&notes, "%s\n", group_unsaid(group));
    if (notes.length != 0)
        save_text(path, buffer_text(&notes));
}

static void save_group(const struct group *group, const char *path, bool at_the_top)
{
    char *directory = text("%s/sysfs/iommu_groups/%s", path, group->name);
    struct answers answers = group->answers;
    struct buffer devices = {NULL, 0, 0};
    struct buffer drivers = {NULL, 0, 0};

    for (size_t i = 0; i < group->device_count; i++) {
        const struct device *device = group->devices[i];

        buffer_add(&devices, "%s\n", device->address);
        if (!device->pci && device->driver != NULL)
            buffer_add(&drivers, "%s %s\n", device->address, device->driver);
    }
    save_text(text("%s/devices", directory), buffer_text(&devices));
    if (drivers.length != 0)
        save_text(text("%s/drivers", directory), buffer_text(&drivers));
    save_notes(group, text("%s/groups/%s/notes", path, group->name));
    if (group->title != NULL)
        save_text(text("%s/name", directory), text("%s\n", group->title));
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
    struct buffer devices = {NULL, 0, 0};

    for (size_t i = 0; i < unit->attribute_count; i++)
        save_blob(&unit->attributes[i].blob, text("%s/%s", directory, unit->attributes[i].name));
    for (size_t i = 0; unit->devices != NULL && unit->devices[i] != NULL; i++)
        buffer_add(&devices, "%s\n", unit->devices[i]);
    if (unit->devices != NULL)
        save_text(text("%s/devices", directory), buffer_text(&devices));
}

static int compare_addresses(const void *a, const void *b)
{
    return strcmp((*(struct device *const *)a)->address, (*(struct device *const *)b)->address);
}

/* All PCI devices, in the order of their addresses. */
static void save_pci(const struct host *host, const char *path)
{
    struct device **devices = keep((host->device_count + 1) * sizeof(struct device *));
    struct buffer pci = {NULL, 0, 0};

    if (host->device_count != 0)
        memcpy(devices, host->devices, host->device_count * sizeof(*devices));
    qsort(devices, host->device_count, sizeof(*devices), compare_addresses);
    for (size_t i = 0; i < host->device_count; i++) {
        const struct device *device = devices[i];

        if (device->pci)
            buffer_add(&pci, "%s 0x%04x 0x%04x 0x%06x group=%s driver=%s%s%s\n", device->address,
                       device->vendor, device->device, device->class_code,
                       device->group != NULL ? device->group : "",
                       device->driver != NULL ? device->driver : UNKNOWN_DRIVER,
                       device->bars.count != 0 ? " bars=" : "", bars_words(&device->bars));
    }
    save_text(text("%s/pci", path), buffer_text(&pci));
}

void host_save(const struct host *host, const char *path)
{
    struct group *top = answering_group(host);
    struct faults none = {NULL, 0, 0}; /* what can't be listed can't be written either */
    size_t answering = 0;

    if (list_directory(text("%s/sysfs", path), &none) != NULL)
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

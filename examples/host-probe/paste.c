/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Text that somebody pasted: a kernel's log, listings with the names of files (grep -r . over sysfs,
 * find, ls -l), lspci, in any order, quoted and with whatever stands around. Lines that say nothing of
 * IOMMUs are passed over. Each line is looked at once, and what it says goes into the host.
 */

#include "paste.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_TEXT ((size_t)16 << 20)

/* Regions of a group as they come, line by line. */
struct regions {
    struct buffer text;
    size_t *numbers;
    size_t count;
};

/* ---- what is put together ---- */

struct group *paste_group(struct reader *reader, const char *name)
{
    struct group *group = host_group(reader->host, name);

    return group != NULL ? group : host_add_group(reader->host, reader->text->path, name);
}

void paste_device(struct reader *reader, const char *name, const char *address)
{
    struct device *device = host_device(reader->host, address);
    struct group *group = device->group == NULL ? paste_group(reader, name) : NULL;

    if (group != NULL)
        group_add(group, device);
}

void paste_note(struct group *group, const char *words)
{
    if (group->said_count < 20)
        add_words(&group->said, &group->said_count, words);
}

/* A line of reserved_regions, whatever it says: it is looked at when the group is judged. */
static void put_region(struct reader *reader, const char *name, const char *line)
{
    struct group *group = paste_group(reader, name);
    struct regions *regions;

    if (group == NULL)
        return;
    if (group->pasted == NULL)
        group->pasted = keep(sizeof(struct regions));
    regions = group->pasted;
    buffer_add(&regions->text, "%s\n", line);
    regions->numbers = keep_grown(regions->numbers, regions->count, sizeof(*regions->numbers));
    regions->numbers[regions->count++] = reader->number;
}

static void finish_regions(struct reader *reader)
{
    for (size_t i = 0; i < reader->host->group_count; i++) {
        struct group *group = &reader->host->groups[i];
        const struct regions *regions = group->pasted;

        if (regions == NULL)
            continue;
        group->reserved_regions =
            (struct blob){true, (uint8_t *)regions->text.text, regions->text.length,
                          reader->text->path, regions->numbers};
    }
}

void paste_attribute(struct reader *reader, const char *name, const char *file, const char *value)
{
    struct unit *unit = NULL;

    for (size_t i = 0; i < reader->host->unit_count && unit == NULL; i++) {
        if (strcmp(reader->host->units[i].name, name) == 0)
            unit = &reader->host->units[i];
    }
    if (unit == NULL)
        unit = host_add_unit(reader->host, reader->text->path, name);
    if (unit == NULL || unit_attribute(unit, file).there || unit->attribute_count >= 16)
        return;
    unit->attributes =
        keep_grown(unit->attributes, unit->attribute_count, sizeof(*unit->attributes));
    unit->attributes[unit->attribute_count++] =
        (struct attribute){text("%s", file),
                           {true, (uint8_t *)text("%s", value), strlen(value),
                            text("%s:%zu", reader->text->path, reader->number), NULL}};
}

/* ---- listings of sysfs ---- */

/* "iommu_groups/1/devices/0000:00:01.0", "iommu_groups/1/type:DMA", with more before and behind. */
static bool read_group_path(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "iommu_groups/");
    char group[64], file[64], address[ADDRESS_LENGTH + 1];
    bool heading;

    if (at == NULL)
        return false;
    at = line_name(reader, at, group);
    if (at == NULL || at == reader->end || *at != '/' || isdigit((unsigned char)*group) == 0)
        return false;
    at = line_name(reader, at + 1, file);
    if (at == NULL)
        return false;
    if (strcmp(file, "devices") == 0) {
        reader->group = text("%s", group);
        reader->regions_follow = false;
        if (at < reader->end && *at == '/' && line_address(reader, at + 1, address) != NULL)
            paste_device(reader, group, address);
        return true;
    }
    /* head -v has the name alone on a line, and the contents below it. */
    heading = memmem(reader->at, (size_t)(reader->end - reader->at), "==> ", 4) != NULL;
    if (heading) {
        reader->group = text("%s", group);
        reader->regions_follow = strcmp(file, "reserved_regions") == 0;
        return true;
    }
    if (at == reader->end || *at != ':')
        return false;
    at++;
    /* grep -n puts the number of the line before what is in it. */
    if (isdigit((unsigned char)*at) != 0) {
        const char *digits = at;

        while (digits < reader->end && isdigit((unsigned char)*digits) != 0)
            digits++;
        if (digits < reader->end && *digits == ':')
            at = digits + 1;
    }
    if (strcmp(file, "reserved_regions") == 0) {
        put_region(reader, group, line_rest(reader, line_blanks(reader, at)));
    } else if (strcmp(file, "type") == 0 || strcmp(file, "name") == 0) {
        struct group *made = paste_group(reader, group);
        char word[64];

        if (made != NULL && line_name(reader, at, word) != NULL)
            *(strcmp(file, "type") == 0 ? &made->type : &made->title) = text("%s", word);
    }
    return true;
}

/* Lines below "==> .../1/reserved_regions <==", or those of `cat` with no name at all. */
static bool read_bare_region(struct reader *reader)
{
    const char *at = line_blanks(reader, reader->at);
    const char *rest;
    uint64_t value;

    while (at < reader->end && (*at == '>' || *at == '|'))
        at = line_blanks(reader, at + 1);
    if (reader->end - at < 6 || at[0] != '0' || at[1] != 'x')
        return false;
    rest = line_hex(reader, at, &value);
    if (rest == NULL || rest == reader->end || *rest != ' ')
        return false;
    rest = line_hex(reader, line_blanks(reader, rest), &value);
    if (rest == NULL || rest == reader->end || *rest != ' ' ||
        isalpha((unsigned char)*line_blanks(reader, rest)) == 0)
        return false;
    put_region(reader, reader->group != NULL && reader->regions_follow ? reader->group : ANY_GROUP,
               line_rest(reader, at));
    return true;
}

/* "class/iommu/dmar0/intel-iommu/cap:d2008c40660462" */
static bool read_unit_path(struct reader *reader)
{
    static const char *const files[] = {"cap", "ecap", "features"};
    const char *at = line_after(reader, reader->at, "/iommu/");
    char unit[64], folder[64], file[64], value[64];

    if (at == NULL || (at = line_name(reader, at, unit)) == NULL || at == reader->end ||
        *at != '/' || (at = line_name(reader, at + 1, folder)) == NULL || at == reader->end ||
        *at != '/' || (at = line_name(reader, at + 1, file)) == NULL || at == reader->end ||
        *at != ':')
        return false;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        size_t length = 0;

        if (strcmp(file, files[i]) != 0)
            continue;
        for (at++; at < reader->end && length < 63 &&
                   (isxdigit((unsigned char)*at) != 0 || *at == ':' || *at == 'x');
             at++)
            value[length++] = *at;
        value[length] = '\0';
        paste_attribute(reader, unit, file, value);
        return true;
    }
    return false;
}

/* "devices/0000:00:1f.2/vendor:0x8086", "devices/0000:00:1f.2/driver -> ../../bus/pci/drivers/ahci" */
static bool read_device_path(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "devices/");
    char address[ADDRESS_LENGTH + 1], file[64], driver[64];
    struct device *device;
    uint64_t value;

    if (at == NULL || (at = line_find_address(reader, at, address)) == NULL || at == reader->end ||
        *at != '/' || (at = line_name(reader, at + 1, file)) == NULL || at == reader->end)
        return false;
    device = host_device(reader->host, address);
    if (strcmp(file, "driver") == 0) {
        at = line_after(reader, at, "drivers/");
        if (at == NULL || line_name(reader, at, driver) == NULL)
            return false;
        device->driver = text("%s", driver);
        return true;
    }
    if (*at != ':' || line_hex(reader, at + 1, &value) == NULL)
        return false;
    if (strcmp(file, "vendor") == 0)
        device->vendor = (unsigned)value & 0xffff;
    else if (strcmp(file, "device") == 0)
        device->device = (unsigned)value & 0xffff;
    else if (strcmp(file, "class") == 0)
        device->class_code = (unsigned)value & 0xffffff;
    else
        return false;
    device->pci = device->vendor != 0 && device->class_code != 0;
    return true;
}

/* ---- all of it ---- */

static void read_one_line(struct reader *reader)
{
    static bool (*const readers[])(struct reader *) = {
        read_group_path,  read_unit_path, read_device_path, read_bare_region,
        paste_read_table, paste_read_log, paste_read_lspci,
    };

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (readers[i](reader)) {
            reader->understood++;
            return;
        }
    }
}

static int compare_groups(const void *a, const void *b)
{
    return strverscmp(((const struct group *)a)->name, ((const struct group *)b)->name);
}

/* In the order of their numbers, as a machine lists them. */
static void sort_groups(struct host *host)
{
    qsort(host->groups, host->group_count, sizeof(*host->groups), compare_groups);
    host->group_lookup = (struct lookup){NULL, 0, 0};
    for (size_t i = 0; i < host->group_count; i++)
        lookup_add(&host->group_lookup, host->groups[i].name, i);
}

void host_read_paste(struct host *host, const struct blob *blob)
{
    struct reader reader = {.host = host, .text = blob};
    const char *at = (const char *)blob->bytes;
    const char *end = at + blob->length;

    if (blob->length > LARGEST_TEXT)
        die(EXIT_BAD_INPUT, "%s: larger than %zu bytes", blob->path, LARGEST_TEXT);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        reader.at = at;
        reader.end = newline != NULL ? newline : end;
        reader.number++;
        if (reader.end > at && reader.end[-1] == '\r')
            reader.end--;
        /* No line of a kernel is that long, and each is searched for many words. */
        if (reader.end - at < 4096)
            read_one_line(&reader);
        at = newline != NULL ? newline + 1 : end;
    }
    if (reader.understood == 0)
        die(EXIT_BAD_INPUT,
            "%s: nothing in it is of an IOMMU. What can be read is the output of dmesg, of lspci "
            "-nnk, of grep -r . /sys/kernel/iommu_groups, and what --save has written",
            blob->path);
    paste_finish_table(&reader);
    paste_finish_demands(&reader);
    if (host->group_count == 0)
        (void)paste_group(&reader, ANY_GROUP);
    sort_groups(host);
    for (size_t i = 0; i < host->group_count; i++)
        host->groups[i].assumed = strcmp(host->groups[i].name, ANY_GROUP) == 0;
    finish_regions(&reader);
    paste_finish_log(&reader);
}

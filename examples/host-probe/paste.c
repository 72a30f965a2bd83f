/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Text that somebody pasted: a kernel's log, listings with the names of files (grep -r . over
 * sysfs, find, ls -l), lspci, in any order, quoted and with whatever stands around. Lines that say
 * nothing of IOMMUs are passed over. Each line is looked at once, and what it says goes into the
 * host.
 */

#include "paste.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_TEXT ((size_t)16 << 20)

/* Regions of a group as they come, line by line. */
struct regions {
    struct lookup known; /* a text may have them twice */
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
    struct group *group = paste_group(reader, name);

    if (group != NULL && device != reader->host->spare)
        device->group = group->name;
}

/* A group that all of its devices have left, of which nothing else is told, is there no more. */
static bool is_left(const struct group *group)
{
    return group->device_count == 0 && group->pasted == NULL && group->type == NULL &&
           group->title == NULL && group->said_count == 0 && !group->assumed;
}

/* When each device is where its last line put it. */
static void finish_groups(struct host *host)
{
    size_t kept = 0;

    for (size_t i = 0; i < host->device_count; i++) {
        struct device *device = host->devices[i];

        if (device->group != NULL)
            group_add(host_group(host, device->group), device);
    }
    for (size_t i = 0; i < host->group_count; i++) {
        if (!is_left(&host->groups[i]))
            host->groups[kept++] = host->groups[i];
    }
    host->group_count = kept;
}

/* A line of reserved_regions, whatever it says: it is looked at when the group is judged. */
static void put_region(struct reader *reader, const char *name, const char *line)
{
    struct group *group = paste_group(reader, name);
    struct regions *regions;
    size_t number;

    if (group == NULL)
        return;
    if (group->pasted == NULL)
        group->pasted = keep(sizeof(struct regions));
    regions = group->pasted;
    if (strncmp(line, "0x", 2) == 0) {
        if (lookup_find(&regions->known, line, &number))
            return;
        lookup_add(&regions->known, line, 0);
    }
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
    size_t at = 0;

    for (size_t i = 0; i < reader->host->unit_count && unit == NULL; i++) {
        if (strcmp(reader->host->units[i].name, name) == 0)
            unit = &reader->host->units[i];
    }
    if (unit == NULL)
        unit = host_add_unit(reader->host, reader->text->path, name);
    if (unit == NULL)
        return;
    /* Of several boots the last one counts. */
    while (at < unit->attribute_count && strcmp(unit->attributes[at].name, file) != 0)
        at++;
    if (at == unit->attribute_count)
        unit->attributes =
            keep_grown(unit->attributes, unit->attribute_count++, sizeof(*unit->attributes));
    unit->attributes[at] =
        (struct attribute){text("%s", file),
                           {true, (uint8_t *)text("%s", value), strlen(value),
                            text("%s:%zu", reader->text->path, reader->number), NULL}};
}

/* ---- listings of sysfs ---- */

/* Behind the number of a line, which grep -n puts before what is in it. */
static const char *behind_number(const struct reader *reader, const char *at)
{
    const char *digits = at;

    while (digits < reader->end && isdigit((unsigned char)*digits) != 0)
        digits++;
    return digits > at && digits < reader->end && *digits == ':' ? digits + 1 : at;
}

/* Files of IOMMUs and devices have one line. */
static const char *behind_first(const struct reader *reader, const char *at)
{
    return reader->end - at > 2 && memcmp(at, "1:", 2) == 0 ? at + 2 : at;
}

static bool read_device_path(struct reader *reader);

/* ".../1/devices", ".../1/devices:" of ls, ".../1/devices/0000:00:01.0", with more behind. */
static bool read_group_devices(struct reader *reader, const char *group, const char *at)
{
    char name[64];

    reader->group = text("%s", group);
    reader->regions_follow = false;
    /* Of "ls /sys/kernel/iommu_groups/1/devices/", too. */
    reader->devices_follow =
        at == reader->end || *at != '/' || line_blanks(reader, at + 1) == reader->end;
    if (at < reader->end && *at == '/' && line_device(reader, at + 1, name) != NULL)
        paste_device(reader, group, name);
    (void)read_device_path(reader);
    return true;
}

/* "iommu_groups/1/devices/0000:00:01.0", "iommu_groups/1/type:DMA", with more before and behind. */
static bool read_group_path(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "iommu_groups/");
    char group[64], file[64], word[64];

    if (at == NULL)
        return false;
    at = line_name(reader, at, group);
    if (at == NULL || at == reader->end || *at != '/' || isdigit((unsigned char)*group) == 0)
        return false;
    at = line_name(reader, at + 1, file);
    if (at == NULL)
        return false;
    if (strcmp(file, "devices") == 0)
        return read_group_devices(reader, group, at);
    /* head -v, and many a script, have the name alone on a line, and the contents below it. */
    if (line_after(reader, reader->at, "==> ") != NULL ||
        line_blanks(reader, at + (at < reader->end && *at == ':')) == reader->end) {
        reader->group = text("%s", group);
        reader->regions_follow = strcmp(file, "reserved_regions") == 0;
        reader->devices_follow = false;
        return true;
    }
    if (*at != ':')
        return false;
    at = behind_number(reader, at + 1);
    if (strcmp(file, "reserved_regions") == 0) {
        put_region(reader, group, line_rest(reader, line_blanks(reader, at)));
    } else if (strcmp(file, "type") == 0 || strcmp(file, "name") == 0) {
        struct group *made = paste_group(reader, group);

        if (made != NULL && line_name(reader, at, word) != NULL)
            *(strcmp(file, "type") == 0 ? &made->type : &made->title) = text("%s", word);
    }
    return true;
}

/*
 * Below ".../1/devices:" of ls: "0000:00:01.0  0000:00:01.1", and where links are followed to their
 * ends (-l) "lrwxrwxrwx 1 root root 0 ... 0000:00:01.0 -> ../../../../devices/...".
 */
static bool read_listed_devices(struct reader *reader)
{
    const char *at = reader->at;
    const char *link = line_after(reader, at, " -> ../../../../devices/");
    char name[64];
    bool any = false;

    /* Another folder's begin below its own name. */
    reader->devices_follow = reader->devices_follow && reader->end[-1] != ':';
    if (!reader->devices_follow)
        return false;
    if (link != NULL) {
        at = link - strlen(" -> ../../../../devices/");
        while (at > reader->at && at[-1] != ' ')
            at--;
        any = line_device(reader, at, name) != NULL;
        if (any)
            paste_device(reader, reader->group, name);
        return any;
    }
    /* A line with anything else is none of them: lspci begins with an address, too. */
    while ((at = line_blanks(reader, at)) < reader->end) {
        if ((at = line_address(reader, at, name)) == NULL)
            return false;
        any = true;
    }
    for (at = reader->at; any && (at = line_blanks(reader, at)) < reader->end;) {
        at = line_address(reader, at, name);
        paste_device(reader, reader->group, name);
    }
    return any;
}

/* Behind a number that has 0x before it, and however many digits; NULL for none. */
static const char *behind_hex(const struct reader *reader, const char *at)
{
    const char *digits = at + 2;

    if (reader->end - at < 3 || at[0] != '0' || (at[1] != 'x' && at[1] != 'X'))
        return NULL;
    while (digits < reader->end && isxdigit((unsigned char)*digits) != 0)
        digits++;
    return digits > at + 2 ? digits : NULL;
}

/*
 * Lines below "==> .../1/reserved_regions <==", or those of `cat` with no name at all. Here, too, a
 * line that is cut or damaged reserves something: that it can't be read is said with its group.
 */
static bool read_bare_region(struct reader *reader)
{
    const char *at = line_blanks(reader, reader->at), *first, *second;
    const bool below = reader->group != NULL && reader->regions_follow;

    while (at < reader->end && (*at == '>' || *at == '|'))
        at = line_blanks(reader, at + 1);
    first = behind_hex(reader, at);
    if (first == NULL)
        return false;
    second = behind_hex(reader, line_blanks(reader, first));
    /* Other lines may have two numbers, too; Linux writes those of a region with 16 digits. */
    if (!below && (second == NULL || line_blanks(reader, first) == first ||
                   (first - at != 18 && (line_blanks(reader, second) == second ||
                                         line_blanks(reader, second) == reader->end))))
        return false;
    put_region(reader, below ? reader->group : ANY_GROUP, line_rest(reader, at));
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
        for (at = line_blanks(reader, behind_first(reader, at + 1));
             at < reader->end && length < 63 &&
             (isxdigit((unsigned char)*at) != 0 || *at == ':' || *at == 'x');
             at++)
            value[length++] = *at;
        value[length] = '\0';
        paste_attribute(reader, unit, file, value);
        return true;
    }
    return false;
}

/*
 * "devices/0000:00:1f.2/vendor:0x8086", "devices/0000:00:1f.2/driver ->
 * ../../bus/pci/drivers/ahci", "devices/0000:00:1f.2/iommu_group ->
 * ../../../kernel/iommu_groups/10"
 */
static bool read_device_path(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "devices/"), *next = at;
    char address[ADDRESS_LENGTH + 1] = "", found[ADDRESS_LENGTH + 1], file[64], driver[64];
    struct device *device;
    uint64_t value;
    bool vendor, class;

    /* Below a bridge the last one counts: "devices/pci0000:00/0000:00:1c.0/0000:01:00.0/vendor". */
    for (; next != NULL && (next = line_find_address(reader, next, found)) != NULL; at = next)
        memcpy(address, found, sizeof(address));
    if (*address == '\0' || at == reader->end || *at != '/' ||
        (at = line_name(reader, at + 1, file)) == NULL || at == reader->end)
        return false;
    if (strcmp(file, "iommu_group") == 0) {
        at = line_after(reader, at, "iommu_groups/");
        if (at == NULL || line_name(reader, at, driver) == NULL ||
            isdigit((unsigned char)*driver) == 0)
            return false;
        paste_device(reader, driver, address);
        return true;
    }
    if (strcmp(file, "driver") == 0) {
        at = line_after(reader, at, "drivers/");
        if (at == NULL || line_name(reader, at, driver) == NULL)
            return false;
        host_device(reader->host, address)->driver = text("%s", driver);
        return true;
    }
    vendor = strcmp(file, "vendor") == 0;
    class = strcmp(file, "class") == 0;
    if ((!vendor && !class && strcmp(file, "device") != 0) || *at != ':' ||
        line_hex(reader, behind_first(reader, at + 1), &value) == NULL)
        return false;
    device = host_device(reader->host, address);
    *(vendor  ? &device->vendor
      : class ? &device->class_code
              : &device->device) = (unsigned)value & (class ? 0xffffff : 0xffff);
    device->pci = device->vendor != 0 && device->class_code != 0;
    return true;
}

/* ---- all of it ---- */

static bool read_one_line(struct reader *reader)
{
    static bool (*const readers[])(struct reader *) = {
        read_group_path,  read_unit_path, read_device_path, read_listed_devices, read_bare_region,
        paste_read_table, paste_read_log, paste_read_lspci, paste_read_record,
    };

    /* A text may have millions of lines with nothing in them. */
    if (reader->at == reader->end)
        return false;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (readers[i](reader)) {
            reader->understood++;
            return true;
        }
    }
    return false;
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

/* Whether it is a table that says something of IOMMUs, as the firmware has it. */
static bool is_table(const struct blob *blob)
{
    static const char names[][5] = {"DMAR", "IVRS", "IORT"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        /* Its length follows, which has less than 2^24 bytes. */
        if (blob->length > 7 && memcmp(blob->bytes, names[i], 4) == 0 && blob->bytes[7] == 0)
            return true;
    }
    return false;
}

/* The line from `at` to `end`; the end of the next one too, where a mail has broken it in two. */
static const char *read_whole_line(struct reader *reader, const char *at, const char *end)
{
    const char *text_end = (const char *)reader->text->bytes + reader->text->length;
    const char *next = end < text_end ? line_unmarked(end + 1, text_end) : end;
    const char *next_end = memchr(next, '\n', (size_t)(text_end - next));
    char *joined;

    reader->number++;
    /* No line of a kernel is that long, and each is searched for many words. */
    if (end - at >= 4096) {
        reader->at = at;
        reader->end = end;
        if (line_after(reader, at, "iommu") != NULL)
            fault(&reader->host->faults, "%s:%zu: a line of more than 4095 bytes is not read",
                  reader->text->path, reader->number);
        return end;
    }
    at = line_unmarked(at, end);
    next_end = next_end != NULL ? next_end : text_end;
    if (next_end - next < 4096 && lines_are_one(at, end, next, next_end)) {
        joined = lines_joined(at, end, next, next_end);
        reader->at = joined;
        reader->end = joined + strlen(joined);
        reader->line_end = next_end;
        if (read_one_line(reader)) {
            reader->number++;
            return next_end;
        }
    }
    reader->at = at;
    reader->end = reader->line_end = end;
    (void)read_one_line(reader);
    return end;
}

void host_read_paste(struct host *host, const struct blob *blob)
{
    struct blob plain = *blob;
    struct reader reader = {.host = host, .text = &plain};
    const char *at, *end;

    if (blob->length > LARGEST_TEXT)
        die(EXIT_BAD_INPUT, "%s: larger than %zu bytes", blob->path, LARGEST_TEXT);
    plain = text_plain(blob);
    end = (const char *)plain.bytes + plain.length;
    for (at = (const char *)plain.bytes; at < end; at++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        at = read_whole_line(&reader, at, newline != NULL ? newline : end);
    }
    if (reader.understood == 0)
        die(EXIT_BAD_INPUT, "%s: %s", blob->path,
            is_table(blob)
                ? "a table of the firmware as it is: what iasl -d makes of it can be read"
                : "nothing in it is of an IOMMU. What can be read is the output of dmesg, of lspci "
                  "-nnk, of grep -r . /sys/kernel/iommu_groups, and what --save has written");
    (void)paste_finish_record(&reader);
    paste_finish_table(&reader);
    paste_finish_demands(&reader);
    finish_groups(host);
    if (host->group_count == 0)
        (void)paste_group(&reader, ANY_GROUP);
    sort_groups(host);
    finish_regions(&reader);
    paste_finish_log(&reader);
}

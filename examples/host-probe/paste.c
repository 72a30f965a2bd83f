/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Text that somebody pasted: a kernel's log, listings with the names of files (grep -r . over sysfs,
 * find, ls -l), lspci, in any order, quoted and with whatever stands around. Lines that say nothing of
 * IOMMUs are passed over. Each line is looked at once, and what it says goes into the host.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define ADDRESS_LENGTH 12 /* of "0000:00:1f.2" */
#define MOST_RMRRS     64
#define MOST_SAID      4096
#define LARGEST_TEXT   ((size_t)16 << 20)

struct rmrr {
    uint64_t start, last;
};

struct reader {
    struct host *host;
    const struct blob *text;
    const char *at; /* the line, and its end */
    const char *end;
    size_t number;
    char *group;           /* of whose file the next lines are (head -v, ls): its name, or NULL */
    bool regions_follow;   /* and they are its reserved_regions */
    struct device *device; /* of the last lines of lspci */
    size_t understood;
    struct rmrr rmrrs[MOST_RMRRS]; /* those that no line gives a device */
    size_t rmrr_count;
    size_t ivmd_count;
    size_t said;    /* how often something was said of a device */
    unsigned width; /* "Host address width" */
    const char *off;
};

/* Regions of a group as they come, line by line. */
struct regions {
    struct buffer text;
    size_t *numbers;
    size_t count;
};

/* ---- words of a line ---- */

/* Behind the first `word` of the line from `from` on; NULL when it is not there. */
static const char *after(const struct reader *reader, const char *from, const char *word)
{
    size_t length = strlen(word);
    const char *found = memmem(from, (size_t)(reader->end - from), word, length);

    return found != NULL ? found + length : NULL;
}

/* A number in hexadecimal, with 0x or without. */
static const char *take_hex(const struct reader *reader, const char *at, uint64_t *value)
{
    unsigned digits = 0;

    if (reader->end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
        at += 2;
    *value = 0;
    for (; at < reader->end && isxdigit((unsigned char)*at) != 0; at++, digits++) {
        unsigned char c = (unsigned char)tolower((unsigned char)*at);

        *value = *value << 4 | (uint64_t)(isdigit(c) != 0 ? c - '0' : c - 'a' + 10);
    }
    return digits > 0 && digits <= 16 ? at : NULL;
}

static const char *pass_blanks(const struct reader *reader, const char *at)
{
    while (at < reader->end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* Whether hexadecimal digits, as many as `form` has x, and its other characters stand there. */
static bool has_form(const struct reader *reader, const char *at, const char *form)
{
    for (; *form != '\0'; form++, at++) {
        if (at >= reader->end || (*form == 'x' ? isxdigit((unsigned char)*at) == 0 : *at != *form))
            return false;
    }
    return at >= reader->end || isxdigit((unsigned char)*at) == 0;
}

/* The address of a PCI device at `at`, "0000:00:1f.2" or "00:1f.2"; its end, or NULL. */
static const char *take_address(const struct reader *reader, const char *at,
                                char address[ADDRESS_LENGTH + 1])
{
    if (has_form(reader, at, "xxxx:xx:xx.x")) {
        memcpy(address, at, ADDRESS_LENGTH);
        at += ADDRESS_LENGTH;
    } else if (has_form(reader, at, "xx:xx.x")) {
        memcpy(address, "0000:", 5);
        memcpy(address + 5, at, ADDRESS_LENGTH - 5);
        at += ADDRESS_LENGTH - 5;
    } else {
        return NULL;
    }
    address[ADDRESS_LENGTH] = '\0';
    for (char *c = address; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return at;
}

/* The first address in a part of the line, where no other character of one stands before it. */
static const char *find_address(const struct reader *reader, const char *from,
                                char address[ADDRESS_LENGTH + 1])
{
    for (const char *at = from; at < reader->end; at++) {
        const char *end;

        if (at > from && (isalnum((unsigned char)at[-1]) != 0 || at[-1] == ':'))
            continue;
        end = take_address(reader, at, address);
        if (end != NULL)
            return end;
    }
    return NULL;
}

/* A word of the characters that names have, at most 63 of them; NULL when there is none. */
static const char *take_name(const struct reader *reader, const char *at, char name[64])
{
    size_t length = 0;

    while (at < reader->end && length < 63 &&
           (isalnum((unsigned char)*at) != 0 || strchr("._-+", *at) != NULL))
        name[length++] = *at++;
    name[length] = '\0';
    return length != 0 ? at : NULL;
}

static const char *rest_of(const struct reader *reader, const char *at)
{
    const char *end = reader->end;

    while (end > at && isspace((unsigned char)end[-1]) != 0)
        end--;
    return text("%.*s", (int)(end - at), at);
}

/* ---- what is put together ---- */

static struct group *group_of(struct reader *reader, const char *name)
{
    struct group *group = host_group(reader->host, name);

    return group != NULL ? group : host_add_group(reader->host, reader->text->path, name);
}

static void put_device(struct reader *reader, const char *name, const char *address)
{
    struct device *device = host_device(reader->host, address);
    struct group *group = device->group == NULL ? group_of(reader, name) : NULL;

    if (group != NULL)
        group_add(group, device);
}

static void note(struct group *group, const char *words)
{
    if (group->said_count < 20)
        add_words(&group->said, &group->said_count, words);
}

/* A line of reserved_regions, whatever it says: it is looked at when the group is judged. */
static void put_region(struct reader *reader, const char *name, const char *line)
{
    struct group *group = group_of(reader, name);
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

static void put_attribute(struct reader *reader, const char *name, const char *file,
                          const char *value)
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
    const char *at = after(reader, reader->at, "iommu_groups/");
    char group[64], file[64], address[ADDRESS_LENGTH + 1];
    bool heading;

    if (at == NULL)
        return false;
    at = take_name(reader, at, group);
    if (at == NULL || at == reader->end || *at != '/' || isdigit((unsigned char)*group) == 0)
        return false;
    at = take_name(reader, at + 1, file);
    if (at == NULL)
        return false;
    if (strcmp(file, "devices") == 0) {
        reader->group = text("%s", group);
        reader->regions_follow = false;
        if (at < reader->end && *at == '/' && take_address(reader, at + 1, address) != NULL)
            put_device(reader, group, address);
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
        put_region(reader, group, rest_of(reader, pass_blanks(reader, at)));
    } else if (strcmp(file, "type") == 0 || strcmp(file, "name") == 0) {
        struct group *made = group_of(reader, group);
        char word[64];

        if (made != NULL && take_name(reader, at, word) != NULL)
            *(strcmp(file, "type") == 0 ? &made->type : &made->title) = text("%s", word);
    }
    return true;
}

/* Lines below "==> .../1/reserved_regions <==", or those of `cat` with no name at all. */
static bool read_bare_region(struct reader *reader)
{
    const char *at = pass_blanks(reader, reader->at);
    const char *rest;
    uint64_t value;

    while (at < reader->end && (*at == '>' || *at == '|'))
        at = pass_blanks(reader, at + 1);
    if (reader->end - at < 6 || at[0] != '0' || at[1] != 'x')
        return false;
    rest = take_hex(reader, at, &value);
    if (rest == NULL || rest == reader->end || *rest != ' ')
        return false;
    rest = take_hex(reader, pass_blanks(reader, rest), &value);
    if (rest == NULL || rest == reader->end || *rest != ' ' ||
        isalpha((unsigned char)*pass_blanks(reader, rest)) == 0)
        return false;
    put_region(reader, reader->group != NULL && reader->regions_follow ? reader->group : ANY_GROUP,
               rest_of(reader, at));
    return true;
}

/* "class/iommu/dmar0/intel-iommu/cap:d2008c40660462" */
static bool read_unit_path(struct reader *reader)
{
    static const char *const files[] = {"cap", "ecap", "features"};
    const char *at = after(reader, reader->at, "/iommu/");
    char unit[64], folder[64], file[64], value[64];

    if (at == NULL || (at = take_name(reader, at, unit)) == NULL || at == reader->end ||
        *at != '/' || (at = take_name(reader, at + 1, folder)) == NULL || at == reader->end ||
        *at != '/' || (at = take_name(reader, at + 1, file)) == NULL || at == reader->end ||
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
        put_attribute(reader, unit, file, value);
        return true;
    }
    return false;
}

/* "devices/0000:00:1f.2/vendor:0x8086", "devices/0000:00:1f.2/driver -> ../../bus/pci/drivers/ahci" */
static bool read_device_path(struct reader *reader)
{
    const char *at = after(reader, reader->at, "devices/");
    char address[ADDRESS_LENGTH + 1], file[64], driver[64];
    struct device *device;
    uint64_t value;

    if (at == NULL || (at = find_address(reader, at, address)) == NULL || at == reader->end ||
        *at != '/' || (at = take_name(reader, at + 1, file)) == NULL || at == reader->end)
        return false;
    device = host_device(reader->host, address);
    if (strcmp(file, "driver") == 0) {
        at = after(reader, at, "drivers/");
        if (at == NULL || take_name(reader, at, driver) == NULL)
            return false;
        device->driver = text("%s", driver);
        return true;
    }
    if (*at != ':' || take_hex(reader, at + 1, &value) == NULL)
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

/* ---- lspci, and the scripts that print groups with it ---- */

/* "[10de:1b80]" and "[0300]" somewhere behind an address. */
static bool read_lspci_ids(struct reader *reader, const char *at, struct device *device)
{
    bool known = false;

    for (; at < reader->end; at++) {
        uint64_t value;

        if (*at != '[')
            continue;
        if (has_form(reader, at + 1, "xxxx]")) {
            (void)take_hex(reader, at + 1, &value);
            device->class_code = (unsigned)value << 8;
        } else if (has_form(reader, at + 1, "xxxx:xxxx]")) {
            (void)take_hex(reader, at + 1, &value);
            device->vendor = (unsigned)value;
            (void)take_hex(reader, at + 6, &value);
            device->device = (unsigned)value;
            known = true;
        }
    }
    device->pci = device->pci || (known && device->class_code != 0);
    return known;
}

/* "IOMMU Group 14: 01:00.0 VGA compatible controller [0300]: ... [10de:1b80] (rev a1)" */
static bool read_lspci(struct reader *reader)
{
    const char *at = after(reader, reader->at, "IOMMU Group ");
    char address[ADDRESS_LENGTH + 1], name[64], word[64];
    const char *end;
    struct device *device;

    if (at != NULL) {
        at = take_name(reader, at, name);
        if (at == NULL || isdigit((unsigned char)*name) == 0)
            return false;
        reader->group = text("%s", name);
        reader->regions_follow = false;
    }
    end = pass_blanks(reader, at != NULL ? at + (at < reader->end && *at == ':') : reader->at);
    end = take_address(reader, end, address);
    if (end != NULL && end < reader->end && *end == ' ') {
        device = host_device(reader->host, address);
        reader->device = device;
        if (!read_lspci_ids(reader, end, device) && at == NULL)
            return false;
        if (at != NULL || (reader->group != NULL && isspace((unsigned char)*reader->at) != 0 &&
                           !reader->regions_follow))
            put_device(reader, reader->group, address);
        return true;
    }
    if (at != NULL)
        return true;
    if (reader->device == NULL)
        return false;
    if (bars_of_lspci(&reader->device->bars, reader->at, (size_t)(reader->end - reader->at)))
        return true;
    at = after(reader, reader->at, "Kernel driver in use: ");
    if (at != NULL && take_name(reader, at, word) != NULL) {
        reader->device->driver = text("%s", word);
        return true;
    }
    at = after(reader, reader->at, "IOMMU group: ");
    if (at == NULL || take_name(reader, at, name) == NULL || isdigit((unsigned char)*name) == 0)
        return false;
    put_device(reader, name, reader->device->address);
    return true;
}

/* ---- the kernel's log ---- */

/* "Adding to iommu group 9", "Adding device 0000:00:00.0 to group 0" of older kernels. */
static bool read_log_group(struct reader *reader)
{
    char address[ADDRESS_LENGTH + 1], name[64];
    const char *at = after(reader, reader->at, "Adding to iommu group ");

    if (at == NULL) {
        at = after(reader, reader->at, "iommu: Adding device ");
        at = at != NULL ? after(reader, at, " to group ") : NULL;
    }
    if (at == NULL || find_address(reader, reader->at, address) == NULL ||
        take_name(reader, at, name) == NULL || isdigit((unsigned char)*name) == 0)
        return false;
    put_device(reader, name, address);
    return true;
}

/* "pci 0000:00:02.0: [8086:3e92] type 00 class 0x030000" */
static bool read_log_device(struct reader *reader)
{
    const char *type = after(reader, reader->at, "] type ");
    const char *class = type != NULL ? after(reader, type, " class 0x") : NULL;
    char address[ADDRESS_LENGTH + 1];
    struct device *device;
    const char *ids;
    uint64_t vendor, number, code;

    ids = class != NULL ? find_address(reader, reader->at, address) : NULL;
    ids = ids != NULL ? after(reader, ids, ": [") : NULL;
    if (ids == NULL || !has_form(reader, ids, "xxxx:xxxx]") ||
        take_hex(reader, ids, &vendor) == NULL || take_hex(reader, ids + 5, &number) == NULL ||
        take_hex(reader, class, &code) == NULL)
        return false;
    device = host_device(reader->host, address);
    device->pci = true;
    device->vendor = (unsigned)vendor;
    device->device = (unsigned)number;
    device->class_code = (unsigned)code & 0xffffff;
    return true;
}

/* "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 19e2ff0505e" */
static bool read_log_registers(struct reader *reader)
{
    const char *cap = after(reader, reader->at, " cap ");
    const char *base = after(reader, reader->at, "reg_base_addr ");
    const char *ecap = cap != NULL ? after(reader, cap, " ecap ") : NULL;
    const char *at = after(reader, reader->at, "DMAR: ");
    char unit[64];
    uint64_t value;

    if (base == NULL || ecap == NULL || at == NULL || take_name(reader, at, unit) == NULL ||
        strncmp(unit, "dmar", 4) != 0)
        return false;
    if (take_hex(reader, cap, &value) == NULL)
        return false;
    put_attribute(reader, unit, "cap", text("%llx", (unsigned long long)value));
    if (take_hex(reader, ecap, &value) != NULL)
        put_attribute(reader, unit, "ecap", text("%llx", (unsigned long long)value));
    return true;
}

/* "AMD-Vi: Extended features (0x58f77ef22294a5a, 0x0): PPR NX", with one number or two. */
static bool read_log_features(struct reader *reader)
{
    const char *at = after(reader, reader->at, "AMD-Vi: Extended features (");
    uint64_t first, second = 0;

    if (at == NULL || (at = take_hex(reader, at, &first)) == NULL)
        return false;
    if (at < reader->end && *at == ',')
        (void)take_hex(reader, pass_blanks(reader, at + 1), &second);
    put_attribute(reader, "ivhd0", "features",
                  text("%llx:%llx", (unsigned long long)first, (unsigned long long)second));
    return true;
}

/* Linux gives up what it wants for graphics and USB when such a device is assigned. */
static bool is_relaxable(const struct device *device)
{
    return device->class_code >> 16 == 0x03 || device->class_code >> 8 == 0x0c03;
}

static void say_region(struct reader *reader, const char *address, const char *words,
                       uint64_t start, uint64_t last)
{
    const struct device *device = host_device(reader->host, address);
    struct group *group = device->group != NULL ? host_group(reader->host, device->group) : NULL;
    const char *range = range_text((struct iovageom_range){start, last});

    if (group == NULL)
        group = group_of(reader, ANY_GROUP);
    if (group == NULL || reader->said++ > MOST_SAID)
        return;
    if (!device->pci)
        note(group, text("%s wants %s mapped one to one for %s: unless that is a graphics or a USB "
                         "device, Linux gives it to nobody",
                         words, range, address));
    else if (is_relaxable(device))
        note(group, text("%s wants %s mapped one to one for %s until it is assigned, which hinders "
                         "nothing",
                         words, range, address));
    else
        note(group, text("%s wants %s mapped one to one for %s", words, range, address));
    if (device->pci && !is_relaxable(device))
        group->direct = true;
}

/* "Setting identity map for device 0000:00:02.0 [0x77800000 - 0x7fffffff]", in two orders. */
static bool read_log_identity(struct reader *reader)
{
    const char *at = after(reader, reader->at, "DMAR: Setting identity map ");
    char address[ADDRESS_LENGTH + 1];
    uint64_t start, last;

    if (at == NULL || find_address(reader, reader->at, address) == NULL)
        return false;
    at = after(reader, at, "[");
    at = at != NULL ? take_hex(reader, at, &start) : NULL;
    at = at != NULL ? after(reader, at, "- ") : NULL;
    if (at == NULL || take_hex(reader, at, &last) == NULL || last < start)
        return false;
    /* The first 16 MiB are for ISA, and relaxable. */
    if (start != 0 || last != 0xffffff)
        say_region(reader, address, "firmware (an RMRR)", start, last);
    return true;
}

/* "DMAR: RMRR base: 0x0000004c000000 end: 0x000000503fffff" */
static bool read_log_rmrr(struct reader *reader)
{
    const char *at = after(reader, reader->at, "DMAR: RMRR base: ");
    uint64_t start, last;

    if (at == NULL || (at = take_hex(reader, at, &start)) == NULL ||
        (at = after(reader, at, "end: ")) == NULL || take_hex(reader, at, &last) == NULL)
        return false;
    if (last >= start && reader->rmrr_count < MOST_RMRRS)
        reader->rmrrs[reader->rmrr_count++] = (struct rmrr){start, last};
    return true;
}

/*
 * "AMD-Vi: IVMD_TYPE_RANGE devid_start: 0000:00:00.0 devid_end: 0000:0f:1f.7 range_start: ...
 * range_end: ... flags: 7", what amd_iommu_dump adds. Bit 0: mapped one to one; bit 3: excluded.
 */
static bool read_log_ivmd(struct reader *reader)
{
    const char *at = after(reader, reader->at, "AMD-Vi: IVMD_TYPE");
    char first[ADDRESS_LENGTH + 1] = "", last[ADDRESS_LENGTH + 1] = "";
    uint64_t start, end;
    const char *field;

    if (at == NULL || (field = after(reader, at, "range_start: ")) == NULL ||
        take_hex(reader, field, &start) == NULL ||
        (field = after(reader, at, "range_end: ")) == NULL ||
        take_hex(reader, field, &end) == NULL || end == 0 || end <= start)
        return false;
    field = find_address(reader, at, first);
    if (field == NULL || reader->ivmd_count++ > MOST_RMRRS)
        return false;
    if (find_address(reader, field, last) == NULL)
        memcpy(last, first, sizeof(last));
    /* range_end is the first address behind it. */
    for (size_t i = 0; i < reader->host->device_count; i++) {
        const struct device *device = reader->host->devices[i];
        struct group *group =
            device->group != NULL ? host_group(reader->host, device->group) : NULL;

        if (group == NULL || strcmp(device->address, first) < 0 ||
            strcmp(device->address, last) > 0)
            continue;
        group->direct = true;
        if (reader->said++ <= MOST_SAID)
            note(group, text("firmware (an IVMD) wants %s mapped one to one for %s",
                             range_text((struct iovageom_range){start, end - 1}), device->address));
    }
    return true;
}

/* What newer kernels say when such a device is to be given away, and older ones of Intel's. */
static bool read_log_refusal(struct reader *reader)
{
    static const char *const words[] = {
        "Firmware has requested this device have a 1:1 IOMMU mapping",
        "Device is ineligible for IOMMU domain attach due to platform RMRR requirement",
    };
    char address[ADDRESS_LENGTH + 1];

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const struct device *device;
        struct group *group;

        if (after(reader, reader->at, words[i]) == NULL ||
            find_address(reader, reader->at, address) == NULL)
            continue;
        device = host_device(reader->host, address);
        group = device->group != NULL ? host_group(reader->host, device->group)
                                      : group_of(reader, ANY_GROUP);
        if (group == NULL)
            return true;
        if (device->group == NULL)
            group_add(group, host_device(reader->host, address));
        group->direct = true;
        note(group,
             text("the kernel refused %s, as firmware wants regions for it mapped one to one",
                  address));
        return true;
    }
    return false;
}

/* Lines on the machine as a whole. */
static bool read_log_machine(struct reader *reader)
{
    static const char *const offs[] = {"intel_iommu=off", "amd_iommu=off", "iommu=off",
                                       "DMAR: IOMMU disabled"};
    const char *at = after(reader, reader->at, "Host address width ");
    uint64_t value = 0;

    if (at != NULL) {
        while (at < reader->end && isdigit((unsigned char)*at) != 0 && value < 1000)
            value = value * 10 + (uint64_t)(*at++ - '0');
        reader->width = value <= 64 ? (unsigned)value : 0;
        return true;
    }
    for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
        if (reader->off == NULL && after(reader, reader->at, offs[i]) != NULL)
            reader->off = offs[i];
    }
    at = after(reader, reader->at, "Linux version ");
    if (at != NULL && reader->host->kernel == NULL) {
        const char *end = at;

        while (end < reader->end && isgraph((unsigned char)*end) != 0)
            end++;
        reader->host->kernel = text("Linux (none) %.*s", (int)(end - at), at);
        return true;
    }
    return after(reader, reader->at, "DMAR: IOMMU enabled") != NULL ||
           after(reader, reader->at, "AMD-Vi: Interrupt remapping enabled") != NULL;
}

/* ---- all of it ---- */

static void read_one_line(struct reader *reader)
{
    static bool (*const readers[])(struct reader *) = {
        read_group_path, read_unit_path,     read_device_path,  read_bare_region,  read_log_group,
        read_log_device, read_log_registers, read_log_features, read_log_identity, read_log_rmrr,
        read_log_ivmd,   read_log_refusal,   read_log_machine,  read_lspci,
    };

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (readers[i](reader)) {
            reader->understood++;
            return;
        }
    }
}

/* What is said of no group is so for any of them. */
static void say_to_all(struct reader *reader, const char *words)
{
    for (size_t i = 0; i < reader->host->group_count; i++)
        note(&reader->host->groups[i], words);
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

static void finish_log(struct reader *reader)
{
    struct buffer ranges = {NULL, 0, 0};
    struct host *host = reader->host;

    if (host->group_count == 0)
        (void)group_of(reader, ANY_GROUP);
    sort_groups(host);
    for (size_t i = 0; i < host->group_count; i++)
        host->groups[i].assumed = strcmp(host->groups[i].name, ANY_GROUP) == 0;
    for (size_t i = 0; i < reader->rmrr_count && i < 8; i++)
        buffer_add(
            &ranges, "%s%s", i != 0 ? ", " : "",
            range_text((struct iovageom_range){reader->rmrrs[i].start, reader->rmrrs[i].last}));
    /* Where a group's own list is there, it says which of them are its own. */
    for (size_t i = 0; i < host->group_count && reader->rmrr_count != 0; i++) {
        if (host->groups[i].pasted == NULL)
            note(&host->groups[i],
                 text("firmware wants %s mapped one to one for devices that the text does not "
                      "name: reserved_regions of each group says whose",
                      buffer_text(&ranges)));
    }
    if (reader->width != 0 && host->unit_count == 0)
        say_to_all(reader,
                   text("the host address width of %u bits is that of physical addresses; the "
                        "IOMMU's own is in the lines with \"cap\": dmesg | grep DMAR",
                        reader->width));
    if (reader->off != NULL)
        say_to_all(reader, text("the IOMMU is off: %s", reader->off));
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
    finish_regions(&reader);
    finish_log(&reader);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* lspci, the scripts that print groups with it, and what Proxmox VE prints of devices. */

#include "paste.h"

#include <ctype.h>
#include <string.h>

/* "[10de:1b80]" and "[0300]" somewhere behind an address. */
static bool read_lspci_ids(struct reader *reader, const char *at, struct device *device)
{
    bool known = false, classed = false;

    for (; at < reader->end; at++) {
        uint64_t value;

        if (*at != '[')
            continue;
        /* The class comes first: names of devices may have brackets, too. */
        if (!classed && line_has_form(reader, at + 1, "xxxx]")) {
            classed = true;
            (void)line_hex(reader, at + 1, &value);
            device->class_code = (unsigned)value << 8;
        } else if (line_has_form(reader, at + 1, "xxxx:xxxx]")) {
            (void)line_hex(reader, at + 1, &value);
            device->vendor = (unsigned)value;
            (void)line_hex(reader, at + 6, &value);
            device->device = (unsigned)value;
            known = true;
        }
    }
    device->pci = device->pci || (known && device->class_code != 0);
    return known;
}

/* Classes as pci.ids names them. */
static const struct {
    const char *words;
    unsigned code;
} lspci_classes[] = {
    {"SCSI storage controller", 0x0100},
    {"IDE interface", 0x0101},
    {"RAID bus controller", 0x0104},
    {"SATA controller", 0x0106},
    {"Serial Attached SCSI controller", 0x0107},
    {"Non-Volatile memory controller", 0x0108},
    {"Mass storage controller", 0x0180},
    {"Ethernet controller", 0x0200},
    {"Infiniband controller", 0x0207},
    {"Network controller", 0x0280},
    {"VGA compatible controller", 0x0300},
    {"3D controller", 0x0302},
    {"Display controller", 0x0380},
    {"Multimedia video controller", 0x0400},
    {"Multimedia audio controller", 0x0401},
    {"Audio device", 0x0403},
    {"Multimedia controller", 0x0480},
    {"RAM memory", 0x0500},
    {"Memory controller", 0x0580},
    {"Host bridge", 0x0600},
    {"ISA bridge", 0x0601},
    {"PCI bridge", 0x0604},
    {"CardBus bridge", 0x0607},
    {"Semi-transparent PCI-to-PCI bridge", 0x0609},
    {"Bridge", 0x0680},
    {"Serial controller", 0x0700},
    {"Communication controller", 0x0780},
    {"PIC", 0x0800},
    {"SD Host controller", 0x0805},
    {"IOMMU", 0x0806},
    {"System peripheral", 0x0880},
    {"Co-processor", 0x0b40},
    {"FireWire (IEEE 1394)", 0x0c00},
    {"USB controller", 0x0c03},
    {"SMBus", 0x0c05},
    {"Serial bus controller", 0x0c80},
    {"Encryption controller", 0x1080},
    {"Signal processing controller", 0x1180},
    {"Processing accelerators", 0x1200},
};

/* Without -nn, lspci has the class by its words alone, and no ids. */
static bool read_lspci_class(struct reader *reader, const char *at, struct device *device)
{
    size_t left;

    at = line_blanks(reader, at);
    left = (size_t)(reader->end - at);
    for (size_t i = 0; i < sizeof(lspci_classes) / sizeof(lspci_classes[0]); i++) {
        size_t length = strlen(lspci_classes[i].words);

        if (left <= length + 1 || memcmp(at, lspci_classes[i].words, length) != 0 ||
            (at[length] != ':' && memcmp(at + length, "  ", 2) != 0))
            continue;
        /* What a line with numbers said is more exact. */
        if (!device->pci)
            device->class_code = lspci_classes[i].code << 8;
        device->pci = true;
        return true;
    }
    return false;
}

/* What lspci says of BARs replaces what another text said, as it may have no numbers of them. */
static bool read_lspci_bar(struct reader *reader)
{
    struct bars bars = {.count = 0};

    if (!reader->first_bar)
        bars = reader->device->bars;
    if (!bars_of_lspci(&bars, reader->at, (size_t)(reader->end - reader->at)))
        return false;
    reader->device->bars = bars;
    reader->first_bar = false;
    return true;
}

/*
 * Behind the number of a group: "IOMMU Group 14" and "Group:  14" of scripts, "IOMMU group 14:" of
 * Unraid, and of others alone on its line. NULL for none: elsewhere somebody speaks of one.
 */
static const char *find_heading(const struct reader *reader, char name[64])
{
    static const char *const forms[] = {"IOMMU Group ", "IOMMU group "};
    const char *first = line_blanks(reader, reader->at), *at;
    bool spoken = false;

    if (reader->end - first > 6 && memcmp(first, "Group:", 6) == 0)
        at = first + 6;
    else if ((at = line_after(reader, first, forms[0])) == NULL &&
             (at = line_after(reader, first, forms[1])) != NULL)
        spoken = memchr(at, ':', (size_t)(reader->end - at)) == NULL;
    /* Some align the numbers. */
    at = at != NULL ? line_name(reader, line_blanks(reader, at), name) : NULL;
    if (at == NULL || isdigit((unsigned char)*name) == 0 ||
        (spoken && (line_blanks(reader, at) != reader->end ||
                    memcmp(first, forms[1], strlen(forms[1])) != 0)))
        return NULL;
    return at + (at < reader->end && *at == ':');
}

/* Ids, and the mark of what can be reset, before the address: "[10de:1c03] [R] 01:00.0". */
static const char *behind_ids(const struct reader *reader, const char *at, unsigned *vendor,
                              unsigned *number)
{
    *vendor = *number = 0;
    for (at = line_blanks(reader, at);; at = line_blanks(reader, at)) {
        uint64_t value;

        if (reader->end - at > 3 && memcmp(at, "[R]", 3) == 0) {
            at += 3;
        } else if (at < reader->end && line_has_form(reader, at, "[xxxx:xxxx]")) {
            (void)line_hex(reader, at + 1, &value);
            *vendor = (unsigned)value;
            (void)line_hex(reader, at + 6, &value);
            *number = (unsigned)value;
            at += strlen("[xxxx:xxxx]");
        } else {
            return at;
        }
    }
}

/* What stands behind the address of a device; false where nothing of it can be read. */
static bool read_description(struct reader *reader, const char *at, unsigned vendor,
                             unsigned number)
{
    struct device *device = reader->device;
    char driver[64];
    const char *behind = line_after(reader, at, " Driver: ");

    if (behind != NULL && line_name(reader, line_blanks(reader, behind), driver) != NULL)
        device->driver = text("%s", driver);
    if (vendor == 0)
        return read_lspci_ids(reader, at, device) || read_lspci_class(reader, at, device);
    device->vendor = vendor;
    device->device = number;
    (void)read_lspci_class(reader, at, device);
    return true;
}

/* What lspci -v and -k say below a device. */
static bool read_detail(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "Kernel driver in use: ");
    char name[64];

    if (read_lspci_bar(reader))
        return true;
    if (at != NULL && line_name(reader, at, name) != NULL) {
        reader->device->driver = text("%s", name);
        return true;
    }
    at = line_after(reader, reader->at, "IOMMU group: ");
    if (at == NULL || line_name(reader, at, name) == NULL || isdigit((unsigned char)*name) == 0)
        return false;
    paste_device(reader, name, reader->device->address);
    return true;
}

/*
 * "0000:44:00.0 'Ethernet Controller X710 15ff' if=enp68s0f0 drv=i40e unused=vfio-pci *Active*" of
 * dpdk-devbind.py --status; a device without a driver has no "drv=".
 */
static bool read_devbind(struct reader *reader)
{
    char address[ADDRESS_LENGTH + 1], driver[64] = "";
    const char *at = line_address(reader, reader->at, address);
    const char *name, *unused;

    if (at == NULL || reader->end - at < 3 || memcmp(at, " '", 2) != 0)
        return false;
    name = line_after(reader, at, "' drv=");
    if (name == NULL && (name = line_after(reader, at, "' if=")) != NULL)
        name = line_after(reader, name, " drv=");
    unused = line_after(reader, at, " unused=");
    if (name == NULL && unused == NULL)
        return false;
    if (name != NULL && line_name(reader, name, driver) == NULL)
        return false;
    host_device(reader->host, address)->driver = text("%s", driver);
    return true;
}

/* "IOMMU Group 14: 01:00.0 VGA compatible controller [0300]: ... [10de:1b80] (rev a1)" */
static bool read_lspci(struct reader *reader)
{
    char address[ADDRESS_LENGTH + 1], group[64];
    const char *heading = find_heading(reader, group), *at;
    unsigned vendor, number;
    bool found;

    at = heading != NULL ? heading : reader->at;
    at = line_address(reader, behind_ids(reader, at, &vendor, &number), address);
    found = at != NULL && at < reader->end && *at == ' ';
    /* Other things have groups, too: alone on a line it is one of an IOMMU. */
    if (heading != NULL && (found || line_after(reader, reader->at, "IOMMU ") != NULL)) {
        reader->group = text("%s", group);
        reader->regions_follow = reader->devices_follow = false;
    }
    if (!found)
        return heading != NULL || (reader->device != NULL && read_detail(reader));
    reader->device = host_device(reader->host, address);
    reader->first_bar = true;
    if (!read_description(reader, at, vendor, number) && heading == NULL)
        return false;
    /* Below the heading, where its lines are indented or have their ids first. */
    if (heading != NULL ||
        (reader->group != NULL && (isspace((unsigned char)*reader->at) != 0 || vendor != 0) &&
         !reader->regions_follow))
        paste_device(reader, reader->group, address);
    return true;
}

/* Behind the blanks and the border at `at`, which is a bar of ASCII or of UTF-8; NULL without
 * one. */
static const char *next_cell(const struct reader *reader, const char *at)
{
    at = line_blanks(reader, at);
    if (at < reader->end && *at == '|')
        at++;
    else if (reader->end - at >= 3 && memcmp(at, "\xe2\x94\x82", 3) == 0)
        at += 3;
    else
        return NULL;
    return line_blanks(reader, at);
}

/* "0x2684": a cell with as many digits as `form` has x; its end, or NULL. */
static const char *hex_cell(const struct reader *reader, const char *at, const char *form,
                            unsigned *value)
{
    uint64_t number;

    if (at == NULL || reader->end - at < 2 || memcmp(at, "0x", 2) != 0 ||
        !line_has_form(reader, at + 2, form))
        return NULL;
    at = line_hex(reader, at, &number);
    *value = (unsigned)number;
    return at;
}

/*
 * A row of `pvesh get /nodes/NODE/hardware/pci`: class, device, address, group, vendor, and names:
 * "| 0x030000 | 0x2684 | 0000:01:00.0 | 12 | 0x10de | AD102 |", with borders of UTF-8.
 */
static bool read_pvesh(struct reader *reader)
{
    char address[ADDRESS_LENGTH + 1], group[64];
    unsigned class, number, vendor;
    const char *at = next_cell(reader, reader->at);
    struct device *device;

    if ((at = hex_cell(reader, at, "xxxxxx", &class)) == NULL ||
        (at = hex_cell(reader, next_cell(reader, at), "xxxx", &number)) == NULL ||
        (at = next_cell(reader, at)) == NULL || (at = line_address(reader, at, address)) == NULL ||
        (at = next_cell(reader, at)) == NULL || (at = line_name(reader, at, group)) == NULL ||
        hex_cell(reader, next_cell(reader, at), "xxxx", &vendor) == NULL)
        return false;
    device = host_device(reader->host, address);
    device->pci = true;
    device->class_code = class;
    device->vendor = vendor;
    device->device = number;
    /* -1 is none. */
    if (isdigit((unsigned char)*group) != 0)
        paste_device(reader, group, address);
    return true;
}

bool paste_read_lspci(struct reader *reader)
{
    return read_pvesh(reader) || read_devbind(reader) || read_lspci(reader);
}

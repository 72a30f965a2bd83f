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

        if (left <= length || memcmp(at, lspci_classes[i].words, length) != 0 || at[length] != ':')
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

/* "IOMMU Group 14: 01:00.0 VGA compatible controller [0300]: ... [10de:1b80] (rev a1)" */
static bool read_lspci(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "IOMMU Group ");
    char address[ADDRESS_LENGTH + 1], name[64], word[64];
    const char *end;
    struct device *device;

    if (at != NULL) {
        /* Some align the numbers. */
        at = line_name(reader, line_blanks(reader, at), name);
        if (at == NULL || isdigit((unsigned char)*name) == 0)
            return false;
        reader->group = text("%s", name);
        reader->regions_follow = reader->devices_follow = false;
    }
    end = line_blanks(reader, at != NULL ? at + (at < reader->end && *at == ':') : reader->at);
    end = line_address(reader, end, address);
    if (end != NULL && end < reader->end && *end == ' ') {
        device = host_device(reader->host, address);
        reader->device = device;
        reader->first_bar = true;
        if (!read_lspci_ids(reader, end, device) && !read_lspci_class(reader, end, device) &&
            at == NULL)
            return false;
        if (at != NULL || (reader->group != NULL && isspace((unsigned char)*reader->at) != 0 &&
                           !reader->regions_follow))
            paste_device(reader, reader->group, address);
        return true;
    }
    if (at != NULL)
        return true;
    if (reader->device == NULL)
        return false;
    if (read_lspci_bar(reader))
        return true;
    at = line_after(reader, reader->at, "Kernel driver in use: ");
    if (at != NULL && line_name(reader, at, word) != NULL) {
        reader->device->driver = text("%s", word);
        return true;
    }
    at = line_after(reader, reader->at, "IOMMU group: ");
    if (at == NULL || line_name(reader, at, name) == NULL || isdigit((unsigned char)*name) == 0)
        return false;
    paste_device(reader, name, reader->device->address);
    return true;
}

/* Behind the blanks and the border at `at`, which is a bar of ASCII or of UTF-8; NULL without one. */
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
    return read_pvesh(reader) || read_lspci(reader);
}

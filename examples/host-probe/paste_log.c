/* SPDX-License-Identifier: BSD-3-Clause */

/* What the kernel's log says of IOMMUs: groups, registers, regions that firmware wants,
 * refusals. */

#include "paste.h"

#include <ctype.h>
#include <string.h>

/* The name of a device that is not PCI, which ends at `end`: "platform MSFT0201:00". */
static bool other_name(const struct reader *reader, const char *end, char name[64])
{
    const char *at = end;
    size_t length;

    while (at > reader->at && at[-1] != '\0' &&
           (isalnum((unsigned char)at[-1]) != 0 || strchr("._-+:@,", at[-1]) != NULL))
        at--;
    length = (size_t)(end - at);
    if (length == 0 || length >= 64)
        return false;
    memcpy(name, at, length);
    name[length] = '\0';
    return true;
}

/* "pci 0000:3b:02.0: Removing from iommu group 77" */
static bool read_log_removal(struct reader *reader)
{
    char address[ADDRESS_LENGTH + 1];

    if (line_after(reader, reader->at, ": Removing from iommu group ") == NULL ||
        line_find_address(reader, reader->at, address) == NULL)
        return false;
    host_device(reader->host, address)->group = NULL;
    return true;
}

/*
 * "vfio-pci 0000:01:00.0: Adding kernel taint for vfio-noiommu group on device": what it was added
 * to translates nothing, in that boot.
 */
static bool read_log_unsafe(struct reader *reader)
{
    char address[ADDRESS_LENGTH + 1];

    if (line_after(reader, reader->at, ": Adding kernel taint for vfio-noiommu group") == NULL ||
        line_find_address(reader, reader->at, address) == NULL)
        return false;
    host_device(reader->host, address)->unsafe_boot = reader->machine.boot + 1;
    return true;
}

/* "Adding to iommu group 9", "Adding device 0000:00:00.0 to group 0" of older kernels. */
static bool read_log_group(struct reader *reader)
{
    static const char adding[] = ": Adding to iommu group ";
    char address[ADDRESS_LENGTH + 1], group[64], other[64];
    const char *at = line_after(reader, reader->at, adding);
    size_t between = sizeof(adding) - 1; /* from the device's name to that of the group */

    if (at == NULL) {
        at = line_after(reader, reader->at, "iommu: Adding device ");
        at = at != NULL ? line_after(reader, at, " to group ") : NULL;
        between = sizeof(" to group ") - 1;
    }
    if (at == NULL || line_name(reader, at, group) == NULL || isdigit((unsigned char)*group) == 0)
        return false;
    if (line_find_address(reader, reader->at, address) != NULL)
        paste_device(reader, group, address);
    else if (other_name(reader, at - between, other))
        paste_device(reader, group, other);
    else
        return false;
    /* After the parameters of a kernel that has one. */
    reader->machine.off = 0;
    return true;
}

/*
 * "pci 0000:01:00.0: BAR 1 [mem 0x6000000000-0x63ffffffff 64bit pref]", and up to Linux 6.8 "pci
 * 0000:01:00.0: reg 0x14: [mem 0xf6000000-0xf6ffffff]". A BAR that was moved or resized is told
 * again: "BAR 1 [mem ...]: assigned", "BAR 1: assigned [mem ...]".
 */
static bool read_log_bar(struct reader *reader)
{
    char address[ADDRESS_LENGTH + 1];
    const char *at = line_find_address(reader, reader->at, address);
    const char *memory = at != NULL ? line_after(reader, at, "[mem ") : NULL;
    uint64_t number, start, last;

    if (memory == NULL || reader->end - at < 6)
        return false;
    if (memcmp(at, ": BAR ", 6) == 0) {
        if (line_hex(reader, at + 6, &number) == NULL)
            return false;
    } else if (memcmp(at, ": reg ", 6) == 0) {
        if (line_hex(reader, at + 6, &number) == NULL || number < 0x10 || number % 4 != 0)
            return false;
        number = (number - 0x10) / 4;
    } else {
        return false;
    }
    at = line_hex(reader, memory, &start);
    if (at == NULL || at == reader->end || *at != '-' || line_hex(reader, at + 1, &last) == NULL ||
        last <= start || (start == 0 && last == UINT64_MAX) || number > BARS_OF_DEVICE)
        return false;
    bars_put(&host_device(reader->host, address)->bars, (unsigned)number, last - start + 1,
             line_after(reader, memory, "64bit") == NULL);
    return true;
}

/* "pci 0000:00:02.0: [8086:3e92] type 00 class 0x030000" */
static bool read_log_device(struct reader *reader)
{
    const char *type = line_after(reader, reader->at, "] type ");
    const char *class = type != NULL ? line_after(reader, type, " class 0x") : NULL;
    char address[ADDRESS_LENGTH + 1];
    struct device *device;
    const char *ids;
    uint64_t vendor, number, code;

    ids = class != NULL ? line_find_address(reader, reader->at, address) : NULL;
    ids = ids != NULL ? line_after(reader, ids, ": [") : NULL;
    if (ids == NULL || !line_has_form(reader, ids, "xxxx:xxxx]") ||
        line_hex(reader, ids, &vendor) == NULL || line_hex(reader, ids + 5, &number) == NULL ||
        line_hex(reader, class, &code) == NULL)
        return false;
    device = host_device(reader->host, address);
    device->pci = true;
    device->vendor = (unsigned)vendor;
    device->device = (unsigned)number;
    device->class_code = (unsigned)code & 0xffffff;
    return true;
}

/*
 * Whether somebody's terminal has broken the line at `at`, within a number: the next line is the
 * rest of its digits.
 */
static bool goes_on(const struct reader *reader, const char *at)
{
    const char *end = (const char *)reader->text->bytes + reader->text->length;

    if (at < reader->end || reader->line_end == end)
        return false;
    at = reader->line_end + 1;
    while (at < end && (*at == '>' || *at == ' '))
        at++;
    if (at == end || isxdigit((unsigned char)*at) == 0)
        return false;
    while (at < end && isxdigit((unsigned char)*at) != 0)
        at++;
    return at == end || *at == '\n';
}

static bool has_attribute(const struct host *host, const char *name, const char *file)
{
    for (size_t i = 0; i < host->unit_count; i++) {
        if (strcmp(host->units[i].name, name) == 0)
            return unit_attribute(&host->units[i], file).there;
    }
    return false;
}

/*
 * "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 19e2ff0505e"; up to Linux
 * 3.19 "dmar: IOMMU 0: reg_base_addr ...". Half a register is none.
 */
static bool read_log_registers(struct reader *reader)
{
    const char *base = line_after(reader, reader->at, "reg_base_addr ");
    const char *cap = base != NULL ? line_after(reader, base, " cap ") : NULL;
    const char *ecap = cap != NULL ? line_after(reader, cap, " ecap ") : NULL;
    const char *at = line_after(reader, reader->at, "DMAR: dmar");
    char number[64];
    uint64_t value;

    if (at == NULL)
        at = line_after(reader, reader->at, "dmar: IOMMU ");
    if (base == NULL || at == NULL || line_name(reader, at, number) == NULL ||
        isdigit((unsigned char)*number) == 0)
        return false;
    /* Where the register was cut, the IOMMU is there all the same. */
    if (ecap == NULL || line_hex(reader, cap, &value) == NULL) {
        if (!has_attribute(reader->host, text("dmar%s", number), "cap"))
            paste_attribute(reader, text("dmar%s", number), "cap", "");
        return true;
    }
    paste_attribute(reader, text("dmar%s", number), "cap", text("%llx", (unsigned long long)value));
    at = line_hex(reader, ecap, &value);
    if (at != NULL && !goes_on(reader, at))
        paste_attribute(reader, text("dmar%s", number), "ecap",
                        text("%llx", (unsigned long long)value));
    return true;
}

/*
 * "AMD-Vi: Extended features (0x58f77ef22294a5a, 0x0): PPR NX", with one number or two; and
 * firmware's copy, "AMD-Vi: Using global IVHD EFR:0x58f77ef22294a5a, EFR2:0x0". What stands behind
 * the first shows that all of it is there.
 */
static bool read_log_features(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "AMD-Vi: Extended features (");
    uint64_t first, second = 0;

    if (at == NULL)
        at = line_after(reader, reader->at, "AMD-Vi: Using global IVHD EFR:");
    if (at == NULL || (at = line_hex(reader, at, &first)) == NULL || at == reader->end)
        return false;
    /* Firmware's copy is 0 where it has none; the register may tell, in another line. */
    if (first == 0)
        return true;
    if (*at == ',') {
        at = line_blanks(reader, at + 1);
        if (reader->end - at > 5 && memcmp(at, "EFR2:", 5) == 0)
            at += 5;
        (void)line_hex(reader, at, &second);
    }
    paste_attribute(reader, "ivhd0", "features",
                    text("%llx:%llx", (unsigned long long)first, (unsigned long long)second));
    return true;
}

/*
 * "DMAR: Setting identity map for device 0000:00:02.0 [0x77800000 - 0x7fffffff]", in two orders; up
 * to Linux 3.19 with "IOMMU: " before it.
 */
static bool read_log_identity(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, ": Setting identity map ");
    char address[ADDRESS_LENGTH + 1];
    uint64_t start, last;

    if (at == NULL || line_find_address(reader, reader->at, address) == NULL)
        return false;
    at = line_after(reader, at, "[");
    at = at != NULL ? line_hex(reader, at, &start) : NULL;
    at = at != NULL ? line_after(reader, at, "- ") : NULL;
    if (at == NULL || line_hex(reader, at, &last) == NULL || last < start)
        return false;
    /* The first 16 MiB are for ISA, and relaxable. */
    if (start != 0 || last != 0xffffff)
        paste_demand(reader, DEMAND_LOG, address, (struct rmrr){start, last});
    return true;
}

/* "DMAR: RMRR base: 0x0000004c000000 end: 0x000000503fffff" */
static bool read_log_rmrr(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, ": RMRR base: ");
    uint64_t start, last;

    if (at == NULL || (at = line_hex(reader, at, &start)) == NULL ||
        (at = line_after(reader, at, "end: ")) == NULL || line_hex(reader, at, &last) == NULL)
        return false;
    if (last >= start)
        paste_rmrr(reader, (struct rmrr){start, last});
    return true;
}

/*
 * "AMD-Vi: IVMD_TYPE_RANGE devid_start: 0000:00:00.0 devid_end: 0000:0f:1f.7 range_start: ...
 * range_end: ... flags: 7", what amd_iommu_dump adds.
 */
static bool read_log_ivmd(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "AMD-Vi: IVMD_TYPE");
    struct ivmd ivmd = {.rmr = false};
    uint64_t end;
    const char *field;

    if (at == NULL || (field = line_after(reader, at, "range_start: ")) == NULL ||
        line_hex(reader, field, &ivmd.range.start) == NULL ||
        (field = line_after(reader, at, "range_end: ")) == NULL ||
        line_hex(reader, field, &end) == NULL || end <= ivmd.range.start)
        return false;
    field = line_find_address(reader, at, ivmd.first);
    if (field == NULL)
        return false;
    if (line_find_address(reader, field, ivmd.last) == NULL)
        memcpy(ivmd.last, ivmd.first, sizeof(ivmd.last));
    /* range_end is the first address behind it. */
    ivmd.range.last = end - 1;
    paste_ivmd(reader, &ivmd);
    return true;
}

/* What newer kernels say when such a device is to be given away, and older ones of Intel's. */
static bool read_log_refusal(struct reader *reader)
{
    char address[ADDRESS_LENGTH + 1];

    if ((line_after(reader, reader->at,
                    "Firmware has requested this device have a 1:1 IOMMU mapping") == NULL &&
         line_after(reader, reader->at,
                    "Device is ineligible for IOMMU domain attach due to platform RMRR "
                    "requirement") == NULL) ||
        line_find_address(reader, reader->at, address) == NULL)
        return false;
    paste_demand(reader, DEMAND_REFUSAL, address, (struct rmrr){0, 0});
    return true;
}

bool paste_read_log(struct reader *reader)
{
    static bool (*const readers[])(struct reader *) = {
        read_log_group,     read_log_removal,  read_log_device,   read_log_bar,
        read_log_registers, read_log_features, read_log_identity, read_log_rmrr,
        read_log_ivmd,      read_log_refusal,  read_log_unsafe,   paste_read_machine,
    };

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (readers[i](reader))
            return true;
    }
    return false;
}

void paste_finish_log(struct reader *reader)
{
    struct buffer ranges = {NULL, 0, 0};
    struct host *host = reader->host;

    for (size_t i = 0; i < reader->rmrr_count && i < MOST_RMRRS; i++)
        buffer_add(
            &ranges, "%s%s", i != 0 ? ", " : "",
            range_text((struct iovageom_range){reader->rmrrs[i].start, reader->rmrrs[i].last}));
    if (reader->rmrr_count > MOST_RMRRS)
        buffer_add(&ranges, " and %zu more", reader->rmrr_count - MOST_RMRRS);
    /* Where a group's own list is there, it says which of them are its own. */
    for (size_t i = 0; i < host->group_count && reader->rmrr_count != 0; i++) {
        if (host->groups[i].pasted == NULL)
            group_note(
                &host->groups[i],
                text("firmware wants %s mapped one to one for devices that the text does not "
                     "name: reserved_regions of each group says whose",
                     buffer_text(&ranges)));
    }
    paste_finish_machine(reader);
}

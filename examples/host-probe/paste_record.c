/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Devices as programs print them for other programs, a field a line: `lspci -vmm`, `virsh
 * nodedev-dumpxml`, and `pvesh get /nodes/NODE/hardware/pci --output-format json-pretty`. A device
 * is put together when its last field has come, as each has an order of its own.
 */

#include "paste.h"

#include <ctype.h>
#include <string.h>

enum field {
    FIELD_BEGIN,
    FIELD_ADDRESS,
    FIELD_CLASS,
    FIELD_VENDOR,
    FIELD_DEVICE,
    FIELD_DRIVER,
    FIELD_GROUP,
    FIELD_MEMBER, /* another device of that group */
    FIELD_GROUP_END,
    FIELD_END
};

/* How a line begins; a quotation mark is one of either kind. */
static const struct {
    const char *words;
    enum record_kind kind;
    enum field field;
} forms[] = {
    {"Slot:", RECORD_LSPCI, FIELD_BEGIN},
    {"Class:", RECORD_LSPCI, FIELD_CLASS},
    {"Vendor:", RECORD_LSPCI, FIELD_VENDOR},
    {"Device:", RECORD_LSPCI, FIELD_DEVICE},
    {"Driver:", RECORD_LSPCI, FIELD_DRIVER},
    {"IOMMUGroup:", RECORD_LSPCI, FIELD_GROUP},
    {"<device>", RECORD_VIRSH, FIELD_BEGIN},
    {"<path>/sys/devices/", RECORD_VIRSH, FIELD_ADDRESS},
    {"<class>", RECORD_VIRSH, FIELD_CLASS},
    {"<vendor id='", RECORD_VIRSH, FIELD_VENDOR},
    {"<product id='", RECORD_VIRSH, FIELD_DEVICE},
    {"<name>", RECORD_VIRSH, FIELD_DRIVER},
    {"<iommuGroup number='", RECORD_VIRSH, FIELD_GROUP},
    {"<address ", RECORD_VIRSH, FIELD_MEMBER},
    {"</iommuGroup>", RECORD_VIRSH, FIELD_GROUP_END},
    {"</device>", RECORD_VIRSH, FIELD_END},
    {"{", RECORD_PVESH, FIELD_BEGIN},
    {"'id' : '", RECORD_PVESH, FIELD_ADDRESS},
    {"'class' : '", RECORD_PVESH, FIELD_CLASS},
    {"'vendor' : '", RECORD_PVESH, FIELD_VENDOR},
    {"'device' : '", RECORD_PVESH, FIELD_DEVICE},
    {"'iommugroup' : ", RECORD_PVESH, FIELD_GROUP},
    {"}", RECORD_PVESH, FIELD_END},
};

/* Behind `words`, if they stand at `at`. */
static const char *behind(const struct reader *reader, const char *at, const char *words)
{
    for (; *words != '\0'; words++, at++) {
        if (at == reader->end || (*words == '\'' ? *at != '\'' && *at != '"' : *at != *words))
            return NULL;
    }
    return at;
}

/* The number at `at`; of lspci the one in the last brackets of the line, "Some [X] [2684]". */
static unsigned number_at(const struct reader *reader, const char *at)
{
    const char *end = reader->end;
    uint64_t value;

    if (reader->record.kind == RECORD_LSPCI) {
        while (end > at && isspace((unsigned char)end[-1]) != 0)
            end--;
        if (end == at || end[-1] != ']')
            return 0;
        for (end--; end > at && end[-1] != '['; end--)
            ;
        at = end;
    }
    return line_hex(reader, at, &value) != NULL && value <= 0xffffff ? (unsigned)value : 0;
}

/* The last address of a path; those of bridges stand before it. */
static void find_address(struct reader *reader, const char *at)
{
    char found[ADDRESS_LENGTH + 1];

    while ((at = line_find_address(reader, at, found)) != NULL)
        memcpy(reader->record.address, found, sizeof(found));
}

/* "<address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/>": its fields in any order. */
static bool read_member(struct reader *reader)
{
    static const char *const names[] = {" domain=", " bus=", " slot=", " function="};
    static const uint64_t most[] = {0xffffffff, 0xff, 0x1f, 7};
    uint64_t values[4];

    if (*reader->record.group == '\0' || !reader->record.members)
        return false;
    for (size_t i = 0; i < 4; i++) {
        const char *at = line_after(reader, reader->at, names[i]);

        if (at == NULL || at == reader->end || line_hex(reader, at + 1, &values[i]) == NULL ||
            values[i] > most[i])
            return false;
    }
    paste_device(reader, reader->record.group,
                 text("%04x:%02x:%02x.%x", (unsigned)values[0], (unsigned)values[1],
                      (unsigned)values[2], (unsigned)values[3]));
    return true;
}

bool paste_finish_record(struct reader *reader)
{
    const struct record record = reader->record;
    struct device *device;

    reader->record = (struct record){.kind = RECORD_NONE};
    if (*record.address == '\0')
        return false;
    device = host_device(reader->host, record.address);
    if (record.vendor != 0 && record.class_code != 0) {
        device->pci = true;
        device->vendor = record.vendor & 0xffff;
        device->device = record.number & 0xffff;
        device->class_code = record.class_code;
    }
    if (*record.driver != '\0')
        device->driver = text("%s", record.driver);
    if (*record.group != '\0')
        paste_device(reader, record.group, record.address);
    return true;
}

static bool begin(struct reader *reader, enum record_kind kind, const char *at)
{
    (void)paste_finish_record(reader);
    reader->record.kind = kind;
    if (kind != RECORD_LSPCI)
        return false; /* nothing is said yet */
    return line_address(reader, line_blanks(reader, at), reader->record.address) != NULL;
}

static bool read_field(struct reader *reader, enum field field, const char *at)
{
    struct record *record = &reader->record;

    at = line_blanks(reader, at);
    switch (field) {
    case FIELD_ADDRESS:
        find_address(reader, at);
        return *record->address != '\0';
    case FIELD_CLASS:
        record->class_code = number_at(reader, at) << (record->kind == RECORD_LSPCI ? 8 : 0);
        return true;
    case FIELD_VENDOR:
        record->vendor = number_at(reader, at);
        return true;
    case FIELD_DEVICE:
        record->number = number_at(reader, at);
        return true;
    case FIELD_DRIVER:
        return line_name(reader, at, record->driver) != NULL;
    case FIELD_GROUP:
        /* -1 is none. */
        if (line_name(reader, at, record->group) == NULL ||
            isdigit((unsigned char)*record->group) == 0)
            record->group[0] = '\0';
        record->members = true;
        return true;
    case FIELD_MEMBER:
        return read_member(reader);
    case FIELD_GROUP_END:
        record->members = false;
        return true;
    default:
        return paste_finish_record(reader);
    }
}

bool paste_read_record(struct reader *reader)
{
    const char *line = line_blanks(reader, reader->at);

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *at = behind(reader, line, forms[i].words);

        if (at == NULL)
            continue;
        if (forms[i].field == FIELD_BEGIN)
            return begin(reader, forms[i].kind, at);
        if (forms[i].kind == reader->record.kind)
            return read_field(reader, forms[i].field, at);
    }
    return false;
}

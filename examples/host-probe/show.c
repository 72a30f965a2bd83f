/* SPDX-License-Identifier: BSD-3-Clause */
#include "show.h"

#include <stdio.h>
#include <string.h>

#include <iovageom/status.h>
#include <iovageom/virtio.h>

enum {
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_RANGE,
    COLUMN_SIZE,
    COLUMN_INFO,
    COLUMN_FROM,
    COLUMN_START,
    COLUMN_LAST,
    COLUMN_BYTES,
    COLUMN_GROUP
};

const struct column show_columns[] = {
    {"NAME", "group, device, or kind of statement", false},
    {"TYPE", "type of a group's domain, of a reserved region, of a driver; width", false},
    {"RANGE", "addresses, both ends included", false},
    {"SIZE", "size of the range", true},
    {"INFO", "vendor, device and class; page sizes; number of mappings", false},
    {"FROM", "who says so", false},
    {"START", "first address", true},
    {"LAST", "last address", true},
    {"BYTES", "size of the range in bytes", true},
    {"GROUP", "the group that the line belongs to", true},
};

const size_t show_column_count = sizeof(show_columns) / sizeof(show_columns[0]);

static const char *class_name(unsigned class_code)
{
    static const char *const names[] = {
        "unclassified device",
        "mass storage controller",
        "network controller",
        "display controller",
        "multimedia controller",
        "memory controller",
        "bridge",
        "communication controller",
        "system peripheral",
        "input controller",
        "docking station",
        "processor",
        "serial bus controller",
        "wireless controller",
        "intelligent controller",
        "satellite controller",
        "encryption controller",
        "signal processing controller",
        "accelerator",
        "instrumentation",
    };
    static const struct {
        unsigned code;
        const char *name;
    } exact[] = {
        {0x0100, "SCSI storage"},   {0x0106, "SATA controller"}, {0x0108, "NVM controller"},
        {0x0200, "Ethernet"},       {0x0207, "InfiniBand"},      {0x0300, "VGA controller"},
        {0x0302, "3D controller"},  {0x0403, "audio device"},    {0x0600, "host bridge"},
        {0x0601, "ISA bridge"},     {0x0604, "PCI bridge"},      {0x0806, "IOMMU"},
        {0x0c03, "USB controller"}, {0x0c05, "SMBus"},
    };

    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        if (class_code >> 8 == exact[i].code)
            return exact[i].name;
    }
    if (class_code >> 16 < sizeof(names) / sizeof(names[0]))
        return names[class_code >> 16];
    return "unclassified device";
}

/* ---- the list of groups ---- */

static void put_range(struct row *row, struct iovageom_range range)
{
    struct iovageom_size size = iovageom_range_size(range);

    row->cells[COLUMN_RANGE] = range_text(range);
    row->cells[COLUMN_SIZE] = size_text(size);
    row->cells[COLUMN_START] = text("0x%llx", (unsigned long long)range.start);
    row->cells[COLUMN_LAST] = text("0x%llx", (unsigned long long)range.last);
    row->cells[COLUMN_BYTES] =
        size.hi != 0 ? "18446744073709551616" : text("%llu", (unsigned long long)size.lo);
}

static struct row *add_row(struct table *table, const struct row *parent, const char *name,
                           const char *group)
{
    struct row *row = table_add(table, parent);

    row->cells[COLUMN_NAME] = name;
    row->cells[COLUMN_GROUP] = group;
    return row;
}

static void add_device(struct table *table, const struct row *parent, const struct device *device)
{
    struct row *row = add_row(table, parent, device->address, device->group);
    const char *info = "";

    if (device->pci)
        info = text("%04x:%04x class %06x %s", device->vendor, device->device, device->class_code,
                    class_name(device->class_code));
    if (device->name != NULL)
        info = text("%s%s%s", info, *info != '\0' ? ", " : "", device->name);
    row->cells[COLUMN_TYPE] =
        device->driver != NULL && *device->driver != '\0' ? device->driver : NULL;
    row->cells[COLUMN_INFO] = info;
    row->cells[COLUMN_FROM] = "sysfs";
}

static void add_statements(struct table *table, const struct row *parent,
                           const struct verdict *verdict)
{
    const char *group = verdict->group->name;
    struct row *row;

    for (size_t i = 0; i < verdict->statement_count; i++) {
        const struct statement *statement = &verdict->statements[i];
        const char *from =
            statement->counts ? statement->source : text("%s, to check", statement->source);

        if (statement->has_aperture) {
            row = add_row(table, parent, "aperture", group);
            row->cells[COLUMN_TYPE] = text("%u bits", statement->bits);
            row->cells[COLUMN_FROM] = from;
            put_range(row, statement->aperture);
        }
        if (statement->has_page_sizes) {
            row = add_row(table, parent, "page sizes", group);
            row->cells[COLUMN_TYPE] = text("0x%llx", (unsigned long long)statement->page_sizes);
            row->cells[COLUMN_INFO] = page_sizes_text(statement->page_sizes);
            row->cells[COLUMN_FROM] = from;
        }
        if (statement->has_alignment) {
            row = add_row(table, parent, "alignment", group);
            row->cells[COLUMN_INFO] = page_sizes_text(statement->alignment);
            row->cells[COLUMN_FROM] = from;
        }
        if (statement->has_budget) {
            row = add_row(table, parent, "mappings", group);
            row->cells[COLUMN_INFO] = text("%llu", (unsigned long long)statement->budget);
            row->cells[COLUMN_FROM] = from;
        }
    }
}

static void add_ranges(struct table *table, const struct row *parent, const struct verdict *verdict)
{
    const char *group = verdict->group->name;
    struct row *row;

    for (size_t i = 0; i < verdict->reserved_count; i++) {
        row = add_row(table, parent, "reserved", group);
        row->cells[COLUMN_TYPE] = iovageom_resv_type_string(verdict->reserved[i].type);
        row->cells[COLUMN_FROM] = verdict->reserved[i].source;
        row->color = iovageom_resv_type_forbids(verdict->reserved[i].type) ? "red" : NULL;
        put_range(row, verdict->reserved[i].range);
    }
    for (size_t i = 0; i < verdict->usable_count; i++) {
        row = add_row(table, parent, "usable", group);
        row->color = "green";
        put_range(row, verdict->usable[i]);
    }
    /* Not green, and not with the word: nobody said that these can be mapped. */
    for (size_t i = 0; i < verdict->unknown_count; i++) {
        row = add_row(table, parent, "unknown", group);
        row->color = "yellow";
        put_range(row, verdict->unknown[i]);
    }
}

/* "reserved_regions:2" of ".../1/reserved_regions:2: the range ends ..." */
static const char *file_of(const char *words)
{
    size_t length = strlen(words);
    const char *end = strstr(words, ": ");
    const char *start = words;

    if (end != NULL)
        length = (size_t)(end - words);
    for (size_t i = 0; i < length; i++) {
        if (words[i] == '/')
            start = words + i + 1;
    }
    return text("%.*s", (int)(length - (size_t)(start - words)), start);
}

static void add_group(struct table *table, const struct verdict *verdict)
{
    const struct group *group = verdict->group;
    struct row *parent = add_row(table, NULL, text("group %s", group->name), group->name);
    struct row *row;

    parent->cells[COLUMN_TYPE] = verdict->no_iommu ? "no IOMMU" : group->type;
    parent->cells[COLUMN_INFO] = group->title;
    parent->color = "bold";
    for (size_t i = 0; i < group->device_count; i++)
        add_device(table, parent, group->devices[i]);
    for (size_t i = 0; i < verdict->hinder_count; i++) {
        row = add_row(table, parent, "not viable", group->name);
        row->cells[COLUMN_TYPE] = verdict->hinder[i]->driver;
        row->cells[COLUMN_INFO] = verdict->hinder[i]->address;
        row->color = "red";
    }
    for (size_t i = 0; i < verdict->faults.count; i++) {
        row = add_row(table, parent, "not read", group->name);
        row->cells[COLUMN_INFO] = file_of(verdict->faults.words[i]);
        row->color = "red";
    }
    add_statements(table, parent, verdict);
    if (!verdict->knows_width) {
        row = add_row(table, parent, "aperture", group->name);
        row->cells[COLUMN_TYPE] = verdict->no_iommu ? "none" : "not known";
    }
    add_ranges(table, parent, verdict);
}

void show_notes(const struct verdict *verdicts, size_t count, FILE *stream)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < verdicts[i].note_count; k++)
            fprintf(stream, "note: group %s: %s\n", verdicts[i].group->name, verdicts[i].notes[k]);
    }
}

void show_groups(const struct verdict *verdicts, size_t count, const struct table_style *style)
{
    struct table table = {
        .columns = show_columns, .column_count = show_column_count, .tree = !style->raw};

    for (size_t i = 0; i < count; i++)
        add_group(&table, &verdicts[i]);
    table_print(&table, style);
    /* A script reads what is raw line by line: a note is no line of the table. */
    fflush(stdout);
    show_notes(verdicts, count, style->raw ? stderr : stdout);
}

/* ---- the promise ---- */

void show_regions(const struct iovageom_region *regions, size_t count, bool colors)
{
    static const struct column columns[] = {
        {"NUMBER", "", true}, {"SUBTYPE", "", false}, {"RANGE", "", false}, {"SIZE", "", true}};
    static const size_t all[] = {0, 1, 2, 3};
    struct table table = {.columns = columns, .column_count = 4};
    struct table_style same = {all, 4, true, false, colors};

    for (size_t i = 0; i < count; i++) {
        struct row *row = table_add(&table, NULL);

        row->cells[0] = text("%zu", i + 1);
        row->cells[1] = regions[i].type == IOVAGEOM_RESV_MSI ? "MSI" : "RESERVED";
        row->cells[2] = range_text(regions[i].range);
        row->cells[3] = size_text(iovageom_range_size(regions[i].range));
    }
    if (count != 0)
        table_print(&table, &same);
}

static void show_bytes(const uint8_t *bytes, size_t length)
{
    for (size_t line = 0; line < length; line += 16) {
        printf("%08zx ", line);
        for (size_t i = line; i < line + 16; i++) {
            if (i < length)
                printf("%s%02x", i % 8 == 0 ? "  " : " ", bytes[i]);
            else
                printf("%s  ", i % 8 == 0 ? "  " : " ");
        }
        printf("  |");
        for (size_t i = line; i < line + 16 && i < length; i++)
            putchar(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
        printf("|\n");
    }
}

void show_promise_bytes(const struct verdict *verdict, const struct promise *promise,
                        const char *format)
{
    if (promise->refused != NULL)
        die(EXIT_REFUSED, "group %s: nothing can be promised: %s", verdict->group->name,
            promise->refused);
    for (size_t i = 0; i < promise->note_count; i++)
        warn("note: %s", promise->notes[i]);
    if (strcmp(format, "raw") == 0) {
        (void)fwrite(promise->bytes, 1, promise->length, stdout);
        return;
    }
    if (strcmp(format, "hex") == 0) {
        for (size_t i = 0; i < promise->length; i++)
            printf("%02x", promise->bytes[i]);
        putchar('\n');
        return;
    }
    printf("static const unsigned char probe[%zu] = {", promise->length);
    for (size_t i = 0; i < promise->length; i++)
        printf("%s0x%02x,", i % 12 == 0 ? "\n    " : " ", promise->bytes[i]);
    puts("\n};");
}

static bool says_the_same(const struct promise *promise)
{
    if (promise->region_count != promise->decoded_count)
        return false;
    for (size_t i = 0; i < promise->region_count; i++) {
        if (promise->regions[i].type != promise->decoded[i].type ||
            !iovageom_range_equal(promise->regions[i].range, promise->decoded[i].range))
            return false;
    }
    return true;
}

void show_promise(const struct verdict *verdict, const struct promise *promise,
                  const struct table_style *style)
{
    const struct group *group = verdict->group;

    printf("\nWhat a virtual IOMMU should tell a guest of group %s (", group->name);
    for (size_t i = 0; i < group->device_count; i++)
        printf("%s%s", i != 0 ? " " : "", group->devices[i]->address);
    printf(")\n");
    if (promise->refused != NULL) {
        printf("nothing: %s\n", promise->refused);
        return;
    }
    printf("page_size_mask 0x%llx, input_range %s\n", (unsigned long long)promise->page_size_mask,
           range_text(promise->input_range));
    printf("RESV_MEM: %zu %s, %zu bytes\n", promise->region_count,
           promise->region_count == 1 ? "property" : "properties",
           iovageom_virtio_probe_bytes(promise->region_count));
    show_regions(promise->regions, promise->region_count, style->colors);
    printf("\nPROBE properties, %zu bytes:\n", promise->length);
    show_bytes(promise->bytes, promise->length);
    printf("\nThe same bytes, decoded%s:\n",
           says_the_same(promise) ? "" : ", after the list was made to fit");
    if (promise->decoded_count == 0)
        printf("no property: every address may be mapped\n");
    show_regions(promise->decoded, promise->decoded_count, style->colors);
    for (size_t i = 0; i < promise->note_count; i++)
        printf("note: %s\n", promise->notes[i]);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* The list of groups: who is in them, what is said of them and by whom, and what is left usable. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/status.h>

#include "names.h"
#include "show.h"

#define MOST_NOTES 40
#define MOST_RUNS  30 /* of groups, in one sentence */

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
    COLUMN_GROUP,
    COLUMN_DETAIL,
    COLUMN_VERDICT,
    COLUMN_VENDOR,
    COLUMN_MODEL,
};

const struct column show_columns[] = {
    {"NAME", "group, device, or kind of statement", false, 0},
    {"TYPE", "type of a group's domain, of a reserved region; driver; width", false, 10},
    {"RANGE", "addresses, both ends included", false, 33},
    {"SIZE", "size of the range; with a point it is rounded down", true, 0},
    {"INFO", "ids and class; page sizes; number of mappings", false, 12},
    {"FROM", "who says so", false, 8},
    {"START", "first address", true, 0},
    {"LAST", "last address", true, 0},
    {"BYTES", "size of the range in bytes", true, 0},
    {"GROUP", "the group that the line belongs to", true, 0},
    {"DETAIL", "range, or what there is to say instead of one", false, 12},
    {"VERDICT", "whether the group can be assigned, in a word", false, 0},
    {"VENDOR", "who made the device", false, 12},
    {"MODEL", "what the device is called", false, 12},
};

const size_t show_column_count = sizeof(show_columns) / sizeof(show_columns[0]);

static void put_range(struct row *row, struct iovageom_range range, const struct list_style *style)
{
    struct iovageom_size size = iovageom_range_size(range);
    const char *bytes =
        size.hi != 0 ? "18446744073709551616" : text("%llu", (unsigned long long)size.lo);

    row->range = true;
    row->cells[COLUMN_RANGE] = range_text(range);
    row->cells[COLUMN_DETAIL] = row->cells[COLUMN_RANGE];
    row->cells[COLUMN_SIZE] = style->bytes ? bytes : size_text(size);
    row->cells[COLUMN_START] = text("0x%llx", (unsigned long long)range.start);
    row->cells[COLUMN_LAST] = text("0x%llx", (unsigned long long)range.last);
    row->cells[COLUMN_BYTES] = bytes;
}

static void put_info(struct row *row, const char *words)
{
    row->cells[COLUMN_INFO] = words;
    row->cells[COLUMN_DETAIL] = words;
}

static struct row *add_row(struct table *table, const struct row *parent, const char *name,
                           const char *group)
{
    struct row *row = table_add(table, parent);

    row->cells[COLUMN_NAME] = name;
    row->cells[COLUMN_GROUP] = group;
    return row;
}

static void name_device(struct row *row, const struct device *device)
{
    const char *provided = device->name != NULL ? text(", %s", device->name) : "";
    const char *vendor = pci_vendor_name(device);
    const char *model = pci_device_name(device);
    const char *kind = pci_class_name(device->class_code);
    const char *ids = text("[%04x:%04x]%s", device->vendor, device->device, provided);

    if (device->vendor == 0) {
        row->cells[COLUMN_DETAIL] = text("%s%s", kind, provided);
        row->brief[COLUMN_DETAIL] = row->cells[COLUMN_DETAIL];
        return;
    }
    row->cells[COLUMN_VENDOR] = vendor;
    row->cells[COLUMN_MODEL] = model;
    row->cells[COLUMN_DETAIL] =
        text("%s: %s%s%s%s%s", kind, vendor != NULL ? vendor : "", vendor != NULL ? " " : "",
             model != NULL ? model : "", model != NULL ? " " : "", ids);
    row->brief[COLUMN_DETAIL] = text("%s %s", model != NULL ? model : kind, ids);
}

static void add_device(struct table *table, const struct row *parent, const struct device *device,
                       const struct list_style *style)
{
    struct row *row = add_row(table, parent, device->address, device->group);
    const char *info = "";

    if (device->pci)
        info = text("%sclass %06x %s",
                    device->vendor != 0 ? text("%04x:%04x ", device->vendor, device->device) : "",
                    device->class_code, pci_class_name(device->class_code));
    if (device->name != NULL)
        info = text("%s%s%s", info, *info != '\0' ? ", " : "", device->name);
    row->cells[COLUMN_TYPE] =
        device->driver != NULL && *device->driver != '\0' ? device->driver : NULL;
    put_info(row, info);
    row->cells[COLUMN_FROM] = "sysfs";
    if (device->pci && !style->numeric)
        name_device(row, device);
}

/* ---- what sources say ---- */

/* One thing that sources may say, alike or not. */
struct subject {
    const char *name;
    bool (*says)(const struct statement *statement, uint64_t *value);
    void (*put)(struct row *row, uint64_t value, const struct list_style *style);
};

static bool says_bits(const struct statement *statement, uint64_t *value)
{
    *value = statement->bits;
    return statement->has_aperture;
}

static bool says_page_sizes(const struct statement *statement, uint64_t *value)
{
    *value = statement->page_sizes;
    return statement->has_page_sizes;
}

static bool says_alignment(const struct statement *statement, uint64_t *value)
{
    *value = statement->alignment;
    return statement->has_alignment;
}

static bool says_budget(const struct statement *statement, uint64_t *value)
{
    *value = statement->budget;
    return statement->has_budget;
}

static void put_bits(struct row *row, uint64_t value, const struct list_style *style)
{
    struct iovageom_range aperture = {0, UINT64_MAX};

    (void)iovageom_range_from_gaw((unsigned)value, &aperture);
    put_range(row, aperture, style);
    row->cells[COLUMN_TYPE] = text("%u bits", (unsigned)value);
}

static void put_page_sizes(struct row *row, uint64_t value, const struct list_style *style)
{
    if (style->every_source)
        row->cells[COLUMN_TYPE] = text("0x%llx", (unsigned long long)value);
    put_info(row, page_sizes_text(value));
}

static void put_alignment(struct row *row, uint64_t value, const struct list_style *style)
{
    (void)style;
    put_info(row, page_sizes_text(value));
}

static void put_number(struct row *row, uint64_t value, const struct list_style *style)
{
    (void)style;
    put_info(row, text("%llu", (unsigned long long)value));
}

/* "VT-d registers of dmar0" is dmar0 where there is no room. */
static const char *brief_source(const char *source)
{
    const char *unit = strstr(source, " of ");

    if (unit != NULL)
        return unit + 4;
    return text("%.*s", (int)strcspn(source, " "), source);
}

static const char *from_text(const struct statement *statement)
{
    return statement->counts ? statement->source : text("%s, to check", statement->source);
}

/* Whether an earlier source said the same, so that the line is there. */
static bool is_said(const struct verdict *verdict, size_t before, const struct subject *subject,
                    uint64_t value)
{
    uint64_t other;

    for (size_t i = 0; i < before; i++) {
        if (subject->says(&verdict->statements[i], &other) && other == value)
            return true;
    }
    return false;
}

/* A line for a value, with all who say it. */
static void add_shared(struct table *table, const struct row *parent, const struct verdict *verdict,
                       size_t first, const struct subject *subject, uint64_t value,
                       const struct list_style *style)
{
    struct row *row = add_row(table, parent, subject->name, verdict->group->name);
    const struct statement *statements = verdict->statements;
    const char *words = statements[first].source;
    size_t more = 0;
    bool counts = statements[first].counts;
    uint64_t other;

    for (size_t i = first + 1; i < verdict->statement_count; i++) {
        if (!subject->says(&statements[i], &other) || other != value)
            continue;
        words = text("%s, %s", words, statements[i].source);
        counts = counts || statements[i].counts;
        more++;
    }
    subject->put(row, value, style);
    row->cells[COLUMN_FROM] = counts ? words : text("%s, to check", words);
    row->brief[COLUMN_FROM] = brief_source(statements[first].source);
    if (more != 0)
        row->brief[COLUMN_FROM] = text("%s +%zu", row->brief[COLUMN_FROM], more);
}

static void add_statements(struct table *table, const struct row *parent,
                           const struct verdict *verdict, const struct list_style *style)
{
    static const struct subject subjects[] = {{"aperture", says_bits, put_bits},
                                              {"page sizes", says_page_sizes, put_page_sizes},
                                              {"alignment", says_alignment, put_alignment},
                                              {"mappings", says_budget, put_number}};
    const size_t subject_count = sizeof(subjects) / sizeof(subjects[0]);
    uint64_t value;
    uint64_t page_sizes = 0;

    for (size_t i = 0; i < verdict->statement_count && style->every_source; i++) {
        for (size_t k = 0; k < subject_count; k++) {
            struct row *row;

            if (!subjects[k].says(&verdict->statements[i], &value))
                continue;
            row = add_row(table, parent, subjects[k].name, verdict->group->name);
            subjects[k].put(row, value, style);
            row->cells[COLUMN_FROM] = from_text(&verdict->statements[i]);
        }
    }
    (void)iovageom_geometry_page_sizes(verdict->geometry, &page_sizes);
    for (size_t k = 0; k < subject_count && !style->every_source; k++) {
        for (size_t i = 0; i < verdict->statement_count; i++) {
            if (!subjects[k].says(&verdict->statements[i], &value) ||
                is_said(verdict, i, &subjects[k], value))
                continue;
            /* An alignment of the smallest page says nothing new. */
            if (subjects[k].says == says_alignment && value == (page_sizes & (~page_sizes + 1)))
                continue;
            add_shared(table, parent, verdict, i, &subjects[k], value, style);
        }
    }
}

/* ---- what is left ---- */

static void add_ranges(struct table *table, const struct row *parent, const struct verdict *verdict,
                       const struct list_style *style)
{
    const char *group = verdict->group->name;
    struct row *row;

    for (size_t i = 0; i < verdict->reserved_count; i++) {
        row = add_row(table, parent, "reserved", group);
        row->cells[COLUMN_TYPE] = iovageom_resv_type_string(verdict->reserved[i].type);
        row->cells[COLUMN_FROM] = verdict->reserved[i].source;
        row->brief[COLUMN_FROM] = brief_source(verdict->reserved[i].source);
        row->color = verdict->reserved[i].type != IOVAGEOM_RESV_DIRECT_RELAXABLE ? "red" : NULL;
        put_range(row, verdict->reserved[i].range, style);
    }
    for (size_t i = 0; i < verdict->usable_count; i++) {
        row = add_row(table, parent, "usable", group);
        row->color = "green";
        put_range(row, verdict->usable[i], style);
    }
    /* Not green, and not with the word: nobody said that these can be mapped. */
    for (size_t i = 0; i < verdict->unknown_count; i++) {
        row = add_row(table, parent, "unknown", group);
        row->color = "yellow";
        put_range(row, verdict->unknown[i], style);
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

static void add_group(struct table *table, const struct host *host, const struct verdict *verdict,
                      const struct list_style *style)
{
    const struct group *group = verdict->group;
    struct row *parent = add_row(table, NULL, text("group %s", group->name), group->name);
    enum outcome outcome = outcome_of(verdict);
    struct row *row;

    (void)host;
    parent->cells[COLUMN_TYPE] = verdict->no_iommu ? "no IOMMU" : group->type;
    parent->cells[COLUMN_INFO] = group->title;
    parent->cells[COLUMN_DETAIL] = outcome_sentence(outcome);
    parent->cells[COLUMN_VERDICT] = outcome_word(outcome);
    parent->brief[COLUMN_DETAIL] = outcome_word(outcome);
    parent->color = "bold";
    for (size_t i = 0; i < group->device_count; i++)
        add_device(table, parent, group->devices[i], style);
    for (size_t i = 0; i < verdict->hinder_count; i++) {
        row = add_row(table, parent, "not viable", group->name);
        row->cells[COLUMN_TYPE] = verdict->hinder[i]->driver;
        put_info(row, verdict->hinder[i]->address);
        row->color = "red";
    }
    for (size_t i = 0; i < verdict->faults.count; i++) {
        row = add_row(table, parent, "not read", group->name);
        put_info(row, file_of(verdict->faults.words[i]));
        row->color = "red";
    }
    add_statements(table, parent, verdict, style);
    if (!verdict->knows_width) {
        row = add_row(table, parent, "aperture", group->name);
        row->cells[COLUMN_TYPE] = verdict->no_iommu ? "none" : "not known";
    }
    add_ranges(table, parent, verdict, style);
}

/* Whether two groups have numbers that follow each other: only those are joined to "0-3". */
static bool follows(const char *name, const char *next)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);

    return *end == '\0' && end != name && strcmp(text("%lu", number + 1), next) == 0;
}

const char *group_names(const struct verdict *verdicts, const bool *with, size_t count)
{
    struct buffer words = {NULL, 0, 0};
    size_t runs = 0;

    for (size_t i = 0; i < count; i++) {
        size_t end = i;

        if (!with[i])
            continue;
        while (end + 1 < count && with[end + 1] &&
               follows(verdicts[end].group->name, verdicts[end + 1].group->name))
            end++;
        if (runs++ == MOST_RUNS) {
            buffer_add(&words, ", ...");
            break;
        }
        buffer_add(&words, "%s%s", i != 0 && words.length != 0 ? ", " : "",
                   verdicts[i].group->name);
        if (end != i)
            buffer_add(&words, "%s%s", end == i + 1 ? ", " : "-", verdicts[end].group->name);
        i = end;
    }
    return buffer_text(&words);
}

/* A note, and the groups that have it. */
struct noted {
    const char *words;
    size_t *groups; /* their places, in ascending order */
    size_t count;
};

/* Each note once, in the order in which it is first there. */
static struct noted *notes_of(const struct verdict *verdicts, size_t count, size_t *noted_count)
{
    struct noted *list = NULL;
    struct lookup known = {NULL, 0, 0};

    *noted_count = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < verdicts[i].note_count; k++) {
            struct noted *noted;
            size_t at;

            if (!lookup_find(&known, verdicts[i].notes[k], &at)) {
                at = *noted_count;
                list = keep_grown(list, at, sizeof(*list));
                list[at] = (struct noted){verdicts[i].notes[k], NULL, 0};
                lookup_add(&known, list[at].words, at);
                ++*noted_count;
            }
            noted = &list[at];
            if (noted->count != 0 && noted->groups[noted->count - 1] == i)
                continue;
            noted->groups = keep_grown(noted->groups, noted->count, sizeof(*noted->groups));
            noted->groups[noted->count++] = i;
        }
    }
    return list;
}

/* Notes that say the same of several groups are one line; and they are no flood. */
static void show_notes(const struct verdict *verdicts, size_t count, FILE *stream,
                       const struct list_style *style)
{
    size_t noted_count;
    const struct noted *list = notes_of(verdicts, count, &noted_count);
    size_t shown = style->every_source || noted_count < MOST_NOTES ? noted_count : MOST_NOTES;
    bool *with = keep(count);

    for (size_t i = 0; i < shown; i++) {
        const size_t *groups = list[i].groups;
        size_t first = groups[0], last = groups[list[i].count - 1];
        const char *words;

        for (size_t k = 0; k < list[i].count; k++)
            with[groups[k]] = true;
        words = text("%s %s: %s", list[i].count == 1 ? "group" : "groups",
                     group_names(verdicts + first, with + first, last - first + 1), list[i].words);
        for (size_t k = 0; k < list[i].count; k++)
            with[groups[k]] = false;
        if (stream == stdout)
            print_field(style->table.width, 0, 5, "note:", words);
        else
            fprintf(stream, "note: %s\n", words);
    }
    if (shown < noted_count)
        fprintf(stream, "note: and %zu more: --verbose shows them\n", noted_count - shown);
}

struct table groups_table(const struct host *host, const struct verdict *verdicts, size_t count,
                          const struct list_style *style)
{
    struct table table = {
        .columns = show_columns, .column_count = show_column_count, .tree = !style->table.raw};

    for (size_t i = 0; i < count; i++)
        add_group(&table, host, &verdicts[i], style);
    return table;
}

void show_groups(const struct host *host, const struct verdict *verdicts, size_t count,
                 const struct list_style *style)
{
    struct table table = groups_table(host, verdicts, count, style);

    table_print(&table, &style->table);
    /* A script reads what is raw line by line: a note is no line of the table. */
    fflush(stdout);
    show_notes(verdicts, count, style->table.raw ? stderr : stdout, style);
}

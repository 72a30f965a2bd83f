/* SPDX-License-Identifier: BSD-3-Clause */

/* Groups as JSON, in the form of iovageom.schema.json. What is not known is null. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonout.h"
#include "names.h"
#include "show.h"

/* With the zeros in front that such a number is always written with. */
static json_t *digits(unsigned value, int count)
{
    return out_string(text("0x%0*x", count, value));
}

/* NULL where none is known: a device without any can't be told from one of which nobody said. */
static json_t *bars_array(const struct bars *bars)
{
    json_t *array;

    if (bars->count == 0)
        return NULL;
    array = out_array();
    for (size_t i = 0; i < bars->count; i++) {
        json_t *object = out_object();

        out_set(object, "number", out_number(bars->list[i].number));
        out_set(object, "size", out_number(bars->list[i].size));
        out_set(object, "bits", out_number(bars->list[i].low ? 32 : 64));
        out_add(array, object);
    }
    return array;
}

static json_t *device_object(const struct device *device, bool numeric)
{
    json_t *object = out_object();
    bool ids = device->pci && device->vendor != 0;

    out_set(object, "address", out_string(device->address));
    out_set(object, "vendor", ids ? digits(device->vendor, 4) : NULL);
    out_set(object, "device", ids ? digits(device->device, 4) : NULL);
    out_set(object, "class", device->pci ? digits(device->class_code, 6) : NULL);
    out_set(object, "vendor_name", out_string(numeric ? NULL : pci_vendor_name(device)));
    out_set(object, "device_name", out_string(numeric ? NULL : pci_device_name(device)));
    out_set(object, "driver", out_string(device->driver));
    out_set(object, "name", out_string(device->name));
    out_set(object, "iommu", out_string(device->unit));
    out_set(object, "bars", bars_array(&device->bars));
    return object;
}

static json_t *statement_object(const struct statement *statement)
{
    json_t *object = out_object();
    bool wide = statement->has_aperture;

    out_set(object, "from", out_string(statement->source));
    out_set(object, "only_checked", out_bool(!statement->counts));
    out_set(object, "bits", wide ? out_number(statement->bits) : NULL);
    out_set(object, "aperture", wide ? out_range(statement->aperture) : NULL);
    out_set(object, "page_sizes",
            statement->has_page_sizes ? out_hex(statement->page_sizes) : NULL);
    out_set(object, "alignment",
            statement->has_alignment ? out_number(statement->alignment) : NULL);
    out_set(object, "mappings", statement->has_budget ? out_number(statement->budget) : NULL);
    return object;
}

static json_t *ranges_array(const struct iovageom_range *ranges, size_t count)
{
    json_t *array = out_array();

    for (size_t i = 0; i < count; i++)
        out_add(array, out_range(ranges[i]));
    return array;
}

/* ---- the verdict ---- */

static void add_settings(json_t *array, const struct setting *settings, size_t count,
                         bool virtual_iommu)
{
    for (size_t i = 0; i < count; i++) {
        json_t *object = out_object();

        out_set(object, "vmm", out_string(settings[i].vmm));
        out_set(object, "virtual_iommu", out_bool(virtual_iommu));
        out_set(object, "words", out_string(settings[i].words));
        out_set(object, "since", out_string(settings[i].since));
        out_add(array, object);
    }
}

static json_t *verdict_object(const struct advice *advice)
{
    json_t *object = out_object();
    json_t *settings = out_array();
    int assignable = outcome_assignable(advice->outcome);
    const struct iovageom_size bar = {0, advice->bar_most};

    add_settings(settings, advice->settings, advice->setting_count, true);
    add_settings(settings, advice->plain, advice->plain_count, false);
    out_set(object, "outcome", out_string(outcome_word(advice->outcome)));
    out_set(object, "assignable", assignable < 0 ? NULL : out_bool(assignable > 0));
    out_set(object, "because", out_string(advice->because));
    out_set(object, "ram_at_its_usual_place", advice->knows_ram ? out_size(advice->ram) : NULL);
    out_set(object, "largest_bar", advice->knows_ram ? out_size(bar) : NULL);
    out_set(object, "settings", settings);
    out_set(object, "to_do", out_strings(advice->remedies, advice->remedy_count));
    return object;
}

/* Whether the group may be assigned as far as drivers go: null when a driver is not known. */
static json_t *viable(const struct verdict *verdict)
{
    if (verdict->hinder_count != 0)
        return out_bool(false);
    for (size_t i = 0; i < verdict->group->device_count; i++) {
        if (verdict->group->devices[i]->driver == NULL)
            return NULL;
    }
    return out_bool(true);
}

static json_t *hindrances(const struct verdict *verdict)
{
    json_t *array = out_array();

    for (size_t i = 0; i < verdict->hinder_count; i++) {
        json_t *object = out_object();

        out_set(object, "address", out_string(verdict->hinder[i]->address));
        out_set(object, "driver", out_string(verdict->hinder[i]->driver));
        out_add(array, object);
    }
    return array;
}

/* ---- groups ---- */

static json_t *devices_array(const struct group *group, bool numeric)
{
    json_t *array = out_array();

    for (size_t i = 0; i < group->device_count; i++)
        out_add(array, device_object(group->devices[i], numeric));
    return array;
}

static json_t *reserved_array(const struct verdict *verdict)
{
    json_t *array = out_array();

    for (size_t i = 0; i < verdict->reserved_count; i++) {
        const struct reserved *reserved = &verdict->reserved[i];
        json_t *region = out_range(reserved->range);

        out_set(region, "type", out_string(iovageom_resv_type_string(reserved->type)));
        out_set(region, "from", out_string(reserved->source));
        out_add(array, region);
    }
    return array;
}

static json_t *statements_array(const struct verdict *verdict)
{
    json_t *array = out_array();

    for (size_t i = 0; i < verdict->statement_count; i++)
        out_add(array, statement_object(&verdict->statements[i]));
    return array;
}

static json_t *group_object(const struct host *host, const struct verdict *verdict, bool numeric)
{
    const struct group *group = verdict->group;
    struct advice advice = advise(host, verdict);
    json_t *object = out_object();
    bool wide = verdict->knows_width;

    out_set(object, "group", out_string(group->name));
    out_set(object, "type", out_string(group->type));
    out_set(object, "name", out_string(group->title));
    out_set(object, "devices", devices_array(group, numeric));
    out_set(object, "verdict", verdict_object(&advice));
    out_set(object, "viable", viable(verdict));
    out_set(object, "hindered_by", hindrances(verdict));
    out_set(object, "no_iommu", out_bool(verdict->no_iommu));
    out_set(object, "bits", wide ? out_number(verdict->bits) : NULL);
    out_set(object, "aperture", wide ? out_range(verdict->aperture) : NULL);
    out_set(object, "statements", statements_array(verdict));
    out_set(object, "reserved", reserved_array(verdict));
    out_set(object, "usable", ranges_array(verdict->usable, verdict->usable_count));
    out_set(object, "unknown", ranges_array(verdict->unknown, verdict->unknown_count));
    out_set(object, "notes", out_strings(verdict->notes, verdict->note_count));
    out_set(object, "faults", out_faults(&verdict->faults));
    return object;
}

static json_t *regions_array(const struct iovageom_region *regions, size_t count)
{
    json_t *array = out_array();

    for (size_t i = 0; i < count; i++) {
        json_t *region = out_range(regions[i].range);

        out_set(region, "subtype",
                out_string(regions[i].type == IOVAGEOM_RESV_MSI ? "MSI" : "RESERVED"));
        out_add(array, region);
    }
    return array;
}

static json_t *promise_object(const struct verdict *verdict, const struct promise *promise)
{
    json_t *object = out_object();
    char *hex = keep(2 * promise->length + 1);

    out_set(object, "group", out_string(verdict->group->name));
    out_set(object, "refused", out_string(promise->refused));
    if (promise->refused != NULL)
        return object;
    for (size_t i = 0; i < promise->length; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", promise->bytes[i]);
    out_set(object, "granule", out_number(promise->granule));
    out_set(object, "granule_assumed", out_bool(promise->granule_assumed));
    out_set(object, "page_size_mask", out_hex(promise->page_size_mask));
    out_set(object, "input_range", out_range(promise->input_range));
    out_set(object, "bytes", out_number(promise->length));
    out_set(object, "probe", out_string(hex));
    out_set(object, "resv_mem", regions_array(promise->regions, promise->region_count));
    out_set(object, "decoded", regions_array(promise->decoded, promise->decoded_count));
    out_set(object, "notes", out_strings(promise->notes, promise->note_count));
    return object;
}

void show_json(const struct host *host, const struct verdict *verdicts, size_t count,
               const struct verdict *chosen, const struct promise *promise,
               const struct faults *faults, bool numeric)
{
    json_t *root = out_begin();
    json_t *groups = out_array();

    out_set(root, "snapshot", *host->path != '\0' ? out_string(host->path) : NULL);
    out_set(root, "kernel", out_string(host->kernel));
    for (size_t i = 0; i < count; i++)
        out_add(groups, group_object(host, &verdicts[i], numeric));
    out_set(root, "groups", groups);
    out_set(root, "faults", out_faults(faults));
    if (promise != NULL)
        out_set(root, "promise", promise_object(chosen, promise));
    out_print(root);
}

/* ---- the columns that were asked for ---- */

static json_t *cell_value(const struct column *column, const char *cell)
{
    /* Sizes in bytes are numbers; of all else, and of 2^64, the words are given. */
    if (cell != NULL && column->right && *cell != '\0' && strlen(cell) < 20 &&
        cell[strspn(cell, "0123456789")] == '\0' && strcmp(column->name, "GROUP") != 0)
        return out_number(strtoull(cell, NULL, 10));
    return out_string(cell);
}

static json_t *row_object(const struct table *table, const struct row *row,
                          const struct table_style *style)
{
    json_t *object = out_object();

    for (size_t k = 0; k < style->shown_count; k++) {
        const struct column *column = &table->columns[style->shown[k]];
        char *name = text("%s", column->name);

        for (char *at = name; *at != '\0'; at++)
            *at = (char)(*at | 0x20);
        out_set(object, name, cell_value(column, row->cells[style->shown[k]]));
    }
    return object;
}

void show_rows_json(const struct table *table, const struct table_style *style,
                    const struct faults *faults)
{
    json_t *root = out_begin();
    json_t *rows = out_array();
    json_t *children = NULL;

    /* Rows of the list are groups, each with its own rows below it. */
    for (size_t i = 0; i < table->row_count; i++) {
        json_t *object = row_object(table, table->rows[i], style);

        if (table->rows[i]->parent != NULL) {
            out_add(children, object);
            continue;
        }
        children = out_array();
        out_set(object, "children", children);
        out_add(rows, object);
    }
    out_set(root, "rows", rows);
    out_set(root, "faults", out_faults(faults));
    out_print(root);
}

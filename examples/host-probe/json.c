/* SPDX-License-Identifier: BSD-3-Clause */

/* Addresses are strings in hexadecimal: 64 bits are more than JSON's numbers hold. */

#include "show.h"

#ifdef HAVE_JANSSON

#include <jansson.h>
#include <stdio.h>

static json_t *hex(uint64_t value)
{
    return json_string(text("0x%llx", (unsigned long long)value));
}

/* With the zeros in front that such a number is always written with. */
static json_t *hex_digits(unsigned value, int digits)
{
    return json_string(text("0x%0*x", digits, value));
}

static json_t *string_or_null(const char *words)
{
    return words != NULL ? json_string(words) : json_null();
}

static json_t *range_object(struct iovageom_range range)
{
    return json_pack("{s:o, s:o}", "start", hex(range.start), "last", hex(range.last));
}

static json_t *strings(const char *const *words, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(array, json_string(words[i]));
    return array;
}

static json_t *device_object(const struct device *device)
{
    json_t *object = json_pack("{s:s}", "address", device->address);

    if (device->pci) {
        (void)json_object_set_new(object, "vendor", hex_digits(device->vendor, 4));
        (void)json_object_set_new(object, "device", hex_digits(device->device, 4));
        (void)json_object_set_new(object, "class", hex_digits(device->class_code, 6));
    }
    (void)json_object_set_new(object, "driver", string_or_null(device->driver));
    (void)json_object_set_new(object, "name", string_or_null(device->name));
    (void)json_object_set_new(object, "iommu", string_or_null(device->unit));
    return object;
}

static json_t *statement_object(const struct statement *statement)
{
    json_t *object =
        json_pack("{s:s, s:b}", "from", statement->source, "only_checked", !statement->counts);

    if (statement->has_aperture) {
        (void)json_object_set_new(object, "bits", json_integer(statement->bits));
        (void)json_object_set_new(object, "aperture", range_object(statement->aperture));
    }
    if (statement->has_page_sizes)
        (void)json_object_set_new(object, "page_sizes", hex(statement->page_sizes));
    if (statement->has_alignment)
        (void)json_object_set_new(object, "alignment", hex(statement->alignment));
    if (statement->has_budget)
        (void)json_object_set_new(object, "mappings", json_integer((json_int_t)statement->budget));
    return object;
}

static json_t *ranges_array(const struct iovageom_range *ranges, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(array, range_object(ranges[i]));
    return array;
}

/* Whether the group may be assigned as far as drivers go: null when a driver is not known. */
static json_t *viable(const struct verdict *verdict)
{
    if (verdict->hinder_count != 0)
        return json_false();
    for (size_t i = 0; i < verdict->group->device_count; i++) {
        if (verdict->group->devices[i]->driver == NULL)
            return json_null();
    }
    return json_true();
}

static void add_assignment(json_t *object, const struct verdict *verdict)
{
    json_t *array = json_array();

    for (size_t i = 0; i < verdict->hinder_count; i++)
        (void)json_array_append_new(array,
                                    json_pack("{s:s, s:s}", "address", verdict->hinder[i]->address,
                                              "driver", verdict->hinder[i]->driver));
    (void)json_object_set_new(object, "viable", viable(verdict));
    (void)json_object_set_new(object, "hindered_by", array);
    (void)json_object_set_new(object, "no_iommu", json_boolean(verdict->no_iommu));
}

static json_t *group_object(const struct verdict *verdict)
{
    const struct group *group = verdict->group;
    json_t *object = json_pack("{s:s}", "group", group->name);
    json_t *array = json_array();

    (void)json_object_set_new(object, "type", string_or_null(group->type));
    (void)json_object_set_new(object, "name", string_or_null(group->title));
    for (size_t i = 0; i < group->device_count; i++)
        (void)json_array_append_new(array, device_object(group->devices[i]));
    (void)json_object_set_new(object, "devices", array);
    add_assignment(object, verdict);
    (void)json_object_set_new(object, "bits",
                              verdict->knows_width ? json_integer(verdict->bits) : json_null());
    (void)json_object_set_new(object, "aperture",
                              verdict->knows_width ? range_object(verdict->aperture) : json_null());
    array = json_array();
    for (size_t i = 0; i < verdict->statement_count; i++)
        (void)json_array_append_new(array, statement_object(&verdict->statements[i]));
    (void)json_object_set_new(object, "statements", array);
    array = json_array();
    for (size_t i = 0; i < verdict->reserved_count; i++) {
        const struct reserved *reserved = &verdict->reserved[i];
        json_t *region = range_object(reserved->range);

        (void)json_object_set_new(region, "type",
                                  json_string(iovageom_resv_type_string(reserved->type)));
        (void)json_object_set_new(region, "from", json_string(reserved->source));
        (void)json_array_append_new(array, region);
    }
    (void)json_object_set_new(object, "reserved", array);
    (void)json_object_set_new(object, "usable",
                              ranges_array(verdict->usable, verdict->usable_count));
    (void)json_object_set_new(object, "unknown",
                              ranges_array(verdict->unknown, verdict->unknown_count));
    (void)json_object_set_new(object, "notes", strings(verdict->notes, verdict->note_count));
    (void)json_object_set_new(object, "faults",
                              strings(verdict->faults.words, verdict->faults.count));
    return object;
}

static json_t *regions_array(const struct iovageom_region *regions, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *region = range_object(regions[i].range);

        (void)json_object_set_new(
            region, "subtype",
            json_string(regions[i].type == IOVAGEOM_RESV_MSI ? "MSI" : "RESERVED"));
        (void)json_array_append_new(array, region);
    }
    return array;
}

static json_t *promise_object(const struct verdict *verdict, const struct promise *promise)
{
    char *digits = keep(2 * promise->length + 1);

    if (promise->refused != NULL)
        return json_pack("{s:s, s:s}", "group", verdict->group->name, "refused", promise->refused);
    for (size_t i = 0; i < promise->length; i++)
        (void)snprintf(digits + 2 * i, 3, "%02x", promise->bytes[i]);
    return json_pack("{s:s, s:o, s:b, s:o, s:o, s:I, s:s, s:o, s:o, s:o}", "group",
                     verdict->group->name, "granule", hex(promise->granule), "granule_assumed",
                     promise->granule_assumed, "page_size_mask", hex(promise->page_size_mask),
                     "input_range", range_object(promise->input_range), "bytes",
                     (json_int_t)promise->length, "probe", digits, "resv_mem",
                     regions_array(promise->regions, promise->region_count), "decoded",
                     regions_array(promise->decoded, promise->decoded_count), "notes",
                     strings(promise->notes, promise->note_count));
}

bool show_json(const struct host *host, const struct verdict *verdicts, size_t count,
               const struct verdict *chosen, const struct promise *promise,
               const struct faults *faults)
{
    json_t *root = json_object();
    json_t *groups = json_array();

    (void)json_object_set_new(root, "snapshot",
                              *host->path != '\0' ? json_string(host->path) : json_null());
    (void)json_object_set_new(root, "kernel", string_or_null(host->kernel));
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(groups, group_object(&verdicts[i]));
    (void)json_object_set_new(root, "groups", groups);
    (void)json_object_set_new(root, "faults", strings(faults->words, faults->count));
    if (promise != NULL)
        (void)json_object_set_new(root, "promise", promise_object(chosen, promise));
    if (json_dumpf(root, stdout, JSON_INDENT(3)) != 0)
        die(EXIT_BAD_INPUT, "can't write JSON");
    putchar('\n');
    json_decref(root);
    return true;
}

#else

bool show_json(const struct host *host, const struct verdict *verdicts, size_t count,
               const struct verdict *chosen, const struct promise *promise,
               const struct faults *faults)
{
    (void)faults;
    (void)host;
    (void)verdicts;
    (void)count;
    (void)chosen;
    (void)promise;
    return false;
}

#endif

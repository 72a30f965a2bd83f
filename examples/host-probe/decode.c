/* SPDX-License-Identifier: BSD-3-Clause */

/* `decode`: PROBE properties from anywhere, as the specification and as Linux read them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/guest.h>
#include <iovageom/plan_probe.h>
#include <iovageom/status.h>

#include "amounts.h"
#include "bytes.h"
#include "command.h"
#include "show.h"

#define MOST_SHOWN 100 /* properties, regions and notes */

static const struct option long_options[] = {
    COMMON_LONG,
    {"granule", required_argument, NULL, 'g'},
    {NULL, 0, NULL, 0},
};

static _Noreturn void usage(void)
{
    printf("Usage: %s decode [options] FILE|-|HEX...\n\n"
           "Say what the bytes of a PROBE answer tell a guest. A file, or standard input,\n"
           "holds them raw or as text: hexadecimal digits, a dump (hexdump -C, xxd), a C\n"
           "array.\n\n"
           " -g, --granule SIZE    the smallest page of the config space (4K)\n"
           "%s",
           program_name, context_help);
    finish(EXIT_GOOD);
}

/* The bytes that the arguments are, or that the file they name holds. */
static struct blob input_of(int count, char **words)
{
    struct faults faults = {NULL, 0, 0};
    const char *joined = "";
    struct blob blob;

    if (count == 1) {
        blob = strcmp(words[0], "-") == 0 ? read_stdin(&faults) : read_file(words[0], &faults);
        if (faults.count != 0)
            die(EXIT_BAD_INPUT, "%s", faults.words[0]);
        if (blob.there && !bytes_of(&blob))
            die(EXIT_BAD_INPUT, "%s: text, but no bytes in hexadecimal", blob.path);
        if (blob.there)
            return blob;
    }
    for (int i = 0; i < count; i++)
        joined = text("%s%s ", joined, words[i]);
    blob =
        (struct blob){true, (uint8_t *)text("%s", joined), strlen(joined), "the arguments", NULL};
    if (!bytes_from_text(&blob))
        die(EXIT_BAD_INPUT, "%s: no such file, and no hexadecimal bytes",
            quoted(words[0], strlen(words[0])));
    return blob;
}

static const char *property_name(const struct iovageom_guest_property *property,
                                 const uint8_t *bytes)
{
    if (property->type != 1)
        return text("unknown (type %u)", property->type);
    if (property->length < 20)
        return "RESV_MEM, too short";
    switch (bytes[property->offset]) {
    case 0:
        return "RESV_MEM, reserved";
    case 1:
        return "RESV_MEM, MSI";
    default:
        return text("RESV_MEM, unknown subtype %u", bytes[property->offset]);
    }
}

/* Each property, until they end or make no sense. */
static void list_properties(const struct blob *blob, bool colors)
{
    static const struct column columns[] = {{.name = "OFFSET", .right = true},
                                            {.name = "LENGTH", .right = true},
                                            {.name = "PROPERTY"},
                                            {.name = "RANGE"},
                                            {.name = "SIZE", .right = true}};
    static const size_t all[] = {0, 1, 2, 3, 4};
    struct table table = {.columns = columns, .column_count = 5};
    struct table_style style = {.shown = all, .shown_count = 5, .headings = true, .colors = colors};
    struct iovageom_guest_property property;
    size_t offset = 0;
    size_t more = 0;
    int status;

    while ((status = iovageom_guest_property_next(blob->bytes, blob->length, &offset, &property)) ==
           IOVAGEOM_OK) {
        struct iovageom_region region;
        struct row *row;

        if (table.row_count == MOST_SHOWN) {
            more++;
            continue;
        }
        row = table_add(&table, NULL);
        row->cells[0] = text("%zu", property.offset);
        row->cells[1] = text("%zu", property.length);
        row->cells[2] = property_name(&property, blob->bytes);
        if (property.reserved != 0)
            row->cells[2] = text("%s, reserved bits set: a guest ignores it", row->cells[2]);
        if (property.type != 1)
            continue;
        status = iovageom_guest_decode_resv_mem(blob->bytes + property.offset, property.length,
                                                &region, NULL);
        if (status == IOVAGEOM_OK) {
            row->cells[3] = range_text(region.range);
            row->cells[4] = size_text(iovageom_range_size(region.range));
        } else {
            row->cells[3] = iovageom_status_string(status);
        }
    }
    if (table.row_count != 0)
        table_print(&table, &style);
    else if (status == IOVAGEOM_ERR_NOT_FOUND)
        puts("no property: every address may be mapped");
    if (more != 0)
        printf("and %zu more\n", more);
    if (status != IOVAGEOM_ERR_NOT_FOUND)
        printf("at byte %zu: %s\n", offset, iovageom_status_string(status));
}

/* What is wrong with it, in sentences. */
struct reading {
    struct iovageom_region *regions;
    size_t count;
    int status;
    struct iovageom_report report;
};

static struct reading read_as_linux(const struct blob *blob, uint64_t granule)
{
    struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
    struct iovageom_virtio_config config = {.page_size_mask = ~(granule - 1),
                                            .input_range = {0, UINT64_MAX},
                                            .domain_start = 0,
                                            .domain_last = UINT32_MAX,
                                            .probe_size = (uint32_t)blob->length};
    size_t capacity = blob->length / 4 + 2;
    struct reading reading = {.regions = keep(capacity * sizeof(*reading.regions))};

    if (kernel.page_size < granule)
        kernel.page_size = granule;
    iovageom_report_init(&reading.report, &lasting);
    reading.status =
        iovageom_guestview_probe(&kernel, &config, blob->bytes, blob->length, reading.regions,
                                 capacity, &reading.count, &reading.report);
    return reading;
}

static int compare_regions(const void *a, const void *b)
{
    const struct iovageom_region *left = a;
    const struct iovageom_region *right = b;

    return left->range.start < right->range.start ? -1 : left->range.start > right->range.start;
}

/* The sentence of a finding without its address: notes that say the same are one. */
static const char *what_is_said(const char *sentence)
{
    const char *end = strstr(sentence, "]: ");

    return end != NULL ? end : sentence;
}

static void show_report(const struct iovageom_report *report)
{
    const char **said = NULL;
    size_t *times = keep((iovageom_report_count(report) + 1) * sizeof(*times));
    size_t count = 0;

    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        char sentence[512];
        size_t k = 0;

        (void)iovageom_finding_text(iovageom_report_at(report, i), sentence, sizeof(sentence));
        while (k < count && strcmp(what_is_said(said[k]), what_is_said(sentence)) != 0)
            k++;
        if (k == count)
            add_words(&said, &count, text("%s", sentence));
        times[k]++;
    }
    for (size_t i = 0; i < count; i++) {
        printf("note: %s", said[i]);
        printf(times[i] > 1 ? " (and %zu more)\n" : "\n", times[i] - 1);
    }
}

static void show_linux(const struct reading *reading)
{
    if (reading->status != IOVAGEOM_OK) {
        printf("A Linux guest gives the device up: %s\n", iovageom_status_string(reading->status));
        return;
    }
    puts("A Linux guest reserves:");
    for (size_t i = 0; i < reading->count && i < MOST_SHOWN; i++) {
        uint32_t type = reading->regions[i].type;

        printf("  %s %s\n", range_text(reading->regions[i].range),
               type == IOVAGEOM_RESV_SOFTWARE_MSI
                   ? "msi (its own window: it was told of none)"
                   : iovageom_resv_type_string((enum iovageom_resv_type)type));
    }
    if (reading->count > MOST_SHOWN)
        printf("  and %zu more\n", reading->count - MOST_SHOWN);
}

static int show_text(const struct blob *blob, uint64_t granule, bool colors)
{
    struct iovageom_region *regions = keep((blob->length / 4 + 1) * sizeof(*regions));
    struct reading reading = read_as_linux(blob, granule);
    struct iovageom_probe_plan plan;
    size_t count = 0;
    int status;

    printf("%zu bytes\n", blob->length);
    list_properties(blob, colors);
    status = iovageom_guest_decode_probe(blob->bytes, blob->length, regions, blob->length / 4 + 1,
                                         &count);
    if (status == IOVAGEOM_OK)
        printf("\nBy the specification: %zu %s\n", count,
               count == 1 ? "reserved region" : "reserved regions");
    else
        printf("\nBy the specification the answer is malformed: %s\n",
               iovageom_status_string(status));
    if (status == IOVAGEOM_OK) {
        qsort(regions, count, sizeof(*regions), compare_regions);
        status = iovageom_plan_probe(regions, count, SIZE_MAX, NULL, 0, &plan, NULL);
        if (status != IOVAGEOM_OK)
            printf("note: a device should not answer so: %s\n", iovageom_status_string(status));
        status = IOVAGEOM_OK;
    }
    show_linux(&reading);
    show_report(&reading.report);
    return status == IOVAGEOM_OK && reading.status == IOVAGEOM_OK ? EXIT_GOOD : EXIT_BAD_INPUT;
}

int command_decode(struct context *context, int argc, char **argv)
{
    uint64_t granule = 4096;
    struct blob blob;
    int option;

    while ((option = getopt_long(argc, argv, COMMON_SHORT "g:", long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        if (option != 'g') {
            context_option(context, option);
            continue;
        }
        granule = parse_size("granule", optarg);
        if (!is_power(granule))
            die(EXIT_USAGE, "--granule: %s: not a power of two", optarg);
    }
    context_check(context);
    if (optind == argc)
        die(EXIT_USAGE, "decode: which bytes? FILE, - or hexadecimal digits");
    blob = input_of(argc - optind, argv + optind);
    return show_text(&blob, granule, context_colors(context));
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* What a virtual IOMMU should tell a guest of a group. */

#include "show.h"

#include <stdio.h>
#include <string.h>

#include <iovageom/virtio.h>

#define MOST_NAMED 8

void show_regions(const struct iovageom_region *regions, size_t count, bool colors)
{
    static const struct column columns[] = {{.name = "NUMBER", .right = true},
                                            {.name = "SUBTYPE"},
                                            {.name = "RANGE"},
                                            {.name = "SIZE", .right = true}};
    static const size_t all[] = {0, 1, 2, 3};
    struct table table = {.columns = columns, .column_count = 4};
    struct table_style style = {.shown = all, .shown_count = 4, .headings = true, .colors = colors};

    for (size_t i = 0; i < count; i++) {
        struct row *row = table_add(&table, NULL);

        row->cells[0] = text("%zu", i + 1);
        row->cells[1] = regions[i].type == IOVAGEOM_RESV_MSI ? "MSI" : "RESERVED";
        row->cells[2] = range_text(regions[i].range);
        row->cells[3] = size_text(iovageom_range_size(regions[i].range));
    }
    if (count != 0)
        table_print(&table, &style);
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

void show_promise(const struct verdict *verdict, const struct promise *promise, bool colors)
{
    const struct group *group = verdict->group;

    printf("What a virtual IOMMU should tell a guest of group %s (", group->name);
    for (size_t i = 0; i < group->device_count && i < MOST_NAMED; i++)
        printf("%s%s", i != 0 ? " " : "", group->devices[i]->address);
    if (group->device_count > MOST_NAMED)
        printf(" and %zu more", group->device_count - MOST_NAMED);
    printf(")\n");
    if (promise->refused != NULL) {
        printf("nothing: %s\n", promise->refused);
        return;
    }
    printf("page_size_mask 0x%llx, input_range %s\n", (unsigned long long)promise->page_size_mask,
           range_text(promise->input_range));
    printf("RESV_MEM: %zu %s, %zu bytes\n", promise->region_count,
           promise->region_count == 1 ? "property" : "properties",
           promise->region_count * IOVAGEOM_VIRTIO_RESV_MEM_SIZE);
    show_regions(promise->regions, promise->region_count, colors);
    printf("\nPROBE properties, %zu bytes:\n", promise->length);
    show_bytes(promise->bytes, promise->length);
    printf("\nThe same bytes, decoded%s:\n",
           says_the_same(promise) ? "" : ", after the list was made to fit");
    if (promise->decoded_count == 0)
        printf("no property: every address may be mapped\n");
    show_regions(promise->decoded, promise->decoded_count, colors);
    for (size_t i = 0; i < promise->note_count; i++)
        printf("note: %s\n", promise->notes[i]);
}

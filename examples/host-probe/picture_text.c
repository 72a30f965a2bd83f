/* SPDX-License-Identifier: BSD-3-Clause */

/* The picture of an address space for a terminal. */

#include <stdio.h>
#include <string.h>

#include "picture.h"

#define LABEL_MAX     27
#define ADDRESS_MARKS "abcdefghijklmnopqrstuvwxyz"

/* Letters say what colours say. */
static const struct {
    const char *letter;
    const char *block;
    const char *color;
} looks[PICTURE_CLASSES] = {
    [PICTURE_USABLE] = {"=", "━", "32"},   [PICTURE_RESERVED] = {"x", "▒", "31"},
    [PICTURE_MSI] = {"M", "M", "35"},      [PICTURE_SOFTWARE_MSI] = {"S", "S", "35"},
    [PICTURE_DIRECT] = {"D", "D", "1;31"}, [PICTURE_RELAXABLE] = {"r", "r", "32"},
    [PICTURE_BEYOND] = {".", "·", "2"},    [PICTURE_UNKNOWN] = {"?", "?", "33"},
    [PICTURE_RAM] = {"R", "█", "1;34"},    [PICTURE_BAR] = {"B", "▓", "36"},
    [PICTURE_MISFIT] = {"!", "!", "1;31"}, [PICTURE_MOVED] = {"+", "+", "1;32"},
};

/* The sign of a class, some times. */
static void put(enum picture_class class, unsigned times, bool blocks, bool colors)
{
    if (colors)
        printf("\x1b[%sm", looks[class].color);
    for (unsigned i = 0; i < times; i++)
        fputs(blocks ? looks[class].block : looks[class].letter, stdout);
    if (colors)
        fputs("\x1b[0m", stdout);
}

/* Cells of an item: at least one. */
static void cells_of(const struct picture *picture, struct iovageom_range range, unsigned width,
                     unsigned *first, unsigned *end)
{
    *first = (unsigned)(picture_start(picture, range.start) * width + 0.5);
    *end = (unsigned)(picture_end(picture, range.last) * width + 0.5);
    if (*first >= width)
        *first = width - 1;
    if (*end > width)
        *end = width;
    if (*end <= *first)
        *end = *first + 1;
}

static void print_lane(const struct picture *picture, const struct picture_lane *lane,
                       unsigned label, unsigned width, bool blocks, bool colors)
{
    int *cells = keep(width * sizeof(*cells));

    for (unsigned i = 0; i < width; i++)
        cells[i] = -1;
    for (size_t i = 0; i < lane->count; i++) {
        unsigned first, end;

        cells_of(picture, lane->items[i].range, width, &first, &end);
        for (unsigned k = first; k < end; k++)
            cells[k] = (int)lane->items[i].class;
    }
    while (width > 0 && cells[width - 1] < 0)
        width--;
    printf("%-*.*s", (int)label, (int)label - 1, lane->label);
    for (unsigned i = 0, run; i < width; i += run) {
        run = 1;
        while (i + run < width && cells[i + run] == cells[i])
            run++;
        if (cells[i] < 0)
            printf("%*s", (int)run, "");
        else
            put((enum picture_class)cells[i], run, blocks, colors);
    }
    putchar('\n');
}

/* A letter above each address where something changes. */
static size_t print_marks(const struct picture *picture, unsigned label, unsigned width)
{
    char *line = keep(width + 1);
    size_t count = 0;

    memset(line, ' ', width);
    for (size_t i = 0; i < picture->anchor_count && count < sizeof(ADDRESS_MARKS) - 1; i++) {
        unsigned cell = (unsigned)(picture_start(picture, picture->anchors[i]) * width + 0.5);

        if (cell >= width)
            cell = width - 1;
        line[cell] = ADDRESS_MARKS[count++];
    }
    while (width > 0 && line[width - 1] == ' ')
        width--;
    printf("%*s%.*s\n", (int)label, "", (int)width, line);
    return count;
}

/* What the letters stand for, in columns. */
static void print_addresses(const struct picture *picture, size_t count, unsigned width)
{
    const char *words[sizeof(ADDRESS_MARKS)];
    unsigned longest = 0;
    unsigned columns;
    size_t rows;

    for (size_t i = 0; i < count; i++) {
        uint64_t address = picture->anchors[i];

        words[i] = text("%c 0x%llx", ADDRESS_MARKS[i], (unsigned long long)address);
        if (address != 0 && (address & ((1ULL << 30) - 1)) == 0)
            words[i] = text("%s %s", words[i], size_text((struct iovageom_size){0, address}));
        if (strlen(words[i]) > longest)
            longest = (unsigned)strlen(words[i]);
    }
    columns = (width + 2) / (longest + 2);
    columns = columns == 0 ? 1 : columns;
    rows = (count + columns - 1) / columns;
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < count; i += rows)
            printf("%-*s%s", i + rows < count ? (int)longest : 0, words[i],
                   i + rows < count ? "  " : "\n");
    }
}

static void print_legend(const struct picture *picture, unsigned width, bool blocks, bool colors)
{
    unsigned column = 0;

    for (unsigned i = 0; i < PICTURE_CLASSES; i++) {
        const char *name = picture_class_name((enum picture_class)i);
        unsigned length = (unsigned)strlen(name) + 2;

        if (!picture->used[i])
            continue;
        if (column != 0 && column + 3 + length > width) {
            putchar('\n');
            column = 0;
        }
        if (column != 0)
            fputs("   ", stdout);
        column += (column != 0 ? 3 : 0) + length;
        put((enum picture_class)i, 1, blocks, colors);
        printf(" %s", name);
    }
    putchar('\n');
}

void picture_print(const struct picture *picture, unsigned width, bool blocks, bool colors)
{
    unsigned label = 0;
    size_t marks;

    if (width == 0)
        width = 80;
    for (size_t i = 0; i < picture->lane_count; i++) {
        unsigned length = (unsigned)strlen(picture->lanes[i].label) + 1;

        label = length > label ? length : label;
    }
    if (label > LABEL_MAX)
        label = LABEL_MAX;
    if (width < label + 20)
        width = label + 20;
    printf("%s: %s\n\n", picture->title, picture->subtitle);
    marks = print_marks(picture, label, width - label);
    for (size_t i = 0; i < picture->lane_count; i++)
        print_lane(picture, &picture->lanes[i], label, width - label, blocks, colors);
    putchar('\n');
    print_legend(picture, width, blocks, colors);
    putchar('\n');
    print_addresses(picture, marks, width);
}

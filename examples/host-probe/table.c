/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basics.h"

#ifdef HAVE_SMARTCOLS
#include <libsmartcols.h>
#endif

#define LEAST_WIDTH 4

struct row *table_add(struct table *table, const struct row *parent)
{
    struct row *row = keep(sizeof(*row));

    row->parent = parent;
    table->rows = keep_grown(table->rows, table->row_count, sizeof(*table->rows));
    table->rows[table->row_count++] = row;
    return row;
}

/* ---- what fits a line ---- */

static bool is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* In characters. Where they are not UTF-8, the names of devices have other bytes seldom. */
static unsigned length_of(const char *cell)
{
    unsigned length = 0;

    for (; *cell != '\0'; cell++)
        length += !is_utf8() || ((unsigned char)*cell & 0xc0) != 0x80;
    return length;
}

/* The first characters of a cell, and a mark that there were more. */
static const char *cut(const char *cell, unsigned width)
{
    size_t bytes = 0;

    for (unsigned left = width - 1; cell[bytes] != '\0'; bytes++) {
        if (is_utf8() && ((unsigned char)cell[bytes] & 0xc0) == 0x80)
            continue;
        if (left-- == 0)
            break;
    }
    return text("%.*s%s", (int)bytes, cell, is_utf8() ? "\xe2\x80\xa6" : "~");
}

static unsigned depth_of(const struct table *table, const struct row *row)
{
    unsigned depth = 0;

    while (table->tree && row->parent != NULL) {
        depth++;
        row = row->parent;
    }
    return depth;
}

/* The widest cell of a column; that of a range alone, if only those are asked for. */
static unsigned width_of(const struct table *table, const struct table_style *style, size_t shown,
                         bool ranges)
{
    size_t column = style->shown[shown];
    unsigned width = style->headings && !ranges ? (unsigned)strlen(table->columns[column].name) : 0;

    for (size_t i = 0; i < table->row_count; i++) {
        const struct row *row = table->rows[i];
        unsigned length;

        if (row->cells[column] == NULL || (ranges && !row->range))
            continue;
        length = length_of(row->cells[column]) + (shown == 0 ? 2 * depth_of(table, row) : 0);
        if (length > width)
            width = length;
    }
    return width;
}

/* Takes from columns, the last first, until the sum is as wide as it may be. */
static void narrow(const struct table *table, const struct table_style *style, unsigned *widths,
                   unsigned sum, bool hard)
{
    for (size_t k = style->shown_count; k-- > 0 && sum > style->width;) {
        const struct column *column = &table->columns[style->shown[k]];
        unsigned least = hard ? 0 : width_of(table, style, k, true);
        unsigned spare;

        if (column->floor == 0)
            continue;
        if (!hard && least < column->floor)
            least = column->floor;
        if (least < LEAST_WIDTH)
            least = LEAST_WIDTH;
        spare = widths[k] > least ? widths[k] - least : 0;
        if (spare > sum - style->width)
            spare = sum - style->width;
        widths[k] -= spare;
        sum -= spare;
    }
}

/* Shortens what is too long for its column. */
static void fit(struct table *table, const struct table_style *style)
{
    unsigned widths[TABLE_COLUMNS_MAX];
    unsigned sum = (unsigned)style->shown_count - 1;

    for (size_t k = 0; k < style->shown_count; k++) {
        widths[k] = width_of(table, style, k, false);
        sum += widths[k];
    }
    if (style->width == 0 || style->raw || sum <= style->width)
        return;
    for (int hard = 0; hard < 2; hard++) {
        sum = (unsigned)style->shown_count - 1;
        for (size_t k = 0; k < style->shown_count; k++)
            sum += widths[k];
        narrow(table, style, widths, sum, hard != 0);
    }
    for (size_t i = 0; i < table->row_count; i++) {
        for (size_t k = 0; k < style->shown_count; k++) {
            struct row *row = table->rows[i];
            const char **cell = &row->cells[style->shown[k]];
            const char *brief = row->brief[style->shown[k]];

            if (*cell == NULL || table->columns[style->shown[k]].floor == 0 ||
                length_of(*cell) <= widths[k])
                continue;
            if (brief != NULL)
                *cell = brief;
            if (length_of(*cell) > widths[k])
                *cell = cut(*cell, widths[k]);
        }
    }
}

/* Prints lines without blanks at their ends. */
static void print_trimmed(const char *lines)
{
    while (*lines != '\0') {
        size_t length = strcspn(lines, "\n");
        size_t end = length;

        while (end > 0 && lines[end - 1] == ' ')
            end--;
        printf("%.*s\n", (int)end, lines);
        lines += length;
        lines += *lines == '\n' ? 1 : 0;
    }
}

#ifdef HAVE_SMARTCOLS

static void add_lines(struct libscols_table *printer, const struct table *table,
                      const struct table_style *style)
{
    for (size_t i = 0; i < table->row_count; i++) {
        struct row *row = table->rows[i];
        struct libscols_line *line = scols_table_new_line(
            printer, table->tree && row->parent != NULL ? row->parent->line : NULL);

        if (line == NULL)
            die(EXIT_BAD_INPUT, "out of memory");
        row->line = line;
        if (row->color != NULL && style->colors)
            (void)scols_line_set_color(line, row->color);
        for (size_t k = 0; k < style->shown_count; k++) {
            if (row->cells[style->shown[k]] != NULL)
                (void)scols_line_set_data(line, k, row->cells[style->shown[k]]);
        }
    }
}

void table_print(struct table *table, const struct table_style *style)
{
    struct libscols_table *printer = scols_new_table();

    if (printer == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    fit(table, style);
    (void)scols_table_enable_noheadings(printer, !style->headings);
    (void)scols_table_enable_raw(printer, style->raw);
    (void)scols_table_enable_colors(printer, style->colors);
    /* Cells fit already: it is not to cut them in its own way. */
    (void)scols_table_set_termforce(printer, SCOLS_TERMFORCE_NEVER);
    for (size_t k = 0; k < style->shown_count; k++) {
        const struct column *column = &table->columns[style->shown[k]];
        int flags =
            (column->right ? SCOLS_FL_RIGHT : 0) | (table->tree && k == 0 ? SCOLS_FL_TREE : 0);

        if (scols_table_new_column(printer, column->name, 0, flags) == NULL)
            die(EXIT_BAD_INPUT, "out of memory");
    }
    add_lines(printer, table, style);
    if (style->raw) {
        (void)scols_print_table(printer);
    } else {
        char *lines = NULL;

        if (scols_print_table_to_string(printer, &lines) != 0)
            die(EXIT_BAD_INPUT, "out of memory");
        if (lines != NULL)
            print_trimmed(lines);
        free(lines);
    }
    scols_unref_table(printer);
}

#else

/* As libsmartcols has it: blanks within a raw cell are written \\x20. */
static const char *raw_text(const char *cell)
{
    char *raw = keep(4 * strlen(cell) + 1);
    size_t length = 0;

    for (; *cell != '\0'; cell++) {
        if (*cell == ' ')
            length += (size_t)sprintf(raw + length, "\\x20");
        else
            raw[length++] = *cell;
    }
    return raw;
}

/* Whether another row with the same parent follows. */
static bool has_sibling(const struct table *table, size_t number)
{
    for (size_t i = number + 1; i < table->row_count; i++) {
        if (table->rows[i]->parent == table->rows[number]->parent)
            return true;
        if (table->rows[i]->parent == NULL)
            return false;
    }
    return false;
}

/* As libsmartcols draws it; rows of our tables stand below groups, and no deeper. */
static const char *branch(const struct table *table, size_t number)
{
    bool more;

    if (!table->tree || table->rows[number]->parent == NULL)
        return "";
    more = has_sibling(table, number);
    if (is_utf8())
        return more ? "\xe2\x94\x9c\xe2\x94\x80" : "\xe2\x94\x94\xe2\x94\x80";
    return more ? "|-" : "`-";
}

static const char *cell_text(const struct table *table, const struct table_style *style,
                             size_t number, size_t shown)
{
    const char *cell = table->rows[number]->cells[style->shown[shown]];

    if (cell == NULL)
        cell = "";
    if (style->raw)
        return raw_text(cell);
    return shown == 0 ? text("%s%s", branch(table, number), cell) : cell;
}

static void print_cell(struct buffer *line, const struct table *table,
                       const struct table_style *style, unsigned width, size_t shown,
                       const char *cell)
{
    bool right = table->columns[style->shown[shown]].right && !style->raw;
    unsigned length = length_of(cell);
    int blanks = !style->raw && length < width ? (int)(width - length) : 0;

    buffer_add(line, "%s%*s%s%*s", shown != 0 ? " " : "", right ? blanks : 0, "", cell,
               right ? 0 : blanks, "");
}

void table_print(struct table *table, const struct table_style *style)
{
    unsigned widths[TABLE_COLUMNS_MAX] = {0};
    struct buffer lines = {NULL, 0, 0};

    fit(table, style);
    for (size_t k = 0; k < style->shown_count; k++)
        widths[k] = width_of(table, style, k, false);
    for (size_t k = 0; k < style->shown_count && style->headings; k++)
        print_cell(&lines, table, style, widths[k], k, table->columns[style->shown[k]].name);
    if (style->headings)
        buffer_add(&lines, "\n");
    for (size_t i = 0; i < table->row_count; i++) {
        for (size_t k = 0; k < style->shown_count; k++)
            print_cell(&lines, table, style, widths[k], k, cell_text(table, style, i, k));
        buffer_add(&lines, "\n");
    }
    if (style->raw)
        fputs(buffer_text(&lines), stdout);
    else
        print_trimmed(buffer_text(&lines));
}

#endif

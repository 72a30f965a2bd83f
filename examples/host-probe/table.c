/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <stdio.h>
#include <string.h>

#include "basics.h"

#ifdef HAVE_SMARTCOLS
#include <libsmartcols.h>
#endif

struct row *table_add(struct table *table, const struct row *parent)
{
    struct row *row = keep(sizeof(*row));

    row->parent = parent;
    table->rows = keep_grown(table->rows, table->row_count, sizeof(*table->rows));
    table->rows[table->row_count++] = row;
    return row;
}

#ifdef HAVE_SMARTCOLS

static void add_lines(struct libscols_table *printer, const struct table *table,
                      const struct table_style *style)
{
    struct libscols_line **lines = keep((table->row_count + 1) * sizeof(struct libscols_line *));

    for (size_t i = 0; i < table->row_count; i++) {
        const struct row *row = table->rows[i];
        struct libscols_line *parent = NULL;

        for (size_t k = 0; k < i && table->tree; k++) {
            if (table->rows[k] == row->parent)
                parent = lines[k];
        }
        lines[i] = scols_table_new_line(printer, parent);
        if (lines[i] == NULL)
            die(EXIT_BAD_INPUT, "out of memory");
        if (row->color != NULL && style->colors)
            (void)scols_line_set_color(lines[i], row->color);
        for (size_t k = 0; k < style->shown_count; k++) {
            if (row->cells[style->shown[k]] != NULL)
                (void)scols_line_set_data(lines[i], k, row->cells[style->shown[k]]);
        }
    }
}

void table_print(const struct table *table, const struct table_style *style)
{
    struct libscols_table *printer = scols_new_table();

    if (printer == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    (void)scols_table_enable_noheadings(printer, !style->headings);
    (void)scols_table_enable_raw(printer, style->raw);
    (void)scols_table_enable_colors(printer, style->colors);
    for (size_t k = 0; k < style->shown_count; k++) {
        const struct column *column = &table->columns[style->shown[k]];
        int flags = (column->right ? SCOLS_FL_RIGHT : 0) |
                    (table->tree && style->shown[k] == 0 ? SCOLS_FL_TREE : 0);

        if (scols_table_new_column(printer, column->name, 0, flags) == NULL)
            die(EXIT_BAD_INPUT, "out of memory");
    }
    add_lines(printer, table, style);
    (void)scols_print_table(printer);
    scols_unref_table(printer);
}

#else

static int depth_of(const struct table *table, const struct row *row)
{
    int depth = 0;

    while (table->tree && row->parent != NULL) {
        depth++;
        row = row->parent;
    }
    return depth;
}

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

/* The words of a cell; those below another row are indented in the first column. */
static const char *cell_text(const struct table *table, const struct row *row, size_t column,
                             bool raw)
{
    const char *cell = row->cells[column] != NULL ? row->cells[column] : "";

    if (raw)
        return raw_text(cell);
    return column == 0 ? text("%*s%s", 2 * depth_of(table, row), "", cell) : cell;
}

static void print_line(const struct table *table, const struct table_style *style,
                       const int *widths, const struct row *row)
{
    const char *line = "";
    size_t length;

    for (size_t k = 0; k < style->shown_count; k++) {
        const struct column *column = &table->columns[style->shown[k]];
        const char *cell =
            row != NULL ? cell_text(table, row, style->shown[k], style->raw) : column->name;
        int width = style->raw ? 0 : widths[k];

        line = text("%s%s%*s", line, k != 0 ? " " : "", column->right ? width : -width, cell);
    }
    length = strlen(line);
    while (length > 0 && line[length - 1] == ' ')
        length--;
    printf("%.*s\n", (int)length, line);
}

void table_print(const struct table *table, const struct table_style *style)
{
    int widths[TABLE_COLUMNS_MAX] = {0};

    for (size_t k = 0; k < style->shown_count; k++) {
        widths[k] = style->headings ? (int)strlen(table->columns[style->shown[k]].name) : 0;
        for (size_t i = 0; i < table->row_count; i++) {
            int width = (int)strlen(cell_text(table, table->rows[i], style->shown[k], style->raw));

            if (width > widths[k])
                widths[k] = width;
        }
    }
    if (style->headings)
        print_line(table, style, widths, NULL);
    for (size_t i = 0; i < table->row_count; i++)
        print_line(table, style, widths, table->rows[i]);
}

#endif

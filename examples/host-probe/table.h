/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_TABLE_H
#define HOST_PROBE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A table whose rows may stand below one another, printed by libsmartcols, or in a plain way where
 * the program was built without it. Where lines may be of a width only, cells are shortened, so
 * that no line is wrapped.
 */

#define TABLE_COLUMNS_MAX 16

struct column {
    const char *name;
    const char *help;
    bool right; /**< numbers stand to the right */
    /** Cells are cut to that width at first, and to few characters if that is not enough; ranges
        are cut last. 0 for never. */
    unsigned floor;
};

struct row {
    const char *cells[TABLE_COLUMNS_MAX]; /**< NULL for empty */
    const char
        *brief[TABLE_COLUMNS_MAX]; /**< what stands there where a cell is too long; or NULL */
    const struct row *parent;      /**< NULL for none; an earlier row */
    const char *color;             /**< a name that libsmartcols knows, or NULL */
    bool range;                    /**< its long cells are addresses */
    void *line;                    /**< the printer's own */
};

struct table {
    const struct column *columns;
    size_t column_count;
    struct row **rows;
    size_t row_count;
    bool tree; /**< the first column shows who stands below whom */
};

struct table_style {
    const size_t *shown; /**< numbers of the columns, in their order */
    size_t shown_count;
    bool headings;
    bool raw;
    bool colors;
    unsigned width; /**< of a line; 0 for as wide as it gets */
};

/** Adds an empty row. It stays where it is. */
struct row *table_add(struct table *table, const struct row *parent);

/** Prints it. Cells that are too long for the width are shortened in the table, too. */
void table_print(struct table *table, const struct table_style *style);

#endif

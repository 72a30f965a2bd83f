/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A DMAR table as `iasl -d` writes it: a field a line, "[088h 0136   8] Base Address :
 * 00000000CF4AF000", or with "008h" for the length. IVRS and IORT tables have lines of the same
 * form (paste_ivrs.c, paste_iort.c).
 */

#include "paste.h"

#include <string.h>

#define NO_BUS   0x100
#define ONE_STEP 8 /* length of a device scope whose path is one device on its bus */

/* A region of the table whose devices have not come, or none of which can be told, is nobody's. */
static void end_region(struct reader *reader)
{
    struct table_region *region = &reader->region;

    if (region->whole && (region->others || !region->named))
        paste_rmrr(reader, region->range);
    *region = (struct table_region){.open = false};
}

/* "PCI Path : 1D,00", on the bus that came before. Behind a bridge nobody knows the number of
 * it. */
static bool read_path(struct reader *reader, const char *at)
{
    struct table_region *region = &reader->region;
    uint64_t device, function;

    at = line_hex(reader, at, &device);
    if (at == NULL || at == reader->end || *at != ',' ||
        line_hex(reader, at + 1, &function) == NULL || device > 0x1f || function > 7)
        return false;
    if (!region->whole)
        return true;
    if (region->scope != 1 || region->length != ONE_STEP || region->bus == NO_BUS) {
        region->others = true;
        return true;
    }
    paste_demand(reader, DEMAND_TABLE,
                 text("%04x:%02x:%02x.%x", (unsigned)region->segment, (unsigned)region->bus,
                      (unsigned)device, (unsigned)function),
                 region->range);
    region->named = true;
    return true;
}

bool paste_field(const struct reader *reader, const char *at, uint64_t most, uint64_t *value)
{
    uint64_t number;

    if (line_hex(reader, at, &number) == NULL || number > most)
        return false;
    *value = number;
    return true;
}

static bool read_region_field(struct reader *reader, const char *name, const char *at)
{
    struct table_region *region = &reader->region;

    if (memcmp(name, "PCI Segment Number :", 20) == 0)
        return paste_field(reader, at, 0xffff, &region->segment);
    if (memcmp(name, "Base Address :", 14) == 0)
        return region->based = paste_field(reader, at, UINT64_MAX, &region->range.start);
    if (memcmp(name, "End Address (limit) :", 21) == 0) {
        region->whole = region->based && paste_field(reader, at, UINT64_MAX, &region->range.last) &&
                        region->range.last > region->range.start;
        return region->whole;
    }
    if (memcmp(name, "Device Scope ", 13) == 0) {
        region->length = 0;
        region->bus = NO_BUS;
        return paste_field(reader, at, 0xff, &region->scope);
    }
    if (memcmp(name, "Entry Length :", 14) == 0)
        return paste_field(reader, at, 0xff, &region->length);
    if (memcmp(name, "PCI Bus Number :", 16) == 0)
        return paste_field(reader, at, 0xff, &region->bus);
    return memcmp(name, "PCI Path :", 10) == 0 && read_path(reader, at);
}

bool paste_read_table(struct reader *reader)
{
    const char *at = line_blanks(reader, reader->at);
    char name[32] = "";
    uint64_t value;
    size_t length;

    if (paste_read_iort_unread(reader))
        return true;
    if (at == reader->end || *at != '[' || (at = line_hex(reader, at + 1, &value)) == NULL ||
        at == reader->end || *at != 'h' || (at = line_after(reader, at, "] ")) == NULL)
        return false;
    at = line_blanks(reader, at);
    length = (size_t)(reader->end - at);
    memcpy(name, at, length < sizeof(name) - 1 ? length : sizeof(name) - 1);
    at = line_after(reader, at, " : ");
    if (at == NULL)
        return false;
    if (memcmp(name, "Type :", 6) == 0) {
        end_region(reader);
        (void)paste_begin_ivrs(reader, reader->end);
        return paste_begin_iort(reader, at);
    }
    if (memcmp(name, "Subtable Type :", 15) == 0) {
        end_region(reader);
        reader->iort.open = false;
        reader->region.open = line_after(reader, at, "[Reserved Memory Region]") != NULL;
        return paste_begin_ivrs(reader, at) || reader->region.open ||
               line_after(reader, at, "[Hardware Unit Definition]") != NULL;
    }
    if (memcmp(name, "Host Address Width :", 20) == 0) {
        /* The table has the width less 1. */
        if (!paste_field(reader, at, 63, &value))
            return false;
        reader->machine.width = (unsigned)value + 1;
        return true;
    }
    /* The table's own, at 24h: an IVHD has a field of that name, too. VASize is its bits 15 to
     * 21. */
    if (value == 0x24 && memcmp(name, "Virtualization Info :", 21) == 0) {
        if (!paste_field(reader, at, UINT32_MAX, &value))
            return false;
        reader->machine.vasize = (unsigned)(value >> 15) & 0x7f;
        return true;
    }
    return reader->region.open ? read_region_field(reader, name, at)
           : reader->iort.open ? paste_read_iort(reader, name, at)
                               : paste_read_ivrs(reader, name, at);
}

void paste_finish_table(struct reader *reader)
{
    end_region(reader);
    (void)paste_begin_ivrs(reader, reader->end);
    paste_finish_iort(reader);
}

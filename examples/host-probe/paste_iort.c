/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An IORT table, of Arm's machines, as `iasl -d` writes it. Its nodes begin with "Type : 06", and
 * end with mappings: ranges of numbers that come in become ranges of the node that they refer to.
 * Three kinds say something here. An RMR has regions of memory that devices reach untranslated, and
 * which streams of an SMMU these are. A root complex says which streams its PCI devices are. An
 * SMMU makes the machine an Arm. Nodes refer to each other by their place in the table, which
 * stands before each line.
 */

#include "paste.h"

#include <stdio.h>
#include <string.h>

#define TYPE_ROOT_COMPLEX 2
#define TYPE_SMMU         3
#define TYPE_SMMU_V3      4
#define TYPE_RMR          6
#define MOST_REGIONS      256
#define MOST_MAPS         1024
#define MOST_JOINS                                                                                 \
    (1 << 20) /* a region, and a mapping of either side: far more than machines have */
#define MOST_RID      0xffff
#define FLAG_REMAPPED 0x1 /* the region may be given up, as of type direct-relaxable */

static bool left_out(struct reader *reader)
{
    if (!reader->iort.left)
        fault(
            &reader->host->faults,
            "%s:%zu: more than %d RMRs or %d mappings of an IORT, or too many pairs of these: the "
            "rest is left out",
            reader->text->path, reader->number, MOST_REGIONS, MOST_MAPS);
    reader->iort.left = true;
    return true;
}

bool paste_begin_iort(struct reader *reader, const char *at)
{
    struct iort *iort = &reader->iort;

    iort->open = paste_field(reader, at, 0xff, &iort->type);
    iort->node++;
    iort->based = iort->flagged = false;
    iort->segment = iort->flags = 0;
    iort->map = (struct iort_map){.node = iort->node};
    return false; /* other tables have types, too */
}

static bool end_region(struct reader *reader, const char *at)
{
    struct iort *iort = &reader->iort;
    struct iort_region region = {.node = iort->node,
                                 .relaxable = (iort->flags & FLAG_REMAPPED) != 0};
    uint64_t length;

    if (!iort->based || !paste_field(reader, at, UINT64_MAX, &length) || length == 0 ||
        length - 1 > UINT64_MAX - iort->base)
        return false;
    iort->based = false;
    /* Linux maps whole pages; of 4K, which are the least. */
    region.range.start = iort->base & ~(uint64_t)0xfff;
    region.range.last = (iort->base + (length - 1)) | 0xfff;
    if (iort->region_count == MOST_REGIONS)
        return left_out(reader);
    iort->regions = keep_grown(iort->regions, iort->region_count, sizeof(*iort->regions));
    iort->regions[iort->region_count++] = region;
    return true;
}

static bool end_map(struct reader *reader, const char *at)
{
    struct iort *iort = &reader->iort;

    if (!paste_field(reader, at, 0xffffffff, &iort->map.reference))
        return false;
    iort->map.type = iort->type;
    iort->map.segment = iort->segment;
    if (iort->map_count == MOST_MAPS)
        return left_out(reader);
    iort->maps = keep_grown(iort->maps, iort->map_count, sizeof(*iort->maps));
    iort->maps[iort->map_count++] = iort->map;
    return true;
}

/* The fields of each mapping; "ID Count" is one less than there are. */
static bool read_map(struct reader *reader, const char *name, const char *at)
{
    struct iort_map *map = &reader->iort.map;

    if (strncmp(name, "Input base :", 12) == 0) {
        *map = (struct iort_map){.node = reader->iort.node};
        return paste_field(reader, at, 0xffffffff, &map->input);
    }
    if (strncmp(name, "ID Count :", 10) == 0)
        return paste_field(reader, at, 0xffffffff, &map->count);
    if (strncmp(name, "Output Base :", 13) == 0)
        return paste_field(reader, at, 0xffffffff, &map->output);
    return strncmp(name, "Output Reference :", 18) == 0 && end_map(reader, at);
}

static bool read_rmr(struct reader *reader, const char *name, const char *at)
{
    struct iort *iort = &reader->iort;

    /* Mappings have flags, too. */
    if (strncmp(name, "Flags ", 6) == 0 && !iort->flagged)
        return iort->flagged = paste_field(reader, at, 0xffffffff, &iort->flags);
    if (strncmp(name, "Base Address of RMR :", 21) == 0)
        return iort->based = paste_field(reader, at, UINT64_MAX, &iort->base);
    return (strncmp(name, "Length of RMR :", 15) == 0 && end_region(reader, at)) ||
           read_map(reader, name, at);
}

bool paste_read_iort(struct reader *reader, const char *name, const char *at)
{
    struct iort *iort = &reader->iort;

    switch (iort->type) {
    case TYPE_ROOT_COMPLEX:
        if (strncmp(name, "PCI Segment Number :", 20) == 0)
            return paste_field(reader, at, 0xffff, &iort->segment);
        return read_map(reader, name, at);
    case TYPE_SMMU:
    case TYPE_SMMU_V3:
        if (strncmp(name, "Mapping Count :", 15) != 0)
            return false;
        reader->machine.smmus = true;
        return true;
    case TYPE_RMR:
        return read_rmr(reader, name, at);
    default:
        return false;
    }
}

bool paste_read_iort_unread(struct reader *reader)
{
    if (line_after(reader, reader->at, "**** Unknown IORT node type 0x6") == NULL &&
        line_after(reader, reader->at, "**** Unsupported IORT revision ") == NULL)
        return false;
    reader->iort.unread = true;
    return true;
}

/* ---- whose regions they are ---- */

static void print_address(uint64_t segment, uint64_t id, char address[ADDRESS_LENGTH + 1])
{
    (void)snprintf(address, ADDRESS_LENGTH + 1, "%04x:%02x:%02x.%x", (unsigned)segment,
                   (unsigned)(id >> 8 & 0xff), (unsigned)(id >> 3 & 0x1f), (unsigned)(id & 7));
}

/* The PCI devices of a root complex that are among the streams of an RMR; false for none. */
static bool join(struct reader *reader, const struct iort_region *region,
                 const struct iort_map *streams, const struct iort_map *root)
{
    struct ivmd demand = {.range = region->range, .rmr = true, .relaxable = region->relaxable};
    uint64_t first = streams->output > root->output ? streams->output : root->output;
    uint64_t last = streams->output + streams->count < root->output + root->count
                        ? streams->output + streams->count
                        : root->output + root->count;

    if (streams->reference != root->reference || first > last)
        return false;
    first = root->input + (first - root->output);
    last = root->input + (last - root->output);
    if (first > MOST_RID)
        return false;
    print_address(root->segment, first, demand.first);
    print_address(root->segment, last < MOST_RID ? last : MOST_RID, demand.last);
    paste_ivmd(reader, &demand);
    return true;
}

static void finish_region(struct reader *reader, const struct iort_region *region)
{
    struct iort *iort = &reader->iort;
    bool told = false;

    for (size_t i = 0; i < iort->map_count; i++) {
        bool found = false;

        if (iort->maps[i].node != region->node)
            continue;
        for (size_t k = 0; k < iort->map_count; k++) {
            if (iort->joins++ >= MOST_JOINS) {
                (void)left_out(reader);
                return;
            }
            if (iort->maps[k].type == TYPE_ROOT_COMPLEX)
                found = join(reader, region, &iort->maps[i], &iort->maps[k]) || found;
        }
        told = true;
        /* Devices that are not PCI have names of their own in the kernel. */
        if (!found)
            paste_rmrr(reader, region->range);
    }
    if (!told)
        paste_rmrr(reader, region->range);
}

void paste_finish_iort(struct reader *reader)
{
    for (size_t i = 0; i < reader->iort.region_count; i++)
        finish_region(reader, &reader->iort.regions[i]);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An IVRS table as `iasl -d` writes it. Two kinds of its blocks say something here. An IVHD is an
 * IOMMU, perhaps with an image of its feature register; newer blocks tell of the same IOMMU once
 * more. An IVMD is a region of memory that devices reach untranslated.
 */

#include "paste.h"

#include <stdio.h>
#include <string.h>

#define TYPE_ALL    0x20
#define TYPE_ONE    0x21
#define TYPE_RANGE  0x22
#define FLAGS_WANTS 0x9 /* mapped one to one, or excluded, which Linux takes for the same */

/* "ivhd1": IOMMUs have the order of the table; NULL when there are too many. */
static const char *ivhd_name(struct reader *reader)
{
    uint64_t id = reader->block.segment << 16 | reader->block.device;
    size_t number = 0;

    while (number < reader->ivhd_count && reader->ivhds[number] != id)
        number++;
    if (number == MOST_IVHDS)
        return NULL;
    if (number == reader->ivhd_count)
        reader->ivhds[reader->ivhd_count++] = id;
    return text("ivhd%zu", number);
}

/* The register, and the second one, which is 0 where the table has no field for it. */
static void keep_image(struct reader *reader, uint64_t second)
{
    const char *name = reader->block.imaged ? ivhd_name(reader) : NULL;

    reader->block.imaged = false;
    if (name != NULL)
        paste_attribute(
            reader, name, "features",
            text("%llx:%llx", (unsigned long long)reader->block.image, (unsigned long long)second));
}

bool paste_begin_ivrs(struct reader *reader, const char *at)
{
    struct ivrs_block *block = &reader->block;

    keep_image(reader, 0);
    *block = (struct ivrs_block){.memory = false};
    if (!paste_field(reader, at, 0xff, &block->type))
        return false;
    block->hardware = line_after(reader, at, "[Hardware Definition Block") != NULL;
    block->memory = line_after(reader, at, "[Memory Definition Block") != NULL &&
                    block->type >= TYPE_ALL && block->type <= TYPE_RANGE;
    if (block->hardware || block->memory)
        return true;
    /* What other blocks have, among them those that end an IVHD, is not read. */
    return line_after(reader, at, "[Device Entry") != NULL;
}

static void print_address(uint64_t segment, uint64_t id, char address[ADDRESS_LENGTH + 1])
{
    /* A bus of 8 bits, a device of 5, a function of 3. */
    (void)snprintf(address, ADDRESS_LENGTH + 1, "%04x:%02x:%02x.%x", (unsigned)(segment & 0xffff),
                   (unsigned)(id >> 8 & 0xff), (unsigned)(id >> 3 & 0x1f), (unsigned)(id & 7));
}

/* The length is the last field of an IVMD. */
static bool end_memory(struct reader *reader, const char *at)
{
    const struct ivrs_block *block = &reader->block;
    struct ivmd ivmd = {.rmr = false};
    uint64_t length;

    if (!block->flagged || !block->started || !paste_field(reader, at, UINT64_MAX, &length) ||
        length == 0 || length - 1 > UINT64_MAX - block->start)
        return false;
    /* Linux maps whole pages; some boards have a length of 1. */
    ivmd.range.start = block->start & ~(uint64_t)0xfff;
    ivmd.range.last = (block->start + (length - 1)) | 0xfff;
    print_address(block->segment, block->type == TYPE_ALL ? 0 : block->device, ivmd.first);
    print_address(block->segment,
                  block->type == TYPE_ALL   ? 0xffff
                  : block->type == TYPE_ONE ? block->device
                                            : block->auxiliary,
                  ivmd.last);
    if ((block->flags & FLAGS_WANTS) != 0)
        paste_ivmd(reader, &ivmd);
    return true;
}

static bool read_memory(struct reader *reader, const char *name, const char *at)
{
    struct ivrs_block *block = &reader->block;

    if (strncmp(name, "Flags ", 6) == 0)
        return block->flagged = paste_field(reader, at, 0xff, &block->flags);
    if (strncmp(name, "Auxiliary Data :", 16) == 0)
        return paste_field(reader, at, 0xffff, &block->auxiliary);
    /* Its first 16 bits are the PCI segment, as Linux reads it. */
    if (strncmp(name, "Reserved :", 10) == 0) {
        if (!paste_field(reader, at, UINT64_MAX, &block->segment))
            return false;
        block->segment &= 0xffff;
        return true;
    }
    if (strncmp(name, "Start Address :", 15) == 0)
        return block->started = paste_field(reader, at, UINT64_MAX, &block->start);
    return strncmp(name, "Memory Length :", 15) == 0 && end_memory(reader, at);
}

static bool read_hardware(struct reader *reader, const char *name, const char *at)
{
    struct ivrs_block *block = &reader->block;
    uint64_t second;

    if (strncmp(name, "PCI Segment Group :", 19) == 0)
        return paste_field(reader, at, 0xffff, &block->segment);
    if (strncmp(name, "EFR Image :", 11) == 0)
        return block->imaged = paste_field(reader, at, UINT64_MAX, &block->image);
    if (!block->imaged || strncmp(name, "Reserved :", 10) != 0 ||
        !paste_field(reader, at, UINT64_MAX, &second))
        return false;
    keep_image(reader, second);
    return true;
}

bool paste_read_ivrs(struct reader *reader, const char *name, const char *at)
{
    struct ivrs_block *block = &reader->block;

    if (!block->memory && !block->hardware)
        return false;
    if (strncmp(name, "DeviceId :", 10) == 0)
        return paste_field(reader, at, 0xffff, &block->device);
    return block->memory ? read_memory(reader, name, at) : read_hardware(reader, name, at);
}

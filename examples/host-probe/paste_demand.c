/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a text says of regions that firmware wants mapped one to one. The lines come in any order,
 * and those that put devices into groups may be the last. So all is kept to the end.
 */

#include "paste.h"

#include <string.h>

static const char *words_of(struct rmrr range)
{
    return range_text((struct iovageom_range){range.start, range.last});
}

void paste_demand(struct reader *reader, enum demand_kind kind, const char *device,
                  struct rmrr range)
{
    const char *key = text("%d %s %s", (int)kind, device, words_of(range));
    size_t number;

    if (lookup_find(&reader->demanded, key, &number))
        return;
    lookup_add(&reader->demanded, key, 0);
    reader->demands = keep_grown(reader->demands, reader->demand_count, sizeof(*reader->demands));
    reader->demands[reader->demand_count++] = (struct demand){kind, text("%s", device), range};
}

static bool same_range(struct rmrr a, struct rmrr b)
{
    return a.start == b.start && a.last == b.last;
}

void paste_rmrr(struct reader *reader, struct rmrr range)
{
    for (size_t i = 0; i < reader->rmrr_count && i < MOST_RMRRS; i++) {
        if (same_range(reader->rmrrs[i], range))
            return;
    }
    if (reader->rmrr_count < MOST_RMRRS)
        reader->rmrrs[reader->rmrr_count] = range;
    reader->rmrr_count++;
}

void paste_ivmd(struct reader *reader, const struct ivmd *ivmd)
{
    if (ivmd->range.start >= ivmd->range.last)
        return;
    for (size_t i = 0; i < reader->ivmd_count; i++) {
        if (same_range(reader->ivmds[i].range, ivmd->range) && reader->ivmds[i].rmr == ivmd->rmr &&
            reader->ivmds[i].relaxable == ivmd->relaxable &&
            strcmp(reader->ivmds[i].first, ivmd->first) == 0 &&
            strcmp(reader->ivmds[i].last, ivmd->last) == 0)
            return;
    }
    /* Each is held against all devices. */
    if (reader->ivmd_count < MOST_IVMDS) {
        reader->ivmds[reader->ivmd_count++] = *ivmd;
        return;
    }
    if (!reader->ivmds_left)
        fault(&reader->host->faults, "%s:%zu: more than %d IVMDs and RMRs: the rest is left out",
              reader->text->path, reader->number, MOST_IVMDS);
    reader->ivmds_left = true;
}

/* Linux gives up what Intel's firmware wants for graphics and USB when such a device is
 * assigned. */
static bool is_relaxable(const struct device *device)
{
    return device->class_code >> 16 == 0x03 || device->class_code >> 8 == 0x0c03;
}

static struct group *group_of(const struct reader *reader, const struct device *device)
{
    return device->group != NULL ? host_group(reader->host, device->group) : NULL;
}

/* An RMRR of a device. In no group of the text, it is told of the assumed one. */
static void say_region(struct reader *reader, const struct demand *demand)
{
    const struct device *device = host_device(reader->host, demand->device);
    struct group *group = group_of(reader, device);
    const char *behind = "";

    if (!device->pci)
        behind = ": unless that is a graphics or a USB device, Linux gives it to nobody";
    else if (is_relaxable(device))
        behind = " until it is assigned, which hinders nothing";
    else if (group != NULL)
        group->direct = true;
    if (group == NULL)
        group = paste_group(reader, ANY_GROUP);
    if (group != NULL)
        group_note(group, text("firmware (an RMRR) wants %s mapped one to one for %s%s",
                               words_of(demand->range), demand->device, behind));
}

static void say_refusal(struct reader *reader, const struct demand *demand)
{
    struct device *device = host_device(reader->host, demand->device);
    struct group *group = group_of(reader, device);

    if (group == NULL) {
        group = paste_group(reader, ANY_GROUP);
        if (group != NULL && device != reader->host->spare)
            device->group = group->name;
    }
    if (group == NULL)
        return;
    group->direct = true;
    group_note(group,
               text("the kernel refused %s, as firmware wants regions for it mapped one to one",
                    demand->device));
}

/*
 * Linux treats regions of AMD's to be excluded as those to be mapped, and has nothing relaxable
 * there. Of Arm's, firmware says which may be given up; and Linux heeds them for PCI devices only
 * where firmware also asks it to keep the numbers of buses. So where a group's own list is there,
 * that counts.
 */
static void say_ivmd(struct reader *reader, const struct ivmd *ivmd)
{
    const struct host *host = reader->host;
    const char *wants = text("firmware (%s) wants %s mapped one to one for",
                             ivmd->rmr ? "an RMR" : "an IVMD", words_of(ivmd->range));
    const char *behind = ivmd->relaxable ? " until it is assigned, which hinders nothing" : "";
    struct group *group;
    bool any = false;

    for (size_t i = 0; i < host->device_count; i++) {
        const struct device *device = host->devices[i];

        group = group_of(reader, device);
        if (group == NULL || strcmp(device->address, ivmd->first) < 0 ||
            strcmp(device->address, ivmd->last) > 0)
            continue;
        any = true;
        if (!ivmd->relaxable && (!ivmd->rmr || group->pasted == NULL))
            group->direct = true;
        if (reader->said++ > MOST_SAID)
            group->unsaid++;
        else
            group_note(group, text("%s %s%s", wants, device->address, behind));
    }
    group = host->group_count == 0 ? paste_group(reader, ANY_GROUP) : host_group(host, ANY_GROUP);
    if (!any && group != NULL)
        group_note(group, text("%s %s%s", wants,
                               strcmp(ivmd->first, ivmd->last) == 0
                                   ? ivmd->first
                                   : text("all devices from %s to %s", ivmd->first, ivmd->last),
                               ivmd->relaxable ? behind : ": Linux gives that to nobody"));
}

void paste_finish_demands(struct reader *reader)
{
    bool groups = reader->host->group_count != 0;

    for (size_t i = 0; i < reader->demand_count; i++) {
        const struct demand *demand = &reader->demands[i];

        if (demand->kind == DEMAND_REFUSAL)
            say_refusal(reader, demand);
        /* A device that is in no group, where there are some, is likely not in the machine. */
        else if (demand->kind == DEMAND_LOG || !groups ||
                 host_device(reader->host, demand->device)->group != NULL)
            say_region(reader, demand);
        else
            paste_rmrr(reader, demand->range);
    }
    for (size_t i = 0; i < reader->ivmd_count; i++)
        say_ivmd(reader, &reader->ivmds[i]);
}

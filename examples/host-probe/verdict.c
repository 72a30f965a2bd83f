/* SPDX-License-Identifier: BSD-3-Clause */

/* The verdict in words, on a group or on the host as a whole. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "show.h"

#define LABEL_WIDTH 9
#define MOST_NAMED  8

static void print_settings(const struct setting *settings, size_t count, const char *title,
                           unsigned width)
{
    if (count != 0)
        printf("  %s\n", title);
    for (size_t i = 0; i < count; i++) {
        bool again = i != 0 && strcmp(settings[i].vmm, settings[i - 1].vmm) == 0;
        const char *words = settings[i].since != NULL
                                ? text("%s (since %s)", settings[i].words, settings[i].since)
                                : settings[i].words;

        print_field(width, 4, 16, again ? "" : settings[i].vmm, words);
    }
}

static void print_advice_settings(const struct advice *advice, unsigned width)
{
    print_settings(advice->settings, advice->setting_count, "with a virtual IOMMU, tell the VMM",
                   width);
    print_settings(advice->plain, advice->plain_count,
                   "without one, keep guest addresses below the width", width);
}

/* ---- one group ---- */

/* Who says the width that counts. */
static const char *width_sources(const struct verdict *verdict)
{
    const char *words = "";

    for (size_t i = 0; i < verdict->statement_count; i++) {
        const struct statement *statement = &verdict->statements[i];

        if (statement->has_aperture && statement->bits == verdict->bits)
            words = text("%s%s%s", words, *words != '\0' ? ", " : "", statement->source);
    }
    return words;
}

static const char *pages_text(const struct verdict *verdict)
{
    uint64_t page_sizes, budget;
    const char *words = "not known";

    if (iovageom_geometry_page_sizes(verdict->geometry, &page_sizes) == 0)
        words = page_sizes_text(page_sizes);
    if (iovageom_geometry_map_budget(verdict->geometry, &budget) == 0)
        words = text("%s; %llu mappings at most", words, (unsigned long long)budget);
    return words;
}

static const char *name_of(const struct group *group)
{
    struct buffer words = {NULL, 0, 0};

    if (group->assumed)
        return "any group";
    buffer_add(&words, "group %s (", group->name);
    for (size_t i = 0; i < group->device_count && i < MOST_NAMED; i++)
        buffer_add(&words, "%s%s", i != 0 ? " " : "", group->devices[i]->address);
    if (group->device_count > MOST_NAMED)
        buffer_add(&words, " and %zu more", group->device_count - MOST_NAMED);
    buffer_add(&words, ")");
    return buffer_text(&words);
}

/* "; 0000:01:00.0 has one of 16G", of the largest BAR in the group that is known. */
static const char *bars_text(const struct advice *advice)
{
    const struct group *group = advice->verdict->group;
    const struct device *owner = NULL;
    uint64_t largest = 0;

    for (size_t i = 0; i < group->device_count; i++) {
        const struct device *device = group->devices[i];

        for (size_t k = 0; k < device->bars.count && !device_is_bridge(device); k++) {
            if (device->bars.list[k].size <= largest)
                continue;
            largest = device->bars.list[k].size;
            owner = device;
        }
    }
    if (owner == NULL)
        return "";
    return text("; %s has one of %s%s", owner->address,
                size_text((struct iovageom_size){0, largest}),
                largest > advice->bar_most ? ", which has none" : "");
}

static void show_room(const struct advice *advice, unsigned width)
{
    if (!advice->knows_ram)
        return;
    print_field(
        width, 2, LABEL_WIDTH, "RAM",
        advice->ram.lo == 0 && advice->ram.hi == 0
            ? text("none at its usual place: %s", advice->ram_place)
            : text("%s at most at its usual place: %s", size_text(advice->ram), advice->ram_place));
    print_field(width, 2, LABEL_WIDTH, "BARs",
                advice->bar_most == 0 ? "none has a place"
                : advice->bar_most >> 63 != 0
                    ? "of every size have a place"
                    : text("%s at most: one of %s has no place%s",
                           size_text((struct iovageom_size){0, advice->bar_most}),
                           size_text((struct iovageom_size){0, 2 * advice->bar_most}),
                           bars_text(advice)));
}

void show_verdict(const struct advice *advice, unsigned width, bool colors)
{
    const struct verdict *verdict = advice->verdict;
    int good = outcome_assignable(advice->outcome);
    const char *color = good > 0 ? "\033[32m" : good == 0 ? "\033[31m" : "\033[33m";
    const char *sources;

    if (colors)
        fputs(color, stdout);
    print_field(width, 0, 0, "",
                text("%s %s", name_of(verdict->group), outcome_sentence(advice->outcome)));
    if (colors)
        fputs("\033[0m", stdout);
    if (advice->because != NULL)
        print_field(width, 2, LABEL_WIDTH, "because", advice->because);
    if (advice->outcome == OUTCOME_NO_IOMMU || advice->outcome == OUTCOME_NOT_READ) {
        /* Nothing of what follows is known. */
    } else if (verdict->knows_width) {
        sources = width_sources(verdict);
        print_field(width, 2, LABEL_WIDTH, "width",
                    text("%u bits%s%s", verdict->bits, *sources != '\0' ? ", by " : "", sources));
        print_field(width, 2, LABEL_WIDTH, "pages", pages_text(verdict));
    } else {
        print_field(width, 2, LABEL_WIDTH, "width", text("not known: %s", width_doubt(verdict)));
    }
    if (advice->outcome != OUTCOME_NOTHING && advice->outcome != OUTCOME_DIRECT) {
        show_room(advice, width);
        print_advice_settings(advice, width);
    }
    if (advice->remedy_count != 0)
        printf("  to do\n");
    for (size_t i = 0; i < advice->remedy_count; i++)
        print_field(width, 4, 1, "-", advice->remedies[i]);
}

/* ---- the host ---- */

/* "0-3, 7": groups with an outcome. */
static const char *groups_with(const struct verdict *verdicts, const struct advice *advices,
                               size_t count, enum outcome outcome, size_t *found)
{
    bool *with = keep(count);

    *found = 0;
    for (size_t i = 0; i < count; i++) {
        with[i] = advices[i].outcome == outcome;
        *found += with[i] ? 1 : 0;
    }
    return group_names(verdicts, with, count);
}

void show_host_verdict(const struct host *host, const struct verdict *verdicts,
                       const struct advice *advices, size_t count, unsigned width)
{
    struct advice least = {.verdict = NULL};
    unsigned bits = 65;
    size_t devices = 0;
    size_t unknown = 0;

    for (size_t i = 0; i < count; i++) {
        const struct verdict *verdict = advices[i].verdict;

        devices += verdict->group->device_count;
        if (!verdict->knows_width)
            unknown++;
        else if (verdict->bits < bits)
            bits = verdict->bits;
    }
    print_field(width, 0, 0, "",
                text("%zu %s, %zu %s", count, count == 1 ? "group" : "groups", devices,
                     devices == 1 ? "device" : "devices"));
    for (int outcome = OUTCOME_READY; outcome <= OUTCOME_UNKNOWN; outcome++) {
        size_t found;
        const char *words = groups_with(verdicts, advices, count, (enum outcome)outcome, &found);

        if (found != 0)
            print_field(width, 2, 0, "",
                        text("%s %s: %s", found == 1 ? "group" : "groups", words,
                             outcome_sentence((enum outcome)outcome)));
    }
    if (bits <= 64) {
        uint64_t page_sizes = 0;

        for (size_t i = 0; i < count && page_sizes == 0; i++) {
            if (advices[i].verdict->knows_width && advices[i].verdict->bits == bits)
                (void)iovageom_geometry_page_sizes(advices[i].verdict->geometry, &page_sizes);
        }
        print_field(width, 2, LABEL_WIDTH, "width",
                    text("%u bits%s", bits,
                         unknown != 0 ? text("; not known of %zu %s", unknown,
                                             unknown == 1 ? "group" : "groups")
                                      : ""));
        advise_settings(host, bits, page_sizes, &least);
        print_advice_settings(&least, width);
    } else {
        print_field(width, 2, LABEL_WIDTH, "width", "not known");
    }
}

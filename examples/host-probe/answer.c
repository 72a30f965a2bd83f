/* SPDX-License-Identifier: BSD-3-Clause */
#include "answer.h"

#include <string.h>

#include <iovageom/status.h>

#include "advice.h"
#include "causes.h"
#include "say.h"

static void add_sentence(struct answer *answer, const char *words)
{
    add_words(&answer->words, &answer->word_count, words);
}

static void describe(struct answer *answer, struct iovageom_range range)
{
    const struct placing *placing = &answer->placing;
    struct iovageom_range part;
    size_t unknown = 0;

    switch (placing->mapped) {
    case MAPPED:
        add_sentence(answer, "nothing forbids it");
        break;
    case NOT_KNOWN:
        add_sentence(answer, "nothing forbids it, but nobody said that it is mapped: the IOMMU's "
                             "width or the reserved regions are not known (see the command show)");
        break;
    case NOT_TRANSLATED:
        add_sentence(answer, "no IOMMU translates for it, so it forbids nothing");
        break;
    case NOT_READ:
        add_sentence(answer, "its files could not be read: not known (see the command show)");
        break;
    case FORBIDDEN:
        for (size_t i = 0; i < placing->obstacle_count && i < MOST_SAID_OF_A_RANGE; i++)
            add_sentence(answer, obstacle_text(&placing->obstacles[i], placing->verdict));
        if (placing->obstacle_count > MOST_SAID_OF_A_RANGE)
            add_sentence(answer, text("and %zu such ranges more",
                                      placing->obstacle_count - MOST_SAID_OF_A_RANGE));
        while (place_unknown(placing->verdict, range, &unknown, &part) &&
               unknown <= MOST_SAID_OF_A_RANGE)
            add_sentence(answer, text("of %s nobody said that it is mapped", range_text(part)));
        if (placing->has_nearest)
            add_sentence(answer,
                         text("nearest place for %s%s: %s", range_size_text(placing->nearest),
                              placing->guessed ? ", if nothing is reserved there" : "",
                              range_text(placing->nearest)));
        else
            add_sentence(answer, "there is no place of that size");
        break;
    }
    if (!placing->verdict->assignable)
        add_sentence(answer, "but Linux 6.6 and later gives its devices to nobody: they have "
                             "direct regions");
}

struct named_bar answer_bar(const struct placing *placing, struct iovageom_range range)
{
    const struct group *group = placing->verdict->group;

    for (size_t i = 0; i < group->device_count && placing->mapped == FORBIDDEN; i++) {
        const struct device *device = group->devices[i];

        for (size_t k = 0; k < device->bars.count && !device_is_bridge(device); k++) {
            if (device->bars.list[k].size - 1 == range.last - range.start)
                return (struct named_bar){device, device->bars.list[k].number};
        }
    }
    return (struct named_bar){NULL, 0};
}

static struct iovageom_range whole_pages(const struct verdict *verdict, struct iovageom_range range)
{
    uint64_t granule = 4096;

    (void)iovageom_geometry_granule(verdict->geometry, &granule);
    range.start &= ~(granule - 1);
    range.last |= granule - 1;
    return range;
}

const char *answer_devices(const struct group *group)
{
    const char *words = "";

    for (size_t i = 0; i < group->device_count && i < 3; i++)
        words = text("%s%s%s", words, i != 0 ? " " : "", group->devices[i]->address);
    return group->device_count > 3 ? text("%s ...", words) : words;
}

void answer_find_device(const struct asked *asked, struct question *question)
{
    const char *name = question->line.device;
    const struct host *host = &asked->host;
    size_t number;

    /* Domain 0 is meant where none is named, but Intel's driver names none of the others either. */
    if (lookup_find(&host->device_lookup, name, &number) ||
        lookup_find(&host->device_lookup, text("0000:%s", name), &number))
        question->device = host->devices[number];
    for (size_t i = 0; i < host->device_count && *name != '\0' && question->device == NULL; i++) {
        const char *colon = strchr(host->devices[i]->address, ':');

        if (colon != NULL && strcmp(colon + 1, name) == 0)
            question->device = host->devices[i];
    }
    question->has_group =
        *question->line.group != '\0' && host_group(host, question->line.group) != NULL;
    /* Of a bus that can't be reset it is the other group that matters. */
    if (question->has_group && (question->device == NULL || question->line.setup == SETUP_RESET))
        question->group = host_group(host, question->line.group);
}

bool answer_wanted(const struct verdict *verdict, const struct question *question)
{
    const struct device *device = question->device;

    if (question->group != NULL)
        return strcmp(question->group->name, verdict->group->name) == 0;
    return device == NULL ||
           (device->group != NULL && strcmp(device->group, verdict->group->name) == 0);
}

struct iovageom_range answer_range(const struct verdict *verdict, const struct question *question)
{
    return question->page ? whole_pages(verdict, question->range) : question->range;
}

struct placing answer_one(const struct verdict *verdict, const struct question *question)
{
    return place_range(verdict, answer_range(verdict, question));
}

/* All that is said, as one text. */
static const char *joined_words(const struct answer *answer)
{
    struct buffer words = {NULL, 0, 0};

    for (size_t i = 0; i < answer->word_count; i++)
        buffer_add(&words, "%s\n", answer->words[i]);
    return buffer_text(&words);
}

/* Another group of which the same is said. */
static void add_group(const struct asked *asked, struct answer *answer, size_t group)
{
    if (answer->with == NULL) {
        answer->with = keep(asked->count * sizeof(*answer->with));
        answer->with[answer->placing.verdict - asked->verdicts] = true;
    }
    answer->with[group] = true;
    answer->group_count++;
}

struct answer *answer_all(const struct asked *asked, const struct question *question, size_t *count)
{
    struct answer *answers = NULL;
    struct lookup known = {NULL, 0, 0};

    *count = 0;
    for (size_t i = 0; i < asked->count; i++) {
        const struct verdict *verdict = &asked->verdicts[i];
        struct answer answer = {.group_count = 1};
        struct named_bar bar;
        const char *words;
        size_t number;

        if (!answer_wanted(verdict, question))
            continue;
        answer.placing = answer_one(verdict, question);
        describe(&answer, answer_range(verdict, question));
        bar = answer_bar(&answer.placing, question->range);
        if (bar.device != NULL)
            add_sentence(&answer, text("likely BAR %u of %s, which is as large", bar.number,
                                       bar.device->address));
        words = joined_words(&answer);
        if (lookup_find(&known, words, &number)) {
            add_group(asked, &answers[number], i);
            continue;
        }
        lookup_add(&known, words, *count);
        answers = keep_grown(answers, *count, sizeof(*answers));
        answers[(*count)++] = answer;
    }
    return answers;
}

void add_words_once(const char ***list, size_t *count, const char *words)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp((*list)[i], words) == 0)
            return;
    }
    add_words(list, count, words);
}

struct lessons answer_lessons(const struct answer *answers, size_t count)
{
    struct lessons lessons = {.forbidden = false};

    for (size_t i = 0; i < count; i++) {
        const struct placing *placing = &answers[i].placing;

        lessons.forbidden = lessons.forbidden || placing->mapped == FORBIDDEN;
        lessons.mapped = lessons.mapped || placing->mapped != FORBIDDEN;
        for (size_t k = 0; k < placing->obstacle_count; k++) {
            enum obstacle_class class = obstacle_class(&placing->obstacles[k], placing->verdict);
            const char *since = obstacle_since(class);
            const char *todo[4];
            size_t todo_count = obstacle_remedies(&placing->obstacles[k], placing->verdict, todo);

            if (since != NULL)
                add_words_once(&lessons.since, &lessons.since_count, since);
            for (size_t n = 0; n < todo_count; n++)
                add_words_once(&lessons.todo, &lessons.todo_count, todo[n]);
        }
        if (!placing->verdict->assignable) {
            add_words_once(&lessons.since, &lessons.since_count, obstacle_since(IN_DIRECT));
            add_words_once(&lessons.todo, &lessons.todo_count, direct_remedy);
        }
    }
    return lessons;
}

const char *answer_own_fault(const struct asked *asked, const struct question *question)
{
    const struct vmm_line *line = &question->line;
    uint64_t granule = 4096;

    if (line->empty)
        return "the size is 0, or the range ends before it starts: the kernel answers EINVAL";
    if (line->wraps)
        return "the range would end above 2^64-1: VFIO answers EINVAL, iommufd EOVERFLOW";
    if (line->kind != VMM_LINE_MAP || !line->has_address || asked->count == 0)
        return NULL;
    for (size_t i = 0; i < asked->count; i++) {
        uint64_t own;

        if (answer_wanted(&asked->verdicts[i], question) &&
            iovageom_geometry_granule(asked->verdicts[i].geometry, &own) == IOVAGEOM_OK &&
            own > granule)
            granule = own;
    }
    if ((line->address & (granule - 1)) == 0)
        return NULL;
    return text("the memory stands at 0x%llx in the VMM, which is no multiple of %s: the kernel "
                "answers EINVAL",
                (unsigned long long)line->address, size_text((struct iovageom_size){0, granule}));
}

size_t answer_causes(const struct question *question, const char *const **causes)
{
    size_t count = 0;

    *causes = other_causes(answer_error(question), question->line.kind == VMM_LINE_UNMAP);
    while (*causes != NULL && (*causes)[count] != NULL)
        count++;
    return count;
}

int answer_error(const struct question *question)
{
    if (question->line.error != 0)
        return question->line.error;
    if (question->line.kind == VMM_LINE_MEMLOCK)
        return 12;
    return question->line.kind == VMM_LINE_BUDGET ? 28 : 0;
}

bool answer_causes_count(const struct asked *asked, const struct question *question,
                         const struct lessons *lessons)
{
    bool geometry =
        question->line.error == 0 || question->line.error == 22 || question->line.error == 14;

    return question->line.kind != VMM_LINE_NONE && question->line.kind != VMM_LINE_ACCESS &&
           question->line.kind != VMM_LINE_DIRECT && question->line.kind != VMM_LINE_SETUP &&
           answer_own_fault(asked, question) == NULL &&
           !(lessons->forbidden && !lessons->mapped && geometry);
}

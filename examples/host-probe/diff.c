/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `diff`: what a host can do that another, or the same one before, can't. */

#include <stdio.h>
#include <string.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "advice.h"
#include "jsonout.h"
#include "say.h"

#include "command.h"

/* A group of each host, of which one may be missing. */
struct pair {
    const struct verdict *before;
    const struct verdict *after;
    struct iovageom_range *lost;
    size_t lost_count;
    struct iovageom_range *gained;
    size_t gained_count;
    const char **words; /* what differs besides */
    size_t word_count;
};

struct comparison {
    const struct context *context;
    struct host hosts[2];
    struct verdict *verdicts[2];
    struct pair *pairs;
    size_t count;
    size_t same;
    struct told told;
    unsigned width;
};

static const struct option long_options[] = {COMMON_LONG, {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s diff [options] BEFORE AFTER\n"
           "\n"
           "Compare two captured hosts, or one at two times, group by group: groups that\n"
           "have a device in common are the same. Ends with 0 when nothing differs, and with\n"
           "6 when something does.\n"
           "\n"
           "%s",
           program_name, context_help);
    finish(EXIT_GOOD);
}

/* ---- what differs ---- */

static void word(struct pair *pair, const char *words)
{
    add_words(&pair->words, &pair->word_count, words);
}

/* What one maps, and the other is known not to map. */
static struct iovageom_range *without(const struct verdict *verdict, const struct verdict *other,
                                      size_t *count)
{
    struct iovageom_rangeset set;
    struct iovageom_range *array;

    must(iovageom_rangeset_init(&set, &lasting));
    for (size_t i = 0; i < verdict->usable_count; i++)
        must(iovageom_rangeset_insert(&set, verdict->usable[i]));
    for (size_t i = 0; i < other->usable_count; i++)
        must(iovageom_rangeset_remove(&set, other->usable[i]));
    for (size_t i = 0; i < other->unknown_count; i++)
        must(iovageom_rangeset_remove(&set, other->unknown[i]));
    *count = iovageom_rangeset_count(&set);
    array = keep((*count + 1) * sizeof(*array));
    must(iovageom_rangeset_to_array(&set, array, *count, count));
    return array;
}

static const char *bits_of(const struct verdict *verdict)
{
    return verdict->knows_width ? text("%u bits", verdict->bits) : "width not known";
}

static const char *granule_of(const struct verdict *verdict)
{
    uint64_t granule;

    if (iovageom_geometry_granule(verdict->geometry, &granule) != IOVAGEOM_OK)
        return "pages not known";
    return text("pages of %s and up", size_text((struct iovageom_size){0, granule}));
}

static const char *budget_of(const struct verdict *verdict)
{
    uint64_t budget;

    if (iovageom_geometry_map_budget(verdict->geometry, &budget) != IOVAGEOM_OK)
        return "number of mappings not known";
    return count_text(budget, "mapping");
}

static void compare_words(struct pair *pair, const char *before, const char *after)
{
    if (strcmp(before, after) != 0)
        word(pair, text("%s -> %s", before, after));
}

static void compare(const struct comparison *comparison, struct pair *pair)
{
    const struct verdict *before = pair->before;
    const struct verdict *after = pair->after;

    compare_words(pair, outcome_sentence(advise(&comparison->hosts[0], before).outcome),
                  outcome_sentence(advise(&comparison->hosts[1], after).outcome));
    if (!before->judged || !after->judged || before->no_iommu || after->no_iommu)
        return;
    compare_words(pair, bits_of(before), bits_of(after));
    compare_words(pair, granule_of(before), granule_of(after));
    compare_words(pair, budget_of(before), budget_of(after));
    compare_words(pair, before->unknown_count != 0 ? "not all known" : "all known",
                  after->unknown_count != 0 ? "not all known" : "all known");
    pair->gained = without(after, before, &pair->gained_count);
    pair->lost = without(before, after, &pair->lost_count);
}

/* The group of a host with a device, or NULL. */
static const struct verdict *with_device(const struct comparison *comparison, const char *address)
{
    const struct host *host = &comparison->hosts[1];
    size_t number;

    if (!lookup_find(&host->device_lookup, address, &number) ||
        host->devices[number]->group == NULL ||
        !lookup_find(&host->group_lookup, host->devices[number]->group, &number))
        return NULL;
    return &comparison->verdicts[1][number];
}

static bool differs(const struct pair *pair)
{
    return pair->before == NULL || pair->after == NULL || pair->word_count != 0 ||
           pair->lost_count != 0 || pair->gained_count != 0;
}

static void add_pair(struct comparison *comparison, const struct verdict *before,
                     const struct verdict *after)
{
    struct pair pair = {.before = before, .after = after};

    if (before != NULL && after != NULL)
        compare(comparison, &pair);
    if (!differs(&pair)) {
        comparison->same++;
        return;
    }
    comparison->pairs =
        keep_grown(comparison->pairs, comparison->count, sizeof(*comparison->pairs));
    comparison->pairs[comparison->count++] = pair;
}

static void find_pairs(struct comparison *comparison)
{
    bool *found = keep((comparison->hosts[1].group_count + 1) * sizeof(*found));

    for (size_t i = 0; i < comparison->hosts[0].group_count; i++) {
        const struct group *group = &comparison->hosts[0].groups[i];
        const struct verdict *after = NULL;

        for (size_t k = 0; k < group->device_count && after == NULL; k++)
            after = with_device(comparison, group->devices[k]->address);
        if (after != NULL)
            found[after - comparison->verdicts[1]] = true;
        add_pair(comparison, &comparison->verdicts[0][i], after);
    }
    for (size_t i = 0; i < comparison->hosts[1].group_count; i++) {
        if (!found[i])
            add_pair(comparison, NULL, &comparison->verdicts[1][i]);
    }
}

/* ---- as text ---- */

static const char *name_of(const struct verdict *verdict)
{
    const struct group *group = verdict->group;
    const char *words = text("group %s", group->name);

    for (size_t i = 0; i < group->device_count && i < 3; i++)
        words = text("%s%s%s", words, i == 0 ? " (" : " ", group->devices[i]->address);
    return group->device_count == 0 ? words
                                    : text("%s%s", words, group->device_count > 3 ? " ...)" : ")");
}

static void say_ranges(const char *words, const struct iovageom_range *ranges, size_t count,
                       bool all)
{
    enum { MOST = 10 };
    size_t shown = all || count < MOST ? count : MOST;

    for (size_t i = 0; i < shown; i++)
        printf("  %s %s %s\n", words, range_text(ranges[i]), range_size_text(ranges[i]));
    if (shown < count)
        printf("  and %zu ranges more (--verbose)\n", count - shown);
}

/* All that is said of a pair with two sides, as one text. */
static const char *said_of(const struct pair *pair)
{
    struct buffer said = {NULL, 0, 0};

    for (size_t i = 0; i < pair->word_count; i++)
        buffer_add(&said, "%s\n", pair->words[i]);
    for (size_t i = 0; i < pair->lost_count; i++)
        buffer_add(&said, "-%s", range_text(pair->lost[i]));
    for (size_t i = 0; i < pair->gained_count; i++)
        buffer_add(&said, "+%s", range_text(pair->gained[i]));
    return buffer_text(&said);
}

/* The next pair of which the same is said, and whether one before is such; one for each. */
struct alike {
    size_t next, last; /* SIZE_MAX for none */
    bool told;
};

static struct alike *find_alike(const struct comparison *comparison)
{
    struct alike *alike = keep((comparison->count + 1) * sizeof(*alike));
    struct lookup known = {NULL, 0, 0};

    for (size_t i = 0; i < comparison->count; i++) {
        const struct pair *pair = &comparison->pairs[i];
        const char *said = said_of(pair);
        size_t first;

        alike[i] = (struct alike){SIZE_MAX, i, false};
        if (pair->before == NULL || pair->after == NULL)
            continue;
        if (!lookup_find(&known, said, &first)) {
            lookup_add(&known, said, i);
            continue;
        }
        alike[i].told = true;
        alike[alike[first].last].next = i;
        alike[first].last = i;
    }
    return alike;
}

static const char *renamed(const struct pair *pair)
{
    return strcmp(pair->before->group->name, pair->after->group->name) != 0
               ? text("%s, now group %s", name_of(pair->before), pair->after->group->name)
               : name_of(pair->before);
}

/* What is told of a group, and of those of which the same is. */
static void say_pair(const struct comparison *comparison, const struct alike *alike, size_t first)
{
    const struct pair *pair = &comparison->pairs[first];

    if (pair->before == NULL || pair->after == NULL) {
        say(comparison->width, 0, "%s %s",
            name_of(pair->before != NULL ? pair->before : pair->after),
            pair->before != NULL ? "is not there any more" : "was not there before");
        return;
    }
    for (size_t i = first; i != SIZE_MAX; i = alike[i].next)
        say(comparison->width, 0, "%s", renamed(&comparison->pairs[i]));
    for (size_t i = 0; i < pair->word_count; i++)
        say(comparison->width, 2, "%s", pair->words[i]);
    say_ranges("no longer usable", pair->lost, pair->lost_count, comparison->context->verbose);
    say_ranges("now usable", pair->gained, pair->gained_count, comparison->context->verbose);
}

static void say_comparison(const struct comparison *comparison)
{
    const struct alike *alike = find_alike(comparison);

    for (size_t i = 0; i < comparison->count; i++) {
        if (!alike[i].told)
            say_pair(comparison, alike, i);
    }
    if (comparison->count == 0)
        printf("nothing differs\n");
    else if (comparison->same != 0)
        printf("nothing differs for %s\n", count_text(comparison->same, "other group"));
}

/* ---- as JSON ---- */

static json_t *ranges_json(const struct iovageom_range *ranges, size_t count)
{
    json_t *array = out_array();

    for (size_t i = 0; i < count; i++)
        out_add(array, out_range(ranges[i]));
    return array;
}

static void print_json(const struct comparison *comparison)
{
    json_t *root = out_begin();
    json_t *array = out_array();

    for (size_t i = 0; i < comparison->count; i++) {
        const struct pair *pair = &comparison->pairs[i];
        json_t *object = out_object();

        out_set(object, "before",
                out_string(pair->before != NULL ? pair->before->group->name : NULL));
        out_set(object, "after", out_string(pair->after != NULL ? pair->after->group->name : NULL));
        out_set(object, "differs", out_strings(pair->words, pair->word_count));
        out_set(object, "lost", ranges_json(pair->lost, pair->lost_count));
        out_set(object, "gained", ranges_json(pair->gained, pair->gained_count));
        out_add(array, object);
    }
    out_set(root, "differences", array);
    out_set(root, "same", out_number(comparison->same));
    out_print(root);
}

/* ---- the command ---- */

static void read_side(struct comparison *comparison, size_t side, const char *path)
{
    struct context own = *comparison->context;
    struct host *host = &comparison->hosts[side];

    own.snapshot = path;
    context_read(&own, host);
    told_add(&comparison->told, &host->faults);
    comparison->verdicts[side] =
        keep((host->group_count + 1) * sizeof(*comparison->verdicts[side]));
    for (size_t i = 0; i < host->group_count; i++) {
        comparison->verdicts[side][i] = judge(host, &host->groups[i], &own.mode);
        told_add(&comparison->told, &comparison->verdicts[side][i].faults);
    }
}

int command_diff(struct context *context, int argc, char **argv)
{
    struct comparison comparison = {.context = context};
    int option, told;

    while ((option = getopt_long(argc, argv, COMMON_SHORT, long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        context_option(context, option);
    }
    context_check(context);
    if (argc - optind != 2)
        die(EXIT_USAGE, "diff: two captured hosts are compared");
    comparison.width = context_width(context);
    read_side(&comparison, 0, argv[optind]);
    read_side(&comparison, 1, argv[optind + 1]);
    find_pairs(&comparison);
    if (context->json)
        print_json(&comparison);
    else
        say_comparison(&comparison);
    told = told_end(&comparison.told, true, true);
    return comparison.count != 0 ? EXIT_REFUSED : told;
}

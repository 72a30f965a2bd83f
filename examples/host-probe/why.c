/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `why`: who forbids a mapping, since when, and where else it would work. */

#include <stdio.h>
#include <string.h>

#include <iovageom/status.h>

#include "answer.h"
#include "causes.h"
#include "faults.h"
#include "jsonout.h"
#include "say.h"
#include "setup.h"
#include "show.h"

static const struct option long_options[] = {
    COMMON_LONG, {"device", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s why [options] ADDRESS|RANGE|LINE...\n"
           "       %s why [options] - <LOG\n"
           "\n"
           "Say who forbids a mapping, since when, and where it would work instead. RANGE is\n"
           "START-LAST, START+SIZE or [START,LAST]. LINE is what a VMM or the kernel said,\n"
           "like \"vfio_dma_map(0x..., 0x380000000000, 0x10000000, 0x...) = -22\", of a\n"
           "mapping, an access, or a device or group that was refused. With - such lines\n"
           "are searched for in a log.\n"
           "\n"
           " -d, --device D        ask for that device or group only\n"
           "%s",
           program_name, program_name, context_help);
    finish(EXIT_GOOD);
}

/* ---- as text ---- */

static const char *kind_text(const struct question *question)
{
    const char *range = question->has_range ? range_text(question->range)
                        : question->line.empty || question->line.wraps
                            ? text("from 0x%llx on", (unsigned long long)question->range.start)
                            : "a range that the line does not name";

    if (question->page)
        range = text("0x%llx", (unsigned long long)question->range.start);
    else if (question->has_range)
        range = text("%s (%s)", range, range_size_text(question->range));
    switch (question->line.kind) {
    case VMM_LINE_NONE:
        return range;
    case VMM_LINE_MAP:
        return text("%s: mapping %s was refused", question->line.speaker, range);
    case VMM_LINE_UNMAP:
        return text("%s: unmapping %s was refused", question->line.speaker, range);
    case VMM_LINE_ACCESS:
        return question->has_range
                   ? text("%s: a device accessed %s, and was refused", question->line.speaker,
                          range)
                   : text("%s: a device was refused an access", question->line.speaker);
    case VMM_LINE_SETUP:
        return text("%s: %s", question->line.speaker, setup_heading(&question->line));
    case VMM_LINE_MEMLOCK:
        return text("%s: no more memory may be locked", question->line.speaker);
    case VMM_LINE_DIRECT:
        return text("%s: a device is given to nobody, as firmware demands direct regions",
                    question->line.speaker);
    default:
        return text("%s: mappings may run out", question->line.speaker);
    }
}

static void say_heading(const struct asked *asked, const struct question *question)
{
    const char *name = vmm_line_error_name(question->line.error);
    const char *error = question->line.error == 0 ? ""
                        : name != NULL            ? text(", %s", name)
                                                  : text(", errno %d", question->line.error);
    const char *times = question->times > 1 ? text(", %zu times", question->times) : "";
    const bool no_device = *question->line.device != '\0' && question->device == NULL;
    const bool no_group = *question->line.group != '\0' && !question->has_group;
    const char *device = *question->line.device != '\0' ? text(", device %s", question->line.device)
                         : question->line.has_stream ? text(", stream 0x%x", question->line.stream)
                                                     : "";
    const char *group = no_group && no_device ? text(" of group %s", question->line.group)
                        : no_group            ? text(", group %s", question->line.group)
                                              : "";
    const char *where = no_device || no_group ? ", which this host has not" : "";

    say(asked->width, 0, "%s%s%s%s%s%s", kind_text(question), error, device, group, where, times);
}

static void say_answers(const struct asked *asked, const struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct answer *answer = &answers[i];

        if (answer->group_count == 1)
            say(asked->width, 0, "group %s (%s)", answer->placing.verdict->group->name,
                answer_devices(answer->placing.verdict->group));
        else
            say(asked->width, 0, "groups %s",
                group_names(asked->verdicts, answer->with, asked->count));
        for (size_t k = 0; k < answer->word_count; k++)
            say(asked->width, 2, "%s", answer->words[k]);
    }
}

static void say_list(const struct asked *asked, const char *heading, const char *const *words,
                     size_t count)
{
    if (count == 0)
        return;
    printf("\n");
    say(asked->width, 0, "%s", heading);
    for (size_t i = 0; i < count; i++)
        say(asked->width, 1, "- %s", words[i]);
}

/*
 * Whether it is of use to say what else gives the errno: not where the host's geometry does, and
 * nothing was refused where only a range was given.
 */
static bool causes_count(const struct asked *asked, const struct question *question,
                         const struct lessons *lessons)
{
    bool geometry =
        question->line.error == 0 || question->line.error == 22 || question->line.error == 14;

    return question->line.kind != VMM_LINE_NONE && question->line.kind != VMM_LINE_ACCESS &&
           question->line.kind != VMM_LINE_DIRECT && question->line.kind != VMM_LINE_SETUP &&
           answer_own_fault(asked, question) == NULL &&
           !(lessons->forbidden && !lessons->mapped && geometry);
}

static void say_limits(const struct asked *asked, const struct question *question)
{
    uint64_t budget;

    if (question->line.kind == VMM_LINE_MEMLOCK && question->line.limit != 0)
        say(asked->width, 2, "the limit is %s (%s bytes)",
            size_text((struct iovageom_size){0, question->line.limit}),
            grouped(question->line.limit));
    for (size_t i = 0;
         i < asked->count && (question->line.kind == VMM_LINE_BUDGET || question->line.error == 28);
         i++) {
        if (!asked->verdicts[i].judged || asked->verdicts[i].no_iommu ||
            iovageom_geometry_map_budget(asked->verdicts[i].geometry, &budget) != IOVAGEOM_OK)
            continue;
        say(asked->width, 2, "group %s allows %s in a container", asked->verdicts[i].group->name,
            count_text(budget, "mapping"));
    }
}

/* Lines without an address, of which the host's groups know something all the same. */
static void say_direct(const struct asked *asked, const struct question *question)
{
    bool any = false;

    for (size_t i = 0; i < asked->count; i++) {
        const struct verdict *verdict = &asked->verdicts[i];

        if (verdict->assignable || !answer_wanted(verdict, question))
            continue;
        any = true;
        say(asked->width, 2, "group %s (%s) has direct regions", verdict->group->name,
            answer_devices(verdict->group));
        for (size_t k = 0; k < verdict->reserved_count; k++) {
            if (verdict->reserved[k].type == IOVAGEOM_RESV_DIRECT)
                say(asked->width, 4, "%s", range_text(verdict->reserved[k].range));
        }
    }
    if (!any)
        say(asked->width, 2, "%s",
            question->device != NULL ? "the group of that device has no direct region"
                                     : "no group of this host has a direct region");
}

/* What VFIO and iommufd answer, and since when, does not concern who met the IOMMU itself. */
static void say_access(const struct asked *asked, const struct question *question)
{
    const struct fault_words *fault = fault_words(question->line.fault);
    size_t count = 0;
    struct answer *answers =
        question->has_range && fault->geometry ? answer_all(asked, question, &count) : NULL;
    struct lessons lessons = answer_lessons(answers, count);

    say_answers(asked, answers, count);
    if (!fault->anyhow)
        say_list(asked, "What to do:", lessons.todo, lessons.todo_count);
    if (fault->anyhow || (lessons.mapped && !lessons.forbidden))
        say_list(asked, fault->heading, &fault->sentence, 1);
}

static void say_setup(const struct asked *asked, const struct question *question)
{
    const struct setup_answer answer = setup_answer(asked, question);

    for (size_t i = 0; i < answer.found_count; i++)
        say(asked->width, 2, "%s", answer.found[i]);
    say_list(asked, "What it means:", answer.means, answer.means_count);
    say_list(asked, "What gives this:", answer.causes, answer.cause_count);
    say_list(asked, "What to do:", answer.todo, answer.todo_count);
}

static void say_mapping(const struct asked *asked, const struct question *question)
{
    size_t count = 0;
    struct answer *answers = question->has_range ? answer_all(asked, question, &count) : NULL;
    struct lessons lessons = answer_lessons(answers, count);
    const char *own = answer_own_fault(asked, question);
    const char *const *causes;
    size_t cause_count = answer_causes(question, &causes);

    if (own != NULL)
        say(asked->width, 2, "%s", own);
    say_answers(asked, answers, count);
    if (question->line.kind == VMM_LINE_MAP && !question->has_range && own == NULL)
        say(asked->width, 2,
            "which addresses it does not say: look for a line beside it that does, "
            "or ask the command plan whether the guest fits");
    say_limits(asked, question);
    say_list(asked, "Since when:", lessons.since, lessons.since_count);
    say_list(asked, "What to do:", lessons.todo, lessons.todo_count);
    if (cause_count != 0 && causes_count(asked, question, &lessons))
        say_list(asked,
                 lessons.forbidden ? "If it was a device that does not forbid it, what else "
                                     "answers so:"
                 : question->line.kind == VMM_LINE_MAP && question->line.error != 0
                     ? text("What answers %s:", vmm_line_error_name(question->line.error))
                     : "What gives this:",
                 causes, cause_count);
}

static void say_question(const struct asked *asked, const struct question *question)
{
    say_heading(asked, question);
    switch (question->line.kind) {
    case VMM_LINE_ACCESS:
        say_access(asked, question);
        break;
    case VMM_LINE_SETUP:
        say_setup(asked, question);
        break;
    case VMM_LINE_DIRECT:
        say_direct(asked, question);
        say_list(asked, "Since when:", (const char *[]){obstacle_since(IN_DIRECT)}, 1);
        say_list(asked, "What to do:", (const char *[]){direct_remedy}, 1);
        break;
    default:
        say_mapping(asked, question);
    }
}

/* ---- as JSON ---- */

/* "VFIO, iommufd" as an array. */
static json_t *sources_json(const char *sources)
{
    json_t *array = out_array();

    for (const char *at = sources; *at != '\0';) {
        size_t length = strcspn(at, ",");

        out_add(array, out_string(text("%.*s", (int)length, at)));
        at += length;
        at += strspn(at, ", ");
    }
    return array;
}

static json_t *obstacle_json(const struct obstacle *obstacle, const struct verdict *verdict)
{
    static const char *const classes[OBSTACLE_CLASSES] = {
        "width",          "msi",      "software-msi", "direct",
        "hypertransport", "reserved", "alignment",    "page-sizes"};
    json_t *object = out_object();

    out_set(object, "class", out_string(classes[obstacle_class(obstacle, verdict)]));
    out_set(object, "range", out_range(obstacle->part));
    out_set(object, "against", obstacle->whole.last != 0 ? out_range(obstacle->whole) : NULL);
    out_set(object, "from", sources_json(obstacle->sources));
    out_set(object, "text", out_string(obstacle_text(obstacle, verdict)));
    return object;
}

static json_t *bar_json(struct named_bar bar)
{
    json_t *object;

    if (bar.device == NULL)
        return NULL;
    object = out_object();
    out_set(object, "device", out_string(bar.device->address));
    out_set(object, "number", out_number(bar.number));
    return object;
}

static json_t *answer_json(const struct placing *placing, const struct question *question)
{
    static const char *const names[] = {"mapped", "forbidden", "unknown", "not-translated",
                                        "not-read"};
    json_t *object = out_object();
    json_t *array = out_array();
    json_t *unknown = out_array();
    struct iovageom_range part;
    size_t from = 0;

    out_set(object, "group", out_string(placing->verdict->group->name));
    out_set(object, "answer", out_string(names[placing->mapped]));
    for (size_t i = 0; i < placing->obstacle_count; i++)
        out_add(array, obstacle_json(&placing->obstacles[i], placing->verdict));
    out_set(object, "obstacles", array);
    while (place_unknown(placing->verdict, answer_range(placing->verdict, question), &from, &part))
        out_add(unknown, out_range(part));
    out_set(object, "unknown", unknown);
    out_set(object, "nearest", placing->has_nearest ? out_range(placing->nearest) : NULL);
    out_set(object, "nearest_known", out_bool(placing->has_nearest && !placing->guessed));
    out_set(object, "bar", bar_json(answer_bar(placing, question->range)));
    out_set(object, "assignable", out_bool(placing->verdict->assignable));
    return object;
}

/* What is known of an event or a refusal, whatever the groups say. */
static void set_meaning(json_t *object, const struct asked *asked, const struct question *question,
                        const struct lessons *lessons)
{
    const struct vmm_line *line = &question->line;
    const struct fault_words *fault = fault_words(line->fault);
    const bool access = line->kind == VMM_LINE_ACCESS;
    const bool applies = access && (fault->anyhow || (lessons->mapped && !lessons->forbidden));
    const struct setup_answer setup =
        line->kind == VMM_LINE_SETUP ? setup_answer(asked, question) : (struct setup_answer){NULL};
    const char *since[] = {obstacle_since(IN_DIRECT)}, *todo[] = {direct_remedy};
    const char *const *causes;
    size_t cause_count = answer_causes(question, &causes);

    if (line->kind == VMM_LINE_SETUP) {
        causes = setup.causes;
        cause_count = setup.cause_count;
    } else if (!causes_count(asked, question, lessons)) {
        cause_count = 0;
    }
    out_set(object, "fault", out_string(answer_own_fault(asked, question)));
    out_set(object, "reason", out_string(access ? fault->word : NULL));
    out_set(object, "refused",
            out_string(line->kind == VMM_LINE_SETUP ? setup_word(line->setup) : NULL));
    out_set(object, "found", out_strings(setup.found, setup.found_count));
    out_set(object, "means",
            applies ? out_strings(&fault->sentence, 1)
                    : out_strings(setup.means, setup.means_count));
    if (line->kind == VMM_LINE_DIRECT) {
        out_set(object, "since", out_strings(since, 1));
        out_set(object, "todo", out_strings(todo, 1));
    } else if (line->kind == VMM_LINE_SETUP) {
        out_set(object, "since", out_array());
        out_set(object, "todo", out_strings(setup.todo, setup.todo_count));
    } else {
        out_set(object, "since", out_strings(lessons->since, access ? 0 : lessons->since_count));
        out_set(object, "todo",
                out_strings(lessons->todo, access && fault->anyhow ? 0 : lessons->todo_count));
    }
    out_set(object, "causes", out_strings(causes, cause_count));
}

static json_t *question_json(const struct asked *asked, const struct question *question)
{
    static const char *const kinds[] = {"range",   "map",    "unmap",  "access",
                                        "memlock", "direct", "budget", "setup"};
    const struct vmm_line *line = &question->line;
    const bool geometry = question->has_range &&
                          (line->kind != VMM_LINE_ACCESS || fault_words(line->fault)->geometry);
    json_t *object = out_object();
    json_t *groups = out_array();
    size_t count = 0;
    struct answer *answers = geometry ? answer_all(asked, question, &count) : NULL;
    struct lessons lessons = answer_lessons(answers, count);

    out_set(object, "question", out_string(question->words));
    out_set(object, "kind", out_string(kinds[line->kind]));
    out_set(object, "times", out_number(question->times));
    out_set(object, "range", question->has_range ? out_range(question->range) : NULL);
    out_set(object, "error", out_string(vmm_line_error_name(line->error)));
    out_set(object, "limit", line->limit != 0 ? out_number(line->limit) : NULL);
    out_set(object, "device", out_string(*line->device != '\0' ? line->device : NULL));
    out_set(object, "group", out_string(*line->group != '\0' ? line->group : NULL));
    out_set(object, "stream", line->has_stream ? out_number(line->stream) : NULL);
    for (size_t i = 0; i < asked->count && geometry; i++) {
        const struct verdict *verdict = &asked->verdicts[i];
        struct placing placing;

        if (!answer_wanted(verdict, question))
            continue;
        placing = answer_one(verdict, question);
        out_add(groups, answer_json(&placing, question));
    }
    out_set(object, "groups", groups);
    set_meaning(object, asked, question, &lessons);
    return object;
}

/* ---- the command ---- */

static int say_faults(const struct asked *asked)
{
    struct told told = {.host = false};
    bool judged = false;

    if (asked->count == asked->host.group_count)
        told_add_host(&told, &asked->host);
    for (size_t i = 0; i < asked->count; i++) {
        judged = judged || asked->verdicts[i].judged;
        told_add_group(&told, &asked->host, &asked->verdicts[i]);
    }
    return told_end(&told, true, judged);
}

static int answer_questions(const struct asked *asked, const struct questions *questions)
{
    json_t *root;
    json_t *array;

    if (!asked->context->json) {
        for (size_t i = 0; i < questions->count; i++) {
            if (i != 0)
                printf("\n");
            say_question(asked, &questions->list[i]);
        }
        if (questions->skipped != 0)
            printf("\nand %s more\n", count_text(questions->skipped, "different line"));
        return say_faults(asked);
    }
    root = out_begin();
    array = out_array();
    for (size_t i = 0; i < questions->count; i++)
        out_add(array, question_json(asked, &questions->list[i]));
    out_set(root, "questions", array);
    out_print(root);
    return say_faults(asked);
}

int command_why(struct context *context, int argc, char **argv)
{
    struct questions questions = {.list = NULL};
    struct asked asked = {.context = context};
    const char *chosen = NULL;
    size_t first = 0;
    int option;

    while ((option = getopt_long(argc, argv, COMMON_SHORT "d:", long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        if (option == 'd')
            chosen = optarg;
        else
            context_option(context, option);
    }
    context_check(context);
    if (optind == argc)
        die(EXIT_USAGE, "why: an address, a range, or a line is missing; or - for standard input");
    for (; optind < argc; optind++)
        questions_add(&questions, argv[optind]);
    questions_done(&questions);
    asked.width = context_width(context);
    context_read(context, &asked.host);
    asked.count = asked.host.group_count;
    if (chosen != NULL) {
        first = context_find(&asked.host, chosen);
        asked.count = 1;
    }
    for (size_t i = 0; i < questions.count; i++) {
        /* The device that was asked for, not the one that a line happens to name. */
        if (chosen != NULL)
            questions.list[i].line.device[0] = questions.list[i].line.group[0] = '\0';
        answer_find_device(&asked, &questions.list[i]);
    }
    asked.verdicts = keep(asked.count * sizeof(*asked.verdicts));
    for (size_t i = 0; i < asked.count; i++)
        asked.verdicts[i] = judge(&asked.host, &asked.host.groups[first + i], &context->mode);
    return answer_questions(&asked, &questions);
}

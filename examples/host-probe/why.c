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
#include "whyjson.h"

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
    const bool no_device =
        *question->line.device != '\0' && question->device == NULL && asked->count != 0;
    const bool no_group =
        *question->line.group != '\0' && !question->has_group && asked->count != 0;
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
    if (!any && asked->count != 0)
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
    if (asked->count == 0 && question->has_range)
        say(asked->width, 2, "what an IOMMU maps there is not known: this host has no groups");
    if (question->line.kind == VMM_LINE_MAP && !question->has_range && own == NULL)
        say(asked->width, 2,
            "which addresses it does not say: look for a line beside it that does, "
            "or ask the command plan whether the guest fits");
    say_limits(asked, question);
    say_list(asked, "Since when:", lessons.since, lessons.since_count);
    say_list(asked, "What to do:", lessons.todo, lessons.todo_count);
    if (cause_count != 0 && answer_causes_count(asked, question, &lessons))
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

/* ---- the command ---- */

static int say_faults(const struct asked *asked)
{
    struct told told = {.host = false};
    bool judged = false;

    /* Of a host without groups it is said in the end. */
    if (asked->count == 0)
        return EXIT_GOOD;
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

static bool any_line(const struct questions *questions)
{
    for (size_t i = 0; i < questions->count; i++) {
        if (questions->list[i].line.kind != VMM_LINE_NONE)
            return true;
    }
    return false;
}

int command_why(struct context *context, int argc, char **argv)
{
    struct questions questions = {.list = NULL};
    struct asked asked = {.context = context};
    const char *chosen = NULL;
    size_t first = 0;
    int option, status;

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
    context_read_any(context, &asked.host);
    asked.count = asked.host.group_count;
    /* What a line means it does without a host, too. */
    if (asked.count == 0 && (chosen != NULL || !any_line(&questions)))
        context_no_groups(context, &asked.host);
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
    status = answer_questions(&asked, &questions);
    if (asked.count == 0)
        context_no_groups(context, &asked.host);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* What the command `why` answers, as JSON. */

#include "whyjson.h"

#include <string.h>

#include "causes.h"
#include "faults.h"
#include "setup.h"

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
    const struct setup_answer setup = line->kind == VMM_LINE_SETUP
                                          ? setup_answer(asked, question)
                                          : (struct setup_answer){.found = NULL};
    const char *since[] = {obstacle_since(IN_DIRECT)}, *todo[] = {direct_remedy};
    const char *const *causes;
    size_t cause_count = answer_causes(question, &causes);

    if (line->kind == VMM_LINE_SETUP) {
        causes = setup.causes;
        cause_count = setup.cause_count;
    } else if (!answer_causes_count(asked, question, lessons)) {
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

json_t *question_json(const struct asked *asked, const struct question *question)
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

/* SPDX-License-Identifier: BSD-3-Clause */
#include "question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amounts.h"
#include "broken.h"
#include "paste.h"
#include "say.h"

#define QUESTIONS_MAX 256
#define LONGEST_INPUT ((size_t)16 << 20)

static bool same_line(const struct vmm_line *a, const struct vmm_line *b)
{
    return a->kind == b->kind && a->error == b->error && a->limit == b->limit &&
           a->fault == b->fault && a->setup == b->setup && a->asked == b->asked &&
           a->given == b->given && a->has_stream == b->has_stream && a->stream == b->stream &&
           strcmp(a->group, b->group) == 0 && (a->has_stream || strcmp(a->device, b->device) == 0);
}

static bool same_question(const struct question *a, const struct question *b)
{
    return a->has_range == b->has_range &&
           (!a->has_range || iovageom_range_equal(a->range, b->range)) &&
           same_line(&a->line, &b->line);
}

/* Returns which one it is, counted from 1; 0 for one too many. */
static size_t add_question(struct questions *questions, const struct question *question)
{
    questions->asked++;
    for (size_t i = 0; i < questions->count; i++) {
        if (same_question(&questions->list[i], question)) {
            questions->list[i].times++;
            return i + 1;
        }
    }
    if (questions->count == QUESTIONS_MAX) {
        questions->skipped++;
        return 0;
    }
    questions->list = keep_grown(questions->list, questions->count, sizeof(*questions->list));
    questions->list[questions->count] = *question;
    questions->list[questions->count++].times = 1;
    return questions->count;
}

static size_t add_read(struct questions *questions, const struct vmm_line *line, const char *words)
{
    struct question question = {.line = *line, .words = words};

    question.range = line->range;
    question.has_range = line->has_range;
    question.page = question.has_range && question.range.start == question.range.last;
    return add_question(questions, &question);
}

/* Since Linux 6.15 an event comes twice, in numbers and in words, which name its device. */
static bool is_dumped(struct questions *questions, const struct vmm_line *line)
{
    const size_t last = questions->dumped;
    struct question *event = last != 0 ? &questions->list[last - 1] : NULL;

    if (event == NULL || !line->has_stream || event->line.stream != line->stream ||
        event->has_range != line->has_range ||
        (line->has_range && !iovageom_range_equal(event->range, line->range)))
        return false;
    memcpy(event->line.device, line->device, sizeof(line->device));
    questions->dumped = 0;
    return true;
}

/* "0000:01:00.0: PCI peer-to-peer transactions on BARs are not supported." below a mapping. */
static bool is_owner(struct questions *questions, const struct vmm_line *line)
{
    const size_t last = questions->mapped;
    struct question *mapping = last != 0 ? &questions->list[last - 1] : NULL;

    if (mapping == NULL || line->setup != SETUP_PEER || *mapping->line.device != '\0')
        return false;
    memcpy(mapping->line.device, line->device, sizeof(line->device));
    for (size_t i = 0; i + 1 < last && last == questions->count; i++) {
        if (same_question(&questions->list[i], mapping)) {
            questions->list[i].times += mapping->times;
            questions->count--;
            break;
        }
    }
    questions->mapped = 0;
    return true;
}

static void add_line(struct questions *questions, const char *words, size_t length)
{
    enum { LEAST = 6, MOST_SHOWN = 4096 };
    struct vmm_line line;
    size_t number;

    /* A text may have millions of lines with nothing in them. */
    if (length < LEAST)
        return;
    if (vmm_event_read(&questions->event, words, length, &line)) {
        questions->dumped =
            add_read(questions, &line,
                     text("event 0x%02x, stream 0x%x", questions->event.type, line.stream));
        return;
    }
    line = vmm_line_read(words, length);
    if (line.kind == VMM_LINE_NONE || is_dumped(questions, &line) || is_owner(questions, &line))
        return;
    number = add_read(questions, &line,
                      text("%.*s", (int)(length < MOST_SHOWN ? length : MOST_SHOWN), words));
    questions->mapped = line.kind == VMM_LINE_MAP && line.has_range ? number : 0;
}

/* In logs that are JSON, or come from Kubernetes, "\\n" is the end of a line, too. */
static void end_lines(struct blob *plain)
{
    size_t length = 0;

    for (size_t i = 0; i < plain->length; i++) {
        const bool end =
            plain->bytes[i] == '\\' && i + 1 < plain->length && plain->bytes[i + 1] == 'n';

        plain->bytes[length++] = end ? '\n' : plain->bytes[i];
        i += end;
    }
    plain->length = length;
}

static void add_lines(struct questions *questions, const char *words, size_t length)
{
    struct blob plain = {true, keep(length + 1), length, "", NULL};
    const char *at, *end;

    if (length != 0)
        memcpy(plain.bytes, words, length);
    plain = text_plain(&plain);
    end_lines(&plain);
    at = (const char *)plain.bytes;
    end = at + plain.length;
    while (at < end) {
        struct broken line = broken_line(at, end, &questions->tries);

        add_line(questions, line.at, line.length);
        at = line.behind + 1;
        questions->lines++;
    }
}

static int detail(const struct vmm_line *line)
{
    return (*line->device != '\0') + (*line->group != '\0') + (line->error != 0);
}

/*
 * QEMU prints a line with the errno alone beside the one that has the address, and one with advice
 * beside the one that says what it refuses. They ask nothing more then.
 */
static bool is_told(const struct questions *questions, const struct question *question)
{
    const struct vmm_line *line = &question->line;

    for (size_t i = 0; i < questions->count; i++) {
        const struct question *other = &questions->list[i];

        if ((line->kind == VMM_LINE_MAP || line->kind == VMM_LINE_UNMAP) && !question->has_range &&
            !line->empty && !line->wraps && other->line.kind == line->kind && other->has_range &&
            (line->error == 0 || other->line.error == line->error))
            return true;
        if (line->setup == SETUP_PEER && other->line.kind == VMM_LINE_MAP && other->has_range)
            return true;
        if (line->kind == VMM_LINE_SETUP && other->line.setup == line->setup &&
            detail(&other->line) > detail(line) && line->error == 0 && *line->device == '\0' &&
            (*line->group == '\0' || strcmp(line->group, other->line.group) == 0))
            return true;
    }
    return false;
}

void questions_done(struct questions *questions)
{
    struct questions all = *questions;
    size_t kept = 0;

    all.list = keep((all.count + 1) * sizeof(*all.list));
    for (size_t i = 0; i < all.count; i++)
        all.list[i] = questions->list[i];
    for (size_t i = 0; i < all.count; i++) {
        if (!is_told(&all, &all.list[i]))
            questions->list[kept++] = all.list[i];
    }
    questions->count = kept;
    if (kept == 0)
        die(EXIT_USAGE,
            "why: of the event that an SMMU had, the lines with its numbers are missing");
}

static void read_log(struct questions *questions)
{
    char *log = malloc(LONGEST_INPUT + 1);
    size_t length;

    if (log == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    length = fread(log, 1, LONGEST_INPUT + 1, stdin);
    if (ferror(stdin))
        die(EXIT_BAD_INPUT, "standard input can't be read");
    if (length > LONGEST_INPUT)
        die(EXIT_BAD_INPUT, "standard input is larger than %zu MiB: leave lines out (grep -i vfio)",
            LONGEST_INPUT >> 20);
    add_lines(questions, log, length);
    free(log);
    if (questions->count == 0)
        die(EXIT_BAD_INPUT,
            "standard input: in %s there is none that a VMM or the kernel prints of a mapping or a "
            "device",
            count_text(questions->lines, "line"));
}

void questions_add(struct questions *questions, const char *words)
{
    struct question question = {.words = words};
    size_t before = questions->asked;
    uint64_t address;

    if (strcmp(words, "-") == 0) {
        read_log(questions);
        return;
    }
    question.has_range = amount_range(words, &question.range);
    question.page = question.has_range && amount_read(words, &address);
    if (question.has_range) {
        add_question(questions, &question);
        return;
    }
    add_lines(questions, words, strlen(words));
    if (questions->asked == before && access(words, F_OK) == 0)
        die(EXIT_USAGE, "%s: a file: its lines are read from standard input: why - <FILE",
            quoted(words, strlen(words)));
    if (questions->asked == before && !questions->event.open)
        die(EXIT_USAGE,
            "%s: neither an address, nor a range (START-LAST, START+SIZE), nor a line that a VMM "
            "or the kernel prints of a mapping or a device",
            quoted(words, strlen(words)));
}

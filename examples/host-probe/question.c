/* SPDX-License-Identifier: BSD-3-Clause */
#include "question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amounts.h"
#include "say.h"

#define QUESTIONS_MAX 256
#define LONGEST_INPUT ((size_t)16 << 20)

static bool same_question(const struct question *a, const struct question *b)
{
    return a->line.kind == b->line.kind && a->has_range == b->has_range &&
           (!a->has_range || iovageom_range_equal(a->range, b->range)) &&
           a->line.error == b->line.error && a->line.limit == b->line.limit &&
           strcmp(a->line.device, b->line.device) == 0;
}

static void add_question(struct questions *questions, const struct question *question)
{
    for (size_t i = 0; i < questions->count; i++) {
        if (same_question(&questions->list[i], question)) {
            questions->list[i].times++;
            return;
        }
    }
    if (questions->count == QUESTIONS_MAX) {
        questions->skipped++;
        return;
    }
    questions->list = keep_grown(questions->list, questions->count, sizeof(*questions->list));
    questions->list[questions->count] = *question;
    questions->list[questions->count++].times = 1;
}

static void add_line(struct questions *questions, const char *words, size_t length)
{
    struct question question = {.line = vmm_line_read(words, length)};

    questions->lines++;
    if (question.line.kind == VMM_LINE_NONE)
        return;
    question.words = text("%.*s", (int)length, words);
    question.range = question.line.range;
    question.has_range = question.line.has_range;
    question.page = question.has_range && question.range.start == question.range.last;
    add_question(questions, &question);
}

static void add_lines(struct questions *questions, const char *words, size_t length)
{
    enum { LONGEST_LINE = 4096 };

    while (length > 0) {
        const char *end = memchr(words, '\n', length);
        size_t line = end != NULL ? (size_t)(end - words) : length;

        add_line(questions, words, line < LONGEST_LINE ? line : LONGEST_LINE);
        words += line + (end != NULL);
        length -= line + (end != NULL);
    }
}

/*
 * QEMU prints a line with the errno alone beside the one that has the address. It asks nothing more
 * then.
 */
void questions_done(struct questions *questions)
{
    size_t kept = 0;

    for (size_t i = 0; i < questions->count; i++) {
        const struct question *question = &questions->list[i];
        bool told = false;

        for (size_t k = 0; k < questions->count && question->line.kind == VMM_LINE_MAP &&
                           !question->has_range && !question->line.empty && !question->line.wraps;
             k++)
            told = told || (questions->list[k].has_range &&
                            questions->list[k].line.error == question->line.error);
        if (!told)
            questions->list[kept++] = *question;
    }
    questions->count = kept;
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
            "standard input: in %s there is none that a VMM or the kernel prints of a mapping",
            count_text(questions->lines, "line"));
}

void questions_add(struct questions *questions, const char *words)
{
    struct question question = {.words = words};
    size_t before = questions->count + questions->skipped;
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
    if (questions->count + questions->skipped == before)
        die(EXIT_USAGE,
            "%s: neither an address, nor a range (START-LAST, START+SIZE), nor a line that a VMM "
            "or the kernel prints of a mapping",
            quoted(words, strlen(words)));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "player.h"

static const char *const finding_words[] = {
    NULL,
    "reserved",
    "out-of-aperture",
    "alignment",
    "granule",
    "mapping",
    "promise",
    "input-range",
    "budget",
    "lost",
    "disagreement",
    "unknown",
    "incomplete",
    "nothing-usable",
    "exists",
    "not-found",
    "overlap",
    "probe-size",
    "limit",
    "guest-quirk",
    "other",
    [IOVAGEOM_FINDING_DIRECT] = "direct",
    [IOVAGEOM_FINDING_NO_PLACE] = "no-place",
    [IOVAGEOM_FINDING_MSI_WINDOW] = "msi-window",
};
enum { FINDING_WORDS = sizeof(finding_words) / sizeof(finding_words[0]) };

const char *finding_word(const struct iovageom_finding *finding)
{
    if (finding->kind >= FINDING_WORDS || finding_words[finding->kind] == NULL)
        return "unknown-kind";
    return finding_words[finding->kind];
}

bool finding_word_known(const char *word)
{
    for (size_t i = 1; i < FINDING_WORDS; i++)
        if (finding_words[i] != NULL && strcmp(finding_words[i], word) == 0)
            return true;
    return false;
}

bool finding_has_word(const struct iovageom_finding *finding, const char *word)
{
    return strcmp(finding_word(finding), word) == 0;
}

/* ---- what a command says ---- */

void say(struct player *p, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(p->result, sizeof(p->result), format, arguments);
    va_end(arguments);
}

/* The VMM's calls: ok, refused, or the name of another status. */
void say_status(struct player *p, int error)
{
    static const char *const words[] = {
        "ok",        "invalid",      "no-memory",      "inverted",    "overflow",        "overlap",
        "not-found", "unknown",      "nothing-usable", "too-small",   "truncated",       "cycle",
        "malformed", "syntax",       "split",          "alignment",   "out-of-aperture", "reserved",
        "refused",   "frozen",       "limit",          "unsupported", "state",           "version",
        "exists",    "disagreement", "bypass",
    };

    say(p, "%s",
        error <= 0 && -error < (int)(sizeof(words) / sizeof(words[0])) ? words[-error] : "?");
}

void say_virtio(struct player *p, uint8_t status)
{
    static const char *const words[] = {"OK",    "IOERR", "UNSUPP", "DEVERR", "INVAL",
                                        "RANGE", "NOENT", "FAULT",  "NOMEM"};

    say(p, "%s", status < sizeof(words) / sizeof(words[0]) ? words[status] : "?");
}

static struct item *new_item(struct player *p, const char *label)
{
    struct item *item;

    if (p->item_count == p->item_capacity) {
        p->item_capacity = p->item_capacity * 2 + 16;
        p->items = realloc(p->items, p->item_capacity * sizeof(*p->items));
        if (p->items == NULL)
            abort();
    }
    item = &p->items[p->item_count++];
    memset(item, 0, sizeof(*item));
    item->label = label;
    return item;
}

void add_range(struct player *p, const char *label, struct iovageom_range range)
{
    struct item *item = new_item(p, label);

    item->kind = ITEM_RANGE;
    item->range = range;
}

void add_number(struct player *p, const char *label, uint64_t number)
{
    struct item *item = new_item(p, label);

    item->kind = ITEM_NUMBER;
    item->number = number;
}

void add_address(struct player *p, const char *label, uint64_t number)
{
    struct item *item = new_item(p, label);

    item->kind = ITEM_ADDRESS;
    item->number = number;
}

void add_text(struct player *p, const char *label, const char *format, ...)
{
    struct item *item = new_item(p, label);
    va_list arguments;

    item->kind = ITEM_TEXT;
    va_start(arguments, format);
    vsnprintf(item->text, sizeof(item->text), format, arguments);
    va_end(arguments);
}

void add_set(struct player *p, const char *label, const struct iovageom_rangeset *set)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    if (iovageom_rangeset_count(set) == 0)
        add_text(p, label, "nothing");
    iovageom_rangeset_seek(set, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        add_range(p, label, range);
}

/* ---- text ---- */

static void text_items(const struct player *p)
{
    for (size_t i = 0; i < p->item_count; i++) {
        const struct item *item = &p->items[i];

        printf("      %-12s ", item->label);
        if (item->kind == ITEM_RANGE)
            printf("[0x%" PRIx64 ", 0x%" PRIx64 "]\n", item->range.start, item->range.last);
        else if (item->kind == ITEM_ADDRESS)
            printf("0x%" PRIx64 "\n", item->number);
        else if (item->kind == ITEM_NUMBER)
            printf("%" PRIu64 "\n", item->number);
        else
            printf("%s\n", item->text);
    }
}

static bool any_fatal(const struct player *p)
{
    for (size_t i = 0; i < iovageom_report_count(&p->report); i++)
        if (iovageom_report_at(&p->report, i)->fatal)
            return true;
    return false;
}

static void text_findings(struct player *p)
{
    char text[1024];

    if (!p->explain && any_fatal(p))
        printf("      %s\n", iovageom_report_text(&p->report));
    for (size_t i = 0; i < iovageom_report_count(&p->report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&p->report, i);

        /* That a device can't be had at all is said in any case: nothing else is worth as much. */
        if (!p->explain && (finding->fatal || finding->kind != IOVAGEOM_FINDING_DIRECT))
            continue;
        iovageom_finding_text(finding, text, sizeof(text));
        printf("      %s %s: %s\n", finding->fatal ? "!" : "-", finding_word(finding), text);
    }
}

/* ---- the transcript ---- */

void show_begin(struct player *p)
{
    if (p->json)
        json_begin(p);
}

void show_comment(struct player *p)
{
    if (!p->json && !p->quiet)
        printf("%s\n", p->source);
}

void show_command(struct player *p)
{
    if (p->json) {
        json_command(p);
        return;
    }
    if (p->quiet)
        return;
    printf("%s\n", p->source);
    if (p->result[0] != '\0')
        printf("    %s\n", p->result);
    text_items(p);
    text_findings(p);
}

void show_end(struct player *p)
{
    if (p->json)
        json_end();
}

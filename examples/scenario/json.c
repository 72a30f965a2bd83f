/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A scenario as JSON, in the dialect of iovageom-probe (iovageom.schema.json): addresses are strings
 * in hexadecimal, numbers are numbers below 2^53, what does not apply is null.
 */

#include <stdio.h>
#include <stdlib.h>

#include "player.h"

#ifdef HAVE_JANSSON

#include <inttypes.h>

#include <jansson.h>

#define EXACT_BELOW ((uint64_t)1 << 53)

bool json_is_there(void)
{
    return true;
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        abort();
}

static json_t *hex(uint64_t value)
{
    return json_sprintf("0x%" PRIx64, value);
}

static json_t *number(uint64_t value)
{
    return value < EXACT_BELOW ? json_integer((json_int_t)value) : json_sprintf("%" PRIu64, value);
}

/* What is not UTF-8 is no string of JSON. */
static json_t *string(const char *words)
{
    json_t *value = json_string(words);

    return value != NULL ? value : json_string("?");
}

/* The lowest and the highest address of a range. */
static json_t *ends(struct iovageom_range range)
{
    json_t *pair = json_array();

    if (json_array_append_new(pair, hex(range.start)) != 0 ||
        json_array_append_new(pair, hex(range.last)) != 0)
        abort();
    return pair;
}

static json_t *size_of(struct iovageom_range range)
{
    struct iovageom_size size = iovageom_range_size(range);

    return size.hi != 0 ? json_string("18446744073709551616") : number(size.lo);
}

static json_t *item_object(const struct item *item)
{
    json_t *object = json_object();

    set(object, "label", string(item->label));
    if (item->kind == ITEM_RANGE) {
        set(object, "range", ends(item->range));
        set(object, "size", size_of(item->range));
    } else if (item->kind == ITEM_ADDRESS) {
        set(object, "address", hex(item->number));
    } else if (item->kind == ITEM_NUMBER) {
        set(object, "number", number(item->number));
    } else {
        set(object, "text", string(item->text));
    }
    return object;
}

static json_t *id_or_null(uint64_t id)
{
    return id != IOVAGEOM_ID_NONE ? number(id) : json_null();
}

static json_t *finding_object(const struct iovageom_finding *finding)
{
    json_t *object = json_object();
    char text[1024];

    (void)iovageom_finding_text(finding, text, sizeof(text));
    set(object, "kind", string(finding_word(finding)));
    set(object, "fatal", json_boolean(finding->fatal));
    set(object, "range", ends(finding->range));
    set(object, "against", ends(finding->against));
    set(object, "wanted", number(finding->wanted));
    set(object, "offered", number(finding->offered));
    set(object, "endpoint", id_or_null(finding->endpoint));
    set(object, "domain", id_or_null(finding->domain));
    set(object, "owner", string(finding->owner.name));
    set(object, "text", string(text));
    return object;
}

/* A scenario may end in the middle: each command is written when it is done. */
void json_begin(struct player *p)
{
    p->first_object = true;
    putchar('[');
}

void json_command(struct player *p)
{
    json_t *object = json_object();
    json_t *items = json_array();
    json_t *findings = json_array();

    for (size_t i = 0; i < p->item_count; i++)
        (void)json_array_append_new(items, item_object(&p->items[i]));
    for (size_t i = 0; i < iovageom_report_count(&p->report); i++)
        (void)json_array_append_new(findings, finding_object(iovageom_report_at(&p->report, i)));
    set(object, "line", json_integer(p->line));
    set(object, "command", string(p->source));
    set(object, "result", string(p->result));
    set(object, "items", items);
    set(object, "findings", findings);
    fputs(p->first_object ? "\n" : ",\n", stdout);
    (void)json_dumpf(object, stdout, 0);
    json_decref(object);
    p->first_object = false;
}

void json_end(void)
{
    printf("\n]\n");
}

#else

bool json_is_there(void)
{
    return false;
}

void json_begin(struct player *p)
{
    (void)p;
}

void json_command(struct player *p)
{
    (void)p;
}

void json_end(void)
{
}

#endif

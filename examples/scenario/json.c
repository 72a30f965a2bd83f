/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A scenario as JSON, in the dialect of iovageom-probe (iovageom.schema.json): addresses are
 * strings in hexadecimal, numbers are numbers below 2^53, what does not apply is null. A range is a
 * pair, as scripts have read it since before there was a schema.
 */

#include <stdio.h>

#include "../host-probe/jsonout.h"
#include "player.h"

bool json_is_there(void)
{
    return out_is_there();
}

/* The lowest and the highest address of a range. */
static json_t *ends(struct iovageom_range range)
{
    json_t *pair = out_array();

    out_add(pair, out_hex(range.start));
    out_add(pair, out_hex(range.last));
    return pair;
}

static json_t *item_object(const struct item *item)
{
    json_t *object = out_object();

    out_set(object, "label", out_string(item->label));
    if (item->kind == ITEM_RANGE) {
        out_set(object, "range", ends(item->range));
        out_set(object, "size", out_size(iovageom_range_size(item->range)));
    } else if (item->kind == ITEM_ADDRESS) {
        out_set(object, "address", out_hex(item->number));
    } else if (item->kind == ITEM_NUMBER) {
        out_set(object, "number", out_number(item->number));
    } else {
        out_set(object, "text", out_string(item->text));
    }
    return object;
}

static json_t *id_or_null(uint64_t id)
{
    return id != IOVAGEOM_ID_NONE ? out_number(id) : NULL;
}

static json_t *finding_object(const struct iovageom_finding *finding)
{
    json_t *object = out_object();
    char words[1024];

    (void)iovageom_finding_text(finding, words, sizeof(words));
    out_set(object, "kind", out_string(finding_word(finding)));
    out_set(object, "fatal", out_bool(finding->fatal));
    out_set(object, "range", ends(finding->range));
    out_set(object, "against", ends(finding->against));
    out_set(object, "wanted", out_number(finding->wanted));
    out_set(object, "offered", out_number(finding->offered));
    out_set(object, "endpoint", id_or_null(finding->endpoint));
    out_set(object, "domain", id_or_null(finding->domain));
    out_set(object, "owner", out_string(finding->owner.name));
    out_set(object, "text", out_string(words));
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
    json_t *object = out_object();
    json_t *items = out_array();
    json_t *findings = out_array();

    for (size_t i = 0; i < p->item_count; i++)
        out_add(items, item_object(&p->items[i]));
    for (size_t i = 0; i < iovageom_report_count(&p->report); i++)
        out_add(findings, finding_object(iovageom_report_at(&p->report, i)));
    out_set(object, "line", out_number((uint64_t)p->line));
    out_set(object, "command", out_string(p->source));
    out_set(object, "result", out_string(p->result));
    out_set(object, "items", items);
    out_set(object, "findings", findings);
    fputs(p->first_object ? "\n" : ",\n", stdout);
    out_print_line(object);
    p->first_object = false;
}

void json_end(void)
{
    printf("\n]\n");
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "jsonin.h"

#include <string.h>

#include <iovageom/status.h>

#include "amounts.h"
#include "basics.h"

#ifdef HAVE_JANSSON

#include <jansson.h>

/* A number, or the same as a string. False where it is neither; a null is not there. */
static bool read_number(const json_t *value, uint64_t *out, bool *there)
{
    *there = value != NULL && !json_is_null(value);
    if (!*there)
        return true;
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t)json_integer_value(value);
        return true;
    }
    return json_is_string(value) && amount_read(json_string_value(value), out);
}

static bool read_range(const json_t *object, struct iovageom_range *range)
{
    bool start, last;

    return read_number(json_object_get(object, "start"), &range->start, &start) &&
           read_number(json_object_get(object, "last"), &range->last, &last) && start && last &&
           iovageom_range_valid(*range);
}

static bool read_ranges(const json_t *array, struct iovageom_range **ranges, size_t *count)
{
    *count = json_array_size(array);
    *ranges = keep((*count + 1) * sizeof(**ranges));
    for (size_t i = 0; i < *count; i++) {
        if (!read_range(json_array_get(array, i), &(*ranges)[i]))
            return false;
    }
    return json_is_array(array);
}

/* What counts of a source's word, but for its addresses, which the list of usable ranges has. */
static bool add_statement(struct iovageom_geometry *geometry, const json_t *statement)
{
    uint64_t page_sizes = 0, alignment = 0, mappings = 0;
    bool pages, aligned, budget;

    if (!json_is_object(statement) ||
        !read_number(json_object_get(statement, "page_sizes"), &page_sizes, &pages) ||
        !read_number(json_object_get(statement, "alignment"), &alignment, &aligned) ||
        !read_number(json_object_get(statement, "mappings"), &mappings, &budget))
        return false;
    if (json_is_true(json_object_get(statement, "only_checked")))
        return true;
    if (pages)
        must(iovageom_geometry_add_page_sizes(geometry, page_sizes, IOVAGEOM_SOURCE_OTHER));
    if (budget)
        must(iovageom_geometry_add_map_budget(geometry, mappings, IOVAGEOM_SOURCE_OTHER));
    return !aligned || iovageom_geometry_add_alignment(geometry, alignment,
                                                       IOVAGEOM_SOURCE_OTHER) == IOVAGEOM_OK;
}

static const char *add_group(struct json_host *host, const json_t *group)
{
    const json_t *statements = json_object_get(group, "statements");
    const json_t *unknown = json_object_get(group, "unknown");
    const json_t *verdict = json_object_get(group, "verdict");
    const json_t *outcome = json_object_get(verdict, "outcome");
    const json_t *assignable = json_object_get(verdict, "assignable");
    struct iovageom_range *ranges;
    size_t count;

    host->groups++;
    host->faulty = host->faulty || json_array_size(json_object_get(group, "faults")) != 0;
    if (!json_is_true(assignable) || json_is_true(json_object_get(group, "no_iommu"))) {
        if (!json_is_string(outcome))
            return "a group has no verdict";
        host->unknown = host->unknown || (json_is_null(assignable) &&
                                          strcmp(json_string_value(outcome), "not read") != 0);
        return NULL;
    }
    if (!json_is_array(unknown))
        return "a group does not tell what is not known";
    if (json_array_size(unknown) != 0) {
        host->unknown = true;
        return NULL;
    }
    host->assignable++;
    if (!read_ranges(json_object_get(group, "usable"), &ranges, &count))
        return "a group has no list of usable ranges";
    if (!json_is_array(statements))
        return "a group has no statements";
    if (host->geometry == NULL)
        must(iovageom_geometry_new(&lasting, "host", &host->geometry));
    must(iovageom_geometry_add_usable(host->geometry, ranges, count, IOVAGEOM_SOURCE_OTHER));
    for (size_t i = 0; i < json_array_size(statements); i++) {
        if (!add_statement(host->geometry, json_array_get(statements, i)))
            return "a statement is not understood";
    }
    return NULL;
}

static const char *parse(const char *words, size_t length, json_t **root)
{
    json_error_t error;

    *root = json_loadb(words, length, 0, &error);
    if (*root == NULL)
        return text("no JSON, in line %d: %s", error.line, error.text);
    if (json_integer_value(json_object_get(*root, "schema_version")) == 1)
        return NULL;
    json_decref(*root);
    return "it has no schema_version, or one that is not known";
}

const char *json_read_host(const char *words, size_t length, struct json_host *host)
{
    json_t *root;
    const char *wrong = parse(words, length, &root);
    const json_t *groups;
    const char *name;

    *host = (struct json_host){.geometry = NULL};
    if (wrong != NULL)
        return wrong;
    groups = json_object_get(root, "groups");
    name = json_string_value(json_object_get(root, "snapshot"));
    host->name = name != NULL ? text("%s", name) : NULL;
    host->faulty = json_array_size(json_object_get(root, "faults")) != 0;
    if (!json_is_array(groups))
        wrong = "there are no groups in it";
    for (size_t i = 0; i < json_array_size(groups) && wrong == NULL; i++)
        wrong = add_group(host, json_array_get(groups, i));
    json_decref(root);
    return wrong;
}

static const char *make_promise(const json_t *object, struct iovageom_geometry *geometry)
{
    const json_t *regions = json_object_get(object, "decoded");
    struct iovageom_range range;
    uint64_t mask = 0;
    bool there;

    if (json_is_string(json_object_get(object, "refused")))
        return "nothing was promised";
    if (!read_range(json_object_get(object, "input_range"), &range))
        return "the promise has no input_range";
    must(iovageom_geometry_add_usable(geometry, &range, 1, IOVAGEOM_SOURCE_ENVELOPE));
    if (!read_number(json_object_get(object, "page_size_mask"), &mask, &there) || !there)
        return "the promise has no page_size_mask";
    must(iovageom_geometry_add_page_sizes(geometry, mask, IOVAGEOM_SOURCE_ENVELOPE));
    if (!json_is_array(regions))
        return "the promise has no list of what its bytes say";
    for (size_t i = 0; i < json_array_size(regions); i++) {
        if (!read_range(json_array_get(regions, i), &range))
            return "a region of the promise is not understood";
        must(iovageom_geometry_add_reserved(geometry, range, IOVAGEOM_RESV_RESERVED,
                                            IOVAGEOM_SOURCE_ENVELOPE));
    }
    return NULL;
}

const char *json_read_promise(const char *words, size_t length, struct iovageom_geometry **promise)
{
    json_t *root;
    const char *wrong = parse(words, length, &root);
    const json_t *object;

    if (wrong != NULL)
        return wrong;
    object = json_object_get(root, "promise");
    must(iovageom_geometry_new(&lasting, "promise", promise));
    wrong = json_is_object(object)
                ? make_promise(object, *promise)
                : "there is no promise in it: write it with the command probe or show, and --json";
    json_decref(root);
    return wrong;
}

#else

const char *json_read_host(const char *words, size_t length, struct json_host *host)
{
    (void)words;
    (void)length;
    (void)host;
    return "this program was built without libjansson, and reads no JSON";
}

const char *json_read_promise(const char *words, size_t length, struct iovageom_geometry **promise)
{
    (void)words;
    (void)length;
    (void)promise;
    return "this program was built without libjansson, and reads no JSON";
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "jsonout.h"

#include <stdio.h>

#ifdef HAVE_JANSSON

#include <jansson.h>

#define SCHEMA_VERSION 1 /* of iovageom.schema.json */
#define EXACT_BELOW    ((uint64_t)1 << 53)

bool out_is_there(void)
{
    return true;
}

json_t *out_begin(void)
{
    json_t *root = out_object();

    out_set(root, "schema_version", out_number(SCHEMA_VERSION));
    return root;
}

json_t *out_object(void)
{
    json_t *object = json_object();

    if (object == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    return object;
}

json_t *out_array(void)
{
    json_t *array = json_array();

    if (array == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    return array;
}

void out_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value != NULL ? value : json_null()) != 0)
        die(EXIT_BAD_INPUT, "out of memory");
}

void out_add(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value != NULL ? value : json_null()) != 0)
        die(EXIT_BAD_INPUT, "out of memory");
}

json_t *out_string(const char *words)
{
    json_t *value = words != NULL ? json_string(words) : json_null();

    /* What is not UTF-8 is no string of JSON. */
    return value != NULL ? value : json_string("?");
}

json_t *out_bool(bool value)
{
    return json_boolean(value);
}

json_t *out_number(uint64_t value)
{
    if (value < EXACT_BELOW)
        return json_integer((json_int_t)value);
    return json_sprintf("%llu", (unsigned long long)value);
}

json_t *out_size(struct iovageom_size size)
{
    return size.hi == 0 ? out_number(size.lo) : json_string("18446744073709551616");
}

json_t *out_hex(uint64_t value)
{
    return json_sprintf("0x%llx", (unsigned long long)value);
}

json_t *out_range(struct iovageom_range range)
{
    json_t *object = out_object();

    out_set(object, "start", out_hex(range.start));
    out_set(object, "last", out_hex(range.last));
    out_set(object, "size", out_size(iovageom_range_size(range)));
    return object;
}

json_t *out_strings(const char *const *words, size_t count)
{
    json_t *array = out_array();

    for (size_t i = 0; i < count; i++)
        out_add(array, out_string(words[i]));
    return array;
}

json_t *out_faults(const struct faults *faults)
{
    json_t *array = out_strings(faults->words, faults->count);

    if (faults->more != 0)
        out_add(array, out_string(text("and %zu more that can't be read", faults->more)));
    return array;
}

void out_print(json_t *root)
{
    if (json_dumpf(root, stdout, JSON_INDENT(3)) != 0)
        die(EXIT_BAD_INPUT, "can't write JSON");
    putchar('\n');
    json_decref(root);
}

void out_print_line(json_t *root)
{
    (void)json_dumpf(root, stdout, 0);
    json_decref(root);
}

#else

bool out_is_there(void)
{
    return false;
}

json_t *out_begin(void)
{
    die(EXIT_USAGE, "--json: this program was built without libjansson");
}

json_t *out_object(void)
{
    return NULL;
}

json_t *out_array(void)
{
    return NULL;
}

void out_set(json_t *object, const char *key, json_t *value)
{
    (void)object;
    (void)key;
    (void)value;
}

void out_add(json_t *array, json_t *value)
{
    (void)array;
    (void)value;
}

json_t *out_string(const char *words)
{
    (void)words;
    return NULL;
}

json_t *out_bool(bool value)
{
    (void)value;
    return NULL;
}

json_t *out_number(uint64_t value)
{
    (void)value;
    return NULL;
}

json_t *out_size(struct iovageom_size size)
{
    (void)size;
    return NULL;
}

json_t *out_hex(uint64_t value)
{
    (void)value;
    return NULL;
}

json_t *out_range(struct iovageom_range range)
{
    (void)range;
    return NULL;
}

json_t *out_strings(const char *const *words, size_t count)
{
    (void)words;
    (void)count;
    return NULL;
}

json_t *out_faults(const struct faults *faults)
{
    (void)faults;
    return NULL;
}

void out_print(json_t *root)
{
    (void)root;
}

void out_print_line(json_t *root)
{
    (void)root;
}

#endif

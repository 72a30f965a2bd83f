/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_JSONOUT_H
#define HOST_PROBE_JSONOUT_H

#include <iovageom/range.h>

#include "basics.h"

/*
 * JSON to be written, made by libjansson. Where the program was built without it, out_begin() ends
 * the program, and nothing else here is reached.
 */

typedef struct json_t json_t;

bool out_is_there(void);

/** A new object, or the program ends for want of a library. */
json_t *out_begin(void);

json_t *out_object(void);
json_t *out_array(void);

/** Puts a value, which becomes a part of it, into an object. NULL puts null. */
void out_set(json_t *object, const char *key, json_t *value);

/** Adds a value, which becomes a part of it, to an array. */
void out_add(json_t *array, json_t *value);

/** NULL gives null. */
json_t *out_string(const char *words);
json_t *out_bool(bool value);

/** A number; from 2^53 on, where readers of JSON round, the same digits as a string. */
json_t *out_number(uint64_t value);
json_t *out_size(struct iovageom_size size);

/** "0x1000" */
json_t *out_hex(uint64_t value);

/** {"start": "0x0", "last": "0xfff", "size": 4096} */
json_t *out_range(struct iovageom_range range);
json_t *out_strings(const char *const *words, size_t count);

/** An array of what could not be read; its last element is how much more that was than is kept. */
json_t *out_faults(const struct faults *faults);

/** Prints it, and gives it back. */
void out_print(json_t *root);

/** The same on one line, without an end of it. What went wrong, ferror(stdout) tells. */
void out_print_line(json_t *root);

#endif

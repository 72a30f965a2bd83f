/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_AMOUNTS_H
#define HOST_PROBE_AMOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/range.h>

/*
 * Sizes and ranges as people write them. Numbers are decimal or begin with 0x, and may end in K, M,
 * G, T, P or E (powers of 1024), with or without "iB"; a decimal one may have a fraction ("1.5T").
 */

/** A number at *words, which is moved behind it. False, and *words untouched, where there is none. */
bool amount_take(const char **words, uint64_t *value);

/** The whole of `words` as a number. */
bool amount_read(const char *words, uint64_t *value);

/**
 * The whole of `words` as a range: START-LAST and START..LAST, both included, [START,LAST] as this
 * program prints it, START+SIZE, or an address alone.
 */
bool amount_range(const char *words, struct iovageom_range *range);

/** The same of `length` bytes at `words`, of which 63 are the most. */
bool amount_range_part(const char *words, size_t length, struct iovageom_range *range);

#endif

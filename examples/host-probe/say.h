/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_SAY_H
#define HOST_PROBE_SAY_H

#include "basics.h"

/** "256M" */
const char *range_size_text(struct iovageom_range range);

/**
 * Prints a sentence, broken at blanks so that no line is longer than `width`; 0 for one line. The
 * first line begins with `indent` blanks, others with two more. What comes from files is shown
 * without what a terminal obeys.
 */
void say(unsigned width, unsigned indent, const char *format, ...) PRINTF_LIKE(3, 4);

/** "2 mappings", "1 mapping" */
const char *count_text(uint64_t count, const char *noun);

/** "1,234,567" */
const char *grouped(uint64_t number);

#endif

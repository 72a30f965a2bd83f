/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_BROKEN_H
#define HOST_PROBE_BROKEN_H

#include <stddef.h>

/* Lines of VMMs and kernels that a mail, or a terminal, has broken at blanks. */

/** A line, put together where that makes it whole. */
struct broken {
    const char *at;
    size_t length;
    const char *behind; /**< where the last of its parts ends, in the text */
};

/** The line at `at` of a text, without marks of a quotation. Of how many it was tried is
 * counted. */
struct broken broken_line(const char *at, const char *end, size_t *tries);

#endif

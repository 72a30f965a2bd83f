/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_SETUP_H
#define HOST_PROBE_SETUP_H

#include "answer.h"

/* What to say of a line that refuses a device, its group or a guest before anything is mapped. */

/** Sentences, by what they are for. */
struct setup_answer {
    const char **found; /**< what this host has to do with it */
    size_t found_count;
    const char **means;
    size_t means_count;
    const char **todo;
    size_t todo_count;
    const char **causes; /**< of the errno that the line has; of several, where it has none */
    size_t cause_count;
};

/** "group 13 is not viable" */
const char *setup_heading(const struct vmm_line *line);

struct setup_answer setup_answer(const struct asked *asked, const struct question *question);

/** The name of what is refused, in JSON. */
const char *setup_word(enum vmm_setup setup);

#endif

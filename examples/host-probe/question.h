/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_QUESTION_H
#define HOST_PROBE_QUESTION_H

#include "host.h"
#include "vmmline.h"

/* What `why` is asked: ranges, lines of VMMs, and logs that have such lines. */

/** One thing that is asked, and how often. */
struct question {
    struct vmm_line line; /**< of VMM_LINE_NONE where a range was given */
    struct iovageom_range range;
    bool has_range;
    bool page; /**< an address: all of its page is meant */
    const char *words;
    const struct device *device; /**< that the line names, if this host has it; NULL */
    const struct group *group;   /**< that it names, if it has that, and no device counts; NULL */
    bool has_group;              /**< it has the group that the line names */
    size_t times;
};

struct questions {
    struct question *list;
    size_t count;
    size_t lines;           /**< that were read */
    size_t asked;           /**< of these, and of ranges, how many ask something */
    size_t skipped;         /**< that are different still, and too many */
    size_t tries;           /**< of broken_line() */
    struct vmm_event event; /**< of which some lines are read */
    size_t mapped; /**< the last mapping, counted from 1: QEMU names its device in another line */
    size_t dumped; /**< the last event, counted from 1: newer kernels say in words what it was */
};

/** Adds what an argument asks: a range, a line or lines, "-" for a log. Or the program ends. */
void questions_add(struct questions *questions, const char *words);

/** To be called when all are there: takes out those that others answer along. */
void questions_done(struct questions *questions);

#endif

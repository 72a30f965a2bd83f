/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_ANSWER_H
#define HOST_PROBE_ANSWER_H

#include "command.h"
#include "place.h"
#include "question.h"

/* What a host's groups make of a question. */

/** What is said of one group; groups of which the same is said share one. */
struct answer {
    struct placing placing;
    const char **words;
    size_t word_count;
    bool *with; /**< for each group that was asked, whether it is one of them; NULL where one is */
    size_t group_count;
};

struct asked {
    const struct context *context;
    struct host host;
    struct verdict *verdicts;
    size_t count;
    unsigned width;
};

/** A BAR. */
struct named_bar {
    const struct device *device; /**< NULL for none */
    unsigned number;
};

/** The first BAR in the group of just the size of a range that is forbidden, if it has one. */
struct named_bar answer_bar(const struct placing *placing, struct iovageom_range range);

/** The answers to a question that has a range; those that say the same are one. */
struct answer *answer_all(const struct asked *asked, const struct question *question,
                          size_t *count);

/** "0000:01:00.0 0000:01:00.1": the devices of a group, the first ones. */
const char *answer_devices(const struct group *group);

/** Finds the device and the group that a question names. */
void answer_find_device(const struct asked *asked, struct question *question);

/** Whose answers a question is after: those of that device's group, of that group, or of all. */
bool answer_wanted(const struct verdict *verdict, const struct question *question);

/** What a question asks a group of: of an address, all of its page. */
struct iovageom_range answer_range(const struct verdict *verdict, const struct question *question);

/** What one group says. */
struct placing answer_one(const struct verdict *verdict, const struct question *question);

/** What is to be known of the obstacles, each class once. */
struct lessons {
    const char **since;
    size_t since_count;
    const char **todo;
    size_t todo_count;
    bool forbidden;
    bool mapped; /**< by some group */
};

struct lessons answer_lessons(const struct answer *answers, size_t count);

/** What the line itself shows to be wrong, whatever the host is; NULL for nothing. */
const char *answer_own_fault(const struct asked *asked, const struct question *question);

/** The errno that a line has, or that goes with what it says; 0 for none. */
int answer_error(const struct question *question);

/** What else gives the errno of a question. Returns how many causes there are. */
size_t answer_causes(const struct question *question, const char *const **causes);

/**
 * Whether it is of use to say what else gives the errno: not where the host's geometry does, and
 * nothing was refused where only a range was given.
 */
bool answer_causes_count(const struct asked *asked, const struct question *question,
                         const struct lessons *lessons);

/** Adds a text to a list that does not have it. */
void add_words_once(const char ***list, size_t *count, const char *words);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_COMMAND_H
#define HOST_PROBE_COMMAND_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "host.h"
#include "judge.h"

/*
 * A command is one function in a file of its own, and one line in the table in main.c. It reads its
 * options with getopt_long: those that all commands have by context_option(), its own itself.
 */

/** What all commands are asked in the same way. */
struct context {
    const char *command; /**< the name of the command, for messages */
    const char *snapshot;
    const char *fallback;
    const char *sysroot; /**< "" for none */
    bool ask;
    struct mode mode;
    bool json;
    bool verbose;
    const char *color;
    unsigned width; /**< 0 for that of the terminal, or as much as is needed where there is none */
};

/**
 * A command.
 *
 * @param argv its words; argv[0] is the name of the program, options of all commands that stood
 *        before the command's name come first.
 * @return what the program ends with.
 */
typedef int command_function(struct context *context, int argc, char **argv);

command_function command_all, command_list, command_show, command_probe, command_decode;
command_function command_why, command_plan, command_map, command_pool, command_diff, command_check,
    command_report, command_features;

/** The options that all commands have, for their `shortopts` and their tables. */
#define COMMON_SHORT "hJks:vVw:"
#define COMMON_LONG                                                                                \
    {"color", optional_argument, NULL, 'C'}, {"fallback", required_argument, NULL, 'F'},           \
        {"help", no_argument, NULL, 'h'}, {"json", no_argument, NULL, 'J'},                        \
        {"lenient", no_argument, NULL, 'k'}, {"no-ask", no_argument, NULL, 'A'},                   \
        {"snapshot", required_argument, NULL, 's'},                                                \
        {"software-msi", required_argument, NULL, 'M'}, {"sysroot", required_argument, NULL, 'R'}, \
        {"verbose", no_argument, NULL, 'v'}, {"version", no_argument, NULL, 'V'},                  \
    {                                                                                              \
        "width", required_argument, NULL, 'w'                                                      \
    }

/** What --help says of them. */
extern const char context_help[];

/**
 * Takes an option that all commands have.
 * Any other ends the program. -h is the command's own.
 */
void context_option(struct context *context, int option);

/** Checks what the options say together; to be called when all are read. */
void context_check(const struct context *context);

/** Whether to write in colors. */
bool context_colors(const struct context *context);

/** How wide a line may be; 0 for as wide as it gets. */
unsigned context_width(const struct context *context);

/** Reads the host that the options name. One without groups ends the program. */
void context_read(const struct context *context, struct host *host);

/** The same for who has something to say of a host without groups, too. */
void context_read_any(const struct context *context, struct host *host);

/** Ends the program, as that host has no groups. */
_Noreturn void context_no_groups(const struct context *context, const struct host *host);

/** What could not be read, to be said together. Empty when zeroed. */
struct told {
    struct faults faults; /**< each once */
    struct lookup known;
    bool host; /**< those of no group are among them */
};

void told_add(struct told *told, const struct faults *faults);

/** What is wrong with files of no group. */
void told_add_host(struct told *told, const struct host *host);

/**
 * What is wrong with files of a group; with those of no group, too, where they may be why drivers
 * of its devices are not known.
 */
void told_add_group(struct told *told, const struct host *host, const struct verdict *verdict);

/**
 * Says it on standard error, in 100 lines at most, unless `aloud` is false. What the program ends
 * with for that: EXIT_GOOD, EXIT_LEFT_OUT, or EXIT_BAD_INPUT where nothing was `answered`.
 */
int told_end(const struct told *told, bool aloud, bool answered);

/** Whether a word is the name of a command. */
bool is_command(const char *name);

/** The group that is called "1", "group 1", "0000:00:01.0" or "00:01.0", or the program ends. */
size_t context_find(const struct host *host, const char *chosen);

/**
 * The group that is meant where none is named: that which VFIO has, else the first that has more
 * than bridges, else the first; but one of which nothing can be promised only where there is no
 * other.
 */
size_t likeliest_group(const struct verdict *verdicts, size_t count);

/** A number of bytes, as amounts are written, and not 0; anything else ends the program. */
uint64_t parse_size(const char *option, const char *words);

#endif

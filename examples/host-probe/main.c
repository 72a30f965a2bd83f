/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * iovageom-probe: what this machine's IOMMUs let a guest map, and what a virtual IOMMU should tell
 * it. See iovageom-probe(1).
 */

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

const char *program_name = "iovageom-probe";

static const struct {
    const char *name;
    command_function *call;
    const char *help;
} commands[] = {
    {"show", command_show, "what can be said of a group or a device"},
    {"list", command_list, "all groups, their devices, and what they can be mapped to"},
    {"probe", command_probe, "what a virtual IOMMU should tell a guest of a group, and its bytes"},
    {"decode", command_decode, "what such bytes tell a guest, wherever they are from"},
    {"why", command_why, "who forbids a mapping, or what a failing line of a VMM means"},
    {"plan", command_plan, "whether a guest's RAM and BARs fit, and what moves where"},
    {"map", command_map, "the address space of a group as a picture, in the terminal or as SVG"},
    {"pool", command_pool, "what all hosts of a pool can do, and what each costs the others"},
    {"diff", command_diff, "what differs between two hosts, or one at two times"},
    {"check", command_check, "whether this host keeps what a guest was promised on another"},
    {"report", command_report, "a page of HTML about a group, for a bug report or a ticket"},
    {"features", command_features, "labels for Kubernetes, or metrics for Prometheus"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static _Noreturn void usage(void)
{
    printf("Usage: %s [COMMAND] [options] [argument...]\n\n"
           "Show what the IOMMUs of this machine let a guest map, and what a virtual IOMMU\n"
           "should tell a guest. Without a command: what can be said of all groups, or of the\n"
           "one that is named, and the list of them; with the options of list.\n\n"
           "Commands, each with a --help of its own:\n",
           program_name);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf(" %-9s  %s\n", commands[i].name, commands[i].help);
    printf("\nOptions of all commands:\n%s", context_help);
    finish(EXIT_GOOD);
}

static size_t find_command(const char *name)
{
    size_t i = 0;

    while (i < COMMAND_COUNT && strcmp(commands[i].name, name) != 0)
        i++;
    return i;
}

bool is_command(const char *name)
{
    return find_command(name) < COMMAND_COUNT;
}

/*
 * Where the name of a command stands: first, or after options that all commands have. Elsewhere a
 * word is an argument, whatever it says. 0 for nowhere.
 */
static int command_place(int count, char **words)
{
    static const struct option long_options[] = {COMMON_LONG, {NULL, 0, NULL, 0}};
    int option;

    opterr = 0;
    do
        option = getopt_long(count, words, "+" COMMON_SHORT, long_options, NULL);
    while (option != -1 && option != '?' && option != 'h');
    opterr = 1;
    if (option == -1 && optind < count && is_command(words[optind]))
        return optind;
    return 0;
}

static void set_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash != NULL)
        path = slash + 1;
    if (*path != '\0')
        program_name = path;
}

int main(int count, char **words)
{
    struct context context = {.sysroot = "", .ask = true, .color = "auto", .command = "list"};
    command_function *call = command_all; /* where no command is named */
    int place;

    (void)setlocale(LC_CTYPE, "");
    if (count > 0)
        set_name(words[0]);
    if (count == 2 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0))
        usage();
    place = command_place(count, words);
    if (place != 0) {
        context.command = words[place];
        call = commands[find_command(words[place])].call;
        memmove(words + place, words + place + 1, (size_t)(count - place) * sizeof(*words));
        count--;
    }
    optind = 0; /* glibc and musl begin anew */
    finish(call(&context, count, words));
}

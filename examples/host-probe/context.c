/* SPDX-License-Identifier: BSD-3-Clause */

/* What all commands are asked in the same way: which host, and how it is shown. */

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iovageom/status.h>

#include "amounts.h"

#define MOST_FAULTS 100 /* that are said */

const char context_help[] =
    " -s, --snapshot FROM   read a captured host instead of this machine: a folder,\n"
    "                       an archive (tar), or a text (dmesg, lspci -nnk, grep -r .\n"
    "                       /sys/kernel/iommu_groups); - for standard input\n"
    "     --fallback FROM   read that one if this machine has no IOMMU groups\n"
    "     --sysroot DIR     read DIR/sys instead of /sys, and ask no kernel\n"
    "     --no-ask          do not ask VFIO and iommufd, read sysfs only\n"
    " -k, --lenient         pass over bad lines of reserved_regions\n"
    "     --software-msi ADDRESS[-LAST]\n"
    "                       where the host's software places MSI doorbells\n"
    " -J, --json            write JSON\n"
    " -v, --verbose         shorten nothing, leave nothing out\n"
    " -w, --width N         lines of N characters\n"
    "     --color[=WHEN]    always, never or auto\n"
    " -h, --help            this text\n"
    " -V, --version         the version\n";

uint64_t parse_size(const char *option, const char *words)
{
    uint64_t value;

    if (!amount_read(words, &value) || value == 0)
        die(EXIT_USAGE, "--%s: %s: not a size", option, words);
    return value;
}

/* "0xa0000000", which has 1 MiB, or "0xa0000000-0xa00fffff". */
static void parse_software_msi(struct mode *mode, const char *words)
{
    bool good = amount_range(words, &mode->software_msi);

    if (good && mode->software_msi.start == mode->software_msi.last)
        good = iovageom_range_from_length(mode->software_msi.start, 1 << 20, &mode->software_msi) ==
               IOVAGEOM_OK;
    if (!good)
        die(EXIT_USAGE, "--software-msi: %s: neither ADDRESS nor ADDRESS-LAST", words);
    mode->has_software_msi = true;
}

static unsigned parse_width(const char *words)
{
    char *end;
    unsigned long width = strtoul(words, &end, 10);

    if (*words < '0' || *words > '9' || *end != '\0' || width < 20 || width > 10000)
        die(EXIT_USAGE, "--width: %s: not a number from 20 to 10000", words);
    return (unsigned)width;
}

void context_option(struct context *context, int option)
{
    switch (option) {
    case 's':
        context->snapshot = optarg;
        break;
    case 'F':
        context->fallback = optarg;
        break;
    case 'R':
        context->sysroot = optarg;
        break;
    case 'A':
        context->ask = false;
        break;
    case 'M':
        parse_software_msi(&context->mode, optarg);
        break;
    case 'k':
        context->mode.lenient = true;
        break;
    case 'J':
        context->json = true;
        break;
    case 'v':
        context->verbose = true;
        break;
    case 'w':
        context->width = parse_width(optarg);
        break;
    case 'C':
        context->color = optarg != NULL ? optarg : "always";
        break;
    case 'V':
        printf("%s from libiovageom %s\n", program_name, iovageom_version());
        finish(EXIT_GOOD);
    default:
        fprintf(stderr, "Try '%s %s --help'.\n", program_name, context->command);
        exit(EXIT_USAGE);
    }
}

void context_check(const struct context *context)
{
    if (context->snapshot != NULL && *context->sysroot != '\0')
        die(EXIT_USAGE, "--snapshot and --sysroot exclude each other");
    if (strcmp(context->color, "auto") != 0 && strcmp(context->color, "always") != 0 &&
        strcmp(context->color, "never") != 0)
        die(EXIT_USAGE, "--color: %s: not always, never or auto", context->color);
}

bool context_colors(const struct context *context)
{
    const char *no_color = getenv("NO_COLOR");

    return strcmp(context->color, "always") == 0 ||
           (strcmp(context->color, "auto") == 0 && isatty(STDOUT_FILENO) != 0 &&
            (no_color == NULL || *no_color == '\0'));
}

unsigned context_width(const struct context *context)
{
    struct winsize size;

    if (context->width != 0)
        return context->width;
    if (isatty(STDOUT_FILENO) == 0)
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}

void context_read_any(const struct context *context, struct host *host)
{
    if (context->snapshot != NULL) {
        host_read_captured(host, context->snapshot);
    } else {
        host_read_live(host, context->sysroot);
        if (host->group_count == 0 && context->fallback != NULL) {
            if (context->json)
                warn("this machine has no IOMMU groups: %s is shown instead", context->fallback);
            else
                printf("This machine has no IOMMU groups. A captured host is shown instead: %s\n",
                       context->fallback);
            host_read_captured(host, context->fallback);
        } else if (host->live && context->ask) {
            host_ask(host);
        }
    }
}

_Noreturn void context_no_groups(const struct context *context, const struct host *host)
{
    for (size_t i = 0; i < host->faults.count; i++)
        warn("%s", host->faults.words[i]);
    die(EXIT_NO_GROUPS,
        "%s: no IOMMU groups: is the IOMMU on? \"dmesg | %s -s -\" says what the kernel found",
        context->snapshot != NULL ? context->snapshot
                                  : text("%s/sys/kernel/iommu_groups", context->sysroot),
        program_name);
}

void context_read(const struct context *context, struct host *host)
{
    context_read_any(context, host);
    if (host->group_count == 0)
        context_no_groups(context, host);
}

/* ---- what could not be read ---- */

void told_add(struct told *told, const struct faults *faults)
{
    size_t number;

    told->faults.more += faults->more;
    for (size_t i = 0; i < faults->count; i++) {
        /* An IOMMU's fault is that of every group behind it. */
        if (lookup_find(&told->known, faults->words[i], &number))
            continue;
        lookup_add(&told->known, faults->words[i], 0);
        add_words(&told->faults.words, &told->faults.count, faults->words[i]);
    }
}

void told_add_host(struct told *told, const struct host *host)
{
    if (!told->host)
        told_add(told, &host->faults);
    told->host = true;
}

void told_add_group(struct told *told, const struct host *host, const struct verdict *verdict)
{
    const struct group *group = verdict->group;

    for (size_t i = 0; i < group->device_count; i++) {
        if (group->devices[i]->driver == NULL)
            told_add_host(told, host);
    }
    told_add(told, &verdict->faults);
}

int told_end(const struct told *told, bool aloud, bool answered)
{
    size_t more = told->faults.more;

    fflush(stdout);
    if (told->faults.count > MOST_FAULTS)
        more += told->faults.count - MOST_FAULTS;
    for (size_t i = 0; i < told->faults.count && i < MOST_FAULTS && aloud; i++)
        warn("%s", told->faults.words[i]);
    if (more != 0 && aloud)
        warn("and %zu more that can't be read", more);
    if (told->faults.count == 0 && more == 0)
        return EXIT_GOOD;
    return answered ? EXIT_LEFT_OUT : EXIT_BAD_INPUT;
}

/* ---- which group ---- */

size_t context_find(const struct host *host, const char *chosen)
{
    const struct group *group =
        host_find(host, strncmp(chosen, "group ", 6) == 0 ? chosen + 6 : chosen);

    if (group == NULL)
        die(EXIT_NOT_FOUND, "%s: no such group, and no device in a group%s", chosen,
            is_command(chosen) ? "; a command stands before its own options" : "");
    return (size_t)(group - host->groups);
}

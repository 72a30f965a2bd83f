/* SPDX-License-Identifier: BSD-3-Clause */

/* What all commands are asked in the same way: which host, and how it is shown. */

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iovageom/status.h>

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
    static const char units[] = "KMG";
    char *end;
    unsigned long long value = strtoull(words, &end, 0);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;

    if (unit != NULL && value < 1ULL << 30) {
        value <<= 10 * (unit - units + 1);
        end++;
    }
    if (end == words || *end != '\0' || value == 0 || *words == '-')
        die(EXIT_USAGE, "--%s: %s: not a size", option, words);
    return value;
}

/* "0xa0000000", which has 1 MiB, or "0xa0000000-0xa00fffff". */
static void parse_software_msi(struct mode *mode, const char *words)
{
    struct iovageom_range window = {0, 0};
    char *end;
    bool good = *words >= '0' && *words <= '9';

    window.start = strtoull(words, &end, 0);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9') {
        window.last = strtoull(end + 1, &end, 0);
        good = good && iovageom_range_valid(window);
    } else {
        good = good && iovageom_range_from_length(window.start, 1 << 20, &window) == IOVAGEOM_OK;
    }
    if (!good || *end != '\0')
        die(EXIT_USAGE, "--software-msi: %s: neither ADDRESS nor ADDRESS-LAST", words);
    mode->software_msi = window;
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

void context_read(const struct context *context, struct host *host)
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
    if (host->group_count != 0)
        return;
    for (size_t i = 0; i < host->faults.count; i++)
        warn("%s", host->faults.words[i]);
    die(EXIT_NO_GROUPS,
        "%s: no IOMMU groups: is the IOMMU on? \"dmesg | %s -s -\" says what the kernel found",
        context->snapshot != NULL ? context->snapshot
                                  : text("%s/sys/kernel/iommu_groups", context->sysroot),
        program_name);
}

size_t context_find(const struct host *host, const char *chosen)
{
    const char *number = strncmp(chosen, "group ", 6) == 0 ? chosen + 6 : chosen;
    const char *long_address = text("0000:%s", chosen);

    for (size_t i = 0; i < host->group_count; i++) {
        const struct group *group = &host->groups[i];

        if (strcmp(group->name, number) == 0)
            return i;
        for (size_t k = 0; k < group->device_count; k++) {
            const char *address = group->devices[k]->address;

            if (strcasecmp(address, chosen) == 0 || strcasecmp(address, long_address) == 0)
                return i;
        }
    }
    die(EXIT_NOT_FOUND, "%s: no such group, and no device in a group%s", chosen,
        is_command(chosen) ? "; a command stands before its own options" : "");
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * host-probe: what this machine's IOMMUs let a guest map, and what a virtual IOMMU should tell it.
 * See host-probe(8).
 */

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

#include "judge.h"
#include "show.h"

struct options {
    const char *snapshot;
    const char *fallback;
    const char *sysroot;
    const char *save;
    const char *columns;
    const char *color;
    const char *chosen; /**< a group or a device */
    uint64_t granule;
    size_t probe_size;
    struct mode mode;
    bool ask;
    bool json;
    bool refuse_direct;
    bool list_only;
    bool no_headings;
    bool raw;
};

static const struct option long_options[] = {
    {"color", optional_argument, NULL, 'C'},
    {"fallback", required_argument, NULL, 'F'},
    {"granule", required_argument, NULL, 'g'},
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, 'J'},
    {"lenient", no_argument, NULL, 'k'},
    {"list", no_argument, NULL, 'l'},
    {"no-ask", no_argument, NULL, 'A'},
    {"noheadings", no_argument, NULL, 'n'},
    {"output", required_argument, NULL, 'o'},
    {"output-all", no_argument, NULL, 'O'},
    {"probe-size", required_argument, NULL, 'p'},
    {"raw", no_argument, NULL, 'r'},
    {"refuse-direct", no_argument, NULL, 'D'},
    {"save", required_argument, NULL, 'S'},
    {"snapshot", required_argument, NULL, 's'},
    {"software-msi", required_argument, NULL, 'M'},
    {"sysroot", required_argument, NULL, 'R'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static _Noreturn void usage(void)
{
    printf("Usage: host-probe [options] [GROUP|DEVICE]\n\n"
           "Show what the IOMMUs of this machine let a guest map, and what a virtual IOMMU\n"
           "should tell a guest of one group.\n\n"
           " -s, --snapshot DIR    read a captured host instead of this machine\n"
           " -S, --save DIR        capture the host into DIR, too\n"
           "     --fallback DIR    read that captured host if this machine has no IOMMU groups\n"
           "     --sysroot DIR     read DIR/sys instead of /sys, and ask no kernel\n"
           "     --no-ask          do not ask VFIO and iommufd, read sysfs only\n"
           " -l, --list            list the groups only\n"
           " -g, --granule SIZE    what the guest maps in multiples of (4K, 64K)\n"
           " -p, --probe-size N    make the properties fit N bytes\n"
           " -k, --lenient         pass over bad lines of reserved_regions\n"
           "     --refuse-direct   end with 6 if the group has regions of type direct\n"
           "     --software-msi ADDRESS[-LAST]\n"
           "                       where the host's software places MSI doorbells\n"
           " -J, --json            write JSON\n"
           " -o, --output LIST     columns of the list of groups\n"
           "     --output-all      all columns\n"
           " -n, --noheadings      no line of headings\n"
           " -r, --raw             one space between columns, no tree\n"
           "     --color[=WHEN]    always, never or auto\n"
           " -h, --help            this text\n"
           " -V, --version         the version\n\n"
           "Columns:\n");
    for (size_t i = 0; i < show_column_count; i++)
        printf(" %6s  %s\n", show_columns[i].name, show_columns[i].help);
    finish(EXIT_GOOD);
}

/* A number of bytes, with K, M or G, or without. */
static uint64_t parse_size(const char *option, const char *words)
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

static void parse_option(struct options *options, int option)
{
    switch (option) {
    case 's':
        options->snapshot = optarg;
        break;
    case 'S':
        options->save = optarg;
        break;
    case 'F':
        options->fallback = optarg;
        break;
    case 'R':
        options->sysroot = optarg;
        break;
    case 'A':
        options->ask = false;
        break;
    case 'D':
        options->refuse_direct = true;
        break;
    case 'M':
        parse_software_msi(&options->mode, optarg);
        break;
    case 'l':
        options->list_only = true;
        break;
    case 'g':
        options->granule = parse_size("granule", optarg);
        if (!iovageom_pgsize_is_power(options->granule))
            die(EXIT_USAGE, "--granule: %s: not a power of two", optarg);
        break;
    case 'p':
        options->probe_size = (size_t)parse_size("probe-size", optarg);
        break;
    case 'k':
        options->mode.lenient = true;
        break;
    case 'J':
        options->json = true;
        break;
    case 'o':
        options->columns = optarg;
        break;
    case 'O':
        options->columns = "NAME,TYPE,RANGE,SIZE,INFO,FROM,START,LAST,BYTES,GROUP";
        break;
    case 'n':
        options->no_headings = true;
        break;
    case 'r':
        options->raw = true;
        break;
    case 'C':
        options->color = optarg != NULL ? optarg : "always";
        break;
    case 'h':
        usage();
    case 'V':
        printf("host-probe from libiovageom %s\n", iovageom_version());
        finish(EXIT_GOOD);
    default:
        fputs("Try 'host-probe --help'.\n", stderr);
        exit(EXIT_USAGE);
    }
}

static struct options parse(int count, char **words)
{
    struct options options = {
        .columns = "NAME,TYPE,RANGE,SIZE,INFO,FROM", .color = "auto", .sysroot = "", .ask = true};
    int option;

    while ((option = getopt_long(count, words, "s:S:lg:p:kJo:nrhV", long_options, NULL)) != -1)
        parse_option(&options, option);
    if (optind < count)
        options.chosen = words[optind++];
    if (optind < count)
        die(EXIT_USAGE, "%s: one group or device is enough", words[optind]);
    if (options.snapshot != NULL && *options.sysroot != '\0')
        die(EXIT_USAGE, "--snapshot and --sysroot exclude each other");
    if (strcmp(options.color, "auto") != 0 && strcmp(options.color, "always") != 0 &&
        strcmp(options.color, "never") != 0)
        die(EXIT_USAGE, "--color: %s: not always, never or auto", options.color);
    return options;
}

static struct table_style style_of(const struct options *options)
{
    static size_t shown[TABLE_COLUMNS_MAX];
    const char *no_color = getenv("NO_COLOR");
    struct table_style style = {shown, 0, !options->no_headings, options->raw, false};
    char *rest;

    style.colors = strcmp(options->color, "always") == 0 ||
                   (strcmp(options->color, "auto") == 0 && isatty(STDOUT_FILENO) != 0 &&
                    (no_color == NULL || *no_color == '\0'));
    for (char *name = strtok_r(text("%s", options->columns), ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        size_t i = 0;

        while (i < show_column_count && strcasecmp(show_columns[i].name, name) != 0)
            i++;
        if (i == show_column_count)
            die(EXIT_USAGE, "--output: %s: no such column", name);
        if (style.shown_count == TABLE_COLUMNS_MAX)
            die(EXIT_USAGE, "--output: too many columns");
        shown[style.shown_count++] = i;
    }
    if (style.shown_count == 0)
        die(EXIT_USAGE, "--output: no column");
    return style;
}

static void read_host(struct host *host, const struct options *options)
{
    if (options->snapshot != NULL) {
        host_read_snapshot(host, options->snapshot);
        return;
    }
    host_read_live(host, options->sysroot);
    if (host->group_count == 0 && options->fallback != NULL && options->save == NULL) {
        if (options->json)
            warn("this machine has no IOMMU groups: %s is shown instead", options->fallback);
        else
            printf("This machine has no IOMMU groups. A captured host is shown instead: %s\n",
                   options->fallback);
        host_read_snapshot(host, options->fallback);
    } else if (host->live && options->ask) {
        host_ask(host);
    }
}

static bool has_endpoint(const struct group *group)
{
    for (size_t i = 0; i < group->device_count; i++) {
        if (!group->devices[i]->pci || !class_is_bridge(group->devices[i]->class_code))
            return true;
    }
    return false;
}

/*
 * The group that VFIO has, else the first that has more than bridges, else the first; but one of
 * which nothing can be promised only where there is no other.
 */
static size_t default_group(const struct verdict *verdicts, size_t count)
{
    size_t best = 0;
    int best_worth = -1;

    for (size_t i = 0; i < count; i++) {
        const struct group *group = verdicts[i].group;
        bool asked = group->answers.vfio.there || group->answers.attached_header.there;
        bool known = verdicts[i].judged && !verdicts[i].no_iommu && verdicts[i].unknown_count == 0;
        int worth = (known ? 4 : 0) + (asked ? 2 : has_endpoint(group) ? 1 : 0);

        if (worth > best_worth) {
            best = i;
            best_worth = worth;
        }
    }
    return best;
}

/* "1", "group 1", "0000:00:01.0" or "00:01.0". */
static size_t find_group(const struct host *host, const char *chosen)
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
    die(EXIT_NOT_FOUND, "%s: no such group, and no device in a group", chosen);
}

/* Why a group can't be assigned. */
static const char *direct_words(const struct verdict *verdict)
{
    struct iovageom_report report;

    iovageom_report_init(&report, &lasting);
    if (iovageom_geometry_assignable(verdict->geometry, &report) == IOVAGEOM_OK)
        return "it can't be assigned while firmware demands a direct region, of length 0";
    return text("%s", iovageom_report_text(&report));
}

/* What is wrong with files of no group, as far as the groups that are shown may be touched by it. */
static struct faults host_faults(const struct host *host, const struct verdict *verdicts,
                                 size_t count, bool all)
{
    const struct faults none = {NULL, 0};

    if (all)
        return host->faults;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < verdicts[i].group->device_count; k++) {
            if (verdicts[i].group->devices[k]->driver == NULL)
                return host->faults;
        }
    }
    return none;
}

/* What the program ends with, and a line on stderr for each fault if there are words for it. */
static int outcome(const struct verdict *verdicts, size_t count, const struct faults *faults,
                   bool aloud)
{
    struct faults said = *faults;
    bool left_out = faults->count != 0;
    bool answered = false;

    for (size_t i = 0; i < count; i++) {
        left_out = left_out || verdicts[i].faults.count != 0;
        answered = answered || verdicts[i].judged;
        for (size_t k = 0; k < verdicts[i].faults.count; k++) {
            const char *words = verdicts[i].faults.words[k];
            bool old = false;

            /* An IOMMU's fault is that of every group behind it. */
            for (size_t j = 0; j < said.count && !old; j++)
                old = strcmp(said.words[j], words) == 0;
            if (!old)
                add_words(&said.words, &said.count, words);
        }
    }
    for (size_t i = 0; i < said.count && aloud; i++)
        warn("%s", said.words[i]);
    if (!left_out)
        return EXIT_GOOD;
    return answered ? EXIT_LEFT_OUT : EXIT_BAD_INPUT;
}

/* One group, if one was asked for; else all, and what a guest of the likeliest should be told. */
static int show(const struct host *host, const struct options *options,
                const struct table_style *style)
{
    size_t first = options->chosen != NULL ? find_group(host, options->chosen) : 0;
    size_t count = options->chosen != NULL ? 1 : host->group_count;
    struct verdict *verdicts = keep(count * sizeof(*verdicts));
    struct promise promise = {.granule = 0};
    struct faults faults;
    size_t chosen;

    for (size_t i = 0; i < count; i++)
        verdicts[i] = judge(host, &host->groups[first + i], &options->mode);
    faults = host_faults(host, verdicts, count, options->chosen == NULL || options->save != NULL);
    for (size_t i = 0; i < host->group_count && options->save != NULL; i++)
        faults_join(&faults, &host->groups[i].faults);
    for (size_t i = 0; i < host->unit_count && options->save != NULL; i++)
        faults_join(&faults, &host->units[i].faults);
    chosen = default_group(verdicts, count);
    if (options->refuse_direct && !options->list_only && !verdicts[chosen].assignable)
        die(EXIT_REFUSED, "group %s: %s", verdicts[chosen].group->name,
            direct_words(&verdicts[chosen]));
    if (!options->list_only)
        promise = promise_for(&verdicts[chosen], options->granule, options->probe_size);
    if (options->json) {
        if (!show_json(host, verdicts, count, &verdicts[chosen],
                       options->list_only ? NULL : &promise, &faults))
            die(EXIT_USAGE, "--json: this program was built without libjansson");
    } else {
        show_groups(verdicts, count, style);
        if (!options->list_only)
            show_promise(&verdicts[chosen], &promise, style);
    }
    /* JSON says it itself. */
    return outcome(verdicts, count, &faults, !options->json);
}

int main(int count, char **words)
{
    struct options options;
    struct table_style style;
    struct host host;

    (void)setlocale(LC_CTYPE, "");
    options = parse(count, words);
    style = style_of(&options);
    read_host(&host, &options);
    if (host.group_count == 0) {
        for (size_t i = 0; i < host.faults.count; i++)
            warn("%s", host.faults.words[i]);
        die(EXIT_NO_GROUPS, "%s: no IOMMU groups",
            options.snapshot != NULL ? options.snapshot
                                     : text("%s/sys/kernel/iommu_groups", options.sysroot));
    }
    if (options.save != NULL)
        host_save(&host, options.save);
    finish(show(&host, &options, &style));
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* The commands that show groups: the list, what can be said of one, and what a guest is told of
 * it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/status.h>

#include "amounts.h"
#include "command.h"
#include "show.h"

/* What is read by people has what fits 80 columns; scripts and the curious get more. */
#define SHORT_COLUMNS "NAME,TYPE,DETAIL,SIZE,FROM"
#define LONG_COLUMNS  "NAME,TYPE,RANGE,SIZE,INFO,FROM"

/* What is shown of the groups. */
enum parts { LIST = 1, PROMISE = 2, VERDICT = 4 };

struct options {
    struct context *context;
    unsigned parts;
    const char *save;
    const char *columns;
    const char *chosen; /**< a group or a device */
    const char *format; /**< of the bytes: "hex", "c" or "raw"; NULL for all that is said of them */
    uint64_t granule;
    size_t probe_size;
    bool refuse_direct;
    bool no_headings;
    bool raw;
    bool numeric;
    bool bytes;
    bool one;  /**< the likeliest group, where none was asked for */
    bool rows; /**< columns were asked for */
};

static const struct option long_options[] = {
    COMMON_LONG,
    {"format", required_argument, NULL, 'f'},
    {"granule", required_argument, NULL, 'g'},
    {"list", no_argument, NULL, 'l'},
    {"bytes", no_argument, NULL, 'b'},
    {"no-heading", no_argument, NULL, 'n'},
    {"no-headings", no_argument, NULL, 'n'},
    {"noheadings", no_argument, NULL, 'n'},
    {"numeric", no_argument, NULL, 'N'},
    {"output", required_argument, NULL, 'o'},
    {"output-all", no_argument, NULL, 'O'},
    {"probe-size", required_argument, NULL, 'p'},
    {"raw", no_argument, NULL, 'r'},
    {"refuse-direct", no_argument, NULL, 'D'},
    {"save", required_argument, NULL, 'S'},
    {NULL, 0, NULL, 0},
};

static _Noreturn void usage(const char *command)
{
    printf("Usage: %s %s [options] [GROUP|DEVICE]\n\n"
           "Show what the IOMMUs of this machine let a guest map, and what a virtual IOMMU\n"
           "should tell a guest of one group.\n\n"
           " -S, --save DIR        capture the host into DIR, too\n"
           " -l, --list            the table alone\n"
           " -f, --format FORM     the PROBE bytes alone: hex, c or raw\n"
           " -g, --granule SIZE    what the guest maps in multiples of (4K, 64K)\n"
           " -p, --probe-size N    make the properties fit N bytes\n"
           "     --refuse-direct   end with 6 if the group has regions of type direct\n"
           " -o, --output LIST     columns of the list; +LIST adds to the usual ones\n"
           "     --output-all      all columns\n"
           " -b, --bytes           sizes in bytes\n"
           " -n, --no-heading      no line of headings\n"
           " -N, --numeric         ids of devices instead of their names\n"
           " -r, --raw             one space between columns, no tree\n"
           "%s\n"
           "Columns:\n",
           program_name, command, context_help);
    for (size_t i = 0; i < show_column_count; i++)
        printf(" %7s  %s\n", show_columns[i].name, show_columns[i].help);
    finish(EXIT_GOOD);
}

static const char *all_columns(void)
{
    const char *words = show_columns[0].name;

    for (size_t i = 1; i < show_column_count; i++)
        words = text("%s,%s", words, show_columns[i].name);
    return words;
}

static void parse_option(struct options *options, int option)
{
    switch (option) {
    case 'S':
        options->save = optarg;
        break;
    case 'D':
        options->refuse_direct = true;
        break;
    case 'l':
        options->parts = LIST;
        break;
    case 'f':
        options->format = optarg;
        break;
    case 'g':
        options->granule = parse_size("granule", optarg);
        if (!is_power(options->granule))
            die(EXIT_USAGE, "--granule: %s: not a power of two", optarg);
        break;
    case 'p':
        options->probe_size = (size_t)parse_size("probe-size", optarg);
        break;
    case 'o':
        options->columns = optarg;
        break;
    case 'O':
        options->columns = all_columns();
        break;
    case 'b':
        options->bytes = true;
        break;
    case 'N':
        options->numeric = true;
        break;
    case 'n':
        options->no_headings = true;
        break;
    case 'r':
        options->raw = true;
        break;
    case 'h':
        usage(options->context->command);
    default:
        context_option(options->context, option);
    }
}

/* What was asked for on the command line shows which parts are wanted. */
static void settle_parts(struct options *options)
{
    const char *format = options->format;
    const char *usual;

    if (format != NULL) {
        if (strcmp(format, "hex") != 0 && strcmp(format, "c") != 0 && strcmp(format, "raw") != 0)
            die(EXIT_USAGE, "--format: %s: not hex, c or raw", format);
        if (options->context->json)
            die(EXIT_USAGE, "--format and --json exclude each other");
        options->parts = PROMISE;
    } else if ((options->granule != 0 || options->probe_size != 0) &&
               (options->parts & VERDICT) != 0) {
        options->parts |= PROMISE;
    }
    /* A script wants rows, and nothing before them. */
    if (options->raw || options->no_headings || options->columns != NULL)
        options->parts &= ~(unsigned)VERDICT;
    options->rows = options->columns != NULL;
    usual = options->raw || options->context->verbose ? LONG_COLUMNS : SHORT_COLUMNS;
    if (options->columns == NULL)
        options->columns = usual;
    else if (*options->columns == '+')
        options->columns = text("%s,%s", usual, options->columns + 1);
}

static struct options parse(struct context *context, int count, char **words, unsigned parts)
{
    struct options options = {.context = context, .parts = parts};
    int option;

    while ((option = getopt_long(count, words, COMMON_SHORT "bS:f:lg:p:o:nNr", long_options,
                                 NULL)) != -1)
        parse_option(&options, option);
    if (optind < count)
        options.chosen = words[optind++];
    if (optind < count)
        die(EXIT_USAGE, "%s: one group or device is enough", words[optind]);
    context_check(context);
    if (options.save != NULL)
        context->fallback = NULL;
    settle_parts(&options);
    return options;
}

static struct list_style style_of(const struct options *options)
{
    static size_t shown[TABLE_COLUMNS_MAX];
    const struct context *context = options->context;
    struct table_style style = {
        .shown = shown,
        .headings = !options->no_headings,
        .raw = options->raw,
        .colors = context_colors(context),
        .width = context->verbose ? 0 : context_width(context),
    };
    char *rest;

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
    return (struct list_style){style, options->raw || context->verbose, options->numeric,
                               options->bytes};
}

static bool is_bound(const struct group *group)
{
    for (size_t i = 0; i < group->device_count; i++) {
        if (driver_is_vfio(group->devices[i]->driver))
            return true;
    }
    return false;
}

static bool has_endpoint(const struct group *group)
{
    for (size_t i = 0; i < group->device_count; i++) {
        if (!device_is_bridge(group->devices[i]))
            return true;
    }
    return false;
}

size_t likeliest_group(const struct verdict *verdicts, size_t count)
{
    size_t best = 0;
    int best_worth = -1;

    for (size_t i = 0; i < count; i++) {
        const struct group *group = verdicts[i].group;
        bool asked = group->answers.vfio.there || group->answers.attached_header.there;
        bool known = verdicts[i].judged && !verdicts[i].no_iommu && verdicts[i].unknown_count == 0;
        int worth = (known ? 4 : 0) + (asked                 ? 3
                                       : is_bound(group)     ? 2
                                       : has_endpoint(group) ? 1
                                                             : 0);

        if (worth > best_worth) {
            best = i;
            best_worth = worth;
        }
    }
    return best;
}

/* What could not be read of what is shown; and of all that goes into a snapshot. */
static struct told told_of(const struct host *host, const struct verdict *verdicts, size_t count,
                           const struct options *options)
{
    struct told told = {.host = false};

    if (options->chosen == NULL || options->save != NULL)
        told_add_host(&told, host);
    for (size_t i = 0; i < host->group_count && options->save != NULL; i++)
        told_add(&told, &host->groups[i].faults);
    for (size_t i = 0; i < host->unit_count && options->save != NULL; i++)
        told_add(&told, &host->units[i].faults);
    for (size_t i = 0; i < count; i++)
        told_add_group(&told, host, &verdicts[i]);
    return told;
}

/* The verdict on one group, or on all. */
static void show_verdicts(const struct host *host, const struct verdict *verdicts, size_t count,
                          const struct options *options)
{
    unsigned width = context_width(options->context);
    struct advice *advices = keep(count * sizeof(*advices));

    for (size_t i = 0; i < count; i++)
        advices[i] = advise(host, &verdicts[i]);
    if (options->chosen != NULL || options->one)
        show_verdict(&advices[0], width, context_colors(options->context));
    else
        show_host_verdict(host, verdicts, advices, count, width);
    if ((options->parts & LIST) != 0)
        putchar('\n');
}

static void print_parts(const struct host *host, const struct verdict *verdicts, size_t count,
                        size_t chosen, const struct options *options,
                        const struct list_style *style)
{
    struct promise promise = {.granule = 0};

    /* Options that can't be met end the program before anything is printed. */
    if ((options->parts & PROMISE) != 0)
        promise = promise_for(&verdicts[chosen], options->granule, options->probe_size);
    if ((options->parts & VERDICT) != 0)
        show_verdicts(host, verdicts, count, options);
    if ((options->parts & LIST) != 0)
        show_groups(host, verdicts, count, style);
    if ((options->parts & PROMISE) == 0)
        return;
    if ((options->parts & LIST) != 0)
        putchar('\n');
    if (options->format != NULL)
        show_promise_bytes(&verdicts[chosen], &promise, options->format);
    else
        show_promise(&verdicts[chosen], &promise, style->table.colors);
}

/* One group, if one was asked for; else all, and what a guest of the likeliest should be told. */
static int show(const struct host *host, const struct options *options,
                const struct list_style *style)
{
    size_t first = options->chosen != NULL ? context_find(host, options->chosen) : 0;
    size_t count = options->chosen != NULL ? 1 : host->group_count;
    struct verdict *verdicts = keep(count * sizeof(*verdicts));
    bool only_list = options->parts == LIST;
    bool json = options->context->json;
    struct promise promise = {.granule = 0};
    const struct faults none = {NULL, 0, 0};
    struct told told;
    bool answered = false;
    size_t chosen;

    for (size_t i = 0; i < count; i++)
        verdicts[i] = judge(host, &host->groups[first + i], &options->context->mode);
    chosen = likeliest_group(verdicts, count);
    if (options->one && options->chosen == NULL) {
        verdicts[0] = verdicts[chosen];
        chosen = 0;
        count = 1;
    }
    told = told_of(host, verdicts, count, options);
    for (size_t i = 0; i < count; i++)
        answered = answered || verdicts[i].judged;
    if (options->refuse_direct && !only_list && !verdicts[chosen].assignable)
        die(EXIT_REFUSED, "group %s: %s", verdicts[chosen].group->name,
            direct_reason(&verdicts[chosen]));
    if (json && options->rows) {
        struct table table = groups_table(host, verdicts, count, style);

        show_rows_json(&table, &style->table, &told.faults);
    } else if (json) {
        if (!only_list)
            promise = promise_for(&verdicts[chosen], options->granule, options->probe_size);
        show_json(host, verdicts, count, &verdicts[chosen], only_list ? NULL : &promise,
                  options->save != NULL ? &told.faults
                  : told.host           ? &host->faults
                                        : &none,
                  options->numeric);
    } else {
        print_parts(host, verdicts, count, chosen, options, style);
    }
    /* JSON says it itself. */
    return told_end(&told, !json, answered);
}

static int run(struct context *context, int count, char **words, unsigned parts, bool one)
{
    struct options options = parse(context, count, words, parts);
    struct list_style style = style_of(&options);
    struct host host;

    options.one = one;
    context_read(context, &host);
    if (options.save != NULL)
        host_save(&host, options.save);
    return show(&host, &options, &style);
}

int command_all(struct context *context, int argc, char **argv)
{
    return run(context, argc, argv, VERDICT | LIST, false);
}

int command_list(struct context *context, int argc, char **argv)
{
    return run(context, argc, argv, LIST, false);
}

int command_show(struct context *context, int argc, char **argv)
{
    return run(context, argc, argv, VERDICT | LIST, true);
}

int command_probe(struct context *context, int argc, char **argv)
{
    return run(context, argc, argv, PROMISE, false);
}

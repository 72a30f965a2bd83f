/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `check`: whether this host can keep what a guest was promised on another. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "causes.h"
#include "command.h"
#include "jsonin.h"
#include "jsonout.h"
#include "say.h"

/* What a group makes of the promise. */
struct kept {
    const struct verdict *verdict;
    const char *because;         /* why nothing can be said, or of its pages; NULL */
    struct iovageom_range *lost; /* that was promised, and is not mapped */
    size_t lost_count;
    bool holds;
};

struct check {
    const struct context *context;
    struct host host;
    struct verdict *verdicts;
    struct kept *kept;
    size_t count;
    struct iovageom_geometry *promise;
    unsigned width;
};

static const struct option long_options[] = {
    COMMON_LONG, {"promise", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s check --promise FILE [options] [DEVICE|GROUP]...\n"
           "\n"
           "Say, before a migration, whether the devices of this host can keep what a guest\n"
           "was promised on another: that every address, and every page, that it may map\n"
           "works here. Ends with 6 when one can not.\n"
           "\n"
           "     --promise FILE    what `probe --json` printed on the other host, or a\n"
           "                       geometry that a VMM saved with libiovageom\n"
           "%s",
           program_name, context_help);
    finish(EXIT_GOOD);
}

static struct iovageom_geometry *read_promise(const char *path)
{
    struct faults faults = {.words = NULL};
    struct blob blob = read_file(path, &faults);
    struct iovageom_geometry *promise = NULL;
    const char *wrong;
    size_t start;
    int status;

    if (!blob.there)
        die(faults.count != 0 ? EXIT_BAD_INPUT : EXIT_NOT_FOUND, "%s",
            faults.count != 0 ? faults.words[0] : text("%s: there is no such file", path));
    start = strspn((const char *)blob.bytes, " \t\r\n");
    if (start < blob.length && blob.bytes[start] == '{') {
        wrong = json_read_promise((const char *)blob.bytes, blob.length, &promise);
        if (wrong != NULL)
            die(EXIT_BAD_INPUT, "%s: %s", path, wrong);
        return promise;
    }
    status = iovageom_geometry_load(&lasting, blob.bytes, blob.length, &promise);
    if (status != IOVAGEOM_OK)
        die(EXIT_BAD_INPUT, "%s: neither JSON nor a saved geometry: %s", path,
            iovageom_status_string(status));
    return promise;
}

/* ---- the answers ---- */

static const char *pages_obstacle(const struct check *check, const struct verdict *verdict)
{
    uint64_t promised, granule;

    if (iovageom_geometry_granule(check->promise, &promised) != IOVAGEOM_OK ||
        iovageom_geometry_granule(verdict->geometry, &granule) != IOVAGEOM_OK ||
        granule <= promised)
        return NULL;
    return text("the guest maps pages of %s, and its smallest page is %s",
                size_text((struct iovageom_size){0, promised}),
                size_text((struct iovageom_size){0, granule}));
}

/* What was promised, without what the group is known to map. */
static void find_lost(const struct check *check, struct kept *kept)
{
    struct iovageom_rangeset left;
    uint64_t granule = 4096;

    (void)iovageom_geometry_granule(check->promise, &granule);
    must(iovageom_rangeset_init(&left, &lasting));
    must(iovageom_geometry_usable(check->promise, granule, &left));
    for (size_t i = 0; i < kept->verdict->usable_count; i++)
        must(iovageom_rangeset_remove(&left, kept->verdict->usable[i]));
    kept->lost_count = iovageom_rangeset_count(&left);
    kept->lost = keep((kept->lost_count + 1) * sizeof(*kept->lost));
    must(iovageom_rangeset_to_array(&left, kept->lost, kept->lost_count, &kept->lost_count));
}

static void ask(const struct check *check, struct kept *kept)
{
    const struct verdict *verdict = kept->verdict;

    if (verdict->no_iommu) {
        kept->because = "no IOMMU translates for it, so a virtual one can't be kept to";
    } else if (!verdict->judged) {
        kept->because = "its files could not be read";
    } else {
        kept->because = pages_obstacle(check, verdict);
        find_lost(check, kept);
    }
    kept->holds = kept->because == NULL && kept->lost_count == 0;
}

/* ---- as text ---- */

static void say_lost(const struct check *check, const struct kept *kept)
{
    enum { MOST = 10 };
    size_t shown = check->context->verbose || kept->lost_count < MOST ? kept->lost_count : MOST;

    for (size_t i = 0; i < shown; i++) {
        struct placing placing = place_range(kept->verdict, kept->lost[i]);

        for (size_t k = 0; k < placing.obstacle_count; k++)
            say(check->width, 2, "%s", obstacle_text(&placing.obstacles[k], kept->verdict));
        if (placing.mapped == NOT_KNOWN)
            say(check->width, 2, "%s: nobody said that it is mapped", range_text(kept->lost[i]));
    }
    if (shown < kept->lost_count)
        printf("  and %zu ranges more (--verbose)\n", kept->lost_count - shown);
}

static void say_kept(const struct check *check, const struct kept *kept)
{
    const struct group *group = kept->verdict->group;
    const char *devices = "";

    for (size_t i = 0; i < group->device_count && i < 3; i++)
        devices = text("%s%s%s", devices, i == 0 ? " (" : " ", group->devices[i]->address);
    if (group->device_count != 0)
        devices = text("%s%s", devices, group->device_count > 3 ? " ...)" : ")");
    say(check->width, 0, "group %s%s: %s", group->name, devices,
        kept->holds ? "keeps what was promised" : "can't keep what was promised");
    if (kept->because != NULL)
        say(check->width, 2, "%s", kept->because);
    say_lost(check, kept);
    if (!kept->verdict->assignable)
        say(check->width, 2, "and Linux 6.6 and later gives it to nobody: it has direct regions");
}

/* ---- as JSON ---- */

static void print_json(const struct check *check)
{
    json_t *root = out_begin();
    json_t *array = out_array();

    for (size_t i = 0; i < check->count; i++) {
        const struct kept *kept = &check->kept[i];
        json_t *object = out_object();
        json_t *lost = out_array();

        for (size_t k = 0; k < kept->lost_count; k++)
            out_add(lost, out_range(kept->lost[k]));
        out_set(object, "group", out_string(kept->verdict->group->name));
        out_set(object, "keeps", out_bool(kept->holds));
        out_set(object, "because", out_string(kept->because));
        out_set(object, "lost", lost);
        out_set(object, "assignable", out_bool(kept->verdict->assignable));
        out_add(array, object);
    }
    out_set(root, "checked", array);
    out_print(root);
}

/* ---- the command ---- */

static void choose(struct check *check, int count, char **names)
{
    check->verdicts = keep((check->host.group_count + 1) * sizeof(*check->verdicts));
    for (size_t i = 0; i < check->host.group_count; i++)
        check->verdicts[i] = judge(&check->host, &check->host.groups[i], &check->context->mode);
    check->count = count == 0 ? 1 : (size_t)count;
    check->kept = keep(check->count * sizeof(*check->kept));
    if (count == 0)
        check->kept[0].verdict =
            &check->verdicts[likeliest_group(check->verdicts, check->host.group_count)];
    for (int i = 0; i < count; i++)
        check->kept[i].verdict = &check->verdicts[context_find(&check->host, names[i])];
}

static int outcome(const struct check *check)
{
    bool read = true;

    fflush(stdout);
    for (size_t i = 0; i < check->count; i++) {
        for (size_t k = 0; k < check->kept[i].verdict->faults.count; k++)
            warn("%s", check->kept[i].verdict->faults.words[k]);
        read = read && check->kept[i].verdict->judged;
    }
    if (!read)
        return EXIT_BAD_INPUT;
    for (size_t i = 0; i < check->count; i++) {
        if (!check->kept[i].holds || !check->kept[i].verdict->assignable)
            return EXIT_REFUSED;
    }
    return EXIT_GOOD;
}

int command_check(struct context *context, int argc, char **argv)
{
    struct check check = {.context = context};
    const char *path = NULL;
    int option;

    while ((option = getopt_long(argc, argv, COMMON_SHORT, long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        if (option == 'p')
            path = optarg;
        else
            context_option(context, option);
    }
    context_check(context);
    if (path == NULL)
        die(EXIT_USAGE, "check: --promise FILE is missing: what `probe --json` printed");
    check.promise = read_promise(path);
    check.width = context_width(context);
    context_read(context, &check.host);
    choose(&check, argc - optind, argv + optind);
    for (size_t i = 0; i < check.count; i++)
        ask(&check, &check.kept[i]);
    if (context->json)
        print_json(&check);
    for (size_t i = 0; i < check.count && !context->json; i++)
        say_kept(&check, &check.kept[i]);
    return outcome(&check);
}

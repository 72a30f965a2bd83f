/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `check`: whether this host can keep what a guest was promised on another. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "amounts.h"
#include "books.h"
#include "causes.h"
#include "command.h"
#include "jsonin.h"
#include "jsonout.h"
#include "say.h"

/* What was promised, of books to one endpoint. */
struct promised {
    const struct iovageom_geometry *geometry;
    bool has_endpoint;
    uint32_t endpoint;
};

/* What a group makes of a promise. */
struct kept {
    const struct verdict *verdict;
    const struct promised *promised;
    const char *because;         /* why nothing can be said, or of its pages; NULL */
    struct iovageom_range *lost; /* that was promised, and is not mapped */
    size_t lost_count;
    const char **refusals; /* what else speaks against it: of books */
    size_t refusal_count;
    bool holds;
};

struct check {
    const struct context *context;
    struct host host;
    struct verdict *verdicts;
    struct kept *kept; /* for each group each promise */
    size_t count;
    struct promised *promises;
    size_t promise_count;
    struct books books;
    bool has_endpoint; /* the next one was asked for */
    uint32_t endpoint;
    bool all; /* no group was named */
    unsigned width;
};

static const struct option long_options[] = {COMMON_LONG,
                                             {"promise", required_argument, NULL, 'p'},
                                             {"endpoint", required_argument, NULL, 'e'},
                                             {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s check --promise FILE [options] [DEVICE|GROUP]...\n"
           "\n"
           "Say, before a migration, whether the devices of this host can keep what a guest\n"
           "was promised on another: that every address, and every page, that it may map\n"
           "works here. Ends with 6 when one can not.\n"
           "\n"
           "     --promise FILE    what `probe --json` printed on the other host; or what a\n"
           "                       VMM saved with libiovageom: a geometry, or the books of\n"
           "                       its virtual IOMMU, with what is mapped\n"
           "     --endpoint N      of such books only what concerns that endpoint\n"
           "%s",
           program_name, context_help);
    finish(EXIT_GOOD);
}

static void read_books(struct check *check, const struct blob *blob)
{
    const char *wrong = books_read(blob, &check->books);

    if (wrong != NULL)
        die(EXIT_BAD_INPUT, "%s: %s", blob->path, wrong);
    if (check->has_endpoint && !books_choose(&check->books, check->endpoint))
        die(EXIT_NOT_FOUND, "%s: endpoint %u was told nothing, and is not attached", blob->path,
            check->endpoint);
    check->promise_count = check->books.count;
    check->promises = keep(check->promise_count * sizeof(*check->promises));
    for (size_t i = 0; i < check->promise_count; i++)
        check->promises[i] =
            (struct promised){books_promise(&check->books, check->books.endpoints[i]), true,
                              check->books.endpoints[i]};
}

static void read_promise(struct check *check, const char *path)
{
    struct faults faults = {.words = NULL};
    struct blob blob = read_large(path, &faults);
    struct iovageom_geometry *promise = NULL;
    const char *wrong;
    size_t start;
    int status;

    if (!blob.there)
        die(faults.count != 0 ? EXIT_BAD_INPUT : EXIT_NOT_FOUND, "%s",
            faults.count != 0 ? faults.words[0] : text("%s: there is no such file", path));
    if (books_look_like(&blob)) {
        read_books(check, &blob);
        return;
    }
    if (check->has_endpoint)
        die(EXIT_USAGE, "check: --endpoint goes with books of a virtual IOMMU, which %s has not",
            path);
    start = strspn((const char *)blob.bytes, " \t\r\n");
    if (start < blob.length && blob.bytes[start] == '{') {
        wrong = json_read_promise((const char *)blob.bytes, blob.length, &promise);
        if (wrong != NULL)
            die(EXIT_BAD_INPUT, "%s: %s", path, wrong);
    } else {
        status = iovageom_geometry_load(&lasting, blob.bytes, blob.length, &promise);
        if (status != IOVAGEOM_OK)
            die(EXIT_BAD_INPUT, "%s: neither JSON nor a geometry or books that were saved: %s",
                path, iovageom_status_string(status));
    }
    check->promise_count = 1;
    check->promises = keep(sizeof(*check->promises));
    check->promises[0].geometry = promise;
}

/* ---- the answers ---- */

static const char *pages_obstacle(const struct kept *kept)
{
    uint64_t promised, granule;

    if (iovageom_geometry_granule(kept->promised->geometry, &promised) != IOVAGEOM_OK)
        return NULL;
    switch (iovageom_geometry_granule(kept->verdict->geometry, &granule)) {
    case IOVAGEOM_OK:
        break;
    case IOVAGEOM_ERR_NOTHING_USABLE:
        return "it maps pages of no size";
    default:
        return "the sizes of its pages are not known";
    }
    if (granule <= promised)
        return NULL;
    return text("the guest maps pages of %s, and its smallest page is %s",
                size_text((struct iovageom_size){0, promised}),
                size_text((struct iovageom_size){0, granule}));
}

/* What was promised, without what the group is known to map. */
static void find_lost(struct kept *kept)
{
    struct iovageom_rangeset left;
    uint64_t granule = 4096;

    (void)iovageom_geometry_granule(kept->promised->geometry, &granule);
    must(iovageom_rangeset_init(&left, &lasting));
    must(iovageom_geometry_usable(kept->promised->geometry, granule, &left));
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
        kept->because = pages_obstacle(kept);
        find_lost(kept);
        if (kept->promised->has_endpoint)
            books_refusals(&check->books, kept->promised->endpoint, verdict->geometry,
                           &kept->refusals, &kept->refusal_count);
    }
    kept->holds = kept->because == NULL && kept->lost_count == 0 && kept->refusal_count == 0;
}

/* ---- as text ---- */

static void say_lost(const struct check *check, const struct kept *kept)
{
    enum { MOST = 10 };
    size_t shown = check->context->verbose || kept->lost_count < MOST ? kept->lost_count : MOST;

    for (size_t i = 0; i < shown; i++) {
        struct placing placing = place_range(kept->verdict, kept->lost[i]);
        struct iovageom_range part;
        size_t unknown = 0;

        for (size_t k = 0; k < placing.obstacle_count; k++)
            say(check->width, 2, "%s", obstacle_text(&placing.obstacles[k], kept->verdict));
        while (place_unknown(kept->verdict, kept->lost[i], &unknown, &part))
            say(check->width, 2, "%s: nobody said that it is mapped", range_text(part));
    }
    if (shown < kept->lost_count)
        printf("  and %zu ranges more (--verbose)\n", kept->lost_count - shown);
}

/* Whether the same is to be said of two endpoints. */
static bool same_answer(const struct kept *a, const struct kept *b)
{
    return a->verdict == b->verdict && a->lost_count == b->lost_count &&
           (a->because == NULL) == (b->because == NULL) &&
           (a->lost_count == 0 ||
            memcmp(a->lost, b->lost, a->lost_count * sizeof(*a->lost)) == 0) &&
           same_words(a->refusals, a->refusal_count, b->refusals, b->refusal_count);
}

/* "what was promised", "what endpoints 8, 16 and 6 more rely on" */
static const char *promised_text(const struct kept *first, size_t count)
{
    enum { MOST = 8 };
    struct buffer words = {NULL, 0, 0};

    if (!first->promised->has_endpoint)
        return "what was promised";
    buffer_add(&words, "what endpoint%s", count == 1 ? "" : "s");
    for (size_t i = 0; i < count && i < MOST; i++)
        buffer_add(&words, "%s %u", i != 0 ? "," : "", first[i].promised->endpoint);
    if (count > MOST)
        buffer_add(&words, " and %zu more", count - MOST);
    buffer_add(&words, " %s", count == 1 ? "relies on" : "rely on");
    return buffer_text(&words);
}

/* Says it of the first of `count`, of which the same is to be said. */
static void say_kept(const struct check *check, const struct kept *kept, size_t count)
{
    const struct group *group = kept->verdict->group;
    const char *devices = "";

    for (size_t i = 0; i < group->device_count && i < 3; i++)
        devices = text("%s%s%s", devices, i == 0 ? " (" : " ", group->devices[i]->address);
    if (group->device_count != 0)
        devices = text("%s%s", devices, group->device_count > 3 ? " ...)" : ")");
    say(check->width, 0, "group %s%s: %s %s", group->name, devices,
        kept->holds ? "keeps" : "can't keep", promised_text(kept, count));
    if (kept->because != NULL)
        say(check->width, 2, "%s", kept->because);
    say_lost(check, kept);
    for (size_t i = 0; i < kept->refusal_count; i++)
        say(check->width, 2, "%s", kept->refusals[i]);
    if (!kept->verdict->assignable)
        say(check->width, 2, "and Linux 6.6 and later gives it to nobody: it has direct regions");
}

static void say_all(const struct check *check)
{
    for (size_t i = 0, next; i < check->count; i = next) {
        for (next = i + 1; next < check->count; next++) {
            if (!same_answer(&check->kept[i], &check->kept[next]))
                break;
        }
        say_kept(check, &check->kept[i], next - i);
    }
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
        out_set(object, "endpoint",
                kept->promised->has_endpoint ? out_number(kept->promised->endpoint) : NULL);
        out_set(object, "keeps", out_bool(kept->holds));
        out_set(object, "because", out_string(kept->because));
        out_set(object, "lost", lost);
        out_set(object, "refusals", out_strings(kept->refusals, kept->refusal_count));
        out_set(object, "assignable", out_bool(kept->verdict->assignable));
        out_add(array, object);
    }
    out_set(root, "checked", array);
    out_print(root);
}

/* ---- the command ---- */

static void choose(struct check *check, int count, char **names)
{
    size_t groups = count == 0 ? 1 : (size_t)count;

    check->verdicts = keep((check->host.group_count + 1) * sizeof(*check->verdicts));
    for (size_t i = 0; i < check->host.group_count; i++)
        check->verdicts[i] = judge(&check->host, &check->host.groups[i], &check->context->mode);
    check->count = groups * check->promise_count;
    check->kept = keep(check->count * sizeof(*check->kept));
    for (size_t i = 0; i < groups; i++) {
        size_t group = count == 0 ? likeliest_group(check->verdicts, check->host.group_count)
                                  : context_find(&check->host, names[i]);

        for (size_t k = 0; k < check->promise_count; k++) {
            struct kept *kept = &check->kept[i * check->promise_count + k];

            kept->verdict = &check->verdicts[group];
            kept->promised = &check->promises[k];
            ask(check, kept);
        }
    }
}

static uint32_t read_endpoint(const char *words)
{
    uint64_t endpoint;

    if (!amount_read(words, &endpoint) || endpoint > UINT32_MAX)
        die(EXIT_USAGE, "--endpoint: %s: not a number below 2^32", quoted(words, strlen(words)));
    return (uint32_t)endpoint;
}

static int outcome(const struct check *check)
{
    struct told told = {.host = false};
    bool read = true;
    int end;

    if (check->all)
        told_add_host(&told, &check->host);
    for (size_t i = 0; i < check->count; i += check->promise_count) {
        told_add_group(&told, &check->host, check->kept[i].verdict);
        read = read && check->kept[i].verdict->judged;
    }
    end = told_end(&told, true, read);
    if (!read)
        return EXIT_BAD_INPUT;
    for (size_t i = 0; i < check->count; i++) {
        if (!check->kept[i].holds || !check->kept[i].verdict->assignable)
            return EXIT_REFUSED;
    }
    return end;
}

int command_check(struct context *context, int argc, char **argv)
{
    struct check check = {.context = context};
    const char *path = NULL;
    int option;

    while ((option = getopt_long(argc, argv, COMMON_SHORT, long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        if (option == 'p') {
            path = optarg;
        } else if (option == 'e') {
            check.has_endpoint = true;
            check.endpoint = read_endpoint(optarg);
        } else {
            context_option(context, option);
        }
    }
    context_check(context);
    if (path == NULL)
        die(EXIT_USAGE, "check: --promise FILE is missing: what `probe --json` printed, or what a "
                        "VMM saved");
    read_promise(&check, path);
    check.width = context_width(context);
    context_read(context, &check.host);
    check.all = argc == optind;
    choose(&check, argc - optind, argv + optind);
    if (context->json)
        print_json(&check);
    else
        say_all(&check);
    return outcome(&check);
}

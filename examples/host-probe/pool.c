/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `pool`: what all hosts of a pool can do, and what each of them costs. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iovageom/ranges.h>
#include <iovageom/status.h>

#include "pool.h"
#include "say.h"

#define FAULTS_SHOWN 10

static const struct option long_options[] = {COMMON_LONG, {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s pool [options] HOST...\n"
           "\n"
           "Say what all hosts of a pool can do, so that a guest may go to each of them, and\n"
           "what each costs the others. HOST is a captured host, a folder of them, or a file\n"
           "of JSON: on each line what `list --json` printed, made one line by `jq -c`. What\n"
           "a host can do is what all of its groups map that can be assigned; groups of\n"
           "which not all is known do not count.\n"
           "\n"
           "%s",
           program_name, context_help);
    finish(EXIT_GOOD);
}

/* ---- which hosts ---- */

static void add_source(struct pool *pool, const char *name, const char *words, size_t length)
{
    pool->sources = keep_grown(pool->sources, pool->source_count, sizeof(*pool->sources));
    pool->sources[pool->source_count++] = (struct source){name, words, length};
}

/* All of a file, or NULL where that can't be had. It is mapped, for processes to share. */
static const char *map_file(const char *path, size_t *length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    void *bytes = MAP_FAILED;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    *length = (size_t)status.st_size;
    return bytes != MAP_FAILED ? bytes : NULL;
}

/* Whether a text is one document: a { stands alone on its first line. */
static bool one_document(const char *words, size_t length)
{
    size_t line = 0;

    while (line < length && words[line] != '\n')
        line++;
    return line < length && line < 3;
}

static bool add_json(struct pool *pool, const char *path)
{
    size_t length, number = 1;
    const char *words = map_file(path, &length);

    if (words == NULL || *words != '{')
        return false;
    if (one_document(words, length)) {
        add_source(pool, path, words, length);
        return true;
    }
    for (; length > 0; number++) {
        const char *end = memchr(words, '\n', length);
        size_t line = end != NULL ? (size_t)(end - words) : length;

        if (line != 0)
            add_source(pool, text("%s:%zu", path, number), words, line);
        words += line + (end != NULL);
        length -= line + (end != NULL);
    }
    return true;
}

static bool is_captured(const char *path)
{
    static const char *const marks[] = {"sysfs/iommu_groups", "kernel/iommu_groups",
                                        "sys/kernel/iommu_groups"};
    struct stat status;

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (stat(text("%s/%s", path, marks[i]), &status) == 0)
            return true;
    }
    return false;
}

static void add_host(struct pool *pool, const char *path)
{
    struct faults faults = {.words = NULL};
    struct stat status;
    char **names;

    if (stat(path, &status) != 0)
        die(EXIT_NOT_FOUND, "%s: there is no such file or folder", path);
    if (!S_ISDIR(status.st_mode)) {
        if (!add_json(pool, path))
            add_source(pool, path, NULL, 0);
        return;
    }
    names = is_captured(path) ? NULL : list_directory(path, &faults);
    if (names == NULL) {
        add_source(pool, path, NULL, 0);
        return;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        const char *name = text("%s/%s", path, names[i]);

        if (stat(name, &status) != 0 || S_ISDIR(status.st_mode) || !add_json(pool, name))
            add_source(pool, name, NULL, 0);
    }
}

/* ---- what they say ---- */

void pool_count(struct kind *kind, size_t source)
{
    size_t at = kind->name_count < POOL_NAMES ? kind->name_count++ : POOL_NAMES;

    kind->hosts++;
    while (at > 0 && kind->names[at - 1] > source) {
        if (at < POOL_NAMES)
            kind->names[at] = kind->names[at - 1];
        at--;
    }
    if (at < POOL_NAMES)
        kind->names[at] = source;
}

static void grow_table(struct pool *pool)
{
    size_t count = pool->place_count == 0 ? 1024 : 2 * pool->place_count;

    pool->places = keep(count * sizeof(*pool->places));
    pool->place_count = count;
    for (size_t i = 0; i < pool->kind_count; i++) {
        size_t at = (size_t)pool->kinds[i].summary.fingerprint & (count - 1);

        while (pool->places[at] != 0)
            at = (at + 1) & (count - 1);
        pool->places[at] = i + 1;
    }
}

static bool same(const struct summary *a, const struct summary *b)
{
    return a->fingerprint == b->fingerprint && a->count == b->count &&
           a->page_sizes == b->page_sizes && a->alignment == b->alignment &&
           a->budget == b->budget && a->unknown == b->unknown &&
           (a->count == 0 || memcmp(a->usable, b->usable, a->count * sizeof(*a->usable)) == 0);
}

static struct kind *kind_of(struct pool *pool, const struct summary *summary)
{
    struct iovageom_range *usable;
    size_t at;

    if (2 * pool->kind_count >= pool->place_count)
        grow_table(pool);
    for (at = (size_t)summary->fingerprint & (pool->place_count - 1); pool->places[at] != 0;
         at = (at + 1) & (pool->place_count - 1)) {
        struct kind *kind = &pool->kinds[pool->places[at] - 1];

        if (same(&kind->summary, summary))
            return kind;
    }
    usable = keep((summary->count + 1) * sizeof(*usable));
    if (summary->count != 0)
        memcpy(usable, summary->usable, summary->count * sizeof(*usable));
    pool->kinds = keep_grown(pool->kinds, pool->kind_count, sizeof(*pool->kinds));
    pool->kinds[pool->kind_count] = (struct kind){.summary = *summary};
    pool->kinds[pool->kind_count].summary.usable = usable;
    pool->places[at] = ++pool->kind_count;
    return &pool->kinds[pool->kind_count - 1];
}

static void take(void *context, size_t source, const struct summary *summary, const char *wrong)
{
    struct pool *pool = context;

    if (summary == NULL) {
        pool->troubles = keep_grown(pool->troubles, pool->trouble_count, sizeof(*pool->troubles));
        pool->troubles[pool->trouble_count++] = (struct trouble){source, wrong};
        return;
    }
    if (summary->faulty)
        pool_count(&pool->faulty, source);
    if (summary->unknown)
        pool_count(&pool->unsure, source);
    if (summary->assignable == 0) {
        pool_count(&pool->none, source);
        return;
    }
    pool_count(kind_of(pool, summary), source);
    pool->hosts++;
}

/* ---- what comes of it ---- */

static struct iovageom_geometry *geometry_of(const struct pool *pool, const struct kind *kind)
{
    struct iovageom_geometry *geometry;
    const char *name = pool->sources[kind->names[0]].name;
    size_t length = strlen(name);

    /* Of a long path the end tells more. */
    if (length >= IOVAGEOM_NAME_SIZE)
        name += length - IOVAGEOM_NAME_SIZE + 1;
    must(iovageom_geometry_new(&lasting, name, &geometry));
    must(iovageom_geometry_add_usable(geometry, kind->summary.usable, kind->summary.count,
                                      IOVAGEOM_SOURCE_OTHER));
    if (kind->summary.page_sizes != 0)
        must(iovageom_geometry_add_page_sizes(geometry, kind->summary.page_sizes,
                                              IOVAGEOM_SOURCE_OTHER));
    if (kind->summary.alignment != 0)
        must(iovageom_geometry_add_alignment(geometry, kind->summary.alignment,
                                             IOVAGEOM_SOURCE_OTHER));
    if (kind->summary.budget != UINT64_MAX)
        must(iovageom_geometry_add_map_budget(geometry, kind->summary.budget,
                                              IOVAGEOM_SOURCE_OTHER));
    return geometry;
}

static void find_envelope(struct pool *pool)
{
    const struct iovageom_geometry **hosts = keep((pool->kind_count + 1) * sizeof(*hosts));
    int status;

    for (size_t i = 0; i < pool->kind_count; i++)
        hosts[i] = geometry_of(pool, &pool->kinds[i]);
    status = iovageom_plan_envelope(&lasting, hosts, pool->kind_count, "pool", &pool->figures, NULL,
                                    NULL);
    if (status != IOVAGEOM_ERR_NOTHING_USABLE)
        must(status);
    for (size_t i = 0; i < pool->kind_count; i++) {
        const struct summary *summary = &pool->kinds[i].summary;
        size_t room = pool->usable_count + summary->count + 1;
        struct iovageom_range *both = keep(room * sizeof(*both));

        if (i == 0) {
            memcpy(both, summary->usable, summary->count * sizeof(*both));
            pool->usable_count = summary->count;
        } else {
            must(iovageom_ranges_intersection(pool->usable, pool->usable_count, summary->usable,
                                              summary->count, both, room, &pool->usable_count));
        }
        pool->usable = both;
    }
}

/* ---- the command ---- */

/* Hosts are read in any order, and what is said of them has one. */
static int by_first_host(const void *a, const void *b)
{
    const struct kind *one = a;
    const struct kind *two = b;

    return (one->names[0] > two->names[0]) - (one->names[0] < two->names[0]);
}

static int by_source(const void *a, const void *b)
{
    const struct trouble *one = a;
    const struct trouble *two = b;

    return (one->source > two->source) - (one->source < two->source);
}

static int outcome(const struct pool *pool)
{
    fflush(stdout);
    for (size_t i = 0; i < pool->trouble_count && i < FAULTS_SHOWN && !pool->context->json; i++)
        warn("%s", pool->troubles[i].words);
    if (pool->trouble_count > FAULTS_SHOWN && !pool->context->json)
        warn("and %s more could not be read",
             count_text(pool->trouble_count - FAULTS_SHOWN, "host"));
    if (pool->trouble_count == 0 && pool->faulty.hosts == 0)
        return EXIT_GOOD;
    return pool->hosts != 0 ? EXIT_LEFT_OUT : EXIT_BAD_INPUT;
}

int command_pool(struct context *context, int argc, char **argv)
{
    struct pool pool = {.context = context};
    int option;

    while ((option = getopt_long(argc, argv, COMMON_SHORT, long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        context_option(context, option);
    }
    context_check(context);
    if (optind == argc)
        die(EXIT_USAGE, "pool: a host is missing: a captured host, a folder of them, or JSON");
    for (; optind < argc; optind++)
        add_host(&pool, argv[optind]);
    pool.width = context_width(context);
    summaries_read(context, pool.sources, pool.source_count, take, &pool);
    if (pool.trouble_count != 0)
        qsort(pool.troubles, pool.trouble_count, sizeof(*pool.troubles), by_source);
    if (pool.kind_count != 0)
        qsort(pool.kinds, pool.kind_count, sizeof(*pool.kinds), by_first_host);
    find_envelope(&pool);
    if (context->json)
        pool_json(&pool);
    else
        pool_say(&pool);
    return outcome(&pool);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The harness. A row is one operation on one size. In each of its rounds every peer runs the same
 * chunk of the same workload, one peer after the other in one process, in a random order;
 * checksums must agree. What counts is the median over the rounds of peer time / our
 * time, because the machine's speed changes from second to second and the ratio within a round
 * does not.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "harness.h"
#include "workload.h"

#define PEERS_MAX    32
#define RUNNERS_MAX  64 /* of a row: tasks.c has as many */
#define ROUNDS_MAX   64
#define OURS_DEFAULT "ours"

struct options {
    bool quick;
    const char *json;
    const char *only_op;
    size_t only_n;
    const char *ours;
    const char *peers;
    const char *meta[16];
    size_t meta_count;
    const char *missing[16];
    size_t missing_count;
};

static const struct bench_peer *peers[PEERS_MAX];
static size_t peer_count;
static const struct bench_peer *books[PEERS_MAX];
static size_t books_count;
static struct options options = {.ours = OURS_DEFAULT};
static FILE *json;
static bool json_first = true;
static uint64_t clock_cost;
static uint64_t wall_clock_cost;

void bench_register(const struct bench_peer *peer)
{
    if (peer_count < PEERS_MAX)
        peers[peer_count++] = peer;
}

void bench_register_books(const struct bench_peer *peer)
{
    if (books_count < PEERS_MAX)
        books[books_count++] = peer;
}

void bench_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *bench_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);

    if (!memory)
        bench_fail("out of memory");
    return memory;
}

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t elapsed(clockid_t id, uint64_t since, uint64_t cost)
{
    uint64_t ns = read_clock(id) - since;

    return ns > cost ? ns - cost : 1;
}

/* Time of this thread alone: other processes on the machine do not count. About 1 us to read. */
uint64_t bench_clock(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t bench_elapsed(uint64_t since)
{
    return elapsed(CLOCK_THREAD_CPUTIME_ID, since, clock_cost);
}

/* For what is too short for that. */
uint64_t bench_wall_clock(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_wall_elapsed(uint64_t since)
{
    return elapsed(CLOCK_MONOTONIC, since, wall_clock_cost);
}

static uint64_t measure_clock(clockid_t id)
{
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < 1000; i++) {
        uint64_t before = read_clock(id);
        uint64_t cost = read_clock(id) - before;

        if (cost < least)
            least = cost;
    }
    return least;
}

const char *bench_ours(void)
{
    return options.ours;
}

bool bench_quick(void)
{
    return options.quick;
}

bool bench_wanted(const char *op, size_t n)
{
    if (options.only_n && options.only_n != n)
        return false;
    if (!options.only_op)
        return true;
    /* A comma-separated list. */
    for (const char *at = options.only_op; at;) {
        size_t length = strcspn(at, ",");

        if (strlen(op) == length && memcmp(at, op, length) == 0)
            return true;
        at = at[length] ? at + length + 1 : NULL;
    }
    return false;
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts the values. */
static double quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof(*values), compare_double);
    return values[(size_t)(q * (double)(count - 1) + 0.5)];
}

static void row_report(const struct bench_row *row, const struct bench_runner *runners,
                       size_t count, size_t ours)
{
    double values[ROUNDS_MAX];
    double ours_ns;

    for (size_t r = 0; r < row->rounds; r++)
        values[r] = runners[ours].ns[r];
    ours_ns = quantile(values, row->rounds, 0.5);
    for (size_t p = 0; p < count; p++) {
        double ratio;
        double low;
        double high;
        double ns;

        if (p == ours)
            continue;
        for (size_t r = 0; r < row->rounds; r++)
            values[r] = runners[p].ns[r];
        ns = quantile(values, row->rounds, 0.5);
        for (size_t r = 0; r < row->rounds; r++)
            values[r] = runners[p].ns[r] / runners[ours].ns[r];
        ratio = quantile(values, row->rounds, 0.5);
        low = quantile(values, row->rounds, 0.25);
        high = quantile(values, row->rounds, 0.75);
        printf("%-18s %8zu  %-12s %9.2f  [%.2f .. %.2f]  ours %.2f ns, peer %.2f ns\n", row->op,
               row->n, runners[p].name, ratio, low, high, ours_ns, ns);
        if (json) {
            fprintf(json,
                    "%s\n    {\"op\": \"%s\", \"n\": %zu, \"peer\": \"%s\", \"ratio\": %.4f, "
                    "\"ours_ns\": %.3f, \"peer_ns\": %.3f, \"ratio_q1\": %.4f, \"ratio_q3\": %.4f, "
                    "\"rounds\": %zu}",
                    json_first ? "" : ",", row->op, row->n, runners[p].name, ratio, ours_ns, ns,
                    low, high, row->rounds);
            json_first = false;
        }
    }
    fflush(stdout);
}

/*
 * Lets malloc sort what the peer before has freed, which it puts off until somebody asks for a
 * large piece: else that would be charged to whoever does.
 */
static void settle(void)
{
    free(bench_alloc(65536));
}

/*
 * A random order of `count` peers. Who runs after one that has filled the caches with much else
 * begins with cold ones: that must not be the same peer each time.
 */
static void draw(size_t *order, size_t count)
{
    static struct bench_random random = {.state = 1};

    for (size_t i = 0; i < count; i++) {
        size_t other = bench_random_below(&random, i + 1);

        order[i] = order[other];
        order[other] = i;
    }
}

/* Calls `step` for everybody. */
static void everybody(const struct bench_row *row, struct bench_runner *runners, size_t count,
                      void (*step)(void *context, struct bench_runner *runner))
{
    size_t order[RUNNERS_MAX];

    draw(order, count);
    for (size_t k = 0; step && k < count; k++)
        step(row->context, &runners[order[k]]);
}

static void row_round(const struct bench_row *row, struct bench_runner *runners, size_t count,
                      size_t round)
{
    const struct bench_runner *first = NULL;
    size_t slices = row->slices ? row->slices : 1;
    size_t order[RUNNERS_MAX];

    for (size_t p = 0; p < count; p++)
        runners[p].sum = runners[p].elapsed = 0;
    if (slices > 1)
        everybody(row, runners, count, row->begin);
    for (size_t s = 0; s < slices; s++) {
        draw(order, count);
        for (size_t k = 0; k < count; k++) {
            struct bench_runner *runner = &runners[order[k]];

            if (slices == 1 && row->begin)
                row->begin(row->context, runner);
            settle();
            runner->elapsed += row->run(row->context, runner, s);
            if (slices == 1 && row->end)
                row->end(row->context, runner);
        }
    }
    if (slices > 1)
        everybody(row, runners, count, row->end);
    for (size_t p = 0; p < count; p++) {
        struct bench_runner *runner = &runners[p];

        runner->ns[round] = (double)(runner->elapsed ? runner->elapsed : 1) / (double)row->chunk;
        if (runner->unchecked)
            continue;
        if (first && runner->sum != first->sum)
            bench_fail("%s n=%zu: %s and %s disagree (%llx, %llx)", row->op, row->n, first->name,
                       runner->name, (unsigned long long)first->sum,
                       (unsigned long long)runner->sum);
        first = runner;
    }
}

void bench_row_run(struct bench_row *row, struct bench_runner *runners, size_t count)
{
    size_t ours = count;

    for (size_t p = 0; p < count; p++) {
        if (strcmp(runners[p].name, options.ours) == 0)
            ours = p;
        runners[p].ns = bench_alloc(ROUNDS_MAX * sizeof(double));
    }
    if (ours < count && count > 1) {
        if (row->rounds > ROUNDS_MAX)
            row->rounds = ROUNDS_MAX;
        for (size_t r = 0; r < row->rounds; r++) {
            if (row->next)
                row->next(row->context);
            row_round(row, runners, count, r);
        }
        row_report(row, runners, count, ours);
    }
    for (size_t p = 0; p < count; p++)
        free(runners[p].ns);
}

/* Whether a chunk of n operations would take too long at that pace. */
static bool too_slow(const struct bench_row *row, double budget, double ns)
{
    return row->n >= 100000 || ns * (double)row->n >= 20 * budget;
}

/*
 * Peers that are far slower than the others run in a row of their own, against us, with a smaller
 * chunk; else they would either take minutes, or leave the fast ones too little to measure: a chunk
 * of less than n operations measures how a set comes into the caches after another one was there.
 */
void bench_row_split(struct bench_row *row, struct bench_runner *runners, size_t count,
                     const double *estimate_ns, size_t largest)
{
    const double budget = options.quick ? 6e6 : 8e6;
    struct bench_runner group[PEERS_MAX];
    bool done[PEERS_MAX] = {false};

    for (;;) {
        size_t members = 0;
        double slowest = 0;
        double fastest = 0;

        for (size_t p = 0; p < count; p++)
            if (!done[p] && strcmp(runners[p].name, options.ours) != 0 &&
                (fastest == 0 || estimate_ns[p] < fastest))
                fastest = estimate_ns[p];
        if (fastest == 0)
            return;
        for (size_t p = 0; p < count; p++) {
            bool ours = strcmp(runners[p].name, options.ours) == 0;
            bool fits = estimate_ns[p] <= 10 * fastest &&
                        too_slow(row, budget, estimate_ns[p]) == too_slow(row, budget, fastest);

            if (ours || (!done[p] && fits)) {
                group[members++] = runners[p];
                done[p] = true;
                if (estimate_ns[p] > slowest)
                    slowest = estimate_ns[p];
            }
        }
        row->chunk = (size_t)(budget / slowest);
        if (row->chunk < row->n && !too_slow(row, budget, slowest))
            row->chunk = row->n;
        if (row->chunk < row->smallest_chunk)
            row->chunk = row->smallest_chunk;
        if (row->chunk > largest)
            row->chunk = largest;
        bench_row_run(row, group, members);
    }
}

size_t bench_peers(const struct bench_peer *const **out)
{
    *out = peers;
    return peer_count;
}

size_t bench_books(const struct bench_peer *const **out)
{
    *out = books;
    return books_count;
}

static uint64_t heap_used(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/*
 * Live heap bytes, malloc's own overhead included, after random insertion. In a process of its own
 * and before anything else, since glib keeps freed slices for itself.
 */
static double measure_memory(const struct bench_peer *peer, const struct iovageom_range *ranges,
                             size_t n)
{
    double bytes = 0;
    int channel[2];
    pid_t child;

    if (pipe(channel) != 0)
        bench_fail("no pipe");
    child = fork();
    if (child < 0)
        bench_fail("no process");
    if (child == 0) {
        uint64_t before = heap_used();
        void *set = peer->create();

        peer->insert(set, ranges, n);
        bytes = (double)(heap_used() - before) / (double)n;
        _exit(write(channel[1], &bytes, sizeof(bytes)) != sizeof(bytes));
    }
    close(channel[1]);
    if (read(channel[0], &bytes, sizeof(bytes)) != sizeof(bytes))
        bench_fail("%s: memory could not be measured", peer->name);
    close(channel[0]);
    waitpid(child, NULL, 0);
    return bytes;
}

static void report_memory(const char *what, const struct bench_peer *const *list, size_t count,
                          const struct iovageom_range *ranges, size_t n)
{
    bool first = true;

    if (json)
        fprintf(json, "\n  \"%s_n\": %zu,\n  \"%s\": {", what, n, what);
    for (size_t p = 0; p < count; p++) {
        double bytes;

        if (!list[p]->insert || (list[p]->max_n_bulk && n > list[p]->max_n_bulk))
            continue;
        bytes = measure_memory(list[p], ranges, n);
        printf("%-18s %8zu  %-12s %9.1f\n", what, n, list[p]->name, bytes);
        if (json)
            fprintf(json, "%s\"%s\": %.2f", first ? "" : ", ", list[p]->name, bytes);
        first = false;
    }
    if (json)
        fputs("},", json);
}

static void report_all_memory(size_t n)
{
    struct bench_random random = {.state = 77};
    struct iovageom_range *ranges = bench_alloc(n * sizeof(*ranges));

    bench_ranges_spread(&random, ranges, n, ((uint64_t)1 << 48) - 1);
    bench_shuffle(&random, ranges, n);
    report_memory("bytes_per_range", peers, peer_count, ranges, n);
    for (size_t i = 0; i < n; i++)
        ranges[i] = bench_books_mapping(i);
    bench_shuffle(&random, ranges, n);
    report_memory("bytes_per_mapping", books, books_count, ranges, n);
    free(ranges);
}

/* Keeps "key=value". */
static void remember(const char **list, size_t *count, const char *pair)
{
    if (!strchr(pair, '=') || strpbrk(pair, "\"\\") || *count == 16)
        bench_fail("%s: not of the form key=value", pair);
    list[(*count)++] = pair;
}

/* An object of strings in the JSON. */
static void json_pairs(const char *name, const char *const *pairs, size_t count)
{
    fprintf(json, "\n  \"%s\": {", name);
    for (size_t i = 0; i < count; i++) {
        int key = (int)strcspn(pairs[i], "=");

        fprintf(json, "%s\n    \"%.*s\": \"%s\"", i ? "," : "", key, pairs[i], pairs[i] + key + 1);
    }
    fputs("\n  },", json);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--quick") == 0) {
            options.quick = true;
            continue;
        }
        if (!value)
            bench_fail("%s: unknown, or it needs a value", argv[i]);
        if (strcmp(argv[i], "--json") == 0)
            options.json = value;
        else if (strcmp(argv[i], "--op") == 0)
            options.only_op = value;
        else if (strcmp(argv[i], "--n") == 0)
            options.only_n = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--ours") == 0)
            options.ours = value;
        else if (strcmp(argv[i], "--peers") == 0)
            options.peers = value;
        else if (strcmp(argv[i], "--meta") == 0)
            remember(options.meta, &options.meta_count, value);
        else if (strcmp(argv[i], "--missing") == 0)
            remember(options.missing, &options.missing_count, value);
        else
            bench_fail("%s: unknown", argv[i]);
        i++;
    }
}

/* Keeps the peers of --peers, and our own. */
static void select_peers(void)
{
    size_t kept = 0;

    if (!options.peers)
        return;
    for (size_t p = 0; p < peer_count; p++) {
        size_t length = strlen(peers[p]->name);
        const char *at = options.peers;
        bool keep = strcmp(peers[p]->name, options.ours) == 0;

        while (!keep && (at = strstr(at, peers[p]->name))) {
            keep = (at == options.peers || at[-1] == ',') && (at[length] == ',' || !at[length]);
            at += length;
        }
        if (keep)
            peers[kept++] = peers[p];
    }
    peer_count = kept;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct bench_peer *const *)a)->name,
                  (*(const struct bench_peer *const *)b)->name);
}

static void require_ours(void)
{
    for (size_t p = 0; p < peer_count; p++)
        if (strcmp(peers[p]->name, options.ours) == 0)
            return;
    bench_fail("%s: no such peer was built, and it is what the others are compared to",
               options.ours);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {8, 64, 1000, 64000, 1000000};
    size_t size_count = sizeof(sizes) / sizeof(sizes[0]);

    parse(argc, argv);
    /* Memory stays mapped when it is freed, so that page faults are not what is measured. */
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    select_peers();
    qsort(peers, peer_count, sizeof(peers[0]), by_name);
    require_ours();
    clock_cost = measure_clock(CLOCK_THREAD_CPUTIME_ID);
    wall_clock_cost = measure_clock(CLOCK_MONOTONIC);
    if (options.quick)
        size_count--;
    if (options.json) {
        json = fopen(options.json, "w");
        if (!json)
            bench_fail("%s: cannot be written", options.json);
        fprintf(json, "{\n  \"quick\": %s,\n  \"peers\": {", options.quick ? "true" : "false");
        for (size_t p = 0; p < peer_count; p++)
            fprintf(json, "%s\n    \"%s\": \"%s\"", p ? "," : "", peers[p]->name, peers[p]->what);
        fputs("\n  },", json);
        json_pairs("meta", options.meta, options.meta_count);
        json_pairs("missing", options.missing, options.missing_count);
    }
    if (bench_wanted("bytes_per_range", sizes[size_count - 1]))
        report_all_memory(sizes[size_count - 1]);
    if (json)
        fputs("\n  \"results\": [", json);
    for (size_t i = 0; i < size_count; i++)
        bench_ops(sizes[i]);
    bench_tasks();
    if (json) {
        fputs("\n  ]\n}\n", json);
        if (fclose(json) != 0)
            bench_fail("%s: cannot be written", options.json);
    }
    for (size_t i = 0; i < options.missing_count; i++)
        printf("not built: %s\n", options.missing[i]);
    return 0;
}

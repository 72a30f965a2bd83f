/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations on one set, or from one array to one set. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "harness.h"
#include "workload.h"

#define CHUNK_MAX  65536
#define SPACE_LAST (((uint64_t)1 << 48) - 1)
#define PEERS_MAX  32

enum make { MAKE_INSERT, MAKE_SORTED, MAKE_UNSORTED };

struct ops {
    enum make make;
    size_t n;
    struct bench_random random;
    struct iovageom_range *sorted;
    struct iovageom_range *packed;
    /* What the rounds work on; `count` of them, or `copies` times n. */
    uint64_t *addresses;
    struct iovageom_range *ranges;
    struct bench_hole *holes;
    struct bench_request *requests;
    size_t span; /* mappings that a span covers */
    size_t *chunk;
    size_t copies;
    size_t lag;
    size_t slices;
};

static size_t rounds(size_t n)
{
    if (n >= 1000000)
        return 5;
    return bench_quick() ? 9 : 11;
}

static bool fits(const struct bench_peer *peer, size_t n, bool bulk)
{
    return !(peer->max_n && n > peer->max_n) && !(bulk && peer->max_n_bulk && n > peer->max_n_bulk);
}

static struct bench_runner runner_of(const struct bench_peer *peer, void *object)
{
    struct bench_runner runner = {.name = peer->name, .peer = peer, .object = object};

    return runner;
}

/* Queries: lookup, overlap, find_hole. */

static void next_addresses(void *context)
{
    struct ops *ops = context;

    bench_addresses(&ops->random, ops->sorted, ops->n, ops->addresses, *ops->chunk);
}

static void next_overlaps(void *context)
{
    struct ops *ops = context;

    bench_overlaps(&ops->random, ops->sorted, ops->n, ops->ranges, *ops->chunk);
}

static void next_holes(void *context)
{
    struct ops *ops = context;

    bench_holes(&ops->random, ops->packed, ops->n, ops->holes, *ops->chunk);
}

static uint64_t run_lookup(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    uint64_t since = bench_clock();

    (void)slice;
    runner->sum += peer->lookup(runner->object, ops->addresses, *ops->chunk);
    return bench_elapsed(since);
}

static uint64_t run_overlap(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    uint64_t since = bench_clock();

    (void)slice;
    runner->sum += peer->overlap(runner->object, ops->ranges, *ops->chunk);
    return bench_elapsed(since);
}

static uint64_t run_find_hole(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    uint64_t since = bench_clock();

    (void)slice;
    runner->sum += peer->find_hole(runner->object, ops->holes, *ops->chunk);
    return bench_elapsed(since);
}

static uint64_t run_iterate(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    size_t times = (*ops->chunk + ops->n - 1) / ops->n;
    uint64_t since = bench_clock();
    uint64_t elapsed;

    (void)slice;
    for (size_t i = 0; i < times; i++)
        runner->sum += peer->iterate(runner->object);
    elapsed = bench_elapsed(since);
    /* The harness divides by the chunk. */
    return elapsed * *ops->chunk / (times * ops->n);
}

/* Nanoseconds of one operation, from a few of them. */
static double estimate(struct bench_row *row, struct bench_runner *runner)
{
    size_t chunk = row->chunk;
    double ns;

    row->chunk = row->smallest_chunk;
    if (row->next)
        row->next(row->context);
    ns = (double)row->run(row->context, runner, 0) / (double)row->chunk;
    if (ns * (double)row->chunk < 20000) {
        row->chunk = row->smallest_chunk > 1024 ? row->smallest_chunk : 1024;
        if (row->next)
            row->next(row->context);
        ns = (double)row->run(row->context, runner, 0) / (double)row->chunk;
    }
    row->chunk = chunk;
    return ns;
}

struct query {
    const char *op;
    size_t needs;
    void (*next)(void *context);
    uint64_t (*run)(void *context, struct bench_runner *runner, size_t slice);
};

/* Whether the peer has the operation whose pointer stands at that offset of it. */
static bool has(const struct bench_peer *peer, size_t offset)
{
    void (*function)(void);

    memcpy(&function, (const char *)peer + offset, sizeof(function));
    return function != NULL;
}

static void query_row(struct ops *ops, const struct query *query, struct bench_runner *prepared,
                      size_t count)
{
    struct bench_runner runners[PEERS_MAX];
    double estimates[PEERS_MAX];
    struct bench_row row = {
        .op = query->op,
        .n = ops->n,
        .rounds = rounds(ops->n),
        .smallest_chunk = query->next ? 16 : ops->n,
        .context = ops,
        .next = query->next,
        .run = query->run,
    };
    size_t members = 0;

    if (!bench_wanted(query->op, ops->n))
        return;
    ops->chunk = &row.chunk;
    for (size_t p = 0; p < count; p++) {
        if (!has(prepared[p].peer, query->needs))
            continue;
        runners[members] = prepared[p];
        estimates[members] = estimate(&row, &runners[members]);
        members++;
    }
    bench_row_split(&row, runners, members, estimates,
                    query->next ? CHUNK_MAX : (ops->n < 65536 ? 65536 : ops->n));
}

/* Objects made by random insertion, or in the way that a slow peer asks for. */
static void *prepare(const struct bench_peer *peer, const struct iovageom_range *sorted,
                     const struct iovageom_range *shuffled, size_t n)
{
    void *object;

    if (peer->prepare)
        return peer->prepare(sorted, n);
    object = peer->create();
    if (peer->insert(object, shuffled, n) != n)
        bench_fail("%s did not take all ranges", peer->name);
    return object;
}

static size_t prepare_all(struct ops *ops, const struct bench_peer *const *peers, size_t peer_count,
                          const struct iovageom_range *sorted, struct bench_runner *out)
{
    struct iovageom_range *shuffled = bench_alloc(ops->n * sizeof(*shuffled));
    size_t count = 0;

    memcpy(shuffled, sorted, ops->n * sizeof(*shuffled));
    bench_shuffle(&ops->random, shuffled, ops->n);
    for (size_t p = 0; p < peer_count; p++) {
        if ((!peers[p]->insert && !peers[p]->prepare) || !fits(peers[p], ops->n, false))
            continue;
        out[count++] = runner_of(peers[p], prepare(peers[p], sorted, shuffled, ops->n));
    }
    free(shuffled);
    return count;
}

static void destroy_all(struct bench_runner *prepared, size_t count)
{
    for (size_t p = 0; p < count; p++)
        ((const struct bench_peer *)prepared[p].peer)->destroy(prepared[p].object);
}

/* Churn. */

static void next_churn(void *context)
{
    struct ops *ops = context;

    if (ops->copies == 0) {
        /* A part of a large set: distinct ranges. */
        size_t step = ops->n / *ops->chunk;
        size_t offset = bench_random_below(&ops->random, step);

        for (size_t i = 0; i < *ops->chunk; i++)
            ops->ranges[i] = ops->sorted[offset + i * step];
        bench_shuffle(&ops->random, ops->ranges, *ops->chunk);
        return;
    }
    for (size_t c = 0; c < ops->copies; c++) {
        memcpy(ops->ranges + c * ops->n, ops->sorted, ops->n * sizeof(*ops->ranges));
        bench_shuffle(&ops->random, ops->ranges + c * ops->n, ops->n);
    }
}

static uint64_t run_churn(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    uint64_t since = bench_clock();

    (void)slice;
    if (ops->copies == 0)
        runner->sum += peer->churn(runner->object, ops->ranges, *ops->chunk, ops->lag);
    for (size_t c = 0; c < ops->copies; c++)
        runner->sum += peer->churn(runner->object, ops->ranges + c * ops->n, ops->n, ops->lag);
    return bench_elapsed(since);
}

static void churn_row(struct ops *ops, const char *op, void (*next)(void *context),
                      uint64_t (*run)(void *context, struct bench_runner *runner, size_t slice),
                      struct bench_runner *prepared, size_t count)
{
    struct bench_runner runners[PEERS_MAX];
    struct bench_row row = {
        .op = op,
        .n = ops->n,
        .rounds = rounds(ops->n),
        .context = ops,
        .next = next,
        .run = run,
    };
    size_t members = 0;

    if (!bench_wanted(op, ops->n))
        return;
    for (size_t p = 0; p < count; p++)
        if (((const struct bench_peer *)prepared[p].peer)->churn)
            runners[members++] = prepared[p];
    ops->chunk = &row.chunk;
    ops->lag = ops->n / 2 < 64 ? ops->n / 2 : 64;
    ops->copies = ops->n <= 4096 ? 8192 / ops->n : ops->n < 100000;
    row.chunk = ops->copies ? ops->copies * ops->n : 16384;
    bench_row_run(&row, runners, members);
    ops->copies = 0;
}

/* Insert and build: from arrays to `copies` new objects. */

static void next_copies(void *context)
{
    struct ops *ops = context;

    for (size_t c = 0; c < ops->copies; c++) {
        struct iovageom_range *copy = ops->ranges + c * ops->n;

        bench_ranges_spread(&ops->random, copy, ops->n, SPACE_LAST);
        if (ops->make != MAKE_SORTED)
            bench_shuffle(&ops->random, copy, ops->n);
    }
}

static void begin_objects(void *context, struct bench_runner *runner)
{
    struct ops *ops = context;

    runner->object = calloc(ops->copies, sizeof(void *));
    if (!runner->object)
        bench_fail("out of memory");
}

static void end_objects(void *context, struct bench_runner *runner)
{
    (void)context;
    free(runner->object);
}

static void check_and_destroy(const struct bench_peer *peer, void *object, uint64_t *sum)
{
    *sum = *sum * 31 + peer->iterate(object);
    peer->destroy(object);
}

static void *build(const struct ops *ops, const struct bench_peer *peer,
                   const struct iovageom_range *ranges, uint64_t *sum)
{
    void *object;

    if (ops->make == MAKE_SORTED)
        return peer->build_sorted(ranges, ops->n);
    if (ops->make == MAKE_UNSORTED)
        return peer->build_unsorted(ranges, ops->n);
    object = peer->create();
    *sum += peer->insert(object, ranges, ops->n);
    return object;
}

/*
 * Few objects are alive at once, as in a program that makes and drops small sets: then malloc finds
 * warm memory at once, which is fair to peers that allocate. Runs are too short for the clock of
 * this thread; the median over the rounds drops those in which somebody else had the processor.
 */
static uint64_t run_make_small(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    void **objects = runner->object;
    size_t window = ops->n < 64 ? 64 / ops->n : 1;
    bool brief = ops->n < 256;
    uint64_t elapsed = 0;

    (void)slice;
    for (size_t c = 0; c < ops->copies; c += window) {
        uint64_t since = brief ? bench_wall_clock() : bench_clock();

        for (size_t k = c; k < c + window; k++)
            objects[k] = build(ops, peer, ops->ranges + k * ops->n, &runner->sum);
        elapsed += brief ? bench_wall_elapsed(since) : bench_elapsed(since);
        for (size_t k = c; k < c + window; k++)
            check_and_destroy(peer, objects[k], &runner->sum);
    }
    return elapsed;
}

static uint64_t run_make_large(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    void **objects = runner->object;
    size_t part = ops->n / ops->slices;
    uint64_t since = bench_clock();
    uint64_t elapsed;

    if (ops->make != MAKE_INSERT) {
        objects[0] = build(ops, peer, ops->ranges, &runner->sum);
    } else {
        if (slice == 0)
            objects[0] = peer->create();
        runner->sum += peer->insert(objects[0], ops->ranges + slice * part, part);
    }
    elapsed = bench_elapsed(since);
    if (slice + 1 == ops->slices)
        check_and_destroy(peer, objects[0], &runner->sum);
    return elapsed;
}

static void make_row(struct ops *ops, const char *op, enum make make, size_t needs)
{
    const struct bench_peer *const *peers;
    size_t peer_count = bench_peers(&peers);
    struct bench_runner runners[PEERS_MAX];
    struct bench_row row = {
        .op = op,
        .n = ops->n,
        .rounds = ops->n >= 1000000 ? 3 : rounds(ops->n),
        .context = ops,
        .next = next_copies,
        .begin = begin_objects,
        .end = end_objects,
        .run = ops->n < 8192 ? run_make_small : run_make_large,
    };
    size_t members = 0;

    if (!bench_wanted(op, ops->n))
        return;
    for (size_t p = 0; p < peer_count; p++)
        if (has(peers[p], needs) && fits(peers[p], ops->n, true))
            runners[members++] = runner_of(peers[p], NULL);
    ops->make = make;
    ops->copies = ops->n < 8192 ? 8192 / ops->n : 1;
    ops->slices = make == MAKE_INSERT && ops->n >= 8192 ? 16 : 1;
    row.slices = ops->slices;
    row.chunk = ops->copies * ops->n;
    bench_row_run(&row, runners, members);
    ops->copies = 0;
}

static const struct query queries[] = {
    {"lookup", offsetof(struct bench_peer, lookup), next_addresses, run_lookup},
    {"overlap", offsetof(struct bench_peer, overlap), next_overlaps, run_overlap},
    {"iterate", offsetof(struct bench_peer, iterate), NULL, run_iterate},
};

static const struct query hole_query = {"find_hole", offsetof(struct bench_peer, find_hole),
                                        next_holes, run_find_hole};

static void set_rows(struct ops *ops)
{
    const struct bench_peer *const *peers;
    size_t peer_count = bench_peers(&peers);
    struct bench_runner prepared[PEERS_MAX];
    bool wanted = bench_wanted("churn", ops->n);
    size_t count;

    for (size_t q = 0; q < sizeof(queries) / sizeof(queries[0]); q++)
        wanted |= bench_wanted(queries[q].op, ops->n);
    if (wanted) {
        count = prepare_all(ops, peers, peer_count, ops->sorted, prepared);
        for (size_t q = 0; q < sizeof(queries) / sizeof(queries[0]); q++)
            query_row(ops, &queries[q], prepared, count);
        churn_row(ops, "churn", next_churn, run_churn, prepared, count);
        destroy_all(prepared, count);
    }
    if (bench_wanted(hole_query.op, ops->n)) {
        count = prepare_all(ops, peers, peer_count, ops->packed, prepared);
        query_row(ops, &hole_query, prepared, count);
        destroy_all(prepared, count);
    }
}

/* ---- books: above the 4 GiB that no reserved region of theirs reaches ---- */

static void put_le(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static struct bench_request request_of(struct iovageom_range range, bool map)
{
    struct bench_request request = {.size = map ? 36 : 28};

    request.bytes[0] = map ? 3 : 4;
    put_le(request.bytes + 4, BENCH_BOOKS_DOMAIN, 4);
    put_le(request.bytes + 8, range.start, 8);
    put_le(request.bytes + 16, range.last, 8);
    if (map) {
        put_le(request.bytes + 24, range.start ^ 0x1000, 8);
        put_le(request.bytes + 32, 3, 4);
    }
    return request;
}

/* The same changes as those of churn, one after another. */
static void next_requests(void *context)
{
    struct ops *ops = context;
    size_t part = ops->copies ? ops->n : *ops->chunk;
    struct bench_request *out = ops->requests;

    next_churn(context);
    for (size_t c = 0; c < *ops->chunk / part; c++) {
        const struct iovageom_range *ranges = ops->ranges + c * part;

        for (size_t i = 0; i < part + ops->lag; i++) {
            if (i < part)
                *out++ = request_of(ranges[i], false);
            if (i >= ops->lag)
                *out++ = request_of(ranges[i - ops->lag], true);
        }
    }
}

static uint64_t run_requests(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    uint64_t since = bench_clock();

    (void)slice;
    runner->sum += peer->requests(runner->object, ops->requests, 2 * *ops->chunk);
    return bench_elapsed(since);
}

/* In a mapping, and 64 bytes before its end. */
static void next_accesses(void *context)
{
    struct ops *ops = context;

    for (size_t k = 0; k < *ops->chunk; k++) {
        const struct iovageom_range range = ops->sorted[bench_random_below(&ops->random, ops->n)];

        ops->addresses[k] =
            range.start + bench_random_below(&ops->random, range.last - range.start - 62);
    }
}

static uint64_t run_translate(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    uint64_t since = bench_clock();

    (void)slice;
    runner->sum += peer->translate(runner->object, ops->addresses, *ops->chunk);
    return bench_elapsed(since);
}

/* Of mappings that are adjacent. */
static void next_spans(void *context)
{
    struct ops *ops = context;

    for (size_t k = 0; k < *ops->chunk; k++) {
        size_t first = bench_random_below(&ops->random, ops->n - ops->span + 1);

        ops->ranges[k].start = ops->sorted[first].start + 16;
        ops->ranges[k].last = ops->sorted[first + ops->span - 1].last - 16;
    }
}

static uint64_t run_spans(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;
    uint64_t since = bench_clock();

    (void)slice;
    runner->sum += peer->translate_span(runner->object, ops->ranges, *ops->chunk);
    return bench_elapsed(since);
}

/* Maps again what the round before has unmapped. */
static void begin_unmap_all(void *context, struct bench_runner *runner)
{
    const struct bench_peer *peer = runner->peer;
    struct ops *ops = context;

    (void)peer->unmap_all(runner->object);
    if (peer->insert(runner->object, ops->sorted, ops->n) != ops->n)
        bench_fail("%s did not take all mappings", peer->name);
}

static uint64_t run_unmap_all(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    uint64_t since = bench_clock();

    (void)context;
    (void)slice;
    runner->sum += peer->unmap_all(runner->object);
    return bench_elapsed(since);
}

/* `layout` makes mapping i. */
static size_t prepare_books(struct ops *ops, struct iovageom_range (*layout)(size_t index),
                            struct bench_runner *prepared)
{
    const struct bench_peer *const *peers;
    size_t peer_count = bench_books(&peers);

    for (size_t i = 0; i < ops->n; i++)
        ops->sorted[i] = layout(i);
    return prepare_all(ops, peers, peer_count, ops->sorted, prepared);
}

static struct iovageom_range adjacent(size_t index)
{
    uint64_t start = ((uint64_t)1 << 33) + index * 4 * BENCH_PAGE;

    return (struct iovageom_range){start, start + 4 * BENCH_PAGE - 1};
}

static void span_rows(struct ops *ops)
{
    static const struct {
        struct query query;
        size_t span;
    } rows[] = {
        {{"translate_span_1", offsetof(struct bench_peer, translate_span), next_spans, run_spans},
         1},
        {{"translate_span_4", offsetof(struct bench_peer, translate_span), next_spans, run_spans},
         4},
        {{"translate_span_64", offsetof(struct bench_peer, translate_span), next_spans, run_spans},
         64},
    };
    struct bench_runner prepared[PEERS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!bench_wanted(rows[i].query.op, ops->n) || (ops->n != 1000 && ops->n != 64000))
            continue;
        if (count == 0)
            count = prepare_books(ops, adjacent, prepared);
        ops->span = rows[i].span;
        query_row(ops, &rows[i].query, prepared, count);
    }
    destroy_all(prepared, count);
}

static void unmap_all_row(struct ops *ops, struct bench_runner *prepared, size_t count)
{
    struct bench_row row = {
        .op = "unmap_all",
        .n = ops->n,
        .rounds = rounds(ops->n),
        .chunk = ops->n,
        .context = ops,
        .begin = begin_unmap_all,
        .run = run_unmap_all,
    };

    if (ops->n >= 1000 && bench_wanted(row.op, ops->n))
        bench_row_run(&row, prepared, count);
}

static void books_rows(struct ops *ops)
{
    static const struct query translate = {"translate", offsetof(struct bench_peer, translate),
                                           next_accesses, run_translate};
    struct bench_runner prepared[PEERS_MAX];
    size_t count;

    span_rows(ops);
    if (!bench_wanted("map_unmap", ops->n) && !bench_wanted("requests", ops->n) &&
        !bench_wanted(translate.op, ops->n) && !bench_wanted("unmap_all", ops->n))
        return;
    count = prepare_books(ops, bench_books_mapping, prepared);
    churn_row(ops, "map_unmap", next_churn, run_churn, prepared, count);
    churn_row(ops, "requests", next_requests, run_requests, prepared, count);
    query_row(ops, &translate, prepared, count);
    unmap_all_row(ops, prepared, count);
    destroy_all(prepared, count);
}

void bench_ops(size_t n)
{
    size_t most = n > CHUNK_MAX ? n : CHUNK_MAX;
    struct ops ops = {.n = n, .random = {.state = n}};

    ops.sorted = bench_alloc(n * sizeof(*ops.sorted));
    ops.packed = bench_alloc(n * sizeof(*ops.packed));
    ops.addresses = bench_alloc(CHUNK_MAX * sizeof(*ops.addresses));
    ops.holes = bench_alloc(CHUNK_MAX * sizeof(*ops.holes));
    ops.ranges = bench_alloc(most * sizeof(*ops.ranges));
    ops.requests = bench_alloc(2 * most * sizeof(*ops.requests));
    bench_ranges_spread(&ops.random, ops.sorted, n, SPACE_LAST);
    bench_ranges_packed(&ops.random, ops.packed, n);
    make_row(&ops, "insert", MAKE_INSERT, offsetof(struct bench_peer, insert));
    set_rows(&ops);
    make_row(&ops, "build_sorted", MAKE_SORTED, offsetof(struct bench_peer, build_sorted));
    make_row(&ops, "build_unsorted", MAKE_UNSORTED, offsetof(struct bench_peer, build_unsorted));
    books_rows(&ops);
    free(ops.sorted);
    free(ops.packed);
    free(ops.addresses);
    free(ops.holes);
    free(ops.ranges);
    free(ops.requests);
    bench_algebra_rows(n);
}

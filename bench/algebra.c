/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Union, intersection, complement, of n ranges each: from arrays to an array, and from objects to a
 * new object (_tree). A peer that has only one of the two forms runs that one in both rows.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "harness.h"
#include "workload.h"

#define PROBES      64
#define PEERS_MAX   32
#define COPIES_MAX  1024
#define RANGE_SPACE ((uint64_t)16 << 20)

uint64_t bench_algebra_last;

struct algebra {
    enum bench_algebra op;
    bool tree;
    size_t n;
    size_t copies;
    struct iovageom_range *a;
    struct iovageom_range *b;
    struct iovageom_range *out;
    uint64_t probes[PROBES];
};

/* What a runner keeps between begin() and end(). */
struct objects {
    void *a[COPIES_MAX];
    void *b[COPIES_MAX];
    void *result[COPIES_MAX];
    size_t counts[COPIES_MAX];
};

/* How many pages lie at or below each probe. */
static uint64_t digest_array(const struct iovageom_range *ranges, size_t count,
                             const uint64_t *probes)
{
    uint64_t below[PROBES] = {0};
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < PROBES; k++) {
            uint64_t last = ranges[i].last < probes[k] ? ranges[i].last : probes[k];

            if (ranges[i].start <= probes[k])
                below[k] += last - ranges[i].start + 1;
        }
    }
    for (size_t k = 0; k < PROBES; k++)
        sum = sum * 31 + below[k] / BENCH_PAGE;
    return sum;
}

static bool native(const struct bench_peer *peer, const struct algebra *algebra)
{
    return algebra->tree ? peer->tree == NULL : peer->array != NULL;
}

static size_t out_stride(const struct algebra *algebra)
{
    return 2 * algebra->n + 1;
}

static uint64_t run_algebra(void *context, struct bench_runner *runner, size_t slice)
{
    const struct bench_peer *peer = runner->peer;
    struct algebra *algebra = context;
    struct objects *objects = runner->object;
    size_t n = algebra->n;
    uint64_t since = bench_clock();

    (void)slice;
    if (native(peer, algebra)) {
        for (size_t c = 0; c < algebra->copies; c++)
            objects->counts[c] = peer->array(algebra->op, algebra->a + c * n, n, algebra->b + c * n,
                                             n, algebra->out + c * out_stride(algebra));
    } else {
        for (size_t c = 0; c < algebra->copies; c++)
            objects->result[c] = peer->tree(algebra->op, objects->a[c], objects->b[c]);
    }
    return bench_elapsed(since);
}

static void end_algebra(void *context, struct bench_runner *runner)
{
    const struct bench_peer *peer = runner->peer;
    struct algebra *algebra = context;
    struct objects *objects = runner->object;
    size_t stride = out_stride(algebra);

    for (size_t c = 0; c < algebra->copies; c++) {
        struct iovageom_range *out = algebra->out + c * stride;
        size_t count = objects->counts[c];

        if (!native(peer, algebra) && !peer->digest)
            count = peer->dump(objects->result[c], out, stride);
        runner->sum = runner->sum * 31;
        if (!native(peer, algebra) && peer->digest)
            runner->sum += peer->digest(objects->result[c], algebra->probes, PROBES);
        else if (!runner->unchecked)
            runner->sum += digest_array(out, count, algebra->probes);
        if (!native(peer, algebra))
            peer->destroy(objects->result[c]);
    }
}

static void *object_of(const struct bench_peer *peer, const struct iovageom_range *ranges, size_t n)
{
    void *object;

    if (peer->prepare)
        return peer->prepare(ranges, n);
    if (peer->build_sorted)
        return peer->build_sorted(ranges, n);
    object = peer->create();
    peer->insert(object, ranges, n);
    return object;
}

/* Whether the peer can run it; its inputs are ready then. */
static bool join(struct algebra *algebra, const struct bench_peer *peer,
                 struct bench_runner *runner)
{
    struct objects *objects;

    if ((!peer->tree && !peer->array) || (peer->max_n_bulk && algebra->n > peer->max_n_bulk))
        return false;
    objects = calloc(1, sizeof(*objects));
    if (!objects)
        bench_fail("out of memory");
    *runner = (struct bench_runner){
        .name = peer->name, .peer = peer, .object = objects, .unchecked = peer->unchecked};
    if (native(peer, algebra))
        return true;
    for (size_t c = 0; c < algebra->copies; c++) {
        objects->a[c] = object_of(peer, algebra->a + c * algebra->n, algebra->n);
        objects->b[c] = object_of(peer, algebra->b + c * algebra->n, algebra->n);
    }
    return true;
}

static void leave(struct algebra *algebra, struct bench_runner *runner)
{
    const struct bench_peer *peer = runner->peer;
    struct objects *objects = runner->object;

    for (size_t c = 0; !native(peer, algebra) && c < algebra->copies; c++) {
        peer->destroy(objects->a[c]);
        peer->destroy(objects->b[c]);
    }
    free(objects);
}

static bool can(const struct algebra *algebra, const struct bench_peer *peer)
{
    return !(peer->cannot & (1U << algebra->op));
}

static void algebra_row(struct algebra *algebra, const char *op)
{
    const struct bench_peer *const *peers;
    size_t peer_count = bench_peers(&peers);
    struct bench_runner runners[PEERS_MAX];
    struct bench_row row = {
        .op = op,
        .n = algebra->n,
        .rounds = algebra->n >= 1000000 ? 5
                  : bench_quick()       ? 7
                                        : 11,
        .chunk = algebra->copies * algebra->n * (algebra->op == BENCH_COMPLEMENT ? 1 : 2),
        .context = algebra,
        .end = end_algebra,
        .run = run_algebra,
    };
    size_t members = 0;

    if (!bench_wanted(op, algebra->n))
        return;
    for (size_t p = 0; p < peer_count; p++)
        if (can(algebra, peers[p]) && join(algebra, peers[p], &runners[members]))
            members++;
    bench_row_run(&row, runners, members);
    for (size_t p = 0; p < members; p++)
        leave(algebra, &runners[p]);
}

void bench_algebra_rows(size_t n)
{
    static const char *const names[] = {"union", "intersection", "complement"};
    struct bench_random random = {.state = n + 1};
    struct algebra algebra = {.n = n, .copies = n < 8192 ? 8192 / n : 1};
    size_t total = algebra.copies * n;

    bench_algebra_last = n * RANGE_SPACE - 1;
    algebra.a = bench_alloc(total * sizeof(*algebra.a));
    algebra.b = bench_alloc(total * sizeof(*algebra.b));
    algebra.out = bench_alloc(algebra.copies * out_stride(&algebra) * sizeof(*algebra.out));
    for (size_t c = 0; c < algebra.copies; c++) {
        bench_ranges_spread(&random, algebra.a + c * n, n, bench_algebra_last);
        bench_ranges_spread(&random, algebra.b + c * n, n, bench_algebra_last);
    }
    for (size_t k = 0; k < PROBES; k++)
        algebra.probes[k] = bench_random_below(&random, bench_algebra_last) | (BENCH_PAGE - 1);
    algebra.probes[0] = bench_algebra_last;
    for (size_t k = 0; k < 6; k++) {
        char op[32];

        algebra.op = (enum bench_algebra)(k / 2);
        algebra.tree = k % 2 != 0;
        snprintf(op, sizeof(op), "%s%s", names[algebra.op], algebra.tree ? "_tree" : "");
        algebra_row(&algebra, op);
    }
    free(algebra.a);
    free(algebra.b);
    free(algebra.out);
}

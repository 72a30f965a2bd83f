/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/range.h>

/*
 * What a peer shows to the harness. Each function runs a whole chunk of operations, so that neither
 * the call through a pointer nor the harness is part of what is measured, and returns a checksum
 * that has to be the same for all peers. A function that a peer does not have is NULL.
 */

#ifdef __cplusplus
extern "C" {
#endif

/* First free page-aligned hole of `size` bytes within [min, max]. */
struct bench_hole {
    uint64_t min;
    uint64_t max;
    uint64_t size;
};

#define BENCH_PAGE ((uint64_t)4096)

/*
 * All algebra happens in [0, bench_algebra_last]: 16 MiB for each range, so that page numbers fit
 * in 32 bits (CRoaring) and sets of all sizes are equally dense.
 */
extern uint64_t bench_algebra_last;

enum bench_algebra { BENCH_UNION, BENCH_INTERSECTION, BENCH_COMPLEMENT, BENCH_ALGEBRA_COUNT };

/* A request as a guest's driver writes it, and room for the tail. */
struct bench_request {
    uint8_t bytes[36];
    uint8_t size;
    uint8_t tail[4];
};

struct bench_peer {
    const char *name;
    const char *what;
    /* Beyond these sizes a round would take minutes; 0 is no limit. */
    size_t max_n;
    size_t max_n_bulk;

    void *(*create)(void);
    void (*destroy)(void *set);
    uint64_t (*insert)(void *set, const struct iovageom_range *ranges, size_t count);
    /* Erases ranges[i] and inserts ranges[i - lag] again. */
    uint64_t (*churn)(void *set, const struct iovageom_range *ranges, size_t count, size_t lag);
    uint64_t (*lookup)(void *set, const uint64_t *addresses, size_t count);
    uint64_t (*overlap)(void *set, const struct iovageom_range *queries, size_t count);
    uint64_t (*iterate)(void *set);
    uint64_t (*find_hole)(void *set, const struct bench_hole *queries, size_t count);
    void *(*build_sorted)(const struct iovageom_range *ranges, size_t count);
    void *(*build_unsorted)(const struct iovageom_range *ranges, size_t count);

    /* From sorted arrays to a sorted array; returns its length. b is unused by the complement. */
    size_t (*array)(enum bench_algebra op, const struct iovageom_range *a, size_t a_count,
                    const struct iovageom_range *b, size_t b_count, struct iovageom_range *out);
    /* From objects to a new object. */
    void *(*tree)(enum bench_algebra op, void *a, void *b);
    /* An object of sorted ranges in any way, not measured; NULL: by inserting in random order. */
    void *(*prepare)(const struct iovageom_range *ranges, size_t count);
    /* How many pages of the object lie below each probe, as a checksum; NULL: through iterate. */
    uint64_t (*digest)(void *set, const uint64_t *probes, size_t count);
    /* Writes the ranges in order; for checking only. */
    size_t (*dump)(void *set, struct iovageom_range *out, size_t capacity);
    /*
     * Of books. Each request is answered in its tail; returns how many are OK. An access of 64
     * bytes by endpoint BENCH_BOOKS_ENDPOINT: the sum of where it goes. A span over several
     * mappings: its length and where it begins. UNMAP of everything: how many went.
     */
    uint64_t (*requests)(void *books, struct bench_request *requests, size_t count);
    uint64_t (*translate)(void *books, const uint64_t *addresses, size_t count);
    uint64_t (*translate_span)(void *books, const struct iovageom_range *spans, size_t count);
    uint64_t (*unmap_all)(void *books);
    /* Bits of enum bench_algebra that the peer has no operation for. */
    unsigned cannot;
    /* memcpy does no work that could be checked. */
    bool unchecked;
};

/* Called by each peer's file before main() runs. */
void bench_register(const struct bench_peer *peer);

/*
 * Peers that keep the ledger of a domain behind the checks of a virtio-iommu: create, destroy,
 * insert (MAP) and churn (UNMAP and MAP) by requests.
 */
void bench_register_books(const struct bench_peer *peer);

/* Memory in all of the peer's requests, and the addresses that a guest may name. */
#define BENCH_BOOKS_ENDPOINT 1U
#define BENCH_BOOKS_DOMAIN   7U
#define BENCH_BOOKS_LAST     (((uint64_t)1 << 48) - 1)

/* One whole job, done by each peer of the same name `op` on the same n. */
struct bench_task {
    const char *op;
    const char *peer;
    /* Ends with 0. */
    const size_t *sizes;
    void *(*prepare)(size_t n);
    /* Returns the checksum. */
    uint64_t (*run)(void *state);
    void (*finish)(void *state);
    /* Operations in a run, by which its time is divided; NULL: 1. */
    size_t (*operations)(size_t n);
};

void bench_register_tasks(const struct bench_task *tasks, size_t count);

/* Called by a run whose own threads do the work: how long it took, in place of this thread's
 * time. */
void bench_took(uint64_t ns);

/* The answer to VFIO_IOMMU_GET_INFO that lists n usable ranges; to be freed. */
uint8_t *bench_vfio_info(size_t n, size_t *length);

/* The machine's MSI doorbells. */
#define BENCH_MSI_START ((uint64_t)0xfee00000)
#define BENCH_MSI_LAST  ((uint64_t)0xfeefffff)

/* 8 usable ranges of host number `host`, whose 7 windows are of 256 places, or its own. */
#define BENCH_HOST_RANGES 8
void bench_host(size_t host, bool distinct, struct iovageom_range out[BENCH_HOST_RANGES]);

/* The reserved windows of a newcomer, which no mapping of bench_books_mapping() touches. */
#define BENCH_NEWCOMER_WINDOWS 8
void bench_newcomer(struct iovageom_range out[BENCH_NEWCOMER_WINDOWS]);

/* Mapping number `index` of any domain. */
struct iovageom_range bench_books_mapping(size_t index);

#define BENCH_PEER(peer)                                                                           \
    __attribute__((constructor)) static void bench_register_##peer(void)                           \
    {                                                                                              \
        bench_register(&peer);                                                                     \
    }

/* The term of a hit in a checksum, without a branch for the compiler to mispredict. */
static inline uint64_t bench_term(bool hit, uint64_t start, uint64_t last)
{
    return (start ^ last) & (0 - (uint64_t)hit);
}

#define BENCH_NO_HOLE ((uint64_t)1)

/* The page-aligned start at or above `from`. */
static inline uint64_t bench_page_up(uint64_t from)
{
    return (from + (BENCH_PAGE - 1)) & ~(BENCH_PAGE - 1);
}

#ifdef __cplusplus
}
#endif
#endif

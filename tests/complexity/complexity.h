/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TESTS_COMPLEXITY_H
#define IOVAGEOM_TESTS_COMPLEXITY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/guest.h>
#include <iovageom/iovageom.h>

/*
 * How much work operations do as their inputs grow. A measure makes something of size n, calls
 * start(), does what is to be measured, and calls stop(). Its class is the growth that the public
 * header promises, with as many calls in the measure as it makes.
 */
enum growth { GROWTH_CONSTANT, GROWTH_LOG, GROWTH_LINEAR, GROWTH_LINEAR_LOG };

struct measure {
    const char *operation;
    const char *stated; /* as the header has it, and how often it is called */
    enum growth growth;
    size_t largest; /* n; it is measured at a quarter of that, and half of it, as well */
    void (*run)(size_t n);
};

extern const struct measure measures_of_sets[], measures_of_facts[], measures_of_streams[],
    measures_of_books[];

void start(void);
void stop(void);

/* Ends the program with the line that does not hold: a measure must do what it says. */
#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static inline void *room(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    must(memory != NULL);
    return memory;
}

#define R(first, final) ((struct iovageom_range){(first), (final)})
#define ALL             R(0, UINT64_MAX)
#define PAGE            UINT64_C(0x1000)

/* Number `i` of n pages with a page between them, in an order without order; n is a power of
 * two. */
static inline struct iovageom_range scattered(size_t i, size_t n)
{
    uint64_t at = (i * UINT64_C(0x9e3779b1) % n + 16) * 2 * PAGE;

    return R(at, at + PAGE - 1);
}

/* The same in order. */
static inline struct iovageom_range ordered(size_t i)
{
    return R((i + 16) * 2 * PAGE, (i + 16) * 2 * PAGE + PAGE - 1);
}

/* A saved geometry, written record by record (geometry_codec.c has the form). */
struct stream {
    uint8_t *bytes;
    size_t length;
};

enum { FACT = 0x100, REGIONS = 0x200 };

void stream_open(struct stream *stream, size_t most);
void stream_number(struct stream *stream, uint64_t number, unsigned width);
void stream_record(struct stream *stream, uint32_t tag, uint32_t source, const char *name,
                   const uint64_t *numbers, size_t count);
struct iovageom_geometry *stream_load(struct stream *stream);

/* What n owners say, each a range of his own, the first the highest. */
struct iovageom_geometry *many_owners(size_t n);

#endif

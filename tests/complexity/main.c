/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * complexity PREFIX: runs under callgrind, which writes PREFIX.1, PREFIX.2 and so on: a file for
 * each measure, read here for the number of instructions. Bytes that memory calls move are counted
 * as well, 8 for an instruction, since a processor may move any number with one.
 */
#include "complexity.h"

#include <math.h>

#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define HAVE_CALLGRIND 1
#endif
#endif
#ifndef HAVE_CALLGRIND
#define RUNNING_ON_VALGRIND           0
#define CALLGRIND_ZERO_STATS          (void)0
#define CALLGRIND_DUMP_STATS_AT(name) (void)0
#endif

static const char *prefix;
static unsigned dumps;
static uint64_t moved;
static double cost;

void *__real_memcpy(void *to, const void *from, size_t size);
void *__real_memmove(void *to, const void *from, size_t size);
void *__real_memset(void *to, int byte, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__wrap_memmove(void *to, const void *from, size_t size);
void *__wrap_memset(void *to, int byte, size_t size);

void *__wrap_memcpy(void *to, const void *from, size_t size)
{
    moved += size;
    return __real_memcpy(to, from, size);
}

void *__wrap_memmove(void *to, const void *from, size_t size)
{
    moved += size;
    return __real_memmove(to, from, size);
}

void *__wrap_memset(void *to, int byte, size_t size)
{
    moved += size;
    return __real_memset(to, byte, size);
}

void start(void)
{
    moved = 0;
    CALLGRIND_ZERO_STATS;
}

void stop(void)
{
    uint64_t bytes = moved;
    char name[4096], line[512];
    unsigned long long instructions = 0;
    FILE *file;

    CALLGRIND_DUMP_STATS_AT("measure");
    snprintf(name, sizeof(name), "%s.%u", prefix, ++dumps);
    file = fopen(name, "r");
    must(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "totals: %llu", &instructions) == 1)
            break;
    fclose(file);
    remove(name);
    must(instructions > 0);
    cost = (double)instructions + (double)bytes / 8;
}

static double cost_of(const struct measure *measure, size_t n)
{
    cost = -1;
    measure->run(n);
    must(cost >= 0);
    return cost;
}

/*
 * Work that grows as n^e does e doublings when n doubles once. A logarithm adds 0.13 at most where
 * it is measured, and a tree that gets a level more or a table that doubles some more; a hidden n
 * adds 1.
 */
static int judge(const struct measure *measure)
{
    static const struct {
        const char *name;
        double most;
    } classes[] = {{"1", 0.15}, {"log n", 0.35}, {"n", 1.15}, {"n log n", 1.35}};
    double quarter = cost_of(measure, measure->largest / 4);
    double half = cost_of(measure, measure->largest / 2);
    double full = cost_of(measure, measure->largest);
    double exponent = log2(full / quarter) / 2;
    int bad = exponent > classes[measure->growth].most;

    printf("%-44s %-30s %6zu %11.0f %11.0f %11.0f  %-7s n^%5.2f%s\n", measure->operation,
           measure->stated, measure->largest, quarter, half, full, classes[measure->growth].name,
           exponent, bad ? "  TOO MUCH" : "");
    fflush(stdout);
    return bad;
}

/* Not an operation of the library: the test of this test. */
static void quadratic(size_t n)
{
    volatile size_t sum = 0;

    start();
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            sum = sum + k;
    stop();
}

static const struct measure control = {"control", "n, and it is n^2", GROWTH_LINEAR, 512,
                                       quadratic};

int main(int argc, char **argv)
{
    const struct measure *const rooms[] = {measures_of_sets, measures_of_facts, measures_of_streams,
                                           measures_of_books};
    unsigned count = 0, bad = 0;

    if (argc < 2 || !RUNNING_ON_VALGRIND) {
        fprintf(stderr,
                "usage: valgrind --tool=callgrind --callgrind-out-file=PREFIX %s PREFIX "
                "[OPERATION]\n",
                argv[0]);
        return 2;
    }
    prefix = argv[1];
    printf("%-44s %-30s %6s %11s %11s %11s  %-7s %s\n", "operation", "stated", "n", "work at n/4",
           "at n/2", "at n", "allowed", "fitted");
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
        for (const struct measure *measure = rooms[i]; measure->operation != NULL; measure++)
            if (argc < 3 || strstr(measure->operation, argv[2]) != NULL) {
                bad += (unsigned)judge(measure);
                count++;
            }
    if (argc > 2 && strcmp(argv[2], control.operation) == 0) {
        bad += (unsigned)judge(&control);
        count++;
    }
    printf("%u operations, %u of which cost more than is stated\n", count, bad);
    return bad != 0 || count == 0;
}

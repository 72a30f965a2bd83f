/* SPDX-License-Identifier: BSD-3-Clause */
#include "summary.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <iovageom/status.h>

#include "advice.h"
#include "jsonin.h"
#include "tree.h"

#define WORKERS_MAX      64
#define BATCH_MAX        4096 /* hosts that a process takes at a time */
#define RANGES_MAX       65536
#define REDRAW_NANOS     100000000
#define HOSTS_BEFORE_BAR 200

/* What a worker sends before and after a host; ranges follow. */
struct message {
    uint64_t fingerprint, page_sizes, alignment, budget;
    size_t source, ranges;
    size_t groups, assignable;
    unsigned unknown, faulty;
    unsigned begins; /* 1: nothing is said yet */
};

struct worker {
    pid_t pid;
    int results;  /* the end to read from; -1 for none */
    int messages; /* what it says on standard error */
    size_t next;  /* what it is to begin with, if it has to be started again */
    size_t end;
    bool busy; /* with `current` */
    size_t current;
    struct message message;
    size_t got; /* bytes of the message, and then of its ranges */
    struct iovageom_range *ranges;
};

/* ---- in a worker ---- */

static void send_bytes(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0) {
        ssize_t sent = write(fd, at, length);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            _exit(EXIT_BAD_INPUT);
        at += sent;
        length -= (size_t)sent;
    }
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value;
    hash *= 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct message *message, const struct iovageom_range *ranges)
{
    uint64_t hash =
        mix(mix(mix(message->ranges, message->page_sizes), message->alignment), message->budget);

    for (size_t i = 0; i < message->ranges; i++)
        hash = mix(mix(hash, ranges[i].start), ranges[i].last);
    return mix(mix(hash, message->assignable != 0), message->unknown);
}

static void describe(const struct iovageom_geometry *geometry, struct message *message)
{
    message->budget = UINT64_MAX;
    if (geometry == NULL)
        return;
    (void)iovageom_geometry_page_sizes(geometry, &message->page_sizes);
    (void)iovageom_geometry_alignment(geometry, &message->alignment);
    (void)iovageom_geometry_map_budget(geometry, &message->budget);
}

static void read_line_of_json(const struct source *source, struct message *message,
                              const struct iovageom_range **ranges)
{
    struct iovageom_rangeset usable;
    struct iovageom_range *array;
    struct json_host host;
    const char *wrong = json_read_host(source->words, source->length, &host);
    size_t count;

    if (wrong != NULL)
        die(EXIT_BAD_INPUT, "%s: %s", source->name, wrong);
    message->groups = host.groups;
    message->assignable = host.assignable;
    message->unknown = host.unknown;
    message->faulty = host.faulty;
    describe(host.geometry, message);
    if (host.geometry == NULL)
        return;
    must(iovageom_rangeset_init(&usable, &lasting));
    must(iovageom_geometry_usable(host.geometry, 1, &usable));
    count = iovageom_rangeset_count(&usable);
    array = keep((count + 1) * sizeof(*array));
    must(iovageom_rangeset_to_array(&usable, array, count, &count));
    *ranges = array;
    message->ranges = count;
}

/* Whether a group can be assigned, where that is read and something translates: -1 is not known. */
static int counts(const struct host *host, const struct verdict *verdict)
{
    return verdict->judged && !verdict->no_iommu ? outcome_assignable(advise(host, verdict).outcome)
                                                 : 0;
}

static void read_captured(const struct context *context, const struct source *source,
                          struct message *message, const struct iovageom_range **ranges)
{
    struct host host;
    const struct verdict **verdicts;
    struct verdict *judged;
    struct verdict together;

    host_read_captured(&host, source->name);
    verdicts = keep((host.group_count + 1) * sizeof(*verdicts));
    judged = keep((host.group_count + 1) * sizeof(*judged));
    message->groups = host.group_count;
    message->faulty = host.faults.count != 0;
    for (size_t i = 0; i < host.group_count; i++) {
        int counted;

        judged[i] = judge(&host, &host.groups[i], &context->mode);
        message->faulty = message->faulty || judged[i].faults.count != 0;
        counted = counts(&host, &judged[i]);
        /* What nobody vouches for would cost the others that this host vouches for. */
        if (counted < 0 || (counted > 0 && judged[i].unknown_count != 0))
            message->unknown = 1;
        else if (counted > 0)
            verdicts[message->assignable++] = &judged[i];
    }
    if (message->assignable == 0) {
        describe(NULL, message);
        return;
    }
    together = judge_together(verdicts, message->assignable);
    describe(together.geometry, message);
    *ranges = together.usable;
    message->ranges = together.usable_count;
}

static _Noreturn void work(const struct context *context, const struct source *sources,
                           size_t first, size_t end, int results)
{
    keep_apart();
    for (size_t i = first; i < end; i++) {
        struct message message = {.source = i, .begins = 1};
        const struct iovageom_range *ranges = NULL;

        send_bytes(results, &message, sizeof(message));
        message.begins = 0;
        if (sources[i].words != NULL)
            read_line_of_json(&sources[i], &message, &ranges);
        else
            read_captured(context, &sources[i], &message, &ranges);
        if (message.ranges > RANGES_MAX)
            die(EXIT_BAD_INPUT, "%s: more than %d usable ranges", sources[i].name, RANGES_MAX);
        message.fingerprint = hash_of(&message, ranges);
        send_bytes(results, &message, sizeof(message));
        if (message.ranges != 0)
            send_bytes(results, ranges, message.ranges * sizeof(*ranges));
        tree_unmount();
        free_kept();
    }
    _exit(0);
}

/* ---- in the parent ---- */

static void start(struct worker *worker, const struct context *context,
                  const struct source *sources)
{
    int ends[2];

    fflush(NULL);
    worker->messages = memfd_create("messages", MFD_CLOEXEC);
    if (worker->messages < 0 || pipe(ends) != 0)
        die(EXIT_BAD_INPUT, "can't start a process: %s", strerror(errno));
    worker->pid = fork();
    if (worker->pid < 0)
        die(EXIT_BAD_INPUT, "can't start a process: %s", strerror(errno));
    if (worker->pid == 0) {
        (void)close(ends[0]);
        (void)dup2(worker->messages, STDERR_FILENO);
        work(context, sources, worker->next, worker->end, ends[1]);
    }
    (void)close(ends[1]);
    worker->results = ends[0];
    worker->busy = false;
    worker->got = 0;
}

/* The last that a process said before it ended, without the name of the program. */
static const char *last_words(const struct worker *worker, const char *name)
{
    char words[4096];
    off_t size = lseek(worker->messages, 0, SEEK_END);
    off_t from = size > (off_t)sizeof(words) - 1 ? size - (off_t)sizeof(words) + 1 : 0;
    ssize_t length = pread(worker->messages, words, sizeof(words) - 1, from);
    char *at;

    while (length > 0 && words[length - 1] == '\n')
        length--;
    if (length <= 0)
        return text("%s: the process that read it came to a bad end", name);
    words[length] = '\0';
    at = strrchr(words, '\n');
    at = at != NULL ? at + 1 : words;
    if (strncmp(at, program_name, strlen(program_name)) == 0)
        at += strlen(program_name) + 2;
    return text("%s", at);
}

struct reading {
    const struct context *context;
    const struct source *sources;
    size_t count;
    size_t batch;
    size_t given; /* to workers */
    size_t done;
    struct worker workers[WORKERS_MAX];
    size_t worker_count;
    void (*take)(void *pool, size_t source, const struct summary *summary, const char *wrong);
    void *pool;
    struct timespec drawn;
    bool bar;
};

static void draw(struct reading *reading, bool last)
{
    enum { WIDTH = 30 };
    struct timespec now;
    unsigned filled;

    if (!reading->bar)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (!last &&
        (now.tv_sec - reading->drawn.tv_sec) * 1000000000 + now.tv_nsec - reading->drawn.tv_nsec <
            REDRAW_NANOS)
        return;
    reading->drawn = now;
    if (last) {
        fprintf(stderr, "\r\x1b[K");
        return;
    }
    filled = (unsigned)(reading->done * WIDTH / reading->count);
    fprintf(stderr, "\r[%.*s%*s] %zu of %zu hosts", (int)filled, "##############################",
            (int)(WIDTH - filled), "", reading->done, reading->count);
}

/* Gives a worker its next hosts, or nothing more. */
static void next_batch(struct reading *reading, struct worker *worker)
{
    worker->results = -1;
    if (worker->next >= worker->end) {
        worker->next = reading->given;
        worker->end = reading->count - reading->given > reading->batch
                          ? reading->given + reading->batch
                          : reading->count;
        reading->given = worker->end;
    }
    if (worker->next < worker->end)
        start(worker, reading->context, reading->sources);
}

/* A worker is done with its batch, or it came to an end within it. */
static void ended(struct reading *reading, struct worker *worker)
{
    int status = 0;

    (void)close(worker->results);
    while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (worker->busy) {
        reading->take(reading->pool, worker->current, NULL,
                      last_words(worker, reading->sources[worker->current].name));
        reading->done++;
        worker->next = worker->current + 1;
    } else if (worker->next < worker->end) {
        /* It could not begin with one: no host is at fault. */
        die(EXIT_BAD_INPUT, "a process that reads hosts came to a bad end");
    }
    (void)close(worker->messages);
    next_batch(reading, worker);
}

/* All of a message has come. */
static void understood(struct reading *reading, struct worker *worker)
{
    const struct message *message = &worker->message;

    worker->got = 0;
    if (message->begins != 0) {
        worker->busy = true;
        worker->current = message->source;
        return;
    }
    reading->take(reading->pool, message->source,
                  &(struct summary){.usable = worker->ranges,
                                    .count = message->ranges,
                                    .fingerprint = message->fingerprint,
                                    .page_sizes = message->page_sizes,
                                    .alignment = message->alignment,
                                    .budget = message->budget,
                                    .groups = message->groups,
                                    .assignable = message->assignable,
                                    .unknown = message->unknown != 0,
                                    .faulty = message->faulty != 0},
                  NULL);
    reading->done++;
    worker->busy = false;
    worker->next = message->source + 1;
}

/* Reads what a worker has sent, as far as it has come. */
static void receive(struct reading *reading, struct worker *worker)
{
    size_t head = sizeof(worker->message);
    size_t whole = head;
    ssize_t length;

    if (worker->got >= head)
        whole += worker->message.ranges * sizeof(*worker->ranges);
    length = worker->got < head
                 ? read(worker->results, (char *)&worker->message + worker->got, head - worker->got)
                 : read(worker->results, (char *)worker->ranges + (worker->got - head),
                        whole - worker->got);
    if (length < 0 && errno == EINTR)
        return;
    if (length <= 0) {
        ended(reading, worker);
        return;
    }
    worker->got += (size_t)length;
    if (worker->got < head)
        return;
    if (worker->message.ranges > RANGES_MAX)
        die(EXIT_BAD_INPUT, "a process that reads hosts sent nonsense");
    if (worker->got == head && worker->message.ranges != 0) {
        free(worker->ranges);
        worker->ranges = malloc(worker->message.ranges * sizeof(*worker->ranges));
        if (worker->ranges == NULL)
            die(EXIT_BAD_INPUT, "out of memory");
        return;
    }
    if (worker->got == head + worker->message.ranges * sizeof(*worker->ranges))
        understood(reading, worker);
}

static void wait_for_workers(struct reading *reading)
{
    struct pollfd ends[WORKERS_MAX];
    struct worker *of[WORKERS_MAX];
    nfds_t count = 0;

    for (size_t i = 0; i < reading->worker_count; i++) {
        if (reading->workers[i].results < 0)
            continue;
        of[count] = &reading->workers[i];
        ends[count++] = (struct pollfd){reading->workers[i].results, POLLIN, 0};
    }
    if (poll(ends, count, -1) < 0)
        return;
    for (nfds_t i = 0; i < count; i++) {
        if (ends[i].revents != 0)
            receive(reading, of[i]);
    }
}

void summaries_read(const struct context *context, const struct source *sources, size_t count,
                    void (*take)(void *pool, size_t source, const struct summary *summary,
                                 const char *wrong),
                    void *pool)
{
    static struct reading reading;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    reading = (struct reading){.context = context,
                               .sources = sources,
                               .count = count,
                               .take = take,
                               .pool = pool,
                               .bar = count >= HOSTS_BEFORE_BAR && isatty(STDERR_FILENO) != 0};
    reading.worker_count = processors < 1             ? 1
                           : processors > WORKERS_MAX ? WORKERS_MAX
                                                      : (size_t)processors;
    reading.batch = count / (8 * reading.worker_count) + 1;
    if (reading.batch > BATCH_MAX)
        reading.batch = BATCH_MAX;
    for (size_t i = 0; i < reading.worker_count; i++)
        next_batch(&reading, &reading.workers[i]);
    while (reading.done < count) {
        draw(&reading, false);
        wait_for_workers(&reading);
    }
    draw(&reading, true);
    for (size_t i = 0; i < reading.worker_count; i++) {
        free(reading.workers[i].ranges);
        if (reading.workers[i].results < 0)
            continue;
        (void)close(reading.workers[i].results);
        while (waitpid(reading.workers[i].pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
}

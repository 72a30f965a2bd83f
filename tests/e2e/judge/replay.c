/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Read what the recorder wrote, ask the library the same, and say where it answers otherwise.
 *
 *   replay [--injected] [--host BITS] RECORD
 *
 * --injected: the test made calls fail, so a refusal that the library doesn't foretell is no
 * difference. --host: the width of the VT-d behind devices that are no mocks. Exits with 1 when
 * something differs, or nothing was judged.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/iommufd.h>

#include "judge.h"

unsigned host_bits = 39;

static bool injected;

/* ---- totals ---- */

enum { KINDS = 64 };

static struct kind {
    const char *name;
    uint32_t request;
    uint32_t op; /* of IOMMU_TEST_CMD */
    unsigned long accepted;
    unsigned long refused;
    unsigned long others; /* recorded, and not about ranges, or left out */
} kinds[KINDS] = {
    {"IOAS_ALLOC", 0x3b81, 0, 0, 0, 0},
    {"ALLOW_IOVAS", 0x3b82, 0, 0, 0, 0},
    {"COPY", 0x3b83, 0, 0, 0, 0},
    {"IOVA_RANGES", 0x3b84, 0, 0, 0, 0},
    {"MAP", 0x3b85, 0, 0, 0, 0},
    {"UNMAP", 0x3b86, 0, 0, 0, 0},
    {"OPTION", 0x3b87, 0, 0, 0, 0},
    {"HWPT_ALLOC", 0x3b89, 0, 0, 0, 0},
    {"MAP_FILE", 0x3b8f, 0, 0, 0, 0},
    {"test:add-reserved", 0x3ba0, 1, 0, 0, 0},
    {"test:mock-domain", 0x3ba0, 2, 0, 0, 0},
    {"test:create-access", 0x3ba0, 5, 0, 0, 0},
    {"test:access-pages", 0x3ba0, 7, 0, 0, 0},
    {"test:access-rw", 0x3ba0, 8, 0, 0, 0},
    {"test:replace-domain", 0x3ba0, 10, 0, 0, 0},
    {"test:replace-ioas", 0x3ba0, 11, 0, 0, 0},
    {"test:mock-domain-flags", 0x3ba0, 12, 0, 0, 0},
    {"VFIO_SET_IOMMU", 0x3b66, 0, 0, 0, 0},
    {"VFIO_GET_DEVICE_FD", 0x3b6a, 0, 0, 0, 0},
    {"VFIO_GET_INFO", 0x3b70, 0, 0, 0, 0},
    {"VFIO_MAP_DMA", 0x3b71, 0, 0, 0, 0},
    {"VFIO_UNMAP_DMA", 0x3b72, 0, 0, 0, 0},
    {"VFIO_ATTACH_PT", 0x3b77, 0, 0, 0, 0},
    {"others", 0, 0, 0, 0, 0},
};

static const char *const rules[RULES] = {
    [RULE_WORDS] = "words",       [RULE_MEMORY] = "memory", [RULE_FILE] = "file",
    [RULE_HELD] = "held",         [RULE_BYTE] = "byte",     [RULE_DEVICE] = "device",
    [RULE_INJECTED] = "injected",
};

static unsigned long left[RULES], differences, judged, calls;

static struct kind *kind_of(const struct call *call)
{
    struct kind *kind = kinds;

    while (kind->request != 0 &&
           (kind->request != call->request ||
            (kind->op != 0 && kind->op != word(call->before, call->before_size, 4))))
        kind++;
    return kind;
}

void leave_out(const struct call *call, enum rule rule)
{
    (void)call;
    left[rule]++;
}

void differ(const struct call *call, const char *what, uint64_t kernel, uint64_t library)
{
    differences++;
    if (differences <= 40)
        printf("differ line %lu %s %s %s: kernel 0x%" PRIx64 ", library 0x%" PRIx64 "\n",
               call->line, call->context, kind_of(call)->name, what, kernel, library);
}

/*
 * The kernel's number for a status, where it is another than iovageom_status_errno(): both speak of
 * a mapping in the way as of a thing that is there already; iommufd of one that would be split, or
 * has a hole, as of one that is not there, and type 1 as of a wrong argument.
 */
static int kernel_errno(enum dialect dialect, int status)
{
    switch (status) {
    case IOVAGEOM_ERR_OVERLAP:
        return EEXIST;
    case IOVAGEOM_ERR_SPLIT:
        return dialect == IOMMUFD ? ENOENT : EINVAL;
    case IOVAGEOM_ERR_FAULT:
        return ENOENT;
    case IOVAGEOM_ERR_RESERVED:
    case IOVAGEOM_ERR_OUT_OF_APERTURE:
        return EINVAL;
    case IOVAGEOM_ERR_CONFLICT:
        return EADDRINUSE;
    default:
        return iovageom_status_errno(status);
    }
}

bool judge(const struct call *call, enum dialect dialect, int status)
{
    const int foretold = kernel_errno(dialect, status);
    struct kind *kind = kind_of(call);

    if (injected && call->error != 0 && foretold == 0) {
        leave_out(call, RULE_INJECTED);
        return false;
    }
    judged++;
    if (call->error == 0)
        kind->accepted++;
    else
        kind->refused++;
    if (call->error == foretold)
        return true;
    differ(call, iovageom_status_string(status), (uint64_t)call->error, (uint64_t)foretold);
    return false;
}

/* ---- bytes ---- */

uint64_t quad(const uint8_t *bytes, size_t size, size_t at)
{
    uint64_t out = 0;

    for (size_t i = 0; i < 8 && at + i < size; i++)
        out |= (uint64_t)bytes[at + i] << 8 * i;
    return out;
}

uint32_t word(const uint8_t *bytes, size_t size, size_t at)
{
    return (uint32_t)quad(bytes, size, at);
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != 0 ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t size = 0;

    for (; size < BYTES && digit(text[0]) >= 0 && digit(text[1]) >= 0; text += 2)
        out[size++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
    return size;
}

/* ---- lines ---- */

static struct context *contexts;

static struct context *context_of(const char *name)
{
    struct context *context = contexts;

    while (context != NULL && strcmp(context->name, name) != 0)
        context = context->next;
    if (context != NULL)
        return context;
    context = must(calloc(1, sizeof(*context)));
    context->next = contexts;
    context->dialect = strncmp(name, "type1", 5) == 0 ? TYPE1 : IOMMUFD;
    strcpy(context->name, name);
    contexts = context;
    return context;
}

struct ioas *ioas_of(const struct context *context, uint32_t id)
{
    struct ioas *ioas = context->ioas;

    while (ioas != NULL && (id == 0 || ioas->id != id))
        ioas = ioas->next;
    return ioas;
}

struct ioas *ioas_made(struct context *context, uint32_t id)
{
    struct ioas *ioas = ioas_new(id);

    ioas->next = context->ioas;
    context->ioas = ioas;
    return ioas;
}

static void one_call(struct context *context, const struct call *call)
{
    const unsigned long before = judged;

    calls++;
    if (call->request == 0x3ba0)
        test_call(context, call);
    else if (call->request >= 0x3b80 && call->request != 0x3b88)
        iommufd_call(context, call);
    else
        vfio_call(context, call);
    if (judged == before)
        kind_of(call)->others++;
}

static bool read_line(FILE *file, struct call *call)
{
    static char before[2 * BYTES + 2], after[2 * BYTES + 2], array[2 * BYTES + 2];
    int fields = fscanf(file, "%39s %15s %d %d %8193s %8193s %8193s", call->context, call->what,
                        &call->result, &call->error, before, after, array);

    if (fields == EOF)
        return false;
    call->line++;
    if (fields != 7) {
        fprintf(stderr, "replay: line %lu is no line of a record\n", call->line);
        exit(2);
    }
    call->request = (uint32_t)strtoul(call->what, NULL, 16);
    call->before_size = from_hex(before, call->before);
    call->after_size = from_hex(after[0] == '=' ? before : after, call->after);
    call->array_size = from_hex(array, call->array);
    return true;
}

static void replay(FILE *file)
{
    static struct call call;

    while (read_line(file, &call)) {
        struct context *context = context_of(call.context);

        if (!strcmp(call.what, "close"))
            access_closed(context, (int)word(call.before, call.before_size, 0));
        else if (strcmp(call.what, "open") != 0)
            one_call(context, &call);
    }
}

static void show_totals(void)
{
    for (const struct kind *kind = kinds; kind->name != NULL; kind++)
        if (kind->accepted + kind->refused + kind->others > 0)
            printf("kind %s accepted %lu refused %lu others %lu\n", kind->name, kind->accepted,
                   kind->refused, kind->others);
    for (size_t i = 0; i < RULES; i++)
        printf("left %s %lu\n", rules[i], left[i]);
    printf("total calls %lu judged %lu differences %lu\n", calls, judged, differences);
}

int main(int argc, char **argv)
{
    FILE *file;
    int i = 1;

    for (; i < argc - 1; i++) {
        if (!strcmp(argv[i], "--injected"))
            injected = true;
        else if (!strcmp(argv[i], "--host") && i < argc - 2)
            host_bits = (unsigned)atoi(argv[++i]);
        else
            break;
    }
    file = i == argc - 1 ? fopen(argv[i], "r") : NULL;
    if (file == NULL) {
        fputs("usage: replay [--injected] [--host BITS] RECORD\n", stderr);
        return 2;
    }
    replay(file);
    fclose(file);
    show_totals();
    return judged == 0 || differences > 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "basics.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_ALIGN  16
#define MOST_FAULTS 1000

/* Blocks stand in a list, for the end. */
struct kept {
    struct kept *next;
};

static struct kept *all_kept;

void keep_apart(void)
{
    all_kept = NULL;
}

void free_kept(void)
{
    while (all_kept != NULL) {
        struct kept *next = all_kept->next;

        free(all_kept);
        all_kept = next;
    }
}

static void complain(const char *format, va_list arguments)
{
    fflush(stdout);
    fprintf(stderr, "%s: ", program_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void (*on_die)(int code, const char *words);

void die(int code, const char *format, ...)
{
    va_list arguments;

    if (on_die != NULL) {
        char words[1024];

        va_start(arguments, format);
        (void)vsnprintf(words, sizeof(words), format, arguments);
        va_end(arguments);
        on_die(code, words);
    }
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    exit(code);
}

void warn(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
}

void *keep(size_t size)
{
    static bool registered;
    struct kept *block = calloc(1, KEPT_ALIGN + size);

    if (block == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    if (!registered)
        atexit(free_kept);
    registered = true;
    block->next = all_kept;
    all_kept = block;
    return (char *)block + KEPT_ALIGN;
}

static void *allocate(void *context, size_t size)
{
    (void)context;
    return keep(size);
}

static void release(void *context, void *memory, size_t size)
{
    (void)context;
    (void)memory;
    (void)size;
}

const struct iovageom_allocator lasting = {allocate, release, NULL};

void *keep_grown(void *array, size_t count, size_t element_size)
{
    void *grown;

    /* Room is doubled when the count is a power of two. */
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    grown = keep((count == 0 ? 1 : 2 * count) * element_size);
    if (count != 0)
        memcpy(grown, array, count * element_size);
    return grown;
}

char *text(const char *format, ...)
{
    va_list arguments;
    char *made;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        die(EXIT_BAD_INPUT, "can't format a text");
    made = keep((size_t)length + 1);
    va_start(arguments, format);
    (void)vsnprintf(made, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return made;
}

bool same_words(const char *const *a, size_t a_count, const char *const *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        if (strcmp(a[i], b[i]) != 0)
            return false;
    }
    return true;
}

void buffer_add(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        die(EXIT_BAD_INPUT, "can't format a text");
    if (buffer->length + (size_t)length >= buffer->room) {
        char *grown;

        buffer->room = 2 * (buffer->length + (size_t)length) + 64;
        grown = keep(buffer->room);
        if (buffer->length != 0)
            memcpy(grown, buffer->text, buffer->length);
        buffer->text = grown;
    }
    va_start(arguments, format);
    (void)vsnprintf(buffer->text + buffer->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->length != 0 ? buffer->text : "";
}

/* ---- things by their names ---- */

static size_t hash_of(const char *name)
{
    size_t hash = 2166136261u;

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

/* The place of a name, or the free one where it would stand. */
static struct named *place_of(const struct lookup *lookup, const char *name)
{
    size_t at = hash_of(name) & (lookup->room - 1);

    while (lookup->places[at].name != NULL && strcmp(lookup->places[at].name, name) != 0)
        at = (at + 1) & (lookup->room - 1);
    return &lookup->places[at];
}

bool lookup_find(const struct lookup *lookup, const char *name, size_t *number)
{
    const struct named *place = lookup->room != 0 ? place_of(lookup, name) : NULL;

    if (place == NULL || place->name == NULL)
        return false;
    *number = place->number;
    return true;
}

void lookup_add(struct lookup *lookup, const char *name, size_t number)
{
    if (lookup->count * 2 >= lookup->room) {
        struct lookup grown = {.room = lookup->room != 0 ? 2 * lookup->room : 64};

        grown.places = keep(grown.room * sizeof(*grown.places));
        for (size_t i = 0; i < lookup->room; i++) {
            if (lookup->places[i].name != NULL)
                *place_of(&grown, lookup->places[i].name) = lookup->places[i];
        }
        grown.count = lookup->count;
        *lookup = grown;
    }
    *place_of(lookup, name) = (struct named){name, number};
    lookup->count++;
}

void add_words(const char ***list, size_t *count, const char *words)
{
    *list = keep_grown(*list, *count, sizeof(**list));
    (*list)[(*count)++] = words;
}

void fault(struct faults *faults, const char *format, ...)
{
    va_list arguments;
    char words[1024];

    if (faults->count >= MOST_FAULTS) {
        faults->more++;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    add_words(&faults->words, &faults->count, text("%s", words));
}

void faults_join(struct faults *faults, const struct faults *more)
{
    faults->more += more->more;
    for (size_t i = 0; i < more->count; i++) {
        if (faults->count >= MOST_FAULTS)
            faults->more++;
        else
            add_words(&faults->words, &faults->count, more->words[i]);
    }
}

void finish(int code)
{
    bool failed = ferror(stdout) != 0;

    /* Why an earlier write failed is not known any more. */
    errno = 0;
    if (fclose(stdout) != 0 || failed) {
        fprintf(stderr, "%s: can't write the output%s%s\n", program_name, errno != 0 ? ": " : "",
                errno != 0 ? strerror(errno) : "");
        exit(EXIT_BAD_INPUT);
    }
    exit(code);
}

const char *printable(const char *words)
{
    char *made = text("%s", words);

    for (char *at = made; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            *at = '?';
    }
    return made;
}

const char *quoted(const char *bytes, size_t length)
{
    enum { LONGEST = 96 };
    size_t shown = length < LONGEST ? length : LONGEST;
    char *made = keep(4 * shown + sizeof("\"\"..."));
    size_t at = 0;

    made[at++] = '"';
    for (size_t i = 0; i < shown; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte >= 0x20 && byte < 0x7f)
            made[at++] = (char)byte;
        else
            at += (size_t)sprintf(made + at, "\\x%02x", byte);
    }
    (void)sprintf(made + at, "%s\"", shown < length ? "..." : "");
    return made;
}

void print_field(unsigned width, unsigned indent, unsigned label_width, const char *label,
                 const char *words)
{
    unsigned start = indent + (*label != '\0' || label_width != 0 ? label_width + 1 : 0);
    unsigned at = start;

    printf("%*s", (int)indent, "");
    if (start != indent)
        printf("%-*s ", (int)label_width, label);
    while (*words != '\0') {
        size_t length = strcspn(words, " ");

        if (at != start && width != 0 && at + 1 + length > width) {
            printf("\n%*s", (int)start, "");
            at = start;
        }
        if (at != start)
            putchar(' ');
        printf("%.*s", (int)length, words);
        at += (unsigned)length + (at != start ? 1 : 0);
        words += length;
        words += strspn(words, " ");
    }
    putchar('\n');
}

static const char *address_text(uint64_t address)
{
    return address == 0 ? "0" : text("0x%llx", (unsigned long long)address);
}

const char *range_text(struct iovageom_range range)
{
    return text("[%s,%s]", address_text(range.start), address_text(range.last));
}

/*
 * What is exact has no point: "4078M". What is not is rounded down, never to a size that it doesn't
 * have, and shows by its point that it is not exact: "508.0G".
 */
const char *size_text(struct iovageom_size size)
{
    static const char units[] = "BKMGTPE";
    unsigned unit = 0;
    uint64_t tenths;

    if (size.hi != 0)
        return "16E";
    while (unit < 6 && size.lo >> (10 * (unit + 1)) != 0)
        unit++;
    if (unit == 0)
        return text("%lluB", (unsigned long long)size.lo);
    for (unsigned exact = unit; exact + 1 >= unit; exact--) {
        uint64_t whole = size.lo >> (10 * exact);

        if (whole << (10 * exact) == size.lo && whole < 10000)
            return text("%llu%c", (unsigned long long)whole, units[exact]);
        if (exact == 0)
            break;
    }
    /* Of 1024ths of the unit, so that it can't overflow. */
    tenths = ((size.lo >> (10 * (unit - 1))) * 10) / 1024;
    return text("%llu.%llu%c", (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10),
                units[unit]);
}

static const char *one_size_text(unsigned bit)
{
    return text("%u%c", 1U << bit % 10, "BKMGTPE"[bit / 10]);
}

const char *page_sizes_text(uint64_t mask)
{
    const char *all = "";

    for (unsigned bit = 0; bit < 64; bit++) {
        unsigned end = bit;

        if ((mask >> bit & 1) == 0)
            continue;
        while (end < 63 && (mask >> (end + 1) & 1) != 0)
            end++;
        if (end - bit < 2)
            end = bit;
        all = text("%s%s%s%s%s", all, *all != '\0' ? " " : "", one_size_text(bit),
                   end != bit ? "-" : "", end != bit ? one_size_text(end) : "");
        bit = end;
    }
    return *all != '\0' ? all : "none";
}

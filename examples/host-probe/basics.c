/* SPDX-License-Identifier: BSD-3-Clause */
#include "basics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST_FILE ((size_t)1 << 20)
#define KEPT_ALIGN   16

/* Blocks stand in a list, for the end. */
struct kept {
    struct kept *next;
};

static struct kept *all_kept;

static void free_kept(void)
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

void die(int code, const char *format, ...)
{
    va_list arguments;

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
    struct kept *block = calloc(1, KEPT_ALIGN + size);

    if (block == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    if (all_kept == NULL)
        atexit(free_kept);
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

void add_words(const char ***list, size_t *count, const char *words)
{
    *list = keep_grown(*list, *count, sizeof(**list));
    (*list)[(*count)++] = words;
}

void fault(struct faults *faults, const char *format, ...)
{
    va_list arguments;
    char words[1024];

    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    add_words(&faults->words, &faults->count, text("%s", words));
}

void faults_join(struct faults *faults, const struct faults *more)
{
    for (size_t i = 0; i < more->count; i++)
        add_words(&faults->words, &faults->count, more->words[i]);
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

/* All that an open file gives, if that is not too much, or why not. */
static const char *read_all(int fd, struct blob *blob)
{
    uint8_t *bytes = malloc(LARGEST_FILE + 1);
    int error = 0;
    ssize_t got = 1;

    if (bytes == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    while (blob->length <= LARGEST_FILE && got > 0) {
        got = read(fd, bytes + blob->length, LARGEST_FILE + 1 - blob->length);
        if (got > 0)
            blob->length += (size_t)got;
        else if (got < 0 && errno == EINTR)
            got = 1;
    }
    if (got < 0)
        error = errno;
    else if (blob->length <= LARGEST_FILE) {
        blob->bytes = keep(blob->length + 1);
        memcpy(blob->bytes, bytes, blob->length);
    }
    free(bytes);
    if (error != 0)
        return strerror(error);
    return blob->length > LARGEST_FILE ? text("larger than %zu bytes", LARGEST_FILE) : NULL;
}

static const char *read_open(int fd, struct blob *blob)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return strerror(errno);
    if (S_ISDIR(status.st_mode))
        return "not a file, but a directory";
    if (!S_ISREG(status.st_mode))
        return "not a plain file";
    return read_all(fd, blob);
}

struct blob read_stdin(struct faults *faults)
{
    struct blob blob = {.path = "standard input"};
    const char *wrong = read_all(STDIN_FILENO, &blob);

    blob.there = wrong == NULL;
    if (wrong != NULL) {
        blob.length = 0;
        fault(faults, "%s: %s", blob.path, wrong);
    }
    return blob;
}

struct blob read_file(const char *path, struct faults *faults)
{
    struct blob blob = {.path = text("%s", path)};
    /* What stands in a file's place may be a FIFO, which would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *wrong;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return blob;
    wrong = fd < 0 ? strerror(errno) : read_open(fd, &blob);
    if (fd >= 0)
        (void)close(fd);
    blob.there = wrong == NULL;
    if (wrong != NULL) {
        blob.length = 0;
        fault(faults, "%s: %s", path, wrong);
    }
    return blob;
}

char **lines_of(const struct blob *blob)
{
    char **lines = keep(sizeof(*lines));
    size_t count = 0;
    char *copy;
    char *rest;
    char *line;

    if (!blob->there)
        return lines;
    copy = text("%s", (const char *)blob->bytes);
    for (line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        size_t length = strlen(line);

        if (length > 0 && line[length - 1] == '\r')
            line[--length] = '\0';
        if (length == 0)
            continue;
        lines = keep_grown(lines, count + 1, sizeof(*lines));
        lines[count++] = line;
        lines[count] = NULL;
    }
    return lines;
}

char *read_line(const char *path, struct faults *faults)
{
    struct blob blob = read_file(path, faults);
    char **lines = lines_of(&blob);

    if (!blob.there)
        return NULL;
    return lines[0] != NULL ? lines[0] : text("%s", "");
}

/* Numbers by their value, as in iommu_groups, all else by bytes. */
static int compare_names(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

char **list_directory(const char *path, struct faults *faults)
{
    DIR *directory = opendir(path);
    int error = errno;
    struct stat status;
    char **names = keep(sizeof(*names));
    struct dirent *entry;
    size_t count = 0;

    if (directory == NULL) {
        /* ENOTDIR is said of a path below a file as well: then there is no such directory. */
        if (error != ENOENT && (error != ENOTDIR || lstat(path, &status) == 0))
            fault(faults, "%s: %s", path, strerror(error));
        return NULL;
    }
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        names = keep_grown(names, count + 1, sizeof(*names));
        names[count++] = text("%s", entry->d_name);
        names[count] = NULL;
    }
    (void)closedir(directory);
    qsort(names, count, sizeof(*names), compare_names);
    return names;
}

char *link_name(const char *path)
{
    char target[4096];
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    const char *slash;

    if (length < 0)
        return errno == ENOENT || errno == ENOTDIR ? text("%s", "") : NULL;
    target[length] = '\0';
    slash = strrchr(target, '/');
    return text("%s", slash != NULL ? slash + 1 : target);
}

static void make_directories(const char *path)
{
    char *copy = text("%s", path);

    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            die(EXIT_BAD_INPUT, "%s: %s", copy, strerror(errno));
        *slash = '/';
    }
}

void write_file(const char *path, const void *bytes, size_t length)
{
    FILE *stream;

    make_directories(path);
    stream = fopen(path, "wbe");
    if (stream == NULL)
        die(EXIT_BAD_INPUT, "%s: %s", path, strerror(errno));
    if ((length != 0 && fwrite(bytes, 1, length, stream) != length) || fclose(stream) != 0)
        die(EXIT_BAD_INPUT, "%s: %s", path, strerror(errno));
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

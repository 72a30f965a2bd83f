/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_BASICS_H
#define HOST_PROBE_BASICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/range.h>
#include <iovageom/status.h>

/** What the program ends with. */
enum exit_code {
    EXIT_GOOD = 0,
    EXIT_BAD_INPUT = 1, /**< nothing of what was asked for could be read or understood */
    EXIT_USAGE = 2,     /**< the command line is wrong */
    EXIT_NOT_FOUND = 3, /**< there is no such group or device */
    EXIT_NO_GROUPS = 4, /**< there are no IOMMU groups */
    EXIT_LEFT_OUT = 5,  /**< a part could not be read or understood; the rest is shown */
    EXIT_REFUSED = 6    /**< the group can't be assigned, and that was to be refused */
};

#define PRINTF_LIKE(words, first) __attribute__((format(printf, words, first)))

/** The name under which the program was called. */
extern const char *program_name;

/** Where this is set, die() calls it instead of ending the program; it must not return. */
extern void (*on_die)(int code, const char *words);

/** Says "iovageom-probe: ..." on stderr, and ends. */
_Noreturn void die(int code, const char *format, ...) PRINTF_LIKE(2, 3);

/** For calls of the library that fail for want of memory only: then the program ends. */
static inline void must(int status)
{
    if (status < 0)
        die(EXIT_BAD_INPUT, "%s", iovageom_status_string(status));
}

/** Says "iovageom-probe: ..." on stderr. */
void warn(const char *format, ...) PRINTF_LIKE(1, 2);

/** Memory that lives until the program ends. Never NULL; zeroed. */
void *keep(size_t size);

/** More room for an array from keep(): a copy with `count` + 1 elements or more. */
void *keep_grown(void *array, size_t count, size_t element_size);

/** The same for the library: what it makes lives until the end, too. */
extern const struct iovageom_allocator lasting;

/** Frees all that keep() gave. The end of the program does it. */
void free_kept(void);

/** What was kept until now stays, whatever free_kept() does: for a process that reads many
 * hosts. */
void keep_apart(void);

/** Text from keep(). */
char *text(const char *format, ...) PRINTF_LIKE(1, 2);

/** Whether two lists hold the same texts, in the same order. */
bool same_words(const char *const *a, size_t a_count, const char *const *b, size_t b_count);

/** A text that grows, for what is put together from many pieces. */
struct buffer {
    char *text;
    size_t length;
    size_t room;
};

void buffer_add(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/** All of it; "" for nothing. */
const char *buffer_text(const struct buffer *buffer);

/** Numbers by names, each found at once, however many there are. Empty when zeroed. */
struct lookup {
    struct named {
        const char *name;
        size_t number;
    } * places;
    size_t room; /**< a power of two */
    size_t count;
};

bool lookup_find(const struct lookup *lookup, const char *name, size_t *number);

/** Adds a name that is not there yet. It must last. */
void lookup_add(struct lookup *lookup, const char *name, size_t number);

/** What is wrong with a group, an IOMMU or a host: each names the file. */
struct faults {
    const char **words;
    size_t count;
    size_t more; /**< that are only counted: there are too many to be read */
};

/** Adds a fault. */
void fault(struct faults *faults, const char *format, ...) PRINTF_LIKE(2, 3);

/** Adds all faults of another list. */
void faults_join(struct faults *faults, const struct faults *more);

/** Adds a text to a list of them. */
void add_words(const char ***list, size_t *count, const char *words);

/** Bytes of a file, or that there was none. */
struct blob {
    bool there;
    uint8_t *bytes; /**< a 0 follows, that is not counted */
    size_t length;
    const char *path;      /**< for messages */
    const size_t *numbers; /**< of its lines, in the file of which they are a part; NULL for all */
};

/** The number of a line, from 1 on, for messages. */
size_t line_number(const struct blob *blob, size_t line);

/**
 * Reads a file. One that does not exist gives a blob that is not there; so does one that can't be
 * read (no plain file, too large, not allowed), and that is a fault.
 */
struct blob read_file(const char *path, struct faults *faults);

/** All of standard input, within the same bounds. */
struct blob read_stdin(struct faults *faults);

/** A file, or standard input ("-"), that may be as large as a kernel's log or an archive. */
struct blob read_large(const char *path, struct faults *faults);

/** The first line of a file, without its newline; NULL when it is not there. */
char *read_line(const char *path, struct faults *faults);

/** The lines of a blob. NULL-terminated. */
char **lines_of(const struct blob *blob);

/**
 * The names in a directory, without hidden ones, in natural order; NULL when there is none, or when
 * it can't be read, which is a fault.
 */
char **list_directory(const char *path, struct faults *faults);

/** The last part of where a symbolic link leads; "" when there is none, NULL when that can't be
 * read. */
char *link_name(const char *path);

/** Writes a file anew, with the directories above it, or ends. */
void write_file(const char *path, const void *bytes, size_t length);

/** Ends with `code`, or with EXIT_BAD_INPUT when standard output could not be written. */
_Noreturn void finish(int code);

/** Foreign text with a ? for whatever a terminal may obey. */
const char *printable(const char *words);

/** Foreign text for a message: in double quotes, cut when it is long, nothing that a terminal
 * obeys. */
const char *quoted(const char *bytes, size_t length);

/**
 * Prints `words` behind `label` at an indent. What is too long for a line of `width` (0: none is)
 * goes on below itself.
 */
void print_field(unsigned width, unsigned indent, unsigned label_width, const char *label,
                 const char *words);

/** "[0,0xfedfffff]" */
const char *range_text(struct iovageom_range range);

/** "1M"; with one digit after the point where that is not exact. */
const char *size_text(struct iovageom_size size);

/** "4K 2M 1G"; runs of sizes as "4K-256G". */
const char *page_sizes_text(uint64_t mask);

#endif

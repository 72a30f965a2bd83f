/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_BASICS_H
#define HOST_PROBE_BASICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/range.h>

/** What the program ends with. */
enum exit_code {
    EXIT_GOOD = 0,
    EXIT_BAD_INPUT = 1, /**< a file can't be read, or says what can't be */
    EXIT_USAGE = 2,     /**< the command line is wrong */
    EXIT_NOT_FOUND = 3, /**< there is no such group or device */
    EXIT_NO_GROUPS = 4  /**< there are no IOMMU groups */
};

#define PRINTF_LIKE(words, first) __attribute__((format(printf, words, first)))

/** Says "host-probe: ..." on stderr, and ends. */
_Noreturn void die(int code, const char *format, ...) PRINTF_LIKE(2, 3);

/** Says "host-probe: ..." on stderr. */
void warn(const char *format, ...) PRINTF_LIKE(1, 2);

/** Memory that lives until the program ends. Never NULL; zeroed. */
void *keep(size_t size);

/** More room for an array from keep(): a copy with `count` + 1 elements or more. */
void *keep_grown(void *array, size_t count, size_t element_size);

/** The same for the library: what it makes lives until the end, too. */
extern const struct iovageom_allocator lasting;

/** Text from keep(). */
char *text(const char *format, ...) PRINTF_LIKE(1, 2);

/** Bytes of a file, or that there was none. */
struct blob {
    bool there;
    uint8_t *bytes; /**< a 0 follows, that is not counted */
    size_t length;
    const char *path; /**< for messages */
};

/** Reads a file. One that does not exist gives a blob that is not there; anything else ends. */
struct blob read_file(const char *path);

/** The first line of a file, without its newline; NULL when it is not there. */
char *read_line(const char *path);

/** The lines of a blob. NULL-terminated. */
char **lines_of(const struct blob *blob);

/** The names in a directory, without hidden ones, in natural order; NULL when there is none. */
char **list_directory(const char *path);

/** The last part of where a symbolic link leads, or NULL. */
char *link_name(const char *path);

/** Writes a file anew, with the directories above it, or ends. */
void write_file(const char *path, const void *bytes, size_t length);

/** "[0,0xfedfffff]" */
const char *range_text(struct iovageom_range range);

/** "1M"; with one digit after the point where that is not exact. */
const char *size_text(struct iovageom_size size);

/** "4K 2M 1G"; runs of sizes as "4K-256G". */
const char *page_sizes_text(uint64_t mask);

#endif

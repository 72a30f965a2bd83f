/* SPDX-License-Identifier: BSD-3-Clause */

/* Files of this machine, and of archives (tree.h). */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basics.h"
#include "tree.h"

#define LARGEST_FILE  ((size_t)1 << 20)
#define LARGEST_INPUT ((size_t)64 << 20)

/* All that an open file gives, if that is not too much, or why not. */
static const char *read_all(int fd, struct blob *blob, size_t most)
{
    size_t room = 0;
    uint8_t *bytes = NULL;
    int error = 0;
    ssize_t got = 1;

    /* Most files of sysfs have a line or two: begin with a page, and double it. */
    while (blob->length <= most && got > 0) {
        if (blob->length == room) {
            room = room == 0 ? 4096 : 2 * room;
            room = room > most ? most + 1 : room;
            bytes = realloc(bytes, room);
            if (bytes == NULL)
                die(EXIT_BAD_INPUT, "out of memory");
        }
        got = read(fd, bytes + blob->length, room - blob->length);
        if (got > 0)
            blob->length += (size_t)got;
        else if (got < 0 && errno == EINTR)
            got = 1;
    }
    if (got < 0)
        error = errno;
    else if (blob->length <= most) {
        blob->bytes = keep(blob->length + 1);
        memcpy(blob->bytes, bytes, blob->length);
    }
    free(bytes);
    if (error != 0)
        return strerror(error);
    return blob->length > most ? text("larger than %zu bytes", most) : NULL;
}

static const char *read_open(int fd, struct blob *blob, size_t most)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return strerror(errno);
    if (S_ISDIR(status.st_mode))
        return "not a file, but a directory";
    if (!S_ISREG(status.st_mode))
        return "not a plain file";
    return read_all(fd, blob, most);
}

static struct blob read_path(const char *path, size_t most, struct faults *faults)
{
    struct blob blob = {.path = text("%s", path)};
    /* What stands in a file's place may be a FIFO, which would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *wrong;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return blob;
    wrong = fd < 0 ? strerror(errno) : read_open(fd, &blob, most);
    if (fd >= 0)
        (void)close(fd);
    blob.there = wrong == NULL;
    if (wrong != NULL) {
        blob.length = 0;
        fault(faults, "%s: %s", path, wrong);
    }
    return blob;
}

static struct blob read_input(size_t most, struct faults *faults)
{
    struct blob blob = {.path = "standard input"};
    const char *wrong = read_all(STDIN_FILENO, &blob, most);

    blob.there = wrong == NULL;
    if (wrong != NULL) {
        blob.length = 0;
        fault(faults, "%s: %s", blob.path, wrong);
    }
    return blob;
}

struct blob read_stdin(struct faults *faults)
{
    return read_input(LARGEST_FILE, faults);
}

struct blob read_large(const char *path, struct faults *faults)
{
    return strcmp(path, "-") == 0 ? read_input(LARGEST_INPUT, faults)
                                  : read_path(path, LARGEST_INPUT, faults);
}

struct blob read_file(const char *path, struct faults *faults)
{
    const struct tree *tree = tree_of(path);

    return tree != NULL ? tree_read(tree, path, faults) : read_path(path, LARGEST_FILE, faults);
}

size_t line_number(const struct blob *blob, size_t line)
{
    return blob->numbers != NULL ? blob->numbers[line - 1] : line;
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
int compare_names(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

char **list_directory(const char *path, struct faults *faults)
{
    const struct tree *tree = tree_of(path);
    DIR *directory = tree == NULL ? opendir(path) : NULL;
    int error = errno;
    struct stat status;
    char **names = keep(sizeof(*names));
    struct dirent *entry;
    size_t count = 0;

    if (tree != NULL)
        return tree_list(tree, path);
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
    const struct tree *tree = tree_of(path);
    char target[4096];
    ssize_t length;
    const char *slash;

    if (tree != NULL)
        return tree_link_name(tree, path);
    length = readlink(path, target, sizeof(target) - 1);
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

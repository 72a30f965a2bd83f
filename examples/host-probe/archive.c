/* SPDX-License-Identifier: BSD-3-Clause */

/* Archives of tar, compressed or not, read by libarchive (BSD) in memory, and never unpacked. */

#include "archive.h"

#include <string.h>

#include "tree.h"

#ifdef HAVE_ARCHIVE
#include <archive.h>
#include <archive_entry.h>
#endif

bool archive_looks_like(const struct blob *blob)
{
    static const struct {
        size_t offset, length;
        const char *magic;
    } magics[] = {
        {257, 5, "ustar"},
        {0, 2, "\x1f\x8b"},
        {0, 6,
         "\xfd"
         "7zXZ"},
        {0, 4, "\x28\xb5\x2f\xfd"},
        {0, 3, "BZh"},
    };

    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (blob->length >= magics[i].offset + magics[i].length &&
            memcmp(blob->bytes + magics[i].offset, magics[i].magic, magics[i].length) == 0)
            return true;
    }
    return false;
}

#ifdef HAVE_ARCHIVE

/* An archive is small and may say that it is large: no more than this is looked at. */
#define MOST_FILES   200000
#define LARGEST_FILE ((size_t)1 << 20)
#define MOST_BYTES   ((size_t)256 << 20)

/* What is read of one file, and how much of the whole archive was. */
struct reading {
    struct archive *archive;
    struct tree *tree;
    uint8_t *bytes; /* LARGEST_FILE of them */
    size_t total;
    size_t left_out;
};

/* The bytes of a file. Those of one that is too large are read over; false when all is too much. */
static bool read_entry(struct reading *reading, size_t *length, bool *whole)
{
    ssize_t got;

    *length = 0;
    *whole = true;
    do {
        uint8_t spare[4096];
        uint8_t *at = *whole ? reading->bytes + *length : spare;
        size_t room = *whole ? LARGEST_FILE - *length : sizeof(spare);

        if (room == 0) {
            *whole = false;
            at = spare;
            room = sizeof(spare);
        }
        got = archive_read_data(reading->archive, at, room);
        if (got > 0 && *whole)
            *length += (size_t)got;
        reading->total += got > 0 ? (size_t)got : 0;
    } while (got > 0 && reading->total <= MOST_BYTES);
    return got == 0;
}

static bool take_entry(struct reading *reading, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    const char *earlier = archive_entry_hardlink(entry);
    const char *target = archive_entry_symlink(entry);
    const bool regular = archive_entry_filetype(entry) == AE_IFREG;
    bool whole = true;
    size_t length = 0;

    if (regular && !read_entry(reading, &length, &whole))
        return false;
    if (regular && !whole) {
        reading->left_out++;
        return true;
    }
    if (regular)
        target = NULL;
    /* Another name of an earlier file has no bytes here: it is read like a link to that. */
    if (earlier != NULL)
        target = text("/%s", earlier);
    if (name == NULL || (!regular && target == NULL))
        return true;
    if (!tree_add(reading->tree, name, reading->bytes, length, target))
        reading->left_out++;
    return true;
}

static void read_entries(struct reading *reading, const char *path, struct faults *faults)
{
    struct archive_entry *entry;
    size_t count = 0;
    int status;

    while ((status = archive_read_next_header(reading->archive, &entry)) == ARCHIVE_OK ||
           status == ARCHIVE_WARN) {
        if (count++ == MOST_FILES) {
            fault(faults, "%s: more than %d files: the rest is left out", path, MOST_FILES);
            return;
        }
        if (take_entry(reading, entry))
            continue;
        if (reading->total > MOST_BYTES)
            fault(faults, "%s: more than %zu bytes: the rest is left out", path, MOST_BYTES);
        else
            fault(faults, "%s: %s", path, printable(archive_error_string(reading->archive)));
        return;
    }
    if (status != ARCHIVE_EOF)
        fault(faults, "%s: %s", path, printable(archive_error_string(reading->archive)));
}

bool archive_mount(const struct blob *blob, struct faults *faults)
{
    struct reading reading = {.archive = archive_read_new(), .tree = tree_mount(blob->path)};

    if (reading.archive == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    reading.bytes = keep(LARGEST_FILE);
    (void)archive_read_support_filter_gzip(reading.archive);
    (void)archive_read_support_filter_bzip2(reading.archive);
    (void)archive_read_support_filter_xz(reading.archive);
    (void)archive_read_support_filter_zstd(reading.archive);
    (void)archive_read_support_format_tar(reading.archive);
    if (archive_read_open_memory(reading.archive, blob->bytes, blob->length) != ARCHIVE_OK)
        fault(faults, "%s: %s", blob->path, printable(archive_error_string(reading.archive)));
    else
        read_entries(&reading, blob->path, faults);
    if (reading.left_out != 0)
        fault(faults, "%s: %zu files are too large, or their names lead elsewhere: left out",
              blob->path, reading.left_out);
    (void)archive_read_free(reading.archive);
    tree_finish(reading.tree);
    return true;
}

#else

bool archive_mount(const struct blob *blob, struct faults *faults)
{
    fault(faults, "%s: an archive, and this program was built without libarchive: unpack it first",
          blob->path);
    return false;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_STREAM_H
#define IOVAGEOM_LIB_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/range.h>

/*
 * Writing and reading of the saved forms that docs/formats.md specifies: a head with magic, version
 * and checksum, then fields without padding, little-endian.
 */

/* What the head of a form looks like. Offsets are in bytes. */
struct iovageom_form {
    char magic[8];
    uint32_t version; /* at 8 */
    uint32_t head;    /* bytes of the head; its last 8 are the checksum */
    bool sized;       /* the head has its own size, u32 at 12, and that of all, u64 at 16; then the
                         checksum covers the head too, and a later writer's head may be longer */
    size_t least;     /* bytes of the shortest form: fewer are IOVAGEOM_ERR_TRUNCATED */
};

/* ---- writing ---- */

/*
 * Where the next byte goes. A field that does not fit is counted and not written: so `used` is the
 * size that is needed, even with `bytes` NULL and `size` 0. Begin with `used` = the form's head.
 */
struct iovageom_writer {
    uint8_t *bytes;
    size_t size;
    size_t used;
};

/* The lowest `width` bytes of a number, 1 to 8. */
void iovageom_write(struct iovageom_writer *writer, uint64_t number, size_t width);
void iovageom_write_bytes(struct iovageom_writer *writer, const void *bytes, size_t count);
void iovageom_write_range(struct iovageom_writer *writer, struct iovageom_range range);

/*
 * Writes the head, when all else is written. *needed (may be NULL) receives the size of all, on
 * success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 */
int iovageom_write_end(struct iovageom_writer *writer, const struct iovageom_form *form,
                       size_t *needed);

/* ---- reading ---- */

/*
 * What is left of hostile bytes. Reading past the end gives 0, and sets `status` to
 * IOVAGEOM_ERR_TRUNCATED for good: a caller reads all fields and looks at `status` once.
 */
struct iovageom_reader {
    const uint8_t *at;
    size_t left;
    int status;
};

/*
 * Checks the head, and stands behind it. IOVAGEOM_ERR_TRUNCATED, IOVAGEOM_ERR_MALFORMED (magic,
 * sizes, checksum), IOVAGEOM_ERR_VERSION. O(length), for the checksum.
 */
int iovageom_read_begin(struct iovageom_reader *reader, const void *bytes, size_t length,
                        const struct iovageom_form *form);

uint32_t iovageom_read32(struct iovageom_reader *reader);
uint64_t iovageom_read64(struct iovageom_reader *reader);
/* Not checked: start may be above last. */
struct iovageom_range iovageom_read_range(struct iovageom_reader *reader);

/* The next `length` bytes as a reader of their own. This reader goes on behind them. */
struct iovageom_reader iovageom_read_part(struct iovageom_reader *reader, uint64_t length);

/*
 * For a part: IOVAGEOM_OK when all of it was read, and no more. Else IOVAGEOM_ERR_MALFORMED: its
 * length was not that of what it holds.
 */
int iovageom_read_end(const struct iovageom_reader *reader);

#endif

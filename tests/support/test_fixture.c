/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/test_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test_native.h"

#define LARGEST ((size_t)1 << 20)

void *test_fixture_read(const char *folder, const char *file, size_t *length)
{
    char path[1024];
    void *bytes = malloc(LARGEST);
    FILE *stream;

    (void)snprintf(path, sizeof(path), "%s/%s/%s", TEST_FIXTURES, folder, file);
    stream = fopen(path, "rb");
    if (stream == NULL || bytes == NULL) {
        perror(path);
        abort();
    }
    *length = fread(bytes, 1, LARGEST, stream);
    (void)fclose(stream);
    if (*length == 0)
        return bytes;

    void *exact = realloc(bytes, *length);

    if (exact == NULL)
        abort();
    return exact;
}

static uint64_t little(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i-- > 0;)
        value = value * 256 + bytes[i];
    return value;
}

/* A digit for each number of a structure, its width in bytes; the last one goes on to the end. */
static void turn(uint8_t *bytes, size_t at, size_t length, const char *widths)
{
    while (at < length) {
        size_t width = (size_t)(*widths - '0');

        if (at + width > length)
            return;
        test_store_native(bytes + at, little(bytes + at, width), width);
        at += width;
        widths += widths[1] != '\0';
    }
}

static void turn_vfio(uint8_t *bytes, size_t length)
{
    uint32_t next = length >= 20 ? (uint32_t)little(bytes + 16, 4) : 0;

    turn(bytes, 0, length < 24 ? length : 24, "44844");
    while (next != 0) {
        size_t at = next;
        unsigned id = (unsigned)little(bytes + at, 2);

        next = (uint32_t)little(bytes + at + 4, 4);
        /* The capabilities of a capture stand in the order of the chain. */
        turn(bytes, at, next != 0 ? next : length,
             id == 2   ? "224448"
             : id == 3 ? "2244"
                       : "224448");
    }
}

void *test_fixture_read_answer(const char *folder, const char *file, size_t *length)
{
    uint8_t *bytes = test_fixture_read(folder, file, length);

    if (!test_is_big_endian())
        return bytes;
    if (strncmp(file, "vfio", 4) == 0)
        turn_vfio(bytes, *length);
    else if (strstr(file, "hw_info.hdr") != NULL)
        turn(bytes, 0, *length, "44448411118");
    else if (strstr(file, "hw_info.data") != NULL)
        turn(bytes, 0, *length, "448");
    else
        turn(bytes, 0, *length, strstr(file, ".hdr.") != NULL ? "44448" : "8");
    return bytes;
}

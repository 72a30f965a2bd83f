/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/test_fixture.h"

#include <stdio.h>
#include <stdlib.h>

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

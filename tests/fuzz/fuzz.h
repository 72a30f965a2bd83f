/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_FUZZ_H
#define IOVAGEOM_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the run with the line that does not hold. */
#define fuzz_check(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input is read piece by piece; what is missing reads as 0. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

static inline uint64_t fuzz_number(struct fuzz_input *input, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++) {
        if (input->size == 0)
            return value;
        value |= (uint64_t)*input->data << 8 * i;
        input->data++;
        input->size--;
    }
    return value;
}

/* Up to `most` bytes of it, in a block of exactly that size, so that sanitizers see a read beyond.
 * The caller frees it. */
static inline uint8_t *fuzz_bytes(struct fuzz_input *input, size_t most, size_t *length)
{
    uint8_t *copy;

    *length = most < input->size ? most : input->size;
    copy = malloc(*length + (*length == 0));
    if (copy == NULL)
        abort();
    if (*length > 0)
        memcpy(copy, input->data, *length);
    input->data += *length;
    input->size -= *length;
    return copy;
}

#endif

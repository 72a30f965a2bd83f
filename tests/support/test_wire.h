/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_WIRE_H
#define IOVAGEOM_TEST_WIRE_H

#include "virtio/virtio_internal.h"

/* The properties of a list of regions, if it is a wire list. */
static inline int test_encode_probe(const struct iovageom_region *list, size_t count, void *buffer,
                                    size_t size, size_t *needed)
{
    int status = iovageom_wire_check(list, count);

    return status < 0 ? status : iovageom_wire_encode(list, count, buffer, size, needed);
}

#endif

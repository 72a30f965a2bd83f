/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_CONFIG_H
#define TEST_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "base/bytes.h"

/*
 * The config space as a driver reads it: by offsets of its own, as lib/virtio writes it by others,
 * so that a wrong one shows. A device may lack the last field, `bypass`; then that is 0.
 */
static inline int test_decode_config(const void *bytes, size_t size,
                                     struct iovageom_virtio_config *out)
{
    const uint8_t *at = bytes;
    struct iovageom_virtio_config config;

    if (size < 36)
        return IOVAGEOM_ERR_TRUNCATED;
    config.page_size_mask = iovageom_load_le64(at);
    config.input_range.start = iovageom_load_le64(at + 8);
    config.input_range.last = iovageom_load_le64(at + 16);
    config.domain_start = iovageom_load_le32(at + 24);
    config.domain_last = iovageom_load_le32(at + 28);
    config.probe_size = iovageom_load_le32(at + 32);
    config.bypass = size > 36 ? at[36] & 1 : 0;
    if (config.page_size_mask == 0)
        return IOVAGEOM_ERR_MALFORMED;
    if (config.input_range.start > config.input_range.last ||
        config.domain_start > config.domain_last)
        return IOVAGEOM_ERR_INVERTED;
    *out = config;
    return IOVAGEOM_OK;
}

#endif

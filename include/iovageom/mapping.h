/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_MAPPING_H
#define IOVAGEOM_MAPPING_H

#include <stdint.h>

#include <iovageom/range.h>

/**
 * @file
 * A mapping of a domain, as a guest's MAP request makes it (virtio specification 1.4).
 */

/** A live mapping: the IOVAs of `range` go to guest-physical addresses from `phys` on. */
struct iovageom_mapping {
    struct iovageom_range range;
    uint64_t phys;  /**< where range.start goes, in bytes */
    uint32_t flags; /**< IOVAGEOM_VIRTIO_MAP_F_* */
};

#endif

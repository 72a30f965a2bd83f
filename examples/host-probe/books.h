/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_BOOKS_H
#define HOST_PROBE_BOOKS_H

#include <iovageom/viommu.h>

#include "basics.h"

/* What a guest relies on, as a VMM saved it with iovageom_viommu_save(). */

struct books {
    struct iovageom_viommu *viommu;
    uint32_t *endpoints; /**< that were told something, or are attached; in ascending order */
    size_t count;
    uint64_t page_size_mask;
};

/** Whether bytes begin as such books do. */
bool books_look_like(const struct blob *blob);

/** NULL, or what is wrong with the bytes. */
const char *books_read(const struct blob *blob, struct books *books);

/** Leaves that endpoint alone; false where the guest was told nothing of it. */
bool books_choose(struct books *books, uint32_t endpoint);

/** All that an endpoint was promised, and all that is mapped in its domain. */
struct iovageom_geometry *books_promise(const struct books *books, uint32_t endpoint);

/**
 * Why a device with that geometry can't be plugged there, beside a promise and pages: each reason
 * is added to the list.
 */
void books_refusals(const struct books *books, uint32_t endpoint,
                    const struct iovageom_geometry *geometry, const char ***list, size_t *count);

#endif

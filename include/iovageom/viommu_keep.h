/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIOMMU_KEEP_H
#define IOVAGEOM_VIOMMU_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/viommu_setup.h>

/**
 * @file
 * Keeping what a guest relies on: for a migration, a snapshot, or a restart of the VMM.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Write what a guest relies on: frozen configuration, endpoints and their groups, promises, domains
 * and mappings. Versioned, little-endian, checked. Hosts' geometries are not in it: the destination
 * has its own.
 *
 * Whatever can be saved can be loaded into an object that is like this one: configured alike, with
 * the same devices, regions, envelope and identity ranges, and not frozen. The one exception is
 * what only ALLOW_STALE let pass.
 *
 * @param buffer may be NULL when size is 0.
 * @param needed receives the size in bytes, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL. May be
 *        NULL.
 * @return IOVAGEOM_ERR_STATE when not frozen or a plug is prepared; IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 *         O(n + all mappings).
 */
IOVAGEOM_API int iovageom_viommu_save(const struct iovageom_viommu *viommu, void *buffer,
                                      size_t size, size_t *needed);

/** How to load, as bits of `flags`. */
enum iovageom_load_flag {
    /**
     * Devices may come later. An endpoint of the stream that isn't here is made. An empty slot
     * counts as one with a device if the stream attaches it, or if its guest group was promised
     * something and nobody else is there who relies on that; and so does an endpoint whose device
     * is only prepared. Promises and mappings hold, and each device is judged against them when it
     * is plugged; until then its endpoint is `expected`. Take back what never comes with
     * iovageom_viommu_undeclare(); a reset does it for all that were made so. The guest groups that
     * are made have no number yet: the first plug there that names one gives it, and if that plug
     * is aborted, the number stays. Declare EMULATED endpoints and slots before the load: an
     * endpoint that it makes is one of a device. A stream does not say what its source still
     * expects: the destination of such a one is loaded with this flag again.
     */
    IOVAGEOM_LOAD_EXPECT_DEVICES = 1,
    /**
     * A dry run, with the same findings and the same status: whether this destination is fit for
     * that source. The object is changed, and then changed back.
     */
    IOVAGEOM_LOAD_CHECK = 2
};

/**
 * Take over what iovageom_viommu_save() wrote, into an object that was configured like the source,
 * and has its devices plugged like it (or see IOVAGEOM_LOAD_EXPECT_DEVICES), but is not frozen and
 * has seen no guest. The bytes are taken as hostile. A VMM that loads a snapshot into a machine
 * which ran calls iovageom_viommu_reset() and iovageom_viommu_thaw() before, and shows the guest
 * the config space of the source afterwards; after a refusal it freezes again. Where devices are
 * still expected since another load, the answer is IOVAGEOM_ERR_STATE, as it is while the object is
 * frozen.
 *
 * Refused, with a finding for each obstacle, when the destination can't honour it: its granule or
 * input range (GRANULE, INPUT_RANGE), a promise (PROMISE), a live mapping (MAPPING), a limit
 * (LIMIT), a host's budget (BUDGET; tell what was left when nothing was mapped), a missing endpoint
 * (NOT_FOUND) or one in another guest group (OTHER: endpoints that were in one group are so again,
 * and apart from the others of the source), features that the guest was offered (OTHER), a bypass
 * of identity ranges that a device can't map (RESERVED) unless it could not at the source either.
 * What a driver that declined PROBE can't be told is asked as in
 * iovageom_viommu_driver_features(), for the features that the source's driver has accepted
 * (INPUT_RANGE). The frozen values become those of the source. A device of which nothing is usable
 * in them is noted (NOTHING_USABLE); STRICT_INPUT is a question of plugging, and isn't asked.
 *
 * After a plug or update with ALLOW_STALE the source holds a promise or mapping that a device of
 * its own can't honour. A destination with the same devices can't honour it either, and refuses the
 * stream, even on the same host. So leave that device out before the load: declare a slot in its
 * place, or plug it with the geometry that it had before the update. Then load, and call plug or
 * update with ALLOW_STALE again.
 *
 * @param flags IOVAGEOM_LOAD_*.
 * @return IOVAGEOM_ERR_CONFLICT, IOVAGEOM_ERR_TRUNCATED, IOVAGEOM_ERR_MALFORMED,
 *         IOVAGEOM_ERR_VERSION, IOVAGEOM_ERR_STATE, IOVAGEOM_ERR_INVALID (unknown flags),
 *         IOVAGEOM_ERR_NO_MEMORY; nothing has changed.
 */
IOVAGEOM_API int iovageom_viommu_load(struct iovageom_viommu *viommu, const void *bytes,
                                      size_t length, uint32_t flags,
                                      struct iovageom_report *report);

#ifdef __cplusplus
}
#endif
#endif

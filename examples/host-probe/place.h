/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_PLACE_H
#define HOST_PROBE_PLACE_H

#include "judge.h"

/** Why a group does not map a range: all that says so of the same part of it, in the same way. */
struct obstacle {
    uint32_t kind;               /**< an enum iovageom_finding_kind */
    uint32_t type;               /**< an enum iovageom_resv_type, of a region */
    struct iovageom_range part;  /**< of the range that was asked for */
    struct iovageom_range whole; /**< the region, or the aperture */
    const char *sources;         /**< "VFIO, iommufd" */
    uint64_t granule;            /**< of ALIGNMENT */
};

/** What a group makes of a range. */
enum mapped { MAPPED, FORBIDDEN, NOT_KNOWN, NOT_TRANSLATED, NOT_READ };

struct placing {
    const struct verdict *verdict; /**< NULL for several groups at once */
    enum mapped mapped;
    struct obstacle *obstacles;
    size_t obstacle_count;
    uint64_t granule;              /**< of the host, or 4K where it does not say */
    bool has_nearest;              /**< the next one */
    struct iovageom_range nearest; /**< the place of that size that is nearest and is mapped */
    bool guessed; /**< nobody vouches for that place: what is reserved there is not known */
};

/**
 * Takes the obstacles of a report.
 *
 * @param named say for which device, as well.
 */
void place_obstacles(struct placing *placing, const struct iovageom_report *report, bool named);

/**
 * The next part of a range, of those of number *from and up, of which nobody said whether it is
 * mapped;
 * *from goes on. False when there is none.
 */
bool place_unknown(const struct verdict *verdict, struct iovageom_range range, size_t *from,
                   struct iovageom_range *part);

/** Of so many obstacles, moves or sources each is said; the rest is a number. JSON has all. */
#define MOST_SAID_OF_A_RANGE 100

/** Asks one group. */
struct placing place_range(const struct verdict *verdict, struct iovageom_range range);

/**
 * The place for `size` bytes nearest to `start`, at a multiple of `alignment`, in ranges that
 * ascend. False when there is none. A size of 0 is 2^64.
 */
bool place_nearest(const struct iovageom_range *ranges, size_t count, uint64_t start, uint64_t size,
                   uint64_t alignment, struct iovageom_range *out);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_CAUSES_H
#define HOST_PROBE_CAUSES_H

#include "place.h"

/* Why a mapping is refused, in words: by whom, since which kernel, and what to do about it. */

/** What stands in the way, as far as the remedy depends on it. */
enum obstacle_class {
    BEYOND_WIDTH,
    IN_MSI,
    IN_SOFTWARE_MSI,
    IN_DIRECT,
    IN_HYPERTRANSPORT,
    IN_RESERVED,
    NOT_ALIGNED,
    NOTHING_MAPS,
    OBSTACLE_CLASSES
};

enum obstacle_class obstacle_class(const struct obstacle *obstacle, const struct verdict *verdict);

/** "[0xfee00000,0xfee00fff] is in [0xfee00000,0xfeefffff], where ..." */
const char *obstacle_text(const struct obstacle *obstacle, const struct verdict *verdict);

/** Who refuses it since when. */
const char *obstacle_since(enum obstacle_class class);

/** What to do, as sentences. Returns how many were written, at most 4. */
size_t obstacle_remedies(const struct obstacle *obstacle, const struct verdict *verdict,
                         const char *out[4]);

/** What to do about direct regions. */
extern const char direct_remedy[];

/**
 * What else gives `error` when a mapping is asked for, or when one is to be undone; of 0, what
 * gives any. NULL-terminated; NULL for a number of which nothing is known.
 */
const char *const *other_causes(int error, bool unmap);

#endif

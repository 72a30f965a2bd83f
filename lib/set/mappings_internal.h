/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_MAPPINGS_INTERNAL_H
#define IOVAGEOM_LIB_MAPPINGS_INTERNAL_H

#include <iovageom/mappings.h>

#include "itree.h"

/* Asking and doing apart, so that what was asked is not searched for again. */

/** Where a mapping goes. Holds until the ledger changes. */
struct iovageom_mappings_place {
    struct iovageom_itree_path path;
};

/* Whether a mapping overlaps the range, which is valid: the lowest in *hit. Else *place is where one
   goes. O(log n). */
bool iovageom_mappings_seek_place(const struct iovageom_mappings *mappings,
                                  struct iovageom_range range,
                                  struct iovageom_mappings_place *place,
                                  struct iovageom_mapping *hit);

/* IOVAGEOM_ERR_NO_MEMORY. The budget isn't looked at. */
int iovageom_mappings_insert(struct iovageom_mappings *mappings,
                             struct iovageom_mappings_place *place,
                             const struct iovageom_mapping *mapping);

/* Removes all mappings in the range, which splits none; says how many. */
size_t iovageom_mappings_remove(struct iovageom_mappings *mappings, struct iovageom_range range);

#endif

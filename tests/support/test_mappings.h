/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_MAPPINGS_H
#define IOVAGEOM_TEST_MAPPINGS_H

#include <iovageom/status.h>

#include "set/mappings.h"

/** MAP and UNMAP of the specification, as the books compose them: asked first, and then done. */
static inline int test_mappings_map(struct iovageom_mappings *mappings,
                                    const struct iovageom_mapping *mapping)
{
    struct iovageom_mappings_place place;

    if (!iovageom_mappings_seek_place(mappings, mapping->range, &place))
        return IOVAGEOM_ERR_OVERLAP;
    return iovageom_mappings_insert(mappings, &place, mapping);
}

static inline int test_mappings_unmap(struct iovageom_mappings *mappings,
                                      struct iovageom_range range, size_t *removed)
{
    struct iovageom_mappings_place place;
    struct iovageom_mapping split;
    size_t count;

    if (iovageom_mappings_seek_split(mappings, range, &place, &split))
        return IOVAGEOM_ERR_SPLIT;
    count = iovageom_mappings_remove(mappings, &place, range);
    if (removed)
        *removed = count;
    return IOVAGEOM_OK;
}

#endif

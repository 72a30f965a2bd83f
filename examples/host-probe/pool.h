/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_POOL_H
#define HOST_PROBE_POOL_H

#include <iovageom/plan_envelope.h>

#include "summary.h"

/* What all hosts of a pool can do. */

#define POOL_NAMES 3

/** Hosts that can do the same. */
struct kind {
    struct summary summary;
    size_t hosts;
    size_t names[POOL_NAMES]; /**< the first of them, by their number as a source */
    size_t name_count;
};

struct trouble {
    size_t source;
    const char *words;
};

struct pool {
    const struct context *context;
    struct source *sources;
    size_t source_count;
    struct kind *kinds;
    size_t kind_count;
    size_t *places; /**< of a hash table: number of the kind, plus 1 */
    size_t place_count;
    struct trouble *troubles;
    size_t trouble_count;
    struct kind none; /**< hosts without a group that can be assigned */
    struct kind unsure;
    struct kind faulty;
    size_t hosts; /**< that count */
    unsigned width;

    struct iovageom_range *usable; /**< what all of them map */
    size_t usable_count;
    struct iovageom_envelope figures;
};

/** Counts a host in; the first ones are named, whatever order they come in. */
void pool_count(struct kind *kind, size_t source);

/** Prints it, as text and as JSON. */
void pool_say(const struct pool *pool);
void pool_json(const struct pool *pool);

#endif

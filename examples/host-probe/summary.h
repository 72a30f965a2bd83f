/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_SUMMARY_H
#define HOST_PROBE_SUMMARY_H

#include "command.h"

/*
 * What one host of many can do, in few bytes: what all of its groups map that count. Hosts
 * are read by processes of their own, so that one which can't be read, or is hostile, ends no more
 * than that, and all processors work.
 */

struct summary {
    const struct iovageom_range *usable; /**< in normal form; of which somebody vouches */
    size_t count;
    uint64_t fingerprint; /**< equal for hosts that can do the same */
    uint64_t page_sizes;  /**< 0: not known */
    uint64_t alignment;   /**< 0: not known */
    uint64_t budget;      /**< 2^64-1: not known */
    size_t groups;
    size_t
        assignable; /**< those that count: that can be assigned, and of which all is known; where it
                            is 0, nothing above is said */
    bool unknown;   /**< others could be assigned, but are not known well enough */
    bool faulty;    /**< some group's files could not be read */
};

/** A host that is to be read. */
struct source {
    const char *name;  /**< a path, or FILE:LINE */
    const char *words; /**< a line of JSON; NULL for a captured host at that path */
    size_t length;
};

/**
 * Reads them all, and calls `take` for each, in any order, with NULL and a reason for one that
 * can't be read. Shows how far it is on a terminal.
 */
void summaries_read(const struct context *context, const struct source *sources, size_t count,
                    void (*take)(void *pool, size_t source, const struct summary *summary,
                                 const char *wrong),
                    void *pool);

#endif

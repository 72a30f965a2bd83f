/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_REGIONS_H
#define HOST_PROBE_REGIONS_H

#include <iovageom/geometry.h>

#include "host.h"

/* The text of reserved_regions, as Linux writes it or as people paste it. */

/** What reading it came to. */
struct regions_read {
    struct faults faults; /**< lines that could not be read; none when they may be passed over */
    const char **notes;   /**< what was read in a way that should be known */
    size_t note_count;
    bool doubtful; /**< a line that was not read, or that is missing, may be direct */
    bool direct; /**< a line without a good region is direct: the group can't be had all the same */
};

/**
 * Puts the regions of a group's file into a geometry.
 *
 * Understood, beyond what Linux writes: the name of the file before a line (`grep -r`, with a line
 * number or without) or above its lines (`head -v`), the marks of a quotation, blanks, and the line
 * ends of other systems. Lines whose file name is that of another group are that group's, and are
 * not taken.
 *
 * @param lenient a line that can't be read is a note and not a fault, and the geometry is then
 *        marked incomplete; but a file of which no line could be read is a fault still.
 */
struct regions_read regions_read(const struct group *group, bool lenient,
                                 struct iovageom_geometry *geometry);

#endif

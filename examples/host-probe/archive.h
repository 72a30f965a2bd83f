/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_ARCHIVE_H
#define HOST_PROBE_ARCHIVE_H

#include "basics.h"

/** Whether bytes are an archive of tar, or compressed: not text in any case. */
bool archive_looks_like(const struct blob *blob);

/**
 * Puts the files of an archive into a tree below its path (tree.h). What is wrong with it, or how
 * much of it is left out, is a fault; false when nothing could be read.
 */
bool archive_mount(const struct blob *blob, struct faults *faults);

#endif

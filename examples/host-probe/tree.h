/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_TREE_H
#define HOST_PROBE_TREE_H

#include "basics.h"

/*
 * The files of an archive, in memory. It stands below a path of its own, that of the archive: what
 * is read from there by read_file(), list_directory() and link_name() is read from it. Nothing is
 * unpacked.
 */

struct tree;

/** The tree that a path is in, or NULL. */
const struct tree *tree_of(const char *path);

/** An empty one below `path`. There is one at a time: that from before is forgotten. */
struct tree *tree_mount(const char *path);

/** Forgets it: files are those of the machine again. */
void tree_unmount(void);

/**
 * Adds a file, or a symbolic link when `target` is not NULL. A name that leads out of the tree
 * ("..") adds nothing; false then. One that is there already is replaced, as by tar.
 */
bool tree_add(struct tree *tree, const char *name, const void *bytes, size_t length,
              const char *target);

/** To be called when all is added, before it is read. */
void tree_finish(struct tree *tree);

/**
 * The part of a name before `marker`, of the first file in whose name that stands ("host/" of
 * "host/sysfs/iommu_groups/1/type" for "sysfs/iommu_groups/"), that is not `but`, which may be
 * NULL; NULL when there is none.
 */
const char *tree_prefix(const struct tree *tree, const char *marker, const char *but);

struct blob tree_read(const struct tree *tree, const char *path, struct faults *faults);
char **tree_list(const struct tree *tree, const char *path);
char *tree_link_name(const struct tree *tree, const char *path);

/** The order in which names are listed: numbers by their value. */
int compare_names(const void *a, const void *b);

#endif

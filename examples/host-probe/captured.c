/* SPDX-License-Identifier: BSD-3-Clause */

/* A captured host, in whatever form somebody has it. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "host.h"
#include "tree.h"

/* The sysfs of a machine stands there, as tar and cp leave it. */
static bool is_sys(const char *path)
{
    struct faults ignored = {NULL, 0, 0};

    return list_directory(text("%s/kernel/iommu_groups", path), &ignored) != NULL;
}

static bool is_snapshot(const char *path)
{
    struct faults ignored = {NULL, 0, 0};

    return list_directory(text("%s/sysfs/iommu_groups", path), &ignored) != NULL;
}

static void read_sys(struct host *host, const char *path, const char *sys)
{
    *host = (struct host){.path = text("%s", path)};
    host_read_sys(host, sys);
}

/* A folder: a snapshot, a sysfs, or a root with one. */
static void read_folder(struct host *host, const char *path)
{
    if (!is_snapshot(path) && is_sys(path))
        read_sys(host, path, path);
    else if (!is_snapshot(path) && is_sys(text("%s/sys", path)))
        read_sys(host, path, text("%s/sys", path));
    else
        host_read_snapshot(host, path);
}

static void read_archive(struct host *host, const struct blob *blob)
{
    struct faults faults = {NULL, 0, 0};
    const char *const snapshot = "sysfs/iommu_groups/";
    const char *prefix, *marker, *other;
    const struct tree *tree;

    if (!archive_mount(blob, &faults))
        die(EXIT_BAD_INPUT, "%s", faults.words[0]);
    tree = tree_of(blob->path);
    prefix = tree_prefix(tree, snapshot, NULL);
    marker = prefix != NULL ? snapshot : "kernel/iommu_groups/";
    if (prefix == NULL)
        prefix = tree_prefix(tree, marker, NULL);
    if (prefix == NULL)
        die(EXIT_BAD_INPUT, "%s: %s", blob->path,
            faults.count != 0 ? faults.words[0] : "no snapshot, and no sysfs, is in it");
    other = tree_prefix(tree, marker, prefix);
    if (other != NULL)
        fault(&faults, "%s: several hosts are in it: \"%s\" is left out", blob->path,
              printable(other));
    if (marker == snapshot)
        host_read_snapshot(host, text("%s/%s.", blob->path, prefix));
    else
        read_sys(host, blob->path, text("%s/%s.", blob->path, prefix));
    host->path = text("%s", blob->path);
    faults_join(&host->faults, &faults);
}

void host_read_bytes(struct host *host, const struct blob *blob)
{
    if (archive_looks_like(blob)) {
        read_archive(host, blob);
        return;
    }
    *host = (struct host){.path = blob->path};
    host_read_paste(host, blob);
}

void host_read_captured(struct host *host, const char *path)
{
    struct faults faults = {NULL, 0, 0};
    struct stat status;
    struct blob blob;

    if (strcmp(path, "-") != 0 && (stat(path, &status) != 0 || !S_ISREG(status.st_mode))) {
        read_folder(host, path);
        return;
    }
    blob = read_large(path, &faults);
    if (faults.count != 0)
        die(EXIT_BAD_INPUT, "%s", faults.words[0]);
    host_read_bytes(host, &blob);
}

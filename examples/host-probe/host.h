/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_HOST_H
#define HOST_PROBE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/host_registers.h>

#include "bars.h"
#include "basics.h"

/* A host as it was read: live, or from a snapshot (docs/snapshot.md). Nothing is judged here. */

#define ANY_GROUP "any" /* the name of an assumed group */

/** What VFIO and iommufd answered for a group. Any of it may not be there. */
struct answers {
    struct blob vfio_first; /**< the answer to a question that was too small */
    struct blob vfio;
    struct blob empty_header; /**< of IOMMU_IOAS_IOVA_RANGES, before and after the attach */
    struct blob empty_ranges;
    struct blob attached_header;
    struct blob attached_ranges;
    struct blob hw_header;
    struct blob hw_data;
};

struct device {
    const char *address; /**< "0000:00:01.0"; some other name when it is not a PCI device */
    bool pci;            /**< the class is known */
    unsigned vendor;     /**< 0: it and the next are not known */
    unsigned device;
    unsigned class_code;  /**< 24 bits */
    const char *driver;   /**< "" for none; NULL when not known */
    const char *name;     /**< of what it provides ("eth0"); NULL */
    const char *unit;     /**< the IOMMU it is behind; NULL when not known */
    const char *group;    /**< name of its group, or NULL */
    struct bars bars;     /**< none where they are not known */
    unsigned unsafe_boot; /**< 1 and up: the boot in which VFIO had it without an IOMMU (paste.c) */
};

struct group {
    const char *name;  /**< "1" */
    const char *type;  /**< "DMA-FQ"; NULL */
    const char *title; /**< what the kernel calls it ("vfio-noiommu"); NULL, as for most groups */
    struct blob reserved_regions;
    struct faults faults;
    struct device **devices;
    size_t device_count;
    struct answers answers;
    void *pasted; /**< for who reads a text (paste.c) */
    bool assumed; /**< a text has no groups: what holds for any stands here */
    bool direct;  /**< the kernel said that it is given to nobody, as firmware wants it direct */
    const char **said; /**< notes from where it was read */
    size_t said_count;
    size_t unsaid;         /**< more of them, that are only counted */
    const char *not_asked; /**< why the kernel was not asked of a device that VFIO has; NULL */
};

struct attribute {
    const char *name;
    struct blob blob;
};

/** What an IOMMU's registers mean where the kernel gave nothing to hold them against. */
struct unit_meaning {
    bool looked_up;
    bool good; /**< the next one */
    struct iovageom_host_limits limits;
    struct faults faults;
};

#define MOST_ATTRIBUTES 64

/** An IOMMU, as in /sys/class/iommu. */
struct unit {
    const char *name;
    struct attribute *attributes;
    size_t attribute_count;
    char **devices; /**< NULL when not known */
    struct faults faults;
    struct unit_meaning *meaning; /**< filled when it is needed */
};

struct host {
    const char *path; /**< of the snapshot, or "" for a live machine */
    bool live;
    bool groups_left, units_left; /**< there were too many of them */
    struct device *spare;         /**< given where there are too many devices */
    struct lookup group_lookup;
    struct lookup device_lookup;
    struct group *groups;
    size_t group_count;
    struct device **devices; /**< all PCI devices, in a group or not */
    size_t device_count;
    struct unit *units;
    size_t unit_count;
    const char *kernel;   /**< uname, or NULL */
    struct faults faults; /**< of what belongs to no group */
};

/**
 * The device with an address, added if it is new. Where there are too many it is one that nobody
 * has, and a fault.
 */
struct device *host_device(struct host *host, const char *address);

/** Whether a name is one as the kernel gives them, so that nothing else reaches a terminal. */
bool well_named(const char *path, const char *name, struct faults *faults);

/** A name that is alone in its file, or NULL. */
const char *read_name(const char *path, struct faults *faults);

/** A new group; NULL when there are too many, which is a fault. It moves when one is added. */
struct group *host_add_group(struct host *host, const char *path, const char *name);

/** A new IOMMU; NULL when there are too many, which is a fault. */
struct unit *host_add_unit(struct host *host, const char *path, const char *name);

/** The group with a name, or NULL. */
struct group *host_group(const struct host *host, const char *name);

/** The group of that name, or with the device of that address, "3b:00.0" of domain 0; or NULL. */
struct group *host_find(const struct host *host, const char *name);

/** Whether a driver gives its device to VFIO ("vfio-pci", "mlx5_vfio_pci"). NULL is none. */
bool driver_is_vfio(const char *driver);

/** Whether nothing translates for a group: VFIO made it up to give away a device without IOMMU. */
bool group_has_no_iommu(const struct group *group);

/**
 * Whether a device keeps all others of its group from being assigned, by the driver that it has.
 * Linux (VFIO's own list up to 5.18, drivers that leave DMA alone since) allows none, VFIO's
 * drivers, pci-stub, and bridges with their port driver. A driver that is not known is no reason.
 */
bool device_hinders(const struct device *device);

/** A note on a group; of very many the rest is only counted. */
void group_note(struct group *group, const char *words);

/** How many more there were. */
const char *group_unsaid(const struct group *group);

/** Adds a device to a group. */
void group_add(struct group *group, struct device *device);

/** The attribute of an IOMMU, not there if it has none of that name. */
struct blob unit_attribute(const struct unit *unit, const char *name);

/** This machine, or the one whose files stand below `sysroot`. */
void host_read_live(struct host *host, const char *sysroot);

/** Asks VFIO and iommufd for those groups of this machine where they may be asked. */
void host_ask(struct host *host);

/** A captured host: a folder, an archive, or a text that somebody pasted; "-" is standard input. */
void host_read_captured(struct host *host, const char *path);

/** A captured host that is one file: an archive or a text. */
void host_read_bytes(struct host *host, const struct blob *blob);

/** The folder of a captured host. */
void host_read_snapshot(struct host *host, const char *path);

/** The sysfs below `sys`, of a machine that is captured or not. */
void host_read_sys(struct host *host, const char *sys);

/** What a text says: a kernel's log, listings with file names, lspci. It is told when that is
 * nothing. */
void host_read_paste(struct host *host, const struct blob *text);

/** Writes a snapshot. */
void host_save(const struct host *host, const char *path);

#endif

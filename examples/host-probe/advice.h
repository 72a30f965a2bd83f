/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_ADVICE_H
#define HOST_PROBE_ADVICE_H

#include "judge.h"

/* What somebody who wants to assign a group has to know and to do: no tables, sentences and
 * numbers. */

enum outcome {
    OUTCOME_READY,      /**< can be assigned as it is */
    OUTCOME_BIND,       /**< can be, when it is given to a VFIO driver */
    OUTCOME_NOTHING,    /**< has no device that a guest could be given */
    OUTCOME_NOT_VIABLE, /**< devices of it are in other hands */
    OUTCOME_DIRECT,     /**< firmware demands direct regions */
    OUTCOME_NO_IOMMU,   /**< can be, without any protection */
    OUTCOME_NOT_READ,   /**< files could not be read */
    OUTCOME_UNKNOWN,    /**< who is in it is not known */
};

/** Who is told what: a line for each VMM. */
struct setting {
    const char *vmm;   /**< "QEMU" */
    const char *words; /**< "-device intel-iommu,aw-bits=39" */
    const char *since; /**< from which version of it on: "9.0"; NULL */
};

struct advice {
    const struct verdict *verdict;
    enum outcome outcome;
    const char *because; /**< what speaks against it; NULL */

    /** What to say to a VMM with a virtual IOMMU, and to one without, so that guest addresses
     * fit. */
    struct setting *settings;
    size_t setting_count;
    struct setting *plain;
    size_t plain_count;

    bool knows_ram; /**< the next two */
    struct iovageom_size ram;
    const char *ram_place;
    uint64_t bar_most; /**< largest power of two with a place that is aligned to it; 0 for none */

    const char **remedies; /**< commands, or sentences */
    size_t remedy_count;
};

/** What can be said of a group in a word. */
enum outcome outcome_of(const struct verdict *verdict);

/** For each outcome what it is called in JSON and in the column VERDICT: "bind first". */
const char *outcome_word(enum outcome outcome);

/** "can be assigned, once it is given to vfio-pci" */
const char *outcome_sentence(enum outcome outcome);

/** Whether a group with that outcome may end up with a guest: yes (1), no (0), not known (-1). */
int outcome_assignable(enum outcome outcome);

/** Why firmware keeps a group from being assigned. */
const char *direct_reason(const struct verdict *verdict);

struct advice advise(const struct host *host, const struct verdict *verdict);

/** What to say to VMMs on a host with that many bits. None where nothing has to be said. */
void advise_settings(const struct host *host, unsigned bits, uint64_t page_sizes,
                     struct advice *advice);

/** Whether it is one of Arm's, as far as its kernel tells. */
bool host_is_arm(const struct host *host);

/** Whether a device is a PCI bridge or the like: never assigned for itself. */
bool device_is_bridge(const struct device *device);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_JUDGE_H
#define HOST_PROBE_JUDGE_H

#include <iovageom/geometry.h>

#include "host.h"

/* What the library makes of what was read. */

/** One source's word on a group, in the terms in which it is shown. */
struct statement {
    const char *source; /**< "VFIO", "VT-d registers of dmar0" */
    bool has_aperture;
    unsigned bits;
    struct iovageom_range aperture;
    bool has_page_sizes;
    uint64_t page_sizes;
    bool has_alignment;
    uint64_t alignment;
    bool has_budget;
    uint64_t budget;
    bool counts; /**< it narrows the result; else it is there to be checked against */
};

struct reserved {
    struct iovageom_range range;
    enum iovageom_resv_type type;
    const char *source;
};

struct verdict {
    const struct group *group;
    struct iovageom_geometry *geometry;
    struct statement *statements;
    size_t statement_count;
    struct reserved *reserved; /**< direct-relaxable regions too */
    size_t reserved_count;
    struct iovageom_range *usable; /**< of which somebody said that they are */
    size_t usable_count;
    struct iovageom_range *unknown; /**< that nobody forbids, and nobody vouches for */
    size_t unknown_count;
    bool no_iommu;                /**< nothing translates: none of the above */
    const struct device **hinder; /**< that keep the others from being assigned */
    size_t hinder_count;
    struct faults faults; /**< of all that concerns the group; what it says is then not known */
    bool judged;          /**< false when nothing can be said of it, for the faults */
    bool assignable;      /**< no firmware demands a direct region */
    bool doubtful;        /**< but one may, in a part of the list that was not read */
    bool has_registers;   /**< of an IOMMU that it is behind, whether or not they tell something */
    bool knows_width;     /**< next two */
    unsigned bits;
    struct iovageom_range aperture; /**< from 0 to the highest usable address */
    const char **notes;
    size_t note_count;
};

/** What a virtual IOMMU should tell a guest of a group. */
struct promise {
    const char *refused; /**< why nothing can be promised, or NULL */
    uint64_t granule;
    bool granule_assumed; /**< the host did not say */
    uint64_t page_size_mask;
    struct iovageom_range input_range;
    uint8_t *bytes; /**< the PROBE properties */
    size_t length;
    struct iovageom_region *regions; /**< what they were made from */
    size_t region_count;
    struct iovageom_region *decoded; /**< what they say when they are read */
    size_t decoded_count;
    const char **notes;
    size_t note_count;
};

/** How the user wants a host to be read. */
struct mode {
    bool lenient;
    bool has_software_msi; /**< the next one */
    struct iovageom_range software_msi;
};

/** What can be said of a group. What is wrong with its files, or with its IOMMU's, is in
 * `faults`. */
struct verdict judge(const struct host *host, const struct group *group, const struct mode *mode);

/** Why the width of a group is not known. */
const char *width_doubt(const struct verdict *verdict);

/** What can be said of several groups whose devices share an address space. Its `group` is NULL. */
struct verdict judge_together(const struct verdict *const *verdicts, size_t count);

/**
 * @param granule in bytes, or 0 for the host's own.
 * @param probe_size room for the properties in bytes; 0 for as much as they need.
 */
struct promise promise_for(const struct verdict *verdict, uint64_t granule, size_t probe_size);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_FAULTS_H
#define HOST_PROBE_FAULTS_H

#include "vmmline.h"

/* What it means when an IOMMU refuses an access, as far as it says itself why. */

struct fault_words {
    const char *word; /**< in JSON; NULL where nothing is said */
    const char *heading;
    const char *sentence;
    bool anyhow;   /**< it is so whatever the host maps */
    bool geometry; /**< what the host maps, or reserves, there is of interest */
};

const struct fault_words *fault_words(enum vmm_fault fault);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_VIOMMU_CHECK_H
#define IOVAGEOM_TEST_VIOMMU_CHECK_H

#include <iovageom/viommu.h>

/**
 * Check from inside everything that must always hold of a virtual IOMMU. O(all).
 *
 * @return IOVAGEOM_OK; IOVAGEOM_ERR_DISAGREEMENT with a finding that says what is wrong;
 *         IOVAGEOM_ERR_NO_MEMORY.
 */
int test_viommu_check(const struct iovageom_viommu *viommu, struct iovageom_report *report);

#endif

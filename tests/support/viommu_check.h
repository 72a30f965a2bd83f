/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_VIOMMU_CHECK_H
#define IOVAGEOM_TEST_VIOMMU_CHECK_H

#include <iovageom/viommu.h>

/**
 * Check from inside everything that must always hold of a virtual IOMMU. O(all).
 *
 * @param stale a plug or an update was let pass against a promise, a mapping or a budget, and there
 *        was no reset since: then these may be broken.
 * @return IOVAGEOM_OK; IOVAGEOM_ERR_DISAGREEMENT with a finding that says what is wrong;
 *         IOVAGEOM_ERR_NO_MEMORY.
 */
int test_viommu_check(const struct iovageom_viommu *viommu, bool stale,
                      struct iovageom_report *report);

/** Whether the report of a plug or an update that succeeded says that it was so let pass. */
bool test_viommu_went_stale(const struct iovageom_report *report);

#endif

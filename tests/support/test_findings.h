/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_FINDINGS_H
#define IOVAGEOM_TEST_FINDINGS_H

#include <iovageom/report.h>

/**
 * Which field of a finding holds something though its kind does not name it (report.h); NULL when
 * none does. Every finding that the library makes in a test is held against it, by the linker.
 */
const char *test_finding_wrong(const struct iovageom_finding *finding);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_MEANING_H
#define HOST_PROBE_MEANING_H

#include <stdbool.h>
#include <stdint.h>

#include <iovageom/geometry.h>
#include <iovageom/host_registers.h>

/*
 * What registers mean depends on the kernel, its mode and its pages, which nobody tells. Where the
 * kernel gave ranges (`known`), that meaning is taken which fits them. Where none does, the widest
 * if it is still too narrow, so that the contradiction shows; else what holds for all. False when
 * they mean nothing.
 */

/**
 * Whether the kernel runs VT-d in scalable mode, sysfs does not tell either. `ecap` is NULL where
 * it is not known: an IOMMU may have any of the two stages then.
 */
bool meaning_of_vtd(const struct iovageom_geometry *known, uint64_t cap, const uint64_t *ecap,
                    struct iovageom_host_limits *limits);

/**
 * v2 tables only where what the kernel gave fits no others, or where it was told to use them
 * (`v2`): they are a choice of the user. `vasize` is the limit in bits that firmware states for v1
 * tables (IVRS); newer kernels keep to it. 0: not known.
 */
bool meaning_of_amd(const struct iovageom_geometry *known, uint64_t efr, bool v2, unsigned vasize,
                    struct iovageom_host_limits *limits);

bool meaning_of_smmuv3(const struct iovageom_geometry *known, const uint32_t idr[6],
                       struct iovageom_host_limits *limits);

#endif

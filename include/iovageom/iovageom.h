/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_IOVAGEOM_H
#define IOVAGEOM_IOVAGEOM_H

/**
 * @file
 * All of the library, from the ground up. Read api.h for the conventions, then the header of the
 * floor that you need.
 */

#include <iovageom/api.h>
#include <iovageom/range.h>
#include <iovageom/status.h>
#include <iovageom/allocator.h>
#include <iovageom/kernel.h>
#include <iovageom/ranges.h>
#include <iovageom/rangeset.h>
#include <iovageom/region.h>
#include <iovageom/mapping.h>
#include <iovageom/report.h>
#include <iovageom/geometry.h>
#include <iovageom/virtio.h>
#include <iovageom/host_vfio.h>
#include <iovageom/host_iommufd.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_registers.h>
#include <iovageom/plan_cover.h>
#include <iovageom/plan_probe.h>
#include <iovageom/plan_layout.h>
#include <iovageom/plan_envelope.h>
#include <iovageom/viommu_setup.h>
#include <iovageom/viommu_plug.h>
#include <iovageom/viommu_serve.h>
#include <iovageom/viommu_keep.h>
#include <iovageom/viommu.h>

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIOMMU_H
#define IOVAGEOM_VIOMMU_H

/**
 * @file
 * A virtual IOMMU: everything that a VMM knows of one, in an object (`struct iovageom_viommu`). It
 * holds what was configured, plugged, promised and mapped. It decides whether a device may be
 * plugged, and which status a guest's request gets, as the virtio specification 1.4 asks (5.13).
 *
 * Its life, and the header for each part:
 *
 *   set up    viommu_setup.h   iovageom_viommu_new(), _add_region(), _set_envelope(), _freeze()
 *   plug      viommu_plug.h    _declare() emulated endpoints and slots, _plug() devices
 *   serve     viommu_serve.h   _request() for the bytes of a request queue, or a call per request
 *   keep      viommu_keep.h    _save() and _load()
 *
 * *Guest groups.* A guest group holds endpoints that the guest cannot isolate from each other (a
 * root port without ACS and what is below it). A PROBE of any of them gets the same answer: the
 * union of what their hosts reserve, and of the envelope while the group has a slot. Emulated
 * endpoints get it too, since Linux listens only to the first endpoint of a group.
 *
 * *Host groups and address spaces.* An address space is one set of host page tables (a VFIO
 * container, an iommufd IOAS). A host group is in one address space, and a device that is plugged
 * into the group goes there. That ends when the last device of the group is unplugged; if several
 * devices share an endpoint, when the last of them is, since nobody knows which one left first.
 * Devices of one address space share their geometry: what one of them reserves is reserved for all.
 *
 * *Mapping budgets.* Devices of one address space share a budget too, as Linux counts mappings by
 * container. A mapping of a domain counts in each address space where the domain has an endpoint.
 * Domains with endpoints in one address space draw on the same budget. VFIO says how many mappings
 * are left (iovageom_geometry_add_map_budget()): plug and update add to it the mappings that are
 * known in the address space at that moment. So ask the host just before plug or update.
 *
 * *Promises.* The answer to a PROBE can't be taken back: the guest may map all that it left usable.
 * A device is refused, before anything has changed, if it reserves addresses that members of its
 * guest group were promised, or where a domain that it would have to join has live mappings.
 *
 * *Threads.* As api.h says; reports are the caller's, one for each thread.
 *
 * *Costs* are given in n endpoints, m mappings of the domain at hand, and k ranges that a geometry
 * reserves; where all devices of an address space or a guest group count, k is what all of them
 * reserve, those that reserve the same in one address space once.
 */

#include <iovageom/viommu_keep.h>
#include <iovageom/viommu_plug.h>
#include <iovageom/viommu_serve.h>
#include <iovageom/viommu_setup.h>

#endif

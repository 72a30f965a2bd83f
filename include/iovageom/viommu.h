/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIOMMU_H
#define IOVAGEOM_VIOMMU_H

/**
 * @file
 * A virtual IOMMU: everything that a VMM knows of one, in an object (`struct iovageom_viommu`, "the
 * books"). It holds what was configured, plugged, promised and mapped; it says whether a device may
 * be plugged, and what a guest's request is answered: as the virtio specification 1.4 asks (5.13).
 *
 * Its life, and the header for each part:
 *
 *   set up    viommu_setup.h   iovageom_viommu_new(), _add_region(), _set_envelope(), _freeze()
 *   plug      viommu_plug.h    _declare() emulated endpoints and slots, _plug() devices, cold or hot
 *   serve     viommu_serve.h   _request() for the bytes of a request queue, or a call per request
 *   keep      viommu_keep.h    _save() and _load()
 *
 * *Guest groups.* Endpoints that the guest cannot isolate from each other (a root port without ACS
 * and what is below it) are told one and the same: the union of what their hosts reserve, and of
 * the envelope while the group has a slot. That includes the emulated ones, since Linux listens
 * only to the first endpoint of a group.
 *
 * *Host groups and address spaces.* An address space is one set of host page tables (a VFIO
 * container, an iommufd IOAS). A host group is in one address space, and a device that is plugged
 * into the group goes there: as long as a device of it is plugged, or one that shares an endpoint
 * with such a device, as it can't be told which of these is unplugged. Devices of one address space
 * share their geometry: what one of them reserves is reserved for all. They share a mapping budget
 * too, as Linux counts by container: what is mapped in a domain counts in each address space where
 * an endpoint of it is, and endpoints of one address space in several domains draw on the same
 * budget. What VFIO says is what is left (iovageom_geometry_add_map_budget()): plug and update add
 * to it the mappings that are known in the address space at that moment. So ask the host just before.
 *
 * *Promises.* What a PROBE was answered can't be taken back. A device that can't keep what members
 * of its guest group were promised, or that reserves where a domain which it would have to join
 * has live mappings, is refused when it is plugged, before anything has changed.
 *
 * *All or nothing.* Each call that changes the object does all of it, or nothing.
 *
 * *Threads.* A call that takes the object by pointer to const changes nothing, and any number of
 * them may run at the same time. Some of them need memory while they run, and say so; so the
 * allocator must bear that. Reports are the caller's, one for each thread.
 *
 * *Costs* are given in n endpoints, m mappings of the domain at hand, and k ranges that a geometry
 * reserves.
 */

#include <iovageom/viommu_keep.h>
#include <iovageom/viommu_plug.h>
#include <iovageom/viommu_serve.h>
#include <iovageom/viommu_setup.h>

#endif

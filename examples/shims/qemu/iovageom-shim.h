/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's virtio-iommu on libiovageom: the calls that are inserted into QEMU, in QEMU's types.
 *
 * The shim keeps the library's books of one virtio-iommu. QEMU goes on keeping its own domains
 * and mappings; the shim is asked first, and what it refuses never reaches them. The same code
 * serves QEMU 7.2 and 10.0.
 *
 * An endpoint of the books is a place in QEMU's topology (bus, devfn), not a guest's PCI address:
 * devices are realized before the guest has numbered its buses. Its number is made from the places
 * of the bridges above it, so it is the same in the QEMU that a guest moves to.
 */
#ifndef HW_VIRTIO_IOVAGEOM_SHIM_H
#define HW_VIRTIO_IOVAGEOM_SHIM_H

#include "hw/pci/pci.h"
#include "migration/vmstate.h"
#include "standard-headers/linux/virtio_iommu.h"

typedef struct IovageomShim IovageomShim;

/* What virtio-iommu knows when it is realized. */
typedef struct IovageomShimSetup {
    struct virtio_iommu_config *config; /* page_size_mask is read; all fields written at freeze */
    PCIBus *root;                       /* the bus that the virtual IOMMU serves */
    uint8_t aw_bits;                    /* width of the input range */
    bool granule_as_host;               /* else the lowest bit of page_size_mask is the granule */
    bool boot_bypass;
    const char *envelope; /* the floor for hot-plug, see README.md; may be NULL */
} IovageomShimSetup;

/* NULL and an error when the setup contradicts itself, or a host of the envelope can't be asked. */
IovageomShim *iovageom_shim_new(const IovageomShimSetup *setup, Error **errp);
void iovageom_shim_free(IovageomShim *shim);

/* A window of the reserved-regions property; type is VIRTIO_IOMMU_RESV_MEM_T_*. */
bool iovageom_shim_reserve(IovageomShim *shim, uint64_t low, uint64_t high, unsigned type,
                           Error **errp);

/* What a HostIOMMUDevice says. */
typedef struct IovageomShimHost {
    const char *name;
    GList *ranges; /* QEMU's Range, usable addresses; NULL: the host doesn't say */
    /*
     * get_page_size_mask(); 0: the host doesn't say. It is a mask of page sizes under VFIO's own
     * containers only: under iommufd, QEMU puts IOMMU_IOAS_IOVA_RANGES' out_iova_alignment there,
     * and knows nothing of page sizes.
     */
    uint64_t page_size_mask;
    bool iommufd;
} IovageomShimHost;

/*
 * A host device at (bus, devfn) whose DMA shows as (alias_bus, alias_devfn): admitted, or refused
 * with the library's sentence and nothing changed.
 */
bool iovageom_shim_plug(IovageomShim *shim, PCIBus *bus, int devfn, PCIBus *alias_bus,
                        int alias_devfn, const IovageomShimHost *host, Error **errp);

/* The same for QEMUs without HostIOMMUDevice: asks the VFIO container itself. */
bool iovageom_shim_plug_vfio(IovageomShim *shim, PCIDevice *dev, PCIBus *alias_bus, int alias_devfn,
                             const char *name, int container, Error **errp);

/* Does nothing for a device that isn't plugged. */
void iovageom_shim_unplug(IovageomShim *shim, PCIBus *bus, int devfn);

/*
 * The guest's requests. Each answers with a VIRTIO_IOMMU_S_* status; OK means that QEMU goes on
 * with its own work. `bus` NULL: the guest named an endpoint that doesn't exist.
 */
int iovageom_shim_probe(IovageomShim *shim, PCIBus *bus, int devfn, void *properties);
int iovageom_shim_attach(IovageomShim *shim, PCIBus *bus, int devfn, uint32_t domain,
                         uint32_t flags);
void iovageom_shim_detach(IovageomShim *shim, PCIBus *bus, int devfn, uint32_t domain);
int iovageom_shim_map(IovageomShim *shim, uint32_t domain, uint64_t start, uint64_t last,
                      uint64_t phys, uint32_t flags);
int iovageom_shim_unmap(IovageomShim *shim, uint32_t domain, uint64_t start, uint64_t last);

/*
 * FEATURES_OK, which a driver sets after a reset: `features` are what it has accepted. 0, or the
 * reason goes to the log and it is -EINVAL: such a driver could not be told what a device can't
 * map, so it must not go on.
 */
int iovageom_shim_features(IovageomShim *shim, uint64_t features);

void iovageom_shim_set_bypass(IovageomShim *shim, bool bypass);
void iovageom_shim_reset(IovageomShim *shim, bool system);

/* ---- QEMU's stream ---- */

/* The books as a subsection of virtio-iommu's state: `opaque` is the shim. */
extern const VMStateDescription vmstate_iovageom_shim;

/*
 * After a stream was loaded, in this order: begin, then each endpoint and each mapping of the
 * domains that QEMU keeps itself, then end. Books that came with the stream are taken over, or
 * refused with the library's sentence; what QEMU's domains have besides (mappings that are no
 * multiples of the granule) is added.
 *
 * A stream of a QEMU without the shim has no books. They are made from its domains, and the guest
 * counts as promised everything but what the machine reserves: so it is refused as long as there is
 * a host device or an envelope. Host devices may be plugged later, where they keep that promise. It
 * is refused, too, when the guest has read another granule, or an input range beyond that of here.
 *
 * Each returns 0, or reports why not and returns -EINVAL. `number` is the guest's. `features` are
 * what its driver has accepted, all bits when it has not said so yet, and `read` is the config
 * space as it was read last, all zeros before that: books that came know both already.
 */
int iovageom_shim_load_begin(IovageomShim *shim, uint64_t features,
                             const struct virtio_iommu_config *read);
int iovageom_shim_load_endpoint(IovageomShim *shim, uint32_t number, PCIBus *bus, int devfn,
                                uint32_t domain, bool bypass);
int iovageom_shim_load_mapping(IovageomShim *shim, uint32_t domain, uint64_t start, uint64_t last,
                               uint64_t phys, uint32_t flags);
int iovageom_shim_load_end(IovageomShim *shim);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's virtio-iommu on libiovageom: the calls that are inserted into QEMU, in QEMU's types.
 *
 * The shim keeps the library's books of one virtio-iommu. QEMU goes on keeping its own domains
 * and mappings; the shim is asked first, and what it refuses never reaches them. The same code
 * serves QEMU 7.2 and 10.0.
 *
 * An endpoint of the books is a place in QEMU's topology (bus, devfn), not a guest's PCI
 * address: devices are realized before the guest has numbered its buses.
 */
#ifndef HW_VIRTIO_IOVAGEOM_SHIM_H
#define HW_VIRTIO_IOVAGEOM_SHIM_H

#include "hw/pci/pci.h"
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

/*
 * NULL and an error when the setup contradicts itself, a host of the envelope can't be asked, or
 * migration can't be blocked (under way already, or -only-migratable). The books don't travel with
 * the migration stream: as long as the shim lives, migration and snapshots are refused, with the
 * reason. iovageom_shim_free() lifts that.
 */
IovageomShim *iovageom_shim_new(const IovageomShimSetup *setup, Error **errp);
void iovageom_shim_free(IovageomShim *shim);

/* A window of the reserved-regions property; type is VIRTIO_IOMMU_RESV_MEM_T_*. */
bool iovageom_shim_reserve(IovageomShim *shim, uint64_t low, uint64_t high, unsigned type,
                           Error **errp);

/*
 * What to do when a migration stream is loaded: it comes from a QEMU that keeps no books, and what
 * that has promised and mapped is not in it. Refused: -EINVAL, with a report.
 */
int iovageom_shim_post_load(IovageomShim *shim);

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

void iovageom_shim_set_bypass(IovageomShim *shim, bool bypass);
void iovageom_shim_reset(IovageomShim *shim, bool system);

#endif

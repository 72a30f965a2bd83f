/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_VMMLINE_H
#define HOST_PROBE_VMMLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/range.h>

#include "amounts.h"
#include "scan.h"

/*
 * The lines that a VMM, or the kernel, prints when a mapping or a DMA went wrong. Nothing here
 * allocates or reads anything but the bytes of the line, which may be any.
 */

/** What a line tells of. */
enum vmm_line_kind {
    VMM_LINE_NONE = 0, /**< no such line is known */
    VMM_LINE_MAP,      /**< a mapping was refused */
    VMM_LINE_UNMAP,    /**< an unmapping was refused */
    VMM_LINE_ACCESS,   /**< a device accessed an address, and the IOMMU refused that */
    VMM_LINE_MEMLOCK,  /**< the kernel may pin no more memory for a process */
    VMM_LINE_DIRECT,   /**< the kernel gives a device to nobody, for firmware's direct regions */
    VMM_LINE_BUDGET,   /**< a VMM fears that mappings will run out */
    VMM_LINE_SETUP     /**< a device, its group or a guest is refused before anything is mapped */
};

/** Of ACCESS: what the IOMMU says is the matter. */
enum vmm_fault {
    FAULT_UNSAID,
    FAULT_ABSENT,    /**< nothing is mapped there */
    FAULT_RIGHTS,    /**< something is, but not for reading, or not for writing */
    FAULT_PAGE,      /**< one of the two */
    FAULT_DEVICE,    /**< it has no tables for that device at all */
    FAULT_TABLES,    /**< its tables make no sense to it */
    FAULT_WIDTH,     /**< the address has more bits than it takes */
    FAULT_INTERRUPT, /**< it was an interrupt, and no access to memory */
    FAULT_VIRTUAL,   /**< it was a virtual IOMMU: the guest has mapped nothing there */
    FAULT_REQUEST    /**< it lets no device do that, whatever is mapped */
};

/** Of SETUP: what is refused. */
enum vmm_setup {
    SETUP_NONE,
    SETUP_VIABLE,    /**< a group, of which a device has another driver */
    SETUP_NO_GROUP,  /**< a device that is in no group */
    SETUP_OPEN,      /**< opening a group's file */
    SETUP_CONTAINER, /**< opening VFIO's file for containers */
    SETUP_IOMMUFD,   /**< opening the file of iommufd */
    SETUP_CDEV,      /**< finding, or opening, the file of a device */
    SETUP_IOMMU,     /**< VFIO_SET_IOMMU */
    SETUP_JOIN,      /**< VFIO_GROUP_SET_CONTAINER */
    SETUP_DEVICE,    /**< VFIO_GROUP_GET_DEVICE_FD */
    SETUP_SPACES,    /**< a group in two address spaces */
    SETUP_BIND,      /**< VFIO_DEVICE_BIND_IOMMUFD */
    SETUP_ATTACH,    /**< VFIO_DEVICE_ATTACH_IOMMUFD_PT */
    SETUP_DRIVER,    /**< giving a device to vfio-pci */
    SETUP_RESET,     /**< resetting a bus on which others have devices */
    SETUP_TAKEN,     /**< a device that another virtual machine has */
    SETUP_AW_BITS,   /**< a virtual IOMMU that is wider than the host's */
    SETUP_PHYS_BITS, /**< a guest that needs more addresses than its processor has */
    SETUP_GRANULE,   /**< a virtual IOMMU whose smallest page is too large for the guest's kernel */
    SETUP_MASK,      /**< one whose pages and the host's don't go together */
    SETUP_UNALIGNED, /**< a piece of memory that does not begin at a page */
    SETUP_DMA_MASK,  /**< a program, of whose memory the addresses are too high (DPDK) */
    SETUP_TWICE,     /**< a mapping of the kernel's own, where it has one */
    SETUP_PEER       /**< that other devices reach a BAR; the guest goes on */
};

#define GROUP_NAME_SIZE 24

struct vmm_line {
    enum vmm_line_kind kind;
    const char *speaker; /**< who prints such lines; static */
    bool has_range;      /**< the next one; of ACCESS, one address */
    struct iovageom_range range;
    bool has_address; /**< the next one */
    uint64_t address; /**< where the memory stands in the VMM's own address space */
    bool empty;       /**< a size of 0: no range, but `range.start` */
    bool wraps;       /**< it would end above 2^64-1: no range, but `range.start` */
    int error;        /**< an errno of Linux; 0 when it is not said */
    uint64_t limit;   /**< of MEMLOCK and BUDGET: in bytes, or mappings; 0 when it is not said */
    /** The first PCI address in it, "3b:00.0" where it names no domain; "" for none. */
    char device[PCI_ADDRESS_SIZE];
    enum vmm_fault fault;
    bool has_stream; /**< the next one: by which number an SMMU knows the device */
    uint32_t stream;
    enum vmm_setup setup;
    char group[GROUP_NAME_SIZE]; /**< the group that it names; "" for none */
    uint64_t asked, given; /**< of AW_BITS, PHYS_BITS, GRANULE and MASK: two numbers; 0: not said */
};

/** An event of an SMMUv3, which Linux writes as five lines. Empty when zeroed. */
struct vmm_event {
    bool open;
    unsigned type;
    unsigned count;  /**< of the numbers that were there */
    unsigned others; /**< lines between them */
    uint64_t numbers[3];
};

/** What a line says. One that is not known gives VMM_LINE_NONE. Linear. */
struct vmm_line vmm_line_read(const char *line, size_t length);

/** Whether a line completes an event; the lines of a log are given one by one. */
bool vmm_event_read(struct vmm_event *event, const char *line, size_t length, struct vmm_line *out);

/** Parts of vmm_line_read(): whether it is a line of that kind. */
bool vmm_line_fault(const struct scan *line, struct vmm_line *out);
bool vmm_line_setup(const struct scan *line, struct vmm_line *out);

/** "EINVAL" for 22; NULL for a number that is not among those that are read. */
const char *vmm_line_error_name(int error);

#endif

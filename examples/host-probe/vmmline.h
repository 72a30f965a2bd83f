/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_VMMLINE_H
#define HOST_PROBE_VMMLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/range.h>

#include "amounts.h"

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
    VMM_LINE_BUDGET    /**< a VMM fears that mappings will run out */
};

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
};

/** What a line says. One that is not known gives VMM_LINE_NONE. Linear. */
struct vmm_line vmm_line_read(const char *line, size_t length);

/** "EINVAL" for 22; NULL for a number that is not among those that are read. */
const char *vmm_line_error_name(int error);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_NAMES_H
#define HOST_PROBE_NAMES_H

#include "host.h"

/**
 * What vendor and device of a PCI device are called, by libpciaccess and its pci.ids. NULL when
 * that is not known, or the program was built without. Printable characters only.
 */
const char *pci_vendor_name(const struct device *device);
const char *pci_device_name(const struct device *device);

/** "SATA controller", from its class. */
const char *pci_class_name(unsigned class_code);

#endif

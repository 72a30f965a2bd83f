/* SPDX-License-Identifier: BSD-3-Clause */
#include "faults.h"

static const char wrong_address[] =
    "the driver of the device, in the host or in the guest, gave it a wrong or an old address";

static const struct fault_words words[] = {
    [FAULT_UNSAID] = {NULL, "So nothing was mapped there when the device accessed it:",
                      wrong_address, false, true},
    [FAULT_ABSENT] = {"not-mapped", "So nothing was mapped there when the device accessed it:",
                      wrong_address, false, true},
    [FAULT_RIGHTS] = {"rights", "So something was mapped there, but not for this access:",
                      "the device read what it may write only, or wrote what it may read only: its "
                      "driver named the other direction, or the memory can't be written to (a ROM)",
                      false, true},
    [FAULT_PAGE] = {"not-mapped-or-rights",
                    "So nothing was mapped there when the device accessed it, or for the other "
                    "direction only:",
                    wrong_address, false, true},
    [FAULT_DEVICE] =
        {"no-tables", "So the IOMMU knew nothing of that device, whatever the address:",
         "it was at work before its driver was (firmware left it so), or its driver had "
         "gone; or the number in its requests is of a function that lspci does not "
         "show, and so in no group",
         true, false},
    [FAULT_TABLES] =
        {"bad-tables", "So what the IOMMU has as tables made no sense to it, whatever the address:",
         "tables of the firmware, or of a kernel before (kexec, kdump), that were gone "
         "while the device still worked; or a fault of the IOMMU's driver",
         true, false},
    [FAULT_WIDTH] = {"width", "So the address has more bits than the IOMMU takes:", wrong_address,
                     false, true},
    [FAULT_INTERRUPT] =
        {"interrupt", "So it was an interrupt, and no access to memory:",
         "nobody had set up that interrupt for the device: its driver, or firmware, "
         "did it past the kernel, or it came too late",
         true, false},
    [FAULT_VIRTUAL] =
        {"guest", "So the guest had mapped nothing there, or not for this access:",
         "a driver of the guest gave its device a wrong or an old address; the host has "
         "no part in it",
         true, false},
    [FAULT_REQUEST] = {"request", "So it is of no matter what is mapped:",
                       "the IOMMU lets no device do that: the address is for interrupts or the "
                       "system, or the device took its own translation for good (ATS)",
                       true, true},
};

const struct fault_words *fault_words(enum vmm_fault fault)
{
    return &words[fault];
}

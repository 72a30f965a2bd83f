/* SPDX-License-Identifier: BSD-3-Clause */
#include "names.h"

#ifdef HAVE_PCIACCESS
#include <pciaccess.h>

#define MOST_VENDORS 50
#endif

const char *pci_class_name(unsigned class_code)
{
    static const char *const names[] = {
        "unclassified device",
        "mass storage controller",
        "network controller",
        "display controller",
        "multimedia controller",
        "memory controller",
        "bridge",
        "communication controller",
        "system peripheral",
        "input controller",
        "docking station",
        "processor",
        "serial bus controller",
        "wireless controller",
        "intelligent controller",
        "satellite controller",
        "encryption controller",
        "signal processing controller",
        "accelerator",
        "instrumentation",
    };
    static const struct {
        unsigned code;
        const char *name;
    } exact[] = {
        {0x0100, "SCSI storage"},   {0x0106, "SATA controller"}, {0x0108, "NVM controller"},
        {0x0200, "Ethernet"},       {0x0207, "InfiniBand"},      {0x0300, "VGA controller"},
        {0x0302, "3D controller"},  {0x0403, "audio device"},    {0x0600, "host bridge"},
        {0x0601, "ISA bridge"},     {0x0604, "PCI bridge"},      {0x0806, "IOMMU"},
        {0x0c03, "USB controller"}, {0x0c05, "SMBus"},
    };

    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        if (class_code >> 8 == exact[i].code)
            return exact[i].name;
    }
    if (class_code >> 16 < sizeof(names) / sizeof(names[0]))
        return names[class_code >> 16];
    return "unclassified device";
}

#ifdef HAVE_PCIACCESS

/* The file of names is the machine's own; a terminal obeys nothing of it all the same. */
static const char *harmless(const char *name)
{
    for (const char *at = name; at != NULL && *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return NULL;
    }
    return name;
}

/* The library reads the whole file for each vendor, so those of a real machine are looked up. */
static bool may_look_up(unsigned vendor)
{
    static unsigned known[MOST_VENDORS];
    static size_t count;

    for (size_t i = 0; i < count; i++) {
        if (known[i] == vendor)
            return true;
    }
    if (count == MOST_VENDORS)
        return false;
    known[count++] = vendor;
    return true;
}

const char *pci_vendor_name(const struct device *device)
{
    const struct pci_id_match match = {
        device->vendor, device->device, PCI_MATCH_ANY, PCI_MATCH_ANY, 0, 0, 0};
    const char *vendor_name = NULL;

    if (device->vendor != 0 && may_look_up(device->vendor))
        pci_get_strings(&match, NULL, &vendor_name, NULL, NULL);
    return harmless(vendor_name);
}

const char *pci_device_name(const struct device *device)
{
    const struct pci_id_match match = {
        device->vendor, device->device, PCI_MATCH_ANY, PCI_MATCH_ANY, 0, 0, 0};
    const char *device_name = NULL;

    if (device->vendor != 0 && may_look_up(device->vendor))
        pci_get_strings(&match, &device_name, NULL, NULL, NULL);
    return harmless(device_name);
}

#else

const char *pci_vendor_name(const struct device *device)
{
    (void)device;
    return NULL;
}

const char *pci_device_name(const struct device *device)
{
    (void)device;
    return NULL;
}

#endif

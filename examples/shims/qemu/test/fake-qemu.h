/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of QEMU's interfaces as iovageom-shim.c uses, for a test that needs no QEMU: the names
 * and types are QEMU's, the text is not. Whether the shim fits a real QEMU is seen by building one.
 */
#ifndef FAKE_QEMU_H
#define FAKE_QEMU_H

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <linux/virtio_iommu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define le64_to_cpu(number)                 le64toh(number)
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* ---- errors ---- */

typedef struct Error {
    char *text;
} Error;

void error_setg(Error **errp, const char *format, ...) G_GNUC_PRINTF(2, 3);
void error_setg_errno(Error **errp, int number, const char *format, ...) G_GNUC_PRINTF(3, 4);
void error_free(Error *error);
void error_report(const char *format, ...) G_GNUC_PRINTF(1, 2);
void error_reportf_err(Error *error, const char *format, ...) G_GNUC_PRINTF(2, 3);

#define LOG_GUEST_ERROR 1
void qemu_log_mask(int mask, const char *format, ...) G_GNUC_PRINTF(2, 3);

int qemu_strtou64(const char *text, const char **end, int base, uint64_t *out);
int qemu_strtoui(const char *text, const char **end, int base, unsigned *out);

/* ---- the machine ---- */

typedef struct Notifier {
    void (*notify)(struct Notifier *notifier, void *data);
} Notifier;

void qemu_add_machine_init_done_notifier(Notifier *notifier);
void qemu_remove_machine_init_done_notifier(Notifier *notifier);

typedef struct Range {
    uint64_t lob, upb;
} Range;

static inline uint64_t range_lob(const Range *range)
{
    return range->lob;
}

static inline uint64_t range_upb(const Range *range)
{
    return range->upb;
}

/* ---- what travels with a migration: the fields of a state, of three kinds ---- */

typedef struct VMStateField {
    const char *name;
    size_t offset, size_offset;
    bool (*field_exists)(void *opaque, int version_id);
    enum { FIELD_END, FIELD_UINT32, FIELD_BUFFER, FIELD_VALIDATE } kind;
} VMStateField;

typedef struct VMStateDescription {
    const char *name;
    int version_id, minimum_version_id;
    int (*pre_save)(void *opaque);
    int (*post_save)(void *opaque);
    int (*pre_load)(void *opaque);
    int (*post_load)(void *opaque, int version_id);
    const VMStateField *fields;
} VMStateDescription;

#define VMSTATE_UINT32(field, state)                                                               \
    {                                                                                              \
        .name = #field, .offset = offsetof(state, field), .kind = FIELD_UINT32                     \
    }
#define VMSTATE_VALIDATE(text, test)                                                               \
    {                                                                                              \
        .name = text, .field_exists = test, .kind = FIELD_VALIDATE                                 \
    }
#define VMSTATE_VBUFFER_ALLOC_UINT32(field, state, version, test, size)                            \
    {                                                                                              \
        .name = #field, .offset = offsetof(state, field), .size_offset = offsetof(state, size),    \
        .kind = FIELD_BUFFER                                                                       \
    }
#define VMSTATE_END_OF_LIST()                                                                      \
    {                                                                                              \
        .kind = FIELD_END                                                                          \
    }

/* ---- PCI: a root bus, conventional devices and bridges, and root ports ---- */

typedef struct BusState {
    const char *name;
} BusState;

typedef struct DeviceState {
    const char *id;
} DeviceState;

typedef struct PCIDevice PCIDevice;

typedef struct PCIBus {
    BusState qbus; /* first, for BUS() */
    PCIDevice *devices[256];
    PCIDevice *parent_dev;
} PCIBus;

struct PCIDevice {
    DeviceState qdev;
    int devfn;
    PCIBus *bus;
    PCIBus *below; /* of a bridge */
    struct {
        uint16_t exp_cap; /* of a root port */
    } exp;
    bool acs;
};

#define OBJECT(pointer)           ((void *)(pointer))
#define BUS(pointer)              ((BusState *)(pointer))
#define PCI_BRIDGE(pointer)       (pointer)
#define TYPE_PCI_BRIDGE           "base-pci-bridge"
#define PCI_SLOT(devfn)           (((devfn) >> 3) & 0x1f)
#define PCI_FUNC(devfn)           ((devfn)&7)
#define PCI_DEVFN(slot, function) (((slot) << 3) | (function))
#define PCI_EXT_CAP_ID_ACS        13
#define PCI_EXP_TYPE_ROOT_PORT    4
#define PCI_EXP_TYPE_DOWNSTREAM   6

static inline PCIBus *pci_get_bus(PCIDevice *dev)
{
    return dev->bus;
}

static inline int pci_bus_num(PCIBus *bus)
{
    (void)bus;
    return 0;
}

static inline PCIDevice *pci_find_device(PCIBus *bus, int number, uint8_t devfn)
{
    (void)number;
    return bus->devices[devfn];
}

static inline bool pci_bus_is_root(PCIBus *bus)
{
    return !bus->parent_dev;
}

static inline bool pci_is_express(PCIDevice *dev)
{
    return dev->exp.exp_cap != 0;
}

static inline bool pci_bus_is_express(PCIBus *bus)
{
    return bus->parent_dev && pci_is_express(bus->parent_dev);
}

static inline uint16_t pcie_find_capability(PCIDevice *dev, uint16_t id)
{
    (void)id;
    return dev->acs;
}

static inline uint8_t pcie_cap_get_type(PCIDevice *dev)
{
    (void)dev;
    return PCI_EXP_TYPE_ROOT_PORT;
}

static inline PCIDevice *pci_bridge_get_device(PCIBus *bus)
{
    return bus->parent_dev;
}

static inline PCIBus *pci_bridge_get_sec_bus(PCIDevice *bridge)
{
    return bridge->below;
}

/* Of a PCIDevice, whether it is a bridge. */
static inline void *object_dynamic_cast(void *object, const char *type)
{
    (void)type;
    return ((PCIDevice *)object)->below ? object : NULL;
}

static inline const char *object_get_typename(void *object)
{
    (void)object;
    return "fake";
}

static inline void pci_for_each_device_under_bus(PCIBus *bus,
                                                 void (*each)(PCIBus *, PCIDevice *, void *),
                                                 void *opaque)
{
    for (int devfn = 0; devfn < 256; devfn++) {
        if (bus->devices[devfn]) {
            each(bus, bus->devices[devfn], opaque);
        }
    }
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's virtio-iommu on libiovageom. See iovageom-shim.h. */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/notify.h"
#include "qemu/range.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#if __has_include("system/system.h")
#include "system/system.h"
#else
#include "sysemu/sysemu.h"
#endif
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie.h"
#include "hw/virtio/iovageom-shim.h"

#include <sys/ioctl.h>
#include <linux/vfio.h>

#include <iovageom/host_vfio.h>
#include <iovageom/viommu.h>

struct IovageomShim {
    struct iovageom_viommu *books;
    struct iovageom_report report; /* of the call at hand */
    struct virtio_iommu_config *config;
    PCIBus *root;
    GHashTable *deep;    /* numbers of buses that need a table -> their paths, see bus_number() */
    GHashTable *plugged; /* place of a device, as a number -> its endpoint, plus 1 */
    GHashTable *fillers; /* endpoints of slots that hold a device without a host behind it */
    GHashTable *loose;   /* domains with mappings that the books don't know, see misaligned() */
    Notifier machine_done;
    bool envelope; /* whether there is one */
    void *stream;  /* the saved books, in QEMU's stream */
    uint32_t stream_size;
    bool received;   /* `stream` has just been loaded, and is yet to be taken over */
    bool unrecorded; /* the stream that is being loaded has no books */
};

/* ---- places ---- */

/*
 * An endpoint's number is where it is: the devfn in the lowest byte, and above it those of the
 * bridges on the way from the root. So a destination has the numbers of the source, in whatever
 * order its devices came. There is room for three bridges. A bus below more of them has a number
 * made from theirs, in a part of its own; if that one is taken, the next that is free. None has the
 * number 0xffffff: tables hold endpoint + 1, which must not be 0.
 */
#define DEEP 0xff0000u

/* Where a bus is: the devfns of the bridges on the way there. Another bus may come to the same
 * place. */
static char *bus_path(IovageomShim *shim, PCIBus *bus)
{
    PCIDevice *bridge = bus == shim->root ? NULL : pci_bridge_get_device(bus);
    g_autofree char *above = bridge ? bus_path(shim, pci_get_bus(bridge)) : NULL;

    return bridge ? g_strdup_printf("%s/%02x", above, (uint8_t)bridge->devfn) : g_strdup("");
}

static uint32_t bus_number(IovageomShim *shim, PCIBus *bus)
{
    PCIDevice *bridge = bus == shim->root ? NULL : pci_bridge_get_device(bus);
    g_autofree char *path = NULL;
    uint32_t above, number;
    const char *known;

    if (!bridge) {
        return 0;
    }
    above = bus_number(shim, pci_get_bus(bridge));
    number = above << 8 | (uint8_t)bridge->devfn;
    if (number && above < DEEP >> 8 && number < DEEP) {
        return number;
    }
    number = ((above + 1) * 0x9e3779b1u ^ (uint8_t)bridge->devfn) % 0xffff;
    path = bus_path(shim, bus);
    while ((known = g_hash_table_lookup(shim->deep, GUINT_TO_POINTER(DEEP | number))) &&
           strcmp(known, path) != 0) {
        number = (number + 1) % 0xffff;
    }
    if (!known) {
        g_hash_table_insert(shim->deep, GUINT_TO_POINTER(DEEP | number), g_steal_pointer(&path));
    }
    return DEEP | number;
}

static uint32_t place(IovageomShim *shim, PCIBus *bus, int devfn)
{
    return bus_number(shim, bus) << 8 | devfn;
}

/* The bus of a place, from its number; NULL when it isn't there, or lies deep. */
static PCIBus *bus_at(IovageomShim *shim, uint32_t number)
{
    PCIBus *bus = number < DEEP ? shim->root : NULL;

    for (int shift = 16; bus && shift >= 0; shift -= 8) {
        PCIDevice *bridge = bus->devices[number >> shift & 0xff];

        if (number >> shift) {
            bus = bridge && object_dynamic_cast(OBJECT(bridge), TYPE_PCI_BRIDGE)
                      ? pci_bridge_get_sec_bus(PCI_BRIDGE(bridge))
                      : NULL;
        }
    }
    return bus;
}

/* What QEMU's user calls an endpoint that a sentence names by its number; NULL for none. */
static char *endpoint_name(IovageomShim *shim, uint64_t endpoint)
{
    PCIBus *bus = endpoint != IOVAGEOM_ID_NONE ? bus_at(shim, endpoint >> 8) : NULL;
    int devfn = endpoint & 0xff;
    PCIDevice *dev = bus ? bus->devices[devfn] : NULL;

    if (!bus) {
        return NULL;
    }
    return g_strdup_printf("%s at %s, address %x.%x",
                           !dev           ? "the slot"
                           : dev->qdev.id ? dev->qdev.id
                                          : object_get_typename(OBJECT(dev)),
                           BUS(bus)->name, PCI_SLOT(devfn), PCI_FUNC(devfn));
}

static bool refuse(IovageomShim *shim, int rc, Error **errp)
{
    const char *text = iovageom_report_text(&shim->report);
    const struct iovageom_finding *first = iovageom_report_at(&shim->report, 0);
    g_autofree char *name = NULL;

    if (rc >= 0) {
        return true;
    }
    for (size_t n = 1; first && !first->fatal; n++) {
        first = iovageom_report_at(&shim->report, n);
    }
    name = first ? endpoint_name(shim, first->endpoint) : NULL;
    if (name) {
        error_setg(errp, "%s (endpoint %" PRIu64 " is %s)", text, first->endpoint, name);
    } else {
        error_setg(errp, "%s", *text ? text : iovageom_status_string(rc));
    }
    return false;
}

/* A request's answer; a refusal is the guest's mistake, and goes to the log with its reason. */
static int answer(IovageomShim *shim, int status)
{
    if (status != VIRTIO_IOMMU_S_OK) {
        qemu_log_mask(LOG_GUEST_ERROR, "virtio-iommu: %s\n", iovageom_report_text(&shim->report));
    }
    return status;
}

/* ---- guest groups ---- */

static bool isolates(PCIDevice *dev)
{
    return pci_is_express(dev) && pcie_find_capability(dev, PCI_EXT_CAP_ID_ACS);
}

/* Linux trusts a port only if all ports above it isolate, too. */
static bool isolated_below(PCIDevice *port)
{
    for (;;) {
        PCIBus *bus = pci_get_bus(port);

        if (!isolates(port)) {
            return false;
        }
        if (pci_bus_is_root(bus)) {
            return true;
        }
        port = pci_bridge_get_device(bus);
    }
}

/*
 * The number of the guest group of whatever is at a place: what the guest can't isolate from it,
 * by the rules of Linux. That is every port above up to one from which on all isolate, and the
 * functions of its slot. Function 0 need not be there yet: it is plugged last.
 */
static uint64_t guest_group(IovageomShim *shim, PCIBus *bus, int devfn)
{
    PCIDevice *dev = pci_find_device(bus, pci_bus_num(bus), devfn);

    while (!pci_bus_is_root(bus)) {
        PCIDevice *port = pci_bridge_get_device(bus);

        if (isolated_below(port)) {
            break;
        }
        dev = port;
        bus = pci_get_bus(port);
        devfn = port->devfn;
    }
    if (!dev || !isolates(dev)) {
        devfn = PCI_DEVFN(PCI_SLOT(devfn), 0);
    }
    return place(shim, bus, devfn);
}

/* Declares an endpoint that isn't known yet; a slot brings the envelope into its guest group. */
static int declare(IovageomShim *shim, PCIBus *bus, int devfn, enum iovageom_endpoint_kind kind)
{
    struct iovageom_viommu_endpoint known;
    uint32_t endpoint = place(shim, bus, devfn);

    if (iovageom_viommu_endpoint(shim->books, endpoint, &known) == IOVAGEOM_OK) {
        return IOVAGEOM_OK;
    }
    return iovageom_viommu_declare(shim->books, endpoint, guest_group(shim, bus, devfn), kind,
                                   &shim->report);
}

static void declare_device(PCIBus *bus, PCIDevice *dev, void *opaque)
{
    IovageomShim *shim = opaque;

    declare(shim, bus, dev->devfn, IOVAGEOM_ENDPOINT_EMULATED);
    if (object_dynamic_cast(OBJECT(dev), TYPE_PCI_BRIDGE)) {
        PCIBus *below = pci_bridge_get_sec_bus(PCI_BRIDGE(dev));

        if (pci_bus_is_express(below) && dev->exp.exp_cap &&
            (pcie_cap_get_type(dev) == PCI_EXP_TYPE_ROOT_PORT ||
             pcie_cap_get_type(dev) == PCI_EXP_TYPE_DOWNSTREAM)) {
            declare(shim, below, 0, IOVAGEOM_ENDPOINT_SLOT);
        }
        pci_for_each_device_under_bus(below, declare_device, shim);
    }
}

/* ---- hosts ---- */

static struct iovageom_geometry *new_geometry(const char *name)
{
    struct iovageom_geometry *geometry;
    g_autofree char *cut = g_strndup(name, IOVAGEOM_NAME_SIZE - 1);

    return iovageom_geometry_new(NULL, cut, &geometry) < 0 ? NULL : geometry;
}

/* What a VFIO container answers, into a geometry. */
static bool ask_container(int container, struct iovageom_geometry *geometry, Error **errp)
{
    g_autofree struct vfio_iommu_type1_info *info = NULL;
    size_t needed = sizeof(*info);
    int rc = IOVAGEOM_ERR_BUFFER_TOO_SMALL;

    for (int tries = 0; tries < 8 && rc == IOVAGEOM_ERR_BUFFER_TOO_SMALL; tries++) {
        g_free(info);
        info = g_malloc0(needed);
        info->argsz = needed;
        if (ioctl(container, VFIO_IOMMU_GET_INFO, info) < 0) {
            error_setg_errno(errp, errno, "VFIO_IOMMU_GET_INFO");
            return false;
        }
        rc = iovageom_host_vfio_info(info, needed, &needed, geometry);
    }
    if (rc < 0) {
        error_setg(errp, "VFIO_IOMMU_GET_INFO: %s", iovageom_status_string(rc));
    }
    return rc >= 0;
}

/* Opens the group of a host device that nobody uses yet, asks, and lets go of it again. */
static bool ask_host(const char *address, struct iovageom_geometry *geometry, Error **errp)
{
    g_autofree char *link = g_strdup_printf("/sys/bus/pci/devices/%s/iommu_group", address);
    g_autofree char *target = g_file_read_link(link, NULL);
    g_autofree char *number = target ? g_path_get_basename(target) : NULL;
    g_autofree char *path = g_strdup_printf("/dev/vfio/%s", number ? number : "?");
    int group = open(path, O_RDWR | O_CLOEXEC);
    int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    bool asked = false;

    if (group < 0 || container < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0 ||
        ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0) {
        error_setg_errno(errp, errno, "iovageom-envelope: can't ask host device %s", address);
    } else {
        asked = ask_container(container, geometry, errp);
    }
    if (group >= 0) {
        close(group);
    }
    if (container >= 0) {
        close(container);
    }
    return asked;
}

/* One word of the envelope: a width in bits, a host device, or a window that isn't usable. */
static bool add_word(struct iovageom_geometry *envelope, const char *word, Error **errp)
{
    struct iovageom_range window;
    const char *rest;
    unsigned bits;
    int rc = IOVAGEOM_ERR_SYNTAX;

    if (strchr(word, ':')) {
        return ask_host(word, envelope, errp);
    }
    if (strchr(word, '-')) {
        if (qemu_strtou64(word, &rest, 16, &window.start) == 0 && *rest == '-' &&
            qemu_strtou64(rest + 1, NULL, 16, &window.last) == 0) {
            rc = iovageom_geometry_add_reserved(envelope, window, IOVAGEOM_RESV_RESERVED,
                                                IOVAGEOM_SOURCE_USER);
        }
    } else if (qemu_strtoui(word, NULL, 10, &bits) == 0) {
        rc = iovageom_geometry_add_gaw(envelope, bits, IOVAGEOM_SOURCE_USER);
    }
    if (rc < 0) {
        error_setg(errp, "iovageom-envelope: '%s' is no width, host device or window", word);
    }
    return rc >= 0;
}

/* Words with "+" between them: the meet of them all. */
static bool set_envelope(IovageomShim *shim, const char *text, Error **errp)
{
    struct iovageom_geometry *envelope = new_geometry("iovageom-envelope");
    g_auto(GStrv) words = g_strsplit(text, "+", 0);
    bool good = refuse(shim, envelope ? IOVAGEOM_OK : IOVAGEOM_ERR_NO_MEMORY, errp);

    for (char **word = words; good && *word; word++) {
        good = add_word(envelope, *word, errp);
    }
    if (good) {
        good =
            refuse(shim, iovageom_viommu_set_envelope(shim->books, envelope, &shim->report), errp);
    }
    iovageom_geometry_free(envelope);
    return good;
}

/* ---- life ---- */

/* From here on the guest may look: the config space is what the books say. */
static bool show(IovageomShim *shim, Error **errp)
{
    struct iovageom_virtio_config space;
    int rc = iovageom_viommu_freeze(shim->books, &shim->report);

    if (rc >= 0) {
        rc = iovageom_viommu_config_space(shim->books, &space);
    }
    if (rc >= 0) {
        shim->config->page_size_mask = space.page_size_mask;
        shim->config->input_range.start = space.input_range.start;
        shim->config->input_range.end = space.input_range.last;
        shim->config->domain_range.start = space.domain_start;
        shim->config->domain_range.end = space.domain_last;
        shim->config->probe_size = space.probe_size;
    }
    return refuse(shim, rc, errp);
}

static void freeze(Notifier *notifier, void *data)
{
    IovageomShim *shim = container_of(notifier, IovageomShim, machine_done);
    Error *error = NULL;

    pci_for_each_device_under_bus(shim->root, declare_device, shim);
    if (!show(shim, &error)) {
        error_reportf_err(error, "virtio-iommu: ");
        exit(1);
    }
}

static void drop_stream(IovageomShim *shim)
{
    g_free(shim->stream);
    shim->stream = NULL;
    shim->stream_size = 0;
    shim->received = false;
}

IovageomShim *iovageom_shim_new(const IovageomShimSetup *setup, Error **errp)
{
    struct iovageom_viommu_config config;
    IovageomShim *shim = g_new0(IovageomShim, 1);
    int rc;

    iovageom_report_init(&shim->report, NULL);
    shim->config = setup->config;
    shim->root = setup->root;
    shim->deep = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    shim->plugged = g_hash_table_new(NULL, NULL);
    shim->fillers = g_hash_table_new(NULL, NULL);
    shim->loose = g_hash_table_new(NULL, NULL);
    iovageom_viommu_config_init(&config);
    config.page_size_mask = setup->config->page_size_mask;
    config.granule = setup->granule_as_host ? 0 : config.page_size_mask & -config.page_size_mask;
    config.boot_bypass = setup->boot_bypass;
    rc = iovageom_range_from_gaw(setup->aw_bits, &config.input_range);
    if (rc >= 0) {
        rc = iovageom_viommu_new(NULL, &config, &shim->books);
    }
    shim->machine_done.notify = freeze;
    qemu_add_machine_init_done_notifier(&shim->machine_done);
    shim->envelope = setup->envelope != NULL;
    if (refuse(shim, rc, errp) && (!shim->envelope || set_envelope(shim, setup->envelope, errp))) {
        return shim;
    }
    iovageom_shim_free(shim);
    return NULL;
}

void iovageom_shim_free(IovageomShim *shim)
{
    if (!shim) {
        return;
    }
    qemu_remove_machine_init_done_notifier(&shim->machine_done);
    drop_stream(shim);
    iovageom_viommu_free(shim->books);
    iovageom_report_deinit(&shim->report);
    g_hash_table_destroy(shim->deep);
    g_hash_table_destroy(shim->plugged);
    g_hash_table_destroy(shim->fillers);
    g_hash_table_destroy(shim->loose);
    g_free(shim);
}

bool iovageom_shim_reserve(IovageomShim *shim, uint64_t low, uint64_t high, unsigned type,
                           Error **errp)
{
    struct iovageom_range range = {low, high};
    bool msi = type == VIRTIO_IOMMU_RESV_MEM_T_MSI;

    iovageom_report_clear(&shim->report);
    return refuse(shim,
                  iovageom_viommu_add_region(shim->books, range,
                                             msi ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED,
                                             IOVAGEOM_SOURCE_MACHINE, "reserved-regions"),
                  errp);
}

/* ---- domains with mappings that the books don't know ---- */

static bool has_endpoints(IovageomShim *shim, uint32_t domain)
{
    uint32_t endpoint;

    return iovageom_viommu_domain_endpoint(shim->books, domain, IOVAGEOM_ID_NONE, &endpoint);
}

/*
 * A domain ends with its last endpoint, and its mappings with it. So wherever a guest makes an
 * endpoint leave one this is asked: else the table would grow with each number that the guest
 * tries.
 */
static bool is_loose(IovageomShim *shim, uint64_t domain)
{
    gpointer key = GUINT_TO_POINTER((uint32_t)domain);

    if (domain == IOVAGEOM_ID_NONE || !g_hash_table_contains(shim->loose, key)) {
        return false;
    }
    if (has_endpoints(shim, domain)) {
        return true;
    }
    g_hash_table_remove(shim->loose, key);
    return false;
}

/* Not so where an emulated device fills a slot. */
static bool has_host(IovageomShim *shim, uint32_t endpoint)
{
    struct iovageom_viommu_endpoint known;

    return iovageom_viommu_endpoint(shim->books, endpoint, &known) == IOVAGEOM_OK &&
           known.plugged && !g_hash_table_contains(shim->fillers, GUINT_TO_POINTER(endpoint + 1));
}

/*
 * Whether a MAP was refused for its granule alone, in a domain that no host device is in. Stock
 * QEMU takes such mappings from emulated devices, and its own tests rely on it (N41 says SHOULD).
 * The books can't hold them, so no host device may come into that domain as long as it lives.
 */
static bool misaligned(IovageomShim *shim, uint32_t domain)
{
    const struct iovageom_finding *why = iovageom_report_at(&shim->report, 0);
    uint64_t last = IOVAGEOM_ID_NONE;
    uint32_t endpoint;

    if (!why || why->kind != IOVAGEOM_FINDING_ALIGNMENT) {
        return false;
    }
    while (iovageom_viommu_domain_endpoint(shim->books, domain, last, &endpoint)) {
        if (has_host(shim, endpoint)) {
            return false;
        }
        last = endpoint;
    }
    g_hash_table_add(shim->loose, GUINT_TO_POINTER(domain));
    return true;
}

/* ---- devices ---- */

/*
 * Takes out what stood for an emulated device, which QEMU doesn't tell us the end of. `own`: the
 * host device that comes stands there itself, so that one has left.
 */
static void make_room(IovageomShim *shim, uint32_t endpoint, bool own)
{
    struct iovageom_viommu_endpoint known;

    if (g_hash_table_remove(shim->fillers, GUINT_TO_POINTER(endpoint + 1))) {
        iovageom_viommu_unplug(shim->books, endpoint);
    } else if (own && iovageom_viommu_endpoint(shim->books, endpoint, &known) == IOVAGEOM_OK &&
               known.kind == IOVAGEOM_ENDPOINT_EMULATED) {
        iovageom_viommu_undeclare(shim->books, endpoint);
    }
}

static bool plug(IovageomShim *shim, PCIBus *bus, int devfn, PCIBus *alias_bus, int alias_devfn,
                 const struct iovageom_geometry *geometry, Error **errp)
{
    uint32_t endpoint = place(shim, alias_bus, alias_devfn);
    struct iovageom_viommu_endpoint known;
    struct iovageom_plug_options where;
    int rc;

    make_room(shim, endpoint, endpoint == place(shim, bus, devfn));
    if (iovageom_viommu_endpoint(shim->books, endpoint, &known) == IOVAGEOM_OK &&
        is_loose(shim, known.domain)) {
        error_setg(errp,
                   "domain %" PRIu64 ", where the device would be, has mappings that are not "
                   "multiples of the granule",
                   known.domain);
        return false;
    }
    iovageom_plug_options_init(&where);
    where.guest_group = guest_group(shim, alias_bus, alias_devfn);
    if (alias_bus != bus || alias_devfn != devfn) {
        where.flags |= IOVAGEOM_PLUG_ALIAS;
    }
    rc = iovageom_viommu_plug(shim->books, endpoint, &where, geometry, &shim->report);
    if (rc >= 0) {
        g_hash_table_insert(shim->plugged, GUINT_TO_POINTER(place(shim, bus, devfn)),
                            GUINT_TO_POINTER(endpoint + 1));
    }
    return refuse(shim, rc, errp);
}

static int add_ranges(struct iovageom_geometry *geometry, GList *ranges,
                      enum iovageom_source source)
{
    g_autofree struct iovageom_range *usable = g_new(struct iovageom_range, g_list_length(ranges));
    size_t count = 0;

    for (GList *item = ranges; item; item = item->next) {
        Range *range = item->data;

        usable[count].start = range_lob(range);
        usable[count++].last = range_upb(range);
    }
    return iovageom_geometry_add_usable(geometry, usable, count, source);
}

bool iovageom_shim_plug(IovageomShim *shim, PCIBus *bus, int devfn, PCIBus *alias_bus,
                        int alias_devfn, const IovageomShimHost *host, Error **errp)
{
    enum iovageom_source source = host->iommufd ? IOVAGEOM_SOURCE_IOMMUFD : IOVAGEOM_SOURCE_VFIO;
    struct iovageom_geometry *geometry = new_geometry(host->name);
    int rc = geometry ? IOVAGEOM_OK : IOVAGEOM_ERR_NO_MEMORY;
    bool done;

    iovageom_report_clear(&shim->report);
    if (rc >= 0 && host->ranges) {
        rc = add_ranges(geometry, host->ranges, source);
    }
    /* As a mask, an alignment of 4K would say that nothing but pages of 4K can be mapped (Q7). */
    if (rc >= 0 && host->page_size_mask) {
        rc = host->iommufd
                 ? iovageom_geometry_add_alignment(geometry, host->page_size_mask, source)
                 : iovageom_geometry_add_page_sizes(geometry, host->page_size_mask, source);
    }
    done = refuse(shim, rc, errp) && plug(shim, bus, devfn, alias_bus, alias_devfn, geometry, errp);
    iovageom_geometry_free(geometry);
    return done;
}

bool iovageom_shim_plug_vfio(IovageomShim *shim, PCIDevice *dev, PCIBus *alias_bus, int alias_devfn,
                             const char *name, int container, Error **errp)
{
    struct iovageom_geometry *geometry = new_geometry(name);
    int rc = geometry ? IOVAGEOM_OK : IOVAGEOM_ERR_NO_MEMORY;
    bool done;

    iovageom_report_clear(&shim->report);
    done = refuse(shim, rc, errp) && ask_container(container, geometry, errp) &&
           plug(shim, pci_get_bus(dev), dev->devfn, alias_bus, alias_devfn, geometry, errp);

    iovageom_geometry_free(geometry);
    return done;
}

void iovageom_shim_unplug(IovageomShim *shim, PCIBus *bus, int devfn)
{
    gpointer key = GUINT_TO_POINTER(place(shim, bus, devfn));
    guint endpoint = GPOINTER_TO_UINT(g_hash_table_lookup(shim->plugged, key));

    if (endpoint) {
        g_hash_table_remove(shim->plugged, key);
        iovageom_viommu_unplug(shim->books, endpoint - 1);
    }
}

/* ---- requests ---- */

int iovageom_shim_probe(IovageomShim *shim, PCIBus *bus, int devfn, void *properties)
{
    size_t needed;

    if (!bus) {
        return VIRTIO_IOMMU_S_NOENT;
    }
    if (declare(shim, bus, devfn, IOVAGEOM_ENDPOINT_EMULATED) < 0) {
        return answer(shim, VIRTIO_IOMMU_S_DEVERR);
    }
    return answer(shim, iovageom_status_virtio(iovageom_viommu_probe(
                            shim->books, place(shim, bus, devfn), properties,
                            shim->config->probe_size, &needed, &shim->report)));
}

/* An emulated device in a slot is fine with everything. */
static void fill_slot(IovageomShim *shim, uint32_t endpoint)
{
    struct iovageom_viommu_endpoint known;
    struct iovageom_geometry *anything;

    if (iovageom_viommu_endpoint(shim->books, endpoint, &known) == IOVAGEOM_OK &&
        known.kind == IOVAGEOM_ENDPOINT_SLOT && !known.plugged) {
        anything = new_geometry("emulated");
        if (anything &&
            iovageom_viommu_plug(shim->books, endpoint, NULL, anything, &shim->report) >= 0) {
            g_hash_table_add(shim->fillers, GUINT_TO_POINTER(endpoint + 1));
        }
        iovageom_geometry_free(anything);
    }
}

int iovageom_shim_attach(IovageomShim *shim, PCIBus *bus, int devfn, uint32_t domain,
                         uint32_t flags)
{
    struct iovageom_viommu_endpoint before;
    uint32_t endpoint;
    int status;

    if (!bus) {
        return VIRTIO_IOMMU_S_NOENT;
    }
    endpoint = place(shim, bus, devfn);
    if (declare(shim, bus, devfn, IOVAGEOM_ENDPOINT_EMULATED) < 0) {
        return answer(shim, VIRTIO_IOMMU_S_DEVERR);
    }
    fill_slot(shim, endpoint);
    iovageom_viommu_endpoint(shim->books, endpoint, &before);
    if (is_loose(shim, domain) && has_host(shim, endpoint)) {
        qemu_log_mask(LOG_GUEST_ERROR, "virtio-iommu: domain %u has misaligned mappings\n", domain);
        return VIRTIO_IOMMU_S_UNSUPP;
    }
    status = iovageom_viommu_attach(shim->books, domain, endpoint, flags, &shim->report);
    is_loose(shim, before.domain);
    return answer(shim, iovageom_status_virtio(status));
}

void iovageom_shim_detach(IovageomShim *shim, PCIBus *bus, int devfn, uint32_t domain)
{
    /* QEMU answers: an unplugged device is detached in the books already, but not in QEMU's. */
    if (bus) {
        iovageom_viommu_detach(shim->books, domain, place(shim, bus, devfn), &shim->report);
        is_loose(shim, domain);
    }
}

int iovageom_shim_map(IovageomShim *shim, uint32_t domain, uint64_t start, uint64_t last,
                      uint64_t phys, uint32_t flags)
{
    struct iovageom_range range = {start, last};
    int status = iovageom_status_virtio(
        iovageom_viommu_map(shim->books, domain, range, phys, flags, &shim->report));

    if (status == VIRTIO_IOMMU_S_RANGE && misaligned(shim, domain)) {
        return VIRTIO_IOMMU_S_OK;
    }
    return answer(shim, status);
}

int iovageom_shim_unmap(IovageomShim *shim, uint32_t domain, uint64_t start, uint64_t last)
{
    struct iovageom_range range = {start, last};

    return answer(shim, iovageom_status_virtio(iovageom_viommu_unmap(shim->books, domain, range,
                                                                     NULL, &shim->report)));
}

void iovageom_shim_reset(IovageomShim *shim, bool system)
{
    iovageom_viommu_reset(shim->books, system);
    g_hash_table_remove_all(shim->loose);
    drop_stream(shim);
}

/*
 * A driver comes here only after it has reset the device. Since QEMU 10.0 nobody says so: the
 * device is told of a reset of the machine alone, and what the driver before had mapped would be in
 * the way.
 */
int iovageom_shim_features(IovageomShim *shim, uint64_t features)
{
    int rc;

    iovageom_shim_reset(shim, false);
    rc = iovageom_viommu_driver_features(shim->books, features, &shim->report);
    return answer(shim, iovageom_status_virtio(rc)) == VIRTIO_IOMMU_S_OK ? 0 : -EINVAL;
}

void iovageom_shim_set_bypass(IovageomShim *shim, bool bypass)
{
    iovageom_viommu_set_bypass(shim->books, bypass, &shim->report);
}

/* ---- QEMU's stream ---- */

/* Far more than the books of as many mappings as they take. */
#define STREAM_MOST (256u << 20)

static int save_books(void *opaque)
{
    IovageomShim *shim = opaque;
    size_t needed;
    int rc = iovageom_viommu_save(shim->books, NULL, 0, &needed);

    drop_stream(shim);
    if (rc == IOVAGEOM_ERR_BUFFER_TOO_SMALL && needed <= STREAM_MOST) {
        shim->stream = g_malloc(needed);
        shim->stream_size = needed;
        rc = iovageom_viommu_save(shim->books, shim->stream, needed, &needed);
    }
    if (rc < 0) {
        error_report("virtio-iommu: the books can't be saved: %s", iovageom_status_string(rc));
        drop_stream(shim);
    }
    return rc < 0 ? -EINVAL : 0;
}

/* Before another one is loaded, and as soon as one is written: it may be large. */
static int no_books(void *opaque)
{
    drop_stream(opaque);
    return 0;
}

/* Before that much memory is allocated. */
static bool size_fits(void *opaque, int version_id)
{
    IovageomShim *shim = opaque;

    return shim->stream_size > 0 && shim->stream_size <= STREAM_MOST;
}

static int books_came(void *opaque, int version_id)
{
    IovageomShim *shim = opaque;

    shim->received = true;
    return 0;
}

const VMStateDescription vmstate_iovageom_shim = {
    .name = "iovageom-shim",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = save_books,
    .post_save = no_books,
    .pre_load = no_books,
    .post_load = books_came,
    .fields =
        (const VMStateField[]){
            VMSTATE_UINT32(stream_size, IovageomShim),
            VMSTATE_VALIDATE("a size that the books can have", size_fits),
            VMSTATE_VBUFFER_ALLOC_UINT32(stream, IovageomShim, 0, NULL, stream_size),
            VMSTATE_END_OF_LIST(),
        },
};

static int loaded(bool good, Error *error)
{
    if (!good) {
        error_reportf_err(error, "virtio-iommu: the stream can't be taken over: ");
    }
    return good ? 0 : -EINVAL;
}

/*
 * Devices that are plugged already are judged now, all others when they come. The books must be as
 * if no guest had been there: QEMU loads a snapshot into a machine that runs, too.
 */
static bool take_over(IovageomShim *shim, Error **errp)
{
    int rc;
    bool good;

    iovageom_report_clear(&shim->report);
    rc = iovageom_viommu_thaw(shim->books);
    if (rc >= 0) {
        rc = iovageom_viommu_load(shim->books, shim->stream, shim->stream_size,
                                  IOVAGEOM_LOAD_EXPECT_DEVICES, &shim->report);
    }
    good = refuse(shim, rc, errp);
    /* The config space is that of the source now, or else it stays what it was. */
    return show(shim, good ? errp : NULL) && good;
}

/* Whether a guest that goes by what it has read there can go on here. Nobody checks that in
 * QEMU. */
static bool space_fits(IovageomShim *shim, const struct virtio_iommu_config *read, Error **errp)
{
    uint64_t mask = le64_to_cpu(read->page_size_mask), own = shim->config->page_size_mask;
    uint64_t start = le64_to_cpu(read->input_range.start);
    uint64_t end = le64_to_cpu(read->input_range.end);

    if (mask && (mask & -mask) != (own & -own)) {
        error_setg(errp,
                   "the guest maps multiples of 0x%" PRIx64 ", and this machine of 0x%" PRIx64,
                   mask & -mask, own & -own);
        return false;
    }
    if (mask && (start < shim->config->input_range.start || end > shim->config->input_range.end)) {
        error_setg(errp,
                   "the guest maps in [0x%" PRIx64 ",0x%" PRIx64 "], which is not all in the input "
                   "range of this machine",
                   start, end);
        return false;
    }
    return true;
}

int iovageom_shim_load_begin(IovageomShim *shim, uint64_t features,
                             const struct virtio_iommu_config *read)
{
    bool received = shim->received;
    Error *error = NULL;
    bool good = true;

    iovageom_viommu_reset(shim->books, true);
    g_hash_table_remove_all(shim->loose);
    if (received) {
        good = take_over(shim, &error);
    } else if (g_hash_table_size(shim->plugged) || shim->envelope) {
        error_setg(&error, "it comes from a QEMU that does not record what the guest was promised "
                           "(libiovageom): load it without host devices and iovageom-envelope");
        good = false;
    } else if (!space_fits(shim, read, &error)) {
        good = false;
    } else {
        iovageom_viommu_set_bypass(shim->books, shim->config->bypass, NULL);
        /* With none, no driver has looked at them yet. */
        good = !features ||
               refuse(shim, iovageom_viommu_driver_features(shim->books, features, &shim->report),
                      &error);
    }
    drop_stream(shim);
    shim->unrecorded = !received;
    return loaded(good, error);
}

int iovageom_shim_load_endpoint(IovageomShim *shim, uint32_t number, PCIBus *bus, int devfn,
                                uint32_t domain, bool bypass)
{
    uint32_t flags = bypass ? VIRTIO_IOMMU_ATTACH_F_BYPASS : 0;
    Error *error = NULL;

    iovageom_report_clear(&shim->report);
    if (iovageom_shim_attach(shim, bus, devfn, domain, flags) != VIRTIO_IOMMU_S_OK) {
        error_setg(&error, "the guest's endpoint %u, of domain %u: %s", number, domain,
                   bus ? iovageom_report_text(&shim->report) : "there is no such device here");
    }
    return loaded(!error, error);
}

int iovageom_shim_load_mapping(IovageomShim *shim, uint32_t domain, uint64_t start, uint64_t last,
                               uint64_t phys, uint32_t flags)
{
    struct iovageom_mapping known;
    Error *error = NULL;

    if (iovageom_viommu_mapping_next(shim->books, domain, start, &known) &&
        known.range.start == start && known.range.last == last && known.phys == phys &&
        known.flags == flags) {
        return 0;
    }
    if (iovageom_shim_map(shim, domain, start, last, phys, flags) != VIRTIO_IOMMU_S_OK) {
        error_setg(&error, "domain %u: %s", domain, iovageom_report_text(&shim->report));
    }
    return loaded(!error, error);
}

/*
 * After a stream without books: the guest may have been told of nothing but what the machine
 * reserves, wherever there is a device that it can have asked about.
 */
static int promise_all(IovageomShim *shim)
{
    g_autofree void *properties = g_malloc(shim->config->probe_size);
    struct iovageom_viommu_endpoint each;
    uint64_t from = 0;
    int rc = IOVAGEOM_OK;

    while (rc >= 0 && from <= UINT32_MAX &&
           iovageom_viommu_endpoint_next(shim->books, from, &each)) {
        PCIBus *bus = bus_at(shim, each.endpoint >> 8);

        from = (uint64_t)each.endpoint + 1;
        if (each.kind != IOVAGEOM_ENDPOINT_SLOT || !bus || bus->devices[each.endpoint & 0xff]) {
            rc = iovageom_viommu_probe(shim->books, each.endpoint, properties,
                                       shim->config->probe_size, NULL, &shim->report);
        }
    }
    return rc;
}

int iovageom_shim_load_end(IovageomShim *shim)
{
    Error *error = NULL;
    bool good = !shim->unrecorded || refuse(shim, promise_all(shim), &error);

    return loaded(good, error);
}

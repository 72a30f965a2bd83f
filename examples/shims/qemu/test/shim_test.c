/* SPDX-License-Identifier: BSD-3-Clause */
/* The QEMU shim in a QEMU of a few lines: what of it can be seen without a guest. */
#include "fake-qemu.h"
#include "hw/virtio/iovageom-shim.h"

#include <malloc.h>
#include <stdarg.h>

/* ---- the QEMU ---- */

static Notifier *machine_done;
static char reported[512], logged[512];

static Error *new_error(const char *format, va_list arguments)
{
    Error *error = g_new0(Error, 1);

    error->text = g_strdup_vprintf(format, arguments);
    return error;
}

void error_setg(Error **errp, const char *format, ...)
{
    va_list arguments;

    g_assert(!errp || !*errp);
    va_start(arguments, format);
    if (errp) {
        *errp = new_error(format, arguments);
    }
    va_end(arguments);
}

void error_setg_errno(Error **errp, int number, const char *format, ...)
{
    (void)format;
    error_setg(errp, "%s", strerror(number));
}

void error_free(Error *error)
{
    if (error) {
        g_free(error->text);
        g_free(error);
    }
}

void error_report(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reported, sizeof(reported), format, arguments);
    va_end(arguments);
}

void qemu_log_mask(int mask, const char *format, ...)
{
    va_list arguments;

    (void)mask;
    va_start(arguments, format);
    vsnprintf(logged, sizeof(logged), format, arguments);
    va_end(arguments);
}

void error_reportf_err(Error *error, const char *format, ...)
{
    va_list arguments;
    size_t used;

    va_start(arguments, format);
    vsnprintf(reported, sizeof(reported), format, arguments);
    va_end(arguments);
    used = strlen(reported);
    snprintf(reported + used, sizeof(reported) - used, "%s", error->text);
    error_free(error);
}

int qemu_strtou64(const char *text, const char **end, int base, uint64_t *out)
{
    char *stop;

    *out = strtoull(text, &stop, base);
    if (end) {
        *end = stop;
    }
    return stop == text || (!end && *stop) ? -EINVAL : 0;
}

int qemu_strtoui(const char *text, const char **end, int base, unsigned *out)
{
    uint64_t wide;
    int rc = qemu_strtou64(text, end, base, &wide);

    *out = (unsigned)wide;
    return rc;
}

void qemu_add_machine_init_done_notifier(Notifier *notifier)
{
    machine_done = notifier;
}

void qemu_remove_machine_init_done_notifier(Notifier *notifier)
{
    g_assert(machine_done == notifier);
    machine_done = NULL;
}

/* ---- the tests ---- */

#define K4  UINT64_C(0x1000)
#define K64 UINT64_C(0x10000)
#define M2  UINT64_C(0x200000)
#define G1  UINT64_C(0x40000000)

static PCIBus root = {.qbus = {"pcie.0"}};
static struct virtio_iommu_config config;

static IovageomShim *new_shim(uint64_t page_size_mask, bool granule_as_host, Error **errp)
{
    IovageomShimSetup setup = {.config = &config,
                               .root = &root,
                               .aw_bits = 48,
                               .granule_as_host = granule_as_host,
                               .boot_bypass = true};

    memset(&config, 0, sizeof(config));
    config.page_size_mask = page_size_mask;
    return iovageom_shim_new(&setup, errp);
}

/* What the guest is told of page sizes with one host device that says this. */
static uint64_t told(uint64_t setup_mask, bool granule_as_host, uint64_t host_mask, bool iommufd)
{
    IovageomShimHost host = {"0000:3b:00.0", NULL, host_mask, iommufd};
    Error *error = NULL;
    IovageomShim *shim = new_shim(setup_mask, granule_as_host, &error);

    g_assert(shim && !error);
    g_assert(iovageom_shim_plug(shim, &root, 8, &root, 8, &host, &error) && !error);
    machine_done->notify(machine_done, NULL);
    iovageom_shim_free(shim);
    return config.page_size_mask;
}

static void an_alignment_of_iommufd_is_no_mask(void)
{
    /* VFIO's own container: a mask of page sizes. */
    g_assert_cmphex(told(-K4, true, G1 | M2 | K4, false), ==, G1 | M2 | K4);
    g_assert_cmphex(told(-K4, true, K4, false), ==, K4);
    /* iommufd: everything from the alignment up. */
    g_assert_cmphex(told(-K4, true, K4, true), ==, -K4);
    g_assert_cmphex(told(-K4, true, K64, true), ==, -K64);
    g_assert_cmphex(told(-K64, false, K4, true), ==, -K64);
    /* Nothing said, either way. */
    g_assert_cmphex(told(-K4, true, 0, false), ==, -K4);
    g_assert_cmphex(told(-K4, true, 0, true), ==, -K4);
}

static void a_host_that_says_no_alignment_is_refused(void)
{
    IovageomShimHost host = {"0000:3b:00.0", NULL, M2 | K4, true};
    Error *error = NULL;
    IovageomShim *shim = new_shim(-K4, true, &error);

    g_assert(!iovageom_shim_plug(shim, &root, 8, &root, 8, &host, &error) && error);
    error_free(error);
    error = NULL;
    host.page_size_mask = M2;
    g_assert(iovageom_shim_plug(shim, &root, 8, &root, 8, &host, &error) && !error);
    iovageom_shim_free(shim);
}

static void a_refused_setup_leaves_nothing(void)
{
    Error *error = NULL;

    g_assert(!new_shim(0, true, &error));
    g_assert(error && !machine_done);
    error_free(error);
}

/* ---- a guest that moves ---- */

/* What QEMU would write for the shim. */
static GByteArray *saved(IovageomShim *shim)
{
    GByteArray *stream = g_byte_array_new();
    const VMStateDescription *state = &vmstate_iovageom_shim;

    g_assert_cmpint(state->pre_save(shim), ==, 0);
    for (const VMStateField *field = state->fields; field->kind != FIELD_END; field++) {
        const uint8_t *at = (const uint8_t *)shim + field->offset;

        if (field->kind == FIELD_UINT32) {
            g_byte_array_append(stream, at, 4);
        } else if (field->kind == FIELD_BUFFER) {
            g_byte_array_append(stream, *(uint8_t *const *)at,
                                *(const uint32_t *)((const uint8_t *)shim + field->size_offset));
        } else {
            g_assert(field->field_exists(shim, state->version_id));
        }
    }
    g_assert_cmpint(state->post_save(shim), ==, 0);
    return stream;
}

/* As QEMU reads it: -EINVAL where a test fails or the stream ends too early. */
static int received(IovageomShim *shim, const GByteArray *stream)
{
    const VMStateDescription *state = &vmstate_iovageom_shim;
    size_t used = 0;

    g_assert_cmpint(state->pre_load(shim), ==, 0);
    for (const VMStateField *field = state->fields; field->kind != FIELD_END; field++) {
        uint8_t *at = (uint8_t *)shim + field->offset;
        uint32_t size = 4;

        if (field->kind == FIELD_VALIDATE) {
            if (!field->field_exists(shim, state->version_id)) {
                return -EINVAL;
            }
            continue;
        }
        if (field->kind == FIELD_BUFFER) {
            size = *(uint32_t *)((uint8_t *)shim + field->size_offset);
            g_assert_cmpuint(size, <=, 1u << 28); /* whatever the stream says */
            at = *(uint8_t **)at = g_malloc0(size);
        }
        if (size > stream->len - used) {
            return -EINVAL;
        }
        memcpy(at, stream->data + used, size);
        used += size;
    }
    g_assert_cmpint(state->post_load(shim, state->version_id), ==, 0);
    return 0;
}

static const struct virtio_iommu_config unread;

static int moved(IovageomShim *shim, const GByteArray *stream)
{
    reported[0] = '\0';
    return stream && received(shim, stream) < 0
               ? -EINVAL
               : iovageom_shim_load_begin(shim, UINT64_MAX, &unread);
}

/*
 * A root port without ACS at 1.0, an emulated device at 2.0, a bridge at 3.0, and a root port with
 * ACS at 4.0. The slots of both ports are empty.
 */
static PCIBus below = {.qbus = {"rp1"}}, conventional = {.qbus = {"br1"}},
              apart = {.qbus = {"rp2"}};
static PCIDevice port = {.qdev = {"rp1"}, .devfn = 8, .bus = &root, .below = &below, .exp = {64}};
static PCIDevice disk = {.qdev = {"disk"}, .devfn = 16, .bus = &root};
static PCIDevice bridge = {.devfn = 24, .bus = &root, .below = &conventional};
static PCIDevice port2 = {
    .qdev = {"rp2"}, .devfn = 32, .bus = &root, .below = &apart, .exp = {64}, .acs = true};

static IovageomShim *new_machine(const char *envelope, uint8_t aw_bits)
{
    IovageomShimSetup setup = {.config = &config,
                               .root = &root,
                               .aw_bits = aw_bits,
                               .granule_as_host = true,
                               .boot_bypass = true,
                               .envelope = envelope};

    root.devices[port.devfn] = &port;
    root.devices[disk.devfn] = &disk;
    root.devices[bridge.devfn] = &bridge;
    root.devices[port2.devfn] = &port2;
    apart.parent_dev = &port2;
    below.parent_dev = &port;
    conventional.parent_dev = &bridge;
    memset(&config, 0, sizeof(config));
    config.page_size_mask = -K4;
    return iovageom_shim_new(&setup, NULL);
}

static bool plug_at(IovageomShim *shim, PCIBus *bus, unsigned bits, Error **errp)
{
    Range range = {0, (UINT64_C(1) << bits) - 1};
    GList usable = {.data = &range};
    IovageomShimHost host = {"0000:3b:00.0", &usable, G1 | M2 | K4, false};

    return iovageom_shim_plug(shim, bus, 0, bus, 0, &host, errp);
}

static bool plug_host(IovageomShim *shim, unsigned bits, Error **errp)
{
    return plug_at(shim, &below, bits, errp);
}

#define MAPPED UINT64_C(0xfffffffff000)

/* The port and the disk were asked about, the disk has a mapping, and the host device has left. */
static IovageomShim *source(void)
{
    uint8_t properties[4096];
    IovageomShim *shim = new_machine(NULL, 48);

    g_assert(plug_host(shim, 47, NULL));
    machine_done->notify(machine_done, NULL);
    g_assert_cmpint(config.probe_size, <=, sizeof(properties));
    g_assert_cmpint(iovageom_shim_probe(shim, &root, port.devfn, properties), ==, 0);
    g_assert_cmpint(iovageom_shim_probe(shim, &root, disk.devfn, properties), ==, 0);
    g_assert_cmpint(iovageom_shim_attach(shim, &root, disk.devfn, 1, 0), ==, 0);
    g_assert_cmpint(iovageom_shim_map(shim, 1, MAPPED, MAPPED + K4 - 1, 0x5000, 3), ==, 0);
    iovageom_shim_unplug(shim, &below, 0);
    return shim;
}

/* With domain 1 as QEMU has it, too. */
static int taken_over(IovageomShim *shim, const GByteArray *stream)
{
    int status = moved(shim, stream);

    if (status == 0) {
        status = iovageom_shim_load_endpoint(shim, 0x10, &root, disk.devfn, 1, false);
    }
    if (status == 0) {
        status = iovageom_shim_load_mapping(shim, 1, MAPPED, MAPPED + K4 - 1, 0x5000, 3);
    }
    return status ? status : iovageom_shim_load_end(shim);
}

static GByteArray *a_stream(void)
{
    IovageomShim *shim = source();
    GByteArray *stream = saved(shim);

    iovageom_shim_free(shim);
    return stream;
}

static IovageomShim *destination(const char *envelope, uint8_t aw_bits)
{
    IovageomShim *shim = new_machine(envelope, aw_bits);

    machine_done->notify(machine_done, NULL);
    return shim;
}

static void the_guest_goes_on_elsewhere(void)
{
    g_autoptr(GByteArray) stream = a_stream();
    IovageomShim *shim = destination(NULL, 48);
    Error *error = NULL;

    g_assert_cmphex(config.page_size_mask, ==, -K4);
    g_assert_cmpint(taken_over(shim, stream), ==, 0);
    g_assert_cmpstr(reported, ==, "");
    /* The guest goes on seeing what it has read at the source. */
    g_assert_cmphex(config.page_size_mask, ==, G1 | M2 | K4);
    /* What was mapped is mapped, and more can be; what was promised stays so. */
    g_assert_cmpint(iovageom_shim_map(shim, 1, MAPPED, MAPPED + K4 - 1, 0x5000, 3), ==,
                    VIRTIO_IOMMU_S_INVAL);
    g_assert_cmpint(iovageom_shim_map(shim, 1, 0, K4 - 1, 0, 3), ==, VIRTIO_IOMMU_S_OK);
    g_assert(!plug_host(shim, 39, &error));
    g_assert(strstr(error->text, "promise") && strstr(error->text, "rp1"));
    error_free(error);
    g_assert(plug_host(shim, 47, NULL));
    iovageom_shim_free(shim);
}

/* The device is here before the stream: in another order than at the source, where it came last. */
static void a_device_that_is_there_is_judged(void)
{
    g_autoptr(GByteArray) stream = a_stream();

    for (unsigned bits = 39; bits <= 47; bits += 8) {
        IovageomShim *shim = new_machine(NULL, 48);

        g_assert(plug_host(shim, bits, NULL));
        machine_done->notify(machine_done, NULL);
        g_assert_cmpint(taken_over(shim, stream), ==, bits == 47 ? 0 : -EINVAL);
        g_assert((strstr(reported, "promise") != NULL) == (bits != 47));
        iovageom_shim_free(shim);
    }
}

static void a_narrower_destination_is_refused(void)
{
    static const struct {
        const char *envelope, *word;
        uint8_t aw_bits;
    } ways[] = {{NULL, "input range", 40}, {"39", "promise", 48}};
    g_autoptr(GByteArray) stream = a_stream();

    for (size_t n = 0; n < G_N_ELEMENTS(ways); n++) {
        IovageomShim *shim = destination(ways[n].envelope, ways[n].aw_bits);

        g_assert_cmpint(moved(shim, stream), ==, -EINVAL);
        g_assert(strstr(reported, ways[n].word));
        /* It is what it was, for a guest of its own. */
        g_assert_cmphex(config.input_range.end, ==, (UINT64_C(1) << ways[n].aw_bits) - 1);
        g_assert_cmpint(iovageom_shim_attach(shim, &root, disk.devfn, 1, 0), ==, 0);
        iovageom_shim_free(shim);
    }
}

/* A snapshot comes back into the machine that it is from, which went on meanwhile. */
static void a_snapshot_comes_back(void)
{
    IovageomShim *shim = source();
    g_autoptr(GByteArray) stream = saved(shim);
    g_autoptr(GByteArray) again = NULL;

    g_assert_cmpint(iovageom_shim_map(shim, 1, 0, K4 - 1, 0, 3), ==, 0);
    g_assert_cmpint(iovageom_shim_attach(shim, &root, port.devfn, 7, 0), ==, 0);
    iovageom_shim_reset(shim, true);
    g_assert_cmpint(taken_over(shim, stream), ==, 0);
    again = saved(shim);
    g_assert_cmpuint(again->len, ==, stream->len);
    iovageom_shim_free(shim);
}

/*
 * Wherever a byte is wrong or the stream ends, nothing is taken over, and the machine can go on.
 * Four bytes of the books' header are not read (docs/formats.md).
 */
static void a_damaged_stream_is_refused(void)
{
    g_autoptr(GByteArray) stream = a_stream();
    IovageomShim *shim = destination(NULL, 48);

    for (guint at = 0; at < stream->len; at++) {
        guint whole = stream->len;

        stream->data[at] ^= 0x10;
        g_assert_cmpint(moved(shim, stream), ==, at >= 16 && at < 20 ? 0 : -EINVAL);
        stream->data[at] ^= 0x10;
        stream->len = at;
        g_assert_cmpint(moved(shim, stream), ==, -EINVAL);
        stream->len = whole;
    }
    memset(stream->data, 0, 4);
    g_assert_cmpint(moved(shim, stream), ==, -EINVAL);
    memset(stream->data, 0xff, 4);
    g_assert_cmpint(moved(shim, stream), ==, -EINVAL);
    g_assert_cmpint(iovageom_shim_attach(shim, &root, disk.devfn, 1, 0), ==, 0);
    iovageom_shim_free(shim);
}

/* QEMU's part of the stream speaks of what is not here, or of what the books can't take. */
static void qemus_part_is_judged_too(void)
{
    g_autoptr(GByteArray) stream = a_stream();
    IovageomShim *shim = destination(NULL, 48);

    g_assert_cmpint(moved(shim, stream), ==, 0);
    g_assert_cmpint(iovageom_shim_load_endpoint(shim, 0x77, NULL, 0, 2, false), ==, -EINVAL);
    g_assert(strstr(reported, "no such device"));
    g_assert_cmpint(iovageom_shim_load_mapping(shim, 1, MAPPED, MAPPED + K4 - 1, 0x6000, 3), ==,
                    -EINVAL);
    g_assert_cmpint(
        iovageom_shim_load_mapping(shim, 1, UINT64_C(1) << 48, (UINT64_C(1) << 48) + K4 - 1, 0, 3),
        ==, -EINVAL);
    /* An emulated device's mapping that is no multiple of the granule: taken, but for it alone. */
    g_assert_cmpint(iovageom_shim_load_mapping(shim, 1, 0x100, 0x1ff, 0, 3), ==, 0);
    g_assert_cmpint(iovageom_shim_load_end(shim), ==, 0);
    g_assert(plug_host(shim, 47, NULL));
    g_assert_cmpint(iovageom_shim_attach(shim, &below, 0, 1, 0), ==, VIRTIO_IOMMU_S_UNSUPP);
    iovageom_shim_free(shim);
}

static void an_emulated_device_in_a_slot_is_no_host_device(void)
{
    PCIDevice card = {.devfn = 0, .bus = &below};
    g_autoptr(GByteArray) stream = NULL;
    IovageomShim *shim = destination(NULL, 48);

    below.devices[0] = &card;
    g_assert_cmpint(iovageom_shim_attach(shim, &below, 0, 4, 0), ==, 0);
    stream = saved(shim);
    iovageom_shim_free(shim);
    shim = destination(NULL, 48);
    g_assert_cmpint(moved(shim, stream), ==, 0);
    g_assert_cmpint(iovageom_shim_load_endpoint(shim, 0x100, &below, 0, 4, false), ==, 0);
    g_assert_cmpint(iovageom_shim_load_end(shim), ==, 0);
    /* It leaves, and a host device takes its place. */
    below.devices[0] = NULL;
    g_assert(plug_host(shim, 39, NULL));
    iovageom_shim_free(shim);
}

/* Where there is no slot, too: QEMU doesn't tell that the emulated device has left. */
static void a_host_device_takes_the_place_of_an_emulated_one(void)
{
    IovageomShimHost host = {"0000:3b:00.0", NULL, K4, false};
    IovageomShim *shim = destination(NULL, 48);
    Error *error = NULL;

    g_assert_cmpint(iovageom_shim_attach(shim, &root, disk.devfn, 4, 0), ==, 0);
    g_assert_cmpint(iovageom_shim_map(shim, 4, 0, K4 - 1, 0, 3), ==, VIRTIO_IOMMU_S_OK);
    g_assert(iovageom_shim_plug(shim, &root, disk.devfn, &root, disk.devfn, &host, &error));
    g_assert_cmpint(iovageom_shim_map(shim, 4, K4, 2 * K4 - 1, 0, 3), ==, VIRTIO_IOMMU_S_NOENT);
    /* But not that of one whose DMA shows as the device's own. */
    g_assert_cmpint(iovageom_shim_attach(shim, &root, bridge.devfn, 4, 0), ==, 0);
    g_assert(!iovageom_shim_plug(shim, &conventional, 8, &root, bridge.devfn, &host, &error));
    g_assert(error);
    error_free(error);
    iovageom_shim_free(shim);
}

/* A guest makes domains without end, and maps such pieces: that takes no memory from the VMM. */
static void domains_that_have_ended_are_forgotten(void)
{
    IovageomShim *shim = destination(NULL, 48);
    size_t before = 0;

    for (uint32_t n = 0; n < 40000; n++) {
        if (n == 1000) {
            before = mallinfo2().uordblks;
        }
        g_assert_cmpint(iovageom_shim_attach(shim, &root, disk.devfn, n, 0), ==, 0);
        g_assert_cmpint(iovageom_shim_map(shim, n, 0x100, 0x1ff, 0, 3), ==, VIRTIO_IOMMU_S_OK);
        if (n % 2) {
            iovageom_shim_detach(shim, &root, disk.devfn, n);
        }
    }
    g_assert_cmpuint(mallinfo2().uordblks, <, before + 10000);
    iovageom_shim_free(shim);
}

/* What stock QEMU takes from an emulated device it takes from one in a slot, too. */
static void an_emulated_device_in_a_slot_may_map_less_than_a_granule(void)
{
    PCIDevice card = {.devfn = 0, .bus = &below};
    IovageomShim *shim = destination(NULL, 48);
    Error *error = NULL;

    below.devices[0] = &card;
    g_assert_cmpint(iovageom_shim_attach(shim, &below, 0, 4, 0), ==, 0);
    g_assert_cmpint(iovageom_shim_map(shim, 4, 0x100, 0x1ff, 0, 3), ==, VIRTIO_IOMMU_S_OK);
    g_assert_cmpint(iovageom_shim_attach(shim, &root, disk.devfn, 4, 0), ==, 0);
    g_assert_cmpint(iovageom_shim_attach(shim, &below, 0, 5, 0), ==, 0);
    g_assert_cmpint(iovageom_shim_attach(shim, &below, 0, 4, 0), ==, 0);
    /* A host device in its place starts anew, but does not come into that domain. */
    below.devices[0] = NULL;
    g_assert(plug_host(shim, 39, &error) && !error);
    g_assert_cmpint(iovageom_shim_attach(shim, &below, 0, 4, 0), ==, VIRTIO_IOMMU_S_UNSUPP);
    g_assert_cmpint(iovageom_shim_attach(shim, &below, 0, 5, 0), ==, 0);
    g_assert_cmpint(iovageom_shim_map(shim, 5, 0x100, 0x1ff, 0, 3), ==, VIRTIO_IOMMU_S_RANGE);
    iovageom_shim_free(shim);
}

static void a_stream_without_books(void)
{
    uint8_t properties[4096];
    IovageomShim *shim = new_machine(NULL, 48);
    Error *error = NULL;

    /* Nobody knows what its guest was promised, so no host device may be there. */
    g_assert(plug_host(shim, 47, NULL));
    machine_done->notify(machine_done, NULL);
    g_assert_cmpint(moved(shim, NULL), ==, -EINVAL);
    g_assert(strstr(reported, "does not record"));
    iovageom_shim_free(shim);
    shim = destination("39", 48);
    g_assert_cmpint(moved(shim, NULL), ==, -EINVAL);
    iovageom_shim_free(shim);
    /* Without one the domains are QEMU's, and all was promised, but in an empty slot. */
    shim = destination(NULL, 48);
    g_assert_cmpint(taken_over(shim, NULL), ==, 0);
    g_assert_cmpint(iovageom_shim_map(shim, 1, MAPPED, MAPPED + K4 - 1, 0x5000, 3), ==,
                    VIRTIO_IOMMU_S_INVAL);
    g_assert(!plug_host(shim, 47, &error));
    g_assert(strstr(error->text, "promise"));
    error_free(error);
    g_assert(plug_host(shim, 48, NULL));
    g_assert_cmpint(iovageom_shim_probe(shim, &below, 0, properties), ==, 0);
    /* Where no device was that the guest can have asked about, nothing was promised. */
    g_assert(plug_at(shim, &apart, 39, NULL));
    iovageom_shim_free(shim);
}

/* ---- a driver that can't be told ---- */

#define ALL_BUT_PROBE (UINT64_MAX & ~(UINT64_C(1) << VIRTIO_IOMMU_F_PROBE))

/* It would not ask what a device can't map, so either the device or the driver has to stay away. */
static void a_driver_that_does_not_ask_gets_no_narrow_device(void)
{
    IovageomShim *shim = new_machine(NULL, 48);
    Error *error = NULL;

    g_assert(plug_host(shim, 39, NULL));
    machine_done->notify(machine_done, NULL);
    logged[0] = '\0';
    g_assert_cmpint(iovageom_shim_features(shim, ALL_BUT_PROBE), ==, -EINVAL);
    g_assert(strstr(logged, "0000:3b:00.0"));
    /* The next one does. */
    iovageom_shim_reset(shim, false);
    g_assert_cmpint(iovageom_shim_features(shim, UINT64_MAX), ==, 0);
    iovageom_shim_free(shim);

    shim = destination(NULL, 48);
    g_assert_cmpint(iovageom_shim_features(shim, ALL_BUT_PROBE), ==, 0);
    g_assert(!plug_at(shim, &apart, 39, &error));
    error_free(error);
    g_assert(plug_at(shim, &apart, 48, NULL));
    iovageom_shim_unplug(shim, &apart, 0);
    /* Its guest ends with a reset. */
    iovageom_shim_reset(shim, false);
    g_assert(plug_at(shim, &apart, 39, NULL));
    iovageom_shim_free(shim);
}

/* What a driver has accepted moves along: with the books, else it is QEMU that knows it. */
static void a_driver_that_does_not_ask_moves(void)
{
    IovageomShim *shim = destination(NULL, 48);
    g_autoptr(GByteArray) stream = NULL;

    g_assert_cmpint(iovageom_shim_features(shim, ALL_BUT_PROBE), ==, 0);
    stream = saved(shim);
    iovageom_shim_free(shim);
    for (int recorded = 0; recorded < 2; recorded++) {
        shim = destination(NULL, 48);
        if (recorded) {
            g_assert_cmpint(moved(shim, stream), ==, 0);
        } else {
            g_assert_cmpint(iovageom_shim_load_begin(shim, ALL_BUT_PROBE, &unread), ==, 0);
        }
        g_assert_cmpint(iovageom_shim_load_end(shim), ==, 0);
        g_assert(!plug_at(shim, &apart, 39, NULL));
        g_assert(plug_at(shim, &apart, 48, NULL));
        iovageom_shim_free(shim);
    }
}

/* Before there is a driver nothing is declined: the next one may ask. */
static void a_machine_without_a_driver_moves(void)
{
    IovageomShim *shim = destination(NULL, 48);

    g_assert_cmpint(iovageom_shim_load_begin(shim, 0, &unread), ==, 0);
    g_assert_cmpint(iovageom_shim_load_end(shim), ==, 0);
    g_assert(plug_at(shim, &apart, 39, NULL));
    iovageom_shim_free(shim);
}

/* A kernel that another one has started: QEMU 10.0 and later don't tell of a reset by the
 * driver. */
static void a_driver_that_begins_anew_finds_nothing_mapped(void)
{
    IovageomShim *shim = new_shim(-K4, true, NULL);

    machine_done->notify(machine_done, NULL);
    for (int time = 0; time < 2; time++) {
        g_assert_cmpint(iovageom_shim_features(shim, UINT64_MAX), ==, 0);
        g_assert_cmpint(iovageom_shim_map(shim, 1, 0, K4 - 1, 0, 3), ==, VIRTIO_IOMMU_S_NOENT);
        g_assert_cmpint(iovageom_shim_attach(shim, &root, 8, 1, 0), ==, VIRTIO_IOMMU_S_OK);
        g_assert_cmpint(iovageom_shim_map(shim, 1, 0, K4 - 1, 0, 3), ==, VIRTIO_IOMMU_S_OK);
        g_assert_cmpint(iovageom_shim_map(shim, 1, 0, K4 - 1, 0, 3), ==, VIRTIO_IOMMU_S_INVAL);
    }
    iovageom_shim_free(shim);
}

/* Nor does one come from elsewhere that can't be told what this machine reserves. */
static void a_driver_that_does_not_ask_moves_to_no_region(void)
{
    for (int asks = 0; asks < 2; asks++) {
        IovageomShim *shim = new_machine(NULL, 48);

        g_assert(iovageom_shim_reserve(shim, M2, 2 * M2 - 1, 0, NULL));
        machine_done->notify(machine_done, NULL);
        reported[0] = '\0';
        g_assert_cmpint(iovageom_shim_load_begin(shim, asks ? UINT64_MAX : ALL_BUT_PROBE, &unread),
                        ==, asks ? 0 : -EINVAL);
        g_assert(asks ? !reported[0] : strstr(reported, "reserved-regions") != NULL);
        iovageom_shim_free(shim);
    }
}

/* Of a stream without books: QEMU has what the guest has read, and never looks at it. */
static void a_guest_that_read_something_else_is_refused(void)
{
    static const struct {
        uint64_t mask, start, end;
        const char *word;
    } ways[] = {
        {-K4, 0, (UINT64_C(1) << 48) - 1, NULL},        {G1 | M2 | K4, K4, M2 - 1, NULL},
        {-K64, 0, M2 - 1, "multiples of 0x10000, and"}, {M2, 0, M2 - 1, "multiples of 0x200000"},
        {-K4, 0, UINT64_C(1) << 48, "input range"},     {-K4, 0, UINT64_MAX, "input range"},
    };

    for (size_t n = 0; n < G_N_ELEMENTS(ways); n++) {
        struct virtio_iommu_config read = {
            .page_size_mask = htole64(ways[n].mask),
            .input_range = {htole64(ways[n].start), htole64(ways[n].end)}};
        IovageomShim *shim = destination(NULL, 48);

        reported[0] = '\0';
        g_assert_cmpint(iovageom_shim_load_begin(shim, UINT64_MAX, &read), ==,
                        ways[n].word ? -EINVAL : 0);
        g_assert(ways[n].word ? strstr(reported, ways[n].word) != NULL : !reported[0]);
        iovageom_shim_free(shim);
    }
}

/* Six bridges, one below the other: each place has a number of its own, and keeps it. */
static void places_deep_down_are_told_apart(void)
{
    PCIBus buses[6] = {0};
    PCIDevice bridges[6] = {0};
    g_autoptr(GByteArray) stream = NULL;
    IovageomShim *shim;

    for (int n = 0; n < 6; n++) {
        bridges[n] = (PCIDevice){.devfn = 8, .bus = n ? &buses[n - 1] : &root, .below = &buses[n]};
        buses[n].parent_dev = &bridges[n];
    }
    shim = new_shim(-K4, true, NULL);
    for (int n = 5; n >= 0; n--) {
        g_assert_cmpint(iovageom_shim_attach(shim, &buses[n], 8, n, 0), ==, 0);
        g_assert_cmpint(iovageom_shim_map(shim, n, 0, K4 - 1, 0, 3), ==, 0);
    }
    /* An endpoint that two places shared would have left its first domain, and ended it. */
    for (int n = 0; n < 6; n++) {
        g_assert_cmpint(iovageom_shim_unmap(shim, n, 0, K4 - 1), ==, VIRTIO_IOMMU_S_OK);
    }
    stream = saved(shim);
    iovageom_shim_free(shim);
    shim = new_shim(-K4, true, NULL);
    machine_done->notify(machine_done, NULL);
    g_assert_cmpint(moved(shim, stream), ==, 0);
    for (int n = 0; n < 6; n++) {
        g_assert_cmpint(iovageom_shim_load_endpoint(shim, n, &buses[n], 8, n, false), ==, 0);
        g_assert_cmpint(iovageom_shim_map(shim, n, 0, K4 - 1, 0, 3), ==, 0);
    }
    iovageom_shim_free(shim);
}

/* A bridge deep down leaves, and another one comes there: its bus has the number that the first
 * had. */
static void a_place_deep_down_keeps_its_number(void)
{
    PCIBus buses[5] = {0};
    PCIDevice bridges[5] = {0};
    IovageomShim *shim = new_shim(-K4, true, NULL);

    for (int n = 0; n < 5; n++) {
        int above = n == 4 ? 2 : n - 1; /* the last one takes the place of the one before */

        bridges[n] =
            (PCIDevice){.devfn = 8, .bus = above >= 0 ? &buses[above] : &root, .below = &buses[n]};
        buses[n].parent_dev = &bridges[n];
    }
    g_assert_cmpint(iovageom_shim_attach(shim, &buses[3], 8, 1, 0), ==, VIRTIO_IOMMU_S_OK);
    /* The endpoint moves, and its first domain ends. */
    g_assert_cmpint(iovageom_shim_attach(shim, &buses[4], 8, 2, 0), ==, VIRTIO_IOMMU_S_OK);
    g_assert_cmpint(iovageom_shim_map(shim, 2, 0, K4 - 1, 0, 3), ==, VIRTIO_IOMMU_S_OK);
    g_assert_cmpint(iovageom_shim_map(shim, 1, 0, K4 - 1, 0, 3), ==, VIRTIO_IOMMU_S_NOENT);
    iovageom_shim_free(shim);
}

/* Wherever a device is, it leaves as it came: also where the number of its place would be the
 * last. */
static void every_place_has_a_number(void)
{
    PCIBus buses[4] = {0};
    PCIDevice bridges[4] = {0};
    IovageomShimHost host = {"0000:3b:00.0", NULL, K4, false};

    for (int n = 0; n < 4; n++) {
        bridges[n] = (PCIDevice){.devfn = 8, .bus = n ? &buses[n - 1] : &root, .below = &buses[n]};
        buses[n].parent_dev = &bridges[n];
    }
    for (unsigned third = 1; third < 256; third++) {
        unsigned last = ((0x080800 + third + 1) * 0x9e3779b1u & 0xffff) ^ 0xffff;
        IovageomShim *shim;

        if (last > 0xff) {
            continue;
        }
        bridges[2].devfn = third;
        bridges[3].devfn = last;
        shim = new_shim(-K4, true, NULL);
        for (int time = 0; time < 2; time++) {
            g_assert(iovageom_shim_plug(shim, &buses[3], 255, &buses[3], 255, &host, NULL));
            iovageom_shim_unplug(shim, &buses[3], 255);
        }
        iovageom_shim_free(shim);
        return;
    }
    g_assert_not_reached();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/" #name, name)
    TEST(an_alignment_of_iommufd_is_no_mask);
    TEST(a_host_that_says_no_alignment_is_refused);
    TEST(a_refused_setup_leaves_nothing);
    TEST(the_guest_goes_on_elsewhere);
    TEST(a_device_that_is_there_is_judged);
    TEST(a_narrower_destination_is_refused);
    TEST(a_snapshot_comes_back);
    TEST(a_damaged_stream_is_refused);
    TEST(qemus_part_is_judged_too);
    TEST(an_emulated_device_in_a_slot_is_no_host_device);
    TEST(a_host_device_takes_the_place_of_an_emulated_one);
    TEST(domains_that_have_ended_are_forgotten);
    TEST(an_emulated_device_in_a_slot_may_map_less_than_a_granule);
    TEST(a_stream_without_books);
    TEST(a_driver_that_does_not_ask_gets_no_narrow_device);
    TEST(a_driver_that_does_not_ask_moves);
    TEST(a_machine_without_a_driver_moves);
    TEST(a_driver_that_does_not_ask_moves_to_no_region);
    TEST(a_driver_that_begins_anew_finds_nothing_mapped);
    TEST(a_guest_that_read_something_else_is_refused);
    TEST(places_deep_down_are_told_apart);
    TEST(a_place_deep_down_keeps_its_number);
    TEST(every_place_has_a_number);
    return g_test_run();
}

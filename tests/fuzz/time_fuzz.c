/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fails on time. A short input is a recipe for a long one: runs of up to 8191 items, each run with
 * numbers that go up or down by a step. The first byte says for which decoder. What the decoder
 * does is counted, as blocks of code that it enters and bytes that it moves, and may be no more
 * than linear, times a logarithm, in the length of what it was given.
 */
#include "fuzz.h"

#include <iovageom/geometry.h>
#include <iovageom/guest.h>
#include <iovageom/host_iommufd.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_vfio.h>
#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "base/bytes.h"

enum { ROOM = 1 << 18, STEPS_FOR_BYTE = 8, STEPS_FOR_NOTHING = 200000 };

static uint64_t steps;

/* Called for each block of code that is entered. */
void __wrap___sanitizer_cov_trace_pc(void);
void __wrap___sanitizer_cov_trace_pc(void)
{
    steps++;
}

void *__real___asan_memcpy(void *to, const void *from, size_t size);
void *__real___asan_memmove(void *to, const void *from, size_t size);
void *__real___asan_memset(void *to, int byte, size_t size);
void *__wrap___asan_memcpy(void *to, const void *from, size_t size);
void *__wrap___asan_memmove(void *to, const void *from, size_t size);
void *__wrap___asan_memset(void *to, int byte, size_t size);

void *__wrap___asan_memcpy(void *to, const void *from, size_t size)
{
    steps += size / 8;
    return __real___asan_memcpy(to, from, size);
}

void *__wrap___asan_memmove(void *to, const void *from, size_t size)
{
    steps += size / 8;
    return __real___asan_memmove(to, from, size);
}

void *__wrap___asan_memset(void *to, int byte, size_t size)
{
    steps += size / 8;
    return __real___asan_memset(to, byte, size);
}

static void in_time(const char *what, size_t length)
{
    uint64_t most = 1;

    while (length >> most != 0)
        most++;
    most = STEPS_FOR_NOTHING + STEPS_FOR_BYTE * most * length;
    if (steps > most) {
        fprintf(stderr, "%s: %llu steps for %zu bytes, of which %llu would be enough\n", what,
                (unsigned long long)steps, length, (unsigned long long)most);
        abort();
    }
}

/* ---- from a recipe to bytes ---- */

struct dish {
    uint8_t bytes[ROOM];
    size_t length;
};

static void put(struct dish *dish, uint64_t number, unsigned width)
{
    for (unsigned i = 0; i < width && dish->length < ROOM; i++)
        dish->bytes[dish->length++] = (uint8_t)(number >> 8 * i);
}

/* A run: what its items are, and how they differ. */
struct run {
    unsigned count, kind, name_step;
    uint64_t start, size, step;
};

static struct run next_run(struct fuzz_input *input)
{
    struct run run;

    run.count = (unsigned)fuzz_number(input, 2) % 8192;
    run.kind = (unsigned)fuzz_number(input, 1);
    run.name_step = (unsigned)fuzz_number(input, 1);
    run.start = fuzz_number(input, 4) << 12;
    run.size = fuzz_number(input, 2) << 8;
    run.step = (uint64_t)(int64_t)(int16_t)fuzz_number(input, 2) << 8;
    return run;
}

static void put_record(struct dish *dish, const struct run *run, unsigned i)
{
    const uint32_t name = 0x20202020u + i * run->name_step;
    const uint32_t tag =
        run->kind & 1 ? 0x100 + (1u << (run->kind >> 1) % 7) : 0x200 + 1 + (run->kind >> 1) % 5;

    put(dish, tag, 4);
    put(dish, run->kind >> 4, 4);
    put(dish, run->kind & 8 ? 4 : 0, 4);
    put(dish, 2, 4);
    put(dish, name, run->kind & 8 ? 4 : 0);
    put(dish, run->start + i * run->step, 8);
    put(dish, run->start + i * run->step + run->size, 8);
}

static void cook(struct dish *dish, struct fuzz_input *input,
                 void (*item)(struct dish *dish, const struct run *run, unsigned i))
{
    while (input->size > 0) {
        const struct run run = next_run(input);

        for (unsigned i = 0; i < run.count && dish->length < ROOM - 128; i++)
            item(dish, &run, i);
    }
}

static void put_property(struct dish *dish, const struct run *run, unsigned i)
{
    put(dish, run->kind & 2 ? 7 : 1, 2);
    put(dish, 20, 2);
    put(dish, run->kind & 1, 4);
    put(dish, run->start + i * run->step, 8);
    put(dish, run->start + i * run->step + run->size, 8);
}

static void put_range(struct dish *dish, const struct run *run, unsigned i)
{
    put(dish, run->start + i * run->step, 8);
    put(dish, run->start + i * run->step + run->size, 8);
}

static void put_line(struct dish *dish, const struct run *run, unsigned i)
{
    static const char *const words[] = {"direct", "reserved", "msi", "direct-relaxable"};
    char line[80];
    int length = snprintf(line, sizeof(line), "0x%016llx 0x%016llx %s\n",
                          (unsigned long long)(run->start + i * run->step),
                          (unsigned long long)(run->start + i * run->step + run->size),
                          words[run->kind % 4]);

    for (int at = 0; at < length; at++)
        put(dish, (uint8_t)line[at], 1);
}

static void put_mapping(struct dish *dish, const struct run *run, unsigned i)
{
    put_range(dish, run, i);
    put(dish, 0, 8);
    put(dish, 3, 4);
}

/* ---- the decoders ---- */

static struct iovageom_geometry *loaded(struct dish *dish, struct fuzz_input *input)
{
    struct iovageom_geometry *geometry = NULL;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    dish->length = 32;
    cook(dish, input, put_record);
    memcpy(dish->bytes, "IOVAGEOM", 8);
    iovageom_store_le32(dish->bytes + 8, 1);
    iovageom_store_le32(dish->bytes + 12, 32);
    iovageom_store_le64(dish->bytes + 16, dish->length);
    for (size_t i = 0; i < dish->length; i++)
        if (i < 24 || i >= 32)
            hash = (hash ^ dish->bytes[i]) * UINT64_C(0x100000001b3);
    iovageom_store_le64(dish->bytes + 24, hash);
    steps = 0;
    (void)iovageom_geometry_load(NULL, dish->bytes, dish->length, &geometry);
    in_time("geometry_load", dish->length);
    return geometry;
}

/* And the questions about it that a VMM asks. */
static void geometry(struct dish *dish, struct fuzz_input *input)
{
    struct iovageom_geometry *made = loaded(dish, input);
    struct iovageom_report report;
    unsigned bits;

    if (made == NULL)
        return;
    iovageom_report_init(&report, NULL);
    steps = 0;
    (void)iovageom_geometry_check(made, &report);
    in_time("geometry_check", dish->length);
    steps = 0;
    (void)iovageom_geometry_explain(made, (struct iovageom_range){0, UINT64_MAX}, &report);
    in_time("geometry_explain", dish->length);
    steps = 0;
    fuzz_check(iovageom_geometry_equal(made, made));
    in_time("geometry_equal", dish->length);
    steps = 0;
    (void)iovageom_geometry_gaw(made, &bits);
    in_time("geometry_gaw", dish->length);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(made);
}

static void probe(struct dish *dish, struct fuzz_input *input)
{
    const struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
    struct iovageom_virtio_config config = {.page_size_mask = 0x1000,
                                            .input_range = {0, UINT64_MAX}};
    static struct iovageom_region out[ROOM / 24 + 1];
    size_t count;

    cook(dish, input, put_property);
    config.probe_size = (uint32_t)dish->length;
    steps = 0;
    (void)iovageom_guest_decode_probe(dish->bytes, dish->length, out, ROOM / 24, &count);
    in_time("guest_decode_probe", dish->length);
    steps = 0;
    (void)iovageom_guestview_probe(&kernel, &config, dish->bytes, dish->length, out, ROOM / 24 + 1,
                                   &count, NULL);
    in_time("guestview_probe", dish->length);
}

/* What a host says, by VFIO, iommufd or sysfs. */
static void host(struct dish *dish, struct fuzz_input *input, unsigned which)
{
    struct iovageom_geometry *made;
    uint8_t header[32] = {32};
    size_t needed, line;

    fuzz_check(iovageom_geometry_new(NULL, "host", &made) == 0);
    if (which == 0)
        dish->length = 40;
    cook(dish, input, which == 2 ? put_line : put_range);
    iovageom_store_le64(header + 24, 0x1000);
    iovageom_store_le32(header + 8, (uint32_t)(dish->length / 16));
    if (which == 0) {
        memset(dish->bytes, 0, 40);
        iovageom_store_le32(dish->bytes, (uint32_t)dish->length);
        iovageom_store_le32(dish->bytes + 4, 2);
        iovageom_store_le32(dish->bytes + 16, 24);
        iovageom_store_le32(dish->bytes + 24, 0x10001);
        iovageom_store_le32(dish->bytes + 32, (uint32_t)((dish->length - 40) / 16));
    }
    steps = 0;
    if (which == 0)
        (void)iovageom_host_vfio_info(dish->bytes, dish->length, &needed, made);
    else if (which == 1)
        (void)iovageom_host_iommufd_ranges(header, sizeof(header), dish->bytes, dish->length,
                                           &needed, made);
    else
        (void)iovageom_host_sysfs_reserved_regions(
            (const char *)dish->bytes, dish->length,
            dish->length % 2 ? IOVAGEOM_SYSFS_LENIENT : IOVAGEOM_SYSFS_STRICT, &line, made);
    in_time(which == 0 ? "vfio" : which == 1 ? "iommufd" : "sysfs", dish->length);
    iovageom_geometry_free(made);
}

/* Mappings from another machine onto a device that may not be able to have them. */
static void books(struct dish *dish, struct fuzz_input *input)
{
    struct iovageom_geometry *device;
    struct iovageom_viommu *source, *destination;
    struct iovageom_report report;
    size_t length = 0, mappings;
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    fuzz_check(iovageom_viommu_new(NULL, NULL, &source) == 0);
    fuzz_check(iovageom_viommu_new(NULL, NULL, &destination) == 0);
    fuzz_check(iovageom_geometry_new(NULL, "device", &device) == 0);
    for (struct run run = next_run(input); run.count > 0; run.count--)
        (void)iovageom_geometry_add_reserved(
            device,
            (struct iovageom_range){run.start + run.count * run.step,
                                    run.start + run.count * run.step + run.size},
            IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS);
    (void)iovageom_viommu_declare(source, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL);
    (void)iovageom_viommu_plug(destination, 1, NULL, device, NULL);
    (void)iovageom_viommu_attach(source, 1, 1, 0, NULL);
    (void)iovageom_viommu_save(source, dish->bytes, ROOM, &length);
    /* The last record is that of the mappings, which are none yet. */
    dish->length = mappings = length;
    cook(dish, input, put_mapping);
    iovageom_store_le64(dish->bytes + mappings - 8, dish->length - mappings);
    for (size_t i = 24; i < dish->length; i++)
        sum = (sum ^ dish->bytes[i]) * UINT64_C(0x100000001b3);
    iovageom_store_le64(dish->bytes + 16, sum);
    iovageom_report_init(&report, NULL);
    steps = 0;
    (void)iovageom_viommu_load(destination, dish->bytes, dish->length, 0, &report);
    in_time("viommu_load", dish->length + 16 * 1024);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(source);
    iovageom_viommu_free(destination);
    iovageom_geometry_free(device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dish dish;
    struct fuzz_input input = {data, size};
    unsigned which = (unsigned)fuzz_number(&input, 1) % 6;

    dish.length = 0;
    if (which == 0)
        geometry(&dish, &input);
    else if (which == 1)
        probe(&dish, &input);
    else if (which == 2)
        books(&dish, &input);
    else
        host(&dish, &input, which - 3);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests/checks/instructions counts: what a VMM does for each request of a guest, at several
 * numbers of live mappings, and for each device. A function job_NAME_N makes OPERATIONS of them;
 * what is called of the library in it is counted, and not what this program does between the calls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/geometry.h>
#include <iovageom/host_vfio.h>
#include <iovageom/viommu.h>
#include <iovageom/virtio.h>

enum { OPERATIONS = 4096, DOMAIN = 7, MOST = 1000, LAG = 64, PAGE = 4096, ENDPOINTS = 64 };

#define READ_WRITE (IOVAGEOM_VIRTIO_MAP_F_READ | IOVAGEOM_VIRTIO_MAP_F_WRITE)

static struct iovageom_viommu *viommu;
/* Into the jobs: what a job itself calls is counted. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Mappings that go round: at any time `live` of them are there, in a random order. */
static struct iovageom_range ranges[MOST + LAG];
static size_t total;
static size_t live;
static size_t oldest;
/* Who translates: number 8 * i + 1 for an i below `askers`. And the range that is next. */
static uint32_t asker;
static uint32_t askers = 1;
static size_t asked;

static void must(bool right)
{
    if (!right) {
        fprintf(stderr, "an answer is wrong\n");
        exit(1);
    }
}

static uint64_t random_below(uint64_t bound)
{
    static uint64_t state = 1;

    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33) % bound;
}

static ALWAYS_INLINE void map(struct iovageom_range range)
{
    must(iovageom_viommu_map(viommu, DOMAIN, range, range.start ^ PAGE, READ_WRITE, NULL) == 0);
}

static ALWAYS_INLINE void unmap(struct iovageom_range range)
{
    size_t removed = 0;

    must(iovageom_viommu_unmap(viommu, DOMAIN, range, &removed, NULL) == 0 && removed == 1);
}

/* Mappings of up to 2 MiB with gaps of up to 1 TiB / n, in a random order; the first n are
 * there. */
static void start(size_t n)
{
    uint64_t at = 0;

    live = n;
    total = n + (n / 2 < LAG ? n / 2 : LAG);
    oldest = 0;
    asked = 0;
    for (size_t i = 0; i < total; i++) {
        at += PAGE * (1 + random_below(((uint64_t)1 << 28) / n));
        ranges[i].start = at;
        at += PAGE * (1 + random_below(512));
        ranges[i].last = at - 1;
    }
    for (size_t i = total; i > 1; i--) {
        size_t j = random_below(i);
        struct iovageom_range swap = ranges[i - 1];

        ranges[i - 1] = ranges[j];
        ranges[j] = swap;
    }
    for (size_t i = 0; i < n; i++)
        map(ranges[i]);
}

static void stop(void)
{
    for (size_t i = 0; i < live; i++)
        unmap(ranges[(oldest + i) % total]);
}

/* The next one that goes, and the one that comes in its place. */
static void turn(struct iovageom_range *goes, struct iovageom_range *comes)
{
    size_t next = oldest + live;

    *goes = ranges[oldest];
    *comes = ranges[next < total ? next : next - total];
    oldest = oldest + 1 < total ? oldest + 1 : 0;
}

/* ---- the jobs ---- */

static ALWAYS_INLINE void fields(void)
{
    struct iovageom_range goes, comes;

    turn(&goes, &comes);
    unmap(goes);
    map(comes);
}

static void put(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint8_t requests[2][MOST + LAG][36];

/* The requests of all ranges, written before anything is counted. */
static void write_requests(void)
{
    for (size_t i = 0; i < total; i++) {
        uint8_t *bytes = requests[0][i];

        put(bytes, IOVAGEOM_VIRTIO_T_MAP, 4);
        put(bytes + 4, DOMAIN, 4);
        put(bytes + 8, ranges[i].start, 8);
        put(bytes + 16, ranges[i].last, 8);
        put(bytes + 24, ranges[i].start ^ PAGE, 8);
        put(bytes + 32, READ_WRITE, 4);
        bytes = requests[1][i];
        put(bytes, IOVAGEOM_VIRTIO_T_UNMAP, 4);
        put(bytes + 4, DOMAIN, 4);
        put(bytes + 8, ranges[i].start, 8);
        put(bytes + 16, ranges[i].last, 8);
    }
}

static ALWAYS_INLINE void request(const uint8_t *bytes, size_t size)
{
    struct iovageom_viommu_transaction transaction;
    uint8_t tail[IOVAGEOM_VIRTIO_TAIL_SIZE];

    iovageom_viommu_request_begin(viommu, bytes, size, sizeof(tail), &transaction, NULL);
    must(transaction.status == 0);
    must(iovageom_viommu_request_end(viommu, &transaction, 0, tail, sizeof(tail), NULL) ==
         sizeof(tail));
    must(tail[0] == IOVAGEOM_VIRTIO_S_OK);
}

static ALWAYS_INLINE void as_bytes(void)
{
    size_t next = oldest + live;

    request(requests[1][oldest], 28);
    request(requests[0][next < total ? next : next - total], 36);
    oldest = oldest + 1 < total ? oldest + 1 : 0;
}

static ALWAYS_INLINE void translate(void)
{
    const struct iovageom_range range = {ranges[asked].start + 8, ranges[asked].start + 71};
    struct iovageom_segment segment;
    size_t count = 0;

    must(iovageom_viommu_translate(viommu, 8 * asker + 1, range, IOVAGEOM_VIRTIO_MAP_F_READ,
                                   &segment, 1, &count, NULL) == 0 &&
         segment.phys == (range.start ^ PAGE));
    asked = asked + 1 < live ? asked + 1 : 0;
    asker = asker + 1 < askers ? asker + 1 : 0;
}

/* Counting begins with a call of this, and ends with the job's return. */
/* The answer of tests/fixtures/intel-39bit: two ranges, page sizes, and mappings that are left. */
static const uint8_t vfio_answer[] = {
    0x78, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x10, 0x20, 0x40, 0x00, 0x00, 0x00,
    0x00, 0x18, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, 0x00, 0x38, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00,
    0x48, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xdf, 0xfe, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0xf0, 0xfe, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x00, 0x00};

/* Memory that costs few instructions, and always as many: what was given back is taken first. */
static _Alignas(16) uint8_t pool[1 << 20];
static size_t pooled;
static void *returned[1 << 11]; /* by size in multiples of 16, each with the next one in it */

static void *take(void *context, size_t size)
{
    const size_t class = (size + 15) / 16;
    void *memory;

    (void)context;
    must(class < sizeof(returned) / sizeof(returned[0]));
    memory = returned[class];
    if (memory != NULL) {
        memcpy(&returned[class], memory, sizeof(memory));
        return memory;
    }
    memory = pool + pooled;
    pooled += 16 * class;
    must(pooled <= sizeof(pool));
    return memory;
}

static void give(void *context, void *memory, size_t size)
{
    const size_t class = (size + 15) / 16;

    (void)context;
    memcpy(memory, &returned[class], sizeof(memory));
    returned[class] = memory;
}

static const struct iovageom_allocator allocator = {take, give, NULL};

/* From what VFIO says of a host to what a PROBE tells its guest. */
static ALWAYS_INLINE void probe(void)
{
    const struct iovageom_range all = {0, UINT64_MAX}, msi = {0xfee00000, 0xfeefffff};
    struct iovageom_geometry *geometry;
    uint8_t properties[96];
    size_t needed = 0;

    must(iovageom_geometry_new(&allocator, "0000:3b:00.0", &geometry) == 0);
    must(iovageom_host_vfio_info(vfio_answer, sizeof(vfio_answer), NULL, geometry) == 0);
    must(iovageom_geometry_add_reserved(geometry, msi, IOVAGEOM_RESV_MSI,
                                        IOVAGEOM_SOURCE_MACHINE) == 0);
    must(iovageom_virtio_encode_geometry(&allocator, geometry, PAGE, all, properties,
                                         sizeof(properties), &needed) == 0 &&
         needed == 48);
    iovageom_geometry_free(geometry);
}

/* Of ENDPOINTS devices in one guest group, the oldest leaves and comes again. */
static struct iovageom_viommu *machine;
static struct iovageom_geometry *device;
static struct iovageom_plug_options same_group;
static uint32_t leaving;

static ALWAYS_INLINE void plug(void)
{
    must(iovageom_viommu_unplug(machine, leaving) == 0);
    must(iovageom_viommu_plug(machine, leaving, &same_group, device, NULL) == 0);
    leaving = leaving + 1 < ENDPOINTS ? leaving + 1 : 0;
}

void count_from_here(void);
__attribute__((noinline)) void count_from_here(void)
{
    must(viommu != NULL);
}

static ALWAYS_INLINE void repeat(void (*operation)(void))
{
    for (size_t i = 0; i < OPERATIONS; i++)
        operation();
}

#define JOB(name, operation)                                                                       \
    void job_##name(void);                                                                         \
    __attribute__((noinline)) void job_##name(void)                                                \
    {                                                                                              \
        count_from_here();                                                                         \
        repeat(operation);                                                                         \
    }

JOB(fields_8, fields)
JOB(fields_64, fields)
JOB(fields_1000, fields)
JOB(bytes_8, as_bytes)
JOB(bytes_64, as_bytes)
JOB(bytes_1000, as_bytes)
JOB(translate_8, translate)
JOB(translate_64, translate)
JOB(translate_1000, translate)
JOB(translate_many_1000, translate)
JOB(probe_2, probe)
JOB(plug_64, plug)

static void prepare(void)
{
    const struct iovageom_range msi = {0xfee00000, 0xfeefffff};
    struct iovageom_viommu_config config;
    struct iovageom_geometry *geometry;

    must(iovageom_geometry_new(NULL, "0000:3b:00.0", &geometry) == 0);
    must(iovageom_geometry_add_gaw(geometry, 48, IOVAGEOM_SOURCE_VTD_REGISTERS) == 0);
    must(iovageom_geometry_add_page_sizes(geometry, 0x40201000, IOVAGEOM_SOURCE_VFIO) == 0);
    must(iovageom_geometry_add_reserved(geometry, msi, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_SYSFS) ==
         0);
    iovageom_viommu_config_init(&config);
    config.input_range.last = ((uint64_t)1 << 48) - 1;
    must(iovageom_viommu_new(NULL, &config, &viommu) == 0);
    must(iovageom_viommu_plug(viommu, 1, NULL, geometry, NULL) == 0);
    must(iovageom_viommu_freeze(viommu, NULL) == 0);
    must(iovageom_viommu_attach(viommu, DOMAIN, 1, 0, NULL) == 0);
    iovageom_geometry_free(geometry);
}

/* Endpoints besides, in the same domain, as a guest with many devices has them. */
static void add_endpoints(void)
{
    struct iovageom_geometry *geometry;

    must(iovageom_geometry_new(NULL, "0000:3b:00.1", &geometry) == 0);
    must(iovageom_geometry_add_gaw(geometry, 48, IOVAGEOM_SOURCE_VTD_REGISTERS) == 0);
    must(iovageom_geometry_add_page_sizes(geometry, 0x40201000, IOVAGEOM_SOURCE_VFIO) == 0);
    for (uint32_t i = 1; i < ENDPOINTS; i++) {
        must(iovageom_viommu_plug(viommu, 8 * i + 1, NULL, geometry, NULL) == 0);
        must(iovageom_viommu_attach(viommu, DOMAIN, 8 * i + 1, 0, NULL) == 0);
    }
    iovageom_geometry_free(geometry);
}

/* A host of 10 reserved ranges. */
static void add_devices(void)
{
    struct iovageom_viommu_config config;

    must(iovageom_geometry_new(NULL, "0000:3b:00.0", &device) == 0);
    must(iovageom_geometry_add_gaw(device, 48, IOVAGEOM_SOURCE_VTD_REGISTERS) == 0);
    must(iovageom_geometry_add_page_sizes(device, 0x40201000, IOVAGEOM_SOURCE_VFIO) == 0);
    for (uint64_t i = 0; i < 9; i++) {
        const struct iovageom_range window = {0xfee00000 + (i << 28), 0xfeefffff + (i << 28)};

        must(iovageom_geometry_add_reserved(device, window,
                                            i == 0 ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED,
                                            IOVAGEOM_SOURCE_SYSFS) == 0);
    }
    iovageom_viommu_config_init(&config);
    must(iovageom_viommu_new(&allocator, &config, &machine) == 0);
    iovageom_plug_options_init(&same_group);
    same_group.guest_group = 1;
    for (uint32_t i = 0; i < ENDPOINTS; i++)
        must(iovageom_viommu_plug(machine, i, &same_group, device, NULL) == 0);
}

static void measure(size_t n, void (*one)(void), void (*two)(void), void (*three)(void))
{
    start(n);
    write_requests();
    one();
    two();
    stop();
    start(n);
    three();
    stop();
}

int main(void)
{
    prepare();
    measure(8, job_fields_8, job_bytes_8, job_translate_8);
    measure(64, job_fields_64, job_bytes_64, job_translate_64);
    measure(1000, job_fields_1000, job_bytes_1000, job_translate_1000);
    start(1000);
    add_endpoints();
    askers = ENDPOINTS;
    job_translate_many_1000();
    stop();
    job_probe_2();
    add_devices();
    job_plug_64();
    iovageom_viommu_free(machine);
    iovageom_geometry_free(device);
    iovageom_viommu_free(viommu);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Every decoder, with bytes that were made to take long. */
#include "complexity.h"

/* ---- saved geometries ---- */

enum { STREAM_HEADER = 32 };

void stream_open(struct stream *stream, size_t most)
{
    stream->bytes = room(most + STREAM_HEADER, 1);
    stream->length = STREAM_HEADER;
}

static void store(uint8_t *at, uint64_t number, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        at[i] = (uint8_t)(number >> 8 * i);
}

void stream_number(struct stream *stream, uint64_t number, unsigned width)
{
    store(stream->bytes + stream->length, number, width);
    stream->length += width;
}

void stream_record(struct stream *stream, uint32_t tag, uint32_t source, const char *name,
                   const uint64_t *numbers, size_t count)
{
    stream_number(stream, tag, 4);
    stream_number(stream, source, 4);
    stream_number(stream, strlen(name), 4);
    stream_number(stream, count, 4);
    for (const char *letter = name; *letter != '\0'; letter++)
        stream_number(stream, (uint8_t)*letter, 1);
    for (size_t i = 0; i < count; i++)
        stream_number(stream, numbers[i], 8);
}

static void stream_seal(struct stream *stream)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    memcpy(stream->bytes, "IOVAGEOM", 8);
    store(stream->bytes + 8, 1, 4);
    store(stream->bytes + 12, STREAM_HEADER, 4);
    store(stream->bytes + 16, stream->length, 8);
    for (size_t i = 0; i < stream->length; i++)
        if (i < 24 || i >= STREAM_HEADER)
            hash = (hash ^ stream->bytes[i]) * UINT64_C(0x100000001b3);
    store(stream->bytes + 24, hash, 8);
}

struct iovageom_geometry *stream_load(struct stream *stream)
{
    struct iovageom_geometry *geometry;

    stream_seal(stream);
    must(iovageom_geometry_load(NULL, stream->bytes, stream->length, &geometry) == 0);
    free(stream->bytes);
    return geometry;
}

static void owners(struct stream *stream, size_t n)
{
    stream_open(stream, n * 64);
    for (size_t i = n; i-- > 0;) {
        const uint64_t numbers[] = {ordered(i).start, ordered(i).last};
        char name[24];

        snprintf(name, sizeof(name), "%08zu", i);
        stream_record(stream, REGIONS + 2 + (i & 1), IOVAGEOM_SOURCE_SYSFS, name, numbers, 2);
    }
}

struct iovageom_geometry *many_owners(size_t n)
{
    struct stream stream;

    owners(&stream, n);
    return stream_load(&stream);
}

static void load(struct stream *stream, int expected)
{
    struct iovageom_geometry *geometry = NULL;

    stream_seal(stream);
    start();
    must(iovageom_geometry_load(NULL, stream->bytes, stream->length, &geometry) == expected);
    stop();
    iovageom_geometry_free(geometry);
    free(stream->bytes);
}

static void load_owners_down(size_t n)
{
    struct stream stream;

    owners(&stream, n);
    load(&stream, 0);
}

static void load_facts_down(size_t n)
{
    struct stream stream;

    stream_open(&stream, n * 64);
    for (size_t i = n; i-- > 0;) {
        const uint64_t numbers[] = {i, 0};

        stream_record(&stream, FACT + IOVAGEOM_FACT_PAGE_SIZES, 0, "x", numbers, 2);
    }
    load(&stream, 0);
}

static void load_apertures_down(size_t n)
{
    struct stream stream;

    stream_open(&stream, n * 64);
    for (size_t i = n; i-- > 0;) {
        const uint64_t numbers[] = {ordered(i).start, UINT64_MAX - ordered(i).start};
        char name[24];

        snprintf(name, sizeof(name), "%08zu", i);
        stream_record(&stream, FACT + IOVAGEOM_FACT_APERTURE, 0, name, numbers, 2);
    }
    load(&stream, 0);
}

/* One owner says much at first, and then a little, time after time. */
static void load_again_and_again(size_t n)
{
    uint64_t *numbers = room(2 * n, sizeof(*numbers));
    struct stream stream;

    for (size_t i = 0; i < n; i++) {
        numbers[2 * i] = ordered(i).start;
        numbers[2 * i + 1] = ordered(i).last;
    }
    stream_open(&stream, n * 96);
    stream_record(&stream, REGIONS + 2, 0, "", numbers, 2 * n);
    for (size_t i = 0; i < n; i++)
        stream_record(&stream, REGIONS + 2, 0, "", numbers + 2 * (i / 2), 4);
    load(&stream, 0);
    free(numbers);
}

static void load_unordered(size_t n)
{
    uint64_t *numbers = room(2 * n, sizeof(*numbers));
    struct stream stream;

    for (size_t i = 0; i < n; i++) {
        numbers[2 * i] = scattered(i, n).start;
        numbers[2 * i + 1] = scattered(i, n).last;
    }
    stream_open(&stream, n * 64);
    stream_record(&stream, REGIONS + 2, 0, "", numbers, 2 * n);
    load(&stream, 0);
    free(numbers);
}

/* n short records and then one that is wrong. */
static void load_refused(size_t n)
{
    const uint64_t wrong[] = {2, 1};
    struct stream stream;

    owners(&stream, n);
    stream.bytes = realloc(stream.bytes, stream.length + 64);
    must(stream.bytes != NULL);
    stream_record(&stream, REGIONS + 2, 0, "", wrong, 2);
    load(&stream, IOVAGEOM_ERR_MALFORMED);
}

static void save(size_t n)
{
    struct iovageom_geometry *geometry = many_owners(n);
    size_t needed = 0;
    uint8_t *bytes;

    must(iovageom_geometry_save(geometry, NULL, 0, &needed) < 0);
    bytes = room(needed, 1);
    start();
    must(iovageom_geometry_save(geometry, bytes, needed, &needed) == 0);
    stop();
    free(bytes);
    iovageom_geometry_free(geometry);
}

/* ---- what hosts say ---- */

static struct iovageom_geometry *empty(void)
{
    struct iovageom_geometry *geometry;

    must(iovageom_geometry_new(NULL, "host", &geometry) == 0);
    return geometry;
}

/* A chain of n capabilities, of which the first has n ranges, in no order. */
static void vfio(size_t n, bool circle)
{
    struct iovageom_geometry *geometry = empty();
    size_t length = 24 + 16 + n * 16 + n * 8, at = 24, needed;
    uint8_t *bytes = room(length, 1);

    store(bytes, length, 4);
    store(bytes + 4, 3, 4);
    store(bytes + 8, PAGE, 8);
    store(bytes + 16, 24, 4);
    store(bytes + at, 1, 2);
    store(bytes + at + 2, 1, 2);
    store(bytes + at + 4, 24 + 16 + n * 16, 4);
    store(bytes + at + 8, n, 4);
    for (size_t i = 0; i < n; i++) {
        store(bytes + at + 16 + i * 16, scattered(i, n).start, 8);
        store(bytes + at + 24 + i * 16, scattered(i, n).last, 8);
    }
    at += 16 + n * 16;
    for (size_t i = 0; i < n; i++, at += 8) {
        store(bytes + at, 99, 2);
        store(bytes + at + 4, i + 1 < n ? at + 8 : circle ? 24 + 16 + n * 16 : 0, 4);
    }
    start();
    must(iovageom_host_vfio_info(bytes, length, &needed, geometry) ==
         (circle ? IOVAGEOM_ERR_CYCLE : 0));
    stop();
    iovageom_geometry_free(geometry);
    free(bytes);
}

static void vfio_chain(size_t n)
{
    vfio(n, false);
}

static void vfio_circle(size_t n)
{
    vfio(n, true);
}

static void iommufd(size_t n)
{
    struct iovageom_geometry *geometry = empty();
    uint8_t header[32] = {32}, *list = room(n * 16, 1);
    size_t needed;

    store(header + 8, n, 4);
    store(header + 24, PAGE, 8);
    for (size_t i = 0; i < n; i++) {
        store(list + i * 16, scattered(i, n).start, 8);
        store(list + i * 16 + 8, scattered(i, n).last, 8);
    }
    start();
    must(iovageom_host_iommufd_ranges(header, sizeof(header), list, n * 16, &needed, geometry) ==
         0);
    stop();
    iovageom_geometry_free(geometry);
    free(list);
}

/* Regions in no order; the last line is what `last` says. */
static void sysfs(size_t n, enum iovageom_sysfs_mode mode, const char *last, int expected)
{
    struct iovageom_geometry *geometry = empty();
    char *text = room((n + 1) * 64, 1);
    size_t length = 0, line;

    for (size_t i = 0; i < n; i++)
        length += (size_t)snprintf(text + length, 64, "0x%016llx 0x%016llx %s\n",
                                   (unsigned long long)scattered(i, n).start,
                                   (unsigned long long)scattered(i, n).last,
                                   i % 2 == 0 ? "direct" : "reserved");
    length += (size_t)snprintf(text + length, 64, "%s", last);
    start();
    must(iovageom_host_sysfs_reserved_regions(text, length, mode, &line, geometry) == expected);
    stop();
    iovageom_geometry_free(geometry);
    free(text);
}

static void sysfs_strict(size_t n)
{
    sysfs(n, IOVAGEOM_SYSFS_STRICT, "\n", 0);
}

static void sysfs_lenient(size_t n)
{
    sysfs(n, IOVAGEOM_SYSFS_LENIENT, "no line at all", 0);
}

static void sysfs_repeated(size_t n)
{
    char line[64];

    snprintf(line, sizeof(line), "0x%016llx 0x%016llx direct\n",
             (unsigned long long)scattered(0, n).start, (unsigned long long)scattered(0, n).last);
    sysfs(n, IOVAGEOM_SYSFS_STRICT, line, IOVAGEOM_ERR_EXISTS);
}

/* One line without end, of digits. */
static void sysfs_long_line(size_t n)
{
    struct iovageom_geometry *geometry = empty();
    char *text = room(n, 1);
    uint64_t value;
    size_t line;

    memset(text, '0', n);
    text[1] = 'x';
    start();
    must(iovageom_host_sysfs_reserved_regions(text, n, IOVAGEOM_SYSFS_LENIENT, &line, geometry) ==
         IOVAGEOM_ERR_UNKNOWN);
    must(iovageom_host_sysfs_register(text, n, &value) == 0);
    must(iovageom_host_sysfs_amd_features(text, n, &value, NULL) == 0);
    stop();
    iovageom_geometry_free(geometry);
    free(text);
}

/* ---- PROBE ---- */

/* n regions: pages with pages between them, in order or not, every third an MSI one if wanted. */
static uint8_t *probe_bytes(size_t n, bool in_order, bool msi)
{
    uint8_t *bytes = room(n * 24, 1);

    for (size_t i = 0; i < n; i++) {
        struct iovageom_range range = in_order ? ordered(i) : scattered(i, n);

        store(bytes + i * 24, 1, 2);
        store(bytes + i * 24 + 2, 20, 2);
        bytes[i * 24 + 4] = msi && i % 3 == 0;
        store(bytes + i * 24 + 8, range.start, 8);
        store(bytes + i * 24 + 16, range.last, 8);
    }
    return bytes;
}

static void decode_probe(size_t n)
{
    struct iovageom_region *out = room(n, sizeof(*out));
    uint8_t *bytes = probe_bytes(n, false, true);
    size_t count;

    start();
    must(iovageom_guest_decode_probe(bytes, n * 24, out, n, &count) == 0 && count == n);
    stop();
    free(bytes);
    free(out);
}

/* Properties of 4 bytes, of an unknown type. */
static void decode_probe_empty(size_t n)
{
    uint8_t *bytes = room(n, 4);
    size_t count;

    for (size_t i = 0; i < n; i++)
        store(bytes + i * 4, 7, 2);
    start();
    must(iovageom_guest_decode_probe(bytes, n * 4, NULL, 0, &count) == 0 && count == 0);
    stop();
    free(bytes);
}

static void guest(size_t n, bool in_order)
{
    const struct iovageom_guestview_kernel kernel = iovageom_guestview_kernel_default();
    const struct iovageom_virtio_config config = {
        .page_size_mask = PAGE, .input_range = ALL, .probe_size = (uint32_t)(n * 24)};
    struct iovageom_region *out = room(n + 1, sizeof(*out));
    uint8_t *bytes = probe_bytes(n, in_order, true);
    struct iovageom_report report;
    size_t count;

    iovageom_report_init(&report, NULL);
    start();
    must(iovageom_guestview_probe(&kernel, &config, bytes, n * 24, out, n + 1, &count, &report) ==
         0);
    stop();
    must(count == n);
    iovageom_report_deinit(&report);
    free(bytes);
    free(out);
}

static void guest_probe(size_t n)
{
    guest(n, false);
}

static void guest_probe_down(size_t n)
{
    guest(n, true);
}

/* What the guest makes of it further: a group, what VFIO may map, where DMA goes. */
static void guest_group(size_t n)
{
    struct iovageom_region *list = room(n, sizeof(*list)), *device = room(n, sizeof(*device));
    struct iovageom_range *left = room(n + 1, sizeof(*left));
    const struct iovageom_virtio_config config = {.page_size_mask = PAGE, .input_range = ALL};
    struct iovageom_guestview_dma dma;
    struct iovageom_range range;
    size_t count = 0, found;

    for (size_t i = 0; i < n; i++)
        device[i] = (struct iovageom_region){
            ordered(i), i % 3 == 0 ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED, 0};
    start();
    must(iovageom_guestview_group(list, n, &count, device, n) == 0);
    must(iovageom_guestview_vfio(ALL, list, count, left, n + 1, &found) == 0);
    must(iovageom_guestview_dma_init(&dma, NULL, &config, list, count) == 0);
    for (size_t i = 0; i < 16; i++)
        must(iovageom_guestview_dma_alloc(&dma, PAGE, UINT64_MAX, &range) == 0);
    stop();
    iovageom_guestview_dma_deinit(&dma);
    free(list);
    free(device);
    free(left);
}

const struct measure measures_of_streams[] = {
    {"geometry_load, owners downwards", "O(n log n)", GROWTH_LINEAR_LOG, 4096, load_owners_down},
    {"geometry_load, facts downwards", "O(n log n)", GROWTH_LINEAR_LOG, 4096, load_facts_down},
    {"geometry_load, apertures downwards", "O(n log n)", GROWTH_LINEAR_LOG, 2048,
     load_apertures_down},
    {"geometry_load, one owner again and again", "O(n log n)", GROWTH_LINEAR_LOG, 4096,
     load_again_and_again},
    {"geometry_load, unordered", "O(n log n)", GROWTH_LINEAR_LOG, 4096, load_unordered},
    {"geometry_load, refused at the end", "O(n log n)", GROWTH_LINEAR_LOG, 4096, load_refused},
    {"geometry_save", "O(n)", GROWTH_LINEAR, 2048, save},
    {"host_vfio_info, chain", "O(n log n)", GROWTH_LINEAR_LOG, 4096, vfio_chain},
    {"host_vfio_info, circle", "O(n)", GROWTH_LINEAR, 4096, vfio_circle},
    {"host_iommufd_ranges", "O(n log n)", GROWTH_LINEAR_LOG, 4096, iommufd},
    {"host_sysfs_reserved_regions", "O(n log n)", GROWTH_LINEAR_LOG, 1024, sysfs_strict},
    {"host_sysfs_reserved_regions, lenient", "O(n log n)", GROWTH_LINEAR_LOG, 1024, sysfs_lenient},
    {"host_sysfs_reserved_regions, repeated", "O(n log n)", GROWTH_LINEAR_LOG, 1024,
     sysfs_repeated},
    {"host_sysfs: one long line", "O(n)", GROWTH_LINEAR, 65536, sysfs_long_line},
    {"guest_decode_probe", "O(n)", GROWTH_LINEAR, 4096, decode_probe},
    {"guest_decode_probe, unknown properties", "O(n)", GROWTH_LINEAR, 4096, decode_probe_empty},
    {"guestview_probe, unordered", "O(n log n)", GROWTH_LINEAR_LOG, 4096, guest_probe},
    {"guestview_probe, in order", "O(n log n)", GROWTH_LINEAR_LOG, 4096, guest_probe_down},
    {"guestview_group, _vfio, _dma_init", "O(n log n)", GROWTH_LINEAR_LOG, 4096, guest_group},
    {NULL, NULL, GROWTH_CONSTANT, 0, NULL},
};

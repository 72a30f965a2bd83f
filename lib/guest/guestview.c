/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/guest.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/range.h"
#include "../base/sort.h"

/*
 * What a Linux guest does with the bytes that a VMM sends it, mistakes included: each part follows
 * the code of one part of Linux, in the same order of steps. What looks odd here is odd in Linux.
 * Where kernels differ, struct iovageom_guestview_kernel says which one is meant.
 */

/* The driver's MSI_IOVA_BASE and MSI_IOVA_LENGTH: without an MSI region it adds this window. */
static const struct iovageom_range software_msi = {0x8000000, 0x80fffff};

enum { PROPERTY_TYPE_MASK = 0xfff }; /* 12 bits (I4); the other 4 are reserved */

struct iovageom_guestview_kernel iovageom_guestview_kernel_default(void)
{
    return (struct iovageom_guestview_kernel){
        4096,
        IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_DOMAIN_RANGE |
            IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_PROBE | IOVAGEOM_VIRTIO_F_MMIO |
            IOVAGEOM_VIRTIO_F_BYPASS_CONFIG,
        0, IOVAGEOM_LINUX_ANY};
}

/* ---- the driver reads its PROBE answer ---- */

/* The state of one pass over the answer; there are two, as `out` may be too small. */
struct reader {
    const uint8_t *bytes;
    size_t size;                    /* of `bytes`; may be less than probe_size */
    uint64_t probe_size;            /* in bytes, as the guest reads it; 0 when it does not PROBE */
    uint64_t address_max;           /* of the guest's phys_addr_t */
    struct iovageom_region *out;    /* NULL in the first pass, which counts and reports */
    struct iovageom_report *report; /* NULL in the second */
    size_t count;
    bool has_msi;
    struct iovageom_range hiding; /* the last RESERVED region over `software_msi`; else [0, 0] */
    int error;                    /* of the last RESV_MEM property */
    struct iovageom_range error_range;
};

/* A little-endian number of `width` bytes; what lies beyond the buffer reads as 0. */
static uint64_t fetch(const struct reader *reader, size_t offset, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width && i < reader->size && offset < reader->size - i; i++)
        value |= (uint64_t)reader->bytes[offset + i] << 8 * i;
    return value;
}

/* Adds a finding, and returns `status`, so that callers can return it. */
static int quirk(const struct reader *reader, int status, struct iovageom_range range,
                 const char *detail)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_GUEST_QUIRK, status);

    finding.range = range;
    finding.detail = detail;
    iovageom_report_add(reader->report, &finding);
    return status;
}

/*
 * The order in which Linux sorts: by start; of equal starts by arrival, because its sort is stable.
 * Ours is not, so `owner` holds the number of arrival until the regions are sorted. (Linux inserts
 * region by region, O(n^2), and a hostile answer may be long.)
 */
static int compare_regions(const void *a, const void *b)
{
    const struct iovageom_region *one = a, *other = b;

    if (one->range.start != other->range.start)
        return one->range.start < other->range.start ? -1 : 1;
    return one->owner < other->owner ? -1 : one->owner > other->owner;
}

/*
 * One RESV_MEM property, `step` bytes long with its head. Linux keeps the error of a property in a
 * variable that the next RESV_MEM property overwrites: so only an error of the last one makes it
 * refuse the device, and earlier bad regions are silently not reserved.
 */
static void read_resv_mem(struct reader *reader, size_t offset, unsigned step)
{
    struct iovageom_range range = {fetch(reader, offset + 8, 8), fetch(reader, offset + 16, 8)};
    uint64_t subtype = fetch(reader, offset + 4, 1);
    bool is_msi = subtype == IOVAGEOM_VIRTIO_RESV_MSI;

    if (reader->error < 0)
        (void)quirk(reader, 0, reader->error_range,
                    "a RESV_MEM property that Linux can't read is not reserved, because another "
                    "one follows: it forgets the error");
    reader->error = 0;
    reader->error_range = range;
    /* The size that Linux computes of it is last - start + 1, modulo 2^64 or 2^32. */
    if (range.start > reader->address_max || range.last > reader->address_max ||
        range.last - range.start >= reader->address_max)
        reader->error = IOVAGEOM_ERR_OVERFLOW;
    else if (step < IOVAGEOM_VIRTIO_RESV_MEM_SIZE)
        reader->error = IOVAGEOM_ERR_MALFORMED;
    if (reader->error < 0)
        return;
    if (!iovageom_range_valid(range))
        (void)quirk(reader, 0, range, "Linux accepts an inverted region, and cuts around it oddly");
    if (subtype > IOVAGEOM_VIRTIO_RESV_MSI)
        (void)quirk(reader, 0, range, "Linux logs an unknown RESV_MEM subtype, and reserves it");
    if (is_msi && reader->has_msi)
        (void)quirk(reader, 0, range, "a second MSI region (N74)");
    if (!is_msi && iovageom_range_overlaps(range, software_msi))
        reader->hiding = range;
    reader->has_msi |= is_msi;
    if (reader->out != NULL)
        reader->out[reader->count] = (struct iovageom_region){
            range, is_msi ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED, (uint32_t)reader->count};
    reader->count++;
}

/*
 * The driver's loop over the properties. Linux computes the step to the next property in 16 bits,
 * so a length near 2^16 wraps: to a step of 0, or into the property itself. It ends for any bytes,
 * because a step of 0 is caught and bytes beyond the buffer read as type 0.
 */
static int read_properties(struct reader *reader)
{
    static const struct iovageom_range nowhere = {0, 0};

    for (size_t offset = 0; offset < reader->probe_size;) {
        unsigned head = (unsigned)fetch(reader, offset, 2), type = head & PROPERTY_TYPE_MASK;
        unsigned length = (unsigned)fetch(reader, offset + 2, 2);
        unsigned step = (length + IOVAGEOM_VIRTIO_PROPERTY_HEAD_SIZE) & UINT16_MAX;

        if (type == IOVAGEOM_VIRTIO_PROPERTY_NONE)
            break;
        if (head != type)
            (void)quirk(reader, 0, nowhere,
                        "Linux reads a property with reserved bits, which it must ignore (N60)");
        if (type == IOVAGEOM_VIRTIO_PROPERTY_RESV_MEM)
            read_resv_mem(reader, offset, step);
        else
            (void)quirk(reader, 0, nowhere, "Linux logs an error for an unknown property");
        if (step == 0)
            return quirk(reader, IOVAGEOM_ERR_CYCLE, nowhere,
                         "a property of length 0xfffc makes Linux loop for ever");
        if (step < length)
            (void)quirk(reader, 0, nowhere,
                        "the length of a property wraps: Linux goes on inside it");
        if (step > reader->probe_size - offset)
            (void)quirk(reader, 0, nowhere, "a property runs over the end of probe_size");
        offset += step;
    }
    if (reader->error == IOVAGEOM_OK)
        return IOVAGEOM_OK;
    return quirk(
        reader, reader->error, reader->error_range,
        reader->error == IOVAGEOM_ERR_MALFORMED
            ? "Linux refuses the device: its last RESV_MEM property is too short"
            : "Linux refuses the device: it can't say the size of its last RESV_MEM region");
}

/* Reads the properties and sorts them; without an MSI region, adds the driver's own window. */
static int read_answer(struct reader *reader)
{
    int status = read_properties(reader);

    if (reader->out != NULL)
        iovageom_sort(reader->out, reader->count, sizeof(*reader->out), compare_regions);
    for (size_t i = 0; reader->out != NULL && i < reader->count; i++)
        reader->out[i].owner = 0;
    if (status < 0 || reader->has_msi)
        return status;
    (void)quirk(reader, 0, software_msi,
                "no MSI region: VFIO in the guest maps doorbells in this window; its own drivers "
                "have them among their other DMA");
    if (iovageom_range_overlaps(reader->hiding, software_msi))
        (void)quirk(reader, 0, reader->hiding,
                    "the window where VFIO in the guest maps doorbells lies in this region, and "
                    "it uses that all the same");
    if (reader->out != NULL)
        reader->out[reader->count] =
            (struct iovageom_region){software_msi, IOVAGEOM_RESV_SOFTWARE_MSI, 0};
    reader->count++;
    return IOVAGEOM_OK;
}

/*
 * Whether a domain number is left to attach with. Linux keeps them as int, so those from 2^31 up
 * are of no use; and 7.3 takes the first one for a domain of its own for bypass, if that is
 * offered.
 */
static int check_domains(const struct reader *reader,
                         const struct iovageom_guestview_kernel *kernel,
                         const struct iovageom_virtio_config *config)
{
    const bool ranged = (kernel->features & IOVAGEOM_VIRTIO_F_DOMAIN_RANGE) != 0;
    const uint64_t first = ranged ? config->domain_start : 0;
    const uint64_t last = iovageom_lower(ranged ? config->domain_last : UINT32_MAX, INT32_MAX);

    if (first > last)
        return quirk(reader, IOVAGEOM_ERR_LIMIT, config->input_range,
                     "Linux has no domain number below 2^31 to use: attaching fails");
    if (first < last || (kernel->features & IOVAGEOM_VIRTIO_F_BYPASS_CONFIG) == 0)
        return IOVAGEOM_OK;
    if (kernel->rules == IOVAGEOM_LINUX_7_3)
        return quirk(reader, IOVAGEOM_ERR_LIMIT, config->input_range,
                     "Linux keeps the only domain number for bypass: attaching fails");
    if (kernel->rules == IOVAGEOM_LINUX_ANY)
        (void)quirk(reader, 0, config->input_range,
                    "newer kernels keep the only domain number for bypass: attaching fails there");
    return IOVAGEOM_OK;
}

/* What the driver makes of the config space, before and after the PROBE. */
static int check_config(const struct reader *reader, const struct iovageom_guestview_kernel *kernel,
                        const struct iovageom_virtio_config *config)
{
    if (config->page_size_mask == 0)
        return quirk(reader, IOVAGEOM_ERR_INVALID, config->input_range,
                     "Linux refuses a page_size_mask of 0 (N8)");
    if (!(kernel->features & IOVAGEOM_VIRTIO_F_MAP_UNMAP))
        return quirk(reader, IOVAGEOM_ERR_INVALID, config->input_range,
                     "Linux doesn't drive a virtio-iommu without F_MAP_UNMAP");
    if (iovageom_pgsize_granule(config->page_size_mask) > kernel->page_size)
        return quirk(reader, IOVAGEOM_ERR_ALIGNMENT, config->input_range,
                     "the granule is larger than the guest's page: attaching fails");
    if ((kernel->features & IOVAGEOM_VIRTIO_F_INPUT_RANGE) &&
        !iovageom_range_is_aligned(config->input_range,
                                   iovageom_pgsize_granule(config->page_size_mask)))
        (void)quirk(reader, 0, config->input_range,
                    "Linux uses the whole of a granule that the input range has in part");
    return check_domains(reader, kernel, config);
}

int iovageom_guestview_probe(const struct iovageom_guestview_kernel *kernel,
                             const struct iovageom_virtio_config *config, const void *bytes,
                             size_t size, struct iovageom_region *out, size_t capacity,
                             size_t *count, struct iovageom_report *report)
{
    struct reader reader = {.bytes = bytes, .size = size, .report = report}, writer;
    int status;

    iovageom_report_clear(report);
    if (kernel->rules > IOVAGEOM_LINUX_7_3)
        return IOVAGEOM_ERR_INVALID;
    reader.probe_size = kernel->features & IOVAGEOM_VIRTIO_F_PROBE ? config->probe_size : 0;
    reader.address_max = kernel->physical_32bit ? UINT32_MAX : UINT64_MAX;
    writer = reader;
    writer.out = out;
    writer.report = NULL;
    status = check_config(&reader, kernel, config);
    if (status == 0)
        status = read_answer(&reader);
    if (status < 0)
        return status;
    *count = reader.count;
    if (reader.count > capacity)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    return read_answer(&writer);
}

/* ---- the core sorts the regions of a group ---- */

/* As iommu_insert_resv_region() in Linux's iommu.c does it; sysfs and VFIO show the result. */

/* Order of types among equal starts: that of Linux, where SW_MSI is the highest. */
static unsigned type_rank(uint32_t type)
{
    return type == IOVAGEOM_RESV_SOFTWARE_MSI ? IOVAGEOM_RESV_MSI + 1 : type;
}

static bool goes_before(const struct iovageom_region *fresh, const struct iovageom_region *other)
{
    return fresh->range.start < other->range.start ||
           (fresh->range.start == other->range.start &&
            type_rank(fresh->type) <= type_rank(other->type));
}

/* Linux compares with top.last + 1, which is 0 for a region that ends at 2^64-1. */
static bool stays_apart(struct iovageom_range top, struct iovageom_range next)
{
    return top.last == IOVAGEOM_ADDRESS_MAX
               ? next.start > 0
               : next.start > top.last && !iovageom_range_precedes_directly(top, next);
}

/*
 * Inserts a region and merges it with others of its type that it overlaps or touches. Regions of
 * other types stay, even between them. Those before its place have been merged by earlier calls, so
 * only the last of its type among them (`top`) can change; the rest is compacted in place. The list
 * has room for one region more. Returns the new count.
 */
static size_t insert_into_group(struct iovageom_region *list, size_t count,
                                struct iovageom_region fresh)
{
    size_t place = count, write, top = SIZE_MAX;

    while (place > 0 && goes_before(&fresh, &list[place - 1]))
        place--;
    memmove(list + place + 1, list + place, (count - place) * sizeof(*list));
    list[place] = fresh;
    for (size_t i = place; i-- > 0 && top == SIZE_MAX;)
        if (list[i].type == fresh.type)
            top = i;
    write = place;
    for (size_t read = place; read <= count; read++) {
        if (list[read].type == fresh.type && top != SIZE_MAX &&
            !stays_apart(list[top].range, list[read].range)) {
            if (list[read].range.last > list[top].range.last)
                list[top].range.last = list[read].range.last;
            continue;
        }
        if (list[read].type == fresh.type)
            top = write;
        list[write++] = list[read];
    }
    return write;
}

int iovageom_guestview_group(struct iovageom_region *list, size_t capacity, size_t *count,
                             const struct iovageom_region *device, size_t device_count)
{
    if (*count > capacity || capacity - *count < device_count)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < device_count; i++)
        *count = insert_into_group(list, *count, device[i]);
    return IOVAGEOM_OK;
}

/*
 * VFIO in the guest starts with the input range and cuts each region out of it. Regions usually
 * ascend, and then each is compared only with what is left above the one before (`from`).
 */
int iovageom_guestview_vfio(struct iovageom_range input_range,
                            const struct iovageom_region *regions, size_t region_count,
                            struct iovageom_range *out, size_t capacity, size_t *count)
{
    size_t found = 1, from = 0;

    if (!iovageom_range_valid(input_range))
        return IOVAGEOM_ERR_INVERTED;
    if (capacity == 0)
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    out[0] = input_range;
    for (size_t r = 0; r < region_count; r++) {
        /* What ends below this region ends below all that start higher: no need to look again. */
        if (r > 0 && regions[r].range.start < regions[r - 1].range.start)
            from = 0;
        while (from < found && out[from].last < regions[r].range.start)
            from++;
        for (size_t i = from; i < found;) {
            struct iovageom_range pieces[2];
            /* For an inverted region as well: as in Linux, what is below its start stays, and what
             * is above its last. */
            unsigned n = iovageom_range_subtract(out[i], regions[r].range, pieces);

            if (found - 1 + n > capacity)
                return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
            memmove(out + i + n, out + i + 1, (found - i - 1) * sizeof(*out));
            memcpy(out + i, pieces, n * sizeof(*out));
            found = found - 1 + n;
            i += n;
        }
    }
    if (found == 0)
        return IOVAGEOM_ERR_NOTHING_USABLE;
    *count = found;
    return IOVAGEOM_OK;
}

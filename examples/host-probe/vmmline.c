/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmmline.h"

#include <string.h>

static const struct {
    int number;
    const char *name;
    const char *words;
} errors[] = {
    {1, "EPERM", "Operation not permitted"},
    {2, "ENOENT", "No such file or directory"},
    {5, "EIO", "Input/output error"},
    {6, "ENXIO", "No such device or address"},
    {12, "ENOMEM", "Cannot allocate memory"},
    {13, "EACCES", "Permission denied"},
    {14, "EFAULT", "Bad address"},
    {16, "EBUSY", "Device or resource busy"},
    {17, "EEXIST", "File exists"},
    {19, "ENODEV", "No such device"},
    {22, "EINVAL", "Invalid argument"},
    {28, "ENOSPC", "No space left on device"},
    {75, "EOVERFLOW", "Value too large for defined data type"},
    {95, "EOPNOTSUPP", "Operation not supported"},
    {98, "EADDRINUSE", "Address already in use"},
};

#define ERROR_COUNT (sizeof(errors) / sizeof(errors[0]))

const char *vmm_line_error_name(int error)
{
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        if (errors[i].number == error)
            return errors[i].name;
    }
    return NULL;
}

/*
 * `name` as a whole word, and a number behind it: "iova=0x1000", "iova: 4096", "iova 0x1000". DPDK
 * writes "memseg iova 140000000, len 40000000" in hexadecimal.
 */
static bool field(const struct scan *line, const char *name, uint64_t *value)
{
    const bool hex = scan_has(line, "memseg iova ");
    struct scan rest = *line;

    while (scan_find(&rest, name, &rest)) {
        const char *word = rest.at - strlen(name);
        struct scan behind = rest;

        if (word > line->at && scan_is_word(word[-1]))
            continue;
        scan_pass(&behind, " \t=:\"");
        if (behind.at != rest.at && (hex ? scan_hex(&behind, value) : scan_number(&behind, value)))
            return true;
    }
    return false;
}

static void set_length(struct vmm_line *out, uint64_t start, uint64_t length)
{
    out->range.start = out->range.last = start;
    out->empty = length == 0;
    out->wraps = length != 0 && iovageom_range_from_length(start, length, &out->range) < 0;
    out->has_range = !out->empty && !out->wraps;
}

static void set_last(struct vmm_line *out, uint64_t start, uint64_t last)
{
    out->range = (struct iovageom_range){start, last};
    out->has_range = start <= last;
    out->empty = !out->has_range;
}

/*
 * QEMU: vfio_dma_map(CONTAINER, IOVA, SIZE, ADDRESS) = -22 (Invalid argument), since 8.2
 * vfio_container_dma_map. Some of its versions print no result.
 */
static bool read_qemu_call(const struct scan *line, struct vmm_line *out)
{
    uint64_t container, start, length;
    struct scan at;
    bool unmap = false;

    if (!scan_find(line, "dma_map(", &at)) {
        unmap = true;
        if (!scan_find(line, "dma_unmap(", &at))
            return false;
    }
    if (!scan_number(&at, &container))
        return false;
    scan_pass(&at, " \t,");
    if (!scan_number(&at, &start))
        return false;
    scan_pass(&at, " \t,");
    if (!scan_number(&at, &length))
        return false;
    out->kind = unmap ? VMM_LINE_UNMAP : VMM_LINE_MAP;
    out->speaker = "QEMU";
    set_length(out, start, length);
    scan_pass(&at, " \t,");
    out->has_address = scan_number(&at, &out->address);
    return true;
}

/* QEMU up to 8.1 compared with the host's ranges itself: ... region 0x0..0xbffff, both included. */
static bool read_qemu_window(const struct scan *line, struct vmm_line *out)
{
    uint64_t start, last;
    struct scan at;

    if (!scan_find(line, "can't map guest IOVA region", &at) || !scan_number(&at, &start))
        return false;
    scan_pass(&at, " \t.");
    if (!scan_number(&at, &last))
        return false;
    out->kind = VMM_LINE_MAP;
    out->speaker = "QEMU";
    set_last(out, start, last);
    return true;
}

/* Lines of Linux, and of QEMU, that name no address. */
static bool read_wordy(const struct scan *line, struct vmm_line *out)
{
    struct scan at;

    if (scan_find(line, "RLIMIT_MEMLOCK (", &at) && scan_has(&at, "exceeded")) {
        out->kind = VMM_LINE_MEMLOCK;
        out->speaker = "Linux (VFIO)";
        (void)scan_number(&at, &out->limit);
    } else if (scan_has(line, "1:1 IOMMU mapping") || scan_has(line, "platform RMRR requirement")) {
        out->kind = VMM_LINE_DIRECT;
        out->speaker = "Linux";
    } else if (scan_has(line, "running out of DMA mappings")) {
        out->kind = VMM_LINE_BUDGET;
        out->speaker = "QEMU";
        if (scan_find(line, "possible DMA mappings:", &at))
            (void)scan_number(&at, &out->limit);
    } else {
        return false;
    }
    return true;
}

/* Whose words are in a line. */
static const char *speaker_of(const struct scan *line)
{
    static const struct {
        const char *mark;
        const char *speaker;
    } marks[] = {
        {"EAL:", "DPDK"},
        {"IommuDmaMap", "cloud-hypervisor"},
        {"VfioDmaMap", "cloud-hypervisor"},
        {"VirtioIommuReq", "cloud-hypervisor"},
        {"iommufd_backend_", "QEMU"},
        {"vfio_listener_", "QEMU"},
        {"IOAS DMA map failed", "OpenVMM"},
    };

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (scan_has(line, marks[i].mark))
            return marks[i].speaker;
    }
    return "the VMM";
}

/* Traces tell of what went well, too: "ret: 0", and QEMU's end in "(0)". */
static bool went_well(const struct scan *line)
{
    static const char *const marks[] = {"ret: ", "ret=", "ret "};
    struct scan at;
    uint64_t value;

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (scan_find(line, marks[i], &at) && scan_number(&at, &value))
            return value == 0;
    }
    if (!scan_find(line, "(0)", &at))
        return false;
    scan_pass(&at, " \t");
    return scan_left(&at) == 0;
}

/* VMMs in Rust, and traces: names with values. */
static bool read_fields(const struct scan *line, struct vmm_line *out)
{
    static const char *const lengths[] = {"size", "length", "len"};
    static const char *const addresses[] = {"user_va", "vaddr", "addr"};
    uint64_t start, value;

    if ((!field(line, "iova", &start) && !field(line, "virt_start", &start)) || went_well(line) ||
        scan_has(line, "dirty"))
        return false;
    out->kind = scan_has(line, "unmap") ? VMM_LINE_UNMAP : VMM_LINE_MAP;
    out->speaker = speaker_of(line);
    if (field(line, "virt_end", &value)) {
        set_last(out, start, value);
        return true;
    }
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        if (!field(line, lengths[i], &value))
            continue;
        set_length(out, start, value);
        for (size_t k = 0; k < sizeof(addresses) / sizeof(addresses[0]) && !out->has_address; k++)
            out->has_address = field(line, addresses[k], &out->address);
        return true;
    }
    set_last(out, start, start);
    return true;
}

/* A refusal without an address. */
static bool read_bare(const struct scan *line, struct vmm_line *out)
{
    static const struct {
        const char *words;
        const char *speaker;
    } forms[] = {
        {"set up DMA remapping", "DPDK"},
        {"DMA remapping failed", "DPDK"},
        {"VFIO_MAP_DMA", "QEMU"},
        {"VFIO_UNMAP_DMA", "QEMU"},
        {"IOMMU_IOAS_MAP", "QEMU"},
        {"IOMMU_IOAS_UNMAP failed", "QEMU"},
        {"map new region for DMA", "DPDK"},
        {"IommuDmaMap", "cloud-hypervisor"},
        {"VfioDmaMap", "cloud-hypervisor"},
        {"IOVA range to the IOAS", "cloud-hypervisor"},
        {"DMA map", "the VMM"},
        {"MAP DMA", "the VMM"},
        {"memory mapper failed", "crosvm"},
        {"memory map to iommu table", "crosvm"},
        {"VFIO_IOMMU_MAP_DMA", "the VMM"},
        {"DMA mapping failed", "the VMM"},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!scan_has(line, forms[i].words))
            continue;
        out->kind = scan_has(line, "unmap") ? VMM_LINE_UNMAP : VMM_LINE_MAP;
        out->speaker = scan_has(line, "EAL:") ? "DPDK" : forms[i].speaker;
        return true;
    }
    return false;
}

/* Whether a word stands alone in a line. */
static bool has_word(const struct scan *line, const char *word)
{
    struct scan rest = *line;

    while (scan_find(&rest, word, &rest)) {
        const char *first = rest.at - strlen(word);

        if ((first == line->at || !scan_is_word(first[-1])) &&
            (scan_left(&rest) == 0 || !scan_is_word(*rest.at)))
            return true;
    }
    return false;
}

/* "= -22", "os error 22", "Error(22)", "failed: -22", in words, or by its name. */
static int read_error(const struct scan *line)
{
    static const char *const marks[] = {
        ") = -",  ")=-",    "os error ", "Error(", "ret=-", "ret -",    "failed: -", "error -",
        "errno ", "errno=", "errno: ",   "err=-",  "err -", "{ code: ", "error "};
    struct scan at;
    uint64_t value;

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        /* What a function of C returns for any error is -1. */
        if (scan_find(line, marks[i], &at) && scan_number(&at, &value) &&
            value > (strncmp(marks[i], "ret", 3) == 0) && value < 4096)
            return (int)value;
    }
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        if (scan_has(line, errors[i].words) || has_word(line, errors[i].name))
            return errors[i].number;
    }
    return 0;
}

/* "01:0x00.0", behind the first 0x. */
static bool take_marked(const struct scan *scan, char device[PCI_ADDRESS_SIZE])
{
    static const char form[] = "xx:0xxx.x";
    char address[PCI_ADDRESS_SIZE], plain[sizeof("xx:xx.x")] = "";

    for (size_t i = 0; form[i] != '\0'; i++) {
        if (i == 3 || i == 4) {
            if (scan->at[i] != "0x"[i - 3])
                return false;
            continue;
        }
        plain[i - (i > 4 ? 2 : 0)] = scan->at[i];
    }
    if (pci_address(plain, plain + sizeof(plain) - 1, address) != sizeof(plain) - 1)
        return false;
    memcpy(device, plain, sizeof(plain));
    return true;
}

static void find_device(const struct scan *line, char device[PCI_ADDRESS_SIZE])
{
    char address[PCI_ADDRESS_SIZE];
    struct scan marked;

    /* Linux 5.13 and 5.14: "Request device [0x01:0x00.0]". */
    if (scan_find(line, "device [0x", &marked) && scan_left(&marked) > 8 &&
        take_marked(&marked, device))
        return;
    for (const char *at = line->at; at < line->end; at++) {
        size_t length = 0;

        if (at == line->at || (!scan_is_word(at[-1]) && at[-1] != ':'))
            length = pci_address(at, line->end, address);
        if (length == 0)
            continue;
        /* Without a domain it may be in any. */
        memcpy(device, address + (length == 7 ? 5 : 0), sizeof(address) - (length == 7 ? 5 : 0));
        return;
    }
}

struct vmm_line vmm_line_read(const char *line, size_t length)
{
    struct vmm_line out = {.kind = VMM_LINE_NONE, .speaker = ""};
    struct scan scan = {line, line + length};

    if (!read_qemu_call(&scan, &out) && !read_qemu_window(&scan, &out) &&
        !vmm_line_fault(&scan, &out) && !read_wordy(&scan, &out) && !vmm_line_setup(&scan, &out) &&
        !read_fields(&scan, &out) && !read_bare(&scan, &out))
        return out;
    if (out.error == 0)
        out.error = read_error(&scan);
    find_device(&scan, out.device);
    return out;
}

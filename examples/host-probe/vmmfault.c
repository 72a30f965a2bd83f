/* SPDX-License-Identifier: BSD-3-Clause */

/* What the kernel says of an access that an IOMMU refused: where it was, whose, and why. */

#include "vmmline.h"

/* Words that say why, of any driver; the first that a line has counts. */
static const struct {
    const char *words;
    enum vmm_fault fault;
} reasons[] = {
    {"Present bit in root entry is clear", FAULT_DEVICE},
    {"Present bit in context entry is clear", FAULT_DEVICE},
    {"Present bit in Directory Entry is clear", FAULT_DEVICE},
    {"Present bit in PASID Table Entry is clear", FAULT_DEVICE},
    {"Access beyond MGAW", FAULT_WIDTH},
    {"Present bit in first-level paging entry is clear", FAULT_ABSENT},
    {"Present bit in second-level paging entry is clear", FAULT_ABSENT},
    {"PTE Write access is not set", FAULT_PAGE},
    {"PTE Read access is not set", FAULT_PAGE},
    {"ptr is invalid", FAULT_TABLES},
    {"Invalid context entry", FAULT_TABLES},
    {"non-zero reserved fields in", FAULT_TABLES},
    {"INVALID_DEVICE_REQUEST", FAULT_REQUEST},
    {"INTR-REMAP", FAULT_INTERRUPT},
    {"vtd_", FAULT_VIRTUAL},
    {"virtio_iommu_translate", FAULT_VIRTUAL},
    {"page fault from EP", FAULT_ABSENT},
    {"domain fault from EP", FAULT_DEVICE},
};

/* Reasons that VT-d has numbers for, where a line was cut before the words. */
static enum vmm_fault intel_fault(const struct scan *line)
{
    static const uint8_t known[] = {
        [1] = FAULT_DEVICE, [2] = FAULT_DEVICE,  [3] = FAULT_TABLES,  [4] = FAULT_WIDTH,
        [5] = FAULT_PAGE,   [6] = FAULT_PAGE,    [7] = FAULT_TABLES,  [8] = FAULT_TABLES,
        [9] = FAULT_TABLES, [10] = FAULT_TABLES, [11] = FAULT_TABLES, [12] = FAULT_TABLES,
    };
    struct scan at;
    uint64_t number;

    /* Up to Linux 5.12 they are decimal, and have no 0x. */
    if (!scan_find(line, "fault reason", &at) || !scan_number(&at, &number) ||
        number >= sizeof(known))
        return FAULT_UNSAID;
    return (enum vmm_fault)known[number];
}

/* AMD's flags: bit 4 is "present", bit 3 "interrupt". */
static enum vmm_fault amd_fault(const struct scan *line)
{
    struct scan at;
    uint64_t flags;

    if (!scan_find(line, "flags", &at))
        return FAULT_UNSAID;
    scan_pass(&at, "= \t");
    if (!scan_number(&at, &flags))
        return FAULT_UNSAID;
    return (flags >> 3 & 1) != 0   ? FAULT_INTERRUPT
           : (flags >> 4 & 1) != 0 ? FAULT_RIGHTS
                                   : FAULT_ABSENT;
}

/* The fault status of an SMMU of version 2. */
static enum vmm_fault smmuv2_fault(const struct scan *line)
{
    struct scan at;
    uint64_t status;

    if (!scan_find(line, "fsr=", &at) || !scan_hex(&at, &status))
        return FAULT_UNSAID;
    return (status >> 1 & 1) != 0   ? FAULT_ABSENT
           : (status >> 2 & 3) != 0 ? FAULT_RIGHTS
           : (status >> 4 & 1) != 0 ? FAULT_TABLES
                                    : FAULT_UNSAID;
}

/* Events of an SMMU of version 3 that speak of a device. */
static const struct {
    unsigned type;
    const char *name;
    enum vmm_fault fault;
    bool addressed; /* an address is in it */
} events[] = {
    {0x02, "C_BAD_STREAMID", FAULT_DEVICE, false},
    {0x04, "C_BAD_STE", FAULT_DEVICE, false},
    {0x05, "F_BAD_ATS_TREQ", FAULT_REQUEST, false},
    {0x06, "F_STREAM_DISABLED", FAULT_DEVICE, false},
    {0x07, "F_TRANSL_FORBIDDEN", FAULT_REQUEST, false},
    {0x08, "C_BAD_SUBSTREAMID", FAULT_DEVICE, false},
    {0x0a, "C_BAD_CD", FAULT_TABLES, false},
    {0x10, "F_TRANSLATION", FAULT_ABSENT, true},
    {0x11, "F_ADDR_SIZE", FAULT_WIDTH, true},
    {0x12, "F_ACCESS", FAULT_RIGHTS, true},
    {0x13, "F_PERMISSION", FAULT_RIGHTS, true},
};

#define EVENT_COUNT (sizeof(events) / sizeof(events[0]))

static const char smmu[] = "Linux (Arm)";

static void set_address(struct vmm_line *out, uint64_t address)
{
    out->range = (struct iovageom_range){address, address};
    out->has_range = true;
}

/* "event: F_TRANSLATION client: 0000:04:00.0 sid: 0x400 ssid: 0x0 iova: 0xfee00000", since Linux
 * 6.15. */
static bool read_event(const struct scan *line, struct vmm_line *out)
{
    uint64_t value;
    struct scan at, sid;

    if (!scan_find(line, "event: ", &at))
        return false;
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        struct scan rest = at;

        if (!scan_take(&rest, events[i].name) || !scan_has(&rest, " sid:"))
            continue;
        if (events[i].addressed) {
            if (!scan_find(&rest, "iova:", &sid) || !scan_hex(&sid, &value))
                return false;
            set_address(out, value);
        }
        out->kind = VMM_LINE_ACCESS;
        out->speaker = smmu;
        out->fault = events[i].fault;
        out->has_stream =
            scan_find(&rest, " sid:", &sid) && scan_hex(&sid, &value) && value <= UINT32_MAX;
        out->stream = out->has_stream ? (uint32_t)value : 0;
        return true;
    }
    return false;
}

static enum vmm_fault reason_of(const struct scan *line)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (scan_has(line, reasons[i].words))
            return reasons[i].fault;
    }
    return FAULT_UNSAID;
}

bool vmm_line_fault(const struct scan *line, struct vmm_line *out)
{
    static const struct {
        const char *mark; /* only in lines that have this, too */
        const char *before;
        const char *speaker;
        enum vmm_line_kind kind;
        enum vmm_fault (*fault)(const struct scan *line);
    } forms[] = {
        {"iommu width", "mapped address", "Linux (Intel)", VMM_LINE_MAP, NULL},
        {"DMA", "fault addr", "Linux (Intel)", VMM_LINE_ACCESS, intel_fault},
        {"IO_PAGE_FAULT", "address=", "Linux (AMD)", VMM_LINE_ACCESS, amd_fault},
        {"IO_PAGE_FAULT", " addr ", "Linux (AMD)", VMM_LINE_ACCESS, amd_fault},
        {"INVALID_DEVICE_REQUEST", "address=", "Linux (AMD)", VMM_LINE_ACCESS, NULL},
        {"context fault", "iova=", smmu, VMM_LINE_ACCESS, smmuv2_fault},
        {"fault from EP", " at ", "Linux (virtio-iommu)", VMM_LINE_ACCESS, NULL},
        {"INTR-REMAP", "fault index", "Linux (Intel)", VMM_LINE_ACCESS, NULL},
        {"vtd_", "iova=", "QEMU (intel-iommu)", VMM_LINE_ACCESS, NULL},
        {"virtio_iommu_translate", "no mapping for ", "QEMU (virtio-iommu)", VMM_LINE_ACCESS, NULL},
    };
    uint64_t address;
    struct scan at;

    if (read_event(line, out))
        return true;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!scan_has(line, forms[i].mark) || !scan_find(line, forms[i].before, &at) ||
            !scan_hex(&at, &address))
            continue;
        out->kind = forms[i].kind;
        out->speaker = scan_has(line, "(XEN)") ? "Xen" : forms[i].speaker;
        out->fault = reason_of(line);
        if (out->fault != FAULT_INTERRUPT)
            set_address(out, address);
        if (out->fault == FAULT_UNSAID && forms[i].fault != NULL)
            out->fault = forms[i].fault(line);
        return true;
    }
    return false;
}

/* ---- events that take several lines ---- */

/*
 * The number that a line ends with, of sixteen digits; some write a blank in the middle. So each of
 * an event stands in a line of its own.
 */
static bool last_number(const struct scan *line, uint64_t *number)
{
    struct scan rest = *line, at = {line->end, line->end};
    unsigned digits = 0;

    while (scan_find(&rest, "0x", &rest))
        at = rest;
    *number = 0;
    for (; scan_left(&at) > 0 && digits < 16; at.at++) {
        int digit = scan_hex_value(*at.at);

        if (digit < 0 && !(*at.at == ' ' && digits == 8))
            return false;
        if (digit < 0)
            continue;
        *number = *number << 4 | (unsigned)digit;
        digits++;
    }
    scan_pass(&at, " \t\r");
    return digits == 16 && scan_left(&at) == 0;
}

/* The first number of an event repeats its type. */
static bool finish_event(struct vmm_event *event, struct vmm_line *out)
{
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        if (events[i].type != event->type)
            continue;
        *out = (struct vmm_line){.kind = VMM_LINE_ACCESS,
                                 .speaker = smmu,
                                 .fault = events[i].fault,
                                 .has_stream = true,
                                 .stream = (uint32_t)(event->numbers[0] >> 32)};
        if (events[i].addressed)
            set_address(out, event->numbers[2]);
        return true;
    }
    return false;
}

bool vmm_event_read(struct vmm_event *event, const char *line, size_t length, struct vmm_line *out)
{
    enum { MOST_OTHERS = 8, NUMBERS = sizeof(event->numbers) / sizeof(event->numbers[0]) };
    struct scan scan = {line, line + length};
    struct scan at;
    uint64_t number;

    if (scan_find(&scan, "event 0x", &at) && scan_hex(&at, &number) && number <= 0xff &&
        scan_has(&at, "received")) {
        *event = (struct vmm_event){.open = true, .type = (unsigned)number};
        return false;
    }
    if (!event->open)
        return false;
    if (!last_number(&scan, &number)) {
        event->open = ++event->others <= MOST_OTHERS;
        return false;
    }
    if (event->count == 0 && (number & 0xff) != event->type) {
        event->open = false;
        return false;
    }
    event->numbers[event->count++] = number;
    if (event->count < NUMBERS)
        return false;
    event->open = false;
    return finish_event(event, out);
}

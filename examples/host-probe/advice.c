/* SPDX-License-Identifier: BSD-3-Clause */
#include "advice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/status.h>

#define GIB            (1ULL << 30)
#define MOST_NAMED     8            /* devices in one sentence */
#define HYPERTRANSPORT 0xfd00000000 /* no memory on AMD, from here to 1T */

bool device_is_bridge(const struct device *device)
{
    /* 0680 are others, which have endpoints' headers, and are assigned: NVSwitches among them. */
    return device->pci && device->class_code >> 16 == 0x06 && device->class_code >> 8 != 0x0680;
}

const char *outcome_word(enum outcome outcome)
{
    static const char *const words[] = {
        [OUTCOME_READY] = "ready",           [OUTCOME_BIND] = "bind first",
        [OUTCOME_NOTHING] = "nothing",       [OUTCOME_NOT_VIABLE] = "not viable",
        [OUTCOME_DIRECT] = "direct regions", [OUTCOME_NO_IOMMU] = "no IOMMU",
        [OUTCOME_NOT_READ] = "not read",     [OUTCOME_UNKNOWN] = "not known",
    };

    return words[outcome];
}

const char *outcome_sentence(enum outcome outcome)
{
    static const char *const sentences[] = {
        [OUTCOME_READY] = "can be assigned",
        [OUTCOME_BIND] = "can be assigned, once it is given to vfio-pci",
        [OUTCOME_NOTHING] = "has nothing to assign: only bridges",
        [OUTCOME_NOT_VIABLE] = "can't be assigned: not viable",
        [OUTCOME_DIRECT] = "can't be assigned: firmware demands direct regions",
        [OUTCOME_NO_IOMMU] = "can be assigned without an IOMMU only: nothing is protected",
        [OUTCOME_NOT_READ] = "can't be judged: a file could not be read",
        [OUTCOME_UNKNOWN] = "can't be judged: too little is known of it",
    };

    return sentences[outcome];
}

int outcome_assignable(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_READY:
    case OUTCOME_BIND:
    case OUTCOME_NO_IOMMU:
        return 1;
    case OUTCOME_NOT_READ:
    case OUTCOME_UNKNOWN:
        return -1;
    case OUTCOME_NOTHING:
    case OUTCOME_NOT_VIABLE:
    case OUTCOME_DIRECT:
        break;
    }
    return 0;
}

/* ---- what to do ---- */

static void remedy(struct advice *advice, const char *words)
{
    add_words(&advice->remedies, &advice->remedy_count, words);
}

static void add_bindings(struct advice *advice)
{
    const struct group *group = advice->verdict->group;
    size_t left = 0;

    for (size_t i = 0; i < group->device_count; i++) {
        const struct device *device = group->devices[i];

        if (driver_is_vfio(device->driver) || !device->pci ||
            (device_is_bridge(device) && !device_hinders(device)))
            continue;
        if (advice->remedy_count == MOST_NAMED) {
            left++;
            continue;
        }
        remedy(advice, text("driverctl set-override %s vfio-pci%s", device->address,
                            device->driver != NULL && *device->driver != '\0'
                                ? text("    (it has the driver %s)", device->driver)
                                : ""));
    }
    if (left != 0)
        remedy(advice, text("the same for %zu more", left));
}

/* A guest's kernel whose pages are smaller than what it must map in multiples of gives up. */
static void add_granule(struct advice *advice)
{
    uint64_t page_sizes = 0;
    uint64_t granule;

    (void)iovageom_geometry_page_sizes(advice->verdict->geometry, &page_sizes);
    granule = page_sizes & (~page_sizes + 1);
    if (granule > 4096 && outcome_assignable(advice->outcome) > 0)
        remedy(advice, text("behind a virtual IOMMU the guest's kernel needs pages of %s: with "
                            "smaller ones its virtio-iommu driver gives up",
                            size_text((struct iovageom_size){0, granule})));
}

/* Whoever is not root, or has not given the device to VFIO, knows less than could be known. */
static void add_askings(struct advice *advice, const struct host *host)
{
    const struct group *group = advice->verdict->group;
    bool asked = group->answers.vfio.there || group->answers.attached_header.there;

    if (group->not_asked != NULL)
        remedy(advice, group->not_asked);
    else if (!asked && advice->outcome == OUTCOME_READY && !host->live)
        remedy(advice,
               "on the machine itself, as root, the kernel can be asked: its word counts more than "
               "that of registers");
    if (!asked && !advice->verdict->knows_width && advice->outcome == OUTCOME_BIND)
        remedy(advice, "then, as root, ask again: the kernel says the width");
}

static void add_remedies(struct advice *advice, const struct host *host)
{
    switch (advice->outcome) {
    case OUTCOME_BIND:
    case OUTCOME_NOT_VIABLE:
        add_bindings(advice);
        break;
    case OUTCOME_DIRECT:
        remedy(advice, "update the firmware, or turn off its DMA protection before boot; what "
                       "remains is a kernel before 6.6, if the region is not used");
        break;
    case OUTCOME_NO_IOMMU:
        remedy(advice, "turn on VT-d, AMD-Vi or the SMMU in the firmware, and boot with "
                       "intel_iommu=on on Intel");
        break;
    case OUTCOME_NOT_READ:
        remedy(advice, "see the lines on standard error; --lenient passes over bad lines");
        break;
    case OUTCOME_UNKNOWN:
        if (advice->verdict->group->assumed)
            remedy(advice, "add what dmesg says of \"iommu group\", or the output of lspci -nnk");
        remedy(advice, advice->verdict->doubtful
                           ? "look for regions of type direct in the whole of its reserved_regions"
                           : "add the output of: grep -r . /sys/kernel/iommu_groups");
        break;
    case OUTCOME_READY:
    case OUTCOME_NOTHING:
        break;
    }
    add_granule(advice);
    add_askings(advice, host);
}

/* ---- what to say to VMMs ---- */

bool host_is_arm(const struct host *host)
{
    bool smmu = false;

    for (size_t i = 0; i < host->unit_count; i++)
        smmu = smmu || strncmp(host->units[i].name, "smmu", 4) == 0;
    return smmu || (host->kernel != NULL && (strstr(host->kernel, "aarch64") != NULL ||
                                             strstr(host->kernel, "arm64") != NULL));
}

static void set(struct setting **list, size_t *count, const char *vmm, const char *words,
                const char *since)
{
    *list = keep_grown(*list, *count, sizeof(**list));
    (*list)[(*count)++] = (struct setting){vmm, words, since};
}

void advise_settings(const struct host *host, unsigned bits, uint64_t page_sizes,
                     struct advice *advice)
{
    bool arm = host_is_arm(host);
    /* QEMU's VT-d knows these two widths. */
    unsigned intel = arm ? 0 : bits >= 48 ? 48 : bits >= 39 ? 39 : 0;
    uint64_t granule = page_sizes & (~page_sizes + 1);
    struct setting **list = &advice->settings;
    size_t *count = &advice->setting_count;

    if (bits < 64) {
        if (intel != 0) {
            set(list, count, "QEMU", text("-device intel-iommu,aw-bits=%u", intel), "4.0");
            set(list, count, "libvirt",
                text("<iommu model='intel'><driver aw_bits='%u'/></iommu>", intel), "6.5.0");
        }
        if (bits >= 32)
            set(list, count, "QEMU", text("-device virtio-iommu-pci,aw-bits=%u", bits), "9.0");
        set(list, count, "cloud-hypervisor", text("--platform iommu_address_width=%u", bits),
            "v44");
        set(list, count, "crosvm", "--vfio PATH,iommu=viommu: it takes the width from the device",
            NULL);
    }
    if (granule > 4096)
        set(list, count, "QEMU",
            text("-device virtio-iommu-pci,granule=%lluk", (unsigned long long)(granule >> 10)),
            "9.0");
    if (bits < 52 && !arm) {
        list = &advice->plain;
        count = &advice->plain_count;
        set(list, count, "QEMU", text("-cpu host,host-phys-bits-limit=%u", bits), NULL);
        set(list, count, "libvirt", text("<maxphysaddr mode='passthrough' limit='%u'/>", bits),
            "9.3.0");
        set(list, count, "cloud-hypervisor", text("--cpus max_phys_bits=%u", bits), NULL);
    }
}

/* ---- what fits ---- */

/* The usable range with an address, or NULL. */
static const struct iovageom_range *usable_at(const struct verdict *verdict, uint64_t address)
{
    for (size_t i = 0; i < verdict->usable_count; i++) {
        if (verdict->usable[i].start <= address && address <= verdict->usable[i].last)
            return &verdict->usable[i];
    }
    return NULL;
}

/* QEMU's virt machine for Arm: all RAM in one piece from 1G. */
static void fit_virt(struct advice *advice)
{
    const struct iovageom_range *range = usable_at(advice->verdict, GIB);

    advice->ram_place = "in one piece from 1G up (QEMU, virt)";
    if (range != NULL)
        advice->ram = iovageom_range_size((struct iovageom_range){GIB, range->last});
}

/* QEMU's q35: 2G from 0 up, and the rest from 4G up; less than 2.75G is in one piece from 0. */
static void fit_q35(struct advice *advice)
{
    const struct iovageom_range *low = usable_at(advice->verdict, 0);
    const struct iovageom_range *high = usable_at(advice->verdict, 4 * GIB);
    uint64_t most = high != NULL ? 2 * GIB : 11 * (GIB / 4);
    uint64_t size;

    advice->ram_place = "2G from 0 up, the rest from 4G up (QEMU, q35)";
    if (low == NULL)
        return;
    size = low->last >= most - 1 ? most : low->last + 1;
    advice->ram.lo = size;
    if (high == NULL || size < 2 * GIB)
        return;
    /* Less than 2^64: 4G are missing, and 2G come back. */
    advice->ram.lo += high->last - 4 * GIB + 1;
    /* QEMU moves what is above 4G to 1T as a whole, by the vendor of the guest's CPU. */
    if (high->last == HYPERTRANSPORT - 1 && usable_at(advice->verdict, 1024 * GIB) != NULL)
        advice->ram_place = "2G from 0 up, the rest from 4G up (QEMU, q35); with more, QEMU 7.1 "
                            "and later has the rest from 1T up if the guest's CPU is AMD's";
}

/* The largest power of two of which an aligned block is usable. */
static uint64_t largest_block(const struct verdict *verdict)
{
    for (unsigned bit = 63; bit >= 12; bit--) {
        uint64_t size = 1ULL << bit;

        for (size_t i = 0; i < verdict->usable_count; i++) {
            const struct iovageom_range *range = &verdict->usable[i];
            uint64_t start = (range->start + size - 1) & ~(size - 1);

            if (start >= range->start && start <= range->last && range->last - start >= size - 1)
                return size;
        }
    }
    return 0;
}

/* Where VFIO or iommufd answered, the group was given to somebody already. */
static bool regions_are_unknown(const struct verdict *verdict)
{
    const struct answers *answers = &verdict->group->answers;

    return ((iovageom_geometry_knows(verdict->geometry) & IOVAGEOM_FACT_RESERVED) == 0 ||
            verdict->doubtful) &&
           !answers->vfio.there && !answers->attached_header.there;
}

enum outcome outcome_of(const struct verdict *verdict)
{
    const struct group *group = verdict->group;
    bool bound = false;
    bool asked = group->answers.vfio.there || group->answers.attached_header.there;
    size_t endpoints = 0;

    for (size_t i = 0; i < group->device_count; i++) {
        const struct device *device = group->devices[i];

        endpoints += device_is_bridge(device) ? 0 : 1;
        bound = bound || driver_is_vfio(device->driver);
    }
    if (verdict->no_iommu)
        return OUTCOME_NO_IOMMU;
    if (!verdict->judged)
        return OUTCOME_NOT_READ;
    if (!verdict->assignable)
        return OUTCOME_DIRECT;
    if (endpoints == 0)
        return group->device_count == 0 || group->assumed ? OUTCOME_UNKNOWN : OUTCOME_NOTHING;
    if (regions_are_unknown(verdict))
        return OUTCOME_UNKNOWN;
    if (verdict->hinder_count != 0)
        return OUTCOME_NOT_VIABLE;
    return bound || asked ? OUTCOME_READY : OUTCOME_BIND;
}

const char *direct_reason(const struct verdict *verdict)
{
    struct iovageom_report report;

    iovageom_report_init(&report, &lasting);
    if (iovageom_geometry_assignable(verdict->geometry, &report) != IOVAGEOM_OK)
        return text("%s", iovageom_report_text(&report));
    return verdict->group->direct
               ? "firmware wants regions for it mapped one to one (see the notes); Linux 6.6 and "
                 "later gives it to nobody"
           : verdict->doubtful
               ? "it can't be assigned while firmware demands a direct region (see the notes)"
               : "it can't be assigned while firmware demands a direct region, of length 0";
}

static const char *reason(const struct verdict *verdict, enum outcome outcome)
{
    struct buffer words = {NULL, 0, 0};

    if (outcome == OUTCOME_DIRECT)
        return direct_reason(verdict);
    if (outcome == OUTCOME_UNKNOWN)
        return verdict->group->assumed             ? "the text names no groups"
               : verdict->group->device_count == 0 ? "its devices are not known"
               : verdict->doubtful
                   ? "not all of its reserved regions are known, of which firmware may demand one"
                   : "its reserved regions are not known, of which firmware may demand one";
    if (outcome != OUTCOME_NOT_VIABLE)
        return NULL;
    for (size_t i = 0; i < verdict->hinder_count && i < MOST_NAMED; i++)
        buffer_add(&words, "%s%s has the driver %s", i != 0 ? ", " : "",
                   verdict->hinder[i]->address, verdict->hinder[i]->driver);
    if (verdict->hinder_count > MOST_NAMED)
        buffer_add(&words, ", and %zu more", verdict->hinder_count - MOST_NAMED);
    buffer_add(&words, "; all devices of a group go to VFIO together, or have no driver");
    return buffer_text(&words);
}

struct advice advise(const struct host *host, const struct verdict *verdict)
{
    struct advice advice = {.verdict = verdict, .outcome = outcome_of(verdict)};
    uint64_t page_sizes = 0;

    advice.because = reason(verdict, advice.outcome);
    if (verdict->judged && !verdict->no_iommu && verdict->knows_width) {
        (void)iovageom_geometry_page_sizes(verdict->geometry, &page_sizes);
        advise_settings(host, verdict->bits, page_sizes, &advice);
    }
    /* Where a part is not known, it is not known either what does not fit. */
    if (verdict->judged && !verdict->no_iommu && verdict->knows_width &&
        verdict->unknown_count == 0) {
        advice.knows_ram = true;
        if (host_is_arm(host))
            fit_virt(&advice);
        else
            fit_q35(&advice);
        advice.bar_most = largest_block(verdict);
    }
    add_remedies(&advice, host);
    return advice;
}

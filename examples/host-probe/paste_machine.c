/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a text says of the machine as a whole: its kernel, which IOMMUs it has, and whether they are
 * on. Of several boots the last one counts.
 */

#include "paste.h"

#include <ctype.h>
#include <string.h>

/* A decimal number of at most three digits; its end, or NULL. */
static const char *small_number(const struct reader *reader, const char *at, unsigned *value)
{
    const char *digits = at;

    *value = 0;
    for (; at < reader->end && isdigit((unsigned char)*at) != 0 && at - digits < 4; at++)
        *value = *value * 10 + (unsigned)(*at - '0');
    return at > digits && at - digits < 4 ? at : NULL;
}

/* ---- SMMUs ---- */

/*
 * The addresses that an SMMU takes: "arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit, oas 44-bit", and
 * of version 2 "arm-smmu 12000000.iommu: Stage-1: 39-bit VA -> 48-bit IPA". The least of them
 * counts.
 */
static bool read_smmu(struct reader *reader)
{
    static const char *const forms[] = {": ias ", "Stage-1: ", "Stage-2: "};
    struct machine *machine = &reader->machine;
    unsigned bits;

    if (line_after(reader, reader->at, "arm-smmu ") == NULL &&
        line_after(reader, reader->at, "arm-smmu-v3 ") == NULL)
        return false;
    machine->smmus = true;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *at = line_after(reader, reader->at, forms[i]);

        at = at != NULL ? small_number(reader, at, &bits) : NULL;
        if (at == NULL || bits == 0 || bits > 64 || reader->end - at < 4 ||
            memcmp(at, "-bit", 4) != 0)
            continue;
        if (machine->smmu == 0 || bits < machine->smmu)
            machine->smmu = bits;
    }
    return true;
}

/*
 * What the log of a guest says of its virtual IOMMU: "virtio_iommu virtio1: input address: 39 bits"
 * and "virtio_iommu virtio1: page mask: 0x40201000".
 */
static bool read_virtio(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "virtio_iommu virtio"), *behind;
    unsigned bits;

    if (at == NULL)
        return false;
    behind = line_after(reader, at, ": input address: ");
    if (behind != NULL && small_number(reader, behind, &bits) != NULL && bits <= 64) {
        reader->machine.virtio = bits;
        return true;
    }
    behind = line_after(reader, at, ": page mask: ");
    return behind != NULL && line_hex(reader, behind, &reader->machine.virtio_pages) != NULL;
}

/* ---- on or off ---- */

/* Whether an IOMMU has such a name. */
static bool has_unit(const struct host *host, const char *begin)
{
    for (size_t i = 0; i < host->unit_count; i++) {
        if (strncmp(host->units[i].name, begin, strlen(begin)) == 0)
            return true;
    }
    return false;
}

/* Whose line it is, and which tables it has, say for whom a boot parameter is. */
static void read_maker(struct reader *reader)
{
    static const char *const intel[] = {"DMAR: ", "ACPI: DMAR 0x"};
    static const char *const amd[] = {"AMD-Vi: ", "ACPI: IVRS 0x"};

    for (size_t i = 0; i < 2; i++) {
        if (line_after(reader, reader->at, intel[i]) != NULL)
            reader->machine.intel = true;
        if (line_after(reader, reader->at, amd[i]) != NULL)
            reader->machine.amd = true;
    }
}

/* Behind the last time that `word` stands alone in the line from `at` on; NULL for never. */
static const char *last_word(const struct reader *reader, const char *at, const char *word)
{
    const char *last = NULL;
    size_t length = strlen(word);

    while ((at = line_after(reader, at, word)) != NULL) {
        if (isalnum((unsigned char)at[-(ptrdiff_t)length - 1]) == 0 &&
            at[-(ptrdiff_t)length - 1] != '_' &&
            (at == reader->end || (isalnum((unsigned char)*at) == 0 && *at != '_')))
            last = at;
    }
    return last;
}

/*
 * Where the parameters of a kernel begin: as the kernel says them, as /proc/cmdline has them, and
 * as boot loaders are told. Elsewhere somebody speaks of them, or another machine was given them.
 */
static const char *parameters(const struct reader *reader)
{
    static const char *const forms[] = {"ommand line:", "BOOT_IMAGE=", "GRUB_CMDLINE_LINUX"};
    const char *at = line_blanks(reader, reader->at);

    if (at == reader->end || *at == '#')
        return NULL;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *behind = line_after(reader, at, forms[i]);

        if (behind != NULL)
            return behind - 1;
    }
    /* A file that has nothing else begins with one of these. */
    return (reader->end - at > 5 && memcmp(at, "root=", 5) == 0) ||
                   (reader->end - at > 7 && memcmp(at, "initrd=", 7) == 0)
               ? at + 1
               : NULL;
}

static void read_parameters(struct reader *reader)
{
    const char *from = parameters(reader), *off, *on;

    if (from == NULL)
        return;
    off = last_word(reader, from, "intel_iommu=off");
    on = last_word(reader, from, "intel_iommu=on");
    if (off != NULL && (on == NULL || off > on))
        reader->machine.off |= 1U << OFF_INTEL;
    if (last_word(reader, from, "amd_iommu=off") != NULL)
        reader->machine.off |= 1U << OFF_AMD;
    if (last_word(reader, from, "iommu=off") != NULL)
        reader->machine.off |= 1U << OFF_ANY;
    if (line_after(reader, from, "amd_iommu=pgtbl_v2") != NULL)
        reader->machine.v2 = true;
}

/* Why the IOMMU of the last boot is off; NULL where nothing says so. */
static const char *why_off(const struct reader *reader)
{
    static const char *const words[OFF_WORDS] = {
        [OFF_KERNEL] = "DMAR: IOMMU disabled",
        [OFF_ANY] = "iommu=off",
        [OFF_INTEL] = "intel_iommu=off",
        [OFF_AMD] = "amd_iommu=off",
    };
    const bool intel = reader->machine.intel || has_unit(reader->host, "dmar");
    const bool amd = reader->machine.amd || has_unit(reader->host, "ivhd");

    for (unsigned i = 0; i < OFF_WORDS; i++) {
        /* The last two are for the IOMMUs of one maker. */
        if ((reader->machine.off >> i & 1) != 0 && !(i == OFF_INTEL && amd) &&
            !(i == OFF_AMD && intel))
            return words[i];
    }
    return NULL;
}

/* ---- the kernel ---- */

static void read_version(struct reader *reader, const char *at)
{
    struct machine *machine = &reader->machine;
    const char *end = at;

    while (end < reader->end && isgraph((unsigned char)*end) != 0)
        end++;
    /* Who built it, and with what, tells the architecture, but is not kept. */
    machine->arm = line_after(reader, end, "aarch64") != NULL;
    reader->host->kernel = text("Linux (none) %.*s", (int)(end - at), at);
    /* What was so in another boot need not be now. */
    machine->off = 0;
    machine->v2 = false;
    machine->boot++;
}

bool paste_read_machine(struct reader *reader)
{
    const char *at = line_after(reader, reader->at, "Host address width ");
    unsigned width, off;

    read_maker(reader);
    if (at != NULL) {
        reader->machine.width = small_number(reader, at, &width) != NULL && width <= 64 ? width : 0;
        return true;
    }
    at = line_after(reader, reader->at, "Linux version ");
    if (at != NULL) {
        read_version(reader, at);
        return true;
    }
    off = reader->machine.off;
    read_parameters(reader);
    if (line_after(reader, reader->at, "DMAR: IOMMU disabled") != NULL)
        reader->machine.off |= 1U << OFF_KERNEL;
    if (line_after(reader, reader->at, "AMD-Vi: V2 page table enabled") != NULL)
        reader->machine.v2 = true;
    return reader->machine.off != off || read_smmu(reader) || read_virtio(reader) ||
           line_after(reader, reader->at, "DMAR: IOMMU enabled") != NULL ||
           line_after(reader, reader->at, "AMD-Vi: Interrupt remapping enabled") != NULL;
}

/* ---- what it means for the groups ---- */

/* What is said of no group is so for any of them. */
static void say_to_all(struct reader *reader, const char *words)
{
    for (size_t i = 0; i < reader->host->group_count; i++)
        group_note(&reader->host->groups[i], words);
}

static void finish_units(struct reader *reader)
{
    const struct machine *machine = &reader->machine;
    const struct host *host = reader->host;

    /* What holds for all of them may have been said before their own lines. */
    for (size_t i = 0; i < host->unit_count; i++) {
        if (strncmp(host->units[i].name, "ivhd", 4) != 0)
            continue;
        if (machine->v2) /* whose addresses have fewer bits */
            paste_attribute(reader, host->units[i].name, "pgtbl_v2", "1");
        if (machine->vasize != 0)
            paste_attribute(reader, host->units[i].name, "vasize", text("%x", machine->vasize));
    }
}

/* Groups that VFIO made for devices without an IOMMU have a name, which the log does not tell. */
static void finish_unsafe(const struct reader *reader)
{
    const struct host *host = reader->host;

    for (size_t i = 0; i < host->device_count; i++) {
        const struct device *device = host->devices[i];
        struct group *group = device->group != NULL ? host_group(host, device->group) : NULL;

        if (device->unsafe_boot == reader->machine.boot + 1 && group != NULL &&
            group->title == NULL)
            group->title = "vfio-noiommu";
    }
}

void paste_finish_machine(struct reader *reader)
{
    const struct machine *machine = &reader->machine;
    struct host *host = reader->host;
    const char *off = why_off(reader);

    if (machine->width != 0 && host->unit_count == 0)
        say_to_all(reader,
                   text("the host address width of %u bits is that of physical addresses; the "
                        "IOMMU's own is in the lines with \"cap\": dmesg | grep DMAR",
                        machine->width));
    if (machine->smmu != 0)
        say_to_all(reader,
                   text("an SMMU takes addresses of %u bits, says the kernel's log; what VFIO maps "
                        "of them says the kernel when it is asked",
                        machine->smmu));
    if (machine->virtio != 0)
        say_to_all(
            reader,
            text("a virtio-iommu takes addresses of %u bits%s, says the kernel's log; what VFIO "
                 "maps of them says the kernel when it is asked",
                 machine->virtio,
                 machine->virtio_pages != 0
                     ? text(", in pages of %s", page_sizes_text(machine->virtio_pages))
                     : ""));
    if (reader->iort.unread)
        say_to_all(reader,
                   "the IORT has regions that the program which wrote its text did not know "
                   "(RMRs): iasl of 2022 and later does");
    if (off != NULL)
        say_to_all(reader, text("the IOMMU is off: %s", off));
    finish_units(reader);
    finish_unsafe(reader);
    if (machine->smmus || machine->arm)
        host->kernel =
            text("%s aarch64", host->kernel != NULL ? host->kernel : "Linux (none) unknown");
}

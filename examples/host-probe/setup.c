/* SPDX-License-Identifier: BSD-3-Clause */
#include "setup.h"

#include <string.h>

#include "advice.h"
#include "say.h"
#include "show.h"

#define MOST_FOUND 8 /* groups, where the line names none */

/* ---- what it means, whatever the host is ---- */

static const struct {
    const char *word;
    const char *said[2]; /* before the group, and behind it; one alone names none */
    const char *means;
    const char *todo[2];
} setups[] = {
    [SETUP_VIABLE] = {"viable",
                      {"", " is not viable"},
                      "devices of a group can reach each other, so a guest gets all of them or "
                      "none: each has a driver of VFIO, or none; PCI bridges keep theirs",
                      {"in another slot a card may be in a smaller group"}},
    [SETUP_NO_GROUP] = {"no-group",
                        {"the device is in no IOMMU group"},
                        "the kernel has put the device into no group: the IOMMU is off, or "
                        "firmware does not say that the device is behind it",
                        {"turn on VT-d, AMD-Vi or the SMMU in the firmware's setup; on Intel many "
                         "kernels want intel_iommu=on, too",
                         "dmesg | iovageom-probe -s - says what the kernel found"}},
    [SETUP_OPEN] = {"open", {"the file of ", " was not opened"}, NULL, {NULL}},
    [SETUP_CONTAINER] = {"container", {"/dev/vfio/vfio was not opened"}, NULL, {NULL}},
    [SETUP_IOMMUFD] = {"iommufd", {"/dev/iommu was not opened"}, NULL, {NULL}},
    [SETUP_CDEV] = {"cdev",
                    {"the file of the device was not opened"},
                    "iommufd wants a file for the device itself, below /dev/vfio/devices",
                    {NULL}},
    [SETUP_IOMMU] = {"set-iommu", {"the IOMMU could not be set up for ", ""}, NULL, {NULL}},
    [SETUP_JOIN] = {"set-container", {"", " was not put into a container"}, NULL, {NULL}},
    [SETUP_DEVICE] = {"device", {"VFIO did not give a device of ", ""}, NULL, {NULL}},
    [SETUP_DRIVER] = {"driver", {"vfio-pci did not take the device"}, NULL, {NULL}},
    [SETUP_SPACES] = {"address-spaces",
                      {"", " can't be in two address spaces"},
                      "behind a virtual IOMMU each device of the guest has an address space of its "
                      "own, but the host can keep devices of one group in one only",
                      {"let the guest have them behind one bridge from PCI Express to PCI (QEMU "
                       "-device pcie-pci-bridge), where they share one",
                       "or give the guest no virtual IOMMU, or one device of the group"}},
    [SETUP_BIND] = {"bind", {"the device was not bound to iommufd"}, NULL, {NULL}},
    [SETUP_ATTACH] = {"attach",
                      {"the device was not attached to an address space of iommufd"},
                      NULL,
                      {NULL}},
    [SETUP_RESET] = {"reset",
                     {"the device can't be reset without ", ""},
                     "the device can be reset by its bus only, and another group has devices on "
                     "that bus. The guest starts all the same; the device may not start again",
                     {"give that group to the guest, too"}},
    [SETUP_TAKEN] = {"taken",
                     {"another guest has the device"},
                     "a device is one guest's at a time",
                     {"stop the other one, or take the device out of its configuration"}},
    [SETUP_AW_BITS] = {"aw-bits",
                       {"the virtual IOMMU has more bits than the host's"},
                       "the virtual IOMMU would let the guest use addresses that the host does not "
                       "map. QEMU checks that since 9.1; intel-iommu has 48 bits unless told "
                       "otherwise since 9.2",
                       {NULL}},
    [SETUP_PHYS_BITS] = {"phys-bits",
                         {"the guest needs more addresses than its CPU has"},
                         "RAM (that for hot-plug, too) and the window for 64-bit BARs end above "
                         "what the guest's CPU can address",
                         {"give the guest less RAM (-m and its maxmem), or a smaller window: QEMU "
                          "-global q35-pcihost.pci-hole64-size=32G",
                          "more bits (host-phys-bits-limit, libvirt's maxphysaddr) help as far as "
                          "the host's IOMMU has them"}},
    [SETUP_GRANULE] = {"granule",
                       {"the virtual IOMMU's pages are larger than those of the guest's kernel"},
                       "the guest can map pieces of its own page size, and the virtual IOMMU takes "
                       "larger ones only: the guest's driver gives up",
                       {"a guest's kernel with pages as large as the granule; or, where the host "
                        "maps 4K, QEMU -device virtio-iommu-pci,granule=4k"}},
    [SETUP_MASK] = {"page-mask",
                    {"the pages of the virtual IOMMU and of the host don't go together"},
                    "the guest was promised other page sizes than the host of the new device has",
                    {"let the device be there from the start, or say the granule: QEMU -device "
                     "virtio-iommu-pci,granule=host (since 9.0)"}},
    [SETUP_UNALIGNED] =
        {"unaligned",
         {"a piece of memory is not mapped, as it does not begin at a page"},
         "a part of a page can't be mapped: the guest's CPU reaches that memory, its "
         "devices don't. For the buffer of a TPM (tpm-crb-cmd) that does no harm",
         {NULL}},
    [SETUP_DMA_MASK] =
        {"dma-mask",
         {"the memory of the program is at addresses that are too high"},
         "the program uses its own virtual addresses for DMA, and they are above what "
         "the IOMMU translates",
         {"let it use physical addresses (--iova-mode=pa)",
          "or have its memory lower (--base-virtaddr=0x100000000)"}},
    [SETUP_TWICE] =
        {"mapped-twice",
         {"the kernel maps an address where it has a mapping"},
         "the kernel's own mapping: it concerns drivers of the host, and not what VFIO "
         "maps. What is there is a direct region of firmware, a table of the kernel before "
         "(kexec, kdump), or what a driver has given back and the IOMMU not yet",
         {"a newer kernel or firmware; reserved_regions of the group says what firmware "
          "wants"}},
    [SETUP_PEER] =
        {"peer-to-peer",
         {"a BAR of the device is not mapped"},
         "the line before it says which addresses were refused (give it to why, too). The "
         "guest goes on: only DMA of other devices to that BAR is lost",
         {NULL}},
};

const char *setup_word(enum vmm_setup setup)
{
    return setups[setup].word;
}

/* ---- what an errno means there ---- */

static const char hindered[] =
    "a device of the group has a driver that uses it, or another program has the group (Linux 5.19 "
    "and later)";
static const char unsafe[] =
    "interrupts are not remapped, and allow_unsafe_interrupts (of vfio_iommu_type1, or iommufd) is "
    "not set";
static const char direct[] =
    "firmware demands a direct region for a device of the group (Linux 6.6 and later)";

static const struct {
    enum vmm_setup setup;
    int error;
    const char *words;
} causes[] = {
    {SETUP_OPEN, 2, "no device of the group has a driver of VFIO: the file is there once one has"},
    {SETUP_OPEN, 13,
     "the file belongs to root: let the user of the VMM have it (a rule of udev; libvirt does it "
     "itself)"},
    {SETUP_OPEN, 1,
     "a cgroup of devices, or a security module, forbids the file; or the group is without an "
     "IOMMU, and the program without CAP_SYS_RAWIO"},
    {SETUP_OPEN, 16,
     "another program has the group, which is one program's at a time: another guest, or the same "
     "one, started twice"},
    {SETUP_OPEN, 19, "the last device of the group has just lost its driver of VFIO"},
    {SETUP_CONTAINER, 2, "the module vfio is not loaded (modprobe vfio-pci)"},
    {SETUP_CONTAINER, 13, "the user of the VMM may not open it"},
    {SETUP_CONTAINER, 1, "a cgroup of devices, or a security module, forbids the file"},
    {SETUP_CONTAINER, 19, "the kernel was built without VFIO's containers, or without the module"},
    {SETUP_IOMMUFD, 2, "the module iommufd is not loaded, or the kernel is older than 6.2"},
    {SETUP_IOMMUFD, 13, "the user of the VMM may not open it"},
    {SETUP_IOMMUFD, 1, "a cgroup of devices, or a security module, forbids the file"},
    {SETUP_CDEV, 2,
     "the device has no driver of VFIO; or the kernel is older than 6.6, or was built without "
     "CONFIG_VFIO_DEVICE_CDEV"},
    {SETUP_CDEV, 13, "the user of the VMM may not open it"},
    {SETUP_CDEV, 1, "a cgroup of devices, or a security module, forbids the file"},
    {SETUP_IOMMU, 1, unsafe},
    {SETUP_IOMMU, 1,
     "Intel, before Linux 6.6: firmware demands a direct region for a device of the group"},
    {SETUP_IOMMU, 5, "no IOMMU translates for the device: its driver gave VFIO no tables"},
    {SETUP_IOMMU, 22, direct},
    {SETUP_IOMMU, 22, "the container has no group, or an IOMMU already"},
    {SETUP_IOMMU, 19, "the module vfio_iommu_type1 is not loaded"},
    {SETUP_JOIN, 1, hindered},
    {SETUP_JOIN, 16, hindered},
    {SETUP_JOIN, 22, "the group is in a container already: it was opened twice"},
    {SETUP_JOIN, 22,
     "the container has other devices, and maps what this group reserves, or what is beyond its "
     "width"},
    {SETUP_JOIN, 22, direct},
    {SETUP_DEVICE, 19, "that device has no driver of VFIO, though another one of its group has"},
    {SETUP_DEVICE, 16, "another program has the device"},
    {SETUP_DEVICE, 22, "the group is in no container"},
    {SETUP_DEVICE, 1, hindered},
    {SETUP_DEVICE, 5, "the device, or the driver of a mediated one, did not start: see dmesg"},
    {SETUP_BIND, 1, hindered},
    {SETUP_BIND, 1, unsafe},
    {SETUP_BIND, 16, hindered},
    {SETUP_BIND, 22, "the IOMMU does not keep caches coherent for the device"},
    {SETUP_BIND, 19, "the device is in no group: no IOMMU translates for it"},
    {SETUP_DRIVER, 19,
     "vfio-pci was not told to take the device: driverctl set-override does it, or its ids"},
    {SETUP_DRIVER, 16, "the device has another driver, which has to give it up"},
    {SETUP_DRIVER, 22, "the device is in no group: no IOMMU translates for it"},
    {SETUP_ATTACH, 22, direct},
    {SETUP_ATTACH, 22, "another device of its group is in another address space"},
    {SETUP_ATTACH, 22, "what is mapped there is beyond the width of its IOMMU"},
    {SETUP_ATTACH, 98, "something is mapped there where the device reserves addresses"},
};

static void add_causes(struct setup_answer *answer, const struct vmm_line *line)
{
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        if (causes[i].setup != line->setup || (line->error != 0 && causes[i].error != line->error))
            continue;
        add_words(&answer->causes, &answer->cause_count,
                  line->error != 0
                      ? causes[i].words
                      : text("%s: %s", vmm_line_error_name(causes[i].error), causes[i].words));
    }
}

/* ---- the heading ---- */

static const char *group_words(const struct vmm_line *line)
{
    return *line->group != '\0' ? text("group %s", line->group) : "the group";
}

static const char *pages(uint64_t size)
{
    return size_text((struct iovageom_size){0, size});
}

/* The heading with the two numbers of a line. */
static const char *numbered(const struct vmm_line *line)
{
    const unsigned long long asked = line->asked, given = line->given;

    switch (line->setup) {
    case SETUP_AW_BITS:
        return text("the virtual IOMMU has %llu bits, and the host's has %llu", asked, given);
    case SETUP_PHYS_BITS:
        return text("the guest needs addresses up to 0x%llx, and its CPU has %llu bits", asked,
                    given);
    case SETUP_GRANULE:
        return text("the virtual IOMMU maps %s at least, and the guest's kernel has pages of %s",
                    pages(asked), pages(given));
    default:
        return text("the virtual IOMMU has pages of %s, and the host of the device %s",
                    page_sizes_text(asked), page_sizes_text(given));
    }
}

const char *setup_heading(const struct vmm_line *line)
{
    const char *const *said = setups[line->setup].said;

    if (line->asked != 0 && line->given != 0)
        return numbered(line);
    if (line->setup == SETUP_TWICE && line->asked != 0)
        return text("the kernel maps 0x%llx, where it has a mapping",
                    (unsigned long long)line->asked);
    return said[1] != NULL ? text("%s%s%s", said[0], group_words(line), said[1]) : said[0];
}

/* ---- what this host has to do with it ---- */

static void found(struct setup_answer *answer, const char *words)
{
    add_words(&answer->found, &answer->found_count, words);
}

/* "0000:00:1f.4 has the driver i801_smbus, ..." */
static const char *drivers_text(const struct group *group)
{
    struct buffer words = {NULL, 0, 0};
    size_t count = 0, unknown = 0;

    for (size_t i = 0; i < group->device_count; i++) {
        const struct device *device = group->devices[i];

        unknown += device->driver == NULL ? 1 : 0;
        if (!device_hinders(device))
            continue;
        if (count++ < MOST_FOUND)
            buffer_add(&words, "%s%s has the driver %s", words.length != 0 ? ", " : "",
                       device->address, device->driver);
    }
    if (count > MOST_FOUND)
        buffer_add(&words, ", and %zu more", count - MOST_FOUND);
    if (count != 0)
        return buffer_text(&words);
    return unknown != 0 || group->device_count == 0
               ? "which drivers its devices have is not known here (lspci -nnk says it)"
               : "each of its devices has a driver of VFIO here, or none";
}

/* Whether a line is after one group, or after its device's, and this host has that. */
static bool is_found(const struct asked *asked, const struct question *question)
{
    return question->device != NULL || question->group != NULL || asked->count == 1;
}

/* Whether it names one that this host has not. */
static bool is_elsewhere(const struct question *question)
{
    return question->device == NULL && question->group == NULL &&
           (*question->line.device != '\0' || *question->line.group != '\0');
}

/* Who has the devices of the group that is meant; where none is, of those that could be. */
static void find_drivers(struct setup_answer *answer, const struct asked *asked,
                         const struct question *question)
{
    const bool named = is_found(asked, question);
    size_t count = 0;

    if (is_elsewhere(question))
        return;

    for (size_t i = 0; i < asked->count; i++) {
        const struct verdict *verdict = &asked->verdicts[i];
        const struct group *group = verdict->group;

        if (!answer_wanted(verdict, question) || (!named && verdict->hinder_count == 0))
            continue;
        if (count++ >= MOST_FOUND)
            continue;
        found(answer,
              text("group %s (%s): %s", group->name, answer_devices(group), drivers_text(group)));
        if (named) {
            struct advice advice = advise(&asked->host, verdict);

            for (size_t k = 0; k < advice.remedy_count && (advice.outcome == OUTCOME_BIND ||
                                                           advice.outcome == OUTCOME_NOT_VIABLE);
                 k++)
                add_words(&answer->todo, &answer->todo_count, advice.remedies[k]);
        }
    }
    if (count > MOST_FOUND)
        found(answer, text("and %zu groups more", count - MOST_FOUND));
}

/* The off switch, if the text says it. */
static void find_switch(struct setup_answer *answer, const struct asked *asked,
                        const struct question *question)
{
    static const char off[] = "the IOMMU is off";

    for (size_t i = 0; i < asked->count; i++) {
        const struct group *group = asked->verdicts[i].group;

        for (size_t k = 0; k < group->said_count; k++) {
            if (strncmp(group->said[k], off, strlen(off)) == 0)
                add_words_once(&answer->found, &answer->found_count, group->said[k]);
        }
    }
    if (question->device != NULL && question->device->group != NULL &&
        strcmp(question->device->group, ANY_GROUP) != 0)
        found(answer,
              text("here %s is in group %s", question->device->address, question->device->group));
}

/* Firmware's direct regions are a reason for several of them. */
static void find_direct(struct setup_answer *answer, const struct asked *asked,
                        const struct question *question)
{
    for (size_t i = 0; i < asked->count; i++) {
        const struct verdict *verdict = &asked->verdicts[i];

        if (is_found(asked, question) && answer_wanted(verdict, question) && !verdict->assignable)
            found(answer, text("group %s (%s): %s", verdict->group->name,
                               answer_devices(verdict->group), direct_reason(verdict)));
    }
}

static uint64_t pages_of(const struct verdict *verdict)
{
    uint64_t mask = 0;

    (void)iovageom_geometry_page_sizes(verdict->geometry, &mask);
    return mask;
}

/* Groups of the same width, or of the same pages, in one line. */
static void find_geometry(struct setup_answer *answer, const struct asked *asked,
                          const struct question *question, bool widths)
{
    bool *done = keep(asked->count);

    for (size_t i = 0; i < asked->count; i++) {
        const struct verdict *first = &asked->verdicts[i];
        bool *with;
        size_t count = 0;

        if (done[i])
            continue;
        with = keep(asked->count);
        for (size_t k = i; k < asked->count; k++) {
            const struct verdict *verdict = &asked->verdicts[k];

            with[k] =
                answer_wanted(verdict, question) && verdict->judged && !verdict->no_iommu &&
                (widths ? verdict->knows_width && first->knows_width && verdict->bits == first->bits
                        : pages_of(verdict) != 0 && pages_of(verdict) == pages_of(first));
            done[k] = done[k] || with[k];
            count += with[k] ? 1 : 0;
        }
        if (count == 0)
            continue;
        found(answer, text("group%s %s: %s", count == 1 ? "" : "s",
                           group_names(asked->verdicts, with, asked->count),
                           widths ? text("%u bits", first->bits)
                                  : text("pages of %s", page_sizes_text(pages_of(first)))));
    }
}

/* What to tell QEMU: the widths that its VT-d has, and any width for virtio-iommu. */
static void add_width(struct setup_answer *answer, uint64_t bits)
{
    if (bits < 32 || bits > 64)
        return;
    if (bits >= 39)
        add_words(&answer->todo, &answer->todo_count,
                  text("QEMU -device intel-iommu,aw-bits=%u; libvirt <iommu model='intel'><driver "
                       "aw_bits='%u'/></iommu>",
                       bits >= 48 ? 48 : 39, bits >= 48 ? 48 : 39));
    add_words(&answer->todo, &answer->todo_count,
              text("QEMU -device virtio-iommu-pci,aw-bits=%u (since 9.0)", (unsigned)bits));
}

struct setup_answer setup_answer(const struct asked *asked, const struct question *question)
{
    const struct vmm_line *line = &question->line;
    struct setup_answer answer = {.found = NULL};

    switch (line->setup) {
    case SETUP_VIABLE:
    case SETUP_DEVICE:
    case SETUP_JOIN:
    case SETUP_BIND:
    case SETUP_OPEN:
    case SETUP_CDEV:
    case SETUP_DRIVER:
    case SETUP_RESET:
        find_drivers(&answer, asked, question);
        break;
    case SETUP_NO_GROUP:
        find_switch(&answer, asked, question);
        break;
    case SETUP_AW_BITS:
    case SETUP_PHYS_BITS:
    case SETUP_DMA_MASK:
        find_geometry(&answer, asked, question, true);
        break;
    case SETUP_GRANULE:
    case SETUP_MASK:
        find_geometry(&answer, asked, question, false);
        break;
    default:
        break;
    }
    if (line->setup == SETUP_IOMMU || line->setup == SETUP_JOIN || line->setup == SETUP_ATTACH)
        find_direct(&answer, asked, question);
    if (answer.found_count == 0 &&
        (line->setup == SETUP_VIABLE || (line->setup == SETUP_OPEN && line->error == 2)))
        add_words(&answer.todo, &answer.todo_count,
                  "give every device of the group to vfio-pci: driverctl set-override ADDRESS "
                  "vfio-pci (lspci -nnk says which drivers they have)");
    if (line->setup == SETUP_AW_BITS)
        add_width(&answer, line->given);
    if (setups[line->setup].means != NULL)
        add_words(&answer.means, &answer.means_count, setups[line->setup].means);
    for (size_t i = 0; i < 2 && setups[line->setup].todo[i] != NULL; i++)
        add_words(&answer.todo, &answer.todo_count, setups[line->setup].todo[i]);
    add_causes(&answer, line);
    return answer;
}

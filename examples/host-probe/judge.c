/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge.h"

#include <string.h>

#include <iovageom/host_iommufd.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_vfio.h>
#include <iovageom/status.h>

#include "meaning.h"
#include "regions.h"

#define PAGE_4K     4096
#define MOST_HINDER 8 /* that are named */

static const struct iovageom_range everything = {0, UINT64_MAX};

/* A file that says what can't be. */
static void blame(struct verdict *verdict, const struct blob *blob, int status)
{
    fault(&verdict->faults, "%s: %s", blob->path, iovageom_status_string(status));
}

static void note(const char ***notes, size_t *count, const char *words)
{
    add_words(notes, count, words);
}

static struct iovageom_geometry *geometry_of(const struct group *group)
{
    struct iovageom_geometry *geometry;
    const char *name =
        group->device_count == 1 ? group->devices[0]->address : text("group %s", group->name);

    if (strlen(name) >= IOVAGEOM_NAME_SIZE)
        name = "group";
    must(iovageom_geometry_new(&lasting, name, &geometry));
    return geometry;
}

/* What one source said, as far as it can be shown in numbers. */
static void add_statement(struct verdict *verdict, const char *source,
                          const struct iovageom_geometry *said, bool counts)
{
    struct statement *statement;

    verdict->statements =
        keep_grown(verdict->statements, verdict->statement_count, sizeof(*verdict->statements));
    statement = &verdict->statements[verdict->statement_count++];
    *statement = (struct statement){.source = source, .counts = counts};
    if (iovageom_geometry_gaw(said, &statement->bits) == IOVAGEOM_OK) {
        statement->has_aperture = true;
        must(iovageom_range_from_gaw(statement->bits, &statement->aperture));
    }
    statement->has_page_sizes =
        iovageom_geometry_page_sizes(said, &statement->page_sizes) == IOVAGEOM_OK;
    statement->has_alignment =
        iovageom_geometry_alignment(said, &statement->alignment) == IOVAGEOM_OK;
    statement->has_budget = iovageom_geometry_map_budget(said, &statement->budget) == IOVAGEOM_OK;
}

/* Takes what a source said into the result. */
static void take(struct verdict *verdict, const char *source, struct iovageom_geometry *said)
{
    add_statement(verdict, source, said, true);
    must(iovageom_geometry_narrow(verdict->geometry, said));
}

static void read_sysfs(struct verdict *verdict, bool lenient)
{
    struct regions_read read = regions_read(verdict->group, lenient, verdict->geometry);

    verdict->doubtful = read.doubtful;
    faults_join(&verdict->faults, &read.faults);
    verdict->assignable = verdict->assignable && !read.direct;
    for (size_t i = 0; i < read.note_count; i++)
        note(&verdict->notes, &verdict->note_count, read.notes[i]);
}

static void read_vfio(struct verdict *verdict)
{
    const struct blob *blob = &verdict->group->answers.vfio;
    struct iovageom_geometry *said;
    size_t needed = 0;
    int status;

    if (!blob->there)
        return;
    said = geometry_of(verdict->group);
    status = iovageom_host_vfio_info(blob->bytes, blob->length, &needed, said);
    if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
        fault(&verdict->faults, "%s: %s: it has %zu bytes of %zu", blob->path,
              iovageom_status_string(status), blob->length, needed);
    else if (status != IOVAGEOM_OK)
        blame(verdict, blob, status);
    else
        take(verdict, "VFIO", said);
}

static void read_iommufd(struct verdict *verdict)
{
    const struct answers *answers = &verdict->group->answers;
    struct iovageom_geometry *said;
    size_t needed = 0;
    int status;

    if (!answers->attached_header.there)
        return;
    said = geometry_of(verdict->group);
    status = iovageom_host_iommufd_ranges(
        answers->attached_header.bytes, answers->attached_header.length,
        answers->attached_ranges.bytes, answers->attached_ranges.length, &needed, said);
    if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
        fault(&verdict->faults, "%s: it has %zu bytes, where %s speaks of %zu",
              answers->attached_ranges.path, answers->attached_ranges.length,
              answers->attached_header.path, needed);
    else if (status == IOVAGEOM_ERR_INVERTED)
        blame(verdict, &answers->attached_ranges, status);
    else if (status != IOVAGEOM_OK)
        blame(verdict, &answers->attached_header, status);
    else
        take(verdict, "iommufd", said);
}

/* ---- registers ---- */

/* The attribute of an IOMMU, without blanks and line ends behind it. */
static struct blob register_of(const struct unit *unit, const char *name)
{
    struct blob blob = unit_attribute(unit, name);

    while (blob.there && blob.length > 0 && strchr(" \t\r\n", blob.bytes[blob.length - 1]) != NULL)
        blob.length--;
    return blob;
}

/* What is in the register file of an IOMMU; false when it says nothing. */
static bool read_register(const struct unit *unit, const char *name, uint64_t *value,
                          struct faults *faults)
{
    struct blob blob = register_of(unit, name);
    int status;

    if (!blob.there)
        return false;
    status = iovageom_host_sysfs_register((const char *)blob.bytes, blob.length, value);
    if (status != IOVAGEOM_OK)
        fault(faults, "%s: %s: %s; a register is \"d2008c40660462\"", blob.path,
              iovageom_status_string(status), quoted((const char *)blob.bytes, blob.length));
    return status == IOVAGEOM_OK;
}

static bool amd_unit_limits(const struct iovageom_geometry *known, const struct unit *unit,
                            struct iovageom_host_limits *limits, struct faults *faults)
{
    struct blob blob = register_of(unit, "features");
    uint64_t efr, vasize;
    int status;

    if (!blob.there)
        return false;
    status = iovageom_host_sysfs_amd_features((const char *)blob.bytes, blob.length, &efr, NULL);
    if (status == IOVAGEOM_ERR_UNKNOWN)
        return false;
    if (status != IOVAGEOM_OK) {
        fault(faults, "%s: %s: %s; features are \"246577efa2254afa:1d\"", blob.path,
              iovageom_status_string(status), quoted((const char *)blob.bytes, blob.length));
        return false;
    }
    /* The specification has 32, 40, 48 and 64 bits. */
    if (!read_register(unit, "vasize", &vasize, faults) || vasize < 32 || vasize > 64)
        vasize = 0;
    return meaning_of_amd(known, efr, unit_attribute(unit, "pgtbl_v2").there, (unsigned)vasize,
                          limits);
}

static bool read_unit(const struct iovageom_geometry *known, const struct unit *unit,
                      struct iovageom_host_limits *limits, struct faults *faults)
{
    uint64_t cap, ecap;
    bool whole;

    faults_join(faults, &unit->faults);
    if (strncmp(unit->name, "dmar", 4) != 0 || !unit_attribute(unit, "cap").there)
        return amd_unit_limits(known, unit, limits, faults);
    if (!read_register(unit, "cap", &cap, faults))
        return false;
    whole = read_register(unit, "ecap", &ecap, faults);
    return meaning_of_vtd(known, cap, whole ? &ecap : NULL, limits);
}

/* What an IOMMU can do; where nothing is known to hold it against, that is the same for all
 * groups. */
static bool unit_limits(const struct iovageom_geometry *known, const struct unit *unit,
                        struct iovageom_host_limits *limits, struct faults *faults)
{
    struct unit_meaning *meaning = unit->meaning;
    unsigned bits;

    if (iovageom_geometry_gaw(known, &bits) == IOVAGEOM_OK)
        return read_unit(known, unit, limits, faults);
    if (!meaning->looked_up)
        meaning->good = read_unit(known, unit, &meaning->limits, &meaning->faults);
    meaning->looked_up = true;
    faults_join(faults, &meaning->faults);
    *limits = meaning->limits;
    return meaning->good;
}

static bool serves(const struct unit *unit, const struct group *group)
{
    bool known = unit->devices != NULL;

    for (size_t i = 0; i < group->device_count; i++) {
        const struct device *device = group->devices[i];

        known = known || device->unit != NULL;
        if (device->unit != NULL && strcmp(device->unit, unit->name) == 0)
            return true;
    }
    return !known;
}

static void take_limits(struct verdict *verdict, const struct iovageom_host_limits *limits,
                        const char *source, bool counts, struct iovageom_geometry *checked)
{
    struct iovageom_geometry *said = geometry_of(verdict->group);

    must(iovageom_host_limits_add(limits, said));
    must(iovageom_geometry_narrow(checked, said));
    add_statement(verdict, source, said, counts);
    if (counts)
        must(iovageom_geometry_narrow(verdict->geometry, said));
}

static void read_hw_info(struct verdict *verdict, bool counts, struct iovageom_geometry *checked)
{
    const struct answers *answers = &verdict->group->answers;
    struct iovageom_host_limits limits;
    struct iovageom_hw_info info;
    int status;

    if (!answers->hw_header.there)
        return;
    verdict->has_registers = verdict->has_registers || answers->hw_data.length != 0;
    status = iovageom_host_iommufd_hw_info(answers->hw_header.bytes, answers->hw_header.length,
                                           answers->hw_data.bytes, answers->hw_data.length, &info);
    if (status != IOVAGEOM_OK) {
        blame(verdict, &answers->hw_header, status);
        return;
    }
    if ((info.knows & IOVAGEOM_HW_INFO_VTD_CAP) != 0 &&
        meaning_of_vtd(verdict->geometry, info.vtd_cap,
                       (info.knows & IOVAGEOM_HW_INFO_VTD_ECAP) != 0 ? &info.vtd_ecap : NULL,
                       &limits))
        take_limits(verdict, &limits, "VT-d registers by iommufd", counts, checked);
    if ((info.knows & IOVAGEOM_HW_INFO_SMMUV3_IDR) != 0 &&
        meaning_of_smmuv3(verdict->geometry, info.smmuv3_idr, &limits))
        take_limits(verdict, &limits, "SMMUv3 registers by iommufd", counts, checked);
    if ((info.knows & IOVAGEOM_HW_INFO_AMD_EFR) != 0 &&
        meaning_of_amd(verdict->geometry, info.amd_efr, false, 0, &limits))
        take_limits(verdict, &limits, "AMD-Vi registers by iommufd", counts, checked);
}

/*
 * Registers count where the kernel did not say what it maps. Where it did, its word is what a
 * mapping will be measured against, and they are only checked against it.
 */
static void read_registers(const struct host *host, struct verdict *verdict, bool counts)
{
    struct iovageom_geometry *checked, *known;
    struct iovageom_report report;

    must(iovageom_geometry_copy(verdict->geometry, &checked));
    must(iovageom_geometry_copy(verdict->geometry, &known));
    for (size_t i = 0; i < host->unit_count; i++) {
        const struct unit *unit = &host->units[i];
        struct iovageom_host_limits limits;

        if (!serves(unit, verdict->group))
            continue;
        verdict->has_registers = verdict->has_registers || unit->attribute_count != 0;
        if (!unit_limits(known, unit, &limits, &verdict->faults))
            continue;
        take_limits(verdict, &limits,
                    text("%s of %s", iovageom_source_string((enum iovageom_source)limits.source),
                         unit->name),
                    counts, checked);
        if (counts && limits.source == IOVAGEOM_SOURCE_VTD_REGISTERS &&
            !unit_attribute(unit, "ecap").there)
            note(&verdict->notes, &verdict->note_count,
                 text("the register ecap of %s is not there: which stages it has is not known, and "
                      "the first has one bit less",
                      unit->name));
    }
    read_hw_info(verdict, counts, checked);
    iovageom_report_init(&report, &lasting);
    (void)iovageom_geometry_check(checked, &report);
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        char sentence[512];

        (void)iovageom_finding_text(iovageom_report_at(&report, i), sentence, sizeof(sentence));
        note(&verdict->notes, &verdict->note_count, text("%s", sentence));
    }
}

/* ---- the result ---- */

static struct iovageom_range *array_of(const struct iovageom_rangeset *set, size_t *count)
{
    struct iovageom_range *array;

    *count = iovageom_rangeset_count(set);
    array = keep((*count + 1) * sizeof(*array));
    must(iovageom_rangeset_to_array(set, array, *count, count));
    return array;
}

/* What is usable, apart by whether somebody vouches for it. */
static void part_usable(struct verdict *verdict)
{
    struct iovageom_range known = {0, 0};
    struct iovageom_range above = everything;
    struct iovageom_rangeset all, part;
    bool vouched = iovageom_geometry_known_range(verdict->geometry, &known) == IOVAGEOM_OK;

    must(iovageom_rangeset_init(&all, &lasting));
    must(iovageom_rangeset_init(&part, &lasting));
    must(iovageom_geometry_usable(verdict->geometry, 1, &all));
    if (vouched)
        must(iovageom_rangeset_clip(&part, &all, known));
    verdict->usable = array_of(&part, &verdict->usable_count);
    iovageom_rangeset_clear(&part);
    if (!vouched || iovageom_range_above(known, &above))
        must(iovageom_rangeset_clip(&part, &all, above));
    verdict->unknown = array_of(&part, &verdict->unknown_count);
}

static void resolve(struct verdict *verdict)
{
    struct iovageom_region *regions;
    size_t count = 0;

    (void)iovageom_geometry_regions(verdict->geometry, NULL, 0, &count);
    regions = keep((count + 1) * sizeof(*regions));
    must(iovageom_geometry_regions(verdict->geometry, regions, count, &count));
    verdict->reserved = keep((count + 1) * sizeof(*verdict->reserved));
    verdict->reserved_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct iovageom_owner *owner =
            iovageom_geometry_owner(verdict->geometry, regions[i].owner);

        verdict->reserved[i] =
            (struct reserved){regions[i].range, (enum iovageom_resv_type)regions[i].type,
                              iovageom_source_string((enum iovageom_source)owner->source)};
    }
    part_usable(verdict);
    if ((iovageom_geometry_knows(verdict->geometry) &
         (IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_USABLE)) != 0 &&
        iovageom_geometry_gaw(verdict->geometry, &verdict->bits) == IOVAGEOM_OK) {
        verdict->knows_width = true;
        must(iovageom_range_from_gaw(verdict->bits, &verdict->aperture));
    }
}

/* What the library says of the group as a whole: each finding of `kind` of a report. */
static size_t note_findings(const struct iovageom_report *report, uint32_t kind,
                            const char ***notes, size_t *count)
{
    size_t found = 0;

    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(report, i);
        char sentence[512];

        if (finding->kind != kind)
            continue;
        (void)iovageom_finding_text(finding, sentence, sizeof(sentence));
        note(notes, count, text("%s", sentence));
        found++;
    }
    return found;
}

/* What is said of all addresses: who can't be assigned, which windows may be the host's own. */
static void add_warnings(struct verdict *verdict)
{
    struct iovageom_report report;

    iovageom_report_init(&report, &lasting);
    (void)iovageom_geometry_explain(verdict->geometry, everything, &report);
    if (note_findings(&report, IOVAGEOM_FINDING_DIRECT, &verdict->notes, &verdict->note_count) != 0)
        verdict->assignable = false;
    (void)note_findings(&report, IOVAGEOM_FINDING_MSI_WINDOW, &verdict->notes,
                        &verdict->note_count);
}

/* Whose word is incomplete: a list in sysfs, or registers, of which kernels make different
 * things. */
static void add_incomplete(struct verdict *verdict)
{
    struct iovageom_report report;

    iovageom_report_init(&report, &lasting);
    (void)iovageom_geometry_explain(verdict->geometry, (struct iovageom_range){0, PAGE_4K - 1},
                                    &report);
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(&report, i);
        char sentence[512];

        if (finding->kind != IOVAGEOM_FINDING_INCOMPLETE)
            continue;
        (void)iovageom_finding_text(finding, sentence, sizeof(sentence));
        note(&verdict->notes, &verdict->note_count,
             finding->owner.source != IOVAGEOM_SOURCE_SYSFS ? text("%s", sentence)
             : (iovageom_geometry_knows(verdict->geometry) & IOVAGEOM_FACT_USABLE) != 0
                 ? "the list of reserved regions may be cut off, or was not read whole; what the "
                   "kernel maps counts"
                 : "the list of reserved regions may be cut off, or was not read whole: so it is "
                   "not known what is left");
    }
}

const char *width_doubt(const struct verdict *verdict)
{
    const struct answers *answers = &verdict->group->answers;

    return text("%s, and %s",
                answers->vfio.there || answers->attached_header.there
                    ? "the kernel was asked, but did not list what it maps"
                    : "VFIO and iommufd were not asked",
                verdict->has_registers ? "the registers do not tell" : "there are no registers");
}

static void add_doubts(struct verdict *verdict)
{
    uint32_t knows = iovageom_geometry_knows(verdict->geometry);

    if (verdict->usable_count == 0 && verdict->unknown_count == 0)
        note(&verdict->notes, &verdict->note_count, "no address is usable");
    else if (!verdict->knows_width)
        note(&verdict->notes, &verdict->note_count,
             text("the width is not known: %s", width_doubt(verdict)));
    if ((knows & IOVAGEOM_FACT_RESERVED) == 0)
        note(&verdict->notes, &verdict->note_count, "the reserved regions are not known");
    if ((knows & IOVAGEOM_FACT_INCOMPLETE) != 0)
        add_incomplete(verdict);
}

/*
 * A group may be assigned when no device of it is in other hands. Where it has one device, that it
 * must be given up first goes without saying.
 */
static void find_hindrances(struct verdict *verdict)
{
    const struct group *group = verdict->group;
    struct buffer words = {NULL, 0, 0};

    if (group->device_count < 2)
        return;
    for (size_t i = 0; i < group->device_count; i++) {
        const struct device *device = group->devices[i];

        if (!device_hinders(device))
            continue;
        verdict->hinder =
            keep_grown(verdict->hinder, verdict->hinder_count, sizeof(*verdict->hinder));
        verdict->hinder[verdict->hinder_count++] = device;
        if (verdict->hinder_count <= MOST_HINDER)
            buffer_add(&words, "%s%s has the driver %s", words.length != 0 ? ", " : "",
                       device->address, device->driver);
    }
    if (verdict->hinder_count > MOST_HINDER)
        buffer_add(&words, ", and %zu more", verdict->hinder_count - MOST_HINDER);
    if (verdict->hinder_count != 0)
        note(&verdict->notes, &verdict->note_count,
             text("not viable: no device of it can be assigned to a guest while %s: all devices of "
                  "a group must have vfio-pci, pci-stub or no driver (bridges aside)",
                  buffer_text(&words)));
}

/* A group of which nothing can be said: nothing is usable, and everything is unknown. */
static void leave_unknown(struct verdict *verdict)
{
    verdict->geometry = geometry_of(verdict->group);
    verdict->statement_count = 0;
    resolve(verdict);
}

static void judge_translated(const struct host *host, struct verdict *verdict,
                             const struct mode *mode)
{
    size_t before;
    bool asked;

    faults_join(&verdict->faults, &verdict->group->faults);
    for (size_t i = 0; i < verdict->group->said_count; i++)
        note(&verdict->notes, &verdict->note_count, verdict->group->said[i]);
    if (verdict->group->unsaid != 0)
        note(&verdict->notes, &verdict->note_count, group_unsaid(verdict->group));
    verdict->assignable = verdict->assignable && !verdict->group->direct;
    read_sysfs(verdict, mode->lenient);
    if (mode->has_software_msi)
        must(iovageom_geometry_add_software_msi(verdict->geometry, mode->software_msi,
                                                IOVAGEOM_SOURCE_SYSFS));
    read_vfio(verdict);
    read_iommufd(verdict);
    /* VFIO lists nothing before Linux 5.4, and where it has mediated devices alone. */
    asked = (iovageom_geometry_knows(verdict->geometry) & IOVAGEOM_FACT_USABLE) != 0;
    before = verdict->faults.count;
    verdict->judged = before == 0;
    read_registers(host, verdict, !asked);
    /* Registers that are only there to be checked against change nothing. */
    if (!asked && verdict->faults.count != before)
        verdict->judged = false;
    if (!verdict->judged) {
        leave_unknown(verdict);
        return;
    }
    resolve(verdict);
    add_warnings(verdict);
    add_doubts(verdict);
}

struct verdict judge(const struct host *host, const struct group *group, const struct mode *mode)
{
    struct verdict verdict = {.group = group, .geometry = geometry_of(group), .assignable = true};

    find_hindrances(&verdict);
    verdict.no_iommu = group_has_no_iommu(group);
    if (verdict.no_iommu) {
        faults_join(&verdict.faults, &group->faults);
        verdict.judged = true;
        note(&verdict.notes, &verdict.note_count,
             "no IOMMU (vfio-noiommu): nothing translates, so no address is limited and no memory "
             "of the host is protected; there is nothing that a virtual IOMMU could keep to");
    } else {
        judge_translated(host, &verdict, mode);
    }
    return verdict;
}

struct verdict judge_together(const struct verdict *const *verdicts, size_t count)
{
    struct verdict all = {.judged = true, .assignable = true};

    must(iovageom_geometry_new(&lasting, "all of them", &all.geometry));
    for (size_t i = 0; i < count; i++) {
        must(iovageom_geometry_narrow(all.geometry, verdicts[i]->geometry));
        all.judged = all.judged && verdicts[i]->judged;
        all.assignable = all.assignable && verdicts[i]->assignable;
        all.no_iommu = all.no_iommu || verdicts[i]->no_iommu;
    }
    resolve(&all);
    return all;
}

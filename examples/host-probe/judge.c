/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge.h"

#include <string.h>

#include <iovageom/host_iommufd.h>
#include <iovageom/host_registers.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/host_vfio.h>
#include <iovageom/plan_probe.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#define PAGE_4K 4096

static const struct iovageom_range everything = {0, UINT64_MAX};

static void must(int status)
{
    if (status != IOVAGEOM_OK)
        die(EXIT_BAD_INPUT, "%s", iovageom_status_string(status));
}

static _Noreturn void refuse(const struct blob *blob, int status)
{
    die(EXIT_BAD_INPUT, "%s: %s", blob->path, iovageom_status_string(status));
}

static void note(const char ***notes, size_t *count, const char *words)
{
    *notes = keep_grown(*notes, *count, sizeof(**notes));
    (*notes)[(*count)++] = words;
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
    const struct blob *blob = &verdict->group->reserved_regions;
    size_t line = 0;
    int status;

    if (!blob->there)
        return;
    status = iovageom_host_sysfs_reserved_regions(
        (const char *)blob->bytes, blob->length,
        lenient ? IOVAGEOM_SYSFS_LENIENT : IOVAGEOM_SYSFS_STRICT, &line, verdict->geometry);
    if (status != IOVAGEOM_OK)
        die(EXIT_BAD_INPUT, "%s:%zu: %s (--lenient goes on)", blob->path, line,
            iovageom_status_string(status));
}

static bool read_vfio(struct verdict *verdict)
{
    const struct blob *blob = &verdict->group->answers.vfio;
    struct iovageom_geometry *said;
    size_t needed = 0;
    int status;

    if (!blob->there)
        return false;
    said = geometry_of(verdict->group);
    status = iovageom_host_vfio_info(blob->bytes, blob->length, &needed, said);
    if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
        die(EXIT_BAD_INPUT, "%s: %s: it has %zu bytes of %zu", blob->path,
            iovageom_status_string(status), blob->length, needed);
    if (status != IOVAGEOM_OK)
        refuse(blob, status);
    take(verdict, "VFIO", said);
    return true;
}

static bool read_iommufd(struct verdict *verdict)
{
    const struct answers *answers = &verdict->group->answers;
    struct iovageom_geometry *said;
    size_t needed = 0;
    int status;

    if (!answers->attached_header.there)
        return false;
    said = geometry_of(verdict->group);
    status = iovageom_host_iommufd_ranges(
        answers->attached_header.bytes, answers->attached_header.length,
        answers->attached_ranges.bytes, answers->attached_ranges.length, &needed, said);
    if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL)
        die(EXIT_BAD_INPUT, "%s: it has %zu bytes, where %s speaks of %zu",
            answers->attached_ranges.path, answers->attached_ranges.length,
            answers->attached_header.path, needed);
    if (status == IOVAGEOM_ERR_INVERTED)
        refuse(&answers->attached_ranges, status);
    if (status != IOVAGEOM_OK)
        refuse(&answers->attached_header, status);
    take(verdict, "iommufd", said);
    return true;
}

/* ---- registers ---- */

/* What is in the register file of an IOMMU; false when there is no such file. */
static bool read_register(const struct unit *unit, const char *name, uint64_t *value)
{
    struct blob blob = unit_attribute(unit, name);
    int status;

    if (!blob.there)
        return false;
    status = iovageom_host_sysfs_register((const char *)blob.bytes, blob.length, value);
    if (status != IOVAGEOM_OK)
        refuse(&blob, status);
    return true;
}

static bool amd_limits(const struct unit *unit, struct iovageom_host_limits *limits)
{
    struct blob blob = unit_attribute(unit, "features");
    uint64_t efr;
    int status;

    if (!blob.there)
        return false;
    status = iovageom_host_sysfs_amd_features((const char *)blob.bytes, blob.length, &efr, NULL);
    if (status == IOVAGEOM_ERR_UNKNOWN)
        return false;
    if (status != IOVAGEOM_OK)
        refuse(&blob, status);
    return iovageom_host_amd(efr, IOVAGEOM_STAGE_DEFAULT, limits) == IOVAGEOM_OK;
}

/*
 * Whether the kernel runs VT-d in scalable mode, sysfs does not tell. Where the kernel gave ranges,
 * the mode that fits them is taken, else the one that promises less.
 */
static bool vtd_limits(const struct verdict *verdict, uint64_t cap, uint64_t ecap,
                       struct iovageom_host_limits *limits)
{
    struct iovageom_host_limits modes[2];
    bool there[2];
    unsigned known = 0;

    for (int mode = 0; mode < 2; mode++)
        there[mode] = iovageom_host_vtd(cap, ecap, mode != 0, IOVAGEOM_STAGE_DEFAULT,
                                        &modes[mode]) == IOVAGEOM_OK;
    if (!there[0] && !there[1])
        return false;
    (void)iovageom_geometry_gaw(verdict->geometry, &known);
    if (!there[0] || !there[1])
        *limits = modes[there[0] ? 0 : 1];
    else if (modes[0].gaw == known || modes[1].gaw == known)
        *limits = modes[modes[0].gaw == known ? 0 : 1];
    else
        *limits = modes[modes[0].gaw <= modes[1].gaw ? 0 : 1];
    return true;
}

static bool unit_limits(const struct verdict *verdict, const struct unit *unit,
                        struct iovageom_host_limits *limits)
{
    uint64_t cap;
    uint64_t ecap = 0;

    if (strncmp(unit->name, "dmar", 4) == 0 && read_register(unit, "cap", &cap)) {
        (void)read_register(unit, "ecap", &ecap);
        return vtd_limits(verdict, cap, ecap, limits);
    }
    return amd_limits(unit, limits);
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
    status = iovageom_host_iommufd_hw_info(answers->hw_header.bytes, answers->hw_header.length,
                                           answers->hw_data.bytes, answers->hw_data.length, &info);
    if (status != IOVAGEOM_OK)
        refuse(&answers->hw_header, status);
    if ((info.knows & IOVAGEOM_HW_INFO_VTD_CAP) != 0 &&
        vtd_limits(verdict, info.vtd_cap, info.vtd_ecap, &limits))
        take_limits(verdict, &limits, "VT-d registers by iommufd", counts, checked);
    if ((info.knows & IOVAGEOM_HW_INFO_SMMUV3_IDR) != 0 &&
        iovageom_host_smmuv3(info.smmuv3_idr[0], info.smmuv3_idr[5], 0, 0, IOVAGEOM_STAGE_DEFAULT,
                             &limits) == IOVAGEOM_OK)
        take_limits(verdict, &limits, "SMMUv3 registers by iommufd", counts, checked);
}

/*
 * Registers count where the kernel was not asked, or could not be. Where it was, its word is what a
 * mapping will be measured against, and they are only checked against it.
 */
static void read_registers(const struct host *host, struct verdict *verdict, bool counts)
{
    struct iovageom_geometry *checked;
    struct iovageom_report report;

    must(iovageom_geometry_copy(verdict->geometry, &checked));
    for (size_t i = 0; i < host->unit_count; i++) {
        const struct unit *unit = &host->units[i];
        struct iovageom_host_limits limits;

        if (serves(unit, verdict->group) && unit_limits(verdict, unit, &limits))
            take_limits(verdict, &limits,
                        text("%s of %s",
                             iovageom_source_string((enum iovageom_source)limits.source),
                             unit->name),
                        counts, checked);
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

static void resolve(struct verdict *verdict)
{
    const struct iovageom_resv *resv = iovageom_geometry_resv(verdict->geometry);
    struct iovageom_region *regions;
    struct iovageom_rangeset usable;
    size_t count = 0;

    (void)iovageom_resv_resolve(resv, 1, NULL, 0, &count);
    regions = keep((count + 1) * sizeof(*regions));
    must(iovageom_resv_resolve(resv, 1, regions, count, &count));
    verdict->reserved = keep((count + 1) * sizeof(*verdict->reserved));
    verdict->reserved_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct iovageom_owner *owner = iovageom_resv_owner(resv, regions[i].owner);

        verdict->reserved[i] =
            (struct reserved){regions[i].range, (enum iovageom_resv_type)regions[i].type,
                              iovageom_source_string((enum iovageom_source)owner->source)};
    }
    must(iovageom_rangeset_init(&usable, &lasting));
    must(iovageom_geometry_usable(verdict->geometry, 1, &usable));
    verdict->usable_count = iovageom_rangeset_count(&usable);
    verdict->usable = keep((verdict->usable_count + 1) * sizeof(*verdict->usable));
    must(iovageom_rangeset_to_array(&usable, verdict->usable, verdict->usable_count,
                                    &verdict->usable_count));
}

static void add_doubts(struct verdict *verdict)
{
    uint32_t knows = iovageom_geometry_knows(verdict->geometry);

    if (verdict->usable_count == 0)
        note(&verdict->notes, &verdict->note_count, "no address is usable");
    else if (!verdict->knows_width)
        note(&verdict->notes, &verdict->note_count,
             "the width is not known: VFIO and iommufd were not asked, and there are no registers");
    if ((knows & IOVAGEOM_FACT_RESERVED) == 0)
        note(&verdict->notes, &verdict->note_count, "the reserved regions are not known");
    if ((knows & IOVAGEOM_FACT_INCOMPLETE) != 0)
        note(&verdict->notes, &verdict->note_count, "the list of reserved regions may be cut off");
}

struct verdict judge(const struct host *host, const struct group *group, bool lenient)
{
    struct verdict verdict = {.group = group, .geometry = geometry_of(group)};
    bool asked;

    read_sysfs(&verdict, lenient);
    asked = read_vfio(&verdict);
    asked = read_iommufd(&verdict) || asked;
    read_registers(host, &verdict, !asked);
    resolve(&verdict);
    if ((iovageom_geometry_knows(verdict.geometry) &
         (IOVAGEOM_FACT_APERTURE | IOVAGEOM_FACT_USABLE)) != 0 &&
        iovageom_geometry_gaw(verdict.geometry, &verdict.bits) == IOVAGEOM_OK) {
        verdict.knows_width = true;
        must(iovageom_range_from_gaw(verdict.bits, &verdict.aperture));
    }
    add_doubts(&verdict);
    return verdict;
}

static void choose_granule(const struct verdict *verdict, uint64_t granule, struct promise *promise)
{
    int status;

    promise->granule = granule;
    status = iovageom_geometry_promise_mask(verdict->geometry, granule, &promise->page_size_mask);
    if (status == IOVAGEOM_ERR_UNKNOWN) {
        promise->granule_assumed = granule == 0;
        if (granule == 0)
            promise->granule = PAGE_4K;
        promise->page_size_mask = ~(promise->granule - 1);
        return;
    }
    if (status == IOVAGEOM_ERR_ALIGNMENT)
        die(EXIT_USAGE, "pages of %s can't be mapped by group %s",
            size_text((struct iovageom_size){0, granule}), verdict->group->name);
    must(status);
    promise->granule = promise->page_size_mask & (~promise->page_size_mask + 1);
}

/* What the bytes are to be made from. */
static void make_list(const struct verdict *verdict, struct promise *promise)
{
    struct iovageom_region *regions;
    size_t count = 0;

    (void)iovageom_geometry_reserved(verdict->geometry, promise->granule, NULL, 0, &count);
    regions = keep((count + 2) * sizeof(*regions));
    must(iovageom_geometry_reserved(verdict->geometry, promise->granule, regions, count, &count));
    must(iovageom_virtio_wire_list(regions, count, iovageom_geometry_resv(verdict->geometry),
                                   everything, regions, count + 1, &promise->region_count));
    promise->regions = regions;
}

/* What the bytes say when they are read again. */
static void read_back(struct promise *promise)
{
    size_t count = 0;

    (void)iovageom_virtio_decode_probe(promise->bytes, promise->length, NULL, 0, &count);
    promise->decoded = keep((count + 1) * sizeof(*promise->decoded));
    must(iovageom_virtio_decode_probe(promise->bytes, promise->length, promise->decoded, count,
                                      &promise->decoded_count));
}

struct promise promise_for(const struct verdict *verdict, uint64_t granule, size_t probe_size)
{
    struct promise promise = {.input_range = everything};
    struct iovageom_probe_plan plan;
    struct iovageom_report report;

    choose_granule(verdict, granule, &promise);
    if (verdict->knows_width)
        promise.input_range = verdict->aperture;
    make_list(verdict, &promise);
    if (probe_size == 0)
        probe_size = SIZE_MAX;
    if (iovageom_plan_probe(promise.regions, promise.region_count, probe_size, NULL, 0, &plan,
                            NULL) != IOVAGEOM_OK)
        die(EXIT_USAGE, "a probe size of %zu bytes is too small for group %s: %zu is the least",
            probe_size, verdict->group->name, plan.minimum_bytes);
    promise.length = plan.bytes;
    promise.bytes = keep(promise.length + 1);
    iovageom_report_init(&report, &lasting);
    must(iovageom_plan_probe_encode(&lasting, verdict->geometry, promise.granule, everything,
                                    promise.bytes, promise.length, NULL, &report));
    for (size_t i = 0; i < iovageom_report_count(&report); i++) {
        char sentence[512];

        (void)iovageom_finding_text(iovageom_report_at(&report, i), sentence, sizeof(sentence));
        note(&promise.notes, &promise.note_count, text("%s", sentence));
    }
    if (promise.granule_assumed)
        note(&promise.notes, &promise.note_count,
             "the page sizes are not known: a granule of 4K is assumed");
    read_back(&promise);
    return promise;
}

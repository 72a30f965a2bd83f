/* SPDX-License-Identifier: BSD-3-Clause */

/* What a virtual IOMMU should tell a guest of a group. */

#include <stdio.h>
#include <string.h>

#include <iovageom/guest.h>
#include <iovageom/plan_probe.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "judge.h"

#define PAGE_4K 4096

static const struct iovageom_range everything = {0, UINT64_MAX};

static void note(const char ***notes, size_t *count, const char *words)
{
    add_words(notes, count, words);
}

/* Why a guest can't be told anything that holds, or NULL. */
static const char *refusal(const struct verdict *verdict)
{
    uint64_t granule;

    if (verdict->no_iommu)
        return "nothing translates for it";
    if (!verdict->judged)
        return "its files could not be read";
    if (iovageom_geometry_granule(verdict->geometry, &granule) == IOVAGEOM_ERR_NOTHING_USABLE)
        return "it maps pages of no size";
    if (verdict->unknown_count == 0)
        return NULL;
    return text(
        "it is not known whether %s can be mapped; give a device of it to vfio-pci, and ask "
        "the kernel",
        range_text(verdict->unknown[0]));
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
    must(iovageom_virtio_wire_list(regions, count, verdict->geometry, everything, regions,
                                   count + 1, &promise->region_count));
    promise->regions = regions;
}

/* What the bytes say when they are read again. */
static void read_back(struct promise *promise)
{
    size_t count = 0;

    (void)iovageom_guest_decode_probe(promise->bytes, promise->length, NULL, 0, &count);
    promise->decoded = keep((count + 1) * sizeof(*promise->decoded));
    must(iovageom_guest_decode_probe(promise->bytes, promise->length, promise->decoded, count,
                                     &promise->decoded_count));
}

struct promise promise_for(const struct verdict *verdict, uint64_t granule, size_t probe_size)
{
    struct promise promise = {.input_range = everything};
    struct iovageom_probe_plan plan;
    struct iovageom_report report;

    promise.refused = refusal(verdict);
    if (promise.refused != NULL)
        return promise;
    choose_granule(verdict, granule, &promise);
    if (!verdict->assignable)
        note(&promise.notes, &promise.note_count,
             "Linux 6.6 and later gives this group to no guest: it has direct regions");
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

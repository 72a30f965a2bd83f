/* SPDX-License-Identifier: BSD-3-Clause */
/* Geometries and the questions about them. */
#include "geometry/internal.h"
#include "complexity.h"
#include "../support/test_facts.h"

static struct iovageom_geometry *named(const char *name)
{
    struct iovageom_geometry *geometry;

    must(iovageom_geometry_new(NULL, name, &geometry) == 0);
    return geometry;
}

/* One owner with n regions, of two types in turns. */
static struct iovageom_geometry *many_regions(size_t n, uint64_t shift)
{
    struct iovageom_geometry *geometry = named("host");

    for (size_t i = 0; i < n; i++)
        must(iovageom_geometry_add_reserved(geometry,
                                            R(ordered(i).start + shift, ordered(i).last + shift),
                                            i % 2 == 0 ? IOVAGEOM_RESV_MSI : IOVAGEOM_RESV_RESERVED,
                                            IOVAGEOM_SOURCE_SYSFS) == 0);
    return geometry;
}

static void add_reserved(size_t n)
{
    start();
    struct iovageom_geometry *geometry = many_regions(n, 0);
    stop();
    iovageom_geometry_free(geometry);
}

static void add_usable(size_t n)
{
    struct iovageom_range *ranges = room(n, sizeof(*ranges));
    struct iovageom_geometry *geometry = named("host");

    for (size_t i = 0; i < n; i++)
        ranges[i] = scattered(i, n);
    start();
    must(iovageom_geometry_add_usable(geometry, ranges, n, IOVAGEOM_SOURCE_VFIO) == 0);
    stop();
    iovageom_geometry_free(geometry);
    free(ranges);
}

/* All questions that read a geometry once. */
static void ask(struct iovageom_geometry *geometry, size_t n)
{
    struct iovageom_region *regions = room(2 * n + 2, sizeof(*regions));
    struct iovageom_rangeset set;
    unsigned bits;
    size_t count;

    must(iovageom_rangeset_init(&set, NULL) == 0);
    must(iovageom_geometry_add_gaw(geometry, 63, IOVAGEOM_SOURCE_VFIO) == 0);
    start();
    must(iovageom_geometry_usable(geometry, PAGE, &set) == 0);
    must(iovageom_geometry_reserved(geometry, PAGE, regions, 2 * n + 2, &count) == 0);
    must(iovageom_geometry_regions(geometry, regions, 2 * n + 2, &count) == 0);
    must(iovageom_geometry_gaw(geometry, &bits) == 0 && bits == 63);
    stop();
    iovageom_rangeset_deinit(&set);
    iovageom_geometry_free(geometry);
    free(regions);
}

static void ask_regions(size_t n)
{
    ask(many_regions(n, 0), n);
}

static void ask_owners(size_t n)
{
    ask(many_owners(n), n);
}

/* Each owner's range goes on where that of the next one ended. */
static void gaw_staircase(size_t n)
{
    struct stream stream;
    struct iovageom_geometry *geometry;
    unsigned bits;

    stream_open(&stream, n * 64);
    for (size_t i = 0; i < n; i++) {
        const uint64_t numbers[] = {UINT64_MAX - (n - i) * PAGE + 1,
                                    UINT64_MAX - (n - i - 1) * PAGE};
        char name[24];

        snprintf(name, sizeof(name), "%08zu", i);
        stream_record(&stream, REGIONS + IOVAGEOM_RESV_RESERVED, 7, name, numbers, 2);
    }
    geometry = stream_load(&stream);
    must(iovageom_geometry_add_incomplete(geometry, IOVAGEOM_SOURCE_VFIO) == 0);
    must(iovageom_geometry_add_usable(geometry, (struct iovageom_range[]){ALL}, 1,
                                      IOVAGEOM_SOURCE_VFIO) == 0);
    start();
    must(iovageom_geometry_gaw(geometry, &bits) == 0);
    stop();
    iovageom_geometry_free(geometry);
}

static void compare(struct iovageom_geometry *a, struct iovageom_geometry *b)
{
    start();
    must(iovageom_geometry_equal(a, b));
    stop();
    iovageom_geometry_free(a);
    iovageom_geometry_free(b);
}

static void compare_regions(size_t n)
{
    compare(many_regions(n, 0), many_regions(n, 0));
}

static void compare_owners(size_t n)
{
    compare(many_owners(n), many_owners(n));
}

static void explain(struct iovageom_geometry *geometry)
{
    struct iovageom_report report;

    iovageom_report_init(&report, NULL);
    start();
    must(iovageom_geometry_explain(geometry, ALL, &report) < 0);
    stop();
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

static void explain_regions(size_t n)
{
    explain(many_regions(n, 0));
}

static void explain_owners(size_t n)
{
    explain(many_owners(n));
}

/* n apertures and n regions of one owner. */
static void explain_apertures(size_t n)
{
    struct stream stream;

    stream_open(&stream, n * 128);
    for (size_t i = 0; i < n; i++) {
        const uint64_t aperture[] = {i, UINT64_MAX - i};
        const uint64_t region[] = {ordered(i).start, ordered(i).last};

        stream_record(&stream, FACT + IOVAGEOM_FACT_APERTURE, 5, "x", aperture, 2);
        stream_record(&stream, REGIONS + IOVAGEOM_RESV_RESERVED, 5, "x", region, 2);
    }
    explain(stream_load(&stream));
}

/*
 * n names, of each a list of usable ranges and a width from registers; and one name with n masks,
 * n alignments and n regions.
 */
static void check(size_t n)
{
    struct stream stream;
    struct iovageom_geometry *geometry;
    struct iovageom_report report;

    stream_open(&stream, n * 640);
    for (size_t i = 0; i < n; i++) {
        const uint64_t zero[] = {0, 0}, width[] = {0, UINT64_MAX >> 1};
        const uint64_t mask[] = {UINT64_MAX << (i % 50), i};
        const uint64_t alignment[] = {UINT64_C(1) << (i % 40), 0};
        const uint64_t region[] = {ordered(i).start, ordered(i).last};
        char name[24];

        snprintf(name, sizeof(name), "%08zu", i);
        stream_record(&stream, FACT + IOVAGEOM_FACT_USABLE, IOVAGEOM_SOURCE_VFIO, name, zero, 2);
        stream_record(&stream, REGIONS + IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_VFIO, name, region,
                      2);
        stream_record(&stream, FACT + IOVAGEOM_FACT_APERTURE, IOVAGEOM_SOURCE_VTD_REGISTERS, name,
                      width, 2);
        stream_record(&stream, FACT + IOVAGEOM_FACT_USABLE, (uint32_t)i, "x", zero, 2);
        stream_record(&stream, FACT + IOVAGEOM_FACT_PAGE_SIZES, (uint32_t)i, "x", mask, 2);
        stream_record(&stream, FACT + IOVAGEOM_FACT_ALIGNMENT, (uint32_t)i, "x", alignment, 2);
        stream_record(&stream, REGIONS + IOVAGEOM_RESV_DIRECT, IOVAGEOM_SOURCE_SYSFS, "x", region,
                      2);
    }
    geometry = stream_load(&stream);
    iovageom_report_init(&report, NULL);
    start();
    must(iovageom_geometry_check(geometry, &report) == IOVAGEOM_ERR_DISAGREEMENT);
    stop();
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
}

/* n facts each, those of one between those of the other. */
static void meet(size_t n)
{
    struct iovageom_geometry *both[2], *met, *copy;

    for (size_t which = 0; which < 2; which++) {
        struct stream stream;

        stream_open(&stream, n * 128);
        for (size_t i = 0; i < n; i++) {
            const uint64_t numbers[] = {2 * i + which, 0};
            const uint64_t region[] = {ordered(i).start + which, ordered(i).last};
            char name[24];

            snprintf(name, sizeof(name), "%08zu", i);
            stream_record(&stream, FACT + IOVAGEOM_FACT_MAP_BUDGET, 5, "x", numbers, 2);
            stream_record(&stream, REGIONS + IOVAGEOM_RESV_RESERVED, 5 + (uint32_t)which, name,
                          region, 2);
        }
        both[which] = stream_load(&stream);
    }
    start();
    must(test_meet(both[0], both[1], "met", &met) == 0);
    must(iovageom_geometry_copy(met, &copy) == 0);
    stop();
    for (size_t which = 0; which < 2; which++)
        iovageom_geometry_free(both[which]);
    iovageom_geometry_free(met);
    iovageom_geometry_free(copy);
}

static void report(size_t n)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_RESERVED, IOVAGEOM_ERR_RESERVED);
    struct iovageom_report made;

    iovageom_report_init(&made, NULL);
    start();
    for (size_t i = 0; i < n; i++)
        iovageom_report_add(&made, &finding);
    stop();
    iovageom_report_deinit(&made);
}

/* ---- the wire ---- */

static void wire(struct iovageom_geometry *geometry, size_t n)
{
    uint8_t *bytes = room(4 * n + 8, IOVAGEOM_VIRTIO_RESV_MEM_SIZE);
    size_t size = (4 * n + 8) * IOVAGEOM_VIRTIO_RESV_MEM_SIZE, needed;
    struct iovageom_probe_plan plan;
    struct iovageom_report notes;

    iovageom_report_init(&notes, NULL);
    start();
    must(iovageom_virtio_encode_geometry(NULL, geometry, PAGE, ALL, bytes, size, &needed) == 0);
    must(iovageom_plan_probe_encode(NULL, geometry, PAGE, ALL, bytes, size / 8, &plan, &notes) ==
         0);
    stop();
    iovageom_report_deinit(&notes);
    iovageom_geometry_free(geometry);
    free(bytes);
}

static void wire_owners(size_t n)
{
    wire(many_owners(n), n);
}

static void wire_probe(size_t n)
{
    struct iovageom_region *list = room(n, sizeof(*list));
    struct iovageom_probe_plan plan;
    uint64_t at = 0;

    /* Gaps of different sizes. */
    for (size_t i = 0; i < n; i++, at += 1 + (i * 7919) % n)
        list[i] = (struct iovageom_region){R(at, at), IOVAGEOM_RESV_RESERVED, 0}, at++;
    start();
    must(iovageom_plan_probe(list, n, n / 2 * IOVAGEOM_VIRTIO_RESV_MEM_SIZE, list, n, &plan,
                             NULL) == 0);
    stop();
    must(plan.count == n / 2);
    free(list);
}

/* ---- the planners ---- */

static void envelope(size_t n)
{
    struct iovageom_geometry **hosts = room(n, sizeof(struct iovageom_geometry *)), *met;
    struct iovageom_envelope figures;
    struct iovageom_report notes;

    for (size_t i = 0; i < n; i++) {
        hosts[i] = named("host");
        for (size_t j = 0; j < 4; j++)
            must(iovageom_geometry_add_reserved(hosts[i], scattered(4 * i + j, 4 * n),
                                                IOVAGEOM_RESV_RESERVED,
                                                IOVAGEOM_SOURCE_SYSFS) == 0);
    }
    iovageom_report_init(&notes, NULL);
    start();
    must(iovageom_plan_envelope(NULL, (const struct iovageom_geometry *const *)hosts, n, "pool",
                                &figures, &met, &notes) == 0);
    stop();
    iovageom_report_deinit(&notes);
    iovageom_geometry_free(met);
    for (size_t i = 0; i < n; i++)
        iovageom_geometry_free(hosts[i]);
    free(hosts);
}

/* RAM of which n parts can't stay, and go into n holes that are all too small for two of them. */
static void layout_scatter(size_t n)
{
    struct iovageom_placement *out = room(2 * n, sizeof(*out));
    struct iovageom_geometry *geometry = named("host");
    struct iovageom_layout_plan plan;
    struct iovageom_piece piece = {.kind = IOVAGEOM_PIECE_RAM,
                                   .flags = IOVAGEOM_PIECE_MOVABLE | IOVAGEOM_PIECE_SPLITTABLE};
    uint64_t at = 0;

    /* Below, regions of two pages in RAM; above, holes of one page. */
    for (size_t i = 0; i < n; i++, at += 3 * PAGE)
        must(iovageom_geometry_add_reserved(geometry, R(at, at + 2 * PAGE - 1),
                                            IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_SYSFS) == 0);
    piece.range = R(0, at - 1);
    for (size_t i = 0; i < 2 * n; i++, at += 2 * PAGE)
        must(iovageom_geometry_add_reserved(geometry, R(at, at + PAGE - 1), IOVAGEOM_RESV_RESERVED,
                                            IOVAGEOM_SOURCE_SYSFS) == 0);
    piece.limits = R(0, at - 1);
    start();
    must(iovageom_plan_layout(NULL, geometry, PAGE, &piece, 1, out, 2 * n, &plan, NULL) < 0);
    stop();
    must(plan.placements == 2 * n && plan.stuck == 0);
    iovageom_geometry_free(geometry);
    free(out);
}

/* n pieces that can't stay, each with a place to go. */
static void layout_move(size_t n)
{
    struct iovageom_placement *out = room(n, sizeof(*out));
    struct iovageom_piece *pieces = room(n, sizeof(*pieces));
    struct iovageom_geometry *geometry = many_regions(n, 0);
    struct iovageom_layout_plan plan;

    for (size_t i = 0; i < n; i++)
        pieces[i] = (struct iovageom_piece){.range = scattered(i, n),
                                            .kind = IOVAGEOM_PIECE_BAR,
                                            .flags = IOVAGEOM_PIECE_MOVABLE,
                                            .alignment = PAGE,
                                            .limits = ALL};
    start();
    must(iovageom_plan_layout(NULL, geometry, PAGE, pieces, n, out, n, &plan, NULL) < 0);
    stop();
    must(plan.placements == n && plan.stuck == 0);
    iovageom_geometry_free(geometry);
    free(pieces);
    free(out);
}

/* n pieces, each within the one before, and all of them over n regions. */
static void layout_nested(size_t n)
{
    struct iovageom_piece *pieces = room(n, sizeof(*pieces));
    struct iovageom_geometry *geometry = many_regions(n, 0);
    struct iovageom_layout_plan plan;

    for (size_t i = 0; i < n; i++)
        pieces[i] =
            (struct iovageom_piece){.range = R(i * PAGE, ordered(n).last + (n - i) * PAGE - 1),
                                    .kind = IOVAGEOM_PIECE_RAM,
                                    .flags = IOVAGEOM_PIECE_MOVABLE,
                                    .alignment = PAGE,
                                    .limits = ALL};
    start();
    must(iovageom_plan_layout(NULL, geometry, PAGE, pieces, n, NULL, 0, &plan, NULL) < 0);
    stop();
    must(plan.placements == n && plan.stuck == 0);
    iovageom_geometry_free(geometry);
    free(pieces);
}

/* n doorbells that may stay where they are. */
static void layout_doorbells(size_t n)
{
    struct iovageom_piece *pieces = room(n, sizeof(*pieces));
    struct iovageom_geometry *geometry = many_owners(n);
    struct iovageom_layout_plan plan;

    must(iovageom_geometry_add_reserved(geometry, ALL, IOVAGEOM_RESV_MSI, IOVAGEOM_SOURCE_USER) ==
         0);
    for (size_t i = 0; i < n; i++)
        pieces[i] =
            (struct iovageom_piece){.range = ordered(i), .kind = IOVAGEOM_PIECE_MSI, .limits = ALL};
    start();
    must(iovageom_plan_layout(NULL, geometry, PAGE, pieces, n, NULL, 0, &plan, NULL) == 0);
    stop();
    iovageom_geometry_free(geometry);
    free(pieces);
}

/* A list of which each other gap is closed. */
static void cover(size_t n)
{
    struct iovageom_range *list = room(n, sizeof(*list)), *out = room(n, sizeof(*out));
    struct iovageom_size excess;
    uint64_t at = 0;
    size_t count;
    bool changed;

    for (size_t i = 0; i < n; i++, at += 1 + (i * 7919) % n)
        list[i] = R(at, at), at++;
    start();
    must(iovageom_plan_cover(list, n, 1, n / 2, list, n, &count, &excess) == 0 && count == n / 2);
    must(iovageom_plan_cover_change(list, count, R(at, at), true, 1, n / 2, out, n, &count,
                                    &changed) == 0);
    stop();
    must(changed && count == n / 2);
    free(list);
    free(out);
}

/* A bitmap of n words, and as many mappings in it, of which each has a page that is dirty. */
static void dirty(size_t n)
{
    struct iovageom_mapping *mappings = room(n, sizeof(*mappings));
    struct iovageom_range *out = room(n, sizeof(*out));
    uint64_t *words = room(n, sizeof(*words));
    const struct iovageom_dirty_bitmap bitmap = {words, 0, PAGE, 64 * n};
    size_t count;

    for (size_t i = 0; i < n; i++) {
        mappings[i] = (struct iovageom_mapping){R(i * 64 * PAGE, (i + 1) * 64 * PAGE - 1),
                                                (n - i) * 64 * PAGE, 3};
        words[i] = (uint64_t)1 << i % 64;
    }
    start();
    must(iovageom_plan_cover_dirty(mappings, n, &bitmap, out, n, &count) == 0 && count == n);
    stop();
    free(mappings);
    free(words);
    free(out);
}

const struct measure measures_of_facts[] = {
    {"geometry_add_reserved", "n times O(log n)", GROWTH_LINEAR_LOG, 4096, add_reserved},
    {"geometry_add_usable", "O(n log n)", GROWTH_LINEAR_LOG, 4096, add_usable},
    {"geometry: questions, n regions", "O(n log n)", GROWTH_LINEAR_LOG, 4096, ask_regions},
    {"geometry: questions, n owners", "O(n log n)", GROWTH_LINEAR_LOG, 4096, ask_owners},
    {"geometry_gaw, a staircase of owners", "O(n log n)", GROWTH_LINEAR_LOG, 4096, gaw_staircase},
    {"geometry_equal, _within, n regions", "O(n log n)", GROWTH_LINEAR_LOG, 4096, compare_regions},
    {"geometry_equal, _within, n owners", "O(n log n)", GROWTH_LINEAR_LOG, 2048, compare_owners},
    {"geometry_explain, n regions", "O(n log n)", GROWTH_LINEAR_LOG, 4096, explain_regions},
    {"geometry_explain, n owners", "O(n log n)", GROWTH_LINEAR_LOG, 4096, explain_owners},
    {"geometry_explain, n apertures", "O(n log n)", GROWTH_LINEAR_LOG, 2048, explain_apertures},
    {"geometry_check", "O(n log n)", GROWTH_LINEAR_LOG, 1024, check},
    {"geometry_narrow, _copy", "O(n log n)", GROWTH_LINEAR_LOG, 2048, meet},
    {"report_add", "n times O(1)", GROWTH_LINEAR, 4096, report},
    {"virtio_encode_geometry, plan_probe_encode", "O(n log n)", GROWTH_LINEAR_LOG, 2048,
     wire_owners},
    {"plan_probe", "O(64 n)", GROWTH_LINEAR, 4096, wire_probe},
    {"plan_envelope, _who", "O(n log n)", GROWTH_LINEAR_LOG, 1024, envelope},
    {"plan_layout, scattering", "O((pieces + k) log k)", GROWTH_LINEAR_LOG, 1024, layout_scatter},
    {"plan_layout, moving", "O((pieces + k) log k)", GROWTH_LINEAR_LOG, 1024, layout_move},
    {"plan_layout, nested", "O((pieces + k) log k)", GROWTH_LINEAR_LOG, 1024, layout_nested},
    {"plan_layout, doorbells", "O((pieces + k) log k)", GROWTH_LINEAR_LOG, 1024, layout_doorbells},
    {"plan_cover, _map", "O(64 n)", GROWTH_LINEAR, 4096, cover},
    {"plan_cover_dirty", "O(mappings + words + ranges)", GROWTH_LINEAR, 4096, dirty},
    {NULL, NULL, GROWTH_CONSTANT, 0, NULL},
};

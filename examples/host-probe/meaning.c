/* SPDX-License-Identifier: BSD-3-Clause */
#include "meaning.h"

#include <iovageom/status.h>

struct meanings {
    const struct iovageom_geometry *known;
    struct iovageom_host_limits best; /* of those that fit */
    struct iovageom_host_limits widest;
    struct iovageom_host_limits least;
    unsigned fit; /* 2: width and smallest page, 1: width alone */
};

static void consider(struct meanings *meanings, int status,
                     const struct iovageom_host_limits *limits)
{
    unsigned bits, fit;
    uint64_t page_sizes;

    if (status != IOVAGEOM_OK)
        return;
    if (limits->gaw > meanings->widest.gaw)
        meanings->widest = *limits;
    if (iovageom_geometry_gaw(meanings->known, &bits) != IOVAGEOM_OK || bits != limits->gaw)
        return;
    fit = iovageom_geometry_page_sizes(meanings->known, &page_sizes) == IOVAGEOM_OK &&
                  page_sizes == limits->page_sizes
              ? 2
              : 1;
    if (fit > meanings->fit) {
        meanings->fit = fit;
        meanings->best = *limits;
    }
}

/* What holds for every kernel, in one mode of several. */
static void consider_least(struct meanings *meanings, int status,
                           const struct iovageom_host_limits *limits)
{
    struct iovageom_host_limits *least = &meanings->least;

    if (status != IOVAGEOM_OK)
        return;
    if (least->gaw == 0) {
        *least = *limits;
        return;
    }
    least->depends |=
        limits->depends || limits->gaw != least->gaw || limits->page_sizes != least->page_sizes;
    if (limits->gaw < least->gaw)
        least->gaw = limits->gaw;
    least->page_sizes &= limits->page_sizes;
}

static bool choose(const struct meanings *meanings, struct iovageom_host_limits *limits)
{
    unsigned bits;

    if (meanings->least.gaw == 0)
        return false;
    *limits = meanings->least;
    if (meanings->fit != 0)
        *limits = meanings->best;
    else if (iovageom_geometry_gaw(meanings->known, &bits) == IOVAGEOM_OK &&
             bits > meanings->widest.gaw)
        *limits = meanings->widest;
    return true;
}

/* What is left below the limit of firmware, with the pages that newer kernels have then. */
static void limit(struct iovageom_host_limits *limits, unsigned vasize)
{
    if (vasize == 0 || vasize >= limits->gaw)
        return;
    limits->gaw = vasize;
    limits->page_sizes &= (UINT64_C(1) << (vasize - 1)) - 1;
    limits->depends = 1;
}

bool meaning_of_amd(const struct iovageom_geometry *known, uint64_t efr, bool v2, unsigned vasize,
                    struct iovageom_host_limits *limits)
{
    struct meanings meanings = {.known = known};
    struct iovageom_host_limits one;
    int status = iovageom_host_amd(efr, v2 ? IOVAGEOM_STAGE_FIRST : IOVAGEOM_STAGE_DEFAULT, 0,
                                   IOVAGEOM_LINUX_ANY, &one);

    /* What was asked of the kernel does not help where the IOMMU has no such tables. */
    if (v2 && status != IOVAGEOM_OK) {
        v2 = false;
        status = iovageom_host_amd(efr, IOVAGEOM_STAGE_DEFAULT, 0, IOVAGEOM_LINUX_ANY, &one);
    }
    if (!v2 && status == IOVAGEOM_OK)
        limit(&one, vasize);
    consider_least(&meanings, status, &one);
    for (uint32_t rules = IOVAGEOM_LINUX_6_1; rules <= IOVAGEOM_LINUX_7_3; rules++)
        for (unsigned levels = 4; levels <= 5; levels++) {
            status = iovageom_host_amd(efr, IOVAGEOM_STAGE_DEFAULT, levels, rules, &one);
            if (status == IOVAGEOM_OK && rules == IOVAGEOM_LINUX_7_3)
                limit(&one, vasize);
            consider(&meanings, status, &one);
            status = iovageom_host_amd(efr, IOVAGEOM_STAGE_FIRST, levels, rules, &one);
            consider(&meanings, status, &one);
        }
    return choose(&meanings, limits);
}

static void consider_vtd(struct meanings *meanings, uint64_t cap, uint64_t ecap)
{
    struct iovageom_host_limits one;

    for (int mode = 0; mode < 2; mode++) {
        int status = iovageom_host_vtd(cap, ecap, mode != 0, IOVAGEOM_STAGE_DEFAULT,
                                       IOVAGEOM_LINUX_ANY, &one);

        consider_least(meanings, status, &one);
        for (uint32_t rules = IOVAGEOM_LINUX_6_1; rules <= IOVAGEOM_LINUX_7_3; rules++)
            for (int stage = IOVAGEOM_STAGE_FIRST; stage <= IOVAGEOM_STAGE_SECOND; stage++) {
                status = iovageom_host_vtd(cap, ecap, mode != 0, (enum iovageom_host_stage)stage,
                                           rules, &one);
                consider(meanings, status, &one);
            }
    }
}

bool meaning_of_vtd(const struct iovageom_geometry *known, uint64_t cap, const uint64_t *ecap,
                    struct iovageom_host_limits *limits)
{
    /* SMTS with FLTS, SLTS, or both: scalable mode, and which stages of translation it has. */
    static const uint64_t any[] = {0, UINT64_C(1) << 43 | UINT64_C(1) << 47,
                                   UINT64_C(1) << 43 | UINT64_C(1) << 46,
                                   UINT64_C(1) << 43 | UINT64_C(3) << 46};
    struct meanings meanings = {.known = known};

    if (ecap != NULL)
        consider_vtd(&meanings, cap, *ecap);
    for (size_t i = 0; ecap == NULL && i < sizeof(any) / sizeof(any[0]); i++)
        consider_vtd(&meanings, cap, any[i]);
    return choose(&meanings, limits);
}

bool meaning_of_smmuv3(const struct iovageom_geometry *known, const uint32_t idr[6],
                       struct iovageom_host_limits *limits)
{
    static const uint8_t kernel_bits[] = {36, 39, 42, 47, 48, 52};
    struct meanings meanings = {.known = known};
    struct iovageom_host_limits one;
    int status = iovageom_host_smmuv3(idr[0], idr[5], 0, 0, IOVAGEOM_STAGE_DEFAULT,
                                      IOVAGEOM_LINUX_ANY, &one);

    consider_least(&meanings, status, &one);
    for (uint32_t rules = IOVAGEOM_LINUX_6_1; rules <= IOVAGEOM_LINUX_7_3; rules++)
        for (size_t i = 0; i < sizeof(kernel_bits); i++)
            for (uint64_t granule = 4096; granule <= 65536; granule *= 4)
                for (int stage = IOVAGEOM_STAGE_FIRST; stage <= IOVAGEOM_STAGE_SECOND; stage++) {
                    status = iovageom_host_smmuv3(idr[0], idr[5], granule, kernel_bits[i],
                                                  (enum iovageom_host_stage)stage, rules, &one);
                    consider(&meanings, status, &one);
                }
    return choose(&meanings, limits);
}

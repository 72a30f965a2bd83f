/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/host_registers.h>

#include <iovageom/status.h>

#include "../base/array.h"
#include "../geometry/internal.h"

/*
 * From registers of an IOMMU to the limits that Linux derives from them: how wide the addresses of
 * a domain are, and which pages map. Versions of Linux differ, so each decoder is a rule that is
 * asked for one version at a time. IOVAGEOM_LINUX_ANY asks for all of them and gives what holds in
 * each (see docs/kernels.md).
 *
 * Numbers of bits and fields are those of the vendors' specifications; the register's name for them
 * stands beside the code.
 */

#define SIZE_4K   ((uint64_t)1 << 12)
#define SIZE_16K  ((uint64_t)1 << 14)
#define SIZE_64K  ((uint64_t)1 << 16)
#define SIZE_2M   ((uint64_t)1 << 21)
#define SIZE_32M  ((uint64_t)1 << 25)
#define SIZE_512M ((uint64_t)1 << 29)
#define SIZE_1G   ((uint64_t)1 << 30)
#define SIZE_512G ((uint64_t)1 << 39)
#define SIZE_4T   ((uint64_t)1 << 42)

static unsigned field(uint64_t value, unsigned low, unsigned bits)
{
    return (unsigned)(value >> low & (((uint64_t)1 << bits) - 1));
}

static bool bit(uint64_t value, unsigned number)
{
    return (value >> number & 1) != 0;
}

/* The arguments of a decoder. What each of the fields means depends on the kind of IOMMU. */
struct question {
    uint64_t first;   /* CAP, EFR, IDR0 */
    uint64_t second;  /* ECAP, IDR5 */
    uint64_t granule; /* SMMUv3: bytes, 0 for unknown */
    unsigned bits; /* of the kernel's addresses; AMD: levels of the CPU's tables; 0 for unknown */
    enum iovageom_host_stage stage;
    bool scalable; /* VT-d: whether the kernel uses scalable mode */
};

/* The rule of one kernel. A gaw of 0: it has no page tables for such an IOMMU. */
typedef struct iovageom_host_limits rule_function(const struct question *question, uint32_t rules);

static const struct iovageom_host_limits unsupported = {0, 0, 0, 0};

/*
 * Reduces `all` to what also holds by another possible answer: the smaller width, and the page
 * sizes that both have. `depends` says that the answers differ. A gaw of 0 in `all` means that this
 * is the first one.
 */
static void take_least(struct iovageom_host_limits *all, const struct iovageom_host_limits *one)
{
    if (all->gaw == 0) {
        *all = *one;
        return;
    }
    all->depends |= one->depends | (all->gaw != one->gaw || all->page_sizes != one->page_sizes);
    all->gaw = (uint32_t)iovageom_lower(all->gaw, one->gaw);
    all->page_sizes &= one->page_sizes;
}

/*
 * The limits by the rules of one kernel, or what holds by those of all of them. A kernel that
 * doesn't drive the IOMMU gives no device to a guest, so it doesn't reduce the result; it only sets
 * `depends`.
 */
static int answer(rule_function *rule, const struct question *question, uint32_t rules,
                  struct iovageom_host_limits *out)
{
    struct iovageom_host_limits all = unsupported;
    bool refused = false;

    if (rules > IOVAGEOM_LINUX_7_3)
        return IOVAGEOM_ERR_INVALID;
    for (uint32_t kernel = IOVAGEOM_LINUX_6_1; kernel <= IOVAGEOM_LINUX_7_3; kernel++) {
        if (rules != IOVAGEOM_LINUX_ANY && rules != kernel)
            continue;
        const struct iovageom_host_limits one = rule(question, kernel);

        if (one.gaw == 0)
            refused = true;
        else
            take_least(&all, &one);
    }
    if (all.gaw == 0)
        return IOVAGEOM_ERR_UNSUPPORTED;
    all.depends |= refused;
    *out = all;
    return IOVAGEOM_OK;
}

/*
 * The stage of translation that is used: the one that was asked for, or by default the first one if
 * that is `usual`, else the second. IOVAGEOM_STAGE_DEFAULT when the hardware does not have it.
 */
static enum iovageom_host_stage choose_stage(enum iovageom_host_stage stage, bool usual, bool first,
                                             bool second)
{
    if (stage == IOVAGEOM_STAGE_DEFAULT)
        stage = usual ? IOVAGEOM_STAGE_FIRST : IOVAGEOM_STAGE_SECOND;
    return (stage == IOVAGEOM_STAGE_FIRST ? first : second) ? stage : IOVAGEOM_STAGE_DEFAULT;
}

/* ---- VT-d ---- */

/*
 * The address width of VT-d tables until Linux got generic page tables (6.19). SAGAW (bits 8 to 12
 * of CAP) is a mask of widths: bit n stands for 30 + 9n bits. The first stage has 48 bits (n = 2),
 * and with FL5LP (bit 60) 57 (n = 3). Linux used one width for both stages: the widest, up to 57,
 * that each stage which is there has. 0 when they have none in common.
 */
static unsigned vtd_common_bits(uint64_t cap, bool first, bool second)
{
    unsigned widths = 0xf;

    if (second)
        widths &= field(cap, 8, 5);
    if (first)
        widths &= bit(cap, 60) ? 0xc : 0x4;
    for (unsigned n = 4; n-- > 0;)
        if (bit(widths, n))
            return 30 + 9 * n;
    return 0;
}

/*
 * The width of second-stage tables since then. Tables of 30 + 9n bits are needed if MGAW is more
 * than one level less has (21 + 9n bits). They can be used if SAGAW has that width, or a greater
 * one, of which the tables are a part. The widest one is taken; 30 bits (n = 0) are not used any
 * more.
 */
static unsigned vtd_second_bits(uint64_t cap, unsigned mgaw)
{
    for (unsigned n = 4; n-- > 1;)
        if (mgaw > 21 + 9 * n && field(cap, 8, 4) >> n != 0)
            return 30 + 9 * n;
    return 0;
}

/* Page sizes of the second stage: SLLPS, bits 34 and 35. Up to 6.12 Linux took 1G pages to mean
 * that 2M pages are there, too. */
static uint64_t vtd_second_sizes(uint64_t cap, uint32_t rules)
{
    bool has_1g = bit(cap, 35), has_2m = bit(cap, 34);

    if (rules != IOVAGEOM_LINUX_7_3)
        has_2m |= has_1g;
    return SIZE_4K | (has_2m ? SIZE_2M : 0) | (has_1g ? SIZE_1G : 0);
}

/*
 * Without scalable mode there is only the second stage. Older kernels prefer it where they may
 * choose. The width is limited by MGAW. One bit less is left of the first stage: its addresses are
 * sign-extended like those of a CPU, and Linux uses the lower half, which begins at 0.
 */
static struct iovageom_host_limits vtd(const struct question *question, uint32_t rules)
{
    const uint64_t cap = question->first, ecap = question->second;
    const bool modern = question->scalable && bit(ecap, 43); /* SMTS */
    const bool first = modern && bit(ecap, 47);              /* FLTS, now FSTS */
    const bool second = !modern || bit(ecap, 46);            /* SLTS, now SSTS */
    const bool generic = rules == IOVAGEOM_LINUX_7_3;
    const enum iovageom_host_stage stage =
        choose_stage(question->stage, first && (generic || !second), first, second);
    const unsigned mgaw = field(cap, 16, 6) + 1;
    uint64_t page_sizes;
    unsigned gaw;

    if (stage == IOVAGEOM_STAGE_DEFAULT)
        return unsupported;
    if (!generic)
        gaw = vtd_common_bits(cap, first, second);
    else if (stage == IOVAGEOM_STAGE_SECOND)
        gaw = vtd_second_bits(cap, mgaw);
    else
        gaw = mgaw > 48 && bit(cap, 60) ? 57 : 48;
    gaw = (unsigned)iovageom_lower(gaw, mgaw);
    page_sizes = stage == IOVAGEOM_STAGE_SECOND ? vtd_second_sizes(cap, rules)
                                                : SIZE_4K | SIZE_2M | (bit(cap, 56) ? SIZE_1G : 0);
    /* Generic page tables leave out pages as large as half of the addresses, or larger. */
    if (generic && gaw > 0)
        page_sizes &= ((uint64_t)1 << (gaw - 1)) - 1;
    if (gaw <= 1 || page_sizes == 0)
        return unsupported;
    if (stage == IOVAGEOM_STAGE_FIRST)
        gaw--;
    return (struct iovageom_host_limits){IOVAGEOM_SOURCE_VTD_REGISTERS, gaw, page_sizes, 0};
}

int iovageom_host_vtd(uint64_t cap, uint64_t ecap, bool scalable, enum iovageom_host_stage stage,
                      uint32_t rules, struct iovageom_host_limits *out)
{
    struct question question = {.first = cap, .second = ecap, .stage = stage, .scalable = scalable};

    return answer(vtd, &question, rules, out);
}

/* ---- SMMUv3 ---- */

/*
 * Linux uses one granule for an SMMU: that of its own pages, if IDR5 has it. No register says which
 * that is, or how wide the kernel's own virtual addresses are, which limit those of the first
 * stage. A caller who does not know either gets what holds for each of them, with `depends` set.
 */

static const struct granule {
    uint64_t page;
    uint64_t page_sizes;
    uint8_t bit;          /* in IDR5 */
    uint8_t most;         /* address bits that tables with this granule can have */
    uint8_t least_kernel; /* the narrowest virtual addresses that such a kernel is built with */
} smmuv3_granules[] = {
    {SIZE_4K, SIZE_4K | SIZE_2M | SIZE_1G, 4, 48, 39},
    {SIZE_16K, SIZE_16K | SIZE_32M, 5, 48, 36},
    {SIZE_64K, SIZE_64K | SIZE_512M, 6, 52, 42},
};

/*
 * The limits with one granule. Unsupported: IDR5 does not have it, IDR0 not the stage
 * (S1P is bit 1, S2P bit 0) or no AArch64 tables (bit 3, the upper bit of TTF). The first stage has
 * 48 bits of addresses, or 52 with VAX (bits 10 and 11 of IDR5); the second those of its output
 * (OAS, bits 0 to 2). Linux takes 48 bits for an OAS that it doesn't know, 7.
 */
static struct iovageom_host_limits smmuv3_granule(const struct question *question, uint32_t rules,
                                                  const struct granule *granule)
{
    static const uint8_t output_bits[] = {32, 36, 40, 42, 44, 48, 52, 48};
    const uint64_t idr0 = question->first, idr5 = question->second;
    const unsigned output = output_bits[field(idr5, 0, 3)];
    const enum iovageom_host_stage stage =
        choose_stage(question->stage, bit(idr0, 1), bit(idr0, 1), bit(idr0, 0));
    struct iovageom_host_limits limits = {IOVAGEOM_SOURCE_SMMUV3_REGISTERS, 0, granule->page_sizes,
                                          0};
    unsigned gaw = field(idr5, 10, 2) == 1 ? 52 : 48;

    if (!bit(idr5, granule->bit) || stage == IOVAGEOM_STAGE_DEFAULT || !bit(idr0, 3))
        return unsupported;
    if (stage == IOVAGEOM_STAGE_SECOND) {
        gaw = output;
        /* Where AArch32 tables are there, too (TTF 3), older kernels count at least their 40. */
        if (rules != IOVAGEOM_LINUX_7_3 && bit(idr0, 2) && gaw < 40)
            gaw = 40;
    } else if (question->bits == 0) {
        limits.depends = 1;
        gaw = granule->least_kernel;
    } else if (question->bits < gaw) {
        gaw = question->bits;
    }
    limits.gaw = (uint32_t)iovageom_lower(gaw, granule->most);
    /* 52-bit output lets 64K tables have blocks one level up. */
    if (granule->page == SIZE_64K && output == 52)
        limits.page_sizes |= SIZE_4T;
    return limits;
}

static struct iovageom_host_limits smmuv3(const struct question *question, uint32_t rules)
{
    struct iovageom_host_limits all = unsupported;
    uint64_t coarsest = 0;

    for (unsigned i = 0; i < sizeof(smmuv3_granules) / sizeof(smmuv3_granules[0]); i++) {
        const struct granule *granule = &smmuv3_granules[i];
        const struct iovageom_host_limits one = smmuv3_granule(question, rules, granule);

        if ((question->granule != 0 && question->granule != granule->page) || one.gaw == 0)
            continue;
        take_least(&all, &one);
        /* Granules have no common page size, so the AND in take_least() is of no use. But what is
         * aligned to the coarsest granule is so to the others: its page sizes are safe. */
        coarsest = one.page_sizes;
    }
    all.page_sizes = coarsest;
    return all;
}

int iovageom_host_smmuv3(uint32_t idr0, uint32_t idr5, uint64_t granule, unsigned kernel_va_bits,
                         enum iovageom_host_stage stage, uint32_t rules,
                         struct iovageom_host_limits *out)
{
    struct question question = {idr0, idr5, granule, kernel_va_bits, stage, false};

    if (kernel_va_bits > 64 ||
        (granule != 0 && granule != SIZE_4K && granule != SIZE_16K && granule != SIZE_64K))
        return IOVAGEOM_ERR_INVALID;
    return answer(smmuv3, &question, rules, out);
}

/* ---- AMD-Vi ---- */

/*
 * First-stage ("v2", "guest") tables have the format of the CPU's own, and as many levels: 4 for 48
 * bits, 5 for 57. By the rules of 6.12 and later, Linux uses only the lower half of these
 * addresses, which is one bit less. Five levels need the IOMMU (GATS) and the CPU; if the CPU is
 * not known, 4 are safe. Linux doesn't use 6 levels.
 *
 * The second stage ("v1", "host") has 4, 5 or 6 levels by HATS: 48, 57 or 64 bits. Its tables can
 * make pages of every power of two from 4K up to 2^51, by several equal entries, except 512G: a
 * fault of the hardware. Linux 7.3 doesn't read HATS in the register, but in the firmware's copy of
 * it (IVRS). Without a copy it uses 4 levels, so only these are safe.
 */
static struct iovageom_host_limits amd(const struct question *question, uint32_t rules)
{
    static const uint8_t v1_bits[] = {48, 57, 64, 0};
    const uint64_t efr = question->first;
    const bool generic = rules == IOVAGEOM_LINUX_7_3;
    const unsigned v1 = v1_bits[field(efr, 10, 2)]; /* HATS */
    const bool five = field(efr, 12, 2) == 1;       /* GATS */
    const enum iovageom_host_stage stage =
        choose_stage(question->stage, generic && v1 == 0 && bit(efr, 48) /* GIOSup */,
                     bit(efr, 4) /* GTSup */, v1 != 0);
    struct iovageom_host_limits limits = {IOVAGEOM_SOURCE_AMD_REGISTERS, 48,
                                          SIZE_4K | SIZE_2M | SIZE_1G, 0};

    if (stage == IOVAGEOM_STAGE_DEFAULT)
        return unsupported;
    if (stage != IOVAGEOM_STAGE_FIRST) {
        limits.gaw = generic ? 48 : v1;
        limits.depends = limits.gaw < v1;
        limits.page_sizes = (((uint64_t)1 << (generic ? 47 : 52)) - SIZE_4K) & ~SIZE_512G;
    } else if (rules != IOVAGEOM_LINUX_6_1) {
        limits.gaw = five && question->bits == 5 ? 56 : 47;
        limits.depends = five && question->bits == 0;
    }
    return limits;
}

int iovageom_host_amd(uint64_t efr, enum iovageom_host_stage stage, unsigned cpu_levels,
                      uint32_t rules, struct iovageom_host_limits *out)
{
    struct question question = {.first = efr, .stage = stage, .bits = cpu_levels};

    if (cpu_levels != 0 && cpu_levels != 4 && cpu_levels != 5)
        return IOVAGEOM_ERR_INVALID;
    if (efr == 0 && rules <= IOVAGEOM_LINUX_7_3)
        return IOVAGEOM_ERR_UNKNOWN;
    return answer(amd, &question, rules, out);
}

/* ---- into a geometry ---- */

int iovageom_host_limits_add(const struct iovageom_host_limits *limits,
                             struct iovageom_geometry *geometry)
{
    enum iovageom_source source = (enum iovageom_source)limits->source;
    /* All or nothing: once there is room for four facts, only the first of them can fail. */
    int status = iovageom_geometry_reserve(geometry, geometry->count + 4);

    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_add_gaw(geometry, limits->gaw, source);
    if (status != IOVAGEOM_OK)
        return status;
    (void)iovageom_geometry_add_page_sizes(geometry, limits->page_sizes, source);
    if (limits->depends != 0)
        (void)iovageom_geometry_add_incomplete(geometry, source);
    return status;
}

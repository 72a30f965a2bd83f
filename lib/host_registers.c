/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold_file.h"

#include <iovageom/host_registers.h>

#include <iovageom/pgsize.h>
#include <iovageom/range.h>
#include <iovageom/status.h>

#include "geometry_internal.h"

#define SIZE_4K   ((uint64_t)1 << 12)
#define SIZE_16K  ((uint64_t)1 << 14)
#define SIZE_64K  ((uint64_t)1 << 16)
#define SIZE_2M   ((uint64_t)1 << 21)
#define SIZE_4M   ((uint64_t)1 << 22)
#define SIZE_32M  ((uint64_t)1 << 25)
#define SIZE_512M ((uint64_t)1 << 29)
#define SIZE_1G   ((uint64_t)1 << 30)
#define SIZE_512G ((uint64_t)1 << 39)
#define SIZE_4T   ((uint64_t)1 << 42)
#define SIZE_256T ((uint64_t)1 << 48)

static unsigned field(uint64_t value, unsigned low, unsigned bits)
{
    return (unsigned)(value >> low & (((uint64_t)1 << bits) - 1));
}

static bool bit(uint64_t value, unsigned number)
{
    return (value >> number & 1) != 0;
}

/* The stage to use, given which are there; DEFAULT when it is none. */
static enum iovageom_host_stage choose(enum iovageom_host_stage stage, bool first, bool second)
{
    if (stage == IOVAGEOM_STAGE_DEFAULT)
        stage = first ? IOVAGEOM_STAGE_FIRST : IOVAGEOM_STAGE_SECOND;
    if (stage == IOVAGEOM_STAGE_FIRST ? first : second)
        return stage;
    return IOVAGEOM_STAGE_DEFAULT;
}

/*
 * Widths of VT-d tables as SAGAW has them: bit n stands for 30 + 9n bits. Linux uses no more than
 * 57, and when an IOMMU has both stages, only widths that both have.
 */
static unsigned vtd_table_bits(uint64_t cap, bool first, bool second)
{
    unsigned widths = 0xf;

    if (second)
        widths &= field(cap, 8, 5);
    if (first)
        widths &= bit(cap, 60) ? 0xc : 0x4;
    for (unsigned n = 4; n-- > 0;) {
        if (bit(widths, n))
            return 30 + 9 * n;
    }
    return 0;
}

int iovageom_host_vtd(uint64_t cap, uint64_t ecap, bool scalable, enum iovageom_host_stage stage,
                      struct iovageom_host_limits *out)
{
    bool modern = scalable && bit(ecap, 43); /* SMTS */
    bool first = modern && bit(ecap, 47);    /* FLTS, now FSTS */
    bool second = !modern || bit(ecap, 46);  /* SLTS, now SSTS */
    unsigned gaw = vtd_table_bits(cap, first, second);
    unsigned mgaw = field(cap, 16, 6) + 1;
    uint64_t page_sizes = SIZE_4K;

    stage = choose(stage, first, second);
    if (gaw > mgaw)
        gaw = mgaw;
    if (stage == IOVAGEOM_STAGE_DEFAULT || gaw <= 1)
        return IOVAGEOM_ERR_UNSUPPORTED;
    if (stage == IOVAGEOM_STAGE_FIRST) {
        gaw--;
        page_sizes |= SIZE_2M | (bit(cap, 56) ? SIZE_1G : 0);
    } else {
        page_sizes |= (bit(cap, 34) ? SIZE_2M : 0) | (bit(cap, 35) ? SIZE_1G : 0);
    }
    *out = (struct iovageom_host_limits){IOVAGEOM_SOURCE_VTD_REGISTERS, gaw, page_sizes};
    return IOVAGEOM_OK;
}

static uint64_t smmuv3_page_sizes(uint32_t idr5, uint64_t granule)
{
    uint64_t sizes = 0;

    if (bit(idr5, 4) && (granule == 0 || granule == SIZE_4K))
        sizes |= SIZE_4K | SIZE_2M | SIZE_1G;
    if (bit(idr5, 5) && (granule == 0 || granule == SIZE_16K))
        sizes |= SIZE_16K | SIZE_32M;
    if (bit(idr5, 6) && (granule == 0 || granule == SIZE_64K))
        sizes |= SIZE_64K | SIZE_512M;
    /* 52-bit output lets 64K tables have blocks one level up. */
    if ((sizes & SIZE_64K) != 0 && field(idr5, 0, 3) == 6)
        sizes |= SIZE_4T;
    return sizes;
}

int iovageom_host_smmuv3(uint32_t idr0, uint32_t idr5, uint64_t granule, unsigned kernel_va_bits,
                         enum iovageom_host_stage stage, struct iovageom_host_limits *out)
{
    static const uint8_t output_bits[] = {32, 36, 40, 42, 44, 48, 52, 48};
    uint64_t page_sizes = smmuv3_page_sizes(idr5, granule);
    unsigned gaw;

    if (granule != 0 && granule != SIZE_4K && granule != SIZE_16K && granule != SIZE_64K)
        return IOVAGEOM_ERR_INVALID;
    if (kernel_va_bits > 64)
        return IOVAGEOM_ERR_INVALID;
    stage = choose(stage, bit(idr0, 1), bit(idr0, 0));
    if (stage == IOVAGEOM_STAGE_DEFAULT || page_sizes == 0 || !bit(idr0, 3))
        return IOVAGEOM_ERR_UNSUPPORTED;
    if (stage == IOVAGEOM_STAGE_SECOND) {
        gaw = output_bits[field(idr5, 0, 3)];
    } else {
        gaw = field(idr5, 10, 2) == 1 ? 52 : 48;
        if (kernel_va_bits != 0 && kernel_va_bits < gaw)
            gaw = kernel_va_bits;
    }
    *out = (struct iovageom_host_limits){IOVAGEOM_SOURCE_SMMUV3_REGISTERS, gaw, page_sizes};
    return IOVAGEOM_OK;
}

unsigned iovageom_host_smmuv3_stream_bits(uint32_t idr1)
{
    return field(idr1, 0, 6);
}

int iovageom_host_amd(uint64_t efr, enum iovageom_host_stage stage,
                      struct iovageom_host_limits *out)
{
    static const uint8_t v1_bits[] = {48, 57, 64, 0};
    unsigned hats = field(efr, 10, 2);
    struct iovageom_host_limits limits = {IOVAGEOM_SOURCE_AMD_REGISTERS, 0, 0};

    if (efr == 0)
        return IOVAGEOM_ERR_UNKNOWN;
    if (stage == IOVAGEOM_STAGE_FIRST) {
        if (!bit(efr, 4)) /* GTSup */
            return IOVAGEOM_ERR_UNSUPPORTED;
        limits.gaw = field(efr, 12, 2) == 1 ? 56 : 47; /* GATS: Linux uses 4 levels or 5, not 6 */
        limits.page_sizes = SIZE_4K | SIZE_2M | SIZE_1G;
    } else {
        if (v1_bits[hats] == 0)
            return IOVAGEOM_ERR_UNSUPPORTED;
        limits.gaw = v1_bits[hats];
        limits.page_sizes = (((uint64_t)1 << 52) - SIZE_4K) & ~SIZE_512G;
    }
    *out = limits;
    return IOVAGEOM_OK;
}

int iovageom_host_riscv(uint64_t capabilities, enum iovageom_host_stage stage,
                        struct iovageom_host_limits *out)
{
    static const struct {
        uint8_t bit; /* of the first stage; the second stage's is 8 higher */
        uint8_t first_bits;
        uint8_t second_bits;
        uint64_t page_sizes;
    } formats[] = {
        {11, 56, 59, SIZE_4K | SIZE_2M | SIZE_1G | SIZE_512G | SIZE_256T}, /* Sv57 */
        {10, 47, 50, SIZE_4K | SIZE_2M | SIZE_1G | SIZE_512G},             /* Sv48 */
        {9, 38, 41, SIZE_4K | SIZE_2M | SIZE_1G},                          /* Sv39 */
        {8, 32, 34, SIZE_4K | SIZE_4M},                                    /* Sv32 */
    };

    stage = choose(stage, field(capabilities, 8, 4) != 0, field(capabilities, 16, 4) != 0);
    for (unsigned i = 0; i < 4; i++) {
        bool first = stage == IOVAGEOM_STAGE_FIRST;
        unsigned number = formats[i].bit + (first ? 0U : 8U);

        if (stage != IOVAGEOM_STAGE_DEFAULT && bit(capabilities, number)) {
            *out = (struct iovageom_host_limits){
                IOVAGEOM_SOURCE_RISCV_REGISTERS,
                first ? formats[i].first_bits : formats[i].second_bits, formats[i].page_sizes};
            return IOVAGEOM_OK;
        }
    }
    return IOVAGEOM_ERR_UNSUPPORTED;
}

int iovageom_host_limits_add(const struct iovageom_host_limits *limits,
                             struct iovageom_geometry *geometry)
{
    enum iovageom_source source = (enum iovageom_source)limits->source;
    int status = iovageom_geometry_reserve(geometry, geometry->count + 2);

    /* Once there is room for both, the page sizes can't fail. */
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_add_gaw(geometry, limits->gaw, source);
    if (status == IOVAGEOM_OK)
        (void)iovageom_geometry_add_page_sizes(geometry, limits->page_sizes, source);
    return status;
}

int iovageom_host_dma_mask(uint64_t mask, struct iovageom_geometry *geometry)
{
    struct iovageom_range aperture = {0, mask};

    if (mask == 0 || (mask & (mask + 1)) != 0)
        return IOVAGEOM_ERR_INVALID;
    return iovageom_geometry_add_aperture(geometry, aperture, IOVAGEOM_SOURCE_DEVICE);
}

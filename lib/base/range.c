/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/pgsize.h>
#include <iovageom/range.h>
#include <iovageom/status.h>

#include "array.h"

/* The external definitions of inline functions, for other languages and calls not inlined. */
extern inline bool iovageom_range_valid(struct iovageom_range range);
extern inline bool iovageom_range_equal(struct iovageom_range a, struct iovageom_range b);
extern inline bool iovageom_range_has(struct iovageom_range range, uint64_t address);
extern inline bool iovageom_range_contains(struct iovageom_range outer,
                                           struct iovageom_range inner);
extern inline bool iovageom_range_overlaps(struct iovageom_range a, struct iovageom_range b);
extern inline bool iovageom_range_precedes_directly(struct iovageom_range low,
                                                    struct iovageom_range high);
extern inline bool iovageom_range_touches(struct iovageom_range a, struct iovageom_range b);

bool iovageom_range_intersect(struct iovageom_range a, struct iovageom_range b,
                              struct iovageom_range *out)
{
    if (!iovageom_range_overlaps(a, b))
        return false;
    *out =
        (struct iovageom_range){iovageom_higher(a.start, b.start), iovageom_lower(a.last, b.last)};
    return true;
}

struct iovageom_range iovageom_range_hull(struct iovageom_range a, struct iovageom_range b)
{
    return (struct iovageom_range){iovageom_lower(a.start, b.start),
                                   iovageom_higher(a.last, b.last)};
}

unsigned iovageom_range_subtract(struct iovageom_range from, struct iovageom_range what,
                                 struct iovageom_range out[2])
{
    unsigned count = 0;

    if (!iovageom_range_overlaps(from, what)) {
        out[0] = from;
        return 1;
    }
    /* Neither end can wrap: `what.start - 1` needs a start above another address, so above 0, and
     * `what.last + 1` a last below another one. */
    if (what.start > from.start)
        out[count++] = (struct iovageom_range){from.start, what.start - 1};
    if (what.last < from.last)
        out[count++] = (struct iovageom_range){what.last + 1, from.last};
    return count;
}

bool iovageom_range_below(struct iovageom_range range, struct iovageom_range *out)
{
    if (range.start == 0)
        return false;
    *out = (struct iovageom_range){0, range.start - 1};
    return true;
}

bool iovageom_range_above(struct iovageom_range range, struct iovageom_range *out)
{
    if (range.last == IOVAGEOM_ADDRESS_MAX)
        return false;
    *out = (struct iovageom_range){range.last + 1, IOVAGEOM_ADDRESS_MAX};
    return true;
}

/* False when nothing is between: the ranges overlap, are in the wrong order, or `high` starts at
 * low.last + 1. */
bool iovageom_range_between(struct iovageom_range low, struct iovageom_range high,
                            struct iovageom_range *out)
{
    if (low.last >= high.start || iovageom_range_precedes_directly(low, high))
        return false;
    *out = (struct iovageom_range){low.last + 1, high.start - 1};
    return true;
}

struct iovageom_size iovageom_range_size(struct iovageom_range range)
{
    uint64_t lo = range.last - range.start + 1;

    /* A valid range has at least one address. So 0 can only be 2^64, of which 64 bits keep 0. */
    return (struct iovageom_size){lo == 0, lo};
}

int iovageom_range_from_length(uint64_t start, uint64_t length, struct iovageom_range *out)
{
    if (length == 0)
        return IOVAGEOM_ERR_INVALID;
    if (length - 1 > IOVAGEOM_ADDRESS_MAX - start)
        return IOVAGEOM_ERR_OVERFLOW;
    *out = (struct iovageom_range){start, start + (length - 1)};
    return IOVAGEOM_OK;
}

int iovageom_range_length(struct iovageom_range range, uint64_t *length)
{
    if (!iovageom_range_valid(range))
        return IOVAGEOM_ERR_INVERTED;
    if (range.last - range.start == IOVAGEOM_ADDRESS_MAX)
        return IOVAGEOM_ERR_OVERFLOW;
    *length = range.last - range.start + 1;
    return IOVAGEOM_OK;
}

/*
 * The largest range of whole granules inside `range`. Where a granule is cut, its end moves inward;
 * it must not wrap there: no granule follows the highest one, and none precedes the lowest. In both
 * cases no whole granule is inside.
 */
bool iovageom_range_align_inward(struct iovageom_range range, uint64_t granule,
                                 struct iovageom_range *out)
{
    uint64_t offset = granule - 1;
    uint64_t start = range.start;
    uint64_t last = range.last;

    if (!iovageom_pgsize_is_power(granule))
        return false;
    if ((start & offset) != 0) {
        if ((start | offset) == IOVAGEOM_ADDRESS_MAX)
            return false;
        start = (start | offset) + 1;
    }
    if ((last & offset) != offset) {
        if (last < granule)
            return false;
        last = (last & ~offset) - 1;
    }
    if (start > last)
        return false;
    *out = (struct iovageom_range){start, last};
    return true;
}

/* Needs no test for wrapping: only low bits are cleared in the start and set in the last. */
struct iovageom_range iovageom_range_align_outward(struct iovageom_range range, uint64_t granule)
{
    if (!iovageom_pgsize_is_power(granule))
        return range;
    return (struct iovageom_range){range.start & ~(granule - 1), range.last | (granule - 1)};
}

bool iovageom_range_is_aligned(struct iovageom_range range, uint64_t granule)
{
    return iovageom_pgsize_is_power(granule) && (range.start & (granule - 1)) == 0 &&
           (~range.last & (granule - 1)) == 0;
}

int iovageom_range_from_gaw(unsigned bits, struct iovageom_range *out)
{
    if (bits < 1 || bits > 64)
        return IOVAGEOM_ERR_INVALID;
    *out = (struct iovageom_range){0, IOVAGEOM_ADDRESS_MAX >> (64 - bits)};
    return IOVAGEOM_OK;
}

/* The smallest aperture with the range in it. The shift is by less than 64: a shift of a 64-bit
 * number by 64 is undefined in C. */
unsigned iovageom_range_gaw(struct iovageom_range range)
{
    unsigned bits = 1;

    while (bits < 64 && range.last >> bits != 0)
        bits++;
    return bits;
}

/* Sizes have 128 bits, because 2^64 bytes are possible. The sum of the low words has wrapped
 * exactly when it is less than one of them: that is the carry. */
struct iovageom_size iovageom_size_add(struct iovageom_size a, struct iovageom_size b)
{
    uint64_t lo = a.lo + b.lo;

    return (struct iovageom_size){a.hi + b.hi + (lo < a.lo), lo};
}

struct iovageom_size iovageom_size_subtract(struct iovageom_size a, struct iovageom_size b)
{
    if (iovageom_size_compare(a, b) <= 0)
        return (struct iovageom_size){0, 0};
    return (struct iovageom_size){a.hi - b.hi - (a.lo < b.lo), a.lo - b.lo};
}

int iovageom_size_compare(struct iovageom_size a, struct iovageom_size b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo == b.lo ? 0 : a.lo < b.lo ? -1 : 1;
}

uint64_t iovageom_size_saturate(struct iovageom_size size)
{
    return size.hi != 0 ? UINT64_MAX : size.lo;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/range.h>
#include <iovageom/status.h>

/* The external definitions of inline functions, for other languages and calls not inlined. */
extern inline bool iovageom_range_valid(struct iovageom_range range);
extern inline bool iovageom_range_equal(struct iovageom_range a, struct iovageom_range b);
extern inline bool iovageom_range_contains(struct iovageom_range outer,
                                           struct iovageom_range inner);
extern inline bool iovageom_range_overlaps(struct iovageom_range a, struct iovageom_range b);

bool iovageom_range_above(struct iovageom_range range, struct iovageom_range *out)
{
    if (range.last == IOVAGEOM_ADDRESS_MAX)
        return false;
    *out = (struct iovageom_range){range.last + 1, IOVAGEOM_ADDRESS_MAX};
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

int iovageom_range_from_gaw(unsigned bits, struct iovageom_range *out)
{
    if (bits < 1 || bits > 64)
        return IOVAGEOM_ERR_INVALID;
    *out = (struct iovageom_range){0, IOVAGEOM_ADDRESS_MAX >> (64 - bits)};
    return IOVAGEOM_OK;
}

/* Sizes have 128 bits, because 2^64 bytes are possible. The sum of the low words has wrapped
 * exactly when it is less than one of them: that is the carry. */
struct iovageom_size iovageom_size_add(struct iovageom_size a, struct iovageom_size b)
{
    uint64_t lo = a.lo + b.lo;

    return (struct iovageom_size){a.hi + b.hi + (lo < a.lo), lo};
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

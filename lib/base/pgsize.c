/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/pgsize.h>

#include "array.h"

/* The twins that callers link who cannot use the inline definitions. */
extern inline bool iovageom_pgsize_is_power(uint64_t value);
extern inline uint64_t iovageom_pgsize_granule(uint64_t mask);

bool iovageom_pgsize_accepts(uint64_t mask, uint64_t granule)
{
    return mask != 0 && iovageom_pgsize_is_power(granule) &&
           granule >= iovageom_pgsize_granule(mask);
}

uint64_t iovageom_pgsize_from_alignment(uint64_t alignment)
{
    return iovageom_pgsize_is_power(alignment) ? ~(alignment - 1) : 0;
}

uint64_t iovageom_pgsize_raise(uint64_t mask, uint64_t granule)
{
    if (!iovageom_pgsize_accepts(mask, granule))
        return 0;
    return (mask & ~(granule - 1)) | granule;
}

/*
 * Not the bitwise and: a host with pages of 64K maps what one with pages of 4K maps, if it comes in
 * multiples of 64K. So the meet's granule is the larger of both; above it, pages that both have.
 */
uint64_t iovageom_pgsize_meet(uint64_t a, uint64_t b)
{
    uint64_t granule = iovageom_higher(iovageom_pgsize_granule(a), iovageom_pgsize_granule(b));

    if (a == 0 || b == 0)
        return 0;
    return (a & b & ~(granule - 1)) | granule;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/pgsize.h>

#include "array.h"

/* The external definitions of inline functions, for other languages and calls not inlined. */
extern inline bool iovageom_pgsize_is_power(uint64_t value);
extern inline uint64_t iovageom_pgsize_granule(uint64_t mask);

/* A larger granule than the smallest page is always accepted: the host makes one mapping of it with
 * several small pages. So only the lowest bit of the mask matters here. */
bool iovageom_pgsize_accepts(uint64_t mask, uint64_t granule)
{
    return mask != 0 && iovageom_pgsize_is_power(granule) &&
           granule >= iovageom_pgsize_granule(mask);
}

/* All page sizes from the alignment up: an alignment limits the granule and says nothing of larger
 * pages. */
uint64_t iovageom_pgsize_from_alignment(uint64_t alignment)
{
    return iovageom_pgsize_is_power(alignment) ? ~(alignment - 1) : 0;
}

/* Pages below the new granule are gone; the granule itself maps even if its bit was not set, as
 * several smaller pages. */
uint64_t iovageom_pgsize_raise(uint64_t mask, uint64_t granule)
{
    if (!iovageom_pgsize_accepts(mask, granule))
        return 0;
    return (mask & ~(granule - 1)) | granule;
}

/*
 * Not the bitwise AND. With 64K pages on one host, and 4K and 2M on the other, both can map a
 * multiple of 64K, the second one as sixteen pages of 4K; but their AND is 0, which means that
 * nothing maps. So the granule of the meet is the larger of the two granules. Above it, a page size
 * must be in both masks.
 */
uint64_t iovageom_pgsize_meet(uint64_t a, uint64_t b)
{
    uint64_t granule = iovageom_higher(iovageom_pgsize_granule(a), iovageom_pgsize_granule(b));

    if (a == 0 || b == 0)
        return 0;
    return (a & b & ~(granule - 1)) | granule;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* sources base/range.c */
/*
 * All of range.h, the public and the private one, for every 64-bit number. Sets of addresses are
 * compared point by point: what holds of any one address holds of all.
 */
#include "base/range.h"
#include "verify.h"

#include <iovageom/range.h>
#include <iovageom/status.h>

#define MAX UINT64_MAX

static struct iovageom_range any_range(void)
{
    struct iovageom_range range = {any_u64(), any_u64()};

    assume(range.start <= range.last);
    return range;
}

static bool in(uint64_t address, struct iovageom_range range)
{
    return range.start <= address && address <= range.last;
}

void verify_relations(void)
{
    struct iovageom_range a = any_range(), b = any_range();
    uint64_t x = any_u64();

    assert(iovageom_range_valid(a));
    assert(iovageom_range_has(a, x) == in(x, a));
    assert(iovageom_range_equal(a, b) == (a.start == b.start && a.last == b.last));
    /* Containment: every address; and if not, one of its ends shows it. */
    if (iovageom_range_contains(a, b))
        assert(!in(x, b) || in(x, a));
    else
        assert(!in(b.start, a) || !in(b.last, a));
    /* Overlap: a witness, or none. */
    if (iovageom_range_overlaps(a, b))
        assert(in(a.start, b) || in(b.start, a));
    else
        assert(!(in(x, a) && in(x, b)));
    assert(iovageom_range_precedes_directly(a, b) == (a.last != MAX && a.last + 1 == b.start));
    assert(iovageom_range_touches(a, b) ==
           (iovageom_range_overlaps(a, b) || iovageom_range_precedes_directly(a, b) ||
            iovageom_range_precedes_directly(b, a)));
}

void verify_intersect(void)
{
    struct iovageom_range a = any_range(), b = any_range(), out = {7, 3};
    uint64_t x = any_u64();
    bool found = iovageom_range_intersect(a, b, &out);

    assert(found ? out.start <= out.last : out.start == 7 && out.last == 3);
    if (found && in(x, out))
        assert(in(x, a) && in(x, b));
    else
        assert(!in(x, a) || !in(x, b));
}

void verify_hull(void)
{
    struct iovageom_range a = any_range(), b = any_range(), hull = iovageom_range_hull(a, b);
    uint64_t x = any_u64();

    assert(!(in(x, a) || in(x, b)) || in(x, hull));
    assert(hull.start == a.start || hull.start == b.start);
    assert(hull.last == a.last || hull.last == b.last);
}

void verify_subtract(void)
{
    struct iovageom_range a = any_range(), b = any_range(), out[2];
    uint64_t x = any_u64();
    unsigned count = iovageom_range_subtract(a, b, out);

    assert(count <= 2);
    assert((in(x, a) && !in(x, b)) ==
           ((count > 0 && in(x, out[0])) || (count > 1 && in(x, out[1]))));
    for (unsigned i = 0; i < 2; i++)
        assert(i >= count || out[i].start <= out[i].last);
    assert(count < 2 || out[0].last < out[1].start);
}

void verify_around(void)
{
    struct iovageom_range a = any_range(), b = any_range(), out = {7, 3};
    uint64_t x = any_u64();
    bool found = iovageom_range_below(a, &out);

    assert((x < a.start) == (found && in(x, out)));
    assert(found || (out.start == 7 && out.last == 3));
    out = (struct iovageom_range){7, 3};
    found = iovageom_range_above(a, &out);
    assert((x > a.last) == (found && in(x, out)));
    assert(found || (out.start == 7 && out.last == 3));
    out = (struct iovageom_range){7, 3};
    found = iovageom_range_between(a, b, &out);
    if (a.last < b.start)
        assert((x > a.last && x < b.start) == (found && in(x, out)));
    assert(found ? out.start <= out.last : out.start == 7 && out.last == 3);
}

void verify_sizes(void)
{
    struct iovageom_range range = any_range(), out = {7, 3};
    struct iovageom_size size = iovageom_range_size(range), other = {any_u64(), any_u64()};
    unsigned __int128 wide = (unsigned __int128)(range.last - range.start) + 1;
    unsigned __int128 second = (unsigned __int128)other.hi << 64 | other.lo, sum, less;
    uint64_t start = any_u64(), wanted = any_u64();
    int status;

    assert(((unsigned __int128)size.hi << 64 | size.lo) == wide);
    assert(iovageom_size_saturate(size) == (wide > MAX ? MAX : (uint64_t)wide));
    sum = wide + second;
    if (sum >= wide) {
        struct iovageom_size added = iovageom_size_add(size, other);

        assert(((unsigned __int128)added.hi << 64 | added.lo) == sum);
    }
    less = wide > second ? wide - second : 0;
    other = iovageom_size_subtract(size, other);
    assert(((unsigned __int128)other.hi << 64 | other.lo) == less);

    status = iovageom_range_from_length(start, wanted, &out);
    if (wanted == 0)
        assert(status == IOVAGEOM_ERR_INVALID);
    else if ((unsigned __int128)start + wanted - 1 > MAX)
        assert(status == IOVAGEOM_ERR_OVERFLOW);
    else
        assert(status == 0 && out.start == start && out.last == start + (wanted - 1));
    assert(status == 0 || (out.start == 7 && out.last == 3));
}

void verify_size_order(void)
{
    struct iovageom_size a = {any_u64(), any_u64()}, b = {any_u64(), any_u64()};
    unsigned __int128 x = (unsigned __int128)a.hi << 64 | a.lo;
    unsigned __int128 y = (unsigned __int128)b.hi << 64 | b.lo;

    assert(iovageom_size_compare(a, b) == (x < y ? -1 : x > y));
}

/* A usable range is worth the whole granules in it: all of them, and nothing else. */
void verify_align_inward(void)
{
    struct iovageom_range range = any_range(), out = {7, 3};
    uint64_t granule = any_power(), block = any_u64() & ~(granule - 1);
    bool found = iovageom_range_align_inward(range, granule, &out);
    bool whole = range.start <= block && (block | (granule - 1)) <= range.last;

    assert(whole == (found && in(block, out)));
    assert(found ? iovageom_range_is_aligned(out, granule) && iovageom_range_contains(range, out)
                 : out.start == 7 && out.last == 3);
}

/* A reserved range costs every granule that it touches, and no other. */
void verify_align_outward(void)
{
    struct iovageom_range range = any_range(), out;
    uint64_t granule = any_power(), block = any_u64() & ~(granule - 1);
    struct iovageom_range whole = {block, block | (granule - 1)};

    out = iovageom_range_align_outward(range, granule);
    assert(iovageom_range_is_aligned(out, granule) && iovageom_range_contains(out, range));
    assert(in(block, out) == iovageom_range_overlaps(whole, range));
}

/* The lemma of the theorem: a granule is usable if and only if the reserved range, as told to the
 * guest, leaves it alone. So nothing is lost by telling the one instead of the other. */
void verify_inward_and_outward_are_dual(void)
{
    struct iovageom_range reserved = any_range(), pieces[2], inner;
    uint64_t granule = any_power(), block = any_u64() & ~(granule - 1);
    unsigned count = iovageom_range_subtract((struct iovageom_range){0, MAX}, reserved, pieces);
    bool usable = false;

    for (unsigned i = 0; i < 2; i++)
        usable |= i < count && iovageom_range_align_inward(pieces[i], granule, &inner) &&
                  in(block, inner);
    assert(usable == !in(block, iovageom_range_align_outward(reserved, granule)));
}

void verify_align_refuses_what_is_no_power(void)
{
    struct iovageom_range range = any_range(), out = {7, 3};
    uint64_t granule = any_u64();

    assume(granule == 0 || (granule & (granule - 1)) != 0);
    assert(!iovageom_range_align_inward(range, granule, &out));
    assert(out.start == 7 && out.last == 3);
    assert(iovageom_range_equal(iovageom_range_align_outward(range, granule), range));
    assert(!iovageom_range_is_aligned(range, granule));
}

/* unwind 65 */
void verify_gaw(void)
{
    struct iovageom_range range = any_range(), out = {7, 3};
    unsigned bits = any_u32(), width;
    int status = iovageom_range_from_gaw(bits, &out);

    assert((status == 0) == (bits >= 1 && bits <= 64));
    assert(status == 0 ? out.start == 0 : out.start == 7 && out.last == 3);
    if (status == 0)
        assert(out.last == MAX >> (64 - bits));
    width = iovageom_range_gaw(range);
    assert(width >= 1 && width <= 64);
    assert(range.last <= MAX >> (64 - width));
    assert(width == 1 || range.last > MAX >> (65 - width));
}

/* ---- page sizes ---- */

void verify_pgsize(void)
{
    uint64_t mask = any_u64(), granule = any_u64(), raised = iovageom_pgsize_raise(mask, granule);
    uint64_t own = iovageom_pgsize_granule(mask);
    bool power = granule != 0 && (granule & (granule - 1)) == 0;

    assert(iovageom_pgsize_is_power(granule) == power);
    assert(mask == 0 ? own == 0 : (own & mask) != 0 && (mask & (own - 1)) == 0);
    assert(iovageom_pgsize_accepts(mask, granule) ==
           (mask != 0 && power && (mask & (granule | (granule - 1))) != 0));
    /* The granule that was asked for, and of the larger pages those that there are. */
    if (iovageom_pgsize_accepts(mask, granule))
        assert(iovageom_pgsize_granule(raised) == granule &&
               (raised & ~granule) == (mask & ~(granule | (granule - 1))));
    else
        assert(raised == 0);
}

/* Commutative, associative, idempotent, neutral, and the greatest that both honour. */
void verify_pgsize_meet(void)
{
    uint64_t a = any_u64(), b = any_u64(), c = any_u64(), meet = iovageom_pgsize_meet(a, b);
    uint64_t granule = any_power();

    assert(meet == iovageom_pgsize_meet(b, a));
    assert(iovageom_pgsize_meet(meet, c) == iovageom_pgsize_meet(a, iovageom_pgsize_meet(b, c)));
    assert(iovageom_pgsize_meet(a, a) == a);
    assert(iovageom_pgsize_meet(a, MAX) == a);
    assert(iovageom_pgsize_accepts(meet, granule) ==
           (iovageom_pgsize_accepts(a, granule) && iovageom_pgsize_accepts(b, granule)));
}

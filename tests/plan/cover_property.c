/* SPDX-License-Identifier: BSD-3-Clause */
/* Covers against all that there are, and a migration whose device writes while the guest maps. */
#include "base/range.h"
#include "support/property.h"

#include <string.h>

#include <iovageom/plan_cover.h>
#include <iovageom/status.h>

#define DO(call) property_check((call) == IOVAGEOM_OK)

/* ---- no cover has less excess ---- */

enum { CELLS = 64, RANGES = 9 };

/* Ranges of a list that ascend, sometimes touching. Cells count on from `base`. */
static size_t random_list(struct test_random *random, uint64_t base, struct iovageom_range *list)
{
    uint64_t at = test_random_below(random, 4);
    size_t count = 0;

    while (count < RANGES) {
        uint64_t last = at + test_random_below(random, 4);

        if (last >= CELLS)
            break;
        list[count++] = (struct iovageom_range){base + at, base + last};
        at = last + 1 + (test_random_one_in(random, 4) ? 0 : test_random_below(random, 12));
    }
    return count;
}

static void mark(const struct iovageom_range *list, size_t count, uint64_t base, uint64_t granule,
                 bool cells[CELLS])
{
    memset(cells, 0, CELLS);
    for (size_t i = 0; i < count; i++)
        for (uint64_t at = (list[i].start - base) / granule * granule;
             at <= ((list[i].last - base) | (granule - 1)); at++)
            cells[at] = true;
}

/* The fewest cells of any cover with at most `most` ranges: each set of gaps is tried. */
static unsigned least_cells(const bool cells[CELLS], size_t most)
{
    struct iovageom_range runs[CELLS / 2 + 1];
    unsigned best = CELLS + 1;
    size_t count = 0;

    for (uint64_t at = 0; at < CELLS; at++) {
        if (cells[at] && (at == 0 || !cells[at - 1]))
            runs[count++].start = at;
        if (cells[at])
            runs[count - 1].last = at;
    }
    for (uint32_t closed = 0; closed < UINT32_C(1) << (count > 0 ? count - 1 : 0); closed++) {
        unsigned length = 0;
        size_t ranges = count;

        for (size_t i = 0; i < count; i++) {
            length += (unsigned)(runs[i].last - runs[i].start + 1);
            if (closed >> i & 1) {
                length += (unsigned)(runs[i + 1].start - runs[i].last - 1);
                ranges--;
            }
        }
        if (ranges <= most && length < best)
            best = length;
    }
    return best;
}

START_TEST(no_cover_has_less_excess)
{
    struct test_random random = test_random_start(1);

    for (unsigned round = 0; round < 20000; round++) {
        /* At both ends of the address space, and across 2^32. */
        static const uint64_t bases[] = {0, UINT32_MAX - 31, UINT64_MAX - CELLS + 1};
        const uint64_t base = bases[round % 3], granule = UINT64_C(1)
                                                          << test_random_below(&random, 3);
        struct iovageom_range list[RANGES], out[RANGES];
        const size_t count = random_list(&random, base, list);
        const size_t most = 1 + test_random_below(&random, RANGES);
        bool cells[CELLS], own[CELLS], covered[CELLS];
        struct iovageom_size excess;
        unsigned length = 0, given = 0;
        size_t found;

        DO(iovageom_plan_cover(list, count, granule, most, out, RANGES, &found, &excess));
        property_check(found <= most);
        mark(list, count, base, granule, cells);
        mark(list, count, base, 1, own);
        mark(out, found, base, 1, covered);
        for (size_t i = 0; i < found; i++) {
            property_check(out[i].start % granule == 0 && (out[i].last + 1) % granule == 0);
            property_check(i == 0 || out[i].start > out[i - 1].last + 1); /* else it is one more */
        }
        for (unsigned at = 0; at < CELLS; at++) {
            property_check(covered[at] || !own[at]);
            length += covered[at];
            given += own[at];
        }
        property_check(length == least_cells(cells, most));
        property_check(excess.hi == 0 && excess.lo == length - given);
    }
}
END_TEST

/* ---- a migration ---- */

enum { IOVA_PAGES = 160, MEMORY_PAGES = 64, MOST = 3, PAGE = 0x1000, TABLE = 16 };

/* What a device logs: a bit for each page that it wrote to, in the ranges it was told to watch. */
struct machine {
    struct iovageom_range cover[MOST + 1];
    size_t cover_count;
    bool logged[IOVA_PAGES];
    struct iovageom_mapping table[TABLE]; /* ascending */
    size_t mappings;
    bool written[MEMORY_PAGES]; /* what really happened */
    bool sent[MEMORY_PAGES];    /* what the VMM knows of it */
    uint64_t unit;              /* bytes that a bit stands for */
};

/* Fetches the bits of a range, which clears them, and looks up what they mean. */
static void fetch(struct machine *machine, struct iovageom_range range)
{
    const uint64_t scale = machine->unit / PAGE, first = range.start / machine->unit;
    struct iovageom_range out[IOVA_PAGES];
    uint64_t words[(IOVA_PAGES + 63) / 64] = {0};
    struct iovageom_dirty_bitmap bitmap = {words, first * machine->unit, machine->unit,
                                           range.last / machine->unit - first + 1};
    size_t count;

    for (uint64_t i = 0; i < bitmap.pages * scale; i++) {
        bool *bit = &machine->logged[first * scale + i];

        words[i / scale / 64] |= (uint64_t)*bit << i / scale % 64;
        *bit = false;
    }
    DO(iovageom_plan_cover_dirty(machine->table, machine->mappings, &bitmap, out, IOVA_PAGES,
                                 &count));
    for (size_t i = 0; i < count; i++)
        for (uint64_t at = out[i].start / PAGE; at <= out[i].last / PAGE; at++)
            machine->sent[at] = true;
}

static void fetch_all(struct machine *machine)
{
    for (size_t i = 0; i < machine->cover_count; i++)
        fetch(machine, machine->cover[i]);
}

/* Starting anew drops what was logged, so that is fetched before. */
static void watch(struct machine *machine, const struct iovageom_range *cover, size_t count)
{
    fetch_all(machine);
    memset(machine->logged, 0, sizeof(machine->logged));
    memmove(machine->cover, cover, count * sizeof(*cover));
    machine->cover_count = count;
}

static void map(struct test_random *random, struct machine *machine)
{
    const uint64_t page = test_random_below(random, IOVA_PAGES - 8),
                   pages = 1 + test_random_below(random, 8);
    const struct iovageom_mapping fresh = {{page * PAGE, (page + pages) * PAGE - 1},
                                           test_random_below(random, MEMORY_PAGES - pages + 1) *
                                               PAGE,
                                           3};
    struct iovageom_range cover[MOST + 1];
    size_t place = 0, count;
    bool changed;

    while (place < machine->mappings && machine->table[place].range.last < fresh.range.start)
        place++;
    if (machine->mappings == TABLE ||
        (place < machine->mappings &&
         iovageom_range_overlaps(machine->table[place].range, fresh.range)))
        return;
    DO(iovageom_plan_cover_change(machine->cover, machine->cover_count, fresh.range, true,
                                  machine->unit, MOST, cover, MOST + 1, &count, &changed));
    if (changed)
        watch(machine, cover, count);
    memmove(&machine->table[place + 1], &machine->table[place],
            (machine->mappings - place) * sizeof(fresh));
    machine->table[place] = fresh;
    machine->mappings++;
}

static void unmap(struct test_random *random, struct machine *machine)
{
    struct iovageom_range cover[MOST + 1], gone;
    size_t place, count;
    bool changed;

    if (machine->mappings == 0)
        return;
    place = test_random_below(random, machine->mappings);
    gone = machine->table[place].range;
    fetch(machine, gone);
    machine->mappings--;
    memmove(&machine->table[place], &machine->table[place + 1],
            (machine->mappings - place) * sizeof(*machine->table));
    if (test_random_one_in(random, 2))
        return; /* it may watch more than it needs */
    DO(iovageom_plan_cover_change(machine->cover, machine->cover_count, gone, false, machine->unit,
                                  MOST, cover, MOST + 1, &count, &changed));
    if (changed)
        watch(machine, cover, count);
}

/* The device writes where something is mapped, and logs it if it watches the place. */
static void write_somewhere(struct test_random *random, struct machine *machine)
{
    const struct iovageom_mapping *mapping;
    uint64_t page, last;

    if (machine->mappings == 0)
        return;
    mapping = &machine->table[test_random_below(random, machine->mappings)];
    last = mapping->range.last / PAGE;
    page = mapping->range.start / PAGE;
    page += test_random_below(random, last - page + 1);
    machine->written[mapping->phys / PAGE + page - mapping->range.start / PAGE] = true;
    for (size_t i = 0; i < machine->cover_count; i++)
        machine->logged[page] |= iovageom_range_has(machine->cover[i], page * PAGE);
}

/* With a bit for each page the VMM knows exactly what was written to, too. */
START_TEST(no_page_that_was_written_to_is_lost)
{
    struct test_random random = test_random_start(2);
    unsigned some = 0;

    for (unsigned round = 0; round < 3000; round++) {
        struct machine machine = {.unit = (uint64_t)PAGE << test_random_below(&random, 3)};

        for (unsigned step = 0; step < 120; step++) {
            const uint64_t what = test_random_below(&random, 16);

            if (what < 4)
                map(&random, &machine);
            else if (what < 6)
                unmap(&random, &machine);
            else if (what == 6)
                fetch_all(&machine);
            else
                write_somewhere(&random, &machine);
            property_check(machine.cover_count <= MOST);
        }
        fetch_all(&machine);
        for (unsigned i = 0; i < MEMORY_PAGES; i++) {
            property_check(machine.sent[i] || !machine.written[i]);
            property_check(machine.unit > PAGE || machine.written[i] || !machine.sent[i]);
            some += machine.written[i];
        }
    }
    property_check(some > 3000 * MEMORY_PAGES / 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan_cover");

    property_add(suite, no_cover_has_less_excess);
    property_add(suite, no_page_that_was_written_to_is_lost);
    return property_run(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest.h"

#include <stdlib.h>
#include <string.h>

#include "basics.h"

#define GIB      (1ULL << 30)
#define BARS_MAX 256

/*
 * QEMU's models. RAM stands from `ram` on, in one piece when it is smaller than `low_limit`; else
 * `low` of it, and the rest from 4G on. BARs of 32 bits are between low RAM and what the chipset
 * has below 4G; those of 64 bits are above RAM, at a multiple of `high_step`.
 */
struct guest_machine {
    const char *name;
    uint64_t ram;
    uint64_t low_limit; /* 0: RAM is never parted */
    uint64_t low;
    struct iovageom_range window;
    uint64_t high_step;
};

static const struct guest_machine machines[] = {
    {"pc", 0, 7 * GIB / 2, 3 * GIB, {0xe0000000, 0xfebfffff}, GIB},
    {"q35", 0, 11 * GIB / 4, 2 * GIB, {0xc0000000, 0xfebfffff}, GIB},
    {"virt", GIB, 0, 0, {0x10000000, 0x3efeffff}, 512 * GIB},
};

const char guest_help[] =
    "     --ram SIZE|RANGE,...\n"
    "                       the guest's RAM: laid out as its machine does, or where\n"
    "                       it is\n"
    "     --machine NAME    pc, q35 or virt, of QEMU; else what suits the host\n"
    "     --bar SIZE[@ADDRESS][,fixed][,32bit]\n"
    "                       a BAR of an assigned device, and where the guest has it\n"
    "     --phys-bits N     the guest's CPU has N bits of physical addresses, by\n"
    "                       which its firmware (edk2) places 64-bit BARs\n";

const struct guest_machine *guest_machine(const char *name)
{
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        if (strcmp(machines[i].name, name) == 0)
            return &machines[i];
    }
    return NULL;
}

const char *guest_machine_name(const struct guest *guest)
{
    return guest->machine->name;
}

static unsigned read_bits(const char *words)
{
    char *end;
    unsigned long bits = strtoul(words, &end, 10);

    if (*words < '0' || *words > '9' || *end != '\0' || bits < 32 || bits > 57)
        die(EXIT_USAGE, "--phys-bits: %s: not a number from 32 to 57",
            quoted(words, strlen(words)));
    return (unsigned)bits;
}

bool guest_option(struct guest *guest, int option, const char *words)
{
    const char *wrong = NULL;

    switch (option) {
    case 'm':
        wrong = guest_read_ram(words, keep(GUEST_RANGES_MAX * sizeof(struct iovageom_range)),
                               &guest->ram);
        break;
    case 'T':
        guest->machine = guest_machine(words);
        wrong = guest->machine == NULL ? "the machines are pc, q35 and virt" : NULL;
        break;
    case 'b':
        if (guest->bar_count == BARS_MAX)
            die(EXIT_USAGE, "--bar: more than %d BARs", BARS_MAX);
        guest->bars = keep_grown(guest->bars, guest->bar_count, sizeof(*guest->bars));
        wrong = guest_read_bar(words, &guest->bars[guest->bar_count++]);
        break;
    case 'P':
        guest->physical_bits = read_bits(words);
        break;
    default:
        return false;
    }
    if (wrong != NULL)
        die(EXIT_USAGE, "--%s: %s: %s",
            option == 'm'   ? "ram"
            : option == 'b' ? "bar"
                            : "machine",
            quoted(words, strlen(words)), wrong);
    return true;
}

void guest_add_bars(struct guest *guest, const struct bars *bars)
{
    for (size_t i = 0; i < bars->count && guest->bar_count < BARS_MAX; i++) {
        guest->bars = keep_grown(guest->bars, guest->bar_count, sizeof(*guest->bars));
        guest->bars[guest->bar_count++] =
            (struct guest_bar){.size = bars->list[i].size, .low = bars->list[i].low};
    }
}

/* ---- the pieces ---- */

static struct iovageom_piece *add_piece(struct guest *guest, struct iovageom_range range,
                                        enum iovageom_piece_kind kind, const char *name)
{
    struct iovageom_piece *piece;

    guest->names = keep_grown(guest->names, guest->count, sizeof(*guest->names));
    guest->pieces = keep_grown(guest->pieces, guest->count, sizeof(*guest->pieces));
    guest->names[guest->count] = name;
    piece = &guest->pieces[guest->count++];
    *piece =
        (struct iovageom_piece){range, (uint32_t)kind, IOVAGEOM_PIECE_MOVABLE, 0, {0, UINT64_MAX}};
    if (kind == IOVAGEOM_PIECE_RAM)
        piece->flags |= IOVAGEOM_PIECE_SPLITTABLE;
    return piece;
}

static void add_ram(struct guest *guest, uint64_t start, uint64_t size)
{
    struct iovageom_range range;

    if (iovageom_range_from_length(start, size, &range) == 0)
        (void)add_piece(guest, range, IOVAGEOM_PIECE_RAM, "RAM");
}

static void lay_ram(struct guest *guest)
{
    const struct guest_machine *machine = guest->machine;
    uint64_t size = guest->ram.size;
    bool parted = machine->low_limit != 0 && size >= machine->low_limit;

    for (size_t i = 0; i < guest->ram.count; i++)
        (void)add_piece(guest, guest->ram.ranges[i], IOVAGEOM_PIECE_RAM, "RAM");
    if (size == 0)
        return;
    add_ram(guest, machine->ram, parted ? machine->low : size);
    if (parted)
        add_ram(guest, 4 * GIB, size - machine->low);
}

/* The lowest place for a BAR in `window` that no piece has; false when there is none. */
static bool free_place(const struct guest *guest, struct iovageom_range window, uint64_t size,
                       struct iovageom_range *out)
{
    uint64_t start = (window.start + size - 1) & ~(size - 1);
    bool moved = start >= window.start;

    while (moved && start <= window.last && window.last - start >= size - 1) {
        *out = (struct iovageom_range){start, start + (size - 1)};
        moved = false;
        for (size_t i = 0; i < guest->count && !moved; i++) {
            if (!iovageom_range_overlaps(guest->pieces[i].range, *out))
                continue;
            start = guest->pieces[i].range.last / size * size;
            moved = start <= UINT64_MAX - size;
            start += size;
            if (!moved)
                return false;
        }
        if (!moved)
            return true;
    }
    return false;
}

/* Where firmware looks for places for 64-bit BARs. */
static struct iovageom_range high_window(const struct guest *guest)
{
    uint64_t step = guest->machine->high_step;
    uint64_t top = 4 * GIB - 1;

    if (guest->physical_bits != 0) {
        uint64_t eighth = 1ULL << (guest->physical_bits - 3);

        return (struct iovageom_range){7 * eighth, 8 * eighth - 1};
    }
    for (size_t i = 0; i < guest->count; i++) {
        if (guest->pieces[i].kind == IOVAGEOM_PIECE_RAM && guest->pieces[i].range.last > top)
            top = guest->pieces[i].range.last;
    }
    if (top >= UINT64_MAX - step)
        return (struct iovageom_range){top, UINT64_MAX};
    return (struct iovageom_range){(top / step + 1) * step, UINT64_MAX};
}

static void lay_bar(struct guest *guest, const struct guest_bar *bar)
{
    const char *size = size_text((struct iovageom_size){0, bar->size});
    struct iovageom_piece *piece;
    struct iovageom_range range = {0, 0};

    if (bar->has_address)
        (void)iovageom_range_from_length(bar->address, bar->size, &range);
    else if (!free_place(guest, bar->low ? guest->machine->window : high_window(guest), bar->size,
                         &range))
        die(EXIT_USAGE, "--bar: no place for %s%s in machine %s; give an address", size,
            bar->low ? " below 4G" : "", guest->machine->name);
    piece = add_piece(guest, range, IOVAGEOM_PIECE_BAR, text("BAR %s", size));
    if (bar->fixed)
        piece->flags = 0;
    if (bar->low)
        piece->limits.last = 4 * GIB - 1;
}

static int larger_first(const void *a, const void *b)
{
    const struct guest_bar *one = a;
    const struct guest_bar *two = b;

    return (one->size < two->size) - (one->size > two->size);
}

void guest_lay_out(struct guest *guest, bool arm)
{
    struct guest_bar *sorted = keep((guest->bar_count + 1) * sizeof(*sorted));

    if (guest->machine == NULL)
        guest->machine = guest_machine(arm ? "virt" : "q35");
    lay_ram(guest);
    if (guest->bar_count != 0)
        memcpy(sorted, guest->bars, guest->bar_count * sizeof(*sorted));
    qsort(sorted, guest->bar_count, sizeof(*sorted), larger_first);
    /* Those that have a place first, so that no other is put there. */
    for (size_t i = 0; i < guest->bar_count; i++) {
        if (sorted[i].has_address)
            lay_bar(guest, &sorted[i]);
    }
    for (size_t i = 0; i < guest->bar_count; i++) {
        if (!sorted[i].has_address)
            lay_bar(guest, &sorted[i]);
    }
}

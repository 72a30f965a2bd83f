/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_GUEST_H
#define HOST_PROBE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/plan_layout.h>

#include "bars.h"

/* A guest's memory and BARs, as options say them, and where a machine's model has them. */

/** A BAR as an option gives it: SIZE[@ADDRESS][,fixed][,32bit]. */
struct guest_bar {
    uint64_t size; /**< a power of two */
    bool has_address;
    uint64_t address;
    bool fixed; /**< it can't be elsewhere */
    bool low;   /**< it has 32 bits: below 4G */
};

/** NULL, or what is wrong with the words. */
const char *guest_read_bar(const char *words, struct guest_bar *bar);

/** RAM as an option gives it: a size, to be laid out, or ranges with commas between them. */
struct guest_ram {
    uint64_t size; /**< 0 where ranges are given */
    struct iovageom_range *ranges;
    size_t count;
};

#define GUEST_RANGES_MAX 256

/** NULL, or what is wrong with the words. `ranges` has room for GUEST_RANGES_MAX. */
const char *guest_read_ram(const char *words, struct iovageom_range *ranges, struct guest_ram *ram);

/** Where a machine's model has RAM and BARs. */
struct guest_machine;

/** The machine "pc", "q35" or "virt"; NULL for another name. */
const struct guest_machine *guest_machine(const char *name);

/** A guest: pieces[i] is called names[i] ("RAM", "BAR 64G"). */
struct guest {
    const struct guest_machine *machine;
    struct guest_ram ram;
    struct guest_bar *bars;
    size_t bar_count;
    unsigned physical_bits; /**< of its CPU, if firmware places BARs by that; 0 when not known */
    struct iovageom_piece *pieces;
    const char **names;
    size_t count;
};

/** Takes an option; false for one that is none of a guest's. What is wrong ends the program. */
bool guest_option(struct guest *guest, int option, const char *words);

/** Adds the BARs of a device, which firmware will place. */
void guest_add_bars(struct guest *guest, const struct bars *bars);

/** The options of a guest, for getopt_long, and what --help says of them. */
#define GUEST_LONG                                                                                 \
    {"ram", required_argument, NULL, 'm'}, {"machine", required_argument, NULL, 'T'},              \
        {"bar", required_argument, NULL, 'b'},                                                     \
    {                                                                                              \
        "phys-bits", required_argument, NULL, 'P'                                                  \
    }
extern const char guest_help[];

/** Makes the pieces. `arm` says which machine is meant where none was named. */
void guest_lay_out(struct guest *guest, bool arm);

/** "q35" */
const char *guest_machine_name(const struct guest *guest);

#endif

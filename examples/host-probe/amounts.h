/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_AMOUNTS_H
#define HOST_PROBE_AMOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/range.h>

/*
 * Sizes and ranges as people write them. Numbers are decimal or begin with 0x, and may end in K, M,
 * G, T, P or E (powers of 1024), with or without "iB"; a decimal one may have a fraction ("1.5T").
 */

static inline bool is_power(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/** What a hexadecimal digit is worth; -1 for another byte. */
int hex_digit(char byte);

/** How many hexadecimal digits stand at `at`. */
size_t hex_run(const char *at, const char *end);

/** A number at *words, which is moved behind it. False, and *words untouched, where there is
 * none. */
bool amount_take(const char **words, uint64_t *value);

/** The whole of `words` as a number. */
bool amount_read(const char *words, uint64_t *value);

/**
 * The whole of `words` as a range: START-LAST and START..LAST, both included, [START,LAST] as this
 * program prints it, START+SIZE, or an address alone.
 */
bool amount_range(const char *words, struct iovageom_range *range);

/** The same of `length` bytes at `words`, of which 63 are the most. */
bool amount_range_part(const char *words, size_t length, struct iovageom_range *range);

/** Bytes of the address of a PCI device, the 0 included. */
#define PCI_ADDRESS_SIZE 17

/**
 * The address of a PCI device at `at`: "0000:3b:00.0", "3b:00.0" of domain 0, "10000:e1:00.0"
 * behind a controller that has a domain of its own, "00000000:3B:00.0" of NVIDIA's tools. It is
 * written as Linux does. Returns how long it is there; 0 where there is none, and `address` is of
 * no use.
 */
size_t pci_address(const char *at, const char *end, char address[PCI_ADDRESS_SIZE]);

#endif

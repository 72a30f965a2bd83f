/* SPDX-License-Identifier: BSD-3-Clause */
#include "amounts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

/* Bits that the value is to be shifted by; the unit is passed over. */
static unsigned take_unit(const char **at)
{
    static const char units[] = "KMGTPE";
    const char upper = **at >= 'a' && **at <= 'z' ? (char)(**at - 'a' + 'A') : **at;
    const char *unit = upper != '\0' ? strchr(units, upper) : NULL;

    if (unit == NULL)
        return 0;
    (*at)++;
    if ((*at)[0] == 'i' && (*at)[1] == 'B')
        *at += 2;
    return 10 * (unsigned)(unit - units + 1);
}

/* "5" of "1.5T": what it adds, of a unit of 2^shift bytes. At most 9 digits. */
static bool take_fraction(const char **at, uint64_t *numerator, uint64_t *denominator)
{
    *numerator = 0;
    *denominator = 1;
    if (**at != '.' || (*at)[1] < '0' || (*at)[1] > '9')
        return true;
    for ((*at)++; **at >= '0' && **at <= '9'; (*at)++) {
        if (*denominator == 1000000000)
            return false;
        *numerator = *numerator * 10 + (unsigned)(**at - '0');
        *denominator *= 10;
    }
    return true;
}

/* numerator/denominator of 2^shift, where that is a whole number of bytes or is rounded down. */
static uint64_t part_of(uint64_t numerator, uint64_t denominator, unsigned shift)
{
    uint64_t value = 0;

    /* Bit by bit, as the product may not fit. */
    for (unsigned i = 0; i < shift; i++) {
        numerator *= 2;
        value = value * 2 + (numerator >= denominator);
        if (numerator >= denominator)
            numerator -= denominator;
    }
    return value;
}

bool amount_take(const char **words, uint64_t *value)
{
    const char *at = *words;
    bool hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
    unsigned base = hex ? 16 : 10;
    uint64_t number = 0, numerator = 0, denominator = 1, part;
    const char *first;
    unsigned shift;

    if (hex)
        at += 2;
    for (first = at; hex_digit(*at) >= 0 && (unsigned)hex_digit(*at) < base; at++) {
        unsigned digit = (unsigned)hex_digit(*at);

        if (number > (UINT64_MAX - digit) / base)
            return false;
        number = number * base + digit;
    }
    if (at == first || (!hex && !take_fraction(&at, &numerator, &denominator)))
        return false;
    shift = take_unit(&at);
    if ((numerator != 0 && shift == 0) || number > UINT64_MAX >> shift)
        return false;
    part = part_of(numerator, denominator, shift);
    *value = (number << shift) + part;
    *words = at;
    return true;
}

bool amount_read(const char *words, uint64_t *value)
{
    uint64_t number;

    if (!amount_take(&words, &number) || *words != '\0')
        return false;
    *value = number;
    return true;
}

bool amount_range(const char *words, struct iovageom_range *range)
{
    bool brackets = *words == '[';
    struct iovageom_range made;
    uint64_t second;

    words += brackets;
    if (!amount_take(&words, &made.start))
        return false;
    made.last = made.start;
    if (!brackets && *words == '+') {
        words++;
        if (!amount_take(&words, &second) || *words != '\0' ||
            iovageom_range_from_length(made.start, second, &made) < 0)
            return false;
        *range = made;
        return true;
    }
    if (brackets ? *words == ',' : *words == '-')
        words++;
    else if (!brackets && words[0] == '.' && words[1] == '.')
        words += 2;
    else if (!brackets && *words == '\0') {
        *range = made;
        return true;
    } else
        return false;
    if (!amount_take(&words, &made.last) || (brackets && *words++ != ']') || *words != '\0' ||
        !iovageom_range_valid(made))
        return false;
    *range = made;
    return true;
}

bool amount_range_part(const char *words, size_t length, struct iovageom_range *range)
{
    char copy[64];

    if (length >= sizeof(copy) || memchr(words, '\0', length) != NULL)
        return false;
    memcpy(copy, words, length);
    copy[length] = '\0';
    return amount_range(copy, range);
}

size_t hex_run(const char *at, const char *end)
{
    size_t count = 0;

    while (at + count < end && hex_digit(at[count]) >= 0)
        count++;
    return count;
}

size_t pci_address(const char *at, const char *end, char address[PCI_ADDRESS_SIZE])
{
    const char *domain = "0000", *here = at;
    size_t digits = 4, run = hex_run(at, end);

    if (run >= 4 && run <= 8 && at + run < end && at[run] == ':') {
        for (domain = at, digits = run; digits > 4 && *domain == '0'; digits--)
            domain++;
        here = at + run + 1;
        run = hex_run(here, end);
    }
    if (run != 2 || end - here < 7 || here[2] != ':' || hex_run(here + 3, end) != 2 ||
        hex_digit(here[3]) > 1 || here[5] != '.' || here[6] < '0' || here[6] > '7' ||
        (end - here > 7 && (isalnum((unsigned char)here[7]) != 0 || here[7] == '_')))
        return 0;
    (void)snprintf(address, PCI_ADDRESS_SIZE, "%.*s:%.7s", (int)digits, domain, here);
    for (char *c = address; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return (size_t)(here - at) + 7;
}

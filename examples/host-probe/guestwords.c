/* SPDX-License-Identifier: BSD-3-Clause */

/* How RAM and BARs of a guest are written. Nothing here allocates. */

#include <string.h>

#include "amounts.h"
#include "guest.h"

#define BELOW_4G 0xffffffff

static const char *take_flag(const char **at, struct guest_bar *bar)
{
    if (strncmp(*at, ",fixed", 6) == 0) {
        *at += 6;
        bar->fixed = true;
    } else if (strncmp(*at, ",32bit", 6) == 0) {
        *at += 6;
        bar->low = true;
    } else {
        return "after the size come @ADDRESS, ,fixed and ,32bit";
    }
    return NULL;
}

const char *guest_read_bar(const char *words, struct guest_bar *bar)
{
    struct guest_bar made = {.size = 0};
    struct iovageom_range range;
    const char *wrong = NULL;

    if (!amount_take(&words, &made.size) || !is_power(made.size))
        return "the size of a BAR is a power of two";
    if (*words == '@') {
        words++;
        made.has_address = amount_take(&words, &made.address);
        if (!made.has_address)
            return "after @ comes an address";
    }
    while (*words != '\0' && wrong == NULL)
        wrong = take_flag(&words, &made);
    if (wrong != NULL)
        return wrong;
    if (made.fixed && !made.has_address)
        return "what is fixed has an address";
    if (made.has_address && iovageom_range_from_length(made.address, made.size, &range) < 0)
        return "it ends above 2^64-1";
    if (made.low && (made.size > 1ULL << 31 || (made.has_address && range.last > BELOW_4G)))
        return "a BAR of 32 bits is below 4G";
    *bar = made;
    return NULL;
}

const char *guest_read_ram(const char *words, struct iovageom_range *ranges, struct guest_ram *ram)
{
    struct guest_ram made = {.size = 0, .ranges = ranges};

    if (amount_read(words, &made.size)) {
        if (made.size == 0)
            return "a guest has some RAM";
        if (made.size > 1ULL << 60)
            return "more than 1E is not laid out";
        *ram = made;
        return NULL;
    }
    made.size = 0;
    for (const char *end = words; *end != '\0';) {
        struct iovageom_range *range = &ranges[made.count];

        words = end;
        end = strchr(words, ',');
        /* "[a,b]" has a comma of its own. */
        if (*words == '[' && end != NULL)
            end = strchr(end + 1, ',');
        if (end == NULL)
            end = words + strlen(words);
        if (made.count == GUEST_RANGES_MAX)
            return "there are more than 256 ranges";
        if (!amount_range_part(words, (size_t)(end - words), range))
            return "RAM is a size, or ranges (START-LAST, START+SIZE) with commas between them";
        for (size_t i = 0; i < made.count; i++) {
            if (iovageom_range_overlaps(ranges[i], *range))
                return "ranges of RAM overlap";
        }
        made.count++;
        if (*end == ',' && *++end == '\0')
            return "after the last comma a range is missing";
    }
    if (made.count == 0)
        return "a guest has some RAM";
    *ram = made;
    return NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/host_sysfs.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/range.h"
#include "../base/text.h"
#include "../geometry/internal.h"

/*
 * Text of /sys/kernel/iommu_groups/N/reserved_regions: one region in each line, "0xSTART 0xLAST
 * TYPE". And registers of an IOMMU, as hexadecimal numbers.
 */

/* Linux writes at most one page less the terminating 0, and drops the rest without an error. With
 * pages of 4096 bytes, the smallest, that is after about 80 regions. */
#define FULL_PAGE 4095

/* The window that Linux chooses for MSI doorbells (B3): MSI_IOVA_BASE and 1 MiB. */
#define SOFTWARE_MSI_START 0x8000000
#define SOFTWARE_MSI_LAST  0x80fffff

/* EFR bit 6, IASup: the command INVALIDATE_IOMMU_ALL is there. In EFR2 the bit is reserved and 0,
 * so it tells the two registers apart. */
#define AMD_EFR_IASUP ((uint64_t)1 << 6)

/* What is left of a text that is read from its front: [at, end). It has no NUL at its end. */
struct scan {
    const char *at;
    const char *end;
};

/* Passes over blanks, and over all of another character. */
static void skip(struct scan *scan, char other)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == other))
        scan->at++;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 'a' - 'A';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal digits, behind 0x if that is `wanted` or there. An error does not move `scan`. */
static int scan_hex(struct scan *scan, bool wanted, uint64_t *value)
{
    bool prefix = scan->end - scan->at >= 2 && scan->at[0] == '0' && scan->at[1] == 'x';
    const char *digits = prefix ? scan->at + 2 : scan->at;
    const char *at = digits;
    uint64_t sum = 0;
    bool overflow = false;

    for (; at < scan->end && hex_digit(*at) >= 0; at++) {
        overflow = overflow || sum >> 60 != 0;
        sum = sum << 4 | (uint64_t)hex_digit(*at);
    }
    if (at == digits || (wanted && !prefix))
        return IOVAGEOM_ERR_SYNTAX;
    if (overflow)
        return IOVAGEOM_ERR_OVERFLOW;
    scan->at = at;
    *value = sum;
    return IOVAGEOM_OK;
}

/* An address with 0x, and the blanks that must follow it. */
static int scan_address(struct scan *scan, uint64_t *value)
{
    int status = scan_hex(scan, true, value);
    const char *after = scan->at;

    skip(scan, '\t');
    return status == IOVAGEOM_OK && scan->at == after ? IOVAGEOM_ERR_SYNTAX : status;
}

/*
 * The word for the type of region->range, which ends the line. Linux writes "msi" also for a
 * software MSI window, which only its addresses distinguish from a window of the hardware. A word
 * that may be a type of a later kernel (small letters, - and _) is IOVAGEOM_ERR_UNSUPPORTED and not
 * IOVAGEOM_ERR_SYNTAX: the region is known, only its type is not.
 */
static int scan_type(struct scan *scan, struct iovageom_region *region)
{
    const struct iovageom_range software_msi = {SOFTWARE_MSI_START, SOFTWARE_MSI_LAST};
    const char *const word = scan->at;
    bool odd = false;
    size_t length;

    for (; scan->at < scan->end && *scan->at != ' ' && *scan->at != '\t'; scan->at++)
        odd |= (*scan->at < 'a' || *scan->at > 'z') && *scan->at != '-' && *scan->at != '_';
    length = (size_t)(scan->at - word);
    skip(scan, '\t');
    if (length == 0 || odd || scan->at != scan->end)
        return IOVAGEOM_ERR_SYNTAX;
    for (uint32_t i = IOVAGEOM_RESV_DIRECT_RELAXABLE; i <= IOVAGEOM_RESV_MSI; i++) {
        const char *name = iovageom_resv_type_string((enum iovageom_resv_type)i);

        if (i == IOVAGEOM_RESV_SOFTWARE_MSI || iovageom_text_length(name, SIZE_MAX) != length ||
            memcmp(name, word, length) != 0)
            continue;
        region->type = i == IOVAGEOM_RESV_MSI && iovageom_range_equal(region->range, software_msi)
                           ? IOVAGEOM_RESV_SOFTWARE_MSI
                           : i;
        return IOVAGEOM_OK;
    }
    return IOVAGEOM_ERR_UNSUPPORTED;
}

/*
 * Reads one line without its newline. IOVAGEOM_ERR_UNSUPPORTED: all but the type is set.
 * IOVAGEOM_ERR_NOT_FOUND: a region of length 0, whatever its type. Linux prints last as start +
 * length - 1, so that such a region has a last just below its start. It reserves nothing.
 */
static int read_line(struct scan line, struct iovageom_region *region)
{
    struct iovageom_range *range = &region->range;
    int status = scan_address(&line, &range->start);

    if (status == IOVAGEOM_OK)
        status = scan_address(&line, &range->last);
    if (status == IOVAGEOM_OK)
        status = scan_type(&line, region);
    if (status != IOVAGEOM_OK && status != IOVAGEOM_ERR_UNSUPPORTED)
        return status;
    if (iovageom_range_precedes_directly(*range, *range))
        return IOVAGEOM_ERR_NOT_FOUND;
    return iovageom_range_valid(*range) ? status : IOVAGEOM_ERR_INVERTED;
}

/* Takes the next line, without its newline and the blanks before it. The last line has no newline
 * if it ends where the text does. */
static bool next_line(struct scan *rest, struct scan *line)
{
    *line = *rest;
    while (rest->at < rest->end && *rest->at != '\n')
        rest->at++;
    line->end = rest->at;
    rest->at += rest->at < rest->end;
    skip(line, '\t');
    return rest->at > line->end || line->at < line->end;
}

/* A text that is read. What it says goes into `fresh`. When all is read, the caller's geometry is
 * narrowed to that: all or nothing. */
struct reading {
    struct scan text;
    bool lenient;
    bool full; /* it may have been cut off: see FULL_PAGE */
    struct iovageom_geometry *fresh;
    size_t passed_over; /* number of the first line that was skipped; 0 for none */
    bool understood;    /* at least one line was understood */
    size_t fault;       /* number of the line that is the reason for an error; 0 for none */
};

/*
 * Adds a region. Linux merges regions of one type that overlap, so overlapping lines are a sign of
 * a bad file. But it doesn't merge with a region that ends at 2^64-1 (B3), and prints both. (The
 * owner that `fresh` has for itself is that of what was added last.)
 */
static int add_region(struct reading *reading, const struct iovageom_region *region)
{
    const struct iovageom_geometry_fact *earlier = iovageom_geometry_facts_of(
        reading->fresh, IOVAGEOM_FACT_REGIONS + region->type, &reading->fresh->self, NULL);
    struct iovageom_range other;

    reading->understood = true;
    if (!reading->lenient && earlier != NULL &&
        iovageom_rangeset_first_overlap(earlier->ranges, region->range, &other) &&
        other.last != IOVAGEOM_ADDRESS_MAX)
        return iovageom_range_equal(other, region->range) ? IOVAGEOM_ERR_EXISTS
                                                          : IOVAGEOM_ERR_OVERLAP;
    return iovageom_geometry_add_reserved(reading->fresh, region->range,
                                          (enum iovageom_resv_type)region->type,
                                          IOVAGEOM_SOURCE_SYSFS);
}

/*
 * Reads all lines; an error of one refuses the whole text. If the last one has no newline and can't
 * be understood, it was probably cut off: IOVAGEOM_ERR_TRUNCATED.
 *
 * A region of unknown type counts as reserved if the mode is lenient. A line that can't be
 * understood is skipped if the mode is lenient, or if it was cut off in a text that fills a page;
 * the result is then marked incomplete. So leniency never makes an address usable that a line
 * reserves, except where the geometry says that it is incomplete.
 *
 * A text of which no line was understood is IOVAGEOM_ERR_UNKNOWN: it must not pass for one that
 * reserves nothing. An empty text does reserve nothing.
 */
static int read_text(struct reading *reading)
{
    struct scan rest = reading->text, line;

    for (size_t number = 1; next_line(&rest, &line); number++) {
        struct iovageom_region region = {.type = IOVAGEOM_RESV_RESERVED};
        int status = line.at < line.end ? read_line(line, &region) : IOVAGEOM_ERR_NOT_FOUND;

        if (status == IOVAGEOM_ERR_NOT_FOUND)
            continue;
        if (line.end == rest.end &&
            (status == IOVAGEOM_ERR_SYNTAX || status == IOVAGEOM_ERR_UNSUPPORTED))
            status = IOVAGEOM_ERR_TRUNCATED;
        if (status == IOVAGEOM_OK || (status == IOVAGEOM_ERR_UNSUPPORTED && reading->lenient)) {
            status = add_region(reading, &region);
        } else if (reading->lenient || (status == IOVAGEOM_ERR_TRUNCATED && reading->full)) {
            if (reading->passed_over == 0)
                reading->passed_over = number;
            continue;
        }
        if (status != IOVAGEOM_OK) {
            reading->fault = status != IOVAGEOM_ERR_NO_MEMORY ? number : 0;
            return status;
        }
    }
    reading->fault = reading->understood ? 0 : reading->passed_over;
    return reading->fault == 0 ? IOVAGEOM_OK : IOVAGEOM_ERR_UNKNOWN;
}

int iovageom_host_sysfs_reserved_regions(const char *text, size_t length,
                                         enum iovageom_sysfs_mode mode, size_t *line,
                                         struct iovageom_geometry *geometry)
{
    struct reading reading = {.text = {text, length > 0 ? text + length : text},
                              .lenient = mode == IOVAGEOM_SYSFS_LENIENT,
                              .full = length >= FULL_PAGE};
    int status = iovageom_geometry_new(&geometry->allocator, geometry->self.name, &reading.fresh);

    if (status != IOVAGEOM_OK)
        return status;
    status = read_text(&reading);
    /* That the regions are known is a fact of its own, which holds without any region, too. */
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_add_reserved_known(reading.fresh, IOVAGEOM_SOURCE_SYSFS);
    if (status == IOVAGEOM_OK &&
        (reading.passed_over != 0 || reading.full || (length > 0 && text[length - 1] != '\n')))
        status = iovageom_geometry_add_incomplete(reading.fresh, IOVAGEOM_SOURCE_SYSFS);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_narrow(geometry, reading.fresh);
    if (line != NULL && (status == IOVAGEOM_OK || reading.fault != 0))
        *line = reading.fault;
    iovageom_geometry_free(reading.fresh);
    return status;
}

/* A register or, if `second` is not NULL, one or two with a colon between; then only blanks. */
static int read_registers(const char *text, size_t length, uint64_t *first, uint64_t *second)
{
    struct scan scan = {text, text + length};
    int status = scan_hex(&scan, false, first);

    if (status == IOVAGEOM_OK && second != NULL && scan.at < scan.end && *scan.at == ':') {
        scan.at++;
        status = scan_hex(&scan, false, second);
    }
    skip(&scan, '\n');
    return status == IOVAGEOM_OK && scan.at < scan.end ? IOVAGEOM_ERR_SYNTAX : status;
}

int iovageom_host_sysfs_register(const char *text, size_t length, uint64_t *value)
{
    uint64_t read;
    int status = read_registers(text, length, &read, NULL);

    if (status == IOVAGEOM_OK)
        *value = read;
    return status;
}

/* Which of two words is EFR: host_sysfs.h has the rule. Where one word is 0, or not there, the
 * other is EFR: some hardware has only an EFR, but none has only an EFR2. */
int iovageom_host_sysfs_amd_features(const char *text, size_t length, uint64_t *efr, uint64_t *efr2)
{
    uint64_t words[2] = {0, 0};
    int status = read_registers(text, length, &words[0], &words[1]);
    bool second = words[1] != 0;

    if (status != IOVAGEOM_OK)
        return status;
    if (((words[0] ^ words[1]) & AMD_EFR_IASUP) != 0)
        second = (words[1] & AMD_EFR_IASUP) != 0;
    else if (words[0] != 0 && second)
        return IOVAGEOM_ERR_UNKNOWN;
    *efr = words[second];
    if (efr2 != NULL)
        *efr2 = words[!second];
    return IOVAGEOM_OK;
}

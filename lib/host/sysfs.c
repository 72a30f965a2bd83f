/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/host_sysfs.h>

#include <iovageom/rangeset.h>
#include <iovageom/status.h>

#include "../base/range.h"
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

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t'))
        scan->at++;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 'a' - 'A';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal digits, with 0x before them or, unless it is `wanted`, without. On an error `scan` has not
 * moved. */
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

    skip_blanks(scan);
    return status == IOVAGEOM_OK && scan->at == after ? IOVAGEOM_ERR_SYNTAX : status;
}

static bool is_word(const struct scan *word, const char *text)
{
    size_t length = (size_t)(word->end - word->at);

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\0' || text[i] != word->at[i])
            return false;
    }
    return text[length] == '\0';
}

/*
 * The type that a word names. Linux writes "msi" also for a software MSI window, which only its
 * addresses distinguish from a window of the hardware. A word that may be a type of a later kernel
 * (small letters, - and _) is IOVAGEOM_ERR_UNSUPPORTED and not IOVAGEOM_ERR_SYNTAX: the region is
 * known, only its type is not.
 */
static int read_type(const struct scan *word, struct iovageom_range range,
                     enum iovageom_resv_type *type)
{
    for (int i = IOVAGEOM_RESV_DIRECT_RELAXABLE; i <= IOVAGEOM_RESV_MSI; i++) {
        if (i == IOVAGEOM_RESV_SOFTWARE_MSI ||
            !is_word(word, iovageom_resv_type_string((enum iovageom_resv_type)i)))
            continue;
        *type = (enum iovageom_resv_type)i;
        if (i == IOVAGEOM_RESV_MSI && range.start == SOFTWARE_MSI_START &&
            range.last == SOFTWARE_MSI_LAST)
            *type = IOVAGEOM_RESV_SOFTWARE_MSI;
        return IOVAGEOM_OK;
    }
    for (const char *at = word->at; at < word->end; at++) {
        if (!((*at >= 'a' && *at <= 'z') || *at == '-' || *at == '_'))
            return IOVAGEOM_ERR_SYNTAX;
    }
    return word->at == word->end ? IOVAGEOM_ERR_SYNTAX : IOVAGEOM_ERR_UNSUPPORTED;
}

/*
 * Reads one line without its newline. *range is valid on success and with IOVAGEOM_ERR_UNSUPPORTED.
 * IOVAGEOM_ERR_NOT_FOUND: a region of length 0, whatever its type. Linux prints last as start +
 * length - 1, so that such a region has a last just below its start. It reserves nothing.
 */
static int read_line(struct scan line, struct iovageom_range *range, enum iovageom_resv_type *type)
{
    struct iovageom_range read = {0, 0};
    struct scan word;
    int status = scan_address(&line, &read.start);

    if (status == IOVAGEOM_OK)
        status = scan_address(&line, &read.last);
    if (status != IOVAGEOM_OK)
        return status;
    word = line;
    while (line.at < line.end && *line.at != ' ' && *line.at != '\t')
        line.at++;
    word.end = line.at;
    skip_blanks(&line);
    if (line.at != line.end)
        return IOVAGEOM_ERR_SYNTAX;
    status = read_type(&word, read, type);
    if (status != IOVAGEOM_OK && status != IOVAGEOM_ERR_UNSUPPORTED)
        return status;
    if (iovageom_range_precedes_directly((struct iovageom_range){read.last, read.last},
                                         (struct iovageom_range){read.start, read.start}))
        return IOVAGEOM_ERR_NOT_FOUND;
    if (!iovageom_range_valid(read))
        return IOVAGEOM_ERR_INVERTED;
    *range = read;
    return status;
}

/* Takes the next line, without its newline and the blanks before it. The last line has no newline if
 * it ends where the text does. */
static bool next_line(struct scan *rest, struct scan *line)
{
    *line = *rest;
    while (rest->at < rest->end && *rest->at != '\n')
        rest->at++;
    line->end = rest->at;
    rest->at += rest->at < rest->end;
    skip_blanks(line);
    return rest->at > line->end || line->at < line->end;
}

/* A text that is read. What it says goes into `fresh`. When all is read, the caller's geometry is
 * narrowed to that: all or nothing. */
struct reading {
    const char *text;
    size_t length;
    bool lenient;
    struct iovageom_geometry *fresh;
    struct iovageom_owner owner;
    size_t passed_over; /* number of the first line that was skipped; 0 for none */
    bool understood;    /* at least one line was understood */
    size_t fault;       /* number of the line that is the reason for an error; 0 for none */
};

/*
 * Handles a line that was read with `status`; an error refuses the whole text. A region of unknown
 * type counts as reserved if the mode is lenient. A line that can't be understood is skipped if the
 * mode is lenient, or if it was cut off in a text that fills a page; the result is then marked
 * incomplete. So leniency never makes an address usable that a line reserves, except where the
 * geometry says that it is incomplete.
 */
static int take_line(struct reading *reading, size_t line, int status, struct iovageom_range range,
                     enum iovageom_resv_type type)
{
    const struct iovageom_geometry_fact *earlier;
    struct iovageom_range other;
    size_t count;

    if (status == IOVAGEOM_ERR_UNSUPPORTED && reading->lenient) {
        type = IOVAGEOM_RESV_RESERVED;
        status = IOVAGEOM_OK;
    } else if (status != IOVAGEOM_OK && (reading->lenient || (status == IOVAGEOM_ERR_TRUNCATED &&
                                                              reading->length >= FULL_PAGE))) {
        if (reading->passed_over == 0)
            reading->passed_over = line;
        return IOVAGEOM_OK;
    }
    if (status != IOVAGEOM_OK)
        return status;
    reading->understood = true;
    /* Linux merges regions of one type that overlap, so overlapping lines are a sign of a bad file.
     * But it doesn't merge with a region that ends at 2^64-1 (B3), and prints both. */
    earlier = iovageom_geometry_facts_of(reading->fresh, IOVAGEOM_FACT_REGIONS + (uint32_t)type,
                                         &reading->owner, &count);
    if (!reading->lenient && earlier != NULL &&
        iovageom_rangeset_first_overlap(earlier->ranges, range, &other) &&
        other.last != IOVAGEOM_ADDRESS_MAX)
        return iovageom_range_equal(other, range) ? IOVAGEOM_ERR_EXISTS : IOVAGEOM_ERR_OVERLAP;
    return iovageom_geometry_add_reserved(reading->fresh, range, type, IOVAGEOM_SOURCE_SYSFS);
}

/*
 * Reads all lines. If the last one has no newline and can't be understood, it was probably cut off:
 * IOVAGEOM_ERR_TRUNCATED. A text of which no line was understood is IOVAGEOM_ERR_UNKNOWN: it must not
 * pass for one that reserves nothing. An empty text does reserve nothing.
 */
static int read_text(struct reading *reading)
{
    const char *const text = reading->text;
    struct scan rest = {text, reading->length > 0 ? text + reading->length : text}, line;

    for (size_t number = 1; next_line(&rest, &line); number++) {
        struct iovageom_range range = {0, 0};
        enum iovageom_resv_type type = IOVAGEOM_RESV_RESERVED;
        int status = line.at < line.end ? read_line(line, &range, &type) : IOVAGEOM_ERR_NOT_FOUND;

        if (status == IOVAGEOM_ERR_NOT_FOUND)
            continue;
        if (line.end == rest.end &&
            (status == IOVAGEOM_ERR_SYNTAX || status == IOVAGEOM_ERR_UNSUPPORTED))
            status = IOVAGEOM_ERR_TRUNCATED;
        status = take_line(reading, number, status, range, type);
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
    struct reading reading = {
        .text = text, .length = length, .lenient = mode == IOVAGEOM_SYSFS_LENIENT};
    int status = iovageom_geometry_new(&geometry->allocator, geometry->self.name, &reading.fresh);

    if (status != IOVAGEOM_OK)
        return status;
    (void)iovageom_owner_init(&reading.owner, IOVAGEOM_SOURCE_SYSFS, geometry->self.name);
    status = read_text(&reading);
    /* That the regions are known is a fact of its own, which holds without any region, too. */
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_add_reserved_known(reading.fresh, IOVAGEOM_SOURCE_SYSFS);
    /* The end of the text may be missing, too: see FULL_PAGE. */
    if (status == IOVAGEOM_OK && (reading.passed_over != 0 || length >= FULL_PAGE ||
                                  (length > 0 && text[length - 1] != '\n')))
        status = iovageom_geometry_add_incomplete(reading.fresh, IOVAGEOM_SOURCE_SYSFS);
    if (status == IOVAGEOM_OK)
        status = iovageom_geometry_narrow(geometry, reading.fresh);
    if (line != NULL && (status == IOVAGEOM_OK || reading.fault != 0))
        *line = reading.fault;
    iovageom_geometry_free(reading.fresh);
    return status;
}

/* Nothing but blanks and newlines is left. */
static bool at_end(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == '\n' || *scan->at == ' '))
        scan->at++;
    return scan->at == scan->end;
}

int iovageom_host_sysfs_register(const char *text, size_t length, uint64_t *value)
{
    struct scan scan = {text, text + length};
    uint64_t read = 0;
    int status = scan_hex(&scan, false, &read);

    if (status != IOVAGEOM_OK)
        return status;
    if (!at_end(&scan))
        return IOVAGEOM_ERR_SYNTAX;
    *value = read;
    return IOVAGEOM_OK;
}

/*
 * Which of two words is EFR: 0 or 1, or -1 if that can't be known. host_sysfs.h has the rule. Where
 * one word is 0, the other is EFR: some hardware has only an EFR, but none has only an EFR2.
 */
static int find_efr(const uint64_t words[2])
{
    if (((words[0] ^ words[1]) & AMD_EFR_IASUP) != 0)
        return (words[1] & AMD_EFR_IASUP) != 0;
    return words[0] == 0 || words[1] == 0 ? words[1] != 0 : -1;
}

int iovageom_host_sysfs_amd_features(const char *text, size_t length, uint64_t *efr, uint64_t *efr2)
{
    struct scan scan = {text, text + length};
    uint64_t words[2] = {0, 0};
    int which = 0;
    int status = scan_hex(&scan, false, &words[0]);

    if (status == IOVAGEOM_OK && scan.at < scan.end && *scan.at == ':') {
        scan.at++;
        status = scan_hex(&scan, false, &words[1]);
        which = find_efr(words);
    }
    if (status != IOVAGEOM_OK)
        return status;
    if (!at_end(&scan))
        return IOVAGEOM_ERR_SYNTAX;
    if (which < 0)
        return IOVAGEOM_ERR_UNKNOWN;
    *efr = words[which];
    if (efr2 != NULL)
        *efr2 = words[1 - which];
    return IOVAGEOM_OK;
}

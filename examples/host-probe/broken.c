/* SPDX-License-Identifier: BSD-3-Clause */
#include "broken.h"

#include <ctype.h>
#include <string.h>

#include "paste.h"
#include "vmmline.h"

enum {
    MOST_TRIES = 20000,
    MOST_PARTS = 4,
    LEAST_LINE = 6,
    LEAST_PART = 20, /* what is shorter was not broken there */
    MOST_PART = 110,
    LONGEST = 4096
};

static struct scan line_of(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));

    return (struct scan){at, newline != NULL ? newline : end};
}

/* The part behind one, without marks of a quotation. */
static struct scan next_of(const struct scan *part, const char *end)
{
    return line_of(line_unmarked(part->end + 1, end), end);
}

/* ---- records that kernels write in two lines, and calls that are not closed ---- */

/* Whether a line that has the first words waits for the second. */
static bool is_open(const struct scan *line, const char **waits, const char **begins)
{
    static const struct {
        const char *begins, *waits;
    } forms[] = {
        {"dma_map(", ")"},
        {"dma_unmap(", ")"},
        {"Request device", "fault reason"},
        {"AMD-Vi: Event logged [", "address="},
        {"Address space limit", "too low"},
        {": group ", "viable"},
        {"context fault", "iova="},
        {"event: F_", "iova:"},
        {"unaligned region", "iova="},
        {"vtd_", "iova="},
        {"VirtioIommuReqMap", "virt_end:"},
        {"page mask 0x", "with mask 0x"},
        {"granule 0x", "page size 0x"},
    };
    struct scan behind;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!scan_find(line, forms[i].begins, &behind) || scan_has(&behind, forms[i].waits))
            continue;
        *waits = forms[i].waits;
        *begins = forms[i].begins;
        return true;
    }
    return false;
}

static char *copy_of(const struct scan *line)
{
    return text("%.*s", (int)scan_left(line), line->at);
}

static char *join(const char *whole, const struct scan *more)
{
    return lines_joined(whole, whole + strlen(whole), more->at, more->end);
}

static bool close_line(const struct scan *first, const char *end, struct broken *out)
{
    const char *waits, *begins;
    struct scan part = *first, line, behind;
    char *whole;

    if (!is_open(first, &waits, &begins))
        return false;
    whole = copy_of(first);
    for (int i = 1; i < MOST_PARTS && part.end < end; i++) {
        part = next_of(&part, end);
        if (scan_left(&part) >= LONGEST || scan_has(&part, begins))
            return false;
        whole = join(whole, &part);
        line = (struct scan){whole, whole + strlen(whole)};
        if (scan_find(&line, begins, &behind) && scan_has(&behind, waits) &&
            vmm_line_read(whole, strlen(whole)).kind != VMM_LINE_NONE) {
            *out = (struct broken){whole, strlen(whole), part.end};
            return true;
        }
    }
    return false;
}

/* ---- lines that are as long as a mail has them ---- */

/* Whether a line begins as those of programs and logs do: "[  1.5]", "2025-08-30T...", "kvm: ". */
static bool begins_record(const struct scan *line)
{
    struct scan at = *line;
    const char *first;
    bool lower = true, mark = false;

    scan_pass(&at, " \t");
    for (first = at.at; scan_left(&at) > 0 && *at.at != ' '; at.at++) {
        lower = lower && isupper((unsigned char)*at.at) == 0;
        mark = mark || *at.at == ':' || *at.at == '-';
    }
    if (at.at == first || *first == '[' || *first == '#')
        return true;
    return isdigit((unsigned char)*first) != 0 ? mark : lower && at.at[-1] == ':';
}

static bool is_part(const struct scan *line)
{
    return scan_left(line) >= LEAST_PART && scan_left(line) <= MOST_PART;
}

/* Whether more is known by a line than by its first parts. */
static bool says_more(const struct vmm_line *more, const struct vmm_line *less)
{
    if (more->kind == VMM_LINE_NONE || less->kind == VMM_LINE_NONE)
        return more->kind != VMM_LINE_NONE;
    return more->kind == less->kind && more->setup == less->setup &&
           ((more->has_range && (!less->has_range || more->range.last > less->range.last)) ||
            (more->error != 0 && less->error == 0) ||
            (*more->device != '\0' && *less->device == '\0') ||
            (*more->group != '\0' && *less->group == '\0'));
}

static bool mend_line(const struct scan *first, const char *end, struct broken *out)
{
    struct vmm_line known = vmm_line_read(first->at, scan_left(first)), read;
    struct scan part = *first;
    char *whole = NULL;
    bool mended = false;

    for (int i = 1; i < MOST_PARTS && is_part(&part) && part.end < end; i++) {
        part = next_of(&part, end);
        if (scan_left(&part) > MOST_PART || begins_record(&part) ||
            vmm_line_read(part.at, scan_left(&part)).kind != VMM_LINE_NONE)
            break;
        whole = join(whole != NULL ? whole : copy_of(first), &part);
        read = vmm_line_read(whole, strlen(whole));
        if (!says_more(&read, &known))
            continue;
        known = read;
        *out = (struct broken){whole, strlen(whole), part.end};
        mended = true;
    }
    return mended;
}

struct broken broken_line(const char *at, const char *end, size_t *tries)
{
    const struct scan raw = line_of(at, end);
    const struct scan line = {line_unmarked(at, raw.end), raw.end};
    struct broken out = {line.at, scan_left(&line), line.end};

    /* A text may have millions of lines with nothing in them. */
    if (scan_left(&line) < LEAST_LINE || scan_left(&line) >= LONGEST ||
        close_line(&line, end, &out))
        return out;
    /* Nor is a text of very many lines one that a mail has broken. */
    if (is_part(&line) && *tries < MOST_TRIES) {
        ++*tries;
        (void)mend_line(&line, end, &out);
    }
    return out;
}

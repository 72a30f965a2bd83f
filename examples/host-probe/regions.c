/* SPDX-License-Identifier: BSD-3-Clause */

#include "regions.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/host_sysfs.h>
#include <iovageom/status.h>

#define FILE_NAME  "reserved_regions"
#define FULL_PAGE  4095 /* what Linux writes at most */
#define MOST_NAMED 50   /* lines that are named one by one */
#define FORM       "a line is \"0x00000000fee00000 0x00000000feefffff msi\""

/* A part of the text. */
struct span {
    const char *at;
    size_t length;
};

/* What a line is. */
enum line_kind {
    LINE_REGION,
    LINE_EMPTY,      /* nothing but blanks and marks */
    LINE_NO_LENGTH,  /* a region that ends one below its start */
    LINE_FILE_NAME,  /* only says where the next lines are from */
    LINE_OTHER_FILE, /* from another group's file, or another file of this group */
    LINE_CUT,        /* the last one of a file that fills its page */
    LINE_BAD
};

struct line {
    enum line_kind kind;
    int status;         /* of LINE_BAD */
    struct span words;  /* as it stands in the file, without its end */
    struct span region; /* what is left without what was put before it */
};

/* How far the reading has come. */
struct listing {
    const struct group *group;
    bool elsewhere; /* the last line that was only a file name named another file */
    char *clean;    /* the text as Linux would have written it, line for line */
    size_t length;
    size_t regions;
    size_t others; /* lines of other files */
    size_t bad;
    size_t empty;   /* regions of length 0 */
    size_t strange; /* types that are not known */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Without blanks at its ends, and without the marks of a quotation or a byte order at its front. */
static struct span trimmed(struct span span)
{
    while (span.length >= 3 && memcmp(span.at, "\xef\xbb\xbf", 3) == 0)
        span = (struct span){span.at + 3, span.length - 3};
    while (span.length > 0 && (is_blank(*span.at) || *span.at == '>' || *span.at == '|'))
        span = (struct span){span.at + 1, span.length - 1};
    while (span.length > 0 && is_blank(span.at[span.length - 1]))
        span.length--;
    return span;
}

/* Where `word` first stands in a span, or the span's length. */
static size_t find(struct span span, const char *word)
{
    size_t length = strlen(word);
    size_t at = 0;

    while (at + length <= span.length && memcmp(span.at + at, word, length) != 0)
        at++;
    return at + length <= span.length ? at : span.length;
}

/*
 * Whether a file name is that of another file than the group's reserved_regions. A name that
 * mentions no group ("reserved_regions", ".../0000:00:1f.0/iommu_group/reserved_regions") is taken
 * for the right one.
 */
static bool names_other_file(struct span name, const struct group *group)
{
    size_t end = find(name, "/" FILE_NAME);
    size_t start = end;

    if (end == name.length)
        return find(name, FILE_NAME) == name.length && find(name, "iommu_groups/") != name.length;
    while (start > 0 && isdigit((unsigned char)name.at[start - 1]))
        start--;
    if (start == end || (start > 0 && name.at[start - 1] != '/' && !is_blank(name.at[start - 1])))
        return false;
    return end - start != strlen(group->name) ||
           memcmp(name.at + start, group->name, end - start) != 0;
}

/* Line `number` of a text, from 1; empty when there is none. */
static struct span nth_line(const struct blob *blob, size_t number)
{
    struct span rest = {(const char *)blob->bytes, blob->length};

    while (number-- > 1) {
        size_t end = find(rest, "\n");

        end += end < rest.length ? 1 : 0;
        rest = (struct span){rest.at + end, rest.length - end};
    }
    rest.length = find(rest, "\n");
    return rest;
}

/* What the library makes of one line; an end of the line is put after it. IOVAGEOM_ERR_NOT_FOUND
 * for a region of length 0, of which it makes nothing. */
static int status_of(struct span region)
{
    char space[256];
    char *one = region.length < sizeof(space) ? space : malloc(region.length + 1);
    struct iovageom_geometry *geometry;
    size_t count;
    int status;

    if (one == NULL)
        die(EXIT_BAD_INPUT, "out of memory");
    memcpy(one, region.at, region.length);
    one[region.length] = '\n';
    must(iovageom_geometry_new(NULL, "", &geometry));
    status = iovageom_host_sysfs_reserved_regions(one, region.length + 1, IOVAGEOM_SYSFS_STRICT,
                                                  NULL, geometry);
    if (status == IOVAGEOM_OK &&
        iovageom_geometry_regions(geometry, NULL, 0, &count) == IOVAGEOM_OK)
        status = IOVAGEOM_ERR_NOT_FOUND;
    iovageom_geometry_free(geometry);
    if (one != space)
        free(one);
    return status;
}

/* "==> /sys/kernel/iommu_groups/1/reserved_regions <==" */
static bool is_file_name(struct span words)
{
    return words.length >= 8 && memcmp(words.at, "==> ", 4) == 0 &&
           memcmp(words.at + words.length - 4, " <==", 4) == 0;
}

/* A line without its end: what stands before the region is nothing, or ends in a colon. */
static struct line understand(struct listing *listing, struct span words)
{
    struct line line = {.kind = LINE_BAD, .words = words};
    struct span whole = trimmed(words);
    size_t named = find(whole, FILE_NAME);
    size_t start = named + find((struct span){whole.at + named, whole.length - named}, "0x");
    struct span name;

    if (named == whole.length)
        start = find(whole, "0x");
    line.region = whole;
    if (whole.length == 0) {
        line.kind = LINE_EMPTY;
        return line;
    }
    if (is_file_name(whole)) {
        listing->elsewhere = names_other_file(whole, listing->group);
        line.kind = LINE_FILE_NAME;
        return line;
    }
    name = (struct span){whole.at, start};
    while (name.length > 0 && is_blank(name.at[name.length - 1]))
        name.length--;
    if (name.length > 0 && start < whole.length && name.at[name.length - 1] == ':')
        line.region = (struct span){whole.at + start, whole.length - start};
    else if (start == whole.length)
        name = whole;
    if (name.length > 0 ? names_other_file(name, listing->group) : listing->elsewhere) {
        line.kind = LINE_OTHER_FILE;
        return line;
    }
    line.status = status_of(line.region);
    if (line.status == IOVAGEOM_ERR_NOT_FOUND)
        line.kind = LINE_NO_LENGTH;
    else if (line.status == IOVAGEOM_OK)
        line.kind = LINE_REGION;
    return line;
}

static void put(struct listing *listing, struct span region, bool ended)
{
    memcpy(listing->clean + listing->length, region.at, region.length);
    listing->length += region.length;
    if (ended)
        listing->clean[listing->length++] = '\n';
}

static void say_bad(struct listing *listing, const struct line *line, size_t number, bool lenient,
                    struct regions_read *read)
{
    const char *path = listing->group->reserved_regions.path;
    const char *why = iovageom_status_string(line->status);
    const char *words = quoted(line->words.at, line->words.length);

    listing->bad++;
    if (listing->bad > MOST_NAMED)
        return;
    if (lenient)
        add_words(&read->notes, &read->note_count,
                  text("%s:%zu: passed over: %s: %s; %s", path, number, why, words, FORM));
    else
        fault(&read->faults, "%s:%zu: %s: %s; %s (--lenient goes on)", path, number, why, words,
              FORM);
}

/* Whether the last word of a line, whatever else is wrong with it, is the name of a type. */
static bool is_type(struct span region, enum iovageom_resv_type type)
{
    const char *word = iovageom_resv_type_string(type);
    size_t length = strlen(word);

    while (region.length > 0 && is_blank(region.at[region.length - 1]))
        region.length--;
    return region.length > length &&
           memcmp(region.at + region.length - length, word, length) == 0 &&
           is_blank(region.at[region.length - length - 1]);
}

/* Linux asks for the type alone, and not for the length, when it sets require_direct. */
static bool is_direct(struct span region)
{
    return is_type(region, IOVAGEOM_RESV_DIRECT);
}

/* Whether it is one of no other type that Linux writes. */
static bool may_be_direct(struct span region)
{
    return !is_type(region, IOVAGEOM_RESV_MSI) && !is_type(region, IOVAGEOM_RESV_RESERVED) &&
           !is_type(region, IOVAGEOM_RESV_DIRECT_RELAXABLE);
}

static void take_line(struct listing *listing, const struct line *line, size_t number, bool ended,
                      bool lenient, struct regions_read *read)
{
    const char *path = listing->group->reserved_regions.path;
    const struct span nothing = {"", 0};

    switch (line->kind) {
    case LINE_REGION:
    case LINE_CUT:
        listing->regions++;
        put(listing, line->region, ended);
        return;
    case LINE_NO_LENGTH:
        listing->regions++;
        read->direct = read->direct || is_direct(line->region);
        if (listing->empty++ >= MOST_NAMED)
            break;
        add_words(&read->notes, &read->note_count,
                  text("%s:%zu: a region of length 0, which reserves nothing: %s%s", path, number,
                       quoted(line->words.at, line->words.length),
                       is_direct(line->region)
                           ? "; but it is direct, for which Linux 6.6 and later gives the group to "
                             "no guest: it can't be assigned while firmware demands that"
                           : ""));
        break;
    case LINE_BAD:
        if (line->status == IOVAGEOM_ERR_UNSUPPORTED && lenient) {
            listing->regions++;
            if (listing->strange++ < MOST_NAMED)
                add_words(&read->notes, &read->note_count,
                          text("%s:%zu: a type that is not known is taken for \"reserved\": %s",
                               path, number, quoted(line->words.at, line->words.length)));
            put(listing, line->region, ended);
            return;
        }
        say_bad(listing, line, number, lenient, read);
        read->direct = read->direct || is_direct(line->region);
        read->doubtful = read->doubtful || may_be_direct(line->region);
        put(listing, line->region, ended);
        return;
    case LINE_OTHER_FILE:
        listing->others++;
        break;
    case LINE_EMPTY:
    case LINE_FILE_NAME:
        break;
    }
    put(listing, nothing, ended);
}

static void read_lines(struct listing *listing, bool lenient, struct regions_read *read)
{
    const struct blob *blob = &listing->group->reserved_regions;
    const char *at = (const char *)blob->bytes;
    const char *end = at + blob->length;

    for (size_t number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct span words = {at, (size_t)((newline != NULL ? newline : end) - at)};
        struct line line = understand(listing, words);

        if (newline == NULL && line.kind == LINE_BAD &&
            (line.status == IOVAGEOM_ERR_SYNTAX || line.status == IOVAGEOM_ERR_UNSUPPORTED))
            line.status = IOVAGEOM_ERR_TRUNCATED;
        if (line.kind == LINE_BAD && line.status == IOVAGEOM_ERR_TRUNCATED &&
            listing->length + line.region.length >= FULL_PAGE)
            line.kind = LINE_CUT;
        take_line(listing, &line, line_number(blob, number), newline != NULL, lenient, read);
        at = newline != NULL ? newline + 1 : end;
    }
}

/* Whether Linux may have cut a text of that length, with pages of 4K, 16K or 64K. */
static bool fills_page(size_t length)
{
    return length == FULL_PAGE || length == 4 * (FULL_PAGE + 1) - 1 ||
           length >= 16 * (FULL_PAGE + 1) - 1;
}

/* What is to be said of the file as a whole. */
static void say_all(const struct listing *listing, bool lenient, struct regions_read *read)
{
    const struct blob *blob = &listing->group->reserved_regions;

    if (listing->bad > MOST_NAMED) {
        const char *words = text("%s: and %zu lines more that can't be read", blob->path,
                                 listing->bad - MOST_NAMED);

        if (lenient)
            add_words(&read->notes, &read->note_count, words);
        else
            fault(&read->faults, "%s", words);
    }
    if (listing->empty > MOST_NAMED)
        add_words(
            &read->notes, &read->note_count,
            text("%s: and %zu regions of length 0 more", blob->path, listing->empty - MOST_NAMED));
    if (listing->strange > MOST_NAMED)
        add_words(&read->notes, &read->note_count,
                  text("%s: and %zu types more that are not known", blob->path,
                       listing->strange - MOST_NAMED));
    if (listing->others != 0)
        add_words(&read->notes, &read->note_count,
                  text("%s: %zu lines are of other files, and were not taken", blob->path,
                       listing->others));
    if (listing->regions == 0 && listing->bad != 0 && lenient)
        fault(&read->faults, "%s: not one line could be read: %s", blob->path, FORM);
    else if (listing->regions == 0 && listing->bad == 0 && listing->others != 0)
        fault(&read->faults, "%s: no line is of group %s", blob->path, listing->group->name);
    read->doubtful = read->doubtful || fills_page(listing->length) ||
                     (blob->length != 0 && blob->bytes[blob->length - 1] != '\n');
    if (blob->length != 0 && blob->bytes[blob->length - 1] != '\n' && listing->length < FULL_PAGE)
        add_words(&read->notes, &read->note_count,
                  text("%s: the last line has no end, so more may have followed: end it if not",
                       blob->path));
}

struct regions_read regions_read(const struct group *group, bool lenient,
                                 struct iovageom_geometry *geometry)
{
    const struct blob *blob = &group->reserved_regions;
    struct regions_read read = {.notes = NULL};
    struct listing listing = {.group = group};
    size_t line = 0;
    int status;

    if (!blob->there)
        return read;
    listing.clean = keep(blob->length + 1);
    read_lines(&listing, lenient, &read);
    say_all(&listing, lenient, &read);
    if (read.faults.count != 0)
        return read;
    /* Here all lines are good, or may be passed over. Those of all groups together may overlap. */
    status = iovageom_host_sysfs_reserved_regions(listing.clean, listing.length,
                                                  lenient || group->assumed ? IOVAGEOM_SYSFS_LENIENT
                                                                            : IOVAGEOM_SYSFS_STRICT,
                                                  &line, geometry);
    if (status != IOVAGEOM_OK) {
        /* Each line is good for itself: it repeats or overlaps another. */
        struct span words = nth_line(blob, line);

        fault(&read.faults, "%s:%zu: %s: %s (--lenient joins them)", blob->path,
              line_number(blob, line), iovageom_status_string(status),
              quoted(words.at, words.length));
    }
    return read;
}

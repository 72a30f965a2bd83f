/* SPDX-License-Identifier: BSD-3-Clause */

/* The lines of a pasted text, as they were before terminals, Windows and mails came over them. */

#include "paste.h"

#include <ctype.h>
#include <string.h>

/* How long the name of a character is that pages of the web have instead of it, or 0. */
static size_t entity(const uint8_t *at, const uint8_t *end, uint8_t *character)
{
    static const struct {
        const char *name;
        uint8_t character;
    } known[] = {{"&gt;", '>'},    {"&lt;", '<'},   {"&amp;", '&'}, {"&quot;", '"'},
                 {"&apos;", '\''}, {"&#39;", '\''}, {"&nbsp;", ' '}};

    for (size_t i = 0; *at == '&' && i < sizeof(known) / sizeof(known[0]); i++) {
        const size_t length = strlen(known[i].name);

        if ((size_t)(end - at) < length || memcmp(at, known[i].name, length) != 0)
            continue;
        *character = known[i].character;
        return length;
    }
    return 0;
}

/*
 * What is written without what terminals obey (grep --color, script), and in one byte each where
 * Windows wrote two: its lines are the same.
 */
static struct blob without_controls(const struct blob *blob)
{
    const uint8_t *at = blob->bytes, *end = at + blob->length;
    const bool wide =
        blob->length >= 2 && (memcmp(at, "\xff\xfe", 2) == 0 || memcmp(at, "\xfe\xff", 2) == 0);
    struct blob plain = {true, keep(blob->length + 1), 0, blob->path, NULL};
    uint8_t character = 0;
    size_t length;

    for (at += wide ? 2 : 0; at < end; at++) {
        if (wide && *at == 0)
            continue;
        if (at == blob->bytes && end - at > 2 && memcmp(at, "\xef\xbb\xbf", 3) == 0) {
            at += 2; /* the mark of UTF-8 */
            continue;
        }
        /* A blank of the web. */
        if (end - at > 1 && memcmp(at, "\xc2\xa0", 2) == 0) {
            plain.bytes[plain.length++] = ' ';
            at++;
            continue;
        }
        /* Ends of lines are those of any system. */
        if (*at == '\r') {
            if (end - at < 2 + wide || (at[1 + wide] != '\n' && at[1 + wide] != '\r'))
                plain.bytes[plain.length++] = '\n';
            continue;
        }
        if (end - at > 1 && memcmp(at, "\x1b[", 2) == 0) {
            for (at += 2; at < end && *at >= 0x20 && *at < 0x40; at++)
                ;
            /* Only a letter ends it. */
            at -= at == end || *at < 0x40 || *at > 0x7e;
            continue;
        }
        length = entity(at, end, &character);
        plain.bytes[plain.length++] = length != 0 ? character : *at;
        at += length != 0 ? length - 1 : 0;
    }
    return plain;
}

/* The character that "=3D" stands for in quoted-printable, or 0. */
static uint8_t quoted_character(const uint8_t *at, const uint8_t *end)
{
    static const struct {
        char digits[3];
        uint8_t character;
    } known[] = {{"3D", '='}, {"20", ' '}, {"09", '\t'}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && end - at > 2; i++) {
        if (memcmp(at + 1, known[i].digits, 2) == 0)
            return known[i].character;
    }
    return 0;
}

/* An "=" at the end of a line; "<==" is none. */
static bool is_soft_break(const struct blob *plain, const uint8_t *at)
{
    return at + 1 < plain->bytes + plain->length && at[1] == '\n' &&
           (at == plain->bytes || at[-1] != '=');
}

/* Whether a text is, or has parts, in quoted-printable: in others "=" is seldom the end of a
 * line. */
static bool is_quoted(const struct blob *plain)
{
    const uint8_t *at = plain->bytes, *end = at + plain->length;
    size_t breaks = 0, others = 0;

    if (memmem(at, plain->length, "=3D", 3) != NULL)
        return true;
    while ((at = memchr(at, '=', (size_t)(end - at))) != NULL) {
        *(is_soft_break(plain, at) ? &breaks : &others) += 1;
        at++;
    }
    return breaks != 0 && others == 0;
}

/*
 * Quoted-printable ends lines that go on with "=", and writes "=3D" for that. What was left out of
 * ends of lines comes after them, so that each line has its number.
 */
static void unquote(struct blob *plain)
{
    struct blob quoted = *plain;
    const uint8_t *end = quoted.bytes + quoted.length;
    size_t left = 0, length = 0;

    if (!is_quoted(plain))
        return;
    plain->bytes = keep(quoted.length + 1);
    for (const uint8_t *at = quoted.bytes; at < end; at++) {
        const uint8_t character = *at == '=' ? quoted_character(at, end) : 0;

        if (*at == '=' && is_soft_break(&quoted, at)) {
            left++;
            at++;
        } else if (character != 0) {
            plain->bytes[length++] = character;
            at += 2;
        } else {
            plain->bytes[length++] = *at;
            for (; *at == '\n' && left != 0; left--)
                plain->bytes[length++] = '\n';
        }
    }
    plain->length = length;
}

struct blob text_plain(const struct blob *blob)
{
    struct blob plain = without_controls(blob);

    unquote(&plain);
    return plain;
}

const char *line_unmarked(const char *at, const char *end)
{
    while (at < end && *at == '>') {
        at++;
        at += at < end && *at == ' ';
    }
    return at;
}

static const char *behind_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

char *lines_joined(const char *at, const char *end, const char *next, const char *next_end)
{
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    next = behind_blanks(next, next_end);
    return text("%.*s %.*s", (int)(end - at), at, (int)(next_end - next), next);
}

static bool contains(const char *at, const char *end, const char *words)
{
    return memmem(at, (size_t)(end - at), words, strlen(words)) != NULL;
}

static bool begins(const char *at, const char *end, const char *words)
{
    return (size_t)(end - at) >= strlen(words) && memcmp(at, words, strlen(words)) == 0;
}

/* A line with the first words, and without the second, goes on with the third. */
bool lines_are_one(const char *at, const char *end, const char *next, const char *next_end)
{
    static const struct {
        const char *has, *lacks, *goes_on;
    } forms[] = {
        {"reg_base_addr ", " ecap ", "cap "},
        {"reg_base_addr ", " ecap ", "ecap "},
        {"reg_base_addr ", " ecap ", "ver "},
        {": RMRR base: ", "end: ", "end: "},
        {": RMRR base: ", "end: 0x", "0x"},
        {": Adding", " to iommu group ", "to iommu group "},
        {": Adding to", " iommu group ", "iommu group "},
        {": Adding to iommu", " group ", "group "},
        {": Adding to iommu group", " group ", ""},
        {"Memory at ", "[size=", "[size="},
    };

    /* A text may have millions of lines. */
    if (end - at < 10)
        return false;
    next = behind_blanks(next, next_end);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (contains(at, end, forms[i].has) && !contains(at, end, forms[i].lacks) &&
            begins(next, next_end, forms[i].goes_on) &&
            (*forms[i].goes_on != '\0' || (next < next_end && isdigit((unsigned char)*next) != 0)))
            return true;
    }
    return false;
}

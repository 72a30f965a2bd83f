/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "player.h"

_Noreturn void fail_at(const struct player *p, int column, const char *format, ...)
{
    va_list arguments;

    /* What was played till here is whole. */
    if (p->json)
        json_end();
    fflush(stdout);
    fprintf(stderr, "%s:%d:%d: ", p->file, p->line, column);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

static void add_word(struct player *p, struct word *words, int *count, const char *text, int column)
{
    if (*count == MAX_WORDS)
        fail_at(p, column, "too many words");
    words[(*count)++] = (struct word){text, column};
    words[*count] = (struct word){NULL, column + (int)strlen(text)};
}

/* Words are cut in place; "=>" parts a command from what is expected of it; # begins a comment. */
void split_line(struct player *p, char *line)
{
    bool arrow = false;

    p->count = p->expected_count = p->at = 0;
    p->words[0] = (struct word){NULL, 1};
    p->arrow_column = 0;
    for (char *at = line; *at != '\0' && *at != '#';) {
        char *end = at;
        const int column = (int)(at - line) + 1;
        bool last;

        if (isspace((unsigned char)*at)) {
            at++;
            continue;
        }
        while (*end != '\0' && *end != '#' && !isspace((unsigned char)*end))
            end++;
        last = *end == '\0' || *end == '#';
        *end = '\0';
        if (strcmp(at, "=>") == 0 && !arrow) {
            arrow = true;
            p->arrow_column = column;
        } else if (arrow) {
            add_word(p, p->expected, &p->expected_count, at, column);
        } else {
            add_word(p, p->words, &p->count, at, column);
        }
        if (last)
            break;
        at = end + 1;
    }
    if (arrow && p->expected_count == 0)
        fail_at(p, p->arrow_column, "=> wants a result after it");
}

bool more(const struct player *p)
{
    return p->at < p->count;
}

bool accept_word(struct player *p, const char *text)
{
    if (!more(p) || strcmp(p->words[p->at].text, text) != 0)
        return false;
    p->at++;
    return true;
}

const char *need_word(struct player *p, const char *what)
{
    if (!more(p))
        fail_at(p, p->words[p->count].column, "%s is missing", what);
    return p->words[p->at++].text;
}

int last_column(const struct player *p)
{
    return p->words[p->at > 0 ? p->at - 1 : 0].column;
}

/* A number at *text, which is moved behind it: decimal or 0x, with K, M, G, T or P; or `top`. */
static bool read_number(const char **text, uint64_t *out)
{
    static const char suffixes[] = "KMGTP";
    const char *at = *text, *suffix;
    unsigned base = 10, shift;
    uint64_t value = 0;

    if (strncmp(at, "top", 3) == 0) {
        *text = at + 3;
        *out = UINT64_MAX;
        return true;
    }
    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        base = 16;
        at += 2;
    }
    if (!isxdigit((unsigned char)*at))
        return false;
    for (; isxdigit((unsigned char)*at); at++) {
        const unsigned digit = isdigit((unsigned char)*at)
                                   ? (unsigned)(*at - '0')
                                   : (unsigned)(tolower((unsigned char)*at) - 'a' + 10);

        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    suffix = *at != '\0' ? strchr(suffixes, *at) : NULL;
    if (suffix != NULL) {
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        if (value > UINT64_MAX >> shift)
            return false;
        value <<= shift;
        at++;
    }
    *text = at;
    *out = value;
    return true;
}

/* START-LAST, START+SIZE or all. */
static bool read_range(const char *text, struct iovageom_range *out)
{
    uint64_t start, second;
    bool length;

    if (strcmp(text, "all") == 0) {
        *out = (struct iovageom_range){0, UINT64_MAX};
        return true;
    }
    if (!read_number(&text, &start) || (*text != '-' && *text != '+'))
        return false;
    length = *text++ == '+';
    if (!read_number(&text, &second) || *text != '\0')
        return false;
    if (length)
        return iovageom_range_from_length(start, second, out) == IOVAGEOM_OK;
    *out = (struct iovageom_range){start, second};
    return true;
}

uint64_t need_number(struct player *p, const char *what)
{
    const char *text = need_word(p, what);
    uint64_t value;

    if (!read_number(&text, &value) || *text != '\0')
        fail_at(p, last_column(p), "%s is no number: %s", what, p->words[p->at - 1].text);
    return value;
}

uint64_t need_power(struct player *p, const char *what)
{
    const uint64_t value = need_number(p, what);

    if (value == 0 || (value & (value - 1)) != 0)
        fail_at(p, last_column(p), "%s is a power of two", what);
    return value;
}

uint32_t need_number32(struct player *p, const char *what)
{
    const uint64_t value = need_number(p, what);

    if (value > UINT32_MAX)
        fail_at(p, last_column(p), "%s does not fit in 32 bits", what);
    return (uint32_t)value;
}

/* It may be inverted: hostile guests write such things. */
struct iovageom_range need_range(struct player *p, const char *what)
{
    struct iovageom_range range;

    if (!read_range(need_word(p, what), &range))
        fail_at(p, last_column(p), "%s is no range (START-LAST, START+SIZE or all): %s", what,
                p->words[p->at - 1].text);
    return range;
}

bool next_is_range(const struct player *p)
{
    struct iovageom_range range;

    return more(p) && read_range(p->words[p->at].text, &range);
}

bool next_is_number(const struct player *p)
{
    const char *text = more(p) ? p->words[p->at].text : "";
    uint64_t number;

    return read_number(&text, &number) && *text == '\0';
}

bool need_switch(struct player *p)
{
    if (accept_word(p, "on"))
        return true;
    if (!accept_word(p, "off"))
        fail_at(p, p->words[p->at].column, "on or off is wanted here");
    return false;
}

/* Page sizes with commas between them: 4K,2M,1G; or `none`; a + after the last: and all above. */
uint64_t need_page_mask(struct player *p)
{
    const char *text = need_word(p, "page sizes");
    uint64_t mask = 0, size;

    if (strcmp(text, "none") == 0)
        return 0;
    for (;; text++) {
        if (!read_number(&text, &size) || size == 0 || (size & (size - 1)) != 0)
            break;
        mask |= size;
        if (text[0] == '+' && text[1] == '\0')
            return mask | ~(size - 1);
        if (*text == '\0')
            return mask;
        if (*text != ',')
            break;
    }
    fail_at(p, last_column(p), "page sizes are powers of two like 4K,2M,1G");
}

void need_name(struct player *p, const char *what, char out[NAME_SIZE])
{
    const char *text = need_word(p, what);

    if (strlen(text) >= NAME_SIZE)
        fail_at(p, last_column(p), "%s is longer than %d characters", what, NAME_SIZE - 1);
    memcpy(out, text, strlen(text) + 1);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/report.h>
#include <iovageom/status.h>

#include <stdbool.h>
#include <string.h>

#include "../base/array.h"
#include "../base/text.h"
#include "internal.h"

#define INSIDE     6 /* findings that need no allocation; the opaque words have room for no more */
#define DETAIL_MAX 160 /* keeps every sentence within the 512 bytes that report.h promises */
#define SENTENCE   512
#define TAIL       40 /* " (and 18446744073709551615 more)" */

/*
 * Callers declare an array of uint64_t, and this file reads it as struct state. C allows that only
 * for a type that is exempt from the aliasing rules.
 */
#if defined(__GNUC__)
#define MAY_ALIAS __attribute__((may_alias))
#else
#define MAY_ALIAS
#endif

/*
 * What the opaque words of a report hold. Nothing here points into the report itself, so that it
 * may be moved with memcpy. `text` is always a finished sentence: the headline, which is the first
 * fatal finding's or, as long as there is none, the first finding's; and a tail with the number of
 * others.
 */
struct MAY_ALIAS state {
    struct iovageom_allocator allocator;
    struct iovageom_finding *more; /* all findings, once they are more than INSIDE; else NULL */
    size_t capacity;               /* of findings */
    size_t count;
    size_t dropped;
    /* Set with the first finding: */
    size_t headline; /* length of the sentence in `text`, without the tail */
    uint32_t fatal;  /* whether the headline is a fatal finding's */
    char text[SENTENCE + TAIL];
    struct iovageom_finding inside[INSIDE];
};

_Static_assert(sizeof(struct state) <= sizeof(struct iovageom_report), "a report must hold it");
_Static_assert(_Alignof(struct state) <= _Alignof(struct iovageom_report), "and be aligned for it");

static struct state *state_of(const struct iovageom_report *report)
{
    return (struct state *)(uintptr_t)report;
}

static struct iovageom_finding *findings_of(struct state *state)
{
    return state->more != NULL ? state->more : state->inside;
}

/* The rest is not cleared: a report on the stack costs nothing until something is put into it. */
void iovageom_report_init(struct iovageom_report *report,
                          const struct iovageom_allocator *allocator)
{
    struct state *state = state_of(report);

    allocator = iovageom_allocator_chosen(allocator);
    state->allocator =
        allocator != NULL ? *allocator : (struct iovageom_allocator){NULL, NULL, NULL};
    state->more = NULL;
    state->capacity = INSIDE;
    iovageom_report_clear(report);
}

void iovageom_report_deinit(struct iovageom_report *report)
{
    if (report == NULL)
        return;
    struct state *state = state_of(report);
    iovageom_array_free(&state->allocator, state->more, state->capacity, sizeof(*state->more));
    state->more = NULL;
    state->capacity = INSIDE;
    iovageom_report_clear(report);
}

void iovageom_report_clear(struct iovageom_report *report)
{
    if (report == NULL)
        return;
    struct state *state = state_of(report);
    state->count = 0;
    state->dropped = 0;
    state->text[0] = '\0';
}

size_t iovageom_report_count(const struct iovageom_report *report)
{
    return state_of(report)->count;
}

size_t iovageom_report_dropped(const struct iovageom_report *report)
{
    return state_of(report)->dropped;
}

const struct iovageom_finding *iovageom_report_at(const struct iovageom_report *report,
                                                  size_t index)
{
    struct state *state = state_of(report);

    return index < state->count ? &findings_of(state)[index] : NULL;
}

const char *iovageom_report_text(const struct iovageom_report *report)
{
    return state_of(report)->text;
}

struct iovageom_finding iovageom_finding_blank(enum iovageom_finding_kind kind, int status)
{
    struct iovageom_finding finding;

    memset(&finding, 0, sizeof(finding));
    finding.kind = (uint32_t)kind;
    finding.status = status;
    finding.fatal = status < 0;
    finding.endpoint = IOVAGEOM_ID_NONE;
    finding.domain = IOVAGEOM_ID_NONE;
    return finding;
}

/*
 * The finding in the place where it is kept, or NULL without memory: then the caller counts it as
 * dropped. It may be one of the report itself, so it is copied before the old place of all is
 * freed.
 */
static const struct iovageom_finding *keep(struct state *state,
                                           const struct iovageom_finding *finding)
{
    struct iovageom_finding *more;

    if (state->count == state->capacity) {
        if (state->allocator.allocate == NULL || state->capacity > SIZE_MAX / 2)
            return NULL;
        more = iovageom_array_new(&state->allocator, 2 * state->capacity, sizeof(*more));
        if (more == NULL)
            return NULL;
        memcpy(more, findings_of(state), state->count * sizeof(*more));
        more[state->count] = *finding;
        iovageom_array_free(&state->allocator, state->more, state->capacity, sizeof(*more));
        state->more = more;
        state->capacity *= 2;
    } else {
        findings_of(state)[state->count] = *finding;
    }
    return &findings_of(state)[state->count++];
}

/* The text is kept up to date here and not made when it is asked for, as that call is const. */
void iovageom_report_add(struct iovageom_report *report, const struct iovageom_finding *finding)
{
    const struct iovageom_finding *kept;
    struct iovageom_text tail;
    struct state *state;
    size_t length;

    if (report == NULL)
        return;
    state = state_of(report);
    kept = keep(state, finding);
    if (kept != NULL)
        finding = kept;
    state->dropped += kept == NULL;

    /* A finding that was dropped still counts, and may be the headline, which needs no memory. */
    if (state->count + state->dropped == 1 || (finding->fatal != 0 && state->fatal == 0)) {
        length = iovageom_finding_text(finding, state->text, SENTENCE);
        state->headline = length < SENTENCE ? length : SENTENCE - 1;
        state->fatal = finding->fatal;
    }
    if (state->count + state->dropped > 1) {
        iovageom_text_init(&tail, state->text + state->headline, TAIL);
        iovageom_text_string(&tail, " (and ", SIZE_MAX);
        iovageom_text_decimal(&tail, state->count + state->dropped - 1);
        iovageom_text_string(&tail, " more)", SIZE_MAX);
    }
}

int iovageom_report_host_refused(struct iovageom_report *report, int host_errno, uint64_t domain,
                                 uint64_t endpoint, struct iovageom_range range)
{
    /* ENOMEM and ENOSPC by Linux's numbers, as in status.c: a freestanding build has no errno.h. */
    const bool full = host_errno == 12 || host_errno == 28;
    struct iovageom_finding finding = iovageom_finding_blank(
        IOVAGEOM_FINDING_HOST, full ? IOVAGEOM_ERR_NO_MEMORY : IOVAGEOM_ERR_HOST);

    finding.wanted = host_errno > 0 ? (uint64_t)host_errno : 0;
    finding.domain = domain;
    finding.endpoint = endpoint;
    finding.range = range;
    iovageom_report_add(report, &finding);
    return finding.status;
}

void iovageom_report_lost(struct iovageom_report *report, struct iovageom_range range)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_LOST, IOVAGEOM_OK);

    finding.range = range;
    iovageom_report_add(report, &finding);
}

void iovageom_report_all_lost(struct iovageom_report *report, const struct iovageom_rangeset *lost)
{
    struct iovageom_rangeset_cursor cursor;
    struct iovageom_range range;

    iovageom_rangeset_seek(lost, 0, &cursor);
    while (iovageom_rangeset_next(&cursor, &range))
        iovageom_report_lost(report, range);
}

/* Conditions for a sentence, where a kind of finding has several; they may be joined. */
enum when {
    ALWAYS = 0,
    DETAIL = 1,        /* detail is given */
    NOTE = 2,          /* not fatal */
    FATAL = 4,         /* or fatal */
    NUMBERS = 8,       /* wanted or offered is given */
    REGISTERS = 16,    /* the owner's source is registers, whose meaning depends on the kernel */
    OF_POOL = 32,      /* the owner is an envelope */
    OF_DOMAIN = 64,    /* domain is given */
    OF_ENDPOINT = 128, /* endpoint is given */
    SPLITS = 256,      /* the status is that of a split */
    APART = 512,       /* range and against share a page of the host, but no address */
    FIXED = 1024,      /* range and against are the same */
    NO_RANGE = 2048,   /* range is not given: [0, 0], which no whole page is */
    BEGINS = 4096      /* against begins above range */
};

/* All conditions that hold. Fields that a kind does not have are blank (report.h). */
static unsigned conditions_of(const struct iovageom_finding *finding)
{
    const uint32_t source = finding->owner.source;

    return (finding->detail != NULL ? DETAIL : 0u) | (finding->fatal != 0 ? FATAL : NOTE) |
           (finding->wanted != 0 || finding->offered != 0 ? NUMBERS : 0u) |
           (iovageom_source_is_registers(source) ? REGISTERS : 0u) |
           (source == IOVAGEOM_SOURCE_ENVELOPE ? OF_POOL : 0u) |
           (finding->domain != IOVAGEOM_ID_NONE ? OF_DOMAIN : 0u) |
           (finding->endpoint != IOVAGEOM_ID_NONE ? OF_ENDPOINT : 0u) |
           (finding->status == IOVAGEOM_ERR_SPLIT ? SPLITS : 0u) |
           (iovageom_range_overlaps(finding->range, finding->against) ? 0u : APART) |
           (iovageom_range_equal(finding->range, finding->against) ? FIXED : 0u) |
           (finding->range.last == 0 ? NO_RANGE : 0u) |
           (finding->against.start > finding->range.start ? BEGINS : 0u);
}

/*
 * The sentences. The first one in the table that has the finding's kind and whose conditions hold
 * is taken, so the general sentence of a kind comes last. A letter after % stands for a field of
 * the finding:
 *
 *   r range   a against   t type     o owner   p other    s source of the owner   q of the other
 *   e endpoint   d domain   w wanted   m wanted - 1   f offered   W, F the same in hex   x detail
 *   R  "reserves AGAINST (TYPE)" or, when no type is given, "cannot map AGAINST"
 *   n  " and WANTED - 1 more", or nothing when there is one only
 */
static const struct sentence {
    uint16_t kind;
    uint16_t when;
    const char *text;
} sentences[] = {
    {IOVAGEOM_FINDING_RESERVED, ALWAYS, "%r cannot be mapped: %o %R, says %s; use other addresses"},
    {IOVAGEOM_FINDING_OUT_OF_APERTURE, ALWAYS,
     "%r is out of reach: %o translates only %a, says %s; use addresses within it"},
    {IOVAGEOM_FINDING_ALIGNMENT, DETAIL,
     "%x is not a multiple of the granule %W; align it to that"},
    {IOVAGEOM_FINDING_ALIGNMENT, ALWAYS,
     "%r is not a multiple of the granule %W; align its start and its end to that"},
    {IOVAGEOM_FINDING_GRANULE, ALWAYS,
     "%o maps no pages smaller than %F, but the granule is %W; choose a granule of at least %F "
     "before the guest starts"},
    {IOVAGEOM_FINDING_MAPPING, ALWAYS, "%o %R, where domain %d already maps %r"},
    {IOVAGEOM_FINDING_PROMISE, OF_ENDPOINT,
     "%o %R, but a PROBE of endpoint %e promised the guest %r; plug it before the guest probes, or "
     "reserve that range from the start"},
    {IOVAGEOM_FINDING_PROMISE, ALWAYS,
     "%o %R, but the guest was promised %r; keep it where that can be mapped"},
    {IOVAGEOM_FINDING_INPUT_RANGE, DETAIL, "the input range %r is wider than what %o maps, %a; %x"},
    {IOVAGEOM_FINDING_INPUT_RANGE, BEGINS,
     "the input range %r is wider than what %o maps, %a; let it begin higher"},
    {IOVAGEOM_FINDING_INPUT_RANGE, ALWAYS,
     "the input range %r is wider than what %o maps, %a; lower the address width"},
    {IOVAGEOM_FINDING_BUDGET, NOTE | DETAIL,
     "%w mappings could be made %x, but %o allows %f; map in larger steps, or raise its limit"},
    {IOVAGEOM_FINDING_BUDGET, ALWAYS,
     "%w mappings are needed, but %o allows %f; use larger pages, or raise its limit"},
    {IOVAGEOM_FINDING_LOST, ALWAYS,
     "%r is usable, but is not offered to the guest, which loses it"},
    {IOVAGEOM_FINDING_DISAGREEMENT, NUMBERS,
     "%x of %o: %w by %s, but %f by %q; find out which one errs"},
    {IOVAGEOM_FINDING_DISAGREEMENT, ALWAYS,
     "%s and %q contradict each other about %r of %o; keep clear of it"},
    {IOVAGEOM_FINDING_UNKNOWN, ALWAYS, "%o did not say %x; this can't be checked"},
    {IOVAGEOM_FINDING_INCOMPLETE, REGISTERS,
     "what %s say of %o depends on the kernel; only what holds for all is taken"},
    {IOVAGEOM_FINDING_INCOMPLETE, ALWAYS,
     "what %s says of %o may have been cut off; regions may be missing"},
    {IOVAGEOM_FINDING_NOTHING_USABLE, ALWAYS, "%o leaves no address usable; it cannot be assigned"},
    {IOVAGEOM_FINDING_EXISTS, ALWAYS,
     "endpoint %e is taken, by %p; unplug that first, or use another number"},
    {IOVAGEOM_FINDING_NOT_FOUND, OF_DOMAIN,
     "there is no domain %d; attach an endpoint to it first"},
    {IOVAGEOM_FINDING_NOT_FOUND, OF_ENDPOINT, "there is no endpoint %e; plug or declare it first"},
    {IOVAGEOM_FINDING_NOT_FOUND, ALWAYS, "there is no such group"},
    {IOVAGEOM_FINDING_OVERLAP, SPLITS,
     "%r would split %a, which is mapped as one (N54); unmap all of that"},
    {IOVAGEOM_FINDING_OVERLAP, APART | FATAL,
     "%r and %a share a page of the host, which can be mapped for one of them only; put them into "
     "pages of their own"},
    {IOVAGEOM_FINDING_OVERLAP, APART,
     "%r and %a share a page of the host, and neither may move; the host maps no part of a page, "
     "so other devices reach none of them by DMA"},
    {IOVAGEOM_FINDING_OVERLAP, ALWAYS, "%r overlaps %a"},
    {IOVAGEOM_FINDING_PROBE_SIZE, ALWAYS,
     "the probe buffer has %f of %w bytes; raise probe_size, or let regions be joined"},
    {IOVAGEOM_FINDING_LIMIT, ALWAYS, "a limit is reached: %w are needed, and %f is the most"},
    {IOVAGEOM_FINDING_GUEST_QUIRK, ALWAYS, "a guest kernel will trip over %r: %x"},
    {IOVAGEOM_FINDING_OTHER, ALWAYS, "%x"},
    {IOVAGEOM_FINDING_DIRECT, OF_POOL,
     "a device of %o can't be assigned while firmware demands %r%n one to one; update the "
     "firmware, "
     "or switch its pre-boot DMA protection off"},
    {IOVAGEOM_FINDING_DIRECT, ALWAYS,
     "%o can't be assigned while firmware demands %r%n one to one; update the firmware, or switch "
     "its pre-boot DMA protection off"},
    {IOVAGEOM_FINDING_NO_PLACE, FIXED,
     "piece %w of the layout, %r, is fixed where it can't be mapped; let it move"},
    {IOVAGEOM_FINDING_NO_PLACE, ALWAYS,
     "piece %w of the layout, %r, finds no place within %a; widen its limits, or make it smaller"},
    {IOVAGEOM_FINDING_MSI_WINDOW, ALWAYS,
     "%r of %o is taken for hardware doorbells, as %s calls it msi, but it may be a window of the "
     "host's software; if it is, say so"},
    {IOVAGEOM_FINDING_HOST, NO_RANGE, "the host refused, with errno %w"},
    {IOVAGEOM_FINDING_HOST, ALWAYS, "the host refused, with errno %w, what was asked of it for %r"},
};

static const char *sentence_of(const struct iovageom_finding *finding)
{
    const unsigned conditions = conditions_of(finding);

    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
        if (sentences[i].kind == finding->kind && (sentences[i].when & ~conditions) == 0)
            return sentences[i].text;
    return "a finding of a kind that this version does not know";
}

/* The owner's name, or its source when `named` is false or it has no name. */
static void put_owner(struct iovageom_text *text, const struct iovageom_owner *owner, bool named)
{
    const char *source = iovageom_source_string((enum iovageom_source)owner->source);

    named = named && owner->name[0] != '\0';
    iovageom_text_string(text, named ? owner->name : source, IOVAGEOM_NAME_SIZE);
}

/* Writes a sentence. A letter that stands for a part of one is written by another call. */
static void put_sentence(struct iovageom_text *text, const struct iovageom_finding *finding,
                         const char *sentence)
{
    for (const char *at = sentence; *at != '\0'; at++) {
        if (*at != '%') {
            iovageom_text_string(text, at, 1);
            continue;
        }
        switch (*++at) {
        case 'r':
        case 'a':
            iovageom_text_range(text, *at == 'r' ? finding->range : finding->against);
            break;
        case 'R':
            put_sentence(text, finding, finding->type != 0 ? "reserves %a (%t)" : "cannot map %a");
            break;
        case 't':
            iovageom_text_string(
                text, iovageom_resv_type_string((enum iovageom_resv_type)finding->type), SIZE_MAX);
            break;
        case 'n':
            put_sentence(text, finding, finding->wanted > 1 ? " and %m more" : "");
            break;
        case 'm':
            iovageom_text_decimal(text, finding->wanted - 1);
            break;
        case 'o':
        case 's':
            put_owner(text, &finding->owner, *at == 'o');
            break;
        case 'p':
        case 'q':
            put_owner(text, &finding->other, *at == 'p');
            break;
        case 'e':
        case 'd':
            iovageom_text_decimal(text, *at == 'e' ? finding->endpoint : finding->domain);
            break;
        case 'w':
        case 'f':
            iovageom_text_decimal(text, *at == 'w' ? finding->wanted : finding->offered);
            break;
        case 'W':
        case 'F':
            iovageom_text_hex(text, *at == 'W' ? finding->wanted : finding->offered);
            break;
        default: /* x */
            iovageom_text_string(text, finding->detail != NULL ? finding->detail : "more",
                                 DETAIL_MAX);
            break;
        }
    }
}

size_t iovageom_finding_text(const struct iovageom_finding *finding, char *out, size_t size)
{
    struct iovageom_text text;

    iovageom_text_init(&text, out, size);
    put_sentence(&text, finding, sentence_of(finding));
    return text.length;
}

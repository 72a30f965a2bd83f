/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captured hosts as iovageom-probe reads them from one file: archives, a kernel's log, listings;
 * and bytes of a PROBE answer as text; sizes of BARs; books of a virtual IOMMU. Whatever it is, it
 * ends, and nothing is called usable of what could not be read. Where the program would end with a
 * message, the input is done.
 */
#include "fuzz_program.h"

#include "../../examples/host-probe/advice.h"
#include "../../examples/host-probe/books.h"
#include "../../examples/host-probe/bytes.h"
#include "../../examples/host-probe/tree.h"

#define MOST_GROUPS 16

const char *program_name = "forms_fuzz";

static void check_verdict(const struct verdict *verdict)
{
    fuzz_check(verdict->judged || verdict->usable_count == 0);
    fuzz_check(verdict->judged || verdict->faults.count != 0);
    for (size_t i = 0; i < verdict->usable_count; i++) {
        fuzz_check(iovageom_range_valid(verdict->usable[i]));
        fuzz_check(i == 0 || verdict->usable[i - 1].last < verdict->usable[i].start);
    }
}

static void judge_all(const struct host *host)
{
    for (size_t i = 0; i < host->group_count && i < MOST_GROUPS; i++) {
        for (int lenient = 0; lenient < 2; lenient++) {
            const struct mode mode = {.lenient = lenient != 0};
            struct verdict verdict = judge(host, &host->groups[i], &mode);
            struct advice advice = advise(host, &verdict);

            check_verdict(&verdict);
            fuzz_check(outcome_word(advice.outcome) != NULL);
            (void)promise_for(&verdict, 0, 0);
        }
    }
}

/* Text that was made from bytes is those bytes again. */
static void read_words(const struct blob *blob)
{
    char *hex = keep(3 * blob->length + 1);
    struct blob again = {true, (uint8_t *)hex, 3 * blob->length, "hex", NULL};
    struct blob copy = *blob;

    (void)bytes_from_text(&copy);
    for (size_t i = 0; i < blob->length; i++)
        snprintf(hex + 3 * i, 4, "%02x ", blob->bytes[i]);
    if (blob->length == 0)
        return;
    fuzz_check(bytes_from_text(&again) && again.length == blob->length);
    fuzz_check(memcmp(again.bytes, blob->bytes, blob->length) == 0);
}

/* Sizes that were taken are the same when they are written down and read again. */
static void read_bars(const struct blob *blob)
{
    struct bars bars, again;

    if (!bars_of_words(&bars, (const char *)blob->bytes)) {
        fuzz_check(bars.count == 0);
        return;
    }
    fuzz_check(bars.count >= 1 && bars.count <= BARS_OF_DEVICE);
    fuzz_check(bars_of_words(&again, bars_words(&bars)) && again.count == bars.count);
    for (size_t i = 0; i < bars.count; i++)
        fuzz_check(again.list[i].size == bars.list[i].size &&
                   again.list[i].low == bars.list[i].low);
}

/* The checksum of docs/formats.md is put right: else no input gets further. */
static void sign(struct blob *blob)
{
    uint64_t sum = 0xcbf29ce484222325;

    for (size_t i = 24; i < blob->length; i++)
        sum = (sum ^ blob->bytes[i]) * 0x100000001b3;
    for (size_t i = 0; i < 8 && blob->length >= 24; i++)
        blob->bytes[16 + i] = (uint8_t)(sum >> (8 * i));
}

/* A host that maps nothing keeps nothing that somebody relies on. */
static void read_books(struct blob *blob)
{
    struct iovageom_geometry *nothing;
    struct books books;

    sign(blob);
    if (!books_look_like(blob) || books_read(blob, &books) != NULL)
        return;
    if (iovageom_geometry_new(&lasting, "nothing", &nothing) != IOVAGEOM_OK ||
        iovageom_geometry_add_usable(nothing, NULL, 0, IOVAGEOM_SOURCE_OTHER) != IOVAGEOM_OK)
        return;
    fuzz_check(books.count > 0 && books.page_size_mask != 0);
    for (size_t i = 0; i < books.count && i < MOST_GROUPS; i++) {
        const char **refusals = NULL;
        size_t count = 0;

        fuzz_check(i == 0 || books.endpoints[i - 1] < books.endpoints[i]);
        fuzz_check(books_promise(&books, books.endpoints[i]) != NULL);
        books_refusals(&books, books.endpoints[i], nothing, &refusals, &count);
        fuzz_check(count > 0);
    }
    fuzz_check(books_choose(&books, books.endpoints[books.count - 1]) && books.count == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blob blob = {.there = true, .path = "input"};
    struct host host;

    if (size == 0)
        return 0;
    if (setjmp(ended) == 0) {
        blob.length = size - 1;
        blob.bytes = keep(size);
        memcpy(blob.bytes, data + 1, size - 1);
        if (*data == 'w') {
            read_words(&blob);
        } else if (*data == 'b') {
            read_bars(&blob);
        } else if (*data == 'k') {
            read_books(&blob);
        } else {
            host_read_bytes(&host, &blob);
            judge_all(&host);
        }
    }
    tree_unmount();
    free_kept();
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What iovageom-probe reads of lines that VMMs print, of amounts that people write, and of a
 * guest's RAM and BARs. What is taken for a range is one, and says the same when it is written down
 * and read again.
 */
#include "fuzz.h"

#include "../../examples/host-probe/amounts.c"
#include "../../examples/host-probe/guestwords.c"
/* They are read from bytes alone, and have names of their own. */
#include "../../examples/host-probe/scan.c"
#include "../../examples/host-probe/vmmfault.c"
#include "../../examples/host-probe/vmmline.c"
#include "../../examples/host-probe/vmmsetup.c"

static void read_line(const char *bytes, size_t length)
{
    struct vmm_line line = vmm_line_read(bytes, length);
    const char *end = memchr(line.device, '\0', sizeof(line.device));

    fuzz_check(end != NULL);
    fuzz_check(line.kind <= VMM_LINE_SETUP && line.speaker != NULL);
    fuzz_check(line.fault <= FAULT_REQUEST && line.setup <= SETUP_PEER);
    fuzz_check((line.kind == VMM_LINE_SETUP) == (line.setup != SETUP_NONE));
    fuzz_check(memchr(line.group, '\0', sizeof(line.group)) != NULL);
    fuzz_check((line.kind == VMM_LINE_NONE) == (*line.speaker == '\0'));
    fuzz_check(line.error >= 0);
    fuzz_check(line.has_range + line.empty + line.wraps <= 1);
    if (line.has_range)
        fuzz_check(iovageom_range_valid(line.range));
    /* What stands around a line does not hide it. */
    if (line.kind != VMM_LINE_NONE && length < 2000) {
        char more[2048] = "[1.0] x: ";
        size_t before = strlen(more);

        memcpy(more + before, bytes, length);
        fuzz_check(vmm_line_read(more, before + length).kind != VMM_LINE_NONE);
    }
}

/* Each line of the text, as if it were a log. */
static void read_events(const char *bytes, size_t length)
{
    struct vmm_event event = {.open = false};
    struct vmm_line line;

    for (const char *at = bytes, *end = bytes + length; at < end; at++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t here = (size_t)((newline != NULL ? newline : end) - at);

        if (vmm_event_read(&event, at, here, &line)) {
            fuzz_check(line.kind == VMM_LINE_ACCESS && line.has_stream && !event.open);
            fuzz_check(!line.has_range || iovageom_range_valid(line.range));
        }
        fuzz_check(event.count <= 3);
        at += here;
    }
}

static void read_amounts(const char *words)
{
    struct iovageom_range range, again;
    uint64_t value, same;
    char made[64];

    if (amount_read(words, &value)) {
        snprintf(made, sizeof(made), "0x%llx", (unsigned long long)value);
        fuzz_check(amount_read(made, &same) && same == value);
    }
    if (!amount_range(words, &range))
        return;
    fuzz_check(iovageom_range_valid(range));
    snprintf(made, sizeof(made), "[0x%llx,0x%llx]", (unsigned long long)range.start,
             (unsigned long long)range.last);
    fuzz_check(amount_range(made, &again) && iovageom_range_equal(range, again));
}

static void read_guest(const char *words)
{
    struct iovageom_range ranges[GUEST_RANGES_MAX], end;
    struct guest_ram ram;
    struct guest_bar bar;

    if (guest_read_ram(words, ranges, &ram) == NULL) {
        fuzz_check((ram.size == 0) == (ram.count != 0) && ram.count <= GUEST_RANGES_MAX);
        for (size_t i = 0; i < ram.count; i++) {
            fuzz_check(iovageom_range_valid(ranges[i]));
            for (size_t k = 0; k < i; k++)
                fuzz_check(!iovageom_range_overlaps(ranges[i], ranges[k]));
        }
    }
    if (guest_read_bar(words, &bar) == NULL) {
        fuzz_check(is_power(bar.size) && (bar.has_address || !bar.fixed));
        if (bar.has_address) {
            fuzz_check(iovageom_range_from_length(bar.address, bar.size, &end) == 0);
            fuzz_check(!bar.low || end.last <= UINT32_MAX);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words = malloc(size + 1);

    if (words == NULL)
        abort();
    if (size > 0)
        memcpy(words, data, size);
    words[size] = '\0';
    read_line((const char *)data, size);
    read_events((const char *)data, size);
    read_amounts(words);
    read_guest(words);
    free(words);
    return 0;
}

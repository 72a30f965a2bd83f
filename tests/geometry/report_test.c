/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/report.h>
#include <iovageom/status.h>

#include "support/test_allocator.h"
#include "base/text.h"

static struct iovageom_finding mapping_finding(void)
{
    struct iovageom_finding finding =
        iovageom_finding_blank(IOVAGEOM_FINDING_MAPPING, IOVAGEOM_ERR_CONFLICT);

    finding.range = (struct iovageom_range){0xdf900000, 0xdf900fff};
    finding.against = (struct iovageom_range){0xdf800000, 0xdfffffff};
    finding.type = IOVAGEOM_RESV_DIRECT;
    finding.domain = 7;
    assert_int_equal(iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_SYSFS, "0000:3b:00.0"), 0);
    return finding;
}

static void check_text(const struct iovageom_finding *finding, const char *wanted)
{
    char text[512];

    assert_int_equal(iovageom_finding_text(finding, text, sizeof(text)), strlen(wanted));
    assert_string_equal(text, wanted);
}

static void writer_numbers(void **state)
{
    struct iovageom_text text;
    char out[64];

    (void)state;
    iovageom_text_init(&text, out, sizeof(out));
    assert_string_equal(out, "");
    iovageom_text_decimal(&text, 0);
    iovageom_text_string(&text, " ", SIZE_MAX);
    iovageom_text_decimal(&text, UINT64_MAX);
    iovageom_text_string(&text, " cut", 3);
    assert_string_equal(out, "0 18446744073709551615 cu");
    iovageom_text_init(&text, out, sizeof(out));
    iovageom_text_range(&text, (struct iovageom_range){0, UINT64_MAX});
    assert_string_equal(out, "[0x0,0xffffffffffffffff]");
}

static void writer_never_writes_past_the_end(void **state)
{
    const char *whole = "0000:3b:00.0 reserves [0xdf800000,0xdfffffff] (direct), where domain 7 "
                        "already maps [0xdf900000,0xdf900fff]";
    struct iovageom_finding finding = mapping_finding();

    (void)state;
    for (size_t size = 0; size < 200; size++) {
        char out[200];
        size_t kept = strlen(whole);

        memset(out, '#', sizeof(out));
        assert_int_equal(iovageom_finding_text(&finding, out, size), strlen(whole));
        if (size > 0) {
            kept = kept < size ? kept : size - 1;
            assert_memory_equal(out, whole, kept);
            assert_int_equal(out[kept], '\0');
        }
        for (size_t i = size; i < sizeof(out); i++)
            assert_int_equal(out[i], '#');
    }
    assert_int_equal(iovageom_finding_text(&finding, NULL, 0), strlen(whole));
}

static void each_kind_has_its_sentence(void **state)
{
    static const char *const sentences[] = {
        "[0x1000,0x1fff] cannot be mapped: 0000:3b:00.0 reserves [0x800,0x2fff] (msi), says sysfs; "
        "use other addresses",
        "[0x1000,0x1fff] is out of reach: 0000:3b:00.0 translates only [0x800,0x2fff], says sysfs; "
        "use addresses within it",
        "because is not a multiple of the granule 0x30; align it to that",
        "0000:3b:00.0 maps no pages smaller than 0x1000, but the granule is 0x30; choose a granule "
        "of at least 0x1000 before the guest starts",
        "0000:3b:00.0 reserves [0x800,0x2fff] (msi), where domain 7 already maps [0x1000,0x1fff]",
        "0000:3b:00.0 reserves [0x800,0x2fff] (msi), but a PROBE of endpoint 24 promised the guest "
        "[0x1000,0x1fff]; plug it before the guest probes, or reserve that range from the start",
        "the input range [0x1000,0x1fff] is wider than what 0000:3b:00.0 maps, [0x800,0x2fff]; "
        "because",
        "48 mappings are needed, but 0000:3b:00.0 allows 4096; use larger pages, or raise its "
        "limit",
        "[0x1000,0x1fff] is usable, but is not offered to the guest, which loses it",
        "because of 0000:3b:00.0: 48 by sysfs, but 4096 by VFIO; find out which one errs",
        "0000:3b:00.0 did not say because; this can't be checked",
        "what sysfs says of 0000:3b:00.0 may have been cut off; regions may be missing",
        "0000:3b:00.0 leaves no address usable; it cannot be assigned",
        "endpoint 24 is taken, by 0000:af:00.0; unplug that first, or use another number",
        "there is no domain 7; attach an endpoint to it first",
        "[0x1000,0x1fff] overlaps [0x800,0x2fff]",
        "the probe buffer has 4096 of 48 bytes; raise probe_size, or let regions be joined",
        "a limit is reached: 48 are needed, and 4096 is the most",
        "a guest kernel will trip over [0x1000,0x1fff]: because",
        "because",
        "0000:3b:00.0 can't be assigned while firmware demands [0x1000,0x1fff] and 47 more one to "
        "one; update the firmware, or switch its pre-boot DMA protection off",
        "piece 48 of the layout, [0x1000,0x1fff], finds no place within [0x800,0x2fff]; widen its "
        "limits, or make it smaller",
        "[0x1000,0x1fff] of 0000:3b:00.0 is taken for hardware doorbells, as sysfs calls it msi, "
        "but it may be a window of the host's software; if it is, say so",
    };
    struct iovageom_finding finding;

    (void)state;
    for (uint32_t kind = 1; kind <= IOVAGEOM_FINDING_MSI_WINDOW; kind++) {
        finding = iovageom_finding_blank((enum iovageom_finding_kind)kind, IOVAGEOM_ERR_CONFLICT);
        finding.range = (struct iovageom_range){0x1000, 0x1fff};
        finding.against = (struct iovageom_range){0x800, 0x2fff};
        finding.type = IOVAGEOM_RESV_MSI;
        finding.wanted = 48;
        finding.offered = 4096;
        finding.endpoint = 24;
        finding.domain = 7;
        finding.detail = "because";
        (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_SYSFS, "0000:3b:00.0");
        (void)iovageom_owner_init(&finding.other, IOVAGEOM_SOURCE_VFIO, "0000:af:00.0");
        check_text(&finding, sentences[kind - 1]);
    }
    finding.kind = 999;
    check_text(&finding, "a finding of a kind that this version does not know");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_NOT_FOUND, IOVAGEOM_ERR_NOT_FOUND);
    assert_int_equal(finding.fatal, 1);
    check_text(&finding, "there is no such group");
    finding.endpoint = 3;
    check_text(&finding, "there is no endpoint 3; plug or declare it first");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_ALIGNMENT, IOVAGEOM_ERR_ALIGNMENT);
    check_text(&finding, "[0x0,0x0] is not a multiple of the granule 0x0; align its start and its "
                         "end to that");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_OVERLAP, IOVAGEOM_ERR_SPLIT);
    check_text(&finding,
               "[0x0,0x0] would split [0x0,0x0], which is mapped as one (N54); unmap all of that");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_OVERLAP, IOVAGEOM_ERR_CONFLICT);
    finding.against = (struct iovageom_range){1, 1};
    check_text(&finding,
               "[0x0,0x0] and [0x1,0x1] share a page of the host, which can be mapped for "
               "one of them only; put them into pages of their own");
    finding.fatal = 0;
    check_text(&finding, "[0x0,0x0] and [0x1,0x1] share a page of the host, and neither may move; "
                         "the host maps no part of a page, so other devices reach none of them by "
                         "DMA");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_NO_PLACE, IOVAGEOM_ERR_CONFLICT);
    check_text(&finding, "piece 0 of the layout, [0x0,0x0], is fixed where it can't be mapped; let "
                         "it move");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_BUDGET, IOVAGEOM_OK);
    check_text(&finding, "0 mappings are needed, but the VMM allows 0; use larger pages, or raise "
                         "its limit");
    finding.detail = "in chunks";
    check_text(&finding, "0 mappings could be made in chunks, but the VMM allows 0; map in larger "
                         "steps, or raise its limit");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, IOVAGEOM_OK);
    assert_int_equal(finding.fatal, 0);
    check_text(&finding, "more");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_DISAGREEMENT, IOVAGEOM_OK);
    check_text(&finding,
               "the VMM and the VMM contradict each other about [0x0,0x0] of the VMM; keep "
               "clear of it");
    finding.offered = 5;
    finding.detail = "bits";
    check_text(&finding,
               "bits of the VMM: 0 by the VMM, but 5 by the VMM; find out which one errs");
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_PROMISE, IOVAGEOM_OK);
    check_text(&finding, "the VMM cannot map [0x0,0x0], but the guest was promised [0x0,0x0]; keep "
                         "it where that can be mapped");
}

static void F13_sentences_name_range_device_and_remedy(void **state)
{
    struct iovageom_finding finding = mapping_finding();

    (void)state;
    finding.kind = IOVAGEOM_FINDING_RESERVED;
    check_text(&finding, "[0xdf900000,0xdf900fff] cannot be mapped: 0000:3b:00.0 reserves "
                         "[0xdf800000,0xdfffffff] (direct), says sysfs; use other addresses");
    finding.kind = IOVAGEOM_FINDING_OUT_OF_APERTURE;
    check_text(&finding, "[0xdf900000,0xdf900fff] is out of reach: 0000:3b:00.0 translates only "
                         "[0xdf800000,0xdfffffff], says sysfs; use addresses within it");
    finding.kind = IOVAGEOM_FINDING_GRANULE;
    finding.wanted = 4096;
    finding.offered = 65536;
    check_text(&finding, "0000:3b:00.0 maps no pages smaller than 0x10000, but the granule is "
                         "0x1000; choose a granule of at least 0x10000 before the guest starts");
    finding.kind = IOVAGEOM_FINDING_MAPPING;
    finding.type = 0;
    check_text(&finding, "0000:3b:00.0 cannot map [0xdf800000,0xdfffffff], where domain 7 already "
                         "maps [0xdf900000,0xdf900fff]");
    (void)iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_USER, "");
    finding.type = IOVAGEOM_RESV_MSI;
    check_text(&finding, "a user option reserves [0xdf800000,0xdfffffff] (msi), where domain 7 "
                         "already maps [0xdf900000,0xdf900fff]");
}

static void the_longest_sentence_fits(void **state)
{
    struct iovageom_finding finding;
    char detail[1000];
    char name[IOVAGEOM_NAME_SIZE];

    (void)state;
    memset(detail, 'd', sizeof(detail) - 1);
    detail[sizeof(detail) - 1] = '\0';
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    finding = iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, 0);
    finding.range = finding.against = (struct iovageom_range){UINT64_MAX, UINT64_MAX};
    finding.wanted = finding.offered = finding.endpoint = finding.domain = UINT64_MAX;
    finding.type = IOVAGEOM_RESV_DIRECT_RELAXABLE;
    finding.detail = detail;
    assert_int_equal(iovageom_owner_init(&finding.owner, IOVAGEOM_SOURCE_MACHINE, name), 0);
    assert_int_equal(iovageom_owner_init(&finding.other, IOVAGEOM_SOURCE_MACHINE, name), 0);
    for (finding.kind = 0; finding.kind <= IOVAGEOM_FINDING_NO_PLACE + 1; finding.kind++)
        assert_in_range(iovageom_finding_text(&finding, NULL, 0), 1, 511);
}

static void text_is_the_first_fatal_finding(void **state)
{
    struct iovageom_finding note = iovageom_finding_blank(IOVAGEOM_FINDING_OTHER, 0);
    struct iovageom_finding fatal = mapping_finding();
    struct iovageom_report report;

    (void)state;
    note.detail = "a note";
    iovageom_report_init(&report, NULL);
    assert_string_equal(iovageom_report_text(&report), "");
    assert_int_equal(iovageom_report_count(&report), 0);
    assert_null(iovageom_report_at(&report, 0));
    iovageom_report_add(&report, &note);
    assert_string_equal(iovageom_report_text(&report), "a note");
    iovageom_report_add(&report, &note);
    assert_string_equal(iovageom_report_text(&report), "a note (and 1 more)");
    fatal.domain = 8;
    iovageom_report_add(&report, &fatal);
    fatal.domain = 9;
    iovageom_report_add(&report, &fatal);
    assert_string_equal(iovageom_report_text(&report),
                        "0000:3b:00.0 reserves [0xdf800000,0xdfffffff] (direct), where domain 8 "
                        "already maps [0xdf900000,0xdf900fff] (and 3 more)");
    assert_int_equal(iovageom_report_at(&report, 3)->domain, 9);
    iovageom_report_clear(&report);
    assert_string_equal(iovageom_report_text(&report), "");
    assert_int_equal(iovageom_report_count(&report), 0);
    iovageom_report_deinit(&report);
    iovageom_report_deinit(NULL);
    iovageom_report_clear(NULL);
    iovageom_report_add(NULL, &fatal);
}

static void many_findings(void **state)
{
    struct iovageom_finding finding = mapping_finding();
    struct test_allocator memory;
    struct iovageom_report report;

    (void)state;
    test_allocator_init(&memory);
    iovageom_report_init(&report, &memory.allocator);
    for (uint64_t i = 0; i < 10000; i++) {
        finding.domain = i;
        iovageom_report_add(&report, &finding);
    }
    assert_int_equal(iovageom_report_count(&report), 10000);
    assert_int_equal(iovageom_report_dropped(&report), 0);
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(iovageom_report_at(&report, i)->domain, i);
    assert_true(memory.allocations < 20);
    iovageom_report_deinit(&report);
    assert_int_equal(test_allocator_live(&memory), 0);
    /* It says nothing more, and can be released again. */
    assert_int_equal(iovageom_report_count(&report), 0);
    assert_null(iovageom_report_at(&report, 9999));
    assert_string_equal(iovageom_report_text(&report), "");
    iovageom_report_deinit(&report);
}

static void without_memory_findings_are_counted(void **state)
{
    struct iovageom_finding finding = mapping_finding();
    struct test_allocator memory;
    struct iovageom_report report;
    size_t kept;

    (void)state;
    test_allocator_init(&memory);
    iovageom_report_init(&report, &memory.allocator);
    test_allocator_fail_at(&memory, 1, true);
    for (uint64_t i = 0; i < 100; i++) {
        finding.domain = i;
        iovageom_report_add(&report, &finding);
    }
    kept = iovageom_report_count(&report);
    assert_in_range(kept, 1, 99);
    assert_int_equal(iovageom_report_dropped(&report), 100 - kept);
    assert_int_equal(iovageom_report_at(&report, kept - 1)->domain, kept - 1);
    assert_null(iovageom_report_at(&report, kept));
    assert_non_null(strstr(iovageom_report_text(&report), " (and 99 more)"));
    iovageom_report_deinit(&report);
    assert_int_equal(test_allocator_live(&memory), 0);
}

/* A finding may be one of the report itself, which moves its findings when they become many. */
static void a_finding_of_its_own_is_added(void **state)
{
    struct iovageom_finding finding = iovageom_finding_blank(IOVAGEOM_FINDING_LOST, 0);
    struct test_allocator memory;
    struct iovageom_report report;

    (void)state;
    test_allocator_init(&memory);
    iovageom_report_init(&report, &memory.allocator);
    finding.range.last = 0xfff;
    iovageom_report_add(&report, &finding);
    for (size_t i = 1; i < 50; i++) {
        iovageom_report_add(&report, iovageom_report_at(&report, i - 1));
        assert_int_equal(iovageom_report_count(&report), i + 1);
        assert_memory_equal(iovageom_report_at(&report, i), &finding, sizeof(finding));
    }
    iovageom_report_deinit(&report);
    assert_int_equal(test_allocator_live(&memory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writer_numbers),
        cmocka_unit_test(writer_never_writes_past_the_end),
        cmocka_unit_test(each_kind_has_its_sentence),
        cmocka_unit_test(F13_sentences_name_range_device_and_remedy),
        cmocka_unit_test(the_longest_sentence_fits),
        cmocka_unit_test(text_is_the_first_fatal_finding),
        cmocka_unit_test(many_findings),
        cmocka_unit_test(a_finding_of_its_own_is_added),
        cmocka_unit_test(without_memory_findings_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile guest, with a VMM that plugs and unplugs meanwhile; and a hostile migration stream. The
 * first byte chooses. After every step the books must agree with themselves.
 *
 * A step of the guest is a byte of what to do, and what follows: for a request, its length in a
 * byte, that of the writable part in two, and its bytes.
 */
#include "fuzz.h"

#include <iovageom/geometry.h>
#include <iovageom/status.h>
#include <iovageom/viommu.h>

#include "base/bytes.h"

#include "support/viommu_check.h"

enum { DEVICES = 3, EMULATED = 8, SLOT = 9 };

static struct iovageom_geometry *device(unsigned number)
{
    static const struct iovageom_range usable[DEVICES][3] = {
        {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}, {0, 0}},
        {{0, 0xfedfffff}, {0xfef00000, 0xfcffffffff}, {0x10000000000, UINT64_MAX}},
        {{0, 0x7ffffff}, {0x8100000, 0xffffffffffff}, {0, 0}},
    };
    static const struct iovageom_range msi = {0xfee00000, 0xfeefffff};
    struct iovageom_geometry *geometry;
    int status = iovageom_geometry_new(NULL, "device", &geometry);

    fuzz_check(status == 0);
    fuzz_check(iovageom_geometry_add_usable(geometry, usable[number], number == 1 ? 3 : 2,
                                            IOVAGEOM_SOURCE_VFIO) == 0);
    fuzz_check(iovageom_geometry_add_page_sizes(geometry, 0x40201000, IOVAGEOM_SOURCE_VFIO) == 0);
    if (number < 2)
        fuzz_check(iovageom_geometry_add_reserved(geometry, msi, IOVAGEOM_RESV_MSI,
                                                  IOVAGEOM_SOURCE_SYSFS) == 0);
    return geometry;
}

static struct iovageom_viommu *books(void)
{
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu;

    iovageom_viommu_config_init(&config);
    config.max_mappings = 64;
    config.max_domains = 4;
    config.probe_size = 120;
    config.flags = IOVAGEOM_VIOMMU_INDEX_PHYS;
    fuzz_check(iovageom_viommu_new(NULL, &config, &viommu) == 0);
    fuzz_check(iovageom_viommu_declare(viommu, EMULATED, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL) == 0);
    fuzz_check(iovageom_viommu_declare(viommu, SLOT, 1, IOVAGEOM_ENDPOINT_SLOT, NULL) == 0);
    return viommu;
}

/* Whether it was let pass although something stands against it. */
static bool plug(struct iovageom_viommu *viommu, uint32_t endpoint, unsigned flags)
{
    bool stale;
    struct iovageom_geometry *geometry = device(endpoint % DEVICES);
    struct iovageom_plug_options where;
    struct iovageom_report report;
    int dry, status;

    iovageom_report_init(&report, NULL);
    iovageom_plug_options_init(&where);
    if (flags & 1)
        where.guest_group = 1;
    if (flags & 2)
        where.address_space = 1;
    where.flags = flags >> 2 & (IOVAGEOM_PLUG_ALIAS | IOVAGEOM_PLUG_ALLOW_STALE);
    dry = iovageom_viommu_plug_check(viommu, endpoint, &where, geometry, NULL);
    status = iovageom_viommu_plug(viommu, endpoint, &where, geometry, &report);
    fuzz_check(dry == status);
    if (status < 0)
        fuzz_check(iovageom_report_text(&report) != NULL);
    stale = status == 0 && test_viommu_went_stale(&report);
    iovageom_report_deinit(&report);
    iovageom_geometry_free(geometry);
    return stale;
}

static void request(struct iovageom_viommu *viommu, struct fuzz_input *input)
{
    size_t readable_size, wanted = fuzz_number(input, 1), used;
    size_t writable_size = fuzz_number(input, 2) % 512;
    uint8_t *readable = fuzz_bytes(input, wanted, &readable_size);
    uint8_t *writable = malloc(writable_size + (writable_size == 0));
    struct iovageom_viommu_transaction transaction;
    struct iovageom_report report;

    fuzz_check(writable != NULL);
    memset(writable, 0xa5, writable_size);
    iovageom_report_init(&report, NULL);
    iovageom_viommu_request_begin(viommu, readable, readable_size, writable_size, &transaction,
                                  &report);
    used = iovageom_viommu_request_end(viommu, &transaction,
                                       wanted == 77 ? IOVAGEOM_ERR_HOST : IOVAGEOM_OK, writable,
                                       writable_size, &report);
    fuzz_check(used <= writable_size);
    if (used == 0)
        for (size_t i = 0; i < writable_size; i++)
            fuzz_check(writable[i] == 0xa5);
    else if (used > 4 && writable[used - 4] != IOVAGEOM_VIRTIO_S_OK)
        for (size_t i = 0; i < used - 4; i++)
            fuzz_check(writable[i] == 0);
    if (used != 0)
        fuzz_check(used >= 4 && writable[used - 4] <= IOVAGEOM_VIRTIO_S_NOMEM &&
                   (writable[used - 3] | writable[used - 2] | writable[used - 1]) == 0);
    iovageom_report_deinit(&report);
    free(readable);
    free(writable);
}

/* No fuzzer guesses the checksum. */
static void make_right(uint8_t *bytes, size_t length)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 24; i < length; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    if (length >= 24)
        iovageom_store_le64(bytes + 16, sum);
}

/* Onto another host, and with up to three bytes that were changed on the way. */
static void save_and_load(const struct iovageom_viommu *viommu, struct fuzz_input *input)
{
    unsigned changes = (unsigned)fuzz_number(input, 1) % 4;
    struct iovageom_viommu *other;
    bool stale = false;
    size_t needed = 0;
    uint8_t *bytes;
    int status = iovageom_viommu_save(viommu, NULL, 0, &needed);

    if (status != IOVAGEOM_ERR_BUFFER_TOO_SMALL)
        return;
    bytes = malloc(needed);
    fuzz_check(bytes != NULL);
    fuzz_check(iovageom_viommu_save(viommu, bytes, needed, &needed) == 0);
    for (; changes > 0; changes--) {
        size_t at = fuzz_number(input, 2) % needed;

        bytes[at] ^= (uint8_t)fuzz_number(input, 1);
    }
    make_right(bytes, needed);
    other = books();
    for (uint32_t endpoint = 0; endpoint < DEVICES; endpoint++)
        stale |= plug(other, endpoint, (unsigned)fuzz_number(input, 1));
    (void)iovageom_viommu_load(other, bytes, needed, 0, NULL);
    fuzz_check(test_viommu_check(other, stale, NULL) == 0);
    iovageom_viommu_free(other);
    free(bytes);
}

static void guest(struct fuzz_input *input)
{
    struct iovageom_viommu *viommu = books();
    struct iovageom_report report;
    bool stale = false;

    iovageom_report_init(&report, NULL);
    while (input->size > 0) {
        unsigned what = (unsigned)fuzz_number(input, 1);
        uint32_t endpoint = what >> 3 & 15;

        if ((what & 7) < 5)
            request(viommu, input);
        else if ((what & 7) == 5)
            stale |= plug(viommu, endpoint, (unsigned)fuzz_number(input, 1));
        else if ((what & 7) == 6)
            (void)iovageom_viommu_unplug(viommu, endpoint);
        else if (endpoint < 2) {
            iovageom_viommu_reset(viommu, endpoint);
            stale = false;
        } else if (endpoint == 2)
            (void)iovageom_viommu_freeze(viommu, NULL);
        else if (endpoint == 3)
            save_and_load(viommu, input);
        else
            (void)iovageom_viommu_set_bypass(viommu, endpoint & 1, NULL);
        if (test_viommu_check(viommu, stale, &report) != 0) {
            fprintf(stderr, "the books: %s\n", iovageom_report_text(&report));
            abort();
        }
    }
    save_and_load(viommu, input);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

/* As it is; and what that refuses, with devices that are to come, of which one does. */
static void load(struct iovageom_viommu *viommu, const uint8_t *bytes, size_t length,
                 struct iovageom_report *report)
{
    const uint32_t expect = IOVAGEOM_LOAD_EXPECT_DEVICES;
    int status;

    if (iovageom_viommu_load(viommu, bytes, length, 0, report) == 0)
        return;
    status = iovageom_viommu_load(viommu, bytes, length, expect | IOVAGEOM_LOAD_CHECK, report);
    fuzz_check(iovageom_viommu_load(viommu, bytes, length, expect, report) == status);
    (void)iovageom_report_text(report);
    fuzz_check(test_viommu_check(viommu, false, NULL) == 0);
    (void)plug(viommu, 2, 0);
}

static void stream(struct fuzz_input *input)
{
    struct iovageom_viommu *viommu = books();
    struct iovageom_report report;
    size_t length;
    uint8_t *bytes = fuzz_bytes(input, SIZE_MAX, &length);

    for (uint32_t endpoint = 0; endpoint < 2; endpoint++)
        (void)plug(viommu, endpoint, 0);
    make_right(bytes, length);
    iovageom_report_init(&report, NULL);
    load(viommu, bytes, length, &report);
    if (test_viommu_check(viommu, false, &report) != 0) {
        fprintf(stderr, "the books: %s\n", iovageom_report_text(&report));
        abort();
    }
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};

    if (fuzz_number(&input, 1) % 4 != 0)
        guest(&input);
    else
        stream(&input);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams of the books that are wrong behind a checksum made anew: the status and the finding of
 * each damage, and that nothing has changed then. (That the checksum finds any other damage, and
 * that hostile streams do no harm, is tested elsewhere.)
 */
#include "support/test_viommu.h"

#include "support/test_photo.h"
#include "support/test_stream.h"

#define OWN IOVAGEOM_VIOMMU_OWN

/* ---- the form ---- */

enum { HEAD = 24, SUM = 16, SPACE = 64, RECORD_HEAD = 12, ROOM = 8192 };
enum { PROMISE = 1, GROUP = 2, DOMAIN = 3, ATTACHED = 4, MAPPINGS = 5, MEMBERS = 6, UNKNOWN = 99 };
/* Fields of the configuration. */
enum {
    S_MASK = 0,
    S_START = 8,
    S_LAST = 16,
    S_DOMAIN_START = 24,
    S_DOMAIN_LAST = 28,
    S_PROBE_SIZE = 32,
    S_BYPASS = 36,
    S_FEATURES = 40,
    S_ACCEPTED = 44,
    S_GENERATION = 48
};

struct stream {
    size_t length;
    uint8_t bytes[ROOM];
};

static void seal(struct stream *s)
{
    test_put(s->bytes + SUM, test_fnv(TEST_FNV, s->bytes, HEAD, s->length), 8);
}

/* The head of record number `nth` of a tag. */
static size_t record_at(const struct stream *s, uint32_t tag, unsigned nth)
{
    size_t at = HEAD + SPACE;

    while (at < s->length) {
        if (test_get(s->bytes + at, 4) == tag && nth-- == 0)
            return at;
        at += RECORD_HEAD + (size_t)test_get(s->bytes + at + 4, 8);
    }
    fail_msg("no record %u", (unsigned)tag);
    return 0;
}

static size_t record_size(const struct stream *s, size_t at)
{
    return RECORD_HEAD + (size_t)test_get(s->bytes + at + 4, 8);
}

/* Makes the body longer by zeros, or shorter. */
static void record_grow(struct stream *s, uint32_t tag, unsigned nth, int by)
{
    const size_t at = record_at(s, tag, nth), size = record_size(s, at);
    const size_t now = by < 0 ? size - (size_t)-by : size + (size_t)by;

    memmove(s->bytes + at + now, s->bytes + at + size, s->length - at - size);
    if (by > 0)
        memset(s->bytes + at + size, 0, (size_t)by);
    s->length = s->length - size + now;
    test_put(s->bytes + at + 4, now - RECORD_HEAD, 8);
}

static void record_append(struct stream *s, uint32_t tag, unsigned nth)
{
    const size_t at = record_at(s, tag, nth), size = record_size(s, at);

    memcpy(s->bytes + s->length, s->bytes + at, size);
    s->length += size;
}

/* ---- a source and a destination ---- */

static struct iovageom_viommu *machine(const struct iovageom_viommu_config *config)
{
    struct iovageom_viommu *viommu;

    assert_int_equal(iovageom_viommu_new(NULL, config, &viommu), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, 5, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, 2, 5, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(test_plug(viommu, 3, OWN,
                               test_host_with(NULL, "host", 39, PAGES_4K, R(0x10000, 0x1ffff)),
                               NULL),
                     0);
    return viommu;
}

/*
 * MEMBERS 1 2, MEMBERS 3; PROMISE 1, GROUP 1 (all), PROMISE 3, GROUP 3; DOMAIN 2 with 3 and two
 * mappings, DOMAIN 4 in bypass with 1 and none.
 */
static void make_stream(struct stream *s)
{
    struct iovageom_viommu *viommu = machine(NULL);
    struct iovageom_region regions[8];
    size_t count;

    assert_int_equal(test_probe(viommu, 1, regions, 8, &count), 0);
    assert_int_equal(test_probe(viommu, 3, regions, 8, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(viommu, 2, 3, 0, NULL)), 0);
    assert_int_equal(iovageom_status_virtio(iovageom_viommu_attach(
                         viommu, 4, 1, IOVAGEOM_VIRTIO_ATTACH_F_BYPASS, NULL)),
                     0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 2, R(0x1000, 0x1fff), 0x5000, 1, NULL)),
        0);
    assert_int_equal(
        iovageom_status_virtio(iovageom_viommu_map(viommu, 2, R(0x4000, 0x5fff), 0x6000, 3, NULL)),
        0);
    assert_int_equal(iovageom_viommu_save(viommu, s->bytes, ROOM, &s->length), 0);
    iovageom_viommu_free(viommu);
}

static bool says(const struct iovageom_report *report, uint32_t kind)
{
    for (size_t i = 0; i < iovageom_report_count(report); i++)
        if (iovageom_report_at(report, i)->kind == kind && iovageom_report_at(report, i)->fatal)
            return true;
    return false;
}

/* Loads it: the status, with a finding of `kind` if that isn't 0, and all or nothing. */
static void loads_as(struct stream *s, const struct iovageom_viommu_config *config, int status,
                     uint32_t kind, const char *what)
{
    static struct test_photo before, after;
    struct iovageom_viommu *viommu = machine(config);
    struct iovageom_report report;
    int got;

    seal(s);
    iovageom_report_init(&report, NULL);
    test_report_soil(&report);
    test_photo_take(&before, viommu);
    got = iovageom_viommu_load(viommu, s->bytes, s->length, 0, &report);
    if (got != status)
        fail_msg("%s: %d instead of %d (%s)", what, got, status, iovageom_report_text(&report));
    assert_int_equal(iovageom_viommu_frozen(viommu), status == 0);
    if (kind != 0 && !says(&report, kind))
        fail_msg("%s: no finding %u but: %s", what, (unsigned)kind, iovageom_report_text(&report));
    if (status == IOVAGEOM_ERR_MALFORMED || status == IOVAGEOM_ERR_TRUNCATED)
        assert_int_equal(iovageom_report_count(&report), 0);
    if (status != 0) {
        test_photo_take(&after, viommu);
        if (!test_photo_same(&before, &after))
            fail_msg("%s: it has changed something", what);
    }
    make_stream(s);
    /* It can take over a good one still. */
    if (status != 0 && config == NULL)
        assert_int_equal(iovageom_viommu_load(viommu, s->bytes, s->length, 0, &report), 0);
    test_check(viommu);
    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
}

static void a_good_stream_loads_as_it_was(void **state)
{
    static struct stream s, again;
    struct iovageom_viommu *viommu = machine(NULL);

    (void)state;
    make_stream(&s);
    loads_as(&s, NULL, 0, 0, "as it was");
    assert_int_equal(iovageom_viommu_load(viommu, s.bytes, s.length, 0, NULL), 0);
    assert_int_equal(iovageom_viommu_save(viommu, again.bytes, ROOM, &again.length), 0);
    /* But for the generation of the books, which load counts up, and so the checksum. */
    assert_int_equal(again.length, s.length);
    test_put(again.bytes + HEAD + S_GENERATION, test_get(s.bytes + HEAD + S_GENERATION, 8), 8);
    seal(&again);
    assert_memory_equal(again.bytes, s.bytes, s.length);
    assert_int_equal(iovageom_viommu_load(viommu, s.bytes, s.length, 0, NULL), IOVAGEOM_ERR_STATE);
    iovageom_viommu_free(viommu);
}

/* A stream may say that the count of changes has nearly come to its end: it stays below it, as else
 * it would wrap, and what is saved then could be loaded by nobody. */
static void the_generation_never_ends(void **state)
{
    static struct stream s;
    struct iovageom_viommu_endpoint endpoint;
    struct iovageom_virtio_config space;
    static uint8_t properties[65536];

    (void)state;
    make_stream(&s);
    test_put(s.bytes + HEAD + S_GENERATION, UINT64_MAX - 2, 8);
    seal(&s);
    for (int again = 0; again < 4; again++) {
        struct iovageom_viommu *viommu = machine(NULL);

        assert_int_equal(iovageom_viommu_load(viommu, s.bytes, s.length, 0, NULL), 0);
        assert_int_equal(iovageom_viommu_declare(viommu, 1000, IOVAGEOM_VIOMMU_OWN,
                                                 IOVAGEOM_ENDPOINT_EMULATED, NULL),
                         0);
        assert_int_equal(iovageom_viommu_config_space(viommu, &space), 0);
        assert_int_equal(
            iovageom_viommu_probe(viommu, 1000, properties, space.probe_size, NULL, NULL), 0);
        assert_int_equal(iovageom_viommu_endpoint(viommu, 1000, &endpoint), 0);
        assert_true(endpoint.generation == UINT64_MAX - 1);
        assert_int_equal(iovageom_viommu_undeclare(viommu, 1000), 0);
        assert_int_equal(iovageom_viommu_save(viommu, s.bytes, ROOM, &s.length), 0);
        iovageom_viommu_free(viommu);
    }
}

static void the_head_is_looked_at(void **state)
{
    static struct stream s;
    struct iovageom_viommu *viommu = machine(NULL);

    (void)state;
    make_stream(&s);
    for (size_t cut = 0; cut < HEAD + SPACE; cut++)
        assert_int_equal(iovageom_viommu_load(viommu, s.bytes, cut, 0, NULL),
                         IOVAGEOM_ERR_TRUNCATED);
    s.bytes[0] ^= 1;
    loads_as(&s, NULL, IOVAGEOM_ERR_MALFORMED, 0, "another magic");
    s.bytes[8] = 0;
    loads_as(&s, NULL, IOVAGEOM_ERR_VERSION, 0, "version 0");
    s.bytes[11] = 1;
    loads_as(&s, NULL, IOVAGEOM_ERR_VERSION, 0, "a late version");
    s.bytes[s.length - 1] ^= 1; /* of no record */
    assert_int_equal(iovageom_viommu_load(viommu, s.bytes, s.length, 0, NULL),
                     IOVAGEOM_ERR_MALFORMED);
    /* The configuration alone is a stream, of a machine in which nothing has happened yet. */
    make_stream(&s);
    s.length = HEAD + SPACE;
    loads_as(&s, NULL, 0, 0, "the configuration alone");
    iovageom_viommu_free(viommu);
}

static void the_frozen_configuration_is_looked_at(void **state)
{
    const uint32_t all = IOVAGEOM_VIRTIO_F_INPUT_RANGE | IOVAGEOM_VIRTIO_F_DOMAIN_RANGE |
                         IOVAGEOM_VIRTIO_F_MAP_UNMAP | IOVAGEOM_VIRTIO_F_PROBE |
                         IOVAGEOM_VIRTIO_F_MMIO | IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
    static const int bad = IOVAGEOM_ERR_MALFORMED, conflict = IOVAGEOM_ERR_CONFLICT;
    const struct {
        const char *what;
        size_t at, width;
        uint64_t value;
        int status;
        uint32_t kind;
    } rows[] = {
        {"no page size", S_MASK, 8, 0, bad, 0},
        {"smaller pages than there are", S_MASK, 8, 0x800, conflict, IOVAGEOM_FINDING_GRANULE},
        {"inverted input range", S_LAST, 8, 0, 0, 0}, /* see below: start is 0 */
        {"start not aligned", S_START, 8, 0x800, bad, 0},
        {"last not aligned", S_LAST, 8, 0xffffffff7ffu, bad, 0},
        {"domains from 5 to 4", S_DOMAIN_LAST, 4, 4, 0, 0}, /* see below: the first is 0 */
        {"a probe_size that holds too little", S_PROBE_SIZE, 4, 95, bad, 0},
        {"no probe_size", S_PROBE_SIZE, 4, 0, bad, 0},
        {"another probe_size", S_PROBE_SIZE, 4, 96, 0, 0},
        {"bypass 2", S_BYPASS, 4, 2, bad, 0},
        {"bypass 256", S_BYPASS, 4, 256, bad, 0},
        {"bypass 1", S_BYPASS, 4, 1, 0, 0},
        {"more features", S_FEATURES, 4, all | 0x80, conflict, IOVAGEOM_FINDING_OTHER},
        {"fewer features", S_FEATURES, 4, all & ~2u, conflict, IOVAGEOM_FINDING_OTHER},
        {"a probe_size and no PROBE", S_FEATURES, 4, all & ~16u, bad, 0},
        {"more accepted than offered", S_ACCEPTED, 4, UINT32_MAX, 0, 0},
        {"no generation", S_GENERATION, 8, 0, bad, 0},
        {"the last generation", S_GENERATION, 8, UINT64_MAX, bad, 0},
        {"a generation before its promises", S_GENERATION, 8, 3, bad, 0},
        {"that of its promises", S_GENERATION, 8, 4, 0, 0},
        {"a very late generation", S_GENERATION, 8, UINT64_MAX - 1, 0, 0},
    };
    static struct stream s;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make_stream(&s);
        if (rows[i].at == S_LAST && rows[i].value == 0) {
            test_put(s.bytes + HEAD + S_START, 0x1000, 8);
            test_put(s.bytes + HEAD + S_LAST, 0xfff, 8);
            loads_as(&s, NULL, bad, 0, rows[i].what);
        } else if (rows[i].at == S_DOMAIN_LAST) {
            test_put(s.bytes + HEAD + S_DOMAIN_START, 5, 4);
            test_put(s.bytes + HEAD + S_DOMAIN_LAST, 4, 4);
            loads_as(&s, NULL, bad, 0, rows[i].what);
        } else {
            test_put(s.bytes + HEAD + rows[i].at, rows[i].value, rows[i].width);
            loads_as(&s, NULL, rows[i].status, rows[i].kind, rows[i].what);
        }
    }
    /* An input range that was not offered is all there is. */
    make_stream(&s);
    test_put(s.bytes + HEAD + S_FEATURES, all & ~1u, 4);
    test_put(s.bytes + HEAD + S_LAST, 0x7fffffffff, 8);
    loads_as(&s, NULL, bad, 0, "a narrow input range and no INPUT_RANGE");
}

static void a_narrower_destination_refuses(void **state)
{
    const struct {
        const char *what;
        uint32_t kind;
    } rows[] = {
        {"input range from above", IOVAGEOM_FINDING_INPUT_RANGE},
        {"input range from below", IOVAGEOM_FINDING_INPUT_RANGE},
        {"probe_size", IOVAGEOM_FINDING_PROBE_SIZE},
        {"granule", IOVAGEOM_FINDING_GRANULE},
        {"page sizes", IOVAGEOM_FINDING_GRANULE},
        {"first domain", IOVAGEOM_FINDING_OTHER},
        {"last domain", IOVAGEOM_FINDING_OTHER},
        {"features", IOVAGEOM_FINDING_OTHER},
        {"mappings", IOVAGEOM_FINDING_LIMIT},
        {"mappings of a domain", IOVAGEOM_FINDING_LIMIT},
        {"domains", IOVAGEOM_FINDING_LIMIT},
        {"nothing", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct stream s;
        struct iovageom_viommu_config config;

        iovageom_viommu_config_init(&config);
        switch (i) {
        case 0:
            config.input_range.last = UINT64_MAX - 0x1000;
            break;
        case 1:
            config.input_range.start = 0x1000;
            break;
        case 2:
            config.probe_size = 520;
            break;
        case 3:
            config.granule = 0x2000;
            break;
        case 4:
            config.page_size_mask = UINT64_MAX << 13;
            break;
        case 5:
            config.domain_start = 1;
            break;
        case 6:
            config.domain_last--;
            break;
        case 7:
            config.features &= ~(uint32_t)IOVAGEOM_VIRTIO_F_MMIO;
            break;
        case 8:
            config.max_mappings = 1;
            break;
        case 9:
            config.max_domain_mappings = 1;
            break;
        case 10:
            config.max_domains = 1;
            break;
        default:
            config.max_mappings = config.max_domain_mappings = config.max_domains = 2;
            break;
        }
        make_stream(&s);
        loads_as(&s, &config, rows[i].kind != 0 ? IOVAGEOM_ERR_CONFLICT : 0, rows[i].kind,
                 rows[i].what);
    }
}

static void every_field_of_a_record_is_looked_at(void **state)
{
    static const int bad = IOVAGEOM_ERR_MALFORMED, conflict = IOVAGEOM_ERR_CONFLICT;
    static const struct {
        const char *what;
        uint32_t tag;
        unsigned nth;
        size_t at, width; /* in the body */
        uint64_t value;
        int status;
        uint32_t kind;
    } rows[] = {
        {"a promise to nobody", PROMISE, 0, 0, 4, 9, bad, 0},
        {"a promise of no generation", PROMISE, 0, 4, 8, 0, bad, 0},
        {"a promise of the future", PROMISE, 0, 4, 8, UINT64_MAX - 1, bad, 0},
        {"an inverted region", PROMISE, 1, 12, 8, UINT64_MAX, bad, 0},
        {"a region in another", PROMISE, 1, 20, 8, UINT64_MAX - 1, bad, 0},
        {"a region of no type", PROMISE, 1, 28, 4, 9, bad, 0},
        {"two MSI regions", PROMISE, 1, 28, 4, IOVAGEOM_RESV_MSI, bad, 0},
        {"a promise to nobody's group", GROUP, 0, 0, 4, 9, bad, 0},
        {"an inverted promise", GROUP, 1, 4, 8, UINT64_MAX, bad, 0},
        {"a promise of what is reserved", GROUP, 1, 12, 8, 0x10fff, conflict,
         IOVAGEOM_FINDING_PROMISE},
        {"a promise of less", GROUP, 1, 12, 8, 0x7fff, 0, 0},
        {"a domain of some mode", DOMAIN, 0, 4, 4, 2, bad, 0},
        {"a domain of some wide mode", DOMAIN, 0, 4, 4, 256, bad, 0},
        {"a domain with mappings in bypass", DOMAIN, 0, 4, 4, 1, conflict, 0},
        {"a domain again", DOMAIN, 1, 0, 4, 2, bad, 0},
        {"another domain", DOMAIN, 1, 0, 4, 7, 0, 0},
        {"a domain of nobody", ATTACHED, 0, 0, 4, 9, bad, 0},
        {"attached twice", ATTACHED, 1, 0, 4, 3, bad, 0},
        {"a mapping of one address", MAPPINGS, 0, 8, 8, 0x1000, conflict, 0},
        {"an inverted mapping", MAPPINGS, 0, 8, 8, 0xfff, conflict, 0},
        {"a mapping that isn't aligned", MAPPINGS, 0, 8, 8, 0x17ff, conflict,
         IOVAGEOM_FINDING_ALIGNMENT},
        {"a mapping over another", MAPPINGS, 0, 8, 8, 0x4fff, conflict, 0},
        {"a mapping up to another", MAPPINGS, 0, 8, 8, 0x3fff, 0, 0},
        {"a mapping of what is reserved", MAPPINGS, 0, 36, 8, 0x10fff, conflict,
         IOVAGEOM_FINDING_MAPPING},
        {"a mapping up to what is reserved", MAPPINGS, 0, 36, 8, 0xffff, 0, 0},
        {"a mapping that wraps", MAPPINGS, 0, 44, 8, UINT64_MAX - 0xfff, conflict, 0},
        {"a mapping with an unknown flag", MAPPINGS, 0, 52, 4, 8, conflict, 0},
        {"an endpoint that isn't there", MEMBERS, 0, 4, 4, 9, conflict, IOVAGEOM_FINDING_NOT_FOUND},
        {"a member of another group", MEMBERS, 0, 4, 4, 3, conflict, IOVAGEOM_FINDING_OTHER},
        {"a member of two groups", MEMBERS, 1, 0, 4, 1, conflict, IOVAGEOM_FINDING_OTHER},
    };
    static struct stream s;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make_stream(&s);
        test_put(s.bytes + record_at(&s, rows[i].tag, rows[i].nth) + RECORD_HEAD + rows[i].at,
                 rows[i].value, rows[i].width);
        loads_as(&s, NULL, rows[i].status, rows[i].kind, rows[i].what);
    }
}

static void every_length_of_a_record_is_looked_at(void **state)
{
    static const struct {
        uint32_t tag;
        unsigned nth;
        int by;
        int status;
    } rows[] = {
        {PROMISE, 0, -1, IOVAGEOM_ERR_MALFORMED},
        {PROMISE, 0, -12, IOVAGEOM_ERR_MALFORMED},
        {PROMISE, 1, 1, IOVAGEOM_ERR_MALFORMED},
        {PROMISE, 1, 19, IOVAGEOM_ERR_MALFORMED},
        {PROMISE, 1, -20, IOVAGEOM_ERR_CONFLICT},
        {GROUP, 0, -17, IOVAGEOM_ERR_MALFORMED},
        {GROUP, 0, -20, IOVAGEOM_ERR_MALFORMED},
        {GROUP, 0, 1, IOVAGEOM_ERR_MALFORMED},
        {GROUP, 0, 15, IOVAGEOM_ERR_MALFORMED},
        {GROUP, 1, -16, 0},
        {DOMAIN, 0, -1, IOVAGEOM_ERR_MALFORMED},
        {DOMAIN, 0, 1, IOVAGEOM_ERR_MALFORMED},
        {DOMAIN, 0, -8, IOVAGEOM_ERR_MALFORMED},
        {ATTACHED, 0, -1, IOVAGEOM_ERR_MALFORMED},
        {ATTACHED, 0, -4, IOVAGEOM_ERR_MALFORMED},
        {ATTACHED, 0, 4, IOVAGEOM_ERR_MALFORMED},
        {MAPPINGS, 0, -1, IOVAGEOM_ERR_MALFORMED},
        {MAPPINGS, 0, 1, IOVAGEOM_ERR_MALFORMED},
        {MAPPINGS, 0, -28, 0},
        {MEMBERS, 0, -1, IOVAGEOM_ERR_MALFORMED},
        {MEMBERS, 0, 3, IOVAGEOM_ERR_MALFORMED},
    };
    static struct stream s;
    size_t at;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char what[64];

        (void)snprintf(what, sizeof(what), "record %u, %d bytes more", (unsigned)rows[i].tag,
                       rows[i].by);
        make_stream(&s);
        record_grow(&s, rows[i].tag, rows[i].nth, rows[i].by);
        loads_as(&s, NULL, rows[i].status, 0, what);
    }
    /* The last record says that it is longer than what is there. */
    for (uint64_t more = 1; more != 0; more = more == 1 ? UINT64_MAX - 28 : 0) {
        make_stream(&s);
        at = record_at(&s, MAPPINGS, 1);
        test_put(s.bytes + at + 4, test_get(s.bytes + at + 4, 8) + more, 8);
        loads_as(&s, NULL, IOVAGEOM_ERR_TRUNCATED, 0, "a record that ends beyond");
    }
    /* A head that isn't whole. */
    for (size_t more = 1; more < RECORD_HEAD; more++) {
        make_stream(&s);
        memset(s.bytes + s.length, 0, more);
        s.length += more;
        loads_as(&s, NULL, IOVAGEOM_ERR_TRUNCATED, 0, "a head that isn't whole");
    }
}

static void the_order_of_records_is_looked_at(void **state)
{
    static const struct {
        uint32_t tag;
        unsigned nth;
        int status;
    } twice[] = {
        {PROMISE, 0, IOVAGEOM_ERR_MALFORMED},  {GROUP, 0, 0},
        {DOMAIN, 0, IOVAGEOM_ERR_MALFORMED},   {ATTACHED, 0, IOVAGEOM_ERR_MALFORMED},
        {MAPPINGS, 0, IOVAGEOM_ERR_MALFORMED}, {MAPPINGS, 1, IOVAGEOM_ERR_MALFORMED},
        {MEMBERS, 0, IOVAGEOM_ERR_CONFLICT},
    };
    static struct stream s;

    (void)state;
    for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
        make_stream(&s);
        record_append(&s, twice[i].tag, twice[i].nth);
        loads_as(&s, NULL, twice[i].status, 0, "a record twice");
    }
    make_stream(&s);
    record_append(&s, ATTACHED, 1);
    test_put(s.bytes + s.length - 4, 2, 4);
    loads_as(&s, NULL, IOVAGEOM_ERR_MALFORMED, 0, "attached behind the mappings");
    /* What isn't known is passed over, and so is what it speaks of. */
    make_stream(&s);
    test_put(s.bytes + record_at(&s, DOMAIN, 0), UNKNOWN, 4);
    loads_as(&s, NULL, IOVAGEOM_ERR_MALFORMED, 0, "attached to no domain");
    test_put(s.bytes + record_at(&s, ATTACHED, 0), UNKNOWN, 4);
    loads_as(&s, NULL, IOVAGEOM_ERR_MALFORMED, 0, "mappings of a domain that nobody is in");
    test_put(s.bytes + record_at(&s, DOMAIN, 0), UNKNOWN, 4);
    test_put(s.bytes + record_at(&s, ATTACHED, 0), UNKNOWN, 4);
    loads_as(&s, NULL, IOVAGEOM_ERR_MALFORMED, 0, "mappings of no domain");
    test_put(s.bytes + record_at(&s, MAPPINGS, 1), UNKNOWN, 4);
    loads_as(&s, NULL, 0, 0, "a record of a later version");
    test_put(s.bytes + record_at(&s, MAPPINGS, 1), UINT32_MAX, 4);
    loads_as(&s, NULL, 0, 0, "another record of a later version");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_stream_loads_as_it_was),
        cmocka_unit_test(the_generation_never_ends),
        cmocka_unit_test(the_head_is_looked_at),
        cmocka_unit_test(the_frozen_configuration_is_looked_at),
        cmocka_unit_test(a_narrower_destination_refuses),
        cmocka_unit_test(every_field_of_a_record_is_looked_at),
        cmocka_unit_test(every_length_of_a_record_is_looked_at),
        cmocka_unit_test(the_order_of_records_is_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

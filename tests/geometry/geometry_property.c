/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle keeps the statements that a geometry was told, in a list, and finds every answer by
 * looking at 64 addresses one by one; [64, 2^64-1] is one more, as no statement cuts it. A second
 * set of tests has statements anywhere in 64 bits, and asks for the laws only.
 */
#include "geometry/internal.h"
#include "base/range.h"
#include "support/test_accepts.h"
#include "support/property.h"

#include <string.h>

#include <iovageom/geometry.h>
#include <iovageom/status.h>

#include "support/test_allocator.h"

#include "support/test_facts.h"

#define CELLS    65u
#define REST     64u
#define ROUNDS   3000

#define DO(call) property_check((call) == IOVAGEOM_OK)

enum kind { USABLE, APERTURE, RESERVED, KNOWN, PAGES, ALIGNMENT, BUDGET, INCOMPLETE, KINDS };

struct told {
    enum kind kind;
    unsigned name; /* whose geometry was told */
    enum iovageom_source source;
    enum iovageom_resv_type type;
    struct iovageom_range ranges[3];
    size_t count;
    uint64_t number;
};

static const char *const names[] = {"a", "b", "c"};

/* ---- random statements ---- */

static struct iovageom_range small_range(struct test_random *random)
{
    struct iovageom_range range = test_random_small_range(random, CELLS);

    if (range.last == REST)
        range.last = UINT64_MAX;
    return range;
}

static struct told random_told(struct test_random *random, unsigned name, bool small)
{
    struct told told = {.kind = (enum kind)test_random_below(random, KINDS), .name = name};

    told.source = (enum iovageom_source)test_random_below(random, IOVAGEOM_SOURCE_USER + 1);
    told.type = (enum iovageom_resv_type)(1 + test_random_below(random, 5));
    told.count = told.kind == USABLE ? test_random_below(random, 4) : 1;
    for (size_t i = 0; i < told.count; i++)
        told.ranges[i] = small ? small_range(random) : test_random_range(random);
    if (told.kind == USABLE && told.count == 0)
        told.count = test_random_one_in(random, 4) ? 0 : 1; /* [0,0] */
    told.number = test_random_below(random, 64);
    if (told.kind == ALIGNMENT)
        told.number = UINT64_C(1) << test_random_below(random, 5);
    if (told.kind == PAGES && !test_random_one_in(random, 8))
        told.number |= UINT64_C(1) << test_random_below(random, 6);
    return told;
}

static void tell(struct iovageom_geometry *geometry, const struct told *told)
{
    switch (told->kind) {
    case USABLE:
        DO(iovageom_geometry_add_usable(geometry, told->ranges, told->count, told->source));
        break;
    case APERTURE:
        DO(iovageom_geometry_add_aperture(geometry, told->ranges[0], told->source));
        break;
    case RESERVED:
        DO(iovageom_geometry_add_reserved(geometry, told->ranges[0], told->type, told->source));
        break;
    case KNOWN:
        DO(iovageom_geometry_add_reserved_known(geometry, told->source));
        break;
    case PAGES:
        DO(iovageom_geometry_add_page_sizes(geometry, told->number, told->source));
        break;
    case ALIGNMENT:
        DO(iovageom_geometry_add_alignment(geometry, told->number, told->source));
        break;
    case BUDGET:
        DO(iovageom_geometry_add_map_budget(geometry, told->number, told->source));
        break;
    default:
        DO(iovageom_geometry_add_incomplete(geometry, told->source));
        break;
    }
}

static struct iovageom_geometry *made(const struct told *told, size_t count, unsigned name)
{
    struct iovageom_geometry *geometry;

    DO(iovageom_geometry_new(NULL, names[name], &geometry));
    for (size_t i = 0; i < count; i++)
        if (told[i].name == name)
            tell(geometry, &told[i]);
    return geometry;
}

/* ---- the oracle ---- */

/* The type of one address: 0 when nobody speaks of it. */
static unsigned type_of(const struct told *told, size_t count, unsigned names_mask, uint64_t at)
{
    unsigned type = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned says = 0;
        bool in = false;

        if ((names_mask >> told[i].name & 1) == 0)
            continue;
        for (size_t j = 0; j < told[i].count; j++)
            in = in || (told[i].ranges[j].start <= at && at <= told[i].ranges[j].last);
        if (told[i].kind == USABLE || told[i].kind == APERTURE)
            says = in ? 0 : IOVAGEOM_RESV_RESERVED;
        else if (told[i].kind == RESERVED)
            says = in ? (unsigned)told[i].type : 0;
        type = says > type ? says : type;
    }
    return type;
}

/* The granule: 1 when nobody says, 0 when nothing maps. */
static uint64_t granule_of(const struct told *told, size_t count, unsigned names_mask)
{
    uint64_t granule = 1;

    for (size_t i = 0; i < count; i++) {
        uint64_t least = 1;

        if ((names_mask >> told[i].name & 1) == 0 ||
            (told[i].kind != PAGES && told[i].kind != ALIGNMENT))
            continue;
        if (told[i].number == 0)
            return 0;
        while ((told[i].number & least) == 0)
            least *= 2;
        granule = least > granule ? least : granule;
    }
    return granule;
}

struct oracle {
    unsigned types[CELLS];
    uint64_t granule;
    uint64_t budget;
};

static struct oracle oracle_of(const struct told *told, size_t count, unsigned names_mask)
{
    struct oracle oracle = {.granule = granule_of(told, count, names_mask), .budget = UINT64_MAX};

    for (unsigned i = 0; i < CELLS; i++)
        oracle.types[i] = type_of(told, count, names_mask, i);
    for (size_t i = 0; i < count; i++)
        if (told[i].kind == BUDGET && (names_mask >> told[i].name & 1) != 0 &&
            told[i].number < oracle.budget)
            oracle.budget = told[i].number;
    return oracle;
}

static bool free_type(unsigned type)
{
    return type == 0 || type == IOVAGEOM_RESV_DIRECT_RELAXABLE;
}

/* What one granule of cells is: 0 when usable, else the highest type in it. */
static unsigned block_type(const struct oracle *oracle, unsigned cell, unsigned granule)
{
    unsigned first = cell / granule * granule;
    unsigned type = 0;

    if (cell == REST)
        return free_type(oracle->types[REST]) ? 0 : oracle->types[REST];
    for (unsigned i = first; i < first + granule; i++)
        type = oracle->types[i] > type ? oracle->types[i] : type;
    return free_type(type) ? 0 : type;
}

static bool oracle_accepts(const struct oracle *oracle, unsigned first, unsigned last)
{
    if (oracle->granule == 0 || first % oracle->granule != 0 ||
        (last != REST && (last + 1) % oracle->granule != 0))
        return false;
    for (unsigned i = first; i <= last; i++)
        if (!free_type(oracle->types[i]))
            return false;
    return true;
}

static struct iovageom_range cells(unsigned first, unsigned last)
{
    return (struct iovageom_range){first, last == REST ? UINT64_MAX : last};
}

static void check_against(const struct iovageom_geometry *geometry, const struct oracle *oracle)
{
    struct iovageom_region regions[CELLS];
    struct iovageom_rangeset usable;
    size_t count;

    DO(iovageom_rangeset_init(&usable, NULL));
    for (unsigned granule = 1; granule <= 32; granule *= 2) {
        DO(iovageom_geometry_usable(geometry, granule, &usable));
        DO(iovageom_geometry_reserved(geometry, granule, regions, CELLS, &count));
        for (unsigned i = 0; i < CELLS; i++) {
            unsigned type = 0;

            for (size_t j = 0; j < count; j++)
                if (iovageom_range_has(regions[j].range, i))
                    type = regions[j].type;
            property_check(type == block_type(oracle, i, granule));
            property_check(iovageom_rangeset_contains(&usable, (struct iovageom_range){i, i}) ==
                           (type == 0));
        }
        for (size_t j = 1; j < count; j++) {
            property_check(regions[j - 1].range.last < regions[j].range.start);
            property_check(regions[j - 1].type != regions[j].type ||
                           !iovageom_range_touches(regions[j - 1].range, regions[j].range));
        }
    }
    iovageom_rangeset_deinit(&usable);
    for (unsigned first = 0; first < CELLS; first++)
        for (unsigned last = first; last < CELLS; last++)
            property_check(test_accepts(geometry, cells(first, last)) ==
                           oracle_accepts(oracle, first, last));
}

static bool oracle_within(const struct oracle *inner, const struct oracle *outer)
{
    bool any = false;

    for (unsigned first = 0; first < CELLS; first++)
        for (unsigned last = first; last < CELLS; last++) {
            bool accepts = oracle_accepts(inner, first, last);

            any = any || accepts;
            if (accepts && !oracle_accepts(outer, first, last))
                return false;
        }
    /* The last cell stands for many addresses, in which the granules differ too. */
    if (oracle_accepts(inner, REST, REST) && inner->granule < outer->granule)
        return false;
    return !any || inner->budget <= outer->budget;
}

START_TEST(geometry_is_what_it_was_told)
{
    struct test_random random = test_random_start(1);

    for (unsigned round = 0; round < ROUNDS / 4; round++) {
        struct told told[12];
        size_t count = test_random_below(&random, 12);
        struct iovageom_geometry *geometry[3];
        struct iovageom_geometry *met;
        struct oracle oracles[3];
        struct oracle oracle;

        for (size_t i = 0; i < count; i++)
            told[i] = random_told(&random, (unsigned)test_random_below(&random, 3), true);
        for (unsigned i = 0; i < 3; i++) {
            geometry[i] = made(told, count, i);
            oracles[i] = oracle_of(told, count, 1u << i);
        }
        for (unsigned i = 0; i < 3; i++)
            property_check(test_within(geometry[i], geometry[(i + 1) % 3]) ==
                           oracle_within(&oracles[i], &oracles[(i + 1) % 3]));
        DO(test_meet(geometry[0], geometry[1], "met", &met));
        DO(iovageom_geometry_narrow(met, geometry[2]));
        oracle = oracle_of(told, count, 7);
        check_against(met, &oracle);
        iovageom_geometry_free(met);
        for (unsigned i = 0; i < 3; i++)
            iovageom_geometry_free(geometry[i]);
    }
}
END_TEST

/* ---- the laws ---- */

static struct iovageom_geometry *meet(const struct iovageom_geometry *a,
                                      const struct iovageom_geometry *b)
{
    struct iovageom_geometry *met;

    DO(test_meet(a, b, "met", &met));
    return met;
}

/* Equal to whoever asks, and the same statements of the same owners. */
static void check_same(const struct iovageom_geometry *a, const struct iovageom_geometry *b)
{
    property_check(iovageom_geometry_equal(a, b));
    property_check(iovageom_geometry_equal(b, a));
    property_check(iovageom_geometry_knows(a) == iovageom_geometry_knows(b));
    property_check(test_regions_equal(a, b));
}

static void check_laws(const struct iovageom_geometry *a, const struct iovageom_geometry *b,
                       const struct iovageom_geometry *c)
{
    struct iovageom_geometry *ab = meet(a, b);
    struct iovageom_geometry *ba = meet(b, a);
    struct iovageom_geometry *bc = meet(b, c);
    struct iovageom_geometry *ac = meet(a, c);
    struct iovageom_geometry *ab_c = meet(ab, c);
    struct iovageom_geometry *a_bc = meet(a, bc);
    struct iovageom_geometry *aa = meet(a, a);
    struct iovageom_geometry *nothing;
    struct iovageom_geometry *alone;

    DO(iovageom_geometry_new(NULL, "nothing", &nothing));
    check_same(ab, ba);
    check_same(ab_c, a_bc);
    check_same(aa, a);
    alone = meet(a, nothing);
    check_same(alone, a);
    property_check(test_within(ab, a) && test_within(ab, b));
    property_check(test_within(ab_c, ab) && test_within(a, nothing));
    if (test_within(a, b)) /* monotone */
        property_check(test_within(ac, bc));
    DO(iovageom_geometry_narrow(ab, ab));
    check_same(ab, ba);
    iovageom_geometry_free(ab);
    iovageom_geometry_free(ba);
    iovageom_geometry_free(bc);
    iovageom_geometry_free(ac);
    iovageom_geometry_free(ab_c);
    iovageom_geometry_free(a_bc);
    iovageom_geometry_free(aa);
    iovageom_geometry_free(nothing);
    iovageom_geometry_free(alone);
}

START_TEST(meet_keeps_its_laws)
{
    struct test_random random = test_random_start(2);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct told told[18];
        size_t count = test_random_below(&random, 18);
        struct iovageom_geometry *geometry[3];

        for (size_t i = 0; i < count; i++)
            told[i] = random_told(&random, (unsigned)test_random_below(&random, 3), round % 2);
        for (unsigned i = 0; i < 3; i++)
            geometry[i] = made(told, count, i);
        check_laws(geometry[0], geometry[1], geometry[2]);
        for (unsigned i = 0; i < 3; i++)
            iovageom_geometry_free(geometry[i]);
    }
}
END_TEST

/* Usable and reserved are each other's complement at every granule, and inversion twice is none. */
START_TEST(inversion_is_an_involution)
{
    const struct iovageom_range all = {0, UINT64_MAX};
    struct test_random random = test_random_start(3);

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t granule = round % 2 ? 1 : UINT64_C(1) << test_random_below(&random, 64);
        struct told told[8];
        struct iovageom_region regions[64];
        struct iovageom_range ranges[64];
        struct iovageom_geometry *again;
        struct iovageom_rangeset usable;
        struct iovageom_rangeset back;
        size_t count;

        for (size_t i = 0; i < 8; i++)
            told[i] = random_told(&random, 0, false);
        struct iovageom_geometry *geometry = made(told, 8, 0);
        DO(iovageom_rangeset_init(&usable, NULL));
        DO(iovageom_rangeset_init(&back, NULL));
        DO(iovageom_geometry_usable(geometry, granule, &usable));
        DO(iovageom_geometry_reserved(geometry, granule, regions, 64, &count));
        for (size_t i = 0; i < count; i++)
            DO(iovageom_rangeset_insert(&back, regions[i].range));
        DO(iovageom_rangeset_complement(&back, &back, all));
        property_check(iovageom_rangeset_equal(&back, &usable));

        DO(iovageom_rangeset_to_array(&usable, ranges, 64, &count));
        DO(iovageom_geometry_new(NULL, "again", &again));
        DO(iovageom_geometry_add_usable(again, ranges, count, IOVAGEOM_SOURCE_VFIO));
        DO(iovageom_geometry_usable(again, granule, &back));
        property_check(iovageom_rangeset_equal(&back, &usable));
        iovageom_rangeset_deinit(&usable);
        iovageom_rangeset_deinit(&back);
        iovageom_geometry_free(geometry);
        iovageom_geometry_free(again);
    }
}
END_TEST

START_TEST(difference_is_what_was_added_and_removed)
{
    struct test_random random = test_random_start(4);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct told told[10];
        struct oracle oracles[2];
        struct iovageom_rangeset added;
        struct iovageom_rangeset removed;

        for (size_t i = 0; i < 10; i++)
            told[i] = random_told(&random, i % 2, true);
        struct iovageom_geometry *before = made(told, 10, 0);
        struct iovageom_geometry *after = made(told, 10, 1);
        oracles[0] = oracle_of(told, 10, 1);
        oracles[1] = oracle_of(told, 10, 2);
        DO(iovageom_rangeset_init(&added, NULL));
        DO(iovageom_rangeset_init(&removed, NULL));
        DO(test_difference(before, after, &added, &removed));
        for (unsigned i = 0; i < CELLS; i++) {
            bool was = free_type(oracles[0].types[i]);
            bool is = free_type(oracles[1].types[i]);

            property_check(iovageom_rangeset_contains(&added, (struct iovageom_range){i, i}) ==
                           (is && !was));
            property_check(iovageom_rangeset_contains(&removed, (struct iovageom_range){i, i}) ==
                           (was && !is));
        }
        iovageom_rangeset_deinit(&added);
        iovageom_rangeset_deinit(&removed);
        iovageom_geometry_free(before);
        iovageom_geometry_free(after);
    }
}
END_TEST

/* explain() says the same without a report, and names exactly the addresses that are forbidden. */
START_TEST(explain_names_every_obstacle)
{
    struct test_random random = test_random_start(5);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct told told[8];
        struct iovageom_range range = small_range(&random);
        struct iovageom_report report;
        struct oracle oracle;
        bool named[CELLS] = {false};
        int status;

        for (size_t i = 0; i < 8; i++)
            told[i] = random_told(&random, 0, true);
        struct iovageom_geometry *geometry = made(told, 8, 0);
        oracle = oracle_of(told, 8, 1);
        iovageom_report_init(&report, NULL);
        status = iovageom_geometry_explain(geometry, range, &report);
        property_check((status == IOVAGEOM_OK) == test_accepts(geometry, range));
        for (size_t i = 0; i < iovageom_report_count(&report); i++) {
            const struct iovageom_finding *finding = iovageom_report_at(&report, i);

            property_check(finding->fatal == 0 || status < 0);
            if (finding->kind == IOVAGEOM_FINDING_RESERVED ||
                finding->kind == IOVAGEOM_FINDING_OUT_OF_APERTURE) {
                property_check(iovageom_range_contains(range, finding->range));
                for (unsigned j = 0; j < CELLS; j++)
                    named[j] = named[j] || iovageom_range_has(finding->range, j);
            }
        }
        for (unsigned j = 0; j < CELLS; j++)
            property_check(named[j] ==
                           (iovageom_range_has(range, j) && !free_type(oracle.types[j])));
        iovageom_report_deinit(&report);
        iovageom_geometry_free(geometry);
    }
}
END_TEST

/* ---- keeping ---- */

static struct iovageom_geometry *random_meet(struct test_random *random)
{
    struct told told[20];
    struct iovageom_geometry *geometry;
    struct iovageom_geometry *other;

    for (size_t i = 0; i < 20; i++)
        told[i] = random_told(random, (unsigned)test_random_below(random, 2), false);
    geometry = made(told, 20, 0);
    other = made(told, 20, 1);
    DO(iovageom_geometry_narrow(geometry, other));
    iovageom_geometry_free(other);
    return geometry;
}

static uint8_t *saved(const struct iovageom_geometry *geometry, size_t *length)
{
    uint8_t *bytes;

    property_check(iovageom_geometry_save(geometry, NULL, 0, length) ==
                   IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    bytes = malloc(*length);
    property_check(bytes != NULL);
    DO(iovageom_geometry_save(geometry, bytes, *length, length));
    return bytes;
}

START_TEST(save_and_load_round_trip)
{
    struct test_random random = test_random_start(6);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct iovageom_geometry *geometry = random_meet(&random);
        struct iovageom_geometry *loaded;
        size_t length;
        size_t again;
        uint8_t *bytes = saved(geometry, &length);

        DO(iovageom_geometry_load(NULL, bytes, length, &loaded));
        check_same(geometry, loaded);
        property_check(strcmp(iovageom_geometry_name(loaded), "a") == 0);
        uint8_t *second = saved(loaded, &again);
        property_check(again == length && memcmp(bytes, second, length) == 0);
        free(bytes);
        free(second);
        iovageom_geometry_free(geometry);
        iovageom_geometry_free(loaded);
    }
}
END_TEST

/* An oracle of the checksum, for bytes that were changed on purpose. */
static void seal(uint8_t *bytes, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        if (i / 8 != 3)
            hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    for (unsigned i = 0; i < 8; i++)
        bytes[24 + i] = (uint8_t)(hash >> 8 * i);
}

static void load_hostile(const uint8_t *bytes, size_t length, bool may_be_good)
{
    struct iovageom_geometry *geometry = NULL;
    uint8_t *exact = malloc(length + 1); /* so that a sanitizer sees each byte beyond */
    int status;

    property_check(exact != NULL);
    memcpy(exact + 1, bytes, length);
    status = iovageom_geometry_load(NULL, exact + 1, length, &geometry);
    free(exact);
    property_check((status == IOVAGEOM_OK) == (geometry != NULL));
    property_check(may_be_good || status != IOVAGEOM_OK);
    if (geometry == NULL) {
        property_check(status == IOVAGEOM_ERR_TRUNCATED || status == IOVAGEOM_ERR_MALFORMED ||
                       status == IOVAGEOM_ERR_VERSION);
        return;
    }
    /* What was let in is sound: its facts are in its regions, and it can be saved and read. */
    struct iovageom_geometry *again;
    const struct iovageom_geometry_fact *aperture;
    struct iovageom_range above;
    size_t index = 0;
    size_t size;
    uint8_t *second = saved(geometry, &size);
    DO(iovageom_geometry_load(NULL, second, size, &again));
    check_same(geometry, again);
    while ((aperture = iovageom_geometry_next_fact(geometry, IOVAGEOM_FACT_APERTURE, &index)) !=
           NULL)
        if (iovageom_range_above((struct iovageom_range){aperture->value, aperture->last}, &above))
            property_check(
                test_forbids(geometry, (struct iovageom_range){above.start, above.start}));
    free(second);
    iovageom_geometry_free(again);
    iovageom_geometry_free(geometry);
}

START_TEST(load_survives_hostile_bytes)
{
    struct test_random random = test_random_start(7);

    for (unsigned round = 0; round < 2; round++) {
        struct iovageom_geometry *geometry = random_meet(&random);
        size_t length;
        uint8_t *bytes = saved(geometry, &length);

        for (size_t cut = 0; cut < length; cut++) {
            load_hostile(bytes, cut, false);
            if (cut >= 32) { /* a length and a checksum that fit the cut */
                uint8_t *copy = malloc(cut);
                property_check(copy != NULL);
                memcpy(copy, bytes, cut);
                for (unsigned i = 0; i < 8; i++)
                    copy[16 + i] = (uint8_t)((uint64_t)cut >> 8 * i);
                seal(copy, cut);
                load_hostile(copy, cut, true);
                free(copy);
            }
        }
        for (size_t bit = 0; bit < length * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            load_hostile(bytes, length, false);
            seal(bytes, length);
            load_hostile(bytes, length, true);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            seal(bytes, length);
        }
        for (unsigned i = 0; i < 500; i++) { /* several bytes at once */
            uint8_t *copy = malloc(length);
            property_check(copy != NULL);
            memcpy(copy, bytes, length);
            for (unsigned j = 0; j < 4; j++)
                copy[32 + test_random_below(&random, length - 32)] =
                    (uint8_t)test_random_u64(&random);
            seal(copy, length);
            load_hostile(copy, length, true);
            free(copy);
        }
        free(bytes);
        iovageom_geometry_free(geometry);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("geometry");

    property_add(suite, geometry_is_what_it_was_told);
    property_add(suite, meet_keeps_its_laws);
    property_add(suite, inversion_is_an_involution);
    property_add(suite, difference_is_what_was_added_and_removed);
    property_add(suite, explain_names_every_obstacle);
    property_add(suite, save_and_load_round_trip);
    property_add(suite, load_survives_hostile_bytes);
    return property_run(suite);
}

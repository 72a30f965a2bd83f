/* SPDX-License-Identifier: BSD-3-Clause */
/* The oracle is the meet of one host after the other, which is tested by itself. */
#include "support/test_accepts.h"
#include "support/property.h"

#include <iovageom/plan_envelope.h>
#include <iovageom/status.h>

#include "geometry/internal.h"
#include "support/test_facts.h"

#define ROUNDS   3000
#define HOSTS    6

#define DO(call) property_check((call) == IOVAGEOM_OK)

static struct iovageom_geometry *random_host(struct test_random *random, unsigned number)
{
    static const char *const names[HOSTS] = {"h0", "h1", "h2", "h3", "h4", "h5"};
    struct iovageom_geometry *geometry;

    DO(iovageom_geometry_new(NULL, names[number], &geometry));
    for (uint64_t i = test_random_below(random, 6); i > 0; i--) {
        uint64_t address = test_random_address(random);
        struct iovageom_range narrow = {address, address | 0xfffff};
        enum iovageom_source source = (enum iovageom_source)test_random_below(random, 12);

        switch (test_random_below(random, 8)) {
        case 0:
            narrow.start = test_random_below(random, 0x10000);
            narrow.last = UINT64_MAX >> address % 33;
            DO(iovageom_geometry_add_aperture(geometry, narrow, source));
            break;
        case 1:
            DO(iovageom_geometry_add_page_sizes(
                geometry, test_random_one_in(random, 20) ? 0 : address | 0x200000, source));
            break;
        case 2:
            DO(iovageom_geometry_add_alignment(geometry, UINT64_C(1) << address % 20, source));
            break;
        case 3:
            DO(iovageom_geometry_add_map_budget(geometry, address % 100, source));
            break;
        case 4:
            DO(iovageom_geometry_add_incomplete(geometry, source));
            break;
        case 5:
            narrow = test_random_range(random);
            DO(iovageom_geometry_add_usable(geometry, &narrow, 1, source));
            break;
        default:
            DO(iovageom_geometry_add_reserved(
                geometry, narrow, (enum iovageom_resv_type)(1 + test_random_below(random, 5)),
                source));
            break;
        }
    }
    return geometry;
}

/* Each figure is that of the first host that has it, and none has a lower one. */
static void check_hosts(const struct iovageom_envelope *figures,
                        const struct iovageom_geometry *const *pool, size_t count)
{
    size_t of_gaw = IOVAGEOM_HOST_NONE, of_granule = IOVAGEOM_HOST_NONE,
           of_budget = IOVAGEOM_HOST_NONE;
    uint64_t top = UINT64_MAX, largest = 0, least = UINT64_MAX, number;
    unsigned bits = 0;

    for (size_t i = 0; i < count; i++) {
        struct iovageom_rangeset usable;
        struct iovageom_rangeset_cursor cursor;
        struct iovageom_range range = {0, 0};

        DO(iovageom_rangeset_init(&usable, NULL));
        DO(iovageom_geometry_usable(pool[i], 1, &usable));
        iovageom_rangeset_seek(&usable, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &range))
            ;
        iovageom_rangeset_deinit(&usable);
        if (range.last < top) {
            top = range.last;
            of_gaw = i;
        }
        if (iovageom_geometry_granule(pool[i], &number) == IOVAGEOM_OK && number > largest) {
            largest = number;
            of_granule = i;
        }
        if (iovageom_geometry_map_budget(pool[i], &number) == IOVAGEOM_OK &&
            (of_budget == IOVAGEOM_HOST_NONE || number < least)) {
            least = number;
            of_budget = i;
        }
    }
    property_check(figures->gaw_host == of_gaw);
    property_check(figures->granule_host == of_granule && figures->granule == largest);
    property_check(figures->map_budget_host == of_budget && figures->map_budget == least);
    do
        bits++;
    while (bits < 64 && figures->input_range.last >> bits != 0);
    property_check(figures->gaw == bits);
}

START_TEST(F8_an_envelope_is_the_meet)
{
    struct test_random random = test_random_start(1);
    unsigned usable_rounds = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct iovageom_geometry *hosts[HOSTS];
        const struct iovageom_geometry *pool[HOSTS];
        struct iovageom_geometry *met;
        struct iovageom_geometry *envelope = NULL;
        struct iovageom_envelope figures;
        uint32_t knows = UINT32_MAX;
        size_t count = 1 + test_random_below(&random, HOSTS);

        DO(iovageom_geometry_new(NULL, "met", &met));
        for (unsigned i = 0; i < count; i++) {
            pool[i] = hosts[i] = random_host(&random, i);
            knows &= iovageom_geometry_knows(hosts[i]);
            DO(iovageom_geometry_narrow(met, hosts[i]));
        }
        int status = iovageom_plan_envelope(NULL, pool, count, "pool", &figures, &envelope, NULL);
        property_check(status == IOVAGEOM_OK || status == IOVAGEOM_ERR_NOTHING_USABLE);
        if (status == IOVAGEOM_OK) {
            struct iovageom_range edge = figures.input_range;
            uint64_t granule = figures.granule != 0 ? figures.granule : 1;

            usable_rounds++;
            property_check(iovageom_geometry_equal(envelope, met));
            property_check(figures.knows == knows);
            for (unsigned i = 0; i < count; i++)
                property_check(test_within(envelope, hosts[i]));
            edge.last = edge.start | (granule - 1);
            property_check(test_accepts(met, edge));
            edge.last = figures.input_range.last;
            edge.start = edge.last & ~(granule - 1);
            property_check(test_accepts(met, edge));
            check_hosts(&figures, pool, count);
            /* Every reserved byte of it has a host that stands behind it. */
            for (unsigned i = 0; i < 20; i++) {
                uint64_t at = test_random_address(&random);
                struct iovageom_range byte = {at, at};
                bool found = false;

                for (size_t j = 0; j < count; j++)
                    found = found || test_forbids(hosts[j], byte);
                property_check(found == test_forbids(envelope, byte));
            }
        } else {
            struct iovageom_rangeset usable;
            uint64_t granule = 1;

            property_check(envelope == NULL);
            DO(iovageom_rangeset_init(&usable, NULL));
            if (iovageom_geometry_granule(met, &granule) != IOVAGEOM_ERR_NOTHING_USABLE)
                DO(iovageom_geometry_usable(met, granule, &usable));
            property_check(iovageom_rangeset_count(&usable) == 0);
            iovageom_rangeset_deinit(&usable);
        }
        iovageom_geometry_free(envelope);
        iovageom_geometry_free(met);
        for (unsigned i = 0; i < count; i++)
            iovageom_geometry_free(hosts[i]);
    }
    property_check(usable_rounds > ROUNDS / 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan_envelope");

    property_add(suite, F8_an_envelope_is_the_meet);
    return property_run(suite);
}

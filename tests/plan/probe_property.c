/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plans of a probe buffer against each choice of gaps that there is. Regions begin and end near 0,
 * 2^32 and 2^64, where a choice can make a region that guests refuse.
 */
#include <string.h>

#include <iovageom/plan_probe.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "support/property.h"

enum { REGIONS = 9, POINTS = 64, ROUNDS = 60000, PROPERTY = IOVAGEOM_VIRTIO_RESV_MEM_SIZE };

/* The addresses that regions begin and end at, ascending: 16, 32 and 16 of them. */
static uint64_t point(uint64_t i)
{
    return i < 16 ? i : i < 48 ? UINT64_C(0xfffffff0) + (i - 16) : UINT64_MAX - (POINTS - 1 - i);
}

static size_t random_list(struct test_random *random, struct iovageom_region *list)
{
    const uint64_t apart = 1 + test_random_below(random, 6);
    uint64_t at = test_random_one_in(random, 2) ? 0 : test_random_below(random, 8);
    bool msi = false;
    size_t count = 0;

    while (count < REGIONS && at < POINTS) {
        const uint64_t longest = test_random_one_in(random, 3) ? 40 : 8;
        uint64_t last = at + test_random_below(random, longest);

        if (at <= 31 && test_random_one_in(random, 6))
            last = 31; /* 2^32-1 */
        if (last >= POINTS)
            last = POINTS - 1;
        list[count] = (struct iovageom_region){{point(at), point(last)}, IOVAGEOM_RESV_RESERVED, 3};
        if (list[count].range.start == 0 && list[count].range.last == UINT64_MAX)
            break; /* that is no wire list */
        if (!msi && test_random_one_in(random, 8)) {
            list[count].type = IOVAGEOM_RESV_MSI;
            msi = true;
        }
        count++;
        at = last + 1 + (test_random_one_in(random, 3) ? 0 : test_random_below(random, apart + 1));
    }
    return count;
}

/* With [0, 2^32-1] in two halves, as it is planned. */
static size_t halve(const struct iovageom_region *list, size_t count, struct iovageom_region *out)
{
    size_t made = 0;

    for (size_t i = 0; i < count; i++) {
        out[made++] = list[i];
        if (list[i].range.start == 0 && list[i].range.last == UINT32_MAX) {
            out[made - 1].range.last = INT32_MAX;
            out[made++] = (struct iovageom_region){
                {UINT64_C(0x80000000), UINT32_MAX}, IOVAGEOM_RESV_RESERVED, 0};
        }
    }
    return made;
}

/* No gap is of 2^64 bytes; a sum of them is less than that, too. */
static uint64_t gap_above(const struct iovageom_region *list, size_t i)
{
    return list[i + 1].range.start - list[i].range.last - 1;
}

/* Whether gaps may be closed: bit i stands for that above region i. *cost receives their bytes. */
static bool allowed(const struct iovageom_region *list, size_t count, uint32_t closed,
                    uint64_t *cost)
{
    uint64_t start = 0;

    *cost = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || (closed >> (i - 1) & 1) == 0)
            start = list[i].range.start;
        if ((closed >> i & 1) == 0) {
            if (start == 0 &&
                (list[i].range.last == UINT32_MAX || list[i].range.last == UINT64_MAX))
                return false;
            continue;
        }
        if (list[i].type != IOVAGEOM_RESV_RESERVED || list[i + 1].type != IOVAGEOM_RESV_RESERVED)
            return false;
        *cost += gap_above(list, i);
    }
    return true;
}

/* Of the lists of each length: whether there is one, and the least that one loses. */
struct least {
    bool any[REGIONS + 2];
    uint64_t cost[REGIONS + 2];
    size_t shortest, lossless;
};

static struct least try_all(const struct iovageom_region *list, size_t count)
{
    struct least least = {.shortest = count, .lossless = count};

    for (uint32_t closed = 0; closed < UINT32_C(1) << (count > 0 ? count - 1 : 0); closed++) {
        size_t length = count;
        uint64_t cost;

        if (!allowed(list, count, closed, &cost))
            continue;
        for (size_t i = 0; i + 1 < count; i++)
            length -= closed >> i & 1;
        if (!least.any[length] || cost < least.cost[length])
            least.cost[length] = cost;
        least.any[length] = true;
        if (length < least.shortest)
            least.shortest = length;
        if (cost == 0 && length < least.lossless)
            least.lossless = length;
    }
    return least;
}

/* Whether `out` is the list with some gaps closed, each that loses bytes noted in its order. */
static void check_list(const struct iovageom_region *list, size_t count,
                       const struct iovageom_region *out, size_t made,
                       const struct iovageom_report *report)
{
    uint32_t closed = 0;
    uint64_t cost;
    size_t i = 0, notes = 0;

    for (size_t k = 0; k < made; k++, i++) {
        property_check(i < count && out[k].range.start == list[i].range.start);
        property_check(out[k].type == list[i].type);
        for (; i + 1 < count && list[i].range.last < out[k].range.last; i++) {
            closed |= UINT32_C(1) << i;
            if (gap_above(list, i) == 0)
                continue;
            notes++;
            property_check(notes < iovageom_report_count(report));
            const struct iovageom_finding *finding = iovageom_report_at(report, notes);

            property_check(finding->kind == IOVAGEOM_FINDING_LOST && finding->fatal == 0);
            property_check(finding->range.start == list[i].range.last + 1);
            property_check(finding->range.last == list[i + 1].range.start - 1);
        }
        property_check(out[k].range.last == list[i].range.last);
    }
    property_check(i == count && allowed(list, count, closed, &cost));
    property_check(iovageom_report_count(report) == (notes > 0 ? notes + 1 : 0));
}

START_TEST(no_list_of_that_length_loses_less)
{
    struct test_random random = test_random_start(1);
    unsigned lossy = 0, refused = 0, halved = 0;
    struct iovageom_report report;

    iovageom_report_init(&report, NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct iovageom_region list[REGIONS + 1], planned[REGIONS + 1], out[REGIONS + 1];
        const size_t count = random_list(&random, list), all = halve(list, count, planned);
        const struct least least = try_all(planned, all);
        const size_t room = test_random_below(&random, all + 2);
        const size_t wanted = least.lossless < room ? least.lossless : room;
        const bool in_place = test_random_one_in(&random, 2);
        struct iovageom_probe_plan plan;
        int status;

        memcpy(out, list, count * sizeof(*list));
        status = iovageom_plan_probe(in_place ? out : list, count,
                                     room * PROPERTY + test_random_below(&random, PROPERTY), out,
                                     all, &plan, &report);
        property_check(plan.lossless_bytes == least.lossless * PROPERTY);
        property_check(plan.minimum_bytes == least.shortest * PROPERTY);
        property_check(plan.bytes == plan.count * PROPERTY);
        property_check(plan.lost.hi == 0 && plan.lost.lo == least.cost[plan.count]);
        halved += all > count;
        if (wanted < least.shortest) {
            property_check(status == IOVAGEOM_ERR_BUFFER_TOO_SMALL);
            property_check(plan.count == least.shortest);
            property_check(iovageom_report_count(&report) == 1);
            refused++;
            continue;
        }
        property_check(status == IOVAGEOM_OK && plan.count == wanted);
        check_list(planned, all, out, plan.count, &report);
        lossy += plan.lost.lo > 0;
    }
    iovageom_report_deinit(&report);
    property_check(lossy > ROUNDS / 20 && refused > ROUNDS / 20 && halved > 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan_probe");

    property_add(suite, no_list_of_that_length_loses_less);
    return property_run(suite);
}

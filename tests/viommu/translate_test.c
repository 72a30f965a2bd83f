/* SPDX-License-Identifier: BSD-3-Clause */
/* Translation of a span: as few segments as can be, and no address that is somewhere else. */
#include "support/test_viommu.h"

#include <iovageom/status.h>
#include <iovageom/virtio.h>

enum { READ = IOVAGEOM_VIRTIO_MAP_F_READ, WRITE = IOVAGEOM_VIRTIO_MAP_F_WRITE };

static struct iovageom_viommu *viommu;
static struct iovageom_segment segments[8];
static size_t count;
static uint64_t fault;

static void map(uint64_t start, uint64_t phys, uint32_t flags)
{
    assert_int_equal(iovageom_viommu_map(viommu, 1, R(start, start + 0xfff), phys, flags, NULL), 0);
}

static int translate(uint64_t start, uint64_t last, uint32_t flags)
{
    count = SIZE_MAX;
    fault = SIZE_MAX;
    return iovageom_viommu_translate(viommu, 1, R(start, last), flags, segments, 8, &count, &fault);
}

static void segment(size_t i, uint64_t start, uint64_t last, uint64_t phys, uint32_t flags)
{
    assert_true(i < count);
    assert_int_equal(segments[i].range.start, start);
    assert_int_equal(segments[i].range.last, last);
    assert_int_equal(segments[i].phys, phys);
    assert_int_equal(segments[i].flags, flags);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(iovageom_viommu_new(NULL, NULL, &viommu), 0);
    assert_int_equal(iovageom_viommu_declare(viommu, 1, 1, IOVAGEOM_ENDPOINT_EMULATED, NULL), 0);
    assert_int_equal(iovageom_viommu_attach(viommu, 1, 1, 0, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    iovageom_viommu_free(viommu);
    return 0;
}

static void what_goes_on_is_one(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 512; i++)
        map(0x200000 + i * 0x1000, 0x40000000 + i * 0x1000, RW);
    assert_int_equal(translate(0x200010, 0x3fffef, RW), 0);
    assert_int_equal(count, 1);
    segment(0, 0x200010, 0x3fffef, 0x40000010, RW);
}

/* So many that the tree of the mappings has nodes at three levels, and leaves below each of
 * them. */
static void what_goes_on_is_one_however_long_it_is(void **state)
{
    enum { MANY = 8192 };

    (void)state;
    for (uint64_t i = 0; i < MANY; i++)
        map(i << 12, (i << 12) + 0x1000, RW);
    assert_int_equal(translate(0, ((uint64_t)MANY << 12) - 1, RW), 0);
    assert_int_equal(count, 1);
    segment(0, 0, ((uint64_t)MANY << 12) - 1, 0x1000, RW);
    assert_int_equal(translate(0, (uint64_t)MANY << 12, RW), IOVAGEOM_ERR_FAULT);
    assert_int_equal(fault, (uint64_t)MANY << 12);
}

static void another_place_or_other_flags_are_another(void **state)
{
    (void)state;
    map(0x1000, 0x5000, RW);
    map(0x2000, 0x6000, READ);
    map(0x3000, 0x9000, READ);
    map(0x4000, 0xa000, READ);
    assert_int_equal(translate(0x1800, 0x47ff, READ), 0);
    assert_int_equal(count, 3);
    segment(0, 0x1800, 0x1fff, 0x5800, RW);
    segment(1, 0x2000, 0x2fff, 0x6000, READ);
    segment(2, 0x3000, 0x47ff, 0x9000, READ);
    assert_int_equal(translate(0x1800, 0x47ff, WRITE), IOVAGEOM_ERR_FAULT);
    assert_int_equal(fault, 0x2000);
    assert_int_equal(translate(0x4000, 0x5000, READ), IOVAGEOM_ERR_FAULT);
    assert_int_equal(fault, 0x5000);
    assert_int_equal(count, SIZE_MAX);
}

static void physical_addresses_do_not_wrap(void **state)
{
    (void)state;
    map(0x6000, UINT64_MAX - 0xfff, RW);
    map(0x7000, 0, RW);
    assert_int_equal(translate(0x6ff0, 0x700f, RW), 0);
    assert_int_equal(count, 2);
    segment(0, 0x6ff0, 0x6fff, UINT64_MAX - 0xf, RW);
    segment(1, 0x7000, 0x700f, 0, RW);
}

static void the_last_address_is_one_too(void **state)
{
    (void)state;
    map(UINT64_MAX - 0xfff, 0x1000, RW);
    map(UINT64_MAX - 0x1fff, 0x0, RW);
    assert_int_equal(translate(UINT64_MAX - 0x1fff, UINT64_MAX, RW), 0);
    assert_int_equal(count, 1);
    segment(0, UINT64_MAX - 0x1fff, UINT64_MAX, 0, RW);
    assert_int_equal(translate(UINT64_MAX, 0, RW), IOVAGEOM_ERR_INVERTED);
}

static void nothing_is_written_where_there_is_no_room(void **state)
{
    size_t needed = 0;

    (void)state;
    map(0x1000, 0x5000, RW);
    map(0x2000, 0x9000, RW);
    segments[0].phys = 77;
    assert_int_equal(
        iovageom_viommu_translate(viommu, 1, R(0x1000, 0x2fff), RW, segments, 1, &needed, NULL),
        IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(needed, 2);
    assert_int_equal(segments[0].phys, 77);
}

/* As many as there are, where there is room for all of them; and none where there is not. */
static void a_span_may_have_many_segments(void **state)
{
    struct iovageom_segment many[20];

    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        map(0x1000 + (i << 12), i << 20, RW);
    for (size_t n = 1; n <= 20; n++)
        for (size_t room = 0; room <= 20; room++) {
            const struct iovageom_range span = R(0x1800, 0x0fff + (n << 12) - 0x10);

            memset(many, 0xee, sizeof(many));
            count = 0;
            assert_int_equal(
                iovageom_viommu_translate(viommu, 1, span, RW, many, room, &count, NULL),
                n <= room ? IOVAGEOM_OK : IOVAGEOM_ERR_BUFFER_TOO_SMALL);
            assert_int_equal(count, n);
            for (size_t i = 0; i < 20; i++) {
                const bool given = i < n && n <= room;
                const uint64_t start = i == 0 ? 0x1800 : 0x1000 + ((uint64_t)i << 12);

                assert_int_equal(many[i].phys, given ? ((uint64_t)i << 20) + (start & 0xfff)
                                                     : 0xeeeeeeeeeeeeeeee);
                if (given) {
                    assert_int_equal(many[i].range.start, start);
                    assert_int_equal(many[i].range.last,
                                     i == n - 1 ? span.last : 0x1fff + ((uint64_t)i << 12));
                    assert_int_equal(many[i].flags, RW);
                    assert_int_equal(many[i].reserved, 0);
                }
            }
        }
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(what_goes_on_is_one),
        test(what_goes_on_is_one_however_long_it_is),
        test(another_place_or_other_flags_are_another),
        test(physical_addresses_do_not_wrap),
        test(the_last_address_is_one_too),
        test(nothing_is_written_where_there_is_no_room),
        test(a_span_may_have_many_segments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

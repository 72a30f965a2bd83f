/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/geometry.h>
#include <iovageom/host_sysfs.h>
#include <iovageom/status.h>

#define R(start, last) ((struct iovageom_range){(start), (last)})

enum { NOTHING = 1 }; /* no host reserves up to address 1 here */

static struct iovageom_geometry *new_geometry(const char *name)
{
    struct iovageom_geometry *geometry;

    assert_int_equal(iovageom_geometry_new(NULL, name, &geometry), IOVAGEOM_OK);
    return geometry;
}

/* That `geometry` vouches for [0,last], or for nothing. */
static void check_known(const struct iovageom_geometry *geometry, uint64_t last)
{
    struct iovageom_range known = {7, 5};
    int status = iovageom_geometry_known_range(geometry, &known);

    if (last == NOTHING) {
        assert_int_equal(status, IOVAGEOM_ERR_UNKNOWN);
        assert_int_equal(known.start, 7);
        assert_int_equal(known.last, 5);
    } else {
        assert_int_equal(status, IOVAGEOM_OK);
        assert_int_equal(known.start, 0);
        assert_int_equal(known.last, last);
    }
}

static void add_sysfs(struct iovageom_geometry *geometry, const char *text,
                      enum iovageom_sysfs_mode mode)
{
    assert_int_equal(iovageom_host_sysfs_reserved_regions(text, strlen(text), mode, NULL, geometry),
                     0);
}

/* An SMMU of 48 bits, of which sysfs shows only this. */
static const char arm[] = "0x0000000008000000 0x00000000080fffff msi\n";

static void without_a_width_up_to_where_somebody_said(void **state)
{
    struct iovageom_geometry *geometry = new_geometry("arm");

    (void)state;
    check_known(geometry, NOTHING);
    add_sysfs(geometry, arm, IOVAGEOM_SYSFS_STRICT);
    check_known(geometry, 0x80fffff);
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 48, IOVAGEOM_SOURCE_SMMUV3_REGISTERS), 0);
    check_known(geometry, UINT64_MAX);
    iovageom_geometry_free(geometry);

    /* what is usable in the end says as much as what is not */
    geometry = new_geometry("relaxable");
    add_sysfs(geometry, "0x0 0xffffff direct-relaxable\n", IOVAGEOM_SYSFS_STRICT);
    check_known(geometry, 0xffffff);
    iovageom_geometry_free(geometry);

    /* an IOMMU that reserves all above its width */
    geometry = new_geometry("virtio");
    add_sysfs(geometry, "0x8000000000 0xffffffffffffffff reserved\n", IOVAGEOM_SYSFS_STRICT);
    check_known(geometry, UINT64_MAX);
    iovageom_geometry_free(geometry);

    /* it reserves nothing, and how wide it is nobody knows */
    geometry = new_geometry("empty");
    add_sysfs(geometry, "", IOVAGEOM_SYSFS_STRICT);
    check_known(geometry, NOTHING);
    /* nor so, but what the hardware reserves is known */
    assert_int_equal(iovageom_geometry_add_reserved(geometry, R(0xfee00000, 0xfeefffff),
                                                    IOVAGEOM_RESV_MSI,
                                                    IOVAGEOM_SOURCE_VTD_REGISTERS),
                     0);
    check_known(geometry, 0xfeefffff);
    iovageom_geometry_free(geometry);
}

static void without_the_reserved_regions_nothing(void **state)
{
    struct iovageom_geometry *geometry = new_geometry("intel");
    const struct iovageom_range usable = {0, 0x7fffffffff};

    (void)state;
    assert_int_equal(iovageom_geometry_add_gaw(geometry, 39, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    check_known(geometry, NOTHING);
    /* a line that was passed over may be anywhere */
    add_sysfs(geometry, "garbage\n0xfee00000 0xfeefffff msi\n", IOVAGEOM_SYSFS_LENIENT);
    check_known(geometry, NOTHING);
    /* the kernel's list of what it maps is the last word */
    assert_int_equal(iovageom_geometry_add_usable(geometry, &usable, 1, IOVAGEOM_SOURCE_VFIO), 0);
    check_known(geometry, UINT64_MAX);
    iovageom_geometry_free(geometry);
}

static void an_empty_list_is_known(void **state)
{
    struct iovageom_geometry *geometry = new_geometry("none");

    (void)state;
    assert_int_equal(iovageom_geometry_add_usable(geometry, NULL, 0, IOVAGEOM_SOURCE_IOMMUFD), 0);
    check_known(geometry, UINT64_MAX);
    iovageom_geometry_free(geometry);
}

/* What one host says widely vouches for no other. */
static void each_name_for_itself(void **state)
{
    struct iovageom_geometry *all = new_geometry("pool");
    struct iovageom_geometry *other = new_geometry("wide"), *wide;
    const struct iovageom_range usable = {0, UINT64_MAX};

    (void)state;
    assert_int_equal(iovageom_geometry_add_usable(other, &usable, 1, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_narrow(all, other), 0);
    iovageom_geometry_free(other);
    check_known(all, UINT64_MAX);

    other = new_geometry("arm");
    add_sysfs(other, arm, IOVAGEOM_SYSFS_STRICT);
    assert_int_equal(iovageom_geometry_narrow(all, other), 0);
    iovageom_geometry_free(other);
    check_known(all, 0x80fffff);

    /* of this one only the width is known */
    assert_int_equal(iovageom_geometry_copy(all, &wide), 0);
    other = new_geometry("no regions");
    assert_int_equal(iovageom_geometry_add_gaw(other, 48, IOVAGEOM_SOURCE_SMMUV3_REGISTERS), 0);
    assert_int_equal(iovageom_geometry_narrow(wide, other), 0);
    iovageom_geometry_free(other);
    check_known(wide, NOTHING);
    iovageom_geometry_free(wide);

    other = new_geometry("cut off");
    add_sysfs(other, "0x1000 0x1fff direct", IOVAGEOM_SYSFS_STRICT);
    assert_int_equal(iovageom_geometry_narrow(all, other), 0);
    iovageom_geometry_free(other);
    check_known(all, NOTHING);
    iovageom_geometry_free(all);
}

/* What the machine, the user or a page size says is no statement about a host's addresses. */
static void others_take_nothing_away(void **state)
{
    struct iovageom_geometry *all = new_geometry("intel");
    struct iovageom_geometry *other = new_geometry("machine");

    (void)state;
    assert_int_equal(iovageom_geometry_add_gaw(all, 39, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    add_sysfs(all, "0xfee00000 0xfeefffff msi\n", IOVAGEOM_SYSFS_STRICT);
    assert_int_equal(iovageom_geometry_add_reserved(
                         other, R(0x1000, 0x1fff), IOVAGEOM_RESV_RESERVED, IOVAGEOM_SOURCE_MACHINE),
                     0);
    assert_int_equal(iovageom_geometry_add_gaw(other, 32, IOVAGEOM_SOURCE_USER), 0);
    assert_int_equal(iovageom_geometry_add_page_sizes(other, 0x1000, IOVAGEOM_SOURCE_VFIO), 0);
    assert_int_equal(iovageom_geometry_narrow(all, other), 0);
    check_known(all, UINT64_MAX);
    iovageom_geometry_free(all);
    /* nor does it vouch for the host */
    assert_int_equal(iovageom_geometry_new(NULL, "intel", &all), 0);
    assert_int_equal(iovageom_geometry_narrow(all, other), 0);
    assert_int_equal(iovageom_geometry_add_gaw(all, 39, IOVAGEOM_SOURCE_VTD_REGISTERS), 0);
    check_known(all, NOTHING);
    iovageom_geometry_free(all);
    iovageom_geometry_free(other);
}

/* A region that the user or the machine adds does not make known what the host did not say. */
static void a_region_of_the_guest_makes_nothing_known(void **state)
{
    static const enum iovageom_source sources[] = {IOVAGEOM_SOURCE_MACHINE, IOVAGEOM_SOURCE_USER};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct iovageom_geometry *host = new_geometry("intel");

        assert_int_equal(iovageom_geometry_add_page_sizes(host, 0x1000, IOVAGEOM_SOURCE_VFIO), 0);
        check_known(host, NOTHING);
        assert_int_equal(iovageom_geometry_add_reserved(host, R(0x1000, 0x1fff),
                                                        IOVAGEOM_RESV_RESERVED, sources[i]),
                         0);
        check_known(host, NOTHING);
        assert_int_equal(iovageom_geometry_add_usable(host, &R(0, 0xfffff), 1, sources[i]), 0);
        check_known(host, NOTHING);
        add_sysfs(host, "0xfee00000 0xfeefffff msi\n", IOVAGEOM_SYSFS_STRICT);
        check_known(host, 0xfeefffff);
        iovageom_geometry_free(host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_width_up_to_where_somebody_said),
        cmocka_unit_test(without_the_reserved_regions_nothing),
        cmocka_unit_test(an_empty_list_is_known),
        cmocka_unit_test(each_name_for_itself),
        cmocka_unit_test(others_take_nothing_away),
        cmocka_unit_test(a_region_of_the_guest_makes_nothing_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

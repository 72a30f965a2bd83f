/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page tables, and IOMMU_TEST_CMD: the calls of CONFIG_IOMMUFD_TEST by which the selftests make
 * mock devices, reserve addresses, and look at mappings as a device would.
 *
 * Its numbers are facts of drivers/iommu/iommufd/iommufd_test.h, alike in 6.12 and 7.3: the word
 * behind the size says what is done, the next one to whom, and from byte 16 on there is the rest.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/iommufd.h>

#include "judge.h"

enum test_op {
    ADD_RESERVED = 1,
    MOCK_DOMAIN = 2,
    CREATE_ACCESS = 5,
    ACCESS_PAGES = 7,
    ACCESS_RW = 8,
    MOCK_DOMAIN_REPLACE = 10,
    ACCESS_REPLACE_IOAS = 11,
    MOCK_DOMAIN_FLAGS = 12
};

enum { REST = 16, PINS_PAGES = 1, ANY_IOVA = 1 << 16, HUGE_TABLE = 1, DATA_SELFTEST = 0xdead };

/* ---- geometries ---- */

struct iovageom_geometry *alignment_geometry(const char *name, uint64_t alignment)
{
    struct iovageom_geometry *out;

    must_do(iovageom_geometry_new(NULL, name, &out), "geometry");
    must_do(iovageom_geometry_add_alignment(out, alignment, IOVAGEOM_SOURCE_IOMMUFD), "alignment");
    return out;
}

/* The mock's page table: [16 MiB, 2 GiB) in pages of 2 KiB; or, since 7.3, one of large pages. */
struct iovageom_geometry *mock_geometry(bool huge)
{
    const struct iovageom_range aperture = {huge ? 0 : 1 << 24,
                                            ((uint64_t)1 << (huge ? 56 : 31)) - 1};
    struct iovageom_geometry *out = alignment_geometry("mock", huge ? 4096 : 2048);

    must_do(iovageom_geometry_add_aperture(out, aperture, IOVAGEOM_SOURCE_IOMMUFD), "aperture");
    return out;
}

void judge_owner(const struct call *call, struct ioas *ioas, enum owner_kind kind, uint32_t id,
                 struct iovageom_geometry *geometry)
{
    int status;

    if (call->error != 0 && call->error != EADDRINUSE) {
        iovageom_geometry_free(geometry);
        leave_out(call, call->error == EFAULT || call->error == ENOMEM ? RULE_MEMORY : RULE_DEVICE);
        return;
    }
    status = ioas_add_owner(ioas, kind, id, geometry);
    judge(call, IOMMUFD, status);
    if (status == IOVAGEOM_OK && call->error != 0)
        ioas_remove_owner(ioas, kind, id);
}

/* ---- page tables and devices ---- */

static struct hwpt *hwpt_of(const struct context *context, uint32_t id)
{
    struct hwpt *hwpt = context->hwpts;

    while (hwpt != NULL && hwpt->id != id)
        hwpt = hwpt->next;
    return hwpt;
}

static void add_hwpt(struct context *context, uint32_t id, uint32_t ioas, bool automatic)
{
    struct hwpt *hwpt = must(malloc(sizeof(*hwpt)));

    *hwpt = (struct hwpt){context->hwpts, id, ioas, automatic};
    context->hwpts = hwpt;
}

static void remove_hwpt(struct context *context, uint32_t id)
{
    struct hwpt **at = &context->hwpts, *gone;
    struct ioas *ioas;

    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    gone = *at;
    if (gone == NULL)
        return;
    ioas = ioas_of(context, gone->ioas);
    if (ioas != NULL)
        ioas_remove_owner(ioas, BY_DOMAIN, id);
    *at = gone->next;
    free(gone);
}

/* A device has left it. */
static void leave_hwpt(struct context *context, uint32_t id)
{
    const struct hwpt *hwpt = hwpt_of(context, id);
    const struct device *device = context->devices;

    while (device != NULL && device->hwpt != id)
        device = device->next;
    if (hwpt != NULL && hwpt->automatic && device == NULL)
        remove_hwpt(context, id);
}

/*
 * A device comes to `target`: an IOAS, where it shares the page table that is there already, or to
 * a page table. `made` is the table that the kernel says it has now.
 */
static void come_to(struct context *context, const struct call *call, uint32_t target,
                    uint32_t made)
{
    struct ioas *ioas = ioas_of(context, target);

    if (ioas == NULL) {
        if (hwpt_of(context, target) == NULL)
            judge(call, IOMMUFD, IOVAGEOM_ERR_NOT_FOUND);
        else if (call->error != 0)
            leave_out(call, RULE_DEVICE);
        else
            judge(call, IOMMUFD, IOVAGEOM_OK);
    } else if (call->error == 0 && hwpt_of(context, made) != NULL) {
        judge(call, IOMMUFD, IOVAGEOM_OK);
    } else {
        judge_owner(call, ioas, BY_DOMAIN, made, mock_geometry(false));
        if (call->error == 0)
            add_hwpt(context, made, target, true);
    }
}

static void new_device(struct context *context, const struct call *call)
{
    const uint32_t hwpt = word(call->after, call->after_size, REST + 4);
    struct device *device;

    come_to(context, call, word(call->before, call->before_size, 8), hwpt);
    if (call->error != 0)
        return;
    device = must(malloc(sizeof(*device)));
    *device = (struct device){context->devices, word(call->after, call->after_size, REST), hwpt};
    context->devices = device;
}

static void move_device(struct context *context, const struct call *call)
{
    struct device *device = context->devices;
    const uint32_t id = word(call->before, call->before_size, 8);
    uint32_t left;

    while (device != NULL && device->id != id)
        device = device->next;
    if (device == NULL) {
        judge(call, IOMMUFD, IOVAGEOM_ERR_NOT_FOUND);
        return;
    }
    come_to(context, call, word(call->before, call->before_size, REST),
            word(call->after, call->after_size, REST));
    if (call->error != 0)
        return;
    left = device->hwpt;
    device->hwpt = word(call->after, call->after_size, REST);
    leave_hwpt(context, left);
}

void hwpt_call(struct context *context, const struct call *call)
{
    const uint32_t target =
        word(call->before, call->before_size, offsetof(struct iommu_hwpt_alloc, pt_id));
    const uint32_t made =
        word(call->after, call->after_size, offsetof(struct iommu_hwpt_alloc, out_hwpt_id));
    const bool mock = word(call->before, call->before_size,
                           offsetof(struct iommu_hwpt_alloc, data_type)) == DATA_SELFTEST;
    struct ioas *ioas = ioas_of(context, target);

    if (ioas != NULL)
        judge_owner(call, ioas, BY_DOMAIN, made,
                    mock_geometry(mock && word(call->array, call->array_size, 4) == HUGE_TABLE));
    if (call->error == 0)
        add_hwpt(context, made, ioas != NULL ? target : 0, false);
}

void object_destroyed(struct context *context, uint32_t id)
{
    struct ioas **ioas = &context->ioas, *gone_ioas;
    struct device **device = &context->devices, *gone;

    remove_hwpt(context, id);
    while (*device != NULL && (*device)->id != id)
        device = &(*device)->next;
    gone = *device;
    if (gone != NULL) {
        *device = gone->next;
        leave_hwpt(context, gone->hwpt);
        free(gone);
    }
    while (*ioas != NULL && (*ioas)->id != id)
        ioas = &(*ioas)->next;
    gone_ioas = *ioas;
    if (gone_ioas != NULL) {
        *ioas = gone_ioas->next;
        ioas_free(gone_ioas);
    }
}

/* ---- accesses ---- */

static struct access *access_of(const struct context *context, int file)
{
    struct access *access = context->accesses;

    while (access != NULL && access->file != file)
        access = access->next;
    return access;
}

/* One that pins pages needs whole pages of the CPU. */
static void narrow_for(const struct call *call, struct ioas *ioas, const struct access *access)
{
    if (access->pins)
        judge_owner(call, ioas, BY_ACCESS, (uint32_t)access->file,
                    alignment_geometry("access", 4096));
    else
        judge(call, IOMMUFD, IOVAGEOM_OK);
}

static void new_access(struct context *context, const struct call *call)
{
    struct ioas *ioas = ioas_of(context, word(call->before, call->before_size, 8));
    struct access *access;

    if (ioas == NULL || call->error != 0) {
        leave_out(call, RULE_DEVICE);
        return;
    }
    access = must(malloc(sizeof(*access)));
    *access =
        (struct access){context->accesses, (int)word(call->after, call->after_size, REST), ioas->id,
                        (word(call->before, call->before_size, REST + 4) & PINS_PAGES) != 0};
    context->accesses = access;
    narrow_for(call, ioas, access);
}

static void move_access(struct context *context, const struct call *call)
{
    struct access *access = access_of(context, (int)word(call->before, call->before_size, 8));
    struct ioas *to = ioas_of(context, word(call->before, call->before_size, REST)), *from;

    if (access == NULL || to == NULL || call->error != 0) {
        leave_out(call, RULE_DEVICE);
        return;
    }
    if (access->ioas == to->id)
        return;
    from = ioas_of(context, access->ioas);
    narrow_for(call, to, access);
    if (from != NULL)
        ioas_remove_owner(from, BY_ACCESS, (uint32_t)access->file);
    access->ioas = to->id;
}

void access_closed(struct context *context, int file)
{
    struct access **at = &context->accesses, *gone;
    struct ioas *ioas;

    while (*at != NULL && (*at)->file != file)
        at = &(*at)->next;
    gone = *at;
    if (gone == NULL)
        return;
    ioas = ioas_of(context, gone->ioas);
    if (ioas != NULL)
        ioas_remove_owner(ioas, BY_ACCESS, (uint32_t)file);
    *at = gone->next;
    free(gone);
}

/* Through all of a range, as a device would go: what is not mapped is ENOENT. */
static void use_access(struct context *context, const struct call *call, size_t at)
{
    const struct access *access = access_of(context, (int)word(call->before, call->before_size, 8));
    const struct ioas *ioas = access != NULL ? ioas_of(context, access->ioas) : NULL;
    const uint64_t length = quad(call->before, call->before_size, at + 8);
    struct iovageom_range range;
    uint64_t phys;
    int status =
        iovageom_range_from_length(quad(call->before, call->before_size, at), length, &range);

    if (ioas == NULL || (call->error != 0 && call->error != ENOENT && call->error != EOVERFLOW)) {
        leave_out(call, call->error == EFAULT || call->error == ENOMEM ? RULE_MEMORY : RULE_DEVICE);
        return;
    }
    if (status == IOVAGEOM_OK)
        status = ioas_mapped(ioas, range, &phys);
    judge(call, IOMMUFD, status);
}

/* ---- reserved addresses ---- */

static void reserve(struct context *context, const struct call *call)
{
    struct ioas *ioas = ioas_of(context, word(call->before, call->before_size, 8));
    struct iovageom_geometry *geometry;
    struct iovageom_range range;
    int status =
        iovageom_range_from_length(quad(call->before, call->before_size, REST),
                                   quad(call->before, call->before_size, REST + 8), &range);

    if (status == IOVAGEOM_OK && ioas == NULL)
        status = IOVAGEOM_ERR_NOT_FOUND;
    if (status != IOVAGEOM_OK) {
        judge(call, IOMMUFD, status);
        return;
    }
    must_do(iovageom_geometry_new(NULL, "test", &geometry), "geometry");
    must_do(iovageom_geometry_add_reserved(geometry, range, IOVAGEOM_RESV_RESERVED,
                                           IOVAGEOM_SOURCE_IOMMUFD),
            "reserved");
    judge_owner(call, ioas, BY_TEST, (uint32_t)call->line, geometry);
}

void test_call(struct context *context, const struct call *call)
{
    switch (word(call->before, call->before_size, 4)) {
    case ADD_RESERVED:
        reserve(context, call);
        break;
    case MOCK_DOMAIN:
    case MOCK_DOMAIN_FLAGS:
        new_device(context, call);
        break;
    case MOCK_DOMAIN_REPLACE:
        move_device(context, call);
        break;
    case CREATE_ACCESS:
        new_access(context, call);
        break;
    case ACCESS_REPLACE_IOAS:
        move_access(context, call);
        break;
    case ACCESS_PAGES:
        if ((word(call->before, call->before_size, REST) & ANY_IOVA) == 0)
            use_access(context, call, REST + 8);
        break;
    case ACCESS_RW:
        if ((word(call->before, call->before_size, REST + 24) & ANY_IOVA) == 0)
            use_access(context, call, REST);
        break;
    default: /* not about ranges */
        break;
    }
}
